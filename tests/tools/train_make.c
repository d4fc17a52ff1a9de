/* Makes the functions of training from a loss: reads a module in text form from standard input, whose entry gives a
 * loss and the next values of running weights, and prints what train/ makes of it.
 *
 *   train_make step|grad|update SETTING...
 *
 *   optimizer=NAME momentum=X nesterov=1 alpha=X beta1=X beta2=X epsilon=X decay=X l1=X   of the optimiser
 *   clip=value:X|norm:X  scale=1  noise=1 (the entry's last parameter)  narrow=DTYPE
 *   weight=CONSTANT[:ROLE[:GROUP[:DECAY[:L1]]]]   in order; ROLE t(rained), k(ept), r(unning) */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ir/text.h"
#include "train/train.h"

#define MAX_WEIGHTS 200

typedef struct request {
  tn_train_plan plan;
  tn_train_weight weights[MAX_WEIGHTS];
  bool has_noise, is_narrow;
  tn_dtype narrow;
} request;

static const tn_const *constant(const tn_module *module, const char *name) {
  for (size_t i = 0; i < module->consts.n; i++)
    if (strcmp(module->consts.data[i]->name, name) == 0) return module->consts.data[i];
  return NULL;
}

static bool add_weight(request *r, const tn_module *module, char *text) {
  char *parts[5] = {text, NULL, NULL, NULL, NULL};
  for (int i = 1; i < 5 && parts[i - 1]; i++)
    if ((parts[i] = strchr(parts[i - 1], ':')) != NULL) *parts[i]++ = 0;
  tn_train_weight *w = &r->weights[r->plan.n_weights];
  if (r->plan.n_weights++ == MAX_WEIGHTS) return false;
  *w = (tn_train_weight){.path = text, .constant = constant(module, text), .decay = NAN, .l1 = NAN};
  if (parts[1]) w->role = parts[1][0] == 'k' ? TNRT_WEIGHT_KEPT : parts[1][0] == 'r' ? TNRT_WEIGHT_RUNNING
                                                                                     : TNRT_WEIGHT_TRAINED;
  if (parts[2]) w->group = (uint32_t)atoi(parts[2]);
  if (parts[3]) w->decay = atof(parts[3]);
  if (parts[4]) w->l1 = atof(parts[4]);
  if (w->group >= r->plan.n_groups) r->plan.n_groups = w->group + 1;
  return w->constant != NULL;
}

static bool set(request *r, const tn_module *module, char *text) {
  tn_optimizer *o = &r->plan.optimizer;
  const struct {
    const char *name;
    double *number;
  } numbers[] = {{"momentum", &o->momentum}, {"alpha", &o->alpha},   {"beta1", &o->beta1}, {"beta2", &o->beta2},
                 {"epsilon", &o->epsilon},   {"decay", &o->decay}, {"l1", &o->l1}};
  char *value = strchr(text, '=');
  if (!value) return false;
  *value++ = 0;
  for (size_t i = 0; i < TN_ARRAY_LEN(numbers); i++)
    if (strcmp(numbers[i].name, text) == 0) return *numbers[i].number = atof(value), true;
  if (strcmp(text, "optimizer") == 0) return (o->kind = tn_optimizer_find(value)) != TN_N_OPTIMIZERS;
  if (strcmp(text, "weight") == 0) return add_weight(r, module, value);
  if (strcmp(text, "nesterov") == 0) return o->nesterov = true;
  if (strcmp(text, "scale") == 0) return r->plan.has_loss_scale = true;
  if (strcmp(text, "noise") == 0) return r->has_noise = true;
  if (strcmp(text, "narrow") == 0) return r->is_narrow = (r->narrow = tn_dtype_find(value)) != TN_N_DTYPES;
  if (strcmp(text, "clip") != 0 || !strchr(value, ':')) return false;
  r->plan.clip = value[0] == 'v' ? TN_CLIP_VALUE : TN_CLIP_NORM;
  r->plan.limit = atof(strchr(value, ':') + 1);
  return true;
}

static tn_func *entry(const tn_module *module) {
  for (size_t i = 0; i < module->funcs.n; i++)
    if (module->funcs.data[i]->is_entry) return module->funcs.data[i];
  return NULL;
}

/* The module that holds the result, or NULL. */
static tn_module *make(const char *what, tn_module *module, request *r) {
  tn_func *func = entry(module);
  tn_value *noise = r->has_noise ? func->body->params.data[func->body->params.n - 1] : NULL;
  if (strcmp(what, "update") == 0) {
    tn_module *made = tn_module_create(module->ctx);
    if (tn_train_update(made, &r->plan)) return made;
    tn_module_destroy(made);
    return NULL;
  }
  if (r->is_narrow && !tn_train_narrow(func, r->narrow)) return NULL;
  if (!tn_train_lift(func, r->weights, r->plan.n_weights)) return NULL;
  bool ok = strcmp(what, "step") == 0 ? tn_train_step(func, &r->plan, noise) : tn_train_grad(func, &r->plan, noise);
  return ok ? module : NULL;
}

static void print_errors(const tn_ctx *ctx) {
  for (size_t i = 0; i < ctx->diags.n; i++)
    if (ctx->diags.data[i].severity == TN_ERROR)
      fprintf(stderr, "%s %s\n", tn_diag_code_name(ctx->diags.data[i].code), ctx->diags.data[i].text);
}

int main(int argc, char **argv) {
  tn_ctx *ctx = tn_ctx_create((tn_oom){0});
  tn_buf text = tn_buf_create(ctx->arena), out = tn_buf_create(ctx->arena);
  request r = {.plan = {.n_groups = 1}};
  r.plan.weights = r.weights;
  for (int c; (c = getchar()) != EOF;) tn_buf_putc(&text, (char)c);
  tn_module *module = argc < 2 ? NULL : tn_text_parse(ctx, "input", text.data, text.n), *made = NULL;
  bool ok = module && entry(module);
  for (int i = 2; i < argc && ok; i++)
    if (!(ok = set(&r, module, argv[i]))) fprintf(stderr, "train_make: what is '%s'?\n", argv[i]);
  if (ok) made = make(argv[1], module, &r);
  if (made) {
    tn_text_print(made, TN_TEXT_GRAPH, &out);
    fputs(out.data, stdout);
  }
  print_errors(ctx);
  if (made && made != module) tn_module_destroy(made);
  if (module) tn_module_destroy(module);
  tn_ctx_destroy(ctx);
  return made ? 0 : 1;
}
