// SPDX-License-Identifier: Apache-2.0
#include "ebb/file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <thread>
#include <vector>

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

unsigned mode_of(const std::string& path) {
  struct stat info {};
  EXPECT_EQ(stat(path.c_str(), &info), 0) << path;
  return info.st_mode & 07777;
}

TEST(File, GivesNewFilesWhatTheUmaskLeaves) {
  test::TempDir dir;
  const mode_t before = umask(077);
  const bool written = write_file(dir.path() / "a", "x").ok() &&
                       put_file(dir.path() / "b", "x", false).ok() &&
                       write_file(dir.path() / "c.sh", "x", 0777).ok();
  umask(before);
  ASSERT_TRUE(written);
  EXPECT_EQ(mode_of(dir.path() / "a"), 0600u);
  EXPECT_EQ(mode_of(dir.path() / "b"), 0600u);
  EXPECT_EQ(mode_of(dir.path() / "c.sh"), 0700u);
}

TEST(File, WritesThroughNoLink) {
  test::TempDir dir;
  const std::string path = dir.write("a.txt", "old"), name = dir.path() / "link";
  ASSERT_EQ(symlink(path.c_str(), name.c_str()), 0);
  EXPECT_FALSE(write_file(name, "new").ok());
  EXPECT_FALSE(put_file(name, "new", true).ok());
  EXPECT_EQ(*read_file(path), "old");
}

TEST(File, LetsOneOfManyMakeANewFile) {
  test::TempDir dir;
  for (int round = 0; round < 20; ++round) {
    const std::string path = dir.path() / std::to_string(round);
    std::atomic<int> wrote = 0;
    std::vector<std::jthread> writers;
    for (int i = 0; i < 8; ++i) {
      writers.emplace_back([&] { wrote += put_file(path, "x", false).ok(); });
    }
    writers.clear();
    EXPECT_EQ(wrote, 1);
  }
}

TEST(ReplacedFile, KeepsTheVeryFileAsItsBackup) {
  test::TempDir dir;
  const std::string path = dir.write("a.json", "old"), backup = path + ".bak";
  ASSERT_EQ(chmod(path.c_str(), 0600), 0);
  struct stat before {
  }, after{};
  ASSERT_EQ(stat(path.c_str(), &before), 0);
  ASSERT_TRUE(replace_file(path, "new", *file_state(path), backup, false).ok());
  EXPECT_EQ(*read_file(path), "new");
  EXPECT_EQ(*read_file(backup), "old");
  EXPECT_EQ(mode_of(path), 0600u);
  EXPECT_EQ(mode_of(backup), 0600u);
  ASSERT_EQ(stat(backup.c_str(), &after), 0);
  EXPECT_EQ(before.st_ino, after.st_ino);
}

TEST(ReplacedFile, KeepsTheOwner) {
  if (geteuid() != 0) GTEST_SKIP() << "only root may give files away";
  test::TempDir dir;
  const std::string path = dir.write("a.json", "old");
  ASSERT_EQ(chown(path.c_str(), 1000, 1001), 0);
  ASSERT_TRUE(replace_file(path, "new", *file_state(path), path + ".bak", false).ok());
  struct stat after {};
  ASSERT_EQ(stat(path.c_str(), &after), 0);
  EXPECT_EQ(after.st_uid, 1000u);
  EXPECT_EQ(after.st_gid, 1001u);
}

TEST(ReplacedFile, TakesABackupThatIsItAndNoOther) {
  test::TempDir dir;
  const std::string path = dir.write("a.json", "old"), backup = dir.write("a.json.bak", "old");
  ASSERT_TRUE(replace_file(path, "new", *file_state(path), backup, false).ok());
  const auto refused = replace_file(path, "newer", *file_state(path), backup, false);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(*read_file(path), "new");
  EXPECT_EQ(*read_file(backup), "old");
  ASSERT_TRUE(replace_file(path, "newer", *file_state(path), backup, true).ok());
  EXPECT_EQ(*read_file(backup), "new");
}

TEST(ReplacedFile, LeavesWhatWasSavedMeanwhile) {
  test::TempDir dir;
  const std::string path = dir.write("a.json", "old");
  const auto was = file_state(path);
  dir.write("a.json", "an edit");
  const auto done = replace_file(path, "new", *was, path + ".bak", false);
  ASSERT_FALSE(done.ok());
  EXPECT_NE(done.error().message.find("changed"), std::string::npos);
  EXPECT_EQ(*read_file(path), "an edit");
  EXPECT_FALSE(file_size(path + ".bak").ok());
}

// Somebody saves again and again, by renaming as editors do, while the file is replaced: every
// edit is in the file or in its backup.
TEST(ReplacedFile, LosesNoEditInWhateverMoment) {
  test::TempDir dir;
  const std::string path = dir.write("a.json", "0"), backup = path + ".bak";
  int replaced = 0, refused = 0;
  for (int round = 0; round < 200; ++round) {
    std::filesystem::remove(backup);
    const std::string edit = dir.write("edit", "edit " + std::to_string(round));
    const auto was = file_state(path);
    std::jthread editor([&] {
      for (int i = 0; i < round * 20; ++i) std::this_thread::yield();
      std::filesystem::rename(edit, path);
    });
    const std::string text = "patched " + std::to_string(round);
    const bool done = replace_file(path, text, *was, backup, false).ok();
    editor.join();
    ++(done ? replaced : refused);
    const std::string saved = "edit " + std::to_string(round);
    EXPECT_EQ(*read_file(path), saved) << (done ? "replaced" : "refused");
  }
  EXPECT_EQ(replaced + refused, 200);
}

}  // namespace
}  // namespace ebb
