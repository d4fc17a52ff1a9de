/* -g: the text that debugging information refers to. It is the kernel and program levels as --emit=kernels,program
 * prints them: a line a node, a line a step. Each model of a training program has one. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/driver/driver.h"
#include "ir/text.h"

static bool has_file(tn_driver *driver) {
  const char *path = tn_driver_output_path(driver);
  return strcmp(path, "-") != 0 && strncmp(path, "/dev/", 5) != 0;
}

static const char *debug_path(tn_driver *driver) {
  const char *path = has_file(driver) ? tn_driver_output_path(driver) : driver->input->path;
  const char *part = driver->part_name ? tn_namef(driver->ctx, ".%s.kernels.tnir", driver->part_name) : NULL;
  return tn_driver_with_suffix(driver, path, part ? part : ".kernels.tnir");
}

/* The folder of path in full, so that a debugger finds the text from anywhere; as given when it does not exist. */
static const char *folder_of(tn_driver *driver, const char *path) {
  const char *slash = strrchr(path, '/');
  const char *folder = !slash ? "." : slash == path ? "/" : tn_namef(driver->ctx, "%.*s", (int)(slash - path), path);
  char full[PATH_MAX];
  return realpath(folder, full) ? tn_name(driver->ctx, full) : folder;
}

const tn_debug_source *tn_driver_debug_source(tn_driver *driver) {
  if (!driver->options.debug || !driver->program) return NULL;
  if (driver->debug) return driver->debug;
  tn_buf text = tn_buf_create(driver->ctx->arena);
  const char *path = debug_path(driver), *slash = strrchr(path, '/');
  tn_text_print(driver->module, TN_TEXT_KERNELS | TN_TEXT_PROGRAM, &text);
  driver->debug = TN_NEW(driver->ctx->arena, tn_debug_source);
  *driver->debug = (tn_debug_source){folder_of(driver, path), slash ? slash + 1 : path, text.data};
  return driver->debug;
}

bool tn_driver_write_debug(tn_driver *driver) {
  const tn_debug_source *source = tn_driver_debug_source(driver);
  if (!source || !has_file(driver)) return true;
  for (size_t i = 0; driver->training && i < driver->variants.n; i++)
    if (!tn_driver_write_debug(driver->variants.data[i])) return false;
  tn_buf text = tn_buf_create(driver->ctx->arena);
  tn_buf_puts(&text, source->text);
  return tn_driver_write_text(driver, debug_path(driver), &text);
}
