/* The shape of tiles: a block makes 64 x 64 results of one contraction. Its threads fill a slice of both operands in
 * shared memory, 16 positions of the sum deep, whatever the operands are computed from (a read outside of its argument
 * makes this a convolution); each thread sums 4 x 4 results, 16 apart, so that neighbours read neighbours. */
#include "backends/cuda/cuda.h"

#define PER_THREAD 4                          /* results along each side */
#define SIDE (TN_CUDA_TILE / PER_THREAD)      /* threads along each side */
#define LOADS (TN_CUDA_TILE * TN_CUDA_DEPTH / TN_CUDA_BLOCK)
#define LONG_SUM 512                          /* a longer sum is made of sums of ... */
#define SUM_BLOCK 256                         /* ... so many products, which keeps its error small */

_Static_assert(SIDE * SIDE == TN_CUDA_BLOCK, "each thread has its own results");
_Static_assert(SUM_BLOCK % TN_CUDA_DEPTH == 0, "whole slices make a block of a sum");

static const char letters[2] = {'m', 'n'};

static tn_dtype sum_type(const tn_cuda_gen *gen) { return tn_cuda_compute_type(gen->plan->contract->dtype); }

static bool is_long(tn_cuda_gen *gen) {
  bool is_float = tn_dtype_is_float(sum_type(gen));
  return is_float && tn_cuda_extent_product(gen->ctx, gen->kernel, &gen->plan->sum)->hi > LONG_SUM;
}

static void put_place(tn_cuda_gen *gen) {
  const tn_cuda_plan *plan = gen->plan;
  const char *type = tn_cuda_index_type(plan);
  tn_cuda_line(gen, "const int row = (int)threadIdx.x / %d, column = (int)threadIdx.x %% %d;", SIDE, SIDE);
  for (uint32_t i = 0; i < 2; i++)
    tn_cuda_line(gen, "const %s %c_end = %s;", type, letters[i],
                 tn_cuda_index(gen, tn_cuda_extent_product(gen->ctx, gen->kernel, &plan->side[i])));
  tn_cuda_line(gen, "const %s t_end = %s;", type,
               tn_cuda_index(gen, tn_cuda_extent_product(gen->ctx, gen->kernel, &plan->sum)));
  for (uint32_t i = 0; i < 2; i++)
    tn_cuda_line(gen, "const %s %c_tiles = (%c_end + %d) / %d;", type, letters[i], letters[i], TN_CUDA_TILE - 1,
                 TN_CUDA_TILE);
  tn_cuda_line(gen, "const %s n_first = (%s)blockIdx.x %% n_tiles * %d;", type, type, TN_CUDA_TILE);
  tn_cuda_line(gen, "const %s m_first = (%s)blockIdx.x / n_tiles %% m_tiles * %d;", type, type, TN_CUDA_TILE);
  if (plan->batch.n == 0) return;
  tn_cuda_line(gen, "const %s batch = (%s)blockIdx.x / n_tiles / m_tiles;", type, type);
  tn_cuda_unflatten(gen, &plan->batch, "batch");
}

/* Whether neighbouring positions of the sum lie side by side in what the operand reads first. */
static bool runs_along_sum(const tn_cuda_gen *gen, const tn_knode *operand) {
  const tn_dim *coefficient, *rest;
  const tn_cuda_plan *plan = gen->plan;
  while (operand->kind == TN_K_SCALAR) operand = operand->in[operand->n_in - 1];
  if (operand->kind != TN_K_READ || plan->sum.n == 0) return false;
  const tn_symbol *last = gen->kernel->space.data[plan->sum.at[plan->sum.n - 1]].symbol;
  const tn_dim *address = tn_cuda_address(gen->ctx, gen->kernel, operand);
  return tn_dim_linear(gen->ctx, address, last, &coefficient, &rest) && tn_dim_is(coefficient, 1);
}

