/* The reader of .npz: any bytes; every member is read. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/core/array.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  tnrt_message message;
  tnrt_npz npz;
  tnrt_npz_member member;
  bool found = false;
  uint8_t *copy = malloc(bytes ? bytes : 1);
  memcpy(copy, data, bytes);
  tnrt_status status = tnrt_npz_open(&message, copy, bytes, &npz);
  if (status == TNRT_OK) status = tnrt_npz_next(&message, &npz, &member, &found);
  for (int i = 0; status == TNRT_OK && found && i < 16; i++) {
    tnrt_array array;
    tnrt_npz_read(&message, &tnrt_alloc_libc, &npz, &member, &array);
    tnrt_array_free(&tnrt_alloc_libc, &array);
    status = tnrt_npz_next(&message, &npz, &member, &found);
  }
  free(copy);
  return 0;
}
