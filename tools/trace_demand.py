#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Traces what one step of each model of a ComfyUI checkout needs beside weights.

usage: trace_demand.py COMFYUI_DIR [--only KEY ...] [--out ROWS.jsonl] [--list] [--verbose]
                       [--flops]

Builds the checkout's own model classes at their published sizes (trace_models.py) on PyTorch's meta
device (no weights, no GPU, no arithmetic), runs one forward, and records every allocation and
release of a tensor's storage. One JSON object a line:

  key, what (sample, decode, encode, upscale), width, height, frames, batch, version, torch, dtype
  live       bytes allocated at the peak: activations and inputs, without weights
  reserved   what PyTorch's caching allocator would take from the driver for the same stream
  tokens, hidden, units    live = units * tokens * hidden * element size (models with tokens)
  cast       bytes of the largest weight of the blocks, added while it is cast from another type
  weights    bytes of all weights in the computing type
  flops      with --flops, in place of live and reserved: floating-point operations of the call,
             counted by PyTorch's flop counter; of these attention's
  error      in place of the figures, where the checkout lacks the model or the forward failed

Attention counts as a fused kernel (FlashAttention, memory-efficient): output and log-sum-exp, no
score matrix. Workspaces of kernels are not counted. Needs the Python that ComfyUI runs with.
"""
import argparse
import bisect
import importlib
import inspect
import json
import os
import sys
import time
import weakref

from trace_models import MODELS, UPSCALERS, VAES, Model, Upscaler

MIB = 1024 * 1024


class CachingAllocator:
    """PyTorch's CUDA caching allocator at its defaults: pools, segments, splitting, best fit."""

    SMALL, SMALL_SEGMENT, LARGE_SEGMENT, LARGE_FROM = MIB, 2 * MIB, 20 * MIB, 10 * MIB

    def __init__(self):
        self.reserved = 0
        self.free_blocks = {True: [], False: []}  # by "is small": sorted (size, start)
        self.blocks = {}  # start -> [size, small, free, start of the one before, and after]
        self.next_start = 0

    def allocate(self, size):
        size = max(512, -(-size // 512) * 512)
        small = size <= self.SMALL
        pool = self.free_blocks[small]
        at = bisect.bisect_left(pool, (size, -1))
        if at < len(pool):
            start = pool.pop(at)[1]
        else:
            start = self.new_segment(size, small)
        block = self.blocks[start]
        block[2] = False
        rest = block[0] - size
        if rest >= 512 if small else rest > self.SMALL:
            self.blocks[start + size] = [rest, small, True, start, block[4]]
            if block[4] is not None:
                self.blocks[block[4]][3] = start + size
            block[0], block[4] = size, start + size
            bisect.insort(pool, (rest, start + size))
        return start

    def new_segment(self, size, small):
        if small:
            segment = self.SMALL_SEGMENT
        elif size < self.LARGE_FROM:
            segment = self.LARGE_SEGMENT
        else:
            segment = -(-size // (2 * MIB)) * 2 * MIB
        start = self.next_start
        self.next_start += segment + MIB  # a gap, so that segments never look like neighbours
        self.blocks[start] = [segment, small, True, None, None]
        self.reserved += segment
        return start

    def release(self, start):
        size, small, _, before, after = self.blocks[start]
        pool = self.free_blocks[small]
        if before is not None and self.blocks[before][2]:
            pool.remove((self.blocks[before][0], before))
            del self.blocks[start]
            size += self.blocks[before][0]
            start, before = before, self.blocks[before][3]
        if after is not None and self.blocks[after][2]:
            pool.remove((self.blocks[after][0], after))
            size += self.blocks[after][0]
            after = self.blocks.pop(after)[4]
        if after is not None:
            self.blocks[after][3] = start
        self.blocks[start] = [size, small, True, before, after]
        bisect.insort(pool, (size, start))


def import_checkout(folder):
    """Makes `comfy` importable as a run on a machine without a GPU would."""
    sys.path.insert(0, folder)
    sys.argv = ["trace_demand", "--cpu", "--use-pytorch-cross-attention"]
    import comfy.options
    comfy.options.enable_args_parsing()
    import comfy.ops
    scope = {}
    with open(os.path.join(folder, "comfyui_version.py"), encoding="utf-8") as f:
        exec(f.read(), scope)  # one assignment
    return scope["__version__"]


def make_tracker():
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_iter

    class Tracker(TorchDispatchMode):
        """Live bytes of storages: views share one, weights are those known beforehand."""

        def __init__(self, known):
            super().__init__()
            self.held = {}
            for tensor in known:
                self.held[tensor.untyped_storage()._cdata] = None
            self.live = self.peak = self.operations = 0
            self.allocator = CachingAllocator()
            self.at_peak = ""

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            if func.overloadpacket in (torch.ops.aten.index, torch.ops.aten.index_put_):
                args = self.even_share(args)
            if func is torch.ops.aten.copy_.default and self.leaves(args):
                return args[0]
            out = func(*args, **(kwargs or {}))
            self.operations += 1
            for item in tree_iter(out):
                if isinstance(item, torch.Tensor):
                    self.see(item, func)
            return out

        @staticmethod
        def leaves(args):
            """Results that are written to RAM piece by piece: there is nothing to copy."""
            return args[0].device.type == "cpu" and args[1].device.type == "meta"

        @staticmethod
        def even_share(args):
            """Which of four experts gets a token depends on data: each gets its even share."""
            chosen = args[1][0]
            if chosen is None or chosen.dtype != torch.bool:
                return args
            taken = torch.empty(chosen.numel() // 4, dtype=torch.int64, device=chosen.device)
            return (args[0], [taken], *args[2:])

        def see(self, tensor, func):
            storage = tensor.untyped_storage()
            key = storage._cdata
            if key in self.held or tensor.device.type != "meta":
                return
            size = storage.nbytes()
            if size == 0:
                return
            place = self.allocator.allocate(size)
            self.held[key] = weakref.ref(storage, lambda _: self.gone(key, size, place))
            self.live += size
            if self.live > self.peak:
                self.peak, self.at_peak = self.live, str(func)

        def gone(self, key, size, place):
            self.held.pop(key, None)
            self.live -= size
            self.allocator.release(place)

    return Tracker


counting = False  # operations rather than bytes
attention_flops = 0  # so far: the fused kernel below hides them from the flop counter


def patch_kernels():
    """Fused kernels in place of what meta tensors would be decomposed into."""
    import torch

    def attention(q, k, v, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None,
                  enable_gqa=False):
        global attention_flops
        attention_flops += 2 * q[..., 0].numel() * k.shape[-2] * (q.shape[-1] + v.shape[-1])
        out = torch.empty_like(q)
        if v.shape[-1] != q.shape[-1]:
            out = q.new_empty((*q.shape[:-1], v.shape[-1]))
        if q.shape[-1] > 256:  # the memory-efficient kernel sums up in 32 bits
            torch.empty(q.shape, dtype=torch.float32, device=q.device)
        else:
            torch.empty(q.shape[:-1], dtype=torch.float32, device=q.device)
        return out

    def rms_norm(input, normalized_shape, weight=None, eps=None):
        torch.empty(input.shape[:input.dim() - len(normalized_shape)], dtype=torch.float32,
                    device=input.device)
        return torch.empty_like(input, memory_format=torch.contiguous_format)

    def even_counts(chosen):
        """How many tokens each of eight experts gets depends on data: an even share."""
        return torch.full((8,), chosen.numel() // 8, dtype=torch.int64)

    torch.Tensor.bincount = even_counts
    torch.nn.functional.scaled_dot_product_attention = attention
    torch.nn.functional.rms_norm = rms_norm
    torch.rms_norm = rms_norm
    import comfy.model_management
    import comfy.rmsnorm
    if hasattr(comfy.rmsnorm, "rms_norm_torch"):
        comfy.rmsnorm.rms_norm_torch = rms_norm
    # Newer VAEs choose the size of a piece by the size of the card: one of 24 GiB or more.
    comfy.model_management.get_total_memory = lambda dev=None, torch_total_too=False: (
        (24 << 30, 24 << 30) if torch_total_too else 24 << 30)


# ---- one run -------------------------------------------------------------------------------------


def find_class(place):
    module, name = place.split(":")
    module = importlib.import_module(module)
    return module, getattr(module, name)


def known_settings(cls):
    """Names that this version of the class takes, through a dataclass of its module or not."""
    parameters = dict(inspect.signature(cls.__init__).parameters)
    known = set(parameters)
    for name in ("ChromaRadianceParams", "FluxParams", "HunyuanVideoParams", "ChromaParams"):
        for base in cls.__mro__:
            fields = getattr(sys.modules[base.__module__], name, None)
            if fields and name.startswith(base.__name__):
                for part in fields.__mro__:
                    known |= set(getattr(part, "__annotations__", {}))
                return known, False
    return known, any(p.kind is p.VAR_KEYWORD for p in parameters.values())


def accepted(cls, config):
    """Those settings that this version of the class knows."""
    known, takes_any = known_settings(cls)
    return {k: v for k, v in config.items() if takes_any or k in known}


def build(spec):
    import comfy.ops
    import torch
    module, cls = find_class(spec.place)
    if spec.needs and spec.needs not in known_settings(cls)[0] | set(
            inspect.getsource(module).replace('"', " ").split()):
        raise ImportError(f"this version's {cls.__name__} lacks {spec.needs}")
    config = {k: getattr(torch, v) if k.endswith("_dtype") else v for k, v in spec.config.items()}
    dtype = getattr(torch, spec.dtype)
    if isinstance(spec, Model):
        config = accepted(cls, config)
        if "NextDiT" in spec.place and "z_image_modulation" not in known_settings(cls)[0]:
            config.pop("ffn_dim_multiplier")  # older code has the 4 inside
        config.update(dtype=dtype, device="meta", operations=comfy.ops.disable_weight_init)
    elif cls.__init__ is not torch.nn.Module.__init__ and "Engine" not in spec.place:
        config = config if "Autoencoder" in spec.place else accepted(cls, config)
    if isinstance(spec, Model):  # they keep some weights in 32 bits on purpose
        model = cls(**config).eval().to("meta")
        if spec.control:
            # Before the call: what an import catches would keep tensors of the call alive.
            import comfy.controlnet  # noqa: F401
            model.control = build(spec.control)
        return model
    try:
        with torch.device("meta"):
            model = cls(**config)
    except RuntimeError:  # its constructor reads numbers back
        model = cls(**config)
    return model.eval().to("meta", dtype)


def latent_shape(spec, size, batch, channels):
    width, height = size[0] // spec.spatial, size[1] // spec.spatial
    if isinstance(spec, Model) and spec.flat:
        return (batch, channels, width)
    if not spec.temporal and len(size) > 2:  # a video as a batch of pictures
        return (batch * size[2], channels, height, width)
    if not spec.temporal:
        return (batch, channels, height, width)
    frames = size[2] if len(size) > 2 else 1
    return (batch, channels, (frames - 1) // spec.temporal + 1, height, width)


def count(spec, call):
    """Floating-point operations of one call."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode
    before = attention_flops
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        call(lambda *shape, dtype=getattr(torch, spec.dtype): torch.empty(
            shape, dtype=dtype, device="meta"))
    attention = attention_flops - before
    return {"live": 0, "flops": counter.get_total_flops() + attention, "attention": attention}


def run(model, spec, call):
    """Peak and reserved bytes of one call, which gets a maker of tensors on the meta device."""
    import torch
    if counting:
        return count(spec, call)
    dtype = getattr(torch, spec.dtype)
    known = [*model.parameters(), *model.buffers()]
    tracker = make_tracker()(known)

    def make(*shape, dtype=dtype):
        return torch.empty(shape, dtype=dtype, device="meta")

    with torch.no_grad(), tracker:
        call(make)
    return {"live": tracker.peak, "reserved": tracker.allocator.reserved,
            "cast": largest_repeated_weight(model),
            "weights": sum(p.numel() * p.element_size() for p in model.parameters()),
            "operations": tracker.operations, "at": tracker.at_peak}


def largest_repeated_weight(model):
    """Of the blocks, which are in work at the peak; what stands alone runs before or after."""
    sizes = {}
    for p in model.parameters():
        key = (tuple(p.shape), p.dtype)
        sizes.setdefault(key, []).append(p.numel() * p.element_size())
    return max((of[0] for of in sizes.values() if len(of) > 3), default=0)


def controlled(net, x, t, hints, extra):
    """What ControlNets hand to the model: each adds what the one before it made, through ComfyUI's
    own merging."""
    merge = sys.modules["comfy.controlnet"].ControlBase().control_merge
    merged = None
    for hint in hints:
        out = net(x=x, hint=hint, timesteps=t.to(x.dtype), **extra)
        merged = merge(out, merged, None)
    return merged


def sample(model, spec, size, batch):
    import torch
    shape = latent_shape(spec, size, batch, spec.channels_in)

    def call(make):
        extra = spec.inputs(make, shape) if spec.inputs else {}
        x = extra.pop("x", None)
        x = make(*shape) if x is None else x
        t = make(shape[0], dtype=torch.float32)
        if spec.text:
            extra["context"] = make(shape[0], *spec.text)
        hints = [spec.hint(make, shape) for _ in range(spec.nets)] if spec.control else []
        if hints:  # a ControlNet keeps its picture until the last step
            extra["control"] = controlled(model.control, x, t, hints, extra)
        takes_options = "transformer_options" in inspect.signature(model.forward).parameters
        if takes_options or any(p.kind is p.VAR_KEYWORD
                                for p in inspect.signature(model.forward).parameters.values()):
            extra["transformer_options"] = {}
        model(x, t, **extra)

    row = run(model, spec, call)
    if spec.hidden:
        area = 1
        for n in (shape[2:] if not spec.temporal else shape[3:]):
            area *= -(-n // spec.patch)
        frames = (shape[2] if spec.temporal else 1) + spec.references
        tokens = area * frames + (spec.text[0] if spec.joint else 0)
        row.update(tokens=tokens, hidden=spec.hidden,
                   units=round(row["live"] / (batch * tokens * spec.hidden * 2), 4))
    return row


def vae_call(model, spec, size, batch, what):
    import torch
    if what == "decode":
        shape = latent_shape(spec, size, batch, spec.channels)
    elif spec.temporal:
        shape = (batch, 3, size[2], size[1], size[0])
    else:
        shape = (batch, 3, size[1], size[0])
    row = run(model, spec, lambda make: getattr(model, what)(make(*shape)))
    row["per_pixel"] = round(row["live"] / (size[0] * size[1] * batch), 2)
    return row


def upscale(model, spec, size, _batch):
    """One tile, as spandrel's descriptor calls its model."""
    return run(model, spec, lambda make: model(make(1, 3, size[1], size[0])).clamp_(0, 1))


STEPS = {"sample": sample, "upscale": upscale,
         "decode": lambda *call: vae_call(*call, "decode"),
         "encode": lambda *call: vae_call(*call, "encode")}


def steps_of(spec):
    if isinstance(spec, Upscaler):
        return ["upscale"]
    return ["sample"] if isinstance(spec, Model) else ["decode", "encode"]


def trace(key, spec, version, emit, verbose):
    import torch
    common = {"key": key, "version": version, "torch": torch.__version__.split("+")[0],
              "dtype": spec.dtype}
    try:
        model = build(spec)
    except Exception as error:  # this version lacks it, or knows other settings
        if verbose:
            raise
        emit({**common, "error": f"not built: {type(error).__name__}: {error}"[:300]})
        return
    for what in steps_of(spec):
        for size in spec.sizes:
            both = size == spec.sizes[0] and what != "upscale"  # a tile is of one picture
            for batch in (1, 2) if both else (1,):
                row = {**common, "what": what, "width": size[0], "height": size[1],
                       "frames": size[2] if len(size) > 2 else 1, "batch": batch}
                start = time.monotonic()
                try:
                    row.update(STEPS[what](model, spec, size, batch))
                except Exception as error:  # whatever the checkout's code raises is told
                    if verbose:
                        raise
                    row["error"] = f"{type(error).__name__}: {error}"[:300]
                if verbose:
                    row["seconds"] = round(time.monotonic() - start, 2)
                emit(row)


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("\n\n")[1].removeprefix("usage: "))
    parser.add_argument("folder")
    parser.add_argument("--only", action="append", default=[], metavar="KEY")
    parser.add_argument("--out")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--flops", action="store_true")
    options = parser.parse_args()
    global counting
    counting = options.flops
    every = {**MODELS, **VAES, **UPSCALERS}
    if options.list:
        print("\n".join(every))
        return
    unknown = [key for key in options.only if key not in every]
    if unknown:
        sys.exit(f"trace_demand: {unknown[0]}: no such key; --list shows them")
    version = import_checkout(os.path.abspath(options.folder))
    patch_kernels()
    out = open(options.out, "w", encoding="utf-8") if options.out else sys.stdout

    def emit(row):
        out.write(json.dumps(row) + "\n")
        out.flush()

    for key, spec in every.items():
        if not options.only or key in options.only:
            trace(key, spec, version, emit, options.verbose)


if __name__ == "__main__":
    main()
