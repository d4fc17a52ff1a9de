/* Models in the language: loading, checking, and their weights as a .safetensors file. */
#include <inttypes.h>
#include <string.h>

#include "frontend/driver/driver.h"

static void add_file(void *user, const char *path) { tn_driver_add_file(user, path); }

bool tn_driver_lang_options(tn_driver *driver, tn_lang_options *out) {
  const tn_driver_options *o = &driver->options;
  if (o->shapes.n || o->outputs.n)
    return tn_error(driver->ctx, TN_LOC_NONE, TN_E_OPTION,
                    "--input-shape and --outputs change ONNX models; in the language -D NAME=VALUE fixes dims");
  tn_lang_bounds *bounds = TN_NEW_N(driver->ctx->arena, tn_lang_bounds, o->dims.n);
  for (size_t i = 0; i < o->dims.n; i++)
    bounds[i] = (tn_lang_bounds){o->dims.data[i].name, o->dims.data[i].lo, o->dims.data[i].hi};
  *out = (tn_lang_options){
      .defines = o->defines.data, .n_defines = (uint32_t)o->defines.n, .sets = o->sets.data,
      .n_sets = (uint32_t)o->sets.n, .bounds = bounds, .n_bounds = (uint32_t)o->dims.n, .entry = o->entry,
      .weights = o->weights, .has_init = o->has_init, .seed = o->seed, .folders = o->import_folders.data,
      .n_folders = (uint32_t)o->import_folders.n, .add_file = add_file, .user = driver};
  return true;
}

tn_module *tn_driver_load_tn(tn_driver *driver, tn_input *input) {
  tn_lang_options options;
  driver->weights = (tn_lang_weights){0};
  driver->serving = (tn_lang_serving){0};
  if (!tn_driver_lang_options(driver, &options)) return NULL;
  return tn_lang_load(driver->ctx, input->path, &options, &driver->weights, &driver->serving);
}

bool tn_driver_check(tn_driver *driver, tn_input *input) {
  tn_lang_options options;
  driver->input = input;
  if (input->language != LANGUAGE_TN && input->language != LANGUAGE_BY_NAME)
    return tn_error(driver->ctx, TN_LOC_NONE, TN_E_FORMAT, "check reads files of the language (.tn), found '%s'",
                    input->path);
  return tn_driver_lang_options(driver, &options) && tn_lang_check(driver->ctx, input->path, &options);
}

/* --- --emit=safetensors --- */

/* The type's name in .safetensors; NULL: it has none. */
static const char *stored_type(tn_dtype dtype) {
  switch (dtype) {
    case TN_F64: return "F64";
    case TN_F32: return "F32";
    case TN_F16: return "F16";
    case TN_BF16: return "BF16";
    case TN_F8E4M3: return "F8_E4M3";
    case TN_F8E5M2: return "F8_E5M2";
    case TN_I64: return "I64";
    case TN_I32: return "I32";
    case TN_I16: return "I16";
    case TN_I8: return "I8";
    case TN_U64: return "U64";
    case TN_U32: return "U32";
    case TN_U16: return "U16";
    case TN_U8: return "U8";
    case TN_BOOL: return "BOOL";
    default: return NULL;
  }
}

/* The length of the header in 8 bytes, the header padded with blanks to a multiple of 8. Names of weights are made of
 * identifiers, digits and dots, so that nothing in them is escaped. */
static bool put_header(tn_driver *driver, tn_buf *out) {
  uint64_t at = 0;
  tn_buf json = tn_buf_create(driver->ctx->arena);
  for (size_t i = 0; i < driver->weights.n; i++) {
    const tn_lang_weight *weight = &driver->weights.data[i];
    const tn_type *type = weight->constant->type;
    const char *name = stored_type(type->dtype);
    if (!name)
      return tn_error(driver->ctx, weight->constant->loc, TN_E_FORMAT, "weight '%s': %s has no form in .safetensors",
                      weight->path, tn_dtype_name(type->dtype));
    tn_buf_printf(&json, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[", i ? "," : "{", weight->path, name);
    for (uint32_t k = 0; k < type->ndim; k++)
      tn_buf_printf(&json, "%s%lld", k ? "," : "", (long long)tn_dim_value(type->dims[k]));
    uint64_t end = at + tn_const_bytes(weight->constant);
    tn_buf_printf(&json, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", at, end);
    at = end;
  }
  tn_buf_puts(&json, driver->weights.n ? "}" : "{}");
  while (json.n % 8 != 0) tn_buf_putc(&json, ' ');
  for (int i = 0; i < 8; i++) tn_buf_putc(out, (char)((uint64_t)json.n >> (8 * i)));
  tn_buf_append(out, json.data, json.n);
  return true;
}

static bool write_tensors(tn_driver *driver, tn_sink sink) {
  for (size_t i = 0; i < driver->weights.n; i++) {
    const tn_const *constant = driver->weights.data[i].constant;
    tn_arena *scratch = tn_arena_create_scratch(driver->ctx->arena);
    bool ok = tn_const_bytes(constant) == 0 ||
              sink.write(sink.user, tn_const_read(constant, scratch), tn_const_bytes(constant));
    tn_arena_destroy(scratch);
    if (!ok) return false;
  }
  return true;
}

bool tn_driver_write_safetensors(tn_driver *driver) {
  tn_buf header = tn_buf_create(driver->ctx->arena);
  if (driver->input->language != LANGUAGE_TN)
    return tn_error(driver->ctx, TN_LOC_NONE, TN_E_OPTION, "--emit=safetensors goes with models in the language only");
  if (!put_header(driver, &header)) return false;
  tn_output *output = tn_driver_open(driver, tn_driver_output_path(driver), 0644);
  if (!output) return false;
  tn_sink sink = tn_output_sink(output);
  if (sink.write(sink.user, header.data, header.n) && write_tensors(driver, sink)) return tn_driver_commit(output);
  tn_driver_discard(output);
  return false;
}
