/* run(call): the steps one after the other, in functions of about 256 steps; a step with others inside is never cut up.
 * A kernel's step fills a frame (tile.h) on the stack and calls the kernel, or hands it to the pool. */
#include <stddef.h>

#include "backends/cpu/llvm/debug.h"
#include "backends/cpu/llvm/run.h"
#include "runtime/abi.h"

#define STEPS_A_FUNCTION 256

typedef tn_run_part part;

LLVMValueRef tn_run_buffer_address(part *p, const tn_buffer *buffer) {
  tn_lower *l = p->l;
  if (buffer->kind == TN_BUFFER_VIEW) {
    LLVMValueRef owner = tn_run_buffer_address(p, buffer->owner);
    LLVMValueRef at = tn_dim_code_value(&p->code, tn_view_offset(l->ctx, buffer));
    return LLVMBuildGEP2(l->builder, l->i8, owner, &at, 1, "");
  }
  if (buffer->slot != TN_NO_SLOT) return tn_entry_load(l, p->slots, 8 * (uint64_t)buffer->slot, l->ptr);
  switch (buffer->kind) {
    case TN_BUFFER_INPUT: return tn_entry_load(l, p->inputs, 8 * (uint64_t)buffer->index, l->ptr);
    case TN_BUFFER_OUTPUT:
      if (tn_buffer_is_planned(buffer)) break;
      return tn_entry_load(l, p->outputs, 8 * (uint64_t)buffer->index, l->ptr);
    case TN_BUFFER_CONST:
    case TN_BUFFER_ARENA:
    case TN_BUFFER_VIEW: break;
  }
  LLVMValueRef base = buffer->kind == TN_BUFFER_CONST ? p->weights : p->arena;
  LLVMValueRef offset = tn_dim_code_value(&p->code, buffer->offset);
  return LLVMBuildGEP2(l->builder, l->i8, base, &offset, 1, "");
}

/* Scratch of one worker, on cache lines of its own. */
static LLVMValueRef scratch_stride(part *p, const tn_step *step) {
  LLVMBuilderRef b = p->l->builder;
  LLVMValueRef bytes = tn_dim_code_value(&p->code, step->scratch_bytes);
  LLVMValueRef up = LLVMBuildAdd(b, bytes, tn_lower_constant_i64(p->l, 63), "");
  return LLVMBuildAnd(b, up, tn_lower_constant_i64(p->l, -64), "");
}

static void fill_frame(part *p, const tn_step *step) {
  tn_lower *l = p->l;
  const tn_kernel *kernel = step->kernel;
  tn_frame_layout at = tn_frame_of(kernel);
  for (size_t i = 0; i < kernel->args.n; i++)
    tn_entry_store(l, tn_run_buffer_address(p, step->args.data[i]), p->frame, 8 * i);
  for (size_t i = 0; i < kernel->symbols.n; i++) {
    const tn_dim *dim = tn_dim_symbol(l->ctx, kernel->symbols.data[i]);
    tn_entry_store(l, tn_dim_code_value(&p->code, dim), p->frame, at.dims + 8 * i);
  }
  if (step->scratch != NULL) {
    tn_entry_store(l, tn_run_buffer_address(p, step->scratch), p->frame, at.scratch);
    tn_entry_store(l, scratch_stride(p, step), p->frame, at.scratch_stride);
  }
  tn_entry_store(l, tn_entry_at(l, p->call, offsetof(tnrt_call, status)), p->frame, at.status);
}

static LLVMValueRef kernel_function(part *p, uint32_t step) {
  const char *name = p->e->kernel_names[step];
  LLVMValueRef function = LLVMGetNamedFunction(p->l->module, name);
  if (function == NULL) {
    function = LLVMAddFunction(p->l->module, name, tn_lower_part_type(p->l));
    LLVMSetVisibility(function, LLVMHiddenVisibility);
  }
  return function;
}

static void call_alone(part *p, LLVMValueRef function, uint32_t parts) {
  tn_lower *l = p->l;
  LLVMValueRef zero = LLVMConstNull(l->i64);
  LLVMValueRef args[4] = {p->frame, zero, tn_lower_constant_i64(l, parts), zero};
  LLVMBuildCall2(l->builder, tn_lower_part_type(l), function, args, 4, "");
}

