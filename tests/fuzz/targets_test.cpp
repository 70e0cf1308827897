// SPDX-License-Identifier: Apache-2.0
// Every fuzz target on a few telling inputs, so that the targets compile and run with the tests.
#include "tests/fuzz/targets.h"

#include <gtest/gtest.h>

#include "tests/support.h"

namespace ebb::test {
namespace {

TEST(FuzzTargets, TakeWholeTruncatedAndForeignInput) {
  const std::string example =
      slurp(source_dir() / "examples" / "workflows" / "wan22_two_pass.json");
  ASSERT_GE(fuzz::targets().size(), 23u);
  for (const fuzz::Target& target : fuzz::targets()) {
    SCOPED_TRACE(target.name);
    std::string magic(target.magic_at, '\0');
    magic += target.magic;
    for (const std::string& bytes :
         {std::string(), magic, magic + std::string(64, '\xff'), example,
          example.substr(0, example.size() / 2)}) {
      target.run(bytes);  // a crash, or what a target itself refuses, ends the test
    }
  }
}

}  // namespace
}  // namespace ebb::test
