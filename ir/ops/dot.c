/* dot: contraction of two tensors over pairs of axes. */
#include "ir/gradient.h"
#include "ir/ops/export.h"
#include "ir/ops/fold.h"
#include "ir/ops/onnx.h"

#include <string.h>


enum { BATCH, SUM, ACC };

/* Which axes of operand side (0 or 1) occur in a pair list, as bits; reports those out of range or repeated. */
static bool collect(tn_infer *infer, const tn_attr *pairs, const char *what, int side, uint32_t *bits) {
  bool ok = true;
  for (uint32_t i = 0; i < pairs->u.list.n; i++) {
    int64_t axis = pairs->u.list.ints[2 * i + side];
    if (!tn_infer_axis(infer, what, axis, infer->operands[side]->type->ndim)) {
      ok = false;
      continue;
    }
    if ((*bits >> axis & 1) != 0)
      ok = tn_infer_error(infer, TN_E_ATTR, "%s: axis %lld of %s occurs twice", what, (long long)axis,
                          tn_infer_operand(infer, (uint32_t)side));
    *bits |= (uint32_t)1 << axis;
  }
  return ok;
}

static bool match(tn_infer *infer, const tn_attr *pairs, const char *what) {
  const tn_type *a = infer->operands[0]->type, *b = infer->operands[1]->type;
  bool ok = true;
  for (uint32_t i = 0; i < pairs->u.list.n; i++) {
    int64_t p = pairs->u.list.ints[2 * i], q = pairs->u.list.ints[2 * i + 1];
    ok = tn_func_require_eq(infer->func, b->dims[q], a->dims[p], infer->loc, "'dot': %s axes %lld of %s and %lld of %s",
                            what, (long long)p, tn_infer_operand(infer, 0), (long long)q, tn_infer_operand(infer, 1)) &&
         ok;
  }
  return ok;
}

static bool infer_dot(tn_infer *infer) {
  const tn_type *a = infer->operands[0]->type, *b = infer->operands[1]->type;
  const tn_attr *batch = &infer->attrs[BATCH], *sum = &infer->attrs[SUM];
  uint32_t used[2] = {0, 0};
  bool ok = true;
  for (int side = 0; side < 2; side++) {
    ok = collect(infer, batch, "batch", side, &used[side]) && ok;
    ok = collect(infer, sum, "sum", side, &used[side]) && ok;
  }
  ok = tn_infer_acc(infer, &infer->attrs[ACC], a->dtype) && ok;
  if (!ok) return false;
  ok = match(infer, batch, "batch");
  ok = match(infer, sum, "sum") && ok;
  const tn_dim *dims[2 * TN_MAX_NDIM];
  uint32_t n = 0;
  for (uint32_t i = 0; i < batch->u.list.n; i++) dims[n++] = a->dims[batch->u.list.ints[2 * i]];
  for (uint32_t i = 0; i < a->ndim; i++)
    if ((used[0] >> i & 1) == 0) dims[n++] = a->dims[i];
  for (uint32_t i = 0; i < b->ndim; i++)
    if ((used[1] >> i & 1) == 0) dims[n++] = b->dims[i];
  return tn_infer_result(infer, 0, tn_product_dtype(a->dtype, &infer->attrs[ACC]), n, dims) && ok;
}

/* One side as a plain array: a as [batch, free, sum], b as [batch, sum, free]. */
typedef struct side {
  tn_number *data;
  int64_t batch, free, sum;
} side;

static side arrange(tn_arena *arena, const tn_tensor *x, const tn_attr *batch, const tn_attr *sum, int which) {
  uint32_t order[TN_MAX_NDIM], n = 0, used = 0;
  int64_t from[TN_MAX_NDIM], strides[TN_MAX_NDIM], extents[TN_MAX_NDIM];
  side out = {NULL, 1, 1, 1};
  for (uint32_t i = 0; i < batch->u.list.n; i++) {
    order[n] = (uint32_t)batch->u.list.ints[2 * i + which];
    out.batch *= x->extents[order[n]];
    used |= (uint32_t)1 << order[n++];
  }
  for (uint32_t i = 0; i < sum->u.list.n; i++) used |= (uint32_t)1 << sum->u.list.ints[2 * i + which];
  for (int part = 0; part < 2; part++) {
    bool is_sum = part != which; /* a's sum axes come last, b's before its free ones */
    for (uint32_t i = 0; is_sum && i < sum->u.list.n; i++) {
      order[n] = (uint32_t)sum->u.list.ints[2 * i + which];
      out.sum *= x->extents[order[n++]];
    }
    for (uint32_t i = 0; !is_sum && i < x->ndim; i++) {
      if ((used >> i & 1) != 0) continue;
      out.free *= x->extents[i];
      order[n++] = i;
    }
  }
  tn_tensor_strides(x, from);
  for (uint32_t i = 0; i < n; i++) {
    extents[i] = x->extents[order[i]];
    strides[i] = from[order[i]];
  }
  tn_tensor *moved = tn_tensor_create(arena, x->dtype, n, extents);
  tn_tensor_view(moved, x, 0, strides);
  out.data = moved->data;
  return out;
}

