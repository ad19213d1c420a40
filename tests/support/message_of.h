// What an action has to say when it fails.
#pragma once

#include <functional>
#include <string>

#include "marrow/base/error.h"

namespace marrow::testing {

inline std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing was thrown";
}

}  // namespace marrow::testing
