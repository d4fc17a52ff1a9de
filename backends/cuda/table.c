/* The table of a program: its buffers, what is checked before it runs, and its launches, as const data of C that says
 * nothing about the host. Sizes are numbers of one array, which a function fills from the size symbols. */
#include <string.h>

#include "backends/cuda/cuda.h"

static const char types[] =
    "\n#ifndef __CUDACC__\n"
    "typedef struct tn_table_buffer {\n"
    "  enum { TN_INPUT, TN_OUTPUT, TN_CONST, TN_ARENA } kind;\n"
    "  int index; /* of the input or output */\n"
    "  const char *name, *type;\n"
    "  int n_dims, dims[16];     /* sizes */\n"
    "  int element_bytes, bytes; /* bytes: a size */\n"
    "  int offset;               /* a size: from the start of the weights or of the arena */\n"
    "} tn_table_buffer;\n"
    "typedef struct tn_table_symbol {\n"
    "  const char *name;\n"
    "  int input, axis; /* the extent it stands for */\n"
    "  long long least, most;\n"
    "} tn_table_symbol;\n"
    "typedef struct tn_table_guard {\n"
    "  int p, q; /* sizes: p == q, or p <= q */\n"
    "  int is_equal;\n"
    "  const char *text;\n"
    "} tn_table_guard;\n"
    "typedef struct tn_table_step {\n"
    "  const char *kernel; /* NULL: buffer args[0] is copied to args[1] */\n"
    "  void (*call)(void *const *, const long long *, int *);\n"
    "  int grid, block; /* blocks: a size, nothing is launched when it is 0; threads: a number */\n"
    "  int n_args, n_symbols, has_status;\n"
    "  const int *args, *symbols; /* buffers; symbols */\n"
    "  const char *place;         /* of the model, for messages */\n"
    "} tn_table_step;\n"
    "typedef struct tn_table {\n"
    "  int (*find_sizes)(const long long *s, long long *z); /* 0: a size does not fit */\n"
    "  int n_sizes, n_symbols, n_buffers, n_guards, n_steps;\n"
    "  int arena; /* a size */\n"
    "  long long weights;\n"
    "  const tn_table_symbol *symbols;\n"
    "  const tn_table_buffer *buffers;\n"
    "  const tn_table_guard *guards;\n"
    "  const tn_table_step *steps;\n"
    "} tn_table;\n"
    "\n"
    "static inline long long tn_host_add(int *bad, long long x, long long y) {\n"
    "  long long v;\n"
    "  *bad |= __builtin_add_overflow(x, y, &v);\n"
    "  return v;\n"
    "}\n"
    "static inline long long tn_host_mul(int *bad, long long x, long long y) {\n"
    "  long long v;\n"
    "  *bad |= __builtin_mul_overflow(x, y, &v);\n"
    "  return v;\n"
    "}\n"
    "static inline long long tn_host_mod(int *bad, long long x, long long y) {\n"
    "  *bad |= y <= 0;\n"
    "  return y <= 0 ? 0 : x % y < 0 ? x % y + y : x % y;\n"
    "}\n"
    "static inline long long tn_host_floordiv(int *bad, long long x, long long y) {\n"
    "  *bad |= y <= 0;\n"
    "  return y <= 0 ? 0 : x / y - (x % y < 0);\n"
    "}\n"
    "static inline long long tn_host_min(long long x, long long y) { return x < y ? x : y; }\n"
    "static inline long long tn_host_max(long long x, long long y) { return x > y ? x : y; }\n"
    "static inline long long tn_host_bcast(long long x, long long y) { return x == 1 ? y : x; }\n";

typedef struct table {
  tn_ctx *ctx;
  tn_arena *arena;
  const tn_program *program;
  const char *prefix;
  const tn_cuda_launch *launches;
  tn_buf *out;
  tn_map known; /* dim -> its number and one more */
  TN_VEC(const tn_dim *) sizes;
} table;

static uint32_t size_of(table *t, const tn_dim *dim) {
  uintptr_t number = (uintptr_t)tn_map_get(&t->known, dim);
  if (number != 0) return (uint32_t)(number - 1);
  TN_VEC_PUSH(t->arena, &t->sizes, dim);
  tn_map_set(&t->known, dim, (void *)t->sizes.n);
  return (uint32_t)(t->sizes.n - 1);
}

