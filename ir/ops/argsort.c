/* argsort: positions along an axis in the order of the elements there, stably; cut to the first `top`. */
#include "ir/ops/compose.h"
#include "ir/ops/export.h"
#include "ir/ops/onnx.h"

#include <math.h>

enum { AXIS, DESCENDING, TOP };

static bool infer_argsort(tn_infer *infer) {
  const tn_type *x = infer->operands[0]->type;
  const tn_attr *top = &infer->attrs[TOP];
  int64_t axis = infer->attrs[AXIS].u.i;
  bool ok = tn_infer_axis(infer, "axis", axis, x->ndim);
  if (top->present) ok = tn_infer_length(infer, "top", top, 1) && ok;
  if (!ok) return false;
  const tn_dim *dims[TN_MAX_NDIM];
  for (uint32_t i = 0; i < x->ndim; i++) dims[i] = x->dims[i];
  if (top->present) {
    dims[axis] = top->u.list.dims[0];
    ok = tn_infer_extent(infer, "top", dims[axis]);
    ok = tn_func_require_le(infer->func, dims[axis], x->dims[axis], infer->loc, "'argsort': top of %s",
                            tn_infer_operand(infer, 0)) && ok;
  }
  return tn_infer_result(infer, 0, TN_I64, x->ndim, dims) && ok;
}

/* NaN is greatest. */
static int compare(tn_dtype dtype, tn_number p, tn_number q) {
  if (tn_dtype_is_float(dtype)) {
    if (isnan(p.f) || isnan(q.f)) return isnan(p.f) - isnan(q.f);
    return (p.f > q.f) - (p.f < q.f);
  }
  if (tn_dtype_is_signed(dtype) || dtype == TN_BOOL) return (p.i > q.i) - (p.i < q.i);
  return (p.u > q.u) - (p.u < q.u);
}

/* Merge sort of positions, which is stable. */
void tn_sort_positions(int64_t *order, int64_t *scratch, int64_t n, const tn_number *key, int64_t stride,
                       tn_dtype dtype, bool descending) {
  for (int64_t i = 0; i < n; i++) order[i] = i;
  for (int64_t width = 1; width < n; width *= 2) {
    for (int64_t lo = 0; lo < n; lo += 2 * width) {
      int64_t mid = lo + width < n ? lo + width : n, hi = mid + width < n ? mid + width : n;
      int64_t p = lo, q = mid;
      for (int64_t at = lo; at < hi; at++) {
        bool right = p >= mid;
        if (!right && q < hi) {
          int c = compare(dtype, key[order[q] * stride], key[order[p] * stride]);
          right = descending ? c > 0 : c < 0;
        }
        scratch[at] = right ? order[q++] : order[p++];
      }
    }
    for (int64_t i = 0; i < n; i++) order[i] = scratch[i];
  }
}

static bool eval_argsort(tn_eval *eval, const tn_node *node) {
  const tn_tensor *x = tn_eval_operand(eval, node, 0);
  tn_tensor *out = tn_eval_result(eval, node, 0);
  if (out == NULL) return false;
  uint32_t axis = (uint32_t)node->attrs[AXIS].u.i;
  int64_t inner = 1, extent = x->extents[axis], top = out->extents[axis];
  for (uint32_t i = axis + 1; i < x->ndim; i++) inner *= x->extents[i];
  if (out->count == 0) return true;
  tn_arena *arena = tn_arena_create_scratch(eval->arena);
  int64_t *order = TN_NEW_N(arena, int64_t, (size_t)extent), *scratch = TN_NEW_N(arena, int64_t, (size_t)extent);
  for (int64_t row = 0; row < x->count / extent; row++) {
    int64_t base = row / inner * inner * extent + row % inner, to = row / inner * inner * top + row % inner;
    tn_sort_positions(order, scratch, extent, x->data + base, inner, x->dtype, node->attrs[DESCENDING].u.i != 0);
    for (int64_t i = 0; i < top; i++) out->data[to + i * inner].i = order[i];
  }
  tn_arena_destroy(arena);
  return true;
}

