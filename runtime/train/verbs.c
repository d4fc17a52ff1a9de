/* A trained model from a checkpoint; evaluation, export and information. */
#include "runtime/train/verbs.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runtime/core/dtype.h"
#include "runtime/train/predict.h"

tnrt_status tnrt_trained_open(tnrt_trained *t, tnrt_message *message, const tnrt_alloc *alloc,
                              const tnrt_training_program *program, const tnrt_command *command, tnrt_use use) {
  *t = (tnrt_trained){.program = program, .plan = program->plan, .command = command, .alloc = alloc,
                      .message = message};
  tnrt_status status = tnrt_checkpoint_open(message, alloc, t->plan, command, &t->reading);
  if (status == TNRT_OK) status = tnrt_samples_open(&t->samples, message, alloc, t->plan);
  if (status == TNRT_OK) status = tnrt_state_restore_samples(&t->samples, t->reading);
  if (status == TNRT_OK)
    status = tnrt_session_open(&t->session, message, alloc, program, NULL, use, 0, t->plan->batch, command->threads);
  if (status == TNRT_OK) status = tnrt_state_open(&t->state, &t->session, &t->samples, NULL, 0);
  if (status == TNRT_OK)
    status = tnrt_reading_fill(message, t->reading, t->state.contents.tensors, t->plan->n_weights);
  return status;
}

void tnrt_trained_close(tnrt_trained *t) {
  tnrt_state_close(&t->state);
  tnrt_session_close(&t->session);
  tnrt_samples_close(&t->samples);
  tnrt_reading_close(t->reading);
}

/* ---- eval ---- */

static bool is_matrix(const tnrt_training *plan, uint32_t measure) {
  return measure && tnrt_plan_metrics(plan)[measure - 1].kind == TNRT_METRIC_CONFUSION;
}

static uint32_t rows_of(const tnrt_metric *metric) { return (uint32_t)(sqrt(metric->count) + 0.5); }

/* [[label 0 answered 0, answered 1, ..], [label 1 ..], ..] */
static void print_matrix_json(const tnrt_trained *t, uint32_t metric) {
  uint32_t count = tnrt_plan_metrics(t->plan)[metric].count, n = rows_of(&tnrt_plan_metrics(t->plan)[metric]);
  for (uint32_t k = 0; k < count; k++)
    printf("%s%.0f%s", k % n ? ", " : k ? ", [" : "[[", t->session.tally.sums[metric][k],
           k + 1 == count ? "]]" : (k + 1) % n ? "" : "]");
}

static void print_json(const tnrt_trained *t, uint32_t split, const double *values, bool is_first) {
  printf("%s\n  \"%s\": {", is_first ? "{" : ",", tnrt_split_name(split));
  for (uint32_t i = 0; i <= t->plan->n_metrics; i++) {
    printf("%s\"%s\": ", i ? ", " : "", tnrt_measure_name(t->plan, i));
    if (is_matrix(t->plan, i)) print_matrix_json(t, i - 1);
    else if (isfinite(values[i])) printf("%.9g", values[i]);
    else printf("null");
  }
  printf("}");
}

static void print_row(const tnrt_training *plan, uint32_t split, const double *values, bool is_first) {
  if (is_first) {
    printf("%-6s", "");
    for (uint32_t i = 0; i <= plan->n_metrics; i++)
      if (!is_matrix(plan, i)) printf(" %12s", tnrt_measure_name(plan, i));
    printf("\n");
  }
  printf("%-6s", tnrt_split_name(split));
  for (uint32_t i = 0; i <= plan->n_metrics; i++)
    if (!is_matrix(plan, i)) printf(" %12.6g", values[i]);
  printf("\n");
}

/* The names of n classes, where only one field has so many; NULL: they are numbers. */
static const tnrt_dictionary *names_of(const tnrt_trained *t, uint32_t n) {
  const tnrt_dictionary *found = NULL;
  for (uint32_t i = 0; i < t->plan->n_fields; i++) {
    const tnrt_dictionary *labels = &t->samples.chains[i].labels;
    if (t->samples.plan_fields[i].n_classes != n || labels->n != n) continue;
    if (found) return NULL;
    found = labels;
  }
  return found;
}

/* Labels down, answers across. */
static void print_matrices(const tnrt_trained *t) {
  for (uint32_t i = 0; i < t->plan->n_metrics; i++) {
    const tnrt_metric *metric = &tnrt_plan_metrics(t->plan)[i];
    uint32_t n = rows_of(metric);
    if (metric->kind != TNRT_METRIC_CONFUSION) continue;
    const tnrt_dictionary *names = names_of(t, n);
    printf("  %s (labels down, answers across)\n", tnrt_measure_name(t->plan, i + 1));
    for (uint32_t k = 0; k < metric->count; k++)
      printf("%8.0f%s%s%s", t->session.tally.sums[i][k], (k + 1) % n || !names ? "" : "  ",
             (k + 1) % n || !names ? "" : tnrt_dictionary_text(names, k / n), (k + 1) % n ? "" : "\n");
  }
}

