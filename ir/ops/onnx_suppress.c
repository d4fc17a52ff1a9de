/* NonMaxSuppression: boxes in falling order of their scores, of which each that overlaps a kept one too much goes. */
#include "ir/ops/compose.h"
#include "ir/ops/onnx.h"

enum { TOP, LEFT, BOTTOM, RIGHT, AREA, N_PARTS };

typedef struct suppression {
  tn_foreign_node *node;
  tn_build *b;
  tn_value *order;          /* i64[B,C,N]: boxes by falling score */
  tn_value *score;          /* [B,C,N], in that order */
  tn_value *part[N_PARTS];  /* [B,C,N]: of the boxes, in that order */
  tn_value *most, *overlap, *least; /* scalars; least NULL: any score will do */
} suppression;

static tn_value *scalar(tn_build *b, tn_value *x) { return x == NULL ? NULL : tn_build_reshape(b, x, NULL, 0); }

static tn_value *pick(tn_build *b, tn_value *boxes, int64_t i) {
  const tn_dim *one = tn_dim_const(b->ctx, 1);
  return tn_build_drop_axis(b, tn_build_slice_axis(b, boxes, 2, tn_dim_const(b->ctx, i), one, 1), 2);
}

/* Corners and area of each box, [B,N]. */
static void find_parts(tn_build *b, tn_value *boxes, bool is_centre, tn_value **out) {
  tn_value *p[4];
  for (int i = 0; i < 4; i++) p[i] = pick(b, boxes, i);
  for (int i = 0; i < 2; i++) {
    tn_value *lo = p[i], *hi = p[i + 2];
    if (is_centre) { /* x, y, width, height */
      tn_value *centre = p[1 - i], *half = tn_build_binary_f(b, TN_MUL, p[3 - i], 0.5);
      lo = tn_build_binary(b, TN_SUB, centre, half);
      hi = tn_build_binary(b, TN_ADD, centre, half);
    }
    out[TOP + i] = tn_build_binary(b, TN_MIN, lo, hi);
    out[BOTTOM + i] = tn_build_binary(b, TN_MAX, lo, hi);
  }
  out[AREA] = tn_build_binary(b, TN_MUL, tn_build_binary(b, TN_SUB, out[BOTTOM], out[TOP]),
                              tn_build_binary(b, TN_SUB, out[RIGHT], out[LEFT]));
}

/* Everything in the order of the scores of each class. */
static bool sort_boxes(suppression *s, tn_value *boxes, tn_value *scores, bool is_centre) {
  tn_build *b = s->b;
  const tn_type *type = scores->type;
  tn_value *parts[N_PARTS];
  const int64_t map[2] = {0, 2};
  tn_attr attrs[3] = {tn_attr_int(2), tn_attr_bool(true), {0}};
  find_parts(b, boxes, is_centre, parts);
  s->order = tn_build_op(b, tn_op_find("argsort"), &scores, 1, attrs);
  if (s->order == NULL) return false;
  s->score = tn_compose_take_along(b, scores, s->order, 2);
  for (int i = 0; i < N_PARTS; i++)
    s->part[i] = tn_compose_take_along(b, tn_build_broadcast_map(b, parts[i], type->dims, 3, map), s->order, 2);
  return s->score != NULL && s->part[AREA] != NULL;
}

/* x, [B,C], along the boxes. */
static tn_value *spread(tn_build *b, tn_value *x, const tn_value *like) {
  const int64_t map[2] = {0, 1};
  return tn_build_broadcast_map(b, x, like->type->dims, 3, map);
}

/* Of all boxes (part) and one of each class (own), bool[B,C,N]: they overlap by more than `overlap`. */
static tn_value *overlaps(tn_build *b, tn_value *const *part, tn_value *const *own, tn_value *overlap) {
  tn_value *side[2], *other[N_PARTS];
  for (int i = 0; i < N_PARTS; i++) other[i] = spread(b, own[i], part[i]);
  for (int i = 0; i < 2; i++) {
    tn_value *hi = tn_build_binary(b, TN_MIN, part[BOTTOM + i], other[BOTTOM + i]);
    tn_value *lo = tn_build_binary(b, TN_MAX, part[TOP + i], other[TOP + i]);
    side[i] = tn_build_binary_f(b, TN_MAX, tn_build_binary(b, TN_SUB, hi, lo), 0);
  }
  tn_value *common = tn_build_binary(b, TN_MUL, side[0], side[1]);
  tn_value *all = tn_build_binary(b, TN_SUB, tn_build_binary(b, TN_ADD, part[AREA], other[AREA]), common);
  tn_value *ratio = tn_build_binary(b, TN_DIV, common, all);
  tn_value *is_more = tn_build_binary(b, TN_GT, ratio, tn_compose_repeat(b, overlap, ratio));
  tn_value *is_there = tn_build_binary_f(b, TN_GT, tn_build_binary(b, TN_MIN, part[AREA], other[AREA]), 0);
  return tn_build_binary(b, TN_AND, is_more, is_there);
}

