/* The reference of programs; see eval_program.h. */
#include "ir/eval_program.h"

#include <string.h>

/* Memory of a buffer: elements where its storage puts them. A view is another (type, storage) of the same memory. */
typedef struct memory {
  tn_number *data;
  int64_t count;
} memory;

typedef struct run {
  tn_ctx *ctx;
  tn_arena *arena;
  const tn_program *program;
  const tn_tensor *const *inputs;
  memory *memories; /* by buffer id */
  tn_map values; /* tn_symbol of a loop that runs, or that a step has read -> boxed int64 */
  const tn_completion *completions; /* one a step, by number */
} run;

static bool bind(const void *user, const tn_symbol *symbol, int64_t *out) {
  const run *r = user;
  for (size_t i = 0; i < r->program->bindings.n; i++) {
    const tn_binding *binding = &r->program->bindings.data[i];
    if (binding->symbol != symbol) continue;
    *out = r->inputs[binding->input]->extents[binding->axis];
    return true;
  }
  const int64_t *value = tn_map_get(&r->values, symbol);
  if (value) *out = *value;
  return value != NULL;
}

static tn_tensor *make_tensor(const run *r, const tn_type *type) {
  int64_t extents[TN_MAX_NDIM];
  for (uint32_t i = 0; i < type->ndim; i++)
    if (!tn_dim_evaluate(type->dims[i], bind, r, &extents[i]) || extents[i] < 0) return NULL;
  return tn_tensor_create(r->arena, type->dtype, type->ndim, extents);
}

static bool make_memory(run *r, const tn_buffer *buffer) {
  const tn_dim *strides[TN_MAX_NDIM], *total;
  memory *m = &r->memories[buffer->id];
  if (buffer->kind == TN_BUFFER_VIEW) return true; /* a part of its owner's, found when it is used */
  tn_storage_strides(r->ctx, buffer->type, buffer->storage, strides, &total);
  if (!tn_dim_evaluate(total, bind, r, &m->count) || m->count < 0) return false;
  m->data = TN_NEW_N(r->arena, tn_number, (size_t)m->count);
  return true;
}

/* The memory of a buffer now: of a view, its part of the owner's. False when that leaves the owner. */
static bool find_memory(const run *r, const tn_buffer *buffer, memory *out) {
  *out = r->memories[buffer->id];
  if (buffer->kind != TN_BUFFER_VIEW) return true;
  const tn_dim *strides[TN_MAX_NDIM], *total;
  const memory *owner = &r->memories[buffer->owner->id];
  int64_t offset;
  tn_storage_strides(r->ctx, buffer->owner->type, buffer->owner->storage, strides, &total);
  if (!tn_dim_evaluate(tn_dim_mul(r->ctx, strides[0], buffer->at), bind, r, &offset)) return false;
  tn_storage_strides(r->ctx, buffer->type, buffer->storage, strides, &total);
  if (!tn_dim_evaluate(total, bind, r, &out->count) || out->count < 0) return false;
  if (offset < 0 || offset > owner->count || out->count > owner->count - offset) return false;
  out->data = owner->data + offset;
  return true;
}

typedef enum direction { TO_MEMORY, FROM_MEMORY } direction;

/* Copies between a logical tensor and memory seen as (type, storage). False when the view leaves the memory. */
static bool transfer(const run *r, const tn_type *type, const tn_storage *storage, tn_tensor *tensor, const memory *m,
                     direction way) {
  const tn_dim *dims[TN_MAX_NDIM], *total;
  int64_t strides[TN_MAX_NDIM], index[TN_MAX_NDIM];
  tn_storage_strides(r->ctx, type, storage, dims, &total);
  for (uint32_t i = 0; i < type->ndim; i++)
    if (!tn_dim_evaluate(dims[i], bind, r, &strides[i])) return false;
  for (int64_t flat = 0; flat < tensor->count; flat++) {
    int64_t at = 0;
    tn_tensor_unravel(tensor, flat, index);
    for (uint32_t i = 0; i < type->ndim; i++) at += index[i] * strides[i];
    if (at < 0 || at >= m->count) return false;
    if (way == TO_MEMORY)
      m->data[at] = tensor->data[flat];
    else
      tensor->data[flat] = m->data[at];
  }
  return true;
}

