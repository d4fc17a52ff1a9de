/* What a training tells (logs.h): one record of numbers goes to all that listen. */
#include "runtime/train/logs.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "runtime/train/logfile.h"
#include "runtime/train/memory.h"
#include "runtime/train/plan.h"
#include "runtime/train/plot.h"
#include "runtime/train/progress.h"
#include "runtime/train/prometheus.h"
#include "runtime/train/tensorboard.h"
#include "runtime/train/text.h"
#include "runtime/train/told.h"

enum { NAME_BYTES = 160, CELL_BYTES = 40, ALL_SPLITS = 7 };

typedef enum sink_kind { SINK_JSON, SINK_CSV, SINK_TENSORBOARD, SINK_PORT } sink_kind;

/* A file, folder or port; each stands once, whoever asks for it. */
typedef struct sink {
  sink_kind kind;
  const char *path;
  int port;
  bool of_options; /* gets every evaluation and epoch */
  bool is_told;    /* that it fails */
  tnrt_logfile file;
  tnrt_tensorboard *board;
  tnrt_prometheus *server;
} sink;

/* Numbers of a record, in the order of columns; then the rates, then the measures, split by split. */
enum { STEP, EPOCH, TIME, SAMPLES, LOSS, NORM, LOSS_SCALE, N_FIXED };
static const char *const fixed_names[N_FIXED] = {"step", "epoch", "time", "samples", "loss", "norm", "loss_scale"};
static const char *const fixed_helps[N_FIXED] = {"Steps done.",
                                                 "The epoch that is trained, from 1.",
                                                 "Time of the last record, in seconds.",
                                                 "Samples trained on.",
                                                 "Of the last step.",
                                                 "Of the last step's gradients.",
                                                 "That gradients are multiplied by."};

struct tnrt_logs {
  const tnrt_alloc *alloc;
  const tnrt_training *plan;
  tnrt_log_options options;
  tnrt_progress progress;
  tnrt_told told[TNRT_N_SPLITS];
  uint32_t n_measures, n_columns; /* of a split; of a record */
  double *values;                 /* n_columns */
  char (*names)[NAME_BYTES];      /* n_columns: "valid.acc" */
  char (*labels)[NAME_BYTES];
  tnrt_gauge *gauges;
  sink *sinks;
  uint32_t n_sinks, max_sinks;
  char *text; /* a row, or the header of CSV */
  size_t text_bytes;
  tnrt_curve *curves; /* [split][measure], NULL: none is drawn */
};

static int64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static double wall_time(void) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return (double)t.tv_sec + 1e-3 * (double)(t.tv_nsec / 1000000);
}

/* ---- opening ---- */

static uint32_t measure_column(const tnrt_logs *l, uint32_t split, uint32_t measure) {
  return N_FIXED + l->plan->n_groups + split * l->n_measures + measure;
}

static void name_columns(tnrt_logs *l) {
  const tnrt_training *p = l->plan;
  for (uint32_t i = 0; i < N_FIXED; i++) {
    tnrt_text(l->names[i], NAME_BYTES, "%s", fixed_names[i]);
    tnrt_text(l->labels[i], NAME_BYTES, "tenon_train_%s", fixed_names[i]);
    l->gauges[i] = (tnrt_gauge){l->labels[i], "", fixed_helps[i]};
  }
  for (uint32_t i = 0; i < p->n_groups; i++) {
    char *labels = l->labels[N_FIXED + i];
    tnrt_text(l->names[N_FIXED + i], NAME_BYTES, p->n_groups > 1 ? "lr.%u" : "lr", i);
    tnrt_text(labels, NAME_BYTES, "{group=\"%u\"}", i);
    l->gauges[N_FIXED + i] = (tnrt_gauge){"tenon_train_learning_rate", labels, "The learning rate of a group."};
  }
  for (uint32_t split = 0; split < TNRT_N_SPLITS; split++)
    for (uint32_t m = 0; m < l->n_measures; m++) {
      uint32_t at = measure_column(l, split, m);
      tnrt_writer w = {l->labels[at], NAME_BYTES - 1, 0};
      tnrt_text(l->names[at], NAME_BYTES, "%s.%s", tnrt_split_name(split), tnrt_measure_name(p, m));
      tnrt_put_text(&w, "{split=\"");
      tnrt_put_text(&w, tnrt_split_name(split));
      tnrt_put_text(&w, "\",name=");
      tnrt_put_string(&w, tnrt_measure_name(p, m));
      tnrt_put_text(&w, "}");
      l->gauges[at] = (tnrt_gauge){"tenon_train_measure", l->labels[at], "What was measured last of a split."};
    }
}

