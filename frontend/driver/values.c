/* What each option means: one function a group of options, each a switch that puts the argument where it belongs. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/driver/driver.h"

static bool wrong(tn_driver *driver, const tn_option *option, const char *argument) {
  return tn_error(driver->ctx, TN_LOC_NONE, TN_E_OPTION, "%s: expected %s, found '%s'", option->spelling,
                  option->argument, argument);
}

static bool set_number(tn_driver *driver, const tn_option *option, const char *argument, uint32_t lo, uint32_t hi,
                       uint32_t *out) {
  char *end;
  errno = 0;
  unsigned long v = strtoul(argument, &end, 10);
  if (argument[0] < '0' || argument[0] > '9' || *end || errno || v < lo || v > hi)
    return tn_error(driver->ctx, TN_LOC_NONE, TN_E_OPTION, "%s: expected a number from %u to %u, found '%s'",
                    option->spelling, lo, hi, argument);
  *out = (uint32_t)v;
  return true;
}

/* "64M" in bytes. */
static bool set_size(tn_driver *driver, const tn_option *option, const char *argument, uint64_t *out) {
  static const char units[] = "KMGT";
  char *end;
  errno = 0;
  unsigned long long v = strtoull(argument, &end, 10);
  bool ok = argument[0] >= '0' && argument[0] <= '9' && errno == 0;
  const char *unit = *end ? strchr(units, *end) : NULL;
  if (unit) end++;
  if (unit && strncmp(end, "iB", 2) == 0) end += 2;
  unsigned shift = unit ? 10 * (unsigned)(unit - units + 1) : 0;
  if (!ok || *end || v == 0 || v > (UINT64_MAX >> 1 >> shift))
    return tn_error(driver->ctx, TN_LOC_NONE, TN_E_OPTION, "%s: expected a size such as 64M, found '%s'",
                    option->spelling, argument);
  *out = v << shift;
  return true;
}

/* Adds the parts of "a,b,c". */
static bool add_list(tn_driver *driver, const tn_option *option, const char *argument, tn_words *out) {
  for (const char *at = argument;; at++) {
    size_t n = strcspn(at, ",");
    if (n == 0) return wrong(driver, option, argument);
    TN_VEC_PUSH(driver->ctx->arena, out, tn_arena_strndup(driver->ctx->arena, at, n));
    at += n;
    if (*at == 0) return true;
  }
}

static bool is_pass(const char *name) {
  for (uint32_t i = 0; i < tn_n_passes; i++)
    if (strcmp(tn_passes[i].name, name) == 0) return true;
  return false;
}

static bool unknown_pass(tn_driver *driver, const tn_option *option, const char *name) {
  const char **names = TN_NEW_N(driver->ctx->arena, const char *, tn_n_passes);
  for (uint32_t i = 0; i < tn_n_passes; i++) names[i] = tn_passes[i].name;
  const char *near = tn_str_nearest(name, names, tn_n_passes);
  tn_error(driver->ctx, TN_LOC_NONE, TN_E_OPTION, "%s: no pass is called '%s'", option->spelling, name);
  tn_note(driver->ctx, TN_LOC_NONE, near ? "did you mean '%s'?" : "--print-passes lists them", near);
  return false;
}

static bool add_passes(tn_driver *driver, const tn_option *option, const char *argument, bool all, tn_words *out) {
  size_t first = out->n;
  if (!add_list(driver, option, argument, out)) return false;
  for (size_t i = first; i < out->n; i++) {
    bool named_all = all && strcmp(out->data[i], "all") == 0;
    if (!named_all && !is_pass(out->data[i])) return unknown_pass(driver, option, out->data[i]);
  }
  return true;
}

static bool is_code_level(const char *name) {
  for (uint32_t i = 0; i < tn_n_backends; i++)
    for (uint32_t k = 0; k < tn_backends[i]->n_levels; k++)
      if (strcmp(tn_backends[i]->levels[k].name, name) == 0) return true;
  return false;
}

/* By bit of tn_level. */
static const char *const level_names[] = {"ir", "kernels", "program", "header", "dot", "ast", "weights", "safetensors",
                                          "onnx", "plan"};

static bool unknown_level(tn_driver *driver, const char *name) {
  tn_buf names = tn_buf_create(driver->ctx->arena);
  for (size_t i = 0; i < TN_ARRAY_LEN(level_names); i++) tn_buf_printf(&names, "%s, ", level_names[i]);
  for (uint32_t i = 0; i < tn_n_backends; i++)
    for (uint32_t k = 0; k < tn_backends[i]->n_levels; k++)
      tn_buf_printf(&names, "%s, ", tn_backends[i]->levels[k].name);
  return tn_error(driver->ctx, TN_LOC_NONE, TN_E_OPTION, "--emit: expected %sfound '%s'", names.data, name);
}

