/* tenon inspect: what a model holds and what of it cannot be compiled. An ONNX file is counted before it is imported,
 * so operators that are missing are told with all others; the import, and the passes up to kernels, say the rest. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/driver/report.h"

typedef struct row {
  const char *name;   /* with the domain of an ONNX operator, when it has one */
  const char *op;     /* without */
  const char *reason; /* NULL: nothing is wrong with it */
  int64_t version;           /* of ONNX operators, else 0 */
  size_t count;
  tn_loc first;
} row;

typedef struct port {
  const char *name, *type;
} port;

typedef struct summary {
  tn_driver *driver;
  const char *format;
  tn_onnx_summary onnx; /* of ONNX files */
  TN_VEC(row) rows;
  tn_map by_loc; /* place of a node -> position of its row + 1, of what is no ONNX file */
  TN_VEC(port) inputs, outputs;
  size_t n_nodes, n_unsupported, n_weights;
  uint64_t weights_bytes;
  const char *other; /* what stands in the way and belongs to no operator, or NULL */
} summary;

static const char *type_text(tn_ctx *ctx, const tn_type *type) {
  tn_buf out = tn_buf_create(ctx->arena);
  tn_type_print(type, &out);
  return out.data;
}

static row *find_row(const summary *s, const char *op) {
  for (size_t i = 0; i < s->rows.n; i++)
    if (strcmp(s->rows.data[i].op, op) == 0) return &s->rows.data[i];
  return NULL;
}

/* The operator that an error is about; NULL: none. */
static row *row_of(const summary *s, tn_loc loc) {
  const tn_loc_info *where = tn_report_place(s->driver, loc);
  uintptr_t at = (uintptr_t)tn_map_get_u64(&s->by_loc, loc);
  if (where->kind == TN_LOC_KIND_ONNX) return where->node_op[0] ? find_row(s, where->node_op) : NULL;
  return at ? &s->rows.data[at - 1] : NULL;
}

static void count_block(summary *s, const tn_block *block) {
  for (const tn_node *node = block->first; node; node = node->next) {
    for (uint32_t i = 0; i < node->n_regions; i++) count_block(s, node->regions[i]);
    if (node->op->kind == TN_OP_TERMINATOR || strcmp(node->op->name, "const") == 0) continue;
    row *known = find_row(s, node->op->name);
    if (!known) {
      row fresh = {.name = node->op->name, .op = node->op->name, .first = node->loc};
      TN_VEC_PUSH(s->driver->ctx->arena, &s->rows, fresh);
      known = &s->rows.data[s->rows.n - 1];
    }
    tn_map_set_u64(&s->by_loc, node->loc, (void *)(uintptr_t)(known - s->rows.data + 1));
    known->count++;
    s->n_nodes++;
  }
}

/* The module's own view: ports with inferred types; for what is no ONNX file also operators and weights. */
static void read_module(summary *s) {
  const tn_driver *driver = s->driver;
  const tn_func *entry = driver->entry;
  s->inputs.n = s->outputs.n = 0;
  for (size_t i = 0; i < entry->body->params.n; i++) {
    const tn_value *value = entry->body->params.data[i];
    port p = {value->name, type_text(driver->ctx, value->type)};
    TN_VEC_PUSH(driver->ctx->arena, &s->inputs, p);
  }
  for (uint32_t i = 0; i < entry->body->last->n_operands; i++) {
    const char *name = i < entry->result_names.n ? entry->result_names.data[i] : "";
    port p = {name, type_text(driver->ctx, entry->body->last->operands[i].value->type)};
    TN_VEC_PUSH(driver->ctx->arena, &s->outputs, p);
  }
  if (driver->input->language == LANGUAGE_ONNX) return;
  for (size_t i = 0; i < driver->module->consts.n; i++) {
    s->n_weights++;
    s->weights_bytes += tn_const_bytes(driver->module->consts.data[i]);
  }
  count_block(s, entry->body);
}

/* The errors recorded from `first` on become reasons of their operators, and are errors no more. */
static void take_errors(summary *s, size_t first, size_t n_errors) {
  tn_ctx *ctx = s->driver->ctx;
  for (size_t i = first; i < ctx->diags.n; i++) {
    const tn_diag *diag = &ctx->diags.data[i];
    if (diag->severity != TN_ERROR) continue;
    row *of = row_of(s, diag->loc);
    if (of && !of->reason) {
      of->reason = diag->text;
      of->first = diag->loc;
    } else if (!of && !s->other) {
      s->other = diag->text;
    }
  }
  ctx->diags.n = first;
  ctx->n_errors = n_errors;
}

