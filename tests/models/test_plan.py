"""What the passes make of real models.   usage: test_plan.py BUILD_DIR MODELS_DIR

The number of steps may fall, never rise; the arena is at most 1.10 times the bytes alive at the fullest step, which is
counted here from the text of the program; between the input and the output of a CNN nothing is only moved.
"""
import os
import re
import subprocess
import sys

# name: (options that fix its sizes, steps at most, kernels that only move elements at most)
MODELS = {
    "resnet50": ([], 57, 0),
    "squeezenet": ([], 31, 0),
    "magika": (["--input-shape=bytes:1,2048"], 8, None),
    "cls": (["--input-shape=x:1,3,48,192"], 75, None),
    "rec": (["--input-shape=x:1,3,48,320"], 67, None),
    "det": (["--input-shape=x:1,3,736,1280"], 87, None),
}
SLACK = 1.10
BUFFER = re.compile(r"arena live (\d+)\.\.(\d+) bytes (\d+) offset (\d+)$")


def text(build, model, options, level):
    command = [os.path.join(build, "bin", "tenon"), model, *options, f"--emit={level}", "-o", "-"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def count_steps(program):
    return len(re.findall(r"^  step \d+ ", program, re.MULTILINE))


def arena(program):
    """Bytes of the arena, and the most bytes alive at one step."""
    buffers = [tuple(map(int, m.groups())) for m in map(BUFFER.search, program.splitlines()) if m]
    total = max(offset + size for _, _, size, offset in buffers)
    last = max(b for _, b, _, _ in buffers)
    return total, max(sum(size for a, b, size, _ in buffers if a <= step <= b) for step in range(last + 1))


def count_moves(kernels):
    """Kernels that only read and write."""
    bodies = re.findall(r"^kernel @.*?^}", kernels, re.MULTILINE | re.DOTALL)
    assert bodies
    ops = [re.findall(r"^  %\d+ = (\w+)", body, re.MULTILINE) for body in bodies]
    return sum(set(found) <= {"read", "const", "index"} for found in ops)


def check(build, models, name):
    options, steps_at_most, moves_at_most = MODELS[name]
    model = os.path.join(models, name + ".onnx")
    program = text(build, model, options, "program")
    steps, (total, alive) = count_steps(program), arena(program)
    print(f"{name}: {steps} steps, arena {total} bytes, {total / alive:.3f} times the lower bound")
    if not 0 < steps <= steps_at_most:
        yield f"{name}: {steps} steps, at most {steps_at_most} before"
    if total > SLACK * alive:
        yield f"{name}: the arena takes {total} bytes, {alive} are alive at the fullest step"
    if moves_at_most is not None:
        moves = count_moves(text(build, model, options, "kernels"))
        if moves > moves_at_most:
            yield f"{name}: {moves} kernels only move elements"


def main(build, models):
    failed = 0
    for name in MODELS:
        found = list(check(build, models, name))
        failed += bool(found)
        for what in found:
            print("FAILED", what)
    print(f"{len(MODELS) - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
