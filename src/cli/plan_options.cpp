// SPDX-License-Identifier: Apache-2.0
#include "cli/plan_options.h"

#include <fmt/format.h>

#include <charconv>

#include "cli/comfyui.h"
#include "ebb/bytes.h"

namespace ebb::cli {
namespace {

constexpr const char* kExamples =
    "Examples:\n"
    "  ebb plan flow.json                                    for this machine\n"
    "  ebb plan flow.json --gpu rtx5090 --ram 64G --os windows --flags \"--reserve-vram 4\" \\\n"
    "                     --frames 61,73,81,121,161\n"
    "  ebb plan flow.json --comfyui ~/ComfyUI --flags @launch.sh    all of it read there\n"
    "  ebb plan flow.json --vram 24G --models ~/ComfyUI/models --json\n"
    "  ebb plan flow.json --vram 12G --bytes my_model.safetensors=13.3GiB\n"
    "  ebb plan picture.png --gpu rtx4070 --html timeline.html --svg timeline.svg\n"
    "  ebb plan flow.json --again --flags --cache-none       what runs again after a change\n"
    "Exit codes: 0 answered, 1 worse than --fail-on, 2 bad usage, 3 bad input, 4 internal error.";

Result<std::optional<std::int64_t>> size_of(const std::string& text, const char* option) {
  if (text.empty()) return std::optional<std::int64_t>();
  auto size = parse_size(text);
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

Result<Done> read_sizes(const PlanArguments& arguments, PlanOptions& options) {
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
    const auto height = cross == std::string::npos
                            ? std::nullopt
                            : whole_number(std::string_view(text).substr(cross + 1));
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

/// The version, and with a folder: its models, its flags, a note on what was detected.
Result<Done> read_comfyui(const PlanArguments& arguments, PlanOptions& options) {
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
  options.notes.push_back(to_string(checkout));
  return Done{};
}

Result<Done> read_machine(const PlanArguments& arguments, MachineOptions& machine) {
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

Result<Done> read_bytes(const PlanArguments& arguments, WeightsSearch& search) {
  search.model_folders = arguments.models;
  for (const std::string& text : arguments.bytes) {
    const auto equals = text.rfind('=');
    if (equals == std::string::npos || equals == 0) {
      return usage_error(fmt::format("--bytes: \"{}\" is not NAME=SIZE", text),
                         "Write it like --bytes my_model.safetensors=13.3GiB.");
    }
    auto size = size_of(text.substr(equals + 1), "--bytes");
    if (!size) return size.error();
    if (!*size) return usage_error(fmt::format("--bytes: \"{}\" has no size", text));
    search.given_bytes[text.substr(0, equals)] = **size;
  }
  return Done{};
}

}  // namespace

void declare_machine(CLI::App& app, PlanArguments& a) {
  app.add_option("--gpu", a.gpu, "the card, such as rtx5090 (default: this machine's)");
  app.add_option("--vram", a.vram, "VRAM in total, such as 24G or 32607MiB");
  app.add_option("--vram-free", a.vram_free, "VRAM free before ComfyUI loads its first model");
  app.add_option("--ram", a.ram, "RAM in total");
  app.add_option("--os", a.os, "linux or windows");
  app.add_option("--comfyui", a.comfyui, kComfyuiHelp);
  app.add_option("--flags", a.flags,
                 "ComfyUI's own flags, such as \"--reserve-vram 4\"; @FILE takes those of a launch "
                 "file");
  app.add_option("--object-info", a.object_info,
                 "your server's address, or a saved answer to its GET /object_info, for packs");
  app.add_option("--models", a.models, "ComfyUI's models folder; may be given several times")
      ->allow_extra_args(false);
  app.add_option("--bytes", a.bytes, "NAME=SIZE of a model file that is not at hand")
      ->allow_extra_args(false);
  app.add_option("--frames", a.frames, "one count replaces the workflow's; more make a table")
      ->delimiter(',')
      ->allow_extra_args(false);
  app.add_option("--size", a.sizes, "WxH in pixels; one replaces, more make a table")
      ->delimiter(',')
      ->allow_extra_args(false);
  app.add_option("--machine", a.machine_file, "read the machine from this file");
}

void declare_run(CLI::App& app, PlanArguments& a) {
  app.add_option("FILE", a.file, "a workflow, or media that carry one; - reads stdin")->required();
  declare_machine(app, a);
  app.add_flag("--json", a.json, "print everything as one JSON object (docs/json.md)");
}

void declare(CLI::App& app, PlanArguments& a) {
  declare_run(app, a);
  app.add_option("--html", a.html, "write the page with picture and tables to this file");
  app.add_option("--svg", a.svg, "write the picture alone to this file");
  app.add_option("--save-machine", a.save_machine, "write the machine used to this file");
  app.add_flag("--again", a.again,
               "print what a second queue runs and reads when one value changes");
  app.add_option("--fail-on", a.fail_on,
                 "exit with 1 if the verdict is worse than this one: fits, tight, offloads, ...");
  app.add_option("--color", a.colour, "auto, always or never")
      ->check(CLI::IsMember({"auto", "always", "never"}));
  app.footer(kExamples);
}

Result<PlanOptions> understand(const PlanArguments& arguments) {
  PlanOptions options;
  options.object_info = arguments.object_info;
  for (auto& done :
       {read_machine(arguments, options.machine), read_bytes(arguments, options.search),
        read_sizes(arguments, options), read_comfyui(arguments, options)}) {
    if (!done.ok()) return done.error();
  }
  if (!arguments.fail_on.empty()) {
    for (const Verdict verdict : {Verdict::fits, Verdict::tight, Verdict::offloads,
                                  Verdict::ram_short, Verdict::spills, Verdict::unknown}) {
      if (arguments.fail_on == to_string(verdict)) options.fail_on = verdict;
    }
    if (!options.fail_on) {
      return usage_error(fmt::format("--fail-on: \"{}\" is no verdict", arguments.fail_on),
                         "It is one of fits, tight, offloads, ram_short, spills, unknown.");
    }
  }
  return options;
}

}  // namespace ebb::cli
