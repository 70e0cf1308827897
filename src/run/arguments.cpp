// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <charconv>
#include <filesystem>

#include "ebb/bytes.h"
#include "ebb/run.h"

namespace ebb {
namespace {

constexpr const char* kMachine = "The machine";
constexpr const char* kComfyui = "ComfyUI";
constexpr const char* kSizes = "Sizes";
using A = RunArguments;

// clang-format off
const OptionRow kRows[] = {
    {"gpu", &A::gpu, kMachine, "CARD",
     "such as rtx5090 or \"RTX 4070 Ti\"; this machine's if absent"},
    {"vram", &A::vram, kMachine, "SIZE", "of the card: 24 and 24GB as on the box, or 24564MiB"},
    {"vram_free", &A::vram_free, kMachine, "SIZE", "free before ComfyUI loads its first model"},
    {"ram", &A::ram, kMachine, "SIZE", "of the machine: 64, 64GB"},
    {"os", &A::os, kMachine, "OS", "linux or windows"},
    {"machine", &A::machine_file, kMachine, "FILE", "read the machine from this file"},
    {"comfyui", &A::comfyui, kComfyui, "DIR|VERSION",
     "ComfyUI's version, such as 0.3.73, or its folder: version, flags and models are read there"},
    {"flags", &A::flags, kComfyui, "FLAGS",
     "ComfyUI's own, such as \"--reserve-vram 4\"; @FILE takes those of a launch file"},
    {"object_info", &A::object_info, kComfyui, "URL|FILE",
     "your server's address, or a saved answer to its GET /object_info, for packs"},
    {"models", &A::models, kComfyui, "DIR", "ComfyUI's models folder; may be given again"},
    {"input", &A::input, kComfyui, "DIR",
     "ComfyUI's input folder, for the sizes of pictures and videos; --comfyui DIR knows it"},
    {"output", &A::output},
    {"temp", &A::temp},
    {"bytes", &A::bytes, kComfyui, "NAME=SIZE", "size of a model file that is not at hand"},
    {"frames", &A::frames, kSizes, "N",
     "one count replaces the workflow's; more make a table", true},
    {"size", &A::sizes, kSizes, "WxH", "in pixels; one replaces, more make a table", true}};
// clang-format on

using ParseSize = Result<std::int64_t> (*)(std::string_view);

Result<std::optional<std::int64_t>> size_of(const std::string& text, const char* option,
                                            ParseSize parse = parse_memory_size) {
  if (text.empty()) return std::optional<std::int64_t>();
  auto size = parse(text);
  if (!size) {
    Error error = size.error();
    error.message = fmt::format("{}: {}", option, error.message);
    return error;
  }
  return std::optional(*size);
}

std::optional<std::int64_t> whole_number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

Result<Done> read_sizes(const RunArguments& arguments, RunOptions& options) {
  constexpr std::size_t kValuesMax = 100;  // rows of a table that people read
  if (arguments.frames.size() > kValuesMax || arguments.sizes.size() > kValuesMax) {
    return usage_error(fmt::format("--frames and --size take {} values at most", kValuesMax),
                       "Leave some out.");
  }
  for (const std::string& text : arguments.frames) {
    const auto frames = whole_number(text);
    if (!frames || *frames < 1) {
      return usage_error(fmt::format("--frames: \"{}\" is not a number of frames", text),
                         "Write one or more, such as --frames 61,81,121.");
    }
    SizeOverrides row;
    row.frames = *frames;
    options.table.push_back(row);
  }
  for (const std::string& text : arguments.sizes) {
    const auto cross = text.find_first_of("xX");
    const auto width = whole_number(std::string_view(text).substr(0, cross));
    const std::string_view after =
        cross == std::string::npos ? "" : std::string_view(text).substr(cross + 1);
    const auto height = whole_number(after);
    if (!width || !height || *width < 1 || *height < 1) {
      return usage_error(fmt::format("--size: \"{}\" is not a size", text),
                         "Write width x height in pixels, such as --size 832x480,1280x720.");
    }
    SizeOverrides row;
    row.width = *width;
    row.height = *height;
    options.table.push_back(row);
  }
  // One value replaces the workflow's own; several of one kind make the table.
  const bool one_count = arguments.frames.size() == 1, one_size = arguments.sizes.size() == 1;
  if (one_count) options.sizes.frames = options.table.front().frames;
  if (one_size) {
    options.sizes.width = options.table.back().width;
    options.sizes.height = options.table.back().height;
  }
  // A value that holds for every row is no row of its own.
  if (one_size && !arguments.frames.empty()) options.table.pop_back();
  if (one_count && arguments.sizes.size() > 1) options.table.erase(options.table.begin());
  for (SizeOverrides& row : options.table) {
    if (!row.frames) row.frames = options.sizes.frames;
    if (!row.width) row.width = options.sizes.width, row.height = options.sizes.height;
  }
  return Done{};
}

/// --flags as typed, or those of a launch file where it is `@FILE`. Errors: that file.
Result<std::string> choose_flags(const std::string& text, const ComfyChoice& choice) {
  if (!text.starts_with('@')) return text;
  const std::string name = text.substr(1);
  if (choice.checkout) {
    for (const std::string& file : choice.checkout->launch_files) {
      if (std::filesystem::path(file).filename() == name) return read_launch_flags(file);
    }
  }
  return read_launch_flags(name);
}

/// The version, and with a folder: its models, its flags, a note on what was detected.
Result<Done> read_comfyui(const RunArguments& arguments, RunOptions& options) {
  const auto choice = choose_comfyui(arguments.comfyui);
  if (!choice) return choice.error();
  options.machine.comfyui = choice->version;
  if (arguments.flags) {
    const auto flags = choose_flags(*arguments.flags, *choice);
    if (!flags) return flags.error();
    options.machine.flags = *flags;
  }
  if (!choice->checkout) return Done{};
  const Checkout& checkout = *choice->checkout;
  if (options.machine.flags) {
    const auto flags = parse_comfy_flags(*options.machine.flags);
    if (!flags) return flags.error();
    if (auto known = check_flags(checkout, *flags); !known) return known.error();
  }
  if (options.search.model_folders.empty() && !checkout.models.empty()) {
    options.search.model_folders = {checkout.models};
  }
  const auto inside = [&](std::string& folder, const char* name) {
    if (folder.empty()) folder = (std::filesystem::path(checkout.folder) / name).string();
  };
  inside(options.media.input, "input");
  inside(options.media.output, "output");
  inside(options.media.temp, "temp");
  options.notes.push_back(to_string(checkout));
  return Done{};
}

Result<Done> read_machine(const RunArguments& arguments, MachineOptions& machine) {
  machine.gpu = arguments.gpu;
  machine.file = arguments.machine_file;
  auto vram = size_of(arguments.vram, "--vram");
  if (!vram) return vram.error();
  machine.vram_bytes = *vram;
  auto free = size_of(arguments.vram_free, "--vram-free");
  if (!free) return free.error();
  machine.vram_free_bytes = *free;
  auto ram = size_of(arguments.ram, "--ram");
  if (!ram) return ram.error();
  machine.ram_bytes = *ram;
  if (!arguments.os.empty()) {
    if (arguments.os != "linux" && arguments.os != "windows") {
      return usage_error(fmt::format("--os: \"{}\" is not known", arguments.os),
                         "It is linux or windows.");
    }
    machine.os = arguments.os == "windows" ? Os::windows : Os::linux;
  }
  return Done{};
}

constexpr std::int64_t kModelMax = std::int64_t{1} << 44;
constexpr const char* kModelsHint =
    "Give --models the folder that holds checkpoints, vae and so on.";
constexpr const char* kInputHint = "Give --input the folder that ComfyUI loads pictures from.";

/// A folder that is not there is told before anything of the workflow.
Result<Done> check_folder(const std::string& folder, const char* hint) {
  std::error_code error;
  if (folder.empty() || std::filesystem::is_directory(folder, error)) return Done{};
  const bool there = std::filesystem::exists(folder, error);
  return input_error(there ? "is not a folder" : "is not there", folder, {}, hint);
}

Result<Done> read_bytes(const RunArguments& arguments, WeightsSearch& search) {
  search.model_folders = arguments.models;
  for (const std::string& text : arguments.bytes) {
    const auto equals = text.rfind('=');
    if (equals == std::string::npos || equals == 0) {
      return usage_error(fmt::format("--bytes: \"{}\" is not NAME=SIZE", text),
                         "Write it like --bytes my_model.safetensors=13.3GiB.");
    }
    auto size = size_of(text.substr(equals + 1), "--bytes", parse_size);
    if (!size) return size.error();
    if (!*size) return usage_error(fmt::format("--bytes: \"{}\" has no size", text));
    if (**size > kModelMax) {
      return usage_error(fmt::format("--bytes: \"{}\" is larger than any model", text),
                         "16 TiB are the most that is taken.");
    }
    search.given_bytes[text.substr(0, equals)] = **size;
  }
  return Done{};
}

}  // namespace

std::span<const OptionRow> option_rows() { return kRows; }

Result<RunOptions> understand(const RunArguments& arguments) {
  for (const std::string& folder : arguments.models) {
    if (auto done = check_folder(folder, kModelsHint); !done) return done.error();
  }
  if (auto done = check_folder(arguments.input, kInputHint); !done) return done.error();
  RunOptions options;
  options.media = {arguments.input, arguments.output, arguments.temp};
  for (auto& done :
       {read_machine(arguments, options.machine), read_bytes(arguments, options.search),
        read_sizes(arguments, options), read_comfyui(arguments, options)}) {
    if (!done.ok()) return done.error();
  }
  return options;
}

}  // namespace ebb
