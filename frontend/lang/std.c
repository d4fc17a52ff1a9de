/* The language's own library: the files of frontend/std, which std.S makes part of the compiler. */
#include <string.h>

#include "frontend/lang/sema.h"

#define FILE_OF(name) extern const char tn_std_##name[], tn_std_##name##_end[]
FILE_OF(nn);
FILE_OF(vision);

const char *tn_std_find(const char *path, size_t *out_bytes) {
  const struct {
    const char *path, *text, *end;
  } files[] = {{"std/nn", tn_std_nn, tn_std_nn_end}, {"std/vision", tn_std_vision, tn_std_vision_end}};
  for (size_t i = 0; i < TN_ARRAY_LEN(files); i++) {
    if (strcmp(files[i].path, path) != 0) continue;
    *out_bytes = (size_t)(files[i].end - files[i].text);
    return files[i].text;
  }
  return NULL;
}
