#include <fmt/format.h>
#include <zlib.h>

#include "image/made_files.h"
#include "reliability/hostile_files.h"

namespace marrow::testing {
namespace {

using made::big;
using made::little;
using namespace std::string_literals;

std::string chunk(const std::string& kind, const std::string& content) {
  const std::string body = kind + content;
  const auto sum = ::crc32(0, reinterpret_cast<const Bytef*>(body.data()), static_cast<uInt>(body.size()));
  return big(content.size(), 4) + body + big(sum, 4);
}

// Grey zeros, as well packed as they can be.
std::string png(uint32_t width, uint32_t height, size_t bytes) {
  const std::string plain(bytes, '\0');
  uLongf size = compressBound(plain.size());
  std::string packed(size, '\0');
  compress2(reinterpret_cast<Bytef*>(packed.data()), &size, reinterpret_cast<const Bytef*>(plain.data()),
            plain.size(), 9);
  packed.resize(size);
  return "\x89PNG\r\n\x1a\n" + chunk("IHDR", big(width, 4) + big(height, 4) + "\x08\0\0\0\0"s) +
         chunk("IDAT", packed) + chunk("IEND", "");
}

std::string jpeg(uint32_t side) {
  return "\xff\xd8\xff\xdb\0\x43\0"s + std::string(64, '\1') + "\xff\xc0\0\x0b\x08"s + big(side, 2) +
         big(side, 2) + "\1\1\x11\0\xff\xda\0\x08\1\1\0\0\x3f\0"s + std::string(800, '\0') + "\xff\xd9"s;
}

std::string bmp(uint32_t side, bool runs) {
  const uint32_t bits = runs ? 8 : 24;
  std::string rest = little(side, 4) + little(side, 4) + little(1, 2) + little(bits, 2) + little(runs, 4) +
                     std::string(20, '\0') + std::string(runs ? 1024 : 0, '\0') + std::string(100, '\xff');
  return "BM" + little(0, 8) + little(runs ? 1078 : 54, 4) + little(40, 4) + rest;
}

// One colour, which lossless WebP keeps without a bit a pixel: this is a whole picture.
std::string webp(uint32_t side) {
  const uint32_t header = (side - 1) | ((side - 1) << 14) | (1u << 28);
  // No transforms, no cache, one group of five codes of one symbol each.
  const std::string content = "\x2f" + little(header, 4) + "\x88\x88\x08"s + std::string(8, '\0');
  const std::string body = "WEBPVP8L" + little(content.size(), 4) + content;
  return "RIFF" + little(body.size(), 4) + body;
}

HostileFile image_file(const std::string& what, const std::string& name, const std::string& content,
                       const std::string& says) {
  return {what,
          name,
          content,
          {"predict", "tiny.safetensors", "--source", name, "--imgsz", "64", "--threads", "1",
           "--no-autotune", "--project", "runs"},
          says};
}

}  // namespace

std::vector<HostileFile> hostile_images() {
  made::TiffPage page;
  page.width = page.height = 60'000;
  page.strips = {std::string(100, '\0')};
  made::TiffPage fax = {.width = 14'000, .height = 14'000, .bits = 1, .compression = 4};
  fax.strips = {std::string(100, '\xff')};
  made::TiffPage tile = {.width = 16, .height = 16, .bits = 8, .tile = 30'000};
  tile.strips = {std::string(16 * 16, '\0')};
  HostileFile boxes =
      image_file("30,000 boxes that overlap, none suppressed", "k.png", png(64, 64, 65 * 64), "");
  boxes.words = {"predict",
                 "tiny.safetensors",
                 "--source",
                 boxes.name,
                 "--imgsz",
                 "1440",
                 "--conf",
                 "0",
                 "--iou",
                 "1",
                 "--max-det",
                 "1000000",
                 "--agnostic-nms",
                 "--threads",
                 "1",
                 "--no-autotune",
                 "--no-save"};
  return {
      boxes,
      image_file("PNG of 60,000 x 60,000 pixels, claimed", "a.png", png(60'000, 60'000, 1000), "60000"),
      image_file("PNG of 14,000 x 14,000 pixels, claimed", "b.png", png(14'000, 14'000, 1000), "14000"),
      image_file("PNG of 60,000 x 100 pixels, all there", "c.png", png(60'000, 100, 60'001 * 100), ""),
      image_file("JPEG of 60,000 x 60,000 pixels, claimed", "d.jpg", jpeg(60'000), "60000"),
      image_file("JPEG of 14,000 x 14,000 pixels, claimed", "e.jpg", jpeg(14'000), "14000"),
      image_file("TIFF of 60,000 x 60,000 pixels, claimed", "f.tif", made::make_tiff({page}), "60000"),
      image_file("TIFF of 14,000 x 14,000 pixels in fax codes, claimed", "l.tif", made::make_tiff({fax}),
                 "14000"),
      image_file("TIFF of 16 x 16 pixels in a tile of 30,000 x 30,000", "m.tif", made::make_tiff({tile}),
                 "tiles of 30000"),
      image_file("BMP of 14,000 x 14,000 pixels, claimed", "g.bmp", bmp(14'000, false), "14000"),
      image_file("BMP of 14,000 x 14,000 pixels in runs, claimed", "h.bmp", bmp(14'000, true), "14000"),
      image_file("WebP of 14,000 x 14,000 pixels of one colour", "i.webp", webp(14'000), "14000"),
      image_file("WebP of 4,000 x 4,000 pixels of one colour", "j.webp", webp(4'000), ""),
  };
}

}  // namespace marrow::testing
