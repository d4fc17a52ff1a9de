/* Chains of a data block's functions; see chain.h. What is learned from the training split stands in chain_fit.c. */
#include "runtime/train/chain.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/core/dtype.h"
#include "runtime/train/augment.h"
#include "runtime/train/place.h"
#include "runtime/train/tokenizer.h"
#include "runtime/train/words.h"

/* ---- values ---- */

void tnrt_value_free(tnrt_value *value) {
  void *const blocks[] = {value->numbers, value->others, value->texts, value->text};
  for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++)
    if (blocks[i]) value->alloc->give(value->alloc->user, blocks[i]);
  *value = (tnrt_value){.alloc = value->alloc};
}

/* One block of `room` elements in the place of another, with what was in it. */
static bool grow(tnrt_value *value, void *block, size_t element, size_t room) {
  size_t bytes;
  void *old, *made = __builtin_mul_overflow(room, element, &bytes) ? NULL
                                                                  : value->alloc->get(value->alloc->user, bytes, 64);
  if (!made) return false;
  memcpy(&old, block, sizeof old);
  if (old) memcpy(made, old, value->room * element);
  if (old) value->alloc->give(value->alloc->user, old);
  memcpy(block, &made, sizeof made);
  return true;
}

bool tnrt_value_reserve(tnrt_value *value, int64_t count) {
  size_t room = (size_t)count < 16 ? 16 : (size_t)count;
  if (room <= value->room) return true;
  if (!grow(value, &value->numbers, sizeof *value->numbers, room) ||
      !grow(value, &value->others, sizeof *value->others, room) ||
      !grow(value, &value->texts, sizeof *value->texts, room))
    return false;
  value->room = room;
  return true;
}

/* ---- opening ---- */

static const char *link_name(uint32_t kind) {
  static const char *const names[] = {
      [TNRT_LINK_LOWER] = "lower", [TNRT_LINK_JOIN] = "join", [TNRT_LINK_WORDS] = "words", [TNRT_LINK_BPE] = "bpe",
      [TNRT_LINK_WORDPIECE] = "wordpiece", [TNRT_LINK_PAD_OR_CUT] = "pad_or_cut", [TNRT_LINK_LENGTH] = "length",
      [TNRT_LINK_WINDOW] = "window", [TNRT_LINK_ONE_HOT] = "one_hot", [TNRT_LINK_BINS] = "bins",
      [TNRT_LINK_MINMAX] = "minmax", [TNRT_LINK_IMPUTE] = "impute", [TNRT_LINK_CLIP_OUTLIERS] = "clip_outliers",
      [TNRT_LINK_LOG] = "log", [TNRT_LINK_LOG1P] = "log1p", [TNRT_LINK_SQRT] = "sqrt", [TNRT_LINK_ABS] = "abs",
      [TNRT_LINK_PAD] = "pad", [TNRT_LINK_RANDOM_CROP] = "random_crop", [TNRT_LINK_FLIP] = "flip",
      [TNRT_LINK_NOISE] = "noise", [TNRT_LINK_ADD] = "+", [TNRT_LINK_SUB] = "-", [TNRT_LINK_RSUB] = "-",
      [TNRT_LINK_MUL] = "*", [TNRT_LINK_DIV] = "/", [TNRT_LINK_RDIV] = "/",
      [TNRT_LINK_CLAMP] = "clamp", [TNRT_LINK_STANDARDIZE] = "standardize", [TNRT_LINK_CODE] = "one_hot"};
  return kind < sizeof names / sizeof names[0] ? names[kind] : "?";
}

static bool is_augmentation(const tnrt_link *link) {
  return link->kind == TNRT_LINK_RANDOM_CROP || link->kind == TNRT_LINK_FLIP || link->kind == TNRT_LINK_NOISE ||
         (link->kind == TNRT_LINK_PAD && link->splits != (1u << TNRT_N_SPLITS) - 1);
}

