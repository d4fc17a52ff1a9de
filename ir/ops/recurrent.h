/* What rnn, gru and lstm share: operands, activations, and the scan around a cell. Each is one layer in one direction;
 * x is [T,B,I], weights are stacked gates: w [G*H,I], r [G*H,H], b [2*G*H] (the input's, then the state's). */
#ifndef TN_IR_OPS_RECURRENT_H
#define TN_IR_OPS_RECURRENT_H

#include "ir/ops/compose.h"

/* The operands that all have, in this order; lstm has two more. */
enum { TN_RNN_X, TN_RNN_W, TN_RNN_R, TN_RNN_B, TN_RNN_LENGTHS, TN_RNN_H, TN_RNN_N_OPERANDS };
/* The attributes that all have, in this order; gru and lstm have one more. */
enum { TN_RNN_ACTIVATIONS, TN_RNN_CLIP, TN_RNN_REVERSE, TN_RNN_N_ATTRS };
#define TN_RNN_ATTR_DEFS                                                                          \
  {.name = "activations", .kind = TN_ATTR_STRING}, {.name = "clip", .kind = TN_ATTR_FLOAT}, {     \
    .name = "reverse", .kind = TN_ATTR_BOOL                                                       \
  }
#define TN_RNN_OPERAND_DEFS                                                                                 \
  {"x", TN_ONE, TN_SET_FLOAT, TN_ROLE_DATA, NULL, 0}, {"w", TN_ONE, TN_SET_FLOAT, TN_ROLE_DATA, "x", 0},    \
      {"r", TN_ONE, TN_SET_FLOAT, TN_ROLE_DATA, "x", 0}, {"b", TN_OPTIONAL, TN_SET_FLOAT, TN_ROLE_DATA, "x", 0}, \
      {"lengths", TN_OPTIONAL, TN_SET_INDEX, TN_ROLE_INDEX, NULL, 0}, {                                     \
    "h", TN_OPTIONAL, TN_SET_FLOAT, TN_ROLE_DATA, "x", 0                                                    \
  }
#define TN_RNN_MAX_STATES 2
#define TN_RNN_MAX_FIXED 5
#define TN_RNN_MAX_ACTIVATIONS 3

typedef struct tn_activation {
  const char *name; /* of its row in recurrent.c */
  double alpha, beta;
} tn_activation;

/* Reads "sigmoid tanh leaky_relu(0.1)": n names with their parameters, each a default where it is left out; all of
 * them defaults ("" in the attribute) when text is empty. False when it is something else. */
bool tn_activations_read(const char *text, const char *defaults, uint32_t n, tn_activation *out);
/* The name here of ONNX' activation and how many parameters it takes; NULL when there is none (case is ignored). */
const char *tn_activation_of_onnx(const char *name, uint32_t *out_n_parameters);
tn_value *tn_activation_build(tn_build *b, const tn_activation *activation, tn_value *x);

/* Checks what all have and gives the result types: y [T,B,H], h [B,H], and further states like h. */
bool tn_infer_recurrent(tn_infer *infer, uint32_t n_gates, uint32_t n_states, const char *activations,
                        uint32_t n_activations);
bool tn_infer_state(tn_infer *infer, uint32_t operand);

/* export of all three. */
bool tn_export_recurrent(struct tn_export *x, const tn_node *node);

/* A layer while it is expanded. */
typedef struct tn_recurrent {
  const tn_node *node;
  tn_activation activations[TN_RNN_MAX_ACTIVATIONS];
  double clip; /* 0 = none */
  const tn_dim *batch, *hidden;
  uint32_t n_states;
  tn_value *states[TN_RNN_MAX_STATES]; /* the first ones; h first */
  uint32_t n_fixed;
  tn_value *fixed[TN_RNN_MAX_FIXED]; /* what the cell wants at every step; [0] is r */
  /* The next states from the projected input [B,G*H], the states [B,H] and the fixed values. */
  bool (*cell)(const struct tn_recurrent *layer, tn_build *b, tn_value *input, tn_value *const *states,
               tn_value *const *fixed, tn_value **next);
} tn_recurrent;

/* The first part of an expansion: what operands and attributes say, in the type that the layer computes in. */
bool tn_recurrent_begin(tn_recurrent *layer, tn_build *b, const tn_node *node, tn_value *const *operands,
                        const char *activations, uint32_t n_activations);
/* An operand in the type computed in, or NULL. */
tn_value *tn_recurrent_operand(tn_build *b, tn_value *const *operands, uint32_t n, uint32_t index);
/* Zeros when operand is NULL. */
tn_value *tn_recurrent_state(const tn_recurrent *layer, tn_build *b, tn_value *operand, const tn_value *like);
/* The part of b for gate number `gate` (of the 2*G) and `n` gates from there on. */
tn_value *tn_recurrent_bias(const tn_recurrent *layer, tn_build *b, tn_value *bias, int64_t gate, int64_t n);
/* The scan: x projected at once, `bias` ([G*H] or NULL) added to it, then the cell step by step. out: y and the last
 * states, in the type of operands[0]. */
bool tn_recurrent_end(const tn_recurrent *layer, tn_build *b, tn_value *const *operands, tn_value *bias,
                      tn_value **out);

/* In a cell: columns gate*H .. (gate+1)*H of x [B,G*H]; x between -clip and clip; v [H] along the rows of x. */
tn_value *tn_cell_gate(const tn_recurrent *layer, tn_build *b, tn_value *x, int64_t gate);
tn_value *tn_cell_activate(const tn_recurrent *layer, tn_build *b, uint32_t activation, tn_value *x);
tn_value *tn_cell_add(tn_build *b, tn_value *x, tn_value *y);
tn_value *tn_cell_mul(tn_build *b, tn_value *x, tn_value *y);
tn_value *tn_cell_along(tn_build *b, tn_value *v, const tn_value *x);
/* x r^T: [B,H] times [N,H]. */
tn_value *tn_cell_dot(tn_build *b, tn_value *x, tn_value *r);

#endif
