/* The walk of an export, names, nodes and constants; export.h says what for. */
#include "ir/export.h"

#include <string.h>

#include "ir/eval.h"
#include "ir/primitives.h"

/* Splats of more bytes than this are made by the model when it runs. */
enum { MAX_SPLAT_BYTES = 1024 };

typedef struct missing_op {
  size_t count;
  tn_loc first;
} missing_op;

static const char *give(tn_ctx *ctx, tn_map *names, tn_map *suffixes, const char *base) {
  const char *name = tn_name_fresh(ctx, names, suffixes, tn_name(ctx, base));
  tn_map_set(names, name, suffixes);
  return name;
}

const char *tn_export_fresh(tn_export *x, const char *hint) {
  return give(x->ctx, &x->names, &x->suffixes, hint && hint[0] ? hint : "v");
}

/* --- Attributes --- */

tn_foreign_attr tn_foreign_of_int(const char *name, int64_t i) {
  return (tn_foreign_attr){.name = name, .kind = TN_FOREIGN_INT, .i = i};
}

tn_foreign_attr tn_foreign_of_float(const char *name, double f) {
  return (tn_foreign_attr){.name = name, .kind = TN_FOREIGN_FLOAT, .f = f};
}

tn_foreign_attr tn_foreign_of_string(const char *name, const char *s) {
  return (tn_foreign_attr){.name = name, .kind = TN_FOREIGN_STRING, .s = s, .s_length = strlen(s)};
}

tn_foreign_attr tn_foreign_of_ints(const char *name, const int64_t *ints, uint32_t n) {
  return (tn_foreign_attr){.name = name, .kind = TN_FOREIGN_INTS, .ints = ints, .n = n};
}

tn_foreign_attr tn_foreign_of_graph(const char *name, tn_export_graph *graph) {
  return (tn_foreign_attr){.name = name, .kind = TN_FOREIGN_GRAPH, .graph = graph};
}

tn_foreign_attr tn_foreign_of_dtype(const char *name, tn_dtype dtype) {
  return tn_foreign_of_int(name, tn_dtype_to_onnx(dtype));
}

/* The lists of attrs are the caller's for the time of the call only. */
static const tn_foreign_attr *keep_attrs(tn_export *x, const tn_foreign_attr *attrs, uint32_t n) {
  if (n == 0) return NULL;
  tn_foreign_attr *kept = tn_arena_copy(x->arena, attrs, n * sizeof *attrs);
  for (uint32_t i = 0; i < n; i++) {
    if (kept[i].ints) kept[i].ints = tn_arena_copy(x->arena, kept[i].ints, kept[i].n * sizeof *kept[i].ints);
    if (kept[i].strings)
      kept[i].strings = tn_arena_copy(x->arena, kept[i].strings, kept[i].n * sizeof *kept[i].strings);
  }
  return kept;
}

/* --- Nodes --- */

void tn_export_emit_many(tn_export *x, const char *op, int64_t since, const char *const *inputs, uint32_t n_inputs,
                         const tn_foreign_attr *attrs, uint32_t n_attrs, const char *const *outputs,
                         uint32_t n_outputs) {
  tn_export_node *node = TN_NEW(x->arena, tn_export_node);
  while (n_inputs > 0 && inputs[n_inputs - 1] && !inputs[n_inputs - 1][0]) n_inputs--;
  node->op = op;
  node->since = since;
  node->inputs = tn_arena_copy(x->arena, inputs, n_inputs * sizeof *inputs);
  node->n_inputs = n_inputs;
  node->outputs = tn_arena_copy(x->arena, outputs, n_outputs * sizeof *outputs);
  node->n_outputs = n_outputs;
  node->attrs = keep_attrs(x, attrs, n_attrs);
  node->n_attrs = n_attrs;
  node->name = x->origin;
  for (uint32_t i = 0; i < n_outputs; i++)
    if (outputs[i][0]) tn_map_set(&x->makers, outputs[i], node);
  TN_VEC_PUSH(x->arena, &x->graph->nodes, node);
}

