/* Linking: finding a linker, its command, running it. Any C compiler serves; without one a bare linker does, with the C
 * library's start files found where Linux systems keep them. */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backends/object/object.h"

#define MAX_MESSAGE_BYTES (1u << 14)
#define MAX_MESSAGE_LINES 16

extern char **environ;

typedef struct command {
  tn_ctx *ctx;
  tn_arena *arena;
  TN_VEC(const char *) words;
} command;

/* What differs between machines when no compiler knows it for us. */
typedef struct machine {
  const char *name, *loader;
} machine;

static const machine machines[] = {
    {"x86_64", "/lib64/ld-linux-x86-64.so.2"},
    {"aarch64", "/lib/ld-linux-aarch64.so.1"},
    {"riscv64", "/lib/ld-linux-riscv64-lp64d.so.1"},
};

static void add(command *c, const char *word) { TN_VEC_PUSH(c->arena, &c->words, word); }

/* The program's path along $PATH, or NULL. */
static const char *find_program(tn_arena *arena, const char *name) {
  if (strchr(name, '/')) return access(name, X_OK) == 0 ? name : NULL;
  const char *path = getenv("PATH");
  if (!path) path = "/usr/local/bin:/usr/bin:/bin";
  while (*path) {
    size_t n = strcspn(path, ":");
    const char *candidate = tn_arena_printf(arena, "%.*s/%s", (int)n, path, name);
    struct stat info;
    if (n > 0 && access(candidate, X_OK) == 0 && stat(candidate, &info) == 0 && S_ISREG(info.st_mode)) return candidate;
    path += n + (path[n] == ':');
  }
  return NULL;
}

/* "x86_64-pc-linux-gnu" -> "x86_64". */
static const machine *machine_of(const char *triple) {
  if (!triple) triple =
#if defined(__aarch64__)
      "aarch64";
#elif defined(__riscv)
      "riscv64";
#else
      "x86_64";
#endif
  size_t n = strcspn(triple, "-");
  for (size_t i = 0; i < TN_ARRAY_LEN(machines); i++)
    if (strlen(machines[i].name) == n && memcmp(machines[i].name, triple, n) == 0) return &machines[i];
  return NULL;
}

static bool is_bare_linker(const char *program) {
  const char *slash = strrchr(program, '/');
  const char *base = slash ? slash + 1 : program;
  size_t n = strlen(base);
  return strncmp(base, "ld", 2) == 0 || strncmp(base, "mold", 4) == 0 || (n > 3 && strcmp(base + n - 3, "-ld") == 0) ||
         strncmp(base, "lld", 3) == 0;
}

static const char *choose_linker(command *c, const tn_link_request *request) {
  const char *asked = getenv("TENON_LD");
  if (asked && asked[0]) {
    if (find_program(c->arena, asked)) return asked;
    tn_error(c->ctx, TN_LOC_NONE, TN_E_RESOURCE, "the linker '%s' of $TENON_LD is not found", asked);
    return NULL;
  }
  const machine *ours = machine_of(NULL), *wanted = machine_of(request->triple);
  const char *compiler = "cc";
  if (wanted != ours && wanted) compiler = tn_arena_printf(c->arena, "%s-linux-gnu-gcc", wanted->name);
  const char *const candidates[] = {compiler, "ld.lld", "ld.lld-19", wanted == ours ? "ld" : "ld.lld"};
  for (size_t i = 0; i < TN_ARRAY_LEN(candidates); i++)
    if (find_program(c->arena, candidates[i])) return candidates[i];
  tn_error(c->ctx, TN_LOC_NONE, TN_E_RESOURCE, "no linker is found: neither '%s' nor ld.lld nor ld; -c needs none",
           compiler);
  return NULL;
}

/* --- A compiler as linker --- */

