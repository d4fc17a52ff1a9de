/* Tokens of a tokenizer's file as texts: each line of standard input is a row of numbers, each row of standard output
 * its text, as hexadecimal bytes.   usage: train_decode FILE */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/train/decode.h"

enum { MAX_TOKENS = 1 << 12, MAX_LINE = 1 << 16 };

static char line[MAX_LINE];
static int32_t tokens[MAX_TOKENS];

int main(int argc, char **argv) {
  tnrt_message message;
  tnrt_tokenizer tokenizer;
  tnrt_decoder decoder = {0};
  if (argc != 2) return 2;
  tnrt_status status = tnrt_tokenizer_open(&tokenizer, &message, &tnrt_alloc_libc, argv[1]);
  if (status == TNRT_OK) status = tnrt_decoder_open_file(&decoder, &message, &tnrt_alloc_libc, &tokenizer);
  if (status != TNRT_OK) printf("error: %s\n", message.text);
  char *text = status == TNRT_OK ? malloc(tnrt_decoder_room(&decoder, MAX_TOKENS)) : NULL;
  while (text && fgets(line, sizeof line, stdin)) {
    int64_t n = 0;
    for (char *word = strtok(line, " \n"); word && n < MAX_TOKENS; word = strtok(NULL, " \n")) tokens[n++] = atoi(word);
    size_t bytes = tnrt_decode(&decoder, tokens, n, true, text);
    for (size_t i = 0; i < bytes; i++) printf("%02x", (unsigned char)text[i]);
    putchar('\n');
  }
  free(text);
  tnrt_decoder_close(&decoder);
  tnrt_tokenizer_close(&tokenizer);
  return 0;
}
