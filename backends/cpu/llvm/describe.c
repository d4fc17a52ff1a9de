/* The descriptor <prefix>_model (runtime/abi.h) as constants. */
#include <stddef.h>
#include <string.h>

#include "backends/cpu/llvm/entry.h"
#include "runtime/abi.h"

static LLVMValueRef word(tn_entry *e, uint64_t value) { return LLVMConstInt(e->l->i32, value, false); }

static LLVMValueRef record(tn_entry *e, LLVMValueRef *fields, unsigned n) {
  return LLVMConstStructInContext(e->l->llvm, fields, n, false);
}

static LLVMValueRef constant_global(tn_entry *e, const char *name, LLVMValueRef value) {
  LLVMValueRef global = LLVMAddGlobal(e->l->module, LLVMTypeOf(value), name);
  LLVMSetInitializer(global, value);
  LLVMSetGlobalConstant(global, true);
  LLVMSetAlignment(global, 8);
  return global;
}

/* A private array of records; NULL when empty. */
static LLVMValueRef table(tn_entry *e, LLVMValueRef *rows, size_t n) {
  if (n == 0) return LLVMConstNull(e->l->ptr);
  LLVMValueRef global = constant_global(e, "table", LLVMConstArray2(LLVMTypeOf(rows[0]), rows, n));
  LLVMSetLinkage(global, LLVMPrivateLinkage);
  return global;
}

static LLVMValueRef text(tn_entry *e, const char *value) { return tn_entry_text(e->l, value == NULL ? "" : value); }

/* The name users know a symbol by; the runtime finds it in the texts of shapes. */
static const char *symbol_name(const tn_symbol *symbol) {
  return symbol->label != NULL && symbol->label[0] != 0 ? symbol->label : symbol->name;
}

static void print_extent(const tn_dim *dim, tn_buf *out) {
  const tn_term *term = dim->n_terms == 1 ? &dim->terms[0] : NULL;
  bool is_symbol = term != NULL && term->coefficient == 1 && term->n_atoms == 1 &&
                   term->atoms[0]->kind == TN_ATOM_SYMBOL;
  if (is_symbol) tn_buf_puts(out, symbol_name(term->atoms[0]->symbol));
  else tn_dim_print(dim, out);
}

static LLVMValueRef port(tn_entry *e, const char *name, const tn_type *type) {
  tn_buf shape = tn_buf_create(e->l->arena);
  tn_buf_putc(&shape, '[');
  for (uint32_t i = 0; i < type->ndim; i++) {
    if (i > 0) tn_buf_putc(&shape, ',');
    print_extent(type->dims[i], &shape);
  }
  tn_buf_putc(&shape, ']');
  LLVMValueRef fields[4] = {text(e, name), text(e, shape.data), word(e, type->dtype), word(e, type->ndim)};
  return record(e, fields, 4);
}

static LLVMValueRef symbols(tn_entry *e) {
  tn_lower *l = e->l;
  size_t n = e->program->bindings.n;
  LLVMValueRef *rows = TN_NEW_N(l->arena, LLVMValueRef, n);
  for (size_t i = 0; i < n; i++) {
    const tn_binding *b = &e->program->bindings.data[i];
    LLVMValueRef lo = tn_lower_constant_i64(l, b->symbol->lo < 0 ? 0 : b->symbol->lo);
    LLVMValueRef fields[5] = {text(e, symbol_name(b->symbol)), lo,
                              tn_lower_constant_i64(l, b->symbol->hi), word(e, b->input), word(e, b->axis)};
    rows[i] = record(e, fields, 5);
  }
  return table(e, rows, n);
}

static LLVMValueRef inputs(tn_entry *e) {
  LLVMValueRef *rows = TN_NEW_N(e->l->arena, LLVMValueRef, e->n_inputs);
  for (uint32_t i = 0; i < e->n_inputs; i++) rows[i] = port(e, e->inputs[i]->name, e->inputs[i]->type);
  return table(e, rows, e->n_inputs);
}

static LLVMValueRef outputs(tn_entry *e) {
  const tn_func *func = e->program->func;
  LLVMValueRef *rows = TN_NEW_N(e->l->arena, LLVMValueRef, e->n_outputs);
  for (uint32_t i = 0; i < e->n_outputs; i++)
    rows[i] = port(e, i < func->result_names.n ? func->result_names.data[i] : "", e->outputs[i]);
  return table(e, rows, e->n_outputs);
}

static LLVMValueRef guards(tn_entry *e) {
  LLVMValueRef *rows = TN_NEW_N(e->l->arena, LLVMValueRef, e->checks.n);
  for (size_t i = 0; i < e->checks.n; i++) {
    LLVMValueRef fields[2] = {text(e, e->checks.data[i].text), text(e, e->checks.data[i].place)};
    rows[i] = record(e, fields, 2);
  }
  return table(e, rows, e->checks.n);
}

