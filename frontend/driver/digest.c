/* The digest of runtime/abi.h over bytes that come in pieces. */
#include <string.h>

#include "frontend/driver/driver.h"

tn_digester tn_digester_start(void) { return (tn_digester){.digest = tnrt_digest_start()}; }

void tn_digester_add(tn_digester *d, const void *data, size_t bytes) {
  const uint8_t *at = data;
  while (bytes > 0) {
    size_t filled = d->bytes % sizeof(d->block), room = sizeof(d->block) - filled, n = room < bytes ? room : bytes;
    if (n == sizeof(d->block)) {
      tnrt_digest_add(&d->digest, at);
    } else {
      memcpy(d->block + filled, at, n);
      if (filled + n == sizeof(d->block)) tnrt_digest_add(&d->digest, d->block);
    }
    d->bytes += n;
    at += n;
    bytes -= n;
  }
}

uint64_t tn_digester_end(tn_digester *d) {
  size_t filled = d->bytes % sizeof(d->block);
  if (filled > 0) {
    memset(d->block + filled, 0, sizeof(d->block) - filled);
    tnrt_digest_add(&d->digest, d->block);
  }
  return tnrt_digest_end(&d->digest, d->bytes);
}
