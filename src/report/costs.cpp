// SPDX-License-Identifier: Apache-2.0
// What a fix costs, in words.
#include <fmt/format.h>

#include "report/words.h"

namespace ebb {
namespace {

std::string cost_words(const Cost& cost) {
  switch (cost.kind) {
    case Cost::none_known: return "none known";
    case Cost::own_reserve: return "none known: ComfyUI's own reserve stays";
    case Cost::own_headroom: return "none known: 256 MiB stay free";
    case Cost::own_streams: return "none known: two streams are the default";
    case Cost::own_attention: return "none known: PyTorch's own attention needs less memory";
    case Cost::pack_node: return "a node of Ebb's pack; ebb apply adds it";
    case Cost::page_cache: return "the file stays in the page cache";
    case Cost::read_again:
      return fmt::format("re-read {} if you run it again", format_gib(cost.amount));
    case Cost::slow_decode: return "a slower decode; seams are possible";
    case Cost::older_manager:
      return "the older manager: weights are loaded before a step, not as it runs";
    case Cost::update: return "an update";
    case Cost::streamed_layer: return "room for one more streamed layer";
    case Cost::everything_again: return "every run reads and encodes everything again";
    case Cost::fewer_frames: return fmt::format("{} fewer frames", cost.amount);
    case Cost::share_of_pixels: return fmt::format("{} % of the pixels", cost.amount);
  }
  return {};
}

}  // namespace

std::string price_words(const Fix& fix) {
  std::string text;
  for (const Cost& cost : fix.costs) text += (text.empty() ? "" : "; ") + cost_words(cost);
  return text.empty() ? "-" : text;
}

}  // namespace ebb
