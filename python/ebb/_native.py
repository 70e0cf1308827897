# SPDX-License-Identifier: Apache-2.0
"""The C library (include/ebb/c.h) over ctypes. EBB_LIBRARY names another file of it."""
import ctypes
import json
import os
import sys

ABI = 1
OK, NO_MEMORY = 0, 2
NAMES = {"win32": "ebb_c.dll", "darwin": "libebb_c.dylib"}


class Error(Exception):
    """What is wrong with an input: `code` (usage, input, internal), `reason` (such as no_such_card, or
    None), `message`, `file`, `line`, `column`, `place` and `hint` as attributes; the text is that
    of the command."""

    def __init__(self, told):
        super().__init__(told["text"])
        for key in ("code", "reason", "message", "file", "line", "column", "place", "hint"):
            setattr(self, key, told[key])


class _Input(ctypes.Structure):
    _fields_ = [("data", ctypes.c_char_p), ("size", ctypes.c_size_t)]


class _Text(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("size", ctypes.c_size_t)]


def _load():
    path = os.environ.get("EBB_LIBRARY") or os.path.join(
        os.path.dirname(os.path.abspath(__file__)), NAMES.get(sys.platform, "libebb_c.so"))
    try:
        library = ctypes.CDLL(path)
        library.ebb_version.restype = ctypes.c_char_p
        found = library.ebb_c_abi()
    except (OSError, AttributeError) as error:
        raise ImportError(f"Ebb's native library can't be used: {error}. Install the package again "
                          "for this platform (pip install . in Ebb's repository).") from error
    if found != ABI:
        raise ImportError(f"{path} has interface {found}, this package needs {ABI}. Install the "
                          "package again.")
    for name in ("ebb_plan", "ebb_svg", "ebb_apply", "ebb_undo", "ebb_convert"):
        function = getattr(library, name)
        function.argtypes = [_Input, _Input, ctypes.POINTER(_Text)]
        function.restype = ctypes.c_int
    library.ebb_free.argtypes = [ctypes.POINTER(_Text)]
    library.ebb_free.restype = None
    return library


_library = _load()


def version():
    return _library.ebb_version().decode()


def _workflow(workflow, options):
    """Bytes of the workflow; a path goes into the options, and the library reads the file."""
    if isinstance(workflow, dict):
        return json.dumps(workflow).encode()
    if isinstance(workflow, (bytes, bytearray)):
        return bytes(workflow)
    if isinstance(workflow, str) and workflow.lstrip()[:1] in ("{", "["):
        return workflow.encode("utf-8", "surrogatepass")
    options["file"] = os.fspath(workflow)
    return None


def _plain(value):
    return os.fspath(value) if isinstance(value, os.PathLike) else list(value)


def call(name, workflow, options):
    """The answer of one function of the library as text. Raises Error."""
    options = {key.rstrip("_"): value for key, value in options.items() if value is not None}
    data = _workflow(workflow, options)
    if data == b"":
        data = b" "  # no data at all would mean: read the file
    given = json.dumps(options, default=_plain).encode()
    answer = _Text()
    status = getattr(_library, name)(_Input(data, len(data or b"")), _Input(given, len(given)),
                                     ctypes.byref(answer))
    try:
        if status == NO_MEMORY or not answer.data:
            raise MemoryError(name)
        text = ctypes.string_at(answer.data, answer.size).decode("utf-8", "replace")
    finally:
        _library.ebb_free(ctypes.byref(answer))
    if status != OK:
        raise Error(json.loads(text))
    return text


def call_json(name, workflow, options):
    return json.loads(call(name, workflow, options))
