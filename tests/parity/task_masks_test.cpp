// Masks against golden/tasks/masks: README.md there; pixels exactly.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "marrow/detect/masks.h"
#include "marrow/evaluate/metrics/overlaps.h"
#include "marrow/weights/safetensors.h"
#include "support/golden.h"
#include "support/read_json.h"

namespace marrow {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::vector<detect::MaskRequest> requests_of(const Tensor& coefficients, const Tensor& boxes, double x,
                                             double y) {
  std::vector<detect::MaskRequest> requests;
  const int64_t count = coefficients.dim(1);
  for (int64_t i = 0; i < coefficients.dim(0); ++i) {
    const float* const c = coefficients.values().data() + i * count;
    const float* const box = boxes.values().data() + 4 * i;
    requests.push_back({{c, c + count},
                        {static_cast<float>(box[0] * x), static_cast<float>(box[1] * y),
                         static_cast<float>(box[2] * x), static_cast<float>(box[3] * y)}});
  }
  return requests;
}

void expect_masks(const std::vector<Mask>& found, const Tensor& wanted, const std::string& what) {
  SCOPED_TRACE(what);
  ASSERT_EQ(std::ssize(found), wanted.dim(0));
  const auto pixels = wanted.values<uint8_t>();
  for (size_t i = 0; i < found.size(); ++i) {
    ASSERT_EQ(found[i].size, (Size{static_cast<int>(wanted.dim(2)), static_cast<int>(wanted.dim(1))}));
    const size_t count = found[i].pixels.size();
    EXPECT_TRUE(std::ranges::equal(found[i].pixels, pixels.subspan(i * count, count))) << "mask " << i;
  }
}

Mask mask_of(const Tensor& masks, size_t i) {
  Mask mask({static_cast<int>(masks.dim(2)), static_cast<int>(masks.dim(1))});
  std::ranges::copy(masks.values<uint8_t>().subspan(i * mask.pixels.size(), mask.pixels.size()),
                    mask.pixels.begin());
  return mask;
}

void expect_outline(const Mask& mask, const Tensor& wanted, const std::string& what) {
  SCOPED_TRACE(what);
  const auto found = detect::mask_outline(mask);
  ASSERT_EQ(std::ssize(found), wanted.dim(0));
  for (size_t k = 0; k < found.size(); ++k) {
    EXPECT_EQ(found[k].x, wanted.values()[2 * k]) << k;
    EXPECT_EQ(found[k].y, wanted.values()[2 * k + 1]) << k;
  }
}

TEST(parity_task_masks, OfPrototypesAtEverySize) {
  testing::for_each_golden("tasks/masks/process.json", [](const fs::path& path) {
    const Weights golden =
        weights::read_safetensors(fs::path(path).replace_extension(".safetensors")).tensors;
    for (const json& description : testing::read_json(path)) {
      const std::string name = description.at("name");
      SCOPED_TRACE(name);
      const auto at = [&](const char* key) { return golden.at(name + "." + key); };
      const auto size = [&](const char* key) {
        return Size{description.at(key).at(1).get<int>(), description.at(key).at(0).get<int>()};
      };
      const Tensor prototypes = at("prototypes");
      const Size small = size("prototypes_hw"), input = size("input_hw"), original = size("original_hw");
      const detect::Prototypes view = {prototypes.values().data(), static_cast<int>(prototypes.dim(0)),
                                       small};
      const Tensor coefficients = at("coefficients"), boxes = at("boxes");
      const double x = static_cast<double>(small.width) / input.width;
      const double y = static_cast<double>(small.height) / input.height;
      const auto in_input = requests_of(coefficients, boxes, 1, 1);
      const auto in_image = requests_of(coefficients, at("boxes_original"), 1, 1);
      expect_masks(detect::prototype_masks(view, requests_of(coefficients, boxes, x, y)), at("masks_low"),
                   "low");
      expect_masks(detect::input_masks(view, in_input, input), at("masks_input"), "input");
      expect_masks(detect::image_masks(view, in_image, original), at("masks_native_original"), "image");
      expect_masks(detect::image_masks(view, in_input, input), at("masks_native_input"), "input as image");
      const Tensor masks = at("masks_native_original");
      for (size_t i = 0; i < static_cast<size_t>(masks.dim(0)); ++i) {
        const Mask mask = mask_of(masks, i);
        const std::string text = description.at("rle_native_original").at(i);
        const RunLengths runs = run_lengths(mask);
        EXPECT_EQ(compressed_runs(runs), text);
        EXPECT_EQ(parse_runs(text, runs.size()), runs);
        EXPECT_EQ(mask_of_runs(runs, mask.size), mask);
        const Tensor outlined = at("masks_input");
        expect_outline(mask_of(outlined, i), at(("contour" + std::to_string(i)).c_str()), "contour");
      }
    }
  });
}

TEST(parity_task_masks, IntersectionOverUnion) {
  testing::for_each_golden("tasks/masks/process.safetensors", [](const fs::path& path) {
    const Weights golden = weights::read_safetensors(path).tensors;
    const Tensor &a = golden.at("iou.a"), &b = golden.at("iou.b"), &wanted = golden.at("iou.out");
    const auto columns = static_cast<size_t>(b.dim(0));
    for (size_t i = 0; i < static_cast<size_t>(a.dim(0)); ++i)
      for (size_t j = 0; j < columns; ++j)
        EXPECT_NEAR(evaluate::mask_iou(trimmed(mask_of(a, i)), trimmed(mask_of(b, j))),
                    wanted.values()[i * columns + j], 1e-6)
            << i << ", " << j;
  });
}

TEST(parity_task_masks, OutlinesOfParts) {
  testing::for_each_golden("tasks/masks/process.safetensors", [](const fs::path& path) {
    const Weights golden = weights::read_safetensors(path).tensors;
    const Tensor& masks = golden.at("contours.masks");
    for (size_t i = 0; i < static_cast<size_t>(masks.dim(0)); ++i)
      expect_outline(mask_of(masks, i), golden.at("contours.segment" + std::to_string(i)), std::to_string(i));
  });
}

}  // namespace
}  // namespace marrow
