/* The contract of training programs between the compiler and the runtime: one record with tables behind it, all places
 * in it as bytes from its start (0: none), so that it needs no relocation, and the models that belong to it, each
 * compiled as any other. Texts end in a zero. C99.
 *
 * Tensors of the models, in order (states: n_states of each trained weight, weight by weight):
 *
 *   step:    fields.., weights.., states.., rates[, noise] -> loss, norm, running.., trained.., states..
 *   grad:    fields.., weights.., rates[, noise] -> loss, running.., gradients..
 *   update:  trained.., states.., gradients.., rates -> norm, trained.., states..
 *   shard:   weights, states.., gradient, rates of a shard, norm -> weights, states..
 *   norm:    gradients.., rates -> norm
 *   eval:    fields.., weights.. -> loss, statistics..
 *   predict: the model's inputs.., weights.. -> the model's outputs
 *   fit:     the model's inputs.., weights.. -> values of which weights are statistics, the batch as their first axis
 *
 * Fields and weights come in the order of the tables, those left out that tnrt_training_model says the model does not
 * have. The batch is the first axis of each field, and any number of samples at least 1 is taken. The loss is a scalar
 * f32, the mean over the batch. running: the weights of role TNRT_WEIGHT_RUNNING after this batch. gradients: of the
 * trained weights in order, of the mean loss; the caller sums them over micro-batches, each times its share of the
 * samples. norm: f32[], the norm of all gradients before clipping, of the mean loss, not finite where one is not or
 * where no f32 holds the sum of their squares (nor would an optimiser's states); then, and where the loss of step is
 * not finite, running, trained and states are what they were. Each of these may take the place of what it was where
 * tnrt_training_model says so. States are zeros at first.
 *
 * shard does to N elements of a trained weight, whichever they are, what update does to all of all weights: the weight
 * and its states and gradient are [N], N from 1 to TNRT_SHARD_MOST; norm: f32[], that of all gradients, as update gives
 * it. The caller leaves it out where nothing is to change. There is one where the plan says zero; and norm, by the same
 * arithmetic as update's, where the bits may not depend on the number of processes besides. */
#ifndef TNRT_TRAINING_H
#define TNRT_TRAINING_H

#include "runtime/abi.h"

#define TNRT_TRAINING 8u

/* rates: f32[TNRT_RATES + n_groups]; t = 1, 2, ... is the number of the step. */
enum {
  TNRT_RATE_BIAS1,      /* 1 / (1 - beta1^t) */
  TNRT_RATE_BIAS2,      /* 1 / sqrt(1 - beta2^t) */
  TNRT_RATE_LOSS_SCALE, /* the gradients of grad are of the loss times it; update and step divide by it */
  TNRT_RATES            /* then the learning rate of each group */
};
/* Of a shard: f32[TNRT_SHARD_RATES], the same numbers, then those of its weight. */
enum {
  TNRT_SHARD_LR = TNRT_RATES,
  TNRT_SHARD_DECAY, TNRT_SHARD_L1, /* tnrt_weight's */
  TNRT_SHARD_RATES
};
enum { TNRT_SHARD_MOST = 1 << 15 }; /* so that what it works on stays in a cache */
/* noise: u64[3], the seed of the run, the number of the step, and the number of the first sample at hand among those of
 * the step (ir/ops/random.h). */

typedef enum tnrt_split { TNRT_SPLIT_TRAIN, TNRT_SPLIT_VALID, TNRT_SPLIT_TEST, TNRT_N_SPLITS } tnrt_split;

/* ---- data ---- */

typedef enum tnrt_source_kind {
  TNRT_SOURCE_TABLE, /* csv, tsv */
  TNRT_SOURCE_NPY, TNRT_SOURCE_NPZ, TNRT_SOURCE_IDX, TNRT_SOURCE_IMAGES, TNRT_SOURCE_JSONL, TNRT_SOURCE_TEXT,
  TNRT_SOURCE_TOKENS
} tnrt_source_kind;

typedef struct tnrt_source {
  uint32_t kind, name;           /* name: of the data block */
  /* Files of each split: texts (uint32_t each). Those of training are parted by `fractions` where the others have no
   * files. Of idx a pair, images and labels; of npy x and y. Relative to the folder in which the program runs. */
  uint32_t n_paths[TNRT_N_SPLITS], paths[TNRT_N_SPLITS];
  uint32_t separator, has_header;/* of a table */
  uint32_t missing;              /* the text of a cell without value, besides the empty one; 0: none */
  uint32_t drops_bad;            /* rows with a wrong cell are left out and counted, else fatal */
  uint32_t refuses_unknown;      /* a category that training did not see is fatal, else told once */
  uint32_t target;               /* name of the column that "the rest" leaves out; 0: none */
  uint32_t n_columns, columns;   /* names that the file's columns get, texts; 0: its own */
  uint32_t token_dtype, tokenizer;
  uint32_t is_shuffled;
  uint32_t place, reserved;      /* place: a text, where the file has it, drawn with a caret; 0: none */
  uint64_t shuffle;              /* seed of the order before splitting */
  double fractions[TNRT_N_SPLITS];
} tnrt_source;

