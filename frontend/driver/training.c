/* Training programs: a model of the language that has a train block and no weights yet becomes an executable of several
 * models (runtime/training.h), compiled one after the other in this session, with the plan of the training and the main
 * of libtnrt_train.a. */
#include <string.h>

#include "frontend/driver/driver.h"
#include "ir/verify.h"
#include "runtime/training.h"

struct tn_driver_training {
  tn_lang_training made;
  tn_driver *parts[TN_LANG_N_PARTS];
};

static const char *const part_names[TN_LANG_N_PARTS] = {"step", "grad", "update", "eval", "predict", "trace",
                                                         "shard", "norm", "fit"};

/* --- Whether --- */

static bool refuse(tn_driver *driver, const char *what) {
  tn_error(driver->ctx, TN_LOC_NONE, TN_E_OPTION, "'%s' has a train block and no weights, so that it becomes a program "
           "that trains: %s", driver->input->path, what);
  tn_help(driver->ctx, "--weights=FILE makes a model of what was trained, --init=SEED one with random weights");
  return false;
}

static bool check_options(tn_driver *driver) {
  const tn_driver_options *o = &driver->options;
  if (o->make == TN_MAKE_SHARED || o->make == TN_MAKE_ARCHIVE)
    return refuse(driver, "a program has no functions for others to call, so it is an executable, or with -c an object "
                          "with a main of its own");
  if (o->header) return refuse(driver, "a program has no functions that a header could declare");
  if (o->freestanding) return refuse(driver, "-ffreestanding has no files to read samples from");
  if (o->stop_after || o->only.n || o->skip.n) return refuse(driver, "all passes run");
  const tn_backend *backend = tn_backend_find(o->target);
  if (backend && !backend->emit_all) return refuse(driver, "--target=cpu only");
  return true;
}

bool tn_driver_is_training(tn_driver *driver, const tn_input *input, bool *ok) {
  const tn_driver_options *o = &driver->options;
  tn_lang_options options;
  bool makes = o->make == TN_MAKE_EXECUTABLE || o->make == TN_MAKE_OBJECT || o->make == TN_MAKE_SHARED ||
               o->make == TN_MAKE_ARCHIVE || (o->make == TN_MAKE_TEXT && o->levels == LEVEL_PLAN);
  if (input->language != LANGUAGE_TN || !makes || o->weights || o->has_init) return false;
  size_t before = driver->ctx->n_errors;
  *ok = tn_driver_lang_options(driver, &options);
  bool is_training = *ok && tn_lang_is_trained(driver->ctx, input->path, &options);
  *ok = driver->ctx->n_errors == before && (!is_training || check_options(driver));
  if (is_training && *ok && o->make == TN_MAKE_OBJECT) driver->options.with_main = true;
  return is_training && *ok;
}

/* --- Loading --- */

static tn_func *entry_of(const tn_module *module) {
  for (size_t i = 0; i < module->funcs.n; i++)
    if (module->funcs.data[i]->is_entry) return module->funcs.data[i];
  return NULL;
}

/* The step is compiled by the driver itself, so that what is told of the compile is told of it. */
static tn_driver *make_part(tn_driver *driver, const tn_lang_training *made, tn_lang_part number) {
  bool is_first = number == TN_LANG_STEP;
  tn_module *module = made->modules[number];
  tn_driver *part = driver;
  if (!is_first) {
    part = TN_NEW(driver->ctx->arena, tn_driver);
    *part = (tn_driver){.ctx = driver->ctx, .argc = driver->argc, .argv = driver->argv, .options = driver->options,
                        .input = driver->input, .march = driver->march};
    part->options.verbose = false; /* the step tells of the machine */
    TN_VEC_PUSH(driver->ctx->arena, &driver->variants, part);
  }
  part->is_part = true;
  part->part_of = made;
  part->part = number;
  part->module = module;
  part->entry = entry_of(module);
  return part;
}

bool tn_driver_renew_part(tn_driver *driver) {
  tn_lang_options options;
  tn_module *module = tn_driver_lang_options(driver, &options)
                          ? tn_lang_train_again(driver->ctx, driver->input->path, &options, driver->part)
                          : NULL;
  if (!module) return false;
  tn_module_destroy(driver->module);
  driver->module = module;
  driver->entry = entry_of(module);
  driver->program = NULL;
  driver->passes.n = 0;
  return true;
}

