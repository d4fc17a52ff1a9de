/* The inputs of a model with the weights of a training; see serve.h. An input is what stands in the data before the
 * first function that computes with numbers: f64, as a record's numbers are read, u8 for pictures; a category that is
 * no number is its place in a table, i32. What turns texts into tokens stays with whoever runs the model. */
#include "frontend/lang/serve.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_PIXELS = 1 << 14 /* along a side that only a run knows */ };

bool tn_serve_number(const char *text, double *out) {
  char *end;
  size_t n = strspn(text, "0123456789.+-eE");
  *out = strtod(text, &end);
  return n > 0 && !text[n] && !*end && isfinite(*out);
}

/* --- What a field is before its functions --- */

static bool is_of_pictures(const tn_job *job) { return tn_words_have("idx images", tn_head_name(job->data->value)); }

static bool computes(const tn_serve_field *f) {
  for (uint32_t k = f->first; k < f->n_links; k++)
    if (tn_serve_acts(&f->links[k])) return true;
  return false;
}

static int by_value(const void *p, const void *q) {
  double a = *(const double *)p, b = *(const double *)q;
  return (a > b) - (a < b);
}

/* Texts of which each is another number: not "1" and "1.0". */
static bool are_numbers(tn_sema *s, const tn_fitted_words *words) {
  double *numbers = TN_NEW_N(s->arena, double, words->n + 1);
  for (size_t i = 0; i < words->n; i++)
    if (!tn_serve_number(words->data[i], &numbers[i])) return false;
  if (words->n) qsort(numbers, words->n, sizeof(*numbers), by_value);
  for (size_t i = 1; i < words->n; i++)
    if (!(numbers[i - 1] < numbers[i])) return false;
  return true;
}

/* Texts of a category are numbers where they stand in the data and all of them look so. */
static bool find_words(tn_sema *s, tn_serve_field *f) {
  if (f->first == f->n_links || f->links[f->first].kind != TNRT_LINK_ONE_HOT) return true;
  if (!tn_fitted_words_of(s, f->field->name, f->first, &f->words)) return false;
  f->has_codes = f->first > 0 || !are_numbers(s, &f->words);
  return true;
}

static bool look_at(const tn_job *job, tn_tables *plan, const tn_job_field *field, tn_serve_field *out) {
  tnrt_field row = {0};
  *out = (tn_serve_field){.field = field};
  if (!tn_job_plan_chain(job, plan, field, &row)) return false;
  out->columns = row.columns;
  out->n_columns = row.n_columns;
  out->n_links = row.n_links;
  out->links = tn_arena_copy(job->s->arena, plan->bytes.data + row.links, row.n_links * sizeof(tnrt_link));
  while (out->first < out->n_links && out->links[out->first].kind <= TNRT_LINK_WINDOW) out->first++;
  const uint32_t *columns = (const uint32_t *)(const void *)(plan->bytes.data + row.columns);
  bool is_one = row.n_columns == 1 && is_of_pictures(job);
  out->is_image = is_one && strcmp(plan->bytes.data + columns[0], "image") == 0;
  return find_words(job->s, out);
}

/* --- Its type --- */

static const tn_dim *any_side(tn_sema *s, const char *name, int64_t least) {
  const tn_symbol *symbol = tn_symbol_create(s->ctx, TN_SYM_INPUT, tn_symbol_fresh_name(s->ctx, name), name,
                                             least > 0 ? least : 0, MOST_PIXELS);
  TN_VEC_PUSH(s->module->arena, &s->module->symbols, symbol);
  return tn_dim_symbol(s->ctx, symbol);
}

