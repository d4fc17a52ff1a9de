"""Statistics of what a model computes: standardize behind functions, behind another one, behind frozen weights; beside
numpy.

usage: test_fits.py BUILD
"""
import os
import subprocess
import tempfile

import numpy as np

from common import BUILD, Count, save_tensors

TENON = os.path.abspath(os.path.join(BUILD, "bin", "tenon"))
TRAIN = """
train M on d { loss = mse(out, y), optimizer = sgd(lr: 1e-3), batch = 32, epochs = 2, seed = 3 %s }
"""


def make(home, model, settings=""):
    """The training split of 400 of 500 rows, and the weights after a training."""
    r = np.random.default_rng(5)
    x = np.exp(r.normal(size=(500, 3)) * [1, 0.1, 2]).astype(np.float32)
    np.savez(os.path.join(home, "train.npz"), x=x[:400], y=x[:400, :1])
    np.savez(os.path.join(home, "test.npz"), x=x[400:], y=x[400:, :1])
    with open(os.path.join(home, "m.tn"), "w") as file:
        file.write('data d = npz("train.npz", test: "test.npz")\n' + model + TRAIN % settings)
    command(home, TENON, "m.tn", "-o", "m")
    return x[:400].astype(np.float64), x[400:]


def command(home, *words, wants=0):
    done = subprocess.run(words, cwd=home, capture_output=True, text=True, timeout=120)
    if done.returncode != wants:
        raise RuntimeError("%s: %d %s" % (" ".join(words), done.returncode, done.stderr))
    return done.stdout + done.stderr


def trained(home, *words):
    command(home, "./m", "train", *words)
    command(home, "./m", "export", "--npz=w.npz")
    with np.load(os.path.join(home, "w.npz")) as file:
        return {name: file[name] for name in file.files}


def wrong(weights, name, values, bound=2e-6):
    """Mean and mean squared difference over the first axis."""
    for part, wanted in ((".mean", values.mean(0)), (".var", values.var(0))):
        found = weights[name + part]
        if found.shape != wanted.shape or np.abs(found - wanted).max() > bound * max(1, np.abs(wanted).max()):
            return "%s: %s, wanted %s" % (name + part, found, wanted)
    return None


def standard(values):
    return (values - values.mean(0)) / values.std(0)


CHAINS = """model M(x: f32[B, 3]) -> f32[B, 1] {
  let u = standardize(log(x))
  let v = standardize(concat(u * u, x |> standardize |> clamp(-1, 1)))
  return concat(u, v) |> linear(1)
}
"""


def test_chains(home):
    """Behind functions, of several operands, and behind another that is fitted first; the same in a deployed model."""
    x, rest = make(home, CHAINS)
    weights = trained(home)
    u = standard(np.log(x))
    both = np.concatenate([u * u, np.clip(standard(x), -1, 1)], 1)
    problem = wrong(weights, "standardize", np.log(x)) or wrong(weights, "standardize_1", x) or \
        wrong(weights, "standardize_2", both)
    np.save(os.path.join(home, "x.npy"), rest)
    np.savez(os.path.join(home, "rest.npz"), x=rest)
    command(home, "./m", "run", "--data=rest.npz", "--output=ours.npy")
    command(home, TENON, "m.tn", "--weights=w.npz", "-o", "deployed")
    command(home, "./deployed", "run", "--input", "x=x.npy", "--output-dir", "out")
    ours = np.load(os.path.join(home, "ours.npy"))
    deployed = np.load(os.path.join(home, "out", os.listdir(os.path.join(home, "out"))[0]))
    return problem or (None if np.allclose(ours, deployed, rtol=1e-6, atol=1e-6) else "run and deployed model differ")


def test_frozen(home):
    """Behind weights that stay, which are given when the training begins."""
    x, _ = make(home, "model M(x: f32[B, 3]) -> f32[B, 1] =\n"
                "  x |> linear(4) |> dropout(0.5) |> standardize |> linear(1)\n", '; freeze "linear.*"')
    r = np.random.default_rng(1)
    w = {"linear.weight": r.normal(size=(4, 3)), "linear.bias": r.normal(size=4),
         "linear_1.weight": r.normal(size=(1, 4)), "linear_1.bias": np.zeros(1)}
    save_tensors(os.path.join(home, "w.safetensors"), w)
    given = {name: values.astype(np.float32).astype(np.float64) for name, values in w.items()}
    weights = trained(home, "--weights=w.safetensors")
    return wrong(weights, "standardize", x @ given["linear.weight"].T + given["linear.bias"], 1e-5)


def test_resumed(home):
    """What was fitted stays what it was, whatever the data are when a training goes on."""
    make(home, CHAINS)
    first = trained(home)
    x = np.ones((400, 3), np.float32)
    np.savez(os.path.join(home, "train.npz"), x=x, y=x[:, :1])
    again = trained(home, "--resume", "--epochs=3")
    names = [name for name in first if "standardize" in name]
    return None if len(names) == 6 and all(np.array_equal(first[n], again[n]) for n in names) else "fitted anew"


def test_not_finite(home):
    """A sample without a logarithm is named by the place of the function and not trained on."""
    make(home, "model M(x: f32[B, 3]) -> f32[B, 1] = x - 1 |> log |> standardize |> linear(1)\n")
    said = command(home, "./m", "train", wants=1)
    wanted = "m.tn:2: 'standardize.mean': what it is fitted on is not finite for every sample of the training split"
    return None if wanted in said else said


def main():
    count = Count()
    for name, test in sorted(globals().items()):
        if not name.startswith("test_"):
            continue
        with tempfile.TemporaryDirectory() as home:
            count.judge(name, test(home))
    count.finish()


if __name__ == "__main__":
    main()
