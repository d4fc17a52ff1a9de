/* The command line of tenon: what one run was asked to do and what it has so far. main.c is the way of a model from
 * front to back; each step is a file of this folder.
 *
 * Exit status: 0 done; 1 the input or an option is wrong; 70 a fault of tenon; 71 a resource failed. */
#ifndef TN_FRONTEND_DRIVER_H
#define TN_FRONTEND_DRIVER_H

#include <stdio.h>

#include "backends/object/object.h"
#include "frontend/lang/lang.h"
#include "frontend/onnx/onnx.h"
#include "ir/eval.h"
#include "passes/pass.h"
#include "runtime/abi.h"

#define TENON_PRODUCER "tenon " TENON_VERSION

enum { EXIT_INPUT = 1, EXIT_FAULT = 70, EXIT_RESOURCE = 71 };

typedef enum tn_option_id {
#define X(id, spelling, argument, form, group, text) id,
#include "frontend/driver/options.def"
#undef X
  N_OPTIONS
} tn_option_id;

typedef enum tn_option_form { FORM_FLAG, FORM_JOINED, FORM_VALUE } tn_option_form;
typedef enum tn_option_group {
  GROUP_COMMON, GROUP_MODEL, GROUP_OUTPUT, GROUP_LINK, GROUP_DEPEND, GROUP_INSPECT, GROUP_DIAGNOSE, GROUP_REFERENCE,
  GROUP_FORMAT,  N_GROUPS
} tn_option_group;

typedef enum tn_verb_id {
  VERB_COMPILE, /* none of the words */
#define X(id, word, arguments, text) id,
#include "frontend/driver/verbs.def"
#undef X
  N_VERBS
} tn_verb_id;

typedef struct tn_verb {
  const char *word, *arguments, *text;
} tn_verb;
extern const tn_verb tn_verbs[N_VERBS];

typedef struct tn_option {
  const char *spelling, *argument; /* argument "" for a flag */
  tn_option_form form;
  tn_option_group group;
  const char *text;
} tn_option;
extern const tn_option tn_options[N_OPTIONS];
extern const char *const tn_option_groups[N_GROUPS]; /* titles */

typedef enum tn_make {
  TN_MAKE_EXECUTABLE, TN_MAKE_OBJECT, TN_MAKE_SHARED, TN_MAKE_ARCHIVE, TN_MAKE_TEXT, TN_MAKE_EVAL
} tn_make;

typedef enum tn_level {
  LEVEL_IR = 1, LEVEL_KERNELS = 2, LEVEL_PROGRAM = 4, LEVEL_HEADER = 8, LEVEL_DOT = 16, LEVEL_AST = 32,
  LEVEL_WEIGHTS = 64, LEVEL_SAFETENSORS = 128, LEVEL_ONNX = 256, LEVEL_PLAN = 512
} tn_level;

typedef enum tn_constants {
  CONSTANTS_AUTOMATIC, /* EMBEDDED, or EXTERNAL above 1 GB */
  CONSTANTS_EMBEDDED, CONSTANTS_SECTION, CONSTANTS_EXTERNAL
} tn_constants;

typedef enum tn_language { LANGUAGE_BY_NAME, LANGUAGE_ONNX, LANGUAGE_TNIR, LANGUAGE_TN, LANGUAGE_OBJECT } tn_language;

typedef enum tn_message_format { FORMAT_TEXT, FORMAT_JSON, FORMAT_SARIF } tn_message_format;

typedef struct tn_input {
  const char *path;
  tn_language language;
} tn_input;

typedef TN_VEC(const char *) tn_words;

typedef struct tn_driver_options {
  tn_verb_id verb;
  bool only_check; /* fmt --check */
  bool json;       /* inspect --json */
  tn_make make;
  unsigned levels; /* of tn_level */
  bool assembly;   /* -S */
  tn_words code_levels; /* of --emit: levels that belong to backends */
  const char *output, *header, *report, *prefix, *entry, *triple, *target, *sanitize, *sysroot, *data_root;
  tn_words march; /* empty: native */
  tn_constants constants;
  const char *section; /* of CONSTANTS_SECTION */
  uint32_t opt_level, threads, jobs, unit_seconds;
  bool small_code; /* -Os */
  bool debug, freestanding, with_main, no_fork, verbose, commands, save_temps;
  uint64_t memory_budget, memory_limit;
  TN_VEC(tn_input) inputs;
  tn_words link;      /* -l -L -Wl, objects and archives, as given */
  TN_VEC(tn_onnx_dim) dims;
  TN_VEC(tn_onnx_shape) shapes;
  tn_words outputs;
  TN_VEC(tn_lang_setting) defines, sets;
  tn_words import_folders;
  const char *weights;
  bool has_init;
  uint64_t seed;
  bool depfile, depfile_phony;
  const char *depfile_path;
  tn_words depfile_targets;
  tn_words dump_after, skip, only; /* NULL-terminated when not empty */
  const char *stop_after;
  bool verify_each, check_each, time_passes;
  bool warnings_are_errors, no_warnings;
  bool hidden[TN_N_DIAG_CODES]; /* -Wno-TNxxxx */
  tn_message_format format;
  int color; /* -1 by terminal */
  tn_eval_mode eval_mode;
  tn_words eval_inputs; /* NAME=FILE */
  const char *output_dir, *recorded;
  bool has_ref, ref_is_onnx; /* diff --ref */
  double tolerance;          /* 0: by type */
  tn_option_id inform;        /* an option such as --help; N_OPTIONS = none */
  const char *inform_argument;
} tn_driver_options;

