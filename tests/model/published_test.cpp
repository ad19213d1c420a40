// Parameters and multiply-adds of every published network against a table that was
// counted on the published implementations with 1000 classes.
#include <gtest/gtest.h>

#include "marrow/model/summary.h"
#include "marrow/model/zoo.h"
#include "marrow/nn/backbones/backbone.h"

namespace marrow::model {
namespace {

int64_t body_parameter_count(const nn::BackboneChoice& choice) {
  GraphBuilder g;
  nn::add_backbone(g, g.input(3), choice);
  return count_parameters(g.graph());
}

struct Row {
  const char* name;
  int64_t parameters;
  int64_t macs_224;
  int64_t body_parameters = 0;  // 0: not published
  int native_size = 224;
  int64_t macs_native = 0;
};

void expect_row(const Row& row, const nn::BackboneConfig& overrides = nn::BackboneConfig::object()) {
  SCOPED_TRACE(std::string(row.name) + " " + overrides.dump());
  const nn::BackboneChoice choice = nn::choose_backbone(row.name, overrides);
  ModelSpec spec = find_model_spec(row.name);
  spec.settings.update(overrides);
  const Model model = build_model(spec);
  EXPECT_EQ(model.classes(), 1000);
  const Summary summary = summarize(model, 224, 224);
  EXPECT_EQ(summary.parameters, row.parameters);
  EXPECT_EQ(summary.macs, row.macs_224);
  EXPECT_DOUBLE_EQ(summary.gflops, 2e-9 * static_cast<double>(row.macs_224));
  if (row.body_parameters > 0) {
    EXPECT_EQ(body_parameter_count(choice), row.body_parameters);
  }
  if (row.macs_native > 0) {
    EXPECT_EQ(count_macs(model.graph, row.native_size, row.native_size), row.macs_native);
  }
}

TEST(PublishedCounts, VanillaNetTrainForm) {
  for (const Row& row : {Row{"vanillanet_5", 22'328'800, 8'450'519'616},
                         {"vanillanet_6", 56'116'704, 10'104'521'280},
                         {"vanillanet_7", 56'670'176, 11'827'364'416},
                         {"vanillanet_8", 65'175'520, 13'491'200'576},
                         {"vanillanet_9", 73'680'864, 15'155'036'736},
                         {"vanillanet_10", 82'186'208, 16'818'872'896},
                         {"vanillanet_11", 90'691'552, 18'482'709'056},
                         {"vanillanet_12", 99'196'896, 20'146'545'216},
                         {"vanillanet_13", 107'702'240, 21'810'381'376},
                         {"vanillanet_13_act_num_4", 108'488'672, 22'041'592'384},
                         {"vanillanet_13_x1_5", 236'942'048, 48'745'701'952},
                         {"vanillanet_13_x1_5_ada_pool", 236'942'048, 89'966'269'504}})
    expect_row(row);
}

TEST(PublishedCounts, VanillaNetDeployForm) {
  for (const Row& row : {Row{"vanillanet_5", 15'523'304, 5'161'185'280},
                         {"vanillanet_6", 32'509'416, 5'993'103'360},
                         {"vanillanet_7", 32'797'672, 6'893'862'912},
                         {"vanillanet_8", 37'096'424, 7'735'615'488},
                         {"vanillanet_9", 41'395'176, 8'577'368'064},
                         {"vanillanet_10", 45'693'928, 9'419'120'640},
                         {"vanillanet_11", 49'992'680, 10'260'873'216},
                         {"vanillanet_12", 54'291'432, 11'102'625'792},
                         {"vanillanet_13", 58'590'184, 11'944'378'368},
                         {"vanillanet_13_act_num_4", 59'376'616, 12'175'589'376},
                         {"vanillanet_13_x1_5", 127'796'200, 26'548'445'184},
                         {"vanillanet_13_x1_5_ada_pool", 127'796'200, 48'982'528'512}})
    expect_row(row, {{"deploy", true}});
}

TEST(PublishedCounts, ShuffleNetV2) {
  for (const Row& row : {Row{"shufflenet_v2_x0_5", 1'366'792, 40'476'448, 143'136},
                         {"shufflenet_v2_x1_0", 2'278'604, 144'907'992, 776'420},
                         {"shufflenet_v2_x1_5", 3'503'624, 295'759'392, 1'755'680},
                         {"shufflenet_v2_x2_0", 7'393'996, 583'253'464, 3'342'052},
                         {"shufflenet_v2_x0_5_det", 1'376'296, 42'889'600},
                         {"shufflenet_v2_x1_0_det", 2'301'198, 149'780'160},
                         {"shufflenet_v2_x1_5_det", 3'537'768, 302'801'280},
                         {"shufflenet_v2_x2_0_det", 7'441'230, 592'754'368}})
    expect_row(row);
}

TEST(PublishedCounts, ShuffleNetV2OfMegvii) {
  for (const Row& row : {Row{"shufflenet_v2_x0_5", 1'365'792, 40'476'448},
                         {"shufflenet_v2_x1_0", 2'278'760, 145'814'296},
                         {"shufflenet_v2_x1_5", 3'506'720, 298'970'656},
                         {"shufflenet_v2_x2_0", 7'402'600, 590'783'000}})
    expect_row(row, {{"source", "megvii"}});
}

TEST(PublishedCounts, StarNet) {
  for (const Row& row : {Row{"starnet_s050", 542'728, 91'285'248, 413'472},
                         {"starnet_s100", 1'043'280, 185'626'176, 881'960},
                         {"starnet_s150", 1'560'616, 227'376'384, 1'367'232},
                         {"starnet_s1", 2'869'168, 421'877'376, 2'675'784},
                         {"starnet_s2", 3'682'024, 544'113'664, 3'424'512},
                         {"starnet_s3", 5'750'792, 753'999'872, 5'493'280},
                         {"starnet_s4", 7'482'728, 1'049'561'600, 7'225'216}})
    expect_row(row);
}

TEST(PublishedCounts, PPLCNet) {
  for (const Row& row : {Row{"pp_lcnet_x0_25", 1'521'184, 16'773'440, 76'344},
                         {"pp_lcnet_x0_35", 1'643'090, 27'357'832, 136'810},
                         {"pp_lcnet_x0_5", 1'879'576, 44'731'008, 270'896},
                         {"pp_lcnet_x0_75", 2'357'008, 94'786'496, 584'488},
                         {"pp_lcnet_x1_0", 2'952'520, 155'700'480, 1'016'160},
                         {"pp_lcnet_x1_5", 4'499'832, 334'188'416, 2'235'792},
                         {"pp_lcnet_x2_0", 6'521'512, 580'194'816, 3'929'792},
                         {"pp_lcnet_x2_5", 9'017'560, 893'719'680, 6'098'160}})
    expect_row(row);
}

TEST(PublishedCounts, PPLCNetOfTimm) {
  for (const Row& row : {Row{"lcnet_035", 1'644'370, 27'357'832},
                         {"lcnet_050", 1'880'856, 44'731'008},
                         {"lcnet_075", 2'358'288, 94'786'496},
                         {"lcnet_100", 2'953'800, 155'700'480},
                         {"lcnet_150", 4'501'112, 334'188'416}})
    expect_row(row);
}

// Symmetric and TensorFlow padding count the same.
TEST(PublishedCounts, EfficientNet) {
  for (const Row& row : {Row{"efficientnet_b0", 5'288'548, 385'814'752, 3'595'388, 224, 385'814'752},
                         {"efficientnet_b1", 7'794'184, 569'651'680, 6'101'024, 240, 686'802'832},
                         {"efficientnet_b2", 9'109'994, 658'963'440, 7'202'562, 260, 993'561'872},
                         {"efficientnet_b3", 12'233'232, 962'708'240, 10'103'336, 300, 1'827'141'392},
                         {"efficientnet_b4", 19'341'616, 1'503'710'432, 16'742'216, 380, 4'393'771'024},
                         {"efficientnet_b5", 30'389'784, 2'356'493'184, 27'288'112, 456, 10'266'384'752},
                         {"efficientnet_b6", 43'040'704, 3'360'166'848, 39'403'992, 528, 19'067'593'536},
                         {"efficientnet_b7", 66'347'960, 5'169'865'152, 62'143'440, 600, 37'745'884'192}})
    for (const char* source : {"torchvision", "lukemelas"}) {
      expect_row(row, {{"source", source}});
      const nn::BackboneConfig& config = nn::choose_backbone(row.name).config;
      EXPECT_EQ(config.at("resolution"), row.native_size);
    }
}

TEST(PublishedFeatures, HaveTheWidthsOfTheTables) {
  struct Widths {
    const char* name;
    std::array<int, 4> channels;  // c2..c5
  };
  for (const Widths& row : {Widths{"vanillanet_5", {512, 1024, 2048, 4096}},
                            {"vanillanet_13", {512, 1024, 2048, 4096}},
                            {"shufflenet_v2_x0_5", {24, 48, 96, 192}},
                            {"shufflenet_v2_x2_0", {24, 244, 488, 976}},
                            {"starnet_s050", {16, 32, 64, 128}},
                            {"starnet_s100", {20, 40, 80, 160}},
                            {"starnet_s1", {24, 48, 96, 192}},
                            {"starnet_s4", {32, 64, 128, 256}},
                            {"pp_lcnet_x0_25", {16, 32, 64, 128}},
                            {"pp_lcnet_x0_35", {24, 48, 88, 176}},
                            {"pp_lcnet_x0_75", {48, 96, 192, 384}},
                            {"pp_lcnet_x2_5", {160, 320, 640, 1280}},
                            {"efficientnet_b0", {24, 40, 112, 320}},
                            {"efficientnet_b1", {24, 40, 112, 320}},
                            {"efficientnet_b2", {24, 48, 120, 352}},
                            {"efficientnet_b3", {32, 48, 136, 384}},
                            {"efficientnet_b4", {32, 56, 160, 448}},
                            {"efficientnet_b5", {40, 64, 176, 512}},
                            {"efficientnet_b6", {40, 72, 200, 576}},
                            {"efficientnet_b7", {48, 80, 224, 640}}}) {
    SCOPED_TRACE(row.name);
    GraphBuilder g;
    const nn::Features f = nn::add_backbone(g, g.input(3), nn::choose_backbone(row.name));
    EXPECT_EQ((std::array{g.channels(f.c2), g.channels(f.c3), g.channels(f.c4), g.channels(f.c5)}),
              row.channels);
  }
}

}  // namespace
}  // namespace marrow::model
