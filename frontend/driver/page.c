/* --report=FILE: one page of HTML about a compile: what the passes did, the steps, the arena over time, the largest
 * tensors. It needs nothing from elsewhere and follows the reader's light or dark scheme. Sizes that the model leaves
 * open are taken at their lower bound, or 1. */
#include <stdlib.h>
#include <string.h>

#include "frontend/driver/driver.h"

enum { N_LARGEST = 20, PLAN_WIDTH = 1000, PLAN_HEIGHT = 320 };

static const char style[] =
    ":root{color-scheme:light dark;--page:#fff;--ink:#1d2433;--faint:#667085;--line:#e3e7ee;--bar:#3f7fd8;"
    "--box:#7fb2f0}"
    "@media(prefers-color-scheme:dark){:root{--page:#12161f;--ink:#e6e9f0;--faint:#98a2b5;--line:#2a3140;--bar:#5b9bf0;"
    "--box:#2f5f9e}}"
    "body{background:var(--page);color:var(--ink);font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;"
    "padding:0 1rem}h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2.5rem}"
    "table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.2rem .7rem .2rem 0;border-bottom:1px "
    "solid var(--line);vertical-align:top;overflow-wrap:anywhere}th{color:var(--faint);font-weight:500}"
    "td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}"
    ".bar{background:var(--bar);height:.6rem;min-width:1px;border-radius:2px}td.b{width:20%;vertical-align:middle}"
    "dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1.5rem}dt{color:var(--faint)}dd{margin:0}"
    "svg{width:100%;height:auto;background:var(--page);border:1px solid var(--line)}"
    "svg rect{fill:var(--box);stroke:var(--page);stroke-width:.5}p{color:var(--faint)}";

static void put_text(tn_buf *out, const char *text) {
  for (; *text; text++) {
    if (*text == '&') tn_buf_puts(out, "&amp;");
    else if (*text == '<') tn_buf_puts(out, "&lt;");
    else if (*text == '"') tn_buf_puts(out, "&quot;");
    else tn_buf_putc(out, *text);
  }
}

static bool least_size(const void *user, const tn_symbol *symbol, int64_t *out) {
  (void)user;
  *out = symbol->lo < 1 && symbol->hi >= 1 ? 1 : symbol->lo;
  return true;
}

/* At the sizes of the page; 0 for what is not known. */
static double size_of(const tn_dim *dim) {
  int64_t value;
  return dim && tn_dim_evaluate(dim, least_size, NULL, &value) ? (double)value : 0;
}

static void put_bytes(tn_buf *out, double bytes) {
  static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  size_t unit = 0;
  for (; bytes >= 1024 && unit + 1 < TN_ARRAY_LEN(units); unit++) bytes /= 1024;
  tn_buf_printf(out, unit ? "%.1f %s" : "%.0f %s", bytes, units[unit]);
}

static void put_type(tn_buf *out, const tn_type *type) {
  tn_buf text = tn_buf_create(out->arena);
  tn_type_print(type, &text);
  put_text(out, text.data);
}

static void put_bar(tn_buf *out, double part) {
  tn_buf_printf(out, "<td class=b><div class=bar style=\"width:%.1f%%\"></div></td>", part * 100);
}

/* ---- the sections ---- */

static void put_ports(tn_buf *out, const char *title, tn_program *program, tn_buffer_kind kind) {
  tn_buf_printf(out, "<dt>%s</dt><dd>", title);
  const char *between = "";
  for (size_t i = 0; i < program->buffers.n; i++) {
    const tn_buffer *buffer = program->buffers.data[i];
    if (buffer->kind != kind) continue;
    tn_buf_puts(out, between);
    put_text(out, buffer->name);
    tn_buf_puts(out, " ");
    put_type(out, buffer->type);
    between = "<br>";
  }
  tn_buf_puts(out, "</dd>");
}

static void put_sizes(tn_buf *out, const tn_program *program) {
  if (program->bindings.n == 0) return;
  tn_buf_puts(out, "<dt>sizes on this page</dt><dd>");
  for (size_t i = 0; i < program->bindings.n; i++) {
    const tn_symbol *symbol = program->bindings.data[i].symbol;
    int64_t size;
    least_size(NULL, symbol, &size);
    tn_buf_puts(out, i ? ", " : "");
    put_text(out, symbol->name);
    tn_buf_printf(out, " = %lld", (long long)size);
  }
  tn_buf_puts(out, "</dd>");
}

static double flops_of(const tn_step *step) {
  return step->kind == TN_STEP_KERNEL ? size_of(tn_kernel_flops(step->kernel)) : 0;
}

