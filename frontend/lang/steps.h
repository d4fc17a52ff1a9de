/* A scan whose body is being run, for the files that make its node: steps.c, and what training needs inside of it
 * (steps_training.c). */
#ifndef TN_FRONTEND_LANG_STEPS_H
#define TN_FRONTEND_LANG_STEPS_H

#include "frontend/lang/sema.h"

typedef struct tn_yielded {
  const char *name;
  tn_loc loc;
  tn_datum *value; /* of one step */
} tn_yielded;

/* A running statistic that the body moves: what one step adds to it, and what is left of the old one behind it. */
typedef struct tn_moved {
  tn_const *weight;
  tn_value *value; /* in the body */
  double keep;
} tn_moved;

typedef struct tn_scan {
  tn_frame *f;
  const tn_ast_stmt *stmt;
  tn_datum *x, **carried;
  uint32_t axis; /* of x */
  tn_node *node;
  struct tn_scan *outer; /* the scan in whose body this one stands, or NULL */
  TN_VEC(tn_yielded) yields;
  TN_VEC(tn_name_binding *) captured; /* names of outside that the body uses and that hold tensors */
  TN_VEC(tn_value *) fixed;           /* their values; constants are made again inside */
  tn_map inside;                      /* tn_value of outside -> the region's parameter */
  tn_value *noise;                    /* the state of random operators in this step, or NULL */
  TN_VEC(tn_moved) moved;
} tn_scan;

/* The state of random operators where the body stands: a parameter of the function, or another one for each step of a
 * scan. */
tn_value *tn_training_noise(tn_sema *s);
/* What a running statistic is after those that moved it so far, outside of scans. */
tn_value *tn_training_running(tn_sema *s, tn_value *weight);
/* The batch's statistics times what they count (1 - keep) move the running ones: where it stands at once, in a scan
 * with each step. */
void tn_training_move(tn_sema *s, tn_const *weight, tn_value *value, double keep);
/* Behind a scan: what its steps have moved, found in its results from number first on. */
bool tn_scan_finish_moved(const tn_scan *scan, uint32_t first);

#endif
