/* Reads dims, element types, types, storages, ranges and symbols. */
#include <string.h>

#include "ir/text/parse.h"

#define MAX_ALIGN 65536

static tn_arena *lasting(const tn_parser *p) { return p->module ? p->module->arena : p->ctx->arena; }

/* Dims: sums of products; calls of floordiv, mod, min, max, bcast. */

static bool parse_sum(tn_parser *p, const tn_dim **out);

static bool symbol_dim(tn_parser *p, const tn_token *token, const tn_dim **out) {
  const char *name = tn_intern(p->ctx->strings, token->text, token->length);
  const tn_symbol *symbol = tn_map_get(&p->symbols, name);
  if (!symbol && p->create_symbols) {
    symbol = tn_symbol_find(p->ctx, name);
    if (!symbol) symbol = tn_symbol_create(p->ctx, TN_SYM_INPUT, name, NULL, 0, TN_DIM_INF);
    tn_map_set(&p->symbols, name, (void *)symbol);
  }
  if (!symbol) return tn_parse_fail(p, token, "no symbol '%s' is in scope", name);
  *out = tn_dim_symbol(p->ctx, symbol);
  return true;
}

typedef const tn_dim *(*binary_dim)(tn_ctx *ctx, const tn_dim *p, const tn_dim *q);

static binary_dim find_call(const tn_token *token) {
  static const struct { const char *name; binary_dim make; } calls[] = {
      {"floordiv", tn_dim_floordiv}, {"mod", tn_dim_mod},     {"min", tn_dim_min},
      {"max", tn_dim_max},           {"bcast", tn_dim_bcast},
  };
  for (size_t i = 0; i < TN_ARRAY_LEN(calls); i++)
    if (tn_token_is(token, calls[i].name)) return calls[i].make;
  return NULL;
}

static bool parse_call(tn_parser *p, binary_dim make, const tn_dim **out) {
  const tn_token *start = tn_parse_peek(p);
  const tn_dim *left, *right;
  if (!tn_parse_need_char(p, '(') || !parse_sum(p, &left) || !tn_parse_need_char(p, ',') || !parse_sum(p, &right) ||
      !tn_parse_need_char(p, ')'))
    return false;
  if ((make == tn_dim_floordiv || make == tn_dim_mod) && tn_dim_is(right, 0))
    return tn_parse_fail(p, start, "a division by 0");
  *out = make(p->ctx, left, right);
  return true;
}

static bool parse_factor(tn_parser *p, const tn_dim **out) {
  const tn_token *token = tn_parse_peek(p);
  if (token->kind == TN_TOKEN_NUMBER) {
    int64_t value;
    if (!tn_parse_int(p, &value)) return false;
    *out = tn_dim_const(p->ctx, value);
    return true;
  }
  if (token->kind == TN_TOKEN_NAME) {
    tn_parse_next(p);
    binary_dim make = tn_parse_at_char(p, '(') ? find_call(token) : NULL;
    return make ? parse_call(p, make, out) : symbol_dim(p, token, out);
  }
  if (!tn_parse_take_char(p, '(')) return tn_parse_expected(p, "an extent");
  return parse_sum(p, out) && tn_parse_need_char(p, ')');
}

static bool too_many_terms(tn_parser *p, const tn_token *start, uint64_t n) {
  if (n <= TN_TEXT_MAX_TERMS) return false;
  tn_error(p->ctx, tn_parse_loc_of(p, start), TN_E_LIMIT, "an extent of more than %d terms", TN_TEXT_MAX_TERMS);
  return true;
}

static bool parse_product(tn_parser *p, const tn_dim **out) {
  const tn_token *start = tn_parse_peek(p);
  if (!parse_factor(p, out)) return false;
  while (tn_parse_take_char(p, '*')) {
    const tn_dim *factor;
    if (!parse_factor(p, &factor)) return false;
    if (too_many_terms(p, start, (uint64_t)(*out)->n_terms * factor->n_terms)) return false;
    *out = tn_dim_mul(p->ctx, *out, factor);
  }
  return true;
}

static bool parse_terms(tn_parser *p, const tn_dim **out) {
  const tn_token *start = tn_parse_peek(p);
  bool negative = tn_parse_take_char(p, '-');
  if (!parse_product(p, out)) return false;
  if (negative) *out = tn_dim_mul_i(p->ctx, *out, -1);
  while (tn_parse_at_char(p, '+') || tn_parse_at_char(p, '-')) {
    bool subtract = tn_parse_next(p)->text[0] == '-';
    const tn_dim *term;
    if (!parse_product(p, &term)) return false;
    *out = subtract ? tn_dim_sub(p->ctx, *out, term) : tn_dim_add(p->ctx, *out, term);
    if (too_many_terms(p, start, (*out)->n_terms)) return false;
  }
  return true;
}

static bool parse_sum(tn_parser *p, const tn_dim **out) {
  if (!tn_parse_enter(p)) return false;
  bool ok = parse_terms(p, out);
  tn_parse_leave(p);
  return ok;
}

