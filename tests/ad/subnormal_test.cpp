// SPDX-License-Identifier: MIT
#include <cmath>
#include <limits>

#include <gfn/ad/softmax.hpp>
#include <gfn/ad/tape.hpp>
#include <gfn/nn/adam.hpp>

#include "catch.hpp"

// Subnormal numbers make dense products and optimiser steps many times slower: none may come out of a policy that is
// certain, or of moments that have decayed.

TEST_CASE("a certain policy passes no subnormal gradient on") {
  for (const float gap : {30.0f, 60.0f, 87.0f, 88.0f, 95.0f, 103.0f, 500.0f}) {
    gfn::Tape<float> tape;
    gfn::Matrix<float> logits(2, 3);
    logits << 0, -gap, -gap, -gap, 0, -gap;
    const gfn::Var<float> x = tape.variable(logits);
    gfn::Matrix<float> cotangent(2, 3);
    cotangent << 1, 0, 0, 0, -2, 0;
    tape.pull_back(gfn::log_softmax(x), cotangent);
    for (Eigen::Index i = 0; i < 6; ++i) {
      const float g = x.grad().data()[i];
      INFO("gap " << gap << ", entry " << i << ": " << g);
      CHECK((g == 0 || std::fpclassify(g) == FP_NORMAL));
    }
  }
}

TEST_CASE("moments of Adam that decay do not become subnormal") {
  gfn::Parameters<float> parameters;
  parameters.add("x", 1, 16);
  gfn::Adam<float> adam;
  adam.add(parameters);
  parameters.grad().setConstant(1e-3f);
  for (int i = 0; i < 2000; ++i) adam.step();  // the first leaves the gradient zero
  adam.visit_state([](const char*, const auto* data, std::size_t size) {
    for (std::size_t i = 0; i < size; ++i) {
      const auto x = static_cast<float>(data[i]);
      CHECK((x == 0 || std::fpclassify(x) == FP_NORMAL));
    }
  });
}
