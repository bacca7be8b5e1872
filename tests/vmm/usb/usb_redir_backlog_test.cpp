#include "tests/support/suite.h"
#include "tests/vmm/usb/redir_bench.h"

#include <QTest>
#include <list>
#include <map>

using namespace vmm;
using tests::Asked;
using tests::counting;
using Bench = tests::RedirBench;
using Kind = UsbTransfer::Kind;

/// What is on its way to a redirected device, and what waits for room there.
class UsbRedirBacklogTest : public QObject {
    Q_OBJECT
private slots:
    void whoDoesNotReadTakesNoMemory()
    {
        Bench bench;
        bench.plug();
        std::list<Asked> all;
        for (int i = 0; i < 40; ++i)
            bench.submit(all.emplace_back(Kind::Bulk, 0x02, counting(256u << 10)));
        for (int i = 0; i < 10; ++i)
            bench.loop.turn();
        bench.cancel(all.back());
        QVERIFY(bench.ended(all.back())); // at once: it has not been sent
        QCOMPARE(all.back().transfer.status, UsbStatus::Cancelled);
        all.pop_back();
        for (std::size_t answered = 0; answered < all.size() && bench.gone.empty();) {
            bench.settle();
            for (; answered < bench.peer.ids.size(); ++answered)
                bench.peer.bulkTaken(bench.peer.ids[answered], 0x02, 256u << 10);
        }
        bench.settle();
        for (auto const& one : all)
            QCOMPARE(one.transfer.transferred, 256u << 10);
    }

    void soDoTheRestsOfManyAtOnce()
    {
        constexpr std::uint32_t part = 256u << 10, streams = 32;
        Bench bench;
        bench.plug();
        std::list<Asked> all;
        for (std::uint32_t stream = 1; stream <= streams; ++stream) {
            all.emplace_back(Kind::Bulk, 0x02, counting(2 * part)).transfer.stream = stream;
            bench.submit(all.back());
        }
        std::map<std::uint32_t, int> answered; // by stream
        auto const answer = [&](std::size_t from) {
            for (; from < bench.peer.ids.size(); ++from) {
                auto const stream = bench.peer.streams[from];
                ++answered[stream];
                bench.peer.bulkTaken(bench.peer.ids[from], 0x02, part, usb_redir_success, stream);
            }
            return from;
        };
        bench.settle();
        QCOMPARE(bench.peer.ids.size(), std::size_t(streams));
        auto from = answer(0); // it reads nothing until it has answered all of them
        for (int i = 0; i < 10; ++i)
            bench.loop.turn();
        QCOMPARE(bench.why(), "");
        for (int round = 0; round < 10; ++round) {
            bench.settle();
            from = answer(from);
        }
        for (auto const& one : all) {
            QVERIFY(bench.ended(one));
            QCOMPARE(one.transfer.transferred, 2 * part);
            QCOMPARE(answered[one.transfer.stream], 2);
        }
    }

    void whoNeverReadsIsGone()
    {
        Bench bench;
        bench.plug();
        Asked out(Kind::Bulk, 0x02, counting(256u << 10)), more(Kind::Bulk, 0x02, counting(256u << 10));
        bench.submit(out);
        bench.submit(more);
        for (int i = 0; i < 10; ++i)
            bench.loop.turn();
        bench.loop.runTimers();
        QCOMPARE(bench.why(), "desk:4000 does not read what is sent to it");
        QCOMPARE(bench.gone.back().code, ErrorCode::TimedOut);
        QCOMPARE(out.transfer.status, UsbStatus::TransactionError);
        QCOMPARE(more.transfer.status, UsbStatus::TransactionError);
    }

    void resetsThatNobodyReadsTakeNoMemory()
    {
        Bench bench;
        bench.plug();
        {
            std::lock_guard const lock(bench.host.usbMutex());
            for (int i = 0; i < 400'000; ++i)
                bench.device->busReset();
        }
        bench.loop.turn();
        QCOMPARE(bench.why(), "desk:4000 does not read what is sent to it");
    }
};

REGISTER_SUITE(UsbRedirBacklogTest);
#include "usb_redir_backlog_test.moc"
