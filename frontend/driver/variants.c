/* Several -march: one file with code for each, chosen when it runs. Each processor is a compile of its own, from the
 * model's file on, in a session of its own; this one's own compile is that of the most capable. Constants of equal
 * bytes are stored once. */
#include <string.h>

#include "frontend/driver/driver.h"
#include "runtime/abi.h"

/* --- Which processors --- */

static uint32_t n_features(const tn_target *target) {
  uint32_t n = 0;
  for (const char *c = target->features; *c; c++) n += *c == ',';
  return n;
}

static bool is_better(const tn_target *a, const tn_target *b) {
  if (a->vector_bits != b->vector_bits) return a->vector_bits > b->vector_bits;
  return n_features(a) > n_features(b);
}

static bool check_alone(tn_driver *driver) {
  const tn_driver_options *o = &driver->options;
  const char *what = NULL;
  if (o->make == TN_MAKE_TEXT && o->levels != LEVEL_HEADER) what = "text of one level is that of one processor's code";
  else if (o->debug) what = "-g leads to the text of one processor's code";
  else if (o->freestanding) what = "-ffreestanding cannot ask the environment which code to use";
  else if (o->save_temps) what = "--save-temps keeps the text of one processor's code";
  return !what || tn_error(driver->ctx, TN_LOC_NONE, TN_E_OPTION, "several -march: %s", what);
}

bool tn_driver_order_variants(tn_driver *driver) {
  tn_words *march = &driver->options.march;
  if (driver->march) return true; /* a variant knows its own */
  driver->march = march->n > 0 ? march->data[0] : NULL;
  if (march->n < 2) return true;
  const tn_backend *backend = tn_backend_find(driver->options.target);
  tn_target *targets = TN_NEW_N(driver->ctx->arena, tn_target, march->n);
  size_t n = 0;
  for (size_t i = 0; i < march->n; i++) { /* insertion: equals keep the order given, and one CPU is taken once */
    tn_target target;
    const char *name = march->data[i], *cpu = strcmp(name, "native") == 0 ? NULL : name;
    if (!backend->probe(driver->ctx, cpu, driver->options.triple, &target)) return false;
    size_t at = 0;
    while (at < n && strcmp(targets[at].cpu_resolved, target.cpu_resolved) != 0) at++;
    if (at < n) continue;
    for (; at > 0 && is_better(&target, &targets[at - 1]); at--) targets[at] = targets[at - 1];
    targets[at] = target;
    n++;
  }
  for (size_t i = 0; i < n; i++) march->data[i] = targets[i].cpu_resolved;
  march->n = n;
  driver->march = march->data[0];
  if (n > 1 && !backend->emit_choice)
    return tn_error(driver->ctx, TN_LOC_NONE, TN_E_OPTION, "several -march: not with --target=%s", backend->name);
  return n < 2 || check_alone(driver);
}

/* --- Compiling --- */

/* What a variant's session recorded is said in the first one's. */
bool tn_driver_take_errors(tn_driver *driver, const tn_driver *variant) {
  for (size_t i = 0; i < variant->ctx->diags.n; i++) {
    const tn_diag *diag = &variant->ctx->diags.data[i];
    if (diag->severity == TN_ERROR)
      tn_error(driver->ctx, TN_LOC_NONE, diag->code, "-march=%s: %s", variant->march, diag->text);
    else if (tn_diag_n_errors(variant->ctx) > 0)
      tn_note(driver->ctx, TN_LOC_NONE, "%s", diag->text);
  }
  driver->fault |= variant->fault;
  return false;
}

bool tn_driver_compile_variants(tn_driver *driver) {
  const tn_words *march = &driver->options.march;
  for (size_t i = 0; i < driver->variants.n && driver->training; i++) {
    tn_driver *part = driver->variants.data[i];
    part->march = driver->march;
    bool ok = tn_driver_compile(part);
    driver->fault |= part->fault;
    if (!ok) return false;
  }
  bool is_whole = driver->training || !driver->is_part;
  for (size_t i = 1; i < march->n && is_whole && driver->march == march->data[0]; i++) {
    tn_driver *variant = TN_NEW(driver->ctx->arena, tn_driver);
    tn_driver_start(variant, driver->argc, driver->argv);
    variant->options = driver->options;
    variant->march = march->data[i];
    variant->ctx->memory_limit = driver->ctx->memory_limit;
    TN_VEC_PUSH(driver->ctx->arena, &driver->variants, variant);
    tn_input *input = TN_NEW(driver->ctx->arena, tn_input);
    *input = *driver->input;
    if (!tn_driver_load(variant, input) || !tn_driver_compile(variant)) return tn_driver_take_errors(driver, variant);
  }
  return true;
}

