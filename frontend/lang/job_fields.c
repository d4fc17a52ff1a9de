/* The fields of the data and their types. Data without a body leave them to the model: x is what the input called x
 * takes, and y what the loss compares with the model's result. */
#include <string.h>

#include "frontend/lang/job.h"
#include "frontend/onnx/onnx.h"

/* --- Before the model is built --- */

static const tn_data_fields *rows_of(const tn_job *job) { return tn_map_get(job->c.fields, job->data); }

static const tn_data_field *find_row(const tn_job *job, const char *name) {
  const tn_data_fields *fields = rows_of(job);
  for (size_t i = 0; i < fields->rows.n; i++)
    if (strcmp(fields->rows.data[i].name.text, name) == 0) return &fields->rows.data[i];
  return NULL;
}

/* Dims of inputs that are names take the extents of the fields: x: token[B, T] on x: token[200]. */
static void fix_dims(tn_job *job) {
  const tn_ast_formals *formals = &job->model->item->formals;
  tn_map *dims = TN_NEW(job->s->arena, tn_map);
  *dims = tn_map_create(job->s->arena);
  for (size_t i = 0; i < formals->n; i++) {
    const tn_data_field *row = find_row(job, formals->data[i].name.text);
    const tn_ast_dims *written = &formals->data[i].type->dims;
    for (uint32_t k = 0; row && row->is_typed && k < row->shape.n && k + 1 < written->n; k++) {
      const tn_ast_expr *e = written->data[k + 1].extent;
      if (e && e->kind == TN_AST_NAME && strcmp(e->name, "B") != 0)
        tn_map_set(dims, e->name, (void *)(uintptr_t)row->shape.axes[k].extent);
    }
  }
  job->s->input_dims = dims;
}

/* The same for a model of another format, whose inputs are not known yet: all fields, the batch in front. */
static void hint_shapes(tn_job *job) {
  tn_arena *arena = job->s->arena;
  const tn_data_fields *fields = rows_of(job);
  tn_onnx_shape *shapes = TN_NEW_N(arena, tn_onnx_shape, fields->rows.n + 1);
  uint32_t n = 0;
  for (size_t i = 0; i < fields->rows.n; i++) {
    const tn_data_field *row = &fields->rows.data[i];
    if (!row->is_typed || row->shape.n + 1 > TN_MAX_NDIM) continue;
    const char **dims = TN_NEW_N(arena, const char *, row->shape.n + 1);
    dims[0] = "?";
    for (uint32_t k = 0; k < row->shape.n; k++) {
      const tn_dim *extent = row->shape.axes[k].extent;
      dims[k + 1] = tn_dim_is_const(extent) ? tn_namef(job->s->ctx, "%lld", (long long)tn_dim_value(extent)) : "?";
    }
    shapes[n++] = (tn_onnx_shape){.input = row->name.text, .ndim = row->shape.n + 1, .dims = dims, .is_hint = true};
  }
  job->s->input_shapes = shapes;
  job->s->n_input_shapes = n;
}

bool tn_job_find_fields(tn_job *job) {
  tn_sema *s = job->s;
  size_t before = s->ctx->n_errors;
  s->func = tn_func_create(s->module, "fields", false);
  s->build = tn_build_at_end(s->func->body);
  tn_block_check c = job->c;
  c.block = "data";
  tn_data_check(&c, job->data);
  fix_dims(job);
  hint_shapes(job);
  return s->ctx->n_errors == before;
}

/* --- What a label is compared with --- */

/* cross_entropy(out, y), out |> cross_entropy(y): the function, and the other side. */
typedef struct comparison {
  const char *function;
  const tn_ast_expr *other;
} comparison;

static bool find_comparison(const tn_ast_expr *e, const tn_ast_expr *piped, const char *name, comparison *out);

static bool find_in_args(const tn_ast_args *args, const char *name, comparison *out) {
  for (size_t i = 0; i < args->n; i++)
    if (find_comparison(args->data[i].value, NULL, name, out)) return true;
  return false;
}

