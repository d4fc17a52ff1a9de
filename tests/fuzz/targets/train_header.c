/* libFuzzer target: any bytes as the header of a safetensors file, as training programs read it. It is refused with a
 * message, or its tensors make up what stands behind it. Seeds: tests/fuzz/corpus/train_header. */
#include <stdlib.h>
#include <string.h>

#include "runtime/train/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void check(const tnrt_safetensors *file, uint64_t data_bytes) {
  uint64_t sum = 0;
  for (uint32_t i = 0; i < file->n_tensors; i++) {
    const tnrt_stored *t = &file->tensors[i];
    if (t->end < t->begin || t->end > data_bytes || tnrt_safetensors_find(file, t->name) != t) abort();
    sum += t->end - t->begin;
  }
  if (sum != data_bytes) abort();
  for (uint32_t i = 0; i < file->n_texts; i++)
    if (!tnrt_safetensors_text(file, file->texts[i].key)) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  if (bytes < 2) return 0;
  uint64_t data_bytes = (uint64_t)data[0] << 8 | data[1];
  char *header = malloc(bytes > 2 ? bytes - 2 : 1); /* exactly, so that a byte too many is seen */
  memcpy(header, data + 2, bytes - 2);
  tnrt_safetensors file = {0};
  tnrt_message message = {""};
  tnrt_safetensors_bound(header, bytes - 2, &file.max_tensors, &file.max_texts);
  file.tensors = malloc((file.max_tensors + 1) * sizeof *file.tensors);
  file.by_name = malloc((file.max_tensors + 1) * sizeof *file.by_name);
  file.texts = malloc((file.max_texts + 1) * sizeof *file.texts);
  tnrt_safetensors_is_sound(header, bytes - 2);
  if (tnrt_safetensors_parse(&message, header, bytes - 2, data_bytes, &file) == TNRT_OK)
    check(&file, data_bytes);
  else if (!message.text[0]) abort();
  free(header), free(file.tensors), free(file.by_name), free(file.texts);
  return 0;
}
