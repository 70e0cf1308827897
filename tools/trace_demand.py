#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Traces what one step of each model of a ComfyUI checkout needs beside weights.

usage: trace_demand.py COMFYUI_DIR [--only KEY ...] [--out ROWS.jsonl] [--list] [--verbose]
                       [--flops]

Builds the checkout's own model classes at their published sizes on PyTorch's meta device (no
weights, no GPU, no arithmetic), runs one forward, and records every allocation and release of a
tensor's storage. One JSON object a line:

  key, what (sample, decode, encode), width, height, frames, batch, version, torch, dtype
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


# ---- architectures -------------------------------------------------------------------------------


class Model:
    """A denoiser: its class, its published configuration, and what its forward takes."""

    def __init__(self, place, config, sizes, channels=16, spatial=8, temporal=0, patch=2, hidden=0,
                 text=(0, 0), joint=True, dtype="bfloat16", inputs=None, channels_in=None,
                 needs=None, references=0):
        self.place, self.config, self.sizes = place, config, sizes
        self.channels, self.spatial, self.temporal = channels, spatial, temporal
        self.references = references  # latent frames attended beside the video's
        self.patch, self.hidden, self.text, self.joint = patch, hidden, text, joint
        self.dtype, self.inputs, self.needs = dtype, inputs, needs
        self.channels_in = channels_in or channels


class Vae:
    """An autoencoder: its class, its configuration, and which directions to trace."""

    def __init__(self, place, config, sizes, channels=16, spatial=8, temporal=0, encode=True,
                 dtype="bfloat16", needs=None):
        self.place, self.config, self.sizes = place, config, sizes
        self.channels, self.spatial, self.temporal = channels, spatial, temporal
        self.encode, self.dtype, self.needs = encode, dtype, needs


PICTURES = [(1024, 1024), (1328, 1328), (2048, 2048)]
VIDEOS = [(832, 480, 81), (1280, 720, 81), (1280, 720, 121)]


def flux(**changes):
    config = dict(in_channels=16, out_channels=16, vec_in_dim=768, context_in_dim=4096,
                  hidden_size=3072, mlp_ratio=4.0, num_heads=24, depth=19, depth_single_blocks=38,
                  axes_dim=[16, 56, 56], theta=10000, patch_size=2, qkv_bias=True,
                  guidance_embed=True, txt_ids_dims=[])
    config.update(changes)
    return config