/* "step,epoch,...\n" into l->text. */
static void put_header(tnrt_logs *l) {
  tnrt_writer w = {l->text, l->text_bytes - 1, 0};
  for (uint32_t i = 0; i < l->n_columns; i++) {
    if (i) tnrt_put(&w, ',');
    if (i == 1) tnrt_put_text(&w, "event,");
    tnrt_put_text(&w, l->names[i]); /* words of the language: nothing to quote */
  }
  tnrt_put(&w, '\n');
  l->text[w.n < l->text_bytes ? w.n : l->text_bytes - 1] = 0;
}

static tnrt_status open_sink(tnrt_logs *l, tnrt_message *message, sink *s) {
  bool appends = l->options.appends;
  switch (s->kind) {
    case SINK_JSON:
      return tnrt_logfile_open(&s->file, message, s->path, NULL, appends);
    case SINK_CSV:
      put_header(l);
      return tnrt_logfile_open(&s->file, message, s->path, l->text, appends);
    case SINK_TENSORBOARD:
      s->board = tnrt_take(l->alloc, 1, sizeof *s->board);
      if (!s->board) return tnrt_fail(message, TNRT_NO_MEMORY, "no memory for the events in '%.300s'", s->path);
      return tnrt_tensorboard_open(s->board, message, s->path, appends);
    case SINK_PORT:
      return tnrt_prometheus_open(&s->server, message, l->alloc, s->port, l->gauges, l->n_columns);
  }
  return TNRT_OK;
}

static sink *find_sink(const tnrt_logs *l, sink_kind kind, const char *path, int port) {
  for (uint32_t i = 0; i < l->n_sinks; i++) {
    sink *s = &l->sinks[i];
    if (s->kind == kind && (kind == SINK_PORT ? s->port == port : strcmp(s->path, path) == 0)) return s;
  }
  return NULL;
}

static tnrt_status add_sink(tnrt_logs *l, tnrt_message *message, sink_kind kind, const char *path, int port,
                            bool of_options) {
  if (kind == SINK_PORT ? port == 0 : !path) return TNRT_OK;
  sink *s = find_sink(l, kind, path, port);
  if (s) return TNRT_OK;
  s = &l->sinks[l->n_sinks++];
  *s = (sink){.kind = kind, .path = path, .port = port, .of_options = of_options, .file.fd = -1};
  return open_sink(l, message, s);
}

static const char *text_or_null(const tnrt_training *plan, uint32_t at) { return at ? tnrt_plan_text(plan, at) : NULL; }

static tnrt_status add_action(tnrt_logs *l, tnrt_message *message, const tnrt_action *a) {
  tnrt_status status = add_sink(l, message, SINK_JSON, text_or_null(l->plan, a->text), 0, false);
  if (status == TNRT_OK) status = add_sink(l, message, SINK_CSV, text_or_null(l->plan, a->csv), 0, false);
  if (status == TNRT_OK)
    status = add_sink(l, message, SINK_TENSORBOARD, text_or_null(l->plan, a->tensorboard), 0, false);
  return status == TNRT_OK ? add_sink(l, message, SINK_PORT, NULL, (int)a->port, false) : status;
}

static tnrt_status add_logs(tnrt_logs *l, tnrt_message *message, uint32_t table, uint32_t n) {
  const tnrt_action *actions = tnrt_plan_table(l->plan, table);
  tnrt_status status = TNRT_OK;
  for (uint32_t i = 0; i < n && status == TNRT_OK; i++)
    if (actions[i].kind == TNRT_ACTION_LOG) status = add_action(l, message, &actions[i]);
  return status;
}

static tnrt_status add_sinks(tnrt_logs *l, tnrt_message *message) {
  const tnrt_training *p = l->plan;
  const tnrt_log_options *o = &l->options;
  const tnrt_event *events = tnrt_plan_table(p, p->events);
  tnrt_status status = add_sink(l, message, SINK_JSON, o->json, 0, true);
  if (status == TNRT_OK) status = add_sink(l, message, SINK_CSV, o->csv, 0, true);
  if (status == TNRT_OK) status = add_sink(l, message, SINK_TENSORBOARD, o->tensorboard, 0, true);
  if (status == TNRT_OK) status = add_sink(l, message, SINK_PORT, NULL, o->port, true);
  for (uint32_t i = 0; i < p->n_events && status == TNRT_OK; i++)
    status = add_logs(l, message, events[i].actions, events[i].n_actions);
  if (status == TNRT_OK) status = add_logs(l, message, p->on_nan, p->n_on_nan);
  return status == TNRT_OK ? add_logs(l, message, p->on_interrupt, p->n_on_interrupt) : status;
}

