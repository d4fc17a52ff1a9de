/* A hundred models in one program, at each level of the C interface. Compiled as C99 and as C++11. models.h, which
 * many.py writes, includes the headers of all and has the table `entries`.
 *   many check DIR      runs each model at each level and compares; looks after what a library must not touch
 *   many threads DIR    the same from sixteen threads at once
 *   many calls DIR N    N calls of each after the first; for counting allocations
 *   many stack DIR      the depth of the stack in each function, against the header's bound; prints the largest share
 *                       of it that was used, in percent
 *   many overflow DIR   a model writes behind a buffer that is too small: for AddressSanitizer to find
 *   many race DIR       two threads use one context, which is wrong: a race for ThreadSanitizer to find
 * DIR/inputs.bin holds all inputs one after the other. `check` writes the outputs to DIR/outputs.bin. */
#include <fcntl.h>
#include <fenv.h>
#include <locale.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "models.h"

enum { N_MODELS = sizeof entries / sizeof entries[0], N_THREADS = 16, MOST_PORTS = 4 };

/* The inputs of a model and what comes out. */
typedef struct sample {
  int64_t shapes[2 * MOST_PORTS][MOST_DIMS]; /* inputs, then outputs */
  void *data[2 * MOST_PORTS];
  size_t bytes[2 * MOST_PORTS];
} sample;

static sample samples[N_MODELS]; /* written before any thread starts */
extern char **environ;

