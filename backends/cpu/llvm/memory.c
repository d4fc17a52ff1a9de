/* Loads, stores, gathers. An address is argument + (offset + displacement) elements; the constant part is a GEP of its
 * own so that it becomes the instruction's displacement. */
#include "backends/cpu/llvm/lower.h"

static LLVMValueRef address(tn_lower *l, uint32_t arg, tn_dtype dtype, LLVMValueRef offset, int64_t displacement) {
  LLVMBuilderRef b = l->builder;
  bool is_scratch = arg == TN_TILE_SCRATCH;
  LLVMValueRef base = is_scratch ? l->scratch : l->args[arg];
  int64_t element_bytes = is_scratch ? (int64_t)sizeof(float) : (int64_t)tn_dtype_bytes(dtype);
  LLVMTypeRef unit = LLVMIntTypeInContext(l->llvm, (unsigned)(8 * element_bytes));
  if (!LLVMIsConstant(offset) || !LLVMIsNull(offset)) base = LLVMBuildGEP2(b, unit, base, &offset, 1, "");
  if (displacement == 0) return base;
  LLVMValueRef constant = tn_lower_constant_i64(l, displacement * element_bytes);
  return LLVMBuildGEP2(b, l->i8, base, &constant, 1, "");
}

static unsigned alignment(uint32_t align_bytes, tn_dtype dtype) {
  return align_bytes != 0 ? align_bytes : (unsigned)tn_dtype_bytes(dtype);
}

static LLVMValueRef plain_load(tn_lower *l, LLVMTypeRef type, LLVMValueRef at, unsigned align) {
  LLVMValueRef load = LLVMBuildLoad2(l->builder, type, at, "");
  LLVMSetAlignment(load, align);
  return load;
}

static LLVMValueRef masked_load(tn_lower *l, LLVMTypeRef type, LLVMValueRef at, unsigned align, LLVMValueRef mask) {
  LLVMValueRef args[4] = {at, LLVMConstInt(l->i32, align, false), mask, LLVMConstNull(type)};
  return tn_lower_intrinsic_of(l, "llvm.masked.load", (LLVMTypeRef[]){type, l->ptr}, 2, args, 4);
}

static LLVMValueRef lane_mask(tn_lower *l, const tn_tile_value *mask, uint32_t lanes) {
  if (mask == NULL) return LLVMConstAllOnes(LLVMVectorType(l->i1, lanes));
  return tn_lower_widen(l, tn_lower_value(l, mask), lanes);
}

/* Where v was computed: right after it, in the block it stands in. */
static void go_to_definition(tn_lower *l, LLVMValueRef v) {
  LLVMValueRef next = LLVMGetNextInstruction(v);
  if (next != NULL) LLVMPositionBuilderBefore(l->builder, next);
  else LLVMPositionBuilderAtEnd(l->builder, LLVMGetInstructionParent(v));
}

/* The mask as sign bits of whole lanes, made where the mask is. LLVM would repeat a mask's comparisons before each load
 * that uses it; a value that passed through an (empty) asm statement it keeps in a register. */
static LLVMValueRef wide_mask(tn_lower *l, const tn_tile_value *mask, LLVMValueRef bits) {
  if (l->wide_masks[mask->id] != NULL) return l->wide_masks[mask->id];
  LLVMTypeRef type = tn_lower_like(bits, l->i32);
  LLVMBasicBlockRef here = LLVMGetInsertBlock(l->builder);
  LLVMMetadataRef line = LLVMGetCurrentDebugLocation2(l->builder);
  go_to_definition(l, bits);
  LLVMValueRef wide = LLVMBuildSExt(l->builder, bits, type, "");
  LLVMTypeRef same = LLVMFunctionType(type, &type, 1, false);
  LLVMValueRef keep = LLVMGetInlineAsm(same, "", 0, "=x,0", 4, false, false, LLVMInlineAsmDialectATT, false);
  wide = LLVMBuildCall2(l->builder, same, keep, &wide, 1, "");
  LLVMPositionBuilderAtEnd(l->builder, here);
  LLVMSetCurrentDebugLocation2(l->builder, line);
  l->wide_masks[mask->id] = wide;
  return wide;
}

