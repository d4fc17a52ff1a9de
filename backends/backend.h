/* What every backend offers. A backend sees only kernels and programs (ir/kernel.h, ir/program.h), never the graph, and
 * never another backend. It is one const vtable and one row in backend.c. It is done when tests/conform passes against
 * the reference. */
#ifndef TN_BACKENDS_BACKEND_H
#define TN_BACKENDS_BACKEND_H

#include "ir/program.h"

/* The machine code is made for. Filled by the backend's probe from -march, --triple and the host. */
typedef struct tn_target {
  const char *backend;  /* "cpu" */
  const char *triple;   /* "x86_64-pc-linux-gnu" */
  const char *cpu;      /* as asked ("native", "haswell", "x86-64-v4", ...), resolved in cpu_resolved */
  const char *cpu_resolved;
  const char *features; /* "+avx512f,..." */
  uint32_t vector_bits; /* width of explicit vectors: 512, 256 or 128 */
  uint32_t n_vector_registers;
  bool has_fma;
  uint64_t l1_bytes, l2_bytes;
  uint32_t opt_level; /* 0 .. 3 */
  bool small_code;    /* prefer short instruction sequences */
} tn_target;

/* What schedule decides for one kernel, before memory planning. */
typedef struct tn_schedule {
  const char *strategy;        /* "gemm 14x32", "map", ... for reports */
  const tn_dim *scratch_bytes; /* per part; constant 0 when none */
  uint32_t parts;              /* how far the work may be divided among threads; at least 1 */
  const char *const *formats;  /* one an argument: packed format for constants, or NULL */
  double cost_seconds;         /* estimate for one thread, symbols at their lower bound or 64 */
} tn_schedule;

/* A sink for bytes in order; false = stop, already reported. */
typedef struct tn_sink {
  bool (*write)(void *user, const void *data, size_t bytes);
  void *user;
} tn_sink;

/* One relocatable object in memory. */
typedef struct tn_object_part {
  const void *data;
  size_t bytes;
  uint64_t stack_bytes; /* its share of tn_emit_stack_bytes; 0 in parts that emit did not make */
} tn_object_part;

/* -g: the text that line numbers in the debugging information refer to, as tn_text_print writes kernels and program. */
typedef struct tn_debug_source {
  const char *folder, *file; /* where a debugger looks for it */
  const char *text;          /* NUL-terminated */
} tn_debug_source;
/* Weights that are a file beside the program. */
typedef struct tn_external_weights {
  const char *name; /* without folder */
  uint64_t digest;  /* tnrt_digest of runtime/abi.h */
} tn_external_weights;

typedef struct tn_emit_options {
  const char *prefix;   /* C symbol prefix: <prefix>_run, ... */
  bool with_main;       /* also the symbol tnrt_main_model, for executables */
  uint32_t n_workers;   /* processes for code generation; 0 = in this process */
  uint32_t unit_seconds; /* processor time that a process may take for one unit; 0 = any */
  uint32_t n_threads;   /* 1 = never call the pool */
  bool no_heap;         /* the caller of the C functions gives all memory */
  bool is_variant;      /* one of several programs that emit_choice stands for: no C functions of its own */
  bool traces;          /* tells tnrt_call.tracer of each step; the program's steps say their source text too */
  const tn_debug_source *debug; /* NULL: no debugging information */
  const char *sanitize; /* "address", "thread" or NULL */
  const tn_external_weights *external; /* NULL: the symbol <prefix>_weights is the weights */
  tn_buf *remarks;      /* lines about the code that was made, for -v; NULL = not wanted */
  const char *weights;                 /* that symbol's name if it is another; NULL */
  int64_t least_arena;                 /* for the header: other programs under this prefix need so many bytes, */
  uint32_t least_slots;                /* and have so many slots */
  uint64_t stack_bytes;                /* for the header: tn_emit_stack_bytes of the parts; 0: not known */
  const char *checked_create;          /* the name under which <prefix>_create is also defined: tn_header_create */
} tn_emit_options;

