# SPDX-License-Identifier: MIT
# Compiles `source` in `folder`, and runs it unless `only_compile` is set: it must exit with 0. Its first lines may say
#   flags: <flags>   compiled with these too; that it is refused in a sentence of gfn's is right as well
#   compile_only     right is that it does not compile
separate_arguments(flags)
list(TRANSFORM include_directories PREPEND -isystem)
file(READ ${source} text LIMIT 1000)
set(own_flags "")
if(text MATCHES "^// flags:(( -[^ \n]+)+)")
  separate_arguments(own_flags UNIX_COMMAND "${CMAKE_MATCH_1}")
endif()
file(MAKE_DIRECTORY ${folder})
execute_process(
  COMMAND ${compiler} ${flags} -std=c++20 -O1 ${own_flags} -fdiagnostics-color=never ${include_directories} ${source} -o
          program
  WORKING_DIRECTORY ${folder}
  RESULT_VARIABLE result
  ERROR_VARIABLE output)
if(text MATCHES "^([^\n]*\n)?[^\n]*compile_only")
  if(result EQUAL 0)
    message(FATAL_ERROR "This compiles, although it must not: ${source}")
  endif()
  return()
endif()
if(NOT result EQUAL 0)
  message(NOTICE "${output}")
  string(REGEX MATCH "error: [^\n]*" first_error "${output}")
  if(own_flags AND first_error MATCHES "error: (#error )?\"gfn|static assertion failed")
    return()
  endif()
  message(FATAL_ERROR "This does not compile: ${source}")
endif()
if(NOT only_compile)
  execute_process(COMMAND ./program WORKING_DIRECTORY ${folder} COMMAND_ERROR_IS_FATAL ANY)
endif()
