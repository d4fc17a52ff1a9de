/* Values of the language: making, describing, and numbers as tensors. */
#include <string.h>

#include "frontend/lang/sema.h"

static tn_datum *make(tn_sema *s, tn_datum_kind kind, tn_loc loc) {
  tn_datum *d = TN_NEW(s->arena, tn_datum);
  d->kind = kind;
  d->loc = loc;
  return d;
}

tn_datum *tn_datum_poison(tn_sema *s, tn_loc loc) { return make(s, TN_DATUM_POISON, loc); }

tn_datum *tn_datum_int(tn_sema *s, const tn_dim *extent, const tn_dim *label, tn_loc loc) {
  tn_datum *d = make(s, TN_DATUM_INT, loc);
  d->integer = (tn_axis){.extent = extent, .label = label, .loc = loc};
  return d;
}

tn_datum *tn_datum_int_const(tn_sema *s, int64_t value, tn_loc loc) {
  const tn_dim *extent = tn_dim_const(s->ctx, value);
  return tn_datum_int(s, extent, extent, loc);
}

tn_datum *tn_datum_float(tn_sema *s, double value, tn_loc loc) {
  tn_datum *d = make(s, TN_DATUM_FLOAT, loc);
  d->number = value;
  return d;
}

tn_datum *tn_datum_bool(tn_sema *s, bool value, tn_loc loc) {
  tn_datum *d = make(s, TN_DATUM_BOOL, loc);
  d->truth = value;
  return d;
}

tn_datum *tn_datum_text(tn_sema *s, tn_datum_kind kind, const char *text, tn_loc loc) {
  tn_datum *d = make(s, kind, loc);
  d->text = text;
  return d;
}

tn_datum *tn_datum_tensor(tn_sema *s, tn_value *value, const tn_axis *axes, tn_loc loc) {
  if (!value) return NULL;
  tn_datum *d = make(s, TN_DATUM_TENSOR, loc);
  uint32_t n = value->type->ndim;
  d->tensor.value = value;
  d->tensor.axes = TN_NEW_N(s->arena, tn_axis, n);
  for (uint32_t i = 0; i < n; i++) {
    d->tensor.axes[i] = axes[i];
    d->tensor.axes[i].extent = value->type->dims[i];
  }
  return d;
}

tn_datum *tn_datum_tuple(tn_sema *s, tn_datum *const *parts, uint32_t n, tn_loc loc) {
  tn_datum *d = make(s, TN_DATUM_TUPLE, loc);
  d->tuple.n = n;
  d->tuple.parts = TN_NEW_N(s->arena, tn_datum *, n);
  d->tuple.names = TN_NEW_N(s->arena, const char *, n);
  for (uint32_t i = 0; i < n; i++) d->tuple.parts[i] = parts[i];
  return d;
}

tn_datum *tn_datum_of_init(tn_sema *s, const tn_init *init, tn_loc loc) {
  tn_datum *d = make(s, TN_DATUM_INIT, loc);
  d->init = *init;
  return d;
}

tn_datum *tn_datum_of_dtype(tn_sema *s, tn_dtype dtype, tn_loc loc) {
  tn_datum *d = make(s, TN_DATUM_DTYPE, loc);
  d->dtype = dtype;
  return d;
}

tn_datum *tn_datum_metric(tn_sema *s, tnrt_metric_kind kind, tnrt_average average, tn_value *const *statistics,
                          uint32_t n, tn_loc loc) {
  tn_datum *d = make(s, TN_DATUM_METRIC, loc);
  TN_ASSERT(n <= TN_ARRAY_LEN(d->metric.statistics));
  d->metric.kind = kind;
  d->metric.average = average;
  d->metric.n = n;
  for (uint32_t i = 0; i < n; i++) d->metric.statistics[i] = statistics[i];
  return d;
}

tn_datum *tn_datum_at(tn_sema *s, const tn_datum *datum, tn_loc loc) {
  tn_datum *d = TN_NEW(s->arena, tn_datum);
  *d = *datum;
  d->loc = loc;
  return d;
}

uint32_t tn_datum_ndim(const tn_datum *tensor) { return tensor->tensor.value->type->ndim; }
tn_dtype tn_datum_dtype(const tn_datum *tensor) { return tensor->tensor.value->type->dtype; }

