/* Verifies kernels: the graph of nodes, axes and element types, coordinates in range, elements written once
 * (ir/IR.md section 8). */
#include <string.h>

#include "ir/verify.h"
#include "ir/verify_internal.h"

typedef struct verifier {
  tn_verify_state at;
  const tn_kernel *kernel;
  tn_guards guards;
} verifier;

static const char *dim_text(verifier *v, const tn_dim *dim) {
  tn_buf buf = tn_buf_create(v->at.ctx->arena);
  tn_dim_print(dim, &buf);
  return buf.data;
}

/* Symbols. */

static void check_size_symbol(void *user, const tn_symbol *symbol) {
  verifier *v = user;
  for (size_t i = 0; i < v->kernel->symbols.n; i++)
    if (v->kernel->symbols.data[i] == symbol) return;
  tn_verify_breach(&v->at, "symbol '%s' is no size of this kernel", symbol->name);
}

static void check_index_symbol(void *user, const tn_symbol *symbol) {
  verifier *v = user;
  bool is_axis = symbol->kind == TN_SYM_AXIS, is_value = symbol->kind == TN_SYM_VALUE;
  if (is_axis && (symbol->slot >= v->kernel->space.n || v->kernel->space.data[symbol->slot].symbol != symbol))
    tn_verify_breach(&v->at, "axis '%s' is not of this kernel", symbol->name);
  if (is_value && (symbol->slot >= v->kernel->nodes.n || v->kernel->nodes.data[symbol->slot]->value_symbol != symbol))
    tn_verify_breach(&v->at, "value '%s' is not of this kernel", symbol->name);
  if (!is_axis && !is_value) check_size_symbol(v, symbol);
}

/* A value used in an index must stand above the node that uses it. */
typedef struct value_use {
  verifier *v;
  const tn_knode *user;
} value_use;

static void check_value_above(void *user, const tn_symbol *symbol) {
  const value_use *use = user;
  if (symbol->kind == TN_SYM_VALUE && symbol->slot >= use->user->id)
    tn_verify_breach(&use->v->at, "node %u uses the value '%s' of a node below it", use->user->id, symbol->name);
}

/* Element types. */

static bool dtype_fits(tn_scalar scalar, tn_dtype dtype) {
  static const char classes[TN_N_SCALARS] = {
#define F 'F'
#define I 'I'
#define N 'N'
#define B 'B'
#define A 'A'
#define L 'L'
#define X(enumerator, name, arity, in, out) [enumerator] = in,
#include "ir/scalar.def"
#undef X
#undef F
#undef I
#undef N
#undef B
#undef A
#undef L
  };
  switch (classes[scalar]) {
    case 'F': return tn_dtype_is_float(dtype);
    case 'I': return tn_dtype_is_integer(dtype);
    case 'N': return tn_dtype_is_float(dtype) || tn_dtype_is_integer(dtype);
    case 'B': return dtype == TN_BOOL;
    case 'L': return dtype == TN_BOOL || tn_dtype_is_integer(dtype);
    default: return dtype != TN_STR;
  }
}

static bool gives_bool(tn_scalar scalar) { return scalar >= TN_EQ && scalar <= TN_IS_FINITE; }

static void check_scalar(verifier *v, const tn_knode *node) {
  const char *name = tn_op_of_scalar(node->scalar)->name;
  if (node->n_in != tn_scalar_arity(node->scalar)) {
    tn_verify_breach(&v->at, "node %u: '%s' takes %u operands, found %u", node->id, name, tn_scalar_arity(node->scalar),
                     node->n_in);
    return;
  }
  uint32_t first = node->scalar == TN_SELECT;
  tn_dtype dtype = node->in[first]->dtype;
  if (first && node->in[0]->dtype != TN_BOOL)
    tn_verify_breach(&v->at, "node %u: the condition of 'select' is %s, expected bool", node->id,
                     tn_dtype_name(node->in[0]->dtype));
  for (uint32_t i = first; i < node->n_in; i++)
    if (node->in[i]->dtype != dtype || !dtype_fits(node->scalar, dtype))
      tn_verify_breach(&v->at, "node %u: operand %u of '%s' is %s", node->id, i, name,
                       tn_dtype_name(node->in[i]->dtype));
  tn_dtype result = node->scalar == TN_CAST ? node->dtype : gives_bool(node->scalar) ? TN_BOOL : dtype;
  if (node->dtype != result)
    tn_verify_breach(&v->at, "node %u: '%s' gives %s, expected %s", node->id, name, tn_dtype_name(node->dtype),
                     tn_dtype_name(result));
}

