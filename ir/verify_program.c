/* Verifies programs: steps fit their kernels, everything is written before it is read, buffers are filled, and no two
 * buffers that are alive together share a byte, whatever the sizes are (ir/IR.md section 9).
 *
 * Lives are found again from the steps alone, so an error of the planner cannot hide itself. */
#include "ir/dim_internal.h"
#include "ir/verify.h"
#include "ir/verify_internal.h"

/* Steps of a loop: its own number and that of the last inside. */
typedef struct loop_range {
  uint32_t first, last;
} loop_range;

/* What the steps say of a buffer. */
typedef struct life {
  uint32_t first, last; /* steps that touch it; TN_NEVER = none */
  TN_VEC(tn_box) boxes; /* filled so far */
} life;

typedef struct verifier {
  tn_verify_state at;
  const tn_program *program;
  tn_guards guards;
  tn_arena *scratch;
  life *lives; /* one a buffer */
  uint32_t n_steps;                  /* numbered so far */
  TN_VEC(const tn_symbol *) open;    /* of the loops around the present step, and those read so far */
  TN_VEC(loop_range) loops;          /* inner ones before those around them */
  tn_guard_list known;               /* what `guards` are: those that hold at the present step */
} verifier;

/* Symbols and bindings. */

static bool is_bound(const tn_program *program, const tn_symbol *symbol) {
  for (size_t i = 0; i < program->bindings.n; i++)
    if (program->bindings.data[i].symbol == symbol) return true;
  return false;
}

static void check_symbol(void *user, const tn_symbol *symbol) {
  verifier *v = user;
  for (size_t i = 0; i < v->open.n; i++)
    if (v->open.data[i] == symbol) return;
  if (!is_bound(v->program, symbol)) tn_verify_breach(&v->at, "symbol '%s' is bound by no argument", symbol->name);
}

static void check_dim(verifier *v, const tn_dim *dim) {
  if (dim) tn_dim_symbols(dim, check_symbol, v);
}

static const tn_buffer *input_buffer(const tn_program *program, uint32_t index) {
  for (size_t i = 0; i < program->buffers.n; i++)
    if (program->buffers.data[i]->kind == TN_BUFFER_INPUT && program->buffers.data[i]->index == index)
      return program->buffers.data[i];
  return NULL;
}

static bool is_late(const tn_program *program, const tn_symbol *symbol) {
  for (size_t i = 0; i < program->late.n; i++)
    if (program->late.data[i] == symbol) return true;
  return false;
}

/* The same where nothing has been read: symbols that some step reads are right. */
static void check_symbol_anywhere(void *user, const tn_symbol *symbol) {
  verifier *v = user;
  if (!is_late(v->program, symbol)) check_symbol(user, symbol);
}

static void check_dim_anywhere(verifier *v, const tn_dim *dim) {
  if (dim) tn_dim_symbols(dim, check_symbol_anywhere, v);
}

/* A guard with late symbols is checked where all of them are known, so there must be such a place. */
static void check_guards(verifier *v) {
  const tn_program *program = v->program;
  bool *checked = TN_NEW_N(v->scratch, bool, program->guards.n);
  const tn_completion *completions = tn_program_completions(program, v->scratch);
  uint32_t n_steps = tn_steps_count(&program->steps);
  for (uint32_t s = 0; s < n_steps; s++)
    for (size_t i = 0; i < completions[s].guards.n; i++) checked[completions[s].guards.data[i]] = true;
  for (size_t i = 0; i < program->guards.n; i++) {
    const tn_guard *guard = &program->guards.data[i];
    check_dim_anywhere(v, guard->p);
    check_dim_anywhere(v, guard->q);
    bool late = tn_dim_is_late(guard->p) || tn_dim_is_late(guard->q);
    if ((late || guard->is_inner) && !checked[i])
      tn_verify_breach(&v->at, "the guard of %s is never decided", guard->text);
  }
}

