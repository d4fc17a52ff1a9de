/* See buckets.h. */
#include "runtime/train/buckets.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/core/dtype.h"
#include "runtime/train/memory.h"
#include "runtime/train/plan.h"

enum {
  ALIGNED = 16,         /* elements: tensors begin at multiples of 64 bytes */
  FIRST_BYTES = 1 << 20, /* of the first bucket, at most */
  EIGHTHS = 8,           /* a bucket is one at most, unless that is less than the first one's bytes */
  MOST_BUCKETS = 1000   /* a message's number is its tag, which some libraries keep short */
};

static tnrt_status find_role(tnrt_message *message, const tnrt_training *plan, uint32_t role,
                             tnrt_gradient *out, uint32_t *out_n) {
  const tnrt_weight *weights = tnrt_plan_weights(plan);
  for (uint32_t i = 0; i < plan->n_weights; i++) {
    const tnrt_weight *w = &weights[i];
    if (w->role != role) continue;
    /* Gradients are f32 whatever a weight is kept in. */
    bool is_narrow = role == TNRT_WEIGHT_TRAINED && (w->dtype == TNRT_BF16 || w->dtype == TNRT_F16);
    if (w->dtype != TNRT_F32 && !is_narrow)
      return tnrt_fail(message, TNRT_BAD_INPUT, "'%.200s' is %s: only f32 is summed over parts of a batch",
                       tnrt_plan_text(plan, w->name), tnrt_dtype_name(w->dtype));
    out[*out_n] = (tnrt_gradient){.weight = i, .trained = *out_n,
                                  .count = (size_t)tnrt_count_of(w->ndim, w->extents)};
    ++*out_n;
  }
  return TNRT_OK;
}

/* Gradients are the results of `grad` behind the loss and the running weights. */
static void find_steps(tnrt_buckets *b, const tnrt_model *grad) {
  for (uint32_t i = 0; i < b->n_gradients && grad->last_uses; i++)
    b->order[i].step = grad->last_uses[1 + b->n_running + b->order[i].trained];
}

static int by_step(const void *p, const void *q) {
  const tnrt_gradient *a = p, *b = q;
  if (a->step != b->step) return a->step < b->step ? -1 : 1;
  return a->trained < b->trained ? -1 : 1;
}

size_t tnrt_buckets_room(size_t count) { return (count + ALIGNED - 1) / ALIGNED * ALIGNED; }

static void name_bucket(tnrt_bucket *row, const tnrt_training *plan, const tnrt_gradient *first,
                        const tnrt_gradient *last) {
  const tnrt_weight *weights = tnrt_plan_weights(plan);
  const tnrt_weight *a = &weights[first->weight], *b = &weights[last->weight];
  char line[16] = "";
  if (a->line) tnrt_text(line, sizeof line, ":%u", a->line);
  row->names = (uint32_t)tnrt_text(row->what, sizeof row->what, "the sum of %s ",
                                   row->is_running ? "what runs, of" : "gradients of");
  size_t n = row->names + tnrt_text(row->what + row->names, sizeof row->what - row->names, "'%.40s' (%.24s%s)",
                                    tnrt_plan_text(plan, a->name), tnrt_plan_text(plan, plan->source_text), line);
  if (b != a) tnrt_text(row->what + n, sizeof row->what - n, " to '%.40s'", tnrt_plan_text(plan, b->name));
}

/* The rows first .. end - 1 of order become a bucket. */
static void close_bucket(tnrt_buckets *b, const tnrt_training *plan, uint32_t first, uint32_t end, size_t unit,
                         bool is_running) {
  tnrt_bucket *row = &b->rows[b->n];
  *row = (tnrt_bucket){.place = b->order[first].place, .end = end, .is_running = is_running};
  row->count = (b->count - row->place + unit - 1) / unit * unit;
  b->count = row->place + row->count;
  if (!is_running) b->n_summed = b->count;
  for (uint32_t i = first; i < end; i++) b->order[i].bucket = b->n;
  name_bucket(row, plan, &b->order[first], &b->order[end - 1]);
  b->n++;
}

/* Elements of a bucket at most, which are those of one tensor at least. */
static size_t limit_of(const tnrt_buckets *b, const tnrt_training *plan, size_t all) {
  const size_t first = FIRST_BYTES / sizeof(float);
  size_t most = plan->bucket_bytes / sizeof(float), share = all / EIGHTHS > first ? all / EIGHTHS : first;
  if (most > share) most = share;
  if (most > first && b->n == 0) most = first;
  return most > all / MOST_BUCKETS ? most : all / MOST_BUCKETS;
}

static void lay_out(tnrt_buckets *b, const tnrt_training *plan, size_t unit) {
  size_t all = 0;
  uint32_t first = 0, n = b->n_gradients + b->n_running;
  for (uint32_t i = 0; i < n; i++) all += tnrt_buckets_room(b->order[i].count);
  for (uint32_t i = 0; i < n; i++) {
    size_t room = tnrt_buckets_room(b->order[i].count);
    bool is_full = b->count - b->order[first].place + room > limit_of(b, plan, all);
    if (i > first && (i == b->n_gradients || is_full)) {
      close_bucket(b, plan, first, i, unit, false);
      first = i;
    }
    b->order[i].place = b->count;
    b->places[i < b->n_gradients ? b->order[i].trained : b->n_gradients + b->order[i].trained] = b->count;
    b->count += room;
  }
  if (n > first) close_bucket(b, plan, first, n, unit, first >= b->n_gradients);
}

tnrt_status tnrt_buckets_open(tnrt_buckets *b, tnrt_message *message, const tnrt_alloc *alloc,
                              const tnrt_training *plan, const tnrt_model *grad, int n_processes) {
  *b = (tnrt_buckets){.alloc = alloc};
  b->order = tnrt_take(alloc, plan->n_weights, sizeof *b->order);
  b->places = tnrt_take(alloc, plan->n_weights, sizeof *b->places);
  b->rows = tnrt_take(alloc, plan->n_weights, sizeof *b->rows);
  if (!b->order || !b->places || !b->rows) return tnrt_fail(message, TNRT_NO_MEMORY, "no memory for gradients");
  tnrt_status status = find_role(message, plan, TNRT_WEIGHT_TRAINED, b->order, &b->n_gradients);
  if (status == TNRT_OK)
    status = find_role(message, plan, TNRT_WEIGHT_RUNNING, b->order + b->n_gradients, &b->n_running);
  if (status != TNRT_OK) return status;
  find_steps(b, grad);
  qsort(b->order, b->n_gradients, sizeof *b->order, by_step);
  lay_out(b, plan, (size_t)ALIGNED * (size_t)n_processes);
  return TNRT_OK;
}

void tnrt_buckets_close(tnrt_buckets *b) {
  void *const blocks[] = {b->order, b->places, b->rows};
  for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++)
    if (blocks[i]) b->alloc->give(b->alloc->user, blocks[i]);
  *b = (tnrt_buckets){0};
}