/* A function of a field's chain (group `field` of settings.def), in order; the first takes the columns. */
typedef enum tnrt_link_kind {
  TNRT_LINK_LOWER, TNRT_LINK_JOIN, TNRT_LINK_WORDS, TNRT_LINK_BPE, TNRT_LINK_WORDPIECE, TNRT_LINK_PAD_OR_CUT,
  TNRT_LINK_LENGTH, TNRT_LINK_WINDOW, TNRT_LINK_ONE_HOT, TNRT_LINK_BINS, TNRT_LINK_MINMAX, TNRT_LINK_IMPUTE,
  TNRT_LINK_CLIP_OUTLIERS, TNRT_LINK_LOG, TNRT_LINK_LOG1P, TNRT_LINK_SQRT, TNRT_LINK_ABS, TNRT_LINK_PAD,
  TNRT_LINK_RANDOM_CROP, TNRT_LINK_FLIP, TNRT_LINK_NOISE,
  TNRT_LINK_ADD, TNRT_LINK_SUB, TNRT_LINK_RSUB, TNRT_LINK_MUL, TNRT_LINK_DIV, TNRT_LINK_RDIV, /* with numbers[0] */
  TNRT_LINK_CLAMP, TNRT_LINK_STANDARDIZE,
  /* Of models with their weights (runtime/core/serving.h): a category's number in its table, -1: none; integers[0] 1:
   * its text as a number, NaN: none. */
  TNRT_LINK_CODE
} tnrt_link_kind;

typedef struct tnrt_link {
  uint32_t kind;       /* tnrt_link_kind */
  uint32_t splits;     /* one bit a split in which it is done: 7, all */
  /* vocab, k, n; T and pad of PAD_OR_CUT; height and width of RANDOM_CROP; of WORDPIECE where the plan has the file's
   * bytes, and how many they are, 0: it is read where it stands. */
  int64_t integers[4];
  double numbers[4];   /* std, sigma, the other operand; lo and hi of CLAMP */
  uint32_t text;       /* file, or the word of `with` */
  uint32_t field;      /* of LENGTH: the field that is measured */
  /* n > 0: done to n columns from number `first` on, of a chain whose columns have one number each. */
  uint32_t first, n;
} tnrt_link;

/* A field of a sample. */
typedef struct tnrt_field {
  uint32_t name;
  uint32_t n_columns, columns; /* names of the source's columns, texts; 0: all that no other field has nor the target */
  uint32_t dtype, ndim;
  uint32_t takes_missing;         /* an empty cell is NaN, and that is stored */
  int64_t extents[TNRT_MAX_NDIM]; /* of one sample */
  int64_t count;                  /* their product */
  uint32_t n_classes;             /* of a label: integers 0 .. n_classes - 1 after mapping; else 0 */
  uint32_t is_input;              /* of the model too */
  uint32_t n_links, links;
  uint32_t place, reserved;       /* place: as of tnrt_source */
} tnrt_field;

/* ---- weights ---- */

typedef enum tnrt_weight_role {
  TNRT_WEIGHT_TRAINED,
  TNRT_WEIGHT_KEPT,     /* frozen */
  TNRT_WEIGHT_RUNNING,  /* a step gives its next value */
  TNRT_WEIGHT_MEAN,     /* over the training split, of the elements of a field or of a result of the model fit */
  TNRT_WEIGHT_VARIANCE  /* the same, mean of squared differences */
} tnrt_weight_role;

/* States are of the weight's type, of one that is kept as bf16 or f16 f32. */
typedef struct tnrt_weight {
  uint32_t name, dtype, ndim;
  uint32_t role;  /* tnrt_weight_role */
  uint32_t field; /* of MEAN and VARIANCE; n_fields + k: the k-th result of fit, which takes only such of lower k */
  uint32_t group; /* whose learning rate it takes */
  int64_t extents[TNRT_MAX_NDIM];
  uint64_t bytes;
  uint64_t data;  /* the elements before training; 0: of the initialiser with the run's seed */
  uint32_t init;  /* tnrt_initial_kind (runtime/initial.h) */
  uint32_t line;  /* where the file has it; 0: not known */
  double init_a, init_b;
  double decay, l1; /* of a trained one: what shard takes */
} tnrt_weight;

