/* libFuzzer target: any bytes as a table of commas, of tabs or of JSON's lines; the first byte says which. Held in
 * memory and read as it is used it has the same rows, or the same is wrong with it. Seeds: tests/fuzz/corpus/table. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "runtime/train/table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void compare(const tnrt_table *a, const tnrt_table *b) {
  tnrt_row one = {.alloc = &tnrt_alloc_libc}, two = one;
  tnrt_message message;
  if (a->n_rows != b->n_rows || a->n_columns != b->n_columns || a->n_dropped != b->n_dropped) abort();
  for (int64_t i = 0; i < a->n_rows; i++) {
    int64_t row = i * 7919 % a->n_rows;
    if (tnrt_row_read(&one, &message, a, row) != TNRT_OK || tnrt_row_read(&two, &message, b, row) != TNRT_OK) abort();
    if (one.line != two.line) abort();
    for (uint32_t k = 0; k < a->n_columns; k++)
      if (strcmp(tnrt_row_cell(&one, k), tnrt_row_cell(&two, k)) != 0) abort();
  }
  tnrt_row_free(&one);
  tnrt_row_free(&two);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  if (bytes == 0) return 0;
  tnrt_table_format format = {.separator = data[0] & 1 ? '\t' : ',', .has_header = (data[0] & 2) != 0,
                              .drops_bad = (data[0] & 4) != 0, .is_json = (data[0] & 8) != 0};
  char path[64];
  tnrt_message messages[2] = {{{0}}, {{0}}};
  tnrt_table tables[2];
  tnrt_status status[2];
  int fd = memfd_create("fuzz", 0);
  if (fd < 0 || write(fd, data + 1, bytes - 1) != (ssize_t)(bytes - 1)) abort();
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  for (int i = 0; i < 2; i++) {
    uint64_t room = i ? UINT64_MAX : 0;
    status[i] = tnrt_table_read(&messages[i], &tnrt_alloc_libc, path, &format, &room, &tables[i]);
  }
  if (status[0] != status[1] || (status[0] != TNRT_OK && strcmp(messages[0].text, messages[1].text) != 0)) abort();
  if (status[0] == TNRT_OK) compare(&tables[0], &tables[1]);
  for (int i = 0; i < 2; i++) tnrt_table_free(&tnrt_alloc_libc, &tables[i]);
  close(fd);
  return 0;
}
