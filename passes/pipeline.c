/* The table of passes, in the order they run, and the code that runs it. */
#include "passes/pass.h"

#include <string.h>
#include <time.h>

#include "ir/certificate.h"
#include "ir/text.h"
#include "ir/verify.h"
#include "passes/check.h"
#include "passes/passes.h"

const tn_pass tn_passes[] = {
    {"infer", TN_PASS_GRAPH, tn_pass_infer, true, "compute types and the contents of shape values again"},
    {"fold", TN_PASS_GRAPH, tn_pass_fold, false, "evaluate what depends on constants only"},
    {"simplify", TN_PASS_GRAPH, tn_pass_simplify, false, "apply the rewrite rules"},
    {"expand", TN_PASS_GRAPH, tn_pass_expand, true, "replace composites by primitives"},
    {"running", TN_PASS_GRAPH, tn_pass_running, false, "let long running folds carry their total along"},
    {"regions", TN_PASS_GRAPH, tn_pass_regions, true, "bring regions to the form that lowering takes"},
    {"fold-primitives", TN_PASS_GRAPH, tn_pass_fold, false, "fold what expansion made"},
    {"simplify-primitives", TN_PASS_GRAPH, tn_pass_simplify, false, "rewrite what expansion made"},
    {"regions-primitives", TN_PASS_GRAPH, tn_pass_regions, false, "move what became constant into regions"},
    {"apply-guards", TN_PASS_GRAPH, tn_pass_apply_guards, false, "let extents that guards make equal be one dim"},
    {"cse", TN_PASS_GRAPH, tn_pass_cse, false, "share equal nodes"},
    {"dce", TN_PASS_GRAPH, tn_pass_dce, false, "remove nodes that nothing needs"},
    {"remat", TN_PASS_GRAPH, tn_pass_remat, false, "compute values of a training's forward pass again, not keep them"},
    {"orient", TN_PASS_GRAPH, tn_pass_orient, false, "copy operands of products that lie across their columns"},
    {"group", TN_PASS_GRAPH, tn_pass_group, true, "choose which nodes form one kernel"},
    {"layout", TN_PASS_GRAPH, tn_pass_layout, true, "choose where the elements of each kept value lie"},
    {"lower", TN_PASS_KERNELS, tn_pass_lower, true, "make kernels, buffers and steps"},
    {"schedule", TN_PASS_PROGRAM, tn_pass_schedule, true, "let the backend choose strategies and weight formats"},
    {"donate", TN_PASS_PROGRAM, tn_pass_donate, false, "let results take the place of arguments that are read no more"},
    {"plan", TN_PASS_PROGRAM, tn_pass_plan, true, "place buffers in the arena"},
};
const uint32_t tn_n_passes = TN_ARRAY_LEN(tn_passes);

const tn_pass_order tn_pass_orders[] = {
    {"infer", "fold", "folding reads types and index values"},
    {"fold", "simplify", "rules match constants that folding makes"},
    {"simplify", "expand", "batch_norm and gemm are folded into weights while they are one node"},
    {"expand", "regions", "expansions make regions"},
    {"expand", "running", "expansions make running folds"},
    {"running", "regions", "scans are brought to the form that lowering takes"},
    {"regions", "fold-primitives", "constants that move into regions fold there"},
    {"simplify-primitives", "regions-primitives", "folding and rules make constants"},
    {"regions-primitives", "group", "lowering takes regions in one form"},
    {"expand", "fold-primitives", "expansions build shape arithmetic on constants"},
    {"fold-primitives", "simplify-primitives", "rules match constants that folding makes"},
    {"expand", "apply-guards", "expansions add guards"},
    {"apply-guards", "cse", "nodes are equal only when their dims are"},
    {"simplify-primitives", "cse", "rules bring equal nodes to one form"},
    {"cse", "dce", "sharing leaves nodes without uses"},
    {"expand", "group", "groups are made of primitives"},
    {"cse", "orient", "an operand of several products is copied once"},
    {"cse", "remat", "sharing would undo it"},
    {"dce", "remat", "dead nodes hold no memory"},
    {"remat", "orient", "a copy made for its order is no value to compute again"},
    {"orient", "group", "a copy is a kernel of its own"},
    {"dce", "group", "a dead node would look like a second consumer"},
    {"group", "layout", "only values between groups have a storage"},
    {"layout", "lower", "kernels are made for the storage of their arguments"},
    {"lower", "schedule", "the backend sees only kernels"},
    {"schedule", "donate", "what a kernel does in place depends on its strategy"},
    {"schedule", "plan", "scratch and packed weights have sizes after scheduling"},
};
const uint32_t tn_n_pass_orders = TN_ARRAY_LEN(tn_pass_orders);

