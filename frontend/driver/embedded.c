/* The runtime that embedded.S holds. */
#include "frontend/driver/driver.h"

#define BLOB(name) extern const unsigned char tn_embedded_##name[], tn_embedded_##name##_end[]
BLOB(program);  /* an archive: everything a program may need, main included */
BLOB(library);  /* an object: what libraries need */
BLOB(library1); /* the same without threads */

static tn_object_part between(const unsigned char *start, const unsigned char *end) {
  return (tn_object_part){start, (size_t)(end - start)};
}

tn_object_part tn_driver_runtime(bool program, bool threads) {
  if (program) return between(tn_embedded_program, tn_embedded_program_end);
  return threads ? between(tn_embedded_library, tn_embedded_library_end)
                 : between(tn_embedded_library1, tn_embedded_library1_end);
}
