/* The manual page of tenon, made from the option table: --print-manual writes it for man(1) (man(7) macros). */
#include <string.h>

#include "frontend/driver/driver.h"

/* Text in roff: a hyphen that may be copied, no escapes, no control character at the start of a line. */
static void print_text(const char *text) {
  if (*text == '.' || *text == '\'') fputs("\\&", stdout);
  for (; *text; text++) {
    if (*text == '\\') fputs("\\e", stdout);
    else if (*text == '-') fputs("\\-", stdout);
    else putchar(*text);
  }
}

static void print_option(const tn_option *option) {
  char usage[64];
  tn_option_usage(option, usage, sizeof(usage));
  printf(".TP\n.B \"");
  print_text(usage);
  printf("\"\n");
  print_text(option->text);
  printf(".\n");
}

static void print_verb(const tn_verb *verb) {
  printf(".TP\n.B \"tenon %s ", verb->word);
  print_text(verb->arguments);
  printf("\"\n");
  print_text(verb->text);
  printf(".\n");
}

void tn_driver_print_manual(void) {
  printf(".TH TENON 1 \"\" \"tenon " TENON_VERSION "\" \"User Commands\"\n"
         ".SH NAME\ntenon \\- compile a neural network to a program, an object or a library\n"
         ".SH SYNOPSIS\n.B tenon\n[\\fIOPTION\\fR]... \\fIMODEL\\fR... [\\fB\\-o\\fR \\fIFILE\\fR]\n"
         ".SH DESCRIPTION\n"
         "Reads models and leaves ordinary programs: executables, objects, shared libraries or archives with C "
         "headers.\nThe result needs libc and libm only, and threads where it uses them.\n"
         "Options have the meaning that they have for\n.BR cc (1)\nwhere it has the same.\n");
  printf(".SH VERBS\nThe first word can be one of these instead of a model.\n");
  for (size_t verb = VERB_COMPILE + 1; verb < N_VERBS; verb++) print_verb(&tn_verbs[verb]);
  printf(".SH OPTIONS\n");
  for (size_t group = 0; group < N_GROUPS; group++) {
    printf(".SS ");
    print_text(tn_option_groups[group]);
    putchar('\n');
    for (size_t i = 0; i < N_OPTIONS; i++)
      if (tn_options[i].group == group) print_option(&tn_options[i]);
  }
  printf(".SH \"EXIT STATUS\"\n"
         ".TP\n.B 0\ndone\n.TP\n.B 1\nthe input or an option is wrong\n"
         ".TP\n.B 70\na fault of tenon; the message names a file with which it can be reproduced\n"
         ".TP\n.B 71\na resource failed: disk, memory, a missing tool\n"
         ".SH EXAMPLES\n"
         ".TP\n.B tenon net.onnx \\-o net\nmakes the executable\n.BR ./net ,\n"
         "which explains itself with\n.BR \\-\\-help .\n"
         ".TP\n.B tenon \\-c net.onnx \\-o net.o \\-MD\n"
         "makes an object, the C header net.h, and the depfile net.d for\n.BR make (1).\n"
         ".SH \"SEE ALSO\"\n.BR cc (1),\n.BR pkg\\-config (1)\n");
}
