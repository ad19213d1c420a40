#include "marrow/data/tools/divide.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <numeric>

#include "marrow/base/counted.h"
#include "marrow/base/error.h"
#include "marrow/base/random.h"
#include "marrow/data/tools/groups.h"

namespace marrow::data {
namespace {

constexpr size_t kSplits = 3;
constexpr const char* kNames[kSplits] = {"train", "val", "test"};

// What a group brings: its images at 0, the objects of class c at c + 1. Most groups have few classes.
using Contents = std::map<size_t, double>;
constexpr size_t kImages = 0;

std::vector<Contents> contents_of(const std::vector<LabelledImage>& images, const std::vector<int>& groups) {
  const int count = groups.empty() ? 0 : *std::ranges::max_element(groups) + 1;
  std::vector<Contents> contents(static_cast<size_t>(count));
  for (size_t i = 0; i < images.size(); ++i) {
    Contents& group = contents[static_cast<size_t>(groups[i])];
    ++group[kImages];
    for (const Label& label : images[i].labels) ++group[static_cast<size_t>(label.class_id) + 1];
  }
  return contents;
}

// Large groups first, so that small ones can make up for them; equals in an order that the seed decides.
std::vector<size_t> order_of(const std::vector<Contents>& contents, uint64_t seed) {
  std::vector<size_t> order(contents.size());
  std::iota(order.begin(), order.end(), size_t{0});
  Random random(seed, "division of a dataset");
  for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
  std::ranges::stable_sort(order, std::greater<>(),
                           [&](size_t group) { return contents[group].at(kImages); });
  return order;
}

// How much worse a split fits what is wanted of it with the group than without.
double cost(const Contents& group, const std::vector<double>& has, const std::vector<double>& total,
            double share) {
  double sum = 0;
  for (const auto& [k, count] : group) {
    const double weight = k == kImages ? static_cast<double>(total.size()) : 1;  // as much as all classes
    sum += weight * count * (count + 2 * (has[k] - share * total[k])) / (total[k] * total[k]);
  }
  return sum;
}

}  // namespace

std::vector<int> divide(const std::vector<LabelledImage>& images, const std::vector<int>& groups, int classes,
                        double val_share, double test_share, uint64_t seed) {
  const std::vector<Contents> contents = contents_of(images, groups);
  const double shares[kSplits] = {1 - val_share - test_share, val_share, test_share};
  std::vector<double> total(static_cast<size_t>(classes) + 1);
  for (const Contents& group : contents)
    for (const auto& [k, count] : group) total[k] += count;
  std::array<std::vector<double>, kSplits> has;
  has.fill(std::vector<double>(total.size()));
  std::vector<int> split_of(contents.size());
  const std::vector<size_t> order = order_of(contents, seed);
  const auto empty_splits = [&] {
    size_t count = 0;
    for (size_t s = 0; s < kSplits; ++s) count += shares[s] > 0 && has[s][kImages] == 0;
    return count;
  };
  for (size_t at = 0; at < order.size(); ++at) {
    const Contents& group = contents[order[at]];
    const bool must_fill = order.size() - at <= empty_splits();
    size_t best = kSplits;
    double least = 0;
    for (size_t s = 0; s < kSplits; ++s) {
      if (shares[s] <= 0 || (must_fill && has[s][kImages] > 0)) continue;
      const double found = cost(group, has[s], total, shares[s]);
      if (best == kSplits || found < least) {
        best = s;
        least = found;
      }
    }
    split_of[order[at]] = static_cast<int>(best);
    for (const auto& [k, count] : group) has[best][k] += count;
  }
  std::vector<int> result;
  for (const int group : groups) result.push_back(split_of[static_cast<size_t>(group)]);
  return result;
}

DivideSummary divide_dataset(const Dataset& dataset, const std::filesystem::path& out,
                             const DivideOptions& options) {
  require_new_dataset(out, options.write);
  if (options.val_share + options.test_share >= 1)
    throw Error(ErrorKind::kUsage, fmt::format("--val {} and --test {} leave nothing to train on",
                                               options.val_share, options.test_share));
  WholeDataset whole = read_whole(dataset, options.write.threads);
  DivideSummary summary;
  std::vector<LabelledImage> images;
  for (NewSplit& split : whole.splits) std::ranges::move(split.images, std::back_inserter(images));
  // An image that two splits named is one.
  std::ranges::stable_sort(images, {}, [](const LabelledImage& image) { return image.path.native(); });
  const auto same = [](const LabelledImage& a, const LabelledImage& b) { return a.path == b.path; };
  images.erase(std::unique(images.begin(), images.end(), same), images.end());
  if (images.size() < 2)
    throw Error(ErrorKind::kFormat,
                fmt::format("{}: {} cannot be divided", shown(dataset.file),
                            counted(static_cast<int64_t>(images.size()), "usable image")));
  std::vector<int> groups(images.size());
  std::iota(groups.begin(), groups.end(), 0);
  if (options.group) groups = group_images(images, options.write.threads, options.write.progress);
  std::vector<int64_t> sizes(static_cast<size_t>(*std::ranges::max_element(groups)) + 1);
  for (const int group : groups) ++sizes[static_cast<size_t>(group)];
  summary.groups = static_cast<int64_t>(sizes.size());
  summary.largest_group = *std::ranges::max_element(sizes);
  const std::vector<int> split_of =
      divide(images, groups, dataset.classes(), options.val_share, options.test_share, options.seed);
  std::vector<NewSplit> splits;
  for (size_t s = 0; s < kSplits; ++s) {
    NewSplit split{kNames[s], {}};
    DivideSummary::Part part{kNames[s]};
    for (size_t i = 0; i < images.size(); ++i) {
      if (split_of[i] != static_cast<int>(s)) continue;
      ++part.images;
      part.objects += static_cast<int64_t>(images[i].labels.size());
      split.images.push_back(std::move(images[i]));
    }
    if (part.images == 0) continue;
    summary.parts.push_back(part);
    splits.push_back(std::move(split));
  }
  summary.read = std::move(whole.summary);
  write_dataset(out, dataset.names, std::move(splits), options.write);
  return summary;
}

}  // namespace marrow::data
