/* The builder of tile loops: values made once and placed as far out as their operands allow, loops with carried values,
 * conditionals. See tile.h. */
#include <string.h>

#include "backends/cpu/tile.h"

tn_tile_func *tn_tile_func_create(tn_arena *arena, const tn_kernel *kernel, const tn_target *target) {
  tn_tile_func *func = TN_NEW(arena, tn_tile_func);
  func->kernel = kernel;
  func->target = target;
  func->arena = arena;
  func->known = tn_map_create(arena);
  return func;
}

static bool is_load(tn_tile_op op) {
  return op == TN_T_LOAD || op == TN_T_LOAD_SPLAT || op == TN_T_LOAD_STRIDED || op == TN_T_GATHER;
}

/* Values whose place matters: they stay where they are asked for. */
static bool is_pinned(const tn_tile_build *b, const tn_tile_value *v) {
  if (is_load(v->op)) return v->arg == TN_TILE_SCRATCH || b->func->kernel->args.data[v->arg].is_output;
  return v->op == TN_T_LOOP_VAR || v->op == TN_T_CARRIED || v->op == TN_T_RESULT || v->op == TN_T_CLAMP_INDEX;
}

static tn_tile_block *deeper(tn_tile_block *a, tn_tile_block *b) { return !a || (b && b->depth > a->depth) ? b : a; }

static tn_tile_block *home_of(const tn_tile_build *b, const tn_tile_value *v) {
  if (is_pinned(b, v)) return b->block;
  tn_tile_block *home = &b->func->body;
  for (uint32_t i = 0; i < v->n_in; i++) home = deeper(home, v->in[i] ? v->in[i]->home : NULL);
  if (!is_load(v->op)) return home;
  home = deeper(home, b->load_floor);
  for (tn_tile_block *block = b->block; block && block->depth > home->depth; block = block->parent)
    if (block->conditional) return block;
  return home;
}

static uint64_t hash_value(const tn_tile_value *v, const tn_tile_block *home) {
  uint64_t words[] = {(uint64_t)v->op | (uint64_t)v->type << 16 | (uint64_t)v->lanes << 32,
                      (uint64_t)v->scalar | (uint64_t)v->fold << 16 | (uint64_t)v->index << 32,
                      (uint64_t)v->arg, (uint64_t)v->displacement, v->constant.u, (uint64_t)(uintptr_t)v->loop,
                      (uint64_t)(uintptr_t)home, v->n_in, 0, 0, 0};
  for (uint32_t i = 0; i < v->n_in; i++) words[8 + i] = (uint64_t)(uintptr_t)v->in[i];
  return tn_hash_bytes(0, words, sizeof(words));
}

static bool same_value(const tn_tile_value *a, const tn_tile_value *b) {
  if (a->op != b->op || a->type != b->type || a->lanes != b->lanes || a->n_in != b->n_in || a->scalar != b->scalar ||
      a->fold != b->fold || a->constant.u != b->constant.u || a->arg != b->arg || a->index != b->index ||
      a->displacement != b->displacement || a->loop != b->loop)
    return false;
  for (uint32_t i = 0; i < a->n_in; i++)
    if (a->in[i] != b->in[i]) return false;
  return true;
}

static tn_tile_stmt *new_stmt(tn_tile_build *b, tn_tile_stmt_kind kind) {
  tn_tile_stmt *stmt = TN_NEW(b->func->arena, tn_tile_stmt);
  stmt->kind = kind;
  stmt->origin = b->origin;
  return stmt;
}

static void define(tn_tile_build *b, tn_tile_block *home, tn_tile_value *value) {
  tn_tile_stmt *stmt = new_stmt(b, TN_TS_DEF);
  stmt->value = value;
  TN_VEC_PUSH(b->func->arena, &home->stmts, stmt);
}

static tn_tile_value *new_value(tn_tile_build *b, const tn_tile_value *proto, tn_tile_block *home) {
  tn_tile_value *value = TN_NEW(b->func->arena, tn_tile_value);
  *value = *proto;
  value->origin = b->origin;
  value->home = home;
  value->id = b->func->n_values++;
  return value;
}

tn_tile_value *tn_tile_value_of(tn_tile_build *b, const tn_tile_value *proto) {
  tn_tile_value key = *proto;
  while (key.n_in > 0 && !key.in[key.n_in - 1]) key.n_in--;
  tn_tile_block *home = home_of(b, &key);
  if (is_pinned(b, &key)) {
    tn_tile_value *value = new_value(b, &key, home);
    define(b, home, value);
    return value;
  }
  uint64_t hash = hash_value(&key, home);
  tn_tile_value *known = tn_map_get_u64(&b->func->known, hash);
  if (known && known->home == home && same_value(known, &key)) return known;
  tn_tile_value *value = new_value(b, &key, home);
  tn_map_set_u64(&b->func->known, hash, value);
  define(b, home, value);
  return value;
}

