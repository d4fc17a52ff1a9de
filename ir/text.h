/* The text form of all three levels (.tnir): printing and reading. Reading what was printed gives the same text again.
 * ir/IR.md specifies it. */
#ifndef TN_IR_TEXT_H
#define TN_IR_TEXT_H

#include "ir/graph.h"

typedef enum tn_text_level {
  TN_TEXT_GRAPH = 1,
  TN_TEXT_KERNELS = 2,
  TN_TEXT_PROGRAM = 4,
  TN_TEXT_ALL = 7
} tn_text_level;

/* Values are numbered in order of appearance; locations used are listed at the end. */
void tn_text_print(const tn_module *module, unsigned levels, tn_buf *out);
/* The graph of a function in Graphviz's DOT language, fused groups as clusters. */
void tn_text_print_dot(const tn_func *func, tn_buf *out);
/* text: length bytes, need not be NUL-terminated; file: its name for messages. Collects many errors; NULL when there
 * was one. Nesting at most 100, rank at most 16. Does not verify. blob constants are mapped from their files, looked up
 * relative to file's folder. */
tn_module *tn_text_parse(tn_ctx *ctx, const char *file, const char *text, size_t length);
/* A type alone, such as "f32[2,B]"; unknown symbol names are created as input symbols. NULL when wrong (reported). */
const tn_type *tn_text_parse_type(tn_ctx *ctx, const char *text);
/* Attributes alone, such as "{axis=1}", for op. */
tn_attr *tn_text_parse_attrs(tn_module *module, const tn_opdef *op, const char *text);

#endif
