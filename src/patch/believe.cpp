// SPDX-License-Identifier: Apache-2.0
#include "patch/believe.h"

#include <algorithm>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "patch/edit.h"

namespace ebb {
namespace {

constexpr int kWrappersMax = 8;  // a graph in a POST body in an object

bool equal(const JsonValue& a, const JsonValue& b) {
  return a.exists() == b.exists() && (!a.exists() || a.raw() == b.raw());
}

/// Members of an object that Ebb may have added to, which it does at the end: calls `same` for
/// each pair of the same key, `added` for the rest.
template <class Same, class Added>
bool each_member(const JsonValue& was, const JsonValue& is, Same same, Added added) {
  if (!was.is_object() || !is.is_object() || is.size() < was.size()) return false;
  auto at = was.begin();
  for (const JsonValue member : is) {
    if (at == was.end()) {
      if (!added(member.key(), member)) return false;
      continue;
    }
    if (member.key() != (*at).key() || !same(member.key(), *at, member)) return false;
    ++at;
  }
  return true;
}

template <class Same>
bool each_element(const JsonValue& was, const JsonValue& is, Same same) {
  if (!was.is_array() || !is.is_array() || is.size() != was.size()) return false;
  auto at = was.begin();
  for (const JsonValue element : is) {
    if (!same(*at, element)) return false;
    ++at;
  }
  return true;
}

bool nothing_added(const std::string&, const JsonValue&) { return false; }

bool is_mark(const std::string& key, const JsonValue& value) {
  return key == "ebb" && value.is_object() && value.find("version").is_string();
}

/// `{"ebb": ...}` and nothing else.
bool is_bare_mark(const JsonValue& home) {
  return home.is_object() && home.size() == 1 && is_mark((*home.begin()).key(), *home.begin());
}

bool tiled(const JsonValue& was, const JsonValue& is) {
  return was.is("VAEDecode") && is.is("VAEDecodeTiled");
}

bool is_tile_widget(std::string_view name) {
  return std::ranges::any_of(kTileWidgets, [&](const TileWidget& w) { return name == w.name; });
}

/// One canvas: nodes were put on links. A link that was cut in two ends at a marked node now, and
/// from there further links lead to where it ended.
class GraphCheck {
 public:
  bool graph(const JsonValue& was, const JsonValue& is) {
    if (!nodes_added(was.find("nodes"), is.find("nodes"))) return false;
    if (!links(was.find("links"), is.find("links"))) return false;
    return each_member(
        was, is,
        [&](const std::string& key, const JsonValue& a, const JsonValue& b) {
          if (key == "links") return true;
          if (key == "nodes") return nodes(a, b);
          if (key == "state") return counters(a, b);
          if (key == "outputs") return boundary(a, b);
          if (key == "definitions") return definitions(a, b);
          return equal(a, b) || is_counter(key, a, b);
        },
        nothing_added);
  }

 private:
  struct End {
    std::string_view target, slot;
  };

  static std::string_view raw(const JsonValue& value) {
    return value.exists() ? value.raw() : std::string_view();
  }
  static JsonValue part(const JsonValue& link, std::size_t index, const char* name) {
    return link.is_array() ? link.at(index) : link.find(name);
  }
  static End end_of(const JsonValue& link) {
    return {raw(part(link, 3, "target_id")), raw(part(link, 4, "target_slot"))};
  }

  static bool is_counter(const std::string& key, const JsonValue& a, const JsonValue& b) {
    const bool named = key == "last_node_id" || key == "last_link_id" || key == "lastNodeId" ||
                       key == "lastLinkId";
    return named && a.integer() && b.integer();
  }
  static bool counters(const JsonValue& was, const JsonValue& is) {
    return equal(was, is) ||
           each_member(
               was, is,
               [](const std::string& key, const JsonValue& a, const JsonValue& b) {
                 return equal(a, b) || is_counter(key, a, b);
               },
               nothing_added);
  }

  bool nodes_added(const JsonValue& was, const JsonValue& is) {
    std::size_t place = 0;
    for (const JsonValue node : is) {
      if (place++ < was.size()) continue;
      if (!mark_of(node, false).exists()) return false;
      ours_.insert(raw(node.find("id")));
    }
    return place >= was.size();
  }

