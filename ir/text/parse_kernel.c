/* Reads kernels. Nodes are kept as they stand, also equal ones; what is derived is computed by tn_kernel_finish. */
#include <string.h>

#include "ir/text/parse.h"

typedef struct kernel_text {
  tn_kernel *kernel;
  tn_map nodes; /* interned name -> tn_knode */
  tn_map args;  /* interned name -> number of the argument + 1 */
  TN_VEC(const char *) symbols; /* names to take out of scope at the end */
  tn_knode failed;              /* stands for a node whose definition failed, which was reported */
  tn_knode unfinished;          /* stands for the node whose definition is being read */
} kernel_text;

/* A word of a list: its position, or the list's length (reported). */
static bool parse_word(tn_parser *p, const char *const *words, uint32_t n, const char *what, uint32_t *out) {
  for (*out = 0; *out < n; ++*out)
    if (tn_parse_take_name(p, words[*out])) return true;
  return tn_parse_expected(p, what);
}

static bool bring_in_scope(tn_parser *p, kernel_text *text, const tn_token *token, const tn_symbol *symbol) {
  if (tn_map_get(&p->symbols, symbol->name))
    return tn_parse_fail(p, token, "'%s' names two symbols", symbol->name);
  tn_map_set(&p->symbols, symbol->name, (void *)symbol);
  TN_VEC_PUSH(p->scratch, &text->symbols, symbol->name);
  return true;
}

static bool parse_axis(tn_parser *p, kernel_text *text) {
  static const char *const kinds[] = {"par", "sum", "row"};
  const tn_token *token = tn_parse_peek(p);
  const char *name;
  uint32_t kind;
  tn_axis axis;
  if (!tn_parse_identifier(p, "an axis", &name) || !tn_parse_need_char(p, '=') || !tn_parse_dim(p, &axis.extent) ||
      !tn_parse_need_char(p, ':') || !parse_word(p, kinds, 3, "'par', 'sum' or 'row'", &kind))
    return false;
  if (text->kernel->space.n == TN_KERNEL_MAX_AXES)
    return tn_error(p->ctx, tn_parse_loc_of(p, token), TN_E_LIMIT, "more than %d axes", TN_KERNEL_MAX_AXES);
  if (tn_dim_uses_kind(axis.extent, TN_SYM_AXIS) || tn_dim_uses_kind(axis.extent, TN_SYM_VALUE))
    return tn_parse_fail(p, token, "an extent over more than size symbols");
  if (axis.extent->hi < 0) return tn_parse_fail(p, token, "a negative extent");
  axis.symbol = tn_symbol_axis(p->ctx, name, axis.extent, (uint32_t)text->kernel->space.n);
  axis.kind = (tn_axis_kind)kind;
  TN_VEC_PUSH(p->module->arena, &text->kernel->space, axis);
  return bring_in_scope(p, text, token, axis.symbol);
}

static bool parse_space(tn_parser *p, kernel_text *text) {
  if (!tn_parse_need_name(p, "space")) return false;
  bool has_axes = tn_parse_peek_at(p, 1)->kind == TN_TOKEN_CHAR && tn_parse_peek_at(p, 1)->text[0] == '=';
  if (!has_axes || tn_parse_peek(p)->kind != TN_TOKEN_NAME) return true; /* one point */
  do {
    if (!parse_axis(p, text)) return false;
  } while (tn_parse_take_char(p, ','));
  return true;
}

/* Arguments. */

static bool parse_part(tn_parser *p, tn_karg *arg) {
  uint64_t axis;
  if (!tn_parse_take_name(p, "part")) return true;
  if (!tn_parse_need_char(p, '(') || !tn_parse_uint(p, TN_MAX_NDIM, &axis) || !tn_parse_need_char(p, ':') ||
      !tn_parse_dim(p, &arg->part_lo))
    return false;
  if (axis >= arg->type->ndim) return tn_parse_expected(p, "an axis of the argument");
  if (tn_parse_peek(p)->kind != TN_TOKEN_DOTS) return tn_parse_expected(p, "'..'");
  tn_parse_next(p);
  arg->part_axis = (int32_t)axis;
  return tn_parse_dim(p, &arg->part_hi) && tn_parse_need_char(p, ')');
}

static bool parse_arg_constant(tn_parser *p, tn_karg *arg) {
  const tn_token *token = tn_parse_peek_at(p, 1);
  const char *name;
  if (!tn_parse_take_char(p, '=')) return true;
  if (!tn_parse_named(p, TN_TOKEN_GLOBAL, "a constant", &name)) return false;
  arg->constant = tn_map_get(&p->module->const_names, name);
  return arg->constant || tn_parse_fail(p, token, "there is no constant '%s'", name);
}

