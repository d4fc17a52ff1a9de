/* Dims of graph inputs. Unset, "?", empty and negative mean unknown, each a symbol of its own; equal names are one
 * symbol. The command line may fix or bound named dims and replace the shape of an input. */
#include <string.h>

#include "frontend/onnx/import.h"

enum { MAX_SYMBOLS = 1024 };

static bool is_unknown(const char *param) { return param == NULL || param[0] == '\0' || strcmp(param, "?") == 0; }

static const tn_onnx_dim *dim_option(const tn_importer *importer, const char *name) {
  const tn_onnx_dim *found = NULL;
  for (uint32_t i = 0; i < importer->options->n_dims; i++)
    if (strcmp(importer->options->dims[i].name, name) == 0) found = &importer->options->dims[i];
  return found;
}

static const tn_onnx_shape *shape_option(const tn_importer *importer, const char *input) {
  const tn_onnx_shape *found = NULL;
  for (uint32_t i = 0; i < importer->options->n_shapes; i++)
    if (!importer->options->shapes[i].is_hint && strcmp(importer->options->shapes[i].input, input) == 0)
      found = &importer->options->shapes[i];
  return found;
}

bool tn_dims_has_shape_option(const tn_importer *importer, const char *input) {
  return shape_option(importer, input) != NULL;
}

/* A symbol, or the number an option fixes it to. wanted: the name it should have; label: the model's spelling. */
static const tn_dim *make_dim(tn_importer *importer, const char *wanted, const char *label) {
  tn_ctx *ctx = importer->ctx;
  if (importer->module->symbols.n == MAX_SYMBOLS) { /* a thousand distinct dims are no model, but could be an attack */
    tn_error(ctx, tn_loc_current(ctx), TN_E_LIMIT, "graph inputs with more than %d different dims", MAX_SYMBOLS);
    return tn_dim_const(ctx, 1);
  }
  bool starts_well = (wanted[0] >= 'a' && wanted[0] <= 'z') || (wanted[0] >= 'A' && wanted[0] <= 'Z');
  const char *name = tn_symbol_fresh_name(ctx, starts_well ? wanted : tn_namef(ctx, "d_%s", wanted));
  const tn_onnx_dim *option = dim_option(importer, label != NULL ? label : name);
  if (option == NULL) option = dim_option(importer, name);
  if (option == NULL) option = dim_option(importer, wanted);
  if (option != NULL && option->lo == option->hi) return tn_dim_const(ctx, option->lo);
  const tn_symbol *symbol = tn_symbol_create(ctx, TN_SYM_INPUT, name, label, option != NULL ? option->lo : 0,
                                             option != NULL ? option->hi : TN_ONNX_MAX_EXTENT);
  TN_VEC_PUSH(importer->module->arena, &importer->module->symbols, symbol);
  return tn_dim_symbol(ctx, symbol);
}

static const tn_dim *named_dim(tn_importer *importer, const char *param) {
  const char *key = tn_name(importer->ctx, param);
  const tn_dim *dim = tn_map_get(&importer->dims, key);
  if (dim == NULL) {
    dim = make_dim(importer, param, key);
    tn_map_set(&importer->dims, key, (void *)dim);
  }
  return dim;
}

/* The digits of an --input-shape dim, or -1 for a name. */
static int64_t shape_number(const char *text) {
  int64_t value = 0;
  if (text[0] < '0' || text[0] > '9') return -1;
  for (; *text != '\0'; text++) value = value * 10 + (*text - '0'); /* checked by tn_onnx_parse_shape */
  return value;
}

/* The extent that a hint knows for an axis of an input of this rank; -1: none. */
static int64_t hint(const tn_importer *importer, const char *input, size_t rank, size_t axis) {
  for (uint32_t i = 0; i < importer->options->n_shapes; i++) {
    const tn_onnx_shape *shape = &importer->options->shapes[i];
    if (shape->is_hint && shape->ndim == rank && strcmp(shape->input, input) == 0)
      return shape_number(shape->dims[axis]);
  }
  return -1;
}

static const tn_dim *unknown_dim(tn_importer *importer, const char *input, size_t axis) {
  return make_dim(importer, tn_namef(importer->ctx, "%s_%zu", input, axis), NULL);
}

