/* Packed constants: the panel format (nest.h) and the making of its bytes. The layout is that of BLIS-like libraries:
 * the vector axis innermost in panels as wide as the register tile, the contraction's axes in the order of the loops.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "backends/cpu/nest.h"

const char *tn_panel_format(tn_arena *arena, const tn_panel *panel) {
  tn_buf text = tn_buf_create(arena);
  tn_buf_printf(&text, "panel%" PRId64 ":", panel->width);
  for (uint32_t i = 0; i < panel->n_runs; i++)
    tn_buf_printf(&text, "%s%" PRId64 "%c%" PRId64, i ? "," : "", panel->runs[i].count,
                  i == panel->vector_run ? 'v' : 'x', panel->runs[i].stride);
  return text.data;
}

bool tn_panel_parse(const char *text, tn_panel *out) {
  memset(out, 0, sizeof(*out));
  if (strncmp(text, "panel", 5) != 0) return false;
  char *end;
  out->width = strtoll(text + 5, &end, 10);
  out->vector_run = UINT32_MAX;
  for (char separator = ':'; *end == separator; separator = ',') {
    if (out->n_runs == TN_PANEL_MAX_RUNS) return false;
    out->runs[out->n_runs].count = strtoll(end + 1, &end, 10);
    if (*end != 'v' && *end != 'x') return false;
    if (*end == 'v') out->vector_run = out->n_runs;
    out->runs[out->n_runs++].stride = strtoll(end + 1, &end, 10);
  }
  return *end == 0 && out->width > 0 && out->vector_run < out->n_runs;
}

static int64_t panels_of(const tn_panel *panel) {
  return (panel->runs[panel->vector_run].count + panel->width - 1) / panel->width;
}

int64_t tn_panel_elements(const tn_panel *panel) {
  int64_t n = panel->width;
  for (uint32_t i = 0; i < panel->n_runs; i++) {
    int64_t count = i == panel->vector_run ? panels_of(panel) : panel->runs[i].count;
    if (!tn_mul_i64(n, count, &n)) return -1;
  }
  return n;
}

uint64_t tn_cpu_packed_bytes(const tn_target *target, const tn_buffer *buffer) {
  (void)target;
  tn_panel panel;
  if (!buffer->format || !tn_panel_parse(buffer->format, &panel)) return tn_const_bytes(buffer->constant);
  return (uint64_t)tn_panel_elements(&panel) * tn_dtype_bytes(buffer->type->dtype);
}

typedef struct packer {
  const tn_panel *panel;
  const uint8_t *source;
  size_t element_bytes;
  uint8_t *out; /* a piece of the result, flushed when full */
  size_t n, capacity;
  tn_sink sink;
} packer;

static bool flush(packer *p) {
  bool ok = p->n == 0 || p->sink.write(p->sink.user, p->out, p->n);
  p->n = 0;
  return ok;
}

static bool put_vector(packer *p, int64_t base, int64_t valid) {
  int64_t stride = p->panel->runs[p->panel->vector_run].stride;
  size_t bytes = (size_t)p->panel->width * p->element_bytes;
  if (p->n + bytes > p->capacity && !flush(p)) return false;
  uint8_t *out = p->out + p->n;
  memset(out, 0, bytes);
  for (int64_t i = 0; i < p->panel->width && i < valid; i++)
    memcpy(out + (size_t)i * p->element_bytes, p->source + (size_t)(base + i * stride) * p->element_bytes,
           p->element_bytes);
  p->n += bytes;
  return true;
}

/* Runs `level` and inner ones at base; valid: elements of the v run from this panel on. */
static bool put_runs(packer *p, uint32_t level, int64_t base, int64_t valid) {
  const tn_panel *panel = p->panel;
  if (level == panel->n_runs) return put_vector(p, base, valid);
  int64_t count = panel->runs[level].count, stride = panel->runs[level].stride;
  bool is_vector = level == panel->vector_run;
  int64_t step = is_vector ? panel->width : 1;
  for (int64_t i = 0; i < count; i += step)
    if (!put_runs(p, level + 1, base + i * stride, is_vector ? count - i : valid)) return false;
  return true;
}

bool tn_cpu_pack(const tn_target *target, const tn_buffer *buffer, tn_arena *scratch, tn_sink sink) {
  (void)target;
  const void *source = tn_const_read(buffer->constant, scratch);
  tn_panel panel;
  if (!buffer->format || !tn_panel_parse(buffer->format, &panel))
    return sink.write(sink.user, source, tn_const_bytes(buffer->constant));
  packer p = {.panel = &panel, .source = source, .element_bytes = tn_dtype_bytes(buffer->type->dtype), .sink = sink};
  size_t vector_bytes = (size_t)panel.width * p.element_bytes;
  p.capacity = vector_bytes > 65536 ? vector_bytes : 65536;
  p.out = tn_arena_alloc(scratch, p.capacity);
  return put_runs(&p, 0, 0, panel.width) && flush(&p);
}
