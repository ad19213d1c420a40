// From any published checkpoint to a model with weights.
//
// Which network a file holds is decided by what it stores (a pickled model carries its own description), then
// by its keys and shapes. Where these leave a choice, the import stops and lists the candidates; `model` and
// `source` decide.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "marrow/model/checkpoint.h"
#include "marrow/model/match_by_order.h"
#include "marrow/weights/load_report.h"

namespace marrow::model {

struct ImportOptions {
  std::string model;   // any name or path that find_model_spec takes; empty: by the file
  std::string source;  // "timm", "torchvision", ...; empty: by the file
  // A backbone's file that fills no network whole is read as the network it comes closest to; the report
  // tells the rest. Otherwise it is refused.
  bool partial = false;
  // Renames tensors of the file first: "PATTERN=PATTERN", the patterns of weights/rename.h, {1} for what the
  // first wildcard stood for. The first that matches decides; names that none matches stay.
  std::vector<std::string> rename;
  // "names", or "order": pairs the tensors of the file with those of `model` by order and shape, whatever
  // their names.
  std::string match = "names";
  double norm_eps = 0;  // of all batch norms, for a file that stores none; 0: by rule
  std::string key;  // the entry of the file that holds the weights; empty: choose (weights/checkpoint_file.h)
  // What the command calls `model` and `source`, for messages.
  std::string model_flag = "--model";
  std::string source_flag = "--source";
};

struct Import {
  TrainedModel trained;  // parameters that the file lacks are fresh
  weights::LoadReport report;
  std::string kind;             // of the file: "torch archive, entry 'ema'"
  std::string network;          // what was recognised: "efficientnet_b0 (timm)", "yolov8n.yaml"
  std::vector<NamePair> pairs;  // where tensors were matched by order
  double backbone_share;        // of the backbone's parameters that the file filled, 0 to 1
};

// Throws Error{kModel} when the file is of no known network, or of several and the options do not decide; and
// what read_checkpoint and find_model_spec throw.
Import import_checkpoint(const std::filesystem::path& path, const ImportOptions& options = {});

// A Marrow checkpoint as it is, or a foreign file imported. Throws Error{kModel} when a foreign file does not
// fill the whole model.
TrainedModel load_trained(const std::filesystem::path& path, const ImportOptions& options = {});

}  // namespace marrow::model
