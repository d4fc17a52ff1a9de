/* What a descriptor and the environment say about how to write: TERM, NO_COLOR, LC_ALL, LC_CTYPE, LANG. */
#ifndef TNRT_TRAIN_TERMINAL_H
#define TNRT_TRAIN_TERMINAL_H

#include <stdbool.h>

typedef struct tnrt_terminal {
  bool is_drawn_over; /* a terminal on which a line can be written over again */
  bool has_color, has_utf8;
  int columns; /* 80 where there is none */
} tnrt_terminal;

tnrt_terminal tnrt_terminal_of(int fd);
int tnrt_terminal_columns(int fd);

#endif
