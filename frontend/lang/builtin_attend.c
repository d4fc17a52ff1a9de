/* Built-ins, group 3: attention, rotary positions, recurrent layers. */
#include <math.h>
#include <string.h>

#include "frontend/lang/builtin.h"

/* --- attention: q, k, v, mask, causal, scale --- */

/* x [..B, T, H, K] as [prod B, H, T, K]. */
static tn_value *heads_first(tn_call *call, const tn_datum *x) {
  const tn_type *type = x->tensor.value->type;
  uint32_t lead = type->ndim - 3;
  const tn_dim *dims[] = {tn_dim_product(call->s->ctx, type->dims, lead), type->dims[lead], type->dims[lead + 1],
                          type->dims[lead + 2]};
  int64_t perm[] = {0, 2, 1, 3};
  return tn_build_transpose(call->b, tn_build_reshape(call->b, x->tensor.value, dims, 4), perm);
}

/* -inf where key j lies behind query i; the last query is at the last key. */
static tn_value *causal_bias(tn_call *call, const tn_dim *queries, const tn_dim *keys, tn_dtype dtype) {
  tn_build *b = call->b;
  const tn_dim *dims[] = {queries, keys}, *shift = tn_dim_sub(call->s->ctx, keys, queries);
  tn_value *i = tn_build_iota(b, dims, 2, 0, TN_I64), *j = tn_build_iota(b, dims, 2, 1, TN_I64);
  tn_value *offset = tn_build_reshape(b, tn_build_dim_value(b, &shift, 1), NULL, 0);
  tn_value *last = tn_build_binary(b, TN_ADD, i, tn_build_broadcast_to(b, offset, dims, 2));
  tn_value *seen = tn_build_binary(b, TN_LE, j, last);
  tn_value *zero = tn_build_broadcast_to(b, tn_build_splat_f(b, dtype, 0), dims, 2);
  return tn_build_select(b, seen, zero, tn_build_fill_like(b, zero, -(double)INFINITY));
}

/* The mask as something to add; [T, S], or with leading dims as the scores [..B, H, T, S] have them. */
static bool mask_bias(tn_call *call, const tn_datum *q, const tn_dim *keys, tn_value **out) {
  tn_build *b = call->b;
  tn_datum *mask = call->args[3];
  tn_dtype dtype = tn_datum_dtype(q);
  if (!mask) return true;
  if (mask->kind != TN_DATUM_TENSOR || (tn_datum_dtype(mask) != TN_BOOL && tn_datum_dtype(mask) != dtype))
    return tn_call_error(call, TN_E_DTYPE, "a mask is bool or %s, found %s", tn_dtype_name(dtype),
                         tn_datum_describe(call->s, mask));
  uint32_t n = tn_datum_ndim(mask), lead = tn_datum_ndim(q) - 3;
  if (n < 2 || n > lead + 3) return tn_call_error(call, TN_E_RANK, "a mask of %u dims", n);
  const tn_axis *axes = mask->tensor.axes;
  const tn_axis *queries = &q->tensor.axes[lead];
  if (!tn_extents_agree(call->s, axes[n - 1].extent, keys, call->loc, "the keys of a mask") ||
      (!tn_dim_is(axes[n - 2].extent, 1) &&
       !tn_extents_agree(call->s, axes[n - 2].extent, queries->extent, call->loc, "the queries of a mask")))
    return tn_call_error(call, TN_E_SHAPE, "a mask %s for %s queries and %s keys", tn_datum_describe(call->s, mask),
                         tn_dim_text(call->s, queries->extent), tn_dim_text(call->s, keys));
  tn_value *y = mask->tensor.value;
  if (tn_datum_dtype(mask) == TN_BOOL) {
    tn_value *zero = tn_build_broadcast_to(b, tn_build_splat_f(b, dtype, 0), y->type->dims, n);
    y = tn_build_select(b, y, zero, tn_build_fill_like(b, zero, -(double)INFINITY));
  }
  if (n > 4 || (n == 4 && lead != 1) || (n == 3 && lead == 0)) { /* leading dims folded as those of q are */
    const tn_dim *dims[TN_MAX_NDIM];
    uint32_t own = n > lead + 2 ? lead : n - 3;
    dims[0] = tn_dim_product(call->s->ctx, y->type->dims, own);
    for (uint32_t i = own; i < n; i++) dims[i - own + 1] = y->type->dims[i];
    y = tn_build_reshape(b, y, dims, n - own + 1);
  }
  *out = y;
  return y != NULL;
}

