/* Weights: constants of the graph, named by their path, from --weights, from(...), or an initialiser with --init. */
#include <string.h>

#include "frontend/lang/sema.h"

enum { MAX_LISTED = 12 };

static tn_const *splat(tn_sema *s, const char *path, const tn_type *type, double value) {
  unsigned char element[8] = {0};
  tn_number_store(type->dtype, tn_number_cast(TN_F64, type->dtype, (tn_number){.f = value}), element);
  return tn_const_splat(s->module, path, type, element);
}

/* The stored tensor as a constant, in place. */
static tn_const *take_stored(tn_sema *s, const char *path, const tn_type *type, tn_stored *stored) {
  bool is_narrow = stored->dtype != type->dtype;
  const tn_type *own = is_narrow ? tn_type_tensor(s->ctx, stored->dtype, type->ndim, type->dims) : type;
  tn_const *constant = tn_const_data(s->module, path, own, stored->data);
  constant->file = stored->file;
  constant->file_offset = stored->file_offset;
  stored->is_used = true;
  return is_narrow ? tn_const_recipe_cast(s->module, constant, type->dtype) : constant;
}

static const char *stored_text(tn_sema *s, const tn_stored *stored) {
  tn_buf out = tn_buf_create(s->arena);
  tn_buf_printf(&out, "%s[", tn_dtype_name(stored->dtype));
  for (uint32_t i = 0; i < stored->ndim; i++)
    tn_buf_printf(&out, "%s%lld", i ? ", " : "", (long long)stored->extents[i]);
  tn_buf_putc(&out, ']');
  return out.data;
}

static bool stored_fits(tn_sema *s, const tn_weight *weight, const tn_stored *stored, const char *file, tn_loc loc) {
  const tn_type *type = weight->type;
  /* What a training kept as bf16 or f16 loses nothing as f32. */
  bool is_narrow = type->dtype == TN_F32 && (stored->dtype == TN_BF16 || stored->dtype == TN_F16);
  bool fits = (stored->dtype == type->dtype || is_narrow) && stored->ndim == type->ndim;
  for (uint32_t i = 0; i < type->ndim && fits; i++) fits = tn_dim_is(type->dims[i], stored->extents[i]);
  if (fits) return true;
  tn_buf text = tn_buf_create(s->arena);
  tn_type_print(type, &text);
  tn_error(s->ctx, loc, TN_E_WEIGHTS, "weight '%s' is %s, found %s in '%s'", weight->path, text.data,
           stored_text(s, stored), file);
  for (uint32_t i = 0; i < type->ndim && stored->ndim == type->ndim; i++)
    if (!tn_dim_is(type->dims[i], stored->extents[i]) && weight->axes[i].loc)
      tn_axis_note(s, &weight->axes[i]);
  return false;
}

/* from("w.npy"), from("file.safetensors", "name"): relative to the folder of the .tn file. */
static tn_const *take_from(tn_sema *s, const tn_weight *weight, const tn_init *init) {
  tn_store *store = tn_map_get(&s->stores, init->path);
  if (!store) {
    store = tn_store_open(s, init->path, init->loc);
    if (!store) tn_note(s->ctx, init->loc, "weight '%s' takes its values from it", weight->path);
    if (store) tn_map_set(&s->stores, init->path, store);
  }
  if (!store) return NULL;
  const char *name = init->tensor ? init->tensor : "";
  tn_stored *stored = tn_store_find(store, name);
  if (!stored) {
    const char *near = tn_store_nearest(s, store, name);
    tn_error(s->ctx, init->loc, TN_E_WEIGHTS, "'%s' holds no tensor '%s'%s", init->path, name,
             init->tensor ? "" : ": from(FILE, NAME) picks one");
    if (near) tn_help(s->ctx, "did you mean '%s'?", near);
    return NULL;
  }
  return stored_fits(s, weight, stored, init->path, init->loc) ? take_stored(s, weight->path, weight->type, stored)
                                                               : NULL;
}

