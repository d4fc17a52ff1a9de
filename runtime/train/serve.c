/* run --data of an executable with the weights of a training (runtime/core/serving.h): the records become the model's
 * inputs by the chains of the plan, and what the model computes of them a table or arrays, as the training program's
 * run has them. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "runtime/core/serving.h"
#include "runtime/train/plan.h"
#include "runtime/train/predict.h"
#include "runtime/train/state.h"

tnrt_status tnrt_serve_run(const tnrt_serving *serving, tnrt_program *program);

enum { BATCH = 256 };

static tnrt_status run_model(void *user, const void *const *inputs, int64_t n, void *const *outputs) {
  tnrt_program *p = user;
  tnrt_status status = tnrt_ctx_run_sized(p->ctx, &n, inputs, outputs);
  return status == TNRT_OK ? status : tnrt_fail(&p->message, status, "%s", tnrt_ctx_message(p->ctx));
}

/* The only symbol is the number of samples. */
static tnrt_status check(tnrt_program *p) {
  const tnrt_model *m = p->model;
  if (p->options->n_inputs) return tnrt_fail(&p->message, TNRT_BAD_INPUT, "--data and --input cannot both be given");
  if (p->options->expect) return tnrt_fail(&p->message, TNRT_BAD_INPUT, "--expect goes with --input");
  if (m->n_symbols == 1) return TNRT_OK;
  return tnrt_fail(&p->message, TNRT_BAD_INPUT, "--data: the model has %u sizes that its inputs bring, the data know "
                   "the number of records; tenon -D NAME=N fixes the others", m->n_symbols);
}

static tnrt_status find_output(tnrt_program *p, const char **out) {
  const char *folder = p->options->output_dir;
  *out = folder ? folder : p->options->output;
  if (!folder || strcmp(folder, "-") == 0) return TNRT_OK;
  if (p->options->output) return tnrt_fail(&p->message, TNRT_BAD_INPUT, "--output or --output-dir");
  if (mkdir(folder, 0777) == 0 || errno == EEXIST) return TNRT_OK;
  return tnrt_fail(&p->message, TNRT_IO, "cannot make %s: %s", folder, strerror(errno));
}

tnrt_status tnrt_serve_run(const tnrt_serving *serving, tnrt_program *p) {
  tnrt_samples samples = {0};
  const char *output = NULL;
  tnrt_status status = check(p);
  if (status == TNRT_OK) status = find_output(p, &output);
  if (status == TNRT_OK && (serving->plan->version != TNRT_TRAINING || serving->plan->size != sizeof *serving->plan))
    status = tnrt_fail(&p->message, TNRT_BAD_INPUT, "the plan of the data is another version's");
  if (status == TNRT_OK) status = tnrt_samples_open(&samples, &p->message, p->alloc, serving->plan);
  if (status == TNRT_OK) status = tnrt_state_restore_samples(&samples, NULL);
  const tnrt_predicted of = {.plan = serving->plan, .samples = &samples, .model = p->model, .alloc = p->alloc,
                             .message = &p->message, .n_inputs = p->model->n_inputs, .batch = BATCH,
                             .data = p->options->data, .output = output, .run = run_model, .user = p};
  if (status == TNRT_OK) status = tnrt_predict(&of);
  if (status == TNRT_OK) tnrt_samples_unknown(&samples, p->warning, sizeof p->warning);
  tnrt_samples_close(&samples);
  return status;
}
