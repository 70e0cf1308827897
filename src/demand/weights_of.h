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
  int weights = -1;          ///< index, or -1 if unknown
  std::vector<int> loras;    ///< weights (index) put on it on the way, nearest the loader last
  std::vector<int> patches;  ///< weights (index) of model patches on the way
  std::string why;           ///< why it is unknown
};

class PromptWeights {
 public:
  explicit PromptWeights(const PromptGraph& graph) : graph_(graph) {}

  /// Asks for the weights of every loader node. Errors: those of `find`.
  Result<Done> find_all(const FindWeights& find);

  Origin origin(const PromptGraph::Source& source, std::string_view type) const;
  Origin origin(int node, std::string_view input_type) const;

  /// Weights that a node takes that may work with them, whether it is known to or not.
  std::vector<int> taken(const std::function<bool(int node)>& is_off) const;

  const std::vector<int>& reads(int node) const { return reads_[node]; }
  const std::vector<Weights>& all() const { return all_; }
  std::vector<Weights> take() { return std::move(all_); }
  const Weights& operator[](int index) const { return all_[index]; }

 private:
  Result<Done> add(int node, const WeightsRequest& request, std::string_view gives,
                   const FindWeights& find);

  Result<Done> guess_loader(int node, const FindWeights& find);
  Result<Done> guess_others(int node, const FindWeights& find);
  bool is_asked_for(int node, std::string_view file) const;

  struct Use {
    bool hands_on = false, ends = false;  ///< to others; here, at a node that may work with it
  };
  Use use_of(int reader, std::string_view type, const std::function<bool(int node)>& is_off) const;
  std::unordered_set<int> givers_in_use(const std::vector<int>& givers, std::string_view type,
                                        const PromptGraph::Readers& readers,
                                        const std::function<bool(int node)>& is_off) const;

  const PromptGraph& graph_;
  std::vector<Weights> all_;
  std::vector<std::vector<int>> reads_;               ///< per node
  std::vector<std::vector<int>> lora_files_;          ///< per node
  std::map<std::pair<int, std::string>, int> given_;  ///< node and type -> weights
  std::unordered_map<std::string, int> same_;         ///< what is asked for -> weights
  mutable int steps_left_ = 1'000'000;                ///< of all walks together
};

}  // namespace ebb
