/* Sums of samples; see sums.h. Blocks by Welford's method, so that samples are read once; two sums become one by Chan,
 * Golub and LeVeque, Updating formulae and a pairwise algorithm for computing sample variances (1979). */
#include "runtime/train/sums.h"

#include <math.h>
#include <string.h>

#include "runtime/train/memory.h"
#include "runtime/train/shards.h"
#include "runtime/train/tree.h"

void tnrt_sums_free(tnrt_sums *s) {
  for (uint32_t i = 0; i < s->n; i++) s->alloc->give(s->alloc->user, s->nodes[i].sums);
  *s = (tnrt_sums){.alloc = s->alloc};
}

static int64_t samples_before(int64_t block, int64_t n) {
  return block <= n / TNRT_SUMS_BLOCK ? block * TNRT_SUMS_BLOCK : n;
}

void tnrt_sums_share(int64_t n, int rank, int size, int64_t *out_first, int64_t *out_end) {
  int64_t first, end;
  tnrt_tree_share(n / TNRT_SUMS_BLOCK + (n % TNRT_SUMS_BLOCK > 0), rank, size, &first, &end);
  *out_first = samples_before(first, n);
  *out_end = samples_before(end, n);
}

static tnrt_status no_memory(tnrt_message *message) {
  return tnrt_fail(message, TNRT_NO_MEMORY, "no memory for the sums that the data are fitted by");
}

/* ---- blocks ---- */

static void add(double *sums, double x) {
  if (isnan(x)) return;
  double difference = x - sums[TNRT_SUM_MEAN];
  bool is_first = sums[TNRT_SUM_COUNT] == 0;
  sums[TNRT_SUM_LEAST] = is_first || x < sums[TNRT_SUM_LEAST] ? x : sums[TNRT_SUM_LEAST];
  sums[TNRT_SUM_GREATEST] = is_first || x > sums[TNRT_SUM_GREATEST] ? x : sums[TNRT_SUM_GREATEST];
  sums[TNRT_SUM_COUNT]++;
  sums[TNRT_SUM_MEAN] += difference / sums[TNRT_SUM_COUNT];
  sums[TNRT_SUM_SQUARES] += difference * (x - sums[TNRT_SUM_MEAN]);
}

/* b's sums of one element come to a's. */
static void join(double *a, const double *b) {
  double n = a[TNRT_SUM_COUNT] + b[TNRT_SUM_COUNT], difference = b[TNRT_SUM_MEAN] - a[TNRT_SUM_MEAN];
  if (b[TNRT_SUM_COUNT] == 0) return;
  if (a[TNRT_SUM_COUNT] == 0) {
    memcpy(a, b, TNRT_N_SUMS * sizeof *a);
    return;
  }
  a[TNRT_SUM_MEAN] += difference * (b[TNRT_SUM_COUNT] / n);
  a[TNRT_SUM_SQUARES] +=
      b[TNRT_SUM_SQUARES] + difference * difference * (a[TNRT_SUM_COUNT] * (b[TNRT_SUM_COUNT] / n));
  a[TNRT_SUM_COUNT] = n;
  if (b[TNRT_SUM_LEAST] < a[TNRT_SUM_LEAST]) a[TNRT_SUM_LEAST] = b[TNRT_SUM_LEAST];
  if (b[TNRT_SUM_GREATEST] > a[TNRT_SUM_GREATEST]) a[TNRT_SUM_GREATEST] = b[TNRT_SUM_GREATEST];
}

/* The last two nodes become one. */
static void join_last(tnrt_sums *s) {
  tnrt_sums_node *a = &s->nodes[s->n - 2], *b = &s->nodes[s->n - 1];
  for (int64_t i = 0; i < s->count; i++) join(a->sums + TNRT_N_SUMS * i, b->sums + TNRT_N_SUMS * i);
  s->alloc->give(s->alloc->user, b->sums);
  s->n--;
}

/* As long as the last two are the two halves of one. */
static void grow(tnrt_sums *s) {
  while (s->n > 1) {
    tnrt_sums_node *a = &s->nodes[s->n - 2], *b = &s->nodes[s->n - 1];
    if (a->level != b->level || a->index % 2 || b->index != a->index + 1) return;
    join_last(s);
    a->level++;
    a->index /= 2;
  }
}

