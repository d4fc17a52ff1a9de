/* libFuzzer target: any bytes as an ONNX model. Loading may refuse them but must neither crash nor leak nor hang; what
 * it accepts must verify. Seeds: tests/fuzz/seeds.py. */
#include <stdlib.h>

#include "frontend/onnx/onnx.h"
#include "ir/verify.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  tn_ctx *ctx = tn_ctx_create((tn_oom){0});
  tn_module *module = tn_onnx_load_bytes(ctx, "fuzz.onnx", data, bytes, NULL);
  if ((module == NULL) != (ctx->n_errors > 0)) abort();
  if (module != NULL && !tn_verify(module)) abort();
  tn_module_destroy(module);
  tn_ctx_destroy(ctx);
  return 0;
}
