"""Operators of ai.onnx.ml on numbers."""
import numpy as np
from onnx import numpy_helper

from judge import Case, exact, linear
from number import TYPES, is_float
from rows import row

DOMAIN = "ai.onnx.ml"


@row("Binarizer", domain=DOMAIN, exact_reference=True)
def make_binarizer(g):
    dtype, threshold = g.pick("f32", "f64", "i32", "i64"), g.pick(0.0, 0.5, -2.0)
    threshold = threshold if is_float(dtype) else float(int(threshold))
    shape = g.shape(g.rank(1, 3))
    x = g.floats(shape, dtype, special=0.2) if is_float(dtype) else g.ints(shape, dtype)
    return Case("Binarizer", [x], [exact((x > threshold).astype(x.dtype))], {"threshold": threshold})


@row("ArrayFeatureExtractor", domain=DOMAIN)
def make_array_feature_extractor(g):
    dtype, shape = g.pick("f32", "f64", "i32", "i64"), g.shape(g.rank(1, 3), lo=1)
    x, at = g.data(shape, dtype), g.positions([1, g.extent(1, 5)], shape[-1], negative=False)
    y = np.take(x, at[0], -1)
    return Case("ArrayFeatureExtractor", [x, at], [exact(y if x.ndim > 1 else y[None])])


@row("LabelEncoder", domain=DOMAIN, exact_reference=True)
def make_label_encoder(g):
    key, value, n = g.pick("i64", "f32"), g.pick("i64", "f32"), g.int(1, 6)
    names, kinds = {"i64": "int64s", "f32": "floats"}, {"i64": int, "f32": float}
    keys = [kinds[key](k) for k in g.structure.permutation(9)[:n]]
    values = [kinds[value](v) for v in g.structure.integers(-9, 9, n)]
    if key == "f32" and g.chance(0.5):
        keys[0] = float("nan")
    x = g.contents.integers(0, 10, g.shape(g.rank(1, 3))).astype(TYPES[key])
    if key == "f32":
        x = np.where(g.contents.random(x.shape) < 0.2, np.float32(np.nan), x).astype(np.float32)
    other = kinds[value](g.int(-3, 3))
    table = {("nan" if k != k else k): v for k, v in zip(keys, values)}
    y = [table.get("nan" if v != v else v, other) for v in x.ravel().tolist()]
    default = {"i64": "default_int64", "f32": "default_float"}[value]
    return Case("LabelEncoder", [x], [exact(np.array(y, TYPES[value]).reshape(x.shape))],
                {f"keys_{names[key]}": keys, f"values_{names[value]}": values, default: other})


class Forest:
    """Random trees: `nodes` of (feature, mode, split or set, missing, true, false), a child being (is leaf, number)."""

    def __init__(self, g, n_features, n_targets):
        self.nodes, self.leaves = [], []
        self.modes, self.targets = (g.pick([0], [0, 1, 2, 3, 4, 5, 6]), n_targets)
        self.roots = [self.grow(g, n_features, 0) for _ in range(g.int(1, 4))]

    def child(self, g, n_features, level):
        if level < 4 and g.chance(0.6):
            return 0, self.grow(g, n_features, level)
        self.leaves.append((g.int(0, self.targets - 1), g.number(-2, 2)))
        return 1, len(self.leaves) - 1

    def grow(self, g, n_features, level):
        number, mode = len(self.nodes), g.pick(*self.modes)
        self.nodes.append(None)
        split = sorted({float(g.int(-3, 3)) for _ in range(g.int(1, 3))}) if mode == 6 else float(g.int(-3, 3))
        head = (g.int(0, n_features - 1), mode, split, g.int(0, 1))
        self.nodes[number] = head + tuple(self.child(g, n_features, level + 1) for _ in range(2))
        return number

    def leaf(self, number, x):
        feature, mode, split, missing, true, false = self.nodes[number]
        v = x[feature]
        holds = [v <= split, v < split, v >= split, v > split, v == split, v != split][mode] if mode < 6 else v in split
        is_leaf, to = true if holds or (missing and v != v) else false
        return to if is_leaf else self.leaf(to, x)

    def attributes(self, dtype):
        columns = list(zip(*self.nodes))
        members = [v for n in self.nodes if n[1] == 6 for v in [*n[2], np.nan]]

        def tensor(values, name, kind=TYPES[dtype]):
            return numpy_helper.from_array(np.array(values, kind), name)
        made = {"nodes_featureids": columns[0], "nodes_missing_value_tracks_true": columns[3],
                "nodes_truenodeids": [c[1] for c in columns[4]], "nodes_trueleafs": [c[0] for c in columns[4]],
                "nodes_falsenodeids": [c[1] for c in columns[5]], "nodes_falseleafs": [c[0] for c in columns[5]],
                "leaf_targetids": [t for t, _ in self.leaves], "tree_roots": self.roots}
        made = {k: [int(v) for v in values] for k, values in made.items()}
        made.update(nodes_modes=tensor(columns[1], "modes", np.uint8), n_targets=self.targets,
                    nodes_splits=tensor([0 if n[1] == 6 else n[2] for n in self.nodes], "splits"),
                    leaf_weights=tensor([w for _, w in self.leaves], "weights"))
        if members:
            made["membership_values"] = tensor(members, "members")
        return made


