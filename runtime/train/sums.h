/* Count, mean, squared differences, least and greatest of numbers, element by element, over samples that several
 * processes may share out: samples are added in blocks, blocks as a binary tree adds (as tree.h does), so that the bits
 * of all sums depend on the samples and their order alone, whoever has added which block. */
#ifndef TNRT_TRAIN_SUMS_H
#define TNRT_TRAIN_SUMS_H

#include <stdbool.h>

#include "runtime/core/runtime.h"
#include "runtime/train/world.h"

enum { TNRT_SUMS_BLOCK = 64 /* samples that one process adds one after the other */, TNRT_SUMS_NODES = 128 };

/* What is kept of each element: those that are NaN are left out. Squares: of differences from the mean. */
enum { TNRT_SUM_COUNT, TNRT_SUM_MEAN, TNRT_SUM_SQUARES, TNRT_SUM_LEAST, TNRT_SUM_GREATEST, TNRT_N_SUMS };

typedef struct tnrt_sums_node {
  int64_t level, index; /* the blocks from index << level on, as many as 1 << level */
  double *sums;         /* TNRT_N_SUMS of each element; one block of the allocator */
} tnrt_sums_node;

/* All zeros but alloc at first. */
typedef struct tnrt_sums {
  const tnrt_alloc *alloc;
  int64_t count; /* elements */
  tnrt_sums_node nodes[TNRT_SUMS_NODES]; /* from the left; the last one's block may still grow */
  uint32_t n;
} tnrt_sums;

void tnrt_sums_free(tnrt_sums *sums);

/* The samples of one process among n: whole blocks, the processes in their order (as tnrt_tree_share). */
void tnrt_sums_share(int64_t n, int rank, int size, int64_t *out_first, int64_t *out_end);

/* Sample `number`, behind those that were added before; all have the same count. TNRT_NO_MEMORY, TNRT_BAD_INPUT. */
tnrt_status tnrt_sums_add(tnrt_sums *sums, tnrt_message *message, int64_t number, const double *values, int64_t count);
/* What all processes have added becomes the sum of all, in each of them: TNRT_N_SUMS of each of sums->count elements in
 * sums->nodes[0].sums; none where no sample was added. */
tnrt_status tnrt_sums_end(tnrt_sums *sums, tnrt_message *message, tnrt_world *world);
/* Then: mean and mean squared difference of each element over n samples, NaN where some of them are. */
void tnrt_sums_moments(const tnrt_sums *sums, int64_t n, double *mean, double *variance);

#endif
