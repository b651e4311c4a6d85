// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstring>
#include <type_traits>
#include <vector>

#include <gfn/ad/parameters.hpp>

namespace gfn {

/// A copy in memory of all that `visit_state` shows, to go back to. Its memory is kept, so that saving again allocates
/// nothing.
class StateSnapshot {
 public:
  /// Copies the state of a trainer (or of anything with visit_state).
  template <class Trainer>
  void save(Trainer& trainer) {
    bytes_.clear();
    trainer.visit_state(Saver{*this});
  }
  /// Puts the trainer into the state that was saved from it last.
  template <class Trainer>
  void restore(Trainer& trainer) {
    position_ = 0;
    trainer.visit_state(Restorer{*this});
  }

 private:
  struct Saver {
    StateSnapshot& snapshot;

    template <class T>
    void operator()(const char*, const Parameters<T>& parameters) const {
      (*this)(nullptr, parameters.value().data(), static_cast<std::size_t>(parameters.size()));
    }
    template <class T>
    void operator()(const char*, const T* data, std::size_t count) const {
      static_assert(std::is_trivially_copyable_v<T>);
      const auto* first = reinterpret_cast<const unsigned char*>(data);
      snapshot.bytes_.insert(snapshot.bytes_.end(), first, first + count * sizeof(T));
    }
  };
  struct Restorer {
    StateSnapshot& snapshot;

    template <class T>
    void operator()(const char*, Parameters<T>& parameters) const {
      (*this)(nullptr, parameters.modify().data(), static_cast<std::size_t>(parameters.size()));
    }
    template <class T>
    void operator()(const char*, T* data, std::size_t count) const {
      if (count > 0) std::memcpy(data, snapshot.bytes_.data() + snapshot.position_, count * sizeof(T));
      snapshot.position_ += count * sizeof(T);
    }
  };

  std::vector<unsigned char> bytes_;
  std::size_t position_ = 0;
};

}  // namespace gfn
