/* What the records of training programs do, driven by tests/train/test_records.py: no model, a made-up plan.
 *   train_records checkpoints FOLDER FIRST STEPS FLOATS [async]   a checkpoint each step, "saved N" after each
 *   train_records find FOLDER [best]                              "step N" and its path, after checking its elements
 *   train_records logs FIRST STEPS US WHAT=PATH...                a training's numbers; what: json csv tensorboard png
 * port plot quiet appends train_records plot LOG [PNG] */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "runtime/train/checkpoint.h"
#include "runtime/train/export.h"
#include "runtime/train/logs.h"
#include "runtime/train/plot.h"
#include "runtime/train/signals.h"

typedef struct made_up {
  tnrt_training plan;
  tnrt_metric metrics[1];
  char texts[64];
} made_up;

static made_up *make_plan(made_up *m) {
  memset(m, 0, sizeof *m);
  strcpy(m->texts, "net");
  strcpy(m->texts + 8, "acc");
  m->plan.digest = 77;
  m->plan.name = m->plan.producer = offsetof(made_up, texts);
  m->plan.n_metrics = 1;
  m->plan.metrics = offsetof(made_up, metrics);
  m->plan.n_groups = 1;
  m->metrics[0].name = offsetof(made_up, texts) + 8;
  return m;
}

static int fail(const tnrt_message *message) {
  fprintf(stderr, "%s\n", message->text);
  return 1;
}

static float element(int64_t step, int64_t tensor, int64_t i) {
  return (float)(step * 1000 + tensor * 100000 + i % 1000);
}

static int checkpoints(const char *folder, int64_t first, int64_t steps, int64_t n, bool is_async) {
  made_up m;
  tnrt_message message;
  tnrt_store *store;
  tnrt_saved tensors[2];
  tnrt_saved_text text = {"labels.y", "[\"a\",\"b\"]"};
  for (int t = 0; t < 2; t++) {
    int64_t *extents = malloc(sizeof *extents);
    *extents = n;
    tensors[t] = (tnrt_saved){t ? "optimizer.m.w" : "w", TNRT_F32, 1, extents, 4 * (uint64_t)n, malloc(4 * (size_t)n)};
  }
  tnrt_checkpoint c = {&make_plan(&m)->plan, first, 0, 0, 1, 2, 1, tensors, &text};
  if (tnrt_store_open(&store, &message, &tnrt_alloc_libc, folder, &c) != TNRT_OK) return fail(&message);
  if (is_async && tnrt_store_set_async(store, &message, &c) != TNRT_OK) return fail(&message);
  for (c.step = first + 1; c.step <= first + steps; c.step++) {
    for (int t = 0; t < 2; t++)
      for (int64_t i = 0; i < n; i++) ((float *)tensors[t].data)[i] = element(c.step, t, i);
    tnrt_keep keep = {2, true, true, (double)(c.step % 7)};
    tnrt_status status = tnrt_store_write(store, &message, &c, &keep);
    if (status != TNRT_OK)
      fail(&message);
    else
      printf("saved %lld\n", (long long)c.step);
    fflush(stdout);
  }
  tnrt_status status = tnrt_store_wait(store, &message);
  if (status != TNRT_OK) fail(&message);
  tnrt_store_close(store);
  for (int t = 0; t < 2; t++) free(tensors[t].data), free((void *)(uintptr_t)tensors[t].extents);
  printf("done\n");
  return 0;
}

static int find(const char *folder, tnrt_which which) {
  char path[4096];
  tnrt_message message, notes;
  tnrt_reading *reading;
  if (tnrt_reading_find(&reading, &message, &tnrt_alloc_libc, folder, which, path, sizeof path, &notes) != TNRT_OK)
    return fail(&message);
  if (notes.text[0]) printf("note %s\n", notes.text);
  int64_t step = tnrt_reading_integer(reading, "step", -1);
  int wrong = 0;
  for (int t = 0; t < 2; t++) {
    const tnrt_saved *saved = tnrt_reading_tensor(reading, t ? "optimizer.m.w" : "w");
    for (int64_t i = 0; saved && i < saved->extents[0]; i++) wrong |= ((float *)saved->data)[i] != element(step, t, i);
    wrong |= !saved;
  }
  tnrt_reading_close(reading);
  printf("%s %lld %s\n", wrong ? "wrong" : "step", (long long)step, path);
  return wrong;
}

static const char *value_of(int n, char **words, const char *what) {
  size_t bytes = strlen(what);
  for (int i = 0; i < n; i++)
    if (strncmp(words[i], what, bytes) == 0 && (words[i][bytes] == '=' || !words[i][bytes]))
      return words[i][bytes] ? words[i] + bytes + 1 : "";
  return NULL;
}

