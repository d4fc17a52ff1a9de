/* Gradients against central differences in double, op by op from its samples: of the sum of all float results, each
 * weighted at random, in each float operand. Ops without a gradient say why. */
#include "tests/unit/sample_fixture.h"

#include <math.h>
#include <stdio.h>

#include "ir/gradient.h"
#include "ir/verify.h"

#define MAX_PROBES 40 /* elements of an operand that are moved */

typedef struct sizes {
  uint32_t n_results, n_weights, n_gradients;
  bool differentiated[MAX_VALUES]; /* operands */
} sizes;

static bool is_float(const tn_value *value) { return value != NULL && tn_dtype_is_float(value->type->dtype); }

/* func(operands.., weights of the float results..) -> (results.., gradients of the float operands..) */
static bool differentiate(built *it, sizes *out) {
  tn_build b = tn_build_at_end(it->func->body);
  tn_value *ys[MAX_VALUES], *weights[MAX_VALUES], *xs[MAX_VALUES], *all[3 * MAX_VALUES];
  *out = (sizes){.n_results = it->node->n_results};
  for (uint32_t i = 0; i < it->node->n_results; i++) {
    all[i] = it->node->results[i];
    if (!is_float(all[i])) continue;
    ys[out->n_weights] = all[i];
    weights[out->n_weights++] = tn_block_add_param(it->func->body, all[i]->type, "");
  }
  for (uint32_t i = 0; i < it->node->n_operands; i++) {
    out->differentiated[i] = is_float(it->node->operands[i].value);
    if (out->differentiated[i]) xs[out->n_gradients++] = it->node->operands[i].value;
  }
  if (out->n_weights == 0 || out->n_gradients == 0) return false;
  if (!tn_gradient(&b, ys, weights, out->n_weights, xs, out->n_gradients, all + out->n_results)) return false;
  tn_build_return(&b, all, out->n_results + out->n_gradients);
  for (uint32_t i = 0; i < out->n_results + out->n_gradients; i++)
    TN_VEC_PUSH(it->module->arena, &it->func->result_names, tn_namef(it->ctx, "y%u", i));
  return true;
}

typedef struct range {
  double lo, hi;
} range;

static void fill(tn_tensor *tensor, range within, bool is_index, const tn_tensor *first, uint64_t *seed) {
  double lo = within.lo, hi = within.hi;
  if (is_index) lo = 0, hi = (double)(smallest_extent(first) - 1);
  if (tensor->dtype == TN_BOOL) lo = 0, hi = 1;
  for (int64_t k = 0; k < tensor->count; k++) {
    double u = (double)draw(seed) / 0x1p31;
    if (tn_dtype_is_float(tensor->dtype)) tensor->data[k].f = lo + u * (hi - lo);
    else
      tensor->data[k] = tn_number_cast(TN_F64, tensor->dtype, (tn_number){.f = floor(lo + u * (hi - lo + 1))});
  }
}

/* Every symbol of a sample stands for the same number. */
static bool bind(const void *user, const tn_symbol *symbol, int64_t *out) {
  (void)symbol;
  *out = *(const int64_t *)user;
  return true;
}

static uint32_t make_inputs(const tn_opdef *op, const built *it, int64_t b, range within, tn_tensor **out) {
  uint64_t seed = 29;
  const tn_block *body = it->func->body;
  uint32_t position[2 * MAX_VALUES], n = 0; /* of each parameter among the node's operands */
  for (uint32_t i = 0; i < it->node->n_operands; i++)
    if (it->node->operands[i].value != NULL) position[n++] = i;
  for (uint32_t i = 0; i < body->params.n; i++) {
    const tn_type *type = body->params.data[i]->type;
    int64_t extents[TN_MAX_NDIM];
    for (uint32_t k = 0; k < type->ndim; k++) assert_true(tn_dim_evaluate(type->dims[k], bind, &b, &extents[k]));
    out[i] = tn_tensor_create(it->ctx->arena, type->dtype, type->ndim, extents);
    bool is_operand = i < n;
    fill(out[i], is_operand ? within : (range){0.25, 1}, is_operand && is_index_operand(op, position[i]), out[0],
         &seed);
  }
  return (uint32_t)body->params.n;
}

