/* What the export functions of ir/ops share. */
#ifndef TN_IR_OPS_EXPORT_H
#define TN_IR_OPS_EXPORT_H

#include "ir/export.h"
#include "ir/ops/ops.h"

/* export_scalar.c */
bool tn_export_scalar(tn_export *x, const tn_node *node);
/* A broadcast node's operand, with axes of extent 1 such that ONNX's broadcasting does the rest. */
const char *tn_export_aligned(tn_export *x, const tn_node *broadcast);
/* The operands of an elementwise node; broadcasts are left to ONNX where the result has its extents without them. */
void tn_export_broadcast_operands(tn_export *x, const tn_node *node, const char **out);

/* gather.c */
/* The indices from operand `first` on as one i64 tensor [I, k]. */
const char *tn_export_index_list(tn_export *x, const tn_node *node, uint32_t first);
/* The permutation that brings axes in front; true when it moves nothing. */
bool tn_export_axes_first(const tn_attr *axes, uint32_t ndim, int64_t *out_perm);

/* export_window.c */
/* Windows, and the attributes that Conv and ConvTranspose share: strides, dilations, pads; 4 of them. False when pads
 * are no numbers from 0 to limit[i] - 1 (NULL: any). */
typedef struct tn_export_spatial {
  uint32_t n;
  const int64_t *kernel, *stride, *dilate;
  const tn_dim *const *lo, *const *hi;
} tn_export_spatial;
bool tn_export_window(tn_export *x, const tn_node *node);
bool tn_export_pads_fit(const tn_export_spatial *s);
uint32_t tn_export_spatial_attrs(tn_export *x, const tn_export_spatial *s, bool with_pads, tn_foreign_attr *out);
/* a, of rank first + s->n, padded with v on its last axes. */
const char *tn_export_padded(tn_export *x, const char *a, tn_dtype dtype, uint32_t first, const tn_export_spatial *s,
                             double v);

#endif
