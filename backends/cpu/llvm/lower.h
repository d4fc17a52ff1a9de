/* Inside of the code generator module (lib/tenon/tenon_llvm.so): from tile loops (backends/cpu/tile.h) and programs
 * (ir/program.h) to LLVM 19 through its C interface.
 *
 * Registers. Floating types below f32 live in registers as f32 and are rounded when they are stored or cast to
 * (ir/IR.md section 7 allows the extra precision inside a kernel); integers below 8 bits live as i8, kept in the range
 * of their type; bool is i1. A value of one lane is an LLVM scalar, any other an LLVM vector.
 *
 * No fast-math flags anywhere: fused products come from TN_T_FMA and TN_FMA only. */
#ifndef TN_BACKENDS_CPU_LLVM_LOWER_H
#define TN_BACKENDS_CPU_LLVM_LOWER_H

#include <llvm-c/Core.h>
#include <llvm-c/TargetMachine.h>

#include "backends/cpu/tile.h"

/* One LLVM module under construction. */
typedef struct tn_lower {
  tn_ctx *ctx;
  tn_arena *arena;
  const tn_target *target;
  LLVMContextRef llvm;
  LLVMModuleRef module;
  LLVMBuilderRef builder;
  LLVMTargetMachineRef machine;
  LLVMTypeRef i1, i8, i16, i32, i64, f32, f64, ptr, nothing;
  bool has_f16c; /* hardware conversions between f16 and f32 */
  bool has_wide_masks; /* masks of memory accesses are vectors of sign bits (AVX2), not bits */
  const char *sanitize; /* "address", "thread" or NULL */
  struct tn_stack_use *stack; /* stack.c: frames of the functions that code was made for */
  struct tn_debug *debug; /* debug.h; NULL: no debugging information */
  /* The tile function being lowered. */
  const tn_tile_func *tile;
  LLVMValueRef function;
  LLVMValueRef *values;    /* by tn_tile_value.id */
  LLVMValueRef *wide_masks; /* the same, of masks that AVX2 loads take (memory.c) */
  LLVMValueRef *args, *dims;
  LLVMValueRef scratch, status, part_lo, part_hi;
} tn_lower;

/* Frames (tile.h, tn_tile_func): byte offsets of what follows the n_args pointers and n_symbols dims. */
typedef struct tn_frame_layout {
  uint64_t dims, scratch, scratch_stride, status, bytes;
} tn_frame_layout;
tn_frame_layout tn_frame_of(const tn_kernel *kernel);

/* values.c: types, constants and small building blocks. Operands of mixed kind (a scalar and vectors) are the caller's
 * to widen. */
LLVMTypeRef tn_lower_vector_type(LLVMTypeRef element, uint32_t lanes);
LLVMTypeRef tn_lower_register_type(const tn_lower *l, tn_dtype dtype, uint32_t lanes);
LLVMTypeRef tn_lower_memory_type(const tn_lower *l, tn_dtype dtype);
uint32_t tn_lower_lanes(LLVMValueRef v);
/* The element type of a scalar or vector value. */
LLVMTypeRef tn_lower_element(LLVMValueRef v);
/* element with the lanes of v. */
LLVMTypeRef tn_lower_like(LLVMValueRef v, LLVMTypeRef element);
LLVMValueRef tn_lower_splat(tn_lower *l, LLVMValueRef scalar, uint32_t lanes);
/* v itself when it has these lanes already. */
LLVMValueRef tn_lower_widen(tn_lower *l, LLVMValueRef v, uint32_t lanes);
/* Constants of the shape of `like`, whose elements are floating or integer. */
LLVMValueRef tn_lower_real(LLVMValueRef like, double value);
LLVMValueRef tn_lower_whole(LLVMValueRef like, uint64_t value);
LLVMValueRef tn_lower_number(tn_lower *l, tn_dtype dtype, uint32_t lanes, tn_number number);
LLVMValueRef tn_lower_constant_i64(const tn_lower *l, int64_t value);
/* A call of the intrinsic `name` overloaded on the types of the first n_overloads arguments. */
LLVMValueRef tn_lower_intrinsic(tn_lower *l, const char *name, LLVMValueRef *args, unsigned n_args,
                                unsigned n_overloads);
/* The same, overloaded on the given types. */
LLVMValueRef tn_lower_intrinsic_of(tn_lower *l, const char *name, const LLVMTypeRef *types, unsigned n_types,
                                   LLVMValueRef *args, unsigned n_args);
LLVMValueRef tn_lower_unary(tn_lower *l, const char *name, LLVMValueRef x);
LLVMValueRef tn_lower_binary(tn_lower *l, const char *name, LLVMValueRef x, LLVMValueRef y);
/* x * y + z: one rounding when the target has it, else two. */
LLVMValueRef tn_lower_muladd(tn_lower *l, LLVMValueRef x, LLVMValueRef y, LLVMValueRef z);
LLVMValueRef tn_lower_select(tn_lower *l, LLVMValueRef condition, LLVMValueRef yes, LLVMValueRef no);
/* i1: some (all) lanes of a mask are set. */
LLVMValueRef tn_lower_any(tn_lower *l, LLVMValueRef mask);
LLVMValueRef tn_lower_all(tn_lower *l, LLVMValueRef mask);
/* <0, 1, 2, ...> of integer elements. */
LLVMValueRef tn_lower_iota(const tn_lower *l, LLVMTypeRef element, uint32_t lanes);
/* Lanes first .. first + n - 1 of a vector; n 1 gives a scalar. */
LLVMValueRef tn_lower_lanes_of(tn_lower *l, LLVMValueRef v, uint32_t first, uint32_t n);
LLVMBasicBlockRef tn_lower_block(tn_lower *l, const char *name);

