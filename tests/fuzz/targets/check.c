/* libFuzzer target: any bytes as a file of the language, parsed and checked with everything in it: modules
 * instantiated, blocks held against their rules. It is refused with an error, or accepted without one; files are not
 * read, tests not run. Seeds: tests/fuzz/corpus/check. */
#include <stdlib.h>

#include "frontend/lang/lang.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  tn_ctx *ctx = tn_ctx_create((tn_oom){0});
  tn_lang_options options = {.no_files = true};
  bool ok = tn_lang_check_bytes(ctx, "fuzz.tn", (const char *)data, bytes, &options);
  if (ok != (ctx->n_errors == 0)) abort();
  tn_ctx_destroy(ctx);
  return 0;
}