@row("TreeEnsemble", domain=DOMAIN)
def make_tree_ensemble(g):
    dtype, f, targets = g.pick("f32", "f64"), g.int(1, 4), g.int(1, 3)
    forest, aggregate, transform = Forest(g, f, targets), g.int(0, 3), g.pick(0, 0, 1, 2)
    x = g.contents.integers(-4, 5, [g.extent(1, 9), f]).astype(TYPES[dtype])
    x = np.where(g.contents.random(x.shape) < 0.1, np.nan, x).astype(TYPES[dtype])
    y, m = (np.zeros([len(x), targets]) for _ in range(2))
    for i, features in enumerate(x):
        found = [[] for _ in range(targets)]
        for root in forest.roots:
            target, weight = forest.leaves[forest.leaf(root, features.tolist())]
            found[target].append(weight)
        fold = [lambda w: sum(w) / len(forest.roots), sum, lambda w: min(w, default=0), lambda w: max(w, default=0)]
        y[i] = [fold[aggregate](w) for w in found]
        m[i] = [sum(map(abs, w)) + 1 for w in found]
    if transform == 1:
        e = np.exp(y - y.max(1, keepdims=True))
        y = e / e.sum(1, keepdims=True)
    if transform == 2:
        y = 1 / (1 + np.exp(-y))
    attributes = {**forest.attributes(dtype), "aggregate_function": aggregate, "post_transform": transform}
    return Case("TreeEnsemble", [x], [linear(y, dtype, len(forest.roots) + 8, m * 4)], attributes)


def features(g, *types):
    """Rows of features, small enough for sums to be exact to the last places; the numbers of one list a feature."""
    dtype, n, f = g.pick(*types), g.extent(1, 9), g.int(1, 12)
    x = g.floats([n, f], dtype) if is_float(dtype) else g.ints([n, f], dtype, -50, 50)
    return x, f, lambda count: [float(np.float32(v)) for v in g.contents.uniform(-2, 2, count)]


@row("Scaler", domain=DOMAIN)
def make_scaler(g):
    x, f, numbers = features(g, "f32", "f64", "i32", "i64")
    offset, scale = (numbers(g.pick(1, f)) for _ in range(2))
    y, m = (x - np.array(offset)) * np.array(scale), (np.abs(x) + np.abs(offset)) * np.abs(scale)
    return Case("Scaler", [x], [linear(y, "f32", 3, m)], {"offset": offset, "scale": scale})


@row("Imputer", domain=DOMAIN, exact_reference=True)
def make_imputer(g):
    x, f, numbers = features(g, "f32", "f64", "i32", "i64")
    if x.dtype.kind == "i":
        values = [int(v) for v in g.contents.integers(-100, 100, g.pick(1, f))]
        x = np.where(g.contents.random(x.shape) < 0.3, 7, x).astype(x.dtype)
        return Case("Imputer", [x], [exact(np.where(x == 7, np.array(values), x).astype(x.dtype))],
                    {"imputed_value_int64s": values, "replaced_value_int64": 7})
    values, nan = numbers(g.pick(1, f)), g.chance(0.5)
    x = np.where(g.contents.random(x.shape) < 0.3, np.nan if nan else 1.5, x).astype(x.dtype)
    y = np.where(np.isnan(x) if nan else x == 1.5, np.array(values), x)
    return Case("Imputer", [x], [exact(y.astype(x.dtype))],
                {"imputed_value_floats": values, "replaced_value_float": float("nan") if nan else 1.5})


@row("Normalizer", domain=DOMAIN)
def make_normalizer(g):
    x, f, _ = features(g, "f32", "f64", "i32", "i64")
    norm = g.pick("MAX", "L1", "L2")
    x[g.contents.random(len(x)) < 0.2] = 0
    w = x.astype(np.float32).astype(np.float64)
    whole = {"MAX": w.max(1), "L1": np.abs(w).sum(1), "L2": np.sqrt((w * w).sum(1))}[norm][:, None]
    y = w / np.where(whole == 0, 1, whole)
    return Case("Normalizer", [x], [linear(y, "f32", f + 4, np.abs(y))], {"norm": norm})


def scores(g, x, f, rows, numbers):
    """Coefficients, intercepts, the scores of rows and their magnitudes."""
    w, b = np.reshape(numbers(rows * f), [rows, f]), np.array(numbers(rows))
    x = x.astype(np.float32).astype(np.float64)
    return w.ravel().tolist(), b.tolist(), x @ w.T + b, np.abs(x) @ np.abs(w).T + np.abs(b)


@row("LinearRegressor", domain=DOMAIN)
def make_linear_regressor(g):
    x, f, numbers = features(g, "f32", "f64", "i32", "i64")
    targets = g.int(1, 4)
    w, b, y, m = scores(g, x, f, targets, numbers)
    return Case("LinearRegressor", [x], [linear(y, "f32", f + 1, m)],
                {"coefficients": w, "intercepts": b, "targets": targets})


@row("LinearClassifier", domain=DOMAIN)
def make_linear_classifier(g):
    x, f, numbers = features(g, "f32", "f64", "i32", "i64")
    n, transform = g.int(2, 5), g.pick("NONE", "LOGISTIC", "SOFTMAX")
    w, b, y, m = scores(g, x, f, n, numbers)
    labels = [int(v) for v in g.structure.permutation(20)[:n] - 5]
    want = np.array(labels)[y.argmax(1)]
    ranked = np.sort(y, 1)
    near = ranked[:, -1] - ranked[:, -2] < 1e-3
    if transform == "LOGISTIC":
        y = 1 / (1 + np.exp(-y))
    if transform == "SOFTMAX":
        e = np.exp(y - y.max(1, keepdims=True))
        y = e / e.sum(1, keepdims=True)
    return Case("LinearClassifier", [x], [exact(want, "i64", free=near), linear(y, "f32", f + 8, 4 * m + 1)],
                {"classlabels_ints": labels, "coefficients": w, "intercepts": b, "post_transform": transform})
