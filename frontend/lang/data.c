/* data blocks: where samples come from, and the chains that make their fields. What a file holds is known only when it
 * is read, so a chain is followed as far as the block says: a column may be anything, an image has unknown sides that
 * `pad` makes longer and `random_crop` fixes. Augmentation (on: train) must leave all splits with one type. */
#include <string.h>

#include "frontend/lang/blocks.h"

typedef enum sample_kind { ANYTHING, SCALAR, TEXT, TOKENS, STREAM, IMAGE, VECTOR, WRONG } sample_kind;

/* What a chain hands on, of one sample. */
typedef struct sample {
  sample_kind kind;
  bool is_bytes;     /* IMAGE: still u8 */
  bool is_cut;       /* IMAGE: length is both sides, not what they grew by; TOKENS: length is known */
  int64_t length[2]; /* TOKENS and VECTOR: the first */
  tn_loc loc;        /* what fixed it */
} sample;

/* One walk along a chain, for one split. */
typedef struct chain {
  const tn_block_check *c;
  const tn_ast_item *item;
  tn_data_fields *fields;
  const char *split;
  bool is_first; /* the walk that reports */
} chain;

static const char *const kind_texts[] = {"a column", "a number", "text",     "tokens",
                                         "a stream", "an image", "a vector", ""};

static sample wrong(void) { return (sample){.kind = WRONG}; }

static sample of_kind(sample_kind kind, tn_loc loc) { return (sample){.kind = kind, .loc = loc}; }

/* --- Names --- */

static const tn_ast_args *source_args(const tn_ast_item *item) { return &item->value->call.args; }

/* The names that the source has, parted by blanks; NULL: any. */
static const char *source_names(const chain *h) {
  const char *source = tn_head_name(h->item->value);
  const tn_ast_expr *columns = tn_block_argument(source_args(h->item), "columns", SIZE_MAX);
  if (strcmp(source, "idx") == 0 || strcmp(source, "images") == 0) return "image label";
  if (strcmp(source, "text") == 0) return "text";
  if (strcmp(source, "npy") == 0) return "x y";
  if (strcmp(source, "tokens") == 0) return "";
  if (!columns || columns->kind != TN_AST_TUPLE) return NULL;
  tn_buf names = tn_buf_create(h->c->s->arena);
  tn_buf_puts(&names, "");
  for (size_t i = 0; i < columns->tuple.n; i++)
    if (columns->tuple.data[i].value->kind == TN_AST_NAME)
      tn_buf_printf(&names, "%s%s", i ? " " : "", columns->tuple.data[i].value->name);
  return names.data;
}

/* Each column has one name, and the target is one of them. */
static void check_columns(const tn_block_check *c, const tn_ast_item *item) {
  const tn_ast_expr *columns = tn_block_argument(source_args(item), "columns", SIZE_MAX);
  const tn_ast_expr *target = tn_block_argument(source_args(item), "target", 1);
  if (!columns || columns->kind != TN_AST_TUPLE) return;
  const tn_ast_args *names = &columns->tuple;
  bool has_target = !target || target->kind != TN_AST_STRING;
  for (size_t i = 0; i < names->n; i++) {
    if (names->data[i].value->kind != TN_AST_NAME) return;
    has_target = has_target || strcmp(names->data[i].value->name, target->string.text) == 0;
    for (size_t k = 0; k < i; k++)
      if (names->data[k].value->name == names->data[i].value->name)
        tn_error(c->s->ctx, names->data[i].loc, TN_E_LANG_DOUBLE, "two columns are called '%s'",
                 names->data[i].value->name);
  }
  if (!has_target)
    tn_error(c->s->ctx, target->loc, TN_E_LANG_NAME, "no column is called '%s'", target->string.text);
}

static tn_data_field *find_field(tn_data_fields *fields, const char *name) {
  for (size_t i = 0; i < fields->rows.n; i++)
    if (fields->rows.data[i].name.text == name) return &fields->rows.data[i];
  return NULL;
}

