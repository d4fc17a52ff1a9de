/* window: max, min or sum over sliding windows; padding gives the identity. The import handles MaxPool; average pooling
 * and LpPool are composed of it in onnx_pool.c. */
#include "ir/gradient.h"
#include "ir/ops/export.h"
#include "ir/ops/compose.h"
#include "ir/ops/onnx.h"
#include "ir/ops/pooling.h"
#include "ir/ops/sliding.h"
#include "ir/ops/spatial.h"

static const char *const ops[] = {"max", "min", "sum", NULL};

static bool infer_window(tn_infer *infer) { return tn_sliding_infer(infer, infer->operands[0]->type->dtype); }

static bool eval_window(tn_eval *eval, const tn_node *node) {
  tn_tensor *out = tn_eval_result(eval, node, 0);
  tn_sliding sliding;
  if (out == NULL || !tn_sliding_start(eval, node, &sliding)) return false;
  if (out->count == 0) return true;
  int64_t index[TN_MAX_NDIM] = {0}, at = 0, winner;
  do {
    out->data[at++] = tn_eval_round(eval, out->dtype, tn_sliding_fold(&sliding, index, &winner));
  } while (tn_index_next(index, out->extents, out->ndim));
  return true;
}

/* MaxPool's second result counts positions over the whole tensor, row-major or (storage_order 1) column-major in the
 * spatial axes: ((n*C + c) * plane) + position. */
static tn_value *onnx_indices(tn_foreign_node *node, tn_value *x, tn_value *winner, const tn_pooling *p,
                              bool column_major) {
  tn_build *b = node->build;
  tn_ctx *ctx = b->ctx;
  const tn_type *type = winner->type;
  const tn_dim *plane = tn_dim_product(ctx, x->type->dims + 2, p->n);
  if (column_major) {
    tn_value *rest = winner, *flipped = NULL;
    const tn_dim *weight = plane;
    for (uint32_t i = p->n; i-- > 0;) { /* the last axis varies fastest in winner and gets the largest weight */
      const tn_dim *extent = x->type->dims[i + 2];
      const tn_dim *exact;
      if (!tn_dim_divide_exact(ctx, weight, extent, &exact)) return NULL;
      weight = exact;
      tn_value *e = tn_compose_repeat(b, tn_compose_dim(b, extent, TN_I64), winner);
      tn_value *w = tn_compose_repeat(b, tn_compose_dim(b, weight, TN_I64), winner);
      tn_value *term = tn_build_binary(b, TN_MUL, tn_build_binary(b, TN_REM, rest, e), w);
      flipped = flipped == NULL ? term : tn_build_binary(b, TN_ADD, flipped, term);
      rest = tn_build_binary(b, TN_DIV, rest, e);
    }
    winner = flipped;
  }
  tn_value *n = tn_build_iota(b, type->dims, type->ndim, 0, TN_I64),
           *c = tn_build_iota(b, type->dims, type->ndim, 1, TN_I64);
  const tn_dim *scale[2] = {tn_dim_mul(ctx, plane, x->type->dims[1]), plane};
  tn_value *sum = winner, *axis[2] = {n, c};
  for (int i = 0; i < 2; i++) {
    tn_value *w = tn_compose_repeat(b, tn_compose_dim(b, scale[i], TN_I64), winner);
    sum = tn_build_binary(b, TN_ADD, sum, tn_build_binary(b, TN_MUL, axis[i], w));
  }
  return sum;
}

