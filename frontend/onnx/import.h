/* The import of a graph: what its files share. A model is read in this order: options and dims of the inputs
 * (dims.c), names and their order (scope.c), functions (function.c), then each node (node.c: its operator's row and the
 * call of that row's import; attrs.c: its attributes), then the outputs (import.c). */
#ifndef TN_FRONTEND_ONNX_IMPORT_H
#define TN_FRONTEND_ONNX_IMPORT_H

#include "frontend/onnx/tensor.h"
#include "ir/foreign.h"

typedef Onnx__NodeProto tn_onnx_node;
typedef Onnx__GraphProto tn_onnx_graph;

/* A function of the model. */
typedef struct tn_local_function {
  const Onnx__FunctionProto *proto;
  uint64_t n_nodes; /* after inlining everything below it */
  enum { TN_FUNCTION_NEW, TN_FUNCTION_COUNTING, TN_FUNCTION_COUNTED } state;
} tn_local_function;

/* Operators that tenon lacks, gathered over the whole model. */
typedef struct tn_missing_op {
  const char *domain, *name;
  int64_t version;
  const char *hint; /* "" or which versions exist */
  size_t count;
  tn_loc first;
} tn_missing_op;

typedef struct tn_importer {
  tn_ctx *ctx;
  tn_arena *scratch;
  tn_module *module;
  const tn_onnx_options *options;
  const char *file; /* for locations */
  const Onnx__ModelProto *model;
  tn_tensor_reader tensors;
  tn_map rows;      /* interned "domain:Name" -> tn_onnx_choice* */
  tn_map functions; /* interned "domain:name:overload" -> tn_local_function* */
  tn_map dims;      /* interned dim_param -> tn_dim* */
  tn_map missing;   /* interned "domain:Name" -> tn_missing_op* */
  tn_onnx_part *part; /* the model becomes part of another graph; else NULL */
  uint32_t n_again; /* see tn_foreign_node.again */
  size_t n_missing; /* nodes of such operators: reported at the end, but as wrong as errors */
} tn_importer;

/* The operators that one ONNX name may mean. */
typedef struct tn_onnx_choice {
  const tn_opdef *op;
  const tn_onnx_row *row;
  struct tn_onnx_choice *next;
} tn_onnx_choice;

/* What a name stands for in one graph. */
typedef struct tn_binding {
  const char *name;
  enum { TN_BOUND_INPUT, TN_BOUND_INITIALISER, TN_BOUND_NODE } from;
  size_t node_index;                   /* NODE */
  const Onnx__TensorProto *tensor;     /* INITIALISER */
  enum { TN_BINDING_NOT_YET, TN_BINDING_READY, TN_BINDING_POISONED } state; /* poisoned: its maker was wrong */
  bool is_omitted;                     /* an input of a function that the caller left out */
  tn_value *value;                     /* READY; NULL for a constant that nothing used yet */
  tn_const *constant;
  tn_loc loc;
} tn_binding;

/* A function being inlined: where its attributes come from. */
typedef struct tn_call {
  const tn_local_function *function;
  const tn_foreign_attr *attrs; /* given by the calling node */
  uint32_t n_attrs;
} tn_call;

/* One graph, body or inlined function while its nodes are imported. */
typedef struct tn_scope {
  tn_importer *importer;
  struct tn_scope *outer; /* of a body: the graph around it, whose constants it may use; NULL otherwise */
  const tn_call *call;    /* the function this is in, or NULL */
  const char *label;      /* for locations: "" for the main graph */
  Onnx__OperatorSetIdProto *const *opsets;
  size_t n_opsets;
  tn_onnx_node *const *nodes;
  size_t n_nodes;
  tn_build build;
  tn_map names; /* interned name -> tn_binding* */
} tn_scope;

/* The graph of an attribute, as tn_foreign_attr.graph. */
typedef struct tn_body {
  const tn_onnx_graph *graph;
  tn_scope *scope; /* around it */
} tn_body;

/* import.c */
tn_module *tn_import_model(tn_ctx *ctx, const tn_source *source, const char *name, const tn_onnx_options *options);

