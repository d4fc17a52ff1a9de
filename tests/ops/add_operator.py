"""An operator is one file: adds one to a copy of the tree, edits nothing else, and sees it everywhere.
usage: add_operator.py SOURCE_DIR WORK_DIR   (WORK_DIR keeps the copy's build for the next run)
"""
import os
import shutil
import subprocess
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper

OPERATOR = """/* triple: x + x + x. */
#include "ir/ops/compose.h"

static bool expand_triple(tn_build *b, const tn_node *node, tn_value *const *operands, tn_value **out) {
  (void)node;
  *out = tn_build_binary(b, TN_ADD, tn_build_binary(b, TN_ADD, operands[0], operands[0]), operands[0]);
  return *out != NULL;
}

static const tn_operand_def operand_defs[] = {{"x", TN_ONE, TN_SET_FLOAT, TN_ROLE_DATA, NULL, 0}};
static const tn_onnx_row onnx[] = {{"org.example", "Triple", 1, 0, NULL}};
static const tn_op_sample samples[] = {{TN_TYPES("f32[2,3]"), NULL, -9, 9, "EXPECTED"},
                                       {TN_TYPES("i32[2]"), NULL, 0, 0, NULL}};

const tn_opdef tn_op_triple = {
    .name = "triple",
    .kind = TN_OP_COMPOSITE,
    .doc = "Three times x, by additions.",
    TN_OPERANDS(operand_defs),
    .n_results = 1,
    .traits = TN_TRAIT_ELEMENTWISE,
    .expand = expand_triple,
    TN_ONNX(onnx),
    TN_SAMPLES(samples),
};
"""
TEXT = """tnir 1
func @run entry (%x: f32[4] "x") -> (f32[4] "y") {
  %0 = triple %x : f32[4]
  return %0
}
"""
SOURCES = ["CMakeLists.txt", "CMakePresets.json", "cmake", "grammar", "frontend", "ir", "train", "passes", "backends",
           "runtime", "examples", "tests"]


def copy_tree(source, work):
    """Files that did not change keep their times, so that a second run builds little."""
    shutil.rmtree(os.path.join(work, "ir", "ops"), ignore_errors=True)  # an operator that is gone must not linger
    os.makedirs(work, exist_ok=True)
    for name in SOURCES:
        path = os.path.join(source, name)
        command = ["cp", "-a", "-u", "-T", path, os.path.join(work, name)]
        if os.path.exists(path):
            subprocess.run(command, check=True)


def samples_hold(work, build, expected):
    """Builds the operator with a sample that expects this type, and runs the automatic tests of operators."""
    with open(os.path.join(work, "ir", "ops", "triple.c"), "w", encoding="ascii") as f:
        f.write(OPERATOR.replace("EXPECTED", expected))
    subprocess.run(["cmake", "--preset", "release"], cwd=work, check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["cmake", "--build", build, "--target", "tenon", "unit_ops_test"], check=True,
                   stdout=subprocess.DEVNULL)
    test = os.path.join(build, "tests", "unit_ops_test")
    return subprocess.run([test], capture_output=True, check=False).returncode == 0


def output(*command, **options):
    return subprocess.run(command, check=True, capture_output=True, text=True, **options).stdout


def model(path):
    graph = helper.make_graph([helper.make_node("Triple", ["x"], ["y"], domain="org.example")], "g",
                              [helper.make_tensor_value_info("x", TensorProto.FLOAT, [4])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, [4])])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("org.example", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)


def main(source, work):
    copy_tree(source, work)
    build = os.path.join(work, "build", "release")
    wrong_is_noticed = not samples_hold(work, build, "f32[3,2]")
    right_holds = samples_hold(work, build, "f32[2,3]")
    tenon = os.path.join(build, "bin", "tenon")
    os.chdir(work)
    x = np.array([1, -2, 0.5, 4], np.float32)
    np.save("x.npy", x)
    with open("triple.tnir", "w", encoding="ascii") as f:
        f.write(TEXT)
    model("triple.onnx")
    subprocess.run([tenon, "triple.onnx", "-o", "triple"], check=True)
    subprocess.run(["./triple", "run", "--input", "x=x.npy", "--output-dir", "out"], check=True)
    checks = {
        "--print-ops lists it": "triple" in output(tenon, "--print-ops"),
        "--help-op documents it": "Three times x" in output(tenon, "--help-op=triple"),
        "its text is read and printed": "= triple %" in output(tenon, "triple.tnir", "--only=infer", "--emit=ir"),
        "it is imported from ONNX": "= triple %" in output(tenon, "triple.onnx", "--only=infer", "--emit=ir"),
        "its program is right": np.array_equal(np.load("out/y.npy"), 3 * x),
        "its samples are tested": wrong_is_noticed and right_holds,
    }
    for what, ok in checks.items():
        if not ok:
            print("FAILED", what)
    failed = sum(not ok for ok in checks.values())
    print(f"{len(checks) - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])))
