/* What the train block says of values that are computed again instead of kept. */
#include <string.h>

#include "frontend/lang/job.h"

bool tn_job_read_remat(tn_job *job) {
  const tn_ast_stmt *stmt = tn_setting_of(job->train->body, "remat");
  const tn_ast_expr *e = stmt ? stmt->value : NULL;
  tn_block_call call;
  if (!e || (e->kind == TN_AST_NAME && strcmp(e->name, "none") == 0)) return true;
  job->remat = (tn_job_remat){.is_on = true, .loc = e->loc};
  job->mode.marks_every = 1;
  if (e->kind == TN_AST_NAME && strcmp(e->name, "all") == 0) return true;
  if (!tn_block_call_read(&job->c, "remat", e, 0, &call)) return false;
  if (strcmp(call.function->name, "keep_every") == 0) {
    job->remat.keep_every = job->mode.marks_every = (int64_t)tn_block_call_number(&call, "n");
    return true;
  }
  job->remat.budget = (uint64_t)tn_block_call_number(&call, "budget");
  return job->remat.budget > 0 ||
         tn_error(job->s->ctx, e->loc, TN_E_LANG_VALUE, "a budget of no bytes holds nothing");
}