/* --- Constants and integers --- */

tn_tile_value *tn_tile_const_i(tn_tile_build *b, int64_t v) {
  tn_tile_value proto = {.op = TN_T_CONST, .type = TN_I64, .lanes = 1, .constant = {.i = v}};
  return tn_tile_value_of(b, &proto);
}

tn_tile_value *tn_tile_number(tn_tile_build *b, tn_dtype type, uint32_t lanes, tn_number v) {
  tn_tile_value proto = {.op = TN_T_CONST, .type = type, .lanes = lanes, .constant = v};
  return tn_tile_value_of(b, &proto);
}

static bool is_const(const tn_tile_value *v, int64_t *out) {
  if (v->op != TN_T_CONST || v->lanes != 1 || v->type == TN_BOOL) return false;
  *out = v->constant.i;
  return true;
}

static bool fold_int(tn_tile_op op, int64_t x, int64_t y, int64_t *out) {
  switch (op) {
    case TN_T_IADD: return tn_add_i64(x, y, out);
    case TN_T_ISUB: return tn_sub_i64(x, y, out);
    case TN_T_IMUL: return tn_mul_i64(x, y, out);
    case TN_T_IFLOORDIV: return y > 0 && (*out = tn_floordiv_i64(x, y), true);
    case TN_T_IMOD: return y > 0 && (*out = tn_mod_i64(x, y), true);
    case TN_T_IMIN: return *out = x < y ? x : y, true;
    case TN_T_IMAX: return *out = x > y ? x : y, true;
    default: return false;
  }
}

static tn_tile_value *bool_const(tn_tile_build *b, bool v) {
  return tn_tile_number(b, TN_BOOL, 1, (tn_number){.i = v});
}

static bool is_compare(tn_tile_op op) { return op == TN_T_ILT || op == TN_T_ILE || op == TN_T_IEQ; }

/* x op y where one is constant and the result is the other or a constant; NULL when neither. */
static tn_tile_value *neutral(tn_tile_build *b, tn_tile_op op, tn_tile_value *x, tn_tile_value *y) {
  int64_t cx = 0, cy = 0;
  bool kx = is_const(x, &cx), ky = is_const(y, &cy);
  if (op == TN_T_IADD && kx && cx == 0) return y;
  if ((op == TN_T_IADD || op == TN_T_ISUB) && ky && cy == 0) return x;
  if (op == TN_T_IMUL && ((kx && cx == 0) || (ky && cy == 1))) return x;
  if (op == TN_T_IMUL && ((ky && cy == 0) || (kx && cx == 1))) return y;
  if (op == TN_T_IFLOORDIV && ky && cy == 1) return x;
  if (op == TN_T_IMOD && ky && cy == 1) return tn_tile_const_i(b, 0);
  if ((op == TN_T_IMIN || op == TN_T_IMAX) && x == y) return x;
  return NULL;
}

tn_tile_value *tn_tile_int(tn_tile_build *b, tn_tile_op op, tn_tile_value *x, tn_tile_value *y) {
  int64_t cx, cy, folded;
  if (op == TN_T_IAND) {
    if (x->op == TN_T_CONST) return x->constant.i ? y : x;
    if (y->op == TN_T_CONST) return y->constant.i ? x : y;
  } else if (is_const(x, &cx) && is_const(y, &cy)) {
    if (is_compare(op)) return bool_const(b, op == TN_T_ILT ? cx < cy : op == TN_T_ILE ? cx <= cy : cx == cy);
    if (fold_int(op, cx, cy, &folded)) return tn_tile_const_i(b, folded);
  } else {
    tn_tile_value *simple = neutral(b, op, x, y);
    if (simple) return simple;
  }
  tn_dtype type = is_compare(op) || op == TN_T_IAND ? TN_BOOL : TN_I64;
  tn_tile_value proto = {.op = op, .type = type, .lanes = 1, .n_in = 2, .in = {x, y}};
  return tn_tile_value_of(b, &proto);
}

static tn_tile_value *size_symbol(tn_tile_build *b, const tn_symbol *symbol) {
  const tn_kernel *kernel = b->func->kernel;
  for (size_t i = 0; i < kernel->symbols.n; i++) {
    if (kernel->symbols.data[i] != symbol) continue;
    tn_tile_value proto = {.op = TN_T_DIM, .type = TN_I64, .lanes = 1, .index = (uint32_t)i};
    return tn_tile_value_of(b, &proto);
  }
  TN_ASSERT(!"a size symbol that the kernel does not list");
  return NULL;
}

