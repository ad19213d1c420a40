// Every reader of untrusted bytes on its sound inputs, on those that once broke it, and on damaged ones of
// both. The search for others is `./run fuzz`.
#include <gtest/gtest.h>

#include <random>

#include "fuzz/target.h"

namespace marrow::fuzz {
namespace {

constexpr int kDamaged = 60;  // of each input

std::vector<std::string> inputs_of(const Target& target) {
  std::vector<std::string> inputs = target.seeds();
  for (const std::filesystem::path& kept : kept_inputs(target)) inputs.push_back(content_of(kept));
  return inputs;
}

// Some bytes changed, and now and then the end cut off.
std::string damaged(std::string input, std::mt19937& random) {
  if (input.empty()) return input;
  if (random() % 4 == 0) input.resize(random() % input.size());
  for (unsigned i = 0; i <= random() % 4 && !input.empty(); ++i)
    input[random() % input.size()] = static_cast<char>(random());
  return input;
}

class Fuzz : public ::testing::TestWithParam<Target> {};

TEST_P(Fuzz, OnlyRefuses) {
  std::mt19937 random(7);
  for (const std::string& input : inputs_of(GetParam())) {
    run(GetParam(), std::as_bytes(std::span(input)));
    for (int i = 0; i < kDamaged; ++i) {
      const std::string other = damaged(input, random);
      run(GetParam(), std::as_bytes(std::span(other)));
    }
  }
}

// A seed that its reader refuses would lead the search nowhere.
TEST_P(Fuzz, SeedsAreSound) {
  for (const std::string& seed : GetParam().seeds())
    EXPECT_NO_THROW(GetParam().read(std::as_bytes(std::span(seed)))) << seed;
}

INSTANTIATE_TEST_SUITE_P(Readers, Fuzz, ::testing::ValuesIn(targets()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace marrow::fuzz
