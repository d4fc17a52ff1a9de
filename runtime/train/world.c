/* Loading of the message-passing library, waiting with a limit, and naming who is missing; see world.h. */
#include "runtime/train/world.h"

#include <dlfcn.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
  TAG_MISSING = 1,   /* where the sender waits, once some process has waited too long */
  TAG_ASKED,         /* the signal that asks the sender to end */
  GATHER_SECONDS = 3, /* for which the others' places are waited for then */
  SAVING_SECONDS = 60 /* that the one which speaks may take for a checkpoint */
};

/* Rounds of waiting, of tenths of a microsecond: so many at once, then others may run in between, then it sleeps. The
 * clock is asked only when it lasts. */
enum { ROUNDS_ALONE = 32, ROUNDS_UNTIMED = 512, ROUNDS_AWAKE = 4096 };

/* ---- who starts us ---- */

typedef struct launcher {
  const char *family, *size; /* the variable that holds the number of processes */
} launcher;

static const launcher launchers[] = {{"openmpi", "OMPI_COMM_WORLD_SIZE"}, {"mpich", "PMI_SIZE"}};
enum { N_LAUNCHERS = sizeof launchers / sizeof launchers[0] };

/* The launcher that started this process, or NULL. */
static const launcher *find_launcher(int *out_size) {
  for (int i = 0; i < N_LAUNCHERS; i++) {
    const char *size = getenv(launchers[i].size);
    if (size && (*out_size = atoi(size)) > 0) return &launchers[i];
  }
  *out_size = 1;
  return NULL;
}

static bool is_family(const char *name) {
  for (int i = 0; i < N_LAUNCHERS; i++)
    if (strcmp(launchers[i].family, name) == 0) return true;
  return false;
}

/* ---- the plug-in ---- */

/* The folder of a file, and what lies from there at `rest`; "" where the path is too long. */
static void beside(const char *path, const char *rest, char *out, size_t bytes) {
  const char *slash = strrchr(path, '/');
  int n = slash ? snprintf(out, bytes, "%.*s%s", (int)(slash - path), path, rest) : 0;
  if (n <= 0 || (size_t)n >= bytes) *out = 0;
}

/* The folder of the tenon that PATH has first; "" where there is none. */
static void find_install(char *out, size_t bytes) {
  char path[4096], real[4097];
  *out = 0;
  for (const char *at = getenv("PATH"); at && *at && !*out; at += *at == ':') {
    size_t n = strcspn(at, ":");
    if (snprintf(path, sizeof path, "%.*s/tenon", (int)n, at) < (int)sizeof path && access(path, X_OK) == 0 &&
        realpath(path, real))
      beside(real, "/../lib/tenon", out, bytes);
    at += n;
  }
}

static void find_own(char *out, size_t bytes) {
  char path[4096];
  ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
  path[n > 0 ? n : 0] = 0;
  beside(path, "", out, bytes);
}

static bool try_folder(tnrt_world *w, const char *folder, const char *family, char *why, size_t why_bytes) {
  char path[4200];
  if (!folder || !*folder) return false;
  int n = snprintf(path, sizeof path, "%s/tenon_mpi_%s.so", folder, family);
  if (n < 0 || (size_t)n >= sizeof path || access(path, R_OK) != 0) return false;
  w->library = dlopen(path, RTLD_NOW | RTLD_GLOBAL); /* Open MPI loads components that refer to it */
  const char *failed = w->library ? NULL : dlerror();
  if (failed) snprintf(why, why_bytes, "%s", failed);
  return w->library;
}

static tnrt_status load(tnrt_world *w, const char *family) {
  char why[256] = "", own[4096], install[4096];
  const char *named = getenv("TENON_MPI_DIR");
  find_own(own, sizeof own);
  find_install(install, sizeof install);
  bool found = try_folder(w, own, family, why, sizeof why) || try_folder(w, named, family, why, sizeof why) ||
               try_folder(w, install, family, why, sizeof why);
  if (!found && why[0]) return tnrt_fail(w->message, TNRT_IO, "the plug-in for %s cannot be loaded: %s", family, why);
  if (!found)
    return tnrt_fail(w->message, TNRT_IO,
                     "there is no plug-in tenon_mpi_%s.so, neither beside the program (%.100s) nor in TENON_MPI_DIR "
                     "(%.100s) nor with the tenon in PATH (%.100s)", family, own, named ? named : "not set",
                     *install ? install : "none");
  w->comm = dlsym(w->library, TNRT_COMM_NAME);
  if (!w->comm || w->comm->version != TNRT_COMM)
    return tnrt_fail(w->message, TNRT_IO, "the plug-in for %s is one of another version of tenon", family);
  return TNRT_OK;
}

static tnrt_status fail_of(tnrt_world *w) {
  return tnrt_fail(w->message, TNRT_IO, "%s: %.300s", w->comm->family, w->comm->error());
}

