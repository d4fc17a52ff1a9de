/* grid_sample: x read at positions that a grid gives, with interpolation (ONNX GridSample; Spatial Transformer
 * Networks, arXiv:1506.02025). Padding is a rule for each tap's index: interpolation commutes with the symmetric
 * extension. */
#include "ir/ops/compose.h"
#include "ir/ops/export.h"
#include "ir/ops/onnx.h"

#include <string.h>

extern const tn_opdef tn_op_grid_sample;

enum { MODE, PADDING, ALIGN, N_ATTRS };
enum { LINEAR, NEAREST, CUBIC };
enum { ZEROS, BORDER, REFLECTION };
static const char *const modes[] = {"linear", "nearest", "cubic", NULL};
static const char *const paddings[] = {"zeros", "border", "reflection", NULL};
#define MAX_SPATIAL 3
#define CUBIC_A (-0.75)

static bool infer_grid_sample(tn_infer *infer) {
  const tn_type *x = infer->operands[0]->type, *grid = infer->operands[1]->type;
  const tn_dim *dims[TN_MAX_NDIM];
  if (!tn_dtype_is_float(x->dtype) && infer->attrs[MODE].u.i != NEAREST)
    return tn_infer_error(infer, TN_E_ATTR, "interpolation between elements that are no floats");
  if (!tn_infer_min_rank(infer, 0, 3) || !tn_infer_rank(infer, 1, x->ndim)) return false;
  uint32_t n = x->ndim - 2;
  if (n > MAX_SPATIAL) return tn_infer_error(infer, TN_E_RANK, "at most %d spatial axes, found %u", MAX_SPATIAL, n);
  if (infer->attrs[MODE].u.i == CUBIC && n > 2)
    return tn_infer_error(infer, TN_E_ATTR, "cubic interpolation over at most 2 axes");
  bool ok = tn_func_require_eq(infer->func, grid->dims[0], x->dims[0], infer->loc, "'grid_sample': batch");
  ok = tn_func_require_eq(infer->func, grid->dims[n + 1], tn_dim_const(infer->ctx, n), infer->loc,
                          "'grid_sample': coordinates a position") && ok;
  dims[0] = x->dims[0];
  dims[1] = x->dims[1];
  for (uint32_t i = 0; i < n; i++) dims[2 + i] = grid->dims[1 + i];
  return ok && tn_infer_result(infer, 0, x->dtype, n + 2, dims);
}

/* One expansion. Values of positions have the grid's dims without the last. */
typedef struct job {
  tn_build *b;
  const tn_node *node;
  tn_value *x;
  uint32_t n;                    /* spatial axes */
  tn_value *base[MAX_SPATIAL];   /* the tap at or before the position, as a number */
  tn_value *weight[MAX_SPATIAL][4];
  int first, n_taps;             /* taps an axis: base + first .. */
} job;

static tn_value *extent(const job *j, uint32_t axis, const tn_value *like) {
  return tn_compose_repeat(j->b, tn_compose_dim(j->b, j->x->type->dims[2 + axis], like->type->dtype), like);
}

/* The grid's coordinate of an axis, from [-1, 1] to positions in x. The last axis comes first in the grid. */
static tn_value *position(const job *j, tn_value *grid, uint32_t axis) {
  tn_build *b = j->b;
  uint32_t last = grid->type->ndim - 1;
  const tn_dim *at = tn_dim_const(b->ctx, j->n - 1 - axis);
  tn_value *g = tn_build_slice_axis(b, grid, last, at, tn_dim_const(b->ctx, 1), 1);
  g = tn_build_drop_axis(b, g, last);
  if (g == NULL) return NULL;
  tn_value *n = extent(j, axis, g), *up = tn_build_binary_f(b, TN_ADD, g, 1);
  if (j->node->attrs[ALIGN].u.i != 0)
    return tn_build_binary(b, TN_MUL, tn_build_binary_f(b, TN_MUL, up, 0.5), tn_build_binary_f(b, TN_SUB, n, 1));
  return tn_build_binary_f(b, TN_MUL, tn_build_binary_f(b, TN_SUB, tn_build_binary(b, TN_MUL, up, n), 1), 0.5);
}