/* A field as its type says. */
static sample of_field(const tn_data_field *field, const tn_ast_item *item) {
  sample x = of_kind(ANYTHING, field->name.loc);
  for (size_t i = 0; item->body && i < item->body->stmts.n; i++) {
    const tn_ast_stmt *stmt = item->body->stmts.data[i];
    bool tokens = stmt->kind == TN_AST_FIELD && stmt->name.text == field->name.text &&
                  stmt->type->name.text && strcmp(stmt->type->name.text, "token") == 0;
    if (!tokens || !field->is_typed || field->shape.n != 1) continue;
    x.kind = TOKENS;
    x.is_cut = true;
    x.length[0] = tn_dim_value(field->shape.axes[0].extent);
  }
  return x;
}

static sample name_sample(const chain *h, const tn_ast_expr *e) {
  tn_data_field *field = find_field(h->fields, e->name);
  const char *names = source_names(h);
  double number;
  if (field) {
    field->is_used = true;
    return of_field(field, h->item);
  }
  if (!names || tn_words_have(names, e->name)) {
    if (strcmp(e->name, "image") == 0 && names) return (sample){.kind = IMAGE, .is_bytes = true, .loc = e->loc};
    return of_kind(names && strcmp(names, "text") == 0 ? TEXT : ANYTHING, e->loc);
  }
  if (tn_block_number(h->c, e, &number)) return of_kind(SCALAR, e->loc);
  if (h->is_first)
    tn_words_unknown(h->c->s, e->loc, TN_E_LANG_NAME,
                     tn_namef(h->c->s->ctx, "neither a field nor a name of %s(...):", tn_head_name(h->item->value)),
                     e->name, names);
  return wrong();
}

/* --- Functions --- */

static sample takes(const chain *h, const char *name, const char *wanted, const sample *found, tn_loc loc) {
  if (h->is_first)
    tn_error(h->c->s->ctx, loc, TN_E_LANG_KIND, "%s takes %s, found %s", name, wanted, kind_texts[found->kind]);
  return wrong();
}

/* What is fitted sees the training split and nothing else. */
static bool check_fit(const chain *h, const char *name, const tn_ast_args *args) {
  const tn_ast_expr *fit = tn_block_argument(args, "fit", SIZE_MAX);
  if (!fit || fit->kind != TN_AST_NAME || strcmp(fit->name, "train") == 0) return true;
  if (!h->is_first) return false;
  tn_error(h->c->s->ctx, fit->loc, TN_E_LANG_LEAK, "%s is fitted on '%s': what is fitted may see the training split "
           "only", name, fit->name);
  tn_help(h->c->s->ctx, "fit: train, or nothing, which means the same");
  return false;
}

/* Whether the function acts on the split of this walk. */
static bool acts(const chain *h, const tn_ast_args *args) {
  const tn_ast_expr *on = tn_block_argument(args, "on", SIZE_MAX);
  return !on || on->kind != TN_AST_NAME || strcmp(on->name, "all") == 0 || strcmp(on->name, h->split) == 0;
}

static sample tokens_of(const chain *h, const tn_ast_expr *length, tn_loc loc) {
  double n = 0;
  sample out = {.kind = TOKENS, .is_cut = length && tn_block_number(h->c, length, &n), .loc = loc};
  out.length[0] = (int64_t)n;
  return out;
}

static sample text_function(const chain *h, const char *name, const sample *x, tn_loc loc) {
  if (x->kind != TEXT && x->kind != ANYTHING) return takes(h, name, "text", x, loc);
  return of_kind(strcmp(name, "lower") == 0 || strcmp(name, "join") == 0 ? TEXT : TOKENS, loc);
}

