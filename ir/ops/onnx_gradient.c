/* ONNX Gradient (ai.onnx.preview.training): derivatives of tensors of the graph, which attributes name. */
#include <string.h>

#include "ir/gradient.h"
#include "ir/ops/onnx.h"

/* The tensors of xs and zs are the node's inputs, in this order; other tensors in their places would ask for the
 * derivative at another point. */
static bool check_inputs(tn_foreign_node *node, const tn_foreign_attr *names, uint32_t first) {
  for (uint32_t i = 0; names != NULL && i < names->n; i++) {
    tn_value *value = node->find_value(node, names->strings[i]);
    if (value == NULL) return false;
    if (first + i >= node->n_inputs)
      return tn_foreign_error(node, TN_E_ARITY, "%s names '%s', and there is no input %u", names->name,
                              names->strings[i], first + i);
    if (value != node->inputs[first + i])
      return tn_foreign_unsupported(node, "input %u other than the tensor '%s' that %s names", first + i,
                                    names->strings[i], names->name);
  }
  return true;
}

bool tn_import_gradient(tn_foreign_node *node) {
  const tn_foreign_attr *xs = tn_foreign_find(node, "xs"), *zs = tn_foreign_find(node, "zs");
  const char *name;
  if (!tn_foreign_string(node, "y", NULL, &name)) return false;
  if (name == NULL || xs == NULL || xs->kind != TN_FOREIGN_STRINGS || (zs != NULL && zs->kind != TN_FOREIGN_STRINGS))
    return tn_foreign_error(node, TN_E_ATTR, "expected a name y and lists of names xs and zs");
  tn_value *y = node->find_value(node, name), *ones = NULL;
  if (y == NULL || !check_inputs(node, xs, 0) || !check_inputs(node, zs, xs->n)) return false;
  if (node->n_outputs > xs->n)
    return tn_foreign_error(node, TN_E_ARITY, "%u outputs for the %u tensors of xs", node->n_outputs, xs->n);
  tn_value **out = TN_NEW_N(node->build->module->arena, tn_value *, xs->n + 1);
  if (!tn_gradient(node->build, &y, &ones, 1, node->inputs, xs->n, out)) return false;
  for (uint32_t i = 0; i < node->n_outputs; i++) node->outputs[i] = out[i];
  return true;
}
