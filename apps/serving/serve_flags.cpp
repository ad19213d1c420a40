#include "serving/serve_flags.h"

#include <fmt/format.h>

#include <type_traits>

#include "marrow/engine/precision.h"
#include "support/common_options.h"

namespace marrow::cli {
namespace {

void declare_model_flags(Command& command, ServeFlags& flags) {
  command
      .argument("MODEL", &flags.models,
                "Checkpoints, or folders with one; NAME=MODEL chooses the name in URLs, otherwise the file's")
      .pairs_too()
      .without("needed, but not for --health-check");
  add_image_size(command, flags.network.imgsz);
  command.flag(
      "--rect", &flags.network.rect,
      "Pad each picture only to the next multiple of the stride; false, and a file of fixed size: to "
      "the full square");
  add_engine(command, flags.network.engine);
}

void declare_address_flags(Command& command, ServeFlags& flags) {
  command.option("--host", &flags.host, "Address to listen on; 0.0.0.0: all, as a container needs")
      .type("ADDRESS");
  command.option("--port", &flags.port, "Port to listen on; 0: a free one")
      .range(0, 65535)
      .without("the environment variable PORT, or 8080");
}

void declare_queue_flags(Command& command, ServeFlags& flags) {
  command.group("Work");
  command
      .option("--max-batch", &flags.max_batch,
              "Pictures that run side by side at most, where as many wait, each on its part of the threads; "
              "fewer "
              "where that is quicker")
      .range(1, 256);
  command
      .option("--max-delay-ms", &flags.max_delay_ms,
              "Milliseconds that a picture waits for others to run with; 0: only those that wait already")
      .range(0, 10'000);
  command
      .option("--queue", &flags.queue, "Pictures of a model that are under way; more are answered with 503")
      .range(1, 100'000);
  command
      .option("--queue-seconds", &flags.waiting.longest_seconds, "Seconds that a picture waits for its turn")
      .range(0.001, 86'400);
  command.option("--request-batch", &flags.request_batch, "Pictures in one request").range(1, 10'000);
  command.option("--decode-threads", &flags.workers, "Threads that decode pictures, and read and write JSON")
      .range(1, 256);
  command
      .option("--max-side", &flags.network.max_side,
              "Pixels of a side of the input that a client may send as a tensor; at least the model's own")
      .range(32, 16384);
  command.option("--max-pixels", &flags.pixels, "Millions of pixels of a picture that is decoded")
      .range(0.001, 200);
  command.option("--max-masks", &flags.masks, "MiB of the masks of one picture, a byte a pixel")
      .range(1, 1 << 20);
}

void declare_safety_flags(Command& command, ServeFlags& flags) {
  command.group("Who may ask");
  command
      .option("--allowed-host", &flags.allowed_hosts,
              "Names that requests may give as Host, besides localhost and the address; separated by commas")
      .type("NAME,...")
      .without("on a loopback address none, elsewhere any");
  command
      .option("--allow-origin", &flags.allowed_origins,
              "Origins whose pages may send requests, such as https://example.org; separated by commas")
      .type("ORIGIN,...")
      .without("the server's own");
  command
      .option("--token-file", &flags.token_file,
              "A file with the token that requests must bring, as 'Authorization: Bearer TOKEN'; health "
              "needs none")
      .type("FILE")
      .without("none is wanted");
  command
      .option("--tls-cert", &flags.tls_certificates,
              "PEM file with the certificates of TLS; --tls-key has their key")
      .type("FILE")
      .without("no TLS");
  command.option("--tls-key", &flags.tls_key, "PEM file with the private key").type("FILE").without("no TLS");
  command.flag("--open-metrics", &flags.open_metrics, "/metrics needs no token");
}

void declare_limit_flags(Command& command, ServeFlags& flags) {
  command.group("Limits");
  command.option("--max-request-line", &flags.request_line, "KiB of a request's first line").range(1, 1024);
  command.option("--max-header", &flags.head, "KiB of a request's header").range(1, 1024);
  command.option("--max-header-lines", &flags.fields, "Lines of a request's header").range(1, 10'000);
  command.option("--max-body", &flags.body, "MiB of a request's body, also when unpacked").range(1, 4096);
  command.option("--max-bodies", &flags.bodies, "MiB of all bodies that are held at one time")
      .range(1, 1 << 20);
  command.option("--header-seconds", &flags.limits.head_seconds, "Seconds in which a header arrives")
      .range(0.1, 3600);
  command.option("--request-seconds", &flags.limits.request_seconds, "Seconds in which a request arrives")
      .range(0.1, 86'400);
  command.option("--min-rate", &flags.body_rate, "KiB a second that a body brings at least")
      .range(0, 1 << 20);
  command
      .option("--idle-seconds", &flags.limits.idle_seconds,
              "Seconds that a connection stays without a request")
      .range(0.1, 86'400);
  command
      .option("--write-seconds", &flags.limits.write_seconds,
              "Seconds that a client may take nothing of its answer")
      .range(0.1, 3600);
  command.option("--connections", &flags.connections, "Connections at one time; further ones wait")
      .range(1, 100'000);
}

void declare_page_flags(Command& command, ServeFlags& flags) {
  command.group("Web page");
  command.option("--samples", &flags.samples, "A folder of pictures that the page offers")
      .type("DIR")
      .without("none");
  command.option("--runs", &flags.runs, "A folder of training runs, shown at /runs")
      .type("DIR")
      .without("none");
  command
      .option("--labels", &flags.labels,
              "A dataset that corrected boxes are saved into, with their pictures; it is made where there is "
              "none")
      .type("DIR")
      .without("nothing is saved");
}

void declare_running_flags(Command& command, ServeFlags& flags) {
  command.group("Running");
  command.flag("--access-log", &flags.access_log, "A line of JSON for each request, on stdout");
  command
      .option("--drain-delay", &flags.drain_delay,
              "Seconds after SIGTERM in which connections are still taken, while /v2/health/ready says 503")
      .range(0, 600)
      .without("5 in a cluster, where KUBERNETES_SERVICE_HOST is set; 0");
  command.option("--drain-seconds", &flags.drain_longest, "Seconds after that for the requests under way")
      .range(0, 3600);
  command.flag("--health-check", &flags.health_check,
               "Do not serve: ask the server at this address whether it is ready, and exit with 0 or 1");
}

// "--name=value" as long as there is a value.
struct WordsOf {
  const Option& option;
  std::vector<std::string>& words;

  void add(const std::string& value) const { words.push_back(option.spelling() + "=" + value); }
  void operator()(const std::string* text) const {
    if (!text->empty()) add(*text);
  }
  void operator()(const bool* truth) const { add(*truth ? "true" : "false"); }
  void operator()(const std::vector<int>* numbers) const {
    if (!numbers->empty()) add(fmt::format("{}", fmt::join(*numbers, ",")));
  }
  void operator()(const std::vector<std::string>* texts) const {
    if (option.argument.empty() && !texts->empty()) add(fmt::format("{}", fmt::join(*texts, ",")));
  }
  void operator()(const std::optional<std::string>* text) const {
    if (*text) add(**text);
  }
  // Those that take texts alone are said by who declared them.
  void operator()(const TakeText&) const {}
  template <class Number>
  void operator()(const std::optional<Number>* number) const {
    if (*number) add(fmt::format("{}", **number));
  }
  template <class Number>
  void operator()(const Number* number) const {
    add(fmt::format("{}", *number));
  }
};

}  // namespace

void declare_serve_flags(Command& command, ServeFlags& flags) {
  command.summary("Answer requests over HTTP: pictures in, detections out; also the Open Inference Protocol");
  declare_model_flags(command, flags);
  declare_address_flags(command, flags);
  declare_queue_flags(command, flags);
  declare_safety_flags(command, flags);
  declare_limit_flags(command, flags);
  declare_page_flags(command, flags);
  declare_running_flags(command, flags);
  command.note(
      "SIGTERM and SIGINT end it once what is under way is answered, a second one at once. SIGHUP reads the "
      "models again.");
  command.example("marrow serve yolov8n.pt");
  command.example(
      "marrow serve street=best.safetensors yolov8n.pt --host 0.0.0.0 --token-file /run/secrets/token");
}

std::vector<std::string> words_of(const Command& command) {
  std::vector<std::string> words, values;
  for (const Option& option : command.options()) {
    std::visit(WordsOf{option, words}, option.target);
    if (option.names.empty())
      if (const auto* list = std::get_if<std::vector<std::string>*>(&option.target))
        values.insert(values.end(), (*list)->begin(), (*list)->end());
  }
  words.emplace_back("--");
  words.insert(words.end(), values.begin(), values.end());
  return words;
}

}  // namespace marrow::cli