static double weighted(const built *it, const sizes *s, tn_tensor *const *results, const tn_tensor *const *weights) {
  double total = 0;
  uint32_t w = 0;
  for (uint32_t i = 0; i < s->n_results; i++) {
    if (!is_float(it->node->results[i])) continue;
    for (int64_t k = 0; k < results[i]->count; k++) /* an extreme of nothing is an infinity, whatever moves */
      if (!isinf(results[i]->data[k].f)) total += results[i]->data[k].f * weights[w]->data[k].f;
    w++;
  }
  return total;
}

static bool run(const built *it, tn_tensor *const *inputs, uint32_t n, tn_tensor **outputs) {
  return tn_eval_func(it->ctx, it->ctx->arena, it->func, TN_EVAL_WIDE, (const tn_tensor *const *)inputs, n, outputs);
}

static bool all_finite(const sizes *s, tn_tensor *const *outputs, bool also_infinities) {
  for (uint32_t i = 0; i < s->n_results + s->n_gradients; i++)
    for (int64_t k = 0; tn_dtype_is_float(outputs[i]->dtype) && k < outputs[i]->count; k++)
      if (!isfinite(outputs[i]->data[k].f) &&
          !(also_infinities && i < s->n_results && isinf(outputs[i]->data[k].f)))
        return false;
  return true;
}

/* The number of elements whose derivative was compared. */
static uint32_t compare(const tn_opdef *op, uint32_t index, const built *it, const sizes *s, tn_tensor **inputs,
                        uint32_t n, tn_tensor *const *outputs) {
  const tn_tensor *const *weights = (const tn_tensor *const *)inputs + (n - s->n_weights);
  uint32_t at = 0, input = 0, compared = 0;
  for (uint32_t i = 0; i < it->node->n_operands; i++) {
    if (it->node->operands[i].value == NULL) continue;
    tn_tensor *x = inputs[input++];
    if (!s->differentiated[i]) continue;
    const tn_tensor *gradient = outputs[s->n_results + at++];
    assert_int_equal(gradient->count, x->count);
    int64_t step = x->count / MAX_PROBES + 1;
    for (int64_t k = 0; k < x->count; k += step) {
      double was = x->data[k].f, h = 1e-5, side[2];
      for (int sign = 0; sign < 2; sign++) {
        tn_tensor *moved[3 * MAX_VALUES];
        x->data[k].f = was + (sign == 0 ? h : -h);
        if (!run(it, inputs, n, moved)) fail_at(op, index, "evaluation", first_error(it->ctx));
        side[sign] = weighted(it, s, moved, weights);
      }
      x->data[k].f = was;
      double expected = (side[0] - side[1]) / (2 * h), found = gradient->data[k].f;
      if (!(fabs(expected - found) <= 1e-6 + 1e-5 * fabs(expected)))
        fail_msg("op '%s', sample %u, operand %u, element %lld: differences give %.9g, the gradient is %.9g", op->name,
                 index, i, (long long)k, expected, found);
      compared++;
    }
  }
  return compared;
}

