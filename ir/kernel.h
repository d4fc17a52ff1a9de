/* The kernel level: one fused group, the only thing a backend sees (ir/IR.md section 8).
 *
 * A kernel is an iteration space, reads at index expressions, a DAG of scalar ops and folds, and writes, all in logical
 * coordinates: index expressions are dims over axis symbols (TN_SYM_AXIS), size symbols, and the values of integer
 * nodes (TN_SYM_VALUE, for gather). The storage of an argument gives the address.
 *
 * Every node has a set of axes it varies over (`axes`, a bit per space axis): a read's are the axes in its index, a
 * scalar op's the union of its operands', a fold's its operand's less those folded away. A `row` axis is folded and
 * then used again (written over, or folded a second time with values that depend on the first fold): values over it
 * live until the kernel's last use of them.
 *
 * What passes/lower.c makes, and a backend may rely on for speed (never for correctness, which the verifier decides):
 * - axes of extent 1 do not exist: such a coordinate is the constant 0. Two folds over one axis of a row kernel share
 *   the axis (softmax: max and sum over j, then a write over j).
 * - a contraction's par axes are its result's dims in order (dot: batch, free of a, free of b; conv: n, channel,
 *   spatial), a grouped convolution's channel being two axes (group, channel within); its sum axes are input channel
 *   and taps.
 * - argument types are as the kernel reads them: a reshape or transpose that strides can express is in the argument's
 *   (type, storage), not in the index; what remains is floordiv and mod.
 * - an index with a TN_SYM_VALUE symbol may be wrong at run time: backends clamp that coordinate to [0, extent) and set
 *   the call's status to INDEX. All other coordinates are proved in range or the read has `outside`.
 * - an extent that may turn out to be 1 (broadcast of a symbolic dim) multiplies its axis by min(extent - 1, 1). */
#ifndef TN_IR_KERNEL_H
#define TN_IR_KERNEL_H

#include "ir/op.h"

typedef struct tn_kernel tn_kernel;
typedef struct tn_knode tn_knode;

#define TN_KERNEL_MAX_AXES 32

typedef enum tn_axis_kind {
  TN_AXIS_PAR, /* each point writes its own elements */
  TN_AXIS_SUM, /* folded away */
  TN_AXIS_ROW  /* folded, and also written over */
} tn_axis_kind;

typedef struct tn_axis {
  const tn_symbol *symbol; /* symbol->slot = position in the space */
  const tn_dim *extent;    /* over size symbols only */
  tn_axis_kind kind;
} tn_axis;

typedef struct tn_karg {
  const char *name;
  const tn_type *type;
  const tn_storage *storage; /* never NULL */
  bool is_output;
  /* Outputs that several kernels write: this one covers part_lo .. part_hi of axis part_axis; part_axis -1 = all. */
  int32_t part_axis;
  const tn_dim *part_lo, *part_hi;
  tn_const *constant; /* inputs that are constants of the module, or NULL: backends may pack them */
} tn_karg;

typedef enum tn_knode_kind {
  TN_K_READ,     /* arg at index; outside the extents: in[0] when n_in == 1 ("outside v"), else proved in range */
  TN_K_CONST,    /* a number */
  TN_K_INDEX,    /* the value of index[0] as an integer of dtype */
  TN_K_SCALAR,   /* scalar op over in[] */
  TN_K_FOLD,     /* fold in[0] over `over` with `fold`; dtype is the accumulator's */
  TN_K_CONTRACT, /* sum over `over` of in[0] * in[1], products and sums in dtype, free order, fused multiply-add */
  TN_K_ARGFOLD,  /* position along the one axis in `over` of the winner of in[0]; fold is max or min; dtype i64 */
  TN_K_ARGSORT,  /* position along the one axis in `over` of the element of in[0] that is index[0]-th in rising order
                    (`descending`: falling), stably, NaN greatest; dtype i64 */
  TN_K_WRITE,    /* in[0] to arg at index */
  TN_K_UPDATE    /* arg at index becomes `scalar`(it, in[0]), or in[0] with TN_K_SET; see below */
} tn_knode_kind;

typedef enum tn_fold { TN_FOLD_SUM, TN_FOLD_PROD, TN_FOLD_MAX, TN_FOLD_MIN, TN_FOLD_AND, TN_FOLD_OR } tn_fold;

struct tn_knode {
  tn_knode_kind kind;
  tn_dtype dtype;
  uint32_t id;   /* position in kernel->nodes */
  uint32_t axes; /* bit i: varies over space axis i */
  tn_loc loc;
  uint32_t n_in;
  tn_knode *in[3];
  tn_scalar scalar;           /* SCALAR, UPDATE */
  tn_fold fold;               /* FOLD, ARGFOLD */
  uint32_t over;              /* FOLD, CONTRACT, ARGFOLD, ARGSORT: bits of the axes folded */
  bool last;                  /* ARGFOLD: ties go to the highest index */
  bool descending;            /* ARGSORT */
  uint32_t arg;               /* READ, WRITE, UPDATE: number of the argument */
  const tn_dim *const *index; /* READ, WRITE, UPDATE: one a dim of the argument; INDEX, ARGSORT: one */
  uint32_t n_index;
  tn_number constant;    /* CONST */
  const tn_symbol *value_symbol; /* set when an index expression uses this node's value; else NULL */
  tn_knode *next_same_hash;      /* of the table of equal nodes */
};

