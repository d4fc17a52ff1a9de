"""Sources and functions of data blocks against numpy: what training programs read, split, fit and make of it.

usage: test_data.py BUILD_DIR
"""
import gzip
import json
import os
import shutil
import struct
import tempfile
import zlib

import numpy as np
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

from common import HERE, Count, tool

TYPES = {0: np.float64, 1: np.float32, 2: np.float16, 10: np.int64, 11: np.int32, 19: np.uint8}
F64, F32, F16, I64, I32, U8 = TYPES
TABLE, NPY, NPZ, IDX, IMAGES, JSONL, TEXT, TOKENS = range(8)
LINKS = ("lower join words bpe wordpiece pad_or_cut length window one_hot bins minmax impute clip_outliers log log1p "
         "sqrt abs pad random_crop flip noise add sub rsub mul div rdiv clamp "
         "standardize").split()
ALL, TRAIN = 7, 1


def link(name, i0=0, i1=0, number=0.0, text="-", field=0, splits=ALL, second=0.0, part=(0, 0)):
    """part: the number of the first column that it is done to, and how many those are; 0: all."""
    return "link %d %d %d %d %.17g %s %d %.17g %d %d" % (LINKS.index(name), splits, i0, i1, number, text, field, second,
                                                         *part)


class Reader:
    """One folder; read() gives the fields as arrays, the samples of each split, and what was dropped."""

    def __init__(self):
        self.folder = tempfile.mkdtemp()

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, content):
        with open(self.path(name), "wb") as f:
            f.write(content if isinstance(content, bytes) else content.encode())

    def read(self, source, fields):
        """source: lines; fields: (name, type, classes, extents, columns, links). Files are held in memory, then read
        as they are used: it makes no difference, nor to what is told of wrong ones."""
        held, used = self.read_once(source, fields), self.read_once(source + ["memory 0"], fields)
        assert isinstance(held, str) == isinstance(used, str), (held, used)
        if isinstance(held, str):
            assert held == used, (held, used)
            return held
        for key, value in held.items():
            assert value.tobytes() == used[key].tobytes() if isinstance(value, np.ndarray) else value == used[key], key
        return held

    def read_once(self, source, fields):
        lines = [line.replace("@", self.folder + "/") for line in source]
        for name, dtype, classes, extents, columns, links in fields:
            lines.append("field %s %d %d %s" % (name, dtype, classes, " ".join(map(str, extents))))
            if columns:
                lines.append("takes " + " ".join(columns))
            lines += links
        told = tool("train_fields", "\n".join(lines) + "\n", self.folder).splitlines()
        if told[0].startswith("error: "):
            return told[0][7:]
        *counts, dropped = map(int, told[0].split())
        out = {}
        for name, dtype, _, extents, _, _ in fields:
            values = np.fromfile(self.path(name + ".bin"), TYPES[dtype])
            out[name] = values.reshape(-1, *extents)
        out["counts"], out["dropped"], out["labels"] = counts, dropped, told[1:]
        return out


def table(drops=0, fractions="0.7 0.1 0.2", name="t.csv", kind=TABLE, **more):
    return ["kind %d" % kind, "separator ,", "header 1", "drops %d" % drops, "fractions " + fractions,
            "path 0 @" + name] + ["%s %s" % pair for pair in more.items()]


def same(a, b, what="", tolerance=0.0):
    a, b = np.asarray(a), np.asarray(b)
    assert a.shape == b.shape, "%s: shapes %s and %s" % (what, a.shape, b.shape)
    assert np.allclose(a, b, rtol=tolerance, atol=tolerance, equal_nan=True), "%s: %s, not %s" % (what, a[:5], b[:5])


def refused(told, text):
    assert isinstance(told, str) and text in told, "%r is not in %r" % (text, told)


# ---- tables ----

def numbers(r, n=200):
    """A table of numbers, some missing, and its values."""
    g = np.random.default_rng(5)
    x = np.round(g.normal(size=(n, 3)) * [1, 10, 100] + [5, 0, -3], 3)
    x[g.random((n, 3)) < 0.1] = np.nan
    lines = ["a,b,c,kind"] + [",".join("" if np.isnan(v) else "%.3f" % v for v in row) + "," +
                              "red green blue".split()[i % 3] for i, row in enumerate(x)]
    r.write("t.csv", "\n".join(lines) + "\n")
    return x


