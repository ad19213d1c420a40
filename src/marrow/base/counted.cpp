#include "marrow/base/counted.h"

#include <algorithm>
#include <array>

namespace marrow {
namespace {

std::string plural(std::string_view name) {
  constexpr std::array<std::string_view, 5> kHissing = {"s", "x", "z", "ch", "sh"};
  constexpr std::array<std::string_view, 2> kHard = {"epoch", "stomach"};  // ch is spoken as k
  constexpr std::string_view kVowels = "aeiou";
  const auto is_end = [&](std::string_view end) { return name.ends_with(end); };
  // A class may be named by its plural: "scissors", "Platelets".
  if (name.ends_with('s') && !is_end("ss") && !is_end("us")) return std::string(name);
  if (std::ranges::any_of(kHissing, is_end) && std::ranges::none_of(kHard, is_end))
    return std::string(name) + "es";
  if (name.size() > 1 && name.back() == 'y' && kVowels.find(name[name.size() - 2]) == std::string_view::npos)
    return std::string(name.substr(0, name.size() - 1)) + "ies";
  return std::string(name) + "s";
}

}  // namespace

std::string counted(int64_t number, std::string_view name) {
  return std::to_string(number) + " " + (number == 1 ? std::string(name) : plural(name));
}

}  // namespace marrow
