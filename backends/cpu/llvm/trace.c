/* Code that traces its steps (tnrt_tracer of runtime/abi.h): calls before and behind each kernel. */
#include <math.h>
#include <stddef.h>

#include "backends/cpu/llvm/run.h"
#include "runtime/abi.h"

static LLVMTypeRef see_type(tn_lower *l) {
  return LLVMFunctionType(l->nothing, (LLVMTypeRef[]){l->ptr, l->i64, l->i64, l->ptr, l->i64, l->i64}, 6, false);
}

LLVMValueRef tn_run_emit_see(tn_entry *e) {
  tn_lower *l = e->l;
  LLVMValueRef function = tn_entry_function(e, "see", see_type(l), false), args[6];
  LLVMBasicBlockRef told = tn_lower_block(l, "told"), end = tn_lower_block(l, "end");
  args[0] = tn_entry_load(l, LLVMGetParam(function, 0), offsetof(tnrt_call, tracer), l->ptr);
  LLVMBuildCondBr(l->builder, LLVMBuildIsNotNull(l->builder, args[0], ""), told, end);
  LLVMPositionBuilderAtEnd(l->builder, told);
  for (unsigned i = 1; i < 6; i++) args[i] = LLVMGetParam(function, i);
  LLVMValueRef see = tn_entry_load(l, args[0], offsetof(tnrt_tracer, see), l->ptr);
  LLVMBuildCall2(l->builder, see_type(l), see, args, 6, "");
  LLVMBuildBr(l->builder, end);
  LLVMPositionBuilderAtEnd(l->builder, end);
  LLVMBuildRetVoid(l->builder);
  return function;
}

static void call_see(tn_run_part *p, uint32_t number, int what, LLVMValueRef data, LLVMValueRef n, tn_dtype dtype) {
  tn_lower *l = p->l;
  LLVMValueRef args[6] = {p->call, tn_lower_constant_i64(l, number), tn_lower_constant_i64(l, what),
                          data, n, tn_lower_constant_i64(l, (int64_t)dtype)};
  LLVMBuildCall2(l->builder, see_type(l), p->see, args, 6, "");
}

static void see_buffer(tn_run_part *p, uint32_t number, int what, const tn_buffer *buffer) {
  if (!tn_dtype_is_float(buffer->type->dtype)) return;
  LLVMValueRef n = tn_dim_code_value(&p->code, tn_type_count(p->l->ctx, buffer->type));
  call_see(p, number, what, tn_run_buffer_address(p, buffer), n, buffer->type->dtype);
}

/* As TNRT_SEE_START says it. */
static int64_t constants_of(const tn_kernel *kernel) {
  int64_t worst = 0;
  for (size_t i = 0; i < kernel->nodes.n; i++) {
    const tn_knode *node = kernel->nodes.data[i];
    if (node->kind != TN_K_CONST || !tn_dtype_is_float(node->dtype)) continue;
    int64_t this_one = isnan(node->constant.f) ? 2 : isinf(node->constant.f) != 0;
    worst = this_one > worst ? this_one : worst;
  }
  return worst;
}

/* What an update changes is read by it too. */
void tn_run_see_before(tn_run_part *p, const tn_step *step, uint32_t number) {
  const tn_kernel *kernel = step->kernel;
  bool updates = false;
  for (size_t i = 0; i < kernel->nodes.n; i++) updates |= kernel->nodes.data[i]->kind == TN_K_UPDATE;
  call_see(p, number, TNRT_SEE_START, LLVMConstNull(p->l->ptr), tn_lower_constant_i64(p->l, constants_of(kernel)),
           TN_F64);
  for (size_t i = 0; i < kernel->args.n; i++)
    if (updates || !kernel->args.data[i].is_output) see_buffer(p, number, TNRT_SEE_READ, step->args.data[i]);
}

void tn_run_see_behind(tn_run_part *p, const tn_step *step, uint32_t number) {
  const tn_kernel *kernel = step->kernel;
  for (size_t i = 0; i < kernel->args.n; i++)
    if (kernel->args.data[i].is_output && kernel->args.data[i].part_axis < 0)
      see_buffer(p, number, TNRT_SEE_WRITTEN, step->args.data[i]);
}
