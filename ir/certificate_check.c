/* The checker of certificates: from the steps and types of a program alone it finds what is held when, and compares
 * that with the rows. It knows nothing of how plans are made and uses none of the planner's code; what it is given may
 * be anything. Time: n log n, and the pairs of rows that share bytes. */
#include <stdlib.h>

#include "ir/certificate.h"
#include "ir/verify_internal.h"

/* What the steps say of one buffer. */
typedef struct use {
  uint32_t first, last;
  const tn_dim *workspace;    /* the largest that a step asks of it, or NULL */
  const tn_plan_row *row;
} use;

typedef struct checker {
  tn_verify_state at;
  const tn_program *program;
  const tn_certificate *certificate;
  tn_dim_bind bind;
  const void *user;
  tn_arena *scratch;
  use *uses; /* one a buffer */
  uint32_t n_steps;
} checker;

/* --- What is held when --- */

static void touch(checker *c, const tn_buffer *buffer, uint32_t step) {
  if (buffer && buffer->owner) buffer = buffer->owner;
  if (!buffer) return;
  use *u = &c->uses[buffer->id];
  if (u->first == TN_NEVER) u->first = step;
  u->last = step;
}

static void walk(checker *c, const tn_steps *steps) {
  for (size_t i = 0; i < steps->n; i++) {
    const tn_step *step = steps->data[i];
    uint32_t number = c->n_steps++;
    for (size_t k = 0; k < step->args.n; k++) touch(c, step->args.data[k], number);
    touch(c, step->scratch, number);
    if (step->scratch) c->uses[step->scratch->id].workspace = step->scratch_bytes;
    walk(c, &step->body);
    walk(c, &step->otherwise);
  }
}

/* A buffer that a loop shares with what is around it keeps its contents while the loop runs. Returns the number behind
 * the last step. */
static uint32_t hold_over_loops(checker *c, const tn_steps *steps, uint32_t number) {
  for (size_t i = 0; i < steps->n; i++) {
    const tn_step *step = steps->data[i];
    uint32_t first = number;
    number = hold_over_loops(c, &step->body, number + 1);
    number = hold_over_loops(c, &step->otherwise, number);
    for (size_t k = 0; tn_step_is_loop(step) && k < c->program->buffers.n; k++) {
      use *u = &c->uses[k];
      if (u->first == TN_NEVER || u->first >= number || u->last < first) continue;
      if (u->first > first && u->last < number) continue;
      if (u->first > first) u->first = first;
      if (u->last < number - 1) u->last = number - 1;
    }
  }
  return number;
}

static void find_uses(checker *c) {
  c->uses = TN_NEW_N(c->scratch, use, c->program->buffers.n);
  for (size_t i = 0; i < c->program->buffers.n; i++) c->uses[i].first = TN_NEVER;
  walk(c, &c->program->steps);
  hold_over_loops(c, &c->program->steps, 0);
  for (size_t i = 0; i < c->program->buffers.n; i++) /* the caller looks at results behind the last step */
    if (c->program->buffers.data[i]->kind == TN_BUFFER_OUTPUT && c->uses[i].first != TN_NEVER)
      c->uses[i].last = c->n_steps - 1;
}

/* --- Rows by themselves --- */

/* Bytes that a buffer's elements take, from its extents; -1: more than can be counted. */
static int64_t needed_bytes(const checker *c, const tn_buffer *buffer, const use *u) {
  const tn_storage *storage = buffer->storage;
  int64_t total = (int64_t)tn_dtype_bytes(buffer->type->dtype), workspace = 0;
  for (uint32_t k = 0; k < buffer->type->ndim; k++) {
    int64_t extent;
    const tn_dim *bound = tn_dim_bound(c->at.ctx, buffer->type->dims[storage->order[k]]);
    if (!bound || !tn_dim_evaluate(bound, c->bind, c->user, &extent)) return -1;
    if (k + 1 == buffer->type->ndim) {
      int64_t align = storage->align_elements > 0 ? storage->align_elements : 1;
      extent = (extent + align - 1) / align * align + storage->pad_elements;
    }
    if (extent < 0) extent = 0;
    if (!tn_mul_i64(total, extent, &total)) return -1;
  }
  const tn_dim *bound = u->workspace ? tn_dim_bound(c->at.ctx, u->workspace) : NULL;
  if (bound && tn_dim_evaluate(bound, c->bind, c->user, &workspace) && workspace > total) total = workspace;
  return total;
}

