/* Folding of one node, for passes that make nodes of constants. */
#ifndef TN_PASSES_FOLD_H
#define TN_PASSES_FOLD_H

#include "ir/graph.h"

/* Replaces node's results by constants when its operands are constants, within the size limit of fold.c, and removes
 * it: *out_folded. False when an error was reported. */
bool tn_fold_node(tn_node *node, bool *out_folded);

#endif
