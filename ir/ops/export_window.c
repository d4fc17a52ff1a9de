/* window and argwindow in ONNX: MaxPool, and sums as AveragePool times the window's size. ONNX pools the axes behind
 * the first two; windows on other axes are brought there, with what they have in front joined into one. */
#include "ir/ops/export.h"
#include "ir/ops/sliding.h"

#include <math.h>
#include <string.h>

bool tn_export_pads_fit(const tn_export_spatial *s) {
  for (uint32_t i = 0; i < s->n; i++) {
    if (!tn_dim_is_const(s->lo[i]) || !tn_dim_is_const(s->hi[i])) return false;
    int64_t lo = tn_dim_value(s->lo[i]), hi = tn_dim_value(s->hi[i]);
    if (lo < 0 || hi < 0) return false;
    if (s->kernel && (lo >= s->kernel[i] || hi >= s->kernel[i])) return false; /* poolings want that */
  }
  return true;
}

uint32_t tn_export_spatial_attrs(tn_export *x, const tn_export_spatial *s, bool with_pads, tn_foreign_attr *out) {
  int64_t *pads = TN_NEW_N(x->arena, int64_t, 2 * s->n);
  uint32_t n = 0;
  out[n++] = tn_foreign_of_ints("strides", s->stride, s->n);
  out[n++] = tn_foreign_of_ints("dilations", s->dilate, s->n);
  if (s->kernel) out[n++] = tn_foreign_of_ints("kernel_shape", s->kernel, s->n);
  for (uint32_t i = 0; i < s->n && with_pads; i++) {
    pads[i] = tn_dim_value(s->lo[i]);
    pads[s->n + i] = tn_dim_value(s->hi[i]);
  }
  if (with_pads) out[n++] = tn_foreign_of_ints("pads", pads, 2 * s->n);
  return n;
}

const char *tn_export_padded(tn_export *x, const char *a, tn_dtype dtype, uint32_t first, const tn_export_spatial *s,
                             double v) {
  const tn_dim *pads[2 * TN_MAX_NDIM];
  uint32_t n = first + s->n;
  for (uint32_t i = 0; i < n; i++) {
    pads[i] = i < first ? tn_dim_const(x->ctx, 0) : s->lo[i - first];
    pads[n + i] = i < first ? tn_dim_const(x->ctx, 0) : s->hi[i - first];
  }
  const char *list = tn_export_dims(x, pads, 2 * n);
  return list ? tn_export_emit(x, "Pad", 0, TN_NAMES(a, list, tn_export_number(x, dtype, v)), TN_NO_FOREIGN, NULL)
              : NULL;
}

/* A pooling: where its axes come from, and the type it is computed in. */
typedef struct pooling {
  const tn_node *node;
  tn_export_spatial s;
  bool in_place;            /* the windows' axes are the last, behind two others */
  int64_t perm[TN_MAX_NDIM]; /* else: the other axes, then those of the windows */
  tn_dtype dtype;
} pooling;

static bool read_pooling(const tn_node *node, pooling *p) {
  const tn_attr *attrs = node->attrs, *axes = &attrs[TN_SLIDING_AXES];
  const tn_type *type = node->operands[0].value->type;
  uint32_t n = axes->u.list.n, n_other = 0;
  *p = (pooling){.node = node, .in_place = n + 2 == type->ndim, .dtype = type->dtype};
  p->s = (tn_export_spatial){n, attrs[TN_SLIDING_SIZE].u.list.ints, attrs[TN_SLIDING_STRIDE].u.list.ints,
                             attrs[TN_SLIDING_DILATE].u.list.ints, attrs[TN_SLIDING_LO].u.list.dims,
                             attrs[TN_SLIDING_HI].u.list.dims};
  if (n == 0 || n > 3) return false;
  for (uint32_t i = 0; i < type->ndim; i++) {
    bool is_slid = false;
    for (uint32_t k = 0; k < n; k++) is_slid = is_slid || axes->u.list.ints[k] == (int64_t)i;
    if (!is_slid) p->perm[n_other++] = i;
  }
  for (uint32_t k = 0; k < n; k++) {
    p->perm[n_other + k] = axes->u.list.ints[k];
    p->in_place = p->in_place && axes->u.list.ints[k] == (int64_t)k + 2;
  }
  if (!tn_dtype_is_float(p->dtype)) p->dtype = TN_F64;
  return tn_dtype_bits(type->dtype) <= 32 || tn_dtype_is_float(type->dtype);
}

