/* What the compiled models of a training program make known: the bytes of its arenas and its operations, for
 * static(...) in conditions and for the report that the program gives of itself (`info`). The runtime takes the same
 * arenas (runtime/train/session.c); tests/train/test_memory.py compares the two. */
#include "frontend/driver/driver.h"
#include "frontend/lang/tables.h"
#include "runtime/share.h"
#include "runtime/term.h"
#include "runtime/training.h"

enum { ALIGN_BYTES = 64, MAX_DEPTH = 64 };

typedef struct facts {
  const tnrt_training *plan;
  const tn_program *const *programs;
  bool has_parts; /* batches are done in parts, by grad and update */
  double flops, peak_memory;
} facts;

static const void *table(const facts *f, uint64_t at) { return (const char *)f->plan + at; }

static uint64_t rounded(uint64_t bytes) { return (bytes + ALIGN_BYTES - 1) / ALIGN_BYTES * ALIGN_BYTES; }

static uint64_t size_of(const tn_dim *bytes) { return bytes && bytes->hi != TN_DIM_INF ? (uint64_t)bytes->hi : 0; }

/* --- Bytes --- */

/* States of weights that are kept as bf16 or f16 are f32. */
static uint64_t state_bytes(const tnrt_weight *w) {
  return w->dtype == TNRT_BF16 || w->dtype == TNRT_F16 ? 2 * w->bytes : w->bytes;
}

/* Weights, states, and second values of what is not updated in place. */
static uint64_t persistent_bytes(const facts *f) {
  const tnrt_weight *weights = table(f, f->plan->weights);
  const tn_program *update = f->programs[f->has_parts ? TN_LANG_UPDATE : TN_LANG_STEP];
  uint32_t first = f->has_parts ? 1 : 2; /* behind the norm, and the loss */
  uint64_t bytes = 0;
  for (uint32_t i = 0; i < f->plan->n_weights; i++) {
    uint64_t each = rounded(weights[i].bytes);
    bool is_kept_twice = f->has_parts && weights[i].role == TNRT_WEIGHT_RUNNING; /* before and after a batch */
    bytes += each * (is_kept_twice ? 3 : 1);
    if (weights[i].role == TNRT_WEIGHT_TRAINED) bytes += f->plan->n_states * rounded(state_bytes(&weights[i]));
  }
  for (size_t i = 0; i < update->buffers.n; i++) {
    const tn_buffer *out = update->buffers.data[i];
    if (out->kind != TN_BUFFER_OUTPUT || out->index < first || out->donor) continue;
    bytes += rounded((uint64_t)tn_type_static_count(out->type) * tn_dtype_bytes(out->type->dtype));
  }
  return bytes;
}

static uint64_t step_bytes(const facts *f, uint64_t *out_least) {
  const tn_lang_part whole[] = {TN_LANG_STEP, TN_LANG_EVAL}, parts[] = {TN_LANG_GRAD, TN_LANG_UPDATE, TN_LANG_EVAL};
  uint64_t most = 0;
  *out_least = 0;
  for (size_t i = 0; i < (f->has_parts ? TN_ARRAY_LEN(parts) : TN_ARRAY_LEN(whole)); i++) {
    const tn_program *program = f->programs[f->has_parts ? parts[i] : whole[i]];
    uint64_t bytes = size_of(program->arena_bytes), least = size_of(program->arena_lower_bound);
    if (bytes > most) most = bytes;
    if (least > *out_least) *out_least = least;
  }
  return most < ALIGN_BYTES ? ALIGN_BYTES : most;
}

static uint64_t comm_bytes(const facts *f) {
  const tnrt_weight *weights = table(f, f->plan->weights);
  uint64_t each = 0;
  for (uint32_t i = 0; i < f->plan->n_weights && f->has_parts; i++)
    if (weights[i].role == TNRT_WEIGHT_TRAINED || weights[i].role == TNRT_WEIGHT_RUNNING)
      each += rounded(4 * weights[i].bytes / tn_dtype_bytes((tn_dtype)weights[i].dtype));
  if (f->plan->reproducible != TNRT_REPRODUCIBLE_WORLD) return 2 * each;
  int64_t unit = tnrt_share_unit(f->plan, 1);
  return tnrt_share_buffers((f->plan->batch + unit - 1) / unit, 1) * each;
}

