/* Reads a .tnir file (or standard input) and prints it again, for tests of the text form and the verifier.
 *
 *   tnir_roundtrip [--verify] [--check] [--blocks] FILE
 *
 * --verify runs the verifier; --check reads what was printed once more and fails when printing differs; --blocks reads
 * each ```tnir block of a Markdown file instead of the file itself. Exit status: 0, 1 when something was reported, 2
 * when a round trip is not exact. Diagnostics go to standard error as FILE:LINE:COLUMN: [CODE] TEXT. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ir/text.h"
#include "ir/verify.h"

typedef struct options {
  bool verify, check, blocks;
  const char *file;
} options;

static char *read_all(const char *path, size_t *out_length) {
  FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
  if (!file) return NULL;
  size_t n = 0, capacity = 1 << 16;
  char *text = malloc(capacity);
  while (text) {
    size_t got = fread(text + n, 1, capacity - n, file);
    n += got;
    if (got == 0) break;
    if (n == capacity) text = realloc(text, capacity *= 2);
  }
  if (file != stdin) fclose(file);
  *out_length = n;
  return text;
}

static void print_diags(const tn_ctx *ctx) {
  for (size_t i = 0; i < ctx->diags.n; i++) {
    const tn_diag *diag = &ctx->diags.data[i];
    tn_buf place = tn_buf_create(ctx->arena);
    tn_loc_print(ctx, diag->loc, &place);
    fprintf(stderr, "%s: [%s] %s\n", place.data ? place.data : "", tn_diag_code_name(diag->code), diag->text);
  }
}

/* The text of a module, or NULL when it was refused. */
static char *pass_through(const options *o, const char *text, size_t length) {
  tn_ctx *ctx = tn_ctx_create((tn_oom){0});
  char *copy = NULL;
  tn_module *module = tn_text_parse(ctx, o->file, text, length);
  if (module && (!o->verify || tn_verify(module))) {
    tn_buf out = tn_buf_create(ctx->arena);
    tn_text_print(module, TN_TEXT_ALL, &out);
    copy = strdup(out.data);
  }
  print_diags(ctx);
  tn_module_destroy(module);
  tn_ctx_destroy(ctx);
  return copy;
}

static int run(const options *o, const char *text, size_t length) {
  char *once = pass_through(o, text, length);
  if (!once) return 1;
  int status = 0;
  if (o->check) {
    char *twice = pass_through(o, once, strlen(once));
    if (!twice || strcmp(once, twice) != 0) status = 2;
    if (status != 0) fprintf(stderr, "round trip differs; first:\n%s\nthen:\n%s\n", once, twice ? twice : "(refused)");
    free(twice);
  }
  if (!o->blocks) fputs(once, stdout);
  free(once);
  return status;
}

static int run_blocks(const options *o, const char *text) {
  static const char fence[] = "```tnir\n";
  int status = 0, n = 0;
  for (const char *at = strstr(text, fence); at; at = strstr(at, fence), n++) {
    at += strlen(fence);
    const char *end = strstr(at, "```");
    if (!end) break;
    int one = run(o, at, (size_t)(end - at));
    if (one != 0) fprintf(stderr, "block %d of %s fails\n", n, o->file);
    if (one > status) status = one;
  }
  printf("%d blocks\n", n);
  return n == 0 ? 1 : status;
}

int main(int argc, char **argv) {
  options o = {.file = "-"};
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--verify") == 0) o.verify = true;
    else if (strcmp(argv[i], "--check") == 0) o.check = true;
    else if (strcmp(argv[i], "--blocks") == 0) o.blocks = true;
    else o.file = argv[i];
  }
  size_t length = 0;
  char *text = read_all(o.file, &length);
  if (!text) {
    perror(o.file);
    return 1;
  }
  text = realloc(text, length + 1);
  text[length] = '\0';
  int status = o.blocks ? run_blocks(&o, text) : run(&o, text, length);
  free(text);
  return status;
}
