/* scan: the loop over an axis of sequences, with carried values of fixed types; the loop that has a derivative.
 *
 * Operands are the carried values' first contents, the sequences, and what every iteration sees unchanged. The region
 * takes the carried values, one slice of each sequence and the fixed values, and yields the carried values' next
 * contents and then any number of values that are stacked. */
#include <string.h>

#include "ir/ops/export.h"
#include "ir/ops/onnx.h"
#include "ir/ops/region_gradient.h"
#include "ir/ops/scan.h"
#include "ir/primitives.h"

static uint32_t n_carried(const tn_attr *attrs) { return (uint32_t)attrs[TN_SCAN_N_CARRIED].u.i; }
static uint32_t n_seq(const tn_attr *attrs) { return (uint32_t)attrs[TN_SCAN_N_SEQ].u.i; }

static bool check_lists(const tn_infer *infer, uint32_t n_stacked) {
  bool ok = true;
  for (uint32_t a = TN_SCAN_AXIS; a <= TN_SCAN_REVERSE; a++) {
    uint32_t n = infer->attrs[a].u.list.n, most = n_seq(infer->attrs) + n_stacked;
    if (n > most)
      ok = tn_infer_error(infer, TN_E_ATTR, "%s: expected at most %u elements, found %u",
                          a == TN_SCAN_AXIS ? "axis" : "reverse", most, n);
  }
  return ok;
}

/* The number of iterations: the extent that all sequences share. */
static bool infer_operands(const tn_infer *infer, const tn_dim **out_trip) {
  uint32_t first = n_carried(infer->attrs), n = n_seq(infer->attrs);
  if ((uint64_t)first + n > infer->n_operands)
    return tn_infer_error(infer, TN_E_ARITY, "%u carried values and %u sequences, %u operands", first, n,
                          infer->n_operands);
  bool ok = true;
  *out_trip = NULL;
  for (uint32_t k = 0; k < n; k++) {
    const tn_type *type = infer->operands[first + k]->type;
    int64_t axis = tn_scan_entry(&infer->attrs[TN_SCAN_AXIS], k);
    if (!tn_infer_axis(infer, "axis", axis, type->ndim)) return false;
    if (*out_trip == NULL) *out_trip = type->dims[axis];
    ok &= tn_func_require_eq(infer->func, type->dims[axis], *out_trip, infer->loc,
                             "'scan': sequence %u has as many elements as the first", k);
  }
  return ok;
}

/* Whether dim depends on what a node of block finds while running. */
static bool is_found_in(const tn_block *block, const tn_dim *dim) {
  for (const tn_node *node = block->first; node; node = node->next) {
    for (uint32_t i = 0; i < node->n_regions; i++)
      if (is_found_in(node->regions[i], dim)) return true;
    if (node->op != &tn_op_dim_read) continue;
    const tn_attr *found = tn_node_attr(node, "dims");
    for (uint32_t i = 0; i < found->u.list.n; i++)
      if (tn_dim_uses_atom(dim, found->u.list.dims[i]->terms[0].atoms[0])) return true;
  }
  return false;
}

static bool infer_stacked(tn_infer *infer, const tn_node *yield, const tn_dim *trip) {
  uint32_t first = n_carried(infer->attrs);
  bool ok = true;
  for (uint32_t k = first; k < yield->n_operands; k++) {
    const tn_type *type = yield->operands[k].value->type;
    const tn_dim *dims[TN_MAX_NDIM];
    int64_t axis = tn_scan_entry(&infer->attrs[TN_SCAN_AXIS], n_seq(infer->attrs) + k - first);
    if (type->ndim >= TN_MAX_NDIM) return tn_infer_error(infer, TN_E_LIMIT, "a stacked value of rank %u", type->ndim);
    if (!tn_infer_axis(infer, "axis", axis, type->ndim + 1)) return false;
    for (uint32_t i = 0; i <= type->ndim; i++) dims[i] = i == axis ? trip : type->dims[i < axis ? i : i - 1];
    for (uint32_t i = 0; i < type->ndim; i++)
      if (tn_dim_is_late(type->dims[i]) && is_found_in(yield->block, type->dims[i]))
        return tn_infer_error(infer, TN_E_SHAPE, "stacked value %u: its extent on axis %u is found anew with each "
                              "iteration, which may give others", k - first, i);
    ok &= tn_infer_result(infer, k, type->dtype, type->ndim + 1, dims);
  }
  return ok;
}

