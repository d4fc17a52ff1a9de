/* rotary_embedding: pairs of elements turned by an angle that depends on the position (ONNX RotaryEmbedding; RoFormer,
 * arXiv:2104.09864). */
#include "ir/ops/compose.h"
#include "ir/ops/export.h"
#include "ir/ops/onnx.h"

extern const tn_opdef tn_op_rotary_embedding;

enum { INTERLEAVED };

static bool infer_rotary_embedding(tn_infer *infer) {
  const tn_type *x = infer->operands[0]->type;
  if (!tn_infer_rank(infer, 0, 4) || !tn_infer_rank(infer, 1, 3) || !tn_infer_rank(infer, 2, 3)) return false;
  bool ok = true;
  for (uint32_t i = 1; i < 3; i++) {
    const tn_type *angle = infer->operands[i]->type;
    ok = tn_func_require_eq(infer->func, angle->dims[0], x->dims[0], infer->loc, "'rotary_embedding': batch") && ok;
    ok = tn_func_require_eq(infer->func, angle->dims[1], x->dims[2], infer->loc, "'rotary_embedding': length") && ok;
    ok = tn_func_require_eq(infer->func, angle->dims[2], infer->operands[1]->type->dims[2], infer->loc,
                            "'rotary_embedding': number of angles") && ok;
    ok = tn_func_require_le(infer->func, tn_dim_mul_i(infer->ctx, angle->dims[2], 2), x->dims[3], infer->loc,
                            "'rotary_embedding': two elements an angle") && ok;
  }
  infer->types[0] = x;
  return ok;
}

/* The halves of the pairs: every other element, or the first and second half. */
static tn_value *half(tn_build *b, tn_value *x, const tn_dim *n, int which, bool interleaved) {
  tn_ctx *ctx = b->ctx;
  const tn_dim *start = interleaved ? tn_dim_const(ctx, which) : tn_dim_mul_i(ctx, n, which);
  return tn_build_slice_axis(b, x, 3, start, n, interleaved ? 2 : 1);
}

static tn_value *join(tn_build *b, tn_value *real, tn_value *imaginary, bool interleaved) {
  if (real == NULL || imaginary == NULL) return NULL;
  const tn_dim *const *d = real->type->dims, *dims[] = {d[0], d[1], d[2], tn_dim_mul_i(b->ctx, d[3], 2)};
  if (!interleaved) return tn_build_concat(b, (tn_value *[]){real, imaginary}, 2, 3);
  tn_value *both[] = {tn_build_insert_axis(b, real, 4), tn_build_insert_axis(b, imaginary, 4)};
  return both[0] == NULL || both[1] == NULL ? NULL : tn_build_reshape(b, tn_build_concat(b, both, 2, 4), dims, 4);
}

static bool expand_rotary_embedding(tn_build *b, const tn_node *node, tn_value *const *operands, tn_value **out) {
  static const int64_t map[] = {0, 2, 3};
  bool interleaved = node->attrs[INTERLEAVED].u.i != 0;
  const tn_type *x = operands[0]->type;
  const tn_dim *n = operands[1]->type->dims[2], *turned = tn_dim_mul_i(b->ctx, n, 2);
  const tn_dim *dims[] = {x->dims[0], x->dims[1], x->dims[2], n};
  tn_value *cosine = tn_build_broadcast_map(b, operands[1], dims, 4, map);
  tn_value *sine = tn_build_broadcast_map(b, operands[2], dims, 4, map);
  tn_value *p = half(b, operands[0], n, 0, interleaved), *q = half(b, operands[0], n, 1, interleaved);
  tn_value *real = tn_build_binary(b, TN_SUB, tn_build_binary(b, TN_MUL, cosine, p),
                                   tn_build_binary(b, TN_MUL, sine, q));
  tn_value *imaginary = tn_build_binary(b, TN_ADD, tn_build_binary(b, TN_MUL, sine, p),
                                        tn_build_binary(b, TN_MUL, cosine, q));
  out[0] = join(b, real, imaginary, interleaved);
  const tn_dim *rest = tn_dim_sub(b->ctx, x->dims[3], turned);
  if (out[0] == NULL || tn_dim_is(rest, 0)) return out[0] != NULL;
  tn_value *kept = tn_build_slice_axis(b, operands[0], 3, turned, rest, 1);
  out[0] = kept == NULL ? NULL : tn_build_concat(b, (tn_value *[]){out[0], kept}, 2, 3);
  return out[0] != NULL;
}

/* The caches as [B,S,n]: gathered at position_ids, or given so. */
static tn_value *angles(tn_foreign_node *node, tn_value *cache, tn_value *positions) {
  int64_t axis = 0;
  if (cache == NULL || positions == NULL) return cache;
  tn_value *index = tn_build_wrap_index(node->build, positions, cache->type->dims[0]);
  return index == NULL ? NULL : tn_build_gather_axes(node->build, cache, &index, &axis, 1);
}

