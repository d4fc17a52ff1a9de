/* Each algebraic rule: both sides are built over arguments and run by the reference on random tensors with special
 * values; EXACT rows agree bit for bit, the others where their class says. Each structural rule: a graph it applies to
 * gets smaller and keeps its value, and one where it would be wrong stays. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "ir/eval.h"
#include "ir/text.h"
#include "ir/verify.h"
#include "passes/passes.h"
#include "passes/rules/rules.h"

#define N_ELEMENTS 240
static const char variables[] = "xyzfgstijpqmncd";
#define N_VARIABLES (sizeof(variables) - 1)
static const double specials[] = {0.0, -0.0, 1.0, -1.0, 0.5, 2.0, -3.0, INFINITY, -INFINITY, NAN, 1e-40, 3e38};

typedef struct side {
  tn_func *func;
  tn_tensor *result;
} side;

static tn_tensor *random_argument(tn_arena *arena, tn_dtype dtype, uint64_t *seed) {
  int64_t extent = N_ELEMENTS;
  tn_tensor *tensor = tn_tensor_create(arena, dtype, 1, &extent);
  for (int64_t i = 0; i < N_ELEMENTS; i++) {
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    uint64_t bits = *seed >> 33;
    if (dtype == TN_BOOL)
      tensor->data[i].i = (int64_t)(bits & 1);
    else if (tn_dtype_is_float(dtype))
      tensor->data[i].f = tn_number_round_float(dtype, bits & 1 ? specials[bits / 2 % TN_ARRAY_LEN(specials)]
                                                                : (double)(bits % 4001) / 1000 - 2);
    else
      tensor->data[i] = tn_number_cast(TN_I64, dtype, (tn_number){.i = bits & 1 ? (int64_t)(bits % 7) - 3 : INT32_MIN});
  }
  return tensor;
}

/* Variables of a pattern are its lone letters. */
static bool uses(const char *text, char variable) {
  for (const char *at = text; (at = strchr(at, variable)) != NULL; at++)
    if ((at == text || at[-1] == ' ') && (at[1] == '\0' || at[1] == ' ' || at[1] == ')')) return true;
  return false;
}

/* Builds a function of all variables, those of dtype's class of dtype and the others bool, whose result is the pattern.
 * False when the variables or the ops do not take the type. */
static bool build_side(tn_ctx *ctx, tn_module *module, const char *name, const tn_rule *rule, bool is_right,
                       tn_dtype dtype, side *out) {
  const char *text = is_right ? rule->replacement : rule->pattern;
  int64_t extent = N_ELEMENTS;
  tn_bindings bindings = {{0}};
  const tn_value *like = NULL;
  out->func = tn_func_create(module, name, true);
  for (const char *v = variables; *v; v++) {
    bool takes = (tn_pattern_dtypes(*v) & TN_DTYPE_BIT(dtype)) != 0, is_bool = *v == 'p' || *v == 'q';
    if (uses(rule->pattern, *v) && !takes && !is_bool) return false;
    const tn_type *type = tn_type_static(ctx, is_bool ? TN_BOOL : dtype, 1, &extent);
    bindings.values[*v - 'a'] = tn_block_add_param(out->func->body, type, tn_namef(ctx, "%c", *v));
    if (uses(rule->pattern, *v) && !like) like = bindings.values[*v - 'a'];
  }
  tn_build build = tn_build_at_end(out->func->body);
  size_t n_errors = ctx->n_errors;
  tn_value *value = tn_pattern_build(&build, tn_pattern_parse(ctx->arena, text), &bindings, like);
  bool ok = value && ctx->n_errors == n_errors;
  ctx->n_errors = n_errors;
  if (!ok) return false;
  TN_VEC_PUSH(module->arena, &out->func->result_names, "r");
  tn_build_return(&build, &value, 1);
  return true;
}

static bool agree(const tn_rule *rule, tn_dtype dtype, tn_number a, tn_number b) {
  if (!tn_dtype_is_float(dtype)) return a.i == b.i;
  if (isnan(a.f) && isnan(b.f)) return true;
  if (rule->class == TN_RULE_SPECIAL && !(isfinite(a.f) && isfinite(b.f))) return true;
  if (rule->class == TN_RULE_EXACT) return a.f == b.f && signbit(a.f) == signbit(b.f);
  if (rule->class == TN_RULE_REASSOCIATE) return true; /* only built: what they change has no bound */
  return a.f == b.f;
}

