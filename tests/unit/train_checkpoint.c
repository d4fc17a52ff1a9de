/* Checkpoints: written, found, damaged, kept, locked, gone back to; with the caller's thread and with one of their own.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/train/checkpoint.h"
#include "runtime/train/folder.h"

enum { N = 1000, N_NAME = 16 };

typedef struct fixture {
  char folder[64];
  struct {
    tnrt_training plan;
    char texts[64];
  } plan;
  int64_t extents[2];
  float w[N], m[N];
  tnrt_saved tensors[2];
  tnrt_saved_text text;
  tnrt_checkpoint contents;
} fixture;

static void fill(fixture *f, int64_t step) {
  f->contents.step = step;
  f->contents.epoch = step / 10;
  f->contents.cursor = step % 10;
  for (int i = 0; i < N; i++) f->w[i] = (float)(step + i), f->m[i] = (float)(step - i);
}

static int setup(void **state) {
  fixture *f = calloc(1, sizeof *f);
  strcpy(f->folder, "/tmp/tenon-checkpoints-XXXXXX");
  if (!mkdtemp(f->folder)) return -1;
  f->plan.plan.digest = 0x0123456789abcdefu;
  f->plan.plan.name = f->plan.plan.producer = offsetof(fixture, plan.texts) - offsetof(fixture, plan);
  strcpy(f->plan.texts, "net");
  f->extents[0] = N / 10, f->extents[1] = 10;
  f->tensors[0] = (tnrt_saved){"net.w", TNRT_F32, 2, f->extents, sizeof f->w, f->w};
  f->tensors[1] = (tnrt_saved){"optimizer.m.net.w", TNRT_F32, 2, f->extents, sizeof f->m, f->m};
  f->text = (tnrt_saved_text){"labels.y", "[\"no\",\"yes\"]"};
  f->contents = (tnrt_checkpoint){&f->plan.plan, 0, 0, 0, 42, 2, 1, f->tensors, &f->text};
  *state = f;
  return 0;
}

static int teardown(void **state) {
  fixture *f = *state;
  char command[128];
  snprintf(command, sizeof command, "rm -rf '%s'", f->folder);
  int failed = system(command);
  free(f);
  return failed;
}

static tnrt_store *open_store(fixture *f) {
  tnrt_store *store;
  tnrt_message message;
  if (tnrt_store_open(&store, &message, &tnrt_alloc_libc, f->folder, &f->contents) != TNRT_OK)
    fail_msg("%s", message.text);
  return store;
}

static void save(fixture *f, tnrt_store *store, int64_t step, const tnrt_keep *keep) {
  tnrt_message message;
  fill(f, step);
  if (tnrt_store_write(store, &message, &f->contents, keep) != TNRT_OK) fail_msg("%s", message.text);
}

/* Step of the one that is found, -1: none. */
static int64_t found(fixture *f, tnrt_which which, tnrt_message *notes) {
  char path[256];
  tnrt_message message;
  tnrt_reading *reading;
  int64_t step = -1;
  if (tnrt_checkpoint_find(&message, &tnrt_alloc_libc, f->folder, which, path, sizeof path, notes) != TNRT_OK)
    return -1;
  assert_int_equal(tnrt_reading_open(&reading, &message, &tnrt_alloc_libc, path), TNRT_OK);
  step = tnrt_reading_integer(reading, "step", -1);
  memset(f->w, 0, sizeof f->w);
  memset(f->m, 0, sizeof f->m);
  assert_int_equal(tnrt_reading_fill(&message, reading, f->tensors, 2), TNRT_OK);
  for (int i = 0; i < N; i++) assert_true(f->w[i] == (float)(step + i) && f->m[i] == (float)(step - i));
  assert_string_equal(tnrt_reading_text(reading, "labels.y"), "[\"no\",\"yes\"]");
  assert_string_equal(tnrt_reading_text(reading, "digest"), "0123456789abcdef");
  assert_int_equal(tnrt_reading_integer(reading, "cursor", -1), step % 10);
  tnrt_reading_close(reading);
  return step;
}

static bool exists(fixture *f, int64_t step) {
  char path[128], name[TNRT_CHECKPOINT_NAME];
  tnrt_checkpoint_name(name, step);
  snprintf(path, sizeof path, "%s/%s", f->folder, name);
  return access(path, F_OK) == 0;
}