/* extent of a broadcast: q where p is 1, else p. */
static tn_tile_value *broadcast_extent(tn_tile_build *b, tn_tile_value *p, tn_tile_value *q) {
  tn_tile_value *in[] = {tn_tile_int(b, TN_T_IEQ, p, tn_tile_const_i(b, 1)), q, p};
  return tn_tile_scalar(b, TN_SELECT, TN_I64, 1, in, 3);
}

static tn_tile_value *atom_value(tn_tile_build *b, const tn_atom *atom, tn_tile_value *const *axes) {
  if (atom->kind == TN_ATOM_SYMBOL) {
    bool is_local = atom->symbol->kind == TN_SYM_AXIS || atom->symbol->kind == TN_SYM_VALUE;
    return is_local ? axes[atom->symbol->slot] : size_symbol(b, atom->symbol);
  }
  tn_tile_value *p = tn_tile_dim(b, atom->p, axes), *q = tn_tile_dim(b, atom->q, axes);
  switch (atom->kind) {
    case TN_ATOM_FLOORDIV:
      return tn_tile_int(b, TN_T_IFLOORDIV, p, tn_tile_int(b, TN_T_IMAX, q, tn_tile_const_i(b, 1)));
    case TN_ATOM_MOD: return tn_tile_int(b, TN_T_IMOD, p, tn_tile_int(b, TN_T_IMAX, q, tn_tile_const_i(b, 1)));
    case TN_ATOM_MIN: return tn_tile_int(b, TN_T_IMIN, p, q);
    case TN_ATOM_MAX: return tn_tile_int(b, TN_T_IMAX, p, q);
    default: return broadcast_extent(b, p, q);
  }
}

static tn_tile_value *term_value(tn_tile_build *b, const tn_term *term, tn_tile_value *const *axes) {
  tn_tile_value *product = tn_tile_const_i(b, term->coefficient);
  /* Outermost factors first, so that what is known early is computed early. */
  tn_tile_value *factors[16];
  uint32_t n = 0;
  for (uint32_t i = 0; i < term->n_atoms && n < 16; i++) {
    tn_tile_value *factor = atom_value(b, term->atoms[i], axes);
    uint32_t at = n++;
    for (; at > 0 && factors[at - 1]->home->depth > factor->home->depth; at--) factors[at] = factors[at - 1];
    factors[at] = factor;
  }
  for (uint32_t i = 0; i < n; i++) product = tn_tile_int(b, TN_T_IMUL, product, factors[i]);
  for (uint32_t i = n; i < term->n_atoms; i++)
    product = tn_tile_int(b, TN_T_IMUL, product, atom_value(b, term->atoms[i], axes));
  return product;
}

tn_tile_value *tn_tile_dim(tn_tile_build *b, const tn_dim *dim, tn_tile_value *const *axes) {
  tn_tile_value *terms[64];
  uint32_t n = 0;
  tn_tile_value *sum = tn_tile_const_i(b, 0);
  for (uint32_t i = 0; i < dim->n_terms; i++) {
    tn_tile_value *term = term_value(b, &dim->terms[i], axes);
    if (n == TN_ARRAY_LEN(terms)) {
      sum = tn_tile_int(b, TN_T_IADD, sum, term);
      continue;
    }
    uint32_t at = n++;
    for (; at > 0 && terms[at - 1]->home->depth > term->home->depth; at--) terms[at] = terms[at - 1];
    terms[at] = term;
  }
  for (uint32_t i = 0; i < n; i++) sum = tn_tile_int(b, TN_T_IADD, sum, terms[i]);
  return sum;
}

/* --- Memory and values --- */

tn_tile_value *tn_tile_load(tn_tile_build *b, tn_tile_op op, tn_dtype type, uint32_t lanes, uint32_t arg,
                            tn_tile_value *offset, int64_t displacement, tn_tile_value *mask) {
  tn_tile_value proto = {.op = op, .type = type, .lanes = lanes, .arg = arg, .displacement = displacement,
                         .n_in = mask ? 2 : 1, .in = {offset, mask}};
  return tn_tile_value_of(b, &proto);
}

tn_tile_stmt *tn_tile_stmt_add(tn_tile_build *b, tn_tile_stmt_kind kind) {
  tn_tile_stmt *stmt = new_stmt(b, kind);
  TN_VEC_PUSH(b->func->arena, &b->block->stmts, stmt);
  return stmt;
}