static sample number_function(const chain *h, const char *name, const sample *x, const tn_ast_args *args, size_t at,
                              tn_loc loc) {
  if (x->kind == TEXT || x->kind == TOKENS || x->kind == STREAM) return takes(h, name, "numbers", x, loc);
  if (strcmp(name, "one_hot") == 0) {
    sample out = tokens_of(h, tn_block_argument(args, "n", at), loc);
    out.kind = VECTOR;
    return out;
  }
  sample out = *x;
  out.is_bytes = false;
  return strcmp(name, "bins") == 0 ? of_kind(SCALAR, loc) : out;
}

static sample image_function(const chain *h, const char *name, const sample *x, const tn_ast_args *args, size_t at,
                             tn_loc loc) {
  sample out = *x;
  double n = 0;
  if (x->kind != IMAGE && x->kind != ANYTHING && x->kind != VECTOR) return takes(h, name, "an image", x, loc);
  if (x->kind != IMAGE || !acts(h, args)) return out;
  if (strcmp(name, "pad") == 0) {
    const tn_ast_expr *by = tn_block_argument(args, "n", at);
    if (by && tn_block_number(h->c, by, &n))
      for (int i = 0; i < 2; i++) out.length[i] += 2 * (int64_t)n;
  } else if (strcmp(name, "random_crop") == 0) {
    const tn_ast_expr *size = tn_block_argument(args, "size", at);
    for (size_t i = 0; i < 2 && size; i++) {
      const tn_ast_expr *side = size->kind == TN_AST_TUPLE && size->tuple.n == 2 ? size->tuple.data[i].value : size;
      if (!tn_block_number(h->c, side, &n)) return of_kind(ANYTHING, loc);
      if (x->is_cut && x->length[i] < (int64_t)n && h->is_first) {
        tn_error(h->c->s->ctx, side->loc, TN_E_SHAPE, "a part of %lld does not fit into a side of %lld",
                 (long long)n, (long long)x->length[i]);
        tn_note(h->c->s->ctx, x->loc, "the side is fixed here");
        return wrong();
      }
      out.length[i] = (int64_t)n;
    }
    out.is_cut = true;
    out.loc = loc;
  }
  return out;
}

static sample walk(const chain *h, const tn_ast_expr *e);

/* A call; x: what a pipe supplies, or NULL. */
static sample call_sample(const chain *h, const tn_ast_expr *e, const sample *piped) {
  static const tn_ast_args no_args = {0};
  const tn_ast_args *args = e->kind == TN_AST_CALL ? &e->call.args : &no_args;
  size_t before = h->c->s->ctx->n_errors, at = piped ? 0 : 1;
  if (h->is_first && !tn_block_call_check(h->c, "field", "function of data", e, piped != NULL)) return wrong();
  const char *name = tn_head_name(e);
  sample x = piped ? *piped : of_kind(STREAM, e->loc);
  if (strcmp(name, "window") == 0) {
    bool stream = tn_words_have("tokens text", tn_head_name(h->item->value));
    return stream ? (sample){.kind = TOKENS, .is_cut = true, .length = {-1}, .loc = e->loc}
                  : takes(h, name, "the tokens of a stream", &(sample){.kind = ANYTHING}, e->loc);
  }
  for (size_t i = 0; i < args->n && !piped; i++) {
    if (args->data[i].name.text || (i > 0 && strcmp(name, "join") != 0)) break;
    x = walk(h, args->data[i].value);
    if (x.kind == WRONG) return x;
    if (strcmp(name, "join") == 0 && x.kind != TEXT && x.kind != ANYTHING) break;
  }
  if (x.kind == WRONG || h->c->s->ctx->n_errors != before || !check_fit(h, name, args)) return wrong();
  if (tn_words_have("lower join words bpe wordpiece", name)) return text_function(h, name, &x, e->loc);
  if (strcmp(name, "pad_or_cut") == 0)
    return x.kind == TOKENS ? tokens_of(h, tn_block_argument(args, "T", at), e->loc)
                            : takes(h, name, "tokens", &x, e->loc);
  if (strcmp(name, "length") == 0)
    return x.kind == TOKENS ? of_kind(SCALAR, e->loc) : takes(h, name, "a field of tokens", &x, e->loc);
  if (tn_words_have("pad random_crop flip noise", name)) return image_function(h, name, &x, args, at, e->loc);
  return number_function(h, name, &x, args, at, e->loc);
}