static bool attention_fits(tn_call *call, const tn_datum *q, const tn_datum *k, const tn_datum *v) {
  tn_sema *s = call->s;
  uint32_t n = tn_datum_ndim(q), lead = n - 3;
  if (tn_datum_ndim(k) != n || tn_datum_ndim(v) != n)
    return tn_call_error(call, TN_E_RANK, "q %s, k %s and v %s differ in rank", tn_datum_describe(s, q),
                         tn_datum_describe(s, k), tn_datum_describe(s, v));
  if (tn_datum_dtype(k) != tn_datum_dtype(q) || tn_datum_dtype(v) != tn_datum_dtype(q))
    return tn_call_error(call, TN_E_DTYPE, "q %s, k %s and v %s differ in type", tn_datum_describe(s, q),
                         tn_datum_describe(s, k), tn_datum_describe(s, v));
  const tn_axis *a = q->tensor.axes, *b = k->tensor.axes, *c = v->tensor.axes;
  bool ok = tn_extents_agree(s, a[lead + 2].extent, b[lead + 2].extent, call->loc, "the head size of q and k") &&
            tn_extents_agree(s, b[lead].extent, c[lead].extent, call->loc, "the length of k and v") &&
            tn_extents_agree(s, b[lead + 1].extent, c[lead + 1].extent, call->loc, "the heads of k and v");
  for (uint32_t i = 0; i < lead && ok; i++)
    ok = tn_extents_agree(s, a[i].extent, b[i].extent, call->loc, "leading dims of q and k") &&
         tn_extents_agree(s, b[i].extent, c[i].extent, call->loc, "leading dims of k and v");
  const tn_dim *share;
  if (ok && tn_dim_divide_exact(s->ctx, a[lead + 1].extent, b[lead + 1].extent, &share)) return true;
  tn_call_error(call, TN_E_SHAPE, "q %s, k %s and v %s do not fit: [.., T, H, K], [.., S, H2, K], [.., S, H2, V], H a "
                "multiple of H2", tn_datum_describe(s, q), tn_datum_describe(s, k), tn_datum_describe(s, v));
  tn_note(s->ctx, q->loc, "q was made here");
  tn_note(s->ctx, k->loc, "k was made here");
  return false;
}

static tn_datum *make_attention(tn_call *call) {
  tn_datum *q = tn_call_tensor(call, 0), *k = tn_call_tensor(call, 1), *v = tn_call_tensor(call, 2);
  tn_build *b = call->b;
  if (!q || !k || !v || !tn_call_rank(call, q, 3, TN_MAX_NDIM) || !attention_fits(call, q, k, v)) return NULL;
  uint32_t n = tn_datum_ndim(q), lead = n - 3;
  const tn_dim *queries = q->tensor.axes[lead].extent, *keys = k->tensor.axes[lead].extent;
  double scale = 0;
  tn_value *bias = NULL;
  if (call->args[5]) scale = tn_call_float(call, 5);
  else if (tn_dim_is_const(q->tensor.axes[n - 1].extent))
    scale = 1 / sqrt((double)tn_dim_value(q->tensor.axes[n - 1].extent));
  else
    return tn_call_error(call, TN_E_LANG_STATIC, "the head size is not known at compile time: give scale"), NULL;
  if (!mask_bias(call, q, keys, &bias)) return NULL;
  if (tn_call_bool(call, 4)) {
    tn_value *both[] = {bias, causal_bias(call, queries, keys, tn_datum_dtype(q))};
    if (bias && !tn_build_broadcast_all(b, both, 2)) return NULL;
    bias = bias ? tn_build_binary(b, TN_ADD, both[0], both[1]) : both[1];
  }
  tn_value *operands[] = {heads_first(call, q), heads_first(call, k), heads_first(call, v), bias};
  tn_named_attr attr = {"scale", tn_attr_float(scale)};
  tn_value *y = tn_call_op(call, "attention", operands, bias ? 4 : 3, &attr, 1);
  int64_t perm[] = {0, 2, 1, 3};
  y = tn_build_transpose(b, y, perm);
  tn_axis axes[TN_MAX_NDIM];
  const tn_dim *dims[TN_MAX_NDIM];
  for (uint32_t i = 0; i < n; i++) {
    axes[i] = i + 1 < n ? q->tensor.axes[i] : v->tensor.axes[i];
    dims[i] = axes[i].extent;
  }
  return tn_datum_tensor(call->s, tn_build_reshape(b, y, dims, n), axes, call->loc);
}

