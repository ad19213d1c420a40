// A whole server: the models, the routes, and the connections.
//
//   Serving serving(options);    // listens
//   serving.run();               // reads the models and serves until drain()
#pragma once

#include <vector>

#include "marrow/serve/service.h"

namespace marrow::serve {

struct ServingOptions {
  std::vector<ModelSource> models;
  NetworkOptions network;
  ServiceOptions service;
  ServerOptions server;
  DrainOptions drain;
};

class Serving {
 public:
  // Throws what Server throws.
  explicit Serving(const ServingOptions& options);

  uint16_t port() const { return server_.port(); }
  bool ready() const { return models_.ready(); }
  const Server& server() const { return server_; }

  // Until it is drained. Throws what Models::load throws where a model cannot be read.
  void run();

  // Any thread.
  void drain();
  // Reads all models again, without an interruption; what goes wrong is said on stderr, and the models stay.
  void reload();

 private:
  const ServingOptions options_;
  Models models_;
  Service service_;
  Server server_;
  Workers loader_;
};

}  // namespace marrow::serve
