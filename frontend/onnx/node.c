/* One node: the row of its operator, its inputs, the import that the row names, and what is said when it fails. */
#include <string.h>

#include "frontend/onnx/import.h"

enum { MAX_ATTRS = 256 };

static const char *op_key(tn_ctx *ctx, const char *domain, const char *name) {
  return tn_namef(ctx, "%s:%s", domain, name);
}

void tn_rows_collect(tn_importer *importer) {
  for (uint32_t i = 0; i < tn_op_count(); i++) {
    const tn_opdef *op = tn_op_at(i);
    for (uint32_t k = 0; k < op->n_onnx; k++) {
      const char *key = op_key(importer->ctx, op->onnx[k].domain, op->onnx[k].name);
      tn_onnx_choice *choice = TN_NEW(importer->scratch, tn_onnx_choice);
      *choice = (tn_onnx_choice){op, &op->onnx[k], tn_map_get(&importer->rows, key)};
      tn_map_set(&importer->rows, key, choice);
    }
  }
}

static const tn_onnx_choice *choose(const tn_importer *importer, const char *domain, const char *name,
                                    int64_t version) {
  const tn_onnx_choice *choice = tn_map_get(&importer->rows, op_key(importer->ctx, domain, name));
  for (; choice != NULL; choice = choice->next)
    if (version >= choice->row->since && (choice->row->until == 0 || version <= choice->row->until)) return choice;
  return NULL;
}

static const char *version_hint(tn_importer *importer, const char *key) {
  const tn_onnx_choice *choice = tn_map_get(&importer->rows, key);
  if (choice == NULL) return "";
  tn_buf text = tn_buf_create(importer->ctx->arena);
  tn_buf_puts(&text, "; supported in opset");
  for (; choice != NULL; choice = choice->next) {
    tn_buf_printf(&text, " %d", choice->row->since);
    if (choice->row->until == 0) tn_buf_puts(&text, " and later");
    else tn_buf_printf(&text, " to %d", choice->row->until);
    if (choice->next != NULL) tn_buf_puts(&text, ",");
  }
  return text.data;
}

static void note_missing(tn_importer *importer, const char *domain, const char *name, int64_t version, tn_loc loc) {
  const char *key = op_key(importer->ctx, domain, name);
  tn_missing_op *missing = tn_map_get(&importer->missing, key);
  if (missing == NULL) {
    missing = TN_NEW(importer->scratch, tn_missing_op);
    *missing = (tn_missing_op){.domain = domain, .name = name, .version = version, .first = loc,
                               .hint = version_hint(importer, key)};
    tn_map_set(&importer->missing, key, missing);
  }
  missing->count++;
  importer->n_missing++;
}

void tn_report_missing(tn_importer *importer) {
  for (size_t i = 0; i < importer->missing.n; i++) {
    const tn_missing_op *missing = importer->missing.entries[i].value;
    tn_error(importer->ctx, missing->first, TN_E_ONNX_UNSUPPORTED, "operator '%s%s%s' (opset %lld) is not supported%s: "
             "%zu node%s, this is the first", missing->domain, missing->domain[0] != '\0' ? "." : "",
             tn_onnx_display(importer->ctx, missing->name), (long long)missing->version, missing->hint, missing->count,
             missing->count == 1 ? "" : "s");
  }
}

/* Where a value comes from, for the notes of an error. */
static void note_input(tn_scope *scope, size_t index, const char *name, const tn_value *value) {
  tn_ctx *ctx = scope->importer->ctx;
  const tn_binding *binding = tn_scope_find(scope, name);
  const char *shown = tn_onnx_display(ctx, name);
  if (binding == NULL || value == NULL) return;
  tn_buf type = tn_buf_create(ctx->arena);
  tn_type_print(value->type, &type);
  if (binding->from == TN_BOUND_NODE)
    tn_note(ctx, tn_scope_node_loc(scope, binding->node_index), "input %zu '%s' is %s, made by this node", index, shown,
            type.data);
  else
    tn_note(ctx, binding->loc, "input %zu '%s' is %s, %s", index, shown, type.data,
            binding->from == TN_BOUND_INPUT ? "an input of the graph" : "an initialiser");
}

static void note_inputs(tn_scope *scope, const tn_onnx_node *node, tn_value *const *inputs) {
  for (size_t i = 0; i < node->n_input && i < 8; i++) note_input(scope, i, node->input[i], inputs[i]);
}

