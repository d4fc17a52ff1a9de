/* A program for test_world.py: WORLD CASE [NUMBER]...
 *
 *   sum              the sum of rank + 1 over all processes, by the library, and that each process gathers all ranks
 *   tree LEAVES N    sums of LEAVES leaves of N elements, made of the leaf's number: prints a digest of their bits and
 *                    the first element of the first sum
 *   stuck RANK SECS  all but RANK come to a sum, with SECS as limit */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/train/exchange.h"

static tnrt_message message;

static int fail(tnrt_world *w) {
  if (!w->is_silent) fprintf(stderr, "world: process %d: %s\n", w->rank, message.text);
  if (w->is_lost) tnrt_world_abort(w, 71);
  return 1;
}

static int run_sum(tnrt_world *w) {
  double sum[2] = {w->rank + 1, 1};
  int64_t ranks[64];
  int counts[64];
  float parts[64];
  for (int r = 0; r < w->size; r++) counts[r] = 1, parts[r] = (float)(r * 10 + w->rank);
  if (tnrt_world_sum(w, sum, 2, TNRT_COMM_F64, "sum")) return fail(w);
  if (tnrt_world_sum_parts(w, parts, counts, TNRT_COMM_F32, "parts")) return fail(w);
  for (int r = 0; r < w->size; r++) counts[r] = (int)sizeof *ranks;
  ranks[w->rank] = 100 + w->rank;
  if (tnrt_world_gather(w, ranks, counts, "ranks")) return fail(w);
  for (int r = 0; r < w->size; r++)
    if (ranks[r] != 100 + r) return fprintf(stderr, "world: process %d has %lld of %d\n", w->rank, (long long)ranks[r],
                                            r), 1;
  double part = parts[0];
  printf("rank %d of %d: %g %g %g\n", w->rank, w->size, sum[0], sum[1], part);
  return 0;
}

/* Buckets of a third, which begin as soon as they are there, the others later. */
static void cut(size_t count, tnrt_bucket rows[3], tnrt_buckets *out) {
  *out = (tnrt_buckets){.rows = rows, .n = 3, .count = count};
  for (uint32_t i = 0; i < 3; i++)
    rows[i] = (tnrt_bucket){.place = i * (count / 3), .count = i < 2 ? count / 3 : count - 2 * (count / 3),
                            .what = "leaves"};
}

/* One sum of n leaves; the last leaf is taken bucket by bucket. */
static tnrt_status sum_leaves(tnrt_tree *tree, tnrt_exchange *x, int64_t n, double *shared) {
  tnrt_status status = TNRT_OK;
  tnrt_tree_start(tree, n);
  tnrt_exchange_start(x, shared, 1);
  while (tree->next < tree->end) {
    float *leaf = tnrt_tree_leaf(tree);
    bool is_last = tree->next + 1 == tree->end;
    for (size_t i = 0; i < tree->count; i++) leaf[i] = 1.0f / (float)(3 + 7 * tree->next + (int64_t)i);
    for (uint32_t i = 0; i < 3 && status == TNRT_OK; i++) {
      tnrt_tree_add_part(tree, 0.3f, x->buckets[i].place, x->buckets[i].count);
      if (is_last) tnrt_exchange_ready(x);
      if (tree->world->size > 1) status = tnrt_exchange_progress(x);
    }
    tnrt_tree_added(tree);
  }
  return status == TNRT_OK ? tnrt_exchange_finish(x) : status;
}

static int run_tree(tnrt_world *w, int64_t n_leaves, size_t count) {
  tnrt_tree tree;
  tnrt_exchange x;
  tnrt_bucket rows[3];
  tnrt_buckets buckets;
  float first = 0;
  uint64_t digest = UINT64_C(14695981039346656037);
  cut(count, rows, &buckets);
  if (tnrt_tree_open(&tree, w, &tnrt_alloc_libc, n_leaves, count)) return fail(w);
  if (tnrt_exchange_open(&x, w, &tnrt_alloc_libc, &buckets, &tree, NULL, false)) return fail(w);
  for (int64_t n = n_leaves; n > 0; n = n > 1 ? n / 2 : 0) { /* shorter ones too, as an epoch's last batch is */
    double shared = 1;
    if (sum_leaves(&tree, &x, n, &shared)) return fail(w);
    const float *sum = tnrt_tree_sum(&tree);
    if (n == n_leaves) first = sum[0];
    if ((int)shared != w->size) return 1;
    for (size_t i = 0; i < count * sizeof *sum; i++)
      digest = (digest ^ ((const uint8_t *)sum)[i]) * UINT64_C(1099511628211);
  }
  printf("%016llx %.9g\n", (unsigned long long)digest, (double)first);
  tnrt_exchange_close(&x);
  tnrt_tree_close(&tree);
  return 0;
}

static int run_stuck(tnrt_world *w, int rank) {
  double x = 1;
  w->step = 17;
  if (w->rank == rank) sleep(60);
  if (tnrt_world_sum(w, &x, 1, TNRT_COMM_F64, "gradient of fc.weight (mlp.tn:3)")) return fail(w);
  return 0;
}

int main(int argc, char **argv) {
  long number[2] = {0, 0};
  for (int i = 0; i < 2 && i + 2 < argc; i++) number[i] = atol(argv[i + 2]);
  if (argc < 2) return 2;
  bool is_stuck = strcmp(argv[1], "stuck") == 0;
  tnrt_world_options options = {.library = getenv("WORLD_MPI"),
                                .timeout = is_stuck ? (double)number[1] : 20};
  tnrt_world world;
  if (tnrt_world_open(&world, &message, &options)) return fail(&world);
  int status = strcmp(argv[1], "sum") == 0    ? run_sum(&world)
               : strcmp(argv[1], "tree") == 0 ? run_tree(&world, number[0], (size_t)number[1])
                                              : run_stuck(&world, (int)number[0]);
  tnrt_world_close(&world);
  return status;
}
