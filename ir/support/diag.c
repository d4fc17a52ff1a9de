/* Recording of diagnostics; see diag.h. */
#include "ir/support/diag.h"

#include <stdarg.h>
#include <string.h>
#include <strings.h>

#include "ir/ctx.h"

static const struct {
  const char *name, *text;
} codes[] = {
#define X(code, name, number, text) {name, text},
#include "ir/support/diag.def"
#undef X
};

static void record(tn_ctx *ctx, tn_severity severity, tn_diag_code code, tn_loc loc, const char *format, va_list args) {
  tn_buf text = tn_buf_create(ctx->arena);
  tn_buf_vprintf(&text, format, args);
  tn_diag diag = {.severity = severity, .code = code, .loc = loc, .text = text.data ? text.data : ""};
  const tn_diag *last = ctx->diags.n > 0 ? &ctx->diags.data[ctx->diags.n - 1] : NULL;
  bool is_told = last && last->severity == severity && last->code == code && last->loc == loc;
  if (is_told && strcmp(last->text, diag.text) == 0) return; /* the same again helps nobody */
  TN_VEC_PUSH(ctx->arena, &ctx->diags, diag);
}

bool tn_error(tn_ctx *ctx, tn_loc loc, tn_diag_code code, const char *format, ...) {
  va_list args;
  va_start(args, format);
  if (ctx->n_errors++ < ctx->max_errors) record(ctx, TN_ERROR, code, loc, format, args);
  va_end(args);
  return false;
}

void tn_warning(tn_ctx *ctx, tn_loc loc, tn_diag_code code, const char *format, ...) {
  va_list args;
  va_start(args, format);
  if (ctx->n_errors <= ctx->max_errors) record(ctx, TN_WARNING, code, loc, format, args);
  va_end(args);
}

void tn_note(tn_ctx *ctx, tn_loc loc, const char *format, ...) {
  va_list args;
  va_start(args, format);
  if (ctx->n_errors <= ctx->max_errors && ctx->diags.n)
    record(ctx, TN_NOTE, ctx->diags.data[ctx->diags.n - 1].code, loc, format, args);
  va_end(args);
}

void tn_help(tn_ctx *ctx, const char *format, ...) {
  va_list args;
  va_start(args, format);
  if (ctx->n_errors <= ctx->max_errors && ctx->diags.n)
    record(ctx, TN_HELP, ctx->diags.data[ctx->diags.n - 1].code, TN_LOC_NONE, format, args);
  va_end(args);
}

void tn_underline(tn_ctx *ctx, tn_loc loc) {
  if (ctx->n_errors <= ctx->max_errors && ctx->diags.n) ctx->diags.data[ctx->diags.n - 1].also = loc;
}

size_t tn_diag_n_errors(const tn_ctx *ctx) { return ctx->n_errors; }
const char *tn_diag_code_name(tn_diag_code code) { return codes[code].name; }
const char *tn_diag_code_text(tn_diag_code code) { return codes[code].text; }

tn_diag_code tn_diag_code_find(const char *name) {
  for (size_t i = 0; i < TN_ARRAY_LEN(codes); i++)
    if (strcasecmp(codes[i].name, name) == 0) return (tn_diag_code)i;
  return TN_N_DIAG_CODES;
}
