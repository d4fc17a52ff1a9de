"""The labels of examples/filetype.c against those of the Python package magika, on files made here and on files of the
repository.   usage: test_labels.py BUILD_DIR

Builds the example as examples/quickstart does, from the package that is installed in this Python.
"""
import bz2
import gzip
import io
import json
import lzma
import os
import pathlib
import random
import sqlite3
import struct
import subprocess
import sys
import tarfile
import tempfile
import wave
import zipfile
import zlib

import magika
import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
WORDS = ("stone river window paper seven under garden winter letter morning simple carry between silver question "
         "always market answer bridge summer").split()


def prose(rng, n):
    return " ".join(rng.choice(WORDS) for _ in range(n)).capitalize() + ".\n"


def png(rng):
    raw = b"".join(b"\0" + rng.randbytes(48) for _ in range(16))

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 16, 16, 8, 2, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b""))


def archive(kind, rng):
    out = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
            for i in range(4):
                z.writestr(f"text{i}.txt", prose(rng, 200))
    elif kind == "tar":
        with tarfile.open(fileobj=out, mode="w") as t:
            for i in range(4):
                data = prose(rng, 200).encode()
                info = tarfile.TarInfo(f"text{i}.txt")
                info.size = len(data)
                t.addfile(info, io.BytesIO(data))
    elif kind == "npz":
        np.savez(out, a=np.arange(100.0), b=np.eye(5))
    elif kind == "npy":
        np.save(out, np.arange(300, dtype=np.int32))
    elif kind == "wav":
        with wave.open(out, "wb") as w:
            w.setnchannels(1)
            w.setsampwidth(2)
            w.setframerate(8000)
            w.writeframes(rng.randbytes(8000))
    return out.getvalue()


def database(folder):
    path = folder / "made.db"
    with sqlite3.connect(path) as db:
        db.execute("create table t (a integer, b text)")
        db.executemany("insert into t values (?, ?)", [(i, f"row {i}") for i in range(500)])
    db.close()
    data = path.read_bytes()
    path.unlink()
    return data


PROGRAMS = {
    "c": "#include <stdio.h>\n\nstatic int add(int a, int b) {\n  return a + b;\n}\n\nint main(void) {\n"
         "  printf(\"%d\\n\", add(1, 2));\n  return 0;\n}\n",
    "py": "import sys\n\n\ndef main(argv):\n    for name in argv[1:]:\n        print(name, len(name))\n\n\n"
          "if __name__ == \"__main__\":\n    main(sys.argv)\n",
    "sh": "#!/bin/sh\nset -eu\nfor f in *.c; do\n  echo \"compiling $f\"\n  cc -c \"$f\" || exit 1\ndone\n",
    "js": "const http = require('http');\n\nfunction hello(req, res) {\n  res.end('hello');\n}\n\n"
          "http.createServer(hello).listen(8080, () => console.log('ready'));\n",
    "go": "package main\n\nimport \"fmt\"\n\nfunc main() {\n\tfor i := 0; i < 3; i++ {\n\t\tfmt.Println(i)\n\t}\n}\n",
    "rs": "use std::collections::HashMap;\n\nfn main() {\n    let mut m: HashMap<String, u32> = HashMap::new();\n"
          "    m.insert(\"a\".to_string(), 1);\n    println!(\"{:?}\", m);\n}\n",
    "java": "package demo;\n\npublic class Main {\n    public static void main(String[] args) {\n"
            "        System.out.println(\"hello\");\n    }\n}\n",
    "html": "<!DOCTYPE html>\n<html>\n<head><title>One</title></head>\n<body><p>Some text.</p></body>\n</html>\n",
    "css": "body {\n  margin: 0;\n  font-family: sans-serif;\n}\n\n.title > a:hover {\n  color: #333;\n}\n",
    "xml": "<?xml version=\"1.0\"?>\n<list>\n  <item id=\"1\">one</item>\n  <item id=\"2\">two</item>\n</list>\n",
    "json": json.dumps({"name": "a", "values": list(range(40)), "deep": {"x": None, "y": True}}, indent=2),
    "yaml": "name: build\non: [push]\njobs:\n  test:\n    steps:\n      - run: make\n      - run: make test\n",
    "toml": "[package]\nname = \"a\"\nversion = \"0.1.0\"\n\n[dependencies]\nserde = \"1.0\"\n",
    "ini": "[server]\nhost = localhost\nport = 8080\n\n[client]\ntimeout = 30\n",
    "sql": "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT);\nINSERT INTO people VALUES (1, 'a');\n"
           "SELECT name FROM people WHERE id > 0 ORDER BY name;\n",
    "csv": "id,name,price\n" + "".join(f"{i},item{i},{i * 1.5}\n" for i in range(60)),
    "md": "# Title\n\nSome *text* with `code`.\n\n- one\n- two\n\n```sh\nmake\n```\n\n[link](page)\n" * 3,
    "tex": "\\documentclass{article}\n\\begin{document}\n\\section{One}\nLet $x = \\frac{1}{2}$.\n\\end{document}\n",
    "diff": "--- a/x.c\n+++ b/x.c\n@@ -1,3 +1,3 @@\n int x;\n-int y;\n+long y;\n int z;\n",
    "mk": "CC = gcc\n\nall: main\n\nmain: main.o\n\t$(CC) -o $@ $^\n\nclean:\n\trm -f *.o main\n",
}


