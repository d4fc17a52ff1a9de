/* The words of the command line: @file stands for the words in that file, separated by blanks, with quotes and
 * backslashes as in GCC. A file that does not exist leaves the word as it is. */
#include <ctype.h>
#include <string.h>

#include "frontend/driver/driver.h"

#define MAX_DEPTH 8
#define MAX_BYTES (1u << 24)

static bool add_word(tn_driver *driver, const char *word, unsigned depth);

static const char *next_word(tn_driver *driver, const char *text, const char *end, tn_buf *word) {
  char quote = 0;
  *word = tn_buf_create(driver->ctx->arena);
  tn_buf_puts(word, "");
  for (; text < end; text++) {
    if (*text == '\\' && text + 1 < end) tn_buf_putc(word, *++text);
    else if (quote && *text == quote) quote = 0;
    else if (quote) tn_buf_putc(word, *text);
    else if (*text == '"' || *text == '\'') quote = *text;
    else if (isspace((unsigned char)*text)) break;
    else tn_buf_putc(word, *text);
  }
  return text;
}

static bool add_file(tn_driver *driver, FILE *file, const char *path, unsigned depth) {
  tn_buf text = tn_buf_create(driver->ctx->arena);
  char block[4096];
  for (size_t n; (n = fread(block, 1, sizeof(block), file)) > 0 && text.n <= MAX_BYTES;) tn_buf_append(&text, block, n);
  if (ferror(file)) return tn_error(driver->ctx, TN_LOC_NONE, TN_E_FILE, "cannot read '%s'", path);
  if (depth >= MAX_DEPTH || text.n > MAX_BYTES)
    return tn_error(driver->ctx, TN_LOC_NONE, TN_E_OPTION, "'@%s' names itself, or too many files in files", path);
  const char *at = text.n ? text.data : "", *end = at + text.n;
  while (at < end) {
    if (isspace((unsigned char)*at)) {
      at++;
      continue;
    }
    tn_buf word;
    at = next_word(driver, at, end, &word);
    if (!add_word(driver, word.data, depth + 1)) return false;
  }
  return true;
}

static bool add_word(tn_driver *driver, const char *word, unsigned depth) {
  FILE *file = word[0] == '@' && word[1] ? fopen(word + 1, "rb") : NULL;
  if (!file) {
    TN_VEC_PUSH(driver->ctx->arena, &driver->words, word);
    return true;
  }
  bool ok = add_file(driver, file, word + 1, depth);
  fclose(file);
  return ok;
}

bool tn_driver_expand_words(tn_driver *driver) {
  for (int i = 1; i < driver->argc; i++)
    if (!add_word(driver, driver->argv[i], 0)) return false;
  return true;
}
