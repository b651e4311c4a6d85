// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <gfn/ad/parameters.hpp>
#include <gfn/core/error.hpp>
#include <gfn/core/random.hpp>
#include <gfn/data/file.hpp>

namespace gfn {

namespace detail {

// A checkpoint is: the magic text, format version, length of the file, body, checksum of all before. Numbers have the
// machine's byte order; on a machine of the other one the format version is not recognised.
inline constexpr std::string_view checkpoint_magic = "gfn checkpoint\r\n";
inline constexpr std::uint64_t checkpoint_version = 2;
inline constexpr std::size_t checkpoint_header = checkpoint_magic.size() + 2 * sizeof(std::uint64_t);

/// FNV-1a, 64 bits: every change of a single byte changes it.
inline std::uint64_t checksum(std::string_view bytes) {
  std::uint64_t sum = 0xCBF29CE484222325;
  for (const char byte : bytes) sum = (sum ^ static_cast<unsigned char>(byte)) * 0x100000001B3;
  return sum;
}

template <class T>
std::string scalar_name() {
  static_assert(std::is_arithmetic_v<T>, "a checkpoint holds numbers of built-in types");
  const char* kind = std::is_floating_point_v<T> ? "float" : std::is_signed_v<T> ? "int" : "uint";
  return kind + std::to_string(8 * sizeof(T));
}

/// What stands for a scalar's name at a description: see describe_to.
inline constexpr std::string_view description_kind = "description";

/// An archive for `visit_state` that appends all it is shown to a text.
class CheckpointWriter {
 public:
  std::string& content() { return content_; }

  void bytes(const void* data, std::size_t count) { content_.append(static_cast<const char*>(data), count); }
  void number(std::uint64_t x) { bytes(&x, sizeof x); }
  void text(std::string_view s) {
    number(s.size());
    content_ += s;
  }

  template <class T>
  void operator()(std::string_view name, const Parameters<T>& parameters) {
    text(name);
    text(scalar_name<T>());
    number(parameters.blocks().size());
    for (std::size_t i = 0; i < parameters.blocks().size(); ++i) {
      const auto& block = parameters.blocks()[i];
      text(block.name);
      number(static_cast<std::uint64_t>(block.shape.rows));
      number(static_cast<std::uint64_t>(block.shape.cols));
      const In<T> values = parameters.value(static_cast<int>(i));
      bytes(values.data(), static_cast<std::size_t>(values.size()) * sizeof(T));
    }
  }
  template <class T>
  void operator()(std::string_view name, const T* data, std::size_t count) {
    text(name);
    text(scalar_name<T>());
    number(count);
    bytes(data, count * sizeof(T));
  }
  void description(std::string_view name, std::string_view what) {
    text(name);
    text(description_kind);
    text(what);
  }

 private:
  std::string content_;
};

/// An archive for `visit_state` that goes through the body of a checkpoint, and compares it with what it is shown. Only
/// after `start_to_change` does it write to what it is shown.
class CheckpointReader {
 public:
  CheckpointReader(std::string path, std::string_view body) : path_(std::move(path)), body_(body) {}

  /// Starts anew at the position, and from now on changes what it is shown.
  void start_to_change(std::size_t position) {
    position_ = position;
    changes_ = true;
  }
  std::size_t position() const { return position_; }
  bool at_end() const { return position_ == body_.size(); }

  /// The next `count` values of `size` bytes each.
  std::string_view bytes(std::uint64_t count, std::size_t size = 1) {
    if (count > (body_.size() - position_) / size) refuse("it ends in the middle of '", name_, "'");
    const std::string_view found = body_.substr(position_, count * size);
    position_ += found.size();
    return found;
  }
  std::uint64_t number() {
    std::uint64_t x = 0;
    std::memcpy(&x, bytes(sizeof x).data(), sizeof x);
    return x;
  }
  std::string_view text() { return bytes(number()); }

  template <class T>
  void operator()(std::string_view name, Parameters<T>& parameters) {
    expect_entry<T>(name);
    expect("the number of blocks", number(), parameters.blocks().size());
    for (std::size_t i = 0; i < parameters.blocks().size(); ++i) {
      const auto& block = parameters.blocks()[i];
      expect("the name of a block", text(), std::string_view(block.name));
      const std::uint64_t rows = number(), cols = number();
      if (rows != static_cast<std::uint64_t>(block.shape.rows) || cols != static_cast<std::uint64_t>(block.shape.cols))
        refuse("block '", block.name, "' of '", name, "' is ", rows, " x ", cols, " there, and ", block.shape.rows,
               " x ", block.shape.cols, " here");
      const std::string_view values = bytes(rows * cols, sizeof(T));
      if (changes_ && !values.empty())
        std::memcpy(parameters.modify(static_cast<int>(i)).data(), values.data(), values.size());
    }
    if (changes_) parameters.zero_grad();
  }
  template <class T>
  void operator()(std::string_view name, T* data, std::size_t count) {
    expect_entry<T>(name);
    expect("the size", number(), count);
    const std::string_view values = bytes(count, sizeof(T));
    if (changes_ && !values.empty()) std::memcpy(data, values.data(), values.size());
  }
  void description(std::string_view name, std::string_view what) {
    expect_entry(name, description_kind);
    const std::string_view there = text();
    if (there != what) refuse(name, " is '", there, "' there, and '", what, "' here");
  }

  template <class... Parts>
  [[noreturn]] void refuse(const Parts&... parts) const {
    fail("the checkpoint '", path_, "' does not fit: ", parts...);
  }

