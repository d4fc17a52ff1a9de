/* The chain of a field, from the columns it takes to the functions on them, as the plan says it. The functions' words
 * are those of settings.def, what their numbers mean stands with tnrt_link. */
#include <string.h>

#include "frontend/lang/job.h"

typedef struct chain {
  const tn_job *job;
  tn_tables *plan;
  size_t n_known; /* fields of the data block that stand before this one */
  TN_VEC(uint32_t) columns;
  TN_VEC(tnrt_link) links;
} chain;

static bool not_yet(const chain *h, const tn_ast_expr *e) {
  return tn_job_not_yet(h->job, e->loc, "%s in a chain of data", tn_expr_text(h->job->s, e));
}

static void add_link(chain *h, tnrt_link link) {
  if (!link.splits) link.splits = (1u << TNRT_N_SPLITS) - 1;
  TN_VEC_PUSH(h->job->s->arena, &h->links, link);
}

static void add_column(chain *h, const char *name) {
  uint32_t text = tn_tables_text(h->plan, name);
  TN_VEC_PUSH(h->job->s->arena, &h->columns, text);
}

/* --- Functions --- */

typedef struct link_row {
  const char *name;
  tnrt_link_kind kind;
  const char *integers[2], *numbers[2], *text; /* the parameters that go there */
} link_row;

static const link_row rows[] = {
    {"lower", TNRT_LINK_LOWER, {NULL, NULL}, {NULL, NULL}, NULL},
    {"join", TNRT_LINK_JOIN, {NULL, NULL}, {NULL, NULL}, NULL},
    {"words", TNRT_LINK_WORDS, {"vocab", NULL}, {NULL, NULL}, NULL},
    {"bpe", TNRT_LINK_BPE, {"vocab", NULL}, {NULL, NULL}, NULL},
    {"wordpiece", TNRT_LINK_WORDPIECE, {NULL, NULL}, {NULL, NULL}, "file"},
    {"pad_or_cut", TNRT_LINK_PAD_OR_CUT, {"T", "pad"}, {NULL, NULL}, NULL},
    {"length", TNRT_LINK_LENGTH, {NULL, NULL}, {NULL, NULL}, NULL},
    {"window", TNRT_LINK_WINDOW, {"k", NULL}, {NULL, NULL}, NULL},
    {"one_hot", TNRT_LINK_ONE_HOT, {"n", NULL}, {NULL, NULL}, NULL},
    {"bins", TNRT_LINK_BINS, {"n", NULL}, {NULL, NULL}, NULL},
    {"minmax", TNRT_LINK_MINMAX, {NULL, NULL}, {NULL, NULL}, NULL},
    {"impute", TNRT_LINK_IMPUTE, {NULL, NULL}, {NULL, NULL}, "with"},
    {"clip_outliers", TNRT_LINK_CLIP_OUTLIERS, {NULL, NULL}, {"sigma", NULL}, NULL},
    {"standardize", TNRT_LINK_STANDARDIZE, {NULL, NULL}, {NULL, NULL}, NULL},
    {"clamp", TNRT_LINK_CLAMP, {NULL, NULL}, {"lo", "hi"}, NULL},
    {"log", TNRT_LINK_LOG, {NULL, NULL}, {NULL, NULL}, NULL},
    {"log1p", TNRT_LINK_LOG1P, {NULL, NULL}, {NULL, NULL}, NULL},
    {"sqrt", TNRT_LINK_SQRT, {NULL, NULL}, {NULL, NULL}, NULL},
    {"abs", TNRT_LINK_ABS, {NULL, NULL}, {NULL, NULL}, NULL},
    {"pad", TNRT_LINK_PAD, {"n", NULL}, {NULL, NULL}, NULL},
    {"random_crop", TNRT_LINK_RANDOM_CROP, {"size", NULL}, {NULL, NULL}, NULL},
    {"flip", TNRT_LINK_FLIP, {NULL, NULL}, {NULL, NULL}, NULL},
    {"noise", TNRT_LINK_NOISE, {NULL, NULL}, {"std", NULL}, NULL},
};

static const link_row *find_row(const char *name) {
  for (size_t i = 0; i < TN_ARRAY_LEN(rows); i++)
    if (strcmp(rows[i].name, name) == 0) return &rows[i];
  return NULL;
}

/* One integer, or (random_crop) two. */
static bool put_integers(const chain *h, const tn_block_call *call, const char *name, int64_t *out) {
  const tn_ast_expr *e = tn_block_call_get(call, name);
  if (!e) return *out = (int64_t)tn_block_call_number(call, name), true;
  tn_frame *frame = h->job->c.frame;
  if (e->kind != TN_AST_TUPLE) {
    if (!tn_eval_static_int(frame, e, name, out)) return false;
    if (strcmp(name, "size") == 0) out[1] = out[0];
    return true;
  }
  if (e->tuple.n != 2) return not_yet(h, e);
  return tn_eval_static_int(frame, e->tuple.data[0].value, name, &out[0]) &&
         tn_eval_static_int(frame, e->tuple.data[1].value, name, &out[1]);
}