/* [prod of the others, 1, extents..]; type is that before, with its axes in the order of perm. */
static const char *join(tn_export *x, const pooling *p, const char *name, const tn_type *type) {
  const tn_dim *from[TN_MAX_NDIM], *to[TN_MAX_NDIM + 2];
  uint32_t n_other = type->ndim - p->s.n;
  if (p->in_place) return name;
  for (uint32_t i = 0; i < type->ndim; i++) from[i] = type->dims[p->perm[i]];
  to[0] = tn_dim_product(x->ctx, from, n_other);
  to[1] = tn_dim_const(x->ctx, 1);
  for (uint32_t i = 0; i < p->s.n; i++) to[i + 2] = from[n_other + i];
  name = tn_export_transpose(x, name, p->perm, type->ndim, NULL);
  return tn_export_reshape(x, name, tn_type_tensor(x->ctx, type->dtype, type->ndim, from), to, p->s.n + 2, NULL);
}

static const char *part(tn_export *x, const pooling *p, const char *name, const tn_type *type, const char *result) {
  const tn_dim *to[TN_MAX_NDIM];
  int64_t inverse[TN_MAX_NDIM];
  if (p->in_place) return name;
  for (uint32_t i = 0; i < type->ndim; i++) {
    to[i] = type->dims[p->perm[i]];
    inverse[p->perm[i]] = i;
  }
  name = tn_export_reshape(x, name, tn_type_scalar(x->ctx, type->dtype), to, type->ndim, NULL);
  return name ? tn_export_transpose(x, name, inverse, type->ndim, result) : NULL;
}

/* Padding that MaxPool does not take is made before; positions would count it. */
static const char *pool(tn_export *x, const pooling *p, const char *name, bool is_sum, const char *result,
                        bool positions) {
  tn_foreign_attr list[8];
  bool fits = tn_export_pads_fit(&p->s), is_dilated = false;
  for (uint32_t i = 0; i < p->s.n; i++) is_dilated = is_dilated || p->s.dilate[i] != 1;
  if (!fits && positions) return NULL;
  if (!fits && !(name = tn_export_padded(x, name, p->dtype, 2, &p->s, is_sum ? 0 : -INFINITY))) return NULL;
  uint32_t n = tn_export_spatial_attrs(x, &p->s, fits, list);
  if (is_sum && !is_dilated) { /* in the place of dilations, which come with opset 19 */
    for (uint32_t i = 0; i < n; i++)
      if (list[i].ints == p->s.dilate) list[i] = list[--n];
  }
  if (is_sum) list[n++] = tn_foreign_of_int("count_include_pad", 1);
  if (is_sum) return tn_export_emit(x, "AveragePool", is_dilated ? 19 : 0, &name, 1, list, n, result);
  if (!positions) return tn_export_emit(x, "MaxPool", 0, &name, 1, list, n, result);
  const char *outputs[] = {tn_export_fresh(x, "MaxPool"), result ? result : tn_export_fresh(x, "positions")};
  tn_export_emit_many(x, "MaxPool", 0, &name, 1, list, n, outputs, 2);
  return outputs[1];
}

/* ONNX' positions count over the whole tensor, ours over the windows' axes. */
static const char *positions_in_plane(tn_export *x, const pooling *p, const char *name, const tn_type *type) {
  const tn_dim *plane = tn_dim_const(x->ctx, 1);
  for (uint32_t i = 0; i < p->s.n; i++)
    plane = tn_dim_mul(x->ctx, plane, type->dims[p->perm[type->ndim - p->s.n + i]]);
  const char *size = tn_export_extent(x, plane);
  return size ? tn_export_binary(x, "Mod", name, size, NULL) : NULL;
}

bool tn_export_window(tn_export *x, const tn_node *node) {
  const tn_type *type = node->operands[0].value->type, *to = node->results[0]->type;
  const char *op = node->op->attrs[TN_SLIDING_OP].names[node->attrs[TN_SLIDING_OP].u.i];
  bool is_sum = strcmp(op, "sum") == 0, is_min = strcmp(op, "min") == 0, positions = node->op->name[0] == 'a';
  const char *name = tn_export_operand(x, node, 0);
  pooling p;
  if (!read_pooling(node, &p)) return false;
  if (p.dtype != type->dtype) name = tn_export_cast(x, name, p.dtype, NULL);
  if (is_min) name = tn_export_unary(x, "Neg", name, NULL);
  if (!(name = join(x, &p, name, type))) return false;
  if (!(name = pool(x, &p, name, is_sum, NULL, positions))) return false;
  if (positions && !(name = positions_in_plane(x, &p, name, type))) return false;
  if (!(name = part(x, &p, name, to, NULL))) return false;
  if (is_min && !positions) name = tn_export_unary(x, "Neg", name, NULL);
  double count = 1;
  for (uint32_t i = 0; i < p.s.n; i++) count *= (double)p.s.kernel[i];
  if (is_sum) name = tn_export_binary(x, "Mul", name, tn_export_number(x, p.dtype, count), NULL);
  bool is_cast = !positions && p.dtype != type->dtype;
  if (is_cast && is_sum) name = tn_export_unary(x, "Round", name, NULL);
  if (is_cast) tn_export_cast(x, name, type->dtype, tn_export_result(x, node, 0));
  else tn_export_unary(x, "Identity", name, tn_export_result(x, node, 0));
  return true;
}
