/* Patterns of weights: '*' stands for any characters, dots among them. A pattern means the weights whose path it
 * matches, and those of instances whose path it matches. NAME[K] means the K-th unnamed instance of NAME, negative from
 * the last: linear[-1]. */
#include <stdlib.h>
#include <string.h>

#include "frontend/lang/blocks.h"

/* Each '*' takes as few characters as the rest allows; when the rest does not fit, the last '*' takes one more. */
static bool matches(const char *glob, const char *text, size_t n) {
  const char *star = NULL, *end = text + n, *taken = text;
  while (text < end) {
    if (*glob == '*') star = glob++, taken = text;
    else if (*glob == *text) glob++, text++;
    else if (star) glob = star + 1, text = ++taken;
    else return false;
  }
  while (*glob == '*') glob++;
  return !*glob;
}

/* The length of path without the number of an unnamed instance: "a.linear_2" -> "a.linear". */
static size_t without_number(const char *path, size_t n) {
  size_t end = n;
  while (end > 0 && path[end - 1] >= '0' && path[end - 1] <= '9') end--;
  return end < n && end > 1 && path[end - 1] == '_' ? end - 1 : n;
}

/* "NAME[K]" as NAME and K. */
static bool parse_index(tn_sema *s, const char *glob, const char **base, int64_t *index) {
  const char *open = strrchr(glob, '[');
  char *end = NULL;
  if (!open) return false;
  *index = strtoll(open + 1, &end, 10);
  if (end == open + 1 || strcmp(end, "]") != 0) return false;
  *base = tn_namef(s->ctx, "%.*s", (int)(open - glob), glob);
  return true;
}

/* How many instances the pattern matches without their numbers; wanted: the name of that one, or NULL. */
static int64_t find_instances(const tn_block_check *c, const char *base, int64_t wanted, const char **out) {
  tn_map seen = tn_map_create(c->s->arena);
  for (size_t i = 0; i < c->weights->n_weights; i++) {
    const char *path = c->s->weights.data[c->weights->first_weight + i]->path;
    for (const char *dot = strchr(path, '.'); dot; dot = strchr(dot + 1, '.')) {
      size_t n = (size_t)(dot - path);
      if (matches(base, path, without_number(path, n)))
        tn_map_set(&seen, tn_namef(c->s->ctx, "%.*s", (int)n, path), c->s);
    }
  }
  if (wanted < 0) wanted += (int64_t)seen.n;
  bool found = out && wanted >= 0 && wanted < (int64_t)seen.n;
  if (found) *out = (const char *)seen.entries[wanted].key;
  return (int64_t)seen.n;
}

static bool means(const char *glob, const char *path) {
  if (matches(glob, path, strlen(path))) return true;
  for (const char *dot = strchr(path, '.'); dot; dot = strchr(dot + 1, '.'))
    if (matches(glob, path, (size_t)(dot - path))) return true;
  return false;
}

static bool matches_one(const tn_block_check *c, const char *glob) {
  for (size_t i = 0; i < c->weights->n_weights; i++)
    if (means(glob, c->s->weights.data[c->weights->first_weight + i]->path)) return true;
  return false;
}

bool tn_glob_means(const tn_block_check *c, const char *glob, const char *path) {
  const char *base, *instance = NULL;
  int64_t index;
  if (!parse_index(c->s, glob, &base, &index)) return means(glob, path);
  find_instances(c, base, index, &instance);
  size_t n = instance ? strlen(instance) : 0;
  return instance && strncmp(path, instance, n) == 0 && path[n] == '.';
}

/* The weight to show where none is meant: the one whose path is nearest, else the first that is trained. */
static const tn_weight *nearest(const tn_block_check *c, const char *glob) {
  tn_weight *const *rows = &c->s->weights.data[c->weights->first_weight];
  const char **paths = TN_NEW_N(c->s->arena, const char *, c->weights->n_weights);
  const tn_weight *first = NULL;
  for (size_t i = 0; i < c->weights->n_weights; i++) {
    paths[i] = rows[i]->path;
    if (!first && !rows[i]->is_buffer) first = rows[i];
  }
  const char *near = tn_str_nearest(glob, paths, c->weights->n_weights);
  for (size_t i = 0; near && i < c->weights->n_weights; i++)
    if (paths[i] == near) return rows[i];
  return first ? first : rows[0];
}

bool tn_glob_check(const tn_block_check *c, const char *glob, tn_loc loc) {
  const char *base;
  int64_t index;
  if (!c->weights || !c->weights->n_weights) return true;
  if (parse_index(c->s, glob, &base, &index)) {
    int64_t n = find_instances(c, base, 0, NULL);
    if (index >= -n && index < n) return true;
    tn_error(c->s->ctx, loc, TN_E_LANG_SETTING, "'%s': %s has %lld instances of '%s'", glob, c->weights->name,
             (long long)n, base);
  } else if (matches_one(c, glob)) {
    return true;
  } else {
    tn_error(c->s->ctx, loc, TN_E_LANG_SETTING, "no weight of %s is called '%s'", c->weights->name, glob);
  }
  const tn_weight *near = nearest(c, glob);
  tn_note(c->s->ctx, near->loc, "a weight is '%s', made here", near->path);
  return false;
}
