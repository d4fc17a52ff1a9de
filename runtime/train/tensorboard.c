/* Event files of TensorBoard (tensorboard.h). Sources: tensorflow/core/util/event.proto and framework/summary.proto for
 * the messages, lib/io/record_writer.h for the records: length (8 bytes), masked CRC-32C of it (4), data, masked
 * CRC-32C of them (4). */
#include "runtime/train/tensorboard.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "runtime/train/protobuf.h"
#include "runtime/train/whole.h"

/* Fields of the messages. */
enum { EVENT_TIME = 1, EVENT_STEP = 2, EVENT_VERSION = 3, EVENT_SUMMARY = 5, EVENT_SESSION = 7 };
enum { SUMMARY_VALUE = 1, VALUE_TAG = 1, VALUE_SIMPLE = 2, SESSION_STATUS = 1, SESSION_START = 1 };
enum { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };
enum { MAX_TAG = 400, HEAD_BYTES = 64 }; /* time, step and the summary's head take less than HEAD_BYTES */

uint32_t tnrt_crc32c(const void *data, size_t bytes) {
  static const uint32_t nibbles[16] = {0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
                                       0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
                                       0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75};
  uint32_t crc = ~0u;
  for (const uint8_t *at = data; bytes-- > 0; at++) {
    crc ^= *at;
    crc = crc >> 4 ^ nibbles[crc & 15];
    crc = crc >> 4 ^ nibbles[crc & 15];
  }
  return ~crc;
}

static uint32_t masked_crc(const void *data, size_t bytes) {
  uint32_t crc = tnrt_crc32c(data, bytes);
  return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

/* ---- messages ---- */

static size_t put_little(uint8_t *out, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; i++) out[i] = (uint8_t)(value >> (8 * i));
  return (size_t)bytes;
}

static size_t put_bytes(uint8_t *out, unsigned field, const void *data, size_t bytes) {
  size_t n = tnrt_put_key(out, field, BYTES);
  n += tnrt_put_varint(out + n, bytes);
  memcpy(out + n, data, bytes);
  return n + bytes;
}

static size_t put_event_head(uint8_t *out, double time, int64_t step) {
  uint64_t bits;
  memcpy(&bits, &time, sizeof bits);
  size_t n = tnrt_put_key(out, EVENT_TIME, FIXED64);
  n += put_little(out + n, bits, 8);
  n += tnrt_put_key(out + n, EVENT_STEP, VARINT);
  return n + tnrt_put_varint(out + n, (uint64_t)step);
}

/* ---- records ---- */

static tnrt_status put_all(tnrt_tensorboard *b, tnrt_message *message, const void *data, size_t bytes) {
  for (const uint8_t *at = data; bytes > 0;) {
    ssize_t n = write(b->fd, at, bytes);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return tnrt_fail(message, TNRT_IO, "cannot write the events in '%.300s': %s", b->path, strerror(errno));
    at += n;
    bytes -= (size_t)n;
  }
  return TNRT_OK;
}

/* One call of write for each record: a killed process leaves whole ones. */
static tnrt_status put_record(tnrt_tensorboard *b, tnrt_message *message, const uint8_t *head, size_t head_bytes,
                              const uint8_t *body, size_t body_bytes) {
  uint8_t record[sizeof b->record + 2 * HEAD_BYTES];
  size_t n = put_little(record, head_bytes + body_bytes, 8);
  n += put_little(record + n, masked_crc(record, 8), 4);
  memcpy(record + n, head, head_bytes);
  if (body_bytes) memcpy(record + n + head_bytes, body, body_bytes);
  uint32_t crc = masked_crc(record + n, head_bytes + body_bytes);
  n += head_bytes + body_bytes;
  n += put_little(record + n, crc, 4);
  return put_all(b, message, record, n);
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

tnrt_status tnrt_tensorboard_open(tnrt_tensorboard *b, tnrt_message *message, const char *path, bool appends) {
  static const char version[] = "brain.Event:2";
  char name[400], file[TNRT_PATH_BYTES], machine[256] = "";
  uint8_t head[HEAD_BYTES];
  double time = now();
  b->path = path;
  b->fd = -1;
  b->n = 0;
  b->must_start = appends;
  if (mkdir(path, 0777) != 0 && errno != EEXIST)
    return tnrt_fail(message, TNRT_IO, "cannot make the folder '%.300s': %s", path, strerror(errno));
  if (gethostname(machine, sizeof machine - 1) != 0) machine[0] = 0;
  /* TensorBoard wants "tfevents" and the time in the name, and reads files in the order of names. */
  tnrt_text(name, sizeof name, "events.out.tfevents.%lld.%s.%lld", (long long)time, machine[0] ? machine : "tenon",
            (long long)getpid());
  tnrt_status status = tnrt_path_join(message, file, sizeof file, path, name);
  if (status != TNRT_OK) return status;
  b->fd = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (b->fd < 0) return tnrt_fail(message, TNRT_IO, "cannot write '%.300s': %s", file, strerror(errno));
  size_t n = put_event_head(head, time, 0);
  n += put_bytes(head + n, EVENT_VERSION, version, sizeof version - 1);
  return put_record(b, message, head, n, NULL, 0);
}

/* From this step on, what older files have is of a training that was resumed before it. */
static tnrt_status put_start(tnrt_tensorboard *b, tnrt_message *message) {
  uint8_t head[HEAD_BYTES], session[4];
  size_t n = tnrt_put_key(session, SESSION_STATUS, VARINT);
  n += tnrt_put_varint(session + n, SESSION_START);
  size_t bytes = put_event_head(head, b->time, b->step);
  bytes += put_bytes(head + bytes, EVENT_SESSION, session, n);
  return put_record(b, message, head, bytes, NULL, 0);
}

void tnrt_tensorboard_begin(tnrt_tensorboard *b, double time, int64_t step) {
  b->time = time;
  b->step = step;
  b->n = 0;
}

tnrt_status tnrt_tensorboard_add(tnrt_tensorboard *b, tnrt_message *message, const char *tag, double value) {
  uint8_t text[MAX_TAG + HEAD_BYTES];
  float simple = (float)value;
  uint32_t bits;
  size_t tag_bytes = strlen(tag) < MAX_TAG ? strlen(tag) : MAX_TAG;
  memcpy(&bits, &simple, sizeof bits);
  size_t n = put_bytes(text, VALUE_TAG, tag, tag_bytes);
  n += tnrt_put_key(text + n, VALUE_SIMPLE, FIXED32);
  n += put_little(text + n, bits, 4);
  tnrt_status status = TNRT_OK;
  if (b->n + n + HEAD_BYTES > sizeof b->record) {
    status = tnrt_tensorboard_end(b, message);
    b->n = 0;
  }
  b->n += put_bytes(b->record + b->n, SUMMARY_VALUE, text, n);
  return status;
}

tnrt_status tnrt_tensorboard_end(tnrt_tensorboard *b, tnrt_message *message) {
  uint8_t head[HEAD_BYTES];
  tnrt_status status = b->must_start ? put_start(b, message) : TNRT_OK;
  b->must_start = false;
  if (b->n == 0 || status != TNRT_OK) return status;
  size_t n = put_event_head(head, b->time, b->step);
  n += tnrt_put_key(head + n, EVENT_SUMMARY, BYTES);
  n += tnrt_put_varint(head + n, b->n);
  return put_record(b, message, head, n, b->record, b->n);
}

void tnrt_tensorboard_close(tnrt_tensorboard *b) {
  if (b->fd >= 0) close(b->fd);
  b->fd = -1;
}
