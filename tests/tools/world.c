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

#include "runtime/train/tree.h"

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

static int run_tree(tnrt_world *w, int64_t n_leaves, size_t count) {
  tnrt_tree tree;
  float *sum, first = 0;
  uint64_t digest = UINT64_C(14695981039346656037);
  if (tnrt_tree_open(&tree, w, &tnrt_alloc_libc, n_leaves, count)) return fail(w);
  for (int64_t n = n_leaves; n > 0; n = n > 1 ? n / 2 : 0) { /* shorter ones too, as an epoch's last batch is */
    tnrt_tree_start(&tree, n);
    while (tree.next < tree.end) {
      float *leaf = tnrt_tree_leaf(&tree);
      for (size_t i = 0; i < count; i++) leaf[i] = 1.0f / (float)(3 + 7 * tree.next + (int64_t)i);
      tnrt_tree_add(&tree, 0.3f);
    }
    if (tnrt_tree_finish(&tree, "leaves", &sum)) return fail(w);
    if (n == n_leaves) first = sum[0];
    for (size_t i = 0; i < count * sizeof *sum; i++)
      digest = (digest ^ ((const uint8_t *)sum)[i]) * UINT64_C(1099511628211);
  }
  printf("%016llx %.9g\n", (unsigned long long)digest, (double)first);
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