static bool eval_dot(tn_eval *eval, const tn_node *node) {
  const tn_tensor *x = tn_eval_operand(eval, node, 0), *y = tn_eval_operand(eval, node, 1);
  tn_tensor *out = tn_eval_result(eval, node, 0);
  if (out == NULL) return false;
  tn_arena *scratch = tn_arena_create_scratch(eval->arena);
  side a = arrange(scratch, x, &node->attrs[BATCH], &node->attrs[SUM], 0);
  side b = arrange(scratch, y, &node->attrs[BATCH], &node->attrs[SUM], 1);
  tn_accumulator sum = tn_accumulator_of(eval, x->dtype, &node->attrs[ACC], out->dtype);
  tn_number *row = out->data;
  for (int64_t g = 0; g < a.batch; g++)
    for (int64_t i = 0; i < a.free; i++, row += b.free) {
      const tn_number *p = a.data + (g * a.free + i) * a.sum, *q = b.data + g * a.sum * b.free;
      for (int64_t j = 0; j < b.free; j++) row[j] = tn_fold_identity(TN_FOLD_SUM, sum.acc);
      for (int64_t k = 0; k < a.sum; k++) tn_accumulate_row(&sum, row, p[k], q + k * b.free, b.free);
      for (int64_t j = 0; j < b.free; j++) row[j] = tn_accumulate_end(&sum, row[j]);
    }
  tn_arena_destroy(scratch);
  return true;
}

/* y = batch ++ free of a ++ free of b. The gradient of one side is dy times the other, summed over the other's free
 * axes: batch ++ own free ++ the other's summed axes, which are then brought into the operand's order. */
static tn_value *of_side(tn_vjp *v, int which) {
  const tn_attr *batch = &v->node->attrs[BATCH], *sum = &v->node->attrs[SUM];
  const tn_value *own = v->operands[which];
  tn_value *other = v->operands[1 - which];
  uint32_t n_batch = batch->u.list.n, n_sum = sum->u.list.n, used[2] = {0, 0};
  for (int k = 0; k < 2; k++) {
    for (uint32_t i = 0; i < n_batch; i++) used[k] |= (uint32_t)1 << batch->u.list.ints[2 * i + k];
    for (uint32_t i = 0; i < n_sum; i++) used[k] |= (uint32_t)1 << sum->u.list.ints[2 * i + k];
  }
  uint32_t n_own = own->type->ndim - n_batch - n_sum, n = 0;
  uint32_t first = n_batch + (which == 0 ? n_own : 0); /* of the other's free axes in dy */
  int64_t batch_pairs[2 * TN_MAX_NDIM], sum_pairs[2 * TN_MAX_NDIM], perm[TN_MAX_NDIM];
  for (uint32_t i = 0; i < n_batch; i++) {
    batch_pairs[2 * i] = i;
    batch_pairs[2 * i + 1] = batch->u.list.ints[2 * i + 1 - which];
    perm[batch->u.list.ints[2 * i + which]] = i;
  }
  for (uint32_t i = 0; i < other->type->ndim; i++) {
    if ((used[1 - which] >> i & 1) != 0) continue;
    sum_pairs[2 * n] = first + n;
    sum_pairs[2 * n++ + 1] = i;
  }
  uint32_t at = n_batch;
  for (uint32_t i = 0; i < own->type->ndim; i++)
    if ((used[which] >> i & 1) == 0) perm[i] = at++;
  /* The other's summed axes come in the other's order. */
  for (uint32_t axis = 0; axis < other->type->ndim; axis++)
    for (uint32_t i = 0; i < n_sum; i++)
      if (sum->u.list.ints[2 * i + 1 - which] == (int64_t)axis) perm[sum->u.list.ints[2 * i + which]] = at++;
  tn_value *product = tn_build_dot(v->build, v->dy[0], other, batch_pairs, n_batch, sum_pairs, n);
  return tn_build_transpose(v->build, product, perm);
}

