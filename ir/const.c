/* Constants of a module: data in place, splats, and recipes that move the elements of another constant. */
#include <math.h>
#include <string.h>

#include "ir/eval.h"
#include "ir/graph.h"

static const char *free_name(tn_module *module, const char *wanted) {
  const char *base = tn_name(module->ctx, wanted), *name = base;
  uintptr_t suffix = (uintptr_t)tn_map_get(&module->const_suffixes, base);
  if (!suffix) suffix = 1;
  if (suffix > 1 || tn_map_has(&module->const_names, name)) {
    do name = tn_namef(module->ctx, "%s_%llu", base, (unsigned long long)++suffix);
    while (tn_map_has(&module->const_names, name));
    tn_map_set(&module->const_suffixes, base, (void *)suffix);
  }
  return name;
}

static tn_const *add_const(tn_module *module, const char *name, const tn_type *type) {
  TN_ASSERT(tn_type_is_static(type));
  tn_const *constant = TN_NEW(module->arena, tn_const);
  constant->module = module;
  constant->name = free_name(module, name && name[0] ? name : "c");
  constant->type = type;
  constant->loc = tn_loc_current(module->ctx);
  constant->index = (uint32_t)module->consts.n;
  TN_VEC_PUSH(module->arena, &module->consts, constant);
  tn_map_set(&module->const_names, constant->name, constant);
  return constant;
}

tn_const *tn_const_data(tn_module *module, const char *name, const tn_type *type, const void *data) {
  tn_const *constant = add_const(module, name, type);
  constant->kind = TN_CONST_DATA;
  constant->data = data;
  return constant;
}

tn_const *tn_const_splat(tn_module *module, const char *name, const tn_type *type, const void *element) {
  tn_const *constant = add_const(module, name, type);
  constant->kind = TN_CONST_SPLAT;
  constant->data = tn_arena_copy(module->arena, element, tn_dtype_bytes(type->dtype));
  return constant;
}

static tn_const *add_recipe(tn_module *module, tn_const *base, const char *what, const tn_type *type) {
  const char *name = tn_namef(module->ctx, "%s.%s", base->name, what);
  tn_const *constant = add_const(module, name, type);
  constant->kind = TN_CONST_RECIPE;
  constant->base = base;
  constant->loc = base->loc;
  return constant;
}

tn_const *tn_const_recipe_transpose(tn_module *module, tn_const *base, const uint8_t *perm) {
  const tn_dim *dims[TN_MAX_NDIM];
  for (uint32_t i = 0; i < base->type->ndim; i++) {
    TN_ASSERT(perm[i] < base->type->ndim);
    dims[i] = base->type->dims[perm[i]];
  }
  tn_const *constant =
      add_recipe(module, base, "t", tn_type_tensor(module->ctx, base->type->dtype, base->type->ndim, dims));
  constant->recipe = TN_RECIPE_TRANSPOSE;
  if (base->type->ndim > 0) memcpy(constant->perm, perm, base->type->ndim);
  return constant;
}

tn_const *tn_const_recipe_reshape(tn_module *module, tn_const *base, const tn_type *type) {
  TN_ASSERT(type->dtype == base->type->dtype);
  TN_ASSERT(tn_type_static_count(type) == tn_type_static_count(base->type));
  tn_const *constant = add_recipe(module, base, "r", type);
  constant->recipe = TN_RECIPE_RESHAPE;
  return constant;
}

tn_const *tn_const_recipe_cast(tn_module *module, tn_const *base, tn_dtype dtype) {
  TN_ASSERT(dtype != TN_STR && base->type->dtype != TN_STR);
  tn_const *constant =
      add_recipe(module, base, tn_dtype_name(dtype), tn_type_with_dtype(module->ctx, base->type, dtype));
  constant->recipe = TN_RECIPE_CAST;
  return constant;
}

static bool is_finite(const tn_const *constant) {
  size_t element = tn_dtype_bytes(constant->type->dtype);
  int64_t n = constant->kind == TN_CONST_SPLAT ? 1 : tn_type_static_count(constant->type);
  for (int64_t i = 0; i < n; i++)
    if (!isfinite(tn_number_load(constant->type->dtype, (const char *)constant->data + (size_t)i * element).f))
      return false;
  return true;
}

/* The same elements where nothing needs to be computed to read them. */
static tn_const *without_recipe(tn_module *module, tn_const *constant) {
  if (constant->kind != TN_CONST_RECIPE) return constant;
  return tn_const_data(module, constant->name, constant->type, tn_const_read(constant, module->arena));
}

tn_const *tn_const_recipe_scale(tn_module *module, tn_const *base, tn_const *factors, uint32_t axis) {
  tn_dtype dtype = base->type->dtype;
  int64_t n = tn_type_static_count(factors->type);
  if ((dtype != TN_F32 && dtype != TN_F64) || factors->type->dtype != dtype || axis >= base->type->ndim) return NULL;
  if (n != 1 && n != tn_dim_value(base->type->dims[axis])) return NULL;
  factors = without_recipe(module, factors);
  if (!is_finite(factors)) return NULL;
  tn_const *constant = add_recipe(module, base, "s", base->type);
  constant->recipe = TN_RECIPE_SCALE;
  constant->factors = factors;
  constant->axis = axis;
  return constant;
}

