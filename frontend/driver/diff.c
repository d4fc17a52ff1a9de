/* tenon diff: the compiled program beside a reference, value by value. The graph's values become outputs, so each is
 * computed by code and kept; the program is made as a library and run here. What that does not see is fusion over these
 * values, which --check-each looks after. The reference: ir/eval.c, or values that another program has recorded as
 * NAME.npy. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frontend/driver/driver.h"
#include "frontend/driver/loaded.h"
#include "ir/build.h"

/* Other orders of sums may be this much further off than the reference's own. */
#define MAGNIFIED 16

typedef struct difference {
  double by;    /* of the largest expected value; INFINITY: other types, extents, or one is NaN */
  int64_t at;   /* the worst element */
  bool is_shape;
} difference;

typedef struct diff {
  tn_driver *driver;
  TN_VEC(tn_value *) values; /* that are compared, in the order they are computed */
  TN_VEC(tn_loc) places;
  TN_VEC(const tn_type *) types;
  TN_VEC(const char *) names;
  uint32_t n_inputs;
  tn_tensor **inputs;
  tn_tensor **expected; /* one a value; NULL: nothing recorded */
  tn_tensor **wide;     /* the same without rounding, or NULL: how much a model magnifies rounding */
  size_t n_compared, n_different;
  double most_right; /* the largest difference that was allowed */
  size_t least_sure; /* the value that has it */
} diff;

/* --- What is compared --- */

static bool is_visible(const tn_value *value) {
  if (value->type->dtype == TN_STR) return false;
  for (uint32_t i = 0; i < value->type->ndim; i++)
    if (tn_dim_uses_kind(value->type->dims[i], TN_SYM_READ) || tn_dim_uses_kind(value->type->dims[i], TN_SYM_COUNT) ||
        tn_dim_uses_kind(value->type->dims[i], TN_SYM_JOIN))
      return false; /* an extent that is found while running */
  return true;
}

/* The user's values; of a model without names, those that are computed, not moved. */
static void gather_values(diff *d, const tn_func *entry) {
  tn_arena *arena = d->driver->ctx->arena;
  bool has_names = false;
  for (const tn_node *node = entry->body->first; node != entry->body->last; node = node->next)
    for (uint32_t i = 0; i < node->n_results; i++)
      has_names = has_names || (node->results[i]->name[0] && strcmp(node->op->name, "const") != 0);
  for (const tn_node *node = entry->body->first; node != entry->body->last; node = node->next) {
    bool is_computed = !(node->op->traits & TN_TRAIT_SHAPE_ONLY);
    if (strcmp(node->op->name, "const") == 0) continue;
    for (uint32_t i = 0; i < node->n_results; i++) {
      tn_value *value = node->results[i];
      if (!is_visible(value) || !(has_names ? value->name[0] != 0 : is_computed)) continue;
      TN_VEC_PUSH(arena, &d->values, value);
      TN_VEC_PUSH(arena, &d->places, node->loc);
      TN_VEC_PUSH(arena, &d->types, value->type);
      TN_VEC_PUSH(arena, &d->names, value->name[0] ? value->name : node->op->name);
    }
  }
}

/* The entry returns these and nothing else. */
static void return_values(diff *d, tn_func *entry) {
  tn_node_remove(entry->body->last);
  tn_build build = tn_build_at_end(entry->body);
  tn_build_return(&build, d->values.data, (uint32_t)d->values.n);
  entry->result_names.n = 0;
  for (size_t i = 0; i < d->values.n; i++)
    TN_VEC_PUSH(entry->module->arena, &entry->result_names, tn_namef(d->driver->ctx, "v%zu", i));
}

/* --- Inputs and the reference --- */

static const char *recorded_path(const diff *d, const char *name) {
  return tn_namef(d->driver->ctx, "%s/%s", d->driver->options.recorded, tn_driver_file_name(d->driver, name));
}

static bool read_inputs(diff *d) {
  tn_driver *driver = d->driver;
  const tn_block *body = driver->entry->body;
  size_t n_given = driver->options.eval_inputs.n;
  if (driver->options.recorded)
    for (size_t i = 0; i < body->params.n; i++) {
      const char *path = recorded_path(d, body->params.data[i]->name);
      if (n_given > 0) break; /* --input says what else */
      const char *word = tn_namef(driver->ctx, "%zu=%s", i, path);
      TN_VEC_PUSH(driver->ctx->arena, &driver->options.eval_inputs, word);
    }
  if (driver->options.eval_inputs.n > 0) return tn_driver_load_inputs(driver, d->inputs);
  if (tn_check_inputs(driver->entry, driver->ctx->arena, d->inputs)) return true;
  return tn_error(driver->ctx, TN_LOC_NONE, TN_E_OPTION,
                  "no sizes were found that the model allows and that fit the reference: give --input NAME=FILE.npy");
}

