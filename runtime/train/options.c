/* The command line of a training program; see options.h. */
#include "runtime/train/options.h"

#include <string.h>

#include "runtime/core/command.h"

enum {
  SEED, EPOCHS, STEPS, STOP_AT, DATA, VALID, TEST, DATA_MEMORY, WEIGHTS, RESUME, CHECKPOINT_DIR, CHECKPOINT, SPLIT,
  INPUT, OUTPUT, LOG_JSON, LOG_CSV, TENSORBOARD, METRICS_PORT, PLOT, PLOT_PNG, ONNX, SAFETENSORS, NPZ, THREADS, MPI,
  COMM_TIMEOUT, TRACE, JSON, QUIET, HELP, N_OPTIONS
};

static const tnrt_option rows[N_OPTIONS] = {
    [SEED] = {"--seed", "N", " train ", "of initial weights, order and noise, instead of the file's"},
    [EPOCHS] = {"--epochs", "N", " train ", "how often to go through the training split, instead of the file's"},
    [STEPS] = {"--steps", "N", " train ", "how many steps to make, instead of the file's"},
    [STOP_AT] = {"--stop-at", "N", " train ", "stop after step N with a checkpoint, as a signal does"},
    [DATA] = {"--data", "FILE", " train eval run ", "the data, instead of the file's own; run: the records to predict"},
    [VALID] = {"--valid", "FILE", " train eval ", "data of the split valid"},
    [TEST] = {"--test", "FILE", " train eval ", "data of the split test"},
    [DATA_MEMORY] = {"--data-memory", "BYTES", " train eval ",
                     "how much of files and samples is held in memory, instead of a quarter of it; 0: nothing"},
    [WEIGHTS] = {"--weights", "FILE", " train ",
                 "begin with the weights of a safetensors file (a checkpoint, say), by their paths"},
    [RESUME] = {"--resume", NULL, " train ", "go on from the newest checkpoint"},
    [CHECKPOINT_DIR] = {"--checkpoint-dir", "DIR", " train eval run export info ",
                        "folder of checkpoints (PROGRAM.checkpoints)"},
    [CHECKPOINT] = {"--checkpoint", "FILE", " eval run export info ",
                    "a checkpoint, or 'best' or 'last' (best where the model's file asks for it)"},
    [SPLIT] = {"--split", "NAME", " eval ", "train, valid or test alone"},
    [INPUT] = {"--input", "NAME=FILE", " run ", "an input of the model as .npy, by name or position"},
    [OUTPUT] = {"--output", "FILE", " run ",
                "where predictions go: .csv (standard output), .npy, or a folder with one .npy an output"},
    [LOG_JSON] = {"--log-json", "FILE", " train ", "every evaluation and epoch as a line of JSON"},
    [LOG_CSV] = {"--log-csv", "FILE", " train ", "the same as a table"},
    [TENSORBOARD] = {"--tensorboard", "DIR", " train ", "the same as events for TensorBoard"},
    [METRICS_PORT] = {"--metrics-port", "N", " train ", "a port on this machine that tells them to Prometheus"},
    [PLOT] = {"--plot", NULL, " train ", "draw the curves at the end"},
    [PLOT_PNG] = {"--plot-png", "FILE", " train plot ", "draw them into a picture (by gnuplot)"},
    [ONNX] = {"--onnx", "FILE", " export ", "the model with its weights as ONNX"},
    [SAFETENSORS] = {"--safetensors", "FILE", " export ", "the weights as safetensors"},
    [NPZ] = {"--npz", "FILE", " export ", "the weights as .npz"},
    [THREADS] = {"--threads", "N", " train eval run ", "threads that compute (1)"},
    [MPI] = {"--mpi", "NAME", " train ", "openmpi, mpich or none, where the launcher is not recognised"},
    [COMM_TIMEOUT] = {"--comm-timeout", "SECONDS", " train ",
                      "how long processes wait for each other (120; 600 at the first step)"},
    [TRACE] = {"--trace", "FILE", " train ", "what each process does when, as a Chrome trace (of several: FILE.RANK)"},
    [JSON] = {"--json", NULL, " eval info ", "print JSON"},
    [QUIET] = {"--quiet", NULL, " train ", "tell only what went wrong"},
    [HELP] = {"--help", NULL, " train eval run export plot info ", "print this text"},
};

void tnrt_command_describe(const char *verb) { tnrt_options_print(rows, N_OPTIONS, verb, 22); }

static tnrt_status take_number(tnrt_message *message, int which, const char *value, tnrt_command *out) {
  int64_t number = 0, most = which == THREADS ? 1024 : which == METRICS_PORT ? 65535 : INT64_MAX;
  int64_t least = which == SEED || which == DATA_MEMORY ? 0 : 1;
  tnrt_status status = tnrt_option_integer(message, rows[which].name, value, least, most, &number);
  if (which == SEED) out->seed = (uint64_t)number;
  if (which == SEED) out->has_seed = true;
  if (which == DATA_MEMORY) out->data.memory = (uint64_t)number;
  if (which == DATA_MEMORY) out->data.has_memory = true;
  if (which == EPOCHS) out->epochs = number;
  if (which == STEPS) out->steps = number;
  if (which == STOP_AT) out->stop_at = number;
  if (which == THREADS) out->threads = (int)number;
  if (which == COMM_TIMEOUT) out->comm_timeout = (double)number;
  if (which == METRICS_PORT) out->logs.port = (int)number;
  return status;
}

