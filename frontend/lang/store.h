/* Files of tensors, inside: what store.c and safetensors.c share. */
#ifndef TN_FRONTEND_LANG_STORE_H
#define TN_FRONTEND_LANG_STORE_H

#include "frontend/lang/sema.h"

struct tn_store {
  const char *path;
  tn_interner *strings;
  TN_VEC(tn_stored *) tensors; /* in the file's order */
  tn_map names;                /* interned -> tn_stored* */
};

tn_stored *tn_store_add(tn_sema *s, tn_store *store, const char *name);
/* Adds the tensors of a .safetensors file, which lie in data; TN_E_WEIGHTS_FILE at loc. */
bool tn_safetensors_read(tn_sema *s, tn_store *store, const uint8_t *data, size_t bytes, tn_loc loc);

#endif
