/* DWARF through LLVM's debugging metadata; see debug.h. */
#include <string.h>

#include <llvm-c/DebugInfo.h>

#include "backends/cpu/llvm/debug.h"

#define DWARF_VERSION 4 /* of 5 LLVM makes an index of names that gdb reads only when there is one unit */

struct tn_debug {
  const tn_debug_lines *lines;
  LLVMDIBuilderRef builder;
  LLVMMetadataRef file, unit, type;
  LLVMMetadataRef scope; /* the present function */
  uint32_t line;         /* its line */
};

static bool starts_with(const char *text, const char *prefix) { return strncmp(text, prefix, strlen(prefix)) == 0; }

/* Kernels are printed in the order of the module, each exactly once. */
const tn_debug_lines *tn_debug_lines_of(tn_arena *arena, const tn_program *program, const tn_debug_source *source) {
  if (source == NULL) return NULL;
  tn_debug_lines *lines = TN_NEW(arena, tn_debug_lines);
  lines->source = source;
  lines->kernels = tn_map_create(arena);
  const tn_module *module = program->module;
  size_t kernel = 0, n_programs = 0;
  bool is_here = false;
  uint32_t number = 1;
  for (const char *at = source->text; *at != 0; number++) {
    if (starts_with(at, "kernel @") && kernel < module->kernels.n)
      tn_map_set(&lines->kernels, module->kernels.data[kernel++], (void *)(uintptr_t)number);
    if (starts_with(at, "program @") && n_programs < module->programs.n) {
      is_here = module->programs.data[n_programs++] == program;
      if (is_here) lines->program_line = number;
    }
    if (is_here && starts_with(at + strspn(at, " "), "step ")) TN_VEC_PUSH(arena, &lines->steps, number);
    const char *end = strchr(at, '\n');
    if (end == NULL) break;
    at = end + 1;
  }
  return lines;
}

static void add_flag(tn_lower *l, const char *name, uint32_t value) {
  LLVMAddModuleFlag(l->module, LLVMModuleFlagBehaviorWarning, name, strlen(name),
                    LLVMValueAsMetadata(LLVMConstInt(l->i32, value, false)));
}

void tn_debug_open(tn_lower *l, const tn_debug_lines *lines) {
  if (lines == NULL) return;
  struct tn_debug *d = TN_NEW(l->arena, struct tn_debug);
  const char *file = lines->source->file, *folder = lines->source->folder, *producer = "tenon " TN_VERSION;
  add_flag(l, "Debug Info Version", LLVMDebugMetadataVersion());
  add_flag(l, "Dwarf Version", DWARF_VERSION);
  d->lines = lines;
  d->builder = LLVMCreateDIBuilder(l->module);
  d->file = LLVMDIBuilderCreateFile(d->builder, file, strlen(file), folder, strlen(folder));
  d->unit = LLVMDIBuilderCreateCompileUnit(d->builder, LLVMDWARFSourceLanguageC99, d->file, producer, strlen(producer),
                                           l->target->opt_level > 0, "", 0, 0, "", 0, LLVMDWARFEmissionFull, 0, false,
                                           false, "", 0, "", 0);
  d->type = LLVMDIBuilderCreateSubroutineType(d->builder, d->file, NULL, 0, LLVMDIFlagZero);
  l->debug = d;
}

void tn_debug_close(tn_lower *l) {
  if (l->debug == NULL) return;
  LLVMDIBuilderFinalize(l->debug->builder);
  LLVMDisposeDIBuilder(l->debug->builder);
  l->debug = NULL;
}

static void go_to_line(tn_lower *l, uint32_t line) {
  LLVMMetadataRef at = LLVMDIBuilderCreateDebugLocation(l->llvm, line, 0, l->debug->scope, NULL);
  LLVMSetCurrentDebugLocation2(l->builder, at);
}

void tn_debug_function(tn_lower *l, LLVMValueRef function, const char *name, uint32_t line) {
  struct tn_debug *d = l->debug;
  if (d == NULL) return;
  size_t length;
  const char *symbol = LLVMGetValueName2(function, &length);
  bool is_local = LLVMGetLinkage(function) == LLVMInternalLinkage;
  d->line = line;
  d->scope = LLVMDIBuilderCreateFunction(d->builder, d->file, name, strlen(name), symbol, length, d->file, line,
                                         d->type, is_local, true, line, LLVMDIFlagZero, l->target->opt_level > 0);
  LLVMSetSubprogram(function, d->scope);
  go_to_line(l, line);
}

/* Below the kernel's line come its space, a line an argument, and its nodes. */
void tn_debug_at_origin(tn_lower *l, uint32_t origin) {
  if (l->debug == NULL || l->debug->line == 0) return;
  go_to_line(l, origin == 0 ? l->debug->line : l->debug->line + 1 + (uint32_t)l->tile->kernel->args.n + origin);
}

void tn_debug_at_step(tn_lower *l, uint32_t step) {
  if (l->debug != NULL && step < l->debug->lines->steps.n) go_to_line(l, l->debug->lines->steps.data[step]);
}

uint32_t tn_debug_kernel_line(const tn_lower *l, const tn_kernel *kernel) {
  return l->debug == NULL ? 0 : (uint32_t)(uintptr_t)tn_map_get(&l->debug->lines->kernels, kernel);
}

uint32_t tn_debug_program_line(const tn_lower *l) { return l->debug == NULL ? 0 : l->debug->lines->program_line; }
