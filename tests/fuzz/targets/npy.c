/* The reader of .npy: any bytes. */
#include <stdlib.h>
#include <string.h>

#include "runtime/core/array.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  tnrt_message message;
  tnrt_array array;
  uint8_t *copy = malloc(bytes ? bytes : 1);
  memcpy(copy, data, bytes);
  tnrt_npy_read(&message, &tnrt_alloc_libc, copy, bytes, &array);
  tnrt_array_free(&tnrt_alloc_libc, &array);
  free(copy);
  return 0;
}
