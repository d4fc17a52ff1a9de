/* Verifies the memory of a planned program: every buffer is large enough, lies inside its memory, and no two that are
 * alive together share a byte, whatever the sizes are (ir/IR.md section 11). */
#include "ir/dim_internal.h"
#include "ir/verify_internal.h"

typedef struct memory {
  tn_verify_state at;
  const tn_program *program;
  tn_guards guards;
  const tn_life *lives; /* one a buffer */
} memory;

static const tn_dim *end_of(memory *v, const tn_buffer *buffer) {
  return tn_dim_add(v->at.ctx, buffer->offset, buffer->bytes);
}

/* Whether some operand of a max, however deep, makes scale * operand + needed nonnegative: by their ranges, or (which
 * takes longer) by a proof, as of two sizes of one extent, of which the plan keeps the one that is never less. */
static bool operand_covers(tn_ctx *ctx, const tn_dim *operand, int64_t scale, const tn_dim *needed, bool by_proof) {
  const tn_dim *sum = tn_dim_add(ctx, tn_dim_mul_i(ctx, operand, scale), needed);
  if (sum->lo >= 0 || (by_proof && tn_dim_proves_nonnegative(ctx, sum))) return true;
  const tn_atom *atom = tn_dim_lone_atom(operand);
  if (!atom || atom->kind != TN_ATOM_MAX) return false;
  return operand_covers(ctx, atom->p, scale, needed, by_proof) ||
         operand_covers(ctx, atom->q, scale, needed, by_proof);
}

/* room >= 0 where room is a sum of slots, each a max of the sizes of its members, less one member's size: the shape of
 * every comparison in a plan with sizes known late, and too large for a general proof. */
static bool slots_leave_room(tn_ctx *ctx, const tn_dim *room, bool by_proof) {
  const tn_dim *negative = tn_dim_const(ctx, 0); /* the terms that take room; NULL: some atom's sign is open */
  for (uint32_t i = 0; i < room->n_terms; i++) {
    const tn_term *term = &room->terms[i];
    const tn_dim *product = tn_dim_const(ctx, term->coefficient);
    for (uint32_t k = 0; k < term->n_atoms; k++) {
      const tn_atom *atom = term->atoms[k];
      if (atom->lo < 0) negative = NULL;
      product = tn_dim_mul(ctx, product, tn_dim_of_atom(ctx, atom->kind, atom->symbol, atom->p, atom->q));
    }
    if (negative && term->coefficient < 0) negative = tn_dim_add(ctx, negative, product);
  }
  if (negative && negative->n_terms == 0) return true;
  for (uint32_t i = 0; i < room->n_terms; i++) {
    const tn_term *term = &room->terms[i];
    if (term->coefficient < 0 || term->n_atoms != 1 || term->atoms[0]->kind != TN_ATOM_MAX) continue;
    const tn_atom *max = term->atoms[0];
    /* a size of several terms, some of them falling, is covered with the terms of the room that it cancels */
    const tn_dim *whole = tn_dim_of_atom(ctx, max->kind, max->symbol, max->p, max->q);
    const tn_dim *rest = tn_dim_sub(ctx, room, tn_dim_mul_i(ctx, whole, term->coefficient));
    if (negative && operand_covers(ctx, whole, term->coefficient, negative, by_proof)) return true;
    if (operand_covers(ctx, whole, term->coefficient, rest, by_proof)) return true;
  }
  return false;
}

static bool same_atoms(const tn_term *a, const tn_term *b) {
  bool same = a->n_atoms == b->n_atoms;
  for (uint32_t i = 0; same && i < a->n_atoms; i++) same = a->atoms[i] == b->atoms[i];
  return same;
}

/* Whether each term of dim is in whole, of the same sign and at least as large. */
static bool is_part(const tn_dim *dim, const tn_dim *whole) {
  for (uint32_t i = 0; i < dim->n_terms; i++) {
    int64_t part = dim->terms[i].coefficient, all = 0;
    for (uint32_t k = 0; k < whole->n_terms && all == 0; k++)
      if (same_atoms(&dim->terms[i], &whole->terms[k])) all = whole->terms[k].coefficient;
    if (part > 0 ? all < part : all > part) return false;
  }
  return true;
}

/* room less every buffer's size that is part of it. No size is negative, though its formula alone may not show it
 * (where a guard bounds an extent from below; of what a slice takes). */
static const tn_dim *without_sizes(memory *v, const tn_dim *room) {
  for (size_t i = 0; i < v->program->buffers.n; i++) {
    const tn_dim *bytes = v->program->buffers.data[i]->bytes;
    if (bytes && !tn_dim_is_const(bytes) && is_part(bytes, room)) room = tn_dim_sub(v->at.ctx, room, bytes);
  }
  return room;
}

static bool ends_before(memory *v, const tn_dim *end, const tn_dim *start) {
  const tn_dim *whole = tn_dim_sub(v->at.ctx, start, end), *room = without_sizes(v, whole);
  if (tn_dim_is_const(whole) || whole->lo >= 0 || room->lo >= 0) return whole->lo >= 0 || room->lo >= 0;
  return slots_leave_room(v->at.ctx, room, false) ||
         tn_verify_le(v->at.ctx, v->guards, tn_dim_const(v->at.ctx, 0), room) ||
         tn_verify_le(v->at.ctx, v->guards, end, start);
}

/* The same with all that can be proved: for what would be a fault otherwise. */
static bool surely_ends_before(memory *v, const tn_dim *end, const tn_dim *start) {
  const tn_dim *room = tn_dim_sub(v->at.ctx, start, end);
  return slots_leave_room(v->at.ctx, without_sizes(v, room), true) || slots_leave_room(v->at.ctx, room, true);
}

