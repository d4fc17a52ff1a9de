"""Networks that look at pictures, as published (ResNet, MobileNet, EfficientNet, U-Net, a detector of YOLO's kind)."""
import numpy as np
from builder import Graph


def picture(*shape):
    return lambda rng: {"x": rng.standard_normal(shape, np.float32)}


def _start(name, opset=17):
    g = Graph(name, opset=opset)
    return g, g.input("x", ["B", 3, "H", "W"])


def _scaled(channels, width, to=8):
    return max(to, int(channels * width + to / 2) // to * to)


def resnet(depth, width=1.0, classes=1000):
    """He et al. 2015: 18 with basic blocks, 50 with bottlenecks."""
    g, x = _start(f"resnet{depth}")
    basic = depth == 18
    base = _scaled(64, width)
    y = g.MaxPool(g.conv(x, 3, base, 7, 2), kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    cin = base
    for stage, blocks in enumerate([2, 2, 2, 2] if basic else [3, 4, 6, 3]):
        mid = base << stage
        cout = mid if basic else 4 * mid
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            if basic:
                z = g.conv(g.conv(y, cin, mid, 3, stride), mid, cout, 3, act=None)
            else:
                z = g.conv(g.conv(g.conv(y, cin, mid, 1), mid, mid, 3, stride), mid, cout, 1, act=None)
            short = y if cin == cout and stride == 1 else g.conv(y, cin, cout, 1, stride, act=None)
            y, cin = g.Relu(g.Add(z, short)), cout
    g.pool_to_classes(y, cin, classes)
    return g.model()


def mobilenet_v2(width=1.0, classes=1000):
    """Sandler et al. 2018."""
    g, x = _start("mobilenet_v2", 13)
    cin = _scaled(32, width)
    y = g.conv(x, 3, cin, 3, 2, act="relu6")
    for expand, channels, n, stride in ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1),
                                        (6, 160, 3, 2), (6, 320, 1, 1)):
        cout = _scaled(channels, width)
        for i in range(n):
            step, mid = stride if i == 0 else 1, cin * expand
            z = g.conv(y, cin, mid, 1, act="relu6") if expand > 1 else y
            z = g.conv(g.conv(z, mid, mid, 3, step, mid, "relu6"), mid, cout, 1, act=None)
            y, cin = g.Add(y, z) if step == 1 and cin == cout else z, cout
    last = _scaled(1280, max(width, 1.0 if width >= 1 else width))
    g.pool_to_classes(g.conv(y, cin, last, 1, act="relu6"), last, classes)
    return g.model()


def _squeeze_excite(g, x, channels, mid, act, gate):
    s = g.GlobalAveragePool(x)
    s = g.conv(g.conv(s, channels, mid, 1, norm=False, act=act), mid, channels, 1, norm=False, act=gate)
    return g.Mul(x, s)


def mobilenet_v3(width=1.0, classes=1000):
    """Howard et al. 2019, the large one."""
    rows = ((3, 16, 16, 0, 0, 1), (3, 64, 24, 0, 0, 2), (3, 72, 24, 0, 0, 1), (5, 72, 40, 1, 0, 2),
            (5, 120, 40, 1, 0, 1), (5, 120, 40, 1, 0, 1), (3, 240, 80, 0, 1, 2), (3, 200, 80, 0, 1, 1),
            (3, 184, 80, 0, 1, 1), (3, 184, 80, 0, 1, 1), (3, 480, 112, 1, 1, 1), (3, 672, 112, 1, 1, 1),
            (5, 672, 160, 1, 1, 2), (5, 960, 160, 1, 1, 1), (5, 960, 160, 1, 1, 1))
    g, x = _start("mobilenet_v3", 14)
    cin = _scaled(16, width)
    y = g.conv(x, 3, cin, 3, 2, act="HardSwish")
    for k, expanded, channels, has_se, is_hard, stride in rows:
        mid, cout, act = _scaled(expanded, width), _scaled(channels, width), "HardSwish" if is_hard else "Relu"
        z = g.conv(y, cin, mid, 1, act=act) if mid != cin else y
        z = g.conv(z, mid, mid, k, stride, mid, act)
        z = _squeeze_excite(g, z, mid, _scaled(mid / 4, 1), "Relu", "HardSigmoid") if has_se else z
        z = g.conv(z, mid, cout, 1, act=None)
        y, cin = g.Add(y, z) if stride == 1 and cin == cout else z, cout
    mid, last = _scaled(960, width), _scaled(1280, width)
    y = g.Flatten(g.GlobalAveragePool(g.conv(y, cin, mid, 1, act="HardSwish")), axis=1)
    g.output("logits", g.gemm(g.HardSwish(g.gemm(y, mid, last)), last, classes), ["B", classes])
    return g.model()