static void call_kernel(part *p, const tn_step *step, uint32_t index) {
  tn_lower *l = p->l;
  LLVMValueRef function = kernel_function(p, index);
  if (step->parts <= 1 || p->e->options->n_threads == 1) {
    call_alone(p, function, step->parts);
    return;
  }
  LLVMBasicBlockRef together = tn_lower_block(l, "together"), alone = tn_lower_block(l, "alone");
  LLVMBasicBlockRef end = tn_lower_block(l, "end");
  LLVMBuildCondBr(l->builder, p->is_parallel, together, alone);
  LLVMPositionBuilderAtEnd(l->builder, together);
  LLVMTypeRef type = LLVMFunctionType(l->nothing, (LLVMTypeRef[]){l->ptr, l->ptr, l->ptr, l->i64}, 4, false);
  LLVMValueRef args[4] = {p->pool, function, p->frame, tn_lower_constant_i64(l, step->parts)};
  tn_lower_release(l, p->frame);
  LLVMBuildCall2(l->builder, type, p->parallel, args, 4, "");
  tn_lower_acquire(l, p->frame);
  LLVMBuildBr(l->builder, end);
  LLVMPositionBuilderAtEnd(l->builder, alone);
  call_alone(p, function, step->parts);
  LLVMBuildBr(l->builder, end);
  LLVMPositionBuilderAtEnd(l->builder, end);
}

static bool may_refuse_index(const tn_kernel *kernel) {
  for (size_t i = 0; i < kernel->nodes.n; i++)
    if (kernel->nodes.data[i]->value_symbol != NULL) return true;
  return false;
}

/* The first step after which the status is set is the one that set it. */
static void note_status_step(part *p, uint32_t index) {
  tn_lower *l = p->l;
  LLVMValueRef zero = LLVMConstNull(l->i32);
  LLVMValueRef status = tn_entry_load(l, p->call, offsetof(tnrt_call, status), l->i32);
  LLVMValueRef step = tn_entry_load(l, p->call, offsetof(tnrt_call, status_step), l->i32);
  LLVMValueRef is_new = LLVMBuildAnd(l->builder, LLVMBuildICmp(l->builder, LLVMIntNE, status, zero, ""),
                                     LLVMBuildICmp(l->builder, LLVMIntSLT, step, zero, ""), "");
  step = tn_lower_select(l, is_new, LLVMConstInt(l->i32, index, false), step);
  tn_entry_store(l, step, p->call, offsetof(tnrt_call, status_step));
}

static void copy_step(part *p, const tn_step *step) {
  tn_lower *l = p->l;
  const tn_buffer *from = step->args.data[0];
  const tn_dim *strides[TN_MAX_NDIM], *total;
  tn_storage_strides(l->ctx, from->type, from->storage, strides, &total);
  total = tn_dim_mul_i(l->ctx, total, (int64_t)tn_dtype_bytes(from->type->dtype));
  LLVMValueRef bytes = tn_dim_code_value(&p->code, total);
  LLVMValueRef to = tn_run_buffer_address(p, step->args.data[1]), source = tn_run_buffer_address(p, from);
  tn_lower_copy(l, to, source, bytes);
}

/* Tells who watches (tnrt_after_fn). */
static void tell(part *p, uint32_t step) {
  tn_lower *l = p->l;
  LLVMBasicBlockRef told = tn_lower_block(l, "told"), go_on = tn_lower_block(l, "step");
  LLVMBuildCondBr(l->builder, p->is_watched, told, go_on);
  LLVMPositionBuilderAtEnd(l->builder, told);
  LLVMTypeRef type = LLVMFunctionType(l->nothing, (LLVMTypeRef[]){l->ptr, l->i64}, 2, false);
  LLVMValueRef args[2] = {p->call, LLVMConstInt(l->i64, step, false)};
  LLVMBuildCall2(l->builder, type, tn_entry_load(l, p->call, offsetof(tnrt_call, after), l->ptr), args, 2, "");
  LLVMBuildBr(l->builder, go_on);
  LLVMPositionBuilderAtEnd(l->builder, go_on);
}

static uint64_t largest_frame(const tn_steps *steps, size_t first, size_t end) {
  uint64_t most = 0;
  for (size_t i = first; i < end; i++) {
    const tn_step *step = steps->data[i];
    uint64_t bytes = step->kind == TN_STEP_KERNEL ? tn_frame_of(step->kernel).bytes
                                                  : largest_frame(&step->body, 0, step->body.n);
    uint64_t other = largest_frame(&step->otherwise, 0, step->otherwise.n);
    most = bytes > most ? bytes : most;
    most = other > most ? other : most;
  }
  return most;
}

