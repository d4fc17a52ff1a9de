/* A context: the sizes of a call are bound and checked, memory is made ready, the emitted code runs. After the first
 * call with the largest sizes nothing is allocated any more. */
#include "runtime/core/ctx.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "runtime/core/cpu.h"
#include "runtime/core/dtype.h"

static const _Alignas(64) uint8_t nothing[64]; /* what an empty tensor points at */

const char *tnrt_ctx_message(const tnrt_ctx *ctx) { return ctx ? ctx->message.text : "out of memory"; }

/* ---- life ---- */

static size_t total_ndim(const tnrt_port *ports, uint32_t n) {
  size_t sum = 0;
  for (uint32_t i = 0; i < n; i++) sum += ports[i].ndim;
  return sum;
}

/* Carves the tables out of the block behind the context, all of 8-byte elements. */
static void lay_out_tables(tnrt_ctx *ctx, const tnrt_model *model) {
  int64_t *at = (int64_t *)(void *)(ctx + 1);
  ctx->outs = (tnrt_slab *)(void *)at;
  at += 2 * model->n_outputs;
  ctx->out_data = (void **)(void *)at;
  at += model->n_outputs;
  ctx->in_data = (const void **)(void *)at;
  at += model->n_inputs;
  ctx->in_extents = (int64_t **)(void *)at;
  at += model->n_inputs;
  ctx->symbols = at;
  at += model->n_symbols;
  for (uint32_t i = 0; i < model->n_inputs; i++) {
    ctx->in_extents[i] = at;
    at += model->inputs[i].ndim;
  }
  ctx->out_extents = at;
}

