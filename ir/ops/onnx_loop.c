/* Import of ONNX' Loop: a scan over the numbers of its runs when these are known before it runs, else a loop. */
#include "ir/ops/control.h"
#include "ir/primitives.h"

/* True when the condition always holds: that of the node and what the body gives. */
static bool runs_to_the_end(const tn_loop_import *l) {
  const tn_value *given = l->body->last->operands[0].value;
  tn_const *first = tn_value_const(l->condition), *next = tn_value_const(given);
  tn_arena *arena = l->node->build->module->arena;
  bool starts = !l->condition || (first && *(const unsigned char *)tn_const_read(first, arena) != 0);
  if (!starts) return false;
  while (given->def && given->def->op->traits & TN_TRAIT_SHAPE_ONLY && given->def->n_operands == 1)
    given = given->def->operands[0].value;
  next = tn_value_const(given);
  return given == l->body->params.data[1] || (next && *(const unsigned char *)tn_const_read(next, arena) != 0);
}

/* Numbers above it come without a bound that a model means. */
#define MANY_RUNS 1024

const tn_dim *tn_loop_trip(tn_loop_import *l) {
  tn_build *b = l->node->build;
  const tn_dim *dims[TN_MAX_INDEX];
  uint32_t n;
  if (l->runs || !l->trip) return l->runs;
  if (l->trip->index && l->trip->n_index == 1)
    return l->runs = tn_dim_max(b->ctx, l->trip->index[0], tn_dim_const(b->ctx, 0));
  tn_value *trip = tn_build_binary_f(b, TN_MAX, tn_control_scalar(b, l->trip), 0);
  return l->runs = tn_build_read_dims(b, trip, 0, TN_DIM_INF, dims, &n) ? dims[0] : NULL;
}

/* value with the extents of like, which are guarded: what is carried has the same at every run. */
static tn_value *with_extents(tn_build *b, tn_value *value, const tn_value *like, uint32_t number) {
  if (!value || value->type == like->type) return value;
  if (value->type->ndim != like->type->ndim || value->type->dtype != like->type->dtype) {
    tn_buf found = tn_buf_create(b->ctx->arena), expected = tn_buf_create(b->ctx->arena);
    tn_type_print(value->type, &found);
    tn_type_print(like->type, &expected);
    tn_error(b->ctx, tn_loc_current(b->ctx), value->type->ndim != like->type->ndim ? TN_E_RANK : TN_E_DTYPE,
             "'Loop': carried value %u: expected %s, found %s", number, expected.data, found.data);
    return NULL;
  }
  for (uint32_t i = 0; i < value->type->ndim; i++)
    if (!tn_func_require_eq(b->func, value->type->dims[i], like->type->dims[i], tn_loc_current(b->ctx),
                            "'Loop': carried value %u, axis %u", number, i))
      return NULL;
  return tn_build_reshape(b, value, like->type->dims, like->type->ndim);
}

/* Gives the carried ones of the body's outputs (behind the condition) their extents, also where they are stacked. */
static bool keep_extents(const tn_loop_import *l) {
  tn_node *last = l->body->last;
  tn_build b = tn_build_at_end(l->body);
  b.before = last;
  for (uint32_t i = 1; i <= l->n_carried; i++) {
    tn_value *old = last->operands[i].value;
    tn_value *kept = with_extents(&b, old, l->body->params.data[1 + i], i - 1);
    if (!kept) return false;
    for (uint32_t k = 1; k < last->n_operands && kept != old; k++)
      if (last->operands[k].value == old) tn_node_set_operand(last, k, kept);
  }
  return true;
}

/* The body with args as its parameters; out: what it yields. */
static void use_body(const tn_loop_import *l, tn_build *in, tn_value *const *args, tn_value **out) {
  tn_node *last = tn_block_splice(in->block, NULL, l->body, args);
  for (uint32_t i = 0; i < last->n_operands; i++) out[i] = last->operands[i].value;
  tn_node_remove(last);
}