static void check_bindings(verifier *v) {
  for (size_t i = 0; i < v->program->bindings.n; i++) {
    const tn_binding *binding = &v->program->bindings.data[i];
    const tn_buffer *input = input_buffer(v->program, binding->input);
    bool fits = input && binding->axis < input->type->ndim &&
                tn_dim_lone_symbol(input->type->dims[binding->axis]) == binding->symbol;
    if (!fits)
      tn_verify_breach(&v->at, "symbol '%s' is not the extent of argument %u on axis %u", binding->symbol->name,
                       binding->input, binding->axis);
    for (size_t k = 0; k < i; k++)
      if (v->program->bindings.data[k].symbol == binding->symbol)
        tn_verify_breach(&v->at, "symbol '%s' is bound twice", binding->symbol->name);
  }
  for (size_t i = 0; i < v->program->late.n; i++)
    for (size_t k = 0; k < i; k++)
      if (v->program->late.data[k] == v->program->late.data[i])
        tn_verify_breach(&v->at, "symbol '%s' is read twice", v->program->late.data[i]->name);
}

/* Buffers by themselves. */

static void check_view(verifier *v, const tn_buffer *view) {
  const tn_buffer *owner = view->owner;
  bool fits = owner && view->at && owner->kind != TN_BUFFER_VIEW && owner->id < v->program->buffers.n &&
              v->program->buffers.data[owner->id] == owner && owner->type->ndim == view->type->ndim + 1 &&
              owner->type->dtype == view->type->dtype && !owner->format && owner->storage->order[0] == 0 &&
              owner->storage->align_elements == view->storage->align_elements &&
              owner->storage->pad_elements == view->storage->pad_elements;
  for (uint32_t k = 0; fits && k < view->type->ndim; k++)
    fits = owner->type->dims[k + 1] == view->type->dims[k] &&
           owner->storage->order[k + 1] == view->storage->order[k] + 1;
  if (!fits) {
    tn_verify_breach(&v->at, "'%s' is no view along the first axis of another buffer", view->name);
    return;
  }
  const tn_dim *zero = tn_dim_const(v->at.ctx, 0), *end = tn_dim_add_i(v->at.ctx, view->at, 1);
  if (!tn_verify_le(v->at.ctx, v->guards, zero, view->at) ||
      !tn_verify_le(v->at.ctx, v->guards, end, owner->type->dims[0]))
    tn_verify_breach(&v->at, "'%s' is not proved to lie inside '%s'", view->name, owner->name);
}


static void check_buffer(verifier *v, const tn_buffer *buffer, size_t id) {
  if (buffer->id != id) tn_verify_breach(&v->at, "buffer '%s' has the number %u", buffer->name, buffer->id);
  if (!buffer->storage || buffer->storage->ndim != buffer->type->ndim) {
    tn_verify_breach(&v->at, "the storage of '%s' has another rank", buffer->name);
    return;
  }
  for (uint32_t k = 0; k < buffer->type->ndim; k++) check_dim_anywhere(v, buffer->type->dims[k]);
  if (buffer->slot == TN_NO_SLOT) check_dim(v, buffer->bytes);
  else check_dim_anywhere(v, buffer->bytes);
  check_dim(v, buffer->offset);
  if (buffer->slot != TN_NO_SLOT && (buffer->slot >= v->program->n_slots || buffer->offset))
    tn_verify_breach(&v->at, "'%s' lies in no slot, or not only there", buffer->name);
  if (buffer->kind != TN_BUFFER_CONST && !tn_buffer_is_planned(buffer) && (buffer->bytes || buffer->slot != TN_NO_SLOT))
    tn_verify_breach(&v->at, "'%s' has a place that is not its own", buffer->name);
  if (buffer->kind == TN_BUFFER_CONST && (!buffer->constant || buffer->constant->type->dtype != buffer->type->dtype))
    tn_verify_breach(&v->at, "'%s' is a constant of another element type", buffer->name);
  bool caller_memory = buffer->kind == TN_BUFFER_INPUT || buffer->kind == TN_BUFFER_OUTPUT;
  if (caller_memory && buffer->storage != tn_storage_row_major(v->program->module, buffer->type->ndim))
    tn_verify_breach(&v->at, "'%s' is the caller's memory, which is row-major", buffer->name);
  if (buffer->kind == TN_BUFFER_VIEW) check_view(v, buffer);
}

/* Steps. */

static bool extents_fit(verifier *v, const tn_type *a, const tn_type *b) {
  if (a->ndim != b->ndim) return false;
  for (uint32_t i = 0; i < a->ndim; i++)
    if (!tn_verify_equal(v->at.ctx, v->guards, a->dims[i], b->dims[i])) return false;
  return true;
}

static bool types_fit(verifier *v, const tn_type *a, const tn_type *b) {
  return a->dtype == b->dtype && extents_fit(v, a, b);
}

