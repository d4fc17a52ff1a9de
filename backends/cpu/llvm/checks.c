/* What bind checks: ranges of symbols, extents of inputs, and the program's guards; the same rows stand in the
 * descriptor. */
#include <stddef.h>

#include "backends/cpu/llvm/entry.h"

static const char *dim_text(tn_entry *e, const tn_dim *dim) {
  tn_buf buf = tn_buf_create(e->l->arena);
  tn_dim_print(dim, &buf);
  return buf.data;
}

static const char *place_text(tn_entry *e, tn_loc loc) {
  if (loc == TN_LOC_NONE) return "";
  tn_buf buf = tn_buf_create(e->l->arena);
  tn_loc_print_name(e->l->ctx, loc, &buf);
  return buf.n == 0 ? "" : buf.data;
}

static void add(tn_entry *e, tn_entry_check check) { TN_VEC_PUSH(e->l->arena, &e->checks, check); }

static void add_ranges(tn_entry *e, uint32_t slot) {
  const tn_binding *binding = &e->program->bindings.data[slot];
  const tn_symbol *symbol = binding->symbol;
  const char *input = e->inputs[binding->input]->name;
  int64_t lo = symbol->lo < 0 ? 0 : symbol->lo;
  tn_entry_check check = {.kind = TN_CHECK_AT_LEAST, .slot = slot, .bound = lo, .place = ""};
  check.text = tn_arena_printf(e->l->arena, "input '%s' axis %u (%s): expected at least %lld", input, binding->axis,
                               symbol->name, (long long)lo);
  add(e, check);
  if (symbol->hi == TN_DIM_INF) return;
  check.kind = TN_CHECK_AT_MOST;
  check.bound = symbol->hi;
  check.text = tn_arena_printf(e->l->arena, "input '%s' axis %u (%s): expected at most %lld", input, binding->axis,
                               symbol->name, (long long)symbol->hi);
  add(e, check);
}

static bool is_binding(const tn_entry *e, uint32_t input, uint32_t axis) {
  for (size_t i = 0; i < e->program->bindings.n; i++) {
    const tn_binding *binding = &e->program->bindings.data[i];
    if (binding->input == input && binding->axis == axis) return true;
  }
  return false;
}

static void add_extents(tn_entry *e, uint32_t input) {
  const tn_type *type = e->inputs[input]->type;
  for (uint32_t axis = 0; axis < type->ndim; axis++) {
    if (is_binding(e, input, axis)) continue;
    tn_entry_check check = {.kind = TN_CHECK_EXTENT, .input = input, .axis = axis, .q = type->dims[axis], .place = ""};
    check.text = tn_arena_printf(e->l->arena, "input '%s' axis %u: expected %s", e->inputs[input]->name, axis,
                                 dim_text(e, type->dims[axis]));
    add(e, check);
  }
}

/* A number that is below a formula is told as the least that the formula may be. */
static void add_guard(tn_entry *e, const tn_guard *guard) {
  bool is_equal = guard->kind == TN_GUARD_EQ, is_least = !is_equal && tn_dim_is_const(guard->p);
  tn_entry_check check = {.kind = is_equal ? TN_CHECK_EQ : is_least ? TN_CHECK_GE : TN_CHECK_LE,
                          .p = is_least ? guard->q : guard->p, .q = is_least ? guard->p : guard->q};
  check.is_late = guard->is_inner || tn_dim_is_late(guard->p) || tn_dim_is_late(guard->q);
  const char *relation = is_equal ? "" : is_least ? "at least " : "at most ";
  check.text = tn_arena_printf(e->l->arena, "%s: %s, expected %s%s", guard->text, dim_text(e, check.p), relation,
                               dim_text(e, check.q));
  check.place = place_text(e, guard->loc);
  add(e, check);
}

static uint32_t slot_of(const tn_entry *e, const tn_symbol *symbol) {
  uint32_t i = 0;
  while (e->program->late.data[i] != symbol) i++;
  return (uint32_t)e->program->bindings.n + i;
}

/* The range of each symbol, where it has ends. */
static void add_read(tn_entry *e, const tn_step *step) {
  const char *name = step->args.data[0]->name, *place = place_text(e, step->loc);
  for (uint32_t i = 0; i < step->reads.n; i++) {
    const tn_symbol *symbol = step->reads.data[i];
    tn_entry_check check = {.kind = TN_CHECK_AT_LEAST, .slot = slot_of(e, symbol), .bound = symbol->lo,
                            .place = place, .is_late = true};
    check.text = tn_arena_printf(e->l->arena, "value %u of '%s' (%s): expected at least %lld", i, name, symbol->name,
                                 (long long)symbol->lo);
    if (symbol->lo != TN_DIM_MINUS_INF) add(e, check);
    check.kind = TN_CHECK_AT_MOST;
    check.bound = symbol->hi;
    check.text = tn_arena_printf(e->l->arena, "value %u of '%s' (%s): expected at most %lld", i, name, symbol->name,
                                 (long long)symbol->hi);
    if (symbol->hi != TN_DIM_INF) add(e, check);
    if (symbol->extent == NULL) continue;
    check.kind = TN_CHECK_LE;
    check.p = tn_dim_symbol(e->l->ctx, symbol);
    check.q = symbol->extent;
    check.text = tn_arena_printf(e->l->arena, "value %u of '%s' (%s): expected at most %s", i, name, symbol->name,
                                 dim_text(e, symbol->extent));
    add(e, check);
  }
}

