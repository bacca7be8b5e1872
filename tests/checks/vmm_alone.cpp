/// The whole of vmm with nothing of ours and no Qt beside it: that this links is the test. Every object file is taken
/// in (CMakeLists.txt), so one stray call into app, ui or Qt is an unresolved symbol.
#include "vmm/base/log.h"

int main()
{
    return 0;
}
