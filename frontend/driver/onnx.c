/* --emit=onnx: the graph as an ONNX file, with weights too large for one (or --constants=external) beside it. */
#include <string.h>

#include "frontend/driver/driver.h"

/* What the graph itself may take of the 2 GB that a file can have. */
#define GRAPH_BYTES (UINT64_C(64) << 20)

/* The file of the weights, "" when they are part of the model; NULL: there must be one and cannot (reported). */
static const char *data_path(tn_driver *driver, uint64_t weights_bytes) {
  const tn_driver_options *o = &driver->options;
  const char *path = tn_driver_output_path(driver);
  bool is_large = weights_bytes > TN_ONNX_MAX_BYTES - GRAPH_BYTES;
  if (o->constants != CONSTANTS_EXTERNAL && (!is_large || o->constants != CONSTANTS_AUTOMATIC)) return "";
  const char *data = tn_driver_with_suffix(driver, path, ".weights");
  bool is_file = strcmp(path, "-") != 0 && tn_output_temporary_name(driver->ctx, path);
  if (!is_file || strcmp(data, path) == 0) {
    tn_error(driver->ctx, TN_LOC_NONE, TN_E_OPTION,
             "-o %s: the weights are a file beside the output, which must be a regular file", path);
    return NULL;
  }
  return data;
}

static tn_onnx_sink sink_of(tn_output *output) {
  tn_sink sink = tn_output_sink(output);
  return (tn_onnx_sink){sink.write, sink.user};
}

bool tn_driver_write_onnx(tn_driver *driver) {
  tn_export from;
  if (!tn_export_func(driver->ctx, driver->entry, &from)) return false;
  const char *data = data_path(driver, tn_onnx_weights_bytes(&from)), *slash = data ? strrchr(data, '/') : NULL;
  if (!data) return false;
  tn_output *weights = data[0] ? tn_driver_open(driver, data, 0644) : NULL;
  if (data[0] && !weights) return false;
  tn_output *model = tn_driver_open(driver, tn_driver_output_path(driver), 0644);
  tn_onnx_sink none = {0};
  bool ok = model && tn_onnx_write(&from, "tenon", TENON_VERSION, !weights ? NULL : slash ? slash + 1 : data,
                                   sink_of(model), weights ? sink_of(weights) : none);
  if (weights && ok) ok = tn_driver_commit(weights);
  else if (weights) tn_driver_discard(weights);
  if (ok) return tn_driver_commit(model);
  if (model) tn_driver_discard(model);
  return false;
}
