/* Reads functions, blocks and nodes. Each node is made by tn_node_create, so its types are inferred and compared with
 * what the text says. */
#include <string.h>

#include "ir/build.h"
#include "ir/text/parse.h"


/* The values a block's nodes can name; blocks are isolated. A value whose definition failed is known but NULL. */
typedef struct scope {
  tn_block *block;
  tn_map names; /* interned name -> named_value */
  tn_map consts; /* tn_const -> the value of its node in this block */
} scope;

typedef struct named_value {
  tn_value *value;
} named_value;

/* What stands behind a result: its type and what the layout and the user said of it. */
typedef struct result_text {
  const tn_token *start;
  const tn_type *type;
  const tn_storage *storage;
  const char *name;
} result_text;

#define MAX_OPERANDS 65536

typedef struct node_text {
  const tn_token *start;
  const tn_opdef *op;
  TN_VEC(const char *) result_names;
  TN_VEC(tn_value *) operands;
  bool operands_failed; /* an operand's own definition failed, which was reported */
  tn_attr *attrs;
} node_text;

static bool define(tn_parser *p, scope *s, const tn_token *token, const char *name, tn_value *value) {
  named_value *known = tn_map_get(&s->names, name);
  if (known) return tn_parse_fail(p, token, "value '%%%s' is defined twice", name);
  known = TN_NEW(p->scratch, named_value);
  known->value = value;
  tn_map_set(&s->names, name, known);
  return true;
}

static scope scope_create(tn_parser *p, tn_block *block) {
  return (scope){.block = block, .names = tn_map_create(p->scratch), .consts = tn_map_create(p->scratch)};
}

/* Operands. */

/* The value of a constant: its node, made before its first use. */
static tn_value *const_value(scope *s, tn_const *constant) {
  tn_value *value = tn_map_get(&s->consts, constant);
  if (value) return value;
  tn_build b = tn_build_at_end(s->block);
  tn_loc_push(b.ctx, constant->loc);
  value = tn_build_const(&b, constant);
  tn_loc_pop(b.ctx);
  tn_map_set(&s->consts, constant, value);
  return value;
}

static bool parse_operand(tn_parser *p, scope *s, node_text *node) {
  const tn_token *token = tn_parse_peek(p);
  const char *name;
  tn_value *value = NULL;
  if (tn_parse_take_name(p, "_")) {
    TN_VEC_PUSH(p->scratch, &node->operands, NULL);
    return true;
  }
  if (token->kind == TN_TOKEN_GLOBAL) {
    if (!tn_parse_named(p, TN_TOKEN_GLOBAL, "a constant", &name)) return false;
    tn_const *constant = tn_map_get(&p->module->const_names, name);
    if (!constant) return tn_parse_fail(p, token, "there is no constant '%s'", name);
    value = const_value(s, constant);
  } else {
    if (!tn_parse_named(p, TN_TOKEN_VALUE, "an operand", &name)) return false;
    named_value *known = tn_map_get(&s->names, name);
    if (!known) return tn_parse_fail(p, token, "no value '%%%s' is in scope", name);
    value = known->value;
  }
  if (!value) node->operands_failed = true;
  TN_VEC_PUSH(p->scratch, &node->operands, value);
  return node->operands.n <= MAX_OPERANDS || tn_parse_fail(p, token, "more than %d operands", MAX_OPERANDS);
}

static bool parse_operands(tn_parser *p, scope *s, node_text *node) {
  const tn_token *first = tn_parse_peek(p);
  bool any = first->kind == TN_TOKEN_VALUE || first->kind == TN_TOKEN_GLOBAL || tn_token_is(first, "_");
  /* A line that begins with a value belongs to the next node. */
  if (!any || (first->kind == TN_TOKEN_VALUE && first->line > p->tokens.data[p->at - 1].line)) return true;
  do {
    if (!parse_operand(p, s, node)) return false;
  } while (tn_parse_take_char(p, ','));
  return true;
}

/* Attributes. */

static bool parse_pairs(tn_parser *p, tn_attr *attr) {
  TN_VEC(int64_t) ints = {0};
  if (!tn_parse_need_char(p, '[')) return false;
  while (!tn_parse_at_char(p, ']')) {
    int64_t first, second;
    if (ints.n > 0 && !tn_parse_need_char(p, ',')) return false;
    if (!tn_parse_need_char(p, '(') || !tn_parse_int(p, &first) || !tn_parse_need_char(p, ',') ||
        !tn_parse_int(p, &second) || !tn_parse_need_char(p, ')'))
      return false;
    TN_VEC_PUSH(p->module->arena, &ints, first);
    TN_VEC_PUSH(p->module->arena, &ints, second);
  }
  attr->u.list.n = (uint32_t)(ints.n / 2);
  attr->u.list.ints = ints.data;
  return tn_parse_need_char(p, ']');
}