/* One box of each class: the params are kept; number, score and parts of the box; all parts, and the limits. */
static tn_value *keep_next(const suppression *s, tn_build *in) {
  tn_value **params = in->block->params.data, *kept = params[0], *number = params[1], *score = params[2];
  tn_value **own = params + 3, **part = own + N_PARTS, **limits = part + N_PARTS;
  const int64_t last = 2;
  tn_value *hit = tn_build_binary(in, TN_AND, kept, overlaps(in, part, own, limits[1]));
  tn_value *keep = tn_build_unary(in, TN_NOT, tn_build_reduce(in, "or", hit, &last, 1, false));
  tn_value *n = tn_build_reduce(in, "sum", tn_build_cast(in, kept, TN_I64), &last, 1, false);
  keep = tn_build_binary(in, TN_AND, keep, tn_build_binary(in, TN_LT, n, tn_compose_repeat(in, limits[0], n)));
  if (s->least != NULL)
    keep = tn_build_binary(in, TN_AND, keep,
                           tn_build_binary(in, TN_GT, score, tn_compose_repeat(in, limits[2], score)));
  tn_value *at = tn_build_iota(in, kept->type->dims, 3, 2, TN_I64);
  tn_value *here = tn_build_binary(in, TN_EQ, at, tn_compose_repeat(in, number, at));
  return tn_build_binary(in, TN_OR, kept, tn_build_binary(in, TN_AND, here, spread(in, keep, kept)));
}

/* bool[B,C,N]: the boxes that stay, in the order of their scores. */
static tn_value *keep_boxes(const suppression *s) {
  tn_build *b = s->b;
  const tn_type *type = s->score->type;
  const int64_t perm[3] = {2, 0, 1};
  tn_value *none = tn_build_broadcast_map(b, tn_build_splat_i(b, TN_BOOL, 0), type->dims, 3, NULL);
  tn_value *sequences[2 + N_PARTS] = {tn_build_iota(b, type->dims + 2, 1, 0, TN_I64),
                                      tn_build_transpose(b, s->score, perm)};
  tn_value *fixed[N_PARTS + 3];
  for (int i = 0; i < N_PARTS; i++) {
    sequences[2 + i] = tn_build_transpose(b, s->part[i], perm);
    fixed[i] = s->part[i];
  }
  fixed[N_PARTS] = s->most;
  fixed[N_PARTS + 1] = s->overlap;
  fixed[N_PARTS + 2] = s->least;
  tn_build_scan scan = {.carried = &none, .sequences = sequences, .fixed = fixed, .n_carried = 1,
                        .n_sequences = 2 + N_PARTS, .n_fixed = N_PARTS + 2 + (s->least != NULL)};
  tn_node *made = tn_build_begin_scan(b, &scan);
  if (made == NULL) return NULL;
  tn_build in = tn_build_region(made, 0);
  tn_value *next = keep_next(s, &in);
  if (next == NULL) return NULL;
  tn_build_return(&in, &next, 1);
  return tn_build_end(made) ? made->results[0] : NULL;
}

/* Class, batch and box of each that stays. */
static tn_value *list_kept(const suppression *s, tn_value *kept) {
  tn_build *b = s->b;
  const tn_type *type = s->order->type;
  const tn_dim *all = tn_type_count(b->ctx, type);
  tn_value *at = tn_build_positions(b, kept == NULL ? NULL : tn_build_reshape(b, kept, &all, 1)), *column[3];
  if (at == NULL) return NULL;
  tn_value *row = tn_build_binary(b, TN_DIV, at, tn_compose_repeat(b, tn_compose_dim(b, type->dims[2], TN_I64), at));
  tn_value *classes = tn_compose_repeat(b, tn_compose_dim(b, type->dims[1], TN_I64), at);
  column[0] = tn_build_binary(b, TN_DIV, row, classes);
  column[1] = tn_build_binary(b, TN_REM, row, classes);
  column[2] = tn_build_gather_axis(b, tn_build_reshape(b, s->order, &all, 1), at, 0);
  for (int i = 0; i < 3; i++) column[i] = tn_build_insert_axis(b, column[i], 1);
  return tn_build_concat(b, column, 3, 1);
}

bool tn_import_non_max_suppression(tn_foreign_node *node) {
  suppression s = {.node = node, .b = node->build};
  tn_build *b = node->build;
  tn_value *boxes = tn_foreign_need(node, 0), *scores = tn_foreign_need(node, 1);
  int64_t is_centre;
  if (boxes == NULL || scores == NULL || !tn_foreign_int(node, "center_point_box", 0, &is_centre)) return false;
  const tn_type *type = boxes->type;
  if (type->ndim != 3 || scores->type->ndim != 3)
    return tn_foreign_error(node, TN_E_RANK, "expected boxes [B,N,4] and scores [B,C,N]");
  if (!tn_func_require_eq(b->func, type->dims[2], tn_dim_const(b->ctx, 4), node->loc, "'NonMaxSuppression': corners") ||
      !tn_func_require_eq(b->func, type->dims[0], scores->type->dims[0], node->loc, "'NonMaxSuppression': batches") ||
      !tn_func_require_eq(b->func, type->dims[1], scores->type->dims[2], node->loc, "'NonMaxSuppression': boxes"))
    return false;
  s.most = tn_foreign_input(node, 2) ? scalar(b, tn_foreign_input(node, 2)) : tn_build_splat_i(b, TN_I64, 0);
  s.overlap = tn_foreign_input(node, 3) ? scalar(b, tn_foreign_input(node, 3)) : tn_build_splat_f(b, type->dtype, 0);
  s.least = scalar(b, tn_foreign_input(node, 4));
  if (!sort_boxes(&s, boxes, scores, is_centre != 0)) return false;
  return tn_foreign_set(node, 0, list_kept(&s, keep_boxes(&s)));
}
