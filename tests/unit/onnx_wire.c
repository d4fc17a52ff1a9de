/* The wire scan: what it keeps, what it refuses, and that no damage to a file gets past it to protobuf-c. */
#include "frontend/onnx/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "grammar/onnx.pb-c.h"

typedef struct bytes {
  uint8_t *data;
  size_t n;
} bytes;

static void add(bytes *b, const void *data, size_t n) {
  b->data = realloc(b->data, b->n + n + 1);
  memcpy(b->data + b->n, data, n);
  b->n += n;
}

static void add_varint(bytes *b, uint64_t v) {
  for (; v >= 0x80; v >>= 7) add(b, &(uint8_t){(uint8_t)(v | 0x80)}, 1);
  add(b, &(uint8_t){(uint8_t)v}, 1);
}

/* A field of the bytes wire type; data is freed. */
static void add_field(bytes *b, uint32_t id, bytes payload) {
  add_varint(b, (uint64_t)id << 3 | 2);
  add_varint(b, payload.n);
  add(b, payload.data != NULL ? payload.data : (const uint8_t *)"", payload.n);
  free(payload.data);
}

static bytes text(const char *s) {
  bytes b = {0};
  add(&b, s, strlen(s));
  return b;
}

/* A model of one initialiser with raw data and one node with an attribute. */
static bytes small_model(void) {
  bytes tensor = {0}, attr = {0}, node = {0}, graph = {0}, model = {0};
  add_varint(&tensor, 1 << 3), add_varint(&tensor, 2); /* dims: [2] */
  add_varint(&tensor, 2 << 3), add_varint(&tensor, 1); /* FLOAT */
  add_field(&tensor, 8, text("w"));
  add_field(&tensor, 9, text("\1\2\3\4\5\6\7\x08"));
  add_field(&tensor, 12, text("a doc string, which is not kept"));
  add_field(&attr, 1, text("axis"));
  add_varint(&attr, 3 << 3), add_varint(&attr, UINT64_MAX);
  add_field(&node, 1, text("x"));
  add_field(&node, 1, text("w"));
  add_field(&node, 2, text("y"));
  add_field(&node, 4, text("Add"));
  add_field(&node, 5, attr);
  add_field(&graph, 1, node);
  add_field(&graph, 5, tensor);
  add_varint(&model, 1 << 3), add_varint(&model, 8);
  add_field(&model, 7, graph);
  return model;
}

typedef struct fixture {
  tn_ctx *ctx;
  tn_arena *scratch;
} fixture;

static int set_up(void **state) {
  fixture *f = malloc(sizeof(*f));
  f->ctx = tn_ctx_create((tn_oom){0});
  f->scratch = tn_arena_create_scratch(f->ctx->arena);
  *state = f;
  return 0;
}

static int tear_down(void **state) {
  fixture *f = *state;
  tn_arena_destroy(f->scratch);
  tn_ctx_destroy(f->ctx);
  free(f);
  return 0;
}

static const Onnx__ModelProto *unpack(fixture *f, const uint8_t *data, size_t n) {
  return (const Onnx__ModelProto *)tn_wire_unpack(f->ctx, TN_LOC_NONE, &onnx__model_proto__descriptor, data, n,
                                                  (uint64_t)1 << 20, f->scratch);
}

/* Refused with this code; frees model. */
static void assert_refused(fixture *f, bytes model, tn_diag_code code) {
  assert_null(unpack(f, model.data, model.n));
  assert_int_equal(f->ctx->n_errors, 1);
  assert_int_equal(f->ctx->diags.data[0].code, code);
  free(model.data);
}

static void keeps_what_the_schema_names(void **state) {
  fixture *f = *state;
  bytes model = small_model();
  const Onnx__ModelProto *m = unpack(f, model.data, model.n);
  assert_non_null(m);
  assert_int_equal(m->ir_version, 8);
  assert_int_equal(m->graph->n_node, 1);
  assert_string_equal(m->graph->node[0]->input[1], "w");
  assert_int_equal(m->graph->node[0]->attribute[0]->i, -1);
  free(model.data);
}

static void raw_data_is_a_place_in_the_file(void **state) {
  fixture *f = *state;
  bytes model = small_model();
  const Onnx__ModelProto *m = unpack(f, model.data, model.n);
  tn_wire_ref ref = tn_wire_ref_of(&m->graph->initializer[0]->raw_data);
  assert_int_equal(ref.bytes, 8);
  assert_memory_equal(model.data + ref.offset, "\1\2\3\4\5\6\7\x08", 8);
  free(model.data);
}