/* The body's parameters: the number of the run, a condition that holds, carried values, captures. */
static tn_value **body_args(const tn_loop_import *l, tn_build *in, tn_value *number, tn_value *const *carried,
                            tn_value *const *captures) {
  tn_value **args = TN_NEW_N(in->module->arena, tn_value *, l->body->params.n);
  args[0] = number;
  args[1] = tn_build_splat_i(in, TN_BOOL, 1);
  for (uint32_t i = 0; i < l->n_carried; i++) args[2 + i] = carried[i];
  for (uint32_t i = 0; i < l->about.n_captures; i++) args[2 + l->n_carried + i] = captures[i];
  return args;
}

/* A loop of a known number of runs: a scan over their numbers. */
static bool build_counted(tn_loop_import *l, const tn_dim *trip) {
  tn_build *b = l->node->build;
  uint32_t n_yields = l->body->last->n_operands;
  tn_value *numbers = tn_build_iota(b, &trip, 1, 0, TN_I64);
  tn_build_scan scan = {.carried = l->carried, .sequences = &numbers, .fixed = l->about.captures,
                        .n_carried = l->n_carried, .n_sequences = 1, .n_fixed = l->about.n_captures,
                        .n_stacked = n_yields - 1 - l->n_carried};
  tn_node *made = tn_build_begin_scan(b, &scan);
  if (!made) return false;
  tn_build in = tn_build_region(made, 0);
  tn_value **params = in.block->params.data, **yields = TN_NEW_N(b->module->arena, tn_value *, n_yields);
  tn_value **args = body_args(l, &in, params[l->n_carried], params, params + l->n_carried + 1);
  use_body(l, &in, args, yields);
  tn_build_return(&in, yields + 1, n_yields - 1);
  if (!tn_build_end(made)) return false;
  l->results = made->results;
  return true;
}

static tn_value *less(tn_build *b, tn_value *x, tn_value *y) { return tn_build_binary(b, TN_LT, x, y); }

/* The general form: the number of the run is carried, and compared with the trip count when there is one. Operands:
 * condition; number, carried; captures, trip count. Results: the number of runs, and what is carried; nothing is
 * stacked. */
static tn_node *build_conditional(tn_loop_import *l) {
  tn_build *b = l->node->build;
  uint32_t n_captures = l->about.n_captures, n = 2 + l->n_carried + n_captures + (l->trip != NULL);
  tn_value **operands = TN_NEW_N(b->module->arena, tn_value *, n), *trip = tn_control_scalar(b, l->trip);
  tn_value *zero = tn_build_splat_i(b, TN_I64, 0), *condition = tn_control_scalar(b, l->condition);
  if (!condition) condition = tn_build_splat_i(b, TN_BOOL, 1);
  operands[0] = trip ? tn_build_binary(b, TN_AND, condition, less(b, zero, trip)) : condition;
  operands[1] = zero;
  for (uint32_t i = 0; i < l->n_carried; i++) operands[2 + i] = l->carried[i];
  for (uint32_t i = 0; i < n_captures; i++) operands[2 + l->n_carried + i] = l->about.captures[i];
  if (trip) operands[n - 1] = trip;
  tn_attr attr = tn_attr_int(1 + l->n_carried);
  tn_node *made = tn_build_begin(b, &tn_op_loop, operands, n, &attr);
  if (!made) return NULL;
  tn_build in = tn_build_region(made, 0);
  tn_value **params = in.block->params.data, *number, *goes_on;
  tn_value **yields = TN_NEW_N(b->module->arena, tn_value *, 1 + l->body->last->n_operands);
  tn_value **args = body_args(l, &in, params[0], params + 1, params + 1 + l->n_carried);
  use_body(l, &in, args, yields + 1);
  goes_on = tn_control_scalar(&in, yields[1]);
  number = tn_build_binary(&in, TN_ADD, params[0], tn_build_splat_i(&in, TN_I64, 1));
  if (trip) goes_on = tn_build_binary(&in, TN_AND, goes_on, less(&in, number, params[n - 2]));
  if (!goes_on || !number) return NULL;
  yields[0] = goes_on;
  yields[1] = number;
  tn_build_return(&in, yields, 2 + l->n_carried);
  return tn_build_end(made) ? made : NULL;
}

