/* Writing what a compile leaves behind: our own ELF64 merging, archives, headers, and the link. LLVM never sees the
 * weights: they are streamed into a section of the final object.
 *
 * Every file is written atomically (temporary in the same folder, fsync, rename); a failure leaves the old file as it
 * was and no temporary. */
#ifndef TN_BACKENDS_OBJECT_H
#define TN_BACKENDS_OBJECT_H

#include <signal.h>

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
  const char *const *globals;  /* symbols that stay global; each must be defined; all other definitions become local */
  uint32_t n_globals;
  /* ar archives with a symbol index (the runtime's). A member is a further part when it defines a symbol that the parts
   * leave undefined or that is in globals, as with a linker. */
  const tn_object_part *archives;
  uint32_t n_archives;
} tn_object_request;

/* Merges parts (as ld -r: sections of one name joined, symbols resolved between parts, relocations kept) and streams
 * the data. Two strong definitions of one symbol are an error (TN_E_OBJECT), as is everything malformed in a part. Of
 * equal COMDAT groups the first is kept; as its symbols become local, the result has no groups. Read-only strings are
 * joined, not shared. The bytes depend on the request alone. */
typedef struct tn_object tn_object;
/* Reads and lays out; the parts must stay as long as the object is used. NULL when reported. */
tn_object *tn_object_merge(tn_ctx *ctx, const tn_object_request *request, tn_arena *arena);
/* A part that is no code: read-only bytes, and a record of addresses under a name of its own, for tables that point at
 * what other parts define. */
typedef struct tn_object_address {
  enum { TN_ADDRESS_NULL, TN_ADDRESS_BYTES, TN_ADDRESS_SYMBOL } kind;
  uint64_t offset;    /* into the bytes */
  const char *symbol; /* of another part */
} tn_object_address;
typedef struct tn_object_record {
  const char *symbol; /* of the record, hidden */
  const void *data;
  uint64_t bytes;     /* aligned to 64 */
  const tn_object_address *addresses;
  uint32_t n_addresses;
} tn_object_record;
/* TN_E_TARGET for machines that are not known. */
bool tn_object_make_record(tn_ctx *ctx, const char *triple, const tn_object_record *record, tn_arena *arena,
                           tn_object_part *out);

/* Size of the whole file, known before any data is streamed. */
uint64_t tn_object_bytes(const tn_object *object);
bool tn_object_stream(const tn_object *object, tn_sink sink);

/* A GNU ar archive with a symbol index, of one member, deterministic (no times, owners). TN_E_LIMIT when the member
 * does not fit the format's ten digits. */
bool tn_archive_write(tn_ctx *ctx, const char *member_name, const tn_object *object, const char *const *symbols,
                      uint32_t n_symbols, tn_sink sink);

/* Atomic output. path "-" is stdout; what exists and is no regular file (/dev/null, a pipe) is written in place. */
typedef struct tn_output tn_output;
tn_output *tn_output_open(tn_ctx *ctx, const char *path, unsigned mode /* 0644, 0755 */);
/* The temporary that tn_output_open(path) will use in this process, so that a signal handler can remove it; NULL when
 * path is written in place. Symbolic links are followed. */
const char *tn_output_temporary_name(tn_ctx *ctx, const char *path);
tn_sink tn_output_sink(tn_output *output);
const char *tn_output_temporary(const tn_output *output); /* path while open, for the linker to write to */
bool tn_output_flush(tn_output *output); /* so that others can read the temporary */
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
  const char *triple;            /* NULL or one of another machine than this: <triple>-gcc is tried instead of cc */
  const char *const *exports;    /* SHARED: the symbols to export */
  uint32_t n_exports;
  bool print_only;               /* -###: print the command, run nothing */
  volatile sig_atomic_t *running; /* NULL, or set to the linker's process group while it runs, else 0 */
} tn_link_request;
/* out_command (or NULL): the command, shell-quoted, one line. */
bool tn_link(tn_ctx *ctx, const tn_link_request *request, tn_buf *out_command);
/* Appends text as one word of a POSIX shell. */
void tn_shell_quote(tn_buf *buf, const char *text);

/* The C header of a program: what runtime/tenon.h says, then the functions of driver.md "C interface", C99 and C++
 * clean, only <stdint.h> and <stddef.h>. The functions are defined by the backend's emit. Of options: prefix, a C
 * identifier, external, n_threads, no_heap and checked_create. */
bool tn_header_write(tn_ctx *ctx, const tn_program *program, const tn_emit_options *options, tn_buf *out);
/* tn_emit_options.checked_create for this program: <prefix>_create with the number of the ABI and a digest of the
 * inputs and outputs. NULL when it can have no header (reported). */
const char *tn_header_create(tn_ctx *ctx, const tn_program *program, const char *prefix);
/* The symbols that a library exports, sorted; their number. */
#define TN_HEADER_SYMBOLS 9
uint32_t tn_header_symbols(tn_ctx *ctx, const tn_emit_options *options, const char *out[TN_HEADER_SYMBOLS]);

#endif
