// SPDX-License-Identifier: Apache-2.0
#include "weights/folders.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "base/text.h"
#include "tests/support.h"

namespace ebb {
namespace {

namespace fs = std::filesystem;

FoundFile locate(const std::string& given, const char* kind, const char* name) {
  auto folders = expand_folders({given}, kind);
  EXPECT_TRUE(folders.ok()) << (folders.ok() ? "" : to_string(folders.error()));
  return folders.ok() ? locate_file(*folders, name) : FoundFile{};
}

TEST(Folders, ModelsAndComfyUiItselfMeanTheSame) {
  const test::TempDir dir;
  const auto file = dir.write("ComfyUI/models/vae/x.safetensors", "");
  for (const char* given : {"ComfyUI", "ComfyUI/models", "ComfyUI/models/"}) {
    const std::string folders = (dir.path() / given).string();
    EXPECT_TRUE(fs::equivalent(locate(folders, "vae", "x.safetensors").path, file)) << given;
  }
}

TEST(Folders, LegacyNamesAreTheSameKind) {
  const test::TempDir dir;
  dir.write("unet/a.safetensors", "");
  dir.write("diffusion_models/b.safetensors", "");
  dir.write("clip/c.safetensors", "");
  dir.write("text_encoders/d.safetensors", "");
  const std::string folders = dir.path().string();
  for (const char* kind : {"unet", "diffusion_models"}) {
    EXPECT_FALSE(locate(folders, kind, "a.safetensors").path.empty());
    EXPECT_FALSE(locate(folders, kind, "b.safetensors").path.empty());
    EXPECT_TRUE(locate(folders, kind, "c.safetensors").path.empty());
  }
  for (const char* kind : {"clip", "text_encoders"}) {
    EXPECT_FALSE(locate(folders, kind, "c.safetensors").path.empty());
    EXPECT_FALSE(locate(folders, kind, "d.safetensors").path.empty());
  }
}

TEST(Folders, NamesMayHaveSubfoldersWithEitherSlash) {
  const test::TempDir dir;
  dir.write("loras/flux/style/x.safetensors", "");
  const std::string folders = dir.path().string();
  for (const char* name : {"flux/style/x.safetensors", "flux\\style\\x.safetensors"}) {
    const auto found = locate(folders, "loras", name);
    EXPECT_TRUE(found.exact) << name;
    EXPECT_FALSE(found.path.empty()) << name;
  }
}

TEST(Folders, OtherCaseAndOtherSubfolderAreFoundAndSaidToBeInexact) {
  const test::TempDir dir;
  dir.write("vae/Sub/X.safetensors", "");
  const std::string folders = dir.path().string();
  for (const char* name : {"x.safetensors", "sub\\x.SAFETENSORS", "other/X.safetensors",
                           "A:\\AI Models\\vae\\X.safetensors"}) {
    const auto found = locate(folders, "vae", name);
    EXPECT_FALSE(found.path.empty()) << name;
    EXPECT_FALSE(found.exact) << name;
  }
  EXPECT_TRUE(locate(folders, "vae", "y.safetensors").path.empty());
}

TEST(Folders, NamesNeverLeaveTheFolder) {
  const test::TempDir dir;
  dir.write("secret.safetensors", "");
  dir.write("vae/x.safetensors", "");
  const std::string folders = dir.path().string();
  EXPECT_TRUE(locate(folders, "vae", "../secret.safetensors").path.empty());
  EXPECT_TRUE(locate(folders, "vae", (dir.path() / "secret.safetensors").c_str()).path.empty());
}

TEST(Folders, ExtraPathsAreReadWithBaseAndSeveralLinesPerKey) {
  const test::TempDir dir;
  dir.write("ComfyUI/models/vae/x.safetensors", "");
  dir.write("big/one/a.safetensors", "");
  dir.write("big/two/b.safetensors", "");
  dir.write("big/enc/c.safetensors", "");
  dir.write("ComfyUI/extra_model_paths.yaml",
            "# comment\nother:\n    base_path: " + (dir.path() / "big").string() +
                "\n    unet: |\n        one\n        two\n    clip: enc\n");
  for (const char* given : {"ComfyUI", "ComfyUI/models"}) {
    const std::string folders = (dir.path() / given).string();
    EXPECT_FALSE(locate(folders, "diffusion_models", "a.safetensors").path.empty()) << given;
    EXPECT_FALSE(locate(folders, "diffusion_models", "b.safetensors").path.empty()) << given;
    EXPECT_FALSE(locate(folders, "text_encoders", "c.safetensors").path.empty()) << given;
    EXPECT_FALSE(locate(folders, "vae", "x.safetensors").path.empty()) << given;
  }
}

TEST(Folders, ADefaultSectionComesFirst) {
  const test::TempDir dir;
  dir.write("ComfyUI/models/vae/x.safetensors", "");
  const auto wanted = dir.write("big/vae/x.safetensors", "");
  const std::string section =
      "a:\n  base_path: " + (dir.path() / "big").string() + "\n  vae: vae\n";
  dir.write("ComfyUI/extra_model_paths.yaml", section + "  is_default: true\n");
  const std::string comfyui = (dir.path() / "ComfyUI").string();
  EXPECT_TRUE(fs::equivalent(locate(comfyui, "vae", "x.safetensors").path, wanted));
  dir.write("ComfyUI/extra_model_paths.yaml", section);
  EXPECT_FALSE(fs::equivalent(locate(comfyui, "vae", "x.safetensors").path, wanted));
}

TEST(Folders, ErrorsNameTheFolderOrTheYamlLine) {
  const test::TempDir dir;
  dir.write("ComfyUI/models/vae/x.safetensors", "");
  const auto absent = expand_folders({(dir.path() / "nowhere").string()}, "vae");
  ASSERT_FALSE(absent.ok());
  EXPECT_TRUE(contains(to_string(absent.error()), "nowhere")) << to_string(absent.error());
  const auto a_file =
      expand_folders({(dir.path() / "ComfyUI/models/vae/x.safetensors").string()}, "vae");
  ASSERT_FALSE(a_file.ok());
  dir.write("ComfyUI/extra_model_paths.yaml", "a:\n  b: [1, 2\nc: }");
  const auto broken = expand_folders({(dir.path() / "ComfyUI").string()}, "vae");
  ASSERT_FALSE(broken.ok());
  EXPECT_TRUE(contains(to_string(broken.error()), "extra_model_paths.yaml:"))
      << to_string(broken.error());
}

TEST(Folders, AnUnreadableFolderIsAnError) {
  if (geteuid() == 0) GTEST_SKIP() << "root may read everything";
  const test::TempDir dir;
  dir.write("models/vae/x.safetensors", "");
  fs::permissions(dir.path() / "models/vae", fs::perms::none);
  const auto folders = expand_folders({(dir.path() / "models").string()}, "vae");
  fs::permissions(dir.path() / "models/vae", fs::perms::owner_all);
  ASSERT_FALSE(folders.ok());
  EXPECT_TRUE(contains(to_string(folders.error()), "cannot be read"));
}

TEST(Folders, StrangeYamlIsNoCrash) {
  const test::TempDir dir;
  dir.write("models/vae/x.safetensors", "");
  for (const std::string text : {"", "7", "[]", "a: 7", "a:\n  vae: [1]\n", "a:\n  base_path: {}\n",
                                 "&x a: *x", "a: &b\n  vae: v\nc: *b\n", "? [1]\n: {vae: v}"}) {
    dir.write("extra_model_paths.yaml", text);
    (void)expand_folders({(dir.path() / "models").string()}, "vae").ok();
  }
  dir.write("extra_model_paths.yaml", std::string(500'000, '['));
  EXPECT_FALSE(expand_folders({(dir.path() / "models").string()}, "vae").ok());
}

TEST(Folders, NamesEndAtTheirFolderAsInComfyUi) {
  const test::TempDir dir;
  dir.write("vae/x.safetensors", "");
  dir.write("secret.safetensors", "");
  const std::string folders = dir.path().string();
  for (const char* name : {"../x.safetensors", "/x.safetensors", "sub/../x.safetensors"}) {
    EXPECT_EQ(base_name(locate(folders, "vae", name).path), "x.safetensors") << name;
  }
  for (const char* name : {"../secret.safetensors", "..", ""}) {
    EXPECT_TRUE(locate(folders, "vae", name).path.empty()) << name;
  }
}

TEST(Folders, BasePathsMayHoldVariables) {
  const test::TempDir dir;
  dir.write("ComfyUI/models/checkpoints/y.safetensors", "");
  dir.write("more/vae/x.safetensors", "");
  setenv("EBB_TEST_MORE", (dir.path() / "more").c_str(), 1);
  for (const char* base : {"$EBB_TEST_MORE", "${EBB_TEST_MORE}/", "$EBB_TEST_MORE/../more"}) {
    dir.write("ComfyUI/extra_model_paths.yaml",
              std::string("a:\n  base_path: ") + base + "\n  vae: vae\n");
    EXPECT_TRUE(locate((dir.path() / "ComfyUI").string(), "vae", "x.safetensors").exact) << base;
  }
  for (const char* base : {"$EBB_TEST_UNSET", "${EBB_TEST_MORE", "$", "${}"}) {
    dir.write("ComfyUI/extra_model_paths.yaml",
              std::string("a:\n  base_path: ") + base + "\n  vae: vae\n");
    EXPECT_TRUE(locate((dir.path() / "ComfyUI").string(), "vae", "x.safetensors").path.empty());
  }
  unsetenv("EBB_TEST_MORE");
}

}  // namespace
}  // namespace ebb
