/* Random numbers as graphs, all made of the op random_bits: a function of seed, step, stream and place, so equal for
 * the reference and compiled code, and for every split of the samples. */
#ifndef TN_IR_OPS_RANDOM_H
#define TN_IR_OPS_RANDOM_H

#include "ir/ops/compose.h"

extern const tn_opdef tn_op_random_bits, tn_op_dropout;

/* The elements of a state, u64[3]: step counts updates (its low 32 bits are used), first is the number of the first
 * sample at hand among those of the whole step. */
enum { TN_RANDOM_SEED, TN_RANDOM_STEP, TN_RANDOM_FIRST, TN_RANDOM_STATE };

/* stream: 32 bits, another one for each use in a model. axis counts the samples. */
typedef struct tn_random {
  tn_value *state;
  int64_t stream;
  uint32_t axis;
} tn_random;

/* u32[dims]; word: 0 to 3, other bits for the same place. */
tn_value *tn_random_bits(tn_build *b, const tn_random *random, const tn_dim *const *dims, uint32_t n, uint32_t word);
/* Numbers of [0, 1), all multiples of 2^-24 (f32) or 2^-53 (f64), of words 0 (and 1). dtype: f32 or f64. */
tn_value *tn_random_uniform(tn_build *b, const tn_random *random, const tn_dim *const *dims, uint32_t n,
                            tn_dtype dtype);
/* Mean 0, variance 1, by pairs of uniform numbers (Box and Muller, 1958); all words. */
tn_value *tn_random_normal(tn_build *b, const tn_random *random, const tn_dim *const *dims, uint32_t n, tn_dtype dtype);

#endif
