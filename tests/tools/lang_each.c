/* Reads texts of the language from standard input, each ended by a NUL byte, and prints a line for each:
 *
 *   error LINE COLUMN TEXT   the first error
 *   ok                       there is none; the formatter keeps its tree and leaves its own result as it is
 *   changed                  the formatter changes the tree
 *   unstable                 the formatter changes its own result
 *
 *   lang_each [FILE]
 *
 * With FILE, a text without an error is written there and checked (tn_lang_check): the line is then that of the first
 * error the check finds, which is its place in FILE or that of its first note there, or `elsewhere TEXT`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/lang/lang.h"

static const char *tree_of(tn_ctx *ctx, const tn_ast_file *file) {
  tn_buf text = tn_buf_create(ctx->arena);
  tn_buf_puts(&text, "");
  tn_ast_print(ctx, file, false, &text);
  return text.data;
}

static const char *judge_format(tn_ctx *ctx, const tn_ast_file *file, const char *text) {
  tn_buf once = tn_buf_create(ctx->arena), twice = tn_buf_create(ctx->arena);
  if (!tn_lang_format(ctx, "text", text, strlen(text), &once)) return "changed";
  const tn_ast_file *again = tn_lang_parse_bytes(ctx, "once", once.data, once.n);
  if (!again || strcmp(tree_of(ctx, file), tree_of(ctx, again)) != 0) return "changed";
  if (!tn_lang_format(ctx, "once", once.data, once.n, &twice)) return "unstable";
  return strcmp(once.data, twice.data) == 0 ? "ok" : "unstable";
}

/* The error's own place, or that of its first note in the file. */
static const tn_loc_info *place_in(const tn_ctx *ctx, size_t error, const char *path) {
  for (size_t i = error; i < ctx->diags.n && (i == error || tn_severity_is_remark(ctx->diags.data[i].severity)); i++) {
    const tn_loc_info *where = tn_loc_get(ctx, ctx->diags.data[i].loc);
    if (where->kind == TN_LOC_KIND_SPAN && strcmp(where->file, path) == 0) return where;
  }
  return NULL;
}

static void print_first(const tn_ctx *ctx, const char *path) {
  size_t i = 0;
  while (ctx->diags.data[i].severity != TN_ERROR) i++;
  const tn_diag *first = &ctx->diags.data[i];
  const tn_loc_info *where = place_in(ctx, i, path);
  if (where)
    printf("error %u %u %s\n", where->line, where->column, first->text);
  else printf("elsewhere %s\n", first->text);
}

static bool write_text(const char *path, const char *text) {
  FILE *file = fopen(path, "w");
  bool ok = file && fputs(text, file) >= 0;
  return file && fclose(file) == 0 && ok;
}

static void judge(const char *text, const char *path) {
  tn_ctx *ctx = tn_ctx_create((tn_oom){0});
  tn_lang_options options = {0};
  const tn_ast_file *file = tn_lang_parse_bytes(ctx, "text", text, strlen(text));
  const char *verdict = file ? judge_format(ctx, file, text) : NULL;
  if (!verdict) print_first(ctx, "text");
  else if (!path || strcmp(verdict, "ok") != 0) puts(verdict);
  else if (write_text(path, text) && tn_lang_check(ctx, path, &options)) puts("ok");
  else print_first(ctx, path);
  fflush(stdout);
  tn_ctx_destroy(ctx);
}

int main(int argc, char **argv) {
  char *text = NULL;
  size_t capacity = 0;
  while (getdelim(&text, &capacity, 0, stdin) > 0) judge(text, argc > 1 ? argv[1] : NULL);
  free(text);
  return 0;
}
