# Read by ctest before it runs the tests of a build with sanitizers: what they print is a failure, and things take their time.
set(ENV{CHRONOVISOR_TEST_PATIENCE} 6)
set(ENV{QTEST_FUNCTION_TIMEOUT} 1800000)
set(ENV{ASAN_OPTIONS} "detect_stack_use_after_return=1:$ENV{ASAN_OPTIONS}")
set(ENV{LSAN_OPTIONS} "suppressions=${CMAKE_CURRENT_LIST_DIR}/lsan.supp:print_suppressions=0:$ENV{LSAN_OPTIONS}")
set(ENV{UBSAN_OPTIONS} "halt_on_error=1:print_stacktrace=1:$ENV{UBSAN_OPTIONS}")
set(ENV{TSAN_OPTIONS} "suppressions=${CMAKE_CURRENT_LIST_DIR}/tsan.supp:print_suppressions=0:second_deadlock_stack=1:$ENV{TSAN_OPTIONS}")
