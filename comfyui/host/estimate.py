# SPDX-License-Identifier: Apache-2.0
"""ComfyUI's estimate of what a pass needs beside its weights, and another number in its place."""
from ..log import log
from .about import module


def with_budget(patcher, decide):
    """A clone whose sampling asks `decide(model, latent shape, asked bytes)` how much to reserve.

    Uses ComfyUI's own wrapper around the preparation of sampling. The estimate is linear in the
    latent's area, so the latent's shape is scaled until the estimate is what was decided; nothing
    of the model changes. None where a version has no such wrapper.
    """
    wrappers = getattr(module("comfy.patcher_extension"), "WrappersMP", None)
    helpers, kind = module("comfy.sampler_helpers"), getattr(wrappers, "PREPARE_SAMPLING", None)
    if kind is None or not hasattr(helpers, "estimate_memory"):
        return None
    clone = patcher.clone()
    if not hasattr(clone, "add_wrapper_with_key"):
        return None

    def prepare(executor, model, noise_shape, conds, *rest, **options):
        shape = list(noise_shape)
        try:
            full = helpers.estimate_memory(model, shape, conds)[1]
            fixed = helpers.estimate_memory(model, shape[:-1] + [0], conds)[1]
            wanted = decide(model.model, shape, full)
            if wanted is not None and full > fixed:
                scale = max(0.0, (wanted - fixed) / (full - fixed))
                shape = shape[:-1] + [shape[-1] * scale]
        except Exception as error:
            log.warning("[Ebb] budget left as it was: %s: %s", type(error).__name__, error)
            shape = noise_shape
        return executor(model, shape, conds, *rest, **options)

    if hasattr(clone, "remove_wrappers_with_key"):
        clone.remove_wrappers_with_key(kind, "ebb_budget")
    clone.add_wrapper_with_key(kind, "ebb_budget", prepare)
    return clone


def model_config(model):
    """The dimensions that ComfyUI read off a diffusion model's file; {} if it is none."""
    config = getattr(getattr(model, "model_config", None), "unet_config", None)
    return config if isinstance(config, dict) else {}