static void compiler_command(command *c, const tn_link_request *request) {
  add(c, request->kind == TN_LINK_SHARED ? "-shared" : "-pie");
  if (request->sysroot) add(c, tn_arena_printf(c->arena, "--sysroot=%s", request->sysroot));
  add(c, "-o");
  add(c, request->output);
  add(c, request->object);
  for (uint32_t i = 0; i < request->n_extra; i++) add(c, request->extra[i]);
  add(c, "-Wl,--gc-sections,--as-needed,-z,relro,-z,now,-z,noexecstack");
  /* Of our object only the exports are global; what the user adds must not widen them. */
  if (request->kind == TN_LINK_SHARED) add(c, "-Wl,--exclude-libs,ALL");
  add(c, "-lm");
  add(c, "-lpthread");
}

/* --- A bare linker --- */

static const char *find_start_file(command *c, const tn_link_request *request, const machine *m, const char *name) {
  static const char *const plain[] = {"/usr/lib64/", "/lib64/", "/usr/lib/", "/lib/"};
  const char *root = request->sysroot ? request->sysroot : "";
  for (size_t i = 0; i < 2 + TN_ARRAY_LEN(plain); i++) {
    const char *path = i == 0   ? tn_arena_printf(c->arena, "%s/usr/lib/%s-linux-gnu/%s", root, m->name, name)
                       : i == 1 ? tn_arena_printf(c->arena, "%s/usr/%s-linux-gnu/lib/%s", root, m->name, name)
                                : tn_arena_printf(c->arena, "%s%s%s", root, plain[i - 2], name);
    if (access(path, R_OK) == 0) return path;
  }
  tn_error(c->ctx, TN_LOC_NONE, TN_E_RESOURCE, "'%s' of the C library's development files is not found", name);
  return NULL;
}

/* -Wl,a,b is two words to a linker; -pthread is a compiler's. */
static void add_extra(command *c, const char *word) {
  if (strcmp(word, "-pthread") == 0) word = "-lpthread";
  if (strncmp(word, "-Wl,", 4) != 0) {
    add(c, word);
    return;
  }
  for (const char *at = word + 4; *at;) {
    size_t n = strcspn(at, ",");
    add(c, tn_arena_strndup(c->arena, at, n));
    at += n + (at[n] == ',');
  }
}

static bool linker_command(command *c, const tn_link_request *request) {
  const machine *m = machine_of(request->triple);
  if (!m)
    return tn_error(c->ctx, TN_LOC_NONE, TN_E_RESOURCE, "linking for '%s' needs a compiler: name it in $TENON_LD",
                    request->triple);
  bool shared = request->kind == TN_LINK_SHARED;
  add(c, shared ? "-shared" : "-pie");
  if (request->sysroot) add(c, tn_arena_printf(c->arena, "--sysroot=%s", request->sysroot));
  const char *libc = find_start_file(c, request, m, "libc.so");
  if (!libc) return false;
  const char *first[] = {"Scrt1.o", "crti.o"};
  if (!shared) {
    add(c, "--dynamic-linker");
    add(c, m->loader);
    for (size_t i = 0; i < TN_ARRAY_LEN(first); i++) {
      const char *path = find_start_file(c, request, m, first[i]);
      if (!path) return false;
      add(c, path);
    }
  }
  add(c, "-o");
  add(c, request->output);
  add(c, request->object);
  for (uint32_t i = 0; i < request->n_extra; i++) add_extra(c, request->extra[i]);
  static const char *const flags[] = {"--gc-sections", "--as-needed", "-z", "relro", "-z", "now", "-z", "noexecstack"};
  for (size_t i = 0; i < TN_ARRAY_LEN(flags); i++) add(c, flags[i]);
  if (shared) {
    add(c, "--exclude-libs");
    add(c, "ALL");
  }
  add(c, tn_arena_printf(c->arena, "-L%.*s", (int)(strrchr(libc, '/') - libc), libc));
  add(c, "-lm");
  add(c, "-lpthread");
  add(c, "-lc");
  const char *last = shared ? NULL : find_start_file(c, request, m, "crtn.o");
  if (last) add(c, last);
  return shared || last;
}

/* --- Running --- */

