/* The session: everything that lives as long as one run of the compiler. Passed first to nearly every function;
 * there is no other state. */
#ifndef TN_IR_CTX_H
#define TN_IR_CTX_H

#include "ir/support/arena.h"
#include "ir/support/diag.h"
#include "ir/support/map.h"
#include "ir/support/str.h"
#include "ir/support/vec.h"

/* A source file in memory. */
typedef struct tn_source_text {
  const char *file; /* as in locations */
  const char *text;
  size_t bytes;
} tn_source_text;

/* What long work says of itself, for a display: `done` of `total` items of what (a constant string) are ready. */
typedef struct tn_progress {
  void (*tell)(const char *what, uint64_t done, uint64_t total); /* NULL: nobody listens */
} tn_progress;

typedef struct tn_ctx {
  tn_arena *arena;       /* session lifetime */
  tn_interner *strings;  /* names */
  TN_VEC(tn_diag) diags; /* in the order reported */
  size_t n_errors;
  size_t max_errors;         /* stop recording past this many (default 100); counting goes on */
  TN_VEC(tn_loc_info) locs;  /* index 0 is TN_LOC_NONE */
  tn_map loc_index;          /* content hash -> index, so equal places are one loc */
  TN_VEC(tn_loc) loc_stack;  /* current location of builders */
  tn_map dims;               /* content hash -> chain of tn_dim */
  tn_map atoms;              /* content hash -> chain of tn_atom */
  tn_map types;              /* content hash -> chain of tn_type */
  tn_map symbols;            /* interned name -> tn_symbol (symbols of the module level) */
  tn_map symbol_suffixes;    /* tn_name_fresh */
  uint32_t n_symbols;        /* ever made; gives each its id */
  TN_VEC(tn_source_text) sources; /* texts that spans point into, for messages */
  uint64_t memory_limit;     /* bytes of constants and evaluation together; see --memory-limit */
  tn_progress progress;
} tn_ctx;

tn_ctx *tn_ctx_create(tn_oom oom);
void tn_ctx_destroy(tn_ctx *ctx);

/* Interned copy of text. */
const char *tn_name(tn_ctx *ctx, const char *text);
/* Interned result of the format. */
const char *tn_namef(tn_ctx *ctx, const char *format, ...) TN_PRINTF(2, 3);

/* base, or the first of base_2, base_3 ... that is no key of taken. suffixes remembers, by base, where the last search
 * ended, so that n names of one base cost n steps; names must not leave taken. */
const char *tn_name_fresh(tn_ctx *ctx, const tn_map *taken, tn_map *suffixes, const char *base);

void tn_progress_tell(const tn_ctx *ctx, const char *what, uint64_t done, uint64_t total);

/* Locations: interned by content. */
tn_loc tn_loc_file(tn_ctx *ctx, const char *file);
tn_loc tn_loc_span(tn_ctx *ctx, const char *file, uint32_t line, uint32_t column, uint32_t end_line,
                   uint32_t end_column);
/* As tn_loc_info's ONNX fields; scope, name and op may be "". */
tn_loc tn_loc_onnx(tn_ctx *ctx, const char *file, const char *scope, int64_t node_index,
                   const char *node_name, const char *node_op, int64_t version);
/* The union of both, origins flattened, in order, without repeats, cut at TN_LOC_MAX_ORIGINS. */
tn_loc tn_loc_join(tn_ctx *ctx, tn_loc a, tn_loc b);
/* Keeps the text of a file for messages that show its lines; text must live as long as ctx. The last of a name is
 * shown. */
void tn_ctx_keep_text(tn_ctx *ctx, const char *file, const char *text, size_t bytes);
/* NULL: not kept. */
const tn_source_text *tn_ctx_text(const tn_ctx *ctx, const char *file);
const tn_loc_info *tn_loc_get(const tn_ctx *ctx, tn_loc loc);
/* "mlp.tn:7:12", "m.onnx: node 17 'fc1' (MatMul, opset 13)"; the first origin of a set. */
void tn_loc_print(const tn_ctx *ctx, tn_loc loc, tn_buf *out);
/* The same without the file's folder: for results, whose bytes do not depend on where their sources lie. */
void tn_loc_print_name(const tn_ctx *ctx, tn_loc loc, tn_buf *out);
/* Of a span whose text is kept ": 'log(x)'", its first line and no more than 40 bytes of it; else nothing. */
void tn_loc_print_text(const tn_ctx *ctx, tn_loc loc, tn_buf *out);

/* The current location, used by every builder that is given none. */
void tn_loc_push(tn_ctx *ctx, tn_loc loc);
void tn_loc_pop(tn_ctx *ctx);
tn_loc tn_loc_current(const tn_ctx *ctx);

#endif
