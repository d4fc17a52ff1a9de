/* scan: a body for each step along a dim, with carried values; the weights of its body are those of one step. The steps
 * are written out one after the other, so the dim must be known at compile time. */
#include <string.h>

#include "frontend/lang/sema.h"

enum { MAX_SCAN_STEPS = 1024 };

typedef struct yielded {
  const char *name;
  tn_loc loc;
  TN_VEC(tn_datum *) steps;
} yielded;

typedef struct tn_scan {
  struct tn_scan *outer;
  const tn_ast_stmt *stmt;
  tn_datum *x;
  uint32_t axis; /* of x */
  TN_VEC(yielded) yields;
  int64_t step;
} tn_scan;

static tn_map copy_counts(tn_sema *s, const tn_map *counts) {
  tn_map copy = tn_map_create(s->arena);
  for (size_t i = 0; i < counts->n; i++)
    tn_map_set(&copy, (const void *)counts->entries[i].key, counts->entries[i].value);
  return copy;
}

/* x without the axis, at one step. */
static tn_datum *slice_step(tn_sema *s, const tn_scan *scan, int64_t i) {
  tn_axis axes[TN_MAX_NDIM];
  const tn_dim *dims[TN_MAX_NDIM];
  uint32_t n = 0;
  for (uint32_t k = 0; k < tn_datum_ndim(scan->x); k++) {
    if (k == scan->axis) continue;
    axes[n] = scan->x->tensor.axes[k];
    dims[n] = axes[n].extent;
    n++;
  }
  tn_value *y = tn_build_slice_axis(&s->build, scan->x->tensor.value, scan->axis, tn_dim_const(s->ctx, i),
                                    tn_dim_const(s->ctx, 1), 1);
  return tn_datum_tensor(s, tn_build_reshape(&s->build, y, dims, n), axes, scan->stmt->loc);
}

static tn_loc name_loc(const tn_ast_stmt *stmt, size_t i) { return stmt->names.data[i].loc; }

static bool declare_step(tn_frame *f, const tn_scan *scan, tn_datum **carried) {
  tn_sema *s = f->sema;
  const tn_ast_stmt *stmt = scan->stmt;
  tn_datum *x = slice_step(s, scan, scan->step);
  bool ok = x && tn_frame_declare(f, stmt->names.data[0].text, TN_NAME_LET, x, name_loc(stmt, 0));
  if (ok && stmt->names.n > 1) {
    tn_value *t = tn_build_splat_i(&s->build, TN_I32, scan->step);
    ok = tn_frame_declare(f, stmt->names.data[1].text, TN_NAME_LET,
                          tn_datum_tensor(s, t, NULL, name_loc(stmt, 1)), name_loc(stmt, 1)) != NULL;
  }
  for (size_t i = 0; i < stmt->carries.n && ok; i++) {
    const tn_ast_carry *carry = &stmt->carries.data[i];
    ok = tn_frame_declare(f, carry->name.text, TN_NAME_LOOP, carried[i], carry->name.loc) != NULL;
  }
  return ok;
}

static bool run_step(tn_frame *f, const tn_scan *scan, tn_datum **carried) {
  tn_datum *none = NULL;
  tn_frame_push(f);
  bool ok = declare_step(f, scan, carried) && tn_body_run(f, scan->stmt->body, &none);
  for (size_t i = 0; i < scan->stmt->carries.n && ok; i++)
    carried[i] = tn_frame_find(f, scan->stmt->carries.data[i].name.text)->value;
  tn_frame_pop(f);
  if (none) ok = tn_frame_error(f, none->loc, TN_E_LANG_RETURN, "a return cannot stand inside a loop");
  return ok;
}

/* The values of all steps as one tensor, with the scanned dim where x has it. */
static tn_datum *stack(tn_sema *s, const tn_scan *scan, const yielded *y) {
  const tn_datum *first = y->steps.data[0];
  uint32_t n = tn_datum_ndim(first), axis = scan->axis < n ? scan->axis : n;
  tn_axis axes[TN_MAX_NDIM];
  tn_value **parts = TN_NEW_N(s->arena, tn_value *, y->steps.n);
  if (n == TN_MAX_NDIM) {
    tn_error(s->ctx, y->loc, TN_E_LIMIT, "a yield of %u dims", n);
    return NULL;
  }
  for (uint32_t i = 0; i <= n; i++)
    axes[i] = i == axis ? scan->x->tensor.axes[scan->axis] : first->tensor.axes[i < axis ? i : i - 1];
  for (size_t i = 0; i < y->steps.n; i++)
    parts[i] = tn_build_insert_axis(&s->build, y->steps.data[i]->tensor.value, axis);
  return tn_datum_tensor(s, tn_build_concat(&s->build, parts, (uint32_t)y->steps.n, axis), axes, y->loc);
}