/* One .npy: the value of the model's only weight. */
static bool is_unnamed(tn_store *store) { return tn_store_count(store) == 1 && !tn_store_at(store, 0)->name[0]; }

bool tn_weight_replace(tn_sema *s, tn_weight *weight) {
  tn_stored *stored = s->store ? tn_store_find(s->store, is_unnamed(s->store) ? "" : weight->path) : NULL;
  tn_const *constant = weight->constant;
  if (!stored || stored->is_used) return true;
  if (!stored_fits(s, weight, stored, tn_store_path(s->store), weight->loc)) return false;
  constant->kind = TN_CONST_DATA;
  constant->data = stored->data;
  constant->file = stored->file;
  constant->file_offset = stored->file_offset;
  stored->is_used = true;
  return true;
}

static tn_const *make_constant(tn_sema *s, tn_weight *weight, const tn_init *init) {
  tn_stored *stored = s->store ? tn_store_find(s->store, is_unnamed(s->store) ? "" : weight->path) : NULL;
  if (stored && stored->is_used) stored = NULL;
  if (stored)
    return stored_fits(s, weight, stored, tn_store_path(s->store), weight->loc)
               ? take_stored(s, weight->path, weight->type, stored)
               : NULL;
  if (init->kind == TN_INIT_FROM) return take_from(s, weight, init);
  weight->is_missing = s->weights_needed && (!s->options->has_init || init->kind == TN_INIT_FITTED);
  if (weight->is_missing || !s->weights_needed) return splat(s, weight->path, weight->type, 0);
  if (init->kind == TN_INIT_CONST) return splat(s, weight->path, weight->type, init->a);
  const void *data = tn_init_fill(s, &weight->initial, weight->type, weight->path);
  return data ? tn_const_data(s->module, weight->path, weight->type, data) : NULL;
}

static const tn_type *static_type(tn_frame *f, const char *path, tn_dtype dtype, const tn_axis *axes, uint32_t n,
                                  tn_loc loc) {
  tn_sema *s = f->sema;
  const tn_dim *dims[TN_MAX_NDIM];
  int64_t count = 1;
  for (uint32_t i = 0; i < n; i++) {
    dims[i] = axes[i].extent;
    if (!tn_dim_is_const(dims[i])) {
      tn_frame_error(f, loc, TN_E_LANG_STATIC, "weight '%s': dim %s must be known at compile time", path,
                    tn_axis_label_text(s, &axes[i]));
      tn_note(s->ctx, axes[i].loc, "%s is bound by the input; -D %s=N fixes it", tn_axis_describe(s, &axes[i]),
              tn_axis_label_text(s, &axes[i]));
      return NULL;
    }
    if (tn_dim_value(dims[i]) && (!tn_mul_i64(count, tn_dim_value(dims[i]), &count) || count > INT64_MAX / 64)) {
      tn_frame_error(f, loc, TN_E_LIMIT, "weight '%s' has too many elements", path);
      return NULL;
    }
  }
  s->weight_bytes += (uint64_t)count * tn_dtype_bytes(dtype);
  if (s->weights_needed && s->weight_bytes > s->ctx->memory_limit && s->ctx->memory_limit) {
    tn_frame_error(f, loc, TN_E_LIMIT, "the weights up to '%s' take %llu bytes, more than --memory-limit", path,
                  (unsigned long long)s->weight_bytes);
    return NULL;
  }
  return tn_type_tensor(s->ctx, dtype, n, dims);
}

tn_datum *tn_weight_value(tn_sema *s, const tn_weight *weight) {
  return tn_datum_tensor(s, tn_build_const(&s->build, weight->constant), weight->axes, weight->loc);
}

