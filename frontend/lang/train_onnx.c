/* The model of a training program as an ONNX file that lacks its weights: of its graph they are no inputs but what
 * `./model export --onnx` adds (runtime/training.h, onnx). It is made in a context of its own, so that a model that has
 * no form in ONNX is none the worse for it: the reason becomes a part of the plan instead. */
#include "frontend/lang/job.h"
#include "frontend/onnx/onnx.h"
#include "ir/export.h"

/* Beyond this the file could not hold the weights. */
enum { MAX_TEMPLATE_BYTES = 1 << 28 };

static bool append(void *user, const void *data, size_t bytes) {
  tn_buf_append(user, data, bytes);
  return true;
}

static const char *first_error(const tn_ctx *ctx) {
  for (size_t i = 0; i < ctx->diags.n; i++)
    if (ctx->diags.data[i].severity == TN_ERROR) return ctx->diags.data[i].text;
  return "it cannot be written as ONNX";
}

/* The weights' inputs go; names: what they are called in the file, interned in ctx. */
static void take_weights(tn_ctx *ctx, const tn_job *job, tn_export_graph *graph, const char **names) {
  for (size_t i = 0; i < job->weights.n; i++) names[i] = tn_name(ctx, graph->inputs.data[job->n_inputs + i].name);
  graph->inputs.n = job->n_inputs;
}

static bool write_model(tn_ctx *own, const char *path, const tn_lang_options *options, const char *producer,
                        tn_ctx *ctx, tn_buf *out, const char ***out_names, size_t *out_n) {
  tn_job job;
  tn_export from;
  if (!tn_job_open(&job, own, path, options, false)) return false;
  bool ok = tn_job_make_predict(&job) && tn_export_func(own, job.s->func, &from);
  if (ok) {
    *out_n = job.weights.n;
    *out_names = TN_NEW_N(ctx->arena, const char *, job.weights.n + 1);
    take_weights(ctx, &job, from.main, *out_names);
    tn_onnx_sink sink = {append, out};
    ok = tn_onnx_write(&from, producer, "", NULL, sink, sink);
  }
  tn_module_destroy(job.s->module);
  return ok;
}

void tn_lang_plan_onnx(tn_ctx *ctx, const char *path, const tn_lang_options *options, const char *producer,
                       tn_tables *plan, tnrt_training *head) {
  tn_ctx *own = tn_ctx_create((tn_oom){0});
  tn_buf model = tn_buf_create(ctx->arena);
  const char **names;
  size_t n;
  bool ok = write_model(own, path, options, producer, ctx, &model, &names, &n);
  if (ok && model.n <= MAX_TEMPLATE_BYTES) {
    uint32_t *places = TN_NEW_N(ctx->arena, uint32_t, n + 1);
    for (size_t i = 0; i < n; i++) places[i] = tn_tables_text(plan, names[i]);
    head->onnx_names = (uint32_t)tn_tables_add(plan, places, n, sizeof(*places));
    head->onnx = tn_tables_add(plan, model.data, model.n, 1);
    head->onnx_bytes = model.n;
  } else {
    const char *why = ok ? "its constants are too large for a file of ONNX" : first_error(own);
    head->onnx_names = tn_tables_text(plan, tn_name(ctx, why));
  }
  tn_ctx_destroy(own);
}
