/* Verifies the graph level: SSA order, uses, regions, types inferred again, symbols in scope (ir/IR.md section 3). */
#include "ir/verify.h"

#include <stdarg.h>
#include <string.h>

#include "ir/build.h"
#include "ir/primitives.h"
#include "ir/verify_internal.h"

typedef struct verifier {
  tn_verify_state at;
  const tn_module *module;
  const tn_func *func;
  tn_arena *scratch;
  tn_map symbols; /* tn_symbol -> itself: those in scope so far */
} verifier;

bool tn_verify_breach(tn_verify_state *at, const char *format, ...) {
  tn_buf text = tn_buf_create(at->ctx->arena);
  va_list args;
  va_start(args, format);
  tn_buf_vprintf(&text, format, args);
  va_end(args);
  tn_error(at->ctx, at->loc, TN_E_VERIFY, "%s '%s': %s", at->what, at->name, text.data ? text.data : "");
  return at->ok = false;
}

/* Symbols. */

static void check_symbol(void *user, const tn_symbol *symbol) {
  verifier *v = user;
  if (!v->func->is_entry && symbol->kind == TN_SYM_INPUT) return; /* its callers bring it */
  if (!tn_map_has(&v->symbols, symbol)) tn_verify_breach(&v->at, "symbol '%s' is not in scope", symbol->name);
}

static void check_dims(verifier *v, const tn_dim *const *dims, uint32_t n) {
  for (uint32_t i = 0; i < n; i++) tn_dim_symbols(dims[i], check_symbol, v);
}

static void add_symbol(void *user, const tn_symbol *symbol) {
  verifier *v = user;
  tn_map_set(&v->symbols, symbol, (void *)symbol);
}

static void add_late_symbol(void *user, const tn_symbol *symbol) {
  if (symbol->kind == TN_SYM_READ || symbol->kind == TN_SYM_COUNT || symbol->kind == TN_SYM_JOIN)
    add_symbol(user, symbol);
}

static void define_symbols(verifier *v, const tn_node *node) {
  for (uint32_t i = 0; i < node->op->n_attrs; i++)
    for (uint32_t k = 0; node->op->attrs[i].kind == TN_ATTR_DIMS && k < node->attrs[i].u.list.n; k++)
      tn_dim_symbols(node->attrs[i].u.list.dims[k], add_late_symbol, v);
  for (uint32_t i = 0; i < node->n_results; i++) {
    const tn_value *result = node->results[i];
    for (uint32_t k = 0; k < result->type->ndim; k++) tn_dim_symbols(result->type->dims[k], add_late_symbol, v);
    for (uint32_t k = 0; k < result->n_index; k++) tn_dim_symbols(result->index[k], add_late_symbol, v);
  }
}

static void check_node_symbols(verifier *v, const tn_node *node) {
  if (tn_op_defines_symbols(node->op)) define_symbols(v, node);
  for (uint32_t i = 0; i < node->op->n_attrs; i++)
    if (node->op->attrs[i].kind == TN_ATTR_DIMS && node->attrs[i].present)
      check_dims(v, node->attrs[i].u.list.dims, node->attrs[i].u.list.n);
  for (uint32_t i = 0; i < node->n_results; i++)
    check_dims(v, node->results[i]->type->dims, node->results[i]->type->ndim);
}

/* Uses. */

static void check_uses(verifier *v, const tn_value *value, const char *what) {
  uint32_t n = 0;
  const tn_use *previous = NULL;
  for (const tn_use *use = value->uses; use; use = use->next, n++) {
    const tn_node *user = use->user;
    bool fits = use->value == value && use->previous == previous && use->index < user->n_operands &&
                &user->operands[use->index] == use;
    if (!fits || n > value->n_uses) {
      tn_verify_breach(&v->at, "the uses of %s are not what its users say", what);
      return;
    }
    previous = use;
  }
  if (n != value->n_uses) tn_verify_breach(&v->at, "%s counts %u uses and has %u", what, value->n_uses, n);
}

static bool use_is_listed(const tn_use *use) {
  return use->previous ? use->previous->next == use : use->value->uses == use;
}

/* Values. */

static void check_storage(verifier *v, const tn_value *value) {
  const tn_storage *storage = value->storage;
  if (!storage) return;
  uint32_t seen = 0;
  for (uint32_t i = 0; i < storage->ndim; i++) seen |= (uint32_t)1 << storage->order[i];
  if (storage->ndim != value->type->ndim || seen + 1 != (uint32_t)1 << storage->ndim)
    tn_verify_breach(&v->at, "a storage of rank %u for a value of rank %u, or an order that is no permutation",
                     storage->ndim, value->type->ndim);
}