static const Onnx__TensorShapeProto *declared_shape(const Onnx__ValueInfoProto *input) {
  const Onnx__TypeProto *type = input->type;
  if (type == NULL || type->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE) return NULL;
  return type->tensor_type->shape;
}

static const char *param_of(const Onnx__TensorShapeProto__Dimension *dim) {
  bool named = dim->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
  return named && !is_unknown(dim->dim_param) ? dim->dim_param : NULL;
}

/* A number given for an axis that the model names fixes that name everywhere. */
static bool fix_name(tn_importer *importer, const char *param, int64_t value, const char *input) {
  const char *key = tn_name(importer->ctx, param);
  const tn_dim *dim = tn_dim_const(importer->ctx, value), *old = tn_map_get(&importer->dims, key);
  const tn_onnx_dim *option = dim_option(importer, param);
  if ((old != NULL && old != dim) || (option != NULL && (value < option->lo || value > option->hi)))
    return tn_error(importer->ctx, TN_LOC_NONE, TN_E_OPTION,
                    "--input-shape of '%s' gives dim '%s' the value %lld, another option gives it another",
                    tn_onnx_display(importer->ctx, input), tn_onnx_display(importer->ctx, param), (long long)value);
  tn_map_set(&importer->dims, key, (void *)dim);
  return true;
}

static bool apply_shape_option(tn_importer *importer, const tn_onnx_shape *option) {
  const tn_onnx_graph *graph = importer->model->graph;
  const Onnx__ValueInfoProto *input = NULL;
  for (size_t i = 0; i < graph->n_input; i++)
    if (graph->input[i]->name != NULL && strcmp(graph->input[i]->name, option->input) == 0) input = graph->input[i];
  if (input == NULL)
    return tn_error(importer->ctx, TN_LOC_NONE, TN_E_OPTION, "--input-shape: the model has no input '%s'",
                    option->input);
  const Onnx__TensorShapeProto *shape = declared_shape(input);
  if (shape == NULL) return true;
  if (shape->n_dim != option->ndim)
    return tn_error(importer->ctx, TN_LOC_NONE, TN_E_OPTION, "--input-shape: input '%s' has %zu dims, %u are given",
                    option->input, shape->n_dim, option->ndim);
  bool ok = true;
  for (uint32_t i = 0; i < option->ndim; i++) {
    const char *param = param_of(shape->dim[i]);
    int64_t value = shape_number(option->dims[i]);
    if (param != NULL && value >= 0) ok = fix_name(importer, param, value, option->input) && ok;
  }
  return ok;
}

/* Adds the dims' names of one input, for the check of --dim. */
static void note_names(tn_importer *importer, const Onnx__ValueInfoProto *input, tn_map *names) {
  const Onnx__TensorShapeProto *shape = declared_shape(input);
  const tn_onnx_shape *option = input->name != NULL ? shape_option(importer, input->name) : NULL;
  size_t n = option != NULL ? option->ndim : shape != NULL ? shape->n_dim : 0;
  for (size_t i = 0; i < n && input->name != NULL; i++) {
    const char *name = option != NULL ? option->dims[i] : param_of(shape->dim[i]);
    if (option != NULL && shape != NULL && i < shape->n_dim && param_of(shape->dim[i]) != NULL)
      tn_map_set(names, tn_name(importer->ctx, param_of(shape->dim[i])), names);
    if (is_unknown(name)) name = tn_namef(importer->ctx, "%s_%zu", input->name, i);
    tn_map_set(names, tn_name(importer->ctx, name), names);
  }
}

static bool check_dim_options(tn_importer *importer) {
  const tn_onnx_graph *graph = importer->model->graph;
  tn_map names = tn_map_create(importer->scratch);
  bool ok = true;
  if (importer->options->n_dims == 0) return true;
  for (size_t i = 0; i < graph->n_input; i++) note_names(importer, graph->input[i], &names);
  for (uint32_t i = 0; i < importer->options->n_dims; i++) {
    const char *name = importer->options->dims[i].name;
    if (tn_map_has(&names, tn_name(importer->ctx, name))) continue;
    ok = tn_error(importer->ctx, TN_LOC_NONE, TN_E_OPTION, "--dim: no input of the model has a dim '%s'", name);
    for (size_t k = 0; k < names.n && k < 16; k++)
      tn_note(importer->ctx, TN_LOC_NONE, "there is '%s'",
              tn_onnx_display(importer->ctx, (const char *)names.entries[k].key));
  }
  return ok;
}

