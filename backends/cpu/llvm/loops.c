/* Statements of tile loops, and the function of one kernel: void name(frame, lo, hi, worker), see tn_tile_func. */
#include <string.h>

#include <llvm-c/DebugInfo.h>

#include "backends/cpu/llvm/debug.h"
#include "runtime/abi.h"

tn_frame_layout tn_frame_of(const tn_kernel *kernel) {
  tn_frame_layout f;
  f.dims = 8 * (uint64_t)kernel->args.n;
  f.scratch = f.dims + 8 * (uint64_t)kernel->symbols.n;
  f.scratch_stride = f.scratch + 8;
  f.status = f.scratch + 16;
  f.bytes = f.scratch + 24;
  return f;
}

/* i64 scalars for addresses; divisors are positive. */
static LLVMValueRef index_arithmetic(tn_lower *l, tn_tile_op op, LLVMValueRef x, LLVMValueRef y) {
  LLVMBuilderRef b = l->builder;
  LLVMValueRef zero = LLVMConstNull(LLVMTypeOf(x));
  switch (op) {
    case TN_T_IADD: return LLVMBuildNSWAdd(b, x, y, "");
    case TN_T_ISUB: return LLVMBuildNSWSub(b, x, y, "");
    case TN_T_IMUL: return LLVMBuildNSWMul(b, x, y, "");
    case TN_T_IMIN: return tn_lower_binary(l, "llvm.smin", x, y);
    case TN_T_IMAX: return tn_lower_binary(l, "llvm.smax", x, y);
    case TN_T_ILT: return LLVMBuildICmp(b, LLVMIntSLT, x, y, "");
    case TN_T_ILE: return LLVMBuildICmp(b, LLVMIntSLE, x, y, "");
    case TN_T_IEQ: return LLVMBuildICmp(b, LLVMIntEQ, x, y, "");
    case TN_T_IAND: return LLVMBuildAnd(b, x, y, "");
    case TN_T_IFLOORDIV: {
      LLVMValueRef rest = LLVMBuildSRem(b, x, y, "");
      LLVMValueRef below = LLVMBuildICmp(b, LLVMIntSLT, rest, zero, "");
      return LLVMBuildAdd(b, LLVMBuildSDiv(b, x, y, ""), LLVMBuildSExt(b, below, LLVMTypeOf(x), ""), "");
    }
    default: {
      TN_ASSERT(op == TN_T_IMOD);
      LLVMValueRef rest = LLVMBuildSRem(b, x, y, "");
      LLVMValueRef below = LLVMBuildICmp(b, LLVMIntSLT, rest, zero, "");
      return tn_lower_select(l, below, LLVMBuildAdd(b, rest, y, ""), rest);
    }
  }
}

/* Lanes below n, with n compared at the width of 32 bits: it is clamped to the lanes first. */
static LLVMValueRef mask_below(tn_lower *l, LLVMValueRef n, uint32_t lanes) {
  LLVMBuilderRef b = l->builder;
  if (lanes == 1) return LLVMBuildICmp(b, LLVMIntSGT, n, LLVMConstNull(l->i64), "");
  LLVMValueRef clamped = tn_lower_binary(l, "llvm.smin", n, tn_lower_constant_i64(l, lanes));
  clamped = tn_lower_binary(l, "llvm.smax", clamped, LLVMConstNull(l->i64));
  LLVMValueRef narrow = tn_lower_splat(l, LLVMBuildTrunc(b, clamped, l->i32, ""), lanes);
  return LLVMBuildICmp(b, LLVMIntULT, tn_lower_iota(l, l->i32, lanes), narrow, "");
}

/* Unless no lane is outside, the frame's status becomes INDEX. */
static void report_index(tn_lower *l, LLVMValueRef any) {
  LLVMBuilderRef b = l->builder;
  LLVMBasicBlockRef report = tn_lower_block(l, "outside"), go_on = tn_lower_block(l, "inside");
  LLVMBuildCondBr(b, any, report, go_on);
  LLVMPositionBuilderAtEnd(b, report);
  /* Several threads may store the same value. */
  LLVMValueRef store = LLVMBuildStore(b, LLVMConstInt(l->i32, TNRT_INDEX, false), l->status);
  LLVMSetOrdering(store, LLVMAtomicOrderingMonotonic);
  LLVMSetAlignment(store, 4);
  LLVMBuildBr(b, go_on);
  LLVMPositionBuilderAtEnd(b, go_on);
}