static void read_onnx(summary *s) {
  tn_ctx *ctx = s->driver->ctx;
  for (size_t i = 0; i < s->onnx.ops.n; i++) {
    const tn_onnx_op_count *op = s->onnx.ops.data[i];
    row fresh = {.op = op->name, .name = op->domain[0] ? tn_namef(ctx, "%s.%s", op->domain, op->name) : op->name,
                 .version = op->version, .count = op->count, .first = op->first};
    if (!op->is_known) fresh.reason = op->version < 0 ? "its operator set has no version" : "no such operator";
    TN_VEC_PUSH(ctx->arena, &s->rows, fresh);
  }
  for (size_t i = 0; i < s->onnx.inputs.n; i++) {
    port p = {s->onnx.inputs.data[i].name, s->onnx.inputs.data[i].type};
    TN_VEC_PUSH(ctx->arena, &s->inputs, p);
  }
  for (size_t i = 0; i < s->onnx.outputs.n; i++) {
    port p = {s->onnx.outputs.data[i].name, s->onnx.outputs.data[i].type};
    TN_VEC_PUSH(ctx->arena, &s->outputs, p);
  }
  s->n_nodes = s->onnx.n_nodes;
  s->n_weights = s->onnx.n_weights;
  s->weights_bytes = s->onnx.weights_bytes;
}

/* Unsupported first, then the most frequent. */
static int compare_rows(const void *a, const void *b) {
  const row *x = a, *y = b;
  if (!x->reason != !y->reason) return x->reason ? -1 : 1;
  if (x->count != y->count) return x->count > y->count ? -1 : 1;
  return strcmp(x->name, y->name);
}

/* --- Text --- */

static void put_ports(tn_buf *out, const char *title, const port *ports, size_t n) {
  for (size_t i = 0; i < n; i++)
    tn_buf_printf(out, "%-9s %s %s\n", i == 0 ? title : "", ports[i].name, ports[i].type);
}

static void put_place(const summary *s, const row *r, tn_buf *out) {
  const tn_loc_info *where = tn_report_place(s->driver, r->first);
  tn_buf_puts(out, "; first: ");
  if (where->kind != TN_LOC_KIND_ONNX) {
    tn_loc_print_name(s->driver->ctx, r->first, out);
    return;
  }
  tn_buf_printf(out, "node %" PRId64, where->node_index);
  if (where->node_name[0]) tn_buf_printf(out, " '%s'", where->node_name);
  if (where->node_scope[0]) tn_buf_printf(out, " in '%s'", where->node_scope);
}

static void put_text(const summary *s, tn_buf *out) {
  tn_buf_printf(out, "%s: %s", s->driver->input->path, s->format);
  if (s->onnx.ir_version) tn_buf_printf(out, ", IR version %" PRId64, s->onnx.ir_version);
  for (size_t i = 0; i < s->onnx.opsets.n; i++)
    tn_buf_printf(out, ", %s%sopset %" PRId64, s->onnx.opsets.data[i].domain,
                  s->onnx.opsets.data[i].domain[0] ? " " : "", s->onnx.opsets.data[i].version);
  if (s->onnx.producer && s->onnx.producer[0])
    tn_buf_printf(out, ", by %s%s%s", s->onnx.producer, s->onnx.producer_version[0] ? " " : "",
                  s->onnx.producer_version);
  tn_buf_putc(out, '\n');
  put_ports(out, "inputs", s->inputs.data, s->inputs.n);
  put_ports(out, "outputs", s->outputs.data, s->outputs.n);
  tn_buf_printf(out, "%-9s %zu tensor%s, %" PRIu64 " bytes\n", "weights", s->n_weights, s->n_weights == 1 ? "" : "s",
                s->weights_bytes);
  tn_buf_printf(out, "%-9s %zu, %zu operator%s, %zu not supported\n", "nodes", s->n_nodes, s->rows.n,
                s->rows.n == 1 ? "" : "s", s->n_unsupported);
  for (size_t i = 0; i < s->rows.n; i++) {
    const row *r = &s->rows.data[i];
    tn_buf_printf(out, "%9zu %s", r->count, r->name);
    if (r->reason) {
      tn_buf_printf(out, ": NOT SUPPORTED: %s", r->reason);
      put_place(s, r, out);
    }
    tn_buf_putc(out, '\n');
  }
  if (s->other) tn_buf_printf(out, "besides: %s\n", s->other);
}

/* --- JSON --- */

static void put_field(tn_buf *out, const char *name, const char *value) {
  tn_buf_printf(out, "\"%s\": ", name);
  tn_json_put_string(out, value);
}

static void put_json_ports(tn_buf *out, const char *title, const port *ports, size_t n) {
  tn_buf_printf(out, ", \"%s\": [", title);
  for (size_t i = 0; i < n; i++) {
    tn_buf_puts(out, i > 0 ? ", {" : "{");
    put_field(out, "name", ports[i].name);
    tn_buf_puts(out, ", ");
    put_field(out, "type", ports[i].type);
    tn_buf_putc(out, '}');
  }
  tn_buf_putc(out, ']');
}