static void check_folded_dtypes(verifier *v, const tn_knode *node) {
  for (uint32_t i = 0; i < node->n_in && node->kind != TN_K_ARGFOLD; i++)
    if (node->in[i]->dtype != node->dtype)
      tn_verify_breach(&v->at, "node %u: folds %s into %s", node->id, tn_dtype_name(node->in[i]->dtype),
                       tn_dtype_name(node->dtype));
  bool logical = node->kind == TN_K_FOLD && (node->fold == TN_FOLD_AND || node->fold == TN_FOLD_OR);
  if (node->dtype == TN_STR || (node->dtype == TN_BOOL && !logical) || (logical && tn_dtype_is_float(node->dtype)))
    tn_verify_breach(&v->at, "node %u: no fold '%s' of %s", node->id, tn_fold_name(node->fold),
                     tn_dtype_name(node->dtype));
  if (node->kind != TN_K_ARGFOLD) return;
  bool one_axis = node->over != 0 && (node->over & (node->over - 1)) == 0;
  if (node->dtype != TN_I64 || !one_axis || (node->fold != TN_FOLD_MAX && node->fold != TN_FOLD_MIN))
    tn_verify_breach(&v->at, "node %u: argfold finds the max or min over one axis and gives i64", node->id);
}

/* Coordinates. */

/* A coordinate mod(p, q) is below q whatever p is. */
static bool is_wrapped_below(verifier *v, const tn_dim *index, const tn_dim *extent) {
  if (index->n_terms != 1 || index->terms[0].coefficient != 1 || index->terms[0].n_atoms != 1) return false;
  const tn_atom *atom = index->terms[0].atoms[0];
  return atom->kind == TN_ATOM_MOD && atom->q->lo >= 1 && tn_verify_le(v->at.ctx, v->guards, atom->q, extent);
}

static void check_coordinates(verifier *v, const tn_knode *node, bool must_prove) {
  const tn_karg *arg = &v->kernel->args.data[node->arg];
  for (uint32_t i = 0; i < node->n_index; i++) {
    const tn_dim *index = node->index[i], *extent = arg->type->dims[i];
    tn_dim_symbols(index, check_index_symbol, v);
    value_use use = {v, node};
    tn_dim_symbols(index, check_value_above, &use);
    /* A value's coordinate is clamped when it runs. */
    if (!must_prove || !v->at.ok || tn_dim_uses_kind(index, TN_SYM_VALUE)) continue;
    const tn_dim *first = tn_dim_const(v->at.ctx, 0), *last = tn_dim_add_i(v->at.ctx, extent, -1);
    bool fits = tn_verify_le_in(v->at.ctx, v->guards, v->kernel, first, index) &&
                tn_verify_le_in(v->at.ctx, v->guards, v->kernel, index, last);
    if (!fits && !is_wrapped_below(v, index, extent))
      tn_verify_breach(&v->at, "node %u: coordinate %u of '%s', %s, is not proved to be in [0, %s)", node->id, i,
                       arg->name, dim_text(v, index), dim_text(v, extent));
  }
}

static bool check_argument(verifier *v, const tn_knode *node, bool is_output) {
  if (node->arg >= v->kernel->args.n) return tn_verify_breach(&v->at, "node %u: there is no argument %u", node->id,
                                                              node->arg);
  const tn_karg *arg = &v->kernel->args.data[node->arg];
  if (arg->is_output != is_output)
    return tn_verify_breach(&v->at, "node %u: '%s' is an %s", node->id, arg->name, arg->is_output ? "output" : "input");
  if (node->n_index != arg->type->ndim)
    return tn_verify_breach(&v->at, "node %u: %u coordinates for '%s' of rank %u", node->id, node->n_index, arg->name,
                            arg->type->ndim);
  return true;
}

static void check_read(verifier *v, const tn_knode *node) {
  if (!check_argument(v, node, false)) return;
  const tn_karg *arg = &v->kernel->args.data[node->arg];
  if (node->dtype != arg->type->dtype || (node->n_in == 1 && node->in[0]->dtype != node->dtype) || node->n_in > 1)
    tn_verify_breach(&v->at, "node %u: a read of '%s' gives %s", node->id, arg->name, tn_dtype_name(arg->type->dtype));
  check_coordinates(v, node, node->n_in == 0);
}

