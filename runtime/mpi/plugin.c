/* The plug-in of one MPI library (runtime/train/comm.h), compiled with that library's mpicc: MPI 3.1, chapters 5.12
 * (nonblocking collectives) and 3.7. Errors return here, where they become text. */
#include <mpi.h>
#include <string.h>

#include "runtime/train/comm.h"

#if defined(OPEN_MPI)
#define FAMILY "openmpi"
#elif defined(MPICH_VERSION)
#define FAMILY "mpich"
#else
#define FAMILY "mpi"
#endif

static MPI_Request requests[TNRT_COMM_REQUESTS];
static int is_taken[TNRT_COMM_REQUESTS];
/* The arrays of a collective must live as long as its request. */
static int places[TNRT_COMM_REQUESTS][TNRT_COMM_RANKS];
static int n_ranks, own_rank;
static char text[MPI_MAX_ERROR_STRING + 1], version[MPI_MAX_LIBRARY_VERSION_STRING + 1];

static int fail(int code) {
  int n = 0;
  if (MPI_Error_string(code, text, &n) != MPI_SUCCESS) n = 0;
  text[n] = 0;
  return -1;
}

static int refuse(const char *why) {
  strncpy(text, why, sizeof text - 1);
  return -1;
}

static int take(int *out) {
  for (int i = 0; i < TNRT_COMM_REQUESTS; i++)
    if (!is_taken[i]) {
      is_taken[i] = 1;
      *out = i;
      return 0;
    }
  return refuse("too many messages at a time");
}

/* Of a call that began a request: gives the request back where it failed. */
static int begun(int code, int request) {
  if (code == MPI_SUCCESS) return 0;
  is_taken[request] = 0;
  return fail(code);
}

static MPI_Datatype type_of(tnrt_comm_type type) {
  return type == TNRT_COMM_F32 ? MPI_FLOAT : type == TNRT_COMM_F64 ? MPI_DOUBLE : MPI_INT64_T;
}

static const char *comm_library(void) {
  int n = 0;
  if (MPI_Get_library_version(version, &n) != MPI_SUCCESS) return FAMILY;
  version[strcspn(version, "\n")] = 0;
  return version;
}

static int comm_start(int *out_rank, int *out_size) {
  int provided, code = MPI_Init_thread(NULL, NULL, MPI_THREAD_SERIALIZED, &provided);
  if (code != MPI_SUCCESS) return fail(code);
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  if ((code = MPI_Comm_rank(MPI_COMM_WORLD, &own_rank)) != MPI_SUCCESS) return fail(code);
  if ((code = MPI_Comm_size(MPI_COMM_WORLD, &n_ranks)) != MPI_SUCCESS) return fail(code);
  if (n_ranks > TNRT_COMM_RANKS) return refuse("too many processes");
  if (provided < MPI_THREAD_SERIALIZED) return refuse("the library was built without threads");
  *out_rank = own_rank;
  *out_size = n_ranks;
  return 0;
}

static void comm_end(void) { MPI_Finalize(); }
static void comm_abort(int status) { MPI_Abort(MPI_COMM_WORLD, status); }
static const char *comm_error(void) { return text; }

static int comm_sum(void *buffer, size_t count, tnrt_comm_type type, int *out) {
  if (count > INT32_MAX) return refuse("a sum of more than 2^31 - 1 elements");
  if (take(out)) return -1;
  return begun(MPI_Iallreduce(MPI_IN_PLACE, buffer, (int)count, type_of(type), MPI_SUM, MPI_COMM_WORLD,
                              &requests[*out]), *out);
}

static int comm_sum_parts(void *buffer, const int *counts, tnrt_comm_type type, int *out) {
  if (take(out)) return -1;
  memcpy(places[*out], counts, (size_t)n_ranks * sizeof *counts);
  return begun(MPI_Ireduce_scatter(MPI_IN_PLACE, buffer, places[*out], type_of(type), MPI_SUM, MPI_COMM_WORLD,
                                   &requests[*out]), *out);
}

static int comm_gather(void *buffer, const int *counts, int *out) {
  static int kept[TNRT_COMM_REQUESTS][TNRT_COMM_RANKS];
  if (take(out)) return -1;
  int at = 0;
  for (int r = 0; r < n_ranks; r++) {
    kept[*out][r] = counts[r];
    places[*out][r] = at;
    at += counts[r];
  }
  return begun(MPI_Iallgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, buffer, kept[*out], places[*out], MPI_BYTE,
                               MPI_COMM_WORLD, &requests[*out]), *out);
}

static int comm_broadcast(void *buffer, size_t bytes, int root, int *out) {
  if (bytes > INT32_MAX) return refuse("a message of more than 2^31 - 1 bytes");
  if (take(out)) return -1;
  return begun(MPI_Ibcast(buffer, (int)bytes, MPI_BYTE, root, MPI_COMM_WORLD, &requests[*out]), *out);
}

static int comm_send(const void *buffer, size_t bytes, int to, int tag, int *out) {
  if (bytes > INT32_MAX) return refuse("a message of more than 2^31 - 1 bytes");
  if (take(out)) return -1;
  return begun(MPI_Isend(buffer, (int)bytes, MPI_BYTE, to, tag, MPI_COMM_WORLD, &requests[*out]), *out);
}

static int comm_receive(void *buffer, size_t bytes, int from, int tag, int *out) {
  if (bytes > INT32_MAX) return refuse("a message of more than 2^31 - 1 bytes");
  if (take(out)) return -1;
  return begun(MPI_Irecv(buffer, (int)bytes, MPI_BYTE, from, tag, MPI_COMM_WORLD, &requests[*out]), *out);
}

static int comm_test(int request, int *out_done) {
  int code = MPI_Test(&requests[request], out_done, MPI_STATUS_IGNORE);
  if (code != MPI_SUCCESS) return fail(code);
  if (*out_done) is_taken[request] = 0;
  return 0;
}

static int comm_probe(int tag, int *out_from) {
  int is_there = 0;
  MPI_Status status;
  int code = MPI_Iprobe(MPI_ANY_SOURCE, tag, MPI_COMM_WORLD, &is_there, &status);
  if (code != MPI_SUCCESS) return fail(code);
  *out_from = is_there ? status.MPI_SOURCE : -1;
  return 0;
}

extern const tnrt_comm tnrt_comm_plugin;
__attribute__((visibility("default"))) const tnrt_comm tnrt_comm_plugin = {
    .version = TNRT_COMM,
    .family = FAMILY,
    .library = comm_library,
    .start = comm_start,
    .end = comm_end,
    .abort = comm_abort,
    .error = comm_error,
    .sum = comm_sum,
    .sum_parts = comm_sum_parts,
    .gather = comm_gather,
    .broadcast = comm_broadcast,
    .send = comm_send,
    .receive = comm_receive,
    .test = comm_test,
    .probe = comm_probe,
};
