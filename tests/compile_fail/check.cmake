# SPDX-License-Identifier: MIT
# Compiles `source`: it has to compile where `correct` is set, and otherwise to fail with the message of its first line.
separate_arguments(flags)
list(TRANSFORM include_directories PREPEND -isystem)
set(ENV{LC_ALL} C) # plain quotes, English
execute_process(
  COMMAND ${compiler} ${flags} -std=c++20 -fsyntax-only -fdiagnostics-color=never ${include_directories} ${source}
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

file(READ ${source} text)
if(NOT text MATCHES "^// expect: ([^\n]+)\n")
  message(FATAL_ERROR "The first line is not \"// expect: <regular expression>\": ${source}")
endif()
set(expected "${CMAKE_MATCH_1}")
if(result EQUAL 0)
  message(FATAL_ERROR "This compiles, although it must not: ${source}")
endif()
if(NOT output MATCHES "error: [^\n]*(${expected})")
  message(FATAL_ERROR "This fails, but not with \"${expected}\": ${source}")
endif()
