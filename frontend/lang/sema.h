/* The meaning of the language: what its files share. A model is instantiated by walking its syntax tree once: integers,
 * labels and options are computed on the way, tensors become nodes of the graph (ir/build.h). A module call is walked
 * anew for each call, so there is no intermediate form between the syntax tree and the graph.
 *
 * Functions return NULL or false when they reported an error. Memory is of the module's arena. */
#ifndef TN_FRONTEND_LANG_SEMA_H
#define TN_FRONTEND_LANG_SEMA_H

#include "frontend/lang/lang.h"
#include "ir/build.h"
#include "ir/eval.h"
#include "runtime/initial.h"
#include "runtime/training.h"

#define TN_LANG_MAX_CALLS 64          /* of modules inside each other */
#define TN_LANG_MAX_DEPTH 3000        /* of expressions, over all calls */
#define TN_LANG_MAX_STEPS 20000000    /* expressions that one model evaluates */
#define TN_LANG_MAX_VALUES 2000000    /* values in the graph of one model */

typedef struct tn_sema tn_sema;
typedef struct tn_frame tn_frame;
typedef struct tn_unit tn_unit;
typedef struct tn_datum tn_datum;
typedef struct tn_instance tn_instance;
typedef struct tn_builtin tn_builtin;

/* How an extent was computed, the last step first: "4 = (H - k + 1) / 2 where H = 12, k = 5". */
typedef struct tn_trace {
  const char *text;
  tn_loc loc;
  const struct tn_trace *next;
} tn_trace;

/* An extent with its label. The label is a polynomial over label symbols in normal form, so equal expressions are one
 * pointer (4*H is H*4); the label of a bare number is that number; NULL is the label of an extent that was computed.
 * Only labels that hold a symbol count as labels. */
typedef struct tn_axis {
  const tn_dim *extent, *label;
  tn_loc loc; /* where the extent was fixed */
  const tn_trace *trace; /* NULL: it was written as it is */
} tn_axis;

/* How a weight gets its elements; see init.c for what each kind is. */
typedef enum tn_init_kind {
  TN_INIT_CONST, TN_INIT_NORMAL, TN_INIT_UNIFORM, TN_INIT_TRUNC_NORMAL, TN_INIT_XAVIER, TN_INIT_HE_NORMAL,
  TN_INIT_HE_UNIFORM, TN_INIT_LECUN, TN_INIT_ORTHOGONAL, TN_INIT_FROM,
  TN_INIT_FITTED /* known after training only */
} tn_init_kind;
typedef struct tn_init {
  tn_init_kind kind;
  double a, b;               /* CONST: a; NORMAL: std a, mean b; UNIFORM: a to b; TRUNC_NORMAL: std a */
  tn_value *of;        /* FITTED: what it is a statistic of: */
  bool is_variance;          /* else the mean */
  const char *path, *tensor; /* FROM; tensor NULL: a .npy file */
  tn_loc loc;
} tn_init;

/* What an expression is. */
typedef enum tn_datum_kind {
  TN_DATUM_POISON, /* the trace of an error: uses of it say nothing more */
  TN_DATUM_INT,
  TN_DATUM_FLOAT,
  TN_DATUM_BOOL,
  TN_DATUM_TEXT,
  TN_DATUM_TENSOR,
  TN_DATUM_TUPLE,
  TN_DATUM_INIT,
  TN_DATUM_DTYPE,
  TN_DATUM_WORD,     /* one of the words that an argument lists */
  TN_DATUM_INSTANCE, /* sub e = M(): what a call of e applies */
  TN_DATUM_METRIC,   /* what a batch adds to a number that is measured over a split */
  TN_N_DATUM_KINDS
} tn_datum_kind;

struct tn_datum {
  tn_datum_kind kind;
  tn_loc loc; /* where it was made */
  union {
    tn_axis integer;
    double number;
    bool truth;
    const char *text; /* TEXT, WORD */
    struct {
      tn_value *value;
      tn_axis *axes;          /* one an axis of value */
      const tn_axis *classes; /* of class[.., C]: C; else NULL */
    } tensor;
    struct {
      uint32_t n;
      tn_datum **parts;
      const char *const *names; /* NULL entries: unnamed */
    } tuple;
    tn_init init;
    tn_dtype dtype;
    tn_instance *instance;
    struct {
      tnrt_metric_kind kind;
      tnrt_average average; /* of those of counts */
      uint32_t n;
      tn_value *statistics[2]; /* f64[count]; of TNRT_METRIC_AUC two, f32[N] each */
    } metric;
  };
};

