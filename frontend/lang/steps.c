/* scan: a body for each step along a dim, with carried values. It becomes the graph's scan, whose region sees nothing
 * from outside but its operands: what the body's names mean outside is found first and passed in. The weights of the
 * body are those of one step. */
#include <string.h>

#include "frontend/lang/steps.h"
#include "ir/primitives.h"

/* --- What the body uses from outside --- */

static void find_in_expr(tn_scan *scan, const tn_ast_expr *e);

static void find_values(tn_scan *scan, const tn_datum *d) {
  for (uint32_t i = 0; d->kind == TN_DATUM_TUPLE && i < d->tuple.n; i++) find_values(scan, d->tuple.parts[i]);
  if (d->kind != TN_DATUM_TENSOR || tn_value_const(d->tensor.value)) return;
  for (size_t i = 0; i < scan->fixed.n; i++)
    if (scan->fixed.data[i] == d->tensor.value) return;
  TN_VEC_PUSH(scan->f->sema->arena, &scan->fixed, d->tensor.value);
}

static void find_name(tn_scan *scan, const char *name) {
  tn_name_binding *binding = tn_frame_find(scan->f, name);
  if (!binding || !binding->value) return;
  if (binding->value->kind != TN_DATUM_TENSOR && binding->value->kind != TN_DATUM_TUPLE) return;
  for (size_t i = 0; i < scan->captured.n; i++)
    if (scan->captured.data[i] == binding) return;
  TN_VEC_PUSH(scan->f->sema->arena, &scan->captured, binding);
  find_values(scan, binding->value);
}

static void find_in_args(tn_scan *scan, const tn_ast_args *args) {
  for (size_t i = 0; i < args->n; i++) find_in_expr(scan, args->data[i].value);
}

static void find_in_expr(tn_scan *scan, const tn_ast_expr *e) {
  if (!e) return;
  switch (e->kind) {
    case TN_AST_NAME: find_name(scan, e->name); break;
    case TN_AST_TUPLE: find_in_args(scan, &e->tuple); break;
    case TN_AST_CALL:
      find_in_expr(scan, e->call.callee);
      find_in_args(scan, &e->call.args);
      break;
    case TN_AST_MEMBER: find_in_expr(scan, e->member.object); break;
    case TN_AST_INDEX:
      find_in_expr(scan, e->index.object);
      for (size_t i = 0; i < e->index.entries.n; i++) find_in_expr(scan, e->index.entries.data[i].value);
      break;
    case TN_AST_UNARY:
    case TN_AST_BINARY:
      find_in_expr(scan, e->op.left);
      find_in_expr(scan, e->op.right);
      break;
    case TN_AST_RANGE:
      find_in_expr(scan, e->range.first);
      find_in_expr(scan, e->range.end);
      find_in_expr(scan, e->range.step);
      break;
    case TN_AST_PIPE:
      find_in_expr(scan, e->pipe.left);
      find_in_expr(scan, e->pipe.right);
      break;
    default: break;
  }
}

static void find_in_body(tn_scan *scan, const tn_ast_body *body) {
  for (size_t i = 0; i < body->stmts.n; i++) {
    const tn_ast_stmt *stmt = body->stmts.data[i];
    if (stmt->kind == TN_AST_ADD_TO) find_name(scan, stmt->name.text);
    find_in_expr(scan, stmt->value);
    for (size_t k = 0; k < stmt->carries.n; k++) find_in_expr(scan, stmt->carries.data[k].value);
    if (stmt->body) find_in_body(scan, stmt->body);
  }
}

/* The same inside the region. */
static tn_datum *inside(const tn_scan *scan, const tn_datum *d) {
  tn_sema *s = scan->f->sema;
  tn_datum *copy = tn_datum_at(s, d, d->loc);
  if (d->kind == TN_DATUM_TUPLE) {
    copy = tn_datum_tuple(s, d->tuple.parts, d->tuple.n, d->loc);
    copy->tuple.names = d->tuple.names;
    for (uint32_t i = 0; i < d->tuple.n; i++) copy->tuple.parts[i] = inside(scan, d->tuple.parts[i]);
  } else if (d->kind == TN_DATUM_TENSOR) {
    tn_const *constant = tn_value_const(d->tensor.value);
    copy->tensor.value = constant ? tn_build_const(&s->build, constant) : tn_map_get(&scan->inside, d->tensor.value);
  }
  return copy;
}

/* --- The statement --- */

