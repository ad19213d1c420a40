// Encoded pictures of clients.
#pragma once

#include <string>
#include <string_view>

#include "marrow/image/decode.h"
#include "marrow/serve/network.h"

namespace marrow::serve {

struct EncodedPicture {
  std::string name;        // for messages: "the picture", "picture 3"
  std::string file;        // what the client calls it
  std::string_view bytes;  // of the request's body
};

// Told apart by content. Throws HttpError: 413 for more pixels than `most_pixels`, by its header, before they
// are decoded; 400 for what is no picture that this model can read.
image::DecodedImage decode_picture(const EncodedPicture& picture, const Network& network,
                                   int64_t most_pixels);

}  // namespace marrow::serve
