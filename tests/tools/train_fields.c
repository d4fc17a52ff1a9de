/* Reads data as a training program does, by a plan that stands on standard input, and writes the fields of all samples
 * to FOLDER/NAME.bin. A line each: kind N, separator TAB|C, header 0|1, drops 0|1, missing TEXT, target TEXT, shuffle
 * N, fractions A B C, columns NAME.., dtype N (of tokens), tokenizer FILE, path SPLIT FILE, memory N, and for each
 * field: field NAME DTYPE CLASSES EXTENT.., takes COLUMN.., link KIND SPLITS I0 I1 N0 TEXT|- FIELD N1 FIRST N. It
 * prints the samples of each split and how many records were dropped, or "error: ...". epoch N: augmented fields are
 * those of this epoch.   usage: train_fields FOLDER */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/train/samples.h"

enum { ROOM = 1 << 16, MAX = 64 };

typedef struct builder {
  uint8_t *plan; /* ROOM bytes, the head in front */
  size_t used;
  tnrt_field fields[MAX];
  tnrt_link links[MAX][MAX];
  uint32_t texts[MAX];
  char *words[MAX];
  int n;
  int64_t epoch;
  tnrt_data_paths paths;
} builder;

static tnrt_training *head(builder *b) { return (tnrt_training *)(void *)b->plan; }

static uint32_t add(builder *b, const void *data, size_t bytes) {
  size_t at = (b->used + 7) / 8 * 8;
  if (at + bytes > ROOM) exit(2);
  memcpy(b->plan + at, data, bytes);
  b->used = at + bytes;
  return (uint32_t)at;
}

static uint32_t text(builder *b, const char *word) { return add(b, word, strlen(word) + 1); }

static uint32_t list(builder *b, int first) {
  for (int i = first; i < b->n; i++) b->texts[i - first] = text(b, b->words[i]);
  return add(b, b->texts, (size_t)(b->n - first) * sizeof *b->texts);
}

static void put_path(builder *b, uint32_t split, const char *word) {
  tnrt_source *s = &head(b)->source;
  uint32_t all[MAX], n = s->n_paths[split];
  if (n) memcpy(all, b->plan + s->paths[split], n * sizeof *all);
  all[n] = text(b, word);
  s->paths[split] = add(b, all, (n + 1) * sizeof *all);
  s->n_paths[split] = n + 1;
}

static void put_field(builder *b) {
  tnrt_field *f = &b->fields[head(b)->n_fields++];
  *f = (tnrt_field){.name = text(b, b->words[1]), .dtype = (uint32_t)atoi(b->words[2]), .count = 1,
                    .n_classes = (uint32_t)atoi(b->words[3]), .ndim = (uint32_t)b->n - 4};
  for (int i = 4; i < b->n; i++) f->count *= f->extents[i - 4] = atoll(b->words[i]);
}

static void put_link(builder *b) {
  uint32_t field = head(b)->n_fields - 1;
  b->links[field][b->fields[field].n_links++] =
      (tnrt_link){.kind = (uint32_t)atoi(b->words[1]), .splits = (uint32_t)atoi(b->words[2]),
                  .integers = {atoll(b->words[3]), atoll(b->words[4])},
                  .numbers = {atof(b->words[5]), atof(b->words[8])},
                  .text = strcmp(b->words[6], "-") == 0 ? 0 : text(b, b->words[6]),
                  .field = (uint32_t)atoi(b->words[7]), .first = (uint32_t)atoi(b->words[9]),
                  .n = (uint32_t)atoi(b->words[10])};
}

