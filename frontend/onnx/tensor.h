/* Tensors stored in a model become constants: in place in the mapped file where the bytes are what tenon stores, else
 * decoded into the module's arena. */
#ifndef TN_FRONTEND_ONNX_TENSOR_H
#define TN_FRONTEND_ONNX_TENSOR_H

#include "frontend/onnx/external.h"

typedef struct tn_tensor_reader {
  tn_module *module;
  const tn_source *source; /* what payload references point into */
  tn_external *external;
} tn_tensor_reader;

/* TensorProto.DataType as a dtype; TN_N_DTYPES for those that tenon has not (complex, float6) and unknown numbers. */
tn_dtype tn_onnx_dtype(int32_t data_type);
const char *tn_onnx_dtype_name(int32_t data_type);
/* name: of the constant. NULL when wrong (TN_E_ONNX_TENSOR, TN_E_ONNX_EXTERNAL, at loc). */
tn_const *tn_onnx_tensor(const tn_tensor_reader *reader, const Onnx__TensorProto *tensor, const char *name, tn_loc loc);

#endif
