#include "marrow/model/match_by_order.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string_view>

namespace marrow::model {
namespace {

std::string_view parent(std::string_view name) {
  const size_t dot = name.rfind('.');
  return dot == std::string_view::npos ? std::string_view() : name.substr(0, dot);
}

// The last part of a name, in torch's words.
std::string_view kind(std::string_view name) {
  const std::string_view leaf = name.substr(parent(name).empty() ? 0 : parent(name).size() + 1);
  if (leaf == "_mean") return "running_mean";
  if (leaf == "_variance") return "running_var";
  return leaf;
}

std::string signature(const NamedShape& tensor) {
  return fmt::format("{} {}", kind(tensor.name), to_string(tensor.shape));
}

// The tensors of each module in the order of their kinds: files have them in several.
std::vector<NamedShape> in_order_of_kinds(std::vector<NamedShape> tensors) {
  for (auto first = tensors.begin(); first != tensors.end();) {
    const auto end = std::find_if(first, tensors.end(), [&](const NamedShape& tensor) {
      return parent(tensor.name) != parent(first->name);
    });
    std::stable_sort(first, end,
                     [](const NamedShape& a, const NamedShape& b) { return kind(a.name) < kind(b.name); });
    first = end;
  }
  return tensors;
}

class Matching {
 public:
  Matching(const std::vector<NamedShape>& theirs, const std::vector<NamedShape>& ours)
      : theirs_(in_order_of_kinds(theirs)),
        ours_(in_order_of_kinds(ours)),
        partner_(ours.size()),
        taken_(theirs.size(), false) {}

  std::vector<NamePair> run() {
    if (!follow_each_other()) {
      pair_groups([](std::string_view name) { return parent(parent(name)); }, false);
      pair_groups(parent, false);
      pair_groups([](std::string_view name) { return name; }, true);
    }
    std::vector<NamePair> pairs;
    for (size_t i = 0; i < ours_.size(); ++i)
      if (partner_[i]) pairs.push_back({theirs_[*partner_[i]].name, ours_[i].name});
    return pairs;
  }

 private:
  using Indices = std::vector<size_t>;

  // The file may go on, with a classifier.
  bool follow_each_other() {
    if (theirs_.size() < ours_.size()) return false;
    for (size_t i = 0; i < ours_.size(); ++i)
      if (signature(theirs_[i]) != signature(ours_[i])) return false;
    for (size_t i = 0; i < ours_.size(); ++i) partner_[i] = i;
    return true;
  }

  // Neighbours of one group, by what they hold; each list in the order of the tensors.
  template <class GroupOf, class IsFree>
  static std::map<std::string, std::vector<Indices>> groups(const std::vector<NamedShape>& tensors,
                                                            const GroupOf& group_of, const IsFree& is_free) {
    std::vector<Indices> found;
    bool open = false;
    std::string_view last;
    for (size_t i = 0; i < tensors.size(); ++i) {
      const std::string_view group = group_of(std::string_view(tensors[i].name));
      if (!is_free(i)) {
        open = false;
        continue;
      }
      if (!open || last != group) found.emplace_back();
      open = true;
      last = group;
      found.back().push_back(i);
    }
    std::map<std::string, std::vector<Indices>> by_signature;
    for (Indices& indices : found) {
      std::string text;
      for (const size_t i : indices) text += signature(tensors[i]) + ";";
      by_signature[text].push_back(std::move(indices));
    }
    return by_signature;
  }

  // Groups of which both sides have the same number; of any number where `always`.
  template <class GroupOf>
  void pair_groups(const GroupOf& group_of, bool always) {
    const auto theirs = groups(theirs_, group_of, [&](size_t i) { return !taken_[i]; });
    const auto ours = groups(ours_, group_of, [&](size_t i) { return !partner_[i]; });
    for (const auto& [text, mine] : ours) {
      const auto found = theirs.find(text);
      if (found == theirs.end() || (!always && found->second.size() != mine.size())) continue;
      for (size_t g = 0; g < std::min(mine.size(), found->second.size()); ++g)
        for (size_t i = 0; i < mine[g].size(); ++i) {
          partner_[mine[g][i]] = found->second[g][i];
          taken_[found->second[g][i]] = true;
        }
    }
  }

  std::vector<NamedShape> theirs_, ours_;
  std::vector<std::optional<size_t>> partner_;  // of ours, in theirs_
  std::vector<bool> taken_;                     // of theirs
};

}  // namespace

std::vector<NamePair> match_by_order(const std::vector<NamedShape>& theirs,
                                     const std::vector<NamedShape>& ours) {
  return Matching(theirs, ours).run();
}

}  // namespace marrow::model
