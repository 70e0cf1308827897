# SPDX-License-Identifier: Apache-2.0
"""Scripts of `ebb launch` with every kind of path: a .bat goes through a strict reading of
cmd.exe's rules (batch_file.py), a .sh through the real /bin/sh. What the program gets must be what
was asked for, and a script of Ebb's own, taken over with --from, must come out the same.

Usage: launch_scripts.py EBB_BINARY [SEED]
"""
import pathlib
import random
import shlex
import subprocess
import sys
import tempfile

import batch_file

ROOT = pathlib.Path(__file__).resolve().parents[2]
WORKFLOW = ROOT / "examples/workflows/wan22_two_pass.json"
FLAGS = ["--reserve-vram", "--output-directory", "--extra-model-paths-config", "--lowvram",
         "--windows-standalone-build", "--cache-none", "--port"]
HARD = ["plain", "with space", "a & b", "100%", "%PATH%", "%1 %* %~dp0", "a^b", "^&", "wow!",
        "!x!", "(x86)", "f) & del (g", "Grüße", "日本語 \U0001f600", "it's", 'say "hi"', '"',
        '" & calc "', "D:\\end\\", "D:\\a b\\", "\\\\server\\share", 'x\\"', "$HOME `id` $(id)",
        "a|b<c>d", ";#~*?[", "a=b,c;d", "two  spaces", "é\\\\", "@x", "tab'\"mix"]
ALPHABET = "ab \\\\\"'%^&|<>()!=;,$`#*?ü/:~-{}[]@+"


def comfyui(folder):
    """A folder that looks like the portable ComfyUI."""
    main = folder / "ComfyUI"
    (main / "comfy").mkdir(parents=True)
    (folder / "python_embeded").mkdir()
    (main / "main.py").touch()
    (main / "comfyui_version.py").write_text('__version__ = "0.3.73"\n')
    (main / "comfy/cli_args.py").write_text("".join(f'p.add_argument("{x}")\n' for x in FLAGS))
    return main


def launch(ebb, *arguments):
    done = subprocess.run([ebb, "launch", "--for", WORKFLOW, "--gpu", "rtx5090", "--ram", "64G",
                           "--force", *arguments],
                          capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        sys.exit(f"{arguments}: {done.stderr}")


def started(path):
    """The one command of a .bat that starts ComfyUI."""
    found = [words for _, words, _ in batch_file.read_batch(path.read_bytes())
             if "main.py" in " ".join(words)]
    assert len(found) == 1, found
    return found[0]


def values_of(words):
    return words[words.index("--extra-model-paths-config") + 1:]


def check_bat(ebb, folder, old, values):
    script = folder / "new.bat"
    launch(ebb, "--comfyui", folder, "--from", old, "--write", script)
    words = started(script)
    assert words[:3] == [".\\python_embeded\\python.exe", "-s", "ComfyUI\\main.py"], words
    assert "--windows-standalone-build" in words and "--reserve-vram" not in words, words
    got = values_of(words)
    assert got[:len(values)] == values, (values, got)
    place = "X:\\a & (b) 100% ^!\\"
    assert ("", ["cd", "/d", place], []) in batch_file.read_batch(script.read_bytes(), folder=place)
    again = folder / "again.bat"
    launch(ebb, "--comfyui", folder, "--from", script, "--write", again)
    assert started(again) == words, (words, started(again))


def check_sh(ebb, folder, old, values):
    main = folder / "ComfyUI"
    stub = folder / "python stub's"
    stub.write_text("#!/bin/sh\npwd\nprintf '%s\\0' \"$@\"\n")
    stub.chmod(0o755)
    for script in (folder / "new.sh", main / "own.sh"):
        launch(ebb, "--comfyui", folder, "--from", old, "--write", script, "--python", stub)
        assert script.stat().st_mode & 0o777 == 0o755, oct(script.stat().st_mode)
        run = subprocess.run([script, "--port", "1"], capture_output=True, cwd="/", timeout=60,
                             check=True)
        place, words = run.stdout.split(b"\n", 1)
        assert place.decode() == str(main.resolve()), place
        words = words.decode().split("\0")[:-1]
        assert words[0] == "main.py" and words[-2:] == ["--port", "1"], words
        got = values_of(words)
        assert got[:len(values)] == values, (values, got)


def main():
    ebb = str(pathlib.Path(sys.argv[1]).resolve())
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(10**6)
    print(f"seed {seed}")
    rng = random.Random(seed)
    rounds = [HARD] + [["x" + "".join(rng.choice(ALPHABET) for _ in range(rng.randint(1, 12)))
                        for _ in range(40)] for _ in range(5)]
    for number, values in enumerate(rounds):
        with tempfile.TemporaryDirectory(prefix="ebb launch & (ü) 100% ^ ! ' ") as name:
            folder = pathlib.Path(name)
            comfyui(folder)
            old = folder / "old.sh"
            words = ["--reserve-vram", "4", "--extra-model-paths-config", *values]
            old.write_text(f"exec python main.py {' '.join(map(shlex.quote, words))} \"$@\"\n")
            check_bat(ebb, folder, old, values)
            check_sh(ebb, folder, old, values)
        print(f"round {number}: {len(values)} values")
    return 0


sys.exit(main())
