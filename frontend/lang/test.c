/* test blocks: `let` and `require` over models with small inputs, run by the reference when the file is checked, and
 * conditions over numbers that training measures, which are checked. Weights without a value get those of --init, of
 * seed 0 when it is not given. */
#include <string.h>

#include "frontend/lang/blocks.h"

/* A condition that is computed: the value that must be true, and the two sides of a comparison. */
typedef struct test_claim {
  const tn_ast_stmt *stmt;
  tn_value *truth;    /* NULL: it is known to be false */
  tn_value *sides[2]; /* NULL where they are known already, or no scalars */
} test_claim;

typedef struct test {
  tn_block_check *c;
  const tn_ast_item *item;
  TN_VEC(test_claim) claims;
} test;

/* Whether an expression is about training or a compiled model: valid.acc, M.static(flops). */
static bool is_measured(const test *t, const tn_ast_expr *e) {
  if (!e) return false;
  switch (e->kind) {
    case TN_AST_MEMBER: {
      const tn_ast_expr *root = e->member.object;
      while (root->kind == TN_AST_MEMBER) root = root->member.object;
      return root->kind == TN_AST_NAME && !tn_frame_find(t->c->frame, root->name);
    }
    case TN_AST_CALL: {
      const char *name = tn_head_name(e);
      bool own = name && (strcmp(name, "static") == 0 || tn_block_function_find("condition", name));
      return own || is_measured(t, e->call.callee);
    }
    case TN_AST_UNARY:
    case TN_AST_BINARY: return is_measured(t, e->op.left) || is_measured(t, e->op.right);
    default: return false;
  }
}

static void fails(const test *t, const test_claim *claim, const char *values) {
  tn_error(t->c->s->ctx, claim->stmt->value->loc, TN_E_LANG_TEST, "test \"%s\" fails: %s%s", t->item->text.text,
           tn_expr_text(t->c->s, claim->stmt->value), values);
}

static tn_value *scalar_of(const tn_datum *d) {
  return d->kind == TN_DATUM_TENSOR && tn_datum_ndim(d) == 0 ? d->tensor.value : NULL;
}

static void add_claim(test *t, const tn_ast_stmt *stmt) {
  tn_frame *f = t->c->frame;
  const tn_ast_expr *e = stmt->value;
  test_claim claim = {.stmt = stmt};
  tn_datum *d;
  if (e->kind == TN_AST_BINARY && e->op.op >= TN_AST_EQ && e->op.op <= TN_AST_GE) {
    tn_datum *x = tn_eval_expr(f, e->op.left), *y = tn_eval_expr(f, e->op.right);
    if (!x || !y) return;
    claim.sides[0] = scalar_of(x);
    claim.sides[1] = scalar_of(y);
    tn_loc_push(t->c->s->ctx, e->loc);
    d = tn_eval_binary(f, e->op.op, x, y, e->loc);
    tn_loc_pop(t->c->s->ctx);
  } else {
    d = tn_eval_expr(f, e);
  }
  if (!d) return;
  if (d->kind == TN_DATUM_BOOL) {
    if (!d->truth) TN_VEC_PUSH(t->c->s->arena, &t->claims, claim);
    return;
  }
  claim.truth = scalar_of(d);
  if (claim.truth && claim.truth->type->dtype == TN_BOOL) TN_VEC_PUSH(t->c->s->arena, &t->claims, claim);
  else {
    tn_error(t->c->s->ctx, e->loc, TN_E_LANG_KIND, "expected one condition, found %s", tn_datum_describe(t->c->s, d));
    if (d->kind == TN_DATUM_TENSOR) tn_help(t->c->s->ctx, "all(...) or any(...) makes one of many");
  }
}

/* --- Running --- */

static const char *number_text(tn_sema *s, const tn_tensor *tensor) {
  if (tn_dtype_is_float(tensor->dtype)) return tn_namef(s->ctx, "%.9g", tensor->data[0].f);
  return tn_namef(s->ctx, "%lld", (long long)tensor->data[0].i);
}

/* Each claim's truth, then its sides; n outputs in all. */
static uint32_t collect(const test *t, tn_value **values) {
  uint32_t n = 0;
  for (size_t i = 0; i < t->claims.n; i++) {
    const test_claim *claim = &t->claims.data[i];
    if (!claim->truth) continue;
    values[n++] = claim->truth;
    for (int k = 0; k < 2; k++)
      if (claim->sides[k]) values[n++] = claim->sides[k];
  }
  return n;
}

static void judge(const test *t, tn_tensor *const *outputs) {
  tn_sema *s = t->c->s;
  for (size_t i = 0; i < t->claims.n; i++) {
    const test_claim *claim = &t->claims.data[i];
    bool truth = claim->truth && (*outputs++)->data[0].i != 0;
    tn_buf sides = tn_buf_create(s->arena);
    tn_buf_puts(&sides, "");
    for (int k = 0; k < 2; k++)
      if (claim->truth && claim->sides[k])
        tn_buf_printf(&sides, "%s%s", sides.n ? " and " : ", found ", number_text(s, *outputs++));
    if (!truth) fails(t, claim, sides.data);
  }
}

static void run(const test *t) {
  tn_sema *s = t->c->s;
  size_t before = s->ctx->n_errors;
  tn_value **values = TN_NEW_N(s->arena, tn_value *, 3 * t->claims.n);
  tn_tensor **outputs = TN_NEW_N(s->arena, tn_tensor *, 3 * t->claims.n);
  uint32_t n = collect(t, values);
  tn_loc_push(s->ctx, t->item->loc);
  tn_build_return(&s->build, values, n);
  if (tn_eval_func(s->ctx, s->arena, s->func, TN_EVAL_EXACT, NULL, 0, outputs)) judge(t, outputs);
  else if (s->ctx->n_errors != before)
    tn_note(s->ctx, t->item->loc, "in test \"%s\"", t->item->text.text);
  tn_loc_pop(s->ctx);
}

void tn_test_check(tn_block_check *c, const tn_ast_item *item) {
  tn_sema *s = c->s;
  const tn_lang_options *given = s->options;
  tn_lang_options options = *given;
  test t = {.c = c, .item = item};
  size_t before = s->ctx->n_errors;
  bool weights_needed = s->weights_needed;
  options.has_init = true;
  s->options = &options;
  s->weights_needed = true;
  s->func = tn_func_create(s->module, tn_namef(s->ctx, "test_%zu", s->module->funcs.n), false);
  s->build = tn_build_at_end(s->func->body);
  tn_body_check(c, item->body);
  for (size_t i = 0; i < item->body->stmts.n; i++) {
    const tn_ast_stmt *stmt = item->body->stmts.data[i];
    if (stmt->kind == TN_AST_LET) tn_let_run(c->frame, stmt);
    if (stmt->kind != TN_AST_REQUIRE) continue;
    if (is_measured(&t, stmt->value)) tn_condition_check(c, stmt->value, false);
    else add_claim(&t, stmt);
  }
  if (t.claims.n && s->ctx->n_errors == before && !options.no_files) run(&t);
  s->options = given;
  s->weights_needed = weights_needed;
}