/* A masked load by a mask of the tile. AVX2 takes masks in vector registers. */
static LLVMValueRef load_where(tn_lower *l, LLVMTypeRef type, LLVMValueRef at, unsigned align,
                               const tn_tile_value *mask, uint32_t lanes) {
  LLVMValueRef bits = lane_mask(l, mask, lanes);
  bool is_wide = l->has_wide_masks && l->sanitize == NULL && LLVMGetElementType(type) == l->f32 && lanes == 8 &&
                 mask->lanes == lanes && LLVMIsAInstruction(bits);
  if (!is_wide) return masked_load(l, type, at, align, bits);
  LLVMValueRef args[2] = {at, wide_mask(l, mask, bits)};
  return tn_lower_intrinsic_of(l, "llvm.x86.avx.maskload.ps.256", NULL, 0, args, 2);
}

/* Pointers of the lanes at `base` + indices * unit. */
static LLVMValueRef lane_pointers(tn_lower *l, LLVMValueRef base, LLVMTypeRef unit, LLVMValueRef indices) {
  return LLVMBuildGEP2(l->builder, unit, base, &indices, 1, "");
}

static LLVMValueRef gather_lanes(tn_lower *l, LLVMTypeRef element, LLVMValueRef base, LLVMTypeRef unit,
                                 LLVMValueRef indices, unsigned align, LLVMValueRef mask) {
  LLVMTypeRef type = tn_lower_like(indices, element);
  LLVMValueRef pointers = lane_pointers(l, base, unit, indices);
  LLVMValueRef args[4] = {pointers, LLVMConstInt(l->i32, align, false), mask, LLVMConstNull(type)};
  return tn_lower_intrinsic_of(l, "llvm.masked.gather", (LLVMTypeRef[]){type, LLVMTypeOf(pointers)}, 2, args, 4);
}

/* A scalar load that happens only when the mask is set, else 0. */
static LLVMValueRef guarded_load(tn_lower *l, LLVMTypeRef type, LLVMValueRef at, unsigned align, LLVMValueRef mask) {
  LLVMTypeRef vector = LLVMVectorType(type, 1);
  LLVMValueRef one = LLVMBuildInsertElement(l->builder, LLVMGetPoison(LLVMVectorType(l->i1, 1)), mask,
                                            LLVMConstInt(l->i64, 0, false), "");
  LLVMValueRef v = masked_load(l, vector, at, align, one);
  return LLVMBuildExtractElement(l->builder, v, LLVMConstInt(l->i64, 0, false), "");
}

/* Every second element: two whole loads that end at the last element wanted, then a shuffle. */
static LLVMValueRef load_stride_two(tn_lower *l, LLVMTypeRef element, uint32_t lanes, LLVMValueRef at, unsigned align,
                                    uint64_t element_bytes) {
  LLVMTypeRef type = LLVMVectorType(element, lanes);
  LLVMValueRef shift = LLVMConstInt(l->i64, (lanes - 1) * element_bytes, false);
  LLVMValueRef low = plain_load(l, type, at, align);
  LLVMValueRef high = plain_load(l, type, LLVMBuildGEP2(l->builder, l->i8, at, &shift, 1, ""), align);
  LLVMValueRef mask[256];
  TN_ASSERT(lanes <= TN_ARRAY_LEN(mask));
  for (uint32_t i = 0; i < lanes; i++) {
    uint32_t from = 2 * i < lanes ? 2 * i : lanes + 2 * i - (lanes - 1);
    mask[i] = LLVMConstInt(l->i32, from, false);
  }
  return LLVMBuildShuffleVector(l->builder, low, high, LLVMConstVector(mask, lanes), "");
}

static LLVMValueRef load_strided(tn_lower *l, const tn_tile_value *v, LLVMValueRef at, LLVMTypeRef element) {
  LLVMValueRef stride = tn_lower_value(l, v->in[1]);
  const tn_tile_value *mask = v->n_in > 2 ? v->in[2] : NULL;
  uint64_t unit = v->arg == TN_TILE_SCRATCH ? sizeof(float) : tn_dtype_bytes(v->type);
  unsigned align = (unsigned)tn_dtype_bytes(v->type);
  bool is_dense = unit == tn_dtype_bytes(v->type);
  if (mask == NULL && LLVMIsAConstantInt(stride) && is_dense) {
    LLVMTypeRef type = LLVMVectorType(element, v->lanes);
    if (LLVMConstIntGetSExtValue(stride) == 1) return plain_load(l, type, at, align);
    if (LLVMConstIntGetSExtValue(stride) == 2) return load_stride_two(l, element, v->lanes, at, align, unit);
  }
  LLVMValueRef iota = tn_lower_iota(l, l->i64, v->lanes);
  LLVMValueRef indices = LLVMBuildMul(l->builder, iota, tn_lower_splat(l, stride, v->lanes), "");
  LLVMTypeRef unit_type = LLVMIntTypeInContext(l->llvm, (unsigned)(8 * unit));
  return gather_lanes(l, element, at, unit_type, indices, align, lane_mask(l, mask, v->lanes));
}

