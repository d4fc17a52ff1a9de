/* Tokenizers from files; see tokenizer.h. */
#include "runtime/train/tokenizer.h"

#include <string.h>

#include "runtime/core/file.h"
#include "runtime/train/json.h"
#include "runtime/train/unicode.h"

enum { MAX_TOKEN = 512, MAX_WORD = 100 /* characters */ };

typedef struct reader {
  tnrt_tokenizer *out;
  tnrt_message *message;
  const char *path;
  char type[32], unknown[64], cut[32]; /* cut: the type of what cuts texts */
  bool has_normalizer;
  tnrt_merge *merges;
  uint32_t n_merges, room;
  tnrt_json merge_list; /* read after the vocabulary, wherever it stands */
  bool has_merges;
  tnrt_json added;      /* the same; those that are special are left out of texts */
  bool has_added;
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

/* None is special at first. */
static tnrt_status make_special(reader *r) {
  tnrt_tokenizer *t = r->out;
  t->is_special = t->alloc->get(t->alloc->user, t->words.n + 1, 1);
  if (!t->is_special) return no_memory(r);
  memset(t->is_special, 0, t->words.n + 1);
  return TNRT_OK;
}

/* A vocabulary says not which tokens are special: BERT's names are known. */
static tnrt_status find_special(reader *r) {
  static const char *const names[] = {"[PAD]", "[CLS]", "[SEP]", "[MASK]"};
  tnrt_status status = make_special(r);
  for (size_t i = 0; i < sizeof names / sizeof names[0] && status == TNRT_OK; i++) {
    int64_t found = tnrt_dictionary_find(&r->out->words, names[i], strlen(names[i]));
    if (found >= 0) r->out->is_special[found] = 1;
  }
  return status;
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
  return status == TNRT_OK ? find_special(r) : status;
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

/* ---- what is done before the model ---- */

static bool read_flag(tnrt_json *json) {
  bool is_true = tnrt_json_peek(json) == 't';
  tnrt_json_skip(json);
  return is_true;
}

/* BERT's, or none. Accents go where nothing is said and letters are made small. */
static tnrt_status read_normalizer(reader *r, tnrt_json *json) {
  tnrt_tokenizer *t = r->out;
  char key[64], type[64] = "";
  bool says_strips = false;
  t->cleans = t->parts_ideographs = false;
  if (tnrt_json_peek(json) == 'n') return tnrt_json_skip(json), TNRT_OK;
  if (!tnrt_json_enter(json, '{')) return bad(r, "the normalizer is no object");
  while (tnrt_json_more(json) && tnrt_json_key(json, key, sizeof key)) {
    if (strcmp(key, "type") == 0) tnrt_json_text(json, type, sizeof type, NULL);
    else if (strcmp(key, "clean_text") == 0) t->cleans = read_flag(json);
    else if (strcmp(key, "handle_chinese_chars") == 0) t->parts_ideographs = read_flag(json);
    else if (strcmp(key, "lowercase") == 0) t->lowers = read_flag(json);
    else if (strcmp(key, "strip_accents") == 0) says_strips = tnrt_json_peek(json) != 'n', t->strips = read_flag(json);
    else tnrt_json_skip(json);
  }
  if (!says_strips) t->strips = t->lowers;
  r->has_normalizer = true;
  return strcmp(type, "BertNormalizer") == 0 ? TNRT_OK : bad(r, "a normalizer other than BertNormalizer");
}

static tnrt_status read_cut(reader *r, tnrt_json *json) {
  char key[64];
  bool uses_pattern = true;
  strcpy(r->cut, "none");
  if (tnrt_json_peek(json) == 'n') return tnrt_json_skip(json), TNRT_OK;
  if (!tnrt_json_enter(json, '{')) return bad(r, "the pre_tokenizer is no object");
  while (tnrt_json_more(json) && tnrt_json_key(json, key, sizeof key)) {
    if (strcmp(key, "type") == 0) tnrt_json_text(json, r->cut, sizeof r->cut, NULL);
    else if (strcmp(key, "add_prefix_space") == 0) r->out->adds_blank = read_flag(json);
    else if (strcmp(key, "use_regex") == 0) uses_pattern = read_flag(json);
    else tnrt_json_skip(json);
  }
  return uses_pattern ? TNRT_OK : bad(r, "a pre_tokenizer ByteLevel that does not cut texts");
}

/* ---- what is done behind it ---- */

/* WordPiece's, whose texts are cleaned unless it says otherwise. */
static void read_decoder(reader *r, tnrt_json *json) {
  char key[64];
  if (tnrt_json_peek(json) != '{') {
    tnrt_json_skip(json);
    return;
  }
  tnrt_json_enter(json, '{');
  while (tnrt_json_more(json) && tnrt_json_key(json, key, sizeof key)) {
    if (strcmp(key, "cleanup") == 0) r->out->decodes_clean = read_flag(json);
    else tnrt_json_skip(json);
  }
}

/* One of the tokens that were added to a vocabulary. */
static tnrt_status read_one_added(reader *r, tnrt_json *json) {
  tnrt_tokenizer *t = r->out;
  char key[64], token[MAX_TOKEN];
  size_t n = 0;
  int64_t id = -1;
  bool is_special = false;
  tnrt_json_enter(json, '{');
  while (tnrt_json_more(json) && tnrt_json_key(json, key, sizeof key)) {
    if (strcmp(key, "id") == 0) tnrt_json_integer(json, &id);
    else if (strcmp(key, "content") == 0) tnrt_json_text(json, token, sizeof token, &n);
    else if (strcmp(key, "special") == 0) is_special = read_flag(json);
    else tnrt_json_skip(json);
  }
  if (json->error || n >= sizeof token) return bad(r, "an added token that is none");
  for (uint32_t i = 0; i < t->words.n; i++)
    if (t->ids[i] == id) t->is_special[i] = is_special;
  return TNRT_OK;
}

static tnrt_status read_added(reader *r) {
  tnrt_json list = r->added;
  tnrt_status status = make_special(r);
  if (status == TNRT_OK && !tnrt_json_enter(&list, '[')) return bad(r, "the added tokens are no list");
  while (status == TNRT_OK && tnrt_json_more(&list))
    status = tnrt_json_peek(&list) == '{' ? read_one_added(r, &list) : bad(r, "an added token that is none");
  return status == TNRT_OK && list.error ? bad(r, list.error) : status;
}

static tnrt_status check_cut(reader *r, bool is_bpe) {
  const char *wanted = is_bpe ? "ByteLevel" : "BertPreTokenizer";
  if (is_bpe && r->has_normalizer) return bad(r, "a normalizer before pairs of bytes");
  if (!r->cut[0] || strcmp(r->cut, wanted) == 0) return TNRT_OK;
  return tnrt_fail(r->message, TNRT_BAD_INPUT, "%.200s: texts are cut by '%.31s', %s is taken", r->path, r->cut,
                   wanted);
}

static tnrt_status read_json(reader *r, const char *text, size_t bytes) {
  tnrt_json json = tnrt_json_over(text, bytes);
  char key[64];
  tnrt_status status = TNRT_OK;
  strcpy(r->out->prefix, "##");
  if (!tnrt_json_enter(&json, '{')) return bad(r, "this is no tokenizer.json");
  while (status == TNRT_OK && tnrt_json_more(&json) && tnrt_json_key(&json, key, sizeof key)) {
    if (strcmp(key, "model") == 0) status = read_model(r, &json);
    else if (strcmp(key, "normalizer") == 0) status = read_normalizer(r, &json);
    else if (strcmp(key, "pre_tokenizer") == 0) status = read_cut(r, &json);
    else if (strcmp(key, "decoder") == 0) read_decoder(r, &json);
    else if (strcmp(key, "added_tokens") == 0) {
      r->added = json;
      r->has_added = tnrt_json_skip(&json);
    } else
      tnrt_json_skip(&json);
  }
  if (status == TNRT_OK && json.error) status = bad(r, json.error);
  if (status != TNRT_OK) return status;
  bool is_bpe = strcmp(r->type, "BPE") == 0;
  if (!is_bpe && strcmp(r->type, "WordPiece") != 0) return bad(r, "the model is none of BPE, WordPiece");
  status = check_cut(r, is_bpe);
  if (status == TNRT_OK && is_bpe) status = make_bpe(r);
  return status == TNRT_OK && r->has_added ? read_added(r) : status;
}

tnrt_status tnrt_tokenizer_open_text(tnrt_tokenizer *t, tnrt_message *message, const tnrt_alloc *alloc,
                                     const char *path, const char *text, size_t bytes) {
  size_t length = strlen(path);
  *t = (tnrt_tokenizer){.alloc = alloc, .words = tnrt_dictionary_start(alloc), .unknown = -1, .cleans = true,
                        .parts_ideographs = true, .decodes_clean = true};
  reader r = {.out = t, .message = message, .path = path};
  bool is_json = length > 5 && strcmp(path + length - 5, ".json") == 0;
  tnrt_status status = (is_json ? read_json : read_lines)(&r, text, bytes);
  if (r.merges) alloc->give(alloc->user, r.merges);
  if (status != TNRT_OK) return status;
  if (t->words.n == 0) return bad(&r, "there are no tokens");
  if (r.unknown[0]) t->unknown = id_of(t, r.unknown, strlen(r.unknown));
  return TNRT_OK;
}

tnrt_status tnrt_tokenizer_open(tnrt_tokenizer *t, tnrt_message *message, const tnrt_alloc *alloc, const char *path) {
  uint8_t *data;
  size_t bytes;
  *t = (tnrt_tokenizer){0};
  tnrt_status status = tnrt_file_read(message, alloc, path, &data, &bytes);
  if (status != TNRT_OK) return status;
  status = tnrt_tokenizer_open_text(t, message, alloc, path, (const char *)data, bytes);
  alloc->give(alloc->user, data);
  return status;
}

void tnrt_tokenizer_close(tnrt_tokenizer *t) {
  if (!t->alloc) return;
  tnrt_bpe_free(&t->bpe);
  tnrt_dictionary_free(&t->words);
  if (t->ids) t->alloc->give(t->alloc->user, t->ids);
  if (t->is_special) t->alloc->give(t->alloc->user, t->is_special);
  *t = (tnrt_tokenizer){0};
}

/* ---- WordPiece ---- */

/* The longest token first, then the longest that goes on; a word that cannot be had whole is unknown. */
static int64_t word_tokens(const tnrt_tokenizer *t, const char *word, size_t bytes, int64_t n_characters, double *out) {
  char piece[4 * MAX_WORD + sizeof t->prefix];
  size_t prefix = strlen(t->prefix);
  int64_t n = 0;
  for (size_t from = 0; from < bytes && n_characters <= MAX_WORD;) {
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

typedef struct word {
  char text[4 * MAX_WORD];
  size_t bytes;
  int64_t n; /* characters; those beyond MAX_WORD are not in text */
} word;

static void end_word(const tnrt_tokenizer *t, word *w, tnrt_value *value, int64_t *n) {
  if (w->n) *n += word_tokens(t, w->text, w->bytes, w->n, value->numbers + *n);
  w->bytes = 0;
  w->n = 0;
}

static void add_character(word *w, const char *at, int bytes) {
  if (w->n++ < MAX_WORD) memcpy(w->text + w->bytes, at, (size_t)bytes), w->bytes += (size_t)bytes;
}

/* One character of a text; what is no character is one of its own bytes. */
static void take_character(const tnrt_tokenizer *t, const char *at, int bytes, uint32_t code, word *w,
                           tnrt_value *value, int64_t *n) {
  enum { NEXT_LINE = 0x85, REPLACEMENT = 0xfffd };
  tnrt_char_kind kind = bytes ? tnrt_char_kind_of(code) : TNRT_CHAR_OTHER;
  char small[4];
  bool is_control = kind == TNRT_CHAR_CONTROL || code == '\v' || code == '\f' || code == NEXT_LINE;
  if (t->cleans && bytes && (is_control || code == REPLACEMENT)) return;
  if (kind == TNRT_CHAR_BLANK) {
    end_word(t, w, value, n);
    return;
  }
  if (t->strips && kind == TNRT_CHAR_MARK) return;
  bool is_alone = kind == TNRT_CHAR_PUNCTUATION || (t->parts_ideographs && bytes && tnrt_char_is_ideograph(code));
  if (bytes && t->strips) code = tnrt_char_base(code);
  if (bytes && t->lowers) code = tnrt_char_small(code);
  if (bytes && (t->strips || t->lowers)) bytes = tnrt_char_write(code, small), at = small;
  if (is_alone) end_word(t, w, value, n);
  add_character(w, at, bytes ? bytes : 1);
  if (is_alone) end_word(t, w, value, n);
}

static tnrt_status word_pieces(const tnrt_tokenizer *t, tnrt_message *message, tnrt_value *value) {
  word w = {.bytes = 0};
  int64_t n = 0;
  const char *at = value->texts[0];
  if (!tnrt_value_reserve(value, (int64_t)strlen(at) + 1))
    return tnrt_fail(message, TNRT_NO_MEMORY, "no memory for a text");
  for (int bytes; *at; at += bytes ? bytes : 1) {
    uint32_t code = 0;
    bytes = tnrt_char_read(at, &code);
    take_character(t, at, bytes, code, &w, value, &n);
  }
  end_word(t, &w, value, &n);
  value->kind = TNRT_VALUE_NUMBERS;
  value->count = value->length = n;
  return TNRT_OK;
}

tnrt_status tnrt_tokenizer_tokens(const tnrt_tokenizer *t, tnrt_message *message, tnrt_value *value) {
  if (value->kind != TNRT_VALUE_TEXTS || value->count != 1)
    return tnrt_fail(message, TNRT_BAD_INPUT, "wordpiece takes one text");
  if (!t->is_bpe) return word_pieces(t, message, value);
  uint32_t code = 0;
  const char *text = value->texts[0];
  size_t n = strlen(text);
  bool has_blank = tnrt_char_read(text, &code) && tnrt_char_kind_of(code) == TNRT_CHAR_BLANK;
  if (!t->adds_blank || !n || has_blank) return tnrt_bpe_tokens(&t->bpe, message, value);
  if (!tnrt_value_reserve(value, (int64_t)n + 2)) return tnrt_fail(message, TNRT_NO_MEMORY, "no memory for a text");
  char *longer = (char *)value->others; /* a byte of each number will do */
  longer[0] = ' ';
  memcpy(longer + 1, text, n + 1);
  value->texts[0] = longer;
  return tnrt_bpe_tokens(&t->bpe, message, value);
}
