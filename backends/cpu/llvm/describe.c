/* The descriptor <prefix>_descriptor (runtime/abi.h) as constants. */
#include <stddef.h>
#include <string.h>

#include "backends/cpu/llvm/entry.h"
#include "runtime/abi.h"

static LLVMValueRef word(tn_entry *e, uint64_t value) { return LLVMConstInt(e->l->i32, value, false); }

static LLVMValueRef record(tn_entry *e, LLVMValueRef *fields, unsigned n) {
  return LLVMConstStructInContext(e->l->llvm, fields, n, false);
}

/* A private array of records; NULL when empty. */
static LLVMValueRef table(tn_entry *e, LLVMValueRef *rows, size_t n) {
  if (n == 0) return LLVMConstNull(e->l->ptr);
  LLVMValueRef global = tn_entry_constant(e->l, "table", LLVMConstArray2(LLVMTypeOf(rows[0]), rows, n));
  LLVMSetLinkage(global, LLVMPrivateLinkage);
  return global;
}

static LLVMValueRef text(tn_entry *e, const char *value) { return tn_entry_text(e->l, value == NULL ? "" : value); }

/* The name users know a symbol by; the runtime finds it in the texts of shapes. */
static const char *symbol_name(const tn_symbol *symbol) {
  return symbol->label != NULL && symbol->label[0] != 0 ? symbol->label : symbol->name;
}

/* The text of an extent that is no number. */
static const char *extent_text(tn_entry *e, const tn_dim *dim) {
  if (tn_dim_is_late(dim)) return "?";
  const tn_term *term = dim->n_terms == 1 ? &dim->terms[0] : NULL;
  bool is_symbol = term != NULL && term->coefficient == 1 && term->n_atoms == 1 &&
                   term->atoms[0]->kind == TN_ATOM_SYMBOL;
  if (is_symbol) return symbol_name(term->atoms[0]->symbol);
  tn_buf buf = tn_buf_create(e->l->arena);
  tn_dim_print(dim, &buf);
  return buf.data;
}

static const char *shape_text(tn_entry *e, const tn_type *type) {
  tn_buf shape = tn_buf_create(e->l->arena);
  tn_buf_putc(&shape, '[');
  for (uint32_t i = 0; i < type->ndim; i++) {
    if (i > 0) tn_buf_putc(&shape, ',');
    tn_buf_puts(&shape, extent_text(e, type->dims[i]));
  }
  tn_buf_putc(&shape, ']');
  return shape.data;
}

static LLVMValueRef extents(tn_entry *e, const tn_type *type) {
  LLVMValueRef rows[TN_MAX_NDIM];
  for (uint32_t i = 0; i < type->ndim; i++) {
    const tn_dim *dim = type->dims[i];
    bool is_fixed = tn_dim_is_const(dim);
    LLVMValueRef fields[2] = {is_fixed ? LLVMConstNull(e->l->ptr) : text(e, extent_text(e, dim)),
                              tn_lower_constant_i64(e->l, is_fixed ? tn_dim_value(dim) : -1)};
    rows[i] = record(e, fields, 2);
  }
  return table(e, rows, type->ndim);
}

/* DLPack's code of a type (DLDataTypeCode). Types below 8 bits travel as integers of 8. */
static uint32_t dlpack_code(tn_dtype dtype) {
  enum { INT, UINT, FLOAT, HANDLE, BFLOAT, BOOL = 6, F8E4M3FN = 10, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, F8E8M0 };
  switch (dtype) {
    case TN_F64: case TN_F32: case TN_F16: return FLOAT;
    case TN_BF16: return BFLOAT;
    case TN_F8E4M3: return F8E4M3FN;
    case TN_F8E4M3UZ: return F8E4M3FNUZ;
    case TN_F8E5M2: return F8E5M2;
    case TN_F8E5M2UZ: return F8E5M2FNUZ;
    case TN_F8E8M0: return F8E8M0;
    case TN_BOOL: return BOOL;
    case TN_STR: return HANDLE;
    default: return tn_dtype_is_signed(dtype) ? INT : UINT;
  }
}