static bool find_comparison(const tn_ast_expr *e, const tn_ast_expr *piped, const char *name, comparison *out) {
  switch (e->kind) {
    case TN_AST_PIPE:
      return find_comparison(e->pipe.right, e->pipe.left, name, out) ||
             find_comparison(e->pipe.left, NULL, name, out);
    case TN_AST_TUPLE: return find_in_args(&e->tuple, name, out);
    case TN_AST_UNARY: return find_comparison(e->op.right, NULL, name, out);
    case TN_AST_BINARY:
      return find_comparison(e->op.left, NULL, name, out) || find_comparison(e->op.right, NULL, name, out);
    case TN_AST_CALL: break;
    default: return false;
  }
  const tn_ast_args *args = &e->call.args;
  const char *head = e->call.callee->kind == TN_AST_NAME ? e->call.callee->name : NULL;
  tn_param params[TN_MAX_PARAMS + 1];
  const tn_builtin *loss = head ? tn_loss_find(head) : NULL;
  if (!loss || tn_signature_read(loss->signature, params) < 2) return find_in_args(args, name, out);
  char names[2][32];
  for (int i = 0; i < 2; i++) {
    size_t n = params[i].name_length < 31 ? params[i].name_length : 31;
    memcpy(names[i], params[i].name, n);
    names[i][n] = 0;
  }
  const tn_ast_expr *first = piped ? piped : tn_block_argument(args, names[0], 0);
  const tn_ast_expr *second = tn_block_argument(args, names[1], piped ? 0 : 1);
  bool is_second = second && second->kind == TN_AST_NAME && strcmp(second->name, name) == 0;
  bool is_first = first && first->kind == TN_AST_NAME && strcmp(first->name, name) == 0;
  if (!is_first && !is_second) return find_in_args(args, name, out);
  *out = (comparison){head, is_second ? first : second};
  return out->other != NULL;
}

static bool find_use(const tn_job *job, const char *name, comparison *out) {
  const tn_ast_stmt *loss = tn_setting_of(job->train->body, "loss");
  const tn_ast_stmt *metrics = tn_setting_of(job->train->body, "metrics");
  return (loss && find_comparison(loss->value, NULL, name, out)) ||
         (metrics && find_comparison(metrics->value, NULL, name, out));
}

/* The other side as it is in the train block. */
static tn_datum *evaluate(tn_job *job, const tn_ast_expr *e) {
  tn_sema *s = job->s;
  tn_func *func = s->func;
  tn_build build = s->build;
  tn_block_check c = job->c;
  size_t n_funcs = s->module->funcs.n;
  s->func = tn_func_create(s->module, "label", false);
  s->build = tn_build_at_end(s->func->body);
  c.frame = tn_frame_create(s, s->main, NULL, job->train->loc);
  c.frame->sees_losses = true;
  tn_train_declare(&c, job->model, rows_of(job));
  const tn_ast_body *body = job->train->body;
  for (size_t i = 0; i < body->stmts.n; i++)
    if (body->stmts.data[i]->kind == TN_AST_LET) tn_let_run(c.frame, body->stmts.data[i]);
  tn_datum *d = tn_eval_expr(c.frame, e);
  s->func = func;
  s->build = build;
  s->module->funcs.n = n_funcs;
  return d;
}

static const tn_axis *two_classes(tn_sema *s, int64_t n, tn_loc loc) {
  tn_axis *axis = TN_NEW(s->arena, tn_axis);
  *axis = tn_axis_number(s, n, loc);
  return axis;
}

/* What a label is that `function` compares with x, which has the batch in front. */
static tn_shape label_shape(tn_job *job, const char *function, const tn_datum *x) {
  static const char compares[] = "mse mae huber rmse r2 kl", one_score[] = "bce auc";
  tn_shape shape = {.dtype = TN_F32};
  uint32_t n = tn_datum_ndim(x);
  const tn_axis *last = n > 1 ? &x->tensor.axes[n - 1] : NULL;
  bool is_pair = tn_words_have(compares, function);
  if (is_pair) shape.dtype = tn_datum_dtype(x);
  else shape.dtype = TN_I32;
  bool is_one = tn_words_have(one_score, function) || !last || tn_dim_is(last->extent, 1);
  uint32_t end = is_pair || (is_one && !(last && tn_dim_is(last->extent, 1))) ? n : n - 1;
  for (uint32_t i = 1; i < end; i++) shape.axes[shape.n++] = x->tensor.axes[i];
  if (!is_pair && is_one) shape.classes = two_classes(job->s, 2, x->loc);
  else if (!is_pair) shape.classes = last;
  return shape;
}