static bool parse_arg(tn_parser *p, kernel_text *text, bool is_output) {
  const tn_token *token = tn_parse_peek(p);
  tn_karg arg = {.is_output = is_output, .part_axis = -1};
  if (!tn_parse_named(p, TN_TOKEN_VALUE, "an argument", &arg.name) || !tn_parse_need_char(p, ':') ||
      !tn_parse_type(p, &arg.type) || !tn_parse_storage(p, arg.type->ndim, &arg.storage) || !parse_part(p, &arg) ||
      !parse_arg_constant(p, &arg))
    return false;
  if (!arg.storage) arg.storage = tn_storage_row_major(p->module, arg.type->ndim);
  if (tn_map_get(&text->args, arg.name)) return tn_parse_fail(p, token, "argument '%%%s' is defined twice", arg.name);
  TN_VEC_PUSH(p->module->arena, &text->kernel->args, arg);
  tn_map_set(&text->args, arg.name, (void *)(uintptr_t)text->kernel->args.n);
  return true;
}

/* Nodes. */

static bool parse_in(tn_parser *p, kernel_text *text, tn_knode *node) {
  const tn_token *token = tn_parse_peek(p);
  const char *name;
  if (!tn_parse_named(p, TN_TOKEN_VALUE, "a node", &name)) return false;
  tn_knode *in = tn_map_get(&text->nodes, name);
  if (!in) return tn_parse_fail(p, token, "no node '%%%s' stands above", name);
  if (in == &text->failed) return false;
  if (in == &text->unfinished) return tn_parse_fail(p, token, "node '%%%s' uses itself", name);
  node->in[node->n_in++] = in;
  return true;
}

static bool parse_over(tn_parser *p, tn_knode *node) {
  if (!tn_parse_take_name(p, "over")) return true;
  do {
    const tn_token *token = tn_parse_peek(p);
    const char *name;
    if (!tn_parse_identifier(p, "an axis", &name)) return false;
    const tn_symbol *symbol = tn_map_get(&p->symbols, name);
    if (!symbol || symbol->kind != TN_SYM_AXIS) return tn_parse_fail(p, token, "there is no axis '%s'", name);
    node->over |= (uint32_t)1 << symbol->slot;
  } while (tn_parse_take_char(p, ','));
  return true;
}

/* "%x[i, j]". */
static bool parse_access(tn_parser *p, kernel_text *text, tn_knode *node) {
  const tn_token *token = tn_parse_peek(p);
  const char *name;
  if (!tn_parse_named(p, TN_TOKEN_VALUE, "an argument", &name)) return false;
  uintptr_t arg = (uintptr_t)tn_map_get(&text->args, name);
  if (arg == 0) return tn_parse_fail(p, token, "there is no argument '%%%s'", name);
  const tn_type *type = text->kernel->args.data[arg - 1].type;
  node->arg = (uint32_t)arg - 1;
  node->dtype = type->dtype;
  if (!tn_parse_dim_list(p, &node->index, &node->n_index)) return false;
  return node->n_index == type->ndim ||
         tn_parse_fail(p, token, "expected %u coordinates, found %u", type->ndim, node->n_index);
}

static bool parse_number(tn_parser *p, tn_knode *node, const tn_token *start) {
  bool is_word = tn_token_is(tn_parse_peek(p), "true") || tn_token_is(tn_parse_peek(p), "false");
  size_t at = p->at;
  /* The element type stands behind the number: it is read first. */
  while (!tn_parse_at_char(p, ':') && tn_parse_peek(p)->line == start->line && tn_parse_peek(p)->kind != TN_TOKEN_END)
    tn_parse_next(p);
  if (!tn_parse_need_char(p, ':') || !tn_parse_dtype(p, &node->dtype)) return false;
  p->at = at;
  if (node->dtype == TN_STR) return tn_parse_fail(p, start, "a constant string in a kernel");
  if (tn_dtype_is_float(node->dtype)) return tn_parse_double(p, &node->constant.f);
  if (node->dtype == TN_BOOL) {
    node->constant.i = is_word && tn_token_is(tn_parse_next(p), "true");
    return is_word || tn_parse_expected(p, "true or false");
  }
  if (tn_dtype_is_signed(node->dtype)) return tn_parse_int(p, &node->constant.i);
  return tn_parse_uint(p, UINT64_MAX, &node->constant.u);
}

