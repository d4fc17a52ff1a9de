/* JSON read by a cursor: what stands next, values one after the other, nothing kept. For safetensors' headers, lines of
 * JSONL, tokenizer.json. Depth is bounded (64) and no function recurses. */
#ifndef TNRT_TRAIN_JSON_H
#define TNRT_TRAIN_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct tnrt_json {
  const char *at, *end;
  const char *error; /* NULL: none so far; after an error all functions give false, 0 */
  int depth;
  uint64_t objects; /* bit i: level i is an object */
  bool is_first;    /* of the array or object that was just entered */
  bool expects_key; /* tnrt_json_more has found a member of an object */
} tnrt_json;

static inline tnrt_json tnrt_json_over(const char *text, size_t bytes) {
  return (tnrt_json){.at = text, .end = text + bytes};
}

/* '{' '[' '"' '0' (a number) 't' 'f' 'n', or 0 at the end of the text or an error. */
char tnrt_json_peek(tnrt_json *json);
/* Into an object or array; then, before each member, whether there is one more (past the closing bracket when not). */
bool tnrt_json_enter(tnrt_json *json, char bracket);
bool tnrt_json_more(tnrt_json *json);
/* A member's key, with its colon, or a string value. As tnrt_json_text, but what it gives lies in the text, still with
 * its escapes. */
bool tnrt_json_raw(tnrt_json *json, const char **out, size_t *out_bytes);
/* Unescaped UTF-8 into out (cut to capacity, zero-ended); *out_bytes: its whole length, may be NULL. out may be where
 * the text itself stands. Keys: call tnrt_json_key. */
bool tnrt_json_text(tnrt_json *json, char *out, size_t capacity, size_t *out_bytes);
bool tnrt_json_key(tnrt_json *json, char *out, size_t capacity);
bool tnrt_json_number(tnrt_json *json, double *out);
bool tnrt_json_integer(tnrt_json *json, int64_t *out);
bool tnrt_json_skip(tnrt_json *json); /* any value, whole */

#endif
