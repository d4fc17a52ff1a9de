/* Built-in functions: one row each (name, signature, documentation, function), in tables by group. The signature is
 * what messages show and what arguments are bound by:
 *
 *   name: kind = default, ...          name...: any number of arguments, named ones too
 *
 * kind: *[] n[] f[] i[] bool[] a tensor of any, number, float, integer or bool type (a number stands for a scalar);
 * int, ints (one or a tuple), float, bool, text, axis, axes (one or a tuple), init, dtype, tuple, any; or words
 * parted by '|', which may be mixed with one kind ("ints|same"). default: a number, true, false, a word; none and all:
 * the argument is then NULL. */
#ifndef TN_FRONTEND_LANG_BUILTIN_H
#define TN_FRONTEND_LANG_BUILTIN_H

#include "frontend/lang/sema.h"

#define TN_MAX_PARAMS 12

typedef struct tn_call {
  tn_frame *frame;
  tn_sema *s;
  tn_build *b;
  const struct tn_builtin *builtin;
  tn_loc loc;
  tn_instance *instance; /* of a sub; NULL: made at the first weight */
  tn_datum *args[TN_MAX_PARAMS];
  TN_VEC(tn_given) rest; /* of a name...; datum is evaluated, but for named ones */
} tn_call;

struct tn_builtin {
  const char *name, *signature, *doc;
  tn_datum *(*make)(tn_call *call);
  const char *op; /* the operator of the graph, of functions that are little more */
};

typedef struct tn_builtin_group {
  const char *title;
  const tn_builtin *rows;
  size_t n;
} tn_builtin_group;
#define TN_BUILTINS(title, table) {(title), (table), TN_ARRAY_LEN(table)}

extern const tn_builtin_group tn_builtins_elementwise, tn_builtins_reduce, tn_builtins_layers, tn_builtins_conv,
    tn_builtins_norm, tn_builtins_shape, tn_builtins_index, tn_builtins_attend, tn_builtins_recurrent, tn_builtins_loss,
    tn_builtins_metric;

/* builtins.c */
const tn_builtin *tn_builtin_find(const char *name);
size_t tn_builtin_count(void);
const tn_builtin *tn_builtin_at(size_t index);
/* builtin_loss.c: the same for losses and metrics, which only train blocks see. */
const tn_builtin *tn_loss_find(const char *name);
size_t tn_loss_count(void);
const tn_builtin *tn_loss_at(size_t index);
/* signature.c: binds given to the signature and calls the function. */
tn_datum *tn_builtin_call(tn_frame *f, const tn_builtin *builtin, tn_instance *instance, tn_given *given, size_t n,
                          tn_loc loc);
/* The parameters that take neither tensors nor tuples, in order: what a sub is given. */
size_t tn_builtin_static_params(tn_sema *s, const tn_builtin *builtin, const char ***out);

/* What the functions use. Positions are those of the signature. */
bool tn_call_error(const tn_call *call, tn_diag_code code, const char *format, ...) TN_PRINTF(3, 4);
/* A tensor argument; a number becomes a scalar of f32. NULL: reported, or not given. */
tn_datum *tn_call_tensor(tn_call *call, uint32_t i);
bool tn_call_int(const tn_call *call, uint32_t i, int64_t *out); /* static */
double tn_call_float(const tn_call *call, uint32_t i);
bool tn_call_bool(const tn_call *call, uint32_t i);
const char *tn_call_word(const tn_call *call, uint32_t i); /* NULL: another kind was given */
/* The axis that argument i names of x; UINT32_MAX when reported. */
uint32_t tn_call_axis(const tn_call *call, uint32_t i, const tn_datum *x);
/* The axes, ascending; all of them when the argument is NULL. */
bool tn_call_axes(const tn_call *call, uint32_t i, const tn_datum *x, int64_t *out, uint32_t *out_n);
/* A list of n integers: one number stands for all. */
bool tn_call_ints(const tn_call *call, uint32_t i, uint32_t n, int64_t lo, int64_t *out);
/* The rank of x must be within [lo, hi]. */
bool tn_call_rank(const tn_call *call, const tn_datum *x, uint32_t lo, uint32_t hi);
/* A weight that the call owns. */
tn_datum *tn_call_weight(tn_call *call, const char *name, tn_dtype dtype, const tn_axis *axes, uint32_t n,
                         const tn_init *init, double fan_in, double fan_out, bool is_buffer);
tn_init tn_init_const(double value);

typedef struct tn_named_attr {
  const char *name;
  tn_attr attr;
} tn_named_attr;
/* A node of the operator called op; attributes by name, others take their default. NULL when reported. */
tn_node *tn_call_node(tn_call *call, const char *op, tn_value *const *operands, uint32_t n_operands,
                      const tn_named_attr *attrs, uint32_t n_attrs);
tn_value *tn_call_op(tn_call *call, const char *op, tn_value *const *operands, uint32_t n_operands,
                     const tn_named_attr *attrs, uint32_t n_attrs);
/* y with x's axes. */
tn_datum *tn_call_like(const tn_call *call, tn_value *y, const tn_datum *x);

#endif
