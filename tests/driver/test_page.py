"""The page that --report writes: what it says, that it needs nothing from elsewhere, and how it looks in Chromium in
the light and the dark scheme.   usage: test_page.py BUILD_DIR"""
import html.parser
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest
import zlib

BUILD = os.path.abspath(sys.argv.pop(1))
TENON = os.path.join(BUILD, "bin", "tenon")
MODEL = """tnir 1
sym B in [1, 64]
const @a : f32[64,32] = splat 0.25
const @b : f32[32,8] = splat 0.5
func @run entry (%x: f32[B,64] "x<&>") -> (f32[B,8] "y") {
  %0 = dot %x, @a {sum=[(1,0)]} : f32[B,32] "middle"
  %1 = exp %0 : f32[B,32]
  %2 = reduce %1 {op=sum, axes=[0]} : f32[32]
  %3 = broadcast %2 {dims=[B,32], map=[1]} : f32[B,32]
  %4 = div %1, %3 : f32[B,32]
  %5 = dot %4, @b {sum=[(1,0)]} : f32[B,8] "y"
  return %5
}
"""


class Page(html.parser.HTMLParser):
    """Rows of each table by its id, rectangles of the plan, and what a browser would fetch."""
    def __init__(self, text):
        super().__init__()
        self.tables, self.boxes, self.fetched, self.row, self.cell = {}, [], [], None, None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.fetched += [v for k, v in attrs.items() if k in ("src", "href", "srcset", "data", "action")]
        self.fetched += [tag] if tag in ("script", "iframe", "object", "embed") else []
        if tag == "table":
            self.rows = self.tables.setdefault(attrs["id"], [])
        if tag == "tr":
            self.row = []
            self.rows.append(self.row)
        if tag in ("td", "th"):
            self.row.append("")
            self.cell = True
        if tag == "rect":
            self.boxes.append([float(attrs[k]) for k in ("x", "y", "width", "height")])
            self.cell = False

    def handle_data(self, data):
        if self.cell and self.row:
            self.row[-1] += data.strip()


def pixels(path):
    """Mean brightness of a PNG of 8-bit RGB or RGBA (PNG specification, sections 9 and 11)."""
    with open(path, "rb") as f:
        data = f.read()
    at, body, (width, height, depth, kind) = 8, b"", struct.unpack(">IIBB", data[16:26])
    assert depth == 8 and kind in (2, 6)
    while at < len(data):
        n, = struct.unpack(">I", data[at:at + 4])
        body += data[at + 8:at + 8 + n] if data[at + 4:at + 8] == b"IDAT" else b""
        at += n + 12
    raw, size = zlib.decompress(body), 3 if kind == 2 else 4
    before, total = bytearray(width * size), 0
    for y in range(height):
        start = y * (width * size + 1)
        row = bytearray(raw[start + 1:start + 1 + width * size])
        for i in range(len(row)):
            a, b, c = row[i - size] if i >= size else 0, before[i], before[i - size] if i >= size else 0
            p = a + b - c
            nearest = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
            row[i] = (row[i] + (0, a, b, (a + b) // 2, nearest)[raw[start]]) & 255
        before, total = row, total + sum(row[0::size]) + sum(row[1::size]) + sum(row[2::size])
    return total / (3 * width * height)


class Report(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = os.path.join(folder.name, "page.html")
        self.folder = folder.name
        with open(os.path.join(folder.name, "net.tnir"), "w") as f:
            f.write(MODEL)
        subprocess.run([TENON, "-c", "net.tnir", "-o", "net.o", "--report=page.html"], cwd=folder.name, check=True)
        with open(self.path) as f:
            self.text = f.read()
        self.page = Page(self.text)

    def test_says_what_was_compiled(self):
        program = subprocess.run([TENON, "--emit=program", "net.tnir", "-o", "-"], cwd=self.folder, check=True,
                                 capture_output=True, text=True).stdout
        kernels = re.findall(r"^  step \d+ kernel @(\w+)", program, re.M)
        self.assertEqual([row[1] for row in self.page.tables["steps"][1:]], kernels)
        passes = subprocess.run([TENON, "--print-passes"], check=True, capture_output=True, text=True).stdout
        self.assertEqual([row[0] for row in self.page.tables["passes"][1:]],
                         [line.split()[0] for line in passes.split("\n") if line])
        self.assertIn("x&lt;&amp;>", self.text)
        self.assertIn("B = 1", self.text)
        self.assertIn(["f32[B,32]", "working memory", "128 B"], [row[1:4] for row in self.page.tables["tensors"]])
        self.assertEqual(len(self.page.boxes), program.count(" arena live "))

    def test_boxes_of_the_plan_do_not_overlap(self):
        for i, a in enumerate(self.page.boxes):
            for b in self.page.boxes[:i]:
                apart = any(a[k] + a[k + 2] <= b[k] + 0.02 or b[k] + b[k + 2] <= a[k] + 0.02 for k in (0, 1))
                self.assertTrue(apart, (a, b))

    def test_needs_nothing_from_elsewhere(self):
        self.assertEqual(self.page.fetched, [])
        self.assertNotRegex(self.text, r"url\(|@import|https?:")

    def test_light_and_dark(self):
        chromium = shutil.which("chromium")
        if chromium is None:
            self.skipTest("chromium is not installed")
        seen = []
        for scheme in (1, 0):  # blink's PreferredColorScheme: dark is 0, light is 1
            shot = os.path.join(self.folder, f"{scheme}.png")
            subprocess.run([chromium, "--headless", "--no-sandbox", "--disable-gpu", "--window-size=600,400",
                            f"--blink-settings=preferredColorScheme={scheme}", f"--screenshot={shot}",
                            f"--user-data-dir={self.folder}/profile", "file://" + self.path],
                           check=True, capture_output=True, timeout=120)
            seen.append(pixels(shot))
        self.assertGreater(seen[0], 200)
        self.assertLess(seen[1], 80)
        self.assertGreater(seen[1], 20)  # the text is there


unittest.main()
