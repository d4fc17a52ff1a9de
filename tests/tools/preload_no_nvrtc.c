/* A machine without CUDA: NVRTC is not found wherever it lies. For LD_PRELOAD. */
#include <dlfcn.h>
#include <string.h>

void *dlopen(const char *path, int mode) {
  void *next = dlsym(RTLD_NEXT, "dlopen");
  void *(*original)(const char *, int);
  memcpy(&original, &next, sizeof(original));
  return path && strstr(path, "nvrtc") ? NULL : original(path, mode);
}
