/* Checkpoints read (checkpoint.h); store.c writes them. */
#include "runtime/train/checkpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/core/dtype.h"
#include "runtime/train/folder.h"
#include "runtime/train/memory.h"
#include "runtime/train/safetensors.h"
#include "runtime/train/whole.h"

struct tnrt_reading {
  const tnrt_alloc *alloc;
  char *file; /* mapped, private: its header is changed by parsing */
  size_t bytes;
  tnrt_safetensors header;
  tnrt_saved *tensors; /* n_tensors */
  char path[TNRT_PATH_BYTES];
};

/* ---- one file ---- */

static void *take(tnrt_reading *r, uint64_t n, size_t size) {
  return r->alloc->get(r->alloc->user, n ? n * size : 1, 64);
}

static void give(tnrt_reading *r, void *memory) {
  if (memory) r->alloc->give(r->alloc->user, memory);
}

static tnrt_status map(tnrt_reading *r, tnrt_message *message) {
  struct stat info = {0};
  int fd = open(r->path, O_RDONLY | O_CLOEXEC);
  bool ok = fd >= 0 && fstat(fd, &info) == 0;
  int code = ok && !S_ISREG(info.st_mode) ? EINVAL : ok ? 0 : errno;
  r->bytes = (size_t)info.st_size;
  void *file = ok && !code && r->bytes ? mmap(NULL, r->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0) : MAP_FAILED;
  if (file == MAP_FAILED && !code && r->bytes) code = errno;
  if (fd >= 0) close(fd);
  if (file != MAP_FAILED) return r->file = file, TNRT_OK;
  return tnrt_fail(message, TNRT_BAD_INPUT, "cannot read the checkpoint '%.300s': %s", r->path,
                   code ? strerror(code) : "it is empty");
}

static tnrt_status make_tables(tnrt_reading *r, tnrt_message *message, const char *header, size_t bytes) {
  tnrt_safetensors *h = &r->header;
  tnrt_safetensors_bound(header, bytes, &h->max_tensors, &h->max_texts);
  h->tensors = take(r, h->max_tensors, sizeof *h->tensors);
  h->by_name = take(r, h->max_tensors, sizeof *h->by_name);
  h->texts = take(r, h->max_texts, sizeof *h->texts);
  r->tensors = take(r, h->max_tensors, sizeof *r->tensors);
  if (h->tensors && h->by_name && h->texts && r->tensors) return TNRT_OK;
  return tnrt_fail(message, TNRT_NO_MEMORY, "no memory for the header of '%.300s'", r->path);
}

/* Each tensor against the text "digest:NAME", which stand in the order of the tensors where we wrote them. */
static tnrt_status check_digests(tnrt_reading *r, tnrt_message *message) {
  const tnrt_safetensors *h = &r->header;
  static const char prefix[] = "digest:";
  uint32_t text = 0;
  for (uint32_t i = 0; i < h->n_tensors; i++) {
    char digits[TNRT_DIGEST_TEXT];
    const char *name = h->tensors[i].name;
    tnrt_digest_text(digits, tnrt_digest_of(r->tensors[i].data, r->tensors[i].bytes));
    while (text < h->n_texts && (strncmp(h->texts[text].key, prefix, sizeof prefix - 1) != 0 ||
                                 strcmp(h->texts[text].key + sizeof prefix - 1, name) != 0))
      text++;
    if (text == h->n_texts || strcmp(h->texts[text].text, digits) != 0)
      return tnrt_fail(message, TNRT_BAD_INPUT, "the elements of '%.200s' are damaged", name);
  }
  return TNRT_OK;
}

static tnrt_status parse(tnrt_reading *r, tnrt_message *message) {
  uint64_t bytes = 0;
  uint8_t prefix[TNRT_SAFETENSORS_PREFIX] = {0};
  memcpy(prefix, r->file, r->bytes < sizeof prefix ? r->bytes : sizeof prefix);
  tnrt_status status = tnrt_safetensors_header_bytes(message, prefix, r->bytes, &bytes);
  if (status != TNRT_OK) return status;
  char *header = r->file + TNRT_SAFETENSORS_PREFIX;
  bool has_checksum = tnrt_safetensors_has_checksum(header, (size_t)bytes);
  if (has_checksum && !tnrt_safetensors_is_sound(header, (size_t)bytes))
    return tnrt_fail(message, TNRT_BAD_INPUT, "its header is damaged");
  status = make_tables(r, message, header, (size_t)bytes);
  if (status != TNRT_OK) return status;
  uint64_t data_at = TNRT_SAFETENSORS_PREFIX + bytes;
  status = tnrt_safetensors_parse(message, header, (size_t)bytes, r->bytes - data_at, &r->header);
  for (uint32_t i = 0; status == TNRT_OK && i < r->header.n_tensors; i++) {
    const tnrt_stored *t = &r->header.tensors[i];
    r->tensors[i] = (tnrt_saved){.name = t->name,
                                 .dtype = t->dtype,
                                 .ndim = t->ndim,
                                 .extents = t->extents,
                                 .bytes = t->end - t->begin,
                                 .data = r->file + data_at + t->begin};
  }
  if (status != TNRT_OK) return status;
  if (has_checksum) return check_digests(r, message);
  const char *format = tnrt_reading_text(r, "format");
  return format && strcmp(format, "tenon") == 0 ? tnrt_fail(message, TNRT_BAD_INPUT, "its header is damaged") : TNRT_OK;
}