/* ---- what is measured ---- */

/* How a metric comes from its statistics, which are summed over the batches of a split in double; f64[count] each. */
typedef enum tnrt_metric_kind {
  TNRT_METRIC_MEAN,      /* (sum, weight): sum / weight */
  TNRT_METRIC_ROOT,      /* (sum, weight): sqrt(sum / weight) */
  TNRT_METRIC_EXP,       /* (sum, weight): exp(sum / weight) */
  TNRT_METRIC_R2,        /* (n, sum b, sum b^2, sum (a - b)^2) */
  TNRT_METRIC_CONFUSION, /* C x C counts, label by answer: told, never compared */
  TNRT_METRIC_ACCURACY, TNRT_METRIC_PRECISION, TNRT_METRIC_RECALL, TNRT_METRIC_F1, /* of such counts */
  TNRT_METRIC_AUC        /* two results, f32[n] scores and f32[n] labels 0 or 1, kept over the split */
} tnrt_metric_kind;

typedef enum tnrt_average { TNRT_AVERAGE_MACRO, TNRT_AVERAGE_MICRO, TNRT_AVERAGE_BINARY } tnrt_average;

typedef struct tnrt_metric {
  uint32_t name, kind;
  uint32_t count;   /* elements of its statistics */
  uint32_t average; /* tnrt_average */
} tnrt_metric;

/* SPLIT.NAME: metric 0 is the loss, k + 1 the k-th row. */
typedef struct tnrt_watch {
  uint32_t split, metric;
} tnrt_watch;

/* Conditions and the like in postfix order. Truth is 1 and 0. A comparison with a number that was not measured yet is
 * false. */
typedef enum tnrt_term_kind {
  TNRT_TERM_NUMBER, TNRT_TERM_MEASURE,
  TNRT_TERM_STALLED, /* the watch has not become better in `patience` evaluations of its split in a row */
  TNRT_TERM_ADD, TNRT_TERM_SUB, TNRT_TERM_MUL, TNRT_TERM_DIV, TNRT_TERM_NEG, TNRT_TERM_LT, TNRT_TERM_LE, TNRT_TERM_GT,
  TNRT_TERM_GE, TNRT_TERM_EQ, TNRT_TERM_NE, TNRT_TERM_AND, TNRT_TERM_OR, TNRT_TERM_NOT,
  TNRT_TERM_POW, TNRT_TERM_MOD /* a - floor(a / b) b */
} tnrt_term_kind;

typedef struct tnrt_term {
  uint32_t kind;
  tnrt_watch watch;
  uint32_t patience, is_max; /* larger is better */
  uint32_t reserved;
  double number;
} tnrt_term;

typedef struct tnrt_condition {
  uint32_t n_terms, terms;
  uint32_t text; /* as written */
  uint32_t line; /* where */
} tnrt_condition;

/* ---- rates ---- */

typedef enum tnrt_schedule_kind {
  TNRT_SCHEDULE_CONSTANT, TNRT_SCHEDULE_STEP, TNRT_SCHEDULE_EXPONENTIAL, TNRT_SCHEDULE_COSINE, TNRT_SCHEDULE_ONE_CYCLE,
  TNRT_SCHEDULE_PLATEAU
} tnrt_schedule_kind;

/* The learning rate of a group, a function of steps done; warm-up is linear from 0. Arguments as in settings.def. */
typedef struct tnrt_schedule {
  uint32_t kind, is_max;
  double lr, to, factor, peak, start;
  int64_t warmup, every, patience;
  tnrt_watch watch;
} tnrt_schedule;

/* ---- events ---- */

typedef enum tnrt_action_kind {
  TNRT_ACTION_EVAL, TNRT_ACTION_CHECKPOINT, TNRT_ACTION_LOG, TNRT_ACTION_SAMPLE,         /* of every */
  TNRT_ACTION_ROLLBACK, TNRT_ACTION_SCALE_LR, TNRT_ACTION_SKIP_BATCH, TNRT_ACTION_RESUME /* of on nan, on lost_rank */
} tnrt_action_kind;

