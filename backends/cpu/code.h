/* The code generator module lib/tenon/tenon_llvm.so, as the rest of the CPU backend sees it. It is loaded when machine
 * code (or the host's name) is wanted, so that everything else starts without LLVM. */
#ifndef TN_BACKENDS_CPU_CODE_H
#define TN_BACKENDS_CPU_CODE_H

#include "backends/cpu/tile.h"

#define TN_CPU_CODE_VERSION 3u
#define TN_CPU_CODE_SYMBOL "tn_cpu_code_table"

/* Numbers in the backend's table of levels. */
typedef enum tn_cpu_level { TN_CPU_TILES, TN_CPU_LLVM, TN_CPU_ASM, TN_CPU_N_LEVELS } tn_cpu_level;

typedef struct tn_cpu_code {
  uint32_t version; /* TN_CPU_CODE_VERSION */
  /* The machine we run on, in LLVM's names; texts of session lifetime. */
  void (*host)(tn_ctx *ctx, const char **out_triple, const char **out_cpu, const char **out_features);
  bool (*emit)(tn_ctx *ctx, const tn_target *target, const tn_program *program, const tn_emit_options *options,
               tn_arena *arena, tn_object_part **out_parts, uint32_t *out_n_parts);
  bool (*emit_all)(tn_ctx *ctx, const tn_target *target, const tn_program *const *programs,
                   const tn_emit_options *options, uint32_t n, const char *prefix, tn_arena *arena,
                   tn_object_part **out_parts, uint32_t *out_n_parts);
  bool (*emit_choice)(tn_ctx *ctx, const tn_target *target, const tn_program *program, const tn_emit_options *options,
                      const char *const *prefixes, const char *const *names, uint32_t n, tn_arena *arena,
                      tn_object_part *out);
  bool (*emit_text)(tn_ctx *ctx, const tn_target *target, const tn_program *program, const tn_emit_options *options,
                    uint32_t level, tn_buf *out);
  /* The object of one tile function alone, under the given symbol; for tests of lowering. */
  bool (*compile_tile)(tn_ctx *ctx, const tn_target *target, const tn_tile_func *tile, const char *symbol,
                       tn_arena *arena, tn_object_part *out);
} tn_cpu_code;

/* Loads the module beside the running program (bin/../lib/tenon); NULL when reported. */
const tn_cpu_code *tn_cpu_code_load(tn_ctx *ctx);

/* The table that the module exports under TN_CPU_CODE_SYMBOL. */
extern const tn_cpu_code tn_cpu_code_table;

#endif
