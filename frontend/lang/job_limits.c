/* What a training cannot do with the model that it has: said where it is asked for, never left out. */
#include <string.h>

#include "frontend/lang/job.h"

/* Whether a prompt can become the first field: the bytes of a text, tokens with their tokenizer, or text that functions
 * make tokens of. */
static bool has_texts(const tn_job *job) {
  const char *source = tn_head_name(job->data->value);
  const tn_ast_stmt *stmt = job->fields.data[0].stmt;
  const tn_ast_expr *file = tn_block_argument(&job->data->value->call.args, "tokenizer", SIZE_MAX);
  if (strcmp(source, "tokens") == 0) return file != NULL;
  if (strcmp(source, "text") == 0) return true;
  return tn_words_have("csv tsv jsonl", source) && stmt && stmt->type->name.text &&
         strcmp(stmt->type->name.text, "token") == 0;
}

/* A model that goes on with a text, with scores for the token behind each. */
static bool goes_on(const tn_job *job) {
  const tn_datum *out = job->model->result;
  const tn_job_field *field = &job->fields.data[0];
  return has_texts(job) && job->n_inputs == 1 && field->shape.n == 1 &&
         field->shape.dtype == TN_I32 && out->kind == TN_DATUM_TENSOR && tn_datum_ndim(out) == 3 &&
         tn_datum_dtype(out) == TN_F32;
}

bool tn_job_check_limits(const tn_job *job) {
  bool ok = true;
  for (size_t i = 0; i < job->train->body->stmts.n; i++) {
    const tn_ast_stmt *stmt = job->train->body->stmts.data[i];
    bool has_actions = stmt->kind == TN_AST_EVERY || stmt->kind == TN_AST_ON;
    for (size_t k = 0; has_actions && k < stmt->body->stmts.n; k++) {
      const tn_ast_expr *action = stmt->body->stmts.data[k]->value;
      if (strcmp(tn_head_name(action), "sample") != 0 || goes_on(job)) continue;
      ok = tn_error(job->s->ctx, action->loc, TN_E_LANG_FIELD, "%s cannot go on with a prompt", job->model->name);
      tn_help(job->s->ctx, "sample asks for a model of one input token[B, T] that gives f32[B, T, V], on text(...), on "
              "tokens(..., tokenizer: FILE), or on a field that words, bpe or wordpiece make of a text");
    }
  }
  return ok;
}
