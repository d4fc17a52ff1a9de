/* Loading ONNX models: a file (or bytes) becomes a module whose entry function holds the graph in tenon's operators.
 *
 * The file is mapped; weights stay where they lie in it, so the mapping lives as long as the session. All errors of a
 * model are collected in one run: unsupported operators grouped by name, wrong nodes each with their inputs and the
 * producers of those. What is read: IR versions 3 and up, opsets up to 28 of the standard domain (as far back as each
 * operator says), model-local functions (inlined), external data under the model's folder. */
#ifndef TN_FRONTEND_ONNX_ONNX_H
#define TN_FRONTEND_ONNX_ONNX_H

#include "ir/export.h"
#include "ir/graph.h"

#define TN_ONNX_MIN_OPSET 1
#define TN_ONNX_MAX_OPSET 28
/* Unknown extents of inputs are taken to be at most this: exporters write it for "to the end" of a slice, and it keeps
 * products of two extents within 64 bits. --dim NAME=0.. lifts it. */
#define TN_ONNX_MAX_EXTENT 1000000000

/* --dim NAME=LO..HI or NAME=N (lo == hi): fixes or bounds the dim that inputs call NAME (hi may be TN_DIM_INF). */
typedef struct tn_onnx_dim {
  const char *name;
  int64_t lo, hi;
} tn_onnx_dim;

/* --input-shape INPUT:D,D,...: the input's dims, each a number, a name, or "?" for an unknown of its own. */
typedef struct tn_onnx_shape {
  const char *input;
  uint32_t ndim;
  const char *const *dims;
  bool is_hint; /* its numbers are those of dims that the model leaves open; nothing where it has no such input */
} tn_onnx_shape;

typedef TN_VEC(const char *) tn_onnx_files;

/* All zero: nothing overridden, all outputs, entry "run". */
typedef struct tn_onnx_options {
  const tn_onnx_dim *dims;
  uint32_t n_dims;
  const tn_onnx_shape *shapes;
  uint32_t n_shapes;
  const char *const *outputs; /* tensors of the main graph to compute; n = 0: the graph's outputs */
  uint32_t n_outputs;
  const char *data_root;      /* where external data may follow symbolic links; NULL = the model's folder, no links */
  const char *entry;          /* NULL = "run" */
  tn_onnx_files *files;       /* paths of all files read are added, for depfiles; NULL = not wanted */
} tn_onnx_options;

/* path "-": standard input. options may be NULL. NULL when an error was reported. */
tn_module *tn_onnx_load(tn_ctx *ctx, const char *path, const tn_onnx_options *options);
/* name is used in messages; data must outlive the module. External data is found only through options->data_root. */
tn_module *tn_onnx_load_bytes(tn_ctx *ctx, const char *name, const void *data, size_t bytes,
                              const tn_onnx_options *options);

/* A model as a part of another graph. */
typedef struct tn_onnx_argument {
  const char *name; /* of the input; NULL: by position, those without a name come first */
  tn_value *value;
  tn_loc loc;
} tn_onnx_argument;

typedef struct tn_onnx_output {
  const char *name;
  tn_value *value;
} tn_onnx_output;

typedef struct tn_onnx_weight {
  const char *name;
  tn_const *constant;
} tn_onnx_weight;

typedef struct tn_onnx_part {
  struct tn_build *build; /* where the nodes go */
  const tn_onnx_argument *args; /* NULL: the model's inputs become parameters of the build's function */
  uint32_t n_args;
  const char *called; /* the model, in messages */
  tn_loc loc;         /* of the call */
  tn_map *constants; /* interned name of an initialiser -> tn_const*, kept from call to call; or NULL */
  /* Filled in, in session memory: */
  TN_VEC(tn_onnx_output) outputs;
  TN_VEC(tn_onnx_weight) weights; /* initialisers of float types; where there are none, Constants of more than one
                                     element, as PaddlePaddle writes weights */
} tn_onnx_part;

/* Makes the model's nodes at a place of a graph. Arguments have the inputs' types and ranks; extents that the model
 * knows are checked, its symbols become those of the arguments. path "-" is a file of that name. False: reported. */
bool tn_onnx_insert(tn_ctx *ctx, const char *path, const tn_onnx_options *options, tn_onnx_part *part);

/* What a file holds, told without importing it, so that an operator that is missing is one row among others. All text
 * is printable. */
typedef struct tn_onnx_op_count {
  const char *domain, *name; /* "" and "Conv" */
  int64_t version;           /* of the domain's operator set; -1: not declared */
  size_t count;              /* nodes, those of bodies and of the model's functions (each once) included */
  tn_loc first;
  bool is_known;             /* tenon has it in this version, or it is a function of the model */
  bool is_function;
} tn_onnx_op_count;

typedef struct tn_onnx_port {
  const char *name, *type; /* as declared: "FLOAT[batch,3,?]"; "" without a type */
} tn_onnx_port;

typedef struct tn_onnx_opset {
  const char *domain;
  int64_t version;
} tn_onnx_opset;

typedef struct tn_onnx_summary {
  int64_t ir_version;
  const char *producer, *producer_version;
  TN_VEC(tn_onnx_opset) opsets;
  TN_VEC(tn_onnx_op_count *) ops; /* in the order of their first nodes */
  TN_VEC(tn_onnx_port) inputs, outputs;
  size_t n_nodes, n_weights; /* initialisers and constants */
  uint64_t weights_bytes;
} tn_onnx_summary;

/* False when the file cannot be read, or is no ONNX file at all (reported). */
bool tn_onnx_inspect(tn_ctx *ctx, const char *path, tn_onnx_summary *out);

/* Writing (ir/export.h makes what is written): IR version and opset are the lowest that the operators allow. */

/* Takes bytes in order; false = stop, already reported. */
typedef struct tn_onnx_sink {
  bool (*write)(void *user, const void *data, size_t bytes);
  void *user;
} tn_onnx_sink;

/* A file of the format cannot be larger. */
#define TN_ONNX_MAX_BYTES INT32_MAX

/* Bytes of the constants that are used. */
uint64_t tn_onnx_weights_bytes(const tn_export *from);
/* data_name: NULL, or the file beside the model, from whose sink's start the larger constants are written, as the
 * model's external data. No constant is copied as a whole unless it is computed (splats, recipes), and then alone.
 * TN_E_LIMIT when the model itself is longer than TN_ONNX_MAX_BYTES. */
bool tn_onnx_write(tn_export *from, const char *producer, const char *version, const char *data_name,
                   tn_onnx_sink model, tn_onnx_sink data);

/* Reads the text of an option ("seq=1..512", "B=4", "B=1.."; "x:1,3,224,224", the last colon parts); TN_E_OPTION. */
bool tn_onnx_parse_dim(tn_ctx *ctx, const char *text, tn_onnx_dim *out);
bool tn_onnx_parse_shape(tn_ctx *ctx, const char *text, tn_onnx_shape *out);

#endif
