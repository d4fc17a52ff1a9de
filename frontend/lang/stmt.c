/* Statements of module and model bodies. Errors do not stop a body: names whose value is wrong are poisoned, so that
 * one run tells as much as it can. */
#include <string.h>

#include "frontend/lang/sema.h"
#include "ir/primitives.h"

enum { MAX_ITERATIONS = 100000 };

static tn_datum *or_poison(tn_frame *f, tn_datum *value, tn_loc loc) {
  return value ? value : tn_datum_poison(f->sema, loc);
}

/* --- let --- */

static bool let_tuple(tn_frame *f, const tn_ast_stmt *stmt, tn_datum *value) {
  size_t n = stmt->names.n;
  bool ok = value != NULL;
  if (value && (value->kind != TN_DATUM_TUPLE || value->tuple.n != n)) {
    ok = tn_frame_error(f, stmt->value->loc, TN_E_LANG_KIND, "expected a tuple of %zu, found %s", n,
                       tn_datum_describe(f->sema, value));
    value = NULL;
  }
  for (size_t i = 0; i < n; i++) {
    const tn_ast_name *name = &stmt->names.data[i];
    tn_datum *part = value ? value->tuple.parts[i] : tn_datum_poison(f->sema, name->loc);
    if (!tn_frame_declare(f, name->text, TN_NAME_LET, part, name->loc)) ok = false;
  }
  return ok;
}

static bool let_one(tn_frame *f, const tn_ast_stmt *stmt, tn_datum *value) {
  const tn_ast_name *name = &stmt->names.data[0];
  bool ok = value != NULL;
  if (value && stmt->type) {
    const char *what = tn_namef(f->sema->ctx, "'%s'", name->text);
    if (!tn_type_is_tensor(stmt->type) && stmt->type->name.text) {
      tn_given given = {NULL, stmt->value, value, stmt->value->loc, f};
      value = tn_static_argument(f, stmt->type, &given, what);
    } else {
      value = tn_type_adopt(f, stmt->type, value, what);
    }
    ok = value != NULL;
  }
  if (value) value = tn_datum_at(f->sema, value, stmt->value->loc);
  if (value && value->kind == TN_DATUM_TENSOR && !value->tensor.value->name[0] && value->tensor.value->def)
    value->tensor.value->name = name->text;
  return tn_frame_declare(f, name->text, TN_NAME_LET, or_poison(f, value, stmt->loc), name->loc) && ok;
}

bool tn_let_run(tn_frame *f, const tn_ast_stmt *stmt) {
  tn_datum *value = tn_eval_expr(f, stmt->value);
  return stmt->in_parens ? let_tuple(f, stmt, value) : let_one(f, stmt, value);
}

/* --- Rebinding --- */

/* The name as the body of a loop may set it. */
static tn_name_binding *rebound(tn_frame *f, const tn_ast_stmt *stmt) {
  tn_name_binding *binding = tn_frame_find(f, stmt->name.text);
  if (!binding) {
    const char *near = tn_frame_nearest(f, stmt->name.text);
    tn_frame_error(f, stmt->name.loc, TN_E_LANG_NAME, "'%s' is not declared: let %s = ... declares it",
                  stmt->name.text, stmt->name.text);
    if (near) tn_help(f->sema->ctx, "did you mean '%s'?", near);
    return NULL;
  }
  bool in_loop = f->sema->loop_depth > binding->loop_depth || binding->kind == TN_NAME_LOOP;
  bool settable = binding->kind == TN_NAME_LET || binding->kind == TN_NAME_FORMAL || binding->kind == TN_NAME_LOOP;
  if (in_loop && settable && binding->scan_depth == f->sema->scan_depth) return binding;
  tn_frame_error(f, stmt->name.loc, TN_E_LANG_REBIND, "'%s' cannot be set here%s", stmt->name.text,
                binding->kind == TN_NAME_WEIGHT ? ": weights and buffers change in training only"
                : !in_loop                      ? ": only a loop sets names anew, let declares another"
                : settable                      ? ": inside a scan only what it carries is set"
                                                : "");
  tn_note(f->sema->ctx, binding->loc, "'%s' is declared here", stmt->name.text);
  return NULL;
}

