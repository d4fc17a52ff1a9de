/* External data: the files beside a model that hold its larger tensors.
 *
 * The model names them, and a model may come from anybody, so a location is resolved by the kernel itself: openat2 with
 * RESOLVE_BENEATH, NO_SYMLINKS and NO_MAGICLINKS under the model's folder. Checks on the text of a path have been
 * bypassed again and again. The file must be regular (a FIFO or device is refused without blocking), and offset and
 * length must lie within it. A hard link is the file itself and is accepted: whoever can make one under the model's
 * folder can reach the file already. With --data-root symbolic links are followed as long as they stay inside that
 * root, which caches that keep one copy of each blob need. */
#ifndef TN_FRONTEND_ONNX_EXTERNAL_H
#define TN_FRONTEND_ONNX_EXTERNAL_H

#include "frontend/onnx/source.h"
#include "grammar/onnx.pb-c.h"

typedef struct tn_external {
  tn_ctx *ctx;
  const char *model_path; /* NULL: loaded from memory */
  const char *data_root;  /* NULL: the model's folder, without symbolic links */
  tn_onnx_files *files;
  int root;               /* the folder's descriptor; -1 = not opened yet */
  const char *prefix;     /* of locations below root: the model's folder inside data_root, or "" */
  tn_map sources;         /* interned location -> tn_source* */
} tn_external;

tn_external tn_external_create(tn_ctx *ctx, tn_arena *scratch, const char *model_path, const char *data_root,
                               tn_onnx_files *files);
void tn_external_close(tn_external *external);
/* The bytes of a tensor with data_location EXTERNAL: exactly want_bytes at *out_data of file *out_file, which starts at
 * *out_offset there. TN_E_ONNX_EXTERNAL at loc. */
bool tn_external_read(tn_external *external, const Onnx__TensorProto *tensor, tn_loc loc, uint64_t want_bytes,
                      const uint8_t **out_data, const char **out_file, uint64_t *out_offset);

#endif
