// SPDX-License-Identifier: Apache-2.0
// Sizes that notes state behind the links of model files.
#include "workflow/stated.h"

#include <gtest/gtest.h>

#include "json/write.h"

namespace ebb {
namespace {

std::map<std::string, WrittenSize> stated(const std::string& note,
                                          const char* type = "MarkdownNote") {
  const std::string node = R"({"id": 1, "type": ")" + std::string(type) +
                           R"(", "widgets_values": [)" + json_quote(note) + "]}";
  const auto graph = JsonDocument::parse(
      R"({"nodes": [], "definitions": {"subgraphs": [{"nodes": [)" + node + "]}]}}");
  EXPECT_TRUE(graph.ok());
  return stated_files(graph->root());
}

constexpr const char* kUrl =
    "(https://huggingface.co/o/r/resolve/main/split_files/vae/Some_VAE.safetensors)";

TEST(Stated, SizesStandBehindTheLinkOfTheFile) {
  struct Case {
    const char* behind;
    double number;
    int power;
    bool bare;
  };
  const Case cases[] = {{" (19.53 GB)", 19.53, 3, false},
                        {" (319.8 MB) ", 319.8, 2, false},
                        {" (9GB)", 9, 3, false},
                        {" (1.2 gb) if you have less VRAM", 1.2, 3, false},
                        {" (rank 64, bf16, 1.25 GB)", 1.25, 3, false},
                        {" - 5.41 GB, full precision", 5.41, 3, true},
                        {" (1,536 MiB)", 1536, 2, false}};
  for (const Case& c : cases) {
    const auto files = stated(std::string("text\n- [Some_VAE.safetensors]") + kUrl + c.behind);
    ASSERT_EQ(files.size(), 1u) << c.behind;
    const auto& [name, size] = *files.begin();
    EXPECT_EQ(name, "some_vae.safetensors");
    EXPECT_DOUBLE_EQ(size.number, c.number) << c.behind;
    EXPECT_EQ(size.power, c.power);
    EXPECT_EQ(size.bare, c.bare) << c.behind;
  }
  EXPECT_TRUE(stated(std::string("[x]") + kUrl + " (2 GiB)").begin()->second.binary);
}

TEST(Stated, AFileIsKnownByItsLinkWhateverItsTextSays) {
  EXPECT_TRUE(stated(std::string("[the VAE]") + kUrl + " (2 GB)").contains("some_vae.safetensors"));
  const auto renamed = stated(std::string("[b.safetensors]") + kUrl + " (2 GB)");
  EXPECT_TRUE(renamed.contains("b.safetensors") && renamed.contains("some_vae.safetensors"));
  const auto two = stated(std::string("- [a.gguf](u/a.gguf) (3 GB) or [b.gguf](u/b.gguf) (4 GB)"));
  EXPECT_EQ(two.at("a.gguf").number, 3);
  EXPECT_EQ(two.at("b.gguf").number, 4);
  EXPECT_EQ(stated("\xE2\x94\x82  \xE2\x94\x94\xE2\x94\x80\xE2\x94\x80 c.safetensors    7.5 GB")
                .at("c.safetensors")
                .number,
            7.5);
}

TEST(Stated, NothingIsTakenThatIsNotTheFilesSize) {
  for (const char* note :
       {"[a.safetensors](u/a.safetensors) or [b](u/b) (3 GB)",  // the other's
        "[a.safetensors](u/a.safetensors) needs a graphics card with at least 24 GB",
        "[a.safetensors](u/a.safetensors) (needs 12 GB)",
        "[a.safetensors](u/a.safetensors) (24 GB VRAM)", "[a.safetensors](u/a.safetensors)\n(3 GB)",
        "[repository](u/o/r) (3 GB)", "[a.safetensors](u/a.safetensors) (3 GBit)",
        "[a.safetensors](u/a.safetensors) (0 GB)", "[a.safetensors](u/a.safetensors) (v1.3)",
        "a.safetensors 3 GB", "[](", "](", "[a.safetensors]("}) {
    EXPECT_TRUE(stated(note).empty()) << note;
  }
  EXPECT_TRUE(stated(std::string("[x]") + kUrl + " (2 GB)", "CLIPTextEncode").empty());
}

}  // namespace
}  // namespace ebb
