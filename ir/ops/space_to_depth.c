/* space_to_depth: squares of pixels become blocks of channels (ONNX SpaceToDepth). */
#include "ir/ops/indexing.h"

enum { BLOCK, MODE };

static const char *const modes[] = {"DCR", "CRD", NULL};

static bool infer_space_to_depth(tn_infer *infer) {
  const tn_type *x = infer->operands[0]->type;
  const tn_dim *block = tn_dim_const(infer->ctx, infer->attrs[BLOCK].u.i), *dims[4];
  if (!tn_infer_rank(infer, 0, 4)) return false;
  bool ok = true;
  dims[0] = x->dims[0];
  dims[1] = tn_dim_mul(infer->ctx, tn_dim_mul(infer->ctx, x->dims[1], block), block);
  for (uint32_t i = 2; i < 4; i++) {
    dims[i] = tn_dim_floordiv(infer->ctx, x->dims[i], block);
    ok = tn_func_require_eq(infer->func, tn_dim_mul(infer->ctx, dims[i], block), x->dims[i], infer->loc,
                            "'space_to_depth': axis %u is a multiple of blocksize", i) && ok;
  }
  return ok && tn_infer_result(infer, 0, x->dtype, 4, dims);
}

static bool expand_space_to_depth(tn_build *b, const tn_node *node, tn_value *const *operands, tn_value **out) {
  const tn_type *x = operands[0]->type, *y = node->results[0]->type;
  const tn_dim *block = tn_dim_const(b->ctx, node->attrs[BLOCK].u.i);
  const tn_dim *dims[] = {x->dims[0], x->dims[1], y->dims[2], block, y->dims[3], block};
  static const int64_t dcr_perm[] = {0, 3, 5, 1, 2, 4}, crd_perm[] = {0, 1, 3, 5, 2, 4};
  tn_value *v = tn_build_reshape(b, operands[0], dims, 6);
  v = tn_build_transpose(b, v, node->attrs[MODE].u.i == 1 ? crd_perm : dcr_perm);
  out[0] = tn_build_reshape(b, v, y->dims, 4);
  return out[0] != NULL;
}

static const tn_operand_def operands[] = {{"x", TN_ONE, TN_SET_ANY, TN_ROLE_DATA, NULL, 0}};
static const tn_attr_def attrs[] = {
    {.name = "blocksize", .kind = TN_ATTR_INT, .required = true, .min_i = 1, .max_i = 1 << 20},
    {.name = "mode", .kind = TN_ATTR_NAME, .names = modes}};
static const tn_onnx_row onnx[] = {{"", "SpaceToDepth", 1, 0, NULL}};
static const tn_op_sample samples[] = {
    {TN_TYPES("f32[1,2,4,6]"), "{blocksize=2}", 0, 0, "f32[1,8,2,3]"},
    {TN_TYPES("i8[B,1,3,3]"), "{blocksize=3}", 0, 0, "i8[B,9,1,1]"},
    {TN_TYPES("f32[1,2,4,5]"), "{blocksize=2}", 0, 0, NULL},
};

const tn_opdef tn_op_space_to_depth = {
    .name = "space_to_depth",
    .kind = TN_OP_COMPOSITE,
    .doc = "x[N,C,H,W] to [N, C*b^2, H/b, W/b]; the new channels run over (block row, block column, channel) with DCR"
           " and over (channel, block row, block column) with CRD.",
    TN_OPERANDS(operands),
    .n_results = 1,
    TN_ATTRS(attrs),
    .traits = TN_TRAIT_SHAPE_ONLY,
    .infer = infer_space_to_depth,
    .expand = expand_space_to_depth,
    TN_ONNX(onnx),
    TN_SAMPLES(samples),
};
