# SPDX-License-Identifier: Apache-2.0
"""What this process holds in RAM, and handing freed memory back to the system. No ComfyUI."""
import ctypes
import os
import sys

MIB = 1 << 20
M_MMAP_THRESHOLD = -3  # of glibc's malloc.h


def resident_bytes():
    """RAM that this process holds now (mapped files included), or None."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, AttributeError):
        pass
    try:
        import psutil

        return psutil.Process().memory_info().rss
    except Exception:
        return None


def available_bytes():
    """RAM that programs could still get without swapping, or None."""
    return _of_machine("available")


def of_machine():
    """RAM in total, still to be had, and held by this process."""
    return {"total_bytes": _of_machine("total"), "available_bytes": available_bytes(),
            "process_bytes": resident_bytes()}


def _of_machine(figure):
    try:
        import psutil

        return getattr(psutil.virtual_memory(), figure)
    except Exception:
        return None


def hand_back():
    """Returns what the C library's heap holds but nobody uses; False where there is no way to.

    Tensors below 32 MiB live on that heap: freeing them returns about half of their bytes, and
    this call the rest. On glibc blocks from 1 MiB on are kept apart from then on: freed, they go
    back to the system at once, and the heap is not what a later pass finds full of holes.
    """
    try:
        if sys.platform.startswith("linux"):
            library = ctypes.CDLL(None)
            library.mallopt(M_MMAP_THRESHOLD, MIB)
            library.malloc_trim(0)
        elif sys.platform == "win32":
            ctypes.CDLL("ucrtbase")._heapmin()
        elif sys.platform == "darwin":
            ctypes.CDLL(None).malloc_zone_pressure_relief(None, ctypes.c_size_t(0))
        else:
            return False
        return True
    except (OSError, AttributeError):
        return False  # musl, for one, has no malloc_trim and needs none


def text_of(size):
    """Bytes as text: MiB below 10 GiB, else GiB."""
    if size is None:
        return "unknown"
    return f"{size / (1 << 30):,.1f} GiB" if abs(size) >= 10 << 30 else f"{size / MIB:,.0f} MiB"
