"""What tests of several processes share: the mpirun of each family, and the newest checkpoint."""
import json
import os
import shutil
import struct
import subprocess

from common import BUILD

TENON = os.path.join(BUILD, "bin", "tenon")
PLUGINS = os.path.join(BUILD, "lib", "tenon")
FLAGS = {"openmpi": ["--allow-run-as-root", "--oversubscribe", "--mca", "btl", "self,vader"], "mpich": []}
CLEAN = {key: value for key, value in os.environ.items() if not key.startswith(("OMPI_", "PMI_", "PMIX_", "TENON_MPI"))}


def families(count):
    """Those whose mpirun and plug-in are there; the others count as skipped."""
    for family in FLAGS:
        if shutil.which(f"mpirun.{family}") and os.path.exists(f"{PLUGINS}/tenon_mpi_{family}.so"):
            yield family
        else:
            print(f"skipped: {family} is not installed")
            count.skipped += 1


def start(folder, words, family=None, n=1):
    launcher = [f"mpirun.{family}", *FLAGS[family], "-n", str(n)] if family else []
    return subprocess.Popen(launcher + words, cwd=folder, env={**CLEAN, "TENON_MPI_DIR": PLUGINS},
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run(folder, words, family=None, n=1):
    process = start(folder, words, family, n)
    out, err = process.communicate(timeout=240)
    return process.returncode, out, err


def read_tensors(path):
    """{name: (type, bytes)} of a safetensors file."""
    with open(path, "rb") as file:
        data = file.read()
    begin = 8 + struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:begin])
    return {name: (entry["dtype"], data[begin + entry["data_offsets"][0]:begin + entry["data_offsets"][1]])
            for name, entry in header.items() if name != "__metadata__"}


def newest(folder, checkpoints):
    """The tensors of the newest checkpoint, states and all."""
    with open(os.path.join(folder, checkpoints, "LATEST"), encoding="ascii") as file:
        return read_tensors(os.path.join(folder, checkpoints, file.read().strip()))