tnrt_status tnrt_reading_open(tnrt_reading **out, tnrt_message *message, const tnrt_alloc *alloc, const char *path) {
  tnrt_message why;
  *out = NULL;
  if (strlen(path) >= TNRT_PATH_BYTES) return tnrt_fail(message, TNRT_BAD_INPUT, "a path that is too long");
  tnrt_reading *r = tnrt_take(alloc, 1, sizeof *r);
  if (!r) return tnrt_fail(message, TNRT_NO_MEMORY, "no memory to read '%.300s'", path);
  r->alloc = alloc;
  memcpy(r->path, path, strlen(path) + 1);
  tnrt_status status = map(r, message);
  if (status == TNRT_OK && (status = parse(r, &why)) != TNRT_OK)
    tnrt_fail(message, status, "the checkpoint '%.200s' cannot be used: %.250s", path, why.text);
  if (status == TNRT_OK)
    *out = r;
  else
    tnrt_reading_close(r);
  return status;
}

void tnrt_reading_close(tnrt_reading *r) {
  if (!r) return;
  if (r->file) munmap(r->file, r->bytes);
  give(r, r->header.tensors);
  give(r, r->header.by_name);
  give(r, r->header.texts);
  give(r, r->tensors);
  give(r, r);
}

const char *tnrt_reading_path(const tnrt_reading *r) { return r->path; }

const char *tnrt_reading_text(const tnrt_reading *r, const char *key) { return tnrt_safetensors_text(&r->header, key); }

int64_t tnrt_reading_integer(const tnrt_reading *r, const char *key, int64_t otherwise) {
  const char *text = tnrt_reading_text(r, key);
  bool is_negative = text && *text == '-';
  int64_t value = 0;
  if (!text || !text[is_negative]) return otherwise;
  for (const char *at = text + is_negative; *at; at++)
    if (*at < '0' || *at > '9' || __builtin_mul_overflow(value, (int64_t)10, &value) ||
        __builtin_add_overflow(value, (int64_t)(is_negative ? '0' - *at : *at - '0'), &value))
      return otherwise;
  return value;
}

const tnrt_saved *tnrt_reading_tensor(const tnrt_reading *r, const char *name) {
  const tnrt_stored *found = tnrt_safetensors_find(&r->header, name);
  return found ? &r->tensors[found - r->header.tensors] : NULL;
}

/* ---- what a program needs against what there is ---- */

static bool fits(const tnrt_saved *has, const tnrt_saved *needs) {
  return has && has->dtype == needs->dtype && has->ndim == needs->ndim &&
         memcmp(has->extents, needs->extents, needs->ndim * sizeof *has->extents) == 0;
}

static const tnrt_saved *find_by_name(const tnrt_saved *tensors, uint32_t n, const char *name) {
  for (uint32_t i = 0; i < n; i++)
    if (strcmp(tensors[i].name, name) == 0) return &tensors[i];
  return NULL;
}

/* "\n  'w': f32[3,4] in the checkpoint, f32[3,5] in the program"; false: it does not fit any more. */
static bool put_difference(tnrt_message *text, size_t *used, const tnrt_saved *has, const tnrt_saved *needs) {
  enum { ROOM_FOR_REST = 24, SHAPE_BYTES = 96 };
  char shapes[2][SHAPE_BYTES], line[sizeof text->text];
  const tnrt_saved *each[2] = {has, needs};
  for (int i = 0; i < 2; i++) {
    size_t n = tnrt_text(shapes[i], SHAPE_BYTES, "%s", each[i] ? tnrt_dtype_name(each[i]->dtype) : "nothing");
    if (each[i]) tnrt_shape_text(shapes[i] + n, SHAPE_BYTES - n, each[i]->ndim, each[i]->extents);
  }
  size_t n = tnrt_text(line, sizeof line, "\n  '%.100s': %s in the checkpoint, %s in the program",
                       has ? has->name : needs->name, shapes[0], shapes[1]);
  if (*used + n + ROOM_FOR_REST > sizeof text->text) return false;
  memcpy(text->text + *used, line, n + 1);
  *used += n;
  return true;
}

static bool is_state(const char *name) { return strncmp(name, "optimizer.", 10) == 0; }

