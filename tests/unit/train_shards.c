/* Tables that several processes index together (runtime/train/table_index.c) are those that one process finds, row by
 * row and error by error, for files drawn at random out of all that tables have. The processes are threads here, and so
 * is the library of messages between them. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/train/random.h"
#include "runtime/train/table.h"

enum { MOST_RANKS = 5, MOST_BYTES = 6000 };

/* ---- messages ---- */

static _Thread_local int own_rank;
static int n_ranks;
static void *buffers[MOST_RANKS];
static pthread_barrier_t barrier;

static void show(void *buffer) {
  buffers[own_rank] = buffer;
  pthread_barrier_wait(&barrier);
}

static int done(int *out_request) {
  pthread_barrier_wait(&barrier);
  *out_request = 0;
  return 0;
}

static int gather(void *buffer, const int *counts, int *out_request) {
  size_t at = 0;
  show(buffer);
  for (int r = 0; r < n_ranks; at += (size_t)counts[r++])
    if (r != own_rank) memcpy((char *)buffer + at, (char *)buffers[r] + at, (size_t)counts[r]);
  return done(out_request);
}

static int broadcast(void *buffer, size_t bytes, int root, int *out_request) {
  show(buffer);
  if (root != own_rank) memcpy(buffer, buffers[root], bytes);
  return done(out_request);
}

static int test(int request, int *out_done) { return (void)request, *out_done = 1, 0; }

static const tnrt_comm comm = {.version = TNRT_COMM, .gather = gather, .broadcast = broadcast, .test = test};

/* ---- one file ---- */

static char path[] = "/tmp/tenon-shards-XXXXXX";

typedef struct reading {
  pthread_t thread;
  tnrt_world world;
  tnrt_message message;
  const tnrt_table_format *format;
  tnrt_table table;
  tnrt_status status;
} reading;

static void *read_share(void *argument) {
  reading *r = argument;
  own_rank = r->world.rank;
  r->status = tnrt_table_share(&r->message, &tnrt_alloc_libc, &r->world, path, r->format, &r->table);
  return NULL;
}

static void compare_rows(const tnrt_table *a, const tnrt_table *b) {
  tnrt_row x = {.alloc = &tnrt_alloc_libc}, y = {.alloc = &tnrt_alloc_libc};
  tnrt_message m;
  assert_int_equal(a->n_rows, b->n_rows);
  assert_int_equal(a->n_columns, b->n_columns);
  for (uint32_t c = 0; c < a->n_columns; c++) assert_string_equal(a->names[c], b->names[c]);
  for (int64_t i = 0; i < a->n_rows; i++) {
    assert_int_equal(tnrt_row_read(&x, &m, a, i), TNRT_OK);
    assert_int_equal(tnrt_row_read(&y, &m, b, i), TNRT_OK);
    assert_int_equal(x.line, y.line);
    for (uint32_t c = 0; c < a->n_columns; c++) assert_string_equal(tnrt_row_cell(&x, c), tnrt_row_cell(&y, c));
  }
  for (int64_t i = a->n_rows; i-- > 0;) { /* backwards: by the marks */
    assert_int_equal(tnrt_row_read(&y, &m, b, i), TNRT_OK);
    assert_int_equal(tnrt_row_read(&x, &m, a, i), TNRT_OK);
    assert_int_equal(x.line, y.line);
  }
  tnrt_row_free(&x);
  tnrt_row_free(&y);
}

