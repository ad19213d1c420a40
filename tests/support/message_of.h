// What an action has to say when it fails.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <optional>
#include <string>

#include "marrow/base/error.h"

namespace marrow::testing {

// With `kind`, its error must be of that kind.
inline std::string message_of(const std::function<void()>& action, std::optional<ErrorKind> kind = {}) {
  try {
    action();
  } catch (const Error& error) {
    if (kind) {
      EXPECT_EQ(error.kind(), *kind) << error.what();
    }
    return error.what();
  }
  return "nothing was thrown";
}

// The same; empty when it does not fail.
inline std::string refusal_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

}  // namespace marrow::testing
