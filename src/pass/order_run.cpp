// SPDX-License-Identifier: Apache-2.0
// The rules are those of ComfyUI's comfy_execution/graph.py, the same from 0.3.64 to 0.18.2:
// - A node is discovered from what needs it, the last linked input first; lazy links are left out.
// - Of the nodes that wait for nothing it takes the first discovered of the best rank:
//     1 an output node or a coroutine, 2 feeds an output node, 3 feeds one that does, 4 the rest.
// ComfyUI scans all waiting nodes for each step. Here a node's rank is kept up to date when links
// are added, so that a heap finds the next one.
#include "pass/order_run.h"

#include <algorithm>
#include <deque>
#include <queue>

#include "machine/versions.h"
#include "pass/order_classes.h"
#include "pass/order_same.h"

namespace ebb {
namespace {

class Scheduler {
 public:
  explicit Scheduler(const OrderProblem& problem)
      : problem_(problem), graph_(problem.graph), nodes_(problem.prompt.nodes.size()) {
    for (const NodeIndex node : problem.kept.indices()) {
      if (problem.kept[node]) same(node).there = true;
    }
    if (problem.keeping == Keeping::needed) count_readers();
  }

  Execution run(const std::vector<NodeIndex>& outputs) {
    for (NodeIndex node : outputs) add_node(node);
    for (NodeIndex node = next(); node.exists(); node = next()) execute(node);
    return std::move(result_);
  }

 private:
  enum class State : char { unseen, pending, done };

  struct Node {
    State state = State::unseen;
    bool near_output = false;       // feeds an output node
    bool near_near_output = false;  // feeds a node that does
    bool asked_lazy = false;
    bool started = false;  // a coroutine whose result is waited for
    int discovered = -1;
    int waits_for = 0;
    int first_out = -1;     // edges to nodes that wait for this one, last added first
    int first_in = -1;      // edges from nodes this one waits for
    NodeIndex executed_as;  // of the first of several same nodes: the one that ran
    bool there = false;     // of the first of several same nodes: the cache holds its result
    bool ran = false;
    int readers = 0;  // nodes that link to this one and have not run; only counted where needed
  };

  struct Edge {
    NodeIndex from, to;
    int next_out, next_in;
  };

  Node& at(NodeIndex node) { return nodes_[node]; }
  bool output(NodeIndex node) const { return problem_.prompt.nodes[node].output_node; }
  bool async(NodeIndex node) const { return problem_.async[node]; }
  Node& same(NodeIndex node) { return at(problem_.same[node]); }
  bool cached(NodeIndex node) { return same(node).there; }

  void add_node(NodeIndex root) {
    const std::size_t discovered = by_discovery_.size();
    std::vector<NodeIndex> stack{root};
    std::vector<std::pair<NodeIndex, NodeIndex>> links;
    while (!stack.empty()) {
      const NodeIndex node = stack.back();
      stack.pop_back();
      if (at(node).state == State::pending) continue;
      if (at(node).state == State::done) forget(node);
      at(node).state = State::pending;
      at(node).discovered = static_cast<int>(by_discovery_.size());
      by_discovery_.push_back(node);
      for (const OrderLink& link : graph_.links(node)) {
        if (link.lazy) continue;
        if (cached(link.source)) {
          note_served(link.source);
          continue;
        }
        stack.push_back(link.source);
        links.emplace_back(link.source, node);
      }
    }
    for (const auto& [from, to] : links) add_edge(from, to);
    for (std::size_t i = discovered; i < by_discovery_.size(); ++i) push(by_discovery_[i]);
  }

  // A result that was not kept is needed again: the node is scheduled as if it were new.
  void forget(NodeIndex node) {
    const Node old = at(node);
    at(node) = {};
    at(node).executed_as = old.executed_as;
    at(node).there = old.there;
    at(node).ran = old.ran;
    at(node).readers = old.readers;
  }

