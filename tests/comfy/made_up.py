# SPDX-License-Identifier: Apache-2.0
"""For learn_real.py: a copy of a checkout that knows an architecture which no table can know."""
import json
import os
import pathlib
import shutil
import struct

NAME, WIDTH, DEPTH, FACTOR = "EbbMadeUp", 96, 5, 1.37
CHANNELS, SPATIAL, TEMPORAL = 7, 12, 5

CLASSES = f'''

class EbbMadeUpLatent(latent_formats.LatentFormat):
    latent_channels = {CHANNELS}
    latent_dimensions = 3
    spacial_downscale_ratio = {SPATIAL}
    temporal_downscale_ratio = {TEMPORAL}


class EbbMadeUpNetwork(torch.nn.Module):
    def __init__(self, image_model=None, width=64, depth=2, dtype=None, device=None,
                 operations=None, **ignored):
        super().__init__()
        self.dtype = dtype
        more = dict(dtype=dtype, device=device)
        self.made_up = operations.Linear({CHANNELS}, width, **more)
        self.blocks = torch.nn.ModuleList(
            operations.Linear(width, 3 * width, **more) for _ in range(depth))


class {NAME}(supported_models_base.BASE):
    unet_config = {{"image_model": "ebb_made_up"}}
    unet_extra_config = {{}}
    latent_format = EbbMadeUpLatent
    memory_usage_factor = {FACTOR}
    supported_inference_dtypes = [torch.bfloat16, torch.float32]

    def inpaint_model(self):
        return False

    def get_model(self, state_dict, prefix="", device=None):
        return model_base.BaseModel(self, device=device, unet_model=EbbMadeUpNetwork)


models.insert(0, {NAME})
'''

DETECTION = '''

def _ebb_wrapped(real):
    def detect_unet_config(state_dict, key_prefix, *words, **more):
        key = key_prefix + "made_up.weight"
        if key not in state_dict:
            return real(state_dict, key_prefix, *words, **more)
        return {"image_model": "ebb_made_up", "width": state_dict[key].shape[0],
                "depth": count_blocks(list(state_dict), key_prefix + "blocks.{}.")}
    return detect_unet_config


detect_unet_config = _ebb_wrapped(detect_unet_config)
'''


def checkout_with_it(checkout, folder):
    """Links to everything of a checkout but its folder comfy, which is a copy with more in it."""
    folder = pathlib.Path(folder)
    folder.mkdir()
    for name in os.listdir(checkout):
        if name not in ("comfy", "models", "custom_nodes", ".git"):
            os.symlink(os.path.join(checkout, name), folder / name)
    shutil.copytree(os.path.join(checkout, "comfy"), folder / "comfy",
                    ignore=shutil.ignore_patterns("__pycache__"))
    # ComfyUI imports it by its place: a link would be that of the real checkout.
    (folder / "folder_paths.py").unlink()
    shutil.copy(os.path.join(checkout, "folder_paths.py"), folder)
    for name, text in (("supported_models", CLASSES), ("model_detection", DETECTION)):
        with open(folder / f"comfy/{name}.py", "a", encoding="utf-8") as file:
            file.write(text)
    shapes = {"made_up.weight": [WIDTH, CHANNELS], "made_up.bias": [WIDTH]}
    for i in range(DEPTH):
        shapes[f"blocks.{i}.weight"] = [3 * WIDTH, WIDTH]
        shapes[f"blocks.{i}.bias"] = [3 * WIDTH]
    write_file(folder / "models/diffusion_models/made_up.safetensors", shapes)
    return str(folder)


def write_file(path, shapes):
    header, at = {}, 0
    for name, shape in shapes.items():
        end = at + 2 * shape[0] * (shape[1] if len(shape) > 1 else 1)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [at, end]}
        at = end
    text = json.dumps(header).encode()
    path.parent.mkdir(parents=True)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + at)


def differences(found, evaluate):
    """What the facts say of it, with what was written above."""
    row = next(row for row in found["classes"] if row["class"] == NAME)
    wanted = {"order": 0, "factor": FACTOR, "detected_as": NAME}
    yield from (f"{NAME}: {key} {row.get(key)}" for key, value in wanted.items()
                if row.get(key) != value)
    latent = {"format": "EbbMadeUpLatent", "channels": CHANNELS, "dimensions": 3,
              "spatial": SPATIAL, "temporal": TEMPORAL}
    if row["latent"] != latent:
        yield f"{NAME}: latent {row['latent']}"
    (file,) = [row for row in found["files"] if row["file"] == "made_up.safetensors"]
    part = file.get("parts", [{}])[0]
    values = WIDTH * CHANNELS + WIDTH + DEPTH * (3 * WIDTH * WIDTH + 3 * WIDTH)
    if (part.get("class"), part.get("values"), part.get("listed")) != (NAME, values, 2 * values):
        yield f"{NAME}: file {file}"
        return
    shape = [2, CHANNELS, 23, 41, 57]
    asked = evaluate(part["asked"]["fused"], shape)
    if abs(asked - 2 * 23 * 41 * 57 * 2 * 0.01 * FACTOR * (1 << 20)) > 1:
        yield f"{NAME}: asked {asked}"