static sample operator_sample(const chain *h, const tn_ast_expr *e) {
  const tn_ast_expr *sides[] = {e->op.left, e->op.right};
  sample out = of_kind(SCALAR, e->loc);
  for (int i = 0; i < 2; i++) {
    sample side = sides[i] ? walk(h, sides[i]) : out;
    if (side.kind == WRONG) return side;
    if (side.kind == TEXT || side.kind == TOKENS || side.kind == STREAM)
      return takes(h, tn_namef(h->c->s->ctx, "'%s'", tn_ast_op_text(e->op.op)), "numbers", &side, sides[i]->loc);
    if (side.kind != SCALAR) out = side;
  }
  out.is_bytes = out.is_bytes && e->op.op != TN_AST_DIV; /* image / 255 is f32 */
  return out;
}

/* Numbers one after the other: a column is one, a field before this one or a tuple may be several. */
static sample tuple_sample(const chain *h, const tn_ast_expr *e) {
  int64_t n = 0;
  for (size_t i = 0; i < e->tuple.n; i++) {
    const tn_ast_expr *part = e->tuple.data[i].value;
    sample x = walk(h, part);
    if (x.kind == WRONG) return x;
    const tn_data_field *field = part->kind == TN_AST_NAME ? find_field(h->fields, part->name) : NULL;
    bool is_row = field && field->is_typed && field->shape.n == 1;
    n += is_row ? tn_dim_value(field->shape.axes[0].extent) : x.kind == VECTOR && x.is_cut ? x.length[0] : 1;
  }
  return (sample){.kind = VECTOR, .is_cut = true, .length = {n}, .loc = e->loc};
}

static sample walk(const chain *h, const tn_ast_expr *e) {
  switch (e->kind) {
    case TN_AST_NAME: return name_sample(h, e);
    case TN_AST_INT:
    case TN_AST_FLOAT: return of_kind(SCALAR, e->loc);
    case TN_AST_CALL: return call_sample(h, e, NULL);
    case TN_AST_UNARY:
    case TN_AST_BINARY: return operator_sample(h, e);
    case TN_AST_PIPE: {
      sample left = walk(h, e->pipe.left);
      return left.kind == WRONG ? left : call_sample(h, e->pipe.right, &left);
    }
    case TN_AST_TUPLE: return tuple_sample(h, e);
    case TN_AST_MEMBER:
      if (strcmp(tn_head_name(h->item->value), "jsonl") == 0) return of_kind(ANYTHING, e->loc);
      break;
    default: break;
  }
  if (h->is_first)
    tn_error(h->c->s->ctx, e->loc, TN_E_LANG_KIND, "this has no place in a chain of data: %s",
             tn_expr_text(h->c->s, e));
  return wrong();
}

/* --- Fields --- */

static bool does_not_fit(const chain *h, const tn_ast_stmt *stmt, const sample *x, const char *why, const char *help) {
  tn_buf type = tn_buf_create(h->c->s->arena);
  tn_ast_print_type(stmt->type, &type);
  tn_error(h->c->s->ctx, stmt->value->loc, TN_E_LANG_FIELD, "field '%s' is %s, its chain gives %s", stmt->name.text,
           type.data, why);
  tn_note(h->c->s->ctx, stmt->type->loc, "the type stands here");
  if (x->loc && x->loc != stmt->value->loc) tn_note(h->c->s->ctx, x->loc, "it comes from here");
  if (help) tn_help(h->c->s->ctx, "%s", help);
  return false;
}

