/* The text form of the IR: any bytes are read or refused; what was read verifies or not, and prints to a text that
 * reads back and prints the same. */
#include <stdlib.h>
#include <string.h>

#include "ir/text.h"
#include "ir/verify.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static char *pass_through(const char *text, size_t length) {
  tn_ctx *ctx = tn_ctx_create((tn_oom){0});
  tn_module *module = tn_text_parse(ctx, "fuzz.tnir", text, length);
  char *copy = NULL;
  if (module) {
    tn_verify(module);
    tn_buf out = tn_buf_create(ctx->arena);
    tn_text_print(module, TN_TEXT_ALL, &out);
    copy = strdup(out.data);
  }
  tn_module_destroy(module);
  tn_ctx_destroy(ctx);
  return copy;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  char *once = pass_through((const char *)data, bytes);
  if (!once) return 0;
  char *twice = pass_through(once, strlen(once));
  if (!twice || strcmp(once, twice) != 0) abort();
  free(once);
  free(twice);
  return 0;
}
