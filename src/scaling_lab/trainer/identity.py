"""What names a server: everything that a run would take over from it and not from the command that asks for it.

Two commands share a server only when interpreter, packages, code, native-library settings, limits and place in the
system are the same, so that a run is trained exactly as in a process of its own. Edit the code: another name, and a
new server.
"""

import hashlib
import json
import os
import resource
import sys
from pathlib import Path

import scaling_lab
from scaling_lab.files import digest_of

# Variables that are read when Python or a native library is loaded: later is too late.
READ_AT_LOAD = (
    "ATEN_", "BLIS_", "CUDA_", "DNNL_", "GLIBC_", "GOMP_", "KMP_", "LD_", "MALLOC_", "MKL_", "NCCL_", "NVIDIA_", "OMP_",
    "ONEDNN_", "OPENBLAS_", "PYTHON", "PYTORCH_", "TORCH",
)  # fmt: skip


def code_digest() -> str:
    """Sixteen hexadecimal digits of every module of the package, and of where it lies."""
    root = Path(scaling_lab.__file__).parent
    return digest_of(root.rglob("*.py"), Path(root.anchor))


def surroundings_digest() -> str:
    """Eight hexadecimal digits of what else a child would inherit from the server."""
    content = [
        (sys.executable, sys.version, sorted(_installed())),
        {k: v for k, v in sorted(os.environ.items()) if k.startswith(READ_AT_LOAD)},
        [resource.getrlimit(limit) for limit in _limits()],
        (os.getuid(), os.getgid(), os.nice(0), sorted(os.sched_getaffinity(0))),
        {name: str(Path(f"/proc/self/ns/{name}").readlink()) for name in ("mnt", "net", "pid", "user")},
        (Path("/proc/self/cgroup").read_text(encoding="utf-8"), os.environ.get("SLURM_JOB_ID")),
    ]
    return hashlib.blake2b(json.dumps(content).encode(), digest_size=4).hexdigest()


def _installed() -> set[str]:
    """Names of the metadata folders of all packages: they hold the versions."""
    folders = [Path(path) for path in sys.path if Path(path).is_absolute() and Path(path).is_dir()]
    return {path.name for folder in folders for path in folder.iterdir() if path.suffix in (".dist-info", ".egg-info")}


def _limits() -> list[int]:
    return sorted(getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_"))
