/* See shards.h. */
#include "runtime/train/shards.h"

#include <string.h>

#include "runtime/train/memory.h"

enum { PIECE = 1 << 23 /* bytes that travel at once, about */, MOST = 1 << 28 /* of one message */ };

static const char what[] = "the reading of data";

tnrt_status tnrt_shards_agree(tnrt_world *w, tnrt_message *message, tnrt_status status) {
  if (!tnrt_shards_many(w) || w->is_told || w->is_lost) return status;
  int8_t all[TNRT_COMM_RANKS];
  int counts[TNRT_COMM_RANKS], first = 0;
  for (int r = 0; r < w->size; r++) counts[r] = 1;
  all[w->rank] = (int8_t)status;
  tnrt_status heard = tnrt_world_gather(w, all, counts, what);
  if (heard != TNRT_OK) return heard;
  while (first < w->size && all[first] == TNRT_OK) first++;
  if (first == w->size) return TNRT_OK;
  heard = tnrt_world_broadcast(w, message, sizeof *message, first, what);
  if (heard != TNRT_OK) return heard;
  w->is_told = true;
  w->told_by = first;
  return (tnrt_status)all[first];
}

/* FNV-1a, with a byte of zero behind each text. */
uint64_t tnrt_shards_mix(uint64_t number, const char *text) {
  for (size_t i = 0, n = strlen(text); i <= n; i++) number = (number ^ (unsigned char)text[i]) * 0x100000001b3u;
  return number;
}

tnrt_status tnrt_shards_same(tnrt_world *w, tnrt_message *message, tnrt_status status, uint64_t number,
                             const char *path) {
  uint64_t first = number;
  status = tnrt_shards_agree(w, message, status);
  if (status != TNRT_OK || !tnrt_shards_many(w)) return status;
  status = tnrt_world_broadcast(w, &first, sizeof first, 0, what);
  if (status == TNRT_OK && first != number)
    status = tnrt_fail(message, TNRT_BAD_INPUT, "%.300s is not the same here as for process 0", path);
  return tnrt_shards_agree(w, message, status);
}

/* A message of any length. */
static tnrt_status broadcast(tnrt_world *w, uint8_t *bytes, uint64_t n, int root) {
  tnrt_status status = TNRT_OK;
  for (uint64_t at = 0; at < n && status == TNRT_OK; at += MOST)
    status = tnrt_world_broadcast(w, bytes + at, n - at < MOST ? (size_t)(n - at) : MOST, root, what);
  return status;
}

/* all: of each process. */
static tnrt_status share_number(tnrt_world *w, uint64_t number, uint64_t *all) {
  int counts[TNRT_COMM_RANKS];
  for (int r = 0; r < w->size; r++) counts[r] = (int)sizeof *all;
  all[w->rank] = number;
  return tnrt_world_gather(w, all, counts, what);
}

tnrt_status tnrt_shards_least(tnrt_world *w, uint64_t *number) {
  uint64_t all[TNRT_COMM_RANKS];
  if (!tnrt_shards_many(w)) return TNRT_OK;
  tnrt_status status = share_number(w, *number, all);
  for (int r = 0; r < w->size && status == TNRT_OK; r++) *number = all[r] < *number ? all[r] : *number;
  return status;
}

tnrt_status tnrt_shards_collect(tnrt_world *w, tnrt_message *message, const tnrt_alloc *alloc, tnrt_status status,
                                const void *own, uint64_t *bytes, uint8_t **out_all, uint64_t *ends) {
  uint64_t found[TNRT_COMM_RANKS], n = *bytes;
  *out_all = NULL;
  status = tnrt_shards_agree(w, message, status);
  if (status == TNRT_OK) status = share_number(w, n, found);
  if (status != TNRT_OK) return status;
  for (int r = 1; r < w->size; r++) found[r] += found[r - 1];
  *bytes = found[w->size - 1];
  *out_all = alloc->get(alloc->user, (size_t)*bytes + 1, 64);
  if (!*out_all) status = tnrt_fail(message, TNRT_NO_MEMORY, "no memory for what other processes have read");
  else if (n) memcpy(*out_all + found[w->rank] - n, own, (size_t)n);
  status = tnrt_shards_agree(w, message, status);
  for (int r = 0; r < w->size && status == TNRT_OK; r++) {
    uint64_t begin = r ? found[r - 1] : 0;
    status = broadcast(w, *out_all + begin, found[r] - begin, r);
  }
  if (ends) memcpy(ends, found, (size_t)w->size * sizeof *ends);
  return status;
}

/* ---- items ---- */

/* Items of one process from `first` on that travel together: their number, and *out_bytes. */
static int64_t piece_at(const tnrt_spread *s, int64_t first, int64_t end, size_t *out_bytes) {
  int64_t item = first;
  size_t n = 0;
  for (; item < end && (n < PIECE || item == first); item++) n += s->bytes(s->user, item);
  *out_bytes = n;
  return item;
}

typedef struct span {
  int64_t first, end;
  size_t bytes;
} span;

static tnrt_status spread_piece(tnrt_world *w, const tnrt_spread *s, const span *piece, int root, uint8_t *block) {
  uint8_t *at = block;
  for (int64_t i = piece->first; i < piece->end && root == w->rank; i++) {
    s->put(s->user, i, at);
    at += s->bytes(s->user, i);
  }
  tnrt_status status = broadcast(w, block, piece->bytes, root);
  at = block;
  for (int64_t i = piece->first; i < piece->end && root != w->rank && status == TNRT_OK; i++) {
    s->take(s->user, i, at);
    at += s->bytes(s->user, i);
  }
  return status;
}

/* What the largest piece takes. */
static size_t largest(const tnrt_world *w, const tnrt_spread *s, int64_t n, tnrt_sharing share) {
  size_t most = 1, bytes;
  for (int r = 0; r < w->size; r++) {
    int64_t first, end;
    for (share(n, r, w->size, &first, &end); first < end; most = bytes > most ? bytes : most)
      first = piece_at(s, first, end, &bytes);
  }
  return most;
}

tnrt_status tnrt_shards_spread(tnrt_world *w, tnrt_message *message, const tnrt_alloc *alloc, const tnrt_spread *s,
                               int64_t n, tnrt_sharing share) {
  if (!tnrt_shards_many(w)) return TNRT_OK;
  uint8_t *block = alloc->get(alloc->user, largest(w, s, n, share), 64);
  tnrt_status status = block ? TNRT_OK : tnrt_fail(message, TNRT_NO_MEMORY, "no memory for what others have read");
  status = tnrt_shards_agree(w, message, status);
  for (int r = 0; r < w->size && status == TNRT_OK; r++) {
    span piece;
    int64_t end;
    for (share(n, r, w->size, &piece.first, &end); piece.first < end && status == TNRT_OK; piece.first = piece.end) {
      piece.end = piece_at(s, piece.first, end, &piece.bytes);
      status = spread_piece(w, s, &piece, r, block);
    }
  }
  if (block) alloc->give(alloc->user, block);
  return status;
}
