/* Curves as text (plot.h): braille dots where the terminal has UTF-8 and colors to tell curves apart, else letters. */
#include "runtime/train/plot.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "runtime/train/terminal.h"
#include "runtime/train/text.h"

enum { LABEL_COLUMNS = 10, MAX_COLUMNS = 200, MAX_ROWS = 60, N_MARKS = 3 };
static const char marks[N_MARKS] = {'*', 'o', 'x'};
static const char *const colors[N_MARKS] = {"\x1b[36m", "\x1b[33m", "\x1b[35m"};

/* ---- curves ---- */

void tnrt_curve_start(tnrt_curve *c, const char *chart, const char *name) {
  c->chart = chart;
  c->name = name;
  c->n = 0;
  c->stride = 1;
  c->pending = 0;
  c->x_sum = c->y_sum = 0;
}

static void halve(tnrt_curve *c) {
  c->n /= 2;
  c->stride *= 2;
  for (uint32_t i = 0; i < c->n; i++) {
    c->x[i] = 0.5 * (c->x[2 * i] + c->x[2 * i + 1]);
    c->y[i] = 0.5 * (c->y[2 * i] + c->y[2 * i + 1]);
  }
}

void tnrt_curve_add(tnrt_curve *c, double x, double y) {
  if (!isfinite(x) || !isfinite(y)) return;
  c->x_sum += x;
  c->y_sum += y;
  if (++c->pending < c->stride) return;
  if (c->n == TNRT_CURVE_POINTS) {
    halve(c);
    if (c->pending < c->stride) return;
  }
  c->x[c->n] = c->x_sum / (double)c->pending;
  c->y[c->n++] = c->y_sum / (double)c->pending;
  c->pending = 0;
  c->x_sum = c->y_sum = 0;
}

/* ---- a frame ---- */

typedef struct frame {
  int columns, rows, dots_x, dots_y; /* dots of a cell */
  double x_min, x_max, y_min, y_max;
  uint8_t *cells;  /* bits of a braille character, or the curve's number + 1 */
  uint8_t *owners; /* the curve's number + 1 */
} frame;