bool tn_parse_dim(tn_parser *p, const tn_dim **out) {
  size_t n_errors = tn_diag_n_errors(p->ctx);
  tn_loc_push(p->ctx, tn_parse_loc_of(p, tn_parse_peek(p))); /* where arithmetic reports overflow */
  bool ok = parse_sum(p, out);
  tn_loc_pop(p->ctx);
  return ok && tn_diag_n_errors(p->ctx) == n_errors;
}

bool tn_parse_dim_list(tn_parser *p, const tn_dim *const **out, uint32_t *out_n) {
  TN_VEC(const tn_dim *) dims = {0};
  if (!tn_parse_need_char(p, '[')) return false;
  while (!tn_parse_at_char(p, ']')) {
    const tn_dim *dim;
    if (dims.n > 0 && !tn_parse_need_char(p, ',')) return false;
    if (!tn_parse_dim(p, &dim)) return false;
    TN_VEC_PUSH(lasting(p), &dims, dim);
  }
  *out = dims.data;
  *out_n = (uint32_t)dims.n;
  return tn_parse_need_char(p, ']');
}

bool tn_parse_int_list(tn_parser *p, const int64_t **out, uint32_t *out_n) {
  TN_VEC(int64_t) ints = {0};
  if (!tn_parse_need_char(p, '[')) return false;
  while (!tn_parse_at_char(p, ']')) {
    int64_t value;
    if (ints.n > 0 && !tn_parse_need_char(p, ',')) return false;
    if (!tn_parse_int(p, &value)) return false;
    TN_VEC_PUSH(lasting(p), &ints, value);
  }
  *out = ints.data;
  *out_n = (uint32_t)ints.n;
  return tn_parse_need_char(p, ']');
}

/* Types. */

bool tn_parse_dtype(tn_parser *p, tn_dtype *out) {
  const tn_token *token = tn_parse_peek(p);
  const char *name;
  if (!tn_parse_identifier(p, "an element type", &name)) return false;
  *out = tn_dtype_find(name);
  return *out < TN_N_DTYPES || tn_parse_fail(p, token, "there is no element type '%s'", name);
}

bool tn_parse_type(tn_parser *p, const tn_type **out) {
  const tn_token *start = tn_parse_peek(p);
  tn_dtype dtype;
  const tn_dim *const *dims;
  uint32_t ndim;
  if (!tn_parse_dtype(p, &dtype) || !tn_parse_dim_list(p, &dims, &ndim)) return false;
  if (ndim > TN_MAX_NDIM)
    return tn_error(p->ctx, tn_parse_loc_of(p, start), TN_E_LIMIT, "a type of rank %u; the limit is %d", ndim,
                    TN_MAX_NDIM);
  int64_t bytes = 8;
  for (uint32_t i = 0; i < ndim; i++) {
    if (!tn_dim_is_const(dims[i])) continue;
    int64_t extent = tn_dim_value(dims[i]);
    if (extent < 0) return tn_parse_fail(p, start, "a negative extent");
    if (extent > 0 && !tn_mul_i64(bytes, extent, &bytes))
      return tn_error(p->ctx, tn_parse_loc_of(p, start), TN_E_LIMIT, "a type of more bytes than 64 bits can count");
  }
  *out = tn_type_tensor(p->ctx, dtype, ndim, dims);
  return true;
}

/* Storages. */

static bool parse_order(tn_parser *p, tn_storage *storage) {
  const tn_token *start = tn_parse_peek(p);
  uint32_t seen = 0;
  if (!tn_parse_need_char(p, '(')) return false;
  for (uint32_t i = 0; i < storage->ndim; i++) {
    uint64_t axis;
    if (i > 0 && !tn_parse_need_char(p, ',')) return false;
    if (!tn_parse_uint(p, storage->ndim - 1, &axis)) return false;
    storage->order[i] = (uint8_t)axis;
    seen |= (uint32_t)1 << axis;
  }
  if (seen + 1 != (uint32_t)1 << storage->ndim) return tn_parse_fail(p, start, "an order that names an axis twice");
  return tn_parse_need_char(p, ')');
}

static bool parse_amount(tn_parser *p, uint64_t least, int64_t *out) {
  const tn_token *start = tn_parse_peek(p);
  uint64_t value;
  if (!tn_parse_need_char(p, '(') || !tn_parse_uint(p, MAX_ALIGN, &value) || !tn_parse_need_char(p, ')')) return false;
  *out = (int64_t)value;
  return value >= least || tn_parse_fail(p, start, "expected at least %llu", (unsigned long long)least);
}

static bool parse_format(tn_parser *p, tn_storage *storage) {
  return tn_parse_need_char(p, '(') && tn_parse_named(p, TN_TOKEN_STRING, "a format's name", &storage->format) &&
         tn_parse_need_char(p, ')');
}