/* What a pass did, for the report. */
typedef struct tn_pass_record {
  const tn_pass *pass;
  double ms;
  size_t n_nodes; /* of the entry, afterwards */
} tn_pass_record;

/* A constant of one of the programs, and where it lies among the weights of all. */
typedef struct tn_placed_constant {
  struct tn_driver *of;
  const tn_buffer *buffer;
  uint64_t offset;
} tn_placed_constant;

typedef struct tn_driver {
  tn_ctx *ctx;
  int argc;
  char **argv;
  tn_driver_options options;
  tn_words words; /* the command line after @files */
  /* Of the input that is being compiled: */
  tn_input *input;
  tn_onnx_files files; /* everything that was read */
  tn_lang_weights weights; /* of a model in the language */
  tn_lang_serving serving; /* the same: how it reads records, in executables */
  tn_module *module;
  tn_func *entry;
  const tn_backend *backend;
  tn_target machine;
  tn_program *program;
  tn_debug_source *debug; /* -g, once made (debug.c) */
  const char *march; /* as given */
  const char *part_name; /* of a training's models: "step"; else NULL */
  bool traces;       /* its code tells of each step: that model of a training */
  /* The other programs of the output. Several -march: the compile of each but the best, which is this one; of a
   * training program the models but the step, which is this one. */
  TN_VEC(struct tn_driver *) variants;
  struct tn_driver_training *training; /* training.c; NULL: the output is no training program */
  bool is_part; /* the program is one of a training program's models: */
  const tn_lang_training *part_of;
  tn_lang_part part;
  TN_VEC(tn_placed_constant) constants; /* in the order of their offsets */
  uint64_t constants_bytes;
  tn_external_weights external; /* name NULL: the constants are part of the output */
  const char *weights_path;     /* of external */
  uint64_t stack_bytes;         /* of the code, once made: tn_emit_stack_bytes */
  bool fault;          /* the errors are tenon's own */
  const char *failed_pass;
  TN_VEC(tn_pass_record) passes; /* that ran */
  size_t n_reported;   /* diagnostics printed already */
} tn_driver;

/* session.c: the session starts and ends; the result of the whole run. */
void tn_driver_start(tn_driver *driver, int argc, char **argv);
int tn_driver_finish(tn_driver *driver, bool ok);
/* parse.c: the command line. False when wrong (reported). */
bool tn_driver_parse(tn_driver *driver);
/* Whether the argument stands right behind (-lNAME, also in the next word), not after '='. */
bool tn_option_is_short(const tn_option *option);
/* The option that word begins with, and where its argument starts in the word (NULL: none there). NULL: no such one. */
const tn_option *tn_option_find(const char *word, const char **out_argument);
/* values.c: puts one option with its argument into driver->options. False when the argument is wrong (reported). */
bool tn_driver_set(tn_driver *driver, const tn_option *option, const char *argument);
/* words.c: @file and quoting; appends the words of argv to driver->words. */
bool tn_driver_expand_words(tn_driver *driver);
/* help.c: --help and its kin. True when one was asked for; *out_ok: it was printed whole. */
bool tn_driver_inform(tn_driver *driver, bool *out_ok);
/* Spelling and argument as documentation writes them: "-o FILE", "--dim=NAME=N|LO..HI". */
void tn_option_usage(const tn_option *option, char *out, size_t capacity);
/* manual.c: the manual page, for man(1); complete.c: completions for "bash", "zsh" or "fish", false: another name. */
void tn_driver_print_manual(void);
bool tn_driver_print_completion(const char *shell);
/* inputs.c: the format of an input by name or content; reading one into driver->module. */
tn_language tn_driver_language_of(const char *path);
bool tn_driver_load(tn_driver *driver, tn_input *input);
/* models.c: models in the language: as a graph; tenon check; --emit=safetensors. */
tn_module *tn_driver_load_tn(tn_driver *driver, tn_input *input);
bool tn_driver_check(tn_driver *driver, tn_input *input);
bool tn_driver_write_safetensors(tn_driver *driver);
/* The options of a model in the language; false when there are others (reported). */
bool tn_driver_lang_options(tn_driver *driver, tn_lang_options *out);
/* training.c: whether the input becomes a program that trains a model; *ok false: that was refused or the file cannot
 * be read (reported). */
