/* JSON by a cursor (json.h). Source: RFC 8259; stricter nowhere, laxer nowhere but that bytes of strings are not
 * checked to be UTF-8. */
#include "runtime/train/json.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/train/unicode.h"

enum { MAX_DEPTH = 64, MAX_NUMBER = 128 };

static bool fail(tnrt_json *json, const char *error) {
  if (!json->error) json->error = error;
  return false;
}

static void skip_space(tnrt_json *json) {
  while (json->at < json->end && (*json->at == ' ' || *json->at == '\n' || *json->at == '\t' || *json->at == '\r'))
    json->at++;
}

char tnrt_json_peek(tnrt_json *json) {
  if (json->error) return 0;
  skip_space(json);
  if (json->at == json->end) return 0;
  char c = *json->at;
  return c == '-' || (c >= '0' && c <= '9') ? '0' : c;
}

static bool in_object(const tnrt_json *json) { return json->depth > 0 && json->objects >> (json->depth - 1) & 1; }

/* A value may begin here. */
static bool expects_value(tnrt_json *json) {
  if (json->error) return false;
  return !json->expects_key || fail(json, "expected a key");
}

bool tnrt_json_enter(tnrt_json *json, char bracket) {
  if (!expects_value(json)) return false;
  if (tnrt_json_peek(json) != bracket) return fail(json, bracket == '{' ? "expected '{'" : "expected '['");
  if (json->depth == MAX_DEPTH) return fail(json, "more than 64 levels");
  uint64_t bit = (uint64_t)1 << json->depth++;
  json->objects = bracket == '{' ? json->objects | bit : json->objects & ~bit;
  json->is_first = true;
  json->at++;
  return true;
}

bool tnrt_json_more(tnrt_json *json) {
  if (json->error || json->depth == 0) return false;
  char c = tnrt_json_peek(json), closing = in_object(json) ? '}' : ']';
  bool is_first = json->is_first;
  json->is_first = false;
  if (c == closing) {
    json->at++;
    json->depth--;
    return false;
  }
  if (!is_first) {
    if (c != ',') return fail(json, "expected ',' or a closing bracket");
    json->at++;
  }
  json->expects_key = in_object(json);
  return true;
}

static int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The four digits of \uXXXX at `at`, or -1. */
static int32_t code_unit(const char *at, const char *end) {
  int32_t code = 0;
  if (end - at < 4) return -1;
  for (int i = 0; i < 4; i++) {
    int digit = hex_digit(at[i]);
    if (digit < 0) return -1;
    code = code << 4 | digit;
  }
  return code;
}

/* The character of an escape behind its '\'; *at moves over it. -1: it is none. */
static int32_t escaped(const char **at, const char *end) {
  static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
  if (*at == end || !**at) return -1;
  char letter = *(*at)++;
  const char *found = strchr(letters, letter);
  if (found) return meanings[found - letters];
  int32_t high = letter == 'u' ? code_unit(*at, end) : -1;
  if (high < 0) return -1;
  *at += 4;
  if (high < 0xd800 || high > 0xdfff) return high;
  if (high > 0xdbff || end - *at < 6 || (*at)[0] != '\\' || (*at)[1] != 'u') return -1;
  int32_t low = code_unit(*at + 2, end);
  if (low < 0xdc00 || low > 0xdfff) return -1;
  *at += 6;
  return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
}

bool tnrt_json_raw(tnrt_json *json, const char **out, size_t *out_bytes) {
  if (json->error) return false;
  if (tnrt_json_peek(json) != '"') return fail(json, json->expects_key ? "expected a key" : "expected a text");
  const char *at = json->at + 1;
  *out = at;
  while (at < json->end && *at != '"') {
    if ((unsigned char)*at < 0x20) return fail(json, "a control character in a text");
    if (*at++ == '\\' && escaped(&at, json->end) < 0) return fail(json, "an escape that JSON does not have");
  }
  if (at == json->end) return fail(json, "a text that does not end");
  *out_bytes = (size_t)(at - *out);
  json->at = at + 1;
  if (!json->expects_key) return true;
  json->expects_key = false;
  if (tnrt_json_peek(json) != ':') return fail(json, "expected ':'");
  json->at++;
  return true;
}

