/* Parts of the loop among its own files. */
#ifndef TNRT_TRAIN_LOOP_PARTS_H
#define TNRT_TRAIN_LOOP_PARTS_H

#include "runtime/train/loop.h"

/* loop_open.c */
tnrt_status tnrt_loop_open(tnrt_loop *loop); /* program .. command are set; closed all the same after a failure */
void tnrt_loop_close(tnrt_loop *loop);
/* The position and the session's numbers into what a checkpoint holds, and back. */
void tnrt_loop_pack(tnrt_loop *loop);
void tnrt_loop_unpack(tnrt_loop *loop);

/* Whether this process writes checkpoints: one does. */
bool tnrt_loop_writes(const tnrt_loop *loop);
/* What the writing process has of the state, all have: weights alone, or everything and the position too. */
tnrt_status tnrt_loop_broadcast(tnrt_loop *loop, bool weights_only);

/* events.c */
/* A failure to write is told, and training goes on; all processes call it. */
tnrt_status tnrt_loop_save(tnrt_loop *loop, const tnrt_keep *keep);
tnrt_report tnrt_loop_report(const tnrt_loop *loop);
/* Events of this unit that are due now, in their order, but what is measured first. */
tnrt_status tnrt_loop_events(tnrt_loop *loop, uint32_t unit);
tnrt_status tnrt_loop_measure(tnrt_loop *loop, uint32_t split, int64_t n_batches);
/* Whether a `stop when` holds. */
tnrt_status tnrt_loop_stops(tnrt_loop *loop, bool *out);
/* The step on `n` positions gave no number: what `on nan` says, else TNRT_BAD_INPUT. *out_again: the loop's position
 * is another one now; else the batch counts as done. */
tnrt_status tnrt_loop_nan(tnrt_loop *loop, int64_t n, bool *out_again);
tnrt_status tnrt_loop_require(tnrt_loop *loop);
/* What `on interrupt` says. */
tnrt_status tnrt_loop_interrupt(tnrt_loop *loop);

/* lost.c: what `on lost_rank` says. */
bool tnrt_lost_resumes(const tnrt_training *plan);
tnrt_status tnrt_lost_find(tnrt_loop *loop); /* loop->resumes: asked for, or the last training did not end */
void tnrt_lost_tell(const tnrt_loop *loop);
void tnrt_lost_mark(tnrt_loop *loop);        /* a training is under way */
void tnrt_lost_unmark(tnrt_loop *loop);      /* it has ended, unless processes are missing */
/* Processes are missing: saves what can be, and adds to the message how it goes on. */
void tnrt_lost_react(tnrt_loop *loop);

#endif
