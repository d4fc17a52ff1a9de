/* Checkpoints written (checkpoint.h); checkpoint.c reads them. What is not in the header of checkpoint.h: a table of
 * the files there are, so that none but the first look into the folder allocates. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/core/dtype.h"
#include "runtime/train/checkpoint.h"
#include "runtime/train/folder.h"
#include "runtime/train/lock.h"
#include "runtime/train/memory.h"
#include "runtime/train/plan.h"
#include "runtime/train/safetensors.h"
#include "runtime/train/whole.h"

enum {
  BLOCK_BYTES = 1 << 20, /* that are read at once; a multiple of 32 */
  MORE_ROWS = 4096,      /* files that are kept track of beyond those that were there */
  DIGITS = 32
};

/* Texts that we add to those of the caller, in their order in the file; digests come last. The sequence is the first:
 * folder.c finds it there. */
enum { SEQUENCE, FORMAT, DIGEST, MODEL, PRODUCER, STEP, EPOCH, CURSOR, SEED, VALUE, N_OWN };
static const char *const own_keys[N_OWN] = {"sequence", "format", "digest", "model", "producer",
                                            "step",     "epoch",  "cursor", "seed",  "value"};

typedef struct tnrt_store_thread {
  pthread_t thread;
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  bool has_work, ends;
  tnrt_saved *tensors; /* with the copies */
  tnrt_checkpoint contents;
  tnrt_keep keep;
  tnrt_status status;
  tnrt_message message;
} tnrt_store_thread;

struct tnrt_store {
  const tnrt_alloc *alloc;
  char folder[TNRT_PATH_BYTES], path[TNRT_PATH_BYTES];
  int lock;
  uint32_t n_tensors, n_texts; /* of contents; the table of texts has N_OWN and n_tensors more */
  tnrt_saved_text *texts;
  char (*numbers)[DIGITS]; /* N_OWN */
  char (*digests)[TNRT_DIGEST_TEXT];
  char *keys; /* "digest:NAME" one after the other */
  char *header;
  size_t header_capacity;
  uint8_t *block;
  tnrt_safetensors parsed; /* of tnrt_store_restore */
  tnrt_row *rows;          /* the newest first */
  uint32_t n_rows, max_rows;
  uint64_t sequence; /* of the last one */
  bool has_written;  /* the newest is ours */
  bool has_best;
  int64_t best_step;
  double best_value;
  tnrt_store_thread *writer; /* NULL: the caller's thread writes */
};

/* ---- memory ---- */

static void give(tnrt_store *s, void *memory) {
  if (memory) s->alloc->give(s->alloc->user, memory);
}

static bool make_keys(tnrt_store *s, const tnrt_checkpoint *c) {
  size_t bytes = 0;
  for (uint32_t i = 0; i < c->n_tensors; i++) bytes += strlen(c->tensors[i].name) + sizeof "digest:";
  char *key = s->keys = tnrt_take(s->alloc, bytes, 1);
  if (!key) return false;
  for (uint32_t i = 0; i < N_OWN; i++) s->texts[i] = (tnrt_saved_text){own_keys[i], s->numbers[i]};
  s->texts[FORMAT].text = "tenon";
  s->texts[MODEL].text = tnrt_plan_text(c->plan, c->plan->name);
  s->texts[PRODUCER].text = tnrt_plan_text(c->plan, c->plan->producer);
  for (uint32_t i = 0; i < c->n_texts; i++) s->texts[N_OWN + i] = c->texts[i];
  for (uint32_t i = 0; i < c->n_tensors; i++) {
    s->texts[N_OWN + c->n_texts + i] = (tnrt_saved_text){key, s->digests[i]};
    key += tnrt_text(key, bytes - (size_t)(key - s->keys), "digest:%s", c->tensors[i].name) + 1;
  }
  return true;
}

