# SPDX-License-Identifier: Apache-2.0
"""This repository inside ComfyUI's custom_nodes: the node pack is the folder comfyui/."""
from .comfyui import NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS, WEB_DIRECTORY

WEB_DIRECTORY = WEB_DIRECTORY and "./comfyui/web"
