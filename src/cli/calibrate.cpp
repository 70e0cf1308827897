// SPDX-License-Identifier: Apache-2.0
// `ebb calibrate`: runs the tracer inside the user's own ComfyUI and prints what it found beside
// what the table says. The tracer is two Python files that this one carries.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <system_error>
#include <vector>

#include "cli/command.h"
#include "cli/print.h"
#include "ebb/ebb.h"

namespace ebb::cli {
namespace {

constexpr char kTracer[] =
#include "trace_demand.inc"
    ;
constexpr char kTracedModels[] =
#include "trace_models.inc"
    ;

struct CalibrateArguments {
  std::string comfyui, python, out;
  std::vector<std::string> only;
};

/// A folder of our own that goes away with what is in it.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    const char* base = std::getenv("TMPDIR");
    std::string path = fmt::format("{}/ebb-calibrate-XXXXXX", base && *base ? base : "/tmp");
    if (mkdtemp(path.data())) path_ = path;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// Replaces the child with the program; its output goes to the log. Only calls that are safe
/// between fork and exec.
[[noreturn]] void become(char* const* arguments, int log) {
  dup2(log, STDOUT_FILENO);
  dup2(log, STDERR_FILENO);
  execvp(arguments[0], arguments);
  _exit(127);
}

/// The exit code of a program, 128 + signal if one ended it. No shell in between.
Result<int> run_program(std::vector<std::string> words, const std::string& log_path) {
  const int log = open(log_path.c_str(), O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600);
  if (log < 0) return input_error("can't be written: " + std::string(strerror(errno)), log_path);
  std::vector<char*> arguments;
  for (auto& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  const pid_t child = fork();
  if (child == 0) become(arguments.data(), log);
  close(log);
  if (child < 0) return input_error("no process can be started: " + std::string(strerror(errno)));
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return input_error("lost track of " + words[0]);
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/// What Python wrote last: the line that says what went wrong.
std::string last_line(const std::string& text) {
  const std::size_t end = text.find_last_not_of("\r\n ");
  if (end == std::string::npos) return "it wrote nothing";
  const std::size_t start = text.rfind('\n', end);
  return text.substr(start == std::string::npos ? 0 : start + 1,
                     end - (start == std::string::npos ? 0 : start + 1) + 1);
}

Result<std::string> trace(const CalibrateArguments& arguments) {
  const TemporaryFolder folder;
  if (folder.path().empty()) {
    return input_error("no temporary folder can be made: " + std::string(strerror(errno)), {}, {},
                       "Set TMPDIR to a folder that can be written.");
  }
  const std::string script = folder.path() + "/trace_demand.py";
  const std::string rows = folder.path() + "/rows.jsonl", log = folder.path() + "/log";
  if (auto done = write_file(script, kTracer); !done) return done.error();
  if (auto done = write_file(folder.path() + "/trace_models.py", kTracedModels); !done) {
    return done.error();
  }
  std::vector<std::string> words = {arguments.python, script, arguments.comfyui, "--out", rows};
  for (const auto& key : arguments.only) words.insert(words.end(), {"--only", key});
  const auto code = run_program(words, log);
  if (!code) return code.error();
  if (*code == 127) {
    return usage_error(fmt::format("--python: \"{}\" can't be started", arguments.python),
                       "Give the Python that ComfyUI runs with, such as ComfyUI/venv/bin/python.");
  }
  if (*code != 0) {
    const auto written = read_file(log);
    return input_error(
        fmt::format("the tracer failed: {}", last_line(written ? *written : std::string())),
        arguments.comfyui, {},
        "Give a ComfyUI folder and the Python that it runs with (PyTorch must be importable).");
  }
  return read_file(rows);
}

std::string size_text(const Shape& picture) {
  std::string text = fmt::format("{}x{}", picture.width, picture.height);
  if (picture.video) text += fmt::format("x{}", picture.frames);
  if (picture.batch > 1) text += fmt::format(" *{}", picture.batch);
  return text;
}

double gib(std::int64_t bytes) { return static_cast<double>(bytes) / (1LL << 30); }

struct Tally {
  int compared = 0, close = 0, without_row = 0, failed = 0;
};

std::string line_of(const TracedCall& call, Tally& tally) {
  const char* step = call.step == StepKind::decode         ? "decode"
                     : call.step == StepKind::encode_image ? "encode"
                     : call.step == StepKind::upscale      ? "upscale"
                                                           : "sample";
  if (!call.error.empty()) {
    ++tally.failed;
    return fmt::format("{:<26} not traced: {}\n", call.architecture, call.error);
  }
  std::string line = fmt::format("{:<26} {:<7} {:<15} {:>8.3f}", call.architecture, step,
                                 size_text(call.picture), gib(call.live_bytes));
  // VAEs compute items one by one where memory is short: the table knows single ones.
  const bool several = call.step != StepKind::sample && call.picture.batch > 1;
  const auto table = several ? std::nullopt : table_demand(call);
  if (!table || !table->live.known()) {
    tally.without_row += !several;
    return line + fmt::format(" {:>8} {:>8} {:>9.3f}\n", "-", several ? "" : "no row",
                              gib(call.reserved_bytes));
  }
  const double difference = gib(table->live.bytes) / gib(call.live_bytes) - 1;
  const bool judged = call.picture.batch == 1;  // the table doubles one item, an upper bound
  tally.compared += judged;
  tally.close += judged && difference >= -0.01 && difference <= 0.01;
  return line + fmt::format(" {:>8.3f} {:>+7.1f}% {:>9.3f} {:>8.3f} {}\n", gib(table->live.bytes),
                            100 * difference, gib(call.reserved_bytes), gib(table->reserved.bytes),
                            to_string(table->live.kind));
}

int run(const CalibrateArguments& arguments) {
  const auto rows = trace(arguments);
  if (!rows) return fail("calibrate", rows.error());
  const auto calls = parse_traced_calls(*rows, "rows");
  if (!calls) return fail("calibrate", calls.error());
  if (!arguments.out.empty()) {
    if (auto done = write_file(arguments.out, *rows); !done) {
      return fail("calibrate", done.error());
    }
  }
  std::string text;
  if (!calls->empty()) {
    text = fmt::format(
        "ComfyUI {}, PyTorch {}: what one step needs beside weights, GiB\n\n"
        "{:<26} {:<7} {:<15} {:>8} {:>8} {:>8} {:>9} {:>8} {}\n",
        to_string(calls->front().comfyui), calls->front().torch, "key", "step", "size", "live",
        "table", "differs", "reserved", "table", "kind");
  }
  Tally tally;
  for (const auto& call : *calls) text += line_of(call, tally);
  text +=
      fmt::format("\n{} of {} single items within 1 % of the table", tally.close, tally.compared);
  if (tally.without_row > 0) text += fmt::format(", {} without a row", tally.without_row);
  if (tally.failed > 0) text += fmt::format(", {} not traced", tally.failed);
  text += "\n";
  return answer(text, tally.close == tally.compared ? kAnswered : kWorse);
}

}  // namespace

std::function<int()> declare_calibrate(Options& options) {
  auto arguments = std::make_shared<CalibrateArguments>();
  options.value("--comfyui", arguments->comfyui, "DIR", "ComfyUI folder whose model code is traced")
      .required();
  options.value("--python", arguments->python, "PY", "the Python that ComfyUI runs with")
      .required();
  options.value("--only", arguments->only, "KEY", "only this architecture; may be given again");
  options.value("--out", arguments->out, "FILE", "also write the rows, one JSON object a line");
  options.footer(
      "No GPU and no weights: models are built without storage, a few minutes for all of them.\n"
      "Exit code 1: a single item differs from the table by more than 1 %. For a batch of two (*2) "
      "the\ntable doubles one item: up to 5 % more, because position tables are shared.\n\n"
      "  ebb calibrate --comfyui ~/ComfyUI --python ~/ComfyUI/venv/bin/python\n"
      "  ebb calibrate --comfyui ~/ComfyUI --python python3 --only wan-14b --only wan21-vae");
  return [arguments] { return run(*arguments); };
}

}  // namespace ebb::cli