bool tnrt_json_text(tnrt_json *json, char *out, size_t capacity, size_t *out_bytes) {
  const char *raw;
  size_t raw_bytes, n = 0, kept = 0;
  if (!tnrt_json_raw(json, &raw, &raw_bytes)) return false;
  for (const char *at = raw, *end = raw + raw_bytes; at < end;) {
    char bytes[4] = {*at++};
    int count = bytes[0] == '\\' ? tnrt_char_write((uint32_t)escaped(&at, end), bytes) : 1;
    if (kept == n && n + (size_t)count < capacity) {
      memcpy(out + n, bytes, (size_t)count);
      kept += (size_t)count;
    }
    n += (size_t)count;
  }
  if (capacity > 0) out[kept] = 0;
  if (out_bytes) *out_bytes = n;
  return true;
}

bool tnrt_json_key(tnrt_json *json, char *out, size_t capacity) {
  if (!json->error && !json->expects_key) return fail(json, "no key is expected");
  return tnrt_json_text(json, out, capacity, NULL);
}

static bool is_digit(const tnrt_json *json, const char *at) { return at < json->end && *at >= '0' && *at <= '9'; }

/* Past a number; NULL when there is none. */
static const char *number_end(tnrt_json *json, bool *out_is_whole) {
  if (!expects_value(json)) return NULL;
  skip_space(json);
  const char *at = json->at;
  *out_is_whole = true;
  if (at < json->end && *at == '-') at++;
  if (!is_digit(json, at)) return fail(json, "expected a number"), NULL;
  if (*at++ != '0')
    while (is_digit(json, at)) at++;
  if (at < json->end && *at == '.') {
    *out_is_whole = false;
    at++;
    if (!is_digit(json, at)) return fail(json, "a number ends in '.'"), NULL;
    while (is_digit(json, at)) at++;
  }
  if (at < json->end && (*at == 'e' || *at == 'E')) {
    *out_is_whole = false;
    at++;
    if (at < json->end && (*at == '+' || *at == '-')) at++;
    if (!is_digit(json, at)) return fail(json, "a number without its exponent"), NULL;
    while (is_digit(json, at)) at++;
  }
  return at;
}

bool tnrt_json_number(tnrt_json *json, double *out) {
  bool is_whole;
  char text[MAX_NUMBER];
  const char *end = number_end(json, &is_whole);
  if (!end) return false;
  size_t n = (size_t)(end - json->at);
  if (n >= sizeof text) return fail(json, "a number of more than 127 digits");
  memcpy(text, json->at, n);
  text[n] = 0;
  *out = strtod(text, NULL);
  json->at = end;
  return true;
}

bool tnrt_json_integer(tnrt_json *json, int64_t *out) {
  bool is_whole;
  const char *end = number_end(json, &is_whole);
  if (!end) return false;
  if (!is_whole) return fail(json, "expected a whole number");
  bool is_negative = *json->at == '-';
  int64_t value = 0;
  for (const char *at = json->at + is_negative; at < end; at++)
    if (__builtin_mul_overflow(value, (int64_t)10, &value) ||
        __builtin_add_overflow(value, (int64_t)(is_negative ? '0' - *at : *at - '0'), &value))
      return fail(json, "a number of more than 63 bits");
  *out = value;
  json->at = end;
  return true;
}

static bool skip_word(tnrt_json *json) {
  static const char *const words[] = {"true", "false", "null"};
  if (!expects_value(json)) return false;
  for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
    size_t n = strlen(words[i]);
    if ((size_t)(json->end - json->at) < n || memcmp(json->at, words[i], n) != 0) continue;
    json->at += n;
    return true;
  }
  return fail(json, "expected a value");
}

static bool skip_one(tnrt_json *json) {
  const char *text;
  size_t bytes;
  bool is_whole;
  char c = tnrt_json_peek(json);
  if (c == '{' || c == '[') return tnrt_json_enter(json, c);
  if (c == '"') return expects_value(json) && tnrt_json_raw(json, &text, &bytes);
  if (c != '0') return skip_word(json);
  const char *end = number_end(json, &is_whole);
  if (end) json->at = end;
  return end != NULL;
}

bool tnrt_json_skip(tnrt_json *json) {
  int depth = json->depth;
  do {
    const char *key;
    size_t bytes;
    if (!skip_one(json)) return false;
    while (json->depth > depth && !json->error && !tnrt_json_more(json)) continue;
    if (json->expects_key && !tnrt_json_raw(json, &key, &bytes)) return false;
  } while (json->depth > depth && !json->error);
  return !json->error;
}