/* The buffer whose memory it is. */
static const tn_buffer *owner_of(const tn_buffer *buffer) {
  return buffer->kind == TN_BUFFER_VIEW ? buffer->owner : buffer;
}

/* A box of buffer in the coordinates of its owner. */
static tn_box box_in_owner(verifier *v, const tn_buffer *buffer, const tn_box *box) {
  if (buffer->kind != TN_BUFFER_VIEW) return *box;
  tn_box out;
  out.lo[0] = buffer->at;
  out.hi[0] = tn_dim_add_i(v->at.ctx, buffer->at, 1);
  for (uint32_t i = 0; i < buffer->type->ndim; i++) {
    out.lo[i + 1] = box->lo[i];
    out.hi[i + 1] = box->hi[i];
  }
  return out;
}

static void touch(verifier *v, const tn_buffer *buffer, uint32_t step) {
  life *l = &v->lives[owner_of(buffer)->id];
  if (l->first == TN_NEVER) l->first = step;
  l->last = step;
}

/* What box and region share; false when that is nothing, or nobody can say. */
static bool shared(verifier *v, const tn_box *box, const tn_box *region, uint32_t ndim, tn_box *out) {
  for (uint32_t i = 0; i < ndim; i++) {
    if (tn_verify_le(v->at.ctx, v->guards, region->lo[i], box->lo[i])) out->lo[i] = box->lo[i];
    else if (tn_verify_le(v->at.ctx, v->guards, box->lo[i], region->lo[i])) out->lo[i] = region->lo[i];
    else return false;
    if (tn_verify_le(v->at.ctx, v->guards, box->hi[i], region->hi[i])) out->hi[i] = box->hi[i];
    else if (tn_verify_le(v->at.ctx, v->guards, region->hi[i], box->hi[i])) out->hi[i] = region->hi[i];
    else return false;
    if (tn_verify_le(v->at.ctx, v->guards, out->hi[i], out->lo[i])) return false;
  }
  return true;
}

/* Whether what lies inside region of buffer is filled by the steps so far: one box holds it, or the boxes' parts of it
 * fill it. */
static bool region_is_filled(verifier *v, const tn_buffer *buffer, const tn_box *region_of_buffer) {
  tn_box in_owner = box_in_owner(v, buffer, region_of_buffer), *region = &in_owner;
  const life *l = &v->lives[owner_of(buffer)->id];
  uint32_t ndim = owner_of(buffer)->type->ndim;
  TN_VEC(tn_box) inside = {0};
  for (uint32_t i = 0; i < ndim; i++)
    if (region->lo[i] == region->hi[i]) return true; /* of nothing */
  for (size_t i = 0; i < l->boxes.n; i++) {
    if (tn_verify_box_inside(v->at.ctx, v->guards, region, &l->boxes.data[i], ndim)) return true;
    tn_box part;
    if (shared(v, &l->boxes.data[i], region, ndim, &part)) TN_VEC_PUSH(v->scratch, &inside, part);
  }
  return inside.n > 0 && tn_verify_boxes_fill(v->at.ctx, v->guards, inside.data, inside.n, region, ndim);
}

static bool comes_filled(const tn_buffer *buffer) {
  tn_buffer_kind kind = owner_of(buffer)->kind;
  return kind == TN_BUFFER_INPUT || kind == TN_BUFFER_CONST;
}

static void read_whole(verifier *v, const tn_buffer *buffer, uint32_t step) {
  tn_box whole = tn_verify_whole(v->at.ctx, buffer->type);
  if (!comes_filled(buffer) && !region_is_filled(v, buffer, &whole))
    tn_verify_breach(&v->at, "step %u reads '%s', which is not proved to be filled by the steps before", step,
                     buffer->name);
}

/* Whether a read stays inside a box by what its index says itself, which its ends need not show. */
static bool index_is_inside(verifier *v, const tn_kernel *kernel, const tn_knode *read, const tn_box *box) {
  for (uint32_t i = 0; i < read->n_index; i++)
    if (!tn_verify_le_in(v->at.ctx, v->guards, kernel, box->lo[i], read->index[i]) ||
        !tn_verify_le_in(v->at.ctx, v->guards, kernel, tn_dim_add_i(v->at.ctx, read->index[i], 1), box->hi[i]))
      return false;
  return true;
}