static LLVMValueRef clamp_index(tn_lower *l, const tn_tile_value *v) {
  LLVMBuilderRef b = l->builder;
  LLVMValueRef x = tn_lower_value(l, v->in[0]), extent = tn_lower_value(l, v->in[1]);
  LLVMTypeRef element = tn_lower_element(x);
  unsigned bits = LLVMGetIntTypeWidth(element);
  bool is_signed = tn_dtype_is_signed(v->in[0]->type);
  if (bits < 64) { /* any extent past the type's range acts like the first one past it */
    LLVMValueRef past = tn_lower_constant_i64(l, (int64_t)1 << (is_signed ? bits - 1 : bits));
    if (!is_signed) { /* so that the bound itself fits */
      x = LLVMBuildZExt(b, x, tn_lower_like(x, l->i64), "");
      element = l->i64;
    } else {
      extent = LLVMBuildTrunc(b, tn_lower_binary(l, "llvm.smin", extent, past), element, "");
    }
  }
  LLVMValueRef limit = tn_lower_widen(l, extent, tn_lower_lanes(x));
  LLVMValueRef zero = LLVMConstNull(LLVMTypeOf(x));
  LLVMValueRef outside = LLVMBuildICmp(b, LLVMIntUGE, x, limit, "");
  LLVMValueRef last = LLVMBuildSub(b, limit, tn_lower_whole(limit, 1), "");
  last = tn_lower_select(l, LLVMBuildICmp(b, LLVMIntEQ, limit, zero, ""), zero, last);
  LLVMValueRef is_below = is_signed ? LLVMBuildICmp(b, LLVMIntSLT, x, zero, "") : LLVMConstNull(LLVMTypeOf(outside));
  LLVMValueRef r = tn_lower_select(l, outside, tn_lower_select(l, is_below, zero, last), x);
  if (v->n_in > 2 && v->in[2] != NULL)
    outside = LLVMBuildAnd(b, outside, tn_lower_widen(l, tn_lower_value(l, v->in[2]), tn_lower_lanes(x)), "");
  report_index(l, tn_lower_any(l, outside));
  return LLVMBuildIntCast2(l->builder, r, tn_lower_register_type(l, v->type, v->lanes), is_signed, "");
}

static LLVMValueRef lower_scalar_op(tn_lower *l, const tn_tile_value *v) {
  LLVMValueRef in[3];
  TN_ASSERT(v->n_in >= 1 && v->n_in <= 3);
  for (uint32_t i = 0; i < v->n_in; i++) in[i] = tn_lower_widen(l, tn_lower_value(l, v->in[i]), v->lanes);
  tn_dtype dtype = v->in[v->scalar == TN_SELECT ? 1 : 0]->type;
  return tn_lower_scalar(l, v->scalar, dtype, v->type, in);
}

static LLVMValueRef lower_fma(tn_lower *l, const tn_tile_value *v) {
  LLVMValueRef in[3];
  for (uint32_t i = 0; i < 3; i++) in[i] = tn_lower_widen(l, tn_lower_value(l, v->in[i]), v->lanes);
  if (tn_dtype_is_float(v->type)) return tn_lower_muladd(l, in[0], in[1], in[2]);
  LLVMValueRef product = LLVMBuildMul(l->builder, in[0], in[1], "");
  return tn_lower_wrap(l, v->type, LLVMBuildAdd(l->builder, product, in[2], ""));
}

