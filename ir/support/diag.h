/* Diagnostics: recorded in the session, printed by the driver. Compiler functions that fail return
 * false or NULL, meaning "already reported"; many errors are collected before a phase gives up.
 *
 * Message style: lower case, names in single quotes, expected then found. Codes and their --explain text
 * stand in diag.def; each has a test. */
#ifndef TN_IR_SUPPORT_DIAG_H
#define TN_IR_SUPPORT_DIAG_H

#include "ir/support/loc.h"

struct tn_ctx;

typedef enum tn_severity { TN_NOTE, TN_WARNING, TN_ERROR } tn_severity;

typedef enum tn_diag_code {
#define X(code, name, number, text) code,
#include "ir/support/diag.def"
#undef X
  TN_N_DIAG_CODES
} tn_diag_code;

typedef struct tn_diag {
  tn_severity severity;
  tn_diag_code code; /* of the error or warning a note belongs to */
  tn_loc loc;
  const char *text;
} tn_diag;

/* Records an error; always returns false, so `return tn_error(...)` reads well. */
bool tn_error(struct tn_ctx *ctx, tn_loc loc, tn_diag_code code, const char *format, ...)
    TN_PRINTF(4, 5);
void tn_warning(struct tn_ctx *ctx, tn_loc loc, tn_diag_code code, const char *format, ...)
    TN_PRINTF(4, 5);
/* Belongs to the error or warning before it. */
void tn_note(struct tn_ctx *ctx, tn_loc loc, const char *format, ...) TN_PRINTF(3, 4);

size_t tn_diag_n_errors(const struct tn_ctx *ctx);
/* "TN0101" and the long explanation. */
const char *tn_diag_code_name(tn_diag_code code);
const char *tn_diag_code_text(tn_diag_code code);
/* The code named "TN0101" (case ignored), or TN_N_DIAG_CODES. */
tn_diag_code tn_diag_code_find(const char *name);

#endif
