/* Emission of views, reads and elementwise nodes; see emission.h. */
#include <math.h>
#include <string.h>

#include "ir/eval.h"
#include "passes/emission.h"
#include "passes/passes.h"
#include "passes/views.h"

typedef struct memo_entry {
  const tn_value *value;
  const tn_dim **index;
  tn_knode *node;
  struct memo_entry *next;
} memo_entry;

static uint64_t memo_key(const tn_value *value, const tn_dim *const *index) {
  uint64_t hash = tn_hash_bytes(0, &value, sizeof(value));
  return tn_hash_bytes(hash, index, sizeof(*index) * value->type->ndim);
}

static memo_entry *memo_find(emission *e, const tn_value *value, const tn_dim *const *index) {
  memo_entry *entry = tn_map_get_u64(&e->memo, memo_key(value, index));
  size_t bytes = sizeof(*index) * value->type->ndim;
  for (; entry; entry = entry->next)
    if (entry->value == value && (!bytes || memcmp(entry->index, index, bytes) == 0)) return entry;
  return NULL;
}

static void memo_add(emission *e, const tn_value *value, const tn_dim *const *index, tn_knode *node) {
  uint64_t key = memo_key(value, index);
  memo_entry *entry = TN_NEW(e->scratch, memo_entry);
  entry->value = value;
  entry->index = tn_arena_copy(e->scratch, index, sizeof(*index) * value->type->ndim);
  entry->node = node;
  entry->next = tn_map_get_u64(&e->memo, key);
  tn_map_set_u64(&e->memo, key, entry);
}

tn_knode *tn_emit_number(emission *e, tn_dtype dtype, double f, int64_t i) {
  tn_number number;
  if (tn_dtype_is_float(dtype))
    number.f = f;
  else
    number.i = i;
  return tn_kernel_const(e->kernel, dtype, number);
}

tn_knode *tn_emit_scalar2(emission *e, tn_scalar scalar, tn_dtype dtype, tn_knode *a, tn_knode *b) {
  tn_knode *in[] = {a, b};
  return tn_kernel_scalar(e->kernel, scalar, dtype, in, 2);
}

tn_knode *tn_emit_cast(emission *e, tn_knode *node, tn_dtype dtype) {
  if (!node || node->dtype == dtype) return node;
  return tn_kernel_scalar(e->kernel, TN_CAST, dtype, &node, 1);
}

/* The argument for a kept value seen as (type, storage); one for each distinct view. */
static uint32_t argument(emission *e, const void *key, const tn_value *value, const tn_type *type,
                         const tn_storage *storage, tn_const *constant) {
  for (uint32_t i = 0; i < e->arg_keys.n; i++) {
    const tn_karg *arg = &e->kernel->args.data[i];
    if (e->arg_keys.data[i] == key && arg->type == type && arg->storage == storage) return i;
  }
  uint32_t number = tn_kernel_add_arg(e->kernel, tn_namef(e->ctx, "a%u", (unsigned)e->kernel->args.n), type, storage,
                                      false);
  e->kernel->args.data[number].constant = constant;
  e->kernel->args.data[number].part_axis = -1;
  TN_VEC_PUSH(e->scratch, &e->arg_keys, key);
  TN_VEC_PUSH(e->scratch, &e->arg_values, value);
  TN_VEC_PUSH(e->scratch, &e->constants, constant);
  return number;
}

static bool proved_in_range(emission *e, const tn_dim *index, const tn_dim *extent, bool *below, bool *above) {
  *below = !tn_dim_proves_le(e->ctx, tn_dim_const(e->ctx, 0), index);
  *above = !tn_dim_proves_le(e->ctx, tn_dim_add_i(e->ctx, index, 1), extent);
  return !*below && !*above;
}

/* Coordinates that cannot be proved to lie inside (a padded value computed here may have no element at all) read a zero
 * that nothing uses; those that run-time values choose are clamped by the backend instead. */
