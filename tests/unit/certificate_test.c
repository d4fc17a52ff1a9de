/* The checker of memory plans: it takes what the planner makes, and rejects each plan that a change makes wrong. */
#include "tests/unit/pass_fixture.h"

#include "ir/certificate.h"

/* A chain with branches, so that lives of several lengths overlap. */
static const char branches[] =
    "tnir 1\nsym B in [1, 64]\n"
    "func @run entry (%x: f32[B,16] \"x\") -> (f32[B,16] \"y\") {\n"
    "  %0 = fence %x : f32[B,16]\n  %1 = exp %0 : f32[B,16]\n  %2 = fence %1 : f32[B,16]\n"
    "  %3 = tanh %2 : f32[B,16]\n  %4 = fence %3 : f32[B,16]\n  %5 = add %4, %0 : f32[B,16]\n"
    "  %6 = fence %5 : f32[B,16]\n  %7 = reduce %6 {op=sum, axes=[1]} : f32[B]\n  %8 = fence %7 : f32[B]\n"
    "  %9 = broadcast %8 {dims=[B,16], map=[0]} : f32[B,16]\n  %10 = mul %9, %2 : f32[B,16]\n"
    "  %11 = fence %10 : f32[B,16]\n  %12 = add %11, %6 : f32[B,16]\n  return %12\n}\n";
static const char loop[] =
    "tnir 1\nfunc @run entry (%x: f32[5,32] \"x\", %h: f32[32] \"h\") -> (f32[32] \"y\") {\n"
    "  %0 = fence %h : f32[32]\n"
    "  %1 = scan %0, %x {n_carried=1, n_seq=1} { ^(%c: f32[32], %e: f32[32])\n"
    "    %2 = add %c, %e : f32[32]\n    %3 = fence %2 : f32[32]\n"
    "    %4 = tanh %3 : f32[32]\n    yield %4\n  } : f32[32]\n  %5 = exp %1 : f32[32]\n  return %5\n}\n";

static bool at_most(const void *user, const tn_symbol *symbol, int64_t *out) {
  (void)user;
  *out = symbol->hi;
  return true;
}

typedef struct plan {
  fixture f;
  tn_certificate certificate;
} plan;

static void make(plan *p, const char *text, size_t bytes, bool at_bound) {
  begin(&p->f, text, bytes);
  p->f.context.at_bound = at_bound;
  run_passes(&p->f);
  assert_true(tn_certificate_make(p->f.context.program, at_most, NULL, p->f.ctx->arena, &p->certificate));
  assert_true(p->certificate.rows.n > 2);
}

static bool is_right(plan *p, const tn_certificate *c) {
  return tn_certificate_check(p->f.ctx, p->f.context.program, c, at_most, NULL);
}

/* A copy to change. */
static tn_certificate copy_of(plan *p) {
  tn_certificate c = {.arena = p->certificate.arena, .least = p->certificate.least};
  for (size_t i = 0; i < p->certificate.rows.n; i++)
    TN_VEC_PUSH(p->f.ctx->arena, &c.rows, p->certificate.rows.data[i]);
  return c;
}

static bool live_together(const tn_plan_row *a, const tn_plan_row *b) {
  return a != b && a->bytes > 0 && b->bytes > 0 && a->first <= b->last && b->first <= a->last;
}

static void reject_row_changes(plan *p, size_t i) {
  const int64_t offsets[] = {-64, 1, p->certificate.arena};
  for (size_t k = 0; k < TN_ARRAY_LEN(offsets); k++) {
    tn_certificate c = copy_of(p);
    c.rows.data[i].offset = offsets[k];
    assert_false(is_right(p, &c));
  }
  tn_certificate c = copy_of(p);
  c.rows.data[i].bytes -= 64; /* sizes are multiples of it */
  assert_false(is_right(p, &c));
  c = copy_of(p);
  c.rows.data[i].last++;
  assert_false(is_right(p, &c));
  c = copy_of(p);
  c.rows.data[i].first = c.rows.data[i].last + 1;
  assert_false(is_right(p, &c));
  c = copy_of(p);
  c.rows.data[i] = c.rows.data[(i + 1) % c.rows.n]; /* one has two places, one none */
  assert_false(is_right(p, &c));
  c = copy_of(p);
  c.rows.data[i] = c.rows.data[--c.rows.n];
  assert_false(is_right(p, &c));
}

static void reject_changes(plan *p) {
  size_t n_pairs = 0;
  assert_true(is_right(p, &p->certificate));
  for (size_t i = 0; i < p->certificate.rows.n; i++) {
    reject_row_changes(p, i);
    for (size_t k = 0; k < p->certificate.rows.n; k++) {
      if (!live_together(&p->certificate.rows.data[i], &p->certificate.rows.data[k])) continue;
      tn_certificate c = copy_of(p);
      c.rows.data[i].offset = c.rows.data[k].offset; /* on top of each other */
      c.arena += c.rows.data[i].bytes;
      c.least = -1;
      assert_false(is_right(p, &c));
      n_pairs++;
    }
  }
  assert_true(n_pairs > 2);
  for (int64_t d = -64; d <= 64; d += 128) {
    tn_certificate c = copy_of(p);
    c.arena += d;
    assert_false(is_right(p, &c));
    c = copy_of(p);
    c.least += d;
    assert_false(is_right(p, &c));
  }
}

static void test_branches(void **state) {
  (void)state;
  plan p;
  make(&p, branches, sizeof(branches) - 1, true);
  assert_true(tn_dim_is_const(p.f.context.program->arena_bytes));
  reject_changes(&p);
  end(&p.f);
}

static void test_loop(void **state) {
  (void)state;
  plan p;
  make(&p, loop, sizeof(loop) - 1, false);
  reject_changes(&p);
  end(&p.f);
}

/* A plan for all sizes is right at each; so is the verification of both ends. */
static void test_sizes(void **state) {
  (void)state;
  plan p;
  make(&p, branches, sizeof(branches) - 1, false);
  assert_false(tn_dim_is_const(p.f.context.program->arena_bytes));
  assert_true(is_right(&p, &p.certificate));
  assert_true(tn_certificate_verify(p.f.ctx, p.f.context.program));
  for (size_t i = 0; i < p.certificate.rows.n; i++) {
    tn_certificate c = copy_of(&p);
    c.rows.data[i].offset = c.arena;
    assert_false(is_right(&p, &c));
  }
  end(&p.f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_branches),
      cmocka_unit_test(test_loop),
      cmocka_unit_test(test_sizes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
