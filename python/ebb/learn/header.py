# SPDX-License-Identifier: Apache-2.0
"""The header of a safetensors file, read without PyTorch and checked like any input."""
import hashlib
import json
import math
import os
import struct

MOST_HEADER, MOST_TENSORS, MOST_DIMENSIONS = 128 << 20, 1_000_000, 8
# Bytes a value; two values of F4 share a byte, whose shape is that of the bytes.
TYPES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U64": 8,
         "U32": 4, "U16": 2, "U8": 1, "BOOL": 1, "F8_E4M3": 1, "F8_E5M2": 1, "F8_E8M0": 1}


class Unreadable(Exception):
    """Why a file is no safetensors file."""


def read(path):
    """(bytes of the header, size of the file). Raises Unreadable or OSError."""
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        start = file.read(8)
        if len(start) < 8:
            raise Unreadable("it is shorter than the length of a header")
        (length,) = struct.unpack("<Q", start)
        if length > min(MOST_HEADER, size - 8):
            raise Unreadable("its header is longer than the file, or than 128 MiB")
        return file.read(length), size


def hash_of(data):
    """What facts of a file are kept under: another header is another file."""
    return hashlib.sha256(data).hexdigest()


def tensors_of(data, size):
    """({name: (type, shape, first byte, bytes)}, metadata). First bytes count from the file's."""
    try:
        found = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError):
        raise Unreadable("its header is no JSON") from None
    if not isinstance(found, dict):
        raise Unreadable("its header is no object")
    metadata = found.pop("__metadata__", None)
    if len(found) > MOST_TENSORS:
        raise Unreadable("it has more than a million tensors")
    start = 8 + len(data)
    return {name: tensor_of(name, entry, start, size) for name, entry in found.items()}, (
        metadata if isinstance(metadata, dict) else None)


def tensor_of(name, entry, start, size):
    try:
        kind, shape, (begin, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
        numbers = [*shape, begin, end]
    except (TypeError, KeyError, ValueError):
        raise Unreadable(f"{name[:80]} has no type, shape and place") from None
    if not all(isinstance(n, int) and not isinstance(n, bool) and 0 <= n < 1 << 50
               for n in numbers) or len(shape) > MOST_DIMENSIONS:
        raise Unreadable(f"{name[:80]} has a shape or place that is none")
    if kind not in TYPES:
        raise Unreadable(f"{name[:80]} is of a type that is not known: {str(kind)[:20]}")
    if math.prod(shape) * TYPES[kind] != end - begin or start + end > size:
        raise Unreadable(f"{name[:80]} is not where its header says, or cut off")
    return kind, tuple(shape), start + begin, end - begin