/* The sides before padding, and before a part was cut out, whose place in the chain is k. */
static bool undo_picture(tn_sema *s, const tn_serve_field *f, uint32_t k, const tn_dim **dims, uint32_t n) {
  static const char *const sides[] = {"height", "width"};
  const tnrt_link *link = &f->links[k];
  int64_t padded = 0;
  for (uint32_t i = 0; i < k; i++) padded += f->links[i].kind == TNRT_LINK_PAD ? 2 * f->links[i].integers[0] : 0;
  for (uint32_t i = 0; i < 2 && n >= 2; i++) {
    const tn_dim **side = &dims[n - 2 + i];
    if (link->kind == TNRT_LINK_RANDOM_CROP)
      *side = tn_dim_add_i(s->ctx, any_side(s, tn_namef(s->ctx, "%s_%s", f->field->name, sides[i]),
                                            link->integers[i] - padded), padded);
    else *side = tn_dim_add_i(s->ctx, *side, -2 * link->integers[0]);
    if (tn_dim_is_const(*side) && tn_dim_value(*side) < 0) n = 0;
  }
  return n >= 2 || tn_error(s->ctx, f->field->stmt->value->loc, TN_E_SHAPE, "the padding of field '%s' is larger than "
                            "the field", f->field->name);
}

/* From the field's own type back along the chain. */
static const tn_type *raw_type(tn_sema *s, const tn_serve_field *f, const tn_type *input) {
  const tn_dim *dims[TN_MAX_NDIM];
  uint32_t n = input->ndim;
  memcpy(dims, input->dims, n * sizeof(*dims));
  for (uint32_t k = f->n_links; k-- > f->first;) {
    const tnrt_link *link = &f->links[k];
    if (!tn_serve_acts(link)) continue;
    if (link->kind == TNRT_LINK_ONE_HOT) n = 1;
    bool is_picture = link->kind == TNRT_LINK_PAD || link->kind == TNRT_LINK_RANDOM_CROP;
    if (is_picture && !undo_picture(s, f, k, dims + 1, n - 1)) return NULL;
  }
  return tn_type_tensor(s->ctx, f->has_codes ? TN_I32 : f->is_image ? TN_U8 : TN_F64, n, dims);
}

static bool is_known(tn_sema *s, const tn_serve_field *f, const tn_type *type) {
  for (uint32_t i = 1; i < type->ndim; i++) {
    if (tn_dim_is_const(type->dims[i])) continue;
    tn_error(s->ctx, f->field->loc, TN_E_LANG_FIELD, "dim %u of the input '%s' is not known, which the functions of "
             "the field ask for", i, f->field->name);
    tn_help(s->ctx, "-D NAME=N gives a dim of the model a value");
    return false;
  }
  return true;
}

/* --- The input --- */

/* The new one takes the old one's place and name. */
static void put_param(tn_block *body, uint32_t index, tn_value *fresh, tn_value *computed) {
  tn_value *old = body->params.data[index];
  tn_value_replace(old, computed);
  body->params.n--;
  body->params.data[index] = fresh;
  fresh->def_index = old->def_index;
}

static bool serve_input(tn_sema *s, const tn_serve_field *f, uint32_t index) {
  tn_block *body = s->func->body;
  const tn_value *old = body->params.data[index];
  const tn_type *type = is_known(s, f, old->type) ? raw_type(s, f, old->type) : NULL;
  if (!type) return false;
  tn_build b = body->first ? tn_build_before(body->first) : tn_build_at_end(body);
  tn_value *fresh = tn_block_add_param(body, type, old->name);
  tn_loc_push(s->ctx, f->field->stmt->value->loc);
  tn_value *computed = tn_serve_chain(s, &b, f, fresh, old->type->dtype);
  tn_loc_pop(s->ctx);
  if (!computed) return false;
  put_param(body, index, fresh, computed);
  return true;
}

/* --- What the C header says --- */

static void add_list(tn_sema *s, const char *name, const char *doc, const tn_fitted_words *words) {
  tn_name_list list = {tn_name(s->ctx, name), tn_name(s->ctx, doc), NULL, words->n};
  list.texts = tn_arena_copy(s->module->arena, words->data, words->n * sizeof(*words->data));
  TN_VEC_PUSH(s->module->arena, &s->func->name_lists, list);
}

static void add_doc(tn_sema *s, uint32_t index, const char *doc) {
  tn_func *func = s->func;
  while (func->param_docs.n <= index) TN_VEC_PUSH(s->module->arena, &func->param_docs, NULL);
  const char **at = &func->param_docs.data[index];
  *at = *at ? tn_namef(s->ctx, "%s\n%s", *at, doc) : tn_name(s->ctx, doc);
}

