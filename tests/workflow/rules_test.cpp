// SPDX-License-Identifier: Apache-2.0
// The conversion rule by rule, on graphs small enough to see why.
#include <gtest/gtest.h>

#include "tests/support.h"
#include "tests/workflow/graphs.h"

namespace ebb {
namespace {

using test::convert;
using test::graph;
using test::ids;
using test::input_names;
using test::input_value;
using test::one_node;
using test::try_convert;

const std::string kSampler =
    R"({"id":3,"type":"KSampler","widgets_values":[7,"fixed",4,1.5,"euler","simple",1],"inputs":[
       {"name":"latent_image","link":2},{"name":"model","link":1}]})";

// ---- shape and order --------------------------------------------------------------------------

TEST(Rules, WidgetsComeFirstThenSocketsInTheOrderOfTheDefinition) {
  const Prompt prompt = convert(graph(kSampler + R"(,{"id":1,"type":"UNETLoader","outputs":[{}]},
      {"id":2,"type":"EmptyLatentImage"})",
                                      R"([1,1,0,3,0,"MODEL"],[2,2,0,3,3,"LATENT"])"));
  EXPECT_EQ(input_names(prompt, "3"),
            "seed steps cfg sampler_name scheduler denoise model latent_image");
  EXPECT_EQ(input_value(prompt, "3", "model"), "-> 1:0");
  EXPECT_EQ(input_value(prompt, "3", "cfg"), "1.5");
}

TEST(Rules, ALinkedWidgetKeepsItsPlace) {
  const Prompt prompt = convert(graph(R"({"id":3,"type":"KSampler","inputs":[
      {"name":"steps","link":1,"widget":{"name":"steps"}}]},{"id":1,"type":"PrimitiveInt"})",
                                      R"([1,1,0,3,0,"INT"])"));
  EXPECT_EQ(input_value(prompt, "3", "steps"), "-> 1:0");
  EXPECT_EQ(input_names(prompt, "3"), "seed steps cfg sampler_name scheduler denoise");
}

TEST(Rules, IdsThatLookLikeIndicesComeFirstAscending) {
  std::string nodes;
  for (const char* id : {"\"abc\"", "30", "4", "\"-5\"", "\"007\"", "\"5\""}) {
    nodes += (nodes.empty() ? "" : ",") + std::string("{\"id\":") + id + ",\"type\":\"VAELoader\"}";
  }
  EXPECT_EQ(ids(convert(graph(nodes))), "4 5 30 abc -5 007");
}

