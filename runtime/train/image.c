/* Pictures. PNG: ISO/IEC 15948, all colour types and depths (16 bits are cut to 8), no interlacing; PGM and PPM of one
 * byte a sample. JPEG stands in a file of its own (jpeg.c). */
#include <string.h>

#include "runtime/train/arrays.h"
#ifndef TNRT_NO_INFLATE
#include <zlib.h>
#endif

enum { MAX_SIDE = 1 << 15, MAX_BYTES = 1 << 28 };

static tnrt_status bad(tnrt_message *message, const char *path, const char *what) {
  return tnrt_fail(message, TNRT_BAD_INPUT, "%.200s: %s", path, what);
}

tnrt_status tnrt_image_make(tnrt_message *message, const tnrt_alloc *alloc, const char *path, int64_t channels,
                            int64_t height, int64_t width, tnrt_array *out) {
  if (height < 1 || width < 1 || height > MAX_SIDE || width > MAX_SIDE)
    return bad(message, path, "a side of the picture is none or too long");
  if (channels * height * width > MAX_BYTES) return bad(message, path, "the picture is too large");
  *out = (tnrt_array){.dtype = TNRT_U8, .ndim = 3, .extents = {channels, height, width}};
  out->bytes = channels * height * width;
  out->data = out->owned = alloc->get(alloc->user, (size_t)out->bytes, 64);
  return out->data ? TNRT_OK : tnrt_fail(message, TNRT_NO_MEMORY, "no memory for the picture %.200s", path);
}

/* ---- PGM and PPM ---- */

/* The next number of the head, past blanks and comments. */
static bool head_number(const uint8_t *data, size_t bytes, size_t *at, int64_t *out) {
  while (*at < bytes && (strchr(" \t\r\n", data[*at]) || data[*at] == '#'))
    if (data[(*at)++] == '#')
      while (*at < bytes && data[*at] != '\n') ++*at;
  size_t first = *at;
  for (*out = 0; *at < bytes && data[*at] >= '0' && data[*at] <= '9' && *out < 1000000; ++*at)
    *out = 10 * *out + (data[*at] - '0');
  return *at > first && *at < bytes;
}

static tnrt_status read_pnm(tnrt_message *message, const tnrt_alloc *alloc, const char *path, const uint8_t *data,
                            size_t bytes, tnrt_array *out) {
  int64_t width, height, most, channels = data[1] == '6' ? 3 : 1;
  size_t at = 2;
  if (!head_number(data, bytes, &at, &width) || !head_number(data, bytes, &at, &height) ||
      !head_number(data, bytes, &at, &most) || most != 255)
    return bad(message, path, "a PGM or PPM of one byte a sample is taken, with 255 as the greatest");
  tnrt_status status = tnrt_image_make(message, alloc, path, channels, height, width, out);
  if (status != TNRT_OK) return status;
  at++; /* one blank ends the head */
  if (bytes < at || bytes - at < (size_t)out->bytes) return bad(message, path, "the picture is cut short");
  for (int64_t i = 0; i < height * width; i++)
    for (int64_t c = 0; c < channels; c++) out->data[c * height * width + i] = data[at + (size_t)(i * channels + c)];
  return TNRT_OK;
}

/* ---- PNG ---- */

#ifndef TNRT_NO_INFLATE

typedef struct png {
  int64_t width, height;
  int depth, color;
  int samples;        /* a pixel in the file */
  size_t row_bytes;
  const uint8_t *palette;
  uint32_t n_colors;
  bool is_open, has_head;
  z_stream z;
  uint8_t *rows;      /* each with its filter's number in front */
} png;