/* Where the sample's own range gives infinities or NaN (log of a negative number), others are tried. */
static uint32_t check_values(const tn_opdef *op, uint32_t index, const built *it, const sizes *s, int64_t b) {
  const tn_op_sample *sample = &op->samples[index];
  bool plain = sample->lo == 0 && sample->hi == 0;
  const range ranges[] = {{plain ? -2 : sample->lo, plain ? 2 : sample->hi}, {0.1, 0.9}, {1.1, 2}};
  for (size_t r = 0; r <= TN_ARRAY_LEN(ranges); r++) {
    bool is_last = r == TN_ARRAY_LEN(ranges);
    tn_tensor *inputs[2 * MAX_VALUES], *outputs[3 * MAX_VALUES];
    uint32_t n = make_inputs(op, it, b, ranges[is_last ? 0 : r], inputs);
    if (!run(it, inputs, n, outputs)) fail_at(op, index, "evaluation", first_error(it->ctx));
    if (all_finite(s, outputs, is_last)) return compare(op, index, it, s, inputs, n, outputs);
    if (inputs[0]->count == 0) return 0; /* a largest element of none is an infinity */
  }
  fail_at(op, index, "gradient", "no range gives finite results");
  return 0;
}

/* Ops that have no gradient (with these attributes), and a word of the reason they give. */
static const char *const without[][3] = {
    {"sign", "", "jumps"},  {"floor", "", "jumps"}, {"ceil", "", "jumps"},   {"trunc", "", "jumps"},
    {"round", "", "jumps"}, {"hardmax", "", "jumps"}, {"bitcast", "", "bits"},
};

static const char *reason_for(const tn_opdef *op, uint32_t index) {
  const char *attrs = op->samples[index].attrs == NULL ? "" : op->samples[index].attrs;
  for (size_t i = 0; i < TN_ARRAY_LEN(without); i++)
    if (strcmp(without[i][0], op->name) == 0 && strstr(attrs, without[i][1]) != NULL) return without[i][2];
  return NULL;
}

static void check_zero(const tn_opdef *op, uint32_t index, const built *it, const sizes *s) {
  tn_tensor *inputs[2 * MAX_VALUES], *outputs[3 * MAX_VALUES];
  uint32_t n = make_inputs(op, it, 3, (range){-2, 2}, inputs);
  if (!run(it, inputs, n, outputs)) fail_at(op, index, "evaluation", first_error(it->ctx));
  for (uint32_t i = s->n_results; i < s->n_results + s->n_gradients; i++)
    for (int64_t k = 0; k < outputs[i]->count; k++) assert_true(outputs[i]->data[k].f == 0);
}

/* The number of derivatives compared; *has_any is set when floats go in and come out. */
static uint32_t check_sample(const tn_opdef *op, uint32_t index, bool *has_any) {
  built it = build_sample(op, index);
  sizes s;
  uint32_t compared = 0;
  if (it.node == NULL) fail_at(op, index, "refused", first_error(it.ctx));
  bool has_floats = false, gives_floats = false;
  for (uint32_t i = 0; i < it.node->n_operands; i++) has_floats |= is_float(it.node->operands[i].value);
  for (uint32_t i = 0; i < it.node->n_results; i++) gives_floats |= is_float(it.node->results[i]);
  *has_any |= has_floats && gives_floats;
  if (has_floats && gives_floats) {
    bool ok = differentiate(&it, &s);
    if (ok && (op->traits & TN_TRAIT_STOPS_GRADIENT) != 0) {
      check_zero(op, index, &it, &s);
      destroy(&it);
      return 0;
    }
    const char *reason = reason_for(op, index);
    if (!ok) {
      if (reason == NULL || strstr(first_error(it.ctx), reason) == NULL)
        fail_at(op, index, "gradient", first_error(it.ctx));
    } else {
      if (reason != NULL) fail_at(op, index, "gradient", "expected a refusal");
      if (!tn_verify_func(it.func)) fail_at(op, index, "verifier", first_error(it.ctx));
      for (int64_t b = 1; b <= 3; b += 2) compared += check_values(op, index, &it, &s, b);
    }
  }
  destroy(&it);
  return compared;
}

/* Ops through which floats go have a gradient, or say why not; those that have one are compared in some sample. */
static void check_record(const tn_opdef *op, bool has_floats, uint32_t compared) {
  if (op->kind == TN_OP_TERMINATOR || op->no_gradient != NULL) return;
  bool has_gradient = op->vjp != NULL || op->expand != NULL;
  if ((has_floats || op->n_regions > 0) && !has_gradient)
    fail_msg("op '%s' has no vjp, no expansion and no reason for having no gradient", op->name);
  if (has_floats && compared == 0 && (op->traits & TN_TRAIT_STOPS_GRADIENT) == 0)
    fail_msg("op '%s': no derivative of any sample was compared", op->name);
}

