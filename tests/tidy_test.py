# SPDX-License-Identifier: Apache-2.0
"""What tools/tidy.py finds in a copy of the node pack, and beside it, that is spoiled for it."""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[1]
LICENCE = "// SPDX-License-Identifier: Apache-2.0"


class Tidy(unittest.TestCase):
    def setUp(self):
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.root = pathlib.Path(place.name)
        (self.root / "tools").mkdir()
        shutil.copy(ROOT / "tools/layers.txt", self.root / "tools")
        shutil.copytree(ROOT / "comfyui", self.root / "comfyui",
                        ignore=shutil.ignore_patterns("__pycache__", "lib"))

    def found(self, spoiled):
        """The findings where these files end with these lines."""
        kept = {}
        for name, lines in spoiled.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            kept[path] = path.read_text() if path.exists() else ""
            path.write_text(kept[path] + "".join(f"{line}\n" for line in lines))
        done = subprocess.run([sys.executable, ROOT / "tools/tidy.py", self.root],
                              capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
        for path, text in kept.items():
            path.write_text(text)
        told = [line for line in done.stdout.splitlines() if not line.startswith("tidy: ")]
        self.assertEqual((done.returncode, done.stderr), (1 if told else 0, ""))
        return [re.sub(r":\d+: ", ": ", line) for line in told if "clang-format" not in line]

    def test_the_pack_as_it_is(self):
        self.assertEqual(self.found({}), [])

    def test_only_host_looks_at_what_comfyui_loaded(self):
        lines = ['TORCH = sys.modules.get("torch")', "FRAME = sys._getframe(1)",
                 "SERVER = server.PromptServer.instance"]
        self.assertEqual(self.found({"comfyui/memory.py": lines, "comfyui/host/devices.py": lines}),
                         3 * ["comfyui/memory.py: only comfyui/host/ touches ComfyUI"])

    def test_the_pack_loads_nothing_of_comfyui(self):
        lines = ["import folder_paths", "from comfy import utils", "def late():",
                 "    import os, torch.nn", "    from aiohttp import web"]
        told = self.found({"comfyui/prefetch.py": lines, "comfyui/host/folders.py": lines})
        for file in ("prefetch", "host/folders"):
            self.assertEqual([line for line in told if f"/{file}.py" in line], [
                f"comfyui/{file}.py: the pack doesn't load {name}: comfyui/host/ looks at what is "
                "loaded" for name in ("folder_paths", "comfy", "torch")])

    def test_no_circle_in_the_pack(self):
        for name, line in (("routes", "from . import automatic"),
                           ("settings", "from .routes import status"),
                           ("host/about", "from .survey import Model"),
                           ("host/__init__", "from . import about"),
                           ("memory", "from . import memory")):
            told, = self.found({f"comfyui/{name}.py": ["def late():", f"    {line}"]})
            self.assertIn("a circle of imports: comfyui/", told)
            self.assertIn(f"comfyui/{name}.py", told)

    def test_host_stands_below_the_rest(self):
        self.assertEqual(self.found({"comfyui/host/values.py": ["from ..memory import MIB",
                                                                "from ..facts import NODES"]}),
                         ["comfyui/host/values.py: comfyui/host/ may not ask memory.py"])

    def test_layers_and_manners(self):
        told = self.found({
            "src/base/CMakeLists.txt": ["a.cpp"],
            "src/base/a.cpp": [LICENCE, '#include "plan/search.h"', "int a = 1; ",
                               f"// {'x' * 100}", "void f() { throw 1; }",
                               "void g() { std::abort(); }", "// TO" "DO", *600 * [""]],
            "src/base/b.cpp": ["int b;"], "docs/page.md": ["See `comfyui/hooks.py`."]})
        self.assertEqual(sorted(told), sorted([
            "docs/page.md: there is no comfyui/hooks.py",
            "src/base/a.cpp: 103 columns; 100 at most",
            "src/base/a.cpp: 607 lines; 600 at most",
            "src/base/a.cpp: base may not include plan",
            "src/base/a.cpp: errors are values",
            "src/base/a.cpp: left over",
            "src/base/a.cpp: space at the end of the line",
            "src/base/a.cpp: the library never exits",
            "src/base/b.cpp: not named in src/base/CMakeLists.txt",
            "src/base/b.cpp: the first line names the licence"]))


if __name__ == "__main__":
    unittest.main()
