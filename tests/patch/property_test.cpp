// SPDX-License-Identifier: Apache-2.0
// Random two-model workflows in random dress: formats, indentation, reroutes, subgraphs, switched
// off nodes, wild ids and counters. Every patch keeps the rules of rules.h. RapidCheck draws them,
// and makes what fails smaller; RC_PARAMS="max_success=10000 seed=7" for more of them.
#include <fmt/format.h>
#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "patch/style.h"
#include "tests/patch/rules.h"
#include "tests/support.h"

namespace ebb {
namespace {

class Generator {
 public:
  /// A chain of samplers over a few models, as a graph; with `inside`, all in a subgraph.
  std::string graph() {
    start();
    const int samplers = pick(2, 6), models = pick(1, 3);
    const int vae = node("VAELoader", R"("widgets_values":["v.safetensors"],)", {}, {"VAE"});
    const int clip =
        node("CLIPLoader", R"("widgets_values":["c.safetensors","wan","default"],)", {}, {"CLIP"});
    const int text = node("CLIPTextEncode", R"("widgets_values":["a {\"b\"} \u00e9"],)",
                          {{"clip", "CLIP", clip, 0}}, {"CONDITIONING"});
    std::vector<int> loaders;
    for (int i = 0; i < models; ++i) {
      loaders.push_back(node("UNETLoader",
                             fmt::format(R"("widgets_values":["m{}.safetensors","default"],)", i),
                             {}, {"MODEL"}));
    }
    const int empty = node("EmptyLatentImage", R"("widgets_values":[512,512,1],)", {}, {"LATENT"});
    int latent = empty;
    for (int i = 0; i < samplers; ++i) {
      const int model = loaders[pick(0, models - 1)];
      const int from = chance(5) ? empty : latent;
      latent = node("KSampler", R"("widgets_values":[1.0e0,"fixed",20,8.00,"euler","normal",1],)",
                    {{"model", "MODEL", model, 0},
                     {"positive", "CONDITIONING", text, 0},
                     {"negative", "CONDITIONING", text, 0},
                     {"latent_image", "LATENT", from, 0}},
                    {"LATENT"});
      if (chance(3)) latent = node("Reroute", "", {{"", "*", latent, 0}}, {"LATENT"});
      if (chance(5)) {
        latent = node("LatentUpscaleBy", R"("mode":4,"widgets_values":["nearest-exact",1.5],)",
                      {{"samples", "LATENT", latent, 0}}, {"LATENT"});
      }
      if (chance(3) || i + 1 == samplers) save(latent, vae);
    }
    return dress(finish());
  }

  /// The same idea as an API prompt, its inputs in any order.
  std::string prompt() {
    const int samplers = pick(2, 6), models = pick(1, 3);
    std::string text =
        R"("1":{"class_type":"EmptyLatentImage","inputs":{"width":512,"height":512,)"
        R"("batch_size":1}},"2":{"class_type":"VAELoader","inputs":{"vae_name":"v"}})";
    for (int i = 0; i < models; ++i) {
      text += fmt::format(R"(,"{}":{{"class_type":"UNETLoader","inputs":{{"unet_name":"m{}.gguf",)"
                          R"("weight_dtype":"default"}},"_meta":{{"title":"m"}}}})",
                          10 + i, i);
    }
    int latent = 1;
    for (int i = 0; i < samplers; ++i) {
      std::vector<std::string> inputs{fmt::format(R"("model":["{}",0])", 10 + pick(0, models - 1)),
                                      fmt::format(R"("latent_image":["{}", 0])", latent),
                                      R"("seed":18446744073709551615)", R"("cfg":1.50)",
                                      R"("steps":4)"};
      for (int k = static_cast<int>(inputs.size()) - 1; k > 0; --k) {
        std::swap(inputs[k], inputs[pick(0, k)]);
      }
      latent = 100 + 7 * i;
      text += fmt::format(R"(,"{}":{{"class_type":"KSampler","inputs":{{{}}}}})", latent,
                          fmt::join(inputs, ","));
      if (chance(3) || i + 1 == samplers) {
        text += fmt::format(
            R"(,"{0}":{{"class_type":"VAEDecode","inputs":{{"samples":["{1}",0],"vae":["2",0]}}}})"
            R"(,"{2}":{{"inputs":{{"images":["{0}",0],"filename_prefix":"x"}},)"
            R"("class_type":"SaveImage"}})",
            latent + 1, latent, latent + 2);
      }
    }
    text = "{" + text + "}";
    if (chance(3)) text = R"({"client_id":"x","prompt":)" + text + "}";
    return dress(text);
  }

