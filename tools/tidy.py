#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks what a compiler does not: layers, sizes, columns, forgotten files; a line per finding."""
import ast
import graphlib
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
SOURCE_MAX, HEADER_MAX, FUNCTION_MAX, COLUMNS_MAX = 600, 300, 70, 100
BASE_HEADERS = {"result", "bytes", "file", "index", "message", "codes", "printable", "sum",
                "version"}
BANNED = [
    (r"\bstd::cout\b|\bprintf\(|\bstd::cerr\b", "src/", "src/cli/", "the library never prints"),
    (r"\bexit\(|\babort\(", "src/", "src/cli/", "the library never exits"),
    (r"\bthrow\b", "src/", None, "errors are values"),
    (r"\bsystem\(|\bpopen\(", "src/", None, "no shell"),
    (r"\bsys\.modules\b|\b_getframe\b|\bPromptServer\b", "comfyui/",
     ("comfyui/host/", "comfyui/worker.py"),  # the latter is a program that runs without ComfyUI
     "only comfyui/host/ touches ComfyUI"),
]
PACK_IMPORTS = {*sys.stdlib_module_names, "aiohttp", "psutil"}
FUNCTION = re.compile(r"^( {0,4})(?!namespace|else|if|for|while|switch|class|struct|enum|do\b|try)"
                      r"\S.*[)\w>] \{$")
STATEMENT = re.compile(r"^\s*(\} )?"
                       r"(else$|else //|else if \(|if (constexpr )?\(|for \(|while \()")
QUOTED = re.compile(r'"(\\.|[^"\\])*"|\'(\\.|[^\'\\])*\'')
NAMED = re.compile(r"(?<![\w./-])((?:src|tests|tools|include|docs|comfyui|python|bench|script"
                   r"|examples|cmake)/[\w./*-]*[\w*])")
# Folders that speak: the report and what stands on it, and the command with its help.
SPEAKING = {"report", "explain", "compare", "launch", "cli"}
BUILT = {"comfyui/lib/ebb"}  # what pip makes
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


def folder_of(name):
    """The folder of src/ that the public header ebb/NAME.h belongs to."""
    return "base" if name in BASE_HEADERS else "capi" if name == "c" else name


def check_layers(path, lines, layers):
    public = path.is_relative_to(ROOT / "include")
    folder = folder_of(path.stem) if public else path.relative_to(ROOT / "src").parts[0]
    if folder == "ebb":
        return  # ebb/ebb.h includes everything
    allowed = layers[folder] | {folder}
    for number, line in enumerate(lines, 1):
        include = re.match(r'#include "(.+)/(\w+)\.(?:h|inc)"', line)
        if not include:
            continue
        place, name = include[1].split("/")[0], include[2]
        if place == "ebb":
            if "@public" in allowed or name == "ebb":
                continue
            place = folder_of(name)
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


def check_braces(path, lines):
    """A statement on a line of its own has braces; one beside its `if` needs none."""
    for number, line in enumerate(lines, 1):
        if not STATEMENT.match(line):
            continue
        depth = 0
        for at in range(number - 1, len(lines)):
            code = QUOTED.sub("", lines[at]).split("//")[0].rstrip()
            depth += code.count("(") - code.count(")")
            if depth <= 0:
                break
        if depth == 0 and re.search(r"(\)|\belse)$", code):
            report(path, number, "braces round a statement on a line of its own")


def check_format(paths):
    """clang-format 14, where it is there; says so where it is not."""
    tool = shutil.which("clang-format-14") or shutil.which("clang-format")
    if not tool or " 14." not in subprocess.run([tool, "--version"], capture_output=True,
                                                text=True).stdout:
        print("tidy: clang-format 14 is not installed, the format was not checked")
        return
    done = subprocess.run([tool, "--dry-run", *map(str, paths)], capture_output=True, text=True,
                          cwd=ROOT)
    for path, line in sorted(set(re.findall(r"^(.+?):(\d+):\d+: warning", done.stderr, re.M))):
        report(pathlib.Path(path), int(line), "clang-format 14 sees it otherwise")


def check_paths(path):
    """Files that a page names exist."""
    for number, line in enumerate(path.read_text().splitlines(), 1):
        for name in NAMED.findall(line):
            if not list(ROOT.glob(name.rstrip("."))) and name not in BUILT:
                report(path, number, f"there is no {name}")