/* True when the rule could be built for this type, and then it was checked. */
static bool check_rule(const tn_rule *rule, tn_dtype dtype) {
  /* No constant of an unsigned type is negative: such a row never matches there. */
  if (tn_dtype_class_of(dtype) == TN_CLASS_UNSIGNED && strstr(rule->pattern, "-1")) return false;
  tn_ctx *ctx = tn_ctx_create((tn_oom){0});
  tn_module *module = tn_module_create(ctx);
  side sides[2];
  bool built = build_side(ctx, module, "left", rule, false, dtype, &sides[0]) &&
               build_side(ctx, module, "right", rule, true, dtype, &sides[1]);
  if (built) {
    tn_tensor *arguments[N_VARIABLES];
    uint64_t seed = 11;
    for (size_t i = 0; i < N_VARIABLES; i++)
      arguments[i] = random_argument(ctx->arena, strchr("pq", variables[i]) ? TN_BOOL : dtype, &seed);
    for (int k = 0; k < 2; k++)
      assert_true(tn_eval_func(ctx, ctx->arena, sides[k].func, TN_EVAL_EXACT, (const tn_tensor *const *)arguments,
                               N_VARIABLES, &sides[k].result));
    for (int64_t i = 0; i < N_ELEMENTS; i++) {
      bool equal = agree(rule, sides[0].result->dtype, sides[0].result->data[i], sides[1].result->data[i]);
      if (!equal) print_message("rule %s, %s, element %d\n", rule->name, tn_dtype_name(dtype), (int)i);
      assert_true(equal);
    }
  }
  tn_module_destroy(module);
  tn_ctx_destroy(ctx);
  return built;
}

static void test_both_sides_of_each_rule(void **state) {
  static const tn_dtype dtypes[] = {TN_F32, TN_F64, TN_F16, TN_BF16, TN_I64, TN_I32, TN_I8, TN_U8, TN_BOOL};
  (void)state;
  for (uint32_t i = 0; i < tn_n_rules; i++) {
    unsigned n_checked = 0;
    for (size_t d = 0; d < TN_ARRAY_LEN(dtypes); d++) n_checked += check_rule(&tn_rules[i], dtypes[d]);
    if (!n_checked) print_message("rule %s fits no type\n", tn_rules[i].name);
    assert_true(n_checked > 0);
  }
}

typedef struct structural_case {
  const char *rule, *text;
  uint32_t max_nodes; /* after simplify, without the return */
  const char *stays;  /* an op that must be left all the same: the rule would be wrong here */
} structural_case;

#define ENTRY(type_in, type_out) "tnir 1\nconst @z : f32[] = splat 0\nconst @c : f32[1,3,1] = dense [1, 2, 3]\n" \
  "const @w : f32[2,3,3] = splat 0.5\nconst @low : f32[] = splat -inf\nconst @two : f32[] = splat 2\n" \
  "const @three : f32[] = splat 3\nconst @g : f32[3] = dense [0.5, -2, 3]\n" \
  "const @h : f32[3,1] = dense [1, 0.25, -7]\n" \
  "const @k : f32[3,2,1] = dense [1, 2, -3, 4, 0.5, 6]\nconst @kx : f32[2,3,1] = dense [1, 2, -3, 4, 0.5, 6]\n" \
  "const @m : f32[4,3] = dense [1, 2, 3, 4, 5, 6, -1, -2, -3, 0.5, 0, 9]\n" \
  "const @negative : f32[4,2] = dense [1, 2, 3, -0.0, 5, 6, 7, 8]\nconst @five : i32[] = splat 5\n" \
  "const @count : i32[4] = dense [0, 1, 2, 3]\n" \
  "const @i2 : i64[] = splat 2\nconst @i12 : i64[2] = dense [1, 2]\nconst @i02 : i64[2] = dense [0, 2]\n" \
  "func @run entry (%x: " type_in " \"x\") -> (" type_out " \"y\") {\n"
