/* The syntax tree of the tenon language, one struct a noun: file, item, statement, expression, type, dim. It says what
 * was written and where, nothing of what it means: names are not looked up, `name = expr` is one kind of statement
 * whether it is a setting or a rebinding. grammar/LANGUAGE.md is the reference of the language.
 *
 * All nodes live in the session's arena and are not changed after parsing. Names are interned (equal text is one
 * pointer). Every node has the span it was written at (TN_LOC_KIND_SPAN), including its brackets. Pointers are never
 * NULL where the comment does not say so. Trees are at most TN_AST_MAX_DEPTH deep: they may be walked recursively. */
#ifndef TN_FRONTEND_LANG_AST_H
#define TN_FRONTEND_LANG_AST_H

#include "ir/ctx.h"

#define TN_AST_MAX_DEPTH 1000 /* of expressions, each operator, call, member or index being one level */
#define TN_AST_MAX_NEST 100   /* of brackets, and of blocks */

typedef struct tn_ast_expr tn_ast_expr;
typedef struct tn_ast_type tn_ast_type;
typedef struct tn_ast_stmt tn_ast_stmt;
typedef struct tn_ast_item tn_ast_item;

/* A name where it was written. text NULL: there is none. */
typedef struct tn_ast_name {
  const char *text;
  tn_loc loc;
} tn_ast_name;
typedef TN_VEC(tn_ast_name) tn_ast_names;

/* The contents of a string literal, escapes resolved; it holds no NUL. */
typedef struct tn_ast_string {
  const char *text; /* interned */
  tn_loc loc;
} tn_ast_string;

/* --- Expressions --- */

typedef enum tn_ast_expr_kind {
  TN_AST_NAME,   /* x */
  TN_AST_INT,    /* 12, 19_560, 0x1f, 25MiB: a whole number */
  TN_AST_FLOAT,  /* 0.5, 1e-3, 30s */
  TN_AST_STRING, /* "..." */
  TN_AST_TUPLE,  /* (a, b), (k: a); one unnamed expression in parentheses is that expression */
  TN_AST_CALL,   /* f(a, k: b) */
  TN_AST_MEMBER, /* x.name */
  TN_AST_INDEX,  /* x[0..4, T: 2, ..] */
  TN_AST_UNARY,  /* -x, not x */
  TN_AST_BINARY, /* x + y, x and y, ... */
  TN_AST_RANGE,  /* a..b, a..b..step */
  TN_AST_PIPE    /* x |> f, x |> f(b): the right side is a NAME, MEMBER or CALL */
} tn_ast_expr_kind;

typedef enum tn_ast_op {
  TN_AST_NEG, TN_AST_NOT, /* unary */
  TN_AST_OR, TN_AST_AND,
  TN_AST_EQ, TN_AST_NE, TN_AST_LT, TN_AST_GT, TN_AST_LE, TN_AST_GE,
  TN_AST_ADD, TN_AST_SUB, TN_AST_MUL, TN_AST_DIV, TN_AST_MOD, TN_AST_POW,
  TN_AST_N_OPS
} tn_ast_op;

/* What the unit of a literal measures; the value is in bytes or in seconds. */
typedef enum tn_ast_unit { TN_AST_UNIT_NONE, TN_AST_UNIT_BYTES, TN_AST_UNIT_SECONDS } tn_ast_unit;

/* An argument of a call or an entry of a tuple. */
typedef struct tn_ast_arg {
  tn_loc loc;
  tn_ast_name name; /* text NULL: by position */
  tn_ast_expr *value;
} tn_ast_arg;
typedef TN_VEC(tn_ast_arg) tn_ast_args;

/* One entry of an index. */
typedef struct tn_ast_idx {
  tn_loc loc;
  tn_ast_name dim;    /* text NULL: by position */
  tn_ast_expr *value; /* NULL: `..`, the dims that are not named; a RANGE slices, anything else picks */
} tn_ast_idx;
typedef TN_VEC(tn_ast_idx) tn_ast_idxs;

