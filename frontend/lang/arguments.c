/* What the functions of blocks are called with: the argument where one is given, else the default of the signature
 * (settings.def). The calls were checked before, so what is found has the right kind. */
#include <stdlib.h>
#include <string.h>

#include "frontend/lang/blocks.h"

static const tn_ast_args no_args;

bool tn_block_call_read(const tn_block_check *c, const char *groups, const tn_ast_expr *e, uint32_t n_piped,
                        tn_block_call *out) {
  const tn_ast_expr *callee = e->kind == TN_AST_CALL ? e->call.callee : e;
  const tn_block_function *function =
      callee->kind == TN_AST_NAME ? tn_block_function_find(groups, callee->name) : NULL;
  if (!function) return false;
  *out = (tn_block_call){c, function, e->kind == TN_AST_CALL ? &e->call.args : &no_args, n_piped, e->loc};
  return true;
}

tn_block_call tn_block_call_of(const tn_block_check *c, const char *group, const char *name, tn_loc loc) {
  return (tn_block_call){c, tn_block_function_find(group, name), &no_args, 0, loc};
}

static bool find(const tn_block_call *call, const char *name, tn_param *out, uint32_t *position) {
  tn_param params[TN_MAX_PARAMS + 1];
  uint32_t n = tn_signature_read(call->function->signature, params);
  for (uint32_t i = 0; i < n; i++)
    if (tn_part_is(params[i].name, params[i].name_length, name)) {
      *out = params[i];
      *position = i;
      return true;
    }
  return false;
}

bool tn_block_call_has(const tn_block_call *call, const char *name) {
  tn_param p;
  uint32_t position;
  return find(call, name, &p, &position);
}

const tn_ast_expr *tn_block_call_get(const tn_block_call *call, const char *name) {
  tn_param p;
  uint32_t position;
  if (!find(call, name, &p, &position) || position < call->n_piped) return NULL;
  const tn_ast_expr *e = tn_block_argument(call->args, name, position - call->n_piped);
  bool nothing = e && e->kind == TN_AST_NAME && (strcmp(e->name, "none") == 0 || strcmp(e->name, "all") == 0);
  return nothing ? NULL : e;
}

/* The default as text; "" where there is none. */
static const char *fallback(const tn_block_call *call, const char *name) {
  tn_param p;
  uint32_t position;
  if (!find(call, name, &p, &position)) return "";
  return tn_namef(call->c->s->ctx, "%.*s", (int)p.fallback_length, p.fallback_length ? p.fallback : "");
}

double tn_block_call_number(const tn_block_call *call, const char *name) {
  const tn_ast_expr *e = tn_block_call_get(call, name);
  double value = 0;
  if (e) return tn_block_number(call->c, e, &value) ? value : 0;
  char *unit;
  value = strtod(fallback(call, name), &unit);
  return *unit ? value * tn_unit_factor(unit, &(tn_ast_unit){0}) : value;
}

void tn_block_call_pair(const tn_block_call *call, const char *name, double out[2]) {
  const tn_ast_expr *e = tn_block_call_get(call, name);
  const char *text = fallback(call, name);
  char *end;
  out[0] = out[1] = 0;
  for (size_t i = 0; e && e->kind == TN_AST_TUPLE && i < 2 && i < e->tuple.n; i++)
    tn_block_number(call->c, e->tuple.data[i].value, &out[i]);
  if (e || *text != '(') return;
  out[0] = strtod(text + 1, &end);
  out[1] = strtod(end + strspn(end, ", "), NULL);
}

const char *tn_block_call_word(const tn_block_call *call, const char *name) {
  const tn_ast_expr *e = tn_block_call_get(call, name);
  if (e) return e->kind == TN_AST_NAME ? e->name : NULL;
  const char *text = fallback(call, name);
  return *text && strcmp(text, "none") != 0 ? text : NULL;
}

const char *tn_block_call_text(const tn_block_call *call, const char *name) {
  const tn_ast_expr *e = tn_block_call_get(call, name);
  return e && e->kind == TN_AST_STRING ? e->string.text : NULL;
}

bool tn_block_call_bool(const tn_block_call *call, const char *name) {
  const tn_ast_expr *e = tn_block_call_get(call, name);
  if (!e) return strcmp(fallback(call, name), "true") == 0;
  const tn_datum *d = tn_eval_expr(call->c->frame, e);
  return d && d->kind == TN_DATUM_BOOL && d->truth;
}

double tn_setting_number(const tn_block_check *c, const tn_ast_body *body, const char *name, double otherwise) {
  const tn_ast_stmt *stmt = tn_setting_of(body, name);
  double value;
  return stmt && tn_block_number(c, stmt->value, &value) ? value : otherwise;
}
