#include "tests/fakes/manual_loop.h"
#include "tests/support/suite.h"
#include "vmm/base/accept_from.h"

#include <sys/resource.h>
#include <sys/un.h>

using namespace vmm;

namespace {

/// For as long as it lives this process gets no further descriptor.
struct NoMoreDescriptors {
    rlimit before {};

    NoMoreDescriptors()
    {
        ::getrlimit(RLIMIT_NOFILE, &before);
        auto const free = tests::must(makeEventFd());
        rlimit const now { static_cast<rlim_t>(free.get()), before.rlim_max };
        ::setrlimit(RLIMIT_NOFILE, &now);
    }
    ~NoMoreDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before); }
};

struct Place {
    sockaddr_un address { AF_UNIX, {} };
    socklen_t length = sizeof(sa_family_t); // which has the kernel choose a name
    UniqueFd listening { ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0) };

    Place()
    {
        auto* const name = reinterpret_cast<sockaddr*>(&address);
        if (::bind(listening.get(), name, length) != 0 || ::listen(listening.get(), 4) != 0)
            qFatal("no socket");
        length = sizeof address;
        ::getsockname(listening.get(), name, &length);
    }
    UniqueFd visit() const
    {
        UniqueFd visitor(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        if (::connect(visitor.get(), reinterpret_cast<sockaddr const*>(&address), length) != 0)
            qFatal("nobody listens");
        return visitor;
    }
};

}

/// Who connects is accepted, also by a process that has run out of descriptors.
class AcceptFromTest final : public QObject {
    Q_OBJECT
private slots:
    void eachIsHandedOverOnce()
    {
        Place const place;
        tests::ManualLoop loop;
        std::vector<UniqueFd> came;
        auto const accepting = acceptFrom(loop, place.listening.get(), [&](UniqueFd one, sockaddr_storage const& from) {
            QCOMPARE(from.ss_family, sa_family_t(AF_UNIX));
            came.push_back(std::move(one));
        });
        auto const first = place.visit(), second = place.visit();
        for (int i = 0; i < 3; ++i)
            loop.turn();
        QCOMPARE(came.size(), std::size_t(2));
        QCOMPARE(::write(first.get(), "1", 1), ssize_t(1));
        char heard = 0;
        QCOMPARE(::read(came[0].get(), &heard, 1), ssize_t(1));
        QCOMPARE(heard, '1');
        QCOMPARE(::read(came[1].get(), &heard, 1), ssize_t(-1)); // at once
    }

    void whoCannotBeAcceptedIsTriedAgainLater()
    {
        Place const place;
        tests::ManualLoop loop;
        std::vector<UniqueFd> came;
        auto const accepting = acceptFrom(loop, place.listening.get(),
            [&](UniqueFd one, sockaddr_storage const&) { came.push_back(std::move(one)); });
        auto const visitor = place.visit();
        {
            NoMoreDescriptors const limit;
            loop.turn();
            loop.runTimers();
            loop.turn();
            QVERIFY(came.empty());
        }
        loop.turn();
        QVERIFY(came.empty()); // nobody looks before it is time
        loop.runTimers();
        loop.turn();
        QCOMPARE(came.size(), std::size_t(1));
    }

    void itMayBeEndedByWhoeverComes()
    {
        Place const place;
        tests::ManualLoop loop;
        int came = 0;
        EventLoop::Handle accepting;
        accepting = acceptFrom(loop, place.listening.get(), [&](UniqueFd const&, sockaddr_storage const&) {
            accepting.reset();
            ++came;
        });
        auto const first = place.visit(), second = place.visit();
        loop.turn();
        loop.turn();
        QCOMPARE(came, 1);
    }
};

REGISTER_SUITE(AcceptFromTest);
#include "accept_from_test.moc"
