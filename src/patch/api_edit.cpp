// SPDX-License-Identifier: Apache-2.0
// API prompts: a node on a link is a new member and a changed link.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "json/write.h"
#include "patch/edit.h"
#include "patch/style.h"

namespace ebb {
namespace {

class PromptEditor {
 public:
  PromptEditor(const JsonDocument& document, const JsonValue& root, const FileWish& wish)
      : document_(document), wish_(wish), id_max_(wish.id_floor) {
    for (const JsonValue node : root) {
      // Where an id stands twice the last node counts, and only what the reader takes for a node.
      if (node.find("class_type").is_string()) nodes_[node.key()] = node;
      id_max_ = std::max(id_max_, largest_in_id(node.key()));
      last_ = node;
    }
    style_ = style_of(document, last_);
    gap_ = gap_of(document, root);
  }

  FileEdits run() {
    // Several nodes on one link stand in the order in which they were put there.
    std::map<std::pair<std::string, std::string>, std::vector<const Insertion*>> links;
    std::vector<std::pair<std::string, std::string>> order;
    for (const Insertion& insertion : wish_.placement.insertions) {
      auto& list = links[{insertion.target, insertion.input}];
      if (list.empty()) order.emplace_back(insertion.target, insertion.input);
      list.push_back(&insertion);
    }
    for (const auto& key : order) put(key.first, key.second, links[key]);
    for (const Reorder& reorder : wish_.placement.reorders) swap(reorder);
    for (const std::string& id : wish_.tiles) tile(id);
    return std::move(out_);
  }

 private:
  bool is_first() const { return wish_.record && out_.changes.empty(); }

  JsonValue node(const std::string& id) const {
    const auto at = nodes_.find(id);
    return at == nodes_.end() ? JsonValue() : at->second;
  }

  std::string label(const std::string& id) const {
    return id + " " + node(id).find("class_type").text_or("");
  }

  static std::string link_to(const JsonValue& like, const std::string& id) {
    TextEdits edits;
    const JsonValue from = like.at(0), slot = like.at(1);
    edits.replace(from.offset() - like.offset(), from.end_offset() - from.offset(), json_quote(id));
    edits.replace(slot.offset() - like.offset(), slot.end_offset() - slot.offset(), "0");
    return edits.apply(like.raw()).value_or("");
  }

  void put(const std::string& target, const std::string& input,
           const std::vector<const Insertion*>& nodes) {
    const JsonValue link = node(target).find("inputs").find(input);
    std::string source(link.raw());
    const std::string origin = link.at(0).string();
    for (const Insertion* insertion : nodes) {
      const std::string id = std::to_string(++id_max_);
      out_.edits.insert(last_.end_offset(), gap_ + json_quote(id) + style_.colon +
                                                restyle(node_json(*insertion, source), style_));
      out_.changes.push_back({"add", id,
                              fmt::format("{} between {} and {} ({})", insertion->node.class_type,
                                          label(origin), label(target), input),
                              insertion->fix});
      source = link_to(link, id);
    }
    changed_[link.offset()] = source;
    out_.edits.replace(link.offset(), link.end_offset() - link.offset(), source);
  }

  std::string node_json(const Insertion& insertion, const std::string& source) const {
    std::string inputs;
    for (const auto& [name, value] : insertion.node.widgets) {
      inputs += json_quote(name) + ":" + value + ",";
    }
    inputs += json_quote(insertion.node.input) + ":" + source;
    return fmt::format(R"({{"inputs":{{{}}},"class_type":{},"_meta":{{"title":{},{}}}}})", inputs,
                       json_quote(insertion.node.class_type), json_quote(insertion.node.title),
                       mark_json(insertion.fix, is_first()));
  }

  /// Two members change places: key, colon and value of each stay as they are written.
  void swap(const Reorder& reorder) {
    const JsonValue inputs = node(reorder.node).find("inputs");
    const JsonValue first = inputs.find(reorder.first), second = inputs.find(reorder.second);
    const std::string a = member(first), b = member(second);
    // A link that was changed above is replaced together with its key.
    TextEdits rest;
    for (const TextEdit& edit : out_.edits.sorted()) {
      const bool inside = (edit.offset >= first.offset() && edit.offset < first.end_offset()) ||
                          (edit.offset >= second.offset() && edit.offset < second.end_offset());
      if (!inside) rest.replace(edit.offset, edit.removed, edit.inserted);
    }
    out_.edits = std::move(rest);
    out_.edits.replace(first.key_offset(), first.end_offset() - first.key_offset(), b);
    out_.edits.replace(second.key_offset(), second.end_offset() - second.key_offset(), a);
    out_.changes.push_back({"inputs", reorder.node,
                            fmt::format("{}: {} goes behind {}, so that its loader runs after",
                                        label(reorder.node), reorder.first, reorder.second),
                            "order"});
  }

  std::string member(const JsonValue& value) const {
    const auto begin = static_cast<std::size_t>(value.key_offset());
    const auto length = static_cast<std::size_t>(value.offset() - value.key_offset());
    std::string text(document_.text().substr(begin, length));
    const auto changed = changed_.find(value.offset());
    return text + (changed == changed_.end() ? std::string(value.raw()) : changed->second);
  }

  void tile(const std::string& id) {
    const JsonValue decode = node(id);
    const JsonValue type = decode.find("class_type"), inputs = decode.find("inputs");
    if (!inputs.is_object() || inputs.size() == 0) return;  // decodes nothing, and is refused
    const std::string mark = mark_json("tile-vae", is_first(), "VAEDecode");
    out_.edits.replace(type.offset(), type.end_offset() - type.offset(), "\"VAEDecodeTiled\"");
    const Style style = style_of(document_, last_of(inputs));
    std::string values;
    for (const TileWidget& widget : kTileWidgets) {
      values += gap_of(document_, inputs) + json_quote(widget.name) + style.colon +
                std::to_string(widget.value);
    }
    out_.edits.insert(last_of(inputs).end_offset(), values);
    const JsonValue meta = decode.find("_meta");
    const JsonValue home = meta.is_object() && meta.size() > 0 ? meta : decode;
    const std::string text = home.offset() == meta.offset() ? mark : "\"_meta\":{" + mark + "}";
    if (meta.exists() && home.offset() != meta.offset()) {
      out_.edits.replace(meta.offset(), meta.end_offset() - meta.offset(), "{" + mark + "}");
    } else {
      out_.edits.insert(last_of(home).end_offset(), gap_of(document_, home) + text);
    }
    out_.changes.push_back({"class", id, "VAEDecode becomes VAEDecodeTiled", "tile-vae"});
  }

  const JsonDocument& document_;
  JsonValue last_;  ///< node of the prompt; new ones go behind it
  Style style_;
  std::string gap_;
  const FileWish& wish_;
  FileEdits out_;
  std::map<std::string, JsonValue> nodes_;
  std::map<std::int64_t, std::string> changed_;  ///< offset of a link -> its new text
  std::int64_t id_max_;
};

}  // namespace

Result<FileEdits> edit_prompt(const JsonDocument& document, const JsonValue& root,
                              const FileWish& wish) {
  return PromptEditor(document, root, wish).run();
}

}  // namespace ebb
