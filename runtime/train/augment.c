/* Augmentation; see augment.h. */
#include "runtime/train/augment.h"

#include <string.h>

#include "runtime/train/random.h"

typedef struct picture {
  int64_t channels, height, width;
} picture;

/* The last two axes are height and width. */
static tnrt_status as_picture(tnrt_message *message, const char *what, const tnrt_value *value, picture *out) {
  if (value->kind != TNRT_VALUE_NUMBERS || value->ndim < 2 || value->ndim > 3)
    return tnrt_fail(message, TNRT_BAD_INPUT, "%s takes an image", what);
  *out = (picture){value->ndim == 3 ? value->extents[0] : 1, value->extents[value->ndim - 2],
                   value->extents[value->ndim - 1]};
  return TNRT_OK;
}

/* others becomes numbers. */
static void take_others(tnrt_value *value, const picture *p) {
  double *kept = value->numbers;
  value->numbers = value->others;
  value->others = kept;
  value->extents[value->ndim - 2] = p->height;
  value->extents[value->ndim - 1] = p->width;
  value->count = p->channels * p->height * p->width;
}

/* The part of `to`'s sides that begins at (top, left) of the picture, which may lie outside: zeros there. */
static tnrt_status cut(tnrt_message *message, tnrt_value *value, const picture *from, const picture *to, int64_t top,
                       int64_t left) {
  int64_t count;
  if (__builtin_mul_overflow(to->height, to->width, &count) || __builtin_mul_overflow(count, to->channels, &count) ||
      !tnrt_value_reserve(value, count))
    return tnrt_fail(message, TNRT_NO_MEMORY, "no memory for an image");
  double *out = value->others;
  for (int64_t c = 0; c < to->channels; c++)
    for (int64_t y = top; y < top + to->height; y++)
      for (int64_t x = left; x < left + to->width; x++) {
        bool inside = y >= 0 && y < from->height && x >= 0 && x < from->width;
        *out++ = inside ? value->numbers[(c * from->height + y) * from->width + x] : 0;
      }
  take_others(value, to);
  return TNRT_OK;
}

tnrt_status tnrt_augment_pad(tnrt_message *message, int64_t n, tnrt_value *value) {
  picture p = {0}, larger;
  tnrt_status status = as_picture(message, "pad", value, &p);
  if (status != TNRT_OK) return status;
  larger = (picture){p.channels, p.height + 2 * n, p.width + 2 * n};
  return cut(message, value, &p, &larger, -n, -n);
}

static int64_t below(uint64_t bits, int64_t n) { return (int64_t)(((unsigned __int128)bits * (uint64_t)n) >> 64); }

static tnrt_status crop(tnrt_message *message, const tnrt_link *link, bool is_random, uint64_t bits,
                        tnrt_value *value) {
  picture p = {0}, part;
  tnrt_status status = as_picture(message, "random_crop", value, &p);
  if (status != TNRT_OK) return status;
  part = (picture){p.channels, link->integers[0], link->integers[1]};
  int64_t down = p.height - part.height, right = p.width - part.width;
  if (down < 0 || right < 0)
    return tnrt_fail(message, TNRT_BAD_INPUT, "random_crop of %lld x %lld from an image of %lld x %lld",
                     (long long)part.height, (long long)part.width, (long long)p.height, (long long)p.width);
  int64_t top = is_random ? below(bits << 32, down + 1) : down / 2;
  int64_t left = is_random ? below(bits & ~UINT64_C(0xffffffff), right + 1) : right / 2;
  return cut(message, value, &p, &part, top, left);
}

static tnrt_status mirror(tnrt_message *message, tnrt_value *value) {
  picture p = {0};
  tnrt_status status = as_picture(message, "flip", value, &p);
  if (status != TNRT_OK) return status;
  for (int64_t row = 0; row < p.channels * p.height; row++)
    for (int64_t x = 0; x < p.width / 2; x++) {
      double *at = value->numbers + row * p.width, kept = at[x];
      at[x] = at[p.width - 1 - x];
      at[p.width - 1 - x] = kept;
    }
  return TNRT_OK;
}

tnrt_status tnrt_chain_augment(const tnrt_chain *chain, tnrt_message *message, const tnrt_draw *draw, uint64_t record,
                               tnrt_value *value) {
  tnrt_status status = TNRT_OK;
  bool trains = draw->split == TNRT_SPLIT_TRAIN;
  for (uint32_t k = chain->n_links; k < chain->field->n_links && status == TNRT_OK; k++) {
    const tnrt_link *link = &chain->links[k];
    uint64_t seed = draw->seed ^ (uint64_t)chain->field->name << 32 ^ k, number = draw->epoch;
    uint64_t bits = tnrt_random_bits(seed, TNRT_STREAM_AUGMENT, number, record << 20);
    if (!(link->splits >> draw->split & 1)) continue;
    switch (link->kind) {
      case TNRT_LINK_PAD: status = tnrt_augment_pad(message, link->integers[0], value); break;
      case TNRT_LINK_RANDOM_CROP: status = crop(message, link, trains, bits, value); break;
      case TNRT_LINK_FLIP:
        if (trains && bits >> 63) status = mirror(message, value);
        break;
      case TNRT_LINK_NOISE:
        for (int64_t i = 0; i < value->count; i++) {
          bits = tnrt_random_bits(seed, TNRT_STREAM_AUGMENT, number, record << 20 | (uint64_t)(i + 1));
          value->numbers[i] += link->numbers[0] * tnrt_random_normal(bits);
        }
        break;
      default: status = tnrt_chain_link(chain, message, k, value);
    }
  }
  return status;
}
