/* What code can know of sizes: every one that a program uses must be bound by an axis of its inputs or read by a step;
 * and what becomes known with each step that reads some. */
#include "ir/program.h"

typedef struct search {
  tn_ctx *ctx;
  const tn_program *program;
  tn_map seen; /* symbols looked at */
  tn_loc loc;
  bool ok;
} search;

static bool is_bound(const tn_program *program, const tn_symbol *symbol) {
  for (size_t i = 0; i < program->bindings.n; i++)
    if (program->bindings.data[i].symbol == symbol) return true;
  for (size_t i = 0; i < program->late.n; i++)
    if (program->late.data[i] == symbol) return true;
  return false;
}

static void visit(void *user, const tn_symbol *symbol) {
  search *s = user;
  if (tn_map_has(&s->seen, symbol)) return;
  tn_map_set(&s->seen, symbol, (void *)symbol);
  if (is_bound(s->program, symbol)) return;
  if (symbol->kind == TN_SYM_LOOP) {
    tn_dim_symbols(symbol->extent, visit, s);
    return;
  }
  if (symbol->kind == TN_SYM_INPUT)
    s->ok = tn_error(s->ctx, s->loc, TN_E_BACKEND, "size '%s' is not bound by any input of '%s'", symbol->name,
                     s->program->name);
  else
    s->ok = tn_error(s->ctx, s->loc, TN_E_LOWER, "size '%s' is found only while running: code cannot have it yet",
                     symbol->name);
}

static void look(search *s, const tn_dim *dim) {
  if (dim != NULL) tn_dim_symbols(dim, visit, s);
}

static void look_at_buffer(search *s, const tn_buffer *buffer) {
  look(s, buffer->bytes);
  look(s, buffer->offset);
  look(s, buffer->at);
  for (uint32_t i = 0; i < buffer->type->ndim; i++) look(s, buffer->type->dims[i]);
}

bool tn_program_check_sizes(tn_ctx *ctx, const tn_program *program) {
  tn_arena *scratch = tn_arena_create_scratch(ctx->arena);
  search s = {.ctx = ctx, .program = program, .seen = tn_map_create(scratch), .ok = true};
  tn_steps steps = tn_program_all_steps(program, scratch);
  for (size_t i = 0; i < steps.n; i++) {
    const tn_step *step = steps.data[i];
    s.loc = step->loc;
    for (size_t k = 0; k < step->args.n; k++) look_at_buffer(&s, step->args.data[k]);
    look(&s, step->scratch_bytes);
    if (step->symbol != NULL) visit(&s, step->symbol);
    for (size_t k = 0; step->kind == TN_STEP_KERNEL && k < step->kernel->symbols.n; k++)
      visit(&s, step->kernel->symbols.data[k]);
  }
  s.loc = TN_LOC_NONE;
  look(&s, program->arena_bytes);
  for (size_t i = 0; i < program->guards.n; i++) {
    s.loc = program->guards.data[i].loc;
    look(&s, program->guards.data[i].p);
    look(&s, program->guards.data[i].q);
  }
  tn_arena_destroy(scratch);
  return s.ok;
}

void tn_step_add_guard(tn_program *program, tn_step *step, const tn_guard *guard) {
  TN_ASSERT(step->kind == TN_STEP_CHECK);
  TN_VEC_PUSH(program->module->arena, &step->guards, (uint32_t)program->guards.n);
  TN_VEC_PUSH(program->module->arena, &program->guards, *guard);
  program->guards.data[program->guards.n - 1].is_inner = true;
}

/* Late symbols. */

void tn_step_add_read(tn_program *program, tn_step *step, const tn_symbol *symbol) {
  TN_ASSERT(step->kind == TN_STEP_READ);
  TN_VEC_PUSH(program->module->arena, &step->reads, symbol);
  TN_VEC_PUSH(program->module->arena, &program->late, symbol);
}

bool tn_type_is_late(const tn_type *type) {
  for (uint32_t i = 0; i < type->ndim; i++)
    if (tn_dim_is_late(type->dims[i])) return true;
  return false;
}

bool tn_buffer_is_planned(const tn_buffer *buffer) {
  return buffer->kind == TN_BUFFER_ARENA || (buffer->kind == TN_BUFFER_OUTPUT && tn_type_is_late(buffer->type));
}

