/* What is done with files of the language themselves: printing their trees, and tenon fmt. */
#include <string.h>
#include <sys/stat.h>

#include "frontend/driver/driver.h"
#include "frontend/lang/lang.h"

static bool check_language(tn_driver *driver, const tn_input *input, const char *what) {
  if (input->language == LANGUAGE_TN || input->language == LANGUAGE_BY_NAME) return true;
  return tn_error(driver->ctx, TN_LOC_NONE, TN_E_FORMAT, "%s reads files of the language (.tn), found '%s'", what,
                  input->path);
}

bool tn_driver_print_tree(tn_driver *driver, tn_input *input) {
  driver->input = input;
  if (!check_language(driver, input, "--emit=ast")) return false;
  const tn_ast_file *file = tn_lang_parse(driver->ctx, input->path);
  if (!file) return false;
  tn_buf text = tn_buf_create(driver->ctx->arena);
  tn_ast_print(driver->ctx, file, true, &text);
  return tn_driver_write_text(driver, tn_driver_output_path(driver), &text);
}

/* The first line in which the formatted text differs is where the error stands. */
static bool report_difference(tn_driver *driver, const char *path, const char *text, const char *formatted) {
  uint32_t line = 1;
  const char *start = text;
  for (; *text && *text == *formatted; text++, formatted++) {
    if (*text != '\n') continue;
    line++;
    start = text + 1;
  }
  uint32_t column = (uint32_t)(text - start) + 1;
  tn_error(driver->ctx, tn_loc_span(driver->ctx, path, line, column, line, column), TN_E_LANG_FORMAT,
           "the file is not formatted, first here");
  tn_help(driver->ctx, "tenon fmt %s", path);
  return false;
}

static bool write_formatted(tn_driver *driver, const char *path, const tn_buf *text) {
  struct stat info;
  unsigned mode = stat(path, &info) == 0 ? info.st_mode & 07777 : 0644;
  tn_output *output = tn_driver_open(driver, path, mode);
  if (!output) return false;
  tn_sink sink = tn_output_sink(output);
  if (text->n == 0 || sink.write(sink.user, text->data, text->n)) return tn_driver_commit(output);
  tn_driver_discard(output);
  return false;
}

bool tn_driver_format(tn_driver *driver, tn_input *input) {
  const char *text, *path = driver->options.output ? driver->options.output : input->path;
  size_t bytes;
  driver->input = input;
  if (!check_language(driver, input, "fmt") || !tn_lang_read(driver->ctx, input->path, &text, &bytes)) return false;
  tn_buf formatted = tn_buf_create(driver->ctx->arena);
  if (!tn_lang_format(driver->ctx, input->path, text, bytes, &formatted)) return false;
  bool same = formatted.n == bytes && memcmp(formatted.data, text, bytes) == 0;
  if (driver->options.only_check) return same || report_difference(driver, input->path, text, formatted.data);
  bool in_place = strcmp(path, input->path) == 0 && strcmp(path, "-") != 0;
  return (same && in_place) || write_formatted(driver, path, &formatted);
}
