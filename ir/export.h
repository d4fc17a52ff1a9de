/* The way back: a graph as nodes of another format (ONNX), which ir/ knows no more of than names. tn_export_func walks
 * the nodes; the op's record says with which operators it is written (`export` in ir/op.h); frontend/onnx writes the
 * bytes. Attributes are those of ir/foreign.h, as on the way in.
 *
 * A name stands for a tensor; all names are unique over the whole model, so bodies see what is outside of them under
 * the same name. Nodes that nothing uses in the end are left out, so an export may emit what it perhaps needs. Memory
 * is of graph lifetime. */
#ifndef TN_IR_EXPORT_H
#define TN_IR_EXPORT_H

#include "ir/foreign.h"

/* The lowest opset that is written; what needs a later one raises it. */
#define TN_EXPORT_OPSET 18

typedef struct tn_export_node {
  const char *name, *op;
  const char **inputs, **outputs; /* "" for one that is omitted */
  uint32_t n_inputs, n_outputs;
  const tn_foreign_attr *attrs; /* those of kind GRAPH have a tn_export_graph */
  uint32_t n_attrs;
  int64_t since; /* opset that has the operator in this form; 0: TN_EXPORT_OPSET has */
  bool is_used;
} tn_export_node;

typedef struct tn_export_port {
  const char *name;
  const tn_type *type;
} tn_export_port;

typedef struct tn_export_graph {
  struct tn_export_graph *outer; /* of a body */
  const char *name;
  TN_VEC(tn_export_node *) nodes;
  TN_VEC(tn_export_port) inputs, outputs;
  tn_map dims; /* tn_dim* -> name of an i64[1] that holds it, for what this graph computes */
} tn_export_graph;

typedef struct tn_export_const {
  tn_const *constant;
  bool is_used;
} tn_export_const;

typedef struct tn_export {
  tn_ctx *ctx;
  tn_module *module;
  tn_arena *arena;
  tn_func *func;
  tn_export_graph *head;  /* what dims of the inputs come to; its nodes stand before those of main */
  tn_export_graph *main;
  tn_export_graph *graph; /* where nodes go now */
  int64_t opset;
  const char *origin;     /* the model's own name of the node being written, or "" */
  tn_map names, suffixes; /* ever given */
  tn_map node_names, node_suffixes;
  tn_map values;          /* tn_value* -> name */
  tn_map constants;       /* name -> tn_export_const */
  tn_map numbers;         /* text of a small constant -> name */
  tn_map makers;          /* name -> tn_export_node */
  tn_map missing;         /* op -> what is reported of it */
} tn_export;

/* The whole of func. Composites that are not written as they are get expanded in func itself. Operations that have no
 * form in the other format are reported together, each with its count and its first node (TN_E_ONNX_EXPORT); false
 * then. */
bool tn_export_func(tn_ctx *ctx, tn_func *func, tn_export *out);

/* For the export functions of ops. */

/* The name of operand `index`, "" when it is omitted; of any value. */
const char *tn_export_operand(tn_export *x, const tn_node *node, uint32_t index);
const char *tn_export_value(tn_export *x, const tn_value *value);
/* The name that result `index` must get; NULL beyond the last. */
const char *tn_export_result(tn_export *x, const tn_node *node, uint32_t index);
/* A name of its own for something in between. */
const char *tn_export_fresh(tn_export *x, const char *hint);

/* One node in the present graph with one output, `result`, or a fresh name when that is NULL; gives its name. since:
 * the opset that has the operator in this form, 0 for any from TN_EXPORT_OPSET on. */
const char *tn_export_emit(tn_export *x, const char *op, int64_t since, const char *const *inputs, uint32_t n_inputs,
                           const tn_foreign_attr *attrs, uint32_t n_attrs, const char *result);
void tn_export_emit_many(tn_export *x, const char *op, int64_t since, const char *const *inputs, uint32_t n_inputs,
                         const tn_foreign_attr *attrs, uint32_t n_attrs, const char *const *outputs,
                         uint32_t n_outputs);
/* Lists for these two: an array and its length. */
#define TN_NAMES(...) \
  (const char *const[]){__VA_ARGS__}, (uint32_t)(sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))
#define TN_FOREIGN(...) \
  (const tn_foreign_attr[]){__VA_ARGS__}, \
      (uint32_t)(sizeof((const tn_foreign_attr[]){__VA_ARGS__}) / sizeof(tn_foreign_attr))
#define TN_NO_NAMES NULL, 0
#define TN_NO_FOREIGN NULL, 0
/* Without attributes. */
const char *tn_export_unary(tn_export *x, const char *op, const char *a, const char *result);
const char *tn_export_binary(tn_export *x, const char *op, const char *a, const char *b, const char *result);
const char *tn_export_where(tn_export *x, const char *condition, const char *a, const char *b, const char *result);
const char *tn_export_cast(tn_export *x, const char *a, tn_dtype dtype, const char *result);
const char *tn_export_transpose(tn_export *x, const char *a, const int64_t *perm, uint32_t n, const char *result);
/* Axes of extent 1 put in at these positions of the result, or taken away. */
const char *tn_export_unsqueeze(tn_export *x, const char *a, const int64_t *axes, uint32_t n, const char *result);
const char *tn_export_squeeze(tn_export *x, const char *a, const int64_t *axes, uint32_t n, const char *result);

tn_foreign_attr tn_foreign_of_int(const char *name, int64_t i);
tn_foreign_attr tn_foreign_of_float(const char *name, double f);
tn_foreign_attr tn_foreign_of_string(const char *name, const char *s);
tn_foreign_attr tn_foreign_of_ints(const char *name, const int64_t *ints, uint32_t n); /* not copied */
tn_foreign_attr tn_foreign_of_graph(const char *name, tn_export_graph *graph);
tn_foreign_attr tn_foreign_of_dtype(const char *name, tn_dtype dtype);

/* Constants: a constant of the module; i64[n]; i64[]; a scalar of dtype. */
const char *tn_export_const_value(tn_export *x, tn_const *constant);
const char *tn_export_ints(tn_export *x, const int64_t *ints, uint32_t n);
const char *tn_export_int(tn_export *x, int64_t i);
const char *tn_export_number(tn_export *x, tn_dtype dtype, double v);

/* export_dim.c: extents, as i64[1] and i64[n]; they are computed from the shapes of inputs and from dim_read. NULL when
 * a symbol is not there (reported). */
const char *tn_export_dim(tn_export *x, const tn_dim *dim);
const char *tn_export_dims(tn_export *x, const tn_dim *const *dims, uint32_t n);
/* As i64[]. */
const char *tn_export_extent(tn_export *x, const tn_dim *dim);
/* a, of type `from`, with these extents. */
const char *tn_export_reshape(tn_export *x, const char *a, const tn_type *from, const tn_dim *const *dims, uint32_t n,
                              const char *result);
/* An i64[1] of the present graph holds dim from here on. */
void tn_export_bind_dim(tn_export *x, const tn_dim *dim, const char *name);

/* Bodies: begun, filled by tn_export_block, ended. Parameters of the block that are not named yet become inputs of the
 * graph; tn_export_alias names one that stands for something outside. */
tn_export_graph *tn_export_begin_body(tn_export *x, const char *hint);
void tn_export_alias(tn_export *x, const tn_value *value, const char *name);
const char *tn_export_input(tn_export *x, const char *hint, const tn_type *type);
void tn_export_output(tn_export *x, const char *name, const tn_type *type); /* through an Identity */
/* The nodes of block, then its yields as outputs. */
void tn_export_block(tn_export *x, const tn_block *block);
void tn_export_end_body(tn_export *x);

#endif
