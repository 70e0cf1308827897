// SPDX-License-Identifier: Apache-2.0
// What is uncertain is said, value by value; a value that nothing names is never sent.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "json/document.h"
#include "tests/support.h"
#include "tests/workflow/graphs.h"
#include "workflow/js_value.h"
#include "workflow/pack_table.h"

namespace ebb {
namespace {

using test::convert;
using test::graph;
using test::input_value;
using test::one_node;

/// `node input: why` for every entry, joined by line breaks.
std::string doubts(const Prompt& prompt) {
  std::string text;
  for (const Uncertain& entry : prompt.uncertain) {
    text += fmt::format("{} {}: {}\n", entry.node, entry.input, entry.why);
  }
  return text;
}

TEST(Uncertain, IsNothingWhereAllIsKnown) {
  EXPECT_EQ(doubts(one_node("KSampler", R"([1,"fixed",20,8,"euler","normal",1])")), "");
}

TEST(Uncertain, SeedsBeyondFiftyThreeBitsAreRoundedAndReported) {
  const Prompt prompt =
      one_node("KSampler", R"([18446744073709551615,"fixed",20,8,"euler","normal",1])");
  EXPECT_EQ(input_value(prompt, "1", "seed"), "18446744073709552000");
  EXPECT_EQ(doubts(prompt), "1 seed: an integer beyond 2^53 is rounded, as a browser does it\n");
  EXPECT_EQ(doubts(one_node("KSampler", R"([9007199254740993,"fixed",20,8,"euler","normal",1])")),
            "1 seed: an integer beyond 2^53 is rounded, as a browser does it\n");
  EXPECT_EQ(doubts(one_node("KSampler", R"([9007199254740994,"fixed",20,8,"euler","normal",1])")),
            "");
}

TEST(Uncertain, ARoundedSeedOfAPrimitiveIsReportedWhereItArrives) {
  const Prompt prompt = convert(graph(
      R"({"id":1,"type":"PrimitiveNode","outputs":[{"type":"INT","links":[1]}],
          "widgets_values":[9007199254740993,"fixed"]},
         {"id":2,"type":"KSampler","inputs":[{"name":"seed","type":"INT","link":1,
          "widget":{"name":"seed"}}],"widgets_values":[0,"fixed",20,8,"euler","normal",1]})",
      R"([1,1,0,2,0,"INT"])"));
  EXPECT_EQ(doubts(prompt), "2 seed: an integer beyond 2^53 is rounded, as a browser does it\n");
}

TEST(Uncertain, RandomTextsAndTheTimeAreReported) {
  EXPECT_EQ(doubts(one_node("CLIPTextEncode", R"(["a {red|blue} cat"])")),
            "1 text: the first of {a|b} is taken; ComfyUI takes a random one\n");
  EXPECT_EQ(doubts(one_node("SaveImage", R"(["%date:yyyy%/x"])")),
            "1 filename_prefix: it holds the time of the conversion\n");
}

TEST(Uncertain, WhatTheFrontEndComputesElsewhereIsReported) {
  EXPECT_EQ(doubts(one_node("LoadImageOutput", R"(["a.png [output]"])")),
            "1 image: the newest picture of the output folder\n");
}

TEST(Uncertain, ClassesThatCameLaterAreReportedOnce) {
  const auto workflow = parse_workflow(
      graph(R"({"id":1,"type":"BatchImagesNode","widgets_values":[]})"), "test.json");
  ASSERT_TRUE(workflow.ok());
  const auto prompt = to_prompt(*workflow, ComfyVersion{0, 3, 64});
  ASSERT_TRUE(prompt.ok());
  EXPECT_EQ(doubts(*prompt),
            "1 : the class came later than the wanted ComfyUI; its later definition is used\n");
}

TEST(Uncertain, DanglingLinksOfAPromptAreReported) {
  const Prompt prompt = convert(R"({"1":{"class_type":"VAEDecode","inputs":{"vae":["7",0]}}})");
  EXPECT_EQ(doubts(prompt), "1 vae: linked to node 7, which does not exist\n");
}

// ---- classes of packs ------------------------------------------------------------------------

TEST(Packs, ValuesAreNamedAsOtherFilesNameThem) {
  const Prompt prompt = one_node("UnetLoaderGGUF", R"(["x-Q4_K_M.gguf"])");
  EXPECT_EQ(input_value(prompt, "1", "unet_name"), "\"x-Q4_K_M.gguf\"");
  EXPECT_EQ(doubts(prompt), "1 unet_name: the class is unknown; position by the pack table\n");
}

TEST(Packs, TheExtraPlaceOfASeedIsToldByTheLength) {
  const Prompt prompt = one_node("Seed (rgthree)", R"([7,"fixed"])");
  EXPECT_EQ(input_value(prompt, "1", "seed"), "7");
}

