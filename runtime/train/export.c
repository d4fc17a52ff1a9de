/* Trained weights for other programs (export.h). */
#include "runtime/train/export.h"

#include <string.h>

#include "runtime/train/onnx.h"
#include "runtime/train/plan.h"
#include "runtime/train/safetensors.h"
#include "runtime/train/whole.h"
#include "runtime/train/zip.h"

enum { N_OWN = 3, KEY_BYTES = 8 };

/* Texts of the file: our own, those of the caller, a digest for each tensor, so that a damaged file is noticed where it
 * is read as a checkpoint. memory: N_OWN + n_texts + n of them, then keys and digests. */
typedef struct texts {
  tnrt_saved_text *all;
  uint32_t n;
  char (*digests)[TNRT_DIGEST_TEXT];
  char *keys;
} texts;

static bool make_texts(const tnrt_alloc *alloc, const tnrt_training *plan, const tnrt_saved *weights, uint32_t n,
                       const tnrt_saved_text *given, uint32_t n_given, texts *out) {
  size_t key_bytes = 1;
  for (uint32_t i = 0; i < n; i++) key_bytes += strlen(weights[i].name) + KEY_BYTES;
  out->n = N_OWN + n_given + n;
  out->all = alloc->get(alloc->user, out->n * sizeof *out->all, 16);
  out->digests = alloc->get(alloc->user, (n + 1) * sizeof *out->digests, 16);
  out->keys = alloc->get(alloc->user, key_bytes, 16);
  if (!out->all || !out->digests || !out->keys) return false;
  out->all[0] = (tnrt_saved_text){"format", "tenon"};
  out->all[1] = (tnrt_saved_text){"model", tnrt_plan_text(plan, plan->name)};
  out->all[2] = (tnrt_saved_text){"producer", tnrt_plan_text(plan, plan->producer)};
  for (uint32_t i = 0; i < n_given; i++) out->all[N_OWN + i] = given[i];
  char *key = out->keys;
  for (uint32_t i = 0; i < n; i++) {
    tnrt_digest_text(out->digests[i], tnrt_digest_of(weights[i].data, weights[i].bytes));
    out->all[N_OWN + n_given + i] = (tnrt_saved_text){key, out->digests[i]};
    key += tnrt_text(key, key_bytes - (size_t)(key - out->keys), "digest:%s", weights[i].name) + 1;
  }
  return true;
}

static tnrt_status write_safetensors(tnrt_message *message, const tnrt_alloc *alloc, const texts *t,
                                     const tnrt_saved *weights, uint32_t n, const char *path) {
  tnrt_whole file;
  size_t bytes = tnrt_safetensors_header(NULL, 0, weights, n, t->all, t->n);
  if (!bytes) return tnrt_fail(message, TNRT_BAD_INPUT, "a weight's element type has no form in safetensors");
  char *header = alloc->get(alloc->user, bytes, 16);
  if (!header) return tnrt_fail(message, TNRT_NO_MEMORY, "no memory to write '%.300s'", path);
  tnrt_safetensors_header(header, bytes, weights, n, t->all, t->n);
  uint64_t total = bytes;
  for (uint32_t i = 0; i < n; i++) total += weights[i].bytes;
  tnrt_status status = tnrt_whole_open(&file, message, path, total);
  if (status == TNRT_OK) status = tnrt_whole_put(&file, message, header, bytes);
  for (uint32_t i = 0; i < n && status == TNRT_OK; i++)
    status = tnrt_whole_put(&file, message, weights[i].data, weights[i].bytes);
  if (status == TNRT_OK) status = tnrt_whole_sync(&file, message);
  if (status == TNRT_OK) status = tnrt_whole_end(&file, message);
  alloc->give(alloc->user, header);
  return status;
}

static tnrt_status export_safetensors(tnrt_message *message, const tnrt_alloc *alloc, const tnrt_training *plan,
                                      const tnrt_saved *weights, uint32_t n, const tnrt_saved_text *given,
                                      uint32_t n_given, const char *path) {
  texts t = {0};
  tnrt_status status = make_texts(alloc, plan, weights, n, given, n_given, &t)
                           ? write_safetensors(message, alloc, &t, weights, n, path)
                           : tnrt_fail(message, TNRT_NO_MEMORY, "no memory to write '%.300s'", path);
  if (t.all) alloc->give(alloc->user, t.all);
  if (t.digests) alloc->give(alloc->user, t.digests);
  if (t.keys) alloc->give(alloc->user, t.keys);
  return status;
}

tnrt_status tnrt_export(tnrt_message *message, const tnrt_alloc *alloc, const tnrt_training_program *program,
                        const tnrt_saved *weights, uint32_t n, const tnrt_saved_text *given, uint32_t n_given,
                        const tnrt_export_targets *targets) {
  tnrt_status status = TNRT_OK;
  if (targets->safetensors)
    status = export_safetensors(message, alloc, program->plan, weights, n, given, n_given, targets->safetensors);
  if (status == TNRT_OK && targets->onnx) status = tnrt_onnx_write(message, program->plan, weights, targets->onnx);
  return status == TNRT_OK && targets->npz ? tnrt_npz_write(message, alloc, targets->npz, weights, n) : status;
}
