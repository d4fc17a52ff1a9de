/* What processes that share out the reading of data tell each other: whether all went well, and what each has found.
 * NULL or a world of one: nothing travels. All processes make the same calls in the same order. */
#ifndef TNRT_TRAIN_SHARDS_H
#define TNRT_TRAIN_SHARDS_H

#include "runtime/core/runtime.h"
#include "runtime/train/world.h"

static inline bool tnrt_shards_many(const tnrt_world *world) { return world && world->size > 1; }

/* The failure of the first process that has one becomes that of all, with its message; world->told_by is that process.
 * Each process's share of a file or of its records lies before the next one's, so the first failure is the one that a
 * process alone would have met. */
tnrt_status tnrt_shards_agree(tnrt_world *world, tnrt_message *message, tnrt_status status);

/* Agree, and that all processes see the same files: a number that these give, of texts one after the other. */
#define TNRT_SHARDS_MIX UINT64_C(0xcbf29ce484222325)
uint64_t tnrt_shards_mix(uint64_t number, const char *text);
tnrt_status tnrt_shards_same(tnrt_world *world, tnrt_message *message, tnrt_status status, uint64_t number,
                             const char *path);

/* The least of all processes' numbers. */
tnrt_status tnrt_shards_least(tnrt_world *world, uint64_t *number);

/* The bytes that each process has, one after the other, in a block of alloc that the caller gives back. *bytes: of own,
 * then of all. ends: where those of each process end, or NULL. status: what happened before, as in agree. */
tnrt_status tnrt_shards_collect(tnrt_world *world, tnrt_message *message, const tnrt_alloc *alloc, tnrt_status status,
                                const void *own, uint64_t *bytes, uint8_t **out_all, uint64_t *ends);

/* Items that each process has some of, in its order and the processes in theirs: all processes get those of the others.
 * How many bytes an item has they know. */
typedef struct tnrt_spread {
  void *user;
  size_t (*bytes)(void *user, int64_t item);
  void (*put)(void *user, int64_t item, uint8_t *to);
  void (*take)(void *user, int64_t item, const uint8_t *from);
} tnrt_spread;

/* share: which of n items a process has, first .. end - 1. */
typedef void (*tnrt_sharing)(int64_t n, int rank, int size, int64_t *out_first, int64_t *out_end);
tnrt_status tnrt_shards_spread(tnrt_world *world, tnrt_message *message, const tnrt_alloc *alloc,
                               const tnrt_spread *items, int64_t n, tnrt_sharing share);

#endif
