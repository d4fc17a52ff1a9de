/* libFuzzer target: any bytes as a picture (PNG, JPEG, PGM, PPM). It is refused with a message, or all of its pixels
 * are there. Seeds: tests/fuzz/corpus/picture. */
#include <stdlib.h>

#include "runtime/train/arrays.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

enum { MOST = 1 << 22 };

/* Large ones take time, which is not what is looked for. */
static void *get(void *user, size_t bytes, size_t align) {
  return bytes > MOST ? NULL : tnrt_alloc_libc.get(user, bytes, align);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  const tnrt_alloc alloc = {.get = get, .give = tnrt_alloc_libc.give, .user = tnrt_alloc_libc.user};
  tnrt_message message = {{0}};
  tnrt_array array = {0};
  volatile uint8_t sum = 0;
  tnrt_status status = tnrt_image_read(&message, &alloc, "fuzz", data, bytes, &array);
  if (status != TNRT_OK && !message.text[0]) abort();
  if (status == TNRT_OK && (array.ndim != 3 || array.bytes != array.extents[0] * array.extents[1] * array.extents[2]))
    abort();
  for (int64_t i = 0; i < array.bytes && status == TNRT_OK; i++) sum = (uint8_t)(sum + array.data[i]);
  tnrt_array_free(&alloc, &array);
  return 0;
}