/* The new value with the dims of the old one. */
static tn_datum *keep_type(tn_frame *f, const char *name, const tn_datum *old, tn_datum *value) {
  tn_sema *s = f->sema;
  bool same = old->kind == value->kind;
  if (same && old->kind != TN_DATUM_TENSOR) return value;
  if (old->kind == TN_DATUM_TENSOR && tn_datum_is_scalar(value) && tn_datum_ndim(old) == 0)
    return tn_datum_as_tensor(s, value, tn_datum_dtype(old), value->loc);
  same = same && tn_datum_dtype(old) == tn_datum_dtype(value) && tn_datum_ndim(old) == tn_datum_ndim(value);
  for (uint32_t i = 0; same && i < tn_datum_ndim(old); i++)
    same = tn_extents_agree(s, value->tensor.axes[i].extent, old->tensor.axes[i].extent, value->loc,
                            tn_namef(s->ctx, "dim %s of '%s'", tn_axis_label_text(s, &old->tensor.axes[i]), name));
  if (same) return tn_datum_tensor(s, value->tensor.value, old->tensor.axes, value->loc);
  tn_frame_error(f, value->loc, TN_E_LANG_REBIND, "'%s' keeps its type %s, found %s", name, tn_datum_describe(s, old),
                tn_datum_describe(s, value));
  tn_note(s->ctx, old->loc, "its value comes from here");
  return NULL;
}

static bool run_set(tn_frame *f, const tn_ast_stmt *stmt) {
  tn_name_binding *binding = rebound(f, stmt);
  tn_datum *value = tn_eval_expr(f, stmt->value);
  if (!binding || !value) return false;
  if (binding->value->kind == TN_DATUM_POISON) return true;
  if (stmt->kind == TN_AST_ADD_TO) value = tn_eval_binary(f, TN_AST_ADD, binding->value, value, stmt->loc);
  if (value) value = keep_type(f, stmt->name.text, binding->value, value);
  if (value) binding->value = value;
  return value != NULL;
}

/* --- param, buffer, sub --- */

static bool run_weight(tn_frame *f, const tn_ast_stmt *stmt) {
  bool is_buffer = stmt->kind == TN_AST_BUFFER, ok = true;
  tn_init init = {.kind = TN_INIT_HE_NORMAL, .loc = stmt->loc};
  tn_shape shape;
  tn_datum *value = NULL;
  if (!tn_type_is_tensor(stmt->type))
    ok = tn_frame_error(f, stmt->type->loc, TN_E_LANG_KIND, "a %s is a tensor", tn_ast_stmt_kind_text(stmt->kind));
  ok = ok && tn_shape_of_type(f, stmt->type, &shape) && (!stmt->value || tn_init_of_expr(f, stmt->value, &init));
  if (ok)
    value = tn_weight_use(f, f->instance, stmt->name.text, shape.dtype, shape.axes, shape.n, &init, 0, 0, is_buffer,
                          stmt->loc);
  tn_weight *weight = value ? tn_map_get(&f->instance->weights, stmt->name.text) : NULL;
  if (weight && !weight->outer) {
    weight->outer = tn_arena_copy(f->sema->arena, weight->axes, shape.n * sizeof(tn_axis));
    for (uint32_t i = 0; i < shape.n; i++) weight->outer[i].label = tn_label_leave(f, weight->axes[i].label);
  }
  return tn_frame_declare(f, stmt->name.text, TN_NAME_WEIGHT, or_poison(f, value, stmt->loc), stmt->name.loc) && value;
}

static bool run_sub(tn_frame *f, const tn_ast_stmt *stmt) {
  tn_datum *value = tn_eval_sub(f, stmt->name.text, stmt->value);
  return tn_frame_declare(f, stmt->name.text, TN_NAME_SUB, or_poison(f, value, stmt->loc), stmt->name.loc) && value;
}

/* --- for --- */

static bool loop_range(tn_frame *f, const tn_ast_stmt *stmt, int64_t *first, int64_t *end, int64_t *step) {
  const tn_ast_expr *range = stmt->value;
  *step = 1;
  if (range->kind != TN_AST_RANGE)
    return tn_frame_error(f, range->loc, TN_E_LANG_KIND, "for %s in: expected a range a..b", stmt->name.text);
  if (!tn_eval_static_int(f, range->range.first, "the first number of a for", first) ||
      !tn_eval_static_int(f, range->range.end, "the end of a for", end) ||
      (range->range.step && !tn_eval_static_int(f, range->range.step, "the step of a for", step)))
    return false;
  if (*step < 1) return tn_frame_error(f, range->loc, TN_E_SHAPE, "the step of a for must be positive");
  if (*end > *first && (uint64_t)*end - (uint64_t)*first > (uint64_t)MAX_ITERATIONS)
    return tn_frame_error(f, range->loc, TN_E_LIMIT, "a for of more than %d rounds", MAX_ITERATIONS);
  return true;
}