static void check_write(verifier *v, const tn_knode *node) {
  if (!check_argument(v, node, true)) return;
  const tn_karg *arg = &v->kernel->args.data[node->arg];
  if (node->n_in != 1 || node->in[0]->dtype != arg->type->dtype)
    tn_verify_breach(&v->at, "node %u: '%s' takes %s", node->id, arg->name, tn_dtype_name(arg->type->dtype));
  check_coordinates(v, node, false);
  uint32_t axes = tn_kernel_index_axes(v->kernel, node->index, node->n_index);
  for (uint32_t i = 0; i < v->kernel->space.n; i++)
    if ((axes >> i & 1) && v->kernel->space.data[i].kind == TN_AXIS_SUM)
      tn_verify_breach(&v->at, "node %u: writes over '%s', which is summed away", node->id,
                       v->kernel->space.data[i].symbol->name);
}

/* The positions asked for are an axis that a guard says is no longer than the one that is sorted. */
static bool is_guarded_top(verifier *v, const tn_dim *position, const tn_dim *extent) {
  const tn_symbol *symbol = tn_dim_lone_symbol(position);
  bool is_axis = symbol != NULL && symbol->kind == TN_SYM_AXIS;
  const tn_dim *top = is_axis ? symbol->extent : tn_dim_add_i(v->at.ctx, position, 1);
  for (size_t i = 0; i < v->guards.n; i++) {
    const tn_guard *guard = &v->guards.data[i];
    if (guard->kind == TN_GUARD_LE && guard->p == top && guard->q == extent) return true;
  }
  return false;
}

/* A sort of one axis stands alone: a read, and a write of the result. */
static void check_argsort(verifier *v, const tn_knode *node) {
  bool one_axis = node->over != 0 && (node->over & (node->over - 1)) == 0;
  if (node->n_in != 1 || node->n_index != 1 || !one_axis || node->dtype != TN_I64 || v->kernel->nodes.n != 3 ||
      node->in[0]->kind != TN_K_READ || node->in[0]->dtype == TN_STR) {
    tn_verify_breach(&v->at, "node %u: an argsort takes one read over one axis and gives i64 to one write", node->id);
    return;
  }
  tn_dim_symbols(node->index[0], check_index_symbol, v);
  const tn_dim *extent = v->kernel->space.data[__builtin_ctz(node->over)].extent, *zero = tn_dim_const(v->at.ctx, 0);
  bool fits = tn_verify_le_in(v->at.ctx, v->guards, v->kernel, zero, node->index[0]) &&
              tn_verify_le_in(v->at.ctx, v->guards, v->kernel, node->index[0], tn_dim_add_i(v->at.ctx, extent, -1));
  if (!fits && !is_guarded_top(v, node->index[0], extent))
    tn_verify_breach(&v->at, "node %u: position %s is not proved to be in [0, %s)", node->id, dim_text(v,
                     node->index[0]), dim_text(v, extent));
}

/* An update runs over the whole space, in its order; a kernel with one does nothing else. */
static void check_update(verifier *v, const tn_knode *node) {
  uint32_t n_writes = 0;
  for (size_t i = 0; i < v->kernel->nodes.n; i++) n_writes += tn_knode_is_write(v->kernel->nodes.data[i]);
  if (n_writes != 1) tn_verify_breach(&v->at, "node %u: an update beside another write", node->id);
  bool is_known = node->scalar == TN_K_SET || node->scalar == TN_ADD || node->scalar == TN_MUL ||
                  node->scalar == TN_MIN || node->scalar == TN_MAX;
  if (!is_known || (node->scalar != TN_K_SET && node->dtype == TN_BOOL))
    tn_verify_breach(&v->at, "node %u: no such update of %s", node->id, tn_dtype_name(node->dtype));
  for (uint32_t i = 0; i < v->kernel->space.n; i++)
    if (v->kernel->space.data[i].kind != TN_AXIS_PAR)
      tn_verify_breach(&v->at, "node %u: updates over '%s', which is folded", node->id,
                       v->kernel->space.data[i].symbol->name);
  if (v->at.ok) check_coordinates(v, node, true);
}

/* Nodes. */

static bool check_inputs(verifier *v, const tn_knode *node) {
  for (uint32_t i = 0; i < node->n_in; i++) {
    const tn_knode *in = node->in[i];
    if (!in || in->id >= node->id || v->kernel->nodes.data[in->id] != in || tn_knode_is_write(in))
      return tn_verify_breach(&v->at, "node %u: operand %u is no node above it", node->id, i);
  }
  return true;
}

