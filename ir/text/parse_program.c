/* Reads programs. */
#include "ir/text/parse.h"

typedef struct program_text {
  tn_program *program;
  tn_map buffers; /* interned name -> tn_buffer */
  tn_steps *steps; /* where steps go: the program's, or those inside another */
  uint32_t n_steps;
} program_text;

static bool need_dots(tn_parser *p) {
  if (tn_parse_peek(p)->kind != TN_TOKEN_DOTS) return tn_parse_expected(p, "'..'");
  tn_parse_next(p);
  return true;
}

static bool parse_u32(tn_parser *p, uint32_t *out) {
  uint64_t value;
  if (!tn_parse_uint(p, UINT32_MAX, &value)) return false;
  *out = (uint32_t)value;
  return true;
}

/* "name dim" when there. */
static bool parse_dim_field(tn_parser *p, const char *name, const tn_dim **out) {
  return !tn_parse_take_name(p, name) || tn_parse_dim(p, out);
}

static bool parse_bind(tn_parser *p, program_text *text, const tn_token *start) {
  tn_binding binding;
  const char *name;
  const tn_token *token = tn_parse_peek(p);
  if (!tn_parse_identifier(p, "a symbol", &name) || !tn_parse_need_char(p, '=') || !tn_parse_need_name(p, "extent") ||
      !tn_parse_need_char(p, '(') || !tn_parse_need_name(p, "in") || !parse_u32(p, &binding.input) ||
      !tn_parse_need_char(p, ',') || !parse_u32(p, &binding.axis) || !tn_parse_need_char(p, ')'))
    return false;
  (void)start;
  binding.symbol = tn_map_get(&p->symbols, name);
  if (!binding.symbol) return tn_parse_fail(p, token, "no symbol '%s' is in scope", name);
  /* The slot is the symbol's place in this list (program.h); symbols are otherwise never written. */
  ((tn_symbol *)binding.symbol)->slot = (uint32_t)text->program->bindings.n;
  TN_VEC_PUSH(p->module->arena, &text->program->bindings, binding);
  return true;
}

static bool parse_guard(tn_parser *p, program_text *text, const tn_token *start) {
  tn_guard guard;
  if (!tn_parse_guard(p, start, &guard)) return false;
  TN_VEC_PUSH(p->module->arena, &text->program->guards, guard);
  return true;
}

static bool parse_buffer_ref(tn_parser *p, program_text *text, tn_buffer **out) {
  const tn_token *token = tn_parse_peek(p);
  const char *name;
  if (!tn_parse_named(p, TN_TOKEN_VALUE, "a buffer", &name)) return false;
  *out = tn_map_get(&text->buffers, name);
  return *out || tn_parse_fail(p, token, "there is no buffer '%%%s'", name);
}

static bool parse_view(tn_parser *p, program_text *text, tn_buffer *buffer) {
  buffer->kind = TN_BUFFER_VIEW;
  return parse_buffer_ref(p, text, &buffer->owner) && tn_parse_need_char(p, '[') && tn_parse_dim(p, &buffer->at) &&
         tn_parse_need_char(p, ']');
}

static bool parse_live(tn_parser *p, tn_buffer *buffer) {
  return parse_u32(p, &buffer->live_first) && need_dots(p) && parse_u32(p, &buffer->live_last);
}

/* "slot n" when there. */
static bool parse_slot(tn_parser *p, tn_program *program, tn_buffer *buffer) {
  const tn_token *token = tn_parse_peek(p);
  if (!tn_parse_take_name(p, "slot")) return true;
  if (!parse_u32(p, &buffer->slot)) return false;
  if (buffer->slot >= program->n_slots) program->n_slots = buffer->slot + 1;
  return buffer->slot < TN_MAX_SLOTS || tn_parse_fail(p, token, "a slot beyond number %d", TN_MAX_SLOTS - 1);
}

static bool parse_buffer_kind(tn_parser *p, program_text *text, tn_buffer *buffer) {
  const tn_token *token = tn_parse_peek_at(p, 1);
  const char *name;
  if (tn_parse_take_name(p, "in")) {
    buffer->kind = TN_BUFFER_INPUT;
    return parse_u32(p, &buffer->index);
  }
  if (tn_parse_take_name(p, "out")) {
    buffer->kind = TN_BUFFER_OUTPUT;
    return parse_u32(p, &buffer->index) &&
           (!tn_parse_take_name(p, "in_place_of") || parse_buffer_ref(p, text, &buffer->donor)) &&
           (!tn_parse_take_name(p, "live") || parse_live(p, buffer));
  }
  if (tn_parse_take_name(p, "arena")) {
    buffer->kind = TN_BUFFER_ARENA;
    return tn_parse_need_name(p, "live") && parse_live(p, buffer);
  }
  if (tn_parse_take_name(p, "view")) return parse_view(p, text, buffer);
  if (!tn_parse_take_name(p, "const")) return tn_parse_expected(p, "'in', 'out', 'arena', 'view' or 'const'");
  buffer->kind = TN_BUFFER_CONST;
  if (!tn_parse_named(p, TN_TOKEN_GLOBAL, "a constant", &name)) return false;
  buffer->constant = tn_map_get(&p->module->const_names, name);
  return buffer->constant || tn_parse_fail(p, token, "there is no constant '%s'", name);
}

