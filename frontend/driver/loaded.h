/* A compiled library run in this process. Apart from the rest, as the names of its interface (runtime/tenon.h) are
 * those of the compiler's own types. */
#ifndef TN_FRONTEND_DRIVER_LOADED_H
#define TN_FRONTEND_DRIVER_LOADED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TN_LOADED_NDIM = 16 };

/* A dense row-major tensor in the storage of compiled programs. */
typedef struct tn_loaded_array {
  void *data;
  uint32_t ndim;
  int64_t extents[TN_LOADED_NDIM];
} tn_loaded_array;

typedef struct tn_loaded {
  void *library, *context;
  const void *model;
  char message[512]; /* after a failure */
} tn_loaded;

/* symbol: the library's tn_model. False: see message. */
bool tn_loaded_open(tn_loaded *loaded, const char *path, const char *symbol);
/* Bytes of memory that a run takes from its caller, zeroed. */
size_t tn_loaded_room_bytes(const tn_loaded *loaded);
/* Inputs in, outputs out, which are views that live until the next run or close; their number is the model's. */
bool tn_loaded_run(tn_loaded *loaded, void *room, const tn_loaded_array *inputs, tn_loaded_array *outputs);
void tn_loaded_close(tn_loaded *loaded);

#endif
