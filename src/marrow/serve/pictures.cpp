#include "marrow/serve/pictures.h"

#include <fmt/format.h>

#include "marrow/base/error.h"
#include "marrow/image/decode.h"
#include "marrow/serve/http/message.h"

namespace marrow::serve {

image::Image decode_picture(const EncodedPicture& picture, const Network& network, int64_t most_pixels) {
  if (picture.bytes.empty())
    throw HttpError(400, picture.name + ": it is empty; wanted are the bytes of a picture");
  const std::span<const std::byte> bytes = std::as_bytes(std::span(picture.bytes));
  try {
    const Size size = image::image_size(bytes, picture.name);
    if (static_cast<int64_t>(size.width) * size.height > most_pixels)
      throw HttpError(413, fmt::format("{}: {} x {} pixels; at most {} million are decoded", picture.name,
                                       size.width, size.height, static_cast<double>(most_pixels) / 1e6));
    return image::decode_image(bytes, picture.name, {.fit = {}, .reading = network.reading()}).image;
  } catch (const Error& error) {
    throw HttpError(400, error.what());
  }
}

}  // namespace marrow::serve
