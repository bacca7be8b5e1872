#include "tests/support/suite.h"
#include "vmm/base/unique_fd.h"
#include "vmm/memory/bus_error_guard.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

using namespace vmm;

namespace {

constexpr std::size_t page = 4096;

/// Pages of a file of no bytes: whoever touches one gets SIGBUS.
struct NoPages {
    UniqueFd file { ::memfd_create("nothing", MFD_CLOEXEC) };
    std::uint8_t* data
        = static_cast<std::uint8_t*>(::mmap(nullptr, 4 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE, file.get(), 0));
    ~NoPages() { ::munmap(data, 4 * page); }
    ByteSpan pages(std::size_t first, std::size_t count) const { return { data + first * page, count * page }; }
};

bool isTold(UniqueFd const& event)
{
    pollfd asked { event.get(), POLLIN, 0 };
    return ::poll(&asked, 1, 0) == 1;
}

}

/// What else guards do is tested with the memory that needs them (RamFileTest, FaultLoaderTest).
class BusErrorGuardTest final : public QObject {
    Q_OBJECT
private slots:
    void allThatHaveThePageHearOfIt()
    {
        NoPages const memory;
        UniqueFd const outer(::eventfd(0, EFD_CLOEXEC)), other(::eventfd(0, EFD_CLOEXEC));
        auto const whole = BusErrorGuard::watch(memory.pages(0, 4), outer.get());
        auto const part = BusErrorGuard::watch(memory.pages(1, 1));
        auto const rest = BusErrorGuard::watch(memory.pages(2, 2), other.get());
        REQUIRE_OK(whole);
        REQUIRE_OK(part);
        REQUIRE_OK(rest);
        memory.data[page] = 7;
        QCOMPARE(int(memory.data[page]), 7);
        QCOMPARE(int(memory.data[page + 1]), 0);
        QVERIFY((*whole)->lost() && (*part)->lost() && !(*rest)->lost());
        QVERIFY(isTold(outer) && !isTold(other));
    }

    void whoHasGoneHearsNothing()
    {
        NoPages const memory;
        UniqueFd const event(::eventfd(0, EFD_CLOEXEC));
        REQUIRE_OK(BusErrorGuard::watch(memory.pages(0, 4), event.get()));
        auto const next = BusErrorGuard::watch(memory.pages(0, 4));
        REQUIRE_OK(next);
        QVERIFY(!(*next)->lost());
        memory.data[0] = 1;
        QVERIFY((*next)->lost() && !isTold(event));
    }
};

REGISTER_SUITE(BusErrorGuardTest);
#include "bus_error_guard_test.moc"
