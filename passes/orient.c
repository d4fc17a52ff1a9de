/* Orientation of products: where both operands lie along the summed axis, the second is copied so that it lies along
 * its own axes, when there are rows enough to pay for it. A kernel then multiplies vectors of columns, as it does with
 * packed constants; where rows are few it forms dot products of the operands as they lie. Gradients of matrix products
 * are of this kind: dx = dy w^T. What a loop multiplies by in every iteration is copied before it. Where the first
 * operand lies across a long sum at distances that caches map to few sets, it is copied to lie along it: dw = x^T dy.
 * Weights of convolutions that are no constants are copied as panels, as a backend packs constants; so are images that
 * the gradient of weights sums over. */
#include "ir/build.h"
#include "ir/primitives.h"
#include "passes/groups.h"
#include "passes/memory_view.h"
#include "passes/passes.h"

#define LEAST_ROWS 128
#define SHORT_SUM 512 /* shorter dot products spend much of their time on adding up lanes: fewer rows pay */
#define LEAST_ROWS_OF_SHORT 48
#define LEAST_ROWS_IN_LOOP 4 /* where the copy is made once for all iterations */
#define LEAST_COLUMNS 16
#define ALIASING_PITCH 2048
#define PADDED_PITCH 4096 /* passes/layout.c */
#define LEAST_CHANNELS 4
#define PANEL_VECTORS 2 /* of floats: as wide as a register tile */
#define LEAST_PRODUCTS 32
#define LONG_SUM 512
#define LEAST_COLUMNS_OF_LONG 64

/* The axis of value along which neighbours are neighbours in memory, if the value below all views is row-major; -1 when
 * that is not known. */
static int64_t inner_axis(const tn_value *value) {
  const tn_node *node = value->def;
  uint32_t n = value->type->ndim;
  if (n == 0) return -1;
  if (!node || !tn_node_is_view(node) || node->n_operands == 0) return (int64_t)n - 1;
  const tn_value *from = node->operands[0].value;
  int64_t inner = inner_axis(from);
  if (inner < 0) return -1;
  if (node->op == &tn_op_transpose) {
    const int64_t *perm = tn_node_attr(node, "perm")->u.list.ints;
    for (uint32_t i = 0; i < n; i++)
      if (perm[i] == inner) return i;
  } else if (node->op == &tn_op_slice) {
    const tn_attr *step = tn_node_attr(node, "step");
    return step->u.list.n == 0 || step->u.list.ints[inner] == 1 ? inner : -1;
  } else if (node->op == &tn_op_reshape) {
    bool is_last = inner + 1 == (int64_t)from->type->ndim;
    return is_last && from->type->dims[inner] == value->type->dims[n - 1] ? (int64_t)n - 1 : -1;
  }
  return -1;
}

static bool is_constant(const tn_value *value) {
  while (value->def && tn_node_is_view(value->def) && value->def->n_operands > 0) value = value->def->operands[0].value;
  return tn_value_const(value) != NULL;
}

static bool is_summed(const tn_node *dot, int side, int64_t axis) {
  const tn_attr *sum = tn_node_attr(dot, "sum");
  for (uint32_t i = 0; i < sum->u.list.n; i++)
    if (sum->u.list.ints[2 * i + side] == axis) return true;
  return false;
}

static bool is_batch(const tn_node *dot, int side, int64_t axis) {
  const tn_attr *batch = tn_node_attr(dot, "batch");
  for (uint32_t i = 0; i < batch->u.list.n; i++)
    if (batch->u.list.ints[2 * i + side] == axis) return true;
  return false;
}

/* Positions of the operand's summed axes, or of its own; run-time extents count as 64. */
static double points(const tn_node *dot, int side, bool summed) {
  const tn_type *type = dot->operands[side].value->type;
  double n = 1;
  for (uint32_t i = 0; i < type->ndim; i++)
    if (is_summed(dot, side, i) == summed && !is_batch(dot, side, i))
      n *= tn_dim_is_const(type->dims[i]) ? (double)tn_dim_value(type->dims[i]) : 64;
  return n;
}

