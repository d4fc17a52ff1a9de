/* Making nodes; see tree.h. */
#include "frontend/lang/tree.h"

#define LOC(at) tn_lang_loc(parser, at)

tn_ast_name tn_tree_name(tn_lang_parser *parser, tn_lang_range at) {
  const tn_lang_token *token = &parser->tokens.data[at.first];
  return (tn_ast_name){tn_intern(parser->ctx->strings, parser->text + token->offset, token->length), LOC(at)};
}

tn_ast_names tn_tree_names(tn_lang_parser *parser, tn_ast_name first) {
  tn_ast_names names = {0};
  TN_VEC_PUSH(parser->ctx->arena, &names, first);
  return names;
}

/* --- Expressions --- */

static uint32_t deeper(uint32_t depth, const tn_ast_expr *part) {
  return part && part->depth > depth ? part->depth : depth;
}

/* depth: of the deepest part. */
static tn_ast_expr *new_expr(tn_lang_parser *parser, tn_lang_range at, tn_ast_expr_kind kind, uint32_t depth) {
  tn_ast_expr *expr = TN_NEW(parser->ctx->arena, tn_ast_expr);
  *expr = (tn_ast_expr){.kind = kind, .loc = LOC(at), .depth = depth + 1};
  if (expr->depth > TN_AST_MAX_DEPTH && !parser->too_deep) {
    tn_lang_error(parser, expr->loc, TN_E_LIMIT, "the expression is more than %d levels deep", TN_AST_MAX_DEPTH);
    parser->too_deep = true;
    parser->stopped = true;
  }
  return expr;
}

static uint32_t depth_of_args(const tn_ast_args *args) {
  uint32_t depth = 0;
  for (size_t i = 0; i < args->n; i++) depth = deeper(depth, args->data[i].value);
  return depth;
}

tn_ast_expr *tn_tree_name_expr(tn_lang_parser *parser, tn_lang_range at, tn_ast_name name) {
  tn_ast_expr *expr = new_expr(parser, at, TN_AST_NAME, 0);
  expr->name = name.text;
  return expr;
}

tn_ast_expr *tn_tree_tuple(tn_lang_parser *parser, tn_lang_range at, tn_ast_args args) {
  if (args.n == 1 && !args.data[0].name.text) {
    args.data[0].value->loc = LOC(at);
    return args.data[0].value;
  }
  tn_ast_expr *expr = new_expr(parser, at, TN_AST_TUPLE, depth_of_args(&args));
  expr->tuple = args;
  return expr;
}

/* Once an argument is named, those after it are named too. */
static void check_order(tn_lang_parser *parser, const tn_ast_args *args) {
  const tn_ast_arg *named = NULL;
  for (size_t i = 0; i < args->n; i++) {
    const tn_ast_arg *arg = &args->data[i];
    if (arg->name.text) named = arg;
    if (arg->name.text || !named) continue;
    tn_lang_error(parser, arg->loc, TN_E_LANG_SYNTAX, "an argument without a name stands behind a named one");
    tn_note(parser->ctx, named->loc, "'%s' is named here", named->name.text);
    return;
  }
}

tn_ast_expr *tn_tree_call(tn_lang_parser *parser, tn_lang_range at, tn_ast_expr *callee, tn_ast_args args) {
  check_order(parser, &args);
  tn_ast_expr *expr = new_expr(parser, at, TN_AST_CALL, deeper(depth_of_args(&args), callee));
  expr->call.callee = callee;
  expr->call.args = args;
  return expr;
}

tn_ast_expr *tn_tree_member(tn_lang_parser *parser, tn_lang_range at, tn_ast_expr *object, tn_ast_name name) {
  tn_ast_expr *expr = new_expr(parser, at, TN_AST_MEMBER, object->depth);
  expr->member.object = object;
  expr->member.name = name;
  return expr;
}

tn_ast_expr *tn_tree_index(tn_lang_parser *parser, tn_lang_range at, tn_ast_expr *object, tn_ast_idxs entries) {
  uint32_t depth = object->depth;
  for (size_t i = 0; i < entries.n; i++) depth = deeper(depth, entries.data[i].value);
  tn_ast_expr *expr = new_expr(parser, at, TN_AST_INDEX, depth);
  expr->index.object = object;
  expr->index.entries = entries;
  return expr;
}