/* %6 = rows of a one-hot matrix; two of the indices are outside. */
#define ONE_HOT "  %0 = cast %x {dtype=i32} : i32[4]\n  %1 = broadcast @five {dims=[4], map=[]} : i32[4]\n" \
  "  %2 = mul %0, %1 : i32[4]\n  %3 = broadcast %2 {dims=[4,4], map=[0]} : i32[4,4]\n" \
  "  %4 = broadcast @count {dims=[4,4], map=[1]} : i32[4,4]\n  %5 = eq %3, %4 : bool[4,4]\n" \
  "  %6 = cast %5 {dtype=f32} : f32[4,4]\n"
/* %1 = rows of a table, %g = a constant of a column each. */
#define ROWS "  %0 = cast %x {dtype=i32} : i32[9]\n  %1 = gather @m, %0 {axes=[0]} : f32[9,3]\n" \
  "  %g = broadcast @g {dims=[9,3], map=[1]} : f32[9,3]\n"
/* %0 = a convolution of 2 to 3 channels, %1 and %2 = constants of a channel each. */
#define CONV ENTRY("f32[2,2,4]", "f32[2,3,4]") \
  "  %0 = conv %x, @k {stride=[1], dilate=[1], lo=[0], hi=[0]} : f32[2,3,4]\n" \
  "  %1 = broadcast @g {dims=[2,3,4], map=[1]} : f32[2,3,4]\n" \
  "  %2 = broadcast @h {dims=[2,3,4], map=[1,2]} : f32[2,3,4]\n"

