/* The model with the weights of a training, as an ONNX file. */
#ifndef TNRT_TRAIN_ONNX_H
#define TNRT_TRAIN_ONNX_H

#include "runtime/train/checkpoint.h"

/* weights: those of the plan, in its order. TNRT_BAD_INPUT: the model has no form in ONNX, as the plan says, or the
 * file would be larger than the format allows. */
tnrt_status tnrt_onnx_write(tnrt_message *message, const tnrt_training *plan, const tnrt_saved *weights,
                            const char *path);

#endif
