/* Passes: each is a row of the table in pipeline.c, which is also the order they run in. Order constraints are rows
 * with a reason, checked by a test. From the rows follow --dump-after=, --stop-after=, --skip=, --only=, --time-passes,
 * --verify-each, --check-each and --print-passes. */
#ifndef TN_PASSES_PASS_H
#define TN_PASSES_PASS_H

#include "backends/backend.h"
#include "ir/eval.h"

typedef enum tn_pass_level { TN_PASS_GRAPH, TN_PASS_KERNELS, TN_PASS_PROGRAM } tn_pass_level;

typedef struct tn_pass_context {
  tn_ctx *ctx;
  tn_module *module;
  tn_func *entry;
  const tn_backend *backend;
  const tn_target *target;
  uint32_t opt_level;
  uint64_t memory_budget; /* of the arena, at the largest sizes that are bounded; 0 = none */
  bool remat;             /* values of the forward pass are computed again in the backward pass, until ... */
  uint64_t remat_target;  /* ... so many bytes are held at once, as far as the graph tells */
  bool remat_keeps;       /* instead: all between the first and the last mark (fence) but what is marked */
  bool at_bound;          /* sizes are planned at their upper bounds, where they have some */
  bool no_heap;           /* the program may not allocate: buffers without a bound are refused */
  bool is_apart;          /* each operator is a kernel of its own, all of its result in one buffer of its own */
  uint32_t max_workers;   /* threads that one call may use; at least 1 */
  tn_program *program;    /* made by the lower pass */
} tn_pass_context;

typedef struct tn_pass {
  const char *name;
  tn_pass_level level;
  bool (*run)(tn_pass_context *context); /* false: reported */
  bool needed;                           /* --skip= refuses it */
  const char *doc;                       /* one line */
} tn_pass;

typedef struct tn_pass_order {
  const char *first, *then, *reason;
} tn_pass_order;

extern const tn_pass tn_passes[];
extern const uint32_t tn_n_passes;
extern const tn_pass_order tn_pass_orders[];
extern const uint32_t tn_n_pass_orders;

typedef struct tn_pipeline_options {
  const char *const *dump_after; /* names, or "all"; NULL-terminated lists or NULL */
  const char *const *skip;
  const char *const *only;
  const char *stop_after;
  bool verify_each, check_each, time_passes;
  /* Called for --dump-after with the text. */
  void (*dump)(void *user, const char *pass, const char *text, size_t length);
  /* Called after each pass that ran, when given. */
  void (*ran)(void *user, const tn_pass *pass, double milliseconds);
  void *user;
} tn_pipeline_options;

/* Runs the table. False when a pass failed (reported); *out_failed_pass names it, and when it was the verifier after a
 * pass that failed, a fault of tenon, *out_is_fault is true. */
bool tn_pipeline_run(tn_pass_context *context, const tn_pipeline_options *options, const char **out_failed_pass,
                     bool *out_is_fault);

/* check.c. Random contents for the inputs of an entry, in sizes that its guards allow and that fit the reference's
 * budget; out has room for one a parameter. False, without a report: none were found. */
bool tn_check_inputs(const tn_func *func, tn_arena *arena, tn_tensor **out);

#endif
