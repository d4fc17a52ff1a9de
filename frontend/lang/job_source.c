/* Where the samples come from, as the plan says it. */
#include <string.h>

#include "frontend/lang/job.h"

static const char *const split_names[] = {"train", "valid", "test"};

uint32_t tn_job_split(const char *name) {
  for (uint32_t i = 0; i < TNRT_N_SPLITS; i++)
    if (strcmp(name, split_names[i]) == 0) return i;
  return TNRT_N_SPLITS;
}

static uint32_t kind_of(const char *name) {
  static const struct {
    const char *name;
    tnrt_source_kind kind;
  } rows[] = {{"csv", TNRT_SOURCE_TABLE}, {"tsv", TNRT_SOURCE_TABLE},     {"npy", TNRT_SOURCE_NPY},
              {"npz", TNRT_SOURCE_NPZ},   {"idx", TNRT_SOURCE_IDX},       {"images", TNRT_SOURCE_IMAGES},
              {"jsonl", TNRT_SOURCE_JSONL}, {"text", TNRT_SOURCE_TEXT}, {"tokens", TNRT_SOURCE_TOKENS}};
  for (size_t i = 0; i < TN_ARRAY_LEN(rows); i++)
    if (strcmp(rows[i].name, name) == 0) return rows[i].kind;
  return UINT32_MAX;
}

/* --- Files --- */

/* One string, or a tuple of them. */
static uint32_t list_texts(tn_tables *plan, const tn_ast_expr *e, uint32_t *out, uint32_t max) {
  uint32_t n = 0;
  if (e && e->kind == TN_AST_STRING && max) out[n++] = tn_tables_text(plan, e->string.text);
  for (size_t i = 0; e && e->kind == TN_AST_TUPLE && i < e->tuple.n && n < max; i++)
    if (e->tuple.data[i].value->kind == TN_AST_STRING)
      out[n++] = tn_tables_text(plan, e->tuple.data[i].value->string.text);
  return n;
}

static void put_paths(const tn_job *job, tn_tables *plan, const tn_block_call *call, tnrt_source *out) {
  static const char *const first[] = {"path", "folder", "images", "labels", "x", "y"};
  enum { MAX_PATHS = 256 };
  uint32_t *paths = TN_NEW_N(job->s->arena, uint32_t, MAX_PATHS), n = 0;
  for (size_t i = 0; i < TN_ARRAY_LEN(first); i++)
    n += list_texts(plan, tn_block_call_get(call, first[i]), paths + n, MAX_PATHS - n);
  out->n_paths[TNRT_SPLIT_TRAIN] = n;
  out->paths[TNRT_SPLIT_TRAIN] = (uint32_t)tn_tables_add(plan, paths, n, sizeof(*paths));
  for (uint32_t split = TNRT_SPLIT_VALID; split < TNRT_N_SPLITS; split++) {
    n = list_texts(plan, tn_block_call_get(call, split_names[split]), paths, MAX_PATHS);
    out->n_paths[split] = n;
    out->paths[split] = (uint32_t)tn_tables_add(plan, paths, n, sizeof(*paths));
  }
}

/* --- Parts --- */

static bool put_fractions(const tn_job *job, const tn_block_call *call, tnrt_source *out) {
  const tn_ast_stmt *set = job->data->body ? tn_setting_of(job->data->body, "split") : NULL;
  const tn_ast_expr *split = set ? set->value : tn_block_call_get(call, "split");
  if (!split) return out->fractions[TNRT_SPLIT_TRAIN] = 1, true;
  for (size_t i = 0; i < split->tuple.n; i++) {
    const tn_ast_arg *part = &split->tuple.data[i];
    uint32_t index = tn_job_split(part->name.text);
    if (index == TNRT_N_SPLITS) {
      tn_error(job->s->ctx, part->loc, TN_E_LANG_VALUE, "'%s' is no part that training knows", part->name.text);
      tn_help(job->s->ctx, "the parts are train, valid and test");
      return false;
    }
    if (!tn_block_number(&job->c, part->value, &out->fractions[index])) return false;
  }
  if (out->fractions[TNRT_SPLIT_TRAIN] > 0) return true;
  return tn_error(job->s->ctx, split->loc, TN_E_LANG_VALUE, "nothing is left for training: (train: 0.8, ...)");
}

static void put_columns(const tn_job *job, tn_tables *plan, const tn_block_call *call, tnrt_source *out) {
  const tn_ast_expr *columns = tn_block_call_get(call, "columns");
  size_t n = columns && columns->kind == TN_AST_TUPLE ? columns->tuple.n : columns != NULL;
  uint32_t *names = TN_NEW_N(job->s->arena, uint32_t, n + 1);
  for (size_t i = 0; i < n; i++) {
    const tn_ast_expr *e = columns->kind == TN_AST_TUPLE ? columns->tuple.data[i].value : columns;
    names[i] = tn_tables_text(plan, e->kind == TN_AST_NAME ? e->name : e->kind == TN_AST_STRING ? e->string.text : "");
  }
  out->n_columns = (uint32_t)n;
  out->columns = (uint32_t)tn_tables_add(plan, names, n, sizeof(*names));
}

static uint32_t token_dtype(const tn_block_call *call) {
  const char *word = tn_block_call_has(call, "dtype") ? tn_block_call_word(call, "dtype") : NULL;
  if (!word) return 0;
  return strcmp(word, "u8") == 0 ? TNRT_U8 : strcmp(word, "u16") == 0 ? TNRT_U16 : TNRT_U32;
}

bool tn_job_plan_source(const tn_job *job, tn_tables *plan, tnrt_source *out) {
  tn_block_call call;
  if (!tn_block_call_read(&job->c, "source", job->data->value, 0, &call)) return false;
  const char *name = call.function->name;
  const tn_ast_expr *shuffle = tn_block_call_get(&call, "shuffle");
  const char *bad = tn_block_call_has(&call, "bad") ? tn_block_call_word(&call, "bad") : NULL;
  int64_t seed = 0;
  *out = (tnrt_source){.kind = kind_of(name), .name = tn_tables_text(plan, job->data->name.text),
                       .separator = strcmp(name, "tsv") == 0 ? '\t' : ','};
  const char *place = tn_place_show(job->s, job->data->value->loc, tn_namef(job->s->ctx, "'%s' is read here",
                                                                            job->data->name.text));
  if (place) out->place = tn_tables_text(plan, place);
  out->has_header = tn_block_call_has(&call, "header") ? tn_block_call_bool(&call, "header") : 0;
  out->missing = tn_tables_text(plan, tn_block_call_text(&call, "missing"));
  out->drops_bad = bad && strcmp(bad, "drop") == 0;
  out->refuses_unknown = bad && strcmp(bad, "fatal") == 0 && tn_block_call_get(&call, "bad");
  out->target = tn_tables_text(plan, tn_block_call_text(&call, "target"));
  out->tokenizer = tn_tables_text(plan, tn_block_call_text(&call, "tokenizer"));
  out->token_dtype = token_dtype(&call);
  out->is_shuffled = shuffle != NULL;
  if (shuffle && !tn_eval_static_int(job->c.frame, shuffle, "shuffle", &seed)) return false;
  out->shuffle = (uint64_t)seed;
  put_columns(job, plan, &call, out);
  put_paths(job, plan, &call, out);
  return put_fractions(job, &call, out);
}
