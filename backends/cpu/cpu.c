/* The CPU backend: one row of the table in backends/backend.c. Scheduling and packing are plain C; code comes from the
 * module of code.h. */
#include <dlfcn.h>
#include <string.h>
#include <unistd.h>

#include "backends/cpu/code.h"
#include "backends/cpu/target.h"

/* The module's path beside the running program: <prefix>/bin/tenon has <prefix>/lib/tenon/tenon_llvm.so. */
static bool module_path(tn_ctx *ctx, char *path, size_t capacity) {
  static const char tail[] = "/lib/tenon/tenon_llvm.so";
  ssize_t n = readlink("/proc/self/exe", path, capacity);
  if (n <= 0 || (size_t)n >= capacity)
    return tn_error(ctx, TN_LOC_NONE, TN_E_RESOURCE, "cannot tell where this program lies: no /proc/self/exe");
  for (int level = 0; level < 2; level++) {
    while (n > 0 && path[n - 1] != '/') n--;
    if (n > 0) n--;
  }
  if ((size_t)n + sizeof(tail) > capacity)
    return tn_error(ctx, TN_LOC_NONE, TN_E_LIMIT, "the path of this program is too long");
  memcpy(path + n, tail, sizeof(tail));
  return true;
}

const tn_cpu_code *tn_cpu_code_load(tn_ctx *ctx) {
  char path[4096];
  if (!module_path(ctx, path, sizeof(path))) return NULL;
  void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (module == NULL) {
    tn_error(ctx, TN_LOC_NONE, TN_E_RESOURCE, "cannot load the code generator: %s", dlerror());
    return NULL;
  }
  const tn_cpu_code *code = dlsym(module, TN_CPU_CODE_SYMBOL);
  if (code == NULL || code->version != TN_CPU_CODE_VERSION) {
    tn_error(ctx, TN_LOC_NONE, TN_E_RESOURCE, "'%s' belongs to another version of tenon", path);
    return NULL;
  }
  return code;
}

static bool starts_with(const char *text, const char *start) { return strncmp(text, start, strlen(start)) == 0; }

static void fill_sizes(tn_target *target, const tn_cpu_row *row, bool is_arm) {
  bool is_512 = tn_cpu_has(target->features, "+avx512f") && tn_cpu_has(target->features, "+avx512vl");
  target->vector_bits = is_512 ? 512 : tn_cpu_has(target->features, "+avx") ? 256 : 128;
  target->n_vector_registers = is_512 || is_arm ? 32 : 16;
  target->has_fma = is_arm || tn_cpu_has(target->features, "+fma");
  target->l1_bytes = row != NULL ? row->l1_bytes : 32u << 10;
  target->l2_bytes = row != NULL ? row->l2_bytes : 512u << 10;
}

static bool is_supported(const char *triple) {
  return (starts_with(triple, "x86_64") || starts_with(triple, "aarch64")) && strstr(triple, "linux") != NULL;
}

/* A processor by name; when it is none of the table, says which are near. */
static bool resolve_named(tn_ctx *ctx, const char *cpu, bool is_arm, tn_target *out) {
  const tn_cpu_row *row = tn_cpu_row_find(is_arm, cpu);
  if (row == NULL) {
    const char *near = tn_cpu_row_nearest(is_arm, cpu);
    return tn_error(ctx, TN_LOC_NONE, TN_E_TARGET, "unknown processor '%s' for '%s'%s%s%s", cpu, out->triple,
                    near != NULL ? "; did you mean '" : "", near != NULL ? near : "", near != NULL ? "'?" : "");
  }
  out->cpu_resolved = row->name;
  out->features = row->features;
  fill_sizes(out, row, is_arm);
  return true;
}