static LLVMValueRef lower_value(tn_lower *l, const tn_tile_value *v) {
  switch (v->op) {
    case TN_T_CONST: return tn_lower_number(l, v->type, v->lanes, v->constant);
    case TN_T_DIM: return l->dims[v->index];
    case TN_T_PART_LO: return l->part_lo;
    case TN_T_PART_HI: return l->part_hi;
    case TN_T_IADD:
    case TN_T_ISUB:
    case TN_T_IMUL:
    case TN_T_IFLOORDIV:
    case TN_T_IMOD:
    case TN_T_IMIN:
    case TN_T_IMAX:
    case TN_T_ILT:
    case TN_T_ILE:
    case TN_T_IEQ:
    case TN_T_IAND: return index_arithmetic(l, v->op, tn_lower_value(l, v->in[0]), tn_lower_value(l, v->in[1]));
    case TN_T_LOAD:
    case TN_T_LOAD_SPLAT:
    case TN_T_LOAD_STRIDED: return tn_lower_load(l, v);
    case TN_T_GATHER: return tn_lower_gather(l, v);
    case TN_T_SCALAR: return lower_scalar_op(l, v);
    case TN_T_FMA: return lower_fma(l, v);
    case TN_T_SPLAT: return tn_lower_splat(l, tn_lower_value(l, v->in[0]), v->lanes);
    case TN_T_LANES: {
      LLVMValueRef iota = tn_lower_iota(l, tn_dtype_is_float(v->type) ? l->i32 : tn_lower_memory_type(l, v->type),
                                        v->lanes);
      return tn_dtype_is_float(v->type) ? tn_lower_cast(l, TN_I32, v->type, iota) : iota;
    }
    case TN_T_FROM_I64: return tn_lower_cast(l, TN_I64, v->type, tn_lower_value(l, v->in[0]));
    case TN_T_TO_I64: return tn_lower_cast(l, v->in[0]->type, TN_I64, tn_lower_value(l, v->in[0]));
    case TN_T_EXTRACT: return tn_lower_lanes_of(l, tn_lower_value(l, v->in[0]), v->index, 1);
    case TN_T_HFOLD: return tn_lower_hfold(l, v->fold, v->type, tn_lower_value(l, v->in[0]));
    case TN_T_MASK: return mask_below(l, tn_lower_value(l, v->in[0]), v->lanes);
    case TN_T_CLAMP_INDEX: return clamp_index(l, v);
    case TN_T_LOOP_VAR:
    case TN_T_CARRIED:
    case TN_T_RESULT: break; /* set by their loop before any use */
  }
  TN_ASSERT(false && "a value is used before its definition");
  return LLVMGetPoison(tn_lower_register_type(l, v->type, v->lanes));
}

/* Sources are made where they are first used; all else at its definition. Constants of LLVM have no place, and what
 * reads the frame was loaded in the entry block. */
LLVMValueRef tn_lower_value(tn_lower *l, const tn_tile_value *v) {
  TN_ASSERT(v->id < l->tile->n_values);
  if (l->values[v->id] == NULL) l->values[v->id] = lower_value(l, v);
  return l->values[v->id];
}

void tn_lower_not_unrolled(tn_lower *l, LLVMValueRef branch) {
  LLVMContextRef c = l->llvm;
  const char *name = "llvm.loop.unroll.disable";
  LLVMMetadataRef text = LLVMMDStringInContext2(c, name, strlen(name));
  LLVMMetadataRef disable = LLVMMDNodeInContext2(c, &text, 1);
  LLVMMetadataRef self = LLVMTemporaryMDNode(c, NULL, 0);
  LLVMMetadataRef loop = LLVMMDNodeInContext2(c, (LLVMMetadataRef[]){self, disable}, 2);
  LLVMMetadataReplaceAllUsesWith(self, loop);
  LLVMSetMetadata(branch, LLVMGetMDKindIDInContext(c, "llvm.loop", 9), LLVMMetadataAsValue(c, loop));
}

static void lower_block(tn_lower *l, const tn_tile_block *block);

static LLVMValueRef add_phi(tn_lower *l, tn_dtype type, uint32_t lanes, LLVMValueRef initial, LLVMBasicBlockRef from) {
  LLVMValueRef phi = LLVMBuildPhi(l->builder, tn_lower_register_type(l, type, lanes), "");
  LLVMAddIncoming(phi, &initial, &from, 1);
  return phi;
}

static bool runs_at_least_once(LLVMValueRef lo, LLVMValueRef hi) {
  return LLVMIsAConstantInt(lo) && LLVMIsAConstantInt(hi) &&
         LLVMConstIntGetSExtValue(lo) < LLVMConstIntGetSExtValue(hi);
}

