/* What tenon tells about itself: --help, --version, --print-..., --explain. Nothing here loads LLVM. */
#include <string.h>
#include <strings.h>

#include "frontend/driver/driver.h"

const char *const tn_option_groups[N_GROUPS] = {
    [GROUP_COMMON] = "Options", [GROUP_MODEL] = "The model", [GROUP_OUTPUT] = "The result",
    [GROUP_LINK] = "Linking", [GROUP_DEPEND] = "Depfiles", [GROUP_INSPECT] = "Seeing inside",
    [GROUP_DIAGNOSE] = "Messages", [GROUP_REFERENCE] = "The reference (--eval)",
    [GROUP_FORMAT] = "Formatting (fmt)",
};

void tn_option_usage(const tn_option *option, char *out, size_t capacity) {
  bool equals = option->form == FORM_VALUE && !tn_option_is_short(option);
  const char *between = !option->argument[0] || option->form == FORM_JOINED ? "" : equals ? "=" : " ";
  snprintf(out, capacity, "%s%s%s", option->spelling, between, option->argument);
}

static void print_option(const tn_option *option) {
  char left[64];
  tn_option_usage(option, left, sizeof(left));
  if (strlen(left) > 29) printf("  %s\n%32s%s\n", left, "", option->text);
  else printf("  %-30s%s\n", left, option->text);
}

static void print_help(bool all) {
  printf("Usage: tenon [OPTION]... MODEL.onnx [-o FILE]\n"
         "Compiles a neural network to a program, an object or a library.\n");
  for (size_t i = VERB_COMPILE + 1; i < N_VERBS; i++)
    printf("   or: tenon %s %s\n       (%s)\n", tn_verbs[i].word, tn_verbs[i].arguments, tn_verbs[i].text);
  for (size_t group = 0; group < (all ? (size_t)N_GROUPS : 1); group++) {
    printf("\n%s:\n", tn_option_groups[group]);
    for (size_t i = 0; i < N_OPTIONS; i++)
      if (tn_options[i].group == group) print_option(&tn_options[i]);
  }
  printf("\nExit status: 0 done, 1 wrong input or option, 70 a fault of tenon, 71 a resource failed.\n");
  if (!all) printf("tenon --help-all lists all options.\n");
}

static void print_ops(void) {
  static const char *const kinds[] = {"scalar", "primitive", "composite", "terminator"};
  for (uint32_t i = 0; i < tn_op_count(); i++) {
    const tn_opdef *op = tn_op_at(i);
    const char *doc = op->doc ? op->doc : "";
    printf("%-24s %-10s %.*s\n", op->name, kinds[op->kind], (int)strcspn(doc, "\n"), doc);
  }
}

static void print_functions(tn_driver *driver) {
  tn_buf text = tn_buf_create(driver->ctx->arena);
  tn_lang_print_functions(&text);
  fwrite(text.data, 1, text.n, stdout);
}

static void print_operands(const tn_opdef *op) {
  for (uint32_t i = 0; i < op->n_operands; i++) {
    const tn_operand_def *operand = &op->operands[i];
    const char *arity = operand->arity == TN_OPTIONAL   ? " (optional)"
                        : operand->arity == TN_VARIADIC ? " (any number)"
                                                        : "";
    printf("  operand %s%s:", operand->name, arity);
    for (int d = 0; d < TN_N_DTYPES; d++)
      if (operand->dtypes & TN_DTYPE_BIT(d)) printf(" %s", tn_dtype_name((tn_dtype)d));
    if (operand->same_dtype) printf(", as %s", operand->same_dtype);
    putchar('\n');
  }
}

static void print_attributes(const tn_opdef *op) {
  static const char *const kinds[] = {"int",  "float", "bool",  "one of",   "string", "dtype",
                                      "ints", "dims",  "pairs", "constant", "func"};
  for (uint32_t i = 0; i < op->n_attrs; i++) {
    const tn_attr_def *attr = &op->attrs[i];
    printf("  attribute %s: %s", attr->name, kinds[attr->kind]);
    for (uint32_t k = 0; attr->names && attr->names[k]; k++) printf(" %s", attr->names[k]);
    if (attr->min_i < attr->max_i) printf(", from %lld to %lld", (long long)attr->min_i, (long long)attr->max_i);
    printf("%s\n", attr->required ? ", required" : "");
  }
}