const char *tn_export_emit(tn_export *x, const char *op, int64_t since, const char *const *inputs, uint32_t n_inputs,
                           const tn_foreign_attr *attrs, uint32_t n_attrs, const char *result) {
  if (!result) result = tn_export_fresh(x, op);
  tn_export_emit_many(x, op, since, inputs, n_inputs, attrs, n_attrs, &result, 1);
  return result;
}

const char *tn_export_unary(tn_export *x, const char *op, const char *a, const char *result) {
  return tn_export_emit(x, op, 0, &a, 1, TN_NO_FOREIGN, result);
}

const char *tn_export_binary(tn_export *x, const char *op, const char *a, const char *b, const char *result) {
  return tn_export_emit(x, op, 0, TN_NAMES(a, b), TN_NO_FOREIGN, result);
}

const char *tn_export_where(tn_export *x, const char *condition, const char *a, const char *b, const char *result) {
  return tn_export_emit(x, "Where", 0, TN_NAMES(condition, a, b), TN_NO_FOREIGN, result);
}

const char *tn_export_cast(tn_export *x, const char *a, tn_dtype dtype, const char *result) {
  return tn_export_emit(x, "Cast", 0, &a, 1, TN_FOREIGN(tn_foreign_of_dtype("to", dtype)), result);
}

const char *tn_export_transpose(tn_export *x, const char *a, const int64_t *perm, uint32_t n, const char *result) {
  return tn_export_emit(x, "Transpose", 0, &a, 1, TN_FOREIGN(tn_foreign_of_ints("perm", perm, n)), result);
}

const char *tn_export_unsqueeze(tn_export *x, const char *a, const int64_t *axes, uint32_t n, const char *result) {
  return tn_export_binary(x, "Unsqueeze", a, tn_export_ints(x, axes, n), result);
}

const char *tn_export_squeeze(tn_export *x, const char *a, const int64_t *axes, uint32_t n, const char *result) {
  return tn_export_binary(x, "Squeeze", a, tn_export_ints(x, axes, n), result);
}

/* --- Values and constants --- */

static const char *add_const(tn_export *x, tn_const *constant) {
  if (constant->type->dtype == TN_STR)
    tn_error(x->ctx, constant->loc, TN_E_ONNX_EXPORT, "constant '%s': strings are not written", constant->name);
  const char *name = tn_export_fresh(x, constant->name);
  tn_export_const *row = TN_NEW(x->arena, tn_export_const);
  row->constant = constant;
  tn_map_set(&x->constants, name, row);
  return name;
}

/* ConstantOfShape, for all graphs to see. */
static const char *make_splat(tn_export *x, tn_const *constant) {
  tn_export_graph *graph = x->graph;
  int64_t one = 1, extents[TN_MAX_NDIM];
  const tn_type *type = constant->type;
  for (uint32_t i = 0; i < type->ndim; i++) extents[i] = tn_dim_value(type->dims[i]);
  tn_foreign_attr value = {.name = "value", .kind = TN_FOREIGN_TENSOR};
  value.tensor =
      tn_const_splat(x->module, constant->name, tn_type_static(x->ctx, type->dtype, 1, &one), constant->data);
  x->graph = x->head;
  const char *shape = tn_export_ints(x, extents, type->ndim);
  const char *name = tn_export_emit(x, "ConstantOfShape", 0, &shape, 1, &value, 1, tn_export_fresh(x, constant->name));
  x->graph = graph;
  return name;
}

const char *tn_export_const_value(tn_export *x, tn_const *constant) {
  const char *name = tn_map_get(&x->values, constant);
  if (name) return name;
  bool is_large = constant->kind == TN_CONST_SPLAT && tn_const_bytes(constant) > MAX_SPLAT_BYTES;
  name = is_large && tn_dtype_bits(constant->type->dtype) >= 8 ? make_splat(x, constant) : add_const(x, constant);
  tn_map_set(&x->values, constant, (void *)(uintptr_t)name);
  return name;
}

