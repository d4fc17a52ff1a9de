/* From the records of files to the fields of samples; see samples.h. */
#include "runtime/train/samples.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runtime/core/dtype.h"
#include "runtime/train/memory.h"
#include "runtime/train/place.h"
#include "runtime/train/shards.h"

/* What this process has of n, and what all agree upon. */
static void own_share(const tnrt_samples *s, int64_t n, tnrt_sharing share, int64_t *out_first, int64_t *out_end) {
  bool is_many = tnrt_shards_many(s->world);
  share(n, is_many ? s->world->rank : 0, is_many ? s->world->size : 1, out_first, out_end);
}

static tnrt_status agree(const tnrt_samples *s, tnrt_status status) {
  return tnrt_shards_agree(s->world, s->message, status);
}

static tnrt_status no_memory(const tnrt_samples *s) {
  return tnrt_fail(s->message, TNRT_NO_MEMORY, "no memory for the samples of '%.100s'",
                   tnrt_plan_text(s->plan, s->plan->source.name));
}

tnrt_status tnrt_samples_open(tnrt_samples *s, tnrt_message *message, const tnrt_alloc *alloc,
                              const tnrt_training *plan) {
  uint32_t n = plan->n_fields;
  *s = (tnrt_samples){.plan = plan, .plan_fields = tnrt_plan_fields(plan), .alloc = alloc, .message = message};
  s->value.alloc = alloc;
  s->at_hand = tnrt_record_start(alloc);
  s->is_open = true;
  s->bindings = tnrt_take(s->alloc, n, sizeof *s->bindings);
  s->chains = tnrt_take(s->alloc, n, sizeof *s->chains);
  s->fields = tnrt_take(s->alloc, n, sizeof *s->fields);
  s->bytes = tnrt_take(s->alloc, n, sizeof *s->bytes);
  if (!s->bindings || !s->chains || !s->fields || !s->bytes) return no_memory(s);
  tnrt_status status = TNRT_OK;
  size_t largest = 0;
  for (uint32_t i = 0; i < n && status == TNRT_OK; i++) {
    const tnrt_field *field = &s->plan_fields[i];
    s->bytes[i] = (size_t)field->count * tnrt_dtype_find(field->dtype)->bytes;
    if (s->bytes[i] > largest) largest = s->bytes[i];
    status = tnrt_chain_open(&s->chains[i], message, alloc, plan, field);
  }
  if (status == TNRT_OK && !(s->sample = tnrt_take(alloc, 1, largest))) return no_memory(s);
  return status;
}

void tnrt_samples_close(tnrt_samples *s) {
  if (!s->is_open) return;
  for (uint32_t i = 0; i < s->plan->n_fields; i++) {
    if (s->chains) tnrt_chain_close(&s->chains[i]);
    if (s->fields && s->fields[i]) s->alloc->give(s->alloc->user, s->fields[i]);
  }
  if (s->bindings) tnrt_bindings_free(s->alloc, s->bindings, s->plan->n_fields);
  void *const blocks[] = {s->bindings, s->chains, s->fields, s->bytes, s->rows, s->sample};
  for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++)
    if (blocks[i]) s->alloc->give(s->alloc->user, blocks[i]);
  tnrt_records_close(&s->records);
  tnrt_record_free(&s->at_hand);
  tnrt_value_free(&s->value);
  *s = (tnrt_samples){0};
}

/* ---- records that are left out ---- */

/* Numbers of records or samples that this process leaves out, and the message of the first. */
typedef struct dropped {
  int64_t *items, n, room;
  tnrt_message first;
} dropped;

static bool drop(const tnrt_samples *s, dropped *d, int64_t item) {
  if (d->n == 0) d->first = *s->message;
  if (d->n == d->room) {
    int64_t room = 2 * d->room + 64;
    int64_t *items = s->alloc->get(s->alloc->user, (size_t)room * sizeof *items, 8);
    if (!items) return false;
    if (d->n) memcpy(items, d->items, (size_t)d->n * sizeof *items);
    if (d->items) s->alloc->give(s->alloc->user, d->items);
    d->items = items;
    d->room = room;
  }
  d->items[d->n++] = item;
  return true;
}

