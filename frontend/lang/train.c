/* train blocks: loss and metrics are expressions of the model's result (out) and the data's fields, whose types are
 * checked as those of a model's body are; the rest are settings. */
#include <string.h>

#include "frontend/lang/blocks.h"

/* --- Names of the loss --- */

/* The same tensors as inputs of a function of their own, in which the loss is checked. */
static tn_datum *as_input(tn_sema *s, const tn_datum *d, const char *name) {
  if (d->kind == TN_DATUM_TUPLE) {
    tn_datum *copy = tn_datum_tuple(s, d->tuple.parts, d->tuple.n, d->loc);
    copy->tuple.names = d->tuple.names;
    for (uint32_t i = 0; i < d->tuple.n; i++) copy->tuple.parts[i] = as_input(s, d->tuple.parts[i], name);
    return copy;
  }
  tn_value *param = tn_block_add_param(s->func->body, d->tensor.value->type, name);
  tn_datum *copy = tn_datum_tensor(s, param, d->tensor.axes, d->loc);
  copy->tensor.classes = d->tensor.classes;
  return copy;
}

tn_datum *tn_field_datum(tn_sema *s, tn_value *input, const tn_shape *shape, tn_loc loc) {
  tn_axis axes[TN_MAX_NDIM];
  if (input->type->ndim != shape->n + 1) return tn_datum_poison(s, loc);
  axes[0] = (tn_axis){.label = s->batch, .loc = loc};
  for (uint32_t i = 0; i < shape->n; i++) axes[i + 1] = shape->axes[i];
  for (uint32_t i = 0; i <= shape->n; i++) axes[i].extent = input->type->dims[i];
  tn_datum *value = tn_datum_tensor(s, input, axes, loc);
  value->tensor.classes = shape->classes;
  return value;
}

tn_datum *tn_field_value(tn_sema *s, const char *name, const tn_shape *shape, const tn_dim *batch, tn_loc loc) {
  const tn_dim *dims[TN_MAX_NDIM];
  if (shape->n + 1 > TN_MAX_NDIM) return tn_datum_poison(s, loc);
  dims[0] = batch;
  for (uint32_t i = 0; i < shape->n; i++) dims[i + 1] = shape->axes[i].extent;
  const tn_type *type = tn_type_tensor(s->ctx, shape->dtype, shape->n + 1, dims);
  return tn_field_datum(s, tn_block_add_param(s->func->body, type, name), shape, loc);
}

static const tn_dim *batch_dim(tn_sema *s) {
  const tn_symbol *symbol = tn_symbol_create(s->ctx, TN_SYM_INPUT, tn_symbol_fresh_name(s->ctx, "B"), "B", 0,
                                             TN_LANG_MAX_EXTENT);
  return tn_dim_symbol(s->ctx, symbol);
}

void tn_train_declare(tn_block_check *c, const tn_decl *model, const tn_data_fields *fields) {
  tn_sema *s = c->s;
  const tn_dim *batch = batch_dim(s);
  tn_datum *out = model && model->result ? as_input(s, model->result, "out") : tn_datum_poison(s, TN_LOC_NONE);
  tn_frame_declare(c->frame, tn_name(s->ctx, "out"), TN_NAME_LET, out, model ? model->loc : TN_LOC_NONE);
  for (size_t i = 0; fields && i < fields->rows.n; i++) {
    const tn_data_field *field = &fields->rows.data[i];
    if (strcmp(field->name.text, "out") == 0) continue; /* out is the result */
    tn_datum *value = field->is_typed ? tn_field_value(s, field->name.text, &field->shape, batch, field->name.loc)
                                      : tn_datum_poison(s, field->name.loc);
    tn_frame_declare(c->frame, field->name.text, TN_NAME_LET, value, field->name.loc);
  }
}

/* --- Inputs --- */

static bool dims_may_agree(tn_sema *s, const tn_type *type, const tn_shape *shape) {
  bool ok = type->ndim == shape->n + 1;
  for (uint32_t i = 1; i < type->ndim && ok; i++) {
    tn_dim_order order = tn_dim_compare(s->ctx, type->dims[i], shape->axes[i - 1].extent);
    ok = order == TN_DIM_EQUAL || order == TN_DIM_UNKNOWN;
  }
  return ok;
}

static const char *shape_text(tn_sema *s, const tn_data_field *field) {
  tn_buf out = tn_buf_create(s->arena);
  tn_buf_printf(&out, "%s[", tn_dtype_name(field->shape.dtype));
  for (uint32_t i = 0; i < field->shape.n; i++)
    tn_buf_printf(&out, "%s%s", i ? ", " : "", tn_axis_describe(s, &field->shape.axes[i]));
  tn_buf_putc(&out, ']');
  return out.data;
}