size_t tn_const_bytes(const tn_const *constant) {
  return (size_t)tn_type_static_count(constant->type) * tn_dtype_bytes(constant->type->dtype);
}

static const void *fill_splat(const tn_const *constant, tn_arena *arena) {
  size_t element = tn_dtype_bytes(constant->type->dtype), bytes = tn_const_bytes(constant);
  char *out = tn_arena_alloc(arena, bytes);
  for (size_t at = 0; at < bytes; at += element) memcpy(out + at, constant->data, element);
  return out;
}

static const void *transpose_bytes(const tn_const *constant, const char *in, tn_arena *arena) {
  const tn_type *from = constant->base->type, *to = constant->type;
  size_t element = tn_dtype_bytes(to->dtype), bytes = tn_const_bytes(constant);
  size_t from_stride[TN_MAX_NDIM], stride[TN_MAX_NDIM], extent[TN_MAX_NDIM], at[TN_MAX_NDIM] = {0};
  size_t run = element;
  for (uint32_t i = from->ndim; i-- > 0;) {
    from_stride[i] = run;
    run *= (size_t)tn_dim_value(from->dims[i]);
  }
  for (uint32_t i = 0; i < to->ndim; i++) {
    stride[i] = from_stride[constant->perm[i]];
    extent[i] = (size_t)tn_dim_value(to->dims[i]);
  }
  char *out = tn_arena_alloc(arena, bytes);
  size_t source = 0;
  for (size_t done = 0; done < bytes; done += element) {
    memcpy(out + done, in + source, element);
    for (uint32_t i = to->ndim; i-- > 0;) {
      source += stride[i];
      if (++at[i] < extent[i]) break;
      source -= extent[i] * stride[i];
      at[i] = 0;
    }
  }
  return out;
}

static const void *cast_bytes(const tn_const *constant, const char *in, tn_arena *arena) {
  tn_dtype from = constant->base->type->dtype, to = constant->type->dtype;
  size_t from_bytes = tn_dtype_bytes(from), to_bytes = tn_dtype_bytes(to);
  size_t n = (size_t)tn_type_static_count(constant->type);
  char *out = tn_arena_alloc_n(arena, n, to_bytes);
  for (size_t i = 0; i < n; i++)
    tn_number_store(to, tn_number_cast(from, to, tn_number_load(from, in + i * from_bytes)), out + i * to_bytes);
  return out;
}

/* Constants may lie unaligned in a mapped file. */
static void scale_f32(const char *in, const char *factor, char *out, size_t n) {
  float by, v;
  memcpy(&by, factor, sizeof(by));
  for (size_t i = 0; i < n; i++) {
    memcpy(&v, in + i * sizeof(v), sizeof(v));
    v *= by;
    memcpy(out + i * sizeof(v), &v, sizeof(v));
  }
}

static void scale_f64(const char *in, const char *factor, char *out, size_t n) {
  double by, v;
  memcpy(&by, factor, sizeof(by));
  for (size_t i = 0; i < n; i++) {
    memcpy(&v, in + i * sizeof(v), sizeof(v));
    v *= by;
    memcpy(out + i * sizeof(v), &v, sizeof(v));
  }
}

static const void *scale_bytes(const tn_const *constant, const char *in, tn_arena *arena) {
  const tn_type *type = constant->type;
  size_t n = (size_t)tn_type_static_count(type), extent = (size_t)tn_dim_value(type->dims[constant->axis]), inner = 1;
  for (uint32_t i = constant->axis + 1; i < type->ndim; i++) inner *= (size_t)tn_dim_value(type->dims[i]);
  const char *factors = tn_const_read(constant->factors, arena);
  size_t element = tn_dtype_bytes(type->dtype), step = tn_type_static_count(constant->factors->type) == 1 ? 0 : element;
  char *out = tn_arena_alloc_n(arena, n, element);
  for (size_t at = 0, row = 0; at < n; at += inner, row = row + 1 == extent ? 0 : row + 1)
    (type->dtype == TN_F32 ? scale_f32 : scale_f64)(in + at * element, factors + row * step, out + at * element, inner);
  return out;
}

const void *tn_const_read(const tn_const *constant, tn_arena *arena) {
  /* Recipes may be stacked deeply, so the chain is walked without recursion. */
  TN_VEC(const tn_const *) chain = {0};
  while (constant->kind == TN_CONST_RECIPE) {
    TN_VEC_PUSH(arena, &chain, constant);
    constant = constant->base;
  }
  const void *data = constant->kind == TN_CONST_SPLAT ? fill_splat(constant, arena) : constant->data;
  for (size_t i = chain.n; i-- > 0;) {
    const tn_const *step = chain.data[i];
    if (step->recipe == TN_RECIPE_TRANSPOSE) data = transpose_bytes(step, data, arena);
    if (step->recipe == TN_RECIPE_CAST) data = cast_bytes(step, data, arena);
    if (step->recipe == TN_RECIPE_SCALE) data = scale_bytes(step, data, arena);
  }
  return data;
}