bool tn_parse_storage(tn_parser *p, uint32_t ndim, const tn_storage **out) {
  tn_storage storage = {.ndim = ndim, .align_elements = 1};
  for (uint32_t i = 0; i < ndim; i++) storage.order[i] = (uint8_t)i;
  bool any = false, ok = true;
  for (bool more = true; more && ok; any = any || more) {
    more = true;
    if (tn_parse_take_name(p, "order")) ok = parse_order(p, &storage);
    else if (tn_parse_take_name(p, "align")) ok = parse_amount(p, 1, &storage.align_elements);
    else if (tn_parse_take_name(p, "pad")) ok = parse_amount(p, 0, &storage.pad_elements);
    else if (tn_parse_take_name(p, "format")) ok = parse_format(p, &storage);
    else more = false;
  }
  *out = any && ok ? tn_storage_intern(p->module, &storage) : NULL;
  return ok;
}

/* Symbols. */

static bool parse_bound(tn_parser *p, int64_t *out) {
  if (tn_parse_take_name(p, "inf")) {
    *out = TN_DIM_INF;
    return true;
  }
  if (tn_parse_at_char(p, '-') && tn_token_is(tn_parse_peek_at(p, 1), "inf")) {
    p->at += 2;
    *out = TN_DIM_MINUS_INF;
    return true;
  }
  return tn_parse_int(p, out);
}

bool tn_parse_range(tn_parser *p, int64_t *out_lo, int64_t *out_hi) {
  const tn_token *start = tn_parse_peek(p);
  if (!tn_parse_need_name(p, "in") || !tn_parse_need_char(p, '[') || !parse_bound(p, out_lo) ||
      !tn_parse_need_char(p, ',') || !parse_bound(p, out_hi) || !tn_parse_need_char(p, ']'))
    return false;
  return *out_lo <= *out_hi || tn_parse_fail(p, start, "an empty range");
}

static bool same_label(const char *a, const char *b) { return a && b ? strcmp(a, b) == 0 : a == b; }

/* The bound of a count, which gives its range. */
static bool parse_most(tn_parser *p, int64_t lo, const tn_dim **out, int64_t *out_hi) {
  const tn_token *token = tn_parse_peek(p);
  if (!tn_parse_dim(p, out)) return false;
  if (lo != 0 || tn_dim_is_const(*out) || tn_dim_is_late(*out))
    return tn_parse_fail(p, token, "a bound is over sizes known at entry, and of what is at least 0");
  *out_hi = (*out)->hi < 0 ? 0 : (*out)->hi;
  return true;
}

bool tn_parse_symbol(tn_parser *p, const tn_token *start) {
  static const struct { const char *name; tn_symbol_kind kind; } kinds[] = {
      {"read", TN_SYM_READ}, {"count", TN_SYM_COUNT}, {"join", TN_SYM_JOIN}};
  const char *name, *label = NULL;
  int64_t lo, hi;
  tn_symbol_kind kind = TN_SYM_INPUT;
  if (!tn_parse_identifier(p, "a symbol", &name)) return false;
  if (tn_parse_peek(p)->kind == TN_TOKEN_STRING && !tn_parse_named(p, TN_TOKEN_STRING, "a label", &label)) return false;
  if (!tn_parse_range(p, &lo, &hi)) return false;
  for (size_t i = 0; i < TN_ARRAY_LEN(kinds); i++)
    if (tn_parse_take_name(p, kinds[i].name)) kind = kinds[i].kind;
  const tn_dim *extent = NULL;
  if (tn_parse_take_name(p, "loop")) {
    if (!tn_parse_dim(p, &extent)) return false;
    kind = TN_SYM_LOOP;
  }
  if (kind == TN_SYM_READ && tn_parse_take_name(p, "most") && !parse_most(p, lo, &extent, &hi)) return false;
  if (kind != TN_SYM_READ && lo < 0) return tn_parse_fail(p, start, "symbol '%s' may be negative", name);
  if (tn_map_get(&p->symbols, name)) return tn_parse_fail(p, start, "symbol '%s' is defined twice", name);
  const tn_symbol *symbol = tn_symbol_find(p->ctx, name);
  if (!symbol)
    symbol = kind == TN_SYM_LOOP ? tn_symbol_loop(p->ctx, name, extent)
             : extent            ? tn_symbol_count(p->ctx, name, extent)
                                 : tn_symbol_create(p->ctx, kind, name, label, lo, hi);
  /* A session may read several texts; a symbol is shared where they agree. */
  if (symbol->kind != kind || symbol->extent != extent || symbol->lo != lo || symbol->hi != hi ||
      !same_label(symbol->label, label))
    return tn_parse_fail(p, start, "symbol '%s' exists with another range", name);
  tn_map_set(&p->symbols, name, (void *)symbol);
  TN_VEC_PUSH(p->module->arena, &p->module->symbols, symbol);
  return true;
}

bool tn_parse_guard(tn_parser *p, const tn_token *start, tn_guard *out) {
  *out = (tn_guard){.kind = TN_GUARD_EQ};
  if (!tn_parse_dim(p, &out->p)) return false;
  if (tn_parse_take_char(p, '<')) out->kind = TN_GUARD_LE;
  else if (!tn_parse_need_char(p, '=')) return false;
  return tn_parse_need_char(p, '=') && tn_parse_dim(p, &out->q) &&
         tn_parse_named(p, TN_TOKEN_STRING, "what the guard protects", &out->text) &&
         tn_parse_loc_ref(p, start, &out->loc);
}
