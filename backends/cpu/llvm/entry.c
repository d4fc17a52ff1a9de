/* The module of a program's entry, and its small functions. */
#include <string.h>

#include "backends/cpu/llvm/debug.h"
#include "backends/cpu/llvm/entry.h"

LLVMValueRef tn_entry_function(tn_entry *e, const char *name, LLVMTypeRef type, bool is_public) {
  tn_lower *l = e->l;
  const char *symbol = tn_arena_printf(l->arena, "%s_%s", e->options->prefix, name);
  LLVMValueRef function = LLVMAddFunction(l->module, symbol, type);
  if (!is_public) LLVMSetLinkage(function, LLVMInternalLinkage);
  tn_lower_function_attributes(l, function);
  l->function = function;
  LLVMPositionBuilderAtEnd(l->builder, tn_lower_block(l, "entry"));
  tn_debug_function(l, function, symbol, tn_debug_program_line(l));
  return function;
}

LLVMValueRef tn_entry_at(tn_lower *l, LLVMValueRef base, uint64_t offset_bytes) {
  if (offset_bytes == 0) return base;
  LLVMValueRef offset = LLVMConstInt(l->i64, offset_bytes, false);
  return LLVMBuildGEP2(l->builder, l->i8, base, &offset, 1, "");
}

LLVMValueRef tn_entry_load(tn_lower *l, LLVMValueRef base, uint64_t offset_bytes, LLVMTypeRef type) {
  LLVMValueRef load = LLVMBuildLoad2(l->builder, type, tn_entry_at(l, base, offset_bytes), "");
  LLVMSetAlignment(load, type == l->i32 ? 4 : 8);
  return load;
}

void tn_entry_store(tn_lower *l, LLVMValueRef value, LLVMValueRef base, uint64_t offset_bytes) {
  LLVMValueRef store = LLVMBuildStore(l->builder, value, tn_entry_at(l, base, offset_bytes));
  LLVMSetAlignment(store, LLVMTypeOf(value) == l->i32 ? 4 : 8);
}

LLVMValueRef tn_entry_constant(tn_lower *l, const char *name, LLVMValueRef value) {
  LLVMValueRef global = LLVMAddGlobal(l->module, LLVMTypeOf(value), name);
  LLVMSetInitializer(global, value);
  LLVMSetGlobalConstant(global, true);
  LLVMSetAlignment(global, 8);
  return global;
}

LLVMValueRef tn_entry_text(tn_lower *l, const char *text) {
  size_t length = strlen(text);
  LLVMValueRef bytes = LLVMConstStringInContext2(l->llvm, text, length, false);
  LLVMValueRef global = tn_entry_constant(l, "text", bytes);
  LLVMSetLinkage(global, LLVMPrivateLinkage);
  LLVMSetUnnamedAddress(global, LLVMGlobalUnnamedAddr);
  LLVMSetAlignment(global, 1);
  return global;
}

void tn_entry_emit_extents(tn_entry *e) {
  tn_lower *l = e->l;
  LLVMTypeRef type = LLVMFunctionType(l->nothing, (LLVMTypeRef[]){l->ptr, l->ptr}, 2, false);
  e->out_extents = tn_entry_function(e, "out_extents", type, false);
  tn_dim_code code = tn_dim_code_start(l, e->program, LLVMGetParam(e->out_extents, 0), false);
  uint64_t n = 0;
  for (uint32_t i = 0; i < e->n_outputs; i++)
    for (uint32_t axis = 0; axis < e->outputs[i]->ndim; axis++, n++)
      tn_entry_store(l, tn_dim_code_value(&code, e->outputs[i]->dims[axis]), LLVMGetParam(e->out_extents, 1), 8 * n);
  LLVMBuildRetVoid(l->builder);
}

void tn_entry_emit_arena_bytes(tn_entry *e) {
  tn_lower *l = e->l;
  e->arena_bytes = tn_entry_function(e, "plan_bytes", LLVMFunctionType(l->i64, &l->ptr, 1, false), false);
  tn_dim_code code = tn_dim_code_start(l, e->program, LLVMGetParam(e->arena_bytes, 0), true);
  LLVMValueRef bytes = tn_dim_code_value(&code, e->program->arena_bytes);
  LLVMValueRef is_wrong = LLVMBuildICmp(l->builder, LLVMIntSLT, bytes, LLVMConstNull(l->i64), "");
  is_wrong = LLVMBuildOr(l->builder, is_wrong, code.overflow, "");
  LLVMBuildRet(l->builder, tn_lower_select(l, is_wrong, LLVMConstAllOnes(l->i64), bytes));
}

/* Inputs and outputs are those of the function that the program computes. */
void tn_entry_find_ports(tn_entry *e) {
  const tn_block *body = e->program->func->body;
  const tn_node *end = body->last;
  e->n_inputs = (uint32_t)body->params.n;
  e->inputs = body->params.data;
  e->n_outputs = end == NULL ? 0 : end->n_operands;
  e->outputs = TN_NEW_N(e->l->arena, const tn_type *, e->n_outputs);
  for (uint32_t i = 0; i < e->n_outputs; i++) e->outputs[i] = end->operands[i].value->type;
}

static void declare_weights(tn_entry *e) {
  tn_lower *l = e->l;
  if (e->program->weights_bytes == 0 || e->options->external) return;
  const char *name = e->options->weights;
  if (name == NULL) name = tn_arena_printf(l->arena, "%s_weights", e->options->prefix);
  e->weights = LLVMAddGlobal(l->module, l->i8, name);
  LLVMSetVisibility(e->weights, LLVMHiddenVisibility);
  LLVMSetGlobalConstant(e->weights, true);
  LLVMSetAlignment(e->weights, 64);
}

void tn_entry_emit(tn_lower *l, const tn_program *program, const tn_emit_options *options,
                   const char *const *kernel_names) {
  tn_entry e = {.l = l, .program = program, .options = options, .kernel_names = kernel_names};
  e.n_steps = (uint32_t)tn_program_all_steps(program, l->arena).n;
  tn_entry_find_ports(&e);
  declare_weights(&e);
  tn_entry_find_checks(&e);
  tn_entry_emit_bind(&e);
  tn_entry_emit_check_sizes(&e);
  tn_entry_emit_extents(&e);
  tn_entry_emit_arena_bytes(&e);
  if (options->with_main) tn_entry_emit_costs(&e);
  tn_entry_emit_run(&e);
  tn_entry_emit_model(&e);
  if (!options->is_variant) tn_entry_emit_c_level(&e);
}