static tnrt_status check_model(tnrt_ctx *ctx) {
  const tnrt_model *model = ctx->model;
  if (model->abi != TNRT_ABI || model->size != sizeof *model)
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

tnrt_status tnrt_ctx_create(tnrt_ctx **out, const tnrt_model *model, const tnrt_alloc *alloc, void *arena,
                            size_t arena_bytes) {
  return tnrt_ctx_create_from(out, model, NULL, alloc, arena, arena_bytes);
}

tnrt_status tnrt_ctx_create_from(tnrt_ctx **out, const tnrt_model *model, const char *weights_path,
                                 const tnrt_alloc *alloc, void *arena, size_t arena_bytes) {
  if (!alloc) alloc = &tnrt_alloc_libc;
  bool known = model->abi == TNRT_ABI && model->size == sizeof *model;
  size_t words = 0;
  if (known)
    words = (size_t)model->n_symbols + 2 * (size_t)model->n_inputs + 3 * (size_t)model->n_outputs +
            total_ndim(model->inputs, model->n_inputs) + total_ndim(model->outputs, model->n_outputs);
  size_t bytes = sizeof(tnrt_ctx) + 8 * words;
  tnrt_ctx *ctx = alloc->get(alloc->user, bytes, 64);
  *out = ctx;
  if (!ctx) return TNRT_NO_MEMORY;
  memset(ctx, 0, bytes);
  ctx->model = model;
  ctx->alloc = *alloc;
  if (known) {
    lay_out_tables(ctx, model);
    ctx->usable = choose_variant(ctx);
  }
  if (ctx->usable == TNRT_OK) ctx->usable = check_model(ctx);
  if (ctx->usable == TNRT_OK) ctx->usable = take_weights(ctx, weights_path);
  if (ctx->usable == TNRT_OK && arena) {
    if ((uintptr_t)arena % 64)
      ctx->usable = tnrt_fail(&ctx->message, TNRT_BAD_INPUT, "the arena must be aligned to 64 bytes");
    ctx->arena_is_callers = true;
    ctx->arena = (tnrt_slab){arena, arena_bytes};
  }
  return ctx->usable;
}

void tnrt_ctx_destroy(tnrt_ctx *ctx) {
  if (!ctx) return;
  if (ctx->pool) ctx->pool_destroy(ctx->pool);
  tnrt_alloc alloc = ctx->alloc;
  for (uint32_t i = 0; ctx->outs && i < ctx->model->n_outputs; i++)
    if (ctx->outs[i].data) alloc.give(alloc.user, ctx->outs[i].data);
  if (ctx->weights && ctx->model->external) ctx->model->external->close(ctx->model, ctx->weights);
  if (ctx->arena.data && !ctx->arena_is_callers) alloc.give(alloc.user, ctx->arena.data);
  alloc.give(alloc.user, ctx);
}

const tnrt_model *tnrt_ctx_model(const tnrt_ctx *ctx) { return ctx->model; }

void tnrt_ctx_set_profile(tnrt_ctx *ctx, int64_t *step_ns) { ctx->step_ns = step_ns; }

/* ---- memory ---- */

static tnrt_status grow(tnrt_ctx *ctx, tnrt_slab *slab, int64_t bytes, const char *what) {
  if (bytes < 0)
    return tnrt_fail(&ctx->message, TNRT_NO_MEMORY, "%s would need more than 2^63 bytes at these sizes", what);
  size_t want = bytes ? (size_t)bytes : 1;
  if (slab->bytes >= want) return TNRT_OK;
  if (slab == &ctx->arena && ctx->arena_is_callers)
    return tnrt_fail(&ctx->message, TNRT_NO_MEMORY, "the arena has %zu bytes, these sizes need %zu", slab->bytes, want);
  if (slab->data) ctx->alloc.give(ctx->alloc.user, slab->data);
  *slab = (tnrt_slab){ctx->alloc.get(ctx->alloc.user, want, 64), want};
  if (slab->data) return TNRT_OK;
  slab->bytes = 0;
  return tnrt_fail(&ctx->message, TNRT_NO_MEMORY, "no memory for %zu bytes of %s", want, what);
}

/* ---- sizes ---- */

static bool ends_in_number(const char *text, int64_t number) {
  char digits[32];
  size_t n = (size_t)snprintf(digits, sizeof digits, " %lld", (long long)number), length = strlen(text);
  return length >= n && strcmp(text + length - n, digits) == 0;
}

/* Binds ctx->in_extents to ctx->symbols and the extents of the outputs. */
static tnrt_status bind(tnrt_ctx *ctx) {
  const tnrt_model *model = ctx->model;
  int64_t expected = 0, found = 0;
  int32_t failed = model->bind((const int64_t *const *)ctx->in_extents, ctx->symbols, &expected, &found);
  if (failed > 0 && (uint32_t)failed <= model->n_guards) {
    const tnrt_guard *guard = &model->guards[failed - 1];
    const char *from = guard->place && *guard->place ? "; needed by " : "", *place = *from ? guard->place : "";
    if (ends_in_number(guard->text, expected))
      return tnrt_fail(&ctx->message, TNRT_BAD_SHAPE, "%s, found %lld%s%s", guard->text, (long long)found, from, place);
    return tnrt_fail(&ctx->message, TNRT_BAD_SHAPE, "%s = %lld, found %lld%s%s", guard->text, (long long)expected,
                     (long long)found, from, place);
  }
  if (failed)
    return tnrt_fail(&ctx->message, TNRT_BAD_SHAPE, "the sizes were refused: expected %lld, found %lld",
                     (long long)expected, (long long)found);
  model->out_extents(ctx->symbols, ctx->out_extents);
  return TNRT_OK;
}

static int64_t clock_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Everything is bound and in place: the arena, then the code. */
static tnrt_status execute(tnrt_ctx *ctx) {
  const tnrt_model *model = ctx->model;
  tnrt_status status = grow(ctx, &ctx->arena, model->arena_bytes(ctx->symbols), "arena");
  if (status != TNRT_OK) return status;
  tnrt_call call = {
      .symbols = ctx->symbols,
      .inputs = ctx->in_data,
      .outputs = ctx->out_data,
      .arena = ctx->arena.data,
      .weights = ctx->weights,
      .pool = ctx->pool,
      .parallel = ctx->parallel,
      .step_ns = ctx->step_ns,
      .clock_ns = ctx->step_ns ? clock_ns : NULL,
  };
  model->run(&call);
  if (call.status == TNRT_OK) return TNRT_OK;
  const tnrt_step *step = NULL;
  if (call.status_step >= 0 && (uint32_t)call.status_step < model->n_steps) step = &model->steps[call.status_step];
  return tnrt_fail(&ctx->message, (tnrt_status)call.status, "%s: an index points outside its tensor",
                   step ? (step->place && *step->place ? step->place : step->name) : model->name);
}

/* ---- tensors ---- */

static const char *dl_name(const tnrt_tensor *t) {
  static const char *const codes[] = {"int", "uint", "float", "handle", "bfloat", "complex", "bool"};
  return t->dtype_code < sizeof codes / sizeof codes[0] ? codes[t->dtype_code] : "code ";
}

static bool dtype_fits(const tnrt_tensor *t, uint32_t dtype) {
  const tnrt_dtype_info *info = tnrt_dtype_find(dtype);
  if (!info || t->dtype_lanes != 1 || t->dtype_bits != 8 * info->bytes) return false;
  bool bits = t->dtype_code == 1 && (info->bits_travel || dtype == TNRT_F16 || dtype == TNRT_BOOL);
  return bits || t->dtype_code == info->dl_code;
}

static bool is_dense(const tnrt_tensor *t) {
  if (!t->strides) return true;
  int64_t stride = 1;
  for (int32_t i = t->ndim - 1; i >= 0; i--) {
    if (t->shape[i] != 1 && t->strides[i] != stride) return false;
    if (__builtin_mul_overflow(stride, t->shape[i] > 1 ? t->shape[i] : 1, &stride)) return false;
  }
  return true;
}

/* role: "input" or "output". Checks what does not depend on sizes. */
static tnrt_status check_tensor(tnrt_ctx *ctx, const char *role, const tnrt_port *port, const tnrt_tensor *t) {
  if (t->ndim != (int32_t)port->ndim) {
    char text[128];
    return tnrt_fail(&ctx->message, TNRT_BAD_SHAPE, "%s '%s': expected %s, found %s", role, port->name, port->shape,
                     t->ndim >= 0 && t->ndim <= 64 && (t->shape || !t->ndim)
                         ? tnrt_shape_text(text, sizeof text, (uint32_t)t->ndim, t->shape)
                         : "no shape");
  }
  if (!dtype_fits(t, port->dtype))
    return tnrt_fail(&ctx->message, TNRT_BAD_INPUT, "%s '%s': expected %s, found %s%d", role, port->name,
                     tnrt_dtype_name(port->dtype), dl_name(t), t->dtype_bits);
  if (t->ndim > 0 && !t->shape)
    return tnrt_fail(&ctx->message, TNRT_BAD_INPUT, "%s '%s': has no shape", role, port->name);
  if (!is_dense(t))
    return tnrt_fail(&ctx->message, TNRT_BAD_INPUT, "%s '%s': must be dense and row-major", role, port->name);
  if (t->device_type > 1)
    return tnrt_fail(&ctx->message, TNRT_BAD_INPUT, "%s '%s': is not in the memory of the CPU", role, port->name);
  return TNRT_OK;
}

static tnrt_status check_pointer(tnrt_ctx *ctx, const char *role, const tnrt_port *port, const void *data) {
  const tnrt_dtype_info *info = tnrt_dtype_find(port->dtype);
  if (!data) return tnrt_fail(&ctx->message, TNRT_BAD_INPUT, "%s '%s': has no data", role, port->name);
  if (info && (uintptr_t)data % info->bytes)
    return tnrt_fail(&ctx->message, TNRT_BAD_INPUT, "%s '%s': must be aligned to %d bytes", role, port->name,
                     info->bytes);
  return TNRT_OK;
}

static tnrt_status take_inputs(tnrt_ctx *ctx, const tnrt_tensor *inputs) {
  for (uint32_t i = 0; i < ctx->model->n_inputs; i++) {
    const tnrt_port *port = &ctx->model->inputs[i];
    const tnrt_tensor *t = &inputs[i];
    tnrt_status status = check_tensor(ctx, "input", port, t);
    if (status != TNRT_OK) return status;
    if (port->ndim) memcpy(ctx->in_extents[i], t->shape, port->ndim * sizeof(int64_t));
    int64_t bytes = tnrt_bytes_of(port->dtype, port->ndim, t->shape);
    if (bytes < 0)
      return tnrt_fail(&ctx->message, TNRT_BAD_SHAPE, "input '%s': an extent is negative or their product too large",
                       port->name);
    ctx->in_data[i] = bytes ? (t->data ? (const uint8_t *)t->data + t->byte_offset : NULL) : nothing;
    status = check_pointer(ctx, "input", port, ctx->in_data[i]);
    if (status != TNRT_OK) return status;
  }
  return TNRT_OK;
}

/* An output of the caller's: its shape must be the one that comes out. */
static tnrt_status take_callers_output(tnrt_ctx *ctx, uint32_t i, const int64_t *extents, const tnrt_tensor *t) {
  const tnrt_port *port = &ctx->model->outputs[i];
  tnrt_status status = check_tensor(ctx, "output", port, t);
  if (status != TNRT_OK) return status;
  if (port->ndim && memcmp(t->shape, extents, port->ndim * sizeof(int64_t)) != 0) {
    char want[128], have[128];
    return tnrt_fail(&ctx->message, TNRT_BAD_SHAPE, "output '%s': will have extents %s, found %s", port->name,
                     tnrt_shape_text(want, sizeof want, port->ndim, extents),
                     tnrt_shape_text(have, sizeof have, port->ndim, t->shape));
  }
  ctx->out_data[i] = (uint8_t *)t->data + t->byte_offset;
  return check_pointer(ctx, "output", port, ctx->out_data[i]);
}

static tnrt_status make_view(tnrt_ctx *ctx, uint32_t i, int64_t *extents, tnrt_tensor *t) {
  const tnrt_port *port = &ctx->model->outputs[i];
  const tnrt_dtype_info *info = tnrt_dtype_find(port->dtype);
  tnrt_status status = grow(ctx, &ctx->outs[i], tnrt_bytes_of(port->dtype, port->ndim, extents), port->name);
  if (status != TNRT_OK) return status;
  ctx->out_data[i] = ctx->outs[i].data;
  *t = (tnrt_tensor){.data = ctx->outs[i].data,
                     .device_type = 1,
                     .ndim = (int32_t)port->ndim,
                     .dtype_code = info->dl_code,
                     .dtype_bits = (uint8_t)(8 * info->bytes),
                     .dtype_lanes = 1,
                     .shape = extents};
  return TNRT_OK;
}

static tnrt_status take_outputs(tnrt_ctx *ctx, tnrt_tensor *outputs) {
  int64_t *extents = ctx->out_extents;
  for (uint32_t i = 0; i < ctx->model->n_outputs; i++) {
    tnrt_status status =
        outputs[i].data ? take_callers_output(ctx, i, extents, &outputs[i]) : make_view(ctx, i, extents, &outputs[i]);
    if (status != TNRT_OK) return status;
    extents += ctx->model->outputs[i].ndim;
  }
  return TNRT_OK;
}

tnrt_status tnrt_ctx_run(tnrt_ctx *ctx, const tnrt_tensor *inputs, tnrt_tensor *outputs) {
  if (ctx->usable != TNRT_OK) return ctx->usable;
  ctx->message.text[0] = 0;
  tnrt_status status = take_inputs(ctx, inputs);
  if (status == TNRT_OK) status = bind(ctx);
  if (status == TNRT_OK) status = take_outputs(ctx, outputs);
  return status == TNRT_OK ? execute(ctx) : status;
}

tnrt_status tnrt_ctx_run_sized(tnrt_ctx *ctx, const int64_t *symbols, const void *const *inputs, void *const *outputs) {
  const tnrt_model *model = ctx->model;
  if (ctx->usable != TNRT_OK) return ctx->usable;
  ctx->message.text[0] = 0;
  for (uint32_t i = 0; i < model->n_inputs; i++) {
    if (!tnrt_input_extents(model, i, symbols, ctx->in_extents[i]))
      return tnrt_fail(&ctx->message, TNRT_BAD_SHAPE, "input '%s': its shape %s cannot be computed from the symbols",
                       model->inputs[i].name, model->inputs[i].shape);
    ctx->in_data[i] = inputs[i];
  }
  tnrt_status status = bind(ctx);
  if (status != TNRT_OK) return status;
  const int64_t *extents = ctx->out_extents;
  for (uint32_t i = 0; i < model->n_inputs; i++) {
    int64_t count = tnrt_count_of(model->inputs[i].ndim, ctx->in_extents[i]);
    if (count == 0 && !inputs[i]) ctx->in_data[i] = nothing;
    status = check_pointer(ctx, "input", &model->inputs[i], ctx->in_data[i]);
    if (status != TNRT_OK) return status;
  }
  for (uint32_t i = 0; i < model->n_outputs; i++) {
    const tnrt_port *port = &model->outputs[i];
    ctx->out_data[i] = outputs[i];
    if (tnrt_count_of(port->ndim, extents) != 0) status = check_pointer(ctx, "output", port, outputs[i]);
    if (status != TNRT_OK) return status;
    extents += port->ndim;
  }
  return execute(ctx);
}

size_t tnrt_model_arena_bytes(const tnrt_model *model, const int64_t *symbols) {
  for (uint32_t i = 0; i < model->n_symbols; i++)
    if (symbols[i] < model->symbols[i].lo || symbols[i] > model->symbols[i].hi) return 0;
  int64_t bytes = model->arena_bytes(symbols);
  if (bytes < 0) return 0;
  return bytes < 64 ? 64 : (size_t)bytes;
}