static void put_text(table *t, const char *text) {
  tn_buf_putc(t->out, '"');
  tn_buf_escape(t->out, text, strlen(text));
  tn_buf_putc(t->out, '"');
}

static const tn_dim *stored_bytes(table *t, const tn_buffer *buffer) {
  const tn_dim *strides[TN_MAX_NDIM], *total;
  if (buffer->bytes != NULL) return buffer->bytes;
  tn_storage_strides(t->ctx, buffer->type, buffer->storage, strides, &total);
  return tn_dim_mul_i(t->ctx, total, (int64_t)tn_dtype_bytes(buffer->type->dtype));
}

static void put_buffer(table *t, const tn_buffer *buffer) {
  static const char *const kinds[] = {[TN_BUFFER_INPUT] = "TN_INPUT", [TN_BUFFER_OUTPUT] = "TN_OUTPUT",
                                      [TN_BUFFER_CONST] = "TN_CONST", [TN_BUFFER_ARENA] = "TN_ARENA",
                                      [TN_BUFFER_VIEW] = NULL}; /* only loops have views */
  const tn_type *type = buffer->type;
  tn_buf_printf(t->out, "    {%s, %u, ", kinds[buffer->kind], buffer->index);
  put_text(t, buffer->name);
  tn_buf_printf(t->out, ", \"%s\", %u, {", tn_dtype_name(type->dtype), type->ndim);
  for (uint32_t i = 0; i < type->ndim; i++) tn_buf_printf(t->out, "%s%u", i ? ", " : "", size_of(t, type->dims[i]));
  if (type->ndim == 0) tn_buf_putc(t->out, '0');
  const tn_dim *offset = buffer->offset != NULL ? buffer->offset : tn_dim_const(t->ctx, 0);
  tn_buf_printf(t->out, "}, %zu, %u, %u},\n", tn_dtype_bytes(type->dtype), size_of(t, stored_bytes(t, buffer)),
                size_of(t, offset));
}

static void put_guard(table *t, const tn_guard *guard) {
  tn_buf_printf(t->out, "    {%u, %u, %d, ", size_of(t, guard->p), size_of(t, guard->q), guard->kind == TN_GUARD_EQ);
  put_text(t, guard->text);
  tn_buf_puts(t->out, "},\n");
}

static void put_symbol(table *t, const tn_binding *binding) {
  const tn_symbol *symbol = binding->symbol;
  tn_buf_puts(t->out, "    {");
  put_text(t, symbol->name);
  tn_buf_printf(t->out, ", %u, %u, %lldll, %lldll},\n", binding->input, binding->axis,
                (long long)(symbol->lo < 0 ? 0 : symbol->lo), (long long)symbol->hi);
}

static uint32_t slot_of(const table *t, const tn_symbol *symbol) {
  uint32_t slot = 0;
  while (t->program->bindings.data[slot].symbol != symbol) slot++; /* tn_program_check_sizes: it is there */
  return slot;
}

static void put_step_lists(table *t, uint32_t index) {
  const tn_step *step = t->program->steps.data[index];
  tn_buf_printf(t->out, "static const int %s_args_%u[] = {", t->prefix, index);
  for (size_t i = 0; i < step->args.n; i++) tn_buf_printf(t->out, "%s%u", i ? ", " : "", step->args.data[i]->id);
  tn_buf_puts(t->out, "};\n");
  if (step->kind != TN_STEP_KERNEL || step->kernel->symbols.n == 0) return;
  tn_buf_printf(t->out, "static const int %s_symbols_%u[] = {", t->prefix, index);
  for (size_t i = 0; i < step->kernel->symbols.n; i++)
    tn_buf_printf(t->out, "%s%u", i ? ", " : "", slot_of(t, step->kernel->symbols.data[i]));
  tn_buf_puts(t->out, "};\n");
}