static bool read_recorded(diff *d) {
  size_t n = 0;
  bool ok = true;
  for (size_t i = 0; i < d->values.n; i++) {
    const char *path = recorded_path(d, d->names.data[i]);
    if (!d->values.data[i]->name[0] || access(path, F_OK) != 0) continue;
    const char *who = tn_namef(d->driver->ctx, "value '%s'", d->names.data[i]);
    ok = tn_driver_read_tensor(d->driver, path, who, d->types.data[i]->dtype, &d->expected[i]) && ok;
    n++;
  }
  return ok && (n > 0 || tn_error(d->driver->ctx, TN_LOC_NONE, TN_E_FILE,
                                  "--recorded: '%s' holds NAME.npy of none of the model's values",
                                  d->driver->options.recorded));
}

static bool make_expected(diff *d) {
  tn_driver *driver = d->driver;
  d->expected = TN_NEW_N(driver->ctx->arena, tn_tensor *, d->values.n);
  if (driver->options.recorded) return read_recorded(d);
  tn_progress_tell(driver->ctx, "evaluating", 0, 0);
  d->wide = TN_NEW_N(driver->ctx->arena, tn_tensor *, d->values.n);
  return tn_eval_func(driver->ctx, driver->ctx->arena, driver->entry, TN_EVAL_EXACT,
                      (const tn_tensor *const *)d->inputs, d->n_inputs, d->expected) &&
         tn_eval_func(driver->ctx, driver->ctx->arena, driver->entry, TN_EVAL_WIDE,
                      (const tn_tensor *const *)d->inputs, d->n_inputs, d->wide);
}

/* --- The program --- */

static bool make_library(tn_driver *driver, const char *path) {
  tn_driver_options *o = &driver->options;
  o->make = TN_MAKE_SHARED;
  o->output = path;
  o->header = "/dev/null";
  o->prefix = "diff";
  o->constants = CONSTANTS_EMBEDDED;
  return tn_driver_compile(driver) && tn_driver_emit(driver);
}

static tn_loaded_array array_of(tn_arena *arena, const tn_tensor *tensor) {
  size_t bytes;
  tn_loaded_array array = {.data = tn_tensor_to_bytes(arena, tensor, &bytes), .ndim = tensor->ndim};
  for (uint32_t i = 0; i < tensor->ndim; i++) array.extents[i] = tensor->extents[i];
  return array;
}

static bool run_library(diff *d, const char *path, tn_tensor **out) {
  tn_arena *arena = d->driver->ctx->arena;
  tn_loaded loaded;
  tn_loaded_array *in = TN_NEW_N(arena, tn_loaded_array, d->n_inputs);
  tn_loaded_array *results = TN_NEW_N(arena, tn_loaded_array, d->values.n);
  for (uint32_t i = 0; i < d->n_inputs; i++) in[i] = array_of(arena, d->inputs[i]);
  bool ok = tn_loaded_open(&loaded, path, "diff_model");
  if (ok) ok = tn_loaded_run(&loaded, tn_arena_alloc(arena, tn_loaded_room_bytes(&loaded)), in, results);
  for (size_t i = 0; i < d->values.n && ok; i++)
    out[i] = tn_tensor_from_bytes(arena, d->types.data[i]->dtype, results[i].ndim, results[i].extents, results[i].data);
  if (!ok) tn_error(d->driver->ctx, TN_LOC_NONE, TN_E_DIFF, "the program cannot run: %s", loaded.message);
  tn_loaded_close(&loaded);
  return ok;
}

/* --- Comparison --- */

static double number_of(const tn_tensor *t, int64_t i) {
  if (tn_dtype_is_float(t->dtype)) return t->data[i].f;
  return tn_dtype_is_signed(t->dtype) || t->dtype == TN_BOOL ? (double)t->data[i].i : (double)t->data[i].u;
}

static difference compare(const tn_tensor *found, const tn_tensor *expected) {
  difference out = {.by = 0, .at = 0};
  double largest = 0, most = 0;
  out.is_shape = found->ndim != expected->ndim || found->count != expected->count;
  for (uint32_t i = 0; i < found->ndim && !out.is_shape; i++) out.is_shape = found->extents[i] != expected->extents[i];
  if (out.is_shape) return (difference){.by = INFINITY, .is_shape = true};
  bool is_float = tn_dtype_is_float(found->dtype);
  for (int64_t i = 0; i < found->count; i++) {
    double x = number_of(found, i), y = number_of(expected, i), by = fabs(x - y);
    if (isfinite(y)) largest = fmax(largest, fabs(y));
    if (x == y || (isnan(x) && isnan(y))) continue;
    if (!is_float || !isfinite(x) || !isfinite(y)) by = INFINITY;
    if (by > most) most = by, out.at = i;
  }
  out.by = most == 0 ? 0 : largest > 0 ? most / largest : INFINITY;
  return out;
}