static bool infer_scan(tn_infer *infer) {
  const tn_dim *trip = NULL;
  if (!infer_operands(infer, &trip)) return false;
  if (infer->node->n_regions == 0) {
    infer->n_results = 0; /* the region is not there yet */
    return check_lists(infer, TN_MAX_RESULTS);
  }
  if (!tn_infer_regions(infer)) return false;
  const tn_node *yield = infer->node->regions[0]->last;
  uint32_t carried = n_carried(infer->attrs);
  if (yield->n_operands < carried || yield->n_operands > TN_MAX_RESULTS)
    return tn_infer_error(infer, TN_E_ARITY, "the region yields %u values: expected %u to %d", yield->n_operands,
                          carried, TN_MAX_RESULTS);
  bool ok = check_lists(infer, yield->n_operands - carried);
  for (uint32_t k = 0; k < carried; k++) {
    infer->types[k] = infer->operands[k]->type;
    ok &= tn_infer_same_type(infer, yield->operands[k].value->type, infer->types[k], "carried value", k);
  }
  infer->n_results = yield->n_operands;
  return infer_stacked(infer, yield, trip) && ok;
}

static void scan_params(const tn_node *node, uint32_t region, tn_region_param *out, uint32_t *out_n) {
  tn_ctx *ctx = node->block->func->module->ctx;
  uint32_t carried = n_carried(node->attrs), seq = n_seq(node->attrs);
  (void)region;
  for (uint32_t i = 0; i < node->n_operands; i++) {
    const tn_type *type = node->operands[i].value->type;
    out[i] = (tn_region_param){type, i < carried ? TN_PARAM_CARRIED : TN_PARAM_FIXED, i};
    if (i < carried || i >= carried + seq) continue;
    const tn_dim *dims[TN_MAX_NDIM];
    uint32_t n = 0;
    for (uint32_t k = 0; k < type->ndim; k++)
      if (k != tn_scan_entry(&node->attrs[TN_SCAN_AXIS], i - carried)) dims[n++] = type->dims[k];
    out[i].type = tn_type_tensor(ctx, type->dtype, n, dims);
    out[i].role = TN_PARAM_SLICE;
  }
  *out_n = node->n_operands;
}

/* Copies between a tensor and position `at` of axis of a tensor that is one rank higher. */
static void copy_slice(const tn_tensor *whole, int64_t axis, int64_t at, tn_tensor *part, bool into_whole) {
  int64_t outer = 1, inner = 1;
  for (uint32_t i = 0; i < whole->ndim; i++) *(i < axis ? &outer : &inner) *= i == axis ? 1 : whole->extents[i];
  for (int64_t o = 0; o < outer && inner > 0; o++) {
    tn_number *in_whole = whole->data + (o * whole->extents[axis] + at) * inner, *in_part = part->data + o * inner;
    memcpy(into_whole ? in_whole : in_part, into_whole ? in_part : in_whole, (size_t)inner * sizeof *in_part);
  }
}

/* One run of the scan by the reference. */
typedef struct scan_run {
  tn_eval *eval;
  const tn_node *node;
  uint32_t carried, seq, n_results;
  int64_t trip;
  tn_tensor **results; /* the carried ones hold their present contents */
} scan_run;

static int64_t position(const scan_run *run, uint32_t entry_number, int64_t iteration) {
  return tn_scan_entry(&run->node->attrs[TN_SCAN_REVERSE], entry_number) != 0 ? run->trip - 1 - iteration : iteration;
}