static bool takes_texts(const tnrt_chain *chain) {
  if (chain->field->n_links == 0) return chain->field->n_classes != 0;
  return chain->links[0].kind <= TNRT_LINK_WORDPIECE || chain->links[0].kind == TNRT_LINK_ONE_HOT ||
         chain->links[0].kind == TNRT_LINK_CODE;
}

static tnrt_status open_tokenizer(tnrt_chain *chain, tnrt_message *message, uint32_t k) {
  tnrt_tokenizer *tokenizer = chain->alloc->get(chain->alloc->user, sizeof *tokenizer, 64);
  chain->fitted[k].tokenizer = tokenizer;
  if (!tokenizer) return tnrt_fail(message, TNRT_NO_MEMORY, "no memory for a tokenizer");
  const tnrt_link *link = &chain->links[k];
  const char *path = tnrt_plan_text(chain->plan, link->text);
  if (!link->integers[0]) return tnrt_tokenizer_open(tokenizer, message, chain->alloc, path);
  return tnrt_tokenizer_open_text(tokenizer, message, chain->alloc, path,
                                  tnrt_plan_table(chain->plan, (uint64_t)link->integers[0]),
                                  (size_t)link->integers[1]);
}

static void close_models(const tnrt_chain *chain, tnrt_fitted *fitted) {
  if (fitted->bpe) tnrt_bpe_free(fitted->bpe);
  if (fitted->bpe) chain->alloc->give(chain->alloc->user, fitted->bpe);
  if (fitted->tokenizer) tnrt_tokenizer_close(fitted->tokenizer);
  if (fitted->tokenizer) chain->alloc->give(chain->alloc->user, fitted->tokenizer);
}

tnrt_status tnrt_chain_open(tnrt_chain *chain, tnrt_message *message, const tnrt_alloc *alloc,
                            const tnrt_training *plan, const tnrt_field *field) {
  *chain = (tnrt_chain){.plan = plan, .field = field, .alloc = alloc, .labels = tnrt_dictionary_start(alloc),
                         .columns = tnrt_dictionary_start(alloc)};
  if (field->n_links) chain->links = tnrt_plan_table(plan, field->links);
  while (chain->n_links < field->n_links && !is_augmentation(&chain->links[chain->n_links])) chain->n_links++;
  for (uint32_t i = chain->n_links; i < field->n_links; i++)
    if (tnrt_link_fits(&chain->links[i]))
      return tnrt_fail(message, TNRT_BAD_INPUT, "field '%.100s': '%s' is fitted and cannot stand behind what is drawn",
                       tnrt_plan_text(plan, field->name), link_name(chain->links[i].kind));
  chain->takes_texts = takes_texts(chain);
  chain->fitted = alloc->get(alloc->user, (chain->n_links + 1) * sizeof *chain->fitted, 8);
  if (!chain->fitted) return tnrt_fail(message, TNRT_NO_MEMORY, "no memory for the chains of fields");
  memset(chain->fitted, 0, (chain->n_links + 1) * sizeof *chain->fitted);
  chain->takes_missing = field->takes_missing != 0;
  for (uint32_t i = 0; i < chain->n_links; i++) {
    chain->takes_missing = chain->takes_missing || chain->links[i].kind == TNRT_LINK_IMPUTE;
    chain->fitted[i].words = tnrt_dictionary_start(alloc);
  }
  for (uint32_t i = 0; i < chain->n_links; i++)
    if (chain->links[i].kind == TNRT_LINK_WORDPIECE) {
      tnrt_status status = open_tokenizer(chain, message, i);
      if (status != TNRT_OK) return status;
    }
  return TNRT_OK;
}

