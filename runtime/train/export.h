/* Trained weights for other programs. */
#ifndef TNRT_TRAIN_EXPORT_H
#define TNRT_TRAIN_EXPORT_H

#include "runtime/train/checkpoint.h"

typedef struct tnrt_export_targets {
  const char *onnx, *safetensors, *npz; /* files to write; NULL: not */
} tnrt_export_targets;

/* Writes the weights (by their paths, n of them) to each file, beside and renamed. texts: the label tables. */
tnrt_status tnrt_export(tnrt_message *message, const tnrt_alloc *alloc, const tnrt_training_program *program,
                        const tnrt_saved *weights, uint32_t n, const tnrt_saved_text *texts, uint32_t n_texts,
                        const tnrt_export_targets *targets);

#endif
