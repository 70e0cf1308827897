# SPDX-License-Identifier: Apache-2.0
"""Inside ComfyUI's Python: imports the checkout without a GPU, and has it load models as it would
for a card, with tensors of PyTorch's meta device, which have shapes and types and no bytes.

Every way into ComfyUI's code that the collector takes starts here.
"""
import contextlib
import logging
import os
import sys
import warnings

GIB = 1 << 30
# The card that ComfyUI is told about: what decides which types it computes in.
CARD = {"kind": "NVIDIA with bf16 and without fp8 kernels (compute capability 8.0 to 8.8)",
        "vram": 24 * GIB}
DEVICES = ("get_torch_device", "unet_offload_device", "unet_inital_load_device", "vae_device",
           "vae_offload_device", "text_encoder_device", "text_encoder_offload_device",
           "text_encoder_initial_device", "intermediate_device")
SUPPORTED = ("should_use_fp16", "should_use_bf16", "supports_cast", "supports_dtype", "is_nvidia")
LACKING = ("supports_fp8_compute", "supports_nvfp4_compute", "supports_mxfp8_compute",
           "supports_int8_compute", "is_amd", "cpu_mode", "xformers_enabled",
           "xformers_enabled_vae")


def import_checkout(folder):
    """Makes `comfy` importable as a run on a machine without a GPU would. Custom nodes are not
    imported, and nothing is written into the checkout."""
    sys.path.insert(0, folder)
    sys.argv = ["main.py", "--cpu", "--use-pytorch-cross-attention"]
    sys.dont_write_bytecode = True
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")  # one a tensor: that nothing is copied
    makedirs, mkdir = os.makedirs, os.mkdir
    os.makedirs = os.mkdir = lambda *_, **__: None
    try:
        import comfy.options
        comfy.options.enable_args_parsing()
        import torch
        torch.set_num_threads(1)
        import comfy.model_detection
        import comfy.sd
        import comfy.supported_models
        import folder_paths  # noqa: F401  it makes folders when it is imported
    finally:
        os.makedirs, os.mkdir = makedirs, mkdir
    simulate_card()


def simulate_card():
    """ComfyUI asks these of its model_management; with --cpu they speak of a machine without."""
    import comfy.model_management as management
    import torch
    meta = torch.device("meta")

    def answer(names, value):
        for name in names:
            if hasattr(management, name):
                setattr(management, name, lambda *_, **__: value)

    answer(DEVICES, meta)
    answer(SUPPORTED, True)
    answer(LACKING, False)
    # Whether a plain fp8 file stays so where fp8 can't be computed in depends on the room for
    # weights: as on a card that it does not fit in two bytes a value.
    answer(["maximum_vram_for_weights"], 0)

    def memory(*_, torch_total_too=False, torch_free_too=False, **__):
        return (CARD["vram"],) * 2 if torch_total_too or torch_free_too else CARD["vram"]

    management.get_total_memory = management.get_free_memory = memory


@contextlib.contextmanager
def attention(flash):
    """The branch of estimates: PyTorch's fused attention or xformers on the card, or neither."""
    import comfy.model_management as management
    before = management.pytorch_attention_flash_attention
    management.pytorch_attention_flash_attention = lambda: flash
    try:
        yield
    finally:
        management.pytorch_attention_flash_attention = before


def without_memory(make, elsewhere=False):
    """`make()` with the networks of supported_models on the meta device: what ComfyUI computes
    beside them, such as tables of sigmas, is real and small. Where a constructor reads numbers
    back, the network is on the CPU; what nothing writes into takes no memory there, either.
    `elsewhere`: whatever else is made is on the meta device, too."""
    import torch
    for device in ("meta", "cpu"):
        place = torch.device("meta") if elsewhere and device == "meta" else contextlib.nullcontext()
        try:
            with torch.no_grad(), place, networks_on(device):
                return make()
        except (RuntimeError, NotImplementedError, TypeError) as error:
            if device == "cpu" or "meta" not in str(error):
                raise
    return None


@contextlib.contextmanager
def networks_on(device):
    """Loaders leave it to ComfyUI where a network is made."""
    import comfy.supported_models
    import torch
    real = {}
    for cls in {base for model in comfy.supported_models.models for base in model.__mro__}:
        if "get_model" in vars(cls):
            real[cls] = cls.get_model

            def get_model(self, state, prefix="", device=None, real=cls.get_model):
                return real(self, state, prefix, torch.device(place))

            cls.get_model = get_model
    place = device
    try:
        yield
    finally:
        for cls, function in real.items():
            cls.get_model = function


def type_name(dtype):
    return str(dtype).rpartition(".")[2]