static bool import_rotary_embedding(tn_foreign_node *node) {
  tn_build *b = node->build;
  tn_value *x = tn_foreign_need(node, 0), *positions = tn_foreign_input(node, 3);
  int64_t interleaved, size;
  if (x == NULL || !tn_foreign_int(node, "interleaved", 0, &interleaved) ||
      !tn_foreign_int(node, "rotary_embedding_dim", 0, &size))
    return false;
  const tn_type *type = x->type;
  bool flat = type->ndim == 3;
  if (flat) x = tn_foreign_split_heads(node, x, "num_heads");
  tn_value *operands[] = {x, angles(node, tn_foreign_need(node, 1), positions),
                          angles(node, tn_foreign_need(node, 2), positions)};
  if (x == NULL || operands[1] == NULL || operands[2] == NULL) return false;
  if (size != 0 && operands[1]->type->ndim == 3 &&
      !tn_func_require_eq(b->func, operands[1]->type->dims[2], tn_dim_const(b->ctx, size / 2), node->loc,
                          "'RotaryEmbedding': the caches' angles and half of rotary_embedding_dim"))
    return false;
  tn_attr attr = tn_attr_bool(interleaved != 0);
  tn_value *y = tn_build_op(b, &tn_op_rotary_embedding, operands, 3, &attr);
  if (flat) y = tn_build_reshape(b, tn_build_transpose(b, y, (int64_t[]){0, 2, 1, 3}), type->dims, 3);
  return tn_foreign_set(node, 0, y);
}

static bool export_rotary_embedding(tn_export *x, const tn_node *node) {
  const tn_dim *size = node->operands[0].value->type->dims[3], *pairs = node->operands[1].value->type->dims[2];
  const tn_dim *turned = tn_dim_mul_i(x->ctx, pairs, 2);
  if (turned != size && !tn_dim_is_const(turned)) return false;
  tn_foreign_attr attrs[] = {tn_foreign_of_int("interleaved", node->attrs[INTERLEAVED].u.i),
                             tn_foreign_of_int("rotary_embedding_dim", turned == size ? 0 : tn_dim_value(turned))};
  tn_export_emit(x, "RotaryEmbedding", 23,
                 TN_NAMES(tn_export_operand(x, node, 0), tn_export_operand(x, node, 1), tn_export_operand(x, node, 2)),
                 attrs, 2, tn_export_result(x, node, 0));
  return true;
}

static const tn_operand_def operands[] = {{"x", TN_ONE, TN_SET_FLOAT, TN_ROLE_DATA, NULL, 0},
                                          {"cos", TN_ONE, TN_SET_FLOAT, TN_ROLE_DATA, "x", 0},
                                          {"sin", TN_ONE, TN_SET_FLOAT, TN_ROLE_DATA, "x", 0}};
static const tn_attr_def attrs[] = {{.name = "interleaved", .kind = TN_ATTR_BOOL}};
static const tn_onnx_row onnx[] = {
    {"", "RotaryEmbedding", 23, 0, import_rotary_embedding},
    {"com.microsoft", "RotaryEmbedding", 1, 0, tn_import_ms_rotary_embedding},
};
static const tn_op_sample samples[] = {
    {TN_TYPES("f32[2,3,4,8]", "f32[2,4,4]", "f32[2,4,4]"), NULL, 0, 0, "f32[2,3,4,8]"},
    {TN_TYPES("f32[2,3,B,8]", "f32[2,B,2]", "f32[2,B,2]"), "{interleaved=true}", 0, 0, "f32[2,3,B,8]"},
    {TN_TYPES("f32[2,3,4,8]", "f32[2,4,5]", "f32[2,4,5]"), NULL, 0, 0, NULL},
    {TN_TYPES("f32[2,4,8]", "f32[2,4,4]", "f32[2,4,4]"), NULL, 0, 0, NULL},
};

const tn_opdef tn_op_rotary_embedding = {
    .name = "rotary_embedding",
    .kind = TN_OP_COMPOSITE,
    .doc = "Of x[B,H,S,D] the first 2n elements of each row as n pairs (p, q) turned to (cos p - sin q, sin p + cos q) "
           "by cos, sin[B,S,n]; pairs are element i and n + i, or with interleaved 2i and 2i + 1. The rest stays.",
    TN_OPERANDS(operands),
    .n_results = 1,
    TN_ATTRS(attrs),
    .infer = infer_rotary_embedding,
    .expand = expand_rotary_embedding,
    TN_ONNX(onnx),
    .export = export_rotary_embedding,
    TN_SAMPLES(samples),
};