TEST(Rules, OfTwoRootNodesWithOneIdTheLastWins) {
  const Prompt prompt = convert(graph(R"({"id":1,"type":"VAELoader","widgets_values":["a"]},
                                         {"id":1,"type":"VAELoader","widgets_values":["b"]})"));
  EXPECT_EQ(prompt.nodes.size(), 1u);
  EXPECT_EQ(input_value(prompt, "1", "vae_name"), "\"b\"");
}

TEST(Rules, TitlesAreTheFilesElseTheClasss) {
  EXPECT_EQ(convert(graph(R"({"id":1,"type":"VAELoader","title":"mine"})")).nodes[0].title, "mine");
  EXPECT_EQ(one_node("VAELoader", "[]").nodes[0].title, "Load VAE");
}

// ---- values -----------------------------------------------------------------------------------

TEST(Values, NumbersAreSpeltAsJavaScriptDoes) {
  const auto seed = [](const std::string& text) {
    return input_value(one_node("KSampler", "[" + text + "]"), "1", "seed");
  };
  EXPECT_EQ(seed("1.0"), "1");
  EXPECT_EQ(seed("1e-7"), "1e-7");
  EXPECT_EQ(seed("1e22"), "1e+22");
  EXPECT_EQ(seed("18446744073709551615"), "18446744073709552000");
  EXPECT_EQ(seed("9007199254740993"), "9007199254740992");
  EXPECT_EQ(seed("8.000000000000002"), "8.000000000000002");
  EXPECT_EQ(seed("\"text\""), "\"text\"") << "no coercion";
}

TEST(Values, TheWidgetAfterASeedIsSavedButNotSent) {
  const Prompt prompt = one_node("KSamplerAdvanced", R"(["enable",9,"randomize",20,8])");
  EXPECT_EQ(input_value(prompt, "1", "noise_seed"), "9");
  EXPECT_EQ(input_value(prompt, "1", "steps"), "20");
  EXPECT_EQ(input_value(prompt, "1", "control_after_generate"), "absent");
}

TEST(Values, ShortListsLeaveDefaultsLongOnesAreIgnored) {
  EXPECT_EQ(input_value(one_node("KSampler", "[1]"), "1", "cfg"), "8");
  EXPECT_EQ(input_value(one_node("VAELoader", R"(["v","extra",1])"), "1", "vae_name"), "\"v\"");
  EXPECT_EQ(input_names(one_node("VAELoader", R"(["v","extra",1])"), "1"), "vae_name");
}

TEST(Values, CombosKeepUnknownEntriesAndReplaceOnlyNull) {
  EXPECT_EQ(input_value(one_node("UNETLoader", R"(["no such file","x"])"), "1", "weight_dtype"),
            "\"x\"");
  EXPECT_EQ(input_value(one_node("UNETLoader", R"(["m",null])"), "1", "weight_dtype"),
            "\"default\"");
  EXPECT_EQ(input_value(one_node("UNETLoader", "[null,null]"), "1", "unet_name"), "null")
      << "an empty list has no first entry";
  EXPECT_EQ(input_value(one_node("UNETLoader", "[]"), "1", "unet_name"), "absent");
}

TEST(Values, ListsAreWrappedSoThatTheyAreNoLinks) {
  EXPECT_EQ(input_value(one_node("VAELoader", R"([["4",0]])"), "1", "vae_name"),
            R"({"__value__":["4",0]})");
}

TEST(Values, ValuesByNameAreLostOnKnownClasses) {
  const Prompt prompt = one_node("KSampler", R"({"seed":5})");
  EXPECT_EQ(input_value(prompt, "1", "seed"), "absent");
  EXPECT_EQ(input_value(prompt, "1", "sampler_name"), "\"euler\"");
  const Prompt listed = one_node("KSampler", R"({"length":1,"0":5})");
  EXPECT_EQ(input_value(listed, "1", "seed"), "5");
  EXPECT_EQ(input_value(listed, "1", "steps"), "20");
}

TEST(Values, OldSamplerNamesLoseTheirPrefix) {
  EXPECT_EQ(
      input_value(one_node("KSampler", R"([1,"fixed",1,1,"sample_euler"])"), "1", "sampler_name"),
      "\"euler\"");
}

TEST(Values, ADynamicCombosKeyBringsItsInputs) {
  const Prompt prompt = one_node("ResizeImageMaskNode", R"(["scale by multiplier",0.5,"lanczos"])");
  EXPECT_EQ(input_names(prompt, "1"), "resize_type resize_type.multiplier scale_method");
  EXPECT_EQ(input_value(prompt, "1", "scale_method"), "\"lanczos\"");
  const Prompt unknown = one_node("ResizeImageMaskNode", R"(["no such","lanczos"])");
  EXPECT_EQ(input_names(unknown, "1"), "resize_type scale_method");
}

TEST(Values, DynamicPromptsLoseCommentsAndBraces) {
  const auto text = [](const std::string& json) {
    return input_value(one_node("CLIPTextEncode", "[" + json + "]"), "1", "text");
  };
  EXPECT_EQ(text(R"("a {red|blue} cat")"), "\"a red cat\"");
  EXPECT_EQ(text(R"("{one} {a {b|c}|d}")"), "\"one a b\"");
  EXPECT_EQ(text(R"("a /* x */b // c\nd")"), R"("a b \nd")");
  EXPECT_EQ(text(R"("\\{x\\|y\\}")"), "\"{x|y}\"");
  EXPECT_EQ(input_value(one_node("SaveImage", R"(["{a|b}"])"), "1", "filename_prefix"), "\"{a|b}\"")
      << "only in dynamic prompts";
}

TEST(Values, FileNamesTakeValuesOfNamedNodes) {
  const std::string nodes = R"({"id":1,"type":"SaveImage","widgets_values":["%seed.seed%-%no.x%"]},
      {"id":2,"type":"KSampler","title":"seed","widgets_values":[12]})";
  EXPECT_EQ(input_value(convert(graph(nodes)), "1", "filename_prefix"), "\"12-%no.x%\"");
  const std::string property = R"({"id":1,"type":"SaveImage","widgets_values":["%K.vae_name%"]},
      {"id":2,"type":"VAELoader","properties":{"Node name for S&R":"K"},"widgets_values":["a/b"]})";
  EXPECT_EQ(input_value(convert(graph(property)), "1", "filename_prefix"), "\"a_b\"");
}

// ---- links ------------------------------------------------------------------------------------

TEST(Links, ALinkThatTheTableLacksIsRefusedWithItsPlace) {
  const auto prompt = try_convert(graph(kSampler, R"([1,3,0,3,0,"MODEL"])"));
  ASSERT_FALSE(prompt.ok());
  EXPECT_EQ(prompt.error().where.place, "node 3 KSampler");
  EXPECT_NE(prompt.error().message.find("link 2"), std::string::npos);
}

TEST(Links, ALinkFromNowhereIsRefused) {
  const auto prompt = try_convert(graph(kSampler, R"([1,9,0,3,0,""],[2,9,0,3,3,""])"));
  ASSERT_FALSE(prompt.ok());
  EXPECT_NE(prompt.error().message.find("does not exist"), std::string::npos);
}

TEST(Links, LinksThatNoSocketNamesAreIgnored) {
  const Prompt prompt = convert(graph(R"({"id":3,"type":"VAEDecode","inputs":[]},
      {"id":1,"type":"VAELoader"})",
                                      R"([1,1,0,3,1,"VAE"],[2,99,0,98,0,"X"])"));
  EXPECT_EQ(input_value(prompt, "3", "vae"), "absent");
}