/* Starts the words with both streams in a pipe and the signals of `mask` blocked; -1 when it cannot start (errno). */
static pid_t start(const command *c, bool own_group, const sigset_t *mask, int *out_pipe) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return -1;
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attributes);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
  posix_spawnattr_setsigmask(&attributes, mask);
  posix_spawnattr_setflags(&attributes, (short)(POSIX_SPAWN_SETSIGMASK | (own_group ? POSIX_SPAWN_SETPGROUP : 0)));
  posix_spawnattr_setpgroup(&attributes, 0);
  pid_t pid;
  int code =
      posix_spawnp(&pid, c->words.data[0], &actions, &attributes, (char *const *)(uintptr_t)c->words.data, environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  close(ends[1]);
  if (code != 0) {
    close(ends[0]);
    errno = code;
    return -1;
  }
  *out_pipe = ends[0];
  return pid;
}

static void read_messages(int fd, tn_buf *out) {
  char block[4096];
  for (;;) {
    ssize_t n = read(fd, block, sizeof(block));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    if (out->n < MAX_MESSAGE_BYTES) tn_buf_append(out, block, (size_t)n);
  }
  close(fd);
}

static void note_lines(tn_ctx *ctx, const tn_buf *messages) {
  unsigned lines = 0;
  for (const char *line = messages->n ? messages->data : ""; *line;) {
    size_t n = strcspn(line, "\n");
    if (n > 0 && lines++ == MAX_MESSAGE_LINES) {
      tn_note(ctx, TN_LOC_NONE, "and more");
      return;
    }
    if (n > 0) tn_note(ctx, TN_LOC_NONE, "%.*s", (int)n, line);
    line += n + (line[n] == '\n');
  }
}

static bool run(command *c, const tn_link_request *request) {
  int from = -1;
  add(c, NULL);
  sigset_t all, before; /* no signal may come between the start of the linker and knowing of it */
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, &before);
  pid_t pid = start(c, request->running != NULL, &before, &from);
  int code = errno;
  if (request->running && pid > 0) *request->running = (sig_atomic_t)pid;
  sigprocmask(SIG_SETMASK, &before, NULL);
  if (pid < 0)
    return tn_error(c->ctx, TN_LOC_NONE, TN_E_RESOURCE, "cannot start '%s': %s", c->words.data[0], strerror(code));
  tn_buf messages = tn_buf_create(c->arena);
  read_messages(from, &messages);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
  if (request->running) *request->running = 0;
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return true;
  if (WIFSIGNALED(status))
    tn_error(c->ctx, TN_LOC_NONE, TN_E_RESOURCE, "the linker '%s' was ended by signal %d", c->words.data[0],
             WTERMSIG(status));
  else
    tn_error(c->ctx, TN_LOC_NONE, TN_E_LINK, "the linker '%s' failed (exit status %d)", c->words.data[0],
             WEXITSTATUS(status));
  note_lines(c->ctx, &messages);
  return false;
}

void tn_shell_quote(tn_buf *buf, const char *text) {
  static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-";
  if (text[0] && text[strspn(text, plain)] == 0) {
    tn_buf_puts(buf, text);
    return;
  }
  tn_buf_putc(buf, '\'');
  for (; *text; text++) {
    if (*text == '\'') tn_buf_puts(buf, "'\\''");
    else tn_buf_putc(buf, *text);
  }
  tn_buf_putc(buf, '\'');
}

bool tn_link(tn_ctx *ctx, const tn_link_request *request, tn_buf *out_command) {
  tn_arena *arena = tn_arena_create_scratch(ctx->arena);
  command c = {.ctx = ctx, .arena = arena};
  const char *linker = choose_linker(&c, request);
  bool ok = linker != NULL;
  if (ok) {
    add(&c, linker);
    if (is_bare_linker(linker)) ok = linker_command(&c, request);
    else compiler_command(&c, request);
  }
  for (size_t i = 0; ok && out_command && i < c.words.n; i++) {
    if (i > 0) tn_buf_putc(out_command, ' ');
    tn_shell_quote(out_command, c.words.data[i]);
  }
  if (ok && out_command) tn_buf_putc(out_command, '\n');
  if (ok && !request->print_only) ok = run(&c, request);
  tn_arena_destroy(arena);
  return ok;
}
