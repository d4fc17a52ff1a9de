/* A file with a train block becomes the models and the plan of a training program. */
#include <string.h>

#include "frontend/lang/job.h"

bool tn_lang_is_trained(tn_ctx *ctx, const char *path, const tn_lang_options *options) {
  if (options->weights || options->has_init) return false;
  tn_sema *s = tn_sema_create(ctx, options);
  size_t before = ctx->n_errors;
  bool is_trained = false;
  if (tn_sema_load(s, path) && ctx->n_errors == before) {
    const tn_decl *entry = tn_entry_find(s, false);
    is_trained = entry && tn_training_of(s->main, entry->name).train;
    if (is_trained) tn_entry_find(s, true);
  }
  tn_module_destroy(s->module);
  return is_trained;
}

/* --- The plan --- */

/* Of what a checkpoint has to agree with. */
static uint64_t digest_of(const tn_job *job, const tnrt_training *head, const tn_tables *plan) {
  uint64_t hash = tn_hash_bytes(0, &head->n_states, sizeof(head->n_states));
  const uint32_t *states = (const uint32_t *)(const void *)(plan->bytes.data + head->state_names);
  for (uint32_t i = 0; i < head->n_states; i++) {
    const char *name = plan->bytes.data + states[i];
    hash = tn_hash_bytes(hash, name, strlen(name) + 1);
  }
  for (size_t i = 0; i < job->weights.n; i++) {
    const tn_weight *weight = job->weights.data[i].weight;
    hash = tn_hash_bytes(hash, weight->path, strlen(weight->path) + 1);
    const tn_type *kept = tn_job_kept(job, &job->weights.data[i]);
    tn_dtype dtype = kept ? kept->dtype : weight->type->dtype;
    hash = tn_hash_bytes(hash, &dtype, sizeof(dtype));
    for (uint32_t k = 0; k < weight->type->ndim; k++) {
      int64_t extent = tn_dim_value(weight->type->dims[k]);
      hash = tn_hash_bytes(hash, &extent, sizeof(extent));
    }
  }
  return hash;
}

static bool read_int(const tn_job *job, const char *name, int64_t otherwise, int64_t *out) {
  const tn_ast_stmt *stmt = tn_setting_of(job->train->body, name);
  *out = otherwise;
  return !stmt || tn_eval_static_int(job->c.frame, stmt->value, name, out);
}

static bool plan_settings(const tn_job *job, tnrt_training *head) {
  int64_t seed;
  const tn_ast_body *body = job->train->body;
  const tn_ast_stmt *last = tn_setting_of(body, "last"), *bits = tn_setting_of(body, "reproducible");
  const char *word = bits && bits->value->kind == TN_AST_NAME ? bits->value->name : "run";
  head->drops_last = last && last->value->kind == TN_AST_NAME && strcmp(last->value->name, "drop") == 0;
  head->reproducible = strcmp(word, "none") == 0    ? TNRT_REPRODUCIBLE_NONE
                       : strcmp(word, "world") == 0 ? TNRT_REPRODUCIBLE_WORLD
                                                    : TNRT_REPRODUCIBLE_RUN;
  if (!read_int(job, "seed", 0, &seed) || !read_int(job, "batch", 32, &head->batch) ||
      !read_int(job, "micro", head->batch, &head->micro) || !read_int(job, "steps", 0, &head->steps) ||
      !read_int(job, "epochs", 0, &head->epochs))
    return false;
  head->seed = (uint64_t)seed;
  return true;
}

