/* A slow interpreter of tile functions, for tests: every access is checked against the size of its argument. */
#ifndef TN_TESTS_SUPPORT_TILE_EVAL_H
#define TN_TESTS_SUPPORT_TILE_EVAL_H

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "backends/cpu/tile.h"
#include "ir/eval.h"

typedef struct tile_memory {
  uint8_t *data;
  int64_t n; /* elements */
  tn_dtype dtype;
  int32_t *writer; /* by element: 1 + the first part of the call that wrote it, 0 = none yet; NULL: not kept */
} tile_memory;

typedef struct tile_machine {
  const tn_tile_func *func;
  tn_arena *arena;
  const tile_memory *args;
  tile_memory scratch;
  const int64_t *symbols;
  int64_t part_lo, part_hi;
  tn_number **values; /* by id: one number a lane */
  bool index_status;
  char fault[200]; /* what went wrong first; "" = nothing */
} tile_machine;

static void tile_fault(tile_machine *m, const char *what, uint32_t arg, int64_t at, int64_t n) {
  if (!m->fault[0])
    snprintf(m->fault, sizeof(m->fault), "%s: argument %d at %lld of %lld", what, (int)arg, (long long)at,
             (long long)n);
}

static void *tile_at(tile_machine *m, uint32_t arg, int64_t at, tn_dtype type, const char *what) {
  const tile_memory *memory = arg == TN_TILE_SCRATCH ? &m->scratch : &m->args[arg];
  static uint8_t nothing[8];
  if (arg != TN_TILE_SCRATCH && memory->dtype != type) tile_fault(m, "type", arg, at, memory->n);
  if (at < 0 || at >= memory->n) {
    tile_fault(m, what, arg, at, memory->n);
    return nothing;
  }
  return memory->data + (size_t)at * tn_dtype_bytes(type);
}

static int64_t tile_int(const tile_machine *m, const tn_tile_value *v) { return m->values[v->id][0].i; }
static tn_number tile_lane(const tile_machine *m, const tn_tile_value *v, uint32_t lane) {
  return m->values[v->id][v->lanes == 1 ? 0 : lane];
}

static tn_number tile_load(tile_machine *m, const tn_tile_value *v, int64_t at, bool active) {
  if (!active) return (tn_number){.u = 0};
  return tn_number_load(v->type, tile_at(m, v->arg, at, v->type, "load"));
}

static tn_number tile_round(tn_dtype type, tn_number v) {
  if (type == TN_F64) return v;
  if (tn_dtype_is_float(type)) v.f = tn_number_round_float(type, v.f);
  return v;
}

static void tile_load_lanes(tile_machine *m, const tn_tile_value *v, tn_number *out) {
  int64_t base = tile_int(m, v->in[0]) + v->displacement;
  for (uint32_t i = 0; i < v->lanes; i++) {
    const tn_tile_value *mask = v->op == TN_T_LOAD ? v->in[1] : v->op == TN_T_LOAD_SPLAT ? NULL : v->in[2];
    bool active = !mask || tile_lane(m, mask, i).i;
    int64_t at = base;
    if (v->op == TN_T_LOAD) at += i;
    if (v->op == TN_T_LOAD_STRIDED) at += i * tile_int(m, v->in[1]);
    if (v->op == TN_T_GATHER) at += tile_lane(m, v->in[1], i).i;
    out[i] = tile_load(m, v, at, active);
  }
}

static int64_t tile_int_op(tile_machine *m, const tn_tile_value *v) {
  int64_t x = tile_int(m, v->in[0]), y = tile_int(m, v->in[1]);
  switch (v->op) {
    case TN_T_IADD: return x + y;
    case TN_T_ISUB: return x - y;
    case TN_T_IMUL: return x * y;
    case TN_T_IFLOORDIV:
    case TN_T_IMOD:
      if (y <= 0) tile_fault(m, "divisor", 0, y, 0);
      return y <= 0 ? 0 : v->op == TN_T_IMOD ? tn_mod_i64(x, y) : tn_floordiv_i64(x, y);
    case TN_T_IMIN: return x < y ? x : y;
    case TN_T_IMAX: return x > y ? x : y;
    case TN_T_ILT: return x < y;
    case TN_T_ILE: return x <= y;
    case TN_T_IEQ: return x == y;
    default: return x && y;
  }
}

static tn_number tile_fold(const tn_tile_value *v, const tn_number *in, uint32_t n) {
  static const tn_scalar ops[] = {TN_ADD, TN_MUL, TN_MAX, TN_MIN, TN_AND, TN_OR};
  if (n == 1) return in[0];
  tn_number halves[64];
  for (uint32_t i = 0; i < n / 2; i++) {
    tn_number pair[] = {in[i], in[i + n / 2]};
    halves[i] = tile_round(v->type, tn_scalar_apply(ops[v->fold], v->type, v->type, true, pair));
  }
  return tile_fold(v, halves, n / 2);
}