  // A node whose result was there before it was discovered is never scheduled.
  void note_served(NodeIndex node) {
    if (at(node).state != State::unseen) return;
    at(node).state = State::done;
    if (same(node).executed_as.exists()) {
      result_.served.push_back({node, same(node).executed_as, false});
    }
  }

  void count_readers() {
    for (const NodeIndex node : graph_.nodes()) {
      for (NodeIndex source : sources(node)) ++at(source).readers;
    }
  }

  std::vector<NodeIndex> sources(NodeIndex node) const {
    std::vector<NodeIndex> result;
    for (const OrderLink& link : graph_.links(node)) {
      if (link.source.exists()) result.push_back(link.source);
    }
    std::sort(result.begin(), result.end());
    result.erase(std::unique(result.begin(), result.end()), result.end());
    return result;
  }

  // What the cache does with a new result.
  void keep(NodeIndex node) {
    same(node).executed_as = node;
    same(node).there = problem_.keeping != Keeping::nothing;
    if (problem_.keeping != Keeping::needed || at(node).ran) return;
    at(node).ran = true;
    for (NodeIndex source : sources(node)) {
      if (--at(source).readers == 0 && at(source).ran) same(source).there = false;
    }
  }

  // `to` waits for `from`. Links of one node come together, so a repeated pair is the last edge.
  void add_edge(NodeIndex from, NodeIndex to) {
    const int last = at(from).first_out;
    if (last >= 0 && edges_[last].to == to) return;
    edges_.push_back({from, to, last, at(to).first_in});
    at(from).first_out = at(to).first_in = static_cast<int>(edges_.size()) - 1;
    ++at(to).waits_for;
    if (at(to).near_output) mark_near_near(from);
    if (output(to) && !at(from).near_output) {
      at(from).near_output = true;
      push(from);
      for (int e = at(from).first_in; e >= 0; e = edges_[e].next_in) {
        mark_near_near(edges_[e].from);
      }
    }
  }

  void mark_near_near(NodeIndex node) {
    if (at(node).near_near_output) return;
    at(node).near_near_output = true;
    push(node);
  }

  int rank(NodeIndex node) {
    if (output(node) || async(node)) return 1;
    if (at(node).near_output) return 2;
    return at(node).near_near_output ? 3 : 4;
  }

  bool ready(NodeIndex node) { return at(node).state == State::pending && at(node).waits_for == 0; }

  // A node may be in the heap several times; its best entry comes first, the others are stale.
  void push(NodeIndex node) {
    if (ready(node)) heap_.push({rank(node), at(node).discovered});
  }

  NodeIndex next() {
    while (true) {
      while (!heap_.empty()) {
        const int place = heap_.top().second;
        const NodeIndex node = by_discovery_[place];
        heap_.pop();
        if (ready(node) && at(node).discovered == place) return node;
      }
      if (started_.empty()) return {};
      const NodeIndex node = started_.front();  // nothing else can run until a coroutine returns
      started_.pop_front();
      at(node).waits_for = 0;
      push(node);
    }
  }

  void execute(NodeIndex node) {
    if (cached(node)) {
      // A coroutine may be overtaken by its twin while it waits: then both ran.
      if (!at(node).started && same(node).executed_as.exists()) {
        result_.served.push_back({node, same(node).executed_as});
      }
      return complete(node);
    }
    if (!at(node).asked_lazy) {
      at(node).asked_lazy = true;
      ask(node);
      if (at(node).waits_for > 0) return;  // comes back when what it asked for is there
    }
    if (!at(node).started) result_.nodes.push_back(node);
    if (async(node) && !at(node).started) {
      at(node).started = true;
      at(node).waits_for = 1;
      started_.push_back(node);
      return;
    }
    keep(node);
    complete(node);
  }