static tnrt_status make_tables(tnrt_store *s, tnrt_message *message, const tnrt_checkpoint *c) {
  s->n_tensors = c->n_tensors;
  s->n_texts = N_OWN + c->n_texts + c->n_tensors;
  s->texts = tnrt_take(s->alloc, s->n_texts, sizeof *s->texts);
  s->numbers = tnrt_take(s->alloc, N_OWN, sizeof *s->numbers);
  s->digests = tnrt_take(s->alloc, c->n_tensors, sizeof *s->digests);
  s->block = tnrt_take(s->alloc, BLOCK_BYTES, 1);
  if (!s->texts || !s->numbers || !s->digests || !s->block || !make_keys(s, c))
    return tnrt_fail(message, TNRT_NO_MEMORY, "no memory to write checkpoints");
  size_t bytes = tnrt_safetensors_header(NULL, 0, c->tensors, c->n_tensors, s->texts, s->n_texts);
  if (!bytes) return tnrt_fail(message, TNRT_BAD_INPUT, "a weight's element type has no form in safetensors");
  s->header_capacity = bytes + N_OWN * DIGITS + c->n_tensors * TNRT_DIGEST_TEXT + 64;
  s->header = tnrt_take(s->alloc, s->header_capacity, 1);
  s->parsed = (tnrt_safetensors){.max_tensors = s->n_tensors, .max_texts = s->n_texts + 1};
  s->parsed.tensors = tnrt_take(s->alloc, s->parsed.max_tensors, sizeof *s->parsed.tensors);
  s->parsed.by_name = tnrt_take(s->alloc, s->parsed.max_tensors, sizeof *s->parsed.by_name);
  s->parsed.texts = tnrt_take(s->alloc, s->parsed.max_texts, sizeof *s->parsed.texts);
  if (s->header && s->parsed.tensors && s->parsed.by_name && s->parsed.texts) return TNRT_OK;
  return tnrt_fail(message, TNRT_NO_MEMORY, "no memory to write checkpoints");
}

/* ---- one file ---- */

static void put_real(char out[DIGITS], double value) { snprintf(out, DIGITS, "%.17g", value); }

static void fill_texts(tnrt_store *s, const tnrt_checkpoint *c, const tnrt_keep *keep) {
  tnrt_text(s->numbers[SEQUENCE], DIGITS, "%llu", (unsigned long long)s->sequence + 1);
  tnrt_digest_text(s->numbers[DIGEST], c->plan->digest);
  tnrt_text(s->numbers[STEP], DIGITS, "%lld", (long long)c->step);
  tnrt_text(s->numbers[EPOCH], DIGITS, "%lld", (long long)c->epoch);
  tnrt_text(s->numbers[CURSOR], DIGITS, "%lld", (long long)c->cursor);
  tnrt_text(s->numbers[SEED], DIGITS, "%llu", (unsigned long long)c->seed);
  s->numbers[VALUE][0] = 0;
  if (keep->has_value)
    put_real(s->numbers[VALUE], keep->value);
  else if (s->has_best && s->best_step == c->step)
    put_real(s->numbers[VALUE], s->best_value);
  for (uint32_t i = 0; i < c->n_tensors; i++)
    tnrt_digest_text(s->digests[i], tnrt_digest_of(c->tensors[i].data, c->tensors[i].bytes));
}

/* False at the end of the file or an error. */
static bool read_full(int fd, void *out, uint64_t bytes) {
  for (uint8_t *at = out; bytes > 0;) {
    ssize_t n = read(fd, at, (size_t)(bytes < BLOCK_BYTES ? bytes : BLOCK_BYTES));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    at += n;
    bytes -= (uint64_t)n;
  }
  return true;
}

/* The digest of the next bytes of a file, through s->block or into memory. */
static bool read_digest(tnrt_store *s, int fd, uint64_t bytes, void *into, char out[TNRT_DIGEST_TEXT]) {
  tnrt_digest digest = tnrt_digest_start();
  uint8_t *to = into;
  for (uint64_t left = bytes; left > 0;) {
    size_t n = (size_t)(left < BLOCK_BYTES ? left : BLOCK_BYTES), at = 0;
    uint8_t *block = to ? to : s->block, last[32] = {0};
    if (!read_full(fd, block, n)) return false;
    for (; n - at >= 32; at += 32) tnrt_digest_add(&digest, block + at);
    memcpy(last, block + at, n - at);
    if (at < n) tnrt_digest_add(&digest, last);
    left -= n;
    if (to) to += n;
  }
  tnrt_digest_text(out, tnrt_digest_end(&digest, bytes));
  return true;
}

