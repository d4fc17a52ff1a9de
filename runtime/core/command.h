/* Command lines of programs: VERB [OPTION]..., one table of options a program, which the parser and the help read. */
#ifndef TNRT_CORE_COMMAND_H
#define TNRT_CORE_COMMAND_H

#include "runtime/core/message.h"

typedef struct tnrt_option {
  const char *name;  /* "--threads"; with one '-' its value never stands behind '=' */
  const char *value; /* how the help calls its value; NULL: takes none */
  const char *verbs; /* " run bench ": where it is allowed */
  const char *doc;
} tnrt_option;

/* The options of a verb, a line each. width: of the column with their names. */
void tnrt_options_print(const tnrt_option *rows, int n, const char *verb, int width);

/* The option at argv[*at], and its value behind '=' or in the next word, which *at then is. *out_which: its row; -1:
 * there is no option. TNRT_BAD_INPUT: an unknown one, one that the verb has not, a value that is missing. -h is the row
 * called --help. */
tnrt_status tnrt_option_read(tnrt_message *message, const tnrt_option *rows, int n, const char *verb, int argc,
                             char **argv, int *at, int *out_which, const char **out_value);

/* A value as a whole number from lo to hi. name: of the option, for messages. */
tnrt_status tnrt_option_integer(tnrt_message *message, const char *name, const char *text, int64_t lo, int64_t hi,
                                int64_t *out);

/* Of a program that ends so: 0 done, 1 the input is wrong, 71 a resource gave out. */
int tnrt_exit_status(tnrt_status status);

#endif
