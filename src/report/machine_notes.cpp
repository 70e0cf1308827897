// SPDX-License-Identifier: Apache-2.0
#include "report/machine_notes.h"

#include <fmt/format.h>

#include "report/words.h"

namespace ebb {
namespace {

std::string rules_words(const Machine& machine, const CardRules& rules) {
  std::string words = fmt::format("weights get at least {} of the free VRAM", rules.weight_share);
  if (!rules.pages) words += ", nothing is paged";
  if (rules.plain_attention) words += ", attention without PyTorch's own";
  if (rules.fp32_vaes) words += ", KL VAEs in fp32";
  const bool amd = machine.card.vendor == GpuVendor::amd;
  if (amd && machine.card.generation.empty()) {
    words += "; the name does not say which generation it is, an older one is assumed";
  }
  return words;
}

}  // namespace

std::string card_words(const Machine& machine) {
  if (machine.gpu.empty() || machine.card.vendor == GpuVendor::nvidia) {
    return printable(machine.gpu);
  }
  const bool named = machine.card.vendor != GpuVendor::other;
  return printable(machine.gpu) +
         fmt::format(" ({})", named ? to_string(machine.card.vendor) : "not NVIDIA");
}

std::string card_note(const Machine& machine) {
  const CardRules rules = card_rules(machine);
  if (!rules.known) return {};  // each pass says so
  if (machine.card.vendor != GpuVendor::nvidia) {
    return fmt::format(
        "By ComfyUI's rules for {}'s cards: {}. What steps allocate was traced for NVIDIA's and "
        "may "
        "differ",
        to_string(machine.card.vendor), rules_words(machine, rules));
  }
  if (machine.card.kind == NumberKind::assumed && !machine.gpu.empty()) {
    return fmt::format("No card called \"{}\" is known: the rules for NVIDIA's cards are assumed",
                       machine.gpu);
  }
  return {};
}

std::vector<std::string> flag_notes(const Machine& machine) {
  std::vector<std::string> notes;
  for (const AbsentFlag& absent : absent_flags(machine.flags, machine.comfyui)) {
    notes.push_back(fmt::format(
        "ComfyUI {} has no flag {} and does not start with it: {} is the {} that has it",
        to_string(machine.comfyui), absent.flag, to_string(absent.release),
        absent.too_new ? "first" : "last"));
  }
  return notes;
}

}  // namespace ebb
