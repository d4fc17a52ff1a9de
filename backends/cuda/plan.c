/* How a kernel is made: which of the two shapes, how many threads a point gets, and the grid. Pure: depends on the
 * kernel alone. See cuda.h. */
#include <string.h>

#include "backends/cuda/cuda.h"

#define LONGEST_ALONE 32     /* positions of a fold that one thread walks alone */
#define LONGEST_OF_WARP 1024 /* and those that a warp walks */
#define INDEX_LIMIT ((int64_t)1 << 30) /* below it an int counts, with room for the last block's surplus */
#define UNKNOWN_EXTENT 64    /* for estimates of cost */
#define MAX_PARAMETERS 400   /* of a function: 4096 bytes hold 512 of 8 bytes */
#define MAX_FOLDS 256        /* shared memory of 48 KB holds the parts of so many */

/* --- Bounds --- */

static int64_t saturating_product(int64_t a, int64_t b) {
  int64_t v;
  return a == TN_DIM_INF || b == TN_DIM_INF || !tn_mul_i64(a, b, &v) ? TN_DIM_INF : v;
}

static int64_t absolute_bound(int64_t lo, int64_t hi) {
  if (lo <= -TN_DIM_INF || hi == TN_DIM_INF) return TN_DIM_INF;
  return -lo > hi ? -lo : hi;
}

/* No value while dim is computed is larger, terms and operands taken one by one. */
static int64_t magnitude(const tn_dim *dim) {
  int64_t sum = 0;
  for (uint32_t i = 0; i < dim->n_terms; i++) {
    const tn_term *term = &dim->terms[i];
    int64_t product = absolute_bound(term->coefficient, term->coefficient);
    for (uint32_t k = 0; k < term->n_atoms; k++) {
      const tn_atom *atom = term->atoms[k];
      int64_t bound = absolute_bound(atom->lo, atom->hi);
      if (atom->kind != TN_ATOM_SYMBOL) {
        int64_t p = magnitude(atom->p), q = magnitude(atom->q);
        bound = p > bound ? p : bound;
        bound = q > bound ? q : bound;
      }
      product = saturating_product(product, bound);
    }
    if (product == TN_DIM_INF || !tn_add_i64(sum, product, &sum)) return TN_DIM_INF;
  }
  return sum;
}

static bool fits_int(const tn_dim *dim) { return magnitude(dim) < INDEX_LIMIT; }

const tn_dim *tn_cuda_extent_product(tn_ctx *ctx, const tn_kernel *kernel, const tn_cuda_axes *axes) {
  const tn_dim *product = tn_dim_const(ctx, 1);
  for (uint32_t i = 0; i < axes->n; i++) product = tn_dim_mul(ctx, product, kernel->space.data[axes->at[i]].extent);
  return product;
}

static tn_cuda_axes axes_of(const tn_cuda_plan *plan, uint32_t mask) {
  tn_cuda_axes axes = {0};
  for (uint32_t i = 0; i < plan->order.n; i++)
    if (mask >> plan->order.at[i] & 1) axes.at[axes.n++] = plan->order.at[i];
  for (uint32_t i = 0; i < plan->kernel->space.n; i++)
    if ((mask >> i & 1) && !(plan->par >> i & 1)) axes.at[axes.n++] = (uint8_t)i;
  return axes;
}

/* Where a coordinate is clamped, only the argument's size bounds the address. */
static bool arguments_fit_int(tn_ctx *ctx, const tn_kernel *kernel) {
  for (size_t i = 0; i < kernel->args.n; i++) {
    const tn_dim *strides[TN_MAX_NDIM], *total;
    tn_storage_strides(ctx, kernel->args.data[i].type, kernel->args.data[i].storage, strides, &total);
    if (!fits_int(total)) return false;
  }
  return true;
}

static bool needs_wide(tn_ctx *ctx, const tn_cuda_plan *plan) {
  const tn_kernel *kernel = plan->kernel;
  uint32_t all = (uint32_t)(((uint64_t)1 << kernel->space.n) - 1);
  tn_cuda_axes folded = axes_of(plan, all & ~plan->par);
  if (!arguments_fit_int(ctx, kernel)) return true;
  if (!fits_int(tn_cuda_extent_product(ctx, kernel, &plan->order))) return true;
  if (!fits_int(tn_cuda_extent_product(ctx, kernel, &folded))) return true;
  for (size_t i = 0; i < kernel->symbols.n; i++)
    if (kernel->symbols.data[i]->hi >= INDEX_LIMIT) return true;
  for (size_t i = 0; i < kernel->nodes.n; i++) {
    const tn_knode *node = kernel->nodes.data[i];
    bool has_place = node->kind == TN_K_READ || tn_knode_is_write(node);
    if (has_place && !fits_int(tn_cuda_address(ctx, kernel, node))) return true;
    for (uint32_t k = 0; k < node->n_index; k++) {
      if (!fits_int(node->index[k])) return true;
      if (has_place && !fits_int(kernel->args.data[node->arg].type->dims[k])) return true;
    }
  }
  return false;
}

