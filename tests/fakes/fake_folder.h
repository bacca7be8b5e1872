#pragma once

#include "vmm/timeline/folder.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <functional>
#include <map>
#include <random>
#include <utility>

namespace tests {

/// A disk with folders in memory, that fails when told to, and forgets on a power cut what was not made durable: of a
/// file what was appended since its sync, of the folders a number of the last steps since theirs.
class FakeFolderDisk {
public:
    enum class Fault : std::uint8_t {
        None,
        Fail,
        PowerCut,
        Unreadable, ///< it strikes what reads, with EIO
    };

    std::uint64_t operations = 0;    ///< that change something, so far
    mutable std::uint64_t reads = 0; ///< so far
    Fault fault = Fault::None;
    std::uint64_t faultAt = ~0ULL; ///< the operation that it strikes, of those that change something or of the reads
    bool faultStays = false;       ///< and all after it
    int error = ENOSPC;
    bool powered = true;
    bool isFull = false;    ///< nothing more can be written; what is there can go
    std::string unreadable; ///< the name of a file whose bytes cannot be read
    int readError = EIO;    ///< why not
    bool hasLinks = true;   ///< a file can have several names
    /// Called once, when the next file was opened and whoever has opened it does not have it yet.
    mutable std::function<void()> opened;

    struct Content {
        vmm::Bytes bytes;
        std::size_t durable = 0; ///< bytes
    };
    using Names = std::map<std::string, std::shared_ptr<Content>>;
    static constexpr std::size_t sector = 512;
    Names files; ///< as programs see them

    /// What is there after the power came back: seed 0 nothing that was not durable, 1 all of it, others some, of which
    /// some sectors were never written.
    std::unique_ptr<FakeFolderDisk> afterPowerCut(unsigned seed) const
    {
        std::mt19937 random(seed);
        auto survivors = m_durable;
        for (auto const& [folder, steps] : m_steps) {
            auto const count = seed == 0 ? 0 : seed == 1 ? steps.size() : random() % (steps.size() + 1);
            for (std::size_t i = 0; i < count; ++i)
                steps[i](survivors);
        }
        auto after = std::make_unique<FakeFolderDisk>();
        for (auto const& [name, content] : survivors) {
            auto const lost = content->bytes.size() - content->durable;
            auto const kept = content->durable + (seed == 0 ? 0 : seed == 1 ? lost : random() % (lost + 1));
            auto copy = std::make_shared<Content>();
            copy->bytes.assign(content->bytes.begin(), content->bytes.begin() + static_cast<std::ptrdiff_t>(kept));
            for (auto at = vmm::alignUp<std::size_t>(content->durable, sector); seed > 1 && at + sector <= kept;
                 at += sector) {
                if (random() % 4 == 0)
                    std::fill_n(copy->bytes.begin() + static_cast<std::ptrdiff_t>(at), sector, std::uint8_t(0));
            }
            copy->durable = kept;
            after->files[name] = after->m_durable[name] = copy;
        }
        return after;
    }

    /// Goes wrong so many steps from now on.
    void plan(Fault what, std::uint64_t steps, bool stays)
    {
        fault = what;
        faultAt = stepsOf(what) + steps;
        faultStays = stays;
    }
    bool hasStruck() const { return stepsOf(fault) > faultAt; }

    vmm::Result<> strike()
    {
        auto const strikes = fault != Fault::None && fault != Fault::Unreadable && isStruck(operations);
        ++operations;
        if (strikes && fault == Fault::PowerCut)
            powered = false;
        if (!powered)
            return vmm::fail(vmm::osError("the power is gone", EIO));
        return strikes ? vmm::fail(vmm::osError("told to fail", error)) : vmm::Result<>();
    }

    vmm::Result<> strikeAtReading() const
    {
        auto const number = std::atomic_ref(reads)++; // who stores memory reads by two threads
        return fault == Fault::Unreadable && isStruck(number) ? vmm::fail(vmm::osError("told not to read", EIO))
                                                              : vmm::Result<>();
    }

    /// For a step that needs room.
    vmm::Result<> strikeAtWriting()
    {
        TRY(strike());
        return isFull ? vmm::fail(vmm::osError("told to be full", ENOSPC)) : vmm::Result<>();
    }

    /// Does a step to the folders, which is durable when that folder is synced.
    void step(std::string const& folder, std::function<void(Names&)> what)
    {
        what(files);
        m_steps[folder].push_back(std::move(what));
    }
    void sync(std::string const& folder)
    {
        for (auto const& step : m_steps[folder])
            step(m_durable);
        m_steps[folder].clear();
    }

private:
    std::uint64_t stepsOf(Fault what) const { return what == Fault::Unreadable ? reads : operations; }
    bool isStruck(std::uint64_t step) const { return step == faultAt || (faultStays && step > faultAt); }

