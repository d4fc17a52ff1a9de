/* What the processor offers. */
#ifndef TNRT_CORE_CPU_H
#define TNRT_CORE_CPU_H

#include <stdbool.h>

#include "runtime/abi.h"

/* needs: comma-separated features by LLVM's names, or NULL. False: *out_missing points at the first one that is missing
 * (a name this file does not know counts as missing), *out_missing_bytes long. */
bool tnrt_cpu_offers(const char *needs, const char **out_missing, size_t *out_missing_bytes);

#endif
