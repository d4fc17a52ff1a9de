/* The program level: when and where things are computed (ir/IR.md section 9). One per entry point and target. */
#ifndef TN_IR_PROGRAM_H
#define TN_IR_PROGRAM_H

#include "ir/kernel.h"

typedef struct tn_program tn_program;

typedef enum tn_buffer_kind {
  TN_BUFFER_INPUT,  /* argument `index` of the entry: the caller's memory, dense row-major */
  TN_BUFFER_OUTPUT, /* result `index` of the entry, dense row-major: the caller's memory, or where an extent is found
                       while running ours, placed as ARENA's is */
  TN_BUFFER_CONST,  /* weights, placed in the object */
  TN_BUFFER_ARENA,  /* inside the arena, at `offset`, or in a slot of its own that grows */
  TN_BUFFER_VIEW    /* position `at` of axis 0 of `owner`, whose outermost axis in memory that is, without that axis */
} tn_buffer_kind;

typedef struct tn_buffer {
  tn_buffer_kind kind;
  const char *name;
  uint32_t id;               /* position in program->buffers */
  uint32_t index;            /* INPUT, OUTPUT */
  const tn_type *type;
  const tn_storage *storage;
  tn_const *constant;        /* CONST */
  const tn_dim *bytes;       /* ARENA: size, in the arena at the bound of late symbols; CONST: after packing */
  const tn_dim *offset;      /* ARENA, CONST: from the arena's or the weights' start; NULL before planning, in a slot */
  uint32_t slot;             /* ARENA: growing memory it lies in instead, < n_slots; TN_NO_SLOT = in the arena */
  uint32_t live_first, live_last; /* ARENA: numbers of steps, inclusive; what outlives a run of a loop's body has the
                                     whole loop */
  struct tn_buffer *owner;   /* VIEW: no view itself */
  const tn_dim *at;          /* VIEW: over size symbols and those of the loops that its steps are in */
  const char *format;        /* CONST: packed format chosen by schedule, or NULL = as stored */
  struct tn_buffer *donor;   /* OUTPUT: the INPUT whose memory the caller may give for it too; NULL: none */
} tn_buffer;

#define TN_NO_SLOT UINT32_MAX
#define TN_MAX_SLOTS 4096

typedef enum tn_step_kind {
  TN_STEP_KERNEL,
  TN_STEP_COPY,  /* args[0] -> args[1], same type and storage */
  TN_STEP_LOOP,  /* `body` once for each value of `symbol`, 0 .. extent - 1 in order */
  TN_STEP_WHILE, /* `body` as long as args[0], bool[], holds; looked at before each run */
  TN_STEP_IF,    /* `body` when args[0], bool[], holds, else `otherwise` */
  TN_STEP_READ,  /* `reads` become the elements of args[0], integers: their ranges are checked, then the guards that can
                    be decided from here on; slots grow to hold the buffers whose sizes become known */
  TN_STEP_CHECK  /* `guards`, which hold in the steps behind it in its list: those of a branch that is taken */
} tn_step_kind;

typedef TN_VEC(struct tn_step *) tn_steps;
typedef TN_VEC(const tn_symbol *) tn_symbols;

typedef struct tn_step {
  tn_step_kind kind;
  tn_kernel *kernel;
  TN_VEC(tn_buffer *) args; /* one a kernel argument, same order */
  tn_loc loc;
  const tn_dim *scratch_bytes; /* of one worker, from schedule */
  tn_buffer *scratch;          /* arena buffer of scratch, or NULL */
  const char *strategy;        /* from schedule, for reports */
  uint32_t parts;              /* fixed partition of the work; 1 = not divided */
  const tn_symbol *symbol;     /* LOOP: a TN_SYM_LOOP of this step alone */
  tn_steps body;               /* LOOP, WHILE, IF */
  tn_steps otherwise;          /* IF */
  tn_symbols reads;            /* READ: each the symbol of this step alone */
  TN_VEC(uint32_t) guards;     /* CHECK: positions in the program's */
} tn_step;

/* How an entry's size symbols are found: symbol = extent of axis of input. */
typedef struct tn_binding {
  const tn_symbol *symbol;
  uint32_t input, axis;
} tn_binding;

struct tn_program {
  tn_module *module;
  tn_func *func;
  const char *name;
  const char *target; /* "x86-64-v4"; NULL before a target was chosen */
  TN_VEC(tn_binding) bindings; /* the position of a symbol here is its run-time slot */
  tn_symbols late;             /* those that steps read, whose slots follow: bindings.n + position here */
  tn_guard_list guards;        /* checked after binding, before anything runs, those that are inner by a CHECK step;
                                  those with late symbols as soon as all of these are known, too */
  TN_VEC(tn_buffer *) buffers;
  tn_map buffer_names;         /* ever given */
  tn_map buffer_suffixes;      /* tn_name_fresh */
  tn_steps steps;              /* those inside others hang from them */
  const tn_dim *arena_bytes;   /* NULL before planning */
  const tn_dim *arena_lower_bound; /* largest sum of buffers live at one step */
  uint32_t n_slots;            /* memories that grow */
  uint64_t weights_bytes;
};

tn_program *tn_program_create(tn_module *module, tn_func *func, const char *name);
tn_buffer *tn_program_add_buffer(tn_program *program, tn_buffer_kind kind, const char *name, const tn_type *type,
                                 const tn_storage *storage);
/* False, reported, when the program uses a size that no axis of its inputs binds: no backend makes code of it yet. */
bool tn_program_check_sizes(tn_ctx *ctx, const tn_program *program);
/* At the end of steps: the program's, or those inside another. */
tn_step *tn_step_add(tn_program *program, tn_steps *steps, tn_step_kind kind, tn_loc loc);
/* A view of owner at position `at` of its axis 0. */
tn_buffer *tn_program_add_view(tn_program *program, tn_buffer *owner, const tn_dim *at);
/* A guard of a CHECK step. */
void tn_step_add_guard(tn_program *program, tn_step *step, const tn_guard *guard);
/* Lets a READ step, with its argument, read one more symbol. */
void tn_step_add_read(tn_program *program, tn_step *step, const tn_symbol *symbol);
/* True where an extent is found while running. */
bool tn_type_is_late(const tn_type *type);
/* True for what the plan places: ARENA, and results with late extents. */
bool tn_buffer_is_planned(const tn_buffer *buffer);

/* What a READ step makes known: positions of guards (of a CHECK step: those of its guards that can be decided there,
 * the others by READ steps behind it), and the buffers whose types have a late symbol of it, all late
 * symbols of which have values now. One a step (tn_program_all_steps). */
typedef struct tn_completion {
  TN_VEC(uint32_t) guards;
  TN_VEC(tn_buffer *) buffers;
} tn_completion;
tn_completion *tn_program_completions(const tn_program *program, tn_arena *arena);
/* True for steps whose body may run several times. */
bool tn_step_is_loop(const tn_step *step);
/* "loop", "while", "if", "read", "check", "copy", or the kernel's name. */
const char *tn_step_name(const tn_step *step);
/* All steps, those inside others behind them: a step's place here is its number, in texts, lives and profiles. */
tn_steps tn_program_all_steps(const tn_program *program, tn_arena *arena);
/* The number of steps, those inside others included. */
uint32_t tn_steps_count(const tn_steps *steps);
/* Bytes from the start of a view's owner to the view. */
const tn_dim *tn_view_offset(tn_ctx *ctx, const tn_buffer *view);

#endif