static bool lie_apart(memory *v, const tn_buffer *a, const tn_buffer *b) {
  const tn_dim *a_end = end_of(v, a), *b_end = end_of(v, b);
  if (a->offset == b->offset) return tn_dim_is(a->bytes, 0) || tn_dim_is(b->bytes, 0);
  return slots_leave_room(v->at.ctx, tn_dim_sub(v->at.ctx, a->offset, b_end), false) ||
         ends_before(v, a_end, b->offset) ||
         ends_before(v, b_end, a->offset) || surely_ends_before(v, b_end, a->offset) ||
         surely_ends_before(v, a_end, b->offset);
}

static bool alive_together(const tn_life *a, const tn_life *b) {
  return a->first != TN_NEVER && b->first != TN_NEVER && a->first <= b->last && b->first <= a->last;
}

bool tn_verify_is_rounded_up(tn_ctx *ctx, const tn_dim *bytes, const tn_dim *whole) {
  const int64_t line = 64;
  const tn_dim *lines = tn_dim_mul_i(ctx, tn_dim_ceildiv(ctx, bytes, line), line), *times;
  return tn_dim_divide_exact(ctx, whole, lines, &times) && tn_dim_is_const(times) && times->lo >= 1;
}

static void check_size(memory *v, const tn_buffer *buffer) {
  const tn_dim *strides[TN_MAX_NDIM], *total, *zero = tn_dim_const(v->at.ctx, 0);
  tn_storage_strides(v->at.ctx, buffer->type, buffer->storage, strides, &total);
  const tn_dim *bytes = tn_dim_mul_i(v->at.ctx, total, (int64_t)tn_dtype_bytes(buffer->type->dtype));
  const tn_dim *bound = buffer->slot == TN_NO_SLOT ? tn_dim_bound(v->at.ctx, bytes) : NULL;
  if (bound) bytes = bound; /* what is found while running is never more */
  if (!buffer->format && !tn_verify_is_rounded_up(v->at.ctx, bytes, buffer->bytes) &&
      !tn_verify_le(v->at.ctx, v->guards, bytes, buffer->bytes))
    tn_verify_breach(&v->at, "'%s' is smaller than its type needs", buffer->name);
  if (buffer->offset && !tn_verify_le(v->at.ctx, v->guards, zero, buffer->offset))
    tn_verify_breach(&v->at, "'%s' begins before its memory", buffer->name);
}

/* Of two buffers that live together: in one slot they would share bytes, in the arena they must not. */
static bool are_apart(memory *v, const tn_buffer *a, const tn_buffer *b) {
  if (a->slot != b->slot) return true;
  return a->slot == TN_NO_SLOT && (!a->offset || !b->offset || lie_apart(v, a, b));
}

static void check_placed_buffer(memory *v, const tn_buffer *buffer) {
  const tn_life *l = &v->lives[buffer->id];
  if (l->first != TN_NEVER && (buffer->live_first > l->first || buffer->live_last < l->last))
    tn_verify_breach(&v->at, "'%s' says it lives in steps %u to %u, the steps say %u to %u", buffer->name,
                     buffer->live_first, buffer->live_last, l->first, l->last);
  check_size(v, buffer);
  bool in_arena = buffer->slot == TN_NO_SLOT && v->program->arena_bytes;
  const tn_dim *end = in_arena ? end_of(v, buffer) : NULL, *arena = v->program->arena_bytes;
  if (in_arena && !ends_before(v, end, arena) && !surely_ends_before(v, end, arena))
    tn_verify_breach(&v->at, "'%s' ends behind the arena", buffer->name);
  for (uint32_t i = 0; i < buffer->id; i++) {
    const tn_buffer *other = v->program->buffers.data[i];
    if (!tn_buffer_is_planned(other) || !other->bytes || !alive_together(l, &v->lives[i])) continue;
    if (!are_apart(v, buffer, other))
      tn_verify_breach(&v->at, "'%s' and '%s' are alive together and not proved to lie apart", other->name,
                       buffer->name);
  }
}

static void check_const_buffer(memory *v, const tn_buffer *buffer) {
  check_size(v, buffer);
  const tn_dim *all = tn_dim_const(v->at.ctx, (int64_t)v->program->weights_bytes);
  if (!tn_verify_le(v->at.ctx, v->guards, end_of(v, buffer), all))
    tn_verify_breach(&v->at, "'%s' ends behind the weights", buffer->name);
  for (uint32_t i = 0; i < buffer->id; i++) {
    const tn_buffer *other = v->program->buffers.data[i];
    bool same = other->constant == buffer->constant && other->format == buffer->format;
    if (other->kind == TN_BUFFER_CONST && other->offset && !same && !lie_apart(v, buffer, other))
      tn_verify_breach(&v->at, "constants '%s' and '%s' share bytes", other->name, buffer->name);
  }
}

bool tn_verify_memory(tn_ctx *ctx, const tn_program *program, tn_guards guards, const tn_life *lives, tn_loc loc) {
  memory v = {{ctx, "program", program->name, loc, true}, program, guards, lives};
  for (size_t i = 0; i < program->buffers.n; i++) {
    const tn_buffer *buffer = program->buffers.data[i];
    bool is_planned = tn_buffer_is_planned(buffer);
    if (!buffer->bytes || (!buffer->offset && buffer->slot == TN_NO_SLOT)) {
      bool missing = program->arena_bytes && is_planned && lives[i].first != TN_NEVER;
      if (missing) tn_verify_breach(&v.at, "'%s' has no place", buffer->name);
      continue;
    }
    if (is_planned) check_placed_buffer(&v, buffer);
    if (buffer->kind == TN_BUFFER_CONST) check_const_buffer(&v, buffer);
  }
  return v.at.ok;
}
