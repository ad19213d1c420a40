#include "marrow/api/inside.h"
#include "marrow/image/decode.h"

namespace marrow::v0 {

Image::Image(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
Image::Image(const Image&) noexcept = default;
Image::Image(Image&&) noexcept = default;
Image& Image::operator=(const Image&) noexcept = default;
Image& Image::operator=(Image&&) noexcept = default;
Image::~Image() = default;

Image Image::read(const std::filesystem::path& path) {
  return inside::guarded([&] {
    image::DecodedImage decoded = image::decode_image_file(path);
    return Image(std::make_shared<const Impl>(Impl{std::move(decoded.image), std::move(decoded.warning)}));
  });
}

Image Image::decode(std::span<const std::byte> bytes) {
  return inside::guarded([&] {
    if (bytes.data() == nullptr && !bytes.empty())
      throw Error(ErrorKind::kUsage, "the image's encoded bytes are a null pointer");
    if (bytes.size() > static_cast<size_t>(image::kMaxImageFileBytes))
      throw Error(ErrorKind::kUnsupported, std::to_string(bytes.size()) +
                                               " bytes of an encoded image; at most " +
                                               std::to_string(image::kMaxImageFileBytes) + " are read");
    image::DecodedImage decoded = image::decode_image(bytes, "image");
    return Image(std::make_shared<const Impl>(Impl{std::move(decoded.image), std::move(decoded.warning)}));
  });
}

const Image::Impl& Image::impl() const {
  return inside::checked(impl_, "Image");
}

int Image::width() const {
  return impl().pixels.width();
}

int Image::height() const {
  return impl().pixels.height();
}

const std::string& Image::warning() const {
  return impl().warning;
}

ImageView Image::view() const {
  const inside::LayerImage& pixels = impl().pixels;
  return {pixels.row(0), pixels.width(), pixels.height(), static_cast<std::ptrdiff_t>(pixels.row_bytes()),
          PixelFormat::kBgr};
}

}  // namespace marrow::v0