static bool import_max_pool(tn_foreign_node *node) {
  tn_build *b = node->build;
  tn_value *x = tn_foreign_need(node, 0);
  int64_t ceil_mode, storage_order, axes[TN_MAX_NDIM];
  tn_pooling p;
  if (x == NULL || !tn_foreign_int(node, "ceil_mode", 0, &ceil_mode) ||
      !tn_foreign_int(node, "storage_order", 0, &storage_order) || !tn_pooling_read(node, x, NULL, &p))
    return false;
  const char *auto_pad;
  if (!tn_foreign_string(node, "auto_pad", "NOTSET", &auto_pad)) return false;
  if (ceil_mode != 0 && auto_pad[0] != 'S') tn_pooling_ceil(b->ctx, x, &p);
  for (uint32_t i = 0; i < p.n; i++) axes[i] = i + 2;
  const tn_opdef *window = tn_op_find("window"), *argwindow = tn_op_find("argwindow");
  tn_attr attrs[TN_SLIDING_N_ATTRS] = {
      tn_attr_name(window, "op", "max"), tn_attr_ints(b->module, axes, p.n), tn_attr_ints(b->module, p.kernel, p.n),
      tn_attr_ints(b->module, p.stride, p.n), tn_attr_ints(b->module, p.dilate, p.n),
      tn_attr_dims(b->module, p.lo, p.n), tn_attr_dims(b->module, p.hi, p.n)};
  tn_value *result = tn_build_op(b, window, &x, 1, attrs);
  if (result == NULL || !tn_foreign_set(node, 0, result)) return false;
  if (node->n_outputs < 2 || !node->wanted[1]) return true;
  attrs[TN_SLIDING_OP] = tn_attr_name(argwindow, "op", "max");
  tn_value *winner = tn_build_op(b, argwindow, &x, 1, attrs);
  return winner != NULL && tn_foreign_set(node, 1, onnx_indices(node, x, winner, &p, storage_order != 0));
}

/* A sum is spread over its window: the windows of dy, its elements stride apart, that meet at an element of x. */
static tn_value *spread_sums(tn_vjp *v) {
  tn_build *b = v->build;
  tn_ctx *ctx = b->ctx;
  const tn_attr *attrs = v->node->attrs;
  const tn_type *x = v->operands[0]->type, *y = v->results[0]->type;
  const tn_dim *lo[TN_MAX_NDIM], *hi[TN_MAX_NDIM], *none[TN_MAX_NDIM], *zero = tn_dim_const(ctx, 0);
  int64_t inner[TN_MAX_NDIM] = {0}, ones[TN_MAX_NDIM];
  for (uint32_t i = 0; i < x->ndim; i++) lo[i] = hi[i] = zero;
  for (uint32_t k = 0; k < attrs[TN_SLIDING_AXES].u.list.n; k++) {
    int64_t axis = attrs[TN_SLIDING_AXES].u.list.ints[k], stride = attrs[TN_SLIDING_STRIDE].u.list.ints[k];
    int64_t reach = (attrs[TN_SLIDING_SIZE].u.list.ints[k] - 1) * attrs[TN_SLIDING_DILATE].u.list.ints[k];
    const tn_dim *used = tn_dim_add_i(ctx, tn_dim_mul_i(ctx, tn_dim_add_i(ctx, y->dims[axis], -1), stride), 1);
    inner[axis] = stride - 1;
    lo[axis] = tn_dim_sub(ctx, tn_dim_const(ctx, reach), attrs[TN_SLIDING_LO].u.list.dims[k]);
    hi[axis] = tn_dim_sub(ctx, tn_dim_add_i(ctx, x->dims[axis], reach), tn_dim_add(ctx, lo[axis], used));
    none[k] = zero;
    ones[k] = 1;
  }
  tn_attr pad[3] = {tn_attr_dims(b->module, lo, x->ndim), tn_attr_dims(b->module, hi, x->ndim),
                    tn_attr_ints(b->module, inner, x->ndim)};
  tn_value *in[2] = {v->dy[0], tn_build_splat_f(b, x->dtype, 0)};
  tn_value *apart = tn_build_op(b, tn_op_find("pad"), in, 2, pad);
  uint32_t n = attrs[TN_SLIDING_AXES].u.list.n;
  tn_attr window[TN_SLIDING_N_ATTRS] = {attrs[TN_SLIDING_OP], attrs[TN_SLIDING_AXES], attrs[TN_SLIDING_SIZE],
                                        tn_attr_ints(b->module, ones, n), attrs[TN_SLIDING_DILATE],
                                        tn_attr_dims(b->module, none, n), tn_attr_dims(b->module, none, n)};
  return tn_build_op(b, v->node->op, &apart, 1, window);
}