/* Of the model's own data alone: others have other numbers of records. */
static void warn_of_parts(tnrt_trained *t) {
  for (uint32_t s = 0; s < TNRT_N_SPLITS; s++)
    if (t->command->data.paths[s]) return;
  tnrt_state_is_parted_so(&t->samples, t->reading, t->warning, sizeof t->warning);
}

tnrt_status tnrt_verb_eval_training(tnrt_trained *t) {
  double *values = t->alloc->get(t->alloc->user, (1 + t->plan->n_metrics) * sizeof *values, 8);
  if (!values) return tnrt_fail(t->message, TNRT_NO_MEMORY, "no memory for the measures");
  tnrt_status status = tnrt_samples_load(&t->samples, &t->command->data, true);
  if (status == TNRT_OK) status = tnrt_session_measure(&t->session, &t->samples);
  if (status == TNRT_OK) warn_of_parts(t);
  bool is_first = true;
  for (uint32_t s = 0; s < TNRT_N_SPLITS && status == TNRT_OK; s++) {
    bool is_asked = !t->command->split || strcmp(t->command->split, tnrt_split_name(s)) == 0;
    if (is_asked && t->command->split && tnrt_samples_count(&t->samples, s) == 0)
      status = tnrt_fail(t->message, TNRT_BAD_INPUT, "the data has no split '%s'", tnrt_split_name(s));
    if (!is_asked || tnrt_samples_count(&t->samples, s) == 0) continue;
    int asked; /* nobody asks this one */
    status = tnrt_session_evaluate(&t->session, &t->samples, s, 0, values, &asked);
    if (status != TNRT_OK) break;
    if (t->command->json) print_json(t, s, values, is_first);
    else print_row(t->plan, s, values, is_first);
    if (!t->command->json) print_matrices(t);
    is_first = false;
  }
  if (t->command->json && status == TNRT_OK) printf("\n}\n");
  t->alloc->give(t->alloc->user, values);
  return status;
}

/* ---- run ---- */

static tnrt_status run_session(void *user, const void *const *inputs, int64_t n, void *const *outputs) {
  return tnrt_session_predict(user, inputs, n, outputs);
}

tnrt_status tnrt_verb_run_training(tnrt_trained *t) {
  const tnrt_command *command = t->command;
  const tnrt_predicted of = {
      .plan = t->plan, .samples = &t->samples, .model = tnrt_ctx_model(t->session.predict), .alloc = t->alloc,
      .message = t->message, .n_inputs = tnrt_session_n_inputs(&t->session), .batch = t->plan->batch,
      .given = command->inputs, .n_given = command->n_inputs, .data = command->data.paths[TNRT_SPLIT_TRAIN],
      .output = command->output, .run = run_session, .user = &t->session};
  if (!of.n_given && !of.data)
    return tnrt_fail(t->message, TNRT_BAD_INPUT, "run needs --data FILE with records, or --input NAME=FILE");
  return tnrt_predict(&of);
}

/* ---- export ---- */

tnrt_status tnrt_verb_export_training(tnrt_trained *t) {
  const tnrt_export_targets *targets = &t->command->targets;
  if (!targets->onnx && !targets->safetensors && !targets->npz)
    return tnrt_fail(t->message, TNRT_BAD_INPUT, "export needs --onnx, --safetensors or --npz");
  return tnrt_export(t->message, t->alloc, t->program, t->state.contents.tensors, t->plan->n_weights,
                     t->state.contents.texts, t->state.contents.n_texts, targets);
}

/* ---- info ---- */

static int64_t trained_elements(const tnrt_training *plan) {
  const tnrt_weight *weights = tnrt_plan_weights(plan);
  int64_t n = 0;
  for (uint32_t i = 0; i < plan->n_weights; i++)
    if (weights[i].role == TNRT_WEIGHT_TRAINED) n += tnrt_count_of(weights[i].ndim, weights[i].extents);
  return n;
}

enum { N_WORLDS = 3 };
static const int worlds[N_WORLDS] = {2, 4, 8}; /* whose memory is told where states are shared out */

