/* What stands in a folder of checkpoints (folder.h). */
#include "runtime/train/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "runtime/train/safetensors.h"
#include "runtime/train/whole.h"

static const char before[] = "step-", behind[] = ".safetensors";

void tnrt_checkpoint_name(char out[TNRT_CHECKPOINT_NAME], int64_t step) {
  static const char zeros[] = "00000000";
  char digits[24];
  size_t n = tnrt_text(digits, sizeof digits, "%lld", (long long)step);
  tnrt_text(out, TNRT_CHECKPOINT_NAME, "%s%s%s%s", before, n < 8 ? zeros + n : "", digits, behind);
}

/* -1: no name of a checkpoint. */
static int64_t step_of(const char *name) {
  char again[TNRT_CHECKPOINT_NAME];
  int64_t step = 0;
  if (strncmp(name, before, strlen(before)) != 0) return -1;
  for (const char *at = name + strlen(before); *at >= '0' && *at <= '9'; at++)
    if (__builtin_mul_overflow(step, (int64_t)10, &step) || __builtin_add_overflow(step, (int64_t)(*at - '0'), &step))
      return -1;
  tnrt_checkpoint_name(again, step);
  return strcmp(again, name) == 0 ? step : -1;
}

/* Of the checkpoint at path; it stands at a fixed place of headers (store.c). */
static uint64_t sequence_of(const char *path) {
  static const char key[] = "\"sequence\":\"";
  char head[128];
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t n = fd < 0 ? -1 : pread(fd, head, sizeof head - 1, TNRT_SAFETENSORS_PREFIX);
  if (fd >= 0) close(fd);
  if (n <= 0) return 0;
  head[n] = 0;
  const char *at = strstr(head, key);
  uint64_t sequence = 0;
  for (at = at ? at + strlen(key) : ""; *at >= '0' && *at <= '9'; at++)
    if (__builtin_mul_overflow(sequence, (uint64_t)10, &sequence) ||
        __builtin_add_overflow(sequence, (uint64_t)(*at - '0'), &sequence))
      return 0;
  return sequence;
}

static bool is_newer(const tnrt_row *a, const tnrt_row *b) {
  return a->sequence != b->sequence ? a->sequence > b->sequence : a->step > b->step;
}

/* Doubles the table when it is full. */
static bool make_room(const tnrt_alloc *alloc, tnrt_row **rows, uint32_t n, uint32_t *capacity) {
  if (n < *capacity) return true;
  uint32_t larger = *capacity * 2;
  tnrt_row *grown = larger < *capacity ? NULL : alloc->get(alloc->user, larger * sizeof **rows, 16);
  if (!grown) return false;
  memcpy(grown, *rows, n * sizeof **rows);
  alloc->give(alloc->user, *rows);
  *rows = grown;
  *capacity = larger;
  return true;
}

static void insert(tnrt_row *rows, uint32_t n, tnrt_row row) {
  for (; n > 0 && is_newer(&row, &rows[n - 1]); n--) rows[n] = rows[n - 1];
  rows[n] = row;
}

tnrt_status tnrt_folder_list(tnrt_message *message, const tnrt_alloc *alloc, const char *folder, uint32_t more,
                             tnrt_row **out_rows, uint32_t *out_n) {
  uint32_t n = 0, capacity = 32;
  bool has_room = true;
  *out_rows = NULL;
  DIR *entries = opendir(folder);
  if (!entries)
    return errno == ENOENT
               ? tnrt_fail(message, TNRT_BAD_INPUT, "there is no folder '%.300s' of checkpoints: the verb train makes "
                           "it, --checkpoint-dir names another", folder)
               : tnrt_fail(message, TNRT_BAD_INPUT, "cannot open the checkpoints in '%.300s': %s", folder,
                           strerror(errno));
  tnrt_row *rows = alloc->get(alloc->user, capacity * sizeof *rows, 16);
  for (struct dirent *entry; rows && has_room && (entry = readdir(entries));) {
    char path[TNRT_PATH_BYTES];
    int64_t step = step_of(entry->d_name);
    tnrt_message ignored;
    if (step < 0 || tnrt_path_join(&ignored, path, sizeof path, folder, entry->d_name) != TNRT_OK) continue;
    has_room = make_room(alloc, &rows, n, &capacity);
    if (has_room) insert(rows, n++, (tnrt_row){step, sequence_of(path)});
  }
  closedir(entries);
  while (rows && has_room && (uint64_t)n + more > capacity) has_room = make_room(alloc, &rows, capacity, &capacity);
  if (rows && has_room) return *out_rows = rows, *out_n = n, TNRT_OK;
  if (rows) alloc->give(alloc->user, rows);
  return tnrt_fail(message, TNRT_NO_MEMORY, "no memory for the list of checkpoints");
}

void tnrt_folder_sweep(const char *folder) {
  DIR *entries = opendir(folder);
  for (struct dirent *entry; entries && (entry = readdir(entries));) {
    char path[TNRT_PATH_BYTES];
    tnrt_message ignored;
    const char *name = entry->d_name;
    size_t n = strlen(name);
    bool is_ours = n > 5 && name[0] == '.' && strcmp(name + n - 4, ".tmp") == 0 &&
                   (strncmp(name + 1, before, strlen(before)) == 0 || strcmp(name, ".LATEST.tmp") == 0 ||
                    strcmp(name, ".BEST.tmp") == 0);
    if (is_ours && tnrt_path_join(&ignored, path, sizeof path, folder, name) == TNRT_OK) unlink(path);
  }
  if (entries) closedir(entries);
}

int64_t tnrt_folder_named(const char *folder, const char *pointer) {
  char path[TNRT_PATH_BYTES], name[TNRT_CHECKPOINT_NAME];
  tnrt_message ignored;
  if (tnrt_path_join(&ignored, path, sizeof path, folder, pointer) != TNRT_OK) return -1;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t n = fd < 0 ? 0 : pread(fd, name, sizeof name - 1, 0);
  if (fd >= 0) close(fd);
  name[n > 0 ? n : 0] = 0;
  name[strcspn(name, "\n")] = 0;
  return step_of(name);
}