/* --- Names --- */

/* What a name of a file stands for. */
typedef enum tn_decl_kind { TN_DECL_DIM, TN_DECL_ITEM, TN_DECL_ALIAS } tn_decl_kind;
typedef struct tn_decl {
  tn_decl_kind kind;
  const char *name;
  tn_loc loc;
  tn_unit *unit;                /* where it is declared; ALIAS: the unit it names */
  const tn_ast_item *item;      /* ITEM */
  const tn_ast_dim_decl *dim;   /* DIM */
  tn_datum *value;              /* DIM, let: once computed */
  size_t first_weight, n_weights; /* of a model that was built, in the session's list */
  tn_func *func;                /* of a model that was built */
  bool is_unreadable;           /* its file; that was said */
  bool is_instantiated;         /* a module or model: its body was run */
  tn_datum *result;             /* the same: what it gives */
  enum { TN_DECL_NEW, TN_DECL_COMPUTING, TN_DECL_COMPUTED } state;
} tn_decl;

/* A source file. */
struct tn_unit {
  const char *path;
  tn_ast_file *ast;
  tn_map names;  /* interned -> tn_decl*: its own and what it imports */
  tn_loc import; /* where it was first imported */
  bool is_loading, is_main;
  size_t n_errors; /* of its declarations */
};

/* One instance of a module or built-in: owner of weights. Its children are the instances that its body makes. */
struct tn_instance {
  const char *path;   /* "for.0.Block", "" for the model */
  tn_map children;    /* interned name -> tn_instance* */
  tn_map weights;     /* interned name -> tn_weight* */
  tn_map *constants;  /* of a model of another format: its initialisers; NULL before the first use */
  /* Of a sub: what it applies and the arguments that were given. */
  tn_decl *decl;
  const tn_builtin *builtin;
  const tn_ast_expr *call; /* or the bare name */
  tn_frame *frame;         /* where the arguments are evaluated */
};

typedef struct tn_weight {
  const char *path; /* "for.0.Block.w1" */
  tn_const *constant;
  const tn_type *type;
  tn_axis *axes;  /* with the labels of the body that declares it */
  tn_axis *outer; /* with those of its caller; NULL: the same */
  bool is_buffer, is_missing;
  tn_init init;         /* how it gets its elements; FROM where a file gave them */
  tnrt_initial initial; /* of the kinds that compute them */
  tn_loc loc;
} tn_weight;

typedef enum tn_name_kind { TN_NAME_LET, TN_NAME_FORMAL, TN_NAME_LABEL, TN_NAME_WEIGHT, TN_NAME_SUB, TN_NAME_LOOP }
    tn_name_kind;
typedef struct tn_name_binding {
  const char *name;
  tn_name_kind kind;
  tn_datum *value;
  tn_loc loc;
  const tn_dim *outer; /* LABEL: what the caller calls this dim (may be NULL) */
  uint32_t loop_depth, scan_depth; /* loops and scans around its declaration */
} tn_name_binding;

typedef struct tn_scope_names {
  struct tn_scope_names *outer;
  tn_map names; /* interned -> tn_name_binding* */
} tn_scope_names;

/* One instantiation of a body. */
struct tn_frame {
  tn_sema *sema;
  tn_unit *unit;         /* whose names it sees */
  const tn_decl *decl;   /* the module or model; NULL for expressions of the file */
  tn_scope_names *scope;
  tn_instance *instance; /* the owner of weights made now: of the body, or of a loop's iteration */
  tn_map counts;         /* interned base name -> instances of it so far, boxed */
  tn_map rests;          /* interned name of ..S -> tn_axis_list* */
  tn_frame *caller;
  tn_loc call_loc;
  uint32_t depth;        /* callers */
  bool is_leaving;       /* labels read as the caller's */
  bool sees_losses;      /* the functions of train blocks are there */
  bool is_dry;           /* names are checked, nothing is made: names.c */
};

typedef struct tn_axis_list {
  uint32_t n;
  const tn_axis *axes;
} tn_axis_list;

/* What a model has besides where it is built for a step of training. */
typedef struct tn_running {
  const tn_const *weight; /* the statistic */
  tn_value *next;         /* after this batch */
} tn_running;
typedef struct tn_training_mode {
  tn_value *noise;  /* the state of random operators, a parameter of the function; NULL before the first use */
  int64_t n_streams;
  TN_VEC(tn_running) running;
  int64_t marks_every; /* what each so manieth body of a `for` goes on from is marked (op fence); 0: none is */
  bool has_marks;
} tn_training_mode;

