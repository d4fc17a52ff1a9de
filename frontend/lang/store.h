/* Files of tensors, inside: what store.c and safetensors.c share. */
#ifndef TN_FRONTEND_LANG_STORE_H
#define TN_FRONTEND_LANG_STORE_H

#include "frontend/lang/sema.h"

struct tn_store {
  const char *path;
  tn_interner *strings;
  TN_VEC(tn_stored *) tensors; /* in the file's order */
  tn_map names;                /* interned -> tn_stored* */
  tn_map fitted, texts;        /* of a training: interned -> tn_stored*, interned -> const char* (fitted.h) */
  bool is_trained;             /* what a training program wrote */
};

tn_stored *tn_store_add(tn_sema *s, tn_store *store, const char *name);
/* One that is no weight: "optimizer.fitted.x.0". */
tn_stored *tn_store_add_fitted(tn_sema *s, tn_store *store, const char *name);
/* Adds the tensors of a .safetensors file, which lie in data; TN_E_WEIGHTS_FILE at loc. */
bool tn_safetensors_read(tn_sema *s, tn_store *store, const uint8_t *data, size_t bytes, tn_loc loc);

#endif