void tnrt_chain_close(tnrt_chain *chain) {
  for (uint32_t i = 0; chain->fitted && i < chain->n_links; i++) {
    if (chain->fitted[i].numbers) chain->alloc->give(chain->alloc->user, chain->fitted[i].numbers);
    if (chain->fitted[i].seen) chain->alloc->give(chain->alloc->user, chain->fitted[i].seen);
    if (chain->fitted[i].sums.n) tnrt_sums_free(&chain->fitted[i].sums);
    tnrt_dictionary_free(&chain->fitted[i].words);
    close_models(chain, &chain->fitted[i]);
  }
  if (chain->fitted) chain->alloc->give(chain->alloc->user, chain->fitted);
  if (chain->alloc) tnrt_dictionary_free(&chain->labels);
  if (chain->alloc) tnrt_dictionary_free(&chain->columns);
  *chain = (tnrt_chain){0};
}

/* ---- functions ---- */

static double arithmetic(const tnrt_link *link, double x) {
  double y = link->numbers[0];
  switch (link->kind) {
    case TNRT_LINK_ADD: return x + y;
    case TNRT_LINK_SUB: return x - y;
    case TNRT_LINK_RSUB: return y - x;
    case TNRT_LINK_MUL: return x * y;
    case TNRT_LINK_DIV: return x / y;
    case TNRT_LINK_RDIV: return y / x;
    case TNRT_LINK_LOG: return log(x);
    case TNRT_LINK_LOG1P: return log1p(x);
    case TNRT_LINK_SQRT: return sqrt(x);
    case TNRT_LINK_CLAMP: return x < y ? y : x > link->numbers[1] ? link->numbers[1] : x;
    default: return fabs(x);
  }
}

/* A number where there was one may not become none. */
static tnrt_status apply_numbers(const tnrt_link *link, tnrt_message *message, tnrt_value *value) {
  for (int64_t i = 0; i < value->count; i++) {
    double x = value->numbers[i], y = arithmetic(link, x);
    value->numbers[i] = y;
    if (!isfinite(y) && isfinite(x)) {
      char text[32];
      snprintf(text, sizeof text, "%.9g", x);
      return tnrt_fail(message, TNRT_BAD_INPUT, "'%s' of %s is no number", link_name(link->kind), text);
    }
  }
  return TNRT_OK;
}

const char *tnrt_value_text(const tnrt_value *value, int64_t i, char room[static 32]) {
  if (value->kind == TNRT_VALUE_TEXTS) return value->texts[i];
  snprintf(room, 32, "%.17g", value->numbers[i] + 0.0); /* -0 is 0 */
  return room;
}

static int64_t category(const tnrt_dictionary *words, const tnrt_value *value) {
  char room[32];
  const char *text = tnrt_value_text(value, 0, room);
  return tnrt_dictionary_find(words, text, strlen(text));
}

/* A category that training did not see is at no place: all zeros. */
static tnrt_status one_hot(const tnrt_link *link, const tnrt_fitted *fitted, tnrt_message *message,
                           tnrt_value *value) {
  int64_t n = link->integers[0], place = category(&fitted->words, value);
  char room[32];
  if (place < 0) snprintf(value->unknown, sizeof value->unknown, "'%.60s'", tnrt_value_text(value, 0, room));
  if (!tnrt_value_reserve(value, n)) return tnrt_fail(message, TNRT_NO_MEMORY, "no memory for a sample");
  for (int64_t i = 0; i < n; i++) value->numbers[i] = i == place;
  value->kind = TNRT_VALUE_NUMBERS;
  value->count = n;
  return TNRT_OK;
}

static tnrt_status code(const tnrt_link *link, const tnrt_fitted *fitted, tnrt_message *message, tnrt_value *value) {
  char room[32];
  if (value->count != 1)
    return tnrt_fail(message, TNRT_BAD_INPUT, "one_hot takes one value, found %lld", (long long)value->count);
  int64_t place = category(&fitted->words, value);
  double number = NAN;
  if (place < 0) snprintf(value->unknown, sizeof value->unknown, "'%.60s'", tnrt_value_text(value, 0, room));
  if (place >= 0) number = strtod(tnrt_dictionary_text(&fitted->words, (uint32_t)place), NULL);
  value->numbers[0] = link->integers[0] ? number : (double)place;
  value->kind = TNRT_VALUE_NUMBERS;
  return TNRT_OK;
}

