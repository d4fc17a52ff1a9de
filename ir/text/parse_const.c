/* Reads constants: elements in the text, bytes in hexadecimal, bytes of another file, and recipes. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ir/eval.h"
#include "ir/text/parse.h"

/* Elements. */

static bool parse_nan_bits(tn_parser *p, tn_dtype dtype, unsigned char *out) {
  const tn_token *start = tn_parse_peek(p);
  size_t bytes = tn_dtype_bytes(dtype);
  uint64_t bits, max = bytes < 8 ? ((uint64_t)1 << (8 * bytes)) - 1 : UINT64_MAX;
  if (!tn_parse_need_char(p, '(') || !tn_parse_uint(p, max, &bits) || !tn_parse_need_char(p, ')')) return false;
  for (size_t i = 0; i < bytes; i++) out[i] = (unsigned char)(bits >> (8 * i));
  return isnan(tn_number_load(dtype, out).f) || tn_parse_fail(p, start, "bits that are no NaN");
}

static bool parse_float(tn_parser *p, tn_dtype dtype, unsigned char *out) {
  const tn_token *start = tn_parse_peek(p);
  if (tn_token_is(start, "nan") && tn_parse_peek_at(p, 1)->kind == TN_TOKEN_CHAR &&
      tn_parse_peek_at(p, 1)->text[0] == '(') {
    tn_parse_next(p);
    return parse_nan_bits(p, dtype, out);
  }
  tn_number v;
  if (!tn_parse_double(p, &v.f)) return false;
  tn_number_store(dtype, tn_number_cast(TN_F64, dtype, v), out);
  double stored = tn_number_load(dtype, out).f;
  if (isnan(v.f) && isnan(stored)) return true;
  return isinf(stored) <= isinf(v.f) || tn_parse_fail(p, start, "a number above the range of %s", tn_dtype_name(dtype));
}

static bool parse_integer(tn_parser *p, tn_dtype dtype, unsigned char *out) {
  const tn_token *start = tn_parse_peek(p);
  tn_number v;
  bool fits;
  if (tn_dtype_is_signed(dtype)) {
    if (!tn_parse_int(p, &v.i)) return false;
    fits = v.i >= tn_dtype_int_min(dtype) && v.i <= (int64_t)tn_dtype_int_max(dtype);
  } else {
    if (!tn_parse_uint(p, UINT64_MAX, &v.u)) return false;
    fits = v.u <= tn_dtype_int_max(dtype);
  }
  if (!fits) return tn_parse_fail(p, start, "a number outside the range of %s", tn_dtype_name(dtype));
  tn_number_store(dtype, v, out);
  return true;
}

bool tn_parse_element(tn_parser *p, tn_dtype dtype, unsigned char *out) {
  if (dtype == TN_STR) {
    const char *text;
    if (!tn_parse_named(p, TN_TOKEN_STRING, "a string", &text)) return false;
    memcpy(out, &text, sizeof(text));
    return true;
  }
  if (dtype == TN_BOOL) {
    bool truth = tn_parse_take_name(p, "true");
    if (!truth && !tn_parse_take_name(p, "false")) return tn_parse_expected(p, "true or false");
    tn_number_store(dtype, (tn_number){.i = truth}, out);
    return true;
  }
  return tn_dtype_is_float(dtype) ? parse_float(p, dtype, out) : parse_integer(p, dtype, out);
}

/* The right-hand sides. */

static bool within_memory(tn_parser *p, const tn_token *start, uint64_t bytes) {
  uint64_t limit = p->ctx->memory_limit;
  if (limit == 0 || bytes <= limit) return true;
  return tn_error(p->ctx, tn_parse_loc_of(p, start), TN_E_LIMIT, "a constant of %llu bytes; the limit is %llu",
                  (unsigned long long)bytes, (unsigned long long)limit);
}

static tn_const *parse_dense(tn_parser *p, const char *name, const tn_type *type) {
  const tn_token *start = tn_parse_peek(p);
  size_t n = (size_t)tn_type_static_count(type), size = tn_dtype_bytes(type->dtype);
  /* Each element takes a token, so a count beyond the tokens left is wrong before memory is asked for. */
  if (n > p->tokens.n) {
    tn_parse_fail(p, start, "expected %zu elements", n);
    return NULL;
  }
  unsigned char *data = tn_arena_alloc_n(p->module->arena, n, size);
  if (!tn_parse_need_char(p, '[')) return NULL;
  for (size_t i = 0; i < n; i++) {
    if (i > 0 && !tn_parse_need_char(p, ',')) return NULL;
    if (!tn_parse_element(p, type->dtype, data + i * size)) return NULL;
  }
  return tn_parse_need_char(p, ']') ? tn_const_data(p->module, name, type, data) : NULL;
}

static tn_const *parse_splat(tn_parser *p, const char *name, const tn_type *type) {
  unsigned char element[8] = {0};
  return tn_parse_element(p, type->dtype, element) ? tn_const_splat(p->module, name, type, element) : NULL;
}

