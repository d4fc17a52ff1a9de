# tenon_add_model(NAME SOURCE FILE
#   [OBJECT | STATIC | SHARED | EXECUTABLE]   what is made; default OBJECT
#   [PREFIX PREFIX]                           of the C symbols, and the header's name; default NAME
#   [OUTPUT_DIRECTORY DIR]                    default: the current binary directory
#   [OPTIONS OPTION...])                      more options of tenon: -march=haswell --dim=batch=1..8 ...
#
# Compiles a model while the project is built. NAME is then a target: target_link_libraries(program PRIVATE NAME) brings
# the code, the folder of the header PREFIX.h, libm and threads. An EXECUTABLE is built by `all`, as
# the target NAME_model.
# The model is compiled again when a file changes that tenon has read (a depfile lists them), when tenon itself changes,
# or the options.
include_guard(GLOBAL)

function(tenon_add_model name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "OBJECT;STATIC;SHARED;EXECUTABLE" "SOURCE;PREFIX;OUTPUT_DIRECTORY" "OPTIONS")
  if(DEFINED arg_UNPARSED_ARGUMENTS OR NOT DEFINED arg_SOURCE)
    message(FATAL_ERROR "tenon_add_model(${name}): expected SOURCE FILE and the keywords of TenonAddModel.cmake, found: "
                        "${arg_UNPARSED_ARGUMENTS}")
  endif()
  set(kinds)
  foreach(kind OBJECT STATIC SHARED EXECUTABLE)
    if(arg_${kind})
      list(APPEND kinds ${kind})
    endif()
  endforeach()
  list(LENGTH kinds n_kinds)
  if(n_kinds GREATER 1)
    message(FATAL_ERROR "tenon_add_model(${name}): expected one of OBJECT, STATIC, SHARED and EXECUTABLE, found ${kinds}")
  elseif(n_kinds EQUAL 0)
    set(kinds OBJECT)
  endif()
  if(NOT DEFINED arg_PREFIX)
    string(MAKE_C_IDENTIFIER "${name}" arg_PREFIX)
  endif()
  if(NOT DEFINED arg_OUTPUT_DIRECTORY)
    set(arg_OUTPUT_DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}")
  endif()
  get_filename_component(source "${arg_SOURCE}" ABSOLUTE BASE_DIR "${CMAKE_CURRENT_SOURCE_DIR}")
  get_filename_component(folder "${arg_OUTPUT_DIRECTORY}" ABSOLUTE BASE_DIR "${CMAKE_CURRENT_BINARY_DIR}")
  file(MAKE_DIRECTORY "${folder}")

  set(output_OBJECT "${folder}/${name}.o")
  set(output_STATIC "${folder}/lib${name}.a")
  set(output_SHARED "${folder}/lib${name}.so")
  set(output_EXECUTABLE "${folder}/${name}")
  set(option_OBJECT -c)
  set(option_STATIC -static-lib)
  set(option_SHARED -shared)
  set(option_EXECUTABLE)
  set(output "${output_${kinds}}")
  set(header "${folder}/${arg_PREFIX}.h")
  set(products "${output}")
  set(header_option)
  if(NOT kinds STREQUAL EXECUTABLE)
    list(APPEND products "${header}")
    set(header_option "--header=${header}")
  endif()
  add_custom_command(
    OUTPUT ${products}
    COMMAND Tenon::tenon ${option_${kinds}} "${source}" -o "${output}" ${header_option} --prefix=${arg_PREFIX}
            -MD -MF "${output}.d" -MT "${output}" ${arg_OPTIONS}
    DEPENDS "${source}" Tenon::tenon
    DEPFILE "${output}.d"
    COMMENT "Compiling the model ${name}"
    VERBATIM)

  if(kinds STREQUAL EXECUTABLE)
    add_custom_target(${name}_model ALL DEPENDS ${products}) # a target called as its file would be a cycle
    return()
  endif()
  add_custom_target(${name}_model DEPENDS ${products})
  if(kinds STREQUAL OBJECT)
    add_library(${name} INTERFACE)
    target_link_libraries(${name} INTERFACE "${output}")
  else()
    add_library(${name} ${kinds} IMPORTED GLOBAL)
    set_target_properties(${name} PROPERTIES IMPORTED_LOCATION "${output}" IMPORTED_NO_SONAME ON)
  endif()
  find_package(Threads REQUIRED)
  target_include_directories(${name} INTERFACE "${folder}")
  target_link_libraries(${name} INTERFACE m Threads::Threads)
  add_dependencies(${name} ${name}_model)
endfunction()
