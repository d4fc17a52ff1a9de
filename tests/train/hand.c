/* A training program whose models are written by hand, so that the loop is tested without the compiler: softmax
 * regression on four standardised columns of blobs.csv, three classes, SGD with momentum 0.9. A gradient in closed form
 * stands in for what the compiler makes; micro-batches where TENON_HAND_MICRO is set when this is compiled. */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "runtime/training.h"

enum { X = 4, C = 3, BATCH = 16, MARK = 12345 };

#ifndef TENON_HAND_MICRO
#define TENON_HAND_MICRO BATCH
#endif

/* ---- the plan ---- */

typedef struct hand {
  tnrt_training head;
  uint32_t train_paths[1], label_columns[1], state_names[1];
  tnrt_field fields[2];
  tnrt_weight weights[4];
  tnrt_metric metrics[2];
  tnrt_schedule schedules[1];
  tnrt_action actions[2], on_nan[2];
  tnrt_event events[1];
  tnrt_term stop_terms[1], require_terms[3];
  tnrt_condition stops[1], requires[1];
  char texts[256];
} hand;

#define AT(member) ((uint32_t)offsetof(hand, member))
#define TEXTS "\0blobs.csv\0blobs\0x\0y\0kind\0weight\0bias\0mean\0var\0momentum\0acc\0f1\0Hand\0hand\0hand.tn\0NA\0" \
  "stalled(valid.loss, for: 8)\0test.acc >= 0.9\0"
enum {
  T_FILE = 1, T_DATA = T_FILE + 10, T_X = T_DATA + 6, T_Y = T_X + 2, T_KIND = T_Y + 2, T_WEIGHT = T_KIND + 5,
  T_BIAS = T_WEIGHT + 7, T_MEAN = T_BIAS + 5, T_VAR = T_MEAN + 5, T_MOMENTUM = T_VAR + 4, T_ACC = T_MOMENTUM + 9,
  T_F1 = T_ACC + 4, T_NAME = T_F1 + 3, T_PRODUCER = T_NAME + 5, T_SOURCE = T_PRODUCER + 5, T_NA = T_SOURCE + 8,
  T_STOP = T_NA + 3, T_REQUIRE = T_STOP + 28
};
#define TEXT(number) (AT(texts) + (number))

static const hand plan = {
    .head = {.version = TNRT_TRAINING, .size = sizeof(tnrt_training), .bytes = sizeof(hand), .digest = 1,
             .name = TEXT(T_NAME), .producer = TEXT(T_PRODUCER), .source_text = TEXT(T_SOURCE),
             .n_fields = 2, .fields = AT(fields),
             .source = {.kind = TNRT_SOURCE_TABLE, .name = TEXT(T_DATA), .n_paths = {1}, .paths = {AT(train_paths)},
                        .separator = ',', .has_header = 1, .missing = TEXT(T_NA), .drops_bad = 1,
                        .target = TEXT(T_KIND), .is_shuffled = 1, .shuffle = 7, .fractions = {0.6, 0.2, 0.2}},
             .n_weights = 4, .weights = AT(weights), .n_states = 1, .state_names = AT(state_names),
             .n_metrics = 2, .metrics = AT(metrics), .n_groups = 1, .schedules = AT(schedules),
             .seed = 3, .batch = BATCH, .micro = TENON_HAND_MICRO, .epochs = 40, .n_events = 1, .events = AT(events),
             .n_on_nan = 2, .on_nan = AT(on_nan), .n_stops = 1, .stops = AT(stops), .n_requires = 1,
             .requires = AT(requires)},
    .train_paths = {TEXT(T_FILE)},
    .label_columns = {TEXT(T_KIND)},
    .state_names = {TEXT(T_MOMENTUM)},
    .fields = {{.name = TEXT(T_X), .dtype = TNRT_F32, .ndim = 1, .extents = {X}, .count = X, .is_input = 1},
               {.name = TEXT(T_Y), .n_columns = 1, .columns = AT(label_columns), .dtype = TNRT_I32, .count = 1,
                .n_classes = C}},
    .weights = {{.name = TEXT(T_MEAN), .dtype = TNRT_F32, .ndim = 1, .role = TNRT_WEIGHT_MEAN, .extents = {X},
                 .bytes = 4 * X},
                {.name = TEXT(T_VAR), .dtype = TNRT_F32, .ndim = 1, .role = TNRT_WEIGHT_VARIANCE, .extents = {X},
                 .bytes = 4 * X},
                {.name = TEXT(T_WEIGHT), .dtype = TNRT_F32, .ndim = 2, .role = TNRT_WEIGHT_TRAINED, .extents = {C, X},
                 .bytes = 4 * C * X, .init = 2, .init_a = 0.1},
                {.name = TEXT(T_BIAS), .dtype = TNRT_F32, .ndim = 1, .role = TNRT_WEIGHT_TRAINED, .extents = {C},
                 .bytes = 4 * C}},
    .metrics = {{.name = TEXT(T_ACC), .kind = TNRT_METRIC_ACCURACY, .count = C * C},
                {.name = TEXT(T_F1), .kind = TNRT_METRIC_F1, .count = C * C, .average = TNRT_AVERAGE_MACRO}},
    .schedules = {{.kind = TNRT_SCHEDULE_COSINE, .lr = 0.1, .warmup = 5}},
    .actions = {{.kind = TNRT_ACTION_EVAL, .split = TNRT_SPLIT_VALID},
                {.kind = TNRT_ACTION_CHECKPOINT, .n = 2, .has_best = 1, .best = {TNRT_SPLIT_VALID, 0}}},
    .on_nan = {{.kind = TNRT_ACTION_ROLLBACK}, {.kind = TNRT_ACTION_SKIP_BATCH}},
    .events = {{.unit = TNRT_EVERY_EPOCHS, .n_actions = 2, .actions = AT(actions), .every = 1}},
    .stop_terms = {{.kind = TNRT_TERM_STALLED, .watch = {TNRT_SPLIT_VALID, 0}, .patience = 8}},
    .require_terms = {{.kind = TNRT_TERM_MEASURE, .watch = {TNRT_SPLIT_TEST, 1}},
                      {.kind = TNRT_TERM_NUMBER, .number = 0.9}, {.kind = TNRT_TERM_GE}},
    .stops = {{.n_terms = 1, .terms = AT(stop_terms), .text = TEXT(T_STOP), .line = 7}},
    .requires = {{.n_terms = 3, .terms = AT(require_terms), .text = TEXT(T_REQUIRE), .line = 9}},
    .texts = TEXTS,
};

