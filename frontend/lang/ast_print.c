/* The syntax tree as text, a node a line; see tn_ast_print. */
#include <inttypes.h>
#include <string.h>

#include "frontend/lang/ast.h"

typedef struct printer {
  const tn_ctx *ctx;
  tn_buf *out;
  bool with_places;
  int depth;
} printer;

static void begin(printer *p) {
  for (int i = 0; i < p->depth; i++) tn_buf_puts(p->out, "  ");
}

static void end(printer *p, tn_loc loc) {
  const tn_loc_info *info = tn_loc_get(p->ctx, loc);
  if (p->with_places && info->kind == TN_LOC_KIND_SPAN)
    tn_buf_printf(p->out, " <%u:%u-%u:%u>", info->line, info->column, info->end_line, info->end_column);
  tn_buf_putc(p->out, '\n');
}

static void put_string(printer *p, const char *text) {
  tn_buf_puts(p->out, " \"");
  tn_buf_escape(p->out, text, strlen(text));
  tn_buf_putc(p->out, '"');
}

static void put_doc(printer *p, const char *doc) {
  if (!doc) return;
  p->depth++;
  begin(p);
  tn_buf_puts(p->out, "doc");
  put_string(p, doc);
  tn_buf_putc(p->out, '\n');
  p->depth--;
}

/* --- Expressions --- */

static void put_expr(printer *p, const tn_ast_expr *expr);

static void put_number(printer *p, const tn_ast_expr *expr) {
  static const char *const units[] = {"", " bytes", " seconds"};
  bool whole = expr->kind == TN_AST_INT;
  tn_buf_printf(p->out, "%s %s", whole ? "int" : "float", expr->number.text);
  if (expr->number.unit == TN_AST_UNIT_NONE) return;
  tn_buf_puts(p->out, " = ");
  if (whole) tn_buf_printf(p->out, "%" PRId64, expr->number.integer);
  else tn_buf_double(p->out, expr->number.value);
  tn_buf_puts(p->out, units[expr->number.unit]);
}

/* A named part: its name, and the part below it. */
static void put_named(printer *p, const tn_ast_name *name, tn_loc loc, const tn_ast_expr *value) {
  begin(p);
  tn_buf_printf(p->out, "%s:", name->text);
  end(p, loc);
  p->depth++;
  if (value) put_expr(p, value);
  p->depth--;
}

static void put_args(printer *p, const tn_ast_args *args) {
  for (size_t i = 0; i < args->n; i++) {
    const tn_ast_arg *arg = &args->data[i];
    if (arg->name.text) put_named(p, &arg->name, arg->loc, arg->value);
    else put_expr(p, arg->value);
  }
}

static void put_entries(printer *p, const tn_ast_idxs *entries) {
  for (size_t i = 0; i < entries->n; i++) {
    const tn_ast_idx *entry = &entries->data[i];
    if (entry->dim.text) put_named(p, &entry->dim, entry->loc, entry->value);
    else if (entry->value) put_expr(p, entry->value);
    else {
      begin(p);
      tn_buf_puts(p->out, "..");
      end(p, entry->loc);
    }
  }
}

static void put_head(printer *p, const tn_ast_expr *expr) {
  tn_buf *out = p->out;
  switch (expr->kind) {
    case TN_AST_NAME: tn_buf_printf(out, "name %s", expr->name); break;
    case TN_AST_INT:
    case TN_AST_FLOAT: put_number(p, expr); break;
    case TN_AST_STRING:
      tn_buf_puts(out, "string");
      put_string(p, expr->string.text);
      break;
    case TN_AST_TUPLE: tn_buf_puts(out, "tuple"); break;
    case TN_AST_CALL: tn_buf_puts(out, "call"); break;
    case TN_AST_MEMBER: tn_buf_printf(out, "member %s", expr->member.name.text); break;
    case TN_AST_INDEX: tn_buf_puts(out, "index"); break;
    case TN_AST_UNARY:
    case TN_AST_BINARY:
      tn_buf_printf(out, "%s %s", expr->op.left ? "binary" : "unary", tn_ast_op_text(expr->op.op));
      break;
    case TN_AST_RANGE: tn_buf_puts(out, "range"); break;
    case TN_AST_PIPE: tn_buf_puts(out, "pipe"); break;
  }
}

