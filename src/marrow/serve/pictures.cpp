#include "marrow/serve/pictures.h"

#include <fmt/format.h>

#include "marrow/base/error.h"
#include "marrow/serve/http/message.h"

namespace marrow::serve {

image::DecodedImage decode_picture(const EncodedPicture& picture, const Network& network,
                                   int64_t most_pixels) {
  if (picture.bytes.empty())
    throw HttpError(400, picture.name + ": it is empty; wanted are the bytes of a picture");
  const std::span<const std::byte> bytes = std::as_bytes(std::span(picture.bytes));
  try {
    if (const int64_t pixels = image::claimed_pixels(bytes, picture.name); pixels > most_pixels)
      throw HttpError(413,
                      fmt::format("{}: {} million pixels; at most {} million are decoded", picture.name,
                                  static_cast<double>(pixels) / 1e6, static_cast<double>(most_pixels) / 1e6));
    return image::decode_image(bytes, picture.name, {.fit = {}, .reading = network.reading()});
  } catch (const Error& error) {
    throw HttpError(400, error.what());
  }
}

}  // namespace marrow::serve