static bool fits_tokens(const chain *h, const tn_ast_stmt *stmt, const tn_shape *shape, const sample *x) {
  const char *type = stmt->type->name.text;
  if (strcmp(type, "token") != 0 && (!tn_dtype_is_integer(shape->dtype) || shape->classes))
    return does_not_fit(h, stmt, x, "tokens", "token[T] is their type");
  if (!x->is_cut) return does_not_fit(h, stmt, x, "tokens of any number", "pad_or_cut(T) makes it T of them");
  if (x->length[0] < 0 || (shape->n == 1 && tn_dim_is(shape->axes[0].extent, x->length[0]))) return true;
  return does_not_fit(h, stmt, x, tn_namef(h->c->s->ctx, "%lld tokens", (long long)x->length[0]), NULL);
}

static bool fits_image(const chain *h, const tn_ast_stmt *stmt, const tn_shape *shape, const sample *x) {
  tn_ctx *ctx = h->c->s->ctx;
  if (shape->classes || shape->n < 2 || shape->n > 3)
    return does_not_fit(h, stmt, x, "an image", "images are [channels, height, width] or [height, width]");
  if (x->is_bytes && shape->dtype != TN_U8)
    return does_not_fit(h, stmt, x, "u8", "image / 255 makes numbers from 0 to 1 of it");
  for (uint32_t i = 0; i < 2 && x->is_cut; i++)
    if (!tn_dim_is(shape->axes[shape->n - 2 + i].extent, x->length[i]))
      return does_not_fit(h, stmt, x, tn_namef(ctx, "%lld x %lld", (long long)x->length[0], (long long)x->length[1]),
                          NULL);
  return true;
}

static bool fits(const chain *h, const tn_ast_stmt *stmt, const tn_shape *shape, const sample *x) {
  bool is_token = strcmp(stmt->type->name.text, "token") == 0;
  switch (x->kind) {
    case TOKENS: return fits_tokens(h, stmt, shape, x);
    case IMAGE: return fits_image(h, stmt, shape, x);
    case TEXT:
      if (shape->classes) return true;
      return does_not_fit(h, stmt, x, "text", is_token ? "words, bpe or wordpiece make tokens of it" : NULL);
    case SCALAR:
      if (is_token || shape->n) return does_not_fit(h, stmt, x, "one number", NULL);
      return true;
    case VECTOR:
      if (shape->n != 1 || (x->is_cut && !tn_dim_is(shape->axes[0].extent, x->length[0])))
        return does_not_fit(h, stmt, x, tn_namef(h->c->s->ctx, "%lld numbers", (long long)x->length[0]), NULL);
      return true;
    case STREAM: return does_not_fit(h, stmt, x, "nothing", NULL);
    default: return true;
  }
}

static const char *sides_text(tn_sema *s, const sample *x) {
  return x->is_cut ? tn_namef(s->ctx, "sides of %lld and %lld", (long long)x->length[0], (long long)x->length[1])
                   : tn_namef(s->ctx, "the image's sides + %lld", (long long)x->length[0]);
}

/* Augmentation leaves training with the type that the other splits have. */
static bool splits_agree(const chain *h, const tn_ast_stmt *stmt, const sample *x, const sample *other) {
  if (x->kind != IMAGE || other->kind != IMAGE || x->is_cut != other->is_cut) return true;
  if (x->length[0] == other->length[0] && x->length[1] == other->length[1]) return true;
  tn_error(h->c->s->ctx, stmt->value->loc, TN_E_LANG_FIELD, "field '%s' has %s in training and %s elsewhere",
           stmt->name.text, sides_text(h->c->s, x), sides_text(h->c->s, other));
  tn_help(h->c->s->ctx, "a chain has one type for every split: random_crop(SIZE, on: train) behind a pad");
  return false;
}