static bool read_is_filled(verifier *v, const tn_kernel *kernel, const tn_knode *read, const tn_buffer *buffer) {
  tn_box region;
  tn_verify_read_box(v->at.ctx, kernel, read, &region);
  if (region_is_filled(v, buffer, &region)) return true;
  if (read->n_in && tn_verify_read_ends(v->at.ctx, kernel, read, &region) && region_is_filled(v, buffer, &region))
    return true;
  const life *l = &v->lives[buffer->id];
  bool plain = buffer->kind != TN_BUFFER_VIEW && read->n_in == 0;
  for (size_t i = 0; plain && i < l->boxes.n; i++)
    if (index_is_inside(v, kernel, read, &l->boxes.data[i])) return true;
  return false;
}

/* A kernel may read a part of a buffer whose other parts are written later: what it reaches must be filled. */
static void read_argument(verifier *v, const tn_step *step, uint32_t arg, uint32_t number) {
  const tn_kernel *kernel = step->kernel;
  const tn_buffer *buffer = step->args.data[arg];
  tn_box whole = tn_verify_whole(v->at.ctx, buffer->type);
  touch(v, buffer, number);
  if (comes_filled(buffer) || region_is_filled(v, buffer, &whole)) return;
  bool same_type = extents_fit(v, kernel->args.data[arg].type, buffer->type);
  for (size_t i = 0; i < kernel->nodes.n; i++) {
    const tn_knode *node = kernel->nodes.data[i];
    if (node->kind != TN_K_READ || node->arg != arg) continue;
    if (!same_type || !read_is_filled(v, kernel, node, buffer))
      tn_verify_breach(&v->at, "step %u reads '%s', which is not proved to be filled by the steps before", number,
                       buffer->name);
  }
}

static void write_box(verifier *v, const tn_buffer *buffer, const tn_box *box, uint32_t step) {
  life *l = &v->lives[owner_of(buffer)->id];
  touch(v, buffer, step);
  if (comes_filled(buffer)) tn_verify_breach(&v->at, "step %u writes '%s', which is only read", step, buffer->name);
  TN_VEC_PUSH(v->scratch, &l->boxes, box_in_owner(v, buffer, box));
}

/* The elements that an argument's type and storage reach must lie in the buffer; an argument may see a buffer under
 * another shape, or its bits as another element type of the same width. */
static bool view_fits(verifier *v, const tn_karg *arg, const tn_buffer *buffer) {
  const tn_dim *strides[TN_MAX_NDIM], *view_total, *total;
  if (tn_dtype_bits(arg->type->dtype) != tn_dtype_bits(buffer->type->dtype)) return false;
  if (extents_fit(v, arg->type, buffer->type) && arg->storage == buffer->storage) return true;
  tn_storage_strides(v->at.ctx, arg->type, arg->storage, strides, &view_total);
  tn_storage_strides(v->at.ctx, buffer->type, buffer->storage, strides, &total);
  return tn_verify_le(v->at.ctx, v->guards, view_total, total);
}

static void write_argument(verifier *v, const tn_step *step, uint32_t arg, uint32_t number) {
  const tn_kernel *kernel = step->kernel;
  const tn_buffer *buffer = step->args.data[arg];
  if (!types_fit(v, kernel->args.data[arg].type, buffer->type) || kernel->args.data[arg].storage != buffer->storage) {
    tn_verify_breach(&v->at, "step %u: '%s' is written under another type or storage", number, buffer->name);
    return;
  }
  for (size_t i = 0; i < kernel->nodes.n; i++) {
    const tn_knode *node = kernel->nodes.data[i];
    tn_box box;
    if (node->kind == TN_K_UPDATE && node->arg == arg) {
      touch(v, buffer, number);
      read_whole(v, buffer, number);
    }
    if (node->kind != TN_K_WRITE || node->arg != arg) continue;
    if (tn_verify_write_box(v->at.ctx, v->guards, kernel, node, &box)) write_box(v, buffer, &box, number);
    else tn_verify_breach(&v->at, "step %u: what it writes to '%s' is not proved", number, buffer->name);
  }
}

/* Whether a read stays on one side of a box by what its index says itself. */
static bool index_is_beside(verifier *v, const tn_kernel *kernel, const tn_knode *read, const tn_box *box) {
  for (uint32_t i = 0; i < read->n_index; i++)
    if (tn_verify_le_in(v->at.ctx, v->guards, kernel, box->hi[i], read->index[i]) ||
        tn_verify_le_in(v->at.ctx, v->guards, kernel, tn_dim_add_i(v->at.ctx, read->index[i], 1), box->lo[i]))
      return true;
  return false;
}

