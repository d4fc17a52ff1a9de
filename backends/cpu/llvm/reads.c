/* Steps that read sizes: integers of a buffer are checked and become values of the code behind them; and steps that
 * check what a branch needs of sizes. */
#include <stddef.h>

#include "backends/cpu/llvm/run.h"
#include "runtime/abi.h"

/* The step's place in the entry's checks and completions, and the status that failing gives. */
typedef struct reading {
  tn_run_part *p;
  const tn_step *step;
  uint32_t number;
} reading;

/* Goes on where the condition holds; elsewhere the builder stands in a block that leaves with this status. */
static LLVMBasicBlockRef leave_unless(const reading *r, LLVMValueRef holds, LLVMValueRef status) {
  tn_lower *l = r->p->l;
  LLVMBasicBlockRef fail = tn_lower_block(l, "refuse"), next = tn_lower_block(l, "next");
  LLVMBuildCondBr(l->builder, holds, next, fail);
  LLVMPositionBuilderAtEnd(l->builder, fail);
  tn_entry_store(l, status, r->p->call, offsetof(tnrt_call, status));
  tn_entry_store(l, LLVMConstInt(l->i32, r->number, false), r->p->call, offsetof(tnrt_call, status_step));
  return next;
}

static void leave(const reading *r, LLVMBasicBlockRef next) {
  tn_lower *l = r->p->l;
  LLVMBuildRet(l->builder, LLVMConstAllOnes(l->i1));
  LLVMPositionBuilderAtEnd(l->builder, next);
}

static void check(const reading *r, uint32_t row, tn_dim_code *code) {
  tn_lower *l = r->p->l;
  LLVMValueRef found = NULL, expected = NULL;
  LLVMIntPredicate predicate = LLVMIntEQ;
  code->overflow = LLVMConstInt(l->i1, 0, false);
  tn_entry_check_sides(r->p->e, code, NULL, &r->p->e->checks.data[row], &found, &expected, &predicate);
  LLVMValueRef holds = LLVMBuildICmp(l->builder, predicate, found, expected, "");
  holds = LLVMBuildAnd(l->builder, holds, LLVMBuildNot(l->builder, code->overflow, ""), "");
  LLVMBasicBlockRef next = leave_unless(r, holds, LLVMConstInt(l->i32, TNRT_BAD_SHAPE, false));
  tn_entry_store(l, LLVMConstInt(l->i32, row, false), r->p->call, offsetof(tnrt_call, status_guard));
  tn_entry_store(l, expected, r->p->call, offsetof(tnrt_call, expected));
  tn_entry_store(l, found, r->p->call, offsetof(tnrt_call, found));
  leave(r, next);
}

/* Element number i of the step's buffer as an i64. */
static LLVMValueRef element(const reading *r, uint32_t i) {
  tn_lower *l = r->p->l;
  const tn_buffer *from = r->step->args.data[0];
  uint64_t bytes = tn_dtype_bytes(from->type->dtype);
  LLVMTypeRef type = LLVMIntTypeInContext(l->llvm, (unsigned)(8 * bytes));
  LLVMValueRef at = tn_entry_at(l, tn_run_buffer_address(r->p, from), i * bytes);
  LLVMValueRef value = LLVMBuildLoad2(l->builder, type, at, "");
  LLVMSetAlignment(value, 1);
  if (bytes == 8) return value;
  return tn_dtype_is_signed(from->type->dtype) ? LLVMBuildSExt(l->builder, value, l->i64, "")
                                               : LLVMBuildZExt(l->builder, value, l->i64, "");
}

static uint32_t late_number(const tn_program *program, const tn_symbol *symbol) {
  uint32_t i = 0;
  while (program->late.data[i] != symbol) i++;
  return i;
}

/* The rows of this step's symbols, in the order they were made. */
static void check_ranges(const reading *r, tn_dim_code *code) {
  const tn_entry *e = r->p->e;
  for (uint32_t i = 0; i < r->step->reads.n; i++) {
    uint32_t slot = (uint32_t)e->program->bindings.n + late_number(e->program, r->step->reads.data[i]);
    for (uint32_t row = e->first_guard + (uint32_t)e->program->guards.n; row < e->checks.n; row++)
      if (e->checks.data[row].slot == slot) check(r, row, code);
  }
}