static void put_step(table *t, uint32_t index) {
  const tn_step *step = t->program->steps.data[index];
  const tn_cuda_launch *launch = &t->launches[index];
  size_t n_symbols = launch->plan != NULL ? step->kernel->symbols.n : 0;
  if (launch->plan == NULL) {
    tn_buf_printf(t->out, "    {0, 0, 0, 0, 2, 0, 0, %s_args_%u, 0, \"\"},\n", t->prefix, index);
    return;
  }
  tn_buf place = tn_buf_create(t->arena);
  tn_loc_print(t->ctx, step->loc, &place);
  tn_buf_printf(t->out, "    {\"%s\", call_%s, %u, %d, %zu, %zu, %d, %s_args_%u, ", launch->name, launch->name,
                size_of(t, launch->grid), TN_CUDA_BLOCK, step->args.n, n_symbols, launch->plan->has_status,
                t->prefix, index);
  if (n_symbols > 0) tn_buf_printf(t->out, "%s_symbols_%u, ", t->prefix, index);
  else tn_buf_puts(t->out, "0, ");
  put_text(t, place.n ? place.data : "");
  tn_buf_puts(t->out, "},\n");
}

static void put_sizes(table *t) {
  bool is_used = false;
  tn_buf_printf(t->out, "static int %s_sizes(const long long *s, long long *z) {\n  int flag = 0, *bad = &flag;\n",
                t->prefix);
  for (size_t i = 0; i < t->sizes.n; i++) {
    tn_buf_printf(t->out, "  z[%zu] = %s;\n", i, tn_cuda_host_dim(t->arena, t->program, t->sizes.data[i]));
    is_used |= !tn_dim_is_const(t->sizes.data[i]);
  }
  if (!is_used) tn_buf_puts(t->out, "  (void)s;\n");
  tn_buf_puts(t->out, "  return !*bad;\n}\n");
}

static void put_calls(table *t) {
  tn_map printed = tn_map_create(t->arena);
  for (size_t i = 0; i < t->program->steps.n; i++) {
    const tn_cuda_launch *launch = &t->launches[i];
    if (launch->plan == NULL || tn_map_has(&printed, launch->plan)) continue;
    tn_map_set(&printed, launch->plan, (void *)(uintptr_t)launch->plan);
    tn_cuda_call_print(launch->plan, launch->name, t->out);
  }
}

#define PUT_ROWS(t, type, what, list, put)                                               \
  do {                                                                                   \
    tn_buf_printf((t)->out, "static const " type " %s_" what "[] = {\n", (t)->prefix);   \
    for (size_t row = 0; row < (list).n; row++) put;                                     \
    if ((list).n == 0) tn_buf_puts((t)->out, "    {0}\n");                               \
    tn_buf_puts((t)->out, "};\n");                                                       \
  } while (0)

void tn_cuda_table_print(tn_ctx *ctx, const tn_program *program, const char *prefix, const tn_cuda_launch *launches,
                         tn_arena *arena, tn_buf *out) {
  table rows = {.ctx = ctx, .arena = arena, .program = program, .prefix = prefix, .launches = launches, .out = out,
                 .known = tn_map_create(arena)};
  table *t = &rows;
  tn_buf_puts(out, types);
  put_calls(t);
  for (uint32_t i = 0; i < program->steps.n; i++) put_step_lists(t, i);
  PUT_ROWS(t, "tn_table_symbol", "symbols", program->bindings, put_symbol(t, &program->bindings.data[row]));
  PUT_ROWS(t, "tn_table_buffer", "buffers", program->buffers, put_buffer(t, program->buffers.data[row]));
  PUT_ROWS(t, "tn_table_guard", "guards", program->guards, put_guard(t, &program->guards.data[row]));
  PUT_ROWS(t, "tn_table_step", "steps", program->steps, put_step(t, (uint32_t)row));
  uint32_t arena_size = size_of(t, program->arena_bytes);
  put_sizes(t);
  tn_buf_printf(out, "const tn_table %s_table = {%s_sizes, %zu, %zu, %zu, %zu, %zu, %u, %llull,\n    ", prefix, prefix,
                t->sizes.n, program->bindings.n, program->buffers.n, program->guards.n, program->steps.n, arena_size,
                (unsigned long long)program->weights_bytes);
  tn_buf_printf(out, "%s_symbols, %s_buffers, %s_guards, %s_steps};\n#endif\n", prefix, prefix, prefix, prefix);
}
