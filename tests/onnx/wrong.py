#!/usr/bin/env python3
"""Models in which one operator is wrong: ranks, types, attributes and constants that make no sense. Each is refused
with the node, the cause and the code, in at most 2 s and 60 MB.   usage: wrong.py BUILD_DIR

Last line: `N passed, N failed, N skipped`.
"""
import os
import re
import subprocess
import sys
import tempfile

import onnx
import onnx.parser

HEAD = '<ir_version: 10, opset_import: ["" : %d]>\n'
MAIN = "m (float[2,3,8,8] x) => (float[A,B,C,D] y) "
WEIGHTS = "float[4,3,3,3] {%s}" % ",".join(["0"] * 108)

# Name, body (or whole graph), opset, place, words of the first error, its code.
KINDS = (
    ("conv_zero_strides", 21, "node 1 (Conv, opset 21)", "TN0204",
     "w = Constant<value = WEIGHTS>()  y = Conv<strides=[0,0]>(x,w)",
     "'Conv': strides: 0"),
    ("conv_negative_dilations", 21, "node 1 (Conv, opset 21)", "TN0204",
     "w = Constant<value = WEIGHTS>()  y = Conv<dilations=[-1,1]>(x,w)",
     "'Conv': dilations: -1"),
    ("conv_zero_group", 21, "node 1 (Conv, opset 21)", "TN0204",
     "w = Constant<value = WEIGHTS>()  y = Conv<group=0>(x,w)",
     "'Conv': group: expected at least 1, found 0"),
    ("conv_group_too_many", 21, "node 1 (Conv, opset 21)", "TN0203",
     "w = Constant<value = WEIGHTS>()  y = Conv<group=7>(x,w)",
     "with 7 groups: expected 3, found 21"),
    ("conv_negative_kernel", 21, "node 1 (Conv, opset 21)", "TN0203",
     "w = Constant<value = WEIGHTS>()  y = Conv<kernel_shape=[-3,3]>(x,w)",
     "'Conv': weights against kernel_shape, spatial axis 0: expected -3, found 3"),
    ("conv_kernel_of_another_size", 21, "node 1 (Conv, opset 21)", "TN0203",
     "w = Constant<value = WEIGHTS>()  y = Conv<kernel_shape=[5,5]>(x,w)",
     "'Conv': weights against kernel_shape, spatial axis 0: expected 5, found 3"),
    ("conv_huge_pads", 21, "node 1 (Conv, opset 21)", "TN0204",
     "w = Constant<value = WEIGHTS>()  y = Conv<pads=[9223372036854775807,0,0,0]>(x,w)",
     "'Conv': pads: 9223372036854775807"),
    ("conv_pads_too_few", 21, "node 1 (Conv, opset 21)", "TN0204",
     "w = Constant<value = WEIGHTS>()  y = Conv<pads=[1,1]>(x,w)",
     "'Conv': pads: expected 4 elements, found 2"),
    ("conv_strides_too_many", 21, "node 1 (Conv, opset 21)", "TN0204",
     "w = Constant<value = WEIGHTS>()  y = Conv<strides=[1,1,1]>(x,w)",
     "'Conv': strides: expected 2 elements, found 3"),
    ("conv_auto_pad_unknown", 21, "node 1 (Conv, opset 21)", "TN0204",
     "w = Constant<value = WEIGHTS>()  y = Conv<auto_pad=\"SOMEHOW\">(x,w)",
     "'Conv': auto_pad: 'SOMEHOW' is no way of padding"),
    ("conv_strides_int", 21, "node 1 (Conv, opset 21)", "TN0204",
     "w = Constant<value = WEIGHTS>()  y = Conv<strides=2>(x,w)",
     "attribute 'strides' of 'Conv': expected a list of ints, found an int"),
    ("conv_bias_of_rank_2", 21, "node 2 (Conv, opset 21)", "TN0202",
     "w = Constant<value = WEIGHTS>()  b = Constant<value=float[2,2]{1,1,1,1}>() y = Conv(x,w,b)",
     "expected a vector along axis 1, found rank 2"),
    ("conv_huge_dilation", 21, "node 1 (Conv, opset 21)", "TN0204",
     "w = Constant<value = WEIGHTS>()  y = Conv<dilations=[4611686018427387904,1]>(x,w)",
     "'Conv': dilations: 4611686018427387904"),
    ("pool_zero_kernel", 21, "node 0 (MaxPool, opset 21)", "TN0204",
     "y = MaxPool<kernel_shape=[0,0]>(x)",
     "'MaxPool': kernel_shape: 0"),
    ("pool_no_kernel", 21, "node 0 (MaxPool, opset 21)", "TN0204",
     "y = MaxPool(x)",
     "'MaxPool': kernel_shape is missing"),
    ("pool_kernel_of_rank_1", 21, "node 0 (MaxPool, opset 21)", "TN0204",
     "y = MaxPool<kernel_shape=[2]>(x)",
     "'MaxPool': kernel_shape: expected 2 elements, found 1"),
    ("pool_huge_kernel", 21, "node 0 (AveragePool, opset 21)", "TN0204",
     "y = AveragePool<kernel_shape=[2147483648,2147483648]>(x)",
     "'AveragePool': kernel_shape: 2147483648"),
    ("pool_int64_min", 21, "node 0 (MaxPool, opset 21)", "TN0204",
     "y = MaxPool<kernel_shape=[2,2], strides=[-9223372036854775808,1]>(x)",
     "'MaxPool': strides: -9223372036854775808"),
    ("conv_transpose_output_shape", 21, "node 1 (ConvTranspose, opset 21)", "TN0203",
     "w = Constant<value = float[3,1,1,1]{1,1,1}>() y = ConvTranspose<output_shape=[-5,3]>(x,w)",
     "'conv_dx': in is not negative: expected at least 0, found -5"),
    ("conv_transpose_huge_output_padding", 21, "node 1 (ConvTranspose, opset 21)", "TN0004",
     "w = Constant<value = float[3,1,1,1]{1,1,1}>() y = "
     "ConvTranspose<output_padding=[9223372036854775807,0]>(x,w)",
     "an extent does not fit 63 bits, or its formula is too large"),
    ("lrn_size_zero", 21, "node 0 (LRN, opset 21)", "TN0204",
     "y = LRN<size=0>(x)",
     "attribute 'size' of 'lrn': expected 1 to 2147483647, found 0"),
    ("global_pool_of_rank_1", 21, "node 1 (GlobalAveragePool, opset 21)", "TN0202",
     "a = Constant<value_floats=[1.0]>() y = GlobalAveragePool(a)",
     "'GlobalAveragePool': expected at least 2 dimensions, found 1"),
    ("reshape_two_minus_ones", 21, "node 1 (Reshape, opset 21)", "TN0203",
     "s=Constant<value_ints=[-1,-1]>() y=Reshape(x,s)",
     "'Reshape': shape: -1 occurs 2 times"),
    ("reshape_overflow", 21, "node 1 (Reshape, opset 21)", "TN0004",
     "s=Constant<value_ints=[4294967296,4294967296,4294967296]>() y=Reshape(x,s)",
     "an extent does not fit 63 bits, or its formula is too large"),
    ("reshape_zero_beyond", 21, "node 1 (Reshape, opset 21)", "TN0203",
     "s=Constant<value_ints=[2,3,8,8,0]>() y=Reshape(x,s)",
     "'reshape': number of elements of x 'x' f32[2,3,8,8]: expected 384, found 0"),
    ("transpose_twice", 21, "node 0 (Transpose, opset 21)", "TN0204",
     "y=Transpose<perm=[0,0,1,2]>(x)",
     "'transpose': perm: 0 occurs twice"),
    ("transpose_short", 21, "node 0 (Transpose, opset 21)", "TN0204",
     "y=Transpose<perm=[1,0]>(x)",
     "'transpose': perm: expected 4 elements, found 2"),
    ("concat_axis", 21, "node 0 (Concat, opset 21)", "TN0204",
     "y=Concat<axis=9>(x,x)",
     "axis: expected -4 to 3, found 9"),
    ("concat_nothing", 21, "node 0 (Concat, opset 21)", "TN0205",
     "y=Concat<axis=0>()",
     "'Concat' needs input 0"),
    ("split_zero", 21, "node 0 (Split, opset 21)", "TN0204",
     "y,z=Split<axis=0,num_outputs=0>(x)",
     "'Split': num_outputs: expected 2, found 0"),
    ("split_sum", 21, "node 1 (Split, opset 21)", "TN0203",
     "s=Constant<value_ints=[5,5]>() y,z=Split<axis=0>(x,s)",
     "'Split': sum of the parts: expected 2, found 10"),
    ("split_negative", 21, "node 1 (Split, opset 21)", "TN0203",
     "s=Constant<value_ints=[-1,3]>() y,z=Split<axis=0>(x,s)",
     "'slice': size is not negative: expected at least 0, found -1"),
    ("slice_zero_step", 21, "node 2 (Slice, opset 21)", "TN0204",
     "a=Constant<value_ints=[0]>() b=Constant<value_ints=[5]>() y=Slice(x,a,b,a,a)",
     "'Slice': steps: element 0 is 0"),
    ("slice_axes_twice", 21, "node 2 (Slice, opset 21)", "TN0204",
     "a=Constant<value_ints=[0,0]>() b=Constant<value_ints=[5,5]>() y=Slice(x,a,b,a)",
     "'Slice': axes: 0 occurs twice"),
    ("gather_float_index", 21, "node 1 (Gather, opset 21)", "TN0201",
     "i=Constant<value_floats=[1.0]>() y=Gather<axis=0>(x,i)",
     "'Gather': indices: expected i32 or i64, found f32"),
    ("gather_nd_too_deep", 21, "node 1 (GatherND, opset 21)", "TN0203",
     "i=Constant<value=int64[1,5]{0,0,0,0,0}>() y=GatherND(x,i)",
     "'GatherND': indices: 5 coordinates after 0 batch axes for 4 dimensions"),
    ("gather_nd_batch", 21, "node 1 (GatherND, opset 21)", "TN0203",
     "i=Constant<value=int64[1,1]{0}>() y=GatherND<batch_dims=4>(x,i)",
     "'GatherND': indices: 1 coordinates after 4 batch axes for 4 dimensions"),
    ("expand_negative", 21, "node 1 (Expand, opset 21)", "TN0203",
     "s=Constant<value_ints=[-2,3,8,8]>() y=Expand(x,s)",
     "'broadcast': an extent is not negative: expected at least 0, found -2"),
    ("tile_huge", 21, "node 1 (Tile, opset 21)", "TN0004",
     "s=Constant<value_ints=[9223372036854775807,9223372036854775807,1,1]>() y=Tile(x,s)",
     "an extent does not fit 63 bits, or its formula is too large"),
    ("tile_negative", 21, "node 1 (Tile, opset 21)", "TN0203",
     "s=Constant<value_ints=[-1,1,1,1]>() y=Tile(x,s)",
     "'broadcast': an extent is not negative: expected at least 0, found -1"),
    ("pad_of_rank", 21, "node 1 (Pad, opset 21)", "TN0203",
     "s=Constant<value_ints=[1,1]>() y=Pad(x,s)",
     "'Pad': pads: expected 8, found 2"),
    ("pad_negative_all", 21, "node 1 (Pad, opset 21)", "TN0203",
     "s=Constant<value_ints=[-100,0,0,0,0,0,0,0]>() y=Pad(x,s)",
     "'pad': a padded extent is not negative: expected at least 0, found -98"),
    ("squeeze_not_one", 21, "node 1 (Squeeze, opset 21)", "TN0203",
     "a=Constant<value_ints=[0]>() y=Squeeze(x,a)",
     "'Squeeze': axis 0: expected 1, found 2"),
    ("unsqueeze_17", 21, "node 1 (Unsqueeze, opset 21)", "TN0004",
     "a=Constant<value_ints=[0,1,2,3,4,5,6,7,8,9,10,11,12]>() y=Unsqueeze(x,a)",
     "'Unsqueeze': a result of rank 17 is above the limit"),
    ("unsqueeze_twice", 21, "node 1 (Unsqueeze, opset 21)", "TN0204",
     "a=Constant<value_ints=[0,0]>() y=Unsqueeze(x,a)",
     "'Unsqueeze': axes: 0 occurs twice"),
    ("range_zero_step", 21, "node 2 (Range, opset 21)", "TN0203",
     "m (float[2] x) => (int64[A] y) { a=Constant<value_int=0>() b=Constant<value_int=10>() "
     "y=Range(a,b,a) }",
     "'Range': delta is 0"),
    ("range_huge", 21, "node 3 (Range, opset 21)", "TN0004",
     "m (float[2] x) => (int64[A] y) { a=Constant<value=int64{-9223372036854775808}>() "
     "b=Constant<value=int64{9223372036854775807}>() c=Constant<value_int=1>() y=Range(a,b,c) }",
     "an extent does not fit 63 bits, or its formula is too large"),
    ("resize_zero_scales", 21, "node 1 (Resize, opset 21)", "TN0204",
     "s=Constant<value=float[4]{1,1,0,1}>() y=Resize(x,,s)",
     "'Resize': scales: element 2 is 0"),
    ("resize_negative_scales", 21, "node 1 (Resize, opset 21)", "TN0204",
     "s=Constant<value=float[4]{1,1,-2,1}>() y=Resize(x,,s)",
     "'Resize': scales: element 2 is -2"),
    ("resize_inf_scales", 21, "node 1 (Resize, opset 21)", "TN0004",
     "s=Constant<value=float[4]{1,1,1e38,1e38}>() y=Resize(x,,s)",
     "'Resize': a result of inf elements"),
    ("resize_mode", 21, "node 1 (Resize, opset 21)", "TN0204",
     "s=Constant<value=float[4]{1,1,2,2}>() y=Resize<mode=\"best\">(x,,s)",
     "'Resize': mode: 'best' is not known"),
    ("resize_negative_sizes", 21, "node 1 (Resize, opset 21)", "TN0203",
     "i=Constant<value_ints=[2,3,-8,8]>() y=Resize(x,,,i)",
     "'resize': size is not negative: expected at least 0, found -8"),
    ("topk_negative", 21, "node 1 (TopK, opset 21)", "TN0203",
     "k=Constant<value_ints=[-1]>() y,z=TopK(x,k)",
     "'argsort': top is not negative: expected at least 0, found -1"),
    ("topk_more", 21, "node 1 (TopK, opset 21)", "TN0203",
     "k=Constant<value_ints=[100]>() y,z=TopK(x,k)",
     "top of x 'x' f32[2,3,8,8]: expected at most 8, found 100"),
    ("onehot_negative_depth", 21, "node 3 (OneHot, opset 21)", "TN0203",
     "i=Constant<value_ints=[0]>() d=Constant<value_int=-3>() v=Constant<value_floats=[0.0,1.0]>() "
     "y=OneHot(i,d,v)",
     "'iota': an extent is not negative: expected at least 0, found -3"),
    ("eye_like_rank", 21, "node 0 (EyeLike, opset 21)", "TN0202",
     "y=EyeLike(x)",
     "'EyeLike': expected 2 dimensions, found 4"),
    ("depth_to_space_zero", 21, "node 0 (DepthToSpace, opset 21)", "TN0204",
     "y=DepthToSpace<blocksize=0>(x)",
     "'DepthToSpace': blocksize: 0"),
    ("depth_to_space_indivisible", 21, "node 0 (DepthToSpace, opset 21)", "TN0203",
     "y=DepthToSpace<blocksize=5>(x)",
     "channels, a multiple of blocksize squared"),
    ("space_to_depth_negative", 21, "node 0 (SpaceToDepth, opset 21)", "TN0204",
     "y=SpaceToDepth<blocksize=-2>(x)",
     "'SpaceToDepth': blocksize: -2"),
    ("cast_to_nothing", 21, "node 0 (Cast, opset 21)", "TN0204",
     "y=Cast<to=0>(x)",
     "'Cast': to: 0 is no element type"),
    ("cast_to_99", 21, "node 0 (Cast, opset 21)", "TN0204",
     "y=Cast<to=99>(x)",
     "'Cast': to: 99 is no element type"),
    ("cast_to_string", 21, "node 0 (Cast, opset 21)", "TN0303",
     "y=Cast<to=8>(x)",
     "'Cast' with strings is not supported yet"),
    ("reduce_axis", 21, "node 1 (ReduceSum, opset 21)", "TN0204",
     "a=Constant<value_ints=[7]>() y=ReduceSum(x,a)",
     "axes: expected -4 to 3, found 7"),
    ("reduce_axes_twice", 21, "node 1 (ReduceSum, opset 21)", "TN0204",
     "a=Constant<value_ints=[0,-4]>() y=ReduceSum(x,a)",
     "'ReduceSum': axes: 0 occurs twice"),
    ("softmax_axis", 21, "node 0 (Softmax, opset 21)", "TN0204",
     "y=Softmax<axis=-9>(x)",
     "axis: expected -4 to 3, found -9"),
    ("flatten_axis", 21, "node 0 (Flatten, opset 21)", "TN0204",
     "y=Flatten<axis=5>(x)",
     "'Flatten': axis: 5"),
    ("cumsum_axis", 21, "node 1 (CumSum, opset 21)", "TN0204",
     "a=Constant<value_int=9>() y=CumSum(x,a)",
     "axis: expected -4 to 3, found 9"),
    ("trilu_rank", 21, "node 1 (Trilu, opset 21)", "TN0202",
     "a=Constant<value_floats=[1.0]>() y=Trilu(a)",
     "'Trilu': expected at least 2 dimensions, found 1"),
    ("matmul_inner", 21, "node 1 (MatMul, opset 21)", "TN0203",
     "a=Constant<value=float[5,2]{1,2,3,4,5,6,7,8,9,10}>() y=MatMul(x,a)",
     "'dot': sum axes 3 of a 'x' f32[2,3,8,8] and 0 of b 'a' f32[5,2]: expected 8, found 5"),
    ("matmul_scalar", 21, "node 1 (MatMul, opset 21)", "TN0202",
     "a=Constant<value_float=1.0>() y=MatMul(x,a)",
     "a matrix product of a scalar"),
    ("gemm_rank", 21, "node 0 (Gemm, opset 21)", "TN0202",
     "y=Gemm(x,x)",
     "'Gemm': expected matrices, found 4 and 4 dimensions"),
    ("einsum_syntax", 21, "node 0 (Einsum, opset 21)", "TN0204",
     "y=Einsum<equation=\"i!j->\">(x)",
     "'Einsum': equation: unexpected '!'"),
    ("einsum_letters", 21, "node 0 (Einsum, opset 21)", "TN0202",
     "y=Einsum<equation=\"abcdef->a\">(x)",
     "'Einsum': equation: an operand of rank 4 has 6 labels"),
    ("einsum_repeat_output", 21, "node 0 (Einsum, opset 21)", "TN0204",
     "y=Einsum<equation=\"abcd->aa\">(x)",
     "'Einsum': equation: 'a' is in the result twice"),
    ("einsum_operands", 21, "node 0 (Einsum, opset 21)", "TN0204",
     "y=Einsum<equation=\"abcd,abcd->a\">(x)",
     "'Einsum': equation: more terms than the 1 inputs"),
    ("add_shapes", 21, "node 1 (Add, opset 21)", "TN0203",
     "a=Constant<value_floats=[1.0,2.0,3.0]>() y=Add(x,a)",
     "extents of one broadcast: expected 8, found 3"),
    ("add_types", 21, "node 1 (Add, opset 21)", "TN0201",
     "a=Constant<value_ints=[1]>() y=Add(x,a)",
     "operand 'y' of 'add': expected f32 as operand 'x', found i64"),
    ("batch_norm_wrong", 21, "node 1 (BatchNormalization, opset 21)", "TN0203",
     "a=Constant<value_floats=[1.0]>() y=BatchNormalization(x,a,a,a,a)",
     "'batch_norm': scale 'a' f32[1] against the channels of x 'x' f32[2,3,8,8]: expected 3, found 1"),
    ("layer_norm_axis", 21, "node 1 (LayerNormalization, opset 21)", "TN0204",
     "a=Constant<value_floats=[1.0]>() y=LayerNormalization<axis=9>(x,a)",
     "axis: expected -4 to 3, found 9"),
    ("group_norm_zero", 21, "node 1 (GroupNormalization, opset 21)", "TN0204",
     "a=Constant<value_floats=[1.0,1.0,1.0]>() y=GroupNormalization<num_groups=0>(x,a,a)",
     "'GroupNormalization': num_groups: 0"),
    ("lstm_hidden", 21, "node 2 (LSTM, opset 21)", "TN0202",
     "w=Constant<value=float[1,4,3]{ONES12}>() r=Constant<value=float[1,4,1]{1,1,1,1}>() "
     "y=LSTM<hidden_size=9>(x,w,r)",
     "'LSTM': input 0: expected 3 dimensions, found 4"),
    ("lstm_direction", 21, "node 2 (LSTM, opset 21)", "TN0204",
     "w=Constant<value=float[1,4,3]{ONES12}>() r=Constant<value=float[1,4,1]{1,1,1,1}>() "
     "y=LSTM<hidden_size=1,direction=\"up\">(z,w,r) z=Constant<value=float[1,1,3]{1,1,1}>()",
     "'LSTM': direction: expected forward, reverse or bidirectional, found 'up'"),
    ("gru_activations", 21, "node 2 (GRU, opset 21)", "TN0204",
     "w=Constant<value=float[1,3,3]{ONES9}>() r=Constant<value=float[1,3,1]{1,1,1}>() "
     "y=GRU<hidden_size=1,activations=[\"Nope\",\"Tanh\"]>(z,w,r) z=Constant<value=float[1,1,3]{1,1,1}>()",
     "'GRU': activations: 'Nope' is none"),
    ("attention_heads", 23, "node 1 (Attention, opset 23)", "TN0203",
     "a=Constant<value=float[1,2,7]{ONES14}>() y=Attention<q_num_heads=3,kv_num_heads=2>(a,a,a)",
     "the last extent, a multiple of q_num_heads"),
    ("quantize_block", 21, "'y'", "TN0311",
     "s=Constant<value=float[1]{0.5}>() z=Constant<value=uint8[1]{0}>() "
     "y=QuantizeLinear<axis=9>(x,s,z)",
     "graph output 'y' is declared FLOAT, its node computes u8"),
    ("dequantize_types", 21, "node 1 (DequantizeLinear, opset 21)", "TN0201",
     "s=Constant<value=float{0.5}>() y=DequantizeLinear(x,s)",
     "operand 'x' of 'dequantize_linear': expected"),
    ("nms_rank", 21, "node 0 (NonMaxSuppression, opset 21)", "TN0202",
     "y=NonMaxSuppression(x,x)",
     "'NonMaxSuppression': expected boxes [B,N,4] and scores [B,C,N]"),
    ("roi_align_zero", 21, "node 2 (RoiAlign, opset 21)", "TN0204",
     "r=Constant<value=float[1,4]{0,0,1,1}>() i=Constant<value_ints=[0]>() "
     "y=RoiAlign<output_height=0,output_width=-1>(x,r,i)",
     "'RoiAlign': output 0 x -1, sampling_ratio 0"),
    ("grid_sample_mode", 21, "node 1 (GridSample, opset 21)", "TN0204",
     "g=Constant<value=float[2,1,1,2]{0,0,0,0}>() y=GridSample<mode=\"none\">(x,g)",
     "'GridSample': unknown mode 'none' or padding_mode 'zeros'"),
    ("dft_length", 21, "node 1 (DFT, opset 21)", "TN0203",
     "a=Constant<value_int=-5>() y=DFT(x,a)",
     "'DFT': the last extent must be 1 (real) or 2 (complex)"),
    ("scan_no_body", 21, "node 0 (Scan, opset 21)", "TN0204",
     "y=Scan<num_scan_inputs=1>(x)",
     "'Scan': needs the graph 'body'"),
    ("loop_cond_float", 21, "node 2 (Loop, opset 21)", "TN0201",
     "n=Constant<value_int=3>() c=Constant<value_float=1.0>() y=Loop(n,c,x)<body=b(int64 i,bool "
     "g,float[2,3,8,8] p)=>(bool o,float[2,3,8,8] q){o=Identity(g) q=Neg(p)}>",
     "'Loop': the condition, input 1: expected bool, found f32"),
    ("if_cond_float", 21, "node 0 (If, opset 21)", "TN0201",
     "y=If(x)<then_branch=a()=>(float p){p=Constant<value_float=1.0>()},else_branch=b()=>(float "
     "q){q=Constant<value_float=2.0>()}>",
     "'If': the condition, input 0: expected bool, found f32"),
    ("if_no_else", 21, "node 1 (If, opset 21)", "TN0204",
     "c=Constant<value=bool{1}>() y=If(c)<then_branch=a()=>(float p){p=Constant<value_float=1.0>()}>",
     "'If': needs the graph 'else_branch'"),
    ("body_uses_later", 21, "node 2 (If, opset 21)", "TN0307",
     "c=Cast<to=9>(s) s=ReduceMax<keepdims=0>(x) y=If(c)<then_branch=a()=>(float "
     "p){p=Identity(late)},else_branch=b()=>(float q){q=Constant<value_float=2.0>()}> "
     "late=ReduceMax<keepdims=0>(y)",
     "2 nodes depend on each other in a circle"),
    ("many_errors", 21, "node 0 (Add, opset 21)", "TN0305",
     "a=Add(x,nowhere) b=Reshape(x,x) c=Unknown(x) d=Transpose<perm=[9,9]>(x) y=Cast<to=77>(x)",
     "'nowhere' is not defined by any input, initialiser or node"),
)


