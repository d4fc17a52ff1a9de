/* Import of ONNX' If and Scan, and what they share with Loop. What bodies use of the graphs around them becomes
 * operands. */
#include <string.h>

#include "ir/ops/control.h"
#include "ir/primitives.h"

bool tn_control_graph(tn_foreign_node *node, const char *name, void **out) {
  const tn_foreign_attr *attr = tn_foreign_find(node, name);
  if (!attr || attr->kind != TN_FOREIGN_GRAPH)
    return tn_foreign_error(node, TN_E_ATTR, "needs the graph '%s'", name);
  *out = attr->graph;
  return true;
}

bool tn_control_condition(tn_foreign_node *node, uint32_t index, tn_value **out) {
  *out = tn_foreign_input(node, index);
  return *out == NULL || (*out)->type->dtype == TN_BOOL ||
         tn_foreign_error(node, TN_E_DTYPE, "the condition, input %u: expected bool, found %s", index,
                          tn_dtype_name((*out)->type->dtype));
}

tn_value *tn_control_scalar(tn_build *b, tn_value *x) {
  return x && x->type->ndim > 0 ? tn_build_reshape(b, x, NULL, 0) : x;
}

tn_block *tn_control_body(tn_foreign_node *node, void *graph, const tn_foreign_graph *about, tn_node *owner,
                          tn_value *const *inputs) {
  tn_block *block = tn_block_create(node->build->func, owner);
  for (uint32_t i = 0; i < about->n_inputs + about->n_captures; i++) {
    const tn_value *like = i < about->n_inputs ? inputs[i] : about->captures[i - about->n_inputs];
    if (!like) return NULL;
    tn_value *param = tn_block_add_param(block, like->type, "");
    if (i < about->n_inputs) continue;
    param->index = like->index;
    param->n_index = like->n_index;
  }
  tn_block *around = tn_func_enter(block->func, block);
  bool ok = node->import_graph(node, graph, block) && block->last;
  tn_func_leave(block->func, around);
  return ok ? block : NULL;
}

bool tn_control_outputs(tn_foreign_node *node, tn_value *const *values, uint32_t n) {
  if (node->n_outputs > n)
    return tn_foreign_error(node, TN_E_ARITY, "the body has %u outputs, the node %u", n, node->n_outputs);
  for (uint32_t i = 0; i < node->n_outputs; i++) node->outputs[i] = values[i];
  return true;
}

/* If. */

/* The nodes of block where node stands; out: its results, as many as it has. */
static void splice(tn_foreign_node *node, tn_block *block, tn_value *const *args, tn_value **out) {
  tn_node *last = tn_block_splice(node->build->block, node->build->before, block, args);
  for (uint32_t i = 0; i < last->n_operands; i++) out[i] = last->operands[i].value;
  tn_node_remove(last);
}

bool tn_foreign_inline(tn_foreign_node *node, void *graph, tn_value *const *inputs, uint32_t n, tn_value **out,
                       uint32_t n_out) {
  tn_foreign_graph about;
  if (!node->describe_graph(node, graph, &about)) return false;
  if (about.n_inputs != n || about.n_outputs != n_out)
    return tn_foreign_error(node, TN_E_ARITY, "expected a graph of %u inputs and %u outputs, found %u and %u", n, n_out,
                            about.n_inputs, about.n_outputs);
  tn_block *block = tn_control_body(node, graph, &about, NULL, inputs);
  if (!block) return false;
  tn_value **args = TN_NEW_N(node->build->module->arena, tn_value *, n + about.n_captures);
  for (uint32_t i = 0; i < n; i++) args[i] = inputs[i];
  for (uint32_t i = 0; i < about.n_captures; i++) args[n + i] = about.captures[i];
  splice(node, block, args, out);
  return true;
}

/* The nodes of one branch where the If stands: the other may not even have the same rank. */
static bool splice_branch(tn_foreign_node *node, tn_block *block, const tn_foreign_graph *about) {
  uint32_t n = block->last->n_operands;
  tn_value **values = TN_NEW_N(node->build->module->arena, tn_value *, n);
  splice(node, block, about->captures, values);
  return tn_control_outputs(node, values, n);
}

