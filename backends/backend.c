/* The table of backends: adding one is one row. */
#include "backends/backend.h"

#include <string.h>

extern const tn_backend tn_cpu_backend, tn_cuda_backend, tn_null_backend;

const tn_backend *const tn_backends[] = {&tn_cpu_backend, &tn_cuda_backend, &tn_null_backend};
const uint32_t tn_n_backends = TN_ARRAY_LEN(tn_backends);

const tn_backend *tn_backend_find(const char *name) {
  for (uint32_t i = 0; i < tn_n_backends; i++)
    if (strcmp(tn_backends[i]->name, name) == 0) return tn_backends[i];
  return NULL;
}

uint64_t tn_emit_stack_bytes(const tn_object_part *parts, uint32_t n_parts) {
  uint64_t most = 0;
  for (uint32_t i = 0; i + 1 < n_parts; i++)
    if (parts[i].stack_bytes > most) most = parts[i].stack_bytes;
  return n_parts == 0 ? 0 : most + parts[n_parts - 1].stack_bytes;
}

uint64_t tn_backend_stored_bytes(const tn_target *target, const tn_buffer *buffer) {
  (void)target;
  return tn_const_bytes(buffer->constant);
}

bool tn_backend_store(const tn_target *target, const tn_buffer *buffer, tn_arena *scratch, tn_sink sink) {
  (void)target;
  return sink.write(sink.user, tn_const_read(buffer->constant, scratch), tn_const_bytes(buffer->constant));
}
