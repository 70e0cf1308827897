# SPDX-License-Identifier: Apache-2.0
"""Model files: the header of one through the loader that ComfyUI has for its folder, with tensors
of the meta device; and what ComfyUI then counts and asks."""
import inspect
import os
import re

from . import asked, diffusion, header, keys, look, modules

# Small tensors whose bytes loaders read: how a layer is quantised, tokenizers, and the one by which
# v-prediction is told for Stable Diffusion 2.
READ_NAMES = (".comfy_quant", "spiece_model", "tekken_model", "tokenizer_json",
              "output_blocks.11.1.transformer_blocks.0.norm1.bias")
READ_SCALARS = (".scale_input", ".input_scale")
READ_MOST = 64 << 20
TORCH_TYPES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16",
               "I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8", "U64": "uint64",
               "U32": "uint32", "U16": "uint16", "U8": "uint8", "BOOL": "bool",
               "F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2", "F8_E8M0": "float8_e8m0fnu"}


def state_of(path):
    """({name: tensor without bytes}, metadata, header's bytes, size of the file)."""
    import torch
    data, size = header.read(path)
    tensors, metadata = header.tensors_of(data, size)
    state = {}
    with open(path, "rb") as file:
        for name, (kind, shape, start, length) in tensors.items():
            dtype = getattr(torch, TORCH_TYPES[kind])
            read = name.endswith(READ_NAMES) or (length <= 8 and name.endswith(READ_SCALARS))
            if read and 0 < length <= READ_MOST:
                file.seek(start)
                state[name] = torch.frombuffer(bytearray(file.read(length)),
                                               dtype=dtype).reshape(shape)
            else:
                state[name] = torch.empty(shape, dtype=dtype, device="meta")
    return state, metadata, data, size


def takes(function, **more):
    """Those of the words that this version's function has."""
    known = inspect.signature(function).parameters
    return {key: value for key, value in more.items() if key in known}


def counted(patcher, module):
    """What ComfyUI counts of any loaded model."""
    state = module.state_dict()
    return {"network": type(module).__name__, "values": modules.values_of(state),
            "bytes": patcher.model_size(), **modules.facts_of(patcher)}


def model_facts(patcher):
    settings = diffusion.plain(patcher.model.model_config.unet_config)
    return {"part": "model", **diffusion.facts_of(patcher), "settings": settings}


def diffusion_file(state, metadata):
    return [model_facts(diffusion.load(state, metadata))]


def checkpoint_file(state, metadata):
    """A checkpoint's model, and its text encoder and VAE where it has them."""
    import comfy.sd
    loader = comfy.sd.load_state_dict_guess_config
    more = takes(loader, output_clipvision=False, metadata=metadata, disable_dynamic=True)
    with without_tokenizers():
        found = look.without_memory(lambda: loader(dict(state), **more), elsewhere=True)
    if not found or found[0] is None:
        raise diffusion.NotRecognised("ComfyUI's detection knows no model with these tensors")
    model, clip, vae = found[:3]
    parts = [model_facts(model)]
    if clip is not None:
        parts.append(text_encoder_facts(clip))
    if vae is not None and vae.first_stage_model is not None:
        parts.append(vae_facts(vae))
    return parts


# ---- text encoders -------------------------------------------------------------------------------


class without_tokenizers:
    """Text encoders whose tokenizers are not made: some need files, none has weights."""

    def __enter__(self):
        import comfy.sd
        self.real = real = comfy.sd.CLIP

        class Clip(real):
            def __init__(self, target=None, *words, **more):
                if target is not None:
                    target.tokenizer = lambda **_: None
                super().__init__(target, *words, **more)

        comfy.sd.CLIP = Clip

    def __exit__(self, *_):
        import comfy.sd
        comfy.sd.CLIP = self.real


class Tokens(dict):
    """As many tokens as asked for, under whatever name an encoder looks for them."""

    def __init__(self, count):
        super().__init__()
        self.pairs = [[(7, 1.0)] * count]

    def get(self, name, default=None):
        return default if isinstance(default, dict) else self.pairs

    __getitem__ = get


