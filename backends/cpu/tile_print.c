/* Tile functions as text (--emit=tiles) and the count of live vectors. See tile.h. */
#include <inttypes.h>

#include "backends/cpu/tile.h"

static const char *op_name(const tn_tile_value *v) {
  static const char *const names[] = {
      [TN_T_CONST] = "const", [TN_T_DIM] = "dim", [TN_T_PART_LO] = "part_lo", [TN_T_PART_HI] = "part_hi",
      [TN_T_LOOP_VAR] = "var", [TN_T_CARRIED] = "carried", [TN_T_RESULT] = "result", [TN_T_IADD] = "iadd",
      [TN_T_ISUB] = "isub", [TN_T_IMUL] = "imul", [TN_T_IFLOORDIV] = "ifloordiv", [TN_T_IMOD] = "imod",
      [TN_T_IMIN] = "imin", [TN_T_IMAX] = "imax", [TN_T_ILT] = "ilt", [TN_T_ILE] = "ile", [TN_T_IEQ] = "ieq",
      [TN_T_IAND] = "iand", [TN_T_LOAD] = "load", [TN_T_LOAD_SPLAT] = "load_splat",
      [TN_T_LOAD_STRIDED] = "load_strided", [TN_T_GATHER] = "gather", [TN_T_FMA] = "fma", [TN_T_SPLAT] = "splat",
      [TN_T_LANES] = "lanes", [TN_T_FROM_I64] = "from_i64", [TN_T_EXTRACT] = "extract", [TN_T_TO_I64] = "to_i64",
      [TN_T_HFOLD] = "hfold", [TN_T_MASK] = "mask", [TN_T_CLAMP_INDEX] = "clamp_index"};
  if (v->op != TN_T_SCALAR) return names[v->op];
  static const char *const scalars[] = {
#define X(enumerator, name, arity, in, out) [enumerator] = name,
#include "ir/scalar.def"
#undef X
  };
  return scalars[v->scalar];
}

static void print_type(const tn_tile_value *v, tn_buf *out) {
  tn_buf_puts(out, tn_dtype_name(v->type));
  if (v->lanes > 1) tn_buf_printf(out, "x%u", v->lanes);
}

static void print_ref(const tn_tile_value *v, tn_buf *out) {
  if (v->op != TN_T_CONST) {
    tn_buf_printf(out, "%%%u", v->id);
  } else if (tn_dtype_is_float(v->type)) {
    tn_buf_double(out, v->constant.f);
  } else {
    tn_buf_printf(out, "%" PRId64, v->constant.i);
  }
}

static void print_arg(const tn_tile_func *func, uint32_t arg, tn_buf *out) {
  if (arg == TN_TILE_SCRATCH)
    tn_buf_puts(out, "scratch");
  else
    tn_buf_printf(out, "%s.%u", func->kernel->args.data[arg].name, arg);
}

static void print_address(const tn_tile_func *func, uint32_t arg, const tn_tile_value *offset, int64_t displacement,
                          tn_buf *out) {
  print_arg(func, arg, out);
  tn_buf_putc(out, '[');
  print_ref(offset, out);
  if (displacement)
    tn_buf_printf(out, " %c %" PRId64, displacement < 0 ? '-' : '+', displacement < 0 ? -displacement : displacement);
  tn_buf_putc(out, ']');
}

static bool is_load(const tn_tile_value *v) {
  return v->op == TN_T_LOAD || v->op == TN_T_LOAD_SPLAT || v->op == TN_T_LOAD_STRIDED || v->op == TN_T_GATHER;
}

static void print_value(const tn_tile_func *func, const tn_tile_value *v, tn_buf *out) {
  tn_buf_printf(out, "%%%u: ", v->id);
  print_type(v, out);
  tn_buf_printf(out, " = %s", op_name(v));
  if (v->op == TN_T_HFOLD) tn_buf_printf(out, " %s", tn_fold_name(v->fold));
  if (v->op == TN_T_DIM) tn_buf_printf(out, " %s", func->kernel->symbols.data[v->index]->name);
  if (v->op == TN_T_EXTRACT) tn_buf_printf(out, " %u of", v->index);
  uint32_t first = 0;
  if (is_load(v)) {
    tn_buf_putc(out, ' ');
    print_address(func, v->arg, v->in[0], v->displacement, out);
    first = 1;
  }
  for (uint32_t i = first; i < v->n_in; i++) {
    if (!v->in[i]) continue;
    tn_buf_puts(out, i ? ", " : " ");
    print_ref(v->in[i], out);
  }
  tn_buf_putc(out, '\n');
}

