/* Sorting for compiled code: the positions of one row of elements in their order. Elements become 64-bit keys whose
 * unsigned order is theirs (a NaN the greatest, both zeros equal), so one merge sort serves all types. */
#include <string.h>

#include "runtime/core/runtime.h"

typedef struct item {
  uint64_t key;
  int64_t at;
} item;

/* Sign bit, and the bits of infinity; 0 for integers. */
typedef struct form {
  unsigned bytes;
  uint64_t sign, infinity;
} form;

static form form_of(uint32_t dtype) {
  switch (dtype) {
    case TNRT_F64: return (form){8, 1ull << 63, 0x7ffull << 52};
    case TNRT_F32: return (form){4, 1ull << 31, 0xffull << 23};
    case TNRT_F16: return (form){2, 1ull << 15, 0x1full << 10};
    case TNRT_BF16: return (form){2, 1ull << 15, 0xffull << 7};
    case TNRT_I64: return (form){8, 1ull << 63, 0};
    case TNRT_I32: return (form){4, 1ull << 31, 0};
    case TNRT_I16: return (form){2, 1ull << 15, 0};
    case TNRT_I8:
    case TNRT_I4:
    case TNRT_I2: return (form){1, 1ull << 7, 0};
    case TNRT_U64: return (form){8, 0, 0};
    case TNRT_U32: return (form){4, 0, 0};
    case TNRT_U16: return (form){2, 0, 0};
    default: return (form){1, 0, 0};
  }
}

static uint64_t key_of(const form *f, const unsigned char *p) {
  uint64_t bits = 0;
  memcpy(&bits, p, f->bytes); /* little-endian */
  if (f->infinity == 0) return bits ^ f->sign;
  uint64_t magnitude = bits & (f->sign - 1);
  if (magnitude > f->infinity) return UINT64_MAX;
  return (bits & f->sign) != 0 ? f->sign - magnitude : f->sign + magnitude;
}

/* Runs of RUN items by insertion, then merges from one half of the scratch to the other. */
enum { RUN = 12 };

static void sort_runs(item *items, int64_t n) {
  for (int64_t lo = 0; lo < n; lo += RUN) {
    int64_t hi = lo + RUN < n ? lo + RUN : n;
    for (int64_t i = lo + 1; i < hi; i++) {
      item one = items[i];
      int64_t k = i;
      for (; k > lo && items[k - 1].key > one.key; k--) items[k] = items[k - 1];
      items[k] = one;
    }
  }
}

static void merge(const item *from, item *to, int64_t lo, int64_t mid, int64_t hi) {
  int64_t p = lo, q = mid;
  for (int64_t i = lo; i < hi; i++) to[i] = p < mid && (q >= hi || from[p].key <= from[q].key) ? from[p++] : from[q++];
}

static const item *sort_all(item *items, item *other, int64_t n) {
  sort_runs(items, n);
  for (int64_t width = RUN; width < n; width *= 2) {
    for (int64_t lo = 0; lo < n; lo += 2 * width) {
      int64_t mid = lo + width < n ? lo + width : n, hi = mid + width < n ? mid + width : n;
      merge(items, other, lo, mid, hi);
    }
    item *swap = items;
    items = other;
    other = swap;
  }
  return items;
}

static int is_before(const item *a, const item *b) { return a->key != b->key ? a->key < b->key : a->at < b->at; }

/* A heap of the `top` first items, the last of them on top. */
static void sink(item *heap, int64_t n, int64_t i) {
  item one = heap[i];
  for (int64_t child; (child = 2 * i + 1) < n; i = child) {
    if (child + 1 < n && is_before(&heap[child], &heap[child + 1])) child++;
    if (!is_before(&one, &heap[child])) break;
    heap[i] = heap[child];
  }
  heap[i] = one;
}

static void keep_first(item *heap, int64_t top, const item *one) {
  if (!is_before(one, &heap[0])) return;
  heap[0] = *one;
  sink(heap, top, 0);
}

void tnrt_argsort(const void *x, int64_t stride, int64_t n, uint32_t dtype, int64_t *out, int64_t out_stride,
                  int64_t top, int32_t descending, void *scratch) {
  form f = form_of(dtype);
  item *items = scratch;
  uint64_t flip = descending ? UINT64_MAX : 0;
  const unsigned char *p = x;
  if (n <= 0 || top <= 0) return;
  int few = top <= n / 8;
  for (int64_t i = 0; i < n; i++) {
    item one = {key_of(&f, p + i * stride * (int64_t)f.bytes) ^ flip, i};
    if (!few || i < top) items[i] = one;
    else keep_first(items, top, &one);
    if (few && i == top - 1)
      for (int64_t k = top / 2; k-- > 0;) sink(items, top, k);
  }
  const item *sorted = items;
  if (few) {
    for (int64_t k = top - 1; k > 0; k--) {
      item last = items[0];
      items[0] = items[k];
      items[k] = last;
      sink(items, k, 0);
    }
  } else {
    sorted = sort_all(items, items + n, n);
  }
  for (int64_t i = 0; i < top; i++) out[i * out_stride] = sorted[i].at;
}
