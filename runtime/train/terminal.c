/* Terminals (terminal.h). */
#include "runtime/train/terminal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static bool has_utf8(void) {
  static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"}; /* the first that is set counts */
  for (int i = 0; i < 3; i++) {
    const char *value = getenv(names[i]);
    if (value && *value) return strstr(value, "UTF-8") || strstr(value, "utf8");
  }
  return false;
}

int tnrt_terminal_columns(int fd) {
  struct winsize size;
  return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

tnrt_terminal tnrt_terminal_of(int fd) {
  const char *term = getenv("TERM"), *no_color = getenv("NO_COLOR");
  bool is_drawn_over = isatty(fd) && term && *term && strcmp(term, "dumb") != 0;
  return (tnrt_terminal){is_drawn_over, is_drawn_over && !(no_color && *no_color), has_utf8(),
                         tnrt_terminal_columns(fd)};
}
