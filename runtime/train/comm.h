/* What a training program needs of a message-passing library, as a plug-in gives it (runtime/mpi/plugin.c, compiled
 * once for each library): the program itself refers to none, so that it runs where none is installed. C99.
 *
 * All calls are made from one thread. Requests are numbers from 0 to TNRT_COMM_REQUESTS - 1, free again once test said
 * that they are done. A function returns 0, or -1 with its reason in error(). */
#ifndef TNRT_TRAIN_COMM_H
#define TNRT_TRAIN_COMM_H

#include <stddef.h>
#include <stdint.h>

#define TNRT_COMM 1u
#define TNRT_COMM_NAME "tnrt_comm_plugin" /* the plug-in exports `const tnrt_comm tnrt_comm_plugin` */

enum { TNRT_COMM_REQUESTS = 64, TNRT_COMM_RANKS = 4096 /* at most */ };

typedef enum tnrt_comm_type { TNRT_COMM_F32, TNRT_COMM_F64, TNRT_COMM_I64 } tnrt_comm_type;

typedef struct tnrt_comm {
  uint32_t version; /* TNRT_COMM */
  uint32_t reserved;
  const char *family;             /* "openmpi", "mpich" */
  const char *(*library)(void);   /* the library's own name and version, after start */
  int (*start)(int *out_rank, int *out_size);
  void (*end)(void);
  void (*abort)(int status);      /* ends all processes; may return */
  const char *(*error)(void);     /* of the last -1 */
  /* buffer becomes the sum of all processes' buffers, in no order that is promised. */
  int (*sum)(void *buffer, size_t count, tnrt_comm_type type, int *out_request);
  /* The same, but of counts[r] elements in a row process r gets its own alone, at the start of the buffer; what stands
   * behind them is undefined. */
  int (*sum_parts)(void *buffer, const int *counts, tnrt_comm_type type, int *out_request);
  /* Process r gives counts[r] bytes, which stand behind those of the processes before it; all get all. */
  int (*gather)(void *buffer, const int *counts, int *out_request);
  int (*broadcast)(void *buffer, size_t bytes, int root, int *out_request);
  int (*send)(const void *buffer, size_t bytes, int to, int tag, int *out_request);
  int (*receive)(void *buffer, size_t bytes, int from, int tag, int *out_request);
  int (*test)(int request, int *out_done); /* and lets the library make progress */
  int (*probe)(int tag, int *out_from);    /* a process whose message with this tag is there to be received, or -1 */
} tnrt_comm;

#endif
