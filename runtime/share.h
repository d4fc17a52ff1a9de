/* How the parts of a batch are cut and added up, for the compiler (what memory a training takes) and for training
 * programs, which do so. C99. */
#ifndef TNRT_SHARE_H
#define TNRT_SHARE_H

#include <stdbool.h>

#include "runtime/training.h"

/* Parts of a batch, where the bits may not depend on the processes and `micro` says nothing. */
enum { TNRT_SHARE_PARTS = 8 };

/* Samples of a part, or 0 where a step takes the whole batch. */
static inline int64_t tnrt_share_unit(const tnrt_training *plan, int n_processes) {
  bool is_tree = plan->reproducible == TNRT_REPRODUCIBLE_WORLD;
  if (plan->micro == plan->batch && n_processes == 1 && !is_tree) return 0;
  if (is_tree && plan->micro < plan->batch) return plan->micro;
  int64_t n = is_tree ? TNRT_SHARE_PARTS : n_processes, share = (plan->batch + n - 1) / n;
  return share < plan->micro ? share : plan->micro;
}

/* How many sums of one leaf's size a process keeps at most (runtime/train/tree.h). */
static inline uint32_t tnrt_share_buffers(int64_t n_leaves, int n_processes) {
  /* Subtrees of a row while it grows: one a level on its left side, one on its right; and what comes from others. */
  uint32_t n_buffers = 2;
  for (int64_t n = n_leaves / n_processes + 1; n > 0; n /= 2) n_buffers += 2;
  return n_buffers;
}

#endif
