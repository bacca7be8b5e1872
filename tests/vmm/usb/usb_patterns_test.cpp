#include "tests/support/suite.h"
#include "tests/vmm/usb/xhci_driver.h"

#include <deque>
#include <random>
#include <thread>

using namespace vmm;
using namespace tests::usb;
using tests::XhciDriver;
using tests::XhciTrb;
using D = XhciDriver;

namespace {

constexpr std::uint64_t packet = 512;

/// Byte `n` of what goes over an endpoint.
std::uint8_t patternAt(std::uint64_t n)
{
    return static_cast<std::uint8_t>(n * 31 + (n >> 8) * 7 + 1);
}

/// A device as Linux's gadget zero for usbtest: its IN endpoints are sources of a pattern that goes on from transfer to
/// transfer, its OUT endpoints sinks that check it. It moves a few packets at a time, when any thread has time for it,
/// so that transfers are cancelled at any point; a source ends some transfers with a short packet.
class PatternDevice final : public UsbDevice {
public:
    explicit PatternDevice(unsigned seed) : m_random(seed) { }

    /// What a thread of its own would do, at any time.
    void work()
    {
        std::lock_guard const lock(host().usbMutex());
        for (auto& [endpoint, pipe] : m_pipes) {
            if (!pipe.waiting.empty() && m_random() % 3 != 0)
                move(pipe);
        }
    }
    bool wasWrong() const { return m_wrong; }

    UsbSpeed speed() const override { return UsbSpeed::High; }
    std::string_view identity() const override { return "pattern"; }
    void busReset() override { }
    void submit(UsbTransfer& transfer) override { m_pipes[transfer.endpoint].waiting.push_back({ &transfer }); }
    void cancel(UsbTransfer& transfer) override
    {
        auto& pipe = m_pipes[transfer.endpoint];
        auto const found = std::ranges::find(pipe.waiting, &transfer, &Moving::transfer);
        if (found == pipe.waiting.end())
            return;
        auto const done = found->done;
        pipe.waiting.erase(found);
        complete(transfer, UsbStatus::Cancelled, done);
    }
    void reset() override { }
    Section save() const override { return {}; }
    Result<> load(Section const&) override { return {}; }

private:
    struct Moving {
        UsbTransfer* transfer = nullptr;
        std::uint64_t done = 0;
    };
    struct Pipe {
        std::deque<Moving> waiting;
        std::uint64_t position = 0;
    };

    void move(Pipe& pipe)
    {
        auto& [transfer, done] = pipe.waiting.front();
        auto count = std::min(transfer->length - done, packet * (1 + m_random() % 8));
        bool const isShort = transfer->isIn() && count > 1 && m_random() % 16 == 0;
        if (isShort)
            count -= 1 + m_random() % std::min<std::uint64_t>(count - 1, packet - 1);
        Bytes data(count);
        if (transfer->isIn()) {
            for (std::uint64_t i = 0; i < count; ++i)
                data[i] = patternAt(pipe.position + i);
            m_wrong |= transfer->copyIn(data, done) != count;
        } else {
            m_wrong |= transfer->copyOut(data, done) != count;
            for (std::uint64_t i = 0; i < count; ++i)
                m_wrong |= data[i] != patternAt(pipe.position + i);
        }
        pipe.position += count;
        done += count;
        if (!isShort && done < transfer->length)
            return;
        auto const ended = pipe.waiting.front();
        pipe.waiting.pop_front();
        complete(*ended.transfer, UsbStatus::Success, ended.done);
    }

    std::mt19937 m_random;
    std::map<std::uint8_t, Pipe> m_pipes;
    bool m_wrong = false;
};

/// The driver's side of one endpoint: a queue of TDs of all sizes, in pieces, at any address. Some are taken back while
/// they are under way, and go on from where they were or are left out.
class Traffic {
public:
    struct Shared {
        PatternDevice device;
        XhciDriver d;
        std::mutex mutex;                               // of the driver, as a guest's would have one
        std::map<unsigned, std::deque<XhciTrb>> events; // of transfers, by endpoint
        std::map<std::uint64_t, unsigned> commands;     // the outcome of each, by its address
        std::mutex commanding;

        explicit Shared(unsigned seed) : device(seed) { }
    };

    static constexpr std::uint64_t room = 0x10000;

    Traffic(Shared& shared, D::TransferRing ring, std::uint64_t memory, unsigned seed)
        : m_shared(shared), m_ring(ring), m_memory(memory), m_random(seed)
    {
    }

    bool isIn() const { return m_ring.endpoint % 2 != 0; }

