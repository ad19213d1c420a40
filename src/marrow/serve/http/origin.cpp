#include "marrow/serve/http/origin.h"

#include <openssl/evp.h>

#include <algorithm>

#include "marrow/base/text.h"

namespace marrow::serve {
namespace {

bool is_host_character(char c) {
  const bool letter = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
  return letter || c == '-' || c == '.' || c == '_';
}

bool is_ipv6_character(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || c == ':' || c == '.';
}

bool is_loopback(std::string_view address) {
  return address.starts_with("127.") || address == "::1" || address == "localhost";
}

// An IPv6 address as hosts spell it.
std::string as_host(const std::string& address) {
  return address.find(':') != std::string::npos && !address.starts_with('[') ? "[" + address + "]"
                                                                             : to_lower(address);
}

bool is_own_host(const std::string& name, const OriginRules& rules) {
  if (name == "localhost" || name == "127.0.0.1" || name == "[::1]" || name == as_host(rules.bind_address))
    return true;
  return std::ranges::any_of(rules.allowed_hosts,
                             [&](const std::string& host) { return as_host(host) == name; });
}

bool is_safe(const std::string& method) {
  return method == "GET" || method == "HEAD" || method == "OPTIONS";
}

// The one origin that the request states, where its pages may send requests; nullptr otherwise.
const std::string* allowed_origin(const Head& head, const OriginRules& rules) {
  const std::string* origin = head.find("origin");
  const bool allowed = origin != nullptr && head.count("origin") == 1 &&
                       std::ranges::find(rules.allowed_origins, *origin) != rules.allowed_origins.end();
  return allowed ? origin : nullptr;
}

// Whether the page comes from this server: the scheme, the host and the port that the request was sent to.
bool is_own_origin(const std::string& origin, const HostPort& host, bool secure) {
  const std::string scheme = secure ? "https://" : "http://", usual = secure ? "443" : "80";
  const std::string lower = to_lower(origin);
  if (!lower.starts_with(scheme)) return false;
  try {
    HostPort from = parse_host(std::string_view(lower).substr(scheme.size()));
    return from.name == host.name &&
           (from.port.empty() ? usual : from.port) == (host.port.empty() ? usual : host.port);
  } catch (const HttpError&) {
    return false;
  }
}

void check_site(const Head& head, const HostPort& host, const OriginRules& rules) {
  if (is_safe(head.method) || allowed_origin(head, rules) != nullptr) return;
  const std::string* origin = head.find("origin");
  const bool foreign =
      origin != nullptr && (head.count("origin") > 1 || !is_own_origin(*origin, host, rules.secure));
  const std::string* site = head.find("sec-fetch-site");
  if (foreign || (site != nullptr && to_lower(*site) == "cross-site"))
    throw HttpError(403, "a page of another site sent this request; --allow-origin lets it");
}

// What base64 stands for; "" where it is none.
std::string decoded_base64(std::string_view text) {
  const size_t padding = text.size() - std::min(text.size(), text.find_last_not_of('=') + 1);
  if (text.empty() || text.size() % 4 != 0 || padding > 2) return {};
  std::string decoded(text.size() / 4 * 3, '\0');
  const int size =
      EVP_DecodeBlock(reinterpret_cast<unsigned char*>(decoded.data()),
                      reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()));
  if (size < 0) return {};
  decoded.resize(static_cast<size_t>(size) - padding);
  return decoded;
}

// "Bearer TOKEN", or what a browser sends once it has asked its reader: the token as password of any name.
std::string given_token(std::string_view authorization) {
  constexpr std::string_view kBearer = "bearer ", kBasic = "basic ";
  if (to_lower(authorization.substr(0, kBearer.size())) == kBearer)
    return std::string(trimmed(authorization.substr(kBearer.size())));
  if (to_lower(authorization.substr(0, kBasic.size())) != kBasic) return {};
  const std::string pair = decoded_base64(trimmed(authorization.substr(kBasic.size())));
  const size_t colon = pair.find(':');
  return colon == std::string::npos ? std::string() : pair.substr(colon + 1);
}

void check_token(const Head& head, const Target& target, const OriginRules& rules) {
  if (rules.token.empty() || head.method == "OPTIONS") return;
  const auto& path = target.segments;
  if (path.size() == 3 && path[0] == "v2" && path[1] == "health") return;
  if (rules.open_metrics && path.size() == 1 && path[0] == "metrics") return;
  const std::string* given = head.find("authorization");
  if (given != nullptr && head.count("authorization") == 1 &&
      equal_in_constant_time(given_token(*given), rules.token))
    return;
  // Chromium looks at the first kind of a field alone.
  throw HttpError(401, "this server wants a token: Authorization: Bearer TOKEN",
                  {{"WWW-Authenticate", "Bearer"}, {"WWW-Authenticate", "Basic realm=\"marrow\""}});
}

}  // namespace

