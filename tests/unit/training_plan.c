/* What a file with a train block says becomes the plan of a training program: read back from its bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "frontend/lang/lang.h"
#include "ir/verify.h"
#include "runtime/initial.h"
#include "runtime/training.h"

typedef struct fixture {
  tn_ctx *ctx;
  char path[64];
  tn_lang_training training;
  const tnrt_training *plan;
  bool ok;
} fixture;

static void train(fixture *f, const char *source) {
  static const tn_lang_options options;
  *f = (fixture){.ctx = tn_ctx_create((tn_oom){NULL, NULL}), .path = "/tmp/tenon-plan-XXXXXX"};
  int fd = mkstemp(f->path);
  assert_true(fd >= 0 && write(fd, source, strlen(source)) == (ssize_t)strlen(source) && close(fd) == 0);
  f->ok = tn_lang_train(f->ctx, f->path, &options, "tenon test", &f->training);
  f->plan = f->training.plan;
}

static void end(fixture *f) {
  for (int i = 0; i < TN_LANG_N_PARTS; i++)
    if (f->ok && f->training.modules[i]) tn_module_destroy(f->training.modules[i]);
  tn_ctx_destroy(f->ctx);
  unlink(f->path);
}

static const void *at(const fixture *f, uint64_t place) { return (const char *)f->plan + place; }

static const char *text(const fixture *f, uint32_t place) { return place ? at(f, place) : "(none)"; }

static const char *list(const fixture *f, uint32_t table, uint32_t i) {
  return text(f, ((const uint32_t *)at(f, table))[i]);
}

static const tnrt_weight *weight(const fixture *f, const char *name) {
  const tnrt_weight *rows = at(f, f->plan->weights);
  for (uint32_t i = 0; i < f->plan->n_weights; i++)
    if (strcmp(text(f, rows[i].name), name) == 0) return &rows[i];
  fail_msg("no weight '%s'", name);
  return NULL;
}

static const char *said(const fixture *f) { return f->ctx->diags.n ? f->ctx->diags.data[0].text : ""; }

/* --- A table without a body: types come from the model and the loss --- */

static const char mlp[] =
    "data iris = csv(\"iris.csv\", target: \"species\", split: (train: 0.8, valid: 0.2), shuffle: 7)\n"
    "model Mlp(x: f32[B, 4]) -> f32[B, 3] = x |> standardize |> linear(32) |> relu |> linear(3, init: xavier)\n"
    "train Mlp on iris {\n"
    "  loss = cross_entropy(out, y); metrics = (acc: accuracy(out, y))\n"
    "  optimizer = adamw(lr: cosine(0.01, warmup: 5, to: 0.001), betas: (0.8, 0.99))\n"
    "  params \"*.bias\" { lr = 0.5 }\n"
    "  freeze \"linear_1.*\"; unfreeze \"linear_1.weight\"\n"
    "  batch = 16; epochs = 20; seed = 3; last = drop\n"
    "  every 2 epochs { eval(valid, batches: 4), checkpoint(keep: 3, best: valid.acc) }\n"
    "  every 5 steps { log(json: \"run.jsonl\") }\n"
    "  stop when stalled(valid.loss, for: 10) or valid.acc > 0.99\n"
    "  on nan { rollback(), scale_lr(0.5) }\n"
    "  require valid.acc >= 1 - 0.25\n"
    "}\n";

static void test_fields(void **state) {
  fixture f;
  (void)state;
  train(&f, mlp);
  assert_true(f.ok);
  const tnrt_field *fields = at(&f, f.plan->fields);
  assert_int_equal(f.plan->version, TNRT_TRAINING);
  assert_int_equal(f.plan->bytes, f.training.plan_bytes);
  assert_int_equal(f.plan->n_fields, 2);
  assert_string_equal(text(&f, fields[0].name), "x");
  assert_true(fields[0].is_input && fields[0].count == 4 && fields[0].dtype == TNRT_F32 && fields[0].n_columns == 0);
  assert_true(!fields[1].is_input && fields[1].ndim == 0 && fields[1].count == 1 && fields[1].dtype == TNRT_I32);
  assert_int_equal(fields[1].n_classes, 3);
  assert_string_equal(list(&f, fields[1].columns, 0), "species");
  const tnrt_source *source = &f.plan->source;
  assert_string_equal(list(&f, source->paths[TNRT_SPLIT_TRAIN], 0), "iris.csv");
  assert_true(source->fractions[TNRT_SPLIT_TRAIN] == 0.8 && source->fractions[TNRT_SPLIT_VALID] == 0.2);
  assert_true(source->separator == ',' && source->has_header && source->is_shuffled && source->shuffle == 7);
  end(&f);
}