    Names m_durable;
    std::map<std::string, std::vector<std::function<void(Names&)>>> m_steps;
};

class FakeFolder final : public vmm::timeline::Folder {
public:
    explicit FakeFolder(FakeFolderDisk& disk) : m_disk(disk) { }

    vmm::Result<std::shared_ptr<vmm::timeline::StoredFile const>> open(std::string const& name) const override
    {
        auto const found = m_disk.files.find(name);
        if (found == m_disk.files.end())
            return vmm::fail(vmm::ErrorCode::NotFound, "there is no " + name);
        auto const file = std::make_shared<Stored>(m_disk, name, found->second);
        if (auto const opened = std::exchange(m_disk.opened, {}))
            opened();
        return file;
    }

    vmm::Result<std::unique_ptr<vmm::timeline::NewFile>> create(std::string const& name) override
    {
        TRY(m_disk.strikeAtWriting());
        auto content = std::make_shared<FakeFolderDisk::Content>();
        m_disk.step(vmm::timeline::folderOf(name), [name, content](auto& names) { names[name] = content; });
        return std::make_unique<New>(m_disk, content);
    }

    vmm::Result<> rename(std::string const& from, std::string const& to) override
    {
        TRY(m_disk.strike());
        if (!m_disk.files.contains(from))
            return vmm::fail(vmm::ErrorCode::NotFound, "there is no " + from);
        m_disk.step(vmm::timeline::folderOf(to), [from, to](auto& names) {
            if (auto const found = names.find(from); found != names.end()) {
                names[to] = found->second;
                names.erase(from);
            }
        });
        return {};
    }

    vmm::Result<> remove(std::string const& name) override
    {
        TRY(m_disk.strike());
        m_disk.step(vmm::timeline::folderOf(name), [name](auto& names) { names.erase(name); });
        return {};
    }

    vmm::Result<std::vector<std::string>> list(std::string const& folder) override
    {
        std::vector<std::string> names;
        for (auto const& [name, content] : m_disk.files) {
            if (vmm::timeline::folderOf(name) == folder)
                names.push_back(name.substr(folder.size() + 1));
        }
        return names;
    }

    vmm::Result<> link(vmm::timeline::StoredFile const& file, std::string const& name) override
    {
        TRY(m_disk.strike());
        if (!m_disk.hasLinks)
            return vmm::fail(vmm::ErrorCode::Unsupported, "told to have no links");
        m_disk.step(vmm::timeline::folderOf(name),
            [name, content = static_cast<Stored const&>(file).content()](auto& names) { names[name] = content; });
        return {};
    }

    vmm::Result<> sync(std::string const& folder) override
    {
        TRY(m_disk.strike());
        m_disk.sync(folder);
        return {};
    }

private:
    class Stored final : public vmm::timeline::StoredFile {
    public:
        Stored(FakeFolderDisk const& disk, std::string name, std::shared_ptr<FakeFolderDisk::Content> content)
            : m_disk(disk), m_name(std::move(name)), m_content(std::move(content))
        {
        }
        std::string const& name() const override { return m_name; }
        std::shared_ptr<FakeFolderDisk::Content> const& content() const { return m_content; }
        vmm::Result<std::uint64_t> size() const override { return m_content->bytes.size(); }
        vmm::Result<> read(std::uint64_t offset, vmm::ByteSpan data) const override
        {
            if (m_name == m_disk.unreadable)
                return vmm::fail(vmm::osError("cannot read " + m_name, m_disk.readError));
            TRY(m_disk.strikeAtReading());
            auto const& bytes = m_content->bytes;
            if (offset > bytes.size() || data.size() > bytes.size() - offset)
                return vmm::fail(vmm::ErrorCode::Corrupt, m_name + " is shorter than it was");
            std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(offset), data.size(), data.begin());
            return {};
        }

    private:
        FakeFolderDisk const& m_disk;
        std::string m_name;
        std::shared_ptr<FakeFolderDisk::Content> m_content;
    };

    class New final : public vmm::timeline::NewFile {
    public:
        New(FakeFolderDisk& disk, std::shared_ptr<FakeFolderDisk::Content> content)
            : m_disk(disk), m_content(std::move(content))
        {
        }
        vmm::Result<> append(vmm::ConstByteSpan data) override
        {
            auto const struck = m_disk.strikeAtWriting();
            // A short write: half of it is there.
            auto const count = struck ? data.size() : m_disk.powered ? data.size() / 2 : 0;
            m_content->bytes.insert(
                m_content->bytes.end(), data.begin(), data.begin() + static_cast<std::ptrdiff_t>(count));
            return struck;
        }
        vmm::Result<> sync() override
        {
            TRY(m_disk.strike());
            m_content->durable = m_content->bytes.size();
            return {};
        }

    private:
        FakeFolderDisk& m_disk;
        std::shared_ptr<FakeFolderDisk::Content> m_content;
    };

    FakeFolderDisk& m_disk;
};

}
