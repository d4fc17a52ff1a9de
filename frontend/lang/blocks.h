/* The blocks data, train, compress, deploy and test: what the files that check them share. Their settings and
 * functions are rows of settings.def. Nothing of them is built yet; everything of them is checked that can be known
 * before data are read. Functions return false when they reported an error. */
#ifndef TN_FRONTEND_LANG_BLOCKS_H
#define TN_FRONTEND_LANG_BLOCKS_H

#include "frontend/lang/params.h"

typedef struct tn_setting {
  const char *block, *name, *kind, *fallback, *example, *text;
} tn_setting;

typedef struct tn_block_function {
  const char *group, *name, *signature, *text;
} tn_block_function;

/* A training of a model: where its measured numbers come from. All are NULL when there is none. */
typedef struct tn_training {
  const tn_decl *model;     /* the one that is trained */
  const tn_ast_item *train; /* its block */
  const tn_ast_item *data;  /* what it is trained on */
} tn_training;

/* A field of a data block. */
typedef struct tn_data_field {
  tn_ast_name name;
  bool is_typed;  /* else its type is that of a file */
  tn_shape shape; /* of one sample; classes of class[.., C] */
  bool is_used;   /* by another field, or by a training */
} tn_data_field;

typedef struct tn_data_fields {
  bool is_complete; /* no field was wrong */
  TN_VEC(tn_data_field) rows;
} tn_data_fields;

/* One block that is being checked. */
typedef struct tn_block_check {
  tn_sema *s;
  tn_unit *unit;
  tn_frame *frame;        /* what values of settings see: the file's names */
  const char *block;      /* "train", ... */
  tn_training training;   /* what `valid.acc` means here */
  const tn_decl *weights; /* the model whose weights globs match, or NULL */
  tn_map *fields;         /* tn_ast_item of data -> tn_data_fields* */
  bool watches;           /* a measured number is looked at while training goes on: something has to measure it */
} tn_block_check;

/* --- settings.c: the tables --- */
const tn_setting *tn_setting_find(const char *block, const char *name);
/* Names parted by blanks. */
const char *tn_setting_names(tn_sema *s, const char *block);
/* groups: one or several, parted by blanks. */
const tn_block_function *tn_block_function_find(const char *groups, const char *name);
const char *tn_block_function_names(tn_sema *s, const char *groups);
/* The nearest of words (parted by blanks), or NULL. */
const char *tn_words_nearest(tn_sema *s, const char *words, const char *word);
bool tn_words_have(const char *words, const char *word);
/* The error "TEXT 'word'" with the nearest of words, or all of them. */
bool tn_words_unknown(tn_sema *s, tn_loc loc, tn_diag_code code, const char *text, const char *word,
                      const char *words);

/* --- kinds.c: values --- */
/* value is of the kind (settings.def); what names it in messages. */
bool tn_kind_check(const tn_block_check *c, const char *what, const char *kind, const tn_ast_expr *value);
/* A call of a function of the groups, which are named `what` in messages: its name and arguments. n_piped: arguments
 * that a pipe supplies. */
bool tn_block_call_check(const tn_block_check *c, const char *groups, const char *what, const tn_ast_expr *call,
                         uint32_t n_piped);
/* The same for arguments as they are written. */
bool tn_block_args_check(const tn_block_check *c, const tn_block_function *function, const tn_ast_args *args,
                         uint32_t n_piped, tn_loc loc);
/* A number that is known now; false without a word when value is none. */
bool tn_block_number(const tn_block_check *c, const tn_ast_expr *value, double *out);
/* The argument called name, or the one at position; NULL: not given. */
const tn_ast_expr *tn_block_argument(const tn_ast_args *args, const char *name, size_t position);
/* The name of x, x(...), x.y(...); NULL for others. */
const char *tn_head_name(const tn_ast_expr *e);
/* The source form of an expression, cut where it is long. */
const char *tn_expr_text(tn_sema *s, const tn_ast_expr *e);

