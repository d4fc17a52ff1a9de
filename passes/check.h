/* --check-each: the reference runs the entry on random inputs before the first pass and after each, and the results are
 * compared; after lowering it runs the kernels. */
#ifndef TN_PASSES_CHECK_H
#define TN_PASSES_CHECK_H

#include "passes/pass.h"

typedef struct tn_check tn_check;

/* Chooses sizes that the guards allow, and inputs, and runs the entry. NULL when the model is too large for the budget
 * or no such sizes were found, which is reported as a warning (TN_W_CHECK). In memory of arena, for as long as it
 * lives. */
tn_check *tn_check_begin(const tn_pass_context *context, tn_arena *arena);
/* False when results are no longer those of the beginning (TN_E_CHECK, naming pass, result and difference). */
bool tn_check_after(tn_check *check, const tn_pass_context *context, const char *pass);

#endif
