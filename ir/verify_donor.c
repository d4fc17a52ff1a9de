/* Verifies results that may lie in place of arguments (tn_buffer.donor; ir/IR.md section 11): what is still read of the
 * argument when the result is written is the element that is written. */
#include "ir/verify_internal.h"

typedef struct donor_check {
  tn_verify_state at;
  const tn_program *program;
  const tn_buffer *out, *in;
  bool is_written;
} donor_check;

static const tn_buffer *memory_of(const tn_buffer *buffer) {
  return buffer->kind == TN_BUFFER_VIEW ? buffer->owner : buffer;
}

static bool has(const tn_step *step, const tn_buffer *memory) {
  for (size_t i = 0; i < step->args.n; i++)
    if (memory_of(step->args.data[i]) == memory) return true;
  return false;
}

static bool has_inside(const tn_steps *steps, const tn_buffer *memory) {
  for (size_t i = 0; i < steps->n; i++) {
    const tn_step *step = steps->data[i];
    if (has(step, memory) || has_inside(&step->body, memory) || has_inside(&step->otherwise, memory)) return true;
  }
  return false;
}

/* Coordinates and addresses of a read are those of the write. */
static bool is_same_element(const tn_kernel *kernel, const tn_knode *read, const tn_knode *write) {
  const tn_karg *from = &kernel->args.data[read->arg], *to = &kernel->args.data[write->arg];
  bool same = read->n_in == 0 && read->n_index == write->n_index && from->storage == to->storage &&
              from->type->ndim == to->type->ndim && from->type->dtype == to->type->dtype;
  for (uint32_t i = 0; same && i < read->n_index; i++)
    same = read->index[i] == write->index[i] && from->type->dims[i] == to->type->dims[i];
  return same;
}

static void check_writer(donor_check *v, const tn_step *step) {
  const tn_kernel *kernel = step->kernel;
  if (v->is_written || step->kind != TN_STEP_KERNEL) {
    tn_verify_breach(&v->at, "'%s' lies in place of '%s' and is written by other than one kernel", v->out->name,
                     v->in->name);
    return;
  }
  v->is_written = true;
  for (size_t w = 0; w < kernel->nodes.n; w++) {
    const tn_knode *write = kernel->nodes.data[w];
    if (!tn_knode_is_write(write) || memory_of(step->args.data[write->arg]) != v->out) continue;
    for (size_t r = 0; r < kernel->nodes.n; r++) {
      const tn_knode *read = kernel->nodes.data[r];
      if (read->kind == TN_K_READ && memory_of(step->args.data[read->arg]) == v->in &&
          (write->kind != TN_K_WRITE || !is_same_element(kernel, read, write)))
        tn_verify_breach(&v->at, "'%s' lies in place of '%s', of which its kernel reads other elements", v->out->name,
                         v->in->name);
    }
  }
}

static void check_donor(donor_check *v) {
  const tn_program *program = v->program;
  if (v->in->kind != TN_BUFFER_INPUT || v->out->kind != TN_BUFFER_OUTPUT || v->in->type != v->out->type)
    tn_verify_breach(&v->at, "'%s' cannot lie in place of '%s'", v->out->name, v->in->name);
  for (uint32_t i = 0; i < v->out->id; i++)
    if (program->buffers.data[i]->donor == v->in) tn_verify_breach(&v->at, "'%s' gives its place twice", v->in->name);
  for (size_t i = 0; i < program->steps.n && v->at.ok; i++) {
    const tn_step *step = program->steps.data[i];
    v->at.loc = step->loc;
    if (has_inside(&step->body, v->out) || has_inside(&step->otherwise, v->out))
      tn_verify_breach(&v->at, "'%s' lies in place of '%s' and is written inside other steps", v->out->name,
                       v->in->name);
    else if (has(step, v->out))
      check_writer(v, step);
    else if (v->is_written && (has(step, v->in) || has_inside(&step->body, v->in) ||
                               has_inside(&step->otherwise, v->in)))
      tn_verify_breach(&v->at, "'%s' is read after '%s' took its place", v->in->name, v->out->name);
  }
}

bool tn_verify_donors(tn_ctx *ctx, const tn_program *program, tn_loc loc) {
  bool ok = true;
  for (size_t i = 0; i < program->buffers.n; i++) {
    const tn_buffer *buffer = program->buffers.data[i];
    donor_check v = {.at = {ctx, "program", program->name, loc, true}, .program = program, .out = buffer,
                     .in = buffer->donor};
    if (v.in) check_donor(&v);
    ok &= v.at.ok;
  }
  return ok;
}