static bool set_levels(tn_driver *driver, const tn_option *option, const char *argument) {
  tn_words words = {0};
  if (!add_list(driver, option, argument, &words)) return false;
  for (size_t i = 0; i < words.n; i++) {
    size_t k = 0;
    while (k < TN_ARRAY_LEN(level_names) && strcmp(level_names[k], words.data[i]) != 0) k++;
    if (k < TN_ARRAY_LEN(level_names)) driver->options.levels |= 1u << k;
    else if (is_code_level(words.data[i])) TN_VEC_PUSH(driver->ctx->arena, &driver->options.code_levels, words.data[i]);
    else return unknown_level(driver, words.data[i]);
  }
  driver->options.make = TN_MAKE_TEXT;
  return true;
}

static bool set_effort(tn_driver *driver, const tn_option *option, const char *argument) {
  driver->options.small_code = strcmp(argument, "s") == 0;
  if (driver->options.small_code || argument[0] == 0) {
    driver->options.opt_level = argument[0] ? 2 : 1;
    return true;
  }
  if (argument[0] < '0' || argument[0] > '3' || argument[1]) return wrong(driver, option, argument);
  driver->options.opt_level = (uint32_t)(argument[0] - '0');
  return true;
}

static bool set_common(tn_driver *driver, const tn_option *option, const char *argument) {
  tn_driver_options *o = &driver->options;
  switch ((tn_option_id)(option - tn_options)) {
    case OPT_OUTPUT: o->output = argument; return argument[0] != 0 || wrong(driver, option, argument);
    case OPT_OBJECT: o->make = TN_MAKE_OBJECT; return true;
    case OPT_SHARED: o->make = TN_MAKE_SHARED; return true;
    case OPT_STATIC_LIB: o->make = TN_MAKE_ARCHIVE; return true;
    case OPT_ASSEMBLY: o->make = TN_MAKE_TEXT; o->assembly = true; return true;
    case OPT_EMIT: return set_levels(driver, option, argument);
    case OPT_LEVEL: return set_effort(driver, option, argument);
    case OPT_DEBUG: o->debug = true; return true;
    case OPT_ARCH: return add_list(driver, option, argument, &o->march);
    case OPT_THREADS: return set_number(driver, option, argument, 1, 1024, &o->threads);
    case OPT_EVAL: o->make = TN_MAKE_EVAL; return true;
    case OPT_DIM: {
      tn_onnx_dim dim;
      if (!tn_onnx_parse_dim(driver->ctx, argument, &dim)) return false;
      TN_VEC_PUSH(driver->ctx->arena, &o->dims, dim);
      return true;
    }
    default: /* --help and its kin */
      o->inform = (tn_option_id)(option - tn_options);
      return true;
  }
}

/* NAME=VALUE */
static bool read_setting(tn_driver *driver, const tn_option *option, const char *argument, tn_lang_setting *out) {
  const char *equals = strchr(argument, '=');
  if (!equals || equals == argument || !equals[1]) return wrong(driver, option, argument);
  *out = (tn_lang_setting){tn_namef(driver->ctx, "%.*s", (int)(equals - argument), argument), equals + 1};
  return true;
}

static bool set_seed(tn_driver *driver, const tn_option *option, const char *argument) {
  char *end;
  errno = 0;
  driver->options.seed = strtoull(argument, &end, 10);
  driver->options.has_init = true;
  if (argument[0] >= '0' && argument[0] <= '9' && !*end && errno == 0) return true;
  return tn_error(driver->ctx, TN_LOC_NONE, TN_E_OPTION, "%s: expected a number, found '%s'", option->spelling,
                  argument);
}

static bool set_model(tn_driver *driver, const tn_option *option, const char *argument) {
  tn_driver_options *o = &driver->options;
  tn_onnx_shape shape;
  tn_lang_setting setting;
  switch ((tn_option_id)(option - tn_options)) {
    case OPT_DEFINE:
      if (!read_setting(driver, option, argument, &setting)) return false;
      TN_VEC_PUSH(driver->ctx->arena, &o->defines, setting);
      return true;
    case OPT_SET:
      if (!read_setting(driver, option, argument, &setting)) return false;
      TN_VEC_PUSH(driver->ctx->arena, &o->sets, setting);
      return true;
    case OPT_IMPORTS: TN_VEC_PUSH(driver->ctx->arena, &o->import_folders, argument); return true;
    case OPT_WEIGHTS: o->weights = argument; return true;
    case OPT_INIT: return set_seed(driver, option, argument);
    case OPT_OUTPUTS: return add_list(driver, option, argument, &o->outputs);
    case OPT_ENTRY: o->entry = argument; return true;
    case OPT_DATA_ROOT: o->data_root = argument; return true;
    default: /* --input-shape */
      if (!tn_onnx_parse_shape(driver->ctx, argument, &shape)) return false;
      TN_VEC_PUSH(driver->ctx->arena, &o->shapes, shape);
      return true;
  }
}

