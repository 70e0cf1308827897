# SPDX-License-Identifier: Apache-2.0
"""Facts about a ComfyUI, taken from its own code: `python -m ebb.learn --help`, docs/facts.md."""
