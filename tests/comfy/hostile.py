# SPDX-License-Identifier: Apache-2.0
"""Bodies of POST /ebb/plan that cost much: each shape at any size. Posts them, if run.

usage: hostile.py URL CLIENTS BYTES    posts them round and round until it is ended, and prints each
                                       answer's status
"""
import asyncio
import json
import sys


JSON_BODY = {"Content-Type": "application/json"}


def graph(nodes, **more):
    return {"last_node_id": 9, "last_link_id": 9, "nodes": nodes, "links": [], "version": 0.4,
            **more}


def text_node(text, number=1):
    return {"id": number, "type": "CLIPTextEncode", "title": "T", "widgets_values": [text]}


def samplers(count, model_of, text="x"):
    """A prompt of `count` samplers, each saved."""
    made = {"clip": {"class_type": "CLIPLoader", "inputs": {"clip_name": "c.safetensors",
                                                            "type": "wan", "device": "default"}},
            "vae": {"class_type": "VAELoader", "inputs": {"vae_name": "v.safetensors"}},
            "text": {"class_type": "CLIPTextEncode", "inputs": {"text": text,
                                                                "clip": ["clip", 0]}},
            "size": {"class_type": "EmptyLatentImage",
                     "inputs": {"width": 512, "height": 512, "batch_size": 1}}}
    for number in range(count):
        model = model_of(number)
        made[f"m{model}"] = {"class_type": "UNETLoader", "inputs": {
            "unet_name": f"model_{model}.safetensors", "weight_dtype": "default"}}
        made[f"k{number}"] = {"class_type": "KSampler", "inputs": {
            "model": [f"m{model}", 0], "positive": ["text", 0], "negative": ["text", 0],
            "latent_image": ["size", 0], "seed": 1, "steps": 20, "cfg": 5.0,
            "sampler_name": "euler", "scheduler": "simple", "denoise": 1.0}}
        made[f"d{number}"] = {"class_type": "VAEDecode",
                              "inputs": {"samples": [f"k{number}", 0], "vae": ["vae", 0]}}
        made[f"s{number}"] = {"class_type": "SaveImage",
                              "inputs": {"images": [f"d{number}", 0], "filename_prefix": "x"}}
    return made


def bodies(size):
    """Each of about `size` bytes."""
    card = {"gpu": "rtx5090", "ram": "32G", "os": "linux"}
    shapes = {
        "escapes": {"prompt": samplers(1, int, "\n" * (size // 2))},
        "letters": {"prompt": samplers(1, int, "\u4e2d" * (size // 6))},
        "comments": {"workflow": graph([text_node("/* " * (size // 3))])},
        "names": {"workflow": graph([text_node("y" * (size // 2)), {
            "id": 2, "type": "SaveImage", "inputs": [],
            "widgets_values": ["%T.text%" * (size // 16)]}])},
        "copies": {"workflow": graph([{"id": number, "type": "S"} for number in
                                      range(size // 60)], definitions={"subgraphs": [
                                          {"id": "S", "name": "S", "links": [], "inputs": [],
                                           "outputs": [], "nodes": [text_node("x" * (size // 2))]}
                                      ]})},
        "samplers": {"prompt": samplers(size // 900, lambda number: number)},
        "class name": {"prompt": {**samplers(300, lambda number: 0), "size": {
            "class_type": "U" * (size // 2), "inputs": {}}}},
        "brackets": {"workflow": graph([{"id": 1, "type": "A", "widgets_values": [
            json.loads("[" * 90 + "]" * 90)] * (size // 200)}])}}
    return {name: json.dumps({**body, "options": card}).encode() for name, body in shapes.items()}


async def attack(url, clients, size):
    import aiohttp

    made = list(bodies(size).values())

    async def one(session, number):
        while True:
            number += 1
            try:
                async with session.post(url + "/ebb/plan", data=made[number % len(made)],
                                        headers=JSON_BODY) as answer:
                    await answer.read()
                    print(answer.status, flush=True)
            except aiohttp.ClientError as error:
                print(type(error).__name__, flush=True)
                await asyncio.sleep(0.1)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0),
                                     timeout=aiohttp.ClientTimeout(total=300)) as session:
        await asyncio.gather(*(one(session, number) for number in range(clients)))


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    asyncio.run(attack(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
