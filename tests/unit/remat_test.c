/* Rematerialisation: a chain whose backward half reads what the forward half made takes less memory when that is made
 * again; the verifier and the checker of plans agree, and the reference gives the same after the pass as before. */
#include "tests/unit/pass_fixture.h"

#include "ir/support/str.h"

enum { LAYERS = 9 };

/* h = tanh(h + its column sums), LAYERS times; the loss; then back: g = (g + its sums along an axis) * h. */
static void put_chain(tn_buf *out, int marked) { /* each so manieth, as what a body goes on from; 0: none */
  const char *type = "f32[64,32]";
  int n = 0, h[LAYERS + 1], g;
  tn_buf_printf(out, "tnir 1\nfunc @run entry (%%x: %s \"x\") -> (f32[] \"loss\", %s \"g\") {\n", type, type);
  tn_buf_printf(out, "  %%0 = tanh %%x : %s\n", type);
  h[0] = n++;
  for (int i = 1; i <= LAYERS; i++, n += 4) {
    tn_buf_printf(out, "  %%%d = reduce %%%d {op=sum, axes=[0]} : f32[32]\n", n, h[i - 1]);
    tn_buf_printf(out, "  %%%d = broadcast %%%d {dims=[64,32], map=[1]} : %s\n", n + 1, n, type);
    tn_buf_printf(out, "  %%%d = add %%%d, %%%d : %s\n", n + 2, h[i - 1], n + 1, type);
    tn_buf_printf(out, "  %%%d = tanh %%%d : %s\n", n + 3, n + 2, type);
    h[i] = n + 3;
    if (marked == 0 || i % marked != 0) continue;
    tn_buf_printf(out, "  %%%d = fence %%%d {body=true} : %s\n", n + 4, h[i], type);
    h[i] = n++ + 4;
  }
  tn_buf_printf(out, "  %%%d = reduce %%%d {op=sum, axes=[0,1]} : f32[]\n", n, h[LAYERS]);
  int loss = n++;
  tn_buf_printf(out, "  %%%d = broadcast %%%d {dims=[64,32], map=[]} : %s\n", n, loss, type);
  g = n++;
  for (int i = LAYERS; i >= 0; i--, n += 4) {
    int axis = i % 2; /* by turns, so that no kernel makes two */
    tn_buf_printf(out, "  %%%d = reduce %%%d {op=sum, axes=[%d]} : f32[%d]\n", n, g, axis, axis ? 64 : 32);
    tn_buf_printf(out, "  %%%d = broadcast %%%d {dims=[64,32], map=[%d]} : %s\n", n + 1, n, 1 - axis, type);
    tn_buf_printf(out, "  %%%d = add %%%d, %%%d : %s\n", n + 2, g, n + 1, type);
    tn_buf_printf(out, "  %%%d = mul %%%d, %%%d : %s\n", n + 3, n + 2, h[i], type);
    g = n + 3;
  }
  tn_buf_printf(out, "  return %%%d, %%%d\n}\n", loss, g);
}

/* The bytes of the plan with the remat pass at this target, or with all dropped between marks. */
static int64_t plan_bytes(bool remat, uint64_t target, int marked, uint32_t *out_steps) {
  fixture f;
  tn_ctx *ctx = tn_ctx_create((tn_oom){0});
  tn_buf text = tn_buf_create(ctx->arena);
  put_chain(&text, marked);
  begin(&f, text.data, text.n);
  f.context.remat = remat;
  f.context.remat_target = target;
  f.context.remat_keeps = marked > 0;
  tn_pipeline_options options = {.verify_each = true, .check_each = true};
  const char *failed;
  bool is_fault, ok = tn_pipeline_run(&f.context, &options, &failed, &is_fault);
  tell_diags(&f);
  assert_true(ok);
  int64_t bytes = tn_dim_value(f.context.program->arena_bytes);
  *out_steps = tn_steps_count(&f.context.program->steps);
  end(&f);
  tn_ctx_destroy(ctx);
  return bytes;
}

static void test_chain(void **state) {
  (void)state;
  uint32_t steps, steps_all, steps_some, steps_none;
  int64_t kept = plan_bytes(false, 0, 0, &steps), all = plan_bytes(true, 0, 0, &steps_all);
  print_message("%lld bytes, %lld at least, %u and %u steps\n", (long long)kept, (long long)all, steps, steps_all);
  assert_true(kept >= (int64_t)LAYERS * 64 * 32 * 4);
  assert_true(all <= kept * 7 / 10);
  assert_true(steps_all >= steps);
  int64_t middle = (kept + all) / 2, some = plan_bytes(true, (uint64_t)middle, 0, &steps_some);
  assert_true(some <= middle + middle / 8 && some >= all);
  assert_true(steps_some <= steps_all);
  assert_true(plan_bytes(true, (uint64_t)kept, 0, &steps_none) == kept && steps_none == steps);
}

/* Marks alone change nothing; what is between them is made again, and more of it takes more where they are rarer. */
static void test_marks(void **state) {
  (void)state;
  uint32_t steps, steps_marked, steps_two, steps_four;
  int64_t kept = plan_bytes(false, 0, 0, &steps), two = plan_bytes(true, 0, 2, &steps_two);
  assert_true(plan_bytes(false, 0, 2, &steps_marked) == kept && steps_marked == steps);
  int64_t four = plan_bytes(true, 0, 4, &steps_four);
  print_message("%lld bytes, %lld and %lld between marks\n", (long long)kept, (long long)two, (long long)four);
  assert_true(two < kept && four < kept && two != four);
  assert_true(steps_two >= steps && steps_four >= steps);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_chain), cmocka_unit_test(test_marks)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
