"""Several processes (mpirun of Open MPI and of MPICH) share out the reading of data: of each kind of source the fitted
values, the weights and what is told have the same bits for 1, 2, 3 and 4 processes and for more than there are rows;
line ends inside of quotes anywhere; errors are those of one process; each reads its share.
  usage: test_shards.py BUILD_DIR [NAME..]
"""
import hashlib
import json
import os
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib

from common import BUILD, Count

TENON = os.path.join(BUILD, "bin", "tenon")
PLUGINS = os.path.join(BUILD, "lib", "tenon")
FLAGS = {"openmpi": ["--allow-run-as-root", "--oversubscribe", "--mca", "btl", "self,vader"], "mpich": []}
CLEAN = {key: value for key, value in os.environ.items() if not key.startswith(("OMPI_", "PMI_", "PMIX_", "TENON_MPI"))}
ENVIRONMENT = {**CLEAN, "TENON_MPI_DIR": PLUGINS}
TRAIN = """
train M on d {
  loss = cross_entropy(out, y); metrics = (acc: accuracy(out, y)%s)
  optimizer = adam(lr: 1e-2); batch = 16; epochs = 1; seed = 1; reproducible = world
  every 1 epochs { eval(valid) }
}
"""
SPLIT = "split: (train: 0.8, valid: 0.2), shuffle: 1"
PICTURES = "model M(x: f32[B, 1, %d, %d]) -> f32[B, 2] = x |> standardize |> flatten |> linear(2)\n"
NET = "model M(x: f32[B, %d]) -> f32[B, 2] = x |> standardize |> linear(4) |> relu |> linear(2)\n"
count = Count()

# Says what a process has read and how long it computed, once the program that it runs has ended.
COUNTER = """import os, sys
pid = os.fork()
if pid == 0: os.execv(sys.argv[1], sys.argv[1:])
os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
read = open("/proc/%d/io" % pid).read().split()[1]
_, status, usage = os.wait4(pid, 0)
os.write(1, b"counted %s %f\\n" % (read.encode(), usage.ru_utime))  # at once: four processes share the output
sys.exit(os.waitstatus_to_exitcode(status))
"""


def run(words, family=None, n=1):
    words = ([f"mpirun.{family}", *FLAGS[family], "-n", str(n)] if family else []) + words
    done = subprocess.run(words, env=ENVIRONMENT, capture_output=True, text=True, timeout=240)
    return done.returncode, done.stdout, done.stderr


def build(source, metrics=""):
    with open("m.tn", "w") as out:
        out.write(source + TRAIN % metrics)
    status, _, err = run([TENON, "m.tn", "-o", "m"])
    if status:
        raise RuntimeError(err)


