/* Conditions: arithmetic and truth in postfix order, numbers that were not measured, stalls. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/train/condition.h"

typedef struct conditions {
  tnrt_training head;
  tnrt_condition conditions[2];
  tnrt_term terms[2][80];
  char texts[16];
} conditions;

#define NUMBER(x) {.kind = TNRT_TERM_NUMBER, .number = (x)}
#define VALID_LOSS {.kind = TNRT_TERM_MEASURE, .watch = {TNRT_SPLIT_VALID, 0}}
#define OP(x) {.kind = TNRT_TERM_##x}

static bool holds(const tnrt_term *terms, uint32_t n, const double *measures, const tnrt_stall *stalls) {
  conditions c = {.conditions = {{.n_terms = n, .terms = offsetof(conditions, terms)}}};
  tnrt_message message;
  bool out = false;
  memcpy(c.terms[0], terms, n * sizeof *terms);
  assert_int_equal(tnrt_condition_holds(&c.head, &message, &c.conditions[0], measures, stalls, &out), TNRT_OK);
  return out;
}
#define HOLDS(measures, ...) \
  holds((const tnrt_term[]){__VA_ARGS__}, sizeof((const tnrt_term[]){__VA_ARGS__}) / sizeof(tnrt_term), measures, NULL)

static void calculates(void **state) {
  (void)state;
  const double m[TNRT_N_SPLITS] = {9, 0.25, NAN};
  assert_true(HOLDS(m, VALID_LOSS, NUMBER(0.25), OP(LE)));
  assert_false(HOLDS(m, VALID_LOSS, NUMBER(0.25), OP(LT)));
  assert_true(HOLDS(m, VALID_LOSS, NUMBER(4), OP(MUL), NUMBER(1), OP(SUB), NUMBER(0), OP(EQ)));
  assert_true(HOLDS(m, NUMBER(1), VALID_LOSS, OP(DIV), NUMBER(3), OP(ADD), NUMBER(7), OP(GE)));
  assert_true(HOLDS(m, VALID_LOSS, OP(NEG), NUMBER(0), OP(LT), NUMBER(1), NUMBER(2), OP(NE), OP(AND)));
  assert_true(HOLDS(m, NUMBER(1), NUMBER(2), OP(GT), OP(NOT)));
  assert_true(HOLDS(m, NUMBER(1), NUMBER(2), OP(GT), NUMBER(2), NUMBER(1), OP(GT), OP(OR)));
}

static void knows_nothing_of_what_was_not_measured(void **state) {
  (void)state;
  const double m[TNRT_N_SPLITS] = {NAN, NAN, NAN};
  assert_false(HOLDS(m, VALID_LOSS, NUMBER(1), OP(LT)));
  assert_false(HOLDS(m, VALID_LOSS, NUMBER(1), OP(GE)));
  assert_false(HOLDS(m, VALID_LOSS, NUMBER(1), OP(NE)));
  assert_false(HOLDS(m, VALID_LOSS, VALID_LOSS, OP(EQ)));
}

static void refuses_what_makes_no_sense(void **state) {
  (void)state;
  conditions c = {.conditions = {{.n_terms = 80, .terms = offsetof(conditions, terms)}}};
  const double m[TNRT_N_SPLITS] = {0};
  tnrt_message message;
  bool out;
  for (int i = 0; i < 80; i++) c.terms[0][i] = (tnrt_term)NUMBER(1);
  assert_int_equal(tnrt_condition_holds(&c.head, &message, &c.conditions[0], m, NULL, &out), TNRT_BAD_INPUT);
  c.terms[0][0] = (tnrt_term)OP(ADD);
  assert_int_equal(tnrt_condition_holds(&c.head, &message, &c.conditions[0], m, NULL, &out), TNRT_BAD_INPUT);
}

/* valid.loss for 2; train.loss, larger is better, for 1 */
static void stalls(void **state) {
  (void)state;
  conditions c = {.conditions = {{.n_terms = 1, .terms = offsetof(conditions, terms[0])},
                                 {.n_terms = 1, .terms = offsetof(conditions, terms[1])}},
                  .terms = {{{.kind = TNRT_TERM_STALLED, .watch = {TNRT_SPLIT_VALID, 0}, .patience = 2}},
                            {{.kind = TNRT_TERM_STALLED, .watch = {TNRT_SPLIT_TRAIN, 0}, .patience = 1, .is_max = 1}}}};
  const uint32_t at = offsetof(conditions, conditions);
  const double valid[] = {3, 2, 2, 1, NAN, 1.5, 0.5};
  const int want[] = {0, 0, 1, 0, 1, 2, 0};
  tnrt_stall s[2] = {{0}};
  tnrt_message message;
  assert_int_equal(tnrt_conditions_stalls(&c.head, at, 2), 2);
  for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
    const double m[TNRT_N_SPLITS] = {7, valid[i], 0};
    bool out;
    tnrt_conditions_watch(&c.head, at, 2, m, TNRT_SPLIT_VALID, s);
    assert_int_equal((int)s[0].count, want[i]);
    assert_int_equal((int)s[1].has_best, 0);
    assert_int_equal(tnrt_condition_holds(&c.head, &message, &c.conditions[0], m, s, &out), TNRT_OK);
    assert_int_equal(out, want[i] >= 2);
  }
  const double m[TNRT_N_SPLITS] = {7, 0, 0};
  for (int i = 0; i < 2; i++) tnrt_conditions_watch(&c.head, at, 2, m, TNRT_SPLIT_TRAIN, s);
  assert_int_equal((int)s[1].count, 1);
  assert_int_equal((int)s[0].count, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(calculates),
      cmocka_unit_test(knows_nothing_of_what_was_not_measured),
      cmocka_unit_test(refuses_what_makes_no_sense),
      cmocka_unit_test(stalls),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