/* Below 8 bits not every byte is an element. */
static bool elements_are_canonical(const tn_type *type, const unsigned char *data, size_t bytes) {
  if (tn_dtype_bits(type->dtype) >= 8 && type->dtype != TN_BOOL) return true;
  for (size_t i = 0; i < bytes; i++) {
    unsigned char again = 0;
    tn_number_store(type->dtype, tn_number_load(type->dtype, data + i), &again);
    if (again != data[i]) return false;
  }
  return true;
}

static int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static tn_const *parse_bytes(tn_parser *p, const char *name, const tn_type *type) {
  const tn_token *token = tn_parse_peek(p);
  size_t bytes = (size_t)tn_type_static_count(type) * tn_dtype_bytes(type->dtype);
  if (token->kind != TN_TOKEN_STRING || token->length % 2 != 0 || token->length / 2 != bytes || type->dtype == TN_STR) {
    tn_parse_fail(p, token, "expected %zu bytes in hexadecimal", bytes);
    return NULL;
  }
  unsigned char *data = tn_arena_alloc(p->module->arena, bytes);
  for (size_t i = 0; i < bytes; i++) {
    int high = hex_value(token->text[2 * i]), low = hex_value(token->text[2 * i + 1]);
    if (high < 0 || low < 0) {
      tn_parse_fail(p, token, "a byte that is no hexadecimal digit (0-9 a-f)");
      return NULL;
    }
    data[i] = (unsigned char)(high * 16 + low);
  }
  tn_parse_next(p);
  if (!elements_are_canonical(type, data, bytes)) {
    tn_parse_fail(p, token, "a byte that is no element of %s", tn_dtype_name(type->dtype));
    return NULL;
  }
  return tn_const_data(p->module, name, type, data);
}

/* The path of a blob: relative to the folder of the text that names it. */
static const char *blob_path(tn_parser *p, const char *file) {
  const char *slash = strrchr(p->file, '/');
  if (file[0] == '/' || !slash) return file;
  return tn_arena_printf(p->scratch, "%.*s/%s", (int)(slash - p->file), p->file, file);
}

/* Reads bytes at offset of a regular file; NULL when there are not so many. */
static unsigned char *read_range(tn_arena *arena, const char *path, uint64_t offset, size_t bytes) {
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return NULL;
  struct stat status;
  unsigned char *data = NULL;
  errno = EINVAL;
  if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && offset <= (uint64_t)status.st_size &&
      bytes <= (uint64_t)status.st_size - offset) {
    data = tn_arena_alloc(arena, bytes);
    for (size_t done = 0; done < bytes && data;) {
      ssize_t n = pread(fd, data + done, bytes - done, (off_t)(offset + done));
      if (n > 0) done += (size_t)n;
      else if (n == 0 || errno != EINTR) data = NULL;
    }
  }
  int reason = errno;
  close(fd);
  errno = reason;
  return data;
}

static tn_const *parse_blob(tn_parser *p, const char *name, const tn_type *type) {
  const tn_token *start = tn_parse_peek(p);
  size_t bytes = (size_t)tn_type_static_count(type) * tn_dtype_bytes(type->dtype);
  const char *file;
  uint64_t offset;
  if (!tn_parse_named(p, TN_TOKEN_STRING, "a file", &file) || !tn_parse_need_char(p, '+') ||
      !tn_parse_uint(p, INT64_MAX, &offset) || !within_memory(p, start, bytes))
    return NULL;
  const char *path = blob_path(p, file);
  unsigned char *data = type->dtype == TN_STR ? NULL : read_range(p->module->arena, path, offset, bytes);
  if (!data || !elements_are_canonical(type, data, bytes)) {
    tn_error(p->ctx, tn_parse_loc_of(p, start), TN_E_FILE, "cannot read %zu bytes at %llu of '%s': %s", bytes,
             (unsigned long long)offset, path, data ? "not elements of its type" : strerror(errno));
    return NULL;
  }
  tn_const *constant = tn_const_data(p->module, name, type, data);
  constant->file = file;
  constant->file_offset = offset;
  return constant;
}

static bool parse_perm(tn_parser *p, tn_const *constant) {
  const tn_token *start = tn_parse_peek(p);
  const int64_t *ints;
  uint32_t n, seen = 0, ndim = constant->type->ndim;
  if (!tn_parse_int_list(p, &ints, &n)) return false;
  bool ok = n == ndim && constant->base->type->ndim == ndim;
  for (uint32_t i = 0; i < n && ok; i++) {
    ok = ints[i] >= 0 && ints[i] < ndim && constant->base->type->dims[ints[i]] == constant->type->dims[i];
    if (!ok) break;
    constant->perm[i] = (uint8_t)ints[i];
    seen |= (uint32_t)1 << ints[i];
  }
  return (ok && seen + 1 == (uint32_t)1 << ndim) ||
         tn_parse_fail(p, start, "the permutation does not lead from the base's type to this one");
}