static bool make_tables(tnrt_logs *l) {
  const tnrt_training *p = l->plan;
  const tnrt_event *events = tnrt_plan_table(p, p->events);
  l->n_measures = 1 + p->n_metrics;
  l->n_columns = measure_column(l, TNRT_N_SPLITS, 0);
  l->max_sinks = 4 + 4 * (p->n_on_nan + p->n_on_interrupt);
  for (uint32_t i = 0; i < p->n_events; i++) l->max_sinks += 4 * events[i].n_actions;
  l->text_bytes = l->n_columns * (2 * NAME_BYTES + CELL_BYTES) + NAME_BYTES;
  l->values = tnrt_take(l->alloc, l->n_columns, sizeof *l->values);
  l->names = tnrt_take(l->alloc, l->n_columns, sizeof *l->names);
  l->labels = tnrt_take(l->alloc, l->n_columns, sizeof *l->labels);
  l->gauges = tnrt_take(l->alloc, l->n_columns, sizeof *l->gauges);
  l->sinks = tnrt_take(l->alloc, l->max_sinks, sizeof *l->sinks);
  l->text = tnrt_take(l->alloc, l->text_bytes, 1);
  if (!l->values || !l->names || !l->labels || !l->gauges || !l->sinks || !l->text) return false;
  name_columns(l);
  if (!l->options.plot && !l->options.plot_png) return true;
  l->curves = tnrt_take(l->alloc, TNRT_N_SPLITS * l->n_measures, sizeof *l->curves);
  for (uint32_t split = 0; l->curves && split < TNRT_N_SPLITS; split++)
    for (uint32_t m = 0; m < l->n_measures; m++)
      tnrt_curve_start(&l->curves[split * l->n_measures + m], tnrt_measure_name(p, m), tnrt_split_name(split));
  return l->curves != NULL;
}

tnrt_status tnrt_logs_open(tnrt_logs **out, tnrt_message *message, const tnrt_alloc *alloc, const tnrt_training *plan,
                           const tnrt_log_options *options) {
  *out = NULL;
  tnrt_logs *l = tnrt_take(alloc, 1, sizeof *l);
  if (!l) return tnrt_fail(message, TNRT_NO_MEMORY, "no memory for logs");
  l->alloc = alloc;
  l->plan = plan;
  l->options = *options;
  tnrt_progress_open(&l->progress, plan, STDOUT_FILENO, options->is_quiet, now_ns());
  for (uint32_t split = 0; split < TNRT_N_SPLITS; split++) tnrt_told_start(&l->told[split], plan, split, now_ns());
  tnrt_status status = TNRT_OK;
  if (!make_tables(l)) status = tnrt_fail(message, TNRT_NO_MEMORY, "no memory for logs");
  if (status == TNRT_OK) status = add_sinks(l, message);
  if (status == TNRT_OK) return *out = l, TNRT_OK;
  l->options.plot = false; /* there is nothing to draw */
  l->options.plot_png = NULL;
  tnrt_logs_close(l);
  return status;
}

/* ---- records ---- */

static void take_values(tnrt_logs *l, const tnrt_report *r) {
  double *v = l->values;
  v[STEP] = (double)r->step;
  v[EPOCH] = (double)r->epoch;
  v[TIME] = wall_time();
  v[SAMPLES] = (double)r->n_samples;
  v[LOSS] = r->loss;
  v[NORM] = r->norm;
  v[LOSS_SCALE] = r->loss_scale;
  for (uint32_t i = 0; i < l->plan->n_groups; i++) v[N_FIXED + i] = r->rates ? r->rates[i] : NAN;
  for (uint32_t i = measure_column(l, 0, 0); i < l->n_columns; i++)
    v[i] = r->measures ? r->measures[i - measure_column(l, 0, 0)] : NAN;
}

static uint32_t split_of(const tnrt_logs *l, uint32_t column) {
  return (column - measure_column(l, 0, 0)) / l->n_measures;
}

/* Whether the record has this number: one of the splits that it is about, and measured. */
static bool has_value(const tnrt_logs *l, uint32_t column, unsigned splits) {
  if (column >= measure_column(l, 0, 0) && !(splits >> split_of(l, column) & 1)) return false;
  return !isnan(l->values[column]) || column == LOSS;
}

