/* Target and passes: from the graph to the planned program. */
#include <string.h>

#include "frontend/driver/driver.h"

static void print_dump(void *user, const char *pass, const char *text, size_t length) {
  (void)user;
  if (strncmp(text, "tnir", 4) == 0) fprintf(stderr, "# after %s\n", pass);
  fwrite(text, 1, length, stderr);
}

static void record(void *user, const tn_pass *pass, double milliseconds) {
  tn_driver *driver = user;
  tn_pass_record row = {.pass = pass, .ms = milliseconds};
  for (const tn_node *node = driver->entry->body->first; node; node = node->next) row.n_nodes++;
  TN_VEC_PUSH(driver->ctx->arena, &driver->passes, row);
}

static bool choose_target(tn_driver *driver) {
  const tn_driver_options *o = &driver->options;
  const char *cpu = driver->march && strcmp(driver->march, "native") != 0 ? driver->march : NULL;
  driver->backend = tn_backend_find(o->target);
  if (!driver->backend) return tn_error(driver->ctx, TN_LOC_NONE, TN_E_OPTION, "no backend '%s'", o->target);
  if (!tn_driver_check_levels(driver)) return false;
  if (!driver->backend->probe(driver->ctx, cpu, o->triple, &driver->machine)) return false;
  driver->machine.opt_level = o->opt_level;
  driver->machine.small_code = o->small_code;
  if (o->verbose)
    fprintf(stderr, TENON_PRODUCER "\ntarget: %s %s (-march=%s) %s\n", driver->machine.triple,
            driver->machine.cpu_resolved, driver->march ? driver->march : "native", driver->machine.features);
  return true;
}

/* --emit=ir needs the passes over the graph only; and so on. NULL: all. */
static const char *last_pass_needed(const tn_driver_options *o) {
  bool code = o->code_levels.n > 0 || o->assembly;
  if (o->stop_after || o->make != TN_MAKE_TEXT || code) return o->stop_after;
  if (o->levels & LEVEL_ONNX) return "simplify"; /* composites are operators of ONNX */
  tn_pass_level level = !(o->levels & ~(unsigned)(LEVEL_IR | LEVEL_DOT)) ? TN_PASS_GRAPH : TN_PASS_PROGRAM;
  if (!(o->levels & ~(unsigned)(LEVEL_IR | LEVEL_KERNELS)) && o->levels & LEVEL_KERNELS) level = TN_PASS_KERNELS;
  const char *last = NULL;
  for (uint32_t i = 0; i < tn_n_passes; i++)
    if (tn_passes[i].level <= level) last = tn_passes[i].name;
  return last;
}

tn_pass_context tn_driver_pass_context(tn_driver *driver) {
  const tn_driver_options *o = &driver->options;
  /* What finds a lost number keeps every value, and runs after a fault only. */
  return (tn_pass_context){.ctx = driver->ctx, .module = driver->module, .entry = driver->entry,
                           .backend = driver->backend, .target = &driver->machine, .opt_level = o->opt_level,
                           .memory_budget = driver->traces ? 0 : o->memory_budget, .max_workers = o->threads,
                           .no_heap = o->freestanding, .at_bound = driver->is_part, .is_apart = driver->traces};
}

bool tn_driver_run_passes(tn_driver *driver, tn_pass_context *context) {
  const tn_driver_options *o = &driver->options;
  tn_pipeline_options options = {.dump_after = o->dump_after.data, .skip = o->skip.data, .only = o->only.data,
                                 .stop_after = last_pass_needed(o), .verify_each = o->verify_each,
                                 .check_each = o->check_each, .time_passes = o->time_passes, .dump = print_dump,
                                 .ran = record, .user = driver};
#ifndef NDEBUG
  options.verify_each = true;
#endif
  bool ok = tn_pipeline_run(context, &options, &driver->failed_pass, &driver->fault);
  driver->program = context->program;
  return ok;
}

static bool compile_one(tn_driver *driver) {
  if (driver->is_part && (driver->part == TN_LANG_STEP || driver->part == TN_LANG_GRAD))
    return tn_driver_compile_within(driver);
  tn_pass_context context = tn_driver_pass_context(driver);
  return tn_driver_run_passes(driver, &context);
}

bool tn_driver_compile(tn_driver *driver) {
  if (!tn_driver_order_variants(driver) || !choose_target(driver)) return false;
  bool ok = compile_one(driver) && tn_driver_compile_variants(driver);
  return ok && (!driver->training || tn_driver_finish_training(driver));
}
