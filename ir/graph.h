/* The graph level: SSA of tensors (ir/IR.md section 3). A module holds symbols, constants, functions, kernels and
 * programs; a function is one block; nodes are in a list, in an order where definitions come first.
 *
 * Operands are data; attributes are structure. Values keep their uses, so replacing one is proportional to its uses.
 * Memory is of graph lifetime (module->arena); removed nodes are unlinked, not freed. */
#ifndef TN_IR_GRAPH_H
#define TN_IR_GRAPH_H

#include "ir/type.h"

typedef struct tn_opdef tn_opdef;
typedef struct tn_node tn_node;
typedef struct tn_value tn_value;
typedef struct tn_block tn_block;
typedef struct tn_func tn_func;
typedef struct tn_const tn_const;
typedef struct tn_module tn_module;

/* Where the bytes of a tensor lie (IR.md section 8). NULL in value->storage means: not chosen yet, which reads as
 * row-major in logical order without padding. Interned per module, so equal storages are one pointer. */
typedef struct tn_storage {
  uint32_t ndim;
  uint8_t order[TN_MAX_NDIM];  /* order[k]: logical axis that is k-th in memory, outermost first */
  int64_t align_elements;      /* the innermost axis' extent is rounded up to a multiple of this (>= 1) ... */
  int64_t pad_elements;        /* ... and then extended by this: the leading dimension, padded */
  const char *format;          /* packed formats of constants ("panel32", ...), or NULL */
} tn_storage;

struct tn_value {
  const tn_type *type;
  const tn_storage *storage;
  const tn_dim *const *index; /* integer values of rank 0 or 1 with at most 64 elements: contents as dims, or NULL */
  uint32_t n_index;
  const char *name; /* the user's name for it, kept for reports; "" = none */
  tn_node *def;     /* NULL for block parameters */
  tn_block *block;  /* of a parameter: the block */
  uint32_t def_index;
  uint32_t id;      /* unique in the function; printing numbers anew */
  struct tn_use *uses;
  uint32_t n_uses;
  uint32_t mark;    /* scratch for passes; 0 between them */
  void *data;       /* scratch for passes */
};

typedef struct tn_use {
  tn_value *value;
  tn_node *user;
  uint32_t index; /* operand number */
  struct tn_use *next, *previous;
} tn_use;

typedef enum tn_attr_kind {
  TN_ATTR_INT,
  TN_ATTR_FLOAT,
  TN_ATTR_BOOL,
  TN_ATTR_NAME,   /* one of the names listed by the op */
  TN_ATTR_STRING,
  TN_ATTR_DTYPE,
  TN_ATTR_INTS,
  TN_ATTR_DIMS,
  TN_ATTR_PAIRS,  /* list of (int, int) */
  TN_ATTR_CONST,  /* a constant of the module */
  TN_ATTR_FUNC
} tn_attr_kind;

typedef struct tn_attr {
  bool present; /* false: an optional attribute without default that was not given */
  union {
    int64_t i; /* INT, BOOL, NAME (index into the op's names), DTYPE */
    double f;
    const char *s;
    struct {
      uint32_t n; /* elements; for PAIRS the number of pairs, ints holds 2n */
      const int64_t *ints;
      const tn_dim *const *dims;
    } list;
    tn_const *constant;
    tn_func *func;
  } u;
} tn_attr;

struct tn_node {
  const tn_opdef *op;
  uint32_t n_operands, n_results, n_regions;
  tn_use *operands; /* operands[i].value; NULL value = an omitted optional operand */
  tn_value **results;
  tn_attr *attrs; /* parallel to op->attrs */
  tn_block **regions;
  tn_loc loc;
  tn_block *block;
  tn_node *next, *previous;
  bool is_kept;  /* what it gives lies in memory: its consumers do not take it in (remat). Not in text */
  int32_t group; /* fused group after the group pass, -1 before; printed as group(n) */
  uint32_t mark; /* scratch for passes; 0 between them */
  void *data;    /* scratch for passes */
};

typedef struct tn_guard {
  enum { TN_GUARD_EQ, TN_GUARD_LE } kind; /* p == q, p <= q */
  const tn_dim *p, *q;
  const char *text; /* what it protects, e.g. "input 'x' axis 1" */
  tn_loc loc;
  bool is_inner; /* of a program: checked by a CHECK step */
} tn_guard;
typedef TN_VEC(tn_guard) tn_guard_list;

/* A list of nodes that ends in a terminator (op "return" or "yield"), whose operands are the block's results. */
struct tn_block {
  tn_func *func;
  tn_node *owner; /* node whose region this is, or NULL */
  TN_VEC(tn_value *) params;
  tn_node *first, *last;
  tn_guard_list guards; /* of a branch of an `if`: checked when it is taken */
};

