// SPDX-License-Identifier: Apache-2.0
// What is taken for a workflow, by content, and what bad files are told.
#include <gtest/gtest.h>
#include <zlib.h>

#include "tests/support.h"
#include "tests/workflow/graphs.h"

namespace ebb {
namespace {

using test::graph;

const std::string kApi = R"({"3":{"class_type":"KSampler","inputs":{"model":["4",0]}},
                            "4":{"class_type":"UNETLoader","inputs":{"unet_name":"a"}}})";

std::string refusal(const std::string& text) {
  const auto workflow = parse_workflow(text, "f.json");
  return workflow ? "is read" : to_string(workflow.error());
}

WorkflowFormat format_of(const std::string& text) {
  const auto workflow = parse_workflow(text, "f.json");
  EXPECT_TRUE(workflow.ok()) << to_string(workflow.error());
  return workflow->format();
}

TEST(Reading, GraphsPromptsAndWhatPeopleWrapThemInAreToldApart) {
  const std::string ui = graph(R"({"id":1,"type":"VAELoader","widgets_values":["x"]})");
  EXPECT_EQ(format_of(ui), WorkflowFormat::ui_graph);
  EXPECT_EQ(format_of(kApi), WorkflowFormat::api_prompt);
  EXPECT_EQ(format_of("{\"prompt\":" + kApi + ",\"client_id\":\"x\"}"), WorkflowFormat::api_prompt);
  EXPECT_EQ(format_of("{\"prompt\":" + kApi + ",\"workflow\":" + ui + "}"),
            WorkflowFormat::ui_graph);
  EXPECT_EQ(format_of("\xEF\xBB\xBF" + kApi), WorkflowFormat::api_prompt);
}

TEST(Reading, AFileSaysWhichComfyUiItWasMadeWith) {
  const auto made = [](const std::string& text) {
    const auto version = parse_workflow(text, "f.json").value().made_with();
    return version ? to_string(*version) : "nothing";
  };
  const auto node = [](const std::string& pack, const std::string& version) {
    return R"({"id":1,"type":"A","properties":{"cnr_id":")" + pack + R"(","ver":)" + version + "}}";
  };
  EXPECT_EQ(made(graph(R"({"id":1,"type":"A"})")), "nothing");
  EXPECT_EQ(made(graph(node("comfy-core", "\"0.3.76\"") + "," + node("comfy-core", "\"0.16.3\"") +
                       "," + node("other-pack", "\"1.2.0\""))),
            "0.16.3");
  EXPECT_EQ(made(graph(node("comfy-core", "\"nightly\"") + "," + node("comfy-core", "7"))),
            "nothing");
  const std::string inside = node("comfy-core", "\"0.35.0\"");
  EXPECT_EQ(made(graph(node("comfy-core", "\"0.3.76\""), "",
                       R"("definitions":{"subgraphs":[{"id":"s","nodes":[)" + inside + "]}]}")),
            "0.35.0");
  EXPECT_EQ(made(graph("", "", R"("extra":{"node_versions":{"comfy-core":"0.3.34","x":"9.0.0"}})")),
            "0.3.34");
  EXPECT_EQ(made(kApi), "nothing");
}