static tn_knode *safe_read(emission *e, uint32_t arg, const tn_type *type, const tn_dim *const *index,
                           tn_knode *outside) {
  tn_number zero = {.i = 0};
  bool safe = true;
  for (uint32_t i = 0; i < type->ndim && !outside; i++) {
    bool below = false, above = false;
    if (!tn_dim_uses_kind(index[i], TN_SYM_VALUE)) safe &= proved_in_range(e, index[i], type->dims[i], &below, &above);
  }
  if (!outside && !safe) outside = tn_kernel_const(e->kernel, type->dtype, zero);
  return tn_kernel_read(e->kernel, arg, index, outside);
}

static tn_knode *read_constant(emission *e, tn_const *constant, const tn_dim *const *index, tn_knode *outside) {
  if (tn_type_static_count(constant->type) == 1 && !outside) {
    const void *bytes = tn_const_read(constant, e->scratch);
    return tn_kernel_const(e->kernel, constant->type->dtype, tn_number_load(constant->type->dtype, bytes));
  }
  if (constant->kind == TN_CONST_SPLAT && !outside)
    return tn_kernel_const(e->kernel, constant->type->dtype, tn_number_load(constant->type->dtype, constant->data));
  const tn_storage *storage = tn_storage_row_major(e->module, constant->type->ndim);
  uint32_t arg = argument(e, constant, NULL, constant->type, storage, constant);
  return safe_read(e, arg, constant->type, index, outside);
}

/* The same extents with elements of another type. */
static const tn_type *retyped(emission *e, const tn_type *type, tn_dtype dtype) {
  return type->dtype == dtype ? type : tn_type_tensor(e->ctx, dtype, type->ndim, type->dims);
}

/* Computed by this kernel, although it may be kept in memory. */
static bool is_own(const emission *e, const tn_node *def) {
  return def && e->group && def->group == e->group->root->group;
}

/* A read of memory that value is, directly or through reshapes and transposes; NULL when it is not such memory. */
static tn_knode *read_memory(emission *e, const tn_value *value, const tn_dim *const *index, tn_knode *outside) {
  tn_memory_view view;
  if (is_own(e, value->def)) return NULL;
  tn_const *constant = tn_value_const(value);
  if (constant) return read_constant(e, constant, index, outside);
  if (!tn_memory_view_find(e->module, e->groups, value, e->base, e->base_user, &view)) return NULL;
  if (is_own(e, view.base->def)) return NULL;
  const tn_dim *at[TN_MAX_NDIM];
  /* Outside the part along its own axis is not outside the buffer. */
  for (uint32_t i = 0; i < view.type->ndim && view.is_part && outside; i++) {
    bool below, above;
    if (view.shift[i] && !proved_in_range(e, index[i], value->type->dims[i], &below, &above)) return NULL;
  }
  for (uint32_t i = 0; i < view.type->ndim; i++)
    at[i] = view.is_part && view.shift[i] ? tn_dim_add(e->ctx, index[i], view.shift[i]) : index[i];
  constant = tn_value_const(view.base);
  uint32_t arg = argument(e, constant ? (const void *)constant : view.base, constant ? NULL : view.base, view.type,
                          view.storage, constant);
  return safe_read(e, arg, view.type, at, outside);
}

tn_knode *tn_emit_in_range(emission *e, const tn_dim *const *index, const tn_type *type) {
  tn_knode *all = NULL;
  for (uint32_t i = 0; i < type->ndim; i++) {
    bool below, above;
    if (proved_in_range(e, index[i], type->dims[i], &below, &above)) continue;
    tn_knode *at = tn_kernel_index(e->kernel, TN_I64, index[i]);
    tn_knode *tests[2] = {
        below ? tn_emit_scalar2(e, TN_GE, TN_BOOL, at, tn_emit_number(e, TN_I64, 0, 0)) : NULL,
        above ? tn_emit_scalar2(e, TN_LT, TN_BOOL, at, tn_kernel_index(e->kernel, TN_I64, type->dims[i])) : NULL};
    for (int k = 0; k < 2; k++)
      if (tests[k]) all = all ? tn_emit_scalar2(e, TN_AND, TN_BOOL, all, tests[k]) : tests[k];
  }
  return all;
}

