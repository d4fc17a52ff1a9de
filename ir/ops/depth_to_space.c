/* depth_to_space: blocks of channels become squares of pixels (ONNX DepthToSpace). */
#include "ir/ops/indexing.h"

enum { BLOCK, MODE };

static const char *const modes[] = {"DCR", "CRD", NULL};

static bool infer_depth_to_space(tn_infer *infer) {
  const tn_type *x = infer->operands[0]->type;
  const tn_dim *depth, *square = tn_dim_const(infer->ctx, infer->attrs[BLOCK].u.i * infer->attrs[BLOCK].u.i);
  if (!tn_infer_rank(infer, 0, 4)) return false;
  if (!tn_dim_divide_exact(infer->ctx, x->dims[1], square, &depth))
    return tn_infer_error(infer, TN_E_SHAPE, "channels must be a multiple of blocksize squared, found %s",
                          tn_infer_operand(infer, 0));
  const tn_dim *dims[] = {x->dims[0], depth, tn_dim_mul_i(infer->ctx, x->dims[2], infer->attrs[BLOCK].u.i),
                          tn_dim_mul_i(infer->ctx, x->dims[3], infer->attrs[BLOCK].u.i)};
  return tn_infer_result(infer, 0, x->dtype, 4, dims);
}

static bool expand_depth_to_space(tn_build *b, const tn_node *node, tn_value *const *operands, tn_value **out) {
  static const int64_t dcr_perm[] = {0, 3, 4, 1, 5, 2}, crd_perm[] = {0, 1, 4, 2, 5, 3};
  const tn_type *x = operands[0]->type, *y = node->results[0]->type;
  const tn_dim *block = tn_dim_const(b->ctx, node->attrs[BLOCK].u.i);
  const tn_dim *dcr[] = {x->dims[0], block, block, y->dims[1], x->dims[2], x->dims[3]};
  const tn_dim *crd[] = {x->dims[0], y->dims[1], block, block, x->dims[2], x->dims[3]};
  bool is_crd = node->attrs[MODE].u.i == 1;
  tn_value *v = tn_build_reshape(b, operands[0], is_crd ? crd : dcr, 6);
  v = tn_build_transpose(b, v, is_crd ? crd_perm : dcr_perm);
  out[0] = tn_build_reshape(b, v, y->dims, 4);
  return out[0] != NULL;
}

static const tn_operand_def operands[] = {{"x", TN_ONE, TN_SET_ANY, TN_ROLE_DATA, NULL, 0}};
static const tn_attr_def attrs[] = {
    {.name = "blocksize", .kind = TN_ATTR_INT, .required = true, .min_i = 1, .max_i = 1 << 20},
    {.name = "mode", .kind = TN_ATTR_NAME, .names = modes}};
static const tn_onnx_row onnx[] = {{"", "DepthToSpace", 1, 0, NULL}};
static const tn_op_sample samples[] = {
    {TN_TYPES("f32[1,8,2,3]"), "{blocksize=2}", 0, 0, "f32[1,2,4,6]"},
    {TN_TYPES("i8[B,9,1,H]"), "{blocksize=3, mode=CRD}", 0, 0, "i8[B,1,3,3*H]"},
    {TN_TYPES("f32[1,6,2,3]"), "{blocksize=2}", 0, 0, NULL},
    {TN_TYPES("f32[8,2,3]"), "{blocksize=2}", 0, 0, NULL},
};

const tn_opdef tn_op_depth_to_space = {
    .name = "depth_to_space",
    .kind = TN_OP_COMPOSITE,
    .doc = "x[N,C,H,W] to [N, C/b^2, H*b, W*b]; channels are read as (block row, block column, depth) with DCR and as "
           "(depth, block row, block column) with CRD.",
    TN_OPERANDS(operands),
    .n_results = 1,
    TN_ATTRS(attrs),
    .traits = TN_TRAIT_SHAPE_ONLY,
    .infer = infer_depth_to_space,
    .expand = expand_depth_to_space,
    TN_ONNX(onnx),
    TN_SAMPLES(samples),
};