static bool print_op(tn_driver *driver, const char *name) {
  const tn_opdef *op = tn_op_find(name);
  if (!op) {
    uint32_t n = tn_op_count();
    const char **names = TN_NEW_N(driver->ctx->arena, const char *, n);
    for (uint32_t i = 0; i < n; i++) names[i] = tn_op_at(i)->name;
    const char *near = tn_str_nearest(name, names, n);
    tn_error(driver->ctx, TN_LOC_NONE, TN_E_OPTION, "--help-op: no operator is called '%s'", name);
    tn_note(driver->ctx, TN_LOC_NONE, near ? "did you mean '%s'?" : "--print-ops lists them", near);
    return false;
  }
  printf("%s\n%s\n", op->name, op->doc ? op->doc : "");
  print_operands(op);
  print_attributes(op);
  for (uint32_t i = 0; i < op->n_onnx; i++) {
    const tn_onnx_row *row = &op->onnx[i];
    printf("  ONNX %s%s%s since %d", row->domain, row->domain[0] ? "." : "", row->name, (int)row->since);
    if (row->until) printf(" until %d", (int)row->until);
    putchar('\n');
  }
  return true;
}

static void print_passes(void) {
  static const char *const levels[] = {"graph", "kernels", "program"};
  for (uint32_t i = 0; i < tn_n_passes; i++)
    printf("%-22s %-8s %-9s %s\n", tn_passes[i].name, levels[tn_passes[i].level],
           tn_passes[i].needed ? "needed" : "optional", tn_passes[i].doc);
}

static void print_targets(void) {
  for (uint32_t i = 0; i < tn_n_backends; i++) {
    printf("%-8s %s\n", tn_backends[i]->name, tn_backends[i]->doc);
    for (uint32_t k = 0; k < tn_backends[i]->n_levels; k++)
      printf("  --emit=%-8s %s\n", tn_backends[i]->levels[k].name, tn_backends[i]->levels[k].doc);
  }
}

static bool explain(tn_driver *driver, const char *name) {
  tn_diag_code code = tn_diag_code_find(name);
  if (code == TN_N_DIAG_CODES)
    return tn_error(driver->ctx, TN_LOC_NONE, TN_E_OPTION, "--explain: no diagnostic has the code '%s'", name);
  const char *text = tn_diag_code_text(code);
  printf("%s: ", tn_diag_code_name(code));
  for (size_t column = 8; *text;) { /* whole words in lines of at most 78 columns */
    size_t n = strcspn(text, " ");
    if (column + n > 78) printf("\n"), column = 0;
    printf("%.*s%s", (int)n, text, text[n] ? " " : "\n");
    column += n + 1;
    text += n + (text[n] == ' ');
  }
  return true;
}

bool tn_driver_inform(tn_driver *driver, bool *out_ok) {
  const char *argument = driver->options.inform_argument;
  switch (driver->options.inform) {
    case OPT_HELP: print_help(false); break;
    case OPT_HELP_ALL: print_help(true); break;
    case OPT_VERSION: printf("%s\n", TENON_PRODUCER); break;
    case OPT_PRINT_OPS: print_ops(); break;
    case OPT_PRINT_FUNCTIONS: print_functions(driver); break;
    case OPT_PRINT_PASSES: print_passes(); break;
    case OPT_PRINT_TARGETS: print_targets(); break;
    case OPT_PRINT_OPTIONS:
      for (size_t i = 0; i < N_OPTIONS; i++) printf("%s\n", tn_options[i].spelling);
      break;
    case OPT_PRINT_MANUAL: tn_driver_print_manual(); break;
    case OPT_PRINT_COMPLETION:
      if (!tn_driver_print_completion(argument))
        *out_ok = tn_error(driver->ctx, TN_LOC_NONE, TN_E_OPTION,
                           "--print-completion: expected bash, zsh or fish, found '%s'", argument);
      break;
    case OPT_HELP_OP: *out_ok = print_op(driver, argument); break;
    case OPT_EXPLAIN: *out_ok = explain(driver, argument); break;
    default: return false;
  }
  return true;
}