/* Whether the axis is one of the reshaped value's, too. */
static bool is_alone(const tn_segment *segments, uint32_t n, uint32_t axis) {
  for (uint32_t i = 0; i < n; i++)
    if (segments[i].from_lo == axis)
      return segments[i].from_hi == axis + 1 && segments[i].to_hi == segments[i].to_lo + 1;
  return false;
}

/* The value below a transpose or reshape, and the coordinates there; NULL when one that may be out of range at value
 * would not be one there. */
static const tn_value *below_view(emission *e, const tn_value *value, const tn_dim *const *index, const tn_dim **at) {
  const tn_node *def = value->def;
  if (!def || def->group >= 0 || (def->op != &tn_op_transpose && def->op != &tn_op_reshape)) return NULL;
  const tn_value *from = def->operands[0].value;
  if (def->op == &tn_op_transpose) {
    const int64_t *perm = tn_node_attr(def, "perm")->u.list.ints;
    for (uint32_t i = 0; i < value->type->ndim; i++) at[perm[i]] = index[i];
    return from;
  }
  tn_segment segments[2 * TN_MAX_NDIM];
  uint32_t n = tn_reshape_segments(e->ctx, value->type, from->type, segments);
  for (uint32_t i = 0; i < value->type->ndim; i++) {
    bool below, above;
    if (!proved_in_range(e, index[i], value->type->dims[i], &below, &above) && !is_alone(segments, n, i)) return NULL;
  }
  tn_reshape_index(e->ctx, value->type, from->type, index, at);
  return from;
}

tn_knode *tn_emit_padded(emission *e, const tn_value *value, const tn_dim *const *index, tn_number fill) {
  tn_knode *condition = tn_emit_in_range(e, index, value->type);
  if (!condition) return tn_emit(e, value, index);
  tn_knode *outside = tn_kernel_const(e->kernel, value->type->dtype, fill);
  tn_knode *direct = read_memory(e, value, index, outside);
  if (direct) return direct;
  const tn_dim *at[TN_MAX_NDIM];
  const tn_value *from = below_view(e, value, index, at);
  if (from) return tn_emit_padded(e, from, at, fill);
  const tn_dim *clamped[TN_MAX_NDIM], *zero = tn_dim_const(e->ctx, 0);
  for (uint32_t i = 0; i < value->type->ndim; i++)
    clamped[i] = tn_dim_max(e->ctx, zero,
                            tn_dim_min(e->ctx, index[i], tn_dim_add_i(e->ctx, value->type->dims[i], -1)));
  tn_knode *inside = tn_emit(e, value, clamped);
  if (!inside) return NULL;
  tn_knode *in[] = {condition, inside, outside};
  return tn_kernel_scalar(e->kernel, TN_SELECT, value->type->dtype, in, 3);
}

static tn_knode *emit_transpose(emission *e, const tn_node *node, const tn_dim *const *index) {
  const int64_t *perm = tn_node_attr(node, "perm")->u.list.ints;
  const tn_dim *at[TN_MAX_NDIM];
  for (uint32_t i = 0; i < node->results[0]->type->ndim; i++) at[perm[i]] = index[i];
  return tn_emit(e, node->operands[0].value, at);
}

static tn_knode *emit_reshape(emission *e, const tn_node *node, const tn_dim *const *index) {
  const tn_dim *at[TN_MAX_NDIM];
  tn_reshape_index(e->ctx, node->results[0]->type, node->operands[0].value->type, index, at);
  return tn_emit(e, node->operands[0].value, at);
}

/* An extent that may turn out to be 1 is read with stride 0 then: its index is multiplied by min(extent - 1, 1). */
static tn_knode *emit_broadcast(emission *e, const tn_node *node, const tn_dim *const *index) {
  const tn_value *x = node->operands[0].value;
  const tn_attr *map = tn_node_attr(node, "map");
  const tn_dim *at[TN_MAX_NDIM];
  for (uint32_t i = 0; i < x->type->ndim; i++) {
    const tn_dim *extent = x->type->dims[i], *to = index[map->u.list.ints[i]];
    if (tn_dim_is(extent, 1))
      at[i] = tn_dim_const(e->ctx, 0);
    else if (extent == node->results[0]->type->dims[map->u.list.ints[i]] || extent->lo > 1)
      at[i] = to;
    else
      at[i] = tn_dim_mul(e->ctx, to, tn_dim_min(e->ctx, tn_dim_add_i(e->ctx, extent, -1), tn_dim_const(e->ctx, 1)));
  }
  return tn_emit(e, x, at);
}

