#include "marrow/nn/blocks/refused_modules.h"

#include <algorithm>

namespace marrow::nn {

const std::vector<std::pair<std::string_view, std::string_view>>& refused_modules() {
  static const std::vector<std::pair<std::string_view, std::string_view>> modules = [] {
    std::vector<std::pair<std::string_view, std::string_view>> list = {
        {"MBConv", "EfficientNetV2's block in YOLOv8 forks; what Marrow 0.1 called so is EfficientNetBlock"},
        {"FusedMBConv", "EfficientNetV2's block"},
        {"efficientnet_v2", "EfficientNetV2 in one line; Marrow has EfficientNet"},
        {"VanillaStage", "one fork's stage of separable convolutions with squeeze-excite, not VanillaNet"},
        {"VanillaSPPF", "one fork's SPPF of separable convolutions, not VanillaNet"},
        {"shuffle_SE_1", "one repository's ShuffleNet unit with squeeze-excite"},
        {"shuffle_SE_2", "one repository's ShuffleNet unit with squeeze-excite"},
        {"C2f_Star_CAA",
         "C2f of StarNet blocks with context anchor attention (1 x 11 and 11 x 1 convolutions)"},
        {"RTDETRDecoder", "RT-DETR's decoder head, a transformer"},
        {"AIFI", "RT-DETR's transformer encoder layer"},
        {"CBLinear", "YOLOv9's split of a map into a list for a second trunk"},
        {"CBFuse", "YOLOv9's sum of parts of a second trunk"},
        {"CSPStage", "DAMO-YOLO's GFPN stage"},
        {"VoVGSCSP", "Slim-neck's C3 of GSConv bottlenecks"},
        {"SimFusion_4in", "Gold-YOLO's gathering of four maps"},
        {"SimFusion_3in", "Gold-YOLO's gathering of three maps"},
        {"AdvPoolFusion", "Gold-YOLO's pooled fusion"},
        {"IFM", "Gold-YOLO's information fusion"},
        {"InjectionMultiSum_Auto_pool", "Gold-YOLO's injection of global information"},
        {"PyramidPoolAgg", "Gold-YOLO's pyramid pooling"},
        {"TopBasicLayer", "Gold-YOLO's transformer"},
        {"ScalSeq", "ASF-YOLO's fusion of scales by a 3D convolution"},
        {"DynamicScalSeq", "ASF-YOLO's fusion of scales with learnt upsampling"},
        {"Zoom_cat", "ASF-YOLO's concatenation of three sizes"},
        {"DySample", "upsampling by learnt offsets"},
        {"Fusion", "a weighted fusion of forks (BiFPN, SDI, by fusion_mode)"},
        {"BiFusion", "YOLOv6's fusion of three maps"},
        {"IDetect", "YOLOv7's head with anchor boxes"},
        {"DetectX", "YOLOX's head"},
        {"CARAFE", "content-aware upsampling"},
        {"RCSOSA", "RCS-YOLO's aggregation of shuffled RepVGG blocks"},
        {"SDI", "U-Net v2's product of maps"},
        {"C2fAttn", "YOLO-World's text-guided C2f"},
        {"WorldDetect", "YOLO-World's text-guided head"},
        {"ImagePoolingAttn", "YOLO-World's attention between text and image"},
        {"YOLOEDetect", "YOLOE's text-guided head"},
        {"AKConv", "convolution at learnt sampling points"},
        {"CNeB", "C3 of ConvNeXt blocks"},
        {"ConvNextBlock", "ConvNeXt's block, with layer norm"},
        {"HorBlock", "HorNet's block"},
        {"ChannelAttention_HSFPN", "MFDS-DETR's channel attention"},
        {"RFAConv", "receptive-field attention convolution"},
        {"RFCBAMConv", "receptive-field CBAM convolution"},
        {"RFCAConv", "receptive-field coordinate-attention convolution"},
        {"C3C2", "a C3 of one fork"},
        {"fasternet_t0", "FasterNet in one line"},
        {"convnextv2_atto", "ConvNeXt V2 in one line"},
        {"CBAM", "convolutional block attention: the maximum over channels is no operation of Marrow's"},
        {"GetIndexOutput", "picks an entry of a list; Index does so here"},
        {"MobileNetV3_InvertedResidual", "MobileNetV3's block"},
        {"conv_bn_hswish", "MobileNetV3's stem"},
        {"ContextGuidedBlock_Down", "CGNet's block"},
        {"Bi_FPN", "a weighted sum of maps"},
        {"SimAM", "parameter-free attention by variance"},
        {"EfficientViT_M0", "EfficientViT in one line"},
        {"repvit_m0_9", "RepViT in one line"},
        {"transnext_micro", "TransNeXt in one line"},
        {"unireplknet_a", "UniRepLKNet in one line"},
        {"MobileNetV4ConvSmall", "MobileNetV4 in one line"},
        {"RMT_T", "RMT in one line"},
        {"lsknet_t", "LSKNet in one line"},
        {"SwinTransformer_Tiny", "Swin Transformer in one line"},
        {"efficientformerv2_s0", "EfficientFormer V2 in one line"},
        {"FocalModulation", "focal modulation"},
        {"MANet", "Hyper-YOLO's mixed aggregation"},
        {"HyperComputeModule", "Hyper-YOLO's hypergraph convolution"},
        {"CA", "coordinate attention"},
        {"CoordAtt", "coordinate attention"},
        {"SEAttention", "squeeze-excite by linear layers"},
        {"ECA", "efficient channel attention, a convolution along channels"},
        {"GAMAttention", "global attention"},
        {"Detect_TADDH", "one fork's head with shared convolutions"},
        {"Detect_LSCD", "one fork's head with shared convolutions and group norm"},
        {"Detect_DyHead", "a dynamic head"},
        {"Detect_AFPN_P345", "a head behind an asymptotic pyramid"},
        {"Detect_Efficient", "one fork's lighter head"},
        {"Detect_SEAM", "one fork's head with attention"},
        {"ShuffleAttention", "shuffle attention"},
        {"CrissCrossAttention", "criss-cross attention"},
        {"SKAttention", "selective-kernel attention"},
        {"TripletAttention", "triplet attention"},
        {"SegNext_Attention", "SegNeXt's attention, with 1 x k convolutions"},
        {"EMA", "multi-scale attention by groups"},
        {"MLCA", "mixed local channel attention"},
        {"LSKA", "large separable-kernel attention, with 1 x k convolutions"},
        {"SPPF_LSKA", "SPPF with large separable-kernel attention"},
        {"Blocks", "RT-DETR's ResNet-18 and 34 stage"},
        {"ConvNormLayer", "RT-DETR's ResNet stem"},
        {"SPPCSP", "Scaled-YOLOv4's pyramid"},
        {"BottleneckCSP2", "Scaled-YOLOv4's block"},
        {"ES_Bottleneck", "PicoDet's block"},
        {"TorchVision",
         "a network of torchvision in one line; name the backbone instead, such as efficientnet_b0"},
        {"torchvision.ops.Permute", "a permutation of axes"},
    };
    std::ranges::sort(list);
    return list;
  }();
  return modules;
}

std::string_view refused_module(std::string_view name) {
  const auto& modules = refused_modules();
  const auto found =
      std::ranges::lower_bound(modules, name, {}, [](const auto& entry) { return entry.first; });
  if (found != modules.end() && found->first == name) return found->second;
  // 327 inner blocks of forks appear so; some are built, and then nobody asks.
  for (const auto& [prefix, what] : {std::pair("C3k2_", "a fork's C3k2 with blocks of its own inside"),
                                     std::pair("C2f_", "a fork's C2f with blocks of its own inside"),
                                     std::pair("C3_", "a fork's C3 with blocks of its own inside"),
                                     std::pair("Detect_", "a fork's detection head")})
    if (name.starts_with(prefix)) return what;
  return {};
}

}  // namespace marrow::nn
