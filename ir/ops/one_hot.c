/* one_hot: a new axis that is `on` at the place an index names (ONNX OneHot). */
#include "ir/ops/indexing.h"

extern const tn_opdef tn_op_one_hot;

enum { AXIS, DEPTH };

static bool infer_one_hot(tn_infer *infer) {
  const tn_type *index = infer->operands[0]->type;
  const tn_attr *depth = &infer->attrs[DEPTH];
  const tn_dim *dims[TN_MAX_NDIM + 1];
  uint32_t axis = (uint32_t)infer->attrs[AXIS].u.i, n = 0;
  if (!tn_infer_axis(infer, "axis", axis, index->ndim + 1) || !tn_infer_length(infer, "depth", depth, 1) ||
      !tn_infer_rank(infer, 1, 0) || !tn_infer_rank(infer, 2, 0) ||
      !tn_infer_extent(infer, "depth", depth->u.list.dims[0]))
    return false;
  for (uint32_t i = 0; i <= index->ndim; i++) dims[i] = i == axis ? depth->u.list.dims[0] : index->dims[n++];
  return tn_infer_result(infer, 0, infer->operands[1]->type->dtype, index->ndim + 1, dims);
}

static bool expand_one_hot(tn_build *b, const tn_node *node, tn_value *const *operands, tn_value **out) {
  const tn_type *type = node->results[0]->type;
  uint32_t axis = (uint32_t)node->attrs[AXIS].u.i;
  int64_t map[TN_MAX_NDIM];
  tn_value *index = tn_build_from_end(b, operands[0], node->attrs[DEPTH].u.list.dims[0]);
  for (uint32_t i = 0; i + 1 < type->ndim; i++) map[i] = i < axis ? i : i + 1;
  index = tn_build_broadcast_map(b, index, type->dims, type->ndim, map);
  tn_value *place = tn_build_iota(b, type->dims, type->ndim, axis, TN_I64);
  out[0] = tn_build_select(b, tn_build_binary(b, TN_EQ, index, place),
                           tn_build_spread(b, operands[1], type->dims, type->ndim),
                           tn_build_spread(b, operands[2], type->dims, type->ndim));
  return out[0] != NULL;
}

static bool import_one_hot(tn_foreign_node *node) {
  tn_build *b = node->build;
  tn_value *index = tn_foreign_need(node, 0), *depth = tn_foreign_need(node, 1), *values = tn_foreign_need(node, 2);
  const tn_dim *dim;
  int64_t axis;
  uint32_t at, n;
  if (index == NULL || depth == NULL || values == NULL || !tn_foreign_int(node, "axis", -1, &axis) ||
      !tn_build_axis(b, axis, index->type->ndim + 1, "axis", &at))
    return false;
  depth = tn_build_reshape(b, depth, NULL, 0);
  if (!tn_build_read_dims(b, tn_build_cast(b, depth, TN_I64), 0, INT32_MAX, &dim, &n)) return false;
  if (values->type->ndim != 1) return tn_foreign_error(node, TN_E_RANK, "values: expected [off, on]");
  tn_value *operands[3] = {index};
  for (int i = 0; i < 2; i++) {
    tn_value *one = tn_build_slice_axis(b, values, 0, tn_dim_const(b->ctx, i), tn_dim_const(b->ctx, 1), 1);
    operands[2 - i] = tn_build_reshape(b, one, NULL, 0);
  }
  tn_attr attrs[] = {tn_attr_int(at), tn_attr_dims(b->module, &dim, 1)};
  return tn_foreign_build(node, &tn_op_one_hot, operands, 3, attrs);
}

static const tn_operand_def operands[] = {{"index", TN_ONE, TN_SET_NUMBER, TN_ROLE_INDEX, NULL, 0},
                                          {"on", TN_ONE, TN_SET_ANY, TN_ROLE_DATA, NULL, 0},
                                          {"off", TN_ONE, TN_SET_ANY, TN_ROLE_DATA, "on", 0}};
static const tn_attr_def attrs[] = {{.name = "axis", .kind = TN_ATTR_INT, .required = true},
                                    {.name = "depth", .kind = TN_ATTR_DIMS, .required = true}};
static const tn_onnx_row onnx[] = {{"", "OneHot", 9, 0, import_one_hot}};
static const tn_op_sample samples[] = {
    {TN_TYPES("i64[3]", "f32[]", "f32[]"), "{axis=1, depth=[4]}", 0, 3, "f32[3,4]"},
    {TN_TYPES("i32[B,2]", "i8[]", "i8[]"), "{axis=0, depth=[5]}", 0, 4, "i8[5,B,2]"},
    {TN_TYPES("i64[]", "bool[]", "bool[]"), "{axis=0, depth=[0]}", 0, 0, "bool[0]"},
    {TN_TYPES("i64[3]", "f32[]", "f32[]"), "{axis=2, depth=[4]}", 0, 0, NULL},
    {TN_TYPES("i64[3]", "f32[]", "i32[]"), "{axis=1, depth=[4]}", 0, 0, NULL},
};

const tn_opdef tn_op_one_hot = {
    .name = "one_hot",
    .kind = TN_OP_COMPOSITE,
    .doc = "A new axis of extent depth at `axis`: `on` where its position equals index (negative ones count from the end), "
           "`off` elsewhere; indices out of range are off everywhere.",
    TN_OPERANDS(operands),
    .n_results = 1,
    TN_ATTRS(attrs),
    .infer = infer_one_hot,
    .expand = expand_one_hot,
    TN_ONNX(onnx),
    TN_SAMPLES(samples),
};
