/* Loads one ONNX file and prints what was found: diagnostics, else the signature and the number of nodes. For tests
 * that measure or damage the reader alone.
 *   onnx_load [--dim=X] [--input-shape=X] [--outputs=a,b] [--data-root=DIR] [--files] FILE
 * Exit 0, 1 for errors of the input, 71 when memory gives out. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/onnx/onnx.h"

static void out_of_memory(void *user, size_t wanted) {
  (void)user;
  fprintf(stderr, "out of memory: %zu bytes wanted\n", wanted);
  exit(71);
}

static void print_diags(const tn_ctx *ctx) {
  static const char *const words[] = {"note", "warning", "error", "help"};
  tn_buf line = tn_buf_create(ctx->arena);
  for (size_t i = 0; i < ctx->diags.n; i++) {
    const tn_diag *diag = &ctx->diags.data[i];
    line.n = 0;
    tn_loc_print(ctx, diag->loc, &line);
    tn_buf_printf(&line, "%s%s: %s", line.n > 0 ? ": " : "", words[diag->severity], diag->text);
    if (!tn_severity_is_remark(diag->severity)) tn_buf_printf(&line, " [%s]", tn_diag_code_name(diag->code));
    printf("%s\n", line.data);
  }
  printf("%zu errors\n", ctx->n_errors);
}

static void print_value(tn_ctx *ctx, const char *what, const char *name, const tn_type *type) {
  tn_buf line = tn_buf_create(ctx->arena);
  tn_type_print(type, &line);
  printf("%s '%s' %s\n", what, name, line.data);
}

static void print_module(tn_ctx *ctx, const tn_module *module) {
  const tn_func *func = module->funcs.data[0];
  size_t n_nodes = 0, bytes = 0;
  for (const tn_node *node = func->body->first; node != NULL; node = node->next) n_nodes++;
  for (size_t i = 0; i < module->symbols.n; i++) {
    const tn_symbol *symbol = module->symbols.data[i];
    printf("symbol %s '%s' %lld..%lld\n", symbol->name, symbol->label != NULL ? symbol->label : "",
           (long long)symbol->lo, (long long)symbol->hi);
  }
  for (size_t i = 0; i < func->body->params.n; i++)
    print_value(ctx, "input", func->body->params.data[i]->name, func->body->params.data[i]->type);
  for (uint32_t i = 0; i < func->body->last->n_operands; i++)
    print_value(ctx, "output", func->result_names.data[i], func->body->last->operands[i].value->type);
  for (size_t i = 0; i < module->consts.n; i++) bytes += tn_const_bytes(module->consts.data[i]);
  printf("%zu nodes, %zu constants of %zu bytes\n", n_nodes, module->consts.n, bytes);
}

/* Splits text at commas into options->outputs. */
static void take_outputs(tn_ctx *ctx, const char *text, tn_onnx_options *options) {
  const char **names = TN_NEW_N(ctx->arena, const char *, strlen(text) + 1);
  while (*text != '\0') {
    size_t n = strcspn(text, ",");
    names[options->n_outputs++] = tn_intern(ctx->strings, text, n);
    text += n + (text[n] == ',');
  }
  options->outputs = names;
}

static const char *value_of(const char *argument, const char *option) {
  size_t n = strlen(option);
  return strncmp(argument, option, n) == 0 ? argument + n : NULL;
}

int main(int argc, char **argv) {
  tn_ctx *ctx = tn_ctx_create((tn_oom){.handler = out_of_memory});
  tn_onnx_dim dims[16];
  tn_onnx_shape shapes[16];
  tn_onnx_files files = {0};
  tn_onnx_options options = {.dims = dims, .shapes = shapes, .files = &files};
  bool ok = argc >= 2, list_files = false;
  for (int i = 1; i + 1 < argc && ok; i++) {
    const char *dim = value_of(argv[i], "--dim="), *shape = value_of(argv[i], "--input-shape=");
    const char *outputs = value_of(argv[i], "--outputs="), *root = value_of(argv[i], "--data-root=");
    if (dim != NULL) ok = options.n_dims < 16 && tn_onnx_parse_dim(ctx, dim, &dims[options.n_dims++]);
    else if (shape != NULL) ok = options.n_shapes < 16 && tn_onnx_parse_shape(ctx, shape, &shapes[options.n_shapes++]);
    else if (outputs != NULL) take_outputs(ctx, outputs, &options);
    else if (root != NULL) options.data_root = root;
    else ok = list_files = strcmp(argv[i], "--files") == 0;
  }
  tn_module *module = ok ? tn_onnx_load(ctx, argv[argc - 1], &options) : NULL;
  if (module == NULL) print_diags(ctx);
  else print_module(ctx, module);
  for (size_t i = 0; list_files && i < files.n; i++) printf("file %s\n", files.data[i]);
  int status = module == NULL;
  tn_module_destroy(module);
  tn_ctx_destroy(ctx);
  return status;
}
