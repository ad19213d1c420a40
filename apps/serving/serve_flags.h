// The options of `marrow serve`. Two programs declare them: marrow, and marrow-serve, which it starts.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "command_line/command_line.h"
#include "marrow/serve/http/limits.h"
#include "marrow/serve/options.h"

namespace marrow::cli {

// Numbers are what the server's options are where nobody says, in the flags' units.
struct ServeFlags {
  static constexpr int kibibytes(size_t bytes) { return static_cast<int>(bytes >> 10); }
  static constexpr int mebibytes(size_t bytes) { return static_cast<int>(bytes >> 20); }

  std::vector<std::string> models;
  std::string host = "127.0.0.1";
  std::optional<int> port;

  serve::NetworkOptions network;
  int max_batch = static_cast<int>(network.max_batch);
  int workers = serve::kUsualWorkers;

  serve::QueueOptions waiting;
  double max_delay_ms = 1e3 * waiting.delay_seconds;
  int queue = static_cast<int>(waiting.pictures);

  serve::InferLimits infer;
  int request_batch = static_cast<int>(infer.batch);
  double pixels = static_cast<double>(infer.pixels) / 1e6;
  int masks = mebibytes(infer.mask_bytes);

  std::vector<std::string> allowed_hosts, allowed_origins;
  std::string token_file, tls_certificates, tls_key;
  bool open_metrics = false;

  serve::HttpLimits limits;
  int request_line = kibibytes(limits.request_line);
  int head = kibibytes(limits.head);
  int fields = static_cast<int>(limits.fields);
  int body = mebibytes(limits.body);
  int bodies = mebibytes(limits.bodies);
  double body_rate = limits.body_rate / 1024;
  int connections = static_cast<int>(limits.connections);

  std::string samples, runs, labels;

  bool access_log = true;
  std::optional<double> drain_delay;
  double drain_longest = serve::DrainOptions().longest;
  bool health_check = false;
};

void declare_serve_flags(Command& command, ServeFlags& flags);

// Words that say what the options of the command hold, for a program that declares the same ones.
std::vector<std::string> words_of(const Command& command);

}  // namespace marrow::cli