def test_numeric_links(r):
    x = numbers(r)
    own = x[:140]

    def expect(links, want, takes=("a", "b", "c"), dtype=F32, extents=(3,), tolerance=1e-12):
        got = r.read(table(), [("x", dtype, 0, extents, takes, links)])
        assert not isinstance(got, str), got
        same(got["x"], want.reshape(got["x"].shape).astype(TYPES[dtype]), links, tolerance if dtype == F64 else 0)

    mean, median = np.nanmean(own, axis=0), np.nanmedian(own, axis=0)
    filled = np.where(np.isnan(x), mean, x)
    expect([link("impute", text="mean")], filled, dtype=F64)
    expect([link("impute", text="median")], np.where(np.isnan(x), median, x), dtype=F64)
    expect([link("impute", text="zero")], np.nan_to_num(x), dtype=F64)
    low, high = np.nanmin(own, axis=0), np.nanmax(own, axis=0)
    expect([link("minmax"), link("impute", text="zero")], np.nan_to_num((x - low) / (high - low)), dtype=F64)
    own = filled[:140]
    away = 1.5 * own.std(axis=0)
    expect([link("impute", text="mean"), link("clip_outliers", number=1.5)],
           np.clip(filled, own.mean(axis=0) - away, own.mean(axis=0) + away), dtype=F64)
    own = np.clip(own, -2, 5.25)
    even = (np.clip(filled, -2, 5.25) - own.mean(axis=0)) / own.std(axis=0)
    chain = [link("impute", text="mean"), link("clamp", number=-2, second=5.25), link("standardize")]
    expect(chain, even, dtype=F64, tolerance=1e-9)
    chain[1:] = [link("clamp", number=-2, second=5.25, part=(1, 2)), link("standardize", part=(1, 2)),
                 link("add", number=2.5, part=(0, 1))]
    expect(chain, np.concatenate([filled[:, :1] + 2.5, even[:, 1:]], axis=1), dtype=F64, tolerance=1e-9)
    own = filled[:140]
    ranks = np.sort(own, axis=0)
    limits = np.stack([ranks[140 * k // 4] for k in (1, 2, 3)])
    expect([link("impute", text="mean"), link("bins", 4)], (filled[:, None, :] >= limits).sum(axis=1), dtype=I32)
    for name, f in (("abs", np.abs), ("add", lambda v: v + 2.5), ("sub", lambda v: v - 2.5), ("mul", lambda v: v * 2.5),
                    ("rsub", lambda v: 2.5 - v), ("div", lambda v: v / 2.5), ("rdiv", lambda v: 2.5 / v)):
        expect([link("impute", text="mean"), link(name, number=2.5)], f(filled), dtype=F64)
    for name, f in (("sqrt", np.sqrt), ("log1p", np.log1p), ("log", np.log)):
        positive = np.abs(filled) + 1
        expect([link("impute", text="mean"), link("abs"), link("add", number=1), link(name)], f(positive), dtype=F64)


def test_bad_cells(r):
    numbers(r)
    field = [("x", F32, 0, (3,), ("a", "b", "c"), [])]
    told = r.read(table(), field)
    refused(told, ": the cell is empty")
    got = r.read(table(drops=1), field)
    x = numbers(r)
    assert got["dropped"] == np.isnan(x).any(axis=1).sum()
    same(got["x"], x[~np.isnan(x).any(axis=1)].astype(np.float32))
    positive = [link("impute", text="mean"), link("log")]
    refused(r.read(table(), [("x", F32, 0, (3,), ("a", "b", "c"), positive)]), "'log' of -")
    refused(r.read(table(), [("x", F32, 0, (1,), ("d",), [])]), "there is no column 'd', which field 'x' takes")
    refused(r.read(table(), [("x", F32, 0, (2,), (), [])]), "field 'x' has 2 elements, the file has 4 columns for it")
    refused(r.read(table(), [("y", I32, 4, (), ("kind",), [])]), "3 classes in the training split, the program was "
            "made for 4")
    refused(r.read(table(fractions="1 0.001 0"), [("y", I32, 3, (), ("kind",), [])]), "split 'valid' gets none")
    r.write("u.csv", "a,b\n1,2\n1e39,3\n")
    refused(r.read(table(name="u.csv", fractions="1 0 0"), [("x", F32, 0, (2,), ("a", "b"), [])]),
            "u.csv:3: 1e+39 does not fit into f32 of field 'x'")
    refused(r.read(table(name="u.csv", fractions="1 0 0"), [("x", U8, 0, (), ("b",), [link("div", number=2)])]),
            "does not fit into u8")
    r.write("v.csv", "a,b\n1,2\n1,2,3\n4,x\n4,5\n")
    refused(r.read(table(name="v.csv", fractions="1 0 0"), [("x", F32, 0, (2,), (), [])]),
            "v.csv:3: expected 2 cells as in the first row, found 3")
    same(r.read(table(drops=1, name="v.csv", fractions="1 0 0"), [("x", F32, 0, (2,), (), [])])["x"], [[1, 2], [4, 5]])


def test_labels(r):
    n = 60
    words, codes = ["pear", "Apple", "fig"], [10, 9, -2]
    lines = ["w,n,v"] + ["%s,%d,%d" % (words[i % 3], codes[i * 7 % 3], i) for i in range(n)]
    r.write("t.csv", "\n".join(lines + ["kiwi,10,60"]) + "\n")
    fields = [("y", I32, 3, (), ("w",), []), ("z", I64, 3, (), ("n",), []), ("v", F32, 0, (), ("v",), [])]
    refused(r.read(table(fractions="0.5 0 0.5"), fields), "t.csv:62: column 'w': 'kiwi' is no class of")
    got = r.read(table(drops=1, fractions="0.5 0 0.5"), fields)
    same(got["y"], [sorted(words).index(words[i % 3]) for i in range(n)])
    same(got["z"], [sorted(codes).index(codes[i * 7 % 3]) for i in range(n)])
    assert got["labels"] == ["Apple", "fig", "pear", "-2", "9", "10"] and got["dropped"] == 1
    r.write("t.csv", "\n".join(lines) + "\n")
    got = r.read(table(shuffle=3), fields)
    assert sorted(got["v"]) == list(range(n)) and list(got["v"]) != list(range(n))


def test_one_hot(r):
    r.write("t.csv", "w,v\n" + "".join("%s,%d\n" % ("abcd"[i % 4] if i > 4 else "e", i % 3) for i in range(5, 45)) +
            "e,1\n")
    fields = [("x", F32, 0, (5,), ("w",), [link("one_hot", 5)]),
              ("z", F32, 0, (3,), ("v",), [link("add", number=1), link("one_hot", 3)])]
    got = r.read(table(fractions="0.9 0 0.1"), fields)
    same(got["x"], np.array([np.eye(5)["abcd".index("abcd"[i % 4])] for i in range(5, 45)] + [np.zeros(5)]))
    same(got["z"], np.eye(3)[[i % 3 for i in range(5, 45)] + [1]])
    fields[0] = ("x", F32, 0, (3,), ("w",), [link("one_hot", 3)])
    refused(r.read(table(), fields), "one_hot has 3 places, the training split 4 values")


def test_files_of_splits(r):
    r.write("a.csv", "x,y\n1,2\n3,4\n5,6\n7,8\n")
    r.write("b.csv", "x,y\n9,10\n")
    r.write("c.csv", "y,x\n9,10\n")
    source = table(name="a.csv", fractions="0.5 0.5 0") + ["path 2 @b.csv", "path 2 @b.csv"]
    got = r.read(source, [("x", F32, 0, (2,), (), [])])
    assert got["counts"] == [2, 2, 2]
    same(got["x"], [[1, 2], [3, 4], [5, 6], [7, 8], [9, 10], [9, 10]])
    refused(r.read(source + ["path 2 @c.csv"], [("x", F32, 0, (2,), (), [])]), "c.csv:1: column 1 is 'y'")
    r.write("d.csv", "1\t2\n3\t4\n")
    got = r.read(["kind 0", "separator TAB", "header 0", "columns p q", "fractions 1 0 0", "path 0 @d.csv"],
                 [("x", F32, 0, (), ("q",), [])])
    same(got["x"], [2, 4])


# ---- other sources ----

def test_npy(r):
    g = np.random.default_rng(1)
    x, y = g.normal(size=(50, 2, 3)), g.integers(0, 4, 50) * 2
    np.save(r.path("x.npy"), x)
    np.save(r.path("y.npy"), y.astype(">i2"))
    source = ["kind %d" % NPY, "fractions 0.8 0 0.2", "path 0 @x.npy", "path 0 @y.npy"]
    got = r.read(source, [("x", F32, 0, (2, 3), ("x",), []), ("y", I32, 4, (), ("y",), [])])
    same(got["x"], x.astype(np.float32))
    same(got["y"], y // 2)
    assert got["counts"] == [40, 0, 10] and got["labels"] == ["0", "2", "4", "6"]
    np.save(r.path("y.npy"), y[:49])
    refused(r.read(source, [("x", F32, 0, (2, 3), ("x",), [])]), "'x' has 50 records, 'y' has 49")
    np.save(r.path("y.npy"), y + 0.5)
    refused(r.read(source, [("x", F32, 0, (5,), ("x",), [])]), "field 'x' has 5 elements, the data 6")


def test_npz(r):
    x, t = np.arange(24, dtype=np.uint8).reshape(6, 4), np.linspace(0, 1, 6)
    np.savez_compressed(r.path("a.npz"), x=x, t=t)
    np.savez(r.path("b.npz"), x=x[:2], t=t[:2])
    source = ["kind %d" % NPZ, "path 0 @a.npz", "path 1 @b.npz"]
    got = r.read(source, [("x", F32, 0, (4,), ("x",), [link("div", number=255)]), ("t", F64, 0, (), ("t",), [])])
    same(got["x"], (np.concatenate([x, x[:2]]) / 255).astype(np.float32))
    same(got["t"], np.concatenate([t, t[:2]]))
    np.savez(r.path("b.npz"), x=x[:2])
    refused(r.read(source, [("t", F64, 0, (), ("t",), [])]), "b.npz has 1 columns")


def idx(array):
    code = {"u1": 8, "i1": 9, "i2": 11, "i4": 12, "f4": 13, "f8": 14}[array.dtype.str[1:]]
    return (struct.pack(">BBBB", 0, 0, code, array.ndim) + struct.pack(">%dI" % array.ndim, *array.shape) +
            array.astype(array.dtype.newbyteorder(">")).tobytes())


def test_idx(r):
    g = np.random.default_rng(2)
    images, labels = g.integers(0, 256, (30, 4, 5)).astype(np.uint8), (np.arange(30) % 10).astype(np.uint8)
    r.write("images.gz", gzip.compress(idx(images)))
    r.write("labels", idx(labels))
    r.write("other", idx(images[:3].astype(np.float32) / 3))
    r.write("more", idx(labels[:3].astype(np.int16)))
    source = ["kind %d" % IDX, "path 0 @images.gz", "path 0 @labels", "path 2 @other", "path 2 @more"]
    fields = [("x", F32, 0, (1, 4, 5), ("image",), []), ("y", I32, 10, (), ("label",), [])]
    got = r.read(source, fields)
    same(got["x"][:30, 0], images)
    same(got["x"][30:, 0], images[:3].astype(np.float32) / 3)
    same(got["y"], list(labels) + [0, 1, 2])
    r.write("images.gz", gzip.compress(idx(images))[:-20])
    refused(r.read(source, fields), "images.gz: damaged gzip")
    r.write("images.gz", idx(images)[:-20])
    refused(r.read(source, fields), "an IDX file of 600 bytes of elements is said, there are 580")
    r.write("images.gz", b"no such file")
    refused(r.read(source, fields), "images.gz is no IDX file")


def png(array, depth=8, color=None, palette=None, filters=(0, 1, 2, 3, 4)):
    """array: [height, width, samples], of values that fit depth."""
    h, w, s = array.shape
    color = {1: 0, 2: 4, 3: 2, 4: 6}[s] if color is None else color
    bits = np.unpackbits(array.astype(">u2" if depth == 16 else np.uint8).view(np.uint8).reshape(h, w * s, -1), axis=2)
    rows = np.packbits(bits[:, :, -depth:].reshape(h, -1), axis=1).astype(int)
    step, above, raw = max(1, s * depth // 8), np.zeros(rows.shape[1], int), b""
    for y, row in enumerate(rows):
        f = filters[y % len(filters)]
        left = np.concatenate([np.zeros(step, int), row[:-step]]) if step < len(row) else np.zeros(len(row), int)
        corner = np.concatenate([np.zeros(step, int), above[:-step]]) if step < len(row) else np.zeros(len(row), int)
        p = left + above - corner
        distances = np.abs(np.stack([p - left, p - above, p - corner]))
        paeth = np.choose(distances.argmin(axis=0), [left, above, corner])
        guess = [0, left, above, (left + above) // 2, paeth][f]
        raw += bytes([f]) + ((row - guess) % 256).astype(np.uint8).tobytes()
        above = row
    out = b"\x89PNG\r\n\x1a\n"
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", w, h, depth, color, 0, 0, 0)), (b"tEXt", b"a\0b")]
    chunks += [(b"PLTE", palette)] if palette else []
    packed = zlib.compress(raw)
    chunks += [(b"IDAT", packed[:7]), (b"IDAT", packed[7:]), (b"IEND", b"")]
    for name, body in chunks:
        out += struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
    return out


def test_images(r):
    g = np.random.default_rng(3)
    shutil.rmtree(r.path("pets"), ignore_errors=True)
    for label in ("dog", "cat"):
        os.makedirs(r.path("pets/" + label))
    gray = g.integers(0, 256, (6, 5, 1))
    alpha = np.concatenate([gray, gray[::-1]], axis=2)
    small = {depth: g.integers(0, 1 << depth, (6, 5, 1)) for depth in (1, 2, 4)}
    deep = g.integers(0, 65536, (6, 5, 1))
    pictures = {"dog/1.png": (png(gray), gray), "dog/2.png": (png(alpha), gray),
                "cat/z.png": (png(deep, 16), deep >> 8),
                "cat/a.pgm": (b"P5\n# a comment\n5 6\n255\n" + gray.astype(np.uint8).tobytes(), gray)}
    for depth, values in small.items():
        pictures["cat/%d.png" % depth] = (png(values, depth), values * 255 // ((1 << depth) - 1))
    for name, (content, _) in pictures.items():
        r.write("pets/" + name, content)
    source = ["kind %d" % IMAGES, "path 0 @pets"]
    fields = [("x", U8, 0, (1, 6, 5), ("image",), []), ("y", I32, 2, (), ("label",), [])]
    got = r.read(source, fields)
    assert not isinstance(got, str), got
    names = sorted(pictures)
    same(got["x"], np.stack([pictures[name][1].transpose(2, 0, 1) for name in names]))
    same(got["y"], [name.startswith("dog") for name in names])
    assert got["labels"] == ["cat", "dog"]
    shutil.rmtree(r.path("pets/dog"))
    os.makedirs(r.path("pets/dog"))
    shutil.rmtree(r.path("pets/cat"))
    rgb, index = g.integers(0, 256, (6, 5, 4)), g.integers(0, 3, (6, 5, 1))
    palette = g.integers(0, 256, (3, 3)).astype(np.uint8)
    r.write("pets/dog/a.png", png(rgb[:, :, :3]))
    r.write("pets/dog/b.png", png(rgb))
    r.write("pets/dog/c.png", png(index, 8, 3, palette.tobytes()))
    r.write("pets/dog/d.ppm", b"P6 5 6 255\n" + rgb[:, :, :3].astype(np.uint8).tobytes())
    fields = [("x", F32, 0, (3, 6, 5), ("image",), [link("div", number=255)])]
    want = [rgb[:, :, :3], rgb[:, :, :3], palette[index[:, :, 0]], rgb[:, :, :3]]
    same(r.read(source, fields)["x"], (np.stack([w.transpose(2, 0, 1) for w in want]) / 255).astype(np.float32))
    whole = png(rgb)
    for cut in range(1, len(whole) - 16, 7):
        r.write("pets/dog/b.png", whole[:cut])
        assert isinstance(r.read(source, fields), str), cut
    r.write("pets/dog/b.png", png(index, 8, 3, palette[:1].tobytes()))
    refused(r.read(source, fields), "a colour that the palette has not")
    refused(r.read(["kind %d" % IMAGES, "path 0 @none"], fields), "there is no")


def jpegs(folder):
    """Pictures by Pillow, and what Pillow makes of them."""
    from PIL import Image
    g = np.random.default_rng(4)
    smooth = np.kron(g.integers(0, 256, (4, 5, 4)), np.ones((8, 9, 1))) + g.integers(0, 20, (32, 45, 4))
    pixels = np.clip(smooth, 0, 255).astype(np.uint8)[:31, :43]
    turned = Image.Exif()
    turned[0x0112] = 6
    kinds = {"base": ("RGB", {}), "whole": ("RGB", {"subsampling": 0, "quality": 95}),
             "steps": ("RGB", {"progressive": True, "subsampling": 2}), "half": ("RGB", {"subsampling": 1}),
             "exif": ("RGB", {"exif": turned}), "marks": ("RGB", {"restart_marker_blocks": 2}),
             "print": ("CMYK", {"quality": 90}), "grey": ("L", {"optimize": True})}
    for name, (mode, options) in kinds.items():
        data = pixels[:, :, {"RGB": slice(3), "CMYK": slice(4), "L": 0}[mode]]
        path = os.path.join(folder, name + ".jpg")
        Image.fromarray(np.ascontiguousarray(data), mode).save(path, **options)
        with Image.open(path) as picture:
            yield name, path, np.asarray(picture if mode == "L" else picture.convert("RGB"))


def test_jpeg(r):
    """Bit for bit what Pillow reads; each cut is noticed, and damaged bytes never crash."""
    shutil.rmtree(r.path("pets"), ignore_errors=True)
    source = ["kind %d" % IMAGES, "path 0 @pets"]
    os.makedirs(r.path("made"))
    for name, path, want in jpegs(r.path("made")):
        os.makedirs(r.path("pets/a"))
        shutil.copy(path, r.path("pets/a"))
        want = want.reshape(31, 43, -1).transpose(2, 0, 1)
        fields = [("x", U8, 0, want.shape, ("image",), [])]
        got = r.read(source, fields)
        assert not isinstance(got, str), (name, got)
        same(got["x"], want[None], name)
        with open(path, "rb") as f:
            whole = f.read()
        target, g = "pets/a/%s.jpg" % name, np.random.default_rng(1)
        for cut in g.integers(3, len(whole) - 30, 12):
            r.write(target, whole[:cut])
            refused(r.read(source, fields), target + ": a damaged JPEG")
        for _ in range(12):
            noisy = bytearray(whole)
            for at in g.integers(2, len(whole), 4):
                noisy[at] = g.integers(256)
            r.write(target, bytes(noisy))
            told = r.read(source, fields)
            assert not isinstance(told, str) or target in told or "elements" in told, told
        shutil.rmtree(r.path("pets"))


def test_jsonl(r):
    rows = [{"name": "a\"\\\n\u00e9", "v": 1.5, "in": {"w": [1, 2, 3], "ok": True}, "z": None},
            {"v": -2e3, "name": "b", "in": {"ok": False, "w": [[4], [5, 6]]}, "more": {"x": [{"y": 1}]}}]
    lines = [json.dumps(row) for row in rows]
    r.write("t.jsonl", lines[0] + "\n\n" + lines[1])
    source = table(name="t.jsonl", kind=JSONL, fractions="1 0 0")
    fields = [("v", F64, 0, (), ("v",), []), ("w", F32, 0, (3,), ("in.w",), []), ("ok", F32, 0, (), ("in.ok",), []),
              ("y", I32, 2, (), ("name",), [])]
    got = r.read(source, fields)
    assert not isinstance(got, str), got
    same(got["v"], [1.5, -2000])
    same(got["w"], [[1, 2, 3], [4, 5, 6]])
    same(got["ok"], [1, 0])
    assert got["labels"][0].startswith("a\"\\") and got["labels"][-1] == "b"
    r.write("t.jsonl", lines[0] + "\n[1]\n" + lines[1] + "\n{\"v\": \"x\"}\n{\"v\": 1,}\n")
    refused(r.read(source, fields), "t.jsonl:2: expected an object of JSON")
    got = r.read(table(name="t.jsonl", kind=JSONL, fractions="1 0 0", drops=1), fields)
    assert got["dropped"] == 3, got["dropped"]
    same(got["v"], [1.5, -2000])
    refused(r.read(table(name="t.jsonl", kind=JSONL, fractions="1 0 0", drops=1), [("x", F32, 0, (), ("z",), [])]),
            "split 'train' gets none")


# ---- text and tokens ----

def test_words(r):
    texts = ["The cat  sat", "the DOG sat \u00c9t\u00c9", "a cat", "\u0416 the the"]
    titles = ["On", "Cats", "dogs", ""]
    r.write("t.csv", "title,body\n" + "".join("%s,%s\n" % pair for pair in zip(titles, texts)))
    chain = [link("join"), link("lower"), link("words", 6), link("pad_or_cut", 5)]
    fields = [("x", I32, 0, (5,), ("title", "body"), chain),
              ("n", I32, 0, (), (), [link("length", field=0)])]
    got = r.read(table(fractions="0.75 0 0.25"), fields)
    assert not isinstance(got, str), got
    rows = [(a + " " + b).lower().split() for a, b in zip(titles, texts)]
    counts = {}
    for word in sum(rows[:3], []):
        counts[word] = counts.get(word, 0) + 1
    known = sorted(counts, key=lambda w: (-counts[w], w.encode()))[:4]
    want = [[known.index(w) + 2 if w in known else 1 for w in row][:5] for row in rows]
    same(got["x"], [row + [0] * (5 - len(row)) for row in want])
    same(got["n"], [min(5, len(row)) for row in rows])
    refused(r.read(table(fractions="1 0 0"), [("x", I32, 0, (5,), ("body",), [link("words", 2)])]), "vocabulary of 2")
    refused(r.read(table(fractions="1 0 0"), [("x", I32, 0, (5,), ("body",), [link("words", 9)])]),
            "field 'x' has 5 elements, the data 3")


def test_streams(r):
    text = "".join(chr(97 + i * i % 23) for i in range(203))
    r.write("a.txt", text)
    fields = [("x", I32, 0, (8,), (), [link("window", 0)]), ("y", I32, 0, (8,), (), [link("window", 1)])]
    got = r.read(["kind %d" % TEXT, "fractions 0.8 0.2 0", "path 0 @a.txt"], fields)
    assert not isinstance(got, str), got
    raw = np.frombuffer(text.encode(), np.uint8)
    assert got["counts"] == [20, 5, 0]
    same(got["x"], raw[:200].reshape(25, 8))
    same(got["y"], raw[1:201].reshape(25, 8))
    for number, dtype in ((21, "<u2"), (20, "<u4"), (19, "u1")):
        code = {"<u2": 18, "<u4": 17, "u1": 19}[dtype]
        tokens = (np.arange(100) * 7919 % (250 if dtype == "u1" else 65000)).astype(dtype)
        r.write("a.bin", tokens.tobytes())
        r.write("b.bin", tokens[:40].tobytes())
        got = r.read(["kind %d" % TOKENS, "dtype %d" % code, "path 0 @a.bin", "path 0 @b.bin", "shuffle %d" % number],
                     fields)
        rows = {tuple(tokens[i:i + 9]) for i in range(0, 96 - 7, 8)}
        found = [tuple(x) + (y[-1],) for x, y in zip(got["x"], got["y"])]
        assert len(found) == 12 + 4 and set(found) == rows, found
    r.write("a.bin", b"12345")
    source = ["kind %d" % TOKENS, "dtype 18", "path 0 @a.bin"]
    refused(r.read(source, fields), "a.bin has 5 bytes, which are no tokens of 2 bytes each")
    r.write("a.bin", b"1234")
    refused(r.read(source, fields), "a.bin has 2 tokens, a sample takes 9")
    refused(r.read(source, [fields[0], ("y", I32, 0, (7,), (), [link("window", 1)])]), "windows of one length")


def pieces_of(text):
    """As the tokenizers package cuts a text for GPT-2; bytes as characters of Latin-1."""
    seen = [b for b in range(256) if 33 <= b <= 126 or 161 <= b <= 172 or b >= 174]
    hidden = [b for b in range(256) if b not in seen]
    byte_of = {chr(b): b for b in seen} | {chr(256 + i): b for i, b in enumerate(hidden)}
    cut = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    return ["".join(chr(byte_of[c]) for c in piece) for piece, _ in cut.pre_tokenize_str(text)]


def learn_pairs(texts, n):
    """Pairs of bytes, counted anew after each: the most frequent one, of equals the one of smaller tokens."""
    counts, pairs = {}, []
    for text in texts:
        for piece in pieces_of(text):
            counts[piece] = counts.get(piece, 0) + 1
    rows = [(list(piece.encode("latin-1")), count) for piece, count in counts.items()]
    while len(pairs) < n:
        seen = {}
        for row, count in rows:
            for pair in zip(row, row[1:]):
                seen[pair] = seen.get(pair, 0) + count
        if not seen:
            break
        best = min(seen, key=lambda pair: (-seen[pair], pair))
        pairs.append(best)
        rows = [(join_pair(row, best, 255 + len(pairs)), count) for row, count in rows]
    return pairs


def join_pair(row, pair, result):
    out = []
    for token in row:
        if out and (out[-1], token) == pair:
            out[-1] = result
        else:
            out.append(token)
    return out


def bpe_tokens(text, pairs, start=256):
    out = []
    for piece in pieces_of(text):
        row = list(piece.encode("latin-1"))
        for i, pair in enumerate(pairs):
            row = join_pair(row, pair, start + i)
        out += row
    return out


def test_bpe(r):
    g = np.random.default_rng(8)
    stems = ["the", "cat's", "sat", "on", "mat", "42", "1000", "\u00e9t\u00e9", "don't", "banana", "hahaha", "--", "!!",
             "we'll"]
    texts = [" ".join(g.choice(stems, 12)) + g.choice(["", " ", "  x", "\t\ty", "\n"]) for _ in range(60)]
    r.write("t.csv", "body\n" + "".join('"%s"\n' % text for text in texts))
    for vocab in (256, 300, 420):
        pairs = learn_pairs(texts[:48], vocab - 256)
        got = r.read(table(fractions="0.8 0 0.2"), [("x", I32, 0, (70,), ("body",), [link("bpe", vocab),
                                                                                      link("pad_or_cut", 70)])])
        assert not isinstance(got, str), got
        want = [(bpe_tokens(text, pairs) + [0] * 70)[:70] for text in texts]
        same(got["x"], want, vocab)
    refused(r.read(table(), [("x", I32, 0, (9,), ("body",), [link("bpe", 255)])]), "a vocabulary of 255")


def test_tokenizer_json(r):
    text = "the cat's hat, the hat\n 42 \u00e9"
    pairs = learn_pairs([text], 12)
    seen = [b for b in range(256) if 33 <= b <= 126 or 161 <= b <= 172 or b >= 174]
    hidden = [b for b in range(256) if b not in seen]
    letter = {b: chr(b) if b in seen else chr(256 + hidden.index(b)) for b in range(256)}
    words = [letter[b] for b in range(256)]
    for a, b in pairs:
        words.append(words[a] + words[b])
    # Numbers of their own: the pairs' tokens come first.
    vocab = {word: (i + len(pairs)) % len(words) for i, word in enumerate(words)}
    for listed in (["%s %s" % (words[a], words[b]) for a, b in pairs], [[words[a], words[b]] for a, b in pairs]):
        model = {"type": "BPE", "merges": listed, "unk_token": None, "vocab": dict(vocab, **{"<|end|>": 999})}
        r.write("tokenizer.json", json.dumps({"version": "1.0", "added_tokens": [{"id": 0}], "model": model}))
        r.write("t.csv", 'body,n\n"%s",1\n' % text)
        want = [(token + len(pairs)) % len(words) for token in bpe_tokens(text, pairs)]
        got = r.read(table(fractions="1 0 0"), [("x", I32, 0, (len(want),), ("body",), [
            link("wordpiece", text="@tokenizer.json".replace("@", r.folder + "/"))])])
        assert not isinstance(got, str), got
        same(got["x"], [want])
    r.write("tokenizer.json", json.dumps({"model": {"type": "Unigram", "vocab": {"a": 0}}}))
    chain = [link("wordpiece", text=r.path("tokenizer.json"))]
    fields = [("x", I32, 0, (3,), ("body",), chain)]
    refused(r.read(table(fractions="1 0 0"), fields), "the model is none of BPE, WordPiece")
    r.write("tokenizer.json", "{\"model\": {\"vocab\": {\"a\": }}}")
    refused(r.read(table(fractions="1 0 0"), fields), "tokenizer.json: ")


def test_wordpiece(r):
    """BERT's own example, and what is not in the vocabulary."""
    vocab = ["[PAD]", "[UNK]", "un", "##aff", "##able", "##a", "want", "##ed", "runn", "##ing", ",", "!", "a"]
    r.write("vocab.txt", "\n".join(vocab) + "\n")
    r.write("tokenizer.json", json.dumps({"model": {"type": "WordPiece", "unk_token": "[UNK]",
                                                    "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
                                                    "vocab": {word: i for i, word in enumerate(vocab)}}}))
    texts = ["UNwant\u00c9d running", "unaffable, wanted!a", " , unaffablex runn"]
    want = [["[UNK]", "runn", "##ing"], ["un", "##aff", "##able", ",", "want", "##ed", "!", "a"],
            [",", "[UNK]", "runn"]]
    want = [([vocab.index(w) for w in row] + [0] * 8)[:8] for row in want]
    r.write("t.csv", "body,n\n" + "".join('"%s",1\n' % text for text in texts))
    for name in ("vocab.txt", "tokenizer.json"):
        chain = [link("lower"), link("wordpiece", text=r.path(name)), link("pad_or_cut", 8)]
        got = r.read(table(fractions="1 0 0"), [("x", I32, 0, (8,), ("body",), chain)])
        assert not isinstance(got, str), got
        same(got["x"], want)
    chain = [link("wordpiece", text=r.path("none.txt"))]
    refused(r.read(table(), [("x", I32, 0, (8,), ("body",), chain)]), "cannot open")


# Blanks, letters, numbers and signs of many scripts; marks, controls, what is no letter though it looks like one.
HARD = [
    "Hello,  World!\tit's  we'll   'twas I'M", "  two\n\nlines \r\n end  ",
    "\xe9t\xe9 \xc9T\xc9 na\xefve e\u0301 \xf1",
    "\u201cquoted\u201d \u2014 dash\u2026 \xabx\xbb \u20ac5 \xb2\xbd\u2167",
    "\u4f60\u597d\u4e16\u754c abc\u4e2d def",
    "\u0416\u0438\u0437\u043d\u044c \u03a3\u03af\u03c3\u03c5\u03c6\u03bf\u03c2"
    " \u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627 \u0661\u0662\u0663",
    "a\xa0b\u3000c\u2003d\u2028e", "\U0001f600\U0001f468\u200d\U0001f469 ok\U0001f44d\U0001f3fd",
    "\ufeffbom soft\xadhyphen zero\u200bwidth",
    "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35 \u0928\u092e\u0938\u094d\u0924\u0947", "x" * 250,
    "\xaa\xba\u02b0 \u24b6 \uff21\uff22 \U0001d7d8 \U00010400", "tab\tand\x0bvt \x85 nel",
    "don't can't CAN'T o'clock ''s",
]


def tokens_as_package(r, tokenizer, chain_of, most=400):
    """Ids of HARD texts by the package and by a chain, row by row."""
    tokenizer.save(r.path("tokenizer.json"))
    r.write("t.jsonl", "".join(json.dumps({"body": text}) + "\n" for text in HARD))
    fields = [("x", I32, 0, (most,), ("body",), chain_of(r) + [link("pad_or_cut", most, -1)])]
    got = r.read(table(name="t.jsonl", kind=JSONL, fractions="1 0 0"), fields)
    assert not isinstance(got, str), got
    for text, row in zip(HARD, got["x"]):
        want = tokenizer.encode(text, add_special_tokens=False).ids
        same([t for t in row if t >= 0], want, repr(text))


def of_file(r):
    return [link("wordpiece", text=r.path("tokenizer.json"))]


def test_package_bpe(r):
    """A tokenizer.json that the tokenizers package learned gives the tokens that it gives, also with a blank before."""
    for prefix in (False, True):
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix)
        trainer = trainers.BpeTrainer(vocab_size=500, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
                                      show_progress=False)
        tokenizer.train_from_iterator(HARD * 3, trainer)
        tokens_as_package(r, tokenizer, of_file)
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(r.path("tokenizer.json"))
    fields = [("x", I32, 0, (9,), ("body",), of_file(r))]
    refused(r.read(table(), fields), "texts are cut by 'Whitespace', ByteLevel is taken")
    tokenizer.pre_tokenizer, tokenizer.normalizer = pre_tokenizers.ByteLevel(), normalizers.NFC()
    tokenizer.save(r.path("tokenizer.json"))
    refused(r.read(table(), fields), "a normalizer other than BertNormalizer")


def test_package_wordpiece(r):
    """The same of WordPiece, cased and not, with accents and without, by what tokenizer.json says, and by vocab.txt."""
    alphabet = sorted(c for c in set("".join(HARD)) | set("".join(HARD).lower()) if not c.isspace())
    for lowers, strips in ((False, False), (True, None), (True, False), (False, True)):
        tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowers, strip_accents=strips)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        trainer = trainers.WordPieceTrainer(vocab_size=700, special_tokens=["[PAD]", "[UNK]"], show_progress=False,
                                            initial_alphabet=alphabet)
        tokenizer.train_from_iterator(HARD * 3, trainer)
        tokens_as_package(r, tokenizer, of_file)
        if not lowers and not strips:
            words = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
            r.write("vocab.txt", "".join(word + "\n" for word, _ in words))
            tokens_as_package(r, tokenizer, lambda r: [link("wordpiece", text=r.path("vocab.txt"))])


def test_package_blanks(r):
    """Words between blanks as the package has them, numbered by how often they come."""
    texts = [" ".join(text.split()) for text in HARD if text.isascii()]
    r.write("t.jsonl", "".join(json.dumps({"body": text}) + "\n" for text in texts))
    cut = pre_tokenizers.WhitespaceSplit()
    rows = [[word for word, _ in cut.pre_tokenize_str(text)] for text in texts]
    counts = {}
    for word in sum(rows, []):
        counts[word] = counts.get(word, 0) + 1
    known = sorted(counts, key=lambda w: (-counts[w], w.encode()))
    got = r.read(table(name="t.jsonl", kind=JSONL, fractions="1 0 0"),
                 [("x", I32, 0, (12,), ("body",), [link("words", 1000), link("pad_or_cut", 12)])])
    same(got["x"], [([known.index(w) + 2 for w in row] + [0] * 12)[:12] for row in rows])


def test_characters(_):
    """The kept table of characters is what the script makes, of the Unicode that it was made of."""
    import make_unicode
    with open(os.path.join(HERE, "..", "..", "runtime", "train", "unicode.inc"), encoding="ascii") as f:
        kept = f.read()
    made = "\n".join(make_unicode.tables())
    assert kept == made or kept.split("\n")[0] != made.split("\n")[0], "make it anew by make_unicode.py"


# ---- augmentation ----

def test_augmentation(r):
    g = np.random.default_rng(6)
    x = g.integers(1, 256, (40, 2, 6, 7)).astype(np.uint8)
    np.save(r.path("x.npy"), x)
    source = ["kind %d" % NPY, "fractions 0.5 0.5 0", "path 0 @x.npy"]
    chain = [link("div", number=255), link("pad", 1, splits=TRAIN), link("random_crop", 6, 7, splits=TRAIN)]
    first = r.read(source + ["epoch 1"], [("x", F32, 0, (2, 6, 7), ("x",), chain)])
    assert not isinstance(first, str), first
    again = r.read(source + ["epoch 1"], [("x", F32, 0, (2, 6, 7), ("x",), chain)])
    other = r.read(source + ["epoch 2"], [("x", F32, 0, (2, 6, 7), ("x",), chain)])
    want = (x / 255).astype(np.float32)
    same(first["x"], again["x"])
    same(first["x"][20:], want[20:])
    assert not np.array_equal(first["x"], other["x"])
    seen = set()
    for i in range(20):
        padded = np.pad(want[i], ((0, 0), (1, 1), (1, 1)))
        parts = [(y, z) for y in range(3) for z in range(3)
                 if np.array_equal(first["x"][i], padded[:, y:y + 6, z:z + 7])]
        assert len(parts) == 1, (i, parts)
        seen.add(parts[0])
    assert len(seen) > 4, seen
    middle = r.read(source, [("x", U8, 0, (2, 4, 3), ("x",), [link("random_crop", 4, 3)])])
    same(middle["x"], x[:, :, 1:5, 2:5])
    flipped = r.read(source + ["epoch 3"], [("x", U8, 0, (2, 6, 7), ("x",), [link("flip", splits=TRAIN)])])["x"]
    turned = [np.array_equal(flipped[i], x[i, :, :, ::-1]) for i in range(20)]
    assert all(t or np.array_equal(flipped[i], x[i]) for i, t in enumerate(turned)) and 4 < sum(turned) < 16
    same(flipped[20:], x[20:])
    noise = [link("noise", number=2, splits=TRAIN)]
    noisy = r.read(source + ["epoch 1"], [("x", F64, 0, (2, 6, 7), ("x",), noise)])["x"]
    away = (noisy - x)[:20].ravel()
    assert abs(away.mean()) < 0.15 and abs(away.std() - 2) < 0.1 and len(set(away)) == away.size
    same(noisy[20:], x[20:])
    same(r.read(source, [("x", U8, 0, (2, 8, 9), ("x",), [link("pad", 1)])])["x"],
         np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1))))
    refused(r.read(source, [("x", U8, 0, (2, 9, 3), ("x",), [link("random_crop", 9, 3)])]), "random_crop of 9 x 3 from")
    refused(r.read(source, [("x", F32, 0, (2, 6, 7), ("x",), [link("flip"), link("minmax")])]), "'minmax' is fitted")


def main():
    count = Count()
    r = Reader()
    for test in (test_numeric_links, test_bad_cells, test_labels, test_one_hot, test_files_of_splits, test_npy,
                 test_npz, test_idx, test_images, test_jpeg, test_jsonl, test_words, test_streams, test_bpe,
                 test_tokenizer_json, test_wordpiece, test_package_bpe, test_package_wordpiece, test_package_blanks,
                 test_characters, test_augmentation):
        problem = None
        try:
            test(r)
        except (AssertionError, RuntimeError, TypeError) as e:
            problem = str(e) or "assertion"
        count.judge(test.__name__, problem)
    shutil.rmtree(r.folder)
    count.finish()


main()