/* A section's name must not need quoting in assemblers and linker scripts. */
static bool set_constants(tn_driver *driver, const tn_option *option, const char *argument) {
  static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.";
  tn_driver_options *o = &driver->options;
  if (strcmp(argument, "embedded") == 0) o->constants = CONSTANTS_EMBEDDED;
  else if (strcmp(argument, "external") == 0) o->constants = CONSTANTS_EXTERNAL;
  else if (strncmp(argument, "section:", 8) == 0 && argument[8] && argument[8 + strspn(argument + 8, letters)] == 0)
    o->constants = CONSTANTS_SECTION, o->section = argument + 8;
  else return wrong(driver, option, argument);
  return true;
}

static bool set_output(tn_driver *driver, const tn_option *option, const char *argument) {
  tn_driver_options *o = &driver->options;
  switch ((tn_option_id)(option - tn_options)) {
    case OPT_HEADER: o->header = argument; return true;
    case OPT_PREFIX: o->prefix = argument; return true;
    case OPT_WITH_MAIN: o->with_main = true; return true;
    case OPT_CPU: return add_list(driver, option, argument, &o->march);
    case OPT_FREESTANDING: o->freestanding = true; return true;
    case OPT_TRIPLE: o->triple = argument; return true;
    case OPT_SANITIZE:
      o->sanitize = argument;
      if (strcmp(argument, "address") != 0 && strcmp(argument, "thread") != 0) return wrong(driver, option, argument);
      /* The linker's driver adds the sanitizer's library. */
      TN_VEC_PUSH(driver->ctx->arena, &o->link, tn_namef(driver->ctx, "%s=%s", option->spelling, argument));
      return true;
    case OPT_TARGET:
      o->target = argument;
      if (tn_backend_find(argument)) return true;
      tn_error(driver->ctx, TN_LOC_NONE, TN_E_OPTION, "--target: no backend is called '%s'", argument);
      tn_note(driver->ctx, TN_LOC_NONE, "--print-targets lists them; --triple names a machine");
      return false;
    case OPT_CONSTANTS: return set_constants(driver, option, argument);
    case OPT_MEMORY_BUDGET: return set_size(driver, option, argument, &o->memory_budget);
    case OPT_MEMORY_LIMIT: return set_size(driver, option, argument, &o->memory_limit);
    default: return true; /* -fPIC */
  }
}

static bool set_link(tn_driver *driver, const tn_option *option, const char *argument) {
  tn_driver_options *o = &driver->options;
  if (option == &tn_options[OPT_PTHREAD]) return true;
  if (option == &tn_options[OPT_SYSROOT]) {
    o->sysroot = argument;
    return true;
  }
  TN_VEC_PUSH(driver->ctx->arena, &o->link, tn_namef(driver->ctx, "%s%s", option->spelling, argument));
  return true;
}

static bool set_depend(tn_driver *driver, const tn_option *option, const char *argument) {
  tn_driver_options *o = &driver->options;
  switch ((tn_option_id)(option - tn_options)) {
    case OPT_MD: o->depfile = true; return true;
    case OPT_MF: o->depfile_path = argument; return true;
    case OPT_MP: o->depfile_phony = true; return true;
    default: TN_VEC_PUSH(driver->ctx->arena, &o->depfile_targets, argument); return true; /* -MT */
  }
}

static bool set_inspect(tn_driver *driver, const tn_option *option, const char *argument) {
  tn_driver_options *o = &driver->options;
  switch ((tn_option_id)(option - tn_options)) {
    case OPT_VERBOSE: o->verbose = true; return true;
    case OPT_COMMANDS: o->commands = true; return true;
    case OPT_REPORT: o->report = argument; return argument[0] != 0 || wrong(driver, option, argument);
    case OPT_DUMP_AFTER: return add_passes(driver, option, argument, true, &o->dump_after);
    case OPT_SKIP: return add_passes(driver, option, argument, false, &o->skip);
    case OPT_ONLY: return add_passes(driver, option, argument, false, &o->only);
    case OPT_STOP_AFTER:
      o->stop_after = argument;
      return is_pass(argument) || unknown_pass(driver, option, argument);
    case OPT_VERIFY_EACH: o->verify_each = true; return true;
    case OPT_CHECK_EACH: o->check_each = true; return true;
    case OPT_TIME_PASSES: o->time_passes = true; return true;
    case OPT_SAVE_TEMPS: o->save_temps = true; return true;
    case OPT_JSON: o->json = true; return true;
    case OPT_NO_FORK: o->no_fork = true; return true;
    case OPT_JOBS: return set_number(driver, option, argument, 1, 256, &o->jobs);
    case OPT_UNIT_SECONDS: return set_number(driver, option, argument, 1, 1000000, &o->unit_seconds);
    default:
      o->inform = (tn_option_id)(option - tn_options);
      o->inform_argument = argument;
      return true;
  }
}