/* --- rotary: x, base, offset, interleaved --- */

/* (offset + t) / base^(2i / K) as f64[T, K / 2]. */
static tn_value *angles(tn_call *call, const tn_dim *length, int64_t pairs, double base) {
  tn_build *b = call->b;
  const tn_dim *dims[] = {length, tn_dim_const(call->s->ctx, pairs)};
  tn_value *t = tn_build_iota(b, dims, 2, 0, TN_F64), *i = tn_build_iota(b, dims, 2, 1, TN_F64);
  const tn_datum *offset = call->args[2];
  tn_value *start = offset->kind == TN_DATUM_TENSOR ? tn_build_cast(b, offset->tensor.value, TN_F64) : NULL;
  if (!start) {
    tn_datum *number = tn_datum_as_tensor(call->s, call->args[2], TN_F64, call->loc);
    start = number ? number->tensor.value : NULL;
  }
  if (!start) return NULL;
  t = tn_build_binary(b, TN_ADD, t, tn_build_broadcast_to(b, start, dims, 2));
  tn_value *power = tn_build_unary(b, TN_EXP, tn_build_binary_f(b, TN_MUL, i, -log(base) / (double)pairs));
  return tn_build_binary(b, TN_MUL, t, power);
}

static tn_datum *make_rotary(tn_call *call) {
  tn_datum *x = tn_call_tensor(call, 0);
  tn_build *b = call->b;
  if (!x || !tn_call_rank(call, x, 3, TN_MAX_NDIM)) return NULL;
  if (call->args[2]->kind == TN_DATUM_TENSOR && tn_datum_ndim(call->args[2]) != 0)
    return tn_call_error(call, TN_E_RANK, "offset is one number"), NULL;
  uint32_t n = tn_datum_ndim(x), lead = n - 3;
  const tn_axis *size = &x->tensor.axes[n - 1];
  if (!tn_dim_is_const(size->extent) || tn_dim_value(size->extent) % 2 != 0)
    return tn_call_error(call, TN_E_LANG_DIVIDE, "dim %s must be known and even", tn_axis_describe(call->s, size)),
           NULL;
  double base = tn_call_float(call, 1);
  if (!(base > 1)) return tn_call_error(call, TN_E_ATTR, "base must be above 1"), NULL;
  tn_value *turned = heads_first(call, x);
  tn_value *angle = angles(call, x->tensor.axes[lead].extent, tn_dim_value(size->extent) / 2, base);
  if (!turned || !angle) return NULL;
  const tn_dim *dims[] = {turned->type->dims[0], angle->type->dims[0], angle->type->dims[1]};
  tn_value *operands[] = {turned, tn_build_unary(b, TN_COS, angle), tn_build_unary(b, TN_SIN, angle)};
  for (int i = 1; i < 3; i++)
    operands[i] = tn_build_broadcast_to(b, tn_build_cast(b, operands[i], tn_datum_dtype(x)), dims, 3);
  tn_named_attr attr = {"interleaved", tn_attr_bool(tn_call_bool(call, 3))};
  int64_t perm[] = {0, 2, 1, 3};
  tn_value *y = tn_build_transpose(b, tn_call_op(call, "rotary_embedding", operands, 3, &attr, 1), perm);
  return tn_call_like(call, tn_build_reshape(b, y, x->tensor.value->type->dims, n), x);
}

static const tn_builtin rows[] = {
    {"attention",
     "q: f[], k: f[], v: f[], mask: any = none, causal: bool = false, scale: float = none",
     "softmax(q k' * scale + mask) v; q [.., T, H, K], k [.., S, H2, K], v [.., S, H2, V], H a multiple of H2. causal: "
     "query i sees the keys up to i + S - T. scale is 1 / sqrt(K) by default",
     make_attention, NULL},
    {"rotary", "x: f[], base: float = 10000, offset: int|i[] = 0, interleaved: bool = false",
     "pairs of x [.., T, H, K] turned by (t + offset) / base^(2i / K); pairs are i and i + K / 2, or 2i and 2i + 1",
     make_rotary, NULL},
};

const tn_builtin_group tn_builtins_attend = TN_BUILTINS("Attention", rows);
