/* Evaluates losses and metrics of the language by the reference. Standard input, any number of times:
 *
 *   EXPRESSION                              a line, of the names below
 *   N                                       tensors, each:
 *   NAME DTYPE CLASSES NDIM EXTENTS.. ELEMENTS..   CLASSES 0: no label of class[.., C]
 *
 * The first extent of each tensor is the batch, known while running only. For a loss it prints "loss VALUE", then
 * "gradient" and the gradient in the first tensor; for a metric "metric KIND AVERAGE N", the numbers of
 * runtime/training.h, then "statistics" and the elements of each of the N tensors; "error CODE TEXT" for what is
 * refused. */
#include <stdio.h>
#include <string.h>

#include "frontend/lang/builtin.h"
#include "ir/gradient.h"

#define MAX_TENSORS 4

typedef struct input {
  char name[16], dtype[16];
  int classes, ndim;
  tn_tensor *tensor;
} input;

static bool read_input(tn_arena *arena, input *in) {
  int64_t extents[TN_MAX_NDIM];
  if (scanf("%15s %15s %d %d", in->name, in->dtype, &in->classes, &in->ndim) != 4 || in->ndim > TN_MAX_NDIM)
    return false;
  for (int i = 0; i < in->ndim; i++) {
    long long extent;
    if (scanf("%lld", &extent) != 1) return false;
    extents[i] = extent;
  }
  in->tensor = tn_tensor_create(arena, tn_dtype_find(in->dtype), (uint32_t)in->ndim, extents);
  for (int64_t k = 0; k < in->tensor->count; k++) {
    double number;
    if (scanf("%lf", &number) != 1) return false;
    in->tensor->data[k] = tn_number_cast(TN_F64, in->tensor->dtype, (tn_number){.f = number});
  }
  return true;
}

static tn_datum *declare(tn_sema *s, const input *in, const tn_dim *batch) {
  tn_axis axes[TN_MAX_NDIM];
  const tn_dim *dims[TN_MAX_NDIM];
  for (int i = 0; i < in->ndim; i++) {
    dims[i] = i == 0 ? batch : tn_dim_const(s->ctx, in->tensor->extents[i]);
    axes[i] = tn_axis_plain(dims[i], TN_LOC_NONE);
  }
  const tn_type *type = tn_type_tensor(s->ctx, in->tensor->dtype, (uint32_t)in->ndim, dims);
  tn_datum *d = tn_datum_tensor(s, tn_block_add_param(s->func->body, type, in->name), axes, TN_LOC_NONE);
  if (in->classes > 0) {
    tn_axis *classes = TN_NEW(s->arena, tn_axis);
    *classes = tn_axis_number(s, in->classes, TN_LOC_NONE);
    d->tensor.classes = classes;
  }
  return d;
}

static tn_sema *create(tn_ctx *ctx) {
  static const tn_lang_options no_options;
  tn_module *module = tn_module_create(ctx);
  tn_sema *s = TN_NEW(module->arena, tn_sema);
  *s = (tn_sema){.ctx = ctx, .arena = module->arena, .options = &no_options, .module = module,
                 .units = tn_map_create(module->arena), .stores = tn_map_create(module->arena),
                 .used_defines = tn_map_create(module->arena)};
  s->batch = tn_label_create(s, "B");
  s->func = tn_func_create(module, "loss", false);
  s->build = tn_build_at_end(s->func->body);
  return s;
}

static tn_datum *evaluate(tn_sema *s, const char *expression, const input *inputs, int n) {
  const char *text = tn_namef(s->ctx, "let e = %s", expression);
  const tn_ast_file *file = tn_lang_parse_bytes(s->ctx, "loss", text, strlen(text));
  tn_unit *unit = TN_NEW(s->arena, tn_unit);
  const tn_symbol *symbol = tn_symbol_create(s->ctx, TN_SYM_INPUT, "B", "B", 0, TN_LANG_MAX_EXTENT);
  if (!file) return NULL;
  *unit = (tn_unit){.path = "loss", .names = tn_map_create(s->arena)};
  tn_frame *frame = tn_frame_create(s, unit, NULL, TN_LOC_NONE);
  frame->sees_losses = true;
  for (int i = 0; i < n; i++)
    tn_frame_declare(frame, tn_name(s->ctx, inputs[i].name), TN_NAME_LET,
                     declare(s, &inputs[i], tn_dim_symbol(s->ctx, symbol)), TN_LOC_NONE);
  return tn_eval_expr(frame, file->items.data[0]->value);
}

static void print(const char *word, const tn_tensor *tensor) {
  printf("%s", word);
  for (int64_t k = 0; k < tensor->count; k++) printf(" %.17g", tensor->data[k].f);
  printf("\n");
}

static bool run(tn_sema *s, const tn_datum *d, const input *inputs, int n) {
  tn_value *results[3];
  uint32_t n_results = 0;
  bool is_metric = d->kind == TN_DATUM_METRIC;
  if (is_metric)
    for (; n_results < d->metric.n; n_results++) results[n_results] = d->metric.statistics[n_results];
  else {
    tn_value *loss = results[n_results++] = d->tensor.value, *ones = NULL;
    if (!tn_gradient(&s->build, &loss, &ones, 1, s->func->body->params.data, 1, &results[n_results++])) return false;
  }
  tn_build_return(&s->build, results, n_results);
  const tn_tensor *given[MAX_TENSORS];
  tn_tensor *out[3];
  for (int i = 0; i < n; i++) given[i] = inputs[i].tensor;
  if (!tn_eval_func(s->ctx, s->arena, s->func, TN_EVAL_EXACT, given, (uint32_t)n, out)) return false;
  if (is_metric) printf("metric %d %d %u\n", d->metric.kind, d->metric.average, d->metric.n);
  for (uint32_t i = 0; i < n_results; i++) print(is_metric ? "statistics" : i == 0 ? "loss" : "gradient", out[i]);
  return true;
}

static void print_error(const tn_ctx *ctx) {
  for (size_t i = 0; i < ctx->diags.n; i++) {
    if (ctx->diags.data[i].severity != TN_ERROR) continue;
    printf("error %s %s\n", tn_diag_code_name(ctx->diags.data[i].code), ctx->diags.data[i].text);
    return;
  }
}

int main(void) {
  char expression[256];
  int n;
  while (scanf(" %255[^\n] %d", expression, &n) == 2 && n <= MAX_TENSORS) {
    tn_ctx *ctx = tn_ctx_create((tn_oom){0});
    tn_sema *s = create(ctx);
    input inputs[MAX_TENSORS];
    for (int i = 0; i < n; i++)
      if (!read_input(s->arena, &inputs[i])) return 1;
    tn_datum *d = evaluate(s, expression, inputs, n);
    if (!d || !run(s, d, inputs, n)) print_error(ctx);
    tn_module_destroy(s->module);
    tn_ctx_destroy(ctx);
  }
  return 0;
}
