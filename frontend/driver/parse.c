/* The command line as a whole: which word is an option, an argument or an input, and whether together they make sense.
 * What each option means stands in values.c. */
#include <string.h>
#include <unistd.h>

#include "frontend/driver/driver.h"

#define VALUE FORM_VALUE
#define FLAG FORM_FLAG
#define JOINED FORM_JOINED
const tn_option tn_options[N_OPTIONS] = {
#define X(id, spelling, argument, form, group, text) {spelling, argument, form, GROUP_##group, text},
#include "frontend/driver/options.def"
#undef X
};
#undef VALUE
#undef FLAG
#undef JOINED

const tn_verb tn_verbs[N_VERBS] = {
#define X(id, word, arguments, text) [id] = {word, arguments, text},
#include "frontend/driver/verbs.def"
#undef X
};

static bool read_verb(tn_driver *driver, const char *word) {
  for (size_t i = VERB_COMPILE + 1; i < N_VERBS; i++)
    if (strcmp(tn_verbs[i].word, word) == 0) driver->options.verb = (tn_verb_id)i;
  return driver->options.verb != VERB_COMPILE;
}

/* Options of one or two letters take their argument right behind them. */
bool tn_option_is_short(const tn_option *option) {
  return strlen(option->spelling) == 2 || strncmp(option->spelling, "-M", 2) == 0;
}

static bool matches(const tn_option *option, const char *word, const char **out_argument) {
  size_t n = strlen(option->spelling);
  *out_argument = NULL;
  if (strncmp(word, option->spelling, n) != 0) return false;
  const char *rest = word + n;
  if (option->form == FORM_FLAG) return *rest == 0;
  if (option->form == FORM_JOINED) {
    *out_argument = rest;
    return true;
  }
  if (*rest == 0) return true;
  if (*rest == '=' && !tn_option_is_short(option)) {
    *out_argument = rest + 1;
    return true;
  }
  *out_argument = rest;
  return tn_option_is_short(option);
}

const tn_option *tn_option_find(const char *word, const char **out_argument) {
  const tn_option *best = NULL;
  for (size_t i = 0; i < N_OPTIONS; i++) {
    const char *argument;
    if (!matches(&tn_options[i], word, &argument)) continue;
    if (best && strlen(best->spelling) >= strlen(tn_options[i].spelling)) continue;
    best = &tn_options[i];
    *out_argument = argument;
  }
  return best;
}

static bool unknown_option(tn_driver *driver, const char *word) {
  const char *names[N_OPTIONS];
  for (size_t i = 0; i < N_OPTIONS; i++) names[i] = tn_options[i].spelling;
  const char *name = tn_namef(driver->ctx, "%.*s", (int)strcspn(word, "="), word);
  const char *near = tn_str_nearest(name, names, N_OPTIONS);
  tn_error(driver->ctx, TN_LOC_NONE, TN_E_OPTION, "unknown option '%s'", word);
  if (near) tn_note(driver->ctx, TN_LOC_NONE, "did you mean '%s'?", near);
  return false;
}

static void add_input(tn_driver *driver, const char *path, tn_language language) {
  tn_driver_options *o = &driver->options;
  if (language == LANGUAGE_BY_NAME && strcmp(path, "-") != 0) language = tn_driver_language_of(path);
  if (language == LANGUAGE_OBJECT) {
    TN_VEC_PUSH(driver->ctx->arena, &o->link, path);
    return;
  }
  tn_input input = {.path = path, .language = language};
  TN_VEC_PUSH(driver->ctx->arena, &o->inputs, input);
}

static bool set_language(tn_driver *driver, const char *name, tn_language *out) {
  static const char *const names[] = {[LANGUAGE_BY_NAME] = "none", [LANGUAGE_ONNX] = "onnx", [LANGUAGE_TNIR] = "tnir",
                                      [LANGUAGE_TN] = "tn"};
  for (size_t i = 0; i < TN_ARRAY_LEN(names); i++) {
    if (strcmp(names[i], name) != 0) continue;
    *out = (tn_language)i;
    return true;
  }
  return tn_error(driver->ctx, TN_LOC_NONE, TN_E_OPTION, "-x: expected onnx, tn, tnir or none, found '%s'", name);
}

/* One word that begins with '-'; *i moves on when its argument is the next word. */
static bool read_option(tn_driver *driver, size_t *i, tn_language *language) {
  const char *word = driver->words.data[*i], *argument = NULL;
  const tn_option *option = tn_option_find(word, &argument);
  if (!option) return unknown_option(driver, word);
  if (option->form == FORM_VALUE && !argument) {
    if (*i + 1 >= driver->words.n)
      return tn_error(driver->ctx, TN_LOC_NONE, TN_E_OPTION, "option '%s' needs an argument: %s", option->spelling,
                      option->argument);
    argument = driver->words.data[++*i];
  }
  if (option == &tn_options[OPT_LANGUAGE]) return set_language(driver, argument, language);
  return tn_driver_set(driver, option, argument);
}

