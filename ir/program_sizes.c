/* What code can know of sizes: every one that a program uses must be bound by an axis of its inputs. */
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
