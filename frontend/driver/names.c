/* Names derived from other names: the output's from the input's, the header's and the prefix from the output's. */
#include <ctype.h>
#include <string.h>

#include "frontend/driver/driver.h"

static const char *base_of(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

const char *tn_driver_stem(tn_driver *driver, const char *path) {
  if (strcmp(path, "-") == 0) return "model";
  const char *base = base_of(path), *dot = strrchr(base, '.');
  return dot && dot > base ? tn_namef(driver->ctx, "%.*s", (int)(dot - base), base) : tn_name(driver->ctx, base);
}

const char *tn_driver_with_suffix(tn_driver *driver, const char *path, const char *suffix) {
  const char *base = base_of(path), *dot = strrchr(base, '.');
  size_t n = dot && dot > base ? (size_t)(dot - path) : strlen(path);
  return tn_namef(driver->ctx, "%.*s%s", (int)n, path, suffix);
}

const char *tn_driver_output_path(tn_driver *driver) {
  const tn_driver_options *o = &driver->options;
  if (o->output) return o->output;
  const char *stem = tn_driver_stem(driver, driver->input->path);
  switch (o->make) {
    case TN_MAKE_OBJECT: return tn_namef(driver->ctx, "%s.o", stem);
    case TN_MAKE_SHARED: return tn_namef(driver->ctx, "%s.so", stem);
    case TN_MAKE_ARCHIVE: return tn_namef(driver->ctx, "%s.a", stem);
    case TN_MAKE_TEXT: return o->assembly ? tn_namef(driver->ctx, "%s.s", stem) : "-";
    default: break;
  }
  /* A model without a suffix must not be replaced by its program. */
  return strcmp(stem, driver->input->path) == 0 ? tn_namef(driver->ctx, "%s.out", stem) : stem;
}

const char *tn_driver_prefix(tn_driver *driver) {
  if (driver->options.prefix) return driver->options.prefix;
  const char *output = tn_driver_output_path(driver);
  const char *stem = tn_driver_stem(driver, strcmp(output, "-") == 0 ? driver->input->path : output);
  tn_buf name = tn_buf_create(driver->ctx->arena);
  if (!*stem || isdigit((unsigned char)*stem)) tn_buf_putc(&name, 'm');
  for (; *stem; stem++) tn_buf_putc(&name, isalnum((unsigned char)*stem) && !(*stem & 0x80) ? *stem : '_');
  return name.data;
}

const char *tn_driver_header_path(tn_driver *driver) {
  const tn_driver_options *o = &driver->options;
  if (o->header) return o->header;
  bool library =
      (o->make == TN_MAKE_OBJECT && !o->with_main) || o->make == TN_MAKE_SHARED || o->make == TN_MAKE_ARCHIVE;
  const char *output = tn_driver_output_path(driver);
  if (!library || strcmp(output, "-") == 0 || strncmp(output, "/dev/", 5) == 0) return NULL;
  return tn_driver_with_suffix(driver, output, ".h");
}
