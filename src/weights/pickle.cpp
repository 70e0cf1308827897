// SPDX-License-Identifier: Apache-2.0
#include "weights/pickle.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <unordered_map>

namespace ebb {
namespace {

constexpr std::size_t kValueLimit = 2'000'000;  // whatever is asked for
constexpr std::size_t kArgumentsMax = 16;       // no call that describes a tensor has more

using Index = std::uint32_t;

std::int64_t signed_number(std::string_view bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = bytes.size(); i-- > 0;) {
    value = value << 8 | static_cast<unsigned char>(bytes[i]);
  }
  const std::size_t bits = 8 * bytes.size();
  if (bits > 0 && bits < 64 && (value >> (bits - 1) & 1)) value |= ~std::uint64_t{0} << bits;
  return static_cast<std::int64_t>(value);
}

class Reader {
 public:
  Reader(std::string_view bytes, std::size_t values_max)
      : bytes_(bytes), values_max_(std::min(values_max, kValueLimit)) {}

  /// False on an error, which `problem()` tells.
  bool run() {
    while (!stopped_) {
      if (at_ >= bytes_.size()) return fail("ends before its last opcode");
      opcode_at_ = at_;
      const auto opcode = static_cast<unsigned char>(bytes_[at_++]);
      const bool good = constant(opcode) || text(opcode) || container(opcode) || object(opcode) ||
                        stack(opcode) || (problem_.empty() && fail("has an unknown opcode"));
      if (!good || !problem_.empty()) return false;
      if (tree_.values.size() > values_max_ || stack_.size() > values_max_ ||
          marks_.size() > values_max_ || memo_.size() > values_max_) {
        return fail(fmt::format("has more than {} values", values_max_));
      }
    }
    tree_.end = at_;
    return true;
  }

  std::string problem() const { return fmt::format("{} (byte {})", problem_, opcode_at_); }
  PickleTree take() { return std::move(tree_); }

 private:
  bool fail(std::string problem) {
    if (problem_.empty()) problem_ = std::move(problem);
    return false;
  }

  // ---- bytes ------------------------------------------------------------------------------------

  std::string_view take_bytes(std::uint64_t count) {
    if (count > bytes_.size() - at_) {
      fail("ends inside a value");
      return {};
    }
    const auto taken = bytes_.substr(at_, static_cast<std::size_t>(count));
    at_ += static_cast<std::size_t>(count);
    return taken;
  }

  std::uint64_t take_length(std::size_t width) {
    std::uint64_t value = 0;
    const std::string_view bytes = take_bytes(width);
    for (std::size_t i = bytes.size(); i-- > 0;) {
      value = value << 8 | static_cast<unsigned char>(bytes[i]);
    }
    return value;
  }

  std::string_view take_line() {
    const auto end = bytes_.find('\n', at_);
    if (end == std::string_view::npos) {
      fail("ends inside a line");
      return {};
    }
    const auto line = bytes_.substr(at_, end - at_);
    at_ = end + 1;
    return line;
  }

  // ---- values and the stack ---------------------------------------------------------------------

  Index add(PickleKind kind, std::string_view text = {}, std::int64_t number = 0) {
    PickleValue value;
    value.kind = kind;
    value.text = text;
    value.number = number;
    tree_.values.push_back(std::move(value));
    return static_cast<Index>(tree_.values.size() - 1);
  }

  bool push(Index value) {
    stack_.push_back(value);
    return true;
  }
  bool push_new(PickleKind kind, std::string_view text = {}, std::int64_t number = 0) {
    return push(add(kind, text, number));
  }

  /// Values above the last mark must not be reached by what lies below it.
  std::size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }

  Index pop() {
    if (stack_.size() <= floor()) {
      fail("takes a value that is not there");
      return 0;
    }
    const Index value = stack_.back();
    stack_.pop_back();
    return value;
  }

  std::vector<Index> pop_to_mark() {
    if (marks_.empty()) {
      fail("takes a mark that is not there");
      return {};
    }
    const auto first = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
    std::vector<Index> taken(first, stack_.end());
    stack_.erase(first, stack_.end());
    marks_.pop_back();
    return taken;
  }

  bool push_container(PickleKind kind, std::vector<Index> items) {
    const Index value = add(kind);
    tree_.values[value].items = std::move(items);
    return push(value);
  }

