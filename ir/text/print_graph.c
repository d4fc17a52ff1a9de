/* Prints constants, functions and nodes. */
#include <math.h>
#include <string.h>

#include "ir/eval.h"
#include "ir/primitives.h"
#include "ir/text/print.h"


#define MAX_INLINE_ELEMENTS 64

/* Constants. */

static void print_hex(tn_printer *p, const unsigned char *bytes, size_t n) {
  static const char digits[] = "0123456789abcdef";
  tn_buf_putc(p->out, '"');
  for (size_t i = 0; i < n; i++) {
    tn_buf_putc(p->out, digits[bytes[i] >> 4]);
    tn_buf_putc(p->out, digits[bytes[i] & 15]);
  }
  tn_buf_putc(p->out, '"');
}

/* A NaN keeps its bits; the one that arithmetic makes is written plainly. */
static void print_nan(tn_printer *p, tn_dtype dtype, const unsigned char *bytes) {
  unsigned char plain[8] = {0};
  uint64_t bits = 0;
  tn_number_store(dtype, (tn_number){.f = (double)NAN}, plain);
  for (size_t i = tn_dtype_bytes(dtype); i-- > 0;) bits = bits << 8 | bytes[i];
  if (memcmp(plain, bytes, tn_dtype_bytes(dtype)) == 0) tn_buf_puts(p->out, "nan");
  else tn_buf_printf(p->out, "nan(0x%llx)", (unsigned long long)bits);
}

void tn_print_element(tn_printer *p, tn_dtype dtype, const void *bytes) {
  if (dtype == TN_STR) {
    const char *text;
    memcpy(&text, bytes, sizeof(text));
    tn_print_quoted(p, text);
    return;
  }
  tn_number v = tn_number_load(dtype, bytes);
  if (dtype == TN_BOOL) tn_buf_puts(p->out, v.i ? "true" : "false");
  else if (tn_dtype_is_signed(dtype)) tn_buf_printf(p->out, "%lld", (long long)v.i);
  else if (!tn_dtype_is_float(dtype)) tn_buf_printf(p->out, "%llu", (unsigned long long)v.u);
  else if (isnan(v.f)) print_nan(p, dtype, bytes);
  else tn_buf_double(p->out, v.f);
}

static void print_elements(tn_printer *p, const tn_const *constant) {
  size_t n = (size_t)tn_type_static_count(constant->type), size = tn_dtype_bytes(constant->type->dtype);
  tn_buf_puts(p->out, "dense [");
  for (size_t i = 0; i < n; i++) {
    if (i > 0) tn_buf_puts(p->out, ", ");
    tn_print_element(p, constant->type->dtype, (const char *)constant->data + i * size);
  }
  tn_buf_putc(p->out, ']');
}

static void print_data(tn_printer *p, const tn_const *constant) {
  if (constant->file) {
    tn_buf_puts(p->out, "blob ");
    tn_print_quoted(p, constant->file);
    tn_buf_printf(p->out, " +%llu", (unsigned long long)constant->file_offset);
  } else if (tn_type_static_count(constant->type) <= MAX_INLINE_ELEMENTS || constant->type->dtype == TN_STR) {
    print_elements(p, constant);
  } else {
    tn_buf_puts(p->out, "bytes ");
    print_hex(p, constant->data, tn_const_bytes(constant));
  }
}

static void print_recipe(tn_printer *p, const tn_const *constant) {
  static const char *const names[] = {"transpose ", "reshape ", "cast ", "scale "};
  tn_buf_puts(p->out, names[constant->recipe]);
  tn_print_name(p, '@', constant->base->name);
  if (constant->recipe == TN_RECIPE_SCALE) {
    tn_buf_puts(p->out, " by ");
    tn_print_name(p, '@', constant->factors->name);
    tn_buf_printf(p->out, " axis %u", constant->axis);
  }
  if (constant->recipe != TN_RECIPE_TRANSPOSE) return;
  tn_buf_puts(p->out, " [");
  for (uint32_t i = 0; i < constant->type->ndim; i++)
    tn_buf_printf(p->out, "%s%u", i > 0 ? ", " : "", constant->perm[i]);
  tn_buf_putc(p->out, ']');
}

