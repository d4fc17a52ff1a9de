/* random_bits: numbers of a counter-based generator (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
 * 2011), which depend on nothing but their place: recomputing them, or a part of them elsewhere, gives the same
 * bits. */
#include "ir/ops/random.h"

enum { DIMS, AXIS, STREAM, WORD, N_ATTRS };

enum { ROUNDS = 10 };

static const uint32_t multipliers[2] = {0xd2511f53, 0xcd9e8d57}, key_steps[2] = {0x9e3779b9, 0xbb67ae85};

static bool infer_random_bits(tn_infer *infer) {
  const tn_type *state = infer->operands[0]->type;
  const tn_attr *dims = &infer->attrs[DIMS];
  int64_t axis = infer->attrs[AXIS].u.i;
  bool ok = tn_infer_rank(infer, 0, 1) &&
            tn_func_require_eq(infer->func, state->dims[0], tn_dim_const(infer->ctx, TN_RANDOM_STATE), infer->loc,
                               "'random_bits': the elements of %s", tn_infer_operand(infer, 0));
  if (dims->u.list.n > 0) ok = tn_infer_axis(infer, "axis", axis, dims->u.list.n) && ok;
  for (uint32_t i = 0; i < dims->u.list.n; i++) ok = tn_infer_extent(infer, "an extent", dims->u.list.dims[i]) && ok;
  return ok && tn_infer_result(infer, 0, TN_U32, dims->u.list.n, dims->u.list.dims);
}

static tn_value *constant(tn_build *b, uint64_t v, const tn_value *like) {
  return tn_compose_repeat(b, tn_build_splat_i(b, TN_U64, (int64_t)v), like);
}

static tn_value *low(tn_build *b, tn_value *x) { return tn_build_binary(b, TN_AND, x, constant(b, UINT32_MAX, x)); }
static tn_value *high(tn_build *b, tn_value *x) { return tn_build_binary(b, TN_SHR, x, constant(b, 32, x)); }
static tn_value *exclusive_or(tn_build *b, tn_value *x, tn_value *y) { return tn_build_binary(b, TN_XOR, x, y); }

/* The position of each element among those of all samples: axis counts the samples, of which `first` is the first. */
static tn_value *positions(tn_build *b, const tn_node *node, tn_value *first) {
  const tn_attr *dims = &node->attrs[DIMS];
  uint32_t n = dims->u.list.n, axis = (uint32_t)node->attrs[AXIS].u.i, n_rest = 0;
  const tn_dim *rest[TN_MAX_NDIM];
  int64_t map[TN_MAX_NDIM];
  if (n == 0) return first;
  for (uint32_t i = 0; i < n; i++) {
    if (i == axis) continue;
    rest[n_rest] = dims->u.list.dims[i];
    map[n_rest++] = i;
  }
  const tn_dim *count = tn_dim_product(b->ctx, rest, n_rest);
  tn_value *sample = tn_build_iota(b, dims->u.list.dims, n, axis, TN_U64);
  tn_value *within = tn_build_reshape(b, tn_build_iota(b, &count, 1, 0, TN_U64), rest, n_rest);
  if (sample == NULL || within == NULL) return NULL;
  sample = tn_build_binary(b, TN_ADD, sample, tn_compose_repeat(b, first, sample));
  sample = tn_build_binary(b, TN_MUL, sample, tn_compose_repeat(b, tn_compose_dim(b, count, TN_U64), sample));
  within = tn_build_broadcast_map(b, within, dims->u.list.dims, n, map);
  return tn_build_binary(b, TN_ADD, sample, within);
}

/* One round on words of 32 bits, each in 64, so that products keep their upper halves. */
static void mix(tn_build *b, tn_value *words[4], tn_value *const keys[2]) {
  tn_value *p[2];
  for (int i = 0; i < 2; i++) p[i] = tn_build_binary(b, TN_MUL, words[2 * i], constant(b, multipliers[i], words[0]));
  tn_value *next[4];
  for (int i = 0; i < 2; i++) {
    tn_value *key = tn_compose_repeat(b, keys[i], words[0]);
    next[2 * i] = exclusive_or(b, exclusive_or(b, high(b, p[1 - i]), words[2 * i + 1]), key);
    next[2 * i + 1] = low(b, p[1 - i]);
  }
  for (int i = 0; i < 4; i++) words[i] = next[i];
}

/* Counter: the position (64 bits), the step, the stream; key: the seed. */
static bool expand_random_bits(tn_build *b, const tn_node *node, tn_value *const *operands, tn_value **out) {
  tn_value *state[TN_RANDOM_STATE], *keys[2], *words[4];
  for (uint32_t i = 0; i < TN_RANDOM_STATE; i++) state[i] = tn_compose_entry(b, operands[0], i);
  tn_value *position = positions(b, node, state[TN_RANDOM_FIRST]);
  if (position == NULL || state[TN_RANDOM_SEED] == NULL || state[TN_RANDOM_STEP] == NULL) return false;
  keys[0] = low(b, state[TN_RANDOM_SEED]);
  keys[1] = high(b, state[TN_RANDOM_SEED]);
  words[0] = low(b, position);
  words[1] = high(b, position);
  words[2] = tn_compose_repeat(b, low(b, state[TN_RANDOM_STEP]), position);
  words[3] = constant(b, (uint64_t)node->attrs[STREAM].u.i, position);
  for (int round = 0; round < ROUNDS; round++) {
    mix(b, words, keys);
    for (int i = 0; i < 2 && keys[i] != NULL; i++)
      keys[i] = low(b, tn_build_binary(b, TN_ADD, keys[i], constant(b, key_steps[i], keys[i])));
  }
  tn_value *word = words[node->attrs[WORD].u.i];
  *out = word == NULL ? NULL : tn_build_cast(b, word, TN_U32);
  return *out != NULL;
}

