// Images that belong together: what one of them teaches, the others only repeat.
#pragma once

#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "marrow/data/labels.h"
#include "marrow/geometry/sample_format.h"

namespace marrow::data {

// A number for each image, the same for those of one group, counted from 0 in the order of their first
// images. Together are: near-duplicates (look.h); frames that follow each other in a film by the numbers in
// their names and show the same scene; and copies that an export made of one image (Roboflow's
// "NAME.rf.HASH"). Decodes every image, on `threads` threads (0: all); one that cannot be decoded is a group
// by itself.
std::vector<int> group_images(std::span<const LabelledImage> images, const ImageReading& reading, int threads,
                              const std::function<void(int64_t done, int64_t total)>& progress);

// The beginning of a file's name without the number at its end, in front of the folder: "a/frame_" of
// a/frame_0012.jpg. Without a number the whole.
std::string series_of(const std::filesystem::path& path);
// "p0_jpg" of train/images/p0_jpg.rf.0123456789abcdef.jpg; empty where the name is not of that kind.
std::string original_of(const std::filesystem::path& path);

}  // namespace marrow::data