def text_encoder_file(state, _metadata):
    """As CLIPLoader has it by itself, or by the first of its types that these tensors fit: types
    differ in what is around the encoder."""
    import comfy.sd
    loader = comfy.sd.load_text_encoder_state_dicts
    kind = comfy.sd.detect_te_model(state)
    types = list(comfy.sd.CLIPType)
    for clip_type in types:
        more = takes(loader, disable_dynamic=True, clip_type=clip_type)
        try:
            with without_tokenizers():
                clip = look.without_memory(lambda: loader([dict(state)], **more), elsewhere=True)
            break
        except RuntimeError:  # of other dimensions
            if clip_type is types[-1]:
                raise
    return [{"encoder": kind.name if kind else None, "type": clip_type.name.lower(),
             **text_encoder_facts(clip)}]


def text_encoder_facts(clip):
    model = clip.cond_stage_model
    found = {"part": "text_encoder", **counted(clip.patcher, model),
             "stored": sorted({look.type_name(dtype) for dtype in model.dtypes})}
    if hasattr(model, "memory_estimation_function"):
        found["asked"] = {"encode": asked.form_of_one(
            lambda shape: model.memory_estimation_function(Tokens(shape[0]), device="meta"))}
    return found


# ---- VAEs, control nets, what sees, what enlarges ------------------------------------------------


def vae_file(state, metadata):
    import comfy.sd
    vae = look.without_memory(
        lambda: comfy.sd.VAE(sd=dict(state), **takes(comfy.sd.VAE, metadata=metadata)),
        elsewhere=True)
    if vae.first_stage_model is None:
        raise diffusion.NotRecognised("ComfyUI knows no VAE with these tensors")
    return [vae_facts(vae)]


def ratio(value):
    """Frames, height and width to one, where a version says them as numbers."""
    if isinstance(value, (tuple, list)):
        return [one if isinstance(one, (int, float)) else None for one in value]
    return value if isinstance(value, (int, float)) else None


def tiles_of(vae):
    """Tile sizes that nobody chose: the defaults of ComfyUI's own functions."""
    found = {}
    for name in dir(type(vae)):
        if re.fullmatch(r"(en|de)code_tiled_(1d|3d)?", name):
            parameters = inspect.signature(getattr(vae, name)).parameters.values()
            found[name.strip("_")] = {p.name: diffusion.plain(p.default) for p in parameters
                                      if p.default is not p.empty}
    return found


def vae_facts(vae):
    dims = getattr(vae, "latent_dim", 2)
    dtype, channels = vae.vae_dtype, vae.latent_channels
    pixels = getattr(vae, "output_channels", 3)
    return {"part": "vae", **counted(vae.patcher, vae.first_stage_model),
            "latent": {"channels": channels, "dimensions": dims},
            "stored": look.type_name(dtype),
            "types": [look.type_name(one) for one in getattr(vae, "working_dtypes", [])],
            "upscale": ratio(getattr(vae, "upscale_index_formula", None) or vae.upscale_ratio),
            "downscale": ratio(getattr(vae, "downscale_index_formula", None)
                               or vae.downscale_ratio),
            "whole": bool(getattr(vae, "disable_offload", False)),
            "tiles": tiles_of(vae),
            "asked": {
                "decode": asked.form_of(lambda n: vae.memory_used_decode(n, dtype), channels, dims),
                "encode": asked.form_of(lambda n: vae.memory_used_encode(n, dtype), pixels, dims)}}


def controlnet_file(state, _metadata):
    import comfy.controlnet
    import torch
    net = look.without_memory(lambda: comfy.controlnet.load_controlnet_state_dict(dict(state)),
                              elsewhere=True)
    if net is None:
        raise diffusion.NotRecognised("ComfyUI knows no control net with these tensors")
    found = {"part": "controlnet", "class": type(net).__name__,
             "beside": int(net.inference_memory_requirements(torch.bfloat16))}
    patcher = getattr(net, "control_model_wrapped", None)
    if patcher is not None:
        found.update(counted(patcher, patcher.model))
        found["stored"] = look.type_name(next(patcher.model.parameters()).dtype)
    return [found]


