// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>

#include "ebb/machine.h"

namespace ebb {
namespace {

std::string id_of(std::string_view name) {
  const auto gpu = find_gpu(name);
  return gpu ? gpu->id : to_string(gpu.error());
}

TEST(Gpus, EveryCardIsFoundByIdAndByName) {
  for (const Gpu& gpu : gpus()) {
    EXPECT_EQ(id_of(gpu.id), gpu.id);
    EXPECT_EQ(id_of(gpu.name), gpu.id);
    EXPECT_EQ(id_of("NVIDIA GeForce " + gpu.name), gpu.id);
  }
}

TEST(Gpus, RowsAreSortedCompleteAndPlausible) {
  const auto& table = gpus();
  EXPECT_TRUE(std::is_sorted(table.begin(), table.end(),
                             [](const Gpu& a, const Gpu& b) { return a.id < b.id; }));
  for (const Gpu& gpu : table) {
    EXPECT_GE(gpu.vram_mib, 4096) << gpu.id;
    EXPECT_GE(gpu.pcie_generation, 3) << gpu.id;
    EXPECT_TRUE(gpu.pcie_lanes == 8 || gpu.pcie_lanes == 16) << gpu.id;
    EXPECT_GT(gpu.half_tflops, 2) << gpu.id;
    EXPECT_FALSE(gpu.source.empty()) << gpu.id;
  }
}

TEST(Gpus, UsualSpellingsAreUnderstood) {
  EXPECT_EQ(id_of("rtx5090"), "rtx5090");
  EXPECT_EQ(id_of("RTX 5090"), "rtx5090");
  EXPECT_EQ(id_of("nvidia geforce rtx 5090"), "rtx5090");
  EXPECT_EQ(id_of("5090"), "rtx5090");
  EXPECT_EQ(id_of("1080 Ti"), "gtx1080ti");
  EXPECT_EQ(id_of("RTX-4070-Ti-SUPER"), "rtx4070tisuper");
  EXPECT_EQ(id_of("rtx_3090"), "rtx3090");
  EXPECT_EQ(id_of("RTX 4090 24GB"), "rtx4090");
  EXPECT_EQ(id_of("RTX 5090 32G"), "rtx5090");
  EXPECT_EQ(id_of("rtx 4060 ti (16 GB)"), "rtx4060ti-16gb");
  EXPECT_EQ(id_of("RTX 3080 12 GB"), "rtx3080-12gb");
  EXPECT_EQ(id_of("4090 mobile"), "rtx4090laptop");
}

TEST(Gpus, NamesThatTheDriverGivesAreUnderstood) {
  EXPECT_EQ(id_of("NVIDIA GeForce RTX 4090 Laptop GPU"), "rtx4090laptop");
  EXPECT_EQ(id_of("NVIDIA GeForce GTX 1060 6GB"), "gtx1060");
  EXPECT_EQ(id_of("NVIDIA A100-SXM4-40GB"), "a100-40gb");
  EXPECT_EQ(id_of("NVIDIA A100-SXM4-80GB"), "a100-80gb");
  EXPECT_EQ(id_of("NVIDIA H100 80GB HBM3"), "h100");
  EXPECT_EQ(id_of("NVIDIA H100 PCIe"), "h100pcie");
  EXPECT_EQ(id_of("NVIDIA H200"), "h200");
  EXPECT_EQ(id_of("Tesla T4"), "t4");
  EXPECT_EQ(id_of("Tesla V100-SXM2-16GB"), "v100-16gb");
  EXPECT_EQ(id_of("NVIDIA RTX 6000 Ada Generation"), "rtx6000ada");
  EXPECT_EQ(id_of("NVIDIA RTX PRO 6000 Blackwell Workstation Edition"), "rtxpro6000");
  EXPECT_EQ(id_of("NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition"), "rtxpro6000");
  EXPECT_EQ(id_of("Quadro RTX 6000"), "rtx6000");
}

TEST(Gpus, UnknownCardsNameNearOnesAndNoOthers) {
  const auto gpu = find_gpu("RTX 4085");
  ASSERT_FALSE(gpu.ok());
  EXPECT_EQ(gpu.error().code, ErrorCode::usage);
  EXPECT_NE(gpu.error().hint.find("rtx408"), std::string::npos) << gpu.error().hint;
  EXPECT_NE(find_gpu("a100").error().hint.find("a100-40gb"), std::string::npos);
  for (const char* name :
       {"", "NVIDIA", "x", "banana", "my old card", "GT 730", "GB10", "rtx", "NVIDIA GB200"}) {
    const auto far = find_gpu(name);
    ASSERT_FALSE(far.ok()) << name;
    EXPECT_NE(far.error().hint.find("--vram"), std::string::npos) << name;
    const bool near = far.error().hint.find("Near ones") != std::string::npos;
    EXPECT_EQ(near, std::string_view(name) == "rtx") << far.error().hint;
  }
  EXPECT_FALSE(find_gpu("RTX 3080 20GB").ok());  // such cards exist, but not in the table
  EXPECT_FALSE(find_gpu(std::string(1'000'000, 'x')).ok());
}

TEST(Gpus, CardsOfOtherMakersAreCalledTheirs) {
  struct Named {
    const char* name;
    const char* whose;
  };
  for (const Named& card : {Named{"RX 7900 XTX", "AMD"},
                            {"rx580", "AMD"},
                            {"rx 580", "AMD"},
                            {"AMD Radeon RX 6800", "AMD"},
                            {"Radeon VII", "AMD"},
                            {"vega 64", "AMD"},
                            {"Instinct MI300X", "AMD"},
                            {"8060S", "AMD"},
                            {"arc a770", "Intel"},
                            {"Intel(R) Arc(TM) B580 Graphics", "Intel"},
                            {"b580", "Intel"},
                            {"m3", "Apple"},
                            {"M4 Max", "Apple"},
                            {"m1pro", "Apple"},
                            {"Apple M2 Ultra", "Apple"},
                            {"Ascend 910B", "no card of NVIDIA's"},
                            {"Adreno X1", "no card of NVIDIA's"}}) {
    const auto gpu = find_gpu(card.name);
    ASSERT_FALSE(gpu.ok()) << card.name;
    EXPECT_NE(gpu.error().message.find(card.whose), std::string::npos) << gpu.error().message;
    EXPECT_NE(gpu.error().hint.find("--vram"), std::string::npos);
    EXPECT_EQ(gpu.error().hint.find("rtx"), std::string::npos) << gpu.error().hint;
  }
}

TEST(Gpus, DriverTotalsAreThoseOfPublishedListings) {
  EXPECT_EQ(find_gpu("rtx5090")->vram_mib, 32607);
  EXPECT_EQ(find_gpu("rtx4090")->vram_mib, 24564);
  EXPECT_EQ(find_gpu("rtx3090")->vram_mib, 24576);
  EXPECT_EQ(find_gpu("rtx4080")->vram_mib, 16376);
  EXPECT_EQ(find_gpu("rtx4070")->vram_mib, 12282);
  EXPECT_EQ(find_gpu("rtx3060")->vram_mib, 12288);
}

}  // namespace
}  // namespace ebb
