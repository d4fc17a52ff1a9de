/* Which evaluations are told in lines: of each split one in ten seconds, and at the end the best and the last. Logs
 * have all of them, the bar of a terminal has the newest. */
#ifndef TNRT_TRAIN_TOLD_H
#define TNRT_TRAIN_TOLD_H

#include "runtime/train/progress.h"

typedef struct tnrt_told {
  tnrt_watch by;  /* best by this: what the plan keeps the best of, or waits for, else the split's loss */
  bool is_max;
  int64_t n;      /* evaluations so far */
  int64_t next_ns;
  double value;   /* the best */
  bool is_last_told, is_last_best;
  char last[TNRT_PROGRESS_BYTES], best[TNRT_PROGRESS_BYTES];
} tnrt_told;

void tnrt_told_start(tnrt_told *told, const tnrt_training *plan, uint32_t split, int64_t now_ns);
/* An evaluation and its line, which goes to progress when it is time for one. measures: of all splits. */
void tnrt_told_add(tnrt_told *told, tnrt_progress *progress, const tnrt_training *plan, const double *measures,
                   const char *line, int64_t now_ns);
void tnrt_told_finish(tnrt_told *told, tnrt_progress *progress);

#endif
