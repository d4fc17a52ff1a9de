/* The tables of settings.def, and looking into lists of words. */
#include <string.h>

#include "frontend/lang/blocks.h"

static const tn_setting settings[] = {
#define S(block, name, kind, fallback, example, text) {block, name, kind, fallback, example, text},
#define F(group, name, signature, text)
#include "frontend/lang/settings.def"
#undef S
#undef F
};

static const tn_block_function functions[] = {
#define S(block, name, kind, fallback, example, text)
#define F(group, name, signature, text) {group, name, signature, text},
#include "frontend/lang/settings.def"
#undef S
#undef F
};

/* --- Words --- */

bool tn_words_have(const char *words, const char *word) {
  size_t n = strlen(word);
  for (const char *at = words; n && (at = strstr(at, word)) != NULL; at += n)
    if ((at == words || at[-1] == ' ') && (at[n] == ' ' || !at[n])) return true;
  return false;
}

const char *tn_words_nearest(tn_sema *s, const char *words, const char *word) {
  TN_VEC(const char *) list = {0};
  for (const char *at = words; *at; at += strspn(at, " ")) {
    size_t n = strcspn(at, " ");
    TN_VEC_PUSH(s->arena, &list, tn_namef(s->ctx, "%.*s", (int)n, at));
    at += n;
  }
  return tn_str_nearest(word, list.data, list.n);
}

bool tn_words_unknown(tn_sema *s, tn_loc loc, tn_diag_code code, const char *text, const char *word,
                      const char *words) {
  const char *near = tn_words_nearest(s, words, word);
  tn_error(s->ctx, loc, code, "%s '%s'", text, word);
  if (near) tn_help(s->ctx, "did you mean '%s'?", near);
  else if (words[0]) tn_help(s->ctx, "expected one of: %s", words);
  return false;
}

/* --- Rows --- */

const tn_setting *tn_setting_find(const char *block, const char *name) {
  for (size_t i = 0; i < TN_ARRAY_LEN(settings); i++)
    if (strcmp(settings[i].block, block) == 0 && strcmp(settings[i].name, name) == 0) return &settings[i];
  return NULL;
}

const char *tn_setting_names(tn_sema *s, const char *block) {
  tn_buf names = tn_buf_create(s->arena);
  tn_buf_puts(&names, "");
  for (size_t i = 0; i < TN_ARRAY_LEN(settings); i++)
    if (strcmp(settings[i].block, block) == 0) tn_buf_printf(&names, "%s%s", names.n ? " " : "", settings[i].name);
  return names.data;
}

const tn_block_function *tn_block_function_find(const char *groups, const char *name) {
  for (size_t i = 0; i < TN_ARRAY_LEN(functions); i++)
    if (strcmp(functions[i].name, name) == 0 && tn_words_have(groups, functions[i].group)) return &functions[i];
  return NULL;
}

const char *tn_block_function_names(tn_sema *s, const char *groups) {
  tn_buf names = tn_buf_create(s->arena);
  tn_buf_puts(&names, "");
  for (size_t i = 0; i < TN_ARRAY_LEN(functions); i++)
    if (tn_words_have(groups, functions[i].group))
      tn_buf_printf(&names, "%s%s", names.n ? " " : "", functions[i].name);
  return names.data;
}
