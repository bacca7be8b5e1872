#include "app/store/moment_bundles.h"
#include "tests/fakes/fake_machine.h"
#include "tests/support/open_timeline.h"
#include "tests/support/suite.h"
#include "vmm/block/image.h"
#include "vmm/machine/moment_disks.h"
#include "vmm/machine/moment_export.h"

#include <QTemporaryDir>
#include <fcntl.h>
#include <filesystem>
#include <random>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace app;

namespace {

namespace fs = std::filesystem;
constexpr std::uint64_t mib = 1 << 20;

/// What is wrong; empty: nothing.
using Outcome = std::string;

/// Runs `story` in a process of its own, where `path` is a file system of so many bytes; it need not leave anything
/// as it was. Nothing: this host lets nobody mount one.
std::optional<Outcome> withSmallDisk(
    std::string const& path, std::uint64_t bytes, std::function<Outcome(std::string const&)> const& story)
{
    std::array<int, 2> pipe {};
    if (::pipe2(pipe.data(), O_CLOEXEC) != 0)
        qFatal("no pipe");
    auto const child = ::fork();
    if (child == 0) {
        auto const user = ::geteuid() == 0 ? 0 : CLONE_NEWUSER;
        auto const options = "mode=0777,size=" + std::to_string(bytes);
        if (::unshare(CLONE_NEWNS | user) != 0 || ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0
            || ::mount("small", path.c_str(), "tmpfs", 0, options.c_str()) != 0)
            ::_exit(2);
        auto const outcome = story(path);
        bool const isTold = ::write(pipe[1], outcome.data(), outcome.size()) == ssize_t(outcome.size());
        ::_exit(isTold ? 0 : 1);
    }
    ::close(pipe[1]);
    Outcome outcome;
    std::array<char, 512> some {};
    for (ssize_t got; (got = ::read(pipe[0], some.data(), some.size())) > 0;)
        outcome.append(some.data(), std::size_t(got));
    ::close(pipe[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 2)
        return std::nullopt;
    return status == 0 ? outcome : "the process ended with status " + std::to_string(status) + ". " + outcome;
}

template<typename T>
Outcome isFull(vmm::Result<T> const& result)
{
    if (result)
        return "it was done all the same";
    return result.error().code == vmm::ErrorCode::NoSpace ? "" : "it said: " + result.error().message();
}

vmm::Bytes noise(std::uint64_t bytes)
{
    std::mt19937_64 random(bytes);
    vmm::Bytes data(bytes);
    for (std::size_t i = 0; i < data.size(); i += 8)
        vmm::storeLittle(vmm::ByteSpan(data).subspan(i, 8), random());
    return data;
}

/// Memory that cannot be compressed.
struct Noise final : vmm::timeline::FrozenMemory {
    vmm::Bytes data;
    std::vector<Block> all;
    explicit Noise(std::uint64_t bytes) : data(noise(bytes)), all { { "ram", bytes } } { }
    std::vector<Block> const& blocks() const override { return all; }
    vmm::Result<std::uint64_t> nextUsed(std::size_t, std::uint64_t offset) override { return offset; }
    vmm::Result<> read(std::size_t, std::uint64_t offset, vmm::ByteSpan to) override
    {
        std::copy_n(data.begin() + std::ptrdiff_t(offset), to.size(), to.begin());
        return {};
    }
};

std::size_t filesIn(std::string const& path)
{
    std::size_t count = 0;
    for (auto const& entry : fs::recursive_directory_iterator(path))
        count += entry.is_regular_file() ? 1 : 0;
    return count;
}

/// A machine that is off, with a disk full of noise, and a moment of it.
struct Original {
    vmm::VmConfig config;
    std::shared_ptr<vmm::timeline::Timeline> timeline;
    vmm::timeline::Moment moment;

    explicit Original(std::string const& folder, std::uint64_t diskBytes = 4 * mib)
        : config(tests::exampleConfig("web")), timeline(tests::openTimeline(folder + "/timeline"))
    {
        auto const path = folder + "/disk.qcow2";
        tests::must(vmm::createImage(path, { .size = diskBytes }));
        config.disks = {
            { .id = "disk0", .path = path, .format = vmm::DiskFormat::Qcow2, .moments = vmm::MomentPlace::Inside }
        };
        vmm::InlineEngine engine;
        tests::must(tests::must(vmm::BlockImage::open(engine, path))->writeSync(0, noise(diskBytes)));
        moment = tests::must(vmm::Machine::keepOff(config, *timeline, {}));
    }
};

}

/// A disk that is really full: what is told is that, what was there is there, and nothing half made is left.
class FullDiskTest : public QObject {
    Q_OBJECT

