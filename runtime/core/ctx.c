/* A context: the sizes of a call are bound and checked, memory is made ready, the emitted code runs. After the first
 * call with the largest sizes nothing is allocated any more. */
#include "runtime/core/ctx.h"

#include <string.h>

#include "runtime/core/cpu.h"
#include "runtime/core/dtype.h"

_Static_assert(sizeof(tnrt_ctx) <= TNRT_CTX_BYTES, "what the compiler counts for a context");

const _Alignas(64) uint8_t tnrt_nothing[64];

const char *tnrt_ctx_message(const tnrt_ctx *ctx) {
  return ctx ? ctx->message.text
             : "no context: out of memory, or the arena is too small or not aligned to 64 bytes";
}

/* ---- life ---- */

static size_t total_ndim(const tnrt_port *ports, uint32_t n) {
  size_t sum = 0;
  for (uint32_t i = 0; i < n; i++) sum += ports[i].ndim;
  return sum;
}

static bool is_known(const tnrt_model *model) { return model->abi == TNRT_ABI && model->size == sizeof *model; }

static size_t ctx_bytes(const tnrt_model *model) {
  if (!is_known(model)) return tnrt_ctx_bytes(0, 0, 0, 0, 0);
  return tnrt_ctx_bytes((uint64_t)model->n_symbols + model->n_late, model->n_slots, model->n_inputs, model->n_outputs,
                        total_ndim(model->inputs, model->n_inputs) + total_ndim(model->outputs, model->n_outputs));
}

/* Carves the tables out of the block behind the context, all of 8-byte elements; tnrt_ctx_bytes counts them. */
static void lay_out_tables(tnrt_ctx *ctx, const tnrt_model *model) {
  int64_t *at = (int64_t *)(void *)(ctx + 1);
  ctx->outs = (tnrt_slab *)(void *)at;
  at += 2 * model->n_outputs;
  ctx->grown = (tnrt_slab *)(void *)at;
  at += 2 * model->n_slots;
  ctx->slots = (void **)(void *)at;
  at += model->n_slots;
  ctx->out_data = (void **)(void *)at;
  at += model->n_outputs;
  ctx->in_data = (const void **)(void *)at;
  at += model->n_inputs;
  ctx->in_extents = (int64_t **)(void *)at;
  at += model->n_inputs;
  ctx->symbols = at;
  at += model->n_symbols + model->n_late;
  for (uint32_t i = 0; i < model->n_inputs; i++) {
    ctx->in_extents[i] = at;
    at += model->inputs[i].ndim;
  }
  ctx->out_extents = at;
}

static tnrt_status check_model(tnrt_ctx *ctx) {
  const tnrt_model *model = ctx->model;
  if (!is_known(model))
    return tnrt_fail(&ctx->message, TNRT_BAD_INPUT, "the model was built for version %u of the runtime, this is %u",
                     model->abi, TNRT_ABI);
  const char *missing;
  size_t length;
  if (!tnrt_cpu_offers(model->cpu_needs, &missing, &length))
    return tnrt_fail(&ctx->message, TNRT_CPU,
                     "this processor lacks '%.*s'; the model was compiled for %s (compile it with another -march)",
                     (int)length, missing, model->target);
  return TNRT_OK;
}

/* Of a model with variants the one for this processor takes its place. */
static tnrt_status choose_variant(tnrt_ctx *ctx) {
  const tnrt_variants *variants = ctx->model->variants;
  if (!variants) return TNRT_OK;
  int32_t chosen = variants->choose(variants, ctx->message.text, sizeof ctx->message.text);
  if (chosen < 0) return (tnrt_status)-chosen;
  ctx->model = variants->models[chosen];
  return TNRT_OK;
}

