/* A thread that makes the samples of the next batch while a step computes: where fields are made whenever a sample is
 * taken (samples.h). What it gives is what would be made without it. */
#ifndef TNRT_TRAIN_LOADER_H
#define TNRT_TRAIN_LOADER_H

#include "runtime/train/samples.h"
#include "runtime/train/world.h"

typedef struct tnrt_loader tnrt_loader;

/* most: samples of a batch. *out is NULL where all fields are arrays, and no thread is worth it, or after a failure.
 * The samples outlive the loader, and are not loaded anew meanwhile. */
tnrt_status tnrt_loader_open(tnrt_loader **out, tnrt_message *message, const tnrt_alloc *alloc,
                             const tnrt_samples *samples, int64_t most);
void tnrt_loader_close(tnrt_loader *loader); /* NULL is fine */

/* Begins with the samples at n positions; what was asked before and not taken is lost. */
void tnrt_loader_ask(tnrt_loader *loader, const tnrt_draw *draw, const int64_t *positions, int64_t n);

/* These samples, whether they were asked for or not: one buffer a field, which stay until the second take after this.
 * NULL where some process of the world is asked to end before they are there. */
tnrt_status tnrt_loader_take(tnrt_loader *loader, tnrt_message *message, tnrt_world *world, const tnrt_draw *draw,
                             const int64_t *positions, int64_t n, uint8_t *const **out_fields);

#endif
