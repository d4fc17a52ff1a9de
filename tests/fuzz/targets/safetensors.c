/* libFuzzer target: any bytes as a .safetensors file. It is refused with an error, or its tensors lie in the file: all
 * of their bytes are read. Seeds: tests/fuzz/corpus/safetensors. */
#include <stdlib.h>

#include "frontend/lang/store.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void read_elements(const tn_stored *stored) {
  volatile uint8_t sum = 0;
  uint64_t n = tn_dtype_bytes(stored->dtype);
  for (uint32_t i = 0; i < stored->ndim; i++) n *= (uint64_t)stored->extents[i];
  for (uint64_t i = 0; i < n; i++) sum = (uint8_t)(sum + ((const uint8_t *)stored->data)[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  static const tn_lang_options options;
  tn_ctx *ctx = tn_ctx_create((tn_oom){0});
  tn_sema sema = {.ctx = ctx, .arena = ctx->arena, .options = &options};
  tn_store store = {.path = "fuzz.safetensors", .strings = ctx->strings, .names = tn_map_create(ctx->arena)};
  bool ok = tn_safetensors_read(&sema, &store, data, bytes, TN_LOC_NONE);
  if (ok != (ctx->n_errors == 0)) abort();
  for (size_t i = 0; i < store.tensors.n && ok; i++) read_elements(store.tensors.data[i]);
  tn_ctx_destroy(ctx);
  return 0;
}