def checkpoint():
    """A digest of all that it holds."""
    name = max(name for name in os.listdir("ck") if name.endswith(".safetensors"))
    with open(os.path.join("ck", name), "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def result(family=None, n=1, words=()):
    """What a training leaves: its status, what it tells of the data, and all that its checkpoint holds."""
    shutil.rmtree("ck", ignore_errors=True)
    status, out, err = run(["./m", "train", "--checkpoint-dir", "ck", "--log-json", "log", *words], family, n)
    told = [line for line in (out + err).splitlines() if re.search("left out|error|category", line)]
    if status:
        return status, [re.sub(r"process \d+: ", "", line) for line in told if line.startswith("m: ")], ""
    return status, told, checkpoint()


def check(name, families, sizes=(2, 3, 4), words=(), wanted=0):
    """wanted: the exit status, or a text of the error."""
    alone = result(words=words)
    wrong = wanted not in "\n".join(alone[1]) or alone[0] == 0 if wanted else alone[0]
    count.judge(f"{name}, one process", wrong and alone)
    for family in families:
        for n in sizes if family == families[0] else sizes[:1]:
            found = result(family, n, words)
            count.judge(f"{name}, {n} processes of {family}", found != alone and (found, alone))


# ---- sources ----

def make_csv(numbers, n, breaks=0.3):
    """Numbers, words, cells without value, rows that are wrong, line ends in quotes."""
    rows = []
    for i in range(n):
        cells = ["%.4f" % numbers.gauss(3, 2) for _ in range(4)]
        if numbers.random() < 0.1:
            cells[1] = ""
        text = " ".join(numbers.choice(["one", "two", "three", "Four", "zero%d" % (i % 50)]) for _ in range(6))
        if numbers.random() < breaks:
            text = '"%s\n""quoted"", %s\r\n"' % (text, text)
        cells += [numbers.choice(["red", "green", "blue"]), text, "yes" if float(cells[0]) > 3 else "no"]
        if i % 97 == 31:
            cells = cells[:5]
        if i % 89 == 44:
            cells[2] = "much"
        rows.append(",".join(cells))
    return "a,b,c,e,colour,body,kind\n" + "\r\n".join(rows) + "\r\n"


CSV = ('data d = csv("d.csv", bad: drop, ' + SPLIT + """) {
  x: f32[2] = (a, c) |> minmax
  u: f32 = b |> impute(with: median)
  v: f32 = b |> impute |> clip_outliers(sigma: 2)
  w: f32[3] = colour |> one_hot(3)
  k: f32 = c |> bins(7)
  t: token[8] = body |> lower |> words(40) |> pad_or_cut(8)
  p: token[8] = body |> bpe(300) |> pad_or_cut(8)
  y: class[2] = kind
}
model M(x: f32[B, 2], w: f32[B, 3], t: token[B, 8], p: token[B, 8]) -> f32[B, 2] {
  let words = t |> embed(40, 2) |> flatten |> linear(2)
  let pieces = p |> embed(300, 2) |> flatten |> linear(2)
  return (x |> standardize |> linear(2)) + (w |> linear(2)) + words + pieces
}
""")
CSV_METRICS = ", f: mean(u + v + k)"


def problem_csv(families):
    numbers = random.Random(1)
    with open("d.csv", "w", newline="") as out:
        out.write(make_csv(numbers, 1500))
    build(CSV, CSV_METRICS)
    check("csv", families)
    check("csv, nothing held", families, (2, 3), ("--data-memory", "0"))
    # Whatever the number of bytes, and so where parts begin.
    for n in (1, 2, 3, 5, 41, 42):
        with open("d.csv", "w", newline="") as out:
            out.write(make_csv(numbers, 60 + n, 0.9))
        check(f"csv of {60 + n} rows", families[:1], (3, 4))


PLAIN = 'data d = csv("d.csv", target: "kind", ' + SPLIT + ")\n" + NET % 2


def write_plain(rows, head="a,b,kind"):
    with open("d.csv", "w", newline="") as out:
        out.write("\n".join([head, *rows]) + "\n")


def problem_few(families):
    """More processes than rows, a lone carriage return, a quote in a cell without quotes."""
    write_plain(["1,2,no", "3,4,yes", "5,6,no", "0,1,yes", "9,1,no"])
    build(PLAIN)
    check("more processes than rows", families[:1], (4, 8))
    with open("d.csv", "w", newline="") as out:
        out.write("a,b,kind\r" + "\r".join("%d,%d,%s" % (i, i % 7, "yno"[i % 2:]) for i in range(300)))
    check("lines by carriage returns", families[:1], (2, 3))
    write_plain(["%d,%d,%s" % (i, i % 7, 'o"dd' if i % 2 else "even") for i in range(301)])
    check("quotes inside of cells", families[:1], (2, 3))
    write_plain(["%d,%d,%s\n\n\n" % (i, i % 7, "odd" if i % 2 else "even") for i in range(301)])
    check("empty lines", families[:1], (2, 3))


def problem_errors(families):
    rows = ["%d,%d,%s" % (i, i % 7, "odd" if i % 2 else '"e\nven"') for i in range(400)]
    build(PLAIN)
    for at in (3, 200, 399):
        for name, row, wanted in (("cells", "1,2", "expected 3 cells"), ("quote", '1,2,"open', "quote"),
                                  ("number", "1,two,odd", "expected a number, found 'two'")):
            write_plain(rows[:at] + [row] + rows[at:])
            check(f"an error of {name} in row {at}", families[:1], (2, 3), wanted=wanted)
    write_plain(rows[:90] + ["1,two,odd"] + rows[90:200] + ["1"] + rows[200:])
    check("the first of two errors", families, (3, 2), wanted="d.csv:")
    write_plain(["%d,%d,%s" % (i, i % 7, "c%d" % (i % 3)) for i in range(400)])
    check("one class too many", families[:1], (2,), wanted="3 classes in the training split")
    os.remove("d.csv")
    check("no file", families[:1], (2,), wanted="there is no d.csv")
    write_plain(rows)
    with open("away.sh", "w") as out:
        out.write('[ "${OMPI_COMM_WORLD_RANK:-$PMI_RANK}" = 1 ] && { mkdir -p away; cp m away; cd away; }\n'
                  "./m train --quiet\n")
    for family in families:
        status, _, err = run(["sh", "./away.sh"], family, 2)
        good = status and err.count("process 1: error: there is no d.csv") == 1 and "m: process 0" not in err
        count.judge(f"a file that one process does not see, {family}", not good and (status, err))


def problem_late(families):
    """What training does not see; what the model is fitted on behind its first functions."""
    numbers = random.Random(8)
    rows = ["%.4f,%d,%s,%s" % (numbers.gauss(0, 1), i % 7, numbers.choice(["red", "blue"]), "yno"[i % 2:])
            for i in range(300)]
    rows[250:] = [row.replace("red", "rare%d" % i) for i, row in enumerate(rows[250:])]
    write_plain(rows, "a,b,colour,kind")
    build('data d = csv("d.csv", split: (train: 0.8, valid: 0.2)) {\n  x: f32[2] = (a, b)\n  w: f32[2] = colour |> '
          "one_hot(2)\n  y: class[2] = kind\n}\nmodel M(x: f32[B, 2], w: f32[B, 2]) -> f32[B, 2] = "
          "(x |> tanh |> standardize |> linear(2)) + (w |> linear(2))\n")
    check("unknown categories, later statistics", families, (2, 3, 4))
    _, told, _ = result(families[0], 4)
    wanted = r"warning: d.csv:2[56]\d: .*'rare\d' is no category.* \d\d more samples"
    good = len(told) == 1 and re.search(wanted, told[0])
    count.judge("unknown categories are told once", not good and told)


def problem_files(families):
    """Several files, one of them small; what cannot be shared out."""
    numbers = random.Random(7)
    for i, n in enumerate((200, 2, 300)):
        write_plain(["%.4f,%d,%s" % (numbers.gauss(0, 1), k % 7, '"o\ndd"' if k % 2 else "even") for k in range(n)])
        os.rename("d.csv", f"part-{i}.csv")
    build(PLAIN.replace("d.csv", "part-*.csv"))
    check("three files", families[:1], (2, 5))
    with open("part-2.csv", "a") as out:
        out.write("1,2\n")
    check("an error in the third file", families[:1], (2,), wanted="part-2.csv:452: expected 3 cells")
    status, _, err = run(["./m", "train", "--quiet", "--data", "-"], families[0], 2)
    good = status == 1 and "error: - is no file, which is what several processes can share out" in err
    count.judge("standard input", not good and (status, err))


def problem_jsonl(families):
    numbers = random.Random(2)
    with open("d.jsonl", "w") as out:
        for i in range(700):
            row = {"x": [numbers.gauss(0, 1), numbers.gauss(5, 3)], "y": numbers.choice(["no", "yes"])}
            if i > 400:
                row["late"] = i
            out.write((json.dumps(row) if i % 50 else "none") + "\n" + "\n" * (i % 3))
    build('data d = jsonl("d.jsonl", bad: drop, %s) {\n  x: f32[2] = x |> minmax\n  y: class[2] = y\n}\n' % SPLIT
          + NET % 2)
    check("jsonl", families)
    build('data d = jsonl("d.jsonl", %s) {\n  x: f32[2] = x |> minmax\n  y: class[2] = y\n}\n' % SPLIT + NET % 2)
    check("an error of jsonl", families[:1], (2, 3), wanted="d.jsonl:1: expected an object of JSON")


def png(pixels, side):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = b"".join(b"\0" + bytes(pixels[k * side:(k + 1) * side]) for k in range(side))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def problem_images(families):
    numbers = random.Random(3)
    for k in range(2):
        os.makedirs("pets/%d" % k)
        for i in range(90):
            with open("pets/%d/%d.png" % (k, i), "wb") as out:
                out.write(png([numbers.randrange(100 * k, 100 * k + 100) for _ in range(144)], 12))
    build('data d = images("pets", %s) {\n  x: f32[1, 12, 12] = image / 255\n  y: class[2] = label\n}\n' % SPLIT
          + PICTURES % (12, 12))
    check("images", families)
    check("images, not held", families, (3,), ("--data-memory", "0"))
    build('data d = images("pets", %s) {\n  x: f32[1, 8, 8] = image / 255 |> random_crop(8)\n  y: class[2] = label\n}\n'
          % SPLIT + "model M(x: f32[B, 1, 8, 8]) -> f32[B, 2] = x |> flatten |> linear(2)\n")
    check("images that are cropped", families, (3,))
    with open("pets/1/7.png", "r+b") as out:
        out.truncate(60)
    check("a damaged picture", families[:1], (2, 3), wanted="pets/1/7.png")


def problem_memory(families):
    """Processes that may hold more than others: what is held all hold."""
    numbers = random.Random(6)
    write_plain(["%.4f,%.4f,%s" % (numbers.gauss(0, 1), numbers.gauss(0, 1), "yno"[i % 2:]) for i in range(500)])
    build(PLAIN)
    alone = result()
    with open("some.sh", "w") as out:
        out.write("./m train --quiet --checkpoint-dir ck "
                  "--data-memory $((${OMPI_COMM_WORLD_RANK:-$PMI_RANK} * 5000))\n")
    for family in families:
        shutil.rmtree("ck")
        status, _, err = run(["sh", "./some.sh"], family, 3)
        found = checkpoint() if status == 0 else err
        count.judge(f"unequal memory, {family}", found != alone[2] and (status, found))


def npy(path, kind, shape, data, fortran=False):
    head = "{'descr': '%s', 'fortran_order': %s, 'shape': %s, }" % (kind, fortran, shape)
    head += " " * (63 - (len(head) + 10) % 64) + "\n"
    with open(path, "wb") as out:
        out.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() + data)


