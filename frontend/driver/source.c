/* What is done with files of the language themselves: their trees. */
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
