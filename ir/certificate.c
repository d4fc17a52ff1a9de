/* The plan of a program in numbers, and as text; see certificate.h. */
#include "ir/certificate.h"

#include <stdlib.h>

static bool is_placed(const tn_buffer *buffer) {
  return tn_buffer_is_planned(buffer) && buffer->offset && buffer->live_first != UINT32_MAX;
}

bool tn_certificate_make(const tn_program *program, tn_dim_bind bind, const void *user, tn_arena *arena,
                         tn_certificate *out) {
  *out = (tn_certificate){.least = -1};
  if (!program->arena_bytes || !tn_dim_evaluate(program->arena_bytes, bind, user, &out->arena)) return false;
  const tn_dim *least = program->arena_lower_bound;
  if (least && !tn_dim_evaluate(least, bind, user, &out->least)) return false;
  for (size_t i = 0; i < program->buffers.n; i++) {
    const tn_buffer *buffer = program->buffers.data[i];
    if (!is_placed(buffer)) continue;
    tn_plan_row row = {.buffer = buffer, .first = buffer->live_first, .last = buffer->live_last};
    if (!tn_dim_evaluate(buffer->offset, bind, user, &row.offset) ||
        !tn_dim_evaluate(buffer->bytes, bind, user, &row.bytes))
      return false;
    TN_VEC_PUSH(arena, &out->rows, row);
  }
  return true;
}

enum { LARGER = 64 };

static bool smallest(const void *user, const tn_symbol *symbol, int64_t *out) {
  (void)user;
  *out = symbol->lo;
  return true;
}

static bool larger(const void *user, const tn_symbol *symbol, int64_t *out) {
  (void)user;
  *out = symbol->hi - symbol->lo > LARGER ? symbol->lo + LARGER : symbol->hi;
  return true;
}

bool tn_certificate_verify(tn_ctx *ctx, const tn_program *program) {
  tn_arena *scratch = tn_arena_create_scratch(ctx->arena);
  bool is_static = program->arena_bytes && tn_dim_is_const(program->arena_bytes), ok = true;
  tn_certificate certificate;
  for (int k = is_static; k < 2 && ok; k++) {
    tn_dim_bind bind = k == 0 ? smallest : larger;
    if (tn_certificate_make(program, bind, NULL, scratch, &certificate))
      ok = tn_certificate_check(ctx, program, &certificate, bind, NULL);
  }
  tn_arena_destroy(scratch);
  return ok;
}

/* --- Text --- */

static int by_offset(const void *x, const void *y) {
  const tn_plan_row *a = x, *b = y;
  if (a->offset != b->offset) return a->offset < b->offset ? -1 : 1;
  return a->first != b->first ? (a->first < b->first ? -1 : 1) : (a->buffer->id < b->buffer->id ? -1 : 1);
}

static void print_sized(const tn_program *program, tn_buf *out) {
  tn_buf_puts(out, "arena ");
  tn_dim_print(program->arena_bytes, out);
  tn_buf_puts(out, "\n");
  for (size_t i = 0; i < program->buffers.n; i++) {
    const tn_buffer *buffer = program->buffers.data[i];
    if (!is_placed(buffer)) continue;
    tn_buf_printf(out, "  %u..%u '%s' bytes ", buffer->live_first, buffer->live_last, buffer->name);
    tn_dim_print(buffer->bytes, out);
    tn_buf_puts(out, " offset ");
    tn_dim_print(buffer->offset, out);
    tn_buf_puts(out, "\n");
  }
}

void tn_certificate_print(const tn_program *program, tn_buf *out) {
  tn_arena *scratch = tn_arena_create_scratch(out->arena);
  tn_certificate c;
  tn_buf_printf(out, "plan of %s\n", program->name);
  if (!program->arena_bytes) {
    tn_buf_puts(out, "not planned\n");
  } else if (!tn_dim_is_const(program->arena_bytes) || !tn_certificate_make(program, smallest, NULL, scratch, &c)) {
    print_sized(program, out);
  } else {
    double gap = c.least > 0 ? 100 * (double)(c.arena - c.least) / (double)c.least : 0;
    tn_buf_printf(out, "arena %lld bytes, %.2f %% above the least possible, %lld\n", (long long)c.arena, gap,
                  (long long)c.least);
    tn_buf_printf(out, "%14s %12s %6s %6s  buffer\n", "offset", "bytes", "first", "last");
    if (c.rows.n > 0) qsort(c.rows.data, c.rows.n, sizeof(*c.rows.data), by_offset);
    for (size_t i = 0; i < c.rows.n; i++) {
      const tn_plan_row *row = &c.rows.data[i];
      tn_buf_printf(out, "%14lld %12lld %6u %6u  %s\n", (long long)row->offset, (long long)row->bytes, row->first,
                    row->last, row->buffer->name);
    }
  }
  for (size_t i = 0; i < program->buffers.n; i++) {
    const tn_buffer *buffer = program->buffers.data[i];
    if (buffer->donor) tn_buf_printf(out, "'%s' in place of '%s'\n", buffer->name, buffer->donor->name);
  }
  tn_arena_destroy(scratch);
}