static void tile_scalar_lane(tile_machine *m, const tn_tile_value *v, uint32_t lane, tn_number *out) {
  tn_number in[3];
  for (uint32_t i = 0; i < v->n_in; i++) in[i] = tile_lane(m, v->in[i], lane);
  if (v->op == TN_T_FMA) {
    if (tn_dtype_is_float(v->type)) {
      out->f = v->type == TN_F64 ? fma(in[0].f, in[1].f, in[2].f)
                                 : (double)fmaf((float)in[0].f, (float)in[1].f, (float)in[2].f);
    } else {
      tn_number product = tn_scalar_apply(TN_MUL, v->type, v->type, true, in), sum[] = {product, in[2]};
      *out = tn_scalar_apply(TN_ADD, v->type, v->type, true, sum);
    }
    return;
  }
  *out = tn_scalar_apply(v->scalar, v->in[v->n_in - 1]->type, v->type, true, in);
}

static void tile_value(tile_machine *m, const tn_tile_value *v) {
  tn_number *out = m->values[v->id];
  for (uint32_t i = 0; i < v->n_in; i++)
    if (v->in[i] && v->in[i]->lanes != 1 && v->in[i]->lanes != v->lanes && v->op != TN_T_HFOLD && v->op != TN_T_EXTRACT)
      tile_fault(m, "lanes", v->id, v->in[i]->lanes, v->lanes);
  switch (v->op) {
    case TN_T_CONST:
      for (uint32_t i = 0; i < v->lanes; i++) out[i] = tile_round(v->type, v->constant);
      break;
    case TN_T_DIM: out[0].i = m->symbols[v->index]; break;
    case TN_T_PART_LO: out[0].i = m->part_lo; break;
    case TN_T_PART_HI: out[0].i = m->part_hi; break;
    case TN_T_IADD: case TN_T_ISUB: case TN_T_IMUL: case TN_T_IFLOORDIV: case TN_T_IMOD: case TN_T_IMIN: case TN_T_IMAX:
    case TN_T_ILT: case TN_T_ILE: case TN_T_IEQ: case TN_T_IAND: out[0].i = tile_int_op(m, v); break;
    case TN_T_LOAD: case TN_T_LOAD_SPLAT: case TN_T_LOAD_STRIDED: case TN_T_GATHER: tile_load_lanes(m, v, out); break;
    case TN_T_SCALAR: case TN_T_FMA:
      for (uint32_t i = 0; i < v->n_in; i++)
        if (v->in[i]->lanes != v->lanes) tile_fault(m, "scalar lanes", v->id, v->in[i]->lanes, v->lanes);
      for (uint32_t i = 0; i < v->lanes; i++) tile_scalar_lane(m, v, i, &out[i]);
      break;
    case TN_T_SPLAT:
      for (uint32_t i = 0; i < v->lanes; i++) out[i] = tile_lane(m, v->in[0], 0);
      break;
    case TN_T_LANES:
      for (uint32_t i = 0; i < v->lanes; i++) out[i].i = i;
      break;
    case TN_T_FROM_I64: out[0] = tn_number_cast(TN_I64, v->type, tile_lane(m, v->in[0], 0)); break;
    case TN_T_EXTRACT: out[0] = tile_lane(m, v->in[0], v->index); break;
    case TN_T_TO_I64:
      for (uint32_t i = 0; i < v->lanes; i++)
        out[i] = tn_number_cast(v->in[0]->type, TN_I64, tile_lane(m, v->in[0], i));
      break;
    case TN_T_HFOLD: out[0] = tile_fold(v, m->values[v->in[0]->id], v->in[0]->lanes); break;
    case TN_T_MASK:
      for (uint32_t i = 0; i < v->lanes; i++) out[i].i = (int64_t)i < tile_int(m, v->in[0]);
      break;
    case TN_T_CLAMP_INDEX: {
      int64_t x = tile_int(m, v->in[0]), n = tile_int(m, v->in[1]);
      out[0].i = x >= n ? n - 1 : x;
      if (out[0].i < 0) out[0].i = 0;
      m->index_status |= out[0].i != x;
      break;
    }
    case TN_T_LOOP_VAR: case TN_T_CARRIED: case TN_T_RESULT: break;
  }
}

/* Parts run at once: an element belongs to one of them. */
static void tile_claim(tile_machine *m, uint32_t arg, int64_t at) {
  const tile_memory *memory = arg == TN_TILE_SCRATCH ? &m->scratch : &m->args[arg];
  int32_t mine = (int32_t)m->part_lo + 1;
  if (!memory->writer || at < 0 || at >= memory->n) return;
  if (memory->writer[at] && memory->writer[at] != mine) tile_fault(m, "written by two parts", arg, at, memory->n);
  memory->writer[at] = mine;
}

