/* The session of one model of a training program; see job.h. */
#include "frontend/lang/job.h"

#include <string.h>

bool tn_job_not_yet(const tn_job *job, tn_loc loc, const char *format, ...) {
  tn_buf text = tn_buf_create(job->s->arena);
  va_list args;
  va_start(args, format);
  tn_buf_vprintf(&text, format, args);
  va_end(args);
  return tn_error(job->s->ctx, loc, TN_E_LANG_NOT_YET, "%s, is not there yet", text.data);
}

static void find_blocks(tn_job *job) {
  tn_training training = tn_training_of(job->s->main, job->model->name);
  job->train = training.train;
  job->data = training.data;
  job->c = (tn_block_check){.s = job->s, .unit = job->s->main, .block = "train", .training = training,
                            .weights = job->model, .fields = TN_NEW(job->s->arena, tn_map)};
  *job->c.fields = tn_map_create(job->s->arena);
  job->c.frame = tn_frame_create(job->s, job->s->main, NULL, job->train->loc);
}

/* The functions in which types of fields are evaluated are none of the module's. */
static void drop_functions(tn_job *job) { job->s->module->funcs.n = 0; }

static bool check_batch(const tn_job *job) {
  const tn_block *body = job->s->func->body;
  tn_ctx *ctx = job->s->ctx;
  const tn_dim *batch = job->n_inputs && body->params.data[0]->type->ndim ? body->params.data[0]->type->dims[0] : NULL;
  if (!job->n_inputs)
    return tn_error(ctx, job->model->loc, TN_E_LANG_FIELD, "%s has no input: there is nothing to train it on",
                    job->model->name);
  for (uint32_t i = 0; i < job->n_inputs; i++) {
    const tn_value *input = body->params.data[i];
    if (batch && !tn_dim_is_const(batch) && input->type->ndim && input->type->dims[0] == batch) continue;
    tn_error(ctx, job->train->name.loc, TN_E_LANG_FIELD, "the first dim of each input is the batch, which training "
             "chooses; that of '%s' is another", input->name);
    tn_note(ctx, job->model->loc, "%s is declared here", job->model->name);
    if (!job->model->item->result)
      tn_help(ctx, "the file has to leave that dim open: dynamic_axes or dynamic_shapes, where PyTorch writes it");
    return false;
  }
  return true;
}

static bool open_entry(tn_job *job, const char *path, bool is_step) {
  tn_sema *s = job->s;
  tn_ctx *ctx = s->ctx;
  size_t before = ctx->n_errors;
  s->is_again = true;
  if (is_step) s->training = &job->mode;
  if (!tn_sema_load(s, path) || !(job->model = tn_entry_find(s, false))) return false;
  find_blocks(job);
  if (!tn_job_find_fields(job) || (is_step && !tn_job_read_remat(job))) return false;
  drop_functions(job);
  job->model->first_weight = s->weights.n;
  s->builds_entry = true;
  if (!tn_model_build(s, job->model)) return false;
  job->model->n_weights = s->weights.n - job->model->first_weight;
  job->n_inputs = (uint32_t)s->func->body->params.n;
  if (job->mode.noise) job->n_inputs--;
  return check_batch(job) && tn_job_type_fields(job) && tn_job_find_weights(job) && ctx->n_errors == before;
}

bool tn_job_look(tn_job *job, tn_sema *s, tn_decl *model) {
  *job = (tn_job){.s = s, .model = model};
  tn_func *func = s->func;
  tn_build build = s->build;
  const tn_map *dims = s->input_dims;
  size_t n_funcs = s->module->funcs.n;
  find_blocks(job);
  bool ok = tn_job_find_fields(job) && tn_job_look_fields(job, func->body);
  s->module->funcs.n = n_funcs;
  s->func = func;
  s->build = build;
  s->input_dims = dims;
  return ok;
}

bool tn_job_open(tn_job *job, tn_ctx *ctx, const char *path, const tn_lang_options *options, bool is_step) {
  *job = (tn_job){.s = tn_sema_create(ctx, options)};
  if (open_entry(job, path, is_step)) return true;
  tn_module_destroy(job->s->module);
  return false;
}
