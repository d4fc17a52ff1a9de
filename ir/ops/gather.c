/* gather: y[I, R] = x[i1[I] .. ik[I] on axes; R on the others in order]. */
#include "ir/gradient.h"
#include "ir/ops/export.h"
#include "ir/ops/onnx.h"

enum { AXES };

static bool infer_gather(tn_infer *infer) {
  const tn_type *x = infer->operands[0]->type, *first = infer->operands[1]->type;
  const tn_attr *axes = &infer->attrs[AXES];
  bool ok = tn_infer_length(infer, "axes", axes, infer->n_operands - 1);
  ok = tn_infer_axes(infer, "axes", axes, x->ndim) && ok;
  for (uint32_t k = 2; k < infer->n_operands; k++) {
    const tn_type *type = infer->operands[k]->type;
    if (!tn_infer_rank(infer, k, first->ndim)) return false;
    for (uint32_t i = 0; i < first->ndim; i++)
      ok = tn_func_require_eq(infer->func, type->dims[i], first->dims[i], infer->loc, "'gather': index %u, axis %u",
                              k - 1, i) && ok;
  }
  if (!ok) return false;
  const tn_dim *dims[2 * TN_MAX_NDIM];
  uint32_t n = 0;
  for (uint32_t i = 0; i < first->ndim; i++) dims[n++] = first->dims[i];
  for (uint32_t i = 0; i < x->ndim; i++)
    if (!tn_ints_have(axes, i)) dims[n++] = x->dims[i];
  return tn_infer_result(infer, 0, x->dtype, n, dims);
}

static void gather_index(tn_ctx *ctx, tn_node *node) {
  (void)ctx;
  const tn_dim *const *index = tn_index_of(node, 0), *const *at = tn_index_of(node, 1);
  const tn_dim *out[TN_MAX_INDEX];
  if (index == NULL || at == NULL || node->n_operands != 2 || node->operands[0].value->type->ndim != 1) return;
  uint32_t n = node->operands[1].value->n_index;
  for (uint32_t i = 0; i < n; i++) {
    if (!tn_dim_is_const(at[i])) return;
    int64_t from = tn_dim_value(at[i]);
    if (from < 0 || from >= (int64_t)node->operands[0].value->n_index) return;
    out[i] = index[from];
  }
  tn_index_set(node, out, n);
}

/* Position of the indices' element k in x, clamped, as a flat offset; counts what was outside. */
static int64_t offset_of(const tn_tensor *x, const tn_tensor *const *indices, const tn_attr *axes,
                         const int64_t *strides, int64_t k, bool *out_empty) {
  int64_t offset = 0;
  *out_empty = false;
  for (uint32_t i = 0; i < axes->u.list.n; i++) {
    int64_t axis = axes->u.list.ints[i], extent = x->extents[axis], v = indices[i]->data[k].i;
    if (extent == 0) *out_empty = true;
    offset += (v < 0 ? 0 : v >= extent ? extent - 1 : v) * strides[axis];
  }
  return offset;
}

static bool eval_gather(tn_eval *eval, const tn_node *node) {
  const tn_tensor *x = tn_eval_operand(eval, node, 0);
  const tn_attr *axes = &node->attrs[AXES];
  const tn_tensor *indices[TN_MAX_NDIM];
  for (uint32_t i = 0; i < axes->u.list.n; i++) indices[i] = tn_eval_operand(eval, node, i + 1);
  tn_tensor *out = tn_eval_result(eval, node, 0);
  if (out == NULL) return false;
  int64_t strides[TN_MAX_NDIM], rest_extents[TN_MAX_NDIM], rest_strides[TN_MAX_NDIM];
  tn_tensor_strides(x, strides);
  uint32_t n_rest = 0;
  for (uint32_t i = 0; i < x->ndim; i++)
    if (!tn_ints_have(axes, i)) {
      rest_extents[n_rest] = x->extents[i];
      rest_strides[n_rest++] = strides[i];
    }
  int64_t rest = tn_tensor_count_of(n_rest, rest_extents), at = 0;
  for (int64_t k = 0; rest > 0 && k < indices[0]->count; k++) {
    bool empty;
    int64_t base = offset_of(x, indices, axes, strides, k, &empty), index[TN_MAX_NDIM] = {0};
    for (int64_t r = 0; r < rest; r++, at++) {
      int64_t offset = base;
      for (uint32_t i = 0; i < n_rest; i++) offset += index[i] * rest_strides[i];
      if (!empty) out->data[at] = x->data[offset];
      tn_index_next(index, rest_extents, n_rest);
    }
  }
  return true;
}

