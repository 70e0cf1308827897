# SPDX-License-Identifier: Apache-2.0
"""The classes of comfy/supported_models.py, in the order in which detection tries them."""
import contextlib
import types

from . import asked, diffusion, keys, look, modules

# Networks that have no dimensions of their own, and whose model these are.
DIMENSIONS = {
    "SeedVR2": ("SeedVR2 3B", dict(norm_eps=1e-5, num_layers=32, mlp_type="swiglu", vid_dim=2560,
                                   heads=20, vid_out_norm=True)),
    "StableAudio3": ("Stable Audio 3", dict(timestep_features_type="expo", embed_dim=1536, depth=24,
                                            io_channels=256, num_heads=24, global_cond_dim=768,
                                            project_cond_tokens=False)),
}
STORED = ("float32", "float16", "bfloat16", "float8_e4m3fn")


def every():
    import comfy.supported_models
    return comfy.supported_models.models


@contextlib.contextmanager
def lenient():
    """Models that load a part of the checkpoint while they are made: there is none."""
    import torch
    real = torch.nn.Module.load_state_dict

    def load(self, state, *args, **more):
        return real(self, state, *args, **more) if state else None

    torch.nn.Module.load_state_dict = load
    try:
        yield
    finally:
        torch.nn.Module.load_state_dict = real


def make(config):
    """The model of a configuration, without memory."""
    with lenient():
        return look.without_memory(lambda: config.get_model({}, "")).to("meta")


def without_network(cls, settings):
    """The model around a network that can't be built: enough to ask it for its estimate."""
    settings = {"in_channels": 4, **settings, "disable_unet_model_creation": True}
    config = cls(settings)
    config.set_inference_dtype(two_bytes(config), None)
    model = make(config)
    model.diffusion_model = types.SimpleNamespace(dtype=two_bytes(config))
    return config, model


def two_bytes(config):
    """The type that the card of look.CARD computes this class in."""
    import comfy.model_management as management
    return management.unet_dtype(supported_dtypes=config.supported_inference_dtypes)


def base_facts(cls, order, config):
    return {"class": cls.__name__, "order": order,
            "factor": config.memory_usage_factor,
            "latent": diffusion.latent_facts(config.latent_format),
            "types": [look.type_name(one) for one in config.supported_inference_dtypes],
            "settings": diffusion.plain(cls.unet_config),
            "required": sorted(cls.required_keys)}


def stored_as(state, dtype):
    """The tensors of a file whose weights are of one type."""
    import torch
    return {name: torch.empty(tensor.shape, device="meta",
                              dtype=dtype if tensor.is_floating_point() else tensor.dtype)
            for name, tensor in state.items()}


def loaded_as(config, state):
    """{type of a file's weights: a loaded model}. Types that are loaded alike are loaded once."""
    import comfy.model_management as management
    import torch
    values, patchers = modules.values_of(state), {}
    for name in STORED:
        kept = management.unet_dtype(model_params=values, weight_dtype=getattr(torch, name),
                                     supported_dtypes=config.supported_inference_dtypes)
        if kept not in patchers:
            patchers[kept] = diffusion.load(stored_as(state, getattr(torch, name)))
        yield name, patchers[kept]


def built_facts(cls, config, source):
    """Sizes of a class whose network could be built from a configuration."""
    import comfy.model_patcher
    config.set_inference_dtype(two_bytes(config), None)
    model = make(config)
    state = dict(model.diffusion_model.state_dict())
    detected, watched = diffusion.detect(state)
    name = type(detected).__name__ if detected else None
    sizes, why = {}, "detection takes it for another"
    patcher = comfy.model_patcher.ModelPatcher(model, "meta", "meta")
    if name == cls.__name__:
        try:
            loaded = dict(loaded_as(config, state))
            network = loaded["bfloat16"].model.diffusion_model
            if modules.values_of(network.state_dict()) != modules.values_of(state):
                raise RuntimeError("detection gives it other dimensions")
            patcher, why = loaded["bfloat16"], None
            sizes = {stored: one.model_size() for stored, one in loaded.items()}
        except RuntimeError as error:  # detection fixes dimensions that these are not
            why = str(error)[:200]
    found = diffusion.facts_of(patcher)
    sizes = sizes or {found["stored"]: found["bytes"]}
    for key in ("latent", "class", "bytes"):
        found.pop(key)
    if why:
        found["not_loaded"] = why
    return {"dimensions": source, "detected_as": name, "bytes": sizes, **found,
            "keys": keys.folded_set(state), "read": watched.read}


def facts_of(order):
    cls = every()[order]
    source, more = DIMENSIONS.get(cls.__name__, ("ComfyUI's defaults", {}))
    settings = {**cls.unet_config, **more}
    try:
        config = cls(dict(settings))
        built = built_facts(cls, config, source)
        return {**base_facts(cls, order, config), **built}
    except Exception as error:  # a network that has no dimensions of its own
        why = f"{type(error).__name__}: {error}"[:200]
    config, model = without_network(cls, settings)
    found = base_facts(cls, order, config)
    found["asked"] = asked.facts_of(model, found["latent"]["channels"] or 4,
                                    found["latent"]["dimensions"] or 2)
    found["computed_in"] = look.type_name(two_bytes(config))
    found["not_built"] = why
    return found
