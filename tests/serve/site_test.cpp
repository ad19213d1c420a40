#include <fmt/format.h>

#include <fstream>

#include "marrow/base/files.h"
#include "serve/running_server.h"

namespace marrow::testing {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

void write_text_file(const fs::path& path, const std::string& text) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

// A server with a page: folders of its own.
struct SiteServer {
  TemporaryFolder folder;
  std::unique_ptr<RunningServer> server;

  SiteServer() {
    write_text_file(folder / "samples/b.jpg", drawn_jpeg(40, 30, 1));
    write_text_file(folder / "samples/a.png", image::encode_png(image::draw_scene(30, 20, 2).pixels()));
    write_text_file(folder / "samples/notes.txt", "no picture");
    write_text_file(folder / "runs/detect/train/results.csv",
                    "epoch,time,metrics/mAP50-95(B)\n1,2,0.5\n2,4,nan\n3,6,\n");
    write_text_file(
        folder / "runs/detect/train/args.yaml",
        "model: yolov8n\nbackbone: null\nepochs: 30\ndata: " + (folder / "labels/data.yaml").string() + "\n");
    write_text_file(folder / "runs/detect/train/results.png", "png");
    write_text_file(folder / "runs/secret.png", "secret");
    serve::ServingOptions options = served_options();
    options.service.site = {.samples = (folder / "samples").string(),
                            .runs = (folder / "runs").string(),
                            .labels = (folder / "labels").string()};
    server = std::make_unique<RunningServer>(options);
  }

