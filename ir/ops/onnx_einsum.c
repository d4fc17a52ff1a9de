/* Einsum: products of tensors whose axes are named by letters. Operands are contracted one after the other; a letter is
 * summed as soon as neither the result nor a later operand has it. "..." stands for up to 16 axes that broadcast. */
#include "ir/ops/onnx.h"

#include <ctype.h>
#include <string.h>

/* Labels: letters are themselves; the k-th axis of an ellipsis, counted from the right, is 128 + k. */
typedef struct term {
  tn_value *value;
  uint32_t n;
  int labels[TN_MAX_NDIM];
} term;

static int position(const term *t, int label) {
  for (uint32_t i = 0; i < t->n; i++)
    if (t->labels[i] == label) return (int)i;
  return -1;
}

/* Reads labels up to a comma, '-' or the end. ndim < 0: the result's, whose ellipsis has n_dots axes. */
static bool read_labels(tn_foreign_node *node, const char **at, int ndim, uint32_t *n_dots, term *out) {
  uint32_t letters = 0;
  for (const char *p = *at; *p != '\0' && *p != ',' && *p != '-'; p++) letters += isalpha((unsigned char)*p) != 0;
  bool dots = false;
  out->n = 0;
  for (; **at != '\0' && **at != ',' && **at != '-'; ++*at) {
    if (**at == ' ') continue;
    if (isalpha((unsigned char)**at)) {
      if (out->n >= TN_MAX_NDIM) return tn_foreign_error(node, TN_E_LIMIT, "equation: too many axes");
      out->labels[out->n++] = **at;
      continue;
    }
    if (strncmp(*at, "...", 3) != 0 || dots)
      return tn_foreign_error(node, TN_E_ATTR, "equation: unexpected '%c'", **at);
    dots = true;
    *at += 2;
    if (ndim >= 0 && (uint32_t)ndim < letters) return tn_foreign_error(node, TN_E_RANK, "equation: rank %d", ndim);
    uint32_t n = ndim < 0 ? *n_dots : (uint32_t)ndim - letters;
    if (n > *n_dots) *n_dots = n;
    if (out->n + n > TN_MAX_NDIM) return tn_foreign_error(node, TN_E_LIMIT, "equation: too many axes");
    for (uint32_t i = n; i-- > 0;) out->labels[out->n++] = 128 + (int)i;
  }
  if (ndim >= 0 && out->n != (uint32_t)ndim)
    return tn_foreign_error(node, TN_E_RANK, "equation: an operand of rank %d has %u labels", ndim, out->n);
  return true;
}

/* The implied result: ellipsis axes, then letters that occur once, in alphabetical order. */
static void implied_result(const term *terms, uint32_t n_terms, uint32_t n_dots, term *out) {
  uint32_t counts[128] = {0};
  for (uint32_t t = 0; t < n_terms; t++)
    for (uint32_t i = 0; i < terms[t].n; i++)
      if (terms[t].labels[i] < 128) counts[terms[t].labels[i]]++;
  out->n = 0;
  for (uint32_t i = n_dots; i-- > 0;) out->labels[out->n++] = 128 + (int)i;
  for (int c = 0; c < 128 && out->n < TN_MAX_NDIM; c++)
    if (counts[c] == 1) out->labels[out->n++] = c;
}

/* A label that occurs twice in one operand: its diagonal. */
static bool take_diagonals(tn_foreign_node *node, term *t) {
  tn_build *b = node->build;
  for (uint32_t i = 0; i < t->n; i++)
    for (uint32_t k = i + 1; k < t->n; k++) {
      if (t->labels[i] != t->labels[k]) continue;
      const tn_dim *d = t->value->type->dims[i];
      if (!tn_func_require_eq(b->func, t->value->type->dims[k], d, node->loc, "'Einsum': a repeated label"))
        return false;
      tn_value *along = tn_build_iota(b, &d, 1, 0, TN_I64);
      int64_t axes[2] = {i, k};
      tn_attr attr = tn_attr_ints(b->module, axes, 2);
      t->value = tn_build_op(b, tn_op_find("gather"), (tn_value *[]){t->value, along, along}, 3, &attr);
      if (t->value == NULL) return false;
      int label = t->labels[i], rest[TN_MAX_NDIM];
      uint32_t n = 0;
      rest[n++] = label;
      for (uint32_t m = 0; m < t->n; m++)
        if (m != i && m != k) rest[n++] = t->labels[m];
      t->n = n;
      memcpy(t->labels, rest, n * sizeof *rest);
      return take_diagonals(node, t);
    }
  return true;
}

static bool is_needed(int label, const term *result, const term *later, uint32_t n_later) {
  if (position(result, label) >= 0) return true;
  for (uint32_t i = 0; i < n_later; i++)
    if (position(&later[i], label) >= 0) return true;
  return false;
}

static void drop_label(term *t, uint32_t at) {
  for (uint32_t i = at; i + 1 < t->n; i++) t->labels[i] = t->labels[i + 1];
  t->n--;
}

/* Sums the labels of t that nothing else has. */
static bool sum_alone(tn_build *b, term *t, const term *result, const term *later, uint32_t n_later,
                      const term *other) {
  for (uint32_t i = t->n; i-- > 0;) {
    if (is_needed(t->labels[i], result, later, n_later) || (other != NULL && position(other, t->labels[i]) >= 0))
      continue;
    int64_t axis = i;
    t->value = tn_build_reduce(b, "sum", t->value, &axis, 1, false);
    if (t->value == NULL) return false;
    drop_label(t, i);
  }
  return true;
}