static void give_dropped(const tnrt_samples *s, dropped *d) {
  if (d->items) s->alloc->give(s->alloc->user, d->items);
  *d = (dropped){0};
}

/* Those of all processes become those of each, and count. status: of this one. */
static tnrt_status share_dropped(tnrt_samples *s, tnrt_status status, dropped *d) {
  if (tnrt_shards_many(s->world)) {
    uint64_t ends[TNRT_COMM_RANKS], bytes = (uint64_t)d->n * sizeof *d->items;
    uint8_t *all = NULL;
    int first = 0;
    status = tnrt_shards_collect(s->world, s->message, s->alloc, status, d->items, &bytes, &all, ends);
    if (d->items) s->alloc->give(s->alloc->user, d->items);
    d->items = (int64_t *)(void *)all;
    d->n = d->room = status == TNRT_OK ? (int64_t)(bytes / sizeof *d->items) : 0;
    while (d->n && ends[first] == 0) first++;
    if (d->n) status = tnrt_world_broadcast(s->world, &d->first, sizeof d->first, first, "the first bad record");
  }
  if (status == TNRT_OK && d->n && s->n_dropped == 0) s->first_dropped = d->first;
  if (status == TNRT_OK) s->n_dropped += d->n;
  return status;
}

/* A record that can be read whole, whatever the functions learn. */
static tnrt_status check_record(tnrt_samples *s, int64_t record) {
  tnrt_status status = TNRT_OK;
  for (uint32_t i = 0; i < s->plan->n_fields && status == TNRT_OK; i++)
    status = tnrt_records_value(&s->records, record, &s->chains[i], &s->bindings[i], &s->at_hand, &s->value);
  return status;
}

/* It matters which of a table's cannot where those are left out before the data are split; else any of them is an
 * error, whenever it is met. */
static tnrt_status find_bad(tnrt_samples *s, dropped *bad) {
  int64_t first, end;
  tnrt_status status = TNRT_OK;
  if (!s->records.tables || !s->plan->source.drops_bad) return TNRT_OK;
  own_share(s, tnrt_records_count(&s->records), tnrt_sums_share, &first, &end);
  for (int64_t record = first; record < end && status == TNRT_OK; record++) {
    status = check_record(s, record);
    if (status == TNRT_BAD_INPUT) status = drop(s, bad, record) ? TNRT_OK : no_memory(s);
  }
  return share_dropped(s, status, bad);
}

/* s->rows becomes the records that can be used, in the files' order; n[split]: how many of each split's files. */
static tnrt_status find_records(tnrt_samples *s, int64_t n[TNRT_N_SPLITS]) {
  int64_t all = tnrt_records_count(&s->records), record = 0, used = 0, next_bad = 0;
  dropped bad = {0};
  s->n_dropped = s->records.n_dropped;
  s->first_dropped = s->records.first_dropped;
  tnrt_status status = find_bad(s, &bad);
  if (status == TNRT_OK && !(s->rows = tnrt_take(s->alloc, (size_t)all, sizeof *s->rows))) status = no_memory(s);
  for (int split = 0; split < TNRT_N_SPLITS && status == TNRT_OK; split++) {
    n[split] = 0;
    for (int64_t i = 0; i < s->records.n[split]; i++, record++) {
      bool is_bad = next_bad < bad.n && bad.items[next_bad] == record;
      next_bad += is_bad;
      if (is_bad) continue;
      s->rows[used++] = record;
      n[split]++;
    }
  }
  give_dropped(s, &bad);
  return status;
}

/* ---- splits ---- */

static bool has_files(const tnrt_samples *s, const tnrt_data_paths *paths, int split) {
  return paths->paths[split] || s->plan->source.n_paths[split];
}

/* How many of the n records of training go to each split: the others' shares are rounded, training takes its own or,
 * where the shares make up the whole, what is left. */
