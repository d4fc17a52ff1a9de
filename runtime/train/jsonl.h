/* Files of JSON with an object a line, read as a table: its columns are the keys of all objects, in the order they come
 * first; what lies in an object inside is called OUTER.INNER. */
#ifndef TNRT_TRAIN_JSONL_H
#define TNRT_TRAIN_JSONL_H

#include "runtime/train/table.h"

/* Texts come without their escapes, numbers and arrays as they stand, null and what is missing as an empty cell, true
 * and false as 1 and 0. A line that is no object is TNRT_BAD_INPUT with its place, or dropped. After a failure the
 * table is freed all the same. */
tnrt_status tnrt_jsonl_read(tnrt_message *message, const tnrt_alloc *alloc, const char *path, bool drops_bad,
                            tnrt_table *out);

#endif
