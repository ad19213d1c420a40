# Turns text files into a C++ source with a function that lists them:
#   cmake -DOUTPUT=... -DROOT=... -DFILES=a.yaml;b.yaml -DHEADER=marrow/model/configs.h -DNAMESPACE=marrow::model
#         -DTYPE=EmbeddedText -DFUNCTION=embedded_configs -P embed_texts.cmake
# TYPE has a name and a content. The names are relative to ROOT. Raw string literals hold at most 64 KB on some compilers; a configuration has 2.
set(text "// Generated from ${ROOT} by cmake/embed_texts.cmake.\n#include \"${HEADER}\"\n\n")
string(APPEND text "namespace ${NAMESPACE} {\n\nconst std::vector<${TYPE}>& ${FUNCTION}() {\n")
string(APPEND text "  static const std::vector<${TYPE}> texts = {\n")
foreach(file IN LISTS FILES)
  file(READ ${file} content)
  file(RELATIVE_PATH name ${ROOT} ${file})
  if(content MATCHES "\\)marrow\"")
    message(FATAL_ERROR "${file} holds the end mark of the literal")
  endif()
  string(APPEND text "      {\"${name}\", R\"marrow(${content})marrow\"},\n")
endforeach()
string(APPEND text "  };\n  return texts;\n}\n\n}  // namespace ${NAMESPACE}\n")
file(WRITE ${OUTPUT} "${text}")