static void check_over(verifier *v, const tn_knode *node) {
  bool folds = node->kind == TN_K_FOLD || node->kind == TN_K_CONTRACT || node->kind == TN_K_ARGFOLD ||
               node->kind == TN_K_ARGSORT;
  uint64_t space = ((uint64_t)1 << v->kernel->space.n) - 1;
  if (folds != (node->over != 0) || (node->over & ~space) != 0) {
    tn_verify_breach(&v->at, "node %u: folds over no axis, or over one that is not of this kernel", node->id);
    return;
  }
  for (uint32_t i = 0; i < v->kernel->space.n; i++)
    if ((node->over >> i & 1) && v->kernel->space.data[i].kind == TN_AXIS_PAR)
      tn_verify_breach(&v->at, "node %u: folds over '%s', which is parallel", node->id,
                       v->kernel->space.data[i].symbol->name);
}

static void check_node(verifier *v, const tn_knode *node) {
  v->at.loc = node->loc;
  if (!check_inputs(v, node)) return;
  check_over(v, node);
  switch (node->kind) {
    case TN_K_READ: check_read(v, node); break;
    case TN_K_CONST:
      if (node->dtype == TN_STR) tn_verify_breach(&v->at, "node %u: a constant string", node->id);
      break;
    case TN_K_INDEX:
      if (node->n_index != 1 || node->dtype == TN_STR || node->dtype == TN_BOOL)
        tn_verify_breach(&v->at, "node %u: an index gives a number", node->id);
      else tn_dim_symbols(node->index[0], check_index_symbol, v);
      break;
    case TN_K_SCALAR: check_scalar(v, node); break;
    case TN_K_FOLD:
    case TN_K_ARGFOLD:
    case TN_K_CONTRACT:
      if (node->n_in == (node->kind == TN_K_CONTRACT ? 2u : 1u)) check_folded_dtypes(v, node);
      else tn_verify_breach(&v->at, "node %u: a fold of %u operands", node->id, node->n_in);
      break;
    case TN_K_WRITE: check_write(v, node); break;
    case TN_K_ARGSORT: check_argsort(v, node); break;
    case TN_K_UPDATE:
      check_write(v, node);
      check_update(v, node);
      break;
  }
  if (v->at.ok && node->axes != tn_knode_axes(v->kernel, node))
    tn_verify_breach(&v->at, "node %u: varies over axes %#x, expected %#x", node->id, node->axes,
                     tn_knode_axes(v->kernel, node));
}

/* Axes and arguments. */

static void check_space(verifier *v) {
  uint32_t folded = 0;
  if (v->kernel->space.n > TN_KERNEL_MAX_AXES) tn_verify_breach(&v->at, "more than %d axes", TN_KERNEL_MAX_AXES);
  for (size_t i = 0; i < v->kernel->nodes.n; i++) folded |= v->kernel->nodes.data[i]->over;
  for (size_t i = 0; i < v->kernel->space.n && v->at.ok; i++) {
    const tn_axis *axis = &v->kernel->space.data[i];
    if (axis->symbol->kind != TN_SYM_AXIS || axis->symbol->slot != i || axis->symbol->extent != axis->extent)
      tn_verify_breach(&v->at, "axis %zu has the symbol of another", i);
    tn_dim_symbols(axis->extent, check_size_symbol, v);
    if (axis->kind != TN_AXIS_PAR && !(folded >> i & 1))
      tn_verify_breach(&v->at, "axis '%s' is never folded", axis->symbol->name);
  }
}

/* What of an output this kernel has to fill: all of it, or its part. */
static tn_box target_of(verifier *v, const tn_karg *arg) {
  tn_box box = tn_verify_whole(v->at.ctx, arg->type);
  if (arg->part_axis >= 0) {
    box.lo[arg->part_axis] = arg->part_lo;
    box.hi[arg->part_axis] = arg->part_hi;
  }
  return box;
}

/* Each element of an output is written once. A kernel that writes a part may fill less than the part's box (a concat in
 * a concat); that the parts together fill the buffer is for the program's verifier to see. */
