/* The builder: attribute values, constants, elementwise nodes and terminators. Shapes are in build_shape.c. */
#include "ir/build.h"

#include <string.h>

#include "ir/eval.h"
#include "ir/ops/scan.h"
#include "ir/primitives.h"

tn_build tn_build_at_end(tn_block *block) {
  tn_module *module = block->func->module;
  return (tn_build){.ctx = module->ctx, .module = module, .func = block->func, .block = block};
}

tn_build tn_build_before(tn_node *node) {
  tn_build b = tn_build_at_end(node->block);
  b.before = node;
  return b;
}

tn_node *tn_build_node(tn_build *b, const tn_opdef *op, tn_value *const *operands, uint32_t n_operands,
                       const tn_attr *attrs) {
  return tn_node_create(b->block, b->before, op, operands, n_operands, attrs);
}

/* A NULL operand that is not optional is the trace of an error reported earlier. */
static bool has_failed_operand(const tn_opdef *op, tn_value *const *operands, uint32_t n) {
  for (uint32_t i = 0; i < n && op->n_operands > 0; i++) {
    uint32_t def = i < op->n_operands ? i : op->n_operands - 1;
    if (!operands[i] && op->operands[def].arity != TN_OPTIONAL) return true;
  }
  return false;
}

tn_value *tn_build_op(tn_build *b, const tn_opdef *op, tn_value *const *operands, uint32_t n_operands,
                      const tn_attr *attrs) {
  if (has_failed_operand(op, operands, n_operands)) return NULL;
  tn_node *node = tn_build_node(b, op, operands, n_operands, attrs);
  return node && node->n_results > 0 ? node->results[0] : NULL;
}

/* Attribute values. */

tn_attr tn_attr_int(int64_t i) { return (tn_attr){.present = true, .u.i = i}; }
tn_attr tn_attr_float(double f) { return (tn_attr){.present = true, .u.f = f}; }
tn_attr tn_attr_bool(bool b) { return (tn_attr){.present = true, .u.i = b}; }
tn_attr tn_attr_dtype(tn_dtype dtype) { return (tn_attr){.present = true, .u.i = dtype}; }

tn_attr tn_attr_name(const tn_opdef *op, const char *attr, const char *name) {
  uint32_t index = tn_op_attr_index(op, attr);
  TN_ASSERT(index != UINT32_MAX && op->attrs[index].kind == TN_ATTR_NAME);
  const char *const *names = op->attrs[index].names;
  int64_t i = 0;
  while (names[i] && strcmp(names[i], name) != 0) i++;
  TN_ASSERT(names[i] != NULL);
  return tn_attr_int(i);
}

tn_attr tn_attr_ints(tn_module *module, const int64_t *ints, uint32_t n) {
  tn_attr attr = {.present = true};
  attr.u.list.n = n;
  attr.u.list.ints = n > 0 ? tn_arena_copy(module->arena, ints, n * sizeof(*ints)) : NULL;
  return attr;
}

tn_attr tn_attr_dims(tn_module *module, const tn_dim *const *dims, uint32_t n) {
  tn_attr attr = {.present = true};
  attr.u.list.n = n;
  attr.u.list.dims = n > 0 ? tn_arena_copy(module->arena, dims, n * sizeof(*dims)) : NULL;
  return attr;
}

tn_attr tn_attr_pairs(tn_module *module, const int64_t *pairs, uint32_t n_pairs) {
  tn_attr attr = tn_attr_ints(module, pairs, 2 * n_pairs);
  attr.u.list.n = n_pairs;
  return attr;
}

tn_attr tn_attr_const(tn_const *constant) { return (tn_attr){.present = true, .u.constant = constant}; }

/* Constants. */

tn_value *tn_build_const(tn_build *b, tn_const *constant) {
  if (!constant) return NULL;
  tn_attr attr = tn_attr_const(constant);
  return tn_build_op(b, &tn_op_const, NULL, 0, &attr);
}

/* Splats are named by what they hold, so equal ones are one constant. */
static tn_value *build_splat(tn_build *b, tn_dtype dtype, tn_number v) {
  unsigned char element[8] = {0};
  tn_number_store(dtype, v, element);
  size_t bytes = tn_dtype_bytes(dtype);
  uint64_t bits = 0;
  for (size_t i = 0; i < bytes; i++) bits |= (uint64_t)element[i] << (8 * i);
  const char *name = tn_namef(b->ctx, "%s.x%llx", tn_dtype_name(dtype), (unsigned long long)bits);
  const tn_type *type = tn_type_scalar(b->ctx, dtype);
  tn_const *constant = tn_map_get(&b->module->const_names, name);
  bool same = constant && constant->kind == TN_CONST_SPLAT && constant->type == type &&
              memcmp(constant->data, element, bytes) == 0;
  return tn_build_const(b, same ? constant : tn_const_splat(b->module, name, type, element));
}

tn_value *tn_build_splat_f(tn_build *b, tn_dtype dtype, double v) {
  return build_splat(b, dtype, tn_number_cast(TN_F64, dtype, (tn_number){.f = v}));
}

tn_value *tn_build_splat_i(tn_build *b, tn_dtype dtype, int64_t v) {
  return build_splat(b, dtype, tn_number_cast(TN_I64, dtype, (tn_number){.i = v}));
}

