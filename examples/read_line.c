/* Reads a line of text from an image with the recogniser of PP-OCRv4, compiled by tenon to an object and a header.
 *
 *   python3 -m pip download --no-deps rapidocr-onnxruntime==1.4.4 && python3 -m zipfile -e rapidocr_onnxruntime-*.whl .
 *   ln -s rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx rec.onnx
 *   tenon -c rec.onnx --input-shape=x:1,3,48,width -o rec.o --prefix=rec --header=rec.h
 *   gcc -std=c17 -O2 -I . examples/read_line.c rec.o -lm -o read_line
 *
 * The characters of its classes are in the model's metadata, one a line; Python's package onnx writes them to a file:
 *
 *   python3 -c 'import onnx; print({p.key: p.value for p in onnx.load("rec.onnx").metadata_props}["character"])' \
 *     >characters.txt
 *
 * usage: read_line CHARACTERS IMAGE...   prints the text of each image, a line each; status 1 when one cannot be read.
 * An image is a binary PGM or PPM (`convert line.png line.ppm`) that shows one line, cut out and upright; it is scaled
 * to a height of 48 and the width that follows, as the model takes any. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rec.h" /* made by tenon */

enum {
  HEIGHT = 48,
  CLASSES = 6625, /* nothing, the characters of the file, space */
  LONGEST_SIDE = 1 << 14,
};

typedef struct image {
  int width, height, planes; /* planes: 1 is grey, 3 red, green and blue, one beside the other */
  unsigned char *pixels;
} image;

/* --- Files --- */

/* The next number of a PNM header, past white space and comments; -1: there is none, or it is over 2^14. */
static int read_number(FILE *file) {
  int c = getc(file), number = -1;
  while (c == ' ' || (c >= '\t' && c <= '\r') || c == '#') {
    if (c == '#')
      while (c != '\n' && c != EOF) c = getc(file);
    else
      c = getc(file);
  }
  for (; c >= '0' && c <= '9' && number <= LONGEST_SIDE; c = getc(file))
    number = (number < 0 ? 0 : number) * 10 + (c - '0');
  return number <= LONGEST_SIDE ? number : -1; /* the one character after a number is taken as well */
}

/* NULL, or what is wrong. */
static const char *read_image(FILE *file, image *out) {
  int c = getc(file) == 'P' ? getc(file) : EOF;
  if (c != '5' && c != '6') return "neither a binary PGM nor a binary PPM";
  out->planes = c == '5' ? 1 : 3;
  out->width = read_number(file);
  out->height = read_number(file);
  if (out->width < 1 || out->height < 1) return "has no pixels, or a side is over 16384";
  if (read_number(file) != 255) return "has no bytes for values";
  size_t size = (size_t)out->width * (size_t)out->height * (size_t)out->planes;
  out->pixels = malloc(size);
  if (!out->pixels) return "out of memory";
  return fread(out->pixels, 1, size, file) == size ? NULL : "ends early";
}

/* The whole file with a 0 behind it; NULL when it cannot be read. */
static char *read_text(const char *path) {
  FILE *file = fopen(path, "rb");
  char *text = NULL;
  long size = file && fseek(file, 0, SEEK_END) == 0 ? ftell(file) : -1;
  if (size >= 0) text = calloc((size_t)size + 1, 1);
  if (text && (fseek(file, 0, SEEK_SET) != 0 || fread(text, 1, (size_t)size, file) != (size_t)size)) {
    free(text);
    text = NULL;
  }
  if (file) fclose(file);
  return text;
}

/* Cuts text into its lines; characters[k] is what class k writes. 0 when they are not as many as the classes want. */
static int split_characters(char *text, const char **characters) {
  int n = 0;
  characters[n++] = "";
  for (char *line = strtok(text, "\r\n"); line; line = strtok(NULL, "\r\n")) {
    if (n == CLASSES - 1) return 0;
    characters[n++] = line;
  }
  characters[n++] = " ";
  return n == CLASSES;
}

/* --- The model's input --- */

/* Where the middle of pixel `to` of n lies among the m pixels of the original: *first, and the share of the next. */
static double place(int to, int n, int m, int *first) {
  double at = (to + 0.5) * m / n - 0.5;
  if (at < 0) at = 0;
  if (at > m - 1) at = m - 1;
  *first = (int)at;
  return at - *first;
}

