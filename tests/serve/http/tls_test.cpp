#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <fstream>

#include "marrow/base/error.h"
#include "serve/http/echo_server.h"
#include "support/expect_says.h"
#include "support/http_client.h"
#include "support/message_of.h"
#include "support/temporary_folder.h"

namespace marrow::serve {
namespace {

using testing::EchoServer;
using testing::http_request;

// A certificate that its own key has signed.
void write_certificate(const std::filesystem::path& certificates, const std::filesystem::path& key_file) {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* certificate = X509_new();
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
  X509_set_pubkey(certificate, key);
  X509_NAME* name = X509_get_subject_name(certificate);
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("localhost"),
                             -1, -1, 0);
  X509_set_issuer_name(certificate, name);
  X509_sign(certificate, key, EVP_sha256());
  std::FILE* file = std::fopen(certificates.c_str(), "w");
  PEM_write_X509(file, certificate);
  std::fclose(file);
  file = std::fopen(key_file.c_str(), "w");
  PEM_write_PrivateKey(file, key, nullptr, nullptr, 0, nullptr, nullptr);
  std::fclose(file);
  X509_free(certificate);
  EVP_PKEY_free(key);
}

struct Files {
  Files() { write_certificate(certificates, key); }
  testing::TemporaryFolder folder;
  std::filesystem::path certificates = folder / "cert.pem", key = folder / "key.pem";
};

ServerOptions secure(const Files& files) {
  ServerOptions options;
  options.certificates = files.certificates.string();
  options.key = files.key.string();
  options.limits.head_seconds = 0.5;
  return options;
}

class SecureClient {
 public:
  // `version`: of TLS, at most.
  explicit SecureClient(uint16_t port, int version = TLS1_3_VERSION)
      : context_(SSL_CTX_new(TLS_client_method())) {
    SSL_CTX_set_max_proto_version(context_, version);
    SSL_CTX_set_min_proto_version(context_, TLS1_VERSION);
    SSL_CTX_set_security_level(context_, 0);
    socket_ = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    connection_ = SSL_new(context_);
    SSL_set_fd(connection_, socket_);
    connected_ = SSL_connect(connection_) == 1;
  }
  ~SecureClient() {
    SSL_free(connection_);
    SSL_CTX_free(context_);
    close(socket_);
  }
  SecureClient(const SecureClient&) = delete;
  SecureClient& operator=(const SecureClient&) = delete;

  bool connected() const { return connected_; }
  void send(std::string_view text) { SSL_write(connection_, text.data(), static_cast<int>(text.size())); }
  // What comes until the text holds `wanted`, or the end.
  std::string received(const std::string& wanted) {
    std::string text;
    std::vector<char> block(65536);
    while (text.find(wanted) == std::string::npos) {
      const int size = SSL_read(connection_, block.data(), static_cast<int>(block.size()));
      if (size <= 0) break;
      text.append(block.data(), static_cast<size_t>(size));
    }
    return text;
  }

 private:
  SSL_CTX* context_;
  SSL* connection_ = nullptr;
  int socket_ = -1;
  bool connected_ = false;
};

TEST(Tls, CarriesRequests) {
  const Files files;
  EchoServer server(secure(files));
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    SecureClient client(server.server.port(), version);
    ASSERT_TRUE(client.connected());
    const std::string body(200'000, 'b');
    client.send(http_request("POST", "/echo", body + "end"));
    EXPECT_SAYS(client.received("end"), body + "end");
    client.send(
        "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
    EXPECT_SAYS(client.received("\r\n\r\n"), "100 Continue");
    client.send("abcd");
    EXPECT_SAYS(client.received("abcd"), "200 OK");
    // Pages of its own are those of https.
    client.send(http_request("POST", "/echo", "x", "Origin: https://localhost\r\n"));
    EXPECT_SAYS(client.received("\r\n\r\nx"), "200 OK");
    client.send(http_request("POST", "/echo", "x", "Origin: http://localhost\r\nConnection: close\r\n"));
    EXPECT_SAYS(client.received("never"), "403 Forbidden");
  }
}

TEST(Tls, RefusesWhatIsOlderOrNone) {
  const Files files;
  EchoServer server(secure(files));
  EXPECT_FALSE(SecureClient(server.server.port(), TLS1_1_VERSION).connected());
  testing::HttpClient plain(server.server.port());
  plain.send(http_request("GET", "/hello"));
  // One that only connects is not waited for.
  testing::HttpClient silent(server.server.port());
  EXPECT_TRUE(silent.is_closed());
  EXPECT_TRUE(testing::eventually([&] { return server.server.connections() == 0; }));
}

TEST(Tls, NamesTheFileThatCannotBeUsed) {
  const Files files;
  const auto refusal = [&](const std::string& certificates, const std::string& key) {
    ServerOptions options = secure(files);
    options.certificates = certificates;
    options.key = key;
    testing::EchoApplication application;
    options.port = 0;
    return testing::message_of([&] { Server(options, application); }, ErrorKind::kFile);
  };
  EXPECT_SAYS(refusal("/nowhere.pem", files.key.string()), "/nowhere.pem: no certificates");
  EXPECT_SAYS(refusal(files.certificates.string(), "/nowhere.pem"), "/nowhere.pem: no private key");
  EXPECT_SAYS(refusal(files.key.string(), files.key.string()), "no certificates");
  const Files others;
  EXPECT_SAYS(refusal(files.certificates.string(), others.key.string()), "no private key");
}

}  // namespace
}  // namespace marrow::serve