/* convert.c: between element types, with the rules of ir/IR.md section 7. Values are in registers. */
LLVMValueRef tn_lower_cast(tn_lower *l, tn_dtype from, tn_dtype to, LLVMValueRef v);
/* Integer results that may have left the range of a type below 8 bits brought back into it; others as they are. */
LLVMValueRef tn_lower_wrap(tn_lower *l, tn_dtype dtype, LLVMValueRef v);
/* Between registers and the elements of memory (tn_lower_memory_type). */
LLVMValueRef tn_lower_encode(tn_lower *l, tn_dtype dtype, LLVMValueRef v);
LLVMValueRef tn_lower_decode(tn_lower *l, tn_dtype dtype, LLVMValueRef bits);

/* memory.c */
LLVMValueRef tn_lower_load(tn_lower *l, const tn_tile_value *v);
LLVMValueRef tn_lower_gather(tn_lower *l, const tn_tile_value *v);
void tn_lower_store(tn_lower *l, const tn_tile_stmt *stmt);
void tn_lower_argsort(tn_lower *l, const tn_tile_stmt *stmt);

/* scalar.c: one row of ir/scalar.def on registers of `dtype`; `to` is the type of a cast. */
LLVMValueRef tn_lower_scalar(tn_lower *l, tn_scalar scalar, tn_dtype dtype, tn_dtype to, LLVMValueRef *in);
LLVMValueRef tn_lower_fold_pair(tn_lower *l, tn_fold fold, tn_dtype dtype, LLVMValueRef x, LLVMValueRef y);
LLVMValueRef tn_lower_hfold(tn_lower *l, tn_fold fold, tn_dtype dtype, LLVMValueRef v);

/* math.c, math_wide.c: elementary functions. x (and y of pow) hold f32 or f64 elements. */
LLVMValueRef tn_lower_math(tn_lower *l, tn_scalar scalar, LLVMValueRef x, LLVMValueRef y);
LLVMValueRef tn_lower_math_wide(tn_lower *l, tn_scalar scalar, LLVMValueRef x, LLVMValueRef y);
/* A call of the C library's double function for each lane. */
LLVMValueRef tn_lower_libm(tn_lower *l, const char *name, LLVMValueRef x, LLVMValueRef y);
/* c[0] + x * (c[1] + x * (...)). */
LLVMValueRef tn_lower_horner(tn_lower *l, LLVMValueRef x, const double *c, unsigned n);

/* loops.c: values, statements and the function of one kernel. */
LLVMValueRef tn_lower_value(tn_lower *l, const tn_tile_value *v);
/* Adds `void name(frame, lo, hi, worker)` to the module. */
LLVMValueRef tn_lower_kernel(tn_lower *l, const tn_tile_func *tile, const char *name);
LLVMTypeRef tn_lower_part_type(const tn_lower *l); /* of tnrt_part_fn */
void tn_lower_function_attributes(tn_lower *l, LLVMValueRef function);
void tn_lower_not_unrolled(tn_lower *l, LLVMValueRef branch);

/* stack.c: counts the frames of the module's functions while code is made for them, in l->arena. */
void tn_lower_count_stack(tn_lower *l);
/* The most that they take at once: all of them may call each other, but of those named `kernel` or `run_<number>` one
 * at a time runs. */
uint64_t tn_lower_stack_bytes(const tn_lower *l);

/* sanitize.c: that memory which other threads read next is complete, and that memory which others completed is read
 * next; nothing unless -fsanitize=thread. `what`: an address that both sides name. */
void tn_lower_release(tn_lower *l, LLVMValueRef what);
void tn_lower_acquire(tn_lower *l, LLVMValueRef what);
/* Keeps -fsanitize=address from instrumenting the module's globals. */
void tn_lower_exempt_globals(tn_lower *l);
/* memcpy of an i64 number of bytes. */
void tn_lower_copy(tn_lower *l, LLVMValueRef to, LLVMValueRef from, LLVMValueRef bytes);

/* module.c: an LLVM context with one module for `target`; code out of it. */
typedef enum tn_code_kind { TN_CODE_OBJECT, TN_CODE_ASSEMBLY } tn_code_kind;
/* False when the target has no code generator (reported); then nothing is to be closed. */
bool tn_lower_open(tn_lower *l, tn_ctx *ctx, tn_arena *arena, const tn_target *target, const char *name);
void tn_lower_close(tn_lower *l);
/* Verifies, runs the few passes we want and generates code, copied into l->arena. False when reported. */
bool tn_lower_finish(tn_lower *l, tn_code_kind kind, const char *what, tn_object_part *out);

#endif
