/* concat: operands one after the other along an axis. */
#include "ir/gradient.h"
#include "ir/ops/export.h"
#include "ir/ops/ops.h"

#include <string.h>

enum { AXIS };

static bool infer_concat(tn_infer *infer) {
  const tn_type *first = infer->operands[0]->type;
  int64_t axis = infer->attrs[AXIS].u.i;
  if (!tn_infer_axis(infer, "axis", axis, first->ndim)) return false;
  const tn_dim *dims[TN_MAX_NDIM];
  bool ok = true;
  for (uint32_t i = 0; i < first->ndim; i++) dims[i] = first->dims[i];
  for (uint32_t k = 1; k < infer->n_operands; k++) {
    const tn_type *type = infer->operands[k]->type;
    if (type->dtype != first->dtype)
      ok = tn_infer_error(infer, TN_E_DTYPE, "operand %u: expected %s, found %s", k, tn_dtype_name(first->dtype),
                          tn_infer_operand(infer, k));
    if (!tn_infer_rank(infer, k, first->ndim)) {
      ok = false;
      continue;
    }
    for (uint32_t i = 0; i < first->ndim; i++)
      if (i != axis)
        ok = tn_func_require_eq(infer->func, type->dims[i], first->dims[i], infer->loc,
                                "'concat': operand %u %s, axis %u", k, tn_infer_operand(infer, k), i) && ok;
    dims[axis] = tn_dim_add(infer->ctx, dims[axis], type->dims[axis]);
  }
  return ok && tn_infer_result(infer, 0, first->dtype, first->ndim, dims);
}

static void concat_index(tn_ctx *ctx, tn_node *node) {
  (void)ctx;
  const tn_dim *out[TN_MAX_INDEX];
  uint32_t n = 0;
  for (uint32_t k = 0; k < node->n_operands; k++) {
    const tn_value *value = node->operands[k].value;
    if (value->type->ndim == 1 && tn_dim_is(value->type->dims[0], 0)) continue;
    if (value->index == NULL || n + value->n_index > TN_MAX_INDEX) return;
    for (uint32_t i = 0; i < value->n_index; i++) out[n++] = value->index[i];
  }
  tn_index_set(node, out, n);
}

static bool eval_concat(tn_eval *eval, const tn_node *node) {
  uint32_t axis = (uint32_t)node->attrs[AXIS].u.i;
  tn_tensor *out = tn_eval_result(eval, node, 0);
  if (out == NULL) return false;
  int64_t outer = 1, inner = 1, at = 0;
  for (uint32_t i = 0; i < axis; i++) outer *= out->extents[i];
  for (uint32_t i = axis + 1; i < out->ndim; i++) inner *= out->extents[i];
  for (uint32_t k = 0; k < node->n_operands; k++) {
    const tn_tensor *x = tn_eval_operand(eval, node, k);
    int64_t run = x->extents[axis] * inner, stride = out->extents[axis] * inner;
    for (int64_t o = 0; o < outer && run > 0; o++)
      memcpy(out->data + o * stride + at, x->data + o * run, (size_t)run * sizeof *x->data);
    at += run;
  }
  return true;
}

static bool import_concat(tn_foreign_node *node) {
  int64_t axis;
  uint32_t at;
  tn_value *first = tn_foreign_need(node, 0);
  if (first == NULL || !tn_foreign_int(node, "axis", 1, &axis)) return false;
  if (!tn_build_axis(node->build, axis, first->type->ndim, "axis", &at)) return false;
  for (uint32_t i = 1; i < node->n_inputs; i++)
    if (tn_foreign_need(node, i) == NULL) return false;
  return tn_foreign_set(node, 0, tn_build_concat(node->build, node->inputs, node->n_inputs, at));
}

static bool vjp_concat(tn_vjp *v) {
  tn_build *b = v->build;
  uint32_t axis = (uint32_t)v->node->attrs[AXIS].u.i;
  const tn_dim *at = tn_dim_const(b->ctx, 0);
  for (uint32_t i = 0; i < v->node->n_operands; i++) {
    const tn_dim *extent = v->operands[i]->type->dims[axis];
    if (v->needed[i] && (v->dx[i] = tn_build_slice_axis(b, v->dy[0], axis, at, extent, 1)) == NULL) return false;
    at = tn_dim_add(b->ctx, at, extent);
  }
  return true;
}

static bool export_concat(tn_export *x, const tn_node *node) {
  const char **names = TN_NEW_N(x->arena, const char *, node->n_operands);
  for (uint32_t i = 0; i < node->n_operands; i++) names[i] = tn_export_operand(x, node, i);
  tn_export_emit(x, "Concat", 0, names, node->n_operands, TN_FOREIGN(tn_foreign_of_int("axis", node->attrs[AXIS].u.i)),
                 tn_export_result(x, node, 0));
  return true;
}

static const tn_operand_def operands[] = {
    {"x", TN_VARIADIC, TN_SET_ANY | TN_DTYPE_BIT(TN_STR), TN_ROLE_DATA, NULL, 1}};
static const tn_attr_def attrs[] = {{.name = "axis", .kind = TN_ATTR_INT, .required = true}};
static const tn_onnx_row onnx[] = {{"", "Concat", 1, 0, import_concat}};
static const tn_op_sample samples[] = {
    {TN_TYPES("f32[2,3]", "f32[2,1]", "f32[2,0]"), "{axis=1}", 0, 0, "f32[2,4]"},
    {TN_TYPES("f32[B,3]", "f32[2,3]"), "{axis=0}", 0, 0, "f32[B + 2,3]"},
    {TN_TYPES("i32[4]"), "{axis=0}", 0, 0, "i32[4]"},
    {TN_TYPES("f32[2,3]", "f32[3,3]"), "{axis=1}", 0, 0, NULL},
    {TN_TYPES("f32[2]", "i32[2]"), "{axis=0}", 0, 0, NULL},
    {TN_TYPES("f32[2]"), "{axis=1}", 0, 0, NULL},
};

const tn_opdef tn_op_concat = {
    .name = "concat",
    .kind = TN_OP_PRIMITIVE,
    .doc = "One or more operands one after the other along axis; all other extents are equal.",
    TN_OPERANDS(operands),
    .n_results = 1,
    TN_ATTRS(attrs),
    .traits = TN_TRAIT_SHAPE_ONLY,
    .infer = infer_concat,
    .index = concat_index,
    .eval = eval_concat,
    .vjp = vjp_concat,
    TN_ONNX(onnx),
    .export = export_concat,
    TN_SAMPLES(samples),
};