/* Returns whether the table was sound. */
static bool compare(const char *text, size_t bytes, const tnrt_table_format *format, int size) {
  static reading shares[MOST_RANKS];
  uint64_t room = 1 << 20;
  tnrt_message message = {{0}};
  tnrt_table alone;
  FILE *f = fopen(path, "w");
  fwrite(text, 1, bytes, f);
  fclose(f);
  tnrt_status status = tnrt_table_read(&message, &tnrt_alloc_libc, path, format, &room, &alone);
  n_ranks = size;
  pthread_barrier_init(&barrier, NULL, (unsigned)size);
  for (int r = 0; r < size; r++) {
    reading *s = &shares[r];
    *s = (reading){.world = {.rank = r, .size = size, .comm = &comm}, .format = format};
    s->world.message = &s->message;
    assert_int_equal(pthread_create(&s->thread, NULL, read_share, s), 0);
  }
  for (int r = 0; r < size; r++) pthread_join(shares[r].thread, NULL);
  pthread_barrier_destroy(&barrier);
  for (int r = 0; r < size; r++) {
    assert_int_equal(shares[r].status, status);
    if (status != TNRT_OK || alone.n_dropped) assert_string_equal(shares[r].message.text, message.text);
    if (status == TNRT_OK) assert_int_equal(shares[r].table.n_dropped, alone.n_dropped);
    if (status == TNRT_OK) compare_rows(&alone, &shares[r].table);
    tnrt_table_free(&tnrt_alloc_libc, &shares[r].table);
  }
  tnrt_table_free(&tnrt_alloc_libc, &alone);
  return status == TNRT_OK;
}

/* ---- files at random ---- */

static uint64_t n_drawn;

static uint64_t below(uint64_t n) { return tnrt_random_bits(7, TNRT_STREAM_FIT, 0, n_drawn++) % n; }

/* Parts of a file, one after the other. */
static size_t draw(char *out, const char *const *parts, uint64_t n_parts) {
  size_t bytes = 0, end = below(4) ? below(200) : below(MOST_BYTES - 64);
  while (bytes < end) {
    const char *part = parts[below(n_parts)];
    memcpy(out + bytes, part, strlen(part));
    bytes += strlen(part);
  }
  return bytes;
}

static void random_tables(void **state) {
  (void)state;
  static const char *const wild[] = {"a", "\"", ",", "\n", "\r", "\r\n", "\"x\ny\"", "1,2\n", "b\"c"};
  static const char *const tame[] = {"1,2\n", "\"a\n,\"\"b\r\n\",3\r\n", "long words that fill bytes,\"\"\n", "\n",
                                     "x,\"\n\n\n\"\n"};
  static const char *const half[] = {"1,2\n", "\"a\nb\",2\n", "5\" wide,3\n", "1\n", "\"1,2\n3\",\"4\"\n"};
  static const struct { const char *const *parts; uint64_t n; } kinds[] = {{wild, 9}, {tame, 5}, {half, 5}};
  char text[MOST_BYTES + 64];
  int n_sound = 0, n_wrong = 0;
  for (int i = 0; i < 1000; i++) {
    uint64_t kind = below(3);
    tnrt_table_format format = {.separator = ',', .has_header = below(2), .drops_bad = below(3) > 0};
    size_t bytes = draw(text, kinds[kind].parts, kinds[kind].n);
    bool is_sound = compare(text, bytes, &format, 2 + (int)below(MOST_RANKS - 1));
    n_sound += is_sound;
    n_wrong += !is_sound;
  }
  assert_true(n_sound > 200 && n_wrong > 200);
}

static void random_json(void **state) {
  (void)state;
  static const char *const parts[] = {"{\"a\": 1}\n", "{\"b\": \"x\\ny\", \"a\": [1, 2]}\n", "\n", " \r\n",
                                      "{\"c\": {\"d\": \"\\\"\"}}\r\n", "{\"e\": true}\n", "none\n"};
  char text[MOST_BYTES + 64];
  int n_sound = 0, n_wrong = 0;
  for (int i = 0; i < 700; i++) {
    tnrt_table_format format = {.is_json = true, .drops_bad = below(2)};
    size_t bytes = draw(text, parts, 6 + below(2));
    bool is_sound = compare(text, bytes, &format, 2 + (int)below(MOST_RANKS - 1));
    n_sound += is_sound;
    n_wrong += !is_sound;
  }
  assert_true(n_sound > 100 && n_wrong > 100);
}

static int make_path(void **state) { return (void)state, close(mkstemp(path)); }
static int remove_path(void **state) { return (void)state, unlink(path); }

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(random_tables), cmocka_unit_test(random_json)};
  return cmocka_run_group_tests(tests, make_path, remove_path);
}
