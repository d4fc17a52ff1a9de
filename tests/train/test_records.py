"""Checkpoints, logs, progress and metrics of training programs, through tests/tools/train_records.c: killed, with
failing calls, on a full disk, resumed, under a pseudo terminal, with hostile clients.
usage: test_records.py BUILD_DIR
TENON_KILLS: how many times a writer is killed (20)."""
import contextlib
import csv
import errno
import fcntl
import json
import os
import pty
import random
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import time
import unittest

BUILD = os.path.abspath(sys.argv.pop(1)) if len(sys.argv) > 1 and not sys.argv[1].startswith("-") else \
    os.environ.get("TENON_BUILD", "build/release")
TOOL = os.path.join(BUILD, "tests", "train_records")
FLOATS = 100000


def run(*words, check=True, **kw):
    r = subprocess.run([TOOL, *map(str, words)], capture_output=True, text=True, timeout=120, **kw)
    if check and r.returncode:
        raise AssertionError(f"{words}: {r.returncode}\n{r.stdout}{r.stderr}")
    return r


class FolderTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def path(self, name):
        return os.path.join(self.folder, name)

    def found(self, folder, *words):
        r = run("find", folder, *words)
        return int(re.search(r"^step (\d+) ", r.stdout, re.M).group(1)), r.stdout