struct tn_sema {
  tn_ctx *ctx;
  tn_arena *arena;
  const tn_lang_options *options;
  tn_module *module;
  tn_func *func;  /* of the model being built */
  tn_build build;
  tn_map units;   /* interned canonical path -> tn_unit* */
  tn_unit *main;
  const tn_dim *batch; /* the label B */
  TN_VEC(tn_weight *) weights; /* of the model, in order of creation */
  struct tn_store *store;      /* --weights, or NULL */
  tn_lang_serving *serving;    /* what is asked for of it, or NULL */
  tn_map stores;               /* interned path -> tn_store*: files of from() */
  uint32_t n_labels;
  uint32_t loop_depth, scan_depth, expr_depth;
  struct tn_scan *scan; /* the innermost one whose body runs */
  tn_map used_defines;  /* interned names of -D that had a use */
  uint64_t n_steps, weight_bytes;
  tn_training_mode *training; /* NULL: models are built as they run */
  const tn_map *input_dims;   /* interned name -> tn_dim: what dims of inputs are fixed to; NULL: nothing is */
  const struct tn_onnx_shape *input_shapes; /* hints for the inputs of a model of another format */
  uint32_t n_input_shapes;
  bool is_again;       /* the file was read before, for another purpose */
  bool has_entry;      /* the entry is built */
  bool weights_needed; /* else weights are zeros: check */
  bool builds_entry;   /* the model that is built is the entry of a training: the options of dims are its own */
  bool is_over;        /* a limit was passed, and reported */
};

/* --- value.c: making and printing --- */
tn_datum *tn_datum_poison(tn_sema *s, tn_loc loc);
tn_datum *tn_datum_int(tn_sema *s, const tn_dim *extent, const tn_dim *label, tn_loc loc);
tn_datum *tn_datum_int_const(tn_sema *s, int64_t value, tn_loc loc);
tn_datum *tn_datum_float(tn_sema *s, double value, tn_loc loc);
tn_datum *tn_datum_bool(tn_sema *s, bool value, tn_loc loc);
tn_datum *tn_datum_text(tn_sema *s, tn_datum_kind kind, const char *text, tn_loc loc);
/* axes: as many as value has, copied; their extents are taken from value's type. value NULL gives NULL. */
tn_datum *tn_datum_tensor(tn_sema *s, tn_value *value, const tn_axis *axes, tn_loc loc);
tn_datum *tn_datum_tuple(tn_sema *s, tn_datum *const *parts, uint32_t n, tn_loc loc);
tn_datum *tn_datum_of_init(tn_sema *s, const tn_init *init, tn_loc loc);
tn_datum *tn_datum_of_dtype(tn_sema *s, tn_dtype dtype, tn_loc loc);
tn_datum *tn_datum_metric(tn_sema *s, tnrt_metric_kind kind, tnrt_average average, tn_value *const *statistics,
                          uint32_t n, tn_loc loc);
/* A copy with another place. */
tn_datum *tn_datum_at(tn_sema *s, const tn_datum *datum, tn_loc loc);
static inline bool tn_datum_is_scalar(const tn_datum *d) {
  return d->kind == TN_DATUM_INT || d->kind == TN_DATUM_FLOAT || d->kind == TN_DATUM_BOOL;
}
uint32_t tn_datum_ndim(const tn_datum *tensor);
tn_dtype tn_datum_dtype(const tn_datum *tensor);
/* "f32[B, 4*H]", "an integer", "a tuple of 3". */
const char *tn_datum_describe(tn_sema *s, const tn_datum *datum);
/* "H", "H = 12", "12": the label, and the extent where it is known. */
const char *tn_axis_describe(tn_sema *s, const tn_axis *axis);
const char *tn_axis_label_text(tn_sema *s, const tn_axis *axis);
const char *tn_dim_text(tn_sema *s, const tn_dim *dim);
/* A number as a scalar tensor of dtype; a tensor as it is. Integers may become floats, floats never integers. */
tn_datum *tn_datum_as_tensor(tn_sema *s, tn_datum *datum, tn_dtype dtype, tn_loc loc);

