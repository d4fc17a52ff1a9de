/* Memory of the training runtime, all of it through an allocator. */
#ifndef TNRT_TRAIN_MEMORY_H
#define TNRT_TRAIN_MEMORY_H

#include "runtime/core/runtime.h"

/* n elements of `bytes` each, all zero, aligned to 64; at least one byte. NULL: no memory, or more than can be
 * counted. */
void *tnrt_take(const tnrt_alloc *alloc, size_t n, size_t bytes);

/* Bytes that data may take where nothing else is said: a quarter of what this process can have, which is the least of
 * the machine's memory, the process's limits and its control group's; of several processes on a machine each has its
 * share of that. */
uint64_t tnrt_memory_share(void);

#endif