TEST(Reading, WhatIsNotKnownOfANewerFileIsNamed) {
  const auto notes = [](const std::string& version) {
    const std::string core = R"(","properties":{"cnr_id":"comfy-core","ver":")" + version + "\"}";
    const auto node = [&](int id, const std::string& type) {
      return "{\"id\":" + std::to_string(id) + ",\"type\":\"" + type + core + "}";
    };
    const std::string nodes =
        node(1, "EmptyImage") + "," + node(2, "ClassOfTomorrow") + "," + node(3, "MarkdownNote");
    std::string all;
    for (const std::string& note : test::convert(graph(nodes)).notes) all += note + "\n";
    return all;
  };
  const std::string newer = notes("0.99.0");
  EXPECT_NE(newer.find("made with ComfyUI 0.99.0, newer than " + to_string(kNewestKnown)),
            std::string::npos);
  EXPECT_NE(newer.find("nor are these of its classes: ClassOfTomorrow."), std::string::npos);
  EXPECT_EQ(notes("0.33.0").find("made with"), std::string::npos);
}

TEST(Reading, JsonTextInsideJsonIsRead) {
  EXPECT_EQ(format_of(R"({"prompt":"{\"1\":{\"class_type\":\"A\",\"inputs\":{}}}"})"),
            WorkflowFormat::api_prompt);
  EXPECT_EQ(format_of(R"({"input":1,"workflow":"{\"nodes\":[],\"links\":[]}"})"),
            WorkflowFormat::ui_graph);
}

TEST(Reading, TheJsonTextIsKeptByteForByte) {
  const std::string odd =
      R"({ "3" : {"class_type":"A","inputs":{"x": 0.09000000000000002, "n":NaN}}})";
  EXPECT_EQ(parse_workflow("{\"prompt\":" + odd + "}", "f")->json(), odd);
}

TEST(Reading, BadFilesGetTheirReason) {
  EXPECT_NE(refusal("").find("empty"), std::string::npos);
  EXPECT_NE(refusal("\r\n").find("empty"), std::string::npos);
  EXPECT_NE(refusal(std::string("abc\0def", 7)).find("binary"), std::string::npos);
  EXPECT_NE(refusal("[1,2]").find("JSON list"), std::string::npos);
  EXPECT_NE(refusal("{}").find("empty JSON object"), std::string::npos);
  EXPECT_NE(refusal(R"({"nodes":[],"connections":{}})").find("another program"), std::string::npos);
  EXPECT_NE(refusal(R"({"a":{"b":1}})").find("no workflow"), std::string::npos);
  EXPECT_NE(refusal(graph("").substr(0, 20)).find("f.json:1:"), std::string::npos);
  EXPECT_NE(refusal("RIFF____WEBPxxxx").find("WebP"), std::string::npos);
  EXPECT_NE(refusal("GIF89a......").find("GIF"), std::string::npos);
  EXPECT_NE(refusal(std::string(100000, '[')).find("f.json"), std::string::npos);
}

TEST(Reading, MissingFilesAndFoldersAreErrors) {
  EXPECT_FALSE(read_workflow("/nonexistent/w.json").ok());
  EXPECT_FALSE(read_workflow("/").ok());
}

// ---- PNG --------------------------------------------------------------------------------------

std::string chunk(const std::string& type, const std::string& data) {
  std::string out;
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(data.size() >> shift);
  return out + type + data + "CRC!";
}

std::string png(const std::string& chunks) {
  return "\x89PNG\r\n\x1a\n" + chunk("IHDR", std::string(13, '\1')) + chunks + chunk("IEND", "");
}

std::string packed(const std::string& text) {
  uLongf size = compressBound(text.size());
  std::string out(size, '\0');
  compress(reinterpret_cast<Bytef*>(out.data()), &size, reinterpret_cast<const Bytef*>(text.data()),
           text.size());
  return out.substr(0, size);
}

TEST(Png, EveryKindOfTextChunkIsRead) {
  const std::string zero(1, '\0');
  for (const std::string& chunks :
       {chunk("tEXt", "prompt" + zero + kApi), chunk("comf", "prompt" + zero + kApi),
        chunk("zTXt", "prompt" + zero + zero + packed(kApi)),
        chunk("iTXt", "prompt" + zero + zero + zero + zero + zero + kApi),
        chunk("iTXt", "prompt" + zero + "\1" + zero + zero + zero + packed(kApi))}) {
    EXPECT_EQ(format_of(png(chunks)), WorkflowFormat::api_prompt);
  }
}

TEST(Png, TheWorkflowWinsOverThePromptUnlessItIsNone) {
  const std::string zero(1, '\0');
  const std::string prompt = chunk("tEXt", "prompt" + zero + kApi);
  const std::string good = chunk("tEXt", "workflow" + zero + graph(""));
  const std::string bad = chunk("tEXt", "workflow" + zero + "{}");
  EXPECT_EQ(format_of(png(prompt + good)), WorkflowFormat::ui_graph);
  EXPECT_EQ(format_of(png(prompt + bad)), WorkflowFormat::api_prompt);
}

TEST(Png, CutOrEmptyPicturesSaySo) {
  EXPECT_NE(refusal(png("")).find("carries no workflow"), std::string::npos);
  EXPECT_NE(refusal(png("").substr(0, 20)).find("ends early"), std::string::npos);
  EXPECT_NE(refusal("\x89PNG\r\n\x1a\n\xff\xff\xff\xfftEXtprompt").find("PNG"), std::string::npos);
  const std::string cut = png(chunk("zTXt", std::string("prompt\0\0", 8) + packed(kApi)));
  for (std::size_t n = 8; n < cut.size(); ++n) (void)parse_workflow(cut.substr(0, n), "f.png");
}

}  // namespace
}  // namespace ebb