static bool parse_fold(tn_parser *p, kernel_text *text, tn_knode *node) {
  static const char *const folds[] = {"sum", "prod", "max", "min", "and", "or"};
  uint32_t fold;
  if (!parse_word(p, folds, TN_ARRAY_LEN(folds), "a fold", &fold)) return false;
  node->fold = (tn_fold)fold;
  if (!parse_in(p, text, node) || !parse_over(p, node)) return false;
  node->last = tn_parse_take_name(p, "last");
  return true;
}

static bool parse_scalar(tn_parser *p, kernel_text *text, tn_knode *node) {
  const tn_token *token = tn_parse_peek(p);
  const char *name;
  if (!tn_parse_identifier(p, "an operation", &name)) return false;
  uint32_t scalar = 0;
  while (scalar < TN_N_SCALARS && strcmp(tn_op_of_scalar((tn_scalar)scalar)->name, name) != 0) scalar++;
  if (scalar == TN_N_SCALARS) return tn_parse_fail(p, token, "there is no scalar operation '%s'", name);
  node->kind = TN_K_SCALAR;
  node->scalar = (tn_scalar)scalar;
  for (uint32_t i = 0; i < tn_scalar_arity(node->scalar); i++)
    if ((i > 0 && !tn_parse_need_char(p, ',')) || !parse_in(p, text, node)) return false;
  return true;
}

static bool parse_operation(tn_parser *p, kernel_text *text, tn_knode *node, const tn_token *start) {
  if (tn_parse_take_name(p, "read")) {
    node->kind = TN_K_READ;
    return parse_access(p, text, node) && (!tn_parse_take_name(p, "outside") || parse_in(p, text, node));
  }
  if (tn_parse_take_name(p, "const")) {
    node->kind = TN_K_CONST;
    return parse_number(p, node, start);
  }
  if (tn_parse_take_name(p, "index")) {
    const tn_dim *index;
    if (!tn_parse_dim(p, &index)) return false;
    node->kind = TN_K_INDEX;
    node->n_index = 1;
    node->index = tn_arena_copy(p->module->arena, &index, sizeof(index));
    return true;
  }
  if (tn_parse_take_name(p, "contract")) {
    node->kind = TN_K_CONTRACT;
    return parse_in(p, text, node) && tn_parse_need_char(p, ',') && parse_in(p, text, node) &&
           parse_over(p, node);
  }
  if (tn_parse_take_name(p, "argsort")) {
    const tn_dim *position;
    node->kind = TN_K_ARGSORT;
    if (!parse_in(p, text, node) || !parse_over(p, node)) return false;
    if (!tn_parse_take_name(p, "at")) return tn_parse_expected(p, "'at'");
    if (!tn_parse_dim(p, &position)) return false;
    node->n_index = 1;
    node->index = tn_arena_copy(p->module->arena, &position, sizeof(position));
    node->descending = tn_parse_take_name(p, "descending");
    return true;
  }
  bool folds = tn_token_is(tn_parse_peek(p), "fold") || tn_token_is(tn_parse_peek(p), "argfold");
  if (!folds) return parse_scalar(p, text, node);
  node->kind = tn_token_is(tn_parse_next(p), "fold") ? TN_K_FOLD : TN_K_ARGFOLD;
  return parse_fold(p, text, node);
}

static bool parse_value_symbol(tn_parser *p, kernel_text *text, tn_knode *node) {
  const tn_token *token = tn_parse_peek_at(p, 1);
  const char *name;
  int64_t lo, hi;
  if (!tn_parse_take_name(p, "as")) return true;
  if (!tn_parse_identifier(p, "a name for the value", &name) || !tn_parse_range(p, &lo, &hi)) return false;
  if (!tn_dtype_is_integer(node->dtype)) return tn_parse_fail(p, token, "only an integer can be an index");
  node->value_symbol = tn_symbol_value(p->ctx, name, lo, hi, node->id);
  return bring_in_scope(p, text, token, node->value_symbol);
}