static const structural_case structural_cases[] = {
    {"drop-identity", ENTRY("f32[2,3]", "f32[2,3]") "  %0 = reshape %x {dims=[2,3]} : f32[2,3]\n"
     "  %1 = slice %0 {start=[0,0], size=[2,3], step=[1,1]} : f32[2,3]\n  %2 = neg %1 : f32[2,3]\n"
     "  return %2\n}\n", 1, NULL},
    {"merge-transposes", ENTRY("f32[2,3,4]", "f32[4,3,2]") "  %0 = transpose %x {perm=[1,0,2]} : f32[3,2,4]\n"
     "  %1 = transpose %0 {perm=[2,0,1]} : f32[4,3,2]\n  return %1\n}\n", 1, NULL},
    {"merge-reshapes", ENTRY("f32[2,6]", "f32[4,3]") "  %0 = reshape %x {dims=[12]} : f32[12]\n"
     "  %1 = reshape %0 {dims=[4,3]} : f32[4,3]\n  return %1\n}\n", 1, NULL},
    {"transpose-of-ones", ENTRY("f32[1,6]", "f32[6]") "  %0 = transpose %x {perm=[1,0]} : f32[6,1]\n"
     "  %1 = reshape %0 {dims=[6]} : f32[6]\n  return %1\n}\n", 1, NULL},
    {"merge-broadcasts", ENTRY("f32[3]", "f32[2,3,4]") "  %0 = broadcast %x {dims=[2,3], map=[1]} : f32[2,3]\n"
     "  %1 = broadcast %0 {dims=[2,3,4], map=[0,1]} : f32[2,3,4]\n  return %1\n}\n", 1, NULL},
    {"drop-ones-below-broadcast", ENTRY("f32[1,3,1]", "f32[2,3,4]")
     "  %0 = broadcast %x {dims=[2,3,4], map=[0,1,2]} : f32[2,3,4]\n  return %0\n}\n", 2, NULL},
    {"view-of-splat", ENTRY("f32[6]", "f32[2,3]") "  %a = reshape %x {dims=[2,3]} : f32[2,3]\n"
     "  %0 = broadcast @z {dims=[6], map=[]} : f32[6]\n  %1 = reshape %0 {dims=[2,3]} : f32[2,3]\n"
     "  %2 = max %a, %1 : f32[2,3]\n  return %2\n}\n", 4, NULL},
    {"merge-slices", ENTRY("f32[9]", "f32[2]") "  %0 = slice %x {start=[1], size=[4], step=[2]} : f32[4]\n"
     "  %1 = slice %0 {start=[3], size=[2], step=[-2]} : f32[2]\n  return %1\n}\n", 1, NULL},
    {"reduce-of-ones", ENTRY("f32[2,1]", "f32[2]") "  %0 = reduce %x {op=max, axes=[1]} : f32[2]\n"
     "  return %0\n}\n", 1, NULL},
    {"reduce-of-ones", ENTRY("f32[2,1]", "f32[2]") "  %0 = reduce %x {op=sum, axes=[1]} : f32[2]\n"
     "  return %0\n}\n", 4, "add"},
    {"pad-into-conv", ENTRY("f32[1,3,5]", "f32[1,2,5]")
     "  %0 = pad %x, @z {lo=[0,0,1], hi=[0,0,1], inner=[0,0,0]} : f32[1,3,7]\n"
     "  %1 = conv %0, @w {stride=[1], dilate=[1], lo=[0], hi=[0], groups=1} : f32[1,2,5]\n  return %1\n}\n", 2, NULL},
    {"slice-of-concat", ENTRY("f32[2,3]", "f32[1,2]") "  %0 = neg %x : f32[2,3]\n"
     "  %1 = concat %0, %x {axis=1} : f32[2,6]\n"
     "  %2 = slice %1 {start=[1,4], size=[1,2], step=[1,1]} : f32[1,2]\n  return %2\n}\n", 1, NULL},
    {"slice-of-concat", ENTRY("f32[2,3]", "f32[1,2]") "  %0 = neg %x : f32[2,3]\n"
     "  %1 = concat %0, %x {axis=1} : f32[2,6]\n"
     "  %2 = slice %1 {start=[1,2], size=[1,2], step=[1,1]} : f32[1,2]\n  return %2\n}\n", 3, "concat"},
    {"concat-of-slices", ENTRY("f32[2,5]", "f32[2,5]")
     "  %0 = slice %x {start=[0,0], size=[2,2], step=[1,1]} : f32[2,2]\n"
     "  %1 = slice %x {start=[0,2], size=[2,3], step=[1,1]} : f32[2,3]\n"
     "  %2 = concat %0, %1 {axis=1} : f32[2,5]\n  return %2\n}\n", 0, NULL},
    {"concat-of-slices", ENTRY("f32[2,4]", "f32[2,4]")
     "  %0 = slice %x {start=[0,0], size=[2,2], step=[1,1]} : f32[2,2]\n"
     "  %1 = slice %x {start=[0,2], size=[2,2], step=[1,1]} : f32[2,2]\n"
     "  %2 = concat %1, %0 {axis=1} : f32[2,4]\n  return %2\n}\n", 3, "concat"},
    {"merge-concats", ENTRY("f32[2]", "f32[6]") "  %0 = concat %x, %x {axis=0} : f32[4]\n"
     "  %1 = concat %0, %x {axis=0} : f32[6]\n  return %1\n}\n", 1, NULL},
    {"gather-of-constant", ENTRY("f32[3,4]", "f32[3]") "  %0 = gather %x, @i2 {axes=[1]} : f32[3]\n  return %0\n}\n", 2,
     "slice"},
    {"gather-of-constant", ENTRY("f32[3,4]", "f32[2,4]") "  %0 = gather %x, @i12 {axes=[0]} : f32[2,4]\n"
     "  return %0\n}\n", 1, "slice"},
    {"gather-of-constant", ENTRY("f32[3,4]", "f32[2,4]") "  %0 = gather %x, @i02 {axes=[0]} : f32[2,4]\n"
     "  return %0\n}\n", 2, "gather"},
    {"merge-pads", ENTRY("f32[2]", "f32[6]") "  %0 = pad %x, @z {lo=[1], hi=[0], inner=[0]} : f32[3]\n"
     "  %1 = pad %0, @z {lo=[1], hi=[2], inner=[0]} : f32[6]\n  return %1\n}\n", 2, NULL},
    {"merge-pads", ENTRY("f32[2]", "f32[4]") "  %0 = pad %x, @z {lo=[-1], hi=[0], inner=[0]} : f32[1]\n"
     "  %1 = pad %0, @z {lo=[2], hi=[1], inner=[0]} : f32[4]\n  return %1\n}\n", 4, NULL},
    {"pad-into-window", ENTRY("f32[5]", "f32[6]") "  %0 = pad %x, @low {lo=[1], hi=[1], inner=[0]} : f32[7]\n"
     "  %1 = window %0 {op=max, axes=[0], size=[2], stride=[1], dilate=[1], lo=[0], hi=[0]} : f32[6]\n"
     "  return %1\n}\n", 1, NULL},
    {"pad-into-window", ENTRY("f32[5]", "f32[6]") "  %0 = pad %x, @z {lo=[1], hi=[1], inner=[0]} : f32[7]\n"
     "  %1 = window %0 {op=max, axes=[0], size=[2], stride=[1], dilate=[1], lo=[0], hi=[0]} : f32[6]\n"
     "  return %1\n}\n", 3, "pad"},
    {"merge-casts", ENTRY("f32[4]", "f32[4]") "  %0 = cast %x {dtype=f64} : f64[4]\n"
     "  %1 = cast %0 {dtype=f32} : f32[4]\n  return %1\n}\n", 0, NULL},
    {"merge-casts", ENTRY("f32[4]", "f32[4]") "  %0 = cast %x {dtype=bf16} : bf16[4]\n"
     "  %1 = cast %0 {dtype=f32} : f32[4]\n  return %1\n}\n", 2, "cast"},
    {"divide-by-power", ENTRY("f32[4]", "f32[4]") "  %0 = broadcast @two {dims=[4], map=[]} : f32[4]\n"
     "  %1 = div %x, %0 : f32[4]\n  return %1\n}\n", 3, "mul"},
    {"divide-by-power", ENTRY("f32[4]", "f32[4]") "  %0 = broadcast @three {dims=[4], map=[]} : f32[4]\n"
     "  %1 = div %x, %0 : f32[4]\n  return %1\n}\n", 3, "div"},
    {"subtract-constant", ENTRY("f32[3]", "f32[3]") "  %0 = sub %x, @g : f32[3]\n  return %0\n}\n", 2, "add"},
    {"cube", ENTRY("f32[3]", "f32[3]") "  %0 = broadcast @three {dims=[3], map=[]} : f32[3]\n"
     "  %1 = pow %x, %0 : f32[3]\n  return %1\n}\n", 2, "mul"},
    {"compute-before-broadcast", ENTRY("f32[2,3]", "f32[2,3]") "  %0 = broadcast @g {dims=[2,3], map=[1]} : f32[2,3]\n"
     "  %1 = broadcast @two {dims=[2,3], map=[]} : f32[2,3]\n  %2 = pow %1, %0 : f32[2,3]\n"
     "  %3 = max %x, %2 : f32[2,3]\n  return %3\n}\n", 3, "max"},
    {"reduce-of-transpose", ENTRY("f32[2,3,4]", "f32[2,4]") "  %0 = transpose %x {perm=[1,0,2]} : f32[3,2,4]\n"
     "  %1 = reduce %0 {op=sum, axes=[0]} : f32[2,4]\n  return %1\n}\n", 1, NULL},
    {"reduce-of-transpose", ENTRY("f32[2,3,4]", "f32[4,2]") "  %0 = transpose %x {perm=[2,1,0]} : f32[4,3,2]\n"
     "  %1 = reduce %0 {op=sum, axes=[1]} : f32[4,2]\n  return %1\n}\n", 2, NULL},
    {"merge-reduces", ENTRY("f32[2,3,4]", "f32[3]") "  %0 = reduce %x {op=max, axes=[2]} : f32[2,3]\n"
     "  %1 = reduce %0 {op=max, axes=[0]} : f32[3]\n  return %1\n}\n", 1, NULL},
    {"merge-reduces", ENTRY("f32[2,3]", "f32[]") "  %0 = reduce %x {op=sum, axes=[1]} : f32[2]\n"
     "  %1 = reduce %0 {op=sum, axes=[0]} : f32[]\n  return %1\n}\n", 2, NULL},
    {"cancel-transposes", ENTRY("f32[2,3,4]", "f32[2,3,4]") "  %0 = transpose %x {perm=[1,2,0]} : f32[3,4,2]\n"
     "  %1 = broadcast @two {dims=[3,4,2], map=[]} : f32[3,4,2]\n  %2 = max %1, %0 : f32[3,4,2]\n"
     "  %3 = neg %2 : f32[3,4,2]\n  %4 = transpose %3 {perm=[2,0,1]} : f32[2,3,4]\n  return %4\n}\n", 4, NULL},
    {"cancel-transposes", ENTRY("f32[2,3,4]", "f32[4,2,3]") "  %0 = transpose %x {perm=[1,2,0]} : f32[3,4,2]\n"
     "  %1 = neg %0 : f32[3,4,2]\n  %2 = transpose %1 {perm=[1,2,0]} : f32[4,2,3]\n  return %2\n}\n", 3, "transpose"},
    {"cancel-reshapes", ENTRY("f32[2,6]", "f32[2,6]") "  %0 = reshape %x {dims=[12]} : f32[12]\n"
     "  %1 = exp %0 : f32[12]\n  %2 = reshape %1 {dims=[2,6]} : f32[2,6]\n  return %2\n}\n", 1, NULL},
    {"one-hot-product", ENTRY("f32[4]", "f32[4,3]") ONE_HOT "  %7 = dot %6, @m {sum=[(1, 0)]} : f32[4,3]\n"
     "  return %7\n}\n", 11, "gather"},
    {"one-hot-product", ENTRY("f32[4]", "f32[4,2]") ONE_HOT "  %7 = dot %6, @negative {sum=[(1, 0)]} : f32[4,2]\n"
     "  return %7\n}\n", 11, "dot"},
    {"compute-before-gather", ENTRY("f32[9]", "f32[9,3]") ROWS "  %2 = add %1, %g : f32[9,3]\n"
     "  %3 = exp %2 : f32[9,3]\n  %4 = mul %3, %1 : f32[9,3]\n  return %4\n}\n", 3, "gather"},
    {"compute-before-gather", ENTRY("f32[9]", "f32[9,3]") ROWS "  %h = broadcast %x {dims=[9,3], map=[0]} : f32[9,3]\n"
     "  %2 = add %1, %h : f32[9,3]\n  %3 = exp %2 : f32[9,3]\n  return %3\n}\n", 6, "exp"},
    {"scale-weights", CONV "  %3 = mul %1, %0 : f32[2,3,4]\n  return %3\n}\n", 2, "conv"},
    {"scale-weights", ENTRY("f32[2,2,4]", "f32[2,3,4]")
     "  %0 = conv_dx %x, @kx {stride=[1], dilate=[1], lo=[0], hi=[0], in=[4]} : f32[2,3,4]\n"
     "  %1 = broadcast @g {dims=[2,3,4], map=[1]} : f32[2,3,4]\n  %2 = mul %1, %0 : f32[2,3,4]\n  return %2\n}\n", 2,
     "conv_dx"},
    {"scale-weights", ENTRY("f32[2,4]", "f32[2,3]") "  %0 = dot %x, @m {sum=[(1, 0)]} : f32[2,3]\n"
     "  %1 = broadcast @g {dims=[2,3], map=[1]} : f32[2,3]\n  %2 = mul %0, %1 : f32[2,3]\n  return %2\n}\n", 2, "dot"},
    {"scale-weights", ENTRY("f32[2,4]", "f32[3,2]") "  %0 = dot @m, %x {sum=[(0, 1)]} : f32[3,2]\n"
     "  %1 = broadcast @g {dims=[3,2], map=[0]} : f32[3,2]\n  %2 = mul %0, %1 : f32[3,2]\n  return %2\n}\n", 2, "dot"},
    {"scale-weights", ENTRY("f32[3,4]", "f32[3,3]") "  %0 = dot %x, @m {sum=[(1, 0)]} : f32[3,3]\n"
     "  %1 = broadcast @g {dims=[3,3], map=[0]} : f32[3,3]\n  %2 = mul %0, %1 : f32[3,3]\n  return %2\n}\n", 5, "mul"},
    {"scale-offset", CONV "  %3 = add %2, %0 : f32[2,3,4]\n  %4 = mul %1, %3 : f32[2,3,4]\n  return %4\n}\n", 5, "add"},
    {"join-offsets", CONV "  %3 = add %2, %0 : f32[2,3,4]\n  %4 = add %1, %3 : f32[2,3,4]\n  return %4\n}\n", 5, "add"},
    {"invert-scale", CONV "  %3 = div %0, %1 : f32[2,3,4]\n  return %3\n}\n", 2, "conv"},
    /* Batch normalisation of a convolution with a bias: one convolution and one add are left. */
    {"scale-offset", CONV "  %3 = add %0, %1 : f32[2,3,4]\n  %4 = sub %3, %2 : f32[2,3,4]\n"
     "  %5 = div %4, %1 : f32[2,3,4]\n  %6 = mul %5, %2 : f32[2,3,4]\n"
     "  %7 = add %6, %1 : f32[2,3,4]\n  return %7\n}\n", 5, "add"},
};

