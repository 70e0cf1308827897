// SPDX-License-Identifier: Apache-2.0
// The boundary: C on the one side, values on the other; nothing is thrown across.
#include "ebb/c.h"

#include <cstdlib>
#include <cstring>
#include <exception>
#include <new>

#include "capi/call.h"
#include "ebb/version.h"

namespace {

using ebb::capi::Call;
using Function = ebb::Result<std::string> (*)(std::string_view, const Call&);

std::string_view view(ebb_input input) {
  return input.data ? std::string_view(input.data, input.size) : std::string_view();
}

ebb_status give(const std::string& text, ebb_status status, ebb_text* answer) {
  auto* data = static_cast<char*>(std::malloc(text.size() + 1));
  if (!data) return EBB_NO_MEMORY;
  std::memcpy(data, text.c_str(), text.size() + 1);
  *answer = {data, text.size()};
  return status;
}

ebb_status answer_of(Function function, ebb_input workflow, ebb_input options, ebb_text* answer) {
  Call call;
  if (auto done = ebb::capi::read_options(view(options), call); !done) {
    return give(ebb::capi::to_json(done.error()), EBB_ERROR, answer);
  }
  const auto result = function(view(workflow), call);
  return result ? give(*result, EBB_OK, answer)
                : give(ebb::capi::to_json(result.error()), EBB_ERROR, answer);
}

ebb_status run(Function function, ebb_input workflow, ebb_input options,
               ebb_text* answer) noexcept {
  if (!answer) return EBB_ERROR;
  *answer = {nullptr, 0};
  try {
    try {
      return answer_of(function, workflow, options, answer);
    } catch (const std::bad_alloc&) {
      return EBB_NO_MEMORY;
    } catch (const std::exception& error) {
      const ebb::Error told{ebb::ErrorCode::internal, error.what(), ebb::Where(),
                            "Please report it with the workflow."};
      return give(ebb::capi::to_json(told), EBB_ERROR, answer);
    }
  } catch (...) {
    return EBB_NO_MEMORY;
  }
}

}  // namespace

const char* ebb_version(void) { return EBB_VERSION; }

int ebb_c_abi(void) { return EBB_C_ABI; }

ebb_status ebb_plan(ebb_input workflow, ebb_input options, ebb_text* answer) {
  return run(ebb::capi::plan, workflow, options, answer);
}

ebb_status ebb_svg(ebb_input workflow, ebb_input options, ebb_text* answer) {
  return run(ebb::capi::svg, workflow, options, answer);
}

ebb_status ebb_apply(ebb_input workflow, ebb_input options, ebb_text* answer) {
  return run(ebb::capi::apply, workflow, options, answer);
}

ebb_status ebb_undo(ebb_input workflow, ebb_input options, ebb_text* answer) {
  return run(ebb::capi::undo, workflow, options, answer);
}

ebb_status ebb_convert(ebb_input workflow, ebb_input options, ebb_text* answer) {
  return run(ebb::capi::convert, workflow, options, answer);
}

void ebb_free(ebb_text* answer) {
  if (!answer) return;
  std::free(answer->data);
  *answer = {nullptr, 0};
}