tn_ast_expr *tn_tree_binary(tn_lang_parser *parser, tn_lang_range at, tn_ast_op op, tn_ast_expr *left,
                            tn_lang_range op_at, tn_ast_expr *right) {
  tn_ast_expr *expr = new_expr(parser, at, left ? TN_AST_BINARY : TN_AST_UNARY, deeper(right->depth, left));
  expr->op.op = op;
  expr->op.op_loc = LOC(op_at);
  expr->op.left = left;
  expr->op.right = right;
  return expr;
}

tn_ast_expr *tn_tree_range(tn_lang_parser *parser, tn_lang_range at, tn_ast_expr *first, tn_ast_expr *end) {
  if (first->kind == TN_AST_RANGE && first->range.step)
    tn_lang_error(parser, LOC(at), TN_E_LANG_SYNTAX, "a range has a start, an end and at most a step");
  if (end->kind == TN_AST_RANGE) tn_lang_error(parser, end->loc, TN_E_LANG_SYNTAX, "a range ends with a number");
  tn_ast_expr *expr = new_expr(parser, at, TN_AST_RANGE, deeper(first->depth, end));
  bool stepped = first->kind == TN_AST_RANGE;
  expr->range.first = stepped ? first->range.first : first;
  expr->range.end = stepped ? first->range.end : end;
  expr->range.step = stepped ? end : NULL;
  return expr;
}

tn_ast_expr *tn_tree_pipe(tn_lang_parser *parser, tn_lang_range at, tn_ast_expr *left, tn_lang_range op_at,
                          tn_ast_expr *right) {
  bool ok = right->kind == TN_AST_NAME || right->kind == TN_AST_MEMBER || right->kind == TN_AST_CALL;
  if (!ok) {
    tn_lang_error(parser, right->loc, TN_E_LANG_SYNTAX, "expected a name or a call at the right of '|>'");
    if (!parser->stopped) tn_underline(parser->ctx, LOC(op_at));
    if (right->kind == TN_AST_BINARY)
      tn_help(parser->ctx, "'|>' binds weaker than '%s': put the pipe in parentheses", tn_ast_op_text(right->op.op));
  }
  tn_ast_expr *expr = new_expr(parser, at, TN_AST_PIPE, deeper(right->depth, left));
  expr->pipe.left = left;
  expr->pipe.right = right;
  expr->pipe.op_loc = LOC(op_at);
  return expr;
}

/* --- Types --- */

tn_ast_type *tn_tree_type(tn_lang_parser *parser, tn_lang_range at, tn_lang_range name, bool has_dims,
                          tn_ast_dims dims) {
  tn_ast_type *type = TN_NEW(parser->ctx->arena, tn_ast_type);
  *type = (tn_ast_type){.loc = LOC(at), .name = tn_tree_name(parser, name), .has_dims = has_dims, .dims = dims};
  return type;
}

tn_ast_type *tn_tree_type_tuple(tn_lang_parser *parser, tn_lang_range at, tn_ast_types parts) {
  tn_ast_type *type = TN_NEW(parser->ctx->arena, tn_ast_type);
  *type = (tn_ast_type){.loc = LOC(at), .parts = parts};
  return type;
}

tn_ast_dim tn_tree_dim(tn_lang_parser *parser, tn_lang_range at, tn_ast_expr *extent, tn_ast_names axes) {
  return (tn_ast_dim){.loc = LOC(at), .extent = extent, .axes = axes};
}

/* --- Statements --- */

tn_ast_body *tn_tree_body(tn_lang_parser *parser, tn_ast_body *body, tn_ast_stmt *stmt) {
  if (!body) body = TN_NEW(parser->ctx->arena, tn_ast_body);
  if (stmt) TN_VEC_PUSH(parser->ctx->arena, &body->stmts, stmt);
  return body;
}

tn_ast_body *tn_tree_end_body(tn_lang_parser *parser, tn_lang_range at, tn_ast_body *body) {
  if (!body) body = TN_NEW(parser->ctx->arena, tn_ast_body);
  body->loc = LOC(at);
  return body;
}

static tn_ast_stmt *new_stmt(tn_lang_parser *parser, tn_lang_range at, tn_ast_stmt_kind kind) {
  tn_ast_stmt *stmt = TN_NEW(parser->ctx->arena, tn_ast_stmt);
  *stmt = (tn_ast_stmt){.kind = kind, .loc = LOC(at), .doc = parser->tokens.data[at.first].doc};
  return stmt;
}

