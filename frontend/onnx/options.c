/* The text of the options that change a model's dims. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/onnx/onnx.h"

/* A number of digits alone, at least 0. */
static bool read_extent(const char *text, size_t length, int64_t *out) {
  int64_t value = 0;
  if (length == 0) return false;
  for (size_t i = 0; i < length; i++) {
    if (text[i] < '0' || text[i] > '9') return false;
    if (!tn_mul_i64(value, 10, &value) || !tn_add_i64(value, text[i] - '0', &value)) return false;
  }
  *out = value;
  return true;
}

static bool read_range(const char *text, int64_t *lo, int64_t *hi) {
  const char *dots = strstr(text, "..");
  if (dots == NULL) {
    if (!read_extent(text, strlen(text), lo)) return false;
    *hi = *lo;
    return true;
  }
  if (!read_extent(text, (size_t)(dots - text), lo)) return false;
  if (dots[2] == '\0') {
    *hi = TN_DIM_INF;
    return true;
  }
  return read_extent(dots + 2, strlen(dots + 2), hi) && *lo <= *hi;
}

bool tn_onnx_parse_dim(tn_ctx *ctx, const char *text, tn_onnx_dim *out) {
  const char *equals = strrchr(text, '=');
  if (equals == NULL || equals == text || !read_range(equals + 1, &out->lo, &out->hi))
    return tn_error(ctx, TN_LOC_NONE, TN_E_OPTION, "--dim expects NAME=N, NAME=LO..HI or NAME=LO.., found '%s'", text);
  out->name = tn_intern(ctx->strings, text, (size_t)(equals - text));
  return true;
}

/* A dim of a shape: digits, a name, or "?". */
static bool shape_dim_ok(const char *text) {
  int64_t extent;
  if (text[0] == '\0') return false;
  if (text[0] == '-' || (text[0] >= '0' && text[0] <= '9')) return read_extent(text, strlen(text), &extent);
  return true;
}

bool tn_onnx_parse_shape(tn_ctx *ctx, const char *text, tn_onnx_shape *out) {
  const char *colon = strrchr(text, ':');
  const char **dims = TN_NEW_N(ctx->arena, const char *, TN_MAX_NDIM);
  bool ok = colon != NULL && colon != text;
  *out = (tn_onnx_shape){.dims = dims};
  for (const char *at = ok ? colon + 1 : ""; ok && *at != '\0';) {
    size_t length = strcspn(at, ",");
    ok = out->ndim < TN_MAX_NDIM && (at[length] != ',' || at[length + 1] != '\0');
    if (!ok) break;
    dims[out->ndim] = tn_intern(ctx->strings, at, length);
    ok = shape_dim_ok(dims[out->ndim++]);
    at += length + (at[length] == ',');
  }
  if (!ok)
    return tn_error(ctx, TN_LOC_NONE, TN_E_OPTION,
                    "--input-shape expects NAME:D,D,... with at most %d numbers, names or '?', found '%s'",
                    TN_MAX_NDIM, text);
  out->input = tn_intern(ctx->strings, text, (size_t)(colon - text));
  return true;
}
