# SPDX-License-Identifier: Apache-2.0
"""What is true of the model files of ComfyUI's official templates, told without Ebb.

Sizes come from the templates themselves: their notes state one behind each link. Which of Ebb's
rows a file may be taken for was decided by hand, from the template's title and the classes in
`supported_models` of ComfyUI 0.33.0: a row that stands here may be said of the files that its
pattern finds and of no other. Unknown is always allowed.
"""
import re

GIB, MIB = 2 ** 30, 2 ** 20

# Row of the demand table -> names of files whose class has this row in ComfyUI.
ROWS = {
    "sd15": r"^v1-5|^sd15|dreamshaper_8",
    "sd21": r"^v2-1|^lotus-depth",  # LotusD is an SD20 with other inputs
    "sdxl": r"^sd_xl_(base|turbo)",
    "sdxl-refiner": r"^sd_xl_refiner",
    "sd35-large": r"^sd3\.5_large_?(fp8_scaled)?\.",
    "svd": r"^svd",
    "flux": r"^flux1-|^flux\.1-fill|^ovis_image",  # Ovis is Flux with other layers, by detection
    "longcat-image": r"^longcat_image",
    "flux2": r"^flux2_dev|^flux-2-klein",
    "flux2-klein-4b": r"^flux-2-klein(-base)?-4b",
    "flux2-klein-9b": r"^flux-2-klein(-base)?-9b",
    "chroma": r"^Chroma1-HD",
    "chroma-radiance": r"^chroma-radiance",
    "hidream": r"^hidream_[ie]1",
    "lumina2": r"^NetaYume|^NewBie",
    "z-image": r"^z_image",
    "qwen-image": r"^qwen_image_(fp8|bf16|2512|edit|layered)|^FireRed-Image",
    "omnigen2": r"^omnigen2",
    "hunyuan-video": r"^hunyuan_video",
    "hunyuan-video-15": r"^hunyuanvideo1\.5|^capybara",
    "anima": r"^anima-(base|preview)",
    "ltxv-2b": r"^ltx-video-2b",
    "ltxav": r"^ltx-2(\.[35])?-(19|22)b",
    "wan-1.3b": r"^wan2\.1_(t2v|fun_\w+?(_v1\.1)?)_1\.3B",
    "wan-5b": r"^wan2\.2_(ti2v|fun_control|fun_inpaint)_5B",
    "wan-14b": r"^wan2\.[12]_(t2v|i2v|flf2v|fun)_.*14B|^Wan21-WanMove|^Wan2_1-I2V|^humo_17B|"
               r"^chrono_edit_14B",
    "wan-vace-1.3b": r"^wan2\.1_vace_1\.3B",
    "wan-vace-14b": r"^wan2\.1_vace_14B",
    "wan-s2v-14b": r"^wan2\.2_s2v_14B",
    "wan-animate-14b": r"^wan2\.2_animate_14B|^Wan2_2-Animate",
    "ace-step": r"^ace_step_v1_",
    "ace-step-15": r"^ace_?step_?_?v?1\.5",
    "stable-audio": r"^stable-audio-open",
    "hunyuan3d": r"^hunyuan3d-dit-v2[-_]",
    "hunyuan3d-21": r"^hunyuan_3d_v2\.1",
    "kandinsky5": r"^kandinsky5",
    # text encoders
    "clip-l": r"^clip_l",
    "clip-g": r"^clip_g|^sd_xl_refiner",
    "sdxl-clip": r"^sd_xl|^clip_",
    "t5-xxl": r"^t5xxl",
    "umt5-xxl": r"^umt5_xxl",
    "flux-clip": r"^clip_l|^t5xxl|^flux1-",
    "sd3-clip": r"^clip_|^t5xxl|^sd3",
    "llava-llama3": r"^llava_llama3",
    "hunyuan-clip": r"^clip_l|^llava_llama3",
    "qwen25-vl-7b": r"^qwen_2\.5_vl_7b|^byt5",
    "gemma-2-2b": r"^gemma_2_2b|^NetaYume",
    "gemma3-12b": r"^gemma_3_12B|^ltx-2",
    "qwen3-4b": r"^qwen_3_4b",
    "qwen3-0.6b": r"^qwen_3_06b|^qwen_0\.6b",
    "qwen3-8b": r"^qwen_3_8b",
    "qwen3vl-4b": r"^qwen3vl_4b",
    "qwen3vl-8b": r"^qwen3vl_8b",
    "gemma4-e4b": r"^gemma4_e4b",
    "gemma4-12b": r"^gemma4-12b",
    "t5-base": r"^t5-base",
    "ltxav-projection": r"^ltx-2",
    "mistral3-24b": r"^mistral_3_small",
    "hidream-clip": r"^clip_[lg]_hidream|^t5xxl|^llama_3\.1",
    # VAEs
    "kl-vae": r"^ae\.|^sd_xl|^sd3|^svd|^flux1-|^vae-ft-mse|^NetaYume|^lumina",
    "flux2-vae": r"^flux2-vae",
    "wan21-vae": r"^wan_2\.1|^Wan2_1_VAE|^qwen_image_(layered_)?vae|^wan_alpha|^marigold_v2\w*vae|"
                 r"^ming_image_vae",
    "wan22-vae": r"^wan2\.2_vae",
    "hunyuan-video-vae": r"^hunyuan_video_vae",
    "hunyuan-video-15-vae": r"^hunyuanvideo15_vae",
    "ltxv-vae": r"^ltx-",
    "audio-vae": r"^ltx-|audio|^ace_|music",
    # the others
    "krea2": r"^krea2",
    "clip-vision-h": r"^clip_vision_h",
    "clip-vision-g": r"^clip_vision_g",
    "sigclip": r"^sigclip",
    "wav2vec2-large": r"^wav2vec2_large",
    "style-model": r"^flux1-redux",
    "upscaler": r"upscal|upsampl",
    "rrdb": r"^RealESRGAN",
}

