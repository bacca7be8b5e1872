#include "tests/support/suite.h"
#include "vmm/block/zfs_space.h"

#include <fmt/format.h>
#include <numeric>
#include <random>
#include <set>

using namespace vmm;
using tests::must;

namespace {

/// A file system whose blocks were written and freed between snapshots, and a `zfs` that tells of it as OpenZFS would.
struct History {
    static constexpr int ofOrigin = -1; ///< written before the first of our own
    struct Block {
        int written; ///< the first snapshot that has it
        int freed;   ///< the first one that does not any more
        std::uint64_t bytes;
    };
    std::vector<std::string> names; ///< of snapshots; as number names.size() the file system as it is now
    std::vector<Block> blocks;
    std::string origin = "-";
    std::vector<std::vector<std::string>> calls;
    std::string broken; ///< is answered to get

    std::uint64_t sum(auto const& counts) const
    {
        std::uint64_t bytes = 0;
        for (auto const& block : blocks)
            bytes += counts(block) ? block.bytes : 0;
        return bytes;
    }
    std::uint64_t writtenSince(int before, int in) const
    {
        return sum([&](Block const& one) { return one.written > before && one.written <= in && in < one.freed; });
    }
    /// What is in no snapshot that is left, nor there now.
    std::uint64_t reclaimed(std::set<std::string> const& gone) const
    {
        return sum([&](Block const& one) {
            if (one.written == ofOrigin || one.freed > int(names.size()))
                return false;
            for (int i = one.written; i < one.freed; ++i) {
                if (!gone.contains(names[std::size_t(i)]))
                    return false;
            }
            return true;
        });
    }
    int number(std::string_view name) const
    {
        return name == "pool/disks" ? int(names.size()) : int(std::ranges::find(names, name) - names.begin());
    }

    Result<std::string> operator()(std::vector<std::string> const& arguments)
    {
        calls.push_back(arguments);
        auto const& wanted = arguments[arguments.size() - 2];
        if (arguments[1] == "get" && wanted == "origin")
            return origin + "\n";
        std::string told;
        if (arguments[1] == "list") {
            for (int i = 0; i < int(names.size()); ++i)
                told += fmt::format("{}\t{}\n", names[std::size_t(i)],
                    i == 0 && origin == "-" ? writtenSince(-2, i) : writtenSince(i - 1, i));
            return told;
        }
        if (!broken.empty())
            return broken;
        auto const in = number(arguments.back());
        for (std::size_t at = 0; at < wanted.size();) {
            auto const end = std::min(wanted.find(',', at), wanted.size());
            auto const property = wanted.substr(at, end - at);
            auto const before = property == "referenced" ? -2
                : property == "written@" + origin        ? ofOrigin
                                                         : number("pool/disks" + property.substr(7));
            told += fmt::format("{}\n", writtenSince(before, in));
            at = end + 1;
        }
        return told;
    }
    auto run()
    {
        return [this](std::vector<std::string> const& arguments) { return (*this)(arguments); };
    }
};

History makeHistory(unsigned seed, int snapshots)
{
    std::mt19937 random(seed);
    History history;
    for (int i = 0; i < snapshots; ++i)
        history.names.push_back(fmt::format("pool/disks@chronovisor-0b7ae0b8-9a0f-4b40-ae4c-{:012}", i));
    auto const upTo = [&](int most) { return int(random() % unsigned(most + 1)); };
    for (int i = 0; i < 10 * snapshots; ++i) {
        auto const written = upTo(snapshots);
        history.blocks.push_back({ written, written + 1 + upTo(6), 512u << upTo(8) });
    }
    return history;
}

}

/// What ZFS gives back when snapshots go.
class ZfsSpaceTest final : public QObject {
    Q_OBJECT

private slots:
    void whatComesBackIsWhatNobodyElseHas_data()
    {
        QTest::addColumn<bool>("isClone");
        QTest::newRow("a file system") << false;
        QTest::newRow("a clone") << true;
    }

