/* affine_grid: the positions that grid_sample reads for an affine map (ONNX AffineGrid). */
#include "ir/ops/compose.h"
#include "ir/ops/export.h"
#include "ir/ops/onnx.h"

extern const tn_opdef tn_op_affine_grid;

enum { SIZE, ALIGN, N_ATTRS };

static bool infer_affine_grid(tn_infer *infer) {
  const tn_type *theta = infer->operands[0]->type;
  const tn_attr *size = &infer->attrs[SIZE];
  const tn_dim *dims[5];
  uint32_t n = size->u.list.n;
  if (n != 2 && n != 3) return tn_infer_error(infer, TN_E_ATTR, "size: expected 2 or 3 extents, found %u", n);
  if (!tn_infer_rank(infer, 0, 3)) return false;
  bool ok = tn_func_require_eq(infer->func, theta->dims[1], tn_dim_const(infer->ctx, n), infer->loc,
                               "'affine_grid': rows of theta");
  ok = tn_func_require_eq(infer->func, theta->dims[2], tn_dim_const(infer->ctx, n + 1), infer->loc,
                          "'affine_grid': columns of theta") && ok;
  dims[0] = theta->dims[0];
  for (uint32_t i = 0; i < n; i++) {
    dims[1 + i] = size->u.list.dims[i];
    ok = tn_infer_extent(infer, "size", dims[1 + i]) && ok;
  }
  dims[n + 1] = tn_dim_const(infer->ctx, n);
  return ok && tn_infer_result(infer, 0, theta->dtype, n + 2, dims);
}

/* -1 .. 1 along an axis of the result: through the outer elements' centres (align) or edges. */
static tn_value *coordinate(tn_build *b, const tn_type *type, uint32_t axis, bool align) {
  const tn_dim *n = type->dims[axis];
  tn_value *i = tn_build_iota(b, type->dims, type->ndim, axis, type->dtype);
  const tn_dim *steps = align ? tn_dim_max(b->ctx, tn_dim_add_i(b->ctx, n, -1), tn_dim_const(b->ctx, 1)) : n;
  i = tn_build_binary_f(b, TN_ADD, tn_build_binary_f(b, TN_MUL, i, 2), align ? 0 : 1);
  if (i == NULL) return NULL;
  tn_value *divisor = tn_compose_repeat(b, tn_compose_dim(b, steps, type->dtype), i);
  return tn_build_binary_f(b, TN_SUB, tn_build_binary(b, TN_DIV, i, divisor), 1);
}

static bool expand_affine_grid(tn_build *b, const tn_node *node, tn_value *const *operands, tn_value **out) {
  tn_value *theta = tn_compose_wide(b, operands[0]), *sum = NULL;
  const tn_type *type = node->results[0]->type;
  uint32_t n = type->ndim - 2;
  const int64_t map[] = {0, n + 1};
  if (theta == NULL) return false;
  type = tn_type_with_dtype(b->ctx, type, theta->type->dtype);
  for (uint32_t k = 0; k <= n; k++) { /* column k goes with the k-th axis from the last; the last column is added */
    tn_value *column = tn_build_slice_axis(b, theta, 2, tn_dim_const(b->ctx, k), tn_dim_const(b->ctx, 1), 1);
    column = tn_build_broadcast_map(b, tn_build_drop_axis(b, column, 2), type->dims, type->ndim, map);
    if (k < n)
      column = tn_build_binary(b, TN_MUL, column, coordinate(b, type, n - k, node->attrs[ALIGN].u.i != 0));
    sum = sum == NULL ? column : tn_build_binary(b, TN_ADD, sum, column);
  }
  out[0] = tn_compose_narrow(b, sum, operands[0]);
  return out[0] != NULL;
}

/* size is N, C and the spatial extents. */
static bool import_affine_grid(tn_foreign_node *node) {
  tn_value *theta = tn_foreign_need(node, 0);
  const tn_dim *size[TN_MAX_INDEX];
  uint32_t n;
  int64_t align;
  if (theta == NULL || !tn_foreign_int(node, "align_corners", 0, &align) ||
      !tn_foreign_dims(node, 1, 0, INT32_MAX, size, &n))
    return false;
  if (n != 4 && n != 5) return tn_foreign_error(node, TN_E_SHAPE, "size: expected 4 or 5 extents, found %u", n);
  tn_attr attrs[N_ATTRS] = {tn_attr_dims(node->build->module, size + 2, n - 2), tn_attr_bool(align != 0)};
  return tn_foreign_build(node, &tn_op_affine_grid, &theta, 1, attrs);
}

/* ONNX' size has the channels too, which nothing depends on. Where the one element of an axis lies with align_corners
 * is not said there. */
static bool export_affine_grid(tn_export *x, const tn_node *node) {
  const tn_attr *size = &node->attrs[SIZE];
  const tn_dim *dims[TN_MAX_NDIM] = {node->operands[0].value->type->dims[0], tn_dim_const(x->ctx, 1)};
  for (uint32_t i = 0; i < size->u.list.n; i++) {
    dims[i + 2] = size->u.list.dims[i];
    if (node->attrs[ALIGN].u.i != 0 && dims[i + 2]->lo < 2) return false;
  }
  const char *shape = tn_export_dims(x, dims, size->u.list.n + 2);
  if (!shape) return false;
  tn_export_emit(x, "AffineGrid", 20, TN_NAMES(tn_export_operand(x, node, 0), shape),
                 TN_FOREIGN(tn_foreign_of_int("align_corners", node->attrs[ALIGN].u.i)), tn_export_result(x, node, 0));
  return true;
}

static const tn_operand_def operand_defs[] = {{"theta", TN_ONE, TN_SET_FLOAT, TN_ROLE_DATA, NULL, 0}};
static const tn_attr_def attr_defs[] = {{.name = "size", .kind = TN_ATTR_DIMS, .required = true},
                                        {.name = "align_corners", .kind = TN_ATTR_BOOL}};
static const tn_onnx_row onnx[] = {{"", "AffineGrid", 20, 0, import_affine_grid}};
static const tn_op_sample samples[] = {
    {TN_TYPES("f32[2,2,3]"), "{size=[4,5]}", 0, 0, "f32[2,4,5,2]"},
    {TN_TYPES("f64[B,3,4]"), "{size=[2,1,3], align_corners=true}", 0, 0, "f64[B,2,1,3,3]"},
    {TN_TYPES("f32[2,2,3]"), "{size=[4]}", 0, 0, NULL},
    {TN_TYPES("f32[2,3,4]"), "{size=[4,5]}", 0, 0, NULL},
};

const tn_opdef tn_op_affine_grid = {
    .name = "affine_grid",
    .kind = TN_OP_COMPOSITE,
    .doc = "theta[N,k,k+1] applied to the positions (last axis first, in [-1, 1]) of an array of k extents `size`: "
           "result [N, size.., k]. align_corners as in grid_sample.",
    TN_OPERANDS(operand_defs),
    .n_results = 1,
    TN_ATTRS(attr_defs),
    .infer = infer_affine_grid,
    .expand = expand_affine_grid,
    TN_ONNX(onnx),
    .export = export_affine_grid,
    TN_SAMPLES(samples),
};
