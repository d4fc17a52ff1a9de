/* Tokens of a source text, in a list, with the comments between them. The patterns stand in grammar/tenon.l. */
#ifndef TN_FRONTEND_LANG_SCAN_H
#define TN_FRONTEND_LANG_SCAN_H

#include "frontend/lang/lang.h"
#include "frontend/lang/parser.h"
#include "grammar/tenon.tab.h"

/* A text being cut into tokens. */
typedef struct tn_lang_scan {
  tn_lang_parser *parser; /* tokens and comments are added to its lists */
  tn_arena *arena;
  uint32_t start, offset;            /* of the token at hand: its first byte, the byte behind it */
  uint32_t line, line_offset;        /* of the token at hand: line from 1, offset of the line's first byte */
  bool first_of_line;                /* no token has stood in this line yet */
  bool faulty;                       /* the token at hand was reported */
  tn_buf doc;                        /* lines of ## since the last token */
  uint32_t doc_line;                 /* the last of them */
  uint32_t stray_end;                /* offset behind the last character that is no part of the language */
} tn_lang_scan;

/* The whole text; the last token has kind 0. Errors are reported as TN_E_LANG_TOKEN. */
void tn_lang_scan_text(tn_lang_scan *scan, const char *text, size_t bytes);

/* For the actions of the patterns. */
void tn_lang_scan_advance(tn_lang_scan *scan, size_t bytes);
void tn_lang_scan_newline(tn_lang_scan *scan);
void tn_lang_scan_comment(tn_lang_scan *scan, const char *text, size_t bytes);
int tn_lang_scan_word(const char *text, size_t bytes);
void tn_lang_scan_error(tn_lang_scan *scan, const char *format, ...) TN_PRINTF(2, 3);
void tn_lang_scan_stray(tn_lang_scan *scan, const char *character);
void tn_lang_scan_add(tn_lang_scan *scan, int kind);

#endif
