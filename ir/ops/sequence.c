/* sequence: the tensors of an ONNX sequence, as the operands of one node whose value is how many they are. While a
 * model is read, operators on sequences take such nodes apart; nothing of them is left to compute but lengths. A
 * sequence that only exists while running (carried by a loop, chosen by a condition, at a position computed there)
 * has no such node and is refused by name. Optionals are tensors that are there or not. */
#include <string.h>

#include "ir/ops/onnx.h"

extern const tn_opdef tn_op_sequence;

enum { MAX_PARTS = 4096 };

static bool infer_sequence(tn_infer *infer) { return tn_infer_result(infer, 0, TN_I64, 0, NULL); }

static bool expand_sequence(tn_build *b, const tn_node *node, tn_value *const *operands, tn_value **out) {
  (void)operands;
  *out = tn_build_splat_i(b, TN_I64, node->n_operands);
  return *out != NULL;
}

/* The node of input `index`, which must be a sequence made of known parts. */
static const tn_node *sequence_of(tn_foreign_node *node, uint32_t index) {
  tn_value *value = tn_foreign_need(node, index);
  if (value == NULL) return NULL;
  if (value->def != NULL && value->def->op == &tn_op_sequence) return value->def;
  tn_foreign_error(node, TN_E_ONNX_TYPE, "input %u: expected a sequence whose parts are known when compiling", index);
  return NULL;
}

static bool set_sequence(tn_foreign_node *node, tn_value *const *parts, uint32_t n) {
  if (n > MAX_PARTS)
    return tn_foreign_error(node, TN_E_LIMIT, "a sequence of %u tensors, at most %d are supported", n, MAX_PARTS);
  return tn_foreign_set(node, 0, tn_build_op(node->build, &tn_op_sequence, parts, n, NULL));
}

static tn_value **copy_parts(tn_foreign_node *node, const tn_node *sequence, uint32_t more) {
  tn_value **parts = TN_NEW_N(node->build->module->arena, tn_value *, sequence->n_operands + more);
  for (uint32_t i = 0; i < sequence->n_operands; i++) parts[i] = sequence->operands[i].value;
  return parts;
}

/* A position in [-n, last), negative ones from the end; `fallback` when the input is left out. */
static bool read_position(tn_foreign_node *node, uint32_t index, uint32_t n, uint32_t last, uint32_t fallback,
                          uint32_t *out) {
  const int64_t *ints;
  uint32_t n_ints;
  bool known;
  *out = fallback;
  if (tn_foreign_input(node, index) == NULL) return true;
  if (!tn_foreign_const_ints(node, index, &ints, &n_ints, &known)) return false;
  if (!known) return tn_foreign_unsupported(node, "a position computed at run time");
  int64_t at = n_ints == 1 ? ints[0] : INT64_MAX;
  if (at < 0) at += n;
  if (n_ints != 1 || at < 0 || at >= (int64_t)last)
    return tn_foreign_error(node, TN_E_ATTR, "input %u: no such position in a sequence of %u tensors", index, n);
  *out = (uint32_t)at;
  return true;
}

static bool import_construct(tn_foreign_node *node) { return set_sequence(node, node->inputs, node->n_inputs); }

static bool import_insert(tn_foreign_node *node) {
  const tn_node *sequence = sequence_of(node, 0);
  tn_value *part = tn_foreign_need(node, 1);
  uint32_t at, n;
  if (sequence == NULL || part == NULL) return false;
  n = sequence->n_operands;
  if (!read_position(node, 2, n, n + 1, n, &at)) return false;
  tn_value **parts = copy_parts(node, sequence, 1);
  memmove(parts + at + 1, parts + at, (n - at) * sizeof *parts);
  parts[at] = part;
  return set_sequence(node, parts, n + 1);
}

static bool import_erase(tn_foreign_node *node) {
  const tn_node *sequence = sequence_of(node, 0);
  uint32_t at, n;
  if (sequence == NULL) return false;
  n = sequence->n_operands;
  if (n == 0) return tn_foreign_error(node, TN_E_ATTR, "nothing to erase in an empty sequence");
  if (!read_position(node, 1, n, n, n - 1, &at)) return false;
  tn_value **parts = copy_parts(node, sequence, 0);
  memmove(parts + at, parts + at + 1, (n - at - 1) * sizeof *parts);
  return set_sequence(node, parts, n - 1);
}

static bool import_at(tn_foreign_node *node) {
  const tn_node *sequence = sequence_of(node, 0);
  uint32_t at;
  if (sequence == NULL || tn_foreign_need(node, 1) == NULL) return false;
  if (!read_position(node, 1, sequence->n_operands, sequence->n_operands, 0, &at)) return false;
  return tn_foreign_set(node, 0, sequence->operands[at].value);
}

static bool import_length(tn_foreign_node *node) {
  const tn_node *sequence = sequence_of(node, 0);
  return sequence != NULL && tn_foreign_set(node, 0, tn_build_splat_i(node->build, TN_I64, sequence->n_operands));
}