 private:
  template <class T>
  void expect_entry(std::string_view name) {
    expect_entry(name, scalar_name<T>());
  }
  void expect_entry(std::string_view name, std::string_view kind) {
    if (at_end()) refuse("it has no '", name, "'");
    name_ = text();
    if (name_ != name) refuse("it has '", name_, "' where '", name, "' belongs");
    expect("the scalar type", text(), kind);
  }
  template <class T>
  void expect(const char* what, const T& there, const std::type_identity_t<T>& here) const {
    if (there != here) refuse(what, " of '", name_, "' is ", there, " there, and ", here, " here");
  }

  std::string path_;
  std::string_view body_;
  std::string_view name_ = "its beginning";
  std::size_t position_ = 0;
  bool changes_ = false;
};

/// The body of a checkpoint that is whole and undamaged.
inline std::string_view checkpoint_body(const std::string& path, std::string_view file) {
  const auto number_at = [&](std::size_t position) {
    std::uint64_t x = 0;
    std::memcpy(&x, file.data() + position, sizeof x);
    return x;
  };
  const std::string_view beginning = file.substr(0, checkpoint_magic.size());
  if (file.empty() || beginning != checkpoint_magic.substr(0, beginning.size()))
    fail("'", path, "' is not a checkpoint of gfn");
  if (file.size() < checkpoint_header) fail("the checkpoint '", path, "' is cut off after ", file.size(), " bytes");
  const std::uint64_t version = number_at(checkpoint_magic.size());
  if (version != checkpoint_version)
    fail("the checkpoint '", path, "' has format version ", version, version == 1 ? ", which gfn 0.1 wrote" : "",
         "; this library reads version ", checkpoint_version);
  const std::uint64_t length = number_at(checkpoint_magic.size() + sizeof version);
  if (file.size() != length || length < checkpoint_header + sizeof length)
    fail("the checkpoint '", path, "' has ", file.size(), " bytes, ", length, " were written",
         file.size() < length ? ": it is cut off" : "");
  const std::size_t end = file.size() - sizeof(std::uint64_t);
  if (checksum(file.substr(0, end)) != number_at(end))
    fail("the checkpoint '", path, "' is damaged: its checksum is ", checksum(file.substr(0, end)), ", ",
         number_at(end), " was written");
  return file.substr(checkpoint_header, end - checkpoint_header);
}

/// The first line in which two texts differ.
inline std::pair<std::string_view, std::string_view> first_difference(std::string_view a, std::string_view b) {
  const auto next_line = [](std::string_view& text) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    return line;
  };
  while (!a.empty() || !b.empty()) {
    const std::string_view line_a = next_line(a), line_b = next_line(b);
    if (line_a != line_b) return {line_a, line_b};
  }
  return {};
}

}  // namespace detail

/// Writes all that is needed to go on with a training to one file: the networks' parameters, log Z, the optimisers'
/// state, the iteration, seed and generator, the caller's `description` and the caller's `numbers` (a measured time,
/// the history of a metric). The file is replaced as a whole or not at all; throws gfn::Error where that fails.
///
/// The description tells what was trained and how; a checkpoint can only be loaded under the same one. With one setting
/// a line, the message of a refusal names the first setting that differs.
template <class Trainer>
void save_checkpoint(const std::filesystem::path& path, Trainer& trainer, const Random& random,
                     std::string_view description = {}, std::span<const double> numbers = {}) {
  detail::CheckpointWriter writer;
  writer.content() = detail::checkpoint_magic;
  writer.number(detail::checkpoint_version);
  writer.number(0);  // the length, known later
  writer.text(description);
  Random generator = random;
  generator.visit_state(writer);
  trainer.visit_state(writer);
  writer.number(numbers.size());
  writer.bytes(numbers.data(), numbers.size_bytes());
  const std::uint64_t length = writer.content().size() + sizeof(std::uint64_t);
  std::memcpy(writer.content().data() + detail::checkpoint_header - sizeof length, &length, sizeof length);
  writer.number(detail::checksum(writer.content()));
  replace_file(path, writer.content());
}

/// Puts a trainer, the networks that it refers to and the generator into the state of a checkpoint, and returns the
/// caller's numbers. Going on gives the same bits as not having stopped.
///
/// Throws gfn::Error, with both values, for a file that is cut off or damaged, that is no checkpoint or one of gfn 0.1,
/// or that was written under another description, by another kind of trainer or objective, or with networks of other
/// kinds, sizes or scalars (as far as they say what they are: see describe_to); everything is then as it was before.
template <class Trainer>
std::vector<double> load_checkpoint(const std::filesystem::path& path, Trainer& trainer, Random& random,
                                    std::string_view description = {}) {
  const std::string file = read_file(path);
  detail::CheckpointReader reader(path.string(), detail::checkpoint_body(path.string(), file));
  const auto [there, here] = detail::first_difference(reader.text(), description);
  if (there != here) reader.refuse("'", there, "' there, and '", here, "' here");
  const std::size_t start = reader.position();
  random.visit_state(reader);
  trainer.visit_state(reader);
  const std::string_view values = reader.bytes(reader.number(), sizeof(double));
  if (!reader.at_end()) reader.refuse("it holds more than this trainer has");
  std::vector<double> numbers(values.size() / sizeof(double));
  if (!numbers.empty()) std::memcpy(numbers.data(), values.data(), values.size());
  reader.start_to_change(start);
  random.visit_state(reader);
  trainer.visit_state(reader);
  return numbers;
}

}  // namespace gfn