bool tn_import_part(tn_ctx *ctx, const tn_source *source, const char *name, const tn_onnx_options *options,
                    tn_onnx_part *part);

/* part.c: inputs from the arguments of a call, outputs and weights back. */
void tn_part_declare_inputs(tn_scope *scope, const tn_onnx_graph *graph);
void tn_part_finish(tn_scope *scope, const tn_onnx_graph *graph);

/* dims.c: the type of a graph input, options applied. NULL when reported. */
bool tn_dims_prepare(tn_importer *importer);
const tn_type *tn_dims_input_type(tn_importer *importer, const Onnx__ValueInfoProto *input, tn_loc loc);
/* Whether value can be this input: its type, its rank, the extents that the model states. Names of dims that are met
 * for the first time become the value's extents. False: reported at loc. */
bool tn_dims_meet(tn_importer *importer, const Onnx__ValueInfoProto *input, const tn_value *value, tn_loc loc);
bool tn_dims_has_shape_option(const tn_importer *importer, const char *input);

/* scope.c */
tn_scope tn_scope_create(tn_importer *importer, tn_block *block);
/* Declares a name; TN_E_ONNX_DUPLICATE (and the first binding) when it has one already. */
tn_binding *tn_scope_declare(tn_scope *scope, const char *name, tn_loc loc);
/* Declares the initialisers and what the nodes make; the nodes alone. */
void tn_scope_declare_graph(tn_scope *scope, const tn_onnx_graph *graph);
void tn_scope_declare_nodes(tn_scope *scope);
tn_binding *tn_scope_find(const tn_scope *scope, const char *name);
/* The value of a name for use in scope; NULL with *out_poisoned set, or undefined and reported at loc. */
tn_value *tn_scope_value(tn_scope *scope, const char *name, tn_loc loc, bool *out_poisoned);
/* Node indices in an order where producers come first, of all nodes or of those that `roots` need; nodes in a circle
 * are reported and left out. */
void tn_scope_order(tn_scope *scope, const char *const *roots, size_t n_roots, size_t **out_order, size_t *out_n);
/* Names that graph and the bodies in it use and do not define, in order of first use. */
void tn_scope_free_names(tn_importer *importer, const tn_onnx_graph *graph, tn_map *out_names);
tn_loc tn_scope_node_loc(const tn_scope *scope, size_t node_index);
int64_t tn_scope_opset(const tn_scope *scope, const char *domain); /* -1: not declared */
/* The domain in its usual spelling: "ai.onnx" is "". */
const char *tn_onnx_domain(const char *domain);
/* text with what is no printable UTF-8 escaped, for messages and names of values. */
const char *tn_onnx_display(tn_ctx *ctx, const char *text);

/* node.c */
void tn_rows_collect(tn_importer *importer);
void tn_import_node(tn_scope *scope, size_t node_index);
void tn_report_missing(tn_importer *importer);
/* Imports the nodes of order; binds what they make. */
void tn_import_nodes(tn_scope *scope, const size_t *order, size_t n);

/* attrs.c: a node's attributes as import functions see them. False when reported. */
bool tn_import_attrs(tn_scope *scope, const tn_onnx_node *node, tn_loc loc, const tn_foreign_attr **out,
                     uint32_t *out_n);
/* The attributes of op from those of the node, by name. */
bool tn_map_attrs(const tn_foreign_node *node, const tn_opdef *op, tn_attr **out);
/* The tensor of a Constant node. */
tn_const *tn_import_constant(const tn_foreign_node *node, const char *name);

/* function.c */
bool tn_functions_collect(tn_importer *importer);
tn_local_function *tn_function_find(const tn_importer *importer, const tn_onnx_node *node);
/* Refuses recursion and too many nodes. */
bool tn_functions_check(tn_importer *importer);
bool tn_function_inline(tn_scope *scope, size_t node_index, tn_local_function *function, tn_foreign_node *call);

/* body.c: the hooks of tn_foreign_node. */
bool tn_body_describe(tn_foreign_node *node, void *graph, tn_foreign_graph *out);
bool tn_body_import(tn_foreign_node *node, void *graph, tn_block *into);

#endif