static tn_dim const *top_extent(tn_foreign_node *node, tn_value *x, uint32_t axis) {
  tn_build *b = node->build;
  const tn_dim *dims[TN_MAX_INDEX];
  uint32_t n;
  int64_t k;
  if (node->version < 10) {
    if (!tn_foreign_int(node, "k", -1, &k)) return NULL;
    return tn_dim_const(b->ctx, k);
  }
  if (!tn_foreign_dims_of(node, 1, 1, 0, x->type->dims[axis]->hi, dims, &n)) return NULL;
  if (n != 1) {
    tn_foreign_error(node, TN_E_SHAPE, "K: expected one number, found %u", n);
    return NULL;
  }
  return dims[0];
}

/* TopK: K an attribute before opset 10; largest and sorted from 11 (sorted results are allowed when sorted is 0). */
static bool import_top_k(tn_foreign_node *node) {
  tn_build *b = node->build;
  tn_value *x = tn_foreign_need(node, 0);
  int64_t axis, largest;
  uint32_t at;
  if (x == NULL || !tn_foreign_int(node, "axis", -1, &axis) || !tn_foreign_int(node, "largest", 1, &largest) ||
      !tn_build_axis(b, axis, x->type->ndim, "axis", &at))
    return false;
  const tn_dim *top = top_extent(node, x, at);
  if (top == NULL) return false;
  tn_attr attrs[] = {tn_attr_int(at), tn_attr_bool(largest != 0), tn_attr_dims(b->module, &top, 1)};
  tn_value *order = tn_build_op(b, tn_op_find("argsort"), &x, 1, attrs);
  return order != NULL && tn_foreign_set(node, 0, tn_compose_take_along(b, x, order, at)) &&
         tn_foreign_set(node, 1, order);
}

static bool export_argsort(tn_export *x, const tn_node *node) {
  const tn_type *type = node->operands[0].value->type;
  const tn_attr *top = &node->attrs[TOP];
  int64_t axis = node->attrs[AXIS].u.i;
  if (type->dtype == TN_BOOL) return false;
  const char *count = tn_export_dim(x, top->present && top->u.list.n ? top->u.list.dims[0] : type->dims[axis]);
  if (!count) return false;
  tn_export_emit_many(x, "TopK", 0, TN_NAMES(tn_export_operand(x, node, 0), count),
                      TN_FOREIGN(tn_foreign_of_int("axis", axis),
                                 tn_foreign_of_int("largest", node->attrs[DESCENDING].u.i)),
                      TN_NAMES(tn_export_fresh(x, "sorted"), tn_export_result(x, node, 0)));
  return true;
}

static const tn_operand_def operands[] = {{"x", TN_ONE, TN_SET_ANY, TN_ROLE_DATA, NULL, 0}};
static const tn_attr_def attrs[] = {{.name = "axis", .kind = TN_ATTR_INT, .required = true},
                                    {.name = "descending", .kind = TN_ATTR_BOOL},
                                    {.name = "top", .kind = TN_ATTR_DIMS, .no_default = true}};
static const tn_onnx_row onnx[] = {
    {"", "TopK", 1, 0, import_top_k},
    {"", "NonZero", 9, 0, tn_import_non_zero},
    {"", "Compress", 9, 0, tn_import_compress},
    {"", "Unique", 11, 0, tn_import_unique},
    {"", "NonMaxSuppression", 10, 0, tn_import_non_max_suppression},
};
static const tn_op_sample samples[] = {
    {TN_TYPES("f32[2,5]"), "{axis=1, descending=true, top=[2]}", 0, 0, "i64[2,2]"},
    {TN_TYPES("i8[B,3]"), "{axis=1}", -1, 1, "i64[B,3]"},
    {TN_TYPES("f32[1,4,2]"), "{axis=1}", 0, 0, "i64[1,4,2]"},
    {TN_TYPES("f32[0]"), "{axis=0}", 0, 0, "i64[0]"},
    {TN_TYPES("f32[3]"), "{axis=0, top=[4]}", 0, 0, NULL},
};

const tn_opdef tn_op_argsort = {
    .name = "argsort",
    .kind = TN_OP_PRIMITIVE,
    .doc = "Positions along axis in the order of x's elements there; stable, NaN is greatest. top keeps that many.",
    TN_OPERANDS(operands),
    .n_results = 1,
    TN_ATTRS(attrs),
    .infer = infer_argsort,
    .eval = eval_argsort,
    TN_ONNX(onnx),
    .export = export_argsort,
    TN_SAMPLES(samples),
};