bool tn_driver_is_training(tn_driver *driver, const tn_input *input, bool *ok);
/* Its models: the step as driver->module, the others as variants. */
bool tn_driver_load_training(tn_driver *driver, tn_input *input);
/* Options of one of its models' code: no main, no C functions, names of its own. */
tn_emit_options tn_driver_part_options(const tn_driver *part, const tn_emit_options *options, const char *prefix);
bool tn_driver_training_has_pictures(const tn_driver *driver); /* whose readers are linked in only then */
/* training_facts.c: completes the plan by what the compiled models make known; TN_E_CONTRACT for each requirement of
 * such numbers alone that does not hold. made: of tn_lang_train; programs: by tn_lang_part, NULL: there is none. */
bool tn_driver_complete_plan(tn_ctx *ctx, const tn_lang_training *made, const tn_program *const *programs);
bool tn_driver_finish_training(tn_driver *driver); /* the same of the driver's own */
/* The objects of all its models and the record that stands for them. */
bool tn_driver_emit_training(tn_driver *driver, const tn_emit_options *options, tn_arena *arena,
                             tn_object_part **out_parts, uint32_t *out_n_parts);
/* Adds a file to those that were read. */
void tn_driver_add_file(tn_driver *driver, const char *path);
/* The format of an input without a suffix, by its first bytes; TN_E_FORMAT. */
bool tn_driver_know_language(tn_driver *driver, tn_input *input);
/* inspect.c: tenon inspect. */
bool tn_driver_inspect(tn_driver *driver, tn_input *input);
/* source.c: files of the language: --emit=ast, and tenon fmt. */
bool tn_driver_print_tree(tn_driver *driver, tn_input *input);
bool tn_driver_format(tn_driver *driver, tn_input *input);
/* compile.c: target and passes. */
bool tn_driver_compile(tn_driver *driver);
tn_pass_context tn_driver_pass_context(tn_driver *driver);
bool tn_driver_run_passes(tn_driver *driver, tn_pass_context *context);
/* remat.c: the step or gradients of a training, whose forward pass is computed again in parts where that is asked for,
 * or if the budget (--memory-budget, the file's own) is less than the working memory; TN_E_BUDGET: it is too small. */
bool tn_driver_compile_within(tn_driver *driver);
/* training.c: makes the driver's step or grad anew, as before any pass. */
bool tn_driver_renew_part(tn_driver *driver);
/* variants.c: puts the processors of several -march in order, the most capable first; true also for one. */
bool tn_driver_order_variants(tn_driver *driver);
/* Compiles the model again for each processor but the first. */
bool tn_driver_compile_variants(tn_driver *driver);
/* What a variant's session recorded is said in the first one's. Returns false. */
bool tn_driver_take_errors(tn_driver *driver, const tn_driver *variant);
/* "net" for "x86-64-v4": "net_x86_64_v4". */
const char *tn_driver_variant_prefix(tn_driver *driver, const char *prefix, const char *cpu);
/* Ends their sessions. */
void tn_driver_end_variants(tn_driver *driver);
/* Gives each constant its place among the weights, those of equal bytes one place. */
bool tn_driver_share_constants(tn_driver *driver);
/* The objects of all variants and of the choice among them. Sets stack_bytes. */
bool tn_driver_emit_variants(tn_driver *driver, const tn_emit_options *options, tn_arena *arena,
                             tn_object_part **out_parts, uint32_t *out_n_parts);
/* emit.c: what the run is for: text, object, library, executable. */
bool tn_driver_emit(tn_driver *driver);
tn_emit_options tn_driver_emit_options(tn_driver *driver);
/* Makes the code, of variants all. Sets stack_bytes. */
bool tn_driver_emit_parts(tn_driver *driver, const tn_emit_options *options, tn_arena *arena,
                          tn_object_part **out_parts, uint32_t *out_n_parts);
