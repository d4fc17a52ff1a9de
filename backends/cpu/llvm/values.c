/* Types, constants and the small building blocks of lowering. */
#include <string.h>

#include "backends/cpu/llvm/lower.h"

LLVMTypeRef tn_lower_vector_type(LLVMTypeRef element, uint32_t lanes) {
  return lanes == 1 ? element : LLVMVectorType(element, lanes);
}

LLVMTypeRef tn_lower_memory_type(const tn_lower *l, tn_dtype dtype) {
  if (dtype == TN_F64) return l->f64;
  if (dtype == TN_F32) return l->f32;
  switch (tn_dtype_bytes(dtype)) {
    case 8: return l->i64;
    case 4: return l->i32;
    case 2: return l->i16;
    default: return l->i8;
  }
}

LLVMTypeRef tn_lower_register_type(const tn_lower *l, tn_dtype dtype, uint32_t lanes) {
  LLVMTypeRef element;
  if (dtype == TN_BOOL) element = l->i1;
  else if (tn_dtype_is_float(dtype)) element = dtype == TN_F64 ? l->f64 : l->f32;
  else element = tn_lower_memory_type(l, dtype);
  return tn_lower_vector_type(element, lanes);
}

static bool is_vector(LLVMValueRef v) {
  return LLVMGetTypeKind(LLVMTypeOf(v)) == LLVMVectorTypeKind;
}

uint32_t tn_lower_lanes(LLVMValueRef v) {
  return is_vector(v) ? LLVMGetVectorSize(LLVMTypeOf(v)) : 1;
}

LLVMTypeRef tn_lower_element(LLVMValueRef v) {
  return is_vector(v) ? LLVMGetElementType(LLVMTypeOf(v)) : LLVMTypeOf(v);
}

LLVMTypeRef tn_lower_like(LLVMValueRef v, LLVMTypeRef element) {
  return tn_lower_vector_type(element, tn_lower_lanes(v));
}

/* A constant vector of equal elements. */
static LLVMValueRef repeat(LLVMValueRef element, uint32_t lanes) {
  LLVMValueRef elements[256];
  if (lanes == 1) return element;
  TN_ASSERT(lanes <= TN_ARRAY_LEN(elements));
  for (uint32_t i = 0; i < lanes; i++) elements[i] = element;
  return LLVMConstVector(elements, lanes);
}

LLVMValueRef tn_lower_splat(tn_lower *l, LLVMValueRef scalar, uint32_t lanes) {
  if (lanes == 1) return scalar;
  if (LLVMIsConstant(scalar)) return repeat(scalar, lanes);
  LLVMTypeRef type = LLVMVectorType(LLVMTypeOf(scalar), lanes);
  LLVMValueRef poison = LLVMGetPoison(type);
  LLVMValueRef first = LLVMBuildInsertElement(l->builder, poison, scalar, LLVMConstInt(l->i64, 0, false), "");
  LLVMValueRef zeros = LLVMConstNull(LLVMVectorType(l->i32, lanes));
  return LLVMBuildShuffleVector(l->builder, first, poison, zeros, "");
}

LLVMValueRef tn_lower_widen(tn_lower *l, LLVMValueRef v, uint32_t lanes) {
  return tn_lower_lanes(v) == lanes ? v : tn_lower_splat(l, v, lanes);
}

LLVMValueRef tn_lower_real(LLVMValueRef like, double value) {
  return repeat(LLVMConstReal(tn_lower_element(like), value), tn_lower_lanes(like));
}

LLVMValueRef tn_lower_whole(LLVMValueRef like, uint64_t value) {
  return repeat(LLVMConstInt(tn_lower_element(like), value, false), tn_lower_lanes(like));
}

LLVMValueRef tn_lower_constant_i64(const tn_lower *l, int64_t value) {
  return LLVMConstInt(l->i64, (uint64_t)value, true);
}

LLVMValueRef tn_lower_number(tn_lower *l, tn_dtype dtype, uint32_t lanes, tn_number number) {
  LLVMTypeRef element = tn_lower_register_type(l, dtype, 1);
  if (tn_dtype_is_float(dtype)) return repeat(LLVMConstReal(element, number.f), lanes);
  if (dtype == TN_BOOL) return repeat(LLVMConstInt(element, number.i != 0, false), lanes);
  return repeat(LLVMConstInt(element, number.u, false), lanes);
}

