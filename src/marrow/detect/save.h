// Files that prediction leaves behind: annotated images, label files, crops.
#pragma once

#include <filesystem>
#include <span>
#include <string>

#include "marrow/detect/nms.h"
#include "marrow/image/image.h"

namespace marrow::detect {

// Where the annotated form of an image goes: its own file name, with .jpg for kinds that are not written.
std::filesystem::path annotated_path(const std::filesystem::path& folder,
                                     const std::filesystem::path& picture);

// Appends label_lines to `path`, whose folder exists; without detections no file appears. Throws
// Error{kFile}.
void append_labels(const std::filesystem::path& path, Size picture, std::span<const Detection> detections,
                   bool with_confidence);

// Writes every detection's pixels to crops/CLASS NAME/STEM.jpg, STEM2.jpg, ... (the next free name), enlarged
// by 2 % and 10 pixels, clipped to the image; JPEG quality 95 without chroma subsampling. `image` is the
// image without boxes drawn. Makes the folders; a class name that cannot be a folder's is changed
// (folder_name). Returns the number written: a box wholly outside the image has none. Throws Error{kFile}.
int save_crops(const std::filesystem::path& crops, const std::string& stem, const image::Image& image,
               std::span<const Detection> detections, std::span<const std::string> names);

// The name with slashes and control characters as '_', at most 200 bytes, never "", "." or "..".
std::string folder_name(const std::string& class_name);

}  // namespace marrow::detect
