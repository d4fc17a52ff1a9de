/* costs(symbols, out): what each step of the program does, for `profile` of executables. A step inside a loop counts as
 * often as the loop runs; what depends on sizes or repetitions found while running is -1. */
#include "backends/cpu/llvm/entry.h"
#include "runtime/abi.h"

/* Code of so many steps stands in one function (LLVM is quadratic in a function's length). */
enum { STEPS_A_FUNCTION = 256 };

typedef struct cost {
  const tn_dim *flops, *bytes; /* NULL: found while running */
} cost;

typedef TN_VEC(cost) cost_list;

static bool is_late(const tn_dim *dim) {
  return tn_dim_uses_kind(dim, TN_SYM_READ) || tn_dim_uses_kind(dim, TN_SYM_COUNT) ||
         tn_dim_uses_kind(dim, TN_SYM_JOIN) || tn_dim_uses_kind(dim, TN_SYM_LOOP);
}

static const tn_dim *bytes_of(tn_ctx *ctx, const tn_type *type) {
  return tn_dim_mul_i(ctx, tn_type_count(ctx, type), (int64_t)tn_dtype_bytes(type->dtype));
}

/* Elements that reads at positions found by values touch at most: as many as the points that read. */
static const tn_dim *gathered(tn_ctx *ctx, const tn_kernel *kernel, uint32_t arg) {
  for (size_t i = 0; i < kernel->nodes.n; i++) {
    const tn_knode *node = kernel->nodes.data[i];
    bool is_gather = false;
    if (node->kind != TN_K_READ || node->arg != arg) continue;
    for (uint32_t k = 0; k < node->n_index; k++)
      is_gather = is_gather || tn_dim_uses_kind(node->index[k], TN_SYM_VALUE);
    if (!is_gather) return NULL;
    const tn_dim *points = tn_dim_const(ctx, 1);
    for (size_t axis = 0; axis < kernel->space.n; axis++)
      if (node->axes >> axis & 1) points = tn_dim_mul(ctx, points, kernel->space.data[axis].extent);
    return points;
  }
  return NULL;
}

static const tn_dim *step_bytes(tn_ctx *ctx, const tn_step *step) {
  const tn_dim *sum = tn_dim_const(ctx, 0);
  for (size_t i = 0; i < step->args.n; i++) {
    const tn_type *type = step->args.data[i]->type;
    const tn_dim *points = step->kernel ? gathered(ctx, step->kernel, (uint32_t)i) : NULL;
    sum = tn_dim_add(ctx, sum, points ? tn_dim_mul_i(ctx, points, (int64_t)tn_dtype_bytes(type->dtype))
                                      : bytes_of(ctx, type));
  }
  return sum;
}

/* times: how often the steps run; NULL: found while running. */
static void add_steps(tn_lower *l, const tn_steps *steps, const tn_dim *times, cost_list *out) {
  tn_ctx *ctx = l->ctx;
  for (size_t i = 0; i < steps->n; i++) {
    const tn_step *step = steps->data[i];
    bool is_leaf = step->kind == TN_STEP_KERNEL || step->kind == TN_STEP_COPY;
    const tn_dim *zero = tn_dim_const(ctx, 0);
    cost c = {zero, zero};
    if (is_leaf) {
      c.flops = step->kernel ? tn_kernel_flops(step->kernel) : zero;
      c.bytes = step_bytes(ctx, step);
      bool known = times && !is_late(c.flops) && !is_late(c.bytes);
      c.flops = known ? tn_dim_mul(ctx, c.flops, times) : NULL;
      c.bytes = known ? tn_dim_mul(ctx, c.bytes, times) : NULL;
    }
    TN_VEC_PUSH(l->arena, out, c);
    const tn_dim *inside = step->kind == TN_STEP_LOOP && times && !is_late(step->symbol->extent)
                               ? tn_dim_mul(ctx, times, step->symbol->extent)
                               : NULL;
    add_steps(l, &step->body, inside, out);
    add_steps(l, &step->otherwise, inside, out);
  }
}

static void store(tn_lower *l, tn_dim_code *code, const tn_dim *dim, LLVMValueRef out, uint64_t offset_bytes) {
  LLVMValueRef value = dim ? tn_dim_code_value(code, dim) : tn_lower_constant_i64(l, -1);
  tn_entry_store(l, value, out, offset_bytes);
}

static LLVMValueRef emit_part(tn_entry *e, LLVMTypeRef type, const cost_list *costs, size_t first) {
  tn_lower *l = e->l;
  LLVMValueRef function = tn_entry_function(e, tn_arena_printf(l->arena, "costs_%zu", first), type, false);
  LLVMValueRef out = LLVMGetParam(function, 1);
  tn_dim_code code = tn_dim_code_start(l, e->program, LLVMGetParam(function, 0), false);
  for (size_t i = first; i < costs->n && i < first + STEPS_A_FUNCTION; i++) {
    store(l, &code, costs->data[i].flops, out, i * sizeof(tnrt_cost));
    store(l, &code, costs->data[i].bytes, out, i * sizeof(tnrt_cost) + sizeof(int64_t));
  }
  LLVMBuildRetVoid(l->builder);
  return function;
}

void tn_entry_emit_costs(tn_entry *e) {
  tn_lower *l = e->l;
  LLVMTypeRef type = LLVMFunctionType(l->nothing, (LLVMTypeRef[]){l->ptr, l->ptr}, 2, false);
  cost_list costs = {0};
  TN_VEC(LLVMValueRef) parts = {0};
  add_steps(l, &e->program->steps, tn_dim_const(l->ctx, 1), &costs);
  for (size_t i = 0; i < costs.n; i += STEPS_A_FUNCTION)
    TN_VEC_PUSH(l->arena, &parts, emit_part(e, type, &costs, i));
  e->costs = tn_entry_function(e, "costs", type, false);
  LLVMValueRef args[] = {LLVMGetParam(e->costs, 0), LLVMGetParam(e->costs, 1)};
  for (size_t i = 0; i < parts.n; i++) LLVMBuildCall2(l->builder, type, parts.data[i], args, 2, "");
  LLVMBuildRetVoid(l->builder);
}