static void put_source(builder *b) {
  tnrt_source *s = &head(b)->source;
  const char *key = b->words[0], *word = b->words[1];
  if (strcmp(key, "kind") == 0) s->kind = (uint32_t)atoi(word);
  if (strcmp(key, "separator") == 0) s->separator = strcmp(word, "TAB") == 0 ? '\t' : (uint32_t)*word;
  if (strcmp(key, "header") == 0) s->has_header = (uint32_t)atoi(word);
  if (strcmp(key, "drops") == 0) s->drops_bad = (uint32_t)atoi(word);
  if (strcmp(key, "missing") == 0) s->missing = text(b, word);
  if (strcmp(key, "target") == 0) s->target = text(b, word);
  if (strcmp(key, "tokenizer") == 0) s->tokenizer = text(b, word);
  if (strcmp(key, "dtype") == 0) s->token_dtype = (uint32_t)atoi(word);
  if (strcmp(key, "shuffle") == 0) s->is_shuffled = 1, s->shuffle = strtoull(word, NULL, 10);
  if (strcmp(key, "path") == 0) put_path(b, (uint32_t)atoi(word), b->words[2]);
  if (strcmp(key, "memory") == 0) b->paths.memory = strtoull(word, NULL, 10), b->paths.has_memory = true;
  if (strcmp(key, "epoch") == 0) b->epoch = atoll(word);
  if (strcmp(key, "columns") == 0) s->n_columns = (uint32_t)b->n - 1, s->columns = list(b, 1);
  for (int i = 0; i < 3 && strcmp(key, "fractions") == 0; i++) s->fractions[i] = atof(b->words[i + 1]);
}

static void put_line(builder *b, char *line) {
  b->n = 0;
  for (char *word = strtok(line, " \n"); word && b->n < MAX; word = strtok(NULL, " \n")) b->words[b->n++] = word;
  if (b->n < 2) return;
  tnrt_field *last = &b->fields[head(b)->n_fields - (head(b)->n_fields > 0)];
  if (strcmp(b->words[0], "field") == 0) put_field(b);
  else if (strcmp(b->words[0], "link") == 0) put_link(b);
  else if (strcmp(b->words[0], "takes") == 0) last->n_columns = (uint32_t)b->n - 1, last->columns = list(b, 1);
  else put_source(b);
}

static tnrt_status write_fields(tnrt_samples *s, const char *folder, int64_t epoch) {
  char path[4096];
  int64_t n = s->first[TNRT_N_SPLITS];
  for (uint32_t i = 0; i < s->plan->n_fields; i++) {
    snprintf(path, sizeof path, "%s/%s.bin", folder, tnrt_plan_text(s->plan, s->plan_fields[i].name));
    FILE *f = fopen(path, "wb");
    uint8_t *sample = malloc(s->bytes[i] + 1);
    tnrt_status status = TNRT_OK;
    for (int64_t k = 0; k < n && status == TNRT_OK; k++) {
      const tnrt_draw draw = {1, (uint64_t)epoch, TNRT_SPLIT_TRAIN};
      bool trains = epoch > 0 && k < s->first[TNRT_SPLIT_TRAIN + 1];
      status = tnrt_samples_gather(s, i, trains ? &draw : NULL, &k, 0, 1, sample);
      fwrite(sample, 1, s->bytes[i], f);
    }
    free(sample);
    fclose(f);
    if (status != TNRT_OK) return status;
  }
  return TNRT_OK;
}

int main(int argc, char **argv) {
  static char line[1 << 14];
  builder *b = calloc(1, sizeof *b);
  tnrt_message message;
  tnrt_samples samples;
  if (argc != 2 || !b) return 2;
  b->plan = calloc(1, ROOM);
  b->used = sizeof(tnrt_training);
  head(b)->source.name = text(b, "data");
  while (fgets(line, sizeof line, stdin)) put_line(b, line);
  for (uint32_t i = 0; i < head(b)->n_fields; i++)
    b->fields[i].links = add(b, b->links[i], b->fields[i].n_links * sizeof(tnrt_link));
  head(b)->fields = add(b, b->fields, head(b)->n_fields * sizeof(tnrt_field));
  tnrt_status status = tnrt_samples_open(&samples, &message, &tnrt_alloc_libc, head(b));
  if (status == TNRT_OK) status = tnrt_samples_load(&samples, &b->paths, false);
  if (status == TNRT_OK) status = write_fields(&samples, argv[1], b->epoch);
  if (status == TNRT_OK) {
    for (uint32_t i = 0; i < TNRT_N_SPLITS; i++) printf("%lld ", (long long)tnrt_samples_count(&samples, i));
    printf("%lld\n", (long long)samples.n_dropped);
    for (uint32_t i = 0; i < head(b)->n_fields; i++)
      for (uint32_t k = 0; k < samples.chains[i].labels.n; k++)
        printf("%s\n", tnrt_dictionary_text(&samples.chains[i].labels, k));
  } else {
    printf("error: %s\n", message.text);
  }
  tnrt_samples_close(&samples);
  free(b->plan);
  free(b);
  return 0;
}