static void check_output(verifier *v, uint32_t number) {
  const tn_karg *arg = &v->kernel->args.data[number];
  TN_VEC(tn_box) boxes = {0};
  tn_arena *scratch = tn_arena_create_scratch(v->at.ctx->arena);
  tn_box whole = target_of(v, arg), box;
  bool boxed = true, inside = true;
  for (size_t i = 0; i < v->kernel->nodes.n; i++) {
    const tn_knode *node = v->kernel->nodes.data[i];
    if (node->kind == TN_K_UPDATE && node->arg == number) { /* filled before: the program's verifier sees that */
      tn_arena_destroy(scratch);
      return;
    }
    if (node->kind != TN_K_WRITE || node->arg != number) continue;
    boxed = boxed && tn_verify_write_box(v->at.ctx, v->guards, v->kernel, node, &box);
    inside = inside && boxed && tn_verify_box_inside(v->at.ctx, v->guards, &box, &whole, arg->type->ndim);
    if (boxed) TN_VEC_PUSH(scratch, &boxes, box);
  }
  bool filled = boxed && boxes.n > 0 && inside;
  if (filled && arg->part_axis < 0)
    filled = tn_verify_boxes_fill(v->at.ctx, v->guards, boxes.data, boxes.n, &whole, arg->type->ndim);
  tn_arena_destroy(scratch);
  if (!filled) tn_verify_breach(&v->at, "it is not proved that each element of '%s' is written once", arg->name);
}

static void check_arguments(verifier *v) {
  for (size_t i = 0; i < v->kernel->args.n; i++) {
    const tn_karg *arg = &v->kernel->args.data[i];
    for (uint32_t k = 0; k < arg->type->ndim; k++) tn_dim_symbols(arg->type->dims[k], check_size_symbol, v);
    if (!arg->storage || arg->storage->ndim != arg->type->ndim)
      tn_verify_breach(&v->at, "the storage of '%s' has another rank", arg->name);
    if (arg->constant && arg->constant->type->dtype != arg->type->dtype)
      tn_verify_breach(&v->at, "'%s' is a constant of another element type", arg->name);
    if (!arg->is_output || arg->part_axis < 0) continue;
    if ((uint32_t)arg->part_axis >= arg->type->ndim || !arg->part_lo || !arg->part_hi)
      tn_verify_breach(&v->at, "the part of '%s' is on no axis of it", arg->name);
  }
}

bool tn_verify_kernel_given(tn_ctx *ctx, const tn_kernel *kernel, tn_guards guards) {
  verifier v = {.at = {ctx, "kernel", kernel->name, kernel->loc, true}, .kernel = kernel, .guards = guards};
  check_space(&v);
  check_arguments(&v);
  for (size_t i = 0; i < kernel->nodes.n && v.at.ok; i++)
    if (kernel->nodes.data[i]->id != i)
      tn_verify_breach(&v.at, "node %zu has the number %u", i, kernel->nodes.data[i]->id);
  for (size_t i = 0; i < kernel->nodes.n && v.at.ok; i++) check_node(&v, kernel->nodes.data[i]);
  v.at.loc = kernel->loc;
  for (size_t i = 0; i < kernel->args.n && v.at.ok; i++)
    if (kernel->args.data[i].is_output) check_output(&v, (uint32_t)i);
  return v.at.ok;
}

/* Whether one of steps uses kernel; out: the inner guards that hold there as well. */
static bool uses_kernel(const tn_program *program, const tn_steps *steps, const tn_kernel *kernel,
                        tn_guard_list *out) {
  size_t n = out->n;
  for (size_t i = 0; i < steps->n; i++) {
    const tn_step *step = steps->data[i];
    for (size_t k = 0; k < step->guards.n; k++)
      TN_VEC_PUSH(program->module->arena, out, program->guards.data[step->guards.data[k]]);
    if (step->kernel == kernel || uses_kernel(program, &step->body, kernel, out) ||
        uses_kernel(program, &step->otherwise, kernel, out))
      return true;
  }
  out->n = n;
  return false;
}

tn_guards tn_verify_guards_of(const tn_module *module, const tn_kernel *kernel) {
  for (size_t i = 0; i < module->programs.n; i++) {
    const tn_program *program = module->programs.data[i];
    tn_guard_list inner = {0};
    if (!uses_kernel(program, &program->steps, kernel, &inner)) continue;
    tn_guard_list all = {0};
    for (size_t k = 0; k < program->guards.n; k++)
      if (!program->guards.data[k].is_inner) TN_VEC_PUSH(module->arena, &all, program->guards.data[k]);
    if (all.n == program->guards.n) return (tn_guards){program->guards.data, all.n};
    for (size_t k = 0; k < inner.n; k++) TN_VEC_PUSH(module->arena, &all, inner.data[k]);
    return (tn_guards){all.data, all.n};
  }
  return (tn_guards){0};
}

bool tn_verify_kernel(tn_ctx *ctx, const tn_kernel *kernel) {
  return tn_verify_kernel_given(ctx, kernel, tn_verify_guards_of(kernel->module, kernel));
}