static tn_knode *emit_slice(emission *e, const tn_node *node, const tn_dim *const *index) {
  const tn_attr *start = tn_node_attr(node, "start"), *step = tn_node_attr(node, "step");
  const tn_dim *at[TN_MAX_NDIM];
  for (uint32_t i = 0; i < node->results[0]->type->ndim; i++) {
    int64_t stride = step->u.list.n ? step->u.list.ints[i] : 1;
    at[i] = tn_dim_add(e->ctx, start->u.list.dims[i], tn_dim_mul_i(e->ctx, index[i], stride));
  }
  return tn_emit(e, node->operands[0].value, at);
}

/* Copies between neighbours: only every (inner+1)-th coordinate holds an element of x. */
static tn_knode *emit_inner_pad(emission *e, const tn_node *node, const tn_dim **at, tn_number fill) {
  const tn_value *x = node->operands[0].value;
  const tn_attr *inner = tn_node_attr(node, "inner");
  tn_knode *condition = NULL;
  for (uint32_t i = 0; i < x->type->ndim; i++) {
    if (!inner->u.list.n || inner->u.list.ints[i] == 0) continue;
    const tn_dim *period = tn_dim_const(e->ctx, inner->u.list.ints[i] + 1);
    tn_knode *rest = tn_kernel_index(e->kernel, TN_I64, tn_dim_mod(e->ctx, at[i], period));
    tn_knode *hit = tn_emit_scalar2(e, TN_EQ, TN_BOOL, rest, tn_emit_number(e, TN_I64, 0, 0));
    condition = condition ? tn_emit_scalar2(e, TN_AND, TN_BOOL, condition, hit) : hit;
    at[i] = tn_dim_floordiv(e->ctx, at[i], period);
  }
  tn_knode *value = tn_emit_padded(e, x, at, fill);
  if (!condition || !value) return value;
  tn_knode *in[] = {condition, value, tn_kernel_const(e->kernel, x->type->dtype, fill)};
  return tn_kernel_scalar(e->kernel, TN_SELECT, x->type->dtype, in, 3);
}

static tn_knode *emit_pad(emission *e, const tn_node *node, const tn_dim *const *index) {
  const tn_attr *lo = tn_node_attr(node, "lo");
  const tn_dim *at[TN_MAX_NDIM];
  for (uint32_t i = 0; i < node->results[0]->type->ndim; i++) at[i] = tn_dim_sub(e->ctx, index[i], lo->u.list.dims[i]);
  const tn_value *fill = node->operands[1].value;
  tn_const *constant = tn_value_const(fill);
  if (constant) {
    tn_number number = tn_number_load(fill->type->dtype, tn_const_read(constant, e->scratch));
    return emit_inner_pad(e, node, at, number);
  }
  /* A fill value computed at run time: select between it and the elements. */
  tn_knode *condition = tn_emit_in_range(e, at, node->operands[0].value->type);
  tn_number zero = {.i = 0};
  tn_knode *inside = emit_inner_pad(e, node, at, zero);
  tn_knode *outside = tn_emit(e, fill, NULL);
  if (!condition || !inside || !outside) return inside;
  tn_knode *in[] = {condition, inside, outside};
  return tn_kernel_scalar(e->kernel, TN_SELECT, inside->dtype, in, 3);
}

const tn_dim *tn_emit_position(emission *e, const tn_value *value, const tn_dim *const *index,
                               const tn_dim *extent) {
  tn_knode *position = tn_emit(e, value, index);
  if (!position) return NULL;
  bool below, above;
  if (position->kind == TN_K_INDEX && proved_in_range(e, position->index[0], extent, &below, &above))
    return position->index[0];
  int64_t hi = extent->hi == TN_DIM_INF ? TN_DIM_INF : extent->hi - 1;
  return tn_dim_symbol(e->ctx, tn_kernel_value_symbol(e->kernel, position, 0, hi < 0 ? 0 : hi));
}