/* A small constant, once for each content. */
static const char *small_const(tn_export *x, const char *key, const char *hint, const tn_type *type, const void *data) {
  const char *name = tn_map_get(&x->numbers, key);
  if (name) return name;
  size_t bytes = (size_t)tn_type_static_count(type) * tn_dtype_bytes(type->dtype);
  name = add_const(x, tn_const_data(x->module, hint, type, tn_arena_copy(x->arena, data, bytes)));
  tn_map_set(&x->numbers, key, (void *)(uintptr_t)name);
  return name;
}

static const char *ints_of_rank(tn_export *x, const int64_t *ints, uint32_t n, uint32_t ndim) {
  tn_buf key = tn_buf_create(x->arena);
  int64_t extent = n;
  tn_buf_printf(&key, "i64/%u", ndim);
  for (uint32_t i = 0; i < n; i++) tn_buf_printf(&key, "_%lld", (long long)ints[i]);
  const tn_type *type = tn_type_static(x->ctx, TN_I64, ndim, &extent);
  return small_const(x, tn_name(x->ctx, key.data), n == 1 ? "number" : "numbers", type, ints);
}

const char *tn_export_ints(tn_export *x, const int64_t *ints, uint32_t n) { return ints_of_rank(x, ints, n, 1); }
const char *tn_export_int(tn_export *x, int64_t i) { return ints_of_rank(x, &i, 1, 0); }

const char *tn_export_number(tn_export *x, tn_dtype dtype, double v) {
  unsigned char element[8];
  tn_buf key = tn_buf_create(x->arena);
  tn_number_store(dtype, tn_number_cast(TN_F64, dtype, (tn_number){.f = v}), element);
  tn_buf_printf(&key, "%s_", tn_dtype_name(dtype));
  for (size_t i = 0; i < tn_dtype_bytes(dtype); i++) tn_buf_printf(&key, "%02x", element[i]);
  return small_const(x, tn_name(x->ctx, key.data), "number", tn_type_scalar(x->ctx, dtype), element);
}

/* Before it, operators do not allow the type. */
static int64_t first_opset(tn_dtype dtype) {
  switch (tn_dtype_bits(dtype)) {
    case 2: return 25;
    case 4: return dtype == TN_F4E2M1 ? 23 : 21;
    case 8: return !tn_dtype_is_float(dtype) ? 0 : dtype == TN_F8E8M0 ? 24 : 19;
    default: return dtype == TN_BF16 ? 22 : 0;
  }
}

const char *tn_export_value(tn_export *x, const tn_value *value) {
  if (!value) return "";
  if (first_opset(value->type->dtype) > x->opset) x->opset = first_opset(value->type->dtype);
  tn_const *constant = tn_value_const(value);
  if (constant) return tn_export_const_value(x, constant);
  const char *name = tn_map_get(&x->values, value);
  if (name) return name;
  name = tn_export_fresh(x, value->name && value->name[0] ? value->name : value->def ? value->def->op->name : "value");
  tn_map_set(&x->values, value, (void *)(uintptr_t)name);
  return name;
}

const char *tn_export_operand(tn_export *x, const tn_node *node, uint32_t index) {
  return index < node->n_operands ? tn_export_value(x, node->operands[index].value) : "";
}

const char *tn_export_result(tn_export *x, const tn_node *node, uint32_t index) {
  return index < node->n_results ? tn_export_value(x, node->results[index]) : NULL;
}

void tn_export_alias(tn_export *x, const tn_value *value, const char *name) {
  tn_map_set(&x->values, value, (void *)(uintptr_t)name);
}

/* --- Graphs --- */

