#include "marrow/track/track_scores.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "marrow/track/scoring.h"

namespace marrow::track {
namespace {

double share(double part, double whole) {
  return part / std::max(1.0, whole);
}
double share(int64_t part, int64_t whole) {
  return share(static_cast<double>(part), static_cast<double>(whole));
}

}  // namespace

double ClearSums::mota() const {
  if (true_positives + false_negatives == 0) return 0;  // nothing to find
  return share(true_positives - false_positives - switches, true_positives + false_negatives);
}
double ClearSums::motp() const {
  return share(overlap, static_cast<double>(true_positives));
}
void ClearSums::add(const ClearSums& other) {
  true_positives += other.true_positives;
  false_negatives += other.false_negatives;
  false_positives += other.false_positives;
  switches += other.switches;
  fragments += other.fragments;
  mostly_tracked += other.mostly_tracked;
  partly_tracked += other.partly_tracked;
  mostly_lost += other.mostly_lost;
  overlap += other.overlap;
}

double IdentitySums::idf1() const {
  return share(2 * true_positives, 2 * true_positives + false_positives + false_negatives);
}
double IdentitySums::precision() const {
  return share(true_positives, true_positives + false_positives);
}
double IdentitySums::recall() const {
  return share(true_positives, true_positives + false_negatives);
}
void IdentitySums::add(const IdentitySums& other) {
  true_positives += other.true_positives;
  false_negatives += other.false_negatives;
  false_positives += other.false_positives;
}

double HotaSums::AtThreshold::detection_accuracy() const {
  return share(true_positives, true_positives + false_negatives + false_positives);
}
double HotaSums::AtThreshold::detection_recall() const {
  return share(true_positives, true_positives + false_negatives);
}
double HotaSums::AtThreshold::detection_precision() const {
  return share(true_positives, true_positives + false_positives);
}
double HotaSums::AtThreshold::association_accuracy() const {
  return share(association, static_cast<double>(true_positives));
}
double HotaSums::AtThreshold::association_recall_mean() const {
  return share(association_recall, static_cast<double>(true_positives));
}
double HotaSums::AtThreshold::association_precision_mean() const {
  return share(association_precision, static_cast<double>(true_positives));
}
double HotaSums::AtThreshold::localisation() const {
  constexpr double kLeast = 1e-10;  // so that it is 1 without a match
  return std::max(kLeast, overlap) / std::max(kLeast, static_cast<double>(true_positives));
}
double HotaSums::AtThreshold::hota() const {
  return std::sqrt(detection_accuracy() * association_accuracy());
}

double HotaSums::mean(double (AtThreshold::*value)() const) const {
  double sum = 0;
  for (const AtThreshold& threshold : at) sum += (threshold.*value)();
  return sum / static_cast<double>(kThresholds);
}
void HotaSums::add(const HotaSums& other) {
  for (size_t a = 0; a < kThresholds; ++a) {
    at[a].true_positives += other.at[a].true_positives;
    at[a].false_negatives += other.at[a].false_negatives;
    at[a].false_positives += other.at[a].false_positives;
    at[a].overlap += other.at[a].overlap;
    at[a].association += other.at[a].association;
    at[a].association_recall += other.at[a].association_recall;
    at[a].association_precision += other.at[a].association_precision;
  }
}

void TrackScores::add(const TrackScores& other) {
  clear.add(other.clear);
  identity.add(other.identity);
  hota.add(other.hota);
}

TrackScores score_tracks(const MotFrames& truth, const MotFrames& result) {
  const Sequence sequence = pair_up(truth, result);
  return {clear_sums(sequence), identity_sums(sequence), hota_sums(sequence)};
}

std::string scores_text(const TrackScores& scores) {
  const ClearSums& clear = scores.clear;
  using At = HotaSums::AtThreshold;
  return fmt::format(
      "MOTA {:.3f}, IDF1 {:.3f}, HOTA {:.3f} (DetA {:.3f}, AssA {:.3f}); {} found, {} missed, {} false, {} "
      "id switches",
      clear.mota(), scores.identity.idf1(), scores.hota.mean(&At::hota),
      scores.hota.mean(&At::detection_accuracy), scores.hota.mean(&At::association_accuracy),
      clear.true_positives, clear.false_negatives, clear.false_positives, clear.switches);
}

std::string scores_json(const TrackScores& scores) {
  using At = HotaSums::AtThreshold;
  const ClearSums& clear = scores.clear;
  const IdentitySums& identity = scores.identity;
  const HotaSums& hota = scores.hota;
  nlohmann::ordered_json all = {{"MOTA", clear.mota()},
                                {"MOTP", clear.motp()},
                                {"IDF1", identity.idf1()},
                                {"IDP", identity.precision()},
                                {"IDR", identity.recall()},
                                {"HOTA", hota.mean(&At::hota)},
                                {"DetA", hota.mean(&At::detection_accuracy)},
                                {"AssA", hota.mean(&At::association_accuracy)},
                                {"DetRe", hota.mean(&At::detection_recall)},
                                {"DetPr", hota.mean(&At::detection_precision)},
                                {"AssRe", hota.mean(&At::association_recall_mean)},
                                {"AssPr", hota.mean(&At::association_precision_mean)},
                                {"LocA", hota.mean(&At::localisation)},
                                {"TP", clear.true_positives},
                                {"FN", clear.false_negatives},
                                {"FP", clear.false_positives},
                                {"IDSW", clear.switches},
                                {"Frag", clear.fragments},
                                {"MT", clear.mostly_tracked},
                                {"PT", clear.partly_tracked},
                                {"ML", clear.mostly_lost},
                                {"IDTP", identity.true_positives},
                                {"IDFN", identity.false_negatives},
                                {"IDFP", identity.false_positives}};
  for (const At& at : hota.at) all["HOTA_alpha"].push_back(at.hota());
  return all.dump();
}

}  // namespace marrow::track
