/* The plan of an executable that reads records for a model with the weights of a training (runtime/core/serving.h): of
 * each input what makes texts numbers, and what that learned; of labels their classes. */
#include <string.h>
#include <unistd.h>

#include "frontend/lang/serve.h"
#include "frontend/onnx/source.h"

void tn_serve_plan_start(tn_serve_plan *plan, const tn_job *job) {
  *plan = (tn_serve_plan){.job = job, .tables = tn_tables_create(job->s->arena), .is_whole = true};
}

static void keep(tn_serve_plan *plan, const char *key, const char *text) {
  tn_sema *s = plan->job->s;
  if (!text) return;
  TN_VEC_PUSH(s->arena, &plan->fitted, tn_tables_text(&plan->tables, tn_name(s->ctx, key)));
  TN_VEC_PUSH(s->arena, &plan->fitted, tn_tables_text(&plan->tables, text));
}

/* What link k learned, whose place in this plan is the same. */
static bool keep_learned(tn_serve_plan *plan, const tn_serve_field *f, uint32_t k) {
  tn_sema *s = plan->job->s;
  tn_fitted_numbers numbers;
  const char *name = f->field->name;
  const char *words = tn_namef(s->ctx, "words.%s.%u", name, k);
  keep(plan, words, tn_fitted_text(s, words));
  if (f->links[k].kind != TNRT_LINK_BPE) return true;
  if (!tn_fitted_numbers_of(s, name, k, &numbers)) return false;
  if (numbers.data) keep(plan, tn_namef(s->ctx, "fitted.%s.%u", name, k), tn_fitted_numbers_text(s, &numbers));
  return true;
}

/* The bytes of a tokenizer's file, where it is at hand now: else the program looks for it. */
static bool keep_file(tn_serve_plan *plan, tnrt_link *link) {
  tn_sema *s = plan->job->s;
  tn_source source;
  const char *path = tn_name(s->ctx, plan->tables.bytes.data + link->text);
  if (access(path, R_OK) != 0) return true;
  if (s->options->add_file) s->options->add_file(s->options->user, path);
  if (!tn_source_open(s->ctx, path, &source)) return false;
  link->integers[0] = (int64_t)tn_tables_add(&plan->tables, source.data, source.bytes, 1);
  link->integers[1] = (int64_t)source.bytes;
  return true;
}

/* Links that make texts numbers, then, where categories are read, their numbers. */
static bool put_links(tn_serve_plan *plan, const tn_serve_field *f, tnrt_field *row) {
  bool has_categories = f->first < f->n_links && f->links[f->first].kind == TNRT_LINK_ONE_HOT;
  uint32_t n = f->first + has_categories;
  tnrt_link *links = TN_NEW_N(plan->job->s->arena, tnrt_link, n + 1);
  for (uint32_t k = 0; k < n; k++) {
    links[k] = f->links[k];
    if (!keep_learned(plan, f, k)) return false;
    if (links[k].kind == TNRT_LINK_WORDPIECE && !keep_file(plan, &links[k])) return false;
  }
  if (has_categories)
    links[f->first] = (tnrt_link){.kind = TNRT_LINK_CODE, .splits = links[f->first].splits,
                                  .integers = {!f->has_codes}};
  row->takes_missing = has_categories;
  for (uint32_t k = f->first; k < f->n_links; k++) row->takes_missing |= f->links[k].kind == TNRT_LINK_IMPUTE;
  row->n_links = n;
  row->links = (uint32_t)tn_tables_add(&plan->tables, links, n, sizeof(*links));
  return true;
}

static bool put_extent(tnrt_field *row, const tn_dim *extent) {
  if (!tn_dim_is_const(extent)) return false;
  int64_t value = row->extents[row->ndim++] = tn_dim_value(extent);
  return !value || tn_mul_i64(row->count, value, &row->count);
}

/* A sample's type: of an input, or of another field; false: a dim is not known, or the elements are too many. */
static bool put_type(tnrt_field *row, const tn_type *input, const tn_shape *shape) {
  row->dtype = (uint32_t)(input ? input->dtype : shape->dtype);
  row->count = 1;
  for (uint32_t i = 1; input && i < input->ndim; i++)
    if (!put_extent(row, input->dims[i])) return false;
  for (uint32_t i = 0; !input && i < shape->n; i++)
    if (!put_extent(row, shape->axes[i].extent)) return false;
  return !input || input->ndim > 0;
}

/* How far the windows of a stream reach decides how many there are. */
static bool is_window(const tn_serve_field *f) { return f->n_links && f->links[0].kind == TNRT_LINK_WINDOW; }

bool tn_serve_plan_add(tn_serve_plan *plan, const tn_serve_field *f, const tn_type *input) {
  tn_sema *s = plan->job->s;
  const char *name = f->field->name, *labels = tn_namef(s->ctx, "labels.%s", name);
  const char *columns = tn_namef(s->ctx, "columns.%s", name);
  tnrt_field row = {.name = tn_tables_text(&plan->tables, name), .columns = f->columns, .n_columns = f->n_columns,
                    .is_input = input != NULL};
  if (!input && !is_window(f) && (f->field->shape.n || f->n_links || !tn_fitted_text(s, labels))) return true;
  if (!put_type(&row, input, &f->field->shape)) plan->is_whole = false;
  tn_fitted_words words;
  if (!tn_fitted_labels_of(s, name, &words)) return false;
  row.n_classes = (uint32_t)words.n;
  if (!put_links(plan, f, &row)) return false;
  keep(plan, labels, tn_fitted_text(s, labels));
  keep(plan, columns, tn_fitted_text(s, columns));
  TN_VEC_PUSH(s->arena, &plan->fields, row);
  return true;
}

bool tn_serve_plan_end(tn_serve_plan *plan, tn_lang_serving *out) {
  tn_sema *s = plan->job->s;
  uint32_t n_inputs = 0;
  tnrt_training *head = &plan->head;
  for (size_t i = 0; i < plan->fields.n; i++) n_inputs += plan->fields.data[i].is_input;
  if (!out || !plan->is_whole || !tn_store_is_trained(s->store) || n_inputs != s->func->body->params.n) return true;
  if (!tn_job_plan_source(plan->job, &plan->tables, &head->source)) return false;
  head->name = tn_tables_text(&plan->tables, tn_name(s->ctx, plan->job->model->name));
  head->n_fields = (uint32_t)plan->fields.n;
  head->fields = (uint32_t)tn_tables_add(&plan->tables, plan->fields.data, plan->fields.n, sizeof(tnrt_field));
  head->n_fitted = (uint32_t)plan->fitted.n / 2;
  head->fitted = (uint32_t)tn_tables_add(&plan->tables, plan->fitted.data, plan->fitted.n, sizeof(uint32_t));
  if (!tn_tables_finish(&plan->tables, head))
    return tn_error(s->ctx, TN_LOC_NONE, TN_E_LIMIT, "the plan of the data is longer than 4 GB");
  out->plan = tn_arena_copy(s->ctx->arena, plan->tables.bytes.data, plan->tables.bytes.n);
  out->plan_bytes = plan->tables.bytes.n;
  out->has_pictures = head->source.kind == TNRT_SOURCE_IMAGES;
  return true;
}
