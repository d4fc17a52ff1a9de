/* The contract between compiled code and the runtime: plain structs with fixed offsets, the only header that both sides
 * include. Everything here is C99 and C++ clean. A change of any layout raises TNRT_ABI. */
#ifndef TNRT_ABI_H
#define TNRT_ABI_H

#include <stddef.h>
#include <stdint.h>

#define TNRT_ABI 8u

/* Element types by number, in the order of the compiler's dtype table (a test compares the two). */
typedef enum tnrt_dtype {
  TNRT_F64, TNRT_F32, TNRT_F16, TNRT_BF16, TNRT_F8E4M3, TNRT_F8E5M2, TNRT_F8E4M3UZ, TNRT_F8E5M2UZ, TNRT_F8E8M0,
  TNRT_F4E2M1, TNRT_I64, TNRT_I32, TNRT_I16, TNRT_I8, TNRT_I4, TNRT_I2, TNRT_U64, TNRT_U32, TNRT_U16, TNRT_U8, TNRT_U4,
  TNRT_U2, TNRT_BOOL, TNRT_STR
} tnrt_dtype;

#define TNRT_MAX_NDIM 16

/* Status of calls. The text of a failure stands in the context. */
typedef enum tnrt_status {
  TNRT_OK = 0,
  TNRT_BAD_SHAPE = 1,  /* a size was refused; the message names it */
  TNRT_BAD_INPUT = 2,  /* a file or value of the user's is wrong */
  TNRT_INDEX = 3,      /* an index pointed outside a tensor; results hold the clamped element's value */
  TNRT_NO_MEMORY = 4,
  TNRT_IO = 5,
  TNRT_CPU = 6         /* the processor lacks what the code needs */
} tnrt_status;

/* Layouts that runtime/tenon.h shows to users under its own names (a test compares them): extents, ports, symbols,
 * tensors. */
typedef struct tnrt_extent {
  const char *text; /* NULL: always value; else a symbol's name, an expression of symbols, or "?" of late ones */
  int64_t value;    /* -1 with text */
} tnrt_extent;

/* One input or output of the model. */
typedef struct tnrt_port {
  const char *name;
  const char *shape; /* "[B,3,224,224]", for messages and info */
  uint32_t dtype;    /* tnrt_dtype */
  uint32_t ndim;
  const char *type;  /* "f32" */
  const tnrt_extent *extents; /* ndim */
  uint8_t dl_code, dl_bits;   /* DLPack's type; what has none there travels in bytes */
  uint16_t dl_lanes;          /* 1 */
  uint32_t is_late;  /* of an output: an extent is found while running, so its memory is the context's */
} tnrt_port;

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

typedef struct tnrt_symbol {
  const char *name;
  int64_t lo, hi; /* inclusive; hi INT64_MAX = no bound */
  uint32_t input, axis; /* bound by this axis of this input */
} tnrt_symbol;

/* A condition on sizes that could not be proved when compiling. */
typedef struct tnrt_guard {
  const char *text;  /* "input 'x' axis 1: expected 3" */
  const char *place; /* "model.onnx: node 17 'conv1' (Conv, opset 13)" */
} tnrt_guard;

/* One runtime action, for profiles and reports. */
typedef struct tnrt_step {
  const char *name;  /* kernel name */
  const char *place; /* the model's own names */
  const char *strategy;
  uint32_t n_inside; /* steps behind it that are inside (loops, branches), those inside of these included */
  uint32_t reserved;
} tnrt_step;

/* What a step does in one call of the program: operations, and bytes of its arguments, each counted once. -1: known
 * only while running. */
typedef struct tnrt_cost {
  int64_t flops, bytes;
} tnrt_cost;

/* fn(frame, lo, hi) for the parts lo .. hi-1 of [0, n_parts). Returns when all are done. */
typedef void (*tnrt_part_fn)(const void *frame, int64_t lo, int64_t hi, int64_t worker);
typedef struct tnrt_pool tnrt_pool;
typedef void (*tnrt_parallel_fn)(tnrt_pool *pool, tnrt_part_fn fn, const void *frame, int64_t n_parts);

/* Told by code that traces its steps, which training programs have beside the ordinary one: with it they find where a
 * number was lost. Of each kernel's step: TNRT_SEE_START, n being 1 where a constant inside of it is infinite, 2 where
 * one is NaN, else 0; then the float tensors that it is going to read (n elements of dtype, dense); behind it those
 * that it has written, whole ones only. */
enum { TNRT_SEE_START, TNRT_SEE_READ, TNRT_SEE_WRITTEN };
typedef struct tnrt_tracer {
  void (*see)(struct tnrt_tracer *tracer, int64_t step, int64_t what, const void *data, int64_t n, int64_t dtype);
} tnrt_tracer;

struct tnrt_call;
/* Makes call->slots[slot] at least this large, aligned to 64; what was in it stays. bytes -1: more than 63 bits can
 * say. TNRT_OK or TNRT_NO_MEMORY. */
