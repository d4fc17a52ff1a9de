/* Where what is wrong stands: in the model's file, which the compiler has put into the plan, and in a file of data. */
#ifndef TNRT_TRAIN_PLACE_H
#define TNRT_TRAIN_PLACE_H

#include <stddef.h>

#include "runtime/core/message.h"
#include "runtime/training.h"

enum { TNRT_DRAWN_BYTES = 256 };

/* Adds a place of the plan ("m.tn:2:3: note: ..", a line, a caret; 0: none) to a message; gives status back. */
tnrt_status tnrt_place_add(tnrt_message *message, tnrt_status status, const tnrt_training *plan, uint32_t place);

/* "\n    5 | 4.6,x,0.2\n      |     ^": a line of n bytes of a file, no line ends in it, and below it a caret under the
 * bytes [from, end). Of long lines what is around them. Nothing where out has not the room. */
void tnrt_place_draw(const char *text, size_t n, size_t from, size_t end, int64_t line, char *out, size_t bytes);

#endif
