// SPDX-License-Identifier: Apache-2.0
// A number in a machine file is either short, `ram_total = "64G"` (then it counts as given), or a
// table with bytes (or value), kind and source, as save_machine writes it.
#include "machine/machine_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>

#include "base/text.h"
#include "ebb/file.h"

// Compiled in here, because the packaged library reports errors by exceptions. Its assertions and
// assumptions come before its own checks of the same things and fail on broken files: off.
#undef TOML_SHARED_LIB
#undef TOML_HEADER_ONLY
#define TOML_HEADER_ONLY 1
#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#define TOML_ASSERT(expr) static_assert(true)
#pragma push_macro("NDEBUG")
#undef NDEBUG
#include <toml++/toml.h>
#pragma pop_macro("NDEBUG")

namespace ebb {
namespace {

constexpr std::int64_t kFileMax = 1 << 20;
constexpr std::string_view kSchema = "ebb.machine/1";
constexpr std::string_view kKeys[] = {"schema",
                                      "gpu",
                                      "vram_total",
                                      "vram_free",
                                      "ram_total",
                                      "ram_others",
                                      "os",
                                      "link_bytes_per_second",
                                      "disk_bytes_per_second",
                                      "ram_bytes_per_second",
                                      "compute_flops_per_second",
                                      "comfyui",
                                      "flags"};

std::optional<NumberKind> parse_kind(std::string_view text) {
  for (NumberKind kind : {NumberKind::unknown, NumberKind::computed, NumberKind::measured,
                          NumberKind::assumed, NumberKind::given, NumberKind::probed})
    if (text == to_string(kind)) return kind;
  return std::nullopt;
}

class Reader {
 public:
  Reader(const toml::table& root, const std::string& path) : root_(root), path_(path) {}

  Result<MachineFile> read() {
    check_keys();
    MachineFile file;
    if (const auto text = string_at("schema"); text && *text != kSchema)
      fail("schema", fmt::format("is \"{}\"; this Ebb reads {}", *text, kSchema));
    file.gpu = string_at("gpu");
    file.vram_total = quantity("vram_total");
    file.vram_free = quantity("vram_free");
    file.ram_total = quantity("ram_total");
    file.ram_others = quantity("ram_others");
    file.link = figure("link_bytes_per_second");
    file.disk = figure("disk_bytes_per_second");
    file.ram = figure("ram_bytes_per_second");
    file.compute = figure("compute_flops_per_second");
    read_os(file);
    read_comfyui(file);
    if (const auto text = string_at("flags")) {
      auto flags = parse_comfy_flags(*text);
      if (flags) file.flags = *std::move(flags);
      if (!flags) fail("flags", flags.error().message);
    }
    if (error_) return *error_;
    return file;
  }

 private:
  void fail(std::string_view key, std::string message) {
    if (error_) return;  // one error for one cause
    error_ = input_error(std::move(message), path_, std::string(key),
                         "docs/machines.md describes machine files.");
    if (const toml::node* node = root_.get(key)) {
      error_->where.line = node->source().begin.line;
      error_->where.column = node->source().begin.column;
    }
  }

  void check_keys() {
    for (const auto& [key, value] : root_) {
      const std::string_view name = key.str();
      if (std::find(std::begin(kKeys), std::end(kKeys), name) != std::end(kKeys)) continue;
      std::string_view nearest = kKeys[0];
      for (std::string_view known : kKeys)
        if (edit_distance(name, known) < edit_distance(name, nearest)) nearest = known;
      return fail(name, fmt::format("is not a key of machine files; {} is", nearest));
    }
  }

  std::optional<std::string> string_at(std::string_view key) {
    const toml::node* node = root_.get(key);
    if (!node) return std::nullopt;
    if (const auto* text = node->as_string()) return text->get();
    fail(key, "must be a text");
    return std::nullopt;
  }

  // The value itself, and kind and source if it is a table around it.
  struct Entry {
    const toml::node* value = nullptr;
    NumberKind kind = NumberKind::given;
    std::string source = "machine file";
  };

  std::optional<Entry> entry(std::string_view key, std::string_view value_key) {
    Entry result;
    result.value = root_.get(key);
    if (!result.value) return std::nullopt;
    const toml::table* table = result.value->as_table();
    if (!table) return result;
    result.value = table->get(value_key);
    if (const toml::node* source = table->get("source"); source && source->as_string())
      result.source = source->as_string()->get();
    if (const toml::node* text = table->get("kind")) {
      const auto kind = text->as_string() ? parse_kind(text->as_string()->get()) : std::nullopt;
      if (!kind) return fail(key, "has no such kind"), std::nullopt;
      result.kind = *kind;
    }
    if (!result.value && result.kind != NumberKind::unknown)
      return fail(key, fmt::format("needs {}", value_key)), std::nullopt;
    return result;
  }

