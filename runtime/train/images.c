/* Folders of pictures (arrays.h): FOLDER/LABEL/FILE. Several processes each read a part of the pictures, and tell the
 * others what is in them where all are held. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "runtime/core/file.h"
#include "runtime/train/arrays.h"
#include "runtime/train/memory.h"
#include "runtime/train/shards.h"
#include "runtime/train/tree.h"

static tnrt_status no_memory(tnrt_message *message, const char *path) {
  return tnrt_fail(message, TNRT_NO_MEMORY, "no memory for %.200s", path);
}

/* ---- what there is ---- */

typedef struct listing {
  tnrt_message *message;
  const tnrt_alloc *alloc;
  char *texts; /* "LABEL/FILE" one after the other, each ended by a zero */
  size_t bytes, room;
  int64_t n;
} listing;

static tnrt_status list_add(listing *l, const char *label, const char *name) {
  size_t need = strlen(label) + strlen(name) + 2;
  if (l->room - l->bytes < need) {
    size_t room = 2 * l->room + need + 4096;
    char *texts = l->alloc->get(l->alloc->user, room, 1);
    if (!texts) return no_memory(l->message, label);
    if (l->bytes) memcpy(texts, l->texts, l->bytes);
    if (l->texts) l->alloc->give(l->alloc->user, l->texts);
    l->texts = texts;
    l->room = room;
  }
  l->bytes += (size_t)snprintf(l->texts + l->bytes, need, "%s/%s", label, name) + 1;
  l->n++;
  return TNRT_OK;
}

static tnrt_status list_label(listing *l, const char *folder, const char *label) {
  char path[4096];
  struct stat st;
  snprintf(path, sizeof path, "%s/%s", folder, label);
  if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) return TNRT_OK;
  DIR *dir = opendir(path);
  if (!dir) return tnrt_fail(l->message, TNRT_BAD_INPUT, "cannot open %.300s: %s", path, strerror(errno));
  tnrt_status status = TNRT_OK;
  for (struct dirent *e; status == TNRT_OK && (e = readdir(dir)) != NULL;)
    if (e->d_name[0] != '.') status = list_add(l, label, e->d_name);
  closedir(dir);
  return status;
}

static tnrt_status list_folder(listing *l, const char *folder) {
  DIR *dir = opendir(folder);
  if (!dir) return tnrt_fail(l->message, TNRT_BAD_INPUT, "cannot open %.300s: %s", folder, strerror(errno));
  tnrt_status status = TNRT_OK;
  for (struct dirent *e; status == TNRT_OK && (e = readdir(dir)) != NULL;)
    if (e->d_name[0] != '.') status = list_label(l, folder, e->d_name);
  closedir(dir);
  if (status == TNRT_OK && l->n == 0)
    status = tnrt_fail(l->message, TNRT_BAD_INPUT, "%.300s has no picture: they lie in FOLDER/LABEL/FILE", folder);
  return status;
}

static int by_bytes(const void *p, const void *q) { return strcmp(*(const char *const *)p, *(const char *const *)q); }

/* "LABEL/FILE" becomes two texts: labels are the folders' names. */
static void part_labels(const tnrt_column *labels) {
  for (int64_t i = 0; i < labels->n; i++) *strchr((char *)(uintptr_t)labels->labels[i], '/') = 0;
}

/* ---- reading ---- */

tnrt_status tnrt_picture_read(tnrt_message *message, const tnrt_alloc *alloc, const char *folder, const char *label,
                              tnrt_array *out) {
  char path[4096];
  uint8_t *data;
  size_t bytes;
  snprintf(path, sizeof path, "%s/%s/%s", folder, label, label + strlen(label) + 1);
  tnrt_status status = tnrt_file_read(message, alloc, path, &data, &bytes);
  if (status != TNRT_OK) return status;
  status = tnrt_image_read(message, alloc, path, data, bytes, out);
  alloc->give(alloc->user, data);
  return status;
}

/* A picture's extents, as processes tell each other. */
typedef struct extents {
  uint32_t channels, height, width;
} extents;

typedef struct gallery {
  const tnrt_alloc *alloc;
  tnrt_column *images;
} gallery;

static size_t picture_bytes(void *user, int64_t i) {
  return ((const gallery *)user)->images->images[i].bytes;
}

static void picture_put(void *user, int64_t i, uint8_t *to) {
  const tnrt_array *a = &((const gallery *)user)->images->images[i];
  memcpy(to, a->data, a->bytes);
}

static void picture_take(void *user, int64_t i, const uint8_t *from) {
  const tnrt_array *a = &((const gallery *)user)->images->images[i];
  memcpy(a->data, from, a->bytes);
}

/* Those from first to end - 1, as long as there is room for them. *out_bytes: what they take, more than room where not
 * all were read. */
static tnrt_status read_own(const listing *l, const char *folder, uint64_t room, tnrt_column *images,
                            const char *const *labels, int64_t first, int64_t end, uint64_t *out_bytes) {
  *out_bytes = 0;
  for (int64_t i = first; i < end && *out_bytes <= room; i++) {
    tnrt_status status = tnrt_picture_read(l->message, l->alloc, folder, labels[i], &images->images[i]);
    if (status != TNRT_OK) return status;
    *out_bytes += (uint64_t)images->images[i].bytes;
  }
  return TNRT_OK;
}

