// SPDX-License-Identifier: Apache-2.0
#include "ebb/file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support.h"

namespace ebb {
namespace {

TEST(File, WritesAtomicallyAndKeepsPermissions) {
  test::TempDir dir;
  const std::string path = dir.write("a.txt", "old");
  ASSERT_EQ(chmod(path.c_str(), 0600), 0);
  ASSERT_TRUE(write_file(path, "new").ok());
  EXPECT_EQ(*read_file(path), "new");
  struct stat info {};
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST(File, WritesIntoAPipeAndLeavesItThere) {
  test::TempDir dir;
  const std::string path = dir.path() / "pipe";
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  const int reader = open(path.c_str(), O_RDONLY | O_NONBLOCK);
  ASSERT_GE(reader, 0);
  ASSERT_TRUE(write_file(path, "text").ok());
  char read_back[8] = {};
  EXPECT_EQ(read(reader, read_back, sizeof read_back), 4);
  EXPECT_STREQ(read_back, "text");
  close(reader);
  struct stat info {};
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_TRUE(S_ISFIFO(info.st_mode));
}

TEST(File, SaysWhatIsWrongAndWhere) {
  test::TempDir dir;
  EXPECT_EQ(read_file(dir.path() / "none").error().where.file, dir.path() / "none");
  EXPECT_NE(read_file(dir.path()).error().message.find("folder"), std::string::npos);
  EXPECT_FALSE(write_file(dir.path() / "no" / "such" / "folder", "x").ok());
}

TEST(File, ReadsARange) {
  test::TempDir dir;
  const std::string path = dir.write("a.txt", "0123456789");
  EXPECT_EQ(*read_range(path, 3, 4), "3456");
  EXPECT_EQ(*read_range(path, 8, 40), "89");
  EXPECT_EQ(*file_size(path), 10);
}

}  // namespace
}  // namespace ebb