static tnrt_status apply_fitted(const tnrt_link *link, const tnrt_fitted *fitted, tnrt_message *message,
                                tnrt_value *value) {
  int64_t limits = link->integers[0] - 1;
  int64_t each = link->kind == TNRT_LINK_BINS ? limits : link->kind == TNRT_LINK_IMPUTE ? 1 : 2;
  if (each * value->count != fitted->n_numbers)
    return tnrt_fail(message, TNRT_BAD_INPUT, "'%s' was fitted on %lld values, here are %lld", link_name(link->kind),
                     (long long)(fitted->n_numbers / (each ? each : 1)), (long long)value->count);
  for (int64_t i = 0; i < value->count; i++) {
    double x = value->numbers[i];
    const double *pair = fitted->numbers + 2 * i;
    if (link->kind == TNRT_LINK_MINMAX) value->numbers[i] = pair[1] > 0 ? (x - pair[0]) / pair[1] : 0 * x;
    if (link->kind == TNRT_LINK_STANDARDIZE) value->numbers[i] = (x - pair[0]) / (pair[1] > 0 ? pair[1] : 1);
    if (link->kind == TNRT_LINK_IMPUTE && isnan(x)) value->numbers[i] = fitted->numbers[i];
    if (link->kind == TNRT_LINK_CLIP_OUTLIERS) value->numbers[i] = x < pair[0] ? pair[0] : x > pair[1] ? pair[1] : x;
    if (link->kind == TNRT_LINK_BINS && !isnan(x)) {
      int64_t bin = 0;
      while (bin < limits && fitted->numbers[i * limits + bin] <= x) bin++;
      value->numbers[i] = (double)bin;
    }
  }
  return TNRT_OK;
}

tnrt_status tnrt_chain_part(const tnrt_chain *chain, tnrt_message *message, uint32_t k, tnrt_value *value) {
  const tnrt_link *link = &chain->links[k];
  if (link->n == 0) return TNRT_OK;
  if (value->kind != TNRT_VALUE_NUMBERS || value->count != chain->field->n_columns)
    return tnrt_fail(message, TNRT_BAD_INPUT, "'%s' is done to some columns of field '%.100s', which then have one "
                     "number each", link_name(link->kind), tnrt_plan_text(chain->plan, chain->field->name));
  value->numbers += link->first;
  value->count = link->n;
  return TNRT_OK;
}

static tnrt_status apply_link(const tnrt_chain *chain, tnrt_message *message, uint32_t k, tnrt_value *value) {
  const tnrt_link *link = &chain->links[k];
  switch (link->kind) {
    case TNRT_LINK_PAD: return tnrt_augment_pad(message, link->integers[0], value);
    case TNRT_LINK_LOWER: return tnrt_words_lower(message, value);
    case TNRT_LINK_JOIN: return tnrt_words_join(message, value);
    case TNRT_LINK_WORDS: return tnrt_words_tokens(message, &chain->fitted[k].words, value);
    case TNRT_LINK_BPE: return tnrt_bpe_tokens(chain->fitted[k].bpe, message, value);
    case TNRT_LINK_WORDPIECE: return tnrt_tokenizer_tokens(chain->fitted[k].tokenizer, message, value);
    case TNRT_LINK_PAD_OR_CUT: return tnrt_words_fit(message, link->integers[0], link->integers[1], value);
    case TNRT_LINK_WINDOW: /* the records of a stream are windows, */
    case TNRT_LINK_LENGTH: /* and the samples know the lengths */
      return TNRT_OK;
    case TNRT_LINK_ONE_HOT: return one_hot(link, &chain->fitted[k], message, value);
    case TNRT_LINK_CODE: return code(link, &chain->fitted[k], message, value);
    case TNRT_LINK_MINMAX:
    case TNRT_LINK_IMPUTE:
    case TNRT_LINK_CLIP_OUTLIERS:
    case TNRT_LINK_STANDARDIZE:
    case TNRT_LINK_BINS: return apply_fitted(link, &chain->fitted[k], message, value);
    case TNRT_LINK_LOG:
    case TNRT_LINK_LOG1P:
    case TNRT_LINK_SQRT:
    case TNRT_LINK_ABS:
    case TNRT_LINK_CLAMP:
    case TNRT_LINK_ADD:
    case TNRT_LINK_SUB:
    case TNRT_LINK_RSUB:
    case TNRT_LINK_MUL:
    case TNRT_LINK_DIV:
    case TNRT_LINK_RDIV: return apply_numbers(link, message, value);
    default:
      return tnrt_fail(message, TNRT_BAD_INPUT, "'%s' is drawn anew for each sample, which has no meaning here",
                       link_name(link->kind));
  }
}

