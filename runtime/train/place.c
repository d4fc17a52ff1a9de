/* Places of what is wrong (place.h). */
#include "runtime/train/place.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "runtime/train/plan.h"

tnrt_status tnrt_place_add(tnrt_message *message, tnrt_status status, const tnrt_training *plan, uint32_t place) {
  const char *text = place ? tnrt_plan_text(plan, place) : "";
  size_t used = strlen(message->text), n = strlen(text);
  if (!place || used + n + 2 > sizeof message->text) return status;
  message->text[used] = '\n';
  memcpy(message->text + used + 1, text, n + 1);
  return status;
}

enum { WINDOW = 80, BEFORE = 30, ROOM = WINDOW + 8 };

static bool is_inside(char c) { return (c & 0xC0) == 0x80; } /* of a character of UTF-8 */

void tnrt_place_draw(const char *text, size_t n, size_t from, size_t end, int64_t line, char *out, size_t bytes) {
  char shown[ROOM] = "", marks[ROOM] = "";
  size_t first = end > WINDOW && from > BEFORE ? from - BEFORE : 0, last = first + WINDOW, used = 0, marked = 0;
  while (first > 0 && first < n && is_inside(text[first])) first++;
  if (last > n) last = n;
  while (last < n && last > first && is_inside(text[last])) last--;
  if (first > 0) used = marked = (size_t)sprintf(shown, "...");
  memset(marks, ' ', marked);
  for (size_t i = first; i < last; i++) {
    bool is_control = (unsigned char)text[i] < ' ' || text[i] == 0x7f;
    shown[used++] = is_control ? ' ' : text[i];
    if (!is_inside(text[i])) marks[marked++] = i == from ? '^' : i > from && i < end ? '~' : ' ';
  }
  if (last < n) used += (size_t)sprintf(shown + used, "...");
  if (from >= last) marks[marked++] = '^'; /* behind the line's end */
  while (marked > 0 && marks[marked - 1] == ' ') marked--;
  int needed = snprintf(out, bytes, "\n%5lld | %.*s\n      | %.*s", (long long)line, (int)used, shown, (int)marked,
                        marks);
  if (needed < 0 || (size_t)needed >= bytes) *out = 0;
}
