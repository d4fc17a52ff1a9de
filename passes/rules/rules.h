/* Rewrite rules as rows: algebraic ones over scalar ops (algebra.def, matched by match.c) and structural ones over views
 * and shapes (structure.c). The simplify pass applies both to a fixpoint. */
#ifndef TN_PASSES_RULES_RULES_H
#define TN_PASSES_RULES_RULES_H

#include "ir/build.h"

typedef enum tn_rule_class { TN_RULE_EXACT, TN_RULE_SIGNED_ZERO, TN_RULE_SPECIAL } tn_rule_class;

typedef struct tn_rule {
  const char *name;
  tn_rule_class class;
  const char *pattern, *replacement;
} tn_rule;

extern const tn_rule tn_rules[];
extern const uint32_t tn_n_rules;

/* A rule read into a tree. */
typedef struct tn_pattern tn_pattern;
struct tn_pattern {
  enum { TN_PATTERN_OP, TN_PATTERN_VARIABLE, TN_PATTERN_NUMBER } kind;
  const tn_opdef *op;
  char variable;
  double number;
  uint32_t n_args;
  tn_pattern *args[3];
};

/* Reads "(mul x 1)"; asserts that the row is well formed (a test reads all rows). */
tn_pattern *tn_pattern_parse(tn_arena *arena, const char *text);

typedef struct tn_bindings {
  tn_value *values[26]; /* by variable - 'a' */
} tn_bindings;

/* True when value matches; bindings are extended. */
bool tn_pattern_match(const tn_pattern *pattern, tn_value *value, tn_bindings *bindings);
/* Builds the pattern with the bound values; numbers take like's type. NULL when reported. */
tn_value *tn_pattern_build(tn_build *b, const tn_pattern *pattern, const tn_bindings *bindings, const tn_value *like);

/* The number that all elements of a constant are, seen through broadcasts and reshapes. */
bool tn_value_is_splat(const tn_value *value, double *out);

/* Structural rules: each returns what result 0 of node may be replaced by, or NULL. */
typedef struct tn_structural_rule {
  const char *name;
  const char *doc;
  tn_value *(*apply)(tn_build *b, tn_node *node);
} tn_structural_rule;

extern const tn_structural_rule tn_structural_rules[];
extern const uint32_t tn_n_structural_rules;

#endif