/* One iteration in a region of an if: the body while the condition holds, else what was carried, and zeros to stack.
 * params: whether it holds, how often it did, carried.., the number, captures.. */
static bool build_guarded(tn_loop_import *l, tn_build *in, tn_value *const *params) {
  uint32_t n = l->n_carried, n_captures = l->about.n_captures, n_yields = l->body->last->n_operands;
  tn_arena *arena = in->module->arena;
  tn_value **operands = TN_NEW_N(arena, tn_value *, 2 + n + n_captures), **yields, **others;
  operands[0] = params[0];
  operands[1] = params[2 + n];
  for (uint32_t i = 0; i < n; i++) operands[2 + i] = params[2 + i];
  for (uint32_t i = 0; i < n_captures; i++) operands[2 + n + i] = params[3 + n + i];
  tn_node *made = tn_build_begin(in, &tn_op_if, operands, 2 + n + n_captures, NULL);
  if (!made) return false;
  tn_build yes = tn_build_region(made, 0), no = tn_build_region(made, 1);
  tn_value **inner = yes.block->params.data;
  yields = TN_NEW_N(arena, tn_value *, n_yields + 1);
  others = TN_NEW_N(arena, tn_value *, n_yields);
  use_body(l, &yes, body_args(l, &yes, inner[0], inner + 1, inner + 1 + n), yields);
  yields[0] = tn_control_scalar(&yes, yields[0]);
  others[0] = tn_build_splat_i(&no, TN_BOOL, 0);
  for (uint32_t i = 1; i < n_yields; i++)
    others[i] = i <= n ? no.block->params.data[i]
                       : tn_build_broadcast_map(&no, tn_build_splat_i(&no, yields[i]->type->dtype, 0),
                                                yields[i]->type->dims, yields[i]->type->ndim, NULL);
  for (uint32_t i = 0; i < n_yields; i++)
    if (!yields[i] || !others[i]) return false;
  tn_build_return(&yes, yields, n_yields);
  tn_build_return(&no, others, n_yields);
  if (!tn_build_end(made)) return false;
  yields[0] = made->results[0];
  yields[1] = tn_build_binary(in, TN_ADD, params[1], tn_build_cast(in, params[0], TN_I64));
  for (uint32_t i = 1; i < n_yields; i++) yields[1 + i] = made->results[i];
  if (!yields[1]) return false;
  tn_build_return(in, yields, n_yields + 1);
  return true;
}

/* A loop that stacks what it gives, as often as its condition holds: a scan over all its numbers, in which the body is
 * a branch; what it stacked is cut to the number of times it ran. */
static bool build_stacked(tn_loop_import *l, const tn_dim *trip) {
  tn_build *b = l->node->build;
  uint32_t n = l->n_carried, n_stacked = l->body->last->n_operands - 1 - n;
  tn_value *numbers = tn_build_iota(b, &trip, 1, 0, TN_I64);
  tn_value **carried = TN_NEW_N(b->module->arena, tn_value *, 2 + n + n_stacked);
  carried[0] = l->condition ? tn_control_scalar(b, l->condition) : tn_build_splat_i(b, TN_BOOL, 1);
  carried[1] = tn_build_splat_i(b, TN_I64, 0);
  for (uint32_t i = 0; i < n; i++) carried[2 + i] = l->carried[i];
  tn_build_scan scan = {.carried = carried, .sequences = &numbers, .fixed = l->about.captures, .n_carried = 2 + n,
                        .n_sequences = 1, .n_fixed = l->about.n_captures, .n_stacked = n_stacked};
  tn_node *made = tn_build_begin_scan(b, &scan);
  if (!made) return false;
  tn_build in = tn_build_region(made, 0);
  if (!build_guarded(l, &in, in.block->params.data) || !tn_build_end(made)) return false;
  const tn_dim *count = n_stacked > 0 ? tn_build_read_count(b, made->results[1], trip) : trip;
  for (uint32_t i = 0; i < n + n_stacked; i++) carried[i] = made->results[2 + i];
  for (uint32_t i = n; count && i < n + n_stacked; i++)
    if (!(carried[i] = tn_build_slice_axis(b, carried[i], 0, tn_dim_const(b->ctx, 0), count, 1))) return false;
  l->results = carried;
  return count != NULL;
}