static bool read_words(tn_driver *driver) {
  bool ok = true, only_inputs = false;
  tn_language language = LANGUAGE_BY_NAME;
  for (size_t i = 0; i < driver->words.n; i++) {
    const char *word = driver->words.data[i];
    if (i == 0 && read_verb(driver, word)) continue;
    if (!only_inputs && strcmp(word, "--") == 0) only_inputs = true;
    else if (!only_inputs && word[0] == '-' && word[1]) ok = read_option(driver, &i, &language) && ok;
    else add_input(driver, word, language);
  }
  return ok;
}

static void end_list(tn_driver *driver, tn_words *words) {
  if (words->n > 0) TN_VEC_PUSH(driver->ctx->arena, words, NULL);
}

static bool is_identifier(const char *text) {
  static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";
  return text[0] && text[strspn(text, letters)] == 0 && !(text[0] >= '0' && text[0] <= '9');
}

/* Options that exclude or need each other. */
static bool check_together(tn_driver *driver) {
  tn_driver_options *o = &driver->options;
  tn_ctx *ctx = driver->ctx;
  bool many = o->inputs.n > 1;
  if (o->inform != N_OPTIONS) return true;
  if (o->inputs.n == 0) {
    tn_error(ctx, TN_LOC_NONE, TN_E_OPTION, "no input");
    tn_note(ctx, TN_LOC_NONE, "tenon model.onnx -o model makes a program; tenon --help lists the options");
    return false;
  }
  if (o->only_check && o->verb != VERB_FMT)
    return tn_error(ctx, TN_LOC_NONE, TN_E_OPTION, "--check goes with fmt only");
  if ((o->has_ref || o->recorded || o->tolerance > 0) && o->verb != VERB_DIFF)
    return tn_error(ctx, TN_LOC_NONE, TN_E_OPTION, "--ref, --recorded and --tolerance go with diff only");
  if (o->ref_is_onnx != (o->recorded != NULL)) {
    tn_error(ctx, TN_LOC_NONE, TN_E_OPTION, "--ref=onnx and --recorded=DIR go together");
    tn_note(ctx, TN_LOC_NONE,
            "tenon runs no other program: DIR holds what one has computed, NAME.npy for inputs and values");
    return false;
  }
  if (o->json && o->verb != VERB_INSPECT)
    return tn_error(ctx, TN_LOC_NONE, TN_E_OPTION, "--json goes with inspect only");
  if (o->levels & (LEVEL_AST | LEVEL_SAFETENSORS | LEVEL_ONNX) &&
      ((o->levels & (o->levels - 1)) || o->code_levels.n > 0))
    return tn_error(ctx, TN_LOC_NONE, TN_E_OPTION, "--emit=%s goes with no other level",
                    o->levels & LEVEL_AST ? "ast" : o->levels & LEVEL_ONNX ? "onnx" : "safetensors");
  if (many && o->output && o->make != TN_MAKE_EVAL)
    return tn_error(ctx, TN_LOC_NONE, TN_E_OPTION, "-o cannot name the results of %zu inputs", o->inputs.n);
  if (o->verb != VERB_COMPILE) return true;
  bool single = o->make == TN_MAKE_EXECUTABLE || o->make == TN_MAKE_SHARED || o->make == TN_MAKE_EVAL;
  if (many && single)
    return tn_error(ctx, TN_LOC_NONE, TN_E_OPTION,
                    "a program holds one model, found %zu inputs; -c makes an object of each", o->inputs.n);
  if (o->with_main && o->make != TN_MAKE_OBJECT)
    return tn_error(ctx, TN_LOC_NONE, TN_E_OPTION, "--with-main goes with -c only");
  if (o->output && strcmp(o->output, "-") == 0 && (o->make == TN_MAKE_EXECUTABLE || o->make == TN_MAKE_SHARED))
    return tn_error(ctx, TN_LOC_NONE, TN_E_OPTION, "-o -: a linker cannot write to standard output");
  if (o->freestanding && (o->make == TN_MAKE_EXECUTABLE || o->with_main || o->constants == CONSTANTS_EXTERNAL))
    return tn_error(ctx, TN_LOC_NONE, TN_E_OPTION,
                    "-ffreestanding goes with -c, -static-lib or -shared, and constants that are part of them");
  if (o->prefix && !is_identifier(o->prefix))
    return tn_error(ctx, TN_LOC_NONE, TN_E_OPTION, "--prefix: '%s' is no C identifier", o->prefix);
  if (o->make != TN_MAKE_EVAL && o->eval_inputs.n > 0)
    return tn_error(ctx, TN_LOC_NONE, TN_E_OPTION, "--input goes with --eval only");
  return true;
}

bool tn_driver_parse(tn_driver *driver) {
  tn_driver_options *o = &driver->options;
  *o = (tn_driver_options){.opt_level = 2, .threads = 16, .unit_seconds = 600, .color = -1, .inform = N_OPTIONS,
                            .target = "cpu"};
  long processors = sysconf(_SC_NPROCESSORS_ONLN);
  o->jobs = processors > 0 && processors < 256 ? (uint32_t)processors : 1;
  if (!tn_driver_expand_words(driver) || !read_words(driver)) return false;
  end_list(driver, &o->dump_after);
  end_list(driver, &o->skip);
  end_list(driver, &o->only);
  if (o->memory_limit) driver->ctx->memory_limit = o->memory_limit;
  return check_together(driver);
}