/* Room for the pictures of all processes, whose extents all get. */
static tnrt_status make_pictures(const listing *l, tnrt_world *world, const char *folder, tnrt_column *images,
                                 int64_t first, int64_t end) {
  uint64_t bytes = (uint64_t)(end - first) * sizeof(extents);
  extents *own = tnrt_take(l->alloc, (size_t)(end - first), sizeof *own);
  uint8_t *all = NULL;
  tnrt_status status = own ? TNRT_OK : no_memory(l->message, folder);
  for (int64_t i = first; i < end && own; i++) {
    const int64_t *e = images->images[i].extents;
    own[i - first] = (extents){(uint32_t)e[0], (uint32_t)e[1], (uint32_t)e[2]};
  }
  status = tnrt_shards_collect(world, l->message, l->alloc, status, own, &bytes, &all, NULL);
  for (int64_t i = 0; i < images->n && status == TNRT_OK; i++) {
    extents e;
    memcpy(&e, all + (size_t)i * sizeof e, sizeof e);
    if (i < first || i >= end)
      status = tnrt_image_make(l->message, l->alloc, folder, e.channels, e.height, e.width, &images->images[i]);
  }
  if (own) l->alloc->give(l->alloc->user, own);
  if (all) l->alloc->give(l->alloc->user, all);
  return tnrt_shards_agree(world, l->message, status);
}

/* Whether all processes have room for all pictures. */
static tnrt_status agree_room(tnrt_world *world, uint64_t room, uint64_t *bytes, bool *out_fits) {
  const int64_t most = INT64_MAX / 2 / world->size;
  int64_t n = *bytes <= (uint64_t)most ? (int64_t)*bytes : most;
  tnrt_status status = tnrt_world_sum(world, &n, 1, TNRT_COMM_I64, "the size of all pictures");
  int64_t is_short = (uint64_t)n > room;
  if (status == TNRT_OK) status = tnrt_world_sum(world, &is_short, 1, TNRT_COMM_I64, "the room for pictures");
  *bytes = (uint64_t)n;
  *out_fits = !is_short;
  return status;
}

/* All of them, or none where there is no room for all. Each process reads its share. */
static tnrt_status read_pictures(const listing *l, tnrt_world *world, const char *folder, uint64_t *room,
                                 tnrt_column *images, const char *const *labels) {
  gallery g = {l->alloc, images};
  const tnrt_spread items = {&g, picture_bytes, picture_put, picture_take};
  bool is_many = tnrt_shards_many(world), fits = true;
  int64_t first = 0, end = images->n;
  uint64_t bytes;
  if (is_many) tnrt_tree_share(images->n, world->rank, world->size, &first, &end);
  tnrt_status status =
      tnrt_shards_agree(world, l->message, read_own(l, folder, *room, images, labels, first, end, &bytes));
  if (status == TNRT_OK && is_many) status = agree_room(world, *room, &bytes, &fits);
  if (status == TNRT_OK && fits && bytes <= *room) {
    if (is_many) status = make_pictures(l, world, folder, images, first, end);
    if (status == TNRT_OK)
      status = tnrt_shards_spread(world, l->message, l->alloc, &items, images->n, tnrt_tree_share);
    *room -= bytes;
    return status;
  }
  for (int64_t i = first; i < end; i++) tnrt_array_free(l->alloc, &images->images[i]);
  l->alloc->give(l->alloc->user, images->images);
  images->images = NULL;
  images->folder = folder;
  return status;
}

tnrt_status tnrt_images_read(tnrt_message *message, const tnrt_alloc *alloc, tnrt_world *world, const char *folder,
                             uint64_t *room, tnrt_columns *out) {
  listing l = {.message = message, .alloc = alloc};
  *out = (tnrt_columns){0};
  tnrt_status status = list_folder(&l, folder);
  out->columns = tnrt_take(alloc, 2, sizeof *out->columns);
  const char **names = tnrt_take(alloc, (size_t)l.n, sizeof *names);
  tnrt_array *images = tnrt_take(alloc, (size_t)l.n, sizeof *images);
  if (status == TNRT_OK && (!out->columns || !names || !images)) status = no_memory(message, folder);
  if (!out->columns) {
    status = tnrt_shards_agree(world, message, status);
    void *const blocks[] = {l.texts, names, images};
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++)
      if (blocks[i]) alloc->give(alloc->user, blocks[i]);
    return status;
  }
  out->n = 2;
  out->columns[0] = (tnrt_column){.name = "image", .images = images, .n = l.n};
  out->columns[1] = (tnrt_column){.name = "label", .labels = names, .texts = l.texts, .n = l.n};
  status = tnrt_shards_agree(world, message, status);
  if (status != TNRT_OK) return status;
  const char *at = l.texts;
  for (int64_t i = 0; i < l.n; i++, at += strlen(at) + 1) names[i] = at;
  qsort(names, (size_t)l.n, sizeof *names, by_bytes);
  uint64_t all = TNRT_SHARDS_MIX;
  for (int64_t i = 0; i < l.n; i++) all = tnrt_shards_mix(all, names[i]);
  part_labels(&out->columns[1]);
  status = tnrt_shards_same(world, message, status, all, folder);
  return status == TNRT_OK ? read_pictures(&l, world, folder, room, &out->columns[0], names) : status;
}
