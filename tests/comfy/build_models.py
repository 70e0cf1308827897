#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs inside ComfyUI's Python for detect_real.py: builds the diffusion models of public
files without memory, writes their headers, and prints what ComfyUI takes each for.

usage: build_models.py CHECKOUT FOLDER
"""

import importlib, json, os, struct, sys

checkout, folder = sys.argv[1:]
sys.argv = ["x", "--cpu"]
sys.path.insert(0, checkout)
import comfy.options

comfy.options.enable_args_parsing()
import torch, comfy.ops, comfy.model_detection as detection

kw = dict(dtype=torch.float16, device="meta", operations=comfy.ops.disable_weight_init)


def wan(cls="WanModel", size=14, **more):
    dims = {
        14: dict(dim=5120, ffn_dim=13824, num_heads=40, num_layers=40),
        5: dict(dim=3072, ffn_dim=14336, num_heads=24, num_layers=30),
        1: dict(dim=1536, ffn_dim=8960, num_heads=12, num_layers=30),
    }[size]
    return lambda: getattr(importlib.import_module("comfy.ldm.wan.model"), cls)(
        **{**dims, **more, **kw}
    )


def flux(in_channels=16, guidance=True, **more):
    base = dict(
        image_model="flux",
        in_channels=in_channels,
        out_channels=16,
        vec_in_dim=768,
        context_in_dim=4096,
        hidden_size=3072,
        mlp_ratio=4.0,
        num_heads=24,
        depth=19,
        depth_single_blocks=38,
        axes_dim=[16, 56, 56],
        theta=10000,
        patch_size=2,
        qkv_bias=True,
        guidance_embed=guidance,
    )
    base.update(more)

    def make():
        module = importlib.import_module("comfy.ldm.flux.model")
        try:
            return module.Flux(**{"txt_ids_dims": [], **base}, **kw)
        except TypeError:  # before 0.8.0
            return module.Flux(**{k: v for k, v in base.items() if k != "txt_ids_dims"}, **kw)

    return make


def flux2(hidden, depth, single, context, guidance):
    return flux(
        128,
        guidance,
        image_model="flux2",
        out_channels=128,
        vec_in_dim=None,
        context_in_dim=context,
        hidden_size=hidden,
        mlp_ratio=3.0,
        num_heads=hidden // 128,
        depth=depth,
        depth_single_blocks=single,
        axes_dim=[32] * 4,
        theta=2000,
        patch_size=1,
        qkv_bias=False,
        global_modulation=True,
        mlp_silu_act=True,
        ops_bias=False,
    )


def hunyuan(**more):
    base = dict(
        image_model="hunyuan_video",
        in_channels=16,
        patch_size=[1, 2, 2],
        out_channels=16,
        vec_in_dim=768,
        context_in_dim=4096,
        hidden_size=3072,
        mlp_ratio=4.0,
        num_heads=24,
        depth=20,
        depth_single_blocks=40,
        axes_dim=[16, 56, 56],
        theta=256,
        qkv_bias=True,
        guidance_embed=True,
        byt5=False,
        meanflow=False,
    )
    base.update(more)
    newer = dict(use_cond_type_embedding=False, vision_in_dim=None, meanflow_sum=False)

    def make():
        module = importlib.import_module("comfy.ldm.hunyuan_video.model")
        for more in (newer, dict(list(newer.items())[:2]), {}):  # the versions' parameters differ
            try:
                return module.HunyuanVideo(**more, **base, **kw)
            except TypeError as error:
                last = error
        raise last

    return make


def unet(name):
    def make():
        configs = {
            "SD15": dict(
                adm_in_channels=None,
                use_linear_in_transformer=False,
                context_dim=768,
                num_heads=8,
                num_head_channels=-1,
                transformer_depth=[1, 1, 1, 1, 1, 1, 0, 0],
                channel_mult=[1, 2, 4, 4],
                transformer_depth_middle=1,
                num_res_blocks=[2, 2, 2, 2],
                transformer_depth_output=[1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0],
            ),
            "SD21": dict(
                adm_in_channels=None,
                use_linear_in_transformer=True,
                context_dim=1024,
                num_head_channels=64,
                transformer_depth=[1, 1, 1, 1, 1, 1, 0, 0],
                channel_mult=[1, 2, 4, 4],
                transformer_depth_middle=1,
                num_res_blocks=[2, 2, 2, 2],
                transformer_depth_output=[1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0],
            ),
            "SDXL": dict(
                adm_in_channels=2816,
                use_linear_in_transformer=True,
                context_dim=2048,
                num_head_channels=64,
                transformer_depth=[0, 0, 2, 2, 10, 10],
                channel_mult=[1, 2, 4],
                transformer_depth_middle=10,
                num_res_blocks=[2, 2, 2],
                transformer_depth_output=[0, 0, 0, 2, 2, 2, 10, 10, 10],
            ),
            "Refiner": dict(
                adm_in_channels=2560,
                use_linear_in_transformer=True,
                context_dim=1280,
                num_head_channels=64,
                transformer_depth=[0, 0, 4, 4, 4, 4, 0, 0],
                channel_mult=[1, 2, 4, 4],
                model_channels=384,
                transformer_depth_middle=4,
                num_res_blocks=[2, 2, 2, 2],
                transformer_depth_output=[0, 0, 0, 4, 4, 4, 4, 4, 4, 0, 0, 0],
            ),
        }
        base = dict(
            image_size=32,
            out_channels=4,
            in_channels=4,
            model_channels=320,
            use_spatial_transformer=True,
            legacy=False,
            use_temporal_attention=False,
        )
        base.update(configs[name])
        if base["adm_in_channels"] is not None:
            base["num_classes"] = "sequential"
        return importlib.import_module("comfy.ldm.modules.diffusionmodules.openaimodel").UNetModel(
            **base, **kw
        )

    return make


def of(module, name, **more):
    return lambda: getattr(importlib.import_module("comfy.ldm." + module), name)(**{**kw, **more})


mmdit = dict(
    input_size=None,
    pos_embed_max_size=192,
    num_patches=36864,
    adm_in_channels=2048,
    patch_size=2,
    in_channels=16,
    pos_embed_scaling_factor=None,
)


def context(width):
    return {"target": "torch.nn.Linear", "params": {"in_features": 4096, "out_features": width}}


models = {
    "wan t2v 14b": wan(model_type="t2v", in_dim=16),
    "wan 2.1 i2v 14b": wan(model_type="i2v", in_dim=36),
    "wan 2.2 i2v 14b": wan(model_type="t2v", in_dim=36),
    "wan t2v 1.3b": wan(size=1, model_type="t2v", in_dim=16),
    "wan ti2v 5b": wan(size=5, model_type="t2v", in_dim=48, out_dim=48),
    "wan fun inp 1.3b": wan(size=1, model_type="i2v", in_dim=36),
    "wan fun control 1.3b": wan(size=1, model_type="i2v", in_dim=48),
    "wan fun camera 1.3b": wan("CameraWanModel", 1, model_type="camera", in_dim=32),
    "wan fun camera 14b": wan("CameraWanModel", 14, model_type="camera", in_dim=32),
    "wan vace 14b": wan(
        "VaceWanModel", model_type="vace", in_dim=16, vace_layers=8, vace_in_dim=96
    ),
    "wan vace 1.3b": wan(
        "VaceWanModel", 1, model_type="vace", in_dim=16, vace_layers=15, vace_in_dim=96
    ),
    "wan s2v 14b": wan("WanModel_S2V"),
    "wan humo 14b": wan("HumoWanModel", in_dim=36),
    "flux dev": flux(),
    "flux schnell": flux(guidance=False),
    "flux fill": flux(96),
    "flux control": flux(32),
    "longcat image": flux(
        guidance=False,
        vec_in_dim=None,
        context_in_dim=3584,
        depth=10,
        depth_single_blocks=20,
        txt_ids_dims=[1, 2],
    ),
    "flux2 dev": flux2(6144, 8, 48, 15360, True),
    "flux2 klein 9b": flux2(4096, 8, 24, 12288, False),
    "flux2 klein 4b": flux2(3072, 5, 20, 7680, False),
    "hunyuan video": hunyuan(),
    "hunyuan video i2v": hunyuan(in_channels=33),
    "hunyuan image 2.1": hunyuan(
        in_channels=64,
        patch_size=[1, 1],
        out_channels=64,
        vec_in_dim=None,
        context_in_dim=3584,
        hidden_size=3584,
        num_heads=28,
        axes_dim=[64, 64],
        guidance_embed=False,
        byt5=True,
    ),
    "sd15": unet("SD15"),
    "sd21": unet("SD21"),
    "sdxl": unet("SDXL"),
    "sdxl refiner": unet("Refiner"),
    "ltxv 2b": of("lightricks.model", "LTXVModel", cross_attention_dim=2048, attention_head_dim=64),
    "ltxv 13b": of(
        "lightricks.model",
        "LTXVModel",
        cross_attention_dim=4096,
        attention_head_dim=128,
        num_layers=48,
    ),
    "ltxav 19b": of("lightricks.av_model", "LTXAVModel"),
    "qwen image": of(
        "qwen_image.model", "QwenImageTransformer2DModel", in_channels=64, num_layers=60
    ),
    "sd3 medium": of(
        "modules.diffusionmodules.mmdit",
        "MMDiT",
        depth=24,
        context_embedder_config=context(1536),
        **mmdit
    ),
    "sd3.5 large": of(
        "modules.diffusionmodules.mmdit",
        "MMDiT",
        depth=38,
        context_embedder_config=context(2432),
        qk_norm="rms",
        **mmdit
    ),
    "ace step 1.5": of("ace.ace_step15", "AceStepConditionGenerationModel", device="cpu"),
    "anima": of(
        "anima.model",
        "Anima",
        model_channels=2048,
        num_blocks=28,
        num_heads=16,
        crossattn_emb_channels=1024,
        max_img_h=240,
        max_img_w=240,
        max_frames=128,
        in_channels=16,
        out_channels=16,
        patch_spatial=2,
        patch_temporal=1,
        concat_padding_mask=True,
        pos_emb_cls="rope3d",
        use_adaln_lora=True,
        adaln_lora_dim=256,
    ),
    "hunyuan dit": of(
        "hydit.models",
        "HunYuanDiT",
        depth=40,
        hidden_size=1408,
        num_heads=16,
        mlp_ratio=4.3637,
        size_cond=False,
        use_style_cond=False,
    ),
}
for name, make in models.items():
    try:
        state = make().state_dict()
    except Exception as error:  # an architecture that this version lacks
        print(json.dumps([name, None, type(error).__name__ + ": " + str(error)[:120], 0, None]))
        continue
    found = detection.model_config_from_unet(dict(state), "")
    header, at = {}, 0
    for key, tensor in state.items():
        header[key] = {
            "dtype": "F16",
            "shape": list(tensor.shape),
            "data_offsets": [at, at + 2 * tensor.numel()],
        }
        at += 2 * tensor.numel()
    path = os.path.join(folder, name.replace(" ", "_") + ".safetensors")
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + at)
    print(
        json.dumps(
            [
                name,
                path,
                type(found).__name__ if found else None,
                sum(t.numel() for t in state.values()),
                (found.unet_config if found else {}).get("dim")
                or (found.unet_config if found else {}).get("hidden_size"),
            ]
        )
    )