def wan(dim, ffn, layers, **changes):
    config = dict(model_type="t2v", patch_size=(1, 2, 2), in_dim=16, out_dim=16, dim=dim,
                  ffn_dim=ffn, freq_dim=256, num_heads=dim // 128, num_layers=layers)
    config.update(changes)
    return config


def hunyuan(**changes):
    config = dict(in_channels=16, out_channels=16, vec_in_dim=768, context_in_dim=4096,
                  hidden_size=3072, mlp_ratio=4.0, num_heads=24, depth=20, depth_single_blocks=40,
                  axes_dim=[16, 56, 56], theta=256, patch_size=[1, 2, 2], qkv_bias=True,
                  guidance_embed=True, meanflow=False, byt5=False, use_cond_type_embedding=False,
                  vision_in_dim=None, meanflow_sum=False)
    config.update(changes)
    return config


def unet(**changes):
    config = dict(image_size=32, in_channels=4, out_channels=4, model_channels=320,
                  use_spatial_transformer=True, legacy=False, use_checkpoint=False,
                  num_res_blocks=[2, 2, 2, 2], channel_mult=[1, 2, 4, 4],
                  transformer_depth=[1, 1, 1, 1, 1, 1, 0, 0], transformer_depth_middle=1,
                  transformer_depth_output=[1] * 9 + [0] * 3, num_head_channels=64,
                  use_linear_in_transformer=True, adm_in_channels=None, context_dim=1024,
                  use_temporal_attention=False)
    config.update(changes)
    return config


def mmdit(depth, **changes):
    config = dict(in_channels=16, out_channels=16, patch_size=2, depth=depth, input_size=None,
                  adm_in_channels=2048, num_patches=192 * 192, pos_embed_max_size=192,
                  pos_embed_scaling_factor=None, x_block_self_attn_layers=[],
                  context_embedder_config={"target": "torch.nn.Linear", "params": {
                      "in_features": 4096, "out_features": 64 * depth}})
    config.update(changes)
    return config


def lumina(**changes):
    config = dict(patch_size=2, in_channels=16, dim=2304, cap_feat_dim=2304, n_layers=26,
                  qk_norm=True, n_heads=24, n_kv_heads=8, axes_dims=[32, 32, 32],
                  axes_lens=[300, 512, 512], rope_theta=10000.0, ffn_dim_multiplier=4.0)
    config.update(changes)
    return config


CHROMA = dict(in_channels=64, out_channels=64, in_dim=64, out_dim=3072, hidden_dim=5120, n_layers=5,
              vec_in_dim=None)
COSMOS = dict(max_img_h=240, max_img_w=240, max_frames=128, in_channels=16, out_channels=16,
              patch_spatial=2, patch_temporal=1, concat_padding_mask=True, pos_emb_cls="rope3d",
              pos_emb_interpolation="crop", use_adaln_lora=True, adaln_lora_dim=256)
HIDREAM = dict(attention_head_dim=128, axes_dims_rope=[64, 32, 32], caption_channels=[4096, 4096],
               max_resolution=[128, 128], in_channels=16, llama_layers=list(range(32)) + [31] * 16,
               num_attention_heads=20, num_routed_experts=4, num_activated_experts=2,
               num_layers=16, num_single_layers=32, out_channels=16, patch_size=2,
               text_emb_dim=2048)
MOCHI = dict(depth=48, patch_size=2, num_heads=24, hidden_size_x=3072, hidden_size_y=1536,
             mlp_ratio_x=4.0, mlp_ratio_y=4.0, learn_sigma=False, in_channels=12, qk_norm=True,
             qkv_bias=False, out_bias=True, attn_drop=0.0, patch_embed_bias=True,
             posenc_preserve_area=True, timestep_mlp_bias=True, attend_to_padding=False,
             timestep_scale=1000.0, use_t5=True, t5_feat_dim=4096, t5_token_length=256,
             rope_theta=10000.0)
OMNIGEN = dict(axes_dim_rope=[40, 40, 40], axes_lens=[1024, 1664, 1664], ffn_dim_multiplier=None,
               hidden_size=2520, in_channels=16, multiple_of=256, norm_eps=1e-05,
               num_attention_heads=21, num_kv_heads=7, num_layers=32, num_refiner_layers=2,
               out_channels=None, patch_size=2, text_feat_dim=2048, timestep_scale=1000.0)

WAN = dict(place="comfy.ldm.wan.model:WanModel", temporal=4, text=(512, 4096), joint=False)
FLUX = dict(place="comfy.ldm.flux.model:Flux", hidden=3072, text=(512, 4096))
HUNYUAN = dict(place="comfy.ldm.hunyuan_video.model:HunyuanVideo", hidden=3072)
UNET = dict(place="comfy.ldm.modules.diffusionmodules.openaimodel:UNetModel", channels=4,
            joint=False, dtype="float16")
MMDIT = dict(place="comfy.ldm.modules.diffusionmodules.mmdit:OpenAISignatureMMDITWrapper",
             text=(333, 4096), dtype="float16")
LUMINA = dict(place="comfy.ldm.lumina.model:NextDiT")
LTXV = dict(place="comfy.ldm.lightricks.model:LTXVModel", channels=128, spatial=32, temporal=8,
            patch=1, text=(128, 4096), joint=False)


def vector(size):
    return lambda make, shape: {"y": make(shape[0], size)}


def flux_inputs(make, shape):
    return {"y": make(shape[0], 768), "guidance": make(shape[0])}


def ltx_inputs(make, shape):
    import torch
    return {"attention_mask": make(shape[0], 128, dtype=torch.int64), "frame_rate": 25}


def vace_inputs(make, shape):
    return {"vace_context": make(shape[0], 1, 96, *shape[2:]), "vace_strength": [1.0]}


def sound_inputs(make, shape):
    """25 layers of wav2vec features, four a latent frame, and one reference picture."""
    return {"audio_embed": make(shape[0], 25, 1024, shape[2] * 4),
            "reference_latent": make(shape[0], 16, 1, *shape[3:])}


def animate_inputs(make, shape):
    """The first latent frame is the reference picture; poses and faces are for the others."""
    frames = (shape[2] - 2) * 4 + 1
    return {"pose_latents": make(shape[0], 16, shape[2] - 1, *shape[3:]),
            "face_pixel_values": make(shape[0], 3, frames, 512, 512),
            "clip_fea": make(shape[0], 257, 1280)}


def padding_inputs(make, shape):
    return {"padding_mask": make(shape[0], 1, shape[-2] * 8, shape[-1] * 8)}


def hydit_inputs(make, shape):
    import torch
    return {"text_embedding_mask": make(shape[0], 77, dtype=torch.int64),
            "encoder_hidden_states_t5": make(shape[0], 256, 2048),
            "text_embedding_mask_t5": make(shape[0], 256, dtype=torch.int64),
            "image_meta_size": make(shape[0], 6)}


def hidream_inputs(make, shape):
    return {"y": make(shape[0], 2048),
            "encoder_hidden_states_llama3": make(shape[0], 32, 128, 4096)}


def mochi_inputs(make, shape):
    import torch
    return {"attention_mask": make(shape[0], 256, dtype=torch.int64), "num_tokens": 256}


MODELS = {
    "sd15": Model(config=unet(context_dim=768, num_heads=8, num_head_channels=-1,
                              use_linear_in_transformer=False), **UNET, text=(77, 768),
                  sizes=[(512, 512), (768, 768), (1024, 1024)]),
    "sd21": Model(config=unet(), **UNET, text=(77, 1024),
                  sizes=[(512, 512), (768, 768), (1024, 1024)]),
    "sdxl": Model(config=unet(num_res_blocks=[2, 2, 2], channel_mult=[1, 2, 4], context_dim=2048,
                              transformer_depth=[0, 0, 2, 2, 10, 10], transformer_depth_middle=10,
                              transformer_depth_output=[0, 0, 0, 2, 2, 2, 10, 10, 10],
                              num_classes="sequential", adm_in_channels=2816), **UNET,
                  text=(77, 2048), inputs=vector(2816), sizes=[(1024, 1024), (1344, 768),
                                                              (2048, 2048)]),
    "sdxl-refiner": Model(config=unet(model_channels=384, context_dim=1280,
                                      transformer_depth=[0, 0, 4, 4, 4, 4, 0, 0],
                                      transformer_depth_middle=4, adm_in_channels=2560,
                                      transformer_depth_output=[0] * 3 + [4] * 6 + [0] * 3,
                                      num_classes="sequential"), **UNET, text=(77, 1280),
                          inputs=vector(2560), sizes=[(1024, 1024), (2048, 2048)]),
    "sd3-medium": Model(config=mmdit(24), hidden=1536, inputs=vector(2048), sizes=PICTURES,
                        **MMDIT),
    "sd35-large": Model(config=mmdit(38, qk_norm="rms"), hidden=2432, inputs=vector(2048),
                        sizes=PICTURES, **MMDIT),
    "pixart": Model("comfy.ldm.pixart.pixartms:PixArtMS",
                    dict(num_heads=16, patch_size=2, hidden_size=1152, in_channels=4, depth=28,
                         model_max_length=300, input_size=128, pe_interpolation=2,
                         micro_condition=False), PICTURES, channels=4, hidden=1152,
                    text=(300, 4096), joint=False, dtype="float16"),
    "hunyuan-dit": Model("comfy.ldm.hydit.models:HunYuanDiT",
                         dict(depth=40, hidden_size=1408, mlp_ratio=4.3637), PICTURES, channels=4,
                         hidden=1408, text=(77, 1024), joint=False, dtype="float16",
                         inputs=hydit_inputs),
    "aura-flow": Model("comfy.ldm.aura.mmdit:MMDiT",
                       dict(max_seq=9216, cond_seq_dim=2048, n_double_layers=4, n_layers=36),
                       PICTURES, channels=4, hidden=3072, text=(256, 2048)),
    "flux": Model(config=flux(), inputs=flux_inputs, sizes=PICTURES, **FLUX),
    "flux2": Model("comfy.ldm.flux.model:Flux",
                   flux(in_channels=128, out_channels=128, patch_size=1, hidden_size=6144,
                        context_in_dim=15360, depth=8, depth_single_blocks=48, mlp_ratio=3.0,
                        axes_dim=[32, 32, 32, 32], num_heads=48, theta=2000, vec_in_dim=None,
                        global_modulation=True, mlp_silu_act=True, qkv_bias=False, ops_bias=False,
                        default_ref_method="index", ref_index_scale=10.0, txt_ids_dims=[3]),
                   PICTURES, channels=128, spatial=16, patch=1, hidden=6144, text=(512, 15360),
                   needs="global_modulation",
                   inputs=lambda make, shape: {"guidance": make(shape[0])}),
    "chroma": Model("comfy.ldm.chroma.model:Chroma", flux(**CHROMA), PICTURES, hidden=3072,
                    text=(512, 4096),
                    inputs=lambda make, shape: {"guidance": make(shape[0])}),
    "chroma-radiance": Model("comfy.ldm.chroma_radiance.model:ChromaRadiance",
                             flux(**{**CHROMA, "in_channels": 3, "out_channels": 3},
                                  nerf_hidden_size=64, nerf_mlp_ratio=4, nerf_depth=4,
                                  nerf_max_freqs=8, nerf_tile_size=512,
                                  nerf_final_head_type="conv", nerf_embedder_dtype="float32",
                                  use_x0=False) | {"patch_size": 16}, PICTURES, channels=3,
                             spatial=1, patch=16, hidden=3072, text=(512, 4096),
                             inputs=lambda make, shape: {"guidance": make(shape[0])}),
    "hidream": Model("comfy.ldm.hidream.model:HiDreamImageTransformer2DModel", HIDREAM,
                     [(1024, 1024), (1360, 768)], hidden=2560, text=(128, 4096),
                     inputs=hidream_inputs),
    "lumina2": Model(config=lumina(), hidden=2304, text=(256, 2304), sizes=PICTURES,
                     inputs=lambda make, shape: {"num_tokens": 256}, **LUMINA),
    "z-image": Model(config=lumina(dim=3840, n_layers=30, n_heads=30, n_kv_heads=30,
                                   axes_dims=[32, 48, 48], axes_lens=[1536, 512, 512],
                                   rope_theta=256.0, ffn_dim_multiplier=8.0 / 3.0,
                                   z_image_modulation=True, time_scale=1000.0, cap_feat_dim=2560,
                                   pad_tokens_multiple=32),
                     hidden=3840, text=(256, 2560), sizes=PICTURES, needs="z_image_modulation",
                     inputs=lambda make, shape: {"num_tokens": 256}, **LUMINA),
    "qwen-image": Model("comfy.ldm.qwen_image.model:QwenImageTransformer2DModel",
                        dict(in_channels=64, num_layers=60), PICTURES, hidden=3072,
                        text=(100, 3584), temporal=1),
    "omnigen2": Model("comfy.ldm.omnigen.omnigen2:OmniGen2Transformer2DModel", OMNIGEN, PICTURES,
                      hidden=2520, text=(256, 2048),
                      inputs=lambda make, shape: {"num_tokens": 256}),
    "hunyuan-video": Model(config=hunyuan(), temporal=4, text=(256, 4096), inputs=flux_inputs,
                           sizes=[(848, 480, 73), (960, 544, 129), (1280, 720, 129)], **HUNYUAN),
    "hunyuan-video-15": Model("comfy.ldm.hunyuan_video.model:HunyuanVideo",
                              hunyuan(in_channels=65, out_channels=32, vec_in_dim=None,
                                      context_in_dim=3584, hidden_size=2048, num_heads=16,
                                      depth=54, depth_single_blocks=0, patch_size=[1, 1, 1],
                                      guidance_embed=False, byt5=True, vision_in_dim=1152,
                                      use_cond_type_embedding=True, meanflow_sum=True),
                              [(848, 480, 121), (1280, 720, 121)], channels=32, channels_in=65,
                              spatial=16, temporal=4, patch=1, hidden=2048, text=(512, 3584),
                              needs="vision_in_dim"),
    "hunyuan-image-21": Model("comfy.ldm.hunyuan_video.model:HunyuanVideo",
                              hunyuan(in_channels=64, out_channels=64, vec_in_dim=None,
                                      context_in_dim=3584, hidden_size=3584, num_heads=28,
                                      patch_size=[1, 1], axes_dim=[64, 64], guidance_embed=False,
                                      byt5=True),
                              [(1024, 1024), (2048, 2048)], channels=64, spatial=32, patch=1,
                              hidden=3584, text=(512, 3584)),
    "mochi": Model("comfy.ldm.genmo.joint_model.asymm_models_joint:AsymmDiTJoint", MOCHI,
                   [(848, 480, 37), (848, 480, 163)], channels=12, temporal=6, hidden=3072,
                   text=(256, 4096), inputs=mochi_inputs),
    "cosmos": Model("comfy.ldm.cosmos.model:GeneralDIT",
                    dict(COSMOS, model_channels=4096, num_blocks=28, num_heads=32,
                         block_config="FA-CA-MLP", pos_emb_learnable=False,
                         block_x_format="THWBD", affline_emb_norm=True,
                         extra_per_block_abs_pos_emb=True, rope_t_extrapolation_ratio=2.0,
                         extra_per_block_abs_pos_emb_type="learnable"),
                    [(1024, 704, 121), (1280, 704, 121)], temporal=8, hidden=4096,
                    text=(512, 1024), joint=False, inputs=padding_inputs),
    "cosmos-predict2": Model("comfy.ldm.cosmos.predict2:MiniTrainDIT",
                             dict(COSMOS, model_channels=2048, num_blocks=28, num_heads=16,
                                  crossattn_emb_channels=1024, pos_emb_learnable=True, min_fps=1,
                                  max_fps=30, extra_per_block_abs_pos_emb=False,
                                  rope_h_extrapolation_ratio=4.0, rope_w_extrapolation_ratio=4.0,
                                  rope_t_extrapolation_ratio=1.0,
                                  rope_enable_fps_modulation=False),
                             [(1024, 1024, 1), (848, 480, 93), (1280, 704, 93)], temporal=4,
                             hidden=2048, text=(512, 1024), joint=False, inputs=padding_inputs),
    "ltxv-2b": Model(config=dict(num_layers=28), hidden=2048, inputs=ltx_inputs,
                     sizes=[(768, 512, 97), (1216, 704, 97), (1216, 704, 161)], **LTXV),
    "ltxv-13b": Model(config=dict(num_layers=48, attention_head_dim=128, cross_attention_dim=4096),
                      hidden=4096, inputs=ltx_inputs,
                      sizes=[(768, 512, 97), (1216, 704, 97), (1216, 704, 161)], **LTXV),
    "wan-1.3b": Model(config=wan(1536, 8960, 30), hidden=1536, sizes=VIDEOS, **WAN),
    "wan-5b": Model(config=wan(3072, 14336, 30, in_dim=48, out_dim=48), hidden=3072, channels=48,
                    spatial=16, sizes=[(1280, 704, 49), (1280, 704, 81), (1280, 704, 121)], **WAN),
    "wan-14b": Model(config=wan(5120, 13824, 40), hidden=5120, sizes=VIDEOS, **WAN),
    "wan-14b-i2v": Model(config=wan(5120, 13824, 40, in_dim=36), hidden=5120, channels_in=36,
                         sizes=VIDEOS, **WAN),
    "wan-14b-i2v-clip": Model(config=wan(5120, 13824, 40, in_dim=36, model_type="i2v"),
                              hidden=5120, channels_in=36, sizes=VIDEOS, **WAN,
                              inputs=lambda make, shape: {"clip_fea": make(shape[0], 257, 1280)}),
    "wan-vace-1.3b": Model(config=wan(1536, 8960, 30, model_type="vace", vace_layers=15,
                                      vace_in_dim=96), hidden=1536, sizes=VIDEOS,
                           inputs=vace_inputs,
                           **{**WAN, "place": "comfy.ldm.wan.model:VaceWanModel"}),
    "wan-vace-14b": Model(config=wan(5120, 13824, 40, model_type="vace", vace_layers=8,
                                     vace_in_dim=96), hidden=5120, sizes=VIDEOS,
                          inputs=vace_inputs,
                          **{**WAN, "place": "comfy.ldm.wan.model:VaceWanModel"}),
    "wan-s2v-14b": Model(config=wan(5120, 13824, 40, model_type="s2v"), hidden=5120, sizes=VIDEOS,
                         inputs=sound_inputs, references=1,
                         **{**WAN, "place": "comfy.ldm.wan.model:WanModel_S2V"}),
    "wan-animate-14b": Model(config=wan(5120, 13824, 40, in_dim=36), hidden=5120, channels_in=36,
                             sizes=VIDEOS, inputs=animate_inputs,
                             **{**WAN, "place": "comfy.ldm.wan.model_animate:AnimateWanModel"}),
    "kandinsky5": Model("comfy.ldm.kandinsky5.model:Kandinsky5",
                        dict(model_dim=1792, ff_dim=7168, visual_embed_dim=132, time_dim=512,
                             num_text_blocks=2, num_visual_blocks=32, axes_dims=(16, 24, 24)),
                        [(768, 512, 121), (768, 512, 241)], channels_in=33, temporal=4,
                        hidden=1792, text=(256, 3584), joint=False,
                        inputs=lambda make, shape: {"y": make(shape[0], 768)}),
}

KL = dict(double_z=True, z_channels=16, resolution=256, in_channels=3, out_ch=3, ch=128,
          ch_mult=[1, 2, 4, 4], num_res_blocks=2, attn_resolutions=[], dropout=0.0)
WAN_VAE = dict(z_dim=16, dim=96, dim_mult=[1, 2, 4, 4], num_res_blocks=2, attn_scales=[],
               temperal_downsample=[False, True, True], dropout=0.0)
AUTOENCODER = "comfy.ldm.models.autoencoder:"
GAUSSIAN = {"target": "comfy.ldm.models.autoencoder.DiagonalGaussianRegularizer"}


def engine(part, config, regularizer=None):
    return dict(regularizer_config=regularizer or GAUSSIAN,
                encoder_config={"target": part + ".Encoder", "params": config},
                decoder_config={"target": part + ".Decoder", "params": config})


VAES = {
    "kl-vae": Vae(AUTOENCODER + "AutoencodingEngine",
                  engine("comfy.ldm.modules.diffusionmodules.model", KL),
                  [(512, 512), (1024, 1024), (2048, 2048)]),
    "wan21-vae": Vae("comfy.ldm.wan.vae:WanVAE", WAN_VAE,
                     [(1024, 1024, 1), (1328, 1328, 1), (832, 480, 17), (832, 480, 81),
                      (1280, 720, 81), (1280, 720, 161)], temporal=4),
    "wan22-vae": Vae("comfy.ldm.wan.vae2_2:WanVAE", dict(WAN_VAE, z_dim=48, dim=160),
                     [(1280, 704, 1), (832, 480, 81), (1280, 704, 81), (1280, 704, 121)],
                     channels=48, spatial=16, temporal=4),
    "hunyuan-video-vae": Vae(AUTOENCODER + "AutoencoderKL",
                             dict(ddconfig=dict(KL, conv3d=True, time_compress=4), embed_dim=16),
                             [(848, 480, 33), (848, 480, 73), (1280, 720, 73)], temporal=4),
    "hunyuan-video-15-vae": Vae(
        AUTOENCODER + "AutoencodingEngine",
        engine("comfy.ldm.hunyuan_video.vae_refiner",
               dict(block_out_channels=[128, 256, 512, 1024, 1024], in_channels=3, out_channels=3,
                    num_res_blocks=2, ffactor_spatial=16, ffactor_temporal=4, z_channels=32,
                    downsample_match_channel=True, upsample_match_channel=True),
               {"target": "comfy.ldm.models.autoencoder.EmptyRegularizer"}),
        [(848, 480, 33), (848, 480, 121), (1280, 720, 121)], channels=32, spatial=16, temporal=4),
    "hunyuan-image-21-vae": Vae(
        AUTOENCODER + "AutoencodingEngine",
        engine("comfy.ldm.hunyuan_video.vae",
               dict(block_out_channels=[128, 256, 512, 512, 1024, 1024], in_channels=3,
                    out_channels=3, num_res_blocks=2, ffactor_spatial=32, z_channels=64,
                    downsample_match_channel=True, upsample_match_channel=True)),
        [(1024, 1024), (2048, 2048)], channels=64, spatial=32),
    "ltxv-vae": Vae("comfy.ldm.lightricks.vae.causal_video_autoencoder:VideoVAE",
                    dict(version=1), [(768, 512, 97), (1216, 704, 97), (1216, 704, 161)],
                    channels=128, spatial=32, temporal=8),
    "mochi-vae": Vae("comfy.ldm.genmo.vae.model:VideoVAE", {},
                     [(848, 480, 37), (848, 480, 79)], channels=12, temporal=6, dtype="float16"),
    "cosmos-vae": Vae("comfy.ldm.cosmos.vae:CausalContinuousVideoTokenizer",
                      dict(z_channels=16, latent_channels=16, z_factor=1, resolution=1024,
                           in_channels=3, out_channels=3, channels=128, channels_mult=[2, 4, 4],
                           num_res_blocks=2, attn_resolutions=[32], dropout=0.0, patch_size=4,
                           num_groups=1, temporal_compression=8, spacial_compression=8),
                      [(1024, 704, 57), (1024, 704, 121)], temporal=8),
    "cascade-vae": Vae("comfy.ldm.cascade.stage_a:StageA", {}, [(1024, 1024), (2048, 2048)],
                       channels=4, spatial=4),
    "flux2-vae": Vae(AUTOENCODER + "AutoencoderKL",
                     dict(ddconfig=dict(KL, z_channels=32, batch_norm_latent=True), embed_dim=32),
                     [(1024, 1024), (2048, 2048)], channels=128, spatial=16,
                     needs="batch_norm_latent"),
}


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
        fields = getattr(sys.modules[cls.__module__], name, None)
        if fields and name.startswith(cls.__name__):
            for base in fields.__mro__:
                known |= set(getattr(base, "__annotations__", {}))
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
        return cls(**config).eval().to("meta")
    try:
        with torch.device("meta"):
            model = cls(**config)
    except RuntimeError:  # its constructor reads numbers back
        model = cls(**config)
    return model.eval().to("meta", dtype)


def latent_shape(spec, size, batch, channels):
    width, height = size[0] // spec.spatial, size[1] // spec.spatial
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


def sample(model, spec, size, batch):
    import torch
    shape = latent_shape(spec, size, batch, spec.channels_in)

    def call(make):
        extra = spec.inputs(make, shape) if spec.inputs else {}
        x, t = make(*shape), make(batch, dtype=torch.float32)
        context = make(batch, *spec.text)
        takes_options = "transformer_options" in inspect.signature(model.forward).parameters
        if takes_options or any(p.kind is p.VAR_KEYWORD
                                for p in inspect.signature(model.forward).parameters.values()):
            extra["transformer_options"] = {}
        model(x, t, context=context, **extra)

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
    whats = ["sample"] if isinstance(spec, Model) else ["decode", "encode"]
    for what in whats:
        for size in spec.sizes:
            for batch in (1, 2) if size == spec.sizes[0] else (1,):
                row = {**common, "what": what, "width": size[0], "height": size[1],
                       "frames": size[2] if len(size) > 2 else 1, "batch": batch}
                start = time.monotonic()
                try:
                    if what == "sample":
                        row.update(sample(model, spec, size, batch))
                    else:
                        row.update(vae_call(model, spec, size, batch, what))
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
    every = {**MODELS, **VAES}
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
