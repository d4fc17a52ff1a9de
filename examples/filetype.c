/* Names the types of files with the model of the package magika, compiled by tenon to an object and a header
 * (examples/quickstart shows how). The model wants 2048 numbers: the first and the last 1024 bytes of a file without
 * the white space around them, padded with 256; it returns a score for each of 214 labels. What is too short for the
 * model is told by rules; a label whose score is low gives way to "txt" or "unknown".
 *
 * usage: filetype FILE...   prints "FILE: LABEL" a line; status 1 when a file cannot be read. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "filetype_labels.h" /* made from the package's config by filetype_labels.py */
#include "magika.h"          /* made by tenon */

enum { HALF = 1024, BLOCK = 4096, PADDING = 256, FEWEST_BYTES = 8 };

/* The white space of Python's bytes.strip(). */
static int is_space(unsigned char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

/* The bytes of the following sequence, 0 when it is not UTF-8 (RFC 3629: no overlong forms, no surrogates). */
static size_t utf8_length(const unsigned char *p, size_t left) {
  size_t length = 0;
  if (p[0] < 0x80) length = 1;
  if (p[0] >= 0xc2 && p[0] <= 0xdf) length = 2;
  if (p[0] >= 0xe0 && p[0] <= 0xef) length = 3;
  if (p[0] >= 0xf0 && p[0] <= 0xf4) length = 4;
  if (length == 0 || length > left) return 0;
  for (size_t i = 1; i < length; i++)
    if ((p[i] & 0xc0) != 0x80) return 0;
  if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f)) return 0;
  if ((p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f)) return 0;
  return length;
}

static const char *label_of_few_bytes(const unsigned char *bytes, size_t n) {
  for (size_t at = 0; at < n;) {
    size_t length = utf8_length(bytes + at, n - at);
    if (length == 0) return "unknown";
    at += length;
  }
  return "txt";
}

/* first, last: the n bytes a file begins and ends with. features: 2 * HALF numbers. */
static void make_features(const unsigned char *first, const unsigned char *last, size_t n, int32_t *features) {
  size_t begin = 0, end = n;
  while (begin < n && is_space(first[begin])) begin++;
  while (end > 0 && is_space(last[end - 1])) end--;
  for (size_t i = 0; i < HALF; i++) {
    features[i] = begin + i < n ? first[begin + i] : PADDING;
    features[2 * HALF - 1 - i] = i < end ? last[end - 1 - i] : PADDING;
  }
}

static const char *label_of_scores(const float *scores) {
  size_t best = 0;
  for (size_t i = 1; i < N_LABELS; i++)
    if (scores[i] > scores[best]) best = i;
  const label *found = &labels[best];
  if ((double)scores[best] >= found->threshold) return found->output;
  return found->output_is_text ? "txt" : "unknown";
}

/* NULL: the file could not be read, or the model could not run; said on stderr. */
static const char *label_of_file(magika_ctx *ctx, FILE *file, long size, const char *path) {
  unsigned char first[BLOCK], last[BLOCK];
  int32_t features[2 * HALF];
  float scores[N_LABELS];
  size_t n = size < BLOCK ? (size_t)size : BLOCK;
  if (fread(first, 1, n, file) != n || fseek(file, size - (long)n, SEEK_SET) != 0 || fread(last, 1, n, file) != n) {
    fprintf(stderr, "filetype: cannot read %s\n", path);
    return NULL;
  }
  if (size == 0) return "empty";
  make_features(first, last, n, features);
  if (size < FEWEST_BYTES || features[FEWEST_BYTES - 1] == PADDING) return label_of_few_bytes(first, n);
  if (magika_run(ctx, 1, features, scores) != 0) {
    fprintf(stderr, "filetype: %s: %s\n", path, magika_message(ctx));
    return NULL;
  }
  return label_of_scores(scores);
}

static const char *label_of_path(magika_ctx *ctx, const char *path) {
  struct stat st;
  if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) return "directory";
  if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) return "unknown";
  FILE *file = fopen(path, "rb");
  if (!file) {
    fprintf(stderr, "filetype: cannot open %s: %s\n", path, strerror(errno));
    return NULL;
  }
  const char *found = fseek(file, 0, SEEK_END) == 0 ? "" : NULL;
  long size = ftell(file);
  rewind(file);
  if (found) found = label_of_file(ctx, file, size, path);
  fclose(file);
  return found;
}

int main(int argc, char **argv) {
  magika_ctx *ctx;
  int status = 0;
  if (argc < 2) {
    fprintf(stderr, "usage: %s FILE...\n", argv[0]);
    return 1;
  }
  if (magika_create(&ctx, NULL, 0, 1) != 0) {
    fprintf(stderr, "filetype: %s\n", magika_message(ctx));
    magika_destroy(ctx);
    return 1;
  }
  for (int i = 1; i < argc; i++) {
    const char *found = label_of_path(ctx, argv[i]);
    if (found)
      printf("%s: %s\n", argv[i], found);
    else
      status = 1;
  }
  magika_destroy(ctx);
  return status;
}
