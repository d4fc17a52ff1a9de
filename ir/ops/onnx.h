/* Import functions that the records of several ops name: ONNX operators that are one primitive or a few. The file says
 * the subject; each handles all opset versions that its rows say. */
#ifndef TN_IR_OPS_ONNX_H
#define TN_IR_OPS_ONNX_H

#include "ir/ops/ops.h"

/* onnx_shape.c */
bool tn_import_reshape(tn_foreign_node *node);
bool tn_import_flatten(tn_foreign_node *node);
bool tn_import_squeeze(tn_foreign_node *node);
bool tn_import_unsqueeze(tn_foreign_node *node);
bool tn_import_identity(tn_foreign_node *node);
bool tn_import_dropout(tn_foreign_node *node);
bool tn_import_expand(tn_foreign_node *node);
bool tn_import_tile(tn_foreign_node *node);
bool tn_import_shape(tn_foreign_node *node);
bool tn_import_size(tn_foreign_node *node);
bool tn_import_constant_of_shape(tn_foreign_node *node);
bool tn_import_depth_to_space(tn_foreign_node *node);
bool tn_import_space_to_depth(tn_foreign_node *node);

/* onnx_select.c */
bool tn_import_slice(tn_foreign_node *node);
bool tn_import_split(tn_foreign_node *node);
bool tn_import_pad(tn_foreign_node *node);
bool tn_import_center_crop_pad(tn_foreign_node *node);

/* onnx_gather.c */
bool tn_import_gather(tn_foreign_node *node);
bool tn_import_gather_elements(tn_foreign_node *node);
bool tn_import_gather_nd(tn_foreign_node *node);
bool tn_import_scatter_elements(tn_foreign_node *node);
bool tn_import_scatter_nd(tn_foreign_node *node);
bool tn_import_reverse_sequence(tn_foreign_node *node);

/* onnx_fill.c */
bool tn_import_one_hot(tn_foreign_node *node);
bool tn_import_trilu(tn_foreign_node *node);
bool tn_import_range(tn_foreign_node *node);
bool tn_import_eye_like(tn_foreign_node *node);

/* onnx_count.c */
bool tn_import_non_zero(tn_foreign_node *node);
bool tn_import_compress(tn_foreign_node *node);
bool tn_import_unique(tn_foreign_node *node);
/* Where mask, bool[n], holds: i64[count], rising. */
tn_value *tn_build_positions(tn_build *b, tn_value *mask);

/* onnx_trip.c */
/* A Loop: its body ends with the condition, what is carried, what is stacked; its parameters are the number of the run,
 * the condition, what is carried, captures. */
typedef struct tn_loop_count {
  tn_build *b;
  const tn_block *body;
  uint32_t n_carried;
  tn_value *const *carried, *const *captures; /* what the parameters are at first */
  tn_value *condition;                        /* the first; NULL: it holds */
} tn_loop_count;
/* i64[]: how often it runs when only its condition ends it; NULL where the condition does not say. */
tn_value *tn_loop_count_runs(const tn_loop_count *loop);

/* onnx_join.c */
/* Ends an If whose regions are filled; out: its results, of the extents that the branch that ran gave. */
bool tn_join_branches(tn_foreign_node *node, struct tn_node *made, tn_value **out);

/* onnx_suppress.c */
bool tn_import_non_max_suppression(tn_foreign_node *node);

/* onnx_dot.c */
bool tn_import_matmul(tn_foreign_node *node);
bool tn_import_gemm(tn_foreign_node *node);
bool tn_import_matmul_integer(tn_foreign_node *node);
tn_value *tn_build_numpy_matmul(tn_build *b, tn_value *x, tn_value *y);

/* onnx_einsum.c */
bool tn_import_einsum(tn_foreign_node *node);

/* onnx_reduce.c */
bool tn_import_reduce(tn_foreign_node *node);
bool tn_import_sum(tn_foreign_node *node);

/* onnx_pool.c */
bool tn_import_average_pool(tn_foreign_node *node);
bool tn_import_lp_pool(tn_foreign_node *node);
bool tn_import_global_pool(tn_foreign_node *node);

/* onnx_window.c */
bool tn_import_window_function(tn_foreign_node *node);

/* onnx_misc.c */
bool tn_import_clip(tn_foreign_node *node);
bool tn_import_prelu(tn_foreign_node *node);
bool tn_import_lp_normalization(tn_foreign_node *node);
bool tn_import_mvn(tn_foreign_node *node);