static void count_shares(const tnrt_samples *s, const tnrt_data_paths *paths, int64_t n,
                         int64_t counts[TNRT_N_SPLITS]) {
  const double *fractions = s->plan->source.fractions;
  double sum = fractions[TNRT_SPLIT_TRAIN];
  int64_t rest = n;
  for (int i = TNRT_SPLIT_TRAIN + 1; i < TNRT_N_SPLITS; i++) {
    counts[i] = 0;
    if (has_files(s, paths, i)) continue;
    sum += fractions[i];
    counts[i] = (int64_t)floor((double)n * fractions[i] + 0.5);
    if (counts[i] > rest) counts[i] = rest;
    rest -= counts[i];
  }
  counts[TNRT_SPLIT_TRAIN] = rest;
  if (fractions[TNRT_SPLIT_TRAIN] > 0 && sum < 1 - 1e-9)
    counts[TNRT_SPLIT_TRAIN] = (int64_t)floor((double)n * fractions[TNRT_SPLIT_TRAIN] + 0.5);
  if (counts[TNRT_SPLIT_TRAIN] > rest) counts[TNRT_SPLIT_TRAIN] = rest;
}

/* rows: those of training in the order of the shuffle, parted; behind them the others' own. */
static tnrt_status part(tnrt_samples *s, const tnrt_data_paths *paths, const int64_t n[TNRT_N_SPLITS]) {
  int64_t counts[TNRT_N_SPLITS], all = n[0] + n[1] + n[2], at = 0, from = 0, next = n[0];
  int64_t *rows = tnrt_take(s->alloc, (size_t)all, sizeof *rows);
  if (!rows) return no_memory(s);
  count_shares(s, paths, n[0], counts);
  tnrt_order order = tnrt_order_start(s->plan->source.shuffle, TNRT_STREAM_SPLIT, 0, n[0]);
  for (int split = 0; split < TNRT_N_SPLITS; split++) {
    for (int64_t i = 0; i < counts[split]; i++, from++)
      rows[at++] = s->rows[s->plan->source.is_shuffled ? tnrt_order_at(&order, from) : from];
    for (int64_t i = 0; split > 0 && i < n[split]; i++) rows[at++] = s->rows[next++];
    s->first[split + 1] = at;
  }
  s->alloc->give(s->alloc->user, s->rows);
  s->rows = rows;
  return TNRT_OK;
}

static tnrt_status check_splits(const tnrt_samples *s, const tnrt_data_paths *paths) {
  for (int i = 0; i < TNRT_N_SPLITS; i++) {
    bool is_wanted = i == TNRT_SPLIT_TRAIN || s->plan->source.fractions[i] > 0 || has_files(s, paths, i);
    if (!is_wanted || tnrt_samples_count(s, (uint32_t)i) > 0) continue;
    char why[320] = "";
    if (s->n_dropped)
      tnrt_text(why, sizeof why, "; %lld wrong records were left out, the first: %.250s", (long long)s->n_dropped,
                s->first_dropped.text);
    tnrt_fail(s->message, TNRT_BAD_INPUT, "data '%.100s': of %lld samples, split '%s' gets none%s",
              tnrt_plan_text(s->plan, s->plan->source.name), (long long)s->first[TNRT_N_SPLITS],
              tnrt_split_name((uint32_t)i), why);
    return tnrt_place_add(s->message, TNRT_BAD_INPUT, s->plan, s->plan->source.place);
  }
  return TNRT_OK;
}

/* Positions first .. end - 1 in the order in which their records stand in the files: that is how sums are added, and
 * files that are not held are read once from begin to end. NULL: no memory. */
static int64_t *file_order(const tnrt_samples *s, int64_t first, int64_t end) {
  int64_t all = tnrt_records_count(&s->records), n = 0;
  int64_t *order = tnrt_take(s->alloc, (size_t)all, sizeof *order);
  if (!order) return NULL;
  for (int64_t i = first; i < end; i++) order[s->rows[i]] = i + 1;
  for (int64_t record = 0; record < all; record++)
    if (order[record]) order[n++] = order[record] - 1;
  return order;
}

/* ---- fields ---- */

