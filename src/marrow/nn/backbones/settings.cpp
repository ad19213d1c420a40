#include "marrow/nn/backbones/settings.h"

#include <fmt/format.h>

#include <cmath>

#include "marrow/base/error.h"
#include "marrow/base/text.h"

namespace marrow::nn {

const BackboneConfig& Settings::at(std::string_view key) const {
  const auto found = config_.find(std::string(key));
  if (found == config_.end())
    throw Error(ErrorKind::kModel, fmt::format("{}: the setting '{}' is missing", family_, key));
  return *found;
}

void Settings::fail(std::string_view key, const std::string& wanted) const {
  const std::string found = at(key).dump(-1, ' ', false, BackboneConfig::error_handler_t::replace);
  throw Error(ErrorKind::kModel,
              fmt::format("{}: {} is {}, wanted {}", family_, key, printable(found), wanted));
}

int Settings::integer(std::string_view key, int smallest, int largest) const {
  const double value = number(key, smallest, largest);
  if (value != std::floor(value)) fail(key, "a whole number");
  return static_cast<int>(value);
}

double Settings::number(std::string_view key, double smallest, double largest) const {
  const BackboneConfig& value = at(key);
  const std::string wanted = fmt::format("a number from {} to {}", smallest, largest);
  if (!value.is_number()) fail(key, wanted);
  const double number = value.get<double>();
  if (!(number >= smallest && number <= largest)) fail(key, wanted);
  return number;
}

bool Settings::flag(std::string_view key) const {
  const BackboneConfig& value = at(key);
  if (!value.is_boolean()) fail(key, "true or false");
  return value.get<bool>();
}

std::string Settings::text(std::string_view key) const {
  const BackboneConfig& value = at(key);
  if (!value.is_string()) fail(key, "a name");
  return value.get<std::string>();
}

std::vector<int> Settings::integers(std::string_view key, int smallest, int largest) const {
  const BackboneConfig& value = at(key);
  if (value.is_null()) return {};
  const std::string wanted =
      fmt::format("a list of at most {} whole numbers from {} to {}", kMaxBlocks, smallest, largest);
  if (!value.is_array() || value.size() > kMaxBlocks) fail(key, wanted);
  std::vector<int> numbers;
  for (const BackboneConfig& entry : value) {
    const double number = entry.is_number() ? entry.get<double>() : smallest - 1.0;
    if (!(number >= smallest && number <= largest) || number != std::floor(number)) fail(key, wanted);
    numbers.push_back(static_cast<int>(number));
  }
  return numbers;
}

int scaled_repeats(int repeats, double depth) {
  return static_cast<int>(std::ceil(depth * repeats));
}

int scaled_channels(int channels, double factor) {
  return factor == 1 ? channels : static_cast<int>(std::ceil(channels * factor / 8)) * 8;
}

}  // namespace marrow::nn