/* debug.c: the text of kernels and steps that -g refers to, in OUTPUT's stem.kernels.tnir; NULL without -g. */
const tn_debug_source *tn_driver_debug_source(tn_driver *driver);
/* Writes it; nothing without -g, or when the output is no file. */
bool tn_driver_write_debug(tn_driver *driver);
/* weights.c: decides where the constants go (driver->external); false: they cannot go where they should (reported). */
bool tn_driver_place_constants(tn_driver *driver);
/* The section of constants of an object; NULL when they are a file. */
tn_object_data *tn_driver_object_data(tn_driver *driver, tn_arena *arena);
/* digest.c: the digest of runtime/abi.h, fed piece by piece. */
typedef struct tn_digester {
  tnrt_digest digest;
  uint64_t bytes;
  uint8_t block[32]; /* the last bytes % 32 of them */
} tn_digester;
tn_digester tn_digester_start(void);
void tn_digester_add(tn_digester *digester, const void *data, size_t bytes);
uint64_t tn_digester_end(tn_digester *digester);

/* The file of constants, written whole but not committed; *out NULL when there is none. Sets external.digest. */
bool tn_driver_write_weights(tn_driver *driver, tn_output **out);
/* The constants as the backend packs them, in the order of their offsets. */
bool tn_driver_stream_weights(void *driver, tn_sink sink);
/* text.c: --emit and -S. */
bool tn_driver_emit_text(tn_driver *driver);
/* Whether the backend has every level that was asked for, and what is no text stands alone; else reported. */
bool tn_driver_check_levels(tn_driver *driver);
/* onnx.c: --emit=onnx, the graph as the passes left it. */
bool tn_driver_write_onnx(tn_driver *driver);
/* Text in one atomic file; "-" is standard output. */
bool tn_driver_write_text(tn_driver *driver, const char *path, const tn_buf *text);
/* names.c: names derived from others. All interned. */
const char *tn_driver_output_path(tn_driver *driver);
const char *tn_driver_stem(tn_driver *driver, const char *path); /* without folder and suffix */
const char *tn_driver_with_suffix(tn_driver *driver, const char *path, const char *suffix);
const char *tn_driver_prefix(tn_driver *driver);
const char *tn_driver_header_path(tn_driver *driver); /* NULL: none is written */
/* evaluate.c: --eval. */
bool tn_driver_evaluate(tn_driver *driver);
/* For other files that read and write tensors: the inputs of --input; one .npy, who: "input 'x'" for messages; the name
 * of a tensor's file, any byte but letters, digits, _ - . percent-encoded. */
bool tn_driver_load_inputs(tn_driver *driver, tn_tensor **out);
bool tn_driver_read_tensor(tn_driver *driver, const char *path, const char *who, tn_dtype dtype, tn_tensor **out);
const char *tn_driver_file_name(tn_driver *driver, const char *name);
/* diff.c: tenon diff. */
bool tn_driver_diff(tn_driver *driver, tn_input *input);
/* page.c: --report, a page about the compile; true when none was asked for. */
bool tn_driver_write_page(tn_driver *driver);
/* depfile.c */
bool tn_driver_write_depfile(tn_driver *driver);
/* The link command of -###; false when no linker is found (reported). */
bool tn_driver_print_link(tn_driver *driver, tn_buf *out);
/* commands.c: -###: the commands that make the same result, one a line, on standard output. */
bool tn_driver_print_commands(tn_driver *driver);
/* report.c: prints what was recorded since the last call; the exit status so far. */
int tn_driver_report(tn_driver *driver);
/* reproduce.c: after a fault, writes the IR before the failing pass and the command line to a file and names it. */
void tn_driver_reproduce(tn_driver *driver);
/* progress.c: work longer than a second shows how far it is: a bar on a terminal, a line each ten seconds elsewhere. */
void tn_driver_progress_start(tn_driver *driver); /* for driver->input */
void tn_driver_progress_stop(tn_driver *driver);  /* before anything else is printed; removes the bar */
/* signals.c: interrupted or crashed, no temporary is left. */
void tn_driver_catch_signals(int argc, char **argv);
void tn_driver_remove_temporaries(void);
/* tn_output_open and its ends; the handler knows what is open. */
tn_output *tn_driver_open(tn_driver *driver, const char *path, unsigned mode);
bool tn_driver_commit(tn_output *output);
void tn_driver_discard(tn_output *output);
volatile sig_atomic_t *tn_driver_running_linker(void);
/* embedded.c: an archive of the runtime for a machine, "core" or "train", part of this program; no bytes: there is
 * none. */
tn_object_part tn_driver_runtime(const char *triple, const char *archive);

#endif