/* ONNX files have others. */
static bool is_plain_name(const char *name) {
  size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
  return n > 0 && !name[n] && !strchr("0123456789", name[0]);
}

/* The field of an input's name has its type, behind the batch. */
static void check_input(const tn_block_check *c, const tn_ast_item *item, const tn_decl *model, const tn_value *input,
                        const tn_data_field *field) {
  tn_ctx *ctx = c->s->ctx;
  const tn_ast_item *data = c->training.data;
  if (!field) {
    tn_error(ctx, item->source.loc, TN_E_LANG_FIELD, "%s has the input '%s', '%s' has no field of this name",
             model->name, input->name, data->name.text);
    tn_note(ctx, model->loc, "%s is declared here", model->name);
    tn_note(ctx, data->name.loc, "'%s' is declared here", data->name.text);
    if (!is_plain_name(input->name))
      tn_help(ctx, "a model around %s gives its input a name that a field can have: model N(x: ...) -> ... = x |> %s",
              model->name, model->name);
    else if (!data->body) tn_help(ctx, "a body of '%s' names its fields: %s: type = ...", data->name.text, input->name);
    return;
  }
  if (!field->is_typed) return;
  if (input->type->dtype == field->shape.dtype && dims_may_agree(c->s, input->type, &field->shape)) return;
  tn_buf type = tn_buf_create(c->s->arena);
  tn_type_print(input->type, &type);
  tn_error(ctx, field->name.loc, TN_E_LANG_FIELD, "field '%s' is %s a sample, the input '%s' of %s is %s",
           field->name.text, shape_text(c->s, field), input->name, model->name, type.data);
  for (size_t i = 0; model->item && i < model->item->formals.n; i++)
    if (strcmp(model->item->formals.data[i].name.text, input->name) == 0)
      tn_note(ctx, model->item->formals.data[i].loc, "the input stands here");
  tn_note(ctx, item->source.loc, "they meet because of this line");
}

static void check_inputs(const tn_block_check *c, const tn_ast_item *item, const tn_decl *model,
                         tn_data_fields *fields) {
  for (size_t i = 0; model->func && i < model->func->body->params.n; i++) {
    const tn_value *input = model->func->body->params.data[i];
    tn_data_field *field = NULL;
    for (size_t k = 0; k < fields->rows.n; k++)
      if (strcmp(fields->rows.data[k].name.text, input->name) == 0) field = &fields->rows.data[k];
    if (field) field->is_used = true;
    if (field || fields->is_complete) check_input(c, item, model, input, field);
  }
}

static void mark_used(const tn_ast_body *body, tn_data_fields *fields) {
  for (size_t i = 0; i < body->stmts.n; i++) {
    const tn_ast_stmt *stmt = body->stmts.data[i];
    for (size_t k = 0; k < fields->rows.n && stmt->value; k++)
      if (tn_ast_uses_name(stmt->value, fields->rows.data[k].name.text)) fields->rows.data[k].is_used = true;
  }
}

/* --- Loss and metrics --- */

tn_datum *tn_train_loss(const tn_block_check *c, const tn_ast_expr *e) {
  tn_datum *loss = tn_eval_expr(c->frame, e);
  if (!loss) return NULL;
  bool is_scalar = loss->kind == TN_DATUM_TENSOR && tn_datum_ndim(loss) == 0 &&
                   tn_dtype_is_float(tn_datum_dtype(loss));
  if (is_scalar) return loss;
  tn_error(c->s->ctx, e->loc, TN_E_LANG_LOSS, "the loss is one number of a batch, found %s",
           tn_datum_describe(c->s, loss));
  if (loss->kind == TN_DATUM_TENSOR) tn_help(c->s->ctx, "mean(...) or sum(...) makes one number of it");
  return NULL;
}

tn_datum *tn_train_metric(const tn_block_check *c, const tn_ast_arg *arg) {
  tn_datum *metric = tn_eval_expr(c->frame, arg->value);
  if (!metric || metric->kind == TN_DATUM_METRIC) return metric;
  if (metric->kind == TN_DATUM_TENSOR && tn_datum_ndim(metric) == 0) return metric;
  tn_error(c->s->ctx, arg->value->loc, TN_E_LANG_LOSS, "metric '%s' is not one number, found %s", arg->name.text,
           tn_datum_describe(c->s, metric));
  return NULL;
}

/* What an expression hands to a loss first, or NULL. */
static const tn_ast_expr *compared_by(const tn_ast_expr *e, const char *loss) {
  const tn_ast_expr *first;
  switch (e->kind) {
    case TN_AST_BINARY:
      first = compared_by(e->op.left, loss);
      return first ? first : compared_by(e->op.right, loss);
    case TN_AST_PIPE:
      first = e->pipe.left;
      e = e->pipe.right;
      break;
    case TN_AST_CALL: first = e->call.args.n ? e->call.args.data[0].value : NULL; break;
    default: return NULL;
  }
  const char *head = tn_head_name(e);
  return head && strcmp(head, loss) == 0 ? first : NULL;
}