typedef struct saved_axes {
  const char *position[TN_KERNEL_MAX_AXES];
  uint32_t bound;
} saved_axes;

static void open_points(tn_cuda_gen *gen, saved_axes *saved) {
  saved->bound = gen->bound;
  for (uint32_t i = 0; i < TN_KERNEL_MAX_AXES; i++) saved->position[i] = gen->position[i];
  tn_cuda_push(gen, TN_NEW(gen->arena, tn_cuda_scope));
}

static void close_points(tn_cuda_gen *gen, const saved_axes *saved) {
  tn_cuda_pop(gen);
  gen->bound = saved->bound;
  for (uint32_t i = 0; i < TN_KERNEL_MAX_AXES; i++) gen->position[i] = saved->position[i];
}

/* Fills the slice of one side; beyond the ends it is zero. */
static void put_load(tn_cuda_gen *gen, uint32_t side) {
  const tn_cuda_plan *plan = gen->plan;
  const tn_knode *operand = plan->contract->in[plan->operand[side]];
  const char *type = tn_cuda_index_type(plan), *sum = tn_cuda_type_of(sum_type(gen))->compute;
  char letter = letters[side];
  bool along = runs_along_sum(gen, operand);
  saved_axes saved;
  tn_cuda_line(gen, "TN_UNROLL");
  tn_cuda_open(gen, "for (int load = 0; load < %d; load++)", LOADS);
  tn_cuda_line(gen, "const int at = (int)threadIdx.x + load * %d;", TN_CUDA_BLOCK);
  tn_cuda_line(gen, "const int t_at = at %s %d, %c_at = at %s %d;", along ? "%" : "/",
               along ? TN_CUDA_DEPTH : TN_CUDA_TILE, letter, along ? "/" : "%", along ? TN_CUDA_DEPTH : TN_CUDA_TILE);
  tn_cuda_line(gen, "const %s %c = %c_first + %c_at, t = t_first + t_at;", type, letter, letter, letter);
  tn_cuda_line(gen, "%s element = 0;", sum);
  tn_cuda_open(gen, "if (%c < %c_end && t < t_end)", letter, letter);
  open_points(gen, &saved);
  tn_cuda_unflatten(gen, &plan->side[side], side == 0 ? "m" : "n");
  tn_cuda_unflatten(gen, &plan->sum, "t");
  tn_cuda_prepare(gen, &operand, 1);
  tn_cuda_line(gen, "element = %s;",
               tn_cuda_cast(gen->arena, tn_cuda_compute_type(operand->dtype), sum_type(gen), false,
                            tn_cuda_value(gen, operand)));
  close_points(gen, &saved);
  tn_cuda_close(gen);
  tn_cuda_line(gen, "%c_slice[t_at][%c_at] = element;", letter, letter);
  tn_cuda_close(gen);
}

static void put_each_result(tn_cuda_gen *gen) {
  tn_cuda_line(gen, "TN_UNROLL");
  tn_cuda_open(gen, "for (int i = 0; i < %d; i++)", PER_THREAD);
  tn_cuda_line(gen, "TN_UNROLL");
  tn_cuda_open(gen, "for (int j = 0; j < %d; j++)", PER_THREAD);
}

static void put_products(tn_cuda_gen *gen) {
  const char *type = tn_cuda_type_of(sum_type(gen))->compute;
  const char *in[] = {"m_part[i]", "n_part[j]", "sum[i][j]"};
  tn_cuda_line(gen, "TN_UNROLL");
  tn_cuda_open(gen, "for (int t = 0; t < %d; t++)", TN_CUDA_DEPTH);
  tn_cuda_line(gen, "%s m_part[%d], n_part[%d];", type, PER_THREAD, PER_THREAD);
  tn_cuda_line(gen, "TN_UNROLL");
  tn_cuda_open(gen, "for (int i = 0; i < %d; i++)", PER_THREAD);
  tn_cuda_line(gen, "m_part[i] = m_slice[t][row + i * %d];", SIDE);
  tn_cuda_line(gen, "n_part[i] = n_slice[t][column + i * %d];", SIDE);
  tn_cuda_close(gen);
  put_each_result(gen);
  tn_cuda_line(gen, "sum[i][j] = %s;", tn_cuda_multiply_add(gen->arena, sum_type(gen), in));
  tn_cuda_close(gen);
  tn_cuda_close(gen);
  tn_cuda_close(gen);
}

