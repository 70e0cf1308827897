// SPDX-License-Identifier: Apache-2.0
// All weights of a prompt, found once each, and the walk from a node back to those it uses.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "demand/prompt_graph.h"
#include "ebb/demand.h"

namespace ebb {

/// Where a MODEL, CLIP or VAE comes from.
struct Origin {
  WeightsIndex weights;               ///< none if unknown
  std::vector<WeightsIndex> loras;    ///< put on it on the way, nearest the loader last
  std::vector<WeightsIndex> patches;  ///< of model patches on the way
  Message why;                        ///< why it is unknown
};

class PromptWeights {
 public:
  explicit PromptWeights(const PromptGraph& graph) : graph_(graph) {}

  /// Asks for the weights of every loader node. Errors: those of `find`.
  Result<Done> find_all(const FindWeights& find);

  Origin origin(const PromptGraph::Source& source, std::string_view type) const;
  Origin origin(NodeIndex node, std::string_view input_type) const;

  /// Weights that a node takes that may work with them, whether it is known to or not.
  std::vector<WeightsIndex> taken(const std::function<bool(NodeIndex node)>& is_off) const;

  const std::vector<WeightsIndex>& reads(NodeIndex node) const { return reads_[node]; }
  const List<Weights, WeightsIndex>& all() const { return all_; }
  List<Weights, WeightsIndex> take() { return std::move(all_); }
  const Weights& operator[](WeightsIndex index) const { return all_[index]; }

 private:
  Result<Done> add(NodeIndex node, const WeightsRequest& request, std::string_view gives,
                   const FindWeights& find);

  Result<Done> guess_loader(NodeIndex node, const FindWeights& find);
  Result<Done> guess_others(NodeIndex node, const FindWeights& find);
  bool is_asked_for(NodeIndex node, std::string_view file) const;

  struct Use {
    bool hands_on = false, ends = false;  ///< to others; here, at a node that may work with it
  };
  Use use_of(NodeIndex reader, std::string_view type,
             const std::function<bool(NodeIndex node)>& is_off) const;
  std::unordered_set<NodeIndex> givers_in_use(
      const std::vector<NodeIndex>& givers, std::string_view type,
      const PromptGraph::Readers& readers, const std::function<bool(NodeIndex node)>& is_off) const;

  const PromptGraph& graph_;
  List<Weights, WeightsIndex> all_;
  List<std::vector<WeightsIndex>, NodeIndex> reads_;                 ///< per node
  List<std::vector<WeightsIndex>, NodeIndex> lora_files_;            ///< per node
  std::map<std::pair<NodeIndex, std::string>, WeightsIndex> given_;  ///< node and type -> weights
  std::unordered_map<std::string, WeightsIndex> same_;  ///< what is asked for -> weights
  mutable int steps_left_ = 1'000'000;                  ///< of all walks together
};

}  // namespace ebb