tnrt_status tnrt_world_open(tnrt_world *w, tnrt_message *message, const tnrt_world_options *o) {
  int expected;
  const launcher *by = find_launcher(&expected);
  *w = (tnrt_world){.size = 1, .message = message, .timeout = o->timeout > 0 ? o->timeout : 120,
                    .first_timeout = o->timeout > 0 ? o->timeout : 600};
  const char *family = o->library ? o->library : by ? by->family : "none";
  if (strcmp(family, "none") == 0 && expected == 1) return TNRT_OK;
  if (strcmp(family, "none") == 0)
    return tnrt_fail(message, TNRT_BAD_INPUT, "started as one of %d processes by the mpirun of %s, which --mpi=none "
                     "would make %d trainings of one process", expected, by->family, expected);
  if (!is_family(family))
    return tnrt_fail(message, TNRT_BAD_INPUT, "--mpi=%.40s: expected openmpi, mpich or none", family);
  if (by && strcmp(by->family, family) != 0 && expected > 1)
    return tnrt_fail(message, TNRT_BAD_INPUT, "the mpirun that started this program is that of %s, --mpi names %s",
                     by->family, family);
  tnrt_status status = load(w, family);
  if (status != TNRT_OK) {
    w->comm = NULL;
    return status;
  }
  if (w->comm->start(&w->rank, &w->size)) return fail_of(w);
  if (w->size == expected || !by) return TNRT_OK;
  return tnrt_fail(message, TNRT_BAD_INPUT, "%s started %d processes, of which this one sees %d: the library of its "
                   "mpirun is another one than %s", by->family, expected, w->size, w->comm->library());
}

void tnrt_world_close(tnrt_world *w) {
  if (w->comm) w->comm->end();
  w->comm = NULL; /* the library stays loaded: those of MPI cannot be taken out of a process */
}

void tnrt_world_abort(tnrt_world *w, int status) {
  if (w->is_silent) sleep(2 * GATHER_SECONDS + (w->restarts ? SAVING_SECONDS : 0)); /* the one that speaks ends all */
  if (!w->comm || w->size == 1) return;
  /* The launcher may cut off what it has not read when it ends all. */
  nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
  w->comm->abort(status);
}

/* ---- waiting ---- */

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

typedef struct place {
  int64_t step;
  uint64_t number;
} place;

/* Tells the others where this process waits, hears where they do, and says who is behind. Every process that waits does
 * so at the same time, for the first one's message wakes the others. */
static tnrt_status name_missing(tnrt_world *w, const char *what) {
  place own = {w->step, w->number};
  bool is_here[TNRT_COMM_RANKS] = {false};
  int ignored, from, first = w->rank;
  is_here[w->rank] = true;
  w->is_lost = true;
  for (int r = 0; r < w->size; r++)
    if (r != w->rank) (void)w->comm->send(&own, sizeof own, r, TAG_MISSING, &ignored);
  for (double end = now() + GATHER_SECONDS; now() < end;) {
    place theirs = {-1, 0};
    int request, done = 0;
    if (w->comm->probe(TAG_MISSING, &from)) break;
    if (from < 0) {
      nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
      continue;
    }
    if (w->comm->receive(&theirs, sizeof theirs, from, TAG_MISSING, &request)) break;
    while (!done && !w->comm->test(request, &done)) continue;
    is_here[from] = theirs.number >= own.number;
    if (is_here[from] && from < first) first = from;
  }
  char ranks[128] = "";
  size_t n = 0;
  for (int r = 0; r < w->size; r++)
    if (!is_here[r] && n < sizeof ranks - 16) n += tnrt_text(ranks + n, sizeof ranks - n, n > 0 ? ", %d" : "%d", r);
  w->is_silent = first != w->rank; /* one of those that wait speaks for all */
  return tnrt_fail(w->message, TNRT_IO, "of %d processes these did not come to step %lld, %.200s: %s", w->size,
                   (long long)w->step, what, ranks);
}

tnrt_status tnrt_world_test(tnrt_world *w, int request, bool *out_done) {
  int done = 1;
  if (w->comm && request >= 0 && w->comm->test(request, &done)) return fail_of(w);
  *out_done = done;
  return TNRT_OK;
}

/* Messages so short are under way at once. */
static void tell_asked(tnrt_world *w) {
  for (int r = 0; r < w->size; r++) {
    int request, done = 0;
    if (r == w->rank || w->comm->send(&w->asked, sizeof w->asked, r, TAG_ASKED, &request)) continue;
    for (int i = 0; i < 1000 && !done; i++)
      if (w->comm->test(request, &done)) break;
  }
}

static void hear_asked(tnrt_world *w) {
  int from = -1, request, done = 0, number = 0;
  if (w->comm->probe(TAG_ASKED, &from) || from < 0) return;
  if (w->comm->receive(&number, sizeof number, from, TAG_ASKED, &request)) return;
  while (!done)
    if (w->comm->test(request, &done)) return;
  w->asked = number;
}

