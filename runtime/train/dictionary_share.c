/* Texts that several processes have seen; see dictionary.h. */
#include <string.h>

#include "runtime/train/dictionary.h"
#include "runtime/train/shards.h"

static tnrt_status no_memory(tnrt_message *message) {
  return tnrt_fail(message, TNRT_NO_MEMORY, "no memory for the texts of all processes");
}

typedef struct head {
  int64_t count;
  uint64_t bytes; /* of the text, which stands behind it */
} head;

static uint8_t *pack(const tnrt_dictionary *d, const tnrt_alloc *alloc, uint64_t *out_bytes) {
  uint8_t *all = alloc->get(alloc->user, d->n * sizeof(head) + d->text_bytes + 1, 8), *to = all;
  for (uint32_t i = 0; all && i < d->n; i++) {
    const head h = {d->words[i].count, d->words[i].bytes};
    memcpy(to, &h, sizeof h);
    memcpy(to + sizeof h, tnrt_dictionary_text(d, i), d->words[i].bytes);
    to += sizeof h + d->words[i].bytes;
  }
  *out_bytes = all ? (uint64_t)(to - all) : 0;
  return all;
}

/* Texts get their numbers as they come first in the files: processes have these in their order. */
static tnrt_status unpack(tnrt_dictionary *d, tnrt_message *message, const uint8_t *from, uint64_t bytes) {
  tnrt_dictionary_free(d);
  for (const uint8_t *end = from + bytes; from < end;) {
    head h;
    memcpy(&h, from, sizeof h);
    int64_t number = tnrt_dictionary_add(d, (const char *)from + sizeof h, (size_t)h.bytes);
    if (number < 0) return no_memory(message);
    d->words[number].count += h.count - 1;
    from += sizeof h + h.bytes;
  }
  return TNRT_OK;
}

tnrt_status tnrt_dictionary_share(tnrt_dictionary *d, tnrt_message *message, tnrt_world *world) {
  const tnrt_alloc *alloc = d->alloc;
  if (!tnrt_shards_many(world)) return TNRT_OK;
  uint64_t bytes = 0;
  uint8_t *own = pack(d, alloc, &bytes), *all = NULL;
  tnrt_status status = own ? TNRT_OK : no_memory(message);
  status = tnrt_shards_collect(world, message, alloc, status, own, &bytes, &all, NULL);
  if (own) alloc->give(alloc->user, own);
  if (status == TNRT_OK) status = unpack(d, message, all, bytes);
  if (all) alloc->give(alloc->user, all);
  return tnrt_shards_agree(world, message, status);
}