/* Maps weights that are a file; others are there. */
static tnrt_status take_weights(tnrt_ctx *ctx, const char *path) {
  const tnrt_model *model = ctx->model;
  ctx->weights = model->weights;
  if (!model->external) return TNRT_OK;
  return (tnrt_status)model->external->open(model, path, &ctx->weights, ctx->message.text, sizeof ctx->message.text);
}

/* Memory for the context: the start of the caller's arena, or the allocator's. */
static tnrt_ctx *place(size_t bytes, const tnrt_alloc *alloc, void *arena, size_t arena_bytes) {
  if (arena) return (uintptr_t)arena % 64 == 0 && arena_bytes >= bytes ? arena : NULL;
  return alloc ? alloc->get(alloc->user, bytes, 64) : NULL;
}

tnrt_status tnrt_ctx_create_from(tnrt_ctx **out, const tnrt_model *model, const char *weights_path,
                                 const tnrt_alloc *alloc, void *arena, size_t arena_bytes) {
  size_t bytes = ctx_bytes(model);
  tnrt_ctx *ctx = place(bytes, alloc, arena, arena_bytes);
  *out = ctx;
  if (!ctx) return TNRT_NO_MEMORY;
  memset(ctx, 0, bytes);
  ctx->model = model;
  if (alloc) ctx->alloc = *alloc;
  if (arena) {
    ctx->arena_is_callers = true;
    ctx->arena = (tnrt_slab){(uint8_t *)arena + bytes, arena_bytes - bytes};
  }
  if (is_known(model)) {
    lay_out_tables(ctx, model);
    ctx->usable = choose_variant(ctx);
  }
  if (ctx->usable == TNRT_OK) ctx->usable = check_model(ctx);
  if (ctx->usable == TNRT_OK) ctx->usable = take_weights(ctx, weights_path);
  return ctx->usable;
}

tnrt_status tnrt_ctx_create(tnrt_ctx **out, const tnrt_model *model, const tnrt_alloc *alloc, void *arena,
                            size_t arena_bytes) {
  return tnrt_ctx_create_from(out, model, NULL, alloc, arena, arena_bytes);
}

void tnrt_ctx_destroy(tnrt_ctx *ctx) {
  if (!ctx) return;
  if (ctx->pool) ctx->pool_destroy(ctx->pool);
  tnrt_alloc alloc = ctx->alloc;
  for (uint32_t i = 0; ctx->outs && i < ctx->model->n_outputs; i++)
    if (ctx->outs[i].data) alloc.give(alloc.user, ctx->outs[i].data);
  for (uint32_t i = 0; ctx->grown && i < ctx->model->n_slots; i++)
    if (ctx->grown[i].data) alloc.give(alloc.user, ctx->grown[i].data);
  if (ctx->weights && ctx->model->external) ctx->model->external->close(ctx->model, ctx->weights);
  if (ctx->arena_is_callers) return;
  if (ctx->arena.data && !ctx->arena_is_lent) alloc.give(alloc.user, ctx->arena.data);
  alloc.give(alloc.user, ctx);
}

void tnrt_ctx_lend(tnrt_ctx *ctx, void *memory, size_t bytes) {
  if (ctx->arena.data && !ctx->arena_is_lent) ctx->alloc.give(ctx->alloc.user, ctx->arena.data);
  ctx->arena = (tnrt_slab){memory, bytes};
  ctx->arena_is_lent = true;
}

const tnrt_model *tnrt_ctx_model(const tnrt_ctx *ctx) { return ctx->model; }

/* ---- memory ---- */

static tnrt_status grow(tnrt_ctx *ctx, tnrt_slab *slab, size_t want, const char *what) {
  if (slab->bytes >= want) return TNRT_OK;
  if (slab->data) ctx->alloc.give(ctx->alloc.user, slab->data);
  *slab = (tnrt_slab){ctx->alloc.get(ctx->alloc.user, want, 64), want};
  if (slab->data) return TNRT_OK;
  slab->bytes = 0;
  return tnrt_fail(&ctx->message, TNRT_NO_MEMORY, "no memory for %zu bytes of %s", want, what);
}