static void indent(uint32_t depth, tn_buf *out) {
  for (uint32_t i = 0; i < depth; i++) tn_buf_puts(out, "  ");
}

static void print_block(const tn_tile_func *func, const tn_tile_block *block, uint32_t depth, tn_buf *out);

static void print_loop(const tn_tile_func *func, const tn_tile_stmt *loop, uint32_t depth, tn_buf *out) {
  tn_buf_printf(out, "for %%%u = ", loop->var->id);
  print_ref(loop->lo, out);
  tn_buf_puts(out, " .. ");
  print_ref(loop->hi, out);
  tn_buf_printf(out, " step %" PRId64 "%s", loop->step, loop->innermost_hot ? " hot" : "");
  for (uint32_t i = 0; i < loop->n_carried; i++) {
    tn_buf_printf(out, "%s%%%u := ", i ? ", " : " carry ", loop->carried[i]->id);
    print_ref(loop->initial[i], out);
  }
  tn_buf_puts(out, " {\n");
  print_block(func, &loop->body, depth + 1, out);
  indent(depth, out);
  tn_buf_putc(out, '}');
  for (uint32_t i = 0; i < loop->n_carried; i++) {
    tn_buf_printf(out, "%s%%%u = ", i ? ", " : " next ", loop->results[i]->id);
    print_ref(loop->next[i], out);
  }
  tn_buf_putc(out, '\n');
}

static void print_store(const tn_tile_func *func, const tn_tile_stmt *stmt, tn_buf *out) {
  tn_buf_printf(out, "store %s ", tn_dtype_name(stmt->store_type));
  print_ref(stmt->value, out);
  tn_buf_puts(out, " -> ");
  print_address(func, stmt->arg, stmt->offset, stmt->displacement, out);
  if (stmt->stride) {
    tn_buf_puts(out, " stride ");
    print_ref(stmt->stride, out);
  }
  if (stmt->mask) {
    tn_buf_puts(out, " mask ");
    print_ref(stmt->mask, out);
  }
  tn_buf_putc(out, '\n');
}

static void print_argsort(const tn_tile_func *func, const tn_tile_stmt *stmt, tn_buf *out) {
  tn_buf_puts(out, "argsort ");
  print_address(func, stmt->arg, stmt->offset, stmt->displacement, out);
  tn_buf_puts(out, " stride ");
  print_ref(stmt->stride, out);
  tn_buf_puts(out, " n ");
  print_ref(stmt->hi, out);
  tn_buf_puts(out, stmt->descending ? " descending -> " : " -> ");
  print_address(func, stmt->out_arg, stmt->out_offset, 0, out);
  tn_buf_puts(out, " stride ");
  print_ref(stmt->out_stride, out);
  tn_buf_puts(out, " top ");
  print_ref(stmt->lo, out);
  tn_buf_putc(out, '\n');
}

static void print_if(const tn_tile_func *func, const tn_tile_stmt *stmt, uint32_t depth, tn_buf *out) {
  tn_buf_puts(out, "if ");
  print_ref(stmt->condition, out);
  tn_buf_puts(out, " {\n");
  print_block(func, &stmt->body, depth + 1, out);
  if (stmt->otherwise.stmts.n) {
    indent(depth, out);
    tn_buf_puts(out, "} else {\n");
    print_block(func, &stmt->otherwise, depth + 1, out);
  }
  indent(depth, out);
  tn_buf_puts(out, "}\n");
}

static void print_block(const tn_tile_func *func, const tn_tile_block *block, uint32_t depth, tn_buf *out) {
  for (size_t i = 0; i < block->stmts.n; i++) {
    const tn_tile_stmt *stmt = block->stmts.data[i];
    if (stmt->kind == TN_TS_DEF && stmt->value->op == TN_T_CONST) continue;
    indent(depth, out);
    switch (stmt->kind) {
      case TN_TS_DEF: print_value(func, stmt->value, out); break;
      case TN_TS_STORE:
      case TN_TS_STORE_STRIDED: print_store(func, stmt, out); break;
      case TN_TS_LOOP: print_loop(func, stmt, depth, out); break;
      case TN_TS_ARGSORT: print_argsort(func, stmt, out); break;
      case TN_TS_IF: print_if(func, stmt, depth, out); break;
      case TN_TS_COMMENT: tn_buf_printf(out, "# %s\n", stmt->comment); break;
    }
  }
}

void tn_tile_print(const tn_tile_func *func, tn_buf *out) {
  tn_buf_printf(out, "tiles %s # %s, %u live vectors\n", func->kernel->name, func->strategy, func->max_live_vectors);
  for (size_t i = 0; i < func->kernel->args.n; i++)
    if (func->formats && func->formats[i])
      tn_buf_printf(out, "  # %s.%u is packed as %s\n", func->kernel->args.data[i].name, (unsigned)i, func->formats[i]);
  print_block(func, &func->body, 1, out);
}