static void check_row(checker *c, const tn_plan_row *row) {
  const tn_buffer *buffer = row->buffer;
  bool is_ours = buffer->id < c->program->buffers.n && c->program->buffers.data[buffer->id] == buffer;
  if (!is_ours || !tn_buffer_is_planned(buffer) || c->uses[buffer->id].first == TN_NEVER) {
    tn_verify_breach(&c->at, "'%s' has a place and is no buffer of the arena that a step uses", buffer->name);
    return;
  }
  use *u = &c->uses[buffer->id];
  if (u->row) tn_verify_breach(&c->at, "'%s' has two places", buffer->name);
  u->row = row;
  int64_t needed = needed_bytes(c, buffer, u), end;
  if (needed < 0 || row->bytes < needed)
    tn_verify_breach(&c->at, "'%s' needs %lld bytes and has %lld", buffer->name, (long long)needed,
                     (long long)row->bytes);
  if (row->first != u->first || row->last != u->last)
    tn_verify_breach(&c->at, "'%s' is held in steps %u to %u, the steps use it in %u to %u", buffer->name, row->first,
                     row->last, u->first, u->last);
  if (row->offset < 0 || row->offset % 64 != 0 || !tn_add_i64(row->offset, row->bytes, &end) ||
      end > c->certificate->arena)
    tn_verify_breach(&c->at, "'%s' lies at byte %lld, not inside an arena of %lld", buffer->name,
                     (long long)row->offset, (long long)c->certificate->arena);
}

/* --- Rows together --- */

static int by_offset(const void *x, const void *y) {
  const tn_plan_row *a = *(const tn_plan_row *const *)x, *b = *(const tn_plan_row *const *)y;
  return a->offset != b->offset ? (a->offset < b->offset ? -1 : 1) : 0;
}

static void check_pairs(checker *c) {
  size_t n = c->certificate->rows.n;
  const tn_plan_row **rows = TN_NEW_N(c->scratch, const tn_plan_row *, n);
  int64_t end = 0;
  for (size_t i = 0; i < n; i++) {
    rows[i] = &c->certificate->rows.data[i];
    if (rows[i]->offset + rows[i]->bytes > end) end = rows[i]->offset + rows[i]->bytes;
  }
  if (n > 0) qsort(rows, n, sizeof(*rows), by_offset);
  for (size_t i = 0; i < n; i++)
    for (size_t k = i + 1; k < n && rows[k]->offset < rows[i]->offset + rows[i]->bytes; k++)
      if (rows[k]->bytes > 0 && rows[i]->first <= rows[k]->last && rows[k]->first <= rows[i]->last)
        tn_verify_breach(&c->at, "'%s' and '%s' share bytes while both are held", rows[i]->buffer->name,
                         rows[k]->buffer->name);
  if (c->certificate->least >= 0 && end != c->certificate->arena)
    tn_verify_breach(&c->at, "the arena has %lld bytes, the last buffer ends at %lld", (long long)c->certificate->arena,
                     (long long)end);
}

/* The largest sum of bytes held at one step. */
static void check_least(checker *c) {
  int64_t *change = TN_NEW_N(c->scratch, int64_t, (size_t)c->n_steps + 1), held = 0, most = 0;
  for (size_t i = 0; i < c->certificate->rows.n; i++) {
    const tn_plan_row *row = &c->certificate->rows.data[i];
    change[row->first] += row->bytes;
    change[row->last + 1] -= row->bytes;
  }
  for (uint32_t s = 0; s < c->n_steps; s++) {
    held += change[s];
    if (held > most) most = held;
  }
  if (c->certificate->least >= 0 && c->certificate->least != most)
    tn_verify_breach(&c->at, "at most %lld bytes are held at once, not %lld", (long long)most,
                     (long long)c->certificate->least);
}

bool tn_certificate_check(tn_ctx *ctx, const tn_program *program, const tn_certificate *certificate, tn_dim_bind bind,
                          const void *user) {
  tn_loc loc = program->steps.n > 0 ? program->steps.data[0]->loc : TN_LOC_NONE;
  checker c = {.at = {ctx, "plan", program->name, loc, true}, .program = program, .certificate = certificate,
               .bind = bind, .user = user,
               .scratch = tn_arena_create_scratch(ctx->arena)};
  find_uses(&c);
  for (size_t i = 0; i < certificate->rows.n; i++) check_row(&c, &certificate->rows.data[i]);
  for (size_t i = 0; i < program->buffers.n; i++) {
    const tn_buffer *buffer = program->buffers.data[i];
    bool has_place = tn_buffer_is_planned(buffer) && buffer->slot == TN_NO_SLOT && c.uses[i].first != TN_NEVER;
    if (has_place && !c.uses[i].row) tn_verify_breach(&c.at, "'%s' has no place", buffer->name);
  }
  if (c.at.ok) check_pairs(&c);
  if (c.at.ok) check_least(&c);
  tn_arena_destroy(c.scratch);
  return c.at.ok;
}
