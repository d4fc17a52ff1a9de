/* Where things come from. A tn_loc is an index into the session's table; every node, guard and diagnostic
 * has one. Builders take it from a stack of current locations, so expansion, gradients and rules cannot
 * forget it. */
#ifndef TN_IR_SUPPORT_LOC_H
#define TN_IR_SUPPORT_LOC_H

#include "ir/support/base.h"

typedef uint32_t tn_loc; /* 0 = TN_LOC_NONE, only for errors of no place such as options */
#define TN_LOC_NONE ((tn_loc)0)
#define TN_LOC_MAX_ORIGINS 16

typedef enum tn_loc_kind {
  TN_LOC_KIND_NONE,
  TN_LOC_KIND_FILE, /* a whole file */
  TN_LOC_KIND_SPAN, /* file, first line:column - last line:column (1-based; columns in bytes) */
  TN_LOC_KIND_ONNX, /* file, node index, node name, operator, opset version */
  TN_LOC_KIND_FROM  /* several origins, after rewriting or fusion */
} tn_loc_kind;

typedef struct tn_loc_info {
  tn_loc_kind kind;
  const char *file;
  uint32_t line, column, end_line, end_column; /* SPAN */
  int64_t node_index;                          /* ONNX; -1 for a graph input, output or initialiser */
  const char *node_name;                       /* ONNX: "" when unnamed; the tensor's name for index -1 */
  const char *node_op;                         /* ONNX operator, e.g. "Conv"; "" for index -1 */
  const char *node_scope;                      /* ONNX: "" for the main graph, else function or body */
  int64_t node_version;                        /* ONNX opset version of the operator's domain */
  uint32_t n_origins;                          /* FROM */
  tn_loc origins[TN_LOC_MAX_ORIGINS];
} tn_loc_info;

#endif
