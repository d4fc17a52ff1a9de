/* What the functions of a data block learned, out of the file of weights that the session has (--weights). Functions
 * return false when they reported an error; data NULL: the file says nothing of it. */
#ifndef TN_FRONTEND_LANG_FITTED_H
#define TN_FRONTEND_LANG_FITTED_H

#include "frontend/lang/sema.h"

typedef struct tn_fitted_numbers {
  const double *data;
  size_t n;
} tn_fitted_numbers;

typedef struct tn_fitted_words {
  const char **data; /* by number */
  size_t n;
} tn_fitted_words;

/* Of function number `link` of the field's chain (runtime/training.h). */
bool tn_fitted_numbers_of(tn_sema *s, const char *field, uint32_t link, tn_fitted_numbers *out);
bool tn_fitted_words_of(tn_sema *s, const char *field, uint32_t link, tn_fitted_words *out);
/* The text of a key as the file has it; NULL: it has none. Numbers of a tensor become one: "[1,2.5]". */
const char *tn_fitted_text(tn_sema *s, const char *key);
const char *tn_fitted_numbers_text(tn_sema *s, const tn_fitted_numbers *numbers);
/* The classes of a label. */
bool tn_fitted_labels_of(tn_sema *s, const char *field, tn_fitted_words *out);

#endif
