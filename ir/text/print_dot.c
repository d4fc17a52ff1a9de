/* A function as a graph in the DOT language of Graphviz: a box a node, an edge a value with its type, a cluster a fused
 * group. Constants stand in the box of their user; one that several share too. */
#include "ir/text.h"
#include "ir/op.h"

/* The inside of a DOT string. */
static void put_text(tn_buf *out, const char *text) {
  for (; *text; text++) {
    if (*text == '"' || *text == '\\') tn_buf_putc(out, '\\');
    tn_buf_putc(out, *text == '\n' ? ' ' : *text);
  }
}

static void put_type(const tn_type *type, tn_buf *out) {
  tn_buf text = tn_buf_create(out->arena);
  tn_type_print(type, &text);
  put_text(out, text.data);
}

static void put_id(const tn_value *value, tn_buf *out) {
  if (!value->def) tn_buf_printf(out, "p%u", value->id);
  else tn_buf_printf(out, "n%u", value->def->results[0]->id);
}

static void put_node(const tn_ctx *ctx, const tn_node *node, const char *indent, tn_buf *out) {
  tn_buf_puts(out, indent);
  put_id(node->results[0], out);
  tn_buf_printf(out, " [label=\"%s", node->op->name);
  for (uint32_t i = 0; i < node->n_operands; i++) {
    const tn_value *operand = node->operands[i].value;
    tn_const *constant = operand ? tn_value_const(operand) : NULL;
    if (!constant) continue;
    tn_buf_puts(out, "\\n@");
    put_text(out, constant->name);
    tn_buf_puts(out, " ");
    put_type(constant->type, out);
  }
  tn_buf_puts(out, "\", tooltip=\"");
  tn_buf place = tn_buf_create(out->arena);
  tn_loc_print_name(ctx, node->loc, &place);
  put_text(out, place.n ? place.data : "");
  tn_buf_puts(out, "\"];\n");
}

static void put_edges(const tn_node *node, tn_buf *out) {
  for (uint32_t i = 0; i < node->n_operands; i++) {
    const tn_value *operand = node->operands[i].value;
    if (!operand || tn_value_const(operand)) continue;
    tn_buf_puts(out, "  ");
    put_id(operand, out);
    tn_buf_puts(out, " -> ");
    put_id(node->results[0], out);
    tn_buf_puts(out, " [label=\"");
    if (*operand->name) put_text(out, operand->name), tn_buf_puts(out, " ");
    put_type(operand->type, out);
    tn_buf_puts(out, "\"];\n");
  }
}

static void put_ports(const tn_func *func, tn_buf *out) {
  for (size_t i = 0; i < func->body->params.n; i++) {
    const tn_value *param = func->body->params.data[i];
    tn_buf_printf(out, "  p%u [shape=ellipse, label=\"", param->id);
    put_text(out, param->name);
    tn_buf_puts(out, "\"];\n");
  }
  const tn_node *end = func->body->last;
  for (uint32_t i = 0; i < end->n_operands; i++) {
    tn_buf_printf(out, "  r%u [shape=ellipse, label=\"", i);
    put_text(out, i < func->result_names.n ? func->result_names.data[i] : "");
    tn_buf_puts(out, "\"];\n  ");
    if (tn_value_const(end->operands[i].value)) tn_buf_printf(out, "c%u [label=\"const\"];\n  c%u", i, i);
    else put_id(end->operands[i].value, out);
    tn_buf_printf(out, " -> r%u [label=\"", i);
    put_type(end->operands[i].value->type, out);
    tn_buf_puts(out, "\"];\n");
  }
}

static bool is_drawn(const tn_node *node) {
  return node->op->kind != TN_OP_TERMINATOR && node->n_results > 0 && !tn_value_const(node->results[0]);
}

/* Nodes of one group follow each other in the text, not always in the function. */
static void put_group(const tn_func *func, int32_t group, tn_buf *out) {
  tn_buf_printf(out, "  subgraph cluster_%d {\n    label=\"kernel %d\";\n", (int)group, (int)group);
  for (const tn_node *node = func->body->first; node; node = node->next)
    if (node->group == group && is_drawn(node)) put_node(func->module->ctx, node, "    ", out);
  tn_buf_puts(out, "  }\n");
}

void tn_text_print_dot(const tn_func *func, tn_buf *out) {
  int32_t n_groups = 0;
  tn_buf_puts(out, "digraph \"");
  put_text(out, func->name);
  tn_buf_puts(out, "\" {\n  node [shape=box, fontname=\"sans-serif\"];\n"
                    "  edge [fontname=\"sans-serif\", fontsize=10];\n");
  for (const tn_node *node = func->body->first; node; node = node->next) {
    if (node->group >= n_groups) n_groups = node->group + 1;
    if (node->group < 0 && is_drawn(node)) put_node(func->module->ctx, node, "  ", out);
  }
  for (int32_t group = 0; group < n_groups; group++) put_group(func, group, out);
  for (const tn_node *node = func->body->first; node; node = node->next)
    if (is_drawn(node)) put_edges(node, out);
  put_ports(func, out);
  tn_buf_puts(out, "}\n");
}
