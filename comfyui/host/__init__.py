# SPDX-License-Identifier: Apache-2.0
"""All contact with ComfyUI, a room for each trade; what is outside this folder asks here.

Nothing of ComfyUI is replaced or patched. What a version lacks is found out by asking for it, and
answered with None, an empty list, or False.
"""
PACK = __package__.rpartition(".")[0]  # the pack's own name as a package
