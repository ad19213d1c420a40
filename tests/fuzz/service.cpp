// Whole requests, as far as the answer: routes, queries, tensors, pictures, and corrected boxes.
#include "marrow/serve/service.h"

#include <fmt/format.h>

#include <cstring>
#include <future>

#include "fuzz/readers.h"
#include "fuzz/request.h"
#include "fuzz/small_model.h"
#include "marrow/image/encode.h"
#include "marrow/image/scene.h"
#include "marrow/model/checkpoint.h"
#include "marrow/serve/http/compression.h"

namespace marrow::fuzz {
namespace {

constexpr size_t kMostBody = 1 << 16;
constexpr int kServedSide = 32;  // pixels

// A detector of two classes, which saves corrected boxes in a folder of its own. It lives as long as the
// program: its threads must not outlive what they use.
class Served {
 public:
  Served() {
    const model::TrainedModel model = small_model();
    model::save_checkpoint(folder_ / "m.safetensors", model.model, model.weights);
    serve::NetworkOptions network;
    network.imgsz = {kServedSide};
    network.max_side = 2 * kServedSide;
    network.engine.threads = 1;
    models_ = std::make_unique<serve::Models>(
        std::vector<serve::ModelSource>{{"m", (folder_ / "m.safetensors").string()}}, network);
    models_->load();
    serve::ServiceOptions options;
    options.calls = {.body = kMostBody, .infer = {.batch = 3, .pixels = 10'000, .mask_bytes = 1 << 20}};
    options.workers = 1;
    std::filesystem::create_directory(folder_ / "labels");
    options.site.labels = (folder_ / "labels").string();
    service_ = std::make_unique<serve::Service>(*models_, options);
  }

  // Throws HttpError where the server refuses before it looks into the body.
  serve::Response answer(Request request) {
    auto answered = std::make_shared<std::promise<serve::Response>>();
    const auto exchange = std::make_shared<serve::Exchange>(
        [answered](serve::Response response) { answered->set_value(std::move(response)); });
    exchange->held = std::make_shared<serve::Share>(budget_);
    exchange->target = serve::parse_target(request.head.target);
    exchange->head = std::move(request.head);
    exchange->framing = request.framing;
    service_->check(*exchange);
    exchange->body = std::move(request.body);
    service_->handle(exchange);
    serve::Response response = answered->get_future().get();
    service_->finished(exchange.get(), "127.0.0.1", response.status, response.body.size());
    // So that the disk stays as it was: a picture is stored by its content.
    if (response.status == 200 && std::strcmp(exchange->route, "/v1/labels") == 0)
      for (const char* name : {"images", "labels"})
        for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_ / "labels" / name))
          if (entry.is_regular_file()) std::filesystem::remove(entry.path());
    return response;
  }

 private:
  OwnFolder folder_;
  std::shared_ptr<serve::Budget> budget_ = std::make_shared<serve::Budget>(16 * kMostBody);
  std::unique_ptr<serve::Models> models_;
  std::unique_ptr<serve::Service> service_;
};

std::string post(const std::string& target, const std::string& body, const std::string& fields = "") {
  return fmt::format("POST {} HTTP/1.1\r\nHost: a\r\n{}Content-Length: {}\r\n\r\n{}", target, fields,
                     body.size(), body);
}

std::string part(const std::string& name, const std::string& content) {
  return fmt::format("--b\r\nContent-Disposition: form-data; name=\"{}\"; filename=\"a.png\"\r\n\r\n{}\r\n",
                     name, content);
}

}  // namespace

void read_service_request(Bytes bytes) {
  static Served& served = *new Served();
  std::optional<Request> request = received_request(bytes);
  if (!request) return;
  const serve::Response response = served.answer(std::move(*request));
  // What a reader throws beside its refusals is answered so.
  if (response.status == 500 && response.body.find("the server failed") != std::string::npos)
    throw std::logic_error("an exception that is no refusal: " + response.body);
}

Seeds service_request_seeds() {
  const std::string form = "Content-Type: multipart/form-data; boundary=b\r\n";
  const std::string picture = image::encode_png(image::draw_scene(16, 16, 1).pixels());
  const std::string one = R"({"inputs":[{"name":"images","datatype":)", behind = R"(}],"parameters":{}})";
  const std::string pixels =
      one + R"("FP32","shape":[1,3,8,8],"parameters":{"binary_data_size":768})" + behind;
  const std::string encoded =
      one + fmt::format(R"("BYTES","shape":[1],"parameters":{{"binary_data_size":{}}})", picture.size() + 4) +
      behind;
  std::string length(4, '\0');
  length[0] = static_cast<char>(picture.size() & 255);
  length[1] = static_cast<char>(picture.size() >> 8);
  std::string numbers;
  for (int i = 0; i < 3 * 4 * 4; ++i) numbers += i == 0 ? "0.5" : ",1";
  const auto announced = [](const std::string& json) {
    return fmt::format("Inference-Header-Content-Length: {}\r\n", json.size());
  };
  return {
      "GET /v2/models/m/versions/1 HTTP/1.1\r\nHost: a\r\n\r\n",
      "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n",
      post("/v2/repository/index", R"({"ready":true})"),
      post("/v1/detect?conf=0.01&iou=0.5&max_det=3&classes=0,dog", picture),
      post("/v1/detect", picture, "Accept: image/jpeg\r\n"),
      post("/v1/detect/batch?model=m", part("image", picture) + part("file", picture) + "--b--\r\n", form),
      post("/v1/detect", serve::pack(picture, serve::Coding::kGzip), "Content-Encoding: gzip\r\n"),
      post("/v1/labels?model=m",
           part("image", picture) +
               part("labels", R"({"width":16,"height":16,"boxes":[{"class":1,"box":[1,2,8.5,9]}]})") +
               "--b--\r\n",
           form),
      post("/v2/models/m/infer", one + R"("FP32","shape":[1,3,4,4],"data":[)" + numbers + "]" + behind),
      post("/v2/models/m/infer", pixels + std::string(768, '\1'), announced(pixels)),
      post("/v2/models/m/infer", encoded + length + picture, announced(encoded)),
  };
}

}  // namespace marrow::fuzz
