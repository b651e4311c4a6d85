// SPDX-License-Identifier: MIT
#pragma once

#include <gfn/core/language.hpp>

#include <atomic>
#include <cstdint>

namespace gfn {

/// A number that was never given before in this process; not 0. By it caches recognise a content: an address would not
/// do, since objects come to lie where others have been.
[[nodiscard]] inline std::uint64_t unique_number() {
  static std::atomic<std::uint64_t> last{0};
  return ++last;
}

/// Tells one content from another. A copy is a content of its own: it may grow in another way than its original.
class ContentNumber {
 public:
  ContentNumber() = default;
  ContentNumber(const ContentNumber&) {}
  ContentNumber& operator=(const ContentNumber&) {
    renew();
    return *this;
  }
  ~ContentNumber() = default;
  void renew() { number_ = unique_number(); }
  std::uint64_t value() const { return number_; }

 private:
  std::uint64_t number_ = unique_number();
};

}  // namespace gfn