static void test_weights(void **state) {
  fixture f;
  (void)state;
  train(&f, mlp);
  assert_true(f.ok);
  assert_int_equal(weight(&f, "standardize.mean")->role, TNRT_WEIGHT_MEAN);
  assert_int_equal(weight(&f, "standardize.var")->role, TNRT_WEIGHT_VARIANCE);
  assert_int_equal(weight(&f, "linear.weight")->role, TNRT_WEIGHT_TRAINED);
  assert_int_equal(weight(&f, "linear_1.bias")->role, TNRT_WEIGHT_KEPT);
  assert_int_equal(weight(&f, "linear_1.weight")->role, TNRT_WEIGHT_TRAINED);
  assert_int_equal(weight(&f, "linear.weight")->init, TNRT_INITIAL_NORMAL);
  assert_int_equal(weight(&f, "linear_1.weight")->init, TNRT_INITIAL_UNIFORM);
  assert_int_equal(weight(&f, "linear.weight")->bytes, 4 * 4 * 32);
  assert_int_equal(weight(&f, "linear.weight")->group, 0);
  assert_int_equal(weight(&f, "linear.bias")->group, 1);
  assert_int_equal(f.plan->n_states, 2);
  assert_string_equal(list(&f, f.plan->state_names, 1), "v");
  end(&f);
}

static void test_settings(void **state) {
  fixture f;
  (void)state;
  train(&f, mlp);
  assert_true(f.ok);
  const tnrt_schedule *rates = at(&f, f.plan->schedules);
  assert_int_equal(f.plan->n_groups, 2);
  assert_true(rates[0].kind == TNRT_SCHEDULE_COSINE && rates[0].lr == 0.01 && rates[0].warmup == 5 &&
              rates[0].to == 0.001);
  assert_true(rates[1].kind == TNRT_SCHEDULE_CONSTANT && rates[1].lr == 0.5);
  assert_true(f.plan->batch == 16 && f.plan->micro == 16 && f.plan->epochs == 20 && f.plan->steps == 0);
  assert_true(f.plan->seed == 3 && f.plan->drops_last == 1 && f.plan->has_noise == 0);
  assert_true(f.plan->beta1 == 0.8 && f.plan->beta2 == 0.99);
  end(&f);
}

static void test_processes(void **state) {
  fixture f;
  (void)state;
  train(&f, mlp);
  assert_true(f.ok && f.plan->mesh == 0 && f.plan->mesh_data == 0);
  assert_true(f.plan->bucket_bytes == UINT64_C(25) << 20 && f.plan->has_overlap == 1 && f.plan->zero == 0);
  assert_int_equal(weight(&f, "linear.weight")->line, 2);
  end(&f);
  char source[sizeof mlp + 128];
  snprintf(source, sizeof source, "mesh M = (data: 3)\n%.*s mesh = M; parallel = (bucket: 2kB, overlap: false)\n}\n",
           (int)(sizeof mlp - 3), mlp);
  train(&f, source);
  assert_true(f.ok);
  assert_string_equal(text(&f, f.plan->mesh), "M");
  assert_true(f.plan->mesh_data == 3 && f.plan->mesh_line == 1);
  assert_true(f.plan->bucket_bytes == 2000 && f.plan->has_overlap == 0);
  end(&f);
}

static void test_events(void **state) {
  fixture f;
  (void)state;
  train(&f, mlp);
  assert_true(f.ok);
  const tnrt_event *events = at(&f, f.plan->events);
  assert_int_equal(f.plan->n_events, 2);
  assert_true(events[0].unit == TNRT_EVERY_EPOCHS && events[0].every == 2 && events[0].n_actions == 2);
  const tnrt_action *actions = at(&f, events[0].actions);
  assert_true(actions[0].kind == TNRT_ACTION_EVAL && actions[0].split == TNRT_SPLIT_VALID && actions[0].n == 4);
  assert_true(actions[1].kind == TNRT_ACTION_CHECKPOINT && actions[1].n == 3 && actions[1].has_best &&
              actions[1].best.metric == 1 && actions[1].is_max);
  const tnrt_action *log = at(&f, events[1].actions), *on_nan = at(&f, f.plan->on_nan);
  assert_true(events[1].unit == TNRT_EVERY_STEPS && log->kind == TNRT_ACTION_LOG);
  assert_string_equal(text(&f, log->text), "run.jsonl");
  assert_true(f.plan->n_on_nan == 2 && on_nan[1].kind == TNRT_ACTION_SCALE_LR && on_nan[1].factor == 0.5);
  end(&f);
}