def problem_arrays(families):
    numbers = random.Random(4)
    values = [numbers.gauss(0, 1) for _ in range(3 * 500)]
    labels = struct.pack("<500q", *[int(values[3 * i] > 0) for i in range(500)])
    npy("x.npy", "<f8", (500, 3), struct.pack("<1500d", *values))
    npy("y.npy", "<i8", (500,), labels)
    build('data d = npy("x.npy", "y.npy", %s) {\n  x: f32[3] = x |> minmax\n  y: class[2] = y\n}\n' % SPLIT + NET % 3)
    check("npy", families)
    npy("x.npy", "<f8", (500, 3), struct.pack("<1500d", *values), True)
    check("npy by columns", families[:1], (2,))
    with open("x.idx", "wb") as out:
        out.write(struct.pack(">BBBBIII", 0, 0, 8, 3, 500, 2, 2) + bytes(numbers.randrange(256) for _ in range(2000)))
    with open("y.idx", "wb") as out:
        out.write(struct.pack(">BBBBI", 0, 0, 8, 1, 500) + bytes(i % 2 for i in range(500)))
    build('data d = idx("x.idx", "y.idx", %s) {\n  x: f32[1, 2, 2] = image / 255\n  y: class[2] = label\n}\n' % SPLIT
          + PICTURES % (2, 2))
    check("idx", families[:1], (2, 3))


