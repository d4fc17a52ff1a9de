/* ONNX's window functions: a0 - a1 cos(t) + a2 cos(2t), t running once around over the size (periodic) or over one
 * less. Computed in double. */
#include "ir/ops/compose.h"
#include "ir/ops/onnx.h"

#include <string.h>

static tn_value *cosine(tn_build *b, tn_value *t, double times, double factor) {
  return tn_build_binary_f(b, TN_MUL, tn_build_unary(b, TN_COS, tn_build_binary_f(b, TN_MUL, t, times)), factor);
}

bool tn_import_window_function(tn_foreign_node *node) {
  static const struct {
    const char *name;
    double a0, a1, a2;
  } kinds[] = {{"HannWindow", 0.5, 0.5, 0},
               {"HammingWindow", 25.0 / 46.0, 21.0 / 46.0, 0},
               {"BlackmanWindow", 0.42, 0.5, 0.08}};
  tn_build *b = node->build;
  int64_t periodic, to;
  const tn_dim *size[TN_MAX_INDEX];
  uint32_t n, kind = 0;
  if (!tn_foreign_int(node, "periodic", 1, &periodic) || !tn_foreign_int(node, "output_datatype", 1, &to) ||
      !tn_foreign_dims(node, 0, 0, INT32_MAX, size, &n))
    return false;
  tn_dtype dtype = tn_dtype_of_onnx(to);
  if (n != 1) return tn_foreign_error(node, TN_E_SHAPE, "size: expected one number, found %u", n);
  if (dtype == TN_N_DTYPES || dtype == TN_STR)
    return tn_foreign_error(node, TN_E_ATTR, "output_datatype: %lld", (long long)to);
  while (strcmp(kinds[kind].name, node->op) != 0 && kind + 1 < TN_ARRAY_LEN(kinds)) kind++;
  tn_value *i = tn_build_iota(b, size, 1, 0, TN_F64);
  const tn_dim *around = periodic != 0 ? size[0] : tn_dim_add_i(b->ctx, size[0], -1);
  tn_value *count = tn_compose_repeat(b, tn_compose_dim(b, around, TN_F64), i);
  tn_value *t = tn_build_binary(b, TN_DIV, tn_build_binary_f(b, TN_MUL, i, 6.283185307179586477), count);
  tn_value *y = tn_build_binary_f(b, TN_ADD, cosine(b, t, 1, -kinds[kind].a1), kinds[kind].a0);
  if (kinds[kind].a2 != 0) y = tn_build_binary(b, TN_ADD, y, cosine(b, t, 2, kinds[kind].a2));
  return tn_foreign_set(node, 0, y == NULL ? NULL : tn_build_cast(b, y, dtype));
}
