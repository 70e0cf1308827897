// SPDX-License-Identifier: Apache-2.0
// A small reader of XML for tests: it accepts what is well-formed and lists the elements.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace ebb::test {

struct XmlElement {
  std::string name;
  std::map<std::string, std::string> attributes;  ///< decoded
  std::string text;                               ///< own text, decoded
  int parent = -1;

  double number(const std::string& attribute) const;
  bool has_class(std::string_view name) const;
};

struct Xml {
  std::string error;  ///< empty if well-formed, with unique ids
  std::vector<XmlElement> elements;

  std::vector<const XmlElement*> with_class(std::string_view name) const;
};

/// Reads a document. HTML's `<!DOCTYPE html>` and raw `<script>` are allowed, nothing else is lax.
Xml read_xml(std::string_view text);

}  // namespace ebb::test