static tn_tensor *run(tn_ctx *ctx, const tn_func *func, const tn_tensor *input) {
  tn_tensor *out;
  assert_true(tn_eval_func(ctx, ctx->arena, func, TN_EVAL_EXACT, &input, 1, &out));
  return out;
}

/* Equal bits; scales that moved are rounded elsewhere: relative to the largest element, as sums cancel. */
static void assert_agree(const tn_tensor *before, const tn_tensor *after, tn_rule_class class) {
  double largest = 0;
  assert_int_equal(before->count, after->count);
  if (class == TN_RULE_EXACT)
    assert_memory_equal(before->data, after->data, (size_t)before->count * sizeof(tn_number));
  for (int64_t i = 0; i < before->count; i++) largest = fmax(largest, fabs(before->data[i].f));
  for (int64_t i = 0; i < before->count; i++) assert_true(fabs(before->data[i].f - after->data[i].f) <= 1e-6 * largest);
}

static void check_structural(const structural_case *c, tn_rule_class class) {
  tn_ctx *ctx = tn_ctx_create((tn_oom){0});
  tn_module *module = tn_text_parse(ctx, c->rule, c->text, strlen(c->text));
  for (size_t i = 0; i < ctx->diags.n; i++) print_message("%s: %s\n", c->rule, ctx->diags.data[i].text);
  assert_non_null(module);
  tn_func *func = tn_func_find(module, "run");
  const tn_type *type = func->body->params.data[0]->type;
  int64_t extents[TN_MAX_NDIM];
  for (uint32_t i = 0; i < type->ndim; i++) extents[i] = tn_dim_value(type->dims[i]);
  tn_tensor *input = tn_tensor_create(ctx->arena, type->dtype, type->ndim, extents);
  for (int64_t i = 0; i < input->count; i++) input->data[i].f = (double)(i % 5) - 1.5; /* as integers: -1, 0, 0, 1 */
  tn_tensor *before = run(ctx, func, input);
  assert_true(tn_rules_run(func, TN_RULES_DEFAULT) && tn_verify(module));
  uint32_t n_nodes = 0;
  bool stays = c->stays == NULL;
  for (const tn_node *node = func->body->first; node != func->body->last; node = node->next) {
    n_nodes++;
    stays |= c->stays && strcmp(node->op->name, c->stays) == 0;
  }
  if (n_nodes > c->max_nodes) print_message("%s: %u nodes are left\n", c->rule, n_nodes);
  if (!stays) print_message("%s: no %s is left\n", c->rule, c->stays);
  assert_in_range(n_nodes, 0, c->max_nodes);
  assert_true(stays);
  assert_agree(before, run(ctx, func, input), class);
  tn_module_destroy(module);
  tn_ctx_destroy(ctx);
}