typedef int32_t (*tnrt_reserve_fn)(struct tnrt_call *call, int64_t slot, int64_t bytes);

/* Called by the calling thread between two steps: with n_steps before the first one, then with the number of each as it
 * ends (a step with others inside ends behind these, which may end several times). */
typedef void (*tnrt_after_fn)(struct tnrt_call *call, int64_t step);

/* What one call of the emitted run function gets. */
typedef struct tnrt_call {
  int64_t *symbols;           /* n_symbols values, from bind; behind them n_late that the run finds and sets */
  const void *const *inputs;  /* n_inputs dense row-major tensors, aligned to their element */
  void **outputs;             /* n_outputs, dense row-major; the run sets late ones, to memory of the arena or a slot */
  uint8_t *arena;             /* arena_bytes(symbols), aligned to 64 */
  const uint8_t *weights;     /* aligned to 64 */
  tnrt_pool *pool;            /* NULL: single thread */
  tnrt_parallel_fn parallel;  /* NULL: single thread */
  tnrt_after_fn after;        /* NULL, or called between steps */
  void *watcher;              /* of the caller: for after */
  int32_t status;             /* out: TNRT_OK or TNRT_INDEX; cut short: TNRT_BAD_SHAPE or what reserve gave */
  int32_t status_step;        /* out: the step that set it */
  int32_t status_guard;       /* out, with TNRT_BAD_SHAPE: the row of the model's guards that failed */
  int32_t reserved;
  int64_t expected, found;    /* out, with TNRT_BAD_SHAPE */
  void **slots;               /* n_slots memories that grow, kept between calls */
  tnrt_reserve_fn reserve;    /* with slots */
  void *owner;                /* of the caller: for reserve */
  tnrt_tracer *tracer;        /* NULL, or whom code that traces tells */
} tnrt_call;

/* A digest of bytes that finds damage and mix-ups, not attacks: four lanes take 8 bytes each of every 32; the last
 * block is filled with zeros. The same function on both sides. */
typedef struct tnrt_digest {
  uint64_t lanes[4];
} tnrt_digest;

static inline tnrt_digest tnrt_digest_start(void) {
  tnrt_digest d = {{0x9e3779b97f4a7c15u, 0xbf58476d1ce4e5b9u, 0x94d049bb133111ebu, 0xd6e8feb86659fd93u}};
  return d;
}

static inline uint64_t tnrt_digest_mix(uint64_t lane, uint64_t word) {
  uint64_t x = (lane ^ word) * 0x9fb21c651e98df25u;
  return x << 29 | x >> 35;
}

/* 32 bytes, little-endian as every machine that tenon makes code for. */
static inline void tnrt_digest_add(tnrt_digest *d, const uint8_t *block) {
  for (int i = 0; i < 4; i++) {
    uint64_t word;
    __builtin_memcpy(&word, block + 8 * i, 8);
    d->lanes[i] = tnrt_digest_mix(d->lanes[i], word);
  }
}

/* bytes: how many there were in all. */
static inline uint64_t tnrt_digest_end(const tnrt_digest *d, uint64_t bytes) {
  uint64_t x = bytes;
  for (int i = 0; i < 4; i++) x = tnrt_digest_mix(x, d->lanes[i]);
  x = (x ^ x >> 32) * 0xd6e8feb86659fd93u;
  return x ^ x >> 32;
}

/* Weights in a file of their own (--constants=external): weights_bytes raw bytes. */
struct tnrt_model;
typedef struct tnrt_external {
  const char *name; /* of the file, looked for beside the program or library that holds the descriptor */
  uint64_t digest;
  /* Maps the file at path (NULL: beside, by name) read-only once its size and digest are right. Else a status and text
   * in message. */
  int32_t (*open)(const struct tnrt_model *model, const char *path, const uint8_t **out_weights, char *message,
                  size_t message_bytes);
  void (*close)(const struct tnrt_model *model, const uint8_t *weights);
} tnrt_external;

/* Called by compiled code. out[i * out_stride] for i < top: the position in x (n elements of dtype, stride elements
 * apart; no string or 8-bit float) of the element that is i-th in rising order (descending: falling), stably, a NaN
 * greatest. top <= n. scratch: 32 * n bytes aligned to 8. */
void tnrt_argsort(const void *x, int64_t stride, int64_t n, uint32_t dtype, int64_t *out, int64_t out_stride,
                  int64_t top, int32_t descending, void *scratch);

/* Code for several processors, the most capable first; each is a model of its own with the same inputs and outputs. */
typedef struct tnrt_variants {
  uint32_t n, reserved;
  const char *const *names; /* as -march named them */
  const struct tnrt_model *const *models;
  /* The position of the one for this processor, or the one that the environment's TENON_CPU names; else minus a
   * status, and text in message. */
  int32_t (*choose)(const struct tnrt_variants *variants, char *message, size_t message_bytes);
} tnrt_variants;

