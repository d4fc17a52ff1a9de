/* See command.h. */
#include "runtime/core/command.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool allowed(const tnrt_option *row, const char *verb) {
  char key[32];
  snprintf(key, sizeof key, " %s ", verb);
  return strstr(row->verbs, key) != NULL;
}

void tnrt_options_print(const tnrt_option *rows, int n, const char *verb, int width) {
  for (int i = 0; i < n; i++) {
    char left[64];
    if (!allowed(&rows[i], verb)) continue;
    snprintf(left, sizeof left, "%s%s%s", rows[i].name, rows[i].value ? " " : "", rows[i].value ? rows[i].value : "");
    printf("    %-*s %s\n", width, left, rows[i].doc);
  }
}

/* The row of a word "--name" or "--name=value", or -1. */
static int find(const tnrt_option *rows, int n, const char *text, const char **out_value) {
  const char *name = strcmp(text, "-h") == 0 ? "--help" : text;
  *out_value = NULL;
  for (int i = 0; i < n; i++) {
    size_t bytes = strlen(rows[i].name);
    if (strncmp(name, rows[i].name, bytes) != 0) continue;
    if (!name[bytes]) return i;
    if (name[bytes] != '=' || !rows[i].value || name[1] != '-') continue;
    *out_value = name + bytes + 1;
    return i;
  }
  return -1;
}

tnrt_status tnrt_option_read(tnrt_message *message, const tnrt_option *rows, int n, const char *verb, int argc,
                             char **argv, int *at, int *out_which, const char **out_value) {
  const char *text = argv[*at];
  *out_which = find(rows, n, text, out_value);
  if (*out_which < 0 && text[0] != '-') return TNRT_OK;
  if (*out_which < 0) return tnrt_fail(message, TNRT_BAD_INPUT, "unknown option '%.100s' (see --help)", text);
  const tnrt_option *row = &rows[*out_which];
  if (!allowed(row, verb))
    return tnrt_fail(message, TNRT_BAD_INPUT, "'%s' has no meaning for '%s' (see --help)", row->name, verb);
  if (!row->value || *out_value) return TNRT_OK;
  if (*at + 1 == argc) return tnrt_fail(message, TNRT_BAD_INPUT, "'%.100s' needs a value", text);
  *out_value = argv[++*at];
  return TNRT_OK;
}

tnrt_status tnrt_option_integer(tnrt_message *message, const char *name, const char *text, int64_t lo, int64_t hi,
                                int64_t *out) {
  char *end;
  errno = 0;
  long long value = strtoll(text, &end, 10);
  if (errno || end == text || *end || value < lo || value > hi)
    return tnrt_fail(message, TNRT_BAD_INPUT, "%s: expected a whole number from %lld to %lld, found '%.100s'", name,
                     (long long)lo, (long long)hi, text);
  *out = value;
  return TNRT_OK;
}

int tnrt_exit_status(tnrt_status status) {
  switch (status) {
    case TNRT_OK:
      return 0;
    case TNRT_NO_MEMORY:
    case TNRT_IO:
    case TNRT_CPU:
      return 71;
    case TNRT_BAD_SHAPE:
    case TNRT_BAD_INPUT:
    case TNRT_INDEX:
      return 1;
  }
  return 71;
}