static void put_value(tnrt_logs *l, tnrt_writer *w, uint32_t column, const char *otherwise) {
  char text[CELL_BYTES];
  if (column == TIME) {
    snprintf(text, sizeof text, "%.3f", l->values[TIME]);
    tnrt_put_text(w, text);
  } else if (column == STEP || column == EPOCH || column == SAMPLES) {
    tnrt_put_integer(w, (int64_t)l->values[column]);
  } else {
    tnrt_put_real(w, l->values[column], otherwise);
  }
}

/* What is not a number is null. */
static size_t put_json(tnrt_logs *l, const char *event, unsigned splits) {
  tnrt_writer w = {l->text, l->text_bytes, 0};
  for (uint32_t i = 0; i < l->n_columns; i++) {
    if (!has_value(l, i, splits)) continue;
    tnrt_put(&w, i ? ',' : '{');
    tnrt_put_string(&w, l->names[i]);
    tnrt_put(&w, ':');
    put_value(l, &w, i, "null");
    if (i > 0) continue;
    tnrt_put_text(&w, ",\"event\":");
    tnrt_put_string(&w, event);
  }
  tnrt_put_text(&w, "}\n");
  return w.n < w.capacity ? w.n : w.capacity;
}

/* What is not there is empty. */
static size_t put_csv(tnrt_logs *l, const char *event, unsigned splits) {
  tnrt_writer w = {l->text, l->text_bytes, 0};
  for (uint32_t i = 0; i < l->n_columns; i++) {
    if (i) tnrt_put(&w, ',');
    if (has_value(l, i, splits)) put_value(l, &w, i, "nan");
    if (i > 0) continue;
    tnrt_put(&w, ',');
    tnrt_put_text(&w, event);
  }
  tnrt_put(&w, '\n');
  return w.n < w.capacity ? w.n : w.capacity;
}

/* "valid.acc" is shown under "valid/acc", so that TensorBoard puts a split's curves together. */
static tnrt_status put_scalars(tnrt_logs *l, tnrt_message *message, tnrt_tensorboard *board, unsigned splits) {
  tnrt_status status = TNRT_OK;
  tnrt_tensorboard_begin(board, l->values[TIME], (int64_t)l->values[STEP]);
  for (uint32_t i = LOSS; i < l->n_columns && status == TNRT_OK; i++) {
    char tag[NAME_BYTES];
    if (!has_value(l, i, splits)) continue;
    tnrt_text(tag, sizeof tag, i < N_FIXED + l->plan->n_groups ? "step/%s" : "%s", l->names[i]);
    if (i >= measure_column(l, 0, 0)) *strchr(tag, '.') = '/';
    status = tnrt_tensorboard_add(board, message, tag, l->values[i]);
  }
  return status == TNRT_OK ? tnrt_tensorboard_end(board, message) : status;
}

static void tell_gauges(tnrt_logs *l, sink *s) {
  for (uint32_t i = 0; i < l->n_columns; i++) tnrt_prometheus_set(s->server, i, l->values[i]);
}

static void put_record(tnrt_logs *l, sink *s, const char *event, unsigned splits) {
  tnrt_message message;
  tnrt_status status = TNRT_OK;
  int64_t step = (int64_t)l->values[STEP];
  if (s->kind == SINK_JSON)
    status = tnrt_logfile_put(&s->file, &message, step, l->text, put_json(l, event, splits));
  else if (s->kind == SINK_CSV)
    status = tnrt_logfile_put(&s->file, &message, step, l->text, put_csv(l, event, splits));
  else if (s->kind == SINK_TENSORBOARD)
    status = put_scalars(l, &message, s->board, splits);
  else
    tell_gauges(l, s);
  if (status != TNRT_OK && !s->is_told) tnrt_logs_note(l, "%s; the training goes on without it", message.text);
  s->is_told |= status != TNRT_OK;
}

static void put_to_options(tnrt_logs *l, const char *event, unsigned splits) {
  for (uint32_t i = 0; i < l->n_sinks; i++)
    if (l->sinks[i].of_options || l->sinks[i].kind == SINK_PORT) put_record(l, &l->sinks[i], event, splits);
}

static void add_points(tnrt_logs *l, uint32_t split) {
  /* The training's own loss is drawn step by step. */
  for (uint32_t m = split == TNRT_SPLIT_TRAIN; l->curves && m < l->n_measures; m++)
    tnrt_curve_add(&l->curves[split * l->n_measures + m], l->values[STEP], l->values[measure_column(l, split, m)]);
}

/* ---- what happens ---- */