/* --- label.c --- */
const tn_dim *tn_label_create(tn_sema *s, const char *name);
static inline bool tn_axis_is_labelled(const tn_axis *axis) { return axis->label && !axis->label->is_constant; }
static inline tn_axis tn_axis_plain(const tn_dim *extent, tn_loc loc) {
  return (tn_axis){.extent = extent, .label = extent->is_constant ? extent : NULL, .loc = loc};
}
/* A step of how axis came to be, after what is told of `from` (may be NULL). */
void tn_axis_trace(tn_sema *s, tn_axis *axis, const tn_axis *from, tn_loc loc, const char *format, ...) TN_PRINTF(5, 6);
/* Notes that tell where an extent comes from, step by step. */
void tn_axis_note(tn_sema *s, const tn_axis *axis);
tn_axis tn_axis_number(tn_sema *s, int64_t extent, tn_loc loc);
/* The axis of tensor that `which` means: a label, or for a bare number a position (negative from the end). UINT32_MAX
 * when there is none (reported). what: the parameter, for messages. */
uint32_t tn_axis_find(tn_sema *s, const tn_datum *tensor, const tn_datum *which, const char *what);
/* p and q are the extents of one dim: equal, or guarded. False when they never are (not reported). */
bool tn_extents_agree(tn_sema *s, const tn_dim *p, const tn_dim *q, tn_loc loc, const char *what);
/* No label stands twice. */
bool tn_labels_distinct(tn_sema *s, const tn_datum *tensor, const char *what, tn_loc loc);

/* --- match.c --- */
/* Broadcasting by label: brings n tensors (2 or 3) to common dims; *out_axes has their axes. */
bool tn_match_broadcast(tn_sema *s, const char *what, tn_datum **tensors, uint32_t n, tn_loc loc, tn_axis **out_axes);
/* Contraction over labels. */
tn_datum *tn_match_dot(tn_sema *s, const tn_datum *a, const tn_datum *b, tn_datum *const *over, uint32_t n_over,
                       tn_loc loc);

/* --- unit.c: files, imports, names of files --- */
tn_unit *tn_unit_load(tn_sema *s, const char *path, tn_loc from, const tn_unit *importer);
tn_decl *tn_unit_find(const tn_unit *unit, const char *name);
/* The value of a dim or let of a file. */
tn_datum *tn_decl_value(tn_sema *s, tn_decl *decl, tn_loc use);
static inline bool tn_decl_is(const tn_decl *decl, tn_ast_item_kind kind) {
  return decl->kind == TN_DECL_ITEM && decl->item->kind == kind;
}
static inline bool tn_decl_is_callable(const tn_decl *decl) {
  return tn_decl_is(decl, TN_AST_MODULE) || tn_decl_is(decl, TN_AST_MODEL);
}
/* The value of -D NAME=VALUE; NULL when it is no number, true or false (reported). */
tn_datum *tn_define_value(tn_sema *s, const tn_lang_setting *define);
/* Every -D had a use. */
bool tn_defines_check(tn_sema *s);
/* The text of "std/..." or NULL. */
const char *tn_std_find(const char *path, size_t *out_bytes);

/* --- frame.c: local names and instances --- */
tn_frame *tn_frame_create(tn_sema *s, tn_unit *unit, tn_frame *caller, tn_loc call_loc);
void tn_frame_push(tn_frame *f);
void tn_frame_pop(tn_frame *f);
tn_name_binding *tn_frame_find(const tn_frame *f, const char *name);
/* Declares a local name; TN_E_LANG_DOUBLE when it has a meaning already. */
tn_name_binding *tn_frame_declare(tn_frame *f, const char *name, tn_name_kind kind, tn_datum *value, tn_loc loc);
/* The next unnamed instance of base in this body, or the one called base. */
tn_instance *tn_frame_next_instance(tn_frame *f, const char *base);
tn_instance *tn_instance_child(tn_sema *s, tn_instance *parent, const char *name);
/* Every name that is known here, for "did you mean". */
const char *tn_frame_nearest(const tn_frame *f, const char *name);
/* A note for each call on the way to here. */
void tn_frame_note_calls(const tn_frame *f);