/* conv.c; also of other inputs than the node's own */
bool tn_import_conv(tn_foreign_node *node);

/* onnx_attention.c */
bool tn_import_attention(tn_foreign_node *node);
/* x[B,S,H*D] as [B,H,S,D], the number of heads H being an attribute. */
tn_value *tn_foreign_split_heads(tn_foreign_node *node, tn_value *x, const char *attr);

/* onnx_recurrent.c */
bool tn_import_rnn(tn_foreign_node *node);
bool tn_import_gru(tn_foreign_node *node);
bool tn_import_lstm(tn_foreign_node *node);

/* onnx_control.c */
bool tn_import_if(tn_foreign_node *node);
bool tn_import_loop(tn_foreign_node *node);
bool tn_import_scan(tn_foreign_node *node);
bool tn_import_scan_8(tn_foreign_node *node);

/* onnx_stateful.c */
bool tn_import_linear_attention(tn_foreign_node *node);
bool tn_import_causal_conv(tn_foreign_node *node);

/* onnx_flex_attention.c */
bool tn_import_flex_attention(tn_foreign_node *node);

/* onnx_fourier.c */
bool tn_import_dft(tn_foreign_node *node);
bool tn_import_stft(tn_foreign_node *node);
bool tn_import_mel_weight_matrix(tn_foreign_node *node);

/* onnx_sample.c */
bool tn_import_deform_conv(tn_foreign_node *node);
bool tn_import_roi_align(tn_foreign_node *node);
bool tn_import_col2im(tn_foreign_node *node);
bool tn_import_max_unpool(tn_foreign_node *node);

/* onnx_linalg.c */
bool tn_import_det(tn_foreign_node *node);
bool tn_import_tensor_scatter(tn_foreign_node *node);

/* onnx_tfidf.c */
bool tn_import_tfidf(tn_foreign_node *node);

/* onnx_ml.c: ai.onnx.ml */
bool tn_import_binarizer(tn_foreign_node *node);
bool tn_import_array_feature_extractor(tn_foreign_node *node);
bool tn_import_label_encoder(tn_foreign_node *node);
bool tn_import_tree_ensemble(tn_foreign_node *node);

/* onnx_ml_linear.c: ai.onnx.ml */
bool tn_import_scaler(tn_foreign_node *node);
bool tn_import_imputer(tn_foreign_node *node);
bool tn_import_normalizer(tn_foreign_node *node);
bool tn_import_linear_regressor(tn_foreign_node *node);
bool tn_import_linear_classifier(tn_foreign_node *node);

/* onnx_random.c */
bool tn_import_random(tn_foreign_node *node);
bool tn_import_bernoulli(tn_foreign_node *node);
bool tn_import_multinomial(tn_foreign_node *node);
/* training: bool[] or NULL = true. */
bool tn_import_dropout_training(tn_foreign_node *node, tn_value *ratio, tn_value *training);

/* onnx_training.c */
bool tn_import_momentum(tn_foreign_node *node);
bool tn_import_adagrad(tn_foreign_node *node);
bool tn_import_adam(tn_foreign_node *node);

/* onnx_fused.c: com.microsoft */
bool tn_import_fused_matmul(tn_foreign_node *node);
bool tn_import_fused_conv(tn_foreign_node *node);
bool tn_import_bias_gelu(tn_foreign_node *node);
bool tn_import_quick_gelu(tn_foreign_node *node);
bool tn_import_skip_layer_norm(tn_foreign_node *node);
bool tn_import_embed_layer_norm(tn_foreign_node *node);

/* onnx_attention_fused.c: com.microsoft */
bool tn_import_ms_attention(tn_foreign_node *node);
bool tn_import_multi_head_attention(tn_foreign_node *node);
bool tn_import_group_query_attention(tn_foreign_node *node);
bool tn_import_ms_rotary_embedding(tn_foreign_node *node);

/* onnx_quant_fused.c: com.microsoft */
bool tn_import_qlinear_binary(tn_foreign_node *node);
bool tn_import_qlinear_unary(tn_foreign_node *node);
bool tn_import_qlinear_softmax(tn_foreign_node *node);
bool tn_import_qlinear_concat(tn_foreign_node *node);
bool tn_import_qlinear_pool(tn_foreign_node *node);
bool tn_import_qgemm(tn_foreign_node *node);
bool tn_import_matmul_integer_to_float(tn_foreign_node *node);
bool tn_import_dynamic_quantize_matmul(tn_foreign_node *node);
bool tn_import_matmul_nbits(tn_foreign_node *node);
bool tn_import_dynamic_quantize_lstm(tn_foreign_node *node);