static tn_tile_stmt *store_stmt(tn_tile_build *b, tn_tile_stmt_kind kind, uint32_t arg, tn_tile_value *offset,
                                int64_t displacement, tn_tile_value *value, tn_dtype store_type, tn_tile_value *mask) {
  tn_tile_stmt *stmt = tn_tile_stmt_add(b, kind);
  stmt->arg = arg;
  stmt->offset = offset;
  stmt->displacement = displacement;
  stmt->value = value;
  stmt->store_type = store_type;
  stmt->mask = mask;
  return stmt;
}

void tn_tile_store(tn_tile_build *b, uint32_t arg, tn_tile_value *offset, int64_t displacement, tn_tile_value *value,
                   tn_dtype store_type, tn_tile_value *mask) {
  store_stmt(b, TN_TS_STORE, arg, offset, displacement, value, store_type, mask);
}

void tn_tile_store_strided(tn_tile_build *b, uint32_t arg, tn_tile_value *offset, int64_t displacement,
                           tn_tile_value *stride, tn_tile_value *value, tn_dtype store_type, tn_tile_value *mask) {
  store_stmt(b, TN_TS_STORE_STRIDED, arg, offset, displacement, value, store_type, mask)->stride = stride;
}

tn_tile_value *tn_tile_unary(tn_tile_build *b, tn_tile_op op, tn_dtype type, uint32_t lanes, tn_tile_value *x) {
  tn_tile_value proto = {.op = op, .type = type, .lanes = lanes, .n_in = 1, .in = {x}};
  return tn_tile_value_of(b, &proto);
}

tn_tile_value *tn_tile_scalar(tn_tile_build *b, tn_scalar scalar, tn_dtype type, uint32_t lanes,
                              tn_tile_value *const *in, uint32_t n_in) {
  tn_tile_value proto = {.op = TN_T_SCALAR, .scalar = scalar, .type = type, .lanes = lanes, .n_in = n_in};
  memcpy(proto.in, in, n_in * sizeof(*in));
  return tn_tile_value_of(b, &proto);
}

tn_tile_value *tn_tile_fma(tn_tile_build *b, tn_tile_value *x, tn_tile_value *y, tn_tile_value *z) {
  tn_tile_value proto = {.op = TN_T_FMA, .type = z->type, .lanes = z->lanes, .n_in = 3, .in = {x, y, z}};
  return tn_tile_value_of(b, &proto);
}

/* --- Statements with bodies --- */

static void open_block(tn_tile_build *b, tn_tile_block *block, bool conditional) {
  block->parent = b->block;
  block->depth = b->block->depth + 1;
  block->conditional = conditional;
  b->block = block;
}

tn_tile_stmt *tn_tile_loop_begin(tn_tile_build *b, tn_tile_value *lo, tn_tile_value *hi, int64_t step,
                                 tn_tile_value *const *initial, uint32_t n_carried, tn_tile_block **saved) {
  tn_arena *arena = b->func->arena;
  tn_tile_stmt *loop = new_stmt(b, TN_TS_LOOP);
  loop->lo = lo;
  loop->hi = hi;
  loop->step = step;
  loop->n_carried = n_carried;
  loop->initial = TN_NEW_N(arena, tn_tile_value *, n_carried);
  loop->carried = TN_NEW_N(arena, tn_tile_value *, n_carried);
  loop->next = TN_NEW_N(arena, tn_tile_value *, n_carried);
  loop->results = TN_NEW_N(arena, tn_tile_value *, n_carried);
  *saved = b->block;
  open_block(b, &loop->body, false);
  tn_tile_value var = {.op = TN_T_LOOP_VAR, .type = TN_I64, .lanes = 1, .loop = loop};
  loop->var = new_value(b, &var, &loop->body);
  for (uint32_t i = 0; i < n_carried; i++) {
    tn_tile_value proto = {.op = TN_T_CARRIED, .type = initial[i]->type, .lanes = initial[i]->lanes, .index = i,
                           .loop = loop};
    loop->initial[i] = initial[i];
    loop->carried[i] = new_value(b, &proto, &loop->body);
  }
  return loop;
}

void tn_tile_loop_end(tn_tile_build *b, tn_tile_stmt *loop, tn_tile_value *const *next, tn_tile_block *saved) {
  b->block = saved;
  TN_VEC_PUSH(b->func->arena, &saved->stmts, loop);
  for (uint32_t i = 0; i < loop->n_carried; i++) {
    tn_tile_value proto = {.op = TN_T_RESULT, .type = next[i]->type, .lanes = next[i]->lanes, .index = i,
                           .loop = loop};
    TN_ASSERT(next[i]->type == loop->initial[i]->type && next[i]->lanes == loop->initial[i]->lanes);
    loop->next[i] = next[i];
    loop->results[i] = new_value(b, &proto, saved);
  }
}

