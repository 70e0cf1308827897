#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What kind of model a diffusion model's tensors show: Ebb and each checkout's model_detection.

usage: detect_real.py PRINT_WEIGHTS

ComfyUI's own classes are built without memory (device meta) in the dimensions of public models, and
their names and shapes written as headers of files that hold nothing. ComfyUI says which class of
supported_models it would take; Ebb must name the row of its tables that belongs to that class and
width. The number of values of each is compared with Ebb's table of known models, too.
"""
import json
import re
import subprocess
import sys
import tempfile

import support

BUILD = r'''
import importlib, json, os, struct, sys
checkout, folder = sys.argv[1:]
sys.argv = ["x", "--cpu"]
sys.path.insert(0, checkout)
import comfy.options; comfy.options.enable_args_parsing()
import torch, comfy.ops, comfy.model_detection as detection
kw = dict(dtype=torch.float16, device="meta", operations=comfy.ops.disable_weight_init)
def wan(cls="WanModel", size=14, **more):
    dims = {14: dict(dim=5120, ffn_dim=13824, num_heads=40, num_layers=40),
            5: dict(dim=3072, ffn_dim=14336, num_heads=24, num_layers=30),
            1: dict(dim=1536, ffn_dim=8960, num_heads=12, num_layers=30)}[size]
    return lambda: getattr(importlib.import_module("comfy.ldm.wan.model"), cls)(**{**dims, **more, **kw})
def flux(in_channels=16, guidance=True, **more):
    base = dict(image_model="flux", in_channels=in_channels, out_channels=16, vec_in_dim=768, context_in_dim=4096,
                hidden_size=3072, mlp_ratio=4.0, num_heads=24, depth=19, depth_single_blocks=38, axes_dim=[16, 56, 56],
                theta=10000, patch_size=2, qkv_bias=True, guidance_embed=guidance)
    base.update(more)
    def make():
        module = importlib.import_module("comfy.ldm.flux.model")
        try: return module.Flux(**base, **kw)
        except TypeError: return module.Flux(**base, txt_ids_dims=[], **kw)
    return make
def flux2(hidden, depth, single, context, guidance):
    return flux(128, guidance, image_model="flux2", out_channels=128, vec_in_dim=None, context_in_dim=context,
                hidden_size=hidden, mlp_ratio=3.0, num_heads=hidden // 128, depth=depth, depth_single_blocks=single,
                axes_dim=[32] * 4, theta=2000, patch_size=1, qkv_bias=False, global_modulation=True,
                mlp_silu_act=True, ops_bias=False)
def hunyuan(**more):
    base = dict(image_model="hunyuan_video", in_channels=16, patch_size=[1, 2, 2], out_channels=16, vec_in_dim=768,
                context_in_dim=4096, hidden_size=3072, mlp_ratio=4.0, num_heads=24, depth=20, depth_single_blocks=40,
                axes_dim=[16, 56, 56], theta=256, qkv_bias=True, guidance_embed=True, byt5=False, meanflow=False)
    base.update(more)
    newer = dict(use_cond_type_embedding=False, vision_in_dim=None, meanflow_sum=False)
    def make():
        module = importlib.import_module("comfy.ldm.hunyuan_video.model")
        for more in (newer, dict(list(newer.items())[:2]), {}):  # the versions' parameters differ
            try: return module.HunyuanVideo(**more, **base, **kw)
            except TypeError as error: last = error
        raise last
    return make
def unet(name):
    def make():
        configs = {
            "SD15": dict(adm_in_channels=None, use_linear_in_transformer=False, context_dim=768, num_heads=8,
                         num_head_channels=-1, transformer_depth=[1, 1, 1, 1, 1, 1, 0, 0], channel_mult=[1, 2, 4, 4],
                         transformer_depth_middle=1, num_res_blocks=[2, 2, 2, 2],
                         transformer_depth_output=[1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0]),
            "SD21": dict(adm_in_channels=None, use_linear_in_transformer=True, context_dim=1024, num_head_channels=64,
                         transformer_depth=[1, 1, 1, 1, 1, 1, 0, 0], channel_mult=[1, 2, 4, 4],
                         transformer_depth_middle=1, num_res_blocks=[2, 2, 2, 2],
                         transformer_depth_output=[1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0]),
            "SDXL": dict(adm_in_channels=2816, use_linear_in_transformer=True, context_dim=2048, num_head_channels=64,
                         transformer_depth=[0, 0, 2, 2, 10, 10], channel_mult=[1, 2, 4], transformer_depth_middle=10,
                         num_res_blocks=[2, 2, 2], transformer_depth_output=[0, 0, 0, 2, 2, 2, 10, 10, 10]),
            "Refiner": dict(adm_in_channels=2560, use_linear_in_transformer=True, context_dim=1280, num_head_channels=64,
                            transformer_depth=[0, 0, 4, 4, 4, 4, 0, 0], channel_mult=[1, 2, 4, 4], model_channels=384,
                            transformer_depth_middle=4, num_res_blocks=[2, 2, 2, 2],
                            transformer_depth_output=[0, 0, 0, 4, 4, 4, 4, 4, 4, 0, 0, 0])}
        base = dict(image_size=32, out_channels=4, in_channels=4, model_channels=320, use_spatial_transformer=True,
                    legacy=False, use_temporal_attention=False)
        base.update(configs[name])
        if base["adm_in_channels"] is not None: base["num_classes"] = "sequential"
        return importlib.import_module("comfy.ldm.modules.diffusionmodules.openaimodel").UNetModel(**base, **kw)
    return make
def of(module, name, **more):
    return lambda: getattr(importlib.import_module("comfy.ldm." + module), name)(**more, **kw)
mmdit = dict(input_size=None, pos_embed_max_size=192, num_patches=36864, adm_in_channels=2048, patch_size=2,
             in_channels=16, pos_embed_scaling_factor=None)
def context(width): return {"target": "torch.nn.Linear", "params": {"in_features": 4096, "out_features": width}}
models = {
    "wan t2v 14b": wan(model_type="t2v", in_dim=16), "wan 2.1 i2v 14b": wan(model_type="i2v", in_dim=36),
    "wan 2.2 i2v 14b": wan(model_type="t2v", in_dim=36), "wan t2v 1.3b": wan(size=1, model_type="t2v", in_dim=16),
    "wan ti2v 5b": wan(size=5, model_type="t2v", in_dim=48, out_dim=48),
    "wan fun inp 1.3b": wan(size=1, model_type="i2v", in_dim=36),
    "wan fun control 1.3b": wan(size=1, model_type="i2v", in_dim=48),
    "wan fun camera 1.3b": wan("CameraWanModel", 1, model_type="camera", in_dim=32),
    "wan fun camera 14b": wan("CameraWanModel", 14, model_type="camera", in_dim=32),
    "wan vace 14b": wan("VaceWanModel", model_type="vace", in_dim=16, vace_layers=8, vace_in_dim=96),
    "wan vace 1.3b": wan("VaceWanModel", 1, model_type="vace", in_dim=16, vace_layers=15, vace_in_dim=96),
    "wan s2v 14b": wan("WanModel_S2V"), "wan humo 14b": wan("HumoWanModel", in_dim=36),
    "flux dev": flux(), "flux schnell": flux(guidance=False), "flux fill": flux(96), "flux control": flux(32),
    "flux2 dev": flux2(6144, 8, 48, 15360, True), "flux2 klein 9b": flux2(4096, 8, 24, 12288, False),
    "flux2 klein 4b": flux2(3072, 5, 20, 7680, False),
    "hunyuan video": hunyuan(), "hunyuan video i2v": hunyuan(in_channels=33),
    "hunyuan image 2.1": hunyuan(in_channels=64, patch_size=[1, 1], out_channels=64, vec_in_dim=None,
        context_in_dim=3584, hidden_size=3584, num_heads=28, axes_dim=[64, 64], guidance_embed=False, byt5=True),
    "sd15": unet("SD15"), "sd21": unet("SD21"), "sdxl": unet("SDXL"), "sdxl refiner": unet("Refiner"),
    "ltxv 2b": of("lightricks.model", "LTXVModel", cross_attention_dim=2048, attention_head_dim=64),
    "ltxv 13b": of("lightricks.model", "LTXVModel", cross_attention_dim=4096, attention_head_dim=128, num_layers=48),
    "ltxav 19b": of("lightricks.av_model", "LTXAVModel"),
    "qwen image": of("qwen_image.model", "QwenImageTransformer2DModel", in_channels=64, num_layers=60),
    "sd3 medium": of("modules.diffusionmodules.mmdit", "MMDiT", depth=24, context_embedder_config=context(1536), **mmdit),
    "sd3.5 large": of("modules.diffusionmodules.mmdit", "MMDiT", depth=38, context_embedder_config=context(2432),
                      qk_norm="rms", **mmdit),
    "hunyuan dit": of("hydit.models", "HunYuanDiT", depth=40, hidden_size=1408, num_heads=16, mlp_ratio=4.3637,
                      size_cond=False, use_style_cond=False),
}
for name, make in models.items():
    try: state = make().state_dict()
    except Exception as error:  # an architecture that this version lacks
        print(json.dumps([name, None, type(error).__name__ + ": " + str(error)[:120], 0, None])); continue
    found = detection.model_config_from_unet(dict(state), "")
    header, at = {}, 0
    for key, tensor in state.items():
        header[key] = {"dtype": "F16", "shape": list(tensor.shape), "data_offsets": [at, at + 2 * tensor.numel()]}
        at += 2 * tensor.numel()
    path = os.path.join(folder, name.replace(" ", "_") + ".safetensors")
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + at)
    print(json.dumps([name, path, type(found).__name__ if found else None, sum(t.numel() for t in state.values()),
                      (found.unet_config if found else {}).get("dim") or (found.unet_config if found else {}).get("hidden_size")]))
'''

# ComfyUI's class -> Ebb's row; {} is the size, which ComfyUI keeps in the configuration.
ROWS = {"WAN21_T2V": "wan-{}", "WAN21_I2V": "wan-{}", "WAN22_T2V": "wan-{}", "WAN22_I2V": "wan-{}",
        "WAN21_FunControl2V": "wan-{}", "WAN21_Camera": "wan-{}", "WAN22_Camera": "wan-{}",
        "WAN21_HuMo": "wan-{}", "WAN21_Vace": "wan-vace-{}", "WAN22_S2V": "wan-s2v-{}",
        "Flux": "flux", "FluxSchnell": "flux", "FluxInpaint": "flux", "Flux2": "flux2",
        "HunyuanVideo": "hunyuan-video", "HunyuanVideoI2V": "hunyuan-video",
        "HunyuanVideoSkyreelsI2V": "hunyuan-video", "HunyuanImage21": "hunyuan-image-21",
        "SD15": "sd15", "SD20": "sd21", "SD21UnclipH": "sd21", "SDXL": "sdxl", "SDXLRefiner": "sdxl-refiner",
        "LTXAV": "ltxav", "QwenImage": "qwen-image", "HunyuanDiT": "hunyuan-dit"}
WIDTHS = {5120: "14b", 3072: "5b", 1536: "1.3b"}
BY_NAME = {"ltxv 2b": "ltxv-2b", "ltxv 13b": "ltxv-13b", "sd3 medium": "sd3-medium",
           "sd3.5 large": "sd35-large"}  # one class of ComfyUI, two rows
# Models of src/weights/known_models.inc that must have as many values.
KNOWN = {"wan t2v 14b": "wan21_t2v_14b_fp16", "wan 2.1 i2v 14b": "wan21_i2v_14b_fp16",
         "wan 2.2 i2v 14b": "wan22_i2v_14b_fp16", "wan ti2v 5b": "wan22_ti2v_5b_fp16",
         "wan fun inp 1.3b": "wan21_fun_inp_1.3b_bf16", "wan fun control 1.3b": "wan21_fun_control_1.3b_bf16",
         "wan fun camera 1.3b": "wan21_fun_camera_1.3b_bf16", "wan fun camera 14b": "wan21_fun_camera_14b_bf16",
         "wan vace 14b": "wan_vace_14b_fp16", "wan s2v 14b": "wan_s2v_14b_bf16", "flux dev": "flux1_dev_bf16",
         "flux schnell": "flux1_schnell_bf16", "flux fill": "flux1_fill_bf16", "hunyuan video": "hunyuan_video_t2v_bf16",
         "hunyuan image 2.1": "hunyuan_image_21_bf16", "sdxl": "sdxl", "sd15": "sd15", "sd21": "sd21",
         "ltxv 2b": "ltxv_2b_bf16", "ltxv 13b": "ltxv_13b_bf16", "ltxav 19b": "ltxav_19b_bf16",
         "qwen image": "qwen_image_bf16", "hunyuan dit": "hunyuan_dit_fp16", "sd3 medium": "sd3_medium_fp16",
         "sd3.5 large": "sd35_large_fp16"}
# 0.8.0 keeps LTX-2's two connectors in the text encoder; the table counts as later versions do.
AV_CONNECTORS = 2 * 354470400


def known_values():
    text = (support.ROOT / "src/weights/known_models.inc").read_text(encoding="utf-8")
    return {key: int(values) for key, values in re.findall(r'\{"([^"]+)", \w+, "[^"]*", "[^"]*", (\d+)', text)}


def main():
    python = support.comfyui_python()
    known, failed = known_values(), 0
    for checkout in support.checkouts():
        compared = counted = 0
        lacking = []
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run([python, "-c", BUILD, checkout, folder], capture_output=True, text=True,
                                  timeout=800, check=False, cwd=folder)
            if done.returncode != 0:
                sys.exit(done.stderr)
            rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[\"")]
            lacking = [f"{name} ({why})" for name, path, why, _, _ in rows if path is None]
            rows = [row for row in rows if row[1] is not None]
            ours = subprocess.run([sys.argv[1]], input="".join(f"model\t{row[1]}\n" for row in rows),
                                  capture_output=True, text=True, timeout=300, check=True)
            for (name, _, class_name, values, width), line in zip(rows, ours.stdout.splitlines()):
                answer = json.loads(line)
                wanted = BY_NAME.get(name) or ROWS.get(class_name, f"no row for {class_name}").format(WIDTHS.get(width, "?"))
                good = answer.get("architecture") == wanted and answer.get("values") == values
                compared += 1
                if not good:
                    print(f"  {name}: ComfyUI {class_name} {width}, {values} values: {wanted}; Ebb: {answer}")
                row = known.get(KNOWN.get(name, ""))
                if name == "ltxav 19b" and values == row - AV_CONNECTORS:
                    row = values
                if row is not None:
                    counted += 1
                    if abs(row - values) > values // 10000:
                        good = False
                        print(f"  {name}: {values} values, in Ebb's table {row}")
                failed += not good
        print(f"ComfyUI {support.version_of(checkout)}: {compared} models compared, {counted} with the table"
              + (f"; this version lacks {'; '.join(lacking)}" if lacking else ""))
    print(f"{failed} differences")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
