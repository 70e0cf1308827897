# SPDX-License-Identifier: Apache-2.0
"""Nodes for the tests of Ebb's own nodes: they look at values, fail, hold models. Never shipped."""
import gc
import hashlib
import os

COUNTED = ("WAN21", "WAN22", "SD3ClipModel_", "WanVAE")


def alive():
    """How many modules of each counted class exist in this process."""
    count = {}
    for each in gc.get_objects():
        name = type(each).__name__
        if name in COUNTED and hasattr(each, "state_dict"):
            count[name] = count.get(name, 0) + 1
    return count


class Any(str):
    def __ne__(self, other):
        return False

    __hash__ = str.__hash__


class Look:
    """Tells a latent's bytes as a hash, the object's id, and which models are in memory."""
    CATEGORY, FUNCTION, RETURN_TYPES = "test", "run", ("LATENT",)

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"latent": ("LATENT",), "mark": ("STRING", {"default": ""})}}

    def run(self, latent, mark):
        data = latent["samples"].contiguous().cpu().numpy().tobytes()
        return {"ui": {"hash": [hashlib.sha256(data).hexdigest()], "object": [id(latent)],
                       "alive": [alive()]}, "result": (latent,)}


class Fail:
    """Raises while a file named in EBB_TEST_FAIL exists."""
    CATEGORY, FUNCTION, RETURN_TYPES = "test", "run", ("MODEL",)

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"model": ("MODEL",)}}

    def run(self, model):
        def wrapper(apply, arguments):
            if os.path.exists(os.environ.get("EBB_TEST_FAIL", "")):
                raise RuntimeError("failed on purpose")
            return apply(arguments["input"], arguments["timestep"], **arguments["c"])
        clone = model.clone()
        clone.set_model_unet_function_wrapper(wrapper)
        return (clone,)


class Hold:
    """Keeps the model on the node object, as some packs do."""
    CATEGORY, FUNCTION, RETURN_TYPES = "test", "run", ("MODEL",)

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"model": ("MODEL",)}}

    def run(self, model):
        self.kept = model
        return (model,)


class Pipe:
    """Hands on a model and a latent together, as pipe nodes do."""
    CATEGORY, FUNCTION, RETURN_TYPES = "test", "run", ("MODEL", "LATENT")

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"model": ("MODEL",), "latent": ("LATENT",)}}

    def run(self, model, latent):
        return (model, latent)


class Text:
    """A conditioning of Wan's width made of a text's hash: no text encoder is in memory."""
    CATEGORY, FUNCTION, RETURN_TYPES = "test", "run", ("CONDITIONING",)

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"text": ("STRING", {"default": ""})}}

    def run(self, text):
        import torch

        seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "little")
        values = torch.randn(1, 77, 4096, generator=torch.Generator().manual_seed(seed))
        return ([[values, {}]],)


NODE_CLASS_MAPPINGS = {"EbbTestText": Text, "EbbTestLook": Look, "EbbTestFail": Fail,
                       "EbbTestHold": Hold, "EbbTestPipe": Pipe}
