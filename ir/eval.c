/* The reference evaluator: one node after the other, as the specification says it (ir/IR.md section 7). Composites run
 * through their expansion, made in a module of its own so that the evaluated function is never changed. */
#include "ir/eval.h"

#include <string.h>

#include "ir/build.h"

/* Tensors of at least this many elements get an arena of their own and are freed after their last use. */
#define OWN_ELEMENTS 8192

tn_eval tn_eval_begin(tn_ctx *ctx, tn_arena *arena, tn_eval_mode mode, uint64_t limit_elements) {
  tn_eval eval = {.ctx = ctx, .arena = arena, .mode = mode, .limit_elements = limit_elements};
  eval.values = tn_map_create(arena);
  eval.symbols = tn_map_create(arena);
  eval.remaining = tn_map_create(arena);
  return eval;
}

static void tensor_free(tn_eval *eval, tn_tensor *tensor) {
  if (tensor->own == NULL) return;
  tn_arena_destroy(tensor->own);
  tensor->own = NULL;
  tensor->data = NULL;
  eval->used_elements -= (uint64_t)tensor->count;
}

void tn_eval_end(tn_eval *eval) {
  for (size_t i = 0; i < eval->owned.n; i++) tensor_free(eval, eval->owned.data[i]);
  eval->owned.n = 0;
}

/* Symbols and dims. */

static bool bind_symbol(const void *user, const tn_symbol *symbol, int64_t *out) {
  const tn_eval *eval = user;
  const int64_t *box = tn_map_get(&eval->symbols, symbol);
  if (box == NULL) return false;
  *out = *box;
  return true;
}

void tn_eval_bind_symbol(tn_eval *eval, const tn_symbol *symbol, int64_t value) {
  int64_t *box = TN_NEW(eval->arena, int64_t);
  *box = value;
  tn_map_set(&eval->symbols, symbol, box);
}

bool tn_eval_dim(tn_eval *eval, const tn_dim *dim, int64_t *out) {
  if (tn_dim_is_const(dim)) {
    *out = tn_dim_value(dim);
    return true;
  }
  if (tn_dim_evaluate(dim, bind_symbol, eval, out)) return true;
  tn_buf text = tn_buf_create(eval->arena);
  tn_dim_print(dim, &text);
  return tn_error(eval->ctx, tn_loc_current(eval->ctx), TN_E_SHAPE, "the extent '%s' has no value here", text.data);
}

/* Guards whose symbols all have values are checked; the others wait for them. */
static bool check_guards(tn_eval *eval, const tn_guard_list *guards) {
  bool ok = true;
  for (size_t i = 0; i < guards->n; i++) {
    const tn_guard *guard = &guards->data[i];
    int64_t p, q;
    if (!tn_dim_evaluate(guard->p, bind_symbol, eval, &p) || !tn_dim_evaluate(guard->q, bind_symbol, eval, &q))
      continue;
    bool holds = guard->kind == TN_GUARD_EQ ? p == q : p <= q;
    if (!holds)
      ok = tn_error(eval->ctx, guard->loc, TN_E_SHAPE, "%s: %lld %s %lld does not hold", guard->text, (long long)p,
                    guard->kind == TN_GUARD_EQ ? "==" : "<=", (long long)q);
  }
  return ok;
}

/* Tensors of values. */

static void set_tensor(tn_eval *eval, const tn_value *value, tn_tensor *tensor) {
  tn_map_set(&eval->values, value, tensor);
}

static tn_tensor *new_tensor(tn_eval *eval, tn_dtype dtype, uint32_t ndim, const int64_t *extents) {
  int64_t count = tn_tensor_count_of(ndim, extents);
  tn_loc loc = tn_loc_current(eval->ctx);
  if (count < 0) {
    tn_error(eval->ctx, loc, TN_E_SHAPE, "a result has a negative extent or too many elements");
    return NULL;
  }
  if (eval->limit_elements != 0 && eval->used_elements + (uint64_t)count > eval->limit_elements) {
    tn_error(eval->ctx, loc, TN_E_LIMIT, "the evaluation needs more than %llu elements",
             (unsigned long long)eval->limit_elements);
    return NULL;
  }
  eval->used_elements += (uint64_t)count;
  if (count < OWN_ELEMENTS) return tn_tensor_create(eval->arena, dtype, ndim, extents);
  tn_arena *own = tn_arena_create_scratch(eval->arena);
  tn_tensor *tensor = TN_NEW(eval->arena, tn_tensor);
  *tensor = *tn_tensor_create(own, dtype, ndim, extents);
  tensor->own = own;
  TN_VEC_PUSH(eval->arena, &eval->owned, tensor);
  return tensor;
}

