/* Numbers of a training as text for Prometheus: http://127.0.0.1:PORT/metrics, answered by one thread. */
#ifndef TNRT_TRAIN_PROMETHEUS_H
#define TNRT_TRAIN_PROMETHEUS_H

#include "runtime/core/message.h"
#include "runtime/core/runtime.h"

/* A number that is told: its name with labels, as in 'tenon_measure{split="valid",name="acc"}'. */
typedef struct tnrt_gauge {
  const char *name;   /* up to the '{' */
  const char *labels; /* "{..}" or "" */
  const char *help;
} tnrt_gauge;

typedef struct tnrt_prometheus tnrt_prometheus;

/* Listens on loopback. Gauges of one name stand together; their texts stay the caller's. All memory is taken here.
 * TNRT_BAD_INPUT: the port is taken, or not ours to take. */
tnrt_status tnrt_prometheus_open(tnrt_prometheus **out, tnrt_message *message, const tnrt_alloc *alloc, int port,
                                 const tnrt_gauge *gauges, uint32_t n);
void tnrt_prometheus_set(tnrt_prometheus *server, uint32_t gauge, double value); /* NaN until set */
void tnrt_prometheus_close(tnrt_prometheus *server);                             /* NULL is fine */

#endif