static bool inline_branch(tn_foreign_node *node, void *graph) {
  tn_foreign_graph about;
  if (!node->describe_graph(node, graph, &about)) return false;
  if (about.n_inputs > 0) return tn_foreign_error(node, TN_E_ARITY, "a branch has inputs");
  tn_block *block = tn_control_body(node, graph, &about, NULL, NULL);
  return block && splice_branch(node, block, &about);
}

/* A branch as region number `region` of made, whose operands from 1 + first on are the branch's captures. */
static void set_branch(tn_node *made, uint32_t region, tn_block *block, uint32_t first) {
  tn_build in = tn_build_region(made, region);
  tn_block_splice(in.block, NULL, block, in.block->params.data + first);
}

/* Whether some output has another rank in each branch, which no value can have. */
static bool ranks_differ(const tn_block *yes, const tn_block *no) {
  for (uint32_t i = 0; i < yes->last->n_operands && i < no->last->n_operands; i++)
    if (yes->last->operands[i].value->type->ndim != no->last->operands[i].value->type->ndim) return true;
  return false;
}

/* The extents that a condition compares for equality; false when it does anything else. */
static bool compares_extents(const tn_value *condition, const tn_dim **p, const tn_dim **q) {
  const tn_node *node = condition->def;
  while (node && node->op->traits & TN_TRAIT_SHAPE_ONLY && node->n_operands == 1) node = node->operands[0].value->def;
  if (!node || node->op != tn_op_of_scalar(TN_EQ)) return false;
  const tn_value *x = node->operands[0].value, *y = node->operands[1].value;
  if (x->n_index != 1 || y->n_index != 1) return false;
  *p = x->index[0];
  *q = y->index[0];
  return true;
}

/* The branches in blocks of their own; with *out_is_equal the result's rank depends on whether the extents are equal
 * that the condition compares (a squeeze of PyTorch's, written as "where the extent is 1"). No value has two ranks, so
 * the model is compiled for equal ones; a guard refuses others. */
static bool import_branches(tn_foreign_node *node, void *const *graphs, const tn_foreign_graph *about, tn_node *made,
                            tn_block **blocks, bool *out_is_equal) {
  const tn_dim *p, *q;
  blocks[0] = tn_control_body(node, graphs[0], &about[0], made, NULL);
  blocks[1] = tn_control_body(node, graphs[1], &about[1], made, NULL);
  if (!blocks[0] || !blocks[1]) return false;
  *out_is_equal = ranks_differ(blocks[0], blocks[1]) && compares_extents(node->inputs[0], &p, &q);
  if (!*out_is_equal) return true;
  return tn_func_require_eq(node->build->func, p, q, node->loc,
                            "the condition of If, whose branches give different ranks");
}