const char *tn_dim_text(tn_sema *s, const tn_dim *dim) {
  tn_buf out = tn_buf_create(s->arena);
  tn_dim_print(dim, &out);
  return out.data;
}

const char *tn_axis_label_text(tn_sema *s, const tn_axis *axis) {
  return tn_dim_text(s, tn_axis_is_labelled(axis) ? axis->label : axis->extent);
}

const char *tn_axis_describe(tn_sema *s, const tn_axis *axis) {
  const char *extent = tn_dim_text(s, axis->extent);
  if (!tn_axis_is_labelled(axis)) return extent;
  const char *label = tn_dim_text(s, axis->label);
  return strcmp(label, extent) == 0 ? label : tn_namef(s->ctx, "%s = %s", label, extent);
}

const char *tn_datum_describe(tn_sema *s, const tn_datum *datum) {
  static const char *const names[TN_N_DATUM_KINDS] = {
      [TN_DATUM_POISON] = "nothing",     [TN_DATUM_INT] = "an integer", [TN_DATUM_FLOAT] = "a number",
      [TN_DATUM_BOOL] = "true or false", [TN_DATUM_TEXT] = "a string",  [TN_DATUM_TENSOR] = "a tensor",
      [TN_DATUM_TUPLE] = "a tuple",      [TN_DATUM_INIT] = "an initialiser", [TN_DATUM_DTYPE] = "a type",
      [TN_DATUM_WORD] = "a word",        [TN_DATUM_INSTANCE] = "an instance",
      [TN_DATUM_METRIC] = "a metric"};
  if (datum->kind == TN_DATUM_TUPLE) return tn_namef(s->ctx, "a tuple of %u", datum->tuple.n);
  if (datum->kind == TN_DATUM_INT) return tn_namef(s->ctx, "the integer %s", tn_axis_describe(s, &datum->integer));
  if (datum->kind != TN_DATUM_TENSOR) return names[datum->kind];
  tn_buf out = tn_buf_create(s->arena);
  tn_buf_printf(&out, "%s[", tn_dtype_name(tn_datum_dtype(datum)));
  for (uint32_t i = 0; i < tn_datum_ndim(datum); i++)
    tn_buf_printf(&out, "%s%s", i ? ", " : "", tn_axis_label_text(s, &datum->tensor.axes[i]));
  tn_buf_putc(&out, ']');
  return out.data;
}

/* A dim that is known at run time only, as a scalar. */
static tn_value *dim_scalar(tn_sema *s, const tn_dim *dim, tn_dtype dtype) {
  tn_value *vector = tn_build_dim_value(&s->build, &dim, 1);
  tn_value *scalar = tn_build_reshape(&s->build, vector, NULL, 0);
  return scalar ? tn_build_cast(&s->build, scalar, dtype) : NULL;
}

tn_datum *tn_datum_as_tensor(tn_sema *s, tn_datum *datum, tn_dtype dtype, tn_loc loc) {
  tn_value *value = NULL;
  tn_dtype_class class = tn_dtype_class_of(dtype);
  switch (datum->kind) {
    case TN_DATUM_TENSOR: return datum;
    case TN_DATUM_INT:
      if (class == TN_CLASS_BOOL || class == TN_CLASS_TEXT) break;
      if (!tn_dim_is_const(datum->integer.extent)) value = dim_scalar(s, datum->integer.extent, dtype);
      else if (class == TN_CLASS_FLOAT)
        value = tn_build_splat_f(&s->build, dtype, (double)tn_dim_value(datum->integer.extent));
      else value = tn_build_splat_i(&s->build, dtype, tn_dim_value(datum->integer.extent));
      break;
    case TN_DATUM_FLOAT:
      if (class == TN_CLASS_FLOAT) value = tn_build_splat_f(&s->build, dtype, datum->number);
      break;
    case TN_DATUM_BOOL:
      if (class == TN_CLASS_BOOL) value = tn_build_splat_i(&s->build, dtype, datum->truth);
      break;
    case TN_DATUM_POISON: return NULL;
    default: break;
  }
  if (value) return tn_datum_tensor(s, value, NULL, loc);
  tn_error(s->ctx, loc, TN_E_DTYPE, "expected a tensor or a number that fits %s, found %s", tn_dtype_name(dtype),
           tn_datum_describe(s, datum));
  if (datum->kind == TN_DATUM_FLOAT) tn_help(s->ctx, "cast(x, to: f32) makes floats of integers");
  return NULL;
}