def graph_of(text):
    """WEIGHTS and ONESn stand for long lists."""
    text = text.replace("WEIGHTS", WEIGHTS)
    text = re.sub(r"\{ONES(\d+)\}", lambda m: "{%s}" % ",".join(["1"] * int(m[1])), text)
    return text if text.startswith("m (") else MAIN + "{ " + text + " }"


def refusal(tenon, path, out):
    """Exit status, standard error, seconds of the process, peak bytes."""
    with tempfile.TemporaryFile() as said:
        child = subprocess.Popen([tenon, path, "-c", "-o", out], stdout=said, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        return (child.returncode, said.read().decode(errors="replace"), usage.ru_utime + usage.ru_stime,
                usage.ru_maxrss << 10)


def judge(tenon, folder, kind):
    name, opset, place, code, text, words = kind
    path = os.path.join(folder, name + ".onnx")
    onnx.save(onnx.parser.parse_model(HEAD % opset + graph_of(text)), path)
    status, said, seconds, peak = refusal(tenon, path, os.path.join(folder, "out.o"))
    first = next((line for line in said.splitlines() if ": error: " in line), "")
    if status != 1:
        return f"exit status {status}: {said[:300]}"
    if not first.startswith(f"{path}: {place}: error: ") or words not in first or not first.endswith(f"[{code}]"):
        return first
    return f"{seconds:.1f} s, {peak >> 20} MB" if seconds > 2 or peak > 60 << 20 else None


def main():
    tenon, failed = os.path.join(sys.argv[1], "bin", "tenon"), 0
    with tempfile.TemporaryDirectory() as folder:
        for kind in KINDS:
            wrong = judge(tenon, folder, kind)
            failed += wrong is not None
            if wrong:
                print(f"{kind[0]}: {wrong}")
    print(f"{len(KINDS) - failed} passed, {failed} failed, 0 skipped")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