/* The slots of a context that runs the program or others under its prefix. */
static inline uint32_t tn_emit_slots(const tn_program *program, const tn_emit_options *options) {
  return program->n_slots > options->least_slots ? program->n_slots : options->least_slots;
}

/* A form in which the backend can write a program's code: --emit=NAME. */
typedef struct tn_emit_level {
  const char *name;   /* "llvm"; none of another backend means something else */
  const char *suffix; /* of a file that holds it: ".ll" */
  const char *doc;
  bool is_assembly;   /* what -S writes */
  bool is_binary;     /* no text: stands alone in its file */
  bool has_lines;     /* with -g it refers to lines of the debug source */
} tn_emit_level;

typedef struct tn_backend {
  const char *name;
  const char *doc;
  /* Fills target from cpu and triple ("" or NULL = the host). False when reported. */
  bool (*probe)(tn_ctx *ctx, const char *cpu, const char *triple, tn_target *out);
  /* Pure: the same kernel and target give the same schedule. */
  bool (*schedule)(const tn_target *target, const tn_kernel *kernel, tn_arena *arena, tn_schedule *out);
  /* Size and bytes of a constant in a packed format that schedule named. format NULL = as stored. */
  uint64_t (*packed_bytes)(const tn_target *target, const tn_buffer *buffer);
  bool (*pack)(const tn_target *target, const tn_buffer *buffer, tn_arena *scratch, tn_sink sink);
  /* Machine code of a planned program: relocatable objects that refer to the weights by the symbol <prefix>_weights,
   * to the runtime's functions by their names, and define what runtime/abi.h says. */
  bool (*emit)(tn_ctx *ctx, const tn_target *target, const tn_program *program, const tn_emit_options *options,
               tn_arena *arena, tn_object_part **out_parts, uint32_t *out_n_parts);
  /* The same for n programs at a time (options: one each, all with the same n_workers), whose parts follow each other
   * in this order. Kernels that are equal are made once, under symbols that begin with prefix. NULL: this backend makes
   * one program an object. */
  bool (*emit_all)(tn_ctx *ctx, const tn_target *target, const tn_program *const *programs,
                   const tn_emit_options *options, uint32_t n, const char *prefix, tn_arena *arena,
                   tn_object_part **out_parts, uint32_t *out_n_parts);
  /* The object of the C functions and the descriptor that stand for n programs of one model, each emitted under the
   * prefix prefixes[i] for the processor names[i], the most capable first: they choose by cpuid. NULL: there is no such
   * choice on this backend. program: any of them. */
  bool (*emit_choice)(tn_ctx *ctx, const tn_target *target, const tn_program *program, const tn_emit_options *options,
                      const char *const *prefixes, const char *const *names, uint32_t n, tn_arena *arena,
                      tn_object_part *out);
  /* The levels in the order in which they follow each other, and the program at one of them (its number). */
  const tn_emit_level *levels;
  uint32_t n_levels;
  bool (*emit_text)(tn_ctx *ctx, const tn_target *target, const tn_program *program, const tn_emit_options *options,
                    uint32_t level, tn_buf *out);
} tn_backend;

/* The most that the code of one program's parts, as emit gave them, has on a thread's stack at once, without what it
 * calls of the runtime and of libc: kernels do not call each other, and the last part calls them. */
uint64_t tn_emit_stack_bytes(const tn_object_part *parts, uint32_t n_parts);

/* packed_bytes and pack of a backend that names no formats: constants as they are stored. */
uint64_t tn_backend_stored_bytes(const tn_target *target, const tn_buffer *buffer);
bool tn_backend_store(const tn_target *target, const tn_buffer *buffer, tn_arena *scratch, tn_sink sink);

/* NULL when there is none of that name. */
const tn_backend *tn_backend_find(const char *name);
extern const tn_backend *const tn_backends[];
extern const uint32_t tn_n_backends;

#endif