static bool prepare(tn_scan *scan) {
  tn_frame *f = scan->f;
  const tn_ast_stmt *stmt = scan->stmt;
  tn_ast_expr along = {.kind = TN_AST_NAME, .loc = stmt->along.loc, .depth = 1, .name = stmt->along.text};
  scan->x = tn_eval_expr(f, stmt->value);
  const tn_datum *label = tn_eval_expr(f, &along);
  if (!scan->x || !label) return false;
  if (scan->x->kind != TN_DATUM_TENSOR || stmt->names.n > 2)
    return tn_frame_error(f, stmt->value->loc, TN_E_LANG_KIND, "scan (x, t) in: expected one tensor, found %s",
                          tn_datum_describe(f->sema, scan->x));
  scan->axis = tn_axis_find(f->sema, scan->x, label, "along");
  return scan->axis != UINT32_MAX;
}

/* The first values of what is carried; a number becomes a scalar. */
static bool start(tn_scan *scan) {
  tn_frame *f = scan->f;
  const tn_ast_carries *carries = &scan->stmt->carries;
  bool ok = true;
  scan->carried = TN_NEW_N(f->sema->arena, tn_datum *, carries->n);
  for (size_t i = 0; i < carries->n; i++) {
    tn_datum *d = tn_eval_expr(f, carries->data[i].value);
    if (d && tn_datum_is_scalar(d)) {
      tn_dtype dtype = d->kind == TN_DATUM_FLOAT ? TN_F32 : d->kind == TN_DATUM_INT ? TN_I32 : TN_BOOL;
      d = tn_datum_as_tensor(f->sema, d, dtype, d->loc);
    }
    if (d && d->kind != TN_DATUM_TENSOR)
      ok = tn_frame_error(f, d->loc, TN_E_LANG_KIND, "a scan carries tensors, found %s",
                          tn_datum_describe(f->sema, d));
    scan->carried[i] = d;
    ok = ok && d;
  }
  return ok;
}

/* The scan's node with its operands: carried values, x and the step's number, what the body uses from outside. */
static tn_node *begin(tn_scan *scan) {
  tn_sema *s = scan->f->sema;
  uint32_t n = (uint32_t)scan->stmt->carries.n, n_sequences = (uint32_t)scan->stmt->names.n;
  tn_value **first = TN_NEW_N(s->arena, tn_value *, n);
  const tn_dim *length = scan->x->tensor.axes[scan->axis].extent;
  for (uint32_t i = 0; i < n; i++) first[i] = scan->carried[i]->tensor.value;
  tn_value *sequences[] = {scan->x->tensor.value,
                           n_sequences > 1 ? tn_build_iota(&s->build, &length, 1, 0, TN_I32) : NULL};
  int64_t axes[] = {scan->axis, 0}, reverse[] = {0, 0};
  tn_build_scan operands = {.carried = first, .sequences = sequences, .fixed = scan->fixed.data, .n_carried = n,
                            .n_sequences = n_sequences, .n_fixed = (uint32_t)scan->fixed.n, .axes = axes,
                            .reverse = reverse};
  return tn_build_begin_scan(&s->build, &operands);
}

static bool declare_step(tn_scan *scan, const tn_block *region) {
  tn_frame *f = scan->f;
  tn_sema *s = f->sema;
  const tn_ast_stmt *stmt = scan->stmt;
  uint32_t at = 0, n = 0;
  tn_axis axes[TN_MAX_NDIM];
  bool ok = true;
  for (size_t i = 0; i < stmt->carries.n; i++) {
    const tn_ast_carry *carry = &stmt->carries.data[i];
    tn_datum *d = tn_datum_tensor(s, region->params.data[at++], scan->carried[i]->tensor.axes, scan->carried[i]->loc);
    ok = tn_frame_declare(f, carry->name.text, TN_NAME_LOOP, d, carry->name.loc) && ok;
  }
  for (uint32_t i = 0; i < tn_datum_ndim(scan->x); i++)
    if (i != scan->axis) axes[n++] = scan->x->tensor.axes[i];
  for (size_t i = 0; i < stmt->names.n; i++) {
    tn_datum *d = tn_datum_tensor(s, region->params.data[at++], axes, stmt->names.data[i].loc);
    ok = tn_frame_declare(f, stmt->names.data[i].text, TN_NAME_LET, d, stmt->names.data[i].loc) && ok;
  }
  for (size_t i = 0; i < scan->fixed.n; i++) tn_map_set(&scan->inside, scan->fixed.data[i], region->params.data[at++]);
  for (size_t i = 0; i < scan->captured.n; i++) { /* the same names, in the scope of the body */
    tn_name_binding *binding = tn_arena_copy(s->arena, scan->captured.data[i], sizeof(*binding));
    binding->value = inside(scan, binding->value);
    tn_map_set(&f->scope->names, binding->name, binding);
  }
  return ok;
}

