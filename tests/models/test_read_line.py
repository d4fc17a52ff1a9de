"""examples/read_line.c reads lines of text that are drawn here with a font.

usage: test_read_line.py BUILD_DIR MODELS_DIR
Each line must come out as it was drawn, and so must what onnxruntime makes of the same image.
"""
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime
from PIL import Image, ImageDraw, ImageFont

ROOT = pathlib.Path(__file__).resolve().parents[2]
# (text, size of the font, colours of the text and of the ground: a number is grey)
LINES = [
    ("Hello tenon 2026", 32, 0, 255),
    ("Compiled ahead of time, 48 rows", 40, (250, 240, 90), (20, 40, 110)),
    ("Invoice 48213 is paid: 97 EUR", 27, 235, 40),
]


def draw(text, size, ink, ground):
    """An image of one line with a small margin."""
    font = ImageFont.load_default(size=size)
    left, top, right, bottom = font.getbbox(text)
    margin = (bottom - top) // 8 + 1
    mode = "L" if isinstance(ground, int) else "RGB"
    image = Image.new(mode, (right - left + 2 * margin, bottom - top + 2 * margin), ground)
    ImageDraw.Draw(image).text((margin - left, margin - top), text, fill=ink, font=font)
    return image


def build_example(build, model, folder):
    """The program as the example's head says, and the file of characters."""
    program, characters = os.path.join(folder, "read_line"), os.path.join(folder, "characters.txt")
    made, header = os.path.join(folder, "rec.o"), os.path.join(folder, "rec.h")
    subprocess.run([os.path.join(build, "bin", "tenon"), "-c", model, "--input-shape=x:1,3,48,width", "-o", made,
                    "--prefix=rec", "--header=" + header], check=True)
    subprocess.run(["gcc", "-std=c17", "-O2", "-Wall", "-Wextra", "-Werror", "-I", folder,
                    ROOT / "examples/read_line.c", made, "-lm", "-o", program], check=True)
    with open(characters, "w", encoding="utf-8") as f:
        print({p.key: p.value for p in onnx.load(model).metadata_props}["character"], file=f)
    return program, characters


def resize(planes, axis, n):
    """Linear interpolation along an axis, the middles of the pixels on one another."""
    m = planes.shape[axis]
    at = np.clip((np.arange(n) + 0.5) * m / n - 0.5, 0, m - 1)
    low = at.astype(int)
    shape = [1] * planes.ndim
    shape[axis] = n
    share = (at - low).reshape(shape)
    return planes.take(low, axis) * (1 - share) + planes.take(np.minimum(low + 1, m - 1), axis) * share


def read_with_onnxruntime(session, image, characters):
    planes = np.asarray(image.convert("RGB"), np.float64).transpose(2, 0, 1)[::-1]  # blue, green, red
    width = int(48 * image.width / image.height + 0.5)
    tensor = resize(resize(planes, 1, 48), 2, width) / 127.5 - 1
    best = session.run(None, {"x": tensor[None].astype(np.float32)})[0][0].argmax(axis=1)
    kept = [k for i, k in enumerate(best) if k and (i == 0 or k != best[i - 1])]
    return "".join(characters[k] for k in kept)


def read(program, *arguments):
    return subprocess.run([program, *arguments], capture_output=True, text=True, encoding="utf-8")


def check_bad_images(program, characters, folder):
    """Files that are no images: refused with a reason, and the good one among them is read."""
    good = os.path.join(folder, "0.pnm")
    with open(good, "rb") as f:
        data = f.read()
    bad = {"short": data[:-1], "ascii": b"P2\n1 1\n255\n0\n", "deep": b"P5 1 1 65535 \0\0", "empty": b"",
           "large": b"P5 99999999999 1 255 ", "flat": b"P6\n0 4\n255\n"}
    paths = [os.path.join(folder, name) for name in bad]
    for path, content in zip(paths, bad.values()):
        with open(path, "wb") as f:
            f.write(content)
    commented = os.path.join(folder, "commented.pgm")
    with open(commented, "wb") as f:
        f.write(data.replace(b"P5", b"P5\n# a remark\n", 1))
    done = read(program, characters, *paths, commented)
    if done.returncode != 1 or done.stdout != LINES[0][0] + "\n" or len(done.stderr.splitlines()) != len(bad):
        yield f"bad images: status {done.returncode}, {done.stdout!r}, {done.stderr!r}"


def main(build, models):
    model, failed = os.path.join(models, "rec.onnx"), 0
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    with tempfile.TemporaryDirectory() as folder:
        program, path = build_example(build, model, folder)
        with open(path, encoding="utf-8") as f:
            characters = ["", *f.read().rstrip("\n").split("\n"), " "]
        images = [draw(*line) for line in LINES]
        paths = [os.path.join(folder, f"{i}.pnm") for i in range(len(LINES))]
        for image, to in zip(images, paths):
            image.save(to, format="PPM")
        done = read(program, path, *paths)
        texts = done.stdout.split("\n")[:-1]
        if done.returncode or len(texts) != len(LINES):
            print(f"FAILED status {done.returncode}: {done.stderr}")
            texts = [None] * len(LINES)
        for (wanted, *_), image, text in zip(LINES, images, texts):
            theirs = read_with_onnxruntime(session, image, characters)
            print(f"{image.width}x{image.height} {image.mode}: {text!r}, onnxruntime {theirs!r}")
            if not text == theirs == wanted:
                print(f"FAILED {wanted!r} was drawn")
                failed += 1
        for wrong in check_bad_images(program, path, folder):
            print("FAILED", wrong)
            failed += 1
    print(f"{len(LINES) + 1 - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
