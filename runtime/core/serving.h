/* What an executable with the weights of a training has besides its model, so that it reads the data's files: a plan
 * (runtime/training.h) whose fields are the model's inputs as they stand in the data, and the labels of what it
 * predicts, with what their functions learned. The compiler makes the record, in the place of one that is empty
 * (serving.c). C99. */
#ifndef TNRT_CORE_SERVING_H
#define TNRT_CORE_SERVING_H

#include "runtime/core/program.h"

typedef struct tnrt_serving {
  const struct tnrt_training *plan; /* NULL: there is none */
  /* tnrt_serve_run (runtime/train/serve.c): run --data. */
  tnrt_status (*run)(const struct tnrt_serving *serving, tnrt_program *program);
} tnrt_serving;

extern const tnrt_serving tnrt_main_serving;

#endif
