#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The models that trace_demand.py builds: MODELS, VAES, UPSCALERS, by keys of the demand table.

An entry names a class of ComfyUI by its place, the published configuration, the sizes to trace
and what its forward takes. Settings that a version's class does not know are left out by the
tracer.
"""


class Model:
    """A denoiser: its class, its published configuration, and what its forward takes."""

    def __init__(self, place, config, sizes, channels=16, spatial=8, temporal=0, patch=2, hidden=0,
                 text=(0, 0), joint=True, dtype="bfloat16", inputs=None, channels_in=None,
                 needs=None, references=0, flat=False, control=None, nets=1, hint=None, base=None):
        self.place, self.config, self.sizes = place, config, sizes
        self.flat = flat  # the latent is a row: sound, or the points of a shape
        self.control, self.nets = control, nets  # a ControlNet, and how many in a row
        self.hint, self.base = hint, base  # the picture that it gets, and the model's key alone
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
        self.encode, self.dtype, self.needs, self.base = encode, dtype, needs, None


class Upscaler:
    """A class of spandrel, which ComfyUI's node gives one tile after the other."""

    temporal, dtype, needs, base = 0, "float32", None, None

    def __init__(self, place, config, sizes):
        self.place, self.config, self.sizes = place, config, sizes


def with_control(key, place, config, hint):
    """A model with a ControlNet beside it, and with two."""
    base = MODELS[key]
    net = {**vars(base), "control": Model(place, config, [], dtype=base.dtype), "hint": hint,
           "base": key}
    MODELS["controlnet-" + key] = Model(**net)
    MODELS["two-controlnets-" + key] = Model(**{**net, "nets": 2})


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


def svd_inputs(make, shape):
    return {"y": make(shape[0], 768), "num_video_frames": shape[0]}


def prior_inputs(make, shape):
    return {"clip_text": make(shape[0], 77, 1280), "clip_text_pooled": make(shape[0], 1280),
            "clip_img": make(shape[0], 1, 768)}


