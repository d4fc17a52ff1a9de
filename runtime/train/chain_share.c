/* What the functions of a chain saw of the training split, of all processes (chain.h). */
#include "runtime/train/chain.h"
#include "runtime/train/shards.h"

static tnrt_status share_seen(tnrt_fitted *fitted, const tnrt_alloc *alloc, tnrt_message *message, tnrt_world *world) {
  if (!tnrt_shards_many(world)) return TNRT_OK;
  uint64_t bytes = (uint64_t)fitted->n_seen * sizeof *fitted->seen;
  uint8_t *all = NULL;
  tnrt_status status = tnrt_shards_collect(world, message, alloc, TNRT_OK, fitted->seen, &bytes, &all, NULL);
  if (status == TNRT_OK)
    status = tnrt_world_sum(world, &fitted->n_records, 1, TNRT_COMM_I64, "the number of fitted records");
  if (fitted->seen) alloc->give(alloc->user, fitted->seen);
  fitted->seen = (double *)(void *)all;
  fitted->n_seen = fitted->seen_room = (int64_t)(bytes / sizeof *fitted->seen);
  return status;
}

tnrt_status tnrt_chain_fit_share(tnrt_chain *chain, tnrt_message *message, tnrt_world *world, uint32_t k) {
  if (k == chain->n_links) return tnrt_dictionary_share(&chain->labels, message, world);
  tnrt_fitted *fitted = &chain->fitted[k];
  fitted->sums.alloc = chain->alloc;
  if (tnrt_chain_learns_words(chain, k) || chain->links[k].kind == TNRT_LINK_BPE)
    return tnrt_dictionary_share(&fitted->words, message, world);
  return tnrt_chain_keeps_all(chain, k) ? share_seen(fitted, chain->alloc, message, world)
                                        : tnrt_sums_end(&fitted->sums, message, world);
}
