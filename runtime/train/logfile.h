/* Log files of one row a line, whose rows begin with a step: JSONL ({"step":12,..}) and CSV (12,..). */
#ifndef TNRT_TRAIN_LOGFILE_H
#define TNRT_TRAIN_LOGFILE_H

#include <stdbool.h>

#include "runtime/core/message.h"

typedef struct tnrt_logfile {
  const char *path;
  int fd;
  bool is_csv;
  bool is_regular; /* rows can go from it */
  bool must_cut; /* rows of steps that are done again go before the first row is written */
  bool is_torn;  /* the last row was not written as a whole: it goes before the next one */
} tnrt_logfile;

/* header: the first line of CSV, with its end; NULL for JSONL. appends: a file that is there goes on, whose header must
 * be the same; else it is emptied. path stays the caller's. */
tnrt_status tnrt_logfile_open(tnrt_logfile *file, tnrt_message *message, const char *path, const char *header,
                              bool appends);
/* Adds a row, its end included. The first one removes what a resumed training has written there from `step` on, and a
 * row that is not whole. Allocates nothing. TNRT_IO names the path; the file can be tried again. */
tnrt_status tnrt_logfile_put(tnrt_logfile *file, tnrt_message *message, int64_t step, const char *row, size_t bytes);
void tnrt_logfile_close(tnrt_logfile *file);

#endif
