/* The toy model as an executable's. A copy of its descriptor, made when linking. */
#define toy_model tnrt_main_model
#include "tests/rt/toy.c"