static tn_export_graph *new_graph(tn_export *x, tn_export_graph *outer, const char *name) {
  tn_export_graph *graph = TN_NEW(x->arena, tn_export_graph);
  graph->outer = outer;
  graph->name = name;
  graph->dims = tn_map_create(x->arena);
  return graph;
}

tn_export_graph *tn_export_begin_body(tn_export *x, const char *hint) {
  const char *name = x->origin[0] ? tn_namef(x->ctx, "%s/%s", x->origin, hint) : hint;
  return x->graph = new_graph(x, x->graph, name);
}

void tn_export_end_body(tn_export *x) { x->graph = x->graph->outer; }

const char *tn_export_input(tn_export *x, const char *hint, const tn_type *type) {
  tn_export_port port = {tn_export_fresh(x, hint), type};
  TN_VEC_PUSH(x->arena, &x->graph->inputs, port);
  return port.name;
}

void tn_export_output(tn_export *x, const char *name, const tn_type *type) {
  tn_export_port port = {tn_export_unary(x, "Identity", name, NULL), type};
  TN_VEC_PUSH(x->arena, &x->graph->outputs, port);
}

/* --- Nodes of the graph --- */

static const char *origin_of(const tn_export *x, tn_loc loc) {
  const tn_loc_info *info = tn_loc_get(x->ctx, loc);
  if (info->kind == TN_LOC_KIND_FROM && info->n_origins > 0) info = tn_loc_get(x->ctx, info->origins[0]);
  return info->kind == TN_LOC_KIND_ONNX && info->node_name ? info->node_name : "";
}

static tn_foreign_attr attr_of(const tn_attr_def *def, const tn_attr *attr) {
  switch (def->kind) {
    case TN_ATTR_FLOAT: return tn_foreign_of_float(def->name, attr->u.f);
    case TN_ATTR_NAME: return tn_foreign_of_string(def->name, def->names[attr->u.i]);
    case TN_ATTR_STRING: return tn_foreign_of_string(def->name, attr->u.s);
    case TN_ATTR_DTYPE: return tn_foreign_of_dtype(def->name, (tn_dtype)attr->u.i);
    case TN_ATTR_INTS: return tn_foreign_of_ints(def->name, attr->u.list.ints, attr->u.list.n);
    case TN_ATTR_INT:
    case TN_ATTR_BOOL: return tn_foreign_of_int(def->name, attr->u.i);
    case TN_ATTR_DIMS:
    case TN_ATTR_PAIRS:
    case TN_ATTR_CONST:
    case TN_ATTR_FUNC: break;
  }
  TN_ASSERT(false); /* no op whose row has no import has such attributes */
  return tn_foreign_of_int(def->name, 0);
}

/* ONNX' attributes are float. */
static bool loses_bits(const tn_node *node) {
  if (node->results[0]->type->dtype != TN_F64) return false;
  for (uint32_t i = 0; i < node->op->n_attrs; i++)
    if (node->op->attrs[i].kind == TN_ATTR_FLOAT && (double)(float)node->attrs[i].u.f != node->attrs[i].u.f)
      return true;
  return false;
}

/* By the row of an operator that came in one to one. */
static bool export_plainly(tn_export *x, const tn_node *node) {
  const tn_onnx_row *row = NULL;
  for (uint32_t i = 0; i < node->op->n_onnx && !row; i++)
    if (!node->op->onnx[i].import && !node->op->onnx[i].domain[0]) row = &node->op->onnx[i];
  if (!row || row->since > 23) return false; /* younger operators are expanded: few programs read them */
  if (loses_bits(node)) return false;
  const char **inputs = TN_NEW_N(x->arena, const char *, node->n_operands);
  const char **outputs = TN_NEW_N(x->arena, const char *, node->n_results);
  tn_foreign_attr *attrs = TN_NEW_N(x->arena, tn_foreign_attr, node->op->n_attrs);
  uint32_t n_attrs = 0;
  for (uint32_t i = 0; i < node->n_operands; i++) inputs[i] = tn_export_operand(x, node, i);
  for (uint32_t i = 0; i < node->n_results; i++) outputs[i] = tn_export_result(x, node, i);
  for (uint32_t i = 0; i < node->op->n_attrs; i++)
    if (node->attrs[i].present) attrs[n_attrs++] = attr_of(&node->op->attrs[i], &node->attrs[i]);
  tn_export_emit_many(x, row->name, row->since, inputs, node->n_operands, attrs, n_attrs, outputs, node->n_results);
  return true;
}