static bool import_concat(tn_foreign_node *node) {
  const tn_node *sequence = sequence_of(node, 0);
  int64_t axis, new_axis;
  uint32_t at;
  if (sequence == NULL || !tn_foreign_int(node, "axis", 0, &axis) || !tn_foreign_int(node, "new_axis", 0, &new_axis))
    return false;
  if (tn_foreign_find(node, "axis") == NULL) return tn_foreign_error(node, TN_E_ATTR, "axis is missing");
  uint32_t n = sequence->n_operands;
  if (n == 0) return tn_foreign_error(node, TN_E_ARITY, "an empty sequence");
  tn_value **parts = copy_parts(node, sequence, 0);
  uint32_t ndim = parts[0]->type->ndim + (new_axis != 0);
  if (!tn_build_axis(node->build, axis, ndim, "axis", &at)) return false;
  for (uint32_t i = 0; new_axis != 0 && i < n; i++) parts[i] = tn_build_insert_axis(node->build, parts[i], at);
  return tn_foreign_set(node, 0, tn_build_concat(node->build, parts, n, at));
}

/* The extents of the parts: given ones, chunks of one given size, or ones of 1. */
static bool split_sizes(tn_foreign_node *node, const tn_dim *extent, const tn_dim **out, uint32_t *out_n) {
  tn_ctx *ctx = node->build->ctx;
  tn_value *split = tn_foreign_input(node, 1);
  if (split != NULL && split->type->ndim == 1)
    return tn_type_static_count(split->type) <= TN_MAX_INDEX
               ? tn_foreign_dims(node, 1, 0, INT64_MAX, out, out_n)
               : tn_foreign_unsupported(node, "more than %d parts of given sizes", TN_MAX_INDEX);
  const int64_t *ints = NULL;
  uint32_t n_ints = 0;
  bool known = true;
  if (split != NULL && !tn_foreign_const_ints(node, 1, &ints, &n_ints, &known)) return false;
  int64_t size = n_ints == 1 ? ints[0] : 1;
  if (!known || !tn_dim_is_const(extent))
    return tn_foreign_unsupported(node, "a number of parts that is known only at run time");
  if (size < 1) return tn_foreign_error(node, TN_E_ATTR, "parts of extent %lld", (long long)size);
  int64_t whole = tn_dim_value(extent);
  if (whole / size >= MAX_PARTS)
    return tn_foreign_error(node, TN_E_LIMIT, "a sequence of more than %d tensors", MAX_PARTS);
  for (*out_n = 0; (int64_t)*out_n * size < whole; ++*out_n)
    out[*out_n] = tn_dim_const(ctx, whole - *out_n * size < size ? whole - *out_n * size : size);
  return true;
}

static bool import_split(tn_foreign_node *node) {
  tn_build *b = node->build;
  tn_value *x = tn_foreign_need(node, 0);
  int64_t axis, keep;
  uint32_t at, n;
  if (x == NULL || !tn_foreign_int(node, "axis", 0, &axis) || !tn_foreign_int(node, "keepdims", 1, &keep) ||
      !tn_build_axis(b, axis, x->type->ndim, "axis", &at))
    return false;
  const tn_dim **sizes = TN_NEW_N(b->module->arena, const tn_dim *, MAX_PARTS + 1), *from = tn_dim_const(b->ctx, 0);
  if (!split_sizes(node, x->type->dims[at], sizes, &n)) return false;
  tn_value **parts = TN_NEW_N(b->module->arena, tn_value *, n);
  for (uint32_t i = 0; i < n; i++) {
    parts[i] = tn_build_slice_axis(b, x, at, from, sizes[i], 1);
    if (keep == 0 && tn_foreign_input(node, 1) == NULL) parts[i] = tn_build_drop_axis(b, parts[i], at);
    if (parts[i] == NULL) return false;
    from = tn_dim_add(b->ctx, from, sizes[i]);
  }
  if (!tn_func_require_eq(b->func, from, x->type->dims[at], node->loc, "'SplitToSequence': the sum of the parts"))
    return false;
  return set_sequence(node, parts, n);
}

/* An optional is a tensor that is there, or an input that is left out. */
static bool import_has_element(tn_foreign_node *node) {
  return tn_foreign_set(node, 0, tn_build_splat_i(node->build, TN_BOOL, tn_foreign_input(node, 0) != NULL));
}

static bool import_element(tn_foreign_node *node) { return tn_foreign_set(node, 0, tn_foreign_need(node, 0)); }

static const tn_operand_def operand_defs[] = {{"x", TN_VARIADIC, TN_SET_ANY, TN_ROLE_DATA, NULL, 0}};
static const tn_onnx_row onnx[] = {
    {"", "SequenceEmpty", 11, 0, import_construct}, {"", "SequenceConstruct", 11, 0, import_construct},
    {"", "SequenceInsert", 11, 0, import_insert},   {"", "SequenceErase", 11, 0, import_erase},
    {"", "SequenceAt", 11, 0, import_at},           {"", "SequenceLength", 11, 0, import_length},
    {"", "ConcatFromSequence", 11, 0, import_concat}, {"", "SplitToSequence", 11, 0, import_split},
    {"", "OptionalHasElement", 15, 0, import_has_element}, {"", "OptionalGetElement", 15, 0, import_element},
};
static const tn_op_sample samples[] = {
    {TN_TYPES("f32[2,3]", "i64[B]"), NULL, 0, 0, "i64[]"},
    {TN_NO_TYPES, NULL, 0, 0, "i64[]"},
    {TN_TYPES("str[2]"), NULL, 0, 0, NULL},
};

const tn_opdef tn_op_sequence = {
    .name = "sequence",
    .kind = TN_OP_COMPOSITE,
    .doc = "How many operands it has. While a model is read it stands for the sequence of them.",
    TN_OPERANDS(operand_defs),
    .n_results = 1,
    .infer = infer_sequence,
    .expand = expand_sequence,
    TN_ONNX(onnx),
    TN_SAMPLES(samples),
};
