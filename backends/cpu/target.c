/* The processors that -march names, and what the scheduler must know of them. Features are LLVM's names; only those are
 * used that code for tensors can gain from. Sources: the x86-64 psABI (micro-architecture levels), LLVM's X86.td and
 * AArch64 processor lists. */
#include <string.h>

#include "backends/cpu/target.h"

#define V2 "+sse3,+ssse3,+sse4.1,+sse4.2,+popcnt"
#define AVX V2 ",+avx"
#define V3 AVX ",+avx2,+bmi,+bmi2,+f16c,+fma,+lzcnt,+movbe"
#define V4 V3 ",+avx512f,+avx512cd,+avx512dq,+avx512bw,+avx512vl"
#define VNNI V4 ",+avx512vnni"
#define ICELAKE VNNI ",+avx512vbmi,+avx512vbmi2,+avx512bitalg,+avx512vpopcntdq,+gfni"
#define ZEN4 ICELAKE ",+avx512bf16"
#define SAPPHIRE ZEN4 ",+avx512fp16,+avxvnni"

#define KB 1024u

static const tn_cpu_row rows[] = {
    {"x86-64", "", 32 * KB, 256 * KB},
    {"x86-64-v2", V2, 32 * KB, 256 * KB},
    {"x86-64-v3", V3, 32 * KB, 256 * KB},
    {"x86-64-v4", V4, 32 * KB, 1024 * KB},
    {"nehalem", V2, 32 * KB, 256 * KB},
    {"sandybridge", AVX, 32 * KB, 256 * KB},
    {"ivybridge", AVX ",+f16c", 32 * KB, 256 * KB},
    {"haswell", V3, 32 * KB, 256 * KB},
    {"broadwell", V3, 32 * KB, 256 * KB},
    {"skylake", V3, 32 * KB, 256 * KB},
    {"skylake-avx512", V4, 32 * KB, 1024 * KB},
    {"cascadelake", VNNI, 32 * KB, 1024 * KB},
    {"cooperlake", VNNI ",+avx512bf16", 32 * KB, 1024 * KB},
    {"icelake-client", ICELAKE, 48 * KB, 512 * KB},
    {"icelake-server", ICELAKE, 48 * KB, 1280 * KB},
    {"tigerlake", ICELAKE, 48 * KB, 1280 * KB},
    {"rocketlake", ICELAKE, 48 * KB, 512 * KB},
    {"sapphirerapids", SAPPHIRE, 48 * KB, 2048 * KB},
    {"emeraldrapids", SAPPHIRE, 48 * KB, 2048 * KB},
    {"graniterapids", SAPPHIRE, 48 * KB, 2048 * KB},
    {"alderlake", V3 ",+avxvnni,+gfni", 48 * KB, 1280 * KB},
    {"raptorlake", V3 ",+avxvnni,+gfni", 48 * KB, 2048 * KB},
    {"znver1", V3, 32 * KB, 512 * KB},
    {"znver2", V3, 32 * KB, 512 * KB},
    {"znver3", V3, 32 * KB, 512 * KB},
    {"znver4", ZEN4, 32 * KB, 1024 * KB},
    {"znver5", ZEN4 ",+avxvnni", 48 * KB, 1024 * KB},
};

static const tn_cpu_row arm_rows[] = {
    {"generic", "+neon", 32 * KB, 512 * KB},       {"cortex-a53", "+neon", 32 * KB, 512 * KB},
    {"cortex-a72", "+neon", 32 * KB, 1024 * KB},   {"cortex-a76", "+neon", 64 * KB, 512 * KB},
    {"neoverse-n1", "+neon", 64 * KB, 1024 * KB},  {"neoverse-v1", "+neon", 64 * KB, 1024 * KB},
    {"neoverse-n2", "+neon", 64 * KB, 1024 * KB},  {"apple-m1", "+neon", 64 * KB, 4096 * KB},
};

static const tn_cpu_row *table_of(bool is_arm, size_t *out_n) {
  *out_n = is_arm ? TN_ARRAY_LEN(arm_rows) : TN_ARRAY_LEN(rows);
  return is_arm ? arm_rows : rows;
}

const tn_cpu_row *tn_cpu_row_find(bool is_arm, const char *name) {
  size_t n;
  const tn_cpu_row *table = table_of(is_arm, &n);
  for (size_t i = 0; i < n; i++)
    if (strcmp(table[i].name, name) == 0) return &table[i];
  return NULL;
}

const char *tn_cpu_row_nearest(bool is_arm, const char *name) {
  const char *names[TN_ARRAY_LEN(rows) + TN_ARRAY_LEN(arm_rows)];
  size_t n;
  const tn_cpu_row *table = table_of(is_arm, &n);
  for (size_t i = 0; i < n; i++) names[i] = table[i].name;
  return tn_str_nearest(name, names, n);
}

static bool lists(const char *features, const char *name, size_t length) {
  for (const char *at = features; *at != 0;) {
    size_t n = strcspn(at, ",");
    if (n == length && memcmp(at, name, n) == 0) return true;
    at += n + (at[n] == ',');
  }
  return false;
}

bool tn_cpu_has(const char *features, const char *name) { return lists(features, name, strlen(name)); }

const char *tn_cpu_common_features(tn_ctx *ctx, bool is_arm, const char *features) {
  tn_buf buf = tn_buf_create(ctx->arena);
  for (const char *at = is_arm ? "+neon" : SAPPHIRE; *at != 0;) {
    size_t n = strcspn(at, ",");
    if (lists(features, at, n)) {
      if (buf.n > 0) tn_buf_putc(&buf, ',');
      tn_buf_append(&buf, at, n);
    }
    at += n + (at[n] == ',');
  }
  return tn_name(ctx, buf.n == 0 ? "" : buf.data);
}