static LLVMValueRef steps(tn_entry *e) {
  const tn_program *program = e->program;
  LLVMValueRef *rows = TN_NEW_N(e->l->arena, LLVMValueRef, e->n_steps);
  tn_steps all = tn_program_all_steps(program, e->l->arena);
  for (size_t i = 0; i < all.n; i++) {
    const tn_step *step = all.data[i];
    tn_buf place = tn_buf_create(e->l->arena);
    if (step->loc != TN_LOC_NONE) tn_loc_print_name(e->l->ctx, step->loc, &place);
    const char *name = tn_step_name(step);
    bool is_kernel = step->kind == TN_STEP_KERNEL;
    LLVMValueRef fields[3] = {text(e, name), text(e, place.data), text(e, is_kernel ? step->strategy : name)};
    rows[i] = record(e, fields, 3);
  }
  return table(e, rows, all.n);
}

const char *tn_entry_needs(tn_entry *e) {
  tn_buf buf = tn_buf_create(e->l->arena);
  const char *at = e->l->target->features == NULL ? "" : e->l->target->features;
  while (*at != 0) {
    size_t length = strcspn(at, ",");
    if (at[0] == '+') {
      if (buf.n > 0) tn_buf_putc(&buf, ',');
      tn_buf_append(&buf, at + 1, length - 1);
    }
    at += length + (at[length] == ',');
  }
  return buf.n == 0 ? "" : buf.data;
}

/* The model's file without folder and extension, so that the same model has one name wherever it lies. */
static const char *model_name(tn_arena *arena, const tn_program *program) {
  const char *source = program->module->source;
  if (!source || !*source) return program->name;
  const char *slash = strrchr(source, '/'), *base = slash ? slash + 1 : source, *dot = strrchr(base, '.');
  size_t length = dot && dot != base ? (size_t)(dot - base) : strlen(base);
  return length ? tn_arena_strndup(arena, base, length) : program->name;
}

/* The record of weights that are a file, a tnrt_external; NULL when they are none. */
static LLVMValueRef external(tn_entry *e) {
  tn_lower *l = e->l;
  const tn_external_weights *file = e->program->weights_bytes > 0 ? e->options->external : NULL;
  if (file == NULL) return NULL;
  LLVMTypeRef ptr = l->ptr;
  LLVMTypeRef open = LLVMFunctionType(l->i32, (LLVMTypeRef[]){ptr, ptr, ptr, ptr, l->i64}, 5, false);
  LLVMTypeRef close = LLVMFunctionType(l->nothing, (LLVMTypeRef[]){ptr, ptr}, 2, false);
  LLVMValueRef fields[4] = {text(e, file->name), LLVMConstInt(l->i64, file->digest, false),
                            LLVMAddFunction(l->module, "tnrt_weights_open", open),
                            LLVMAddFunction(l->module, "tnrt_weights_close", close)};
  LLVMValueRef global = constant_global(e, "external", record(e, fields, 4));
  LLVMSetLinkage(global, LLVMPrivateLinkage);
  return global;
}

void tn_entry_emit_model(tn_entry *e) {
  tn_lower *l = e->l;
  const tn_program *program = e->program;
  e->guards = guards(e);
  e->external = e->variants == NULL ? external(e) : NULL;
  const char *target = tn_arena_printf(l->arena, "%s %s", l->target->triple, l->target->cpu_resolved);
  LLVMValueRef none = LLVMConstNull(l->ptr);
  uint32_t n_threads = e->options->n_threads == 0 ? 1 : e->options->n_threads;
  LLVMValueRef fields[] = {
      word(e, TNRT_ABI), word(e, sizeof(tnrt_model)),
      text(e, model_name(l->arena, program)), text(e, "tenon " TN_VERSION),
      text(e, target), text(e, tn_entry_needs(e)), word(e, program->bindings.n), word(e, e->n_inputs),
      word(e, e->n_outputs), word(e, e->checks.n), word(e, e->n_steps), word(e, n_threads),
      symbols(e), inputs(e), outputs(e), e->guards, steps(e),
      e->weights == NULL ? none : e->weights, LLVMConstInt(l->i64, program->weights_bytes, false),
      e->bind == NULL ? none : e->bind, e->out_extents == NULL ? none : e->out_extents,
      e->arena_bytes == NULL ? none : e->arena_bytes, e->run == NULL ? none : e->run,
      e->external == NULL ? none : e->external, e->variants == NULL ? none : e->variants};
  LLVMValueRef value = record(e, fields, TN_ARRAY_LEN(fields));
  e->model = constant_global(e, tn_arena_printf(l->arena, "%s_model", e->options->prefix), value);
  if (e->options->with_main) LLVMAddAlias2(l->module, LLVMTypeOf(value), 0, e->model, "tnrt_main_model");
}
