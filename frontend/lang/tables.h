/* Writing the plan of a training program: the tables of runtime/training.h, in one run of bytes. */
#ifndef TN_FRONTEND_LANG_TABLES_H
#define TN_FRONTEND_LANG_TABLES_H

#include "ir/support/loc.h"
#include "ir/support/map.h"
#include "ir/support/str.h"
#include "ir/support/vec.h"
#include "runtime/training.h"

/* A condition with numbers that are known once the models are compiled: static(flops), static(peak_memory). */
typedef struct tn_table_static {
  uint32_t terms, n_terms; /* tnrt_term; those to be filled in have the kind TN_TERM_FLOPS or TN_TERM_PEAK_MEMORY */
  tn_loc loc;
  const char *text;
  bool is_required;        /* it has to hold, and depends on nothing that training measures */
} tn_table_static;

enum { TN_TERM_FLOPS = 1000, TN_TERM_PEAK_MEMORY };

typedef struct tn_tables {
  tn_buf bytes;
  TN_VEC(tn_table_static) statics;
  tn_map texts; /* interned -> place, boxed: equal texts stand once */
} tn_tables;

/* Room for the head is taken. */
tn_tables tn_tables_create(tn_arena *arena);
/* The place of a text; 0 for NULL. text is interned. */
uint32_t tn_tables_text(tn_tables *plan, const char *text);
/* The place of n rows, aligned to 8; 0 for none. */
uint64_t tn_tables_add(tn_tables *plan, const void *rows, size_t n, size_t row_bytes);
/* Whether all places can be said in 32 bits; head.size and bytes are set. */
bool tn_tables_finish(tn_tables *plan, tnrt_training *head);

#endif
