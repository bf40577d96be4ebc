"""The process that a run lives in: set up before Keras loads, described when the run is recorded."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import importlib.metadata
import os
import platform
import re
import resource
import subprocess
import sys
import time
from pathlib import Path

from bertglue.backend import choose_backend
from bertglue.errors import InputError
from bertglue.parameters import Parameters
from bertglue.quiet_tensorflow import silence_stderr

PROCESS_STARTED = time.perf_counter()
# glibc's malloc.h: M_MMAP_THRESHOLD at its maximum, M_TRIM_THRESHOLD, M_TOP_PAD [bytes]
MALLOPT_SETTINGS = {-3: 2**25, -1: 2**31 - 1, -2: 2**26}
THREADS_VARIABLE = "TF_NUM_INTRAOP_THREADS"  # which TensorFlow reads
MALLOC_VARIABLE, HUGE_PAGES = "GLIBC_TUNABLES", "glibc.malloc.hugetlb=1"
RECORDED_PACKAGES = ("keras", "tensorflow", "tensorflow-text", "tensorflow-hub", "tensorflow-datasets", "jax", "numpy")


def configure(parameters: Parameters) -> None:
    """Choose the backend, the precision and the seeds of this process; call it before Keras is imported."""
    keep_freed_memory()
    choose_backend(parameters.backend)
    with silence_stderr():
        import keras

        load_tensorflow()

    if parameters.backend not in (None, keras.backend.backend()):
        raise InputError(
            f"backend is {parameters.backend}, but Keras already runs on {keras.backend.backend()}; "
            "restart the kernel and run the cells from the top"
        )
    keras.config.set_dtype_policy("float32" if parameters.precision == "auto" else parameters.precision)
    keras.utils.set_random_seed(parameters.seed)


def load_tensorflow() -> None:
    """Load TensorFlow and ask for its devices, which is when C++ writes about drivers that are not there."""
    with contextlib.suppress(ImportError):  # a machine may train with JAX alone
        import tensorflow as tf

        tf.config.list_physical_devices()


def ask_for_huge_pages() -> None:
    """Let the processes that this one starts keep large arrays on huge pages: 7 to 10 % of a training step's time.

    glibc reads the variable when a process starts, so that it does nothing for this one; one that is set already stays.
    """
    os.environ.setdefault(MALLOC_VARIABLE, HUGE_PAGES)


def huge_pages() -> bool:
    """Return whether this process was started to keep large arrays on huge pages, and the system gives any."""
    with contextlib.suppress(OSError):
        given = "[never]" not in Path("/sys/kernel/mm/transparent_hugepage/enabled").read_text()
        return given and HUGE_PAGES in os.environ.get(MALLOC_VARIABLE, "")
    return False


def keep_freed_memory() -> None:
    """Let glibc keep the memory that a step frees; new pages from the system are slow."""
    with contextlib.suppress(OSError, AttributeError):  # another C library
        allocator = ctypes.CDLL(None).mallopt
        for setting, value in MALLOPT_SETTINGS.items():
            allocator(setting, value)


def describe_environment(device: str, devices: int = 1) -> dict:
    """Describe this process for the run record: devices, machine, commit, versions, memory, time."""
    return {
        "device": device,
        "devices": devices,  # that shared each batch, on all machines
        "precision": precision(),
        "threads": threads(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "processor": processor_model(),
        "load": load_average(),
        "commit": commit(),
        "versions": {"python": platform.python_version(), **versions()},
        "peak_memory_mb": peak_memory_mb(),
        "seconds": round(time.perf_counter() - PROCESS_STARTED, 1),
    }


def load_average() -> list[float] | None:
    """Return how many processes ran or waited, on average over the last 1, 5 and 15 minutes; None where unknown.

    More than the run's own threads means that it shared the cores, and its times are not those of a quiet machine.
    """
    return [round(load, 2) for load in os.getloadavg()] if hasattr(os, "getloadavg") else None


def threads() -> int:
    """Return how many threads an operation of TensorFlow may take; sums are rounded differently on another number."""
    return int(os.environ.get(THREADS_VARIABLE) or os.cpu_count())


def precision() -> str | None:
    """Return the precision that Keras computes in; None where it is not loaded."""
    keras = sys.modules.get("keras")
    return keras.config.dtype_policy().name if keras else None


def versions(more: tuple[str, ...] = ()) -> dict[str, str]:
    found = {}
    for package in (*RECORDED_PACKAGES, *more):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


@functools.cache
def commit() -> str | None:
    """Return the commit of the checkout that the library runs from, `+` behind it where it was changed.

    Of an installed library, which may lie in an environment within another project's checkout, it is None.
    """
    return git("describe", "--always", "--dirty=+", "--abbrev=10") if git("ls-files", Path(__file__).name) else None


def git(*arguments: str) -> str | None:
    """Return what git says in the library's folder, None where it cannot."""
    try:
        said = subprocess.run(
            ["git", *arguments], cwd=Path(__file__).parent, capture_output=True, text=True, check=True
        )  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return None
    return said.stdout.strip()


def processor() -> str:
    """Describe the processor: cores, memory, model, its widest vectors, and what it multiplies bfloat16 with."""
    facts = [f"{os.cpu_count()} cores", processor_model() or platform.machine()]
    with contextlib.suppress(OSError, ValueError):
        facts.insert(1, f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GB")
    widest = processor_flags({"avx512f": "AVX-512", "avx2": "AVX2"})[:1]
    return ", ".join([*facts, *widest, *(f"bfloat16 by {unit}" for unit in bfloat16_units())])


def processor_model() -> str | None:
    with contextlib.suppress(OSError):
        found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
        return found and found[1]
    return None


def bfloat16_units() -> list[str]:
    """List what this processor multiplies bfloat16 with; it may be nothing."""
    return processor_flags({"amx_bf16": "amx_bf16", "avx512_bf16": "avx512_bf16"})


def processor_flags(names: dict[str, str]) -> list[str]:
    """Return the names of those flags that this processor has, in the order given."""
    with contextlib.suppress(OSError):
        flags = set(Path("/proc/cpuinfo").read_text().split())
        return [name for flag, name in names.items() if flag in flags]
    return []


def nvidia_gpus() -> list[str]:
    """Name the NVIDIA GPUs of this machine that its user has not hidden, without loading a framework.

    Returns:
        What `CUDA_VISIBLE_DEVICES` lists, or where it is not set the number of each GPU that nvidia-smi finds.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    try:
        done = subprocess.run(["nvidia-smi", "--list-gpus"], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return []
    found = [str(number) for number, _ in enumerate(re.findall(r"^GPU \d+", done.stdout, re.MULTILINE))]
    if visible is None or not found:
        return found
    return [name for name in visible.replace(" ", "").split(",") if name not in ("", "-1")]


def has_accelerator() -> bool:
    """Return whether this machine has a GPU or a TPU, without loading a framework."""
    devices = Path("/dev")
    return bool(nvidia_gpus()) or any(  # a container may have the device without nvidia-smi
        next(devices.glob(pattern), None) for pattern in ("nvidia[0-9]*", "accel*", "vfio/[0-9]*")
    )


def peak_memory_mb() -> int:
    """Return the most memory that this process held; Linux's rusage would count what its parent held, too."""
    with contextlib.suppress(OSError, AttributeError):
        found = re.search(r"^VmHWM:\s*(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
        return round(int(found[1]) / 2**10)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # in bytes on macOS, in KiB elsewhere
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10))
