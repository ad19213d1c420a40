// The options of `marrow serve`. Two programs declare them: marrow, and marrow-serve, which it starts.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "command_line/command_line.h"
#include "marrow/engine/engine.h"

namespace marrow::cli {

struct ServeFlags {
  std::vector<std::string> models;
  std::string host = "127.0.0.1";
  std::optional<int> port;
  std::vector<int> imgsz;
  bool rect = true;
  engine::EngineOptions engine;
  int workers = 2;
  int max_side = 1280;

  int max_batch = 4;
  double max_delay_ms = 0;
  int queue = 64;
  double queue_seconds = 30;
  int request_batch = 32;
  double pixels = 50;

  std::vector<std::string> allowed_hosts, allowed_origins;
  std::string token_file, tls_certificates, tls_key;
  bool open_metrics = false;

  int request_line = 8;
  int head = 16;
  int fields = 100;
  int body = 64;
  int bodies = 1024;
  double head_seconds = 10, request_seconds = 30, body_rate = 1;
  double idle_seconds = 30, write_seconds = 30;
  int connections = 512;

  std::string samples, runs, labels;

  bool access_log = true;
  std::optional<double> drain_delay;
  double drain_longest = 20;
  bool health_check = false;
};

void declare_serve_flags(Command& command, ServeFlags& flags);

// Words that say what the options of the command hold, for a program that declares the same ones.
std::vector<std::string> words_of(const Command& command);

}  // namespace marrow::cli
