/* What the loop tells in the program of hand.c: notes and evaluations, a line each, on standard error. It stands in for
 * runtime/train/logs.c and export.c, so that the loop is tested without them. */
#include <stdarg.h>
#include <stdio.h>

#include "runtime/train/export.h"
#include "runtime/train/logs.h"
#include "runtime/train/plan.h"

struct tnrt_logs {
  const tnrt_training *plan;
  bool is_quiet;
};

tnrt_status tnrt_logs_open(tnrt_logs **out, tnrt_message *message, const tnrt_alloc *alloc, const tnrt_training *plan,
                           const tnrt_log_options *options) {
  *out = alloc->get(alloc->user, sizeof **out, 8);
  if (!*out) return tnrt_fail(message, TNRT_NO_MEMORY, "no memory for logs");
  **out = (tnrt_logs){plan, options->is_quiet};
  return TNRT_OK;
}

void tnrt_logs_close(tnrt_logs *logs) {
  if (logs) tnrt_alloc_libc.give(NULL, logs);
}

void tnrt_logs_step(tnrt_logs *logs, const tnrt_report *report) { (void)logs, (void)report; }
void tnrt_logs_epoch(tnrt_logs *logs, const tnrt_report *report) { (void)logs, (void)report; }
void tnrt_logs_write(tnrt_logs *logs, const tnrt_action *action, const tnrt_report *report) {
  (void)logs, (void)action, (void)report;
}

void tnrt_logs_eval(tnrt_logs *logs, const tnrt_report *report, tnrt_split split) {
  double loss = report->measures[split * (1 + logs->plan->n_metrics)];
  if (!logs->is_quiet)
    fprintf(stderr, "step %lld: %s loss %g\n", (long long)report->step, tnrt_split_name(split), loss);
}

void tnrt_logs_note(tnrt_logs *logs, const char *format, ...) {
  va_list arguments;
  (void)logs;
  va_start(arguments, format);
  vfprintf(stderr, format, arguments);
  va_end(arguments);
  fputc('\n', stderr);
}

tnrt_status tnrt_export(tnrt_message *message, const tnrt_alloc *alloc, const tnrt_training_program *program,
                        const tnrt_saved *weights, uint32_t n, const tnrt_saved_text *texts, uint32_t n_texts,
                        const tnrt_export_targets *targets) {
  (void)alloc, (void)program, (void)weights, (void)n, (void)texts, (void)n_texts, (void)targets;
  return tnrt_fail(message, TNRT_BAD_INPUT, "this program exports nothing");
}
