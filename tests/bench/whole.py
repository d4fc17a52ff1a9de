"""Whole processes that train on breast_cancer.csv: ours, PyTorch's and scikit-learn's."""
import importlib.util
import os
import subprocess
import sys

READ = """import csv, numpy as np
rows = list(csv.reader(open("breast_cancer.csv")))
target = rows[0].index("benign")
all = np.array(rows[1:], np.float32)
y, x = all[:, target], np.delete(all, target, 1)
order = np.random.default_rng(1).permutation(len(x))
parts = np.split(order, [int(0.7 * len(x)), int(0.85 * len(x))])
mean, std = x[parts[0]].mean(0), x[parts[0]].std(0)
x = (x - mean) / std
"""
WHOLE = {"torch": READ + """import torch
from torch import nn
torch.set_num_threads(THREADS)
(x, y), batch = (torch.from_numpy(a) for a in (x, y)), 32
train, valid, test = (torch.from_numpy(part) for part in parts)
net = nn.Sequential(nn.Linear(30, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
optimizer, loss = torch.optim.Adam(net.parameters(), lr=1e-3, fused=True), nn.BCEWithLogitsLoss()
for epoch in range(50):
    for rows in train[torch.randperm(len(train))].split(batch):
        optimizer.zero_grad()
        loss(net(x[rows])[:, 0], y[rows]).backward()
        optimizer.step()
    with torch.no_grad():
        loss(net(x[valid])[:, 0], y[valid]).item()
right = ((net(x[test])[:, 0] > 0).float() == y[test]).float().mean().item()
""", "sklearn": READ + """import warnings
from sklearn.neural_network import MLPClassifier
warnings.simplefilter("ignore")
train, valid, test = parts
net = MLPClassifier((64, 64), alpha=0, batch_size=32, learning_rate_init=1e-3, max_iter=50, tol=0, n_iter_no_change=50)
right = net.fit(x[train], y[train]).score(x[test], y[test])
"""}
END = "assert right >= 0.93, right\n"


def whole_commands(tenon, folder, threads):
    here = os.path.dirname(os.path.abspath(__file__))
    subprocess.run([sys.executable, os.path.join(here, "..", "train", "datasets.py"), folder], check=True,
                   capture_output=True)
    with open(os.path.join(here, "..", "..", "examples", "breast_cancer.tn")) as text:
        lines = [line for line in text if "stop when" not in line]
    with open(os.path.join(folder, "cancer.tn"), "w") as out:
        out.writelines(lines)
    subprocess.run([tenon, "cancer.tn", "-o", "cancer"], cwd=folder, check=True)
    commands = {"ours": ["./cancer", "train", "--threads", str(threads)]}
    for peer, package in (("torch", "torch"), ("sklearn", "sklearn")):
        if importlib.util.find_spec(package) is None:
            print(f"{peer} is left out: there is no package {package}", file=sys.stderr)
            continue
        with open(os.path.join(folder, f"with_{peer}.py"), "w") as out:
            out.write(WHOLE[peer].replace("THREADS", str(threads)) + END)
        commands[peer] = [sys.executable, f"with_{peer}.py"]
    return commands
