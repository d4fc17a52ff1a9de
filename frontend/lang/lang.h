/* The tenon language (.tn): reading files into syntax trees, and a model of one into a graph. */
#ifndef TN_FRONTEND_LANG_LANG_H
#define TN_FRONTEND_LANG_LANG_H

#include "frontend/lang/ast.h"
#include "ir/graph.h"

#define TN_LANG_MAX_BYTES (1u << 20) /* of one source file */
#define TN_LANG_MAX_ERRORS 20        /* of scanner and parser, a file */
#define TN_LANG_MAX_EXTENT 1000000000 /* of a dim that only the input knows, unless --dim says otherwise */

/* Reads a whole source file (path "-": standard input) into the session. False: TN_E_FILE, TN_E_LIMIT. */
bool tn_lang_read(tn_ctx *ctx, const char *path, const char **out_text, size_t *out_bytes);
/* Reads and parses one file; imports are not followed. path "-": standard input. NULL when there was an error, all of
 * them reported: TN_E_FILE, TN_E_LIMIT, TN_E_LANG_TOKEN, TN_E_LANG_SYNTAX. The source is kept for diagnostics. */
tn_ast_file *tn_lang_parse(tn_ctx *ctx, const char *path);
/* The same for text of bytes bytes, which need not end in NUL and may go after the call. name is used in messages. */
tn_ast_file *tn_lang_parse_bytes(tn_ctx *ctx, const char *name, const char *text, size_t bytes);

/* The built-in functions: a line "name(signature)" each, and one with what it gives. */
void tn_lang_print_functions(tn_buf *out);

/* The text in the one form that all files have (tenon fmt). It means the same, and formatting it again changes nothing.
 * False when the text has errors (reported). text must live as long as ctx. */
bool tn_lang_format(tn_ctx *ctx, const char *name, const char *text, size_t bytes, tn_buf *out);

/* NAME=VALUE of -D (a dim of the file, a dim or option of the model) and of --set. */
typedef struct tn_lang_setting {
  const char *name, *value;
} tn_lang_setting;

/* Bounds of a dim that the inputs bring (--dim). */
typedef struct tn_lang_bounds {
  const char *name;
  int64_t lo, hi;
} tn_lang_bounds;

typedef struct tn_lang_weight {
  const char *path; /* "for.0.Block.w1" */
  tn_const *constant;
} tn_lang_weight;
typedef TN_VEC(tn_lang_weight) tn_lang_weights;

/* All zero: nothing overridden; a model whose weights have no values is refused. */
typedef struct tn_lang_options {
  const tn_lang_setting *defines, *sets;
  uint32_t n_defines, n_sets;
  const tn_lang_bounds *bounds;
  uint32_t n_bounds;
  const char *entry;          /* NULL: the only model, else the last */
  const char *weights;        /* a file of tensors, or NULL */
  bool has_init;              /* weights without a value get random ones from seed */
  uint64_t seed;
  const char *const *folders; /* of -I */
  uint32_t n_folders;
  bool no_files;              /* texts that are not trusted: nothing but std/... is read, tests are not run */
  void (*add_file)(void *user, const char *path); /* for each file that is read; NULL: not wanted */
  void *user;
} tn_lang_options;

/* How records become the inputs of a model with the weights of a training: a plan for runtime/core/serving.h. */
typedef struct tn_lang_serving {
  const void *plan; /* NULL: there is none */
  size_t plan_bytes;
  bool has_pictures;
} tn_lang_serving;

/* A model of the file as the entry of a module. out_weights: its weights and buffers in order of creation, or NULL;
 * out_serving: or NULL. NULL when an error was reported. */
tn_module *tn_lang_load(tn_ctx *ctx, const char *path, const tn_lang_options *options, tn_lang_weights *out_weights,
                        tn_lang_serving *out_serving);
/* The models of a training program, in the order of runtime/training.h. */
typedef enum tn_lang_part {
  TN_LANG_STEP, TN_LANG_GRAD, TN_LANG_UPDATE, TN_LANG_EVAL, TN_LANG_PREDICT,
  TN_LANG_TRACE, /* a second `grad`, to be compiled so that it tells of its steps */
  TN_LANG_SHARD, /* where the plan says zero, */
  TN_LANG_NORM,  /* and that the bits are those of any number of processes */
  TN_LANG_FIT,   /* made where statistics are of values that the model computes */
  TN_LANG_N_PARTS
} tn_lang_part;

/* A training program before it is compiled. */
typedef struct tn_lang_training {
  const char *name; /* of the model */
  tn_module *modules[TN_LANG_N_PARTS]; /* of one entry each */
  /* Which fields and weights of the plan are among the inputs, a byte each; NULL: all. */
  const uint8_t *fields[TN_LANG_N_PARTS], *weights[TN_LANG_N_PARTS];
  uint32_t n_fields, n_weights;
  void *plan; /* runtime/training.h; what the compiled models make known is missing */
  size_t plan_bytes;
  bool remat;               /* the file says that values are computed again instead of kept: */
  uint64_t remat_budget;    /* 0: all that lowers what is held, else what this many bytes ask for */
  bool remat_keeps;         /* all between the states of loops that are to be kept, instead */
  const struct tn_table_static *statics; /* conditions that lack it (tables.h) */
  size_t n_statics;
} tn_lang_training;

/* Whether the entry that options mean has a train block and nothing gives its weights, so that it is built as a program
 * that trains it. False, too, when the file cannot be read (reported). */
bool tn_lang_is_trained(tn_ctx *ctx, const char *path, const tn_lang_options *options);
/* Its models and its plan. producer: "tenon 0.1.0". False when an error was reported. */
bool tn_lang_train(tn_ctx *ctx, const char *path, const tn_lang_options *options, const char *producer,
                   tn_lang_training *out);
/* One of step and grad once more, as tn_lang_train made it; NULL when reported. */
tn_module *tn_lang_train_again(tn_ctx *ctx, const char *path, const tn_lang_options *options, tn_lang_part part);
/* Parses and checks everything in the file: dims, imports, each model, which is instantiated, and the blocks by their
 * own rules. Weights need no values. */
bool tn_lang_check(tn_ctx *ctx, const char *path, const tn_lang_options *options);
/* The same for text of bytes bytes, which must live as long as ctx. */
bool tn_lang_check_bytes(tn_ctx *ctx, const char *name, const char *text, size_t bytes, const tn_lang_options *options);

#endif