/* A loop that stacks and whose end only its condition tells: it runs once to count its runs, and again as often. */
static bool build_counted_before(tn_loop_import *l) {
  tn_build *b = l->node->build;
  const tn_dim *count;
  uint32_t n;
  tn_node *first = build_conditional(l);
  return first && tn_loop_body_again(l) && keep_extents(l) &&
         tn_build_read_dims(b, first->results[0], 0, TN_DIM_INF, &count, &n) && build_counted(l, count);
}

/* Where the condition says how often the body runs, the trip count takes its place; true then. Without stacked values
 * only for numbers that are known before running: the general form needs none. */
static bool count_by_condition(tn_loop_import *l, bool stacks) {
  tn_build *b = l->node->build;
  tn_loop_count count = {.b = b, .body = l->body, .n_carried = l->n_carried, .carried = l->carried,
                         .captures = l->about.captures, .condition = l->condition};
  tn_value *runs = tn_loop_count_runs(&count);
  if (runs && l->trip) runs = tn_build_binary(b, TN_MIN, runs, tn_control_scalar(b, l->trip));
  if (!runs || (!stacks && !runs->index)) return false;
  l->trip = runs;
  return true;
}

static bool build_loop(tn_loop_import *l) {
  bool stacks = l->body->last->n_operands > 1 + l->n_carried, to_the_end = l->is_counted || runs_to_the_end(l);
  bool is_known = l->trip && l->trip->index;
  if (!stacks && !(is_known && to_the_end)) {
    tn_node *made = build_conditional(l);
    if (made) l->results = made->results + 1;
    return made != NULL;
  }
  if (!to_the_end && !(is_known && l->trip->index[0]->hi <= MANY_RUNS)) return build_counted_before(l);
  if (!l->trip) return tn_foreign_unsupported(l->node, "neither a trip count nor a condition that ends it");
  const tn_dim *trip = tn_loop_trip(l);
  return trip && (to_the_end ? build_counted(l, trip) : build_stacked(l, trip));
}

bool tn_import_loop(tn_foreign_node *node) {
  tn_build *b = node->build;
  uint32_t n = node->n_inputs > 2 ? node->n_inputs - 2 : 0;
  tn_loop_import l = {.node = node, .trip = tn_foreign_input(node, 0), .n_carried = n};
  if (!tn_control_condition(node, 1, &l.condition) || !tn_control_graph(node, "body", &l.graph) ||
      !node->describe_graph(node, l.graph, &l.about))
    return false;
  if (l.about.n_inputs != 2 + n || l.about.n_outputs < 1 + n)
    return tn_foreign_error(node, TN_E_ARITY, "%u carried values, and a body of %u inputs and %u outputs", n,
                            l.about.n_inputs, l.about.n_outputs);
  tn_value **inputs = TN_NEW_N(b->module->arena, tn_value *, l.about.n_inputs);
  inputs[0] = tn_build_splat_i(b, TN_I64, 0);
  inputs[1] = tn_build_splat_i(b, TN_BOOL, 1);
  for (uint32_t i = 0; i < n; i++)
    if (!(inputs[2 + i] = tn_foreign_need(node, 2 + i))) return false;
  if (l.trip && l.trip->type->dtype != TN_I64)
    return tn_foreign_error(node, TN_E_DTYPE, "input 0: expected i64, found %s", tn_dtype_name(l.trip->type->dtype));
  l.inputs = inputs;
  l.carried = inputs + 2;
  l.n_guards = tn_func_guards_here(b->func)->n;
  l.body = tn_control_body(node, l.graph, &l.about, NULL, inputs);
  if (!l.body) return false;
  l.is_counted = !runs_to_the_end(&l) && count_by_condition(&l, l.about.n_outputs > 1 + n);
  return tn_loop_grow(&l) && keep_extents(&l) && build_loop(&l) && tn_loop_cut(&l) &&
         tn_control_outputs(node, l.results, l.about.n_outputs - 1);
}