    /// False with the first thing that is wrong.
    bool run(unsigned count)
    {
        for (unsigned i = 0; i < count;) {
            for (; i < count && m_used + mostPieces < D::ringTrbs - 2 && m_bytes + 3 * longest <= room; ++i)
                queue();
            ring();
            if (m_random() % 8 == 0 && !takeBack())
                return false;
            if (!reap())
                return false;
        }
        while (!m_queue.empty()) {
            if (!reap())
                return false;
        }
        return true;
    }

private:
    static constexpr unsigned mostPieces = 4;
    static constexpr std::uint64_t longest = 9001;

    struct Td {
        std::vector<std::pair<std::uint64_t, std::uint64_t>> pieces; // where their TRBs are, and their lengths
        std::uint64_t buffer = 0, size = 0;
        D::TransferRing after; // the ring behind it
    };

    void queue()
    {
        constexpr std::array<std::uint64_t, 14> sizes { 1, 2, 3, 63, 64, 511, 512, 513, 1023, 1024, 4095, 4096, 4097,
            longest };
        Td td;
        td.size = sizes[m_random() % sizes.size()];
        if (m_place + td.size > room)
            m_place = 0; // what was there is done: less than the room is under way
        m_bytes += td.size;
        td.buffer = m_memory + m_place;
        m_place += td.size + m_random() % 5;
        std::lock_guard const board(m_shared.d.controller.mutex()); // as if the processors wrote in order
        for (std::uint64_t i = 0; i < td.size; ++i)
            *m_shared.d.ram(td.buffer + i) = isIn() ? 0 : patternAt(m_written + i);
        m_written += isIn() ? 0 : td.size;
        auto const pieces = std::min<std::uint64_t>(1 + m_random() % mostPieces, td.size);
        std::uint64_t at = 0;
        for (std::uint64_t left = pieces; left > 0; --left) {
            auto const length = left == 1 ? td.size - at : 1 + m_random() % (td.size - at - left + 1);
            auto const flags = left == 1 ? D::Ioc | D::Isp : D::Chain | D::Isp;
            td.pieces.emplace_back(
                m_shared.d.put(m_ring, D::Normal, td.buffer + at, static_cast<std::uint32_t>(length), flags), length);
            at += length;
        }
        td.after = m_ring;
        m_used += static_cast<unsigned>(td.pieces.size());
        m_queue.push_back(std::move(td));
    }

    void ring() { m_shared.d.kick(m_ring); }

    void pump()
    {
        std::lock_guard const lock(m_shared.mutex);
        for (;;) {
            XhciTrb event;
            {
                std::lock_guard const board(m_shared.d.controller.mutex());
                if (!m_shared.d.hasEvent())
                    return;
                event = m_shared.d.peekEvent();
            }
            (void)m_shared.d.event();
            if (event.type() == D::TransferEvent)
                m_shared.events[event.endpoint()].push_back(event);
            else if (event.type() == D::CommandEvent)
                m_shared.commands[event.parameter] = event.code();
        }
    }

    std::optional<XhciTrb> nextEvent()
    {
        pump();
        std::lock_guard const lock(m_shared.mutex);
        auto& mine = m_shared.events[m_ring.endpoint];
        if (mine.empty())
            return std::nullopt;
        auto const event = mine.front();
        mine.pop_front();
        return event;
    }

    /// One after the other, as drivers have it.
    bool command(std::uint32_t type, std::uint64_t parameter = 0)
    {
        std::lock_guard const one(m_shared.commanding);
        std::uint64_t at = 0;
        {
            std::lock_guard const lock(m_shared.mutex);
            at = m_shared.d.nextCommand();
            m_shared.commands.erase(at);
            m_shared.d.postCommand(type, parameter, D::slotBits(m_ring.slot, m_ring.endpoint));
        }
        for (;;) {
            pump();
            std::lock_guard const lock(m_shared.mutex);
            if (auto const found = m_shared.commands.find(at); found != m_shared.commands.end())
                return found->second == Success;
        }
    }

    /// How much of the TD was done, by an event that names one of its TRBs.
    static std::optional<std::uint64_t> doneOf(Td const& td, XhciTrb const& event)
    {
        std::uint64_t before = 0;
        for (auto const& [at, length] : td.pieces) {
            if (at == event.parameter)
                return before + length - event.length();
            before += length;
        }
        return std::nullopt;
    }

    /// `done` bytes of the first TD have been moved, and it is over.
    bool finish(std::uint64_t done)
    {
        auto const td = std::move(m_queue.front());
        m_queue.pop_front();
        m_used -= static_cast<unsigned>(td.pieces.size());
        m_bytes -= td.size;
        std::lock_guard const board(m_shared.d.controller.mutex());
        for (std::uint64_t i = 0; isIn() && i < td.size; ++i) {
            if (*m_shared.d.ram(td.buffer + i) != (i < done ? patternAt(m_read + i) : 0))
                return false;
        }
        m_read += done;
        return true;
    }