/* Of all steps, as often as they run. */
static double flops_of_all(const tn_steps *steps) {
  double flops = 0;
  for (size_t i = 0; i < steps->n; i++) {
    const tn_step *step = steps->data[i];
    double times = step->kind == TN_STEP_LOOP ? size_of(step->symbol->extent) : 1;
    flops += flops_of(step) + times * flops_of_all(&step->body) + flops_of_all(&step->otherwise);
  }
  return flops;
}

static void put_summary(tn_driver *driver, tn_buf *out) {
  tn_program *program = driver->program;
  double flops = flops_of_all(&program->steps);
  tn_buf_puts(out, "<dl><dt>target</dt><dd>");
  put_text(out, driver->machine.triple);
  tn_buf_puts(out, " ");
  put_text(out, driver->machine.cpu_resolved);
  tn_buf_puts(out, "</dd>");
  put_ports(out, "inputs", program, TN_BUFFER_INPUT);
  put_ports(out, "outputs", program, TN_BUFFER_OUTPUT);
  put_sizes(out, program);
  tn_buf_printf(out, "<dt>steps</dt><dd>%zu</dd><dt>operations</dt><dd>%.4g M</dd><dt>weights</dt><dd>",
                tn_program_all_steps(program, out->arena).n, flops / 1e6);
  put_bytes(out, (double)program->weights_bytes);
  tn_buf_puts(out, "</dd><dt>working memory</dt><dd>");
  put_bytes(out, size_of(program->arena_bytes));
  tn_buf_puts(out, " (no plan needs less than ");
  put_bytes(out, size_of(program->arena_lower_bound));
  tn_buf_puts(out, ")</dd></dl>\n");
}

static void put_passes(tn_driver *driver, tn_buf *out) {
  double most = 1e-9;
  for (size_t i = 0; i < driver->passes.n; i++)
    if (driver->passes.data[i].ms > most) most = driver->passes.data[i].ms;
  tn_buf_puts(out, "<h2>Passes</h2>\n<table id=passes><tr><th>pass<th>does<th class=n>nodes after<th class=n>ms<th>\n");
  for (size_t i = 0; i < driver->passes.n; i++) {
    const tn_pass_record *record = &driver->passes.data[i];
    tn_buf_printf(out, "<tr><td>%s<td>", record->pass->name);
    put_text(out, record->pass->doc);
    tn_buf_printf(out, "<td class=n>%zu<td class=n>%.2f", record->n_nodes, record->ms);
    put_bar(out, record->ms / most);
    tn_buf_puts(out, "\n");
  }
  tn_buf_puts(out, "</table>\n");
}

/* The arena: a box a buffer, from its first step to its last and over its bytes. */
static void put_plan(const tn_program *program, tn_buf *out) {
  double height = size_of(program->arena_bytes), n_steps = (double)tn_program_all_steps(program, out->arena).n;
  tn_buf_puts(out, "<h2>Working memory over time</h2>\n");
  if (height == 0 || n_steps == 0) {
    tn_buf_puts(out, "<p>The program needs no working memory.</p>\n");
    return;
  }
  tn_buf_printf(out, "<p>Steps from left to right, addresses from bottom to top.</p>\n"
                     "<svg id=plan viewBox=\"0 0 %d %d\" role=img>\n", PLAN_WIDTH, PLAN_HEIGHT);
  for (size_t i = 0; i < program->buffers.n; i++) {
    const tn_buffer *buffer = program->buffers.data[i];
    if (buffer->kind != TN_BUFFER_ARENA) continue;
    double x = (double)buffer->live_first / n_steps * PLAN_WIDTH;
    double right = ((double)buffer->live_last + 1) / n_steps * PLAN_WIDTH;
    double h = size_of(buffer->bytes) / height * PLAN_HEIGHT;
    double y = PLAN_HEIGHT - size_of(buffer->offset) / height * PLAN_HEIGHT - h;
    tn_buf_printf(out, "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\"><title>", x, y, right - x, h);
    put_text(out, buffer->name);
    tn_buf_puts(out, " ");
    put_type(out, buffer->type);
    tn_buf_puts(out, ", ");
    put_bytes(out, size_of(buffer->bytes));
    tn_buf_printf(out, ", steps %u to %u</title></rect>\n", buffer->live_first, buffer->live_last);
  }
  tn_buf_puts(out, "</svg>\n");
}

/* Of all arguments, as if each were touched once. */
static double step_bytes(const tn_step *step) {
  double bytes = 0;
  for (size_t i = 0; i < step->args.n; i++) {
    const tn_buffer *buffer = step->args.data[i];
    double count = (double)tn_dtype_bytes(buffer->type->dtype);
    for (uint32_t k = 0; k < buffer->type->ndim; k++) count *= size_of(buffer->type->dims[k]);
    bytes += buffer->bytes ? size_of(buffer->bytes) : count;
  }
  return bytes;
}

