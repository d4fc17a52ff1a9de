/* The ways in: a file, bytes, a file as part of another graph. */
#include <string.h>

#include "frontend/onnx/import.h"

tn_module *tn_onnx_load(tn_ctx *ctx, const char *path, const tn_onnx_options *options) {
  tn_source *source = TN_NEW(ctx->arena, tn_source);
  bool is_stdin = strcmp(path, "-") == 0;
  path = tn_name(ctx, path);
  if (!tn_source_open(ctx, path, source)) return NULL;
  if (options != NULL && options->files != NULL && !is_stdin) TN_VEC_PUSH(ctx->arena, options->files, path);
  return tn_import_model(ctx, source, is_stdin ? "<stdin>" : path, options);
}

tn_module *tn_onnx_load_bytes(tn_ctx *ctx, const char *name, const void *data, size_t bytes,
                              const tn_onnx_options *options) {
  tn_source *source = TN_NEW(ctx->arena, tn_source);
  *source = (tn_source){.data = data, .bytes = bytes};
  return tn_import_model(ctx, source, name, options);
}

bool tn_onnx_insert(tn_ctx *ctx, const char *path, const tn_onnx_options *options, tn_onnx_part *part) {
  tn_source *source = TN_NEW(ctx->arena, tn_source);
  path = tn_name(ctx, path);
  if (!tn_source_open(ctx, path, source)) return false;
  if (options != NULL && options->files != NULL) TN_VEC_PUSH(ctx->arena, options->files, path);
  return tn_import_part(ctx, source, path, options, part);
}
