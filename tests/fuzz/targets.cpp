// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/targets.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "ebb/ebb.h"
#include "ebb/file.h"
#include "json/document.h"
#include "json/write.h"
#include "weights/count.h"
#include "weights/detect.h"
#include "weights/folders.h"
#include "weights/header.h"
#include "weights/tensors.h"

namespace ebb::fuzz {
namespace {

using namespace std::string_view_literals;

void check(bool good) {
  if (!good) std::abort();
}

/// A folder of this process in shared memory, so that writing costs nothing.
const std::string& folder() {
  // Never destroyed, since it is still needed to remove the folder when the process ends.
  static const std::string& path = *[] {
    auto* name = new std::string("/dev/shm/ebb-fuzz-XXXXXX");
    check(mkdtemp(name->data()) != nullptr);
    std::atexit([] { std::filesystem::remove_all(folder()); });
    return name;
  }();
  return path;
}

void overwrite(const std::string& path, std::string_view bytes) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  check(fd >= 0 && write(fd, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
  close(fd);
}

// ---- JSON, graphs, media ------------------------------------------------------------------------

/// Every value is asked everything, and the spans lie inside the text.
void read_json(std::string_view bytes) {
  const auto document = JsonDocument::parse(std::string(bytes));
  if (!document) return;
  std::vector<JsonValue> open = {document->root()};
  while (!open.empty()) {
    const JsonValue value = open.back();
    open.pop_back();
    const std::string_view raw = value.raw();
    check(raw.data() >= document->text().data() &&
          raw.data() + raw.size() <= document->text().data() + document->text().size());
    static_cast<void>(value.number());
    static_cast<void>(value.integer());
    static_cast<void>(value.string());
    static_cast<void>(value.key());
    for (const JsonValue member : value) open.push_back(member);
  }
}

/// A server's answer: every class that it names is asked for, by an API prompt of all of them.
void read_info(std::string_view bytes) {
  auto definitions = parse_definitions(std::string(bytes), "fuzz");
  if (!definitions) return;
  const auto names = JsonDocument::parse(std::string(bytes));
  std::string prompt = "{\"0\":{\"class_type\":\"SaveImage\",\"inputs\":{}}";
  int id = 1;
  for (const JsonValue entry : names->root()) {
    if (id > 100) break;
    prompt += ",\"" + std::to_string(id) + "\":{\"class_type\":" + json_quote(entry.key()) +
              ",\"inputs\":{\"a\":[\"" + std::to_string(id - 1) + "\",0],\"a.b\":1}}";
    ++id;
  }
  const auto workflow = parse_workflow(prompt + "}", "fuzz");
  if (!workflow) return;
  PromptOptions options;
  options.definitions = &*definitions;
  static_cast<void>(to_prompt(*workflow, options));
}

void convert(const Result<Workflow>& workflow) {
  if (!workflow) return check(!to_string(workflow.error()).empty());
  const auto prompt = to_prompt(*workflow);
  if (!prompt) return check(!to_string(prompt.error()).empty());
  // What Ebb writes it can read.
  check(JsonDocument::parse(to_json(*prompt)).ok());
}

void read_graph(std::string_view bytes) {
  convert(parse_workflow(std::string(bytes), "graph.json"));
}

void read_media(std::string_view bytes) {
  convert(read_workflow(memory_file(bytes)));
  const auto size = read_media_size(memory_file(bytes));
  check(!size || (size->width > 0 && size->height > 0 && size->frames >= 0));
}

// ---- model files --------------------------------------------------------------------------------

void count_all(const Header& header) {
  for (const WeightsRole role :
       {WeightsRole::diffusion, WeightsRole::text_encoder, WeightsRole::vae,
        WeightsRole::vision_encoder, WeightsRole::controlnet, WeightsRole::other}) {
    for (const bool checkpoint : {false, true}) {
      const TensorSet part = select_tensors(header, role, checkpoint, false);
      for (const ComfyVersion version : {ComfyVersion{0, 3, 64}, ComfyVersion{0, 18, 2}}) {
        const CountRules rules{
            .role = role,
            .comfyui = version,
            .format = header.format,
            .architecture = detect_architecture(part, role, header.architecture)};
        const Count count = count_tensors(part, rules);
        check(count.bytes >= 0 && sum_of(count.modules) == count.listed_bytes);
      }
    }
  }
}

void read_model(std::string_view bytes) {
  const auto header = read_header(memory_file(bytes));
  if (header) return count_all(*header);
  check(!to_string(header.error()).empty());
}

void read_index(std::string_view bytes) {
  const std::string path = folder() + "/model.safetensors.index.json";
  overwrite(path, bytes);
  static_cast<void>(read_header(path));
}

void read_yaml(std::string_view bytes) {
  overwrite(folder() + "/extra_model_paths.yaml", bytes);
  std::filesystem::create_directory(folder() + "/checkpoints");
  static_cast<void>(expand_folders({folder()}, "checkpoints"));
  static_cast<void>(expand_folders({folder()}, "diffusion_models"));
}

// ---- the machine --------------------------------------------------------------------------------

void read_machine(std::string_view bytes) {
  MachineOptions options;
  options.vram_bytes = 24_GiB;
  options.ram_bytes = 64_GiB;
  options.os = Os::linux;
  options.file = memory_file(bytes);
  static_cast<void>(resolve_machine(options));
}

void read_flags(std::string_view bytes) {
  static_cast<void>(parse_comfy_version(bytes));
  static_cast<void>(parse_size(bytes));
  static_cast<void>(parse_memory_size(bytes));
  static_cast<void>(find_gpu(bytes));
  const auto flags = parse_comfy_flags(bytes);
  if (!flags) return;
  // What Ebb writes it reads back as the same.
  const auto again = parse_comfy_flags(to_string(*flags));
  check(again.ok() && to_string(*again) == to_string(*flags));
}

constexpr Target kTargets[] = {
    {"json", read_json},
    {"graph", read_graph},
    {"definitions", read_info},
    {"plan", plan_workflow},
    {"undo", undo_workflow},
    {"patch", patch_workflow},
    {"clean", clean_workflow},
    {"explain", explain_workflow},
    {"compare", compare_workflow},
    {"draw", draw_workflow},
    {"launch", launch_workflow},
    {"png", read_media, "\x89PNG\r\n\x1a\n"},
    {"webp", read_media, "RIFF    WEBP"},
    {"jpeg", read_media, "\xff\xd8\xff"},
    {"avif", read_media, "ftypavif", 4},
    {"mp4", read_media, "ftypisom", 4},
    {"webm", read_media, "\x1a\x45\xdf\xa3"},
    {"gif", read_media, "GIF89a"},
    {"bmp", read_media, "BM"},
    {"flac", read_media, "fLaC"},
    {"ogg", read_media, "OggS"},
    {"mp3", read_media, "ID3"},
    {"svg", read_media, "<svg"},
    {"glb", read_media, "glTF"},
    {"latent", read_media, "\0\0{"sv, 6},  // safetensors that carries a workflow
    {"safetensors", read_model},
    {"index", read_index},
    {"gguf", read_model, "GGUF"},
    {"torch_zip", read_model, "PK\3\4"},
    {"torch_legacy", read_model, "\x80\x02\x8a\x0al\xfc\x9c\x46\xf9 j\xa8P\x19."},
    {"yaml", read_yaml},
    {"machine", read_machine},
    {"flags", read_flags},
};

}  // namespace

std::span<const Target> targets() { return kTargets; }

const std::string& memory_file(std::string_view bytes) {
  static const int fd = memfd_create("ebb-fuzz", MFD_CLOEXEC);
  static const std::string path = "/proc/self/fd/" + std::to_string(fd);
  check(fd >= 0 && ftruncate(fd, 0) == 0);
  check(pwrite(fd, bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
  return path;
}

}  // namespace ebb::fuzz