/* The bits of the elements as those of the tensor's own type. */
static void reinterpret(tn_tensor *tensor, tn_dtype from) {
  unsigned char bytes[sizeof(tn_number)];
  for (int64_t i = 0; i < tensor->count && tensor->dtype != from; i++) {
    tn_number_store(from, tensor->data[i], bytes);
    tensor->data[i] = tn_number_load(tensor->dtype, bytes);
  }
}

static bool run_kernel(const run *r, const tn_step *step, bool wide) {
  const tn_kernel *kernel = step->kernel;
  tn_tensor **args = TN_NEW_N(r->arena, tn_tensor *, step->args.n);
  int64_t *symbols = TN_NEW_N(r->arena, int64_t, kernel->symbols.n);
  for (size_t k = 0; k < kernel->symbols.n; k++)
    if (!bind(r, kernel->symbols.data[k], &symbols[k])) return false;
  for (size_t a = 0; a < step->args.n; a++) {
    const tn_karg *arg = &kernel->args.data[a];
    memory from;
    args[a] = make_tensor(r, arg->type);
    if (!args[a] || !find_memory(r, step->args.data[a], &from) ||
        !transfer(r, arg->type, arg->storage, args[a], &from, FROM_MEMORY))
      return false;
    reinterpret(args[a], step->args.data[a]->type->dtype);
  }
  if (!tn_kernel_eval(kernel, r->arena, wide, symbols, args)) return false;
  for (size_t a = 0; a < step->args.n; a++) {
    const tn_karg *arg = &kernel->args.data[a];
    memory to;
    if (arg->is_output && (!find_memory(r, step->args.data[a], &to) ||
                           !transfer(r, arg->type, arg->storage, args[a], &to, TO_MEMORY)))
      return false;
  }
  return true;
}

static bool run_copy(const run *r, const tn_step *step) {
  memory from, to;
  if (!find_memory(r, step->args.data[0], &from) || !find_memory(r, step->args.data[1], &to)) return false;
  if (from.count != to.count) return false;
  if (from.count) memcpy(to.data, from.data, (size_t)from.count * sizeof(*to.data));
  return true;
}

static bool guard_holds(const run *r, const tn_guard *guard) {
  int64_t p, q;
  if (!tn_dim_evaluate(guard->p, bind, r, &p) || !tn_dim_evaluate(guard->q, bind, r, &q)) return false;
  return guard->kind == TN_GUARD_EQ ? p == q : p <= q;
}

static bool guards_hold(const run *r, const tn_completion *news) {
  for (size_t i = 0; i < news->guards.n; i++)
    if (!guard_holds(r, &r->program->guards.data[news->guards.data[i]])) return false;
  return true;
}

/* Values live as long as the iteration around; so do the memories they size. */
static bool run_read(run *r, const tn_step *step, uint32_t number) {
  memory m;
  const tn_completion *news = &r->completions[number];
  if (!find_memory(r, step->args.data[0], &m) || m.count != (int64_t)step->reads.n) return false;
  for (size_t i = 0; i < step->reads.n; i++) {
    const tn_symbol *symbol = step->reads.data[i];
    int64_t *value = TN_NEW(r->arena, int64_t);
    *value = tn_number_cast(step->args.data[0]->type->dtype, TN_I64, m.data[i]).i;
    int64_t most = symbol->hi;
    if (symbol->extent && !tn_dim_evaluate(symbol->extent, bind, r, &most)) return false;
    if (*value < symbol->lo || *value > symbol->hi || *value > most) return false;
    tn_map_set(&r->values, symbol, value);
  }
  if (!guards_hold(r, news)) return false;
  for (size_t i = 0; i < news->buffers.n; i++)
    if (!make_memory(r, news->buffers.data[i])) return false;
  return true;
}

/* Steps have the numbers from *next on. */
static bool run_steps(run *r, const tn_steps *steps, uint32_t *next, bool wide);