/* --- Operations --- */

static bool one(const void *user, const tn_symbol *symbol, int64_t *out) {
  (void)user;
  *out = symbol->lo > 1 ? symbol->lo : 1;
  return true;
}

/* Of one run of a program with one sample. Steps inside loops count as often as these run, where that is known. */
static double flops_of(const tn_steps *steps) {
  double sum = 0;
  for (size_t i = 0; i < steps->n; i++) {
    const tn_step *step = steps->data[i];
    int64_t n = 0, times = 1;
    if (step->kind == TN_STEP_KERNEL && tn_dim_evaluate(tn_kernel_flops(step->kernel), one, NULL, &n)) sum += (double)n;
    if (step->kind == TN_STEP_LOOP && !tn_dim_evaluate(step->symbol->extent, one, NULL, &times)) times = 1;
    sum += (double)times * flops_of(&step->body) + flops_of(&step->otherwise);
  }
  return sum;
}

/* --- Conditions --- */

/* A condition of numbers alone; one that is too long is left to the run, which says so. */
static bool holds(const tnrt_term *terms, uint32_t n_terms) {
  double stack[MAX_DEPTH];
  uint32_t n = 0;
  for (uint32_t i = 0; i < n_terms; i++) {
    bool is_unary = terms[i].kind == TNRT_TERM_NEG || terms[i].kind == TNRT_TERM_NOT;
    uint32_t takes = terms[i].kind == TNRT_TERM_NUMBER ? 0 : is_unary ? 1 : 2;
    if (n < takes || n - takes == MAX_DEPTH) return true;
    n -= takes;
    if (takes == 0) stack[n] = terms[i].number;
    else if (is_unary) stack[n] = terms[i].kind == TNRT_TERM_NEG ? -stack[n] : stack[n] == 0;
    else stack[n] = tnrt_term_apply(terms[i].kind, stack[n], stack[n + 1]);
    n++;
  }
  return n != 1 || stack[0] != 0;
}

/* Fills in the numbers, and checks what can be. */
static bool complete_condition(tn_ctx *ctx, const facts *f, const tn_table_static *row, tnrt_term *terms) {
  bool has_flops = false, has_memory = false;
  for (uint32_t i = 0; i < row->n_terms; i++) {
    bool is_flops = terms[i].kind == TN_TERM_FLOPS;
    if (!is_flops && terms[i].kind != TN_TERM_PEAK_MEMORY) continue;
    has_flops |= is_flops;
    has_memory |= !is_flops;
    terms[i].kind = TNRT_TERM_NUMBER;
    terms[i].number = is_flops ? f->flops : f->peak_memory;
  }
  if (!row->is_required || holds(terms, row->n_terms)) return true;
  tn_error(ctx, row->loc, TN_E_CONTRACT, "required: %s, which does not hold", row->text);
  if (has_flops) tn_note(ctx, row->loc, "static(flops) is %.0f", f->flops);
  if (has_memory) tn_note(ctx, row->loc, "static(peak_memory) is %.0f bytes", f->peak_memory);
  return false;
}

bool tn_driver_complete_plan(tn_ctx *ctx, const tn_lang_training *made, const tn_program *const *programs) {
  tnrt_training *head = made->plan;
  facts f = {.plan = head, .programs = programs};
  f.has_parts = tnrt_share_unit(head, 1) > 0;
  f.peak_memory = (double)persistent_bytes(&f) + (double)step_bytes(&f, &head->step_least) + (double)comm_bytes(&f);
  f.flops = flops_of(&programs[TN_LANG_PREDICT]->steps);
  bool ok = true;
  for (size_t i = 0; i < made->n_statics; i++) {
    const tn_table_static *row = &made->statics[i];
    ok = complete_condition(ctx, &f, row, (tnrt_term *)(void *)((char *)made->plan + row->terms)) && ok;
  }
  return ok;
}