/* --- Axes --- */

static void find_kinds(tn_cuda_plan *plan) {
  const tn_kernel *kernel = plan->kernel;
  for (size_t i = 0; i < kernel->nodes.n; i++) {
    plan->folded |= kernel->nodes.data[i]->over;
    plan->has_status |= kernel->nodes.data[i]->value_symbol != NULL;
    plan->has_update |= kernel->nodes.data[i]->kind == TN_K_UPDATE;
  }
  for (uint32_t i = 0; i < kernel->space.n; i++)
    if (!(plan->folded >> i & 1)) plan->par |= 1u << i;
}

static const tn_knode *first_write(const tn_kernel *kernel) {
  for (size_t i = 0; i < kernel->nodes.n; i++)
    if (kernel->nodes.data[i]->kind == TN_K_WRITE) return kernel->nodes.data[i];
  return NULL;
}

/* The par axes as the first write walks memory, so that neighbouring threads write neighbouring elements. */
static void find_order(tn_cuda_plan *plan) {
  const tn_kernel *kernel = plan->kernel;
  const tn_knode *write = first_write(kernel);
  uint8_t last_first[TN_KERNEL_MAX_AXES];
  uint32_t n = 0, left = plan->par;
  for (uint32_t k = write ? write->n_index : 0; k-- > 0;) {
    const tn_dim *index = write->index[kernel->args.data[write->arg].storage->order[k]];
    for (uint32_t i = (uint32_t)kernel->space.n; i-- > 0;) {
      if (!(left >> i & 1) || !tn_dim_uses(index, kernel->space.data[i].symbol)) continue;
      left &= ~(1u << i);
      last_first[n++] = (uint8_t)i;
    }
  }
  for (uint32_t i = (uint32_t)kernel->space.n; i-- > 0;)
    if (left >> i & 1) last_first[n++] = (uint8_t)i;
  for (uint32_t i = 0; i < n; i++) plan->order.at[i] = last_first[n - 1 - i];
  plan->order.n = n;
}

/* --- The shape --- */

/* The contraction when it is the kernel's only fold and both operands have axes of their own. */
static const tn_knode *lone_product(const tn_cuda_plan *plan) {
  const tn_knode *found = NULL;
  for (size_t i = 0; i < plan->kernel->nodes.n; i++) {
    const tn_knode *node = plan->kernel->nodes.data[i];
    if (!tn_cuda_is_fold(node)) continue;
    if (found != NULL || node->kind != TN_K_CONTRACT) return NULL;
    found = node;
  }
  if (found == NULL) return NULL;
  uint32_t a = found->in[0]->axes & plan->par, b = found->in[1]->axes & plan->par;
  return (a & ~b) && (b & ~a) ? found : NULL;
}

static const tn_dim *tiles_along(tn_ctx *ctx, const tn_cuda_plan *plan, uint32_t side) {
  return tn_dim_ceildiv(ctx, tn_cuda_extent_product(ctx, plan->kernel, &plan->side[side]), TN_CUDA_TILE);
}

/* Columns are what the innermost axis of the result belongs to. */
static void plan_tiles(tn_ctx *ctx, tn_cuda_plan *plan) {
  const tn_knode *contract = plan->contract;
  uint32_t axes[2] = {contract->in[0]->axes & plan->par, contract->in[1]->axes & plan->par};
  uint32_t innermost = 1u << plan->order.at[plan->order.n - 1];
  uint32_t columns = axes[0] & ~axes[1] & innermost ? 0 : 1;
  plan->operand[0] = 1 - columns;
  plan->operand[1] = columns;
  for (uint32_t i = 0; i < 2; i++)
    plan->side[i] = axes_of(plan, axes[plan->operand[i]] & ~axes[1 - plan->operand[i]]);
  plan->batch = axes_of(plan, plan->par & ~(axes[0] ^ axes[1]));
  plan->sum = axes_of(plan, contract->over);
  plan->strategy = "tiles 64x64x16";
  plan->grid = tn_dim_mul(ctx, tn_dim_mul(ctx, tiles_along(ctx, plan, 0), tiles_along(ctx, plan, 1)),
                          tn_cuda_extent_product(ctx, plan->kernel, &plan->batch));
}