/* The next part of the caller's arena. */
static tnrt_status take_of_arena(tnrt_ctx *ctx, size_t want, void **out) {
  size_t left = ctx->arena.bytes - ctx->arena_used;
  if (want > left) {
    size_t before = (size_t)((uint8_t *)ctx->arena.data - (uint8_t *)ctx);
    return tnrt_fail(&ctx->message, TNRT_NO_MEMORY, "the arena has %zu bytes, these sizes need %llu",
                     before + ctx->arena.bytes, (unsigned long long)before + ctx->arena_used + want);
  }
  *out = (uint8_t *)ctx->arena.data + ctx->arena_used;
  size_t whole = (want + 63) / 64 * 64;
  ctx->arena_used += whole < left ? whole : left;
  return TNRT_OK;
}

static tnrt_status refuse_bytes(tnrt_ctx *ctx, const char *what) {
  return tnrt_fail(&ctx->message, TNRT_NO_MEMORY, "%s would need more than 2^63 bytes at these sizes", what);
}

tnrt_status tnrt_ctx_reserve(tnrt_ctx *ctx) {
  int64_t bytes = ctx->model->arena_bytes(ctx->symbols);
  if (bytes < 0) return refuse_bytes(ctx, "the arena");
  if (ctx->arena_is_lent && (size_t)bytes > ctx->arena.bytes)
    return tnrt_fail(&ctx->message, TNRT_NO_MEMORY, "the memory lent has %zu bytes, these sizes need %lld",
                     ctx->arena.bytes, (long long)bytes);
  if (!ctx->arena_is_callers) return grow(ctx, &ctx->arena, bytes ? (size_t)bytes : 1, "arena");
  void *at;
  ctx->arena_used = 0;
  return take_of_arena(ctx, (size_t)bytes, &at);
}

tnrt_status tnrt_ctx_place_view(tnrt_ctx *ctx, uint32_t i, int64_t bytes, void **out) {
  const char *name = ctx->model->outputs[i].name;
  if (bytes < 0) return refuse_bytes(ctx, name);
  if (ctx->arena_is_callers) return take_of_arena(ctx, (size_t)bytes, out);
  tnrt_status status = grow(ctx, &ctx->outs[i], bytes ? (size_t)bytes : 1, name);
  *out = ctx->outs[i].data;
  return status;
}

/* tnrt_call.reserve: more by half than before at least, so that sizes that rise do not allocate each time. */
static int32_t reserve_slot(tnrt_call *call, int64_t slot, int64_t bytes) {
  tnrt_ctx *ctx = call->owner;
  tnrt_slab *slab = &ctx->grown[slot], old = *slab;
  if (bytes < 0) return refuse_bytes(ctx, "what is found while running");
  size_t want = bytes ? (size_t)bytes : 1, more = old.bytes + old.bytes / 2;
  if (old.bytes >= want) return TNRT_OK;
  void *data = NULL;
  if (ctx->alloc.get && more > want) data = ctx->alloc.get(ctx->alloc.user, more, 64);
  if (data) want = more;
  else if (ctx->alloc.get) data = ctx->alloc.get(ctx->alloc.user, want, 64);
  if (!data)
    return tnrt_fail(&ctx->message, TNRT_NO_MEMORY, "no memory for %zu bytes of a size found while running", want);
  if (old.bytes) memcpy(data, old.data, old.bytes);
  if (old.data) ctx->alloc.give(ctx->alloc.user, old.data);
  *slab = (tnrt_slab){data, want};
  ctx->slots[slot] = data;
  return TNRT_OK;
}

/* ---- sizes ---- */

/* "... expected at least 1" and 1. */
static bool ends_in_number(const char *text, int64_t number) {
  char digits[32];
  size_t n = tnrt_text(digits, sizeof digits, " %lld", (long long)number), length = 0;
  while (text[length]) length++;
  return length >= n && memcmp(text + length - n, digits, n) == 0;
}