static void note_missing(tn_export *x, const tn_node *node) {
  missing_op *missing = tn_map_get(&x->missing, node->op);
  if (!missing) {
    missing = TN_NEW(x->arena, missing_op);
    missing->first = node->loc;
    tn_map_set(&x->missing, node->op, missing);
  }
  missing->count++;
}

/* The composite becomes simpler nodes before it, which the walk takes next. */
static bool expand(tn_export *x, tn_node *node) {
  tn_build build = tn_build_before(node);
  tn_value **results = tn_build_expansion(&build, node);
  if (!results) return false;
  for (uint32_t i = 0; i < node->n_results; i++) {
    if (!results[i]) continue;
    const char *name = tn_map_get(&x->values, node->results[i]);
    bool is_new = results[i]->def && results[i]->def->op != &tn_op_const && !tn_map_has(&x->values, results[i]);
    if (name && is_new) tn_export_alias(x, results[i], name);
    else if (!results[i]->name || !results[i]->name[0]) results[i]->name = node->results[i]->name;
    tn_value_replace(node->results[i], results[i]);
  }
  tn_node_remove(node);
  return true;
}

/* True when the node was written. */
static bool export_node(tn_export *x, const tn_node *node) {
  size_t n = x->graph->nodes.n;
  tn_export_graph *graph = x->graph;
  bool ok = node->op->export ? node->op->export(x, node) : export_plainly(x, node);
  if (ok) return true;
  x->graph = graph;
  x->graph->nodes.n = n;
  return false;
}

static bool all_unused(const tn_node *node) {
  for (uint32_t i = 0; i < node->n_results; i++)
    if (node->results[i]->n_uses > 0) return false;
  return !(node->op->traits & TN_TRAIT_EFFECT);
}

static void export_nodes(tn_export *x, tn_block *block) {
  const char *outer_origin = x->origin;
  for (tn_node *node = block->first, *next; node && node != block->last; node = next) {
    tn_node *before = node->previous;
    next = node->next;
    if (node->op == &tn_op_const || all_unused(node)) continue;
    x->origin = origin_of(x, node->loc);
    if (export_node(x, node)) continue;
    if (node->op->kind != TN_OP_COMPOSITE) note_missing(x, node);
    else if (expand(x, node)) next = before ? before->next : block->first;
  }
  x->origin = outer_origin;
}

void tn_export_block(tn_export *x, const tn_block *block) {
  for (size_t i = 0; i < block->params.n; i++) {
    const tn_value *param = block->params.data[i];
    if (!tn_map_has(&x->values, param)) tn_export_alias(x, param, tn_export_input(x, param->name, param->type));
  }
  export_nodes(x, (tn_block *)(uintptr_t)block); /* expanding changes it */
  for (uint32_t i = 0; i < block->last->n_operands; i++)
    tn_export_output(x, tn_export_operand(x, block->last, i), block->last->operands[i].value->type);
}

/* --- The function --- */