/* False when a body of the node uses something that was poisoned. */
static bool captures_ready(const tn_scope *scope, const tn_onnx_node *node) {
  tn_map names = tn_map_create(scope->importer->scratch);
  for (size_t i = 0; i < node->n_attribute; i++)
    if (node->attribute[i]->g != NULL) tn_scope_free_names(scope->importer, node->attribute[i]->g, &names);
  for (size_t i = 0; i < names.n; i++) {
    const tn_binding *binding = tn_scope_find(scope, (const char *)names.entries[i].key);
    if (binding != NULL && binding->state != TN_BINDING_READY) return false;
  }
  return true;
}

/* False when some input is undefined (reported here) or poisoned (silent). */
static bool gather_inputs(tn_scope *scope, const tn_onnx_node *node, tn_loc loc, tn_value **out) {
  bool ok = true;
  for (size_t i = 0; i < node->n_input; i++) {
    bool poisoned = false;
    if (node->input[i][0] != '\0') out[i] = tn_scope_value(scope, node->input[i], loc, &poisoned);
    ok = ok && !poisoned;
  }
  return ok && captures_ready(scope, node);
}

static void bind_output(tn_scope *scope, size_t node_index, const char *name, tn_value *value) {
  tn_binding *binding = name[0] != '\0' ? tn_scope_find(scope, name) : NULL;
  bool own = binding != NULL && binding->from == TN_BOUND_NODE && binding->node_index == node_index;
  if (!own || binding->state != TN_BINDING_NOT_YET) return;
  binding->state = value != NULL ? TN_BINDING_READY : TN_BINDING_POISONED;
  binding->value = value;
  if (value != NULL && (value->name == NULL || value->name[0] == '\0'))
    value->name = tn_onnx_display(scope->importer->ctx, name);
}

/* An op whose row names no import: operands in order, attributes by name. */
static bool import_plainly(tn_foreign_node *node, const tn_opdef *op) {
  tn_attr *attrs;
  if (!tn_map_attrs(node, op, &attrs)) return false;
  bool variadic = op->n_operands > 0 && op->operands[op->n_operands - 1].arity == TN_VARIADIC;
  if (!variadic && node->n_inputs > op->n_operands)
    return tn_error(node->build->ctx, node->loc, TN_E_ARITY, "'%s' takes at most %u inputs, found %u", node->op,
                    op->n_operands, node->n_inputs);
  tn_node *made = tn_build_node(node->build, op, node->inputs, node->n_inputs, attrs);
  if (made == NULL) return false;
  for (uint32_t i = 0; i < node->n_outputs; i++) {
    if (i < made->n_results) node->outputs[i] = made->results[i];
    else if (node->wanted[i])
      return tn_error(node->build->ctx, node->loc, TN_E_ARITY, "'%s' has %u results, output %u does not exist",
                      node->op, made->n_results, i);
  }
  return true;
}

/* Builds what the node stands for; outputs are in foreign->outputs. */
static bool build_node(tn_scope *scope, size_t node_index, tn_foreign_node *foreign, tn_local_function *function,
                       const tn_onnx_choice *choice) {
  if (function != NULL) return tn_function_inline(scope, node_index, function, foreign);
  if (choice->row->import != NULL) return choice->row->import(foreign);
  return import_plainly(foreign, choice->op);
}

static bool is_constant(const char *domain, const char *op) { return domain[0] == '\0' && strcmp(op, "Constant") == 0; }

/* The tensor of a Constant becomes the binding's constant; a value is made where it is used. */
static void import_constant_node(tn_scope *scope, size_t node_index, const tn_foreign_node *foreign) {
  const tn_onnx_node *node = scope->nodes[node_index];
  tn_ctx *ctx = scope->importer->ctx;
  const char *output = node->n_output > 0 ? node->output[0] : "";
  for (size_t i = 1; i < node->n_output; i++)
    if (node->output[i][0] != '\0')
      tn_error(ctx, foreign->loc, TN_E_ARITY, "'Constant' has 1 result, output %zu does not exist", i);
  const char *name = tn_namef(ctx, "%s%s%s", scope->label, scope->label[0] != '\0' ? "/" : "",
                              tn_onnx_display(ctx, output));
  tn_binding *binding = output[0] != '\0' ? tn_scope_find(scope, output) : NULL;
  tn_map *kept = binding != NULL && scope->importer->part && !scope->outer ? scope->importer->part->constants : NULL;
  tn_const *constant = kept != NULL ? tn_map_get(kept, binding->name) : NULL;
  if (constant == NULL) constant = tn_import_constant(foreign, name);
  if (kept != NULL && constant != NULL) tn_map_set(kept, binding->name, constant);
  if (binding == NULL || binding->from != TN_BOUND_NODE || binding->node_index != node_index) return;
  binding->state = constant != NULL ? TN_BINDING_READY : TN_BINDING_POISONED;
  binding->constant = constant;
}

