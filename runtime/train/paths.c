/* See paths.h. */
#include "runtime/train/paths.h"

#include <glob.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "runtime/train/memory.h"

static bool make_room(tnrt_paths *p, const tnrt_alloc *alloc) {
  uint32_t room = p->room ? 2 * p->room : 4;
  if (p->n < p->room) return true;
  char **items = room > p->room ? tnrt_take(alloc, room, sizeof *items) : NULL;
  if (!items) return false;
  if (p->items) memcpy(items, p->items, p->n * sizeof *items);
  if (p->items) alloc->give(alloc->user, p->items);
  p->items = items;
  p->room = room;
  return true;
}

static bool add(tnrt_paths *p, const tnrt_alloc *alloc, const char *path) {
  size_t bytes = strlen(path) + 1;
  char *item = make_room(p, alloc) ? tnrt_take(alloc, bytes, 1) : NULL;
  if (!item) return false;
  memcpy(item, path, bytes);
  p->items[p->n++] = item;
  return true;
}

tnrt_status tnrt_paths_add(tnrt_paths *p, tnrt_message *message, const tnrt_alloc *alloc, const char *path) {
  glob_t found = {0};
  bool is_pattern = strchr(path, '*') && access(path, F_OK) != 0;
  int code = is_pattern ? glob(path, 0, NULL, &found) : GLOB_NOMATCH;
  bool ok = code != GLOB_NOSPACE;
  for (size_t i = 0; code == 0 && i < found.gl_pathc && ok; i++) ok = add(p, alloc, found.gl_pathv[i]);
  if (code != 0 && ok) ok = add(p, alloc, path);
  globfree(&found);
  return ok ? TNRT_OK : tnrt_fail(message, TNRT_NO_MEMORY, "no memory for the names of files");
}

void tnrt_paths_free(tnrt_paths *p, const tnrt_alloc *alloc) {
  for (uint32_t i = 0; i < p->n; i++) alloc->give(alloc->user, p->items[i]);
  if (p->items) alloc->give(alloc->user, p->items);
  *p = (tnrt_paths){0};
}
