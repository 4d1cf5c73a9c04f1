# A private copy of OpenBLAS from scipy-openblas64, beside the module. Sets openblas_version; empty: the build goes on
# without it.
set(openblas_version "")
if(RAPTORS_OPENBLAS AND CMAKE_SYSTEM_NAME STREQUAL "Linux" AND NOT CMAKE_CROSSCOMPILING)
  execute_process(COMMAND ${Python_EXECUTABLE} ${CMAKE_CURRENT_LIST_DIR}/openblas.py find
    OUTPUT_VARIABLE found OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
  if(NOT found)
    message(WARNING "No BLAS in the package: scipy-openblas64 is not installed, or too old")
  else()
    list(GET found 0 openblas_version)
    list(GET found 1 library)
    list(GET found 2 licence)
    message(STATUS "OpenBLAS ${openblas_version}: ${library}")
    set(openblas_copy ${CMAKE_CURRENT_BINARY_DIR}/libopenblas_raptors.so)
    add_custom_command(OUTPUT ${openblas_copy}
      COMMAND ${Python_EXECUTABLE} ${CMAKE_CURRENT_LIST_DIR}/openblas.py copy
        ${library} ${openblas_copy} libopenblas_raptors.so
      DEPENDS ${library} ${CMAKE_CURRENT_LIST_DIR}/openblas.py VERBATIM)
    add_custom_target(raptors_openblas ALL DEPENDS ${openblas_copy})
    install(PROGRAMS ${openblas_copy} DESTINATION raptors/_openblas)
    install(FILES ${licence} DESTINATION raptors/_openblas)
  endif()
endif()
