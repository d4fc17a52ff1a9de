/* Curves to PNG by gnuplot (plot.h), which reads its commands and the points from a file in memory. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/train/plot.h"
#include "runtime/train/whole.h"

extern char **environ;

/* In single quotes, in which gnuplot knows no escapes. */
static void put_quoted(int fd, const char *text) {
  dprintf(fd, "'");
  for (; *text; text++) dprintf(fd, *text == '\'' ? "''" : "%c", *text);
  dprintf(fd, "'");
}

static void put_chart(int fd, const tnrt_curve *const *curves, uint32_t n) {
  uint32_t drawn = 0;
  dprintf(fd, "set title ");
  put_quoted(fd, curves[0]->chart);
  dprintf(fd, "\nplot ");
  for (uint32_t i = 0; i < n; i++) {
    if (!curves[i]->n) continue;
    dprintf(fd, "%s'-' using 1:2 with %s linewidth 2 title ", drawn++ ? ", " : "",
            curves[i]->n > 1 ? "lines" : "points");
    put_quoted(fd, curves[i]->name);
  }
  dprintf(fd, "\n");
  for (uint32_t i = 0; i < n; i++) {
    for (uint32_t k = 0; k < curves[i]->n; k++) dprintf(fd, "%.9g %.9g\n", curves[i]->x[k], curves[i]->y[k]);
    if (curves[i]->n) dprintf(fd, "e\n");
  }
}

/* How many of the curves from `at` on are of one chart. */
static uint32_t chart_size(const tnrt_curve *const *curves, uint32_t n, uint32_t at, bool *out_has_points) {
  uint32_t size = 0;
  *out_has_points = false;
  for (; at + size < n && strcmp(curves[at + size]->chart, curves[at]->chart) == 0; size++)
    *out_has_points |= curves[at + size]->n > 0;
  return size;
}

static void put_script(int fd, const tnrt_curve *const *curves, uint32_t n, const char *path) {
  int charts = 0;
  bool has_points;
  for (uint32_t at = 0; at < n; at += chart_size(curves, n, at, &has_points), charts += has_points) continue;
  int height = 300 * (charts ? charts : 1);
  dprintf(fd,
          "set encoding utf8\n"
          "if (strstrt(GPVAL_TERMINALS, 'pngcairo')) set terminal pngcairo noenhanced size 900,%d; "
          "else set terminal png noenhanced size 900,%d\nset output ",
          height, height);
  put_quoted(fd, path);
  dprintf(fd, "\nset multiplot layout %d,1\nset grid\nset xlabel 'step'\n", charts ? charts : 1);
  for (uint32_t at = 0; at < n;) {
    uint32_t size = chart_size(curves, n, at, &has_points);
    if (has_points) put_chart(fd, curves + at, size);
    at += size;
  }
  dprintf(fd, "unset multiplot\n");
}

/* Runs it with `script` as its input; its own words go nowhere. The error number of a start that failed; else what it
 * ended with in *out_status. */
static int run(int script, int *out_status) {
  char name[] = "gnuplot";
  char *words[] = {name, NULL};
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
  sigset_t none, pipe_signal;
  pid_t child;
  sigemptyset(&none);
  sigemptyset(&pipe_signal);
  sigaddset(&pipe_signal, SIGPIPE);
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_adddup2(&files, script, STDIN_FILENO);
  posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &pipe_signal);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  int code = posix_spawnp(&child, name, &files, &attributes, words, environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  while (code == 0 && waitpid(child, out_status, 0) < 0 && errno == EINTR) continue;
  return code;
}

tnrt_status tnrt_plot_png(tnrt_message *message, const tnrt_curve *const *curves, uint32_t n, const char *path) {
  char temporary[TNRT_PATH_BYTES];
  int status = -1;
  if (strchr(path, '\n') || strlen(path) + 5 > sizeof temporary)
    return tnrt_fail(message, TNRT_BAD_INPUT, "'%.300s' is no path for a picture", path);
  tnrt_status place = tnrt_whole_check(message, path);
  if (place != TNRT_OK) return place;
  tnrt_text(temporary, sizeof temporary, "%s.tmp", path);
  int script = memfd_create("plot", MFD_CLOEXEC);
  if (script < 0) return tnrt_fail(message, TNRT_IO, "cannot draw '%.300s': %s", path, strerror(errno));
  put_script(script, curves, n, temporary);
  lseek(script, 0, SEEK_SET);
  int code = run(script, &status);
  close(script);
  if (code == ENOENT) return tnrt_fail(message, TNRT_BAD_INPUT, "cannot draw '%.300s': gnuplot is not installed", path);
  if (code == 0 && status == 0 && rename(temporary, path) == 0) return TNRT_OK;
  unlink(temporary);
  return tnrt_fail(message, TNRT_IO, "cannot draw '%.300s': gnuplot cannot write it", path);
}