static bool wants_copy(const tn_node *dot, double least_rows, double least_rows_of_short) {
  for (int side = 0; side < 2; side++) {
    const tn_value *value = dot->operands[side].value;
    int64_t inner = inner_axis(value);
    if (inner < 0 || !is_summed(dot, side, inner)) return false;
  }
  const tn_value *y = dot->operands[1].value;
  if (is_constant(y) || tn_dtype_bits(y->type->dtype) < 32) return false;
  double least = points(dot, 1, true) < SHORT_SUM ? least_rows_of_short : least_rows;
  return points(dot, 0, false) >= least && points(dot, 1, false) >= LEAST_COLUMNS;
}

/* The rows of x lie across the sum, a multiple of 2 KB from one term to the next: the lines of a long sum fall into few
 * sets of the caches, and are fetched again for every block of columns. */
static bool wants_rows_copy(const tn_node *dot) {
  const tn_value *x = dot->operands[0].value, *y = dot->operands[1].value;
  int64_t inner = inner_axis(x), inner_y = inner_axis(y);
  if (inner < 0 || inner_y < 0 || is_summed(dot, 0, inner) || is_summed(dot, 1, inner_y)) return false;
  if (is_batch(dot, 0, inner) || is_batch(dot, 1, inner_y) || is_constant(x)) return false;
  const tn_dim *pitch = x->type->dims[inner];
  size_t element = tn_dtype_bytes(x->type->dtype);
  if (!tn_dim_is_const(pitch) || (uint64_t)tn_dim_value(pitch) * element % ALIASING_PITCH != 0 || element < 4)
    return false;
  if (x->def && x->def->n_regions == 0 && !tn_node_is_view(x->def) && tn_value_feeds_products(x) &&
      (uint64_t)tn_dim_value(pitch) * element % PADDED_PITCH == 0)
    return false; /* layout pads it */
  return points(dot, 0, true) >= LONG_SUM && points(dot, 1, false) >= LEAST_COLUMNS_OF_LONG;
}

/* An operand's axes with its own ones (of the first operand, the summed ones) innermost, and the way back. */
typedef struct orientation {
  int64_t perm[TN_MAX_NDIM], back[TN_MAX_NDIM];
} orientation;

static orientation orientation_of(const tn_node *dot, int side) {
  orientation o;
  const tn_type *y = dot->operands[side].value->type;
  uint32_t n = 0;
  for (int stage = 0; stage < 3; stage++)
    for (uint32_t i = 0; i < y->ndim; i++) {
      int own = is_batch(dot, side, i) ? 0 : is_summed(dot, side, i) ? 1 + (side == 0) : 2 - (side == 0);
      if (own == stage) o.perm[n++] = i;
    }
  for (uint32_t i = 0; i < n; i++) o.back[o.perm[i]] = i;
  return o;
}

static tn_value *copy_oriented(tn_build *b, tn_value *y, const orientation *o) {
  tn_value *moved = tn_build_transpose(b, y, o->perm);
  return tn_build_op(b, &tn_op_fence, &moved, 1, NULL);
}

/* The same of a first operand. Its summed axes, innermost then, become one, so that layout pads rows that would fall
 * into few sets of the caches. */
static tn_value *copy_rows(tn_build *b, const tn_node *dot, tn_value *x, const orientation *o) {
  tn_value *moved = tn_build_transpose(b, x, o->perm);
  uint32_t n_sums = tn_node_attr(dot, "sum")->u.list.n; /* pairs */
  if (!moved || n_sums < 2) return moved ? tn_build_op(b, &tn_op_fence, &moved, 1, NULL) : NULL;
  const tn_type *type = moved->type;
  const tn_dim *dims[TN_MAX_NDIM];
  uint32_t n = type->ndim - n_sums;
  for (uint32_t i = 0; i <= n; i++) dims[i] = type->dims[i];
  for (uint32_t i = n + 1; i < type->ndim; i++) dims[n] = tn_dim_mul(b->ctx, dims[n], type->dims[i]);
  tn_value *rows = tn_build_reshape(b, moved, dims, n + 1);
  rows = tn_build_op(b, &tn_op_fence, &rows, 1, NULL);
  return tn_build_reshape(b, rows, type->dims, type->ndim);
}

