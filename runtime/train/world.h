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
  double since;                  /* since when shares of some work are done (tnrt_world_work); 0: none are */
  int64_t step;                  /* set by the caller: where it is, for messages */
  uint64_t number;               /* of the places entered so far */
  bool is_lost;                  /* processes were missing: nothing is left but tnrt_world_abort */
  bool is_silent;                /* and another process says so */
  bool is_told;                  /* all processes failed by what told_by has told them (shards.h) */
  int told_by;
  bool restarts;                 /* set by the caller: it saves first, and the job is to be started again */
  /* Set by the caller: the signal that asks this process to end, or 0; NULL: none ever does. */
  int (*pending)(const void *user);
  const void *user;
  int asked;                     /* some process's signal; what is told of it stays here */
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

/* The signal that asks this process or another one to end, or 0: asked for while something lasts. The first process
 * that has one tells the others, so that all hear of it soon, though not at one place: that they agree upon. */
int tnrt_world_asked(tnrt_world *world);

/* From now on each process does its share of some work, until is_begun is false: one that waits gives the others as
 * long again as it has worked, for what takes one of them an hour may take another an hour and a quarter. */
void tnrt_world_work(tnrt_world *world, bool is_begun);

/* A place that all processes come to: processes that wait there too long name those that have not entered. The calls
 * that wait enter by themselves; several that were begun count as one place, which their caller enters. */
void tnrt_world_enter(tnrt_world *world);

/* Calls that begin only; *out_request is waited for. All processes begin those that all take part in in one order; a
 * message has a tag from TNRT_WORLD_TAGS on. */
enum { TNRT_WORLD_TAGS = 16 };
tnrt_status tnrt_world_sum_begin(tnrt_world *world, void *buffer, size_t count, tnrt_comm_type type, int *out_request);
tnrt_status tnrt_world_sum_parts_begin(tnrt_world *world, void *buffer, const int *counts, tnrt_comm_type type,
                                       int *out_request);
tnrt_status tnrt_world_gather_begin(tnrt_world *world, void *buffer, const int *counts, int *out_request);
tnrt_status tnrt_world_broadcast_begin(tnrt_world *world, void *buffer, size_t bytes, int root, int *out_request);
tnrt_status tnrt_world_send_begin(tnrt_world *world, const void *buffer, size_t bytes, int to, int tag,
                                  int *out_request);
tnrt_status tnrt_world_receive_begin(tnrt_world *world, void *buffer, size_t bytes, int from, int tag,
                                     int *out_request);
/* Lets messages make progress; *out_done as soon as the request is done (a request of a world of one always is). */
tnrt_status tnrt_world_test(tnrt_world *world, int request, bool *out_done);

/* How long something was waited for; {0} at first. */
typedef struct tnrt_patience {
  uint64_t rounds;
  double start;
} tnrt_patience;
/* A round of waiting in which nothing was done: gives the processor to others when it lasts. what: the tensor, and
 * where it stands, for messages. TNRT_IO with is_lost when processes are missing. */
tnrt_status tnrt_world_idle(tnrt_world *world, tnrt_patience *patience, const char *what);

/* Calls that wait. */
tnrt_status tnrt_world_sum(tnrt_world *world, void *buffer, size_t count, tnrt_comm_type type, const char *what);
tnrt_status tnrt_world_sum_parts(tnrt_world *world, void *buffer, const int *counts, tnrt_comm_type type,
                                 const char *what);
tnrt_status tnrt_world_gather(tnrt_world *world, void *buffer, const int *counts, const char *what);
tnrt_status tnrt_world_broadcast(tnrt_world *world, void *buffer, size_t bytes, int root, const char *what);

#endif
