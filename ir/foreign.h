/* A node of another format, as import functions of ops see it. ir/ never sees protobuf: frontend/onnx fills one of
 * these from a NodeProto, and the op's import builds nodes and sets outputs. Missing trailing inputs and inputs named
 * "" are NULL. Import functions return false when they reported an error. */
#ifndef TN_IR_FOREIGN_H
#define TN_IR_FOREIGN_H

#include "ir/build.h"

typedef enum tn_foreign_kind {
  TN_FOREIGN_INT,
  TN_FOREIGN_FLOAT,
  TN_FOREIGN_STRING,
  TN_FOREIGN_TENSOR,
  TN_FOREIGN_GRAPH,
  TN_FOREIGN_INTS,
  TN_FOREIGN_FLOATS,
  TN_FOREIGN_STRINGS,
  TN_FOREIGN_OTHER
} tn_foreign_kind;

typedef struct tn_foreign_attr {
  const char *name;
  tn_foreign_kind kind;
  int64_t i;
  double f;
  const char *s; /* NUL-terminated; s_length bytes */
  size_t s_length;
  uint32_t n;
  const int64_t *ints;
  const double *floats;
  const char *const *strings;
  tn_const *tensor;
  void *graph; /* opaque; for tn_foreign_region */
} tn_foreign_attr;

/* What an op must know of a body before it builds the node that holds it: regions are isolated, so what the body uses
 * from outside becomes operands of the node and, in this order, the last parameters of the region's block. Constants of
 * enclosing graphs are not among the captures; the importer makes them again inside. */
typedef struct tn_foreign_graph {
  uint32_t n_inputs, n_outputs; /* of the graph itself */
  tn_value *const *captures;
  uint32_t n_captures;
} tn_foreign_graph;

typedef struct tn_foreign_node {
  tn_build *build;
  const char *domain, *op; /* "" and "Conv" */
  int64_t version;         /* of the operator's domain in this model */
  tn_loc loc;
  tn_value *const *inputs;
  uint32_t n_inputs;
  const tn_foreign_attr *attrs;
  uint32_t n_attrs;
  uint32_t n_outputs;
  char *const *output_names;
  const bool *wanted;  /* output i has a name that something may use */
  tn_value **outputs;  /* out; preset to NULL; those wanted must be set */
  /* False when a captured value could not be made (reported before). */
  bool (*describe_graph)(struct tn_foreign_node *node, void *graph, tn_foreign_graph *out);
  /* Imports the graph of an attribute as a region's body, ended by a yield of the graph's outputs. The block's params,
   * made by the caller, are the graph's inputs (fewer or more than it has is TN_E_ARITY) and then its captures. */
  bool (*import_graph)(struct tn_foreign_node *node, void *graph, tn_block *into);
  /* The value called name where the node stands, for attributes that name tensors; NULL when it is not there or not
   * to be had (reported). */
  tn_value *(*find_value)(struct tn_foreign_node *node, const char *name);
  /* The rank that the model declares for output `output`, or for what elementwise operators make of it, among the
   * outputs of its graph; -1: none. A hint: what is done for it must be right whatever it says. */
  int64_t (*declared_rank)(struct tn_foreign_node *node, uint32_t output);
  uint32_t *again; /* how many nodes are being imported that import a graph several times; shared by the whole model */
  void *importer;
} tn_foreign_node;

/* The number of an element type in ONNX (TensorProto.DataType). */
int64_t tn_dtype_to_onnx(tn_dtype dtype);

/* NULL when not there. The readers below give the fallback then; an attribute of another kind is TN_E_ATTR. */
const tn_foreign_attr *tn_foreign_find(const tn_foreign_node *node, const char *name);
bool tn_foreign_int(const tn_foreign_node *node, const char *name, int64_t fallback, int64_t *out);
bool tn_foreign_float(const tn_foreign_node *node, const char *name, double fallback, double *out);
bool tn_foreign_string(const tn_foreign_node *node, const char *name, const char *fallback, const char **out);
/* *out_n = 0 and true when absent. */
bool tn_foreign_ints(const tn_foreign_node *node, const char *name, const int64_t **out, uint32_t *out_n);
/* The input, or NULL when omitted. */
tn_value *tn_foreign_input(const tn_foreign_node *node, uint32_t index);
/* The input; TN_E_ARITY when it is omitted. */
tn_value *tn_foreign_need(const tn_foreign_node *node, uint32_t index);
/* Input index as a compile-time list of integers (constant or known index value with constant contents): *out_known =
 * false when its contents are not known at compile time. Allocated in the module's arena. */
bool tn_foreign_const_ints(const tn_foreign_node *node, uint32_t index, const int64_t **out, uint32_t *out_n,
                           bool *out_known);
/* Like it for a scalar or one-element float constant. */
bool tn_foreign_const_float(const tn_foreign_node *node, uint32_t index, double *out, bool *out_known);
/* p / q exactly; what the extents do not show becomes a guard, with the operator's name and `what`. NULL: q never
 * divides p (reported). */
const tn_dim *tn_foreign_quotient(const tn_foreign_node *node, const tn_dim *p, const tn_dim *q, const char *what);
/* The error for something the operator allows and tenon does not do yet: TN_E_ONNX_UNSUPPORTED with node's place. */
bool tn_foreign_unsupported(const tn_foreign_node *node, const char *format, ...) TN_PRINTF(2, 3);

#endif