/* The axis of a convolution's weights that the lanes of its kernel run over: the channels of the result. */
static uint32_t lane_axis(const tn_node *conv) { return conv->op == &tn_op_conv ? 0 : 1; }

static bool is_computed(const tn_value *value) {
  while (value->def && tn_node_is_view(value->def) && value->def->n_operands > 0) value = value->def->operands[0].value;
  return value->def && value->def->op != &tn_op_const;
}

/* What has been copied in a block -> its copy. */
typedef struct orient_maps {
  tn_map operands[2]; /* by side */
  tn_map weights[2];  /* by the axis of the lanes */
  tn_map pixels;
} orient_maps;

/* Whether the axis is cut into panels: of `width` elements side by side, one panel behind the other, so that a kernel
 * reads what it multiplies in the order of memory. What fits one panel is none, and so is what fills no whole ones. */
static bool fills_panels(const tn_dim *extent, int64_t parts, int64_t width) {
  int64_t count = tn_dim_is_const(extent) ? tn_dim_value(extent) / parts : 0;
  return count % width == 0 && count > width;
}

/* Weights that are no constants lie as the caller has them, channels apart: they are copied, each result channel next
 * to the other. */
static bool wants_weights(const tn_node *conv) {
  const tn_value *w = conv->operands[1].value;
  if (is_constant(w) || is_computed(w) || tn_dtype_bits(w->type->dtype) < 32) return false;
  const tn_dim *channels = conv->results[0]->type->dims[1];
  bool is_few = tn_dim_is_const(channels) && tn_dim_value(channels) < LEAST_CHANNELS;
  return inner_axis(w) != (int64_t)lane_axis(conv) && !is_few;
}

/* A convolution of images that are its weights is the gradient of another one's weights. Of some channels, what a
 * register tile reads of a pixel lies far from what it reads of the next: both operands are copied. */
static bool wants_images(const tn_node *conv, int64_t width) {
  const tn_value *x = conv->operands[0].value, *w = conv->operands[1].value;
  if (conv->op != &tn_op_conv || !is_computed(x) || !is_computed(w) || tn_dtype_bits(w->type->dtype) < 32) return false;
  return w->type->ndim < TN_MAX_NDIM && fills_panels(x->type->dims[0], 1, width) &&
         fills_panels(w->type->dims[0], tn_node_attr(conv, "groups")->u.i, width);
}

/* A copy of w with its lane axis innermost. */
static tn_value *copy_lanes(tn_build *b, tn_value *w, uint32_t lane) {
  orientation o = {{0}, {0}};
  uint32_t n = 0;
  for (uint32_t i = 0; i < w->type->ndim; i++)
    if (i != lane) o.perm[n++] = i;
  o.perm[n++] = lane;
  for (uint32_t i = 0; i < n; i++) o.back[o.perm[i]] = i;
  return tn_build_transpose(b, copy_oriented(b, w, &o), o.back);
}

/* A copy of w as panels of its axis `lane`, 0 or 1: [lane / width, spatial axes, other axis, width], the order in which
 * channels last are walked, or the other axis before the spatial ones where it counts images. */
