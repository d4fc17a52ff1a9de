/* The machine's limits, for `profile`. */
#ifndef TNRT_CORE_ROOFLINE_H
#define TNRT_CORE_ROOFLINE_H

#include <stdbool.h>

#include "runtime/core/runtime.h"

typedef struct tnrt_roofline {
  double flops;        /* f32 operations a second of one thread */
  double cache_bytes;  /* bytes read and written a second, of what fits the caches ... */
  double memory_bytes; /* ... and of what does not */
  int64_t cache_size;
} tnrt_roofline;

/* Takes some 60 ms and 64 MB. needs: the model's features ("avx512f,..."), which say how wide its vectors are. False:
 * no memory. */
bool tnrt_roofline_measure(const tnrt_alloc *alloc, const char *needs, tnrt_roofline *out);
/* The shortest time for so many operations on so many bytes. */
double tnrt_roofline_seconds(const tnrt_roofline *roofline, double n_threads, double flops, double bytes);

#endif
