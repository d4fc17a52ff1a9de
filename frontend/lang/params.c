/* Signatures: "name: kind = default, ...". */
#include "frontend/lang/params.h"

#include <string.h>

static const char *skip(const char *at) { return at + strspn(at, " "); }

static size_t trimmed(const char *at, size_t n) {
  while (n > 0 && at[n - 1] == ' ') n--;
  return n;
}

/* Up to the comma outside of parentheses. */
static size_t default_length(const char *at) {
  size_t n = 0;
  for (int depth = 0; at[n] && (at[n] != ',' || depth > 0); n++) depth += (at[n] == '(') - (at[n] == ')');
  return n;
}

/* Reads one parameter and its comma; NULL at the end. */
static const char *read_param(const char *at, tn_param *out) {
  at = skip(at);
  if (!*at) return NULL;
  *out = (tn_param){.name = at, .name_length = strcspn(at, ":=,. ")};
  at += out->name_length;
  if (strncmp(at, "...", 3) == 0) {
    out->is_rest = true;
    at += 3;
  }
  at = skip(at);
  if (*at == ':') {
    out->kind = skip(at + 1);
    out->kind_length = trimmed(out->kind, strcspn(out->kind, "=,"));
    at = out->kind + strcspn(out->kind, "=,");
  }
  if (*at == '=') {
    out->fallback = skip(at + 1);
    size_t n = default_length(out->fallback);
    out->fallback_length = trimmed(out->fallback, n);
    at = out->fallback + n;
  }
  return *at == ',' ? at + 1 : at;
}

uint32_t tn_signature_read(const char *signature, tn_param *out) {
  uint32_t n = 0;
  for (const char *at = signature; (at = read_param(at, &out[n])) != NULL;) {
    n++;
    TN_ASSERT(n <= TN_MAX_PARAMS);
    if (n == TN_MAX_PARAMS) break;
  }
  return n;
}

bool tn_part_is(const char *text, size_t n, const char *word) {
  return strlen(word) == n && memcmp(text, word, n) == 0;
}

bool tn_param_has(const tn_param *p, const char *word) {
  for (const char *at = p->kind, *end = p->kind + p->kind_length; p->kind_length && at <= end;) {
    const char *bar = memchr(at, '|', (size_t)(end - at));
    size_t n = (size_t)((bar ? bar : end) - at);
    if (tn_part_is(at, n, word)) return true;
    at += n + 1;
  }
  return false;
}
