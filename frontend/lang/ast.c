/* Names of the kinds of nodes, and expressions and types in source form; see ast.h. */
#include "frontend/lang/ast.h"

#include <string.h>

/* How tightly operators bind; a greater number binds tighter. The grammar (grammar/tenon.y) has the same order. */
enum {
  BIND_PIPE, BIND_RANGE, BIND_OR, BIND_AND, BIND_NOT, BIND_COMPARE, BIND_ADD, BIND_MUL, BIND_NEG, BIND_POW, BIND_POSTFIX
};

static const struct {
  const char *text;
  int binding;
} ops[TN_AST_N_OPS] = {
    [TN_AST_NEG] = {"-", BIND_NEG},    [TN_AST_NOT] = {"not ", BIND_NOT}, [TN_AST_OR] = {"or", BIND_OR},
    [TN_AST_AND] = {"and", BIND_AND},  [TN_AST_EQ] = {"==", BIND_COMPARE}, [TN_AST_NE] = {"!=", BIND_COMPARE},
    [TN_AST_LT] = {"<", BIND_COMPARE}, [TN_AST_GT] = {">", BIND_COMPARE}, [TN_AST_LE] = {"<=", BIND_COMPARE},
    [TN_AST_GE] = {">=", BIND_COMPARE}, [TN_AST_ADD] = {"+", BIND_ADD},   [TN_AST_SUB] = {"-", BIND_ADD},
    [TN_AST_MUL] = {"*", BIND_MUL},    [TN_AST_DIV] = {"/", BIND_MUL},    [TN_AST_MOD] = {"%", BIND_MUL},
    [TN_AST_POW] = {"^", BIND_POW}};

const char *tn_ast_op_text(tn_ast_op op) { return op == TN_AST_NOT ? "not" : ops[op].text; }

const char *tn_ast_stmt_kind_text(tn_ast_stmt_kind kind) {
  static const char *const names[] = {
      [TN_AST_RETURN] = "return",   [TN_AST_LET] = "let",       [TN_AST_SET] = "set",
      [TN_AST_ADD_TO] = "add",
      [TN_AST_FIELD] = "field",     [TN_AST_PARAM] = "param",   [TN_AST_BUFFER] = "buffer",
      [TN_AST_SUB_DECL] = "sub",    [TN_AST_FOR] = "for",       [TN_AST_SCAN] = "scan",
      [TN_AST_YIELD] = "yield",
      [TN_AST_EVERY] = "every",     [TN_AST_STOP] = "stop",     [TN_AST_ON] = "on",
      [TN_AST_REQUIRE] = "require", [TN_AST_FREEZE] = "freeze", [TN_AST_UNFREEZE] = "unfreeze",
      [TN_AST_PARAMS] = "params",   [TN_AST_DO] = "do"};
  return names[kind];
}

const char *tn_ast_item_kind_text(tn_ast_item_kind kind) {
  static const char *const names[] = {
      [TN_AST_IMPORT] = "import", [TN_AST_DIM] = "dim",     [TN_AST_LET_ITEM] = "let",      [TN_AST_MESH] = "mesh",
      [TN_AST_DATA] = "data",     [TN_AST_MODULE] = "module", [TN_AST_MODEL] = "model",     [TN_AST_TRAIN] = "train",
      [TN_AST_COMPRESS] = "compress", [TN_AST_DEPLOY] = "deploy", [TN_AST_TEST] = "test"};
  return names[kind];
}

static int binding_of(const tn_ast_expr *expr) {
  switch (expr->kind) {
    case TN_AST_UNARY:
    case TN_AST_BINARY: return ops[expr->op.op].binding;
    case TN_AST_RANGE: return BIND_RANGE;
    case TN_AST_PIPE: return BIND_PIPE;
    default: return BIND_POSTFIX;
  }
}

static void put_bound(const tn_ast_expr *expr, int at_least, tn_buf *out) {
  bool parens = binding_of(expr) < at_least;
  if (parens) tn_buf_putc(out, '(');
  tn_ast_print_expr(expr, out);
  if (parens) tn_buf_putc(out, ')');
}

static void put_args(const tn_ast_args *args, tn_buf *out) {
  tn_buf_putc(out, '(');
  for (size_t i = 0; i < args->n; i++) {
    const tn_ast_arg *arg = &args->data[i];
    if (i) tn_buf_puts(out, ", ");
    if (arg->name.text) tn_buf_printf(out, "%s: ", arg->name.text);
    tn_ast_print_expr(arg->value, out);
  }
  tn_buf_putc(out, ')');
}

static void put_entries(const tn_ast_idxs *entries, tn_buf *out) {
  tn_buf_putc(out, '[');
  for (size_t i = 0; i < entries->n; i++) {
    const tn_ast_idx *entry = &entries->data[i];
    if (i) tn_buf_puts(out, ", ");
    if (entry->dim.text) tn_buf_printf(out, "%s: ", entry->dim.text);
    if (entry->value) tn_ast_print_expr(entry->value, out);
    else tn_buf_puts(out, "..");
  }
  tn_buf_putc(out, ']');
}