  bool links(const JsonValue& was, const JsonValue& is) {
    std::size_t place = 0;
    for (const JsonValue link : is) {
      if (place++ < was.size()) continue;
      const auto origin = raw(part(link, 1, "origin_id"));
      if (!ours_.contains(origin) || !further_.try_emplace(origin, end_of(link)).second) {
        return false;
      }
      added_[raw(part(link, 0, "id"))] = end_of(link);
    }
    if (place < was.size()) return false;
    auto at = was.begin();
    for (const JsonValue link : is) {
      if (at == was.end()) break;
      if (!equal(*at, link) && !rerouted(*at, link)) return false;
      ends_[raw(part(*at, 0, "id"))] = end_of(*at);
      ++at;
    }
    return true;
  }

  /// The same link but for its end, from which our nodes lead to the old one.
  bool rerouted(const JsonValue& was, const JsonValue& is) const {
    std::size_t place = 0;
    const auto free = [&](const std::string& key) {
      return key == "target_id" || key == "target_slot";
    };
    const bool same = was.is_array()
                          ? each_element(was, is,
                                         [&](const JsonValue& a, const JsonValue& b) {
                                           const bool end = place == 3 || place == 4;
                                           ++place;
                                           return end || equal(a, b);
                                         })
                          : each_member(
                                was, is,
                                [&](const std::string& key, const JsonValue& a,
                                    const JsonValue& b) { return free(key) || equal(a, b); },
                                nothing_added);
    End end = end_of(is);
    for (std::size_t hops = 0; same && hops <= further_.size(); ++hops) {
      const auto next = further_.find(end.target);
      if (next == further_.end()) {
        return hops > 0 && end.target == end_of(was).target;
      }
      end = next->second;
    }
    return false;
  }

  /// A link's name where it ends: the last link of the way takes the place of the first.
  bool renamed(const JsonValue& was, const JsonValue& is) const {
    const auto before = ends_.find(raw(was));
    const auto after = added_.find(raw(is));
    return before != ends_.end() && after != added_.end() &&
           before->second.target == after->second.target;
  }

  bool nodes(const JsonValue& was, const JsonValue& is) const {
    auto at = was.begin();
    for (const JsonValue node : is) {
      if (at == was.end()) break;
      if (!equal(*at, node) && !changed_node(*at, node)) return false;
      ++at;
    }
    return true;
  }

  bool changed_node(const JsonValue& was, const JsonValue& is) const {
    const bool tile =
        tiled(was.find("type"), is.find("type")) && mark_of(is, false).find("was").is("VAEDecode");
    return each_member(
        was, is,
        [&](const std::string& key, const JsonValue& a, const JsonValue& b) {
          if (equal(a, b)) return true;
          if (key == "inputs") return sockets(a, b);
          if (!tile) return false;
          if (key == "properties") return tiled_properties(a, b);
          return key == "type" || key == "widgets_values";
        },
        [&](const std::string& key, const JsonValue& value) {
          return tile && (key == "widgets_values" || (key == "properties" && is_bare_mark(value)));
        });
  }

  bool sockets(const JsonValue& was, const JsonValue& is) const {
    return each_element(was, is, [&](const JsonValue& a, const JsonValue& b) {
      return equal(a, b) ||
             each_member(
                 a, b,
                 [&](const std::string& key, const JsonValue& old, const JsonValue& now) {
                   return equal(old, now) || (key == "link" && renamed(old, now));
                 },
                 nothing_added);
    });
  }

  static bool tiled_properties(const JsonValue& was, const JsonValue& is) {
    return each_member(
        was, is,
        [](const std::string& key, const JsonValue& a, const JsonValue& b) {
          return equal(a, b) || (key == "Node name for S&R" && tiled(a, b));
        },
        is_mark);
  }

  /// Outputs of a definition: the links that end there.
  bool boundary(const JsonValue& was, const JsonValue& is) const {
    if (equal(was, is)) return true;
    return each_element(was, is, [&](const JsonValue& a, const JsonValue& b) {
      return equal(a, b) ||
             each_member(
                 a, b,
                 [&](const std::string& key, const JsonValue& old, const JsonValue& now) {
                   return equal(old, now) ||
                          (key == "linkIds" &&
                           each_element(old, now, [&](const JsonValue& x, const JsonValue& y) {
                             return equal(x, y) || renamed(x, y);
                           }));
                 },
                 nothing_added);
    });
  }

  static bool definitions(const JsonValue& was, const JsonValue& is) {
    if (equal(was, is)) return true;
    const auto each_graph = [](const JsonValue& a, const JsonValue& b) {
      return equal(a, b) || GraphCheck().graph(a, b);
    };
    return each_member(
        was, is,
        [&](const std::string& key, const JsonValue& a, const JsonValue& b) {
          return equal(a, b) || (key == "subgraphs" && each_element(a, b, each_graph));
        },
        nothing_added);
  }