static int logs(int64_t first, int64_t steps, int64_t us, int n, char **words) {
  made_up m;
  tnrt_message message;
  tnrt_logs *l;
  double measures[3][2] = {{NAN, NAN}, {NAN, NAN}, {NAN, NAN}}, rate;
  const char *port = value_of(n, words, "port");
  tnrt_log_options o = {.is_quiet = value_of(n, words, "quiet"),
                        .plot = value_of(n, words, "plot"),
                        .json = value_of(n, words, "json"),
                        .csv = value_of(n, words, "csv"),
                        .tensorboard = value_of(n, words, "tensorboard"),
                        .plot_png = value_of(n, words, "png"),
                        .port = port ? atoi(port) : 0,
                        .appends = value_of(n, words, "appends")};
  if (tnrt_logs_open(&l, &message, &tnrt_alloc_libc, &make_plan(&m)->plan, &o) != TNRT_OK) return fail(&message);
  for (int64_t step = first + 1; step <= first + steps; step++) {
    rate = 0.1 / (double)step;
    tnrt_report r = {.step = step,
                     .epoch = 1 + (step - 1) / 10,
                     .n_steps = 0,
                     .n_epochs = (first + steps) / 10,
                     .epoch_step = 1 + (step - 1) % 10,
                     .epoch_steps = 10,
                     .n_samples = 32 * (step - first),
                     .loss = 1 / (double)step,
                     .norm = 2,
                     .loss_scale = 1,
                     .rates = &rate,
                     .measures = measures[0]};
    tnrt_logs_step(l, &r);
    if (step % 5 == 0) {
      measures[1][0] = 1.5 / (double)step;
      measures[1][1] = 1 - 1 / (double)step;
      tnrt_logs_eval(l, &r, TNRT_SPLIT_VALID);
    }
    if (step % 10 == 0) {
      measures[0][0] = 1.25 / (double)step;
      tnrt_logs_epoch(l, &r);
    }
    if (us) nanosleep(&(struct timespec){us / 1000000, us % 1000000 * 1000}, NULL);
  }
  tnrt_logs_note(l, "a note %d", 7);
  tnrt_logs_close(l);
  return 0;
}

static int export_weights(const char *safetensors, const char *npz) {
  static const int64_t matrix[] = {2, 3}, none[] = {0, 4};
  static float w[6] = {0, 1, 2, 3, 4, 5.5f};
  static uint16_t half[6] = {0x3c00, 0, 0x4000, 0, 0, 0xc000};
  static int64_t scalar = -7;
  made_up m;
  tnrt_message message;
  tnrt_training_program program = {.plan = &make_plan(&m)->plan};
  tnrt_saved weights[] = {{"net.w", TNRT_F32, 2, matrix, sizeof w, w},
                          {"net.\xc3\xa4/h", TNRT_F16, 2, matrix, sizeof half, half},
                          {"n", TNRT_I64, 0, NULL, 8, &scalar},
                          {"empty", TNRT_F64, 2, none, 0, w}};
  tnrt_saved_text text = {"labels.y", "[\"a\"]"};
  tnrt_export_targets targets = {.safetensors = safetensors, .npz = npz};
  if (tnrt_export(&message, &tnrt_alloc_libc, &program, weights, 4, &text, 1, &targets) != TNRT_OK)
    return fail(&message);
  tnrt_reading *reading; /* what is exported is read as a checkpoint too */
  if (tnrt_reading_open(&reading, &message, &tnrt_alloc_libc, safetensors) != TNRT_OK) return fail(&message);
  tnrt_reading_close(reading);
  return 0;
}

static int run(int argc, char **argv) {
  const char *verb = argc > 2 ? argv[1] : "";
  tnrt_message message;
  if (strcmp(verb, "checkpoints") == 0 && argc >= 6)
    return checkpoints(argv[2], atoll(argv[3]), atoll(argv[4]), atoll(argv[5]), argc > 6);
  if (strcmp(verb, "find") == 0) return find(argv[2], argc > 3 ? TNRT_WHICH_BEST : TNRT_WHICH_LAST);
  if (strcmp(verb, "logs") == 0 && argc >= 5)
    return logs(atoll(argv[2]), atoll(argv[3]), atoll(argv[4]), argc - 5, argv + 5);
  if (strcmp(verb, "export") == 0 && argc == 4) return export_weights(argv[2], argv[3]);
  if (strcmp(verb, "plot") == 0)
    return tnrt_plot_log(&message, &tnrt_alloc_libc, argv[2], STDOUT_FILENO, argc > 3 ? argv[3] : NULL) == TNRT_OK
               ? 0
               : fail(&message);
  fprintf(stderr, "usage: see the head of tests/tools/train_records.c\n");
  return 1;
}

int main(int argc, char **argv) {
  tnrt_signals *signals;
  tnrt_message message;
  if (tnrt_signals_open(&signals, &message) != TNRT_OK) return fail(&message);
  int status = run(argc, argv);
  tnrt_signals_close(signals);
  return status;
}