TEST(Packs, AListWhoseKindsDoNotFitIsLeftOutValueByValue) {
  const Prompt prompt = one_node("UnetLoaderGGUF", R"([3,"x"])");
  EXPECT_EQ(doubts(prompt),
            "1 widgets_values[0]: left out: the class is unknown, nothing names it\n"
            "1 widgets_values[1]: left out: the class is unknown, nothing names it\n");
  EXPECT_TRUE(prompt.nodes[0].inputs.empty());
}

TEST(Packs, ALoaderIsNamedLikeTheClassItStandsInFor) {
  const Prompt prompt = one_node("CLIPLoaderGGUF", R"(["t5.gguf","wan"])");
  EXPECT_EQ(input_value(prompt, "1", "clip_name"), "\"t5.gguf\"");
  EXPECT_EQ(input_value(prompt, "1", "type"), "\"wan\"");
  EXPECT_EQ(prompt.uncertain.size(), 2u);
}

TEST(Packs, EachRowOfThePowerLoraLoaderHasItsNumber) {
  const Prompt prompt =
      one_node("Power Lora Loader (rgthree)",
               R"([{},{"type":"PowerLoraLoaderHeaderWidget"},{"on":true,"lora":"a.safetensors",
                   "strength":1},{"on":false,"lora":"b.safetensors","strength":1},{},""])");
  EXPECT_EQ(test::input_names(prompt, "1"),
            "PowerLoraLoaderHeaderWidget lora_1 lora_2 \u2795 Add Lora");
}

TEST(Packs, AFileNameThatTakesAGuessedValueIsOneToo) {
  const Prompt prompt = convert(graph(
      R"j({"id":1,"type":"Seed (rgthree)","title":"S","widgets_values":[7]},
         {"id":2,"type":"SaveImage","widgets_values":["a%S.seed%"]})j"));
  EXPECT_EQ(input_value(prompt, "2", "filename_prefix"), "\"a7\"");
  EXPECT_EQ(prompt.uncertain.back().why, "it holds a value of another node, which is a guess");
}

TEST(Packs, APrimitiveReachesAWidgetThatNothingElseNames) {
  const Prompt prompt = convert(graph(
      R"({"id":1,"type":"PrimitiveNode","outputs":[{"type":"INT","links":[1]}],
          "widgets_values":[42,"fixed"]},
         {"id":2,"type":"NobodyKnows","inputs":[{"name":"n","type":"INT","link":1,
          "widget":{"name":"n"}}],"widgets_values":[0,1,2]})",
      R"([1,1,0,2,0,"INT"])"));
  EXPECT_EQ(input_value(prompt, "2", "n"), "42");
}

TEST(Packs, TheTableIsSortedSoThatEveryClassIsFound) {
  for (const char* name : {"UnetLoaderGGUF", "VAELoaderKJ", "INTConstant", "LoaderGGUF"}) {
    EXPECT_TRUE(find_pack_class(name)) << name;
  }
  EXPECT_FALSE(find_pack_class("KSampler"));
  EXPECT_FALSE(find_pack_class(""));
}

/// The values of unknown classes that are sent, as `class name` -> JSON texts.
std::map<std::string, std::string> guesses(const Prompt& prompt) {
  std::map<std::string, std::string> values;
  for (const PromptNode& node : prompt.nodes) {
    for (const PromptInput& input : node.inputs) {
      if (!node.known && !input.link) values[node.id + " " + input.name] = input.value;
    }
  }
  return values;
}

TEST(Packs, EveryValueOfAnUnknownClassInTheCorpusIsReported) {
  EBB_NEED_SHARED();
  std::size_t sent = 0;
  for (const std::string& file : test::corpus_files()) {
    const auto workflow = read_workflow(file);
    if (!workflow || workflow->format() != WorkflowFormat::ui_graph) continue;
    const auto prompt = to_prompt(*workflow);
    if (!prompt) continue;
    std::set<std::string> reported;
    for (const Uncertain& doubt : prompt->uncertain) {
      reported.insert(doubt.node + " " + doubt.input);
    }
    for (const auto& [key, value] : guesses(*prompt)) {
      ++sent;
      EXPECT_TRUE(reported.contains(key)) << file << " " << key;
    }
  }
  fmt::print("  {} values of unknown classes are sent and reported\n", sent);
  EXPECT_GT(sent, 3'000u);
}

// ---- a server's own definitions --------------------------------------------------------------

constexpr const char* kInfo = R"({"MyLoader":{"input":{"required":{"file":[["a.gguf","b.gguf"]],
  "seed":["INT",{"default":1,"control_after_generate":true}],"model":["MODEL"]},
  "optional":{"on":["BOOLEAN",{"default":true}]}},
  "input_order":{"required":["file","model","seed"],"optional":["on"]},
  "output":["MODEL"],"output_node":false,"display_name":"My Loader"}})";

