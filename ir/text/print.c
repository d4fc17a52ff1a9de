/* Prints a module: the parts all levels share, symbols, and the list of locations. */
#include "ir/text/print.h"

#include <string.h>

#include "ir/text/lex.h"

void tn_print_indent(tn_printer *p) {
  for (unsigned i = 0; i < p->indent; i++) tn_buf_puts(p->out, "  ");
}

void tn_print_quoted(tn_printer *p, const char *text) {
  tn_buf_putc(p->out, '"');
  tn_buf_escape(p->out, text, strlen(text));
  tn_buf_putc(p->out, '"');
}

void tn_print_name(tn_printer *p, char sigil, const char *name) {
  tn_buf_putc(p->out, sigil);
  if (tn_lex_is_plain_name(name)) tn_buf_puts(p->out, name);
  else tn_print_quoted(p, name);
}

/* Numbers are given in order of appearance, so printing a text that was read gives the same numbers. */
static uint32_t loc_number(tn_printer *p, tn_loc loc) {
  if (loc == TN_LOC_NONE) return 0;
  uintptr_t number = (uintptr_t)tn_map_get_u64(&p->locs, loc);
  if (number == 0) {
    TN_VEC_PUSH(p->scratch, &p->loc_list, loc);
    number = p->loc_list.n;
    tn_map_set_u64(&p->locs, loc, (void *)number);
  }
  return (uint32_t)number;
}

void tn_print_loc_ref(tn_printer *p, tn_loc loc) { tn_buf_printf(p->out, " loc(%u)", loc_number(p, loc)); }

static bool is_row_major(const tn_storage *storage) {
  for (uint32_t i = 0; i < storage->ndim; i++)
    if (storage->order[i] != i) return false;
  return true;
}

void tn_print_type(tn_printer *p, const tn_type *type, const tn_storage *storage) {
  tn_type_print(type, p->out);
  if (!storage) return;
  if (!is_row_major(storage)) {
    tn_buf_puts(p->out, " order(");
    for (uint32_t i = 0; i < storage->ndim; i++) tn_buf_printf(p->out, "%s%u", i > 0 ? "," : "", storage->order[i]);
    tn_buf_putc(p->out, ')');
  }
  if (storage->align_elements != 1) tn_buf_printf(p->out, " align(%lld)", (long long)storage->align_elements);
  if (storage->pad_elements != 0) tn_buf_printf(p->out, " pad(%lld)", (long long)storage->pad_elements);
  if (!storage->format) return;
  tn_buf_puts(p->out, " format(");
  tn_print_quoted(p, storage->format);
  tn_buf_putc(p->out, ')');
}

void tn_print_dims(tn_printer *p, const tn_dim *const *dims, uint32_t n) {
  tn_buf_putc(p->out, '[');
  for (uint32_t i = 0; i < n; i++) {
    if (i > 0) tn_buf_puts(p->out, ", ");
    tn_dim_print(dims[i], p->out);
  }
  tn_buf_putc(p->out, ']');
}

void tn_print_guard(tn_printer *p, const tn_guard *guard) {
  tn_print_indent(p);
  tn_buf_puts(p->out, "guard ");
  tn_dim_print(guard->p, p->out);
  tn_buf_puts(p->out, guard->kind == TN_GUARD_EQ ? " == " : " <= ");
  tn_dim_print(guard->q, p->out);
  tn_buf_putc(p->out, ' ');
  tn_print_quoted(p, guard->text);
  tn_print_loc_ref(p, guard->loc);
  tn_buf_putc(p->out, '\n');
}

static void print_bound(tn_printer *p, int64_t bound) {
  if (bound == TN_DIM_INF) tn_buf_puts(p->out, "inf");
  else if (bound == TN_DIM_MINUS_INF) tn_buf_puts(p->out, "-inf");
  else tn_buf_printf(p->out, "%lld", (long long)bound);
}

void tn_print_range(tn_printer *p, const tn_symbol *symbol) {
  tn_buf_puts(p->out, " in [");
  print_bound(p, symbol->lo);
  tn_buf_puts(p->out, ", ");
  print_bound(p, symbol->hi);
  tn_buf_putc(p->out, ']');
}