LLVMValueRef tn_lower_load(tn_lower *l, const tn_tile_value *v) {
  LLVMTypeRef element = tn_lower_memory_type(l, v->type);
  LLVMValueRef at = address(l, v->arg, v->type, tn_lower_value(l, v->in[0]), v->displacement);
  const tn_tile_value *mask = v->op != TN_T_LOAD_STRIDED && v->n_in > 1 ? v->in[1] : NULL;
  LLVMValueRef raw;
  if (v->op == TN_T_LOAD_SPLAT || v->lanes == 1) {
    unsigned align = alignment(v->op == TN_T_LOAD_SPLAT ? 0 : v->align_bytes, v->type);
    raw = mask == NULL ? plain_load(l, element, at, align)
                       : guarded_load(l, element, at, align, tn_lower_value(l, mask));
    return tn_lower_splat(l, tn_lower_decode(l, v->type, raw), v->lanes);
  }
  LLVMTypeRef type = LLVMVectorType(element, v->lanes);
  unsigned align = alignment(v->align_bytes, v->type);
  if (v->op == TN_T_LOAD_STRIDED) raw = load_strided(l, v, at, element);
  else if (mask != NULL) raw = load_where(l, type, at, align, mask, v->lanes);
  else raw = plain_load(l, type, at, align);
  return tn_lower_decode(l, v->type, raw);
}

LLVMValueRef tn_lower_gather(tn_lower *l, const tn_tile_value *v) {
  LLVMTypeRef element = tn_lower_memory_type(l, v->type);
  LLVMValueRef base = address(l, v->arg, v->type, tn_lower_value(l, v->in[0]), v->displacement);
  LLVMValueRef indices = tn_lower_value(l, v->in[1]);
  const tn_tile_value *mask = v->n_in > 2 ? v->in[2] : NULL;
  uint64_t unit = v->arg == TN_TILE_SCRATCH ? sizeof(float) : tn_dtype_bytes(v->type);
  LLVMTypeRef unit_type = LLVMIntTypeInContext(l->llvm, (unsigned)(8 * unit));
  unsigned align = (unsigned)tn_dtype_bytes(v->type);
  if (v->lanes == 1) {
    LLVMValueRef at = LLVMBuildGEP2(l->builder, unit_type, base, &indices, 1, "");
    LLVMValueRef raw = mask == NULL ? plain_load(l, element, at, align)
                                    : guarded_load(l, element, at, align, tn_lower_value(l, mask));
    return tn_lower_decode(l, v->type, raw);
  }
  indices = tn_lower_widen(l, indices, v->lanes);
  LLVMValueRef raw = gather_lanes(l, element, base, unit_type, indices, align, lane_mask(l, mask, v->lanes));
  return tn_lower_decode(l, v->type, raw);
}

/* Stores of one lane under a mask go through the vector form, which branches. */
static LLVMValueRef as_vector(tn_lower *l, LLVMValueRef v) {
  if (LLVMGetTypeKind(LLVMTypeOf(v)) == LLVMVectorTypeKind) return v;
  LLVMTypeRef type = LLVMVectorType(LLVMTypeOf(v), 1);
  return LLVMBuildInsertElement(l->builder, LLVMGetPoison(type), v, LLVMConstInt(l->i64, 0, false), "");
}

static void masked_store(tn_lower *l, LLVMValueRef v, LLVMValueRef at, unsigned align, LLVMValueRef mask) {
  v = as_vector(l, v);
  LLVMValueRef args[4] = {v, at, LLVMConstInt(l->i32, align, false), as_vector(l, mask)};
  tn_lower_intrinsic_of(l, "llvm.masked.store", (LLVMTypeRef[]){LLVMTypeOf(v), l->ptr}, 2, args, 4);
}