/* What the body sets of tensors that stand outside of the loop. */
static bool mark_carried(tn_frame *f, const tn_ast_body *body) {
  for (size_t i = 0; i < body->stmts.n; i++) {
    const tn_ast_stmt *stmt = body->stmts.data[i];
    if (stmt->kind == TN_AST_FOR && !mark_carried(f, stmt->body)) return false;
    if (stmt->kind != TN_AST_SET && stmt->kind != TN_AST_ADD_TO) continue;
    tn_name_binding *binding = tn_frame_find(f, stmt->name.text);
    const tn_datum *old = binding ? binding->value : NULL;
    if (!old || old->kind != TN_DATUM_TENSOR || tn_datum_ndim(old) == 0) continue;
    tn_attr is_body = tn_attr_bool(true);
    tn_value *x = old->tensor.value, *marked = tn_build_op(&f->sema->build, &tn_op_fence, &x, 1, &is_body);
    if (!marked) return false;
    binding->value = tn_datum_tensor(f->sema, marked, old->tensor.axes, old->loc);
    f->sema->training->has_marks = true;
  }
  return true;
}

/* Bodies of the outermost loops, n of them done; at the end of the loop, too. */
static bool mark_body(tn_frame *f, const tn_ast_stmt *loop, int64_t n, bool is_end) {
  int64_t every = f->sema->training ? f->sema->training->marks_every : 0;
  if (every == 0 || f->sema->loop_depth > 0 || f->sema->scan_depth > 0) return true;
  return (n % every != 0 && !is_end) || mark_carried(f, loop->body);
}

static bool run_for(tn_frame *f, const tn_ast_stmt *stmt) {
  tn_sema *s = f->sema;
  int64_t first, end, step;
  bool ok = true;
  if (!loop_range(f, stmt, &first, &end, &step)) return false;
  tn_instance *outer = f->instance, *loop = tn_frame_next_instance(f, tn_name(s->ctx, "for"));
  tn_map counts = f->counts;
  for (int64_t i = first; i < end && ok; i += step) {
    tn_datum *none = NULL;
    ok = mark_body(f, stmt, (i - first) / step, false);
    s->loop_depth++;
    f->instance = tn_instance_child(s, loop, tn_namef(s->ctx, "%lld", (long long)i));
    f->counts = tn_map_create(s->arena);
    tn_frame_push(f);
    ok = ok &&
         tn_frame_declare(f, stmt->name.text, TN_NAME_LET, tn_datum_int_const(s, i, stmt->name.loc), stmt->name.loc) &&
         tn_body_run(f, stmt->body, &none);
    tn_frame_pop(f);
    s->loop_depth--;
    if (none) ok = tn_frame_error(f, none->loc, TN_E_LANG_RETURN, "a return cannot stand inside a loop");
  }
  ok = ok && mark_body(f, stmt, 0, true);
  f->instance = outer;
  f->counts = counts;
  return ok;
}

/* --- Bodies --- */

static bool not_here(tn_frame *f, const tn_ast_stmt *stmt) {
  return tn_frame_error(f, stmt->loc, TN_E_LANG_PLACE, "'%s' does not belong in the body of a module or model",
                       tn_ast_stmt_kind_text(stmt->kind));
}

static bool run_stmt(tn_frame *f, const tn_ast_stmt *stmt, tn_datum **out_result) {
  switch (stmt->kind) {
    case TN_AST_LET: return tn_let_run(f, stmt);
    case TN_AST_SET:
    case TN_AST_ADD_TO: return run_set(f, stmt);
    case TN_AST_PARAM:
    case TN_AST_BUFFER: return run_weight(f, stmt);
    case TN_AST_SUB_DECL: return run_sub(f, stmt);
    case TN_AST_FOR: return run_for(f, stmt);
    case TN_AST_SCAN: return tn_scan_run(f, stmt);
    case TN_AST_YIELD: return tn_scan_yield(f, stmt);
    case TN_AST_RETURN: {
      tn_datum *value = tn_eval_expr(f, stmt->value);
      if (value) value = tn_datum_at(f->sema, value, stmt->value->loc);
      *out_result = or_poison(f, value, stmt->loc);
      return value != NULL;
    }
    default: return not_here(f, stmt);
  }
}

bool tn_body_run(tn_frame *f, const tn_ast_body *body, tn_datum **out_result) {
  bool ok = true;
  for (size_t i = 0; i < body->stmts.n; i++) {
    const tn_ast_stmt *stmt = body->stmts.data[i];
    if (*out_result)
      return tn_frame_error(f, stmt->loc, TN_E_LANG_RETURN, "nothing may stand behind a return");
    tn_loc_push(f->sema->ctx, stmt->loc);
    ok = run_stmt(f, stmt, out_result) && ok;
    tn_loc_pop(f->sema->ctx);
  }
  return ok;
}
