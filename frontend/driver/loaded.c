/* See loaded.h. */
#include "frontend/driver/loaded.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "runtime/tenon.h"

static bool fail(tn_loaded *loaded, const char *text) {
  snprintf(loaded->message, sizeof loaded->message, "%s", text ? text : "unknown reason");
  return false;
}

bool tn_loaded_open(tn_loaded *loaded, const char *path, const char *symbol) {
  memset(loaded, 0, sizeof *loaded);
  loaded->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!loaded->library) return fail(loaded, dlerror());
  const tn_model *model = dlsym(loaded->library, symbol);
  if (!model) return fail(loaded, dlerror());
  loaded->model = model;
  if (model->create(&loaded->context, NULL, NULL, 0, 1) == TN_STATUS_OK) return true;
  return fail(loaded, model->message(loaded->context));
}

size_t tn_loaded_room_bytes(const tn_loaded *loaded) {
  const tn_model *model = loaded->model;
  return ((size_t)model->n_inputs + model->n_outputs) * sizeof(tn_tensor);
}

bool tn_loaded_run(tn_loaded *loaded, void *room, const tn_loaded_array *inputs, tn_loaded_array *outputs) {
  const tn_model *model = loaded->model;
  tn_tensor *tensors = room, *out = tensors + model->n_inputs;
  for (uint32_t i = 0; i < model->n_inputs; i++) {
    int64_t *extents = (int64_t *)(uintptr_t)inputs[i].extents; /* the model does not write an input's shape */
    tensors[i] = (tn_tensor){.data = inputs[i].data, .device = {1, 0}, .ndim = (int32_t)inputs[i].ndim,
                             .dtype = model->inputs[i].dtype, .shape = extents};
  }
  for (uint32_t i = 0; i < model->n_outputs; i++)
    out[i] = (tn_tensor){.device = {1, 0}, .ndim = (int32_t)model->outputs[i].ndim, .dtype = model->outputs[i].dtype};
  int status = model->run(loaded->context, tensors, out);
  for (uint32_t i = 0; i < model->n_outputs && status == TN_STATUS_OK; i++) {
    outputs[i].data = (char *)out[i].data + out[i].byte_offset;
    outputs[i].ndim = (uint32_t)out[i].ndim;
    for (int32_t k = 0; k < out[i].ndim && k < TN_LOADED_NDIM; k++) outputs[i].extents[k] = out[i].shape[k];
  }
  return status == TN_STATUS_OK || fail(loaded, model->message(loaded->context));
}

void tn_loaded_close(tn_loaded *loaded) {
  const tn_model *model = loaded->model;
  if (model && loaded->context) model->destroy(loaded->context);
  if (loaded->library) dlclose(loaded->library);
}
