# SPDX-License-Identifier: Apache-2.0
"""Scripts that `ebb launch` writes start the real ComfyUI: --cpu added, on loopback, a folder of
its own. The server says with which words it was started: flags that were to stay are among them,
the flag that was to go is not.

Usage: launch_real.py EBB_BINARY
"""
import json
import pathlib
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

import server_real
import support

WORKFLOW = support.ROOT / "examples/workflows/wan22_two_pass.json"
START_SECONDS = 240


def write_script(ebb, folder, python, base):
    old, script = base / "old start.sh", base / "new start's.sh"
    old.write_text("python main.py --reserve-vram 4 --preview-method 'auto' \"$@\"\n")
    done = subprocess.run([ebb, "launch", "--comfyui", folder, "--for", WORKFLOW,
                           "--gpu", "rtx5090", "--ram", "64G", "--from", old, "--python", python,
                           "--write", script],
                          capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        sys.exit(f"{folder}: {done.stderr}")
    return script


def system_stats(port, process, base):
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            url = f"http://127.0.0.1:{port}/system_stats"
            with urllib.request.urlopen(url, timeout=10) as answer:
                return json.load(answer)["system"]
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    log = (base / "server.log").read_text(errors="replace")
    sys.exit("the server did not start:\n" + log[-2000:])


def check(ebb, folder, python):
    version = support.version_of(folder)
    with tempfile.TemporaryDirectory(prefix="ebb-launch-") as name:
        base, port = pathlib.Path(name), server_real.free_port()
        script = write_script(ebb, folder, python, base)
        command = [str(script), *server_real.server_arguments(name, port),
                   "--disable-all-custom-nodes"]
        with server_real.running(command, "/", name) as process:
            system = system_stats(port, process, base)
        words = system["argv"]
        assert system["comfyui_version"] == version, system
        assert words[words.index("--preview-method") + 1] == "auto" and "--cpu" in words, words
        dropped = "--reserve-vram" not in words
        # Where weights are paged the reserve changes nothing, and a user's flag stays.
        assert dropped == (version != "0.18.2"), words
    kept = "dropped" if dropped else "kept"
    print(f"{version}: started with --preview-method auto, --reserve-vram {kept}")


def main():
    folders, python = support.checkouts(), support.comfyui_python()
    for folder in folders:
        check(sys.argv[1], folder, python)
    return 0


if __name__ == "__main__":
    sys.exit(main())