bool tn_dims_prepare(tn_importer *importer) {
  bool ok = check_dim_options(importer);
  for (uint32_t i = 0; i < importer->options->n_shapes; i++)
    if (!importer->options->shapes[i].is_hint) ok = apply_shape_option(importer, &importer->options->shapes[i]) && ok;
  return ok;
}

static const tn_dim *declared_dim(tn_importer *importer, const char *input, size_t axis,
                                  const Onnx__TensorShapeProto *shape) {
  const Onnx__TensorShapeProto__Dimension *dim = shape->dim[axis];
  const char *param = param_of(dim);
  bool is_number = dim->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE && dim->dim_value >= 0;
  const char *key = param ? tn_name(importer->ctx, param) : NULL;
  bool is_set = is_number || (key && (dim_option(importer, key) || tn_map_has(&importer->dims, key)));
  int64_t value = is_set ? -1 : hint(importer, input, shape->n_dim, axis);
  if (value >= 0) {
    const tn_dim *known = tn_dim_const(importer->ctx, value);
    if (key) tn_map_set(&importer->dims, key, (void *)known);
    return known;
  }
  if (param) return named_dim(importer, param);
  return is_number ? tn_dim_const(importer->ctx, dim->dim_value) : unknown_dim(importer, input, axis);
}

static const tn_dim *option_dim(tn_importer *importer, const char *input, size_t axis, const char *text) {
  if (is_unknown(text)) return unknown_dim(importer, input, axis);
  int64_t value = shape_number(text);
  return value >= 0 ? tn_dim_const(importer->ctx, value) : named_dim(importer, text);
}

/* The element type; TN_N_DTYPES when reported. */
static tn_dtype input_dtype(tn_importer *importer, const Onnx__ValueInfoProto *input, tn_loc loc) {
  const Onnx__TypeProto *type = input->type;
  if (type == NULL || type->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE) {
    tn_error(importer->ctx, loc, TN_E_ONNX_TYPE, "graph input '%s' is no tensor",
             tn_onnx_display(importer->ctx, input->name));
    return TN_N_DTYPES;
  }
  int32_t elem = type->tensor_type->has_elem_type ? type->tensor_type->elem_type : 0;
  tn_dtype dtype = tn_onnx_dtype(elem);
  if (dtype != TN_N_DTYPES && dtype != TN_STR) return dtype;
  tn_error(importer->ctx, loc, TN_E_ONNX_TYPE, "graph input '%s' has element type %s (%d), which is not supported",
           tn_onnx_display(importer->ctx, input->name), tn_onnx_dtype_name(elem), elem);
  return TN_N_DTYPES;
}

/* Fixed extents are bounded so that element counts and bytes fit an int64. */
static bool bounded(tn_importer *importer, const Onnx__ValueInfoProto *input, tn_loc loc, const tn_dim *const *dims,
                    size_t n) {
  int64_t count = 1;
  for (size_t i = 0; i < n; i++) {
    if (!tn_dim_is_const(dims[i]) || tn_dim_is(dims[i], 0)) continue;
    if (!tn_mul_i64(count, tn_dim_value(dims[i]), &count) || count > INT64_MAX / 16)
      return tn_error(importer->ctx, loc, TN_E_LIMIT, "graph input '%s' has more than 2^59 elements",
                      tn_onnx_display(importer->ctx, input->name));
  }
  return true;
}

static const char *declared_text(tn_importer *importer, tn_dtype dtype, const Onnx__TensorShapeProto *shape) {
  tn_buf out = tn_buf_create(importer->scratch);
  tn_buf_printf(&out, "%s[", tn_dtype_name(dtype));
  for (size_t i = 0; shape != NULL && i < shape->n_dim && i < TN_MAX_NDIM; i++) {
    const Onnx__TensorShapeProto__Dimension *dim = shape->dim[i];
    if (param_of(dim) != NULL)
      tn_buf_printf(&out, "%s%s", i ? ", " : "", tn_onnx_display(importer->ctx, param_of(dim)));
    else if (dim->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE)
      tn_buf_printf(&out, "%s%lld", i ? ", " : "", (long long)dim->dim_value);
    else tn_buf_printf(&out, "%s?", i ? ", " : "");
  }
  tn_buf_putc(&out, ']');
  return out.data;
}