static void test_conditions(void **state) {
  fixture f;
  (void)state;
  train(&f, mlp);
  assert_true(f.ok);
  const tnrt_condition *stop = at(&f, f.plan->stops), *require = at(&f, f.plan->requires);
  const tnrt_term *terms = at(&f, stop->terms);
  static const uint32_t kinds[] = {TNRT_TERM_STALLED, TNRT_TERM_MEASURE, TNRT_TERM_NUMBER, TNRT_TERM_GT, TNRT_TERM_OR};
  assert_int_equal(stop->n_terms, 5);
  for (uint32_t i = 0; i < 5; i++) assert_int_equal(terms[i].kind, kinds[i]);
  assert_true(terms[0].patience == 10 && terms[0].watch.metric == 0 && terms[1].watch.metric == 1);
  assert_int_equal(stop->line, 11);
  assert_string_equal(text(&f, require->text), "valid.acc >= 1 - 0.25");
  end(&f);
}

/* Every model has the inputs and results that runtime/training.h says. */
static void test_models(void **state) {
  static const uint32_t n_inputs[] = {2 + 6 + 2 * 3 + 1, 2 + 6 + 1, 3 + 6 + 3 + 1, 2 + 6, 1 + 6, 2 + 6 + 1,
                                      1 + 2 + 1 + 2, 3 + 1};
  static const uint32_t n_results[] = {2 + 3 + 6, 1 + 3, 1 + 3 + 6, 1 + 1, 1, 1 + 3, 1 + 2, 1};
  fixture f;
  (void)state;
  char source[sizeof mlp + 64];
  snprintf(source, sizeof source, "%.*s parallel = (zero: 1); reproducible = world\n}\n",
           (int)(sizeof mlp - 3), mlp);
  train(&f, source);
  assert_true(f.ok && f.plan->zero == 1);
  for (int i = 0; i < TN_LANG_FIT; i++) {
    const tn_module *module = f.training.modules[i];
    assert_non_null(module);
    assert_true(tn_verify(module));
    assert_int_equal(module->funcs.data[0]->body->params.n, n_inputs[i]);
    assert_int_equal(module->funcs.data[0]->body->last->n_operands, n_results[i]);
  }
  assert_null(f.training.modules[TN_LANG_FIT]); /* statistics of a field alone */
  assert_true(f.training.fields[TN_LANG_STEP][1] == 1 && f.training.fields[TN_LANG_PREDICT][1] == 0);
  end(&f);
}

/* --- A body: columns and chains; drop-out and running statistics --- */

static const char chains[] =
    "data d = tsv(\"d.tsv\", missing: \"?\", bad: drop) {\n"
    "  x: f32[2] = (a, b) |> impute(with: median) |> clip_outliers(2)\n"
    "  z: f32 = 1 - c / 10 |> noise(0.5, on: train)\n"
    "  y: class[2] = label\n"
    "}\n"
    "model M(x: f32[B, 2], z: f32[B]) -> f32[B] {\n"
    "  let h = x |> linear(4) |> batchnorm |> relu |> dropout(0.5) |> linear(1) |> reshape(-1)\n"
    "  return h + z\n"
    "}\n"
    "train M on d { loss = bce(out, y); optimizer = sgd(lr: 0.1, momentum: 0.9); steps = 10 }\n";

static void test_chains(void **state) {
  fixture f;
  (void)state;
  train(&f, chains);
  assert_string_equal(said(&f), "");
  assert_true(f.ok);
  const tnrt_field *fields = at(&f, f.plan->fields);
  assert_int_equal(fields[0].n_columns, 2);
  assert_string_equal(list(&f, fields[0].columns, 1), "b");
  const tnrt_link *x = at(&f, fields[0].links), *z = at(&f, fields[1].links);
  assert_true(fields[0].n_links == 2 && x[0].kind == TNRT_LINK_IMPUTE && x[1].numbers[0] == 2);
  assert_string_equal(text(&f, x[0].text), "median");
  assert_true(fields[1].n_links == 3 && z[0].kind == TNRT_LINK_DIV && z[0].numbers[0] == 10);
  assert_true(z[1].kind == TNRT_LINK_RSUB && z[1].numbers[0] == 1 && z[1].splits == 7);
  assert_true(z[2].kind == TNRT_LINK_NOISE && z[2].numbers[0] == 0.5 && z[2].splits == 1u << TNRT_SPLIT_TRAIN);
  assert_string_equal(text(&f, f.plan->source.missing), "?");
  assert_true(f.plan->source.drops_bad && f.plan->source.separator == '\t');
  assert_int_equal(weight(&f, "batchnorm.mean")->role, TNRT_WEIGHT_RUNNING);
  assert_int_equal(f.plan->has_noise, 1);
  assert_int_equal(f.plan->n_states, 1);
  const tn_block *step = f.training.modules[TN_LANG_STEP]->funcs.data[0]->body;
  assert_string_equal(step->params.data[step->params.n - 1]->name, "noise");
  assert_int_equal(step->last->n_operands, 2 + 2 + 6 + 6);
  end(&f);
}

