// SPDX-License-Identifier: Apache-2.0
// The report for programs: schema ebb.plan/1, documented in docs/json.md. Units are in the key
// names; an unknown number is null and notes[] says why.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "ebb/version.h"
#include "json/write.h"
#include "report/say.h"
#include "report/sentences.h"
#include "report/words.h"

namespace ebb {
namespace {

constexpr const char* kRamOpen =
    "this ComfyUI holds more in RAM than is counted yet; ram_at_least_bytes is what is counted";
constexpr const char* kNoRate = "a rate or the work of a step is not known";

/// A sum or maximum over passes: null where one of them is not known, and then a lower bound.
struct OfPasses {
  bool known = true;
  std::int64_t bytes = 0;
  std::optional<std::int64_t> value() const { return known ? std::optional(bytes) : std::nullopt; }
  std::string why() const {
    return fmt::format("that of one of the passes is; at least {} bytes", bytes);
  }
};

template <class Member>
bool known_in_all(const Prediction& prediction, bool only_samplers, Member member) {
  const auto& passes = prediction.passes->passes;
  for (const PassIndex p : prediction.outcome.passes.indices()) {
    const bool counts =
        only_samplers ? passes[p].kind == StepKind::sample : !passes[p].weights.empty();
    if (counts && !(prediction.outcome.passes[p].*member).has_value()) return false;
  }
  return true;
}

/// Collects why numbers are null: one sentence for one reason, with all the places it applies to.
class Nulls {
 public:
  void add(const std::string& reason, int pass) {
    const auto same = [&](const auto& entry) {
      return entry.first == reason && (entry.second[0] == 0) == (pass == 0);
    };
    auto at = std::find_if(entries_.begin(), entries_.end(), same);
    if (at == entries_.end()) {
      entries_.push_back({reason, {pass}});
    } else if (at->second.back() != pass) {
      at->second.push_back(pass);
    }
  }
  std::vector<std::string> sentences() const {
    std::vector<std::string> result;
    for (const auto& [reason, passes] : entries_) {
      const std::string where = passes[0] == 0       ? ""
                                : passes.size() == 1 ? fmt::format("Pass {}: ", passes[0])
                                                     : "Passes " + join_ranges(passes) + ": ";
      result.push_back(where + reason);
    }
    return result;
  }

 private:
  std::vector<std::pair<std::string, std::vector<int>>> entries_;
};

/// A writer that knows this document's habits.
class PlanWriter {
 public:
  explicit PlanWriter(const Report& report)
      : report_(report), view_(make_view(report.prediction)) {}
  std::string write() &&;

 private:
  void text(std::string_view key, std::string_view value) { json_.member(key, valid_utf8(value)); }
  void texts(std::string_view key, const std::vector<std::string>& values);
  void quantity(const std::string& name, const Quantity& quantity, int pass);
  void figure(const std::string& name, const Figure& figure);
  template <class T>
  void maybe(const std::string& key, const std::optional<T>& value, int pass,
             const std::string& reason);
  void of_passes(const std::string& key, const OfPasses& value);
  void totals();
  void ids(std::string_view key, const std::vector<WeightsIndex>& weights);
  const std::string& id_of(WeightsIndex weights) const;
  void loaded();
  void machine();
  void models();
  void passes();
  void pass(const PassView& pass);
  void moves(const PassView& pass);
  void cuts();
  void own_nodes(PassIndex after_pass);
  void fixes();
  void table();
  void notes();

