// SPDX-License-Identifier: Apache-2.0
// Which class follows which rule, and what is guessed for classes nobody knows.
#include "demand/rules.h"

#include <fmt/format.h>

#include <unordered_map>

#include "base/text.h"

namespace ebb {
namespace {

// clang-format off
constexpr RuleRow kRules[] = {
    // Empty latents: channels, pixels per latent pixel, frames per latent frame.
    {"EmptyLatentImage", latent_from_size, 4, 8, 0},
    {"EmptySD3LatentImage", latent_from_size, 16, 8, 0},
    {"EmptyFlux2LatentImage", latent_from_size, 128, 16, 0},
    {"EmptyHunyuanImageLatent", latent_from_size, 64, 32, 0},
    {"EmptyChromaRadianceLatentImage", latent_from_size, 3, 1, 0},
    {"EmptyHunyuanLatentVideo", latent_from_size, 16, 8, 4},
    {"EmptyHunyuanVideo15Latent", latent_from_size, 32, 16, 4},
    {"EmptyLTXVLatentVideo", latent_from_size, 128, 32, 8},
    {"EmptyMochiLatentVideo", latent_from_size, 12, 8, 6},
    {"EmptyCosmosLatentVideo", latent_from_size, 16, 8, 8},
    {"EmptyQwenImageLayeredLatentImage", latent_layers, 16, 8, 0},
    {"StableCascade_EmptyLatentImage", latent_cascade},
    {"StableCascade_StageC_VAEEncode", latent_cascade_of_picture},
    {"EmptyLatentHunyuan3Dv2", latent_row, 64},
    {"EmptyLatentAudio", latent_audio, 64},
    {"EmptyAceStepLatentAudio", latent_audio, 8},
    {"EmptyAceStep1.5LatentAudio", latent_audio, 64},
    {"LTXVEmptyLatentAudio", latent_ltx_audio},
    // Video nodes that make conditioning and an empty latent.
    {"WanImageToVideo", latent_from_size, 16, 8, 4},
    {"WanFunControlToVideo", latent_from_size, 16, 8, 4},
    {"Wan22FunControlToVideo", latent_from_size, 0, 0, 4},
    {"WanFirstLastFrameToVideo", latent_from_size, 0, 0, 4},
    {"WanFunInpaintToVideo", latent_from_size, 0, 0, 4},
    {"WanVaceToVideo", latent_from_size, 16, 8, 4},
    {"WanCameraImageToVideo", latent_from_size, 16, 8, 4},
    {"WanPhantomSubjectToVideo", latent_from_size, 16, 8, 4},
    {"WanTrackToVideo", latent_from_size, 16, 8, 4},
    {"WanMoveTrackToVideo", latent_from_size, 16, 8, 4},
    {"WanSoundImageToVideo", latent_from_size, 16, 8, 4},
    {"WanHuMoImageToVideo", latent_from_size, 16, 8, 4},
    {"WanAnimateToVideo", latent_from_size, 16, 8, 4, 1},
    {"WanInfiniteTalkToVideo", latent_from_size, 16, 8, 4},
    {"WanSCAILToVideo", latent_from_size, 16, 8, 4},
    {"Wan22ImageToVideoLatent", latent_from_size, 48, 16, 4},
    {"HunyuanImageToVideo", latent_from_size, 16, 8, 4},
    {"HunyuanVideo15ImageToVideo", latent_from_size, 32, 16, 4},
    {"Kandinsky5ImageToVideo", latent_from_size, 16, 8, 4},
    {"LTXVImgToVideo", latent_from_size, 128, 32, 8},
    {"CosmosImageToVideoLatent", latent_from_size, 16, 8, 8},
    {"CosmosPredict2ImageToVideoLatent", latent_from_size, 16, 8, 4},
    {"StableZero123_Conditioning", latent_from_size, 4, 8, 0},
    {"StableZero123_Conditioning_Batched", latent_from_size, 4, 8, 0},
    {"SVD_img2vid_Conditioning", latent_pictures_as_batch, 4, 8, 1},
    {"SV3D_Conditioning", latent_pictures_as_batch, 4, 8, 1},
    // Latents from pictures.
    {"VAEEncode", latent_of_picture},
    {"VAEEncodeTiled", latent_of_picture},
    {"VAEEncodeForInpaint", latent_of_picture},
    {"InpaintModelConditioning", latent_of_picture},
    {"InstructPixToPixConditioning", latent_of_picture},
    // Samplers.
    {"KSampler", latent_sampled}, {"KSamplerAdvanced", latent_sampled},
    {"SamplerCustom", latent_sampled}, {"SamplerCustomAdvanced", latent_sampled},
    // Changed latents.
    {"LatentUpscale", latent_resized, 0, 8},
    {"LatentCrop", latent_resized, 0, 8},
    {"HunyuanVideo15LatentUpscaleWithModel", latent_resized, 0, 16},
    {"LatentUpscaleBy", latent_scaled},
    {"Latent Upscale by Factor (WAS)", latent_scaled},
    {"LatentUpscaleFactor _O", latent_scaled},
    {"LTXVLatentUpsampler", latent_upsampled},
    {"LatentBatch", latent_batched},
    {"LatentConcat", latent_joined},
    {"RepeatLatentBatch", latent_repeated},
    {"WanSoundImageToVideoExtend", latent_continued, 16, 8, 4},
    {"TrimVideoLatent", latent_cut}, {"LatentFromBatch", latent_cut},
    {"LatentCut", latent_cut}, {"LatentRotate", latent_cut},
    {"LTXVAddGuide", latent_with_guide},
    {"LTXVCropGuides", latent_without_guides},
    {"LTXVConcatAVLatent", latent_with_sound},
    {"LTXVSeparateAVLatent", latent_separated},
    // Pictures.
    {"VAEDecode", picture_decoded}, {"VAEDecodeTiled", picture_decoded},
    {"LoadImage", picture_loaded}, {"LoadImageOutput", picture_loaded},
    {"LoadImageMask", picture_loaded}, {"LoadVideo", picture_loaded},
    {"VHS_LoadVideo", video_loaded_by_vhs}, {"VHS_LoadVideoPath", video_loaded_by_vhs},
    {"GetVideoComponents", video_taken_apart}, {"CreateVideo", video_made},
    {"Video Slice", video_cut},
    {"LoadImageFromUrl", picture_loaded},
    {"EmptyImage", picture_from_size},
    {"ImageScale", picture_resized}, {"ImageCrop", picture_resized},
    {"CenterCropImages", picture_resized}, {"RandomCropImages", picture_resized},
    {"ResizeAndPadImage", picture_resized},
    {"ImageScaleBy", picture_scaled}, {"ResizeImageMaskNode", picture_resized_by_type},
    {"ImageScaleToTotalPixels", picture_to_megapixels},
    {"ImageScaleToMaxDimension", picture_to_side},
    {"ResizeImagesByLongerEdge", picture_to_side},
    {"ResizeImagesByShorterEdge", picture_to_side},
    {"FluxKontextImageScale", picture_for_kontext},
    {"ImageUpscaleWithModel", picture_upscaled},
    {"ImagePadForOutpaint", picture_padded},
    {"ImageBatch", pictures_joined}, {"BatchImagesNode", pictures_joined},
    {"RepeatImageBatch", pictures_repeated},
    {"ImageFromBatch", pictures_cut},
    {"ImageStitch", picture_stitched},
    // Numbers.
    {"PrimitiveInt", number_typed}, {"PrimitiveFloat", number_typed},
    {"INTConstant", number_typed}, {"FloatConstant", number_typed},
    {"easy int", number_typed}, {"easy float", number_typed}, {"Int Literal", number_typed},
    {"ImpactInt", number_typed}, {"JWInteger", number_typed},
    {"Primitive integer [Crystools]", number_typed},
    {"PrimitiveBoolean", truth_typed},
    {"ComfyNumberConvert", number_converted}, {"ResolutionSelector", number_of_proportion},
    {"ComfySwitchNode", value_switched}, {"ComfySoftSwitchNode", value_switched},
    {"LazySwitchKJ", value_switched},
    {"WanCameraEmbedding", number_of_camera},
    {"GetImageSize", number_of_picture}, {"GetImageSizeAndCount", number_of_picture},
    {"GetImageSize+", number_of_picture},
    {"CustomCombo", number_of_choice},
    {"ComfyMathExpression", number_computed}, {"MathExpression|pysssss", number_computed},
    {"SimpleMath+", number_computed}, {"SimpleCalculatorKJ", number_computed},
    {"easy mathInt", number_of_operation}, {"CM_IntBinaryOperation", number_of_operation},
    {"easy mathFloat", number_of_operation},
    // Schedules: a number of steps.
    {"BasicScheduler", steps_typed}, {"KarrasScheduler", steps_typed},
    {"Flux2Scheduler", steps_typed}, {"LTXVScheduler", steps_typed},
    {"SDTurboScheduler", steps_typed}, {"BetaSamplingScheduler", steps_typed},
    {"AlignYourStepsScheduler", steps_typed}, {"GITSScheduler", steps_typed},
    {"ExponentialScheduler", steps_typed}, {"PolyexponentialScheduler", steps_typed},
    {"LaplaceScheduler", steps_typed}, {"VPScheduler", steps_typed},
    {"OptimalStepsScheduler", steps_typed},
    {"SplitSigmas", steps_split}, {"SplitSigmasDenoise", steps_split},
    {"ManualSigmas", steps_listed},
};
// clang-format on

bool says_resize(std::string_view class_type) {
  const std::string name = lower(class_type);
  for (const char* word : {"resize", "scale", "crop", "pad", "tile", "stitch", "grid", "concat"}) {
    if (contains(name, word)) return true;
  }
  return false;
}

/// An unknown node with width and height: for a latent the usual strides, for a picture itself.
SizeValue guess_from_size(RuleScope& s, std::string_view type) {
  if (type == "LATENT") {
    const RuleRow usual = s.has("length") || s.has("num_frames")
                              ? RuleRow{"", latent_from_size, 16, 8, 4}
                              : RuleRow{"", latent_from_size, 4, 8, 0};
    s.assume({Say::eight_pixels_assumed, {s.node_name()}});
    return latent_from_size(s, usual);
  }
  s.assume({Say::gives_its_width_and_height, {s.node_name(), type}});
  return picture_resized(s, {"", picture_resized});
}

SizeValue not_known(const RuleScope& s, std::string_view what) {
  return unknown_value({Say::output_not_known, {what, s.node_name()}});
}

}  // namespace

const RuleRow* find_rule(std::string_view class_type) {
  static const auto* const rules = [] {
    auto* map = new std::unordered_map<std::string_view, const RuleRow*>;  // lives as long as we
    for (const RuleRow& row : kRules) map->emplace(row.class_type, &row);
    return map;
  }();
  const auto found = rules->find(class_type);
  return found == rules->end() ? nullptr : found->second;
}

SizeValue guess(RuleScope& s) {
  const PromptGraph::Source here{s.position(), s.slot()};
  const std::string_view type = s.graph().output_type(here);
  if (type == "INT" || type == "FLOAT") {
    return s.has("value") ? s.get("value") : not_known(s, "number");
  }
  if (type == "SIGMAS") {
    if (s.graph().input_of_type(s.position(), "SIGMAS")) return s.first({"SIGMAS"});
    return s.has("steps") ? steps_typed(s, {}) : not_known(s, "number of steps");
  }
  const bool sized = type == "LATENT" || type == "IMAGE" || type == "VIDEO" || type == "MASK";
  if (!sized && !is_any(type)) return not_known(s, std::string(lower(type)));
  const bool resizes = !s.node().known && says_resize(s.node().class_type);
  if (sized && s.has("width") && s.has("height") &&
      (resizes || !s.graph().handed_on(here, type).exists())) {
    return guess_from_size(s, type);
  }
  PromptGraph::Source from = s.graph().handed_on(here, type);
  for (const char* other : {"IMAGE", "VIDEO", "MASK"}) {  // pictures in another dress
    if (!from.exists() && sized && type != "LATENT") from = s.graph().handed_on(here, other);
  }
  for (const char* usual : {"LATENT", "IMAGE"}) {  // an unknown class: what it takes, it gives
    const PromptInput* input = s.graph().input_of_type(s.position(), usual);
    if (!from.exists() && !sized && input) from = s.graph().source(*input);
  }
  if (!from.exists() || resizes) return not_known(s, sized ? std::string(lower(type)) : "value");
  SizeValue value = s.value_of(from);
  if (s.pending()) return {};
  if (!s.node().known && value.is_shape() && value.why.empty() && s.node().inputs.size() > 1) {
    value.why = {Say::keeps_the_size, {s.node_name()}};
  }
  return value;
}

}  // namespace ebb
