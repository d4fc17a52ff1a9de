/* The tenon language (.tn): reading files into syntax trees. */
#ifndef TN_FRONTEND_LANG_LANG_H
#define TN_FRONTEND_LANG_LANG_H

#include "frontend/lang/ast.h"

#define TN_LANG_MAX_BYTES (1u << 20) /* of one source file */
#define TN_LANG_MAX_ERRORS 20        /* of scanner and parser, a file */

/* Reads a whole source file (path "-": standard input) into the session. False: TN_E_FILE, TN_E_LIMIT. */
bool tn_lang_read(tn_ctx *ctx, const char *path, const char **out_text, size_t *out_bytes);
/* Reads and parses one file; imports are not followed. path "-": standard input. NULL when there was an error, all of
 * them reported: TN_E_FILE, TN_E_LIMIT, TN_E_LANG_TOKEN, TN_E_LANG_SYNTAX. The source is kept for diagnostics. */
tn_ast_file *tn_lang_parse(tn_ctx *ctx, const char *path);
/* The same for text of bytes bytes, which need not end in NUL and may go after the call. name is used in messages. */
tn_ast_file *tn_lang_parse_bytes(tn_ctx *ctx, const char *name, const char *text, size_t bytes);

#endif