/* What failed in a chain stands in the message without a place. */
static tnrt_status at_record(const tnrt_samples *s, tnrt_status status, int64_t record, uint32_t field) {
  if (status == TNRT_OK) return status;
  char at[384], drawn[TNRT_DRAWN_BYTES];
  tnrt_message text = *s->message;
  tnrt_records_place(&s->records, record, &s->bindings[field], at, sizeof at, drawn, sizeof drawn);
  return tnrt_fail(s->message, status, "%s: %s%s", at, text.text, drawn);
}

/* A field that tells the length of another. */
static bool is_length(const tnrt_chain *chain) {
  return chain->n_links && chain->links[0].kind == TNRT_LINK_LENGTH;
}

static tnrt_status value_of(tnrt_samples *s, int64_t record, uint32_t field, uint32_t n_links) {
  const tnrt_chain *chain = &s->chains[field];
  if (is_length(chain)) {
    uint32_t other = chain->links[0].field;
    if (other >= s->plan->n_fields || is_length(&s->chains[other]))
      return tnrt_fail(s->message, TNRT_BAD_INPUT, "length of no field");
    tnrt_status measured = value_of(s, record, other, s->chains[other].n_links);
    if (measured != TNRT_OK) return measured;
    s->value.numbers[0] = (double)s->value.length;
    s->value.count = 1;
    return at_record(s, tnrt_chain_apply(chain, s->message, n_links, &s->value), record, field);
  }
  tnrt_status status = tnrt_records_value(&s->records, record, chain, &s->bindings[field], &s->at_hand, &s->value);
  if (status != TNRT_OK) return status;
  return at_record(s, tnrt_chain_apply(chain, s->message, n_links, &s->value), record, field);
}

/* ---- fitting ---- */

/* Records whose values are kept for bins and medians: all, or about so many. */
enum { MOST_KEPT = 1 << 17, LEAST_KEPT = 1 << 12, VALUES_KEPT = 1 << 24 };

/* What is left out of more records is decided by their numbers alone, whatever is held in memory. */
static bool is_kept(const tnrt_samples *s, uint32_t field, int64_t record, int64_t n) {
  int64_t most = VALUES_KEPT / (s->bindings[field].n + 1);
  if (most > MOST_KEPT) most = MOST_KEPT;
  if (most < LEAST_KEPT) most = LEAST_KEPT;
  uint64_t bits = tnrt_random_bits(0, TNRT_STREAM_FIT, 0, (uint64_t)record);
  return n <= most || bits / (uint64_t)most < UINT64_MAX / (uint64_t)n;
}

/* next[i]: the function of field i that learns next; behind n_links all have. */
static bool is_pending(const tnrt_samples *s, const uint32_t *next, uint32_t i) {
  const tnrt_chain *chain = &s->chains[i];
  uint32_t other = is_length(chain) ? chain->links[0].field : i;
  bool waits = other != i && other < s->plan->n_fields && next[other] <= s->chains[other].n_links;
  return next[i] <= chain->n_links && !waits;
}

/* One function of each field that is pending, over this process's share of the training split. */
static tnrt_status see_next(tnrt_samples *s, const uint32_t *next, const uint8_t *is_due, const int64_t *order,
                            int64_t n) {
  int64_t first, end;
  tnrt_status status = TNRT_OK;
  own_share(s, n, tnrt_sums_share, &first, &end);
  for (int64_t i = first; i < end && status == TNRT_OK; i++)
    for (uint32_t f = 0; f < s->plan->n_fields && status == TNRT_OK; f++) {
      int64_t record = s->rows[order[i]];
      if (!is_due[f] || (tnrt_chain_keeps_all(&s->chains[f], next[f]) && !is_kept(s, f, record, n))) continue;
      status = value_of(s, record, f, next[f]);
      if (status == TNRT_OK)
        status = at_record(s, tnrt_chain_fit(&s->chains[f], s->message, next[f], i, &s->value), record, f);
    }
  return status;
}

