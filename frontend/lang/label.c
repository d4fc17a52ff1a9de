/* Labels of dims, and finding axes by them. */
#include <string.h>

#include "frontend/lang/sema.h"

/* A symbol that stands for the name alone; two of the same name are different labels. */
const tn_dim *tn_label_create(tn_sema *s, const char *name) {
  return tn_dim_symbol(s->ctx, tn_symbol_value(s->ctx, name, 0, TN_DIM_INF, s->n_labels++));
}

tn_axis tn_axis_number(tn_sema *s, int64_t extent, tn_loc loc) {
  return tn_axis_plain(tn_dim_const(s->ctx, extent), loc);
}

void tn_axis_trace(tn_sema *s, tn_axis *axis, const tn_axis *from, tn_loc loc, const char *format, ...) {
  tn_buf text = tn_buf_create(s->arena);
  tn_trace *trace = TN_NEW(s->arena, tn_trace);
  va_list args;
  va_start(args, format);
  tn_buf_vprintf(&text, format, args);
  va_end(args);
  *trace = (tn_trace){text.data, loc, from ? from->trace : NULL};
  axis->trace = trace;
}

void tn_axis_note(tn_sema *s, const tn_axis *axis) {
  enum { MAX_STEPS = 4 };
  const tn_trace *step = axis->trace;
  if (!step || step->loc != axis->loc) tn_note(s->ctx, axis->loc, "%s comes from here", tn_axis_describe(s, axis));
  for (int n = 0; step && n < MAX_STEPS; step = step->next, n++) tn_note(s->ctx, step->loc, "%s", step->text);
}

static uint32_t no_axis(tn_sema *s, const tn_datum *tensor, const tn_datum *which, const char *what) {
  if (tn_axis_is_labelled(&which->integer))
    tn_error(s->ctx, which->loc, TN_E_LANG_LABEL, "%s: dim %s is not a dim of %s", what,
             tn_axis_label_text(s, &which->integer), tn_datum_describe(s, tensor));
  else
    tn_error(s->ctx, which->loc, TN_E_LANG_LABEL, "%s: expected a position from -%u to %d or a label of %s, found %s",
             what, tn_datum_ndim(tensor), (int)tn_datum_ndim(tensor) - 1, tn_datum_describe(s, tensor),
             tn_dim_text(s, which->integer.extent));
  if (tensor->loc != which->loc) tn_note(s->ctx, tensor->loc, "%s was made here", tn_datum_describe(s, tensor));
  return UINT32_MAX;
}

uint32_t tn_axis_find(tn_sema *s, const tn_datum *tensor, const tn_datum *which, const char *what) {
  uint32_t n = tn_datum_ndim(tensor), found = UINT32_MAX;
  if (which->kind != TN_DATUM_INT) {
    tn_error(s->ctx, which->loc, TN_E_LANG_KIND, "%s: expected the name or position of a dim, found %s", what,
             tn_datum_describe(s, which));
    return UINT32_MAX;
  }
  if (!tn_axis_is_labelled(&which->integer)) {
    if (!tn_dim_is_const(which->integer.extent)) return no_axis(s, tensor, which, what);
    int64_t at = tn_dim_value(which->integer.extent);
    if (at < -(int64_t)n || at >= (int64_t)n) return no_axis(s, tensor, which, what);
    return (uint32_t)(at < 0 ? at + n : at);
  }
  for (uint32_t i = 0; i < n; i++) {
    if (tensor->tensor.axes[i].label != which->integer.label) continue;
    if (found != UINT32_MAX) {
      tn_error(s->ctx, which->loc, TN_E_LANG_LABEL, "%s: dim %s stands twice in %s", what,
               tn_axis_label_text(s, &which->integer), tn_datum_describe(s, tensor));
      tn_help(s->ctx, "rename one of the two, or give a position");
      return UINT32_MAX;
    }
    found = i;
  }
  return found != UINT32_MAX ? found : no_axis(s, tensor, which, what);
}

bool tn_extents_agree(tn_sema *s, const tn_dim *p, const tn_dim *q, tn_loc loc, const char *what) {
  if (p == q || tn_func_dims_equal(s->func, p, q)) return true;
  tn_dim_order order = tn_dim_compare(s->ctx, p, q);
  if (order != TN_DIM_UNKNOWN && order != TN_DIM_EQUAL) return false;
  return tn_func_require_eq(s->func, p, q, loc, "%s", what);
}

bool tn_labels_distinct(tn_sema *s, const tn_datum *tensor, const char *what, tn_loc loc) {
  for (uint32_t i = 0; i < tn_datum_ndim(tensor); i++)
    for (uint32_t k = 0; k < i; k++) {
      const tn_axis *a = &tensor->tensor.axes[k], *b = &tensor->tensor.axes[i];
      if (!tn_axis_is_labelled(a) || a->label != b->label) continue;
      tn_error(s->ctx, loc, TN_E_LANG_LABEL, "%s: dim %s stands twice in %s", what, tn_axis_label_text(s, a),
               tn_datum_describe(s, tensor));
      tn_help(s->ctx, "rename(x, OLD: NEW) gives one of them another name");
      return false;
    }
  return true;
}