static void set_dot(frame *f, int x, int y, uint32_t curve) {
  static const uint8_t bits[4][2] = {{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};
  int at = y / f->dots_y * f->columns + x / f->dots_x;
  if (f->dots_y == 4)
    f->cells[at] |= bits[y % 4][x % 2];
  else
    f->cells[at] = (uint8_t)(curve + 1);
  f->owners[at] = (uint8_t)(curve + 1);
}

static int scale(double value, double from, double to, int dots) {
  double part = to > from ? (value - from) / (to - from) : 0.5;
  int at = (int)(part * (dots - 1) + 0.5);
  return at < 0 ? 0 : at >= dots ? dots - 1 : at;
}

static void draw_curve(frame *f, const tnrt_curve *c, uint32_t number) {
  int before_x = 0, before_y = 0;
  for (uint32_t i = 0; i < c->n; i++) {
    int x = scale(c->x[i], f->x_min, f->x_max, f->columns * f->dots_x);
    int y = f->rows * f->dots_y - 1 - scale(c->y[i], f->y_min, f->y_max, f->rows * f->dots_y);
    int dx = i ? x - before_x : 0, dy = i ? y - before_y : 0, steps = abs(dx) > abs(dy) ? abs(dx) : abs(dy);
    for (int k = 0; k <= steps; k++) {
      double part = steps ? (double)k / steps : 1;
      set_dot(f, x - dx + (int)lround(part * dx), y - dy + (int)lround(part * dy), number);
    }
    before_x = x;
    before_y = y;
  }
}

static void fit(frame *f, const tnrt_curve *const *curves, uint32_t n) {
  f->x_min = f->y_min = INFINITY;
  f->x_max = f->y_max = -INFINITY;
  for (uint32_t i = 0; i < n; i++)
    for (uint32_t k = 0; k < curves[i]->n; k++) {
      f->x_min = fmin(f->x_min, curves[i]->x[k]);
      f->x_max = fmax(f->x_max, curves[i]->x[k]);
      f->y_min = fmin(f->y_min, curves[i]->y[k]);
      f->y_max = fmax(f->y_max, curves[i]->y[k]);
    }
}

/* ---- as text ---- */

static void put_cell(const frame *f, tnrt_writer *w, const tnrt_plot_style *style, int at) {
  uint8_t owner = f->owners[at];
  if (!owner) {
    tnrt_put(w, ' ');
    return;
  }
  int curve = (owner - 1) % N_MARKS;
  if (style->has_color) tnrt_put_text(w, colors[curve]);
  if (f->dots_y == 4) {
    tnrt_put(w, (char)0xe2);
    tnrt_put(w, (char)(0xa0 | f->cells[at] >> 6));
    tnrt_put(w, (char)(0x80 | (f->cells[at] & 63)));
  } else {
    tnrt_put(w, marks[curve]);
  }
  if (style->has_color) tnrt_put_text(w, "\x1b[0m");
}

static void put_title(tnrt_writer *w, const tnrt_curve *const *curves, uint32_t n, const tnrt_plot_style *style) {
  tnrt_put_text(w, curves[0]->chart);
  tnrt_put(w, ':');
  for (uint32_t i = 0; i < n; i++) {
    char value[40];
    tnrt_put(w, ' ');
    if (style->has_color) tnrt_put_text(w, colors[i % N_MARKS]);
    tnrt_put(w, marks[i % N_MARKS]);
    tnrt_put(w, ' ');
    tnrt_put_text(w, curves[i]->name);
    if (style->has_color) tnrt_put_text(w, "\x1b[0m");
    snprintf(value, sizeof value, " (%.4g)", curves[i]->y[curves[i]->n - 1]);
    tnrt_put_text(w, value);
  }
  tnrt_put(w, '\n');
}

static void put_frame(const frame *f, tnrt_writer *w, const tnrt_plot_style *style) {
  char label[64];
  for (int row = 0; row < f->rows; row++) {
    double part = f->rows > 1 ? (double)row / (f->rows - 1) : 0;
    bool is_named = row == 0 || row == f->rows - 1 || row == f->rows / 2;
    snprintf(label, sizeof label, "%*.4g", LABEL_COLUMNS - 1, f->y_max - part * (f->y_max - f->y_min));
    if (!is_named) snprintf(label, sizeof label, "%*s", LABEL_COLUMNS - 1, "");
    tnrt_put_text(w, label);
    tnrt_put_text(w, style->has_utf8 ? " \xe2\x94\x82" : " |");
    for (int column = 0; column < f->columns; column++) put_cell(f, w, style, row * f->columns + column);
    tnrt_put(w, '\n');
  }
  snprintf(label, sizeof label, "%.6g", f->x_max);
  int room = f->columns - (int)strlen(label);
  char line[MAX_COLUMNS + 80];
  snprintf(line, sizeof line, "%*s%-*.6g%s\n\n", LABEL_COLUMNS + 1, "", room > 1 ? room : 1, f->x_min, label);
  tnrt_put_text(w, line);
}

static tnrt_status put_all(tnrt_message *message, int fd, const char *text, size_t bytes) {
  while (bytes > 0) {
    ssize_t n = write(fd, text, bytes);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return tnrt_fail(message, TNRT_IO, "cannot draw: %s", strerror(errno));
    text += n;
    bytes -= (size_t)n;
  }
  return TNRT_OK;
}

/* The first n curves, which are of one chart and have points. */
static tnrt_status draw_chart(tnrt_message *message, frame *f, tnrt_writer *w, const tnrt_curve *const *curves,
                              uint32_t n, const tnrt_plot_style *style, int fd) {
  bool is_braille = style->has_utf8 && (style->has_color || n == 1);
  f->dots_x = is_braille ? 2 : 1;
  f->dots_y = is_braille ? 4 : 1;
  memset(f->cells, 0, (size_t)f->columns * (size_t)f->rows);
  memset(f->owners, 0, (size_t)f->columns * (size_t)f->rows);
  fit(f, curves, n);
  for (uint32_t i = 0; i < n; i++) draw_curve(f, curves[i], i);
  w->n = 0;
  put_title(w, curves, n, style);
  put_frame(f, w, style);
  return put_all(message, fd, w->out, w->n < w->capacity ? w->n : w->capacity);
}

/* Curves with points of the chart that begins at *at, at most 16 of them; *at moves behind the chart. */
static uint32_t next_chart(const tnrt_curve *const *curves, uint32_t n, uint32_t *at, const tnrt_curve *out[16]) {
  const char *chart = curves[*at]->chart;
  uint32_t found = 0;
  for (; *at < n && strcmp(curves[*at]->chart, chart) == 0; ++*at)
    if (curves[*at]->n && found < 16) out[found++] = curves[*at];
  return found;
}

tnrt_status tnrt_plot_draw(tnrt_message *message, const tnrt_alloc *alloc, const tnrt_curve *const *curves, uint32_t n,
                           const tnrt_plot_style *style, int fd) {
  enum { CELL_TEXT = 16, LINE_TEXT = 64, TITLE_TEXT = 4096 };
  frame f = {.columns = style->columns < 10            ? 10
                        : style->columns > MAX_COLUMNS ? MAX_COLUMNS
                                                       : style->columns,
             .rows = style->rows < 3          ? 3
                     : style->rows > MAX_ROWS ? MAX_ROWS
                                              : style->rows};
  size_t cells = (size_t)f.columns * (size_t)f.rows;
  tnrt_writer w = {.capacity = cells * CELL_TEXT + (size_t)f.rows * LINE_TEXT + TITLE_TEXT};
  uint8_t *memory = alloc->get(alloc->user, 2 * cells + w.capacity, 64);
  if (!memory) return tnrt_fail(message, TNRT_NO_MEMORY, "no memory to draw");
  f.cells = memory;
  f.owners = memory + cells;
  w.out = (char *)memory + 2 * cells;
  tnrt_status status = TNRT_OK;
  for (uint32_t at = 0; at < n && status == TNRT_OK;) {
    const tnrt_curve *chart[16];
    uint32_t found = next_chart(curves, n, &at, chart);
    if (found) status = draw_chart(message, &f, &w, chart, found, style, fd);
  }
  alloc->give(alloc->user, memory);
  return status;
}

tnrt_status tnrt_plot_show(tnrt_message *message, const tnrt_alloc *alloc, const tnrt_curve *const *curves, uint32_t n,
                           int fd) {
  tnrt_terminal terminal = tnrt_terminal_of(fd);
  tnrt_plot_style style = {terminal.columns - LABEL_COLUMNS - 2, 16, terminal.has_color, terminal.has_utf8};
  if (style.columns > 100) style.columns = 100;
  return tnrt_plot_draw(message, alloc, curves, n, &style, fd);
}
