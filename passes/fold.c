/* Folding: nodes whose operands are constants are evaluated by the reference, in exact mode.
 *
 * Only small tensors are (FOLD_LIMIT_BYTES, operands and results together): transposes and reshapes of larger ones
 * become recipes that run once when the object is written, contiguous slices parts of the same bytes; everything else
 * of that size stays for run time. Broadcasts stay, as they cost nothing in a kernel and would only enlarge the
 * weights. Shape values become constants, or the dims that they are, whatever computed them. */
#include "ir/build.h"
#include "ir/eval.h"
#include "ir/primitives.h"
#include "passes/fold.h"
#include "passes/passes.h"

#define FOLD_LIMIT_BYTES (1 << 20)

/* A constant, or a broadcast of one, which evaluation looks through. */
static const tn_value *constant_source(const tn_value *value) {
  if (tn_value_const(value)) return value;
  if (value->def && value->def->op == &tn_op_broadcast && tn_value_const(value->def->operands[0].value))
    return value->def->operands[0].value;
  return NULL;
}

static uint64_t bytes_of(const tn_type *type) {
  int64_t count = tn_type_static_count(type);
  if (count < 0 || count > FOLD_LIMIT_BYTES) return FOLD_LIMIT_BYTES + 1;
  return (uint64_t)count * tn_dtype_bytes(type->dtype);
}

static bool is_foldable(const tn_node *node) {
  const uint32_t never = TN_TRAIT_EFFECT | TN_TRAIT_FENCE | TN_TRAIT_RANDOM;
  if (node->n_operands == 0 || node->n_regions || (node->op->traits & never)) return false;
  if (node->op->kind == TN_OP_TERMINATOR || node->op->kind == TN_OP_COMPOSITE || node->op == &tn_op_broadcast)
    return false;
  uint64_t bytes = 0;
  bool any_whole = false;
  for (uint32_t i = 0; i < node->n_operands; i++) {
    const tn_value *value = node->operands[i].value;
    if (!value) continue;
    if (!constant_source(value)) return false;
    any_whole |= tn_value_const(value) != NULL;
    bytes += bytes_of(value->type);
  }
  for (uint32_t i = 0; i < node->n_results; i++) {
    if (!tn_type_is_static(node->results[i]->type)) return false;
    bytes += bytes_of(node->results[i]->type);
  }
  return any_whole && bytes <= FOLD_LIMIT_BYTES;
}

static bool evaluate_operand(tn_eval *eval, const tn_value *value) {
  if (tn_map_get(&eval->values, value)) return true;
  const tn_value *source = constant_source(value);
  if (!tn_map_get(&eval->values, source))
    tn_map_set(&eval->values, source, tn_tensor_of_const(eval->arena, tn_value_const(source)));
  return source == value || tn_eval_node(eval, value->def);
}

static void replace_by_constant(tn_module *module, tn_node *node, uint32_t result, const tn_tensor *tensor) {
  size_t bytes;
  tn_value *value = node->results[result];
  const void *data = tn_tensor_to_bytes(module->arena, tensor, &bytes);
  tn_build build = tn_build_before(node);
  const char *name = value->name && *value->name ? value->name : "folded";
  tn_const *constant = tn_const_data(module, name, value->type, data);
  tn_loc_push(module->ctx, node->loc);
  tn_value_replace(value, tn_build_const(&build, constant));
  tn_loc_pop(module->ctx);
}

static bool fold_node(tn_module *module, tn_node *node) {
  tn_arena *scratch = tn_arena_create_scratch(module->ctx->arena);
  tn_eval eval = {.ctx = module->ctx, .arena = scratch, .mode = TN_EVAL_EXACT, .values = tn_map_create(scratch),
                  .symbols = tn_map_create(scratch)};
  bool ok = true;
  for (uint32_t i = 0; i < node->n_operands && ok; i++)
    if (node->operands[i].value) ok = evaluate_operand(&eval, node->operands[i].value);
  ok = ok && tn_eval_node(&eval, node);
  for (uint32_t i = 0; i < node->n_results && ok; i++)
    replace_by_constant(module, node, i, tn_map_get(&eval.values, node->results[i]));
  tn_arena_destroy(scratch);
  if (ok) tn_node_remove(node);
  return ok;
}

/* A slice of a stored constant that is one run of its bytes: they are used where they lie. NULL when it is not. */
static tn_const *slice_in_place(tn_module *module, const tn_node *node, const tn_const *base) {
  const tn_attr *start = tn_node_attr(node, "start"), *step = tn_node_attr(node, "step");
  const tn_type *type = node->results[0]->type;
  int64_t offset = 0;
  bool is_one = true; /* all extents so far are 1: what follows may be cut */
  if (base->kind != TN_CONST_DATA) return NULL;
  for (uint32_t i = 0; i < type->ndim; i++) {
    int64_t extent = tn_dim_value(type->dims[i]), whole = tn_dim_value(base->type->dims[i]);
    if (!tn_dim_is_const(start->u.list.dims[i])) return NULL;
    if ((i < step->u.list.n && step->u.list.ints[i] != 1 && extent > 1) || (!is_one && extent != whole)) return NULL;
    offset = offset * whole + tn_dim_value(start->u.list.dims[i]);
    is_one &= extent == 1;
  }
  size_t bytes = (size_t)offset * tn_dtype_bytes(type->dtype);
  tn_const *made = tn_const_data(module, base->name, type, (const char *)base->data + bytes);
  made->file = base->file;
  made->file_offset = base->file_offset + bytes;
  made->loc = base->loc;
  return made;
}

