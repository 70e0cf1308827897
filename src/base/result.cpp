// SPDX-License-Identifier: Apache-2.0
#include "ebb/result.h"

namespace ebb {

std::string to_string(const Error& error) {
  std::string text;
  if (!error.where.file.empty()) {
    text += error.where.file;
    if (error.where.line >= 0) text += ":" + std::to_string(error.where.line);
    if (error.where.column >= 0) text += ":" + std::to_string(error.where.column);
    text += ": ";
  }
  if (!error.where.place.empty()) text += error.where.place + ": ";
  text += error.message;
  if (!error.hint.empty()) text += "\n  " + error.hint;
  return text;
}

const char* to_string(ErrorReason reason) {
  switch (reason) {
    case ErrorReason::none: break;
    case ErrorReason::no_such_card: return "no_such_card";
    case ErrorReason::nothing_of_ours: return "nothing_of_ours";
  }
  return nullptr;
}

Error input_error(std::string message, std::string file, std::string place, std::string hint) {
  Error error;
  error.message = std::move(message);
  error.where.file = std::move(file);
  error.where.place = std::move(place);
  error.hint = std::move(hint);
  return error;
}

Error usage_error(std::string message, std::string hint) {
  Error error;
  error.code = ErrorCode::usage;
  error.message = std::move(message);
  error.hint = std::move(hint);
  return error;
}

}  // namespace ebb