static bool parse_named_node(tn_parser *p, kernel_text *text) {
  const tn_token *start = tn_parse_peek(p);
  const char *name;
  tn_knode node = {0};
  if (!tn_parse_named(p, TN_TOKEN_VALUE, "a node", &name) || !tn_parse_need_char(p, '=')) return false;
  if (tn_map_get(&text->nodes, name)) return tn_parse_fail(p, start, "node '%%%s' is defined twice", name);
  tn_map_set(&text->nodes, name, &text->unfinished);
  if (!parse_operation(p, text, &node, start) || !tn_parse_need_char(p, ':') || !tn_parse_dtype(p, &node.dtype)) {
    tn_map_set(&text->nodes, name, &text->failed);
    return false;
  }
  tn_knode *added = tn_kernel_append(text->kernel, &node);
  tn_map_set(&text->nodes, name, added);
  return parse_value_symbol(p, text, added) && tn_parse_loc_ref(p, start, &added->loc);
}

static bool parse_combine(tn_parser *p, tn_scalar *out) {
  static const tn_scalar scalars[] = {TN_ADD, TN_MUL, TN_MIN, TN_MAX};
  *out = TN_K_SET;
  if (tn_parse_take_name(p, "set")) return true;
  for (size_t i = 0; i < TN_ARRAY_LEN(scalars); i++)
    if (tn_parse_take_name(p, tn_op_of_scalar(scalars[i])->name)) {
      *out = scalars[i];
      return true;
    }
  return tn_parse_expected(p, "'set', 'add', 'mul', 'min' or 'max'");
}

static bool parse_write(tn_parser *p, kernel_text *text) {
  const tn_token *start = tn_parse_next(p);
  bool is_update = tn_token_is(start, "update");
  tn_knode node = {.kind = is_update ? TN_K_UPDATE : TN_K_WRITE};
  if ((is_update && !parse_combine(p, &node.scalar)) || !parse_in(p, text, &node)) return false;
  if (tn_parse_peek(p)->kind != TN_TOKEN_ARROW) return tn_parse_expected(p, "'->'");
  tn_parse_next(p);
  if (!parse_access(p, text, &node)) return false;
  return tn_parse_loc_ref(p, start, &tn_kernel_append(text->kernel, &node)->loc);
}

static bool parse_line(tn_parser *p, kernel_text *text) {
  const tn_token *token = tn_parse_peek(p);
  if (tn_parse_take_name(p, "arg")) return parse_arg(p, text, false);
  if (tn_parse_take_name(p, "out")) return parse_arg(p, text, true);
  if (tn_token_is(token, "write") || tn_token_is(token, "update")) return parse_write(p, text);
  return parse_named_node(p, text);
}

static bool parse_lines(tn_parser *p, kernel_text *text) {
  bool ok = true;
  while (!tn_parse_at_char(p, '}')) {
    if (tn_parse_peek(p)->kind == TN_TOKEN_END) return tn_parse_expected(p, "'}'");
    size_t start = p->at;
    if (parse_line(p, text)) continue;
    ok = false;
    tn_parse_recover(p, start);
  }
  tn_parse_next(p);
  return ok;
}

static tn_kernel *create_kernel(tn_parser *p, const tn_token *token, const char *name) {
  if (tn_map_has(&p->module->kernel_names, name)) {
    tn_parse_fail(p, token, "kernel '%s' is defined twice", name);
    return NULL;
  }
  tn_kernel *kernel = tn_kernel_create(p->module, name);
  if (kernel->name == name) return kernel;
  tn_parse_fail(p, token, "a kernel's name is an identifier");
  return NULL;
}

bool tn_parse_kernel(tn_parser *p, const tn_token *start) {
  static const char *const anchors[] = {"map", "reduce", "rows", "contract", "window"};
  const char *name;
  uint32_t anchor = TN_ARRAY_LEN(anchors);
  if (!tn_parse_named(p, TN_TOKEN_GLOBAL, "a kernel's name", &name)) return false;
  if (tn_parse_take_name(p, "anchor") &&
      (!tn_parse_need_char(p, '=') || !parse_word(p, anchors, TN_ARRAY_LEN(anchors), "an anchor", &anchor)))
    return false;
  kernel_text text = {.kernel = create_kernel(p, start, name), .nodes = tn_map_create(p->scratch),
                      .args = tn_map_create(p->scratch)};
  if (!text.kernel || !tn_parse_loc_ref(p, start, &text.kernel->loc) || !tn_parse_need_char(p, '{')) return false;
  bool ok = parse_space(p, &text) && parse_lines(p, &text);
  for (size_t i = 0; i < text.symbols.n; i++) tn_map_set(&p->symbols, text.symbols.data[i], NULL);
  if (!ok) return false;
  tn_kernel_finish(text.kernel);
  if (anchor < TN_ARRAY_LEN(anchors)) text.kernel->anchor = (tn_anchor)anchor;
  return true;
}
