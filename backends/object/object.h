/* Writing what a compile leaves behind: our own ELF64 merging, archives, headers, and the link. LLVM never sees the
 * weights: they are streamed into a section of the final object.
 *
 * Every file is written atomically (temporary in the same folder, fsync, rename); a failure leaves the old file as it
 * was and no temporary. */
#ifndef TN_BACKENDS_OBJECT_H
#define TN_BACKENDS_OBJECT_H

#include "backends/backend.h"

/* A section of data to stream behind the code: the weights. */
typedef struct tn_object_data {
  const char *symbol;  /* defined at its start, global but hidden */
  const char *section; /* ".rodata.weights" (PIC needs no relocation in it) */
  uint64_t bytes;
  uint64_t align;
  bool (*stream)(void *user, tn_sink sink); /* writes exactly `bytes` */
  void *user;
} tn_object_data;

typedef struct tn_object_request {
  const tn_object_part *parts; /* relocatable ELF64 little-endian objects of one machine */
  uint32_t n_parts;
  const tn_object_data *data;
  uint32_t n_data;
  const char *const *globals;  /* symbols that stay global, sorted; all other definitions become local */
  uint32_t n_globals;
} tn_object_request;

/* Merges parts (as ld -r: sections of one name joined, symbols resolved between parts, relocations kept) and streams the
 * data. Two strong definitions of one symbol are an error (TN_E_OBJECT). COMDAT groups and mergeable strings are kept
 * correct but need not be merged. */
bool tn_object_write(tn_ctx *ctx, const tn_object_request *request, tn_sink sink);

/* A GNU ar archive with a symbol index, of one member; deterministic (no times, owners). object_bytes from a temporary
 * file descriptor. */
bool tn_archive_write(tn_ctx *ctx, const char *member_name, int object_fd, const char *const *symbols,
                      uint32_t n_symbols, tn_sink sink);

/* Atomic output. path "-" is stdout. */
typedef struct tn_output tn_output;
tn_output *tn_output_open(tn_ctx *ctx, const char *path, unsigned mode /* 0644, 0755 */);
tn_sink tn_output_sink(tn_output *output);
int tn_output_fd(tn_output *output);
const char *tn_output_temporary(const tn_output *output); /* path while open, for the linker to write to */
bool tn_output_commit(tn_output *output);  /* fsync and rename; false when reported, nothing left */
void tn_output_discard(tn_output *output);

/* Linking. linker: $TENON_LD, else cc, else ld.lld or ld. Argument lists are kept for -###. */
typedef enum tn_link_kind { TN_LINK_EXECUTABLE, TN_LINK_SHARED } tn_link_kind;
typedef struct tn_link_request {
  tn_link_kind kind;
  const char *object;            /* path */
  const char *output;            /* path of the temporary */
  const char *const *extra;      /* runtime objects by path, then -l -L -Wl, as given */
  uint32_t n_extra;
  const char *sysroot;
  const char *const *exports;    /* SHARED: the symbols to export */
  uint32_t n_exports;
  bool print_only;               /* -###: print the command, run nothing */
} tn_link_request;
bool tn_link(tn_ctx *ctx, const tn_link_request *request, tn_buf *out_command);

/* The C header of a program: driver.md "C interface", C99 and C++ clean, only <stdint.h> and <stddef.h>. */
bool tn_header_write(tn_ctx *ctx, const tn_program *program, const char *prefix, tn_buf *out);

#endif