static bool parse_name_attr(tn_parser *p, const tn_attr_def *def, tn_attr *attr) {
  const tn_token *token = tn_parse_peek(p);
  const char *name;
  if (!tn_parse_identifier(p, "a name", &name)) return false;
  int64_t i = 0;
  while (def->names[i] && strcmp(def->names[i], name) != 0) i++;
  attr->u.i = i;
  return def->names[i] || tn_parse_fail(p, token, "'%s' is none of the names of attribute '%s'", name, def->name);
}

static bool parse_const_attr(tn_parser *p, tn_attr *attr) {
  const tn_token *token = tn_parse_peek(p);
  const char *name;
  if (!tn_parse_named(p, TN_TOKEN_GLOBAL, "a constant", &name)) return false;
  attr->u.constant = tn_map_get(&p->module->const_names, name);
  return attr->u.constant || tn_parse_fail(p, token, "there is no constant '%s'", name);
}

static bool parse_func_attr(tn_parser *p, tn_attr *attr) {
  const tn_token *token = tn_parse_peek(p);
  const char *name;
  if (!tn_parse_named(p, TN_TOKEN_GLOBAL, "a function", &name)) return false;
  attr->u.func = tn_map_get(&p->funcs, name);
  return attr->u.func || tn_parse_fail(p, token, "there is no function '%s' above", name);
}

static bool parse_bool_attr(tn_parser *p, tn_attr *attr) {
  attr->u.i = tn_parse_take_name(p, "true");
  return attr->u.i || tn_parse_take_name(p, "false") || tn_parse_expected(p, "true or false");
}

static bool parse_attr_value(tn_parser *p, const tn_attr_def *def, tn_attr *attr) {
  tn_dtype dtype;
  switch (def->kind) {
    case TN_ATTR_INT: return tn_parse_int(p, &attr->u.i);
    case TN_ATTR_FLOAT: return tn_parse_double(p, &attr->u.f);
    case TN_ATTR_BOOL: return parse_bool_attr(p, attr);
    case TN_ATTR_NAME: return parse_name_attr(p, def, attr);
    case TN_ATTR_STRING: return tn_parse_named(p, TN_TOKEN_STRING, "a string", &attr->u.s);
    case TN_ATTR_DTYPE:
      if (!tn_parse_dtype(p, &dtype)) return false;
      attr->u.i = dtype;
      return true;
    case TN_ATTR_INTS: return tn_parse_int_list(p, &attr->u.list.ints, &attr->u.list.n);
    case TN_ATTR_DIMS: return tn_parse_dim_list(p, &attr->u.list.dims, &attr->u.list.n);
    case TN_ATTR_PAIRS: return parse_pairs(p, attr);
    case TN_ATTR_CONST: return parse_const_attr(p, attr);
    case TN_ATTR_FUNC: return parse_func_attr(p, attr);
  }
  return false;
}

static bool unknown_attr(tn_parser *p, const tn_token *token, const tn_opdef *op, const char *name) {
  const char **names = TN_NEW_N(p->scratch, const char *, op->n_attrs);
  for (uint32_t i = 0; i < op->n_attrs; i++) names[i] = op->attrs[i].name;
  const char *near = tn_str_nearest(name, names, op->n_attrs);
  return tn_parse_fail(p, token, near ? "'%s' has no attribute '%s'; did you mean '%s'?" : "'%s' has no attribute '%s'",
                       op->name, name, near);
}

bool tn_parse_attrs(tn_parser *p, const tn_opdef *op, tn_attr *out) {
  bool attrs_follow = tn_parse_at_char(p, '{') && tn_parse_peek_at(p, 1)->kind != TN_TOKEN_CHAR;
  if (!attrs_follow) return true;
  tn_parse_next(p);
  do {
    const tn_token *token = tn_parse_peek(p);
    const char *name;
    if (!tn_parse_identifier(p, "an attribute", &name)) return false;
    uint32_t index = tn_op_attr_index(op, name);
    if (index == UINT32_MAX) return unknown_attr(p, token, op, name);
    if (out[index].present) return tn_parse_fail(p, token, "attribute '%s' is given twice", name);
    if (!tn_parse_need_char(p, '=') || !parse_attr_value(p, &op->attrs[index], &out[index])) return false;
    out[index].present = true;
  } while (tn_parse_take_char(p, ','));
  return tn_parse_need_char(p, '}');
}

/* Results. */

static bool parse_result_text(tn_parser *p, result_text *out) {
  *out = (result_text){.start = tn_parse_peek(p), .name = ""};
  if (!tn_parse_type(p, &out->type) || !tn_parse_storage(p, out->type->ndim, &out->storage)) return false;
  return tn_parse_peek(p)->kind != TN_TOKEN_STRING || tn_parse_named(p, TN_TOKEN_STRING, "a name", &out->name);
}