static bool set_warning(tn_driver *driver, const char *name) {
  bool off = strncmp(name, "no-", 3) == 0;
  tn_diag_code code = tn_diag_code_find(off ? name + 3 : name);
  if (code != TN_N_DIAG_CODES) driver->options.hidden[code] = off;
  else if (strcmp(name, "all") != 0 && strcmp(name, "extra") != 0)
    return tn_error(driver->ctx, TN_LOC_NONE, TN_E_OPTION, "-W: expected all, extra, TNxxxx or no-TNxxxx, found '%s'",
                    name);
  return true;
}

static bool set_format(tn_driver *driver, const char *name) {
  static const char *const names[] = {[FORMAT_TEXT] = "text", [FORMAT_JSON] = "json", [FORMAT_SARIF] = "sarif"};
  for (size_t i = 0; i < TN_ARRAY_LEN(names); i++) {
    if (strcmp(names[i], name) != 0) continue;
    driver->options.format = (tn_message_format)i;
    return true;
  }
  return tn_error(driver->ctx, TN_LOC_NONE, TN_E_OPTION,
                  "-fdiagnostics-format: expected text, json or sarif, found '%s'", name);
}

static bool set_diagnose(tn_driver *driver, const tn_option *option, const char *argument) {
  tn_driver_options *o = &driver->options;
  switch ((tn_option_id)(option - tn_options)) {
    case OPT_WERROR: o->warnings_are_errors = true; return true;
    case OPT_NO_WARNINGS: o->no_warnings = true; return true;
    case OPT_WARNING: return set_warning(driver, argument);
    case OPT_COLOR: o->color = 1; return true;
    case OPT_NO_COLOR: o->color = 0; return true;
    case OPT_COLOR_WHEN:
      o->color = strcmp(argument, "always") == 0 ? 1 : strcmp(argument, "never") == 0 ? 0 : -1;
      return o->color >= 0 || strcmp(argument, "auto") == 0 ||
             tn_error(driver->ctx, TN_LOC_NONE, TN_E_OPTION, "%s: expected always, never or auto, found '%s'",
                      "-fdiagnostics-color", argument);
    default: return set_format(driver, argument); /* -fdiagnostics-format= */
  }
}

static bool set_reference(tn_driver *driver, const tn_option *option, const char *argument) {
  tn_driver_options *o = &driver->options;
  switch ((tn_option_id)(option - tn_options)) {
    case OPT_INPUT:
      if (!strrchr(argument, '=')) return wrong(driver, option, argument);
      TN_VEC_PUSH(driver->ctx->arena, &o->eval_inputs, argument);
      return true;
    case OPT_OUTPUT_DIR: o->output_dir = argument; return true;
    case OPT_RECORDED: o->recorded = argument; return argument[0] != 0 || wrong(driver, option, argument);
    case OPT_REF:
      o->has_ref = true;
      o->ref_is_onnx = strcmp(argument, "onnx") == 0;
      return o->ref_is_onnx || strcmp(argument, "eval") == 0 || wrong(driver, option, argument);
    case OPT_TOLERANCE: {
      char *end;
      o->tolerance = strtod(argument, &end);
      return (end != argument && !*end && o->tolerance > 0) || wrong(driver, option, argument);
    }
    default: /* --eval-mode */
      o->eval_mode = strcmp(argument, "wide") == 0 ? TN_EVAL_WIDE : TN_EVAL_EXACT;
      return o->eval_mode == TN_EVAL_WIDE || strcmp(argument, "exact") == 0 || wrong(driver, option, argument);
  }
}

bool tn_driver_set(tn_driver *driver, const tn_option *option, const char *argument) {
  switch (option->group) {
    case GROUP_COMMON: return set_common(driver, option, argument);
    case GROUP_MODEL: return set_model(driver, option, argument);
    case GROUP_OUTPUT: return set_output(driver, option, argument);
    case GROUP_LINK: return set_link(driver, option, argument);
    case GROUP_DEPEND: return set_depend(driver, option, argument);
    case GROUP_INSPECT: return set_inspect(driver, option, argument);
    case GROUP_DIAGNOSE: return set_diagnose(driver, option, argument);
    case GROUP_FORMAT: driver->options.only_check = true; return true;
    case GROUP_REFERENCE: return set_reference(driver, option, argument);
    default: return false;
  }
}
