// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include <gfn/ad/parameters.hpp>
#include <gfn/core/aligned_buffer.hpp>
#include <gfn/core/eigen.hpp>

namespace gfn {

/// Options of Adam.
struct AdamOptions {
  double learning_rate = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
};

/// Throws std::invalid_argument, naming the offender, for rates that are negative or not finite.
inline void check_learning_rate(const char* name, double rate) {
  require(std::isfinite(rate) && rate >= 0, name, " is ", rate, ", a finite number that is not negative is needed");
}

/// Adam (Kingma and Ba, "Adam: a method for stochastic optimization", ICLR 2015) over groups of parameters that have
/// rates of their own. A step is one fused pass over values, gradient and both moments, and leaves the gradient zero.
template <class T>
class Adam {
 public:
  /// Adds all parameters of a network. One that has a group already keeps it: heads on one trunk can all be added.
  void add(Parameters<T>& parameters, const AdamOptions& options = {}) {
    check_learning_rate("learning_rate", options.learning_rate);
    require(options.beta1 >= 0 && options.beta1 < 1 && options.beta2 >= 0 && options.beta2 < 1,
            "Adam: beta1 = ", options.beta1, " and beta2 = ", options.beta2, " must be in [0, 1)");
    require(std::isfinite(options.epsilon) && options.epsilon >= 0, "Adam: epsilon is ", options.epsilon,
            ", it must be finite and at least 0");
    for (const Group& group : groups_)
      if (group.parameters == &parameters) return;
    parameters.mark_in_use();  // a block that was added now would have no moments
    const auto size = static_cast<std::size_t>(parameters.size());
    Group& group = groups_.emplace_back();
    group.parameters = &parameters;
    group.options = options;
    group.first_moment.assign(size, T(0));
    group.second_moment.assign(size, T(0));
  }

  /// One step down the gradient of every group.
  void step() {
    for (Group& group : groups_) step(group);
  }

  /// Makes the gradients of all groups zero.
  void zero_gradients() {
    for (Group& group : groups_) group.parameters->zero_grad();
  }

  /// Changes the rate of a group (learning-rate schedules).
  void set_learning_rate(const Parameters<T>& parameters, double rate) {
    check_learning_rate("learning_rate", rate);
    bool found = false;
    for (Group& group : groups_)
      if (group.parameters == &parameters) {
        group.options.learning_rate = rate;
        found = true;
      }
    require(found, "Adam::set_learning_rate: these parameters have not been added");
  }

  /// Visits all state that a checkpoint must hold: archive(name, data, size).
  template <class Archive>
  void visit_state(Archive&& archive) {
    for (Group& group : groups_) {
      archive("adam first moment", group.first_moment.data(), group.first_moment.size());
      archive("adam second moment", group.second_moment.data(), group.second_moment.size());
      archive("adam steps", &group.steps, std::size_t{1});
    }
  }

 private:
  struct Group {
    Parameters<T>* parameters = nullptr;
    AdamOptions options;
    AlignedBuffer<T> first_moment, second_moment;
    std::uint64_t steps = 0;
  };

  static void step(Group& group) {
    ++group.steps;
    const double t = static_cast<double>(group.steps);
    const double correction1 = 1.0 - std::pow(group.options.beta1, t);
    const double correction2 = 1.0 - std::pow(group.options.beta2, t);
    const Coefficients c{.beta1 = static_cast<T>(group.options.beta1),
                         .beta2 = static_cast<T>(group.options.beta2),
                         .rate = static_cast<T>(group.options.learning_rate / correction1),
                         .root_scale = static_cast<T>(1.0 / std::sqrt(correction2)),
                         .epsilon = static_cast<T>(group.options.epsilon)};
    update(c, group.parameters->size(), group.parameters->modify().data(), group.parameters->grad().data(),
           group.first_moment.data(), group.second_moment.data());
  }

  struct Coefficients {
    T beta1, beta2, rate, root_scale, epsilon;
  };

  GFN_VECTOR_CODE_BEGIN
  /// One pass, on Eigen's packets: compilers do not vectorise a square root that may set errno. Parameters are padded
  /// to whole cache lines, so there is no remainder. First moments that have decayed to nothing are set to zero, and
  /// second ones are kept from it, before they become subnormal, which would make every later step many times slower;
  /// with the default epsilon either changes a parameter by less than 1e-16 of the rate (with epsilon 0, gradients
  /// below 1e-17 move it less than they should).
  static void update(const Coefficients& c, Eigen::Index size, T* value, T* grad, T* mean, T* square) {
    namespace ei = Eigen::internal;
    using Packet = typename ei::packet_traits<T>::type;
    constexpr Eigen::Index width = ei::packet_traits<T>::size;
    const Packet b1 = ei::pset1<Packet>(c.beta1), a1 = ei::pset1<Packet>(T(1) - c.beta1);
    const Packet b2 = ei::pset1<Packet>(c.beta2), a2 = ei::pset1<Packet>(T(1) - c.beta2);
    const Packet rate = ei::pset1<Packet>(c.rate), root_scale = ei::pset1<Packet>(c.root_scale);
    const Packet epsilon = ei::pset1<Packet>(c.epsilon), zero = ei::pset1<Packet>(T(0));
    const Packet least_mean = ei::pset1<Packet>(T(1e-30)), least_square = ei::pset1<Packet>(T(1e-36));
    for (Eigen::Index i = 0; i < size; i += width) {
      const Packet g = ei::ploadu<Packet>(grad + i);
      Packet m = ei::pmadd(b1, ei::ploadu<Packet>(mean + i), ei::pmul(a1, g));
      m = ei::pandnot(m, ei::pcmp_lt(ei::pabs(m), least_mean));
      const Packet v =
          ei::pmax(ei::pmadd(b2, ei::ploadu<Packet>(square + i), ei::pmul(a2, ei::pmul(g, g))), least_square);
      const Packet step = ei::pdiv(ei::pmul(rate, m), ei::pmadd(ei::psqrt(v), root_scale, epsilon));
      ei::pstoreu(value + i, ei::psub(ei::ploadu<Packet>(value + i), step));
      ei::pstoreu(mean + i, m);
      ei::pstoreu(square + i, v);
      ei::pstoreu(grad + i, zero);
    }
  }
  GFN_VECTOR_CODE_END

  std::vector<Group> groups_;
};

}  // namespace gfn
