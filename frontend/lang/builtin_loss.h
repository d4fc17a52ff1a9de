/* What losses and metrics ask of their arguments, checked, and the same as vectors and matrices over all leading dims
 * at once. Functions return false or NULL when they reported an error. */
#ifndef TN_FRONTEND_LANG_BUILTIN_LOSS_H
#define TN_FRONTEND_LANG_BUILTIN_LOSS_H

#include "frontend/lang/builtin.h"

/* Arguments 0 and 1. Of several scores: x f[N, C], y the class as an integer [N]. Of one score: x f[N], y of its type
 * [N], 0 or 1 or a share. */
typedef struct tn_scores {
  tn_value *x, *y;
  bool is_one;
} tn_scores;

/* scores [..S, C] and a label of ..S */
bool tn_scores_read(tn_call *call, tn_scores *out);
/* one score a sample, [..S] or [..S, 1], and a label of two classes, true or false, or a share */
bool tn_score_read(tn_call *call, tn_scores *out);
/* several scores, or one with the threshold 0 */
bool tn_scores_read_any(tn_call *call, tn_scores *out);
/* two tensors of the same type and dims, those below f32 as f32 */
bool tn_pair_read(tn_call *call, tn_value **a, tn_value **b);

/* -log of the softmax at the label, [N]; weight (one a class) and ignore (*ignore is that class) may be NULL. */
tn_value *tn_scores_entropy(tn_call *call, const tn_scores *scores, tn_value *log_p, tn_value *weight,
                            const int64_t *ignore);
tn_value *tn_scores_log_p(tn_call *call, const tn_scores *scores);
/* The sum of all elements, a scalar. */
tn_value *tn_sum_all(tn_build *b, tn_value *x);
/* The number of elements of x as a scalar of dtype. */
tn_value *tn_count_all(tn_build *b, const tn_value *x, tn_dtype dtype);

#endif
