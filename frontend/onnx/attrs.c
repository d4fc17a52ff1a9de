/* Attributes: from AttributeProto to what import functions see, and from there by name to those of an op. */
#include <string.h>

#include "frontend/onnx/import.h"

/* AttributeProto.AttributeType */
enum { ONNX_FLOAT = 1, ONNX_INT, ONNX_STRING, ONNX_TENSOR, ONNX_GRAPH, ONNX_FLOATS, ONNX_INTS, ONNX_STRINGS };

/* Files of the first IR version carry no type; what is there tells it. */
static int32_t type_of(const Onnx__AttributeProto *attr) {
  if (attr->has_type && attr->type != 0) return attr->type;
  if (attr->has_f) return ONNX_FLOAT;
  if (attr->has_i) return ONNX_INT;
  if (attr->has_s) return ONNX_STRING;
  if (attr->t != NULL) return ONNX_TENSOR;
  if (attr->g != NULL) return ONNX_GRAPH;
  if (attr->n_floats > 0) return ONNX_FLOATS;
  if (attr->n_ints > 0) return ONNX_INTS;
  return attr->n_strings > 0 ? ONNX_STRINGS : 0;
}

static const char *text_of(tn_arena *arena, const ProtobufCBinaryData *bytes) {
  return tn_arena_strndup(arena, bytes->len > 0 ? (const char *)bytes->data : "", bytes->len);
}

static void read_lists(const Onnx__AttributeProto *attr, tn_arena *arena, tn_foreign_attr *out) {
  if (out->kind == TN_FOREIGN_INTS) {
    out->n = (uint32_t)attr->n_ints;
    out->ints = tn_arena_copy(arena, attr->n_ints > 0 ? attr->ints : &(int64_t){0}, attr->n_ints * sizeof(int64_t));
  } else if (out->kind == TN_FOREIGN_FLOATS) {
    double *floats = TN_NEW_N(arena, double, attr->n_floats);
    for (size_t i = 0; i < attr->n_floats; i++) floats[i] = (double)attr->floats[i];
    out->n = (uint32_t)attr->n_floats;
    out->floats = floats;
  } else if (out->kind == TN_FOREIGN_STRINGS) {
    const char **strings = TN_NEW_N(arena, const char *, attr->n_strings);
    for (size_t i = 0; i < attr->n_strings; i++) strings[i] = text_of(arena, &attr->strings[i]);
    out->n = (uint32_t)attr->n_strings;
    out->strings = strings;
  }
}

static bool read_tensor(tn_scope *scope, const Onnx__AttributeProto *attr, tn_loc loc, tn_foreign_attr *out) {
  const tn_loc_info *place = tn_loc_get(scope->importer->ctx, loc);
  const char *name = tn_namef(scope->importer->ctx, "%s%s%s.%lld.%s", place->node_scope,
                              place->node_scope[0] != '\0' ? "/" : "", place->node_op,
                              (long long)place->node_index, tn_onnx_display(scope->importer->ctx, attr->name));
  if (attr->t == NULL)
    return tn_error(scope->importer->ctx, loc, TN_E_ATTR, "attribute '%s' has no tensor",
                    tn_onnx_display(scope->importer->ctx, attr->name));
  out->tensor = tn_onnx_tensor(&scope->importer->tensors, attr->t, name, loc);
  return out->tensor != NULL;
}

/* name: under which the node knows it (a function's attribute may be called otherwise by the caller). */
static bool read_attr(tn_scope *scope, const Onnx__AttributeProto *attr, tn_loc loc, tn_foreign_attr *out) {
  static const tn_foreign_kind kinds[] = {
      TN_FOREIGN_OTHER,  TN_FOREIGN_FLOAT,  TN_FOREIGN_INT,  TN_FOREIGN_STRING, TN_FOREIGN_TENSOR,
      TN_FOREIGN_GRAPH, TN_FOREIGN_FLOATS, TN_FOREIGN_INTS, TN_FOREIGN_STRINGS,
  };
  tn_ctx *ctx = scope->importer->ctx;
  tn_arena *arena = scope->importer->module->arena;
  int32_t type = type_of(attr);
  *out = (tn_foreign_attr){.name = tn_name(ctx, attr->name),
                           .kind = type > 0 && type <= ONNX_STRINGS ? kinds[type] : TN_FOREIGN_OTHER};
  switch (out->kind) {
    case TN_FOREIGN_INT: out->i = attr->i; return true;
    case TN_FOREIGN_FLOAT: out->f = (double)attr->f; return true;
    case TN_FOREIGN_STRING:
      out->s = text_of(arena, &attr->s);
      out->s_length = attr->s.len;
      return true;
    case TN_FOREIGN_TENSOR:
      return read_tensor(scope, attr, loc, out);
    case TN_FOREIGN_GRAPH: {
      if (attr->g == NULL)
        return tn_error(ctx, loc, TN_E_ATTR, "attribute '%s' has no graph", tn_onnx_display(ctx, attr->name));
      tn_body *body = TN_NEW(scope->importer->scratch, tn_body);
      *body = (tn_body){attr->g, scope};
      out->graph = body;
      return true;
    }
    default: read_lists(attr, arena, out); return true;
  }
}