int tnrt_world_asked(tnrt_world *w) {
  if (w->asked) return w->asked;
  w->asked = w->pending ? w->pending(w->user) : 0;
  if (w->comm && w->asked) tell_asked(w);
  else if (w->comm) hear_asked(w);
  return w->asked;
}

void tnrt_world_work(tnrt_world *w, bool is_begun) { w->since = is_begun ? now() : 0; }

/* For how long the others are waited for that a process began to wait for at `start`. */
static double limit_of(const tnrt_world *w, double start) {
  return (w->step > 0 ? w->timeout : w->first_timeout) + (w->since > 0 ? start - w->since : 0);
}

tnrt_status tnrt_world_idle(tnrt_world *w, tnrt_patience *p, const char *what) {
  int from = -1;
  if (++p->rounds > ROUNDS_AWAKE) nanosleep(&(struct timespec){.tv_nsec = 20000}, NULL);
  else if (p->rounds > ROUNDS_ALONE) sched_yield();
  if (p->rounds < ROUNDS_UNTIMED) return TNRT_OK;
  if (p->rounds == ROUNDS_UNTIMED) p->start = now();
  bool is_late = now() - p->start > limit_of(w, p->start);
  if (!is_late && p->rounds % 64 == 0 && w->comm->probe(TAG_MISSING, &from)) return fail_of(w);
  if (p->rounds % 64 == 0) (void)tnrt_world_asked(w); /* others may wait elsewhere */
  return is_late || from >= 0 ? name_missing(w, what) : TNRT_OK;
}

/* The end of a call that began a request, or failed to. */
static tnrt_status end_of(tnrt_world *w, tnrt_status status, int request, const char *what) {
  bool done = false;
  tnrt_patience patience = {0};
  while (status == TNRT_OK) {
    status = tnrt_world_test(w, request, &done);
    if (status == TNRT_OK && done) break;
    if (status == TNRT_OK) status = tnrt_world_idle(w, &patience, what);
  }
  return status;
}

/* ---- calls ---- */

void tnrt_world_enter(tnrt_world *w) { w->number++; }

static tnrt_status begun(tnrt_world *w, int failed) { return failed ? fail_of(w) : TNRT_OK; }

tnrt_status tnrt_world_sum_begin(tnrt_world *w, void *buffer, size_t count, tnrt_comm_type type, int *out) {
  *out = -1;
  return w->comm ? begun(w, w->comm->sum(buffer, count, type, out)) : TNRT_OK;
}

tnrt_status tnrt_world_sum_parts_begin(tnrt_world *w, void *buffer, const int *counts, tnrt_comm_type type, int *out) {
  *out = -1;
  return w->comm ? begun(w, w->comm->sum_parts(buffer, counts, type, out)) : TNRT_OK;
}

tnrt_status tnrt_world_gather_begin(tnrt_world *w, void *buffer, const int *counts, int *out) {
  *out = -1;
  return w->comm ? begun(w, w->comm->gather(buffer, counts, out)) : TNRT_OK;
}

tnrt_status tnrt_world_broadcast_begin(tnrt_world *w, void *buffer, size_t bytes, int root, int *out) {
  *out = -1;
  return w->comm ? begun(w, w->comm->broadcast(buffer, bytes, root, out)) : TNRT_OK;
}

tnrt_status tnrt_world_send_begin(tnrt_world *w, const void *buffer, size_t bytes, int to, int tag, int *out) {
  return begun(w, w->comm->send(buffer, bytes, to, tag, out));
}

tnrt_status tnrt_world_receive_begin(tnrt_world *w, void *buffer, size_t bytes, int from, int tag, int *out) {
  return begun(w, w->comm->receive(buffer, bytes, from, tag, out));
}

tnrt_status tnrt_world_sum(tnrt_world *w, void *buffer, size_t count, tnrt_comm_type type, const char *what) {
  int request;
  tnrt_world_enter(w);
  tnrt_status status = tnrt_world_sum_begin(w, buffer, count, type, &request);
  return end_of(w, status, request, what);
}

tnrt_status tnrt_world_sum_parts(tnrt_world *w, void *buffer, const int *counts, tnrt_comm_type type,
                                 const char *what) {
  int request;
  tnrt_world_enter(w);
  tnrt_status status = tnrt_world_sum_parts_begin(w, buffer, counts, type, &request);
  return end_of(w, status, request, what);
}

tnrt_status tnrt_world_gather(tnrt_world *w, void *buffer, const int *counts, const char *what) {
  int request;
  tnrt_world_enter(w);
  tnrt_status status = tnrt_world_gather_begin(w, buffer, counts, &request);
  return end_of(w, status, request, what);
}

tnrt_status tnrt_world_broadcast(tnrt_world *w, void *buffer, size_t bytes, int root, const char *what) {
  int request;
  tnrt_world_enter(w);
  tnrt_status status = tnrt_world_broadcast_begin(w, buffer, bytes, root, &request);
  return end_of(w, status, request, what);
}
