/* Element types in CUDA C, from ir/dtype.def. Short floats are computed in float, as on every backend. */
#include <math.h>
#include <string.h>

#include "backends/cuda/cuda.h"

#define U64 "unsigned long long"
#define NOT_COMPUTED {0}
#define TYPE_TN_F64 {"double", "double", "", "", "", "", "f64"}
#define TYPE_TN_F32 {"float", "float", "", "", "", "", "f32"}
#define TYPE_TN_F16 {"float", "unsigned short", "", "", "tn_from_f16", "tn_to_f16", "f32"}
#define TYPE_TN_BF16 {"float", "unsigned short", "", "", "tn_from_bf16", "tn_to_bf16", "f32"}
#define TYPE_TN_F8E4M3 NOT_COMPUTED
#define TYPE_TN_F8E5M2 NOT_COMPUTED
#define TYPE_TN_F8E4M3UZ NOT_COMPUTED
#define TYPE_TN_F8E5M2UZ NOT_COMPUTED
#define TYPE_TN_F8E8M0 NOT_COMPUTED
#define TYPE_TN_F4E2M1 NOT_COMPUTED
#define TYPE_TN_I64 {"long long", "long long", U64, U64, "", "", "i64"}
#define TYPE_TN_I32 {"int", "int", "unsigned int", "unsigned int", "", "", "i32"}
#define TYPE_TN_I16 {"short", "short", "unsigned int", "unsigned short", "", "", "i16"}
#define TYPE_TN_I8 {"signed char", "signed char", "unsigned int", "unsigned char", "", "", "i8"}
#define TYPE_TN_I4 NOT_COMPUTED
#define TYPE_TN_I2 NOT_COMPUTED
#define TYPE_TN_U64 {U64, U64, U64, U64, "", "", "u64"}
#define TYPE_TN_U32 {"unsigned int", "unsigned int", "unsigned int", "unsigned int", "", "", "u32"}
#define TYPE_TN_U16 {"unsigned short", "unsigned short", "unsigned int", "unsigned short", "", "", "u16"}
#define TYPE_TN_U8 {"unsigned char", "unsigned char", "unsigned int", "unsigned char", "", "", "u8"}
#define TYPE_TN_U4 NOT_COMPUTED
#define TYPE_TN_U2 NOT_COMPUTED
#define TYPE_TN_BOOL {"bool", "unsigned char", "unsigned int", "unsigned char", "tn_from_bool", "tn_to_bool", "bool"}
#define TYPE_TN_STR NOT_COMPUTED

static const tn_cuda_type types[TN_N_DTYPES] = {
#define X(enumerator, name, bits, class) [enumerator] = TYPE_##enumerator,
#include "ir/dtype.def"
#undef X
};

const tn_cuda_type *tn_cuda_type_of(tn_dtype dtype) { return &types[dtype]; }

tn_dtype tn_cuda_compute_type(tn_dtype dtype) { return dtype == TN_F16 || dtype == TN_BF16 ? TN_F32 : dtype; }

static const char *float_number(tn_arena *arena, tn_dtype dtype, double v) {
  if (dtype == TN_F64) {
    uint64_t bits;
    memcpy(&bits, &v, sizeof(bits));
    return isfinite(v) ? tn_arena_printf(arena, "(%a)", v)
                       : tn_arena_printf(arena, "tn_f64_of(0x%llxull)", (unsigned long long)bits);
  }
  float f = (float)v;
  uint32_t bits;
  memcpy(&bits, &f, sizeof(bits));
  return isfinite(f) ? tn_arena_printf(arena, "(%af)", (double)f) : tn_arena_printf(arena, "tn_f32_of(0x%xu)", bits);
}

/* The least value of a signed type has no literal: the literal would be the greatest plus one, negated. */
static const char *signed_number(tn_arena *arena, tn_dtype dtype, int64_t v) {
  const char *tail = dtype == TN_I64 ? "ll" : "";
  if (v >= 0) return tn_arena_printf(arena, "%lld%s", (long long)v, tail);
  return tn_arena_printf(arena, "(%lld%s - 1)", (long long)(v + 1), tail);
}

const char *tn_cuda_number(tn_arena *arena, tn_dtype dtype, tn_number v) {
  if (tn_dtype_is_float(dtype)) return float_number(arena, dtype, v.f);
  if (dtype == TN_BOOL) return v.u != 0 ? "true" : "false";
  if (tn_dtype_is_signed(dtype)) return signed_number(arena, dtype, v.i);
  return tn_arena_printf(arena, "%llu%s", (unsigned long long)v.u, dtype == TN_U64 ? "ull" : "u");
}
