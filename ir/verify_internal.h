/* Shared by the files of the verifier. */
#ifndef TN_IR_VERIFY_INTERNAL_H
#define TN_IR_VERIFY_INTERNAL_H

#include "ir/kernel.h"
#include "ir/program.h"

/* What a program checks before it runs, so what its kernels may rely on. */
typedef struct tn_guards {
  const tn_guard *data;
  size_t n;
} tn_guards;

/* The guards under which a kernel runs: those of the program that has it, or none. */
tn_guards tn_verify_guards_of(const tn_module *module, const tn_kernel *kernel);
bool tn_verify_kernel_given(tn_ctx *ctx, const tn_kernel *kernel, tn_guards guards);

/* What is verified, and how far: a part of each verifier. */
typedef struct tn_verify_state {
  tn_ctx *ctx;
  const char *what, *name; /* "kernel", and which */
  tn_loc loc;              /* of what is looked at */
  bool ok;                 /* nothing was reported */
} tn_verify_state;

/* The error "WHAT 'NAME': TEXT" at loc; false. */
bool tn_verify_breach(tn_verify_state *at, const char *format, ...) TN_PRINTF(2, 3);

/* Proofs under guards, for all values of the symbols. */
bool tn_verify_le(tn_ctx *ctx, tn_guards guards, const tn_dim *p, const tn_dim *q);
/* The same where p and q hold axes of kernel. */
bool tn_verify_le_in(tn_ctx *ctx, tn_guards guards, const tn_kernel *kernel, const tn_dim *p, const tn_dim *q);
bool tn_verify_equal(tn_ctx *ctx, tn_guards guards, const tn_dim *p, const tn_dim *q);

/* The elements of an argument that a write touches: lo[i] <= coordinate i < hi[i]. */
typedef struct tn_box {
  const tn_dim *lo[TN_MAX_NDIM], *hi[TN_MAX_NDIM];
} tn_box;

/* The box that a write fills, each element once; false when it is none or that cannot be proved. */
bool tn_verify_write_box(tn_ctx *ctx, tn_guards guards, const tn_kernel *kernel, const tn_knode *write, tn_box *out);
/* A box that holds all elements that a read takes from its argument; a coordinate that may leave it (with `outside`)
 * counts as its whole axis, one that is not affine as its range. */
void tn_verify_read_box(tn_ctx *ctx, const tn_kernel *kernel, const tn_knode *read, tn_box *out);
/* The same, of what the index says alone; false when it is not affine. A coordinate that may leave the argument (with
 * `outside`) stays in these ends too, which may lie outside themselves. */
bool tn_verify_read_ends(tn_ctx *ctx, const tn_kernel *kernel, const tn_knode *read, tn_box *out);
/* True when n boxes of rank ndim fill `whole`, no two of them having an element in common. */
bool tn_verify_boxes_fill(tn_ctx *ctx, tn_guards guards, const tn_box *boxes, size_t n, const tn_box *whole,
                          uint32_t ndim);
/* Whether two boxes have no element in common. */
bool tn_verify_boxes_apart(tn_ctx *ctx, tn_guards guards, const tn_box *a, const tn_box *b, uint32_t ndim);
/* Whether box lies inside whole. */
bool tn_verify_box_inside(tn_ctx *ctx, tn_guards guards, const tn_box *box, const tn_box *whole, uint32_t ndim);
/* Numbers of the steps between which a buffer holds something, inclusive. */
typedef struct tn_life {
  uint32_t first, last; /* first TN_NEVER: no step touches it */
} tn_life;
#define TN_NEVER UINT32_MAX
/* Rounded up to whole cache lines, once or for several workers, a size is at least itself, which the rounding's
 * quotients need not show. */
bool tn_verify_is_rounded_up(tn_ctx *ctx, const tn_dim *bytes, const tn_dim *whole);
/* The memory of a program; lives: one a buffer. Before planning there are no places, and nothing to check. */
bool tn_verify_memory(tn_ctx *ctx, const tn_program *program, tn_guards guards, const tn_life *lives, tn_loc loc);

/* Results that may lie in place of arguments. */
bool tn_verify_donors(tn_ctx *ctx, const tn_program *program, tn_loc loc);

/* All elements of type. */
tn_box tn_verify_whole(tn_ctx *ctx, const tn_type *type);

#endif
