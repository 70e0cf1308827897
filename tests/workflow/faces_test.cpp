// SPDX-License-Identifier: Apache-2.0
// What front ends of different releases send of one graph: values on the faces of subgraphs,
// widgets that came or went, and files that are later than the definitions.
#include <gtest/gtest.h>

#include "tests/workflow/graphs.h"

namespace ebb {
namespace {

using test::graph;
using test::input_value;

/// A subgraph with an EmptyLatentImage of 512x512 whose width and height are on its face.
std::string size_graph(const std::string& instance, const std::string& extra = "",
                       const std::string& inner = "") {
  return graph(
      R"({"id":1,"type":"size","inputs":[{"name":"width","type":"INT","widget":{"name":"width"}},
          {"name":"height","type":"INT","widget":{"name":"height"}}],
          "outputs":[{"name":"LATENT","type":"LATENT","links":[1]}],)" +
          instance + R"(},
         {"id":2,"type":"SaveLatent","inputs":[{"name":"samples","type":"LATENT","link":1}],
          "widgets_values":["x"]})",
      R"([1,1,0,2,0,"LATENT"])",
      R"("extra":{)" + extra + R"(},"definitions":{"subgraphs":[{"id":"size","name":"Size",
          "inputs":[{"name":"width","type":"INT","linkIds":[1]},
                    {"name":"height","type":"INT","linkIds":[2]}],
          "outputs":[{"name":"LATENT","type":"LATENT","linkIds":[3]}],
          "nodes":[{"id":5,"type":"EmptyLatentImage","widgets_values":[512,512,1],)" +
          inner +
          R"("inputs":[{"name":"width","type":"INT","widget":{"name":"width"},"link":1},
             {"name":"height","type":"INT","widget":{"name":"height"},"link":2}]}],
          "links":[{"id":1,"origin_id":-10,"origin_slot":0,"target_id":5,"target_slot":0},
                   {"id":2,"origin_id":-10,"origin_slot":1,"target_id":5,"target_slot":1},
                   {"id":3,"origin_id":5,"origin_slot":0,"target_id":-20,"target_slot":0}]}]})");
}

Prompt today(const std::string& json) {
  const auto workflow = parse_workflow(json, "test.json");
  EXPECT_TRUE(workflow.ok());
  PromptOptions options;
  options.version_assumed = true;
  auto prompt = to_prompt(*workflow, options);
  EXPECT_TRUE(prompt.ok()) << (prompt.ok() ? "" : to_string(prompt.error()));
  return prompt ? std::move(*prompt) : Prompt{};
}

std::string size_of(const Prompt& prompt) {
  return input_value(prompt, "1:5", "width") + "x" + input_value(prompt, "1:5", "height") + "x" +
         input_value(prompt, "1:5", "batch_size");
}

TEST(Faces, TheirValuesAreSentSince146) {
  const std::string json = size_graph(R"("widgets_values":[2048,1536])");
  EXPECT_EQ(size_of(today(json)), "2048x1536x1");
  EXPECT_EQ(size_of(*test::try_convert(json, {0, 29, 0})), "2048x1536x1");
  EXPECT_EQ(size_of(*test::try_convert(json, {0, 28, 0})), "512x512x1");
  EXPECT_EQ(size_of(*test::try_convert(json, {0, 18, 2})), "512x512x1");
}

TEST(Faces, ShortListsNullAndObjects) {
  EXPECT_EQ(size_of(today(size_graph(R"("widgets_values":[2048])"))), "2048x512x1");
  EXPECT_EQ(size_of(today(size_graph(R"("widgets_values":[])"))), "512x512x1");
  EXPECT_EQ(size_of(today(size_graph(R"("mode":0)"))), "512x512x1");
  EXPECT_EQ(size_of(today(size_graph(R"("widgets_values":[null,1536])"))), "nullx1536x1");
  EXPECT_EQ(size_of(today(size_graph(R"("widgets_values":{"0":77})"))), "77x512x1");
}