void tn_print_const(tn_printer *p, const tn_const *constant) {
  tn_buf_puts(p->out, "const ");
  tn_print_name(p, '@', constant->name);
  tn_buf_puts(p->out, " : ");
  tn_type_print(constant->type, p->out);
  tn_buf_puts(p->out, " = ");
  if (constant->kind == TN_CONST_DATA) print_data(p, constant);
  if (constant->kind == TN_CONST_RECIPE) print_recipe(p, constant);
  if (constant->kind == TN_CONST_SPLAT) {
    tn_buf_puts(p->out, "splat ");
    tn_print_element(p, constant->type->dtype, constant->data);
  }
  tn_print_loc_ref(p, constant->loc);
  tn_buf_putc(p->out, '\n');
}

/* Values. */

/* A use of a constant prints as its name; its node prints only where it says more than that. */
static bool prints_inline(const tn_node *node) {
  if (node->op != &tn_op_const || node->group >= 0) return false;
  return !node->results[0]->storage && !node->results[0]->name[0];
}

static void number_value(tn_printer *p, const tn_value *value) {
  tn_map_set(&p->values, value, (void *)((uintptr_t)p->n_values + 1));
  tn_buf_printf(p->out, "%%%u", p->n_values++);
}

static void print_use(tn_printer *p, const tn_value *value) {
  if (!value) {
    tn_buf_putc(p->out, '_');
  } else if (value->def && prints_inline(value->def)) {
    tn_print_name(p, '@', value->def->attrs[0].u.constant->name);
  } else {
    uintptr_t number = (uintptr_t)tn_map_get(&p->values, value);
    /* Only the dump of a broken function can get here: the value is used before it is defined. */
    if (number == 0) tn_buf_printf(p->out, "%%undefined.%u", value->id);
    else tn_buf_printf(p->out, "%%%llu", (unsigned long long)number - 1);
  }
}

static void print_value_type(tn_printer *p, const tn_value *value) {
  tn_print_type(p, value->type, value->storage);
  if (!value->name[0]) return;
  tn_buf_putc(p->out, ' ');
  tn_print_quoted(p, value->name);
}

/* Attributes. */

static void print_ints(tn_printer *p, const tn_attr *attr) {
  tn_buf_putc(p->out, '[');
  for (uint32_t i = 0; i < attr->u.list.n; i++)
    tn_buf_printf(p->out, "%s%lld", i > 0 ? ", " : "", (long long)attr->u.list.ints[i]);
  tn_buf_putc(p->out, ']');
}

static void print_pairs(tn_printer *p, const tn_attr *attr) {
  tn_buf_putc(p->out, '[');
  for (uint32_t i = 0; i < attr->u.list.n; i++)
    tn_buf_printf(p->out, "%s(%lld, %lld)", i > 0 ? ", " : "", (long long)attr->u.list.ints[2 * i],
                  (long long)attr->u.list.ints[2 * i + 1]);
  tn_buf_putc(p->out, ']');
}

static void print_attr(tn_printer *p, const tn_attr_def *def, const tn_attr *attr) {
  tn_buf_printf(p->out, "%s=", def->name);
  switch (def->kind) {
    case TN_ATTR_INT: tn_buf_printf(p->out, "%lld", (long long)attr->u.i); break;
    case TN_ATTR_FLOAT: tn_buf_double(p->out, attr->u.f); break;
    case TN_ATTR_BOOL: tn_buf_puts(p->out, attr->u.i ? "true" : "false"); break;
    case TN_ATTR_NAME: tn_buf_puts(p->out, def->names[attr->u.i]); break;
    case TN_ATTR_STRING: tn_print_quoted(p, attr->u.s); break;
    case TN_ATTR_DTYPE: tn_buf_puts(p->out, tn_dtype_name((tn_dtype)attr->u.i)); break;
    case TN_ATTR_INTS: print_ints(p, attr); break;
    case TN_ATTR_DIMS: tn_print_dims(p, attr->u.list.dims, attr->u.list.n); break;
    case TN_ATTR_PAIRS: print_pairs(p, attr); break;
    case TN_ATTR_CONST: tn_print_name(p, '@', attr->u.constant->name); break;
    case TN_ATTR_FUNC: tn_print_name(p, '@', attr->u.func->name); break;
  }
}

static bool is_default(const tn_attr_def *def, const tn_attr *attr) {
  if (def->required || def->no_default) return false;
  switch (def->kind) {
    case TN_ATTR_FLOAT: return memcmp(&attr->u.f, &def->default_f, sizeof(double)) == 0;
    case TN_ATTR_STRING: return attr->u.s[0] == '\0';
    case TN_ATTR_INTS:
    case TN_ATTR_DIMS:
    case TN_ATTR_PAIRS: return attr->u.list.n == 0;
    case TN_ATTR_CONST:
    case TN_ATTR_FUNC: return false;
    default: return attr->u.i == def->default_i;
  }
}

