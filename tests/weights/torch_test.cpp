// SPDX-License-Identifier: Apache-2.0
#include "weights/torch.h"

#include <gtest/gtest.h>

#include "ebb/file.h"
#include "ebb/report.h"
#include "ebb/weights.h"
#include "tests/support.h"
#include "tests/weights/model_headers.h"
#include "tests/weights/torch_file.h"
#include "weights/header.h"

namespace ebb {
namespace {

using test::TorchTensor;

const TorchTensor kWeight{"a.weight", "HalfStorage", {4, 3}, "0", 12};
const TorchTensor kBias{"a.bias", "FloatStorage", {3}, "1", 3};

Result<Header> read(const std::string& bytes, const std::string& name = "model.ckpt") {
  const test::TempDir folder;
  const std::string path = folder.path() / name;
  EXPECT_TRUE(write_file(path, bytes));
  return read_header(path);
}

std::string message(const Result<Header>& header) {
  return header ? std::string("read") : to_string(header.error());
}

TEST(Torch, ListsNamesTypesAndShapesOfAnArchive) {
  const auto header = read(
      test::torch_file(test::pickle(test::pickle_state({kWeight, kBias})), {{"0", 24}, {"1", 12}}));
  ASSERT_TRUE(header) << message(header);
  EXPECT_EQ(header->format, HeaderFormat::torch);
  ASSERT_EQ(header->tensors.size(), 2u);
  const TensorInfo* weight = header->find("a.weight");
  ASSERT_TRUE(weight);
  EXPECT_EQ(weight->shape, (std::vector<std::int64_t>{4, 3}));
  EXPECT_EQ(weight->dtype->name, "fp16");
  EXPECT_EQ(weight->bytes, 24);
  EXPECT_EQ(header->find("a.bias")->bytes, 12);
}

TEST(Torch, ReadsArchivesBeyond4GiBAndPackedPickles) {
  const std::string pickled = test::pickle(test::pickle_state({kWeight}));
  const auto wide = read(test::torch_file(pickled, {{"0", 24}}, true));
  ASSERT_TRUE(wide) << message(wide);
  EXPECT_EQ(wide->tensors.size(), 1u);

  std::string packed(pickled.size() + 64, '\0');
  z_stream stream{};
  ASSERT_EQ(deflateInit2(&stream, 9, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(pickled.data()));
  stream.avail_in = static_cast<uInt>(pickled.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  ASSERT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  const std::string zip =
      test::zip_file({{"x/data.pkl", pickled, packed}, {"x/data/0", std::string(24, '\0')}});
  const auto deflated = read(zip);
  ASSERT_TRUE(deflated) << message(deflated);
  EXPECT_EQ(deflated->tensors.size(), 1u);
}

TEST(Torch, TakesTheStateDictionaryAsComfyUiDoes) {
  const std::string state = test::pickle_state({kWeight});
  const std::string step = test::pickle_text("global_step") + "K\7";
  for (const std::string& object :
       {"}(" + step + test::pickle_text("state_dict") + state + "u",  // a training checkpoint
        "}(" + test::pickle_text("params_ema") + state + "u",         // an upscaler
        "}(" + test::pickle_text("params") + state + step + "u"}) {
    const auto header = read(test::torch_file(test::pickle(object), {{"0", 24}}));
    ASSERT_TRUE(header) << message(header);
    ASSERT_EQ(header->tensors.size(), 1u);
    EXPECT_EQ(header->tensors[0].name, "a.weight");
  }
}

TEST(Torch, ReadsLegacyFiles) {
  const auto header = read(
      test::legacy_torch_file(test::pickle(test::pickle_state({kWeight, kBias})), 64), "x.pth");
  ASSERT_TRUE(header) << message(header);
  EXPECT_EQ(header->tensors.size(), 2u);
}

// lpips' published weights are such files: Python 2 gave OrderedDict its pairs as lists.
TEST(Torch, ReadsDictionariesThatPython2Pickled) {
  std::string pairs = "ccollections\nOrderedDict\n](";
  for (const auto& tensor : {kWeight, kBias}) {
    pairs += "](" + test::pickle_text(tensor.name) + test::pickle_tensor(tensor) + "e";
  }
  const auto header = read(test::legacy_torch_file(test::pickle(pairs + "e\x85R"), 64), "x.pth");
  ASSERT_TRUE(header) << message(header);
  EXPECT_EQ(header->tensors.size(), 2u);
  for (const char* broken : {"]", "](NNe", "](](Nee", "](](NNNee", "N"}) {
    const auto none =
        read(test::legacy_torch_file(
                 test::pickle(std::string("ccollections\nOrderedDict\n") + broken + "\x85R"), 64),
             "x.pth");
    ASSERT_TRUE(none) << message(none);
    EXPECT_TRUE(none->tensors.empty()) << broken;
  }
}

TEST(Torch, ReadsLegacyFilesOfLaterProtocols) {
  std::string text =
      test::legacy_torch_file(test::pickle(test::pickle_state({kWeight, kBias})), 64);
  text.replace(0, 2, "\x80\4\x95" + test::little_endian(14, 8));
  const auto header = read(text, "x.pth");
  ASSERT_TRUE(header) << message(header);
  EXPECT_EQ(header->tensors.size(), 2u);
}

TEST(Torch, SharesAStorageBetweenTensors) {
  TorchTensor second = kWeight;
  second.name = "b.weight";
  second.shape = {2, 3};
  second.offset = 6;
  const auto header =
      read(test::torch_file(test::pickle(test::pickle_state({kWeight, second})), {{"0", 24}}));
  ASSERT_TRUE(header) << message(header);
  EXPECT_EQ(header->find("b.weight")->bytes, 12);
}

TEST(Torch, RunsNothingAndTakesUnknownObjectsAsOpaque) {
  // What would run a shell if it were unpickled is skipped as an object of no interest.
  const std::string evil = "cos\nsystem\n(" + test::pickle_text("touch /tmp/owned") + "tR";
  const std::string object = "}(" + test::pickle_text("callbacks") + evil +
                             test::pickle_text("state_dict") + test::pickle_state({kWeight}) + "u";
  const auto header = read(test::torch_file(test::pickle(object), {{"0", 24}}));
  ASSERT_TRUE(header) << message(header);
  EXPECT_EQ(header->tensors.size(), 1u);
}

TEST(Torch, SaysWhyNothingIsListed) {
  const auto object = read(test::torch_file(test::pickle("cmodel\nNet\n)\x81"), {}));
  ASSERT_TRUE(object) << message(object);
  EXPECT_NE(say(object->note).find("Python objects"), std::string::npos);
  const auto script = read(test::zip_file({{"x/constants.pkl", "."}, {"x/data.pkl", "."}}));
  ASSERT_TRUE(script) << message(script);
  EXPECT_NE(say(script->note).find("TorchScript"), std::string::npos);
  const auto zip = read(test::zip_file({{"word/document.xml", "<x/>"}}), "a.pt");
  ASSERT_TRUE(zip) << message(zip);
  EXPECT_NE(say(zip->note).find("did not write"), std::string::npos);
  const auto onnx = read("\x08\x07onnx", "a.onnx");
  ASSERT_TRUE(onnx) << message(onnx);
  EXPECT_FALSE(onnx->note.empty());
}

TEST(Torch, RefusesBrokenFilesWithTheirPlace) {
  const std::string pickled = test::pickle(test::pickle_state({kWeight}));
  const std::string whole = test::torch_file(pickled, {{"0", 24}});
  EXPECT_NE(message(read(whole.substr(0, whole.size() / 2))).find("without its directory"),
            std::string::npos);
  EXPECT_NE(message(read(test::torch_file(pickled, {{"9", 24}}))).find("not in the archive"),
            std::string::npos);
  EXPECT_NE(message(read(test::torch_file(pickled, {{"0", 20}}))).find("needs 24 bytes"),
            std::string::npos);
  EXPECT_NE(message(read(test::torch_file(pickled.substr(0, 40), {{"0", 24}})))
                .find("is a broken pickle"),
            std::string::npos);
  TorchTensor huge = kWeight;
  huge.shape = {std::int64_t{1} << 62, 8};
  huge.strides = {8, 1};
  EXPECT_NE(message(read(test::torch_file(test::pickle(test::pickle_state({huge})), {{"0", 24}})))
                .find("absurd"),
            std::string::npos);
  TorchTensor outside = kWeight;
  outside.offset = 5;
  EXPECT_NE(
      message(read(test::torch_file(test::pickle(test::pickle_state({outside})), {{"0", 24}})))
          .find("does not fit its storage"),
      std::string::npos);
}

TEST(Torch, NeverCrashesOnACutOrChangedByte) {
  const std::string whole = test::torch_file(test::pickle(test::pickle_state({kWeight, kBias})),
                                             {{"0", 24}, {"1", 12}}, true);
  int refused = 0;
  for (std::size_t i = 0; i < whole.size(); ++i) {
    std::string changed = whole;
    changed[i] = static_cast<char>(changed[i] ^ 0xff);
    if (!read(changed)) ++refused;
    if (!read(whole.substr(0, i))) ++refused;
  }
  EXPECT_GT(refused, static_cast<int>(whole.size()));
}

TEST(Torch, KeepsHostilePicklesBounded) {
  // Two million nested lists, as many marks, a tuple that is called again and again.
  EXPECT_FALSE(read(test::torch_file("\x80\2" + std::string(3'000'000, ']') + ".", {})));
  EXPECT_FALSE(read(test::torch_file("\x80\2" + std::string(3'000'000, '(') + ".", {})));
  std::string calls = "\x80\2(" + std::string(100'000, 'N') + "tq\1ctorch\nSize\nq\2";
  for (int i = 0; i < 100'000; ++i) calls += "h\2h\1R";
  EXPECT_TRUE(read(test::torch_file(calls + ".", {})));
  // A list of pairs that is given to call after call.
  std::string lists = "\x80\2](";
  for (int i = 0; i < 20'000; ++i) lists += "](NNe";
  lists += "eq\1ccollections\nOrderedDict\nq\2";
  for (int i = 0; i < 100'000; ++i) lists += "h\2h\1\x85R";
  EXPECT_TRUE(read(test::torch_file(lists + ".", {})));
  // A list that holds itself.
  EXPECT_TRUE(read(test::torch_file("\x80\2]q\1h\1a.", {})));
  // A dictionary that is its own state.
  EXPECT_TRUE(
      read(test::torch_file("\x80\2}q\1(" + test::pickle_text("state_dict") + "h\1u.", {})));
}

TEST(Torch, CountsACheckpointLikeTheSameTensorsInSafetensors) {
  const test::TempDir folder;
  std::filesystem::create_directories(folder.path() / "checkpoints");
  std::vector<test::TestTensor> plain;
  std::vector<TorchTensor> pickled;
  std::vector<std::pair<std::string, std::size_t>> storages;
  const std::vector<std::pair<std::string, std::vector<std::int64_t>>> tensors = {
      {"model.diffusion_model.input_blocks.0.0.weight", {320, 4, 3, 3}},
      {"model.diffusion_model.input_blocks.0.0.bias", {320}},
      {"model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight", {320, 768}},
      {"cond_stage_model.transformer.text_model.encoder.layers.11.mlp.fc1.weight", {3072, 768}},
      {"first_stage_model.decoder.conv_in.weight", {512, 4, 3, 3}}};
  for (const auto& [name, shape] : tensors) {
    std::int64_t values = 1;
    for (const auto size : shape) values *= size;
    const std::string key = std::to_string(pickled.size());
    plain.push_back({name, "F16", shape, 2 * values});
    pickled.push_back({name, "HalfStorage", shape, key, values});
    storages.emplace_back(key, static_cast<std::size_t>(2 * values));
  }
  ASSERT_TRUE(
      write_file(folder.path() / "checkpoints/plain.safetensors", test::safetensors_file(plain)));
  ASSERT_TRUE(write_file(folder.path() / "checkpoints/pickled.ckpt",
                         test::torch_file(test::pickle(test::pickle_state(pickled)), storages)));
  WeightsSearch search;
  search.model_folders = {folder.path()};
  for (const auto& [suffix, role] :
       std::vector<std::pair<std::string, WeightsRole>>{{"", WeightsRole::diffusion},
                                                        {".clip", WeightsRole::text_encoder},
                                                        {".vae", WeightsRole::vae}}) {
    WeightsRequest request;
    request.node = "4";
    request.id_suffix = suffix;
    request.role = role;
    request.folder = "checkpoints";
    request.files = {"plain.safetensors"};
    const auto expected = find_weights(request, search);
    request.files = {"pickled.ckpt"};
    const auto found = find_weights(request, search);
    ASSERT_TRUE(expected && found) << suffix;
    EXPECT_EQ(found->bytes_from, BytesFrom::header);
    EXPECT_GT(found->bytes, 0);
    EXPECT_EQ(found->bytes, expected->bytes) << suffix;
    EXPECT_EQ(found->architecture, expected->architecture) << suffix;
    EXPECT_EQ(found->modules, expected->modules) << suffix;
    EXPECT_EQ(found->loader_bytes, expected->loader_bytes) << suffix;
  }
}

}  // namespace
}  // namespace ebb
