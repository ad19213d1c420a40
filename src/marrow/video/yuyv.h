// What webcams give where they do not compress.
#pragma once

#include <cstddef>
#include <span>

#include "marrow/image/image.h"

namespace marrow::video {

// Blue, green and red of pairs of pixels that share their chroma: Y U Y V, by BT.601 with luma of 16..235.
// `row_bytes` 0 stands for 2 * width. Throws Error{kFormat} where there are fewer bytes than the size needs,
// or no pixels; the width is even.
image::Image bgr_of_yuyv(std::span<const std::byte> bytes, int width, int height, size_t row_bytes);

}  // namespace marrow::video
