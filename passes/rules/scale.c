/* Constant scales and offsets per channel move into the weights and the bias of the convolution or product before them:
 * batch normalisation of a trained model disappears. Sums are rounded elsewhere than before, by no more than the
 * products themselves are; so the rules are a class of their own (TN_RULE_FOLD_SCALE). f32 and f64 only: in narrower
 * types the scaled weights would lose more than the sum did.
 *
 * A producer's bias is an add of a constant to its result, as everywhere in the IR. */
#include "ir/primitives.h"
#include "passes/rules/apply.h"

/* A constant that varies along at most one axis of the value it is broadcast to. */
typedef struct channels {
  tn_const *constant;
  int64_t axis; /* of the value; -1 when all elements are one */
} channels;

static bool find_channels(const tn_value *value, channels *out) {
  const tn_node *broadcast;
  out->constant = tn_rule_const(value, &broadcast);
  out->axis = -1;
  if (!out->constant) return false;
  const tn_type *type = out->constant->type;
  for (uint32_t i = 0; i < type->ndim; i++) {
    if (tn_dim_is(type->dims[i], 1)) continue;
    if (out->axis >= 0) return false;
    out->axis = broadcast ? tn_node_attr(broadcast, "map")->u.list.ints[i] : i;
    if (value->type->dims[out->axis] != type->dims[i]) return false;
  }
  return true;
}

/* Where the weights of a producer lie and which of their axes makes an axis of the result. */
typedef struct weights {
  uint32_t operand;
  uint32_t axis;
} weights;

/* Result axes of a product: batch, then the free axes of a, then those of b. */
static bool dot_weights(const tn_node *dot, int64_t result_axis, weights *out) {
  const tn_attr *batch = tn_node_attr(dot, "batch"), *sum = tn_node_attr(dot, "sum");
  int64_t at = batch->u.list.n;
  if (result_axis >= 0 && result_axis < at) return false;
  for (uint32_t side = 0; side < 2; side++) {
    const tn_value *x = dot->operands[side].value;
    uint32_t bound = 0;
    for (uint32_t i = 0; i < batch->u.list.n; i++) bound |= 1u << batch->u.list.ints[2 * i + side];
    for (uint32_t i = 0; i < sum->u.list.n; i++) bound |= 1u << sum->u.list.ints[2 * i + side];
    if (result_axis < 0 && tn_value_const(x) && x->type->ndim) {
      *out = (weights){side, 0};
      return true;
    }
    for (uint32_t axis = 0; axis < x->type->ndim; axis++) {
      if (bound >> axis & 1) continue;
      if (at++ != result_axis) continue;
      *out = (weights){side, axis};
      return tn_value_const(x) != NULL;
    }
  }
  return false;
}

/* value is the only use of a convolution or product by constant weights, scaled along result_axis (-1: all of it). */
static bool find_weights(const tn_value *value, int64_t result_axis, weights *out) {
  const tn_node *node = value->def;
  if (!node || value->n_uses != 1) return false;
  if (node->op == &tn_op_dot) return dot_weights(node, result_axis, out);
  if (result_axis >= 0 && result_axis != 1) return false;
  if (node->op != &tn_op_conv && node->op != &tn_op_conv_dx) return false;
  if (!tn_value_const(node->operands[1].value)) return false;
  *out = (weights){1, node->op == &tn_op_conv ? 0 : 1};
  return node->op == &tn_op_conv || tn_node_attr(node, "groups")->u.i == 1;
}

static bool is_producer(const tn_value *value) {
  weights unused;
  return find_weights(value, -1, &unused);
}

static bool is_wide_op(const tn_node *node, tn_scalar scalar) {
  tn_dtype dtype = node->results[0]->type->dtype;
  return node->op == tn_op_of_scalar(scalar) && (dtype == TN_F32 || dtype == TN_F64);
}

/* node's operands as (lone add, constant): the add's are (x, constant) again. Either order of each. */
typedef struct offset_form {
  tn_value *product, *offset, *other;
  channels offset_at, other_at;
} offset_form;

static bool find_offset_form(const tn_node *node, offset_form *out) {
  for (uint32_t side = 0; side < 2; side++) {
    const tn_value *sum = node->operands[side].value;
    out->other = node->operands[1 - side].value;
    if (!sum->def || !is_wide_op(sum->def, TN_ADD) || sum->n_uses != 1 || !find_channels(out->other, &out->other_at))
      continue;
    for (uint32_t k = 0; k < 2; k++) {
      out->product = sum->def->operands[k].value;
      out->offset = sum->def->operands[1 - k].value;
      if (!find_channels(out->offset, &out->offset_at) || !is_producer(out->product)) continue;
      int64_t p = out->offset_at.axis, q = out->other_at.axis;
      if (p < 0 || q < 0 || p == q) return true;
    }
  }
  return false;
}

/* producer * scale: the scale goes into the weights, as a recipe that runs when their bytes are needed. */
tn_value *tn_rule_scale_weights(tn_build *b, tn_node *node) {
  if (!is_wide_op(node, TN_MUL)) return NULL;
  for (uint32_t side = 0; side < 2; side++) {
    const tn_value *product = node->operands[side].value, *factor = node->operands[1 - side].value;
    channels scale;
    weights at;
    if (!find_channels(factor, &scale) || !find_weights(product, scale.axis, &at)) continue;
    const tn_node *producer = product->def;
    tn_const *base = tn_value_const(producer->operands[at.operand].value);
    tn_const *scaled = tn_const_recipe_scale(b->module, base, scale.constant, at.axis);
    if (!scaled) continue;
    tn_value *operands[2] = {producer->operands[0].value, producer->operands[1].value};
    operands[at.operand] = tn_build_const(b, scaled);
    return tn_rule_rebuild(b, producer, operands);
  }
  return NULL;
}

/* (producer + offset) * scale = producer * scale + offset * scale. */
tn_value *tn_rule_scale_offset(tn_build *b, tn_node *node) {
  offset_form form;
  weights unused;
  if (!is_wide_op(node, TN_MUL) || !find_offset_form(node, &form)) return NULL;
  if (!find_weights(form.product, form.other_at.axis, &unused)) return NULL;
  tn_value *product = tn_build_binary(b, TN_MUL, form.product, form.other);
  return tn_build_binary(b, TN_ADD, product, tn_build_binary(b, TN_MUL, form.offset, form.other));
}

/* (producer + offset) + offset. */
tn_value *tn_rule_join_offsets(tn_build *b, tn_node *node) {
  offset_form form;
  if (!is_wide_op(node, TN_ADD) || !find_offset_form(node, &form)) return NULL;
  return tn_build_binary(b, TN_ADD, form.product, tn_build_binary(b, TN_ADD, form.offset, form.other));
}

/* A division becomes a product, which the rules above can use. */
tn_value *tn_rule_invert_scale(tn_build *b, tn_node *node) {
  offset_form form;
  channels scale;
  weights unused;
  if (!is_wide_op(node, TN_DIV)) return NULL;
  tn_value *x = node->operands[0].value, *divisor = node->operands[1].value;
  if (!find_channels(divisor, &scale)) return NULL;
  bool is_sum = find_offset_form(node, &form) && form.other == divisor;
  if (!find_weights(is_sum ? form.product : x, scale.axis, &unused)) return NULL;
  tn_value *inverse = tn_build_binary(b, TN_DIV, tn_build_fill_like(b, divisor, 1), divisor);
  return tn_build_binary(b, TN_MUL, x, inverse);
}
