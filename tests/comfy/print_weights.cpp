// SPDX-License-Identifier: Apache-2.0
// What Ebb reads of model files, for comparison with torch and ComfyUI. The arguments are model
// folders; each line of the input is a question with its words between tabs:
//   locate KIND NAME   the file that ComfyUI would take
//   tensors PATH       names, types, shapes and bytes
//   model PATH         architecture, ComfyUI's class and number of values of a diffusion model
#include <fmt/format.h>

#include <iostream>
#include <string>
#include <vector>

#include "base/text.h"
#include "ebb/report.h"
#include "ebb/weights.h"
#include "json/write.h"
#include "weights/comfyui_class.h"
#include "weights/detect.h"
#include "weights/folders.h"
#include "weights/header.h"
#include "weights/tensors.h"

namespace ebb {
namespace {

std::string failure(const Error& error) {
  return fmt::format(R"({{"error": {}}})", json_quote(to_string(error)));
}

std::string locate(const std::vector<std::string>& models, std::string_view kind,
                   std::string_view name) {
  const auto folders = expand_folders(models, kind);
  if (!folders) return failure(folders.error());
  const FoundFile found = locate_file(*folders, name);
  return fmt::format(R"({{"path": {}, "exact": {}}})", json_quote(found.path), found.exact);
}

std::string list_tensors(const std::string& path) {
  const auto header = read_header(path);
  if (!header) return failure(header.error());
  std::string list;
  for (const TensorInfo& tensor : header->tensors) {
    std::string shape;
    for (const auto size : tensor.shape) {
      shape += (shape.empty() ? "" : ", ") + fmt::to_string(size);
    }
    list += fmt::format(R"({}[{}, "{}", [{}], {}])", list.empty() ? "" : ", ",
                        json_quote(tensor.name), tensor.dtype->stored_name, shape, tensor.bytes);
  }
  return fmt::format(R"({{"note": {}, "tensors": [{}]}})", json_quote(say(header->note)), list);
}

std::string detect(const std::string& path) {
  const auto header = read_header(path);
  if (!header) return failure(header.error());
  const TensorSet part = select_tensors(*header, WeightsRole::diffusion, false, false);
  std::int64_t values = 0;
  for (const NamedTensor& tensor : part.tensors()) values += tensor.tensor->elements;
  const std::string architecture = detect_architecture(part, WeightsRole::diffusion);
  return fmt::format(R"({{"architecture": "{}", "class": "{}", "values": {}}})", architecture,
                     comfyui_class(part, architecture), values);
}

std::string answer(const std::vector<std::string>& models, const std::string& line) {
  const std::vector<std::string_view> words = split(line, '\t');
  if (words.size() == 3 && words[0] == "locate") return locate(models, words[1], words[2]);
  if (words.size() == 2 && words[0] == "tensors") return list_tensors(std::string(words[1]));
  if (words.size() == 2 && words[0] == "model") return detect(std::string(words[1]));
  return R"({"error": "no such question"})";
}

}  // namespace
}  // namespace ebb

int main(int count, char** arguments) {
  const std::vector<std::string> models(arguments + 1, arguments + count);
  for (std::string line; std::getline(std::cin, line);) {
    std::cout << ebb::answer(models, line) << '\n';
  }
}