/* Adds the sums so far to the totals. */
static void put_gather(tn_cuda_gen *gen) {
  put_each_result(gen);
  tn_cuda_line(gen, "total[i][j] = total[i][j] + sum[i][j];");
  tn_cuda_line(gen, "sum[i][j] = 0;");
  tn_cuda_close(gen);
  tn_cuda_close(gen);
}

static void put_sum(tn_cuda_gen *gen) {
  const char *type = tn_cuda_type_of(sum_type(gen))->compute;
  bool has_total = is_long(gen);
  /* One more column keeps threads that fill a column of the slice out of each other's banks. */
  tn_cuda_line(gen, "__shared__ %s m_slice[%d][%d], n_slice[%d][%d];", type, TN_CUDA_DEPTH, TN_CUDA_TILE + 1,
               TN_CUDA_DEPTH, TN_CUDA_TILE + 1);
  tn_cuda_line(gen, "%s sum[%d][%d] = {{0}};", type, PER_THREAD, PER_THREAD);
  if (has_total) tn_cuda_line(gen, "%s total[%d][%d] = {{0}};", type, PER_THREAD, PER_THREAD);
  tn_cuda_open(gen, "for (%s t_first = 0; t_first < t_end; t_first += %d)", tn_cuda_index_type(gen->plan),
               TN_CUDA_DEPTH);
  put_load(gen, 0);
  put_load(gen, 1);
  tn_cuda_line(gen, "__syncthreads();");
  put_products(gen);
  tn_cuda_line(gen, "__syncthreads();");
  if (has_total) {
    tn_cuda_open(gen, "if (t_first %% %d == %d)", SUM_BLOCK, SUM_BLOCK - TN_CUDA_DEPTH);
    put_gather(gen);
    tn_cuda_close(gen);
  }
  tn_cuda_close(gen);
  if (has_total) put_gather(gen);
}

static void put_results(tn_cuda_gen *gen) {
  const tn_cuda_plan *plan = gen->plan;
  const tn_kernel *kernel = gen->kernel;
  const char *type = tn_cuda_index_type(plan);
  saved_axes saved;
  put_each_result(gen);
  tn_cuda_line(gen, "const %s m = m_first + row + i * %d, n = n_first + column + j * %d;", type, SIDE, SIDE);
  tn_cuda_line(gen, "if (m >= m_end || n >= n_end) continue;");
  open_points(gen, &saved);
  tn_cuda_unflatten(gen, &plan->side[0], "m");
  tn_cuda_unflatten(gen, &plan->side[1], "n");
  tn_cuda_remember(gen, plan->contract, is_long(gen) ? "total[i][j]" : "sum[i][j]");
  for (size_t i = 0; i < kernel->nodes.n; i++) {
    const tn_knode *write = kernel->nodes.data[i];
    const tn_knode *goal = write->n_in > 0 ? write->in[0] : NULL;
    if (write->kind != TN_K_WRITE) continue;
    tn_cuda_prepare(gen, &goal, 1);
    bool is_lone = tn_cuda_open_lone(gen, write);
    tn_cuda_write(gen, write);
    if (is_lone) tn_cuda_close(gen);
  }
  close_points(gen, &saved);
  tn_cuda_close(gen);
  tn_cuda_close(gen);
}

void tn_cuda_tile_body(tn_cuda_gen *gen) {
  put_place(gen);
  put_sum(gen);
  put_results(gen);
}
