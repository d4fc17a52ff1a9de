/* Running a compiled model in a process: a context holds everything one model needs between calls (arena, outputs,
 * threads, the text of the last failure). Contexts share nothing that is written, so a hundred models live in one
 * process; one context is used by one thread at a time. Nothing here touches the host's floating-point mode, signals,
 * locale, environment or streams, and nothing ends the process. */
#ifndef TNRT_CORE_RUNTIME_H
#define TNRT_CORE_RUNTIME_H

#include "runtime/abi.h"

typedef struct tnrt_ctx tnrt_ctx;

#define TNRT_MAX_THREADS 1024

/* Where memory comes from. get returns NULL when there is none; align is a power of two. */
typedef struct tnrt_alloc {
  void *(*get)(void *user, size_t bytes, size_t align);
  void (*give)(void *user, void *memory);
  void *user;
} tnrt_alloc;

extern const tnrt_alloc tnrt_alloc_libc;

/* A context for model. alloc: where memory comes from; NULL: the arena is all there is. arena: the caller's memory for
 * the context and what runs need (tnrt_ctx_arena_bytes), aligned to 64 and alive as long as the context, or NULL: alloc
 * gives it, and more when sizes grow. *out is NULL only after TNRT_NO_MEMORY (no memory, or an arena that is too small
 * for a context or not aligned); after any other failure it holds the message and is destroyed as usual. TNRT_CPU: the
 * processor lacks what the code needs. A model with variants stands for the one that is chosen here.
 *
 * weights_path: of the weights' file, of a model whose weights are external; NULL: its name beside the program or
 * library. A file that is missing, cut short or another one's is TNRT_IO or TNRT_BAD_INPUT. The mapping ends with the
 * context; a file that is changed in place before that changes the weights. */
tnrt_status tnrt_ctx_create_from(tnrt_ctx **out, const tnrt_model *model, const char *weights_path,
                                 const tnrt_alloc *alloc, void *arena, size_t arena_bytes);
tnrt_status tnrt_ctx_create(tnrt_ctx **out, const tnrt_model *model, const tnrt_alloc *alloc, void *arena,
                            size_t arena_bytes); /* weights_path NULL */
void tnrt_ctx_destroy(tnrt_ctx *ctx); /* NULL is fine */
/* From here on a context that has no arena of the caller's works in this memory, aligned to 64, which others may use
 * between its runs; sizes that need more are TNRT_NO_MEMORY. */
void tnrt_ctx_lend(tnrt_ctx *ctx, void *memory, size_t bytes);

/* Text of the last failure, "" when there was none; of a NULL context, why there is none. */
const char *tnrt_ctx_message(const tnrt_ctx *ctx);

/* The model that runs: the one given, or its variant for this processor. */
const tnrt_model *tnrt_ctx_model(const tnrt_ctx *ctx);

/* Threads for the following runs, the calling one included: 1 .. 1024, of which no more are used than the model was
 * compiled for. Kept between runs. Their own memory is the C library's where the context's is the caller's arena. */
tnrt_status tnrt_ctx_set_threads(tnrt_ctx *ctx, int n_threads);

/* n_inputs tensors in, n_outputs tensors out. Every size is checked by name before anything runs. An output whose data
 * is NULL becomes a view into the context (all its fields are set), valid until the context's next run; in a caller's
 * arena it takes room beyond what tnrt_ctx_arena_bytes counts, each a multiple of 64 bytes. One whose extents are found
 * while running (tnrt_port.is_late) always is a view, to memory that needs no such room. TNRT_INDEX: all outputs hold
 * values, made with the index clamped. */
tnrt_status tnrt_ctx_run(tnrt_ctx *ctx, const tnrt_tensor *inputs, tnrt_tensor *outputs);

/* The same for typed wrappers: one value a symbol, in the order of model->symbols, and dense buffers of the caller's.
 * The entries of late outputs are not looked at: tnrt_ctx_give_output tells where they are. */
tnrt_status tnrt_ctx_run_sized(tnrt_ctx *ctx, const int64_t *symbols, const void *const *inputs, void *const *outputs);

/* Where the last run left an output, and its ndim extents: of a late one memory of the context, valid until its next
 * run. */
void tnrt_ctx_give_output(const tnrt_ctx *ctx, uint32_t output, const void **out_data, int64_t *out_extents);

/* What the following runs call between their steps, and what they give it as watcher; NULL: nothing. */
void tnrt_ctx_watch(tnrt_ctx *ctx, tnrt_after_fn after, void *watcher);
/* Watches times: of the following runs each step's is added to its element of step_ns (without the steps inside of it),
 * n_steps + 1 values in nanoseconds, the last one the clock's latest reading. NULL: no longer. */
void tnrt_ctx_set_profile(tnrt_ctx *ctx, int64_t *step_ns);
/* Told of each step of the following runs of a model that traces, or NULL for none. */
void tnrt_ctx_set_tracer(tnrt_ctx *ctx, tnrt_tracer *tracer);

/* Bytes of working memory for these symbols, at least 64; 0 when they are refused or the size exceeds memory. */
size_t tnrt_model_arena_bytes(const tnrt_model *model, const int64_t *symbols);
/* Bytes of a caller's arena: a context and that. Of a model with variants, for the one that would be chosen. */
size_t tnrt_ctx_arena_bytes(const tnrt_model *model, const int64_t *symbols);

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

/* <prefix>_create of a library: a context and its threads (level.c). *out as of tnrt_ctx_create_from. */
tnrt_status tnrt_level_create(tnrt_ctx **out, const tnrt_model *model, const tnrt_services *services,
                              const char *weights_path, void *arena, size_t arena_bytes, int n_threads);

/* What a tnrt_variants points at (variants.c). */
int32_t tnrt_variants_choose(const tnrt_variants *variants, char *message, size_t message_bytes);

#endif
