/* Every reader on small files that are damaged: cut at every length, and every byte changed in two ways. The files are
 * those of the fuzz corpora, all read from blocks of their exact length, so that a sanitizer sees a byte too many. A
 * reader accepts or refuses with a message; what it accepts is whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <dirent.h>

#include "frontend/lang/store.h"
#include "frontend/onnx/onnx.h"
#include "ir/text.h"
#include "ir/verify.h"
#include "runtime/core/array.h"
#include "runtime/train/safetensors.h"

#define MAX_FILE_BYTES 1200
#define MAX_TRIES 60000 /* a reader's; files beyond that are left out */

typedef void (*reader)(uint8_t *data, size_t bytes);

static void read_model(tn_ctx *ctx, tn_module *module) {
  assert_true((module == NULL) == (ctx->n_errors > 0));
  tn_module_destroy(module);
  tn_ctx_destroy(ctx);
}

static void read_onnx(uint8_t *data, size_t bytes) {
  tn_ctx *ctx = tn_ctx_create((tn_oom){0});
  tn_module *module = tn_onnx_load_bytes(ctx, "damaged.onnx", data, bytes, NULL);
  if (module) assert_true(tn_verify(module));
  read_model(ctx, module);
}

static void read_tnir(uint8_t *data, size_t bytes) {
  tn_ctx *ctx = tn_ctx_create((tn_oom){0});
  read_model(ctx, tn_text_parse(ctx, "damaged.tnir", (const char *)data, bytes));
}

/* The elements are there, all of them. */
static void take_array(tnrt_array *array, tnrt_status status, const tnrt_message *message) {
  volatile uint8_t sum = 0;
  if (status != TNRT_OK) assert_true(message->text[0] != 0);
  for (int64_t i = 0; status == TNRT_OK && i < array->bytes; i++) sum = (uint8_t)(sum + array->data[i]);
  tnrt_array_free(&tnrt_alloc_libc, array);
}

static void read_npy(uint8_t *data, size_t bytes) {
  tnrt_message message = {0};
  tnrt_array array = {0};
  take_array(&array, tnrt_npy_read(&message, &tnrt_alloc_libc, data, bytes, &array), &message);
}

static void read_pb(uint8_t *data, size_t bytes) {
  tnrt_message message = {0};
  tnrt_array array = {0};
  const char *name;
  size_t name_bytes;
  take_array(&array, tnrt_pb_read(&message, &tnrt_alloc_libc, data, bytes, &array, &name, &name_bytes), &message);
}

static void read_safetensors(uint8_t *data, size_t bytes) {
  static const tn_lang_options options;
  tn_ctx *ctx = tn_ctx_create((tn_oom){0});
  tn_sema sema = {.ctx = ctx, .arena = ctx->arena, .options = &options};
  tn_store store = {.path = "damaged.safetensors", .strings = ctx->strings, .names = tn_map_create(ctx->arena)};
  assert_true(tn_safetensors_read(&sema, &store, data, bytes, TN_LOC_NONE) == (ctx->n_errors == 0));
  tn_ctx_destroy(ctx);
}

/* The first two bytes tell how much stands behind the header. */
static void read_train_header(uint8_t *data, size_t bytes) {
  tnrt_message message = {0};
  tnrt_safetensors file = {0};
  if (bytes < 2) return;
  char *header = (char *)data + 2;
  tnrt_safetensors_bound(header, bytes - 2, &file.max_tensors, &file.max_texts);
  file.tensors = malloc((file.max_tensors + 1) * sizeof(*file.tensors));
  file.by_name = malloc((file.max_tensors + 1) * sizeof(*file.by_name));
  file.texts = malloc((file.max_texts + 1) * sizeof(*file.texts));
  if (tnrt_safetensors_parse(&message, header, bytes - 2, (uint64_t)data[0] << 8 | data[1], &file) != TNRT_OK)
    assert_true(message.text[0] != 0);
  free(file.tensors), free(file.by_name), free(file.texts);
}

static void read_npz(uint8_t *data, size_t bytes) {
  tnrt_message message = {0};
  tnrt_npz npz;
  tnrt_npz_member member;
  bool found = true;
  tnrt_status status = tnrt_npz_open(&message, data, bytes, &npz);
  while (status == TNRT_OK && found) {
    status = tnrt_npz_next(&message, &npz, &member, &found);
    if (status != TNRT_OK || !found) break;
    tnrt_array array = {0};
    take_array(&array, tnrt_npz_read(&message, &tnrt_alloc_libc, &npz, &member, &array), &message);
  }
  if (status != TNRT_OK) assert_true(message.text[0] != 0);
}

static void read_copy(reader read, const uint8_t *file, size_t bytes, size_t at, uint8_t change) {
  uint8_t *copy = malloc(bytes ? bytes : 1);
  memcpy(copy, file, bytes);
  if (at < bytes) copy[at] ^= change;
  read(copy, bytes);
  free(copy);
}

static size_t damage(reader read, const uint8_t *file, size_t n) {
  for (size_t bytes = 0; bytes <= n; bytes++) read_copy(read, file, bytes, bytes, 0);
  for (size_t at = 0; at < n; at++) {
    read_copy(read, file, n, at, 0x01);
    read_copy(read, file, n, at, 0xff);
  }
  return 3 * n;
}

static void damage_all(const char *name, reader read) {
  char path[512];
  uint8_t file[MAX_FILE_BYTES];
  size_t tries = 0;
  snprintf(path, sizeof(path), "%s/tests/fuzz/corpus/%s", TENON_SOURCE, name);
  struct dirent **entries;
  int n = scandir(path, &entries, NULL, alphasort);
  for (int i = 0; i < n; i++) {
    snprintf(path, sizeof(path), "%s/tests/fuzz/corpus/%s/%.100s", TENON_SOURCE, name, entries[i]->d_name);
    free(entries[i]);
    FILE *from = tries < MAX_TRIES ? fopen(path, "rb") : NULL;
    size_t bytes = from ? fread(file, 1, sizeof(file), from) : 0;
    if (from) fclose(from);
    if (bytes > 0 && bytes < sizeof(file)) tries += damage(read, file, bytes);
  }
  if (n >= 0) free(entries);
  if (tries < 200) fail_msg("no files to damage in %s", path);
}

static void onnx(void **state) { (void)state, damage_all("onnx", read_onnx); }
static void tnir(void **state) { (void)state, damage_all("tnir", read_tnir); }
static void npy(void **state) { (void)state, damage_all("npy", read_npy); }
static void npz(void **state) { (void)state, damage_all("npz", read_npz); }
static void safetensors(void **state) { (void)state, damage_all("safetensors", read_safetensors); }
static void train_header(void **state) { (void)state, damage_all("train_header", read_train_header); }
static void pb(void **state) { (void)state, damage_all("pb", read_pb); }

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(onnx), cmocka_unit_test(tnir), cmocka_unit_test(npy),
                                     cmocka_unit_test(npz), cmocka_unit_test(pb),
                                     cmocka_unit_test(safetensors), cmocka_unit_test(train_header)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