/* --- arguments.c: what a block's function is called with, once the call was checked --- */
typedef struct tn_block_call {
  const tn_block_check *c;
  const tn_block_function *function;
  const tn_ast_args *args;
  uint32_t n_piped;
  tn_loc loc;
} tn_block_call;
/* A call of a function of the groups, or its bare name; false: e is another expression. */
bool tn_block_call_read(const tn_block_check *c, const char *groups, const tn_ast_expr *e, uint32_t n_piped,
                        tn_block_call *out);
/* The function called name without arguments. */
tn_block_call tn_block_call_of(const tn_block_check *c, const char *group, const char *name, tn_loc loc);
bool tn_block_call_has(const tn_block_call *call, const char *name); /* such a parameter */
/* What is given for a parameter; NULL: nothing, or none or all. */
const tn_ast_expr *tn_block_call_get(const tn_block_call *call, const char *name);
/* The same as a number, a pair of numbers, a word, a string, true or false, or the default; 0 and NULL where that is
 * none. */
double tn_block_call_number(const tn_block_call *call, const char *name);
void tn_block_call_pair(const tn_block_call *call, const char *name, double out[2]);
const char *tn_block_call_word(const tn_block_call *call, const char *name);
const char *tn_block_call_text(const tn_block_call *call, const char *name);
bool tn_block_call_bool(const tn_block_call *call, const char *name);
/* A setting of a train or params block as a number, or what fallback says. */
double tn_setting_number(const tn_block_check *c, const tn_ast_body *body, const char *name, double fallback);

/* --- globs.c: patterns of weights --- */
/* NAME, "a.*.b", "linear[-1]": matches the path of a weight or of an instance. */
bool tn_glob_check(const tn_block_check *c, const char *glob, tn_loc loc);
/* Whether the pattern means the weight of this path. */
bool tn_glob_means(const tn_block_check *c, const char *glob, const char *path);

/* --- measures.c: measured numbers --- */
/* The training behind a model or what was compressed from it. */
tn_training tn_training_of(tn_unit *unit, const char *name);
bool tn_split_exists(const tn_ast_item *data, const char *name);
/* A name of a split; said where data is declared when it is none. */
bool tn_split_check(const tn_block_check *c, const tn_ast_item *data, const char *name, tn_loc loc);
/* valid.acc, LeNet.test.acc */
bool tn_monitor_check(const tn_block_check *c, const tn_ast_expr *e);
/* 1: the more of a measured number the better; -1: the less; 0: its metric is an expression that does not say. */
int tn_monitor_direction(const tn_block_check *c, const tn_ast_expr *e);
/* That it is known, for a function that keeps or waits for the best; else the error asks for `mode`. */
bool tn_monitor_mode_check(const tn_block_check *c, const tn_ast_expr *e, const char *function);
/* A condition over measured numbers: require, stop when. allow_condition: stalled(...) may stand in it. */
bool tn_condition_check(const tn_block_check *c, const tn_ast_expr *e, bool allow_condition);

/* --- data.c, train.c --- */
void tn_data_check(tn_block_check *c, const tn_ast_item *item);
/* A block's settings, and the statements that it may hold. */
void tn_body_check(const tn_block_check *c, const tn_ast_body *body);
const tn_ast_stmt *tn_setting_of(const tn_ast_body *body, const char *name);
/* test.c: its lets and requires, which are run. */
void tn_test_check(tn_block_check *c, const tn_ast_item *item);
void tn_train_check(tn_block_check *c, const tn_ast_item *item);
/* The loss, and a metric, as they are in c's frame; NULL: reported, or not known. */
tn_datum *tn_train_loss(const tn_block_check *c, const tn_ast_expr *e);
tn_datum *tn_train_metric(const tn_block_check *c, const tn_ast_arg *arg);
/* The names of the loss in c's frame: out, and the fields, as inputs of the session's function. */
void tn_train_declare(tn_block_check *c, const tn_decl *model, const tn_data_fields *fields);
/* A field as an input of the session's function: its shape with the batch in front; and one that is there already. */
tn_datum *tn_field_value(tn_sema *s, const char *name, const tn_shape *shape, const tn_dim *batch, tn_loc loc);
tn_datum *tn_field_datum(tn_sema *s, tn_value *input, const tn_shape *shape, tn_loc loc);

#endif