static bool parse_buffer(tn_parser *p, program_text *text, const tn_token *start) {
  const char *name;
  const tn_type *type;
  const tn_storage *storage;
  if (!tn_parse_named(p, TN_TOKEN_VALUE, "a buffer", &name) || !tn_parse_need_char(p, ':') ||
      !tn_parse_type(p, &type) || !tn_parse_storage(p, type->ndim, &storage))
    return false;
  if (tn_map_get(&text->buffers, name)) return tn_parse_fail(p, start, "buffer '%%%s' is defined twice", name);
  tn_buffer *buffer = tn_program_add_buffer(text->program, TN_BUFFER_INPUT, name, type, storage);
  if (!parse_buffer_kind(p, text, buffer) || !parse_dim_field(p, "bytes", &buffer->bytes) ||
      !parse_dim_field(p, "offset", &buffer->offset) || !parse_slot(p, text->program, buffer))
    return false;
  tn_map_set(&text->buffers, name, buffer);
  return !tn_parse_take_name(p, "packed") || tn_parse_named(p, TN_TOKEN_STRING, "a packed format", &buffer->format);
}

static bool parse_memory(tn_parser *p, program_text *text, const tn_token *start) {
  (void)start;
  return tn_parse_need_name(p, "weights") && tn_parse_uint(p, INT64_MAX, &text->program->weights_bytes) &&
         parse_dim_field(p, "arena", &text->program->arena_bytes) &&
         parse_dim_field(p, "least", &text->program->arena_lower_bound);
}

static bool parse_step_kernel(tn_parser *p, tn_step *step) {
  const tn_token *token = tn_parse_peek(p);
  const char *name;
  if (!tn_parse_named(p, TN_TOKEN_GLOBAL, "a kernel", &name)) return false;
  step->kernel = tn_map_get(&p->module->kernel_names, name);
  return step->kernel || tn_parse_fail(p, token, "there is no kernel '%s'", name);
}

static bool parse_step_args(tn_parser *p, program_text *text, tn_step *step) {
  if (!tn_parse_need_char(p, '(')) return false;
  while (!tn_parse_at_char(p, ')')) {
    tn_buffer *buffer;
    if (step->args.n > 0 && !tn_parse_need_char(p, ',')) return false;
    if (!parse_buffer_ref(p, text, &buffer)) return false;
    TN_VEC_PUSH(p->module->arena, &step->args, buffer);
  }
  return tn_parse_need_char(p, ')');
}

static bool parse_inner_steps(tn_parser *p, program_text *text, tn_steps *steps);

/* "while %condition { .. }", "if %condition { .. } else { .. }" */
static bool parse_conditional(tn_parser *p, program_text *text, tn_step *step, tn_step_kind kind) {
  tn_buffer *condition;
  step->kind = kind;
  if (!parse_buffer_ref(p, text, &condition)) return false;
  TN_VEC_PUSH(p->module->arena, &step->args, condition);
  if (!parse_inner_steps(p, text, &step->body)) return false;
  return kind == TN_STEP_WHILE || (tn_parse_need_name(p, "else") && parse_inner_steps(p, text, &step->otherwise));
}

static bool parse_loop(tn_parser *p, program_text *text, tn_step *step) {
  const tn_token *token = tn_parse_peek(p);
  const char *name;
  step->kind = TN_STEP_LOOP;
  if (!tn_parse_identifier(p, "a loop's symbol", &name)) return false;
  step->symbol = tn_map_get(&p->symbols, name);
  if (!step->symbol || step->symbol->kind != TN_SYM_LOOP)
    return tn_parse_fail(p, token, "'%s' is no symbol of a loop", name);
  return parse_inner_steps(p, text, &step->body);
}

/* "read %buffer -> ?1, ?2" */
static bool parse_read(tn_parser *p, program_text *text, tn_step *step) {
  tn_buffer *from;
  step->kind = TN_STEP_READ;
  if (!parse_buffer_ref(p, text, &from)) return false;
  TN_VEC_PUSH(p->module->arena, &step->args, from);
  if (tn_parse_peek(p)->kind != TN_TOKEN_ARROW) return true;
  tn_parse_next(p);
  do {
    const tn_token *token = tn_parse_peek(p);
    const char *name;
    if (!tn_parse_identifier(p, "a symbol", &name)) return false;
    const tn_symbol *symbol = tn_map_get(&p->symbols, name);
    if (!symbol || symbol->kind != TN_SYM_READ) return tn_parse_fail(p, token, "'%s' is no symbol to read", name);
    tn_step_add_read(text->program, step, symbol);
  } while (tn_parse_take_char(p, ','));
  return true;
}

