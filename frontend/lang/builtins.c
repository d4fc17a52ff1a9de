/* The table of built-in functions, and what their functions share. */
#include "frontend/lang/builtin.h"

#include <string.h>

#include "ir/op.h"

static const tn_builtin_group *const groups[] = {
    &tn_builtins_elementwise, &tn_builtins_reduce, &tn_builtins_layers, &tn_builtins_conv, &tn_builtins_attend,
    &tn_builtins_recurrent,
    &tn_builtins_norm, &tn_builtins_shape, &tn_builtins_index};

size_t tn_builtin_count(void) {
  size_t n = 0;
  for (size_t i = 0; i < TN_ARRAY_LEN(groups); i++) n += groups[i]->n;
  return n;
}

const tn_builtin *tn_builtin_at(size_t index) {
  for (size_t i = 0; i < TN_ARRAY_LEN(groups); i++) {
    if (index < groups[i]->n) return &groups[i]->rows[index];
    index -= groups[i]->n;
  }
  return NULL;
}

const tn_builtin *tn_builtin_find(const char *name) {
  for (size_t i = 0; i < TN_ARRAY_LEN(groups); i++)
    for (size_t k = 0; k < groups[i]->n; k++)
      if (strcmp(groups[i]->rows[k].name, name) == 0) return &groups[i]->rows[k];
  return NULL;
}

/* --- Arguments --- */

bool tn_call_error(const tn_call *call, tn_diag_code code, const char *format, ...) {
  tn_buf text = tn_buf_create(call->s->arena);
  va_list args;
  va_start(args, format);
  tn_buf_vprintf(&text, format, args);
  va_end(args);
  return tn_frame_error(call->frame, call->loc, code, "%s: %s", call->builtin->name, text.data);
}

tn_datum *tn_call_tensor(tn_call *call, uint32_t i) {
  tn_datum *d = call->args[i];
  return d ? tn_datum_as_tensor(call->s, d, d->kind == TN_DATUM_BOOL ? TN_BOOL : TN_F32, d->loc) : NULL;
}

bool tn_call_int(const tn_call *call, uint32_t i, int64_t *out) {
  return tn_datum_static_int(call->s, call->args[i], call->builtin->name, out);
}

double tn_call_float(const tn_call *call, uint32_t i) {
  const tn_datum *d = call->args[i];
  if (d->kind == TN_DATUM_FLOAT) return d->number;
  return d->kind == TN_DATUM_INT && tn_dim_is_const(d->integer.extent) ? (double)tn_dim_value(d->integer.extent) : 0;
}

bool tn_call_bool(const tn_call *call, uint32_t i) { return call->args[i] && call->args[i]->truth; }

const char *tn_call_word(const tn_call *call, uint32_t i) {
  return call->args[i] && call->args[i]->kind == TN_DATUM_WORD ? call->args[i]->text : NULL;
}

uint32_t tn_call_axis(const tn_call *call, uint32_t i, const tn_datum *x) {
  uint32_t axis = tn_axis_find(call->s, x, call->args[i], call->builtin->name);
  if (axis == UINT32_MAX) tn_frame_note_calls(call->frame);
  return axis;
}

bool tn_call_axes(const tn_call *call, uint32_t i, const tn_datum *x, int64_t *out, uint32_t *out_n) {
  const tn_datum *given = call->args[i];
  bool used[TN_MAX_NDIM] = {false};
  uint32_t ndim = tn_datum_ndim(x), n = given && given->kind == TN_DATUM_TUPLE ? given->tuple.n : 1;
  for (uint32_t k = 0; k < n && given; k++) {
    const tn_datum *which = given->kind == TN_DATUM_TUPLE ? given->tuple.parts[k] : given;
    uint32_t axis = tn_axis_find(call->s, x, which, call->builtin->name);
    if (axis == UINT32_MAX) return false;
    if (used[axis])
      return tn_call_error(call, TN_E_LANG_LABEL, "dim %s is named twice",
                           tn_axis_label_text(call->s, &x->tensor.axes[axis]));
    used[axis] = true;
  }
  *out_n = 0;
  for (uint32_t axis = 0; axis < ndim; axis++)
    if (!given || used[axis]) out[(*out_n)++] = axis;
  return true;
}