static tn_value *copy_panels(tn_build *b, tn_value *w, uint32_t lane, int64_t width, bool of_images) {
  const tn_type *type = w->type;
  uint32_t n = type->ndim + 1, other = lane == 0 ? 2 : 0, at = 0;
  const tn_dim *dims[TN_MAX_NDIM];
  orientation o = {{0}, {0}};
  for (uint32_t i = 0; i < n; i++)
    dims[i] = i == lane ? tn_dim_floordiv(b->ctx, type->dims[i], tn_dim_const(b->ctx, width))
              : i == lane + 1 ? tn_dim_const(b->ctx, width) : type->dims[i > lane ? i - 1 : i];
  o.perm[at++] = lane;
  if (of_images) o.perm[at++] = other;
  for (uint32_t i = 3; i < n; i++) o.perm[at++] = i;
  if (!of_images) o.perm[at++] = other;
  o.perm[at++] = lane + 1;
  for (uint32_t i = 0; i < n; i++) o.back[o.perm[i]] = i;
  tn_value *copy = copy_oriented(b, tn_build_reshape(b, w, dims, n), &o);
  return tn_build_reshape(b, tn_build_transpose(b, copy, o.back), type->dims, type->ndim);
}

static bool orient_weights(tn_node *conv, tn_map *copies, int64_t width) {
  tn_value *w = conv->operands[1].value, *copy = tn_map_get(copies, w);
  uint32_t lane = lane_axis(conv);
  if (!copy) {
    tn_build b = tn_build_before(conv);
    bool has_panels = w->type->ndim < TN_MAX_NDIM && tn_node_attr(conv, "groups")->u.i == 1 &&
                      fills_panels(w->type->dims[lane], 1, width);
    copy = has_panels ? copy_panels(&b, w, lane, width, false) : copy_lanes(&b, w, lane);
    tn_map_set(copies, w, copy);
  }
  if (copy) tn_node_set_operand(conv, 1, copy);
  return copy != NULL;
}

static bool orient_images(tn_node *conv, tn_map *copies, int64_t width) {
  for (uint32_t side = 0; side < 2; side++) {
    tn_value *images = conv->operands[side].value, *copy = tn_map_get(copies, images);
    if (!copy) {
      tn_build b = tn_build_before(conv);
      copy = copy_panels(&b, images, 0, width, true);
      tn_map_set(copies, images, copy);
    }
    if (!copy) return false;
    tn_node_set_operand(conv, side, copy);
  }
  return true;
}

/* Whether the lanes of a convolution's kernel run over rows of pixels, which then have to lie side by side, and each is
 * multiplied often enough to pay for a copy. Arguments lie so already. */
static bool wants_rows_of_pixels(const tn_node *conv, const tn_target *target) {
  const tn_type *w = conv->operands[1].value->type;
  const tn_attr *stride = tn_node_attr(conv, "stride");
  double products = 1;
  for (uint32_t i = 0; i < w->ndim; i++)
    if (i != 1 - lane_axis(conv)) products *= tn_dim_is_const(w->dims[i]) ? (double)tn_dim_value(w->dims[i]) : 1;
  return is_computed(conv->operands[0].value) && tn_fills_rows(target, conv->results[0]->type) &&
         stride->u.list.ints[stride->u.list.n - 1] == 1 && products >= LEAST_PRODUCTS;
}

static bool orient_pixels(tn_node *conv, tn_map *copies) {
  tn_value *x = conv->operands[0].value, *copy = tn_map_get(copies, x);
  if (!copy) {
    tn_build b = tn_build_before(conv);
    copy = tn_build_op(&b, &tn_op_fence, &x, 1, NULL);
    tn_map_set(copies, x, copy);
  }
  if (copy) tn_node_set_operand(conv, 0, copy);
  return copy != NULL;
}

static bool orient_conv(tn_node *conv, orient_maps *maps, const tn_target *target) {
  int64_t width = PANEL_VECTORS * (int64_t)target->vector_bits / 32;
  if (wants_images(conv, width)) return orient_images(conv, &maps->weights[0], width);
  if (wants_rows_of_pixels(conv, target) && !orient_pixels(conv, &maps->pixels)) return false;
  return !wants_weights(conv) || orient_weights(conv, &maps->weights[lane_axis(conv)], width);
}

/* The number of the parameter that y is, when it is the same in all iterations of the loop whose region holds dot and
 * dot alone reads it; else UINT32_MAX. */
