// SPDX-License-Identifier: Apache-2.0
// The reader of XML for tests.
#include "tests/report/xml.h"

#include <cctype>
#include <cstdlib>
#include <set>

namespace ebb::test {
namespace {

class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  Xml read() && {
    if (text_.starts_with("<!DOCTYPE html>")) at_ = 15;
    while (at_ < text_.size() && xml_.error.empty()) step();
    if (xml_.error.empty() && !open_.empty()) fail("not closed: " + element().name);
    return std::move(xml_);
  }

 private:
  XmlElement& element() { return xml_.elements[open_.back()]; }

  void fail(const std::string& what) {
    if (xml_.error.empty()) {
      xml_.error = what + " before: " + std::string(text_.substr(at_, 60));
    }
  }

  void step() {
    if (text_[at_] != '<') return characters();
    if (text_.substr(at_).starts_with("</")) return close();
    open();
  }

  void characters() {
    const auto end = std::min(text_.find('<', at_), text_.size());
    const std::string part = decode(text_.substr(at_, end - at_));
    if (!open_.empty()) {
      element().text += part;
    } else if (part.find_first_not_of(" \n") != std::string::npos) {
      fail("text outside the root");
    }
    at_ = end;
  }

  std::string decode(std::string_view raw) {
    static const std::map<std::string_view, char> kEntities = {
        {"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"#39", '\''}};
    std::string result;
    for (std::size_t i = 0; i < raw.size(); ++i) {
      const char c = raw[i];
      if (static_cast<unsigned char>(c) < 0x20 && c != '\n') fail("a control character");
      if (c != '&') {
        result += c;
        continue;
      }
      const auto end = raw.find(';', i);
      const auto found = end == std::string_view::npos
                             ? kEntities.end()
                             : kEntities.find(raw.substr(i + 1, end - i - 1));
      if (found == kEntities.end()) return fail("a bare & or an unknown entity"), result;
      result += found->second;
      i = end;
    }
    return result;
  }

  std::string name() {
    const std::size_t start = at_;
    while (at_ < text_.size() &&
           (std::isalnum(static_cast<unsigned char>(text_[at_])) ||
            std::string_view("-_:").find(text_[at_]) != std::string_view::npos)) {
      ++at_;
    }
    if (at_ == start) fail("a name is missing");
    return std::string(text_.substr(start, at_ - start));
  }

  void skip_space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
  }

  bool take(std::string_view expected) {
    if (!text_.substr(at_).starts_with(expected)) return false;
    at_ += expected.size();
    return true;
  }

  void open() {
    ++at_;
    XmlElement e;
    e.name = name();
    e.parent = open_.empty() ? -1 : open_.back();
    if (open_.empty() && !xml_.elements.empty()) fail("a second root");
    for (skip_space(); xml_.error.empty() && at_ < text_.size(); skip_space()) {
      if (text_[at_] == '>' || text_[at_] == '/') break;
      attribute(e);
    }
    const bool empty = take("/");
    if (!take(">")) fail("a tag does not end");
    xml_.elements.push_back(e);
    if (empty) return;
    open_.push_back(static_cast<int>(xml_.elements.size()) - 1);
    if (e.name != "script") return;
    const auto end = text_.find("</script>", at_);
    at_ = end == std::string_view::npos ? text_.size() : end;
  }

  void attribute(XmlElement& e) {
    const std::string key = name();
    if (!take("=\"")) return fail("an attribute without a quoted value");
    const auto end = text_.find('"', at_);
    if (end == std::string_view::npos) return fail("a quote is not closed");
    const std::string_view raw = text_.substr(at_, end - at_);
    if (raw.find('<') != std::string_view::npos) fail("< in an attribute");
    if (!e.attributes.emplace(key, decode(raw)).second) fail("attribute twice: " + key);
    if (key == "id" && !ids_.insert(e.attributes[key]).second) {
      fail("id twice: " + e.attributes[key]);
    }
    at_ = end + 1;
  }

  void close() {
    at_ += 2;
    const std::string closed = name();
    if (!take(">")) fail("a closing tag does not end");
    if (open_.empty() || element().name != closed) return fail("closed but not open: " + closed);
    open_.pop_back();
  }

  std::string_view text_;
  std::size_t at_ = 0;
  Xml xml_;
  std::vector<int> open_;
  std::set<std::string> ids_;
};

}  // namespace

double XmlElement::number(const std::string& attribute) const {
  const auto found = attributes.find(attribute);
  return found == attributes.end() ? 0 : std::strtod(found->second.c_str(), nullptr);
}

bool XmlElement::has_class(std::string_view wanted) const {
  const auto found = attributes.find("class");
  if (found == attributes.end()) return false;
  return (" " + found->second + " ").find(" " + std::string(wanted) + " ") != std::string::npos;
}

std::vector<const XmlElement*> Xml::with_class(std::string_view name) const {
  std::vector<const XmlElement*> result;
  for (const XmlElement& e : elements) {
    if (e.has_class(name)) result.push_back(&e);
  }
  return result;
}

Xml read_xml(std::string_view text) { return Reader(text).read(); }

}  // namespace ebb::test