static void test_samples(void **state) {
  (void)state;
  uint32_t n_ops = 0, compared = 0;
  for (uint32_t i = 0; i < tn_op_count(); i++) {
    const tn_opdef *op = tn_op_at(i);
    uint32_t before = compared;
    bool has_floats = false;
    for (uint32_t k = 0; k < op->n_samples; k++)
      if (op->samples[k].expect != NULL) compared += check_sample(op, k, &has_floats);
    check_record(op, has_floats, compared - before);
    n_ops += compared > before;
  }
  printf("%u derivatives of %u ops\n", compared, n_ops);
  assert_true(n_ops > 60);
}

/* Graphs that no sample can say: regions, values used twice, gradients of gradients. */
static const char *const texts[] = {
    "tnir 1\nfunc @run entry (%h: f64[2,4] \"h\", %x: f64[3,2,4] \"x\", %w: f64[4,4] \"w\") -> (f64[2,4] \"last\", "
    "f64[3,2,4] \"all\") {\n"
    "  %0, %1 = scan %h, %x, %w {n_carried=1, n_seq=1} { ^(%p: f64[2,4], %s: f64[2,4], %v: f64[4,4])\n"
    "    %a = dot %p, %v {sum=[(1, 0)]} : f64[2,4]\n    %b = add %a, %s : f64[2,4]\n    %c = tanh %b : f64[2,4]\n"
    "    %d = mul %c, %p : f64[2,4]\n    yield %c, %d\n  } : f64[2,4], f64[3,2,4]\n  return %0, %1\n}\n",
    "tnir 1\nfunc @run entry (%x: f64[2,5] \"x\", %w: f64[2] \"w\") -> (f64[2] \"last\", f64[2,5] \"all\") {\n"
    "  %0, %1 = scan %w, %x, %w {n_carried=1, n_seq=1, axis=[1,1], reverse=[1,0]} { "
    "^(%p: f64[2], %s: f64[2], %v: f64[2])\n"
    "    %a = mul %p, %s : f64[2]\n    %b = add %a, %v : f64[2]\n    yield %b, %a\n  } : f64[2], f64[2,5]\n"
    "  return %0, %1\n}\n",
    "tnir 1\nfunc @run entry (%x: f64[3] \"x\", %y: f64[3] \"y\") -> (f64[3] \"z\") {\n"
    "  %s = reduce %x {op=sum, axes=[0]} : f64[]\n  %q = sub %s, %s : f64[]\n  %c = eq %s, %s : bool[]\n"
    "  %0 = if %c, %x, %y { ^(%a: f64[3], %b: f64[3])\n    %m = mul %a, %b : f64[3]\n    yield %m\n  } "
    "else { ^(%a: f64[3], %b: f64[3])\n    yield %b\n  } : f64[3]\n  %1 = mul %0, %x : f64[3]\n  return %1\n}\n",
    "tnir 1\nfunc @run entry (%x: f64[3] \"x\", %y: f64[3] \"y\") -> (f64[3] \"z\") {\n"
    "  %s = reduce %x {op=sum, axes=[0]} : f64[]\n  %c = ne %s, %s : bool[]\n"
    "  %0 = if %c, %x, %y { ^(%a: f64[3], %b: f64[3])\n    %m = mul %a, %b : f64[3]\n    yield %m\n  } "
    "else { ^(%a: f64[3], %b: f64[3])\n    %e = exp %b : f64[3]\n    yield %e\n  } : f64[3]\n  return %0\n}\n",
};

