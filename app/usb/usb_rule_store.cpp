#include "app/usb/usb_rule_store.h"

#include "app/store/file_lock.h"
#include "app/store/whole_file.h"
#include "vmm/base/unique_fd.h"

#include <chrono>
#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <thread>

namespace app {

namespace {

constexpr std::uint64_t fileLimit = 1u << 20;

/// Held while the file is changed.
vmm::Result<vmm::UniqueFd> lockFor(std::string const& path)
{
    constexpr std::chrono::milliseconds patience(5000), pause(10);
    auto fd = TRY(vmm::openFile(path + ".lock", O_RDWR | O_CREAT, 0600));
    for (auto waited = std::chrono::milliseconds(0); !TRY(tryLockFile(fd.get(), path)); waited += pause) {
        if (waited >= patience)
            return vmm::fail(vmm::ErrorCode::Busy, fmt::format("another process does not let go of {}", path));
        std::this_thread::sleep_for(pause);
    }
    return fd;
}

}

vmm::Result<UsbRules> UsbRuleStore::read() const
{
    auto const text = readWholeFile(path(), fileLimit);
    if (!text && text.error().code == vmm::ErrorCode::NotFound)
        return UsbRules {};
    if (!text)
        return vmm::fail(text.error());
    return TRY_WITHIN(path(), usbRulesFromText(*text));
}

vmm::Result<UsbRules> UsbRuleStore::change(std::function<vmm::Result<>(UsbRules&)> const& change) const
{
    std::error_code error;
    std::filesystem::create_directories(m_root, error);
    if (error)
        return vmm::fail(vmm::osError(fmt::format("making {}", m_root), error.value()));
    auto const lock = TRY(lockFor(path()));
    auto rules = TRY(read());
    auto const before = rules;
    TRY(change(rules));
    if (rules != before) {
        TRY(writeWholeFile(path(), vmm::bytesOf(usbRulesToText(rules))));
    }
    return rules;
}

}