def vision_file(state, _metadata):
    import comfy.clip_vision
    other = "visual.transformer.resblocks.0.attn.in_proj_weight" in state
    more = {"prefix": "visual.", "convert_keys": True} if other else {}
    net = look.without_memory(
        lambda: comfy.clip_vision.load_clipvision_from_sd(dict(state), **more), elsewhere=True)
    if net is None:
        raise diffusion.NotRecognised("ComfyUI knows no vision encoder with these tensors")
    return [{"part": "vision", **counted(net.patcher, net.model),
             "stored": look.type_name(net.dtype)}]


def upscaler_file(state, _metadata):
    """spandrel is what ComfyUI's own node asks; it loads them in the type of the file, and reads
    numbers back: these get zeros for bytes."""
    import comfy.utils
    import torch
    from spandrel import ModelLoader
    state = {name: torch.zeros(tensor.shape, dtype=tensor.dtype) for name, tensor in state.items()}
    if "module.layers.0.residual_group.blocks.0.norm1.weight" in state:
        state = comfy.utils.state_dict_prefix_replace(state, {"module.": ""})
    found = ModelLoader().load_from_state_dict(state)
    weights = found.model.state_dict()
    return [{"part": "upscaler", "class": found.architecture.name, "scale": found.scale,
             "network": type(found.model).__name__, "values": modules.values_of(weights),
             "bytes": modules.size_of(weights)}]


LORA_ENDS = re.compile(r"\.?(lora_up|lora_down|lora_A|lora_B|lora\.up|lora\.down|hada_w\w+|"
                       r"lokr_w\w+|diff|diff_b|alpha|dora_scale|w_norm|b_norm|set_weight|"
                       r"reshape_weight|_lora\.up|_lora\.down)(\.default)?(\.weight|\.bias)?$")


def lora_file(state, _metadata):
    """Which layers it changes, by the file's own names, and how much it is."""
    ranks, layers = set(), {}
    for name, tensor in state.items():
        layers.setdefault(LORA_ENDS.sub("", name), 0)
        if re.search(r"lora(_down|_A|\.down)", name) and tensor.dim() > 1:
            ranks.add(tensor.shape[0])
    return [{"part": "lora", "values": modules.values_of(state), "bytes": modules.size_of(state),
             "ranks": sorted(ranks), "layers": len(layers), "patches": keys.folded_set(layers)}]


LOADERS = {"diffusion_models": diffusion_file, "checkpoints": checkpoint_file,
           "text_encoders": text_encoder_file, "vae": vae_file, "controlnet": controlnet_file,
           "clip_vision": vision_file, "upscale_models": upscaler_file, "loras": lora_file}


def facts_of(path, folder):
    """What ComfyUI makes of a file that lies in a folder of this kind."""
    state, metadata, data, size = state_of(path)
    return {"header": header.hash_of(data), "file_bytes": size,
            "file_values": modules.values_of(state),
            "parts": LOADERS[folder](state, metadata)}


def folders(checkout, models):
    """{kind: folders} as ComfyUI itself has them; with `models` those below another folder."""
    import folder_paths
    before = os.path.normpath(folder_paths.models_dir)
    extra = os.path.join(checkout, "extra_model_paths.yaml")
    if not models and os.path.isfile(extra):
        import utils.extra_config
        utils.extra_config.load_extra_path_config(extra)
    found = {}
    for kind in LOADERS:
        kind = {"diffusion_models": "unet", "text_encoders": "clip"}.get(kind, kind) \
            if kind not in folder_paths.folder_names_and_paths else kind
        paths = [os.path.normpath(path) for path in folder_paths.get_folder_paths(kind)]
        if models:
            paths = [os.path.join(models, os.path.relpath(path, before)) for path in paths
                     if path.startswith(before + os.sep)]
        found[kind] = paths
    return found
