/* --expect: the outputs beside expected ones, element by element, as numpy.allclose does: |a - b| <= atol + rtol |b|,
 * NaN equal to NaN; integers and booleans must be equal. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runtime/core/dtype.h"
#include "runtime/core/file.h"
#include "runtime/core/program.h"

typedef struct difference {
  int64_t count, first;
  double largest; /* of |a - b| over elements that are finite in both */
} difference;

static difference differ(uint32_t dtype, int64_t count, const void *got, const void *want, double rtol, double atol) {
  difference d = {0, -1, 0};
  bool exact = dtype > TNRT_F4E2M1;
  size_t width = tnrt_dtype_find(dtype)->bytes;
  for (int64_t i = 0; i < count; i++) {
    const uint8_t *p = (const uint8_t *)got + (size_t)i * width, *q = (const uint8_t *)want + (size_t)i * width;
    if (memcmp(p, q, width) == 0) continue;
    double a = tnrt_element(dtype, got, i), b = tnrt_element(dtype, want, i), far = fabs(a - b);
    if (isfinite(far) && far > d.largest) d.largest = far;
    if (!exact && (a == b || (isnan(a) && isnan(b)) || (isfinite(b) && far <= atol + rtol * fabs(b)))) continue;
    if (d.count++ == 0) d.first = i;
  }
  return d;
}

/* Opens the expected file of output k. */
static tnrt_status read_expected(tnrt_program *p, const char *dir, uint32_t k, uint8_t **file, tnrt_array *out) {
  char path[4096];
  const char *unused;
  size_t unused_bytes, bytes;
  bool is_npy = tnrt_file_name(path, sizeof path, dir, p->model->outputs[k].name) && access(path, F_OK) == 0;
  if (!is_npy) snprintf(path, sizeof path, "%s/output_%u.pb", dir, k);
  tnrt_status status = tnrt_file_read(&p->message, p->alloc, path, file, &bytes);
  if (status != TNRT_OK) return status;
  return is_npy ? tnrt_npy_read(&p->message, p->alloc, *file, bytes, out)
                : tnrt_pb_read(&p->message, p->alloc, *file, bytes, out, &unused, &unused_bytes);
}

static tnrt_status compare_one(tnrt_program *p, uint32_t k, tnrt_array *want) {
  const tnrt_port *port = &p->model->outputs[k];
  const tnrt_tensor *got = &p->outputs[k];
  char who[300], a[128], b[128];
  snprintf(who, sizeof who, "expected output '%s'", port->name);
  tnrt_status status = tnrt_array_become(&p->message, who, want, port->dtype);
  if (status != TNRT_OK) return status;
  if ((uint32_t)got->ndim != want->ndim || memcmp(got->shape, want->extents, want->ndim * sizeof(int64_t)) != 0)
    return tnrt_fail(&p->message, TNRT_BAD_INPUT, "output '%s': expected %s, found %s", port->name,
                     tnrt_shape_text(a, sizeof a, want->ndim, want->extents),
                     tnrt_shape_text(b, sizeof b, (uint32_t)got->ndim, got->shape));
  int64_t count = tnrt_count_of(want->ndim, want->extents);
  difference d = differ(port->dtype, count, got->data, want->data, p->options->rtol, p->options->atol);
  printf("%s '%s': %lld elements, %lld differ, largest difference %.3g\n", d.count ? "DIFFERS" : "equal  ", port->name,
         (long long)count, (long long)d.count, d.largest);
  if (!d.count) return TNRT_OK;
  char expected[32], found[32];
  snprintf(expected, sizeof expected, "%.9g", tnrt_element(port->dtype, want->data, d.first));
  snprintf(found, sizeof found, "%.9g", tnrt_element(port->dtype, got->data, d.first));
  return tnrt_fail(&p->message, TNRT_BAD_INPUT, "output '%s': element %lld: expected %s, found %s", port->name,
                   (long long)d.first, expected, found);
}

tnrt_status tnrt_program_compare(tnrt_program *p, const char *dir) {
  tnrt_status first = TNRT_OK;
  for (uint32_t k = 0; k < p->model->n_outputs; k++) {
    tnrt_array want = {0};
    uint8_t *file = NULL;
    tnrt_message before = p->message;
    tnrt_status status = read_expected(p, dir, k, &file, &want);
    if (status == TNRT_OK) status = compare_one(p, k, &want);
    tnrt_array_free(p->alloc, &want);
    if (file) p->alloc->give(p->alloc->user, file);
    if (first != TNRT_OK)
      p->message = before; /* the first difference is the one to name */
    else
      first = status;
  }
  return first;
}
