/* Results that may lie in place of the argument that they are the next value of (tn_func.donations): weights and states
 * of a training's update. A pair qualifies where every read of the argument comes before the step that writes the
 * result, or is of the very element that is written then, by a kernel that makes each element once. ir/verify_donor.c
 * proves what is found here by other means. */
#include "passes/passes.h"

static tn_buffer *find(const tn_program *program, tn_buffer_kind kind, uint32_t index) {
  for (size_t i = 0; i < program->buffers.n; i++) {
    tn_buffer *buffer = program->buffers.data[i];
    if (buffer->kind == kind && buffer->index == index) return buffer;
  }
  return NULL;
}

static bool touches(const tn_step *step, const tn_buffer *buffer) {
  for (size_t i = 0; i < step->args.n; i++)
    if (step->args.data[i] == buffer || step->args.data[i]->owner == buffer) return true;
  return false;
}

/* Kernels whose last tiles overlap make elements twice; with extents that are numbers none does (backends/cpu). */
static bool makes_once(const tn_kernel *kernel) {
  for (size_t i = 0; i < kernel->space.n; i++) {
    const tn_axis *axis = &kernel->space.data[i];
    if (axis->kind == TN_AXIS_ROW || (axis->kind == TN_AXIS_PAR && !tn_dim_is_const(axis->extent))) return false;
  }
  return true;
}

static const tn_knode *lone_write(const tn_step *step, const tn_buffer *out) {
  const tn_knode *found = NULL;
  for (size_t i = 0; i < step->kernel->nodes.n; i++) {
    const tn_knode *node = step->kernel->nodes.data[i];
    if (!tn_knode_is_write(node) || step->args.data[node->arg] != out) continue;
    if (found || node->kind == TN_K_UPDATE || step->kernel->args.data[node->arg].part_axis >= 0) return NULL;
    found = node;
  }
  return found;
}

/* Whether the step reads of `in` the elements that it writes to `out` at the same points, and no others. */
static bool reads_same(const tn_step *step, const tn_buffer *in, const tn_buffer *out) {
  if (step->kind != TN_STEP_KERNEL || !makes_once(step->kernel)) return false;
  const tn_kernel *kernel = step->kernel;
  const tn_knode *write = lone_write(step, out);
  if (!write) return false;
  for (size_t i = 0; i < kernel->nodes.n; i++) {
    const tn_knode *node = kernel->nodes.data[i];
    if (node->kind != TN_K_READ || (step->args.data[node->arg] != in && step->args.data[node->arg]->owner != in))
      continue;
    const tn_karg *from = &kernel->args.data[node->arg], *to = &kernel->args.data[write->arg];
    if (step->args.data[node->arg] != in || node->n_in > 0 || from->type != to->type || from->storage != to->storage)
      return false;
    for (uint32_t k = 0; k < node->n_index; k++)
      if (node->index[k] != write->index[k]) return false;
  }
  return true;
}

/* Steps inside others run several times: the one that writes is none of them. */
static bool is_outermost(const tn_program *program, const tn_step *step) {
  for (size_t i = 0; i < program->steps.n; i++)
    if (program->steps.data[i] == step) return true;
  return false;
}

static bool qualifies(const tn_program *program, const tn_steps *steps, const tn_buffer *in, const tn_buffer *out) {
  size_t at = 0, n_writers = 0;
  for (size_t i = 0; i < steps->n; i++)
    if (touches(steps->data[i], out)) {
      at = i;
      n_writers++;
    }
  if (n_writers != 1 || !is_outermost(program, steps->data[at]) || in->type != out->type) return false;
  for (size_t i = at + 1; i < steps->n; i++)
    if (touches(steps->data[i], in)) return false;
  return reads_same(steps->data[at], in, out);
}

bool tn_pass_donate(tn_pass_context *context) {
  tn_program *program = context->program;
  tn_arena *scratch = tn_arena_create_scratch(context->ctx->arena);
  tn_steps steps = tn_program_all_steps(program, scratch);
  for (size_t i = 0; i < context->entry->donations.n; i++) {
    const tn_donation *donation = &context->entry->donations.data[i];
    tn_buffer *in = find(program, TN_BUFFER_INPUT, donation->param);
    tn_buffer *out = find(program, TN_BUFFER_OUTPUT, donation->result);
    if (in && out && qualifies(program, &steps, in, out)) out->donor = in;
  }
  tn_arena_destroy(scratch);
  return true;
}