/* Weights used twice in an iteration, a bias, a sum over rows, a sequence backwards; the gradients of weights are made
 * behind the loop. Then a row of attention that sees nothing, values in the order of a sort, and dropout. */
static const char *const more_texts[] = {
    "tnir 1\nfunc @run entry (%h: f64[2,3] \"h\", %x: f64[2,4,3] \"x\", %w: f64[3,3] \"w\", %b: f64[3] \"b\") -> "
    "(f64[2,3] \"last\", f64[4,2] \"sums\") {\n"
    "  %0, %1 = scan %h, %x, %w, %b {n_carried=1, n_seq=1, axis=[1,0], reverse=[1,0]} { "
    "^(%p: f64[2,3], %s: f64[2,3], %v: f64[3,3], %c: f64[3])\n"
    "    %d = dot %p, %v {sum=[(1, 1)]} : f64[2,3]\n    %e = broadcast %c {dims=[2, 3], map=[1]} : f64[2,3]\n"
    "    %f = add %d, %e : f64[2,3]\n    %g = add %f, %s : f64[2,3]\n    %i = tanh %g : f64[2,3]\n"
    "    %j = dot %i, %v {sum=[(1, 0)]} : f64[2,3]\n    %k = mul %j, %i : f64[2,3]\n"
    "    %l = reduce %k {op=sum, axes=[1]} : f64[2]\n    yield %k, %l\n  } : f64[2,3], f64[4,2]\n  return %0, %1\n}\n",
    "tnir 1\nconst @m : f64[2,3] = dense [0, -inf, 0.5, -inf, -inf, -inf]\n"
    "func @run entry (%q: f64[1,2,2,4] \"q\", %k: f64[1,1,3,4] \"k\", %v: f64[1,1,3,2] \"v\") -> "
    "(f64[1,2,2,2] \"y\") {\n  %0, %1 = attention %q, %k, %v, @m {scale=0.5} : f64[1,2,2,2], f64[1,2,2,3]\n"
    "  return %0\n}\n",
    "tnir 1\nfunc @run entry (%x: f64[2,4] \"x\") -> (f64[2,3] \"y\") {\n"
    "  %0 = argsort %x {axis=1, descending=true, top=[3]} : i64[2,3]\n"
    "  %1 = iota {dims=[2, 3], axis=0} : i64[2,3]\n  %2 = gather %x, %1, %0 {axes=[0,1]} : f64[2,3]\n"
    "  %3 = mul %2, %2 : f64[2,3]\n  return %3\n}\n",
    ("tnir 1\nconst @s : u64[3] = dense [1, 2, 3]\nfunc @run entry (%x: f64[3,4] \"x\") -> (f64[3,4] \"y\") {\n"
     "  %0 = mul %x, %x : f64[3,4]\n  %1 = dropout %0, @s {p=0.5, stream=1} : f64[3,4]\n  return %1\n}\n"),
};

/* The function of a text as if its return were one node with the parameters as operands. */
typedef struct from_text {
  built it;
  uint32_t n_inputs, n_results;
} from_text;

static from_text parse(const char *text) {
  from_text out = {.it.ctx = tn_ctx_create((tn_oom){0})};
  out.it.module = tn_text_parse(out.it.ctx, "gradient.tnir", text, strlen(text));
  if (out.it.module == NULL) fail_msg("%s", first_error(out.it.ctx));
  out.it.func = out.it.module->funcs.data[0];
  out.n_inputs = (uint32_t)out.it.func->body->params.n;
  out.n_results = out.it.func->body->last->n_operands;
  return out;
}

/* (inputs.., weights..) -> (results.., gradients..), once more differentiated when twice: then the results are the
 * first gradients. */
