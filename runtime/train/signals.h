/* Requests to stop by signal: SIGINT, SIGTERM, SIGUSR1 and SIGUSR2 are remembered and asked for between steps; a second
 * SIGINT ends the process as it would without us. Signals are a property of the process: one record at a time. */
#ifndef TNRT_TRAIN_SIGNALS_H
#define TNRT_TRAIN_SIGNALS_H

#include "runtime/core/message.h"

typedef struct tnrt_signals tnrt_signals;

/* Before any thread is made. *out is NULL after a failure. SIGPIPE is ignored from here on. */
tnrt_status tnrt_signals_open(tnrt_signals **out, tnrt_message *message);
void tnrt_signals_close(tnrt_signals *signals); /* what held before holds again; NULL is fine */

/* The first signal that came, or 0; cheap enough for every step. */
int tnrt_signals_pending(const tnrt_signals *signals);
/* The same for tnrt_world.pending; NULL: none ever comes. */
int tnrt_signals_ask(const void *signals);
const char *tnrt_signal_name(int number); /* "SIGTERM" */

#endif
