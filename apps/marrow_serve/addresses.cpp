#include "marrow_serve/addresses.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <ifaddrs.h>
#include <net/if.h>

#include <array>

namespace marrow::cli {
namespace {

constexpr size_t kMostAddresses = 8;  // a machine with containers has many

std::vector<std::string> network_addresses() {
  std::vector<std::string> addresses;
  ifaddrs* all = nullptr;
  if (getifaddrs(&all) != 0) return addresses;
  for (const ifaddrs* each = all; each != nullptr && addresses.size() < kMostAddresses;
       each = each->ifa_next) {
    if (each->ifa_addr == nullptr || each->ifa_addr->sa_family != AF_INET) continue;
    if ((each->ifa_flags & IFF_UP) == 0 || (each->ifa_flags & IFF_LOOPBACK) != 0) continue;
    std::array<char, INET_ADDRSTRLEN> text;
    const auto* address = reinterpret_cast<const sockaddr_in*>(each->ifa_addr);
    if (inet_ntop(AF_INET, &address->sin_addr, text.data(), text.size()) != nullptr)
      addresses.emplace_back(text.data());
  }
  freeifaddrs(all);
  return addresses;
}

}  // namespace

std::vector<std::string> server_urls(const std::string& host, int port, bool secure) {
  std::vector<std::string> hosts = {host};
  if (host == "0.0.0.0" || host == "::") {
    hosts = network_addresses();
    hosts.insert(hosts.begin(), "localhost");
  }
  std::vector<std::string> urls;
  for (const std::string& each : hosts)
    urls.push_back(fmt::format("{}://{}:{}", secure ? "https" : "http",
                               each.find(':') == std::string::npos ? each : "[" + each + "]", port));
  return urls;
}

}  // namespace marrow::cli
