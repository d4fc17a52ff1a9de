/* What the driver does after a fault of tenon, which no input should be able to cause: the file to report. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frontend/driver/driver.h"

static char folder[] = "/tmp/tenon-unit-XXXXXX";
static const char model[] = "tnir 1\nfunc @run entry (%x: f32[4] \"x\") -> (f32[4] \"y\") {\n"
                            "  %0 = neg %x : f32[4]\n  %1 = neg %0 : f32[4]\n  return %1\n}\n";

static int set_up(void **state) {
  (void)state;
  return mkdtemp(folder) && setenv("TMPDIR", folder, 1) == 0 && chdir(folder) == 0 ? 0 : -1;
}

static int tear_down(void **state) {
  (void)state;
  unlink("model.tnir");
  return chdir("/") == 0 && rmdir(folder) == 0 ? 0 : -1;
}

/* The text of the one fault file in the folder, which is removed. */
static void read_fault_file(char *text, size_t room) {
  DIR *dir = opendir(".");
  size_t n_files = 0;
  for (struct dirent *entry; (entry = readdir(dir));) {
    if (strncmp(entry->d_name, "tenon-fault-", 12) != 0) continue;
    n_files++;
    FILE *file = fopen(entry->d_name, "r");
    text[fread(text, 1, room - 1, file)] = 0;
    fclose(file);
    unlink(entry->d_name);
  }
  closedir(dir);
  assert_int_equal(n_files, 1);
}

static void fail_in(const char *pass, char *text, size_t room) {
  char *words[] = {"tenon", "model.tnir", "--emit=ir", "-o", "a b.out", NULL};
  FILE *file = fopen("model.tnir", "w");
  fputs(model, file);
  fclose(file);
  tn_driver driver;
  tn_driver_start(&driver, 5, words);
  assert_true(tn_driver_parse(&driver));
  assert_true(tn_driver_load(&driver, &driver.options.inputs.data[0]));
  driver.fault = true;
  driver.failed_pass = pass;
  assert_int_equal(tn_driver_finish(&driver, false), EXIT_FAULT);
  read_fault_file(text, room);
}

static void test_file_holds_the_ir_before_the_pass(void **state) {
  char text[4096];
  (void)state;
  fail_in("infer", text, sizeof(text));
  assert_non_null(strstr(text, "fault in 'infer'"));
  assert_non_null(strstr(text, "# tenon model.tnir --emit=ir -o 'a b.out'\n"));
  assert_non_null(strstr(text, "neg %1"));
  fail_in("expand", text, sizeof(text)); /* simplify, which comes before, has removed what cancels */
  assert_non_null(strstr(text, "fault in 'expand'"));
  assert_null(strstr(text, "neg %1"));
  assert_non_null(strstr(text, "func @run entry"));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_file_holds_the_ir_before_the_pass)};
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
