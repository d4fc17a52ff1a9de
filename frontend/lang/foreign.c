/* model NAME = onnx("FILE"): a model of another format, as an entry and as a part of other models. The file is imported
 * anew where it is called; it lies beside the .tn file that names it. Its float initialisers are weights, or its
 * Constants (onnx.h). */
#include <ctype.h>
#include <string.h>

#include "frontend/lang/sema.h"
#include "frontend/onnx/onnx.h"

/* The path of onnx("FILE"); NULL when reported. */
static const char *path_of(tn_sema *s, const tn_decl *decl) {
  const tn_ast_expr *e = decl->item->value;
  const tn_ast_args *args = e->kind == TN_AST_CALL ? &e->call.args : NULL;
  bool onnx = args && e->call.callee->kind == TN_AST_NAME && strcmp(e->call.callee->name, "onnx") == 0;
  if (!onnx || args->n != 1 || args->data[0].name.text || args->data[0].value->kind != TN_AST_STRING) {
    tn_error(s->ctx, e->loc, TN_E_LANG_KIND, "a model has arguments and a body, or is onnx(\"FILE\")");
    return NULL;
  }
  const char *path = args->data[0].value->string.text, *slash = strrchr(decl->unit->path, '/');
  if (path[0] == '/' || !slash) return path;
  return tn_namef(s->ctx, "%.*s/%s", (int)(slash - decl->unit->path), decl->unit->path, path);
}

/* Names of weights are made of letters, digits and a few signs (they stand unescaped in .safetensors). */
static const char *plain_name(tn_sema *s, const char *prefix, const char *name) {
  tn_buf out = tn_buf_create(s->arena);
  tn_buf_printf(&out, "%s%s", prefix, prefix[0] ? "." : "");
  for (const char *c = name; *c; c++) tn_buf_putc(&out, isalnum((unsigned char)*c) || strchr("._-/:", *c) ? *c : '_');
  return tn_name(s->ctx, out.data);
}

/* Whether every use of the constant is a statistic, such as the mean of a batch_norm: kept, never trained. */
static bool is_statistic(const tn_block *block, const tn_const *constant) {
  bool any = false;
  for (const tn_node *node = block->first; node; node = node->next) {
    const tn_value *value = node->n_results == 1 ? node->results[0] : NULL;
    if (!value || tn_value_const(value) != constant) continue;
    for (const tn_use *use = value->uses; use; use = use->next) {
      const tn_opdef *op = use->user->op;
      if (use->index >= op->n_operands || op->operands[use->index].role != TN_ROLE_STATE) return false;
      any = true;
    }
  }
  return any;
}

static bool add_weights(tn_sema *s, const tn_onnx_part *part, tn_instance *owner, tn_loc loc) {
  bool ok = true;
  for (size_t i = 0; i < part->weights.n; i++) {
    const tn_onnx_weight *row = &part->weights.data[i];
    const char *path = plain_name(s, owner->path, row->name);
    if (tn_map_has(&owner->weights, path)) continue;
    tn_weight *weight = TN_NEW(s->arena, tn_weight);
    *weight = (tn_weight){.path = path, .constant = row->constant, .type = row->constant->type,
                          .is_buffer = is_statistic(s->func->body, row->constant), .init = {.kind = TN_INIT_FROM},
                          .loc = loc};
    weight->axes = TN_NEW_N(s->arena, tn_axis, weight->type->ndim);
    for (uint32_t k = 0; k < weight->type->ndim; k++) weight->axes[k] = tn_axis_plain(weight->type->dims[k], loc);
    tn_map_set(&owner->weights, path, weight);
    TN_VEC_PUSH(s->arena, &s->weights, weight);
    ok = tn_weight_replace(s, weight) && ok;
  }
  return ok;
}

/* An output keeps the labels of the arguments' dims that it has. */
static tn_datum *output_datum(tn_sema *s, tn_value *value, const tn_datum *const *args, size_t n, tn_loc loc) {
  tn_axis axes[TN_MAX_NDIM];
  for (uint32_t i = 0; i < value->type->ndim; i++) {
    const tn_dim *extent = value->type->dims[i];
    axes[i] = tn_axis_plain(extent, loc);
    for (size_t k = 0; k < n && !tn_dim_is_const(extent); k++)
      for (uint32_t j = 0; j < tn_datum_ndim(args[k]); j++)
        if (args[k]->tensor.axes[j].extent == extent) axes[i].label = args[k]->tensor.axes[j].label;
  }
  return tn_datum_tensor(s, value, axes, loc);
}

static tn_datum *results(tn_sema *s, const tn_onnx_part *part, const tn_datum *const *args, size_t n, tn_loc loc) {
  size_t n_outputs = part->outputs.n;
  tn_datum **parts = TN_NEW_N(s->arena, tn_datum *, n_outputs);
  const char **names = TN_NEW_N(s->arena, const char *, n_outputs);
  for (size_t i = 0; i < n_outputs; i++) {
    parts[i] = output_datum(s, part->outputs.data[i].value, args, n, loc);
    names[i] = tn_name(s->ctx, part->outputs.data[i].name);
  }
  if (n_outputs == 1) return parts[0];
  tn_datum *tuple = tn_datum_tuple(s, parts, (uint32_t)n_outputs, loc);
  tuple->tuple.names = names;
  return tuple;
}