/* The largest of the buffers in `slot` that become known here; NULL when none does. */
static LLVMValueRef slot_bytes(const reading *r, uint32_t slot, tn_dim_code *code) {
  tn_lower *l = r->p->l;
  const tn_completion *news = &r->p->e->news[r->number];
  LLVMValueRef most = NULL;
  code->overflow = LLVMConstInt(l->i1, 0, false);
  for (size_t i = 0; i < news->buffers.n; i++) {
    if (news->buffers.data[i]->slot != slot) continue;
    LLVMValueRef bytes = tn_dim_code_value(code, news->buffers.data[i]->bytes);
    LLVMValueRef is_negative = LLVMBuildICmp(l->builder, LLVMIntSLT, bytes, LLVMConstNull(l->i64), "");
    code->overflow = LLVMBuildOr(l->builder, code->overflow, is_negative, "");
    most = most == NULL ? bytes : tn_lower_binary(l, "llvm.smax", most, bytes);
  }
  return most == NULL ? NULL : tn_lower_select(l, code->overflow, LLVMConstAllOnes(l->i64), most);
}

static void grow_slots(const reading *r, const tn_dim_code *checked) {
  tn_lower *l = r->p->l;
  for (uint32_t slot = 0; slot < r->p->e->program->n_slots; slot++) {
    tn_dim_code code = tn_dim_code_inside(checked, NULL, NULL);
    LLVMValueRef bytes = slot_bytes(r, slot, &code);
    if (bytes == NULL) continue;
    LLVMTypeRef type = LLVMFunctionType(l->i32, (LLVMTypeRef[]){l->ptr, l->i64, l->i64}, 3, false);
    LLVMValueRef reserve = tn_entry_load(l, r->p->call, offsetof(tnrt_call, reserve), l->ptr);
    LLVMValueRef args[3] = {r->p->call, LLVMConstInt(l->i64, slot, false), bytes};
    LLVMValueRef status = LLVMBuildCall2(l->builder, type, reserve, args, 3, "");
    LLVMValueRef holds = LLVMBuildICmp(l->builder, LLVMIntEQ, status, LLVMConstNull(l->i32), "");
    leave(r, leave_unless(r, holds, status));
  }
}

/* Checks keep overflow in mind and values of their own: code behind them does without. */
static tn_dim_code code_of_checks(const tn_run_part *p) {
  tn_dim_code checked = tn_dim_code_inside(&p->code, NULL, NULL);
  checked.is_checked = true;
  checked.outer = NULL;
  return checked;
}

static void check_guards(const reading *r, tn_dim_code *checked) {
  const tn_completion *news = &r->p->e->news[r->number];
  for (size_t i = 0; i < news->guards.n; i++) check(r, r->p->e->first_guard + news->guards.data[i], checked);
}

void tn_run_check_step(tn_run_part *p, const tn_step *step, uint32_t number) {
  const reading r = {p, step, number};
  tn_dim_code checked = code_of_checks(p);
  check_guards(&r, &checked);
}

void tn_run_read_step(tn_run_part *p, const tn_step *step, uint32_t number) {
  const tn_program *program = p->e->program;
  const reading r = {p, step, number};
  for (uint32_t i = 0; i < step->reads.n; i++)
    p->code.symbols[program->bindings.n + late_number(program, step->reads.data[i])] = element(&r, i);
  tn_dim_code checked = code_of_checks(p);
  check_ranges(&r, &checked);
  check_guards(&r, &checked);
  grow_slots(&r, &checked);
  for (uint32_t i = 0; i < step->reads.n; i++) {
    uint64_t slot = program->bindings.n + late_number(program, step->reads.data[i]);
    tn_entry_store(p->l, p->code.symbols[slot], p->symbols, 8 * slot);
  }
}

void tn_run_late_outputs(tn_run_part *p) {
  const tn_program *program = p->e->program;
  for (size_t i = 0; i < program->buffers.n; i++) {
    const tn_buffer *buffer = program->buffers.data[i];
    if (buffer->kind == TN_BUFFER_OUTPUT && tn_buffer_is_planned(buffer))
      tn_entry_store(p->l, tn_run_buffer_address(p, buffer), p->outputs, 8 * (uint64_t)buffer->index);
  }
}