/* ((c3 d + c2) d + c1) d + c0 */
static tn_value *cubic(tn_build *b, tn_value *d, double c3, double c2, double c1, double c0) {
  tn_value *y = tn_build_binary_f(b, TN_ADD, tn_build_binary_f(b, TN_MUL, d, c3), c2);
  y = tn_build_binary_f(b, TN_ADD, tn_build_binary(b, TN_MUL, y, d), c1);
  return tn_build_binary_f(b, TN_ADD, tn_build_binary(b, TN_MUL, y, d), c0);
}

/* Keys' kernel at distances 1 + f, f, 1 - f, 2 - f, for the part f after the tap. */
static bool find_taps(job *j, tn_value *grid, uint32_t axis) {
  tn_build *b = j->b;
  const double a = CUBIC_A;
  tn_value *at = position(j, grid, axis), **w = j->weight[axis];
  bool nearest = j->node->attrs[MODE].u.i == NEAREST;
  j->base[axis] = tn_build_unary(b, nearest ? TN_ROUND : TN_FLOOR, tn_compose_constant(b, at));
  if (nearest || j->base[axis] == NULL) return j->base[axis] != NULL;
  tn_value *f = tn_build_binary(b, TN_SUB, at, j->base[axis]), *one = tn_build_fill_like(b, f, 1);
  tn_value *rest = tn_build_binary(b, TN_SUB, one, f);
  if (j->node->attrs[MODE].u.i == LINEAR) {
    w[0] = rest;
    w[1] = f;
  } else {
    w[0] = cubic(b, tn_build_binary(b, TN_ADD, f, one), a, -5 * a, 8 * a, -4 * a);
    w[1] = cubic(b, f, a + 2, -(a + 3), 0, 1);
    w[2] = cubic(b, rest, a + 2, -(a + 3), 0, 1);
    w[3] = cubic(b, tn_build_binary(b, TN_ADD, rest, one), a, -5 * a, 8 * a, -4 * a);
  }
  return true;
}

/* The index in x of tap t of an axis; *inside gets "and it is one". */
static tn_value *tap_index(const job *j, uint32_t axis, int t, tn_value **inside) {
  tn_build *b = j->b;
  tn_value *i = tn_build_cast(b, tn_build_binary_f(b, TN_ADD, j->base[axis], j->first + t), TN_I64);
  if (i == NULL) return NULL;
  tn_value *n = extent(j, axis, i), *zero = tn_build_fill_like(b, i, 0), *last = tn_build_binary_f(b, TN_SUB, n, 1);
  tn_value *nearest = tn_build_binary(b, TN_MAX, tn_build_binary(b, TN_MIN, i, last), zero);
  switch (j->node->attrs[PADDING].u.i) {
    case ZEROS: {
      tn_value *ok = tn_build_binary(b, TN_AND, tn_build_binary(b, TN_GE, i, zero), tn_build_binary(b, TN_LT, i, n));
      *inside = *inside == NULL ? ok : tn_build_binary(b, TN_AND, *inside, ok);
      return nearest;
    }
    case BORDER: return nearest;
    default: break;
  }
  /* Reflected at the outer elements (align_corners) or at their outer edges: a period of 2n - 2 or 2n. */
  tn_value *turn = j->node->attrs[ALIGN].u.i != 0 ? last : n;
  tn_value *period = tn_build_binary_f(b, TN_MUL, turn, 2), *m = tn_build_binary(b, TN_MOD, i, period);
  tn_value *back = tn_build_binary(b, TN_SUB, period, m);
  if (j->node->attrs[ALIGN].u.i == 0) back = tn_build_binary_f(b, TN_SUB, back, 1);
  return tn_build_select(b, tn_build_binary(b, TN_LT, m, n), m, back);
}

