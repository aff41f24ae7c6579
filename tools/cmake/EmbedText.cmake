# lpnsr_embed_text(TARGET FILE NAME): the text of FILE becomes the constant `std::string_view lpnsr::NAME` of TARGET.
function(lpnsr_embed_text target file EMBEDDED_NAME)
  set(EMBEDDED_FILE "${file}")
  file(READ "${CMAKE_SOURCE_DIR}/${file}" EMBEDDED_TEXT)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/${file}")
  set(source "${CMAKE_BINARY_DIR}/embedded/${EMBEDDED_NAME}.cpp")
  configure_file("${CMAKE_SOURCE_DIR}/tools/cmake/embedded_text.cpp.in" "${source}" @ONLY)
  target_sources(${target} PRIVATE "${source}")
endfunction()
