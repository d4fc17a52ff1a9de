/* Nodes for the rules of grammar/tenon.y: each function makes one, gives it its place and its depth, and reports what
 * the grammar cannot say: numbers and strings that are none, trees that are too deep, right sides of pipes. A node that
 * was reported is made all the same. Ranges are of tokens. */
#ifndef TN_FRONTEND_LANG_TREE_H
#define TN_FRONTEND_LANG_TREE_H

#include "frontend/lang/parser.h"

/* What stands before '=' or 'in'. */
typedef struct tn_lang_lhs {
  tn_ast_names names;
  bool in_parens;
} tn_lang_lhs;

/* What a module is: a value or a body. */
typedef struct tn_lang_def {
  tn_ast_expr *value;
  tn_ast_body *body;
} tn_lang_def;

tn_ast_name tn_tree_name(tn_lang_parser *parser, tn_lang_range at);
tn_ast_names tn_tree_names(tn_lang_parser *parser, tn_ast_name first);

/* literal.c */
tn_ast_expr *tn_tree_number(tn_lang_parser *parser, tn_lang_range at);
tn_ast_expr *tn_tree_string_expr(tn_lang_parser *parser, tn_lang_range at);
tn_ast_string tn_tree_string(tn_lang_parser *parser, tn_lang_range at);

/* tree.c */
tn_ast_expr *tn_tree_name_expr(tn_lang_parser *parser, tn_lang_range at, tn_ast_name name);
/* One unnamed argument is the expression itself, from now on placed at its parentheses. */
tn_ast_expr *tn_tree_tuple(tn_lang_parser *parser, tn_lang_range at, tn_ast_args args);
tn_ast_expr *tn_tree_call(tn_lang_parser *parser, tn_lang_range at, tn_ast_expr *callee, tn_ast_args args);
tn_ast_expr *tn_tree_member(tn_lang_parser *parser, tn_lang_range at, tn_ast_expr *object, tn_ast_name name);
tn_ast_expr *tn_tree_index(tn_lang_parser *parser, tn_lang_range at, tn_ast_expr *object, tn_ast_idxs entries);
/* left NULL: of one operand. */
tn_ast_expr *tn_tree_binary(tn_lang_parser *parser, tn_lang_range at, tn_ast_op op, tn_ast_expr *left,
                            tn_lang_range op_at, tn_ast_expr *right);
/* A second `..` behind a range gives its step. */
tn_ast_expr *tn_tree_range(tn_lang_parser *parser, tn_lang_range at, tn_ast_expr *first, tn_ast_expr *end);
tn_ast_expr *tn_tree_pipe(tn_lang_parser *parser, tn_lang_range at, tn_ast_expr *left, tn_lang_range op_at,
                          tn_ast_expr *right);

tn_ast_type *tn_tree_type(tn_lang_parser *parser, tn_lang_range at, tn_lang_range name, bool has_dims,
                          tn_ast_dims dims);
tn_ast_type *tn_tree_type_tuple(tn_lang_parser *parser, tn_lang_range at, tn_ast_types parts);
tn_ast_dim tn_tree_dim(tn_lang_parser *parser, tn_lang_range at, tn_ast_expr *extent, tn_ast_names axes);

/* A body of which one statement more is known; body NULL: the first. stmt NULL: one that was reported. */
tn_ast_body *tn_tree_body(tn_lang_parser *parser, tn_ast_body *body, tn_ast_stmt *stmt);
/* The body between its braces; body NULL: empty. */
tn_ast_body *tn_tree_end_body(tn_lang_parser *parser, tn_lang_range at, tn_ast_body *body);
tn_ast_stmt *tn_tree_value(tn_lang_parser *parser, tn_lang_range at, tn_ast_stmt_kind kind, tn_ast_name name,
                           tn_ast_type *type, tn_ast_expr *value);
tn_ast_stmt *tn_tree_let(tn_lang_parser *parser, tn_lang_range at, tn_lang_lhs lhs, tn_ast_type *type,
                         tn_ast_expr *value);
tn_ast_stmt *tn_tree_scan(tn_lang_parser *parser, tn_lang_range at, tn_lang_lhs lhs, tn_ast_expr *value,
                          tn_ast_name along, tn_ast_carries carries);
tn_ast_stmt *tn_tree_glob(tn_lang_parser *parser, tn_lang_range at, tn_ast_stmt_kind kind, tn_lang_range glob,
                          tn_ast_body *body);

tn_ast_formal tn_tree_formal(tn_lang_parser *parser, tn_lang_range at, tn_ast_name name, tn_ast_type *type,
                             tn_ast_expr *value);
tn_ast_item *tn_tree_item(tn_lang_parser *parser, tn_lang_range at, tn_ast_item_kind kind, tn_ast_name name);
tn_ast_item *tn_tree_import(tn_lang_parser *parser, tn_lang_range at, tn_lang_range path, tn_ast_name name,
                            bool is_selected);
tn_ast_item *tn_tree_module(tn_lang_parser *parser, tn_lang_range at, tn_ast_item_kind kind, tn_ast_name name,
                            tn_ast_formals formals, tn_ast_type *result, tn_lang_def def);
tn_ast_item *tn_tree_block(tn_lang_parser *parser, tn_lang_range at, tn_ast_item_kind kind, tn_ast_name name,
                           tn_ast_name source, tn_ast_body *body);
tn_ast_item *tn_tree_test(tn_lang_parser *parser, tn_lang_range at, tn_lang_range title, tn_ast_body *body);
void tn_tree_add_item(tn_lang_parser *parser, tn_ast_item *item);
/* The number of the line `tenon 1`. */
void tn_tree_version(tn_lang_parser *parser, tn_lang_range number);

#endif
