/* Reading signatures of functions, as builtin.h says they are written. */
#ifndef TN_FRONTEND_LANG_PARAMS_H
#define TN_FRONTEND_LANG_PARAMS_H

#include "frontend/lang/builtin.h"

/* One parameter. Texts are parts of the signature and end where their length says. */
typedef struct tn_param {
  const char *name;
  size_t name_length;
  const char *kind;
  size_t kind_length; /* 0: any */
  const char *fallback;
  size_t fallback_length; /* 0: required */
  bool is_rest;
} tn_param;

/* At most TN_MAX_PARAMS; how many there are. out has room for one more. */
uint32_t tn_signature_read(const char *signature, tn_param *out);
/* Whether the n bytes of text are word. */
bool tn_part_is(const char *text, size_t n, const char *word);
/* Whether word is one of the kind's parts, "a|b|c". */
bool tn_param_has(const tn_param *p, const char *word);

#endif