bool tn_call_ints(const tn_call *call, uint32_t i, uint32_t n, int64_t lo, int64_t *out) {
  const tn_datum *d = call->args[i];
  bool tuple = d->kind == TN_DATUM_TUPLE;
  if (tuple && d->tuple.n != n)
    return tn_call_error(call, TN_E_LANG_ARGUMENT, "expected one number or %u, found %s", n,
                         tn_datum_describe(call->s, d));
  for (uint32_t k = 0; k < n; k++) {
    if (!tn_datum_static_int(call->s, tuple ? d->tuple.parts[k] : d, call->builtin->name, &out[k])) return false;
    if (out[k] < lo || out[k] > INT32_MAX)
      return tn_call_error(call, TN_E_ATTR, "expected a number of at least %lld, found %lld", (long long)lo,
                           (long long)out[k]);
  }
  return true;
}

bool tn_call_rank(const tn_call *call, const tn_datum *x, uint32_t lo, uint32_t hi) {
  uint32_t n = tn_datum_ndim(x);
  if (n >= lo && n <= hi) return true;
  if (lo == hi) tn_call_error(call, TN_E_RANK, "expected %u dims, found %s", lo, tn_datum_describe(call->s, x));
  else
    tn_call_error(call, TN_E_RANK, "expected %s %u dims, found %s", n < lo ? "at least" : "at most", n < lo ? lo : hi,
                  tn_datum_describe(call->s, x));
  tn_note(call->s->ctx, x->loc, "%s was made here", tn_datum_describe(call->s, x));
  return false;
}

/* --- Weights --- */

tn_init tn_init_const(double value) { return (tn_init){.kind = TN_INIT_CONST, .a = value}; }

tn_datum *tn_call_weight(tn_call *call, const char *name, tn_dtype dtype, const tn_axis *axes, uint32_t n,
                         const tn_init *init, double fan_in, double fan_out, bool is_buffer) {
  if (!call->instance) call->instance = tn_frame_next_instance(call->frame, tn_name(call->s->ctx, call->builtin->name));
  return tn_weight_use(call->frame, call->instance, tn_name(call->s->ctx, name), dtype, axes, n, init, fan_in, fan_out,
                       is_buffer, call->loc);
}

/* --- Nodes --- */

#define MAX_OP_ATTRS 16

tn_node *tn_call_node(tn_call *call, const char *op, tn_value *const *operands, uint32_t n_operands,
                      const tn_named_attr *attrs, uint32_t n_attrs) {
  const tn_opdef *def = tn_op_find(op);
  tn_attr all[MAX_OP_ATTRS] = {0};
  TN_ASSERT(def && def->n_attrs <= MAX_OP_ATTRS);
  for (uint32_t i = 0; i < n_attrs; i++) {
    uint32_t index = tn_op_attr_index(def, attrs[i].name);
    TN_ASSERT(index != UINT32_MAX);
    all[index] = attrs[i].attr;
  }
  for (uint32_t i = 0; i < n_operands; i++) {
    bool optional = i < def->n_operands && def->operands[i].arity == TN_OPTIONAL;
    if (!operands[i] && !optional) return NULL;
  }
  return tn_build_node(call->b, def, operands, n_operands, all);
}

tn_value *tn_call_op(tn_call *call, const char *op, tn_value *const *operands, uint32_t n_operands,
                     const tn_named_attr *attrs, uint32_t n_attrs) {
  tn_node *node = tn_call_node(call, op, operands, n_operands, attrs, n_attrs);
  return node ? node->results[0] : NULL;
}

tn_datum *tn_call_like(const tn_call *call, tn_value *y, const tn_datum *x) {
  return tn_datum_tensor(call->s, y, x->tensor.axes, call->loc);
}
