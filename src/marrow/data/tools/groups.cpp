#include "marrow/data/tools/groups.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <numeric>
#include <optional>

#include "marrow/base/error.h"
#include "marrow/cpu/thread_pool.h"
#include "marrow/data/image_bytes.h"
#include "marrow/data/split_scan.h"
#include "marrow/data/tools/look.h"
#include "marrow/image/convert.h"

namespace marrow::data {
namespace {

namespace fs = std::filesystem;

bool is_digit(char c) {
  return std::isdigit(static_cast<unsigned char>(c)) != 0;
}

// Sets that grow together.
class Union {
 public:
  explicit Union(size_t size) : parent_(size) { std::iota(parent_.begin(), parent_.end(), size_t{0}); }
  size_t root(size_t i) {
    while (parent_[i] != i) i = parent_[i] = parent_[parent_[i]];
    return i;
  }
  void join(size_t a, size_t b) {
    a = root(a);
    b = root(b);
    parent_[std::max(a, b)] = std::min(a, b);
  }

 private:
  std::vector<size_t> parent_;
};

using Looks = std::vector<std::optional<Look>>;

Looks looks_of(std::span<const LabelledImage> images, const ImageReading& reading, int threads,
               const Progress& progress) {
  Looks looks(images.size());
  cpu::ThreadPool pool(threads);
  SharedProgress shared(progress, static_cast<int64_t>(images.size()));
  pool.parallel_for(static_cast<int64_t>(images.size()), [&](int64_t i, int) {
    const auto at = static_cast<size_t>(i);
    try {
      looks[at] = look_of(image::displayed(decode_image(images[at], {.fit = {}, .reading = reading}).image));
    } catch (const std::exception&) {
      looks[at].reset();  // who reads the image says why
    }
    shared.advance();
  });
  return looks;
}

// A block of images at a time is compared with all before them, so that what was found stays small.
void join_alike(const Looks& looks, int threads, Union& groups) {
  constexpr size_t kBlock = 256;
  cpu::ThreadPool pool(threads);
  std::vector<std::vector<size_t>> found(kBlock);
  for (size_t first = 0; first < looks.size(); first += kBlock) {
    const size_t count = std::min(kBlock, looks.size() - first);
    pool.parallel_for(static_cast<int64_t>(count), [&](int64_t row, int) {
      const size_t i = first + static_cast<size_t>(row);
      std::vector<size_t>& alike = found[static_cast<size_t>(row)];
      alike.clear();
      for (size_t j = 0; looks[i] && j < i; ++j)
        if (looks[j] && look_alike(*looks[i], *looks[j])) alike.push_back(j);
    });
    for (size_t row = 0; row < count; ++row)
      for (const size_t j : found[row]) groups.join(first + row, j);
  }
}

void join_frames(std::span<const LabelledImage> images, const Looks& looks, Union& groups) {
  struct Frame {
    std::string number;
    size_t image;
  };
  std::map<std::string, std::vector<Frame>> films;
  for (size_t i = 0; i < images.size(); ++i) {
    const std::string series = series_of(images[i].path);
    const std::string whole = (images[i].path.parent_path() / images[i].path.stem()).string();
    if (series.size() < whole.size()) films[series].push_back({whole.substr(series.size()), i});
  }
  for (auto& [series, frames] : films) {
    std::ranges::sort(frames, [](const Frame& a, const Frame& b) {
      return a.number.size() != b.number.size() ? a.number.size() < b.number.size() : a.number < b.number;
    });
    for (size_t k = 1; k < frames.size(); ++k) {
      const size_t a = frames[k - 1].image, b = frames[k].image;
      if (looks[a] && looks[b] && look_related(*looks[a], *looks[b])) groups.join(a, b);
    }
  }
}

void join_copies(std::span<const LabelledImage> images, Union& groups) {
  std::map<std::string, size_t> first;
  for (size_t i = 0; i < images.size(); ++i)
    if (const std::string original = original_of(images[i].path); !original.empty())
      groups.join(first.try_emplace(original, i).first->second, i);
}

}  // namespace

std::string series_of(const fs::path& path) {
  std::string text = (path.parent_path() / path.stem()).string();
  const size_t folder = text.rfind('/') == std::string::npos ? 0 : text.rfind('/') + 1;
  while (text.size() > folder && is_digit(text.back())) text.pop_back();
  return text;
}

std::string original_of(const fs::path& path) {
  const std::string stem = path.stem().string();
  const size_t at = stem.rfind(".rf.");
  // Copies of one image may lie in other splits' folders: the name alone counts.
  return at == std::string::npos || at == 0 ? "" : stem.substr(0, at);
}

std::vector<int> group_images(std::span<const LabelledImage> images, const ImageReading& reading, int threads,
                              const Progress& progress) {
  const Looks looks = looks_of(images, reading, threads, progress);
  Union groups(images.size());
  join_alike(looks, threads, groups);
  join_frames(images, looks, groups);
  join_copies(images, groups);
  std::map<size_t, int> numbers;
  std::vector<int> result;
  for (size_t i = 0; i < images.size(); ++i)
    result.push_back(numbers.try_emplace(groups.root(i), static_cast<int>(numbers.size())).first->second);
  return result;
}

}  // namespace marrow::data
