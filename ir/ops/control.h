/* What the imports of ONNX' If, Loop and Scan share. */
#ifndef TN_IR_OPS_CONTROL_H
#define TN_IR_OPS_CONTROL_H

#include "ir/ops/onnx.h"

/* The graph of attribute name; TN_E_ATTR when the node has none. */
bool tn_control_graph(tn_foreign_node *node, const char *name, void **out);
/* Input `index`, which must be a bool of one element where it is there. */
bool tn_control_condition(tn_foreign_node *node, uint32_t index, tn_value **out);
/* x, which has one element, as a scalar; NULL for NULL. */
tn_value *tn_control_scalar(tn_build *b, tn_value *x);
/* The body of graph in a block of its own, ended by its outputs; inputs are the types of the graph's own inputs. NULL
 * when reported. */
tn_block *tn_control_body(tn_foreign_node *node, void *graph, const tn_foreign_graph *about, tn_node *owner,
                          tn_value *const *inputs);
/* The node's outputs; TN_E_ARITY when it has more than n. */
bool tn_control_outputs(tn_foreign_node *node, tn_value *const *values, uint32_t n);

/* A Loop while it is imported. */
typedef struct tn_loop_import {
  tn_foreign_node *node;
  tn_foreign_graph about;
  void *graph;
  tn_value *trip, *condition; /* NULL when omitted */
  tn_value *const *inputs;    /* of the body's types: number, condition, carried values */
  tn_value *const *carried;   /* the first contents of what is carried */
  uint32_t n_carried;
  bool is_counted;            /* the condition holds as long as the trip count says */
  tn_block *body;             /* parameters: number, condition, carried, captures; yields condition, carried, stacked */
  struct tn_loop_growing *growing;
  size_t n_guards;            /* where the loop stands, before the body */
  const tn_dim *runs;         /* tn_loop_trip's */
  tn_value **results;         /* the last contents of what is carried, then what is stacked */
} tn_loop_import;

/* The number of runs, or what it can at most be, as a dim: known before running, else read where it is computed. NULL
 * when there is no trip count, or when reported. */
const tn_dim *tn_loop_trip(tn_loop_import *l);

/* onnx_loop_extents.c */
/* Where the extents of carried values change: makes the loop's body and what it carries such that they do not. */
bool tn_loop_grow(tn_loop_import *l);
/* The body once more, after it was used. */
bool tn_loop_body_again(tn_loop_import *l);
/* Cuts the results of a loop that tn_loop_grow changed to their own extents. */
bool tn_loop_cut(tn_loop_import *l);

#endif