/* What rounding in the course of a model may come to, more where the reference itself differs much from the same
 * without rounding; integers and truth values are equal or wrong. */
static double allowed(const diff *d, size_t i) {
  tn_dtype dtype = d->types.data[i]->dtype;
  if (!tn_dtype_is_float(dtype)) return 0;
  double by_type = dtype == TN_F64    ? 1e-9
                   : dtype == TN_F32  ? 1e-4
                   : dtype == TN_F16  ? 1e-2
                   : dtype == TN_BF16 ? 5e-2
                                      : 0.25;
  if (d->driver->options.tolerance > 0) by_type = d->driver->options.tolerance;
  double own = d->wide ? compare(d->wide[i], d->expected[i]).by : 0;
  return isfinite(own) ? fmax(by_type, MAGNIFIED * own) : by_type;
}

static void put_index(tn_buf *out, const tn_tensor *tensor, int64_t at) {
  int64_t index[TN_MAX_NDIM];
  tn_tensor_unravel(tensor, at, index);
  tn_buf_putc(out, '[');
  for (uint32_t i = 0; i < tensor->ndim; i++) tn_buf_printf(out, "%s%lld", i ? "," : "", (long long)index[i]);
  tn_buf_putc(out, ']');
}

/* The first value that differs is the error; the others are counted. */
static void report(diff *d, size_t i, const tn_tensor *found, difference by) {
  tn_ctx *ctx = d->driver->ctx;
  tn_buf type = tn_buf_create(ctx->arena), place = tn_buf_create(ctx->arena);
  tn_type_print(d->types.data[i], &type);
  if (by.is_shape) {
    tn_error(ctx, d->places.data[i], TN_E_DIFF, "value '%s' %s has other extents than the reference",
             d->names.data[i], type.data);
    return;
  }
  put_index(&place, found, by.at);
  tn_error(ctx, d->places.data[i], TN_E_DIFF,
           "value '%s' %s differs from the reference by %.3g of its largest element: %s is %.9g, expected %.9g",
           d->names.data[i], type.data, by.by, place.data, number_of(found, by.at), number_of(d->expected[i], by.at));
}

static bool compare_all(diff *d, tn_tensor *const *found) {
  for (size_t i = 0; i < d->values.n; i++) {
    if (!d->expected[i]) continue;
    difference by = compare(found[i], d->expected[i]);
    d->n_compared++;
    if (by.by <= allowed(d, i)) {
      if (by.by > d->most_right) d->least_sure = i;
      d->most_right = fmax(d->most_right, by.by);
    } else if (d->n_different++ == 0) {
      report(d, i, found[i], by);
    }
  }
  printf("%zu values compared, %zu differ; the largest difference of the others is %.3g of the value's largest element",
         d->n_compared, d->n_different, d->most_right);
  if (d->most_right > 0)
    printf(" ('%s', where rounding alone may come to %.3g)", d->names.data[d->least_sure], allowed(d, d->least_sure));
  printf("\n");
  return d->n_different == 0;
}

bool tn_driver_diff(tn_driver *driver, tn_input *input) {
  diff d = {.driver = driver};
  const char *folder = getenv("TMPDIR");
  if (!folder || !folder[0]) folder = "/tmp";
  if (!tn_driver_load(driver, input)) return false;
  d.n_inputs = (uint32_t)driver->entry->body->params.n;
  d.inputs = TN_NEW_N(driver->ctx->arena, tn_tensor *, d.n_inputs);
  gather_values(&d, driver->entry);
  if (d.values.n == 0)
    return tn_error(driver->ctx, TN_LOC_NONE, TN_E_DIFF, "'%s' computes nothing that can be compared", input->path);
  return_values(&d, driver->entry);
  if (!read_inputs(&d) || !make_expected(&d)) return false;
  const char *path = tn_namef(driver->ctx, "%s/tenon-diff-%ld.so", folder, (long)getpid());
  tn_tensor **found = TN_NEW_N(driver->ctx->arena, tn_tensor *, d.values.n);
  bool ok = make_library(driver, path) && run_library(&d, path, found);
  unlink(path);
  return ok && compare_all(&d, found);
}
