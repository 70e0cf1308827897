# SPDX-License-Identifier: Apache-2.0
"""Where the pack's lines go. No ComfyUI."""
import logging

log = logging.getLogger("ebb")
