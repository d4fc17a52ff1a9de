/* The shape of teams: one point of the par axes for 1, 32 or all threads of a block. Folds come first, then the writes
 * over each set of row axes. */
#include "backends/cuda/cuda.h"

typedef struct write_set {
  const tn_knode **writes;
  uint32_t n;
} write_set;

bool tn_cuda_open_lone(tn_cuda_gen *gen, const tn_knode *write) {
  uint32_t missing = gen->plan->par & ~write->axes;
  tn_buf condition = tn_buf_create(gen->arena);
  for (uint32_t i = 0; i < gen->kernel->space.n; i++)
    if (missing >> i & 1) tn_buf_printf(&condition, "%s%s == 0", condition.n ? " && " : "", gen->position[i]);
  if (missing == 0) return false;
  tn_cuda_open(gen, "if (%s)", condition.data);
  return true;
}

static void write_all(tn_cuda_gen *gen, void *user) {
  const write_set *set = user;
  for (uint32_t i = 0; i < set->n; i++) {
    const char *value = tn_cuda_value(gen, set->writes[i]->in[0]);
    (void)value; /* named before a block that only some threads enter */
    bool is_lone = tn_cuda_open_lone(gen, set->writes[i]);
    tn_cuda_write(gen, set->writes[i]);
    if (is_lone) tn_cuda_close(gen);
  }
}

/* The writes over the row axes `rows`, by all threads of the team; without such axes by its first. */
static void write_rows(tn_cuda_gen *gen, uint32_t rows) {
  const tn_kernel *kernel = gen->kernel;
  const tn_knode **goals = TN_NEW_N(gen->arena, const tn_knode *, kernel->nodes.n);
  write_set set = {.writes = TN_NEW_N(gen->arena, const tn_knode *, kernel->nodes.n)};
  for (size_t i = 0; i < kernel->nodes.n; i++) {
    const tn_knode *node = kernel->nodes.data[i];
    if (node->kind != TN_K_WRITE || (node->axes & gen->plan->folded) != rows) continue;
    goals[set.n] = node->in[0];
    set.writes[set.n++] = node;
  }
  if (set.n == 0) return;
  tn_cuda_prepare(gen, goals, set.n);
  bool is_first_only = gen->is_shared && rows == 0;
  if (is_first_only) tn_cuda_open(gen, "if (lane == 0)");
  tn_cuda_walk(gen, rows, goals, set.n, write_all, &set);
  if (is_first_only) tn_cuda_close(gen);
}

static void update_one(tn_cuda_gen *gen, void *user) { tn_cuda_write(gen, user); }

/* Updates may meet in one element, where the later wins or sums round in their order. */
static void put_updates(tn_cuda_gen *gen) {
  tn_cuda_line(gen, "if (threadIdx.x != 0) return;");
  for (size_t i = 0; i < gen->kernel->nodes.n; i++) {
    tn_knode *node = gen->kernel->nodes.data[i];
    const tn_knode *goal = node->n_in > 0 ? node->in[0] : NULL;
    if (node->kind == TN_K_UPDATE) tn_cuda_walk(gen, gen->plan->par, &goal, 1, update_one, node);
  }
}

void tn_cuda_team_body(tn_cuda_gen *gen) {
  const tn_cuda_plan *plan = gen->plan;
  const tn_kernel *kernel = gen->kernel;
  const char *type = tn_cuda_index_type(plan);
  uint32_t per_block = TN_CUDA_BLOCK / plan->team;
  if (plan->has_update) {
    put_updates(gen);
    return;
  }
  gen->is_shared = plan->team > 1;
  if (gen->is_shared) tn_cuda_line(gen, "const int lane = (int)threadIdx.x %% %u;", plan->team);
  tn_cuda_line(gen, "const %s point = (%s)blockIdx.x * %u + (%s)threadIdx.x / %u;", type, type, per_block, type,
               plan->team);
  tn_cuda_line(gen, "if (point >= %s) return;", tn_cuda_index(gen, plan->points));
  tn_cuda_unflatten(gen, &plan->order, "point");
  for (size_t i = 0; i < kernel->nodes.n; i++) { /* sets of row axes in order of their first write */
    const tn_knode *node = kernel->nodes.data[i];
    bool is_new = node->kind == TN_K_WRITE;
    for (size_t k = 0; k < i && is_new; k++) {
      const tn_knode *former = kernel->nodes.data[k];
      is_new = former->kind != TN_K_WRITE || (former->axes & plan->folded) != (node->axes & plan->folded);
    }
    if (is_new) write_rows(gen, node->axes & plan->folded);
  }
}