tnrt_status tnrt_chain_link(const tnrt_chain *chain, tnrt_message *message, uint32_t k, tnrt_value *value) {
  tnrt_value part = *value;
  if (chain->links[k].n == 0) return apply_link(chain, message, k, value);
  tnrt_status status = tnrt_chain_part(chain, message, k, &part);
  return status == TNRT_OK ? apply_link(chain, message, k, &part) : status;
}

tnrt_status tnrt_chain_apply(const tnrt_chain *chain, tnrt_message *message, uint32_t n, tnrt_value *value) {
  tnrt_status status = TNRT_OK;
  value->unknown[0] = 0;
  for (uint32_t k = 0; k < n && status == TNRT_OK; k++) status = tnrt_chain_link(chain, message, k, value);
  return status;
}

/* ---- elements ---- */

/* To the nearest of a type with `fraction` bits and `exponent` bits of exponent, ties to even; its bits. */
static uint32_t round_float(double x, int exponent_bits, int fraction_bits) {
  uint32_t sign = (uint32_t)signbit(x) << (exponent_bits + fraction_bits);
  int bias = (1 << (exponent_bits - 1)) - 1, e;
  uint32_t infinity = (((uint32_t)1 << exponent_bits) - 1) << fraction_bits;
  if (isnan(x)) return sign | infinity | (uint32_t)1 << (fraction_bits - 1);
  if (x == 0) return sign;
  frexp(x, &e);
  if (e - 1 < 1 - bias) e = 2 - bias; /* below the smallest normal: its steps */
  double scaled = isinf(x) ? INFINITY : nearbyint(ldexp(fabs(x), fraction_bits - (e - 1)));
  double limit = ldexp(2 - ldexp(1, -fraction_bits), bias);
  if (ldexp(scaled, e - 1 - fraction_bits) > limit) return sign | infinity;
  uint32_t whole = (uint32_t)scaled, one = (uint32_t)1 << fraction_bits;
  return sign | (whole < one ? whole : (uint32_t)(e - 1 + bias) * one + (whole - one));
}

/* The types of most data have loops of their own: pictures have many elements. */
void tnrt_elements_read(uint32_t dtype, const void *data, int64_t first, int64_t n, double *out) {
  const uint8_t *bytes = data;
  const float *floats = data;
  const int32_t *integers = data;
  switch (dtype) {
    case TNRT_U8:
      for (int64_t i = 0; i < n; i++) out[i] = bytes[first + i];
      break;
    case TNRT_F32:
      for (int64_t i = 0; i < n; i++) out[i] = (double)floats[first + i];
      break;
    case TNRT_I32:
      for (int64_t i = 0; i < n; i++) out[i] = integers[first + i];
      break;
    default:
      for (int64_t i = 0; i < n; i++) out[i] = tnrt_element(dtype, data, first + i);
  }
}

static bool store_integer(double value, double lo, double hi, int bytes, void *out) {
  if (!(value >= lo && value <= hi) || value != floor(value)) return false;
  uint64_t bits = value < 0 ? (uint64_t)(int64_t)value : (uint64_t)value;
  memcpy(out, &bits, (size_t)bytes);
  return true;
}