def sentences_of(text):
    """Texts of five words and more, adjacent literals taken as one: what a person would read."""
    code = re.sub(r"(?m)^ *//.*$|(?<=[;,{(]) +//.*$", "", text)
    for literals in re.findall(r'(?:"(?:[^"\\\n]|\\.)*"\s*)+', code):
        words = "".join(re.findall(r'"((?:[^"\\\n]|\\.)*)"', literals)).split()
        if sum(bool(re.search("[A-Za-z]", word)) for word in words) >= 5:
            yield " ".join(words)


def check_sentences():
    """Below report/ nothing speaks, but where tools/sentences.txt says how often, and why."""
    allowed = {}
    listed = ROOT / "tools/sentences.txt"
    for line in listed.read_text().splitlines() if listed.exists() else []:
        if line and not line.startswith("#"):
            name, count, _ = line.split(maxsplit=2)
            allowed[name] = int(count)
    for path in sorted((ROOT / "src").glob("**/*.*")):
        name = str(path.relative_to(ROOT / "src"))
        if path.suffix in (".cpp", ".h") and name.split("/")[0] not in SPEAKING:
            found = list(sentences_of(path.read_text()))
            if len(found) != allowed.pop(name, 0):
                report(path, 1, f"{len(found)} sentences, the last: {found[-1:]}; words of codes "
                       "stand in src/report/messages.inc, others in tools/sentences.txt")
    for name in allowed:
        report(listed, 1, f"there is no {name}")


def check_file(path, layers):
    text = path.read_text()
    lines = text.splitlines()
    if path.suffix in (".cpp", ".h"):
        if not lines[0].startswith("// SPDX-License-Identifier:"):
            report(path, 1, "the first line names the licence")
        check_functions(path, lines)
        check_braces(path, lines)
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
    if name.startswith(("src/", "include/")):
        check_layers(path, lines, layers)


def imported(path, node):
    """The files beside or above this one that an import with dots reads."""
    folder = path.parents[node.level - 1] / (node.module or "").replace(".", "/")
    for name in node.names:
        places = folder / f"{name.name}.py", folder.with_suffix(".py"), folder / "__init__.py"
        yield from [place for place in places if place.is_file()][:1]


def check_pack():
    """The node pack loads nothing of ComfyUI, and its modules ask each other in no circle."""
    asks, host = {}, ROOT / "comfyui/host"
    for path in sorted((ROOT / "comfyui").glob("**/*.py")):
        if any(path.is_relative_to(ROOT / built) for built in BUILT):
            continue
        asks[path] = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.level:
                read = list(imported(path, node))
                asks[path].update(read)
                for other in read if path.parent == host else ():
                    if other.parent != host and other.name not in ("facts.py", "log.py"):
                        report(path, node.lineno, f"comfyui/host/ may not ask {other.name}")
            elif isinstance(node, (ast.Import, ast.ImportFrom)):
                names = [getattr(node, "module", None) or each.name for each in node.names]
                for name in sorted({name.split(".")[0] for name in names} - PACK_IMPORTS):
                    report(path, node.lineno, f"the pack doesn't load {name}: comfyui/host/ looks "
                                              "at what is loaded")
    try:
        graphlib.TopologicalSorter(asks).prepare()
    except graphlib.CycleError as error:
        circle = [path.relative_to(ROOT).as_posix() for path in reversed(error.args[1])]
        report(error.args[1][-1], 1, f"a circle of imports: {' -> '.join(circle)}")


def check_listed(folder, suffix):
    """Every source is named in the CMakeLists.txt beside it."""
    for cmake in sorted((ROOT / folder).glob("**/CMakeLists.txt")):
        text = cmake.read_text()
        for source in sorted(cmake.parent.glob(f"*{suffix}")):
            if source.name not in text:
                report(source, 1, f"not named in {cmake.relative_to(ROOT)}")


def main():
    layers = read_layers()
    paths = [path for folder in ("include", "src", "tests", "bench", "tools", "comfyui")
             for path in sorted((ROOT / folder).glob("**/*"))]
    for path in paths:
        if path.suffix in (".cpp", ".h", ".py", ".sh"):
            check_file(path, layers)
    check_format([path for path in paths if path.suffix in (".cpp", ".h")])
    for path in sorted({*ROOT.glob("*.md"), *ROOT.glob("*/*.md"), *ROOT.glob("docs/**/*.md")}):
        check_paths(path)
    check_sentences()
    check_pack()
    check_listed("src", ".cpp")
    check_listed("tests", ".cpp")
    check_listed("bench", ".cpp")
    print("\n".join(findings) if findings else "tidy: nothing found")
    return 1 if findings else 0


sys.exit(main())