/* One known position of one axis is a slice: zeros around it. NULL when it is none. */
static tn_value *within_zeros(tn_vjp *v) {
  tn_build *b = v->build;
  const tn_value *index = v->operands[1];
  const tn_type *x = v->operands[0]->type;
  if (v->node->n_operands != 2 || index->type->ndim != 0 || index->index == NULL) return NULL;
  uint32_t axis = (uint32_t)v->node->attrs[AXES].u.list.ints[0];
  if (!tn_dim_is_const(index->index[0]) || !tn_dim_is_const(x->dims[axis])) return NULL;
  int64_t at = tn_dim_value(index->index[0]), extent = tn_dim_value(x->dims[axis]);
  if (at < 0 || at >= extent) return NULL;
  const tn_dim *lo[TN_MAX_NDIM], *hi[TN_MAX_NDIM];
  for (uint32_t i = 0; i < x->ndim; i++) {
    lo[i] = tn_dim_const(b->ctx, i == axis ? at : 0);
    hi[i] = tn_dim_const(b->ctx, i == axis ? extent - 1 - at : 0);
  }
  return tn_build_pad(b, tn_build_insert_axis(b, v->dy[0], axis), tn_build_splat_f(b, x->dtype, 0), lo, hi);
}

/* What was read at several places is summed there. */
static bool vjp_gather(tn_vjp *v) {
  tn_build *b = v->build;
  if ((v->dx[0] = within_zeros(v)) != NULL) return true;
  const tn_opdef *op = tn_op_find("scatter");
  uint32_t n = v->node->n_operands;
  tn_value *in[TN_MAX_NDIM + 2] = {tn_build_fill_like(b, v->operands[0], 0), v->dy[0]};
  for (uint32_t i = 1; i < n; i++) in[i + 1] = v->operands[i];
  tn_attr attrs[3] = {v->node->attrs[AXES], tn_attr_name(op, "mode", "add"), tn_attr_bool(false)};
  return (v->dx[0] = tn_build_op(b, op, in, n + 1, attrs)) != NULL;
}

const char *tn_export_index_list(tn_export *x, const tn_node *node, uint32_t first) {
  const char *parts[TN_MAX_NDIM];
  uint32_t n = node->n_operands - first;
  int64_t last = node->operands[first].value->type->ndim;
  for (uint32_t i = 0; i < n; i++) {
    const char *name = tn_export_operand(x, node, first + i);
    if (node->operands[first + i].value->type->dtype != TN_I64) name = tn_export_cast(x, name, TN_I64, NULL);
    parts[i] = tn_export_unsqueeze(x, name, &last, 1, NULL);
  }
  return n == 1 ? parts[0]
                : tn_export_emit(x, "Concat", 0, parts, n, TN_FOREIGN(tn_foreign_of_int("axis", last)), NULL);
}

bool tn_export_axes_first(const tn_attr *axes, uint32_t ndim, int64_t *out_perm) {
  uint32_t n = 0;
  bool is_identity = true;
  for (uint32_t i = 0; i < axes->u.list.n; i++) out_perm[n++] = axes->u.list.ints[i];
  for (uint32_t i = 0; i < ndim; i++)
    if (!tn_ints_have(axes, i)) out_perm[n++] = i;
  for (uint32_t i = 0; i < ndim; i++) is_identity = is_identity && out_perm[i] == (int64_t)i;
  return is_identity;
}