/* What all processes have seen is learned. */
static tnrt_status fit_next(tnrt_samples *s, const uint32_t *next, const uint8_t *is_due, const int64_t *order,
                            int64_t n) {
  tnrt_status status = agree(s, see_next(s, next, is_due, order, n));
  for (uint32_t f = 0; f < s->plan->n_fields && status == TNRT_OK; f++)
    if (is_due[f]) status = tnrt_chain_fit_share(&s->chains[f], s->message, s->world, next[f]);
  for (uint32_t f = 0; f < s->plan->n_fields && status == TNRT_OK; f++)
    if (is_due[f]) status = tnrt_chain_fit_end(&s->chains[f], s->message, next[f]);
  return agree(s, status);
}

/* As often through the training split as the field with the most functions that learn has them. */
static tnrt_status fit(tnrt_samples *s) {
  uint32_t n_fields = s->plan->n_fields;
  int64_t n = tnrt_samples_count(s, TNRT_SPLIT_TRAIN);
  int64_t *order = file_order(s, s->first[TNRT_SPLIT_TRAIN], s->first[TNRT_SPLIT_TRAIN + 1]);
  uint32_t *next = tnrt_take(s->alloc, n_fields, sizeof *next);
  uint8_t *is_due = tnrt_take(s->alloc, n_fields, 1);
  tnrt_status status = agree(s, order && next && is_due ? TNRT_OK : no_memory(s));
  for (bool any = true; any && status == TNRT_OK;) {
    any = false;
    for (uint32_t f = 0; f < n_fields; f++)
      while (next[f] <= s->chains[f].n_links && !tnrt_chain_fits(&s->chains[f], next[f])) next[f]++;
    for (uint32_t f = 0; f < n_fields; f++) any = (is_due[f] = is_pending(s, next, f)) || any;
    if (any) status = fit_next(s, next, is_due, order, n);
    for (uint32_t f = 0; f < n_fields; f++) next[f] += is_due[f];
  }
  void *const blocks[] = {order, next, is_due};
  for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++)
    if (blocks[i]) s->alloc->give(s->alloc->user, blocks[i]);
  return status;
}

/* ---- samples ---- */

/* A field of the sample at a position. */
static tnrt_status make_field(tnrt_samples *s, uint32_t field, const tnrt_draw *draw, int64_t position, uint8_t *to) {
  const tnrt_chain *chain = &s->chains[field];
  int64_t record = s->rows[position];
  tnrt_status status = value_of(s, record, field, chain->n_links);
  if (status != TNRT_OK) return status;
  status = tnrt_chain_augment(chain, s->message, draw, (uint64_t)record, &s->value);
  if (status == TNRT_OK) status = tnrt_chain_store(chain, s->message, &s->value, to);
  return at_record(s, status, record, field);
}

/* Whether a field is made anew whenever a sample is taken, not only because it has no room. */
static bool is_drawn(const tnrt_samples *s, uint32_t field) {
  return s->records.streams || s->chains[field].n_links < s->plan_fields[field].n_links;
}

/* What a chain has met that training had not, in the order of the files. */
static tnrt_status note_unknown(tnrt_samples *s, int64_t record, uint32_t field) {
  char at[384], drawn[1];
  tnrt_records_place(&s->records, record, &s->bindings[field], at, sizeof at, drawn, sizeof drawn);
  tnrt_message *to = s->plan->source.refuses_unknown ? s->message : &s->first_unknown;
  if (to == &s->first_unknown && s->n_unknown) return TNRT_OK;
  tnrt_fail(to, TNRT_BAD_INPUT, "%s: %s is no category of the training split", at, s->value.unknown);
  return to == s->message ? TNRT_BAD_INPUT : TNRT_OK;
}

bool tnrt_samples_unknown(const tnrt_samples *s, char *out, size_t bytes) {
  char more[64] = "";
  if (s->n_unknown > 1)
    snprintf(more, sizeof more, ", and for those of %lld more samples", (long long)(s->n_unknown - 1));
  if (s->n_unknown) snprintf(out, bytes, "warning: %s; zeros stand for it%s", s->first_unknown.text, more);
  return s->n_unknown != 0;
}