static tnrt_status take_input(tnrt_message *message, const char *value, tnrt_command *out) {
  const char *equals = strrchr(value, '=');
  if (out->n_inputs == TNRT_MAX_GIVEN)
    return tnrt_fail(message, TNRT_BAD_INPUT, "--input: more than %d of them", TNRT_MAX_GIVEN);
  out->inputs[out->n_inputs++] = equals ? (tnrt_given_input){value, (size_t)(equals - value), equals + 1}
                                        : (tnrt_given_input){NULL, 0, value};
  return TNRT_OK;
}

static tnrt_status take_split(tnrt_message *message, const char *value, tnrt_command *out) {
  for (uint32_t i = 0; i < TNRT_N_SPLITS; i++)
    if (strcmp(value, tnrt_split_name(i)) == 0) return out->split = value, TNRT_OK;
  return tnrt_fail(message, TNRT_BAD_INPUT, "--split: '%.100s' is none of train, valid, test", value);
}

static tnrt_status take(tnrt_message *message, int which, const char *value, tnrt_command *out) {
  const char **const texts[N_OPTIONS] = {
      [DATA] = &out->data.paths[TNRT_SPLIT_TRAIN], [VALID] = &out->data.paths[TNRT_SPLIT_VALID],
      [TEST] = &out->data.paths[TNRT_SPLIT_TEST], [WEIGHTS] = &out->weights,
      [CHECKPOINT_DIR] = &out->folder, [CHECKPOINT] = &out->checkpoint,
      [OUTPUT] = &out->output, [LOG_JSON] = &out->logs.json, [LOG_CSV] = &out->logs.csv,
      [TENSORBOARD] = &out->logs.tensorboard, [PLOT_PNG] = &out->logs.plot_png, [ONNX] = &out->targets.onnx,
      [SAFETENSORS] = &out->targets.safetensors, [NPZ] = &out->targets.npz, [MPI] = &out->mpi,
      [TRACE] = &out->trace};
  bool *const flags[N_OPTIONS] = {[RESUME] = &out->resume, [PLOT] = &out->logs.plot, [JSON] = &out->json,
                                  [QUIET] = &out->logs.is_quiet, [HELP] = &out->help};
  if (texts[which]) *texts[which] = value;
  else if (flags[which]) *flags[which] = true;
  else if (which == INPUT) return take_input(message, value, out);
  else if (which == SPLIT) return take_split(message, value, out);
  else return take_number(message, which, value, out);
  return TNRT_OK;
}

static tnrt_status parse_rest(tnrt_message *message, int argc, char **argv, tnrt_command *out) {
  tnrt_status status = TNRT_OK;
  for (int i = 0; i < argc && status == TNRT_OK; i++) {
    const char *value;
    int which;
    status = tnrt_option_read(message, rows, N_OPTIONS, out->verb, argc, argv, &i, &which, &value);
    if (status != TNRT_OK) return status;
    if (which < 0 && strcmp(out->verb, "plot") == 0 && !out->log) {
      out->log = argv[i];
      continue;
    }
    if (which < 0) return tnrt_fail(message, TNRT_BAD_INPUT, "unknown argument '%.100s' (see --help)", argv[i]);
    status = take(message, which, value, out);
  }
  if (status == TNRT_OK && !out->help && !out->log && strcmp(out->verb, "plot") == 0)
    return tnrt_fail(message, TNRT_BAD_INPUT, "plot needs a log, as --log-json and --log-csv write it");
  if (status == TNRT_OK && out->resume && out->weights)
    return tnrt_fail(message, TNRT_BAD_INPUT, "--weights begins a training, --resume goes on with one");
  return status;
}

tnrt_status tnrt_command_parse(tnrt_message *message, int argc, char **argv, tnrt_command *out) {
  static const char *const verbs[] = {"train", "eval", "run", "export", "plot", "info"};
  const char *slash = argc ? strrchr(argv[0], '/') : NULL, *first = argc > 1 ? argv[1] : "--help";
  *out = (tnrt_command){.program = slash ? slash + 1 : argc ? argv[0] : "model", .threads = 1};
  if (strcmp(first, "--help") == 0 || strcmp(first, "-h") == 0 || strcmp(first, "help") == 0) {
    out->help = true;
    return TNRT_OK;
  }
  for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
    if (strcmp(first, verbs[i]) == 0) out->verb = verbs[i];
  if (!out->verb)
    return tnrt_fail(message, TNRT_BAD_INPUT, "'%.100s' is none of train, eval, run, export, plot, info (see --help)",
                     first);
  return parse_rest(message, argc - 2, argv + 2, out);
}
