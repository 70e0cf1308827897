// SPDX-License-Identifier: Apache-2.0
// What tests share: where things are, and how a test says that something is missing.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace ebb::test {

/// The project's root.
std::filesystem::path source_dir();

/// `../shared` beside the project, with the corpus and recorded vectors; nothing if absent.
std::optional<std::filesystem::path> shared_dir();

/// The JSON files of its corpus, sorted. REQUIRES: shared_dir() is there.
std::vector<std::string> corpus_files();

/// By how much a test may take longer than its limit: sanitizers slow everything down.
#if defined(__SANITIZE_ADDRESS__)
constexpr int kPatience = 10;
#else
constexpr int kPatience = 1;
#endif

/// Reads a whole file, gunzipping it if its name ends in .gz; fails the test if it can't be read.
std::string slurp(const std::filesystem::path& path);

/// A fresh empty folder, removed when the object goes.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  const std::filesystem::path& path() const { return path_; }
  /// Writes `text` to a file in it and returns the file's path.
  std::string write(const std::string& name, const std::string& text) const;

 private:
  std::filesystem::path path_;
};

}  // namespace ebb::test

/// Skips the test, in one sentence, where ../shared is absent.
#define EBB_NEED_SHARED()                                                        \
  if (!ebb::test::shared_dir())                                                  \
  GTEST_SKIP() << "../shared (recorded facts and workflow corpus) is not here; " \
                  "this test compares against it"