tn_tensor *tn_eval_result(tn_eval *eval, const tn_node *node, uint32_t index) {
  const tn_value *value = node->results[index];
  int64_t extents[TN_MAX_NDIM];
  for (uint32_t i = 0; i < value->type->ndim; i++)
    if (!tn_eval_dim(eval, value->type->dims[i], &extents[i])) return NULL;
  tn_tensor *tensor = new_tensor(eval, value->type->dtype, value->type->ndim, extents);
  if (tensor != NULL) set_tensor(eval, value, tensor);
  return tensor;
}

static tn_tensor *load_const(tn_eval *eval, const tn_const *constant) {
  int64_t extents[TN_MAX_NDIM];
  const tn_type *type = constant->type;
  for (uint32_t i = 0; i < type->ndim; i++) extents[i] = tn_dim_value(type->dims[i]);
  tn_tensor *tensor = new_tensor(eval, type->dtype, type->ndim, extents);
  if (tensor == NULL) return NULL;
  tn_arena *scratch = tn_arena_create_scratch(eval->arena);
  const tn_tensor *loaded = tn_tensor_of_const(scratch, constant);
  memcpy(tensor->data, loaded->data, (size_t)loaded->count * sizeof *loaded->data);
  tn_arena_destroy(scratch);
  return tensor;
}

static tn_tensor *tensor_of(tn_eval *eval, const tn_value *value) {
  tn_tensor *tensor = tn_map_get(&eval->values, value);
  if (tensor != NULL) return tensor;
  const tn_const *constant = tn_value_const(value);
  if (constant == NULL) return NULL;
  tensor = load_const(eval, constant); /* constants are loaded when first used */
  if (tensor != NULL) set_tensor(eval, value, tensor);
  return tensor;
}

const tn_tensor *tn_eval_operand(tn_eval *eval, const tn_node *node, uint32_t index) {
  if (index >= node->n_operands || node->operands[index].value == NULL) return NULL;
  return tensor_of(eval, node->operands[index].value);
}

tn_number tn_eval_round(const tn_eval *eval, tn_dtype dtype, tn_number v) {
  if (!tn_dtype_is_float(dtype)) return tn_number_wrap(dtype, v);
  if (eval->mode == TN_EVAL_WIDE) return v;
  return (tn_number){.f = tn_number_round_float(dtype, v.f)};
}

/* Nodes. */

static bool eval_scalar_node(tn_eval *eval, const tn_node *node) {
  tn_scalar scalar = node->op->scalar;
  const tn_tensor *in[3] = {NULL, NULL, NULL};
  uint32_t arity = tn_scalar_arity(scalar);
  TN_ASSERT(node->n_operands == arity && arity <= 3);
  tn_tensor *out = tn_eval_result(eval, node, 0);
  if (out == NULL) return false;
  for (uint32_t i = 0; i < arity; i++) {
    in[i] = tn_eval_operand(eval, node, i);
    if (in[i] == NULL) return false;
    if (in[i]->count != out->count)
      return tn_error(eval->ctx, node->loc, TN_E_SHAPE, "'%s': operands have %lld and %lld elements", node->op->name,
                      (long long)in[i]->count, (long long)out->count);
  }
  bool exact = eval->mode == TN_EVAL_EXACT;
  tn_dtype dtype = in[0]->dtype, to = out->dtype;
  if (scalar == TN_SELECT) dtype = in[1]->dtype;
  bool saturate = scalar != TN_CAST || tn_node_attr(node, "saturate")->u.i != 0;
  if (!saturate && exact) {
    for (int64_t k = 0; k < out->count; k++)
      out->data[k] = tn_number_cast_saturating(dtype, to, in[0]->data[k], false);
    return true;
  }
  tn_number args[3] = {{0}, {0}, {0}};
  for (int64_t k = 0; k < out->count; k++) {
    for (uint32_t i = 0; i < arity; i++) args[i] = in[i]->data[k];
    out->data[k] = tn_scalar_apply(scalar, dtype, to, exact, args);
  }
  return true;
}

tn_eval tn_eval_inner(const tn_eval *eval, tn_arena *arena) {
  tn_eval sub = tn_eval_begin(eval->ctx, arena, eval->mode, eval->limit_elements);
  sub.used_elements = eval->used_elements;
  for (size_t i = 0; i < eval->symbols.n; i++)
    tn_map_set(&sub.symbols, (const void *)eval->symbols.entries[i].key, eval->symbols.entries[i].value);
  return sub;
}

static bool copy_result(tn_eval *eval, const tn_node *node, uint32_t index, const tn_tensor *from) {
  tn_tensor *to = new_tensor(eval, from->dtype, from->ndim, from->extents);
  if (to == NULL) return false;
  memcpy(to->data, from->data, (size_t)from->count * sizeof *from->data);
  set_tensor(eval, node->results[index], to);
  return true;
}