bool tnrt_element_store(uint32_t dtype, double value, void *out) {
  float f32 = (float)value;
  uint32_t bits;
  bool fits = !isfinite(value);
  switch (dtype) {
    case TNRT_F64: memcpy(out, &value, 8); return true;
    case TNRT_F32: memcpy(out, &f32, 4); return fits || isfinite(f32);
    case TNRT_F16: bits = round_float(value, 5, 10); memcpy(out, &bits, 2); return fits || (bits & 0x7c00) != 0x7c00;
    case TNRT_BF16: bits = round_float(value, 8, 7); memcpy(out, &bits, 2); return fits || (bits & 0x7f80) != 0x7f80;
    case TNRT_I64: return store_integer(value, -0x1p63, 0x1p63 - 1024, 8, out);
    case TNRT_I32: return store_integer(value, INT32_MIN, INT32_MAX, 4, out);
    case TNRT_I16: return store_integer(value, INT16_MIN, INT16_MAX, 2, out);
    case TNRT_I8: return store_integer(value, INT8_MIN, INT8_MAX, 1, out);
    case TNRT_U64: return store_integer(value, 0, 0x1p64 - 2048, 8, out);
    case TNRT_U32: return store_integer(value, 0, UINT32_MAX, 4, out);
    case TNRT_U16: return store_integer(value, 0, UINT16_MAX, 2, out);
    case TNRT_U8: return store_integer(value, 0, UINT8_MAX, 1, out);
    case TNRT_BOOL: return store_integer(value, 0, 1, 1, out);
    default: return false;
  }
}

static tnrt_status store_label(const tnrt_chain *chain, tnrt_message *message, const tnrt_value *value, int64_t i,
                               uint8_t *out) {
  char room[32];
  const char *label = tnrt_value_text(value, i, room);
  int64_t found = tnrt_dictionary_find(&chain->labels, label, strlen(label));
  if (found < 0)
    return tnrt_fail(message, TNRT_BAD_INPUT, "'%.100s' is no class of the training split", label);
  tnrt_element_store(chain->field->dtype, (double)found, out);
  return TNRT_OK;
}

/* Numbers as f32, all finite: false at the first that is not, and nothing is said of the rest. */
static bool store_floats(const tnrt_value *value, float *out) {
  for (int64_t i = 0; i < value->count; i++) {
    out[i] = (float)value->numbers[i];
    if (!isfinite(out[i])) return false;
  }
  return true;
}

tnrt_status tnrt_chain_store(const tnrt_chain *chain, tnrt_message *message, const tnrt_value *value, void *out) {
  const tnrt_field *field = chain->field;
  const char *name = tnrt_plan_text(chain->plan, field->name);
  size_t bytes = tnrt_dtype_find(field->dtype)->bytes;
  if (value->count != field->count)
    return tnrt_place_add(message, tnrt_fail(message, TNRT_BAD_INPUT, "field '%.100s' has %lld elements, the data %lld",
                                             name, (long long)field->count, (long long)value->count),
                          chain->plan, field->place);
  tnrt_status status = TNRT_OK;
  if (field->dtype == TNRT_F32 && !field->n_classes && store_floats(value, out)) return TNRT_OK;
  for (int64_t i = 0; i < value->count && status == TNRT_OK; i++) {
    uint8_t *to = (uint8_t *)out + (size_t)i * bytes;
    if (field->n_classes)
      status = store_label(chain, message, value, i, to);
    else if (isnan(value->numbers[i]) && !field->takes_missing)
      status = tnrt_fail(message, TNRT_BAD_INPUT, "there is no value");
    else if (!tnrt_element_store(field->dtype, value->numbers[i], to)) {
      char text[32];
      snprintf(text, sizeof text, "%.9g", value->numbers[i]);
      status = tnrt_fail(message, TNRT_BAD_INPUT, "%s does not fit into %s of field '%.100s'", text,
                         tnrt_dtype_name(field->dtype), name);
    }
  }
  return status;
}
