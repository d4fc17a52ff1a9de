/* A model in tenon's language inside a program, by the tensors level: no size is an argument, the shapes tell. The
 * result is a view into the context. Prints the table of `gate`. */
#include <stdio.h>

#include "gate.h"

int main(void) {
  float x[4][2] = {{0, 0}, {0, 1}, {1, 0}, {1, 1}};
  int64_t shape[] = {4, 2};
  tn_tensor in = {&x[0][0], {1, 0}, 2, {2, 32, 1}, shape, NULL, 0}; /* f32 in the memory of the CPU */
  tn_tensor out = {NULL, {1, 0}, 0, {0, 0, 0}, NULL, NULL, 0};      /* the model's to fill in */
  gate_ctx *net;
  int status = gate_create(&net, NULL, 0, 1);
  if (status == 0) status = gate_run_tensors(net, &in, &out);
  if (status != 0) {
    fprintf(stderr, "gate: %s\n", gate_message(net));
    gate_destroy(net);
    return 1;
  }
  for (int64_t i = 0; i < out.shape[0]; i++) printf("%g %g -> %g\n", x[i][0], x[i][1], ((const float *)out.data)[i]);
  gate_destroy(net);
  return 0;
}
