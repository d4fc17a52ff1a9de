/* Depfiles for make and ninja: the output depends on every file that was read. */
#include <string.h>

#include "frontend/driver/driver.h"

/* make's quoting: blanks and '#' take a backslash, '$' is doubled, backslashes before a blank are doubled. */
static void put_name(tn_buf *out, const char *name) {
  size_t backslashes = 0;
  for (; *name; name++) {
    if (*name == ' ' || *name == '\t' || *name == '#') {
      while (backslashes-- > 0 && *name != '#') tn_buf_putc(out, '\\');
      tn_buf_putc(out, '\\');
    }
    if (*name == '$') tn_buf_putc(out, '$');
    backslashes = *name == '\\' ? backslashes + 1 : 0;
    tn_buf_putc(out, *name);
  }
}

bool tn_driver_write_depfile(tn_driver *driver) {
  const tn_driver_options *o = &driver->options;
  if (!o->depfile || o->commands) return true;
  const char *output = tn_driver_output_path(driver);
  tn_buf text = tn_buf_create(driver->ctx->arena);
  for (size_t i = 0; i < o->depfile_targets.n; i++) {
    tn_buf_puts(&text, i > 0 ? " " : "");
    tn_buf_puts(&text, o->depfile_targets.data[i]); /* -MT is given quoted, as in cc */
  }
  if (o->depfile_targets.n == 0) put_name(&text, output);
  tn_buf_putc(&text, ':');
  for (size_t i = 0; i < driver->files.n; i++) {
    tn_buf_puts(&text, i > 0 ? " \\\n  " : " ");
    put_name(&text, driver->files.data[i]);
  }
  tn_buf_putc(&text, '\n');
  for (size_t i = 1; i < driver->files.n && o->depfile_phony; i++) {
    tn_buf_putc(&text, '\n');
    put_name(&text, driver->files.data[i]);
    tn_buf_puts(&text, ":\n");
  }
  const char *base = strcmp(output, "-") == 0 ? driver->input->path : output;
  const char *path = o->depfile_path ? o->depfile_path : tn_driver_with_suffix(driver, base, ".d");
  return tn_driver_write_text(driver, path, &text);
}