static void store_strided(tn_lower *l, const tn_tile_stmt *stmt, LLVMValueRef v, LLVMValueRef at, LLVMTypeRef unit) {
  uint32_t lanes = tn_lower_lanes(v);
  LLVMValueRef stride = tn_lower_splat(l, tn_lower_value(l, stmt->stride), lanes);
  LLVMValueRef indices = LLVMBuildMul(l->builder, tn_lower_iota(l, l->i64, lanes), stride, "");
  LLVMValueRef pointers = lane_pointers(l, at, unit, indices);
  unsigned align = (unsigned)tn_dtype_bytes(stmt->store_type);
  LLVMValueRef args[4] = {v, pointers, LLVMConstInt(l->i32, align, false), lane_mask(l, stmt->mask, lanes)};
  LLVMTypeRef types[2] = {LLVMTypeOf(v), LLVMTypeOf(pointers)};
  tn_lower_intrinsic_of(l, "llvm.masked.scatter", types, 2, args, 4);
}

/* The value as the elements of memory; registers of narrow floats are f32 already and are rounded once. */
static LLVMValueRef stored_form(tn_lower *l, const tn_tile_stmt *stmt) {
  tn_dtype from = stmt->value->type, to = stmt->store_type;
  LLVMValueRef v = tn_lower_value(l, stmt->value);
  bool same_register = tn_dtype_is_float(from) && tn_dtype_is_float(to) && from != TN_F64 && to != TN_F64;
  if (from != to && !same_register) v = tn_lower_cast(l, from, to, v);
  return tn_lower_encode(l, to, v);
}

/* tnrt_argsort(x, stride, n, dtype, out, out_stride, top, descending, scratch) of runtime/abi.h. */
void tn_lower_argsort(tn_lower *l, const tn_tile_stmt *stmt) {
  LLVMTypeRef types[9] = {l->ptr, l->i64, l->i64, l->i32, l->ptr, l->i64, l->i64, l->i32, l->ptr};
  LLVMTypeRef type = LLVMFunctionType(l->nothing, types, 9, false);
  LLVMValueRef function = LLVMGetNamedFunction(l->module, "tnrt_argsort");
  if (function == NULL) function = LLVMAddFunction(l->module, "tnrt_argsort", type);
  LLVMSetVisibility(function, LLVMHiddenVisibility);
  tn_dtype dtype = l->tile->kernel->args.data[stmt->arg].type->dtype;
  LLVMValueRef args[9] = {
      address(l, stmt->arg, dtype, tn_lower_value(l, stmt->offset), stmt->displacement),
      tn_lower_value(l, stmt->stride),
      tn_lower_value(l, stmt->hi),
      LLVMConstInt(l->i32, (unsigned long long)dtype, false),
      address(l, stmt->out_arg, TN_I64, tn_lower_value(l, stmt->out_offset), 0),
      tn_lower_value(l, stmt->out_stride),
      tn_lower_value(l, stmt->lo),
      LLVMConstInt(l->i32, stmt->descending, false),
      l->scratch};
  LLVMBuildCall2(l->builder, type, function, args, 9, "");
}

void tn_lower_store(tn_lower *l, const tn_tile_stmt *stmt) {
  LLVMValueRef v = stored_form(l, stmt);
  LLVMValueRef at = address(l, stmt->arg, stmt->store_type, tn_lower_value(l, stmt->offset), stmt->displacement);
  uint64_t unit = stmt->arg == TN_TILE_SCRATCH ? sizeof(float) : tn_dtype_bytes(stmt->store_type);
  if (stmt->kind == TN_TS_STORE_STRIDED && tn_lower_lanes(v) > 1) {
    store_strided(l, stmt, v, at, LLVMIntTypeInContext(l->llvm, (unsigned)(8 * unit)));
    return;
  }
  unsigned align = alignment(stmt->align_bytes, stmt->store_type);
  if (stmt->mask != NULL) {
    masked_store(l, v, at, align, tn_lower_widen(l, tn_lower_value(l, stmt->mask), tn_lower_lanes(v)));
    return;
  }
  LLVMSetAlignment(LLVMBuildStore(l->builder, v, at), align);
}