/* Argument and result of an entry by number: the caller may give one memory for both. */
typedef struct tn_donation {
  uint32_t param, result;
} tn_donation;

/* What numbers stand for, as a table of the C header: categories of an input, classes of a result. */
typedef struct tn_name_list {
  const char *name, *doc; /* "x_categories" */
  const char *const *texts;
  size_t n;
} tn_name_list;

struct tn_func {
  tn_module *module;
  const char *name;
  bool is_entry;
  tn_block *body;
  TN_VEC(const char *) result_names; /* of the entry's results */
  const char *doc;                   /* what its source says of it, for the C header; NULL: nothing. Not in text */
  TN_VEC(const char *) param_docs;   /* the same of the parameters, NULL entries too; empty: nothing */
  TN_VEC(tn_name_list) name_lists;   /* for the C header. Not in text */
  TN_VEC(tn_donation) donations;     /* what may lie in place of an argument; not in text */
  tn_guard_list guards; /* checked when the function is entered */
  tn_block *branch;     /* where guards belong at present (tn_func_enter); NULL: to the function */
  uint32_t next_value_id;
};

/* A constant tensor. Its bytes are little-endian, row-major, and read in place where they lie in a mapped file. */
struct tn_const {
  tn_module *module;
  const char *name; /* unique in the module, printed as @name */
  const tn_type *type; /* static */
  enum { TN_CONST_DATA, TN_CONST_SPLAT, TN_CONST_RECIPE } kind;
  const void *data; /* DATA: type bytes (below 8 bits: one element a byte); SPLAT: one element */
  const char *file; /* DATA: the mapped file the bytes lie in, or NULL, and where */
  uint64_t file_offset;
  /* RECIPE: this constant is `base` taken through one structural op, evaluated only when the bytes are needed. */
  tn_const *base;
  enum { TN_RECIPE_TRANSPOSE, TN_RECIPE_RESHAPE, TN_RECIPE_CAST, TN_RECIPE_SCALE } recipe;
  uint8_t perm[TN_MAX_NDIM]; /* TRANSPOSE: axis i of this is axis perm[i] of base */
  tn_const *factors;         /* SCALE: one factor for each index of `axis`, or a single one; itself no recipe */
  uint32_t axis;
  tn_loc loc;
  uint32_t index; /* in module->consts */
};

struct tn_module {
  tn_ctx *ctx;
  tn_arena *arena; /* graph lifetime */
  TN_VEC(const tn_symbol *) symbols; /* of the module level, in order of creation */
  TN_VEC(tn_const *) consts;
  tn_map const_names;
  tn_map const_suffixes; /* interned name -> the last suffix given to it, so that many equal wishes stay cheap */
  TN_VEC(tn_func *) funcs;
  TN_VEC(const tn_storage *) storages;
  TN_VEC(struct tn_kernel *) kernels;
  tn_map kernel_names; /* ever given */
  tn_map kernel_suffixes; /* tn_name_fresh */
  TN_VEC(struct tn_program *) programs;
  const char *source; /* path of the model, for reports */
};

tn_module *tn_module_create(tn_ctx *ctx);
void tn_module_destroy(tn_module *module);
tn_func *tn_func_create(tn_module *module, const char *name, bool is_entry);
tn_func *tn_func_find(const tn_module *module, const char *name);
tn_value *tn_block_add_param(tn_block *block, const tn_type *type, const char *name);
tn_block *tn_block_create(tn_func *func, tn_node *owner);
/* Moves all nodes of `from` to `into`, before `before` (NULL = to its end), args in the place of from's parameters; the
 * terminator comes along and is returned. */
tn_node *tn_block_splice(tn_block *into, tn_node *before, tn_block *from, tn_value *const *args);
/* The interned equal of *storage. */
const tn_storage *tn_storage_intern(tn_module *module, const tn_storage *storage);
const tn_storage *tn_storage_row_major(tn_module *module, uint32_t ndim);
/* Elements from one index to the next along each logical axis, and the total element count with padding. */
void tn_storage_strides(tn_ctx *ctx, const tn_type *type, const tn_storage *storage, const tn_dim **out_strides,
                        const tn_dim **out_total);

/* Constants. A name that is taken gets a suffix. data is kept, not copied. */
tn_const *tn_const_data(tn_module *module, const char *name, const tn_type *type, const void *data);
/* element: tn_dtype_bytes bytes, copied. */
tn_const *tn_const_splat(tn_module *module, const char *name, const tn_type *type, const void *element);
tn_const *tn_const_recipe_transpose(tn_module *module, tn_const *base, const uint8_t *perm);
tn_const *tn_const_recipe_reshape(tn_module *module, tn_const *base, const tn_type *type);
tn_const *tn_const_recipe_cast(tn_module *module, tn_const *base, tn_dtype dtype);
/* base times factors (as many elements as base's axis has, or one), each product rounded once; f32 and f64. NULL,
 * without a report, when they do not fit or a factor is infinite or NaN. */