class Checkpoints(FolderTest):
    def test_kills(self):
        """Whatever was told as saved is there afterwards, or something newer, and nothing is half there."""
        folder, rng, struck, last = self.path("ck"), random.Random(3), 0, 0
        kills = int(os.environ.get("TENON_KILLS", "20"))
        for i in range(kills):
            words = ["checkpoints", folder, last, 100000, FLOATS] + (["async"] if i % 2 else [])
            p = subprocess.Popen([TOOL, *map(str, words)], stdout=subprocess.PIPE, text=True)
            p.stdout.readline()  # it has written one: what comes now has something to lose
            time.sleep(rng.random() * 0.08)
            p.kill()
            saved = [int(line.split()[1]) for line in p.stdout if line.endswith("\n")]
            p.wait()
            p.stdout.close()
            struck += p.returncode == -signal.SIGKILL
            step, text = self.found(folder)
            self.assertNotIn("note", text, f"kill {i}: something damaged was left under a name")
            # With a thread, "saved N" means that N - 1 is on the disk.
            self.assertGreaterEqual(step, max(saved, default=last) - i % 2, f"kill {i}")
            self.found(folder, "best")
            last = step
        self.assertEqual(struck, kills)
        run("checkpoints", folder, last, 1, FLOATS)
        self.assertEqual([n for n in os.listdir(folder) if n.endswith(".tmp")], [])

    def test_failing_calls(self):
        log = self.path("faults")
        for call, code in (("write", errno.ENOSPC), ("write", errno.EIO), ("rename", errno.EIO), ("fsync", errno.EIO),
                           ("open", errno.EACCES)):
            n, told = 0, 0
            while n < 100:
                n += 1
                folder = self.path(f"{call}{code}-{n}")
                run("checkpoints", folder, 0, 1, 1000)
                open(log, "w").close()
                env = dict(os.environ, TENON_FAULT=f"{call}:{n}:{code}", TENON_FAULT_LOG=log,
                           LD_PRELOAD=os.path.join(BUILD, "tests", "preload_fault.so"))
                r = run("checkpoints", folder, 1, 3, 1000, check=False, env=env)
                what = f"{call} {n}: {r.stdout}{r.stderr}"
                if "ASan runtime does not come first" in r.stderr:
                    self.skipTest("nothing can be preloaded into an instrumented program")
                # Training goes on: the steps after the failure are saved.
                opened = "cannot lock" not in r.stderr
                self.assertEqual(r.returncode, 0 if opened else 1, what)
                saved = [int(step) for step in re.findall(r"^saved (\d+)$", r.stdout, re.M)]
                self.assertGreaterEqual(len(saved), 2 if opened else 0, what)
                self.assertGreaterEqual(self.found(folder)[0], max(saved, default=1), what)
                self.assertEqual([f for f in os.listdir(folder) if f.endswith(".tmp")], [], what)
                if not os.path.getsize(log):
                    break
                told += os.strerror(code) in r.stderr
                if not r.stderr and saved == [2, 3, 4]:  # a name that was written at the second try
                    with open(os.path.join(folder, "LATEST"), encoding="ascii") as f:
                        told += "00000004" in f.read()
                elif call == "write":
                    self.assertRegex(r.stderr, r"step-0|LATEST|BEST", what)
                    self.assertRegex(r.stderr, r"it needs \d+ bytes, \d+ are free", what)
            # Three times the checkpoint, LATEST and BEST; each file, then its folder, is synced.
            self.assertGreaterEqual(n - 1, {"write": 12, "rename": 9, "fsync": 18, "open": 10}[call], call)
            self.assertGreaterEqual(told, n - 2, call)  # all but the sync of a folder that is none

    def test_disks_that_lie(self):
        """A byte that is on the disk as another one is noticed before the file gets its name."""
        log, n = self.path("faults"), 0
        while True:
            n += 1
            folder = self.path(f"flip-{n}")
            open(log, "w").close()
            env = dict(os.environ, TENON_FAULT=f"flip:{n}:0", TENON_FAULT_LOG=log,
                       LD_PRELOAD=os.path.join(BUILD, "tests", "preload_fault.so"))
            r = run("checkpoints", folder, 0, 2, 1000, check=False, env=env)
            if "ASan runtime does not come first" in r.stderr:
                self.skipTest("nothing can be preloaded into an instrumented program")
            self.assertEqual(r.returncode, 0, r.stderr)
            step, text = self.found(folder)
            if not os.path.getsize(log):
                break
            self.assertNotIn("note", text)
            if "reads back as something else" in r.stderr:
                self.assertEqual(step, 2 if "step-00000001" in r.stderr else 1, f"{n}: {r.stderr}")
            else:  # LATEST and BEST, which are only names
                self.assertEqual(step, 2, f"{n}: {r.stderr}")
        self.assertGreater(n, 8)

    @contextlib.contextmanager
    def small_disk(self, size):
        disk = self.path("disk")
        os.mkdir(disk)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=" + size, "none", disk], capture_output=True).returncode:
            self.skipTest("a small file system cannot be mounted here")
        try:
            yield disk
        finally:
            subprocess.run(["umount", disk], check=True)

    def test_disk_full(self):
        with self.small_disk("2m") as disk:
            folder = os.path.join(disk, "ck")
            run("checkpoints", folder, 0, 1, 60000)  # 480 KB each, two are kept
            with open(os.path.join(disk, "ballast"), "wb") as f:
                f.write(b"x" * 1200000)
            r = run("checkpoints", folder, 1, 3, 60000)
            self.assertRegex(r.stderr, r"cannot write '.*step-00000002.safetensors': No space left on device; it needs "
                                       r"48\d{4} bytes, \d{1,6} are free")
            self.assertIn("done", r.stdout)
            self.assertEqual(self.found(folder)[0], 1)
            os.unlink(os.path.join(disk, "ballast"))
            run("checkpoints", folder, 4, 1, 60000)
            self.assertEqual(self.found(folder)[0], 5)

    def test_disk_full_names(self):
        """No room is left for the new LATEST: older files make it, and the training goes on saving."""
        with self.small_disk("8m") as disk:
            folder = os.path.join(disk, "ck")
            used = []
            for step in range(2):
                run("checkpoints", folder, step, 1, 60000)  # two are kept
                state = os.statvfs(disk)
                used.append((state.f_blocks - state.f_bfree) * state.f_frsize)
            size = 2 * used[1] - used[0]  # three files to the byte
            subprocess.run(["mount", "-o", "remount,size=%d" % size, disk], check=True)
            r = run("checkpoints", folder, 2, 4, 60000)
            self.assertEqual((r.stderr, self.found(folder)[0]), ("", 6))

    def test_two_at_once(self):
        folder = self.path("ck")
        p = subprocess.Popen([TOOL, "checkpoints", folder, "0", "100000", "1000"], stdout=subprocess.PIPE, text=True)
        p.stdout.readline()
        r = run("checkpoints", folder, 0, 1, 1000, check=False)
        self.assertEqual(r.returncode, 1)
        self.assertIn(f"the checkpoints in '{folder}' are in use: process {p.pid} on", r.stderr)
        # Reading goes on while the other one writes and removes.
        for _ in range(50):
            self.found(folder)
        p.kill()
        p.wait()
        p.stdout.close()
        run("checkpoints", folder, 0, 1, 1000)

    def test_the_whole_program_allocates_nothing_after_the_start(self):
        counts = []
        for steps in (3, 300):
            report = self.path(f"count{steps}")
            env = dict(os.environ, MALLOC_COUNT_FILE=report,
                       LD_PRELOAD=os.path.join(BUILD, "tests", "preload_malloc.so"))
            for name in ("ck", "a.jsonl", "a.csv", "tb"):
                subprocess.run(["rm", "-rf", self.path(name)], check=True)
            r = run("checkpoints", self.path("ck"), 0, steps, 1000, check=False, env=env)
            if "ASan runtime does not come first" in r.stderr:
                self.skipTest("nothing can be preloaded into an instrumented program")
            saved = number_in(report)
            r = run("logs", 0, steps, 0, f"json={self.path('a.jsonl')}", f"csv={self.path('a.csv')}",
                    f"tensorboard={self.path('tb')}", f"port={free_port()}", env=env)
            counts.append((saved, number_in(report)))
        self.assertEqual(counts[0], counts[1])