/* --- expr.c, arith.c --- */
/* NULL when reported. */
tn_datum *tn_eval_expr(tn_frame *f, const tn_ast_expr *expr);
tn_datum *tn_eval_unary(tn_frame *f, tn_ast_op op, tn_datum *x, tn_loc loc);
tn_datum *tn_eval_binary(tn_frame *f, tn_ast_op op, tn_datum *x, tn_datum *y, tn_loc loc);
/* An integer that is known now. */
bool tn_eval_static_int(tn_frame *f, const tn_ast_expr *expr, const char *what, int64_t *out);
bool tn_datum_static_int(tn_sema *s, const tn_datum *datum, const char *what, int64_t *out);
tn_datum *tn_eval_index(tn_frame *f, const tn_ast_expr *expr);
/* exact: dividing with a remainder is an error. */
tn_datum *tn_int_divide(tn_sema *s, const tn_datum *x, const tn_datum *y, tn_loc loc);

/* --- call.c --- */
/* An argument before it is bound: written (expr) or computed already (datum). */
typedef struct tn_given {
  const char *name; /* NULL: by position */
  const tn_ast_expr *expr;
  tn_datum *datum;
  tn_loc loc;
  tn_frame *frame; /* where expr is evaluated */
} tn_given;
/* callee(args); piped: the first argument, or NULL. callee is a name or a call of the tree. */
tn_datum *tn_eval_call(tn_frame *f, const tn_ast_expr *call, tn_datum *piped);
tn_datum *tn_eval_pipe(tn_frame *f, const tn_ast_expr *pipe);
/* sub name = expr */
tn_datum *tn_eval_sub(tn_frame *f, const char *name, const tn_ast_expr *expr);

/* --- module.c --- */
tn_datum *tn_module_call(tn_frame *f, tn_decl *decl, tn_instance *instance, tn_given *given, size_t n, tn_loc loc);
/* The whole model as the entry of s->func. */
bool tn_model_build(tn_sema *s, tn_decl *decl);

/* --- foreign.c: models of other formats; as tn_module_call and tn_model_build --- */
tn_datum *tn_outer_model_call(tn_frame *f, tn_decl *decl, tn_instance *instance, tn_given *given, size_t n, tn_loc loc);
bool tn_outer_model_build(tn_sema *s, tn_decl *decl);

/* --- type.c --- */
/* A type's dims, evaluated with the names of f. rest dims (..S) are replaced by what S is bound to. */
typedef struct tn_shape {
  tn_dtype dtype;
  uint32_t n;
  tn_axis axes[TN_MAX_NDIM];
  const tn_axis *classes;
} tn_shape;
bool tn_type_is_tensor(const tn_ast_type *type); /* else int, float, bool, text, init, dtype, or a tuple */
bool tn_shape_of_type(tn_frame *f, const tn_ast_type *type, tn_shape *out);
/* Binds the names in type that nothing declares yet to what the tensor has; the first of two steps. */
bool tn_type_bind(tn_frame *f, const tn_ast_type *type, const tn_datum *value, const char *what);
/* The tensor (or tuple) with the labels of type, its extents checked against it. what: "argument 'x' of M". */
tn_datum *tn_type_adopt(tn_frame *f, const tn_ast_type *type, tn_datum *value, const char *what);
/* The value with the labels that the caller has for type's dims. */
tn_datum *tn_type_leave(tn_frame *f, const tn_ast_type *type, tn_datum *value);
/* The name that a dim consists of when nothing declares it yet, or NULL; giving it a meaning. */
const char *tn_type_free_name(const tn_frame *f, const tn_ast_dim *dim);
bool tn_type_bind_name(tn_frame *f, const char *name, tn_axis axis, tn_loc loc);
/* A label of f's body as its caller has it, or NULL. */
const tn_dim *tn_label_leave(const tn_frame *f, const tn_dim *label);
/* An argument of a static type: int, float, bool, text, init, dtype. */
tn_datum *tn_static_argument(tn_frame *f, const tn_ast_type *type, const tn_given *given, const char *what);

/* --- stmt.c --- */
/* let: declares its names, poisoned where the value is wrong. */
bool tn_let_run(tn_frame *f, const tn_ast_stmt *stmt);
/* Runs a body; *out_result is what its return gave, or NULL when it has none. False when something was reported. */
bool tn_body_run(tn_frame *f, const tn_ast_body *body, tn_datum **out_result);

/* --- steps.c: scan --- */
bool tn_scan_run(tn_frame *f, const tn_ast_stmt *stmt);
bool tn_scan_yield(tn_frame *f, const tn_ast_stmt *stmt);