bool tn_import_if(tn_foreign_node *node) {
  static const char *const names[] = {"then_branch", "else_branch"};
  tn_build *b = node->build;
  tn_foreign_graph about[2];
  void *graphs[2];
  const int64_t *known;
  uint32_t n_known, n = 1;
  bool is_known;
  tn_value *condition = tn_foreign_need(node, 0);
  if (!condition || !tn_control_condition(node, 0, &condition) ||
      !tn_control_graph(node, names[0], &graphs[0]) || !tn_control_graph(node, names[1], &graphs[1]) ||
      !tn_foreign_const_ints(node, 0, &known, &n_known, &is_known))
    return false;
  if (is_known && n_known == 1) return inline_branch(node, graphs[known[0] != 0 ? 0 : 1]);
  for (int i = 0; i < 2; i++) {
    if (!node->describe_graph(node, graphs[i], &about[i])) return false;
    if (about[i].n_inputs > 0) return tn_foreign_error(node, TN_E_ARITY, "%s has inputs", names[i]);
    n += about[i].n_captures;
  }
  tn_value **operands = TN_NEW_N(b->module->arena, tn_value *, n);
  operands[0] = tn_control_scalar(b, condition);
  for (uint32_t i = 0; i < about[0].n_captures; i++) operands[1 + i] = about[0].captures[i];
  for (uint32_t i = 0; i < about[1].n_captures; i++) operands[1 + about[0].n_captures + i] = about[1].captures[i];
  tn_node *made = tn_build_begin(b, &tn_op_if, operands, n, NULL);
  tn_block *blocks[2];
  bool is_equal;
  if (!made || !import_branches(node, graphs, about, made, blocks, &is_equal)) return false;
  if (is_equal) {
    tn_node_remove(made);
    return splice_branch(node, blocks[0], &about[0]);
  }
  set_branch(made, 0, blocks[0], 0);
  set_branch(made, 1, blocks[1], about[0].n_captures);
  tn_value **results = TN_NEW_N(b->module->arena, tn_value *, about[0].n_outputs + 1);
  return tn_join_branches(node, made, results) && tn_control_outputs(node, results, about[0].n_outputs);
}

/* Scan, from opset 9 on. */

static bool list_of(tn_foreign_node *node, const char *name, uint32_t n, const int64_t **out) {
  uint32_t found;
  static const int64_t zeros[TN_MAX_RESULTS];
  if (!tn_foreign_ints(node, name, out, &found)) return false;
  if (!*out || found == 0) *out = zeros;
  return found == 0 || found == n ||
         tn_foreign_error(node, TN_E_ATTR, "%s: expected %u elements, found %u", name, n, found);
}

/* How a Scan's operands and results are counted, and its lists. */
typedef struct scan_import {
  tn_foreign_node *node;
  uint32_t carried, seq, stacked;
  const int64_t *in_axes, *out_axes, *in_reverse, *out_reverse;
  int64_t axes[2 * TN_MAX_RESULTS], reverse[2 * TN_MAX_RESULTS]; /* sequences, then stacked results */
} scan_import;

static bool read_lists(scan_import *s) {
  if (!list_of(s->node, "scan_input_axes", s->seq, &s->in_axes) ||
      !list_of(s->node, "scan_output_axes", s->stacked, &s->out_axes) ||
      !list_of(s->node, "scan_input_directions", s->seq, &s->in_reverse) ||
      !list_of(s->node, "scan_output_directions", s->stacked, &s->out_reverse))
    return false;
  for (uint32_t i = 0; i < s->seq + s->stacked; i++) {
    s->reverse[i] = i < s->seq ? s->in_reverse[i] : s->out_reverse[i - s->seq];
    uint32_t axis;
    if (i >= s->seq) continue;
    const tn_value *sequence = tn_foreign_need(s->node, s->carried + i);
    if (!sequence || !tn_build_axis(s->node->build, s->in_axes[i], sequence->type->ndim, "scan_input_axes", &axis))
      return false;
    s->axes[i] = axis;
  }
  return true;
}

/* The axes of results are counted against ranks that the body's import has given. */
static bool read_result_axes(scan_import *s, tn_node *made) {
  const tn_node *last = made->regions[0]->last;
  for (uint32_t k = 0; last && k < s->stacked && s->carried + k < last->n_operands; k++) {
    uint32_t axis, ndim = last->operands[s->carried + k].value->type->ndim + 1;
    if (!tn_build_axis(s->node->build, s->out_axes[k], ndim, "scan_output_axes", &axis)) return false;
    s->axes[s->seq + k] = axis;
  }
  made->attrs[tn_op_attr_index(made->op, "axis")] =
      tn_attr_ints(s->node->build->module, s->axes, s->seq + s->stacked);
  return last != NULL;
}

