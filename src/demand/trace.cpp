// SPDX-License-Identifier: Apache-2.0
// What the tracer recorded, beside what the table says of the same call.
#include <fmt/format.h>

#include <algorithm>

#include "demand/formulas.h"
#include "json/document.h"

namespace ebb {
namespace {

Result<TracedCall> read_call(JsonValue row, const std::string& file, const std::string& place) {
  TracedCall call;
  call.architecture = row.find("key").string();
  call.error = row.find("error").string();
  call.torch = row.find("torch").string();
  if (call.architecture.empty()) {
    return input_error("a row has no \"key\"", file, place,
                       "Trace it again: ebb calibrate --help.");
  }
  const auto version = parse_comfy_version(row.find("version").string());
  if (!version) return version.error();
  call.comfyui = *version;
  const JsonValue what = row.find("what");
  call.step = what.is("decode")    ? StepKind::decode
              : what.is("encode")  ? StepKind::encode_image
              : what.is("upscale") ? StepKind::upscale
                                   : StepKind::sample;
  const auto number = [&row](const char* key, std::int64_t least) {
    return std::clamp<std::int64_t>(row.find(key).integer_or(least), least, kMostBytes);
  };
  call.picture = {number("batch", 1),  3,
                  number("frames", 1), number("height", 0),
                  number("width", 0),  number("frames", 1) > 1};
  call.live_bytes = number("live", 0);
  call.reserved_bytes = number("reserved", 0);
  call.cast_bytes = number("cast", 0);
  if (call.error.empty() && call.live_bytes == 0) call.error = "the row has no figures";
  return call;
}

std::int64_t latent_frames(const Shape& picture, int temporal) {
  return temporal > 0 ? (picture.frames - 1) / temporal + 1 : 1;
}

}  // namespace

Result<std::vector<TracedCall>> parse_traced_calls(std::string_view rows, const std::string& file) {
  std::vector<TracedCall> calls;
  std::int64_t line = 0;
  for (std::size_t at = 0; at < rows.size();) {
    const std::size_t end = std::min(rows.find('\n', at), rows.size());
    ++line;
    const std::string_view text = rows.substr(at, end - at);
    at = end + 1;
    if (text.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    auto document = JsonDocument::parse(std::string(text), file);
    if (!document) {
      Error error = document.error();
      error.where.line = line;
      return error;
    }
    auto call = read_call(document->root(), file, fmt::format("line {}", line));
    if (!call) return call.error();
    calls.push_back(*std::move(call));
  }
  return calls;
}

std::optional<Demand> table_demand(const TracedCall& call) {
  const Shape& picture = call.picture;
  if (call.step == StepKind::sample) {
    SampleCase c;
    const ControlRow* control = find_control_row(call.architecture);
    c.row = find_diffusion_row(control ? control->base : call.architecture);
    if (!c.row) return std::nullopt;
    c.controlnets = control ? control->nets : 0;
    c.version = call.comfyui;
    // A model for pictures gets a video as a batch of pictures.
    const auto pictures = static_cast<double>(c.row->temporal > 0 ? 1 : picture.frames);
    c.latent = {to_bytes(static_cast<double>(picture.batch) * pictures),
                c.row->channels,
                latent_frames(picture, c.row->temporal),
                picture.height / c.row->spatial,
                picture.width / c.row->spatial,
                c.row->temporal > 0};
    if (c.row->counted == Counted::sound_to_video) {  // traced with one reference picture
      c.reference_area = c.reference_most =
          static_cast<double>(c.latent.height) * static_cast<double>(c.latent.width);
    }
    return sample_demand(c);
  }
  if (call.step == StepKind::upscale) {
    const UpscalerRow* row = find_upscaler_row(call.architecture);
    if (!row) return std::nullopt;
    return upscale_demand({picture, static_cast<double>(row->scale), 0, true});
  }
  VaeCase c;
  c.row = find_vae_row(call.architecture);
  if (!c.row) return std::nullopt;
  c.version = call.comfyui;
  c.shape = {picture.batch, 3, picture.frames, picture.height, picture.width, c.row->temporal > 0};
  if (call.step == StepKind::encode_image) return encode_demand(c);
  c.shape.channels = c.row->channels;
  c.shape.frames = latent_frames(picture, c.row->temporal);
  c.shape.height /= c.row->spatial;
  c.shape.width /= c.row->spatial;
  return decode_demand(c);
}

}  // namespace ebb
