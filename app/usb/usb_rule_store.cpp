#include "app/usb/usb_rule_store.h"

#include "app/store/file_lock.h"
#include "app/store/whole_file.h"

#include <filesystem>
#include <fmt/format.h>

namespace app {

namespace {

constexpr std::uint64_t fileLimit = 1u << 20;

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
    auto const lock = TRY(lockForChange(path()));
    auto rules = TRY(read());
    auto const before = rules;
    TRY(change(rules));
    if (rules != before) {
        TRY(writeWholeFile(path(), vmm::bytesOf(usbRulesToText(rules))));
    }
    return rules;
}

}