bool tn_import_scan(tn_foreign_node *node) {
  tn_foreign_graph about;
  void *graph = NULL;
  int64_t n_seq;
  if (!tn_control_graph(node, "body", &graph) || !node->describe_graph(node, graph, &about) ||
      !tn_foreign_int(node, "num_scan_inputs", 0, &n_seq))
    return false;
  if (n_seq < 1 || n_seq > node->n_inputs || about.n_inputs != node->n_inputs || about.n_inputs > TN_MAX_RESULTS ||
      about.n_outputs > TN_MAX_RESULTS || about.n_outputs + n_seq < about.n_inputs)
    return tn_foreign_error(node, TN_E_ARITY, "%lld of %u inputs are sequences, the body has %u inputs and %u outputs",
                            (long long)n_seq, node->n_inputs, about.n_inputs, about.n_outputs);
  scan_import s = {.node = node, .seq = (uint32_t)n_seq, .carried = node->n_inputs - (uint32_t)n_seq};
  s.stacked = about.n_outputs - s.carried;
  if (!read_lists(&s)) return false;
  tn_build_scan scan = {.carried = node->inputs, .sequences = node->inputs + s.carried, .fixed = about.captures,
                        .n_carried = s.carried, .n_sequences = s.seq, .n_fixed = about.n_captures,
                        .n_stacked = s.stacked, .axes = s.axes, .reverse = s.reverse};
  tn_node *made = tn_build_begin_scan(node->build, &scan);
  return made && node->import_graph(node, graph, made->regions[0]) && read_result_axes(&s, made) &&
         tn_build_end(made) && tn_control_outputs(node, made->results, made->n_results);
}

/* Scan of opset 8: axis 0 of states and sequences is a batch, each element of which is scanned along axis 1. So two
 * scans: the outer one goes along the batch, takes states as sequences and stacks all results. */
bool tn_import_scan_8(tn_foreign_node *node) {
  tn_foreign_graph about;
  void *graph = NULL;
  int64_t n_seq;
  const int64_t *reverse;
  int64_t directions[2 * TN_MAX_RESULTS] = {0};
  if (!tn_control_graph(node, "body", &graph) || !node->describe_graph(node, graph, &about) ||
      !tn_foreign_int(node, "num_scan_inputs", 0, &n_seq))
    return false;
  uint32_t n = node->n_inputs - 1; /* behind sequence_lens */
  if (tn_foreign_input(node, 0)) return tn_foreign_unsupported(node, "sequence_lens");
  if (node->n_inputs < 2 || n_seq < 1 || n_seq > n || about.n_inputs != n || n > TN_MAX_RESULTS ||
      about.n_outputs > TN_MAX_RESULTS || about.n_outputs + n_seq < n)
    return tn_foreign_error(node, TN_E_ARITY, "%lld of %u inputs are sequences, the body has %u inputs and %u outputs",
                            (long long)n_seq, n, about.n_inputs, about.n_outputs);
  uint32_t carried = n - (uint32_t)n_seq;
  if (!list_of(node, "directions", (uint32_t)n_seq, &reverse)) return false;
  for (uint32_t i = 0; i < n_seq; i++) directions[i] = reverse[i];
  tn_build_scan batch = {.sequences = node->inputs + 1, .fixed = about.captures, .n_sequences = n,
                         .n_fixed = about.n_captures, .n_stacked = about.n_outputs};
  tn_node *outer = tn_build_begin_scan(node->build, &batch);
  if (!outer) return false;
  tn_build in = tn_build_region(outer, 0);
  tn_value *const *params = in.block->params.data;
  tn_build_scan one = {.carried = params, .sequences = params + carried, .fixed = params + n, .n_carried = carried,
                       .n_sequences = (uint32_t)n_seq, .n_fixed = about.n_captures,
                       .n_stacked = about.n_outputs - carried, .reverse = directions};
  tn_node *inner = tn_build_begin_scan(&in, &one);
  if (!inner || !node->import_graph(node, graph, inner->regions[0]) || !tn_build_end(inner)) return false;
  tn_build_return(&in, inner->results, inner->n_results);
  return tn_build_end(outer) && tn_control_outputs(node, outer->results, outer->n_results);
}
