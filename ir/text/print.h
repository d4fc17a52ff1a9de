/* Shared state of the printers of the text form. */
#ifndef TN_IR_TEXT_PRINT_H
#define TN_IR_TEXT_PRINT_H

#include "ir/kernel.h"
#include "ir/program.h"
#include "ir/text.h"

typedef struct tn_printer {
  const tn_module *module;
  tn_arena *scratch;
  tn_buf *out;
  tn_map values;         /* tn_value* -> its number + 1, of the function being printed */
  uint32_t n_values;
  tn_map locs;           /* tn_loc -> its number in the text */
  TN_VEC(tn_loc) loc_list; /* in order of appearance; number i + 1 */
  unsigned indent;
} tn_printer;

void tn_print_indent(tn_printer *p);
/* "text" with escapes. */
void tn_print_quoted(tn_printer *p, const char *text);
/* sigil and name, quoted where needed. */
void tn_print_name(tn_printer *p, char sigil, const char *name);
/* " loc(n)". */
void tn_print_loc_ref(tn_printer *p, tn_loc loc);
/* The type, then its storage unless row-major. */
void tn_print_type(tn_printer *p, const tn_type *type, const tn_storage *storage);
void tn_print_dims(tn_printer *p, const tn_dim *const *dims, uint32_t n);
/* " in [lo, hi]". */
void tn_print_range(tn_printer *p, const tn_symbol *symbol);
void tn_print_guard(tn_printer *p, const tn_guard *guard);
/* One element as stored. */
void tn_print_element(tn_printer *p, tn_dtype dtype, const void *bytes);

void tn_print_const(tn_printer *p, const tn_const *constant);
void tn_print_func(tn_printer *p, const tn_func *func);
void tn_print_kernel(tn_printer *p, const tn_kernel *kernel);
void tn_print_program(tn_printer *p, const tn_program *program);

#endif
