/* Arenas: chained chunks, bump allocation. The only malloc of the compiler. */
#include "ir/support/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALIGN 16
#define FIRST_CHUNK ((size_t)16 << 10)
#define MAX_CHUNK ((size_t)4 << 20)

typedef struct chunk {
  struct chunk *next;
  size_t capacity;
  size_t used;
  size_t unused_to_align;
} chunk;

typedef struct release {
  struct release *next;
  void (*call)(void *user);
  void *user;
} release;

struct tn_arena {
  tn_oom oom;
  size_t limit_bytes, total_bytes, next_chunk;
  chunk *chunks;
  release *releases;
};

static void out_of_memory(const tn_arena *arena, size_t wanted) {
  if (arena->oom.handler) arena->oom.handler(arena->oom.user, wanted);
  TN_ASSERT(!"out of memory without a handler, or a handler that returned");
  __builtin_trap();
}

tn_arena *tn_arena_create(tn_oom oom, size_t limit_bytes) {
  tn_arena *arena = calloc(1, sizeof(*arena));
  if (!arena) {
    tn_arena none = {.oom = oom};
    out_of_memory(&none, sizeof(*arena));
  }
  arena->oom = oom;
  arena->limit_bytes = limit_bytes;
  arena->next_chunk = FIRST_CHUNK;
  return arena;
}

tn_arena *tn_arena_create_scratch(const tn_arena *parent) { return tn_arena_create(parent->oom, parent->limit_bytes); }

void tn_arena_destroy(tn_arena *arena) {
  if (!arena) return;
  for (release *r = arena->releases; r; r = r->next) r->call(r->user);
  for (chunk *c = arena->chunks, *next; c; c = next) {
    next = c->next;
    free(c);
  }
  free(arena);
}

void tn_arena_on_destroy(tn_arena *arena, void (*call)(void *user), void *user) {
  release *r = tn_arena_alloc(arena, sizeof(*r));
  *r = (release){arena->releases, call, user};
  arena->releases = r;
}

/* A chunk of its own for large requests, behind the current one, which keeps its free space. */
static chunk *add_chunk(tn_arena *arena, size_t bytes) {
  bool is_large = bytes > arena->next_chunk / 2;
  size_t capacity = is_large ? bytes : arena->next_chunk;
  if (arena->limit_bytes && (capacity > arena->limit_bytes || arena->total_bytes > arena->limit_bytes - capacity))
    out_of_memory(arena, bytes);
  chunk *c = calloc(1, sizeof(*c) + capacity);
  if (!c) out_of_memory(arena, bytes);
  c->capacity = capacity;
  arena->total_bytes += capacity;
  if (is_large && arena->chunks) {
    c->next = arena->chunks->next;
    arena->chunks->next = c;
  } else {
    c->next = arena->chunks;
    arena->chunks = c;
  }
  if (!is_large && arena->next_chunk < MAX_CHUNK) arena->next_chunk *= 2;
  return c;
}

void *tn_arena_alloc(tn_arena *arena, size_t bytes) {
  if (bytes > SIZE_MAX / 2) out_of_memory(arena, bytes);
  size_t rounded = (bytes + ALIGN - 1) / ALIGN * ALIGN;
  chunk *c = arena->chunks;
  if (!c || c->capacity - c->used < rounded) c = add_chunk(arena, rounded ? rounded : ALIGN);
  void *result = (char *)(c + 1) + c->used;
  c->used += rounded;
  return result;
}

void *tn_arena_alloc_n(tn_arena *arena, size_t n, size_t bytes) {
  size_t total = 0;
  if (!tn_mul_size(n, bytes, &total)) out_of_memory(arena, SIZE_MAX);
  return tn_arena_alloc(arena, total);
}

void *tn_arena_copy(tn_arena *arena, const void *data, size_t bytes) {
  void *copy = tn_arena_alloc(arena, bytes);
  if (bytes) memcpy(copy, data, bytes);
  return copy;
}

char *tn_arena_strndup(tn_arena *arena, const char *text, size_t length) {
  char *copy = tn_arena_alloc(arena, length + 1);
  if (length) memcpy(copy, text, length);
  return copy;
}

char *tn_arena_printf(tn_arena *arena, const char *format, ...) {
  va_list args, again;
  va_start(args, format);
  va_copy(again, args);
  int length = vsnprintf(NULL, 0, format, args);
  va_end(args);
  TN_ASSERT(length >= 0);
  char *text = tn_arena_alloc(arena, (size_t)length + 1);
  vsnprintf(text, (size_t)length + 1, format, again);
  va_end(again);
  return text;
}

size_t tn_arena_bytes(const tn_arena *arena) { return arena->total_bytes; }