typedef struct tnrt_action {
  uint32_t kind;
  uint32_t split;            /* EVAL */
  int64_t n;                 /* EVAL: batches, 0: all; CHECKPOINT: how many are kept; SAMPLE: tokens */
  uint32_t text;             /* CHECKPOINT: folder or 0; LOG: json; SAMPLE: prompt */
  uint32_t csv, tensorboard; /* LOG */
  uint32_t port;             /* LOG: prometheus; 0: none */
  uint32_t has_best, is_async, is_max; /* CHECKPOINT; has_best also RESUME: from the best one */
  tnrt_watch best;
  uint32_t reserved;
  double factor;             /* SCALE_LR */
} tnrt_action;

typedef enum tnrt_unit { TNRT_EVERY_STEPS, TNRT_EVERY_EPOCHS } tnrt_unit;

typedef struct tnrt_event {
  uint32_t unit, n_actions, actions, reserved;
  int64_t every;
} tnrt_event;

/* ---- the whole ---- */

typedef enum tnrt_reproducible {
  TNRT_REPRODUCIBLE_NONE, TNRT_REPRODUCIBLE_RUN, TNRT_REPRODUCIBLE_WORLD
} tnrt_reproducible;

typedef struct tnrt_training {
  uint32_t version; /* TNRT_TRAINING */
  uint32_t size;    /* of all, tables and texts included, is `bytes`; this is sizeof(tnrt_training) */
  uint64_t bytes;
  uint64_t digest;  /* of what a checkpoint has to agree with: names, types and extents of weights and states */
  uint32_t name, producer, source_text; /* the model's name; "tenon 0.1.0"; "mlp.tn" */
  uint32_t n_fields, fields;
  tnrt_source source;
  uint32_t n_weights, weights;
  uint32_t n_states, state_names; /* of each trained weight: texts, "momentum", "m", "v" */
  uint32_t n_metrics, metrics;
  uint32_t n_groups, schedules;   /* one a group */
  uint32_t has_noise;
  uint32_t drops_last;            /* an epoch's last batch where it is not full */
  uint32_t reproducible;          /* tnrt_reproducible */
  uint32_t is_scale_dynamic;
  double beta1, beta2;            /* of TNRT_RATE_BIAS1 and 2; 0: those are 1 */
  double loss_scale;              /* at the start; 0: none, always 1 */
  uint32_t zero;                  /* 1: each process has the states of its share of the weights */
  uint32_t has_overlap;           /* gradients travel while the backward pass goes on */
  uint64_t bucket_bytes;          /* of gradients that travel together */
  uint32_t mesh, mesh_line;       /* its name and where it is; 0: none */
  uint32_t mesh_data;             /* how many processes; 0: any number */
  uint32_t onnx_names;            /* what each of the weights is called in onnx, texts; without onnx a text, why */
  uint64_t seed;
  int64_t batch, micro;           /* micro divides batch; equal: step is used, where one process trains */
  int64_t steps, epochs;          /* 0: no such end */
  uint32_t n_events, events;
  uint32_t n_on_nan, on_nan;      /* actions */
  uint32_t n_on_lost, on_lost;
  uint32_t n_on_interrupt, on_interrupt; /* behind the last step of a training that a signal ends */
  uint32_t n_stops, stops;        /* conditions */
  uint32_t n_requires, requires;
  /* The model `predict` as an ONNX file (ModelProto) whose graph lacks the weights' initializers, onnx_bytes of it; 0:
   * there is none. */
  uint64_t onnx, onnx_bytes;
  /* What functions learned, of a model with its weights (runtime/core/serving.h): a key and a text in turn, named as in
   * checkpoints. */
  uint32_t n_fitted, fitted;
  uint64_t step_least; /* bytes that step and grad hold at once at most: what their memory cannot be less than */
} tnrt_training;

/* One model of the training: which fields and weights are among its tensors, a byte each, 0 or 1; NULL: all. in_place:
 * of step and update, a byte for each result, 1: it may lie where what it is the next value of lies; NULL: none may. */
typedef struct tnrt_training_model {
  const tnrt_model *model; /* NULL: there is none (grad and update, where only one process may train) */
  const uint8_t *fields, *weights, *in_place;
} tnrt_training_model;

typedef struct tnrt_training_program {
  const tnrt_training *plan;
  tnrt_training_model step, grad, update, eval, predict;
  /* grad once more, which tells tnrt_call.tracer of each step; its steps' places say where the text is, too:
   * "mlp.tn:4:20: 'log(x)'" */
  tnrt_training_model trace;
  tnrt_training_model shard, norm;
  tnrt_training_model fit; /* of evaluation: nothing is dropped; none where statistics are of fields alone */
} tnrt_training_program;

/* What the program's main (runtime/train/main.c) finds it by. */
extern const tnrt_training_program tnrt_main_training;

#endif
