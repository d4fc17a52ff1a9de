/* What import functions of ops ask of a node of another format. */
#include "ir/foreign.h"

#include <stdarg.h>
#include <string.h>

#include "ir/eval.h"

static const char *kind_text(tn_foreign_kind kind) {
  static const char *const texts[] = {"an int",      "a float",        "a string",          "a tensor", "a graph",
                                      "a list of ints", "a list of floats", "a list of strings", "another kind"};
  return texts[kind];
}

/* The attribute by name, of kind. *out = NULL when absent; false when of another kind (reported). */
static bool find(const tn_foreign_node *node, const char *name, tn_foreign_kind kind, const tn_foreign_attr **out) {
  *out = tn_foreign_find(node, name);
  if (!*out || (*out)->kind == kind) return true;
  return tn_error(node->build->ctx, node->loc, TN_E_ATTR, "attribute '%s' of '%s': expected %s, found %s", name,
                  node->op, kind_text(kind), kind_text((*out)->kind));
}

const tn_foreign_attr *tn_foreign_find(const tn_foreign_node *node, const char *name) {
  for (uint32_t i = 0; i < node->n_attrs; i++)
    if (strcmp(node->attrs[i].name, name) == 0) return &node->attrs[i];
  return NULL;
}

bool tn_foreign_int(const tn_foreign_node *node, const char *name, int64_t fallback, int64_t *out) {
  const tn_foreign_attr *attr;
  if (!find(node, name, TN_FOREIGN_INT, &attr)) return false;
  *out = attr ? attr->i : fallback;
  return true;
}

bool tn_foreign_float(const tn_foreign_node *node, const char *name, double fallback, double *out) {
  const tn_foreign_attr *attr;
  if (!find(node, name, TN_FOREIGN_FLOAT, &attr)) return false;
  *out = attr ? attr->f : fallback;
  return true;
}

bool tn_foreign_string(const tn_foreign_node *node, const char *name, const char *fallback, const char **out) {
  const tn_foreign_attr *attr;
  if (!find(node, name, TN_FOREIGN_STRING, &attr)) return false;
  *out = attr ? attr->s : fallback;
  return true;
}

bool tn_foreign_ints(const tn_foreign_node *node, const char *name, const int64_t **out, uint32_t *out_n) {
  const tn_foreign_attr *attr;
  *out = NULL;
  *out_n = 0;
  if (!find(node, name, TN_FOREIGN_INTS, &attr)) return false;
  if (!attr) return true;
  *out = attr->ints;
  *out_n = attr->n;
  return true;
}

tn_value *tn_foreign_input(const tn_foreign_node *node, uint32_t index) {
  return index < node->n_inputs ? node->inputs[index] : NULL;
}

tn_value *tn_foreign_need(const tn_foreign_node *node, uint32_t index) {
  tn_value *value = tn_foreign_input(node, index);
  if (!value) tn_error(node->build->ctx, node->loc, TN_E_ARITY, "'%s' needs input %u", node->op, index);
  return value;
}

/* Elements of a constant as numbers, when it is one of at most limit elements. */
static const void *const_elements(const tn_foreign_node *node, uint32_t index, int64_t *out_n, tn_dtype *out_dtype) {
  const tn_const *constant = tn_value_const(tn_foreign_input(node, index));
  if (!constant) return NULL;
  *out_n = tn_type_static_count(constant->type);
  *out_dtype = constant->type->dtype;
  return tn_const_read(constant, node->build->module->arena);
}

static bool const_index(const tn_value *value) {
  for (uint32_t i = 0; i < value->n_index; i++)
    if (!tn_dim_is_const(value->index[i])) return false;
  return value->index != NULL;
}

bool tn_foreign_const_ints(const tn_foreign_node *node, uint32_t index, const int64_t **out, uint32_t *out_n,
                           bool *out_known) {
  const tn_value *value = tn_foreign_input(node, index);
  *out = NULL;
  *out_n = 0;
  *out_known = false;
  if (!value) return true;
  tn_dtype dtype = value->type->dtype;
  if (!tn_dtype_is_integer(dtype) && dtype != TN_BOOL)
    return tn_error(node->build->ctx, node->loc, TN_E_DTYPE, "input %u of '%s': expected integers, found %s", index,
                    node->op, tn_dtype_name(dtype));
  tn_arena *arena = node->build->module->arena;
  int64_t n = value->n_index;
  if (tn_type_static_count(value->type) == 0) { /* an empty list is known, wherever it comes from */
    *out = TN_NEW_N(arena, int64_t, 1);
    *out_known = true;
    return true;
  }
  const void *data = const_index(value) ? NULL : const_elements(node, index, &n, &dtype);
  if (!data && !const_index(value)) return true;
  int64_t *ints = TN_NEW_N(arena, int64_t, (size_t)n);
  for (int64_t i = 0; i < n; i++) {
    if (!data) {
      ints[i] = tn_dim_value(value->index[i]);
      continue;
    }
    const char *element = (const char *)data + (size_t)i * tn_dtype_bytes(dtype);
    ints[i] = tn_number_cast(dtype, TN_I64, tn_number_load(dtype, element)).i;
  }
  *out = ints;
  *out_n = (uint32_t)n;
  *out_known = true;
  return true;
}

bool tn_foreign_const_float(const tn_foreign_node *node, uint32_t index, double *out, bool *out_known) {
  int64_t n = 0;
  tn_dtype dtype = TN_F32;
  *out_known = false;
  const void *data = const_elements(node, index, &n, &dtype);
  if (!data) return true;
  if (n != 1 || dtype == TN_STR)
    return tn_error(node->build->ctx, node->loc, TN_E_SHAPE, "input %u of '%s': expected one number, found %lld", index,
                    node->op, (long long)n);
  *out = tn_number_cast(dtype, TN_F64, tn_number_load(dtype, data)).f;
  *out_known = true;
  return true;
}

const tn_dim *tn_foreign_quotient(const tn_foreign_node *node, const tn_dim *p, const tn_dim *q, const char *what) {
  tn_build *b = node->build;
  const tn_dim *quotient;
  if (tn_dim_divide_exact(b->ctx, p, q, &quotient)) return quotient;
  quotient = tn_dim_floordiv(b->ctx, p, q);
  const tn_dim *product = tn_dim_mul(b->ctx, quotient, q);
  return tn_func_require_eq(b->func, p, product, node->loc, "'%s': %s", node->op, what) ? quotient : NULL;
}

bool tn_foreign_unsupported(const tn_foreign_node *node, const char *format, ...) {
  tn_buf buf = tn_buf_create(node->build->ctx->arena);
  va_list args;
  va_start(args, format);
  tn_buf_vprintf(&buf, format, args);
  va_end(args);
  return tn_error(node->build->ctx, node->loc, TN_E_ONNX_UNSUPPORTED, "'%s' with %s is not supported yet", node->op,
                  buf.data ? buf.data : "");
}