static tn_const *parse_recipe(tn_parser *p, const char *name, const tn_type *type, int recipe) {
  const tn_token *start = tn_parse_peek(p);
  const char *base_name;
  if (!tn_parse_named(p, TN_TOKEN_GLOBAL, "a constant", &base_name)) return NULL;
  tn_const *base = tn_map_get(&p->module->const_names, base_name);
  bool same_dtype = base && base->type->dtype == type->dtype;
  bool same_count = base && tn_type_static_count(base->type) == tn_type_static_count(type);
  bool fits = recipe == TN_RECIPE_CAST ? base && base->type == tn_type_with_dtype(p->ctx, type, base->type->dtype) &&
                                             base->type->dtype != TN_STR && type->dtype != TN_STR
                                       : same_dtype && same_count;
  if (!fits) {
    tn_parse_fail(p, start, base ? "constant '%s' has another type" : "there is no constant '%s'", base_name);
    return NULL;
  }
  tn_const *constant = tn_const_data(p->module, name, type, NULL);
  constant->kind = TN_CONST_RECIPE;
  constant->base = base;
  constant->recipe = recipe;
  return recipe != TN_RECIPE_TRANSPOSE || parse_perm(p, constant) ? constant : NULL;
}

/* scale @base by @factors axis n */
static tn_const *parse_scale(tn_parser *p, const char *name, const tn_type *type) {
  const tn_token *start = tn_parse_peek(p);
  const char *base_name, *factors_name;
  int64_t axis;
  if (!tn_parse_named(p, TN_TOKEN_GLOBAL, "a constant", &base_name) || !tn_parse_need_name(p, "by") ||
      !tn_parse_named(p, TN_TOKEN_GLOBAL, "a constant", &factors_name) || !tn_parse_need_name(p, "axis") ||
      !tn_parse_int(p, &axis))
    return NULL;
  tn_const *base = tn_map_get(&p->module->const_names, base_name);
  tn_const *factors = tn_map_get(&p->module->const_names, factors_name);
  bool fits = base && factors && base->type == type && factors->type->dtype == type->dtype &&
              (type->dtype == TN_F32 || type->dtype == TN_F64) && axis >= 0 && axis < (int64_t)type->ndim &&
              factors->kind != TN_CONST_RECIPE;
  int64_t n = fits ? tn_type_static_count(factors->type) : 0;
  if (!fits || (n != 1 && n != tn_dim_value(type->dims[axis]))) {
    tn_parse_fail(p, start, "the base and the factors do not fit this constant");
    return NULL;
  }
  tn_const *constant = tn_const_data(p->module, name, type, NULL);
  constant->kind = TN_CONST_RECIPE;
  constant->base = base;
  constant->recipe = TN_RECIPE_SCALE;
  constant->factors = factors;
  constant->axis = (uint32_t)axis;
  return constant;
}

static tn_const *parse_right_side(tn_parser *p, const char *name, const tn_type *type) {
  if (tn_parse_take_name(p, "dense")) return parse_dense(p, name, type);
  if (tn_parse_take_name(p, "splat")) return parse_splat(p, name, type);
  if (tn_parse_take_name(p, "bytes")) return parse_bytes(p, name, type);
  if (tn_parse_take_name(p, "blob")) return parse_blob(p, name, type);
  if (tn_parse_take_name(p, "transpose")) return parse_recipe(p, name, type, TN_RECIPE_TRANSPOSE);
  if (tn_parse_take_name(p, "reshape")) return parse_recipe(p, name, type, TN_RECIPE_RESHAPE);
  if (tn_parse_take_name(p, "cast")) return parse_recipe(p, name, type, TN_RECIPE_CAST);
  if (tn_parse_take_name(p, "scale")) return parse_scale(p, name, type);
  tn_parse_expected(p, "'dense', 'splat', 'bytes', 'blob', 'transpose', 'reshape', 'cast' or 'scale'");
  return NULL;
}

bool tn_parse_const(tn_parser *p, const tn_token *start) {
  const tn_token *at = tn_parse_peek(p);
  const char *name;
  const tn_type *type;
  if (!tn_parse_named(p, TN_TOKEN_GLOBAL, "a constant's name", &name)) return false;
  if (tn_map_has(&p->module->const_names, name)) return tn_parse_fail(p, at, "constant '%s' is defined twice", name);
  if (!tn_parse_need_char(p, ':') || !tn_parse_type(p, &type)) return false;
  if (!tn_type_is_static(type)) return tn_parse_fail(p, at, "constant '%s' has no static type", name);
  if (!tn_parse_need_char(p, '=')) return false;
  tn_const *constant = parse_right_side(p, name, type);
  return constant && tn_parse_loc_ref(p, start, &constant->loc);
}