tn_tile_stmt *tn_tile_if_begin(tn_tile_build *b, tn_tile_value *condition, tn_tile_block **saved) {
  tn_tile_stmt *stmt = new_stmt(b, TN_TS_IF);
  stmt->condition = condition;
  *saved = b->block;
  open_block(b, &stmt->body, true);
  return stmt;
}

void tn_tile_if_else(tn_tile_build *b, tn_tile_stmt *stmt) {
  b->block = stmt->body.parent;
  open_block(b, &stmt->otherwise, true);
}

void tn_tile_if_end(tn_tile_build *b, tn_tile_stmt *stmt, tn_tile_block *saved) {
  b->block = saved;
  TN_VEC_PUSH(b->func->arena, &saved->stmts, stmt);
}

/* --- Cleaning --- */

static void mark(tn_tile_value *v, uint8_t *live) {
  if (!v || live[v->id]) return;
  live[v->id] = 1;
  for (uint32_t i = 0; i < v->n_in; i++) mark(v->in[i], live);
  if (v->op == TN_T_RESULT || v->op == TN_T_CARRIED) {
    mark(v->loop->initial[v->index], live);
    mark(v->loop->next[v->index], live);
  }
}

static void mark_block(const tn_tile_block *block, uint8_t *live) {
  for (size_t i = 0; i < block->stmts.n; i++) {
    const tn_tile_stmt *stmt = block->stmts.data[i];
    if (stmt->kind == TN_TS_DEF) {
      if (stmt->value->op == TN_T_CLAMP_INDEX) mark(stmt->value, live); /* sets the status */
      continue;
    }
    mark(stmt->kind == TN_TS_STORE || stmt->kind == TN_TS_STORE_STRIDED ? stmt->value : NULL, live);
    mark(stmt->offset, live);
    mark(stmt->mask, live);
    mark(stmt->stride, live);
    mark(stmt->out_offset, live);
    mark(stmt->out_stride, live);
    mark(stmt->lo, live);
    mark(stmt->hi, live);
    mark(stmt->condition, live);
    for (uint32_t k = 0; k < stmt->n_carried; k++) mark(stmt->next[k], live), mark(stmt->initial[k], live);
    mark_block(&stmt->body, live);
    mark_block(&stmt->otherwise, live);
  }
}

static bool is_empty(const tn_tile_stmt *stmt) {
  if (stmt->kind == TN_TS_LOOP) return stmt->body.stmts.n == 0 && stmt->n_carried == 0;
  return stmt->kind == TN_TS_IF && stmt->body.stmts.n == 0 && stmt->otherwise.stmts.n == 0;
}

static void sweep(tn_tile_block *block, const uint8_t *live) {
  size_t n = 0;
  for (size_t i = 0; i < block->stmts.n; i++) {
    tn_tile_stmt *stmt = block->stmts.data[i];
    if (stmt->kind == TN_TS_DEF && !live[stmt->value->id]) continue;
    if (stmt->kind == TN_TS_LOOP || stmt->kind == TN_TS_IF) {
      sweep(&stmt->body, live);
      sweep(&stmt->otherwise, live);
      if (is_empty(stmt)) continue;
    }
    block->stmts.data[n++] = stmt;
  }
  block->stmts.n = n;
}

static void number(tn_tile_block *block, uint32_t *next) {
  for (size_t i = 0; i < block->stmts.n; i++) {
    tn_tile_stmt *stmt = block->stmts.data[i];
    if (stmt->kind == TN_TS_DEF) stmt->value->id = (*next)++;
    if (stmt->kind == TN_TS_LOOP) {
      stmt->var->id = (*next)++;
      for (uint32_t k = 0; k < stmt->n_carried; k++) stmt->carried[k]->id = (*next)++;
    }
    number(&stmt->body, next);
    number(&stmt->otherwise, next);
    if (stmt->kind == TN_TS_LOOP)
      for (uint32_t k = 0; k < stmt->n_carried; k++) stmt->results[k]->id = (*next)++;
  }
}

void tn_tile_remove_dead(tn_tile_func *func) {
  uint8_t *live = TN_NEW_N(func->arena, uint8_t, func->n_values);
  mark_block(&func->body, live);
  sweep(&func->body, live);
  func->n_values = 0;
  number(&func->body, &func->n_values);
}
