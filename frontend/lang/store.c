/* Files of tensors: .npy and .npz (read by the runtime's readers), .safetensors (safetensors.c), folders of .npy. */
#include "frontend/lang/store.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/onnx/source.h"
#include "runtime/core/array.h"

tn_stored *tn_store_add(tn_sema *s, tn_store *store, const char *name) {
  tn_stored *stored = TN_NEW(s->arena, tn_stored);
  stored->name = tn_name(s->ctx, name);
  TN_VEC_PUSH(s->arena, &store->tensors, stored);
  tn_map_set(&store->names, stored->name, stored);
  return stored;
}

tn_stored *tn_store_add_fitted(tn_sema *s, tn_store *store, const char *name) {
  tn_stored *stored = TN_NEW(s->arena, tn_stored);
  stored->name = tn_name(s->ctx, name);
  tn_map_set(&store->fitted, stored->name, stored);
  return stored;
}

tn_stored *tn_store_find(tn_store *store, const char *name) {
  return tn_map_get(&store->names, tn_intern_z(store->strings, name));
}
size_t tn_store_count(const tn_store *store) { return store->tensors.n; }
tn_stored *tn_store_at(tn_store *store, size_t index) { return store->tensors.data[index]; }
const char *tn_store_path(const tn_store *store) { return store->path; }
bool tn_store_is_trained(const tn_store *store) { return store->is_trained; }

const char *tn_store_nearest(tn_sema *s, const tn_store *store, const char *name) {
  const char **names = TN_NEW_N(s->arena, const char *, store->tensors.n);
  for (size_t i = 0; i < store->tensors.n; i++) names[i] = store->tensors.data[i]->name;
  return tn_str_nearest(name, names, store->tensors.n);
}

static bool add_array(tn_sema *s, tn_store *store, const char *name, const tnrt_array *array, tn_loc loc) {
  if (array->ndim > TN_MAX_NDIM)
    return tn_error(s->ctx, loc, TN_E_WEIGHTS_FILE, "'%s': '%s' has rank %u", store->path, name, array->ndim);
  tn_stored *stored = tn_store_add(s, store, name);
  stored->dtype = (tn_dtype)array->dtype; /* the numbers are the same on both sides (runtime/abi.h) */
  stored->ndim = array->ndim;
  memcpy(stored->extents, array->extents, array->ndim * sizeof(*array->extents));
  stored->data = tn_arena_copy(s->module->arena, array->data, (size_t)array->bytes);
  return true;
}

static bool refuse(tn_sema *s, const tn_store *store, const tnrt_message *message, tn_loc loc) {
  return tn_error(s->ctx, loc, TN_E_WEIGHTS_FILE, "'%s': %s", store->path, message->text);
}

static bool read_npy(tn_sema *s, tn_store *store, const char *name, uint8_t *bytes, size_t n, tn_loc loc) {
  tnrt_message message = {0};
  tnrt_array array;
  if (tnrt_npy_read(&message, &tnrt_alloc_libc, bytes, n, &array) != TNRT_OK) return refuse(s, store, &message, loc);
  bool ok = add_array(s, store, name, &array, loc);
  tnrt_array_free(&tnrt_alloc_libc, &array);
  return ok;
}

static bool read_npz(tn_sema *s, tn_store *store, uint8_t *bytes, size_t n, tn_loc loc) {
  tnrt_message message = {0};
  tnrt_npz npz;
  bool ok = tnrt_npz_open(&message, bytes, n, &npz) == TNRT_OK, found = ok;
  while (ok && found) {
    tnrt_npz_member member;
    tnrt_array array;
    ok = tnrt_npz_next(&message, &npz, &member, &found) == TNRT_OK;
    if (!ok || !found) break;
    ok = tnrt_npz_read(&message, &tnrt_alloc_libc, &npz, &member, &array) == TNRT_OK;
    if (!ok) break;
    ok = add_array(s, store, tn_namef(s->ctx, "%.*s", (int)member.name_bytes, member.name), &array, loc);
    tnrt_array_free(&tnrt_alloc_libc, &array);
    if (!ok) return false;
  }
  return ok || refuse(s, store, &message, loc);
}

static bool read_file(tn_sema *s, tn_store *store, const char *path, const char *name, tn_loc loc) {
  tn_source source;
  if (s->options->add_file) s->options->add_file(s->options->user, path);
  if (!tn_source_open(s->ctx, path, &source)) return false;
  bool npy = source.bytes >= 6 && memcmp(source.data, "\x93NUMPY", 6) == 0;
  bool zip = source.bytes >= 4 && memcmp(source.data, "PK", 2) == 0;
  if (!npy && !zip && !name[0]) return tn_safetensors_read(s, store, source.data, source.bytes, loc);
  /* The runtime's readers may change the bytes, so they get a copy. */
  tn_arena *scratch = tn_arena_create_scratch(s->ctx->arena);
  uint8_t *bytes = tn_arena_copy(scratch, source.data, source.bytes);
  bool ok = zip && !name[0] ? read_npz(s, store, bytes, source.bytes, loc)
                            : read_npy(s, store, name, bytes, source.bytes, loc);
  tn_arena_destroy(scratch);
  return ok;
}

static int by_name(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

/* A folder: each NAME.npy in it is the tensor called NAME. */
static bool read_folder(tn_sema *s, tn_store *store, DIR *folder, tn_loc loc) {
  TN_VEC(const char *) names = {0};
  const struct dirent *entry;
  while ((entry = readdir(folder)) != NULL) {
    size_t n = strlen(entry->d_name);
    if (n > 4 && strcmp(entry->d_name + n - 4, ".npy") == 0)
      TN_VEC_PUSH(s->arena, &names, tn_namef(s->ctx, "%.*s", (int)(n - 4), entry->d_name));
  }
  if (names.n) qsort(names.data, names.n, sizeof(*names.data), by_name);
  bool ok = names.n > 0 || tn_error(s->ctx, loc, TN_E_WEIGHTS_FILE, "folder '%s' holds no .npy file", store->path);
  for (size_t i = 0; i < names.n && ok; i++)
    ok = read_file(s, store, tn_namef(s->ctx, "%s/%s.npy", store->path, names.data[i]), names.data[i], loc);
  return ok;
}

tn_store *tn_store_open(tn_sema *s, const char *path, tn_loc loc) {
  tn_store *store = TN_NEW(s->arena, tn_store);
  *store = (tn_store){.path = path, .strings = s->ctx->strings, .names = tn_map_create(s->arena),
                      .fitted = tn_map_create(s->arena), .texts = tn_map_create(s->arena)};
  if (s->options->no_files) {
    tn_error(s->ctx, loc, TN_E_FILE, "'%s': no files are read here", path);
    return NULL;
  }
  DIR *folder = opendir(path);
  bool ok = folder ? read_folder(s, store, folder, loc) : read_file(s, store, path, "", loc);
  if (folder) closedir(folder);
  return ok ? store : NULL;
}