/* --- Live vectors --- */

typedef struct liveness {
  const tn_tile_func *func;
  uint32_t *last;  /* by value: 1 + the statement of its last use in the loop; UINT32_MAX: live through it */
  uint32_t *users; /* by value: how many statements of the loop use it */
} liveness;

/* Registers of the target that v occupies. A constant may be rebuilt, a broadcast that one instruction uses is part of
 * that instruction, a mask has registers of its own. */
static uint32_t registers_of(const liveness *l, const tn_tile_value *v) {
  if (v->lanes == 1 || v->type == TN_BOOL || v->op == TN_T_CONST) return 0;
  if (v->op == TN_T_LOAD_SPLAT && l->users[v->id] == 1) return 0;
  uint32_t bits = (uint32_t)tn_dtype_bytes(v->type) * 8 * v->lanes, width = l->func->target->vector_bits;
  return bits <= width ? 1 : (bits + width - 1) / width;
}

static void use(liveness *l, const tn_tile_value *v, uint32_t at) {
  if (!v) return;
  l->users[v->id]++;
  if (l->last[v->id] != UINT32_MAX) l->last[v->id] = at + 1;
}

static void use_all(liveness *l, const tn_tile_stmt *stmt, uint32_t at) {
  if (stmt->kind == TN_TS_DEF)
    for (uint32_t k = 0; k < stmt->value->n_in; k++) use(l, stmt->value->in[k], at);
  else if (stmt->kind == TN_TS_STORE || stmt->kind == TN_TS_STORE_STRIDED)
    use(l, stmt->value, at);
}

static bool is_defined_in(const tn_tile_block *block, const tn_tile_value *v) { return v->home == block; }

static uint32_t count_loop(const tn_tile_func *func, const tn_tile_stmt *loop) {
  const tn_tile_block *body = &loop->body;
  liveness l = {func, TN_NEW_N(func->arena, uint32_t, func->n_values), TN_NEW_N(func->arena, uint32_t, func->n_values)};
  for (uint32_t k = 0; k < loop->n_carried; k++) l.last[loop->next[k]->id] = UINT32_MAX;
  for (uint32_t i = 0; i < body->stmts.n; i++) use_all(&l, body->stmts.data[i], i);
  uint8_t *seen = TN_NEW_N(func->arena, uint8_t, func->n_values);
  uint32_t live = 0, most;
  /* What comes from outside lives through the loop. */
  for (size_t i = 0; i < body->stmts.n; i++) {
    const tn_tile_stmt *stmt = body->stmts.data[i];
    for (uint32_t k = 0; stmt->kind == TN_TS_DEF && k < stmt->value->n_in; k++) {
      const tn_tile_value *v = stmt->value->in[k];
      if (!v || seen[v->id] || is_defined_in(body, v)) continue;
      seen[v->id] = 1;
      l.last[v->id] = UINT32_MAX;
      live += registers_of(&l, v);
    }
  }
  for (uint32_t k = 0; k < loop->n_carried; k++) live += registers_of(&l, loop->carried[k]);
  most = live;
  for (uint32_t i = 0; i < body->stmts.n; i++) {
    const tn_tile_stmt *stmt = body->stmts.data[i];
    if (stmt->kind != TN_TS_DEF) continue;
    for (uint32_t k = 0; k < stmt->value->n_in; k++) {
      const tn_tile_value *v = stmt->value->in[k];
      if (v && is_defined_in(body, v) && l.last[v->id] == i + 1) {
        live -= registers_of(&l, v);
        l.last[v->id] = 0;
      }
    }
    live += registers_of(&l, stmt->value);
    if (live > most) most = live;
  }
  return most;
}

static uint32_t count_block(const tn_tile_func *func, const tn_tile_block *block) {
  uint32_t most = 0;
  for (size_t i = 0; i < block->stmts.n; i++) {
    const tn_tile_stmt *stmt = block->stmts.data[i];
    uint32_t n = 0;
    if (stmt->kind == TN_TS_LOOP && stmt->innermost_hot) {
      n = count_loop(func, stmt);
    } else if (stmt->kind == TN_TS_LOOP || stmt->kind == TN_TS_IF) {
      uint32_t a = count_block(func, &stmt->body), b = count_block(func, &stmt->otherwise);
      n = a > b ? a : b;
    }
    if (n > most) most = n;
  }
  return most;
}

uint32_t tn_tile_count_live(const tn_tile_func *func) { return count_block(func, &func->body); }
