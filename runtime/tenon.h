/* What models compiled by tenon have in common: tensors, and a record by which a program runs a model that it does not
 * know (from a library that it opens, say). Every generated header contains this text; it is installed as tenon.h too.
 * C99 and C++. */
#ifndef TN_MODEL_VERSION
#define TN_MODEL_VERSION 1

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What functions return; the context's message says more. */
typedef enum tn_status {
  TN_STATUS_OK = 0,
  TN_STATUS_BAD_SHAPE = 1, /* a size was refused */
  TN_STATUS_BAD_INPUT = 2, /* a tensor's type, device, strides or pointer; a file */
  TN_STATUS_INDEX = 3,     /* an index pointed outside a tensor; outputs hold what the nearest right index gives */
  TN_STATUS_NO_MEMORY = 4, /* the heap gave out, or the caller's arena is too small */
  TN_STATUS_IO = 5,        /* a file cannot be read */
  TN_STATUS_CPU = 6        /* the processor lacks what the code needs */
} tn_status;

/* DLPack's DLTensor, field by field: a DLTensor * may be cast to a tn_tensor *, and back. */
typedef struct tn_device {
  int32_t device_type; /* 1: the memory of the CPU, the only one taken */
  int32_t device_id;
} tn_device;

typedef struct tn_data_type {
  uint8_t code;   /* 0 int, 1 unsigned, 2 float, 4 bfloat, 6 bool, 10 to 14 floats of 8 bits */
  uint8_t bits;   /* types below 8 bits travel as integers of 8, one a byte */
  uint16_t lanes; /* 1 */
} tn_data_type;

typedef struct tn_tensor {
  void *data; /* aligned to its element; NULL in an output: see run */
  tn_device device;
  int32_t ndim;
  tn_data_type dtype; /* f16, bf16 and 8-bit floats may also be named unsigned integers of as many bits, bool u8 */
  int64_t *shape;     /* ndim extents */
  int64_t *strides;   /* in elements; NULL: dense and row-major, which strides that are given must amount to */
  uint64_t byte_offset;
} tn_tensor;

/* An extent of an input or output. */
typedef struct tn_extent {
  const char *text; /* NULL: always value; else the name of a symbol, an expression of symbols ("2*n + 1"), or "?" where
                       it is found while running */
  int64_t value;    /* -1 with text */
} tn_extent;

typedef struct tn_port {
  const char *name;         /* the model's own */
  const char *shape;        /* "[batch,3,224,224]" */
  uint32_t number;          /* tenon's own of the type */
  uint32_t ndim;
  const char *type;         /* "f32" */
  const tn_extent *extents; /* ndim */
  tn_data_type dtype;
  uint32_t is_late;         /* of an output: an extent is found while running */
} tn_port;

/* A size that is known when the model runs: read from one axis of one input; the others must agree. */
typedef struct tn_symbol {
  const char *name;
  int64_t lo, hi;       /* inclusive; hi INT64_MAX: no bound */
  uint32_t input, axis; /* where it is read */
} tn_symbol;

/* The model `net` is `extern const tn_model net_model`, which its library exports. Later versions add fields at the end
 * only: a field is there when size reaches behind it. */
typedef struct tn_model {
  uint32_t size;    /* of this record in bytes */
  uint32_t version; /* TN_MODEL_VERSION of the compiler that made it */
  const char *name, *producer; /* "resnet50", "tenon 0.1.0" */
  const char *target;          /* "x86_64-pc-linux-gnu znver4" */
  uint32_t n_symbols, n_inputs, n_outputs, reserved;
  const tn_symbol *symbols;
  const tn_port *inputs, *outputs;
  /* Bytes of a caller's arena for these n_symbols sizes, in the order of `symbols`; 0: a size is refused. */
  size_t (*arena_bytes)(const int64_t *sizes);
  /* Makes a context, used by one thread at a time; contexts share nothing that is written. weights: the path of the
   * weights' file where they are one, else ignored; NULL: beside the library. arena: arena_bytes bytes aligned to 64
   * that live as long as the context, or NULL: the heap's. n_threads: how many a run may use, the calling one included.
   * A status; *out is NULL when there was no memory for it, else it is to be destroyed. */
  int (*create)(void **out, const char *weights, void *arena, size_t arena_bytes, int n_threads);
  /* n_inputs tensors in, n_outputs out; nothing is copied. Types, shapes and devices are checked before anything runs.
   * An output whose data is NULL is set, all of it, to a view into the context that is valid until the context's next
   * call; in a caller's arena it takes room beyond arena_bytes, in whole multiples of 64 bytes. Those with is_late
   * always are such views (data must be NULL) and take no such room. */
  int (*run)(void *ctx, const tn_tensor *inputs, tn_tensor *outputs);
  const char *(*message)(const void *ctx); /* of the last failure, "" when there was none; of NULL, why there is none */
  void (*destroy)(void *ctx);              /* NULL is fine */
} tn_model;

#ifdef __cplusplus
}
#endif

#endif