/* Whether what the kernel reads through argument `in` and what it writes through `out`, both of one owner, share no
 * element: parts of a concat whose producers read one another. */
static bool reads_apart(verifier *v, const tn_step *step, size_t in, size_t out) {
  const tn_kernel *kernel = step->kernel;
  const tn_buffer *read = step->args.data[in], *written = step->args.data[out];
  if (!extents_fit(v, kernel->args.data[in].type, read->type)) return false;
  for (size_t i = 0; i < kernel->nodes.n; i++) {
    const tn_knode *from = kernel->nodes.data[i];
    if (from->kind == TN_K_UPDATE && from->arg == out) return false;
    if (from->kind != TN_K_READ || from->arg != in) continue;
    tn_box source, target, ends;
    tn_verify_read_box(v->at.ctx, kernel, from, &source);
    source = box_in_owner(v, read, &source);
    if (from->n_in && tn_verify_read_ends(v->at.ctx, kernel, from, &ends)) ends = box_in_owner(v, read, &ends);
    else ends = source;
    for (size_t k = 0; k < kernel->nodes.n; k++) {
      const tn_knode *to = kernel->nodes.data[k];
      if (to->kind != TN_K_WRITE || to->arg != out) continue;
      if (!tn_verify_write_box(v->at.ctx, v->guards, kernel, to, &target)) return false;
      target = box_in_owner(v, written, &target);
      if (!tn_verify_boxes_apart(v->at.ctx, v->guards, &source, &target, owner_of(read)->type->ndim) &&
          !tn_verify_boxes_apart(v->at.ctx, v->guards, &ends, &target, owner_of(read)->type->ndim) &&
          (owner_of(read) != read || !index_is_beside(v, kernel, from, &target)))
        return false;
    }
  }
  return true;
}

/* Two arguments may be one buffer when both are written parts, or both are read, or what is read lies beside what is
 * written. */
static void check_aliases(verifier *v, const tn_step *step, uint32_t number) {
  for (size_t i = 0; i < step->args.n; i++)
    for (size_t k = 0; k < i; k++) {
      size_t out = step->kernel->args.data[i].is_output ? i : k, in = i + k - out;
      if (owner_of(step->args.data[i]) == owner_of(step->args.data[k]) &&
          step->kernel->args.data[i].is_output != step->kernel->args.data[k].is_output &&
          !reads_apart(v, step, in, out))
        tn_verify_breach(&v->at, "step %u reads and writes '%s'", number, step->args.data[i]->name);
    }
}

static void check_kernel_step(verifier *v, const tn_step *step, uint32_t number) {
  const tn_kernel *kernel = step->kernel;
  if (!kernel || step->args.n != kernel->args.n) {
    tn_verify_breach(&v->at, "step %u has %zu arguments, its kernel %zu", number, step->args.n,
                     kernel ? kernel->args.n : 0);
    return;
  }
  for (size_t i = 0; i < kernel->symbols.n; i++) check_symbol(v, kernel->symbols.data[i]);
  check_aliases(v, step, number);
  for (uint32_t i = 0; i < step->args.n; i++) {
    const tn_buffer *buffer = step->args.data[i];
    if (!view_fits(v, &kernel->args.data[i], buffer))
      tn_verify_breach(&v->at, "step %u: argument '%s' reaches beyond '%s'", number, kernel->args.data[i].name,
                       buffer->name);
    if (!kernel->args.data[i].is_output) read_argument(v, step, i, number);
  }
  for (uint32_t i = 0; i < step->args.n; i++)
    if (kernel->args.data[i].is_output) write_argument(v, step, i, number);
}

static void check_copy_step(verifier *v, const tn_step *step, uint32_t number) {
  bool fits = step->args.n == 2 && types_fit(v, step->args.data[0]->type, step->args.data[1]->type) &&
              step->args.data[0]->storage == step->args.data[1]->storage;
  if (!fits) {
    tn_verify_breach(&v->at, "step %u copies between different types or storages", number);
    return;
  }
  tn_box whole = tn_verify_whole(v->at.ctx, step->args.data[1]->type);
  touch(v, step->args.data[0], number);
  read_whole(v, step->args.data[0], number);
  write_box(v, step->args.data[1], &whole, number);
}