/* What was written, as it is on the disk: the header's bytes, the digests of the tensors. */
static bool reads_back(tnrt_store *s, const char *path, size_t header_bytes, const tnrt_checkpoint *c) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED); /* from the disk, not from the cache, as far as it is possible */
  bool is_same = true;
  for (size_t at = 0; at < header_bytes && is_same;) {
    size_t n = header_bytes - at < BLOCK_BYTES ? header_bytes - at : BLOCK_BYTES;
    is_same = read_full(fd, s->block, n) && memcmp(s->block, s->header + at, n) == 0;
    at += n;
  }
  for (uint32_t i = 0; i < c->n_tensors && is_same; i++) {
    char digits[TNRT_DIGEST_TEXT];
    is_same = read_digest(s, fd, c->tensors[i].bytes, NULL, digits) && strcmp(digits, s->digests[i]) == 0;
  }
  is_same = is_same && read(fd, s->block, 1) == 0;
  close(fd);
  return is_same;
}

static tnrt_status write_file(tnrt_store *s, tnrt_message *message, const tnrt_checkpoint *c) {
  tnrt_whole file;
  size_t header =
      tnrt_safetensors_header(s->header, s->header_capacity, c->tensors, c->n_tensors, s->texts, s->n_texts);
  uint64_t bytes = header;
  for (uint32_t i = 0; i < c->n_tensors; i++) bytes += c->tensors[i].bytes;
  tnrt_status status = tnrt_whole_open(&file, message, s->path, bytes);
  if (status == TNRT_OK) status = tnrt_whole_put(&file, message, s->header, header);
  for (uint32_t i = 0; i < c->n_tensors && status == TNRT_OK; i++)
    status = tnrt_whole_put(&file, message, c->tensors[i].data, c->tensors[i].bytes);
  if (status == TNRT_OK) status = tnrt_whole_sync(&file, message);
  if (status != TNRT_OK) return status;
  if (reads_back(s, file.temporary, header, c)) return tnrt_whole_end(&file, message);
  tnrt_whole_drop(&file);
  return tnrt_fail(message, TNRT_IO, "cannot write '%.300s': what was written reads back as something else", s->path);
}

/* ---- the folder ---- */

static tnrt_status path_of(tnrt_store *s, tnrt_message *message, int64_t step) {
  char name[TNRT_CHECKPOINT_NAME];
  tnrt_checkpoint_name(name, step);
  return tnrt_path_join(message, s->path, sizeof s->path, s->folder, name);
}

static tnrt_status point(tnrt_store *s, tnrt_message *message, const char *pointer, int64_t step) {
  char name[TNRT_CHECKPOINT_NAME + 1], path[TNRT_PATH_BYTES];
  tnrt_status status = tnrt_path_join(message, path, sizeof path, s->folder, pointer);
  if (status != TNRT_OK) return status;
  tnrt_checkpoint_name(name, step);
  size_t n = strlen(name);
  name[n] = '\n';
  return tnrt_whole_write(message, path, name, n + 1);
}

static void forget_row(tnrt_store *s, uint32_t i) {
  memmove(&s->rows[i], &s->rows[i + 1], (s->n_rows - i - 1) * sizeof *s->rows);
  s->n_rows--;
}

/* The file of this step is the newest now. */
static void add_row(tnrt_store *s, int64_t step) {
  for (uint32_t i = 0; i < s->n_rows; i++)
    if (s->rows[i].step == step) forget_row(s, i--);
  if (s->n_rows == s->max_rows) s->n_rows--; /* the oldest stays where it is */
  memmove(s->rows + 1, s->rows, s->n_rows++ * sizeof *s->rows);
  s->rows[0] = (tnrt_row){step, ++s->sequence};
}

static void prune(tnrt_store *s, const tnrt_keep *keep) {
  tnrt_message ignored;
  int64_t n_kept = keep->last > 1 ? keep->last : 1;
  for (uint32_t i = 0, seen = 0; i < s->n_rows; i++, seen++) {
    int64_t step = s->rows[i].step;
    if (seen < n_kept || (s->has_best && step == s->best_step)) continue;
    if (path_of(s, &ignored, step) == TNRT_OK) unlink(s->path);
    forget_row(s, i--);
  }
}

static bool is_better(const tnrt_store *s, int64_t step, const tnrt_keep *keep) {
  if (!keep->has_value || isnan(keep->value)) return false;
  if (!s->has_best || isnan(s->best_value)) return true;
  if (s->best_step == step) return true; /* its file is replaced */
  return keep->is_max ? keep->value > s->best_value : keep->value < s->best_value;
}

