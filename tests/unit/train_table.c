/* Tables of text as RFC 4180 has them, numbers of cells, dictionaries, and orders of samples. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/train/dictionary.h"
#include "runtime/train/random.h"
#include "runtime/train/table.h"

static char path[] = "/tmp/tenon-table-XXXXXX";

/* room 0: the file is read as rows are. */
static tnrt_status read_text(const char *text, tnrt_table_format format, uint64_t room, tnrt_table *out,
                             tnrt_message *message) {
  FILE *f = fopen(path, "w");
  fwrite(text, 1, strlen(text), f);
  fclose(f);
  return tnrt_table_read(message, &tnrt_alloc_libc, path, &format, &room, out);
}

static const tnrt_table_format csv = {.separator = ',', .has_header = true};
static const uint64_t rooms[] = {0, 1 << 20};

static void expect_cell(tnrt_row *row, const tnrt_table *t, int64_t number, uint32_t column, const char *want) {
  tnrt_message m;
  assert_int_equal(tnrt_row_read(row, &m, t, number), TNRT_OK);
  assert_string_equal(tnrt_row_cell(row, column), want);
}

static void reads_tables(void **state) {
  (void)state;
  tnrt_message m;
  tnrt_table t;
  const char *text = "\xef\xbb\xbf" "a,\"b \"\"b\"\"\",c\r\n1,\"x,\r\ny\",\r\n\r\n,2,\"\"";
  for (int i = 0; i < 2; i++) {
    tnrt_row row = {.alloc = &tnrt_alloc_libc};
    assert_int_equal(read_text(text, csv, rooms[i], &t, &m), TNRT_OK);
    assert_int_equal(t.n_columns, 3);
    assert_int_equal(t.n_rows, 2);
    assert_string_equal(t.names[0], "a");
    assert_string_equal(t.names[1], "b \"b\"");
    expect_cell(&row, &t, 1, 0, "");
    expect_cell(&row, &t, 1, 2, "");
    assert_int_equal(row.line, 5);
    expect_cell(&row, &t, 0, 1, "x,\r\ny");
    expect_cell(&row, &t, 0, 2, "");
    assert_int_equal(row.line, 2);
    assert_int_equal(tnrt_table_column(&t, "c"), 2);
    assert_int_equal(tnrt_table_column(&t, "d"), 3);
    tnrt_row_free(&row);
    tnrt_table_free(&tnrt_alloc_libc, &t);
  }
}

static void names_columns(void **state) {
  (void)state;
  tnrt_message m;
  tnrt_table t;
  tnrt_row row = {.alloc = &tnrt_alloc_libc};
  assert_int_equal(read_text("1\t2,5\n3\t4\n", (tnrt_table_format){.separator = '\t'}, 0, &t, &m), TNRT_OK);
  assert_int_equal(t.n_rows, 2);
  assert_string_equal(t.names[1], "c2");
  expect_cell(&row, &t, 0, 1, "2,5");
  assert_int_equal(row.line, 1);
  tnrt_row_free(&row);
  tnrt_table_free(&tnrt_alloc_libc, &t);
}

static void refuse(const char *text, const char *want) {
  tnrt_message m;
  tnrt_table t;
  for (int i = 0; i < 2; i++) {
    assert_int_equal(read_text(text, csv, rooms[i], &t, &m), TNRT_BAD_INPUT);
    assert_string_equal(strchr(m.text, ':') ? strchr(m.text, ':') : m.text, want);
    tnrt_table_free(&tnrt_alloc_libc, &t);
  }
}

static void refuses_tables(void **state) {
  (void)state;
  tnrt_message m;
  tnrt_table t;
  refuse("a,b\n1,2\n3\n", ":3: expected 2 cells as in the first row, found 1");
  refuse("a,b\n1,\"2\n3,4\n", ":2: column 2: a quote is not closed");
  refuse("a,b\n\"1\"x,2\n", ":2: column 1: text behind a closing quote");
  refuse("\n\n", ": the file has no row");
  for (int i = 0; i < 2; i++) {
    tnrt_row row = {.alloc = &tnrt_alloc_libc};
    tnrt_table_format drops = {.separator = ',', .has_header = true, .drops_bad = true};
    assert_int_equal(read_text("a,b\n1,2\n3\n4,5,6\n7,8\n", drops, rooms[i], &t, &m), TNRT_OK);
    assert_int_equal(t.n_rows, 2);
    assert_int_equal(t.n_dropped, 2);
    expect_cell(&row, &t, 1, 1, "8");
    assert_int_equal(row.line, 5);
    tnrt_row_free(&row);
    tnrt_table_free(&tnrt_alloc_libc, &t);
  }
}

