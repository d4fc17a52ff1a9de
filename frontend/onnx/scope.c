/* Names of one graph, and the order of its nodes. ONNX asks for nodes in order of use, but not every tool keeps to it,
 * so the order is made here and only a circle is an error. */
#include <string.h>

#include "frontend/onnx/import.h"

const char *tn_onnx_domain(const char *domain) {
  return domain == NULL || strcmp(domain, "ai.onnx") == 0 ? "" : domain;
}

/* Bytes of the character at text, 0 when it is none or a control character (of ASCII, or U+0080 to U+009F). */
static size_t printable_bytes(const char *text) {
  unsigned char c = (unsigned char)text[0];
  if (c < 0x20 || c == 0x7f || (c == 0xc2 && (unsigned char)text[1] < 0xa0)) return 0;
  return tn_utf8_bytes(text);
}

const char *tn_onnx_display(tn_ctx *ctx, const char *text) {
  size_t at = 0, n;
  if (text == NULL) return "";
  while (text[at] != '\0' && (n = printable_bytes(text + at)) > 0) at += n;
  if (text[at] == '\0') return tn_name(ctx, text);
  tn_buf buf = tn_buf_create(ctx->arena);
  for (at = 0; text[at] != '\0'; at += n > 0 ? n : 1) {
    n = printable_bytes(text + at);
    if (n > 0) tn_buf_append(&buf, text + at, n);
    else tn_buf_printf(&buf, "\\x%02x", (unsigned char)text[at]);
  }
  return tn_name(ctx, buf.data);
}

tn_scope tn_scope_create(tn_importer *importer, tn_block *block) {
  return (tn_scope){.importer = importer, .label = "", .build = tn_build_at_end(block),
                    .names = tn_map_create(importer->scratch)};
}

static const char *key_of(const tn_scope *scope, const char *name) { return tn_name(scope->importer->ctx, name); }

static tn_loc binding_loc(const tn_scope *scope, const tn_binding *binding) {
  return binding->from == TN_BOUND_NODE ? tn_scope_node_loc(scope, binding->node_index) : binding->loc;
}

tn_binding *tn_scope_declare(tn_scope *scope, const char *name, tn_loc loc) {
  tn_ctx *ctx = scope->importer->ctx;
  const char *key = key_of(scope, name);
  tn_binding *old = tn_map_get(&scope->names, key);
  if (old != NULL) {
    tn_error(ctx, loc, TN_E_ONNX_DUPLICATE, "tensor '%s' is defined twice", tn_onnx_display(ctx, name));
    tn_note(ctx, binding_loc(scope, old), "it is defined here first");
    return NULL;
  }
  tn_binding *binding = TN_NEW(scope->importer->scratch, tn_binding);
  binding->name = key;
  binding->loc = loc;
  tn_map_set(&scope->names, key, binding);
  return binding;
}

tn_loc tn_scope_node_loc(const tn_scope *scope, size_t node_index) {
  const tn_onnx_node *node = scope->nodes[node_index];
  tn_ctx *ctx = scope->importer->ctx;
  int64_t version = tn_scope_opset(scope, node->domain);
  return tn_loc_onnx(ctx, scope->importer->file, scope->label, (int64_t)node_index, tn_onnx_display(ctx, node->name),
                     tn_onnx_display(ctx, node->op_type), version > 0 ? version : 0);
}

static tn_loc tensor_loc(const tn_scope *scope, const char *name) {
  tn_ctx *ctx = scope->importer->ctx;
  return tn_loc_onnx(ctx, scope->importer->file, scope->label, -1, tn_onnx_display(ctx, name), "", 0);
}

/* An initialiser that is also a graph input (as all are before IR version 4) is a constant, unless an option gives that
 * input a shape; the input was bound before. */