static void check_value(verifier *v, const tn_value *value, const char *what) {
  check_storage(v, value);
  check_uses(v, value, what);
  if (value->index && (value->type->ndim > 1 || value->n_index > 64))
    tn_verify_breach(&v->at, "%s cannot have index contents", what);
}

static bool guard_follows(const verifier *v, const tn_guard *guard, tn_guards given) {
  if (guard->kind == TN_GUARD_EQ) return tn_verify_equal(v->at.ctx, given, guard->p, guard->q);
  return tn_verify_le(v->at.ctx, given, guard->p, guard->q);
}

/* What infer has added behind the first n must follow from the others; it is taken away again. */
static void check_new_guards(verifier *v, const tn_node *node, tn_guard_list *here, size_t n) {
  size_t n_new = here->n;
  if (n_new == n) return;
  here->n = n;
  tn_guard_list known = tn_block_known_guards(node->block, v->scratch);
  for (size_t i = n; i < n_new; i++)
    if (!guard_follows(v, &here->data[i], (tn_guards){known.data, known.n}))
      tn_verify_breach(&v->at, "'%s' needs a guard that the function lacks: %s", node->op->name, here->data[i].text);
}

/* With the guards that are known where node stands. */
static void check_types(verifier *v, const tn_node *node) {
  tn_func *func = (tn_func *)v->func;
  const tn_type *types[TN_MAX_RESULTS];
  uint32_t n = 0;
  tn_guard_list *here = tn_func_guards_here(func);
  size_t n_guards = here->n;
  if (!tn_node_infer_types(node, types, &n)) {
    v->at.ok = false;
    return;
  }
  check_new_guards(v, node, here, n_guards);
  if (n != node->n_results) {
    tn_verify_breach(&v->at, "'%s' has %u results, expected %u", node->op->name, node->n_results, n);
    return;
  }
  for (uint32_t i = 0; i < n; i++) {
    const tn_type *has = node->results[i]->type, *wants = types[i];
    bool same = has->dtype == wants->dtype && has->ndim == wants->ndim;
    for (uint32_t k = 0; same && k < has->ndim; k++) same = tn_func_dims_equal(func, has->dims[k], wants->dims[k]);
    if (same) continue;
    tn_buf buf = tn_buf_create(v->scratch);
    tn_type_print(wants, &buf);
    tn_buf_puts(&buf, ", found ");
    tn_type_print(has, &buf);
    tn_verify_breach(&v->at, "result %u of '%s': expected %s", i, node->op->name, buf.data);
  }
}

/* Blocks. */

static void check_block(verifier *v, const tn_block *block);

static void check_operands(verifier *v, const tn_node *node, const tn_map *defined) {
  for (uint32_t i = 0; i < node->n_operands; i++) {
    const tn_use *use = &node->operands[i];
    if (use->user != node || use->index != i)
      tn_verify_breach(&v->at, "operand %u of '%s' has a broken use", i, node->op->name);
    if (!use->value) continue;
    if (!tn_map_has(defined, use->value))
      tn_verify_breach(&v->at, "operand %u of '%s' is not defined before it in its block", i, node->op->name);
    else if (!use_is_listed(use))
      tn_verify_breach(&v->at, "operand %u of '%s' is missing in its value's uses", i, node->op->name);
  }
}

static void check_node(verifier *v, const tn_node *node, tn_map *defined) {
  const tn_block *block = node->block;
  v->at.loc = node->loc;
  check_operands(v, node, defined);
  bool ends = node->op->kind == TN_OP_TERMINATOR;
  if (ends && node->next) tn_verify_breach(&v->at, "'%s' is not the last node of its block", node->op->name);
  if (ends && node->op != (block->owner ? &tn_op_yield : &tn_op_return))
    tn_verify_breach(&v->at, "'%s' ends a %s", node->op->name, block->owner ? "region" : "function");
  if (node->n_regions != node->op->n_regions)
    tn_verify_breach(&v->at, "'%s' has %u regions, expected %u", node->op->name, node->n_regions, node->op->n_regions);
  for (uint32_t i = 0; i < node->n_regions; i++) {
    if (node->regions[i]->owner != node)
      tn_verify_breach(&v->at, "region %u of '%s' has another owner", i, node->op->name);
    check_block(v, node->regions[i]);
    v->at.loc = node->loc;
  }
  tn_block *around = tn_func_enter((tn_func *)v->func, node->block);
  if (v->at.ok) check_types(v, node);
  tn_func_leave((tn_func *)v->func, around);
  check_node_symbols(v, node);
  for (uint32_t i = 0; i < node->n_results; i++) {
    tn_value *result = node->results[i];
    if (result->def != node || result->def_index != i)
      tn_verify_breach(&v->at, "result %u of '%s' has another definition", i, node->op->name);
    check_value(v, result, "a result");
    tn_map_set(defined, result, result);
  }
}