/* Imports the model at the place where the session builds; what was wrong is also said of the .tn file. */
static bool insert(tn_sema *s, tn_decl *decl, const tn_onnx_options *given, tn_onnx_part *part) {
  tn_onnx_options options = *given;
  tn_onnx_files files = {0};
  const char *path = path_of(s, decl);
  size_t before = s->ctx->n_errors;
  if (!path || decl->is_unreadable) return false;
  if (s->options->no_files) return tn_error(s->ctx, decl->loc, TN_E_FILE, "'%s': no files are read here", path);
  options.files = &files;
  bool ok = tn_onnx_insert(s->ctx, path, &options, part);
  for (size_t i = 0; i < files.n && s->options->add_file; i++) s->options->add_file(s->options->user, files.data[i]);
  decl->is_unreadable = !files.n;
  if (!files.n && s->options->add_file) s->options->add_file(s->options->user, path);
  if (s->ctx->n_errors != before)
    tn_note(s->ctx, decl->item->value->loc, "'%s' is read because of this line", decl->name);
  for (size_t i = 0; i < part->outputs.n; i++) ok = ok && part->outputs.data[i].value;
  return ok;
}

tn_datum *tn_outer_model_call(tn_frame *caller, tn_decl *decl, tn_instance *instance, tn_given *given, size_t n,
                          tn_loc loc) {
  static const tn_onnx_options none;
  tn_sema *s = caller->sema;
  tn_onnx_argument *args = TN_NEW_N(s->arena, tn_onnx_argument, n + 1);
  const tn_datum **data = TN_NEW_N(s->arena, const tn_datum *, n + 1);
  bool ok = true;
  for (size_t i = 0; i < n; i++) {
    tn_datum *d = given[i].datum ? given[i].datum : tn_eval_expr(given[i].frame, given[i].expr);
    if (d && d->kind != TN_DATUM_TENSOR)
      ok = tn_frame_error(caller, given[i].loc, TN_E_LANG_KIND, "an input of %s is a tensor, found %s", decl->name,
                          tn_datum_describe(s, d));
    ok = ok && d;
    data[i] = d;
    if (ok) args[i] = (tn_onnx_argument){given[i].name, d->tensor.value, given[i].loc};
  }
  if (!ok) return NULL;
  if (!instance) instance = tn_frame_next_instance(caller, decl->name);
  if (!instance->constants) {
    instance->constants = TN_NEW(s->arena, tn_map);
    *instance->constants = tn_map_create(s->arena);
  }
  tn_onnx_part part = {.build = &s->build, .args = args, .n_args = (uint32_t)n, .called = decl->name, .loc = loc,
                       .constants = instance->constants};
  if (!insert(s, decl, &none, &part)) return NULL;
  if (!add_weights(s, &part, instance, loc)) return NULL;
  return results(s, &part, data, n, loc);
}

/* --dim and -D of the model's own symbols. */
static bool read_dims(tn_sema *s, tn_onnx_options *out) {
  const tn_lang_options *o = s->options;
  tn_onnx_dim *dims = TN_NEW_N(s->arena, tn_onnx_dim, o->n_bounds + o->n_defines + 1);
  uint32_t n = 0;
  for (uint32_t i = 0; i < o->n_bounds; i++)
    dims[n++] = (tn_onnx_dim){o->bounds[i].name, o->bounds[i].lo, o->bounds[i].hi};
  for (uint32_t i = 0; i < o->n_defines; i++) {
    int64_t value;
    const tn_decl *own = tn_unit_find(s->main, tn_name(s->ctx, o->defines[i].name));
    if (own && own->kind == TN_DECL_DIM) continue;
    const tn_datum *d = tn_define_value(s, &o->defines[i]);
    if (!d || !tn_datum_static_int(s, d, "-D", &value)) return false;
    dims[n++] = (tn_onnx_dim){o->defines[i].name, value, value};
  }
  out->dims = dims;
  out->n_dims = n;
  return true;
}

bool tn_outer_model_build(tn_sema *s, tn_decl *decl) {
  tn_onnx_options options = {0};
  s->func = tn_func_create(s->module, decl->name, true);
  s->func->doc = decl->item->doc;
  s->build = tn_build_at_end(s->func->body);
  tn_instance *owner = TN_NEW(s->arena, tn_instance);
  *owner = (tn_instance){.path = "", .children = tn_map_create(s->arena), .weights = tn_map_create(s->arena)};
  tn_onnx_part part = {.build = &s->build, .called = decl->name, .loc = decl->loc};
  bool is_entry = s->weights_needed || s->builds_entry; /* a check has options of all models */
  if (is_entry && !read_dims(s, &options)) return false;
  if (is_entry) options.shapes = s->input_shapes, options.n_shapes = s->n_input_shapes;
  if (!insert(s, decl, &options, &part)) return false;
  if (!add_weights(s, &part, owner, decl->loc)) return false;
  decl->func = s->func;
  decl->result = results(s, &part, NULL, 0, decl->loc);
  tn_value **values = TN_NEW_N(s->arena, tn_value *, part.outputs.n);
  for (size_t i = 0; i < part.outputs.n; i++) {
    values[i] = part.outputs.data[i].value;
    TN_VEC_PUSH(s->module->arena, &s->func->result_names, part.outputs.data[i].name);
  }
  tn_loc_push(s->ctx, decl->loc);
  tn_build_return(&s->build, values, (uint32_t)part.outputs.n);
  tn_loc_pop(s->ctx);
  return true;
}
