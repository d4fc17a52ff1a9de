/* Hash map from a pointer, an integer or an interned string (all are one uintptr_t) to a pointer.
 * Iteration is in insertion order, so the same input gives the same output bytes. */
#ifndef TN_IR_SUPPORT_MAP_H
#define TN_IR_SUPPORT_MAP_H

#include "ir/support/arena.h"

typedef struct tn_map_entry {
  uintptr_t key;
  void *value;
} tn_map_entry;

typedef struct tn_map {
  tn_arena *arena;
  tn_map_entry *entries; /* in insertion order */
  size_t n;
  size_t capacity;
  uint32_t *slots; /* open addressing, index + 1 into entries */
  size_t n_slots;
} tn_map;

tn_map tn_map_create(tn_arena *arena);
/* The value, or NULL. */
void *tn_map_get(const tn_map *map, const void *key);
bool tn_map_has(const tn_map *map, const void *key);
/* Sets or replaces; the position of a key that exists is kept. */
void tn_map_set(tn_map *map, const void *key, void *value);
void *tn_map_get_u64(const tn_map *map, uint64_t key);
void tn_map_set_u64(tn_map *map, uint64_t key, void *value);

/* 64-bit FNV-1a over bytes, for content-addressed tables; seed 0 to start, or a former result. */
uint64_t tn_hash_bytes(uint64_t seed, const void *data, size_t bytes);

#endif