  std::optional<Quantity> quantity(std::string_view key) {
    const auto found = entry(key, "bytes");
    if (!found) return std::nullopt;
    Quantity result{0, found->kind, found->source};
    if (!found->value) return result;
    if (const auto* text = found->value->as_string()) {
      const auto size = parse_size(text->get());
      if (!size) return fail(key, size.error().message), std::nullopt;
      result.bytes = *size;
    } else if (const auto* number = found->value->as_integer()) {
      result.bytes = number->get();
    } else {
      return fail(key, "must be a size such as \"24G\" or a number of bytes"), std::nullopt;
    }
    if (result.bytes < 0 || result.bytes > (1LL << 50))
      return fail(key, "is not a size that a machine has"), std::nullopt;
    return result;
  }

  std::optional<Figure> figure(std::string_view key) {
    const auto found = entry(key, "value");
    if (!found) return std::nullopt;
    Figure result{0, found->kind, found->source};
    if (!found->value) return result;
    const auto number = found->value->value<double>();
    if (!number || !std::isfinite(*number) || *number <= 0)
      return fail(key, "must be a number above zero"), std::nullopt;
    result.value = *number;
    return result;
  }

  std::optional<std::string> text_entry(std::string_view key, NumberKind& kind) {
    const auto found = entry(key, "value");
    if (!found || !found->value) return std::nullopt;
    kind = found->kind;
    if (const auto* text = found->value->as_string()) return text->get();
    return fail(key, "must be a text"), std::nullopt;
  }

  void read_os(MachineFile& file) {
    const auto text = text_entry("os", file.os_kind);
    if (!text) return;
    if (*text == "linux") file.os = Os::linux;
    if (*text == "windows") file.os = Os::windows;
    if (!file.os) fail("os", fmt::format("is \"{}\"; it must be linux or windows", *text));
  }

  void read_comfyui(MachineFile& file) {
    const auto text = text_entry("comfyui", file.comfyui_kind);
    if (!text) return;
    const auto version = parse_comfy_version(*text);
    if (version) file.comfyui = *version;
    if (!version) fail("comfyui", version.error().message);
  }

  const toml::table& root_;
  const std::string& path_;
  std::optional<Error> error_;
};

std::string quote(std::string_view text) {
  std::string result = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') {
      result += '\\';
      result += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      result += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      result += c;
    }
  }
  return result + "\"";
}

void write(std::string& text, const char* key, const Quantity& q) {
  text += fmt::format("\n[{}]\n", key);
  if (q.known()) text += fmt::format("bytes = {}  # {} MiB\n", q.bytes, format_mib(q.bytes));
  text += fmt::format("kind = \"{}\"\nsource = {}\n", to_string(q.kind), quote(q.source));
}

void write(std::string& text, const char* key, const Figure& f) {
  text += fmt::format("\n[{}]\n", key);
  if (f.known()) text += fmt::format("value = {}\n", f.value);
  text += fmt::format("kind = \"{}\"\nsource = {}\n", to_string(f.kind), quote(f.source));
}

}  // namespace

const char* to_string(Os os) { return os == Os::windows ? "windows" : "linux"; }

Result<MachineFile> read_machine_file(const std::string& path) {
  const auto text = read_file(path, kFileMax);
  if (!text) return text.error();
  const toml::parse_result parsed = toml::parse(std::string_view(*text));
  if (!parsed) {
    Error error = input_error(std::string(parsed.error().description()), path, "",
                              "Machine files are TOML; docs/machines.md describes them.");
    error.where.line = parsed.error().source().begin.line;
    error.where.column = parsed.error().source().begin.column;
    return error;
  }
  return Reader(parsed.table(), path).read();
}

Result<Done> save_machine(const Machine& machine, const std::string& path) {
  std::string text =
      "# A machine for `ebb plan --machine FILE`. A number may also be short: ram_total = "
      "\"64G\".\n";
  text += fmt::format("schema = {}\n", quote(kSchema));
  text += fmt::format("gpu = {}\n", quote(machine.gpu));
  text += fmt::format("os = {{ value = \"{}\", kind = \"{}\" }}\n", to_string(machine.os),
                      to_string(machine.os_kind));
  text += fmt::format("comfyui = {{ value = \"{}\", kind = \"{}\" }}\n", to_string(machine.comfyui),
                      to_string(machine.comfyui_kind));
  text += fmt::format("flags = {}\n", quote(to_string(machine.flags)));
  write(text, "vram_total", machine.vram_total);
  write(text, "vram_free", machine.vram_free);
  write(text, "ram_total", machine.ram_total);
  write(text, "ram_others", machine.ram_others);
  write(text, "link_bytes_per_second", machine.link_bytes_per_second);
  write(text, "disk_bytes_per_second", machine.disk_bytes_per_second);
  write(text, "ram_bytes_per_second", machine.ram_bytes_per_second);
  write(text, "compute_flops_per_second", machine.compute_flops_per_second);
  return write_file(path, text);
}

}  // namespace ebb