/* Positions over the axes, flat and row-major. */
static tn_value *find_winners(tn_vjp *v) {
  const tn_opdef *arg = tn_op_find("argwindow");
  tn_attr attrs[TN_SLIDING_N_ATTRS];
  for (uint32_t i = 0; i < TN_SLIDING_N_ATTRS; i++) attrs[i] = v->node->attrs[i];
  attrs[TN_SLIDING_OP] = tn_attr_name(arg, "op", ops[v->node->attrs[TN_SLIDING_OP].u.i]);
  return tn_build_op(v->build, arg, &v->operands[0], 1, attrs);
}

/* The extreme of a window passes everything to its place. */
static tn_value *add_to_winners(tn_vjp *v) {
  tn_build *b = v->build;
  const tn_attr *axes = &v->node->attrs[TN_SLIDING_AXES];
  const tn_opdef *scatter = tn_op_find("scatter");
  const tn_type *x = v->operands[0]->type, *y = v->results[0]->type;
  tn_value *rest = find_winners(v);
  tn_value *in[TN_MAX_NDIM + 2] = {tn_build_fill_like(b, v->operands[0], 0), v->dy[0]};
  int64_t all[TN_MAX_NDIM];
  for (uint32_t i = 0; i < x->ndim; i++) {
    all[i] = i;
    in[i + 2] = NULL;
  }
  for (uint32_t k = axes->u.list.n; k-- > 0;) {
    int64_t axis = axes->u.list.ints[k];
    tn_value *extent = tn_compose_repeat(b, tn_compose_dim(b, x->dims[axis], TN_I64), v->results[0]);
    in[axis + 2] = k == 0 ? rest : tn_build_binary(b, TN_REM, rest, extent);
    if (k > 0) rest = tn_build_binary(b, TN_DIV, rest, extent);
  }
  for (uint32_t i = 0; i < x->ndim; i++)
    if (in[i + 2] == NULL) in[i + 2] = tn_build_iota(b, y->dims, y->ndim, i, TN_I64);
  tn_attr set[3] = {tn_attr_ints(b->module, all, x->ndim), tn_attr_name(scatter, "mode", "add"), tn_attr_bool(false)};
  return tn_build_op(b, scatter, in, x->ndim + 2, set);
}

/* Windows side by side: each element of x lies in one of them, or in none at the end. */
static bool are_apart(const tn_attr *attrs) {
  for (uint32_t k = 0; k < attrs[TN_SLIDING_AXES].u.list.n; k++)
    if (attrs[TN_SLIDING_STRIDE].u.list.ints[k] != attrs[TN_SLIDING_SIZE].u.list.ints[k] ||
        attrs[TN_SLIDING_DILATE].u.list.ints[k] != 1 || !tn_dim_is(attrs[TN_SLIDING_LO].u.list.dims[k], 0))
      return false;
  return true;
}

/* What a window has, at each of its elements: y's extents times size, cut or filled up with `rest` to x's. */
static tn_value *repeat_over_windows(tn_vjp *v, tn_value *value, tn_value *rest) {
  tn_build *b = v->build;
  tn_ctx *ctx = b->ctx;
  const tn_attr *axes = &v->node->attrs[TN_SLIDING_AXES];
  const tn_dim *lo[TN_MAX_NDIM], *hi[TN_MAX_NDIM];
  const tn_type *x = v->operands[0]->type;
  for (uint32_t i = 0; i < x->ndim; i++) lo[i] = hi[i] = tn_dim_const(ctx, 0);
  for (uint32_t k = 0; value != NULL && k < axes->u.list.n; k++) {
    uint32_t axis = (uint32_t)axes->u.list.ints[k], n = value->type->ndim;
    const tn_dim *dims[TN_MAX_NDIM], *apart[TN_MAX_NDIM];
    int64_t map[TN_MAX_NDIM], size = v->node->attrs[TN_SLIDING_SIZE].u.list.ints[k];
    for (uint32_t i = 0; i < n; i++) {
      dims[i] = value->type->dims[i];
      apart[i > axis ? i + 1 : i] = dims[i];
      map[i] = i > axis ? i + 1 : i;
    }
    apart[axis + 1] = tn_dim_const(ctx, size);
    dims[axis] = tn_dim_mul_i(ctx, dims[axis], size);
    hi[axis] = tn_dim_sub(ctx, x->dims[axis], dims[axis]);
    value = tn_build_reshape(b, tn_build_broadcast_map(b, value, apart, n + 1, map), dims, n);
  }
  return tn_build_pad(b, value, rest, lo, hi);
}

