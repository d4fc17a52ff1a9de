/* Element types and interned tensor types; see type.h. */
#include "ir/type.h"

#include <string.h>

static const struct {
  const char *name;
  unsigned bits;
  tn_dtype_class class;
} dtypes[] = {
#define X(enumerator, name, bits, class) {name, bits, class},
#include "ir/dtype.def"
#undef X
};

const char *tn_dtype_name(tn_dtype dtype) { return dtypes[dtype].name; }
unsigned tn_dtype_bits(tn_dtype dtype) { return dtypes[dtype].bits; }
size_t tn_dtype_bytes(tn_dtype dtype) { return (dtypes[dtype].bits + 7) / 8; }
tn_dtype_class tn_dtype_class_of(tn_dtype dtype) { return dtypes[dtype].class; }

tn_dtype tn_dtype_find(const char *name) {
  for (unsigned i = 0; i < TN_N_DTYPES; i++)
    if (strcmp(dtypes[i].name, name) == 0) return (tn_dtype)i;
  return TN_N_DTYPES;
}

bool tn_dtype_is_signed(tn_dtype dtype) { return dtypes[dtype].class == TN_CLASS_SIGNED; }
bool tn_dtype_is_integer(tn_dtype dtype) {
  return dtypes[dtype].class == TN_CLASS_SIGNED || dtypes[dtype].class == TN_CLASS_UNSIGNED;
}

int64_t tn_dtype_int_min(tn_dtype dtype) {
  return tn_dtype_is_signed(dtype) ? (int64_t)(UINT64_MAX << (dtypes[dtype].bits - 1)) : 0;
}

uint64_t tn_dtype_int_max(tn_dtype dtype) {
  if (dtype == TN_BOOL) return 1;
  unsigned bits = dtypes[dtype].bits - (tn_dtype_is_signed(dtype) ? 1 : 0);
  return bits == 64 ? UINT64_MAX : ((uint64_t)1 << bits) - 1;
}

tn_dtype tn_dtype_acc(tn_dtype dtype) {
  if (dtype == TN_F64) return TN_F64;
  if (tn_dtype_is_float(dtype)) return TN_F32;
  if (tn_dtype_is_integer(dtype) && dtypes[dtype].bits <= 16) return TN_I32;
  return dtype;
}

static bool same_type(const tn_type *type, tn_dtype dtype, uint32_t ndim, const tn_dim *const *dims) {
  return type->dtype == dtype && type->ndim == ndim && (!ndim || memcmp(type->dims, dims, ndim * sizeof(*dims)) == 0);
}

const tn_type *tn_type_tensor(tn_ctx *ctx, tn_dtype dtype, uint32_t ndim, const tn_dim *const *dims) {
  TN_ASSERT(ndim <= TN_MAX_NDIM && dtype < TN_N_DTYPES);
  uint32_t head[] = {dtype, ndim};
  uint64_t hash = tn_hash_bytes(0, head, sizeof(head));
  for (uint32_t i = 0; i < ndim; i++) hash = tn_hash_bytes(hash, &dims[i]->hash, sizeof(dims[i]->hash));
  const tn_type *first = tn_map_get_u64(&ctx->types, hash);
  for (const tn_type *type = first; type; type = type->next_same_hash)
    if (same_type(type, dtype, ndim, dims)) return type;
  tn_type *made = TN_NEW(ctx->arena, tn_type);
  made->dtype = dtype;
  made->ndim = ndim;
  made->dims = tn_arena_copy(ctx->arena, dims, ndim * sizeof(*dims));
  made->hash = hash;
  made->next_same_hash = first;
  tn_map_set_u64(&ctx->types, hash, made);
  return made;
}

const tn_type *tn_type_scalar(tn_ctx *ctx, tn_dtype dtype) { return tn_type_tensor(ctx, dtype, 0, NULL); }

const tn_type *tn_type_static(tn_ctx *ctx, tn_dtype dtype, uint32_t ndim, const int64_t *extents) {
  const tn_dim *dims[TN_MAX_NDIM];
  TN_ASSERT(ndim <= TN_MAX_NDIM);
  for (uint32_t i = 0; i < ndim; i++) dims[i] = tn_dim_const(ctx, extents[i]);
  return tn_type_tensor(ctx, dtype, ndim, dims);
}

const tn_type *tn_type_with_dtype(tn_ctx *ctx, const tn_type *type, tn_dtype dtype) {
  return tn_type_tensor(ctx, dtype, type->ndim, type->dims);
}

bool tn_type_is_static(const tn_type *type) {
  for (uint32_t i = 0; i < type->ndim; i++)
    if (!tn_dim_is_const(type->dims[i])) return false;
  return true;
}

bool tn_type_same_dims(const tn_type *a, const tn_type *b) {
  return a->ndim == b->ndim && (!a->ndim || memcmp(a->dims, b->dims, a->ndim * sizeof(*a->dims)) == 0);
}

const tn_dim *tn_type_count(tn_ctx *ctx, const tn_type *type) { return tn_dim_product(ctx, type->dims, type->ndim); }

int64_t tn_type_static_count(const tn_type *type) {
  int64_t count = 1;
  if (!tn_type_is_static(type)) return -1;
  for (uint32_t i = 0; i < type->ndim; i++)
    if (!tn_mul_i64(count, tn_dim_value(type->dims[i]), &count)) return -1;
  return count;
}

void tn_type_print(const tn_type *type, tn_buf *out) {
  tn_buf_printf(out, "%s[", tn_dtype_name(type->dtype));
  for (uint32_t i = 0; i < type->ndim; i++) {
    if (i) tn_buf_putc(out, ',');
    tn_dim_print(type->dims[i], out);
  }
  tn_buf_putc(out, ']');
}
