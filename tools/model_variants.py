#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""VARIANTS and VAE_VARIANTS: public models of the architectures that trace_models.py has one of
each, which ComfyUI has classes, layers or widths of their own for. ROWS: whose row of the demand
table they belong to.
"""
from trace_models import AUTOENCODER, KL, MODELS, Model, Vae

WAN = "comfy.ldm.wan.model:"


def like(key, place=None, **changes):
    """A row's key, and its model with another configuration."""
    base = vars(MODELS[key])
    more = {"place": place} if place else {}
    return key, Model(**{**base, **more, "config": {**base["config"], **changes}})


def small_xl(middle, down, output, **changes):
    return like("sdxl", transformer_depth=down, transformer_depth_output=output,
                transformer_depth_middle=middle, **changes)


VARIANTS = {
    "wan fun inp 1.3b": like("wan-1.3b", model_type="i2v", in_dim=36),
    "wan fun control 1.3b": like("wan-1.3b", model_type="i2v", in_dim=48),
    "wan fun camera 1.3b": like("wan-1.3b", WAN + "CameraWanModel", model_type="camera", in_dim=32),
    "wan fun camera 14b": like("wan-14b", WAN + "CameraWanModel", model_type="camera", in_dim=32),
    "wan 2.2 fun camera 14b": like("wan-14b", WAN + "CameraWanModel", model_type="camera_2.2",
                                   in_dim=36),
    "wan humo 14b": like("wan-14b", WAN + "HumoWanModel", model_type="humo", in_dim=36),
    "flux schnell": like("flux", guidance_embed=False),
    "flux fill": like("flux", in_channels=96),
    "flux control": like("flux", in_channels=32),
    "hunyuan video i2v": like("hunyuan-video", in_channels=33),
    "hunyuan video skyreels": like("hunyuan-video", in_channels=32),
    "hunyuan video 1.5 sr": like("hunyuan-video-15", in_channels=98),
    "hunyuan image 2.1 refiner": like("hunyuan-image-21", in_channels=128, patch_size=[1, 1, 1],
                                      axes_dim=[16, 56, 56]),
    "hunyuan 3d mini": like("hunyuan3d", depth=8, depth_single_blocks=16),
    "sdxl instructpix2pix": like("sdxl", in_channels=8),
    "ssd 1b": small_xl(0, [0, 0, 2, 2, 4, 4], [0, 0, 0, 1, 1, 2, 10, 4, 4]),
    "segmind vega": small_xl(0, [0, 0, 1, 1, 2, 2], [0, 0, 0, 1, 1, 1, 2, 2, 2]),
    "koala 1b": small_xl(6, [0, 2, 6], [0, 0, 2, 2, 6, 6], num_res_blocks=[1, 1, 1]),
    "koala 700m": small_xl(0, [0, 2, 5], [0, 0, 2, 2, 5, 5], num_res_blocks=[1, 1, 1]),
    "sd 2.1 unclip": like("sd21", adm_in_channels=2048, num_classes="sequential"),
    "sv3d u": like("svd", adm_in_channels=256),
    "hunyuan dit 1": like("hunyuan-dit", size_cond=True, use_style_cond=True),
    "pixart alpha": like("pixart", micro_condition=True),
    "cosmos i2v": like("cosmos", in_channels=17),
    "cosmos predict2 i2v": like("cosmos-predict2", in_channels=17),
    "kandinsky 5 image": like("kandinsky5", model_dim=2560, ff_dim=10240, visual_embed_dim=64,
                              num_visual_blocks=50),
    "wan flf2v 14b": like("wan-14b", model_type="i2v", in_dim=36, flf_pos_embed_token_number=514),
    "wan fun control 14b": like("wan-14b", model_type="i2v", in_dim=48, in_dim_ref_conv=16),
    "wan 2.2 fun control 14b": like("wan-14b", in_dim=52, in_dim_ref_conv=16),
    "wan 2.2 fun control 5b": like("wan-5b", in_dim=148, in_dim_ref_conv=48),
    "qwen image layered": like("qwen-image", use_additional_t_cond=True),
    "ovis image": like("flux", yak_mlp=True, txt_norm=True, vec_in_dim=None, context_in_dim=2048,
                       guidance_embed=False, depth=6, depth_single_blocks=27),
    "sd 3.5 medium": like("sd3-medium", qk_norm="rms", x_block_self_attn_layers=list(range(13)),
                          pos_embed_max_size=384, num_patches=384 * 384),
    "sd x4 upscaler": like("sd21", model_channels=256, in_channels=7, num_classes=1000,
                           transformer_depth=[0, 0, 1, 1, 1, 1, 0, 0],
                           transformer_depth_output=[0] * 3 + [1] * 6 + [0] * 3),
    "sd 2.1 unclip l": like("sd21", adm_in_channels=1536, num_classes="sequential"),
    "lotus d": like("sd21", adm_in_channels=4, num_classes="sequential"),
    "sv3d p": like("svd", adm_in_channels=1280),
    "newbie": like("lumina2", clip_text_dim=1024),
    "z-image omni": like("z-image", siglip_feat_dim=1152),
    "ltx 2.5": like("ltxav", use_keyframes_abs_pos_embedding=True),
    "kandinsky 5 pro": like("kandinsky5", model_dim=4096, ff_dim=16384, time_dim=1024,
                            num_visual_blocks=60, num_text_blocks=4),
    "cosmos predict2 14b": like("cosmos-predict2", model_channels=5120, num_blocks=36,
                                num_heads=40),
    "cosmos 14b": like("cosmos", model_channels=5120, num_blocks=36, num_heads=40),
}

# That of Stable Diffusion, whose latent has four channels.
VAE_VARIANTS = {
    "kl-vae sd": ("kl-vae", Vae(AUTOENCODER + "AutoencoderKL",
                                dict(ddconfig=dict(KL, z_channels=4), embed_dim=4), [])),
}

# Built on their own, but of another row than their key says.
ROWS = {
    "wan-14b-i2v": "wan-14b",
    "wan-14b-i2v-clip": "wan-14b",
    "ltxav-23": "ltxav",
    "z-image-pixel": "z-image",
    "hunyuan image 2.1 refiner": "hunyuan-image-21-refiner",
    # Wider than the one that the row was traced with.
    "kandinsky 5 image": "",
    "kandinsky 5 pro": "",
    "cosmos predict2 14b": "",
    "cosmos 14b": "",
}
