// SPDX-License-Identifier: Apache-2.0
#include "patch/draft.h"

#include <algorithm>

namespace ebb {

Draft::Draft(const Prompt& prompt, const Sampling& sampling)
    : given_(prompt), sampling_(sampling), readers_(prompt.nodes.size()) {
  for (const NodeIndex n : prompt.nodes.indices()) {
    const auto& inputs = prompt.nodes[n].inputs;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      copied_ += 1 + static_cast<std::int64_t>(inputs[i].value.size()) / 64;
      const NodeIndex origin = inputs[i].link ? prompt.position(inputs[i].link->node) : NodeIndex();
      if (origin.exists()) readers_[origin].push_back({n, i});
    }
  }
}

std::int64_t Draft::refresh_visits() const {
  return static_cast<std::int64_t>((runs_.size() + 1) * prompt_.nodes.size()) + copied_ / 4;
}

void Draft::refresh(const Placement& placement) {
  prompt_ = with_insertions(given_, placement);
  const OrderProblem problem = make_order_problem(prompt_);
  graph_ = problem.graph;
  runs_ = runs_of(problem);
  when_.assign(runs_.size(), List<StepIndex, NodeIndex>(prompt_.nodes.size()));
  for (std::size_t r = 0; r < runs_.size(); ++r) {
    for (const StepIndex i : runs_[r].indices()) when_[r][runs_[r][i]] = i;
  }
  reads_.assign(runs_.size(), std::nullopt);
  marks_.assign(prompt_.nodes.size(), mark_ = 0);
  if (!runs_.empty()) find_next_samplers(placement.insertions.size());
  count_visits(refresh_visits());
}

void Draft::find_next_samplers(std::size_t insertions) {
  next_.assign(insertions, {});
  NodeIndex sampler;
  for (auto at = runs_.front().rbegin(); at != runs_.front().rend(); ++at) {
    if (!given_.nodes.has(*at)) {
      next_[std::size_t(at->at) - given_.nodes.size()] = sampler;
    } else if (sampling_.model[*at].exists()) {
      sampler = *at;
    }
  }
}

std::vector<DraftInput> Draft::readers(NodeIndex node) {
  std::vector<DraftInput> result;
  const auto& all = readers_[node];
  count_visits(static_cast<std::int64_t>(all.size()));
  for (const DraftInput& reader : all) {
    const PromptInput& input = prompt_.nodes[reader.node].inputs[reader.input];
    if (input.link && prompt_.position(input.link->node) == node) result.push_back(reader);
  }
  return result;
}

void Draft::mark_needed(const Switch& between) {
  ++mark_;
  if (!between.to.exists()) return;
  const auto& when = when_[std::size_t(between.run)];
  const StepIndex first = when[between.from];
  std::vector<NodeIndex> stack{between.to};
  while (!stack.empty()) {
    const NodeIndex node = stack.back();
    stack.pop_back();
    if (is_marked(node)) continue;
    marks_[node] = mark_;
    count_visits(1);
    for (const OrderLink& link : graph_->links(node)) {
      if (!link.source.exists()) continue;
      // What ran before the first can't need it. What does not run at all may.
      const StepIndex place = when[link.source];
      if (!place.exists() || place > first) stack.push_back(link.source);
    }
  }
}

const Draft::Reads& Draft::reads_of(std::size_t run) {
  if (reads_[run]) return *reads_[run];
  Reads& reads = reads_[run].emplace();
  for (const StepIndex i : runs_[run].indices()) {
    const NodeIndex node = runs_[run][i];
    if (!given_.nodes.has(node)) continue;
    for (const WeightsIndex model : sampling_.reads[node]) reads.emplace_back(model, i);
  }
  std::ranges::sort(reads);
  return reads;
}

NodeIndex Draft::early_loader(std::size_t insertion, NodeIndex sampler) {
  const WeightsIndex model = sampling_.model[sampler];
  for (std::size_t r = 0; r < runs_.size(); ++r) {
    const StepIndex ours = when_[r][NodeIndex::of(given_.nodes.size() + insertion)];
    if (!ours.exists()) continue;
    const Reads& reads = reads_of(r);
    const auto after = std::ranges::lower_bound(reads, std::pair(model, ours));
    if (after == reads.begin() || std::prev(after)->first != model) continue;
    return runs_[r][std::prev(after)->second];
  }
  return {};
}

std::vector<std::string> Draft::inputs_through(const Insertion& insertion, NodeIndex sampler) {
  ++mark_;
  const StepIndex last = place_of(sampler);
  std::vector<NodeIndex> stack{given_.position(insertion.target)};
  while (!stack.empty()) {
    const NodeIndex node = stack.back();
    stack.pop_back();
    if (node == sampler || is_marked(node) || place_of(node) > last) continue;
    marks_[node] = mark_;
    count_visits(1 + static_cast<std::int64_t>(readers_[node].size()));
    for (const DraftInput& reader : readers_[node]) stack.push_back(reader.node);
  }
  std::vector<std::string> names;
  const PromptNode& node = given_.nodes[sampler];
  for (const PromptInput& input : node.inputs) {
    const NodeIndex origin = input.link ? given_.position(input.link->node) : NodeIndex();
    if (!origin.exists()) continue;
    const bool here = node.id == insertion.target && input.name == insertion.input;
    if (here || is_marked(origin)) names.push_back(input.name);
  }
  return names;
}

}  // namespace ebb