/* ---- the models ---- */

typedef const float *reals;

/* Scores of sample i: mean and variance to standardise by, then weights[0..1]. */
static void score(reals x, int64_t i, const void *const *w, double out[C]) {
  reals mean = w[0], var = w[1], weight = w[2], bias = w[3];
  for (int c = 0; c < C; c++) {
    double sum = (double)bias[c];
    for (int k = 0; k < X; k++)
      sum += (double)weight[c * X + k] * (((double)x[i * X + k] - (double)mean[k]) / sqrt((double)var[k] + 1e-5));
    out[c] = sum;
  }
}

/* -log softmax of the label; p: softmax. */
static double cross_entropy(const double *scores, int32_t label, double p[C]) {
  double most = fmax(scores[0], fmax(scores[1], scores[2])), sum = 0;
  for (int c = 0; c < C; c++) sum += p[c] = exp(scores[c] - most);
  for (int c = 0; c < C; c++) p[c] /= sum;
  return log(sum) + most - scores[label];
}

/* Mean loss of the batch; gradient: of weight, then bias. */
static double backward(const tnrt_call *call, double gradient[C * X + C]) {
  reals x = call->inputs[0], mean = call->inputs[2], var = call->inputs[3];
  const int32_t *y = call->inputs[1];
  int64_t n = call->symbols[0];
  double loss = 0, scores[C], p[C];
  memset(gradient, 0, (C * X + C) * sizeof *gradient);
  for (int64_t i = 0; i < n; i++) {
    score(x, i, call->inputs + 2, scores);
    loss += cross_entropy(scores, y[i], p) / (double)n;
    if (x[i * X] == (float)MARK) loss = NAN; /* what tests of `on nan` put into the data */
    for (int c = 0; c < C; c++) {
      double away = (p[c] - (c == y[i])) / (double)n;
      gradient[C * X + c] += away;
      for (int k = 0; k < X; k++)
        gradient[c * X + k] += away * ((double)x[i * X + k] - (double)mean[k]) / sqrt((double)var[k] + 1e-5);
    }
  }
  return loss;
}

/* Momentum 0.9: v = 0.9 v + g; w -= lr v. */
static void move(const double *gradient, int n, reals w, reals v, float lr, float *next, float *next_v) {
  for (int i = 0; i < n; i++) {
    next_v[i] = (float)(0.9 * (double)v[i] + gradient[i]);
    next[i] = w[i] - lr * next_v[i];
  }
}

static void run_step(tnrt_call *call) {
  double gradient[C * X + C], squares = 0;
  float *loss = call->outputs[0], *norm = call->outputs[1];
  reals rates = call->inputs[8];
  *loss = (float)backward(call, gradient);
  for (int i = 0; i < C * X + C; i++) squares += gradient[i] * gradient[i];
  *norm = (float)sqrt(squares);
  move(gradient, C * X, call->inputs[4], call->inputs[6], rates[TNRT_RATES], call->outputs[2], call->outputs[4]);
  move(gradient + C * X, C, call->inputs[5], call->inputs[7], rates[TNRT_RATES], call->outputs[3], call->outputs[5]);
}