static tn_tensor *slice_of(const scan_run *run, uint32_t k, int64_t iteration, tn_arena *arena) {
  const tn_tensor *whole = tn_eval_operand(run->eval, run->node, run->carried + k);
  int64_t extents[TN_MAX_NDIM], axis = tn_scan_entry(&run->node->attrs[TN_SCAN_AXIS], k);
  uint32_t n = 0;
  for (uint32_t i = 0; i < whole->ndim; i++)
    if (i != axis) extents[n++] = whole->extents[i];
  tn_tensor *part = tn_tensor_create(arena, whole->dtype, n, extents);
  copy_slice(whole, axis, position(run, k, iteration), part, false);
  return part;
}

static bool run_iteration(const scan_run *run, int64_t iteration) {
  const tn_node *node = run->node;
  tn_arena *arena = tn_arena_create_scratch(run->eval->arena);
  tn_eval inner = tn_eval_inner(run->eval, arena);
  const tn_tensor **args = TN_NEW_N(arena, const tn_tensor *, node->n_operands);
  const tn_tensor **yields = TN_NEW_N(arena, const tn_tensor *, run->n_results);
  for (uint32_t i = 0; i < node->n_operands; i++)
    args[i] = i < run->carried              ? run->results[i]
              : i < run->carried + run->seq ? slice_of(run, i - run->carried, iteration, arena)
                                            : tn_eval_operand(run->eval, node, i);
  bool ok = tn_eval_block(&inner, node->regions[0], args, node->n_operands, yields);
  /* Stacked values first: a carried one may be yielded as it was. */
  for (uint32_t i = run->carried; ok && i < run->n_results; i++)
    copy_slice(run->results[i], tn_scan_entry(&node->attrs[TN_SCAN_AXIS], run->seq + i - run->carried),
               position(run, run->seq + i - run->carried, iteration), (tn_tensor *)(uintptr_t)yields[i], true);
  tn_number **next = TN_NEW_N(arena, tn_number *, run->carried);
  for (uint32_t i = 0; ok && i < run->carried; i++)
    next[i] = tn_arena_copy(arena, yields[i]->data, (size_t)yields[i]->count * sizeof **next);
  for (uint32_t i = 0; ok && i < run->carried; i++)
    memcpy(run->results[i]->data, next[i], (size_t)run->results[i]->count * sizeof **next);
  tn_eval_end(&inner);
  tn_arena_destroy(arena);
  return ok;
}

static bool eval_scan(tn_eval *eval, const tn_node *node) {
  scan_run run = {.eval = eval, .node = node, .carried = n_carried(node->attrs), .seq = n_seq(node->attrs),
                  .n_results = node->n_results};
  tn_tensor *results[TN_MAX_RESULTS];
  run.results = results;
  for (uint32_t i = 0; i < node->n_results; i++) {
    if ((results[i] = tn_eval_result(eval, node, i)) == NULL) return false;
    if (i >= run.carried) continue;
    const tn_tensor *first = tn_eval_operand(eval, node, i);
    memcpy(results[i]->data, first->data, (size_t)first->count * sizeof *first->data);
  }
  const tn_tensor *sequence = tn_eval_operand(eval, node, run.carried);
  run.trip = sequence->extents[tn_scan_entry(&node->attrs[TN_SCAN_AXIS], 0)];
  for (int64_t i = 0; i < run.trip; i++)
    if (!run_iteration(&run, i)) return false;
  return true;
}

