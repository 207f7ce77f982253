"""The machine: threads, accelerator, home folder and disk, Java."""

import os
import shutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from mase.artifacts import home
from mase.doctor.check import Check
from mase.evaluation.metrics.generation.java import JAVA_METRICS, java_metric_reason

GIBIBYTE = 2**30
LITTLE_DISK, HARDLY_ANY_DISK = 5 * GIBIBYTE, GIBIBYTE // 2


def check_machine() -> list[Check]:
    """Return the checks of threads, accelerator, home folder and Java."""
    return [check_threads(), *check_accelerator(), *check_home(), check_java()]


def check_threads() -> Check:
    """Return whether PyTorch uses as many threads as this process may have processors."""
    import torch

    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = torch.get_num_threads()
    found = f"{threads} threads of PyTorch on {usable} usable processors"
    if threads > usable:
        return Check("Threads", "warning", found, f"export OMP_NUM_THREADS={usable}")
    return Check("Threads", "ok", found)


def check_accelerator() -> Iterator[Check]:
    """Yield which accelerator training takes, and whether one lies idle."""
    try:
        import torch

        import_module("torchvision")  # OpenCLIP imports it; a build that does not match fails here
    except (ImportError, OSError, RuntimeError) as cause:
        yield Check(
            "PyTorch", "problem", f"torch and torchvision do not fit together: {cause}",
            "install both from one index, in one command: pip install -c constraints.txt torch torchvision",
        )  # fmt: skip
        return
    if torch.cuda.is_available():
        cards = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
        said = ", ".join(f"{card.name}, {card.total_memory / GIBIBYTE:.0f} GiB" for card in cards)
        yield Check("Accelerator", "ok", said)
    elif shutil.which("nvidia-smi"):
        yield Check(
            "Accelerator", "warning", f"nvidia-smi is there, but PyTorch {torch.__version__} sees no GPU",
            "check the driver with nvidia-smi; a CPU build of PyTorch (+cpu) sees none",
        )  # fmt: skip
    else:
        yield Check("Accelerator", "ok", "none: everything runs on the processor")


def check_home() -> Iterator[Check]:
    """Yield whether `$MASE_HOME` can be written, and how much room there is."""
    folder = home()
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        yield Check(
            "Home", "problem", f"{folder} cannot be written", "set MASE_HOME to a folder that can be written"
        )
        return
    yield Check("Home", "ok", f"{folder}{'' if folder.exists() else ' (not there yet, made when needed)'}")
    yield disk_check(there, shutil.disk_usage(there).free)


def disk_check(place: Path, free: int) -> Check:
    """Return the check of so many free bytes."""
    found = f"{free / GIBIBYTE:.1f} GiB free at {place}"
    remedy = "free some room, or set MASE_HOME to another disk; old models are in units/*/model"
    if free < LITTLE_DISK:
        return Check("Disk", "problem" if free < HARDLY_ANY_DISK else "warning", found, remedy)
    return Check("Disk", "ok", found)


def check_java() -> Check:
    """Return whether METEOR and SPICE, which are Java programs, can run; they are optional."""
    reasons = {metric: java_metric_reason(metric) for metric in JAVA_METRICS}
    lacking = [f"{metric.upper()} {reason}" for metric, reason in reasons.items() if reason]
    if lacking:
        return Check(
            "Java metrics", "ok", f"{'; '.join(lacking)}; only CommonGen (Table 2) has them",
            "install Java, put the jars into a folder and name it in MASE_JAVA_METRICS",
        )  # fmt: skip
    return Check("Java metrics", "ok", f"{shutil.which('java')}; METEOR and SPICE have their files")