static void check_guards(verifier *v, const tn_guard_list *guards) {
  for (size_t i = 0; i < guards->n; i++) {
    v->at.loc = guards->data[i].loc;
    check_dims(v, &guards->data[i].p, 1);
    check_dims(v, &guards->data[i].q, 1);
  }
}

static void check_block(verifier *v, const tn_block *block) {
  tn_map defined = tn_map_create(v->scratch);
  for (size_t i = 0; i < block->params.n; i++) {
    tn_value *param = block->params.data[i];
    if (param->block != block || param->def || param->def_index != i)
      tn_verify_breach(&v->at, "parameter %zu is not its block's", i);
    check_dims(v, param->type->dims, param->type->ndim);
    check_value(v, param, "a parameter");
    tn_map_set(&defined, param, param);
  }
  const tn_node *previous = NULL;
  for (const tn_node *node = block->first; node; previous = node, node = node->next) {
    if (node->previous != previous || node->block != block) {
      tn_verify_breach(&v->at, "the nodes of a block are not linked both ways");
      return;
    }
    check_node(v, node, &defined);
  }
  check_guards(v, &block->guards);
  if (block->guards.n > 0 && (!block->owner || block->owner->op != &tn_op_if))
    tn_verify_breach(&v->at, "a block that is no branch of 'if' has guards");
  if (block->last != previous) tn_verify_breach(&v->at, "a block's last node is not its last");
  if (!previous || previous->op->kind != TN_OP_TERMINATOR)
    tn_verify_breach(&v->at, "a block ends without 'return' or 'yield'");
}

/* Functions. */

/* Input symbols of an entry must be the whole extent of some argument's axis. */
static void bring_inputs_in_scope(verifier *v) {
  const tn_func *func = v->func;
  if (!func->is_entry) return;
  for (size_t i = 0; i < func->body->params.n; i++) {
    const tn_type *type = func->body->params.data[i]->type;
    for (uint32_t k = 0; k < type->ndim; k++) {
      const tn_symbol *symbol = tn_dim_lone_symbol(type->dims[k]);
      if (symbol && symbol->kind == TN_SYM_INPUT) add_symbol(v, symbol);
    }
  }
}

static void check_listed(void *user, const tn_symbol *symbol) {
  verifier *v = user;
  for (size_t i = 0; i < v->module->symbols.n; i++)
    if (v->module->symbols.data[i] == symbol) return;
  tn_verify_breach(&v->at, "symbol '%s' is none of the module's", symbol->name);
}

bool tn_verify_func(const tn_func *func) {
  verifier v = {.at = {func->module->ctx, "function", func->name, TN_LOC_NONE, true}, .module = func->module,
                .func = func, .scratch = tn_arena_create_scratch(func->module->arena)};
  v.symbols = tn_map_create(v.scratch);
  v.at.loc = func->body->first ? func->body->first->loc : TN_LOC_NONE;
  bring_inputs_in_scope(&v);
  check_block(&v, func->body);
  for (size_t i = 0; i < v.symbols.n; i++) check_listed(&v, v.symbols.entries[i].value);
  check_guards(&v, &func->guards);
  const tn_node *last = func->body->last;
  if (func->is_entry && last && last->op == &tn_op_return && func->result_names.n != last->n_operands)
    tn_verify_breach(&v.at, "%zu names for %u results", func->result_names.n, last->n_operands);
  tn_arena_destroy(v.scratch);
  return v.at.ok;
}

bool tn_verify(const tn_module *module) {
  bool ok = true;
  for (size_t i = 0; i < module->funcs.n; i++) ok = tn_verify_func(module->funcs.data[i]) && ok;
  for (size_t i = 0; i < module->kernels.n; i++) {
    const tn_kernel *kernel = module->kernels.data[i];
    tn_guards guards = tn_verify_guards_of(module, kernel);
    ok = tn_verify_kernel_given(module->ctx, kernel, guards) && ok;
  }
  for (size_t i = 0; i < module->programs.n; i++) ok = tn_verify_program(module->ctx, module->programs.data[i]) && ok;
  return ok;
}
