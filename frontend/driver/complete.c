/* Shell completions, made from the option table: --print-completion=bash|zsh|fish. What an argument may be is read off
 * its name in the table: words between bars are the choices, FILE and DIR are paths, names of passes, operators and
 * backends are asked of tenon itself while completing. */
#include <ctype.h>
#include <string.h>

#include "frontend/driver/driver.h"

typedef enum tn_argument_kind {
  ARGUMENT_OTHER, ARGUMENT_FILE, ARGUMENT_FOLDER, ARGUMENT_WORDS, ARGUMENT_COMMAND
} tn_argument_kind;

typedef struct tn_argument {
  tn_argument_kind kind;
  char text[96]; /* the words, or the flag that prints them */
} tn_argument;

static const struct {
  tn_option_id option;
  const char *flag; /* `tenon FLAG` prints the choices, each the first word of a line */
} listed[] = {
    {OPT_HELP_OP, "--print-ops"},
    {OPT_TARGET, "--print-targets"},
    {OPT_DUMP_AFTER, "--print-passes"},
    {OPT_STOP_AFTER, "--print-passes"},
    {OPT_SKIP, "--print-passes"},
    {OPT_ONLY, "--print-passes"},
};

/* "a|b|c" in lower case: a choice. */
static bool is_choice(const char *text) {
  if (strchr(text, '|') == NULL) return false;
  for (; *text; text++)
    if (!islower((unsigned char)*text) && *text != '|') return false;
  return true;
}

static tn_argument argument_of(tn_option_id id) {
  const char *name = tn_options[id].argument;
  tn_argument a = {.kind = ARGUMENT_OTHER};
  for (size_t i = 0; i < TN_ARRAY_LEN(listed); i++) {
    if (listed[i].option != id) continue;
    a.kind = ARGUMENT_COMMAND;
    snprintf(a.text, sizeof(a.text), "%s", listed[i].flag);
    return a;
  }
  if (strcmp(name, "FILE") == 0) a.kind = ARGUMENT_FILE;
  if (strcmp(name, "DIR") == 0) a.kind = ARGUMENT_FOLDER;
  if (!is_choice(name)) return a;
  a.kind = ARGUMENT_WORDS;
  snprintf(a.text, sizeof(a.text), "%s", name);
  for (char *p = a.text; *p; p++)
    if (*p == '|') *p = ' ';
  return a;
}

/* ---- bash ---- */

static void bash_case(tn_option_id id) {
  tn_argument a = argument_of(id);
  static const char *const actions[] = {
      [ARGUMENT_FILE] = "compgen -f -- \"$cur\"", [ARGUMENT_FOLDER] = "compgen -d -- \"$cur\"",
  };
  if (tn_options[id].form != FORM_VALUE || a.kind == ARGUMENT_OTHER) return;
  printf("    %s) ", tn_options[id].spelling);
  if (a.kind == ARGUMENT_WORDS) printf("mapfile -t COMPREPLY < <(compgen -W '%s' -- \"$cur\") ;;\n", a.text);
  else if (a.kind == ARGUMENT_COMMAND)
    printf("mapfile -t COMPREPLY < <(compgen -W \"$(tenon %s | cut -d' ' -f1)\" -- \"$cur\") ;;\n", a.text);
  else printf("mapfile -t COMPREPLY < <(%s) ;;\n", actions[a.kind]);
}

static void print_bash(void) {
  printf("# bash completion for tenon\n"
         "_tenon() {\n"
         "  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}\n"
         "  # bash splits --name=value at the sign\n"
         "  if [[ $cur == '=' ]]; then cur=\n"
         "  elif [[ $prev == '=' ]]; then prev=${COMP_WORDS[COMP_CWORD - 2]}\n"
         "  fi\n"
         "  COMPREPLY=()\n"
         "  case $prev in\n");
  for (int id = 0; id < N_OPTIONS; id++) bash_case((tn_option_id)id);
  printf("    *)\n"
         "      if [[ $cur == -* ]]; then\n"
         "        mapfile -t COMPREPLY < <(compgen -W \"$(tenon --print-options)\" -- \"$cur\")\n"
         "      else\n"
         "        mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
         "      fi\n"
         "      if ((COMP_CWORD == 1)); then\n"
         "        mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -W '");
  for (int verb = VERB_COMPILE + 1; verb < N_VERBS; verb++) printf("%s ", tn_verbs[verb].word);
  printf("' -- \"$cur\")\n"
         "      fi ;;\n"
         "  esac\n"
         "}\n"
         "complete -o filenames -F _tenon tenon\n");
}

