/* Progress (progress.h). A line is one call of write. */
#include "runtime/train/progress.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runtime/train/plan.h"

enum { SECOND_MS = 1000, DRAW_MS = 100, LINE_MS = 10000, BAR_CELLS = 24, MIN_BAR_CELLS = 6 };
static const int64_t ms = 1000000;

void tnrt_progress_open(tnrt_progress *p, const tnrt_training *plan, int fd, bool is_quiet, int64_t now_ns) {
  *p = (tnrt_progress){.plan = plan, .fd = fd, .is_quiet = is_quiet};
  p->terminal = tnrt_terminal_of(fd);
  p->next_ns = now_ns + (p->terminal.is_drawn_over ? DRAW_MS : LINE_MS) * ms;
  p->first_step = -1;
}

/* ---- what is said ---- */

static int64_t last_step(const tnrt_report *r) {
  int64_t by_epochs = r->n_epochs > 0 && r->epoch_steps > 0 ? r->n_epochs * r->epoch_steps : 0;
  if (!by_epochs || !r->n_steps) return by_epochs ? by_epochs : r->n_steps;
  return by_epochs < r->n_steps ? by_epochs : r->n_steps;
}

/* "4:07", "1:02:03" */
static void put_time(char *out, size_t capacity, double seconds) {
  int64_t s = seconds > 1e9 ? 1000000000 : (int64_t)(seconds + 0.5);
  if (s < 3600)
    snprintf(out, capacity, "%lld:%02lld", (long long)s / 60, (long long)s % 60);
  else
    snprintf(out, capacity, "%lld:%02lld:%02lld", (long long)s / 3600, (long long)s / 60 % 60, (long long)s % 60);
}

static void put_rate(char *out, size_t capacity, double rate) {
  if (rate >= 1e6)
    snprintf(out, capacity, "%.3gM samples/s", rate / 1e6);
  else if (rate >= 1e4)
    snprintf(out, capacity, "%.3gk samples/s", rate / 1e3);
  else
    snprintf(out, capacity, "%.*f samples/s", rate < 100 ? 1 : 0, rate);
}

static size_t put_measures(const tnrt_progress *p, const tnrt_report *r, char *out, size_t capacity) {
  size_t used = 0;
  for (uint32_t split = TNRT_SPLIT_VALID; split < TNRT_N_SPLITS; split++)
    for (uint32_t m = 0; m <= p->plan->n_metrics && m < 4 && used < capacity; m++) {
      double value = r->measures ? r->measures[split * (1 + p->plan->n_metrics) + m] : NAN;
      if (isnan(value)) continue;
      used += (size_t)snprintf(out + used, capacity - used, ", %s.%s %.4g", tnrt_split_name(split),
                               tnrt_measure_name(p->plan, m), value);
    }
  return used < capacity ? used : capacity - 1;
}

size_t tnrt_progress_text(const tnrt_progress *p, const tnrt_report *r, int64_t now_ns, char *out, size_t capacity) {
  int64_t end = last_step(r), done = r->step - (p->first_step < 0 ? r->step : p->first_step);
  double seconds = (double)(now_ns - p->start_ns) * 1e-9;
  char of[24] = "", text[64];
  size_t used = 0;
  if (r->n_epochs) snprintf(of, sizeof of, "/%lld", (long long)r->n_epochs);
  if (r->epoch > 0) used = (size_t)snprintf(out, capacity, "epoch %lld%s, ", (long long)r->epoch, of);
  of[0] = 0;
  if (end) snprintf(of, sizeof of, "/%lld", (long long)end);
  used += (size_t)snprintf(out + used, capacity - used, "step %lld%s, loss %.4g", (long long)r->step, of, r->loss);
  put_rate(text, sizeof text, p->rate);
  if (p->rate > 0 && used < capacity) used += (size_t)snprintf(out + used, capacity - used, ", %s", text);
  if (end > r->step && done > 0 && used < capacity) {
    put_time(text, sizeof text, seconds / (double)done * (double)(end - r->step));
    used += (size_t)snprintf(out + used, capacity - used, ", %s left", text);
  }
  if (used < capacity) used += put_measures(p, r, out + used, capacity - used); /* what a narrow terminal cuts off */
  return used < capacity ? used : capacity - 1;
}

/* ---- the terminal ---- */

static void put_all(int fd, const char *text, size_t bytes) {
  while (bytes > 0) {
    ssize_t n = write(fd, text, bytes);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return; /* nobody listens; the training goes on */
    text += n;
    bytes -= (size_t)n;
  }
}