/* Each iteration's tensors go with it. */
static bool run_loop(run *r, const tn_step *step, uint32_t *next, bool wide) {
  tn_arena *around = r->arena;
  uint32_t first = *next;
  int64_t trip, *iteration = TN_NEW(around, int64_t);
  if (!tn_dim_evaluate(step->symbol->extent, bind, r, &trip)) return false;
  tn_map_set(&r->values, step->symbol, iteration);
  bool ok = true;
  for (*iteration = 0; ok && *iteration < trip; ++*iteration) {
    r->arena = tn_arena_create_scratch(around);
    *next = first;
    ok = run_steps(r, &step->body, next, wide);
    tn_arena_destroy(r->arena);
  }
  r->arena = around;
  tn_map_set(&r->values, step->symbol, NULL);
  return ok;
}

static bool read_condition(const run *r, const tn_step *step, bool *out) {
  memory m;
  if (!find_memory(r, step->args.data[0], &m) || m.count != 1) return false;
  *out = m.data[0].i != 0;
  return true;
}

static bool run_while(run *r, const tn_step *step, uint32_t *next, bool wide) {
  tn_arena *around = r->arena;
  uint32_t first = *next;
  bool holds = true, ok = true;
  while (ok && (ok = read_condition(r, step, &holds)) && holds) {
    r->arena = tn_arena_create_scratch(around);
    *next = first;
    ok = run_steps(r, &step->body, next, wide);
    tn_arena_destroy(r->arena);
  }
  r->arena = around;
  return ok;
}

static bool run_if(run *r, const tn_step *step, uint32_t *next, bool wide) {
  bool holds;
  if (!read_condition(r, step, &holds)) return false;
  if (!holds) *next += tn_steps_count(&step->body);
  return run_steps(r, holds ? &step->body : &step->otherwise, next, wide);
}

static bool run_step(run *r, const tn_step *step, uint32_t number, bool wide) {
  uint32_t next = number + 1;
  switch (step->kind) {
    case TN_STEP_KERNEL: return run_kernel(r, step, wide);
    case TN_STEP_COPY: return run_copy(r, step);
    case TN_STEP_LOOP: return run_loop(r, step, &next, wide);
    case TN_STEP_WHILE: return run_while(r, step, &next, wide);
    case TN_STEP_IF: return run_if(r, step, &next, wide);
    case TN_STEP_READ: return run_read(r, step, number);
    case TN_STEP_CHECK: return guards_hold(r, &r->completions[number]);
  }
  return false;
}

static bool run_steps(run *r, const tn_steps *steps, uint32_t *next, bool wide) {
  for (size_t i = 0; i < steps->n; i++) {
    const tn_step *step = steps->data[i];
    if (!run_step(r, step, *next, wide)) return false;
    *next += 1 + tn_steps_count(&step->body) + tn_steps_count(&step->otherwise);
  }
  return true;
}

/* Fills what the caller and the object bring. */
static bool fill_memory(const run *r, const tn_buffer *buffer) {
  tn_tensor *given = NULL;
  if (buffer->kind == TN_BUFFER_INPUT) given = (tn_tensor *)r->inputs[buffer->index]; /* read only: FROM the tensor */
  if (buffer->kind == TN_BUFFER_CONST) given = tn_tensor_of_const(r->arena, buffer->constant);
  return !given || transfer(r, buffer->type, buffer->storage, given, &r->memories[buffer->id], TO_MEMORY);
}

bool tn_eval_program(tn_ctx *ctx, tn_arena *arena, const tn_program *program, bool wide,
                     const tn_tensor *const *inputs, tn_tensor **outputs) {
  run r = {ctx, arena, program, inputs, TN_NEW_N(arena, memory, program->buffers.n), tn_map_create(arena),
           tn_program_completions(program, arena)};
  uint32_t next = 0;
  for (size_t i = 0; i < program->buffers.n; i++)
    if (!tn_type_is_late(program->buffers.data[i]->type) &&
        (!make_memory(&r, program->buffers.data[i]) || !fill_memory(&r, program->buffers.data[i])))
      return false;
  if (!run_steps(&r, &program->steps, &next, wide)) return false;
  for (size_t i = 0; i < program->buffers.n; i++) {
    const tn_buffer *buffer = program->buffers.data[i];
    if (buffer->kind != TN_BUFFER_OUTPUT) continue;
    outputs[buffer->index] = make_tensor(&r, buffer->type);
    if (!outputs[buffer->index] || !transfer(&r, buffer->type, buffer->storage, outputs[buffer->index],
                                             &r.memories[buffer->id], FROM_MEMORY))
      return false;
  }
  return true;
}
