/* dropout (Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", JMLR 15, 2014). */
#include "ir/ops/random.h"

#include <math.h>

enum { P, STREAM, AXIS };

static bool infer_dropout(tn_infer *infer) {
  const tn_type *x = infer->operands[0]->type;
  double p = infer->attrs[P].u.f;
  bool ok = p >= 0 && p < 1;
  infer->types[0] = x;
  if (!ok) tn_infer_error(infer, TN_E_ATTR, "p: expected a number from 0 to below 1, found %g", p);
  if (x->ndim > 0) ok = tn_infer_axis(infer, "axis", infer->attrs[AXIS].u.i, x->ndim) && ok;
  if (infer->n_operands < 2 || infer->operands[1] == NULL) return ok;
  return tn_infer_rank(infer, 1, 1) &&
         tn_func_require_eq(infer->func, infer->operands[1]->type->dims[0], tn_dim_const(infer->ctx, TN_RANDOM_STATE),
                            infer->loc, "'dropout': the elements of %s", tn_infer_operand(infer, 1)) && ok;
}

/* An element stays where its bits, as a number below 2^32, reach p 2^32. */
static bool expand_dropout(tn_build *b, const tn_node *node, tn_value *const *operands, tn_value **out) {
  double p = tn_attr_f(node, P);
  tn_random random = {node->n_operands > 1 ? operands[1] : NULL, node->attrs[STREAM].u.i,
                      (uint32_t)node->attrs[AXIS].u.i};
  *out = operands[0];
  if (random.state == NULL || p == 0) return *out != NULL;
  tn_value *x = tn_compose_wide(b, operands[0]);
  tn_value *bits = tn_random_bits(b, &random, x->type->dims, x->type->ndim, 0);
  if (bits == NULL) return false;
  double least = fmin(floor(p * 0x1p32 + 0.5), UINT32_MAX);
  tn_value *kept = tn_build_binary(b, TN_GE, bits,
                                   tn_compose_repeat(b, tn_build_splat_i(b, TN_U32, (int64_t)least), bits));
  tn_value *scaled = tn_build_binary_f(b, TN_MUL, x, 1 / (1 - p));
  *out = tn_compose_narrow(b, tn_build_select(b, kept, scaled, tn_build_fill_like(b, x, 0)), operands[0]);
  return *out != NULL;
}

static const tn_operand_def operands[] = {{"x", TN_ONE, TN_SET_FLOAT, TN_ROLE_DATA, NULL, 0},
                                          {"state", TN_OPTIONAL, TN_DTYPE_BIT(TN_U64), TN_ROLE_DATA, NULL, 0}};
static const tn_attr_def attrs[] = {
    {.name = "p", .kind = TN_ATTR_FLOAT, .required = true},
    {.name = "stream", .kind = TN_ATTR_INT, .required = true, .min_i = 0, .max_i = UINT32_MAX},
    {.name = "axis", .kind = TN_ATTR_INT}};
static const tn_op_sample samples[] = {
    {TN_TYPES("f32[4,3]", "u64[3]"), "{p=0.5, stream=1}", 0.5, 2, "f32[4,3]"},
    {TN_TYPES("f16[2,B]", "u64[3]"), "{p=0.1, stream=2, axis=1}", 0.5, 2, "f16[2,B]"},
    {TN_TYPES("f64[5]"), "{p=0.5, stream=3}", 0, 0, "f64[5]"},
    {TN_TYPES("f32[]", "u64[3]"), "{p=0.0, stream=4}", 0, 0, "f32[]"},
    {TN_TYPES("f32[0,3]", "u64[3]"), "{p=0.5, stream=5}", 0, 0, "f32[0,3]"},
    {TN_TYPES("f32[2]", "u64[3]"), "{p=1.0, stream=6}", 0, 0, NULL},
    {TN_TYPES("f32[2]", "u64[2]"), "{p=0.5, stream=7}", 0, 0, NULL},
    {TN_TYPES("f32[2]", "u64[3]"), "{p=0.5, stream=8, axis=1}", 0, 0, NULL},
    {TN_TYPES("f32[2]", "u64[3]"), "{p=0.5}", 0, 0, NULL},
};

const tn_opdef tn_op_dropout = {
    .name = "dropout",
    .kind = TN_OP_COMPOSITE,
    .doc = "Each element of x is 0 with probability p, else times 1 / (1 - p); the bits are those of random_bits for "
           "state, stream and axis. Without a state, in evaluation, x itself.",
    TN_OPERANDS(operands),
    .n_results = 1,
    TN_ATTRS(attrs),
    .infer = infer_dropout,
    .expand = expand_dropout,
    TN_SAMPLES(samples),
};
