/* Models with the weights of a training: what the data's functions do to a record becomes a part of the graph, with
 * what they learned as constants, so that a model takes fields as they stand in the data. */
#ifndef TN_FRONTEND_LANG_SERVE_H
#define TN_FRONTEND_LANG_SERVE_H

#include "frontend/lang/fitted.h"
#include "frontend/lang/job.h"

/* A field that the model takes. */
typedef struct tn_serve_field {
  const tn_job_field *field;
  const tnrt_link *links;
  uint32_t n_links;
  uint32_t columns, n_columns; /* in the plan */
  uint32_t first;        /* links before it turn texts into tokens: whoever runs the model does those */
  bool is_image;         /* bytes of a picture */
  bool has_codes;        /* links[first] takes the number of a category instead of its text */
  tn_fitted_words words; /* of links[first], where that is one_hot */
} tn_serve_field;

/* serve.c: a category as a number, as tables are read; false: it is none. */
bool tn_serve_number(const char *text, double *out);
/* serve_chain.c: whether a link changes what a model is given: those that are drawn in training alone do not. */
bool tn_serve_acts(const tnrt_link *link);
/* The functions links[first ..] of raw, one sample an entry of its first axis, as elements of type dtype. NULL when
 * reported. */
tn_value *tn_serve_chain(tn_sema *s, tn_build *b, const tn_serve_field *field, tn_value *raw, tn_dtype dtype);

/* serve_plan.c: the plan of an executable that reads records. */
typedef struct tn_serve_plan {
  const tn_job *job;
  tn_tables tables;
  tnrt_training head;
  TN_VEC(tnrt_field) fields;
  TN_VEC(uint32_t) fitted; /* keys and texts in turn */
  bool is_whole;           /* all inputs are fields whose types are known */
} tn_serve_plan;
void tn_serve_plan_start(tn_serve_plan *plan, const tn_job *job);
/* input: the type of the model's input, which is that of a field before its functions; NULL: it is none. Of those
 * labels are taken whose classes may name results, and windows. */
bool tn_serve_plan_add(tn_serve_plan *plan, const tn_serve_field *field, const tn_type *input);
/* out may be NULL, and stays as it is where the plan is not whole. */
bool tn_serve_plan_end(tn_serve_plan *plan, tn_lang_serving *out);

/* The model's inputs become the fields as they stand in the data, where the file of weights is a training's. False when
 * an error was reported. */
bool tn_serve_inputs(tn_sema *s, tn_decl *model);

#endif