/* tensor: 3 planes (blue, green, red) of HEIGHT rows of width numbers in -1..1, interpolated linearly. */
static void make_tensor(const image *from, int width, float *tensor) {
  for (int y = 0; y < HEIGHT; y++) {
    int top, left;
    double down = place(y, HEIGHT, from->height, &top);
    for (int x = 0; x < width; x++) {
      double right = place(x, width, from->width, &left);
      size_t next = left + 1 < from->width ? (size_t)from->planes : 0;
      size_t below = top + 1 < from->height ? (size_t)from->width * (size_t)from->planes : 0;
      for (int plane = 0; plane < 3; plane++) {
        size_t pixel = (size_t)top * (size_t)from->width + (size_t)left;
        const unsigned char *p = from->pixels + pixel * (size_t)from->planes + (from->planes == 3 ? 2 - plane : 0);
        double upper = p[0] + right * (p[next] - p[0]), lower = p[below] + right * (p[below + next] - p[below]);
        double value = upper + down * (lower - upper);
        tensor[((size_t)plane * HEIGHT + (size_t)y) * (size_t)width + (size_t)x] = (float)((value / 255 - 0.5) / 0.5);
      }
    }
  }
}

/* --- Its output --- */

/* The best class of each column; a class that repeats is one character, class 0 stands between two of a kind. */
static void print_text(const float *scores, int64_t columns, const char *const *characters) {
  int last = 0;
  for (int64_t column = 0; column < columns; column++) {
    const float *score = scores + column * CLASSES;
    int best = 0;
    for (int k = 1; k < CLASSES; k++)
      if (score[k] > score[best]) best = k;
    if (best != last) fputs(characters[best], stdout);
    last = best;
  }
  putchar('\n');
}

/* NULL, or what is wrong. */
static const char *read_line(rec_ctx *ctx, const image *from, const char *const *characters) {
  int width = (int)((double)HEIGHT * from->width / from->height + 0.5);
  if (width < 1) width = 1;
  if (width > LONGEST_SIDE) return "is too long for its height";
  int64_t columns = (width + 3) / 8; /* as rec.h says */
  float *tensor = malloc(sizeof *tensor * 3 * HEIGHT * (size_t)width);
  float *scores = malloc(sizeof *scores * CLASSES * (size_t)(columns + 1));
  const char *wrong = "out of memory";
  if (tensor && scores) {
    make_tensor(from, width, tensor);
    wrong = rec_run(ctx, width, tensor, scores) == 0 ? NULL : rec_message(ctx);
    if (!wrong) print_text(scores, columns, characters);
  }
  free(tensor);
  free(scores);
  return wrong;
}

static const char *read_path(rec_ctx *ctx, const char *path, const char *const *characters) {
  image from = {0};
  FILE *file = fopen(path, "rb");
  if (!file) return "cannot be opened";
  const char *wrong = read_image(file, &from);
  fclose(file);
  if (!wrong) wrong = read_line(ctx, &from, characters);
  free(from.pixels);
  return wrong;
}

int main(int argc, char **argv) {
  static const char *characters[CLASSES];
  rec_ctx *ctx = NULL;
  int status = 0;
  if (argc < 3) {
    fprintf(stderr, "usage: %s CHARACTERS IMAGE...\n", argv[0]);
    return 1;
  }
  char *text = read_text(argv[1]);
  if (!text || !split_characters(text, characters)) {
    fprintf(stderr, "read_line: %s: not the %d characters of this model\n", argv[1], CLASSES - 2);
    free(text);
    return 1;
  }
  if (rec_create(&ctx, NULL, 0, 1) != 0) {
    fprintf(stderr, "read_line: %s\n", rec_message(ctx));
    argc = 0;
    status = 1;
  }
  for (int i = 2; i < argc; i++) {
    const char *wrong = read_path(ctx, argv[i], characters);
    if (wrong) {
      fprintf(stderr, "read_line: %s: %s\n", argv[i], wrong);
      status = 1;
    }
  }
  rec_destroy(ctx);
  free(text);
  return status;
}