    void whatComesBackIsWhatNobodyElseHas()
    {
        QFETCH(bool, isClone);
        for (unsigned seed = 1; seed <= 20; ++seed) {
            auto history = makeHistory(seed, 30);
            if (isClone) {
                history.origin = "pool/original@once";
                for (int i = 0; i < 40; ++i)
                    history.blocks.push_back({ History::ofOrigin, i, 4096 });
            }
            // Some stay, and several go together.
            std::mt19937 random(seed);
            auto going = history.names;
            std::ranges::shuffle(going, random);
            std::vector<std::vector<std::string>> order;
            for (std::size_t i = 0; i < 25; ++i) {
                if (i % 3 != 1)
                    order.emplace_back();
                order.back().push_back(going[i]);
            }
            auto const each = must(zfsReclaimed("pool/disks", order, history.run()));
            QCOMPARE(each.size(), order.size());
            std::set<std::string> gone;
            std::uint64_t before = 0;
            for (std::size_t i = 0; i < order.size(); ++i) {
                gone.insert(order[i].begin(), order[i].end());
                auto const all = history.reclaimed(gone);
                QCOMPARE(each[i], all - before);
                before = all;
            }
            QVERIFY(before > 0);
            QVERIFY(history.calls.size() <= 2 + 25);
        }
    }

    /// The kernel passes on no argument of 128 KiB, and a program that is run for each is told no list of all.
    void manySnapshotsAreNoLongQuestion_data()
    {
        QTest::addColumn<bool>("isTogether");
        QTest::newRow("one after the other") << false;
        QTest::newRow("all together") << true;
    }

    void manySnapshotsAreNoLongQuestion()
    {
        QFETCH(bool, isTogether);
        auto history = makeHistory(1, 3000);
        history.blocks.resize(300);
        std::vector<std::vector<std::string>> order;
        if (isTogether)
            order.push_back(history.names);
        else
            std::ranges::transform(
                history.names, std::back_inserter(order), [](auto const& name) { return std::vector { name }; });
        auto const each = must(zfsReclaimed("pool/disks", order, history.run()));
        QCOMPARE(std::accumulate(each.begin(), each.end(), std::uint64_t(0)),
            history.reclaimed({ history.names.begin(), history.names.end() }));
        QVERIFY(history.calls.size() <= 2 + order.size());
        for (auto const& call : history.calls) {
            for (auto const& argument : call)
                QVERIFY(argument.size() < 512);
        }
    }

    void whatHasGoneGivesNothing()
    {
        auto history = makeHistory(1, 5);
        auto const known = must(zfsReclaimed("pool/disks", { { history.names[2] } }, history.run()));
        auto const asked
            = must(zfsReclaimed("pool/disks", { { "pool/disks@gone" }, { history.names[2] } }, history.run()));
        QCOMPARE(asked, (std::vector<std::uint64_t> { 0, known[0] }));
    }

    void whatIsNoAnswerIsAnError()
    {
        auto history = makeHistory(1, 5);
        for (auto const* told : { "", "1\n", "1\n-\n", "1\n2K\n", "1\n2\n3\n", "-1\n2\n", "\n\n" }) {
            history.broken = std::string(told).empty() ? "\n" : told;
            QCOMPARE(
                zfsReclaimed("pool/disks", { { history.names[2] } }, history.run()).error().code, ErrorCode::IoError);
        }
        history.names[3] = "elsewhere@3";
        QCOMPARE(zfsReclaimed("pool/disks", { { history.names[2] } }, history.run()).error().code, ErrorCode::IoError);
        history.calls.clear();
        QCOMPARE(zfsReclaimed("-r", {}, history.run()).error().code, ErrorCode::InvalidArgument);
        QVERIFY(history.calls.empty());
    }

    void itIsCancelled()
    {
        auto history = makeHistory(1, 5);
        QCOMPARE(zfsReclaimed("pool/disks", { { history.names[2] } }, history.run(), [] { return false; }).error().code,
            ErrorCode::Cancelled);
    }
};

REGISTER_SUITE(ZfsSpaceTest);
#include "zfs_space_test.moc"
