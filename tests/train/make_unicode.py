"""Makes runtime/train/unicode.inc: kinds of characters, small letters, letters without their accents, out of Python's
unicodedata.
usage: make_unicode.py >runtime/train/unicode.inc"""
import sys
import unicodedata

KINDS = {"L": "L", "N": "N", "P": "P", "Mn": "M", "Cc": "C", "Cf": "C", "Co": "C"}
BLANKS = [9, 10, 11, 12, 13, 32, 0x85, 0xa0, 0x1680, *range(0x2000, 0x200b), 0x2028, 0x2029, 0x202f, 0x205f, 0x3000]


def kind_of(code):
    category = unicodedata.category(chr(code))
    return "B" if code in BLANKS else KINDS.get(category) or KINDS.get(category[0])


def base_of(code):
    parts = [c for c in unicodedata.normalize("NFD", chr(code)) if unicodedata.category(c) != "Mn"]
    is_plain = 0xac00 <= code <= 0xd7a3 or len(parts) != 1 or ord(parts[0]) > 0xffff
    return code if is_plain else ord(parts[0])


def small_ranges():
    """(first, last, step, what is added) of capitals with one small letter."""
    out = []
    for code in range(0x80, 0x110000):
        small = chr(code).lower()
        away = ord(small) - code if len(small) == 1 else 0
        if not away:
            continue
        first, last, step, added = out[-1] if out else (0, 0, 0, 0)
        if away == added and code - last in ((1, 2) if step == 0 else (step,)):
            out[-1] = (first, code, code - last, added)
        else:
            out.append((code, code, 0, away))
    return [(first, last, step or 1, added) for first, last, step, added in out]


def rows(items):
    line = ""
    for item in items:
        if len(line) + len(item) > 118:
            yield line.rstrip()
            line = ""
        line += item + " "
    yield line.rstrip()


def tables():
    ranges, bases = [], []
    for code in range(0x80, 0x110000):
        kind = kind_of(code)
        if ranges and ranges[-1][1:] == (code - 1, kind):
            ranges[-1] = (ranges[-1][0], code, kind)
        elif kind:
            ranges.append((code, code, kind))
        if code < 0x10000 and not 0xd800 <= code < 0xe000 and base_of(code) != code:
            bases.append((code, base_of(code)))
    yield "/* Made by tests/train/make_unicode.py of Unicode %s. */" % unicodedata.unidata_version
    yield from rows("K(0x%x,0x%x,%s)" % row for row in ranges)
    yield from rows("S(0x%x,0x%x,%d,%d)" % row for row in small_ranges())
    yield from rows("A(0x%x,0x%x)" % row for row in bases)
    yield ""


if __name__ == "__main__":
    sys.stdout.write("\n".join(tables()))
