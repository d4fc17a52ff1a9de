# What `cmake --install` and `cpack -G DEB` put in place. Everything finds its kin by relative paths, so the tree may be
# moved. The runtime that programs are linked with is part of bin/tenon.
include(CMakePackageConfigHelpers)

install(TARGETS tenon RUNTIME DESTINATION bin)
install(TARGETS tenon_llvm LIBRARY DESTINATION lib/tenon)

set(TENON_BIN bin)
set(config_dir lib/cmake/Tenon)
configure_package_config_file(cmake/package/TenonConfig.cmake.in ${CMAKE_BINARY_DIR}/package/TenonConfig.cmake
                              INSTALL_DESTINATION ${config_dir} PATH_VARS TENON_BIN)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/package/TenonConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/package/TenonConfig.cmake ${CMAKE_BINARY_DIR}/package/TenonConfigVersion.cmake
              cmake/package/TenonAddModel.cmake DESTINATION ${config_dir})

foreach(name tenon tenon-rt)
  configure_file(cmake/package/${name}.pc.in ${CMAKE_BINARY_DIR}/package/${name}.pc @ONLY)
  install(FILES ${CMAKE_BINARY_DIR}/package/${name}.pc DESTINATION share/pkgconfig)
endforeach()
install(FILES cmake/package/tenon.mk DESTINATION share/tenon)
install(FILES runtime/tenon.h DESTINATION include)

install(FILES cmake/package/copyright DESTINATION share/doc/tenon)
install(FILES cmake/package/lintian-overrides DESTINATION share/lintian/overrides RENAME tenon)
add_custom_command(
  OUTPUT ${CMAKE_BINARY_DIR}/package/changelog.gz
  COMMAND gzip -9nc ${CMAKE_SOURCE_DIR}/cmake/package/changelog > ${CMAKE_BINARY_DIR}/package/changelog.gz
  DEPENDS cmake/package/changelog VERBATIM)
install(FILES ${CMAKE_BINARY_DIR}/package/changelog.gz DESTINATION share/doc/tenon)
set_property(GLOBAL APPEND PROPERTY TENON_PAGES ${CMAKE_BINARY_DIR}/package/changelog.gz)

# Written by tenon itself, from the table of its options.
function(tenon_page file folder compress)
  set(path ${CMAKE_BINARY_DIR}/package/${file})
  set(command $<TARGET_FILE:tenon> ${ARGN} > ${path})
  if(compress)
    set(command $<TARGET_FILE:tenon> ${ARGN} | gzip -9n > ${path})
  endif()
  add_custom_command(OUTPUT ${path} COMMAND ${command} DEPENDS tenon VERBATIM)
  install(FILES ${path} DESTINATION ${folder})
  set_property(GLOBAL APPEND PROPERTY TENON_PAGES ${path})
endfunction()
tenon_page(tenon.1.gz share/man/man1 TRUE --print-manual)
tenon_page(tenon share/bash-completion/completions FALSE --print-completion=bash)
tenon_page(_tenon share/zsh/vendor-completions FALSE --print-completion=zsh)
tenon_page(tenon.fish share/fish/vendor_completions.d FALSE --print-completion=fish)
get_property(pages GLOBAL PROPERTY TENON_PAGES)
add_custom_target(tenon_pages ALL DEPENDS ${pages})

set(CPACK_PACKAGE_NAME tenon)
set(CPACK_PACKAGE_CONTACT "The tenon developers <maintainers@tenon.example>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "ahead-of-time compiler for neural networks")
set(CPACK_PACKAGE_DESCRIPTION "Reads a model as ONNX or in its own language and leaves an ordinary program:
an executable, an object, a shared library or an archive with a C header.")
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION devel)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "libc6-dev, binutils | lld")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE
                                                WORLD_READ WORLD_EXECUTE)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
include(CPack)