    QTemporaryDir m_directory;

    std::string place(char const* name) const
    {
        auto const path = m_directory.filePath(name).toStdString();
        fs::create_directories(path);
        return path;
    }
    static void judge(std::optional<Outcome> const& outcome)
    {
        if (!outcome)
            QSKIP("CHRONOVISOR-SKIP: no file system may be mounted here");
        QCOMPARE(*outcome, Outcome());
    }

private slots:
    void aMomentThatDoesNotFit()
    {
        judge(withSmallDisk(place("take"), 4 * mib, [](std::string const& path) -> Outcome {
            auto const timeline = tests::openTimeline(path);
            Noise small(mib), large(8 * mib);
            auto const first = tests::must(timeline->take({ .state = "{}" }, small, {}));
            auto const files = filesIn(path);
            if (auto const wrong = isFull(timeline->take({ .state = "{}" }, large, {})); !wrong.empty())
                return wrong;
            if (filesIn(path) != files || timeline->moments().size() != 1 || timeline->present() != first.id)
                return "something is left of it";
            Noise other(mib / 2);
            tests::must(timeline->take({ .state = "{}" }, other, {}));
            return tests::must(tests::openTimeline(path)->verify()).empty() ? "" : "what was there is damaged";
        }));
    }

    void aMachineThatIsOffGoesOn()
    {
        judge(withSmallDisk(place("off"), 4 * mib, [](std::string const& path) -> Outcome {
            Original original(path, mib);
            auto const filler = path + "/filler";
            std::uint64_t const left = fs::space(path).available;
            tests::must(app::writeWholeFile(filler, noise(left / 4096 * 4096), app::Durable::No));
            if (auto const wrong = isFull(vmm::Machine::keepOff(original.config, *original.timeline, {}));
                !wrong.empty())
                return wrong;
            vmm::InlineEngine engine;
            vmm::Bytes read(mib);
            {
                auto const image = tests::must(vmm::BlockImage::open(engine, original.config.disks[0].path));
                tests::must(image->readSync(0, read));
                if (read != noise(mib) || tests::must(image->snapshots()).size() != 1)
                    return "its disk is otherwise";
            }
            fs::remove(filler);
            tests::must(vmm::Machine::keepOff(original.config, *original.timeline, {}));
            tests::must(vmm::Machine::goToOff(original.timeline, original.moment.id));
            return tests::must(original.timeline->verify()).empty() ? "" : "what was there is damaged";
        }));
    }

    void anExportThatDoesNotFit()
    {
        Original const original(place("exported"));
        judge(withSmallDisk(place("export"), 2 * mib, [&](std::string const& path) -> Outcome {
            auto const exported
                = vmm::exportMoment(original.timeline, original.moment.id, path + "/out", vmm::ExportFiles::All, {});
            if (auto const wrong = isFull(exported); !wrong.empty())
                return wrong;
            return fs::is_empty(path) ? "" : "something is left of it";
        }));
    }

    void aBundleThatDoesNotFit()
    {
        Original const original(place("bundled"));
        MachineStore const store(place("store"));
        judge(withSmallDisk(place("bundle"), 2 * mib, [&](std::string const& path) -> Outcome {
            auto const exported = exportBundleFile(store, original.timeline, original.moment.id, path + "/web.bundle");
            if (auto const wrong = isFull(exported); !wrong.empty())
                return wrong;
            return fs::is_empty(path) ? "" : "something is left of it";
        }));
    }

    void aMachineThatIsImportedAndDoesNotFit()
    {
        Original const original(place("original"));
        MachineStore const from(place("from"));
        auto const bundle = m_directory.filePath("web.bundle").toStdString();
        REQUIRE_OK(exportBundleFile(from, original.timeline, original.moment.id, bundle));
        judge(withSmallDisk(place("import"), 2 * mib, [&](std::string const& path) -> Outcome {
            MachineStore store(path);
            auto const file = tests::must(vmm::openFile(bundle, O_RDONLY));
            auto const made = importBundle(store, file.get(), "", [](auto const&) { return vmm::Result<>(); });
            if (auto const wrong = isFull(made); !wrong.empty())
                return wrong;
            return filesIn(path) == 0 && store.list().empty() ? "" : "something is left of it";
        }));
    }
};

REGISTER_SUITE(FullDiskTest);
#include "full_disk_test.moc"