tn_value *tn_random_bits(tn_build *b, const tn_random *random, const tn_dim *const *dims, uint32_t n, uint32_t word) {
  tn_value *state = random->state;
  tn_attr attrs[N_ATTRS] = {tn_attr_dims(b->module, dims, n), tn_attr_int(random->axis), tn_attr_int(random->stream),
                            tn_attr_int(word)};
  return tn_build_op(b, &tn_op_random_bits, &state, 1, attrs);
}

/* Two words of a place as one number of 64 bits. */
static tn_value *pair(tn_build *b, const tn_random *random, const tn_dim *const *dims, uint32_t n, uint32_t word) {
  tn_value *upper = tn_random_bits(b, random, dims, n, word), *lower = tn_random_bits(b, random, dims, n, word + 1);
  if (upper == NULL || lower == NULL) return NULL;
  upper = tn_build_cast(b, upper, TN_U64);
  upper = tn_build_binary(b, TN_SHL, upper, constant(b, 32, upper));
  return tn_build_binary(b, TN_OR, upper, tn_build_cast(b, lower, TN_U64));
}

/* use: 0 or 1, another number of the same place. */
static tn_value *uniform(tn_build *b, const tn_random *random, const tn_dim *const *dims, uint32_t n, tn_dtype dtype,
                         uint32_t use) {
  bool is_double = dtype == TN_F64;
  tn_value *bits = is_double ? pair(b, random, dims, n, 2 * use) : tn_random_bits(b, random, dims, n, use);
  if (bits == NULL) return NULL;
  tn_value *shift = tn_build_splat_i(b, bits->type->dtype, is_double ? 64 - 53 : 32 - 24);
  bits = tn_build_binary(b, TN_SHR, bits, tn_compose_repeat(b, shift, bits));
  if (bits == NULL) return NULL;
  return tn_build_binary_f(b, TN_MUL, tn_build_cast(b, bits, dtype), is_double ? 0x1p-53 : 0x1p-24);
}

tn_value *tn_random_uniform(tn_build *b, const tn_random *random, const tn_dim *const *dims, uint32_t n,
                            tn_dtype dtype) {
  return uniform(b, random, dims, n, dtype, 0);
}

tn_value *tn_random_normal(tn_build *b, const tn_random *random, const tn_dim *const *dims, uint32_t n,
                           tn_dtype dtype) {
  tn_value *u = uniform(b, random, dims, n, dtype, 0), *v = uniform(b, random, dims, n, dtype, 1);
  if (u == NULL || v == NULL) return NULL;
  tn_value *log = tn_build_unary(b, TN_LOG, tn_build_binary(b, TN_SUB, tn_build_fill_like(b, u, 1), u));
  tn_value *radius = tn_build_unary(b, TN_SQRT, tn_build_binary_f(b, TN_MUL, log, -2));
  tn_value *angle = tn_build_unary(b, TN_COS, tn_build_binary_f(b, TN_MUL, v, 6.283185307179586477));
  return tn_build_binary(b, TN_MUL, radius, angle);
}

static const tn_operand_def operands[] = {{"state", TN_ONE, TN_DTYPE_BIT(TN_U64), TN_ROLE_DATA, NULL, 0}};
static const tn_attr_def attrs[] = {
    {.name = "dims", .kind = TN_ATTR_DIMS, .required = true},
    {.name = "axis", .kind = TN_ATTR_INT},
    {.name = "stream", .kind = TN_ATTR_INT, .required = true, .min_i = 0, .max_i = UINT32_MAX},
    {.name = "word", .kind = TN_ATTR_INT, .min_i = 0, .max_i = 3}};
static const tn_op_sample samples[] = {
    {TN_TYPES("u64[3]"), "{dims=[2,3], stream=7}", 0, 9, "u32[2,3]"},
    {TN_TYPES("u64[3]"), "{dims=[2,5,2], axis=1, stream=4294967295, word=3}", 0, 9, "u32[2,5,2]"},
    {TN_TYPES("u64[3]"), "{dims=[], stream=0}", 0, 9, "u32[]"},
    {TN_TYPES("u64[3]"), "{dims=[0,2], stream=0}", 0, 9, "u32[0,2]"},
    {TN_TYPES("u64[2]"), "{dims=[2], stream=0}", 0, 9, NULL},
    {TN_TYPES("u64[3]"), "{dims=[2], axis=1, stream=0}", 0, 9, NULL},
    {TN_TYPES("u64[3]"), "{dims=[2], stream=0, word=4}", 0, 9, NULL},
    {TN_TYPES("i64[3]"), "{dims=[2], stream=0}", 0, 9, NULL},
};

const tn_opdef tn_op_random_bits = {
    .name = "random_bits",
    .kind = TN_OP_COMPOSITE,
    .doc = "32 random bits for each element: word `word` of Philox4x32-10 (Salmon et al., 2011) with the seed as key "
           "and the counter (position, 64 bits; step, its low 32; stream). state is (seed, step, first): axis counts "
           "samples, the first of which is number `first`; position is sample * (elements of one) + place in it.",
    TN_OPERANDS(operands),
    .n_results = 1,
    TN_ATTRS(attrs),
    .infer = infer_random_bits,
    .expand = expand_random_bits,
    TN_SAMPLES(samples),
};
