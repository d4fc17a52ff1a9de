/* Inference of one node: everything the op's record says about operands and attributes is checked here, so that an op's
 * own infer only sees nodes whose counts, element types and attribute ranges are right. */
#include <string.h>

#include "ir/op.h"

#define STACK_OPERANDS 64

/* Operand i's definition; the last one stands for all that follow when it is variadic. */
static const tn_operand_def *operand_def(const tn_opdef *op, uint32_t i) {
  if (op->n_operands == 0) return NULL;
  return &op->operands[i < op->n_operands ? i : op->n_operands - 1];
}

static bool check_counts(const tn_infer *in, const tn_opdef *op) {
  bool variadic = op->n_operands > 0 && op->operands[op->n_operands - 1].arity == TN_VARIADIC;
  uint32_t n_fixed = op->n_operands - variadic;
  if (!variadic && in->n_operands > n_fixed)
    return tn_error(in->ctx, in->loc, TN_E_ARITY, "'%s' takes at most %u operands, found %u", op->name, n_fixed,
                    in->n_operands);
  if (variadic && in->n_operands < n_fixed + op->operands[n_fixed].min_count)
    return tn_error(in->ctx, in->loc, TN_E_ARITY, "'%s' needs at least %u operands, found %u", op->name,
                    n_fixed + op->operands[n_fixed].min_count, in->n_operands);
  bool ok = true;
  for (uint32_t i = 0; i < in->n_operands; i++) {
    const tn_operand_def *def = operand_def(op, i);
    if (!in->operands[i] && def->arity != TN_OPTIONAL)
      ok = tn_error(in->ctx, in->loc, TN_E_ARITY, "'%s' needs operand %u '%s'", op->name, i, def->name);
  }
  return ok;
}

static const char *set_text(tn_ctx *ctx, tn_dtype_set set) {
  static const struct { tn_dtype_set set; const char *text; } named[] = {
      {TN_SET_ANY, "a number or bool"}, {TN_SET_NUMBER, "a number"}, {TN_SET_INTEGER, "an integer type"},
      {TN_SET_FLOAT, "a float type"},   {TN_SET_BOOL, "bool"},
  };
  for (size_t i = 0; i < TN_ARRAY_LEN(named); i++)
    if (named[i].set == set) return named[i].text;
  tn_buf buf = tn_buf_create(ctx->arena);
  for (unsigned d = 0; d < TN_N_DTYPES; d++)
    if (set & TN_DTYPE_BIT(d)) tn_buf_printf(&buf, "%s%s", buf.n > 0 ? " or " : "", tn_dtype_name((tn_dtype)d));
  return buf.data ? buf.data : "nothing";
}

/* The first operand that bears the name. */
static const tn_value *operand_named(const tn_infer *in, const tn_opdef *op, const char *name) {
  for (uint32_t i = 0; i < op->n_operands && i < in->n_operands; i++)
    if (strcmp(op->operands[i].name, name) == 0) return in->operands[i];
  return NULL;
}

static bool check_dtypes(const tn_infer *in, const tn_opdef *op) {
  bool ok = true;
  for (uint32_t i = 0; i < in->n_operands; i++) {
    const tn_value *value = in->operands[i];
    if (!value) continue;
    const tn_operand_def *def = operand_def(op, i);
    tn_dtype dtype = value->type->dtype;
    if (!(def->dtypes & TN_DTYPE_BIT(dtype))) {
      ok = tn_error(in->ctx, in->loc, TN_E_DTYPE, "operand '%s' of '%s': expected %s, found %s", def->name, op->name,
                    set_text(in->ctx, def->dtypes), tn_dtype_name(dtype));
      continue;
    }
    const tn_value *peer = def->same_dtype ? operand_named(in, op, def->same_dtype) : NULL;
    if (peer && peer->type->dtype != dtype)
      ok = tn_error(in->ctx, in->loc, TN_E_DTYPE, "operand '%s' of '%s': expected %s as operand '%s', found %s",
                    def->name, op->name, tn_dtype_name(peer->type->dtype), def->same_dtype, tn_dtype_name(dtype));
  }
  return ok;
}

static bool check_int_range(const tn_infer *in, const tn_opdef *op, const tn_attr_def *def, int64_t value) {
  if (def->min_i >= def->max_i || (value >= def->min_i && value <= def->max_i)) return true;
  return tn_error(in->ctx, in->loc, TN_E_ATTR, "attribute '%s' of '%s': expected %lld to %lld, found %lld", def->name,
                  op->name, (long long)def->min_i, (long long)def->max_i, (long long)value);
}

static uint32_t count_names(const char *const *names) {
  uint32_t n = 0;
  while (names && names[n]) n++;
  return n;
}

static bool check_attr(const tn_infer *in, const tn_opdef *op, const tn_attr_def *def, const tn_attr *attr) {
  switch (def->kind) {
    case TN_ATTR_INT:
      return check_int_range(in, op, def, attr->u.i);
    case TN_ATTR_INTS:
      for (uint32_t i = 0; i < attr->u.list.n; i++)
        if (!check_int_range(in, op, def, attr->u.list.ints[i])) return false;
      return true;
    case TN_ATTR_NAME:
      if (attr->u.i >= 0 && attr->u.i < count_names(def->names)) return true;
      return tn_error(in->ctx, in->loc, TN_E_ATTR, "attribute '%s' of '%s' is none of its names", def->name, op->name);
    case TN_ATTR_DTYPE:
      if (attr->u.i >= 0 && attr->u.i < TN_N_DTYPES) return true;
      return tn_error(in->ctx, in->loc, TN_E_ATTR, "attribute '%s' of '%s' is no element type", def->name, op->name);
    default:
      return true;
  }
}