/* A column is one number. */
static bool is_table(const tn_job *job) { return tn_words_have("csv tsv", tn_head_name(job->data->value)); }

static bool type_label(tn_job *job, tn_job_field *field) {
  comparison found = {0};
  int64_t count = 1;
  field->shape = (tn_shape){.dtype = TN_F32};
  if (!find_use(job, field->name, &found)) return true; /* of the reader's own making: one number */
  const tn_datum *x = evaluate(job, found.other);
  if (!x) return false;
  if (x->kind != TN_DATUM_TENSOR || tn_datum_ndim(x) < 1)
    return tn_error(job->s->ctx, found.other->loc, TN_E_LANG_FIELD, "the type of '%s' cannot be told from %s",
                    field->name, tn_datum_describe(job->s, x));
  field->shape = label_shape(job, found.function, x);
  field->place = found.other->loc;
  field->said = tn_namef(job->s->ctx, "field '%s' is compared with %s", field->name, tn_datum_describe(job->s, x));
  for (uint32_t i = 0; i < field->shape.n; i++)
    count *= tn_dim_is_const(field->shape.axes[i].extent) ? tn_dim_value(field->shape.axes[i].extent) : 1;
  if (!is_table(job) || count == 1) return true;
  tn_error(job->s->ctx, found.other->loc, TN_E_LANG_FIELD, "'%s' is one column, %s compares it with %s", field->name,
           found.function, tn_datum_describe(job->s, x));
  tn_help(job->s->ctx, "a body names the columns of each field: %s: f32[2] = (first, second)", field->name);
  return false;
}

/* --- After it --- */

static bool type_input(tn_job_field *field, const tn_type *type) {
  field->shape = (tn_shape){.dtype = type->dtype, .n = type->ndim - 1};
  for (uint32_t i = 1; i < type->ndim; i++) field->shape.axes[i - 1] = tn_axis_plain(type->dims[i], field->loc);
  return true;
}

/* The input of a model of the language; a model of another format has none in the file. */
static void place_input(const tn_job *job, tn_job_field *field) {
  const tn_ast_formals *formals = &job->model->item->formals;
  field->place = job->model->loc;
  field->said = tn_namef(job->s->ctx, "field '%s' is an input of %s", field->name, job->model->name);
  for (size_t i = 0; i < formals->n; i++)
    if (strcmp(formals->data[i].name.text, field->name) == 0) field->place = formals->data[i].name.loc;
}

static bool check_known(const tn_job *job, const tn_job_field *field) {
  const tn_axis *classes = field->shape.classes;
  if (classes && !tn_dim_is_const(classes->extent))
    return tn_error(job->s->ctx, field->loc, TN_E_LANG_FIELD, "the number of classes of '%s' is not known: %s",
                    field->name, tn_axis_describe(job->s, classes));
  for (uint32_t i = 0; i < field->shape.n; i++) {
    if (tn_dim_is_const(field->shape.axes[i].extent)) continue;
    tn_error(job->s->ctx, field->loc, TN_E_LANG_FIELD, "dim %u of field '%s' is not known: the data say nothing of %s",
             i, field->name, tn_axis_describe(job->s, &field->shape.axes[i]));
    tn_help(job->s->ctx, "-D NAME=N gives a dim of the model a value; a body of '%s' says the types of its fields",
            job->data->name.text);
    return false;
  }
  return true;
}

static const tn_ast_stmt *stmt_of(const tn_job *job, const char *name) {
  const tn_ast_body *body = job->data->body;
  for (size_t i = 0; body && i < body->stmts.n; i++)
    if (body->stmts.data[i]->kind == TN_AST_FIELD && strcmp(body->stmts.data[i]->name.text, name) == 0)
      return body->stmts.data[i];
  return NULL;
}

static bool uses(const tn_ast_body *body, const char *name) {
  for (size_t i = 0; i < body->stmts.n; i++)
    if (body->stmts.data[i]->value && tn_ast_uses_name(body->stmts.data[i]->value, name)) return true;
  return false;
}

