// SPDX-License-Identifier: Apache-2.0
// The machine everything is computed for: memory, link and disk rates, operating system, and
// ComfyUI's version and flags. Every value says whether it was given, probed, taken from a table
// or assumed.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ebb/bytes.h"
#include "ebb/result.h"

namespace ebb {

/// A ComfyUI release, as comfyui_version.py spells it; by default the newest that Ebb knows.
struct ComfyVersion {
  int major = 0;
  int minor = 33;
  int patch = 0;

  auto operator<=>(const ComfyVersion&) const = default;
};
inline constexpr ComfyVersion kNewestKnown;

/// Reads `0.3.73` or `v0.3.73`. Errors: anything else.
Result<ComfyVersion> parse_comfy_version(std::string_view text);
std::string to_string(const ComfyVersion& version);

enum class VramState {
  normal,
  low,
  none,
  high
};  ///< --normalvram, --lowvram, --novram, --highvram
enum class CacheKind { standard, classic, lru, none, ram };  ///< standard = the version's default

/// ComfyUI's own command line, as far as it changes memory. Flags that change nothing here are
/// kept in `other`, so that a launch script can be rewritten without losing them.
struct ComfyFlags {
  std::optional<double> reserve_vram_gib;   ///< --reserve-vram
  std::optional<double> vram_headroom_gib;  ///< --vram-headroom
  VramState vram_state = VramState::normal;
  CacheKind cache = CacheKind::standard;
  int cache_lru_entries = 0;
  double cache_ram_gib = 0;       ///< --cache-ram's headroom, 0 where it isn't given
  double cache_ram_idle_gib = 0;  ///< its second number, for results of earlier prompts
  bool disable_smart_memory = false;
  bool gpu_only = false;
  bool cpu = false;
  bool cpu_vae = false;
  bool disable_dynamic_vram = false;
  std::optional<int> async_offload;  ///< --async-offload: its streams, 2 where no number is given
  bool disable_async_offload = false;
  bool disable_pinned_memory = false;
  bool disable_cuda_malloc = false;
  bool disable_xformers_and_pytorch_attention =
      false;  ///< an attention flag that changes estimates
  std::vector<std::string> other;

  bool operator==(const ComfyFlags&) const = default;
};

/// Reads ComfyUI's flags as they stand on its command line, quotes included. Errors: a flag no
/// ComfyUI version has, a value that is missing or not a number, flags that exclude each other.
Result<ComfyFlags> parse_comfy_flags(std::string_view text);
std::string to_string(const ComfyFlags& flags);
/// The node cache of a release that is started like this; never `standard`.
CacheKind cache_of(const ComfyVersion& version, const ComfyFlags& flags);

/// A flag that a release does not have, and so would not start with.
struct AbsentFlag {
  std::string flag;
  bool too_new = false;  ///< it came later, with `release`; else that was the last to have it
  ComfyVersion release;
};
std::vector<AbsentFlag> absent_flags(const ComfyFlags& flags, const ComfyVersion& version);

/// A ComfyUI folder on this machine, read as text: nothing in it is executed.
struct Checkout {
  std::string folder;  ///< the one with main.py; of a portable folder its ComfyUI/
  ComfyVersion version;
  std::string version_from;               ///< file in it that names the version
  std::vector<std::string> flags;         ///< that its comfy/cli_args.py defines, sorted
  std::string models;                     ///< its models folder; empty: there is none
  bool extra_model_paths = false;         ///< extra_model_paths.yaml lies in it
  bool portable = false;                  ///< lies beside python_embeded
  std::vector<std::string> launch_files;  ///< paths of files beside it that start main.py, sorted
};

/// Reads a ComfyUI folder, or a portable one that holds ComfyUI/. Errors: not there, no ComfyUI,
/// a version that cannot be read.
Result<Checkout> read_checkout(const std::string& folder);
/// What was detected, one sentence.
std::string to_string(const Checkout& checkout);
/// Errors: a flag that this ComfyUI does not have.
Result<Done> check_flags(const Checkout& checkout, const ComfyFlags& flags);
/// The flags that a launch file (run_nvidia_gpu.bat, a shell script) gives to main.py. Errors:
/// unreadable, no line that starts main.py.
Result<std::string> read_launch_flags(const std::string& path);

/// What else a launch file does, a line each: variables it sets, programs it calls. Comments and
/// what any launch file has (`cd`, `pause`) are not among them. Errors: unreadable.
Result<std::vector<std::string>> other_launch_lines(const std::string& path);

enum class Os { linux, windows };

/// One row of the table of graphics cards. Rates are the maker's; what is reached is assumed.
struct Gpu {
  std::string id;             ///< `rtx5090`, the spelling of --gpu
  std::string name;           ///< `RTX 5090`
  std::int64_t vram_mib = 0;  ///< what the driver reports, in MiB
  int pcie_generation = 4;
  int pcie_lanes = 16;
  double half_tflops = 0;  ///< dense fp16/bf16 with fp32 accumulation, maker's figure
  std::string source;
};

/// All known cards, smallest id first.
const std::vector<Gpu>& gpus();
/// Finds a card by id or name in any usual spelling (`RTX 5090`, `nvidia geforce rtx 5090`).
/// Errors: another maker's card, or an unknown name, with near ones in the hint if there are any.
Result<Gpu> find_gpu(std::string_view name);

enum class GpuVendor { nvidia, amd, intel, apple, other };
const char* to_string(GpuVendor vendor);  ///< `AMD`

/// Whose card it is. ComfyUI has other rules for each maker, and some for a generation.
struct Card {
  GpuVendor vendor = GpuVendor::nvidia;
  std::string generation;                 ///< AMD's as drivers call it, `gfx1100`; empty: not known
  NumberKind kind = NumberKind::assumed;  ///< assumed where no name says whose it is

