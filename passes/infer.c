/* Inference again, in order: types, guards and index values of every node from those of its operands. */
#include "passes/passes.h"

bool tn_pass_infer(tn_pass_context *context) {
  bool ok = true;
  for (size_t f = 0; f < context->module->funcs.n; f++)
    ok &= tn_block_infer(context->module->funcs.data[f]->body);
  return ok;
}
