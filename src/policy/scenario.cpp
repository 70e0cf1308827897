// SPDX-License-Identifier: Apache-2.0
// Reads scenarios, and plays a whole file of them.
#include "policy/scenario.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "ebb/policy.h"

namespace ebb {
namespace {

constexpr double kMostMib = 1 << 26;  // 64 TiB
constexpr std::int64_t kMostExtent = 1 << 24;
constexpr std::size_t kMostEvents = 100'000;
constexpr std::size_t kMostText = std::size_t{1} << 30;

struct KindName {
  std::string_view name;
  EventKind kind;
};
constexpr KindName kKinds[] = {
    {"load_vae", EventKind::load_vae},
    {"load_te", EventKind::load_te},
    {"load_unet", EventKind::load_unet},
    {"load_checkpoint", EventKind::load_checkpoint},
    {"lora", EventKind::lora},
    {"te_encode", EventKind::te_encode},
    {"sample", EventKind::sample},
    {"vae_encode", EventKind::vae_encode},
    {"vae_decode", EventKind::vae_decode},
    {"unload_all", EventKind::unload_all},
};

/// What a checkpoint holds beside its diffusion model.
struct CheckpointParts {
  std::string_view model, clip;
};
constexpr CheckpointParts kCheckpointParts[] = {{"sdxl", "sdxl_clip"}};

class Reader {
 public:
  Reader(JsonValue json, const std::string& file, std::int64_t line)
      : json_(json), file_(file), line_(line) {}

  Result<Scenario> read() {
    Scenario scenario;
    scenario.json = json_;
    scenario.id = json_.find("id").text_or(fmt::format("line {}", line_));
    scenario.dynamic = json_.find("mode").is("dynamic");
    scenario.machine = machine(scenario.dynamic);
    if (!json_.find("events").is_array()) fail("events", "a scenario needs a list of events");
    if (json_.find("events").size() > kMostEvents) fail("events", "too many events");
    if (error_) return *error_;
    for (JsonValue event : json_.find("events")) {
      read_event(scenario, event);
      if (error_) return *error_;
    }
    return scenario;
  }

 private:
  void fail(std::string_view place, std::string message, std::string hint = {}) {
    if (error_) return;
    error_ = input_error(std::move(message), file_, std::string(place), std::move(hint));
    error_->where.line = line_;
  }

  Quantity size(const char* key) {
    const auto mib = json_.find("settings").find(key).number();
    if (!mib || !(*mib >= 0 && *mib <= kMostMib)) {
      fail(fmt::format("settings.{}", key), "a size in MiB is needed here");
      return {};
    }
    return {std::llround(*mib * kBytesPerMib), NumberKind::given, "scenario"};
  }

  Machine machine(bool dynamic) {
    const JsonValue s = json_.find("settings");
    Machine m;
    m.vram_total = m.vram_free = size("vram_total");
    m.vram_free.bytes -= size("vram_others").bytes;
    m.ram_total = size("ram_total");
    m.ram_others = size("ram_used");
    m.os = s.find("os").is("windows") ? Os::windows : Os::linux;
    if (const auto version = parse_comfy_version(json_.find("version").string())) {
      m.comfyui = *version;
    } else {
      fail("version", version.error().message, version.error().hint);
    }
    m.flags.reserve_vram_gib = s.find("reserve_vram_gb").number();
    if (m.flags.reserve_vram_gib && !(std::abs(*m.flags.reserve_vram_gib) <= kMostMib)) {
      fail("settings.reserve_vram_gb", "this is no size");
    }
    m.flags.vram_headroom_gib = s.find("vram_headroom_gb").number();
    m.flags.disable_smart_memory = s.find("disable_smart_memory").boolean().value_or(false);
    m.flags.disable_dynamic_vram = !dynamic;
    if (const auto streams = s.find("num_streams").integer()) {
      m.flags.async_offload = static_cast<int>(std::clamp<std::int64_t>(*streams, 0, 64));
    }
    m.flags.disable_pinned_memory = !s.find("pinned").boolean().value_or(true);
    const std::string state = s.find("vram_state").text_or("normal");
    if (state == "lowvram") {
      m.flags.vram_state = VramState::low;
    } else if (state == "novram") {
      m.flags.vram_state = VramState::none;
    } else if (state == "highvram") {
      m.flags.vram_state = VramState::high;
    } else if (state != "normal") {
      fail("settings.vram_state", fmt::format("\"{}\" is no state", state),
           "It is normal, lowvram, highvram or novram.");
    }
    return m;
  }

  WeightsIndex model(Scenario& scenario, const std::string& name) {
    const auto known = std::ranges::find(scenario.models, name, &Weights::id);
    if (known != scenario.models.end()) return WeightsIndex::of(known - scenario.models.begin());
    auto weights = find_table_weights(std::string_view(name).substr(0, name.find(':')),
                                      scenario.machine.comfyui);
    if (!weights) {
      fail("", fmt::format("no model called \"{}\" is in Ebb's table", name),
           "docs/weights.md lists the models whose modules were recorded.");
      return -1;
    }
    weights->id = name;
    scenario.models.push_back(*std::move(weights));
    return scenario.models.end_index() - 1;
  }

