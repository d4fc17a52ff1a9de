/* The op record: one operator, one file (ir/ops/NAME.c defines one `const tn_opdef tn_op_NAME`), all else derived.
 * The build collects the list from the files; there is no op enum, a node says node->op == &tn_op_add. */
#ifndef TN_IR_OP_H
#define TN_IR_OP_H

#include "ir/graph.h"

struct tn_eval;
struct tn_export;
struct tn_foreign_node;
typedef struct tn_vjp tn_vjp;

typedef enum tn_op_kind {
  TN_OP_SCALAR,    /* a primitive that is one row of scalar.def, applied elementwise */
  TN_OP_PRIMITIVE, /* structural, closed set: IR.md section 4 */
  TN_OP_COMPOSITE, /* has expand */
  TN_OP_TERMINATOR /* return, yield */
} tn_op_kind;

typedef enum tn_scalar {
#define X(enumerator, name, arity, in, out) enumerator,
#include "ir/scalar.def"
#undef X
  TN_N_SCALARS
} tn_scalar;

/* One element, whatever its dtype; the reference's and the kernels' constants'. */
typedef union tn_number {
  double f;   /* float types */
  int64_t i;  /* signed, bool (0 or 1) */
  uint64_t u; /* unsigned */
} tn_number;

typedef enum tn_arity { TN_ONE, TN_OPTIONAL, TN_VARIADIC } tn_arity;
typedef enum tn_role { TN_ROLE_DATA, TN_ROLE_INDEX, TN_ROLE_STATE } tn_role;

typedef struct tn_operand_def {
  const char *name;
  tn_arity arity;        /* only the last operand may be TN_VARIADIC; its minimum is min_count */
  tn_dtype_set dtypes;
  tn_role role;
  const char *same_dtype; /* name of an earlier operand whose dtype this must share, or NULL */
  uint32_t min_count;
} tn_operand_def;

typedef struct tn_attr_def {
  const char *name;
  tn_attr_kind kind;
  bool required;            /* else has a default, unless no_default */
  bool no_default;          /* optional, absent means something of its own (documented) */
  int64_t default_i;        /* INT, BOOL, NAME, DTYPE */
  double default_f;
  int64_t min_i, max_i;     /* INT and elements of INTS, when min_i < max_i */
  const char *const *names; /* NAME: NULL-terminated */
} tn_attr_def;

enum {
  TN_TRAIT_COMMUTATIVE = 1,
  TN_TRAIT_IDEMPOTENT = 2,
  TN_TRAIT_SHAPE_ONLY = 4,  /* moves elements, computes none */
  TN_TRAIT_ELEMENTWISE = 8, /* result element i depends on operand elements i only; equal dims */
  TN_TRAIT_RANDOM = 16,
  TN_TRAIT_EFFECT = 32,     /* never removed, merged or moved over another */
  TN_TRAIT_FENCE = 64,
  TN_TRAIT_STOPS_GRADIENT = 128 /* differentiation takes the results as constants */
};

/* What infer gets and gives. infer checks everything about a node (reporting all of its errors at node->loc) and sets
 * types[i] for each result; guards go through tn_func_require_*. Operand counts, dtype classes and attribute ranges are
 * checked from the record before infer runs. Returns false when reported. */
typedef struct tn_infer {
  tn_ctx *ctx;
  tn_func *func;
  const tn_node *node;
  tn_value *const *operands; /* NULL entries for omitted optional operands */
  uint32_t n_operands;
  const tn_attr *attrs;
  tn_loc loc;
  const tn_type **types; /* out; room for TN_MAX_RESULTS */
  uint32_t n_results;    /* out; preset to the number of results in the record */
} tn_infer;
#define TN_MAX_RESULTS 64

/* What a parameter of a region stands for. */
typedef enum tn_param_role {
  TN_PARAM_FIXED,   /* the operand, at every run */
  TN_PARAM_CARRIED, /* the operand at the first run, what the region yielded at every other */
  TN_PARAM_SLICE,   /* the operand at one position of an axis, another at every run */
  TN_PARAM_COUNTER  /* the number of the run, i64[] */
} tn_param_role;

typedef struct tn_region_param {
  const tn_type *type;
  tn_param_role role;
  uint32_t operand; /* UINT32_MAX for COUNTER */
} tn_region_param;

/* A builder positioned in a block; see build.h. */
typedef struct tn_build tn_build;

