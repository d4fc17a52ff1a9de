/* Writes each right sample of the op table as a graph of its own: op_samples FOLDER. Prints a line for each: name,
 * range of the data, and for each input whether it holds indices (i) or data (d). */
#include <stdio.h>
#include <string.h>

#include "ir/build.h"
#include "ir/text.h"

#define MAX_OPERANDS 16

static tn_node *build_sample(tn_module *module, tn_func *func, const tn_opdef *op, const tn_op_sample *sample) {
  tn_value *operands[MAX_OPERANDS] = {NULL};
  uint32_t n = 0;
  for (; sample->operands[n] && n < MAX_OPERANDS; n++) {
    if (strcmp(sample->operands[n], "-") == 0) continue;
    const tn_type *type = tn_text_parse_type(module->ctx, sample->operands[n]);
    operands[n] = tn_block_add_param(func->body, type, tn_namef(module->ctx, "x%u", n));
  }
  const tn_symbol *b = tn_symbol_find(module->ctx, "B");
  if (b) TN_VEC_PUSH(module->arena, &module->symbols, b);
  tn_attr *attrs = sample->attrs ? tn_text_parse_attrs(module, op, sample->attrs) : NULL;
  if (sample->attrs && !attrs) return NULL;
  return tn_node_create(func->body, NULL, op, operands, n, attrs);
}

static bool write_text(const tn_module *module, const char *folder, const char *name) {
  char path[4096];
  tn_buf text = tn_buf_create(module->ctx->arena);
  tn_text_print(module, TN_TEXT_GRAPH, &text);
  if (snprintf(path, sizeof path, "%s/%s.tnir", folder, name) >= (int)sizeof path) return false;
  FILE *file = fopen(path, "w");
  bool ok = file && fwrite(text.data, 1, text.n, file) == text.n;
  return file && fclose(file) == 0 && ok;
}

static bool write_sample(const char *folder, const tn_opdef *op, uint32_t index) {
  const tn_op_sample *sample = &op->samples[index];
  tn_ctx *ctx = tn_ctx_create((tn_oom){0});
  tn_module *module = tn_module_create(ctx);
  tn_func *func = tn_func_create(module, "sample", true);
  tn_node *node = build_sample(module, func, op, sample);
  const char *name = tn_namef(ctx, "%s_%u", op->name, index);
  bool ok = node != NULL;
  if (ok) {
    tn_build build = tn_build_at_end(func->body);
    for (uint32_t i = 0; i < node->n_results; i++)
      TN_VEC_PUSH(module->arena, &func->result_names, tn_namef(ctx, "y%u", i));
    tn_build_return(&build, node->results, node->n_results);
    ok = write_text(module, folder, name);
    printf("%s %g %g ", name, sample->lo, sample->hi);
    for (uint32_t i = 0; sample->operands[i]; i++) {
      uint32_t k = i < op->n_operands ? i : op->n_operands - 1;
      if (strcmp(sample->operands[i], "-") != 0) putchar(op->operands[k].role == TN_ROLE_INDEX ? 'i' : 'd');
    }
    putchar('\n');
  }
  tn_module_destroy(module);
  tn_ctx_destroy(ctx);
  return ok;
}

int main(int argc, char **argv) {
  bool ok = argc == 2;
  for (uint32_t i = 0; i < tn_op_count() && ok; i++) {
    const tn_opdef *op = tn_op_at(i);
    for (uint32_t k = 0; k < op->n_samples && ok; k++)
      if (op->samples[k].expect) ok = write_sample(argv[1], op, k);
  }
  return ok ? 0 : 1;
}