  const Report& report_;
  View view_;
  JsonWriter json_;
  Nulls nulls_;
};

void PlanWriter::texts(std::string_view key, const std::vector<std::string>& values) {
  json_.key(key).begin_array();
  for (const auto& value : values) json_.value(valid_utf8(value));
  json_.end_array();
}

/// NAME_bytes, NAME_kind, NAME_source.
void PlanWriter::quantity(const std::string& name, const Quantity& quantity, int pass) {
  json_.member(name + "_bytes", quantity.value());
  json_.member(name + "_kind", to_string(quantity.kind));
  text(name + "_source", say(quantity.source));
  if (!quantity.known()) {
    nulls_.add(fmt::format("{}_bytes is unknown{}", name,
                           quantity.source.empty() ? "" : ": " + printable(say(quantity.source))),
               pass);
  }
}

void PlanWriter::figure(const std::string& name, const Figure& figure) {
  const bool known = figure.known() && std::isfinite(figure.value);
  maybe(name, known ? std::optional(figure.value) : std::nullopt, 0,
        figure.source.empty() ? "not measured, not given" : printable(say(figure.source)));
  json_.member(name + "_kind", to_string(figure.kind));
  text(name + "_source", say(figure.source));
}

template <class T>
void PlanWriter::maybe(const std::string& key, const std::optional<T>& value, int pass,
                       const std::string& reason) {
  bool known = value.has_value();
  if constexpr (std::is_same_v<T, double>) known = known && std::isfinite(*value);
  json_.member(key, known ? value : std::nullopt);
  if (!known) nulls_.add(key + " is unknown: " + reason, pass);
}

void PlanWriter::of_passes(const std::string& key, const OfPasses& value) {
  maybe(key, value.value(), 0, value.why());
}

/// What the run comes to.
void PlanWriter::totals() {
  const Prediction& prediction = report_.prediction;
  const Outcome& outcome = prediction.outcome;
  const bool reads = std::none_of(view_.passes.begin(), view_.passes.end(),
                                  [](const PassView& pass) { return pass.reads_unknown; });
  of_passes("offloaded_bytes", {known_in_all(prediction, true, &PassOutcome::offloaded_bytes),
                                outcome.offloaded_bytes});
  of_passes("vram_peak_bytes", {known_in_all(prediction, false, &PassOutcome::vram_peak_bytes),
                                outcome.vram_peak_bytes});
  if (outcome.ram_open) {
    maybe("ram_peak_bytes", std::optional<std::int64_t>(), 0, kRamOpen);
  } else {
    of_passes("ram_peak_bytes", {known_in_all(prediction, false, &PassOutcome::ram_peak_bytes),
                                 outcome.ram_peak_bytes});
  }
  json_.member("ram_at_least_bytes", outcome.ram_peak_bytes);
  of_passes("read_bytes", {reads, outcome.read_bytes});
  maybe("seconds", outcome.seconds, 0,
        fmt::format("{}; known_seconds are those that are", kNoRate));
  const bool finite = std::isfinite(outcome.known_seconds);
  json_.member("known_seconds", finite ? outcome.known_seconds : 0.0);
}

const std::string& PlanWriter::id_of(WeightsIndex weights) const {
  return report_.prediction.passes->weights[weights].id;
}

void PlanWriter::ids(std::string_view key, const std::vector<WeightsIndex>& weights) {
  json_.key(key).begin_array();
  for (const WeightsIndex w : weights) json_.value(valid_utf8(id_of(w)));
  json_.end_array();
}

/// Pictures and videos from files.
void PlanWriter::loaded() {
  json_.key("loaded").begin_array();
  for (const LoadedMedia& media : report_.prediction.passes->loaded) {
    json_.begin_object();
    text("node", media.node);
    json_.member("width_px", media.shape.width);
    json_.member("height_px", media.shape.height);
    json_.member("pictures", media.shape.batch * media.shape.frames);
    json_.member("frames_per_second", media.frames_per_second);
    json_.member("kind", to_string(media.kind));
    json_.end_object();
  }
  json_.end_array();
}

void PlanWriter::machine() {
  const Machine& machine = report_.trial.machine;
  json_.key("machine").begin_object();
  text("gpu", machine.gpu);
  json_.member("gpu_vendor", to_string(machine.card.vendor));
  json_.member("gpu_vendor_kind", to_string(machine.card.kind));
  quantity("vram_total", machine.vram_total, 0);
  quantity("vram_free", machine.vram_free, 0);
  quantity("ram_total", machine.ram_total, 0);
  quantity("ram_others", machine.ram_others, 0);
  json_.member("os", machine.os == Os::windows ? "windows" : "linux");
  json_.member("os_kind", to_string(machine.os_kind));
  text("comfyui", to_string(machine.comfyui));
  json_.member("comfyui_kind", to_string(machine.comfyui_kind));
  text("flags", to_string(machine.flags));
  figure("link_bytes_per_second", machine.link_bytes_per_second);
  figure("disk_bytes_per_second", machine.disk_bytes_per_second);
  figure("ram_bytes_per_second", machine.ram_bytes_per_second);
  figure("compute_flops_per_second", machine.compute_flops_per_second);
  json_.end_object();
}

void PlanWriter::models() {
  json_.key("models").begin_array();
  for (const Weights& w : report_.prediction.passes->weights) {
    json_.begin_object();
    text("id", w.id);
    text("name", w.name);
    text("file", w.files.empty() ? w.name : w.files[0]);
    texts("files", w.files);
    text("node", w.node);
    json_.member("role", to_string(w.role));
    json_.key("architecture");
    w.architecture.empty() ? json_.null() : json_.value(valid_utf8(w.architecture));
    if (w.architecture.empty()) nulls_.add("architecture of " + printable(w.id) + " is unknown", 0);
    text("comfyui_class", w.comfyui_class);
    const auto known = [&](std::int64_t bytes) {
      return w.known() ? std::optional(bytes) : std::nullopt;
    };
    json_.member("bytes", known(w.bytes));
    json_.member("bytes_from", to_string(w.bytes_from));
    text("bytes_source", say(w.source));
    if (!w.known()) {
      nulls_.add(fmt::format("bytes, listed_bytes and file_bytes of {} ({}) are unknown{}",
                             printable(w.id), printable(w.name),
                             w.source.empty() ? "" : ": " + printable(say(w.source))),
                 0);
    }
    json_.member("listed_bytes", known(w.listed_bytes));
    json_.member("file_bytes", known(w.file_bytes));
    text("stored_type", w.stored_type);
    json_.member("modules_exact", w.modules_exact);
    json_.end_object();
  }
  json_.end_array();
}

void PlanWriter::moves(const PassView& pass) {
  json_.key("loads").begin_array();
  for (const Load& load : pass.loads) {
    json_.begin_object();
    text("model", id_of(load.weights));
    json_.member("full", load.full);
    json_.member("free_bytes", load.free_bytes);
    json_.member("minimum_bytes", load.minimum_bytes);
    json_.member("reserve_bytes", load.reserve_bytes);
    json_.member("usable_bytes", load.usable_bytes);
    json_.member("loaded_bytes", load.loaded_bytes);
    json_.member("offloaded_bytes", load.offloaded_bytes);
    json_.member("buffer_bytes", load.buffer_bytes);
    text("log", load.log);
    json_.end_object();
  }
  json_.end_array();
  json_.key("evictions").begin_array();
  for (const Eviction& eviction : pass.evictions) {
    json_.begin_object();
    text("model", id_of(eviction.weights));
    json_.member("bytes", eviction.bytes);
    json_.member("partial", eviction.partial);
    json_.end_object();
  }
  json_.end_array();
}

void PlanWriter::pass(const PassView& pass) {
  const PassOutcome& outcome = *pass.outcome;
  const int number = pass.number;
  const std::string absent =
      pass.weights.empty() ? "no weights are in use" : "see the model or demand";
  json_.begin_object();
  json_.member("index", number);
  json_.member("work", to_string(pass.kind));
  texts("nodes", pass.nodes);
  ids("weights", pass.weights);
  json_.member("verdict", to_string(outcome.verdict));
  text("cause", say(outcome.causes));
  write_codes(json_, "causes", outcome.causes);
  json_.member("then", to_string(outcome.then));
  text("lacking", say(outcome.lacking));
  quantity("asked", pass.demand->subtracted(), number);
  quantity("live", pass.demand->live, number);
  quantity("reserved", pass.demand->reserved, number);
  json_.member("demand_low_factor", pass.demand->low);
  json_.member("demand_high_factor", pass.demand->high);
  maybe("usable_bytes", outcome.usable_bytes, number, absent);
  maybe("loaded_bytes", outcome.loaded_bytes, number, absent);
  maybe("offloaded_bytes", outcome.offloaded_bytes, number, absent);
  maybe("vram_peak_bytes", outcome.vram_peak_bytes, number, absent);
  const bool open = report_.prediction.outcome.ram_open;
  maybe("ram_peak_bytes", outcome.ram_peak_bytes, number, open ? kRamOpen : absent);
  json_.member("ram_at_least_bytes", outcome.ram_at_least_bytes);
  json_.member("ram_pinned_bytes", outcome.ram_pinned_bytes);
  json_.member("ram_file_pages_bytes", outcome.ram_file_pages_bytes);
  maybe("read_bytes", pass.read_bytes(), number, "the size of a file it reads is not known");
  json_.member("repeats", outcome.repeats);
  maybe("read_seconds", outcome.read_seconds, number, kNoRate);
  maybe("stream_seconds_per_repeat", outcome.stream_seconds, number, kNoRate);
  maybe("stall_seconds_per_repeat", outcome.stall_seconds, number, kNoRate);
  maybe("compute_seconds_per_repeat", outcome.compute_seconds, number, kNoRate);
  maybe("seconds", pass.seconds(), number, kNoRate);
  moves(pass);
  json_.end_object();
}

void PlanWriter::passes() {
  json_.key("passes").begin_array();
  for (const PassView& view : view_.passes) pass(view);
  json_.end_array();
}

void PlanWriter::cuts() {
  json_.key("cuts").begin_array();
  for (const Cut& cut : report_.prediction.passes->cuts) {
    json_.begin_object();
    json_.member("after_pass", cut.after_pass.number());
    json_.key("crossing").begin_array();
    for (const Crossing& crossing : cut.crossing) {
      json_.begin_object();
      text("type", crossing.type);
      text("node", crossing.node);
      json_.member("bytes", crossing.bytes);
      json_.member("bytes_kind",
                   to_string(crossing.bytes ? NumberKind::computed : NumberKind::unknown));
      if (!crossing.bytes) {
        nulls_.add("bytes of the " + printable(crossing.type) + " that crosses after it is unknown",
                   cut.after_pass.number());
      }
      json_.end_object();
    }
    json_.end_array();
    own_nodes(cut.after_pass);
    json_.end_object();
  }
  json_.end_array();
}

/// Ebb's nodes at a cut.
void PlanWriter::own_nodes(PassIndex after_pass) {
  const Passes& passes = *report_.prediction.passes;
  json_.key("nodes").begin_array();
  for (const CutStep& order : passes.own.cuts) {
    if (order.after_pass != after_pass) continue;
    const Step& step = passes.steps[order.step];
    json_.begin_object();
    text("node", step.id);
    text("class", step.class_type);
    json_.member("action", to_string(order.action));
    json_.key("weights").begin_array();
    for (const WeightsIndex w : order.weights) {
      json_.value(valid_utf8(passes.weights[w].id));
    }
    json_.end_array().end_object();
  }
  json_.end_array();
}

void PlanWriter::fixes() {
  json_.key("fixes").begin_array();
  for (const Fix& fix : report_.fixes) {
    json_.begin_object();
    text("id", fix.id);
    json_.member("kind", to_string(fix.kind));
    text("title", say(fix.title));
    text("effect", fix.effects.empty() ? "-" : say(fix.effects));
    write_codes(json_, "does", {fix.title});
    write_codes(json_, "effects", fix.effects);
    text("price", fix.costs.empty() ? "-" : say(fix.costs));
    json_.key("costs").begin_array();
    for (const Message& cost : fix.costs) {
      const auto* amount = cost.arguments().empty()
                               ? nullptr
                               : std::get_if<std::int64_t>(&cost.arguments()[0].value);
      json_.begin_object().member("kind", to_string(cost.code));
      json_.member("amount", amount ? *amount : 0).end_object();
    }
    json_.end_array();
    json_.member("helps", fix.helps);
    json_.member("verdict", to_string(fix.verdict));
    const std::string why = "what the fix \"" + fix.id + "\" changes there was not predicted";
    maybe("vram_bytes", fix.vram_bytes, 0, why);
    maybe("ram_bytes", fix.ram_bytes, 0, why);
    maybe("seconds", fix.seconds, 0, kNoRate);
    json_.end_object();
  }
  json_.end_array();
}

void PlanWriter::table() {
  json_.key("table").begin_array();
  for (const SweepRow& row : report_.table) {
    json_.begin_object();
    const bool asked = row.sizes.frames && row.sizes.width && row.sizes.height;
    if (!asked) nulls_.add("frames, width_px and height_px are null where a row keeps them", 0);
    json_.member("frames", row.sizes.frames);
    json_.member("width_px", row.sizes.width);
    json_.member("height_px", row.sizes.height);
    maybe("frames_made", row.frames, 0, "the workflow makes no video");
    json_.member("verdict", to_string(row.outcome.verdict));
    maybe("usable_bytes", row.usable_bytes, 0, "no sampling pass has a known budget");
    // What is unknown with the workflow's own size is unknown with others.
    const Prediction& own = report_.prediction;
    of_passes("offloaded_bytes",
              {known_in_all(own, true, &PassOutcome::offloaded_bytes), row.offloaded_bytes});
    of_passes("vram_peak_bytes", {known_in_all(own, false, &PassOutcome::vram_peak_bytes),
                                  row.outcome.vram_peak_bytes});
    of_passes("ram_peak_bytes",
              {known_in_all(own, false, &PassOutcome::ram_peak_bytes), row.outcome.ram_peak_bytes});
    json_.end_object();
  }
  json_.end_array();
  json_.key("largest_resident").begin_object();
  maybe("frames", report_.largest_resident_frames, 0,
        "no frame count keeps every diffusion model whole, or there are no frames");
  json_.end_object();
}

void PlanWriter::notes() {
  std::vector<std::string> sentences = all_notes(report_, view_, false);
  for (auto& sentence : nulls_.sentences()) sentences.push_back(sentence + ".");
  texts("notes", sentences);
  texts("assumed", assumptions(report_));
}

std::string PlanWriter::write() && {
  const Outcome& outcome = report_.prediction.outcome;
  const Headline head = headline(report_, view_);
  json_.begin_object();
  json_.member("schema", "ebb.plan/1");
  json_.member("ebb", EBB_VERSION);
  text("file", report_.file);
  json_.member("verdict", to_string(outcome.verdict));
  text("cause", say(outcome.causes));
  write_codes(json_, "causes", outcome.causes);
  text("headline", head.word + " " + head.rest);
  json_.member("known_verdict", to_string(outcome.known));
  std::vector<std::string> lacking;
  for (const Message& message : outcome.lacking) lacking.push_back(say(message));
  texts("lacking", lacking);
  write_codes(json_, "lacks", outcome.lacking);
  totals();
  const auto& picture = report_.prediction.passes->picture;
  const auto side = [&](auto member) {
    return picture ? std::optional((*picture).*member) : std::nullopt;
  };
  json_.key("picture").begin_object();
  maybe("width_px", side(&Shape::width), 0, "the size of the picture could not be followed");
  maybe("height_px", side(&Shape::height), 0, "the size of the picture could not be followed");
  maybe("frames", side(&Shape::frames), 0, "the size of the picture could not be followed");
  json_.end_object();
  loaded();
  machine();
  text("policy", policy_words(report_.prediction.timeline.policy));
  models();
  texts("order", report_.order);
  json_.member("order_depends_on_outputs", report_.order_depends_on_outputs);
  passes();
  cuts();
  fixes();
  table();
  notes();
  json_.end_object();
  return std::move(json_).finish();
}

}  // namespace

std::string to_json(const Report& report) { return PlanWriter(report).write(); }

}  // namespace ebb
