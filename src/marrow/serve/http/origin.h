// A page of any site can have its visitor's browser send requests to 127.0.0.1. What keeps them out: the
// host that a request names (against names that turn to point at this machine), the origin that a browser
// states, and a token.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "marrow/serve/http/message.h"
#include "marrow/serve/http/target.h"

namespace marrow::serve {

struct OriginRules {
  std::string bind_address = "127.0.0.1";
  std::vector<std::string> allowed_hosts;    // besides the machine's own; without ports
  std::vector<std::string> allowed_origins;  // "https://example.org"
  std::string token;                         // "": none is asked for
  bool open_metrics = false;                 // /metrics needs no token
  bool secure = false;                       // the server speaks TLS: its own origin is https

  // Whether hosts are checked: always on a loopback address, elsewhere where names are given, since balancers
  // and probes use addresses.
  bool checks_hosts() const;
};

// "Host: name:port" in its parts; the name in lower case, an IPv6 address in its brackets.
struct HostPort {
  std::string name;
  std::string port;  // "": the scheme's own
};
// Throws HttpError{400} for what is no host.
HostPort parse_host(std::string_view text);

// Throws HttpError: 400 for what is no host, 421 for one that is not ours, 403 for a request that changes
// something and comes from another site, 401 where the token is missing.
void check_origin(const Head& head, const Target& target, const OriginRules& rules);

// What is added to every response: nothing a page may embed, guess a type of, or read from elsewhere.
std::vector<Field> safety_fields();

// For an allowed origin: that its page may read the response; nothing for others.
std::vector<Field> cross_origin_fields(const Head& head, const OriginRules& rules);

// The answer to OPTIONS from a page of an allowed origin that asks whether it may send a request. Others get
// none of the fields that would let it.
bool is_allowed_preflight(const Head& head, const OriginRules& rules);
Response preflight_response();

// Takes the same time wherever the texts differ.
bool equal_in_constant_time(std::string_view given, std::string_view secret);

}  // namespace marrow::serve
