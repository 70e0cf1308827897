# SPDX-License-Identifier: Apache-2.0
"""Every finding of an attack that docs/testing.md lists names tests, and each of them exists."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
FINDINGS = [*(f"S{i}" for i in (1, 2)), *(f"T{i}" for i in range(1, 9)),
            *(f"M{i}" for i in range(1, 8)), *(f"I{i}" for i in range(1, 5)),
            *(f"F{i}" for i in range(1, 4)), "E1"]
WORDS = {"attack": "tests/cli/attack.py", "automatic": "tests/python/automatic_test.py",
         "scale.work": "tests/scale/shapes.py", "scale.memory": "tests/scale/shapes.py"}
REAL = {"attack_real", "automatic_real"}  # their checks are sentences: the file has to be there


def rows():
    text = (ROOT / "docs/testing.md").read_text(encoding="utf-8")
    table = text.partition("\n| finding | test |\n")[2].partition("\n\n")[0]
    for line in table.splitlines()[1:]:
        _, finding, tests, _ = line.split("|")
        yield finding.strip(), tests.strip()


def is_gtest(name):
    suite, _, case = name.partition(".")
    start = rf"TEST(?:_F|_P)?\({suite}, " + ("" if case == "*" else rf"{case}\)")
    return any(re.search(start, path.read_text(encoding="utf-8"))
               for path in (ROOT / "tests").glob("**/*.cpp"))


def missing(tests):
    """Names of a row's second column that are nowhere."""
    for part in re.findall(r"`([^`]+)`([^`]*)", tests):
        name, rest = part
        if name in REAL:
            if not (ROOT / f"tests/comfy/{name}.py").is_file():
                yield name
        elif name in WORDS:
            text = (ROOT / WORDS[name]).read_text(encoding="utf-8")
            for word in re.findall(r"[A-Za-z_]\w*", rest):
                if not re.search(rf"^ *(?:def|class) {word}\b", text, re.M):
                    yield f"{name} {word}"
        elif not is_gtest(name):
            yield name


def main():
    listed, bad = "", []
    for finding, tests in rows():
        listed += f" {finding}"
        names = list(missing(tests))
        if names or "`" not in tests:
            bad.append(f"{finding}: {', '.join(names) or 'no test'}")
    bad += [f"{each}: no row" for each in FINDINGS if not re.search(rf"\b{each}\b", listed)]
    print("\n".join(bad) or f"{len(FINDINGS)} findings, each with its tests")
    return 1 if bad else 0


sys.exit(main())
