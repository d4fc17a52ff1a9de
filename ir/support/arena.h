/* Arena allocation: the only memory of the compiler. Nothing is freed one by one; an arena goes as a
 * whole. Three lifetimes exist: session (owned by tn_ctx: strings, types, dims, sources, diagnostics),
 * graph (owned by tn_module) and scratch (one pass; created and destroyed by it).
 *
 * When memory runs out, or an arena's limit is passed, the arena calls its out-of-memory handler, which
 * must not return (the driver's reports exit 71; a test's longjmps). No caller checks for NULL. */
#ifndef TN_IR_SUPPORT_ARENA_H
#define TN_IR_SUPPORT_ARENA_H

#include "ir/support/base.h"

typedef struct tn_arena tn_arena;

/* Called with the size that failed; must not return. */
typedef struct tn_oom {
  void (*handler)(void *user, size_t wanted_bytes);
  void *user;
} tn_oom;

/* limit_bytes: 0 = none. An oom.handler of NULL ends the process with the assertion's failure. */
tn_arena *tn_arena_create(tn_oom oom, size_t limit_bytes);
/* A scratch arena that reports exhaustion to the same handler as parent. */
tn_arena *tn_arena_create_scratch(const tn_arena *parent);
void tn_arena_destroy(tn_arena *arena);
/* Has release(user) called when the arena is destroyed, before its memory goes: for what is no memory, such as mapped
 * files. Later ones are called first. */
void tn_arena_on_destroy(tn_arena *arena, void (*release)(void *user), void *user);

/* Zeroed, aligned to 16 bytes. A size of 0 gives a valid pointer. */
void *tn_arena_alloc(tn_arena *arena, size_t bytes);
/* n elements of size bytes; an overflowing product counts as out of memory. */
void *tn_arena_alloc_n(tn_arena *arena, size_t n, size_t bytes);
/* A copy of bytes at data. */
void *tn_arena_copy(tn_arena *arena, const void *data, size_t bytes);
/* A NUL-terminated copy of length bytes at text. */
char *tn_arena_strndup(tn_arena *arena, const char *text, size_t length);
char *tn_arena_printf(tn_arena *arena, const char *format, ...) TN_PRINTF(2, 3);
size_t tn_arena_bytes(const tn_arena *arena);

#define TN_NEW(arena, type) ((type *)tn_arena_alloc((arena), sizeof(type)))
#define TN_NEW_N(arena, type, n) ((type *)tn_arena_alloc_n((arena), (n), sizeof(type)))

#endif