static const Onnx__AttributeProto *default_of(const tn_local_function *function, const char *name) {
  for (size_t i = 0; i < function->proto->n_attribute_proto; i++) {
    const Onnx__AttributeProto *attr = function->proto->attribute_proto[i];
    if (attr->name != NULL && strcmp(attr->name, name) == 0) return attr;
  }
  return NULL;
}

static bool is_declared(const tn_local_function *function, const char *name) {
  for (size_t i = 0; i < function->proto->n_attribute; i++)
    if (strcmp(function->proto->attribute[i], name) == 0) return true;
  return default_of(function, name) != NULL;
}

/* An attribute that refers to one of the function around it. *out_present = false: the caller left it out. */
static bool resolve(tn_scope *scope, const Onnx__AttributeProto *attr, tn_loc loc, tn_foreign_attr *out,
                    bool *out_present) {
  tn_ctx *ctx = scope->importer->ctx;
  const char *wanted = attr->ref_attr_name;
  *out_present = false;
  if (scope->call == NULL || !is_declared(scope->call->function, wanted))
    return tn_error(ctx, loc, TN_E_ONNX_FUNCTION, "attribute '%s' refers to '%s', which %s",
                    tn_onnx_display(ctx, attr->name), tn_onnx_display(ctx, wanted),
                    scope->call == NULL ? "exists in functions only" : "the function does not declare");
  for (uint32_t i = 0; i < scope->call->n_attrs; i++) {
    if (strcmp(scope->call->attrs[i].name, wanted) != 0) continue;
    *out = scope->call->attrs[i];
    out->name = tn_name(ctx, attr->name);
    *out_present = true;
    return true;
  }
  const Onnx__AttributeProto *fallback = default_of(scope->call->function, wanted);
  if (fallback == NULL) return true;
  *out_present = true;
  bool ok = read_attr(scope, fallback, loc, out);
  out->name = tn_name(ctx, attr->name);
  return ok;
}

bool tn_import_attrs(tn_scope *scope, const tn_onnx_node *node, tn_loc loc, const tn_foreign_attr **out,
                     uint32_t *out_n) {
  tn_ctx *ctx = scope->importer->ctx;
  tn_foreign_attr *attrs = TN_NEW_N(scope->importer->scratch, tn_foreign_attr, node->n_attribute);
  uint32_t n = 0;
  bool ok = true;
  for (size_t i = 0; i < node->n_attribute; i++) {
    const Onnx__AttributeProto *attr = node->attribute[i];
    bool present = true, twice = false;
    if (attr->name == NULL || attr->name[0] == '\0') {
      ok = tn_error(ctx, loc, TN_E_ATTR, "attribute %zu has no name", i);
      continue;
    }
    for (uint32_t k = 0; k < n; k++) twice = twice || strcmp(attrs[k].name, attr->name) == 0;
    if (twice) {
      ok = tn_error(ctx, loc, TN_E_ONNX_DUPLICATE, "attribute '%s' is given twice", tn_onnx_display(ctx, attr->name));
      continue;
    }
    bool is_reference = attr->ref_attr_name != NULL && attr->ref_attr_name[0] != '\0';
    ok = (is_reference ? resolve(scope, attr, loc, &attrs[n], &present) : read_attr(scope, attr, loc, &attrs[n])) && ok;
    n += present;
  }
  *out = attrs;
  *out_n = n;
  return ok;
}

static bool wrong_kind(const tn_foreign_node *node, const tn_attr_def *def) {
  return tn_error(node->build->ctx, node->loc, TN_E_ATTR, "attribute '%s' of '%s' is of the wrong kind", def->name,
                  node->op);
}

static bool map_name(const tn_foreign_node *node, const tn_attr_def *def, const char *text, tn_attr *out) {
  for (uint32_t i = 0; def->names[i] != NULL; i++) {
    if (strcmp(def->names[i], text) != 0) continue;
    out->u.i = i;
    return true;
  }
  return tn_error(node->build->ctx, node->loc, TN_E_ATTR, "attribute '%s' of '%s': unknown value '%s'", def->name,
                  node->op, tn_onnx_display(node->build->ctx, text));
}

static bool map_list(const tn_foreign_node *node, const tn_attr_def *def, const tn_foreign_attr *attr, tn_attr *out) {
  if (attr->kind != TN_FOREIGN_INTS) return wrong_kind(node, def);
  if (def->kind == TN_ATTR_INTS) {
    *out = tn_attr_ints(node->build->module, attr->ints, attr->n);
    return true;
  }
  const tn_dim **dims = TN_NEW_N(node->build->module->arena, const tn_dim *, attr->n);
  for (uint32_t i = 0; i < attr->n; i++) dims[i] = tn_dim_const(node->build->ctx, attr->ints[i]);
  *out = tn_attr_dims(node->build->module, dims, attr->n);
  return true;
}