TEST(ObjectInfo, AClassOfAPackIsConvertedWithoutAGuess) {
  const auto definitions = parse_definitions(kInfo, "info.json");
  ASSERT_TRUE(definitions.ok()) << to_string(definitions.error());
  PromptOptions options;
  options.definitions = &*definitions;
  const auto workflow = parse_workflow(
      graph(R"({"id":1,"type":"MyLoader","widgets_values":["c.gguf",5,"fixed",false]})"), "f");
  const auto prompt = to_prompt(*workflow, options);
  ASSERT_TRUE(prompt.ok());
  EXPECT_EQ(test::input_names(*prompt, "1"), "file seed on");
  EXPECT_EQ(input_value(*prompt, "1", "seed"), "5");
  EXPECT_EQ(input_value(*prompt, "1", "on"), "false");
  EXPECT_EQ(prompt->nodes[0].title, "My Loader");
  EXPECT_EQ(doubts(*prompt), "");
}

TEST(ObjectInfo, WhatIsNoSuchAnswerIsRefused) {
  EXPECT_FALSE(parse_definitions("{}", "x").ok());
  EXPECT_FALSE(parse_definitions("[1]", "x").ok());
  EXPECT_FALSE(parse_definitions("{\"a\":{\"input\":3}}", "x").ok());
}

/// Reading the recorded answer gives the same prompts as the table made from it.
TEST(ObjectInfo, GivesThePromptsOfTheTableMadeFromIt) {
  EBB_NEED_SHARED();
  const auto reference = *test::shared_dir() / "reference";
  const auto definitions =
      parse_definitions(test::slurp(reference / "object_info/0.18.2.json.gz"), "info");
  ASSERT_TRUE(definitions.ok());
  PromptOptions plain({0, 18, 2}), own({0, 18, 2});
  own.definitions = &*definitions;
  int compared = 0;
  for (const std::string& file : test::corpus_files()) {
    const auto workflow = read_workflow(file);
    if (!workflow || workflow->format() != WorkflowFormat::ui_graph) continue;
    const auto a = to_prompt(*workflow, plain), b = to_prompt(*workflow, own);
    ASSERT_EQ(a.ok(), b.ok());
    if (!a) continue;
    const bool leaves_out = doubts(*a).find("default text") != std::string::npos;
    if (leaves_out) continue;  // a long text, which the answer has and the table lacks
    ++compared;
    EXPECT_EQ(to_json(*a), to_json(*b)) << file;
  }
  EXPECT_GT(compared, 800);
}

TEST(Repair, DropsTheLinkThatTheFrontEndRefusesAndSaysSo) {
  const auto workflow = parse_workflow(
      graph(R"({"id":1,"type":"VAEDecode","inputs":[{"name":"vae","type":"VAE","link":9}]})"), "f");
  PromptOptions options;
  EXPECT_FALSE(to_prompt(*workflow, options).ok());
  options.repair = true;
  const auto prompt = to_prompt(*workflow, options);
  ASSERT_TRUE(prompt.ok());
  EXPECT_EQ(input_value(*prompt, "1", "vae"), "absent");
  ASSERT_EQ(prompt->uncertain.size(), 1u);
  EXPECT_EQ(prompt->uncertain[0].input, "vae");
  const auto api = parse_workflow(R"({"1":{"class_type":"X","inputs":{"a":["2",0],"b":1}}})", "f");
  EXPECT_EQ(test::input_names(*to_prompt(*api, options), "1"), "b");
}

// ---- which part of a file ---------------------------------------------------------------------

TEST(Part, ThePromptOrTheGraphIsTakenAsWanted) {
  const std::string both = R"({"prompt":{"1":{"class_type":"A","inputs":{}}},
    "extra_data":{"extra_pnginfo":{"workflow":{"nodes":[],"links":[]}}}})";
  const auto prompt = parse_workflow(both, "f", WorkflowPart::prompt);
  ASSERT_TRUE(prompt.ok());
  EXPECT_EQ(prompt->format(), WorkflowFormat::api_prompt);
  const auto drawn = parse_workflow(both, "f", WorkflowPart::graph);
  ASSERT_TRUE(drawn.ok()) << to_string(drawn.error());
  EXPECT_EQ(drawn->format(), WorkflowFormat::ui_graph);
  const auto none = parse_workflow(graph(""), "f", WorkflowPart::prompt);
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().message, "has a graph but no prompt");
}

}  // namespace
}  // namespace ebb