  std::int64_t extent(JsonValue value) {
    const auto n = value.integer();
    if (n && *n >= 1 && *n <= kMostExtent) return *n;
    fail("shape", fmt::format("{} is no extent of a shape", value.raw()));
    return 1;
  }

  // Latents are [batch, channels, (frames,) height, width], pictures [frames, height, width].
  Shape shape(JsonValue json, bool latent) {
    const std::size_t n = json.size();
    Shape shape;
    if (latent ? n != 4 && n != 5 : n != 3) {
      fail(latent ? "latent" : "pixels", "a shape has another number of extents",
           "A latent is [batch, channels, (frames,) height, width], pixels [frames, height, "
           "width].");
      return shape;
    }
    shape.batch = latent ? extent(json.at(0)) : 1;
    shape.channels = latent ? extent(json.at(1)) : 3;
    shape.video = n == 5 || !latent;
    shape.frames = shape.video ? extent(json.at(n - 3)) : 1;
    shape.height = extent(json.at(n - 2));
    shape.width = extent(json.at(n - 1));
    return shape;
  }

  void read_event(Scenario& scenario, JsonValue json) {
    Event event;
    event.json = json;
    const std::string name = json.find("event").string();
    const auto* kind = std::find_if(std::begin(kKinds), std::end(kKinds),
                                    [&](const KindName& k) { return k.name == name; });
    if (kind == std::end(kKinds)) return fail("event", fmt::format("\"{}\" is no event", name));
    event.kind = kind->kind;
    if (event.kind == EventKind::unload_all) {
      scenario.events.push_back(event);
      return;
    }
    event.model = model(scenario, json.find("model").string());
    if (error_) return;
    if (event.kind == EventKind::load_checkpoint) add_parts(scenario, event);
    const bool latent = event.kind == EventKind::sample || event.kind == EventKind::vae_decode;
    if (!scenario.dynamic && (latent || event.kind == EventKind::vae_encode)) {
      event.shape = shape(json.find(latent ? "latent" : "pixels"), latent);
    }
    event.cfg = json.find("cfg").number().value_or(1);
    event.patched_weights = static_cast<int>(
        std::clamp<std::int64_t>(json.find("patched_weights").integer_or(0), 0, kMostExtent));
    const double activations = json.find("activations").number().value_or(0);
    if (!(activations >= 0 && activations <= kMostMib)) fail("activations", "this is no size");
    event.activation_bytes = error_ ? 0 : std::llround(activations * kBytesPerMib);
    scenario.events.push_back(event);
  }

  void add_parts(Scenario& scenario, Event& event) {
    const std::string& name = scenario.models[event.model].id;
    for (const CheckpointParts& parts : kCheckpointParts) {
      if (parts.model == name.substr(0, name.find(':'))) {
        event.clip = model(scenario, std::string(parts.clip));
      }
    }
  }

  JsonValue json_;
  const std::string& file_;
  std::int64_t line_;
  std::optional<Error> error_;
};

Result<std::string> unpacked(const std::string& text, const std::string& file) {
  if (!text.starts_with("\x1f\x8b")) return text;
  z_stream stream{};
  if (inflateInit2(&stream, 15 + 16) != Z_OK) return input_error("zlib can't start", file);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));  // NOLINT: zlib's API
  stream.avail_in = static_cast<uInt>(std::min<std::size_t>(text.size(), kMostText));
  std::string out;
  int status = Z_OK;
  while (status == Z_OK && out.size() < kMostText) {
    const std::size_t before = out.size();
    out.resize(std::max<std::size_t>(before * 2, 1 << 20));
    stream.next_out = reinterpret_cast<Bytef*>(out.data()) + before;
    stream.avail_out = static_cast<uInt>(out.size() - before);
    status = inflate(&stream, Z_NO_FLUSH);
    out.resize(out.size() - stream.avail_out);
  }
  inflateEnd(&stream);
  if (status != Z_STREAM_END) {
    return input_error("the file is not whole gzip data, or unpacks to more than 1 GiB", file);
  }
  return out;
}

}  // namespace

Result<Scenario> read_scenario(JsonValue json, const std::string& file, std::int64_t line) {
  return Reader(json, file, line).read();
}

Result<ScenarioReport> simulate_scenarios(const std::string& text, ScenarioMode mode,
                                          const std::string& file) {
  const auto plain = unpacked(text, file);
  if (!plain) return plain.error();
  ScenarioReport report;
  std::int64_t line = 0;
  for (std::string_view row : split(*plain, '\n')) {
    ++line;
    if (trim(row).empty()) continue;
    const auto document = JsonDocument::parse(std::string(row), file);
    if (!document) {
      Error error = document.error();
      error.where.line = line;
      return error;
    }
    const auto scenario = read_scenario(document->root(), file, line);
    if (!scenario) return scenario.error();
    const std::string played = play(*scenario);
    if (mode == ScenarioMode::play) {
      report.text += played;
      continue;
    }
    const Differences differences = check_scenario(*scenario, played);
    for (const std::string& difference : differences.lines) report.text += difference + "\n";
    report.equal += differences.equal;
    report.different += static_cast<int>(differences.lines.size());
  }
  return report;
}

}  // namespace ebb
