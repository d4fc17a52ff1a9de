/* Runs an ONNX model in the reference evaluator, with the command line of an executable's `run`, so that the same test
 * scripts can drive both.
 *   onnx_eval MODEL --input NAME=FILE.npy ... --output-dir DIR
 * Exit 0, 1 for errors of the input, 71 when memory gives out. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/onnx/onnx.h"
#include "ir/eval.h"
#include "runtime/core/array.h"
#include "runtime/core/file.h"

static void out_of_memory(void *user, size_t wanted) {
  (void)user;
  fprintf(stderr, "out of memory: %zu bytes wanted\n", wanted);
  exit(71);
}

static int fail(const char *text) {
  fprintf(stderr, "error: %s\n", text);
  return 1;
}

static int print_diags(const tn_ctx *ctx) {
  tn_buf line = tn_buf_create(ctx->arena);
  for (size_t i = 0; i < ctx->diags.n; i++) {
    const tn_diag *diag = &ctx->diags.data[i];
    line.n = 0;
    tn_loc_print(ctx, diag->loc, &line);
    fprintf(stderr, "%s: %s [%s]\n", line.n > 0 ? line.data : "", diag->text, tn_diag_code_name(diag->code));
  }
  return 1;
}

/* The file of --input NAME=FILE whose NAME is the parameter's, or NULL. */
static const char *file_of(int argc, char **argv, const char *name) {
  for (int i = 2; i + 1 < argc; i += 2) {
    const char *equals = strrchr(argv[i + 1], '=');
    size_t n = equals != NULL ? (size_t)(equals - argv[i + 1]) : 0;
    if (strcmp(argv[i], "--input") == 0 && n == strlen(name) && strncmp(argv[i + 1], name, n) == 0) return equals + 1;
  }
  return NULL;
}

static tn_tensor *read_input(tn_ctx *ctx, const tn_value *param, const char *file, tnrt_message *message) {
  const tnrt_alloc *alloc = &tnrt_alloc_libc;
  uint8_t *bytes;
  size_t n;
  tnrt_array array;
  if (tnrt_file_read(message, alloc, file, &bytes, &n) != 0 || tnrt_npy_read(message, alloc, bytes, n, &array) != 0 ||
      tnrt_array_become(message, param->name, &array, (uint32_t)param->type->dtype) != 0)
    return NULL;
  return tn_tensor_from_bytes(ctx->arena, param->type->dtype, array.ndim, array.extents, array.data);
}

static int write_outputs(tn_ctx *ctx, const tn_func *func, tn_tensor *const *outputs, const char *folder) {
  tnrt_message message = {""};
  char path[4096];
  for (size_t i = 0; i < func->result_names.n; i++) {
    size_t n;
    void *data = tn_tensor_to_bytes(ctx->arena, outputs[i], &n);
    if (!tnrt_file_name(path, sizeof(path), folder, func->result_names.data[i])) return fail("path too long");
    if (tnrt_file_write_npy(&message, path, (uint32_t)outputs[i]->dtype, outputs[i]->ndim, outputs[i]->extents, data) !=
        0)
      return fail(message.text);
  }
  return 0;
}

int main(int argc, char **argv) {
  tn_ctx *ctx = tn_ctx_create((tn_oom){.handler = out_of_memory});
  tnrt_message message = {""};
  if (argc < 4 || strcmp(argv[argc - 2], "--output-dir") != 0) return fail("wrong arguments");
  tn_module *module = tn_onnx_load(ctx, argv[1], NULL);
  if (module == NULL) return print_diags(ctx);
  const tn_func *func = module->funcs.data[0];
  const tn_tensor **inputs = TN_NEW_N(ctx->arena, const tn_tensor *, func->body->params.n);
  tn_tensor **outputs = TN_NEW_N(ctx->arena, tn_tensor *, func->result_names.n);
  for (size_t i = 0; i < func->body->params.n; i++) {
    const char *file = file_of(argc, argv, func->body->params.data[i]->name);
    if (file == NULL) return fail("an input is missing");
    inputs[i] = read_input(ctx, func->body->params.data[i], file, &message);
    if (inputs[i] == NULL) return fail(message.text);
  }
  if (!tn_eval_func(ctx, ctx->arena, func, TN_EVAL_EXACT, inputs, (uint32_t)func->body->params.n, outputs))
    return print_diags(ctx);
  int status = write_outputs(ctx, func, outputs, argv[argc - 1]);
  tn_module_destroy(module);
  tn_ctx_destroy(ctx);
  return status;
}