static bool fill_default(tn_infer *in, const tn_opdef *op, const tn_attr_def *def, tn_attr *attr) {
  if (def->required)
    return tn_error(in->ctx, in->loc, TN_E_ATTR, "'%s' needs attribute '%s'", op->name, def->name);
  if (def->no_default) return true;
  attr->present = true;
  if (def->kind == TN_ATTR_FLOAT) attr->u.f = def->default_f;
  else if (def->kind == TN_ATTR_STRING) attr->u.s = "";
  else if (def->kind >= TN_ATTR_INTS) memset(&attr->u, 0, sizeof(attr->u)); /* an empty list */
  else attr->u.i = def->default_i;
  return true;
}

/* Checks the attributes; fills in defaults. */
static bool check_attrs(tn_infer *in, const tn_opdef *op, tn_attr *attrs) {
  bool ok = true;
  for (uint32_t i = 0; i < op->n_attrs; i++) {
    const tn_attr_def *def = &op->attrs[i];
    if (attrs[i].present) ok = check_attr(in, op, def, &attrs[i]) && ok;
    else ok = fill_default(in, op, def, &attrs[i]) && ok;
  }
  return ok;
}

static tn_dtype elementwise_dtype(const tn_infer *in, const tn_opdef *op) {
  static const bool gives_bool[TN_N_SCALARS] = {
#define SAME false
#define BOOL true
#define X(enumerator, name, arity, from, to) [enumerator] = to,
#include "ir/scalar.def"
#undef X
#undef SAME
#undef BOOL
  };
  if (op->kind == TN_OP_SCALAR) {
    if (op->scalar == TN_CAST) return (tn_dtype)in->attrs[tn_op_attr_index(op, "dtype")].u.i;
    if (op->scalar == TN_SELECT) return in->operands[1]->type->dtype;
    if (gives_bool[op->scalar]) return TN_BOOL;
  }
  return in->operands[0]->type->dtype;
}

/* Result: dims of operand 0, which all others must have. */
static bool infer_elementwise(tn_infer *in, const tn_opdef *op) {
  const tn_type *first = in->n_operands > 0 && in->operands[0] ? in->operands[0]->type : NULL;
  if (!first) return tn_error(in->ctx, in->loc, TN_E_ARITY, "'%s' needs operand 0", op->name);
  bool ok = true;
  for (uint32_t i = 1; i < in->n_operands; i++) {
    if (!in->operands[i]) continue;
    const tn_type *type = in->operands[i]->type;
    if (type->ndim != first->ndim) {
      ok = tn_error(in->ctx, in->loc, TN_E_RANK, "operand '%s' of '%s': expected rank %u, found %u",
                    operand_def(op, i)->name, op->name, first->ndim, type->ndim);
      continue;
    }
    for (uint32_t axis = 0; axis < type->ndim; axis++)
      ok = tn_func_require_eq(in->func, type->dims[axis], first->dims[axis], in->loc, "operand '%s' of '%s', axis %u",
                              operand_def(op, i)->name, op->name, axis) && ok;
  }
  if (!ok) return false;
  in->types[0] = tn_type_tensor(in->ctx, elementwise_dtype(in, op), first->ndim, first->dims);
  in->n_results = 1;
  return true;
}

bool tn_node_infer_types(const tn_node *node, const tn_type **out_types, uint32_t *out_n) {
  tn_func *func = node->block->func;
  const tn_opdef *op = node->op;
  tn_value *few[STACK_OPERANDS];
  tn_value **operands =
      node->n_operands <= STACK_OPERANDS ? few : TN_NEW_N(func->module->arena, tn_value *, node->n_operands);
  for (uint32_t i = 0; i < node->n_operands; i++) operands[i] = node->operands[i].value;
  tn_infer in = {.ctx = func->module->ctx, .func = func, .node = node, .operands = operands,
                 .n_operands = node->n_operands, .attrs = node->attrs, .loc = node->loc, .types = out_types,
                 .n_results = op->n_results};
  tn_loc_push(in.ctx, node->loc); /* where overflowing dim arithmetic is reported */
  size_t n_errors = tn_diag_n_errors(in.ctx);
  bool ok = check_counts(&in, op) && check_dtypes(&in, op);
  ok = check_attrs(&in, op, node->attrs) && ok;
  tn_block *around = tn_func_enter(func, node->block);
  ok = ok && (op->infer ? op->infer(&in) : infer_elementwise(&in, op));
  tn_func_leave(func, around);
  tn_loc_pop(in.ctx);
  *out_n = in.n_results;
  return ok && tn_diag_n_errors(in.ctx) == n_errors;
}

bool tn_node_infer(tn_node *node) {
  const tn_type *types[TN_MAX_RESULTS];
  uint32_t n = 0;
  if (!tn_node_infer_types(node, types, &n)) return false;
  if (!tn_node_set_result_types(node, types, n)) return false;
  for (uint32_t i = 0; i < node->n_results; i++) {
    node->results[i]->index = NULL;
    node->results[i]->n_index = 0;
  }
  if (node->op->index) {
    tn_ctx *ctx = node->block->func->module->ctx;
    tn_loc_push(ctx, node->loc);
    node->op->index(ctx, node);
    tn_loc_pop(ctx);
  }
  return true;
}

bool tn_block_infer(tn_block *block) {
  bool ok = true;
  for (tn_node *node = block->first; node; node = node->next) {
    if (node->op->kind == TN_OP_TERMINATOR) continue;
    for (uint32_t i = 0; i < node->n_regions; i++) ok &= tn_block_infer(tn_node_region(node, i));
    ok &= tn_node_infer(node);
  }
  return ok;
}