static tn_knode *emit_gather(emission *e, const tn_node *node, const tn_dim *const *index) {
  const tn_value *x = node->operands[0].value;
  const tn_attr *axes = tn_node_attr(node, "axes");
  uint32_t n_leading = node->operands[1].value->type->ndim, next = n_leading;
  const tn_dim *at[TN_MAX_NDIM] = {0};
  for (uint32_t k = 0; k < axes->u.list.n; k++) {
    int64_t axis = axes->u.list.ints[k];
    at[axis] = tn_emit_position(e, node->operands[1 + k].value, index, x->type->dims[axis]);
    if (!at[axis]) return NULL;
  }
  for (uint32_t i = 0; i < x->type->ndim; i++)
    if (!at[i]) at[i] = index[next++];
  return tn_emit(e, x, at);
}

/* The dims as a table: a chain of selects on the position; of a number alone no position is looked at. */
static tn_knode *emit_dim_value(emission *e, const tn_node *node, const tn_dim *const *index) {
  const tn_attr *dims = tn_node_attr(node, "dims");
  tn_knode *result = NULL;
  for (uint32_t i = dims->u.list.n; i-- > 0;) {
    tn_knode *value = tn_kernel_index(e->kernel, TN_I64, dims->u.list.dims[i]);
    if (!result || tn_dim_is(index[0], i)) {
      result = value;
      continue;
    }
    tn_knode *at = tn_kernel_index(e->kernel, TN_I64, index[0]);
    tn_knode *in[] = {tn_emit_scalar2(e, TN_EQ, TN_BOOL, at, tn_emit_number(e, TN_I64, 0, i)), value, result};
    result = tn_kernel_scalar(e->kernel, TN_SELECT, TN_I64, in, 3);
  }
  return result ? result : tn_emit_number(e, TN_I64, 0, 0);
}

/* Equal widths: the operand's memory as an argument of the other type. A byte is true when it is not 0. */
static tn_knode *emit_bitcast(emission *e, const tn_node *node, const tn_dim *const *index) {
  const tn_value *x = node->operands[0].value;
  tn_dtype to = node->results[0]->type->dtype, as = to == TN_BOOL ? TN_U8 : to;
  tn_memory_view view;
  bool in_memory = tn_dtype_bits(x->type->dtype) == tn_dtype_bits(to) && !tn_value_const(x) &&
                   tn_memory_view_find(e->module, e->groups, x, e->base, e->base_user, &view);
  if (!in_memory) {
    tn_error(e->ctx, node->loc, TN_E_LOWER, "'bitcast' from %s to %s has no kernel form yet",
             tn_dtype_name(x->type->dtype), tn_dtype_name(to));
    e->failed = true;
    return NULL;
  }
  const tn_dim *at[TN_MAX_NDIM];
  const tn_type *type = retyped(e, view.type, as);
  for (uint32_t i = 0; i < type->ndim; i++)
    at[i] = view.is_part && view.shift[i] ? tn_dim_add(e->ctx, index[i], view.shift[i]) : index[i];
  return tn_emit_cast(e, safe_read(e, argument(e, view.base, view.base, type, view.storage, NULL), type, at, NULL), to);
}

/* From this magnitude on (or only beyond it) a number is rounded to more than the largest of a format: halfway to the
 * next power, which the even neighbour takes. */
typedef struct overflow {
  double limit;
  bool only_beyond;
  double result;
} overflow;

static overflow overflow_of(tn_dtype dtype) {
  switch (dtype) {
    case TN_F8E4M3: return (overflow){464, true, NAN};
    case TN_F8E5M2: return (overflow){61440, false, INFINITY};
    case TN_F8E4M3UZ: return (overflow){248, false, NAN};
    case TN_F8E5M2UZ: return (overflow){61440, false, NAN};
    default: TN_ASSERT(dtype == TN_F8E8M0); return (overflow){0x1.8p127, true, NAN};
  }
}

