/* Fitting a training's step into a budget: its models are made anew with a lower target until the plan is small enough
 * (passes/remat.c works on the graph, and only the plan tells the bytes). */
#include "frontend/driver/driver.h"
#include "runtime/training.h"

enum { MAX_TRIES = 6 };

static uint64_t budget_of(const tn_driver *driver) {
  uint64_t option = driver->options.memory_budget, file = driver->part_of->remat_budget;
  return !option || (file && file < option) ? file : option;
}

static bool plan(tn_driver *driver, bool remat, uint64_t target, uint64_t budget, uint64_t *out_bytes) {
  tn_pass_context context = tn_driver_pass_context(driver);
  context.remat = remat;
  context.remat_keeps = remat && driver->part_of->remat_keeps;
  context.remat_target = target;
  context.memory_budget = budget;
  if (!tn_driver_run_passes(driver, &context)) return false;
  const tn_dim *bytes = driver->program ? driver->program->arena_bytes : NULL;
  *out_bytes = !bytes ? 0 : bytes->hi == TN_DIM_INF ? UINT64_MAX : (uint64_t)bytes->hi;
  return true;
}

/* The budget is too small: the best plan is made again, and says so. */
static bool refuse(tn_driver *driver, uint64_t target, uint64_t budget) {
  uint64_t bytes;
  if (!tn_driver_renew_part(driver) || !plan(driver, true, target, budget, &bytes)) {
    tn_help(driver->ctx, "what can be computed again is; parts of a batch (micro) take less, and smaller batches");
    return false;
  }
  return true;
}

/* Batches in parts are done by grad and update, whatever runs the program. */
static bool is_unused(const tn_driver *driver) {
  const tnrt_training *plan_of = driver->part_of->plan;
  bool in_parts = plan_of->micro < plan_of->batch || plan_of->reproducible == TNRT_REPRODUCIBLE_WORLD;
  return driver->part == TN_LANG_STEP && in_parts;
}

bool tn_driver_compile_within(tn_driver *driver) {
  uint64_t budget = budget_of(driver), bytes, least = UINT64_MAX, target = budget, best = budget;
  bool is_all = driver->part_of->remat && !driver->part_of->remat_budget;
  if (is_unused(driver)) return plan(driver, false, 0, 0, &bytes);
  if (is_all) return plan(driver, true, 0, budget, &bytes);
  if (!plan(driver, false, 0, 0, &bytes)) return false;
  if (!budget || bytes <= budget) return true;
  for (int i = 0; i < MAX_TRIES; i++) {
    if (!tn_driver_renew_part(driver) || !plan(driver, true, target, 0, &bytes)) return false;
    if (bytes <= budget) return true;
    if (bytes < least) best = target;
    if (bytes < least) least = bytes;
    uint64_t down = bytes - budget;
    if (target == 0) break;
    if (down < target / 32) down = target / 32;
    target = i + 2 < MAX_TRIES && target > down ? target - down : 0; /* at last all that can be done */
  }
  return refuse(driver, best, budget);
}