  bool push_tuple(std::size_t count) {
    std::vector<Index> items(count);
    for (std::size_t i = count; i-- > 0;) items[i] = pop();
    return problem_.empty() && push_container(PickleKind::tuple, std::move(items));
  }

  /// Appends to the list or dictionary on top of the stack; other objects swallow what they get.
  bool extend_top(PickleKind kind, const std::vector<Index>& items) {
    if (!problem_.empty()) return false;
    if (stack_.size() <= floor()) return fail("adds to a container that is not there");
    PickleValue& top = tree_.values[stack_.back()];
    if (top.kind != kind) return true;
    top.items.insert(top.items.end(), items.begin(), items.end());
    return true;
  }

  // ---- opcodes, by kind -------------------------------------------------------------------------

  bool constant(unsigned char opcode) {
    switch (opcode) {
      case 'N':  // None
      case 0x88:
      case 0x89: return push_new(PickleKind::opaque);  // True, False
      case 'J': return push_integer(4, true);
      case 'K': return push_integer(1, false);
      case 'M': return push_integer(2, false);
      case 0x8a: return push_long(take_length(1));
      case 0x8b: return push_long(take_length(4));
      case 'I':
      case 'L': return push_decimal(take_line());
      case 'F': take_line(); return push_new(PickleKind::opaque);
      case 'G': take_bytes(8); return push_new(PickleKind::opaque);
      case 0x82: take_bytes(1); return push_new(PickleKind::opaque);  // registered extensions
      case 0x83: take_bytes(2); return push_new(PickleKind::opaque);
      case 0x84: take_bytes(4); return push_new(PickleKind::opaque);
      default: return false;
    }
  }

  bool push_integer(std::size_t width, bool with_sign) {
    const std::string_view bytes = take_bytes(width);
    std::int64_t value = signed_number(bytes);
    if (!with_sign && width < 8) value &= (std::int64_t{1} << (8 * width)) - 1;
    return push_new(PickleKind::integer, {}, value);
  }

  bool push_long(std::uint64_t width) {
    const std::string_view bytes = take_bytes(width);
    if (bytes.size() > 8) return push_new(PickleKind::opaque);
    return push_new(PickleKind::integer, {}, signed_number(bytes));
  }