/* The descriptor of a compiled model: symbol <prefix>_descriptor; in executables also tnrt_main_model. */
typedef struct tnrt_model {
  uint32_t abi;  /* TNRT_ABI */
  uint32_t size; /* sizeof(tnrt_model) */
  const char *name;
  const char *producer;  /* "tenon 0.1.0" */
  const char *target;    /* "x86_64-pc-linux-gnu znver4" */
  const char *cpu_needs; /* comma-separated features checked against cpuid before the first run, e.g. "avx512f,fma" */
  uint32_t n_symbols, n_inputs, n_outputs, n_guards, n_steps;
  uint32_t max_workers; /* threads one call may use, the caller's included: worker < max_workers */
  const tnrt_symbol *symbols;
  const tnrt_port *inputs;
  const tnrt_port *outputs;
  const tnrt_guard *guards;
  const tnrt_step *steps;
  const uint8_t *weights; /* NULL: none, or external */
  uint64_t weights_bytes;
  /* in_extents[i]: ndim extents of input i. Sets out_symbols. 0 = right; g > 0: guard g-1 failed, *out_expected and
   * *out_found say how. Symbols are bound from their input's axis and checked against [lo, hi] by guards too. */
  int32_t (*bind)(const int64_t *const *in_extents, int64_t *out_symbols, int64_t *out_expected, int64_t *out_found);
  /* Those checks of bind that need no extents: ranges of symbols, and conditions on symbols alone. As bind returns. */
  int32_t (*check)(const int64_t *symbols, int64_t *out_expected, int64_t *out_found);
  /* Extents of all outputs, one after the other; those that are late as the symbols behind n_symbols are. */
  void (*out_extents)(const int64_t *symbols, int64_t *out);
  /* Bytes of arena for these symbols; -1 when it does not fit 63 bits. */
  int64_t (*arena_bytes)(const int64_t *symbols);
  void (*run)(tnrt_call *call);
  const tnrt_external *external; /* NULL: the weights are in the program */
  const tnrt_variants *variants; /* not NULL: this model has no code itself; what it has (bind ... run) is NULL */
  uint32_t n_late;  /* sizes found while running */
  uint32_t n_slots; /* memories that grow with them; of a model with variants, of the variant that has most */
  void (*costs)(const int64_t *symbols, tnrt_cost *out); /* n_steps; NULL: not in libraries */
  const uint32_t *last_uses; /* n_outputs: the step behind which no step reads or writes the output */
} tnrt_model;

/* What contexts of a library may use, as it was compiled. */
struct tnrt_ctx;
struct tnrt_alloc;
typedef struct tnrt_services {
  const struct tnrt_alloc *alloc; /* NULL: the caller's arena is all the memory there is */
  /* tnrt_ctx_set_threads, or NULL: a call uses the calling thread alone. */
  tnrt_status (*set_threads)(struct tnrt_ctx *ctx, int n_threads);
} tnrt_services;

/* What the runtime's functions of a library take of the stack at most (tests/lint/stack.py adds up what the compiler
 * says); those that need a C library, more; opening weights that are a file, more; and what is kept free for functions
 * of the C library and for binding its names. */
#define TNRT_STACK_BYTES 3072u
#define TNRT_STACK_HOSTED_BYTES 2048u
#define TNRT_STACK_WEIGHTS_BYTES 10240u
#define TNRT_STACK_LIBC_BYTES 16384u

/* Bytes of a context, which stands at the start of the caller's arena; a multiple of 64. ndims: of all inputs and
 * outputs together; n_symbols: late ones included. */
#define TNRT_CTX_BYTES 768u
static inline uint64_t tnrt_ctx_bytes(uint64_t n_symbols, uint64_t n_slots, uint64_t n_inputs, uint64_t n_outputs,
                                      uint64_t ndims) {
  return (TNRT_CTX_BYTES + 8 * (n_symbols + 3 * n_slots + 2 * n_inputs + 3 * n_outputs + ndims) + 63) / 64 * 64;
}

#if defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L && UINTPTR_MAX == UINT64_MAX
_Static_assert(sizeof(tnrt_port) == 48, "abi");
_Static_assert(sizeof(tnrt_symbol) == 32, "abi");
_Static_assert(sizeof(tnrt_guard) == 16, "abi");
_Static_assert(sizeof(tnrt_step) == 32, "abi");
_Static_assert(offsetof(tnrt_call, arena) == 24 && offsetof(tnrt_call, status) == 72, "abi");
_Static_assert(offsetof(tnrt_call, slots) == 104 && sizeof(tnrt_call) == 136, "abi");
_Static_assert(sizeof(tnrt_external) == 32 && sizeof(tnrt_variants) == 32, "abi");
_Static_assert(offsetof(tnrt_model, symbols) == 64 && offsetof(tnrt_model, weights) == 104, "abi");
_Static_assert(offsetof(tnrt_model, bind) == 120 && sizeof(tnrt_model) == 200, "abi");
_Static_assert(sizeof(tnrt_extent) == 16 && sizeof(tnrt_services) == 16, "abi");
_Static_assert(sizeof(tnrt_tensor) == 48 && offsetof(tnrt_tensor, shape) == 24, "abi");
#endif

#endif