static LLVMValueRef port(tn_entry *e, const char *name, const tn_type *type) {
  tn_lower *l = e->l;
  LLVMValueRef bits = LLVMConstInt(l->i8, 8 * (uint64_t)tn_dtype_bytes(type->dtype), false);
  LLVMValueRef fields[] = {text(e, name), text(e, shape_text(e, type)), word(e, type->dtype), word(e, type->ndim),
                           text(e, tn_dtype_name(type->dtype)), extents(e, type),
                           LLVMConstInt(l->i8, dlpack_code(type->dtype), false), bits,
                           LLVMConstInt(l->i16, 1, false), word(e, tn_type_is_late(type))};
  return record(e, fields, TN_ARRAY_LEN(fields));
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

/* The buffer whose memory an argument is. */
static const tn_buffer *memory_of(const tn_buffer *buffer) {
  while (buffer->kind == TN_BUFFER_VIEW) buffer = buffer->owner;
  return buffer;
}

static void note_uses(const tn_step *step, uint32_t number, uint32_t *last) {
  for (size_t i = 0; i < step->args.n; i++) {
    const tn_buffer *buffer = memory_of(step->args.data[i]);
    if (buffer->kind == TN_BUFFER_OUTPUT) last[buffer->index] = number;
  }
  for (size_t i = 0; i < step->body.n; i++) note_uses(step->body.data[i], number, last);
  for (size_t i = 0; i < step->otherwise.n; i++) note_uses(step->otherwise.data[i], number, last);
}

static LLVMValueRef last_uses(tn_entry *e) {
  const tn_steps *steps = &e->program->steps;
  uint32_t *last = TN_NEW_N(e->l->arena, uint32_t, e->n_outputs), number = 0;
  for (size_t i = 0; i < steps->n; i++) {
    const tn_step *step = steps->data[i];
    note_uses(step, number, last); /* inside of a step: when all of that is done */
    number += 1 + tn_steps_count(&step->body) + tn_steps_count(&step->otherwise);
  }
  LLVMValueRef *rows = TN_NEW_N(e->l->arena, LLVMValueRef, e->n_outputs);
  for (uint32_t i = 0; i < e->n_outputs; i++) rows[i] = word(e, last[i]);
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
    if (e->options->traces) tn_loc_print_text(e->l->ctx, step->loc, &place);
    const char *name = tn_step_name(step);
    bool is_kernel = step->kind == TN_STEP_KERNEL;
    uint32_t n_inside = tn_steps_count(&step->body) + tn_steps_count(&step->otherwise);
    LLVMValueRef fields[] = {text(e, name), text(e, place.data), text(e, is_kernel ? step->strategy : name),
                             word(e, n_inside), word(e, 0)};
    rows[i] = record(e, fields, TN_ARRAY_LEN(fields));
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
  LLVMValueRef global = tn_entry_constant(e->l, "external", record(e, fields, 4));
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
  e->name = text(e, model_name(l->arena, program));
  e->producer = text(e, "tenon " TN_VERSION);
  e->target_text = text(e, target);
  e->symbols = symbols(e);
  e->input_ports = inputs(e);
  e->output_ports = outputs(e);
  LLVMValueRef fields[] = {
      word(e, TNRT_ABI), word(e, sizeof(tnrt_model)), e->name, e->producer,
      e->target_text, text(e, tn_entry_needs(e)), word(e, program->bindings.n), word(e, e->n_inputs),
      word(e, e->n_outputs), word(e, e->checks.n), word(e, e->n_steps), word(e, n_threads),
      e->symbols, e->input_ports, e->output_ports, e->guards, steps(e),
      e->weights == NULL ? none : e->weights, LLVMConstInt(l->i64, program->weights_bytes, false),
      e->bind == NULL ? none : e->bind, e->check_sizes == NULL ? none : e->check_sizes,
      e->out_extents == NULL ? none : e->out_extents, e->arena_bytes == NULL ? none : e->arena_bytes,
      e->run == NULL ? none : e->run,
      e->external == NULL ? none : e->external, e->variants == NULL ? none : e->variants,
      word(e, program->late.n), word(e, tn_emit_slots(program, e->options)), e->costs == NULL ? none : e->costs,
      e->run == NULL ? none : last_uses(e)};
  LLVMValueRef value = record(e, fields, TN_ARRAY_LEN(fields));
  e->model = tn_entry_constant(e->l, tn_arena_printf(l->arena, "%s_descriptor", e->options->prefix), value);
  if (e->options->with_main) LLVMAddAlias2(l->module, LLVMTypeOf(value), 0, e->model, "tnrt_main_model");
}
