#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "fuzz/readers.h"
#include "marrow/base/error.h"
#include "marrow/serve/http/message.h"

namespace marrow::fuzz {

const std::vector<Target>& targets() {
  static const std::vector<Target> all = {
      {"model_yaml", read_model_yaml, model_yaml_seeds},
      {"dataset_yaml", read_dataset_yaml, dataset_yaml_seeds},
      {"tracker_yaml", read_tracker_yaml, tracker_yaml_seeds},
      {"mot_text", read_mot_text, mot_text_seeds},
      {"yolo_labels", read_yolo_labels, yolo_label_seeds},
      {"dota_labels", read_dota_labels, dota_label_seeds},
      {"coco_json", read_coco_json, coco_seeds},
      {"voc_xml", read_voc_xml, voc_seeds},
      {"label_cache", read_label_cache_file, label_cache_seeds},
      {"tar_shard", read_tar_shard, tar_shard_seeds},
      {"shard_index", read_shard_index_file, shard_index_seeds},
      {"safetensors", read_safetensors_file, safetensors_seeds},
      {"pickle", read_pickle, pickle_seeds},
      {"torch_pickle", read_torch_pickle, torch_pickle_seeds},
      {"checkpoint", read_model_checkpoint, checkpoint_seeds},
      {"onnx", read_onnx, onnx_seeds},
      {"tuner_cache", read_tuner_cache, tuner_cache_seeds},
      {"args_yaml", read_args_yaml, args_yaml_seeds},
      {"results_csv", read_results_table, results_table_seeds},
      {"resumed_run", read_resumed_run, resumed_run_seeds},
      {"file_list", read_file_list, file_list_seeds},
      {"class_names", read_class_names, class_name_seeds},
      {"darknet_data", read_darknet_data, darknet_data_seeds},
      {"image", read_image, image_seeds},
      {"http_request", read_http_request, http_request_seeds},
      {"multipart", read_multipart, multipart_seeds},
      {"infer_request", read_infer_request, infer_request_seeds},
      {"service", read_service_request, service_request_seeds},
#ifdef MARROW_HAS_VIDEO
      {"video", read_video, video_seeds},
#endif
  };
  return all;
}

const Target& find_target(std::string_view name) {
  for (const Target& target : targets())
    if (name == target.name) return target;
  std::fprintf(stderr, "There is no reader '%s'. Known:", std::string(name).c_str());
  for (const Target& target : targets()) std::fprintf(stderr, " %s", target.name);
  std::fprintf(stderr, "\n");
  std::exit(2);
}

std::vector<std::filesystem::path> kept_inputs(const Target& target) {
  const std::filesystem::path folder =
      std::filesystem::path(MARROW_SOURCE_DIR) / "tests/fuzz/corpus" / target.name;
  std::vector<std::filesystem::path> files;
  if (std::filesystem::exists(folder))
    for (const auto& entry : std::filesystem::directory_iterator(folder)) files.push_back(entry.path());
  return files;
}

void run(const Target& target, Bytes input) {
  try {
    target.read(input);
  } catch (const Error&) {
  } catch (const serve::HttpError&) {
  }
}

InputFile::InputFile(Bytes bytes) : descriptor_(memfd_create("input", MFD_CLOEXEC)) {
  for (size_t done = 0; done < bytes.size();) {
    const ssize_t count = write(descriptor_, bytes.data() + done, bytes.size() - done);
    if (count <= 0) std::abort();
    done += static_cast<size_t>(count);
  }
}

InputFile::~InputFile() {
  close(descriptor_);
}

std::string InputFile::path() const {
  return "/proc/self/fd/" + std::to_string(descriptor_);
}

OwnFolder::OwnFolder() {
  std::string path = (std::filesystem::temp_directory_path() / "marrow_fuzz_XXXXXX").string();
  if (mkdtemp(path.data()) == nullptr) std::abort();
  path_ = path;
}

OwnFolder::~OwnFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string content_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void write_content(const std::filesystem::path& path, Bytes bytes) {
  std::ofstream(path, std::ios::binary) << text_of(bytes);
}

}  // namespace marrow::fuzz