/* An ONNX operator that maps to this op (or is built by import from several ops). */
typedef struct tn_onnx_row {
  const char *domain; /* "" for ai.onnx, "com.microsoft", ... */
  const char *name;   /* "Conv" */
  int32_t since;      /* first opset version of the domain this row is for */
  int32_t until;      /* last one, 0 = still */
  /* Builds nodes and sets the results through foreign.h. NULL = same operands in order, same attributes by name. */
  bool (*import)(struct tn_foreign_node *node);
} tn_onnx_row;

/* One typed case of an op, for the automatic tests. Types are text ("f32[2,3]"; "B" may be used as a symbolic dim);
 * attrs is text as printed in .tnir, e.g. "{axis=1}". Data come from a seeded generator: `domain` bounds them. */
typedef struct tn_op_sample {
  const char *const *operands; /* NULL-terminated types; "-" for an omitted optional operand */
  const char *attrs;           /* NULL = none */
  double lo, hi;               /* range of float data and of integers; both 0 = -2 .. 2 (indices 0 .. lo extent - 1) */
  const char *expect;          /* types of the results, "f32[2]" or "f32[2], i64[2]"; NULL = an error is expected */
} tn_op_sample;

struct tn_opdef {
  const char *name;
  tn_op_kind kind;
  const char *doc;       /* one line, then details: semantics, errors, paper or format section */
  tn_scalar scalar;      /* TN_OP_SCALAR only */
  const tn_operand_def *operands;
  uint32_t n_operands;
  uint32_t n_results;    /* 0 = set by infer */
  const tn_attr_def *attrs;
  uint32_t n_attrs;
  uint32_t n_regions;
  uint32_t traits;
  bool (*infer)(tn_infer *infer); /* NULL = elementwise: same type as operand 0 */
  /* Ops with regions: the parameters of region number `region`, from operands and attributes that infer found right;
   * out has room for n_operands + 1. They are of the operands' types when the node is made and again whenever these
   * change, so infer need not look at them. */
  void (*params)(const tn_node *node, uint32_t region, tn_region_param *out, uint32_t *out_n);
  /* Sets results' index contents (value->index) from the operands'; optional. */
  void (*index)(tn_ctx *ctx, tn_node *node);
  /* Composites: the same results from simpler ops. out[i] for each result. */
  bool (*expand)(tn_build *build, const tn_node *node, tn_value *const *operands, tn_value **out);
  /* Primitives: the reference. Scalars leave it NULL: eval walks scalar.def. */
  bool (*eval)(struct tn_eval *eval, const tn_node *node);
  /* The gradient of the operands from that of the results (gradient.h). NULL: a composite's goes through its expansion,
   * anything else has none, for the reason that no_gradient gives (also a composite's own, when set). */
  bool (*vjp)(tn_vjp *v);
  const char *no_gradient;
  const tn_onnx_row *onnx;
  uint32_t n_onnx;
  /* The way back to ONNX, by the functions of ir/export.h; NULL: a row of `onnx` without an import, the same operands
   * and the same attributes by name. False, without a report, when the node has no form there: a composite is expanded.
   */
  bool (*export)(struct tn_export *x, const tn_node *node);
  const tn_op_sample *samples;
  uint32_t n_samples;
};

/* All ops: the elementwise ones of scalar.def (ir/ops/scalar.c), then those of the files of ir/ops, sorted by name. */
uint32_t tn_op_count(void);
const tn_opdef *tn_op_at(uint32_t index);
/* The two tables they come from; the second is made by cmake/ops.cmake. */
extern const tn_opdef tn_scalar_ops[TN_N_SCALARS];
extern const tn_opdef *const tn_structural_ops[];
extern const uint32_t tn_n_structural_ops;
const tn_opdef *tn_op_find(const char *name);
/* Run-time extents come into being at a few ops: they bring the late symbols of their results into scope. */
bool tn_op_defines_symbols(const tn_opdef *op);
/* The elementwise op of a scalar. */
const tn_opdef *tn_op_of_scalar(tn_scalar scalar);
uint32_t tn_scalar_arity(tn_scalar scalar);
/* Position of the attribute, or UINT32_MAX. */
uint32_t tn_op_attr_index(const tn_opdef *op, const char *name);
/* The attribute of a node; asserts that the op has it. */
const tn_attr *tn_node_attr(const tn_node *node, const char *name);

#endif
