#include "marrow/track/best_matching.h"

#include <fmt/core.h>

#include <algorithm>
#include <limits>
#include <map>
#include <numeric>

#include "marrow/base/error.h"

namespace marrow::track {
namespace {

// The rows and columns of pairs that hang together, numbered from 0 in order of their own numbers.
struct Component {
  std::vector<size_t> rows, columns;
  std::vector<PossiblePair> pairs;
};

size_t place_in(const std::vector<size_t>& sorted, size_t value) {
  return static_cast<size_t>(std::ranges::lower_bound(sorted, value) - sorted.begin());
}

void sort_unique(std::vector<size_t>& values) {
  std::ranges::sort(values);
  values.erase(std::unique(values.begin(), values.end()), values.end());
}

std::vector<Component> components(const std::vector<PossiblePair>& pairs) {
  std::vector<size_t> rows, columns;
  for (const PossiblePair& pair : pairs) {
    rows.push_back(pair.row);
    columns.push_back(pair.column);
  }
  sort_unique(rows);
  sort_unique(columns);
  std::vector<size_t> leader(rows.size() + columns.size());
  std::iota(leader.begin(), leader.end(), size_t{0});
  const auto lead = [&](size_t node) {
    while (leader[node] != node) node = leader[node] = leader[leader[node]];
    return node;
  };
  const auto node_of = [&](const PossiblePair& pair) { return place_in(rows, pair.row); };
  for (const PossiblePair& pair : pairs)
    leader[lead(node_of(pair))] = lead(rows.size() + place_in(columns, pair.column));
  std::map<size_t, Component> found;
  for (const PossiblePair& pair : pairs) {
    Component& component = found[lead(node_of(pair))];
    component.rows.push_back(pair.row);
    component.columns.push_back(pair.column);
    component.pairs.push_back(pair);
  }
  std::vector<Component> all;
  for (auto& [leading, component] : found) {
    sort_unique(component.rows);
    sort_unique(component.columns);
    all.push_back(std::move(component));
  }
  return all;
}

// The row of each column, n where it has none, of an n x m matrix of costs with n <= m whose every row gets
// a column. Shortest augmenting paths with potentials: Jonker and Volgenant 1987.
std::vector<size_t> cheapest_rows(const std::vector<double>& cost, size_t n, size_t m) {
  constexpr double kFar = std::numeric_limits<double>::infinity();
  std::vector<double> row_price(n, 0), column_price(m + 1, 0);
  std::vector<size_t> row_of(m + 1, n);  // the last column is where each path begins
  for (size_t row = 0; row < n; ++row) {
    std::vector<double> distance(m, kFar);
    std::vector<size_t> from(m, m);
    std::vector<bool> visited(m + 1, false);
    size_t column = m;
    row_of[m] = row;
    do {
      visited[column] = true;
      const size_t here = row_of[column];
      double least = kFar;
      size_t next = m;
      for (size_t j = 0; j < m; ++j) {
        if (visited[j]) continue;
        const double length = cost[here * m + j] - row_price[here] - column_price[j];
        if (length < distance[j]) {
          distance[j] = length;
          from[j] = column;
        }
        if (distance[j] < least) {
          least = distance[j];
          next = j;
        }
      }
      for (size_t j = 0; j <= m; ++j) {
        if (visited[j]) {
          row_price[row_of[j]] += least;
          column_price[j] -= least;
        } else if (j < m) {
          distance[j] -= least;
        }
      }
      column = next;
    } while (row_of[column] != n);
    for (; column != m; column = from[column]) row_of[column] = row_of[from[column]];
  }
  row_of.pop_back();
  return row_of;
}

void match(const Component& component, std::vector<std::pair<size_t, size_t>>& matches) {
  const bool upright = component.rows.size() <= component.columns.size();
  const std::vector<size_t>& few = upright ? component.rows : component.columns;
  const std::vector<size_t>& many = upright ? component.columns : component.rows;
  if (few.size() > kMostTogether / many.size())
    throw Error(ErrorKind::kUnsupported,
                fmt::format("{} and {} boxes that may belong together: too many to match at once",
                            component.rows.size(), component.columns.size()));
  // To stay alone costs nothing, as a pair that gains nothing does.
  std::vector<double> cost(few.size() * many.size(), 0);
  for (const PossiblePair& pair : component.pairs) {
    const size_t i = place_in(few, upright ? pair.row : pair.column);
    const size_t j = place_in(many, upright ? pair.column : pair.row);
    cost[i * many.size() + j] = -pair.gain;
  }
  const std::vector<size_t> row_of = cheapest_rows(cost, few.size(), many.size());
  for (size_t j = 0; j < many.size(); ++j) {
    const size_t i = row_of[j];
    if (i == few.size() || !(cost[i * many.size() + j] < 0)) continue;
    matches.emplace_back(upright ? few[i] : many[j], upright ? many[j] : few[i]);
  }
}

}  // namespace

std::vector<std::pair<size_t, size_t>> best_matching(const std::vector<PossiblePair>& pairs) {
  std::vector<PossiblePair> worthwhile;
  std::ranges::copy_if(pairs, std::back_inserter(worthwhile), [](const auto& pair) { return pair.gain > 0; });
  std::vector<std::pair<size_t, size_t>> matches;
  for (const Component& component : components(worthwhile)) match(component, matches);
  std::ranges::sort(matches);
  return matches;
}

}  // namespace marrow::track
