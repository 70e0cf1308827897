// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "ebb/machine.h"

namespace ebb {
namespace {

ComfyFlags flags_of(std::string_view text) {
  const auto flags = parse_comfy_flags(text);
  EXPECT_TRUE(flags.ok()) << text << ": " << (flags ? "" : to_string(flags.error()));
  return flags ? *flags : ComfyFlags{};
}

std::string error_of(std::string_view text) {
  const auto flags = parse_comfy_flags(text);
  EXPECT_FALSE(flags.ok()) << text;
  if (flags) return {};
  EXPECT_EQ(flags.error().code, ErrorCode::usage);
  return to_string(flags.error());
}

TEST(Flags, NothingIsTheDefault) {
  EXPECT_EQ(flags_of(""), ComfyFlags{});
  EXPECT_EQ(flags_of("   "), ComfyFlags{});
  EXPECT_EQ(flags_of("python main.py"), ComfyFlags{});
}

TEST(Flags, MemoryFlagsAreUnderstood) {
  EXPECT_EQ(flags_of("--reserve-vram 4").reserve_vram_gib, 4.0);
  EXPECT_EQ(flags_of("--reserve-vram=0.5").reserve_vram_gib, 0.5);
  EXPECT_EQ(flags_of("--lowvram").vram_state, VramState::low);
  EXPECT_EQ(flags_of("--novram").vram_state, VramState::none);
  EXPECT_EQ(flags_of("--highvram").vram_state, VramState::high);
  EXPECT_TRUE(flags_of("--gpu-only").gpu_only);
  EXPECT_EQ(flags_of("--gpu-only").vram_state, VramState::high);
  EXPECT_TRUE(flags_of("--cpu").cpu);
  EXPECT_EQ(flags_of("--cache-none").cache, CacheKind::none);
  EXPECT_EQ(flags_of("--cache-classic").cache, CacheKind::classic);
  EXPECT_EQ(flags_of("--cache-lru 10").cache_lru_entries, 10);
  EXPECT_EQ(flags_of("--cache-lru 0").cache, CacheKind::standard);
  EXPECT_EQ(flags_of("--cache-ram").cache, CacheKind::ram);
  EXPECT_EQ(flags_of("--cache-ram 8").cache_ram_gib, 8);
  EXPECT_TRUE(flags_of("--disable-smart-memory").disable_smart_memory);
  EXPECT_TRUE(flags_of("--disable-pinned-memory").disable_pinned_memory);
  EXPECT_TRUE(flags_of("--use-split-cross-attention").disable_xformers_and_pytorch_attention);
  EXPECT_FALSE(flags_of("--use-sage-attention").disable_xformers_and_pytorch_attention);
}

TEST(Flags, OthersAreKeptWithTheirValues) {
  const auto flags = flags_of(
      "--listen 0.0.0.0 --port 8189 --fast fp16_accumulation cublas_ops "
      "--preview-method auto --listen");
  const std::vector<std::string> expected = {
      "--listen",          "0.0.0.0",    "--port",           "8189", "--fast",
      "fp16_accumulation", "cublas_ops", "--preview-method", "auto", "--listen"};
  EXPECT_EQ(flags.other, expected);
}

TEST(Flags, AWholeCommandLineIsAccepted) {
  EXPECT_EQ(flags_of("python main.py --reserve-vram 4").reserve_vram_gib, 4.0);
  const auto windows = flags_of(
      R"(.\python_embeded\python.exe -s ComfyUI\main.py --windows-standalone-build --lowvram)");
  EXPECT_EQ(windows.vram_state, VramState::low);
  EXPECT_EQ(windows.other, std::vector<std::string>{"--windows-standalone-build"});
  EXPECT_EQ(flags_of("python3 main.py \\\n  --lowvram \\\n  --cpu-vae").cpu_vae, true);
  EXPECT_EQ(flags_of("python main.py ^\r\n --lowvram").vram_state, VramState::low);
}

TEST(Flags, QuotesGroupAndBackslashesOfPathsStay) {
  const auto flags = flags_of(R"(--output-directory "C:\my pictures" --base-directory 'a "b" c')");
  const std::vector<std::string> expected = {"--output-directory", R"(C:\my pictures)",
                                             "--base-directory", "a \"b\" c"};
  EXPECT_EQ(flags.other, expected);
  EXPECT_NE(error_of("--output-directory \"C:").find("quotation"), std::string::npos);
}

TEST(Flags, ShortFormsWorkWhileTheyAreUnambiguous) {
  EXPECT_EQ(flags_of("--reserve 2").reserve_vram_gib, 2.0);
  EXPECT_NE(error_of("--cache").find("short for several"), std::string::npos);
}

TEST(Flags, UnknownOnesAreNamedWithTheNearest) {
  EXPECT_NE(error_of("--reserve-wram 4").find("Did you mean --reserve-vram?"), std::string::npos);
  EXPECT_NE(error_of("--low-vram").find("Did you mean --lowvram?"), std::string::npos);
  EXPECT_NE(error_of("--qqqqqqqqqqqqq").find("no flag --qqqqqqqqqqqqq"), std::string::npos);
  EXPECT_NE(error_of("-x").find("no flag -x"), std::string::npos);
}

TEST(Flags, BadValuesAreNamed) {
  EXPECT_NE(error_of("--reserve-vram").find("needs a value"), std::string::npos);
  EXPECT_NE(error_of("--reserve-vram --lowvram").find("needs a value"), std::string::npos);
  EXPECT_NE(error_of("--reserve-vram four").find("needs a number"), std::string::npos);
  EXPECT_NE(error_of("--reserve-vram nan").find("needs a number"), std::string::npos);
  EXPECT_NE(error_of("--reserve-vram -1").find("negative"), std::string::npos);
  EXPECT_NE(error_of("--cache-lru 1.5").find("whole number"), std::string::npos);
  EXPECT_NE(error_of("--cache-lru 99999999999").find("count"), std::string::npos);
  EXPECT_NE(error_of("--lowvram=1").find("takes no value"), std::string::npos);
  EXPECT_NE(error_of("--lowvram 4").find("\"4\" is neither"), std::string::npos);
}

TEST(Flags, ExcludingOnesAreRefused) {
  EXPECT_NE(error_of("--lowvram --highvram").find("exclude each other"), std::string::npos);
  EXPECT_NE(error_of("--cache-none --cache-lru 3").find("exclude each other"), std::string::npos);
  EXPECT_EQ(flags_of("--lowvram --lowvram").vram_state, VramState::low);
}

TEST(Flags, WrittenFlagsReadBackTheSame) {
  for (const char* text :
       {"", "--reserve-vram 4", "--reserve-vram 0.1 --gpu-only", "--cache-lru 3 --novram",
        "--async-offload", "--async-offload 3", "--cache-ram", "--cache-ram 2.5 --cpu",
        "--cache-ram 4 96", "--normalvram --fast",
        "--cpu-vae --disable-smart-memory --disable-dynamic-vram --disable-async-offload "
        "--disable-pinned-memory --disable-cuda-malloc",
        "--output-directory \"C:\\my pictures\" --use-quad-cross-attention --verbose"}) {
    const auto flags = flags_of(text);
    EXPECT_EQ(flags_of(to_string(flags)), flags) << text << " -> " << to_string(flags);
  }
  EXPECT_EQ(to_string(flags_of("python main.py --reserve-vram 4.0")), "--reserve-vram 4");
}

TEST(ComfyVersion, IsReadWithOrWithoutV) {
  EXPECT_EQ(parse_comfy_version("0.3.73").value(), (ComfyVersion{0, 3, 73}));
  EXPECT_EQ(parse_comfy_version(" v0.18.2 ").value(), (ComfyVersion{0, 18, 2}));
  EXPECT_EQ(to_string(ComfyVersion{0, 3, 64}), "0.3.64");
  EXPECT_LT((ComfyVersion{0, 3, 73}), (ComfyVersion{0, 18, 2}));
  for (const char* text : {"", "0.3", "0.3.x", "0.3.73.1", "0..3", "-0.3.1", "0.3.99999999999"}) {
    EXPECT_FALSE(parse_comfy_version(text).ok()) << text;
  }
}

}  // namespace
}  // namespace ebb
