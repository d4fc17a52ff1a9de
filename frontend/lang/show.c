/* Places of the file as texts of the plan: a program that is wrong about its data shows them as the compiler would. */
#include <string.h>

#include "frontend/lang/sema.h"

enum { WINDOW = 80, BEFORE = 30 };

static bool is_inside(char c) { return (c & 0xC0) == 0x80; } /* of a character of UTF-8 */

/* The line of a text, from 1; NULL: it has not so many. */
static const char *line_of(const tn_source_text *source, uint32_t line, size_t *out_bytes) {
  const char *text = source->text, *end = text + source->bytes;
  for (uint32_t i = 1; i < line; i++) {
    text = memchr(text, '\n', (size_t)(end - text));
    if (!text++) return NULL;
  }
  const char *stop = memchr(text, '\n', (size_t)(end - text));
  *out_bytes = (size_t)((stop ? stop : end) - text);
  return text;
}

/* Of a long line what is around [from, end), and a caret with tildes below it. */
static void put_line(tn_buf *out, const char *text, size_t n, size_t from, size_t end, uint32_t line) {
  size_t first = end > WINDOW && from > BEFORE ? from - BEFORE : 0, last = n < first + WINDOW ? n : first + WINDOW;
  while (first > 0 && first < n && is_inside(text[first])) first++;
  while (last < n && last > first && is_inside(text[last])) last--;
  tn_buf_printf(out, "\n%5u | %s", line, first ? "..." : "");
  for (size_t i = first; i < last; i++) tn_buf_putc(out, (unsigned char)text[i] < ' ' ? ' ' : text[i]);
  tn_buf_printf(out, "%s\n      | %s", last < n ? "..." : "", first ? "   " : "");
  for (size_t i = first; i < last && i < end; i++)
    if (!is_inside(text[i])) tn_buf_putc(out, i < from ? ' ' : i == from ? '^' : '~');
}

const char *tn_place_show(tn_sema *s, tn_loc loc, const char *what) {
  const tn_loc_info *where = tn_loc_get(s->ctx, loc);
  const tn_source_text *source = where->kind == TN_LOC_KIND_SPAN ? tn_ctx_text(s->ctx, where->file) : NULL;
  size_t n = 0;
  const char *text = source ? line_of(source, where->line, &n) : NULL;
  if (!text || where->column < 1 || where->column > n) return NULL;
  const char *slash = strrchr(where->file, '/');
  size_t end = where->end_line > where->line || where->end_column > n ? n : where->end_column;
  tn_buf out = tn_buf_create(s->arena);
  tn_buf_printf(&out, "%s:%u:%u: note: %s", slash ? slash + 1 : where->file, where->line, where->column, what);
  put_line(&out, text, n, where->column - 1, end, where->line);
  return tn_name(s->ctx, out.data);
}
