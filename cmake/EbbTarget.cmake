# The only place where compiler flags are set.
function(ebb_target target)
  target_compile_features(${target} PUBLIC cxx_std_20)
  set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF CXX_VISIBILITY_PRESET hidden)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wshadow -Wconversion
                                           -Wno-sign-conversion)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(${target} PRIVATE -Wno-restrict)  # false alarms in GCC 12's <string>
  endif()
  if(EBB_WERROR)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
  if(EBB_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=${EBB_SANITIZE} -fno-omit-frame-pointer)
    target_link_options(${target} PUBLIC -fsanitize=${EBB_SANITIZE})
  endif()
endfunction()