static void put_json_rows(const summary *s, tn_buf *out) {
  tn_buf_puts(out, ", \"operators\": [");
  for (size_t i = 0; i < s->rows.n; i++) {
    const row *r = &s->rows.data[i];
    const tn_loc_info *where = tn_report_place(s->driver, r->first);
    tn_buf_puts(out, i > 0 ? ", {" : "{");
    put_field(out, "name", r->name);
    if (r->version) tn_buf_printf(out, ", \"version\": %" PRId64, r->version);
    tn_buf_printf(out, ", \"count\": %zu, \"supported\": %s", r->count, r->reason ? "false" : "true");
    if (r->reason) {
      tn_buf_puts(out, ", ");
      put_field(out, "reason", r->reason);
      if (where->kind == TN_LOC_KIND_ONNX) {
        tn_buf_printf(out, ", \"node\": %" PRId64 ", ", where->node_index);
        put_field(out, "node_name", where->node_name);
      }
    }
    tn_buf_putc(out, '}');
  }
  tn_buf_putc(out, ']');
}

static void put_json(const summary *s, tn_buf *out) {
  tn_buf_putc(out, '{');
  put_field(out, "file", s->driver->input->path);
  tn_buf_puts(out, ", ");
  put_field(out, "format", s->format);
  if (s->onnx.ir_version) {
    tn_buf_printf(out, ", \"ir_version\": %" PRId64 ", \"opsets\": {", s->onnx.ir_version);
    for (size_t i = 0; i < s->onnx.opsets.n; i++) {
      tn_buf_puts(out, i > 0 ? ", " : "");
      tn_json_put_string(out, s->onnx.opsets.data[i].domain);
      tn_buf_printf(out, ": %" PRId64, s->onnx.opsets.data[i].version);
    }
    tn_buf_puts(out, "}, ");
    put_field(out, "producer", s->onnx.producer);
  }
  put_json_ports(out, "inputs", s->inputs.data, s->inputs.n);
  put_json_ports(out, "outputs", s->outputs.data, s->outputs.n);
  tn_buf_printf(out, ", \"weights\": {\"count\": %zu, \"bytes\": %" PRIu64 "}, \"nodes\": %zu", s->n_weights,
                s->weights_bytes, s->n_nodes);
  put_json_rows(s, out);
  if (s->other) {
    tn_buf_puts(out, ", ");
    put_field(out, "besides", s->other);
  }
  tn_buf_puts(out, "}\n");
}

/* Imports and compiles up to kernels; what that says against the model is gathered. */
static void try_compile(summary *s, tn_input *input) {
  tn_driver *driver = s->driver;
  size_t first = driver->ctx->diags.n, n_errors = driver->ctx->n_errors;
  if (tn_driver_load(driver, input)) {
    read_module(s);
    tn_driver_compile(driver);
  }
  driver->fault = false; /* nothing is made of it */
  driver->failed_pass = NULL;
  take_errors(s, first, n_errors);
}

bool tn_driver_inspect(tn_driver *driver, tn_input *input) {
  static const char *const formats[] = {[LANGUAGE_ONNX] = "ONNX", [LANGUAGE_TNIR] = "text of the IR",
                                        [LANGUAGE_TN] = "tenon's language"};
  summary s = {.driver = driver, .by_loc = tn_map_create(driver->ctx->arena)};
  driver->ctx->max_errors = SIZE_MAX; /* all of them are reasons */
  driver->options.make = TN_MAKE_TEXT;
  driver->options.levels = LEVEL_KERNELS;
  if (!tn_driver_know_language(driver, input)) return false;
  if (strcmp(input->path, "-") == 0)
    return tn_error(driver->ctx, TN_LOC_NONE, TN_E_OPTION, "inspect reads files, not standard input");
  if (input->language == LANGUAGE_TN && !driver->options.weights) driver->options.has_init = true; /* any will do */
  s.format = formats[input->language];
  if (input->language == LANGUAGE_ONNX) {
    if (!tn_onnx_inspect(driver->ctx, input->path, &s.onnx)) return false;
    read_onnx(&s);
    try_compile(&s, input);
  } else {
    size_t first, n_errors;
    if (!tn_driver_load(driver, input)) return false;
    read_module(&s);
    first = driver->ctx->diags.n;
    n_errors = driver->ctx->n_errors;
    tn_driver_compile(driver);
    take_errors(&s, first, n_errors);
  }
  for (size_t i = 0; i < s.rows.n; i++) s.n_unsupported += s.rows.data[i].reason != NULL;
  if (s.rows.n > 0) qsort(s.rows.data, s.rows.n, sizeof *s.rows.data, compare_rows);
  tn_buf out = tn_buf_create(driver->ctx->arena);
  if (driver->options.json) put_json(&s, &out);
  else put_text(&s, &out);
  return tn_driver_write_text(driver, driver->options.output ? driver->options.output : "-", &out);
}
