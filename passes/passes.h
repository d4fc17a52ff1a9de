/* The functions behind the rows of pipeline.c. Each returns false when it reported an error. */
#ifndef TN_PASSES_PASSES_H
#define TN_PASSES_PASSES_H

#include "passes/pass.h"

/* Graph level. */
bool tn_pass_infer(tn_pass_context *context);    /* types and index values again, in order */
bool tn_pass_fold(tn_pass_context *context);     /* nodes of constants become constants */
bool tn_pass_simplify(tn_pass_context *context); /* rewrite rules of passes/rules to a fixpoint */
bool tn_pass_cse(tn_pass_context *context);      /* equal nodes become one */
bool tn_pass_dce(tn_pass_context *context);      /* nodes without uses or effects go */
bool tn_pass_expand(tn_pass_context *context);   /* composites become primitives */
bool tn_pass_running(tn_pass_context *context);  /* running folds over many positions become scans */
bool tn_pass_regions(tn_pass_context *context);  /* regions in the form that lowering takes */
bool tn_pass_apply_guards(tn_pass_context *context); /* extents that guards make equal become one dim */
bool tn_pass_remat(tn_pass_context *context);    /* computed again in the backward pass, not kept */
bool tn_pass_orient(tn_pass_context *context);   /* operands of products lie along their own axes */
bool tn_pass_group(tn_pass_context *context);    /* which nodes form one kernel */
bool tn_pass_layout(tn_pass_context *context);   /* storage of every value that is kept in memory */

/* dce of one block and its regions, for passes that leave dead nodes. */
void tn_dce_block(tn_block *block);

/* From graph to kernels and program. */
bool tn_pass_lower(tn_pass_context *context);    /* groups become kernels, steps and buffers */
bool tn_pass_schedule(tn_pass_context *context); /* the backend chooses strategies, formats and scratch */
bool tn_pass_donate(tn_pass_context *context);   /* results that may lie in place of arguments */
bool tn_pass_plan(tn_pass_context *context);     /* arena offsets */

#endif