/* Loops. */

/* What an iteration filled, as all of them together fill it; false when that cannot be said. A box at position c + i or
 * c - i of one axis becomes the run of those positions; one that all iterations fill counts when there is one. */
static bool box_of_all(verifier *v, const tn_symbol *symbol, uint32_t ndim, tn_box *box) {
  int32_t axis = -1;
  for (uint32_t i = 0; i < ndim; i++) {
    if (!tn_dim_uses(box->lo[i], symbol) && !tn_dim_uses(box->hi[i], symbol)) continue;
    if (axis >= 0) return false;
    axis = (int32_t)i;
  }
  if (axis < 0) return symbol->extent->lo >= 1;
  const tn_dim *coefficient, *rest;
  if (tn_dim_add_i(v->at.ctx, box->lo[axis], 1) != box->hi[axis]) return false;
  if (!tn_dim_linear(v->at.ctx, box->lo[axis], symbol, &coefficient, &rest)) return false;
  if (tn_dim_is(coefficient, 1)) {
    box->lo[axis] = rest;
    box->hi[axis] = tn_dim_add(v->at.ctx, rest, symbol->extent);
  } else if (tn_dim_is(coefficient, -1)) {
    box->hi[axis] = tn_dim_add_i(v->at.ctx, rest, 1);
    box->lo[axis] = tn_dim_sub(v->at.ctx, box->hi[axis], symbol->extent);
  } else {
    return false;
  }
  return true;
}

static void check_steps(verifier *v, const tn_steps *steps);

/* How many boxes each buffer has so far. */
static size_t *count_boxes(verifier *v) {
  size_t *counts = TN_NEW_N(v->scratch, size_t, v->program->buffers.n);
  for (size_t i = 0; i < v->program->buffers.n; i++) counts[i] = v->lives[i].boxes.n;
  return counts;
}

static void check_condition(verifier *v, const tn_step *step, uint32_t number) {
  const tn_buffer *condition = step->args.n == 1 ? step->args.data[0] : NULL;
  if (!condition || condition->type->dtype != TN_BOOL || condition->type->ndim != 0) {
    tn_verify_breach(&v->at, "step %u has no condition", number);
    return;
  }
  touch(v, condition, number);
  read_whole(v, condition, number);
}

/* The condition is looked at again behind each run. What runs fill counts for nothing: there may be none. */
static void check_while_step(verifier *v, const tn_step *step, uint32_t number) {
  check_condition(v, step, number);
  size_t *before = count_boxes(v);
  if (v->at.ok) check_steps(v, &step->body);
  TN_VEC_PUSH(v->scratch, &v->loops, ((loop_range){number, v->n_steps - 1}));
  for (size_t i = 0; i < v->program->buffers.n; i++) v->lives[i].boxes.n = before[i];
}

/* What both branches fill is filled. */
static void check_if_step(verifier *v, const tn_step *step, uint32_t number) {
  check_condition(v, step, number);
  size_t n = v->program->buffers.n, *before = count_boxes(v);
  tn_box **boxes = TN_NEW_N(v->scratch, tn_box *, n);
  if (v->at.ok) check_steps(v, &step->body);
  size_t *after = count_boxes(v);
  for (size_t i = 0; i < n; i++) {
    life *l = &v->lives[i];
    if (after[i] > before[i])
      boxes[i] = tn_arena_copy(v->scratch, l->boxes.data + before[i], (after[i] - before[i]) * sizeof(tn_box));
    l->boxes.n = before[i];
  }
  if (v->at.ok) check_steps(v, &step->otherwise);
  for (size_t i = 0; i < n && v->at.ok; i++) {
    life *l = &v->lives[i];
    const tn_buffer *buffer = v->program->buffers.data[i];
    size_t n_both = 0;
    for (size_t k = 0; k < after[i] - before[i]; k++)
      if (region_is_filled(v, buffer, &boxes[i][k])) boxes[i][n_both++] = boxes[i][k];
    l->boxes.n = before[i];
    for (size_t k = 0; k < n_both; k++) TN_VEC_PUSH(v->scratch, &l->boxes, boxes[i][k]);
  }
}

