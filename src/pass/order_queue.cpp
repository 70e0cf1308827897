// SPDX-License-Identifier: Apache-2.0
// Prompts queued one after another. Keys of the node cache (comfy_execution/caching.py) hold the
// class, the values and everything upstream, so that two nodes of two prompts have one key exactly
// if they would be the same nodes within one prompt: the keys come from all prompts side by side.
#include <map>

#include "machine/versions.h"
#include "pass/order_run.h"
#include "pass/order_same.h"

namespace ebb {
namespace {

// Ids stay, since some classes have theirs in the key; links and the index tell prompts apart.
List<NodeIndex, NodeIndex> keys_of(const std::vector<QueuedPrompt>& queue) {
  Prompt all;
  for (std::size_t i = 0; i < queue.size(); ++i) {
    const std::string prefix = std::to_string(i) + '/';
    for (PromptNode node : queue[i].prompt->nodes) {
      all.index[prefix + node.id] = all.nodes.end_index();
      for (PromptInput& input : node.inputs) {
        if (input.link) input.link->node.insert(0, prefix);
      }
      all.nodes.push_back(std::move(node));
    }
  }
  return same_nodes(all, OrderGraph(all));
}

// What the cache holds between prompts.
class NodeCache {
 public:
  NodeCache(CacheKind kind, int entries) : kind_(kind), most_(static_cast<std::size_t>(entries)) {}

  bool has(NodeIndex key) const { return used_.contains(key); }
  void put(NodeIndex key) { used_[key] = generation_; }

  // The next prompt has these keys. Classic drops all others; LRU drops whole generations of them,
  // the oldest first, while there are more results than it may keep; RAM pressure drops none while
  // there is RAM for them.
  void start(const List<NodeIndex, NodeIndex>& keys) {
    ++generation_;
    for (const NodeIndex key : keys) {
      if (has(key)) used_[key] = generation_;
    }
    if (kind_ == CacheKind::none) used_.clear();
    if (kind_ == CacheKind::ram || kind_ == CacheKind::none) return;
    if (kind_ != CacheKind::lru) oldest_ = generation_ - 1;
    while (oldest_ < generation_ && (kind_ != CacheKind::lru || used_.size() > most_)) {
      ++oldest_;
      std::erase_if(used_, [&](const auto& entry) { return entry.second < oldest_; });
    }
  }

 private:
  CacheKind kind_;
  std::size_t most_;
  int generation_ = 0;
  int oldest_ = 0;                 // generations before it are gone
  std::map<NodeIndex, int> used_;  // key -> the last prompt that had it
};

// From 0.23.0 on the RAM cache has a second limit: below it, what the running prompt lacks leaves
// after its first node, which comes to what the classic cache does before it. From main.py.
CacheKind between_prompts(const ComfyVersion& version, const ComfyFlags& flags,
                          std::int64_t ram_free_bytes) {
  const CacheKind kind = cache_of(version, flags);
  const Rules& rules = rules_for(version);
  if (kind != CacheKind::ram || !rules.ram_cache) return kind;
  const double limit =
      flags.cache_ram_idle_gib != 0 ? flags.cache_ram_idle_gib : rules.idle_results_gib;
  const double free = static_cast<double>(ram_free_bytes) / static_cast<double>(1_GiB);
  return free < limit ? CacheKind::classic : CacheKind::ram;
}

}  // namespace

Result<std::vector<Queued>> run_queue(const std::vector<QueuedPrompt>& queue,
                                      const ComfyVersion& version, const ComfyFlags& flags,
                                      std::int64_t ram_free_bytes) {
  const List<NodeIndex, NodeIndex> keys = keys_of(queue);
  NodeCache cache(between_prompts(version, flags, ram_free_bytes), flags.cache_lru_entries);
  std::vector<Queued> result;
  std::size_t first = 0;
  for (const QueuedPrompt& queued : queue) {
    const std::size_t count = queued.prompt->nodes.size();
    const List<NodeIndex, NodeIndex> own(keys.begin() + std::ptrdiff_t(first),
                                         keys.begin() + std::ptrdiff_t(first + count));
    first += count;
    cache.start(own);
    OrderProblem problem = make_order_problem(*queued.prompt);
    problem.keeping = keeping_of(version, flags.cache);
    Queued run;
    problem.kept.assign(count, false);
    for (const NodeIndex i : own.indices()) {
      if (!cache.has(own[i])) continue;
      problem.kept[i] = true;
      run.kept.push_back(i);
    }
    auto order = order_of(problem, queued.outputs);
    if (!order) return order.error();
    run.order = *std::move(order);
    if (cache_of(version, flags) == CacheKind::ram && !run.kept.empty()) {
      run.order.notes.emplace_back(Say::ram_cache_keeps_all);
    }
    for (const NodeIndex node : run.order.nodes) cache.put(own[node]);
    result.push_back(std::move(run));
  }
  return result;
}

}  // namespace ebb