static void single_and_packed_elements_are_chunks(void **state) {
  fixture *f = *state;
  bytes tensor = {0}, graph = {0}, model = {0};
  add_varint(&tensor, 4 << 3 | 5), add(&tensor, "\0\0\x80\x3f", 4);
  add_field(&tensor, 4, text("abcdefgh"));
  add_varint(&tensor, 7 << 3), add_varint(&tensor, 300);
  add_field(&graph, 5, tensor);
  add_field(&model, 7, graph);
  const Onnx__TensorProto *t = unpack(f, model.data, model.n)->graph->initializer[0];
  assert_int_equal(t->n_float_data, 2);
  assert_int_equal(tn_wire_ref_of(&t->float_data[0]).bytes, 4);
  assert_int_equal(tn_wire_ref_of(&t->float_data[1]).bytes, 8);
  assert_int_equal(tn_wire_ref_of(&t->int64_data[0]).bytes, 2);
  free(model.data);
}

static void truncation_at_every_length_is_refused_or_whole(void **state) {
  fixture *f = *state;
  bytes model = small_model();
  for (size_t n = 0; n < model.n; n++) {
    uint8_t *cut = malloc(n > 0 ? n : 1); /* exactly n bytes, so that a sanitizer sees any read past them */
    memcpy(cut, model.data, n);
    size_t before = f->ctx->n_errors;
    const Onnx__ModelProto *m = unpack(f, cut, n);
    assert_true(m != NULL || f->ctx->n_errors == before + 1);
    assert_true(n < 2 || m == NULL || m->graph == NULL);
    free(cut);
  }
  free(model.data);
}

static void every_bit_flipped_is_survived(void **state) {
  fixture *f = *state;
  bytes model = small_model();
  for (size_t bit = 0; bit < 8 * model.n; bit++) {
    model.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    size_t before = f->ctx->n_errors;
    assert_true((unpack(f, model.data, model.n) != NULL) == (f->ctx->n_errors == before));
    model.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
  }
  free(model.data);
}

static bytes nested(int depth) {
  bytes inner = {0};
  for (int i = 0; i < depth; i++) { /* graph.node.attribute.g, from the inside out */
    bytes attr = {0}, node = {0}, graph = {0};
    add_field(&attr, 6, inner);
    add_field(&node, 5, attr);
    add_field(&graph, 1, node);
    inner = graph;
  }
  bytes model = {0};
  add_field(&model, 7, inner);
  return model;
}

static void depth_is_bounded(void **state) {
  fixture *f = *state;
  bytes fits = nested(33); /* 1 + 3 * 33 = 100 messages */
  assert_non_null(unpack(f, fits.data, fits.n));
  free(fits.data);
  assert_refused(f, nested(34), TN_E_LIMIT);
}

static void deep_nesting_does_not_use_the_stack(void **state) { assert_refused(*state, nested(9000), TN_E_LIMIT); }

static void empty_messages_are_budgeted(void **state) {
  bytes graph = {0}, model = {0};
  for (int i = 0; i < 100000; i++) add(&graph, "\x0a\0", 2);
  add_field(&model, 7, graph);
  assert_refused(*state, model, TN_E_LIMIT);
}

static void nul_in_a_name(void **state) {
  bytes node = {0}, graph = {0}, model = {0};
  add(&node, "\x0a\3a\0b", 5);
  add_field(&graph, 1, node);
  add_field(&model, 7, graph);
  assert_refused(*state, model, TN_E_ONNX_STRING);
}

static void wrong_wire_type(void **state) {
  bytes model = {0};
  add_varint(&model, 7 << 3), add_varint(&model, 1); /* graph as a number */
  assert_refused(*state, model, TN_E_ONNX_WIRE);
}

static void group(void **state) {
  bytes model = {0};
  add_varint(&model, 99 << 3 | 3);
  assert_refused(*state, model, TN_E_ONNX_WIRE);
}

static void field_number_zero(void **state) {
  bytes model = {0};
  add(&model, "\2\0", 2);
  assert_refused(*state, model, TN_E_ONNX_WIRE);
}

static void a_graph_that_occurs_twice(void **state) {
  bytes model = small_model(), again = {0};
  add_field(&model, 7, again);
  assert_refused(*state, model, TN_E_ONNX_WIRE);
}

static void a_number_of_eleven_bytes(void **state) {
  bytes model = {0};
  add_varint(&model, 1 << 3);
  add(&model, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\1", 11);
  assert_refused(*state, model, TN_E_ONNX_WIRE);
}

static void a_cut_element_in_a_packed_list(void **state) {
  bytes tensor = {0}, graph = {0}, model = {0};
  add_field(&tensor, 1, text("\x80"));
  add_field(&graph, 5, tensor);
  add_field(&model, 7, graph);
  assert_refused(*state, model, TN_E_ONNX_WIRE);
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      T(keeps_what_the_schema_names), T(raw_data_is_a_place_in_the_file), T(single_and_packed_elements_are_chunks),
      T(truncation_at_every_length_is_refused_or_whole), T(every_bit_flipped_is_survived), T(depth_is_bounded),
      T(deep_nesting_does_not_use_the_stack), T(empty_messages_are_budgeted), T(nul_in_a_name), T(wrong_wire_type),
      T(group), T(field_number_zero), T(a_graph_that_occurs_twice), T(a_number_of_eleven_bytes),
      T(a_cut_element_in_a_packed_list),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