/* The symbols are known from here to the end of the steps around. */
static void check_read_step(verifier *v, const tn_step *step, uint32_t number) {
  const tn_buffer *from = step->args.n == 1 ? step->args.data[0] : NULL;
  bool fits = from && tn_dtype_is_integer(from->type->dtype) && from->type->ndim <= 1 &&
              tn_type_static_count(from->type) == (int64_t)step->reads.n;
  if (!fits) {
    tn_verify_breach(&v->at, "step %u reads other symbols than a list of integers has elements", number);
    return;
  }
  touch(v, from, number);
  read_whole(v, from, number);
  for (size_t i = 0; i < step->reads.n; i++) {
    if (step->reads.data[i]->kind != TN_SYM_READ) tn_verify_breach(&v->at, "step %u reads no symbol for it", number);
    TN_VEC_PUSH(v->scratch, &v->open, step->reads.data[i]);
  }
}

static void know_guards(verifier *v, size_t n) {
  v->known.n = n;
  v->guards = (tn_guards){v->known.data, n};
}

static void check_check_step(verifier *v, const tn_step *step) {
  for (size_t i = 0; i < step->guards.n; i++) {
    const tn_guard *guard = &v->program->guards.data[step->guards.data[i]];
    if (!guard->is_inner) tn_verify_breach(&v->at, "the guard of %s is checked twice", guard->text);
    TN_VEC_PUSH(v->scratch, &v->known, *guard);
  }
  know_guards(v, v->known.n);
}

static void check_loop_step(verifier *v, const tn_step *step, uint32_t number) {
  size_t n = v->program->buffers.n;
  if (!step->symbol || step->symbol->kind != TN_SYM_LOOP || !step->symbol->extent) {
    tn_verify_breach(&v->at, "step %u loops over no symbol of a loop", number);
    return;
  }
  check_dim(v, step->symbol->extent);
  for (size_t i = 0; i < v->open.n; i++)
    if (v->open.data[i] == step->symbol)
      tn_verify_breach(&v->at, "step %u loops over the symbol of a loop around it", number);
  size_t *before = count_boxes(v);
  size_t n_open = v->open.n;
  TN_VEC_PUSH(v->scratch, &v->open, step->symbol);
  check_steps(v, &step->body);
  v->open.n = n_open;
  TN_VEC_PUSH(v->scratch, &v->loops, ((loop_range){number, v->n_steps - 1}));
  for (size_t i = 0; i < n; i++) {
    life *l = &v->lives[i];
    size_t kept = before[i];
    for (size_t k = before[i]; k < l->boxes.n; k++) {
      tn_box box = l->boxes.data[k];
      if (box_of_all(v, step->symbol, v->program->buffers.data[i]->type->ndim, &box)) l->boxes.data[kept++] = box;
    }
    l->boxes.n = kept;
  }
}

/* A buffer that the steps inside a loop use, and others too, must outlive every iteration: it has the whole loop. */
static void extend_lives(verifier *v) {
  for (size_t k = 0; k < v->loops.n; k++)
    for (size_t i = 0; i < v->program->buffers.n; i++) {
      const loop_range *loop = &v->loops.data[k];
      life *l = &v->lives[i];
      if (l->first == TN_NEVER || l->last < loop->first || l->first > loop->last) continue;
      if (l->first > loop->first && l->last <= loop->last) continue;
      if (l->first > loop->first) l->first = loop->first;
      if (l->last < loop->last) l->last = loop->last;
    }
}