/* Tokens of `words`: those of their own first (runtime/train/words.h). */
static bool list_words(tn_sema *s, const tn_serve_field *f, uint32_t index) {
  tn_fitted_words words;
  const char *name = f->field->name;
  for (uint32_t k = 0; k < f->first; k++) {
    if (f->links[k].kind != TNRT_LINK_WORDS) continue;
    if (!tn_fitted_words_of(s, name, k, &words)) return false;
    const char **all = TN_NEW_N(s->arena, const char *, words.n + 2);
    all[0] = all[1] = "";
    if (words.n) memcpy(all + 2, words.data, words.n * sizeof(*all));
    tn_fitted_words list = {all, words.n + 2};
    add_doc(s, index, tn_namef(s->ctx, "Tokens: places in %s_words.", name));
    add_list(s, tn_namef(s->ctx, "%s_words", name),
             tn_namef(s->ctx, "The words of the input '%s'; 0: padding, 1: another word.", name), &list);
  }
  return true;
}

static bool tell_input(tn_sema *s, const tn_serve_field *f, uint32_t index) {
  const char *name = f->field->name;
  tn_fitted_words classes;
  if (!tn_fitted_labels_of(s, name, &classes)) return false;
  if (f->has_codes) {
    add_doc(s, index, tn_namef(s->ctx, "The place of a category in %s_categories; -1: none of them.", name));
    add_list(s, tn_namef(s->ctx, "%s_categories", name), tn_namef(s->ctx, "The categories of the input '%s'.", name),
             &f->words);
  } else if (classes.n) {
    add_list(s, tn_namef(s->ctx, "%s_classes", name), tn_namef(s->ctx, "The classes of the input '%s'.", name),
             &classes);
  } else if (computes(f) && tn_store_is_trained(s->store)) {
    add_doc(s, index, tn_namef(s->ctx, "As it stands in the data; done here: %s.",
                               tn_expr_text(s, f->field->stmt->value)));
  }
  return list_words(s, f, index);
}

static bool tell_label(tn_sema *s, const tn_serve_field *f) {
  const char *name = f->field->name;
  tn_fitted_words classes;
  if (!tn_fitted_labels_of(s, name, &classes)) return false;
  if (classes.n)
    add_list(s, tn_namef(s->ctx, "%s_classes", name), tn_namef(s->ctx, "The classes of the label '%s'.", name),
             &classes);
  return true;
}

/* One that computes nothing stays what it is. */
static bool serve_field(tn_sema *s, const tn_serve_field *f, uint32_t index) {
  if (f->field->shape.classes || !computes(f)) return true;
  if (tn_store_is_trained(s->store)) return serve_input(s, f, index);
  tn_warning(s->ctx, f->field->stmt->value->loc, TN_W_LANG_RAW, "'%s' does not say what the data's functions learned: "
             "input '%s' takes what they give", tn_store_path(s->store), f->field->name);
  return true;
}

bool tn_serve_inputs(tn_sema *s, tn_decl *model) {
  tn_job job;
  tn_serve_plan plan;
  if (!s->store || !tn_training_of(s->main, model->name).data) return true;
  if (!tn_job_look(&job, s, model)) return false;
  tn_serve_plan_start(&plan, &job);
  for (size_t i = 0; i < job.fields.n; i++) {
    const tn_job_field *field = &job.fields.data[i];
    const tn_block *body = s->func->body;
    uint32_t index = 0;
    tn_serve_field f;
    while (index < body->params.n && strcmp(body->params.data[index]->name, field->name) != 0) index++;
    bool is_input = index < body->params.n;
    if (!look_at(&job, &plan.tables, field, &f)) return false;
    if (is_input && !serve_field(s, &f, index)) return false;
    if (!(is_input ? tell_input(s, &f, index) : tell_label(s, &f))) return false;
    if (!tn_serve_plan_add(&plan, &f, is_input ? body->params.data[index]->type : NULL)) return false;
  }
  return tn_serve_plan_end(&plan, s->serving);
}
