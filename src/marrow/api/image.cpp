#include "marrow/api/inside.h"
#include "marrow/image/decode.h"

namespace marrow::v0 {

image::Image::Image(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
image::Image::Image(const image::Image&) noexcept = default;
image::Image::Image(image::Image&&) noexcept = default;
image::Image& image::Image::operator=(const image::Image&) noexcept = default;
image::Image& image::Image::operator=(image::Image&&) noexcept = default;
image::Image::~image::Image() = default;

image::Image image::Image::read(const std::filesystem::path& path) {
  return inside::guarded([&] {
    image::DecodedImage decoded = image::decode_image_file(path);
    return image::Image(
        std::make_shared<const Impl>(Impl{std::move(decoded.image), std::move(decoded.warning)}));
  });
}

image::Image image::Image::decode(std::span<const std::byte> bytes) {
  return inside::guarded([&] {
    if (bytes.data() == nullptr && !bytes.empty())
      throw Error(ErrorKind::kUsage, "the image's encoded bytes are a null pointer");
    if (bytes.size() > static_cast<size_t>(image::kMaxImageFileBytes))
      throw Error(ErrorKind::kUnsupported, std::to_string(bytes.size()) +
                                               " bytes of an encoded image; at most " +
                                               std::to_string(image::kMaxImageFileBytes) + " are read");
    image::DecodedImage decoded = image::decode_image(bytes, "image");
    return image::Image(
        std::make_shared<const Impl>(Impl{std::move(decoded.image), std::move(decoded.warning)}));
  });
}

const image::Image::Impl& image::Image::impl() const {
  return inside::checked(impl_, "Image");
}

int image::Image::width() const {
  return impl().pixels.width();
}

int image::Image::height() const {
  return impl().pixels.height();
}

const std::string& image::Image::warning() const {
  return impl().warning;
}

ImageView image::Image::view() const {
  const inside::LayerImage& pixels = impl().pixels;
  return {pixels.row(0), pixels.width(), pixels.height(), static_cast<std::ptrdiff_t>(pixels.row_bytes()),
          detect::PixelFormat::kBgr};
}

}  // namespace marrow::v0