static void print_attrs(tn_printer *p, const tn_node *node) {
  bool any = false;
  for (uint32_t i = 0; i < node->op->n_attrs; i++) {
    const tn_attr_def *def = &node->op->attrs[i];
    if (!node->attrs[i].present || is_default(def, &node->attrs[i])) continue;
    tn_buf_puts(p->out, any ? ", " : " {");
    print_attr(p, def, &node->attrs[i]);
    any = true;
  }
  if (any) tn_buf_putc(p->out, '}');
}

/* Nodes. */

static void print_block(tn_printer *p, const tn_block *block);

static void print_region(tn_printer *p, const tn_block *region) {
  tn_buf_puts(p->out, "{ ^(");
  for (size_t i = 0; i < region->params.n; i++) {
    if (i > 0) tn_buf_puts(p->out, ", ");
    number_value(p, region->params.data[i]);
    tn_buf_puts(p->out, ": ");
    print_value_type(p, region->params.data[i]);
  }
  tn_buf_puts(p->out, ")\n");
  p->indent++;
  for (size_t i = 0; i < region->guards.n; i++) tn_print_guard(p, &region->guards.data[i]);
  print_block(p, region);
  p->indent--;
  tn_print_indent(p);
  tn_buf_putc(p->out, '}');
}

static void print_operands(tn_printer *p, const tn_node *node) {
  uint32_t n = node->n_operands;
  while (n > 0 && !node->operands[n - 1].value) n--;
  for (uint32_t i = 0; i < n; i++) {
    tn_buf_puts(p->out, i > 0 ? ", " : " ");
    print_use(p, node->operands[i].value);
  }
}

static void print_node(tn_printer *p, const tn_node *node) {
  tn_print_indent(p);
  uint32_t first = p->n_values;
  for (uint32_t i = 0; i < node->n_results; i++) tn_buf_printf(p->out, "%s%%%u", i > 0 ? ", " : "", first + i);
  p->n_values += node->n_results;
  tn_buf_printf(p->out, "%s%s", node->n_results > 0 ? " = " : "", node->op->name);
  print_operands(p, node);
  print_attrs(p, node);
  for (uint32_t i = 0; i < node->n_regions; i++) {
    tn_buf_puts(p->out, i > 0 ? " else " : " ");
    print_region(p, node->regions[i]);
  }
  for (uint32_t i = 0; i < node->n_results; i++) {
    tn_buf_puts(p->out, i > 0 ? ", " : " : ");
    print_value_type(p, node->results[i]);
    tn_map_set(&p->values, node->results[i], (void *)((uintptr_t)first + i + 1));
  }
  if (node->group >= 0) tn_buf_printf(p->out, " group(%d)", node->group);
  tn_print_loc_ref(p, node->loc);
  tn_buf_putc(p->out, '\n');
}

static void print_block(tn_printer *p, const tn_block *block) {
  for (const tn_node *node = block->first; node; node = node->next)
    if (!prints_inline(node)) print_node(p, node);
}

void tn_print_func(tn_printer *p, const tn_func *func) {
  p->n_values = 0;
  tn_buf_puts(p->out, "\nfunc ");
  tn_print_name(p, '@', func->name);
  tn_buf_puts(p->out, func->is_entry ? " entry (" : " (");
  for (size_t i = 0; i < func->body->params.n; i++) {
    if (i > 0) tn_buf_puts(p->out, ", ");
    number_value(p, func->body->params.data[i]);
    tn_buf_puts(p->out, ": ");
    print_value_type(p, func->body->params.data[i]);
  }
  tn_buf_puts(p->out, ") -> (");
  const tn_node *last = func->body->last;
  for (uint32_t i = 0; last && last->op->kind == TN_OP_TERMINATOR && i < last->n_operands; i++) {
    if (i > 0) tn_buf_puts(p->out, ", ");
    tn_type_print(last->operands[i].value->type, p->out);
    if (i >= func->result_names.n || !func->result_names.data[i][0]) continue;
    tn_buf_putc(p->out, ' ');
    tn_print_quoted(p, func->result_names.data[i]);
  }
  tn_buf_puts(p->out, ") {\n");
  p->indent++;
  for (size_t i = 0; i < func->guards.n; i++) tn_print_guard(p, &func->guards.data[i]);
  print_block(p, func->body);
  p->indent--;
  tn_buf_puts(p->out, "}\n");
}