static bool listed(const char *const *names, const char *name) {
  if (!names) return false;
  for (; *names; names++)
    if (strcmp(*names, name) == 0 || strcmp(*names, "all") == 0) return true;
  return false;
}

static bool chosen(const tn_pipeline_options *options, const tn_pass *pass) {
  if (options->only && !listed(options->only, pass->name)) return false;
  return pass->needed || !listed(options->skip, pass->name);
}

static void dump(const tn_pass_context *context, const tn_pipeline_options *options, const tn_pass *pass,
                 double milliseconds) {
  tn_arena *scratch = tn_arena_create_scratch(context->ctx->arena);
  tn_buf text = tn_buf_create(scratch);
  if (options->time_passes) {
    tn_buf_printf(&text, "%-20s %10.3f ms\n", pass->name, milliseconds);
    options->dump(options->user, pass->name, text.data, text.n);
  }
  if (listed(options->dump_after, pass->name)) {
    text = tn_buf_create(scratch);
    tn_text_print(context->module, TN_TEXT_ALL, &text);
    options->dump(options->user, pass->name, text.data, text.n);
  }
  tn_arena_destroy(scratch);
}

static double milliseconds_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}

/* What --verify-each and --check-each say of the state after a pass. */
static bool is_sound(tn_pass_context *context, const tn_pipeline_options *options, tn_check *check, const char *pass) {
  if (options->verify_each && !tn_verify(context->module)) return false;
  if (options->verify_each && context->program && !tn_certificate_verify(context->ctx, context->program)) return false;
  return !check || tn_check_after(check, context, pass);
}

/* Sizes beyond 63 bits are the model's, also where the verifier is the first to multiply them. */
static bool is_fault_since(const tn_ctx *ctx, size_t first) {
  for (size_t i = first; i < ctx->diags.n; i++)
    if (ctx->diags.data[i].severity == TN_ERROR && ctx->diags.data[i].code != TN_E_LIMIT) return true;
  return ctx->diags.n == first;
}

static bool run_passes(tn_pass_context *context, const tn_pipeline_options *options, tn_check *check,
                       const char **out_failed_pass, bool *out_is_fault) {
  for (uint32_t i = 0; i < tn_n_passes; i++) {
    const tn_pass *pass = &tn_passes[i];
    if (!chosen(options, pass)) continue;
    double start = milliseconds_now();
    *out_failed_pass = pass->name;
    tn_progress_tell(context->ctx, pass->name, i, tn_n_passes);
    size_t n_errors = context->ctx->n_errors;
    if (!pass->run(context) || context->ctx->n_errors > n_errors) return false;
    double milliseconds = milliseconds_now() - start;
    if (options->ran) options->ran(options->user, pass, milliseconds);
    dump(context, options, pass, milliseconds);
    size_t n_diags = context->ctx->diags.n;
    if (!is_sound(context, options, check, pass->name) || context->ctx->n_errors > n_errors) {
      *out_is_fault = is_fault_since(context->ctx, n_diags);
      return false;
    }
    *out_failed_pass = NULL;
    if (options->stop_after && strcmp(options->stop_after, pass->name) == 0) break;
  }
  return true;
}

bool tn_pipeline_run(tn_pass_context *context, const tn_pipeline_options *options, const char **out_failed_pass,
                     bool *out_is_fault) {
  tn_arena *arena = tn_arena_create_scratch(context->ctx->arena);
  tn_check *check = options->check_each ? tn_check_begin(context, arena) : NULL;
  *out_failed_pass = NULL;
  *out_is_fault = false;
  bool ok = run_passes(context, options, check, out_failed_pass, out_is_fault);
  tn_arena_destroy(arena);
  return ok;
}
