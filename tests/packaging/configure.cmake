# SPDX-License-Identifier: MIT
# Configures gfn in `build` with `options`: its output must have `expected`. It succeeds, unless `fails` is set.
file(REMOVE_RECURSE ${build})
execute_process(
  COMMAND ${CMAKE_COMMAND} -S ${source} -B ${build} -G ${generator} -DCMAKE_CXX_COMPILER=${compiler} ${options}
  RESULT_VARIABLE result
  OUTPUT_VARIABLE output
  ERROR_VARIABLE output)
message(NOTICE "${output}")
if(fails AND result EQUAL 0)
  message(FATAL_ERROR "This is configured, although it must not")
elseif(NOT fails AND NOT result EQUAL 0)
  message(FATAL_ERROR "This is not configured")
endif()
string(REGEX REPLACE "[ \n]+" " " output "${output}") # CMake breaks the lines of errors
string(FIND "${output}" "${expected}" place)
if(place EQUAL -1)
  message(FATAL_ERROR "There is no \"${expected}\"")
endif()