static const char *type_text(tn_parser *p, const tn_type *type) {
  tn_buf buf = tn_buf_create(p->scratch);
  tn_type_print(type, &buf);
  return buf.data;
}

/* Equal, or equal by the function's guards. */
static bool types_agree(const tn_func *func, const tn_type *a, const tn_type *b) {
  if (a == b) return true;
  if (a->dtype != b->dtype || a->ndim != b->ndim) return false;
  for (uint32_t i = 0; i < a->ndim; i++)
    if (!tn_func_dims_equal(func, a->dims[i], b->dims[i])) return false;
  return true;
}

static bool parse_results(tn_parser *p, tn_node *node) {
  for (uint32_t i = 0; i < node->n_results; i++) {
    result_text text;
    if (!tn_parse_need_char(p, i == 0 ? ':' : ',') || !parse_result_text(p, &text)) return false;
    tn_value *value = node->results[i];
    if (!types_agree(node->block->func, text.type, value->type))
      return tn_parse_fail(p, text.start, "expected type %s, found %s", type_text(p, value->type),
                           type_text(p, text.type));
    value->type = text.type;
    value->storage = text.storage;
    value->name = text.name;
  }
  return true;
}

/* Nodes. */

static bool parse_block(tn_parser *p, scope *s);

static bool parse_params(tn_parser *p, scope *s) {
  if (!tn_parse_need_char(p, '(')) return false;
  while (!tn_parse_at_char(p, ')')) {
    const char *name;
    result_text text;
    if (s->block->params.n > 0 && !tn_parse_need_char(p, ',')) return false;
    const tn_token *token = tn_parse_peek(p);
    if (!tn_parse_named(p, TN_TOKEN_VALUE, "a parameter", &name) || !tn_parse_need_char(p, ':') ||
        !parse_result_text(p, &text))
      return false;
    tn_value *param = tn_block_add_param(s->block, text.type, text.name);
    param->storage = text.storage;
    if (!define(p, s, token, name, param)) return false;
  }
  return tn_parse_need_char(p, ')');
}

static bool parse_guards(tn_parser *p, tn_guard_list *guards) {
  while (tn_token_is(tn_parse_peek(p), "guard")) {
    const tn_token *start = tn_parse_next(p);
    tn_guard guard;
    if (!tn_parse_guard(p, start, &guard)) return false;
    TN_VEC_PUSH(p->module->arena, guards, guard);
  }
  return true;
}

static bool parse_region(tn_parser *p, tn_node *node) {
  if (!tn_parse_need_char(p, '{') || !tn_parse_need_char(p, '^')) return false;
  scope inner = scope_create(p, tn_node_add_region(node));
  if (!parse_params(p, &inner) || !parse_guards(p, &inner.block->guards)) return false;
  if (!tn_parse_enter(p)) return false;
  tn_block *around = tn_func_enter(node->block->func, inner.block);
  bool ok = parse_block(p, &inner);
  tn_func_leave(node->block->func, around);
  tn_parse_leave(p);
  return ok;
}

static bool parse_regions(tn_parser *p, tn_node *node) {
  if (node->op->n_regions == 0) return true;
  for (uint32_t i = 0; i < node->op->n_regions; i++)
    if ((i > 0 && !tn_parse_need_name(p, "else")) || !parse_region(p, node)) return false;
  return tn_node_infer(node);
}

static bool parse_group(tn_parser *p, tn_node *node) {
  uint64_t group;
  if (!tn_parse_take_name(p, "group")) return true;
  if (!tn_parse_need_char(p, '(') || !tn_parse_uint(p, INT32_MAX, &group) || !tn_parse_need_char(p, ')')) return false;
  node->group = (int32_t)group;
  return true;
}

static bool parse_op(tn_parser *p, node_text *node) {
  const tn_token *token = tn_parse_peek(p);
  const char *name;
  if (!tn_parse_identifier(p, "an operator", &name)) return false;
  node->op = tn_op_find(name);
  if (node->op) return true;
  const char **names = TN_NEW_N(p->scratch, const char *, tn_op_count());
  for (uint32_t i = 0; i < tn_op_count(); i++) names[i] = tn_op_at(i)->name;
  const char *near = tn_str_nearest(name, names, tn_op_count());
  return tn_parse_fail(p, token, near ? "there is no operator '%s'; did you mean '%s'?" : "there is no operator '%s'",
                       name, near);
}

/* The node, its operands and attributes being read; with the place of the text until its own is read. */
static tn_node *create_node(tn_parser *p, scope *s, const node_text *text) {
  tn_loc_push(p->ctx, tn_parse_loc_of(p, text->start));
  uint32_t n = (uint32_t)text->operands.n;
  tn_node *node = tn_node_create(s->block, NULL, text->op, text->operands.data, n, text->attrs);
  tn_loc_pop(p->ctx);
  return node;
}