static bool outputs_made(const tn_foreign_node *foreign) {
  for (uint32_t i = 0; i < foreign->n_outputs; i++)
    if (foreign->wanted[i] && foreign->outputs[i] == NULL)
      return tn_foreign_unsupported(foreign, "output %u", i);
  return true;
}

static tn_value *find_value(tn_foreign_node *foreign, const char *name) {
  bool poisoned;
  return tn_scope_value(foreign->importer, name, foreign->loc, &poisoned);
}

/* The rank that the graph declares for its output of this name; -1: it has none. */
static int64_t rank_of_output(const tn_importer *importer, const char *name) {
  const Onnx__GraphProto *graph = importer->model->graph;
  for (size_t i = 0; i < graph->n_output; i++) {
    const Onnx__TypeProto *type = graph->output[i]->type;
    if (graph->output[i]->name == NULL || strcmp(graph->output[i]->name, name) != 0) continue;
    bool has_shape = type != NULL && type->tensor_type != NULL && type->tensor_type->shape != NULL;
    return has_shape ? (int64_t)type->tensor_type->shape->n_dim : -1;
  }
  return -1;
}

static bool takes(const tn_onnx_node *node, const char *name) {
  for (size_t i = 0; i < node->n_input; i++)
    if (strcmp(node->input[i], name) == 0) return true;
  return false;
}

/* The result of an operator that leaves ranks as they are and takes name; NULL when there is none. */
static const char *elementwise_result(const tn_scope *scope, const char *name) {
  static const char *const ops[] = {"Add", "Cast", "Clip", "Div", "Exp", "Identity", "Mul", "Sigmoid", "Sub", "Tanh"};
  for (size_t i = 0; i < scope->n_nodes; i++) {
    const tn_onnx_node *node = scope->nodes[i];
    if (node->op_type == NULL || node->n_output != 1) continue;
    for (size_t k = 0; k < TN_ARRAY_LEN(ops); k++)
      if (strcmp(node->op_type, ops[k]) == 0 && takes(node, name)) return node->output[0];
  }
  return NULL;
}

static int64_t declared_rank(tn_foreign_node *foreign, uint32_t output) {
  const tn_scope *scope = foreign->importer;
  const char *name = foreign->output_names[output];
  const int most = 8;
  if (scope->outer != NULL || scope->call != NULL) return -1;
  for (int i = 0; i < most && name != NULL && name[0] != '\0'; i++) {
    int64_t rank = rank_of_output(scope->importer, name);
    if (rank >= 0) return rank;
    name = elementwise_result(scope, name);
  }
  return -1;
}

static tn_foreign_node foreign_of(tn_scope *scope, const tn_onnx_node *node, tn_loc loc, int64_t version) {
  tn_arena *scratch = scope->importer->scratch;
  bool *wanted = TN_NEW_N(scratch, bool, node->n_output);
  for (size_t i = 0; i < node->n_output; i++) wanted[i] = node->output[i][0] != '\0';
  return (tn_foreign_node){.build = &scope->build, .domain = tn_onnx_domain(node->domain), .op = node->op_type,
                           .version = version, .loc = loc, .n_inputs = (uint32_t)node->n_input,
                           .n_outputs = (uint32_t)node->n_output, .wanted = wanted,
                           .outputs = TN_NEW_N(scratch, tn_value *, node->n_output),
                           .describe_graph = tn_body_describe, .import_graph = tn_body_import,
                           .find_value = find_value, .declared_rank = declared_rank,
                           .output_names = node->output, .again = &scope->importer->n_again, .importer = scope};
}

/* Errors so far, those included that are reported at the end. */
static size_t n_wrong(const tn_importer *importer) { return importer->ctx->n_errors + importer->n_missing; }