# Checkpoints of which another loader takes the diffusion model alone.
CHECKPOINTS = {"flux1-dev-fp8.safetensors"}

# What the name of a file says of its element type, in bytes a value.
TYPES = [(r"nvfp4|fp4|w4a8|w4a4", 0.5, 0.9), (r"fp8|int8|e4m3", 1, 1), (r"bf16|fp16", 2, 2),
         (r"fp32", 4, 4)]


# Sizes that a note states in units of 10^6: image_moss_image_color_depth_control says 249 MB where
# the others say 249.5 MB, and 9.75 GB of the text encoder where they say 9.08 GB, of 2^30 bytes.
DECIMAL = {"flux2-vae_small.safetensors": 249e6}


def stated_sizes(notes):
    """name -> bytes, from Markdown such as `[name](url) (19.53 GB)`; figures are of 2^30 bytes."""
    found = {}
    for text in notes:
        for match in re.finditer(r"\[[^\]\n]+\]\(([^)\s]+)\)\s*\(?\s*~?([\d.]+)\s*([GM])i?B", text):
            name = match[1].split("?")[0].split("/")[-1]
            size = float(match[2]) * (GIB if match[3] == "G" else MIB)
            found.setdefault(name, set()).add(size)
    for name in found.keys() & DECIMAL.keys():
        found[name].add(DECIMAL[name])
    return found


def row_is_false(row, files):
    """Whether a row is said of files that are of another class; a sentence, or ''."""
    if not row:
        return ""
    if row not in ROWS:
        return f"{row} is a row that the judge does not know"
    if not any(re.search(ROWS[row], name) for name in files):
        return f"{' + '.join(files)} is taken for {row}"
    return ""


def named_bytes(name):
    """Least and most bytes of a file whose name states values and a type, or None."""
    values = re.search(r"(?<![a-zA-Z0-9.])(\d+(?:\.\d+)?)[bB](?![a-zA-Z0-9])", name)
    kind = next((t for t in TYPES if re.search(t[0], name, re.I)), None)
    if not values or not kind or re.search(r"lora|control", name, re.I):
        return None
    count = float(values[1]) * 1e9
    return 0.7 * count * kind[1], 1.6 * count * kind[2]