/* The next carried values and what is yielded. */
static bool end_step(tn_scan *scan) {
  tn_sema *s = scan->f->sema;
  size_t n = scan->stmt->carries.n;
  size_t n_yields = scan->yields.n;
  tn_value **values = TN_NEW_N(s->arena, tn_value *, n + n_yields + scan->moved.n);
  for (size_t i = 0; i < n; i++) {
    const tn_datum *d = tn_frame_find(scan->f, scan->stmt->carries.data[i].name.text)->value;
    if (d->kind != TN_DATUM_TENSOR) return false;
    values[i] = d->tensor.value;
  }
  for (size_t i = 0; i < n_yields; i++) values[n + i] = scan->yields.data[i].value->tensor.value;
  for (size_t i = 0; i < scan->moved.n; i++) values[n + n_yields + i] = scan->moved.data[i].value;
  tn_build_return(&s->build, values, (uint32_t)(n + n_yields + scan->moved.n));
  return true;
}

static bool run_step(tn_scan *scan, tn_node *node) {
  tn_frame *f = scan->f;
  tn_sema *s = f->sema;
  tn_datum *none = NULL;
  tn_build outside = s->build;
  scan->outer = s->scan;
  scan->node = node;
  s->scan = scan;
  s->loop_depth++;
  s->scan_depth++;
  s->build = tn_build_region(node, 0);
  tn_frame_push(f);
  bool ok = declare_step(scan, node->regions[0]) && tn_body_run(f, scan->stmt->body, &none);
  if (none) ok = tn_frame_error(f, none->loc, TN_E_LANG_RETURN, "a return cannot stand inside a loop");
  ok = ok && end_step(scan);
  tn_frame_pop(f);
  s->build = outside;
  s->scan = scan->outer;
  s->loop_depth--;
  s->scan_depth--;
  return ok && tn_build_end(node);
}

/* What was yielded in all steps, with the scanned dim where x has it. */
static tn_datum *stacked(const tn_scan *scan, const tn_yielded *y, tn_value *all) {
  tn_sema *s = scan->f->sema;
  uint32_t n = tn_datum_ndim(y->value) + 1, axis = scan->axis < n ? scan->axis : n - 1;
  tn_axis axes[TN_MAX_NDIM];
  int64_t perm[TN_MAX_NDIM];
  for (uint32_t i = 0; i < n; i++) {
    perm[i] = i < axis ? i + 1 : i == axis ? 0 : i;
    axes[i] = i == axis ? scan->x->tensor.axes[scan->axis] : y->value->tensor.axes[i < axis ? i : i - 1];
  }
  return tn_datum_tensor(s, tn_build_transpose(&s->build, all, perm), axes, y->loc);
}

static bool finish(const tn_scan *scan, const tn_node *node) {
  tn_frame *f = scan->f;
  size_t n = scan->stmt->carries.n;
  bool ok = true;
  for (size_t i = 0; i < n; i++) {
    const tn_ast_carry *carry = &scan->stmt->carries.data[i];
    tn_datum *last = tn_datum_tensor(f->sema, node->results[i], scan->carried[i]->tensor.axes, carry->name.loc);
    ok = tn_frame_declare(f, carry->name.text, TN_NAME_LET, last, carry->name.loc) && ok;
  }
  for (size_t i = 0; i < scan->yields.n; i++) {
    const tn_yielded *y = &scan->yields.data[i];
    tn_datum *all = stacked(scan, y, node->results[n + i]);
    ok = all && tn_frame_declare(f, y->name, TN_NAME_LET, all, y->loc) && ok;
  }
  return ok && tn_scan_finish_moved(scan, (uint32_t)(n + scan->yields.n));
}

bool tn_scan_run(tn_frame *f, const tn_ast_stmt *stmt) {
  tn_scan scan = {.f = f, .stmt = stmt, .inside = tn_map_create(f->sema->arena)};
  if (!prepare(&scan) || !start(&scan)) return false;
  find_in_body(&scan, stmt->body);
  tn_node *node = begin(&scan);
  return node && run_step(&scan, node) && finish(&scan, node);
}

bool tn_scan_yield(tn_frame *f, const tn_ast_stmt *stmt) {
  tn_sema *s = f->sema;
  tn_scan *scan = s->scan;
  tn_datum *value = tn_eval_expr(f, stmt->value);
  if (!value) return false;
  if (!scan) return tn_frame_error(f, stmt->loc, TN_E_LANG_PLACE, "yield stands in the body of a scan only");
  if (value->kind != TN_DATUM_TENSOR || tn_datum_ndim(value) == TN_MAX_NDIM)
    return tn_frame_error(f, stmt->value->loc, TN_E_LANG_KIND, "yield: expected a tensor, found %s",
                          tn_datum_describe(s, value));
  for (size_t i = 0; i < scan->yields.n; i++)
    if (scan->yields.data[i].name == stmt->name.text)
      return tn_frame_error(f, stmt->loc, TN_E_LANG_DOUBLE, "'%s' is yielded twice in one step", stmt->name.text);
  tn_yielded y = {stmt->name.text, stmt->name.loc, value};
  TN_VEC_PUSH(s->arena, &scan->yields, y);
  return true;
}
