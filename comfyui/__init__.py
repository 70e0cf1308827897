# SPDX-License-Identifier: Apache-2.0
"""Ebb's node pack: whatever is wrong here is one line in the log, and ComfyUI starts."""
import logging

NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS, WEB_DIRECTORY = {}, {}, None
try:
    from . import pack
    if pack.is_first():
        from .nodes import NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS
        WEB_DIRECTORY = pack.start(NODE_CLASS_MAPPINGS)
except Exception as error:
    logging.warning("[Ebb] no %s: %s: %s", "planning" if NODE_CLASS_MAPPINGS else "nodes",
                    type(error).__name__, error)
