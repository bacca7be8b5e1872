# Programs for the bare machine, for every build whatever its flags: no sanitizers, no coverage, no other linker.
# bare_program(name OUTPUT path SOURCES files… [INCLUDE folders…])
function(bare_program name)
    cmake_parse_arguments(arg "" "OUTPUT" "SOURCES;INCLUDE" ${ARGN})
    set(bare ${CMAKE_SOURCE_DIR}/resources/demo/bare)
    add_executable(${name} ${arg_SOURCES} ${bare}/start.S ${bare}/bare.c ${bare}/trap.c ${bare}/pci.c ${bare}/virtio.c)
    get_filename_component(folder ${arg_OUTPUT} DIRECTORY)
    get_filename_component(file ${arg_OUTPUT} NAME)
    set_target_properties(${name} PROPERTIES
        OUTPUT_NAME ${file} RUNTIME_OUTPUT_DIRECTORY ${folder} AUTOMOC OFF
        INTERPROCEDURAL_OPTIMIZATION OFF POSITION_INDEPENDENT_CODE OFF
        C_STANDARD 11 C_EXTENSIONS ON LINK_DEPENDS ${bare}/bare.ld
        COMPILE_OPTIONS "-O2;-ffreestanding;-mgeneral-regs-only;-mno-red-zone;-fno-pic;-fno-stack-protector;-fcf-protection=none;-fno-asynchronous-unwind-tables;-fno-strict-aliasing;-ffunction-sections;-Wall;-Wextra"
        LINK_OPTIONS "-nostdlib;-static;-no-pie;-Wl,--build-id=none;-Wl,--gc-sections;-Wl,-z,noexecstack;-Wl,--no-warn-rwx-segments;-Wl,-T,${bare}/bare.ld")
    target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR}/resources/demo ${arg_INCLUDE})
endfunction()