static uint32_t big32(const uint8_t *p) {
  return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static tnrt_status read_head(tnrt_message *message, const tnrt_alloc *alloc, const char *path, const uint8_t *p,
                             size_t bytes, png *g) {
  static const int samples[] = {1, 0, 3, 1, 2, 0, 4};
  bool ok = bytes == 13 && !g->has_head && p[9] <= 6 && samples[p[9]] && !p[10] && !p[11];
  if (ok && p[12]) return bad(message, path, "interlaced PNG is not taken");
  if (!ok || !(p[8] == 8 || (p[8] == 16 && p[9] != 3) || (p[8] < 8 && p[8] && 8 % p[8] == 0 && samples[p[9]] == 1)))
    return bad(message, path, "a damaged PNG");
  g->width = big32(p);
  g->height = big32(p + 4);
  g->depth = p[8];
  g->color = p[9];
  g->samples = samples[p[9]];
  if (g->width < 1 || g->height < 1 || g->width > MAX_SIDE || g->height > MAX_SIDE)
    return bad(message, path, "a side of the picture is none or too long");
  g->row_bytes = ((size_t)g->width * (size_t)(g->samples * g->depth) + 7) / 8;
  if ((g->row_bytes + 1) * (size_t)g->height > (size_t)1 << 30) return bad(message, path, "the picture is too large");
  g->has_head = true;
  g->rows = alloc->get(alloc->user, (g->row_bytes + 1) * (size_t)g->height, 64);
  if (!g->rows || inflateInit2(&g->z, MAX_WBITS) != Z_OK)
    return tnrt_fail(message, TNRT_NO_MEMORY, "no memory for the picture %.200s", path);
  g->is_open = true;
  g->z.next_out = g->rows;
  g->z.avail_out = (uInt)((g->row_bytes + 1) * (size_t)g->height);
  return TNRT_OK;
}

static tnrt_status read_chunks(tnrt_message *message, const tnrt_alloc *alloc, const char *path, const uint8_t *data,
                               size_t bytes, png *g) {
  int code = Z_OK;
  for (size_t at = 8; at + 12 <= bytes && memcmp(data + at + 4, "IEND", 4) != 0;) {
    size_t n = big32(data + at);
    const uint8_t *type = data + at + 4, *body = data + at + 8;
    if (n > bytes - at - 12) return bad(message, path, "the picture is cut short");
    if (memcmp(type, "IHDR", 4) == 0) {
      tnrt_status status = read_head(message, alloc, path, body, n, g);
      if (status != TNRT_OK) return status;
    } else if (memcmp(type, "PLTE", 4) == 0) {
      g->palette = body;
      g->n_colors = (uint32_t)(n / 3);
    } else if (memcmp(type, "IDAT", 4) == 0 && g->is_open && code == Z_OK) {
      g->z.next_in = (Bytef *)(uintptr_t)body;
      g->z.avail_in = (uInt)n;
      while (code == Z_OK && g->z.avail_in && g->z.avail_out) code = inflate(&g->z, Z_NO_FLUSH);
    }
    at += n + 12;
  }
  if (!g->is_open || g->z.avail_out) return bad(message, path, "a damaged PNG");
  return TNRT_OK;
}

static uint8_t paeth(int a, int b, int c) {
  int p = a + b - c, pa = p > a ? p - a : a - p, pb = p > b ? p - b : b - p, pc = p > c ? p - c : c - p;
  return (uint8_t)(pa <= pb && pa <= pc ? a : pb <= pc ? b : c);
}

/* Takes the filters back, in place. */
static bool unfilter(const png *g) {
  size_t step = (size_t)(g->samples * g->depth + 7) / 8;
  for (int64_t y = 0; y < g->height; y++) {
    uint8_t *row = g->rows + (size_t)y * (g->row_bytes + 1), filter = *row++;
    const uint8_t *above = y ? row - g->row_bytes - 1 : NULL;
    if (filter > 4) return false;
    for (size_t i = 0; i < g->row_bytes; i++) {
      int a = i >= step ? row[i - step] : 0, b = above ? above[i] : 0, c = above && i >= step ? above[i - step] : 0;
      int add = filter == 1 ? a : filter == 2 ? b : filter == 3 ? (a + b) / 2 : filter == 4 ? paeth(a, b, c) : 0;
      row[i] = (uint8_t)(row[i] + add);
    }
  }
  return true;
}

/* Sample i of a row; a small grey one is spread over 0 .. 255. */
static uint32_t sample_at(const png *g, const uint8_t *row, size_t i) {
  if (g->depth == 16) return row[2 * i];
  if (g->depth == 8) return row[i];
  size_t per = 8 / (size_t)g->depth;
  uint32_t mask = (1u << g->depth) - 1;
  uint32_t value = row[i / per] >> (8 - (size_t)g->depth * (i % per + 1)) & mask;
  return g->color == 3 ? value : value * 255 / mask;
}

/* Transparency goes: grey or three colours are what is left. */
static tnrt_status put_pixels(tnrt_message *message, const char *path, const png *g, tnrt_array *out) {
  int64_t all = g->height * g->width, channels = out->extents[0];
  for (int64_t y = 0; y < g->height; y++) {
    const uint8_t *row = g->rows + (size_t)y * (g->row_bytes + 1) + 1;
    for (int64_t x = 0; x < g->width; x++) {
      size_t first = (size_t)x * (size_t)g->samples;
      uint32_t index = g->color == 3 ? sample_at(g, row, first) : 0;
      if (g->color == 3 && index >= g->n_colors) return bad(message, path, "a colour that the palette has not");
      for (int64_t c = 0; c < channels; c++)
        out->data[c * all + y * g->width + x] =
            (uint8_t)(g->color == 3 ? g->palette[3 * index + c] : sample_at(g, row, first + (size_t)c));
    }
  }
  return TNRT_OK;
}

static tnrt_status read_png(tnrt_message *message, const tnrt_alloc *alloc, const char *path, const uint8_t *data,
                            size_t bytes, tnrt_array *out) {
  png g = {0};
  tnrt_status status = read_chunks(message, alloc, path, data, bytes, &g);
  if (status == TNRT_OK && !unfilter(&g)) status = bad(message, path, "a damaged PNG");
  if (status == TNRT_OK)
    status = tnrt_image_make(message, alloc, path, g.color == 0 || g.color == 4 ? 1 : 3, g.height, g.width, out);
  if (status == TNRT_OK) status = put_pixels(message, path, &g, out);
  if (g.is_open) inflateEnd(&g.z);
  if (g.rows) alloc->give(alloc->user, g.rows);
  return status;
}

#else

static tnrt_status read_png(tnrt_message *message, const tnrt_alloc *alloc, const char *path, const uint8_t *data,
                            size_t bytes, tnrt_array *out) {
  (void)alloc, (void)data, (void)bytes, (void)out;
  return bad(message, path, "PNG is packed; this program cannot unpack");
}

#endif

/* Weak, so that only programs that ask for it are linked with it: frontend/driver/training.c does where data are
 * pictures. */
#pragma weak tnrt_jpeg_read

tnrt_status tnrt_image_read(tnrt_message *message, const tnrt_alloc *alloc, const char *path, const uint8_t *data,
                            size_t bytes, tnrt_array *out) {
  *out = (tnrt_array){0};
  if (bytes > 8 && memcmp(data, "\x89PNG\r\n\x1a\n", 8) == 0) return read_png(message, alloc, path, data, bytes, out);
  if (bytes > 2 && data[0] == 'P' && (data[1] == '5' || data[1] == '6'))
    return read_pnm(message, alloc, path, data, bytes, out);
  if (bytes > 2 && memcmp(data, "\xff\xd8\xff", 3) == 0)
    return tnrt_jpeg_read ? tnrt_jpeg_read(message, alloc, path, data, bytes, out)
                          : bad(message, path, "JPEG: this program was linked without it");
  return bad(message, path, "no picture that is known: PNG, JPEG, PGM and PPM are taken");
}
