#include "tests/fakes/fake_folder.h"
#include "tests/fakes/fake_memory.h"
#include "tests/support/suite.h"
#include "vmm/timeline/timeline.h"

#include <fmt/format.h>

using namespace vmm;
using namespace vmm::timeline;
using tests::FakeFolder;
using tests::FakeFolderDisk;

namespace {

/// A timeline with two moments, of which a file is changed as a later version might have it.
struct Past {
    FakeFolderDisk disk;
    std::string first, second;

    Past()
    {
        auto const timeline = open();
        tests::FakeMemory memory({ 1 << 20 });
        memory.fill(0, 1, 1);
        first = tests::must((*timeline)->take({ .time = 1, .state = "one" }, memory, {})).id;
        memory.fill(0, 2, 2);
        second = tests::must((*timeline)->take({ .time = 2, .state = "two" }, memory, {})).id;
    }
    Result<std::unique_ptr<Timeline>> open()
    {
        return Timeline::open(std::make_unique<FakeFolder>(disk), Timeline::Access::ReadWrite);
    }
    void replace(std::string const& file, std::string_view what, std::string_view with)
    {
        auto& bytes = disk.files.at(file)->bytes;
        std::string text(bytes.begin(), bytes.end());
        auto const at = text.find(what);
        QVERIFY2(at != std::string::npos, file.c_str());
        text.replace(at, what.size(), with);
        bytes.assign(text.begin(), text.end());
    }
    std::map<std::string, Bytes> files() const
    {
        std::map<std::string, Bytes> all;
        for (auto const& [name, content] : disk.files)
            all[name] = content->bytes;
        return all;
    }
};

bool says(Error const& error, char const* words)
{
    return error.detail.find(words) != std::string::npos;
}

}

/// What comes from a later version says so, and stays as it is.
class CompatibilityTest : public QObject {
    Q_OBJECT

private slots:
    void aNewerTimelineIsNotTouched()
    {
        Past past;
        past.replace("timeline.json", fmt::format("\"version\": {}", TimelineRecord::version),
            fmt::format("\"version\": {}", TimelineRecord::version + 1));
        auto const before = past.files();
        auto const opened = past.open();
        QVERIFY(!opened);
        QCOMPARE(opened.error().code, ErrorCode::VersionTooNew);
        QVERIFY(past.files() == before);
    }

    void aNewerMomentIsNamedAndTheOthersAreRead()
    {
        Past past;
        auto const file = "moments/" + past.first + ".json";
        past.replace(
            file, fmt::format("\"version\": {}", Moment::version), fmt::format("\"version\": {}", Moment::version + 1));
        auto const before = past.files();
        auto const timeline = tests::must(past.open());
        QCOMPARE(timeline->damages().size(), 1u);
        QCOMPARE(timeline->damages().front().moment, past.first);
        QCOMPARE(timeline->damages().front().error.code, ErrorCode::VersionTooNew);
        QCOMPARE(timeline->moment(past.first).error().code, ErrorCode::VersionTooNew);
        REQUIRE_OK(timeline->state(past.second));
        QVERIFY(!timeline->sweep()); // what the newer one needs is not known
        QVERIFY(past.files() == before);
    }

    void anUnknownFieldIsNamed()
    {
        Past past;
        past.replace("moments/" + past.first + ".json", "\"pinned\"", "\"mood\": 1, \"pinned\"");
        auto const timeline = tests::must(past.open());
        QCOMPARE(timeline->damages().size(), 1u);
        QVERIFY2(says(timeline->damages().front().error, "mood"), timeline->damages().front().error.detail.c_str());
    }

    void aNewerPackIsNamed()
    {
        Past past;
        auto& bytes = past.disk.files.at("packs/00000001")->bytes;
        bytes[8] = 9; // the version
        auto const before = past.files();
        auto const timeline = tests::must(past.open());
        Bytes page(4096);
        auto const read = tests::must(timeline->memory(past.first)).read(0, 4096, page);
        QVERIFY(!read);
        QCOMPARE(read.error().code, ErrorCode::VersionTooNew);
        QVERIFY2(says(read.error(), "packs/00000001") && says(read.error(), "9"), read.error().detail.c_str());
        QVERIFY(past.files() == before);
    }
};

REGISTER_SUITE(CompatibilityTest);
#include "compatibility_test.moc"