static bool parse_right_side(tn_parser *p, scope *s, node_text *text, tn_node **out) {
  if (!parse_op(p, text)) return false;
  text->attrs = TN_NEW_N(p->scratch, tn_attr, text->op->n_attrs);
  if (!parse_operands(p, s, text) || !tn_parse_attrs(p, text->op, text->attrs)) return false;
  if (text->operands_failed) return false;
  tn_node *node = create_node(p, s, text);
  if (!node || !parse_regions(p, node)) return false;
  if (node->n_results != text->result_names.n)
    return tn_parse_fail(p, text->start, "'%s' has %u results, found %zu", node->op->name, node->n_results,
                         text->result_names.n);
  *out = node;
  return parse_results(p, node) && parse_group(p, node) && tn_parse_loc_ref(p, text->start, &node->loc);
}

static bool parse_result_names(tn_parser *p, node_text *text) {
  if (tn_parse_peek(p)->kind != TN_TOKEN_VALUE) return true;
  do {
    const char *name;
    if (!tn_parse_named(p, TN_TOKEN_VALUE, "a result", &name)) return false;
    TN_VEC_PUSH(p->scratch, &text->result_names, name);
  } while (tn_parse_take_char(p, ','));
  return tn_parse_need_char(p, '=');
}

static bool parse_node(tn_parser *p, scope *s) {
  node_text text = {.start = tn_parse_peek(p)};
  tn_node *node = NULL;
  bool ok = parse_result_names(p, &text) && parse_right_side(p, s, &text, &node);
  for (size_t i = 0; i < text.result_names.n; i++)
    ok = define(p, s, text.start, text.result_names.data[i], ok ? node->results[i] : NULL) && ok;
  return ok;
}

/* Nodes up to the closing brace, which is taken. After a node that is wrong reading goes on at the next line. */
static bool parse_block(tn_parser *p, scope *s) {
  bool ok = true;
  while (!tn_parse_at_char(p, '}')) {
    if (tn_parse_peek(p)->kind == TN_TOKEN_END) return tn_parse_expected(p, "'}'");
    size_t start = p->at;
    if (parse_node(p, s)) continue;
    ok = false;
    tn_parse_recover(p, start);
  }
  tn_parse_next(p);
  return ok;
}

/* Functions. */

typedef TN_VEC(result_text) result_texts;

static bool parse_signature_results(tn_parser *p, tn_func *func, result_texts *results) {
  if (tn_parse_peek(p)->kind != TN_TOKEN_ARROW) return tn_parse_expected(p, "'->'");
  tn_parse_next(p);
  if (!tn_parse_need_char(p, '(')) return false;
  while (!tn_parse_at_char(p, ')')) {
    result_text text;
    if (results->n > 0 && !tn_parse_need_char(p, ',')) return false;
    if (!parse_result_text(p, &text)) return false;
    TN_VEC_PUSH(p->scratch, results, text);
    TN_VEC_PUSH(p->module->arena, &func->result_names, text.name);
  }
  return tn_parse_need_char(p, ')');
}

static bool check_signature(tn_parser *p, const tn_token *start, const tn_func *func, const result_texts *results) {
  const tn_node *last = func->body->last;
  uint32_t n = last && last->op->kind == TN_OP_TERMINATOR ? last->n_operands : 0;
  if (n != results->n)
    return tn_parse_fail(p, start, "function '%s' says %zu results and returns %u", func->name, results->n, n);
  for (uint32_t i = 0; i < n; i++) {
    const tn_type *returned = last->operands[i].value->type, *said = results->data[i].type;
    if (!types_agree(func, said, returned))
      return tn_parse_fail(p, results->data[i].start, "expected type %s as returned, found %s", type_text(p, returned),
                           type_text(p, said));
  }
  return true;
}

bool tn_parse_func(tn_parser *p, const tn_token *start) {
  const char *name;
  if (!tn_parse_named(p, TN_TOKEN_GLOBAL, "a function's name", &name)) return false;
  if (tn_map_has(&p->funcs, name)) return tn_parse_fail(p, start, "function '%s' is defined twice", name);
  tn_func *func = tn_func_create(p->module, name, tn_parse_take_name(p, "entry"));
  tn_map_set(&p->funcs, name, func);
  scope s = scope_create(p, func->body);
  result_texts results = {0};
  if (!parse_params(p, &s) || !parse_signature_results(p, func, &results) || !tn_parse_need_char(p, '{') ||
      !parse_guards(p, &func->guards))
    return false;
  bool ok = parse_block(p, &s);
  return ok && check_signature(p, start, func, &results);
}