static bool vjp_dot(tn_vjp *v) {
  for (int which = 0; which < 2; which++)
    if (v->needed[which] && (v->dx[which] = of_side(v, which)) == NULL) return false;
  return true;
}

/* The axes of both sides as letters: batch, then what is free in each, then what is summed. */
static bool export_einsum(tn_export *x, const tn_node *node, const char *const *in, const char *result) {
  static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  const tn_attr *batch = &node->attrs[BATCH], *sum = &node->attrs[SUM];
  char sides[2][TN_MAX_NDIM + 1] = {{0}}, out[2 * TN_MAX_NDIM + 1] = {0};
  uint32_t next = 0, n_out = 0;
  for (uint32_t i = 0; i < batch->u.list.n; i++) {
    for (int s = 0; s < 2; s++) sides[s][batch->u.list.ints[2 * i + s]] = letters[next];
    out[n_out++] = letters[next++];
  }
  for (uint32_t i = 0; i < sum->u.list.n; i++, next++)
    for (int s = 0; s < 2; s++) sides[s][sum->u.list.ints[2 * i + s]] = letters[next];
  for (int s = 0; s < 2; s++)
    for (uint32_t i = 0; i < node->operands[s].value->type->ndim; i++)
      if (!sides[s][i]) out[n_out++] = sides[s][i] = letters[next++];
  const char *equation = tn_namef(x->ctx, "%s,%s->%s", sides[0], sides[1], out);
  tn_export_emit(x, "Einsum", 0, in, 2, TN_FOREIGN(tn_foreign_of_string("equation", equation)), result);
  return true;
}

/* An operand with its last two axes swapped; of a constant, the constant. */
static const char *swapped(tn_export *x, const tn_node *node, uint32_t operand, const char *name) {
  const tn_value *value = node->operands[operand].value;
  uint32_t n = value->type->ndim;
  tn_const *constant = tn_value_const(value);
  int64_t perm[TN_MAX_NDIM];
  uint8_t bytes[TN_MAX_NDIM];
  for (uint32_t i = 0; i < n; i++) perm[i] = i + 2 == n ? n - 1 : i + 1 == n ? n - 2 : i;
  for (uint32_t i = 0; i < n; i++) bytes[i] = (uint8_t)perm[i];
  if (constant && strcmp(name, tn_export_value(x, value)) == 0)
    return tn_export_const_value(x, tn_const_recipe_transpose(x->module, constant, bytes));
  return tn_export_transpose(x, name, perm, n, NULL);
}

/* Whether the node is a product of matrices once the last two axes of some operands are swapped. */
static bool is_matmul(const tn_node *node, bool *out_swap) {
  const tn_attr *batch = &node->attrs[BATCH], *sum = &node->attrs[SUM];
  uint32_t n_batch = batch->u.list.n;
  if (sum->u.list.n != 1) return false;
  for (uint32_t i = 0; i < n_batch; i++)
    if (batch->u.list.ints[2 * i] != (int64_t)i || batch->u.list.ints[2 * i + 1] != (int64_t)i) return false;
  for (uint32_t s = 0; s < 2; s++) {
    uint32_t ndim = node->operands[s].value->type->ndim, n_free = ndim - n_batch - 1;
    int64_t axis = sum->u.list.ints[s], wanted = s == 0 || n_free == 0 ? (int64_t)ndim - 1 : (int64_t)ndim - 2;
    out_swap[s] = axis != wanted;
    if (n_batch > 0 && n_free != 1) return false;
    if (s == 1 && n_free > 1) return false;
    if (n_free > 1 && out_swap[s]) return false;
  }
  return true;
}