static void declare_initialiser(tn_scope *scope, const Onnx__TensorProto *tensor) {
  tn_ctx *ctx = scope->importer->ctx;
  if (tensor->name == NULL || tensor->name[0] == '\0') {
    tn_error(ctx, tensor_loc(scope, ""), TN_E_ONNX_MODEL, "an initialiser has no name");
    return;
  }
  tn_binding *input = tn_map_get(&scope->names, key_of(scope, tensor->name));
  if (input != NULL && input->from == TN_BOUND_INPUT && tn_dims_has_shape_option(scope->importer, tensor->name)) return;
  tn_loc loc = tensor_loc(scope, tensor->name);
  tn_binding *binding = tn_scope_declare(scope, tensor->name, loc);
  if (binding == NULL) return;
  binding->from = TN_BOUND_INITIALISER;
  binding->tensor = tensor;
  tn_map *kept = scope->importer->part && !scope->outer ? scope->importer->part->constants : NULL;
  binding->constant = kept ? tn_map_get(kept, binding->name) : NULL;
  if (binding->constant == NULL)
    binding->constant =
        tn_onnx_tensor(&scope->importer->tensors, tensor, tn_onnx_display(ctx, tensor->name), loc);
  if (kept != NULL && binding->constant != NULL) tn_map_set(kept, binding->name, binding->constant);
  binding->state = binding->constant != NULL ? TN_BINDING_READY : TN_BINDING_POISONED;
  if (binding->constant != NULL) binding->constant->loc = loc;
}

void tn_scope_declare_nodes(tn_scope *scope) {
  for (size_t i = 0; i < scope->n_nodes; i++) {
    const tn_onnx_node *node = scope->nodes[i];
    for (size_t k = 0; k < node->n_output; k++) {
      if (node->output[k][0] == '\0') continue;
      bool taken = tn_scope_find(scope, node->output[k]) != NULL;
      tn_binding *binding = tn_scope_declare(scope, node->output[k], taken ? tn_scope_node_loc(scope, i) : TN_LOC_NONE);
      if (binding == NULL) continue;
      binding->from = TN_BOUND_NODE;
      binding->node_index = i;
    }
  }
}

void tn_scope_declare_graph(tn_scope *scope, const tn_onnx_graph *graph) {
  scope->nodes = graph->node;
  scope->n_nodes = graph->n_node;
  for (size_t i = 0; i < graph->n_initializer; i++) declare_initialiser(scope, graph->initializer[i]);
  for (size_t i = 0; i < graph->n_sparse_initializer; i++) {
    const Onnx__TensorProto *values = graph->sparse_initializer[i]->values;
    const char *name = values != NULL && values->name != NULL ? values->name : "";
    tn_error(scope->importer->ctx, tensor_loc(scope, name), TN_E_ONNX_TENSOR, "sparse initialisers are not supported");
    tn_binding *binding = name[0] != '\0' ? tn_scope_declare(scope, name, tensor_loc(scope, name)) : NULL;
    if (binding != NULL) binding->state = TN_BINDING_POISONED;
  }
  tn_scope_declare_nodes(scope);
}

tn_binding *tn_scope_find(const tn_scope *scope, const char *name) {
  return tn_map_get(&scope->names, key_of(scope, name));
}

/* The binding of a constant in one of the graphs around scope. */
static tn_binding *find_outer_constant(const tn_scope *scope, const char *name) {
  for (const tn_scope *outer = scope->outer; outer != NULL; outer = outer->outer) {
    tn_binding *binding = tn_scope_find(outer, name);
    if (binding != NULL) return binding->constant != NULL || binding->state == TN_BINDING_POISONED ? binding : NULL;
  }
  return NULL;
}

tn_value *tn_scope_value(tn_scope *scope, const char *name, tn_loc loc, bool *out_poisoned) {
  tn_ctx *ctx = scope->importer->ctx;
  tn_binding *binding = tn_scope_find(scope, name);
  if (binding == NULL) {
    tn_binding *outer = find_outer_constant(scope, name);
    if (outer != NULL) {
      binding = tn_scope_declare(scope, name, outer->loc);
      const char *own = binding->name;
      *binding = *outer;
      binding->name = own;
      binding->value = NULL;
    }
  }
  *out_poisoned = binding == NULL || binding->state != TN_BINDING_READY;
  if (binding == NULL)
    tn_error(ctx, loc, TN_E_ONNX_UNDEFINED, "'%s' is not defined by any input, initialiser or node",
             tn_onnx_display(ctx, name));
  if (*out_poisoned) return NULL;
  if (binding->value == NULL && !binding->is_omitted) {
    tn_loc_push(ctx, binding->constant->loc);
    binding->value = tn_build_const(&scope->build, binding->constant);
    if (binding->value != NULL) binding->value->name = tn_onnx_display(ctx, binding->name);
    tn_loc_pop(ctx);
  }
  return binding->value;
}

