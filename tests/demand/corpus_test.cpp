// SPDX-License-Identifier: Apache-2.0
// Every workflow of the corpus: no file may crash or be refused, and most sampling steps must come
// out with a size.
#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>
#include <map>

#include "base/text.h"
#include "ebb/demand.h"
#include "ebb/report.h"
#include "tests/demand/build.h"
#include "tests/support.h"

namespace ebb {
namespace {

/// Stands in for the search: guesses an architecture, so that sizes are what is tested here.
Result<Weights> any_weights(const WeightsRequest& request) {
  Weights weights;
  weights.id = request.node + request.id_suffix;
  weights.name = request.files.front();
  weights.role = request.role;
  const bool vae = request.role == WeightsRole::vae;
  weights.architecture = vae ? "kl-vae" : "sdxl";
  const std::string name = lower(weights.name);
  for (const auto& [part, key] : std::map<std::string, std::pair<const char*, const char*>>{
           {"wan", {"wan-14b", "wan21-vae"}},
           {"flux", {"flux", "kl-vae"}},
           {"qwen", {"qwen-image", "wan21-vae"}},
           {"hunyuan", {"hunyuan-video", "hunyuan-video-vae"}},
           {"ltx", {"ltxv-13b", "ltxv-vae"}},
           {"mochi", {"mochi", "mochi-vae"}}}) {
    if (contains(name, part)) weights.architecture = vae ? key.second : key.first;
  }
  return weights;
}

struct Sweep {
  int files = 0, samplers = 0, sized = 0, decodes = 0, decodes_sized = 0, with_model = 0;
  std::map<std::string, int> reasons;
};

void sweep_file(const std::string& path, const SizeOverrides& sizes, Sweep& sweep) {
  auto workflow = read_workflow(path);
  if (!workflow) return;
  const auto prompt = to_prompt(*workflow);
  if (!prompt) return;
  ++sweep.files;
  const auto demand = estimate_demand(*prompt, any_weights, test::machine(), sizes);
  if (!demand) {
    ADD_FAILURE() << path << ": " << to_string(demand.error());
    return;
  }
  ASSERT_EQ(demand->nodes.size(), prompt->nodes.size());
  for (const NodeIndex i : demand->nodes.indices()) {
    const NodeDemand& node = demand->nodes[i];
    if (node.kind == StepKind::sample) {
      ++sweep.samplers;
      sweep.with_model += !node.uses.empty();
      sweep.sized += node.demand.minimum.known();
      if (!node.demand.minimum.known()) {
        std::string why = say(node.note);
        const auto at = why.find("node ");
        if (at != std::string::npos) {  // the class, not the id
          const auto id = why.find(' ', at + 5);
          if (id != std::string::npos) why.erase(at, id - at + 1);
        }
        ++sweep.reasons[why];
      }
    } else if (node.kind == StepKind::decode) {
      ++sweep.decodes;
      sweep.decodes_sized += node.demand.asked.known();
    }
  }
}

TEST(DemandOfCorpus, EveryFileIsEstimatedAndMostSamplersAreSized) {
  EBB_NEED_SHARED();
  Sweep plain, sized;
  SizeOverrides sizes;
  sizes.width = 640;
  sizes.height = 640;
  for (const std::string& file : test::corpus_files()) {
    sweep_file(file, {}, plain);
    sweep_file(file, sizes, sized);
  }
  EXPECT_GT(plain.files, 500);
  const auto share = [](int part, int whole) { return static_cast<double>(part) / whole; };
  std::cout << plain.files << " files: samplers " << plain.samplers << ", model found "
            << plain.with_model << ", sized " << plain.sized << " (with --size " << sized.sized
            << "); decodes " << plain.decodes << ", sized " << plain.decodes_sized << " ("
            << sized.decodes_sized << ")\n";
  EXPECT_GT(share(plain.with_model, plain.samplers), 0.8);
  EXPECT_GT(share(plain.sized, plain.samplers), 0.6);
  EXPECT_GT(share(sized.sized, sized.samplers), 0.65);
  if (std::getenv("EBB_DEMAND_REASONS")) {
    for (const auto& [why, count] : sized.reasons) std::cout << count << "\t" << why << "\n";
  }
}

}  // namespace
}  // namespace ebb