void tn_driver_end_variants(tn_driver *driver) {
  for (size_t i = 0; i < driver->variants.n; i++) {
    tn_driver *variant = driver->variants.data[i];
    tn_driver_end_variants(variant); /* the models of a training */
    if (variant->module) tn_module_destroy(variant->module);
    if (variant->ctx != driver->ctx) tn_ctx_destroy(variant->ctx);
  }
  driver->variants.n = 0;
}

/* --- Constants --- */

static bool digest_piece(void *user, const void *data, size_t bytes) {
  tn_digester_add(user, data, bytes);
  return true;
}

typedef struct content {
  uint64_t digest, bytes, offset;
} content;

static bool digest_of(tn_driver *of, const tn_buffer *buffer, content *out) {
  tn_digester d = tn_digester_start();
  tn_arena *scratch = tn_arena_create_scratch(of->ctx->arena);
  bool ok = of->backend->pack(&of->machine, buffer, scratch, (tn_sink){digest_piece, &d});
  tn_arena_destroy(scratch);
  *out = (content){.bytes = d.bytes};
  out->digest = tn_digester_end(&d);
  return ok;
}

static bool share_those_of(tn_driver *driver, tn_driver *of, tn_map *known) {
  for (size_t i = 0; i < of->program->buffers.n; i++) {
    tn_buffer *buffer = of->program->buffers.data[i];
    content found;
    if (buffer->kind != TN_BUFFER_CONST) continue;
    if (!digest_of(of, buffer, &found)) return false;
    content *kept = tn_map_get_u64(known, found.digest);
    if (!kept || kept->bytes != found.bytes) {
      kept = TN_NEW(driver->ctx->arena, content);
      *kept = found;
      kept->offset = driver->constants_bytes;
      driver->constants_bytes += (found.bytes + 63) & ~UINT64_C(63);
      tn_map_set_u64(known, found.digest, kept);
      tn_placed_constant row = {of, buffer, kept->offset};
      TN_VEC_PUSH(driver->ctx->arena, &driver->constants, row);
    }
    buffer->offset = tn_dim_const(of->ctx, (int64_t)kept->offset);
  }
  return true;
}

static bool share_all(tn_driver *driver, tn_driver *of, tn_map *known) {
  bool ok = share_those_of(driver, of, known);
  for (size_t i = 0; i < of->variants.n && ok; i++) ok = share_all(driver, of->variants.data[i], known);
  return ok;
}

static void set_bytes(tn_driver *of, uint64_t bytes) {
  of->program->weights_bytes = bytes;
  for (size_t i = 0; i < of->variants.n; i++) set_bytes(of->variants.data[i], bytes);
}

bool tn_driver_share_constants(tn_driver *driver) {
  tn_map known = tn_map_create(driver->ctx->arena);
  bool ok = share_all(driver, driver, &known);
  set_bytes(driver, driver->constants_bytes);
  return ok;
}

/* --- Code --- */

const char *tn_driver_variant_prefix(tn_driver *driver, const char *prefix, const char *cpu) {
  char *name = tn_arena_printf(driver->ctx->arena, "%s_%s", prefix, cpu);
  for (char *c = name; *c; c++)
    if (*c == '-' || *c == '.') *c = '_';
  return name;
}

bool tn_driver_emit_variants(tn_driver *driver, const tn_emit_options *options, tn_arena *arena,
                             tn_object_part **out_parts, uint32_t *out_n_parts) {
  uint32_t n = 1 + (uint32_t)driver->variants.n;
  const char **prefixes = TN_NEW_N(arena, const char *, n), **names = TN_NEW_N(arena, const char *, n);
  TN_VEC(tn_object_part) all = {0};
  for (uint32_t i = 0; i < n; i++) {
    tn_driver *one = i == 0 ? driver : driver->variants.data[i - 1];
    tn_emit_options each = *options;
    tn_object_part *parts;
    uint32_t n_parts;
    names[i] = one->march;
    each.prefix = prefixes[i] = tn_driver_variant_prefix(driver, options->prefix, one->march);
    each.with_main = false;
    each.is_variant = true;
    each.weights = tn_namef(driver->ctx, "%s_weights", options->prefix);
    if (!one->backend->emit(one->ctx, &one->machine, one->program, &each, arena, &parts, &n_parts))
      return one == driver ? false : tn_driver_take_errors(driver, one);
    uint64_t stack_bytes = tn_emit_stack_bytes(parts, n_parts);
    if (stack_bytes > driver->stack_bytes) driver->stack_bytes = stack_bytes;
    for (uint32_t k = 0; k < n_parts; k++) TN_VEC_PUSH(arena, &all, parts[k]);
  }
  tn_object_part choice;
  if (!driver->backend->emit_choice(driver->ctx, &driver->machine, driver->program, options, prefixes, names, n, arena,
                                    &choice))
    return false;
  TN_VEC_PUSH(arena, &all, choice);
  driver->stack_bytes += choice.stack_bytes;
  *out_parts = all.data;
  *out_n_parts = (uint32_t)all.n;
  return true;
}