TEST(Links, SocketsTheDefinitionLacksAreSentUnlessTheyBelongToAMissingWidget) {
  const Prompt prompt = convert(graph(R"({"id":3,"type":"VAEDecode","inputs":[
      {"name":"odd","link":1},{"name":"gone","link":2,"widget":{"name":"gone"}}]},
      {"id":1,"type":"VAELoader"})",
                                      R"([1,1,0,3,0,"X"],[2,1,0,3,1,"X"])"));
  EXPECT_EQ(input_value(prompt, "3", "odd"), "-> 1:0");
  EXPECT_EQ(input_value(prompt, "3", "gone"), "absent");
}

TEST(Links, ArraysAreReadInVersionZeroPointFourObjectsElsewhere) {
  const std::string nodes = R"({"id":3,"type":"VAEDecode","inputs":[{"name":"vae","link":1}]},
                               {"id":1,"type":"VAELoader"})";
  const std::string object =
      R"({"id":1,"origin_id":1,"origin_slot":0,"target_id":3,"target_slot":1,"type":"VAE"})";
  const auto make = [&](const std::string& link, const std::string& version) {
    return try_convert("{\"nodes\":[" + nodes + "],\"links\":[" + link + "]" + version + "}");
  };
  EXPECT_TRUE(make("[1,1,0,3,1,\"VAE\"]", ",\"version\":0.4").ok());
  EXPECT_TRUE(make(object, ",\"version\":1").ok());
  EXPECT_TRUE(make(object, "").ok());
  EXPECT_FALSE(make(object, ",\"version\":0.4").ok());
  EXPECT_FALSE(make("[1,1,0,3,1,\"VAE\"]", "").ok());
  EXPECT_FALSE(make("[1,1,0,3,1,\"VAE\"]", ",\"version\":\"0.4\"").ok());
}