static tnrt_status list_differences(tnrt_message *message, const tnrt_reading *r, const tnrt_saved *tensors,
                                    uint32_t n) {
  size_t used = tnrt_text(message->text, sizeof message->text, "the checkpoint '%.120s' is of another model:", r->path);
  uint32_t n_left = 0;
  for (uint32_t i = 0; i < n; i++) {
    const tnrt_saved *has = tnrt_reading_tensor(r, tensors[i].name);
    if (!fits(has, &tensors[i])) n_left += n_left || !put_difference(message, &used, has, &tensors[i]);
  }
  /* States are nothing to a program that only wants weights. */
  bool has_states = false;
  for (uint32_t i = 0; i < n; i++) has_states |= is_state(tensors[i].name);
  for (uint32_t i = 0; i < r->header.n_tensors; i++)
    if (!find_by_name(tensors, n, r->tensors[i].name) && (has_states || !is_state(r->tensors[i].name)))
      n_left += n_left || !put_difference(message, &used, &r->tensors[i], NULL);
  if (n_left) tnrt_text(message->text + used, sizeof message->text - used, "\n  and %u more", n_left);
  return TNRT_BAD_INPUT;
}

tnrt_status tnrt_reading_fill(tnrt_message *message, const tnrt_reading *r, tnrt_saved *tensors, uint32_t n) {
  for (uint32_t i = 0; i < n; i++)
    if (!fits(tnrt_reading_tensor(r, tensors[i].name), &tensors[i])) return list_differences(message, r, tensors, n);
  for (uint32_t i = 0; i < n; i++)
    memcpy(tensors[i].data, tnrt_reading_tensor(r, tensors[i].name)->data, tensors[i].bytes);
  return TNRT_OK;
}

/* ---- the newest, the best ---- */

/* Whether the checkpoint of this step is whole; else a line about it in notes. */
static bool is_valid(const tnrt_alloc *alloc, const char *folder, int64_t step, char *path, size_t path_bytes,
                     tnrt_message *notes) {
  char name[TNRT_CHECKPOINT_NAME];
  tnrt_message why;
  tnrt_reading *reading = NULL;
  tnrt_checkpoint_name(name, step);
  tnrt_status status = tnrt_path_join(&why, path, path_bytes, folder, name);
  if (status == TNRT_OK) status = tnrt_reading_open(&reading, &why, alloc, path);
  bool is_ours = reading && tnrt_reading_text(reading, "checksum");
  if (reading && !is_ours) tnrt_fail(&why, TNRT_BAD_INPUT, "'%.200s' is no checkpoint of ours", path);
  tnrt_reading_close(reading);
  if (is_ours) return true;
  size_t used = notes ? strlen(notes->text) : 0;
  if (notes) tnrt_text(notes->text + used, sizeof notes->text - used, "%s%s", used ? "\n" : "", why.text);
  return false;
}

/* One look into the folder. *out_n: how many checkpoints there were. */
static tnrt_status look(tnrt_message *message, const tnrt_alloc *alloc, const char *folder, tnrt_which which,
                        char *out_path, size_t path_bytes, tnrt_message *notes, uint32_t *out_n, bool *out_found) {
  tnrt_row *rows;
  if (notes) notes->text[0] = 0;
  *out_found = false;
  tnrt_status status = tnrt_folder_list(message, alloc, folder, 0, &rows, out_n);
  if (status != TNRT_OK) return status;
  int64_t best = which == TNRT_WHICH_BEST ? tnrt_folder_named(folder, "BEST") : -1;
  *out_found = best >= 0 && is_valid(alloc, folder, best, out_path, path_bytes, notes);
  for (uint32_t i = 0; i < *out_n && !*out_found; i++)
    *out_found = rows[i].step != best && is_valid(alloc, folder, rows[i].step, out_path, path_bytes, notes);
  alloc->give(alloc->user, rows);
  return TNRT_OK;
}

tnrt_status tnrt_checkpoint_find(tnrt_message *message, const tnrt_alloc *alloc, const char *folder, tnrt_which which,
                                 char *out_path, size_t path_bytes, tnrt_message *out_notes) {
  uint32_t n = 0;
  bool found = false;
  tnrt_status status = TNRT_OK;
  /* A training that goes on may have put a newer one in the place of all that were listed. */
  for (int tries = 0; tries < 3 && status == TNRT_OK && !found && (tries == 0 || n > 0); tries++)
    status = look(message, alloc, folder, which, out_path, path_bytes, out_notes, &n, &found);
  if (status != TNRT_OK || found) return status;
  return tnrt_fail(message, TNRT_BAD_INPUT,
                   n ? "none of the checkpoints in '%.300s' is whole" : "there is no checkpoint in '%.300s'", folder);
}

tnrt_status tnrt_reading_find(tnrt_reading **out, tnrt_message *message, const tnrt_alloc *alloc, const char *folder,
                              tnrt_which which, char *out_path, size_t path_bytes, tnrt_message *out_notes) {
  enum { MOST_TRIES = 16 };
  *out = NULL;
  for (int tries = 1;; tries++) {
    tnrt_status status = tnrt_checkpoint_find(message, alloc, folder, which, out_path, path_bytes, out_notes);
    if (status != TNRT_OK) return status;
    status = tnrt_reading_open(out, message, alloc, out_path);
    if (status == TNRT_OK || tries == MOST_TRIES || access(out_path, F_OK) == 0) return status;
  }
}