static tnrt_status refuse_sizes(tnrt_ctx *ctx, int32_t failed, int64_t expected, int64_t found) {
  const tnrt_model *model = ctx->model;
  if (failed < 0 || (uint32_t)failed > model->n_guards)
    return tnrt_fail(&ctx->message, TNRT_BAD_SHAPE, "the sizes were refused: expected %lld, found %lld",
                     (long long)expected, (long long)found);
  const tnrt_guard *guard = &model->guards[failed - 1];
  const char *from = guard->place && *guard->place ? "; needed by " : "", *place = *from ? guard->place : "";
  if (ends_in_number(guard->text, expected))
    return tnrt_fail(&ctx->message, TNRT_BAD_SHAPE, "%s, found %lld%s%s", guard->text, (long long)found, from, place);
  return tnrt_fail(&ctx->message, TNRT_BAD_SHAPE, "%s = %lld, found %lld%s%s", guard->text, (long long)expected,
                   (long long)found, from, place);
}

tnrt_status tnrt_ctx_bind(tnrt_ctx *ctx) {
  const tnrt_model *model = ctx->model;
  int64_t expected = 0, found = 0;
  int32_t failed = model->bind((const int64_t *const *)ctx->in_extents, ctx->symbols, &expected, &found);
  if (failed) return refuse_sizes(ctx, failed, expected, found);
  model->out_extents(ctx->symbols, ctx->out_extents);
  return TNRT_OK;
}

/* ---- runs ---- */

tnrt_status tnrt_ctx_execute(tnrt_ctx *ctx) {
  const tnrt_model *model = ctx->model;
  tnrt_call call = {
      .symbols = ctx->symbols,
      .inputs = ctx->in_data,
      .outputs = ctx->out_data,
      .arena = ctx->arena.data,
      .weights = ctx->weights,
      .pool = ctx->pool,
      .parallel = ctx->parallel,
      .after = ctx->after,
      .watcher = ctx->watcher,
      .slots = ctx->slots,
      .reserve = reserve_slot,
      .owner = ctx,
      .tracer = ctx->tracer,
  };
  model->run(&call);
  if (call.status == TNRT_BAD_SHAPE) return refuse_sizes(ctx, call.status_guard + 1, call.expected, call.found);
  if (call.status == TNRT_NO_MEMORY) return TNRT_NO_MEMORY;
  if (model->n_late) model->out_extents(ctx->symbols, ctx->out_extents);
  if (call.status == TNRT_OK) return TNRT_OK;
  const tnrt_step *step = NULL;
  if (call.status_step >= 0 && (uint32_t)call.status_step < model->n_steps) step = &model->steps[call.status_step];
  return tnrt_fail(&ctx->message, (tnrt_status)call.status, "%s: an index points outside its tensor",
                   step ? (step->place && *step->place ? step->place : step->name) : model->name);
}

tnrt_status tnrt_ctx_check_pointer(tnrt_ctx *ctx, const char *role, const tnrt_port *port, const void *data) {
  const tnrt_dtype_info *info = tnrt_dtype_find(port->dtype);
  if (!data) return tnrt_fail(&ctx->message, TNRT_BAD_INPUT, "%s '%s': has no data", role, port->name);
  if (info && (uintptr_t)data & (info->bytes - 1u)) /* a power of two; a division takes longer than a small model */
    return tnrt_fail(&ctx->message, TNRT_BAD_INPUT, "%s '%s': must be aligned to %d bytes", role, port->name,
                     info->bytes);
  return TNRT_OK;
}

static bool is_name(const char *text, const char *name) {
  while (*text && *text == *name) text++, name++;
  return *text == *name;
}