static bool probe(tn_ctx *ctx, const char *cpu, const char *triple, tn_target *out) {
  bool asks_host = triple == NULL || triple[0] == 0;
  bool is_native = cpu == NULL || cpu[0] == 0 || strcmp(cpu, "native") == 0;
  *out = (tn_target){.backend = "cpu", .cpu = is_native ? "native" : tn_name(ctx, cpu), .opt_level = 2};
  const char *host_triple = NULL, *host_cpu = NULL, *host_features = NULL;
  if (asks_host || is_native) {
    const tn_cpu_code *code = tn_cpu_code_load(ctx);
    if (code == NULL) return false;
    code->host(ctx, &host_triple, &host_cpu, &host_features);
  }
  out->triple = asks_host ? host_triple : tn_name(ctx, triple);
  if (!is_supported(out->triple))
    return tn_error(ctx, TN_LOC_NONE, TN_E_TARGET, "no code can be made for '%s': expected linux on x86_64 or aarch64",
                    out->triple);
  bool is_arm = starts_with(out->triple, "aarch64");
  if (!is_native) return resolve_named(ctx, cpu, is_arm, out);
  if (is_arm != starts_with(host_triple, "aarch64"))
    return resolve_named(ctx, is_arm ? "generic" : "x86-64", is_arm, out);
  out->cpu_resolved = host_cpu;
  out->features = tn_cpu_common_features(ctx, is_arm, host_features);
  fill_sizes(out, tn_cpu_row_find(is_arm, host_cpu), is_arm);
  return true;
}

static bool emit(tn_ctx *ctx, const tn_target *target, const tn_program *program, const tn_emit_options *options,
                 tn_arena *arena, tn_object_part **out_parts, uint32_t *out_n_parts) {
  const tn_cpu_code *code = tn_cpu_code_load(ctx);
  return code != NULL && code->emit(ctx, target, program, options, arena, out_parts, out_n_parts);
}

static bool emit_all(tn_ctx *ctx, const tn_target *target, const tn_program *const *programs,
                     const tn_emit_options *options, uint32_t n, const char *prefix, tn_arena *arena,
                     tn_object_part **out_parts, uint32_t *out_n_parts) {
  const tn_cpu_code *code = tn_cpu_code_load(ctx);
  return code != NULL && code->emit_all(ctx, target, programs, options, n, prefix, arena, out_parts, out_n_parts);
}

/* What chooses must run on any processor of the machine. */
static bool emit_choice(tn_ctx *ctx, const tn_target *target, const tn_program *program, const tn_emit_options *options,
                        const char *const *prefixes, const char *const *names, uint32_t n, tn_arena *arena,
                        tn_object_part *out) {
  const tn_cpu_code *code = tn_cpu_code_load(ctx);
  tn_target any = *target;
  bool is_arm = starts_with(target->triple, "aarch64");
  return code != NULL && resolve_named(ctx, is_arm ? "generic" : "x86-64", is_arm, &any) &&
         code->emit_choice(ctx, &any, program, options, prefixes, names, n, arena, out);
}

static bool emit_text(tn_ctx *ctx, const tn_target *target, const tn_program *program,
                      const tn_emit_options *options, uint32_t level, tn_buf *out) {
  const tn_cpu_code *code = tn_cpu_code_load(ctx);
  return code != NULL && code->emit_text(ctx, target, program, options, level, out);
}

static const tn_emit_level levels[TN_CPU_N_LEVELS] = {
    [TN_CPU_TILES] = {.name = "tiles", .suffix = ".tiles", .doc = "loops over register tiles"},
    [TN_CPU_LLVM] = {.name = "llvm", .suffix = ".ll", .doc = "LLVM's text, before its passes", .has_lines = true},
    [TN_CPU_ASM] = {.name = "asm", .suffix = ".s", .doc = "assembly", .is_assembly = true, .has_lines = true},
};

const tn_backend tn_cpu_backend = {
    .name = "cpu",
    .doc = "x86-64 and AArch64 through LLVM: explicit vectors, tiles sized to the register file",
    .probe = probe,
    .schedule = tn_cpu_schedule,
    .packed_bytes = tn_cpu_packed_bytes,
    .pack = tn_cpu_pack,
    .emit = emit,
    .emit_all = emit_all,
    .levels = levels,
    .n_levels = TN_CPU_N_LEVELS,
    .emit_choice = emit_choice,
    .emit_text = emit_text,
};