/* "check", then its guards. */
static bool parse_check(tn_parser *p, program_text *text, tn_step *step, const tn_token *start) {
  step->kind = TN_STEP_CHECK;
  if (!tn_parse_loc_ref(p, start, &step->loc)) return false;
  while (tn_token_is(tn_parse_peek(p), "guard")) {
    const tn_token *at = tn_parse_next(p);
    tn_guard guard;
    if (!tn_parse_guard(p, at, &guard)) return false;
    tn_step_add_guard(text->program, step, &guard);
  }
  return true;
}

static bool parse_step(tn_parser *p, program_text *text, const tn_token *start) {
  uint64_t number;
  tn_step *step = tn_step_add(text->program, text->steps, TN_STEP_COPY, TN_LOC_NONE);
  uint32_t expected = text->n_steps++;
  if (!tn_parse_uint(p, UINT32_MAX, &number)) return false;
  if (number != expected)
    return tn_parse_fail(p, start, "expected step %u, found %llu", expected, (unsigned long long)number);
  if (tn_parse_take_name(p, "loop")) return parse_loop(p, text, step) && tn_parse_loc_ref(p, start, &step->loc);
  if (tn_parse_take_name(p, "while"))
    return parse_conditional(p, text, step, TN_STEP_WHILE) && tn_parse_loc_ref(p, start, &step->loc);
  if (tn_parse_take_name(p, "if"))
    return parse_conditional(p, text, step, TN_STEP_IF) && tn_parse_loc_ref(p, start, &step->loc);
  if (tn_parse_take_name(p, "read")) return parse_read(p, text, step) && tn_parse_loc_ref(p, start, &step->loc);
  if (tn_parse_take_name(p, "check")) return parse_check(p, text, step, start);
  if (tn_parse_take_name(p, "kernel")) {
    step->kind = TN_STEP_KERNEL;
    if (!parse_step_kernel(p, step)) return false;
  } else if (!tn_parse_need_name(p, "copy")) {
    return false;
  }
  if (!parse_step_args(p, text, step) || !tn_parse_need_name(p, "parts") || !parse_u32(p, &step->parts)) return false;
  if (tn_parse_take_name(p, "as") && !tn_parse_named(p, TN_TOKEN_STRING, "a strategy", &step->strategy)) return false;
  if (!parse_dim_field(p, "scratch", &step->scratch_bytes)) return false;
  if (tn_parse_take_name(p, "in") && !parse_buffer_ref(p, text, &step->scratch)) return false;
  return tn_parse_loc_ref(p, start, &step->loc);
}

static const struct {
  const char *keyword;
  bool (*parse)(tn_parser *p, program_text *text, const tn_token *start);
} lines[] = {
    {"bind", parse_bind}, {"guard", parse_guard}, {"buf", parse_buffer}, {"memory", parse_memory}, {"step", parse_step},
};

static bool parse_line(tn_parser *p, program_text *text) {
  const tn_token *start = tn_parse_peek(p);
  for (size_t i = 0; i < TN_ARRAY_LEN(lines); i++)
    if (tn_parse_take_name(p, lines[i].keyword)) return lines[i].parse(p, text, start);
  return tn_parse_expected(p, "'bind', 'guard', 'buf', 'memory' or 'step'");
}

/* "{ step .. }" */
static bool parse_inner_steps(tn_parser *p, program_text *text, tn_steps *steps) {
  tn_steps *around = text->steps;
  if (!tn_parse_need_char(p, '{') || !tn_parse_enter(p)) return false;
  text->steps = steps;
  bool ok = true;
  while (ok && !tn_parse_at_char(p, '}')) {
    const tn_token *start = tn_parse_peek(p);
    ok = tn_parse_need_name(p, "step") && parse_step(p, text, start);
  }
  text->steps = around;
  tn_parse_leave(p);
  return ok && tn_parse_need_char(p, '}');
}

static bool parse_lines(tn_parser *p, program_text *text) {
  bool ok = true;
  while (!tn_parse_at_char(p, '}')) {
    if (tn_parse_peek(p)->kind == TN_TOKEN_END) return tn_parse_expected(p, "'}'");
    size_t start = p->at;
    if (parse_line(p, text)) continue;
    ok = false;
    tn_parse_recover(p, start);
  }
  tn_parse_next(p);
  return ok;
}

bool tn_parse_program(tn_parser *p, const tn_token *start) {
  const char *name, *of;
  if (!tn_parse_named(p, TN_TOKEN_GLOBAL, "a program's name", &name)) return false;
  tn_func *func = NULL;
  if (tn_parse_take_name(p, "of")) {
    if (!tn_parse_named(p, TN_TOKEN_GLOBAL, "a function", &of)) return false;
    func = tn_map_get(&p->funcs, of);
    if (!func) return tn_parse_fail(p, start, "there is no function '%s' above", of);
  }
  program_text text = {.program = tn_program_create(p->module, func, name), .buffers = tn_map_create(p->scratch)};
  text.steps = &text.program->steps;
  if (tn_parse_take_name(p, "target") && !tn_parse_named(p, TN_TOKEN_STRING, "a target", &text.program->target))
    return false;
  return tn_parse_need_char(p, '{') && parse_lines(p, &text);
}
