// SPDX-License-Identifier: Apache-2.0
#include "tests/pass/order_answer.h"

#include <fmt/format.h>

#include <vector>

#include "ebb/pass.h"
#include "json/write.h"
#include "tests/pass/prompt_json.h"

namespace ebb::test {
namespace {

std::string list(const Prompt& prompt, const std::vector<NodeIndex>& nodes) {
  std::string text;
  for (const NodeIndex node : nodes) {
    text += (text.empty() ? "" : ", ") + json_quote(prompt.nodes[node].id);
  }
  return "[" + text + "]";
}

std::string describe(const Prompt& prompt, const Order& order) {
  const auto quoted = [&](NodeIndex node) { return json_quote(prompt.nodes[node].id); };
  std::string served;
  for (const Served& s : order.served) {
    if (s.skipped) {
      served +=
          fmt::format("{}[{}, {}]", served.empty() ? "" : ", ", quoted(s.node), quoted(s.from));
    }
  }
  return fmt::format("\"order\": {}, \"served\": [{}], \"depends_on_outputs\": {}",
                     list(prompt, order.nodes), served, order.depends_on_outputs);
}

std::vector<NodeIndex> outputs_of(const Prompt& prompt, JsonValue job) {
  std::vector<NodeIndex> outputs;
  for (JsonValue id : job.find("outputs")) outputs.push_back(prompt.position(id.string()));
  return outputs;
}

std::string failed(const Error& error) {
  return fmt::format("\"error\": {}", json_quote(to_string(error)));
}

// Prompts queued one after another, for `version` and ComfyUI's own `flags`.
std::string answer_queue(JsonValue job) {
  const auto version = parse_comfy_version(job.find("version").text_or(""));
  const auto flags = parse_comfy_flags(job.find("flags").text_or(""));
  if (!version || !flags) return failed(version ? flags.error() : version.error());
  std::vector<Prompt> prompts;
  for (JsonValue item : job.find("queue")) {
    prompts.push_back(prompt_from_json(item.find("prompt"), job.find("classes")));
  }
  std::vector<QueuedPrompt> queue;
  for (JsonValue item : job.find("queue")) {
    const Prompt& prompt = prompts[queue.size()];
    queue.push_back({&prompt, outputs_of(prompt, item)});
  }
  const auto runs =
      run_queue(queue, *version, *flags, job.find("ram_free_gib").integer_or(0) * 1_GiB);
  if (!runs) return failed(runs.error());
  std::string text;
  for (std::size_t i = 0; i < runs->size(); ++i) {
    text += fmt::format("{}{{{}, \"kept\": {}}}", i ? ", " : "",
                        describe(prompts[i], (*runs)[i].order), list(prompts[i], (*runs)[i].kept));
  }
  return "\"runs\": [" + text + "]";
}

}  // namespace

std::string order_answer(JsonValue job) {
  if (job.find("queue").exists()) return answer_queue(job);
  const Prompt prompt = prompt_from_json(job.find("prompt"), job.find("classes"));
  const auto order = order_steps(prompt, {}, outputs_of(prompt, job));
  return order ? describe(prompt, *order) : failed(order.error());
}

}  // namespace ebb::test
