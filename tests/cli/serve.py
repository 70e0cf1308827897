#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Answers like a small ComfyUI server, for 30 s at most. Usage: serve.py KIND PORT_FILE

KIND: good; cut (hangs up within the answer); missing (404); page (HTML); moved (a redirect); silent
(no HTTP); newer (good, of another version with one more input).
"""
import http.server
import json
import sys
import threading

kind, port_file = sys.argv[1:]
VERSION = "0.19.0" if kind == "newer" else "0.18.2"
INPUTS = {"amount": ["INT", {"default": 3}], "mode": [["soft", "hard"], {}]}
if kind == "newer":
    INPUTS["extra"] = ["FLOAT", {"default": 0.5}]
INFO = {"PackNode": {"input": {"required": INPUTS}, "output": [], "output_node": True,
                     "display_name": "Pack node"}}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if kind == "silent":
            self.wfile.write(b"hello\n")
            return
        text = json.dumps(INFO if self.path == "/object_info" else
                          {"system": {"comfyui_version": VERSION}}).encode()
        if kind == "page":
            text = b"<!DOCTYPE html><title>router</title>"
        self.send_response({"missing": 404, "moved": 302}.get(kind, 200))
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text[:-5] if kind == "cut" and self.path == "/object_info" else text)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
with open(port_file, "w", encoding="utf-8") as file:
    file.write(f"{server.server_address[1]}\n")
threading.Timer(30, server.shutdown).start()
server.serve_forever()