/* Functions of parts of a tuple, also of a field before it, are done to these columns alone. */
static void test_parts_of_fields(void **state) {
  fixture f;
  (void)state;
  train(&f, "data d = csv(\"d.csv\") {\n"
            "  v: f32[2] = (b, log1p(c))\n"
            "  x: f32[5] = (clamp(a, -1, 2), v, (d, e) |> standardize) * 2\n"
            "  y: class[2] = label\n}\n"
            "model M(x: f32[B, 5], v: f32[B, 2]) -> f32[B, 2] = concat(x, v) |> linear(2)\n"
            "train M on d { loss = cross_entropy(out, y); steps = 1 }\n");
  assert_string_equal(said(&f), "");
  const tnrt_field *fields = at(&f, f.plan->fields);
  assert_true(fields[0].n_columns == 5 && fields[0].n_links == 4);
  const tnrt_link *x = at(&f, fields[0].links);
  assert_true(x[0].kind == TNRT_LINK_CLAMP && x[0].first == 0 && x[0].n == 1 && x[0].numbers[0] == -1 &&
              x[0].numbers[1] == 2);
  assert_true(x[1].kind == TNRT_LINK_LOG1P && x[1].first == 2 && x[1].n == 1);
  assert_true(x[2].kind == TNRT_LINK_STANDARDIZE && x[2].first == 3 && x[2].n == 2);
  assert_true(x[3].kind == TNRT_LINK_MUL && x[3].n == 0);
  end(&f);
}

/* --- Precision --- */

static void test_precision(void **state) {
  fixture f;
  (void)state;
  train(&f, "data d = npz(\"d.npz\")\nmodel M(x: f32[B, 4]) -> f32[B, 3] = x |> linear(3)\n"
            "train M on d { loss = mse(out, y); steps = 1; precision = f16(loss_scale: dynamic(1024)) }\n");
  assert_true(f.ok);
  assert_true(f.plan->loss_scale == 1024 && f.plan->is_scale_dynamic);
  const tnrt_field *fields = at(&f, f.plan->fields);
  assert_true(fields[1].ndim == 1 && fields[1].extents[0] == 3 && fields[1].n_classes == 0);
  end(&f);
  train(&f, "data d = npz(\"d.npz\")\nmodel M(x: f32[B, 4]) -> f32[B, 3] = x |> linear(3)\n"
            "train M on d { loss = mse(out, y); steps = 1; precision = bf16() }\n");
  assert_true(f.ok && f.plan->loss_scale == 0);
  end(&f);
}

/* --- What is refused --- */

static void refused(const char *settings, const char *message) {
  char source[1024];
  fixture f;
  snprintf(source, sizeof(source),
           "data d = csv(\"d.csv\", target: \"t\")\nmodel M(x: f32[B, 4]) -> f32[B, 3] = x |> linear(3)\n"
           "train M on d { loss = cross_entropy(out, y); epochs = 1; %s }\n", settings);
  train(&f, source);
  assert_false(f.ok);
  assert_string_equal(said(&f), message);
  end(&f);
}

static void test_refused(void **state) {
  (void)state;
  refused("remat = keep_every(20)",
          "keep_every keeps states of loops: M has neither a for that sets a tensor nor a scan");
  refused("metrics = (acc: (out, y))", "metric 'acc' is not one number, found a tuple of 2");
  refused("freeze \"*\"", "M has no weight that is trained: all are frozen");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_fields),     cmocka_unit_test(test_weights), cmocka_unit_test(test_settings),
      cmocka_unit_test(test_events),     cmocka_unit_test(test_conditions), cmocka_unit_test(test_models),
      cmocka_unit_test(test_chains),     cmocka_unit_test(test_refused), cmocka_unit_test(test_precision),
      cmocka_unit_test(test_processes),  cmocka_unit_test(test_parts_of_fields),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
