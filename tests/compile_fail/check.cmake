# SPDX-License-Identifier: MIT
# Compiles `source`: it has to compile where `correct` is set, and otherwise to fail as CMakeLists.txt describes.
separate_arguments(flags)
list(TRANSFORM include_directories PREPEND -isystem)
set(most_lines 25) # of other messages that a reader has to pass by
file(READ ${source} text)
if(text MATCHES "^[^\n]*\n// flags: ([^\n]+)\n")
  separate_arguments(case_flags UNIX_COMMAND "${CMAKE_MATCH_1}")
endif()
set(ENV{LC_ALL} C) # plain quotes, English
execute_process(
  COMMAND ${compiler} ${flags} -std=c++20 ${case_flags} -fsyntax-only -fdiagnostics-color=never ${include_directories}
          ${source}
  RESULT_VARIABLE result
  OUTPUT_VARIABLE output
  ERROR_VARIABLE output)
message(NOTICE "${output}")

if(correct)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "This does not compile: ${source}")
  endif()
  return()
endif()

if(NOT text MATCHES "^// expect: ([^\n]+)\n")
  message(FATAL_ERROR "The first line is not \"// expect: <regular expression>\": ${source}")
endif()
set(expected "${CMAKE_MATCH_1}")
if(result EQUAL 0)
  message(FATAL_ERROR "This compiles, although it must not: ${source}")
endif()
string(REGEX MATCH "error: [^\n]*" first_error "${output}")
if(NOT first_error MATCHES "${expected}")
  if(output MATCHES "error: [^\n]*(${expected})")
    message(FATAL_ERROR "This fails with \"${expected}\", but first with \"${first_error}\": ${source}")
  endif()
  message(FATAL_ERROR "This fails, but not with \"${expected}\": ${source}")
endif()

string(FIND "${output}" "${first_error}" place)
string(SUBSTRING "${output}" ${place} -1 rest)
string(REGEX REPLACE "[^\n]" "" line_ends "${rest}")
string(LENGTH "${line_ends}" lines)
math(EXPR lines "${lines} - 1")
if(lines GREATER most_lines AND NOT text MATCHES "^[^\n]*\n(// flags: [^\n]+\n)?// long\n")
  message(FATAL_ERROR "${lines} lines follow the first error, at most ${most_lines} may: ${source}")
endif()