/* One tap of every axis: its elements, [N, O.., C], times its weight. taps: a digit an axis. */
static tn_value *term(const job *j, int taps) {
  tn_build *b = j->b;
  tn_value *indices[MAX_SPATIAL + 1], *inside = NULL, *weight = NULL;
  int64_t axes[MAX_SPATIAL + 1] = {0}, map[MAX_SPATIAL + 1];
  for (uint32_t i = 0; i < j->n; i++, taps /= j->n_taps) {
    int t = taps % j->n_taps;
    tn_value *w = j->weight[i][t];
    axes[i + 1] = 2 + i;
    indices[i + 1] = tap_index(j, i, t, &inside);
    if (indices[i + 1] == NULL) return NULL;
    if (w != NULL) weight = weight == NULL ? w : tn_build_binary(b, TN_MUL, weight, w);
  }
  const tn_type *type = indices[1]->type;
  for (uint32_t i = 0; i < type->ndim; i++) map[i] = i;
  indices[0] = tn_build_iota(b, type->dims, type->ndim, 0, TN_I64);
  tn_value *y = indices[0] == NULL ? NULL : tn_build_gather_axes(b, j->x, indices, axes, j->n + 1);
  if (y == NULL) return NULL;
  if (weight != NULL) {
    weight = tn_build_cast(b, weight, y->type->dtype);
    y = tn_build_binary(b, TN_MUL, y, tn_build_broadcast_map(b, weight, y->type->dims, y->type->ndim, map));
  }
  if (inside == NULL || y == NULL) return y;
  inside = tn_build_broadcast_map(b, inside, y->type->dims, y->type->ndim, map);
  return tn_build_select(b, inside, y, tn_build_fill_like(b, y, 0));
}

static bool expand_grid_sample(tn_build *b, const tn_node *node, tn_value *const *operands, tn_value **out) {
  static const int n_taps[] = {2, 1, 4};
  job j = {.b = b, .node = node, .x = operands[0], .n = operands[0]->type->ndim - 2};
  int64_t mode = node->attrs[MODE].u.i, perm[TN_MAX_NDIM];
  tn_value *grid = tn_compose_wide(b, operands[1]), *sum = NULL;
  int n_terms = 1;
  if (mode != NEAREST) j.x = tn_compose_wide(b, j.x);
  j.n_taps = n_taps[mode];
  j.first = mode == CUBIC ? -1 : 0;
  if (j.x == NULL || grid == NULL) return false;
  for (uint32_t i = 0; i < j.n; i++, n_terms *= j.n_taps)
    if (!find_taps(&j, grid, i)) return false;
  for (int i = 0; i < n_terms; i++) {
    tn_value *one = term(&j, i);
    sum = sum == NULL ? one : tn_build_binary(b, TN_ADD, sum, one);
    if (sum == NULL) return false;
  }
  for (uint32_t i = 0; i < j.n + 2; i++) perm[i] = i == 0 ? 0 : i == 1 ? j.n + 1 : i - 1;
  out[0] = tn_compose_narrow(b, tn_build_transpose(b, sum, perm), operands[0]);
  return out[0] != NULL;
}

/* "bilinear" and "bicubic" are what opset 16 called the modes. Between integers it is interpolated in f64. */
static bool import_grid_sample(tn_foreign_node *node) {
  tn_value *operands[] = {tn_foreign_need(node, 0), tn_foreign_need(node, 1)};
  const char *mode, *padding;
  int64_t align, mode_at = 0, padding_at = 0;
  if (operands[0] == NULL || operands[1] == NULL || !tn_foreign_string(node, "mode", "linear", &mode) ||
      !tn_foreign_string(node, "padding_mode", "zeros", &padding) || !tn_foreign_int(node, "align_corners", 0, &align))
    return false;
  if (strncmp(mode, "bi", 2) == 0) mode += 2;
  while (modes[mode_at] != NULL && strcmp(modes[mode_at], mode) != 0) mode_at++;
  while (paddings[padding_at] != NULL && strcmp(paddings[padding_at], padding) != 0) padding_at++;
  if (modes[mode_at] == NULL || paddings[padding_at] == NULL)
    return tn_foreign_error(node, TN_E_ATTR, "unknown mode '%s' or padding_mode '%s'", mode, padding);
  tn_attr attrs[N_ATTRS] = {tn_attr_int(mode_at), tn_attr_int(padding_at), tn_attr_bool(align != 0)};
  tn_dtype dtype = operands[0]->type->dtype;
  if (tn_dtype_is_float(dtype) || mode_at == NEAREST)
    return tn_foreign_build(node, &tn_op_grid_sample, operands, 2, attrs);
  operands[0] = tn_build_cast(node->build, operands[0], TN_F64);
  tn_value *y = operands[0] ? tn_build_op(node->build, &tn_op_grid_sample, operands, 2, attrs) : NULL;
  return tn_foreign_set(node, 0, y ? tn_build_cast(node->build, y, dtype) : NULL);
}

