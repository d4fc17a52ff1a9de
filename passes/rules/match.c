/* Matching and building of algebraic rules; see rules.h. */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ir/eval.h"
#include "ir/primitives.h"
#include "passes/rules/apply.h"

#define EXACT TN_RULE_EXACT
#define SIGNED_ZERO TN_RULE_SIGNED_ZERO
#define SPECIAL TN_RULE_SPECIAL
#define REASSOCIATE TN_RULE_REASSOCIATE
const tn_rule tn_rules[] = {
#define X(name, class, pattern, replacement) {name, class, pattern, replacement},
#include "passes/rules/algebra.def"
#undef X
};
const uint32_t tn_n_rules = TN_ARRAY_LEN(tn_rules);

static const char *skip_spaces(const char *at) {
  while (*at == ' ') at++;
  return at;
}

static tn_pattern *parse_at(tn_arena *arena, const char **at);

static void parse_op(tn_arena *arena, const char **at, tn_pattern *pattern) {
  const char *name = skip_spaces(*at + 1), *end = name;
  while (isalnum((unsigned char)*end) || *end == '_') end++;
  pattern->kind = TN_PATTERN_OP;
  pattern->op = tn_op_find(tn_arena_strndup(arena, name, (size_t)(end - name)));
  TN_ASSERT(pattern->op && pattern->op->kind == TN_OP_SCALAR);
  for (*at = skip_spaces(end); **at != ')'; *at = skip_spaces(*at)) {
    TN_ASSERT(**at && pattern->n_args < 3);
    pattern->args[pattern->n_args++] = parse_at(arena, at);
  }
  TN_ASSERT(pattern->n_args == tn_scalar_arity(pattern->op->scalar));
  ++*at;
}

static tn_pattern *parse_at(tn_arena *arena, const char **at) {
  tn_pattern *pattern = TN_NEW(arena, tn_pattern);
  *at = skip_spaces(*at);
  if (**at == '(') {
    parse_op(arena, at, pattern);
  } else if (islower((unsigned char)**at) && strncmp(*at, "inf", 3) != 0) {
    pattern->kind = TN_PATTERN_VARIABLE;
    pattern->variable = *(*at)++;
  } else {
    char *end; /* -inf is a number too; inf begins like a variable */
    pattern->kind = TN_PATTERN_NUMBER;
    pattern->number = strtod(*at, &end);
    TN_ASSERT(end != *at);
    *at = end;
  }
  return pattern;
}

tn_pattern *tn_pattern_parse(tn_arena *arena, const char *text) {
  tn_pattern *pattern = parse_at(arena, &text);
  TN_ASSERT(*skip_spaces(text) == 0);
  return pattern;
}

tn_const *tn_rule_const(const tn_value *value, const tn_node **out_broadcast) {
  *out_broadcast = NULL;
  if (value->def && value->def->op == &tn_op_broadcast) {
    *out_broadcast = value->def;
    value = value->def->operands[0].value;
  }
  return tn_value_const(value);
}

bool tn_value_is_splat(const tn_value *value, double *out) {
  while (value->def && (value->def->op == &tn_op_broadcast || value->def->op == &tn_op_reshape))
    value = value->def->operands[0].value;
  const tn_const *constant = tn_value_const(value);
  if (!constant || constant->type->dtype == TN_STR) return false;
  bool one = tn_type_static_count(constant->type) == 1 && constant->kind == TN_CONST_DATA;
  if (constant->kind != TN_CONST_SPLAT && !one) return false;
  tn_dtype dtype = constant->type->dtype;
  tn_number number = tn_number_load(dtype, constant->data);
  *out = tn_dtype_is_float(dtype)                        ? number.f
         : tn_dtype_class_of(dtype) == TN_CLASS_UNSIGNED ? (double)number.u
                                                         : (double)number.i;
  return true;
}

/* Equal with its sign: -0 is not 0, but for integers, which have one zero. */
static bool same_number(double a, double b, tn_dtype dtype) {
  return a == b && (!tn_dtype_is_float(dtype) || signbit(a) == signbit(b));
}

tn_dtype_set tn_pattern_dtypes(char variable) {
  const tn_dtype_set floats = (1u << TN_F8E4M3) - 1; /* f64 to bf16 */
  switch (variable) {
    case 'f':
    case 'g': return floats;
    case 's':
    case 't': return floats | TN_SET_SIGNED;
    case 'i':
    case 'j': return TN_SET_INTEGER;
    case 'p':
    case 'q': return TN_SET_BOOL;
    case 'm':
    case 'n': return TN_SET_INTEGER | TN_SET_BOOL;
    case 'c':
    case 'd': return TN_SET_ANY;
    default: return floats | TN_SET_INTEGER;
  }
}

static bool match_variable(char variable, tn_value *value, tn_bindings *bindings) {
  const tn_node *broadcast;
  if (!(tn_pattern_dtypes(variable) & TN_DTYPE_BIT(value->type->dtype))) return false;
  if ((variable == 'c' || variable == 'd') && !tn_rule_const(value, &broadcast)) return false;
  tn_value **bound = &bindings->values[variable - 'a'];
  if (!*bound) *bound = value;
  return *bound == value;
}

static bool match_args(const tn_pattern *pattern, const tn_node *node, const uint32_t *order, tn_bindings *bindings) {
  tn_bindings trial = *bindings;
  for (uint32_t i = 0; i < pattern->n_args; i++)
    if (!tn_pattern_match(pattern->args[i], node->operands[order[i]].value, &trial)) return false;
  *bindings = trial;
  return true;
}

bool tn_pattern_match(const tn_pattern *pattern, tn_value *value, tn_bindings *bindings) {
  if (pattern->kind == TN_PATTERN_NUMBER) {
    double number;
    return tn_value_is_splat(value, &number) && same_number(number, pattern->number, value->type->dtype);
  }
  if (pattern->kind == TN_PATTERN_VARIABLE) return match_variable(pattern->variable, value, bindings);
  static const uint32_t straight[] = {0, 1, 2}, swapped[] = {1, 0, 2};
  if (!value->def || value->def->op != pattern->op) return false;
  if (match_args(pattern, value->def, straight, bindings)) return true;
  return pattern->n_args == 2 && (pattern->op->traits & TN_TRAIT_COMMUTATIVE) &&
         match_args(pattern, value->def, swapped, bindings);
}

tn_value *tn_pattern_build(tn_build *b, const tn_pattern *pattern, const tn_bindings *bindings, const tn_value *like) {
  if (pattern->kind == TN_PATTERN_VARIABLE) return bindings->values[pattern->variable - 'a'];
  if (pattern->kind == TN_PATTERN_NUMBER) return tn_build_fill_like(b, like, pattern->number);
  tn_value *args[3];
  for (uint32_t i = 0; i < pattern->n_args; i++) {
    const tn_pattern *arg = pattern->args[i];
    bool is_condition = pattern->op->scalar == TN_SELECT && i == 0 && arg->kind == TN_PATTERN_NUMBER;
    args[i] = is_condition ? tn_build_broadcast_to(b, tn_build_splat_i(b, TN_BOOL, arg->number != 0), like->type->dims,
                                                   like->type->ndim)
                           : tn_pattern_build(b, arg, bindings, like);
  }
  return tn_build_op(b, pattern->op, args, pattern->n_args, NULL);
}
