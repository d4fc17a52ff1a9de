/* What a process did when, as a Chrome trace (Perfetto, about:tracing): spans with a name, one row for what it computes
 * and one for each bucket of gradients on its way. */
#ifndef TNRT_TRAIN_TIMELINE_H
#define TNRT_TRAIN_TIMELINE_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/core/message.h"

typedef struct tnrt_timeline tnrt_timeline;

/* path: of one process; of several, "PATH.RANK". *out is NULL where path is. */
tnrt_status tnrt_timeline_open(tnrt_timeline **out, tnrt_message *message, const char *path, int rank, int size);
/* TNRT_IO: it could not be written. NULL is fine. */
tnrt_status tnrt_timeline_close(tnrt_timeline *timeline, tnrt_message *message);

/* Microseconds; 0 where timeline is NULL, and nothing is written by span. */
double tnrt_timeline_now(const tnrt_timeline *timeline);
/* From begin to now, in the training's step. */
void tnrt_timeline_span(tnrt_timeline *timeline, const char *name, uint32_t row, int64_t step, double begin);

#endif