TEST(Faces, ProxyWidgetsSayWhoseTheValuesAre) {
  const auto with = [](const std::string& proxies, const std::string& values) {
    return size_of(today(size_graph(R"("properties":{"proxyWidgets":)" + proxies +
                                    R"(},"widgets_values":)" + values)));
  };
  EXPECT_EQ(with(R"([["-1","width"],["-1","height"]])", "[2048,1536]"), "2048x1536x1");
  EXPECT_EQ(with(R"([["5","height"],["5","width"]])", "[111,222]"), "222x111x1");
  // What is on the face besides the definition's inputs becomes one of them.
  EXPECT_EQ(with(R"([["5","batch_size"],["-1","width"]])", "[7,2048]"), "2048x2048x7");
  EXPECT_EQ(with(R"([["5","control_after_generate"],["9","gone"]])", "[]"), "512x512x1");
  EXPECT_EQ(with(R"([[5,"batch_size"]])", "[7]"), "7x512x1") << "no list of texts: not read";
}

TEST(Faces, EveryInstanceHasItsOwn) {
  std::string json = size_graph(R"("widgets_values":[2048,1536])");
  const std::string second =
      R"({"id":7,"type":"size","widgets_values":[300],"outputs":[{"links":[4]}]},
         {"id":8,"type":"SaveLatent","inputs":[{"name":"samples","type":"LATENT","link":4}]},)";
  json.replace(json.find("{\"id\":1,"), 0, second);
  json.replace(json.find("[1,1,0,2"), 0, R"([4,7,0,8,0,"LATENT"],)");
  const Prompt prompt = today(json);
  EXPECT_EQ(size_of(prompt), "2048x1536x1");
  EXPECT_EQ(input_value(prompt, "7:5", "width"), "300");
  EXPECT_EQ(input_value(prompt, "7:5", "height"), "512");
}

TEST(Faces, WhatNothingDecidesIsUncertain) {
  const std::string values = R"("widgets_values":[2048,512])";
  const auto doubts = [](const Prompt& prompt) {
    std::string text;
    for (const Uncertain& entry : prompt.uncertain) text += entry.node + " " + entry.input + ";";
    return text;
  };
  EXPECT_EQ(doubts(today(size_graph(values))), "1:5 width;");
  EXPECT_EQ(doubts(today(size_graph(values, R"("frontendVersion":"1.45.21")"))), "1:5 width;");
  EXPECT_EQ(doubts(today(size_graph(values, R"("frontendVersion":"1.46.15")"))), "");
  const std::string made = R"("properties":{"cnr_id":"comfy-core","ver":"0.29.0"},)";
  EXPECT_EQ(doubts(today(size_graph(values, "", made))), "");
  EXPECT_EQ(doubts(*test::try_convert(size_graph(values), {0, 33, 0})), "");
  EXPECT_EQ(doubts(*test::try_convert(size_graph(values), {0, 18, 2})), "");
}

TEST(FrontEnd, AListOfTypesWithAWidgetTypeIsAWidget) {
  const Prompt prompt =
      today(graph(R"({"id":1,"type":"LTXVEmptyLatentAudio","widgets_values":[97,24,3]})"));
  EXPECT_EQ(input_value(prompt, "1", "frame_rate"), "24");
  EXPECT_EQ(input_value(prompt, "1", "batch_size"), "3");
}

TEST(FrontEnd, WidgetsThatAreNoLongerSent) {
  const std::string json = graph(R"({"id":1,"type":"PreviewAny","widgets_values":[null,null,null]},
      {"id":2,"type":"LoadAudio","widgets_values":["a.mp3",null,null]})");
  EXPECT_EQ(test::input_names(today(json), "1"), "");
  EXPECT_EQ(test::input_names(today(json), "2"), "audio");
  const auto names = [&](ComfyVersion version, const char* id) {
    return test::input_names(*test::try_convert(json, version), id);
  };
  EXPECT_EQ(names({0, 20, 0}, "1"), "preview_markdown preview_text previewMode");
  EXPECT_EQ(names({0, 21, 0}, "1"), "");
  EXPECT_EQ(names({0, 28, 0}, "2"), "audio audioUI");
  EXPECT_EQ(names({0, 29, 0}, "2"), "audio");
}

TEST(FrontEnd, ATextAreaHoldsTexts) {
  const auto text = [](const std::string& value, ComfyVersion version) {
    const auto prompt = test::try_convert(
        graph(R"({"id":1,"type":"PrimitiveStringMultiline","widgets_values":[)" + value + "]}"),
        version);
    return input_value(*prompt, "1", "value");
  };
  EXPECT_EQ(text("5.5", {0, 33, 0}), "\"5.5\"");
  EXPECT_EQ(text("5.5", {0, 18, 2}), "5.5");
  EXPECT_EQ(text("null", {0, 33, 0}), "\"\"");
  EXPECT_EQ(text("null", {0, 18, 2}), "\"\"");
}