/* The extent that the model states for an axis: a number, what its name stands for already, or NULL: any. */
static const tn_dim *stated_dim(tn_importer *importer, const Onnx__TensorShapeProto__Dimension *dim,
                                const tn_dim *extent) {
  const char *param = param_of(dim);
  if (param == NULL) {
    bool is_number = dim->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE && dim->dim_value >= 0;
    return is_number ? tn_dim_const(importer->ctx, dim->dim_value) : NULL;
  }
  const char *key = tn_name(importer->ctx, param);
  const tn_dim *known = tn_map_get(&importer->dims, key);
  if (known == NULL) tn_map_set(&importer->dims, key, (void *)extent);
  return known;
}

bool tn_dims_meet(tn_importer *importer, const Onnx__ValueInfoProto *input, const tn_value *value, tn_loc loc) {
  tn_ctx *ctx = importer->ctx;
  tn_loc there = tn_loc_onnx(ctx, importer->file, "", -1, tn_onnx_display(ctx, input->name), "", 0);
  tn_dtype dtype = input_dtype(importer, input, there);
  const Onnx__TensorShapeProto *shape = declared_shape(input);
  if (dtype == TN_N_DTYPES) return false;
  tn_func *func = importer->part->build->func;
  bool fits = value->type->dtype == dtype && (shape == NULL || shape->n_dim == value->type->ndim);
  for (uint32_t i = 0; fits && shape != NULL && i < value->type->ndim; i++) {
    const tn_dim *extent = value->type->dims[i], *stated = stated_dim(importer, shape->dim[i], extent);
    if (stated == NULL || stated == extent) continue;
    tn_dim_order order = tn_dim_compare(ctx, stated, extent);
    fits = order == TN_DIM_EQUAL || order == TN_DIM_UNKNOWN;
    if (order == TN_DIM_UNKNOWN &&
        !tn_func_require_eq(func, stated, extent, loc, "axis %u of input '%s' of %s", i,
                            tn_onnx_display(ctx, input->name), importer->part->called))
      return false;
  }
  if (fits) return true;
  tn_buf found = tn_buf_create(importer->scratch);
  tn_type_print(value->type, &found);
  tn_error(ctx, loc, value->type->dtype == dtype ? TN_E_SHAPE : TN_E_DTYPE, "input '%s' of %s is %s, found %s",
           tn_onnx_display(ctx, input->name), importer->part->called, declared_text(importer, dtype, shape),
           found.data);
  tn_note(ctx, there, "the input is declared here");
  return false;
}

const tn_type *tn_dims_input_type(tn_importer *importer, const Onnx__ValueInfoProto *input, tn_loc loc) {
  const tn_dim *dims[TN_MAX_NDIM];
  tn_dtype dtype = input_dtype(importer, input, loc);
  if (dtype == TN_N_DTYPES) return NULL;
  const tn_onnx_shape *option = shape_option(importer, input->name);
  const Onnx__TensorShapeProto *shape = declared_shape(input);
  if (option == NULL && shape == NULL) {
    tn_error(importer->ctx, loc, TN_E_ONNX_TYPE, "graph input '%s' has no shape, not even a rank",
             tn_onnx_display(importer->ctx, input->name));
    tn_note(importer->ctx, loc, "--input-shape=NAME:D,D,... gives it one");
    return NULL;
  }
  size_t n = option != NULL ? option->ndim : shape->n_dim;
  if (n > TN_MAX_NDIM) {
    tn_error(importer->ctx, loc, TN_E_LIMIT, "graph input '%s' has rank %zu, at most %d is supported",
             tn_onnx_display(importer->ctx, input->name), n, TN_MAX_NDIM);
    return NULL;
  }
  for (size_t i = 0; i < n; i++)
    dims[i] = option != NULL ? option_dim(importer, input->name, i, option->dims[i])
                             : declared_dim(importer, input->name, i, shape);
  return bounded(importer, input, loc, dims, n) ? tn_type_tensor(importer->ctx, dtype, (uint32_t)n, dims) : NULL;
}