static bool is_call_of(const tn_ast_expr *e, const char *function) {
  if (e->kind == TN_AST_PIPE) e = e->pipe.right;
  else if (e->kind != TN_AST_CALL) return false;
  const char *head = tn_head_name(e);
  return head && strcmp(head, function) == 0;
}

/* Losses of scores have the softmax or sigmoid in them; that of a model's end, or of the expression, stands there by
 * mistake. */
static void warn_of_probabilities(const tn_block_check *c, const tn_decl *model, const tn_ast_expr *loss) {
  static const char *const rows[][2] = {{"cross_entropy", "softmax"}, {"bce", "sigmoid"}};
  const tn_datum *out = model->result;
  const tn_node *def = out && out->kind == TN_DATUM_TENSOR ? out->tensor.value->def : NULL;
  for (size_t i = 0; i < TN_ARRAY_LEN(rows); i++) {
    const char *function = rows[i][1];
    const tn_ast_expr *first = compared_by(loss, rows[i][0]);
    if (!first) continue;
    if (is_call_of(first, function))
      tn_warning(c->s->ctx, first->loc, TN_W_LANG_SCORES, "%s takes scores and has a %s in it, here is another",
                 rows[i][0], function);
    if (first->kind != TN_AST_NAME || strcmp(first->name, "out") != 0 || !def || strcmp(def->op->name, function) != 0)
      continue;
    tn_warning(c->s->ctx, loss->loc, TN_W_LANG_SCORES, "%s takes scores and has a %s in it, %s ends with another",
               rows[i][0], function, model->name);
    tn_note(c->s->ctx, model->loc, "%s is declared here", model->name);
  }
}

static void check_metric(const tn_block_check *c, const tn_ast_arg *arg) {
  if (!arg->name.text) {
    tn_error(c->s->ctx, arg->loc, TN_E_LANG_LOSS, "a metric has a name: (acc: accuracy(out, y))");
    return;
  }
  if (strcmp(arg->name.text, "loss") == 0) {
    tn_error(c->s->ctx, arg->loc, TN_E_LANG_DOUBLE, "'loss' is measured always; a metric needs another name");
    return;
  }
  tn_train_metric(c, arg);
}

static void check_metrics(const tn_block_check *c, const tn_ast_stmt *stmt) {
  const tn_ast_expr *value = stmt->value;
  if (value->kind != TN_AST_TUPLE) {
    tn_error(c->s->ctx, value->loc, TN_E_LANG_LOSS, "metrics have names: (acc: accuracy(out, y))");
    return;
  }
  for (size_t i = 0; i < value->tuple.n; i++) {
    for (size_t k = 0; k < i && value->tuple.data[i].name.text; k++)
      if (value->tuple.data[k].name.text == value->tuple.data[i].name.text) {
        tn_error(c->s->ctx, value->tuple.data[i].loc, TN_E_LANG_DOUBLE, "metric '%s' stands twice",
                 value->tuple.data[i].name.text);
        tn_note(c->s->ctx, value->tuple.data[k].loc, "it stands here already");
      }
    check_metric(c, &value->tuple.data[i]);
  }
}

/* Whether an expression is made from the model's result, also by one of the first n statements, a let. */
static bool uses_out(const tn_ast_body *body, size_t n, const tn_ast_expr *e, const char *out) {
  if (tn_ast_uses_name(e, out)) return true;
  for (size_t i = 0; i < n; i++) {
    const tn_ast_stmt *let = body->stmts.data[i];
    for (size_t k = 0; let->kind == TN_AST_LET && k < let->names.n; k++)
      if (tn_ast_uses_name(e, let->names.data[k].text) && uses_out(body, i, let->value, out))
        return true;
  }
  return false;
}

/* In the order of the file: a let may take `out` apart before it is used. */
static void check_expressions(const tn_block_check *c, const tn_ast_body *body) {
  for (size_t i = 0; i < body->stmts.n; i++)
    if (body->stmts.data[i]->kind == TN_AST_LET) tn_let_run(c->frame, body->stmts.data[i]);
  const tn_ast_stmt *loss = tn_setting_of(body, "loss"), *metrics = tn_setting_of(body, "metrics");
  if (loss && tn_train_loss(c, loss->value) && !uses_out(body, body->stmts.n, loss->value, tn_name(c->s->ctx, "out"))) {
    tn_error(c->s->ctx, loss->value->loc, TN_E_LANG_LOSS,
             "the loss does not depend on the model: nothing would be trained");
    tn_help(c->s->ctx, "'out' is the model's result: loss = mse(out, y)");
  }
  if (loss && c->training.model) warn_of_probabilities(c, c->training.model, loss->value);
  if (metrics) check_metrics(c, metrics);
}

