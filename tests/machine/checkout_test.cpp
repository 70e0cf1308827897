// SPDX-License-Identifier: Apache-2.0
// A ComfyUI folder read as text: version, flags, models, launch files.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "ebb/file.h"
#include "ebb/machine.h"

namespace ebb {
namespace {

namespace fs = std::filesystem;

/// A made-up ComfyUI folder that goes away with the test.
class CheckoutTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    root_ = fs::temp_directory_path() / (std::string("ebb_checkout_") + test->name());
    fs::remove_all(root_);
    fs::create_directories(root_);
  }
  void TearDown() override { fs::remove_all(root_); }

  void put(const std::string& name, const std::string& text) {
    const fs::path path = root_ / name;
    fs::create_directories(path.parent_path());
    ASSERT_TRUE(write_file(path.string(), text).ok());
  }
  void put_comfyui(const std::string& folder) {
    put(folder + "main.py", "print('never run')\n");
    put(folder + "comfyui_version.py", "# made\n__version__ = \"0.8.1\"\n");
    put(folder + "comfy/cli_args.py",
        "import os\nos.unlink('/never-run')\n"
        "parser.add_argument(\"--listen\", type=str, help=\"--not-a-flag\")\n"
        "group.add_argument('--lowvram',\n    action='store_true')\n"
        "parser.add_argument(\n    \"--reserve-vram\", type=float)\n");
    put(folder + "models/vae/x.txt", "");
  }

  fs::path root_;
};

TEST_F(CheckoutTest, ReadsVersionFlagsAndModels) {
  put_comfyui("");
  put("extra_model_paths.yaml", "{}\n");
  const auto found = read_checkout(root_.string());
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->version, (ComfyVersion{0, 8, 1}));
  EXPECT_EQ(found->version_from, "comfyui_version.py");
  EXPECT_EQ(found->flags, (std::vector<std::string>{"--listen", "--lowvram", "--reserve-vram"}));
  EXPECT_EQ(found->models, (root_ / "models").string());
  EXPECT_TRUE(found->extra_model_paths);
  EXPECT_FALSE(found->portable);
}

TEST_F(CheckoutTest, TakesTheVersionOfPyprojectWhereThereIsNoOther) {
  put_comfyui("");
  fs::remove(root_ / "comfyui_version.py");
  put("pyproject.toml", "[project]\nname = \"ComfyUI\"\nversion = \"0.3.40\"\n");
  const auto found = read_checkout(root_.string());
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->version, (ComfyVersion{0, 3, 40}));
  EXPECT_EQ(found->version_from, "pyproject.toml");
}

TEST_F(CheckoutTest, FindsThePortableVersionAndHowItIsStarted) {
  put_comfyui("ComfyUI/");
  fs::create_directories(root_ / "python_embeded");
  put("run_nvidia_gpu.bat",
      "@echo off\r\nREM main.py --gpu-only\r\n"
      ".\\python_embeded\\python.exe -s ComfyUI\\main.py --windows-standalone-build "
      "--reserve-vram 4 %*\r\npause\r\n");
  put("README.bat", "echo hello\r\n");
  const auto found = read_checkout(root_.string());
  ASSERT_TRUE(found.ok());
  EXPECT_TRUE(found->portable);
  EXPECT_EQ(found->folder, (root_ / "ComfyUI").string());
  ASSERT_EQ(found->launch_files.size(), 1u);
  const auto flags = read_launch_flags(found->launch_files[0]);
  ASSERT_TRUE(flags.ok());
  EXPECT_EQ(*flags, "--windows-standalone-build --reserve-vram 4");
}

TEST_F(CheckoutTest, RefusesFlagsThatThisVersionLacks) {
  put_comfyui("");
  const auto found = read_checkout(root_.string());
  ASSERT_TRUE(found.ok());
  EXPECT_TRUE(check_flags(*found, *parse_comfy_flags("--reserve-vram 4 --lowvram")).ok());
  const auto refused = check_flags(*found, *parse_comfy_flags("--cache-none"));
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message.find("has no flag --cache-none"), std::string::npos);
}

TEST_F(CheckoutTest, SaysWhatIsMissing) {
  EXPECT_NE(read_checkout(root_.string()).error().message.find("main.py"), std::string::npos);
  EXPECT_FALSE(read_checkout((root_ / "nothing").string()).ok());
  put("main.py", "");
  EXPECT_NE(read_checkout(root_.string()).error().message.find("which version"), std::string::npos);
  put("comfyui_version.py", "__version__ = \"nightly\"\n");
  EXPECT_NE(read_checkout(root_.string()).error().message.find("nightly"), std::string::npos);
  put("start.sh", "echo nothing\n");
  EXPECT_FALSE(read_launch_flags((root_ / "start.sh").string()).ok());
}

}  // namespace
}  // namespace ebb