void tnrt_logs_step(tnrt_logs *l, const tnrt_report *r) {
  if (l->curves) tnrt_curve_add(&l->curves[0], (double)r->step, r->loss);
  for (uint32_t i = 0; i < l->n_sinks; i++)
    if (l->sinks[i].kind == SINK_PORT) {
      take_values(l, r);
      tell_gauges(l, &l->sinks[i]);
    }
  tnrt_progress_step(&l->progress, r, now_ns());
}

void tnrt_logs_eval(tnrt_logs *l, const tnrt_report *r, tnrt_split split) {
  char line[TNRT_PROGRESS_BYTES];
  take_values(l, r);
  put_to_options(l, "eval", 1u << split);
  add_points(l, split);
  if (l->options.is_quiet) return;
  size_t used = (size_t)snprintf(line, sizeof line, "step %lld, epoch %lld: %s", (long long)r->step,
                                 (long long)r->epoch, tnrt_split_name(split));
  for (uint32_t m = 0; m < l->n_measures && used < sizeof line; m++) {
    double value = l->values[measure_column(l, split, m)];
    if (m && isnan(value)) continue;
    used += (size_t)snprintf(line + used, sizeof line - used, "%s %s %.4g", m ? "," : "", tnrt_measure_name(l->plan, m),
                             value);
  }
  tnrt_told_add(&l->told[split], &l->progress, l->plan, r->measures, line, now_ns());
}

void tnrt_logs_epoch(tnrt_logs *l, const tnrt_report *r) {
  take_values(l, r);
  put_to_options(l, "epoch", 1u << TNRT_SPLIT_TRAIN);
  add_points(l, TNRT_SPLIT_TRAIN);
}

static void put_to(tnrt_logs *l, sink_kind kind, uint32_t path) {
  sink *s = path ? find_sink(l, kind, tnrt_plan_text(l->plan, path), 0) : NULL;
  if (s) put_record(l, s, "log", ALL_SPLITS);
}

void tnrt_logs_write(tnrt_logs *l, const tnrt_action *action, const tnrt_report *r) {
  take_values(l, r);
  put_to(l, SINK_JSON, action->text);
  put_to(l, SINK_CSV, action->csv);
  put_to(l, SINK_TENSORBOARD, action->tensorboard);
}

void tnrt_logs_note(tnrt_logs *l, const char *format, ...) {
  char line[TNRT_PROGRESS_BYTES];
  va_list args;
  if (l->options.is_silent) return;
  va_start(args, format);
  vsnprintf(line, sizeof line, format, args);
  va_end(args);
  tnrt_progress_say(&l->progress, STDERR_FILENO, line);
}

/* ---- the end ---- */

static void draw(tnrt_logs *l) {
  uint32_t n = TNRT_N_SPLITS * l->n_measures;
  const tnrt_curve **curves = tnrt_take(l->alloc, n, sizeof *curves);
  tnrt_message message;
  tnrt_status status = TNRT_OK;
  /* Measure by measure: the curves of a chart stand together. */
  for (uint32_t i = 0; curves && i < n; i++)
    curves[i] = &l->curves[i % TNRT_N_SPLITS * l->n_measures + i / TNRT_N_SPLITS];
  if (curves && l->options.plot) status = tnrt_plot_show(&message, l->alloc, curves, n, STDOUT_FILENO);
  if (status != TNRT_OK) tnrt_logs_note(l, "%s", message.text);
  status = curves && l->options.plot_png ? tnrt_plot_png(&message, curves, n, l->options.plot_png) : TNRT_OK;
  if (status != TNRT_OK) tnrt_logs_note(l, "%s", message.text);
  if (curves) l->alloc->give(l->alloc->user, curves);
}

void tnrt_logs_close(tnrt_logs *l) {
  if (!l) return;
  tnrt_progress_clear(&l->progress);
  for (uint32_t split = 0; split < TNRT_N_SPLITS; split++) tnrt_told_finish(&l->told[split], &l->progress);
  if (l->curves && (l->options.plot || l->options.plot_png)) draw(l);
  for (uint32_t i = 0; i < l->n_sinks; i++) {
    sink *s = &l->sinks[i];
    tnrt_logfile_close(&s->file);
    if (s->board) tnrt_tensorboard_close(s->board);
    if (s->board) l->alloc->give(l->alloc->user, s->board);
    tnrt_prometheus_close(s->server);
  }
  void *blocks[] = {l->values, l->names, l->labels, l->gauges, l->sinks, l->text, l->curves, l};
  for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++)
    if (blocks[i]) l->alloc->give(l->alloc->user, blocks[i]);
}