STREAM = """{
  x: token[16] = window(0)
  y: token[16] = window(1)
}
model M(x: token[B, 16]) -> f32[B, 16, 256] = x |> embed(256, 8) |> linear(256)
"""


def problem_streams(families):
    with open("d.txt", "w") as out:
        out.write("In the beginning was the word, and words are many.\n" * 200)
    build('data d = text("d.txt", %s) ' % SPLIT + STREAM)
    check("text", families[:1])
    with open("d.bin", "wb") as out:
        out.write(struct.pack("<9000H", *[i * i % 256 for i in range(9000)]))
    build('data d = tokens("d.bin", dtype: u16, %s) ' % SPLIT + STREAM)
    check("tokens", families[:1])


def problem_share(families):
    """Of a large file each process reads its part, some times; without shares it would be all of it."""
    numbers = random.Random(5)
    block = ["%s,%s" % (",".join("%.4f" % numbers.gauss(0, 1) for _ in range(10)), numbers.choice(["no", "yes"]))
             for _ in range(5000)]
    write_plain(block * 40, ",".join("c%d" % i for i in range(10)) + ",kind")
    build('data d = csv("d.csv", target: "kind", %s)\n' % SPLIT + NET % 10)
    with open("counter.py", "w") as out:
        out.write(COUNTER)
    words = [sys.executable, "counter.py", "./m", "train", "--quiet", "--steps", "1"]
    read, spent = {}, {}
    for n in (1, 4):
        status, out, err = run(words, families[0] if n > 1 else None, n)
        found = re.findall(r"counted (\d+) (\S+)", out)
        if status or len(found) != n:
            return count.judge("shares are counted", (status, out, err))
        read[n], spent[n] = max(int(a) for a, _ in found), max(float(b) for _, b in found)
    size = os.path.getsize("d.csv")
    # Quotes are counted, rows found, labels learned, samples made: four times a quarter, and some blocks.
    count.judge("each of four processes reads its share", read[4] > 1.15 * size and (read, size))
    count.judge("each of four processes computes its share", spent[4] > 0.7 * spent[1] and spent)


PROBLEMS = {name[8:]: function for name, function in globals().copy().items() if name.startswith("problem_")}


def main():
    families = [family for family in FLAGS
                if shutil.which(f"mpirun.{family}") and os.path.exists(f"{PLUGINS}/tenon_mpi_{family}.so")]
    if len(families) < len(FLAGS):
        print("skipped: of Open MPI and MPICH there is", families or "none")
        count.skipped += len(FLAGS) - len(families)
    for name in sys.argv[2:] or PROBLEMS:
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            if families:
                PROBLEMS[name](families)
            os.chdir("/")
    count.finish()


main()
