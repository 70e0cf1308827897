// SPDX-License-Identifier: Apache-2.0
#include "tests/support.h"

#include <gtest/gtest.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>

namespace ebb::test {

std::filesystem::path source_dir() { return EBB_SOURCE_DIR; }

std::optional<std::filesystem::path> shared_dir() {
  const auto path = source_dir().parent_path() / "shared";
  return std::filesystem::is_directory(path) ? std::optional(path) : std::nullopt;
}

std::string slurp(const std::filesystem::path& path) {
  gzFile file = gzopen(path.c_str(), "rb");  // reads plain files unchanged
  if (!file) {
    ADD_FAILURE() << "cannot read " << path;
    return {};
  }
  std::string text;
  char buffer[1 << 16];
  for (int n; (n = gzread(file, buffer, sizeof buffer)) > 0;) text.append(buffer, size_t(n));
  gzclose(file);
  return text;
}

std::vector<std::string> corpus_files() {
  std::vector<std::string> files;
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(*shared_dir() / "corpus")) {
    if (entry.is_regular_file() && entry.path().extension() == ".json") {
      files.push_back(entry.path().string());
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

TempDir::TempDir() {
  std::string name = (std::filesystem::temp_directory_path() / "ebb-test-XXXXXX").string();
  path_ = mkdtemp(name.data()) ? name : throw std::runtime_error("mkdtemp failed");
}

TempDir::~TempDir() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string TempDir::write(const std::string& name, const std::string& text) const {
  const auto file = path_ / name;
  std::filesystem::create_directories(file.parent_path());
  std::ofstream(file, std::ios::binary) << text;
  return file.string();
}

}  // namespace ebb::test
