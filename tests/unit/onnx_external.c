/* External data: which locations are followed and which are refused, by a table; offsets and lengths. */
#include "frontend/onnx/external.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* base/model/m.onnx, and around it everything a hostile location could name. */
static const char *const setup_script =
    "cd '%s' && mkdir -p model/sub root/blobs root/snapshot && printf 0123456789abcdef > outside.bin && "
    "cp outside.bin model/w.bin && cp outside.bin model/sub/w.bin && cp outside.bin root/blobs/b1 && "
    "ln -s ../outside.bin model/link.bin && ln -s w.bin model/inner.bin && ln -s .. model/up && "
    "ln -s sub model/alias && ln outside.bin model/hard.bin && mkfifo model/fifo && ln -s ../blobs/b1 "
    "root/snapshot/w.bin && "
    "ln -s ../../outside.bin root/snapshot/out.bin && : > model/empty.bin";

typedef struct fixture {
  char base[64];
  tn_ctx *ctx;
  tn_arena *scratch;
} fixture;

static int set_up(void **state) {
  fixture *f = calloc(1, sizeof(*f));
  char script[2048];
  strcpy(f->base, "/tmp/tenon-external-XXXXXX");
  if (mkdtemp(f->base) == NULL) return -1;
  snprintf(script, sizeof(script), setup_script, f->base);
  f->ctx = tn_ctx_create((tn_oom){0});
  f->scratch = tn_arena_create_scratch(f->ctx->arena);
  *state = f;
  return system(script);
}

static int tear_down(void **state) {
  fixture *f = *state;
  char script[128];
  snprintf(script, sizeof(script), "rm -r '%s'", f->base);
  tn_arena_destroy(f->scratch);
  tn_ctx_destroy(f->ctx);
  int status = system(script);
  free(f);
  return status;
}

/* Reads 4 bytes at `offset` of location from model (relative to base) and gives whether that worked. */
static bool read_at(fixture *f, const char *model, const char *root, const char *location, const char *offset,
                    const char *length, char *out) {
  Onnx__StringStringEntryProto entries[3], *list[3];
  Onnx__TensorProto tensor = ONNX__TENSOR_PROTO__INIT;
  const char *texts[3][2] = {{"location", location}, {"offset", offset}, {"length", length}};
  size_t before = f->ctx->n_errors;
  for (int i = 0; i < 3; i++) {
    entries[i] = (Onnx__StringStringEntryProto)ONNX__STRING_STRING_ENTRY_PROTO__INIT;
    entries[i].key = (char *)texts[i][0];
    entries[i].value = (char *)texts[i][1];
    if (texts[i][1] != NULL) list[tensor.n_external_data++] = &entries[i];
  }
  tensor.external_data = list;
  const char *path = model != NULL ? tn_namef(f->ctx, "%s/%s", f->base, model) : NULL;
  const char *folder = root != NULL ? tn_namef(f->ctx, "%s/%s", f->base, root) : NULL;
  tn_external external = tn_external_create(f->ctx, f->scratch, path, folder, NULL);
  const uint8_t *data;
  const char *file;
  uint64_t at;
  bool ok = tn_external_read(&external, &tensor, TN_LOC_NONE, 4, &data, &file, &at);
  if (ok && out != NULL) memcpy(out, data, 4);
  tn_external_close(&external);
  assert_int_equal(f->ctx->n_errors, before + !ok);
  if (!ok) assert_int_equal(f->ctx->diags.data[f->ctx->diags.n - 1].code, TN_E_ONNX_EXTERNAL);
  return ok;
}

static void locations(void **state) {
  static const struct { const char *location; bool ok; } table[] = {
      {"w.bin", true},
      {"sub/w.bin", true},
      {"sub/../w.bin", true}, /* stays inside, resolved by the kernel */
      {"hard.bin", true},     /* a hard link is the file itself */
      {"./w.bin", true},
      {"../outside.bin", false},
      {"sub/../../outside.bin", false},
      {"../model/w.bin", false}, /* leaves, even if it comes back */
      {"/etc/passwd", false},
      {"//etc/passwd", false},
      {"link.bin", false},
      {"inner.bin", false},
      {"alias/w.bin", false},
      {"up/outside.bin", false},
      {"up/model/w.bin", false},
      {"fifo", false},
      {"sub", false},
      {".", false},
      {"..", false},
      {"", false},
      {"missing.bin", false},
      {"w.bin/", false},
      {"w.bin/x", false},
      {"empty.bin", false},
      {"/proc/self/fd/0", false},
      {"..\\outside.bin", false},
      {"file://w.bin", false},
      {"%2e%2e/outside.bin", false},
  };
  for (size_t i = 0; i < TN_ARRAY_LEN(table); i++) {
    bool ok = read_at(*state, "model/m.onnx", NULL, table[i].location, "0", NULL, NULL);
    if (ok != table[i].ok) fail_msg("location '%s' was %s", table[i].location, ok ? "followed" : "refused");
  }
}

static void a_root_follows_links_that_stay_inside(void **state) {
  assert_false(read_at(*state, "root/snapshot/m.onnx", NULL, "w.bin", "0", NULL, NULL));
  assert_true(read_at(*state, "root/snapshot/m.onnx", "root", "w.bin", "0", NULL, NULL));
  assert_false(read_at(*state, "root/snapshot/m.onnx", "root", "out.bin", "0", NULL, NULL));
  assert_false(read_at(*state, "root/snapshot/m.onnx", "root", "../../outside.bin", "0", NULL, NULL));
}

static void bytes_without_a_path_need_a_root(void **state) {
  assert_false(read_at(*state, NULL, NULL, "w.bin", "0", NULL, NULL));
  assert_true(read_at(*state, NULL, "model", "w.bin", "0", NULL, NULL));
}

static void offset_and_length(void **state) {
  static const struct { const char *offset, *length; bool ok; } table[] = {
      {"0", "4", true},   {"12", "4", true},  {NULL, NULL, true}, {"13", "4", false}, {"0", "5", false},
      {"17", NULL, false}, {"-1", NULL, false}, {"+1", NULL, false}, {" 1", NULL, false}, {"1x", NULL, false},
      {"", NULL, false},  {"18446744073709551614", NULL, false}, {"18446744073709551616", NULL, false},
      {"0x1", NULL, false},
  };
  for (size_t i = 0; i < TN_ARRAY_LEN(table); i++) {
    bool ok = read_at(*state, "model/m.onnx", NULL, "w.bin", table[i].offset, table[i].length, NULL);
    if (ok != table[i].ok) fail_msg("row %zu was %s", i, ok ? "accepted" : "refused");
  }
}

static void the_bytes_are_those_at_the_offset(void **state) {
  char got[4];
  assert_true(read_at(*state, "model/m.onnx", NULL, "sub/w.bin", "10", "4", got));
  assert_memory_equal(got, "abcd", 4);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(locations),
      cmocka_unit_test(a_root_follows_links_that_stay_inside),
      cmocka_unit_test(bytes_without_a_path_need_a_root),
      cmocka_unit_test(offset_and_length),
      cmocka_unit_test(the_bytes_are_those_at_the_offset),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
