// What targets.cpp lists, by file.
#pragma once

#include "fuzz/target.h"

namespace marrow::fuzz {

using Seeds = std::vector<std::string>;

// Bytes; of what may be large the reading says enough.
constexpr size_t kLongestNetwork = 1 << 20;

// settings.cpp
void read_model_yaml(Bytes bytes);
Seeds model_yaml_seeds();
void read_dataset_yaml(Bytes bytes);
Seeds dataset_yaml_seeds();
void read_tracker_yaml(Bytes bytes);
Seeds tracker_yaml_seeds();

// labels.cpp
void read_mot_text(Bytes bytes);
Seeds mot_text_seeds();
void read_yolo_labels(Bytes bytes);
Seeds yolo_label_seeds();
void read_dota_labels(Bytes bytes);
Seeds dota_label_seeds();
void read_coco_json(Bytes bytes);
Seeds coco_seeds();
void read_voc_xml(Bytes bytes);
Seeds voc_seeds();
void read_label_cache_file(Bytes bytes);
Seeds label_cache_seeds();
void read_tar_shard(Bytes bytes);
Seeds tar_shard_seeds();
void read_shard_index_file(Bytes bytes);
Seeds shard_index_seeds();

// networks.cpp
void read_safetensors_file(Bytes bytes);
Seeds safetensors_seeds();
void read_pickle(Bytes bytes);
Seeds pickle_seeds();
void read_torch_pickle(Bytes bytes);
Seeds torch_pickle_seeds();
void read_model_checkpoint(Bytes bytes);
Seeds checkpoint_seeds();
void read_onnx(Bytes bytes);
Seeds onnx_seeds();
void read_tuner_cache(Bytes bytes);
Seeds tuner_cache_seeds();

// runs.cpp
void read_args_yaml(Bytes bytes);
Seeds args_yaml_seeds();
void read_results_table(Bytes bytes);
Seeds results_table_seeds();
void read_resumed_run(Bytes bytes);
Seeds resumed_run_seeds();

// lists.cpp
void read_file_list(Bytes bytes);
Seeds file_list_seeds();
void read_class_names(Bytes bytes);
Seeds class_name_seeds();
void read_darknet_data(Bytes bytes);
Seeds darknet_data_seeds();

// images.cpp
void read_image(Bytes bytes);
Seeds image_seeds();

// requests.cpp
void read_http_request(Bytes bytes);
Seeds http_request_seeds();
void read_multipart(Bytes bytes);
Seeds multipart_seeds();
void read_infer_request(Bytes bytes);
Seeds infer_request_seeds();

// service.cpp
void read_service_request(Bytes bytes);
Seeds service_request_seeds();

// video/videos.cpp, where there are FFmpeg's libraries
void read_video(Bytes bytes);
Seeds video_seeds();

}  // namespace marrow::fuzz