struct tn_ast_expr {
  tn_ast_expr_kind kind;
  tn_loc loc;
  uint32_t depth; /* levels from here down, at least 1 */
  union {
    const char *name; /* NAME */
    struct {
      int64_t integer;  /* INT: the value, never negative; a unit of bytes is multiplied in */
      double value;     /* INT and FLOAT: the same or the nearest double; a unit is multiplied in */
      tn_ast_unit unit;
      const char *text; /* as written, with unit and underscores */
    } number;
    tn_ast_string string;
    tn_ast_args tuple;
    struct {
      tn_ast_expr *callee;
      tn_ast_args args;
    } call;
    struct {
      tn_ast_expr *object;
      tn_ast_name name;
    } member;
    struct {
      tn_ast_expr *object;
      tn_ast_idxs entries; /* at least one */
    } index;
    struct {
      tn_ast_op op;
      tn_loc op_loc;
      tn_ast_expr *left; /* UNARY: NULL */
      tn_ast_expr *right;
    } op; /* UNARY, BINARY */
    struct {
      tn_ast_expr *first, *end;
      tn_ast_expr *step; /* or NULL */
    } range;
    struct {
      tn_ast_expr *left, *right;
      tn_loc op_loc;
    } pipe;
  };
};
typedef TN_VEC(tn_ast_expr *) tn_ast_exprs;

/* --- Types --- */

/* One dim of a type: an extent, or `..S` (any number of dims, S names them). */
typedef struct tn_ast_dim {
  tn_loc loc;
  tn_ast_expr *extent; /* NULL: `..S` */
  tn_ast_name rest;    /* of `..S` */
  tn_ast_names axes;   /* of the mesh, behind '@'; empty: not placed */
} tn_ast_dim;
typedef TN_VEC(tn_ast_dim) tn_ast_dims;
typedef TN_VEC(tn_ast_type *) tn_ast_types;

struct tn_ast_type {
  tn_loc loc;
  tn_ast_name name;   /* f32, token, int, ...; text NULL: a tuple of parts */
  bool has_dims;      /* f32[] has, f32 has not */
  tn_ast_dims dims;
  tn_ast_types parts; /* at least one; (T) is a tuple of one */
};

/* --- Statements --- */

typedef struct tn_ast_body {
  tn_loc loc; /* with the braces */
  TN_VEC(tn_ast_stmt *) stmts;
} tn_ast_body;

/* carry NAME = value */
typedef struct tn_ast_carry {
  tn_loc loc;
  tn_ast_name name;
  tn_ast_expr *value;
} tn_ast_carry;
typedef TN_VEC(tn_ast_carry) tn_ast_carries;

typedef enum tn_ast_stmt_kind {
  TN_AST_RETURN,   /* return value */
  TN_AST_LET,      /* let name = value, let name: type = value, let (a, b) = value */
  TN_AST_SET,      /* name = value: a setting, or the rebinding of a loop's name */
  TN_AST_ADD_TO,   /* name += value */
  TN_AST_FIELD,    /* name: type = value, of data */
  TN_AST_PARAM,    /* param name: type, param name: type = value */
  TN_AST_BUFFER,   /* buffer name: type = value */
  TN_AST_SUB_DECL, /* sub name = value */
  TN_AST_FOR,      /* for name in value { body } */
  TN_AST_SCAN,     /* scan (x, t) in value along dim carry c = init, ... { body } */
  TN_AST_YIELD,    /* yield name = value */
  TN_AST_EVERY,    /* every value unit { body } */
  TN_AST_STOP,     /* stop when value */
  TN_AST_ON,       /* on event { body } */
  TN_AST_REQUIRE,  /* require value */
  TN_AST_FREEZE,   /* freeze "glob" */
  TN_AST_UNFREEZE, /* unfreeze "glob" */
  TN_AST_PARAMS,   /* params "glob" { body } */
  TN_AST_DO        /* a call for its effect: eval(valid) */
} tn_ast_stmt_kind;

struct tn_ast_stmt {
  tn_ast_stmt_kind kind;
  tn_loc loc;
  const char *doc;    /* text of the ## lines before it, lines parted by \n; NULL: none */
  tn_ast_name name;   /* SET, ADD_TO, FIELD, PARAM, BUFFER, SUB_DECL, YIELD: the name; FOR: the variable;
                         EVERY: the unit; ON: the event */
  tn_ast_names names; /* LET, SCAN: what stands before '=' or 'in' */
  bool in_parens;     /* LET, SCAN: names stand in parentheses */
  tn_ast_type *type;  /* FIELD, PARAM, BUFFER: the type; LET: or NULL */
  tn_ast_expr *value; /* all but ON, FREEZE, UNFREEZE, PARAMS; PARAM: or NULL; DO: a CALL; FOR, SCAN: behind 'in' */
  tn_ast_string glob; /* FREEZE, UNFREEZE, PARAMS */
  tn_ast_name along;  /* SCAN: the dim */
  tn_ast_carries carries; /* SCAN: at least one */
  tn_ast_body *body;      /* FOR, SCAN, EVERY, ON, PARAMS; else NULL */
};

