/* A model written by hand (toy.c). */
#ifndef TESTS_RT_TOY_H
#define TESTS_RT_TOY_H

#include "runtime/abi.h"

extern const tnrt_model toy_model;

#endif
