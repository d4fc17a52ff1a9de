/* dim_read: the elements of an integer tensor become symbols of extents. */
#include "ir/ops/export.h"
#include "ir/ops/ops.h"

enum { DIMS };

static const tn_symbol *symbol_of(const tn_dim *dim) {
  if (dim->n_terms != 1 || dim->terms[0].coefficient != 1 || dim->terms[0].n_atoms != 1) return NULL;
  const tn_atom *atom = dim->terms[0].atoms[0];
  return atom->kind == TN_ATOM_SYMBOL ? atom->symbol : NULL;
}

static bool infer_dim_read(tn_infer *infer) {
  const tn_type *type = infer->operands[0]->type;
  const tn_attr *dims = &infer->attrs[DIMS];
  if (type->ndim > 1)
    return tn_infer_error(infer, TN_E_RANK, "expected rank 0 or 1, found %s", tn_infer_operand(infer, 0));
  int64_t n = tn_type_static_count(type);
  bool ok = n == (int64_t)dims->u.list.n ||
            tn_infer_error(infer, TN_E_SHAPE, "%u symbols for %s", dims->u.list.n, tn_infer_operand(infer, 0));
  for (uint32_t i = 0; i < dims->u.list.n; i++) {
    const tn_symbol *symbol = symbol_of(dims->u.list.dims[i]);
    if (symbol == NULL || symbol->kind != TN_SYM_READ)
      ok = tn_infer_error(infer, TN_E_ATTR, "dims: element %u is not a symbol of its own kind", i);
  }
  infer->types[0] = tn_type_with_dtype(infer->ctx, type, TN_I64);
  return ok;
}

static void dim_read_index(tn_ctx *ctx, tn_node *node) {
  (void)ctx;
  tn_index_set(node, node->attrs[DIMS].u.list.dims, node->attrs[DIMS].u.list.n);
}

static bool eval_dim_read(tn_eval *eval, const tn_node *node) {
  const tn_tensor *x = tn_eval_operand(eval, node, 0);
  const tn_attr *dims = &node->attrs[DIMS];
  tn_tensor *out = tn_eval_result(eval, node, 0);
  if (out == NULL) return false;
  for (uint32_t i = 0; i < dims->u.list.n; i++) {
    const tn_symbol *symbol = symbol_of(dims->u.list.dims[i]);
    int64_t v = tn_number_cast(x->dtype, TN_I64, x->data[i]).i;
    if (v < symbol->lo || v > symbol->hi)
      return tn_error(eval->ctx, node->loc, TN_E_SHAPE, "'dim_read': element %u is %lld, outside %lld to %lld", i,
                      (long long)v, (long long)symbol->lo, (long long)symbol->hi);
    int64_t most;
    if (symbol->extent && (!tn_eval_dim(eval, symbol->extent, &most) || v > most))
      return tn_error(eval->ctx, node->loc, TN_E_SHAPE, "'dim_read': element %u is %lld, above its bound", i,
                      (long long)v);
    tn_eval_bind_symbol(eval, symbol, v);
    out->data[i].i = v;
  }
  return true;
}

static bool export_dim_read(tn_export *x, const tn_node *node) {
  const tn_value *from = node->operands[0].value;
  const tn_attr *dims = &node->attrs[DIMS];
  const char *name = tn_export_operand(x, node, 0), *result = tn_export_result(x, node, 0);
  if (from->type->dtype == TN_I64) tn_export_unary(x, "Identity", name, result);
  else tn_export_cast(x, name, TN_I64, result);
  for (uint32_t i = 0; i < dims->u.list.n; i++) {
    int64_t at = i;
    const char *index = tn_export_ints(x, &at, 1);
    tn_export_bind_dim(x, dims->u.list.dims[i],
                       from->type->ndim == 0 ? tn_export_unsqueeze(x, result, &at, 1, NULL)
                                             : tn_export_binary(x, "Gather", result, index, NULL));
  }
  return true;
}

static const tn_operand_def operands[] = {{"i", TN_ONE, TN_SET_INTEGER, TN_ROLE_DATA, NULL, 0}};
static const tn_attr_def attrs[] = {{.name = "dims", .kind = TN_ATTR_DIMS, .required = true}};
static const tn_op_sample samples[] = {
    {TN_TYPES("i64[2]"), "{dims=[1,2]}", 0, 3, NULL},
    {TN_TYPES("i64[2,1]"), "{dims=[]}", 0, 3, NULL},
};

const tn_opdef tn_op_dim_read = {
    .name = "dim_read",
    .kind = TN_OP_PRIMITIVE,
    .doc = "Binds one symbol an element (dims lists them; their ranges are checked); the result is the operand as i64.",
    TN_OPERANDS(operands),
    .n_results = 1,
    TN_ATTRS(attrs),
    .traits = TN_TRAIT_EFFECT,
    .infer = infer_dim_read,
    .index = dim_read_index,
    .eval = eval_dim_read,
    .export = export_dim_read,
    TN_SAMPLES(samples),
};
