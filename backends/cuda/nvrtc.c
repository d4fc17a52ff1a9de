/* NVRTC, CUDA's compiler as a library, loaded when it is wanted: tenon neither needs nor links it. Looked for under its
 * versioned names where the system's loader looks, then in the folders of a CUDA installation: $CUDA_HOME, $CUDA_PATH,
 * /usr/local/cuda.
 *
 * The functions are declared here as the documentation of NVRTC gives them, since its header may not be installed. */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "backends/cuda/cuda.h"

typedef struct program *handle; /* nvrtcProgram */

typedef struct nvrtc {
  int (*version)(int *major, int *minor);
  const char *(*error_string)(int result);
  int (*create)(handle *out, const char *text, const char *name, int n_headers, const char *const *headers,
                const char *const *names);
  int (*destroy)(handle *program);
  int (*compile)(handle program, int n_options, const char *const *options);
  int (*log_size)(handle program, size_t *out);
  int (*log)(handle program, char *out);
  int (*ptx_size)(handle program, size_t *out);
  int (*ptx)(handle program, char *out);
  int (*cubin_size)(handle program, size_t *out);
  int (*cubin)(handle program, char *out);
} nvrtc;

/* --- Loading --- */

static void *open_library(tn_ctx *ctx) {
  static const char *const names[] = {"libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"};
  static const char *const folders[] = {"lib64", "lib", "targets/x86_64-linux/lib", "targets/sbsa-linux/lib"};
  const char *homes[] = {getenv("CUDA_HOME"), getenv("CUDA_PATH"), "/usr/local/cuda"};
  for (size_t i = 0; i < TN_ARRAY_LEN(names); i++) {
    void *library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    if (library != NULL) return library;
  }
  for (size_t h = 0; h < TN_ARRAY_LEN(homes); h++)
    for (size_t f = 0; homes[h] != NULL && homes[h][0] == '/' && f < TN_ARRAY_LEN(folders); f++)
      for (size_t i = 0; i < TN_ARRAY_LEN(names); i++) {
        void *library = dlopen(tn_namef(ctx, "%s/%s/%s", homes[h], folders[f], names[i]), RTLD_NOW | RTLD_LOCAL);
        if (library != NULL) return library;
      }
  return NULL;
}

/* A function pointer from an object pointer, which C has no conversion for. */
static bool find(void *library, const char *name, void *out_function) {
  void *symbol = dlsym(library, name);
  memcpy(out_function, &symbol, sizeof(symbol));
  return symbol != NULL;
}

static bool load(tn_ctx *ctx, nvrtc *out) {
  void *library = open_library(ctx);
  if (library == NULL) {
    tn_error(ctx, TN_LOC_NONE, TN_E_RESOURCE, "NVRTC, the compiler of CUDA, is not installed: no libnvrtc.so of "
             "version 12 or 13 is found");
    tn_note(ctx, TN_LOC_NONE, "CUDA_HOME names the folder of an installation; --emit=cuda needs none");
    return false;
  }
  bool ok = find(library, "nvrtcVersion", &out->version) && find(library, "nvrtcGetErrorString", &out->error_string) &&
            find(library, "nvrtcCreateProgram", &out->create) &&
            find(library, "nvrtcDestroyProgram", &out->destroy) &&
            find(library, "nvrtcCompileProgram", &out->compile) &&
            find(library, "nvrtcGetProgramLogSize", &out->log_size) &&
            find(library, "nvrtcGetProgramLog", &out->log) && find(library, "nvrtcGetPTXSize", &out->ptx_size) &&
            find(library, "nvrtcGetPTX", &out->ptx) && find(library, "nvrtcGetCUBINSize", &out->cubin_size) &&
            find(library, "nvrtcGetCUBIN", &out->cubin);
  return ok ||
         tn_error(ctx, TN_LOC_NONE, TN_E_RESOURCE, "the libnvrtc.so that is found lacks a function: %s", dlerror());
}

/* --- Compiling --- */

typedef struct job {
  tn_ctx *ctx;
  const nvrtc *api;
  handle program;
  const char *name;
} job;

static bool check(const job *j, int result, const char *what) {
  return result == 0 || tn_error(j->ctx, TN_LOC_NONE, TN_E_BACKEND, "NVRTC cannot %s '%s': %s", what, j->name,
                                 j->api->error_string(result));
}

static const char *read_log(const job *j) {
  size_t n = 0;
  if (j->api->log_size(j->program, &n) != 0 || n == 0) return "";
  char *text = tn_arena_alloc(j->ctx->arena, n + 1);
  return j->api->log(j->program, text) == 0 ? text : "";
}

static void note_lines(tn_ctx *ctx, const char *text) {
  while (*text) {
    size_t n = strcspn(text, "\n");
    if (n > 0) tn_note(ctx, TN_LOC_NONE, "%.*s", (int)n, text);
    text += n + (text[n] == '\n');
  }
}

static bool run(const job *j, const char *arch, tn_cuda_code code, tn_buf *remarks) {
  const char *number = arch + strlen("sm_");
  /* Products are fused where the text says so and nowhere else; division and square roots are exact. */
  const char *options[] = {tn_namef(j->ctx, "--gpu-architecture=%s_%s", code == TN_CUDA_PTX ? "compute" : "sm", number),
                           "--fmad=false", "--prec-div=true", "--prec-sqrt=true", "--ftz=false", "--disable-warnings",
                           "--ptxas-options=-v"};
  int n = (int)TN_ARRAY_LEN(options) - (code == TN_CUDA_PTX);
  int result = j->api->compile(j->program, n, options);
  const char *log = read_log(j);
  if (!check(j, result, "compile")) {
    note_lines(j->ctx, log);
    return false;
  }
  if (remarks != NULL) {
    int major = 0, minor = 0;
    if (j->api->version(&major, &minor) == 0) tn_buf_printf(remarks, "NVRTC %d.%d, %s\n", major, minor, options[0]);
    tn_buf_puts(remarks, log);
  }
  return true;
}

static bool take(const job *j, tn_cuda_code code, tn_buf *out) {
  size_t n = 0;
  bool is_ptx = code == TN_CUDA_PTX;
  int result = is_ptx ? j->api->ptx_size(j->program, &n) : j->api->cubin_size(j->program, &n);
  if (!check(j, result, "measure")) return false;
  char *data = tn_arena_alloc(out->arena, n);
  result = is_ptx ? j->api->ptx(j->program, data) : j->api->cubin(j->program, data);
  if (!check(j, result, "write")) return false;
  tn_buf_append(out, data, is_ptx && n > 0 ? n - 1 : n); /* the size of a text counts its NUL */
  return true;
}

bool tn_cuda_compile(tn_ctx *ctx, const char *name, const char *text, const char *arch, tn_cuda_code code,
                     tn_buf *remarks, tn_buf *out) {
  nvrtc api;
  if (!load(ctx, &api)) return false;
  job j = {.ctx = ctx, .api = &api, .name = name};
  if (!check(&j, api.create(&j.program, text, name, 0, NULL, NULL), "take")) return false;
  bool ok = run(&j, arch, code, remarks) && take(&j, code, out);
  api.destroy(&j.program);
  return ok;
}
