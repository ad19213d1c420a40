// A TIFF file in memory, opened with libtiff, for tiff.cpp and tiff_samples.cpp.
#pragma once

#include <tiffio.h>

#include <cstdint>
#include <memory>
#include <string>

#include "marrow/image/codecs/codecs.h"

namespace marrow::image::codecs {

constexpr int kGreyAndAlpha = 2;  // the most samples of a grey pixel

// It must stay where it is while a TIFF reads it.
struct TiffSource {
  Bytes bytes;
  uint64_t position = 0;
  char error[256] = "";  // the first complaint
};

struct CloseTiff {
  void operator()(TIFF* tiff) const { TIFFClose(tiff); }
};
using TiffFile = std::unique_ptr<TIFF, CloseTiff>;

// At its first page; null where it has none.
TiffFile open_tiff(TiffSource& source);

// Throws Error{kFormat} with the complaint.
[[noreturn]] void fail_tiff(const std::string& name, const TiffSource& source);

// Throws Error{kFormat} where the file is smaller than `samples` samples a pixel of the present page can be.
// Compressions that set no bound (fax, LZMA, ...) have one here.
void require_bytes(TIFF* tiff, const std::string& name, Bytes bytes, int64_t samples);
// And where a tile is so much larger than its page that its memory is not worth it. The page's size is
// checked.
void require_small_tiles(TIFF* tiff, const std::string& name);

// The image in exactly the channels that are wanted, and at most their bits: one (grey) or three of the first
// page, other numbers from as many pages as there are.
StoredImage read_tiff_samples(TIFF* tiff, const TiffSource& source, const std::string& name,
                              const SampleFormat& wanted);

}  // namespace marrow::image::codecs
