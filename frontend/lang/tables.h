/* Writing the plan of a training program: the tables of runtime/training.h, in one run of bytes. */
#ifndef TN_FRONTEND_LANG_TABLES_H
#define TN_FRONTEND_LANG_TABLES_H

#include "ir/support/map.h"
#include "ir/support/str.h"
#include "runtime/training.h"

typedef struct tn_tables {
  tn_buf bytes;
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