int64_t tn_scope_opset(const tn_scope *scope, const char *domain) {
  domain = tn_onnx_domain(domain);
  for (size_t i = 0; i < scope->n_opsets; i++)
    if (strcmp(tn_onnx_domain(scope->opsets[i]->domain), domain) == 0) return scope->opsets[i]->version;
  return -1;
}

/* Adds what graph and the bodies inside it use; bound: names that enclosing bodies define. The depth is that of the
 * file's nesting, which the wire scan bounds. */
static void add_free_names(tn_importer *importer, const tn_onnx_graph *graph, tn_map *out_names) {
  tn_map own = tn_map_create(importer->scratch), used = tn_map_create(importer->scratch);
  tn_ctx *ctx = importer->ctx;
  for (size_t i = 0; i < graph->n_input; i++)
    if (graph->input[i]->name != NULL) tn_map_set(&own, tn_name(ctx, graph->input[i]->name), importer);
  for (size_t i = 0; i < graph->n_initializer; i++)
    if (graph->initializer[i]->name != NULL) tn_map_set(&own, tn_name(ctx, graph->initializer[i]->name), importer);
  for (size_t i = 0; i < graph->n_node; i++) {
    const tn_onnx_node *node = graph->node[i];
    for (size_t k = 0; k < node->n_output; k++) tn_map_set(&own, tn_name(ctx, node->output[k]), importer);
    for (size_t k = 0; k < node->n_input; k++) tn_map_set(&used, tn_name(ctx, node->input[k]), importer);
    for (size_t k = 0; k < node->n_attribute; k++)
      if (node->attribute[k]->g != NULL) add_free_names(importer, node->attribute[k]->g, &used);
  }
  for (size_t i = 0; i < graph->n_output; i++)
    if (graph->output[i]->name != NULL) tn_map_set(&used, tn_name(ctx, graph->output[i]->name), importer);
  for (size_t i = 0; i < used.n; i++) {
    const char *name = (const char *)used.entries[i].key;
    if (name[0] != '\0' && !tn_map_has(&own, name)) tn_map_set(out_names, name, importer);
  }
}

void tn_scope_free_names(tn_importer *importer, const tn_onnx_graph *graph, tn_map *out_names) {
  add_free_names(importer, graph, out_names);
}

/* The depth-first walk that orders nodes. */
typedef struct visit {
  size_t node;
  size_t next;      /* which of its names to look at next */
  const char **names;
  size_t n_names;
} visit;

typedef struct ordering {
  tn_scope *scope;
  uint8_t *state; /* 0 not seen, 1 on the stack, 2 done */
  size_t *order;
  size_t n;
  TN_VEC(visit) stack;
} ordering;

/* Gradient names the tensor that it differentiates in an attribute. */
static void add_named_tensor(tn_importer *importer, const tn_onnx_node *node, tn_map *names) {
  for (size_t i = 0; i < node->n_attribute; i++) {
    const Onnx__AttributeProto *attr = node->attribute[i];
    if (attr->name == NULL || strcmp(attr->name, "y") != 0 || attr->s.len == 0) continue;
    const char *name = tn_name(importer->ctx, tn_arena_printf(importer->scratch, "%.*s", (int)attr->s.len,
                                                               (const char *)attr->s.data));
    tn_map_set(names, name, importer);
  }
}

