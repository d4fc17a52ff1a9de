/* Runs on tensors as DLPack describes them: everything about them is checked by name before anything runs. */
#include <string.h>

#include "runtime/core/ctx.h"
#include "runtime/core/dtype.h"

enum { DEVICE_CPU = 1 }; /* DLPack's number */

/* "float64", "bfloat16x4"; or the number of a type code without a name here. */
static const char *dl_text(char *text, size_t text_bytes, const tnrt_tensor *t) {
  static const char *const names[] = {"int",           "uint",          "float",           "opaque handle",
                                      "bfloat",        "complex",       "bool",            "float8_e3m4 ",
                                      "float8_e4m3 ",  "float8_e4m3b ", "float8_e4m3fn ",  "float8_e4m3fnuz ",
                                      "float8_e5m2 ",  "float8_e5m2fnuz ", "float8_e8m0fnu "};
  size_t n = t->dtype_code < sizeof names / sizeof names[0]
                 ? tnrt_text(text, text_bytes, "%s%d", names[t->dtype_code], t->dtype_bits)
                 : tnrt_text(text, text_bytes, "type code %d of %d bits", t->dtype_code, t->dtype_bits);
  if (t->dtype_lanes != 1) tnrt_text(text + n, text_bytes - n, " of %d lanes", t->dtype_lanes);
  return text;
}

static bool dtype_fits(const tnrt_tensor *t, uint32_t dtype) {
  const tnrt_dtype_info *info = tnrt_dtype_find(dtype);
  if (!info || t->dtype_lanes != 1 || t->dtype_bits != 8 * info->bytes) return false;
  bool bits = t->dtype_code == 1 && (info->bits_travel || dtype == TNRT_F16 || dtype == TNRT_BOOL);
  return bits || t->dtype_code == info->dl_code;
}

/* Compact strides, or such that no step of them is ever taken: those of extents 1, and all of an empty tensor. */
static bool is_dense(const tnrt_tensor *t) {
  if (!t->strides || tnrt_count_of((uint32_t)t->ndim, t->shape) == 0) return true;
  int64_t stride = 1;
  for (int32_t i = t->ndim - 1; i >= 0; i--) {
    if (t->shape[i] != 1 && t->strides[i] != stride) return false;
    if (__builtin_mul_overflow(stride, t->shape[i] > 1 ? t->shape[i] : 1, &stride)) return false;
  }
  return true;
}

static tnrt_status refuse_ndim(tnrt_ctx *ctx, const char *role, const tnrt_port *port, const tnrt_tensor *t) {
  char text[128] = "no shape";
  if (t->ndim >= 0 && t->ndim <= 64 && (t->shape || t->ndim == 0))
    tnrt_shape_text(text, sizeof text, (uint32_t)t->ndim, t->shape);
  return tnrt_fail(&ctx->message, TNRT_BAD_SHAPE, "%s '%s': expected %s, found %s", role, port->name, port->shape,
                   text);
}

/* role: "input" or "output". Checks what does not depend on sizes. */
static tnrt_status check_tensor(tnrt_ctx *ctx, const char *role, const tnrt_port *port, const tnrt_tensor *t) {
  char text[128];
  if (t->ndim != (int32_t)port->ndim) return refuse_ndim(ctx, role, port, t);
  if (!dtype_fits(t, port->dtype))
    return tnrt_fail(&ctx->message, TNRT_BAD_INPUT, "%s '%s': expected %s, found %s", role, port->name,
                     tnrt_dtype_name(port->dtype), dl_text(text, sizeof text, t));
  if (t->ndim > 0 && !t->shape)
    return tnrt_fail(&ctx->message, TNRT_BAD_INPUT, "%s '%s': has no shape", role, port->name);
  if (!is_dense(t))
    return tnrt_fail(&ctx->message, TNRT_BAD_INPUT, "%s '%s': must be dense and row-major, found strides %s", role,
                     port->name, tnrt_shape_text(text, sizeof text, (uint32_t)t->ndim, t->strides));
  if (t->device_type != DEVICE_CPU)
    return tnrt_fail(&ctx->message, TNRT_BAD_INPUT,
                     "%s '%s': must be in the memory of the CPU (device type 1), found device type %d", role,
                     port->name, t->device_type);
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
    ctx->in_data[i] = bytes ? (t->data ? (const uint8_t *)t->data + t->byte_offset : NULL) : tnrt_nothing;
    status = tnrt_ctx_check_pointer(ctx, "input", port, ctx->in_data[i]);
    if (status != TNRT_OK) return status;
  }
  return TNRT_OK;
}

/* An output of the caller's: its shape must be the one that comes out. */
static tnrt_status take_callers_output(tnrt_ctx *ctx, uint32_t i, const int64_t *extents, const tnrt_tensor *t) {
  const tnrt_port *port = &ctx->model->outputs[i];
  if (port->is_late)
    return tnrt_fail(&ctx->message, TNRT_BAD_INPUT,
                     "output '%s': its extents %s are found while running; leave data NULL, it becomes a view",
                     port->name, port->shape);
  tnrt_status status = check_tensor(ctx, "output", port, t);
  if (status != TNRT_OK) return status;
  if (port->ndim && memcmp(t->shape, extents, port->ndim * sizeof(int64_t)) != 0) {
    char want[128], have[128];
    return tnrt_fail(&ctx->message, TNRT_BAD_SHAPE, "output '%s': will have extents %s, found %s", port->name,
                     tnrt_shape_text(want, sizeof want, port->ndim, extents),
                     tnrt_shape_text(have, sizeof have, port->ndim, t->shape));
  }
  ctx->out_data[i] = (uint8_t *)t->data + t->byte_offset;
  return tnrt_ctx_check_pointer(ctx, "output", port, ctx->out_data[i]);
}

/* The run itself tells where late ones are. */
static tnrt_status make_view(tnrt_ctx *ctx, uint32_t i, int64_t *extents, tnrt_tensor *t) {
  const tnrt_port *port = &ctx->model->outputs[i];
  const tnrt_dtype_info *info = tnrt_dtype_find(port->dtype);
  tnrt_status status = TNRT_OK;
  ctx->out_data[i] = NULL;
  if (!port->is_late)
    status = tnrt_ctx_place_view(ctx, i, tnrt_bytes_of(port->dtype, port->ndim, extents), &ctx->out_data[i]);
  if (status != TNRT_OK) return status;
  *t = (tnrt_tensor){.data = ctx->out_data[i],
                     .device_type = DEVICE_CPU,
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
  if (status == TNRT_OK) status = tnrt_ctx_bind(ctx);
  if (status == TNRT_OK) status = tnrt_ctx_reserve(ctx);
  if (status == TNRT_OK) status = take_outputs(ctx, outputs);
  if (status == TNRT_OK) status = tnrt_ctx_execute(ctx);
  bool has_values = status == TNRT_OK || status == TNRT_INDEX;
  for (uint32_t i = 0; has_values && i < ctx->model->n_outputs; i++)
    if (ctx->model->outputs[i].is_late) outputs[i].data = ctx->out_data[i];
  return status;
}