def efficientnet_b0(width=1.0, classes=1000):
    """Tan and Le 2019."""
    g, x = _start("efficientnet_b0")
    cin = _scaled(32, width)
    y = g.conv(x, 3, cin, 3, 2, act="silu")
    for expand, k, stride, channels, n in ((1, 3, 1, 16, 1), (6, 3, 2, 24, 2), (6, 5, 2, 40, 2), (6, 3, 2, 80, 3),
                                           (6, 5, 1, 112, 3), (6, 5, 2, 192, 4), (6, 3, 1, 320, 1)):
        cout = _scaled(channels, width)
        for i in range(n):
            step, mid = stride if i == 0 else 1, cin * expand
            z = g.conv(y, cin, mid, 1, act="silu") if expand > 1 else y
            z = g.conv(z, mid, mid, k, step, mid, "silu")
            z = g.conv(_squeeze_excite(g, z, mid, max(1, cin // 4), "silu", "Sigmoid"), mid, cout, 1, act=None)
            y, cin = g.Add(y, z) if step == 1 and cin == cout else z, cout
    last = _scaled(1280, width)
    g.pool_to_classes(g.conv(y, cin, last, 1, act="silu"), last, classes)
    return g.model()


def unet(width=1.0, classes=2, depth=4):
    """Ronneberger et al. 2015 with borders kept; upwards by transposed convolutions."""
    g, x = _start("unet")
    base = _scaled(64, width)
    double = lambda x, cin, cout: g.conv(g.conv(x, cin, cout), cout, cout)
    y, skips = double(x, 3, base), []
    for level in range(depth):
        skips.append(y)
        y = double(g.MaxPool(y, kernel_shape=[2, 2], strides=[2, 2]), base << level, base << level + 1)
    for level in reversed(range(depth)):
        cout = base << level
        w = g.weight(2 * cout, cout, 2, 2, std=np.sqrt(1 / (2 * cout)))
        y = g.ConvTranspose(y, w, g.weight(cout, std=0.1), kernel_shape=[2, 2], strides=[2, 2])
        y = double(g.Concat(skips[level], y, axis=1), 2 * cout, cout)
    g.output("mask", g.conv(y, base, classes, 1, act=None, norm=False), ["B", classes, "H", "W"])
    return g.model()


# ---- a detector ----

def _csp(g, x, cin, cout, n, short=True):
    """Two halves of the channels; n residual blocks on one, all intermediate values joined."""
    half = cout // 2
    parts = list(g.Split(g.conv(x, cin, cout, 1, act="silu"), [half, half], axis=1, outputs=2))
    for _ in range(n):
        z = g.conv(g.conv(parts[-1], half, half, act="silu"), half, half, act="silu")
        parts.append(g.Add(parts[-1], z) if short else z)
    return g.conv(g.Concat(*parts, axis=1), half * (2 + n), cout, 1, act="silu")


def _double_size(g, x):
    return g.Resize(x, None, g.const(np.array([1, 1, 2, 2], np.float32)), mode="nearest",
                    coordinate_transformation_mode="asymmetric", nearest_mode="floor")


def _boxes_of(g, x, cin, classes, stride, bins):
    """Of one level [B, C, H, W]: corners [B, 4, H*W] in pixels and class scores [B, classes, H*W]. Distances of
    the sides are means of distributions over bins."""
    sides = g.conv(g.conv(x, cin, cin, act="silu"), cin, 4 * bins, 1, act=None, norm=False)
    scores = g.conv(g.conv(x, cin, cin, act="silu"), cin, classes, 1, act=None, norm=False)
    weights = np.arange(bins, dtype=np.float32).reshape(1, bins, 1, 1)
    sides = g.Softmax(g.Transpose(g.Reshape(sides, [0, 4, bins, -1]), perm=[0, 2, 1, 3]), axis=1)
    sides = g.Reshape(g.Conv(sides, g.const(weights)), [0, 4, -1])
    shape = g.Shape(x)
    h, w = g.Gather(shape, g.const(np.array(2)), axis=0), g.Gather(shape, g.const(np.array(3)), axis=0)
    zero, one = g.const(np.array(0)), g.const(np.array(1))
    grid = g.Concat(g.Unsqueeze(h, [0]), g.Unsqueeze(w, [0]), axis=0)
    ys = g.Expand(g.Unsqueeze(g.Cast(g.Range(zero, h, one), to=1), [1]), grid)
    xs = g.Expand(g.Unsqueeze(g.Cast(g.Range(zero, w, one), to=1), [0]), grid)
    centres = g.Add(g.Concat(*[g.Reshape(v, [1, 1, -1]) for v in (xs, ys)], axis=1), 0.5)
    before, after = g.Split(sides, [2, 2], axis=1, outputs=2)
    corners = g.Concat(g.Sub(centres, before), g.Add(centres, after), axis=1)
    return g.Mul(corners, float(stride)), g.Reshape(g.Sigmoid(scores), [0, classes, -1])


def frames(b, h, w, most, overlap, least):
    """Pictures for `detector`, and what its suppression keeps."""
    return lambda rng: {"x": rng.standard_normal((b, 3, h, w), np.float32), "most": np.array([most]),
                        "overlap": np.array([overlap], np.float32), "least": np.array([least], np.float32)}


def detector(width=0.5, classes=80, bins=16, blocks=(1, 2, 2, 1)):
    """A one-stage detector of YOLO's kind: three levels joined downwards and upwards; non-maximum suppression leaves at
    most `most` boxes of a class, which overlap by at most `overlap` and have scores above `least`."""
    g, x = _start("detector")
    c = [_scaled(n, width) for n in (32, 64, 128, 256, 512)]
    y = g.conv(x, 3, c[0], 3, 2, act="silu")
    levels = []
    for i in range(4):
        y = g.conv(y, c[i], c[i + 1], 3, 2, act="silu")
        y = _csp(g, y, c[i + 1], c[i + 1], blocks[i])
        levels.append(y)
    y = g.conv(y, c[4], c[4] // 2, 1, act="silu")
    pools = [y]
    for _ in range(3):
        pools.append(g.MaxPool(pools[-1], kernel_shape=[5, 5], strides=[1, 1], pads=[2, 2, 2, 2]))
    top = g.conv(g.Concat(*pools, axis=1), 2 * c[4], c[4], 1, act="silu")
    middle = _csp(g, g.Concat(_double_size(g, top), levels[2], axis=1), c[4] + c[3], c[3], 1, False)
    low = _csp(g, g.Concat(_double_size(g, middle), levels[1], axis=1), c[3] + c[2], c[2], 1, False)
    middle = _csp(g, g.Concat(g.conv(low, c[2], c[2], 3, 2, act="silu"), middle, axis=1), c[2] + c[3], c[3], 1, False)
    top = _csp(g, g.Concat(g.conv(middle, c[3], c[3], 3, 2, act="silu"), top, axis=1), c[3] + c[4], c[4], 1, False)
    found = [_boxes_of(g, v, n, classes, s, bins) for v, n, s in ((low, c[2], 8), (middle, c[3], 16), (top, c[4], 32))]
    boxes = g.Transpose(g.Concat(*[b for b, _ in found], axis=2), perm=[0, 2, 1])
    scores = g.Concat(*[s for _, s in found], axis=2)
    most, overlap, least = g.input("most", [1], 7), g.input("overlap", [1]), g.input("least", [1])
    chosen = g.NonMaxSuppression(boxes, scores, most, overlap, least)
    batch, klass, box = (g.Squeeze(column, [1]) for column in g.Split(chosen, [1, 1, 1], axis=1, outputs=3))
    places = g.Transpose(g.Concat(*[g.Unsqueeze(v, [0]) for v in (batch, box)], axis=0), perm=[1, 0])
    g.output("chosen", chosen, ["N", 3], 7)
    g.output("chosen_boxes", g.GatherND(boxes, places), ["N", 4])
    g.output("chosen_classes", klass, ["N"], 7)
    g.output("boxes", boxes, ["B", "A", 4])
    g.output("scores", scores, ["B", classes, "A"])
    return g.model()
