// Where a server is found, as addresses for a browser.
#pragma once

#include <string>
#include <vector>

namespace marrow::cli {

// Of one that listens on `host`: http://127.0.0.1:8080. Where that is 0.0.0.0 or ::, localhost first and then
// this machine's IPv4 addresses, which other machines use.
std::vector<std::string> server_urls(const std::string& host, int port, bool secure);

}  // namespace marrow::cli