def number_in(path):
    with open(path) as f:
        return int(f.read())


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Logs(FolderTest):
    def rows(self, name):
        with open(self.path(name), newline="") as f:
            return [json.loads(line) for line in f] if name.endswith("l") else list(csv.DictReader(f))

    def test_rows(self):
        r = run("logs", 0, 20, 0, f"json={self.path('a.jsonl')}", f"csv={self.path('a.csv')}")
        self.assertEqual(r.stdout, "step 20, epoch 2: valid loss 0.075, acc 0.95 (best)\n")
        self.assertEqual(r.stderr, "a note 7\n")
        rows, cells = self.rows("a.jsonl"), self.rows("a.csv")
        self.assertEqual([(w["step"], w["event"]) for w in rows],
                         [(5, "eval"), (10, "eval"), (10, "epoch"), (15, "eval"), (20, "eval"), (20, "epoch")])
        self.assertEqual(rows[1]["valid.acc"], 0.9)
        self.assertEqual(rows[1]["samples"], 320)
        self.assertNotIn("train.loss", rows[1])
        self.assertEqual(rows[2]["train.loss"], 0.125)
        self.assertEqual(rows[0]["lr"], 0.02)
        self.assertLess(abs(rows[0]["time"] - time.time()), 60)
        for row, cell in zip(rows, cells, strict=True):
            for key, value in cell.items():
                self.assertEqual(value, "" if key not in row else value)
                if key not in ("event", "time"):
                    self.assertEqual(float(value) if value else None, row.get(key))
        self.assertEqual(run("logs", 0, 20, 0, "quiet").stdout, "")

    def test_resumed(self):
        files = [f"json={self.path('a.jsonl')}", f"csv={self.path('a.csv')}"]
        run("logs", 0, 40, 0, *files)
        whole = {n: self.rows(n) for n in ("a.jsonl", "a.csv")}
        for name in whole:  # it was killed in the middle of a row
            with open(self.path(name), "a") as f:
                f.write('{"step":45,"eve' if name.endswith("l") else "45,ev")
        run("logs", 30, 10, 0, "appends", *files)
        for name, rows in whole.items():
            again = self.rows(name)
            for row in rows + again:
                row["time"] = row["samples"] = ""
            self.assertEqual(again, rows, name)
        run("logs", 0, 10, 0, *files)  # begun anew
        self.assertEqual(len(self.rows("a.jsonl")), 3)
        with open(self.path("a.csv"), "w") as f:
            f.write("step,other\n1,2\n")
        r = run("logs", 30, 10, 0, "appends", *files, check=False)
        self.assertEqual(r.returncode, 1)
        self.assertIn("a.csv' has other columns", r.stderr)

    def test_full_disk_is_told_once(self):
        r = run("logs", 0, 40, 0, "json=/dev/full")
        told = "cannot write the log '/dev/full': No space left on device; the training goes on without it\n"
        self.assertEqual(r.stderr, told + "a note 7\n")
        r = run("logs", 0, 40, 0, f"json={self.path('no/such/folder')}", check=False)
        self.assertEqual(r.returncode, 1)

    def test_standard_output_that_is_closed(self):
        p = subprocess.Popen([TOOL, "logs", "0", "2000", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        p.stdout.close()
        self.assertEqual(p.stderr.read(), b"a note 7\n")
        p.stderr.close()
        self.assertEqual(p.wait(), 0)

    def records(self, folder):
        """Records of the event files: their framing is checked, their messages are not looked into."""
        for name in sorted(os.listdir(folder)):
            with open(os.path.join(folder, name), "rb") as f:
                data = f.read()
            while data:
                n, = struct.unpack("<Q", data[:8])
                for part, at in ((data[:8], 8), (data[12:12 + n], 12 + n)):
                    crc = crc32c(part)
                    masked = ((crc >> 15 | crc << 17) + 0xa282ead8) & 0xffffffff
                    self.assertEqual(struct.unpack("<I", data[at:at + 4])[0], masked)
                yield data[12:12 + n]
                data = data[16 + n:]

    def test_event_files(self):
        run("logs", 0, 40, 0, f"tensorboard={self.path('tb')}")
        records = list(self.records(self.path("tb")))
        self.assertEqual(len(records), 1 + 8 + 4)
        self.assertIn(b"brain.Event:2", records[0])
        self.assertEqual(sum(b"\x0a\x09valid/acc\x15" in r for r in records), 8)
        self.assertIn(b"\x0a\x09valid/acc\x15" + struct.pack("<f", 0.8), records[1])


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


class Progress(FolderTest):
    def on_terminal(self, columns, **env):
        """What the tool writes to a terminal of so many columns."""
        leader, follower = pty.openpty()
        fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        clean = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "LC_ALL", "LC_CTYPE", "LANG")}
        p = subprocess.Popen([TOOL, "logs", "0", "60", "10000"], stdout=follower, stderr=subprocess.DEVNULL,
                             env=clean | {"TERM": "xterm", "LANG": "C"} | env)
        os.close(follower)
        text = b""
        while select.select([leader], [], [], 30)[0]:
            try:
                block = os.read(leader, 4096)
            except OSError:
                break
            if not block:
                break
            text += block
        p.wait()
        os.close(leader)
        return text.decode()

    def test_bar(self):
        text = self.on_terminal(120)
        bars = [b for b in text.split("\r") if "samples/s" in b and "left" in b]
        self.assertGreater(len(bars), 2)
        self.assertRegex(bars[-1], r"\x1b\[32m#+\x1b\[2m\.+\x1b\[0m epoch \d/6, step \d+/60, loss 0\.\d+, "
                                   r"[\d.]+k? samples/s, \d+:\d\d left, valid.loss 0\.\d+, valid.acc 0\.\d+")
        self.assertRegex(text, r"\r\x1b\[Kstep \d+, epoch \d: valid loss 0\.\d+, acc 0\.\d+ \(best\)\r\n$")
        for bar in bars:
            self.assertLess(len(re.sub(r"\x1b\[\d*[mK]", "", bar.split("\n")[0])), 120)

    def test_styles(self):
        self.assertNotIn("\x1b[32m", self.on_terminal(120, NO_COLOR="1"))
        self.assertIn("\u2501", self.on_terminal(120, LANG="C.UTF-8"))
        self.assertNotIn("\x1b", self.on_terminal(120, TERM="dumb"))
        narrow = self.on_terminal(30)
        for bar in narrow.split("\r"):
            self.assertLess(len(re.sub(r"\x1b\[\d*[mK]", "", bar.split("\n")[0])), 61)

    def test_lines_elsewhere(self):
        start = time.monotonic()
        p = subprocess.Popen([TOOL, "logs", "0", "1100", "10000"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             text=True)
        for line in p.stdout:
            if "left" in line:
                break
        took = time.monotonic() - start
        p.kill()
        p.wait()
        p.stdout.close()
        p.stderr.close()
        self.assertRegex(line, r"^epoch \d+/110, step \d+/1100, loss 0\.00\d+, [\d.]+k? samples/s, "
                               r"\d+:\d\d left, valid.loss 0\.\d+, valid.acc 0\.9\d+\n$")
        self.assertTrue(9.9 < took < 60, took)


class Metrics(FolderTest):
    def start(self):
        port = free_port()
        p = subprocess.Popen([TOOL, "logs", "0", "100000", "1000", f"port={port}", "quiet"], stderr=subprocess.DEVNULL)
        self.addCleanup(p.wait)
        self.addCleanup(p.kill)
        for _ in range(1500):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return port
            except OSError:
                time.sleep(0.02)
        raise AssertionError("nothing listens")

    def ask(self, port, request, limit=5):
        with socket.create_connection(("127.0.0.1", port), limit) as s:
            answer = b""
            try:
                s.sendall(request)
                while block := s.recv(65536):
                    answer += block
            except ConnectionError:
                pass
            return answer.decode()

    def scrape(self, port, limit=5):
        head, body = self.ask(port, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", limit).split("\r\n\r\n")
        self.assertTrue(head.startswith("HTTP/1.1 200 OK\r\n"))
        self.assertIn(f"Content-Length: {len(body)}\r\n", head)
        return body

    def test_text(self):
        port = self.start()
        while "NaN" in re.search(r"^tenon_train_measure.*valid.*acc.*$", self.scrape(port), re.M).group(0):
            time.sleep(0.02)
        body = self.scrape(port)
        values = dict(re.findall(r"^(\w+(?:\{[^}]*\})?) (\S+)$", body, re.M))
        step = int(values["tenon_train_step"])
        self.assertGreater(step, 5)
        self.assertAlmostEqual(float(values["tenon_train_loss"]), 1 / step, 6)
        self.assertEqual(values['tenon_train_measure{split="test",name="acc"}'], "NaN")
        self.assertGreater(float(values['tenon_train_measure{split="valid",name="acc"}']), 0.7)
        self.assertEqual(body.count("# TYPE tenon_train_measure gauge"), 1)
        for line in body.splitlines():
            self.assertRegex(line, r'^(# (HELP|TYPE) tenon_\w+ .+|tenon_\w+(\{\w+="[^"]*"(,\w+="[^"]*")*\})? \S+)$')
        self.assertLess(abs(float(values["tenon_train_time"]) - time.time()), 60)  # to the second at least
        for _ in range(600):
            if int(re.search(r"^tenon_train_step (\d+)$", self.scrape(port), re.M).group(1)) > step:
                return
            time.sleep(0.1)
        self.fail("it tells the same step for a minute")

    def test_others(self):
        port = self.start()
        for request, code in ((b"GET / HTTP/1.1\r\n\r\n", 404), (b"POST /metrics HTTP/1.1\r\n\r\n", 405),
                              (b"GET /metricsx HTTP/1.0\r\n\r\n", 404), (b"GET /metrics\r\n\r\n", 400),
                              (b"\r\n\r\n", 405), (b"GET /metrics?x=1 HTTP/1.1\n\n", 200)):
            self.assertTrue(self.ask(port, request).startswith(f"HTTP/1.1 {code} "), request)
        self.assertTrue(self.ask(port, b"HEAD /metrics HTTP/1.1\r\n\r\n").endswith("\r\n\r\n"))

    def test_hostile(self):
        port, rng = self.start(), random.Random(5)
        for i in range(100):
            noise = bytes(rng.randrange(256) for _ in range(rng.randrange(1, 9000)))
            with socket.create_connection(("127.0.0.1", port), 5) as s:
                s.sendall(noise if i % 2 else b"GET /" + b"a" * (41 * i))
                if i % 3 == 0:  # gone without a word, and without a close
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        slow = [socket.create_connection(("127.0.0.1", port), 5) for _ in range(3)]
        slow[0].sendall(b"GET /metr")
        start = time.monotonic()
        self.assertIn("tenon_train_step", self.scrape(port, 60))
        self.assertLess(time.monotonic() - start, 40)  # each of those before had two seconds
        for s in slow:
            s.close()

    def test_port_taken(self):
        port = self.start()
        r = run("logs", 0, 1, 0, f"port={port}", check=False)
        self.assertEqual(r.returncode, 1)
        self.assertIn(f"cannot tell metrics on port {port} of this machine: Address already in use", r.stderr)


class Plot(FolderTest):
    def test_text(self):
        run("logs", 0, 200, 0, f"json={self.path('a.jsonl')}", f"csv={self.path('a.csv')}")
        env = {k: v for k, v in os.environ.items() if not k.startswith(("LC_", "LANG"))}
        drawn = [run("plot", self.path(n), env=env).stdout for n in ("a.jsonl", "a.csv")]
        self.assertEqual(drawn[0], drawn[1])
        self.assertTrue(drawn[0].isascii())
        charts = drawn[0].split("\n\n")
        loss = next(c for c in charts if c.startswith("loss: * step (0.005) o train (0.00625) x valid (0.0075)"))
        lines = loss.split("\n")
        self.assertRegex(lines[1], r"^ +0\.\d+ \|x")  # the curve falls: it begins at the top,
        self.assertRegex(lines[-2], r"^ +0\.005 \| {20,}.*[*ox]$")  # and ends at the bottom
        self.assertRegex(lines[-1], r"^ +5 +200$")
        self.assertIn("\u28c0", run("plot", self.path("a.csv"), env=env | {"LANG": "C.UTF-8"}).stdout)

    def test_bad_logs(self):
        for text, what in (("", "has no numbers"), ('{"step":1,"loss":2}\n{"step":2,"loss"\n', ":2: expected ':'"),
                           ("step,loss\n1,2\n2,x\n", ":3: a cell that is no number"),
                           ("step,loss\n1\n", ":2: a row of another number of cells"), ("\0\0\n", "has no numbers")):
            with open(self.path("log"), "w") as f:
                f.write(text)
            r = run("plot", self.path("log"), check=False)
            self.assertEqual(r.returncode, 1)
            self.assertIn(what, r.stderr)

    def test_png(self):
        png = self.path("it's.png")
        run("logs", 0, 200, 0, f"json={self.path('a.jsonl')}")
        r = run("plot", self.path("a.jsonl"), png, check=False)
        if "gnuplot is not installed" in r.stderr:
            self.skipTest(r.stderr)
        self.assertEqual(r.returncode, 0, r.stderr)
        with open(png, "rb") as f:
            self.assertEqual(f.read(8), b"\x89PNG\r\n\x1a\n")
        r = run("plot", self.path("a.jsonl"), self.path("no/such.png"), check=False)
        self.assertIn("gnuplot cannot write it", r.stderr)
        r = run("plot", self.path("a.jsonl"), png, check=False, env=dict(os.environ, PATH="/nowhere"))
        self.assertIn("gnuplot is not installed", r.stderr)


class Signals(unittest.TestCase):
    def test_second_interrupt_ends(self):
        p = subprocess.Popen([TOOL, "logs", "0", "100000", "1000"], stdout=subprocess.PIPE)
        p.stdout.readline()
        p.stdout.close()
        p.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        p.send_signal(signal.SIGINT)
        time.sleep(0.5)
        self.assertIsNone(p.poll())
        p.send_signal(signal.SIGINT)
        self.assertEqual(p.wait(30), -signal.SIGINT)


if __name__ == "__main__":
    unittest.main()