/* --- names.c: what nothing instantiates --- */
void tn_names_check(tn_sema *s, tn_unit *unit);
/* Expressions of dry frames: the value where it depends on no argument, else NULL. */
tn_datum *tn_names_expr(tn_frame *f, const tn_ast_expr *e);
void tn_names_range(tn_frame *f, const tn_ast_expr *range);
/* An argument of a static type, as far as it is known. */
void tn_names_static(tn_frame *f, const tn_ast_type *type, tn_given *given, const char *what);

/* --- weights.c, init.c --- */
/* The value of a weight of the current instance, made at its first use. fan_in, fan_out: of the layer, 0 = by the rule
 * for a bare param. */
tn_datum *tn_weight_use(tn_frame *f, tn_instance *owner, const char *name, tn_dtype dtype, const tn_axis *axes,
                        uint32_t n, const tn_init *init, double fan_in, double fan_out, bool is_buffer, tn_loc loc);
tn_datum *tn_weight_value(tn_sema *s, const tn_weight *weight);
/* A weight that has a value of its own takes that of --weights where there is one. False: it does not fit. */
bool tn_weight_replace(tn_sema *s, tn_weight *weight);
/* The initialiser that an expression means. */
bool tn_init_of_expr(tn_frame *f, const tn_ast_expr *expr, tn_init *out);
bool tn_init_of_datum(tn_sema *s, const tn_datum *datum, tn_init *out);
bool tn_init_is_name(const char *name);
/* The kind and numbers that init comes to in a weight of this type: no elements yet. fan_in 0: by the rule for a bare
 * param. */
tnrt_initial tn_init_resolve(const tn_init *init, const tn_type *type, double fan_in, double fan_out);
/* The elements of a tensor, row-major, in storage form, with the seed of the options. */
const void *tn_init_fill(tn_sema *s, const tnrt_initial *init, const tn_type *type, const char *path);
/* Every weight is there and every tensor of --weights is used; reports what is not. */
bool tn_weights_check(tn_sema *s);

/* --- store.c: files of tensors --- */
typedef struct tn_store tn_store;
typedef struct tn_stored {
  const char *name;
  tn_dtype dtype;
  uint32_t ndim;
  int64_t extents[TN_MAX_NDIM];
  const void *data;     /* row-major, little-endian */
  const char *file;     /* where data lies in a mapped file, or NULL */
  uint64_t file_offset;
  bool is_used;
} tn_stored;
/* .npy (one tensor, named ""), .npz, .safetensors, a folder of NAME.npy. */
tn_store *tn_store_open(tn_sema *s, const char *path, tn_loc loc);
tn_stored *tn_store_find(tn_store *store, const char *name);
size_t tn_store_count(const tn_store *store);
tn_stored *tn_store_at(tn_store *store, size_t index);
const char *tn_store_path(const tn_store *store);
/* Whether a training program wrote the file: what the data's functions learned is in it too (fitted.c). */
bool tn_store_is_trained(const tn_store *store);
const char *tn_store_nearest(tn_sema *s, const tn_store *store, const char *name);

/* --- build.c: sessions --- */
tn_sema *tn_sema_create(tn_ctx *ctx, const tn_lang_options *options);
/* The file and what it imports; false when it cannot be read. */
bool tn_sema_load(tn_sema *s, const char *path);
/* The entry that is asked for, else the only model, else the last. NULL when reported; warns: of a choice. */
tn_decl *tn_entry_find(tn_sema *s, bool warns);
/* Everything in the file is checked, by a session of its own. is_again: the texts are those that ctx keeps. */
bool tn_lang_check_again(tn_ctx *ctx, const char *path, const tn_lang_options *options);

/* --- blocks.c: data, train, compress, deploy, test --- */
void tn_blocks_check(tn_sema *s, tn_unit *unit);
/* show.c: "m.tn:2:3: note: WHAT", the line, and a caret below it; NULL: loc is no place of a text. */
const char *tn_place_show(tn_sema *s, tn_loc loc, const char *what);

/* override.c: the settings of --set take their places in the file. */
bool tn_sets_apply(tn_sema *s, tn_ast_file *ast);
/* place.c: dims placed on axes of a mesh. */
void tn_places_check(tn_sema *s, tn_unit *unit);
/* Processes along an axis of a mesh as written: -1, any number of them; 0: no number that an axis can have. */
int64_t tn_mesh_size(const tn_ast_expr *e);

/* An error with the chain of calls that led to it. */
bool tn_frame_error(const tn_frame *f, tn_loc loc, tn_diag_code code, const char *format, ...) TN_PRINTF(4, 5);

#endif