void tn_entry_find_checks(tn_entry *e) {
  for (uint32_t i = 0; i < e->program->bindings.n; i++) add_ranges(e, i);
  for (uint32_t i = 0; i < e->n_inputs; i++) add_extents(e, i);
  e->first_guard = (uint32_t)e->checks.n;
  for (size_t i = 0; i < e->program->guards.n; i++) add_guard(e, &e->program->guards.data[i]);
  tn_steps steps = tn_program_all_steps(e->program, e->l->arena);
  for (size_t i = 0; i < steps.n; i++)
    if (steps.data[i]->kind == TN_STEP_READ) add_read(e, steps.data[i]);
  e->news = tn_program_completions(e->program, e->l->arena);
}

static LLVMValueRef extent_of(tn_entry *e, LLVMValueRef extents, uint32_t input, uint32_t axis) {
  LLVMValueRef row = tn_entry_load(e->l, extents, 8 * (uint64_t)input, e->l->ptr);
  return tn_entry_load(e->l, row, 8 * (uint64_t)axis, e->l->i64);
}

void tn_entry_check_sides(tn_entry *e, tn_dim_code *code, LLVMValueRef extents, const tn_entry_check *check,
                          LLVMValueRef *out_found, LLVMValueRef *out_expected, LLVMIntPredicate *out_predicate) {
  switch (check->kind) {
    case TN_CHECK_AT_LEAST:
    case TN_CHECK_AT_MOST:
      *out_found = code->symbols[check->slot];
      *out_expected = tn_lower_constant_i64(e->l, check->bound);
      *out_predicate = check->kind == TN_CHECK_AT_LEAST ? LLVMIntSGE : LLVMIntSLE;
      return;
    case TN_CHECK_EXTENT:
      *out_found = extent_of(e, extents, check->input, check->axis);
      *out_expected = tn_dim_code_value(code, check->q);
      *out_predicate = LLVMIntEQ;
      return;
    case TN_CHECK_EQ:
    case TN_CHECK_GE:
    case TN_CHECK_LE:
      *out_found = tn_dim_code_value(code, check->p);
      *out_expected = tn_dim_code_value(code, check->q);
      *out_predicate = check->kind == TN_CHECK_EQ ? LLVMIntEQ : check->kind == TN_CHECK_GE ? LLVMIntSGE : LLVMIntSLE;
      return;
  }
}

/* Where the function under construction leaves expected and found; extents: NULL when it has none. */
typedef struct check_place {
  LLVMValueRef extents, expected, found;
} check_place;

static void emit_check(tn_entry *e, tn_dim_code *code, uint32_t number, const check_place *place) {
  tn_lower *l = e->l;
  const tn_entry_check *check = &e->checks.data[number];
  LLVMValueRef found = NULL, expected = NULL;
  LLVMIntPredicate predicate = LLVMIntEQ;
  code->overflow = LLVMConstInt(l->i1, 0, false);
  tn_entry_check_sides(e, code, place->extents, check, &found, &expected, &predicate);
  LLVMValueRef holds = LLVMBuildICmp(l->builder, predicate, found, expected, "");
  holds = LLVMBuildAnd(l->builder, holds, LLVMBuildNot(l->builder, code->overflow, ""), "");
  LLVMBasicBlockRef fail = tn_lower_block(l, "refuse"), next = tn_lower_block(l, "next");
  LLVMBuildCondBr(l->builder, holds, next, fail);
  LLVMPositionBuilderAtEnd(l->builder, fail);
  tn_entry_store(l, expected, place->expected, 0);
  tn_entry_store(l, found, place->found, 0);
  LLVMBuildRet(l->builder, LLVMConstInt(l->i32, number + 1, false));
  LLVMPositionBuilderAtEnd(l->builder, next);
}

void tn_entry_emit_bind(tn_entry *e) {
  tn_lower *l = e->l;
  LLVMTypeRef type = LLVMFunctionType(l->i32, (LLVMTypeRef[]){l->ptr, l->ptr, l->ptr, l->ptr}, 4, false);
  e->bind = tn_entry_function(e, "bind", type, false);
  tn_dim_code code = tn_dim_code_start(l, e->program, NULL, true);
  for (size_t i = 0; i < e->program->bindings.n; i++) {
    const tn_binding *binding = &e->program->bindings.data[i];
    code.symbols[i] = extent_of(e, LLVMGetParam(e->bind, 0), binding->input, binding->axis);
    tn_entry_store(l, code.symbols[i], LLVMGetParam(e->bind, 1), 8 * i);
  }
  check_place place = {LLVMGetParam(e->bind, 0), LLVMGetParam(e->bind, 2), LLVMGetParam(e->bind, 3)};
  for (uint32_t i = 0; i < e->checks.n; i++)
    if (!e->checks.data[i].is_late) emit_check(e, &code, i, &place);
  LLVMBuildRet(l->builder, LLVMConstInt(l->i32, 0, false));
}

void tn_entry_emit_check_sizes(tn_entry *e) {
  tn_lower *l = e->l;
  LLVMTypeRef type = LLVMFunctionType(l->i32, (LLVMTypeRef[]){l->ptr, l->ptr, l->ptr}, 3, false);
  e->check_sizes = tn_entry_function(e, "check_sizes", type, false);
  tn_dim_code code = tn_dim_code_start(l, e->program, LLVMGetParam(e->check_sizes, 0), true);
  check_place place = {NULL, LLVMGetParam(e->check_sizes, 1), LLVMGetParam(e->check_sizes, 2)};
  for (uint32_t i = 0; i < e->checks.n; i++)
    if (e->checks.data[i].kind != TN_CHECK_EXTENT && !e->checks.data[i].is_late) emit_check(e, &code, i, &place);
  LLVMBuildRet(l->builder, LLVMConstInt(l->i32, 0, false));
}