/* Whether some extent of an input is 0, as far as its extents are numbers or symbols. */
static bool is_empty(const tnrt_ctx *ctx, const tnrt_port *port) {
  for (uint32_t axis = 0; axis < port->ndim; axis++) {
    const tnrt_extent *extent = &port->extents[axis];
    if (!extent->text && extent->value == 0) return true;
    for (uint32_t s = 0; extent->text && s < ctx->model->n_symbols; s++)
      if (ctx->symbols[s] == 0 && is_name(extent->text, ctx->model->symbols[s].name)) return true;
  }
  return false;
}

static tnrt_status take_pointers(tnrt_ctx *ctx, const void *const *inputs, void *const *outputs) {
  const tnrt_model *model = ctx->model;
  tnrt_status status = TNRT_OK;
  for (uint32_t i = 0; i < model->n_inputs && status == TNRT_OK; i++) {
    const tnrt_port *port = &model->inputs[i];
    ctx->in_data[i] = inputs[i] || !is_empty(ctx, port) ? inputs[i] : tnrt_nothing;
    status = tnrt_ctx_check_pointer(ctx, "input", port, ctx->in_data[i]);
  }
  const int64_t *extents = ctx->out_extents;
  for (uint32_t i = 0; i < model->n_outputs && status == TNRT_OK; i++) {
    const tnrt_port *port = &model->outputs[i];
    ctx->out_data[i] = port->is_late ? NULL : outputs[i];
    if (!port->is_late && (outputs[i] || tnrt_count_of(port->ndim, extents) != 0))
      status = tnrt_ctx_check_pointer(ctx, "output", port, outputs[i]);
    extents += port->ndim;
  }
  return status;
}

tnrt_status tnrt_ctx_run_sized(tnrt_ctx *ctx, const int64_t *symbols, const void *const *inputs, void *const *outputs) {
  const tnrt_model *model = ctx->model;
  if (ctx->usable != TNRT_OK) return ctx->usable;
  ctx->message.text[0] = 0;
  int64_t expected = 0, found = 0;
  int32_t failed = model->check(symbols, &expected, &found);
  if (failed) return refuse_sizes(ctx, failed, expected, found);
  if (model->n_symbols) memcpy(ctx->symbols, symbols, model->n_symbols * sizeof *symbols);
  model->out_extents(ctx->symbols, ctx->out_extents);
  tnrt_status status = take_pointers(ctx, inputs, outputs);
  if (status == TNRT_OK) status = tnrt_ctx_reserve(ctx);
  return status == TNRT_OK ? tnrt_ctx_execute(ctx) : status;
}

void tnrt_ctx_give_output(const tnrt_ctx *ctx, uint32_t output, const void **out_data, int64_t *out_extents) {
  const int64_t *extents = ctx->out_extents;
  for (uint32_t i = 0; i < output; i++) extents += ctx->model->outputs[i].ndim;
  *out_data = ctx->out_data[output];
  uint32_t ndim = ctx->model->outputs[output].ndim;
  if (ndim) memcpy(out_extents, extents, ndim * sizeof *extents);
}

size_t tnrt_model_arena_bytes(const tnrt_model *model, const int64_t *symbols) {
  int64_t expected, found;
  if (model->check(symbols, &expected, &found)) return 0;
  int64_t bytes = model->arena_bytes(symbols);
  if (bytes < 0) return 0;
  return bytes < 64 ? 64 : (size_t)bytes;
}

size_t tnrt_ctx_arena_bytes(const tnrt_model *model, const int64_t *symbols) {
  if (!is_known(model)) return 0;
  size_t own = ctx_bytes(model);
  if (model->variants) {
    int32_t chosen = model->variants->choose(model->variants, NULL, 0);
    if (chosen < 0) return 0;
    model = model->variants->models[chosen];
  }
  size_t bytes = tnrt_model_arena_bytes(model, symbols);
  return bytes == 0 || bytes > INT64_MAX - own ? 0 : own + bytes;
}
