// SPDX-License-Identifier: Apache-2.0
// What flows through a prompt as far as sizes are concerned: numbers, and the shapes of latents,
// pictures and videos. Evaluated on demand, each output once, without recursion.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "demand/architectures.h"
#include "demand/prompt_graph.h"
#include "ebb/demand.h"

namespace ebb {

struct SizeValue {
  enum class Kind { unknown, number, shape };
  Kind kind = Kind::unknown;
  double number = 0;  ///< for SIGMAS: how many steps
  Shape shape;
  std::int64_t audio_elements = 0;              ///< latent of the sound beside the video's
  bool packed = false;                          ///< video and sound latent in one
  std::int64_t guide_frames = 0;                ///< latent frames appended as guides
  double frames_per_second = 0;                 ///< of a video; 0: not known
  NumberKind size_kind = NumberKind::computed;  ///< assumed: nobody says how large a file is
  NodeIndex made_by;                            ///< node that allocated it; others hand it on
  Message why;  ///< unknown: the reason; known: what was assumed on the way

  bool known() const { return kind != Kind::unknown; }
  bool is_shape() const { return kind == Kind::shape; }
  bool is_number() const { return kind == Kind::number; }
};

SizeValue unknown_value(Message why);
SizeValue number_value(double number);

class PromptValues;

/// What a rule sees: one node's inputs. A rule whose inputs are not evaluated yet is called again.
class RuleScope {
 public:
  RuleScope(PromptValues& values, NodeIndex node, int slot)
      : values_(values), node_(node), slot_(slot) {}

  const PromptNode& node() const;
  NodeIndex position() const { return node_; }
  int slot() const { return slot_; }
  const PromptGraph& graph() const;
  const SizeOverrides& sizes() const;

  bool linked(std::string_view name) const;
  bool has(std::string_view name) const;
  std::optional<std::string> text(std::string_view name) const;
  SizeValue get(std::string_view name);
  SizeValue get(const PromptInput& input);
  /// The shape through the first linked input of one of these types, in order of inputs.
  SizeValue first(std::initializer_list<std::string_view> types);
  SizeValue value_of(const PromptGraph::Source& source);

  /// A whole number from `least` to `most`. Nothing where it is outside or not known; `why()` then
  /// says why. `fallback` stands in where the node lacks it.
  std::optional<std::int64_t> whole(std::string_view name, std::int64_t least, std::int64_t most,
                                    std::optional<std::int64_t> fallback = {});
  std::optional<double> real(std::string_view name, double least, double most,
                             std::optional<double> fallback = {});

  /// What the header of a file says that a loader names; nothing if it is not at hand.
  std::optional<MediaSize> media(std::string_view file) const;
  /// Of the diffusion model that the prompt uses first; empty: not known.
  std::string architecture() const;

  const VaeRow* vae();
  SizeValue made(Shape shape);  ///< a new tensor of this shape
  SizeValue unknown() const;    ///< for the reason noted last
  void assume(Message what) { assumed_ = std::move(what); }
  NodeName node_name() const { return {node().label()}; }

  bool pending() const { return !needs_.empty(); }
  const std::vector<PromptGraph::Source>& needs() const { return needs_; }

 private:
  friend class PromptValues;
  PromptValues& values_;
  NodeIndex node_;
  int slot_;
  Message why_;
  Message assumed_;
  std::vector<PromptGraph::Source> needs_;
};

/// How a class makes its outputs' sizes from its inputs'.
struct RuleRow {
  std::string_view class_type;
  SizeValue (*apply)(RuleScope& scope, const RuleRow& row);
  int channels = 0, spatial = 0, temporal = 0;  ///< for nodes that make latents
  int extra_frames = 0;                         ///< latent frames put in front for a reference
};
/// The rule of a class, or null.
const RuleRow* find_rule(std::string_view class_type);
/// For classes nobody knows: hands on, or makes an educated and stated guess.
SizeValue guess(RuleScope& scope);

class PromptValues {
 public:
  /// What is known beside the prompt. Each may be empty.
  struct Facts {
    /// The row of the VAE that reaches a node's input `vae`, or null.
    std::function<const VaeRow*(NodeIndex node)> vae_of;
    /// The architecture of the diffusion model that the prompt uses first.
    std::function<std::string()> architecture;
    FindMedia media;
  };

  PromptValues(const PromptGraph& graph, const SizeOverrides& sizes, Facts facts)
      : graph_(graph), sizes_(sizes), facts_(std::move(facts)) {}

  const SizeValue& of(const PromptGraph::Source& source);
  const SizeValue& input(NodeIndex node, std::string_view name);  ///< of a linked input
  /// A number that is typed in or linked.
  std::optional<double> number(NodeIndex node, std::string_view name);
  /// Yes or no, typed in or linked.
  std::optional<bool> truth(const PromptInput& input);
  const std::optional<Error>& error() const { return error_; }

 private:
  friend class RuleScope;
  enum class State { waiting, open, done };
  struct Entry {
    SizeValue value;
    State state = State::waiting;
  };
  static std::uint64_t key(const PromptGraph::Source& s) {
    return (static_cast<std::uint64_t>(s.node.at) << 32) | static_cast<std::uint32_t>(s.slot);
  }
  void step(std::vector<PromptGraph::Source>& stack);
  SizeValue compute(RuleScope& scope);

  const PromptGraph& graph_;
  const SizeOverrides& sizes_;
  Facts facts_;
  std::unordered_map<std::uint64_t, Entry> entries_;
  std::optional<Error> error_;
};

/// Sizes that ComfyUI's own nodes accept.
constexpr std::int64_t kMostPixels = 16384;
constexpr std::int64_t kMostFrames = 131072;
constexpr std::int64_t kMostBatch = 4096;

/// Sizes that a user gave. Errors: usage, of one that no model takes.
Result<Done> check_overrides(const SizeOverrides& sizes);

}  // namespace ebb