static void put_steps(tn_driver *driver, tn_buf *out) {
  tn_steps steps = tn_program_all_steps(driver->program, out->arena);
  double most = 1;
  for (size_t i = 0; i < steps.n; i++)
    if (flops_of(steps.data[i]) > most) most = flops_of(steps.data[i]);
  tn_buf_puts(out, "<h2>Steps</h2>\n<table id=steps><tr><th class=n>#<th>kernel<th>from<th>strategy<th class=n>parts"
                   "<th class=n>bytes<th class=n>M operations<th>\n");
  for (size_t i = 0; i < steps.n; i++) {
    const tn_step *step = steps.data[i];
    tn_buf place = tn_buf_create(out->arena);
    if (step->loc != TN_LOC_NONE) tn_loc_print_name(driver->ctx, step->loc, &place);
    tn_buf_printf(out, "<tr><td class=n>%zu<td>%s<td>", i, tn_step_name(step));
    put_text(out, place.n ? place.data : "");
    tn_buf_puts(out, "<td>");
    put_text(out, step->strategy ? step->strategy : "");
    tn_buf_printf(out, "<td class=n>%u<td class=n>", step->parts);
    put_bytes(out, step_bytes(step));
    tn_buf_printf(out, "<td class=n>%.3f", flops_of(step) / 1e6);
    put_bar(out, flops_of(step) / most);
    tn_buf_puts(out, "\n");
  }
  tn_buf_puts(out, "</table>\n");
}

typedef struct sized {
  const tn_buffer *buffer;
  double bytes;
} sized;

static int by_size(const void *a, const void *b) {
  const sized *x = a, *y = b;
  if (x->bytes != y->bytes) return x->bytes > y->bytes ? -1 : 1;
  return x->buffer->id < y->buffer->id ? -1 : x->buffer->id > y->buffer->id;
}

static void put_largest(const tn_program *program, tn_buf *out) {
  sized *all = TN_NEW_N(out->arena, sized, program->buffers.n);
  size_t n = 0;
  for (size_t i = 0; i < program->buffers.n; i++)
    if (program->buffers.data[i]->bytes)
      all[n++] = (sized){program->buffers.data[i], size_of(program->buffers.data[i]->bytes)};
  if (n > 0) qsort(all, n, sizeof(*all), by_size);
  tn_buf_puts(out, "<h2>Largest tensors</h2>\n<table id=tensors><tr><th>name<th>type<th>lies "
                   "in<th class=n>bytes<th>\n");
  for (size_t i = 0; i < n && i < N_LARGEST; i++) {
    tn_buf_puts(out, "<tr><td>");
    put_text(out, all[i].buffer->name);
    tn_buf_puts(out, "<td>");
    put_type(out, all[i].buffer->type);
    tn_buf_printf(out, "<td>%s<td class=n>", all[i].buffer->kind == TN_BUFFER_CONST ? "weights" : "working memory");
    put_bytes(out, all[i].bytes);
    put_bar(out, all[0].bytes > 0 ? all[i].bytes / all[0].bytes : 0);
    tn_buf_puts(out, "\n");
  }
  tn_buf_puts(out, "</table>\n");
}

bool tn_driver_write_page(tn_driver *driver) {
  if (!driver->options.report || driver->options.commands) return true;
  if (!driver->program)
    return tn_error(driver->ctx, TN_LOC_NONE, TN_E_OPTION, "--report: there is no program yet: passes were left out");
  tn_arena *scratch = tn_arena_create_scratch(driver->ctx->arena);
  tn_buf out = tn_buf_create(scratch);
  tn_buf_puts(&out, "<!doctype html>\n<html lang=en><meta charset=utf-8>"
                    "<meta name=viewport content=\"width=device-width\">\n<title>");
  put_text(&out, tn_driver_stem(driver, driver->input->path));
  tn_buf_printf(&out, "</title>\n<style>%s</style>\n<h1>", style);
  put_text(&out, tn_driver_stem(driver, driver->input->path));
  tn_buf_puts(&out, "</h1>\n<p>Compiled by " TENON_PRODUCER "</p>\n");
  put_summary(driver, &out);
  put_plan(driver->program, &out);
  put_steps(driver, &out);
  put_largest(driver->program, &out);
  put_passes(driver, &out);
  tn_buf_puts(&out, "</html>\n");
  bool ok = tn_driver_write_text(driver, driver->options.report, &out);
  tn_arena_destroy(scratch);
  return ok;
}
