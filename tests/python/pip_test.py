# SPDX-License-Identifier: Apache-2.0
"""`pip install .` in an environment of its own, then the package as a user has it."""
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import venv

ROOT = pathlib.Path(__file__).resolve().parents[2]
SKIPPED = 77
CODE = """import ebb, json, sys
plan = ebb.plan(sys.argv[1], gpu="rtx5090", ram="64G")
assert plan["schema"] == "ebb.plan/1", plan
print(ebb.__version__, ebb.__file__)
"""


def skip(why):
    print(f"skipped: {why}")
    sys.exit(SKIPPED)


def run(*command, **options):
    return subprocess.run([str(each) for each in command], capture_output=True, text=True,
                          check=False, **options)


def main():
    if not os.environ.get("EBB_PIP"):
        skip("building the wheel takes minutes; EBB_PIP=1 asks for it")
    with tempfile.TemporaryDirectory(prefix="ebb-pip-") as folder:
        folder = pathlib.Path(folder)
        try:
            venv.create(folder / "venv", with_pip=True)
        except (OSError, subprocess.CalledProcessError) as error:
            skip(f"this Python can't make an environment with pip: {error}")
        python = folder / "venv" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
        got = run(python, "-m", "pip", "download", "--no-deps", "-d", folder / "got",
                  "scikit-build-core>=0.10")
        if got.returncode:
            skip("pip reaches no package index for scikit-build-core: " + got.stderr[-300:])
        wheel = run(python, "-m", "pip", "wheel", "--no-deps", "-w", folder / "wheels", ROOT)
        if wheel.returncode:
            sys.exit("pip wheel failed:\n" + (wheel.stdout + wheel.stderr)[-4000:])
        names = [each.name for each in (folder / "wheels").iterdir()]
        if len(names) != 1 or not re.match(r"comfyui_ebb-[\d.]+-py3-none-\w+\.whl$", names[0]):
            sys.exit(f"one wheel for every Python was expected: {names}")
        done = run(python, "-m", "pip", "install", "--no-index", folder / "wheels" / names[0])
        if done.returncode:
            sys.exit("pip install failed:\n" + done.stderr[-2000:])
        flow = ROOT / "examples/workflows/wan22_two_pass.json"
        used = run(python, "-c", CODE, flow, cwd=folder)
        print(names[0], used.stdout, used.stderr)
        gone = run(python, "-m", "pip", "uninstall", "-y", "comfyui-ebb")
        left = [each for each in (folder / "venv").glob("**/*ebb*") if "site-packages" in str(each)]
        if used.returncode or gone.returncode or left:
            sys.exit(f"failed; left after uninstalling: {left}")


main()