static void keeps(void **state) {
  fixture *f = *state;
  const double values[] = {0.5, 0.9, 0.7, 0.8, 0.6};
  tnrt_store *store = open_store(f);
  for (int i = 0; i < 5; i++) save(f, store, 10 * (i + 1), &(tnrt_keep){2, true, true, values[i]});
  for (int i = 0; i < 5; i++) assert_int_equal(exists(f, 10 * (i + 1)), i == 1 || i >= 3);
  tnrt_store_close(store);
  assert_int_equal(found(f, TNRT_WHICH_LAST, NULL), 50);
  assert_int_equal(found(f, TNRT_WHICH_BEST, NULL), 20);
  /* Resumed: the best so far counts; nan never does. */
  fill(f, 50);
  store = open_store(f);
  save(f, store, 60, &(tnrt_keep){1, true, true, 0.85});
  save(f, store, 70, &(tnrt_keep){1, true, true, 0.0 / 0.0});
  assert_int_equal(found(f, TNRT_WHICH_BEST, NULL), 20);
  save(f, store, 80, &(tnrt_keep){1, true, true, 0.95});
  assert_int_equal(found(f, TNRT_WHICH_BEST, NULL), 80);
  assert_false(exists(f, 20));
  tnrt_store_close(store);
  /* Begun anew: smaller steps are newer, and the best of before is nothing. */
  fill(f, 0);
  store = open_store(f);
  save(f, store, 5, &(tnrt_keep){2, false, false, 0});
  assert_int_equal(found(f, TNRT_WHICH_LAST, NULL), 5);
  assert_int_equal(found(f, TNRT_WHICH_BEST, NULL), 5);
  save(f, store, 6, &(tnrt_keep){2, true, false, 3});
  save(f, store, 7, &(tnrt_keep){1, true, false, 4});
  assert_int_equal(found(f, TNRT_WHICH_BEST, NULL), 6);
  assert_false(exists(f, 80) || exists(f, 5));
  tnrt_store_close(store);
}

static void change(fixture *f, int64_t step, long at, int length) {
  char path[128], name[TNRT_CHECKPOINT_NAME];
  tnrt_checkpoint_name(name, step);
  snprintf(path, sizeof path, "%s/%s", f->folder, name);
  struct stat info;
  assert_int_equal(stat(path, &info), 0);
  if (length >= 0) {
    assert_int_equal(truncate(path, length), 0);
    return;
  }
  FILE *file = fopen(path, "r+b");
  fseek(file, at < 0 ? info.st_size + at : at, SEEK_SET);
  int c = fgetc(file);
  fseek(file, -1, SEEK_CUR);
  fputc(c ^ 4, file);
  fclose(file);
}

static void damaged(void **state) {
  fixture *f = *state;
  const tnrt_keep keep = {.last = 9};
  tnrt_message notes;
  tnrt_store *store = open_store(f);
  for (int step = 1; step <= 6; step++) save(f, store, step, &keep);
  tnrt_store_close(store);
  change(f, 6, 0, 100);  /* cut short */
  change(f, 5, -3, -1);  /* an element */
  change(f, 4, 300, -1); /* the header */
  change(f, 3, 0, 0);    /* empty */
  assert_int_equal(found(f, TNRT_WHICH_LAST, &notes), 2);
  assert_non_null(strstr(notes.text, "step-00000006"));
  assert_non_null(strstr(notes.text, "optimizer.m.net.w' are damaged"));
  /* Going back passes over them too. */
  fill(f, 6);
  store = open_store(f);
  tnrt_message message;
  assert_int_equal(tnrt_store_restore(store, &message, &f->contents), TNRT_OK);
  assert_int_equal(f->contents.step, 2);
  assert_true(f->w[7] == 9 && f->m[7] == -5);
  tnrt_store_close(store);
  change(f, 2, 3, -1);
  change(f, 1, 3, -1);
  assert_int_equal(found(f, TNRT_WHICH_LAST, &notes), -1);
}

static void another_model(void **state) {
  fixture *f = *state;
  char path[256];
  int64_t extents[2] = {N / 20, 20};
  tnrt_message message;
  tnrt_reading *reading;
  tnrt_store *store = open_store(f);
  save(f, store, 1, &(tnrt_keep){.last = 1});
  tnrt_store_close(store);
  assert_int_equal(
      tnrt_checkpoint_find(&message, &tnrt_alloc_libc, f->folder, TNRT_WHICH_BEST, path, sizeof path, NULL), TNRT_OK);
  assert_int_equal(tnrt_reading_open(&reading, &message, &tnrt_alloc_libc, path), TNRT_OK);
  tnrt_saved other[] = {f->tensors[0], f->tensors[1]};
  other[0].extents = extents;
  other[1].name = "optimizer.v.net.w";
  f->w[0] = -77;
  assert_int_equal(tnrt_reading_fill(&message, reading, other, 2), TNRT_BAD_INPUT);
  assert_true(f->w[0] == -77);
  assert_non_null(strstr(message.text, "'net.w': f32[100,10] in the checkpoint, f32[50,20] in the program"));
  assert_non_null(strstr(message.text, "'optimizer.v.net.w': nothing in the checkpoint, f32[100,10] in the program"));
  assert_non_null(strstr(message.text, "'optimizer.m.net.w': f32[100,10] in the checkpoint, nothing in the program"));
  assert_int_equal(tnrt_reading_fill(&message, reading, other, 1), TNRT_BAD_INPUT);
  assert_null(strstr(message.text, "optimizer"));
  /* Many differences end in a count. */
  tnrt_saved many[200];
  char names[200][N_NAME];
  for (int i = 0; i < 200; i++) {
    snprintf(names[i], N_NAME, "weight.%d", i);
    many[i] = other[0];
    many[i].name = names[i];
  }
  assert_int_equal(tnrt_reading_fill(&message, reading, many, 200), TNRT_BAD_INPUT);
  assert_non_null(strstr(message.text, "\n  and 19"));
  tnrt_reading_close(reading);
}