/* A best one that is there is of another training. */
static void forget_best(tnrt_store *s) {
  tnrt_message ignored;
  if (tnrt_path_join(&ignored, s->path, sizeof s->path, s->folder, "BEST") == TNRT_OK) unlink(s->path);
}

static tnrt_status point_all(tnrt_store *s, tnrt_message *message, int64_t step, bool is_best) {
  tnrt_status status = point(s, message, "LATEST", step);
  return is_best && status == TNRT_OK ? point(s, message, "BEST", step) : status;
}

static tnrt_status write_now(tnrt_store *s, tnrt_message *message, const tnrt_checkpoint *c, const tnrt_keep *keep) {
  bool is_best = is_better(s, c->step, keep);
  fill_texts(s, c, keep);
  if (s->has_written) prune(s, keep); /* what stayed when a name could not be written: a full disk needs the room */
  tnrt_status status = path_of(s, message, c->step);
  if (status == TNRT_OK) status = write_file(s, message, c);
  if (status != TNRT_OK) return status;
  add_row(s, c->step);
  s->has_written = true;
  status = point_all(s, message, c->step, is_best);
  if (status == TNRT_IO) { /* the file is whole and the newest: older ones make room for the names */
    prune(s, keep);
    status = point_all(s, message, c->step, is_best);
  }
  if (status != TNRT_OK) return status;
  if (is_best) s->has_best = true, s->best_step = c->step, s->best_value = keep->value;
  if (!s->has_best) forget_best(s);
  prune(s, keep);
  return TNRT_OK;
}

/* ---- opening ---- */

static tnrt_status enter_folder(tnrt_store *s, tnrt_message *message, const char *folder) {
  char who[400];
  if (strlen(folder) + TNRT_CHECKPOINT_NAME + 8 > sizeof s->folder)
    return tnrt_fail(message, TNRT_BAD_INPUT, "the path of the folder of checkpoints is too long");
  memcpy(s->folder, folder, strlen(folder) + 1);
  int code = mkdir(folder, 0777) == 0 ? tnrt_sync_folder_of(folder) : errno == EEXIST ? 0 : errno;
  if (code) return tnrt_fail(message, TNRT_IO, "cannot make the folder '%.300s': %s", folder, strerror(code));
  tnrt_status status = tnrt_path_join(message, s->path, sizeof s->path, folder, "LOCK");
  tnrt_text(who, sizeof who, "the checkpoints in '%.300s'", folder);
  return status == TNRT_OK ? tnrt_lock_take(message, s->path, who, &s->lock) : status;
}

/* The best so far, of a training that is resumed. */
static void find_best(tnrt_store *s) {
  tnrt_message ignored;
  tnrt_reading *reading = NULL;
  int64_t step = tnrt_folder_named(s->folder, "BEST");
  if (step < 0 || path_of(s, &ignored, step) != TNRT_OK) return;
  if (tnrt_reading_open(&reading, &ignored, s->alloc, s->path) != TNRT_OK) return;
  const char *value = tnrt_reading_text(reading, "value");
  s->has_best = true;
  s->best_step = step;
  s->best_value = value && *value ? strtod(value, NULL) : NAN;
  tnrt_reading_close(reading);
}

static tnrt_status look_around(tnrt_store *s, tnrt_message *message, const tnrt_checkpoint *c) {
  tnrt_folder_sweep(s->folder);
  tnrt_status status = tnrt_folder_list(message, s->alloc, s->folder, MORE_ROWS, &s->rows, &s->n_rows);
  if (status != TNRT_OK) return status;
  s->max_rows = s->n_rows + MORE_ROWS;
  if (s->n_rows) s->sequence = s->rows[0].sequence;
  if (c->step > 0) find_best(s);
  return TNRT_OK;
}

tnrt_status tnrt_store_open(tnrt_store **out, tnrt_message *message, const tnrt_alloc *alloc, const char *folder,
                            const tnrt_checkpoint *contents) {
  *out = NULL;
  tnrt_store *s = tnrt_take(alloc, 1, sizeof *s);
  if (!s) return tnrt_fail(message, TNRT_NO_MEMORY, "no memory to write checkpoints");
  s->alloc = alloc;
  s->lock = -1;
  tnrt_status status = enter_folder(s, message, folder);
  if (status == TNRT_OK) status = make_tables(s, message, contents);
  if (status == TNRT_OK) status = look_around(s, message, contents);
  if (status == TNRT_OK)
    *out = s;
  else
    tnrt_store_close(s);
  return status;
}