/* The walk over the steps: which late symbols have values, and what the present step adds. */
typedef struct walk {
  const tn_program *program;
  tn_arena *arena;
  tn_completion *all;
  uint32_t next;           /* number of the next step */
  tn_map known;            /* symbols with a value here */
  const tn_symbols *news;  /* of the step looked at */
  bool is_new, is_missing; /* of the dims looked at so far */
  bool *waits;             /* by guard: an inner one whose CHECK step could not decide it */
} walk;

static void look_late(void *user, const tn_symbol *symbol) {
  walk *w = user;
  if (symbol->kind == TN_SYM_LOOP) tn_dim_symbols(symbol->extent, look_late, w);
  if (!tn_symbol_is_late(symbol)) return;
  if (!tn_map_get(&w->known, symbol)) w->is_missing = true;
  for (size_t i = 0; i < w->news->n; i++) w->is_new |= w->news->data[i] == symbol;
}

static bool completes(walk *w, const tn_dim *const *dims, uint32_t n) {
  w->is_new = w->is_missing = false;
  for (uint32_t i = 0; i < n; i++) tn_dim_symbols(dims[i], look_late, w);
  return w->is_new && !w->is_missing;
}

static bool guard_completes(walk *w, size_t i) {
  const tn_dim *sides[2] = {w->program->guards.data[i].p, w->program->guards.data[i].q};
  return completes(w, sides, 2);
}

static void complete_check(walk *w, const tn_step *step, tn_completion *out) {
  w->news = &step->reads; /* none */
  for (size_t i = 0; i < step->guards.n; i++) {
    uint32_t number = step->guards.data[i];
    guard_completes(w, number);
    w->waits[number] = w->is_missing;
    if (!w->is_missing) TN_VEC_PUSH(w->arena, &out->guards, number);
  }
}

static void complete_read(walk *w, const tn_step *step, tn_completion *out) {
  w->news = &step->reads;
  for (size_t i = 0; i < step->reads.n; i++) tn_map_set(&w->known, step->reads.data[i], (void *)step);
  for (size_t i = 0; i < w->program->guards.n; i++)
    if ((w->waits[i] || !w->program->guards.data[i].is_inner) && guard_completes(w, i))
      TN_VEC_PUSH(w->arena, &out->guards, (uint32_t)i);
  for (size_t i = 0; i < w->program->buffers.n; i++) {
    tn_buffer *buffer = w->program->buffers.data[i];
    if (buffer->kind != TN_BUFFER_VIEW && completes(w, buffer->type->dims, buffer->type->ndim))
      TN_VEC_PUSH(w->arena, &out->buffers, buffer);
  }
}

/* Symbols that steps inside another read are known there only. */
static void walk_steps(walk *w, const tn_steps *steps, bool is_inner) {
  for (size_t i = 0; i < steps->n; i++) {
    const tn_step *step = steps->data[i];
    tn_completion *here = &w->all[w->next++];
    if (step->kind == TN_STEP_READ) complete_read(w, step, here);
    if (step->kind == TN_STEP_CHECK) complete_check(w, step, here);
    walk_steps(w, &step->body, true);
    walk_steps(w, &step->otherwise, true);
  }
  for (size_t i = 0; i < steps->n && is_inner; i++) {
    const tn_step *step = steps->data[i];
    for (size_t k = 0; k < step->reads.n; k++) tn_map_set(&w->known, step->reads.data[k], NULL);
    for (size_t k = 0; k < step->guards.n; k++) w->waits[step->guards.data[k]] = false;
  }
}

tn_completion *tn_program_completions(const tn_program *program, tn_arena *arena) {
  walk w = {.program = program, .arena = arena, .known = tn_map_create(arena)};
  w.all = TN_NEW_N(arena, tn_completion, tn_program_all_steps(program, arena).n + 1);
  w.waits = TN_NEW_N(arena, bool, program->guards.n);
  bool has_inner = false;
  for (size_t i = 0; i < program->guards.n; i++) has_inner |= program->guards.data[i].is_inner;
  if (program->late.n > 0 || has_inner) walk_steps(&w, &program->steps, false);
  return w.all;
}