tn_ast_stmt *tn_tree_value(tn_lang_parser *parser, tn_lang_range at, tn_ast_stmt_kind kind, tn_ast_name name,
                           tn_ast_type *type, tn_ast_expr *value) {
  tn_ast_stmt *stmt = new_stmt(parser, at, kind);
  stmt->name = name;
  stmt->type = type;
  stmt->value = value;
  return stmt;
}

tn_ast_stmt *tn_tree_let(tn_lang_parser *parser, tn_lang_range at, tn_lang_lhs lhs, tn_ast_type *type,
                         tn_ast_expr *value) {
  tn_ast_stmt *stmt = new_stmt(parser, at, TN_AST_LET);
  stmt->names = lhs.names;
  stmt->in_parens = lhs.in_parens;
  stmt->type = type;
  stmt->value = value;
  return stmt;
}

tn_ast_stmt *tn_tree_scan(tn_lang_parser *parser, tn_lang_range at, tn_lang_lhs lhs, tn_ast_expr *value,
                          tn_ast_name along, tn_ast_carries carries) {
  tn_ast_stmt *stmt = new_stmt(parser, at, TN_AST_SCAN);
  stmt->names = lhs.names;
  stmt->in_parens = lhs.in_parens;
  stmt->value = value;
  stmt->along = along;
  stmt->carries = carries;
  return stmt;
}

tn_ast_stmt *tn_tree_glob(tn_lang_parser *parser, tn_lang_range at, tn_ast_stmt_kind kind, tn_lang_range glob,
                          tn_ast_body *body) {
  tn_ast_stmt *stmt = new_stmt(parser, at, kind);
  stmt->glob = tn_tree_string(parser, glob);
  stmt->body = body;
  return stmt;
}

/* --- Items --- */

tn_ast_formal tn_tree_formal(tn_lang_parser *parser, tn_lang_range at, tn_ast_name name, tn_ast_type *type,
                             tn_ast_expr *value) {
  return (tn_ast_formal){LOC(at), parser->tokens.data[at.first].doc, name, type, value};
}

tn_ast_item *tn_tree_item(tn_lang_parser *parser, tn_lang_range at, tn_ast_item_kind kind, tn_ast_name name) {
  tn_ast_item *item = TN_NEW(parser->ctx->arena, tn_ast_item);
  *item = (tn_ast_item){.kind = kind, .loc = LOC(at), .doc = parser->tokens.data[at.first].doc, .name = name};
  return item;
}

tn_ast_item *tn_tree_import(tn_lang_parser *parser, tn_lang_range at, tn_lang_range path, tn_ast_name name,
                            bool is_selected) {
  tn_ast_item *item = tn_tree_item(parser, at, TN_AST_IMPORT, name);
  item->text = tn_tree_string(parser, path);
  item->is_selected = is_selected;
  return item;
}

tn_ast_item *tn_tree_module(tn_lang_parser *parser, tn_lang_range at, tn_ast_item_kind kind, tn_ast_name name,
                            tn_ast_formals formals, tn_ast_type *result, tn_lang_def def) {
  tn_ast_item *item = tn_tree_item(parser, at, kind, name);
  item->formals = formals;
  item->result = result;
  item->value = def.value;
  item->body = def.body;
  return item;
}

tn_ast_item *tn_tree_block(tn_lang_parser *parser, tn_lang_range at, tn_ast_item_kind kind, tn_ast_name name,
                           tn_ast_name source, tn_ast_body *body) {
  tn_ast_item *item = tn_tree_item(parser, at, kind, name);
  item->source = source;
  item->body = body;
  return item;
}

tn_ast_item *tn_tree_test(tn_lang_parser *parser, tn_lang_range at, tn_lang_range title, tn_ast_body *body) {
  tn_ast_item *item = tn_tree_item(parser, at, TN_AST_TEST, (tn_ast_name){0});
  item->text = tn_tree_string(parser, title);
  item->body = body;
  return item;
}

void tn_tree_add_item(tn_lang_parser *parser, tn_ast_item *item) {
  if (item) TN_VEC_PUSH(parser->ctx->arena, &parser->file->items, item);
}

void tn_tree_version(tn_lang_parser *parser, tn_lang_range number) {
  const tn_ast_expr *expr = tn_tree_number(parser, number);
  if (expr->kind != TN_AST_INT || expr->number.unit != TN_AST_UNIT_NONE || expr->number.integer != 1)
    tn_lang_error(parser, expr->loc, TN_E_LANG_SYNTAX, "expected version 1 of the language, found '%s'",
                  expr->number.text);
  parser->file->version = expr->number.integer;
}