/* Builds node's expansion as the body of func, with parameters like its operands. */
static bool expand_into(tn_func *func, const tn_node *node) {
  tn_value **operands = TN_NEW_N(func->module->arena, tn_value *, node->n_operands + 1);
  tn_value **results = TN_NEW_N(func->module->arena, tn_value *, TN_MAX_RESULTS);
  for (uint32_t i = 0; i < node->n_operands; i++) {
    const tn_value *value = node->operands[i].value;
    if (value == NULL) continue;
    operands[i] = tn_block_add_param(func->body, value->type, "");
    operands[i]->index = value->index;
    operands[i]->n_index = value->n_index;
  }
  tn_build build = tn_build_at_end(func->body);
  if (!node->op->expand(&build, node, operands, results)) return false;
  for (uint32_t i = 0; i < node->n_results; i++)
    if (results[i] == NULL) return false;
  tn_build_return(&build, results, node->n_results);
  return true;
}

static bool eval_composite(tn_eval *eval, const tn_node *node) {
  tn_module *module = tn_module_create(eval->ctx);
  tn_func *func = tn_func_create(module, node->op->name, false);
  tn_eval sub = tn_eval_inner(eval, eval->arena);
  const tn_tensor *args[TN_MAX_RESULTS], *results[TN_MAX_RESULTS];
  uint32_t n_args = 0;
  bool ok = node->n_operands <= TN_MAX_RESULTS && expand_into(func, node);
  for (uint32_t i = 0; ok && i < node->n_operands; i++)
    if (node->operands[i].value != NULL) ok = (args[n_args++] = tn_eval_operand(eval, node, i)) != NULL;
  sub.func = func;
  ok = ok && check_guards(&sub, &func->guards) && tn_eval_block(&sub, func->body, args, n_args, results);
  for (uint32_t i = 0; ok && i < node->n_results; i++) ok = copy_result(eval, node, i, results[i]);
  tn_eval_end(&sub);
  tn_module_destroy(module);
  return ok;
}

bool tn_eval_node(tn_eval *eval, const tn_node *node) {
  tn_ctx *ctx = eval->ctx;
  if (node->n_results > 0 && tn_value_const(node->results[0]) != NULL) return true;
  tn_loc_push(ctx, node->loc);
  bool ok = true;
  for (uint32_t i = 0; i < node->n_operands && ok; i++)
    if (node->operands[i].value != NULL && tensor_of(eval, node->operands[i].value) == NULL)
      ok = tn_diag_n_errors(ctx) > 0 ||
           tn_error(ctx, node->loc, TN_E_VERIFY, "'%s': operand %u has no value", node->op->name, i);
  if (ok) {
    if (node->op->kind == TN_OP_SCALAR) ok = eval_scalar_node(eval, node);
    else if (node->op->eval != NULL) ok = node->op->eval(eval, node);
    else if (node->op->expand != NULL) ok = eval_composite(eval, node);
    else ok = tn_error(ctx, node->loc, TN_E_VERIFY, "'%s' cannot be evaluated", node->op->name);
  }
  tn_loc_pop(ctx);
  return ok;
}

static void count_uses(tn_eval *eval, const tn_value *value) {
  uint32_t *box = TN_NEW(eval->arena, uint32_t);
  *box = value->n_uses;
  tn_map_set(&eval->remaining, value, box);
}

static void forget(tn_eval *eval, const tn_value *value) {
  tn_tensor *tensor = tn_map_get(&eval->values, value);
  if (tensor == NULL || tensor->own == NULL) return;
  tensor_free(eval, tensor);
  set_tensor(eval, value, NULL);
}

/* Frees what node used last, and results that nothing uses. */
static void release(tn_eval *eval, const tn_node *node) {
  for (uint32_t i = 0; i < node->n_operands; i++) {
    const tn_value *value = node->operands[i].value;
    uint32_t *left = value == NULL ? NULL : tn_map_get(&eval->remaining, value);
    if (left != NULL && --*left == 0) forget(eval, value);
  }
  for (uint32_t i = 0; i < node->n_results; i++)
    if (node->results[i]->n_uses == 0) forget(eval, node->results[i]);
}

bool tn_eval_block(tn_eval *eval, const tn_block *block, const tn_tensor *const *args, uint32_t n_args,
                   const tn_tensor **out) {
  TN_ASSERT(block->params.n == n_args);
  for (uint32_t i = 0; i < n_args; i++) set_tensor(eval, block->params.data[i], (tn_tensor *)(uintptr_t)args[i]);
  if (!check_guards(eval, &block->guards)) return false;
  for (const tn_node *node = block->first; node != NULL; node = node->next) {
    if (node->op->kind == TN_OP_TERMINATOR) {
      for (uint32_t i = 0; i < node->n_operands; i++)
        if ((out[i] = tensor_of(eval, node->operands[i].value)) == NULL) return false;
      return true;
    }
    size_t n_symbols = eval->symbols.n;
    for (uint32_t i = 0; i < node->n_results; i++) count_uses(eval, node->results[i]);
    if (!tn_eval_node(eval, node)) return false;
    bool is_new = eval->symbols.n != n_symbols;
    if (is_new && eval->func != NULL && !check_guards(eval, &eval->func->guards)) return false;
    if (is_new && !check_guards(eval, &block->guards)) return false;
    release(eval, node);
  }
  return tn_error(eval->ctx, TN_LOC_NONE, TN_E_VERIFY, "a block has no terminator");
}