static void tile_store(tile_machine *m, const tn_tile_stmt *s) {
  int64_t base = tile_int(m, s->offset) + s->displacement, stride = s->stride ? tile_int(m, s->stride) : 1;
  for (uint32_t i = 0; i < s->value->lanes; i++) {
    if (s->mask && !tile_lane(m, s->mask, i).i) continue;
    tn_number v = tn_number_cast(s->value->type, s->store_type, tile_lane(m, s->value, i));
    tile_claim(m, s->arg, base + i * stride);
    tn_number_store(s->store_type, v, tile_at(m, s->arg, base + i * stride, s->store_type, "store"));
  }
}

static void tile_block(tile_machine *m, const tn_tile_block *block);

static void tile_copy(tile_machine *m, const tn_tile_value *from, const tn_tile_value *to) {
  memcpy(m->values[to->id], m->values[from->id], to->lanes * sizeof(tn_number));
}

static void tile_loop(tile_machine *m, const tn_tile_stmt *s) {
  int64_t hi = tile_int(m, s->hi);
  tn_number next[256][64];
  for (uint32_t k = 0; k < s->n_carried; k++) tile_copy(m, s->initial[k], s->carried[k]);
  for (int64_t i = tile_int(m, s->lo); i < hi && !m->fault[0]; i += s->step) {
    m->values[s->var->id][0].i = i;
    tile_block(m, &s->body);
    for (uint32_t k = 0; k < s->n_carried; k++)
      memcpy(next[k], m->values[s->next[k]->id], s->next[k]->lanes * sizeof(tn_number));
    for (uint32_t k = 0; k < s->n_carried; k++)
      memcpy(m->values[s->carried[k]->id], next[k], s->carried[k]->lanes * sizeof(tn_number));
  }
  for (uint32_t k = 0; k < s->n_carried; k++) tile_copy(m, s->carried[k], s->results[k]);
}

/* By the reference's sort, where the code calls the runtime's. */
static void tile_argsort(tile_machine *m, const tn_tile_stmt *s) {
  int64_t n = tile_int(m, s->hi), top = tile_int(m, s->lo);
  tn_dtype type = m->args[s->arg].dtype;
  tn_number *keys = TN_NEW_N(m->arena, tn_number, (size_t)n + 1);
  int64_t *order = TN_NEW_N(m->arena, int64_t, (size_t)n + 1), *other = TN_NEW_N(m->arena, int64_t, (size_t)n + 1);
  if (m->scratch.n < 8 * n || top > n) tile_fault(m, "argsort", s->arg, m->scratch.n, 8 * n);
  for (int64_t i = 0; i < n; i++) {
    int64_t at = tile_int(m, s->offset) + s->displacement + i * tile_int(m, s->stride);
    keys[i] = tn_number_load(type, tile_at(m, s->arg, at, type, "argsort"));
  }
  tn_sort_positions(order, other, n, keys, 1, type, s->descending);
  for (int64_t i = 0; i < top; i++) {
    int64_t at = tile_int(m, s->out_offset) + i * tile_int(m, s->out_stride);
    memcpy(tile_at(m, s->out_arg, at, TN_I64, "argsort"), &order[i], sizeof(order[i]));
  }
}

static void tile_block(tile_machine *m, const tn_tile_block *block) {
  for (size_t i = 0; i < block->stmts.n && !m->fault[0]; i++) {
    const tn_tile_stmt *s = block->stmts.data[i];
    switch (s->kind) {
      case TN_TS_DEF: tile_value(m, s->value); break;
      case TN_TS_STORE: case TN_TS_STORE_STRIDED: tile_store(m, s); break;
      case TN_TS_LOOP: tile_loop(m, s); break;
      case TN_TS_IF: tile_block(m, tile_int(m, s->condition) ? &s->body : &s->otherwise); break;
      case TN_TS_ARGSORT: tile_argsort(m, s); break;
      case TN_TS_COMMENT: break;
    }
  }
}

static void tile_make_values(tile_machine *m, const tn_tile_block *block) {
  for (size_t i = 0; i < block->stmts.n; i++) {
    const tn_tile_stmt *s = block->stmts.data[i];
    if (s->kind == TN_TS_DEF) m->values[s->value->id] = TN_NEW_N(m->arena, tn_number, s->value->lanes);
    if (s->kind == TN_TS_LOOP) m->values[s->var->id] = TN_NEW_N(m->arena, tn_number, 1);
    for (uint32_t k = 0; k < s->n_carried; k++) {
      m->values[s->carried[k]->id] = TN_NEW_N(m->arena, tn_number, s->carried[k]->lanes);
      m->values[s->results[k]->id] = TN_NEW_N(m->arena, tn_number, s->results[k]->lanes);
    }
    tile_make_values(m, &s->body);
    tile_make_values(m, &s->otherwise);
  }
}

/* Runs parts part_lo .. part_hi-1. args: memory by argument, in storage order. m->fault tells what went wrong. */
static void tile_run(tile_machine *m) {
  m->values = TN_NEW_N(m->arena, tn_number *, m->func->n_values);
  tile_make_values(m, &m->func->body);
  tile_block(m, &m->func->body);
}

#endif