tn_value *tn_build_fill_like(tn_build *b, const tn_value *like, double v) {
  if (!like) return NULL;
  tn_value *scalar = tn_build_splat_f(b, like->type->dtype, v);
  return tn_build_broadcast_to(b, scalar, like->type->dims, like->type->ndim);
}

/* Elementwise. */

static tn_value *build_scalar(tn_build *b, tn_scalar scalar, tn_value *const *operands, uint32_t n) {
  TN_ASSERT(n == tn_scalar_arity(scalar));
  return tn_build_op(b, tn_op_of_scalar(scalar), operands, n, NULL);
}

tn_value *tn_build_unary(tn_build *b, tn_scalar scalar, tn_value *x) {
  return build_scalar(b, scalar, (tn_value *[]){x}, 1);
}

tn_value *tn_build_binary(tn_build *b, tn_scalar scalar, tn_value *x, tn_value *y) {
  return build_scalar(b, scalar, (tn_value *[]){x, y}, 2);
}

tn_value *tn_build_binary_f(tn_build *b, tn_scalar scalar, tn_value *x, double y) {
  return tn_build_binary(b, scalar, x, tn_build_fill_like(b, x, y));
}

tn_value *tn_build_select(tn_build *b, tn_value *condition, tn_value *x, tn_value *y) {
  return build_scalar(b, TN_SELECT, (tn_value *[]){condition, x, y}, 3);
}

tn_value *tn_build_cast(tn_build *b, tn_value *x, tn_dtype dtype) {
  if (!x || x->type->dtype == dtype) return x;
  const tn_opdef *op = tn_op_of_scalar(TN_CAST);
  tn_attr attrs[4] = {0};
  TN_ASSERT(op->n_attrs <= TN_ARRAY_LEN(attrs));
  attrs[tn_op_attr_index(op, "dtype")] = tn_attr_dtype(dtype);
  return tn_build_op(b, op, &x, 1, attrs);
}

/* Nodes with regions. */

tn_node *tn_build_begin(tn_build *b, const tn_opdef *op, tn_value *const *operands, uint32_t n_operands,
                        const tn_attr *attrs) {
  if (has_failed_operand(op, operands, n_operands)) return NULL;
  tn_node *node = tn_build_node(b, op, operands, n_operands, attrs);
  if (node) tn_node_region(node, 0);
  return node;
}

tn_build tn_build_region(tn_node *node, uint32_t region) {
  return tn_build_at_end(region < node->n_regions ? node->regions[region] : tn_node_region(node, region));
}

bool tn_build_end(tn_node *node) { return tn_node_infer(node); }

tn_node *tn_build_begin_scan(tn_build *b, const tn_build_scan *scan) {
  tn_arena *arena = b->module->arena;
  uint32_t n = scan->n_carried + scan->n_sequences + scan->n_fixed, n_lists = scan->n_sequences + scan->n_stacked;
  tn_value **operands = TN_NEW_N(arena, tn_value *, n);
  for (uint32_t i = 0; i < n; i++)
    operands[i] = i < scan->n_carried                       ? scan->carried[i]
                  : i < scan->n_carried + scan->n_sequences ? scan->sequences[i - scan->n_carried]
                                                            : scan->fixed[i - scan->n_carried - scan->n_sequences];
  tn_attr attrs[4] = {tn_attr_int(scan->n_carried), tn_attr_int(scan->n_sequences)};
  if (scan->axes) attrs[2] = tn_attr_ints(b->module, scan->axes, n_lists);
  if (scan->reverse) attrs[3] = tn_attr_ints(b->module, scan->reverse, n_lists);
  return tn_build_begin(b, &tn_op_scan, operands, n, attrs);
}

tn_value *tn_build_add_sequence(tn_node *scan, tn_value *sequence) {
  tn_attr *attrs = scan->attrs;
  const tn_type *type = sequence->type;
  uint32_t at = (uint32_t)(attrs[TN_SCAN_N_CARRIED].u.i + attrs[TN_SCAN_N_SEQ].u.i), n = scan->n_operands;
  tn_block *region = scan->regions[0];
  TN_ASSERT(attrs[TN_SCAN_AXIS].u.list.n <= attrs[TN_SCAN_N_SEQ].u.i); /* the lists go on with zeros */
  tn_node_add_fixed(scan, sequence);
  tn_value *slice = region->params.data[n];
  for (uint32_t i = n; i > at; i--) {
    tn_node_set_operand(scan, i, scan->operands[i - 1].value);
    region->params.data[i] = region->params.data[i - 1];
    region->params.data[i]->def_index = i;
  }
  tn_node_set_operand(scan, at, sequence);
  region->params.data[at] = slice;
  slice->def_index = at;
  slice->type = tn_type_tensor(scan->block->func->module->ctx, type->dtype, type->ndim - 1, type->dims + 1);
  slice->index = NULL;
  slice->n_index = 0;
  attrs[TN_SCAN_N_SEQ].u.i++;
  return slice;
}

void tn_build_return(tn_build *b, tn_value *const *values, uint32_t n) {
  tn_build_node(b, b->block->owner ? &tn_op_yield : &tn_op_return, values, n, NULL);
}
