/* Mixed precision: contractions compute on a narrow type, what only passes their results on keeps it, everything else
 * stays f32 (the classes of torch.autocast). Values of type f32 stay what other nodes see; the casts that nobody needs
 * are removed later. Weights stay as they are: their casts are nodes, so gradients come back in f32. */
#include <string.h>

#include "ir/primitives.h"
#include "train/train.h"

typedef struct narrowing {
  tn_dtype dtype;
  tn_arena *scratch;
  tn_map native; /* f32 value -> the narrow value that it is a cast of */
  tn_map made;   /* f32 value -> its cast to the narrow type */
} narrowing;

static bool is_among(const char *const *names, const char *name) {
  for (; *names != NULL; names++)
    if (strcmp(*names, name) == 0) return true;
  return false;
}

static bool is_contraction(const tn_node *node) {
  static const char *const names[] = {"dot", "conv", "conv_dx", "attention", "lstm", "gru", "rnn", NULL};
  return is_among(names, node->op->name);
}

/* Results are in the widest type of the operands. Powers and logarithms are not among them: they ask for range. */
static bool passes_on(const tn_node *node) {
  static const char *const others[] = {"window", "resize", "dropout", "fence", "rotary_embedding", NULL};
  static const char *const wide[] = {"exp", "expm1", "log",  "log1p", "pow",        "sqrt", "rsqrt", "sinh", "cosh",
                                     "tan", "asin",  "acos", "softplus", "reciprocal", "cast", NULL};
  if (node->op == &tn_op_reduce) {
    const char *op = node->op->attrs[0].names[tn_node_attr(node, "op")->u.i];
    return strcmp(op, "max") == 0 || strcmp(op, "min") == 0;
  }
  bool is_plain = (node->op->traits & (TN_TRAIT_ELEMENTWISE | TN_TRAIT_SHAPE_ONLY)) != 0;
  return (is_plain && !is_among(wide, node->op->name)) || is_among(others, node->op->name);
}

static bool is_f32(const tn_value *value) { return value != NULL && value->type->dtype == TN_F32; }

/* A weight or number, perhaps seen through views: it takes the type of what it meets. */
static bool is_constant(const tn_value *value) {
  while (value->def != NULL && value->def->n_operands == 1 && (value->def->op->traits & TN_TRAIT_SHAPE_ONLY) != 0)
    value = value->def->operands[0].value;
  return tn_value_const(value) != NULL;
}

static bool is_narrowed(const narrowing *n, const tn_node *node) {
  bool any = is_contraction(node);
  if (!any && !passes_on(node)) return false;
  for (uint32_t i = 0; i < node->n_operands && !is_contraction(node); i++) {
    const tn_value *operand = node->operands[i].value;
    if (!is_f32(operand)) continue;
    bool is_native = tn_map_has(&n->native, operand);
    if (!is_native && !is_constant(operand)) return false;
    any |= is_native;
  }
  return any;
}

/* The value in the narrow type, made where the value is, so that all who need it share it. */
static tn_value *narrowed(narrowing *n, tn_value *value) {
  tn_value *found = tn_map_get(&n->native, value);
  if (found == NULL) found = tn_map_get(&n->made, value);
  if (found != NULL) return found;
  tn_block *block = value->def != NULL ? value->def->block : value->block;
  tn_build b = tn_build_before(value->def != NULL ? value->def->next : block->first);
  found = tn_build_cast(&b, value, n->dtype);
  if (found != NULL) tn_map_set(&n->made, value, found);
  return found;
}

static bool narrow_node(narrowing *n, tn_node *node) {
  tn_value **operands = TN_NEW_N(n->scratch, tn_value *, node->n_operands);
  for (uint32_t i = 0; i < node->n_operands; i++) {
    operands[i] = node->operands[i].value;
    if (is_f32(operands[i]) && (operands[i] = narrowed(n, operands[i])) == NULL) return false;
  }
  tn_build b = tn_build_before(node);
  tn_node *made = tn_build_node(&b, node->op, operands, node->n_operands, node->attrs);
  if (made == NULL) return false;
  for (uint32_t i = 0; i < node->n_results; i++) {
    tn_value *old = node->results[i], *wide = made->results[i];
    if (is_f32(old)) wide = tn_build_cast(&b, wide, TN_F32);
    if (wide == NULL) return false;
    wide->name = old->name;
    if (wide != made->results[i]) tn_map_set(&n->native, wide, made->results[i]);
    tn_value_replace(old, wide);
  }
  tn_node_remove(node);
  return true;
}

static bool narrow_block(narrowing *n, tn_block *block) {
  bool ok = true;
  for (tn_node *node = block->first, *next; node != NULL && ok; node = next) {
    next = node->next;
    for (uint32_t i = 0; i < node->n_regions; i++) ok &= narrow_block(n, node->regions[i]);
    if (node->n_regions > 0 || node->op == &tn_op_const || !is_narrowed(n, node)) continue;
    tn_loc_push(block->func->module->ctx, node->loc);
    ok &= narrow_node(n, node);
    tn_loc_pop(block->func->module->ctx);
  }
  return ok;
}

bool tn_train_narrow(tn_func *func, tn_dtype dtype) {
  tn_arena *scratch = tn_arena_create_scratch(func->module->arena);
  narrowing n = {dtype, scratch, tn_map_create(scratch), tn_map_create(scratch)};
  bool ok = narrow_block(&n, func->body);
  tn_arena_destroy(scratch);
  return ok;
}