/* A sequence goes only where operators of its own family take it apart. */
static bool check_sequences(const tn_foreign_node *foreign, const tn_onnx_choice *choice) {
  const tn_opdef *sequence = tn_op_find("sequence");
  bool ok = true;
  for (uint32_t i = 0; i < foreign->n_inputs && choice != NULL && choice->op != sequence; i++) {
    const tn_value *value = foreign->inputs[i];
    if (value == NULL || value->def == NULL || value->def->op != sequence) continue;
    ok = tn_error(foreign->build->ctx, foreign->loc, TN_E_ONNX_TYPE, "input %u is a sequence: '%s' takes tensors", i,
                  foreign->op);
  }
  return ok;
}

/* The node's operator is known; its inputs are there. */
static bool import_known(tn_scope *scope, size_t node_index, tn_foreign_node *foreign, tn_local_function *function,
                         const tn_onnx_choice *choice) {
  const tn_onnx_node *node = scope->nodes[node_index];
  tn_ctx *ctx = scope->importer->ctx;
  size_t n_errors = ctx->n_errors, before = n_wrong(scope->importer);
  tn_loc_push(ctx, foreign->loc);
  bool ok = tn_import_attrs(scope, node, foreign->loc, &foreign->attrs, &foreign->n_attrs);
  if (ok && function == NULL && is_constant(foreign->domain, node->op_type)) {
    import_constant_node(scope, node_index, foreign);
    tn_loc_pop(ctx);
    return true; /* bound already, or poisoned */
  }
  ok = ok && check_sequences(foreign, choice) && build_node(scope, node_index, foreign, function, choice);
  if (ok && n_wrong(scope->importer) == before) ok = outputs_made(foreign);
  tn_loc_pop(ctx);
  if (!ok && n_wrong(scope->importer) == before)
    tn_error(ctx, foreign->loc, TN_E_ONNX_UNSUPPORTED, "'%s' cannot be imported in this form",
             tn_onnx_display(ctx, node->op_type));
  if (ctx->n_errors != n_errors && function == NULL) note_inputs(scope, node, foreign->inputs);
  return n_wrong(scope->importer) == before;
}

/* A node that no operator can be looked up for. */
static bool check_node(tn_scope *scope, const tn_onnx_node *node, tn_loc loc) {
  tn_ctx *ctx = scope->importer->ctx;
  if (node->op_type == NULL || node->op_type[0] == '\0')
    return tn_error(ctx, loc, TN_E_ONNX_MODEL, "the node names no operator");
  if (node->n_attribute > MAX_ATTRS)
    return tn_error(ctx, loc, TN_E_LIMIT, "%zu attributes, at most %d are supported", node->n_attribute, MAX_ATTRS);
  if (tn_function_find(scope->importer, node) == NULL && tn_scope_opset(scope, node->domain) < 0)
    return tn_error(ctx, loc, TN_E_ONNX_OPSET, "the model declares no version of operator set '%s'",
                    tn_onnx_display(ctx, tn_onnx_domain(node->domain)));
  return true;
}

void tn_import_node(tn_scope *scope, size_t node_index) {
  const tn_onnx_node *node = scope->nodes[node_index];
  tn_importer *importer = scope->importer;
  tn_loc loc = tn_scope_node_loc(scope, node_index);
  tn_value **inputs = TN_NEW_N(importer->scratch, tn_value *, node->n_input);
  tn_foreign_node foreign = foreign_of(scope, node, loc, tn_scope_opset(scope, node->domain));
  bool ok = check_node(scope, node, loc);
  bool known = ok;
  tn_local_function *function = ok ? tn_function_find(importer, node) : NULL;
  const tn_onnx_choice *choice = NULL;
  if (ok && function == NULL && !is_constant(foreign.domain, node->op_type)) {
    choice = choose(importer, foreign.domain, node->op_type, foreign.version);
    known = choice != NULL;
    if (!known) note_missing(importer, foreign.domain, node->op_type, foreign.version, loc);
  }
  ok = gather_inputs(scope, node, loc, inputs) && known;
  foreign.inputs = inputs;
  ok = ok && import_known(scope, node_index, &foreign, function, choice);
  for (size_t i = 0; i < node->n_output; i++)
    bind_output(scope, node_index, node->output[i], ok ? foreign.outputs[i] : NULL);
}

void tn_import_nodes(tn_scope *scope, const size_t *order, size_t n) {
  for (size_t i = 0; i < n; i++) tn_import_node(scope, order[i]);
}