static bool check_field(const tn_block_check *c, const tn_ast_item *item, tn_data_fields *fields,
                        const tn_ast_stmt *stmt) {
  tn_data_field field = {.name = stmt->name};
  const tn_data_field *old = find_field(fields, stmt->name.text);
  chain h = {c, item, fields, "train", true}, elsewhere = {c, item, fields, "valid", false};
  if (old) {
    tn_error(c->s->ctx, stmt->name.loc, TN_E_LANG_DOUBLE, "field '%s' is declared twice", stmt->name.text);
    tn_note(c->s->ctx, old->name.loc, "it is declared here already");
    return false;
  }
  bool ok = tn_type_is_tensor(stmt->type) || !stmt->type->name.text || strcmp(stmt->type->name.text, "bool") == 0;
  if (!ok || !stmt->type->name.text)
    ok = tn_error(c->s->ctx, stmt->type->loc, TN_E_LANG_KIND, "a field is a number or a tensor");
  field.is_typed = ok && tn_shape_of_type(c->frame, stmt->type, &field.shape);
  sample x = walk(&h, stmt->value);
  ok = field.is_typed && x.kind != WRONG && fits(&h, stmt, &field.shape, &x);
  if (ok) {
    sample other = walk(&elsewhere, stmt->value);
    ok = splits_agree(&h, stmt, &x, &other);
  }
  TN_VEC_PUSH(c->s->arena, &fields->rows, field);
  return ok;
}

/* Without a body: x and y. */
static bool add_own_fields(const tn_block_check *c, const tn_ast_item *item, tn_data_fields *fields) {
  const char *source = tn_head_name(item->value);
  const tn_ast_args *args = source_args(item);
  bool target = tn_block_argument(args, "target", SIZE_MAX) != NULL;
  if (tn_words_have("csv tsv", source) && !target) {
    tn_error(c->s->ctx, item->value->loc, TN_E_LANG_FIELD, "which column is y? target: \"NAME\" says it, or a body "
             "names the fields");
    return false;
  }
  if (!tn_words_have("csv tsv npy npz", source)) {
    tn_error(c->s->ctx, item->value->loc, TN_E_LANG_FIELD, "data of %s need a body that says their fields: x: type = "
             "...", source);
    return false;
  }
  static const char *const own[] = {"x", "y"};
  for (size_t i = 0; i < TN_ARRAY_LEN(own); i++) {
    tn_data_field field = {.name = {tn_name(c->s->ctx, own[i]), item->value->loc}, .is_used = true};
    if (i == 0 || strcmp(source, "npy") != 0 || tn_block_argument(args, "y", 1))
      TN_VEC_PUSH(c->s->arena, &fields->rows, field);
  }
  return true;
}

void tn_data_check(tn_block_check *c, const tn_ast_item *item) {
  tn_data_fields *fields = TN_NEW(c->s->arena, tn_data_fields);
  size_t before = c->s->ctx->n_errors;
  *fields = (tn_data_fields){.is_complete = false};
  tn_map_set(c->fields, item, fields);
  if (item->value->kind != TN_AST_CALL || !tn_head_name(item->value) ||
      !tn_block_function_find("source", tn_head_name(item->value))) {
    const char *head = tn_head_name(item->value);
    tn_words_unknown(c->s, item->value->loc, TN_E_LANG_SETTING, "unknown source of data", head ? head : "",
                     tn_block_function_names(c->s, "source"));
    return;
  }
  c->training = (tn_training){.data = item};
  tn_block_call_check(c, "source", "source of data", item->value, 0);
  check_columns(c, item);
  if (!item->body) add_own_fields(c, item, fields);
  if (item->body) tn_body_check(c, item->body);
  for (size_t i = 0; item->body && i < item->body->stmts.n; i++)
    if (item->body->stmts.data[i]->kind == TN_AST_FIELD) check_field(c, item, fields, item->body->stmts.data[i]);
  if (item->body && !fields->rows.n && c->s->ctx->n_errors == before)
    tn_error(c->s->ctx, item->body->loc, TN_E_LANG_FIELD, "'%s' has no field: NAME: type = ...", item->name.text);
  fields->is_complete = c->s->ctx->n_errors == before;
}