#define CHECK(condition, e) \
  do { \
    if (!(condition)) fail(#condition, __LINE__, (e)); \
  } while (0)

static void fail(const char *what, int line, const entry *e) {
  fprintf(stderr, "many.c:%d: %s: %s\n", line, e ? e->name : "-", what);
  exit(1);
}

static void *take(size_t bytes, size_t align) {
  void *memory = NULL;
  if (posix_memalign(&memory, align, bytes ? bytes : 1) != 0) fail("out of memory", __LINE__, NULL);
  return memory;
}

/* ---- samples ---- */

static int64_t size_of(const entry *e, const char *symbol) {
  for (uint32_t s = 0; s < e->model->n_symbols; s++)
    if (strcmp(e->model->symbols[s].name, symbol) == 0) return e->sizes[s];
  fail("an input's extent is no symbol", __LINE__, e);
  return 0;
}

static size_t bytes_of(const tn_port *port, const int64_t *shape) {
  size_t n = port->dtype.bits / 8u;
  for (uint32_t i = 0; i < port->ndim; i++) n *= (size_t)shape[i];
  return n;
}

static tn_tensor tensor_of(const tn_port *port, int64_t *shape, void *data) {
  tn_tensor t;
  memset(&t, 0, sizeof t);
  t.data = data;
  t.device.device_type = 1;
  t.ndim = (int32_t)port->ndim;
  t.dtype = port->dtype;
  t.shape = shape;
  return t;
}

/* Tensors of a model over its sample; outputs with data NULL where `buffers` is, and where they must be views. */
static void tensors_of(int i, void *const *buffers, int64_t shapes[][MOST_DIMS], tn_tensor *in, tn_tensor *out) {
  const tn_model *m = entries[i].model;
  memcpy(shapes, samples[i].shapes, sizeof samples[i].shapes);
  for (uint32_t k = 0; k < m->n_inputs; k++) in[k] = tensor_of(&m->inputs[k], shapes[k], samples[i].data[k]);
  for (uint32_t k = 0; k < m->n_outputs; k++)
    out[k] = tensor_of(&m->outputs[k], shapes[m->n_inputs + k],
                       buffers && !m->outputs[k].is_late ? buffers[k] : NULL);
}

static void read_inputs(const char *folder) {
  char path[4096];
  snprintf(path, sizeof path, "%s/inputs.bin", folder);
  FILE *file = fopen(path, "rb");
  if (!file) fail("cannot open inputs.bin", __LINE__, NULL);
  for (int i = 0; i < N_MODELS; i++) {
    const tn_model *m = entries[i].model;
    CHECK(m->n_inputs <= MOST_PORTS && m->n_outputs <= MOST_PORTS, &entries[i]);
    for (uint32_t k = 0; k < m->n_inputs; k++) {
      const tn_port *port = &m->inputs[k];
      for (uint32_t axis = 0; axis < port->ndim; axis++) {
        const tn_extent *extent = &port->extents[axis];
        samples[i].shapes[k][axis] = extent->text ? size_of(&entries[i], extent->text) : extent->value;
      }
      size_t bytes = samples[i].bytes[k] = bytes_of(port, samples[i].shapes[k]);
      samples[i].data[k] = take(bytes, 64);
      CHECK(fread(samples[i].data[k], 1, bytes, file) == bytes, &entries[i]);
    }
  }
  CHECK(fgetc(file) == EOF, NULL);
  fclose(file);
}

/* What comes out is first asked of views, in an arena that has room for them. */
static void find_outputs(void) {
  for (int i = 0; i < N_MODELS; i++) {
    const entry *e = &entries[i];
    const tn_model *m = e->model;
    tn_tensor in[MOST_PORTS], out[MOST_PORTS];
    int64_t shapes[2 * MOST_PORTS][MOST_DIMS];
    void *ctx = NULL;
    tensors_of(i, NULL, shapes, in, out);
    size_t bytes = m->arena_bytes(e->sizes) + (1 << 20);
    void *arena = take(bytes, 64);
    CHECK(m->create(&ctx, NULL, arena, bytes, 1) == 0, e);
    if (m->run(ctx, in, out) != 0) fail(m->message(ctx), __LINE__, e);
    for (uint32_t k = 0; k < m->n_outputs; k++) {
      uint32_t at = m->n_inputs + k;
      CHECK(out[k].ndim == (int32_t)m->outputs[k].ndim && out[k].strides == NULL && out[k].byte_offset == 0, e);
      CHECK(memcmp(&out[k].dtype, &m->outputs[k].dtype, sizeof out[k].dtype) == 0, e);
      if (out[k].ndim) memcpy(samples[i].shapes[at], out[k].shape, (size_t)out[k].ndim * sizeof(int64_t));
      samples[i].bytes[at] = bytes_of(&m->outputs[k], samples[i].shapes[at]);
      samples[i].data[at] = take(samples[i].bytes[at], 64);
      memcpy(samples[i].data[at], out[k].data, samples[i].bytes[at]);
    }
    m->destroy(ctx);
    free(arena);
  }
}

static void write_outputs(const char *folder) {
  char path[4096];
  snprintf(path, sizeof path, "%s/outputs.bin", folder);
  FILE *file = fopen(path, "wb");
  if (!file) fail("cannot write outputs.bin", __LINE__, NULL);
  for (int i = 0; i < N_MODELS; i++)
    for (uint32_t k = 0; k < entries[i].model->n_outputs; k++) {
      uint32_t at = entries[i].model->n_inputs + k;
      CHECK(fwrite(samples[i].data[at], 1, samples[i].bytes[at], file) == samples[i].bytes[at], &entries[i]);
    }
  CHECK(fclose(file) == 0, NULL);
}

/* ---- each level ---- */

typedef struct user {
  void *buffers[MOST_PORTS];
} user;

static user make_user(int i) {
  user u;
  memset(&u, 0, sizeof u);
  for (uint32_t k = 0; k < entries[i].model->n_outputs; k++)
    u.buffers[k] = take(samples[i].bytes[entries[i].model->n_inputs + k], 64);
  return u;
}

static void end_user(int i, user *u) {
  for (uint32_t k = 0; k < entries[i].model->n_outputs; k++) free(u->buffers[k]);
}

static void spoil(int i, user *u) {
  for (uint32_t k = 0; k < entries[i].model->n_outputs; k++)
    memset(u->buffers[k], 0xa5, samples[i].bytes[entries[i].model->n_inputs + k]);
}

static void compare(int i, void *const *buffers) {
  for (uint32_t k = 0; k < entries[i].model->n_outputs; k++) {
    uint32_t at = entries[i].model->n_inputs + k;
    CHECK(memcmp(buffers[k], samples[i].data[at], samples[i].bytes[at]) == 0, &entries[i]);
  }
}

static void call_typed(int i, void *ctx, user *u) {
  spoil(i, u);
  CHECK(entries[i].run(ctx, entries[i].sizes, samples[i].data, u->buffers) == 0, &entries[i]);
  compare(i, u->buffers);
}

/* Into the caller's buffers, and as views. */
static void call_tensors(int i, void *ctx, user *u, int (*run)(void *, const tn_tensor *, tn_tensor *)) {
  tn_tensor in[MOST_PORTS], out[MOST_PORTS];
  int64_t shapes[2 * MOST_PORTS][MOST_DIMS];
  void *views[MOST_PORTS];
  spoil(i, u);
  tensors_of(i, u->buffers, shapes, in, out);
  CHECK(run(ctx, in, out) == 0, &entries[i]);
  for (uint32_t k = 0; k < entries[i].model->n_outputs; k++)
    if (entries[i].model->outputs[k].is_late)
      copy_view(u->buffers[k], out[k].data, out[k].shape, &entries[i].model->outputs[k]);
  compare(i, u->buffers);
  tensors_of(i, NULL, shapes, in, out);
  CHECK(run(ctx, in, out) == 0, &entries[i]);
  for (uint32_t k = 0; k < entries[i].model->n_outputs; k++) views[k] = out[k].data;
  compare(i, views);
}

/* Room for the context, its runs, and views of all outputs. */
static size_t arena_with_views(int i) {
  const tn_model *m = entries[i].model;
  size_t bytes = m->arena_bytes(entries[i].sizes);
  for (uint32_t k = 0; k < m->n_outputs; k++) bytes += (samples[i].bytes[m->n_inputs + k] + 63) / 64 * 64;
  return bytes;
}

static void use_levels(int i, int n_threads, int given_arena) {
  const entry *e = &entries[i];
  user u = make_user(i);
  size_t bytes = given_arena ? arena_with_views(i) : 0;
  void *arena = given_arena ? take(bytes, 64) : NULL, *ctx = NULL;
  CHECK(e->create(&ctx, arena, bytes, n_threads) == 0, e);
  CHECK(!given_arena || ctx == arena, e);
  for (int turn = 0; turn < 2; turn++) {
    call_typed(i, ctx, &u);
    call_tensors(i, ctx, &u, e->run_tensors);
  }
  CHECK(e->message(ctx)[0] == 0, e);
  e->destroy(ctx);
  CHECK(e->model->create(&ctx, NULL, arena, bytes, n_threads) == 0, e);
  call_tensors(i, ctx, &u, e->model->run);
  e->model->destroy(ctx);
  free(arena);
  end_user(i, &u);
}

static void *use_all(void *arg) {
  int number = *(const int *)arg;
  for (int i = 0; i < N_MODELS; i++) {
    int which = (i + number * 7) % N_MODELS; /* not all the same at once */
    use_levels(which, which % 16 == number ? 3 : 1, (which + number) % 2);
  }
  return NULL;
}

static void use_from_threads(void) {
  pthread_t threads[N_THREADS];
  int numbers[N_THREADS];
  for (int i = 0; i < N_THREADS; i++) {
    numbers[i] = i;
    CHECK(pthread_create(&threads[i], NULL, use_all, &numbers[i]) == 0, NULL);
  }
  for (int i = 0; i < N_THREADS; i++) pthread_join(threads[i], NULL);
}

/* ---- what is refused ---- */

static void refuse(const entry *e, void *ctx, const tn_tensor *in, tn_tensor *out, int status, const char *name) {
  char quoted[256];
  snprintf(quoted, sizeof quoted, "put '%s'", name); /* of input and output */
  CHECK(e->run_tensors(ctx, in, out) == status, e);
  CHECK(strstr(e->message(ctx), quoted) != NULL, e);
}

/* Each thing that can be wrong with the tensor t, one after the other. */
static void refuse_each(int i, void *ctx, tn_tensor *in, tn_tensor *out, tn_tensor *t, const char *name) {
  const entry *e = &entries[i];
  const tn_tensor right = *t;
  int64_t strides[MOST_DIMS];
  int is_output = t >= out && t < out + MOST_PORTS;
  t->ndim++;
  refuse(e, ctx, in, out, TN_STATUS_BAD_SHAPE, name);
  *t = right, t->dtype.bits = 128;
  refuse(e, ctx, in, out, TN_STATUS_BAD_INPUT, name);
  *t = right, t->dtype.lanes = 2;
  refuse(e, ctx, in, out, TN_STATUS_BAD_INPUT, name);
  *t = right, t->dtype.code = 5;
  refuse(e, ctx, in, out, TN_STATUS_BAD_INPUT, name);
  *t = right, t->device.device_type = 2;
  refuse(e, ctx, in, out, TN_STATUS_BAD_INPUT, name);
  *t = right, t->byte_offset = 1;
  if (t->dtype.bits > 8) refuse(e, ctx, in, out, TN_STATUS_BAD_INPUT, name);
  *t = right, t->data = is_output ? t->data : NULL;
  if (!is_output) refuse(e, ctx, in, out, TN_STATUS_BAD_INPUT, name);
  *t = right;
  if (t->ndim > 0) {
    t->shape = NULL;
    refuse(e, ctx, in, out, TN_STATUS_BAD_INPUT, name);
    *t = right;
    for (int axis = 0; axis < t->ndim; axis++) strides[axis] = 1000;
    t->strides = strides;
    refuse(e, ctx, in, out, TN_STATUS_BAD_INPUT, name);
    *t = right;
  }
  if (t->ndim > 0 && is_output) {
    t->shape[0]++;
    refuse(e, ctx, in, out, TN_STATUS_BAD_SHAPE, name);
    t->shape[0]--;
  }
}

static int binds_size(const tn_model *m, uint32_t input, uint32_t axis) {
  for (uint32_t s = 0; s < m->n_symbols; s++)
    if (m->symbols[s].input == input && m->symbols[s].axis == axis) return 1;
  return 0;
}

static void check_refusals(int i) {
  const entry *e = &entries[i];
  const tn_model *m = e->model;
  tn_tensor in[MOST_PORTS], out[MOST_PORTS];
  int64_t shapes[2 * MOST_PORTS][MOST_DIMS];
  void *ctx = NULL;
  user u = make_user(i);
  CHECK(e->create(&ctx, NULL, 0, 0) == TN_STATUS_BAD_INPUT && ctx != NULL, e);
  CHECK(strstr(e->message(ctx), "threads: expected 1") != NULL, e);
  e->destroy(ctx);
  CHECK(e->create(&ctx, &ctx, 16, 1) == TN_STATUS_NO_MEMORY && ctx == NULL, e);
  CHECK(strstr(e->message(NULL), "arena") != NULL, e);
  CHECK(e->create(&ctx, NULL, 0, 1) == 0, e);
  tensors_of(i, u.buffers, shapes, in, out);
  for (uint32_t k = 0; k < m->n_inputs; k++) refuse_each(i, ctx, in, out, &in[k], m->inputs[k].name);
  for (uint32_t k = 0; k < m->n_outputs; k++) {
    if (!m->outputs[k].is_late) {
      refuse_each(i, ctx, in, out, &out[k], m->outputs[k].name);
      continue;
    }
    out[k].data = u.buffers[k]; /* its size is not the caller's to know */
    refuse(e, ctx, in, out, TN_STATUS_BAD_INPUT, m->outputs[k].name);
    out[k].data = NULL;
  }
  for (uint32_t k = 0; k < m->n_inputs; k++)
    for (uint32_t axis = 0; axis < m->inputs[k].ndim; axis++) {
      if (binds_size(m, k, axis)) continue;
      shapes[k][axis]++; /* a fixed extent, or a size that another input has too */
      refuse(e, ctx, in, out, TN_STATUS_BAD_SHAPE, m->inputs[k].name);
      shapes[k][axis]--;
    }
  CHECK(e->run_tensors(ctx, in, out) == 0 && e->message(ctx)[0] == 0, e);
  e->destroy(ctx);
  e->destroy(NULL);
  end_user(i, &u);
}

/* ---- what a library must not touch ---- */

typedef struct surroundings {
  int rounding;
  unsigned mxcsr;
  unsigned short x87;
  char locale[256];
  sigset_t mask;
  struct sigaction actions[64];
  char **environment;
  size_t n_environment;
  char folder[4096];
  mode_t creation;
  int n_threads, n_files;
} surroundings;

static int status_number(const char *key) {
  char line[256];
  int number = -1;
  FILE *file = fopen("/proc/self/status", "r");
  while (file && fgets(line, sizeof line, file))
    if (strncmp(line, key, strlen(key)) == 0) number = atoi(line + strlen(key) + 1);
  if (file) fclose(file);
  return number;
}

static surroundings look(void) {
  surroundings s;
  memset(&s, 0, sizeof s);
  s.rounding = fegetround();
#if defined(__x86_64__)
  __asm__ volatile("stmxcsr %0" : "=m"(s.mxcsr));
  __asm__ volatile("fnstcw %0" : "=m"(s.x87));
  s.mxcsr &= ~0x3fu; /* flags of exceptions that were, not the mode */
#endif
  snprintf(s.locale, sizeof s.locale, "%s", setlocale(LC_ALL, NULL));
  pthread_sigmask(SIG_BLOCK, NULL, &s.mask);
  for (int number = 1; number < 64; number++) sigaction(number, NULL, &s.actions[number]);
  s.environment = environ;
  while (environ[s.n_environment]) s.n_environment++;
  if (!getcwd(s.folder, sizeof s.folder)) fail("getcwd", __LINE__, NULL);
  s.creation = umask(0);
  umask(s.creation);
  s.n_threads = status_number("Threads:");
  for (int fd = 0; fd < 256; fd++) s.n_files += fcntl(fd, F_GETFD) != -1;
  return s;
}

/* Threads that are joined may still be counted for a moment: a second is given to them. */
static int threads_beside(int expected) {
  int n = status_number("Threads:");
  for (int turn = 0; n != expected && turn < 1000; turn++) {
    usleep(1000);
    n = status_number("Threads:");
  }
  return n;
}

static void check_surroundings(const surroundings *before, const entry *e) {
  surroundings now = look();
  CHECK(now.rounding == before->rounding, e);
  CHECK(now.mxcsr == before->mxcsr, e);
  CHECK(now.x87 == before->x87, e);
  CHECK(strcmp(now.locale, before->locale) == 0, e);
  for (int number = 1; number < 64; number++) {
    CHECK(sigismember(&now.mask, number) == sigismember(&before->mask, number), e);
    CHECK(now.actions[number].sa_handler == before->actions[number].sa_handler, e);
  }
  CHECK(now.environment == before->environment && now.n_environment == before->n_environment, e);
  CHECK(strcmp(now.folder, before->folder) == 0 && now.creation == before->creation, e);
  CHECK(threads_beside(before->n_threads) == before->n_threads && now.n_files == before->n_files, e);
}

static void on_signal(int number) { (void)number; }

/* Modes other than those a program starts with, so that putting those back shows too. */
static void change_surroundings(void) {
  sigset_t some;
  sigemptyset(&some);
  sigaddset(&some, SIGUSR1);
  pthread_sigmask(SIG_BLOCK, &some, NULL);
  signal(SIGFPE, on_signal);
  signal(SIGUSR2, on_signal);
  setlocale(LC_ALL, "C.UTF-8");
  umask(027);
}

static void check_models(void) {
  change_surroundings();
  surroundings before = look();
  for (int i = 0; i < N_MODELS; i++) {
    const entry *e = &entries[i];
    CHECK(e->model->size == sizeof(tn_model) && e->model->version == TN_MODEL_VERSION, e);
    CHECK(e->arena_bytes(e->sizes) == e->model->arena_bytes(e->sizes) && e->arena_bytes(e->sizes) > 0, e);
    CHECK(e->constant_bytes == 0 || e->constant_bytes == e->arena_bytes(e->sizes), e);
    use_levels(i, 1, i % 2);
    check_surroundings(&before, e);
    use_levels(i, 3, (i + 1) % 2);
    check_refusals(i);
    check_surroundings(&before, e);
  }
  /* Other roundings, and denormals that are zeros: results may differ, the mode may not. */
  fesetround(FE_UPWARD);
#if defined(__x86_64__)
  unsigned mode;
  __asm__ volatile("stmxcsr %0" : "=m"(mode));
  mode |= 0x8040;
  __asm__ volatile("ldmxcsr %0" : : "m"(mode));
#endif
  before = look();
  for (int i = 0; i < N_MODELS; i++) {
    user u = make_user(i);
    void *ctx = NULL;
    CHECK(entries[i].create(&ctx, NULL, 0, 2) == 0, &entries[i]);
    CHECK(entries[i].run(ctx, entries[i].sizes, samples[i].data, u.buffers) == 0, &entries[i]);
    entries[i].destroy(ctx);
    check_surroundings(&before, &entries[i]);
    end_user(i, &u);
  }
}

static void call_often(int n) {
  for (int i = 0; i < N_MODELS; i++) {
    user u = make_user(i);
    void *ctx = NULL;
    CHECK(entries[i].create(&ctx, NULL, 0, i % 2 + 1) == 0, &entries[i]);
    for (int turn = 0; turn <= n; turn++) {
      call_typed(i, ctx, &u);
      call_tensors(i, ctx, &u, entries[i].run_tensors);
    }
    entries[i].destroy(ctx);
    end_user(i, &u);
  }
}

/* ---- the stack ---- */

enum { PAINTED_BYTES = 1 << 17, PAINT = 0x5a };

typedef struct depth {
  int model;
  int on_heap; /* the context is of the heap, and has threads */
  void *arena;
  size_t arena_bytes;
  user u;
  const unsigned char *stack, *start; /* of the thread; where the functions are called from */
} depth;

/* Each function once, right and wrong, from a frame that is found again. */
static void *go_deep(void *arg) {
  depth *d = (depth *)arg;
  const entry *e = &entries[d->model];
  tn_tensor in[MOST_PORTS], out[MOST_PORTS];
  int64_t shapes[2 * MOST_PORTS][MOST_DIMS];
  volatile unsigned char here = 0;
  void *ctx = NULL;
  int wrong = 0;
  tensors_of(d->model, d->u.buffers, shapes, in, out);
  d->start = (const unsigned char *)&here;
  wrong |= e->create(&ctx, d->on_heap ? NULL : d->arena, d->on_heap ? 0 : d->arena_bytes, d->on_heap ? 2 : 1);
  wrong |= e->run(ctx, e->sizes, samples[d->model].data, d->u.buffers);
  wrong |= e->run_tensors(ctx, in, out);
  in[0].dtype.code = 77;
  wrong |= e->run_tensors(ctx, in, out) == 0;
  e->destroy(ctx);
  wrong |= e->arena_bytes(e->sizes) == 0;
  return wrong ? arg : NULL;
}

static size_t measure(depth *d) {
  pthread_attr_t attributes;
  pthread_t thread;
  void *failed;
  unsigned char *stack = (unsigned char *)take(PAINTED_BYTES, 4096);
  memset(stack, PAINT, PAINTED_BYTES);
  pthread_attr_init(&attributes);
  CHECK(pthread_attr_setstack(&attributes, stack, PAINTED_BYTES) == 0, NULL);
  CHECK(pthread_create(&thread, &attributes, go_deep, d) == 0, NULL);
  pthread_join(thread, &failed);
  pthread_attr_destroy(&attributes);
  CHECK(failed == NULL, &entries[d->model]);
  const unsigned char *deepest = stack;
  while (deepest < d->start && *deepest == PAINT) deepest++;
  size_t bytes = (size_t)(d->start - deepest);
  free(stack);
  return bytes;
}

static void check_stack(void) {
  size_t most = 0;
  for (int i = 0; i < N_MODELS; i++)
    for (int on_heap = 0; on_heap <= entries[i].has_heap; on_heap++) {
      depth d;
      memset(&d, 0, sizeof d);
      d.model = i;
      d.on_heap = on_heap;
      d.arena_bytes = arena_with_views(i);
      d.arena = take(d.arena_bytes, 64);
      d.u = make_user(i);
      size_t bytes = measure(&d), percent = 100 * bytes / entries[i].stack_bytes;
      if (bytes > entries[i].stack_bytes) fprintf(stderr, "%zu bytes, not %zu\n", bytes, entries[i].stack_bytes);
      CHECK(bytes <= entries[i].stack_bytes, &entries[i]);
      if (percent > most) most = percent;
      free(d.arena);
      end_user(i, &d.u);
    }
  printf("%zu\n", most);
}

static void *share(void *ctx) {
  for (int turn = 0; turn < 200; turn++) {
    user u = make_user(0);
    entries[0].run(ctx, entries[0].sizes, samples[0].data, u.buffers);
    end_user(0, &u);
  }
  return NULL;
}

static void race(void) {
  pthread_t other;
  void *ctx = NULL;
  CHECK(entries[0].create(&ctx, NULL, 0, 1) == 0, NULL);
  CHECK(pthread_create(&other, NULL, share, ctx) == 0, NULL);
  share(ctx);
  pthread_join(other, NULL);
  entries[0].destroy(ctx);
}

static void overflow(void) {
  void *ctx = NULL;
  user u = make_user(0);
  CHECK(entries[0].create(&ctx, NULL, 0, 1) == 0, NULL);
  free(u.buffers[0]);
  u.buffers[0] = malloc(4);
  entries[0].run(ctx, entries[0].sizes, samples[0].data, u.buffers);
  entries[0].destroy(ctx);
  end_user(0, &u);
}

int main(int argc, char **argv) {
  if (argc < 3) return 2;
  read_inputs(argv[2]);
  find_outputs();
  if (strcmp(argv[1], "check") == 0) {
    write_outputs(argv[2]);
    check_models();
  } else if (strcmp(argv[1], "threads") == 0) {
    use_from_threads();
  } else if (strcmp(argv[1], "calls") == 0 && argc > 3) {
    call_often(atoi(argv[3]));
  } else if (strcmp(argv[1], "stack") == 0) {
    check_stack();
  } else if (strcmp(argv[1], "overflow") == 0) {
    overflow();
  } else if (strcmp(argv[1], "race") == 0) {
    race();
  } else {
    return 2;
  }
  for (int i = 0; i < N_MODELS; i++)
    for (int k = 0; k < 2 * MOST_PORTS; k++) free(samples[i].data[k]);
  return 0;
}
