/* broadcast: x repeated along new axes and along axes of extent 1. */
#include "ir/gradient.h"
#include "ir/ops/export.h"
#include "ir/ops/onnx.h"

enum { DIMS, MAP };

/* dim is bcast(p, ..) for a p that is extent: the guard made with the bcast says that extent is dim or 1. */
static bool is_part_of_bcast(const tn_dim *dim, const tn_dim *extent) {
  if (dim == extent) return true;
  if (dim->n_terms != 1 || dim->terms[0].coefficient != 1 || dim->terms[0].n_atoms != 1) return false;
  const tn_atom *atom = dim->terms[0].atoms[0];
  return atom->kind == TN_ATOM_BCAST && (is_part_of_bcast(atom->p, extent) || is_part_of_bcast(atom->q, extent));
}

static bool check_axis(tn_infer *infer, const tn_dim *extent, const tn_dim *dim, uint32_t axis) {
  if (tn_dim_is(extent, 1) || is_part_of_bcast(dim, extent) || tn_func_dims_equal(infer->func, extent, dim))
    return true;
  const char *text = tn_infer_operand(infer, 0);
  if (extent->lo > 1 || extent->hi < 1)
    return tn_func_require_eq(infer->func, extent, dim, infer->loc, "'broadcast': %s axis %u", text, axis);
  tn_ctx *ctx = infer->ctx;
  const tn_dim *either = tn_dim_mul(ctx, tn_dim_sub(ctx, extent, dim), tn_dim_add_i(ctx, extent, -1));
  return tn_func_require_eq(infer->func, either, tn_dim_const(ctx, 0), infer->loc, "'broadcast': %s axis %u", text,
                            axis);
}

static bool infer_broadcast(tn_infer *infer) {
  const tn_type *x = infer->operands[0]->type;
  const tn_attr *dims = &infer->attrs[DIMS], *map = &infer->attrs[MAP];
  if (!tn_infer_length(infer, "map", map, x->ndim)) return false;
  bool ok = tn_infer_result(infer, 0, x->dtype, dims->u.list.n, dims->u.list.dims);
  for (uint32_t i = 0; i < dims->u.list.n; i++) ok = tn_infer_extent(infer, "an extent", dims->u.list.dims[i]) && ok;
  for (uint32_t i = 0; i < x->ndim; i++) {
    int64_t axis = map->u.list.ints[i];
    if (!tn_infer_axis(infer, "map", axis, dims->u.list.n)) return false;
    if (i > 0 && axis <= map->u.list.ints[i - 1]) return tn_infer_error(infer, TN_E_ATTR, "map must increase");
    ok = check_axis(infer, x->dims[i], dims->u.list.dims[axis], i) && ok;
  }
  return ok;
}

static void broadcast_index(tn_ctx *ctx, tn_node *node) {
  (void)ctx;
  const tn_dim *const *index = tn_index_of(node, 0);
  const tn_type *type = node->results[0]->type;
  const tn_dim *out[TN_MAX_INDEX];
  if (index == NULL || type->ndim > 1) return;
  int64_t n = tn_type_static_count(type);
  uint32_t given = node->operands[0].value->n_index;
  if (n < 0 || n > TN_MAX_INDEX || (given != 1 && given != n)) return;
  for (int64_t i = 0; i < n; i++) out[i] = index[given == 1 ? 0 : i];
  tn_index_set(node, out, (uint32_t)n);
}

static bool eval_broadcast(tn_eval *eval, const tn_node *node) {
  const tn_tensor *x = tn_eval_operand(eval, node, 0);
  tn_tensor *out = tn_eval_result(eval, node, 0);
  if (out == NULL) return false;
  int64_t from[TN_MAX_NDIM], strides[TN_MAX_NDIM] = {0};
  tn_tensor_strides(x, from);
  for (uint32_t i = 0; i < x->ndim; i++) {
    int64_t axis = node->attrs[MAP].u.list.ints[i];
    if (x->extents[i] != 1 && x->extents[i] != out->extents[axis])
      return tn_error(eval->ctx, node->loc, TN_E_SHAPE, "'broadcast': extent %lld of axis %u cannot become %lld",
                      (long long)x->extents[i], i, (long long)out->extents[axis]);
    strides[axis] = x->extents[i] == 1 ? 0 : from[i];
  }
  tn_tensor_view(out, x, 0, strides);
  return true;
}

