# SPDX-License-Identifier: MIT
# Includes each header below `headers` alone: the first error must be that gfn needs C++20, and few lines may follow.
separate_arguments(flags)
list(TRANSFORM include_directories PREPEND -isystem)
file(GLOB_RECURSE names RELATIVE ${headers} ${headers}/*.hpp)
foreach(name IN LISTS names)
  file(WRITE ${build}/header.cpp "#include <${name}>\n")
  execute_process(COMMAND ${compiler} ${flags} -fsyntax-only -fdiagnostics-color=never ${include_directories} header.cpp
                  WORKING_DIRECTORY ${build} ERROR_VARIABLE output)
  string(REGEX MATCH "error: [^\n]*" first_error "${output}")
  string(REGEX REPLACE "[^\n]" "" line_ends "${output}")
  string(LENGTH "${line_ends}" lines)
  if(NOT first_error MATCHES "gfn needs C\\+\\+20" OR lines GREATER 25)
    message(SEND_ERROR "${name}:\n${output}")
  endif()
endforeach()