  void ask(NodeIndex node) {
    const auto links = graph_.links(node);
    for (int i : problem_.asked[node]) {
      const NodeIndex source = links[i].source;
      const bool handed_over = std::any_of(links.begin(), links.end(), [&](const OrderLink& l) {
        return !l.lazy && l.source == source;
      });
      if (handed_over) continue;
      if (cached(source)) {
        note_served(source);
        continue;
      }
      add_node(source);
      add_edge(source, node);
    }
  }

  void complete(NodeIndex node) {
    at(node).state = State::done;
    for (int e = at(node).first_out; e >= 0; e = edges_[e].next_out) {
      const NodeIndex to = edges_[e].to;
      if (--at(to).waits_for == 0) push(to);
    }
  }

  const OrderProblem& problem_;
  const OrderGraph& graph_;
  List<Node, NodeIndex> nodes_;
  std::vector<Edge> edges_;
  std::vector<NodeIndex> by_discovery_;
  std::priority_queue<std::pair<int, int>, std::vector<std::pair<int, int>>, std::greater<>> heap_;
  std::deque<NodeIndex> started_;
  Execution result_;
};

// The value a switch gets, if it is written in the prompt or in the primitive it is linked to.
std::optional<bool> constant_truth(const Prompt& prompt, const PromptInput& input) {
  const PromptInput* from = &input;
  if (input.link) {
    const PromptNode* origin = prompt.origin(input);
    from = origin && origin->class_type == "PrimitiveBoolean" ? origin->input("value") : nullptr;
  }
  if (!from || from->link || from->value.empty()) return std::nullopt;
  const std::string& value = from->value;
  return value != "false" && value != "0" && value != "null" && value != "\"\"";
}

// Of ComfyUI's own classes only its switches have lazy inputs (comfy_extras/nodes_logic.py, 0.8.0
// and 0.18.2): they ask for the input that the switch names, or for the only one there is.
const char* switch_input(const Prompt& prompt, const PromptNode& node) {
  if (node.class_type != "ComfySwitchNode" && node.class_type != "ComfySoftSwitchNode") {
    return nullptr;
  }
  if (!node.input("on_false")) return "on_true";
  if (!node.input("on_true")) return "on_false";
  const PromptInput* chosen = node.input("switch");
  const auto truth = chosen ? constant_truth(prompt, *chosen) : std::nullopt;
  if (!truth) return nullptr;
  return *truth ? "on_true" : "on_false";
}

std::vector<int> lazy_links_asked(OrderProblem& problem, NodeIndex position) {
  const PromptNode& node = problem.prompt.nodes[position];
  const auto links = problem.graph.links(position);
  std::vector<int> lazy;
  for (std::size_t i = 0; i < links.size(); ++i) {
    if (links[i].lazy) lazy.push_back(static_cast<int>(i));
  }
  if (lazy.empty()) return lazy;
  if (const char* name = switch_input(problem.prompt, node)) {
    std::erase_if(lazy, [&](int i) { return node.inputs[size_t(links[i].input)].name != name; });
  } else {
    problem.notes.push_back({Say::decides_while_running, {node.label()}});
  }
  return lazy;
}

}  // namespace

OrderProblem make_order_problem(const Prompt& prompt) {
  OrderProblem problem{prompt, OrderGraph(prompt), {}, {}, {}, {}, {}, {}};
  problem.same = same_nodes(prompt, problem.graph);
  problem.async.reserve(prompt.nodes.size());
  problem.asked.reserve(prompt.nodes.size());
  for (const NodeIndex i : prompt.nodes.indices()) {
    problem.async.push_back(class_traits(prompt.nodes[i].class_type).async);
    problem.asked.push_back(lazy_links_asked(problem, i));
  }
  return problem;
}

Keeping keeping_of(const ComfyVersion& version, CacheKind cache) {
  if (cache != CacheKind::none) return Keeping::everything;
  return rules_for(version).none_keeps_nothing ? Keeping::nothing : Keeping::needed;
}

Execution run_order(const OrderProblem& problem, const std::vector<NodeIndex>& outputs) {
  return Scheduler(problem).run(outputs);
}

}  // namespace ebb