static void locked(void **state) {
  fixture *f = *state;
  char wanted[64];
  tnrt_store *store = open_store(f), *second;
  tnrt_message message;
  assert_int_equal(tnrt_store_open(&second, &message, &tnrt_alloc_libc, f->folder, &f->contents), TNRT_BAD_INPUT);
  assert_null(second);
  snprintf(wanted, sizeof wanted, "are in use: process %ld on ", (long)getpid());
  assert_non_null(strstr(message.text, wanted));
  save(f, store, 1, &(tnrt_keep){.last = 1}); /* the first goes on */
  tnrt_store_close(store);
  tnrt_store_close(open_store(f));
  assert_int_equal(tnrt_store_open(&second, &message, &tnrt_alloc_libc, "/proc/no", &f->contents), TNRT_IO);
}

/* A limit on the size of files stands for a full disk; the old one stays and is whole. */
static void no_space(void **state) {
  fixture *f = *state;
  tnrt_store *store = open_store(f);
  tnrt_message message;
  char path[128];
  save(f, store, 1, &(tnrt_keep){.last = 1});
  snprintf(path, sizeof path, "%s/.step-00000002.safetensors.tmp", f->folder);
  assert_int_equal(symlink("/dev/full", path), 0);
  fill(f, 2);
  assert_int_equal(tnrt_store_write(store, &message, &f->contents, &(tnrt_keep){.last = 1}), TNRT_IO);
  assert_non_null(strstr(message.text, "step-00000002.safetensors': No space left on device; it needs "));
  assert_non_null(strstr(message.text, " are free"));
  assert_int_equal(access(path, F_OK), -1);
  assert_int_equal(found(f, TNRT_WHICH_LAST, NULL), 1);
  save(f, store, 2, &(tnrt_keep){.last = 1});
  assert_int_equal(found(f, TNRT_WHICH_LAST, NULL), 2);
  tnrt_store_close(store);
}

static void async(void **state) {
  fixture *f = *state;
  tnrt_store *store = open_store(f);
  tnrt_message message;
  char path[128];
  assert_int_equal(tnrt_store_set_async(store, &message, &f->contents), TNRT_OK);
  for (int step = 1; step <= 20; step++) {
    save(f, store, step, &(tnrt_keep){.last = 3});
    fill(f, -1000); /* what is trained on meanwhile is not in it */
  }
  assert_int_equal(tnrt_store_wait(store, &message), TNRT_OK);
  assert_int_equal(found(f, TNRT_WHICH_LAST, NULL), 20);
  assert_true(exists(f, 18) && !exists(f, 17));
  /* A failure is told by the next call, once. */
  snprintf(path, sizeof path, "%s/.step-00000021.safetensors.tmp", f->folder);
  assert_int_equal(symlink("/dev/full", path), 0);
  save(f, store, 21, &(tnrt_keep){.last = 3});
  assert_int_equal(tnrt_store_wait(store, &message), TNRT_IO);
  assert_non_null(strstr(message.text, "step-00000021"));
  assert_int_equal(tnrt_store_wait(store, &message), TNRT_OK);
  assert_int_equal(tnrt_store_restore(store, &message, &f->contents), TNRT_OK);
  assert_int_equal(f->contents.step, 20);
  save(f, store, 22, &(tnrt_keep){.last = 3});
  tnrt_store_close(store); /* waits */
  assert_int_equal(found(f, TNRT_WHICH_LAST, NULL), 22);
}

/* What a killed one left goes, what is not ours stays. */
static void sweeps(void **state) {
  fixture *f = *state;
  static const char *const names[] = {".step-00000009.safetensors.tmp", ".LATEST.tmp", ".other.tmp",
                                      "step-x.safetensors"};
  char path[128];
  for (int i = 0; i < 4; i++) {
    snprintf(path, sizeof path, "%s/%s", f->folder, names[i]);
    close(open(path, O_CREAT | O_WRONLY, 0666));
  }
  tnrt_store_close(open_store(f));
  for (int i = 0; i < 4; i++) {
    snprintf(path, sizeof path, "%s/%s", f->folder, names[i]);
    assert_int_equal(access(path, F_OK), i < 2 ? -1 : 0);
  }
}

#define EACH(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {EACH(keeps),    EACH(damaged), EACH(another_model), EACH(locked),
                                     EACH(no_space), EACH(async),   EACH(sweeps)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