  int pick(int low, int high) { return *rc::gen::inRange(low, high + 1); }
  bool chance(int of) { return pick(1, of) == of; }

 private:
  struct Input {
    std::string name, type;
    int from, slot;
  };

  void start() {
    nodes_.clear(), links_.clear(), outputs_.clear();
    inside_ = chance(3);
    base_ = chance(4) ? 5000 : 1;
  }

  int node(const std::string& type, const std::string& more, const std::vector<Input>& inputs,
           const std::vector<std::string>& outputs) {
    const int id = base_ + static_cast<int>(nodes_.size());
    std::string in, out;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      const Input& input = inputs[i];
      const int link = static_cast<int>(links_.size()) + 1;
      in += fmt::format(R"({}{{"name":"{}","type":"{}","link":{}}})", i ? "," : "", input.name,
                        input.type, link);
      links_.push_back({link, input.from, input.slot, id, int(i), input.type});
      outputs_[input.from].push_back(link);
    }
    for (const std::string& output : outputs) {
      out += fmt::format(R"({}{{"name":"{}","type":"{}","links":@{}@}})", out.empty() ? "" : ",",
                         output, output, id);
    }
    nodes_.push_back(fmt::format(
        R"({{"id":{},"type":"{}","pos":[{},{}],"size":[210,82],"flags":{{}},"order":{},{}"mode":0,)"
        R"("inputs":[{}],"outputs":[{}],"properties":{{}}}})",
        id, type, 300 * int(nodes_.size()) + pick(-50, 50), pick(0, 400), nodes_.size(),
        more.find("\"mode\"") == more.npos ? more : "", in, out));
    if (more.find("\"mode\"") != more.npos) {
      std::string& text = nodes_.back();
      text.replace(text.find("\"mode\":0,"), 9, more);
    }
    return id;
  }

  void save(int latent, int vae) {
    const int decode = node("VAEDecode", "",
                            {{"samples", "LATENT", latent, 0}, {"vae", "VAE", vae, 0}}, {"IMAGE"});
    node("SaveImage", R"("widgets_values":["ComfyUI"],)", {{"images", "IMAGE", decode, 0}}, {});
  }

