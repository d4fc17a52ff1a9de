/* A model inside a program: the model's header, one context, one call. Prints the table of `xor`. */
#include <stdio.h>

#include "xor.h"

int main(void) {
  static const float x[4][2] = {{0, 0}, {0, 1}, {1, 0}, {1, 1}};
  float y[4];
  xor_ctx *net;
  int status = xor_create(&net, NULL, 0, 1);
  if (status == 0) status = xor_run(net, 4, &x[0][0], y);
  if (status != 0) {
    fprintf(stderr, "xor: %s\n", net ? xor_message(net) : "no context");
    xor_destroy(net);
    return 1;
  }
  for (int i = 0; i < 4; i++) printf("%g %g -> %g\n", x[i][0], x[i][1], y[i]);
  xor_destroy(net);
  return 0;
}