static tnrt_status push(tnrt_sums *s, tnrt_message *message, int64_t level, int64_t index) {
  double *sums = s->n < TNRT_SUMS_NODES ? tnrt_take(s->alloc, TNRT_N_SUMS * (size_t)s->count, sizeof *sums) : NULL;
  if (!sums) return no_memory(message);
  s->nodes[s->n++] = (tnrt_sums_node){level, index, sums};
  return TNRT_OK;
}

static tnrt_status check_count(const tnrt_sums *s, tnrt_message *message, int64_t count) {
  if (s->count == count) return TNRT_OK;
  return tnrt_fail(message, TNRT_BAD_INPUT, "expected %lld numbers, as many as in the records before, found %lld",
                   (long long)s->count, (long long)count);
}

tnrt_status tnrt_sums_add(tnrt_sums *s, tnrt_message *message, int64_t number, const double *values, int64_t count) {
  int64_t block = number / TNRT_SUMS_BLOCK;
  tnrt_status status = TNRT_OK;
  if (s->n == 0) s->count = count;
  else status = check_count(s, message, count);
  if (status == TNRT_OK && (s->n == 0 || s->nodes[s->n - 1].level > 0 || s->nodes[s->n - 1].index != block)) {
    grow(s);
    status = push(s, message, 0, block);
  }
  for (int64_t i = 0; i < count && status == TNRT_OK; i++)
    add(s->nodes[s->n - 1].sums + TNRT_N_SUMS * i, values[i]);
  return status;
}

/* ---- of all processes ---- */

typedef struct head {
  int64_t count, level, index; /* of a node, behind which its sums stand */
} head;

static uint8_t *pack(const tnrt_sums *s, uint64_t *out_bytes) {
  size_t each = TNRT_N_SUMS * (size_t)s->count * sizeof(double);
  uint8_t *all = tnrt_take(s->alloc, s->n + 1, sizeof(head) + each), *to = all;
  for (uint32_t i = 0; all && i < s->n; i++) {
    const head h = {s->count, s->nodes[i].level, s->nodes[i].index};
    memcpy(to, &h, sizeof h);
    memcpy(to + sizeof h, s->nodes[i].sums, each);
    to += sizeof h + each;
  }
  *out_bytes = all ? (uint64_t)(to - all) : 0;
  return all;
}

static tnrt_status unpack(tnrt_sums *s, tnrt_message *message, const uint8_t *from, uint64_t bytes) {
  tnrt_status status = TNRT_OK;
  tnrt_sums_free(s);
  for (const uint8_t *end = from + bytes; from < end && status == TNRT_OK;) {
    head h;
    memcpy(&h, from, sizeof h);
    if (s->n == 0) s->count = h.count;
    status = check_count(s, message, h.count);
    if (status == TNRT_OK) status = push(s, message, h.level, h.index);
    if (status != TNRT_OK) break;
    size_t each = TNRT_N_SUMS * (size_t)h.count * sizeof(double);
    memcpy(s->nodes[s->n - 1].sums, from + sizeof h, each);
    from += sizeof h + each;
    grow(s);
  }
  return status;
}

tnrt_status tnrt_sums_end(tnrt_sums *s, tnrt_message *message, tnrt_world *world) {
  tnrt_status status = TNRT_OK;
  grow(s);
  if (tnrt_shards_many(world)) {
    uint64_t bytes = 0;
    uint8_t *own = pack(s, &bytes), *all = NULL;
    status = own ? TNRT_OK : no_memory(message);
    status = tnrt_shards_collect(world, message, s->alloc, status, own, &bytes, &all, NULL);
    if (own) s->alloc->give(s->alloc->user, own);
    if (status == TNRT_OK) status = unpack(s, message, all, bytes);
    if (all) s->alloc->give(s->alloc->user, all);
    status = tnrt_shards_agree(world, message, status);
  }
  while (s->n > 1 && status == TNRT_OK) join_last(s);
  return status;
}

void tnrt_sums_moments(const tnrt_sums *s, int64_t n, double *mean, double *variance) {
  for (int64_t i = 0; i < s->count && s->n; i++) {
    const double *of = s->nodes[0].sums + TNRT_N_SUMS * i;
    bool is_whole = of[TNRT_SUM_COUNT] == (double)n;
    mean[i] = is_whole ? of[TNRT_SUM_MEAN] : (double)NAN;
    variance[i] = is_whole ? of[TNRT_SUM_SQUARES] / (double)n : (double)NAN;
  }
}
