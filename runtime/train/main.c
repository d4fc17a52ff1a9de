/* The program around a compiled training: `EXE train`, `eval`, `run`, `export`, `plot`, `info`. It knows that only by
 * its record, so one archive serves every executable. Exit status: 0 done; 1 an option, the data or a requirement is
 * wrong; 71 a resource gave out; 75 stopped on request, a checkpoint saved, or to be started again (lost.c). */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runtime/core/command.h"
#include "runtime/train/plot.h"
#include "runtime/train/verbs.h"

typedef struct verb {
  const char *name;
  const char *doc;
} verb;

static const verb verbs[] = {
    {"train", "trains, and writes checkpoints"},
    {"eval", "measures the loss and the metrics of a checkpoint"},
    {"run", "predicts with a checkpoint"},
    {"export", "writes a checkpoint's weights for other programs"},
    {"plot", "draws the curves of a log, as --log-json and --log-csv write it"},
    {"info", "prints what is trained, and on what"},
};
enum { N_VERBS = sizeof verbs / sizeof verbs[0] };

enum { EXIT_STOPPED = 75 };

/* one: a verb, or NULL for all of them. */
static void print_help(const char *program, const char *one) {
  const tnrt_training *plan = tnrt_main_training.plan;
  printf("%s: the training of '%s', compiled by %s\n\nusage: %s %s%s\n", program,
         tnrt_plan_text(plan, plan->name), tnrt_plan_text(plan, plan->producer), program, one ? one : "VERB",
         one && strcmp(one, "plot") == 0 ? " LOG [OPTION]..." : " [OPTION]...");
  for (int i = 0; i < N_VERBS; i++) {
    if (one && strcmp(one, verbs[i].name) != 0) continue;
    printf("\n  %s  %s\n", verbs[i].name, verbs[i].doc);
    tnrt_command_describe(verbs[i].name);
  }
  printf(
      "\nExit status: 0 done, 1 an option, the data or a requirement is wrong, 71 a resource gave out, 75 stopped on\n"
      "request with a checkpoint saved, or (on lost_rank) to be started again.\n");
}

/* Of models with code for several processors those for this one. */
static tnrt_status choose(tnrt_message *message, tnrt_training_program *out) {
  *out = tnrt_main_training;
  tnrt_training_model *const models[] = {&out->step,  &out->grad,  &out->update, &out->eval, &out->predict,
                                         &out->trace, &out->shard, &out->norm,   &out->fit};
  enum { N_MODELS = sizeof models / sizeof models[0] };
  _Static_assert(sizeof *out == sizeof out->plan + N_MODELS * sizeof out->step, "all of them");
  for (int i = 0; i < N_MODELS; i++) {
    const tnrt_variants *variants = models[i]->model ? models[i]->model->variants : NULL;
    int32_t chosen = variants ? variants->choose(variants, message->text, sizeof message->text) : 0;
    if (chosen < 0) return (tnrt_status)-chosen;
    if (variants) models[i]->model = variants->models[chosen];
  }
  return TNRT_OK;
}

static tnrt_status use_checkpoint(const tnrt_training_program *program, const tnrt_command *command,
                                  tnrt_message *message) {
  tnrt_trained trained;
  bool is_run = strcmp(command->verb, "run") == 0, is_eval = strcmp(command->verb, "eval") == 0;
  tnrt_status status = tnrt_trained_open(&trained, message, &tnrt_alloc_libc, program, command,
                                         is_eval ? TNRT_USE_EVAL : TNRT_USE_PREDICT);
  if (status == TNRT_OK)
    status = is_eval  ? tnrt_verb_eval_training(&trained)
             : is_run ? tnrt_verb_run_training(&trained)
                      : tnrt_verb_export_training(&trained);
  char unknown[TNRT_UNKNOWN_BYTES];
  if (status == TNRT_OK && tnrt_samples_unknown(&trained.samples, unknown, sizeof unknown))
    fprintf(stderr, "%s: %s\n", command->program, unknown);
  if (status == TNRT_OK && trained.warning[0]) fprintf(stderr, "%s: %s\n", command->program, trained.warning);
  tnrt_trained_close(&trained);
  return status;
}

/* Signals first: libraries for messages make threads. */
static tnrt_status train(const tnrt_training_program *program, const tnrt_command *command, tnrt_message *message,
                         tnrt_world *world, bool *out_stopped) {
  tnrt_world_options options = {.library = command->mpi, .timeout = command->comm_timeout};
  tnrt_signals *signals;
  tnrt_status status = tnrt_signals_open(&signals, message);
  if (status == TNRT_OK) status = tnrt_world_open(world, message, &options);
  if (status == TNRT_OK)
    status = tnrt_loop_train(message, &tnrt_alloc_libc, program, command, world, signals, out_stopped);
  tnrt_signals_close(signals);
  return status;
}

static tnrt_status run_verb(const tnrt_command *command, tnrt_message *message, tnrt_world *world,
                            bool *out_stopped) {
  tnrt_training_program program;
  tnrt_status status = choose(message, &program);
  if (status != TNRT_OK) return status;
  if (strcmp(command->verb, "train") == 0) return train(&program, command, message, world, out_stopped);
  if (strcmp(command->verb, "plot") == 0)
    return tnrt_plot_log(message, &tnrt_alloc_libc, command->log, STDOUT_FILENO, command->logs.plot_png);
  if (strcmp(command->verb, "info") != 0) return use_checkpoint(&program, command, message);
  return tnrt_verb_info_training(message, &tnrt_alloc_libc, &program, command);
}

/* Several processes that fail for one reason say it once: the first one does, and ends the others, unless they are
 * alone with it. */
static int fail(const tnrt_command *command, const tnrt_message *message, tnrt_world *world, int status) {
  if (world->rank > 0) sleep(1);
  if (!world->is_silent && world->size == 1) fprintf(stderr, "%s: error: %s\n", command->program, message->text);
  if (!world->is_silent && world->size > 1)
    fprintf(stderr, "%s: process %d: error: %s\n", command->program, world->is_told ? world->told_by : world->rank,
            message->text);
  fflush(stderr);
  tnrt_world_abort(world, status);
  return status;
}

int main(int argc, char **argv) {
  tnrt_command command;
  tnrt_message message;
  tnrt_world world = {.size = 1};
  bool stopped = false;
  tnrt_status status = tnrt_command_parse(&message, argc, argv, &command);
  if (status == TNRT_OK && command.help) print_help(command.program, command.verb);
  else if (status == TNRT_OK) status = run_verb(&command, &message, &world, &stopped);
  if (status == TNRT_OK && fflush(stdout) != 0)
    status = tnrt_fail(&message, TNRT_BAD_INPUT, "cannot write to standard output");
  if (status != TNRT_OK)
    return fail(&command, &message, &world, world.restarts ? EXIT_STOPPED : tnrt_exit_status(status));
  tnrt_world_close(&world);
  return stopped ? EXIT_STOPPED : 0;
}