bool OriginRules::checks_hosts() const {
  return is_loopback(bind_address) || !allowed_hosts.empty();
}

HostPort parse_host(std::string_view text) {
  const auto refuse = [] {
    throw HttpError(400, "Host is not a name or an address, with or without a port");
  };
  const std::string lower = to_lower(text);
  HostPort host;
  size_t end = 0;
  if (lower.starts_with('[')) {
    end = lower.find(']');
    if (end == std::string::npos || end < 3 ||
        !std::ranges::all_of(lower.substr(1, end - 1), is_ipv6_character))
      refuse();
    ++end;
  } else {
    end = std::min(lower.find(':'), lower.size());
    if (end == 0 || end > 255 || !std::ranges::all_of(lower.substr(0, end), is_host_character)) refuse();
  }
  host.name = lower.substr(0, end);
  if (end < lower.size()) {
    if (lower[end] != ':') refuse();
    host.port = lower.substr(end + 1);
    if (host.port.size() > 5 || !std::ranges::all_of(host.port, [](char c) { return c >= '0' && c <= '9'; }))
      refuse();
  }
  // "localhost." is localhost.
  if (host.name.size() > 1 && host.name.ends_with('.')) host.name.pop_back();
  return host;
}

void check_origin(const Head& head, const Target& target, const OriginRules& rules) {
  const std::string* field = head.find("host");
  HostPort host;
  // An empty Host is one that names nobody; HTTP/1.0 needs none.
  if (field != nullptr && !field->empty()) host = parse_host(*field);
  // Of a whole URL as target it is the URL that counts.
  if (!target.authority.empty()) host = parse_host(target.authority);
  if (rules.checks_hosts() && !(host.name.empty() && head.minor_version == 0) &&
      !is_own_host(host.name, rules))
    throw HttpError(421, "this server does not answer for that host; --allowed-host names others");
  check_site(head, host, rules);
  check_token(head, target, rules);
}

std::vector<Field> safety_fields() {
  return {{"X-Content-Type-Options", "nosniff"},
          {"Content-Security-Policy",
           "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; "
           "frame-ancestors 'none'"},
          {"Referrer-Policy", "no-referrer"},
          {"Cross-Origin-Resource-Policy", "same-origin"}};
}

std::vector<Field> cross_origin_fields(const Head& head, const OriginRules& rules) {
  if (rules.allowed_origins.empty()) return {};
  std::vector<Field> fields = {{"Vary", "Origin"}};
  if (const std::string* origin = allowed_origin(head, rules))
    fields.push_back({"Access-Control-Allow-Origin", *origin});
  return fields;
}

bool is_allowed_preflight(const Head& head, const OriginRules& rules) {
  return allowed_origin(head, rules) != nullptr && head.find("access-control-request-method") != nullptr &&
         head.find("access-control-request-private-network") == nullptr;
}

Response preflight_response() {
  return {204,
          "",
          "",
          {{"Access-Control-Allow-Methods", "GET, POST"},
           {"Access-Control-Allow-Headers",
            "Authorization, Content-Type, Content-Encoding, Inference-Header-Content-Length"},
           {"Access-Control-Max-Age", "600"}}};
}

bool equal_in_constant_time(std::string_view given, std::string_view secret) {
  unsigned difference = given.size() == secret.size() ? 0 : 1;
  for (size_t i = 0; i < given.size(); ++i) {
    const auto a = static_cast<unsigned char>(given[i]);
    const auto b = static_cast<unsigned char>(secret.empty() ? '\0' : secret[i % secret.size()]);
    difference |= static_cast<unsigned>(a ^ b);
  }
  return difference == 0;
}

}  // namespace marrow::serve
