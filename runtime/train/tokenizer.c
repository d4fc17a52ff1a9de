/* Tokenizers from files; see tokenizer.h. */
#include "runtime/train/tokenizer.h"

#include <string.h>

#include "runtime/core/file.h"
#include "runtime/train/json.h"

enum { MAX_TOKEN = 512, MAX_WORD = 200 };

typedef struct reader {
  tnrt_tokenizer *out;
  tnrt_message *message;
  const char *path;
  char type[32], unknown[64];
  tnrt_merge *merges;
  uint32_t n_merges, room;
  tnrt_json merge_list; /* read after the vocabulary, wherever it stands */
  bool has_merges;
} reader;

static tnrt_status no_memory(reader *r) {
  return tnrt_fail(r->message, TNRT_NO_MEMORY, "no memory for the tokenizer %.200s", r->path);
}

static tnrt_status bad(reader *r, const char *what) {
  return tnrt_fail(r->message, TNRT_BAD_INPUT, "%.200s: %s", r->path, what);
}

/* ---- vocabulary ---- */

static tnrt_status add_token(reader *r, const char *token, size_t bytes, int64_t id) {
  tnrt_tokenizer *t = r->out;
  if (id < 0 || id > INT32_MAX) return bad(r, "a token's number is none");
  int64_t at = tnrt_dictionary_add(&t->words, token, bytes);
  if (at < 0) return no_memory(r);
  if ((uint32_t)at >= t->room) {
    uint32_t room = t->room ? 2 * t->room : 4096;
    int32_t *ids = t->alloc->get(t->alloc->user, room * sizeof *ids, 64);
    if (!ids) return no_memory(r);
    if (t->room) memcpy(ids, t->ids, t->room * sizeof *ids);
    if (t->ids) t->alloc->give(t->alloc->user, t->ids);
    t->ids = ids;
    t->room = room;
  }
  t->ids[at] = (int32_t)id;
  return TNRT_OK;
}

static int32_t id_of(const tnrt_tokenizer *t, const char *token, size_t bytes) {
  int64_t found = tnrt_dictionary_find(&t->words, token, bytes);
  return found < 0 ? -1 : t->ids[found];
}

/* A token a line. */
static tnrt_status read_lines(reader *r, const char *text, size_t bytes) {
  tnrt_status status = TNRT_OK;
  strcpy(r->out->prefix, "##");
  strcpy(r->unknown, "[UNK]");
  for (int64_t id = 0; bytes > 0 && status == TNRT_OK; id++) {
    const char *end = memchr(text, '\n', bytes);
    size_t line = end ? (size_t)(end - text) : bytes, n = line && text[line - 1] == '\r' ? line - 1 : line;
    status = add_token(r, text, n, id);
    text += line + (end != NULL);
    bytes -= line + (end != NULL);
  }
  return status;
}

/* ---- tokenizer.json ---- */

/* GPT-2 writes bytes as characters: those that can be seen as themselves, the others as 256 and on. In place. */
static bool as_bytes(char *token, size_t *n) {
  size_t kept = 0;
  for (size_t i = 0; i < *n; kept++) {
    unsigned char c = (unsigned char)token[i++];
    uint32_t code = c;
    if (c >= 0x80) {
      if (c < 0xc2 || c > 0xdf || i == *n) return false;
      code = (uint32_t)(c & 0x1f) << 6 | ((unsigned char)token[i++] & 0x3f);
    }
    for (uint32_t byte = 0, next = 256; code >= 256 && byte < 256; byte++) {
      bool is_seen = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
      if (!is_seen && next++ == code) code = byte;
    }
    if (code >= 256) return false;
    token[kept] = (char)code;
  }
  *n = kept;
  return true;
}

static tnrt_status read_vocabulary(reader *r, tnrt_json *json) {
  char token[MAX_TOKEN];
  int64_t id;
  tnrt_status status = TNRT_OK;
  if (!tnrt_json_enter(json, '{')) return bad(r, "the vocabulary is no object");
  while (status == TNRT_OK && tnrt_json_more(json)) {
    size_t n = 0;
    if (!tnrt_json_text(json, token, sizeof token, &n) || !tnrt_json_integer(json, &id)) break;
    status = n < sizeof token ? add_token(r, token, n, id) : bad(r, "a token of more than 511 bytes");
  }
  return status == TNRT_OK && json->error ? bad(r, json->error) : status;
}