tn_datum *tn_weight_use(tn_frame *f, tn_instance *owner, const char *name, tn_dtype dtype, const tn_axis *axes,
                        uint32_t n, const tn_init *init, double fan_in, double fan_out, bool is_buffer, tn_loc loc) {
  tn_sema *s = f->sema;
  tn_weight *weight = tn_map_get(&owner->weights, name);
  const char *path = owner->path[0] ? tn_namef(s->ctx, "%s.%s", owner->path, name) : name;
  const tn_type *type = static_type(f, path, dtype, axes, n, loc);
  if (!type) return NULL;
  if (weight && weight->type != type) {
    tn_buf was = tn_buf_create(s->arena), is = tn_buf_create(s->arena);
    tn_type_print(weight->type, &was);
    tn_type_print(type, &is);
    tn_frame_error(f, loc, TN_E_SHAPE, "the shared weight '%s' is %s, this use needs %s", path, was.data, is.data);
    tn_note(s->ctx, weight->loc, "it was made here");
    return NULL;
  }
  if (!weight) {
    weight = TN_NEW(s->arena, tn_weight);
    *weight = (tn_weight){.path = path, .type = type, .axes = tn_arena_copy(s->arena, axes, n * sizeof(*axes)),
                          .is_buffer = is_buffer, .loc = loc};
    weight->init = *init;
    weight->initial = tn_init_resolve(init, type, fan_in, fan_out);
    tn_loc_push(s->ctx, loc);
    weight->constant = make_constant(s, weight, init);
    tn_loc_pop(s->ctx);
    if (!weight->constant) return NULL;
    tn_map_set(&owner->weights, name, weight);
    TN_VEC_PUSH(s->arena, &s->weights, weight);
  } else {
    weight = tn_arena_copy(s->arena, weight, sizeof(*weight));
    weight->axes = tn_arena_copy(s->arena, axes, n * sizeof(*axes)); /* the labels of this use */
  }
  return tn_weight_value(s, weight);
}

bool tn_weights_check(tn_sema *s) {
  size_t n_missing = 0, n_surplus = 0;
  tn_loc loc = s->main->ast->loc;
  for (size_t i = 0; i < s->weights.n; i++) n_missing += s->weights.data[i]->is_missing;
  if (s->store && is_unnamed(s->store) && s->weights.n > 1) {
    tn_error(s->ctx, loc, TN_E_WEIGHTS, "'%s' holds one tensor without a name, the model has %zu weights",
             tn_store_path(s->store), s->weights.n);
    tn_help(s->ctx, "a folder of NAME.npy, an .npz or a .safetensors file names its tensors: '%s', ...",
            s->weights.data[0]->path);
    return false;
  }
  if (n_missing) {
    tn_error(s->ctx, loc, TN_E_WEIGHTS, "%zu of %zu weights have no value", n_missing, s->weights.n);
    for (size_t i = 0, listed = 0; i < s->weights.n && listed < MAX_LISTED; i++) {
      const tn_weight *weight = s->weights.data[i];
      if (!weight->is_missing) continue;
      tn_buf text = tn_buf_create(s->arena);
      tn_type_print(weight->type, &text);
      tn_note(s->ctx, weight->loc, "missing: '%s' %s", weight->path, text.data);
      listed++;
    }
    tn_help(s->ctx, "--weights=FILE gives them (.safetensors, .npz, a folder of .npy), --init=SEED random ones%s",
            s->options->has_init ? " but not fitted statistics" : "");
  }
  for (size_t i = 0; s->store && i < tn_store_count(s->store); i++) n_surplus += !tn_store_at(s->store, i)->is_used;
  if (n_surplus) {
    tn_error(s->ctx, loc, TN_E_WEIGHTS, "'%s' holds %zu tensors that the model has no weight for",
             tn_store_path(s->store), n_surplus);
    for (size_t i = 0, listed = 0; i < tn_store_count(s->store) && listed < MAX_LISTED; i++) {
      const tn_stored *stored = tn_store_at(s->store, i);
      if (stored->is_used) continue;
      tn_note(s->ctx, TN_LOC_NONE, "surplus: '%s' %s", stored->name, stored_text(s, stored));
      listed++;
    }
  }
  return !n_missing && !n_surplus;
}