def made_files(folder):
    """{name: bytes}: of many kinds and of the sizes at which the rules change."""
    rng = random.Random(1)
    text = prose(rng, 400).encode()
    files = {"empty": b"", "one_byte": b"a", "seven": b"1234567", "seven_binary": b"\xff\xfe\0\1\2\3\4",
             "eight": b"12345678", "eight_binary": bytes(range(128, 136)), "nine_spaced": b"   abc   ",
             "only_spaces": b" \t\n" * 50, "spaces_5000": b" " * 5000, "seven_in_spaces": b"\n" * 100 + b"abcdefg\n",
             "eight_in_spaces": b"\n" * 100 + b"abcdefgh\n", "cut_utf8": b" " * 4095 + "é".encode() + b" " * 9,
             "overlong_utf8": b"\xc0\xaf", "surrogate": b"\xed\xa0\x80", "four_byte_utf8": "\U0001f600".encode(),
             "latin": "Überraschung für alle, schöne Grüße, ".encode("latin-1") * 20,
             "russian": "Съешь ещё этих мягких французских булок. ".encode() * 20,
             "utf16": text.decode().encode("utf-16"),
             "prose": text, "prose_1023": text[:1023], "prose_1024": text[:1024], "prose_1025": text[:1025],
             "block_4095": (text * 4)[:4095], "block_4096": (text * 4)[:4096], "block_4097": (text * 4)[:4097],
             "spaces_around": b" " * 3000 + text + b"\n" * 3000, "zeros_100": bytes(100), "zeros_20000": bytes(20000),
             "random_64": rng.randbytes(64), "random_5MB": rng.randbytes(5 << 20), "prose_5MB": text * (5 * 500),
             "png": png(rng), "gz": gzip.compress(text, mtime=0), "bz2": bz2.compress(text), "xz": lzma.compress(text),
             "zlib": zlib.compress(text), "sqlite": database(folder),
             "pdf": b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n2 0 obj\n<< /Type /Pages "
                    b"/Count 0 >>\nendobj\nxref\n0 3\ntrailer\n<< /Root 1 0 R /Size 3 >>\nstartxref\n99\n%%EOF\n",
             "gif": b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff!\xf9\x04\1\0\0\0\0,\0\0\0\0\1\0\1\0\0\2\2D\1\0;",
             "bmp": b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54 + 768, 0, 0, 54, 40, 16, 16, 1, 24, 0, 768, 0, 0, 0, 0) +
                    rng.randbytes(768)}
    files.update({kind: archive(kind, rng) for kind in ("zip", "tar", "npz", "npy", "wav")})
    files.update({"program." + kind: source.encode() for kind, source in PROGRAMS.items()})
    return files


def build_example(build, work):
    package = pathlib.Path(magika.__file__).parent
    model = package / "models" / "standard_v3_3" / "model.onnx"
    subprocess.run([f"{build}/bin/tenon", "-c", model, "-o", work / "magika.o", "--prefix=magika",
                    f"--header={work}/magika.h"], check=True)
    with open(work / "filetype_labels.h", "w", encoding="utf-8") as f:
        subprocess.run([sys.executable, ROOT / "examples" / "filetype_labels.py", package], stdout=f, check=True)
    subprocess.run(["cc", "-std=c17", "-D_POSIX_C_SOURCE=200809L", "-O2", "-Wall", "-Wextra", "-Werror", "-I", work,
                    ROOT / "examples" / "filetype.c", work / "magika.o", "-lm", "-o", work / "filetype"], check=True)
    return work / "filetype"


def main(build):
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        program = build_example(os.path.abspath(build), work)
        paths = []
        for name, data in made_files(work).items():
            paths.append(work / name)
            paths[-1].write_bytes(data)
        paths += [work, program, ROOT / "README.md", ROOT / "CMakeLists.txt", ROOT / "runtime" / "core" / "pool.c",
                  ROOT / "tests" / "run", pathlib.Path(sys.executable), pathlib.Path("/dev/null")]
        lines = subprocess.run([program, *paths], capture_output=True, text=True, check=True).stdout.splitlines()
        ours = [line.rsplit(": ", 1)[1] for line in lines]
        theirs = [str(result.output.label) for result in magika.Magika().identify_paths(paths)]
    failed = 0
    if len(ours) != len(paths):
        print(f"{len(paths)} files were given, {len(ours)} labels came out")
        failed += 1
    for path, got, want in zip(paths, ours, theirs):
        if got != want:
            print(f"{path.name}: expected {want}, found {got}")
            failed += 1
    print(f"{len(set(theirs))} different labels")
    print(f"{len(paths) - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