static bool export_scan(tn_export *x, const tn_node *node) {
  const tn_block *block = node->regions[0];
  uint32_t carried = n_carried(node->attrs), seq = n_seq(node->attrs), n_stacked = node->n_results - carried;
  const tn_attr *axis = &node->attrs[TN_SCAN_AXIS], *reverse = &node->attrs[TN_SCAN_REVERSE];
  const char **inputs = TN_NEW_N(x->arena, const char *, carried + seq), *outputs[TN_MAX_RESULTS];
  int64_t *axes = TN_NEW_N(x->arena, int64_t, seq + n_stacked),
          *directions = TN_NEW_N(x->arena, int64_t, seq + n_stacked);
  tn_export_graph *body = tn_export_begin_body(x, "body");
  for (size_t i = carried + seq; i < block->params.n; i++)
    tn_export_alias(x, block->params.data[i], tn_export_operand(x, node, (uint32_t)i));
  tn_export_block(x, block);
  tn_export_end_body(x);
  for (uint32_t i = 0; i < carried + seq; i++) inputs[i] = tn_export_operand(x, node, i);
  for (uint32_t i = 0; i < node->n_results; i++) outputs[i] = tn_export_result(x, node, i);
  for (uint32_t i = 0; i < seq + n_stacked; i++) {
    axes[i] = tn_scan_entry(axis, i);
    directions[i] = tn_scan_entry(reverse, i);
  }
  tn_export_emit_many(x, "Scan", 0, inputs, carried + seq,
                      TN_FOREIGN(tn_foreign_of_graph("body", body), tn_foreign_of_int("num_scan_inputs", seq),
                                 tn_foreign_of_ints("scan_input_axes", axes, seq),
                                 tn_foreign_of_ints("scan_input_directions", directions, seq),
                                 tn_foreign_of_ints("scan_output_axes", axes + seq, n_stacked),
                                 tn_foreign_of_ints("scan_output_directions", directions + seq, n_stacked)),
                      outputs, node->n_results);
  return true;
}

static const tn_operand_def operands[] = {{"x", TN_VARIADIC, TN_SET_ANY, TN_ROLE_DATA, NULL, 1}};
static const tn_attr_def attrs[] = {
    {.name = "n_carried", .kind = TN_ATTR_INT, .required = true, .min_i = 0, .max_i = TN_MAX_RESULTS},
    {.name = "n_seq", .kind = TN_ATTR_INT, .required = true, .min_i = 1, .max_i = INT32_MAX},
    {.name = "axis", .kind = TN_ATTR_INTS, .min_i = 0, .max_i = TN_MAX_NDIM},
    {.name = "reverse", .kind = TN_ATTR_INTS, .min_i = 0, .max_i = 1}};
static const tn_onnx_row onnx[] = {{"", "Scan", 9, 0, tn_import_scan},
                                   {"", "Scan", 8, 8, tn_import_scan_8},
                                   {"", "LinearAttention", 27, 0, tn_import_linear_attention},
                                   {"", "Det", 11, 0, tn_import_det}};
static const tn_op_sample samples[] = {
    {TN_TYPES("f32[2]"), "{n_carried=1, n_seq=1}", 0, 0, NULL},
    {TN_TYPES("f32[2]"), "{n_carried=0, n_seq=1, axis=[1]}", 0, 0, NULL},
    {TN_TYPES("f32[2]", "f32[3]"), "{n_carried=0, n_seq=2}", 0, 0, NULL},
    {TN_TYPES("f32[2]"), "{n_carried=1, n_seq=0}", 0, 0, NULL},
};

const tn_opdef tn_op_scan = {
    .name = "scan",
    .kind = TN_OP_PRIMITIVE,
    .doc = "Runs its region once for each position of the sequences: n_carried values go from one run to the next, "
           "n_seq sequences are taken apart along axis (from the end with reverse), the operands behind them stay the "
           "same. The region yields the carried values and then values that are stacked; axis and reverse list the "
           "sequences and then the stacked results, 0 where they say nothing.",
    TN_OPERANDS(operands),
    .n_results = 0,
    TN_ATTRS(attrs),
    .n_regions = 1,
    .infer = infer_scan,
    .params = scan_params,
    .eval = eval_scan,
    .vjp = tn_scan_vjp,
    TN_ONNX(onnx),
    .export = export_scan,
    TN_SAMPLES(samples),
};