static void print_symbol(tn_printer *p, const tn_symbol *symbol) {
  static const char *const kinds[] = {"", " read", " count", " join", " loop "};
  tn_buf_printf(p->out, "sym %s", symbol->name);
  if (symbol->label) {
    tn_buf_putc(p->out, ' ');
    tn_print_quoted(p, symbol->label);
  }
  tn_print_range(p, symbol);
  if (symbol->kind <= TN_SYM_LOOP) tn_buf_puts(p->out, kinds[symbol->kind]);
  if (tn_symbol_is_late(symbol) && symbol->extent) tn_buf_puts(p->out, " most ");
  if (symbol->kind <= TN_SYM_LOOP && symbol->extent) tn_dim_print(symbol->extent, p->out);
  tn_buf_putc(p->out, '\n');
}

static void print_onnx_loc(tn_printer *p, const tn_loc_info *info) {
  tn_buf_puts(p->out, "onnx ");
  tn_print_quoted(p, info->file);
  tn_buf_printf(p->out, " %lld ", (long long)info->node_index);
  tn_print_quoted(p, info->node_name);
  tn_buf_putc(p->out, ' ');
  tn_print_quoted(p, info->node_op);
  tn_buf_printf(p->out, " %lld", (long long)info->node_version);
  if (!info->node_scope || !info->node_scope[0]) return;
  tn_buf_puts(p->out, " in ");
  tn_print_quoted(p, info->node_scope);
}

static void print_loc(tn_printer *p, size_t index) {
  const tn_loc_info *info = tn_loc_get(p->module->ctx, p->loc_list.data[index]);
  tn_buf_printf(p->out, "loc %zu = ", index + 1);
  switch (info->kind) {
    case TN_LOC_KIND_SPAN:
      tn_buf_puts(p->out, "src ");
      tn_print_quoted(p, info->file);
      tn_buf_printf(p->out, " %u:%u-%u:%u", info->line, info->column, info->end_line, info->end_column);
      break;
    case TN_LOC_KIND_ONNX:
      print_onnx_loc(p, info);
      break;
    case TN_LOC_KIND_FROM:
      tn_buf_puts(p->out, "from ");
      for (uint32_t i = 0; i < info->n_origins; i++)
        tn_buf_printf(p->out, "%s%u", i > 0 ? ", " : "", loc_number(p, info->origins[i]));
      break;
    default:
      tn_buf_puts(p->out, "file ");
      tn_print_quoted(p, info->file ? info->file : "");
  }
  tn_buf_putc(p->out, '\n');
}

static tn_printer printer_create(const tn_module *module, tn_buf *out) {
  tn_arena *scratch = tn_arena_create_scratch(module->ctx->arena);
  return (tn_printer){.module = module, .scratch = scratch, .out = out, .values = tn_map_create(scratch),
                      .locs = tn_map_create(scratch)};
}

/* The list grows while it is printed: origins of a set get their numbers there. */
static void print_locs(tn_printer *p) {
  if (p->loc_list.n > 0) tn_buf_putc(p->out, '\n');
  for (size_t i = 0; i < p->loc_list.n; i++) print_loc(p, i);
}

void tn_text_print(const tn_module *module, unsigned levels, tn_buf *out) {
  tn_printer p = printer_create(module, out);
  tn_buf_puts(out, "tnir 1\n");
  if (module->source && module->source[0]) {
    tn_buf_puts(out, "source ");
    tn_print_quoted(&p, module->source);
    tn_buf_putc(out, '\n');
  }
  for (size_t i = 0; i < module->symbols.n; i++) print_symbol(&p, module->symbols.data[i]);
  for (size_t i = 0; i < module->consts.n; i++) tn_print_const(&p, module->consts.data[i]);
  for (size_t i = 0; i < module->funcs.n && (levels & TN_TEXT_GRAPH); i++) tn_print_func(&p, module->funcs.data[i]);
  for (size_t i = 0; i < module->kernels.n && (levels & TN_TEXT_KERNELS); i++)
    tn_print_kernel(&p, module->kernels.data[i]);
  for (size_t i = 0; i < module->programs.n && (levels & TN_TEXT_PROGRAM); i++)
    tn_print_program(&p, module->programs.data[i]);
  print_locs(&p);
  tn_arena_destroy(p.scratch);
}