/* The winner's element gets all, which a comparison finds without a scatter. */
static tn_value *select_winners(tn_vjp *v) {
  tn_build *b = v->build;
  const tn_attr *axes = &v->node->attrs[TN_SLIDING_AXES];
  const tn_type *x = v->operands[0]->type;
  tn_value *winner = repeat_over_windows(v, find_winners(v), tn_build_splat_i(b, TN_I64, -1)), *position = NULL;
  tn_value *dy = repeat_over_windows(v, v->dy[0], tn_build_splat_f(b, x->dtype, 0));
  for (uint32_t k = 0; k < axes->u.list.n; k++) {
    uint32_t axis = (uint32_t)axes->u.list.ints[k];
    tn_value *along = tn_build_iota(b, x->dims, x->ndim, axis, TN_I64);
    if (position != NULL) {
      tn_value *extent = tn_compose_repeat(b, tn_compose_dim(b, x->dims[axis], TN_I64), v->operands[0]);
      position = tn_build_binary(b, TN_MUL, position, extent);
      along = tn_build_binary(b, TN_ADD, position, along);
    }
    position = along;
  }
  return tn_build_select(b, tn_build_binary(b, TN_EQ, winner, position), dy, tn_build_fill_like(b, v->operands[0], 0));
}

static bool vjp_window(tn_vjp *v) {
  if (ops[v->node->attrs[TN_SLIDING_OP].u.i][0] == 's') v->dx[0] = spread_sums(v);
  else v->dx[0] = are_apart(v->node->attrs) ? select_winners(v) : add_to_winners(v);
  return v->dx[0] != NULL;
}

static const tn_operand_def operands[] = {{"x", TN_ONE, TN_SET_NUMBER, TN_ROLE_DATA, NULL, 0}};
static const tn_attr_def attr_defs[] = {TN_SLIDING_ATTRS(ops)};
static const tn_onnx_row onnx[] = {
    {"", "MaxPool", 1, 0, import_max_pool},
    {"", "AveragePool", 1, 0, tn_import_average_pool},
    {"", "LpPool", 2, 0, tn_import_lp_pool},
    {"", "GlobalAveragePool", 1, 0, tn_import_global_pool},
    {"", "GlobalMaxPool", 1, 0, tn_import_global_pool},
    {"", "GlobalLpPool", 2, 0, tn_import_global_pool},
};
static const tn_op_sample samples[] = {
    {TN_TYPES("f32[1,2,5,5]"), "{op=max, axes=[2,3], size=[3,2], stride=[2,1], dilate=[1,1], lo=[1,0], hi=[1,1]}", 0, 0,
     "f32[1,2,3,5]"},
    {TN_TYPES("f32[B,6]"), "{op=sum, axes=[1], size=[2], stride=[2], dilate=[2], lo=[0], hi=[0]}", 0, 0, "f32[B,2]"},
    {TN_TYPES("i8[2,4]"), "{op=min, axes=[1], size=[2], stride=[1], dilate=[1], lo=[0], hi=[0]}", -9, 9, "i8[2,3]"},
    {TN_TYPES("f32[0,4]"), "{op=max, axes=[1], size=[4], stride=[1], dilate=[1], lo=[0], hi=[0]}", 0, 0, "f32[0,1]"},
    {TN_TYPES("f32[4]"), "{op=max, axes=[0], size=[0], stride=[1], dilate=[1], lo=[0], hi=[0]}", 0, 0, NULL},
    {TN_TYPES("f32[4]"), "{op=max, axes=[0], size=[9], stride=[1], dilate=[1], lo=[0], hi=[0]}", 0, 0, NULL},
};

const tn_opdef tn_op_window = {
    .name = "window",
    .kind = TN_OP_PRIMITIVE,
    .doc = "max, min or sum over sliding windows on axes, extents as conv; padding gives the identity.",
    TN_OPERANDS(operands),
    .n_results = 1,
    TN_ATTRS(attr_defs),
    .infer = infer_window,
    .eval = eval_window,
    .vjp = vjp_window,
    TN_ONNX(onnx),
    .export = tn_export_window,
    TN_SAMPLES(samples),
};