static bool map_dtype(const tn_foreign_node *node, const tn_attr_def *def, int64_t data_type, tn_attr *out) {
  tn_dtype dtype = data_type >= 0 && data_type <= INT32_MAX ? tn_onnx_dtype((int32_t)data_type) : TN_N_DTYPES;
  if (dtype == TN_N_DTYPES)
    return tn_error(node->build->ctx, node->loc, TN_E_ATTR,
                    "attribute '%s' of '%s': element type %lld is not supported", def->name, node->op,
                    (long long)data_type);
  *out = tn_attr_dtype(dtype);
  return true;
}

static bool map_attr(const tn_foreign_node *node, const tn_attr_def *def, const tn_foreign_attr *attr, tn_attr *out) {
  out->present = true;
  switch (def->kind) {
    case TN_ATTR_INT:
    case TN_ATTR_BOOL:
    case TN_ATTR_DTYPE:
      if (attr->kind != TN_FOREIGN_INT) return wrong_kind(node, def);
      if (def->kind == TN_ATTR_DTYPE) return map_dtype(node, def, attr->i, out);
      out->u.i = def->kind == TN_ATTR_BOOL ? attr->i != 0 : attr->i;
      return true;
    case TN_ATTR_FLOAT:
      out->u.f = attr->f;
      return attr->kind == TN_FOREIGN_FLOAT || wrong_kind(node, def);
    case TN_ATTR_STRING:
      out->u.s = attr->s;
      return attr->kind == TN_FOREIGN_STRING || wrong_kind(node, def);
    case TN_ATTR_NAME:
      return attr->kind == TN_FOREIGN_STRING ? map_name(node, def, attr->s, out) : wrong_kind(node, def);
    case TN_ATTR_INTS:
    case TN_ATTR_DIMS: return map_list(node, def, attr, out);
    case TN_ATTR_CONST:
      out->u.constant = attr->tensor;
      return attr->kind == TN_FOREIGN_TENSOR || wrong_kind(node, def);
    case TN_ATTR_PAIRS:
    case TN_ATTR_FUNC: break;
  }
  return wrong_kind(node, def);
}

bool tn_map_attrs(const tn_foreign_node *node, const tn_opdef *op, tn_attr **out) {
  bool ok = true;
  *out = TN_NEW_N(node->build->module->arena, tn_attr, op->n_attrs);
  for (uint32_t i = 0; i < node->n_attrs; i++) {
    uint32_t at = tn_op_attr_index(op, node->attrs[i].name);
    if (at == UINT32_MAX)
      ok = tn_error(node->build->ctx, node->loc, TN_E_ATTR, "'%s' has no attribute '%s'", node->op,
                    tn_onnx_display(node->build->ctx, node->attrs[i].name));
    else
      ok = map_attr(node, &op->attrs[at], &node->attrs[i], &(*out)[at]) && ok;
  }
  return ok;
}

static tn_const *constant_of(const tn_foreign_node *node, const char *name, tn_dtype dtype, int64_t extent,
                             const void *data) {
  tn_ctx *ctx = node->build->ctx;
  const tn_type *type = extent < 0 ? tn_type_scalar(ctx, dtype) : tn_type_static(ctx, dtype, 1, &extent);
  return tn_const_data(node->build->module, name, type, data);
}

tn_const *tn_import_constant(const tn_foreign_node *node, const char *name) {
  tn_arena *arena = node->build->module->arena;
  if (node->n_attrs != 1) {
    tn_error(node->build->ctx, node->loc, TN_E_ATTR, "'Constant' has %u attributes, expected 1", node->n_attrs);
    return NULL;
  }
  const tn_foreign_attr *attr = &node->attrs[0];
  if (attr->kind == TN_FOREIGN_TENSOR && strcmp(attr->name, "value") == 0) return attr->tensor;
  if (attr->kind == TN_FOREIGN_INT && strcmp(attr->name, "value_int") == 0)
    return constant_of(node, name, TN_I64, -1, tn_arena_copy(arena, &attr->i, sizeof(attr->i)));
  if (attr->kind == TN_FOREIGN_INTS && strcmp(attr->name, "value_ints") == 0)
    return constant_of(node, name, TN_I64, attr->n, attr->ints);
  if (attr->kind == TN_FOREIGN_FLOAT && strcmp(attr->name, "value_float") == 0)
    return constant_of(node, name, TN_F32, -1, tn_arena_copy(arena, &(float){(float)attr->f}, sizeof(float)));
  if (attr->kind == TN_FOREIGN_FLOATS && strcmp(attr->name, "value_floats") == 0) {
    float *floats = TN_NEW_N(arena, float, attr->n);
    for (uint32_t i = 0; i < attr->n; i++) floats[i] = (float)attr->floats[i];
    return constant_of(node, name, TN_F32, attr->n, floats);
  }
  tn_foreign_unsupported(node, "attribute '%s'", tn_onnx_display(node->build->ctx, attr->name));
  return NULL;
}
