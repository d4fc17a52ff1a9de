/* The bytes of a model: mapped files and standard input. A source lives as long as the session, because constants of
 * the module point into it. */
#ifndef TN_FRONTEND_ONNX_SOURCE_H
#define TN_FRONTEND_ONNX_SOURCE_H

#include "frontend/onnx/onnx.h"

typedef struct tn_source {
  const char *path; /* NULL: bytes that came from memory or standard input */
  const uint8_t *data;
  size_t bytes;
} tn_source;

/* Opens and maps path ("-": standard input). Anything that is not a regular file is read to its end into anonymous
 * memory. TN_E_FILE. */
bool tn_source_open(tn_ctx *ctx, const char *path, tn_source *out);
/* Maps an open regular file; fd may be closed afterwards. False with errno set. */
bool tn_source_map(tn_ctx *ctx, int fd, const char *path, tn_source *out);

#endif
