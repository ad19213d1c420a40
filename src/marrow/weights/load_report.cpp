#include "marrow/weights/load_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <set>

namespace marrow::weights {
namespace {

// "model.22.cv2.0.0.conv.weight" -> "model.22", "stem.0.conv.weight" -> "stem.0", "fc.weight" -> "fc".
std::string module_of(std::string_view name) {
  const size_t first = name.find('.');
  if (first == std::string_view::npos) return std::string(name);
  const size_t second = name.find('.', first + 1);
  const std::string_view part = name.substr(first + 1, second - first - 1);
  const bool numbered =
      !part.empty() && std::ranges::all_of(part, [](unsigned char c) { return std::isdigit(c); });
  return std::string(name.substr(0, numbered ? second : first));
}

// "model.2" before "model.10".
bool natural_less(const std::string& a, const std::string& b) {
  const auto key = [](const std::string& name) {
    const size_t dot = name.rfind('.');
    if (dot == std::string::npos) return std::pair(name, -1);
    return std::pair(name.substr(0, dot), std::atoi(name.c_str() + dot + 1));
  };
  return key(a) < key(b);
}

void list_names(std::string& text, std::string_view title, const std::vector<std::string>& names) {
  constexpr size_t kListed = 8;
  if (names.empty()) return;
  text += fmt::format("{} ({}):\n", title, names.size());
  for (size_t i = 0; i < std::min(names.size(), kListed); ++i) text += "  " + names[i] + '\n';
  if (names.size() > kListed) text += fmt::format("  and {} more\n", names.size() - kListed);
}

}  // namespace

double LoadReport::loaded_share(const std::function<bool(const std::string&)>& counts) const {
  const auto filled = std::ranges::count_if(loaded, counts);
  const auto absent =
      std::ranges::count_if(missing, counts) + std::ranges::count_if(mismatched, counts, &Mismatch::name);
  return filled + absent == 0 ? 1.0 : static_cast<double>(filled) / static_cast<double>(filled + absent);
}

LoadReport load_weights(const Graph& graph, const Weights& source, Weights& weights) {
  LoadReport report;
  std::set<std::string_view> wanted;
  for (const Parameter& parameter : graph.parameters) {
    wanted.insert(parameter.name);
    const auto found = source.find(parameter.name);
    if (found == source.end()) {
      if (!parameter.optional()) report.missing.push_back(parameter.name);
      continue;
    }
    // A lone number may be stored as a scalar or as one element.
    const bool scalar = parameter.shape.empty() && found->second.size() == 1;
    if (found->second.shape() != parameter.shape && !scalar) {
      report.mismatched.push_back({parameter.name, found->second.shape(), parameter.shape});
      continue;
    }
    Tensor tensor = parameter.role == ParameterRole::kCounter && found->second.dtype() == DType::kInt64
                        ? found->second
                        : found->second.to_float();
    weights[parameter.name] = tensor.reshape(parameter.shape);
    report.loaded.push_back(parameter.name);
  }
  for (const auto& [name, tensor] : source)
    if (!wanted.contains(name)) report.unused.push_back(name);
  return report;
}

std::string to_string(const LoadReport& report) {
  struct Row {
    int loaded = 0, mismatched = 0, missing = 0, unused = 0;
  };
  std::map<std::string, Row, decltype(&natural_less)> rows(&natural_less);
  for (const auto& name : report.loaded) ++rows[module_of(name)].loaded;
  for (const auto& mismatch : report.mismatched) ++rows[module_of(mismatch.name)].mismatched;
  for (const auto& name : report.missing) ++rows[module_of(name)].missing;
  for (const auto& name : report.unused) ++rows[module_of(name)].unused;

  std::string text =
      fmt::format("{:<24}{:>8}{:>16}{:>9}{:>8}\n", "module", "loaded", "shape differs", "missing", "unused");
  for (const auto& [module, row] : rows)
    text += fmt::format("{:<24}{:>8}{:>16}{:>9}{:>8}\n", module, row.loaded, row.mismatched, row.missing,
                        row.unused);
  text += fmt::format("{:<24}{:>8}{:>16}{:>9}{:>8}\n", "all", report.loaded.size(), report.mismatched.size(),
                      report.missing.size(), report.unused.size());

  std::vector<std::string> mismatches;
  for (const auto& m : report.mismatched)
    mismatches.push_back(fmt::format("{} is {}; the model wants {}", m.name, marrow::to_string(m.found),
                                     marrow::to_string(m.wanted)));
  list_names(text, "Shape differs", mismatches);
  list_names(text, "Missing from the file", report.missing);
  list_names(text, "Unused from the file", report.unused);
  return text;
}

}  // namespace marrow::weights
