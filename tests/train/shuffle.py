"""The order of samples that runtime/train/random.c chooses, once more."""
import numpy as np

MASK = (1 << 64) - 1


def mix(x):
    x = (x + 0x9e3779b97f4a7c15) & MASK
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9 & MASK
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb & MASK
    return x ^ (x >> 31)


def philox(key, counter):
    c = [counter & 0xffffffff, counter >> 32, 0, 0]
    k0, k1 = key & 0xffffffff, key >> 32
    for _ in range(10):
        p, q = 0xd2511f53 * c[0], 0xcd9e8d57 * c[2]
        c = [(q >> 32) ^ c[1] ^ k0, q & 0xffffffff, (p >> 32) ^ c[3] ^ k1, p & 0xffffffff]
        k0, k1 = (k0 + 0x9e3779b9) & 0xffffffff, (k1 + 0xbb67ae85) & 0xffffffff
    return c[1] << 32 | c[0]


def order(seed, stream, number, n):
    """The permutation of 0 .. n - 1 that runtime/train/random.c gives."""
    key = mix(seed ^ mix(number ^ (stream + 1) << 56))
    keys = [philox(key, i) for i in range(4)]
    bits = max(2, (n - 1).bit_length())
    out = []
    for i in range(n):
        x = i
        while True:
            low, high = bits // 2, bits - bits // 2
            for r in range(8):
                lower, upper = x & ((1 << low) - 1), x >> low
                upper ^= mix(lower ^ keys[r % 4] ^ r << 48) >> (64 - high)
                x = lower << high | upper
                low, high = high, low
            if x < n:
                break
        out.append(x)
    return np.array(out)
