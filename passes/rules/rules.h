/* Rewrite rules as rows: algebraic ones over scalar ops (algebra.def, matched by match.c) and structural ones that need
 * code (structure.c lists them all). The simplify pass applies both to a fixpoint.
 *
 * Rules go one way: to fewer operations, or to the form that other rules expect. */
#ifndef TN_PASSES_RULES_RULES_H
#define TN_PASSES_RULES_RULES_H

#include "ir/build.h"

typedef enum tn_rule_class {
  TN_RULE_EXACT,        /* equal bits for every input; or, for an elementary function, nearer to the true result */
  TN_RULE_SIGNED_ZERO,  /* may turn -0 into +0; off */
  TN_RULE_SPECIAL,      /* differs for infinities or NaN; off */
  TN_RULE_REASSOCIATE,  /* sums or products in another order; off */
  TN_RULE_FOLD_SCALE    /* constant scales and offsets move into weights and bias, as every compiler does for batch
                           normalisation: rounded elsewhere, by no more than the products are; on */
} tn_rule_class;

/* Sets of classes. */
#define TN_RULE_BIT(class) (1u << (class))
#define TN_RULES_DEFAULT (TN_RULE_BIT(TN_RULE_EXACT) | TN_RULE_BIT(TN_RULE_FOLD_SCALE))

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

/* The element types that a variable of this name stands for; see algebra.def. */
tn_dtype_set tn_pattern_dtypes(char variable);
/* True when value matches; bindings are extended. */
bool tn_pattern_match(const tn_pattern *pattern, tn_value *value, tn_bindings *bindings);
/* Builds the pattern with the bound values; numbers take like's type. NULL when reported. */
tn_value *tn_pattern_build(tn_build *b, const tn_pattern *pattern, const tn_bindings *bindings, const tn_value *like);

/* The number that all elements of a constant are, seen through broadcasts and reshapes. */
bool tn_value_is_splat(const tn_value *value, double *out);

/* Structural rules: each returns what result 0 of node may be replaced by, or NULL; nodes are made only when the rule
 * applies. node has one result. */
typedef struct tn_structural_rule {
  const char *name;
  const char *doc;
  tn_value *(*apply)(tn_build *b, tn_node *node);
  tn_rule_class class;
} tn_structural_rule;

extern const tn_structural_rule tn_structural_rules[];
extern const uint32_t tn_n_structural_rules;

/* Applies the rules of the allowed classes to func until none applies, folding what they make and removing what they
 * leave dead. False when an error was reported. */
bool tn_rules_run(tn_func *func, uint32_t allowed_classes);

#endif
