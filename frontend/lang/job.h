/* A training program being made: what its models and its plan are made from. A job is one session over the file; each
 * of the program's models has one of its own, for they are modules of their own. What blocks.h checks was checked
 * before. Functions return false when they reported an error. */
#ifndef TN_FRONTEND_LANG_JOB_H
#define TN_FRONTEND_LANG_JOB_H

#include "frontend/lang/blocks.h"
#include "frontend/lang/tables.h"
#include "train/train.h"

/* A field of the data with the type it has, given or found (fields.c). */
typedef struct tn_job_field {
  const char *name;
  tn_loc loc;
  tn_loc place;            /* where its type comes from, and the text that says so */
  const char *said;
  const tn_ast_stmt *stmt; /* NULL: of data without a body */
  tn_shape shape;          /* of one sample; extents are known */
  bool is_input, is_used;  /* by the model; by it or by the train block */
} tn_job_field;

/* A weight in the order of the plan. */
typedef struct tn_job_weight {
  const tn_weight *weight;
  tnrt_weight_role role;
  uint32_t field; /* of MEAN and VARIANCE; n_fields + k: of fits[k] */
  uint32_t group;
  double decay;   /* NAN: the optimiser's */
} tn_job_weight;

/* Weights of one learning rate. */
typedef struct tn_job_group {
  const tn_ast_expr *lr; /* a number or a schedule; NULL: the optimiser's default */
} tn_job_group;

/* What is computed again instead of kept. */
typedef struct tn_job_remat {
  bool is_on;
  uint64_t budget;    /* 0: none */
  int64_t keep_every; /* of loops every n-th state is kept; 0: others say what is */
  tn_loc loc;
} tn_job_remat;

typedef struct tn_job {
  tn_sema *s;
  tn_block_check c; /* of the train block */
  tn_decl *model;
  const tn_ast_item *train, *data;
  tn_training_mode mode;
  TN_VEC(tn_job_field) fields; /* the model's inputs first, in their order */
  uint32_t n_inputs;
  TN_VEC(tn_job_weight) weights;
  TN_VEC(tn_job_group) groups; /* the first: of all that no params block has */
  tn_job_remat remat;
  TN_VEC(tn_value *) fits;     /* values that the model computes, of which weights are statistics */
} tn_job;

/* job.c: the file is read and the model is built as func of the session, in a module of its own. is_step: dropout
 * drops, batch norm takes the batch's statistics. */
bool tn_job_open(tn_job *job, tn_ctx *ctx, const char *path, const tn_lang_options *options, bool is_step);
/* The train block and the fields of a model that s has built with weights: no more than what its data's functions ask
 * for. */
bool tn_job_look(tn_job *job, tn_sema *s, tn_decl *model);
/* "... is not there yet" at a place. */
bool tn_job_not_yet(const tn_job *job, tn_loc loc, const char *format, ...) TN_PRINTF(3, 4);

/* job_fields.c */
bool tn_job_find_fields(tn_job *job);  /* before the model is built: those whose type the file says */
bool tn_job_type_fields(tn_job *job);  /* after it: the others */
/* Instead of the latter: no types of labels, none of dims that only a run knows. */
bool tn_job_look_fields(tn_job *job, const tn_block *body);
/* Columns, chain and type of each, and where they come from. */
bool tn_job_plan_fields(const tn_job *job, tn_tables *plan, tnrt_training *head);
/* job_source.c */
bool tn_job_plan_source(const tn_job *job, tn_tables *plan, tnrt_source *out);
/* job_chain.c: the functions of a field's chain. */
bool tn_job_plan_chain(const tn_job *job, tn_tables *plan, const tn_job_field *field, tnrt_field *out);
/* job_weights.c: roles, groups */
bool tn_job_find_weights(tn_job *job);
bool tn_job_plan_weights(const tn_job *job, tn_tables *plan, tnrt_training *head);
/* job_precision.c: bf16, f16 or f32; the loss scale. */
tn_dtype tn_job_precision(const tn_job *job);
/* The type that `master` keeps a weight in; NULL: its own. */
const tn_type *tn_job_kept(const tn_job *job, const tn_job_weight *weight);
bool tn_job_plan_precision(const tn_job *job, tnrt_training *head);
/* job_remat.c: before the model is built, which then marks the inputs of its loops' bodies. */
bool tn_job_read_remat(tn_job *job);
/* job_rates.c */
/* Optimiser and clipping; the weights are left out. */
bool tn_job_train_plan(const tn_job *job, tn_train_plan *out);
bool tn_job_plan_rates(const tn_job *job, tn_tables *plan, tnrt_training *head);
/* job_terms.c: SPLIT.NAME; a condition. */
bool tn_job_watch(const tn_job *job, const tn_ast_expr *e, tnrt_watch *out);
/* Whether the best of it is the greatest: by the mode of stalled, plateau or checkpoint, else by what is measured. */
bool tn_job_is_max(const tn_block_call *call, const tn_ast_expr *monitor);
bool tn_job_plan_condition(const tn_job *job, tn_tables *plan, const tn_ast_expr *e, tnrt_condition *out);
uint32_t tn_job_split(const char *name);
/* job_events.c: every, on, stop when, require */
bool tn_job_plan_events(const tn_job *job, tn_tables *plan, tnrt_training *head);
/* job_parallel.c: mesh and parallel: over which processes, and how. */
bool tn_job_plan_parallel(const tn_job *job, tn_tables *plan, tnrt_training *head);
/* job_limits.c: actions that the model cannot do are errors. */
bool tn_job_check_limits(const tn_job *job);
/* job_graph.c: the session's function becomes one of the program's models. */
bool tn_job_make_predict(tn_job *job);
/* head: its metrics are filled in. */
bool tn_job_make_eval(tn_job *job, tn_tables *plan, tnrt_training *head);
bool tn_job_make_step(tn_job *job, bool only_gradients);
bool tn_job_make_fit(tn_job *job); /* where there are fits */
/* In a module of its own, by one of train/train.h's functions; NULL when reported. */
tn_module *tn_job_make_update(tn_job *job, tn_func *(*make)(tn_module *module, const tn_train_plan *plan));

/* train_onnx.c: the model as an ONNX file without its weights becomes part of the plan, or why there is none. */
void tn_lang_plan_onnx(tn_ctx *ctx, const char *path, const tn_lang_options *options, const char *producer,
                       tn_tables *plan, tnrt_training *head);

#endif