/* --- Items --- */

/* An argument of a module or model: name: type, name: type = value. */
typedef struct tn_ast_formal {
  tn_loc loc;
  const char *doc; /* or NULL */
  tn_ast_name name;
  tn_ast_type *type;
  tn_ast_expr *value; /* the default, or NULL */
} tn_ast_formal;
typedef TN_VEC(tn_ast_formal) tn_ast_formals;

/* NAME = value, of dim */
typedef struct tn_ast_dim_decl {
  tn_loc loc;
  tn_ast_name name;
  tn_ast_expr *value;
} tn_ast_dim_decl;
typedef TN_VEC(tn_ast_dim_decl) tn_ast_dim_decls;

typedef enum tn_ast_item_kind {
  TN_AST_IMPORT,   /* import "path", import "path" as name, import name from "path" */
  TN_AST_DIM,      /* dim A = 1, B = 2 */
  TN_AST_LET_ITEM, /* let name = value */
  TN_AST_MESH,     /* mesh name = (axis: n, ...) */
  TN_AST_DATA,     /* data name = value, data name = value { body } */
  TN_AST_MODULE,   /* module name(formals) -> result = value, or { body } instead of = value */
  TN_AST_MODEL,    /* as module; or model name = value */
  TN_AST_TRAIN,    /* train name on source { body } */
  TN_AST_COMPRESS, /* compress name from source { body } */
  TN_AST_DEPLOY,   /* deploy name from source { body } */
  TN_AST_TEST      /* test "title" { body } */
} tn_ast_item_kind;

struct tn_ast_item {
  tn_ast_item_kind kind;
  tn_loc loc;
  const char *doc;       /* text of the ## lines before it; NULL: none */
  tn_ast_name name;      /* what it declares or works on; IMPORT: the alias or the one name imported, text NULL:
                            neither; DIM, TEST: text NULL */
  bool is_selected;      /* IMPORT: import name from "path" */
  tn_ast_string text;    /* IMPORT: the path; TEST: the title */
  tn_ast_name source;    /* TRAIN, COMPRESS, DEPLOY: what stands behind on or from */
  tn_ast_dim_decls dims; /* DIM: at least one */
  tn_ast_formals formals; /* MODULE, MODEL */
  tn_ast_type *result;    /* MODULE, MODEL; NULL: model name = value */
  tn_ast_expr *value;     /* LET_ITEM, DATA; MESH: a TUPLE; MODULE, MODEL: or NULL */
  tn_ast_body *body;      /* DATA: or NULL; MODULE, MODEL: NULL when there is a value; TRAIN and later kinds */
};

typedef struct tn_ast_file {
  const char *path; /* as given, interned; locations bear it */
  tn_loc loc;       /* the whole file */
  int64_t version;  /* of the line `tenon 1`; 0: there is none */
  TN_VEC(tn_ast_item *) items;
} tn_ast_file;

/* What a unit multiplies by (MiB: 1048576), and what it measures; 0: there is none of this name. */
double tn_unit_factor(const char *unit, tn_ast_unit *out);

/* "+", "and", ... */
const char *tn_ast_op_text(tn_ast_op op);
/* "let", "module", ... */
const char *tn_ast_stmt_kind_text(tn_ast_stmt_kind kind);
const char *tn_ast_item_kind_text(tn_ast_item_kind kind);

/* Whether the name stands anywhere in the expression, but as the name of an argument or part. */
bool tn_ast_uses_name(const tn_ast_expr *expr, const char *name);

/* The source form on one line, with the fewest parentheses and no comments: "4 * H", "(H - k + 1) / 2",
 * "f32[B, 4 * H]". */
void tn_ast_print_expr(const tn_ast_expr *expr, tn_buf *out);
void tn_ast_print_type(const tn_ast_type *type, tn_buf *out);
/* The tree, a node a line, indented; with_places: each with its span. Files whose trees are equal without places mean
 * the same. */
void tn_ast_print(const tn_ctx *ctx, const tn_ast_file *file, bool with_places, tn_buf *out);

#endif
