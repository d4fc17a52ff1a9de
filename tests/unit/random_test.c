/* The numbers of random_bits: the published vectors of Philox4x32-10 (Random123's kat_vectors), and that a sample's
 * numbers do not depend on what is computed beside it. */
#include <stdio.h>

#include "tests/unit/sample_fixture.h"

typedef struct program {
  tn_ctx *ctx;
  tn_module *module;
} program;

static program parse(const char *text) {
  program p = {.ctx = tn_ctx_create((tn_oom){0})};
  p.module = tn_text_parse(p.ctx, "random.tnir", text, strlen(text));
  if (p.module == NULL) fail_msg("%s", first_error(p.ctx));
  return p;
}

static void end(program *p) {
  tn_module_destroy(p->module);
  tn_ctx_destroy(p->ctx);
}

static tn_tensor *state_of(const program *p, uint64_t seed, uint64_t step, uint64_t first) {
  tn_tensor *state = tn_tensor_create(p->ctx->arena, TN_U64, 1, (int64_t[]){3});
  state->data[0].u = seed;
  state->data[1].u = step;
  state->data[2].u = first;
  return state;
}

static const tn_tensor *run(const program *p, const tn_tensor *const *inputs, uint32_t n) {
  tn_tensor *output;
  if (!tn_eval_func(p->ctx, p->ctx->arena, p->module->funcs.data[0], TN_EVAL_EXACT, inputs, n, &output))
    fail_msg("%s", first_error(p->ctx));
  return output;
}

static const struct {
  uint64_t position, step, stream, seed;
  uint32_t words[4];
} vectors[] = {
    {0, 0, 0, 0, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
    {UINT64_MAX, UINT32_MAX, UINT32_MAX, UINT64_MAX, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
    {0x85a308d3243f6a88, 0x13198a2e, 0x03707344, 0x299f31d0a4093822, {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
};

static void test_vectors(void **unused) {
  (void)unused;
  for (size_t i = 0; i < TN_ARRAY_LEN(vectors); i++)
    for (int word = 0; word < 4; word++) {
      char text[256];
      snprintf(text, sizeof text,
               "tnir 1\nfunc @run entry (%%s: u64[3] \"s\") -> (u32[1] \"y\") {\n"
               "  %%0 = random_bits %%s {dims=[1], stream=%llu, word=%d} : u32[1]\n  return %%0\n}\n",
               (unsigned long long)vectors[i].stream, word);
      program p = parse(text);
      const tn_tensor *state = state_of(&p, vectors[i].seed, vectors[i].step, vectors[i].position);
      assert_int_equal(run(&p, &state, 1)->data[0].u, vectors[i].words[word]);
      end(&p);
    }
}

/* Samples 2 and 3 of five, alone. */
static void test_parts(void **unused) {
  (void)unused;
  program whole = parse("tnir 1\nfunc @run entry (%s: u64[3] \"s\") -> (u32[2,5,3] \"y\") {\n"
                        "  %0 = random_bits %s {dims=[2,5,3], axis=1, stream=3} : u32[2,5,3]\n  return %0\n}\n");
  program part = parse("tnir 1\nfunc @run entry (%s: u64[3] \"s\") -> (u32[2,2,3] \"y\") {\n"
                       "  %0 = random_bits %s {dims=[2,2,3], axis=1, stream=3} : u32[2,2,3]\n  return %0\n}\n");
  const tn_tensor *of_whole = state_of(&whole, 11, 4, 0), *of_part = state_of(&part, 11, 4, 2);
  const tn_tensor *p = run(&whole, &of_whole, 1), *q = run(&part, &of_part, 1);
  for (int i = 0; i < 2; i++)
    for (int k = 0; k < 2 * 3; k++) assert_int_equal(q->data[i * 6 + k].u, p->data[i * 15 + 6 + k].u);
  for (int i = 0; i < 30; i++)
    for (int k = 0; k < i; k++) assert_true(p->data[i].u != p->data[k].u);
  end(&whole);
  end(&part);
}

/* Every element is 0 or x / (1 - p), about p of them 0; without a state all are x. */
static void test_dropout(void **unused) {
  (void)unused;
  const char *text = "tnir 1\nfunc @run entry (%x: f64[4000] \"x\", %s: u64[3] \"s\") -> (f64[4000] \"y\") {\n"
                     "  %0 = dropout %x, %s {p=0.25, stream=9} : f64[4000]\n  return %0\n}\n";
  const char *plain = "tnir 1\nfunc @run entry (%x: f64[4000] \"x\") -> (f64[4000] \"y\") {\n"
                      "  %0 = dropout %x {p=0.25, stream=9} : f64[4000]\n  return %0\n}\n";
  program training = parse(text), evaluation = parse(plain);
  tn_tensor *x = tn_tensor_create(training.ctx->arena, TN_F64, 1, (int64_t[]){4000});
  for (int i = 0; i < 4000; i++) x->data[i].f = i + 1;
  int n_zeros = 0, n_differences = 0;
  const tn_tensor *first = run(&training, (const tn_tensor *[]){x, state_of(&training, 1, 0, 0)}, 2);
  const tn_tensor *second = run(&training, (const tn_tensor *[]){x, state_of(&training, 1, 1, 0)}, 2);
  const tn_tensor *same = run(&evaluation, (const tn_tensor *[]){x}, 1);
  for (int i = 0; i < 4000; i++) {
    assert_true(first->data[i].f == 0 || first->data[i].f == (i + 1) * (1 / 0.75));
    n_zeros += first->data[i].f == 0;
    n_differences += first->data[i].f != second->data[i].f;
    assert_true(same->data[i].f == i + 1);
  }
  assert_in_range(n_zeros, 1000 - 137, 1000 + 137);         /* five standard deviations of 27.4 */
  assert_in_range(n_differences, 1500 - 153, 1500 + 153);   /* of 30.6 */
  end(&training);
  end(&evaluation);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_vectors), cmocka_unit_test(test_parts),
                                     cmocka_unit_test(test_dropout)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