TEST(Links, CyclesOfActiveNodesAreSentCyclesOfReroutesRefused) {
  const std::string active = R"({"id":1,"type":"VAEDecode","inputs":[{"name":"samples","link":1}]},
      {"id":2,"type":"VAEEncode","inputs":[{"name":"pixels","link":2}]})";
  EXPECT_EQ(input_value(convert(graph(active, R"([1,2,0,1,0,""],[2,1,0,2,0,""])")), "1", "samples"),
            "-> 2:0");
  const std::string reroutes = R"({"id":1,"type":"Reroute","inputs":[{"name":"","link":1}]},
      {"id":2,"type":"Reroute","inputs":[{"name":"","link":2}]},
      {"id":3,"type":"VAEDecode","inputs":[{"name":"vae","link":3}]})";
  const auto prompt =
      try_convert(graph(reroutes, R"([1,2,0,1,0,""],[2,1,0,2,0,""],[3,1,0,3,1,""])"));
  ASSERT_FALSE(prompt.ok());
  EXPECT_NE(prompt.error().message.find("circle"), std::string::npos);
}

// ---- virtual nodes, mute, bypass --------------------------------------------------------------

/// VAELoader -> middle -> VAEDecode.vae
std::string through(const std::string& middle) {
  return graph(R"({"id":1,"type":"VAELoader","outputs":[{"type":"VAE"}]},)" + middle +
                   R"(,{"id":3,"type":"VAEDecode","inputs":[{"name":"vae","link":2}]})",
               R"([1,1,0,2,0,"VAE"],[2,2,0,3,1,"VAE"])");
}

TEST(Virtual, ReroutesAreFollowedBypassedToMutedNot) {
  const auto reroute = [](const std::string& mode) {
    return convert(through(R"({"id":2,"type":"Reroute","mode":)" + mode +
                           R"(,"inputs":[{"name":"","type":"*","link":1}],
                               "outputs":[{"type":"VAE"}]})"));
  };
  EXPECT_EQ(input_value(reroute("0"), "3", "vae"), "-> 1:0");
  EXPECT_EQ(input_value(reroute("4"), "3", "vae"), "-> 1:0");
  EXPECT_EQ(input_value(reroute("2"), "3", "vae"), "absent");
  EXPECT_EQ(ids(reroute("0")), "1 3");
}

TEST(Virtual, ARerouteDropsConsumersOfAnotherType) {
  const std::string nodes = R"({"id":1,"type":"UNETLoader","outputs":[{"type":"MODEL"}]},
      {"id":2,"type":"Reroute","inputs":[{"name":"","type":"*","link":1}],"outputs":[{"type":"*"}]},
      {"id":3,"type":"VAEDecode","inputs":[{"name":"vae","link":2}]})";
  EXPECT_EQ(input_value(convert(graph(nodes, R"([1,1,0,2,0,""],[2,2,0,3,1,""])")), "3", "vae"),
            "absent");
}

std::string primitive(const std::string& value, const std::string& target_type,
                      const std::string& input) {
  return graph(R"({"id":1,"type":"PrimitiveNode","widgets_values":[)" + value +
                   R"(],"outputs":[{"type":"INT"}]},{"id":2,"type":")" + target_type +
                   R"(","inputs":[{"name":")" + input + R"(","link":1,"widget":{"name":")" + input +
                   R"("}}]})",
               R"([1,1,0,2,0,"INT"])");
}

TEST(Virtual, PrimitivesWriteTheirValueClampedAndRounded) {
  const auto width = [](const std::string& value) {
    return input_value(convert(primitive(value, "EmptyHunyuanLatentVideo", "width")), "2", "width");
  };
  EXPECT_EQ(width("512"), "512");
  EXPECT_EQ(width("1"), "16");
  EXPECT_EQ(width("999999"), "16384");
  EXPECT_EQ(input_value(convert(primitive("7.12345", "KSampler", "cfg")), "2", "cfg"), "7.1");
  EXPECT_EQ(ids(convert(primitive("512", "EmptyHunyuanLatentVideo", "width"))), "2");
}