static void test_structural_rules(void **state) {
  (void)state;
  for (uint32_t i = 0; i < tn_n_structural_rules; i++) {
    unsigned n_cases = 0;
    for (size_t k = 0; k < TN_ARRAY_LEN(structural_cases); k++) {
      if (strcmp(structural_cases[k].rule, tn_structural_rules[i].name) != 0) continue;
      check_structural(&structural_cases[k], tn_structural_rules[i].class);
      n_cases++;
    }
    if (!n_cases) print_message("rule %s has no case\n", tn_structural_rules[i].name);
    assert_true(n_cases > 0);
  }
}

static void test_pass_order_rows_hold(void **state) {
  (void)state;
  for (uint32_t i = 0; i < tn_n_pass_orders; i++) {
    uint32_t first = UINT32_MAX, then = UINT32_MAX;
    for (uint32_t k = 0; k < tn_n_passes; k++) {
      if (strcmp(tn_passes[k].name, tn_pass_orders[i].first) == 0) first = k;
      if (strcmp(tn_passes[k].name, tn_pass_orders[i].then) == 0) then = k;
    }
    assert_true(first != UINT32_MAX && then != UINT32_MAX && first < then);
    assert_true(strlen(tn_pass_orders[i].reason) > 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_both_sides_of_each_rule),
                                     cmocka_unit_test(test_structural_rules),
                                     cmocka_unit_test(test_pass_order_rows_hold)};
  return cmocka_run_group_tests_name("rules", tests, NULL, NULL);
}