/* Summed over the axes that are new, and over those that were 1 and are not now. */
static bool vjp_broadcast(tn_vjp *v) {
  const tn_type *x = v->operands[0]->type, *y = v->results[0]->type;
  const int64_t *map = v->node->attrs[MAP].u.list.ints;
  int64_t axes[TN_MAX_NDIM];
  uint32_t n = 0, at = 0;
  bool ok = true;
  for (uint32_t i = 0; i < y->ndim; i++) {
    const tn_dim *from = at < x->ndim && map[at] == (int64_t)i ? x->dims[at++] : NULL;
    if (from == NULL || (tn_dim_is(from, 1) && !tn_dim_is(y->dims[i], 1))) axes[n++] = i;
    else ok = tn_func_require_eq(v->build->func, from, y->dims[i], v->node->loc,
                                 "the gradient of a value repeated along axis %u", i) && ok;
  }
  if (!ok) return false;
  tn_value *sum = n == 0 ? v->dy[0] : tn_build_reduce(v->build, "sum", v->dy[0], axes, n, false);
  return (v->dx[0] = tn_build_reshape(v->build, sum, x->dims, x->ndim)) != NULL;
}

/* Expand keeps extents where the target says 1. */
static bool export_broadcast(tn_export *x, const tn_node *node) {
  const tn_type *from = node->operands[0].value->type, *to = node->results[0]->type;
  const tn_dim *target[TN_MAX_NDIM];
  for (uint32_t i = 0; i < to->ndim; i++) target[i] = to->dims[i];
  for (uint32_t i = 0; i < from->ndim; i++) {
    int64_t axis = node->attrs[MAP].u.list.ints[i];
    if (from->dims[i] == to->dims[axis]) target[axis] = tn_dim_const(x->ctx, 1);
  }
  const char *shape = tn_export_dims(x, target, to->ndim);
  if (!shape) return false;
  tn_export_binary(x, "Expand", tn_export_aligned(x, node), shape, tn_export_result(x, node, 0));
  return true;
}

static const tn_operand_def operands[] = {{"x", TN_ONE, TN_SET_ANY | TN_DTYPE_BIT(TN_STR), TN_ROLE_DATA, NULL, 0}};
static const tn_attr_def attrs[] = {{.name = "dims", .kind = TN_ATTR_DIMS, .required = true},
                                    {.name = "map", .kind = TN_ATTR_INTS, .required = true}};
static const tn_onnx_row onnx[] = {
    {"", "Expand", 8, 0, tn_import_expand},
    {"", "Tile", 6, 0, tn_import_tile},
    {"", "ConstantOfShape", 9, 0, tn_import_constant_of_shape},
};
static const tn_op_sample samples[] = {
    {TN_TYPES("f32[3]"), "{dims=[2,3,4], map=[1]}", 0, 0, "f32[2,3,4]"},
    {TN_TYPES("f32[1,B]"), "{dims=[5,B], map=[0,1]}", 0, 0, "f32[5,B]"},
    {TN_TYPES("i64[]"), "{dims=[0,2], map=[]}", 0, 0, "i64[0,2]"},
    {TN_TYPES("f32[3]"), "{dims=[4], map=[0]}", 0, 0, NULL},
    {TN_TYPES("f32[3,3]"), "{dims=[3,3], map=[1,0]}", 0, 0, NULL},
};

const tn_opdef tn_op_broadcast = {
    .name = "broadcast",
    .kind = TN_OP_PRIMITIVE,
    .doc = "x's axis i becomes axis map[i] of the result (increasing); its extent there equals the result's or is 1, "
           "and all other axes repeat x.",
    TN_OPERANDS(operands),
    .n_results = 1,
    TN_ATTRS(attrs),
    .traits = TN_TRAIT_SHAPE_ONLY,
    .infer = infer_broadcast,
    .index = broadcast_index,
    .eval = eval_broadcast,
    .vjp = vjp_broadcast,
    TN_ONNX(onnx),
    .export = export_broadcast,
    TN_SAMPLES(samples),
};