/* All fields of the sample at a position; those that have no array are made to see that they can be. */
static tnrt_status make_sample(tnrt_samples *s, const uint8_t *is_needed, int64_t position) {
  const tnrt_draw measured = {.split = TNRT_SPLIT_VALID};
  tnrt_status status = TNRT_OK;
  bool has_unknown = false;
  for (uint32_t f = 0; f < s->plan->n_fields && status == TNRT_OK; f++) {
    if ((is_needed && !is_needed[f]) || (!s->fields[f] && is_drawn(s, f))) continue;
    uint8_t *to = s->fields[f] ? s->fields[f] + (size_t)position * s->bytes[f] : s->sample;
    status = make_field(s, f, &measured, position, to);
    if (status != TNRT_OK || !s->value.unknown[0]) continue;
    status = has_unknown ? TNRT_OK : note_unknown(s, s->rows[position], f);
    has_unknown = true;
  }
  if (status == TNRT_OK) s->n_unknown += has_unknown;
  return status;
}

/* Samples that were dropped have the row -1: those behind them move up. */
static void close_up(tnrt_samples *s) {
  int64_t at = 0;
  for (int split = 0; split < TNRT_N_SPLITS; split++) {
    int64_t begin = at;
    for (int64_t from = s->first[split]; from < s->first[split + 1]; from++) {
      if (s->rows[from] < 0) continue;
      s->rows[at] = s->rows[from];
      for (uint32_t f = 0; f < s->plan->n_fields && at != from; f++)
        if (s->fields[f])
          memcpy(s->fields[f] + (size_t)at * s->bytes[f], s->fields[f] + (size_t)from * s->bytes[f], s->bytes[f]);
      at++;
    }
    s->first[split] = begin;
  }
  s->first[TNRT_N_SPLITS] = at;
}

/* Samples in the order of the files, one after the other with all fields that have arrays. */
typedef struct travel {
  tnrt_samples *samples;
  const int64_t *order;
  size_t bytes; /* of one */
} travel;

static size_t travel_bytes(void *user, int64_t item) { return (void)item, ((const travel *)user)->bytes; }

static void travel_put(void *user, int64_t item, uint8_t *to) {
  const travel *t = user;
  const tnrt_samples *s = t->samples;
  for (uint32_t f = 0; f < s->plan->n_fields; f++) {
    if (!s->fields[f]) continue;
    memcpy(to, s->fields[f] + (size_t)t->order[item] * s->bytes[f], s->bytes[f]);
    to += s->bytes[f];
  }
}

static void travel_take(void *user, int64_t item, const uint8_t *from) {
  const travel *t = user;
  const tnrt_samples *s = t->samples;
  for (uint32_t f = 0; f < s->plan->n_fields; f++) {
    if (!s->fields[f]) continue;
    memcpy(s->fields[f] + (size_t)t->order[item] * s->bytes[f], from, s->bytes[f]);
    from += s->bytes[f];
  }
}

/* What each process has made of its share, all get. */
static tnrt_status spread_samples(tnrt_samples *s, const int64_t *order, int64_t n) {
  travel t = {s, order, 0};
  const tnrt_spread items = {&t, travel_bytes, travel_put, travel_take};
  for (uint32_t f = 0; f < s->plan->n_fields; f++) t.bytes += s->fields[f] ? s->bytes[f] : 0;
  return t.bytes ? tnrt_shards_spread(s->world, s->message, s->alloc, &items, n, tnrt_sums_share) : TNRT_OK;
}

/* Categories that training did not see, of all processes. */
static tnrt_status share_unknown(tnrt_samples *s) {
  uint64_t rank = s->n_unknown ? (uint64_t)s->world->rank : UINT64_MAX;
  tnrt_status status = tnrt_world_sum(s->world, &s->n_unknown, 1, TNRT_COMM_I64, "the number of unknown categories");
  if (status == TNRT_OK) status = tnrt_shards_least(s->world, &rank);
  if (status != TNRT_OK || rank == UINT64_MAX) return status;
  return tnrt_world_broadcast(s->world, &s->first_unknown, sizeof s->first_unknown, (int)rank,
                              "the first unknown category");
}

