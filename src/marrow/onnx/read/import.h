// Reads an ONNX network as a graph of ours: detectors and classifiers that Marrow, Ultralytics and
// torchvision export, and others made of the same parts. Constants are folded, then groups of operators
// recognised (onnx/read/recognise.h); a node that is not recognised is named.
//
// The graph has one output: "output0" with a detection decode, behind which "prototypes" of masks may stand,
// "one2one" when the file goes on to choose the best of an end-to-end head's boxes, or "logits" of a
// classifier, from which a softmax at the end is left out. A file of fixed size is read at that size; one of
// any size is read at two, which must give the same graph. Weights are float32 whatever the file holds.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "marrow/graph/passes/pass.h"
#include "marrow/onnx/file/proto.h"
#include "marrow/onnx/write/export.h"

namespace marrow::onnx {

struct ImportedNetwork {
  passes::GraphWithWeights network;
  bool detector = false;
  int height = 0, width = 0;  // of the input; 0: any
  bool dynamic_batch = false;
  bool half = false;             // the file's numbers are float16
  std::optional<ExportNms> nms;  // the file's own suppression, which is left out
};

// `where` begins every message. Throws Error{kFormat} for what is broken, Error{kUnsupported} for what is not
// recognised.
ImportedNetwork import_network(const ModelProto& model, const std::string& where);

}  // namespace marrow::onnx