/* Inputs and outputs have the names that the user gave them; everything else steps aside. */
static void name_ports(tn_export *x) {
  const tn_block *body = x->func->body;
  for (size_t i = 0; i < body->params.n; i++) {
    const tn_value *param = body->params.data[i];
    tn_export_alias(x, param, tn_export_input(x, param->name[0] ? param->name : "input", param->type));
  }
  for (uint32_t i = 0; i < body->last->n_operands; i++) {
    const tn_value *value = body->last->operands[i].value;
    const char *wanted = i < x->func->result_names.n ? x->func->result_names.data[i] : "";
    tn_export_port port = {tn_export_fresh(x, wanted[0] ? wanted : "output"), value->type};
    TN_VEC_PUSH(x->arena, &x->main->outputs, port);
    if (value->def && !tn_value_const(value) && !tn_map_has(&x->values, value)) tn_export_alias(x, value, port.name);
  }
}

static void make_outputs(tn_export *x) {
  const tn_node *last = x->func->body->last;
  for (uint32_t i = 0; i < last->n_operands; i++) {
    const char *name = tn_export_operand(x, last, i), *wanted = x->main->outputs.data[i].name;
    if (strcmp(name, wanted) != 0) tn_export_unary(x, "Identity", name, wanted);
  }
}

typedef TN_VEC(const char *) name_list;

static void want_graph(tn_export *x, const tn_export_graph *graph, name_list *wanted) {
  for (size_t i = 0; i < graph->outputs.n; i++) TN_VEC_PUSH(x->arena, wanted, graph->outputs.data[i].name);
}

static void want_node(tn_export *x, tn_export_node *node, name_list *wanted) {
  node->is_used = true;
  if (node->since > x->opset) x->opset = node->since;
  const char *base = node->name[0] ? node->name : node->outputs[0];
  node->name = give(x->ctx, &x->node_names, &x->node_suffixes, base);
  for (uint32_t i = 0; i < node->n_inputs; i++) TN_VEC_PUSH(x->arena, wanted, node->inputs[i]);
  for (uint32_t i = 0; i < node->n_attrs; i++)
    if (node->attrs[i].kind == TN_FOREIGN_GRAPH) want_graph(x, node->attrs[i].graph, wanted);
}

/* Marks what the outputs need. */
static void mark_used(tn_export *x) {
  name_list wanted = {0};
  want_graph(x, x->main, &wanted);
  while (wanted.n > 0) {
    const char *name = tn_name(x->ctx, wanted.data[--wanted.n]);
    tn_export_node *maker = tn_map_get(&x->makers, name);
    tn_export_const *constant = tn_map_get(&x->constants, name);
    if (maker && !maker->is_used) want_node(x, maker, &wanted);
    if (constant) constant->is_used = true;
  }
}

static bool report_missing(tn_export *x) {
  for (size_t i = 0; i < x->missing.n; i++) {
    const tn_opdef *op = (const tn_opdef *)x->missing.entries[i].key;
    const missing_op *missing = x->missing.entries[i].value;
    tn_error(x->ctx, missing->first, TN_E_ONNX_EXPORT, "'%s' has no form in ONNX%s: %zu node%s, this is the first",
             op->name, op->export ? " here" : "", missing->count, missing->count == 1 ? "" : "s");
  }
  return x->missing.n == 0;
}

bool tn_export_func(tn_ctx *ctx, tn_func *func, tn_export *out) {
  tn_arena *arena = func->module->arena;
  size_t n_errors = ctx->n_errors;
  *out = (tn_export){.ctx = ctx, .module = func->module, .arena = arena, .func = func, .opset = TN_EXPORT_OPSET,
                     .origin = "", .names = tn_map_create(arena), .suffixes = tn_map_create(arena),
                     .node_names = tn_map_create(arena), .node_suffixes = tn_map_create(arena),
                     .values = tn_map_create(arena), .constants = tn_map_create(arena),
                     .numbers = tn_map_create(arena), .makers = tn_map_create(arena), .missing = tn_map_create(arena)};
  out->head = new_graph(out, NULL, "");
  out->graph = out->main = new_graph(out, out->head, func->name);
  name_ports(out);
  export_nodes(out, func->body);
  make_outputs(out);
  if (!report_missing(out) || ctx->n_errors > n_errors) return false;
  mark_used(out);
  return true;
}