static tnrt_status read_model(reader *r, tnrt_json *json) {
  char key[64];
  tnrt_status status = TNRT_OK;
  if (!tnrt_json_enter(json, '{')) return bad(r, "the model is no object");
  while (status == TNRT_OK && tnrt_json_more(json) && tnrt_json_key(json, key, sizeof key)) {
    bool is_text = tnrt_json_peek(json) == '"';
    if (strcmp(key, "type") == 0 && is_text) tnrt_json_text(json, r->type, sizeof r->type, NULL);
    else if (strcmp(key, "unk_token") == 0 && is_text) tnrt_json_text(json, r->unknown, sizeof r->unknown, NULL);
    else if (strcmp(key, "continuing_subword_prefix") == 0 && is_text)
      tnrt_json_text(json, r->out->prefix, sizeof r->out->prefix, NULL);
    else if (strcmp(key, "vocab") == 0) status = read_vocabulary(r, json);
    else if (strcmp(key, "merges") == 0) {
      r->merge_list = *json;
      r->has_merges = tnrt_json_skip(json);
    } else
      tnrt_json_skip(json);
  }
  return status == TNRT_OK && json->error ? bad(r, json->error) : status;
}

/* The two tokens of a pair, "a b" or ["a", "b"], as bytes one after the other; *out_first: how many are the first's. */
static bool read_pair(tnrt_json *json, char *out, size_t *out_first, size_t *out_bytes) {
  char second[MAX_TOKEN];
  size_t n = 0, m = 0;
  if (tnrt_json_peek(json) == '[') {
    bool ok = tnrt_json_enter(json, '[') && tnrt_json_more(json) && tnrt_json_text(json, out, MAX_TOKEN, &n) &&
              tnrt_json_more(json) && tnrt_json_text(json, second, sizeof second, &m) && !tnrt_json_more(json);
    if (!ok || json->error) return false;
  } else {
    if (!tnrt_json_text(json, out, MAX_TOKEN, &n) || n >= MAX_TOKEN) return false;
    const char *blank = memchr(out, ' ', n);
    if (!blank) return false;
    m = n - (size_t)(blank - out) - 1;
    memcpy(second, blank + 1, m);
    n = (size_t)(blank - out);
  }
  if (n >= MAX_TOKEN || m >= MAX_TOKEN || !as_bytes(out, &n) || !as_bytes(second, &m)) return false;
  if (n + m > MAX_TOKEN) return false;
  memcpy(out + n, second, m);
  *out_first = n;
  *out_bytes = n + m;
  return true;
}

static tnrt_status add_merge(reader *r, const tnrt_merge *merge) {
  const tnrt_alloc *alloc = r->out->alloc;
  if (merge->left < 0 || merge->right < 0 || merge->result < 0) return bad(r, "a pair of no tokens");
  if (r->n_merges == r->room) {
    uint32_t room = r->room ? 2 * r->room : 4096;
    tnrt_merge *merges = alloc->get(alloc->user, room * sizeof *merges, 64);
    if (!merges) return no_memory(r);
    if (r->n_merges) memcpy(merges, r->merges, r->n_merges * sizeof *merges);
    if (r->merges) alloc->give(alloc->user, r->merges);
    r->merges = merges;
    r->room = room;
  }
  r->merges[r->n_merges++] = *merge;
  return TNRT_OK;
}

/* Tokens by their bytes, in the place of those by their characters. */
static tnrt_status unfold_vocabulary(reader *r) {
  tnrt_tokenizer *t = r->out;
  tnrt_dictionary written = t->words;
  int32_t *ids = t->ids;
  char token[MAX_TOKEN];
  tnrt_status status = TNRT_OK;
  t->words = tnrt_dictionary_start(t->alloc);
  t->ids = NULL;
  t->room = 0;
  for (uint32_t i = 0; i < written.n && status == TNRT_OK; i++) {
    size_t n = written.words[i].bytes;
    memcpy(token, tnrt_dictionary_text(&written, i), n);
    if (as_bytes(token, &n)) status = add_token(r, token, n, ids[i]); /* others are special ones */
  }
  tnrt_dictionary_free(&written);
  if (ids) t->alloc->give(t->alloc->user, ids);
  return status;
}

static tnrt_status make_bpe(reader *r) {
  tnrt_tokenizer *t = r->out;
  char both[MAX_TOKEN];
  size_t first, n;
  tnrt_json list = r->merge_list;
  tnrt_status status = unfold_vocabulary(r);
  if (status == TNRT_OK && (!r->has_merges || !tnrt_json_enter(&list, '['))) status = bad(r, "there are no merges");
  while (status == TNRT_OK && tnrt_json_more(&list)) {
    if (!read_pair(&list, both, &first, &n)) return bad(r, "a pair that is none");
    tnrt_merge merge = {id_of(t, both, first), id_of(t, both + first, n - first), id_of(t, both, n)};
    status = add_merge(r, &merge);
  }
  if (status != TNRT_OK) return status;
  status = tnrt_bpe_open(&t->bpe, r->message, t->alloc, r->merges, r->n_merges);
  r->merges = NULL; /* the tokenizer's now */
  for (int i = 0; i < 256 && status == TNRT_OK; i++) {
    char byte = (char)i;
    t->bpe.bytes[i] = id_of(t, &byte, 1);
    if (t->bpe.bytes[i] < 0) status = bad(r, "the vocabulary lacks a byte: only pairs of bytes are taken");
  }
  t->is_bpe = true;
  return status;
}

