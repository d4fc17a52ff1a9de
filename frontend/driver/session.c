/* The session of one run: its start, its end, and what happens when memory gives out. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frontend/driver/driver.h"

/* Nothing can be allocated any more, so nothing is: the message is written and the process ends. */
static void out_of_memory(void *user, size_t wanted_bytes) {
  (void)user;
  char text[160];
  int n = snprintf(text, sizeof(text), "tenon: error: out of memory, %zu more bytes were wanted [%s]\n", wanted_bytes,
                   tn_diag_code_name(TN_E_RESOURCE));
  if (write(STDERR_FILENO, text, (size_t)n) < 0) { /* nobody is left to tell */
  }
  tn_driver_remove_temporaries();
  _exit(EXIT_RESOURCE);
}

void tn_driver_start(tn_driver *driver, int argc, char **argv) {
  *driver = (tn_driver){.argc = argc, .argv = argv};
  driver->ctx = tn_ctx_create((tn_oom){out_of_memory, NULL});
  tn_driver_catch_signals(argc, argv);
}

int tn_driver_finish(tn_driver *driver, bool ok) {
  tn_driver_progress_stop(driver);
  int status = tn_driver_report(driver);
  if (!ok && status == 0) {
    fprintf(stderr, "tenon: fault: a step failed without saying why\n");
    status = EXIT_FAULT;
  }
  if (status == EXIT_FAULT) tn_driver_reproduce(driver);
  if (fflush(stdout) != 0 || ferror(stdout)) {
    fprintf(stderr, "tenon: error: cannot write standard output [%s]\n", tn_diag_code_name(TN_E_FILE));
    if (status == 0) status = EXIT_INPUT;
  }
  tn_driver_end_variants(driver);
  if (driver->module) tn_module_destroy(driver->module);
  tn_ctx_destroy(driver->ctx);
  return status;
}
