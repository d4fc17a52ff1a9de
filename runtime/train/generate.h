/* The action sample(prompt, n): a model of text goes on with a prompt, token by token: bytes of a text, or what the
 * tokenizer of its data makes of one. */
#ifndef TNRT_TRAIN_GENERATE_H
#define TNRT_TRAIN_GENERATE_H

#include "runtime/train/decode.h"
#include "runtime/train/session.h"

typedef struct tnrt_generator {
  const tnrt_training *plan; /* NULL: not open */
  int64_t length, n_tokens;  /* of the model's input; that it tells apart */
  int32_t *window;           /* length */
  float *scores;             /* length * n_tokens */
  int32_t *tokens;           /* of a prompt, and those that come behind it */
  char *text;                /* of the latter */
  tnrt_decoder decoder;
  tnrt_tokenizer *tokenizer; /* of a stream of tokens, from its file; NULL: there is none */
  const tnrt_chain *chain;   /* of texts that functions make tokens of; NULL: none do */
  uint32_t n_links;          /* of chain: before tokens are cut to a length */
  int32_t padding;           /* what stands behind the tokens that there are */
  tnrt_value value;          /* a prompt on its way to tokens */
} tnrt_generator;

/* Whether the plan has such an action: the session then has the model `predict`. */
bool tnrt_plan_samples(const tnrt_training *plan);

/* Room for all such actions of the plan; nothing where it has none. The samples are fitted. TNRT_BAD_INPUT: the
 * tokenizer's file cannot be read. */
tnrt_status tnrt_generator_open(tnrt_generator *generator, tnrt_session *session, const tnrt_samples *samples);
void tnrt_generator_close(tnrt_generator *generator, const tnrt_session *session);

/* action->n tokens behind the prompt as a text, *out_bytes of generator->text. Each is drawn from what the model gives
 * the next one, by the run's seed and the number of the step. Allocates nothing. */
tnrt_status tnrt_generate(tnrt_generator *generator, tnrt_session *session, const tnrt_action *action, int64_t step,
                          size_t *out_bytes);

#endif