TEST(Virtual, SetAndGetNodesCarryLinksByName) {
  const std::string nodes = R"({"id":1,"type":"VAELoader"},
      {"id":2,"type":"SetNode","widgets_values":["v"],
       "inputs":[{"name":"VAE","type":"VAE","link":1}]},
      {"id":4,"type":"GetNode","widgets_values":["v"],"outputs":[{"type":"VAE"}]},
      {"id":3,"type":"VAEDecode","inputs":[{"name":"vae","link":2}]})";
  const Prompt prompt = convert(graph(nodes, R"([1,1,0,2,0,"VAE"],[2,4,0,3,1,"VAE"])"));
  EXPECT_EQ(input_value(prompt, "3", "vae"), "-> 1:0");
  EXPECT_EQ(ids(prompt), "1 3");
}

TEST(Virtual, SavedBroadcastsOfAnythingEverywhereAreLinks) {
  const std::string nodes = R"({"id":1,"type":"VAELoader"},{"id":2,"type":"Anything Everywhere"},
      {"id":3,"type":"VAEDecode","inputs":[{"name":"samples"},{"name":"vae","type":"VAE"}]})";
  const std::string saved = R"("extra":{"ue_links":[{"downstream":3,"downstream_slot":1,
      "upstream":"1","upstream_slot":0,"controller":2,"type":"VAE"}]})";
  EXPECT_EQ(input_value(convert(graph(nodes, "", saved)), "3", "vae"), "-> 1:0");
}

TEST(Bypass, TypedInputsPassByPlaceOrType) {
  const std::string lora = R"({"id":2,"type":"LoraLoader","mode":4,"inputs":[
      {"name":"model","link":1},{"name":"clip","link":3}]})";
  const std::string nodes = R"({"id":1,"type":"CheckpointLoaderSimple"},)" + lora +
                            R"(,{"id":3,"type":"KSampler","inputs":[{"name":"model","link":2}]},
          {"id":4,"type":"CLIPTextEncode","inputs":[{"name":"clip","link":4}]})";
  const Prompt prompt =
      convert(graph(nodes, R"([1,1,0,2,0,""],[3,1,1,2,1,""],[2,2,0,3,0,""],[4,2,1,4,0,""])"));
  EXPECT_EQ(input_value(prompt, "3", "model"), "-> 1:0");
  EXPECT_EQ(input_value(prompt, "4", "clip"), "-> 1:1");
  EXPECT_EQ(ids(prompt), "1 3 4");
}

TEST(Bypass, WithoutAMatchingInputThereIsNoLink) {
  const std::string nodes = R"({"id":1,"type":"VAELoader"},
      {"id":2,"type":"VAEDecode","mode":4,"inputs":[{"name":"vae","link":1}]},
      {"id":3,"type":"SaveImage","inputs":[{"name":"images","link":2}]})";
  const Prompt prompt = convert(graph(nodes, R"([1,1,0,2,1,""],[2,2,0,3,0,""])"));
  EXPECT_EQ(input_value(prompt, "3", "images"), "absent");
}

TEST(Bypass, AMutedOriginLeavesTheWidgetsOwnValue) {
  const std::string nodes = R"({"id":1,"type":"PrimitiveInt","mode":2},
      {"id":3,"type":"KSampler","widgets_values":[1,"fixed",33],"inputs":[
       {"name":"steps","link":1,"widget":{"name":"steps"}}]})";
  EXPECT_EQ(input_value(convert(graph(nodes, R"([1,1,0,3,0,""])")), "3", "steps"), "33");
}

// ---- subgraphs --------------------------------------------------------------------------------

const std::string kDefinition = R"({"id":"S","name":"sub","inputs":[
    {"name":"vae","type":"VAE","linkIds":[1]},{"name":"file","type":"COMBO","linkIds":[3]}],
    "outputs":[{"name":"IMAGE","type":"IMAGE","linkIds":[2]}],
    "nodes":[{"id":5,"type":"VAEDecode","inputs":[{"name":"vae","link":1}]},
             {"id":6,"type":"VAELoader","widgets_values":["inner"],"inputs":[
              {"name":"vae_name","link":3,"widget":{"name":"vae_name"}}]}],
    "links":[{"id":1,"origin_id":-10,"origin_slot":0,"target_id":5,"target_slot":1},
             {"id":3,"origin_id":-10,"origin_slot":1,"target_id":6,"target_slot":0},
             {"id":2,"origin_id":5,"origin_slot":0,"target_id":-20,"target_slot":0}]})";

