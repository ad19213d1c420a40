// What the query of a picture route says.
#pragma once

#include <string>
#include <vector>

#include "marrow/predict/read_prediction.h"
#include "marrow/serve/http/message.h"
#include "marrow/serve/network.h"

namespace marrow::serve {

struct PictureOptions {
  predict::ReadOptions read;  // of a detector
  int top = 5;                // classes, of a classifier
};

// The value of "model" in a query; "" where there is none. Throws HttpError{400} for two.
std::string queried_model(const std::vector<Field>& query);

// Throws HttpError{400} for what this kind of model does not know (with the nearest name), for a parameter
// given twice, and for values that do not fit.
PictureOptions parse_picture_options(const std::vector<Field>& query, const Network& network);

// A plain decimal number such as 0.25 or 1e-3, all of the text, within the limits. Throws HttpError{400} for
// others: signs, hexadecimal, nan, inf.
double parse_query_number(const Field& field, double smallest, double largest);
int parse_query_integer(const Field& field, int smallest, int largest);

}  // namespace marrow::serve
