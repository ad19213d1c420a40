#include "marrow/serve/http/stream.h"

#include <openssl/ssl.h>

#include <boost/asio/ssl/error.hpp>

#include "marrow/base/error.h"

namespace marrow::serve {

namespace asio = boost::asio;
using boost::system::error_code;

Stream::Stream(Socket socket, asio::ssl::context* tls) : socket_(std::move(socket)) {
  error_code ignored;
  socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
  if (tls != nullptr) tls_.emplace(socket_, *tls);
}

std::string Stream::peer() const {
  error_code error;
  const auto remote = socket_.remote_endpoint(error);
  return error ? "unknown" : remote.address().to_string();
}

void Stream::shake_hands(Done done) {
  tls_->async_handshake(asio::ssl::stream_base::server,
                        [done = std::move(done)](error_code error) { done(error, 0); });
}

void Stream::read_some(asio::mutable_buffer buffer, Done done) {
  if (tls_)
    tls_->async_read_some(buffer, std::move(done));
  else
    socket_.async_read_some(buffer, std::move(done));
}

void Stream::write_some(const std::array<asio::const_buffer, 2>& buffers, Done done) {
  // TLS would make a record of the first buffer alone, and of an empty one nothing for ever.
  const asio::const_buffer& first = buffers[0].size() > 0 ? buffers[0] : buffers[1];
  if (tls_)
    tls_->async_write_some(first, std::move(done));
  else
    socket_.async_write_some(buffers, std::move(done));
}

void Stream::finish_sending() {
  error_code ignored;
  socket_.shutdown(Socket::shutdown_send, ignored);
}

void Stream::close() {
  error_code ignored;
  socket_.close(ignored);
}

bool Stream::is_end(const error_code& error) {
  return error == asio::error::eof || error == asio::ssl::error::stream_truncated;
}

void load_certificates(asio::ssl::context& context, const std::string& certificates, const std::string& key) {
  SSL_CTX* native = context.native_handle();
  SSL_CTX_set_min_proto_version(native, TLS1_2_VERSION);
  SSL_CTX_set_options(native, SSL_OP_NO_RENEGOTIATION);
  error_code error;
  context.use_certificate_chain_file(certificates, error);
  if (error)
    throw Error(ErrorKind::kFile, certificates + ": no certificates in PEM can be read: " + error.message());
  context.use_private_key_file(key, asio::ssl::context::pem, error);
  if (error)
    throw Error(ErrorKind::kFile,
                key + ": no private key in PEM that fits the certificate can be read: " + error.message());
}

}  // namespace marrow::serve