std::string with_subgraph(const std::string& mode, const std::string& more = "") {
  return graph(R"({"id":1,"type":"VAELoader"},{"id":9,"type":"S","mode":)" + mode +
                   R"(,"widgets_values":["outer"],"inputs":[{"name":"vae","link":1}]},
          {"id":3,"type":"SaveImage","inputs":[{"name":"images","link":2}]})" +
                   more,
               R"([1,1,0,9,0,"VAE"],[2,9,0,3,0,"IMAGE"])",
               R"("definitions":{"subgraphs":[)" + kDefinition + "]}");
}

TEST(Subgraphs, InnerNodesGetComposedIdsAndLinksCrossTheBoundary) {
  const Prompt prompt = convert(with_subgraph("0"));
  EXPECT_EQ(ids(prompt), "1 3 9:5 9:6");
  EXPECT_EQ(input_value(prompt, "9:5", "vae"), "-> 1:0");
  EXPECT_EQ(input_value(prompt, "3", "images"), "-> 9:5:0");
}

TEST(Subgraphs, TheInnerWidgetsValueCountsNotTheInstances) {
  EXPECT_EQ(input_value(convert(with_subgraph("0")), "9:6", "vae_name"), "\"inner\"");
}

TEST(Subgraphs, MutedAndBypassedInstancesSendNothing) {
  EXPECT_EQ(ids(convert(with_subgraph("2"))), "1 3");
  const Prompt bypassed = convert(with_subgraph("4"));
  EXPECT_EQ(ids(bypassed), "1 3");
  EXPECT_EQ(input_value(bypassed, "3", "images"), "absent");
}

TEST(Subgraphs, InnerIdsThatAreTakenAreRenumbered) {
  const Prompt prompt = convert(with_subgraph("0", R"(,{"id":5,"type":"VAELoader"})"));
  EXPECT_EQ(ids(prompt), "1 3 5 9:2 9:6");
  EXPECT_EQ(input_value(prompt, "3", "images"), "-> 9:2:0");
}

TEST(Subgraphs, PrimitivesWriteIntoPromotedWidgets) {
  const std::string json =
      graph(R"({"id":9,"type":"S","inputs":[{"name":"file","link":1}]},
      {"id":1,"type":"PrimitiveNode","widgets_values":["driven"],"outputs":[{"type":"COMBO"}]})",
            R"([1,1,0,9,1,"COMBO"])", R"("definitions":{"subgraphs":[)" + kDefinition + "]}");
  EXPECT_EQ(input_value(convert(json), "9:6", "vae_name"), "\"driven\"");
}

TEST(Subgraphs, ADefinitionThatContainsItselfIsRefused) {
  const auto prompt = try_convert(graph(
      R"({"id":1,"type":"S"})", "",
      R"("definitions":{"subgraphs":[{"id":"S","name":"loop","nodes":[{"id":2,"type":"S"}]}]})"));
  ASSERT_FALSE(prompt.ok());
  EXPECT_NE(prompt.error().message.find("contains itself"), std::string::npos);
}