static tnrt_status read_json(reader *r, const char *text, size_t bytes) {
  tnrt_json json = tnrt_json_over(text, bytes);
  char key[64];
  tnrt_status status = TNRT_OK;
  strcpy(r->out->prefix, "##");
  if (!tnrt_json_enter(&json, '{')) return bad(r, "this is no tokenizer.json");
  while (status == TNRT_OK && tnrt_json_more(&json) && tnrt_json_key(&json, key, sizeof key)) {
    if (strcmp(key, "model") == 0) status = read_model(r, &json);
    else tnrt_json_skip(&json);
  }
  if (status == TNRT_OK && json.error) status = bad(r, json.error);
  if (status != TNRT_OK) return status;
  if (strcmp(r->type, "BPE") == 0) return make_bpe(r);
  return strcmp(r->type, "WordPiece") == 0 ? TNRT_OK : bad(r, "the model is none of BPE, WordPiece");
}

tnrt_status tnrt_tokenizer_open(tnrt_tokenizer *t, tnrt_message *message, const tnrt_alloc *alloc, const char *path) {
  uint8_t *data;
  size_t bytes, length = strlen(path);
  *t = (tnrt_tokenizer){.alloc = alloc, .words = tnrt_dictionary_start(alloc), .unknown = -1};
  tnrt_status status = tnrt_file_read(message, alloc, path, &data, &bytes);
  if (status != TNRT_OK) return status;
  reader r = {.out = t, .message = message, .path = path};
  bool is_json = length > 5 && strcmp(path + length - 5, ".json") == 0;
  status = (is_json ? read_json : read_lines)(&r, (const char *)data, bytes);
  if (r.merges) alloc->give(alloc->user, r.merges);
  alloc->give(alloc->user, data);
  if (status != TNRT_OK) return status;
  if (t->words.n == 0) return bad(&r, "there are no tokens");
  if (r.unknown[0]) t->unknown = id_of(t, r.unknown, strlen(r.unknown));
  return TNRT_OK;
}

void tnrt_tokenizer_close(tnrt_tokenizer *t) {
  if (!t->alloc) return;
  tnrt_bpe_free(&t->bpe);
  tnrt_dictionary_free(&t->words);
  if (t->ids) t->alloc->give(t->alloc->user, t->ids);
  *t = (tnrt_tokenizer){0};
}

/* ---- WordPiece ---- */

static bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

static bool is_sign(char c) {
  return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') || (c >= '{' && c <= '~');
}

/* The longest token first, then the longest that goes on; a word that cannot be had whole is unknown. */
static int64_t word_tokens(const tnrt_tokenizer *t, const char *word, size_t bytes, double *out) {
  char piece[MAX_WORD + sizeof t->prefix];
  size_t prefix = strlen(t->prefix);
  int64_t n = 0;
  for (size_t from = 0; from < bytes && bytes <= MAX_WORD;) {
    size_t lead = from ? prefix : 0, end = bytes;
    int32_t id = -1;
    memcpy(piece, t->prefix, lead);
    memcpy(piece + lead, word + from, bytes - from);
    for (; end > from && id < 0; end--) id = id_of(t, piece, lead + end - from);
    if (id < 0) break;
    out[n++] = id;
    from = end + 1;
    if (from == bytes) return n;
  }
  if (t->unknown < 0) return 0;
  out[0] = t->unknown;
  return 1;
}

tnrt_status tnrt_tokenizer_tokens(const tnrt_tokenizer *t, tnrt_message *message, tnrt_value *value) {
  int64_t n = 0;
  if (t->is_bpe) return tnrt_bpe_tokens(&t->bpe, message, value);
  if (value->kind != TNRT_VALUE_TEXTS || value->count != 1)
    return tnrt_fail(message, TNRT_BAD_INPUT, "wordpiece takes one text");
  const char *at = value->texts[0];
  if (!tnrt_value_reserve(value, (int64_t)strlen(at) + 1))
    return tnrt_fail(message, TNRT_NO_MEMORY, "no memory for a text");
  while (*at) {
    const char *word = at;
    if (is_blank(*at)) {
      at++;
      continue;
    }
    if (is_sign(*at)) at++;
    else
      while (*at && !is_blank(*at) && !is_sign(*at)) at++;
    n += word_tokens(t, word, (size_t)(at - word), value->numbers + n);
  }
  value->kind = TNRT_VALUE_NUMBERS;
  value->count = value->length = n;
  return TNRT_OK;
}