    /// Takes one event, of the first TD or one behind it that is done.
    bool reap()
    {
        auto const event = nextEvent();
        if (!event) {
            m_shared.device.work();
            return true;
        }
        if (m_queue.empty())
            return false;
        auto const done = doneOf(m_queue.front(), *event);
        if (!done || (event->code() != Success && event->code() != ShortPacket))
            return false;
        // A short packet is told once more at the end of the TD, where that is another TRB.
        bool const isLast = event->parameter == m_queue.front().pieces.back().first;
        if (event->code() == ShortPacket && !isLast) {
            m_short = done;
            return true;
        }
        return finish(m_short ? *std::exchange(m_short, {}) : *done);
    }

    /// Stops the endpoint in the middle; goes on, or leaves out the TD that it stopped in.
    bool takeBack()
    {
        if (!command(D::StopEndpoint))
            return false;
        // All that it has done before was told before.
        std::uint64_t moved = 0;
        for (bool stopped = false; !stopped;) {
            auto const event = nextEvent();
            if (!event)
                return false;
            stopped = event->code() == Stopped || event->code() == StoppedInvalid;
            if (!stopped) {
                std::lock_guard const lock(m_shared.mutex);
                m_shared.events[m_ring.endpoint].push_front(*event);
            }
            if (!stopped && !reap())
                return false;
            if (event->code() == Stopped) {
                auto const done = m_queue.empty() ? std::nullopt : doneOf(m_queue.front(), *event);
                if (!done)
                    return false;
                moved = *done;
            }
        }
        if (!m_queue.empty() && m_random() % 2 == 0) {
            auto const next = m_queue.front().after;
            if (!finish(moved) || !command(D::SetDequeue, (next.base + D::trbSize * next.index) | next.cycle))
                return false;
            rewrite();
        }
        ring();
        return true;
    }

    /// The sink has not had all of what was left out, and goes on where it is.
    void rewrite()
    {
        if (isIn())
            return;
        std::lock_guard const board(m_shared.d.controller.mutex());
        auto position = m_read;
        for (auto const& td : m_queue) {
            for (std::uint64_t i = 0; i < td.size; ++i)
                *m_shared.d.ram(td.buffer + i) = patternAt(position + i);
            position += td.size;
        }
        m_written = position;
    }

    Shared& m_shared;
    D::TransferRing m_ring;
    std::uint64_t const m_memory;
    std::mt19937 m_random;
    std::deque<Td> m_queue;
    unsigned m_used = 0; // TRBs
    std::uint64_t m_bytes = 0, m_place = 0, m_written = 0, m_read = 0;
    std::optional<std::uint64_t> m_short;
};

}

/// What usbtest does with gadget zero under Linux: bulk transfers of all sizes, in queues, in pieces, short, and taken
/// back.
class UsbPatternsTest final : public QObject {
    Q_OBJECT
private slots:
    void dataKeepTheirPattern_data()
    {
        QTest::addColumn<unsigned>("processors");
        for (unsigned count = 1; count <= 4; ++count)
            QTest::addRow("%u processors", count) << count;
    }
    void dataKeepTheirPattern()
    {
        QFETCH(unsigned, processors);
        constexpr unsigned transfers = 200;
        Traffic::Shared shared(processors);
        auto& d = shared.d;
        std::array<std::uint64_t, 8> memory {};
        std::ranges::generate(memory, [&] { return d.allocate(Traffic::room); }); // at a multiple of 64 KiB
        REQUIRE_OK(d.controller.plug(0, shared.device));
        d.start();
        auto const slot = d.address(1).slot;
        std::deque<Traffic> traffic;
        for (unsigned i = 0; i < processors; ++i) {
            traffic.emplace_back(shared, d.addEndpoint(slot, 3 + 2 * i, BulkIn), memory[2 * i], 10 * processors + i);
            traffic.emplace_back(
                shared, d.addEndpoint(slot, 2 + 2 * i, BulkOut), memory[2 * i + 1], 10 * processors + i);
        }
        d.dropEvents();
        std::atomic<unsigned> good = 0;
        {
            std::vector<std::jthread> all;
            for (unsigned i = 0; i < processors; ++i) {
                all.emplace_back([&, i] {
                    good += traffic[2 * i].run(transfers);
                    good += traffic[2 * i + 1].run(transfers);
                });
            }
        }
        d.controller.unplug(0);
        QCOMPARE(good.load(), 2 * processors);
        QVERIFY(!shared.device.wasWrong());
    }
};

REGISTER_SUITE(UsbPatternsTest);
#include "usb_patterns_test.moc"