tn_const *tn_const_recipe_scale(tn_module *module, tn_const *base, tn_const *factors, uint32_t axis);
size_t tn_const_bytes(const tn_const *constant);
/* All bytes, row-major, materialised into arena when they do not lie ready (splat, recipe). */
const void *tn_const_read(const tn_const *constant, tn_arena *arena);

/* Nodes. Trailing optional operands not given become NULL entries. The results' types come from the op's infer; NULL
 * when that failed (reported). attrs: parallel to op->attrs, NULL for an op without; omitted ones with a default are
 * filled in. Appended before `before` (NULL = end of block). A node with regions has no results until its regions are
 * there (tn_node_region, or build.h) and tn_node_infer is called again. */
tn_node *tn_node_create(tn_block *block, tn_node *before, const tn_opdef *op, tn_value *const *operands,
                        uint32_t n_operands, const tn_attr *attrs);
tn_block *tn_node_add_region(tn_node *node);
/* Region number `region` of node with the parameters that its op says (op.h, params); the first call makes them, later
 * ones give them their types again. */
tn_block *tn_node_region(tn_node *node, uint32_t region);
/* Infers the nodes of block in order, those of regions inside with them. False when an error was reported. */
bool tn_block_infer(tn_block *block);
/* Runs infer again, after operands changed; false when it failed. Checks what the op's record says, then calls its
 * infer (ir/infer.c). */
bool tn_node_infer(tn_node *node);
/* The types infer would give now, without changing node; out has room for TN_MAX_RESULTS. Guards may be recorded. */
bool tn_node_infer_types(const tn_node *node, const tn_type **out_types, uint32_t *out_n);
/* For infer.c: makes the results (of a node with regions also those that its regions yield in addition), or gives those
 * that exist their new types. */
bool tn_node_set_result_types(tn_node *node, const tn_type *const *types, uint32_t n);
void tn_node_set_operand(tn_node *node, uint32_t index, tn_value *value);
/* One more operand at the end of a node whose regions get such operands as they are (if, loop, scan), and a parameter
 * for it at the end of each region. */
void tn_node_add_fixed(tn_node *node, tn_value *value);
/* Takes operand `index` of a node with regions, and the parameter number `param` of each region, away; that parameter
 * must have no uses (asserted). */
void tn_node_drop_operand(tn_node *node, uint32_t index, uint32_t param);
/* Unlinks node; its results must have no uses (asserted). */
void tn_node_remove(tn_node *node);
void tn_node_move_before(tn_node *node, tn_node *before);
/* All uses of old get new instead. */
void tn_value_replace(tn_value *old, tn_value *replacement);
/* The constant a value is, or NULL. */
tn_const *tn_value_const(const tn_value *value);

/* What p == q needs: nothing when proved; an error when never true; else a guard is recorded. Equal dims by guard
 * count as equal in tn_func_dims_equal. */
bool tn_func_require_eq(tn_func *func, const tn_dim *p, const tn_dim *q, tn_loc loc, const char *format, ...)
    TN_PRINTF(5, 6);
bool tn_func_require_le(tn_func *func, const tn_dim *p, const tn_dim *q, tn_loc loc, const char *format, ...)
    TN_PRINTF(5, 6);
bool tn_func_dims_equal(const tn_func *func, const tn_dim *p, const tn_dim *q);
/* Guards belong to the branch of an `if` in which what needs them stands, else to the function; those of the branches
 * around and of the function are known there. What follows stands in block until tn_func_leave, which takes what enter
 * gave. A block that is in no region yet is taken to belong where the one entered last does. Infer does this itself;
 * importers and expansions need not care. */
tn_block *tn_func_enter(tn_func *func, tn_block *block);
void tn_func_leave(tn_func *func, tn_block *around);
/* Where a guard that is found now is recorded. */
tn_guard_list *tn_func_guards_here(tn_func *func);
/* All that are known in block, those of the function first. */
tn_guard_list tn_block_known_guards(const tn_block *block, tn_arena *arena);
/* The guards of a block whose nodes have become `into`'s (tn_block_splice) are checked there. */
void tn_block_move_guards(tn_block *into, tn_block *from);
/* dim in terms of what the guards equate: a guard with a lone symbol (or floordiv, min, ...) on one side replaces it by
 * the other side, so dims that such guards make equal become one pointer. */
const tn_dim *tn_guards_reduce(tn_ctx *ctx, const tn_guard *guards, size_t n, const tn_dim *dim);

#endif
