#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks what a compiler does not: layers, sizes, columns, forgotten files; a line per finding."""
import pathlib
import re
import sys

ROOT = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
SOURCE_MAX, HEADER_MAX, FUNCTION_MAX, COLUMNS_MAX = 600, 300, 70, 100
BASE_HEADERS = {"result", "bytes", "file", "printable", "version"}
BANNED = [
    (r"\bstd::cout\b|\bprintf\(|\bstd::cerr\b", "src/", "src/cli/", "the library never prints"),
    (r"\bexit\(|\babort\(", "src/", "src/cli/", "the library never exits"),
    (r"\bthrow\b", "src/", None, "errors are values"),
    (r"\bsystem\(|\bpopen\(", "src/", None, "no shell"),
]
FUNCTION = re.compile(r"^( *)(?!namespace|else|if|for|while|switch|class|struct|enum|do\b|try)\S"
                      r".*[)\w>]\s*\{$")
findings = []


def report(path, line, text):
    findings.append(f"{path.relative_to(ROOT)}:{line}: {text}")


def read_layers():
    layers = {}
    for line in (ROOT / "tools/layers.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            folder, allowed = line.split(":")
            layers[folder] = set(allowed.split())
    return layers


def check_layers(path, lines, layers):
    folder = path.relative_to(ROOT / "src").parts[0]
    allowed = layers[folder] | {folder}
    for number, line in enumerate(lines, 1):
        include = re.match(r'#include "(.+)/(\w+)\.(?:h|inc)"', line)
        if not include:
            continue
        place, name = include[1].split("/")[0], include[2]
        if place == "ebb":
            if "@public" in allowed or name == "ebb":
                continue
            place = "base" if name in BASE_HEADERS else name
        if place not in allowed:
            report(path, number, f"{folder} may not include {place}")


def check_functions(path, lines):
    start = None
    for number, line in enumerate(lines, 1):
        match = FUNCTION.match(line)
        if match and "(" in "".join(lines[max(0, number - 4):number]) and start is None:
            start, indent = number, match[1]
        elif start and line.startswith(indent + "}"):
            if number - start + 1 > FUNCTION_MAX:
                length = number - start + 1
                report(path, start, f"function of {length} lines; {FUNCTION_MAX} at most")
            start = None


def check_file(path, layers):
    text = path.read_text()
    lines = text.splitlines()
    if path.suffix in (".cpp", ".h"):
        if not lines[0].startswith("// SPDX-License-Identifier:"):
            report(path, 1, "the first line names the licence")
        check_functions(path, lines)
        limit = HEADER_MAX if path.suffix == ".h" else SOURCE_MAX
        if len(lines) > limit:
            report(path, 1, f"{len(lines)} lines; {limit} at most")
    for number, line in enumerate(lines, 1):
        if len(line) > COLUMNS_MAX:
            report(path, number, f"{len(line)} columns; {COLUMNS_MAX} at most")
        if line != line.rstrip():
            report(path, number, "space at the end of the line")
        if re.search(r"\b(FIXME|XXX|TODO)\b", line) and path.name != "tidy.py":
            report(path, number, "left over")
    name = str(path.relative_to(ROOT))
    for pattern, where, but, why in BANNED:
        if name.startswith(where) and not (but and name.startswith(but)):
            for number, line in enumerate(lines, 1):
                if re.search(pattern, line.split("//")[0]):
                    report(path, number, why)
    if name.startswith("src/"):
        check_layers(path, lines, layers)


def check_listed(folder, suffix):
    """Every source is named in the CMakeLists.txt beside it."""
    for cmake in sorted((ROOT / folder).glob("**/CMakeLists.txt")):
        text = cmake.read_text()
        for source in sorted(cmake.parent.glob(f"*{suffix}")):
            if source.name not in text:
                report(source, 1, f"not named in {cmake.relative_to(ROOT)}")


def main():
    layers = read_layers()
    for folder in ("include", "src", "tests", "bench", "tools", "comfyui"):
        for path in sorted((ROOT / folder).glob("**/*")):
            if path.suffix in (".cpp", ".h", ".py", ".sh"):
                check_file(path, layers)
    check_listed("src", ".cpp")
    check_listed("tests", ".cpp")
    check_listed("bench", ".cpp")
    print("\n".join(findings) if findings else "tidy: nothing found")
    return 1 if findings else 0


sys.exit(main())