  bool push_decimal(std::string_view line) {
    if (line.ends_with('L')) line.remove_suffix(1);
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), value);
    if (error != std::errc() || end != line.data() + line.size()) {
      return push_new(PickleKind::opaque);
    }
    return push_new(PickleKind::integer, {}, value);
  }

  bool text(unsigned char opcode) {
    switch (opcode) {
      case 'X':
      case 'T': return push_new(PickleKind::text, take_bytes(take_length(4)));
      case 'U':
      case 0x8c: return push_new(PickleKind::text, take_bytes(take_length(1)));
      case 0x8d: return push_new(PickleKind::text, take_bytes(take_length(8)));
      case 'V': return push_new(PickleKind::text, take_line());
      case 'S': return push_quoted(take_line());
      case 'B': return push_new(PickleKind::opaque, take_bytes(take_length(4)));
      case 'C': return push_new(PickleKind::opaque, take_bytes(take_length(1)));
      case 0x8e:
      case 0x96: return push_new(PickleKind::opaque, take_bytes(take_length(8)));
      case 0x97: return push_new(PickleKind::opaque);  // a buffer beside the pickle
      default: return false;
    }
  }

  bool push_quoted(std::string_view line) {
    if (line.size() >= 2 && line.front() == line.back()) line = line.substr(1, line.size() - 2);
    return push_new(PickleKind::text, line);
  }

  bool container(unsigned char opcode) {
    switch (opcode) {
      case ']': return push_new(PickleKind::list);
      case '}': return push_new(PickleKind::dict);
      case ')': return push_new(PickleKind::tuple);
      case 0x8f: return push_new(PickleKind::opaque);  // a set
      case 'l': return push_container(PickleKind::list, pop_to_mark());
      case 'd': return push_container(PickleKind::dict, pop_to_mark());
      case 't': return push_container(PickleKind::tuple, pop_to_mark());
      case 0x91: pop_to_mark(); return push_new(PickleKind::opaque);
      case 0x85: return push_tuple(1);
      case 0x86: return push_tuple(2);
      case 0x87: return push_tuple(3);
      case 'a': return extend_top(PickleKind::list, {pop()});
      case 'e': return extend_top(PickleKind::list, pop_to_mark());
      case 0x90: return extend_top(PickleKind::opaque, pop_to_mark());
      case 's': {
        const Index value = pop();
        const Index key = pop();
        return extend_top(PickleKind::dict, {key, value});
      }
      case 'u': {
        std::vector<Index> items = pop_to_mark();
        if (items.size() % 2 != 0) return fail("adds a key without a value");
        return extend_top(PickleKind::dict, items);
      }
      default: return false;
    }
  }

  bool object(unsigned char opcode) {
    switch (opcode) {
      case 'c': {
        const auto module = take_line();
        const auto name = take_line();
        return push_global(add(PickleKind::text, module), name);
      }
      case 0x93: {
        const Index name = pop();
        const Index module = pop();
        return problem_.empty() && push_global(module, tree_.values[name].text);
      }
      case 'R': {
        const Index arguments = pop();
        const Index callable = pop();
        return problem_.empty() && push(result_of(callable, arguments));
      }
      case 'Q': {
        const Index id = pop();
        return problem_.empty() && push(storage_of(id));
      }
      case 'P': take_line(); return push_new(PickleKind::opaque);
      case 0x81:
        pop();
        pop();
        return push_new(PickleKind::opaque);
      case 0x92:
        pop();
        pop();
        pop();
        return push_new(PickleKind::opaque);
      case 'i':
        take_line();
        take_line();
        pop_to_mark();
        return push_new(PickleKind::opaque);
      case 'o': pop_to_mark(); return push_new(PickleKind::opaque);
      case 'b': pop(); return extend_top(PickleKind::opaque, {});  // state, for an object
      default: return false;
    }
  }

  bool stack(unsigned char opcode) {
    switch (opcode) {
      case 0x80: take_bytes(1); return true;  // protocol
      case 0x95: take_bytes(8); return true;  // a frame's length
      case 0x98: return true;                 // makes a buffer read-only
      case '(': marks_.push_back(stack_.size()); return true;
      case '0': pop(); return true;
      case '1': pop_to_mark(); return true;
      case '2': {
        const Index top = pop();
        return push(top) && push(top);
      }
      case 'q': return remember(take_length(1));
      case 'r': return remember(take_length(4));
      case 'p': return remember(decimal(take_line()));
      case 0x94: return remember(memo_.size());
      case 'h': return recall(take_length(1));
      case 'j': return recall(take_length(4));
      case 'g': return recall(decimal(take_line()));
      case '.':
        tree_.root = pop();
        stopped_ = true;
        return true;
      default: return false;
    }
  }

  static std::uint64_t decimal(std::string_view line) {
    std::uint64_t value = ~std::uint64_t{0};
    std::from_chars(line.data(), line.data() + line.size(), value);
    return value;
  }

  bool remember(std::uint64_t number) {
    if (stack_.size() <= floor()) return fail("remembers a value that is not there");
    memo_[number] = stack_.back();
    return true;
  }

  bool recall(std::uint64_t number) {
    const auto found = memo_.find(number);
    return found == memo_.end() ? fail("recalls a value it never had") : push(found->second);
  }

  // ---- the few objects that describe tensors ----------------------------------------------------

  bool push_global(Index module, std::string_view name) {
    const Index value = add(PickleKind::global, name);
    tree_.values[value].items = {module};
    return push(value);
  }

  bool is_global(const PickleValue& value, std::string_view module, std::string_view name) const {
    return value.kind == PickleKind::global && value.text == name &&
           tree_.values[value.items[0]].text == module;
  }

  /// A persistent id: ("storage", type, key, device, number of values).
  Index storage_of(Index id) {
    const PickleValue& tuple = tree_.values[id];
    if (tuple.kind != PickleKind::tuple || tuple.items.size() < 5) return add(PickleKind::opaque);
    const auto& values = tree_.values;
    const PickleValue& size = values[tuple.items[4]];
    const Index type = tuple.items[1];
    if (values[tuple.items[0]].text != "storage" || values[type].kind != PickleKind::global ||
        size.kind != PickleKind::integer) {
      return add(PickleKind::opaque);
    }
    const std::string_view key = values[tuple.items[2]].text;
    const Index storage = add(PickleKind::storage, key, size.number);
    tree_.values[storage].items = {type};
    return storage;
  }

  Index tensor_of(const std::vector<Index>& arguments, bool own_type) {
    const auto& values = tree_.values;
    if (arguments.size() < 4 || values[arguments[0]].kind != PickleKind::storage ||
        values[arguments[1]].kind != PickleKind::integer ||
        values[arguments[2]].kind != PickleKind::tuple ||
        values[arguments[3]].kind != PickleKind::tuple) {
      return add(PickleKind::opaque);
    }
    std::vector<Index> items = {arguments[0], arguments[2], arguments[3]};
    if (own_type && arguments.size() > 6) items.push_back(arguments[6]);
    const Index tensor = add(PickleKind::tensor, {}, values[arguments[1]].number);
    tree_.values[tensor].items = std::move(items);
    return tensor;
  }

  /// A dictionary from a list of pairs, as Python 2 pickled OrderedDict.
  Index dict_of_pairs(Index list) {
    // One list may be given to many calls; what they copy is bounded together.
    pairs_copied_ += tree_.values[list].items.size();
    if (pairs_copied_ > values_max_) return add(PickleKind::opaque);
    std::vector<Index> entries;
    for (const Index pair : tree_.values[list].items) {
      const PickleValue& value = tree_.values[pair];
      const bool is_pair = value.kind == PickleKind::list || value.kind == PickleKind::tuple;
      if (!is_pair || value.items.size() != 2) return add(PickleKind::opaque);
      entries.insert(entries.end(), value.items.begin(), value.items.end());
    }
    if (tree_.values[list].kind != PickleKind::list) return add(PickleKind::opaque);
    const Index dict = add(PickleKind::dict);
    tree_.values[dict].items = std::move(entries);
    return dict;
  }

  /// What calling `callable` would give, for the calls that torch's own files hold.
  Index result_of(Index callable, Index arguments) {
    const PickleValue& function = tree_.values[callable];
    if (tree_.values[arguments].kind != PickleKind::tuple ||
        tree_.values[arguments].items.size() > kArgumentsMax) {
      return add(PickleKind::opaque);
    }
    const std::vector<Index> items = tree_.values[arguments].items;
    if (is_global(function, "collections", "OrderedDict") && items.size() <= 1) {
      return items.empty() ? add(PickleKind::dict) : dict_of_pairs(items[0]);
    }
    if (is_global(function, "torch", "Size") && items.size() == 1) return items[0];
    if (is_global(function, "torch._utils", "_rebuild_tensor_v3")) return tensor_of(items, true);
    if (is_global(function, "torch._utils", "_rebuild_tensor_v2") ||
        is_global(function, "torch._utils", "_rebuild_tensor")) {
      return tensor_of(items, false);
    }
    if ((is_global(function, "torch._utils", "_rebuild_parameter") ||
         is_global(function, "torch._utils", "_rebuild_parameter_with_state")) &&
        !items.empty()) {
      return items[0];
    }
    if (is_global(function, "torch._tensor", "_rebuild_from_type_v2") && items.size() >= 3) {
      const PickleValue& inner = tree_.values[items[2]];
      if (items[0] != callable && tree_.values[items[0]].kind == PickleKind::global &&
          tree_.values[items[0]].text.starts_with("_rebuild_tensor") &&
          inner.kind == PickleKind::tuple && inner.items.size() <= kArgumentsMax) {
        return tensor_of(std::vector<Index>(inner.items),
                         tree_.values[items[0]].text.ends_with("3"));
      }
    }
    return add(PickleKind::opaque);
  }

  std::string_view bytes_;
  const std::size_t values_max_;
  std::size_t at_ = 0;
  std::size_t opcode_at_ = 0;
  bool stopped_ = false;
  std::size_t pairs_copied_ = 0;
  std::string problem_;
  PickleTree tree_;
  std::vector<Index> stack_;
  std::vector<std::size_t> marks_;
  std::unordered_map<std::uint64_t, Index> memo_;
};

}  // namespace

Result<PickleTree> read_pickle(std::string_view bytes, const std::string& path,
                               const std::string& place, std::size_t values_max) {
  Reader reader(bytes, values_max);
  if (reader.run()) return reader.take();
  return input_error("is a broken pickle: it " + reader.problem(), path, place,
                     "Download or copy the file again.");
}

}  // namespace ebb