/* The longest walk over folded axes that a point needs. */
static int64_t longest_fold(tn_ctx *ctx, const tn_cuda_plan *plan) {
  int64_t longest = 1;
  for (size_t i = 0; i < plan->kernel->nodes.n; i++) {
    const tn_knode *node = plan->kernel->nodes.data[i];
    tn_cuda_axes over = axes_of(plan, (node->kind == TN_K_WRITE ? node->axes : node->over) & plan->folded);
    int64_t n = tn_cuda_extent_product(ctx, plan->kernel, &over)->hi;
    longest = n > longest ? n : longest;
  }
  return longest;
}

static void plan_team(tn_ctx *ctx, tn_cuda_plan *plan) {
  int64_t longest = longest_fold(ctx, plan);
  plan->team = longest <= LONGEST_ALONE ? 1 : longest <= LONGEST_OF_WARP ? TN_CUDA_WARP : TN_CUDA_BLOCK;
  plan->strategy = plan->folded == 0 ? "map" : plan->team == 1 ? "folds by thread" : plan->team == TN_CUDA_WARP ?
                   "folds by warp" : "folds by block";
  plan->points = tn_cuda_extent_product(ctx, plan->kernel, &plan->order);
  if (plan->has_update) {
    plan->strategy = "updates by one thread";
    plan->points = tn_dim_const(ctx, 1);
  }
  plan->grid = tn_dim_ceildiv(ctx, plan->points, TN_CUDA_BLOCK / plan->team);
}

/* --- Cost --- */

static bool typical(const void *user, const tn_symbol *symbol, int64_t *out) {
  (void)user;
  *out = symbol->lo > UNKNOWN_EXTENT ? symbol->lo : symbol->hi < UNKNOWN_EXTENT ? symbol->hi : UNKNOWN_EXTENT;
  return true;
}

/* A launch, and the operations at a rate that such kernels reach. */
static double estimate(const tn_kernel *kernel) {
  const double launch = 3e-6, rate = 2e12;
  int64_t flops = 0;
  return tn_dim_evaluate(tn_kernel_flops(kernel), typical, NULL, &flops) ? launch + (double)flops / rate : launch;
}

tn_cuda_plan *tn_cuda_plan_create(const tn_kernel *kernel, tn_arena *arena) {
  tn_ctx *ctx = kernel->module->ctx;
  tn_cuda_plan *plan = TN_NEW(arena, tn_cuda_plan);
  plan->kernel = kernel;
  find_kinds(plan);
  find_order(plan);
  plan->contract = plan->has_update ? NULL : lone_product(plan);
  if (plan->contract != NULL) plan_tiles(ctx, plan);
  else plan_team(ctx, plan);
  plan->is_wide = needs_wide(ctx, plan);
  plan->cost_seconds = estimate(kernel);
  return plan;
}

/* --- What cannot be made --- */

static bool refuse_type(tn_ctx *ctx, const tn_kernel *kernel, tn_dtype dtype, tn_loc loc) {
  return tn_error(ctx, loc ? loc : kernel->loc, TN_E_LOWER, "kernel '%s': the cuda backend does not compute with %s",
                  kernel->name, tn_dtype_name(dtype));
}

bool tn_cuda_plan_check(tn_ctx *ctx, const tn_kernel *kernel) {
  size_t n_folds = 0;
  bool has_update = false;
  for (size_t i = 0; i < kernel->args.n; i++) {
    tn_dtype dtype = kernel->args.data[i].type->dtype;
    if (tn_cuda_type_of(dtype)->compute == NULL) return refuse_type(ctx, kernel, dtype, kernel->loc);
  }
  for (size_t i = 0; i < kernel->nodes.n; i++) {
    const tn_knode *node = kernel->nodes.data[i];
    n_folds += tn_cuda_is_fold(node);
    has_update |= node->kind == TN_K_UPDATE;
    if (node->kind == TN_K_ARGSORT)
      return tn_error(ctx, node->loc ? node->loc : kernel->loc, TN_E_LOWER,
                      "kernel '%s': the cuda backend makes no sorts yet", kernel->name);
    if (tn_cuda_type_of(node->dtype)->compute == NULL) return refuse_type(ctx, kernel, node->dtype, node->loc);
  }
  if (kernel->args.n + kernel->symbols.n > MAX_PARAMETERS)
    return tn_error(ctx, kernel->loc, TN_E_LOWER, "kernel '%s': %zu arguments and sizes, the cuda backend passes %d",
                    kernel->name, kernel->args.n + kernel->symbols.n, MAX_PARAMETERS);
  if (has_update && n_folds > 0)
    return tn_error(ctx, kernel->loc, TN_E_LOWER, "kernel '%s': the cuda backend makes no updates with folds",
                    kernel->name);
  if (n_folds > MAX_FOLDS)
    return tn_error(ctx, kernel->loc, TN_E_LOWER, "kernel '%s': %zu folds, the cuda backend makes at most %d",
                    kernel->name, n_folds, MAX_FOLDS);
  return true;
}