TEST(Subgraphs, UnfoldingIsBounded) {
  std::string definitions;
  for (int i = 0; i < 40; ++i) {  // each contains the next one twice: 2^40 nodes
    const std::string next = std::to_string(i + 1);
    definitions += std::string(i ? "," : "") + R"({"id":"S)" + std::to_string(i) +
                   R"(","nodes":[{"id":1,"type":"S)" + next + R"("},{"id":2,"type":"S)" + next +
                   "\"}]}";
  }
  const auto prompt = try_convert(graph(R"({"id":1,"type":"S0"})", "",
                                        "\"definitions\":{\"subgraphs\":[" + definitions + "]}"));
  ASSERT_FALSE(prompt.ok());
  EXPECT_NE(prompt.error().message.find("unfold"), std::string::npos);
}

// ---- classes nobody knows ---------------------------------------------------------------------

TEST(Unknown, ValuesAreTakenWhereTheFileNamesThem) {
  const Prompt by_socket = convert(graph(R"({"id":1,"type":"Odd","widgets_values":[5,"fixed",2.5],
      "inputs":[{"name":"seed","type":"INT","widget":{"name":"seed"},"link":null},
                {"name":"rate","type":"FLOAT","widget":{"name":"rate"},"link":null}]})"));
  EXPECT_EQ(input_value(by_socket, "1", "seed"), "5");
  EXPECT_EQ(input_value(by_socket, "1", "rate"), "2.5");
  const Prompt by_name = one_node("Odd", R"({"frame_rate":16,"format":"mp4"})");
  EXPECT_EQ(input_value(by_name, "1", "frame_rate"), "16");
  EXPECT_FALSE(by_name.notes.empty());
}

TEST(Unknown, ValuesWithoutNamesAreLeftOutAndSaid) {
  const Prompt prompt = one_node("Odd", R"([1,"two"])");
  EXPECT_EQ(input_names(prompt, "1"), "");
  EXPECT_FALSE(prompt.nodes[0].known);
  ASSERT_EQ(prompt.notes.size(), 2u);
  EXPECT_NE(prompt.notes[0].find("does not know: Odd (node 1)"), std::string::npos);
  EXPECT_NE(prompt.notes[1].find("left out"), std::string::npos);
}

TEST(Unknown, NodesWithoutOutputsAreGuessedToBeStartedFrom) {
  const Prompt prompt = convert(graph(R"({"id":1,"type":"VAELoader"},
      {"id":2,"type":"Sink","inputs":[{"name":"vae","type":"VAE","link":1}]},
      {"id":3,"type":"Source","outputs":[{"name":"x","type":"LATENT"}]})",
                                      R"([1,1,0,2,0,"VAE"])"));
  EXPECT_TRUE(prompt.find("2")->output_node);
  EXPECT_FALSE(prompt.find("3")->output_node);
  EXPECT_EQ(prompt.find("3")->output_types, std::vector<std::string>{"LATENT"});
}

// ---- types ------------------------------------------------------------------------------------

TEST(Types, ComeFromTheTable) {
  const Prompt prompt = convert(graph(kSampler + R"(,{"id":1,"type":"UNETLoader"},
      {"id":2,"type":"EmptyLatentImage"},{"id":5,"type":"SaveImage"})",
                                      R"([1,1,0,3,0,""],[2,2,0,3,3,""])"));
  EXPECT_EQ(prompt.find("3")->input("model")->type, "MODEL");
  EXPECT_EQ(prompt.find("3")->input("seed")->type, "INT");
  EXPECT_EQ(prompt.find("3")->input("sampler_name")->type, "COMBO");
  EXPECT_EQ(prompt.find("3")->output_types, std::vector<std::string>{"LATENT"});
  EXPECT_TRUE(prompt.find("5")->output_node);
  EXPECT_FALSE(prompt.find("3")->output_node);
}

TEST(Types, SwitchesAreLazyAndTakeTheTypeOfWhatTheySwitch) {
  const Prompt prompt = convert(R"({"1":{"class_type":"EmptyLatentImage","inputs":{}},
      "2":{"class_type":"ComfySwitchNode","inputs":{"switch":true,"on_true":["1",0]}}})");
  EXPECT_TRUE(prompt.find("2")->input("on_true")->lazy);
  EXPECT_FALSE(prompt.find("2")->input("switch")->lazy);
  EXPECT_EQ(prompt.find("2")->output_types, std::vector<std::string>{"LATENT"});
}

TEST(Types, NewerClassesAreUsedAndSaid) {
  const auto prompt =
      try_convert(R"({"1":{"class_type":"ComfySwitchNode","inputs":{}}})", {0, 3, 73});
  ASSERT_TRUE(prompt.ok());
  EXPECT_TRUE(prompt->nodes[0].known);
}

