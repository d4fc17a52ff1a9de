/* Kernels as samples of a table, with random arguments, the reference's results and their bytes as a backend sees them;
 * for tests of backends. Include after cmocka.h. */
#ifndef TN_TESTS_SUPPORT_KERNEL_SAMPLES_H
#define TN_TESTS_SUPPORT_KERNEL_SAMPLES_H

#include <math.h>
#include <string.h>

#include "ir/eval.h"
#include "ir/kernel.h"

typedef struct sample {
  const char *name;
  const char *text;
  int64_t symbols[4];
  double tolerance; /* relative to the largest result */
} sample;

/* An argument's bytes, in its storage. */
typedef struct arg_memory {
  uint8_t *data;
  int64_t n; /* elements */
  tn_dtype dtype;
} arg_memory;

static inline uint64_t next_random(uint64_t *state) {
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  return *state >> 33;
}

static inline tn_number random_number(tn_dtype dtype, uint64_t *state) {
  uint64_t r = next_random(state);
  if (dtype == TN_F64 || dtype == TN_F32)
    return (tn_number){.f = tn_number_round_float(TN_F32, (double)(r % 4001) / 1000.0 - 2.0)};
  if (tn_dtype_is_float(dtype)) return (tn_number){.f = tn_number_round_float(dtype, (double)(r % 65) / 16.0 - 2.0)};
  if (dtype == TN_BOOL) return (tn_number){.i = (int64_t)(r & 1)};
  if (tn_dtype_is_signed(dtype)) return (tn_number){.i = (int64_t)(r % 9) - 3};
  return (tn_number){.u = r % 7};
}

typedef struct fixture {
  tn_ctx *ctx;
  tn_kernel *kernel;
  const sample *sample;
  tn_tensor *args[16], *expected[16];
  arg_memory memory[16];
} fixture;

static inline bool bind_symbol(const void *user, const tn_symbol *symbol, int64_t *out) {
  const fixture *f = user;
  for (size_t i = 0; i < f->kernel->symbols.n; i++)
    if (f->kernel->symbols.data[i] == symbol) return *out = f->sample->symbols[i], true;
  return false;
}

static inline int64_t value_of(const fixture *f, const tn_dim *dim) {
  int64_t v = -1;
  assert_true(tn_dim_evaluate(dim, bind_symbol, f, &v));
  return v;
}

/* Where each element of argument `arg` lies, through its storage. */
static inline int64_t storage_position(const fixture *f, const tn_karg *arg, const tn_tensor *tensor, int64_t flat) {
  const tn_dim *strides[TN_MAX_NDIM], *total;
  int64_t index[TN_MAX_NDIM], at = 0;
  tn_storage_strides(f->ctx, arg->type, arg->storage, strides, &total);
  tn_tensor_unravel(tensor, flat, index);
  for (uint32_t i = 0; i < tensor->ndim; i++) at += index[i] * value_of(f, strides[i]);
  return at;
}

static inline int64_t storage_total(const fixture *f, const tn_karg *arg) {
  const tn_dim *strides[TN_MAX_NDIM], *total;
  tn_storage_strides(f->ctx, arg->type, arg->storage, strides, &total);
  return value_of(f, total);
}

static inline tn_tensor *new_tensor(const fixture *f, tn_arena *arena, const tn_karg *arg) {
  int64_t extents[TN_MAX_NDIM];
  for (uint32_t i = 0; i < arg->type->ndim; i++) extents[i] = value_of(f, arg->type->dims[i]);
  return tn_tensor_create(arena, arg->type->dtype, arg->type->ndim, extents);
}

static inline void store_tensor(const fixture *f, tn_arena *arena, const tn_karg *arg, const tn_tensor *tensor,
                         arg_memory *out) {
  size_t bytes = tn_dtype_bytes(arg->type->dtype);
  *out = (arg_memory){.n = storage_total(f, arg), .dtype = arg->type->dtype};
  out->data = tn_arena_alloc(arena, (size_t)out->n * bytes);
  memset(out->data, 0x5a, (size_t)out->n * bytes);
  for (int64_t i = 0; i < tensor->count; i++)
    tn_number_store(tensor->dtype, tensor->data[i], out->data + (size_t)storage_position(f, arg, tensor, i) * bytes);
}

static inline void fill_inputs(fixture *f, tn_arena *arena) {
  uint64_t state = 12345;
  for (size_t i = 0; i < f->kernel->args.n; i++) {
    tn_karg *arg = &f->kernel->args.data[i];
    f->args[i] = new_tensor(f, arena, arg);
    f->expected[i] = f->args[i];
    for (int64_t k = 0; k < f->args[i]->count; k++)
      if (!arg->is_output) f->args[i]->data[k] = random_number(arg->type->dtype, &state);
    if (arg->name[0] == 'w') {
      size_t bytes;
      arg->constant =
          tn_const_data(f->kernel->module, arg->name, arg->type, tn_tensor_to_bytes(arena, f->args[i], &bytes));
    }
  }
}

/* Elements outside of the argument's part belong to other kernels. */
static inline bool is_written(const fixture *f, const tn_karg *arg, const tn_tensor *tensor, int64_t flat) {
  int64_t index[TN_MAX_NDIM];
  if (arg->part_axis < 0) return true;
  tn_tensor_unravel(tensor, flat, index);
  int64_t at = index[arg->part_axis];
  return at >= value_of(f, arg->part_lo) && at < value_of(f, arg->part_hi);
}

static inline void check_output(const fixture *f, const char *where, uint32_t i) {
  const tn_karg *arg = &f->kernel->args.data[i];
  const tn_tensor *expected = f->expected[i];
  bool is_float = tn_dtype_is_float(expected->dtype);
  double scale = 1e-30;
  for (int64_t k = 0; k < expected->count; k++)
    if (is_float && isfinite(expected->data[k].f)) scale = fmax(scale, fabs(expected->data[k].f));
  for (int64_t k = 0; k < expected->count; k++) {
    if (!is_written(f, arg, expected, k)) continue;
    const uint8_t *at =
        f->memory[i].data + (size_t)storage_position(f, arg, expected, k) * tn_dtype_bytes(expected->dtype);
    tn_number found = tn_number_load(expected->dtype, at), want = expected->data[k];
    bool same = is_float ? found.f == want.f || (isnan(found.f) && isnan(want.f)) ||
                               fabs(found.f - want.f) <= f->sample->tolerance * scale
                         : found.u == want.u;
    if (!same)
      fail_msg("%s on %s: output %u element %lld: expected %g (%lld), found %g (%lld)", f->sample->name, where, i,
               (long long)k, want.f, (long long)want.i, found.f, (long long)found.i);
  }
}

#endif