static bool walk(chain *h, const tn_ast_expr *e);

static bool find_field(const chain *h, const tn_ast_expr *e, uint32_t *out) {
  for (size_t i = 0; e && e->kind == TN_AST_NAME && i < h->job->fields.n; i++)
    if (strcmp(h->job->fields.data[i].name, e->name) == 0) return *out = (uint32_t)i, true;
  return false;
}

/* What a function takes besides a pipe: length(x) measures a field, join(a, b) takes columns. */
static bool take_arguments(chain *h, const tn_block_call *call, const tn_ast_expr *e, tnrt_link *link) {
  if (link->kind == TNRT_LINK_WINDOW) return true;
  if (link->kind == TNRT_LINK_LENGTH)
    return call->n_piped == 0 && find_field(h, tn_block_call_get(call, "x"), &link->field) ? true : not_yet(h, e);
  if (link->kind != TNRT_LINK_JOIN) {
    const tn_ast_expr *x = tn_block_call_get(call, "x");
    return call->n_piped || (x && walk(h, x));
  }
  for (size_t i = 0; i < call->args->n; i++)
    if (call->args->data[i].value->kind != TN_AST_NAME || !walk(h, call->args->data[i].value))
      return not_yet(h, e);
  return h->links.n ? not_yet(h, e) : true;
}

static bool walk_call(chain *h, const tn_ast_expr *e, uint32_t n_piped) {
  tn_block_call call;
  if (!tn_block_call_read(&h->job->c, "field", e, n_piped, &call)) return not_yet(h, e);
  const link_row *row = find_row(call.function->name);
  tnrt_link link = {.kind = row->kind};
  if (!take_arguments(h, &call, e, &link)) return false;
  for (int i = 0; i < 2; i++)
    if (row->integers[i] && !put_integers(h, &call, row->integers[i], &link.integers[i])) return false;
  for (int i = 0; i < 2; i++)
    if (row->numbers[i]) link.numbers[i] = tn_block_call_number(&call, row->numbers[i]);
  if (link.kind == TNRT_LINK_CLAMP && link.numbers[0] > link.numbers[1])
    return tn_error(h->job->s->ctx, e->loc, TN_E_LANG_VALUE, "clamp: lo is greater than hi");
  bool is_word = row->kind == TNRT_LINK_IMPUTE;
  if (row->text)
    link.text = tn_tables_text(h->plan, (is_word ? tn_block_call_word : tn_block_call_text)(&call, row->text));
  const tn_ast_expr *on = tn_block_call_has(&call, "on") ? tn_block_call_get(&call, "on") : NULL;
  if (on) link.splits = 1u << tn_job_split(on->name);
  add_link(h, link);
  return true;
}

/* --- Arithmetic --- */

static const tnrt_link_kind links[TN_AST_N_OPS][2] = {
    [TN_AST_ADD] = {TNRT_LINK_ADD, TNRT_LINK_ADD},
    [TN_AST_SUB] = {TNRT_LINK_SUB, TNRT_LINK_RSUB},
    [TN_AST_MUL] = {TNRT_LINK_MUL, TNRT_LINK_MUL},
    [TN_AST_DIV] = {TNRT_LINK_DIV, TNRT_LINK_RDIV}};

/* A number that is known now: nothing in it is a column. */
static bool number_of(const chain *h, const tn_ast_expr *e, double *out) {
  double ignored;
  bool is_operator = e->kind == TN_AST_UNARY || e->kind == TN_AST_BINARY;
  if (e->kind == TN_AST_CALL && tn_block_function_find("field", tn_expr_text(h->job->s, e->call.callee))) return false;
  if (is_operator && ((e->op.left && !number_of(h, e->op.left, &ignored)) || !number_of(h, e->op.right, &ignored)))
    return false;
  return tn_block_number(&h->job->c, e, out);
}

static bool walk_operator(chain *h, const tn_ast_expr *e) {
  double number = -1;
  tn_ast_op op = e->op.op == TN_AST_NEG ? TN_AST_MUL : e->op.op;
  bool known = op == TN_AST_ADD || op == TN_AST_SUB || op == TN_AST_MUL || op == TN_AST_DIV;
  if (!known) return not_yet(h, e);
  bool right = !e->op.left || number_of(h, e->op.right, &number); /* the number is on the right */
  bool left = !right && number_of(h, e->op.left, &number);
  if (!right && !left) return not_yet(h, e);
  if (!walk(h, e->op.left && right ? e->op.left : e->op.right)) return false;
  add_link(h, (tnrt_link){.kind = links[op][left], .numbers = {number}});
  return true;
}