  std::unordered_set<std::string_view> ours_;
  std::unordered_map<std::string_view, End> further_;  ///< by the node of ours that it leaves
  std::unordered_map<std::string_view, End> added_;    ///< by the id of a new link
  std::unordered_map<std::string_view, End> ends_;     ///< of the old links
};

class PromptCheck {
 public:
  bool prompt(const JsonValue& was, const JsonValue& is) {
    std::size_t place = 0;
    for (const JsonValue node : is) {
      if (place++ >= was.size()) ours_[node.key()] = node;
    }
    return each_member(
        was, is,
        [&](const std::string&, const JsonValue& a, const JsonValue& b) {
          return equal(a, b) || changed_node(a, b);
        },
        [](const std::string&, const JsonValue& node) { return mark_of(node, true).exists(); });
  }

 private:
  bool changed_node(const JsonValue& was, const JsonValue& is) const {
    const bool tile = tiled(was.find("class_type"), is.find("class_type")) &&
                      mark_of(is, true).find("was").is("VAEDecode");
    return each_member(
        was, is,
        [&](const std::string& key, const JsonValue& a, const JsonValue& b) {
          if (equal(a, b)) return true;
          if (key == "inputs") return inputs(a, b, tile);
          if (!tile) return false;
          if (key == "class_type") return true;
          const bool empty = !a.is_object() && !a.is_array();
          return key == "_meta" &&
                 ((empty && is_bare_mark(b)) || each_member(
                                                    a, b,
                                                    [](const std::string&, const JsonValue& x,
                                                       const JsonValue& y) { return equal(x, y); },
                                                    is_mark));
        },
        [&](const std::string& key, const JsonValue& value) {
          return tile && key == "_meta" && is_bare_mark(value);
        });
  }

  /// Two inputs may have changed places; a link may lead through nodes of ours.
  bool inputs(const JsonValue& was, const JsonValue& is, bool tile) const {
    if (!was.is_object() || !is.is_object() || is.size() < was.size()) return false;
    std::unordered_map<std::string, JsonValue> now;
    for (const JsonValue member : is) {
      if (!now.try_emplace(member.key(), member).second) return false;
    }
    std::unordered_set<std::string> old;
    for (const JsonValue member : was) {
      const auto found = now.find(member.key());
      if (found == now.end() || !old.insert(member.key()).second) return false;
      if (!equal(member, found->second) && !rerouted(member, found->second)) return false;
    }
    return std::ranges::all_of(now, [&](const auto& entry) {
      return old.contains(entry.first) || (tile && is_tile_widget(entry.first));
    });
  }

  bool rerouted(const JsonValue& was, JsonValue is) const {
    for (std::size_t hops = 0; hops <= ours_.size() && is.is_array(); ++hops) {
      const auto next = ours_.find(is.at(0).string());
      if (next == ours_.end()) {
        return hops > 0 && was.is_array() && was.size() == 2 && is.size() == 2 &&
               was.at(0).string() == is.at(0).string() && equal(was.at(1), is.at(1));
      }
      JsonValue passed;
      for (const JsonValue value : next->second.find("inputs")) {
        if (value.is_array()) passed = value;
      }
      is = passed;
    }
    return false;
  }

  std::unordered_map<std::string, JsonValue> ours_;
};

bool is_prompt(const JsonValue& value) {
  for (const JsonValue member : value) {
    if (member.is_object() && member.find("class_type").is_string()) return true;
  }
  return false;
}

bool check(const JsonValue& was, const JsonValue& is, int depth) {
  if (equal(was, is)) return true;
  if (!was.is_object() || !is.is_object() || depth > kWrappersMax) return false;
  if (was.find("nodes").is_array()) return GraphCheck().graph(was, is);
  if (is_prompt(was)) return PromptCheck().prompt(was, is);
  return each_member(
      was, is,
      [&](const std::string&, const JsonValue& a, const JsonValue& b) {
        return check(a, b, depth + 1);
      },
      nothing_added);
}

}  // namespace

JsonValue mark_of(const JsonValue& node, bool api) {
  const JsonValue mark = node.find(api ? "_meta" : "properties").find("ebb");
  return mark.is_object() && mark.find("version").is_string() ? mark : JsonValue();
}

bool only_our_edits(const JsonDocument& original, const JsonDocument& patched) {
  return check(original.root(), patched.root(), 0);
}

}  // namespace ebb
