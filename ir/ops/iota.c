/* iota: the index along an axis. */
#include "ir/ops/export.h"
#include "ir/ops/onnx.h"

enum { DIMS, AXIS, DTYPE };

static bool infer_iota(tn_infer *infer) {
  const tn_attr *dims = &infer->attrs[DIMS];
  tn_dtype dtype = (tn_dtype)infer->attrs[DTYPE].u.i;
  bool ok = tn_infer_axis(infer, "axis", infer->attrs[AXIS].u.i, dims->u.list.n);
  if ((TN_SET_NUMBER & TN_DTYPE_BIT(dtype)) == 0)
    ok = tn_infer_error(infer, TN_E_DTYPE, "dtype: %s cannot hold an index", tn_dtype_name(dtype));
  for (uint32_t i = 0; i < dims->u.list.n; i++) ok = tn_infer_extent(infer, "an extent", dims->u.list.dims[i]) && ok;
  return ok && tn_infer_result(infer, 0, dtype, dims->u.list.n, dims->u.list.dims);
}

static void iota_index(tn_ctx *ctx, tn_node *node) {
  const tn_type *type = node->results[0]->type;
  const tn_dim *out[TN_MAX_INDEX];
  int64_t n = tn_type_static_count(type);
  if (type->ndim != 1 || n < 0 || n > TN_MAX_INDEX || !tn_dtype_is_integer(type->dtype)) return;
  for (int64_t i = 0; i < n; i++) out[i] = tn_dim_const(ctx, i);
  tn_index_set(node, out, (uint32_t)n);
}

static bool eval_iota(tn_eval *eval, const tn_node *node) {
  tn_tensor *out = tn_eval_result(eval, node, 0);
  if (out == NULL) return false;
  int64_t index[TN_MAX_NDIM] = {0};
  for (int64_t k = 0; k < out->count; k++) {
    tn_number i = {.i = index[node->attrs[AXIS].u.i]};
    out->data[k] = tn_number_cast(TN_I64, out->dtype, i);
    tn_index_next(index, out->extents, out->ndim);
  }
  return true;
}

static bool export_iota(tn_export *x, const tn_node *node) {
  const tn_type *type = node->results[0]->type;
  int64_t axis = node->attrs[AXIS].u.i, behind[TN_MAX_NDIM];
  uint32_t n = type->ndim - 1 - (uint32_t)axis;
  const char *result = tn_export_result(x, node, 0), *extent = tn_export_extent(x, type->dims[axis]);
  const char *shape = type->ndim > 1 ? tn_export_dims(x, type->dims, type->ndim) : "";
  if (!extent || !shape) return false;
  bool is_i64 = type->dtype == TN_I64, is_done = type->ndim == 1;
  const char *name = tn_export_emit(x, "Range", 0, TN_NAMES(tn_export_int(x, 0), extent, tn_export_int(x, 1)),
                                    TN_NO_FOREIGN, is_i64 && is_done ? result : NULL);
  if (!is_i64) name = tn_export_cast(x, name, type->dtype, is_done ? result : NULL);
  if (is_done) return true;
  for (uint32_t i = 0; i < n; i++) behind[i] = i + 1;
  if (n > 0) name = tn_export_unsqueeze(x, name, behind, n, NULL);
  tn_export_binary(x, "Expand", name, shape, result);
  return true;
}

static const tn_attr_def attrs[] = {{.name = "dims", .kind = TN_ATTR_DIMS, .required = true},
                                    {.name = "axis", .kind = TN_ATTR_INT, .required = true},
                                    {.name = "dtype", .kind = TN_ATTR_DTYPE, .default_i = TN_I64}};
static const tn_onnx_row onnx[] = {
    {"", "OneHot", 9, 0, tn_import_one_hot},
    {"", "Trilu", 14, 0, tn_import_trilu},
    {"", "Range", 11, 0, tn_import_range},
    {"", "EyeLike", 9, 0, tn_import_eye_like},
    {"", "HannWindow", 17, 0, tn_import_window_function},
    {"", "HammingWindow", 17, 0, tn_import_window_function},
    {"", "RandomUniform", 1, 0, tn_import_random},
    {"", "RandomUniformLike", 1, 0, tn_import_random},
    {"", "RandomNormal", 1, 0, tn_import_random},
    {"", "RandomNormalLike", 1, 0, tn_import_random},
    {"", "Bernoulli", 15, 0, tn_import_bernoulli},
    {"", "Multinomial", 7, 0, tn_import_multinomial},
    {"", "MelWeightMatrix", 17, 0, tn_import_mel_weight_matrix},
    {"", "BlackmanWindow", 17, 0, tn_import_window_function},
};
static const tn_op_sample samples[] = {
    {TN_NO_TYPES, "{dims=[2,3], axis=1, dtype=i32}", 0, 0, "i32[2,3]"},
    {TN_NO_TYPES, "{dims=[5], axis=0}", 0, 0, "i64[5]"},
    {TN_NO_TYPES, "{dims=[0,3], axis=0, dtype=f32}", 0, 0, "f32[0,3]"},
    {TN_NO_TYPES, "{dims=[2], axis=1}", 0, 0, NULL},
    {TN_NO_TYPES, "{dims=[2], axis=0, dtype=bool}", 0, 0, NULL},
};

const tn_opdef tn_op_iota = {
    .name = "iota",
    .kind = TN_OP_PRIMITIVE,
    .doc = "The index along axis, as dtype.",
    .n_results = 1,
    TN_ATTRS(attrs),
    .infer = infer_iota,
    .index = iota_index,
    .eval = eval_iota,
    TN_ONNX(onnx),
    .export = export_iota,
    TN_SAMPLES(samples),
};