/* A loop tested at its end, behind a test for no iteration at all. */
static void lower_loop(tn_lower *l, const tn_tile_stmt *s) {
  LLVMBuilderRef b = l->builder;
  LLVMValueRef lo = tn_lower_value(l, s->lo), hi = tn_lower_value(l, s->hi);
  LLVMValueRef *initial = TN_NEW_N(l->arena, LLVMValueRef, s->n_carried);
  for (uint32_t i = 0; i < s->n_carried; i++) initial[i] = tn_lower_value(l, s->initial[i]);
  LLVMBasicBlockRef before = LLVMGetInsertBlock(b);
  LLVMBasicBlockRef head = tn_lower_block(l, "loop"), exit = tn_lower_block(l, "done");
  bool is_certain = runs_at_least_once(lo, hi);
  if (is_certain) LLVMBuildBr(b, head);
  else LLVMBuildCondBr(b, LLVMBuildICmp(b, LLVMIntSLT, lo, hi, ""), head, exit);
  LLVMPositionBuilderAtEnd(b, head);
  LLVMValueRef var = add_phi(l, TN_I64, 1, lo, before);
  l->values[s->var->id] = var;
  for (uint32_t i = 0; i < s->n_carried; i++)
    l->values[s->carried[i]->id] = add_phi(l, s->carried[i]->type, s->carried[i]->lanes, initial[i], before);
  lower_block(l, &s->body);
  tn_debug_at_origin(l, s->origin);
  LLVMValueRef *next = TN_NEW_N(l->arena, LLVMValueRef, s->n_carried);
  for (uint32_t i = 0; i < s->n_carried; i++) next[i] = tn_lower_value(l, s->next[i]);
  LLVMBasicBlockRef latch = LLVMGetInsertBlock(b);
  LLVMValueRef after = LLVMBuildNSWAdd(b, var, tn_lower_constant_i64(l, s->step), "");
  LLVMAddIncoming(var, &after, &latch, 1);
  for (uint32_t i = 0; i < s->n_carried; i++) LLVMAddIncoming(l->values[s->carried[i]->id], &next[i], &latch, 1);
  LLVMValueRef branch = LLVMBuildCondBr(b, LLVMBuildICmp(b, LLVMIntSLT, after, hi, ""), head, exit);
  tn_lower_not_unrolled(l, branch);
  LLVMPositionBuilderAtEnd(b, exit);
  for (uint32_t i = 0; i < s->n_carried; i++) {
    LLVMValueRef phi = add_phi(l, s->results[i]->type, s->results[i]->lanes, next[i], latch);
    if (!is_certain) LLVMAddIncoming(phi, &initial[i], &before, 1);
    l->values[s->results[i]->id] = phi;
  }
}

static void lower_if(tn_lower *l, const tn_tile_stmt *s) {
  LLVMBuilderRef b = l->builder;
  LLVMBasicBlockRef yes = tn_lower_block(l, "then"), no = tn_lower_block(l, "else"), end = tn_lower_block(l, "end");
  LLVMBuildCondBr(b, tn_lower_value(l, s->condition), yes, no);
  LLVMPositionBuilderAtEnd(b, yes);
  lower_block(l, &s->body);
  LLVMBuildBr(b, end);
  LLVMPositionBuilderAtEnd(b, no);
  lower_block(l, &s->otherwise);
  LLVMBuildBr(b, end);
  LLVMPositionBuilderAtEnd(b, end);
}

static void lower_block(tn_lower *l, const tn_tile_block *block) {
  for (size_t i = 0; i < block->stmts.n; i++) {
    const tn_tile_stmt *s = block->stmts.data[i];
    tn_debug_at_origin(l, s->kind == TN_TS_DEF ? s->value->origin : s->origin);
    switch (s->kind) {
      case TN_TS_DEF: tn_lower_value(l, s->value); break;
      case TN_TS_STORE:
      case TN_TS_STORE_STRIDED: tn_lower_store(l, s); break;
      case TN_TS_ARGSORT: tn_lower_argsort(l, s); break;
      case TN_TS_LOOP: lower_loop(l, s); break;
      case TN_TS_IF: lower_if(l, s); break;
      case TN_TS_COMMENT: break;
    }
  }
}

LLVMTypeRef tn_lower_part_type(const tn_lower *l) {
  return LLVMFunctionType(l->nothing, (LLVMTypeRef[]){l->ptr, l->i64, l->i64, l->i64}, 4, false);
}

static void add_flag(tn_lower *l, LLVMValueRef function, const char *name) {
  unsigned kind = LLVMGetEnumAttributeKindForName(name, strlen(name));
  LLVMAddAttributeAtIndex(function, LLVMAttributeFunctionIndex, LLVMCreateEnumAttribute(l->llvm, kind, 0));
}