/* A transpose, reshape or contiguous slice of a large constant. */
static bool make_recipe(tn_module *module, tn_node *node) {
  if (node->op != &tn_op_transpose && node->op != &tn_op_reshape && node->op != &tn_op_slice) return false;
  tn_const *base = tn_value_const(node->operands[0].value), *made;
  const tn_type *type = node->results[0]->type;
  if (!base || !tn_type_is_static(type)) return false;
  if (node->op == &tn_op_transpose) {
    const int64_t *perm = tn_node_attr(node, "perm")->u.list.ints;
    uint8_t narrow[TN_MAX_NDIM];
    for (uint32_t i = 0; i < type->ndim; i++) narrow[i] = (uint8_t)perm[i];
    made = tn_const_recipe_transpose(module, base, narrow);
  } else if (node->op == &tn_op_slice) {
    made = slice_in_place(module, node, base);
    if (!made) return false;
  } else {
    made = tn_const_recipe_reshape(module, base, type);
  }
  tn_build build = tn_build_before(node);
  tn_loc_push(module->ctx, node->loc);
  tn_value_replace(node->results[0], tn_build_const(&build, made));
  tn_loc_pop(module->ctx);
  tn_node_remove(node);
  return true;
}

static bool index_is_constant(const tn_value *value) {
  for (uint32_t i = 0; i < value->n_index; i++)
    if (!tn_dim_is_const(value->index[i])) return false;
  return true;
}

/* A shape value whose contents are known as dims stands for itself from here on. */
static bool replace_shape_value(tn_pass_context *context, tn_node *node) {
  if (node->n_results != 1 || !node->results[0]->index || node->op == &tn_op_const || node->op == &tn_op_dim_value)
    return false;
  if (tn_op_defines_symbols(node->op)) return false; /* the dims have their symbols from it */
  tn_value *value = node->results[0];
  if (node->op->traits & TN_TRAIT_EFFECT) return false; /* a dim_read binds its symbols */
  if (value->type->ndim > 1 || (node->op->kind == TN_OP_TERMINATOR) || value->n_index == 0) return false;
  if (!tn_type_is_static(value->type)) return false; /* its extent is known by a guard alone */
  if (index_is_constant(value)) {
    tn_arena *scratch = tn_arena_create_scratch(context->ctx->arena);
    int64_t extent = value->n_index;
    tn_tensor *tensor = tn_tensor_create(scratch, value->type->dtype, value->type->ndim, &extent);
    for (uint32_t i = 0; i < value->n_index; i++) tensor->data[i].i = tn_dim_value(value->index[i]);
    replace_by_constant(context->module, node, 0, tensor);
    tn_arena_destroy(scratch);
    tn_node_remove(node);
    return true;
  }
  if (node->n_operands == 0) return false;
  tn_build build = tn_build_before(node);
  tn_loc_push(context->ctx, node->loc);
  tn_value *dims = tn_build_dim_value(&build, value->index, value->n_index);
  if (value->type->ndim == 0) dims = tn_build_reshape(&build, dims, NULL, 0);
  dims = tn_build_cast(&build, dims, value->type->dtype);
  tn_loc_pop(context->ctx);
  /* A reshape or cast of dims is what this would make again. */
  if (!dims || node->op == &tn_op_reshape || node->op == tn_op_of_scalar(TN_CAST)) return false;
  tn_value_replace(value, dims);
  tn_node_remove(node);
  return true;
}

bool tn_fold_node(tn_node *node, bool *out_folded) {
  tn_module *module = node->block->func->module;
  *out_folded = true;
  if (is_foldable(node)) return fold_node(module, node);
  *out_folded = make_recipe(module, node);
  return true;
}

static bool fold_block(tn_pass_context *context, tn_block *block) {
  bool ok = true;
  for (tn_node *node = block->first, *next; node; node = next) {
    next = node->next;
    for (uint32_t i = 0; i < node->n_regions; i++) ok &= fold_block(context, node->regions[i]);
    if (node->op->kind == TN_OP_TERMINATOR || replace_shape_value(context, node)) continue;
    bool folded;
    ok &= tn_fold_node(node, &folded);
  }
  return ok;
}

bool tn_pass_fold(tn_pass_context *context) { return fold_block(context, context->entry->body); }
