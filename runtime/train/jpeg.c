/* Pictures in JPEG, by libjpeg-turbo: baseline and progressive, grey, three colours, and the four of print, which
 * become three as by convert("RGB") of Pillow. The orientation that EXIF may tell is not applied, as Pillow does not
 * by itself. Only programs whose data are pictures have this file and the library in them (image.c). Built with
 * TNRT_NO_JPEG, for machines whose libjpeg cannot be counted on, it takes none. */
#ifdef TNRT_NO_JPEG

#include "runtime/train/arrays.h"

tnrt_status tnrt_jpeg_read(tnrt_message *message, const tnrt_alloc *alloc, const char *path, const uint8_t *data,
                           size_t bytes, tnrt_array *out) {
  (void)alloc, (void)data, (void)bytes, (void)out;
  return tnrt_fail(message, TNRT_BAD_INPUT, "%.200s: JPEG, which programs for this machine do not read", path);
}

#else

#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jpeglib.h>
#include <jerror.h>

#include "runtime/train/arrays.h"

/* The library calls back with its error manager, which is the first member. It leaves a function that failed by a jump
 * to the one place that set `back`, where nothing but this record is looked at. */
typedef struct reader {
  struct jpeg_error_mgr errors;
  jmp_buf back;
  struct jpeg_decompress_struct info;
  tnrt_message *message;
  const char *path;
  const tnrt_alloc *alloc;
  tnrt_status status;
  tnrt_array *out;
} reader;

static void fail(j_common_ptr info) {
  reader *r = (reader *)(void *)info->err;
  char text[JMSG_LENGTH_MAX];
  r->errors.format_message(info, text);
  bool is_memory = r->errors.msg_code == JERR_OUT_OF_MEMORY;
  r->status = is_memory ? TNRT_NO_MEMORY : TNRT_BAD_INPUT;
  tnrt_fail(r->message, r->status, "%.200s: %s: %.200s", r->path,
            is_memory ? "no memory for the picture" : "a damaged JPEG, or one of a kind that is not taken", text);
  longjmp(r->back, 1);
}

/* Warnings tell of data that are made up for what cannot be read: errors, but for those by which nothing is lost. */
static void tell(j_common_ptr info, int level) {
  int code = info->err->msg_code;
  if (level < 0 && code != JWRN_EXTRANEOUS_DATA && code != JWRN_JFIF_MAJOR && code != JWRN_ADOBE_XFORM) fail(info);
}

/* One row of interleaved samples into planes. */
static void put_row(reader *r, const uint8_t *row, int64_t y) {
  int64_t width = r->info.output_width, all = width * r->info.output_height;
  uint8_t *to = r->out->data + y * width;
  if (r->info.out_color_space != JCS_CMYK) {
    for (int64_t c = 0; c < r->out->extents[0]; c++)
      for (int64_t x = 0; x < width; x++) to[c * all + x] = row[x * r->out->extents[0] + c];
    return;
  }
  /* Stored inverted, as Adobe's programs do: 255 is no ink. */
  for (int64_t x = 0; x < width; x++)
    for (int64_t c = 0; c < 3; c++) {
      unsigned product = (255u - row[4 * x + c]) * row[4 * x + 3] + 128;
      to[c * all + x] = (uint8_t)(row[4 * x + 3] - ((product >> 8) + product) / 256);
    }
}

static void read_rows(reader *r) {
  struct jpeg_decompress_struct *info = &r->info;
  JSAMPARRAY row = info->mem->alloc_sarray((j_common_ptr)info, JPOOL_IMAGE,
                                           info->output_width * (JDIMENSION)info->output_components, 1);
  while (info->output_scanline < info->output_height) {
    int64_t y = info->output_scanline;
    jpeg_read_scanlines(info, row, 1);
    put_row(r, row[0], y);
  }
  jpeg_finish_decompress(info);
}

static void read_all(reader *r, const uint8_t *data, size_t bytes) {
  struct jpeg_decompress_struct *info = &r->info;
  if (setjmp(r->back)) return;
  jpeg_create_decompress(info);
  jpeg_mem_src(info, data, bytes);
  jpeg_read_header(info, TRUE);
  bool is_gray = info->jpeg_color_space == JCS_GRAYSCALE, is_print = info->num_components == 4;
  info->out_color_space = is_gray ? JCS_GRAYSCALE : is_print ? JCS_CMYK : JCS_RGB;
  r->status = tnrt_image_make(r->message, r->alloc, r->path, is_gray ? 1 : 3, info->image_height, info->image_width,
                              r->out);
  if (r->status != TNRT_OK) return;
  jpeg_start_decompress(info);
  read_rows(r);
}

tnrt_status tnrt_jpeg_read(tnrt_message *message, const tnrt_alloc *alloc, const char *path, const uint8_t *data,
                           size_t bytes, tnrt_array *out) {
  reader r = {.message = message, .path = path, .alloc = alloc, .out = out};
  r.info.err = jpeg_std_error(&r.errors);
  r.errors.error_exit = fail;
  r.errors.emit_message = tell;
  read_all(&r, data, bytes);
  jpeg_destroy_decompress(&r.info); /* also of one that was never created: all zeros */
  return r.status;
}

#endif