static void check_step(verifier *v, const tn_step *step) {
  uint32_t number = v->n_steps++;
  v->at.loc = step->loc;
  for (size_t i = 0; i < step->args.n; i++) {
    uint32_t id = step->args.data[i]->id;
    if (id >= v->program->buffers.n || v->program->buffers.data[id] != step->args.data[i]) {
      tn_verify_breach(&v->at, "step %u has a buffer of another program", number);
      return;
    }
    check_dim(v, step->args.data[i]->at);
    const tn_type *type = step->args.data[i]->type;
    for (uint32_t k = 0; k < type->ndim; k++) check_dim(v, type->dims[k]);
  }
  if (step->parts == 0) tn_verify_breach(&v->at, "step %u has no parts", number);
  switch (step->kind) {
    case TN_STEP_KERNEL: check_kernel_step(v, step, number); break;
    case TN_STEP_COPY: check_copy_step(v, step, number); break;
    case TN_STEP_LOOP: check_loop_step(v, step, number); break;
    case TN_STEP_WHILE: check_while_step(v, step, number); break;
    case TN_STEP_IF: check_if_step(v, step, number); break;
    case TN_STEP_READ: check_read_step(v, step, number); break;
    case TN_STEP_CHECK: check_check_step(v, step); break;
  }
  v->at.loc = step->loc;
  check_dim(v, step->scratch_bytes);
  if (!step->scratch) return;
  touch(v, step->scratch, number);
  if (step->scratch->kind != TN_BUFFER_ARENA)
    tn_verify_breach(&v->at, "step %u: its scratch is not in the arena", number);
  const tn_dim *needed = step->scratch_bytes, *bound = NULL;
  if (needed && step->scratch->slot == TN_NO_SLOT) bound = tn_dim_bound(v->at.ctx, needed);
  if (bound) needed = bound; /* what is found while running is never more */
  if (needed && step->scratch->bytes && !tn_verify_is_rounded_up(v->at.ctx, needed, step->scratch->bytes) &&
      !tn_verify_le(v->at.ctx, v->guards, needed, step->scratch->bytes))
    tn_verify_breach(&v->at, "step %u: its scratch is smaller than it needs", number);
}

static void check_steps(verifier *v, const tn_steps *steps) {
  size_t n_open = v->open.n, n_known = v->known.n;
  for (size_t i = 0; i < steps->n && v->at.ok; i++) check_step(v, steps->data[i]);
  if (steps == &v->program->steps) return;
  v->open.n = n_open;
  know_guards(v, n_known);
}

static void check_outputs(verifier *v) {
  for (size_t i = 0; i < v->program->buffers.n; i++) {
    const tn_buffer *buffer = v->program->buffers.data[i];
    if (buffer->kind != TN_BUFFER_OUTPUT) continue;
    const life *l = &v->lives[i];
    tn_box whole = tn_verify_whole(v->at.ctx, buffer->type);
    if (!tn_verify_boxes_fill(v->at.ctx, v->guards, l->boxes.data, l->boxes.n, &whole, buffer->type->ndim))
      tn_verify_breach(&v->at, "it is not proved that each element of result '%s' is written once", buffer->name);
  }
}

/* The lives as the steps say them; a result that we place lives to the end, where the caller looks at it. */
static const tn_life *lives_of(verifier *v) {
  size_t n = v->program->buffers.n;
  tn_life *lives = TN_NEW_N(v->scratch, tn_life, n);
  for (size_t i = 0; i < n; i++) {
    const tn_buffer *buffer = v->program->buffers.data[i];
    lives[i] = (tn_life){v->lives[i].first, v->lives[i].last};
    bool is_kept = buffer->kind == TN_BUFFER_OUTPUT && lives[i].first != TN_NEVER && v->n_steps > 0;
    if (is_kept) lives[i].last = v->n_steps - 1;
  }
  return lives;
}

bool tn_verify_program(tn_ctx *ctx, const tn_program *program) {
  verifier v = {.at = {ctx, "program", program->name, TN_LOC_NONE, true}, .program = program,
                .scratch = tn_arena_create_scratch(ctx->arena)};
  for (size_t i = 0; i < program->guards.n; i++)
    if (!program->guards.data[i].is_inner) TN_VEC_PUSH(v.scratch, &v.known, program->guards.data[i]);
  know_guards(&v, v.known.n);
  v.at.loc = program->func && program->func->body->last ? program->func->body->last->loc
          : program->steps.n > 0                     ? program->steps.data[0]->loc
                                                     : TN_LOC_NONE;
  tn_loc loc = v.at.loc;
  v.lives = TN_NEW_N(v.scratch, life, program->buffers.n);
  for (size_t i = 0; i < program->buffers.n; i++) v.lives[i].first = TN_NEVER;
  check_bindings(&v);
  if (v.at.ok) check_guards(&v);
  for (size_t i = 0; i < program->buffers.n; i++) check_buffer(&v, program->buffers.data[i], i);
  if (v.at.ok) check_steps(&v, &program->steps);
  extend_lives(&v);
  v.at.loc = loc;
  if (v.at.ok) check_outputs(&v);
  if (v.at.ok) v.at.ok = tn_verify_donors(ctx, program, loc);
  if (v.at.ok) v.at.ok = tn_verify_memory(ctx, program, v.guards, lives_of(&v), loc);
  tn_arena_destroy(v.scratch);
  return v.at.ok;
}