LLVMValueRef tn_lower_intrinsic_of(tn_lower *l, const char *name, const LLVMTypeRef *types, unsigned n_types,
                                   LLVMValueRef *args, unsigned n_args) {
  LLVMTypeRef overloads[4];
  unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
  TN_ASSERT(id != 0 && n_types <= TN_ARRAY_LEN(overloads));
  for (unsigned i = 0; i < n_types; i++) overloads[i] = types[i];
  LLVMValueRef function = LLVMGetIntrinsicDeclaration(l->module, id, overloads, n_types);
  LLVMTypeRef type = LLVMIntrinsicGetType(l->llvm, id, overloads, n_types);
  return LLVMBuildCall2(l->builder, type, function, args, n_args, "");
}

LLVMValueRef tn_lower_intrinsic(tn_lower *l, const char *name, LLVMValueRef *args, unsigned n_args,
                                unsigned n_overloads) {
  LLVMTypeRef types[4];
  for (unsigned i = 0; i < n_overloads; i++) types[i] = LLVMTypeOf(args[i]);
  return tn_lower_intrinsic_of(l, name, types, n_overloads, args, n_args);
}

LLVMValueRef tn_lower_unary(tn_lower *l, const char *name, LLVMValueRef x) {
  return tn_lower_intrinsic(l, name, &x, 1, 1);
}

LLVMValueRef tn_lower_binary(tn_lower *l, const char *name, LLVMValueRef x, LLVMValueRef y) {
  return tn_lower_intrinsic(l, name, (LLVMValueRef[]){x, y}, 2, 1);
}

LLVMValueRef tn_lower_muladd(tn_lower *l, LLVMValueRef x, LLVMValueRef y, LLVMValueRef z) {
  if (l->target->has_fma) return tn_lower_intrinsic(l, "llvm.fma", (LLVMValueRef[]){x, y, z}, 3, 1);
  return LLVMBuildFAdd(l->builder, LLVMBuildFMul(l->builder, x, y, ""), z, "");
}

LLVMValueRef tn_lower_select(tn_lower *l, LLVMValueRef condition, LLVMValueRef yes, LLVMValueRef no) {
  return LLVMBuildSelect(l->builder, condition, yes, no, "");
}

static LLVMValueRef mask_bits(tn_lower *l, LLVMValueRef mask) {
  return LLVMBuildBitCast(l->builder, mask, LLVMIntTypeInContext(l->llvm, tn_lower_lanes(mask)), "");
}

LLVMValueRef tn_lower_any(tn_lower *l, LLVMValueRef mask) {
  if (!is_vector(mask)) return mask;
  LLVMValueRef bits = mask_bits(l, mask);
  return LLVMBuildICmp(l->builder, LLVMIntNE, bits, LLVMConstNull(LLVMTypeOf(bits)), "");
}

LLVMValueRef tn_lower_all(tn_lower *l, LLVMValueRef mask) {
  if (!is_vector(mask)) return mask;
  LLVMValueRef bits = mask_bits(l, mask);
  return LLVMBuildICmp(l->builder, LLVMIntEQ, bits, LLVMConstAllOnes(LLVMTypeOf(bits)), "");
}

LLVMValueRef tn_lower_iota(const tn_lower *l, LLVMTypeRef element, uint32_t lanes) {
  LLVMValueRef elements[256];
  (void)l;
  TN_ASSERT(lanes <= TN_ARRAY_LEN(elements));
  for (uint32_t i = 0; i < lanes; i++) elements[i] = LLVMConstInt(element, i, false);
  return lanes == 1 ? elements[0] : LLVMConstVector(elements, lanes);
}

LLVMValueRef tn_lower_lanes_of(tn_lower *l, LLVMValueRef v, uint32_t first, uint32_t n) {
  if (!is_vector(v)) return v;
  if (n == 1) return LLVMBuildExtractElement(l->builder, v, LLVMConstInt(l->i64, first, false), "");
  LLVMValueRef mask[256];
  TN_ASSERT(n <= TN_ARRAY_LEN(mask));
  for (uint32_t i = 0; i < n; i++) mask[i] = LLVMConstInt(l->i32, first + i, false);
  return LLVMBuildShuffleVector(l->builder, v, LLVMGetPoison(LLVMTypeOf(v)), LLVMConstVector(mask, n), "");
}

LLVMBasicBlockRef tn_lower_block(tn_lower *l, const char *name) {
  return LLVMAppendBasicBlockInContext(l->llvm, l->function, name);
}
