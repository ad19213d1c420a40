// Whether a text has a part, printed where it has not.
#pragma once

#include <gtest/gtest.h>

#include <string_view>

namespace marrow::testing {

inline ::testing::AssertionResult says(std::string_view text, std::string_view part) {
  if (text.find(part) != std::string_view::npos) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << "\"" << text << "\" has no \"" << part << "\"";
}

}  // namespace marrow::testing

#define EXPECT_SAYS(text, part) EXPECT_TRUE(::marrow::testing::says(text, part))
