// The bytes of one connection, in the clear or through TLS. For the server alone, as session.h is.
#pragma once

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <functional>
#include <optional>
#include <string>

namespace marrow::serve {

class Stream {
 public:
  using Socket = boost::asio::ip::tcp::socket;
  using Done = std::function<void(boost::system::error_code, size_t bytes)>;

  // `tls`: null in the clear; otherwise it outlives the stream.
  Stream(Socket socket, boost::asio::ssl::context* tls);

  bool is_secure() const { return tls_.has_value(); }
  std::string peer() const;  // its address

  // Before anything else where it is secure.
  void shake_hands(Done done);
  // One of each may be under way at a time. What the buffers point to stays where it is until it is done.
  void read_some(boost::asio::mutable_buffer buffer, Done done);
  void write_some(const std::array<boost::asio::const_buffer, 2>& buffers, Done done);

  void finish_sending();
  void close();

  // Whether a read ended since the client had no more to send, not by an error.
  static bool is_end(const boost::system::error_code& error);

 private:
  Socket socket_;
  std::optional<boost::asio::ssl::stream<Socket&>> tls_;
};

// A context with a server's certificates and key, of PEM files. TLS 1.2 and 1.3. Throws Error{kFile}.
void load_certificates(boost::asio::ssl::context& context, const std::string& certificates,
                       const std::string& key);

}  // namespace marrow::serve