/* Kernels convert with saturation; overflow is put right after it. */
static tn_knode *emit_overflow(emission *e, const tn_node *node, tn_knode *x) {
  tn_dtype to = node->results[0]->type->dtype, wide = x->dtype == TN_F64 ? TN_F64 : TN_F32;
  const overflow o = overflow_of(to);
  tn_knode *v = tn_emit_cast(e, x, wide), *special = tn_emit_number(e, to, o.result, 0);
  tn_knode *size = tn_kernel_scalar(e->kernel, TN_ABS, wide, &v, 1);
  tn_knode *limit = tn_emit_number(e, wide, o.limit, 0);
  tn_knode *over = tn_emit_scalar2(e, o.only_beyond ? TN_GT : TN_GE, TN_BOOL, size, limit);
  if (o.result > 0) {
    tn_knode *in[] = {tn_emit_scalar2(e, TN_LT, TN_BOOL, v, tn_emit_number(e, wide, 0, 0)),
                      tn_emit_number(e, to, -o.result, 0), special};
    special = tn_kernel_scalar(e->kernel, TN_SELECT, to, in, 3);
  }
  tn_knode *in[] = {over, special, tn_emit_cast(e, x, to)};
  return tn_kernel_scalar(e->kernel, TN_SELECT, to, in, 3);
}

/* A cast to an 8-bit float that does not saturate; f4e2m1 has nothing beyond its largest value. */
static bool may_overflow(const tn_node *node) {
  tn_dtype to = node->results[0]->type->dtype;
  if (node->op->scalar != TN_CAST || !tn_dtype_is_float(to) || tn_dtype_bits(to) != 8) return false;
  return node->operands[0].value->type->dtype != to && tn_node_attr(node, "saturate")->u.i == 0;
}

static tn_knode *emit_scalar(emission *e, const tn_node *node, const tn_dim *const *index) {
  tn_knode *in[3];
  for (uint32_t i = 0; i < node->n_operands; i++) {
    in[i] = tn_emit(e, node->operands[i].value, index);
    if (!in[i]) return NULL;
  }
  if (may_overflow(node)) return emit_overflow(e, node, in[0]);
  return tn_kernel_scalar(e->kernel, node->op->scalar, node->results[0]->type->dtype, in, node->n_operands);
}

static tn_knode *emit_node(emission *e, const tn_node *node, const tn_dim *const *index) {
  const tn_opdef *op = node->op;
  if (op->kind == TN_OP_SCALAR) return emit_scalar(e, node, index);
  if (op == &tn_op_reshape) return emit_reshape(e, node, index);
  if (op == &tn_op_transpose) return emit_transpose(e, node, index);
  if (op == &tn_op_broadcast) return emit_broadcast(e, node, index);
  if (op == &tn_op_slice) return emit_slice(e, node, index);
  if (op == &tn_op_pad) return emit_pad(e, node, index);
  if (op == &tn_op_gather) return emit_gather(e, node, index);
  if (op == &tn_op_fence) return tn_emit(e, node->operands[0].value, index);
  if (op == &tn_op_bitcast) return emit_bitcast(e, node, index);
  if (op == &tn_op_dim_value || op == &tn_op_dim_read) return emit_dim_value(e, node, index);
  if (op == &tn_op_iota) {
    int64_t axis = tn_node_attr(node, "axis")->u.i;
    tn_dtype dtype = node->results[0]->type->dtype;
    tn_knode *at = tn_kernel_index(e->kernel, tn_dtype_is_float(dtype) ? TN_I64 : dtype, index[axis]);
    return tn_emit_cast(e, at, dtype);
  }
  return tn_emit_fold(e, node, index);
}

tn_knode *tn_emit(emission *e, const tn_value *value, const tn_dim *const *index) {
  memo_entry *entry = memo_find(e, value, index);
  if (entry) return entry->node;
  tn_knode *node = read_memory(e, value, index, NULL);
  if (!node) {
    tn_loc_push(e->ctx, value->def->loc);
    node = emit_node(e, value->def, index);
    tn_loc_pop(e->ctx);
  }
  if (node) memo_add(e, value, index, node);
  return node;
}