static void put_parts(printer *p, const tn_ast_expr *expr) {
  switch (expr->kind) {
    case TN_AST_TUPLE: put_args(p, &expr->tuple); break;
    case TN_AST_CALL:
      put_expr(p, expr->call.callee);
      put_args(p, &expr->call.args);
      break;
    case TN_AST_MEMBER: put_expr(p, expr->member.object); break;
    case TN_AST_INDEX:
      put_expr(p, expr->index.object);
      put_entries(p, &expr->index.entries);
      break;
    case TN_AST_UNARY:
    case TN_AST_BINARY:
      if (expr->op.left) put_expr(p, expr->op.left);
      put_expr(p, expr->op.right);
      break;
    case TN_AST_RANGE:
      put_expr(p, expr->range.first);
      put_expr(p, expr->range.end);
      if (expr->range.step) put_expr(p, expr->range.step);
      break;
    case TN_AST_PIPE:
      put_expr(p, expr->pipe.left);
      put_expr(p, expr->pipe.right);
      break;
    default: break;
  }
}

static void put_expr(printer *p, const tn_ast_expr *expr) {
  begin(p);
  put_head(p, expr);
  end(p, expr->loc);
  p->depth++;
  put_parts(p, expr);
  p->depth--;
}

static void put_type(printer *p, const tn_ast_type *type) {
  begin(p);
  tn_buf_puts(p->out, "type ");
  tn_ast_print_type(type, p->out);
  end(p, type->loc);
}

/* --- Statements --- */

static void put_body(printer *p, const tn_ast_body *body);

static void put_stmt(printer *p, const tn_ast_stmt *stmt) {
  begin(p);
  tn_buf_puts(p->out, tn_ast_stmt_kind_text(stmt->kind));
  if (stmt->name.text) tn_buf_printf(p->out, " %s", stmt->name.text);
  for (size_t i = 0; i < stmt->names.n; i++)
    tn_buf_printf(p->out, "%s%s", i ? ", " : stmt->in_parens ? " (" : " ", stmt->names.data[i].text);
  if (stmt->in_parens) tn_buf_putc(p->out, ')');
  if (stmt->glob.text) put_string(p, stmt->glob.text);
  if (stmt->along.text) tn_buf_printf(p->out, " along %s", stmt->along.text);
  end(p, stmt->loc);
  put_doc(p, stmt->doc);
  p->depth++;
  if (stmt->type) put_type(p, stmt->type);
  if (stmt->value) put_expr(p, stmt->value);
  for (size_t i = 0; i < stmt->carries.n; i++)
    put_named(p, &stmt->carries.data[i].name, stmt->carries.data[i].loc, stmt->carries.data[i].value);
  if (stmt->body) put_body(p, stmt->body);
  p->depth--;
}

static void put_body(printer *p, const tn_ast_body *body) {
  begin(p);
  tn_buf_puts(p->out, "body");
  end(p, body->loc);
  p->depth++;
  for (size_t i = 0; i < body->stmts.n; i++) put_stmt(p, body->stmts.data[i]);
  p->depth--;
}

/* --- Items --- */

static void put_formal(printer *p, const tn_ast_formal *formal) {
  begin(p);
  tn_buf_printf(p->out, "formal %s", formal->name.text);
  end(p, formal->loc);
  put_doc(p, formal->doc);
  p->depth++;
  put_type(p, formal->type);
  if (formal->value) put_expr(p, formal->value);
  p->depth--;
}

static void put_item(printer *p, const tn_ast_item *item) {
  begin(p);
  tn_buf_puts(p->out, tn_ast_item_kind_text(item->kind));
  if (item->text.text) put_string(p, item->text.text);
  const char *how = item->kind != TN_AST_IMPORT ? "" : item->is_selected ? " of" : " as";
  if (item->name.text) tn_buf_printf(p->out, "%s %s", how, item->name.text);
  if (item->source.text) tn_buf_printf(p->out, " from %s", item->source.text);
  end(p, item->loc);
  put_doc(p, item->doc);
  p->depth++;
  for (size_t i = 0; i < item->dims.n; i++)
    put_named(p, &item->dims.data[i].name, item->dims.data[i].loc, item->dims.data[i].value);
  for (size_t i = 0; i < item->formals.n; i++) put_formal(p, &item->formals.data[i]);
  if (item->result) put_type(p, item->result);
  if (item->value) put_expr(p, item->value);
  if (item->body) put_body(p, item->body);
  p->depth--;
}

void tn_ast_print(const tn_ctx *ctx, const tn_ast_file *file, bool with_places, tn_buf *out) {
  printer p = {ctx, out, with_places, 0};
  if (file->version) tn_buf_printf(out, "tenon %" PRId64 "\n", file->version);
  for (size_t i = 0; i < file->items.n; i++) put_item(&p, file->items.data[i]);
}