/* Functions. */

static bool bind_extent(tn_eval *eval, const tn_value *param, uint32_t number, uint32_t axis, int64_t extent) {
  const tn_dim *dim = param->type->dims[axis];
  const tn_symbol *symbol = tn_dim_lone_symbol(dim);
  const char *name = param->name == NULL ? "" : param->name;
  if (symbol != NULL && tn_map_get(&eval->symbols, symbol) == NULL) {
    if (extent < symbol->lo || extent > symbol->hi)
      return tn_error(eval->ctx, TN_LOC_NONE, TN_E_SHAPE, "input %u '%s' axis %u: '%s' is %lld, outside its range",
                      number, name, axis, symbol->name, (long long)extent);
    tn_eval_bind_symbol(eval, symbol, extent);
    return true;
  }
  int64_t expected;
  if (!tn_eval_dim(eval, dim, &expected)) return false;
  if (expected == extent) return true;
  return tn_error(eval->ctx, TN_LOC_NONE, TN_E_SHAPE, "input %u '%s' axis %u: expected extent %lld, found %lld", number,
                  name, axis, (long long)expected, (long long)extent);
}

/* Lone symbols of all inputs first, so that extents such as 2*B find theirs whatever the order. */
static bool bind_inputs(tn_eval *eval, const tn_func *func, const tn_tensor *const *inputs, uint32_t n_inputs) {
  bool ok = true;
  if (func->body->params.n != n_inputs)
    return tn_error(eval->ctx, TN_LOC_NONE, TN_E_ARITY, "'%s' takes %zu inputs, found %u", func->name,
                    func->body->params.n, n_inputs);
  for (uint32_t i = 0; i < n_inputs; i++) {
    const tn_value *param = func->body->params.data[i];
    if (param->type->ndim != inputs[i]->ndim)
      ok = tn_error(eval->ctx, TN_LOC_NONE, TN_E_RANK, "input %u '%s': expected %u dimensions, found %u", i,
                    param->name == NULL ? "" : param->name, param->type->ndim, inputs[i]->ndim);
    if (param->type->dtype != inputs[i]->dtype)
      ok = tn_error(eval->ctx, TN_LOC_NONE, TN_E_DTYPE, "input %u '%s': expected %s, found %s", i,
                    param->name == NULL ? "" : param->name, tn_dtype_name(param->type->dtype),
                    tn_dtype_name(inputs[i]->dtype));
  }
  for (int lone = 1; ok && lone >= 0; lone--)
    for (uint32_t i = 0; i < n_inputs; i++)
      for (uint32_t axis = 0; axis < inputs[i]->ndim; axis++) {
        const tn_value *param = func->body->params.data[i];
        if ((tn_dim_lone_symbol(param->type->dims[axis]) != NULL) != (lone == 1)) continue;
        if (!bind_extent(eval, param, i, axis, inputs[i]->extents[axis])) ok = false;
      }
  return ok;
}

bool tn_eval_func(tn_ctx *ctx, tn_arena *arena, const tn_func *func, tn_eval_mode mode,
                  const tn_tensor *const *inputs, uint32_t n_inputs, tn_tensor **outputs) {
  tn_arena *scratch = tn_arena_create_scratch(arena);
  tn_eval eval = tn_eval_begin(ctx, scratch, mode, ctx->memory_limit / sizeof(tn_number));
  eval.func = func;
  const tn_node *last = func->body->last;
  uint32_t n_results = last == NULL ? 0 : last->n_operands;
  const tn_tensor **results = TN_NEW_N(scratch, const tn_tensor *, n_results + 1);
  bool ok = bind_inputs(&eval, func, inputs, n_inputs) && check_guards(&eval, &func->guards) &&
            tn_eval_block(&eval, func->body, inputs, n_inputs, results);
  for (uint32_t i = 0; ok && i < n_results; i++) {
    outputs[i] = tn_tensor_create(arena, results[i]->dtype, results[i]->ndim, results[i]->extents);
    memcpy(outputs[i]->data, results[i]->data, (size_t)results[i]->count * sizeof *results[i]->data);
  }
  tn_eval_end(&eval);
  tn_arena_destroy(scratch);
  return ok;
}
