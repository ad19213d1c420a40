// A request of a client, of which the server reads no more than this at first.
#pragma once

#include <optional>
#include <string>

#include "fuzz/target.h"
#include "marrow/serve/http/framing.h"
#include "marrow/serve/http/message.h"

namespace marrow::fuzz {

struct Request {
  serve::Head head;
  serve::Framing framing;
  std::string body;  // without its chunks' frames, or as much as there is of it
};

// Nothing where the head does not end. Throws HttpError.
std::optional<Request> received_request(Bytes bytes);

}  // namespace marrow::fuzz