def decoder_inputs(make, shape):
    prior = [n * 4 // 42 for n in shape[2:]]
    return {"effnet": make(shape[0], 16, *prior), "clip": make(shape[0], 1280)}


def ltxav_inputs(make, shape):
    """Video, and its sound at 25 latents a second of 25 frames."""
    return {"x": [make(*shape), make(shape[0], 8, (shape[2] - 1) * 8 + 1, 16)],
            "attention_mask": None, "frame_rate": 25}


def song_inputs(make, shape):
    import torch
    return {"lyric_token_idx": make(shape[0], 512, dtype=torch.int64),
            "speaker_embeds": make(shape[0], 512)}


def codes_inputs(make, shape):
    """What the text encoder's language model wrote: five codes a second."""
    import torch
    return {"lyric_embed": make(shape[0], 512, 1024), "refer_audio": make(*shape),
            "audio_codes": make(shape[0], shape[2] // 5, dtype=torch.int64)}


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
                                  use_x0=False, use_sequential_txt_ids=False)
                             | {"patch_size": 16}, PICTURES, channels=3,
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
    "svd": Model(config=unet(in_channels=8, adm_in_channels=768, num_classes="sequential",
                             use_temporal_attention=True, use_temporal_resblock=True,
                             extra_ff_mix_layer=True, use_spatial_context=True,
                             merge_strategy="learned_with_images", merge_factor=0.0,
                             video_kernel_size=[3, 1, 1]), **UNET, channels_in=8, text=(1, 1024),
                 inputs=svd_inputs, sizes=[(1024, 576, 14), (1024, 576, 25), (576, 576, 25)]),
    "stable-cascade-c": Model("comfy.ldm.cascade.stage_c:StageC", {},
                              [(1024, 1024), (1536, 1024), (2048, 2048)], spatial=42, text=None,
                              inputs=prior_inputs),
    "stable-cascade-b": Model("comfy.ldm.cascade.stage_b:StageB", {},
                              [(1024, 1024), (1536, 1024), (2048, 2048)], channels=4, spatial=4,
                              text=None, inputs=decoder_inputs),
    "ltxav": Model("comfy.ldm.lightricks.av_model:LTXAVModel", {},
                   [(768, 512, 97), (1280, 704, 121), (1280, 704, 241)], channels=128, spatial=32,
                   temporal=8, patch=1, hidden=4096, text=(1024, 7680), joint=False,
                   inputs=ltxav_inputs),
    "ltxav-23": Model("comfy.ldm.lightricks.av_model:LTXAVModel",
                      dict(apply_gated_attention=True, caption_proj_before_connector=True,
                           cross_attention_adaln=True, caption_projection_first_linear=False),
                      [(768, 512, 97), (1280, 704, 121), (1280, 704, 241)], channels=128,
                      spatial=32, temporal=8, patch=1, hidden=4096, text=(1024, 6144),
                      joint=False, inputs=ltxav_inputs, needs="cross_attention_adaln"),
    "hunyuan3d": Model("comfy.ldm.hunyuan3d.model:Hunyuan3Dv2", {},
                       [(1024, 1), (3072, 1), (8192, 1)], channels=64, spatial=1, patch=1,
                       hidden=1024, text=(1370, 1536), dtype="float16", flat=True),
    "hunyuan3d-21": Model("comfy.ldm.hunyuan3dv2_1.hunyuandit:HunYuanDiTPlain",
                          dict(guidance_cond_proj_dim=None),
                          [(1024, 1), (3072, 1), (8192, 1)], channels=64, spatial=1, patch=1,
                          hidden=2048, text=(1370, 1024), joint=False, dtype="float16",
                          flat=True),
    "ace-step": Model("comfy.ldm.ace.model:ACEStepTransformer2DModel",
                      dict(attention_head_dim=128, inner_dim=2560, mlp_ratio=2.5,
                           num_attention_heads=20, num_layers=24, max_position=32768,
                           max_height=16, max_width=32768, ssl_encoder_depths=[8, 8],
                           ssl_latent_dims=[1024, 768], lyric_encoder_vocab_size=6693,
                           lyric_hidden_size=1024, patch_size=[16, 1]),
                      [(1292, 16), (1938, 16), (2584, 16), (646, 16)], channels=8, spatial=1,
                      text=(256, 768), inputs=song_inputs),
    "ace-step-15": Model("comfy.ldm.ace.ace_step15:AceStepConditionGenerationModel", {},
                         [(1500, 1), (3000, 1), (6000, 1)], channels=64, spatial=1,
                         text=(256, 1024), inputs=codes_inputs, flat=True),
    "stable-audio": Model("comfy.ldm.audio.dit:AudioDiffusionTransformer", {},
                          [(256, 1), (512, 1), (1024, 1)], channels=64, spatial=1, patch=1,
                          hidden=1536, text=(130, 768), joint=False, dtype="float16", flat=True,
                          inputs=lambda make, shape: {"global_embed": make(shape[0], 1536)}),
    "longcat-image": Model(config=flux(vec_in_dim=None, context_in_dim=3584, depth=10,
                                       depth_single_blocks=20, guidance_embed=False,
                                       txt_ids_dims=[1, 2]), sizes=PICTURES,
                           **{**FLUX, "text": (512, 3584)}),
}
for key, hidden, depth, single, context in (("flux2-klein-9b", 4096, 8, 24, 12288),
                                            ("flux2-klein-4b", 3072, 5, 20, 7680)):
    dev = vars(MODELS["flux2"])
    MODELS[key] = Model(**{**dev, "hidden": hidden, "text": (512, context), "config": dict(
        dev["config"], hidden_size=hidden, depth=depth, depth_single_blocks=single,
        context_in_dim=context, num_heads=hidden // 128, guidance_embed=False)})
MODELS["anima"] = Model(**{**vars(MODELS["cosmos-predict2"]), "place":
                           "comfy.ldm.anima.model:Anima", "sizes": PICTURES})


def hint_picture(make, shape):
    return make(1, 3, shape[2] * 8, shape[3] * 8)


def hint_latent(make, shape):
    return make(1, *shape[1:])


def unet_control(key):
    config = {**MODELS[key].config, "hint_channels": 3}
    for name in ("out_channels", "transformer_depth_output", "use_temporal_attention"):
        del config[name]
    with_control(key, "comfy.cldm.cldm:ControlNet", config, hint_picture)


for unet_key in ("sd15", "sd21", "sdxl"):
    unet_control(unet_key)
# Stability's own: as many heads as the model it is for, half as many blocks.
with_control("sd35-large", "comfy.cldm.dit_embedder:ControlNetEmbedder",
             dict(img_size=None, patch_size=2, in_chans=16, num_layers=19, main_model_double=38,
                  double_y_emb=False, attention_head_dim=64, num_attention_heads=38,
                  adm_in_channels=2048), hint_latent)
# Union Pro 2.0: six double blocks. The first Union had five, and ten single ones.
with_control("flux", "comfy.ldm.flux.controlnet:ControlNetFlux",
             flux(depth=6, depth_single_blocks=0, latent_input=True, control_latent_channels=16),
             hint_latent)
MODELS["controlnet-flux-union"] = Model(**{**vars(MODELS["controlnet-flux"]), "control": Model(
    "comfy.ldm.flux.controlnet:ControlNetFlux",
    flux(depth=5, depth_single_blocks=10, latent_input=True, control_latent_channels=16), [])})
# InstantX Union: five blocks.
with_control("qwen-image", "comfy.ldm.qwen_image.controlnet:QwenImageControlNetModel",
             dict(in_channels=64, num_layers=5), hint_latent)

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

# ESRGAN and what was made from it, at the sizes of a whole tile and of a smaller picture.
UPSCALERS = {f"rrdb-x{scale}": Upscaler("spandrel.architectures.ESRGAN.__arch.RRDB:RRDBNet",
                                        dict(scale=scale), [(512, 512), (384, 256)])
             for scale in (1, 2, 4, 8)}
