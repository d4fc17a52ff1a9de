/* Text for Prometheus (prometheus.h); the exposition format 0.0.4 over HTTP/1.1 (RFC 9112), of which a request line and
 * the end of its head is all that is read. A client gets one answer and two seconds for its request. */
#include "runtime/train/prometheus.h"

#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "runtime/train/memory.h"
#include "runtime/train/text.h"

enum { REQUEST_BYTES = 4096, HEAD_BYTES = 256, VALUE_BYTES = 32, CLIENT_MS = 2000 };

struct tnrt_prometheus {
  const tnrt_alloc *alloc;
  const tnrt_gauge *gauges;
  uint32_t n;
  _Atomic uint64_t *values; /* bits of doubles */
  int listener, stop;
  pthread_t thread;
  bool has_thread;
  char *answer;
  size_t capacity;
  char request[REQUEST_BYTES];
};

/* ---- what is answered ---- */

static void put_value(tnrt_writer *w, double value) {
  char digits[VALUE_BYTES];
  snprintf(digits, sizeof digits, "%.15g", value); /* a time in seconds has ten digits before its point */
  tnrt_put_text(w, isfinite(value) ? digits : isnan(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf");
}

static size_t body_of(tnrt_prometheus *p, char *out, size_t capacity) {
  tnrt_writer w = {out, capacity, 0};
  for (uint32_t i = 0; i < p->n; i++) {
    const tnrt_gauge *g = &p->gauges[i];
    if (i == 0 || strcmp(g->name, p->gauges[i - 1].name) != 0) {
      const char *const parts[] = {"# HELP ", g->name, " ", g->help, "\n# TYPE ", g->name, " gauge\n"};
      for (size_t k = 0; k < sizeof parts / sizeof parts[0]; k++) tnrt_put_text(&w, parts[k]);
    }
    uint64_t bits = atomic_load_explicit(&p->values[i], memory_order_relaxed);
    double value;
    memcpy(&value, &bits, sizeof value);
    tnrt_put_text(&w, g->name);
    tnrt_put_text(&w, g->labels);
    tnrt_put(&w, ' ');
    put_value(&w, value);
    tnrt_put(&w, '\n');
  }
  return w.n;
}

/* "200 OK" and a body behind the head; a HEAD request gets the head alone. */
static size_t answer(tnrt_prometheus *p, const char *code, size_t body_bytes, bool has_body) {
  size_t n = tnrt_text(p->answer, HEAD_BYTES,
                       "HTTP/1.1 %s\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
                       "Content-Length: %zu\r\nConnection: close\r\n\r\n",
                       code, body_bytes);
  memmove(p->answer + n, p->answer + HEAD_BYTES, body_bytes);
  return has_body ? n + body_bytes : n;
}

static size_t refuse(tnrt_prometheus *p, const char *code, bool has_body) {
  size_t n = tnrt_text(p->answer + HEAD_BYTES, HEAD_BYTES, "%s\n", code);
  return answer(p, code, n, has_body);
}

/* request: all of it up to the empty line, ended by a zero. */
static size_t respond(tnrt_prometheus *p, const char *request) {
  bool is_head = strncmp(request, "HEAD ", 5) == 0;
  if (!is_head && strncmp(request, "GET ", 4) != 0) return refuse(p, "405 Method Not Allowed", true);
  const char *path = request + (is_head ? 5 : 4);
  size_t n = strcspn(path, " ?\r\n");
  if (strncmp(path + strcspn(path, " \r\n"), " HTTP/1.", 8) != 0) return refuse(p, "400 Bad Request", true);
  if (n != 8 || memcmp(path, "/metrics", 8) != 0) return refuse(p, "404 Not Found", !is_head);
  size_t bytes = body_of(p, p->answer + HEAD_BYTES, p->capacity - HEAD_BYTES);
  return answer(p, "200 OK", bytes, !is_head);
}

/* ---- one client after the other ---- */

static int64_t now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Waits for the client or the end of all. False: time is over, or all is. */
static bool wait_for(tnrt_prometheus *p, int fd, short event, int64_t until) {
  struct pollfd fds[] = {{fd, event, 0}, {p->stop, POLLIN, 0}};
  int64_t left = until - now_ms();
  return left > 0 && poll(fds, 2, (int)left) > 0 && !fds[1].revents && fds[0].revents;
}

static bool is_complete(const char *request) { return strstr(request, "\r\n\r\n") || strstr(request, "\n\n"); }

static void serve(tnrt_prometheus *p, int client) {
  int64_t until = now_ms() + CLIENT_MS;
  size_t n = 0, sent = 0, bytes;
  p->request[0] = 0;
  while (n < REQUEST_BYTES - 1 && !is_complete(p->request)) {
    if (!wait_for(p, client, POLLIN, until)) return;
    ssize_t got = recv(client, p->request + n, REQUEST_BYTES - 1 - n, MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) return;
    if (got > 0 && memchr(p->request + n, 0, (size_t)got)) return; /* no text */
    n += got > 0 ? (size_t)got : 0;
    p->request[n] = 0;
  }
  bytes = is_complete(p->request) ? respond(p, p->request) : refuse(p, "431 Request Header Fields Too Large", true);
  while (sent < bytes && wait_for(p, client, POLLOUT, until)) {
    ssize_t got = send(client, p->answer + sent, bytes - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (got < 0 && errno != EAGAIN && errno != EINTR) return;
    sent += got > 0 ? (size_t)got : 0;
  }
}

static void *serve_all(void *user) {
  tnrt_prometheus *p = user;
  struct pollfd fds[] = {{p->listener, POLLIN, 0}, {p->stop, POLLIN, 0}};
  while ((poll(fds, 2, -1) >= 0 || errno == EINTR) && !fds[1].revents) {
    int client = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (client >= 0) {
      serve(p, client);
      shutdown(client, SHUT_WR);
      close(client);
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      poll(&fds[1], 1, 100); /* not at full speed until there are descriptors again */
    }
  }
  return NULL;
}

/* ---- */

static tnrt_status listen_on(tnrt_prometheus *p, tnrt_message *message, int port) {
  struct sockaddr_in address = {
      .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int yes = 1;
  p->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  p->stop = eventfd(0, EFD_CLOEXEC);
  if (p->listener >= 0 && p->stop >= 0 && setsockopt(p->listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) == 0 &&
      bind(p->listener, (struct sockaddr *)&address, sizeof address) == 0 && listen(p->listener, 16) == 0)
    return TNRT_OK;
  return tnrt_fail(message, TNRT_BAD_INPUT, "cannot tell metrics on port %d of this machine: %s", port,
                   strerror(errno));
}

tnrt_status tnrt_prometheus_open(tnrt_prometheus **out, tnrt_message *message, const tnrt_alloc *alloc, int port,
                                 const tnrt_gauge *gauges, uint32_t n) {
  double none = NAN;
  *out = NULL;
  tnrt_prometheus *p = tnrt_take(alloc, 1, sizeof *p);
  if (!p) return tnrt_fail(message, TNRT_NO_MEMORY, "no memory for the port of metrics");
  p->alloc = alloc;
  p->gauges = gauges;
  p->n = n;
  p->listener = p->stop = -1;
  tnrt_status status = listen_on(p, message, port);
  if (status == TNRT_OK) {
    p->values = alloc->get(alloc->user, (n + 1) * sizeof *p->values, 64);
    for (uint32_t i = 0; p->values && i < n; i++) tnrt_prometheus_set(p, i, none);
    if (p->values) p->capacity = 2 * HEAD_BYTES + body_of(p, NULL, 0) + n * VALUE_BYTES;
    p->answer = p->values ? alloc->get(alloc->user, p->capacity, 64) : NULL;
    p->has_thread = p->answer && pthread_create(&p->thread, NULL, serve_all, p) == 0;
    if (!p->has_thread) status = tnrt_fail(message, TNRT_NO_MEMORY, "no memory or thread for the port of metrics");
  }
  if (status == TNRT_OK)
    *out = p;
  else
    tnrt_prometheus_close(p);
  return status;
}

void tnrt_prometheus_set(tnrt_prometheus *p, uint32_t gauge, double value) {
  uint64_t bits;
  memcpy(&bits, &value, sizeof bits);
  atomic_store_explicit(&p->values[gauge], bits, memory_order_relaxed);
}

void tnrt_prometheus_close(tnrt_prometheus *p) {
  if (!p) return;
  if (p->has_thread) {
    uint64_t one = 1;
    while (write(p->stop, &one, sizeof one) < 0 && errno == EINTR) continue;
    pthread_join(p->thread, NULL);
  }
  if (p->listener >= 0) close(p->listener);
  if (p->stop >= 0) close(p->stop);
  if (p->values) p->alloc->give(p->alloc->user, p->values);
  if (p->answer) p->alloc->give(p->alloc->user, p->answer);
  p->alloc->give(p->alloc->user, p);
}