/* One axis: Gather, and the index' axes brought in front; several: GatherND. */
static bool export_gather(tn_export *x, const tn_node *node) {
  const tn_attr *axes = &node->attrs[AXES];
  uint32_t ndim = node->operands[0].value->type->ndim, n_index = node->operands[1].value->type->ndim;
  const char *name = tn_export_operand(x, node, 0), *result = tn_export_result(x, node, 0);
  int64_t perm[2 * TN_MAX_NDIM];
  if (axes->u.list.n == 1) {
    int64_t axis = axes->u.list.ints[0];
    bool in_place = axis == 0 || n_index == 0;
    name = tn_export_emit(x, "Gather", 0, TN_NAMES(name, tn_export_operand(x, node, 1)),
                          TN_FOREIGN(tn_foreign_of_int("axis", axis)), in_place ? result : NULL);
    if (in_place) return true;
    for (uint32_t i = 0; i < ndim - 1 + n_index; i++)
      perm[i] = i < n_index ? axis + i : (int64_t)(i - n_index) < axis ? (int64_t)(i - n_index) : (int64_t)i;
    tn_export_transpose(x, name, perm, ndim - 1 + n_index, result);
    return true;
  }
  if (!tn_export_axes_first(axes, ndim, perm)) name = tn_export_transpose(x, name, perm, ndim, NULL);
  tn_export_binary(x, "GatherND", name, tn_export_index_list(x, node, 1), result);
  return true;
}

static const tn_operand_def operands[] = {{"x", TN_ONE, TN_SET_ANY, TN_ROLE_DATA, NULL, 0},
                                          {"index", TN_VARIADIC, TN_SET_INDEX, TN_ROLE_INDEX, NULL, 1}};
static const tn_attr_def attrs[] = {{.name = "axes", .kind = TN_ATTR_INTS, .required = true}};
static const tn_onnx_row onnx[] = {
    {"", "Gather", 1, 0, tn_import_gather},
    {"", "DeformConv", 19, 0, tn_import_deform_conv},
    {"", "RoiAlign", 10, 0, tn_import_roi_align},
    {"ai.onnx.ml", "ArrayFeatureExtractor", 1, 0, tn_import_array_feature_extractor},
    {"ai.onnx.ml", "LabelEncoder", 2, 0, tn_import_label_encoder},
    {"ai.onnx.ml", "TreeEnsemble", 5, 0, tn_import_tree_ensemble},
    {"ai.onnx.ml", "Scaler", 1, 0, tn_import_scaler},
    {"ai.onnx.ml", "Imputer", 1, 0, tn_import_imputer},
    {"", "GatherElements", 11, 0, tn_import_gather_elements},
    {"", "GatherND", 11, 0, tn_import_gather_nd},
    {"", "ReverseSequence", 10, 0, tn_import_reverse_sequence},
};
static const tn_op_sample samples[] = {
    {TN_TYPES("f32[5,3]", "i64[2,4]"), "{axes=[0]}", 0, 0, "f32[2,4,3]"},
    {TN_TYPES("f32[2,5,3]", "i32[B]", "i32[B]"), "{axes=[0,2]}", 0, 0, "f32[B,5]"},
    {TN_TYPES("i8[4]", "i64[]"), "{axes=[0]}", 0, 0, "i8[]"},
    {TN_TYPES("f32[3,0]", "i64[2]"), "{axes=[0]}", 0, 0, "f32[2,0]"},
    {TN_TYPES("f32[3]", "i64[2]"), "{axes=[1]}", 0, 0, NULL},
    {TN_TYPES("f32[3,3]", "i64[2]", "i64[3]"), "{axes=[0,1]}", 0, 0, NULL},
    {TN_TYPES("f32[3]", "i8[2]"), "{axes=[0]}", 0, 0, NULL},
};

const tn_opdef tn_op_gather = {
    .name = "gather",
    .kind = TN_OP_PRIMITIVE,
    .doc = "y[I, R] = x[i1[I] .. ik[I] on axes; R on the others in order]; the indices have equal dims I. An index "
           "outside its extent is clamped; an empty axis reads 0.",
    TN_OPERANDS(operands),
    .n_results = 1,
    TN_ATTRS(attrs),
    .infer = infer_gather,
    .index = gather_index,
    .eval = eval_gather,
    .vjp = vjp_gather,
    TN_ONNX(onnx),
    .export = export_gather,
    TN_SAMPLES(samples),
};