/* A sample that cannot be made (a class that training has not) goes where the plan drops bad records. */
static tnrt_status make_samples(tnrt_samples *s, const uint8_t *is_needed, bool drops) {
  int64_t n = s->first[TNRT_N_SPLITS], first, end, *order = file_order(s, 0, n);
  dropped bad = {0};
  tnrt_status status = order ? TNRT_OK : no_memory(s);
  own_share(s, n, tnrt_sums_share, &first, &end);
  for (int64_t i = first; i < end && status == TNRT_OK; i++) {
    status = make_sample(s, is_needed, order[i]);
    if (status == TNRT_BAD_INPUT && drops) status = drop(s, &bad, order[i]) ? TNRT_OK : no_memory(s);
  }
  status = drops ? share_dropped(s, status, &bad) : agree(s, status);
  if (status == TNRT_OK && tnrt_shards_many(s->world)) status = share_unknown(s);
  if (status == TNRT_OK) status = spread_samples(s, order, n);
  if (order) s->alloc->give(s->alloc->user, order);
  for (int64_t i = 0; i < bad.n && status == TNRT_OK; i++) s->rows[bad.items[i]] = -1;
  if (bad.n && status == TNRT_OK) close_up(s);
  give_dropped(s, &bad);
  return status;
}

static tnrt_status make_arrays(tnrt_samples *s, const uint8_t *is_needed, bool is_new) {
  uint64_t left = is_new ? UINT64_MAX : s->records.room;
  for (uint32_t i = 0; i < s->plan->n_fields; i++) {
    uint64_t all = (uint64_t)s->first[TNRT_N_SPLITS] * s->bytes[i];
    bool is_made = is_drawn(s, i) || all > left;
    if ((is_needed && !is_needed[i]) || (is_made && !is_new)) continue;
    s->fields[i] = tnrt_take(s->alloc, (size_t)s->first[TNRT_N_SPLITS], s->bytes[i]);
    if (!s->fields[i]) return no_memory(s);
    left -= all;
  }
  return TNRT_OK;
}

/* Fields that are made each time: once here, so that what they need is there and what cannot work is told. */
static tnrt_status try_made(tnrt_samples *s) {
  const tnrt_draw draw = {.split = TNRT_SPLIT_TRAIN}, measured = {.split = TNRT_SPLIT_VALID};
  tnrt_status status = TNRT_OK;
  for (uint32_t i = 0; i < s->plan->n_fields && status == TNRT_OK; i++) {
    if (s->fields[i]) continue;
    status = make_field(s, i, &draw, s->first[TNRT_SPLIT_TRAIN], s->sample);
    if (status == TNRT_OK) status = make_field(s, i, &measured, s->first[TNRT_SPLIT_TRAIN], s->sample);
  }
  return status;
}

tnrt_status tnrt_samples_load(tnrt_samples *s, const tnrt_data_paths *paths, bool is_fitted) {
  int64_t n[TNRT_N_SPLITS];
  tnrt_status status = tnrt_records_open(&s->records, s->message, s->alloc, s->plan, paths, s->world, false);
  if (status == TNRT_OK) status = tnrt_records_bind(&s->records, NULL, s->chains, s->bindings);
  status = agree(s, status);
  if (status == TNRT_OK) status = find_records(s, n);
  if (status == TNRT_OK) status = part(s, paths, n);
  if (status == TNRT_OK) status = check_splits(s, paths);
  status = agree(s, status);
  if (status == TNRT_OK && !is_fitted) status = fit(s);
  if (status == TNRT_OK) status = make_arrays(s, NULL, false);
  status = agree(s, status);
  if (status == TNRT_OK) status = make_samples(s, NULL, s->plan->source.drops_bad != 0);
  if (status == TNRT_OK) status = check_splits(s, paths);
  if (status == TNRT_OK) status = try_made(s);
  return agree(s, status);
}

