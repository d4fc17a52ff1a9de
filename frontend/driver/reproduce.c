/* After a fault: a file with the IR before the pass that failed and the command line, to be reported. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frontend/driver/driver.h"
#include "ir/text.h"

static const char *pass_before(const char *name) {
  for (uint32_t i = 1; i < tn_n_passes; i++)
    if (strcmp(tn_passes[i].name, name) == 0) return tn_passes[i - 1].name;
  return NULL;
}

/* Passes change the module in place, so it is read and brought there once more. False: the text is as it is now. */
static bool print_before(tn_driver *driver, tn_driver *again, tn_buf *out) {
  const char *before = driver->failed_pass ? pass_before(driver->failed_pass) : NULL;
  if (!driver->input || !driver->input->path || !driver->failed_pass || strcmp(driver->input->path, "-") == 0)
    return false;
  again->options = driver->options;
  again->options.stop_after = before;
  again->options.make = TN_MAKE_OBJECT;
  again->options.march.n = 0; /* the one processor's that failed */
  again->march = driver->march;
  again->options.verbose = again->options.verify_each = again->options.check_each = again->options.time_passes = false;
  again->options.dump_after.data = NULL;
  tn_input input = *driver->input;
  if (!tn_driver_load(again, &input)) return false;
  if (before && !tn_driver_compile(again)) return false;
  tn_text_print(again->module, TN_TEXT_ALL, out);
  return true;
}

void tn_driver_reproduce(tn_driver *driver) {
  const char *folder = getenv("TMPDIR");
  char *path = tn_arena_printf(driver->ctx->arena, "%s/tenon-fault-XXXXXX.tnir", folder && folder[0] ? folder : "/tmp");
  tn_buf text = tn_buf_create(driver->ctx->arena);
  tn_buf_printf(&text, "# " TENON_PRODUCER ", fault in '%s'. The command line:\n#",
                driver->failed_pass ? driver->failed_pass : "code generation");
  for (int i = 0; i < driver->argc; i++) {
    tn_buf_putc(&text, ' ');
    tn_shell_quote(&text, driver->argv[i]);
  }
  tn_buf_putc(&text, '\n');
  tn_driver again;
  tn_driver_start(&again, driver->argc, driver->argv);
  if (!print_before(driver, &again, &text) && driver->module) tn_text_print(driver->module, TN_TEXT_ALL, &text);
  tn_driver_progress_stop(&again);
  if (again.module) tn_module_destroy(again.module);
  tn_ctx_destroy(again.ctx);
  int fd = mkstemps(path, 5);
  bool written = fd >= 0 && write(fd, text.data, text.n) == (ssize_t)text.n;
  if (fd >= 0) close(fd);
  fprintf(stderr, "tenon: fault: this is an error of tenon, not of the model; please report it%s%s\n",
          written ? " with " : "", written ? path : "");
}
