# Configuration of lit: each file is a test whose RUN lines are commands, usually `tenon ... | FileCheck %s`.
#   tests/lit/run.py build/release [lit's arguments]
import os
import subprocess
import sys

import lit.formats

build = os.environ["TENON_BUILD"]
llvm = os.environ["TENON_LLVM_BIN"]

config.name = "tenon"
config.test_format = lit.formats.ShTest(True)
config.suffixes = [".tnir", ".tn", ".test"]
config.excludes = ["Inputs"]
config.test_source_root = os.path.dirname(__file__)
config.test_exec_root = os.path.join(build, "lit")
config.environment["PATH"] = os.pathsep.join(
    [os.path.join(build, "bin"), os.path.join(build, "tests"), llvm, config.environment["PATH"]])
config.environment["LC_ALL"] = "C"
python = os.environ.get("TENON_PYTHON", sys.executable)
config.substitutions.append(("%python", python))
if subprocess.run([python, "-c", "import onnx"], capture_output=True).returncode == 0:
    config.available_features.add("onnx")
config.substitutions.append(("%tests", os.path.dirname(config.test_source_root)))
