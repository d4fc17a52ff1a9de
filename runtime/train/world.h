/* The processes that train together. One process is a world of one, for which nothing is loaded and each call is done
 * at once. All processes make the same calls in the same order; a call that does not end in time names the processes
 * that did not come to it, and ends the job. */
#ifndef TNRT_TRAIN_WORLD_H
#define TNRT_TRAIN_WORLD_H

#include <stdbool.h>

#include "runtime/core/message.h"
#include "runtime/train/comm.h"

typedef struct tnrt_world {
  int rank, size;
  const tnrt_comm *comm; /* NULL: a world of one */
  void *library;
  tnrt_message *message;
  double timeout, first_timeout; /* seconds; first_timeout holds until a step is done */
  int64_t step;                  /* set by the caller: where it is, for messages */
  uint64_t number;               /* of the calls so far */
  bool is_lost;                  /* processes were missing: nothing is left but tnrt_world_abort */
  bool is_silent;                /* and another process says so */
} tnrt_world;

typedef struct tnrt_world_options {
  const char *library;  /* "openmpi", "mpich", "none", or NULL: what the launcher belongs to */
  double timeout;       /* 0: 120 seconds, and 600 for the first step */
} tnrt_world_options;

/* Finds the launcher by the environment it leaves (Open MPI: OMPI_COMM_WORLD_SIZE; MPICH and others with PMI:
 * PMI_SIZE), and its plug-in, tenon_mpi_FAMILY.so: beside the program, in the folder TENON_MPI_DIR names, and where
 * the tenon in PATH has it (../lib/tenon beside its bin). Without a launcher: a world of one. TNRT_BAD_INPUT: no
 * such library; a launcher whose processes do not find each other, as when --mpi names another library than that of
 * the mpirun. TNRT_IO: no plug-in, with the folders; the library failed. */
tnrt_status tnrt_world_open(tnrt_world *world, tnrt_message *message, const tnrt_world_options *options);
/* All processes have to come to it. */
void tnrt_world_close(tnrt_world *world);
/* Ends all processes with this exit status. May return. */
void tnrt_world_abort(tnrt_world *world, int status);

/* Begins a sum over all processes; *out_request is waited for. */
tnrt_status tnrt_world_sum_begin(tnrt_world *world, void *buffer, size_t count, tnrt_comm_type type, int *out_request);
/* Lets messages make progress; *out_done as soon as the request is done (a request of a world of one always is). */
tnrt_status tnrt_world_test(tnrt_world *world, int request, bool *out_done);
/* what: the tensor, and where it stands, for messages. TNRT_IO with is_lost when processes are missing. */
tnrt_status tnrt_world_wait(tnrt_world *world, int request, const char *what);

tnrt_status tnrt_world_sum(tnrt_world *world, void *buffer, size_t count, tnrt_comm_type type, const char *what);
tnrt_status tnrt_world_sum_parts(tnrt_world *world, void *buffer, const int *counts, tnrt_comm_type type,
                                 const char *what);
tnrt_status tnrt_world_gather(tnrt_world *world, void *buffer, const int *counts, const char *what);
tnrt_status tnrt_world_broadcast(tnrt_world *world, void *buffer, size_t bytes, int root, const char *what);
tnrt_status tnrt_world_send(tnrt_world *world, const void *buffer, size_t bytes, int to, const char *what);
tnrt_status tnrt_world_receive(tnrt_world *world, void *buffer, size_t bytes, int from, const char *what);

#endif