bool tn_driver_load_training(tn_driver *driver, tn_input *input) {
  tn_lang_options options;
  struct tn_driver_training *t = TN_NEW(driver->ctx->arena, struct tn_driver_training);
  if (!tn_driver_lang_options(driver, &options) ||
      !tn_lang_train(driver->ctx, input->path, &options, TENON_PRODUCER, &t->made))
    return false;
  driver->training = t;
  bool ok = true;
  for (uint32_t i = 0; i < TN_LANG_N_PARTS; i++) {
    if (!t->made.modules[i]) continue;
    t->parts[i] = make_part(driver, &t->made, (tn_lang_part)i);
    t->parts[i]->traces = i == TN_LANG_TRACE;
    t->parts[i]->part_name = part_names[i];
    ok = tn_verify(t->made.modules[i]) && ok;
  }
  driver->fault = !ok; /* what is built here must be right */
  return ok;
}

bool tn_driver_training_has_pictures(const tn_driver *driver) {
  const tnrt_training *plan = driver->training->made.plan;
  return plan->source.kind == TNRT_SOURCE_IMAGES;
}

bool tn_driver_finish_training(tn_driver *driver) {
  const tn_program *programs[TN_LANG_N_PARTS] = {0};
  for (uint32_t i = 0; i < TN_LANG_N_PARTS; i++)
    if (driver->training->parts[i]) programs[i] = driver->training->parts[i]->program;
  return tn_driver_complete_plan(driver->ctx, &driver->training->made, programs);
}

/* --- Code --- */

tn_emit_options tn_driver_part_options(const tn_driver *part, const tn_emit_options *options, const char *prefix) {
  tn_emit_options each = *options;
  each.prefix = tn_namef(part->ctx, "%s_%s", prefix, part->part_name);
  each.weights = tn_namef(part->ctx, "%s_weights", options->prefix);
  each.with_main = false;
  each.is_variant = true;
  each.traces = part->traces;
  return each;
}

/* The driver's own session, or of several -march the one of the k-th; NULL: there are no more. */
static tn_driver *session_of(tn_driver *driver, uint32_t k) {
  if (k == 0) return driver;
  for (size_t i = 0; i < driver->variants.n; i++)
    if (driver->variants.data[i]->training && --k == 0) return driver->variants.data[i];
  return NULL;
}

/* A mask behind the plan; all ones need none. */
static tn_object_address put_mask(tn_buf *bytes, const uint8_t *mask, uint32_t n) {
  uint32_t ones = 0;
  for (uint32_t i = 0; mask && i < n; i++) ones += mask[i];
  if (!mask || ones == n) return (tn_object_address){.kind = TN_ADDRESS_NULL};
  tn_object_address address = {.kind = TN_ADDRESS_BYTES, .offset = bytes->n};
  tn_buf_append(bytes, (const char *)mask, n);
  return address;
}

/* Which results of a model may lie in place of what they are the next value of, in the code for every processor. */
static tn_object_address put_in_place(tn_driver *driver, uint32_t number, tn_buf *bytes) {
  uint32_t n = driver->training->parts[number]->entry->body->last->n_operands;
  uint8_t *mask = TN_NEW_N(driver->ctx->arena, uint8_t, n);
  memset(mask, 1, n);
  for (uint32_t k = 0; session_of(driver, k); k++) {
    const tn_program *program = session_of(driver, k)->training->parts[number]->program;
    uint8_t *own = TN_NEW_N(driver->ctx->arena, uint8_t, n);
    for (size_t i = 0; i < program->buffers.n; i++)
      if (program->buffers.data[i]->donor) own[program->buffers.data[i]->index] = 1;
    for (uint32_t i = 0; i < n; i++) mask[i] &= own[i];
  }
  tn_object_address address = {.kind = TN_ADDRESS_BYTES, .offset = bytes->n};
  tn_buf_append(bytes, (const char *)mask, n);
  return address;
}