static bool walk_name(chain *h, const tn_ast_expr *e) {
  const tn_ast_body *body = h->job->data->body;
  size_t known = h->n_known;
  for (size_t i = 0, k = 0; i < body->stmts.n && k < known; i++) {
    const tn_ast_stmt *stmt = body->stmts.data[i];
    if (stmt->kind != TN_AST_FIELD) continue;
    k++;
    if (stmt->name.text != e->name) continue;
    h->n_known = k - 1; /* its own chain sees what stands before it */
    bool ok = walk(h, stmt->value);
    h->n_known = known;
    return ok;
  }
  add_column(h, e->name);
  return true;
}

/* A key inside of a key of a line of JSON. */
static bool walk_member(chain *h, const tn_ast_expr *e) {
  tn_buf name = tn_buf_create(h->job->s->arena);
  tn_ast_print_expr(e, &name);
  add_column(h, tn_name(h->job->s->ctx, name.data));
  return true;
}

/* What gives a number for a number, each by itself. */
static bool is_elementwise(uint32_t kind) {
  return kind == TNRT_LINK_MINMAX || kind == TNRT_LINK_IMPUTE || kind == TNRT_LINK_CLIP_OUTLIERS ||
         kind == TNRT_LINK_BINS || (kind >= TNRT_LINK_LOG && kind <= TNRT_LINK_ABS) ||
         (kind >= TNRT_LINK_ADD && kind <= TNRT_LINK_STANDARDIZE);
}

/* The columns of its parts, one after the other; a part's functions are done to its own. */
static bool walk_tuple(chain *h, const tn_ast_expr *e) {
  for (size_t i = 0; i < e->tuple.n; i++) {
    const tn_ast_expr *part = e->tuple.data[i].value;
    size_t column = h->columns.n, link = h->links.n;
    if (!walk(h, part)) return false;
    if (h->columns.n == column) return not_yet(h, part);
    for (; link < h->links.n; link++) {
      tnrt_link *own = &h->links.data[link];
      if (!is_elementwise(own->kind)) return not_yet(h, part);
      if (own->n) continue; /* of a tuple in this one */
      own->first = (uint32_t)column;
      own->n = (uint32_t)(h->columns.n - column);
    }
  }
  return true;
}

static bool walk(chain *h, const tn_ast_expr *e) {
  switch (e->kind) {
    case TN_AST_NAME: return walk_name(h, e);
    case TN_AST_MEMBER: return walk_member(h, e);
    case TN_AST_CALL: return walk_call(h, e, 0);
    case TN_AST_UNARY:
    case TN_AST_BINARY: return walk_operator(h, e);
    case TN_AST_PIPE: return walk(h, e->pipe.left) && walk_call(h, e->pipe.right, 1);
    case TN_AST_TUPLE: return walk_tuple(h, e);
    default: return not_yet(h, e);
  }
}

/* Without a body: x is the rest, y the target; of arrays they are those of these names. */
static void own_columns(chain *h, const tn_job_field *field, const tn_block_call *call) {
  const char *target = tn_block_call_text(call, "target");
  bool is_table = tn_block_call_has(call, "target");
  if (is_table && strcmp(field->name, "y") == 0 && target) add_column(h, target);
  if (!is_table) add_column(h, field->name);
}

static size_t fields_before(const tn_job *job, const tn_ast_stmt *stmt) {
  size_t n = 0;
  for (size_t i = 0; job->data->body && job->data->body->stmts.data[i] != stmt; i++)
    n += job->data->body->stmts.data[i]->kind == TN_AST_FIELD;
  return n;
}

bool tn_job_plan_chain(const tn_job *job, tn_tables *plan, const tn_job_field *field, tnrt_field *out) {
  chain h = {.job = job, .plan = plan};
  tn_block_call source;
  if (!tn_block_call_read(&job->c, "source", job->data->value, 0, &source)) return false;
  if (!field->stmt) own_columns(&h, field, &source);
  else {
    h.n_known = fields_before(job, field->stmt);
    if (!walk(&h, field->stmt->value)) return false;
  }
  out->n_columns = (uint32_t)h.columns.n;
  out->columns = (uint32_t)tn_tables_add(plan, h.columns.data, h.columns.n, sizeof(*h.columns.data));
  out->n_links = (uint32_t)h.links.n;
  out->links = (uint32_t)tn_tables_add(plan, h.links.data, h.links.n, sizeof(*h.links.data));
  return true;
}