  std::string finish() {
    std::string nodes, links;
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      std::string text = nodes_[i];
      const std::string mark = fmt::format("@{}@", base_ + int(i));
      for (auto at = text.find(mark); at != text.npos; at = text.find(mark)) {
        text.replace(at, mark.size(),
                     fmt::format("[{}]", fmt::join(outputs_[base_ + int(i)], ",")));
      }
      nodes += (i ? "," : "") + text;
    }
    for (const Link& link : links_) {
      links += links.empty() ? "" : ",";
      links += inside_
                   ? fmt::format(R"({{"id":{},"origin_id":{},"origin_slot":{},"target_id":{},)"
                                 R"("target_slot":{},"type":"{}"}})",
                                 link.id, link.from, link.slot, link.to, link.to_slot, link.type)
                   : fmt::format(R"([{},{},{},{},{},"{}"])", link.id, link.from, link.slot, link.to,
                                 link.to_slot, link.type);
    }
    const int last_node = chance(4) ? 3 : base_ + int(nodes_.size()) - 1;
    const int last_link = chance(4) ? 2 : int(links_.size());
    if (!inside_) {
      return fmt::format(R"({{"last_node_id":{},"last_link_id":{},"nodes":[{}],"links":[{}],)"
                         R"("groups":[{{"title":"g","bounding":[0,-100,5000,700]}}],"version":0.4,)"
                         R"("extra":{{"x":NaN,"y":1e400}}}})",
                         last_node, last_link, nodes, links);
    }
    const std::string instances =
        chance(3) ? R"({"id":9001,"type":"sub","inputs":[],"outputs":[],"mode":0},)" : "";
    return fmt::format(
        R"({{"nodes":[{}{{"id":9000,"type":"sub","inputs":[],"outputs":[],"mode":0}}],"links":[],)"
        R"("last_node_id":9001,"last_link_id":0,"version":0.4,"definitions":{{"subgraphs":[{{)"
        R"("id":"sub","name":"both passes","state":{{"lastNodeId":{},"lastLinkId":{}}},)"
        R"("inputNode":{{"id":-10,"bounding":[-200,0,100,50]}},)"
        R"("outputNode":{{"id":-20,"bounding":[9000,0,100,50]}},"inputs":[],"outputs":[],)"
        R"("nodes":[{}],"links":[{}]}}]}}}})",
        instances, last_node, last_link, nodes, links);
  }

  /// Random indentation, colons, commas and line ends.
  std::string dress(const std::string& text) {
    Style style;
    style.lines = chance(2);
    style.flat_numbers = chance(2);
    style.unit = chance(3) ? "\t" : std::string(std::size_t(pick(1, 4)), ' ');
    style.newline = chance(4) ? "\r\n" : "\n";
    style.colon = chance(2) ? ": " : ":";
    style.comma = chance(2) ? ", " : ",";
    return restyle(text, style) + (chance(2) ? "\n" : "");
  }

  struct Link {
    int id, from, slot, to, to_slot;
    std::string type;
  };
  std::vector<std::string> nodes_;
  std::vector<Link> links_;
  std::map<int, std::vector<int>> outputs_;
  bool inside_ = false;
  int base_ = 1;
};

/// What a patch of this text does against the rules, a failure a line.
std::string broken_rules(const std::string& text, bool everything) {
  testing::TestPartResultArray results;
  {
    const testing::ScopedFakeTestPartResultReporter reporter(
        testing::ScopedFakeTestPartResultReporter::INTERCEPT_ONLY_CURRENT_THREAD, &results);
    const auto workflow = parse_workflow(text, "random.json");
    EXPECT_TRUE(workflow.ok()) << to_string(workflow.error());
    if (workflow) {
      const auto wish = everything ? test::everything_wish(*workflow) : test::unload_wish();
      const auto checked = test::check_rules(text, "random.json", wish);
      EXPECT_TRUE(checked.read);
      RC_CLASSIFY(!checked.patch.changes_nothing(), "patched");
    }
  }
  std::string failures;
  for (int i = 0; i < results.size(); ++i) {
    const auto& result = results.GetTestPartResult(i);
    if (result.failed()) failures += std::string(result.message()) + "\n";
  }
  return failures;
}

RC_GTEST_PROP(PatchProperties, HoldForRandomWorkflows, ()) {
  Generator generator;
  const std::string text = generator.chance(3) ? generator.prompt() : generator.graph();
  RC_TAG(text.size() < 4000 ? "small" : "large");
  const std::string failures = broken_rules(text, generator.chance(2));
  if (!failures.empty()) RC_FAIL(failures + text);
}

// A node before a bypassed one, which two samplers read: the file's order was not the one proved.
TEST(PatchProperties, HoldForWhatOnceFailed) {
  const auto text = test::slurp(test::source_dir() / "tests/data/patch/shared_before_bypass.json");
  for (const bool everything : {false, true}) {
    const auto workflow = parse_workflow(text, "once.json");
    ASSERT_TRUE(workflow.ok());
    const auto wish = everything ? test::everything_wish(*workflow) : test::unload_wish();
    EXPECT_TRUE(test::check_rules(text, "once.json", wish).read);
  }
}

}  // namespace
}  // namespace ebb
