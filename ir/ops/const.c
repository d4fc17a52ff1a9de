/* const: a constant of the module as a value. */
#include "ir/ops/ops.h"

enum { BLOB };

static bool infer_const(tn_infer *infer) {
  infer->types[0] = infer->attrs[BLOB].u.constant->type;
  return true;
}

static void const_index(tn_ctx *ctx, tn_node *node) {
  const tn_const *constant = node->attrs[BLOB].u.constant;
  const tn_type *type = constant->type;
  int64_t n = tn_type_static_count(type);
  const tn_dim *out[TN_MAX_INDEX];
  if (type->ndim > 1 || n < 0 || n > TN_MAX_INDEX || !(tn_dtype_is_integer(type->dtype) || type->dtype == TN_BOOL))
    return;
  tn_arena *scratch = tn_arena_create_scratch(ctx->arena);
  const char *bytes = tn_const_read(constant, scratch);
  bool fits = true;
  for (int64_t i = 0; i < n; i++) {
    tn_number v = tn_number_load(type->dtype, bytes + (size_t)i * tn_dtype_bytes(type->dtype));
    fits = fits && (type->dtype != TN_U64 || v.i >= 0);
    out[i] = tn_dim_const(ctx, v.i);
  }
  tn_arena_destroy(scratch);
  if (fits) tn_index_set(node, out, (uint32_t)n);
}

static bool eval_const(tn_eval *eval, const tn_node *node) {
  tn_tensor *out = tn_eval_result(eval, node, 0);
  if (out == NULL) return false;
  tn_arena *scratch = tn_arena_create_scratch(eval->arena);
  const tn_tensor *from = tn_tensor_of_const(scratch, node->attrs[BLOB].u.constant);
  for (int64_t k = 0; k < out->count; k++) out->data[k] = from->data[k];
  tn_arena_destroy(scratch);
  return true;
}

static const tn_attr_def attrs[] = {{.name = "blob", .kind = TN_ATTR_CONST, .required = true}};

const tn_opdef tn_op_const = {
    .name = "const",
    .kind = TN_OP_PRIMITIVE,
    .doc = "A constant of the module; printed as @name.",
    .n_results = 1,
    TN_ATTRS(attrs),
    .infer = infer_const,
    .index = const_index,
    .eval = eval_const,
};
