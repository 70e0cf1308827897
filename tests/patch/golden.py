# SPDX-License-Identifier: Apache-2.0
"""What `ebb apply --with UnloadModels` changes in the graphs of tests/data/patch, as diffs.

usage: golden.py EBB [--update]

Each X.json has its diff in X.diff. Lines end in \\n or \\r\\n as in the file; a long line is one
line.
Each patched file is undone as well and compared byte for byte.
"""
import difflib
import pathlib
import subprocess
import sys
import tempfile

DATA = pathlib.Path(__file__).resolve().parents[1] / "data/patch"


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}: {done.stderr}")
    return done.stdout


def diff(before, after):
    old, new = (text.decode().replace("\r", "<CR>").split("\n") for text in (before, after))
    lines = difflib.unified_diff(old, new, "before", "after", lineterm="", n=1)
    return "\n".join(line.rstrip() for line in lines) + "\n"


def main(ebb, update):
    failures = 0
    with tempfile.TemporaryDirectory() as folder:
        patched, undone = pathlib.Path(folder, "patched"), pathlib.Path(folder, "undone")
        for path in sorted(DATA.glob("*.json")):
            said = run(ebb, "apply", path, "--with", "UnloadModels", "-o", patched, "--force")
            words = [line for line in said.splitlines() if line.startswith("  ")]
            actual = "\n".join(words) + "\n" + diff(path.read_bytes(), patched.read_bytes())
            golden = path.with_suffix(".diff")
            if update:
                golden.write_text(actual)
            elif actual != golden.read_text():
                failures += 1
                print(f"{path.name}:")
                print("\n".join(difflib.unified_diff(golden.read_text().splitlines(),
                                                     actual.splitlines(), "expected", "actual",
                                                     lineterm="")))
            run(ebb, "undo", patched, "-o", undone, "--force")
            if undone.read_bytes() != path.read_bytes():
                failures += 1
                print(f"{path.name}: undo gives other bytes")
    print(f"{len(list(DATA.glob('*.json')))} graphs, {failures} differences")
    return 1 if failures else 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], "--update" in sys.argv))
