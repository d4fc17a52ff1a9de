"""What the tests of models share: files of outputs, the error and what of it is allowed, a compiled model's runs."""
import os
import subprocess

import numpy as np


def file_of(folder, name):
    """The file that a program writes the output `name` to."""
    plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"
    text = "".join(c if c in plain else "".join(f"%{b:02X}" for b in c.encode()) for c in name)
    return os.path.join(folder, ("%2E" + text[1:] if text.startswith(".") else text) + ".npy")


def error(x, reference):
    """max|x - r| / max|r|."""
    return float(np.abs(x - reference).max() / np.abs(reference).max())


def run(command, feed, outputs, work, folder):
    """The outputs of a command that takes --input and --output-dir; files go below work."""
    out = os.path.join(work, folder)
    os.makedirs(out, exist_ok=True)
    arguments = []
    for i, (name, value) in enumerate(feed.items()):
        path = os.path.join(work, f"input{i}.npy")
        np.save(path, value)
        arguments += ["--input", f"{name}={path}"]
    subprocess.run([*command, *arguments, "--output-dir", out], check=True)
    return [np.load(file_of(out, o)) for o in outputs]


def judge(name, ours, theirs, reference):
    """(what is wrong or None, a line about the errors). Whole numbers and truth values must be equal."""
    if ours.shape != theirs.shape or ours.dtype != theirs.dtype:
        return f"{name}: expected {theirs.dtype}{theirs.shape}, found {ours.dtype}{ours.shape}", ""
    if theirs.dtype.kind != "f":
        return None if np.array_equal(ours, theirs) else f"{name}: not equal", f"{name} {ours.shape}: equal"
    if ours.size == 0:
        return None, f"{name} {ours.shape}: empty"
    allowed = 4 * error(theirs, reference) + 1e-6
    line = (f"{name} {ours.shape}: error {error(ours, reference):.2e}, onnxruntime {error(theirs, reference):.2e}, "
            f"allowed {allowed:.2e}")
    wrong = None if error(ours, reference) <= allowed else \
        f"{name}: error {error(ours, reference):.3e}, allowed {allowed:.3e}"
    return wrong, line


def tally(name, found):
    """(passed, failed) of results that are None or say what is wrong, which is told."""
    wrong = [what for what in found if what is not None]
    for what in wrong:
        print(f"FAILED {name}: {what}")
    return len(found) - len(wrong), len(wrong)
