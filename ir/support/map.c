/* Insertion-ordered hash map with open addressing; see map.h. */
#include "ir/support/map.h"

#include <string.h>

#define FIRST_SLOTS 16

static size_t mix(uintptr_t key) {
  uint64_t h = (uint64_t)key * 0x9e3779b97f4a7c15u;
  return (size_t)(h ^ (h >> 32));
}

tn_map tn_map_create(tn_arena *arena) { return (tn_map){.arena = arena}; }

/* The slot that holds key, or the free one where it would go; the map has slots. */
static size_t find_slot(const tn_map *map, uintptr_t key) {
  size_t slot = mix(key) & (map->n_slots - 1);
  while (map->slots[slot] && map->entries[map->slots[slot] - 1].key != key) slot = (slot + 1) & (map->n_slots - 1);
  return slot;
}

static void *get(const tn_map *map, uintptr_t key) {
  if (!map->n_slots) return NULL;
  uint32_t at = map->slots[find_slot(map, key)];
  return at ? map->entries[at - 1].value : NULL;
}

static void rehash(tn_map *map) {
  map->n_slots = map->n_slots ? map->n_slots * 2 : FIRST_SLOTS;
  map->slots = TN_NEW_N(map->arena, uint32_t, map->n_slots);
  for (size_t i = 0; i < map->n; i++) map->slots[find_slot(map, map->entries[i].key)] = (uint32_t)i + 1;
}

static void grow_entries(tn_map *map) {
  size_t capacity = map->capacity ? map->capacity * 2 : 8;
  tn_map_entry *entries = TN_NEW_N(map->arena, tn_map_entry, capacity);
  if (map->n) memcpy(entries, map->entries, map->n * sizeof(*entries));
  map->entries = entries;
  map->capacity = capacity;
}

static void set(tn_map *map, uintptr_t key, void *value) {
  if (map->n * 2 >= map->n_slots) rehash(map);
  size_t slot = find_slot(map, key);
  if (map->slots[slot]) {
    map->entries[map->slots[slot] - 1].value = value;
    return;
  }
  TN_ASSERT(map->n < UINT32_MAX - 1);
  if (map->n == map->capacity) grow_entries(map);
  map->entries[map->n++] = (tn_map_entry){key, value};
  map->slots[slot] = (uint32_t)map->n;
}

void *tn_map_get(const tn_map *map, const void *key) { return get(map, (uintptr_t)key); }
void tn_map_set(tn_map *map, const void *key, void *value) { set(map, (uintptr_t)key, value); }
void *tn_map_get_u64(const tn_map *map, uint64_t key) { return get(map, (uintptr_t)key); }
void tn_map_set_u64(tn_map *map, uint64_t key, void *value) { set(map, (uintptr_t)key, value); }

bool tn_map_has(const tn_map *map, const void *key) {
  return map->n_slots && map->slots[find_slot(map, (uintptr_t)key)] != 0;
}

uint64_t tn_hash_bytes(uint64_t seed, const void *data, size_t bytes) {
  uint64_t hash = seed ? seed : 0xcbf29ce484222325u;
  const unsigned char *at = data;
  for (size_t i = 0; i < bytes; i++) hash = (hash ^ at[i]) * 0x100000001b3u;
  return hash;
}