static void differentiate_text(from_text *t, bool twice) {
  tn_block *body = t->it.func->body;
  tn_value *ys[MAX_VALUES], *xs[MAX_VALUES], *weights[MAX_VALUES], *all[2 * MAX_VALUES];
  uint32_t n_ys = t->n_results;
  for (uint32_t i = 0; i < n_ys; i++) ys[i] = body->last->operands[i].value;
  for (uint32_t i = 0; i < t->n_inputs; i++) xs[i] = body->params.data[i];
  tn_node_remove(body->last);
  tn_build b = tn_build_at_end(body);
  for (int round = 0; round <= twice; round++) {
    for (uint32_t i = 0; i < n_ys; i++) weights[i] = tn_block_add_param(body, ys[i]->type, "");
    if (!tn_gradient(&b, ys, weights, n_ys, xs, t->n_inputs, all + n_ys)) fail_msg("%s", first_error(t->it.ctx));
    for (uint32_t i = 0; i < n_ys; i++) all[i] = ys[i];
    if (round == twice) break;
    for (uint32_t i = 0; i < t->n_inputs; i++) ys[i] = all[n_ys + i];
    n_ys = t->n_inputs;
  }
  t->n_results = n_ys;
  tn_build_return(&b, all, n_ys + t->n_inputs);
  t->it.func->result_names.n = 0;
  for (uint32_t i = 0; i < n_ys + t->n_inputs; i++)
    TN_VEC_PUSH(t->it.module->arena, &t->it.func->result_names, tn_namef(t->it.ctx, "y%u", i));
  if (!tn_verify_func(t->it.func)) fail_msg("%s", first_error(t->it.ctx));
}

static double value_of(const from_text *t, tn_tensor **inputs, uint32_t first_weight, tn_tensor **outputs) {
  double total = 0;
  if (!run(&t->it, inputs, (uint32_t)t->it.func->body->params.n, outputs)) fail_msg("%s", first_error(t->it.ctx));
  for (uint32_t i = 0; i < t->n_results; i++)
    for (int64_t k = 0; k < outputs[i]->count; k++)
      total += outputs[i]->data[k].f * inputs[first_weight + i]->data[k].f;
  return total;
}

/* probes: at most so many elements of each input are moved. */
static void check_text(const char *text, bool twice, int64_t probes) {
  from_text t = parse(text);
  uint64_t seed = 5;
  tn_tensor *inputs[4 * MAX_VALUES], *outputs[2 * MAX_VALUES], *moved[2 * MAX_VALUES];
  differentiate_text(&t, twice);
  uint32_t n = (uint32_t)t.it.func->body->params.n;
  for (uint32_t i = 0; i < n; i++) {
    const tn_type *type = t.it.func->body->params.data[i]->type;
    int64_t extents[TN_MAX_NDIM];
    for (uint32_t k = 0; k < type->ndim; k++) extents[k] = tn_dim_value(type->dims[k]);
    inputs[i] = tn_tensor_create(t.it.ctx->arena, type->dtype, type->ndim, extents);
    fill(inputs[i], (range){0.2, 0.9}, false, inputs[i], &seed);
  }
  value_of(&t, inputs, n - t.n_results, outputs);
  for (uint32_t i = 0; i < t.n_inputs; i++)
    for (int64_t k = 0; k < inputs[i]->count; k += inputs[i]->count / probes + 1) {
      double was = inputs[i]->data[k].f, h = 1e-5, side[2];
      for (int sign = 0; sign < 2; sign++) {
        inputs[i]->data[k].f = was + (sign == 0 ? h : -h);
        side[sign] = value_of(&t, inputs, n - t.n_results, moved);
      }
      inputs[i]->data[k].f = was;
      double expected = (side[0] - side[1]) / (2 * h), found = outputs[t.n_results + i]->data[k].f;
      if (!(fabs(expected - found) <= 1e-6 + 1e-5 * fabs(expected)))
        fail_msg("%s\ninput %u, element %lld: differences give %.9g, the gradient is %.9g", text, i, (long long)k,
                 expected, found);
    }
  destroy(&t.it);
}

