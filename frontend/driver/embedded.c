/* The runtimes that embedded.S holds, one a machine that this tenon was built for. */
#include <string.h>

#include "frontend/driver/driver.h"

typedef struct row {
  const char *machine; /* first part of a triple */
  const char *archive;
  const unsigned char *start, *end;
} row;

#define BLOB(name) extern const unsigned char tn_embedded_##name[], tn_embedded_##name##_end[]
#ifdef TENON_RUNTIME_x86_64
BLOB(x86_64);
#endif
#ifdef TENON_RUNTIME_aarch64
BLOB(aarch64);
#endif
#ifdef TENON_TRAIN_x86_64
BLOB(train_x86_64);
#endif
#ifdef TENON_TRAIN_aarch64
BLOB(train_aarch64);
#endif

static const row rows[] = {
#ifdef TENON_RUNTIME_x86_64
    {"x86_64", "core", tn_embedded_x86_64, tn_embedded_x86_64_end},
#endif
#ifdef TENON_RUNTIME_aarch64
    {"aarch64", "core", tn_embedded_aarch64, tn_embedded_aarch64_end},
#endif
#ifdef TENON_TRAIN_x86_64
    {"x86_64", "train", tn_embedded_train_x86_64, tn_embedded_train_x86_64_end},
#endif
#ifdef TENON_TRAIN_aarch64
    {"aarch64", "train", tn_embedded_train_aarch64, tn_embedded_train_aarch64_end},
#endif
};

tn_object_part tn_driver_runtime(const char *triple, const char *archive) {
  size_t n = strcspn(triple, "-");
  for (size_t i = 0; i < TN_ARRAY_LEN(rows); i++)
    if (strlen(rows[i].machine) == n && memcmp(rows[i].machine, triple, n) == 0 &&
        strcmp(rows[i].archive, archive) == 0)
      return (tn_object_part){.data = rows[i].start, .bytes = (size_t)(rows[i].end - rows[i].start)};
  return (tn_object_part){0};
}
