/* The memory plan of a program as a certificate: a row for each buffer that is placed in the arena, in numbers. Whoever
 * holds it and the program can check it without knowing how it was found. */
#ifndef TN_IR_CERTIFICATE_H
#define TN_IR_CERTIFICATE_H

#include "ir/program.h"

/* A buffer lies in the bytes [offset, offset + bytes) while the steps first .. last run. */
typedef struct tn_plan_row {
  const tn_buffer *buffer;
  int64_t offset, bytes;
  uint32_t first, last;
} tn_plan_row;

typedef struct tn_certificate {
  TN_VEC(tn_plan_row) rows;
  int64_t arena; /* bytes of it all */
  int64_t least; /* the largest sum of bytes that are held at one step: no plan of these lives needs fewer; -1: the
                    plan, which holds for many sizes, says nothing of it */
} tn_certificate;

/* The plan of a program at the sizes that bind gives its symbols. False: there is no plan, it holds late sizes at no
 * bound, or a size is too large for 63 bits; nothing is reported. */
bool tn_certificate_make(const tn_program *program, tn_dim_bind bind, const void *user, tn_arena *arena,
                         tn_certificate *out);
/* certificate_check.c. Whether it is right: each buffer that the steps use has one row, is as large as its type or
 * workspace needs, is held as long as the steps use it, and shares no byte with another one meanwhile; the arena is as
 * large as the rows need, `least` what it says. Breaches are reported as TN_E_VERIFY. */
bool tn_certificate_check(tn_ctx *ctx, const tn_program *program, const tn_certificate *certificate, tn_dim_bind bind,
                          const void *user);
/* Both, for a program whose sizes are numbers, and else at the smallest and at larger sizes that the symbols allow. */
bool tn_certificate_verify(tn_ctx *ctx, const tn_program *program);
/* The rows as text, by offset: --emit=plan. */
void tn_certificate_print(const tn_program *program, tn_buf *out);

#endif