static void load_call(part *p) {
  tn_lower *l = p->l;
  p->symbols = tn_entry_load(l, p->call, offsetof(tnrt_call, symbols), l->ptr);
  p->slots = tn_entry_load(l, p->call, offsetof(tnrt_call, slots), l->ptr);
  p->inputs = tn_entry_load(l, p->call, offsetof(tnrt_call, inputs), l->ptr);
  p->outputs = tn_entry_load(l, p->call, offsetof(tnrt_call, outputs), l->ptr);
  p->arena = tn_entry_load(l, p->call, offsetof(tnrt_call, arena), l->ptr);
  p->weights = tn_entry_load(l, p->call, offsetof(tnrt_call, weights), l->ptr);
  p->pool = tn_entry_load(l, p->call, offsetof(tnrt_call, pool), l->ptr);
  p->parallel = tn_entry_load(l, p->call, offsetof(tnrt_call, parallel), l->ptr);
  p->is_parallel = LLVMBuildAnd(l->builder, LLVMBuildIsNotNull(l->builder, p->pool, ""),
                                LLVMBuildIsNotNull(l->builder, p->parallel, ""), "");
  LLVMValueRef after = tn_entry_load(l, p->call, offsetof(tnrt_call, after), l->ptr);
  p->is_watched = LLVMBuildIsNotNull(l->builder, after, "");
  p->code = tn_dim_code_start(l, p->e->program, p->symbols, false);
}

static void emit_step(part *p, const tn_step *step);

/* Code in the body sees dims computed before the step; those that the body computes are its own. */
static void inner_steps(part *p, const tn_steps *steps, const tn_symbol *symbol, LLVMValueRef iteration) {
  tn_dim_code around = p->code;
  p->code = tn_dim_code_inside(&around, symbol, iteration);
  for (size_t i = 0; i < steps->n; i++) emit_step(p, steps->data[i]);
  p->code = around;
}

static LLVMValueRef condition_of(part *p, const tn_step *step) {
  tn_lower *l = p->l;
  LLVMValueRef byte = LLVMBuildLoad2(l->builder, l->i8, tn_run_buffer_address(p, step->args.data[0]), "");
  LLVMSetAlignment(byte, 1);
  return LLVMBuildICmp(l->builder, LLVMIntNE, byte, LLVMConstNull(l->i8), "");
}

static void while_step(part *p, const tn_step *step) {
  tn_lower *l = p->l;
  LLVMBasicBlockRef head = tn_lower_block(l, "while"), body = tn_lower_block(l, "run");
  LLVMBasicBlockRef end = tn_lower_block(l, "done");
  LLVMBuildBr(l->builder, head);
  LLVMPositionBuilderAtEnd(l->builder, head);
  LLVMBuildCondBr(l->builder, condition_of(p, step), body, end);
  LLVMPositionBuilderAtEnd(l->builder, body);
  inner_steps(p, &step->body, NULL, NULL);
  tn_lower_not_unrolled(l, LLVMBuildBr(l->builder, head));
  LLVMPositionBuilderAtEnd(l->builder, end);
}

static void if_step(part *p, const tn_step *step) {
  tn_lower *l = p->l;
  LLVMBasicBlockRef yes = tn_lower_block(l, "yes"), no = tn_lower_block(l, "no"), end = tn_lower_block(l, "joined");
  LLVMBuildCondBr(l->builder, condition_of(p, step), yes, no);
  LLVMPositionBuilderAtEnd(l->builder, yes);
  inner_steps(p, &step->body, NULL, NULL);
  LLVMBuildBr(l->builder, end);
  LLVMPositionBuilderAtEnd(l->builder, no);
  inner_steps(p, &step->otherwise, NULL, NULL);
  LLVMBuildBr(l->builder, end);
  LLVMPositionBuilderAtEnd(l->builder, end);
}

static void loop_step(part *p, const tn_step *step) {
  tn_lower *l = p->l;
  LLVMValueRef zero = LLVMConstNull(l->i64), one = LLVMConstInt(l->i64, 1, false);
  LLVMValueRef trip = tn_dim_code_value(&p->code, step->symbol->extent);
  LLVMBasicBlockRef before = LLVMGetInsertBlock(l->builder), head = tn_lower_block(l, "loop");
  LLVMBasicBlockRef body = tn_lower_block(l, "iteration"), end = tn_lower_block(l, "done");
  LLVMBuildBr(l->builder, head);
  LLVMPositionBuilderAtEnd(l->builder, head);
  LLVMValueRef iteration = LLVMBuildPhi(l->builder, l->i64, "");
  LLVMAddIncoming(iteration, &zero, &before, 1);
  LLVMBuildCondBr(l->builder, LLVMBuildICmp(l->builder, LLVMIntSLT, iteration, trip, ""), body, end);
  LLVMPositionBuilderAtEnd(l->builder, body);
  inner_steps(p, &step->body, step->symbol, iteration);
  LLVMValueRef next = LLVMBuildAdd(l->builder, iteration, one, "");
  LLVMBasicBlockRef last = LLVMGetInsertBlock(l->builder);
  tn_lower_not_unrolled(l, LLVMBuildBr(l->builder, head));
  LLVMAddIncoming(iteration, &next, &last, 1);
  LLVMPositionBuilderAtEnd(l->builder, end);
}

