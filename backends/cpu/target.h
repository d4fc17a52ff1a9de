/* Inside of the CPU backend: the table of processors. */
#ifndef TN_BACKENDS_CPU_TARGET_H
#define TN_BACKENDS_CPU_TARGET_H

#include "backends/backend.h"

typedef struct tn_cpu_row {
  const char *name;     /* LLVM's */
  const char *features; /* "+avx2,+fma" */
  uint32_t l1_bytes, l2_bytes;
} tn_cpu_row;

/* NULL when tenon does not know the processor. */
const tn_cpu_row *tn_cpu_row_find(bool is_arm, const char *name);
const char *tn_cpu_row_nearest(bool is_arm, const char *name);
bool tn_cpu_has(const char *features, const char *name);
/* Those of `features` that tenon uses, in a fixed order. */
const char *tn_cpu_common_features(tn_ctx *ctx, bool is_arm, const char *features);

#endif