/* ---- back ---- */

/* Reads the header of an open checkpoint into s->header and parses it; the file is of this training. */
static bool parse_header(tnrt_store *s, int fd) {
  struct stat info;
  uint8_t prefix[TNRT_SAFETENSORS_PREFIX];
  uint64_t bytes;
  tnrt_message ignored;
  return fstat(fd, &info) == 0 && read_full(fd, prefix, sizeof prefix) &&
         tnrt_safetensors_header_bytes(&ignored, prefix, (uint64_t)info.st_size, &bytes) == TNRT_OK &&
         bytes <= s->header_capacity && read_full(fd, s->header, bytes) &&
         tnrt_safetensors_is_sound(s->header, (size_t)bytes) &&
         tnrt_safetensors_parse(&ignored, s->header, (size_t)bytes, (uint64_t)info.st_size - sizeof prefix - bytes,
                                &s->parsed) == TNRT_OK;
}

/* Whether the tensors stand there as in c, in order. */
static bool has_tensors(const tnrt_store *s, const tnrt_checkpoint *c) {
  if (s->parsed.n_tensors != c->n_tensors) return false;
  for (uint32_t i = 0; i < c->n_tensors; i++) {
    const tnrt_stored *t = &s->parsed.tensors[i];
    if (strcmp(t->name, c->tensors[i].name) != 0 || t->dtype != c->tensors[i].dtype ||
        t->end - t->begin != c->tensors[i].bytes)
      return false;
  }
  return true;
}

/* fills: into the tensors, else only to see whether it is whole. */
static bool read_tensors(tnrt_store *s, int fd, const tnrt_checkpoint *c, bool fills) {
  for (uint32_t i = 0; i < c->n_tensors; i++) {
    char digits[TNRT_DIGEST_TEXT];
    const char *wanted = tnrt_safetensors_text(&s->parsed, s->texts[s->n_texts - c->n_tensors + i].key);
    if (!read_digest(s, fd, c->tensors[i].bytes, fills ? c->tensors[i].data : NULL, digits) || !wanted ||
        strcmp(wanted, digits) != 0)
      return false;
  }
  return true;
}

static int64_t number_of(const tnrt_store *s, int key) {
  const char *text = tnrt_safetensors_text(&s->parsed, own_keys[key]);
  return text ? strtoll(text, NULL, 10) : 0;
}