/* ---- zsh ---- */

static void zsh_text(const char *text) {
  for (; *text; text++) {
    if (*text == '\'') fputs("'\\''", stdout);
    else if (strchr("[]:\\", *text)) printf("\\%c", *text);
    else putchar(*text);
  }
}

static void zsh_option(tn_option_id id) {
  const tn_option *option = &tn_options[id];
  tn_argument a = argument_of(id);
  const char *joint = option->form == FORM_FLAG     ? ""
                      : option->form == FORM_JOINED ? "-"
                      : tn_option_is_short(option)  ? "+"
                                                    : "=";
  printf("    '*%s%s[", option->spelling, joint);
  zsh_text(option->text);
  putchar(']');
  if (option->form != FORM_FLAG) {
    putchar(':');
    zsh_text(option->argument);
    putchar(':');
    if (a.kind == ARGUMENT_FILE) printf("_files");
    if (a.kind == ARGUMENT_FOLDER) printf("_files -/");
    if (a.kind == ARGUMENT_WORDS) printf("(%s)", a.text);
    if (a.kind == ARGUMENT_COMMAND) printf(" _tenon_listed %s", a.text);
  }
  printf("' \\\n");
}

static void print_zsh(void) {
  printf("#compdef tenon\n"
         "# zsh completion for tenon\n"
         "_tenon_first() {\n"
         "  local -a verbs=(");
  for (int verb = VERB_COMPILE + 1; verb < N_VERBS; verb++) {
    printf("'%s:", tn_verbs[verb].word);
    zsh_text(tn_verbs[verb].text);
    printf("' ");
  }
  printf(")\n"
         "  _describe verb verbs\n"
         "  _files\n"
         "}\n"
         "_tenon_listed() {\n"
         "  local -a words=(${${(f)\"$(tenon $1)\"}%%%% *})\n"
         "  compadd -a words\n"
         "}\n"
         "_tenon() {\n"
         "  _arguments \\\n");
  for (int id = 0; id < N_OPTIONS; id++) zsh_option((tn_option_id)id);
  printf("    '1:model:_tenon_first' \\\n"
         "    '*:model:_files'\n"
         "}\n"
         "if [ \"$funcstack[1]\" = _tenon ]; then _tenon \"$@\"; else compdef _tenon tenon; fi\n");
}

/* ---- fish ---- */

static void fish_text(const char *text) {
  putchar('\'');
  for (; *text; text++) {
    if (*text == '\'' || *text == '\\') putchar('\\');
    putchar(*text);
  }
  putchar('\'');
}

static void fish_option(tn_option_id id) {
  const tn_option *option = &tn_options[id];
  tn_argument a = argument_of(id);
  size_t n = strcspn(option->spelling, "=,");
  const char *kind = option->spelling[1] == '-' ? "l" : strlen(option->spelling) == 2 ? "s" : "o";
  const char *name = option->spelling + (*kind == 'l' ? 2 : 1);
  printf("complete -c tenon -%s '%.*s'", kind, (int)(n - (size_t)(name - option->spelling)), name);
  if (option->form == FORM_VALUE) printf(a.kind == ARGUMENT_FILE || a.kind == ARGUMENT_OTHER ? " -r" : " -x");
  if (a.kind == ARGUMENT_WORDS) printf(" -a '%s'", a.text);
  if (a.kind == ARGUMENT_FOLDER) printf(" -a '(__fish_complete_directories)'");
  if (a.kind == ARGUMENT_COMMAND) printf(" -a \"(tenon %s | cut -d' ' -f1)\"", a.text);
  printf(" -d ");
  fish_text(option->text);
  putchar('\n');
}

static void print_fish(void) {
  printf("# fish completion for tenon\n");
  for (int verb = VERB_COMPILE + 1; verb < N_VERBS; verb++) {
    printf("complete -c tenon -n __fish_use_subcommand -a %s -d ", tn_verbs[verb].word);
    fish_text(tn_verbs[verb].text);
    putchar('\n');
  }
  for (int id = 0; id < N_OPTIONS; id++) fish_option((tn_option_id)id);
}

bool tn_driver_print_completion(const char *shell) {
  if (strcmp(shell, "bash") == 0) print_bash();
  else if (strcmp(shell, "zsh") == 0) print_zsh();
  else if (strcmp(shell, "fish") == 0) print_fish();
  else return false;
  return true;
}