/* onnx_quant.c */
bool tn_import_conv_integer(tn_foreign_node *node);
bool tn_import_qlinear_conv(tn_foreign_node *node);
bool tn_import_qlinear_matmul(tn_foreign_node *node);

/* onnx_axes.c: axes known only at run time. */
/* Each of axes (integers of any shape) as 0 to ndim - 1; one outside [-ndim, ndim) is an index out of range when the
 * program runs. ndim >= 1. */
tn_value *tn_axes_resolve(tn_build *b, tn_value *axes, uint32_t ndim);
/* i64[ndim, count]: 1 where entry i of the list axes, of count numbers, names axis d, else 0. NULL axes: 0, 1, ... */
tn_value *tn_axes_hits(tn_foreign_node *node, tn_value *axes, const tn_dim *count, uint32_t ndim);
/* i64[ndim]: how often each axis is named. */
tn_value *tn_axes_counts(tn_build *b, tn_value *hits);
/* The counts as flags, dims in [0, 1]; an axis named twice is refused when the program runs. */
bool tn_axes_read_flags(tn_build *b, tn_value *counts, const tn_dim **out);
/* i64[ndim]: the entry of list (as long as hits is wide) that belongs to each axis, or what `otherwise` has there. */
tn_value *tn_axes_place(tn_build *b, tn_value *hits, tn_value *list, tn_value *otherwise);
/* The extents of those of x's axes that are not named, in order; n_axes are. */
bool tn_axes_read_kept(tn_foreign_node *node, const tn_value *x, tn_value *counts, uint32_t n_axes,
                       const tn_dim **out);
/* x with each axis in two, of extents (1, n) where it is named and (n, 1) where not. At most TN_MAX_NDIM / 2. */
tn_value *tn_axes_split(tn_build *b, tn_value *x, tn_value *counts, const tn_dim *const *flags);

/* Shared. */
/* True when input `index` is given and its contents are not known when compiling; an empty list always is. */
bool tn_foreign_is_data(const tn_foreign_node *node, uint32_t index);
/* The list of integers at input `index`, of a length that must be n (checked, now or when the program runs). */
tn_value *tn_foreign_list(tn_foreign_node *node, uint32_t index, uint32_t n);
/* The axes of an attribute, or of input `index` from opset `since_input` on, normalised against ndim, ascending; *given
 * = false when there are none. */
bool tn_foreign_axes(tn_foreign_node *node, uint32_t index, int64_t since_input, uint32_t ndim, int64_t *out,
                     uint32_t *out_n, bool *given);
/* Two operands brought to the dims of the first as before opset 7: with `broadcast`, the second's axes are the first's
 * from `axis` on (default: the last ones), or it is one element; without, both have equal dims. */
bool tn_foreign_old_broadcast(tn_foreign_node *node, tn_value **pair);
/* The graph of an attribute where the node stands, on these inputs; exactly n_out outputs. */
bool tn_foreign_inline(tn_foreign_node *node, void *graph, tn_value *const *inputs, uint32_t n, tn_value **out,
                       uint32_t n_out);
/* Index values with those below 0 counted from the end: i + extent. */
tn_value *tn_build_wrap_index(tn_build *b, tn_value *index, const tn_dim *extent);
/* x at indices[k] on axes[k] for each k; the indices have equal dims, which come first in the result. */
tn_value *tn_build_gather_axes(tn_build *b, tn_value *x, tn_value *const *indices, const int64_t *axes, uint32_t n);
/* An integer input as dims in [lo, hi]; at most TN_MAX_INDEX. */
bool tn_foreign_dims(tn_foreign_node *node, uint32_t index, int64_t lo, int64_t hi, const tn_dim **out,
                     uint32_t *out_n);
/* The same where the rules say how long the list is: one of a symbolic length must be that long. */
bool tn_foreign_dims_of(tn_foreign_node *node, uint32_t index, uint32_t length, int64_t lo, int64_t hi,
                        const tn_dim **out, uint32_t *out_n);

/* ai.onnx.preview.training */
bool tn_import_gradient(tn_foreign_node *node);

#endif