static const char *file_name(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

/* All but the metrics, which come with their graph. */
static bool make_plan(const tn_job *job, tn_tables *plan, tnrt_training *head) {
  tn_ctx *ctx = job->s->ctx;
  head->name = tn_tables_text(plan, job->model->name);
  head->source_text = tn_tables_text(plan, tn_name(ctx, file_name(job->s->main->path)));
  bool ok = tn_job_plan_weights(job, plan, head);
  ok = tn_job_check_limits(job) && ok;
  ok = tn_job_plan_fields(job, plan, head) && ok;
  ok = tn_job_plan_source(job, plan, &head->source) && ok;
  ok = tn_job_plan_rates(job, plan, head) && ok;
  ok = tn_job_plan_precision(job, head) && ok;
  ok = tn_job_plan_events(job, plan, head) && ok;
  ok = tn_job_plan_parallel(job, plan, head) && ok;
  return plan_settings(job, head) && ok;
}

/* --- The models --- */

/* Models of gradients: without fields, and in modules of their own. */
static bool is_update(tn_lang_part part) {
  return part == TN_LANG_UPDATE || part == TN_LANG_SHARD || part == TN_LANG_NORM;
}

static bool is_needed(const tnrt_training *head, tn_lang_part part) {
  if (part == TN_LANG_SHARD) return head->zero;
  return part != TN_LANG_NORM || (head->zero && head->reproducible == TNRT_REPRODUCIBLE_WORLD);
}

/* Fields that a model has: the model's inputs, and those that the train block names where it computes the loss. */
static const uint8_t *mask_of(const tn_job *job, tn_arena *arena, tn_lang_part part) {
  uint8_t *mask = TN_NEW_N(arena, uint8_t, job->fields.n + 1);
  bool has_loss = part != TN_LANG_PREDICT && part != TN_LANG_FIT;
  for (size_t i = 0; i < job->fields.n && !is_update(part); i++)
    mask[i] = has_loss ? job->fields.data[i].is_used : job->fields.data[i].is_input;
  return mask;
}

typedef struct program {
  tn_ctx *ctx;
  const char *path;
  const tn_lang_options *options;
  tn_lang_options whole, part; /* the same with the batch bounded by `batch`, and by `micro` */
  const char *producer;
  tn_tables plan;
  tnrt_training head;
  tn_lang_training *out;
} program;

/* No run has more samples than a batch, so that memory is planned for that many. */
static bool bound_batch(program *p) {
  tn_job job;
  int64_t batch, micro;
  p->whole = p->part = *p->options;
  if (!tn_job_open(&job, p->ctx, p->path, p->options, false)) return false;
  const tn_value *first = job.s->func->body->params.data[0];
  const tn_symbol *symbol = tn_dim_lone_symbol(first->type->dims[0]);
  bool ok = read_int(&job, "batch", 32, &batch) && read_int(&job, "micro", batch, &micro);
  if (ok && symbol && symbol->hi > batch) {
    uint32_t n = p->options->n_bounds;
    const char *name = symbol->label ? symbol->label : tn_namef(p->ctx, "%s_0", first->name); /* as ONNX files say it */
    tn_lang_bounds *bounds[2];
    for (int k = 0; k < 2; k++) {
      bounds[k] = TN_NEW_N(p->ctx->arena, tn_lang_bounds, n + 1);
      for (uint32_t i = 0; i < n; i++) bounds[k][i] = p->options->bounds[i];
      bounds[k][n] = (tn_lang_bounds){name, 0, k == 0 ? batch : micro};
    }
    p->whole.bounds = bounds[0];
    p->part.bounds = bounds[1];
    p->whole.n_bounds = p->part.n_bounds = n + 1;
  }
  tn_module_destroy(job.s->module);
  return ok;
}

static bool make_part(program *p, tn_lang_part part) {
  tn_job job;
  bool is_grad = part == TN_LANG_GRAD || part == TN_LANG_TRACE, is_step = part == TN_LANG_STEP || is_grad, ok = true;
  const tn_lang_options *options = &p->whole;
  if (part == TN_LANG_GRAD || part == TN_LANG_EVAL || part == TN_LANG_FIT) options = &p->part;
  if (!tn_job_open(&job, p->ctx, p->path, options, is_step)) return false;
  tn_module *module = job.s->module;
  module->source = p->path;
  if (part == TN_LANG_FIT && !job.fits.n) return tn_module_destroy(module), true;
  if (part == TN_LANG_STEP) { /* the session that knows which statistics run */
    p->out->name = job.model->name;
    p->out->n_fields = (uint32_t)job.fields.n;
    p->out->n_weights = (uint32_t)job.weights.n;
    p->head.producer = tn_tables_text(&p->plan, tn_name(p->ctx, p->producer));
    ok = make_plan(&job, &p->plan, &p->head);
    p->out->remat = job.remat.is_on;
    p->out->remat_budget = job.remat.budget;
    p->out->remat_keeps = job.remat.keep_every > 0;
    if (ok) p->head.digest = digest_of(&job, &p->head, &p->plan);
    p->head.has_noise = job.mode.noise != NULL;
  }
  switch (part) {
    case TN_LANG_STEP:
    case TN_LANG_GRAD:
    case TN_LANG_TRACE: ok = ok && tn_job_make_step(&job, is_grad); break;
    case TN_LANG_EVAL: ok = ok && tn_job_make_eval(&job, &p->plan, &p->head); break;
    case TN_LANG_PREDICT: ok = ok && tn_job_make_predict(&job); break;
    case TN_LANG_FIT: ok = ok && tn_job_make_fit(&job); break;
    default:
      module = !ok ? NULL : tn_job_make_update(&job, part == TN_LANG_SHARD  ? tn_train_shard
                                                     : part == TN_LANG_NORM ? tn_train_norm
                                                                            : tn_train_update);
      ok = module != NULL;
      break;
  }
  p->out->fields[part] = mask_of(&job, p->ctx->arena, part);
  p->out->modules[part] = ok ? module : NULL;
  if (!ok || is_update(part)) tn_module_destroy(job.s->module);
  return ok;
}

tn_module *tn_lang_train_again(tn_ctx *ctx, const char *path, const tn_lang_options *options, tn_lang_part part) {
  program p = {.ctx = ctx, .path = path, .options = options};
  tn_job job;
  if (!bound_batch(&p) || !tn_job_open(&job, ctx, path, part == TN_LANG_GRAD ? &p.part : &p.whole, true)) return NULL;
  job.s->module->source = path;
  if (tn_job_make_step(&job, part == TN_LANG_GRAD)) return job.s->module;
  tn_module_destroy(job.s->module);
  return NULL;
}

bool tn_lang_train(tn_ctx *ctx, const char *path, const tn_lang_options *options, const char *producer,
                   tn_lang_training *out) {
  static const tn_lang_part order[] = {TN_LANG_STEP, TN_LANG_EVAL, TN_LANG_PREDICT, TN_LANG_GRAD, TN_LANG_UPDATE,
                                       TN_LANG_TRACE, TN_LANG_SHARD, TN_LANG_NORM, TN_LANG_FIT};
  program p = {.ctx = ctx, .path = path, .options = options, .producer = producer,
               .plan = tn_tables_create(ctx->arena), .out = out};
  *out = (tn_lang_training){0};
  size_t before = ctx->n_errors;
  bool ok = tn_lang_check_again(ctx, path, options) && bound_batch(&p);
  for (size_t i = 0; i < TN_ARRAY_LEN(order) && ok; i++)
    ok = !is_needed(&p.head, order[i]) || (make_part(&p, order[i]) && ctx->n_errors == before);
  if (ok) tn_lang_plan_onnx(ctx, path, options, producer, &p.plan, &p.head);
  if (ok && !tn_tables_finish(&p.plan, &p.head))
    ok = tn_error(ctx, TN_LOC_NONE, TN_E_LIMIT, "the plan of the training is longer than 4 GB");
  if (!ok)
    for (uint32_t i = 0; i < TN_LANG_N_PARTS; i++)
      if (out->modules[i]) tn_module_destroy(out->modules[i]);
  out->plan = p.plan.bytes.data;
  out->plan_bytes = p.plan.bytes.n;
  out->statics = p.plan.statics.data;
  out->n_statics = p.plan.statics.n;
  return ok;
}