static void test_regions(void **state) {
  (void)state;
  for (size_t i = 0; i < TN_ARRAY_LEN(texts); i++)
    for (int twice = 0; twice < 2; twice++) check_text(texts[i], twice != 0, 1000);
  for (size_t i = 0; i < TN_ARRAY_LEN(more_texts); i++)
    for (int twice = 0; twice < 2; twice++) check_text(more_texts[i], twice != 0, 1000);
}

static uint32_t count_used(const tn_block *block, const tn_opdef *op) {
  uint32_t n = 0;
  for (const tn_node *node = block->first; node != NULL; node = node->next) {
    for (uint32_t i = 0; i < node->n_regions; i++) n += count_used(node->regions[i], op);
    n += node->op == op && node->results[0]->n_uses > 0;
  }
  return n;
}

/* A gate: what the iterations' costly functions gave is kept, so that the way back computes none of them, nor the
 * product, anew. */
static void test_kept(void **state) {
  (void)state;
  static const char text[] =
      "tnir 1\nfunc @run entry (%h: f64[2,4] \"h\", %x: f64[3,2,4] \"x\", %w: f64[4,4] \"w\") -> "
      "(f64[2,4] \"last\") {\n  %0 = scan %h, %x, %w {n_carried=1, n_seq=1} { "
      "^(%p: f64[2,4], %s: f64[2,4], %v: f64[4,4])\n"
      "    %a = dot %p, %v {sum=[(1, 0)]} : f64[2,4]\n    %b = add %a, %s : f64[2,4]\n    %c = tanh %b : f64[2,4]\n"
      "    %d = sigmoid %b : f64[2,4]\n    %e = exp %d : f64[2,4]\n    %f = mul %c, %e : f64[2,4]\n    yield %f\n"
      "  } : f64[2,4]\n  return %0\n}\n";
  const char *const names[] = {"tanh", "sigmoid", "exp"};
  from_text t = parse(text);
  differentiate_text(&t, false);
  for (size_t i = 0; i < TN_ARRAY_LEN(names); i++)
    assert_int_equal(count_used(t.it.func->body, tn_op_find(names[i])), 1);
  destroy(&t.it);
  for (int twice = 0; twice < 2; twice++) check_text(text, twice != 0, 1000);
}

/* A convolution over so many images that its weights' gradient sums them in blocks. */
static void test_blocks(void **state) {
  (void)state;
  check_text("tnir 1\nfunc @run entry (%x: f64[6,4,80,80] \"x\", %w: f64[6,2,3,2] \"w\") -> (f64[6,6] \"y\") {\n"
             "  %0 = conv %x, %w {stride=[2, 1], dilate=[1, 2], lo=[1, 0], hi=[0, 1], groups=2} : "
             "f64[6,6,40,79]\n"
             "  %1 = mul %0, %0 : f64[6,6,40,79]\n  %2 = reduce %1 {op=sum, axes=[2,3]} : f64[6,6]\n  return %2\n}\n",
             false, 12);
}

/* All nodes without a gradient are named in one call. */
static void test_all_reported(void **state) {
  (void)state;
  from_text t = parse("tnir 1\nfunc @run entry (%x: f64[3] \"x\") -> (f64[3] \"z\") {\n  %0 = floor %x : f64[3]\n"
                      "  %1 = round %x : f64[3]\n  %2 = add %0, %1 : f64[3]\n  return %2\n}\n");
  tn_block *body = t.it.func->body;
  tn_value *y = body->last->operands[0].value, *x = body->params.data[0], *dx, *none = NULL;
  tn_build b = tn_build_before(body->last);
  assert_false(tn_gradient(&b, &y, &none, 1, &x, 1, &dx));
  assert_int_equal(tn_diag_n_errors(t.it.ctx), 2);
  assert_int_equal(t.it.ctx->diags.data[0].code, TN_E_GRADIENT);
  destroy(&t.it);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_samples), cmocka_unit_test(test_regions),
                                     cmocka_unit_test(test_kept), cmocka_unit_test(test_blocks),
                                     cmocka_unit_test(test_all_reported)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
