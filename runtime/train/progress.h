/* Where a training stands, on standard output: on a terminal one line that is drawn over again, ten times a second at
 * most; elsewhere a line each ten seconds. */
#ifndef TNRT_TRAIN_PROGRESS_H
#define TNRT_TRAIN_PROGRESS_H

#include "runtime/train/logs.h"
#include "runtime/train/terminal.h"

enum { TNRT_PROGRESS_BYTES = 1024, TNRT_PROGRESS_COLUMNS = 400 };

typedef struct tnrt_progress {
  const tnrt_training *plan;
  int fd;
  tnrt_terminal terminal;
  bool is_quiet;
  bool has_bar;                       /* one stands there now */
  int64_t start_ns, next_ns, rate_ns; /* of the clock: behind the first step; when it is looked at again */
  int64_t first_step, rate_samples;
  bool has_rate; /* rate is of half a second at least */
  double rate;   /* samples a second, of the last seconds */
} tnrt_progress;

/* now_ns: of any clock that only goes forward. */
void tnrt_progress_open(tnrt_progress *progress, const tnrt_training *plan, int fd, bool is_quiet, int64_t now_ns);
/* After a step. Draws when it is time. */
void tnrt_progress_step(tnrt_progress *progress, const tnrt_report *report, int64_t now_ns);
/* A line of its own, to this descriptor, above the bar. */
void tnrt_progress_say(tnrt_progress *progress, int fd, const char *text);
void tnrt_progress_clear(tnrt_progress *progress); /* the bar goes */

/* The line without its bar and cut to `columns`: for tests and for where there is no terminal. */
size_t tnrt_progress_text(const tnrt_progress *progress, const tnrt_report *report, int64_t now_ns, char *out,
                          size_t capacity);

#endif
