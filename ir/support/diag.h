/* Diagnostics: recorded in the session, printed by the driver. Compiler functions that fail return
 * false or NULL, meaning "already reported"; many errors are collected before a phase gives up.
 *
 * Message style: lower case, names in single quotes, expected then found. Codes and their --explain text
 * stand in diag.def; each has a test. */
#ifndef TN_IR_SUPPORT_DIAG_H
#define TN_IR_SUPPORT_DIAG_H

#include "ir/support/loc.h"

struct tn_ctx;

/* A note and a help belong to the error or warning before them. */
typedef enum tn_severity { TN_NOTE, TN_WARNING, TN_ERROR, TN_HELP } tn_severity;

typedef enum tn_diag_code {
#define X(code, name, number, text) code,
#include "ir/support/diag.def"
#undef X
  TN_N_DIAG_CODES
} tn_diag_code;

typedef struct tn_diag {
  tn_severity severity;
  tn_diag_code code; /* of the error or warning a note or help belongs to */
  tn_loc loc;
  tn_loc also;       /* a second span in the line of the first, underlined too; TN_LOC_NONE: there is none */
  const char *text;
} tn_diag;

/* Records an error; always returns false, so `return tn_error(...)` reads well. */
bool tn_error(struct tn_ctx *ctx, tn_loc loc, tn_diag_code code, const char *format, ...)
    TN_PRINTF(4, 5);
void tn_warning(struct tn_ctx *ctx, tn_loc loc, tn_diag_code code, const char *format, ...)
    TN_PRINTF(4, 5);
/* Belongs to the error or warning before it; without a place of its own (TN_LOC_NONE), to the place of that one. */
void tn_note(struct tn_ctx *ctx, tn_loc loc, const char *format, ...) TN_PRINTF(3, 4);
/* What to do about the error or warning before it. */
void tn_help(struct tn_ctx *ctx, const char *format, ...) TN_PRINTF(2, 3);
/* Underlines a second span of what was recorded last, if it stands in the same line. */
void tn_underline(struct tn_ctx *ctx, tn_loc loc);

static inline bool tn_severity_is_remark(tn_severity severity) { return severity == TN_NOTE || severity == TN_HELP; }
size_t tn_diag_n_errors(const struct tn_ctx *ctx);
/* "TN0101" and the long explanation. */
const char *tn_diag_code_name(tn_diag_code code);
const char *tn_diag_code_text(tn_diag_code code);
/* The code named "TN0101" (case ignored), or TN_N_DIAG_CODES. */
tn_diag_code tn_diag_code_find(const char *name);

#endif
