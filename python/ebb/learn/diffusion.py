# SPDX-License-Identifier: Apache-2.0
"""Diffusion models: a set of tensors without bytes through ComfyUI's own detection and loader."""
import inspect

from . import asked, keys, look, modules


class NotRecognised(Exception):
    """ComfyUI's own detection does not know these tensors."""


def plain(value):
    """A setting as JSON can hold it; types of PyTorch by their name."""
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return str(value).rpartition(".")[2][:80]


def latent_facts(latent):
    """The latent that a class works on; null where this version does not say it."""
    return {"format": type(latent).__name__,
            "channels": getattr(latent, "latent_channels", None),
            "dimensions": getattr(latent, "latent_dimensions", 2),
            "spatial": plain(getattr(latent, "spacial_downscale_ratio",
                                     getattr(latent, "spatial_downscale_ratio", None))),
            "temporal": plain(getattr(latent, "temporal_downscale_ratio", None))}


def detect(state, metadata=None):
    """ComfyUI's configuration for the tensors of a network, or None; and what it read."""
    import comfy.model_detection as detection
    watched = keys.Watched(state)
    more = {}
    if "metadata" in inspect.signature(detection.model_config_from_unet).parameters:
        more = {"metadata": metadata}
    return detection.model_config_from_unet(watched, "", **more), watched


def load(state, metadata=None):
    """ComfyUI's own loader."""
    import comfy.sd
    loader = comfy.sd.load_diffusion_model_state_dict
    known = inspect.signature(loader).parameters
    more = {"metadata": metadata, "disable_dynamic": True}
    more = {key: value for key, value in more.items() if key in known}
    patcher = look.without_memory(lambda: loader(dict(state), **more))
    if patcher is None:
        raise NotRecognised("ComfyUI's detection knows no model with these tensors")
    return patcher


def facts_of(patcher):
    """What ComfyUI counts of a loaded model, and what it asks for a step."""
    model = patcher.model
    latent = model.latent_format
    state = model.diffusion_model.state_dict()
    found = {"class": type(model.model_config).__name__,
             "network": type(model.diffusion_model).__name__,
             "latent": latent_facts(latent),
             "factor": model.memory_usage_factor,
             "values": modules.values_of(state),
             "bytes": patcher.model_size(),
             "stored": look.type_name(model.get_dtype()),
             "computed_in": look.type_name(model.manual_cast_dtype or model.get_dtype()),
             **modules.facts_of(patcher)}
    found["asked"] = asked.facts_of(model, found["latent"]["channels"] or 4,
                                    found["latent"]["dimensions"] or 2)
    return found
