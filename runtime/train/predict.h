/* What a trained model predicts for records of a file, or for inputs given as .npy, written as a table or arrays. */
#ifndef TNRT_TRAIN_PREDICT_H
#define TNRT_TRAIN_PREDICT_H

#include "runtime/train/options.h"
#include "runtime/train/samples.h"

typedef struct tnrt_predicted {
  const tnrt_training *plan;
  tnrt_samples *samples;  /* open, their chains restored; nothing is loaded yet */
  const tnrt_model *model;
  const tnrt_alloc *alloc;
  tnrt_message *message;
  uint32_t n_inputs;      /* of the model that are no weights */
  int64_t batch;          /* samples of one run at most */
  const tnrt_given_input *given; /* n_given of them; else `data` is read */
  uint32_t n_given;
  const char *data, *output; /* output: .csv, .npy, a folder; NULL and "-": a table, to standard output */
  /* Runs the model on n samples. */
  tnrt_status (*run)(void *user, const void *const *inputs, int64_t n, void *const *outputs);
  void *user;
} tnrt_predicted;

tnrt_status tnrt_predict(const tnrt_predicted *of);

#endif