static uint32_t invariant_of(const tn_node *dot, tn_arena *scratch, uint32_t *out_operand) {
  const tn_node *owner = dot->block->owner;
  const tn_value *y = dot->operands[1].value;
  bool is_loop = owner && (owner->op == &tn_op_scan || owner->op == &tn_op_loop);
  if (!is_loop || y->def || y->n_uses != 1) return UINT32_MAX;
  tn_region_param *params = TN_NEW_N(scratch, tn_region_param, (size_t)owner->n_operands + 1);
  uint32_t n = 0;
  owner->op->params(owner, 0, params, &n);
  for (uint32_t i = 0; i < n; i++) {
    if (dot->block->params.data[i] != y) continue;
    *out_operand = params[i].operand;
    return params[i].role == TN_PARAM_FIXED && !is_constant(owner->operands[*out_operand].value) ? i : UINT32_MAX;
  }
  return UINT32_MAX;
}

/* The copy is made before the loop. */
static bool orient_invariant(tn_node *dot, uint32_t param, uint32_t operand) {
  tn_node *owner = dot->block->owner;
  orientation o = orientation_of(dot, 1);
  tn_build before = tn_build_before(owner), inside = tn_build_before(dot);
  tn_value *copy = copy_oriented(&before, owner->operands[operand].value, &o);
  if (!copy) return false;
  tn_node_set_operand(owner, operand, copy);
  for (uint32_t i = 0; i < owner->n_regions; i++) tn_node_region(owner, i);
  tn_value *seen = tn_build_transpose(&inside, dot->block->params.data[param], o.back);
  if (seen) tn_node_set_operand(dot, 1, seen);
  return seen != NULL;
}

static bool orient(tn_node *dot, tn_map *copies, tn_arena *scratch) {
  uint32_t operand, param = invariant_of(dot, scratch, &operand);
  if (param != UINT32_MAX)
    return !wants_copy(dot, LEAST_ROWS_IN_LOOP, LEAST_ROWS_IN_LOOP) || orient_invariant(dot, param, operand);
  int64_t inner = inner_axis(dot->operands[0].value);
  bool has_rows = inner >= 0 && !is_summed(dot, 0, inner) && tn_map_get(&copies[0], dot->operands[0].value);
  int side = wants_copy(dot, LEAST_ROWS, LEAST_ROWS_OF_SHORT) ? 1 : has_rows || wants_rows_copy(dot) ? 0 : -1;
  if (side < 0) return true;
  tn_value *value = dot->operands[side].value, *copy = tn_map_get(&copies[side], value);
  if (!copy) {
    tn_build b = tn_build_before(dot);
    orientation o = orientation_of(dot, side);
    copy = side == 0 ? copy_rows(&b, dot, value, &o) : copy_oriented(&b, value, &o);
    copy = tn_build_transpose(&b, copy, o.back);
    tn_map_set(&copies[side], value, copy);
  }
  if (copy) tn_node_set_operand(dot, (uint32_t)side, copy);
  return copy != NULL;
}

static bool visit(tn_block *block, const tn_target *target, tn_arena *scratch) {
  orient_maps maps = {{tn_map_create(scratch), tn_map_create(scratch)},
                      {tn_map_create(scratch), tn_map_create(scratch)},
                      tn_map_create(scratch)};
  bool ok = true;
  for (tn_node *node = block->first; node; node = node->next) {
    for (uint32_t i = 0; i < node->n_regions; i++) ok &= visit(node->regions[i], target, scratch);
    bool is_conv = node->op == &tn_op_conv || node->op == &tn_op_conv_dx;
    if (node->op != &tn_op_dot && !is_conv) continue;
    tn_loc_push(block->func->module->ctx, node->loc);
    ok &= is_conv ? orient_conv(node, &maps, target) : orient(node, maps.operands, scratch);
    tn_loc_pop(block->func->module->ctx);
  }
  return ok;
}

bool tn_pass_orient(tn_pass_context *context) {
  tn_arena *scratch = tn_arena_create_scratch(context->ctx->arena);
  bool ok = visit(context->entry->body, context->target, scratch);
  tn_arena_destroy(scratch);
  return ok;
}
