#include "marrow/data/tools/divide.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <numeric>

#include "marrow/base/counted.h"
#include "marrow/base/error.h"
#include "marrow/base/random.h"
#include "marrow/data/tools/groups.h"

namespace marrow::data {
namespace {

struct Share {
  std::string split;
  double of_images = 0;
};

std::vector<Share> wanted_shares(const DivideOptions& options) {
  if (options.folds > 0) {
    if (options.write.to != DatasetFormat::kYolo)
      throw Error(ErrorKind::kUsage,
                  fmt::format("--folds: written as yolo only, whose YAML takes several folders "
                              "as one split, not as {}; give --to yolo",
                              format_name(options.write.to)));
    std::vector<Share> shares;
    for (int i = 1; i <= options.folds; ++i)
      shares.push_back({fmt::format("fold{}", i), 1.0 / options.folds});
    return shares;
  }
  const double apart = options.val_share + options.test_share;  // 0.7 and 0.3 are 1 as a sum only
  if (apart >= 1)
    throw Error(ErrorKind::kUsage, fmt::format("--val {} and --test {} leave nothing to train on",
                                               options.val_share, options.test_share));
  return {{"train", 1 - apart}, {"val", options.val_share}, {"test", options.test_share}};
}

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
  shuffle(order, random);
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
                        std::span<const double> shares, uint64_t seed) {
  const std::vector<Contents> contents = contents_of(images, groups);
  std::vector<double> total(static_cast<size_t>(classes) + 1);
  for (const Contents& group : contents)
    for (const auto& [k, count] : group) total[k] += count;
  std::vector<std::vector<double>> has(shares.size(), std::vector<double>(total.size()));
  std::vector<int> split_of(contents.size());
  const std::vector<size_t> order = order_of(contents, seed);
  const auto empty_splits = [&] {
    size_t count = 0;
    for (size_t s = 0; s < shares.size(); ++s) count += shares[s] > 0 && has[s][kImages] == 0;
    return count;
  };
  for (size_t at = 0; at < order.size(); ++at) {
    const Contents& group = contents[order[at]];
    const bool must_fill = order.size() - at <= empty_splits();
    size_t best = shares.size();
    double least = 0;
    for (size_t s = 0; s < shares.size(); ++s) {
      if (shares[s] <= 0 || (must_fill && has[s][kImages] > 0)) continue;
      const double found = cost(group, has[s], total, shares[s]);
      if (best == shares.size() || found < least) {
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
  const std::vector<Share> wanted = wanted_shares(options);
  WholeDataset whole = read_whole(dataset, options.write.threads);
  DivideSummary summary;
  std::vector<LabelledImage> images;
  for (NewSplit& split : whole.splits) std::ranges::move(split.images, std::back_inserter(images));
  // An image that two splits named is one.
  std::ranges::stable_sort(images, {}, [](const LabelledImage& image) { return image.path.native(); });
  const auto same = [](const LabelledImage& a, const LabelledImage& b) { return a.path == b.path; };
  images.erase(std::unique(images.begin(), images.end(), same), images.end());
  if (images.size() < std::max<size_t>(2, static_cast<size_t>(options.folds)))
    throw Error(ErrorKind::kFormat,
                fmt::format("{}: {} cannot be divided{}", shown(dataset.file),
                            counted(static_cast<int64_t>(images.size()), "usable image"),
                            options.folds > 0 ? fmt::format(" into {} folds", options.folds) : ""));
  std::vector<int> groups(images.size());
  std::iota(groups.begin(), groups.end(), 0);
  if (options.group)
    groups = group_images(images, dataset.reading, options.write.threads, options.write.progress);
  std::vector<int64_t> sizes(static_cast<size_t>(*std::ranges::max_element(groups)) + 1);
  for (const int group : groups) ++sizes[static_cast<size_t>(group)];
  summary.groups = static_cast<int64_t>(sizes.size());
  summary.largest_group = *std::ranges::max_element(sizes);
  const auto parts = std::ranges::count_if(wanted, [](const Share& share) { return share.of_images > 0; });
  if (summary.groups < parts)
    throw Error(ErrorKind::kFormat,
                fmt::format("{}: its images are {} of those that belong together, too few for {} parts; "
                            "--no-group divides image by image",
                            shown(dataset.file), counted(summary.groups, "group"), parts));
  std::vector<double> shares;
  for (const Share& share : wanted) shares.push_back(share.of_images);
  const std::vector<int> split_of = divide(images, groups, dataset.classes(), shares, options.seed);
  std::vector<NewSplit> splits;
  for (size_t s = 0; s < wanted.size(); ++s) {
    NewSplit split{wanted[s].split, {}};
    DivideSummary::Part part{wanted[s].split};
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
  WriteOptions write = options.write;
  write.folds = options.folds > 0;
  write_dataset(out, dataset.names, std::move(splits), dataset.reading, write);
  return summary;
}

}  // namespace marrow::data
