/* Curves of a training: kept in memory of a fixed size, drawn as text, and to PNG by gnuplot where that is installed.
 */
#ifndef TNRT_TRAIN_PLOT_H
#define TNRT_TRAIN_PLOT_H

#include <stdbool.h>

#include "runtime/core/message.h"
#include "runtime/core/runtime.h"

enum { TNRT_CURVE_POINTS = 1024 };

typedef struct tnrt_curve {
  const char *chart, *name; /* curves of one chart are drawn into one frame: "loss", "train" */
  uint32_t n;
  int64_t stride, pending; /* values a point is the mean of, and how many of them are there */
  double x_sum, y_sum;
  double x[TNRT_CURVE_POINTS], y[TNRT_CURVE_POINTS];
} tnrt_curve;

void tnrt_curve_start(tnrt_curve *curve, const char *chart, const char *name);
/* The next value, which is left out when it is not finite. When the memory is full, points are averaged by two. */
void tnrt_curve_add(tnrt_curve *curve, double x, double y);

typedef struct tnrt_plot_style {
  int columns, rows; /* of the text inside a frame */
  bool has_color, has_utf8;
} tnrt_plot_style;

/* One chart after the other, as text, to a descriptor. The curves of a chart stand together; those without points are
 * left out. alloc: for one frame. */
tnrt_status tnrt_plot_draw(tnrt_message *message, const tnrt_alloc *alloc, const tnrt_curve *const *curves, uint32_t n,
                           const tnrt_plot_style *style, int fd);

/* The same in the style that descriptor and environment (TERM, NO_COLOR, LC_ALL, LC_CTYPE, LANG) ask for. */
tnrt_status tnrt_plot_show(tnrt_message *message, const tnrt_alloc *alloc, const tnrt_curve *const *curves, uint32_t n,
                           int fd);

/* Writes path by gnuplot; TNRT_BAD_INPUT when that is not installed, TNRT_IO when it fails. */
tnrt_status tnrt_plot_png(tnrt_message *message, const tnrt_curve *const *curves, uint32_t n, const char *path);

/* Reads a log (JSONL or CSV, by how it begins) and draws what is in it: as text to fd, and to png where that is not
 * NULL. TNRT_BAD_INPUT names the line that is no row. */
tnrt_status tnrt_plot_log(tnrt_message *message, const tnrt_alloc *alloc, const char *path, int fd, const char *png);

#endif
