/* The reader of ONNX TensorProto: any bytes. */
#include <stdlib.h>
#include <string.h>

#include "runtime/core/array.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  tnrt_message message;
  tnrt_array array;
  const char *name;
  size_t name_bytes;
  uint8_t *copy = malloc(bytes ? bytes : 1);
  memcpy(copy, data, bytes);
  tnrt_pb_read(&message, &tnrt_alloc_libc, copy, bytes, &array, &name, &name_bytes);
  tnrt_array_free(&tnrt_alloc_libc, &array);
  free(copy);
  return 0;
}