  bool operator==(const Card&) const = default;
};

struct Machine {
  std::string gpu;  ///< `RTX 5090`, or empty when only --vram was given
  Card card;
  Quantity vram_total;  ///< the driver's total
  Quantity vram_free;   ///< free before ComfyUI loads its first model
  Quantity ram_total;
  Quantity ram_others;  ///< RAM held by everybody else and ComfyUI's idle process
  Os os = Os::linux;
  NumberKind os_kind = NumberKind::assumed;
  Figure link_bytes_per_second;     ///< RAM to VRAM, sustained
  Figure disk_bytes_per_second;     ///< cold sequential read of a model file
  Figure ram_bytes_per_second;      ///< a copy within RAM, also a warm read from the page cache
  Figure compute_flops_per_second;  ///< sustained half precision, for seconds of a denoising step
  ComfyVersion comfyui;
  NumberKind comfyui_kind = NumberKind::assumed;
  ComfyFlags flags;

  std::int64_t vram_others_bytes() const { return vram_total.bytes - vram_free.bytes; }
};

/// What ComfyUI does on a card, where that is not the same for all of them.
struct CardRules {
  bool known = true;             ///< false: Ebb does not know what ComfyUI does on such a card
  double weight_share = 0;       ///< of free VRAM, which weights get at least
  bool plain_attention = false;  ///< PyTorch's attention is off, and estimates are higher
  bool fp32_vaes = false;        ///< VAEs that may be in bf16 or fp32 are in fp32
  double kl_vae_times = 1;       ///< their estimate is multiplied by this
  bool pages = true;             ///< weights may be paged (dynamic VRAM)
  bool streams = true;           ///< weights are copied beside the compute by default
  bool pins = true;              ///< offloaded weights are page-locked
};
CardRules card_rules(const Machine& machine);

/// What the command line says of the machine; what is absent is probed, then assumed.
struct MachineOptions {
  std::string gpu;
  std::optional<std::int64_t> vram_bytes;
  std::optional<std::int64_t> vram_free_bytes;
  std::optional<std::int64_t> ram_bytes;
  std::optional<Os> os;
  std::optional<ComfyVersion> comfyui;
  std::optional<std::string> flags;
  std::string file;  ///< a machine file, as save_machine writes it; options win over it
};

/// Puts a machine together: options, then the machine file, then (unless a card or VRAM size was
/// given) NVML and the operating system, then stated assumptions. Errors: no GPU found and none
/// given; a bad flag; a machine file that can't be read; free above total.
Result<Machine> resolve_machine(const MachineOptions& options);

/// Writes a machine file (TOML) that resolve_machine reads back. Atomic; refuses nothing.
Result<Done> save_machine(const Machine& machine, const std::string& path);

}  // namespace ebb