static bool finish(tn_frame *f, const tn_scan *scan, tn_datum **carried) {
  bool ok = true;
  for (size_t i = 0; i < scan->stmt->carries.n; i++) {
    const tn_ast_carry *carry = &scan->stmt->carries.data[i];
    if (!tn_frame_declare(f, carry->name.text, TN_NAME_LET, carried[i], carry->name.loc)) ok = false;
  }
  for (size_t i = 0; i < scan->yields.n; i++) {
    const yielded *y = &scan->yields.data[i];
    tn_datum *all = stack(f->sema, scan, y);
    if (!all || !tn_frame_declare(f, y->name, TN_NAME_LET, all, y->loc)) ok = false;
  }
  return ok;
}

/* The first values of what is carried; a number becomes a scalar. */
static bool start(tn_frame *f, const tn_ast_stmt *stmt, tn_datum **carried) {
  bool ok = true;
  for (size_t i = 0; i < stmt->carries.n; i++) {
    carried[i] = tn_eval_expr(f, stmt->carries.data[i].value);
    if (carried[i] && tn_datum_is_scalar(carried[i])) {
      tn_datum_kind kind = carried[i]->kind;
      tn_dtype dtype = kind == TN_DATUM_FLOAT ? TN_F32 : kind == TN_DATUM_INT ? TN_I32 : TN_BOOL;
      carried[i] = tn_datum_as_tensor(f->sema, carried[i], dtype, carried[i]->loc);
    }
    if (carried[i] && carried[i]->kind != TN_DATUM_TENSOR)
      ok = tn_frame_error(f, carried[i]->loc, TN_E_LANG_KIND, "a scan carries tensors, found %s",
                         tn_datum_describe(f->sema, carried[i]));
    ok = ok && carried[i];
  }
  return ok;
}

static bool prepare(tn_frame *f, const tn_ast_stmt *stmt, tn_scan *scan, int64_t *out_steps) {
  tn_ast_expr along = {.kind = TN_AST_NAME, .loc = stmt->along.loc, .depth = 1, .name = stmt->along.text};
  scan->x = tn_eval_expr(f, stmt->value);
  const tn_datum *label = tn_eval_expr(f, &along);
  if (!scan->x || !label) return false;
  if (scan->x->kind != TN_DATUM_TENSOR || stmt->names.n > 2)
    return tn_frame_error(f, stmt->value->loc, TN_E_LANG_KIND, "scan (x, t) in: expected one tensor, found %s",
                         tn_datum_describe(f->sema, scan->x));
  scan->axis = tn_axis_find(f->sema, scan->x, label, "along");
  if (scan->axis == UINT32_MAX) return false;
  const tn_dim *extent = scan->x->tensor.axes[scan->axis].extent;
  if (!tn_dim_is_const(extent))
    return tn_frame_error(f, stmt->along.loc, TN_E_LANG_STATIC, "a scan along %s, which only the input knows, is not "
                         "there yet; -D %s=N fixes it", stmt->along.text, stmt->along.text);
  *out_steps = tn_dim_value(extent);
  if (*out_steps > MAX_SCAN_STEPS)
    return tn_frame_error(f, stmt->along.loc, TN_E_LIMIT, "a scan of more than %d steps is not there yet",
                         MAX_SCAN_STEPS);
  return true;
}

bool tn_scan_run(tn_frame *f, const tn_ast_stmt *stmt) {
  tn_sema *s = f->sema;
  tn_scan scan = {.outer = s->scan, .stmt = stmt};
  tn_datum **carried = TN_NEW_N(s->arena, tn_datum *, stmt->carries.n);
  int64_t n_steps = 0;
  if (!prepare(f, stmt, &scan, &n_steps) || !start(f, stmt, carried)) return false;
  tn_map counts = copy_counts(s, &f->counts);
  bool ok = true;
  s->scan = &scan;
  s->loop_depth++;
  s->scan_depth++;
  for (; scan.step < n_steps && ok; scan.step++) {
    f->counts = copy_counts(s, &counts);
    ok = run_step(f, &scan, carried);
  }
  s->scan = scan.outer;
  s->loop_depth--;
  s->scan_depth--;
  return ok && finish(f, &scan, carried);
}

bool tn_scan_yield(tn_frame *f, const tn_ast_stmt *stmt) {
  tn_sema *s = f->sema;
  tn_scan *scan = s->scan;
  tn_datum *value = tn_eval_expr(f, stmt->value);
  if (!value) return false;
  if (!scan) return tn_frame_error(f, stmt->loc, TN_E_LANG_PLACE, "yield stands in the body of a scan only");
  if (value->kind != TN_DATUM_TENSOR)
    return tn_frame_error(f, stmt->value->loc, TN_E_LANG_KIND, "yield: expected a tensor, found %s",
                         tn_datum_describe(s, value));
  size_t i = 0;
  while (i < scan->yields.n && scan->yields.data[i].name != stmt->name.text) i++;
  if (i == scan->yields.n) {
    yielded y = {.name = stmt->name.text, .loc = stmt->name.loc};
    TN_VEC_PUSH(s->arena, &scan->yields, y);
  }
  yielded *y = &scan->yields.data[i];
  if (y->steps.n != (size_t)scan->step)
    return tn_frame_error(f, stmt->loc, TN_E_LANG_DOUBLE, "'%s' is yielded twice in one step", stmt->name.text);
  TN_VEC_PUSH(s->arena, &y->steps, value);
  return true;
}