/* --- Settings that depend on each other --- */

static void check_micro(const tn_block_check *c, const tn_ast_body *body) {
  const tn_ast_stmt *batch = tn_setting_of(body, "batch"), *micro = tn_setting_of(body, "micro");
  double whole, part;
  if (!batch || !micro || !tn_block_number(c, batch->value, &whole) || !tn_block_number(c, micro->value, &part)) return;
  if (part < 1 || (int64_t)whole % (int64_t)part == 0) return;
  tn_error(c->s->ctx, batch->value->loc, TN_E_LANG_SETTING, "batch is no multiple of micro");
  tn_note(c->s->ctx, micro->value->loc, "micro is set here");
}

static void check_end(const tn_block_check *c, const tn_ast_item *item) {
  bool ends = tn_setting_of(item->body, "steps") || tn_setting_of(item->body, "epochs");
  for (size_t i = 0; i < item->body->stmts.n; i++) ends |= item->body->stmts.data[i]->kind == TN_AST_STOP;
  if (!ends)
    tn_error(c->s->ctx, item->name.loc, TN_E_LANG_SETTING, "training of %s never ends: steps, epochs or 'stop when'",
             item->name.text);
}

/* The number of stages of a pipeline: the size of the mesh's axis 'pipe'; 0: none. */
static int64_t n_stages(const tn_block_check *c, const tn_ast_body *body, tn_loc *loc) {
  const tn_ast_stmt *parallel = tn_setting_of(body, "parallel"), *mesh = tn_setting_of(body, "mesh");
  const tn_decl *decl = mesh && mesh->value->kind == TN_AST_NAME ? tn_unit_find(c->unit, mesh->value->name) : NULL;
  if (!parallel || parallel->value->kind != TN_AST_TUPLE || !decl || !tn_decl_is(decl, TN_AST_MESH)) return 0;
  if (!tn_block_argument(&parallel->value->tuple, "pipeline", SIZE_MAX)) return 0;
  const tn_ast_expr *size = tn_block_argument(&decl->item->value->tuple, "pipe", SIZE_MAX);
  if (!size || size->kind != TN_AST_INT) return 0;
  *loc = size->loc;
  return size->number.integer;
}

/* The stages of a pipeline are equal parts of the model's `for`. */
static void check_stages(const tn_block_check *c, const tn_ast_item *item, const tn_decl *model) {
  tn_loc loc = TN_LOC_NONE;
  int64_t stages = n_stages(c, item->body, &loc);
  const tn_ast_body *body = model->item->body;
  for (size_t i = 0; stages > 0 && body && i < body->stmts.n; i++) {
    const tn_ast_stmt *loop = body->stmts.data[i];
    double first, end;
    if (loop->kind != TN_AST_FOR || loop->value->kind != TN_AST_RANGE || loop->value->range.step) continue;
    if (!tn_block_number(c, loop->value->range.first, &first) || !tn_block_number(c, loop->value->range.end, &end))
      continue;
    int64_t rounds = (int64_t)(end - first);
    if (rounds % stages == 0) continue;
    tn_error(c->s->ctx, loop->value->loc, TN_E_LANG_SETTING, "%lld blocks cannot be parted into %lld equal stages",
             (long long)rounds, (long long)stages);
    tn_note(c->s->ctx, loc, "the stages of the pipeline come from here");
    tn_note(c->s->ctx, tn_setting_of(item->body, "parallel")->value->loc, "which this asks for");
  }
}

void tn_train_check(tn_block_check *c, const tn_ast_item *item) {
  tn_sema *s = c->s;
  const tn_decl *model = c->training.model;
  tn_data_fields *fields = c->training.data ? tn_map_get(c->fields, c->training.data) : NULL;
  s->func = tn_func_create(s->module, "loss", false);
  s->build = tn_build_at_end(s->func->body);
  c->frame = tn_frame_create(s, c->unit, NULL, item->loc);
  tn_body_check(c, item->body);
  c->frame->sees_losses = true;
  tn_train_declare(c, model, fields);
  check_expressions(c, item->body);
  if (!tn_setting_of(item->body, "loss"))
    tn_error(s->ctx, item->name.loc, TN_E_LANG_SETTING, "training of %s has no loss", item->name.text);
  check_end(c, item);
  check_micro(c, item->body);
  if (model) check_stages(c, item, model);
  if (model && fields) check_inputs(c, item, model, fields);
  if (fields) mark_used(item->body, fields);
}