tnrt_status tnrt_samples_load_new(tnrt_samples *s, const char *path, const uint8_t *is_needed) {
  tnrt_data_paths paths = {.paths = {path}};
  tnrt_status status = tnrt_records_open(&s->records, s->message, s->alloc, s->plan, &paths, NULL, true);
  if (status == TNRT_OK) status = tnrt_records_bind(&s->records, is_needed, s->chains, s->bindings);
  if (status != TNRT_OK) return status;
  int64_t n = tnrt_records_count(&s->records);
  s->rows = tnrt_take(s->alloc, (size_t)n, sizeof *s->rows);
  if (!s->rows) return no_memory(s);
  for (int64_t i = 0; i < n; i++) s->rows[i] = i;
  for (int i = 1; i <= TNRT_N_SPLITS; i++) s->first[i] = n;
  status = make_arrays(s, is_needed, true);
  return status == TNRT_OK ? make_samples(s, is_needed, false) : status;
}

/* ---- use ---- */

tnrt_status tnrt_samples_gather(tnrt_samples *s, uint32_t field, const tnrt_draw *draw, const int64_t *positions,
                                int64_t first, int64_t n, uint8_t *to) {
  const tnrt_draw measured = {.split = TNRT_SPLIT_VALID};
  size_t bytes = s->bytes[field];
  const uint8_t *from = s->fields[field];
  tnrt_status status = TNRT_OK;
  for (int64_t i = 0; i < n && status == TNRT_OK; i++) {
    int64_t position = positions ? positions[i] : first + i;
    if (from) memcpy(to + (size_t)i * bytes, from + (size_t)position * bytes, bytes);
    else status = make_field(s, field, draw ? draw : &measured, position, to + (size_t)i * bytes);
  }
  return status;
}

/* This process's share of the training split. */
static tnrt_status add_samples(tnrt_samples *s, uint32_t field, double *numbers, tnrt_sums *sums) {
  const tnrt_field *f = &s->plan_fields[field];
  int64_t begin = s->first[TNRT_SPLIT_TRAIN], n = tnrt_samples_count(s, TNRT_SPLIT_TRAIN), first, end;
  int64_t *order = file_order(s, begin, begin + n);
  tnrt_status status = order ? TNRT_OK : no_memory(s);
  own_share(s, n, tnrt_sums_share, &first, &end);
  for (int64_t i = first; i < end && status == TNRT_OK; i++) {
    status = tnrt_samples_gather(s, field, NULL, &order[i], 0, 1, s->sample);
    for (int64_t k = 0; k < f->count && status == TNRT_OK; k++) numbers[k] = tnrt_element(f->dtype, s->sample, k);
    if (status == TNRT_OK) status = tnrt_sums_add(sums, s->message, i, numbers, f->count);
  }
  if (order) s->alloc->give(s->alloc->user, order);
  return status;
}

tnrt_status tnrt_samples_moments(tnrt_samples *s, uint32_t field, double *mean, double *variance) {
  tnrt_sums sums = {.alloc = s->alloc};
  tnrt_status status = agree(s, add_samples(s, field, mean, &sums));
  if (status == TNRT_OK) status = tnrt_sums_end(&sums, s->message, s->world);
  if (status == TNRT_OK) tnrt_sums_moments(&sums, tnrt_samples_count(s, TNRT_SPLIT_TRAIN), mean, variance);
  tnrt_sums_free(&sums);
  return status;
}

void tnrt_samples_parts(const tnrt_samples *s, char *out, size_t bytes) {
  size_t used = 0;
  for (uint32_t split = 0; split < TNRT_N_SPLITS && used < bytes; split++)
    used += (size_t)snprintf(out + used, bytes - used, "%s%s %lld", split ? ", " : "", tnrt_split_name(split),
                             (long long)tnrt_samples_count(s, split));
  if (s->plan->source.is_shuffled && used < bytes)
    snprintf(out + used, bytes - used, ", shuffle %llu", (unsigned long long)s->plan->source.shuffle);
}

void tnrt_samples_place(const tnrt_samples *s, int64_t position, char *out, size_t bytes) {
  char drawn[1];
  tnrt_records_place(&s->records, s->rows[position], NULL, out, bytes, drawn, sizeof drawn);
}