/* Rows of all lengths, some longer than a block, quotes and line ends at every place: in any order, from the file as
 * from memory. */
static void reads_any_row(void **state) {
  (void)state;
  enum { ROWS = 1500, LONG = 600000 };
  char *text = malloc(ROWS * 1200 + 3 * LONG), *at = text;
  tnrt_message m;
  tnrt_table t;
  at += sprintf(at, "a,b\n");
  for (int i = 0; i < ROWS; i++) {
    int n = i % 500 == 7 ? LONG : (int)(tnrt_random_bits(3, 0, 0, (uint64_t)i) % 900);
    if (i % 11 == 3) at += sprintf(at, "dropped%s", i % 2 ? "\n" : "\r\n");
    at += sprintf(at, "%d,\"", i);
    for (int k = 0; k < n; k++) *at++ = k % 97 == 13 ? '\n' : k % 89 == 7 ? ',' : 'x';
    at += sprintf(at, "\"\"\"%s", i % 3 ? "\n" : "\r\n");
  }
  *at = 0;
  for (int i = 0; i < 2; i++) {
    tnrt_row row = {.alloc = &tnrt_alloc_libc};
    tnrt_table_format drops = {.separator = ',', .has_header = true, .drops_bad = true};
    assert_int_equal(read_text(text, drops, i ? 1 << 24 : 0, &t, &m), TNRT_OK);
    assert_int_equal(t.bytes.data != NULL, i);
    assert_int_equal(t.n_rows, ROWS);
    for (int k = 0; k < 4 * ROWS; k++) {
      int64_t number = k < ROWS ? k : (int64_t)(tnrt_random_bits(4, 0, 0, (uint64_t)k) % ROWS);
      char want[16];
      snprintf(want, sizeof want, "%lld", (long long)number);
      expect_cell(&row, &t, number, 0, want);
      size_t n = number % 500 == 7 ? LONG : tnrt_random_bits(3, 0, 0, (uint64_t)number) % 900;
      assert_int_equal(strlen(tnrt_row_cell(&row, 1)), n + 1);
    }
    tnrt_row_free(&row);
    tnrt_table_free(&tnrt_alloc_libc, &t);
  }
  free(text);
}

static void reads_numbers(void **state) {
  (void)state;
  const char *const right[] = {"0", "-0", "1.5", " 12 ", "+3", "1e-3", "0.1", "123456789012345", "0.30000000000000004",
                               "12345678901234567890", "1.7976931348623157e308", ".5", "5.", "-1E2", "000001.25"};
  const char *const wrong[] = {"", " ", "x", "1x", "nan", "inf", "1e999", "1,5", "0x10", "1 2", "--1", ".", "1e", "e1"};
  double value;
  for (size_t i = 0; i < sizeof right / sizeof right[0]; i++) {
    assert_true(tnrt_number_read(right[i], &value));
    assert_memory_equal(&value, (double[]){strtod(right[i], NULL)}, sizeof value);
  }
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) assert_false(tnrt_number_read(wrong[i], &value));
  /* Numbers as they stand in tables, against strtod. */
  for (int i = 0; i < 20000; i++) {
    char text[40];
    uint64_t bits = tnrt_random_bits(1, 0, 0, (uint64_t)i);
    snprintf(text, sizeof text, "%s%.*f", i % 2 ? "-" : "", i % 12, (double)(bits % 1000000000) / 3e3);
    assert_true(tnrt_number_read(text, &value));
    assert_memory_equal(&value, (double[]){strtod(text, NULL)}, sizeof value);
  }
}