/* An update's argument is an output that steps before have filled. Its index may come from values, so one element may
 * be updated many times: points follow each other in the order of the space, last axis fastest. A kernel with an update
 * has no other writes and is not divided. */
#define TN_K_SET TN_N_SCALARS

/* What the group is built around; a hint for the choice of strategy, always derivable from the nodes. */
typedef enum tn_anchor {
  TN_ANCHOR_MAP,
  TN_ANCHOR_REDUCE,
  TN_ANCHOR_ROWS,
  TN_ANCHOR_CONTRACT,
  TN_ANCHOR_WINDOW
} tn_anchor;

struct tn_kernel {
  tn_module *module;
  const char *name; /* unique in the module; an identifier */
  tn_anchor anchor;
  TN_VEC(tn_axis) space; /* outermost first; the order is a suggestion, meaning does not depend on it */
  TN_VEC(tn_karg) args;  /* inputs and outputs, in the order of the call */
  TN_VEC(tn_knode *) nodes; /* operands before users; writes last */
  TN_VEC(const tn_symbol *) symbols; /* size symbols that the kernel uses, in order of id: its run-time dims */
  tn_map by_content;        /* content hash -> chain of nodes, while building */
  tn_loc loc;
  uint64_t signature; /* content hash without names and locations: equal kernels are emitted once */
};

/* Names get a suffix when taken; bytes that are no part of an identifier become '_'. */
tn_kernel *tn_kernel_create(tn_module *module, const char *name);
/* Adds an axis with a new symbol; at most TN_KERNEL_MAX_AXES (asserted). */
const tn_symbol *tn_kernel_add_axis(tn_kernel *kernel, const char *name, const tn_dim *extent, tn_axis_kind kind);
uint32_t tn_kernel_add_arg(tn_kernel *kernel, const char *name, const tn_type *type, const tn_storage *storage,
                           bool is_output);
/* Nodes; equal nodes are made once (reads, constants, indices, scalars, folds). dtype rules as IR.md. */
tn_knode *tn_kernel_read(tn_kernel *kernel, uint32_t arg, const tn_dim *const *index, tn_knode *outside);
tn_knode *tn_kernel_const(tn_kernel *kernel, tn_dtype dtype, tn_number v);
tn_knode *tn_kernel_index(tn_kernel *kernel, tn_dtype dtype, const tn_dim *value);
tn_knode *tn_kernel_scalar(tn_kernel *kernel, tn_scalar scalar, tn_dtype dtype, tn_knode *const *in, uint32_t n_in);
tn_knode *tn_kernel_fold(tn_kernel *kernel, tn_fold fold, tn_dtype dtype, tn_knode *in, uint32_t over);
tn_knode *tn_kernel_contract(tn_kernel *kernel, tn_dtype dtype, tn_knode *a, tn_knode *b, uint32_t over);
tn_knode *tn_kernel_argfold(tn_kernel *kernel, tn_fold fold, tn_knode *in, uint32_t over, bool last);
/* A kernel with one has no other operation: in reads, and a write takes the result. */
tn_knode *tn_kernel_argsort(tn_kernel *kernel, tn_knode *in, uint32_t over, const tn_dim *position, bool descending);
tn_knode *tn_kernel_write(tn_kernel *kernel, uint32_t arg, const tn_dim *const *index, tn_knode *value);
/* combine: TN_ADD, TN_MUL, TN_MIN, TN_MAX or TN_K_SET. */
tn_knode *tn_kernel_update(tn_kernel *kernel, tn_scalar combine, uint32_t arg, const tn_dim *const *index,
                           tn_knode *value);
static inline bool tn_knode_is_write(const tn_knode *node) {
  return node->kind == TN_K_WRITE || node->kind == TN_K_UPDATE;
}
/* Appends a copy of node as it is, also where an equal one exists: for the reader of the text form. */
tn_knode *tn_kernel_append(tn_kernel *kernel, const tn_knode *node);
/* The symbol standing for an integer node's value in index expressions; its range is [lo, hi]. */
const tn_symbol *tn_kernel_value_symbol(tn_kernel *kernel, tn_knode *node, int64_t lo, int64_t hi);
/* Computes axes of nodes, symbols, anchor and signature; drops dead nodes, puts writes last. Call once when built. */
void tn_kernel_finish(tn_kernel *kernel);
/* The axes that index varies over: its axis symbols, and those of the nodes whose values it uses. */
uint32_t tn_kernel_index_axes(const tn_kernel *kernel, const tn_dim *const *index, uint32_t n);
/* The axes node varies over, from its own fields and its operands' axes. */
uint32_t tn_knode_axes(const tn_kernel *kernel, const tn_knode *node);
const char *tn_fold_name(tn_fold fold); /* "sum", ... */
/* What a fold of no element gives, as dtype holds it (ir/ops/fold.c). */
tn_number tn_fold_identity(tn_fold fold, tn_dtype dtype);
/* Operations, as a dim over the kernel's symbols: each scalar op but casts, selects and comparisons counts one, a fused
 * multiply-add two, and each point of a fold one. */
const tn_dim *tn_kernel_flops(const tn_kernel *kernel);

/* The slow reference of a kernel (ir/eval_kernel.c): inputs and outputs as logical tensors, in the order of args;
 * output tensors are given with their extents and filled. symbols: values of kernel->symbols. */
struct tn_tensor;
bool tn_kernel_eval(const tn_kernel *kernel, tn_arena *arena, bool wide, const int64_t *symbols,
                    struct tn_tensor *const *args);

#endif
