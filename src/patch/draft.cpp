// SPDX-License-Identifier: Apache-2.0
#include "patch/draft.h"

#include <algorithm>

namespace ebb {

Draft::Draft(const Prompt& prompt, const Sampling& sampling)
    : given_(prompt), sampling_(sampling), readers_(prompt.nodes.size()) {
  for (std::size_t n = 0; n < prompt.nodes.size(); ++n) {
    const auto& inputs = prompt.nodes[n].inputs;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      copied_ += 1 + static_cast<std::int64_t>(inputs[i].value.size()) / 64;
      const int origin = inputs[i].link ? prompt.position(inputs[i].link->node) : -1;
      if (origin >= 0) readers_[std::size_t(origin)].push_back({static_cast<int>(n), i});
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
  when_.assign(runs_.size(), std::vector<int>(prompt_.nodes.size(), -1));
  for (std::size_t r = 0; r < runs_.size(); ++r) {
    for (std::size_t i = 0; i < runs_[r].size(); ++i) {
      when_[r][std::size_t(runs_[r][i])] = static_cast<int>(i);
    }
  }
  reads_.assign(runs_.size(), std::nullopt);
  marks_.assign(prompt_.nodes.size(), mark_ = 0);
  if (!runs_.empty()) find_next_samplers(placement.insertions.size());
  count_visits(refresh_visits());
}

void Draft::find_next_samplers(std::size_t insertions) {
  next_.assign(insertions, -1);
  int sampler = -1;
  for (auto at = runs_.front().rbegin(); at != runs_.front().rend(); ++at) {
    const auto node = static_cast<std::size_t>(*at);
    if (node >= given_.nodes.size()) {
      next_[node - given_.nodes.size()] = sampler;
    } else if (sampling_.model[node] >= 0) {
      sampler = *at;
    }
  }
}

std::vector<DraftInput> Draft::readers(int node) {
  std::vector<DraftInput> result;
  const auto& all = readers_[std::size_t(node)];
  count_visits(static_cast<std::int64_t>(all.size()));
  for (const DraftInput& reader : all) {
    const PromptInput& input = prompt_.nodes[std::size_t(reader.node)].inputs[reader.input];
    if (input.link && prompt_.position(input.link->node) == node) result.push_back(reader);
  }
  return result;
}

void Draft::mark_needed(const Switch& between) {
  ++mark_;
  if (between.to < 0) return;
  const auto& when = when_[std::size_t(between.run)];
  const int first = when[std::size_t(between.from)];
  std::vector<int> stack{between.to};
  while (!stack.empty()) {
    const int node = stack.back();
    stack.pop_back();
    if (is_marked(node)) continue;
    marks_[std::size_t(node)] = mark_;
    count_visits(1);
    for (const OrderLink& link : graph_->links(node)) {
      if (link.source < 0) continue;
      // What ran before the first can't need it. What does not run at all may.
      const int place = when[std::size_t(link.source)];
      if (place < 0 || place > first) stack.push_back(link.source);
    }
  }
}

const Draft::Reads& Draft::reads_of(std::size_t run) {
  if (reads_[run]) return *reads_[run];
  Reads& reads = reads_[run].emplace();
  for (std::size_t i = 0; i < runs_[run].size(); ++i) {
    const auto node = static_cast<std::size_t>(runs_[run][i]);
    if (node >= given_.nodes.size()) continue;
    for (const int model : sampling_.reads[node]) reads.emplace_back(model, static_cast<int>(i));
  }
  std::ranges::sort(reads);
  return reads;
}

std::optional<int> Draft::early_loader(std::size_t insertion, int sampler) {
  const int model = sampling_.model[std::size_t(sampler)];
  for (std::size_t r = 0; r < runs_.size(); ++r) {
    const int ours = when_[r][given_.nodes.size() + insertion];
    if (ours < 0) continue;
    const Reads& reads = reads_of(r);
    const auto after = std::ranges::lower_bound(reads, std::pair(model, ours));
    if (after == reads.begin() || std::prev(after)->first != model) continue;
    return runs_[r][std::size_t(std::prev(after)->second)];
  }
  return std::nullopt;
}

std::vector<std::string> Draft::inputs_through(const Insertion& insertion, int sampler) {
  ++mark_;
  const int last = place_of(sampler);
  std::vector<int> stack{given_.position(insertion.target)};
  while (!stack.empty()) {
    const int node = stack.back();
    stack.pop_back();
    if (node == sampler || is_marked(node) || place_of(node) > last) continue;
    marks_[std::size_t(node)] = mark_;
    count_visits(1 + static_cast<std::int64_t>(readers_[std::size_t(node)].size()));
    for (const DraftInput& reader : readers_[std::size_t(node)]) stack.push_back(reader.node);
  }
  std::vector<std::string> names;
  const PromptNode& node = given_.nodes[std::size_t(sampler)];
  for (const PromptInput& input : node.inputs) {
    const int origin = input.link ? given_.position(input.link->node) : -1;
    if (origin < 0) continue;
    const bool here = node.id == insertion.target && input.name == insertion.input;
    if (here || is_marked(origin)) names.push_back(input.name);
  }
  return names;
}

}  // namespace ebb