/* Where one side of a shared label has extent 1, that axis is dropped: it broadcasts. */
static bool drop_ones(tn_build *b, term *p, const term *q) {
  for (uint32_t i = p->n; i-- > 0;) {
    int at = position(q, p->labels[i]);
    if (at < 0 || !tn_dim_is(p->value->type->dims[i], 1) || tn_dim_is(q->value->type->dims[at], 1)) continue;
    p->value = tn_build_drop_axis(b, p->value, i);
    if (p->value == NULL) return false;
    drop_label(p, i);
  }
  return true;
}

/* p = p times q, shared labels that nothing later needs summed. */
static bool multiply(tn_foreign_node *node, term *p, term *q, const term *result, const term *later, uint32_t n_later) {
  tn_build *b = node->build;
  if (!sum_alone(b, p, result, later, n_later, q) || !sum_alone(b, q, result, later, n_later, p)) return false;
  if (!drop_ones(b, p, q) || !drop_ones(b, q, p)) return false;
  int64_t batch[2 * TN_MAX_NDIM], sum[2 * TN_MAX_NDIM];
  uint32_t n_batch = 0, n_sum = 0;
  term out = {NULL, 0, {0}};
  int free_labels[2 * TN_MAX_NDIM];
  uint32_t n_free = 0;
  for (uint32_t i = 0; i < p->n; i++) {
    int at = position(q, p->labels[i]);
    if (at < 0) free_labels[n_free++] = p->labels[i];
    else if (is_needed(p->labels[i], result, later, n_later)) {
      batch[2 * n_batch] = i;
      batch[2 * n_batch++ + 1] = at;
      out.labels[out.n++] = p->labels[i];
    } else {
      sum[2 * n_sum] = i;
      sum[2 * n_sum++ + 1] = at;
    }
  }
  for (uint32_t i = 0; i < q->n; i++)
    if (position(p, q->labels[i]) < 0) free_labels[n_free++] = q->labels[i];
  if (out.n + n_free > TN_MAX_NDIM)
    return tn_foreign_error(node, TN_E_LIMIT, "equation: an inner result of rank %u", out.n + n_free);
  for (uint32_t i = 0; i < n_free; i++) out.labels[out.n++] = free_labels[i];
  out.value = tn_build_dot(b, p->value, q->value, batch, n_batch, sum, n_sum);
  out.value = out.value == NULL ? NULL : tn_build_cast(b, out.value, p->value->type->dtype);
  *p = out;
  return p->value != NULL;
}

/* t's axes in the order of result; labels that t lost to broadcasting have extent 1 there. */
static tn_value *arrange(tn_foreign_node *node, term *t, const term *result) {
  tn_build *b = node->build;
  int64_t perm[TN_MAX_NDIM];
  uint32_t n = 0;
  for (uint32_t i = 0; i < result->n; i++) {
    int at = position(t, result->labels[i]);
    for (uint32_t k = 0; k < i; k++) {
      if (result->labels[k] != result->labels[i]) continue;
      tn_foreign_error(node, TN_E_ATTR, "equation: '%c' is in the result twice", result->labels[i]);
      return NULL;
    }
    if (at < 0 && result->labels[i] < 128) {
      tn_foreign_error(node, TN_E_ATTR, "equation: '%c' is in no operand", result->labels[i]);
      return NULL;
    }
    if (at >= 0) perm[n++] = at;
  }
  tn_value *y = tn_build_transpose(b, t->value, perm);
  for (uint32_t i = 0; i < result->n && y != NULL; i++)
    if (position(t, result->labels[i]) < 0) y = tn_build_insert_axis(b, y, i);
  return y;
}

bool tn_import_einsum(tn_foreign_node *node) {
  tn_build *b = node->build;
  const char *equation;
  uint32_t n = node->n_inputs, n_dots = 0;
  if (!tn_foreign_string(node, "equation", "", &equation)) return false;
  term *terms = TN_NEW_N(b->module->arena, term, (size_t)n + 1), result;
  const char *at = equation;
  for (uint32_t i = 0; i < n; i++) {
    if ((terms[i].value = tn_foreign_need(node, i)) == NULL) return false;
    if (i > 0 && *at++ != ',') return tn_foreign_error(node, TN_E_ATTR, "equation: fewer terms than the %u inputs", n);
    if (!read_labels(node, &at, (int)terms[i].value->type->ndim, &n_dots, &terms[i])) return false;
    if (!take_diagonals(node, &terms[i])) return false;
  }
  if (n == 0 || *at == ',') return tn_foreign_error(node, TN_E_ATTR, "equation: more terms than the %u inputs", n);
  if (strncmp(at, "->", 2) == 0) {
    at += 2;
    if (!read_labels(node, &at, -1, &n_dots, &result)) return false;
  } else {
    implied_result(terms, n, n_dots, &result);
  }
  for (uint32_t i = 1; i < n; i++)
    if (!multiply(node, &terms[0], &terms[i], &result, terms + i + 1, n - i - 1)) return false;
  if (!sum_alone(b, &terms[0], &result, NULL, 0, NULL)) return false;
  return tn_foreign_set(node, 0, arrange(node, &terms[0], &result));
}