static void emit_step(part *p, const tn_step *step) {
  uint32_t index = p->next++;
  tn_debug_at_step(p->l, index);
  switch (step->kind) {
    case TN_STEP_COPY: copy_step(p, step); break;
    case TN_STEP_LOOP: loop_step(p, step); break;
    case TN_STEP_WHILE: while_step(p, step); break;
    case TN_STEP_IF: if_step(p, step); break;
    case TN_STEP_READ: tn_run_read_step(p, step, index); break;
    case TN_STEP_CHECK: tn_run_check_step(p, step, index); break;
    case TN_STEP_KERNEL:
      fill_frame(p, step);
      if (p->see != NULL) tn_run_see_before(p, step, index);
      call_kernel(p, step, index);
      if (p->see != NULL) tn_run_see_behind(p, step, index);
      if (may_refuse_index(step->kernel)) note_status_step(p, index);
      break;
  }
  tell(p, index);
}

static uint32_t count_steps(const tn_step *step) {
  uint32_t n = 1;
  for (size_t i = 0; i < step->body.n; i++) n += count_steps(step->body.data[i]);
  for (size_t i = 0; i < step->otherwise.n; i++) n += count_steps(step->otherwise.data[i]);
  return n;
}

/* static bool run_<number>(call): steps from `first` on, the number of which is `number`; true: a step that reads sizes
 * refused them, so nothing may run behind it. Tells where it ended. */
static LLVMValueRef emit_part(tn_entry *e, LLVMValueRef see, size_t first, uint32_t number, size_t *out_end,
                              uint32_t *out_number) {
  tn_lower *l = e->l;
  const tn_steps *steps = &e->program->steps;
  size_t end = first;
  for (uint32_t n = 0; end < steps->n && n < STEPS_A_FUNCTION; end++) n += count_steps(steps->data[end]);
  const char *name = tn_arena_printf(l->arena, "run_%zu", first);
  LLVMValueRef function = tn_entry_function(e, name, LLVMFunctionType(l->i1, &l->ptr, 1, false), false);
  part p = {.e = e, .l = l, .call = LLVMGetParam(function, 0), .see = see, .next = number};
  LLVMTypeRef frame = LLVMArrayType2(l->i8, largest_frame(steps, first, end));
  p.frame = LLVMBuildAlloca(l->builder, frame, "");
  LLVMSetAlignment(p.frame, 16);
  load_call(&p);
  if (first == 0) tell(&p, e->n_steps);
  for (size_t i = first; i < end; i++) emit_step(&p, steps->data[i]);
  if (end == steps->n) tn_run_late_outputs(&p);
  LLVMBuildRet(l->builder, LLVMConstNull(l->i1));
  *out_end = end;
  *out_number = p.next;
  return function;
}

void tn_entry_emit_run(tn_entry *e) {
  tn_lower *l = e->l;
  LLVMValueRef see = e->options->traces ? tn_run_emit_see(e) : NULL;
  TN_VEC(LLVMValueRef) parts = {0};
  size_t first = 0;
  uint32_t number = 0;
  do TN_VEC_PUSH(l->arena, &parts, emit_part(e, see, first, number, &first, &number));
  while (first < e->program->steps.n);
  LLVMTypeRef type = LLVMFunctionType(l->nothing, &l->ptr, 1, false);
  e->run = tn_entry_function(e, "run_all", type, false);
  LLVMValueRef call = LLVMGetParam(e->run, 0);
  tn_entry_store(l, LLVMConstNull(l->i32), call, offsetof(tnrt_call, status));
  tn_entry_store(l, LLVMConstAllOnes(l->i32), call, offsetof(tnrt_call, status_step));
  LLVMTypeRef part_type = LLVMFunctionType(l->i1, &l->ptr, 1, false);
  LLVMBasicBlockRef end = tn_lower_block(l, "end");
  for (size_t i = 0; i < parts.n; i++) {
    LLVMBasicBlockRef next = tn_lower_block(l, "next");
    LLVMBuildCondBr(l->builder, LLVMBuildCall2(l->builder, part_type, parts.data[i], &call, 1, ""), end, next);
    LLVMPositionBuilderAtEnd(l->builder, next);
  }
  LLVMBuildBr(l->builder, end);
  LLVMPositionBuilderAtEnd(l->builder, end);
  LLVMBuildRetVoid(l->builder);
}
