// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <map>

#include "ebb/policy.h"
#include "ebb/run.h"

namespace ebb {
namespace {

/// Finds weights and remembers them: one run predicts many trials of the same files.
FindWeights remembering(WeightsSearch search) {
  using Memo = std::map<std::string, Result<Weights>>;
  return [search = std::move(search), memo = std::make_shared<Memo>()](const WeightsRequest& r) {
    // Which node asks makes no difference but the name: of many loaders of one file, one reads it.
    std::string key = fmt::format("{}|{}|{}|{}|{}", static_cast<int>(r.role), r.id_suffix, r.folder,
                                  r.loader_class, r.weight_type);
    for (const auto& file : r.files) key += "|" + file;
    auto found = memo->find(key);
    if (found == memo->end()) found = memo->emplace(key, find_weights(r, search)).first;
    Result<Weights> weights = found->second;
    if (weights) weights->id = r.node + r.id_suffix, weights->node = r.node;
    return weights;
  };
}

/// A trial through all steps: demand, passes, policy, verdict, checker. Trials that differ only in
/// flags without a say in demand, or in levers, share their passes.
class Predictor {
 public:
  Predictor(std::shared_ptr<const Prompt> prompt, std::shared_ptr<const Order> order,
            FindWeights find, FindMedia media)
      : prompt_(std::move(prompt)),
        order_(std::move(order)),
        find_(std::move(find)),
        media_(std::move(media)) {}

  Result<Prediction> predict(const Trial& trial) {
    if (auto found = find_passes(trial); !found) return found.error();
    Prediction prediction;
    prediction.passes = passes_;
    prediction.timeline = simulate(*passes_, trial.machine, trial.levers);
    prediction.outcome = judge(*passes_, prediction.timeline, trial.machine);
    const auto findings = check(*prompt_, *order_, trial, prediction);
    if (findings.empty()) return prediction;
    return Error{ErrorCode::internal,
                 "the checker refuses this prediction: " + findings.front(),
                 {},
                 "Please report it with the workflow."};
  }

 private:
  Result<Done> find_passes(const Trial& trial) {
    const ComfyFlags flags = demand_flags(trial.machine.flags);
    const ComfyVersion& version = trial.machine.comfyui;
    if (passes_ && sizes_ == trial.sizes && flags_ == flags && version_ == version) return Done{};
    auto demand = estimate_demand(*prompt_, find_, trial.machine, trial.sizes, media_);
    if (!demand) return demand.error();
    auto passes = build_passes(*prompt_, *order_, *std::move(demand));
    if (auto error = too_large(passes)) return *std::move(error);
    sizes_ = trial.sizes, flags_ = flags, version_ = version;
    passes_ = std::make_shared<const Passes>(std::move(passes));
    return Done{};
  }

  std::shared_ptr<const Prompt> prompt_;
  std::shared_ptr<const Order> order_;
  FindWeights find_;
  FindMedia media_;
  // Of the last trial, and what they were made for.
  std::shared_ptr<const Passes> passes_;
  SizeOverrides sizes_;
  ComfyFlags flags_;
  ComfyVersion version_;
};

}  // namespace

FindMedia find_media(MediaFolders folders) {
  using Memo = std::map<std::string, std::optional<MediaSize>, std::less<>>;
  return [folders = std::move(folders), memo = std::make_shared<Memo>()](std::string_view name) {
    const auto found = memo->find(name);
    if (found != memo->end()) return found->second;
    const std::string path = locate_media(folders, name);
    std::optional<MediaSize> size;
    if (!path.empty()) {
      if (auto read = read_media_size(path)) size = *read;
    }
    return memo->emplace(std::string(name), size).first->second;
  };
}

std::optional<ComfyVersion> known_version(const Machine& machine) {
  if (machine.comfyui_kind == NumberKind::assumed) return std::nullopt;
  return machine.comfyui;
}

PromptOptions prompt_options(const std::optional<ComfyVersion>& version,
                             const NodeDefinitions* definitions) {
  PromptOptions options(version.value_or(kNewestKnown));
  options.version_assumed = !version;
  options.definitions = definitions;
  return options;
}

Error in_file(Error error, const std::string& file) {
  if (error.code == ErrorCode::input && error.where.file.empty()) error.where.file = file;
  return error;
}

Result<Prompt> make_prompt(const Workflow& workflow, const NodeDefinitions* definitions,
                           const Machine& machine) {
  return to_prompt(workflow, prompt_options(known_version(machine), definitions));
}

Result<Run> predict_run(Result<Prompt> prompt, const std::string& file, const Machine& machine,
                        const RunOptions& options) {
  if (!prompt) return prompt.error();
  auto order = order_steps(*prompt, machine.comfyui, {}, machine.flags.cache);
  if (!order) return order.error();

  Run run;
  run.prompt = std::make_shared<const Prompt>(*std::move(prompt));
  run.order = std::make_shared<const Order>(*std::move(order));
  WeightsSearch search = options.search;
  search.comfyui = machine.comfyui;
  search.memo = make_folder_memo();
  search.fp32_vaes = card_rules(machine).fp32_vaes;
  search.stated = run.prompt->stated_files;
  run.find = remembering(std::move(search));
  run.media = find_media(options.media);
  run.predict = [predictor =
                     std::make_shared<Predictor>(run.prompt, run.order, run.find, run.media)](
                    const Trial& trial) { return predictor->predict(trial); };
  run.report.file = file;
  run.report.trial = {machine, options.sizes, {}};
  auto prediction = run.predict(run.report.trial);
  if (!prediction) return prediction.error();
  run.report.prediction = *std::move(prediction);
  return run;
}

Result<Run> predict_run(const Workflow& workflow, const RunOptions& options) {
  const auto machine = resolve_machine(options.machine);
  if (!machine) return machine.error();
  return predict_run(make_prompt(workflow, options.definitions, *machine), workflow.file(),
                     *machine, options);
}

}  // namespace ebb
