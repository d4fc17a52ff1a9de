/* Files that are whole or what they were before: written beside, synced, renamed, the folder synced. */
#ifndef TNRT_TRAIN_WHOLE_H
#define TNRT_TRAIN_WHOLE_H

#include "runtime/core/message.h"
#include "runtime/core/runtime.h"

enum { TNRT_PATH_BYTES = 4096 };

typedef struct tnrt_whole {
  const char *path;
  uint64_t bytes; /* that it is going to have: for messages */
  int fd;
  char temporary[TNRT_PATH_BYTES];
} tnrt_whole;

/* Every failure is TNRT_IO, removes the temporary file and says path, reason, bytes needed and bytes free there. path
 * stays the caller's. Nothing is allocated. The temporary's name is path's, with a '.' before and ".tmp" behind its
 * last part: one process at a time may write it. */
tnrt_status tnrt_whole_open(tnrt_whole *file, tnrt_message *message, const char *path, uint64_t bytes);
tnrt_status tnrt_whole_put(tnrt_whole *file, tnrt_message *message, const void *data, uint64_t bytes);
tnrt_status tnrt_whole_sync(tnrt_whole *file, tnrt_message *message); /* all is on the disk; read it back here */
tnrt_status tnrt_whole_end(tnrt_whole *file, tnrt_message *message);  /* synced: it gets its name */
void tnrt_whole_drop(tnrt_whole *file);
/* Fails with the error number `code`; drops the file. */
tnrt_status tnrt_whole_fail(tnrt_whole *file, tnrt_message *message, int code);

/* A file takes the place of files only: TNRT_IO where a folder or a device has the name. */
tnrt_status tnrt_whole_check(tnrt_message *message, const char *path);

/* So that a name that was made or changed in the folder of path is on the disk. 0 or an error number. */
int tnrt_sync_folder_of(const char *path);

/* All of it at once. */
tnrt_status tnrt_whole_write(tnrt_message *message, const char *path, const void *data, uint64_t bytes);

/* "/a/b" and "c" as one path; TNRT_BAD_INPUT when it is too long. */
tnrt_status tnrt_path_join(tnrt_message *message, char *out, size_t capacity, const char *folder, const char *name);

#endif