static void numbers_texts(void **state) {
  (void)state;
  tnrt_dictionary d = tnrt_dictionary_start(&tnrt_alloc_libc), e = d;
  tnrt_message m;
  char text[16];
  for (int i = 999; i >= 0; i--)
    for (int k = 0; k <= i % 3; k++) {
      int n = snprintf(text, sizeof text, "%d", i - 500);
      assert_true(tnrt_dictionary_add(&d, text, (size_t)n) >= 0);
    }
  assert_int_equal(d.n, 1000);
  tnrt_dictionary_sort(&d, TNRT_SORT_CLASSES, UINT32_MAX);
  assert_string_equal(tnrt_dictionary_text(&d, 0), "-500");
  assert_int_equal(tnrt_dictionary_find(&d, "9", 1), 509);
  assert_int_equal(tnrt_dictionary_find(&d, "1000", 4), -1);
  tnrt_dictionary_add(&d, "a\"\\\n\xc3\xa9", 6); /* no number any more: by bytes */
  tnrt_dictionary_sort(&d, TNRT_SORT_CLASSES, UINT32_MAX);
  assert_string_equal(tnrt_dictionary_text(&d, 0), "-1");
  assert_string_equal(tnrt_dictionary_text(&d, 2), "-100");
  char *json = tnrt_dictionary_json(&d);
  assert_int_equal(tnrt_dictionary_read(&m, &e, json, "labels"), TNRT_OK);
  assert_int_equal(e.n, d.n);
  for (uint32_t i = 0; i < d.n; i++) assert_string_equal(tnrt_dictionary_text(&e, i), tnrt_dictionary_text(&d, i));
  free(json);
  assert_int_equal(tnrt_dictionary_read(&m, &e, "[\"a\"", "labels"), TNRT_BAD_INPUT);
  tnrt_dictionary_sort(&d, TNRT_SORT_FREQUENT, 2);
  assert_int_equal(d.n, 2);
  assert_int_equal(d.words[0].count, 3);
  assert_int_equal(tnrt_dictionary_find(&d, "-500", 4), -1);
  tnrt_dictionary_free(&d);
  tnrt_dictionary_free(&e);
}

static void orders_samples(void **state) {
  (void)state;
  for (int64_t n = 1; n <= 3000; n = n * 3 / 2 + 1) {
    uint8_t seen[3001] = {0};
    int64_t fixed = 0, span[3001];
    tnrt_order order = tnrt_order_start(7, TNRT_STREAM_EPOCH, 3, n);
    tnrt_order_span(&order, n / 3, n - n / 3, span);
    for (int64_t i = 0; i < n; i++) {
      int64_t at = tnrt_order_at(&order, i);
      if (i >= n / 3) assert_int_equal(span[i - n / 3], at);
      assert_in_range(at, 0, n - 1);
      assert_int_equal(seen[at], 0);
      seen[at] = 1;
      fixed += at == i;
    }
    if (n > 20) assert_true(fixed < 10); /* one is expected */
  }
  /* Every sample is at every place about equally often over many epochs. */
  enum { SAMPLES = 12, EPOCHS = 6000 };
  int counts[SAMPLES][SAMPLES] = {{0}};
  for (uint64_t epoch = 0; epoch < EPOCHS; epoch++) {
    tnrt_order order = tnrt_order_start(1, TNRT_STREAM_EPOCH, epoch, SAMPLES);
    for (int64_t i = 0; i < SAMPLES; i++) counts[i][tnrt_order_at(&order, i)]++;
  }
  for (int i = 0; i < SAMPLES; i++)
    for (int k = 0; k < SAMPLES; k++) assert_in_range(counts[i][k], 380, 620); /* 500, deviation 21 */
}

static int make_file(void **state) {
  (void)state;
  int fd = mkstemp(path);
  return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state) {
  (void)state;
  return unlink(path);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(reads_tables),  cmocka_unit_test(names_columns), cmocka_unit_test(refuses_tables),
      cmocka_unit_test(reads_any_row), cmocka_unit_test(reads_numbers), cmocka_unit_test(numbers_texts),
      cmocka_unit_test(orders_samples),
  };
  return cmocka_run_group_tests(tests, make_file, remove_file);
}
