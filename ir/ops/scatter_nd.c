/* scatter_nd: x with slices replaced or combined at points given by coordinates (ONNX ScatterND). */
#include "ir/ops/indexing.h"

enum { REDUCTION };

static const char *const reductions[] = {"none", "add", "mul", "min", "max", NULL};
static const char *const modes[] = {"set", "add", "mul", "min", "max"};

static bool infer_scatter_nd(tn_infer *infer) {
  const tn_type *x = infer->operands[0]->type, *index = infer->operands[1]->type, *u = infer->operands[2]->type;
  if (!tn_infer_min_rank(infer, 1, 1)) return false;
  const tn_dim *k = index->dims[index->ndim - 1];
  if (!tn_dim_is_const(k) || tn_dim_value(k) < 1 || tn_dim_value(k) > (int64_t)x->ndim)
    return tn_infer_error(infer, TN_E_SHAPE, "the last axis of index must hold 1 to %u coordinates, found %s", x->ndim,
                          tn_infer_operand(infer, 1));
  uint32_t n_points = index->ndim - 1, rest = x->ndim - (uint32_t)tn_dim_value(k);
  if (!tn_infer_rank(infer, 2, n_points + rest)) return false;
  bool ok = true;
  for (uint32_t i = 0; i < u->ndim; i++) {
    const tn_dim *want = i < n_points ? index->dims[i] : x->dims[x->ndim - rest + (i - n_points)];
    ok = tn_func_require_eq(infer->func, u->dims[i], want, infer->loc, "'scatter_nd': updates, axis %u", i) && ok;
  }
  infer->types[0] = x;
  return ok;
}

static bool expand_scatter_nd(tn_build *b, const tn_node *node, tn_value *const *operands, tn_value **out) {
  tn_value *indices[TN_MAX_NDIM];
  int64_t axes[TN_MAX_NDIM];
  uint32_t n;
  if (!tn_build_nd_index(b, operands[0], operands[1], 0, indices, axes, &n)) return false;
  out[0] = tn_build_scatter(b, operands[0], operands[2], indices, axes, n, modes[node->attrs[REDUCTION].u.i]);
  return out[0] != NULL;
}

static const tn_operand_def operands[] = {{"x", TN_ONE, TN_SET_ANY, TN_ROLE_DATA, NULL, 0},
                                          {"index", TN_ONE, TN_SET_INDEX, TN_ROLE_INDEX, NULL, 0},
                                          {"updates", TN_ONE, TN_SET_ANY, TN_ROLE_DATA, "x", 0}};
static const tn_attr_def attrs[] = {{.name = "reduction", .kind = TN_ATTR_NAME, .names = reductions}};
static const tn_onnx_row onnx[] = {{"", "ScatterND", 11, 0, NULL}};
static const tn_op_sample samples[] = {
    {TN_TYPES("f32[3,4]", "i64[5,2]", "f32[5]"), "{reduction=add}", 0, 0, "f32[3,4]"},
    {TN_TYPES("f32[3,4]", "i64[B,1]", "f32[B,4]"), NULL, 0, 0, "f32[3,4]"},
    {TN_TYPES("i32[3]", "i64[1]", "i32[]"), "{reduction=min}", 0, 0, "i32[3]"},
    {TN_TYPES("f32[3,4]", "i64[5,2]", "f32[5,4]"), NULL, 0, 0, NULL},
    {TN_TYPES("f32[3,4]", "i64[5,3]", "f32[5]"), NULL, 0, 0, NULL},
};

const tn_opdef tn_op_scatter_nd = {
    .name = "scatter_nd",
    .kind = TN_OP_COMPOSITE,
    .doc = "x with updates put (none) or combined in at the points whose coordinates index's last axis holds, in row-major "
           "order of the points; negative coordinates count from the end.",
    TN_OPERANDS(operands),
    .n_results = 1,
    TN_ATTRS(attrs),
    .infer = infer_scatter_nd,
    .expand = expand_scatter_nd,
    TN_ONNX(onnx),
    TN_SAMPLES(samples),
};
