// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "machine/nvml.h"
#include "machine/probe.h"
#include "tests/support.h"

namespace ebb {
namespace {

// A machine that counts how often it is asked.
class FakeProbe : public Probe {
 public:
  Result<FoundGpu> gpu() override {
    ++asked;
    if (found) return *found;
    return usage_error("there is no driver");
  }
  std::optional<FoundRam> ram() override {
    ++asked;
    return memory;
  }
  Os os() override { return system; }
  bool inside_windows() override { return wsl; }

  std::optional<FoundGpu> found;
  std::optional<FoundRam> memory = FoundRam{64_GiB, 50_GiB};
  Os system = Os::linux;
  bool wsl = false;
  int asked = 0;
};

FakeProbe with_card() {
  FakeProbe probe;
  probe.found = FoundGpu{"NVIDIA GeForce RTX 4090", 24564_MiB, 23000_MiB, 4, 8};
  return probe;
}

Machine resolve(const MachineOptions& options, Probe& probe) {
  auto machine = resolve_machine(options, probe);
  EXPECT_TRUE(machine.ok()) << (machine ? "" : to_string(machine.error()));
  return machine ? *machine : Machine{};
}

std::string error_of(const MachineOptions& options) {
  FakeProbe probe;
  const auto machine = resolve_machine(options, probe);
  EXPECT_FALSE(machine.ok());
  return machine ? "" : to_string(machine.error());
}

TEST(Machine, ANamedCardIsPlannedForWithoutAskingThisMachine) {
  FakeProbe probe = with_card();
  MachineOptions options;
  options.gpu = "rtx5090";
  options.os = Os::windows;
  const Machine machine = resolve(options, probe);
  EXPECT_EQ(probe.asked, 0);
  EXPECT_EQ(machine.gpu, "RTX 5090");
  EXPECT_EQ(machine.vram_total.bytes, 32607_MiB);
  EXPECT_EQ(machine.vram_total.kind, NumberKind::given);
  EXPECT_EQ(machine.vram_others_bytes(), 1229_MiB);
  EXPECT_EQ(machine.vram_free.kind, NumberKind::assumed);
  EXPECT_EQ(machine.ram_total.bytes, 64_GiB);
  EXPECT_EQ(machine.ram_total.kind, NumberKind::assumed);
  EXPECT_EQ(machine.ram_others.bytes, 6_GiB);
  EXPECT_NEAR(machine.link_bytes_per_second.value, 0.8 * 16 * 3.938e9, 1e6);
  EXPECT_NEAR(machine.compute_flops_per_second.value, 0.9 * 209.5e12, 1e9);
  EXPECT_EQ(machine.comfyui, kNewestKnown);
  EXPECT_EQ(machine.comfyui_kind, NumberKind::assumed);
}

TEST(Machine, WithNothingGivenThisMachineIsAsked) {
  FakeProbe probe = with_card();
  const Machine machine = resolve({}, probe);
  EXPECT_EQ(machine.gpu, "RTX 4090");
  EXPECT_EQ(machine.vram_total.kind, NumberKind::probed);
  EXPECT_EQ(machine.vram_free.bytes, 23000_MiB - 410_MiB);
  EXPECT_EQ(machine.ram_total.bytes, 64_GiB);
  EXPECT_EQ(machine.ram_others.bytes, 15_GiB);
  EXPECT_EQ(machine.ram_others.kind, NumberKind::probed);
  EXPECT_EQ(machine.os_kind, NumberKind::probed);
  // The slot gives only 8 of the card's 16 lanes.
  EXPECT_NEAR(machine.link_bytes_per_second.value, 0.8 * 8 * 1.969e9, 1e6);
}

TEST(Machine, ACardThatNobodyKnowsHasNoRate) {
  FakeProbe probe = with_card();
  probe.found->name = "NVIDIA Something New";
  const Machine machine = resolve({}, probe);
  EXPECT_EQ(machine.gpu, "NVIDIA Something New");
  EXPECT_FALSE(machine.compute_flops_per_second.known());
  EXPECT_FALSE(machine.compute_flops_per_second.source.empty());
}

TEST(Machine, WithoutACardItAsksForOne) {
  const std::string error = error_of({});
  EXPECT_NE(error.find("--gpu"), std::string::npos);
  EXPECT_NE(error.find("--vram"), std::string::npos);
  EXPECT_NE(error.find("there is no driver"), std::string::npos);
}

TEST(Machine, TheUsersCase) {
  FakeProbe probe;
  MachineOptions options;
  options.vram_bytes = 32607_MiB;
  options.vram_free_bytes = 30724_MiB;
  options.flags = "--reserve-vram 4";
  const Machine machine = resolve(options, probe);
  EXPECT_EQ(machine.gpu, "");
  EXPECT_EQ(machine.vram_others_bytes(), 1883_MiB);
  EXPECT_EQ(machine.flags.reserve_vram_gib, 4.0);
  EXPECT_FALSE(machine.compute_flops_per_second.known());
  EXPECT_TRUE(machine.link_bytes_per_second.known());
}

TEST(Machine, LinuxInsideWindowsSharesVramWithTheDesktop) {
  FakeProbe probe;
  probe.wsl = true;
  test::TempDir dir;
  MachineOptions options;
  options.file = dir.write("m.toml", "vram_total = \"24G\"\n");
  EXPECT_EQ(resolve(options, probe).vram_others_bytes(), 1229_MiB);
  probe.wsl = false;
  EXPECT_EQ(resolve(options, probe).vram_others_bytes(), 614_MiB);
}

TEST(Machine, ImpossibleOnesAreRefused) {
  MachineOptions options;
  options.vram_bytes = 8_GiB;
  options.vram_free_bytes = 9_GiB;
  EXPECT_NE(error_of(options).find("more VRAM is free than there is"), std::string::npos);
  options.vram_free_bytes.reset();
  options.vram_bytes = 0;
  EXPECT_NE(error_of(options).find("without VRAM"), std::string::npos);
  options.vram_bytes = 8_GiB;
  options.ram_bytes = 0;
  EXPECT_NE(error_of(options).find("without RAM"), std::string::npos);
  options.ram_bytes = 16_GiB;
  options.flags = "--nonsense";
  EXPECT_NE(error_of(options).find("--nonsense"), std::string::npos);
  options.flags.reset();
  options.vram_bytes.reset();
  options.gpu = "rtx999999";
  EXPECT_NE(error_of(options).find("rtx999999"), std::string::npos);
}

TEST(Machine, SizesThatNoMachineHasAreRefused) {
  test::TempDir dir;
  MachineOptions options;
  for (const std::int64_t bytes : {std::int64_t{24}, 32607_KiB, 10240_GiB}) {
    options.vram_bytes = bytes;
    EXPECT_NE(error_of(options).find("so little VRAM"), std::string::npos) << bytes;
  }
  options.vram_bytes = 24_GiB;
  for (const std::int64_t bytes : {std::int64_t{32}, 64_KiB, 1024 * 1024_GiB}) {
    options.ram_bytes = bytes;
    EXPECT_NE(error_of(options).find("so little RAM"), std::string::npos) << bytes;
  }
  options.ram_bytes.reset();
  options.vram_free_bytes = 22;
  EXPECT_NE(error_of(options).find("22 bytes"), std::string::npos);
  options = {};
  options.flags = "--reserve-vram 4096";
  options.vram_bytes = 24_GiB;
  EXPECT_NE(error_of(options).find("It is in GiB"), std::string::npos);
  options = {};
  options.file = dir.write("m.toml", "vram_total = { bytes = 24 }\n");
  EXPECT_NE(error_of(options).find("so little VRAM"), std::string::npos);
  FakeProbe probe;
  for (const char* size : {"24", "\"24\"", "\"24GB\"", "25769803776"}) {
    options.file = dir.write("m.toml", std::string("vram_total = ") + size + "\nram_total = 64\n");
    EXPECT_EQ(resolve(options, probe).vram_total.bytes, 24_GiB) << size;
    EXPECT_EQ(resolve(options, probe).ram_total.bytes, 64_GiB) << size;
  }
  options.file = dir.write("m.toml", "vram_total = 24576\n");
  EXPECT_NE(error_of(options).find("may be MiB"), std::string::npos);
}

TEST(Machine, ACardOfAnotherMakerHasItsOwnRules) {
  FakeProbe probe;
  MachineOptions options;
  options.vram_bytes = 16_GiB;
  options.comfyui = ComfyVersion{0, 33, 0};
  const auto card = [&](const char* name) {
    options.gpu = name;
    return resolve(options, probe);
  };
  EXPECT_EQ(card("rx 580").card, (Card{GpuVendor::amd, "gfx803", NumberKind::given}));
  EXPECT_EQ(card("Radeon RX 570").card.generation, "gfx803");
  EXPECT_EQ(card("RX 5700 XT").card.generation, "gfx1010");
  EXPECT_EQ(card("RX 7900 XTX").card.generation, "gfx1100");
  EXPECT_EQ(card("gfx90a").card.generation, "gfx90a");
  EXPECT_EQ(card("AMD Radeon Graphics").card.generation, "");
  EXPECT_EQ(card("arc a770").card.vendor, GpuVendor::intel);
  const CardRules old = card_rules(card("rx580"));
  EXPECT_EQ(old.weight_share, 0.4);
  EXPECT_TRUE(old.plain_attention && old.fp32_vaes && !old.pages && old.streams && old.pins);
  const CardRules newest = card_rules(card("RX 9070 XT"));
  EXPECT_FALSE(newest.plain_attention || newest.fp32_vaes);
  EXPECT_EQ(newest.kl_vae_times, 2.73);
  EXPECT_FALSE(card_rules(card("m3 max")).known);
  EXPECT_EQ(card("gb10").card, (Card{GpuVendor::nvidia, "", NumberKind::given}));
  EXPECT_EQ(card("banana").card, Card());  // assumed, and said to be
  EXPECT_EQ(card("rtx4090").card.kind, NumberKind::given);
  EXPECT_TRUE(card_rules(card("rtx4090")).pages);
}

TEST(Machine, SmallMachinesKeepSomethingForThePlan) {
  FakeProbe probe;
  MachineOptions options;
  options.vram_bytes = 1_GiB;
  options.ram_bytes = 4_GiB;
  options.os = Os::windows;
  const Machine machine = resolve(options, probe);
  EXPECT_EQ(machine.vram_others_bytes(), 256_MiB);
  EXPECT_EQ(machine.ram_others.bytes, 2_GiB);
}

// ---- machine files -------------------------------------------------------------------------

void expect_same(const Machine& a, const Machine& b) {
  EXPECT_EQ(a.gpu, b.gpu);
  for (auto member :
       {&Machine::vram_total, &Machine::vram_free, &Machine::ram_total, &Machine::ram_others}) {
    EXPECT_EQ((a.*member).bytes, (b.*member).bytes);
    EXPECT_EQ((a.*member).kind, (b.*member).kind);
    EXPECT_EQ((a.*member).source, (b.*member).source);
  }
  for (auto member : {&Machine::link_bytes_per_second, &Machine::disk_bytes_per_second,
                      &Machine::ram_bytes_per_second, &Machine::compute_flops_per_second}) {
    EXPECT_EQ((a.*member).value, (b.*member).value);
    EXPECT_EQ((a.*member).kind, (b.*member).kind);
    EXPECT_EQ((a.*member).source, (b.*member).source);
  }
  EXPECT_EQ(a.os, b.os);
  EXPECT_EQ(a.os_kind, b.os_kind);
  EXPECT_EQ(a.comfyui, b.comfyui);
  EXPECT_EQ(a.comfyui_kind, b.comfyui_kind);
  EXPECT_EQ(a.flags, b.flags);
}

TEST(MachineFile, SavedMachinesComeBackTheSame) {
  test::TempDir dir;
  const std::string path = (dir.path() / "machine.toml").string();
  FakeProbe card = with_card(), odd = with_card();
  odd.found->name = "A \"quoted\" \\ name\n";
  MachineOptions options;
  options.flags = "--reserve-vram 0.1 --output-directory \"C:\\my pictures\"";
  options.comfyui = ComfyVersion{0, 18, 2};
  for (FakeProbe* probe : {&card, &odd}) {
    const Machine machine = resolve(options, *probe);
    ASSERT_TRUE(save_machine(machine, path).ok());
    FakeProbe nothing;
    MachineOptions from_file;
    from_file.file = path;
    expect_same(resolve(from_file, nothing), machine);
    EXPECT_EQ(nothing.asked, 0);
  }
}

TEST(MachineFile, ShortFormsCountAsGiven) {
  test::TempDir dir;
  FakeProbe probe;
  MachineOptions options;
  options.file = dir.write("m.toml",
                           "gpu = \"rtx 4070\"\nram_total = \"64G\"\nos = \"windows\"\n"
                           "comfyui = \"0.3.64\"\ndisk_bytes_per_second = 5e8\n"
                           "flags = \"--lowvram\"\n");
  const Machine machine = resolve(options, probe);
  EXPECT_EQ(machine.gpu, "RTX 4070");
  EXPECT_EQ(machine.vram_total.bytes, 12282_MiB);
  EXPECT_EQ(machine.ram_total.bytes, 64_GiB);
  EXPECT_EQ(machine.ram_total.kind, NumberKind::given);
  EXPECT_EQ(machine.os, Os::windows);
  EXPECT_EQ(machine.comfyui, (ComfyVersion{0, 3, 64}));
  EXPECT_EQ(machine.disk_bytes_per_second.value, 5e8);
  EXPECT_EQ(machine.flags.vram_state, VramState::low);
}

TEST(MachineFile, OptionsWinOverIt) {
  test::TempDir dir;
  FakeProbe probe;
  MachineOptions options;
  options.file = dir.write("m.toml",
                           "gpu = \"rtx4070\"\nvram_total = \"12G\"\nvram_free = \"11G\"\n"
                           "link_bytes_per_second = 1e9\nram_total = \"64G\"\n"
                           "ram_others = \"9G\"\ncompute_flops_per_second = 1e12\n");
  options.gpu = "rtx5090";
  options.ram_bytes = 16_GiB;
  const Machine machine = resolve(options, probe);
  EXPECT_EQ(machine.vram_total.bytes, 32607_MiB);
  EXPECT_GT(machine.vram_free.bytes, 30_GiB);                // not the other card's 11 GiB
  EXPECT_GT(machine.link_bytes_per_second.value, 40e9);      // nor its link
  EXPECT_GT(machine.compute_flops_per_second.value, 80e12);  // nor its rate
  EXPECT_EQ(machine.ram_total.bytes, 16_GiB);
  EXPECT_EQ(machine.ram_others.bytes, 3_GiB);  // of another amount of RAM
}

TEST(MachineFile, MistakesAreNamedWithTheirPlace) {
  test::TempDir dir;
  const auto error_in = [&](const std::string& text) {
    MachineOptions options;
    options.file = dir.write("m.toml", text);
    return error_of(options);
  };
  EXPECT_NE(error_in("vram = \"24G\"\n").find("m.toml:1"), std::string::npos);
  EXPECT_NE(error_in("gpu = \"rtx4090\"\n\nos = \"macos\"\n").find("m.toml:3"), std::string::npos);
  EXPECT_NE(error_in("ram_total = true\n").find("must be a size"), std::string::npos);
  EXPECT_NE(error_in("ram_total = -1\n").find("not a size"), std::string::npos);
  EXPECT_NE(error_in("ram_total = \"2^70\"\n").find("not a size"), std::string::npos);
  EXPECT_NE(error_in("disk_bytes_per_second = 0\n").find("above zero"), std::string::npos);
  EXPECT_NE(error_in("ram_total = {kind = \"given\"}\n").find("needs bytes"), std::string::npos);
  EXPECT_NE(error_in("ram_total = {bytes = 1, kind = \"odd\"}\n").find("no such kind"),
            std::string::npos);
  EXPECT_NE(error_in("flags = \"--nonsense\"\n").find("--nonsense"), std::string::npos);
  EXPECT_NE(error_in("schema = \"ebb.machine/9\"\n").find("ebb.machine/1"), std::string::npos);
  EXPECT_NE(error_in("a = [[[\n").find("m.toml:"), std::string::npos);
  EXPECT_NE(error_in(std::string(100'000, '[')).find("m.toml"), std::string::npos);
  EXPECT_NE(error_in("a\0b"), "");
  EXPECT_NE(error_in("\xef\xbb\x9f"), "");  // letters that toml++ believes impossible
  EXPECT_NE(error_in("\xc3\xa9 = 1\n"), "");
  MachineOptions absent;
  absent.file = (dir.path() / "no.toml").string();
  EXPECT_NE(error_of(absent).find("no.toml"), std::string::npos);
}

// ---- probing -------------------------------------------------------------------------------

TEST(Probe, MeminfoIsRead) {
  const auto ram = parse_meminfo(
      "MemTotal:       65536000 kB\nMemFree:         1000 kB\nMemAvailable:   32768000 kB\n");
  ASSERT_TRUE(ram);
  EXPECT_EQ(ram->total_bytes, 65536000LL * 1024);
  EXPECT_EQ(ram->available_bytes, 32768000LL * 1024);
  EXPECT_FALSE(parse_meminfo(""));
  EXPECT_FALSE(parse_meminfo("MemTotal: many kB\nMemAvailable: 1 kB\n"));
  EXPECT_FALSE(parse_meminfo("MemTotal: 1 kB\nMemAvailable: 2 kB\n"));
}

TEST(Probe, ThisMachineHasRam) {
  if (!std::filesystem::exists("/proc/meminfo")) GTEST_SKIP() << "there is no /proc/meminfo here";
  ThisMachine machine;
  const auto ram = machine.ram();
  ASSERT_TRUE(ram);
  EXPECT_GT(ram->total_bytes, 100_MiB);
}

struct FakeDevice {
  const char* name;
  unsigned long long total, free;
};
std::vector<FakeDevice> fake_devices;
int fake_init_result = 0, fake_open = 0;

Nvml fake_nvml() {
  Nvml nvml;
  nvml.nvmlInit_v2 = [] { return fake_init_result != 0 ? fake_init_result : (++fake_open, 0); };
  nvml.nvmlShutdown = [] { return --fake_open, 0; };
  nvml.nvmlDeviceGetCount_v2 = [](unsigned* count) {
    *count = unsigned(fake_devices.size());
    return 0;
  };
  nvml.nvmlDeviceGetHandleByIndex_v2 = [](unsigned index, void** device) {
    *device = &fake_devices[index];
    return 0;
  };
  nvml.nvmlDeviceGetName = [](void* device, char* name, unsigned length) {
    const char* text = static_cast<FakeDevice*>(device)->name;
    if (!text) return 1;
    std::snprintf(name, length, "%s", text);
    return 0;
  };
  nvml.nvmlDeviceGetMemoryInfo = [](void* device, NvmlMemory* memory) {
    const auto& fake = *static_cast<FakeDevice*>(device);
    *memory = {fake.total, fake.free, fake.total - fake.free};
    return 0;
  };
  nvml.nvmlDeviceGetMaxPcieLinkGeneration = [](void*, unsigned* generation) {
    *generation = 5;
    return 0;
  };
  nvml.nvmlDeviceGetMaxPcieLinkWidth = [](void*, unsigned* lanes) {
    *lanes = 16;
    return 0;
  };
  return nvml;
}

TEST(Nvml, TheCardWithTheMostMemoryIsTaken) {
  fake_devices = {{"Small", 8ULL << 30, 7ULL << 30},
                  {nullptr, 90ULL << 30, 1},  // does not tell its name
                  {"Broken", 1ULL << 60, 0},
                  {"Large", 24ULL << 30, 20ULL << 30}};
  const auto gpu = find_gpu(fake_nvml());
  ASSERT_TRUE(gpu.ok());
  EXPECT_EQ(gpu->name, "Large");
  EXPECT_EQ(gpu->free_bytes, 20_GiB);
  EXPECT_EQ(gpu->pcie_generation, 5);
  EXPECT_EQ(fake_open, 0);  // shut down again
}

TEST(Nvml, AbsenceIsANormalAnswer) {
  fake_devices.clear();
  EXPECT_FALSE(find_gpu(fake_nvml()).ok());
  fake_init_result = 9;
  EXPECT_FALSE(find_gpu(fake_nvml()).ok());
  fake_init_result = 0;
  const auto missing = load_nvml("libebb-no-such-library.so.1");
  ASSERT_FALSE(missing.ok());
  EXPECT_NE(missing.error().message.find("not on this machine"), std::string::npos);
  EXPECT_FALSE(load_nvml("libm.so.6").ok());  // a library, but without the functions
}

}  // namespace
}  // namespace ebb
