/* The bytes of a plan; see tables.h. */
#include "frontend/lang/tables.h"

#include <string.h>

static void align(tn_tables *plan) {
  static const char zeros[8];
  tn_buf_append(&plan->bytes, zeros, (8 - plan->bytes.n % 8) % 8);
}

tn_tables tn_tables_create(tn_arena *arena) {
  static const tnrt_training head;
  tn_tables plan = {.bytes = tn_buf_create(arena), .texts = tn_map_create(arena)};
  tn_buf_append(&plan.bytes, (const char *)&head, sizeof(head));
  return plan;
}

uint32_t tn_tables_text(tn_tables *plan, const char *text) {
  if (!text) return 0;
  uint32_t *known = tn_map_get(&plan->texts, text);
  if (known) return *known;
  known = TN_NEW(plan->bytes.arena, uint32_t);
  *known = (uint32_t)plan->bytes.n;
  tn_map_set(&plan->texts, text, known);
  tn_buf_append(&plan->bytes, text, strlen(text) + 1);
  return *known;
}

uint64_t tn_tables_add(tn_tables *plan, const void *rows, size_t n, size_t row_bytes) {
  if (n == 0 || row_bytes == 0) return 0;
  align(plan);
  uint64_t at = plan->bytes.n;
  tn_buf_append(&plan->bytes, rows, n * row_bytes);
  return at;
}

bool tn_tables_finish(tn_tables *plan, tnrt_training *head) {
  align(plan);
  head->version = TNRT_TRAINING;
  head->size = sizeof(*head);
  head->bytes = plan->bytes.n;
  memcpy(plan->bytes.data, head, sizeof(*head));
  return plan->bytes.n <= UINT32_MAX;
}