TEST(FrontEnd, AWidgetWhoseNameBeginsWithControlHasASocket) {
  const Prompt prompt = today(graph(
      R"({"id":1,"type":"PrimitiveString","widgets_values":["a"],"outputs":[{"links":[1]}]},
         {"id":2,"type":"ControlNetLoader","widgets_values":["b"],"inputs":
          [{"name":"control_net_name","type":"COMBO","widget":{"name":"control_net_name"},
            "link":1}]})",
      R"([1,1,0,2,0,"COMBO"])"));
  EXPECT_EQ(input_value(prompt, "2", "control_net_name"), "-> 1:0");
  EXPECT_EQ(test::input_names(prompt, "2"), "control_net_name");
}

/// CreateVideo of 0.33.0 has fps and bit_depth; this file is of one that has another between.
std::string later_graph(const std::string& extra) {
  return graph(
      R"({"id":1,"type":"CreateVideo","widgets_values":[24,"auto",10],
          "widgets_values_named":{"fps":24,"codec":"auto","bit_depth":10},
          "outputs":[{"links":[1]}]},
         {"id":2,"type":"SaveVideo","inputs":[{"name":"video","type":"VIDEO","link":1}]})",
      R"([1,1,0,2,0,"VIDEO"])", R"("extra":{)" + extra + "}");
}

TEST(LaterFile, AWidgetThatCameLaterShiftsNothing) {
  const Prompt later = today(later_graph(R"("frontendVersion":"1.55.0")"));
  EXPECT_EQ(input_value(later, "1", "bit_depth"), "10");
  EXPECT_TRUE(later.refused.empty());
  EXPECT_FALSE(later.uncertain.empty());
  const Prompt earlier = today(later_graph(R"("frontendVersion":"1.47.10")"));
  EXPECT_EQ(input_value(earlier, "1", "bit_depth"), "\"auto\"") << "as the front end does it";
}

TEST(LaterFile, IsNotRefusedByOlderDefinitions) {
  const auto steps = [](const std::string& extra) {
    return graph(R"({"id":1,"type":"EmptyLatentImage","widgets_values":[512,512,99999],
                     "outputs":[{"links":[1]}]},
                    {"id":2,"type":"SaveLatent","inputs":[{"name":"samples","type":"LATENT",
                     "link":1}]})",
                 R"([1,1,0,2,0,"LATENT"])", R"("extra":{)" + extra + "}");
  };
  EXPECT_EQ(today(steps("")).refused.size(), 1U);
  EXPECT_EQ(today(steps(R"("frontendVersion":"1.48.7")")).refused.size(), 1U);
  const Prompt later = today(steps(R"("frontendVersion":"1.58.1")"));
  EXPECT_TRUE(later.refused.empty());
  ASSERT_EQ(later.uncertain.size(), 1U);
  EXPECT_EQ(later.uncertain[0].input, "batch_size");
  EXPECT_TRUE(test::try_convert(steps(""), {0, 43, 0})->refused.empty());
  EXPECT_EQ(test::try_convert(steps(""), {0, 30, 0})->refused.size(), 1U) << "both tables refuse";
}

TEST(LaterFile, WhatTheNewestTakesIsNotRefused) {
  const std::string json = graph(
      R"({"id":1,"type":"TextGenerate","widgets_values":["hello",4096,"off",false,true],
          "outputs":[{"links":[1]}]},
         {"id":2,"type":"PreviewAny","inputs":[{"name":"source","type":"*","link":1}],
          "outputs":[{"type":"STRING","links":[2]}]},
         {"id":3,"type":"PreviewAny","inputs":[{"name":"source","type":"*","link":2}]})",
      R"([1,1,0,2,0,"STRING"],[2,2,0,3,0,"STRING"])");
  EXPECT_TRUE(today(json).refused.empty());
  EXPECT_FALSE(test::try_convert(json, {0, 18, 2})->refused.empty());
}

TEST(LaterFile, AnUnknownKeyOfADynamicComboLeavesNoMembersOfAnother) {
  const Prompt prompt = *test::try_convert(
      graph(R"({"id":1,"type":"ByteDanceSeedreamNodeV3","widgets_values":["p","new",1,2,3,4]})"),
      {0, 33, 0});
  EXPECT_EQ(test::input_names(prompt, "1"), "prompt model");
}

}  // namespace
}  // namespace ebb