static bool export_grid_sample(tn_export *x, const tn_node *node) {
  tn_export_emit(x, "GridSample", 20, TN_NAMES(tn_export_operand(x, node, 0), tn_export_operand(x, node, 1)),
                 TN_FOREIGN(tn_foreign_of_string("mode", modes[node->attrs[MODE].u.i]),
                            tn_foreign_of_string("padding_mode", paddings[node->attrs[PADDING].u.i]),
                            tn_foreign_of_int("align_corners", node->attrs[ALIGN].u.i)),
                 tn_export_result(x, node, 0));
  return true;
}

static const tn_operand_def operand_defs[] = {{"x", TN_ONE, TN_SET_ANY, TN_ROLE_DATA, NULL, 0},
                                              {"grid", TN_ONE, TN_SET_FLOAT, TN_ROLE_DATA, NULL, 0}};
static const tn_attr_def attr_defs[] = {{.name = "mode", .kind = TN_ATTR_NAME, .names = modes},
                                        {.name = "padding", .kind = TN_ATTR_NAME, .names = paddings},
                                        {.name = "align_corners", .kind = TN_ATTR_BOOL}};
static const tn_onnx_row onnx[] = {{"", "GridSample", 16, 0, import_grid_sample}};
static const tn_op_sample samples[] = {
    {TN_TYPES("f32[1,2,4,5]", "f32[1,3,2,2]"), NULL, -1.5, 1.5, "f32[1,2,3,2]"},
    {TN_TYPES("f32[B,1,3,3]", "f32[B,2,2,2]"), "{mode=cubic, padding=reflection}", -1.5, 1.5, "f32[B,1,2,2]"},
    {TN_TYPES("f32[1,1,2,3,4]", "f32[1,2,2,2,3]"), "{padding=border, align_corners=true}", -1.5, 1.5,
     "f32[1,1,2,2,2]"},
    {TN_TYPES("f16[1,1,4]", "f32[1,5,1]"), "{mode=nearest}", -1.5, 1.5, "f16[1,1,5]"},
    {TN_TYPES("i32[1,1,4]", "f32[1,5,1]"), "{mode=nearest}", -1.5, 1.5, "i32[1,1,5]"},
    {TN_TYPES("i32[1,1,4]", "f32[1,5,1]"), NULL, 0, 0, NULL},
    {TN_TYPES("f32[1,2,4,5]", "f32[1,3,2,3]"), NULL, 0, 0, NULL},
    {TN_TYPES("f32[1,2,4,5]", "f32[1,3,2]"), NULL, 0, 0, NULL},
};

const tn_opdef tn_op_grid_sample = {
    .name = "grid_sample",
    .kind = TN_OP_COMPOSITE,
    .doc =
        "x[N,C,S..] read at grid[N,O..,k], positions in [-1, 1] with the last axis' first: result [N,C,O..]. -1 and 1 "
        "are the centres of the outer elements with align_corners, else their outer edges. Elements that are no "
        "floats are taken nearest only.",
    TN_OPERANDS(operand_defs),
    .n_results = 1,
    TN_ATTRS(attr_defs),
    .infer = infer_grid_sample,
    .expand = expand_grid_sample,
    TN_ONNX(onnx),
    .export = export_grid_sample,
    TN_SAMPLES(samples),
};