/* The plan, the masks, and tnrt_main_training. */
static bool make_record(tn_driver *driver, const char *prefix, tn_arena *arena, tn_object_part *out) {
  const struct tn_driver_training *t = driver->training;
  enum { EACH = sizeof(tnrt_training_model) / 8, N_ADDRESSES = sizeof(tnrt_training_program) / 8 };
  tn_object_address addresses[N_ADDRESSES] = {{.kind = TN_ADDRESS_BYTES}};
  tn_buf bytes = tn_buf_create(arena);
  tn_buf_append(&bytes, t->made.plan, t->made.plan_bytes);
  for (uint32_t i = 0; i < TN_LANG_N_PARTS; i++) {
    tn_object_address *at = &addresses[1 + EACH * i];
    if (!t->parts[i]) continue;
    at[0].kind = TN_ADDRESS_SYMBOL;
    at[0].symbol = tn_namef(driver->ctx, "%s_%s_descriptor", prefix, part_names[i]);
    at[1] = put_mask(&bytes, t->made.fields[i], t->made.n_fields);
    at[2] = put_mask(&bytes, t->made.weights[i], t->made.n_weights);
    if (i == TN_LANG_STEP || i == TN_LANG_UPDATE) at[3] = put_in_place(driver, i, &bytes);
  }
  tn_object_record record = {"tnrt_main_training", bytes.data, bytes.n, addresses, N_ADDRESSES};
  return tn_object_make_record(driver->ctx, driver->machine.triple, &record, arena, out);
}

typedef TN_VEC(tn_object_part) object_parts;

/* The code of all models of a session, whose names begin with prefix. */
static bool emit_session(tn_driver *session, const tn_emit_options *options, const char *prefix, tn_arena *arena,
                         object_parts *all) {
  const tn_program *programs[TN_LANG_N_PARTS];
  tn_emit_options each[TN_LANG_N_PARTS];
  tn_object_part *parts;
  uint32_t n = 0, n_parts;
  for (uint32_t i = 0; i < TN_LANG_N_PARTS; i++) {
    tn_driver *part = session->training->parts[i];
    if (!part) continue;
    programs[n] = part->program;
    each[n] = tn_driver_part_options(part, options, prefix);
    each[n++].debug = tn_driver_debug_source(part);
  }
  if (!session->backend->emit_all(session->ctx, &session->machine, programs, each, n, prefix, arena, &parts, &n_parts))
    return false;
  for (uint32_t i = 0; i < n_parts; i++) TN_VEC_PUSH(arena, all, parts[i]);
  return true;
}

/* Of several -march: each model is the one for the processor that it runs on. */
static bool emit_choices(tn_driver *driver, const tn_emit_options *options, const char *const *prefixes,
                         const char *const *names, uint32_t n, tn_arena *arena, object_parts *all) {
  const char **each = TN_NEW_N(arena, const char *, n);
  for (uint32_t i = 0; i < TN_LANG_N_PARTS; i++) {
    const tn_driver *part = driver->training->parts[i];
    if (!part) continue;
    tn_object_part choice;
    tn_emit_options own = tn_driver_part_options(part, options, options->prefix);
    for (uint32_t k = 0; k < n; k++) each[k] = tn_namef(driver->ctx, "%s_%s", prefixes[k], part_names[i]);
    if (!driver->backend->emit_choice(driver->ctx, &driver->machine, part->program, &own, each, names, n, arena,
                                      &choice))
      return false;
    TN_VEC_PUSH(arena, all, choice);
  }
  return true;
}

bool tn_driver_emit_training(tn_driver *driver, const tn_emit_options *options, tn_arena *arena,
                             tn_object_part **out_parts, uint32_t *out_n_parts) {
  object_parts all = {0};
  tn_object_part record;
  uint32_t n = 0;
  while (session_of(driver, n)) n++;
  const char **prefixes = TN_NEW_N(arena, const char *, n), **names = TN_NEW_N(arena, const char *, n);
  for (uint32_t k = 0; k < n; k++) {
    tn_driver *session = session_of(driver, k);
    names[k] = session->march;
    prefixes[k] = n == 1 ? options->prefix : tn_driver_variant_prefix(driver, options->prefix, session->march);
    if (!emit_session(session, options, prefixes[k], arena, &all))
      return k == 0 ? false : tn_driver_take_errors(driver, session);
  }
  if ((n > 1 && !emit_choices(driver, options, prefixes, names, n, arena, &all)) ||
      !make_record(driver, options->prefix, arena, &record))
    return false;
  TN_VEC_PUSH(arena, &all, record);
  *out_parts = all.data;
  *out_n_parts = (uint32_t)all.n;
  return true;
}
