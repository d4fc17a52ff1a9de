/* Running a compiled model in a process: a context holds everything one model needs between calls (arena, outputs,
 * threads, the text of the last failure). Contexts share nothing that is written, so a hundred models live in one
 * process; one context is used by one thread at a time. Nothing here touches the host's floating-point mode, signals,
 * locale, environment or streams, and nothing ends the process. */
#ifndef TNRT_CORE_RUNTIME_H
#define TNRT_CORE_RUNTIME_H

#include "runtime/abi.h"

typedef struct tnrt_ctx tnrt_ctx;

/* Where memory comes from. get returns NULL when there is none; align is a power of two. */
typedef struct tnrt_alloc {
  void *(*get)(void *user, size_t bytes, size_t align);
  void (*give)(void *user, void *memory);
  void *user;
} tnrt_alloc;

extern const tnrt_alloc tnrt_alloc_libc;

/* DLPack's DLTensor, field by field. strides NULL means dense row-major, the only layout taken. */
typedef struct tnrt_tensor {
  void *data;
  int32_t device_type, device_id; /* 1 = CPU */
  int32_t ndim;
  uint8_t dtype_code, dtype_bits; /* f16 and bf16 also as unsigned 16, float8 as unsigned 8, 4-bit types one a byte */
  uint16_t dtype_lanes;           /* 1 */
  int64_t *shape;
  int64_t *strides;
  uint64_t byte_offset;
} tnrt_tensor;

/* alloc NULL: the C library's. arena: the caller's memory, aligned to 64 and alive as long as the context, or NULL: the
 * context gets what it needs and keeps it. *out is NULL only after TNRT_NO_MEMORY; after any other failure it holds the
 * message and is destroyed as usual. TNRT_CPU: the processor lacks what the code needs. A model
 * with variants stands for the one that is chosen here. */
tnrt_status tnrt_ctx_create(tnrt_ctx **out, const tnrt_model *model, const tnrt_alloc *alloc, void *arena,
                            size_t arena_bytes);
/* The same with the path of the weights' file, of a model whose weights are external; NULL: its name beside the program
 * or library. A file that is missing, cut short or another one's is TNRT_IO or TNRT_BAD_INPUT. The mapping ends with
 * the context; a file that is changed in place before that changes the weights. */
tnrt_status tnrt_ctx_create_from(tnrt_ctx **out, const tnrt_model *model, const char *weights_path,
                                 const tnrt_alloc *alloc, void *arena, size_t arena_bytes);
void tnrt_ctx_destroy(tnrt_ctx *ctx); /* NULL is fine */

/* Text of the last failure, "" when there was none; of a NULL context, that memory gave out. */
const char *tnrt_ctx_message(const tnrt_ctx *ctx);

/* The model that runs: the one given, or its variant for this processor. */
const tnrt_model *tnrt_ctx_model(const tnrt_ctx *ctx);

/* Threads for the following runs, the calling one included: 1 .. 1024. Kept between runs. */
tnrt_status tnrt_ctx_set_threads(tnrt_ctx *ctx, int n_threads);

/* n_inputs tensors in, n_outputs tensors out. Every size is checked by name before anything runs. An output whose data
 * is NULL becomes a view into the context (all its fields are set), valid until the context's next run. TNRT_INDEX: all
 * outputs hold values, made with the index clamped. */
tnrt_status tnrt_ctx_run(tnrt_ctx *ctx, const tnrt_tensor *inputs, tnrt_tensor *outputs);

/* The same for typed wrappers: one value a symbol, in the order of model->symbols, and dense buffers of the caller's.
 */
tnrt_status tnrt_ctx_run_sized(tnrt_ctx *ctx, const int64_t *symbols, const void *const *inputs, void *const *outputs);

/* Timestamps of the following runs: n_steps + 1 values in nanoseconds, or NULL for none. */
void tnrt_ctx_set_profile(tnrt_ctx *ctx, int64_t *step_ns);

/* Bytes of arena for these symbols, at least 64; 0 when a symbol is out of its range or the size exceeds memory. */
size_t tnrt_model_arena_bytes(const tnrt_model *model, const int64_t *symbols);

/* Extents of one input for given symbols, read off the port's text. False when the text is not understood. */
int tnrt_input_extents(const tnrt_model *model, uint32_t input, const int64_t *symbols, int64_t *out);

/* Threads that sleep between jobs. NULL when memory or threads gave out. */
tnrt_pool *tnrt_pool_create(const tnrt_alloc *alloc, int n_threads);
void tnrt_pool_destroy(tnrt_pool *pool);
void tnrt_pool_run(tnrt_pool *pool, tnrt_part_fn fn, const void *frame, int64_t n_parts);

/* What a tnrt_external points at (weights.c). */
int32_t tnrt_weights_open(const tnrt_model *model, const char *path, const uint8_t **out_weights, char *message,
                          size_t message_bytes);
void tnrt_weights_close(const tnrt_model *model, const uint8_t *weights);

/* Of the typed C functions (level.c): text, and ", found N" unless found is NULL, cut to capacity. */
void tnrt_level_text(char *out, size_t capacity, const char *text, const int64_t *found);

/* What a tnrt_variants points at (variants.c). */
int32_t tnrt_variants_choose(const tnrt_variants *variants, char *message, size_t message_bytes);

#endif
