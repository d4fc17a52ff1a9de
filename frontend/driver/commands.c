/* -###: the commands that make the same result, byte for byte, quoted for a shell. */
#include <string.h>

#include "frontend/driver/driver.h"

/* What a line of its own says anew, or what has no influence on the bytes of the object. */
static bool is_left_out(const tn_option *option) {
  if (option->group == GROUP_LINK || option->group == GROUP_DEPEND) return true;
  switch ((tn_option_id)(option - tn_options)) {
    case OPT_OUTPUT: case OPT_OBJECT: case OPT_SHARED: case OPT_STATIC_LIB: case OPT_HEADER: case OPT_PREFIX:
    case OPT_WITH_MAIN: case OPT_COMMANDS: case OPT_VERBOSE: case OPT_SAVE_TEMPS: case OPT_TIME_PASSES:
    case OPT_LANGUAGE: return true;
    default: return false;
  }
}

static void put_word(tn_buf *out, const char *word) {
  tn_buf_putc(out, ' ');
  tn_shell_quote(out, word);
}

static void put_options(tn_driver *driver, tn_buf *out) {
  bool arch = false;
  for (size_t i = 0; i < driver->words.n; i++) {
    const char *word = driver->words.data[i], *argument = NULL;
    if (strcmp(word, "--") == 0) break;
    if (word[0] != '-' || !word[1]) continue;
    const tn_option *option = tn_option_find(word, &argument);
    const char *next = option->form == FORM_VALUE && !argument ? driver->words.data[++i] : NULL;
    if (option == &tn_options[OPT_ARCH] || option == &tn_options[OPT_CPU]) arch = true;
    if (is_left_out(option)) continue;
    put_word(out, word);
    if (next) put_word(out, next);
  }
  if (!arch) put_word(out, "-march=native");
}

/* kind: -c or its like, or NULL when an option that is kept says it (--emit). */
static void put_compile(tn_driver *driver, const char *kind, const char *output, tn_buf *out) {
  tn_shell_quote(out, driver->argv[0]);
  put_options(driver, out);
  if (kind) put_word(out, kind);
  if (driver->options.with_main || driver->options.make == TN_MAKE_EXECUTABLE) put_word(out, "--with-main");
  put_word(out, tn_namef(driver->ctx, "--prefix=%s", tn_driver_prefix(driver)));
  const char *header = tn_driver_header_path(driver);
  if (header) put_word(out, tn_namef(driver->ctx, "--header=%s", header));
  put_word(out, "-o");
  put_word(out, output);
  put_word(out, "-x");
  tn_language language = driver->input->language;
  put_word(out, language == LANGUAGE_ONNX ? "onnx" : language == LANGUAGE_TN ? "tn" : "tnir");
  put_word(out, "--");
  put_word(out, driver->input->path);
  tn_buf_putc(out, '\n');
}

bool tn_driver_print_commands(tn_driver *driver) {
  const char *path = tn_driver_output_path(driver), *object = tn_driver_with_suffix(driver, path, ".o");
  tn_buf out = tn_buf_create(driver->ctx->arena);
  bool ok = true;
  switch (driver->options.make) {
    case TN_MAKE_OBJECT: put_compile(driver, "-c", path, &out); break;
    case TN_MAKE_ARCHIVE: put_compile(driver, "-static-lib", path, &out); break;
    case TN_MAKE_TEXT: put_compile(driver, driver->options.assembly ? "-S" : NULL, path, &out); break;
    default:
      put_compile(driver, "-c", object, &out);
      ok = tn_driver_print_link(driver, &out);
  }
  if (ok) fputs(out.data, stdout);
  return ok;
}