static void info_json(const tnrt_training *p, const char *folder, const tnrt_arenas *arenas,
                      const tnrt_arenas *shared) {
  printf("{\"name\": \"%s\", \"producer\": \"%s\", \"source\": \"%s\", \"parameters\": %" PRId64
         ", \"batch\": %" PRId64 ", \"micro\": %" PRId64 ", \"steps\": %" PRId64 ", \"epochs\": %" PRId64
         ", \"seed\": %" PRIu64 ", \"checkpoints\": \"%s\", \"arenas\": {\"persistent\": %" PRIu64
         ", \"step\": %" PRIu64 ", \"step_least\": %" PRIu64 ", \"comm\": %" PRIu64 "}",
         tnrt_plan_text(p, p->name), tnrt_plan_text(p, p->producer), tnrt_plan_text(p, p->source_text),
         trained_elements(p), p->batch, p->micro, p->steps, p->epochs, p->seed, folder,
         arenas->persistent, arenas->step, p->step_least, arenas->comm);
  for (int i = 0; i < N_WORLDS && p->zero; i++)
    printf("%s\"%d\": %" PRIu64, i ? ", " : ", \"persistent_of_one_of\": {", worlds[i], shared[i].persistent);
  printf("%s}\n", p->zero ? "}" : "");
}

/* The checkpoint that eval, run and export would take. */
static void info_checkpoint(const tnrt_training *p, const tnrt_command *command) {
  tnrt_message message;
  tnrt_reading *reading;
  if (tnrt_checkpoint_open(&message, &tnrt_alloc_libc, p, command, &reading) != TNRT_OK) {
    printf("\nno checkpoint: %s\n", message.text);
    return;
  }
  const char *parts = tnrt_reading_text(reading, TNRT_PARTS_KEY);
  printf("\ncheckpoint %s: step %" PRId64 ", epoch %" PRId64 ", seed %" PRId64 "%s%s\n", tnrt_reading_path(reading),
         tnrt_reading_integer(reading, "step", 0), tnrt_reading_integer(reading, "epoch", 0),
         tnrt_reading_integer(reading, "seed", 0), parts ? "; records: " : "", parts ? parts : "");
  tnrt_reading_close(reading);
}

static void info_memory(const tnrt_training *p, const tnrt_arenas *arenas, const tnrt_arenas *shared) {
  printf("\nmemory of a process that trains alone, in bytes\n");
  printf("  persistent %12" PRIu64 "  weights, states, statistics\n", arenas->persistent);
  printf("  step       %12" PRIu64 "  activations, gradients, workspace", arenas->step);
  if (p->step_least)
    printf("; %.2f %% above the least possible",
           100 * ((double)arenas->step - (double)p->step_least) / (double)p->step_least);
  printf("\n  comm       %12" PRIu64 "  sums of gradients over parts of a batch and over processes\n", arenas->comm);
  for (int i = 0; i < N_WORLDS && p->zero; i++)
    printf("  persistent %12" PRIu64 "  of one of %d processes, with zero: 1\n", shared[i].persistent, worlds[i]);
}

tnrt_status tnrt_verb_info_training(tnrt_message *message, const tnrt_alloc *alloc,
                                    const tnrt_training_program *program, const tnrt_command *command) {
  const tnrt_training *p = program->plan;
  const tnrt_field *fields = tnrt_plan_fields(p);
  char folder[1024], shape[128];
  tnrt_arenas arenas, shared[N_WORLDS];
  tnrt_status status = tnrt_session_plan(&arenas, message, alloc, program, 1);
  for (int i = 0; i < N_WORLDS && p->zero && status == TNRT_OK; i++)
    status = tnrt_session_plan(&shared[i], message, alloc, program, worlds[i]);
  if (status != TNRT_OK) return status;
  tnrt_checkpoint_folder(p, command, folder, sizeof folder);
  if (command->json) {
    info_json(p, folder, &arenas, shared);
    return TNRT_OK;
  }
  printf("%s, from %s by %s\n", tnrt_plan_text(p, p->name), tnrt_plan_text(p, p->source_text),
         tnrt_plan_text(p, p->producer));
  printf("%" PRId64 " parameters; batch %" PRId64, trained_elements(p), p->batch);
  if (p->micro < p->batch) printf(" in parts of %" PRId64, p->micro);
  if (p->steps) printf("; %" PRId64 " steps", p->steps);
  if (p->epochs) printf("; %" PRId64 " epochs", p->epochs);
  printf("; seed %" PRIu64 "; checkpoints in %s\n\nfields of a sample of '%s'\n", p->seed, folder,
         tnrt_plan_text(p, p->source.name));
  for (uint32_t i = 0; i < p->n_fields; i++) {
    printf("  %s: %s %s", tnrt_plan_text(p, fields[i].name), tnrt_dtype_name(fields[i].dtype),
           tnrt_shape_text(shape, sizeof shape, fields[i].ndim, fields[i].extents));
    if (fields[i].n_classes) printf(", %u classes", fields[i].n_classes);
    printf("%s\n", fields[i].is_input ? "" : " (not an input of the model)");
  }
  printf("\nmeasured: loss");
  for (uint32_t i = 1; i <= p->n_metrics; i++) printf(", %s", tnrt_measure_name(p, i));
  printf("\n");
  info_memory(p, &arenas, shared);
  info_checkpoint(p, command);
  return TNRT_OK;
}