  HttpAnswer save(const std::string& picture, const std::string& labels,
                  const std::string& query = "?model=det") const {
    const std::string body =
        form_part("image", "../../x.jpg", picture) + form_part("labels", "", labels) + "--B--\r\n";
    return server->post("/v1/labels" + query, body, kFormType);
  }
  std::string text(const std::string& path) const { return read_file(folder / path, 1 << 20); }
};

std::string labels_of(int width, int height, const std::string& boxes) {
  return fmt::format(R"({{"width":{},"height":{},"boxes":[{}]}})", width, height, boxes);
}

TEST(Site, NamesModelsWithTheirTaskAndClasses) {
  const Json told = Json::parse(shared_server().get("/v1/models").body);
  EXPECT_EQ(told["models"].size(), 3u);
  for (const Json& model : told["models"])
    if (model["name"] == "cls")
      EXPECT_EQ(model["task"], "classify");
    else
      EXPECT_EQ(model["classes"], Json({"red box", "it's \"green\"", "bar"}));
  EXPECT_EQ(told["samples"], 0);
  EXPECT_EQ(told["runs"], false);
  EXPECT_EQ(told["labels"], false);
  EXPECT_EQ(shared_server().get("/v1/runs").status, 404);
  EXPECT_EQ(shared_server().post("/v1/labels", "x").status, 403);
}

TEST(Site, PagesAreCompiledIn) {
  for (const auto& [path, type] : {std::pair("/", "text/html"),
                                   {"/runs", "text/html"},
                                   {"/page.css", "text/css"},
                                   {"/detect.js", "text/javascript"}}) {
    const HttpAnswer answer = shared_server().get(path);
    EXPECT_EQ(answer.status, 200) << path;
    EXPECT_TRUE(answer.field("content-type").starts_with(type)) << path;
    EXPECT_TRUE(answer.has("content-security-policy"));
  }
  for (const char* path : {"/detect.css", "/page/detect.js", "/..%2fpage.css", "/site.cpp"})
    EXPECT_EQ(shared_server().get(path).status, 404) << path;
}

TEST(Site, OffersPicturesAndRunsByNumber) {
  const SiteServer site;
  EXPECT_EQ(site.server->get("/v1/samples/0").field("content-type"), "image/png");
  EXPECT_EQ(site.server->get("/v1/samples/1").body, site.text("samples/b.jpg"));
  for (const char* path : {"/v1/samples/2", "/v1/samples/-1", "/v1/samples/x",
                           "/v1/samples/99999999999999999999", "/v1/samples/..%2fsamples%2fb.jpg"})
    EXPECT_EQ(site.server->get(path).status, 404) << path;

  const Json runs = Json::parse(site.server->get("/v1/runs").body);
  EXPECT_EQ(runs, Json::parse(R"({"runs":[{"id":0,"name":"detect/train"}]})"));
  const Json run = Json::parse(site.server->get("/v1/runs/0").body);
  EXPECT_EQ(run["model"], "yolov8n");
  EXPECT_EQ(run["epochs"], 30);
  EXPECT_EQ(run["columns"], Json({"epoch", "time", "metrics/mAP50-95(B)"}));
  EXPECT_EQ(run["rows"], Json::parse("[[1.0,2.0,0.5],[2.0,4.0,null],[3.0,6.0,null]]"));
  EXPECT_EQ(run["pictures"], Json({"results.png"}));
  EXPECT_EQ(site.server->get("/v1/runs/0/results.png").body, "png");
  for (const char* path : {"/v1/runs/1", "/v1/runs/0/args.yaml", "/v1/runs/0/..%2f..%2fsecret.png",
                           "/v1/runs/0/../../secret.png"})
    EXPECT_EQ(site.server->get(path).status, 404) << path;
}

TEST(Site, NewRunsGetNumbersOfTheirOwn) {
  const SiteServer site;
  write_text_file(site.folder / "runs/detect/train2/results.csv", "epoch,time\n1,2\n");
  const Json runs = Json::parse(site.server->get("/v1/runs").body)["runs"];
  ASSERT_EQ(runs.size(), 2u);
  for (const Json& run : runs) EXPECT_EQ(run["name"], run["id"] == 0 ? "detect/train" : "detect/train2");
  fs::remove_all(site.folder / "runs/detect/train2");
  EXPECT_EQ(site.server->get("/v1/runs/1").status, 404);
}

TEST(Site, SavesCorrectedBoxesAsADataset) {
  const SiteServer site;
  const std::string picture = drawn_jpeg(200, 100, 4);
  const HttpAnswer first = site.save(picture, labels_of(200, 100, R"({"class":2,"box":[20,10,60.5,50]})"));
  ASSERT_EQ(first.status, 200) << first.body;
  const Json paths = Json::parse(first.body);
  EXPECT_EQ(site.text("labels/" + paths["image"].get<std::string>()), picture);
  const std::string label = "labels/" + paths["label"].get<std::string>();
  EXPECT_EQ(site.text(label), "2 0.201250 0.300000 0.202500 0.400000\n");
  EXPECT_EQ(Json::parse(site.save(picture, labels_of(200, 100, "")).body), paths)
      << "a second correction replaces the first";
  EXPECT_EQ(site.text(label), "");
  const data::Dataset dataset = data::read_dataset(site.folder / "labels");
  EXPECT_EQ(dataset.names, std::vector<std::string>({"red box", "it's \"green\"", "bar"}));
  EXPECT_EQ(data::list_images(dataset.split("train")).size(), 1u);
  EXPECT_EQ(Json::parse(site.server->get("/v1/runs/0").body)["classes"], Json(dataset.names));
  // What leaves the picture is cut off.
  EXPECT_EQ(site.save(picture, labels_of(200, 100, R"({"class":0,"box":[-20,-10,220,110]})")).status, 200);
  EXPECT_EQ(site.text(label), "0 0.500000 0.500000 1.000000 1.000000\n");
}

TEST(Site, AnExistingDatasetKeepsItsClassesAndFolders) {
  SiteServer site;
  write_text_file(site.folder / "labels/data.yaml",
                  "train: images/train\nval: images/train\nnames: [bar, red box]\n");
  fs::create_directories(site.folder / "labels/images/train");
  serve::ServingOptions options = served_options();
  options.service.site.labels = (site.folder / "labels").string();
  site.server = std::make_unique<RunningServer>(options);
  const std::string picture = drawn_jpeg(100, 100, 5);
  const Json paths =
      Json::parse(site.save(picture, labels_of(100, 100, R"({"class":2,"box":[0,0,50,50]})")).body);
  EXPECT_TRUE(paths["image"].get<std::string>().starts_with("images/train/corrected-")) << paths;
  EXPECT_EQ(site.text("labels/" + paths["label"].get<std::string>()),
            "0 0.250000 0.250000 0.500000 0.500000\n");
  const HttpAnswer unknown = site.save(picture, labels_of(100, 100, R"({"class":1,"box":[0,0,50,50]})"));
  EXPECT_EQ(unknown.status, 400);
  EXPECT_NE(unknown.body.find("green"), std::string::npos) << unknown.body;
}

TEST(Site, RefusesWhatIsNoCorrection) {
  const SiteServer site;
  const std::string picture = drawn_jpeg(100, 100, 6);
  const std::string good = labels_of(100, 100, R"({"class":0,"box":[1,2,3,4]})");
  const std::string deep(100'000, '['), deep_box = std::string(400'000, '[') + std::string(400'000, ']');
  for (const std::string& labels :
       {std::string(), std::string("null"), std::string("[]"), deep,
        std::string(R"({"width":100,"height":100})"), labels_of(99, 100, ""), labels_of(100, 100, "1"),
        labels_of(100, 100, deep_box), labels_of(100, 100, R"({"class":3,"box":[1,2,3,4]})"),
        labels_of(100, 100, R"({"class":-1,"box":[1,2,3,4]})"),
        labels_of(100, 100, R"({"class":0.5,"box":[1,2,3,4]})"),
        labels_of(100, 100, R"({"class":0,"box":[1,2,3]})"),
        labels_of(100, 100, R"({"class":0,"box":[1,2,"3",4]})"),
        labels_of(100, 100, R"({"class":0,"box":[5,2,3,4]})"),
        labels_of(100, 100, R"({"class":0,"box":[200,2,300,4]})"),
        labels_of(100, 100, R"({"class":0,"box":[1e999,2,3,4]})")}) {
    const HttpAnswer answer = site.save(picture, labels);
    EXPECT_EQ(answer.status, 400) << labels.substr(0, 100) << answer.body;
    EXPECT_TRUE(Json::parse(answer.body).contains("error"));
  }
  EXPECT_EQ(site.save("no picture", good).status, 400);
  EXPECT_EQ(site.save(drawn_jpeg(1100, 1000, 6), labels_of(1100, 1000, "")).status, 413);
  EXPECT_EQ(site.save(picture, good, "?model=dat").status, 404);
  EXPECT_EQ(site.server->post("/v1/labels", picture).status, 400) << "no form";
  EXPECT_EQ(site.server->get("/v1/labels").status, 405);
  EXPECT_EQ(site.server->post("/v1/labels", "x", "Origin: http://evil.example\r\n").status, 403);
  EXPECT_FALSE(fs::exists(site.folder / "labels")) << "nothing was written";
}

TEST(Site, AnswersSayHowLongTheirPartsTook) {
  const HttpAnswer answer = shared_server().post("/v1/detect?model=det", drawn_jpeg(90, 60, 3));
  double decode = -1, queue = -1, inference = -1;
  ASSERT_EQ(std::sscanf(answer.field("server-timing").c_str(),
                        "decode;dur=%lf, queue;dur=%lf, inference;dur=%lf", &decode, &queue, &inference),
            3)
      << answer.field("server-timing");
  EXPECT_GT(decode, 0);
  EXPECT_GE(queue, 0);
  EXPECT_GT(inference, 0);
}

}  // namespace
}  // namespace marrow::testing
