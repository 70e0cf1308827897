// SPDX-License-Identifier: Apache-2.0
// Positions in lists, a type for each kind of list: a step's position is no pass's, and no list
// takes another's. Header only.
#pragma once

#include <cassert>
#include <compare>
#include <concepts>
#include <cstddef>
#include <functional>
#include <vector>

namespace ebb {

/// A position in lists of `Of`, from 0; none where it does not exist.
template <class Of>
struct Index {
  int at = -1;

  constexpr Index() = default;
  /// Constants only, so that no computed number becomes a position by itself.
  consteval Index(int number) : at(number) {}  // NOLINT(google-explicit-constructor)
  static constexpr Index of(std::integral auto number) {
    Index index;
    index.at = static_cast<int>(number);
    return index;
  }

  constexpr bool exists() const { return at >= 0; }
  constexpr int number() const { return at + 1; }  ///< as people count
  constexpr auto operator<=>(const Index&) const = default;
  constexpr Index& operator++() { return ++at, *this; }
  constexpr Index operator+(int steps) const { return of(at + steps); }
  constexpr Index operator-(int steps) const { return of(at - steps); }
};

/// Positions one after another, for loops.
template <class At>
struct Indices {
  struct Iterator {
    At index;
    At operator*() const { return index; }
    Iterator& operator++() { return ++index, *this; }
    bool operator==(const Iterator&) const = default;
  };
  At first, behind;

  Iterator begin() const { return {first}; }
  Iterator end() const { return {behind}; }
};

/// A vector whose elements are found by their own kind of position. Another is a bug: asserted.
template <class T, class At>
struct List : std::vector<T> {
  using std::vector<T>::vector;

  bool has(At index) const { return index.exists() && std::size_t(index.at) < this->size(); }
  typename std::vector<T>::reference operator[](At index) {
    assert(has(index));
    return std::vector<T>::operator[](std::size_t(index.at));
  }
  typename std::vector<T>::const_reference operator[](At index) const {
    assert(has(index));
    return std::vector<T>::operator[](std::size_t(index.at));
  }
  /// The position behind the last element, where the next one goes.
  At end_index() const { return At::of(this->size()); }
  /// Every position, ascending.
  Indices<At> indices() const { return {0, end_index()}; }
};

struct Weights;
struct PromptNode;
struct Step;
struct Pass;
using WeightsIndex = Index<Weights>;  ///< in Passes::weights and lists beside it
using NodeIndex = Index<PromptNode>;  ///< in Prompt::nodes
using StepIndex = Index<Step>;        ///< in Passes::steps
using PassIndex = Index<Pass>;        ///< in Passes::passes

}  // namespace ebb

template <class Of>
struct std::hash<ebb::Index<Of>> {
  std::size_t operator()(const ebb::Index<Of>& index) const noexcept {
    return std::hash<int>()(index.at);
  }
};