static void add_text(tn_lower *l, LLVMValueRef function, const char *key, const char *value) {
  LLVMAttributeRef a = LLVMCreateStringAttribute(l->llvm, key, (unsigned)strlen(key), value, (unsigned)strlen(value));
  LLVMAddAttributeAtIndex(function, LLVMAttributeFunctionIndex, a);
}

void tn_lower_function_attributes(tn_lower *l, LLVMValueRef function) {
  add_flag(l, function, "nounwind");
  add_text(l, function, "warn-stack-size", "0"); /* asks for the report that stack.c reads */
  if (l->target->small_code) {
    add_flag(l, function, "optsize");
    add_flag(l, function, "minsize");
  }
  bool is_address = l->sanitize != NULL && strcmp(l->sanitize, "address") == 0;
  if (l->sanitize != NULL) add_flag(l, function, is_address ? "sanitize_address" : "sanitize_thread");
  add_text(l, function, "target-cpu", l->target->cpu_resolved);
  if (l->target->features != NULL && l->target->features[0] != 0)
    add_text(l, function, "target-features", l->target->features);
  if (l->target->vector_bits == 512) add_text(l, function, "prefer-vector-width", "512");
}

static LLVMValueRef frame_field(tn_lower *l, LLVMValueRef frame, uint64_t offset, LLVMTypeRef type) {
  LLVMValueRef at = tn_lower_constant_i64(l, (int64_t)offset);
  LLVMValueRef load = LLVMBuildLoad2(l->builder, type, LLVMBuildGEP2(l->builder, l->i8, frame, &at, 1, ""), "");
  LLVMSetAlignment(load, 8);
  return load;
}

static void load_frame(tn_lower *l, const tn_kernel *kernel) {
  tn_frame_layout at = tn_frame_of(kernel);
  LLVMValueRef frame = LLVMGetParam(l->function, 0), worker = LLVMGetParam(l->function, 3);
  l->part_lo = LLVMGetParam(l->function, 1);
  l->part_hi = LLVMGetParam(l->function, 2);
  l->args = TN_NEW_N(l->arena, LLVMValueRef, kernel->args.n);
  l->dims = TN_NEW_N(l->arena, LLVMValueRef, kernel->symbols.n);
  for (size_t i = 0; i < kernel->args.n; i++) l->args[i] = frame_field(l, frame, 8 * i, l->ptr);
  for (size_t i = 0; i < kernel->symbols.n; i++) l->dims[i] = frame_field(l, frame, at.dims + 8 * i, l->i64);
  LLVMValueRef stride = frame_field(l, frame, at.scratch_stride, l->i64);
  LLVMValueRef mine = LLVMBuildMul(l->builder, stride, worker, "");
  l->scratch = LLVMBuildGEP2(l->builder, l->i8, frame_field(l, frame, at.scratch, l->ptr), &mine, 1, "");
  l->status = frame_field(l, frame, at.status, l->ptr);
}

LLVMValueRef tn_lower_kernel(tn_lower *l, const tn_tile_func *tile, const char *name) {
  l->tile = tile;
  l->function = LLVMAddFunction(l->module, name, tn_lower_part_type(l));
  LLVMSetVisibility(l->function, LLVMHiddenVisibility);
  tn_lower_function_attributes(l, l->function);
  l->values = TN_NEW_N(l->arena, LLVMValueRef, tile->n_values);
  l->wide_masks = TN_NEW_N(l->arena, LLVMValueRef, tile->n_values);
  LLVMBasicBlockRef entry = tn_lower_block(l, "entry"), body = tn_lower_block(l, "body");
  LLVMPositionBuilderAtEnd(l->builder, entry);
  tn_debug_function(l, l->function, tile->kernel->name, tn_debug_kernel_line(l, tile->kernel));
  tn_lower_acquire(l, LLVMGetParam(l->function, 0));
  load_frame(l, tile->kernel);
  LLVMBuildBr(l->builder, body);
  LLVMPositionBuilderAtEnd(l->builder, body);
  lower_block(l, &tile->body);
  tn_lower_release(l, LLVMGetParam(l->function, 0));
  LLVMBuildRetVoid(l->builder);
  return l->function;
}