static bool restore_from(tnrt_store *s, int64_t step, tnrt_checkpoint *c) {
  tnrt_message ignored;
  if (path_of(s, &ignored, step) != TNRT_OK) return false;
  int fd = open(s->path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  bool ok = parse_header(s, fd) && has_tensors(s, c);
  off_t data = lseek(fd, 0, SEEK_CUR);
  ok = ok && read_tensors(s, fd, c, false) && lseek(fd, data, SEEK_SET) == data && read_tensors(s, fd, c, true);
  close(fd);
  if (!ok) return false;
  c->step = number_of(s, STEP);
  c->epoch = number_of(s, EPOCH);
  c->cursor = number_of(s, CURSOR);
  return true;
}

tnrt_status tnrt_store_restore(tnrt_store *s, tnrt_message *message, tnrt_checkpoint *contents) {
  tnrt_message ignored;
  tnrt_store_wait(s, &ignored);
  for (uint32_t i = 0; i < s->n_rows; i++)
    if (restore_from(s, s->rows[i].step, contents)) return TNRT_OK;
  return tnrt_fail(message, TNRT_BAD_INPUT, "there is no checkpoint in '%.300s' to go back to", s->folder);
}

/* ---- a thread that writes ---- */

static void *write_all(void *user) {
  tnrt_store *s = user;
  tnrt_store_thread *w = s->writer;
  pthread_mutex_lock(&w->mutex);
  for (;;) {
    while (!w->has_work && !w->ends) pthread_cond_wait(&w->changed, &w->mutex);
    if (!w->has_work) break;
    pthread_mutex_unlock(&w->mutex);
    tnrt_status status = write_now(s, &w->message, &w->contents, &w->keep);
    pthread_mutex_lock(&w->mutex);
    w->status = status;
    w->has_work = false;
    pthread_cond_broadcast(&w->changed);
  }
  pthread_mutex_unlock(&w->mutex);
  return NULL;
}

/* Locked, with nothing to write. */
static void lock_idle(tnrt_store_thread *w) {
  pthread_mutex_lock(&w->mutex);
  while (w->has_work) pthread_cond_wait(&w->changed, &w->mutex);
}

tnrt_status tnrt_store_wait(tnrt_store *s, tnrt_message *message) {
  tnrt_store_thread *w = s->writer;
  if (!w) return TNRT_OK;
  lock_idle(w);
  tnrt_status status = w->status;
  if (status != TNRT_OK) *message = w->message;
  w->status = TNRT_OK;
  pthread_mutex_unlock(&w->mutex);
  return status;
}

int64_t tnrt_store_newest(const tnrt_store *s) { return s->n_rows ? s->rows[0].step : -1; }

bool tnrt_store_has(tnrt_store *s, int64_t step) {
  tnrt_store_thread *w = s->writer;
  if (w) lock_idle(w);
  bool has = s->has_written && s->rows[0].step == step;
  if (w) pthread_mutex_unlock(&w->mutex);
  return has;
}

static void free_writer(tnrt_store *s, tnrt_store_thread *w) {
  for (uint32_t i = 0; w->tensors && i < s->n_tensors; i++) give(s, w->tensors[i].data);
  give(s, w->tensors);
  give(s, w);
}

tnrt_status tnrt_store_set_async(tnrt_store *s, tnrt_message *message, const tnrt_checkpoint *contents) {
  if (s->writer) return TNRT_OK;
  tnrt_store_thread *w = tnrt_take(s->alloc, 1, sizeof *w);
  bool ok = w && (w->tensors = tnrt_take(s->alloc, s->n_tensors, sizeof *w->tensors)) != NULL;
  for (uint32_t i = 0; ok && i < s->n_tensors; i++) {
    w->tensors[i] = contents->tensors[i];
    ok = (w->tensors[i].data = tnrt_take(s->alloc, contents->tensors[i].bytes, 1)) != NULL;
  }
  if (ok) {
    pthread_mutex_init(&w->mutex, NULL);
    pthread_cond_init(&w->changed, NULL);
    s->writer = w;
    ok = pthread_create(&w->thread, NULL, write_all, s) == 0;
  }
  if (ok) return TNRT_OK;
  s->writer = NULL;
  if (w) free_writer(s, w);
  return tnrt_fail(message, TNRT_NO_MEMORY, "no memory or thread for checkpoints that are written meanwhile");
}

tnrt_status tnrt_store_write(tnrt_store *s, tnrt_message *message, const tnrt_checkpoint *contents,
                             const tnrt_keep *keep) {
  tnrt_store_thread *w = s->writer;
  if (!w) return write_now(s, message, contents, keep);
  tnrt_status status = tnrt_store_wait(s, message);
  for (uint32_t i = 0; i < s->n_tensors; i++)
    memcpy(w->tensors[i].data, contents->tensors[i].data, contents->tensors[i].bytes);
  w->contents = *contents;
  w->contents.tensors = w->tensors;
  w->keep = *keep;
  pthread_mutex_lock(&w->mutex);
  w->has_work = true;
  pthread_cond_broadcast(&w->changed);
  pthread_mutex_unlock(&w->mutex);
  return status;
}

static void end_writer(tnrt_store *s) {
  tnrt_store_thread *w = s->writer;
  pthread_mutex_lock(&w->mutex);
  w->ends = true;
  pthread_cond_broadcast(&w->changed);
  pthread_mutex_unlock(&w->mutex);
  pthread_join(w->thread, NULL);
  pthread_mutex_destroy(&w->mutex);
  pthread_cond_destroy(&w->changed);
  free_writer(s, w);
}

void tnrt_store_close(tnrt_store *s) {
  if (!s) return;
  if (s->writer) end_writer(s);
  if (s->lock >= 0) close(s->lock);
  void *blocks[] = {s->texts, s->numbers, s->digests,        s->keys,           s->header,
                    s->block, s->rows,    s->parsed.tensors, s->parsed.by_name, s->parsed.texts};
  for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++) give(s, blocks[i]);
  give(s, s);
}