static bool add_field(tn_job *job, const tn_data_field *row, const tn_value *input) {
  tn_job_field field = {.name = row->name.text, .loc = row->name.loc, .stmt = stmt_of(job, row->name.text),
                        .place = row->name.loc,
                        .said = tn_namef(job->s->ctx, "field '%s' is declared here", row->name.text),
                        .shape = row->shape, .is_input = input != NULL};
  field.is_used = input || uses(job->train->body, field.name);
  if (!row->is_typed && input) place_input(job, &field);
  if (!row->is_typed && !(input ? type_input(&field, input->type) : type_label(job, &field))) return false;
  TN_VEC_PUSH(job->s->arena, &job->fields, field);
  if (!check_known(job, &field)) return false;
  for (uint32_t i = 1; input && i < input->type->ndim; i++)
    if (!tn_dim_is_const(input->type->dims[i]))
      return tn_error(job->s->ctx, field.loc, TN_E_LANG_FIELD, "dim %u of the input '%s' is not known from this field",
                      i, field.name);
  return true;
}

bool tn_job_type_fields(tn_job *job) {
  const tn_data_fields *fields = rows_of(job);
  bool ok = true;
  for (uint32_t i = 0; i < job->n_inputs; i++) {
    const tn_value *input = job->s->func->body->params.data[i];
    const tn_data_field *row = find_row(job, input->name);
    if (!row)
      return tn_error(job->s->ctx, job->train->source.loc, TN_E_LANG_FIELD, "'%s' has no field for the input '%s'",
                      job->data->name.text, input->name);
    ok = add_field(job, row, input) && ok;
  }
  for (size_t i = 0; i < fields->rows.n; i++) {
    bool is_input = false;
    for (uint32_t k = 0; k < job->n_inputs; k++)
      is_input |= strcmp(job->s->func->body->params.data[k]->name, fields->rows.data[i].name.text) == 0;
    if (!is_input) ok = add_field(job, &fields->rows.data[i], NULL) && ok;
  }
  return ok;
}

bool tn_job_look_fields(tn_job *job, const tn_block *body) {
  const tn_data_fields *fields = rows_of(job);
  job->n_inputs = (uint32_t)body->params.n;
  for (size_t i = 0; i < fields->rows.n; i++) {
    const tn_data_field *row = &fields->rows.data[i];
    tn_job_field field = {.name = row->name.text, .loc = row->name.loc, .stmt = stmt_of(job, row->name.text),
                          .shape = row->shape};
    for (uint32_t k = 0; k < job->n_inputs && !field.is_input; k++)
      field.is_input = strcmp(body->params.data[k]->name, field.name) == 0;
    if (!row->is_typed && !field.is_input) field.stmt = NULL;
    TN_VEC_PUSH(job->s->arena, &job->fields, field);
  }
  return true;
}

/* --- The plan --- */

static int64_t extent_of(const tn_axis *axis) { return tn_dim_value(axis->extent); }

bool tn_job_plan_fields(const tn_job *job, tn_tables *plan, tnrt_training *head) {
  tnrt_field *rows = TN_NEW_N(job->s->arena, tnrt_field, job->fields.n);
  for (size_t i = 0; i < job->fields.n; i++) {
    const tn_job_field *field = &job->fields.data[i];
    tnrt_field *row = &rows[i];
    *row = (tnrt_field){.name = tn_tables_text(plan, field->name), .dtype = (uint32_t)field->shape.dtype,
                        .ndim = field->shape.n, .count = 1, .is_input = field->is_input};
    for (uint32_t k = 0; k < field->shape.n; k++) {
      row->extents[k] = extent_of(&field->shape.axes[k]);
      if (row->extents[k] && !tn_mul_i64(row->count, row->extents[k], &row->count))
        return tn_error(job->s->ctx, field->loc, TN_E_LIMIT, "field '%s' has too many elements", field->name);
    }
    const char *place = tn_place_show(job->s, field->place, field->said);
    if (place) row->place = tn_tables_text(plan, place);
    if (field->shape.classes) row->n_classes = (uint32_t)extent_of(field->shape.classes);
    if (!tn_job_plan_chain(job, plan, field, row)) return false;
  }
  head->n_fields = (uint32_t)job->fields.n;
  head->fields = (uint32_t)tn_tables_add(plan, rows, job->fields.n, sizeof(*rows));
  return true;
}