TEST(Api, LinksAreListsOfAStringAndANumber) {
  const Prompt prompt = convert(R"({"1":{"class_type":"A","inputs":{
      "a":["2",1],"b":[2,1],"c":["x","y"],"d":{"__value__":["2",0]}}},
      "2":{"class_type":"B","inputs":{}},"note":"not a node"})");
  EXPECT_EQ(input_value(prompt, "1", "a"), "-> 2:1");
  EXPECT_EQ(input_value(prompt, "1", "b"), "[2,1]");
  EXPECT_EQ(input_value(prompt, "1", "c"), R"(["x","y"])");
  EXPECT_EQ(ids(prompt), "1 2");
  EXPECT_TRUE(prompt.find("1")->output_node);
  EXPECT_FALSE(prompt.find("2")->output_node);
}

TEST(Api, DanglingLinksStayAndAreSaid) {
  const Prompt prompt = convert(R"({"1":{"class_type":"VAEDecode","inputs":{"vae":["7",0]}}})");
  EXPECT_EQ(input_value(prompt, "1", "vae"), "-> 7:0");
  ASSERT_FALSE(prompt.notes.empty());
  EXPECT_NE(prompt.notes[0].find("does not exist"), std::string::npos);
}

TEST(Rules, ACameraIsRefusedAsThePageDoesIt) {
  const auto prompt = test::try_convert(
      test::graph(R"({"id":1,"type":"WebcamCapture","widgets_values":["",0,0,true]})"));
  ASSERT_FALSE(prompt.ok());
  EXPECT_EQ(to_string(prompt.error()),
            "test.json: node 1 WebcamCapture: takes its picture from a camera when it is queued, "
            "and none is in the file\n  Replace it by LoadImage, or bypass it.");
  EXPECT_TRUE(test::try_convert(
                  test::graph(R"({"id":1,"type":"WebcamCapture","mode":4,"widgets_values":[]})"))
                  .ok());
}

TEST(Rules, LinksOutOfASwitchThatNoLongerFitAreDropped) {
  const auto prompt_of = [](const char* maker, const char* type) {
    return test::convert(
        test::graph(std::string(R"({"id":1,"type":")") + maker + R"(","outputs":[{"links":[1]}]},
        {"id":2,"type":"ComfySwitchNode","inputs":[{"name":"on_false","type":"*","link":1},
         {"name":"on_true","type":"*","link":null}],"outputs":[{"links":[2]}],
         "widgets_values":[false]},
        {"id":3,"type":"VAEDecode","inputs":[{"name":"samples","type":"LATENT","link":2}]})",
                    std::string("[1,1,0,2,0,\"") + type + "\"],[2,2,0,3,0,\"LATENT\"]"));
  };
  EXPECT_EQ(test::input_value(prompt_of("EmptyLatentImage", "LATENT"), "3", "samples"), "-> 2:0");
  const Prompt misfit = prompt_of("EmptyImage", "IMAGE");
  EXPECT_EQ(test::input_value(misfit, "3", "samples"), "absent");
  ASSERT_FALSE(misfit.notes.empty());
  EXPECT_EQ(misfit.notes.back(),
            "node 3 VAEDecode: the link into its input \"samples\" is dropped, as ComfyUI's page "
            "does it: node 2 ComfySwitchNode gives IMAGE now.");
}

// As the front end 1.41.21 exports the same file; tests/comfy/frontend_real.py asks it again.
TEST(Rules, SwitchesOfSeveralTypesKeepTheirLinks) {
  const auto file = test::source_dir() / "tests/data/match_types.json";
  const Prompt prompt = test::convert(test::slurp(file));
  std::vector<std::string> without;
  for (const PromptNode& node : prompt.nodes) {
    const bool taker = node.class_type == "PreviewImage" || node.class_type == "MaskToImage";
    if (taker && node.inputs.empty()) without.push_back(node.id);
  }
  EXPECT_EQ(without, (std::vector<std::string>{"6", "14", "25", "31", "36", "52", "67"}));
}

}  // namespace
}  // namespace ebb