/* Products of 8-bit integers are MatMulInteger's; other short ones are computed in the result's type. */
static bool export_dot(tn_export *x, const tn_node *node) {
  tn_dtype from = node->operands[0].value->type->dtype, to = node->results[0]->type->dtype;
  const tn_attr *acc = &node->attrs[ACC];
  tn_dtype compute = tn_dtype_is_float(from) && acc->present && (tn_dtype)acc->u.i != from ? (tn_dtype)acc->u.i : to;
  const char *in[2] = {tn_export_operand(x, node, 0), tn_export_operand(x, node, 1)};
  const char *result = tn_export_result(x, node, 0), *product = compute == to ? result : NULL;
  bool swap[2], matrices = is_matmul(node, swap);
  bool is_integer8 = matrices && (from == TN_I8 || from == TN_U8) && to == TN_I32;
  for (uint32_t s = 0; s < 2; s++) {
    if (from != compute && !is_integer8) in[s] = tn_export_cast(x, in[s], compute, NULL);
    if (matrices && swap[s]) in[s] = swapped(x, node, s, in[s]);
  }
  if (matrices) product = tn_export_binary(x, is_integer8 ? "MatMulInteger" : "MatMul", in[0], in[1], product);
  else if (compute == to) return export_einsum(x, node, in, result);
  else if (!export_einsum(x, node, in, product = tn_export_fresh(x, "Einsum"))) return false;
  if (compute != to) tn_export_cast(x, product, to, result);
  return true;
}

static const tn_operand_def operands[] = {{"a", TN_ONE, TN_SET_NUMBER, TN_ROLE_DATA, NULL, 0},
                                          {"b", TN_ONE, TN_SET_NUMBER, TN_ROLE_DATA, "a", 0}};
static const tn_attr_def attrs[] = {{.name = "batch", .kind = TN_ATTR_PAIRS},
                                    {.name = "sum", .kind = TN_ATTR_PAIRS},
                                    {.name = "acc", .kind = TN_ATTR_DTYPE, .no_default = true}};
static const tn_onnx_row onnx[] = {
    {"", "MatMul", 1, 0, tn_import_matmul},
    {"", "Gemm", 1, 0, tn_import_gemm},
    {"", "MatMulInteger", 10, 0, tn_import_matmul_integer},
    {"", "Einsum", 12, 0, tn_import_einsum},
    {"", "DFT", 17, 0, tn_import_dft},
    {"", "STFT", 17, 0, tn_import_stft},
    {"com.microsoft", "FusedMatMul", 1, 0, tn_import_fused_matmul},
    {"com.microsoft", "MatMulNBits", 1, 0, tn_import_matmul_nbits},
    {"com.microsoft", "MatMulIntegerToFloat", 1, 0, tn_import_matmul_integer_to_float},
    {"com.microsoft", "DynamicQuantizeMatMul", 1, 0, tn_import_dynamic_quantize_matmul},
    {"ai.onnx.preview", "FlexAttention", 1, 0, tn_import_flex_attention},
    {"ai.onnx.ml", "LinearRegressor", 1, 0, tn_import_linear_regressor},
    {"ai.onnx.ml", "LinearClassifier", 1, 0, tn_import_linear_classifier},
};
static const tn_op_sample samples[] = {
    {TN_TYPES("f32[2,3]", "f32[3,4]"), "{sum=[(1,0)]}", 0, 0, "f32[2,4]"},
    {TN_TYPES("f32[B,2,3]", "f32[B,4,3]"), "{batch=[(0,0)], sum=[(2,2)]}", 0, 0, "f32[B,2,4]"},
    {TN_TYPES("f16[5,1]", "f16[1,2]"), "{sum=[(1,0)], acc=f32}", 0, 0, "f16[5,2]"},
    {TN_TYPES("i8[2,3]", "i8[3]"), "{sum=[(1,0)]}", -128, 127, "i32[2]"},
    {TN_TYPES("f32[2,0]", "f32[0,3]"), "{sum=[(1,0)]}", 0, 0, "f32[2,3]"},
    {TN_TYPES("f64[2]", "f64[3]"), NULL, 0, 0, "f64[2,3]"},
    {TN_TYPES("f32[2,3]", "f32[4,3]"), "{sum=[(1,0)]}", 0, 0, NULL},
    {TN_TYPES("f32[2,3]", "f32[3,2]"), "{sum=[(1,0),(1,1)]}", 0, 0, NULL},
    {TN_TYPES("f32[2]", "f64[2]"), "{sum=[(0,0)]}", 0, 0, NULL},
};

const tn_opdef tn_op_dot = {
    .name = "dot",
    .kind = TN_OP_PRIMITIVE,
    .doc = "Result dims are batch, a's free axes, b's free axes; products are summed in acc, in free order. A float "
           "result has the operands' type, an integer result that of acc (default i32 for 8- and 16-bit operands).",
    TN_OPERANDS(operands),
    .n_results = 1,
    TN_ATTRS(attrs),
    .infer = infer_dot,
    .eval = eval_dot,
    .vjp = vjp_dot,
    TN_ONNX(onnx),
    .export = export_dot,
    TN_SAMPLES(samples),
};