/* What a node reads: its inputs, what its bodies use from outside, and what an attribute names. */
static visit visit_node(ordering *o, size_t index) {
  tn_importer *importer = o->scope->importer;
  const tn_onnx_node *node = o->scope->nodes[index];
  bool has_body = false, is_gradient = node->op_type != NULL && strcmp(node->op_type, "Gradient") == 0;
  for (size_t i = 0; i < node->n_attribute; i++) has_body = has_body || node->attribute[i]->g != NULL;
  visit v = {.node = index, .names = (const char **)node->input, .n_names = node->n_input};
  o->state[index] = 1;
  if (!has_body && !is_gradient) return v;
  tn_map names = tn_map_create(importer->scratch);
  for (size_t i = 0; i < node->n_input; i++) tn_map_set(&names, tn_name(importer->ctx, node->input[i]), importer);
  for (size_t i = 0; i < node->n_attribute; i++)
    if (node->attribute[i]->g != NULL) add_free_names(importer, node->attribute[i]->g, &names);
  if (is_gradient) add_named_tensor(importer, node, &names);
  v.names = TN_NEW_N(importer->scratch, const char *, names.n);
  v.n_names = names.n;
  for (size_t i = 0; i < names.n; i++) v.names[i] = (const char *)names.entries[i].key;
  return v;
}

/* The node that makes name, or SIZE_MAX. */
static size_t producer_of(const ordering *o, const char *name) {
  tn_binding *binding = name[0] != '\0' ? tn_scope_find(o->scope, name) : NULL;
  return binding != NULL && binding->from == TN_BOUND_NODE ? binding->node_index : SIZE_MAX;
}

/* The circle is what lies on the stack from node up. What is on the stack gets no place in the order; what it would
 * have made counts as poisoned, and the rest of the graph is looked at as usual. */
static void report_cycle(ordering *o, size_t node) {
  size_t from = o->stack.n - 1;
  while (o->stack.data[from].node != node) from--;
  tn_ctx *ctx = o->scope->importer->ctx;
  tn_error(ctx, tn_scope_node_loc(o->scope, node), TN_E_ONNX_CYCLE, "%zu node%s depend on each other in a circle",
           o->stack.n - from, o->stack.n - from == 1 ? "" : "s");
  for (size_t i = from; i < o->stack.n && i < from + 8; i++)
    tn_note(ctx, tn_scope_node_loc(o->scope, o->stack.data[i].node), "this node is in the circle");
  for (size_t i = 0; i < o->stack.n; i++) o->state[o->stack.data[i].node] = 2;
  o->stack.n = 0;
}

static void walk_from(ordering *o, size_t root) {
  tn_arena *scratch = o->scope->importer->scratch;
  if (o->state[root] != 0) return;
  TN_VEC_PUSH(scratch, &o->stack, visit_node(o, root));
  while (o->stack.n > 0) {
    visit *top = &o->stack.data[o->stack.n - 1];
    if (top->next == top->n_names) {
      o->state[top->node] = 2;
      o->order[o->n++] = top->node;
      o->stack.n--;
      continue;
    }
    size_t producer = producer_of(o, top->names[top->next++]);
    if (producer == SIZE_MAX || o->state[producer] == 2) continue;
    if (o->state[producer] == 1) report_cycle(o, producer);
    else TN_VEC_PUSH(scratch, &o->stack, visit_node(o, producer));
  }
}

void tn_scope_order(tn_scope *scope, const char *const *roots, size_t n_roots, size_t **out_order, size_t *out_n) {
  tn_arena *scratch = scope->importer->scratch;
  ordering o = {.scope = scope, .state = TN_NEW_N(scratch, uint8_t, scope->n_nodes),
                .order = TN_NEW_N(scratch, size_t, scope->n_nodes)};
  for (size_t i = 0; roots == NULL && i < scope->n_nodes; i++) walk_from(&o, i);
  for (size_t i = 0; roots != NULL && i < n_roots; i++) {
    size_t node = producer_of(&o, roots[i]);
    if (node != SIZE_MAX) walk_from(&o, node);
  }
  *out_order = o.order;
  *out_n = o.n;
}