/* "#####..... ", or lines, `cells` wide. */
static size_t put_bar(const tnrt_progress *p, double part, int cells, char *out, size_t capacity) {
  const char *full = p->terminal.has_utf8 ? "\xe2\x94\x81" : "#", *rest = p->terminal.has_utf8 ? "\xe2\x94\x80" : ".";
  int filled = part >= 1 ? cells : part > 0 ? (int)(part * cells) : 0;
  size_t used = (size_t)snprintf(out, capacity, "%s", p->terminal.has_color ? "\x1b[32m" : "");
  for (int i = 0; i < cells && used < capacity; i++) {
    const char *between = i == filled && p->terminal.has_color ? "\x1b[2m" : "";
    used += (size_t)snprintf(out + used, capacity - used, "%s%s", between, i < filled ? full : rest);
  }
  if (used < capacity)
    used += (size_t)snprintf(out + used, capacity - used, "%s ", p->terminal.has_color ? "\x1b[0m" : "");
  return used;
}

static void draw(tnrt_progress *p, const tnrt_report *r, int64_t now_ns) {
  char text[TNRT_PROGRESS_BYTES], line[4 * TNRT_PROGRESS_BYTES];
  int columns = tnrt_terminal_columns(p->fd) - 1, cells = BAR_CELLS;
  int64_t end = last_step(r);
  if (columns > TNRT_PROGRESS_COLUMNS) columns = TNRT_PROGRESS_COLUMNS;
  int n = (int)tnrt_progress_text(p, r, now_ns, text, sizeof text);
  size_t used = (size_t)snprintf(line, sizeof line, "\r");
  if (columns - n - 1 < cells) cells = columns - n - 1;
  if (end && cells < MIN_BAR_CELLS) cells = columns > 40 ? MIN_BAR_CELLS : 0;
  if (end && cells > 0) {
    used += put_bar(p, (double)r->step / (double)end, cells, line + used, sizeof line - used);
    columns -= cells + 1;
  }
  if (n > columns) n = columns > 0 ? columns : 0;
  used += (size_t)snprintf(line + used, sizeof line - used, "%.*s\x1b[K", n, text);
  put_all(p->fd, line, used);
  p->has_bar = true;
}

/* Of all since the first step for half a second, then a mean that follows what is done in half a second. */
static void take_rate(tnrt_progress *p, const tnrt_report *r, int64_t now_ns) {
  int64_t span = now_ns - p->rate_ns;
  if (span <= 0) return;
  bool is_full = span >= SECOND_MS * ms / 2;
  double rate = (double)(r->n_samples - p->rate_samples) / ((double)span * 1e-9);
  if (is_full || !p->has_rate) p->rate = p->has_rate ? 0.7 * p->rate + 0.3 * rate : rate;
  if (!is_full) return;
  p->has_rate = true;
  p->rate_ns = now_ns;
  p->rate_samples = r->n_samples;
}

/* What comes before the end of the first step (data are read, memory is touched) says nothing of the others. */
static void begin(tnrt_progress *p, const tnrt_report *r, int64_t now_ns) {
  p->first_step = r->step;
  p->start_ns = p->rate_ns = now_ns;
  p->rate_samples = r->n_samples;
}

void tnrt_progress_step(tnrt_progress *p, const tnrt_report *r, int64_t now_ns) {
  char text[TNRT_PROGRESS_BYTES];
  if (p->first_step < 0) begin(p, r, now_ns);
  if (p->is_quiet || now_ns < p->next_ns) return;
  take_rate(p, r, now_ns);
  p->next_ns = now_ns + (p->terminal.is_drawn_over ? DRAW_MS : LINE_MS) * ms;
  if (p->terminal.is_drawn_over) {
    draw(p, r, now_ns);
    return;
  }
  size_t n = tnrt_progress_text(p, r, now_ns, text, sizeof text - 1);
  text[n++] = '\n';
  put_all(p->fd, text, n);
}

void tnrt_progress_clear(tnrt_progress *p) {
  static const char clear[] = "\r\x1b[K";
  if (p->has_bar) put_all(p->fd, clear, sizeof clear - 1);
  p->has_bar = false;
}

void tnrt_progress_say(tnrt_progress *p, int fd, const char *text) {
  char line[TNRT_PROGRESS_BYTES];
  tnrt_progress_clear(p);
  size_t n = tnrt_text(line, sizeof line - 1, "%s", text);
  line[n++] = '\n';
  put_all(fd, line, n);
}