static void run_grad(tnrt_call *call) {
  double gradient[C * X + C];
  float *loss = call->outputs[0], *of_weight = call->outputs[1], *of_bias = call->outputs[2];
  *loss = (float)backward(call, gradient);
  for (int i = 0; i < C * X; i++) of_weight[i] = (float)gradient[i];
  for (int i = 0; i < C; i++) of_bias[i] = (float)gradient[C * X + i];
}

/* trained, states, gradients, rates */
static void run_update(tnrt_call *call) {
  double gradient[C * X + C], squares = 0;
  float *norm = call->outputs[0];
  reals rates = call->inputs[6], of_weight = call->inputs[4], of_bias = call->inputs[5];
  for (int i = 0; i < C * X; i++) gradient[i] = (double)of_weight[i];
  for (int i = 0; i < C; i++) gradient[C * X + i] = (double)of_bias[i];
  for (int i = 0; i < C * X + C; i++) squares += gradient[i] * gradient[i];
  *norm = (float)sqrt(squares);
  move(gradient, C * X, call->inputs[0], call->inputs[2], rates[TNRT_RATES], call->outputs[1], call->outputs[3]);
  move(gradient + C * X, C, call->inputs[1], call->inputs[3], rates[TNRT_RATES], call->outputs[2], call->outputs[4]);
}

static void run_eval(tnrt_call *call) {
  const int32_t *y = call->inputs[1];
  int64_t n = call->symbols[0];
  float *loss = call->outputs[0];
  double *counts = call->outputs[1], *same = call->outputs[2], scores[C], p[C], sum = 0;
  memset(counts, 0, C * C * sizeof *counts);
  for (int64_t i = 0; i < n; i++) {
    score(call->inputs[0], i, call->inputs + 2, scores);
    sum += cross_entropy(scores, y[i], p);
    int best = scores[1] > scores[0];
    if (scores[2] > scores[best]) best = 2;
    counts[y[i] * C + best]++;
  }
  *loss = (float)(sum / (double)n);
  memcpy(same, counts, C * C * sizeof *counts);
}

static void run_predict(tnrt_call *call) {
  float *out = call->outputs[0];
  double scores[C];
  for (int64_t i = 0; i < call->symbols[0]; i++) {
    score(call->inputs[0], i, call->inputs + 1, scores);
    for (int c = 0; c < C; c++) out[i * C + c] = (float)scores[c];
  }
}

/* ---- their descriptors: ports are asked for by predict alone ---- */

static int64_t no_arena(const int64_t *symbols) { return symbols[0] - symbols[0]; }

static int32_t bind(const int64_t *const *in, int64_t *out, int64_t *expected, int64_t *found) {
  out[0] = in[0][0];
  *expected = *found = 0;
  return 0;
}

static int32_t check(const int64_t *symbols, int64_t *expected, int64_t *found) {
  *expected = 1;
  *found = symbols[0];
  return symbols[0] < 1;
}

static void extents_of_scores(const int64_t *symbols, int64_t *out) {
  out[0] = symbols[0];
  out[1] = C;
}

static const tnrt_symbol symbols[] = {{"B", 1, INT64_MAX, 0, 0}};
static const tnrt_extent b_x[] = {{"B", -1}, {NULL, X}}, b_c[] = {{"B", -1}, {NULL, C}};
static const tnrt_guard guards[] = {{"B: expected at least 1", ""}};
#define ANY {"", "[]", TNRT_F32, 0, "f32", NULL, 2, 32, 1, 0}
static const tnrt_port in_ports[] = {{"x", "[B,4]", TNRT_F32, 2, "f32", b_x, 2, 32, 1, 0}, ANY, ANY, ANY, ANY, ANY, ANY,
                                     ANY, ANY};
static const tnrt_port out_ports[] = {{"out", "[B,3]", TNRT_F32, 2, "f32", b_c, 2, 32, 1, 0}, ANY, ANY, ANY, ANY, ANY};

#define MODEL(function, inputs_, outputs_)                                                                    \
  {.abi = TNRT_ABI, .size = sizeof(tnrt_model), .name = #function, .producer = "hand", .target = "any",       \
   .cpu_needs = "", .n_symbols = 1, .n_inputs = inputs_, .n_outputs = outputs_, .n_guards = 1, .max_workers = 1, \
   .symbols = symbols, .inputs = in_ports, .outputs = out_ports, .guards = guards, .bind = bind, .check = check, \
   .out_extents = extents_of_scores, .arena_bytes = no_arena, .run = function}

static const tnrt_model step = MODEL(run_step, 9, 6), grad = MODEL(run_grad, 7, 3), update = MODEL(run_update, 7, 5),
                        eval = MODEL(run_eval, 6, 3), predict = MODEL(run_predict, 5, 1);

const tnrt_training_program tnrt_main_training = {
    .plan = &plan.head,
    .step = {.model = &step},
    .grad = {.model = &grad},
    .update = {.model = &update},
    .eval = {.model = &eval},
    .predict = {.model = &predict},
};
