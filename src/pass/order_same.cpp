// SPDX-License-Identifier: Apache-2.0
#include "pass/order_same.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <optional>
#include <string_view>
#include <unordered_map>

#include "base/text.h"
#include "pass/order_classes.h"

namespace ebb {
namespace {

// Exact comparisons walk everything upstream. Beyond this many nodes in all, two nodes whose
// upstream trees agree are taken for the same without asking how they share nodes.
constexpr int kVisitsMax = 200'000;

std::size_t mix(std::size_t seed, std::size_t value) {
  return seed ^ (value + 0x9e3779b97f4a7c15ULL + (seed << 12) + (seed >> 4));
}

// Python compares by value: 20, 20.0 and 2e1 are one key, and so are 1 and true.
std::optional<double> python_number(std::string_view value) {
  if (value == "true") return 1;
  if (value == "false") return 0;
  const bool wide_integer =
      value.size() > 15 && value.find_first_of(".eE") == std::string_view::npos;
  return wide_integer ? std::nullopt : parse_double(value);  // Python's integers have no limit
}

bool same_value(const std::string& a, const std::string& b) {
  if (a == b) return true;
  const auto x = python_number(a);
  return x && x == python_number(b);
}

class Comparison {
 public:
  Comparison(const Prompt& prompt, const OrderGraph& graph)
      : prompt_(prompt), graph_(graph), same_(prompt.nodes.size()), hash_(prompt.nodes.size()) {
    std::iota(same_.begin(), same_.end(), NodeIndex(0));
    sort_inputs();
  }

  List<NodeIndex, NodeIndex> run() {
    std::unordered_map<std::size_t, std::vector<NodeIndex>> firsts;
    for (NodeIndex node : graph_.sound_order()) {
      hash_[node] = hash(node);
      auto& alike = firsts[hash_[node]];
      const auto twin = std::find_if(alike.begin(), alike.end(),
                                     [&](NodeIndex first) { return agree(first, node); });
      if (twin == alike.end()) {
        alike.push_back(node);
      } else {
        same_[node] = *twin;
      }
    }
    return smallest_positions();
  }

 private:
  using Pairs = std::vector<std::pair<NodeIndex, NodeIndex>>;

  const PromptNode& at(NodeIndex node) const { return prompt_.nodes[node]; }
  const std::vector<int>& inputs(NodeIndex node) const { return sorted_[node]; }
  const PromptInput& input(NodeIndex node, int index) const { return at(node).inputs[index]; }

  // ComfyUI's keys list inputs by name, so that their order in the JSON is no difference.
  void sort_inputs() {
    sorted_.resize(prompt_.nodes.size());
    source_.resize(prompt_.nodes.size());
    for (const NodeIndex node : graph_.nodes()) {
      auto& order = sorted_[node];
      order.resize(at(node).inputs.size());
      std::iota(order.begin(), order.end(), 0);
      std::sort(order.begin(), order.end(),
                [&](int a, int b) { return input(node, a).name < input(node, b).name; });
      auto& sources = source_[node];
      sources.assign(at(node).inputs.size(), NodeIndex());
      for (const OrderLink& link : graph_.links(node)) sources[link.input] = link.source;
    }
  }

  std::size_t hash(NodeIndex node) const {
    const std::hash<std::string_view> text;
    std::size_t h = text(at(node).class_type);
    if (class_traits(at(node).class_type).unique) h = mix(h, text(at(node).id));
    for (int i : inputs(node)) {
      const PromptInput& in = input(node, i);
      h = mix(h, text(in.name));
      if (in.link) {
        h = mix(mix(h, hash_[source_[node][size_t(i)]]), size_t(in.link->slot));
      } else {
        const auto number = python_number(in.value);
        h = mix(h, number ? std::hash<double>()(*number) : text(in.value));
      }
    }
    return h;
  }

  // Whether the nodes by themselves agree; their sources are listed in `pairs`.
  bool agree_alone(NodeIndex a, NodeIndex b, Pairs& pairs) const {
    if (at(a).class_type != at(b).class_type || inputs(a).size() != inputs(b).size()) return false;
    if (at(a).id != at(b).id && class_traits(at(a).class_type).unique) return false;
    for (std::size_t i = 0; i < inputs(a).size(); ++i) {
      const int ia = inputs(a)[i], ib = inputs(b)[i];
      const PromptInput &x = input(a, ia), &y = input(b, ib);
      if (x.name != y.name || x.link.has_value() != y.link.has_value()) return false;
      if (!x.link) {
        if (!same_value(x.value, y.value)) return false;
        continue;
      }
      if (x.link->slot != y.link->slot) return false;
      pairs.emplace_back(source_[a][ia], source_[b][ib]);
    }
    return true;
  }

  // Both sides are walked together; every node must meet the same partner wherever it occurs.
  bool agree(NodeIndex a, NodeIndex b) {
    Pairs pairs;
    if (!agree_alone(a, b, pairs)) return false;
    if (inherits(pairs)) return true;
    std::unordered_map<NodeIndex, NodeIndex> partner_of_a, partner_of_b;
    while (!pairs.empty()) {
      const auto [x, y] = pairs.back();
      pairs.pop_back();
      const auto [left, left_new] = partner_of_a.emplace(x, y);
      const auto [right, right_new] = partner_of_b.emplace(y, x);
      if (left->second != y || right->second != x) return false;
      if (!left_new) continue;
      if (++visits_ > kVisitsMax) return true;
      if (!agree_alone(x, y, pairs)) return false;
    }
    return true;
  }

  // With a single source, or the very same sources, there is nothing to be shared differently.
  bool inherits(const Pairs& pairs) const {
    const auto identical = [](const auto& pair) { return pair.first == pair.second; };
    if (std::all_of(pairs.begin(), pairs.end(), identical)) return true;
    const auto as_first = [&](const auto& pair) { return pair == pairs.front(); };
    return std::all_of(pairs.begin(), pairs.end(), as_first) &&
           same_[pairs.front().first] == same_[pairs.front().second];
  }

  List<NodeIndex, NodeIndex> smallest_positions() const {
    List<NodeIndex, NodeIndex> smallest(same_.size()), result(same_.size());
    for (const NodeIndex i : same_.indices()) {
      NodeIndex& first = smallest[same_[i]];
      if (!first.exists()) first = i;
      result[i] = first;
    }
    return result;
  }

  const Prompt& prompt_;
  const OrderGraph& graph_;
  List<std::vector<int>, NodeIndex> sorted_;        // positions of a node's inputs, by name
  List<std::vector<NodeIndex>, NodeIndex> source_;  // per input the node it is linked to
  List<NodeIndex, NodeIndex> same_;
  List<std::size_t, NodeIndex> hash_;
  int visits_ = 0;
};

}  // namespace

List<NodeIndex, NodeIndex> same_nodes(const Prompt& prompt, const OrderGraph& graph) {
  return Comparison(prompt, graph).run();
}

}  // namespace ebb