/* Comparisons do not chain, '^' groups to the right, all others to the left. */
static void put_binary(const tn_ast_expr *expr, tn_buf *out) {
  int binding = ops[expr->op.op].binding;
  bool right = expr->op.op == TN_AST_POW;
  put_bound(expr->op.left, binding + (right || binding == BIND_COMPARE), out);
  tn_buf_printf(out, " %s ", ops[expr->op.op].text);
  put_bound(expr->op.right, binding + !right, out);
}

static void put_range(const tn_ast_expr *expr, tn_buf *out) {
  const tn_ast_expr *parts[] = {expr->range.first, expr->range.end, expr->range.step};
  for (size_t i = 0; i < 3 && parts[i]; i++) {
    if (i) tn_buf_puts(out, "..");
    put_bound(parts[i], BIND_RANGE + 1, out);
  }
}

void tn_ast_print_expr(const tn_ast_expr *expr, tn_buf *out) {
  switch (expr->kind) {
    case TN_AST_NAME: tn_buf_puts(out, expr->name); break;
    case TN_AST_INT:
    case TN_AST_FLOAT: tn_buf_puts(out, expr->number.text); break;
    case TN_AST_STRING:
      tn_buf_putc(out, '"');
      tn_buf_escape(out, expr->string.text, strlen(expr->string.text));
      tn_buf_putc(out, '"');
      break;
    case TN_AST_TUPLE: put_args(&expr->tuple, out); break;
    case TN_AST_CALL:
      put_bound(expr->call.callee, BIND_POSTFIX, out);
      put_args(&expr->call.args, out);
      break;
    case TN_AST_MEMBER:
      put_bound(expr->member.object, BIND_POSTFIX, out);
      tn_buf_printf(out, ".%s", expr->member.name.text);
      break;
    case TN_AST_INDEX:
      put_bound(expr->index.object, BIND_POSTFIX, out);
      put_entries(&expr->index.entries, out);
      break;
    case TN_AST_UNARY:
      tn_buf_puts(out, ops[expr->op.op].text);
      put_bound(expr->op.right, ops[expr->op.op].binding, out);
      break;
    case TN_AST_BINARY: put_binary(expr, out); break;
    case TN_AST_RANGE: put_range(expr, out); break;
    case TN_AST_PIPE:
      put_bound(expr->pipe.left, BIND_PIPE, out);
      tn_buf_puts(out, " |> ");
      put_bound(expr->pipe.right, BIND_POSTFIX, out);
      break;
  }
}

static void put_dim(const tn_ast_dim *dim, tn_buf *out) {
  if (dim->extent) tn_ast_print_expr(dim->extent, out);
  else tn_buf_printf(out, "..%s", dim->rest.text);
  if (dim->axes.n == 0) return;
  tn_buf_puts(out, dim->axes.n > 1 ? "@(" : "@");
  for (size_t i = 0; i < dim->axes.n; i++) tn_buf_printf(out, "%s%s", i ? ", " : "", dim->axes.data[i].text);
  if (dim->axes.n > 1) tn_buf_putc(out, ')');
}

void tn_ast_print_type(const tn_ast_type *type, tn_buf *out) {
  if (!type->name.text) tn_buf_putc(out, '(');
  else tn_buf_puts(out, type->name.text);
  for (size_t i = 0; i < type->parts.n; i++) {
    if (i) tn_buf_puts(out, ", ");
    tn_ast_print_type(type->parts.data[i], out);
  }
  if (!type->name.text) tn_buf_putc(out, ')');
  if (!type->has_dims) return;
  tn_buf_putc(out, '[');
  for (size_t i = 0; i < type->dims.n; i++) {
    if (i) tn_buf_puts(out, ", ");
    put_dim(&type->dims.data[i], out);
  }
  tn_buf_putc(out, ']');
}

static bool args_use_name(const tn_ast_args *args, const char *name) {
  for (size_t i = 0; i < args->n; i++)
    if (tn_ast_uses_name(args->data[i].value, name)) return true;
  return false;
}

bool tn_ast_uses_name(const tn_ast_expr *e, const char *name) {
  if (!e) return false;
  switch (e->kind) {
    case TN_AST_NAME: return e->name == name;
    case TN_AST_TUPLE: return args_use_name(&e->tuple, name);
    case TN_AST_CALL: return tn_ast_uses_name(e->call.callee, name) || args_use_name(&e->call.args, name);
    case TN_AST_MEMBER: return tn_ast_uses_name(e->member.object, name);
    case TN_AST_INDEX:
      for (size_t i = 0; i < e->index.entries.n; i++)
        if (tn_ast_uses_name(e->index.entries.data[i].value, name)) return true;
      return tn_ast_uses_name(e->index.object, name);
    case TN_AST_UNARY:
    case TN_AST_BINARY: return tn_ast_uses_name(e->op.left, name) || tn_ast_uses_name(e->op.right, name);
    case TN_AST_RANGE:
      return tn_ast_uses_name(e->range.first, name) || tn_ast_uses_name(e->range.end, name) ||
             tn_ast_uses_name(e->range.step, name);
    case TN_AST_PIPE: return tn_ast_uses_name(e->pipe.left, name) || tn_ast_uses_name(e->pipe.right, name);
    default: return false;
  }
}
